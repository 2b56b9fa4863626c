"""The pieces that the pages of ganarium are made of. A page is one file of HTML that asks for nothing else.

The style is in `page.css`. Everything a page shows is inside it, and a policy in its head forbids the browser to fetch
anything, so that a page can be mailed, printed and kept.
"""

import base64
import io
import json
import math
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from PIL import Image

from ganarium.runtime.files import atomic_write

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
NUMBER = " class='n'"


def page(title: str, body: Iterable[str], *, script: str = "", data: Any = None) -> str:
    """A whole page. `body` is HTML; `script` finds `data` as JSON in the element #data."""
    style = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")
    content = f"<script type='application/json' id='data'>{as_json(data)}</script>\n" if script else ""
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f"<meta name='viewport' content='width=device-width, initial-scale=1'><title>{escape(title)}</title>\n"
        f"<style>\n{style}</style></head>\n<body>\n"
        + "\n".join(part for part in body if part)
        + f"\n{content}"
        + (f"<script>\n{script}</script>\n" if script else "")
        + "</body></html>\n"
    )


def as_json(data: Any) -> str:
    """JSON that may stand inside a script element; numbers that are not finite become null, since JSON has none."""
    return json.dumps(_finite(data), separators=(",", ":")).replace("<", "\\u003c")


def _finite(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data


def section(title: str, *parts: str) -> str:
    """A heading and its parts; empty where all parts are."""
    body = "\n".join(part for part in parts if part)
    return f"<section><h2>{escape(title)}</h2>\n{body}</section>" if body else ""


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Text is escaped and stands to the left; numbers stand to the right, those with a fraction in four digits."""
    rows = list(rows)
    right = {place for row in rows for place, cell in enumerate(row) if isinstance(cell, int | float)}
    names = "".join(f"<th{NUMBER if place in right else ''}>{escape(word)}</th>" for place, word in enumerate(head))
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f"<div class='scroll'><table>{f'<tr>{names}</tr>' if head else ''}{body}</table></div>"


def _cell(cell: object) -> str:
    if isinstance(cell, int | float):
        return f"<td{NUMBER}>{f'{cell:,}' if isinstance(cell, int) else f'{cell:.4g}'}</td>"
    return f"<td>{escape(str(cell))}</td>"


def figure(image: str, alt: str, caption: str = "", size: tuple[int, int] | None = None) -> str:
    """A picture, given as a data URI. With its `size` in pixels a browser keeps the place free until it is drawn."""
    sides = f" width='{size[0]}' height='{size[1]}'" if size else ""
    words = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f"<figure><img class='grid' src='{image}' alt='{escape(alt)}'{sides}>{words}</figure>"


def uri(picture: Image.Image, quality: int | None = None) -> str:
    """A picture as WebP inside a data URI: without loss, or of a quality from 0 to 100."""
    file = io.BytesIO()
    options = {"lossless": True} if quality is None else {"quality": quality}
    picture.save(file, "WEBP", method=1, **options)  # the slower methods take four times as long for a tenth less
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()


def save(text: str, path: Path) -> Path:
    """Writes a page, whole or not at all; several processes may write the same one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path, concurrent=True) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")  # names of damaged bytes
    return path
