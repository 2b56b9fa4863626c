"""Puts a page, with its styles and scripts, into one file that opens from disk and asks for nothing."""

import re
from pathlib import Path

STATIC = Path(__file__).parent / "static"
STYLE = re.compile(r'<link rel="stylesheet" href="([^"]+)">')
SCRIPT = re.compile(r'<script src="([^"]+)"></script>')


def single_file(page: str) -> str:
    """The HTML of a page of `static/`, such as lab.html, with the files it names in the place of their names."""
    text = (STATIC / page).read_text(encoding="utf-8")
    text = STYLE.sub(lambda tag: f"<style>\n{_content(tag[1])}</style>", text)
    return SCRIPT.sub(lambda tag: f"<script>\n{_content(tag[1], '</script')}</script>", text)


def _content(name: str, end: str = "</style") -> str:
    content = (STATIC / name).read_text(encoding="utf-8")
    assert end not in content.lower(), f"{name} would end its own tag"
    return content
