"""Writes the table of models in the README, from the cards in the model files: `python tools/model_table.py`."""

from pathlib import Path

from ganarium import registry

README = Path(__file__).parents[1] / "README.md"
START, END = "<!-- models: drawn by tools/model_table.py -->\n", "<!-- end of models -->\n"


def table() -> str:
    """The table in Markdown, a row a model, oldest first."""
    rows = ["| model | paper | idea |\n", "| --- | --- | --- |\n"]
    cards = {name: registry.card(name) for name in registry.list_models()}
    for name, card in sorted(cards.items(), key=lambda item: (item[1]["year"], item[0])):
        file = f"[`{name}`](src/ganarium/models/{name}.py)"
        paper = f"[{card['title']}](https://arxiv.org/abs/{card['arxiv']}), {card['year']}"
        rows.append(f"| {file} | {paper} | {card['idea']} |\n")
    return "".join(rows)


def written(text: str) -> str:
    """The README's text with the table of today."""
    before, rest = text.split(START)
    _, after = rest.split(END)
    return before + START + table() + END + after


if __name__ == "__main__":
    README.write_text(written(README.read_text()))
