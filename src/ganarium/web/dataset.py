"""A survey as one page of HTML that needs nothing else: pictures are inside it, and no script runs."""

from collections import Counter
from html import escape
from pathlib import Path

import numpy as np
from PIL import Image

from ganarium.data.inspect.dataset import Groups, Survey
from ganarium.web import html as pages

GROUPS = 24  # of duplicates that are shown


def page(found: Survey, models: dict[str, str], grid: Path | None, dry: list[str]) -> str:
    """The page's text. Every name is escaped; those of damaged bytes are written as `files.tree.shown` writes them.

    `models` has "" for each model that the data suit, else the reason why not.
    """
    parts = [
        f"<h1>{escape(found.name)}</h1><p>{escape(found.layout)}</p><p class='quiet'>{escape(found.where)}</p>",
        _verdict(found),
        _facts(found),
    ]
    if grid:
        seen = "x".join(map(str, found.shape[1:])) if len(found.shape) == 3 else "points"
        with Image.open(grid) as picture:
            image = pages.figure(pages.uri(picture, _quality(picture)), "pictures of the set", size=picture.size)
        parts.append(pages.section(f"As a model sees it ({seen})", image))
    if len(found.sizes) > 1:
        common = [(f"{h} x {w}", n) for (h, w), n in found.sizes.most_common(10)]
        charts = f"<div class='charts'>{_histogram('heights', found, 0)}{_histogram('widths', found, 1)}</div>"
        parts.append(pages.section("Sizes", charts, pages.table(("height x width", "files"), common)))
    if found.classes:
        parts.append(pages.section("Classes", _classes(found)))
    if found.broken:
        title = f"Files that cannot be used ({len(found.broken):,})"
        parts.append(pages.section(title, pages.table(("file", "why"), found.broken)))
    for title, names in (("Formats that are not read", found.unread), ("Blank pictures", found.blank)):
        if names:
            listed = pages.table(("file",), [(name,) for name in names])
            parts.append(pages.section(f"{title} ({len(names):,})", listed))
    for title, groups in (
        ("The same content in train and in test", found.leaks),
        ("Nearly the same in train and in test", found.near_leaks),
        ("Identical files", found.exact),
        ("Nearly the same picture", found.near),
    ):
        if groups:
            title = f"{title} ({len(groups):,} group{'s' * (len(groups) != 1)})"
            parts.append(pages.section(title, _groups(found, groups)))
    if found.compared:
        parts.append(f"<p>{escape(found.compared)}</p>")
    rows = [(name, why or "suits") for name, why in models.items()]
    parts.append(pages.section("Models", pages.table(("model", ""), rows)))
    if dry:
        parts.append(pages.section("Dry run", f"<pre>{escape(chr(10).join(dry))}</pre>"))
    return pages.page(found.name, parts)


def _quality(picture: Image.Image) -> int | None:
    """Large pictures lose a little, which nobody sees."""
    return None if picture.width * picture.height < 500_000 else 90


def _verdict(found: Survey) -> str:
    if found.refused:
        return f"<p class=no>Not to be trained on yet: {escape(found.refused)}</p>"
    files = "1 file is" if len(found.broken) == 1 else f"{len(found.broken):,} files are"
    return f"<p>It can be trained on{f'; {files} passed over' if found.broken else ''}.</p>"


def _facts(found: Survey) -> str:
    rows: list[tuple[object, ...]] = [
        ("to train on", f"{found.num_train:,}"),
        ("to test", f"{found.num_test:,}" + (" (a tenth of all, held out)" if found.held_out else "")),
        ("gives", " or ".join(found.kinds)),
    ]
    if found.sizes and len(found.sizes) == 1:
        rows.append(("size", " x ".join(map(str, next(iter(found.sizes))))))
    if found.stored:
        rows.append(("stored as", ", ".join(f"{word} {n:,}" for word, n in found.stored.most_common())))
    if found.fit in ("crop", "pad"):
        rows.append(("cut away" if found.fit == "crop" else "black added", f"{found.lost:.1%} on average"))
        rows.append(("enlarged", f"{found.enlarged:,}"))
    if found.captions:
        rows.append(("captions", f"{len(found.captions):,}, {found.different_captions:,} different"))
        rows.append(("longest", found.longest_caption))
    return pages.table((), rows)


def _classes(found: Survey) -> str:
    most = max(train for train, _ in found.classes.values()) or 1
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td class=n>{train:,}</td><td class=n>{test:,}</td>"
        f"<td><span class=bar style='width: calc({train / most:.3f} * min(20rem, 25vw))'></span></td></tr>"
        for name, (train, test) in found.classes.items()
    )
    return f"<div class=scroll><table><tr><th>class</th><th>train</th><th>test</th><th></th></tr>{rows}</table></div>"


def _histogram(title: str, found: Survey, axis: int) -> str:
    """Bars of 24 equal ranges of the sizes, as SVG."""
    counts: Counter[int] = Counter()
    for size, n in found.sizes.items():
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


def _groups(found: Survey, groups: Groups) -> str:
    figures = []
    for group in groups[:GROUPS]:
        shown = "".join(_thumb(found, name) for name in group[:4])
        names = "<br>".join(escape(name) for name in group[:8]) + ("<br>..." if len(group) > 8 else "")
        figures.append(f"<figure><div>{shown}</div><figcaption>{names}</figcaption></figure>")
    rest = f"<p>and {len(groups) - GROUPS:,} groups more</p>" if len(groups) > GROUPS else ""
    return f"<div class=groups>{''.join(figures)}</div>{rest}"


def _thumb(found: Survey, name: str) -> str:
    if found.look is None:
        return ""
    image = pages.uri(Image.fromarray(found.look(name)), 85)
    return f"<img width=96 alt='{escape(name)}' src='{image}'>"
