"""A survey as one page of HTML that needs nothing else: pictures are inside it, and no script runs."""

import base64
import io
from collections import Counter
from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np
from PIL import Image

from ganzoo.data.surveys import Groups, Survey

GROUPS = 24  # of duplicates that are shown
STYLE = """
:root { color-scheme: light dark; --line: #8884; --bar: #4a7fb5; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: 0; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; } td, th { padding: .2rem .8rem .2rem 0; text-align: left; vertical-align: top; }
tr + tr td { border-top: 1px solid var(--line); } td.n { text-align: right; font-variant-numeric: tabular-nums; }
.grid { max-width: 100%; image-rendering: pixelated; } .no { color: #b3541e; } pre { white-space: pre-wrap; }
.groups { display: flex; flex-wrap: wrap; gap: 1rem; }
figure { margin: 0; border: 1px solid var(--line); padding: .5rem; }
figure div { display: flex; gap: .3rem; } figcaption { font-size: .75rem; max-width: 20rem; overflow-wrap: anywhere; }
svg { max-width: 100%; } svg rect { fill: var(--bar); } svg text { font-size: 11px; fill: currentColor; }
.bar { display: inline-block; height: .7rem; background: var(--bar); } .scroll { max-height: 24rem; overflow: auto; }
"""


def page(found: Survey, grid: Path | None, dry: list[str]) -> str:
    """The page's text. Every name is escaped; those of damaged bytes are written as `trees.shown` writes them."""
    parts = [f"<h1>{escape(found.name)}</h1><p>{escape(found.layout)}<br><small>{escape(found.where)}</small></p>"]
    parts.append(_verdict(found))
    parts.append(_facts(found))
    if grid:
        picture = base64.b64encode(grid.read_bytes()).decode()
        seen = "x".join(map(str, found.shape[1:])) if len(found.shape) == 3 else "points"
        parts.append(
            f"<h2>As a model sees it ({seen})</h2><img class=grid alt=pictures src='data:image/png;base64,{picture}'>"
        )
    if len(found.sizes) > 1:
        parts.append("<h2>Sizes</h2>" + _histogram("heights", found, 0) + _histogram("widths", found, 1))
        common = [(f"{h} x {w}", n) for (h, w), n in found.sizes.most_common(10)]
        parts.append(_table(("height x width", "files"), common))
    if found.classes:
        parts.append("<h2>Classes</h2>" + _classes(found))
    if found.broken:
        parts.append(
            f"<h2>Files that cannot be used ({len(found.broken):,})</h2>" + _table(("file", "why"), found.broken)
        )
    for title, names in (("Formats that are not read", found.unread), ("Blank pictures", found.blank)):
        if names:
            parts.append(f"<h2>{title} ({len(names):,})</h2>" + _table(("file",), [(name,) for name in names]))
    for title, groups in (
        ("The same content in train and in test", found.leaks),
        ("Nearly the same in train and in test", found.near_leaks),
        ("Identical files", found.exact),
        ("Nearly the same picture", found.near),
    ):
        if groups:
            parts.append(f"<h2>{title} ({len(groups):,} group{'s' * (len(groups) != 1)})</h2>" + _groups(found, groups))
    if found.compared:
        parts.append(f"<p>{escape(found.compared)}</p>")
    models = [(name, why or "suits") for name, why in found.models.items()]
    parts.append("<h2>Models</h2>" + _table(("model", ""), models))
    if dry:
        parts.append(f"<h2>Dry run</h2><pre>{escape(chr(10).join(dry))}</pre>")
    return (
        f"<!doctype html>\n<html lang=en><head><meta charset=utf-8><title>{escape(found.name)}</title>"
        f"<meta name=viewport content='width=device-width'><style>{STYLE}</style></head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def _verdict(found: Survey) -> str:
    if found.refused:
        return f"<p class=no>Not to be trained on yet: {escape(found.refused)}</p>"
    return f"<p>It can be trained on{f'; {len(found.broken):,} files are passed over' if found.broken else ''}.</p>"


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
    return _table((), rows)


def _table(head: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> str:
    top = "".join(f"<th>{escape(word)}</th>" for word in head)
    body = "".join(
        "<tr>"
        + "".join(
            f"<td class=n>{cell:,}</td>" if isinstance(cell, int) else f"<td>{escape(str(cell))}</td>" for cell in row
        )
        + "</tr>"
        for row in rows
    )
    return f"<div class=scroll><table>{f'<tr>{top}</tr>' if head else ''}{body}</table></div>"


def _classes(found: Survey) -> str:
    most = max(train for train, _ in found.classes.values()) or 1
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td class=n>{train:,}</td><td class=n>{test:,}</td>"
        f"<td><span class=bar style='width:{20 * train / most:.2f}rem'></span></td></tr>"
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
        f"<p>{title} in pixels<br><svg viewBox='0 0 560 110' width='560' role='img' aria-label='{title}'>{bars}"
        f"<text x='0' y='105'>{low}</text><text x='560' y='105' text-anchor='end'>{high - 1}</text></svg></p>"
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
    file = io.BytesIO()
    Image.fromarray(found.look(name)).save(file, "PNG")
    data = base64.b64encode(file.getvalue()).decode()
    return f"<img width=96 alt='{escape(name, quote=True)}' src='data:image/png;base64,{data}'>"
