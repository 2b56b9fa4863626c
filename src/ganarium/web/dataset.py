"""The page of a data set: its survey as one file of HTML with the pictures inside it, and without a script."""

from collections import Counter
from html import escape
from pathlib import Path

import numpy as np
from PIL import Image

from ganarium.data.inspect.duplicates import Groups
from ganarium.data.inspect.survey import Survey
from ganarium.web import html

GROUPS = 24  # of duplicates that are shown


def page(survey: Survey, models: dict[str, str], grid: Path | None, estimate: list[str]) -> str:
    """The page's text. Every name is escaped; those of damaged bytes are written as `files.tree.shown` writes them.

    `models` has "" for each model that the data suit, else the reason why not. `estimate` are the lines that say what
    training would take; there may be none.
    """
    parts = [
        f"<h1>{escape(survey.name)}</h1><p>{escape(survey.layout)}</p><p class='quiet'>{escape(survey.location)}</p>",
        _verdict(survey),
        _facts(survey),
    ]
    if grid:
        kind = "x".join(map(str, survey.shape[1:])) if len(survey.shape) == 3 else "points"
        with Image.open(grid) as picture:
            image = html.figure(html.uri(picture, _quality(picture)), "pictures of the set", size=picture.size)
        parts.append(html.section(f"As a model sees it ({kind})", image))
    if len(survey.sizes) > 1:
        common = [(f"{h} x {w}", n) for (h, w), n in survey.sizes.most_common(10)]
        charts = f"<div class='charts'>{_histogram('heights', survey, 0)}{_histogram('widths', survey, 1)}</div>"
        parts.append(html.section("Sizes", charts, html.table(("height x width", "files"), common)))
    if survey.classes:
        parts.append(html.section("Classes", _classes(survey)))
    if survey.broken:
        title = f"Files that cannot be used ({len(survey.broken):,})"
        parts.append(html.section(title, html.table(("file", "why"), survey.broken)))
    for title, names in (("Files that are not used", survey.left_out), ("Blank pictures", survey.blank)):
        if names:
            files = html.table(("file",), [(name,) for name in names])
            parts.append(html.section(f"{title} ({len(names):,})", files))
    for title, groups in (
        ("The same content in train and in test", survey.leaks),
        ("Nearly the same in train and in test", survey.near_leaks),
        ("Identical files", survey.exact),
        ("Nearly the same picture", survey.near),
    ):
        if groups:
            title = f"{title} ({len(groups):,} group{'s' * (len(groups) != 1)})"
            parts.append(html.section(title, _groups(survey, groups)))
    if survey.note:
        parts.append(f"<p>{escape(survey.note)}</p>")
    rows = [(name, why or "suits") for name, why in models.items()]
    parts.append(html.section("Models", html.table(("model", ""), rows)))
    if estimate:
        parts.append(html.section("Dry run", f"<pre>{escape(chr(10).join(estimate))}</pre>"))
    return html.page(survey.name, parts)


def _quality(picture: Image.Image) -> int | None:
    """Large pictures lose a little, which nobody sees."""
    return None if picture.width * picture.height < 500_000 else 90


def _verdict(survey: Survey) -> str:
    if survey.refusal:
        return f"<p class=no>Not to be trained on yet: {escape(survey.refusal)}</p>"
    files = "1 file is" if len(survey.broken) == 1 else f"{len(survey.broken):,} files are"
    return f"<p>It can be trained on{f'; {files} passed over' if survey.broken else ''}.</p>"


def _facts(survey: Survey) -> str:
    rows: list[tuple[object, ...]] = [
        ("to train on", f"{survey.num_train:,}"),
        ("to test", f"{survey.num_test:,}" + (" (a tenth of all, held out)" if survey.held_out else "")),
        ("gives", " or ".join(survey.kinds)),
    ]
    if survey.sizes and len(survey.sizes) == 1:
        rows.append(("size", " x ".join(map(str, next(iter(survey.sizes))))))
    if survey.formats:
        rows.append(("stored as", ", ".join(f"{word} {n:,}" for word, n in survey.formats.most_common())))
    if survey.fit in ("crop", "pad"):
        rows.append(("cut away" if survey.fit == "crop" else "black added", f"{survey.lost_share:.1%} on average"))
        rows.append(("enlarged", f"{survey.num_enlarged:,}"))
    if survey.caption_lengths:
        rows.append(("captions", f"{len(survey.caption_lengths):,}, {survey.num_different_captions:,} different"))
        rows.append(("longest", survey.longest_caption))
    return html.table((), rows)


def _classes(survey: Survey) -> str:
    most = max(train for train, _ in survey.classes.values()) or 1
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td class=n>{train:,}</td><td class=n>{test:,}</td>"
        f"<td><span class=bar style='width: calc({train / most:.3f} * min(20rem, 25vw))'></span></td></tr>"
        for name, (train, test) in survey.classes.items()
    )
    return f"<div class=scroll><table><tr><th>class</th><th>train</th><th>test</th><th></th></tr>{rows}</table></div>"


def _histogram(title: str, survey: Survey, axis: int) -> str:
    """Bars of 24 equal ranges of the sizes, as SVG."""
    counts: Counter[int] = Counter()
    for size, n in survey.sizes.items():
        counts[size[axis]] += n
    sides = np.array(list(counts))
    low, high = int(sides.min()), int(sides.max()) + 1
    heights, edges = np.histogram(sides, bins=min(24, high - low), range=(low, high), weights=list(counts.values()))
    each = 560 / len(heights)
    bars = "".join(
        f"<rect x='{place * each:.1f}' y='{90 - 80 * n / heights.max():.1f}' width='{each - 1:.1f}' "
        f"height='{80 * n / heights.max():.1f}'><title>from {edges[place]:.0f} px: {n:.0f}</title></rect>"
        for place, n in enumerate(heights)
    )
    return (
        f"<figure><svg viewBox='0 0 560 110' width='560' role='img' aria-label='{title}'>{bars}"
        f"<text x='0' y='105'>{low}</text><text x='560' y='105' text-anchor='end'>{high - 1}</text></svg>"
        f"<figcaption>{title} in pixels</figcaption></figure>"
    )


def _groups(survey: Survey, groups: Groups) -> str:
    figures = []
    for group in groups[:GROUPS]:
        thumbs = "".join(_thumb(survey, name) for name in group[:4])
        names = "<br>".join(escape(name) for name in group[:8]) + ("<br>..." if len(group) > 8 else "")
        figures.append(f"<figure><div>{thumbs}</div><figcaption>{names}</figcaption></figure>")
    rest = f"<p>and {len(groups) - GROUPS:,} groups more</p>" if len(groups) > GROUPS else ""
    return f"<div class=groups>{''.join(figures)}</div>{rest}"


def _thumb(survey: Survey, name: str) -> str:
    if survey.thumbnail is None:
        return ""
    image = html.uri(Image.fromarray(survey.thumbnail(name)), 85)
    return f"<img width=96 alt='{escape(name)}' src='{image}'>"
