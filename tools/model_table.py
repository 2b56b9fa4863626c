"""Writes the table of models in the README, from the cards in the model files: `python tools/model_table.py`."""

from pathlib import Path

import ganarium
from ganarium import registry

README = Path(__file__).parents[1] / "README.md"
START, END = "<!-- models: drawn by tools/model_table.py -->\n", "<!-- end of models -->\n"


def table() -> str:
    """The table in Markdown: a row for each thing that models make, the models of a row oldest first."""
    rows: dict[str, list[tuple[int, str]]] = {}
    for name in registry.list_models():
        year = registry.card(name)["year"]
        rows.setdefault(task(name), []).append((year, f"[`{name}`](src/ganarium/models/{name}.py) ({year})"))
    lines = ["| what it makes | models |\n", "| --- | --- |\n"]
    for what, models in sorted(rows.items(), key=lambda row: (-len(row[1]), row[0])):
        lines.append(f"| {what} | {', '.join(text for _, text in sorted(models))} |\n")
    return "".join(lines)


def task(name: str) -> str:
    """What a model makes, in a few words."""
    config = registry.module(name).Config
    return ganarium.create(name, (3, 32, 32), 10, **vars(getattr(config, "small", config)())).task


def written(text: str) -> str:
    """The README's text with the table of today."""
    before, rest = text.split(START)
    _, after = rest.split(END)
    return before + START + table() + END + after


if __name__ == "__main__":
    README.write_text(written(README.read_text()))
