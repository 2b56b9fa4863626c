"""The page of each model, written from its file, its proofs and docs/neighbours.yaml when the site is built."""

import dataclasses
import json
import types
import typing
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import model_table
import proof_table
import yaml

from ganarium import registry

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "images" / "models"
SAMPLING = ("ganarium train {name} --data mnist", "ganarium sample runs/{name}-mnist --n 64 --gif")


class Option(NamedTuple):
    name: str
    default: str  # None where the help says what it is
    choices: list[str]
    help: str


class Words(NamedTuple):
    """The parts of a model file's docstring, but for its first line."""

    idea: str
    losses: str
    differences: list[str]


def words(name: str) -> Words:
    _, *paragraphs = registry.card(name)["docstring"].split("\n\n")
    starts = [paragraph.split(":")[0].split(",")[0] for paragraph in paragraphs]
    losses, differences = starts.index("Losses"), starts.index("Differences from the paper")
    _, *points = "\n\n".join(paragraphs[differences:]).split("\n- ")
    return Words("\n\n".join(paragraphs[:losses]), "\n\n".join(paragraphs[losses:differences]), points)


def options(name: str) -> list[Option]:
    """The fields of a model's `Config`, those it inherits first."""
    config = registry.module(name).Config
    hints, docs = typing.get_type_hints(config), registry.field_docs(config)
    fields = {field.name: field for field in dataclasses.fields(config)}
    return [
        Option(
            option,
            str(fields[option].default),
            [choice for kind in _parts(hints[option]) for choice in typing.get_args(kind) if isinstance(choice, str)],
            " ".join(doc.split()).replace("None: ", "Default: "),
        )
        for option, doc in docs.items()
    ]


def _parts(hint: Any) -> tuple[Any, ...]:
    """The kinds of a union, or the hint alone."""
    return typing.get_args(hint) if typing.get_origin(hint) in (types.UnionType, typing.Union) else (hint,)


@cache
def beside() -> dict[str, dict[str, Any]]:
    """What docs/neighbours.yaml says, by model: `beside`, a sentence for each neighbour, and `commands` if given."""
    said: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docs" / "neighbours.yaml").read_text())
    return said


def neighbours(name: str) -> dict[str, str]:
    """A sentence for each neighbour that is in the zoo."""
    known = registry.list_models()
    return {other: said for other, said in beside()[name]["beside"].items() if other in known}


def commands(name: str) -> list[str]:
    return beside()[name].get("commands") or [command.format(name=name) for command in SAMPLING]


def page(name: str) -> str:
    """Markdown, with links as if it stood in docs/models."""
    card, said = registry.card(name), words(name)
    source = f"src/ganarium/models/{name}.py"
    actual = [result for result in proof_table.results() if result["model"] == name]
    return "\n".join(
        [
            f"# {name}",
            "",
            f"**{plain(card['title'])}**<br>",
            f"{plain(card['authors'])}, {card['year']}, [arXiv {card['arxiv']}](https://arxiv.org/abs/{card['arxiv']})",
            "",
            plain(card["idea"]),
            "",
            *picture(name),
            plain(said.idea),
            "",
            "## Losses",
            "",
            *fenced("text", said.losses),
            "## Beside its neighbours",
            "",
            *(f"- [`{other}`]({other}.md): {sentence}" for other, sentence in neighbours(name).items()),
            "",
            "## Train and sample",
            "",
            *fenced("sh", "\n".join(commands(name))),
            "## Proofs",
            "",
            f"Its losses are held against exact values and closed forms in `tests/models/test_{name}.py`. "
            + ("" if actual else "No claim about its training has been judged yet."),
            "",
            *(part.replace("](../", "](../../") for result in actual for part in proof_table.section(result, "###")),
            "## Differences from the paper",
            "",
            *(f"- {plain(' '.join(point.split()))}" for point in said.differences),
            "",
            "## Options",
            "",
            *(line(option) for option in options(name)),
            "",
            "## The file",
            "",
            f'??? quote "{source}"',
            "",
            *(f"    {code}".rstrip() for code in fenced("python", (ROOT / source).read_text())),
        ]
    )


def picture(name: str) -> list[str]:
    """The samples with their protocol, where tools/model_pictures.py has drawn them."""
    file = PICTURES / f"{name}.png"
    if not file.exists():
        return []
    made = json.loads((PICTURES / "protocol.json").read_text())[name]
    given = "".join(f", {key} {value}" for key, value in made["options"].items())
    protocol = f"{made['data']}, {made['steps']:,} steps, seed {made['seed']}{given}"
    rows = ", in a row for each class and with the same noise along a column" if made["rows"] else ""
    along = sorted(PICTURES.glob(f"{name}-traversal*.png"))
    walks = [
        line
        for number, path in enumerate(along, 1)
        for line in (
            f"![Traversal of continuous code {number} of {name}](../images/models/{path.name}){{ .samples }}",
            "",
            f"Continuous code {number} from -2 to 2, a row for each category, the same noise everywhere.",
            "{ .caption }",
            "",
        )
    ]
    return [
        f"![Samples of {name}](../images/models/{file.name}){{ .samples }}",
        "",
        f"What so much training gives, on one core{rows}: {plain(protocol)}. `python tools/model_pictures.py {name}`",
        "{ .caption }",
        "",
        *([plain(made["note"]), ""] if "note" in made else []),
        *walks,
    ]


def line(option: Option) -> str:
    default = "" if option.default == "None" else f" *[default: {plain(option.default)}]*"
    choices = " One of " + ", ".join(f"`{choice}`" for choice in option.choices) + "." if option.choices else ""
    return f"- `--{option.name.replace('_', '-')}`: {plain(option.help)}{choices}{default}"


def index() -> str:
    """The table of all models: name, year, what it makes, and its idea in a line."""
    lines = ["# Models", "", "| model | year | what it makes | in a line |", "| --- | --- | --- | --- |"]
    for name in registry.list_models():
        card = registry.card(name)
        lines.append(f"| [`{name}`]({name}.md) | {card['year']} | {model_table.task(name)} | {plain(card['idea'])} |")
    return "\n".join([*lines, ""])


def fenced(kind: str, text: str) -> list[str]:
    return [f"```{kind}", *text.strip("\n").split("\n"), "```", ""]


def plain(text: str) -> str:
    """Text as it stands: outside of `code`, nothing in it is Markdown or HTML."""
    parts = text.split("`")
    for place in range(0, len(parts), 2):
        for sign, escaped in (("<", "&lt;"), ("*", "\\*"), ("_", "\\_"), ("|", "&#124;")):
            parts[place] = parts[place].replace(sign, escaped)
    return "`".join(parts)
