"""Writes the table of what `ganarium train` takes by itself into docs/which-gan.md, from the rules of `recommend`."""

from pathlib import Path

from ganarium import registry
from ganarium.training.recommend import FEW, FEW_OF_A_CLASS, KINDS, SMALL

PAGE = Path(__file__).parents[1] / "docs" / "which-gan.md"
START, END = "<!-- recommended: drawn by tools/which_gan.py -->\n", "<!-- end of recommended -->\n"
WORDS = {
    "pairs": "pairs of pictures",
    "two domains": "two piles without pairs",
    "captions": "pictures with sentences",
    "patches": "photos, with `--layout patches`",
    "classes": f"classes of {FEW_OF_A_CLASS} images and more",
    "digits by class": f"{FEW:,} small grey images and more, in classes",
    "few of a class": f"classes of fewer than {FEW_OF_A_CLASS} images",
    "few": f"fewer than {FEW:,} images",
    "many": f"{FEW:,} images and more",
    "small and many": f"{FEW:,} images and more of at most {SMALL} pixels a side",
    "points": "2-D points",
}


def table() -> str:
    """The table in Markdown, a row for each kind of data."""
    known = registry.list_models()
    rows = ["| data | first | then |\n", "| --- | --- | --- |\n"]
    for kind, choices in KINDS.items():
        first, *others = [f"`{choice.model}`: {choice.reason}" for choice in choices if choice.model in known]
        rows.append(f"| {WORDS[kind]} | {first} | {'; '.join(others)} |\n")
    return "".join(rows)


def written(text: str) -> str:
    """The page's text with the table of today."""
    before, rest = text.split(START)
    _, after = rest.split(END)
    return before + START + table() + END + after


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
