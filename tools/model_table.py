"""Writes the table of models in the README, from the cards in the model files: `python tools/model_table.py`."""

from pathlib import Path

import ganarium
from ganarium import registry

README = Path(__file__).parents[1] / "README.md"
START, END = "<!-- models: drawn by tools/model_table.py -->\n", "<!-- end of models -->\n"


def table() -> str:
    """The table in Markdown, a row a model, oldest first."""
    rows = ["| model | year | what it makes | in one line |\n", "| --- | --- | --- | --- |\n"]
    cards = {name: registry.card(name) for name in registry.list_models()}
    for name, card in sorted(cards.items(), key=lambda item: (item[1]["year"], item[0])):
        model = ganarium.create(
            name,
            (3, 32, 32),
            10,
            **vars(getattr(registry.module(name).Config, "small", registry.module(name).Config)()),
        )
        file = f"[`{name}`](src/ganarium/models/{name}.py)"
        rows.append(f"| {file} | {card['year']} | {model.task} | {card['idea']} |\n")
    return "".join(rows)


def written(text: str) -> str:
    """The README's text with the table of today."""
    before, rest = text.split(START)
    _, after = rest.split(END)
    return before + START + table() + END + after


if __name__ == "__main__":
    README.write_text(written(README.read_text()))
