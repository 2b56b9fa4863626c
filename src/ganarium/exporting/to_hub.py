"""A folder in the Hub's layout: weights, config and a model card with pictures and numbers; and how it gets there."""

import shutil
from pathlib import Path
from typing import Any

import torch

from ganarium import registry
from ganarium.errors import UserError
from ganarium.exporting.network import networks
from ganarium.exporting.result import Exported, largest
from ganarium.metrics.protocol import Protocol
from ganarium.model import Model
from ganarium.pictures.grid import save_grid
from ganarium.runs import hub
from ganarium.runs.rows import read_rows
from ganarium.runtime.files import atomic_write

UNSTATED = "None is stated. Say here under which licence you give these weights away; that of the data may limit it."
TAGS = {
    "generate": "unconditional-image-generation",
    "a2b": "image-to-image",
    "b2a": "image-to-image",
    "upscale": "image-to-image",
    "inpaint": "image-to-image",
    "classify": "image-classification",
}


def write(
    model: Model, config: dict[str, Any], run: Path, folder: Path, *, shipped: dict[str, Any] | None = None
) -> Exported:
    """Writes a folder that `ganarium.load` takes, and `push` sends to the Hub. It must not be there yet, or be one
    that this function wrote. `shipped` is the card of a generator that comes with the package.

    Raises `UserError` for a run of a model file of one's own, and for a folder with other files.
    """
    if folder.exists() and not (folder / hub.WEIGHTS).is_file() and any(folder.iterdir()):
        raise UserError(f"{folder} holds other files: give another --out.")
    with atomic_write(folder.with_name(f"{folder.name}.new")) as temporary:
        temporary.mkdir(parents=True)
        hub.write(temporary, model, config)
        picture = _picture(model, run, temporary)
        card = model_card(model, config, read_rows(run / "evaluations.jsonl"), picture, shipped)
        (temporary / "README.md").write_text(card, encoding="utf-8")
        difference = _difference(model, hub.load_hub(temporary))
    shutil.rmtree(folder, ignore_errors=True)
    folder.with_name(f"{folder.name}.new").rename(folder)
    return Exported(folder, difference, 0.0, "the loaded folder against the run, all networks, two random inputs each")


def push(folder: Path, name: str, *, private: bool = False) -> str:
    """Sends a folder in the Hub's layout to hf:owner/name, which is made if there is none; gives its address.

    Who is logged in (`hf auth login`, or HF_TOKEN) must be allowed to. Raises `UserError` where the Hub cannot be
    reached or refuses.
    """
    check_name(name)
    package = hub.hub_package()
    if not hub.answers():
        raise UserError(hub.reason(ConnectionError(), name))
    api = package.HfApi(endpoint=hub.endpoint(), library_name="ganarium")
    try:
        api.create_repo(name, private=private, exist_ok=True)
        api.upload_folder(repo_id=name, folder_path=folder, commit_message="Upload a model of ganarium")
    except Exception as error:
        raise UserError(hub.reason(error, name)) from error
    return f"{api.endpoint}/{name}"


def check_name(name: str) -> None:
    """Raises `UserError` for what is no name of a model on the Hub."""
    if name.count("/") != 1 or not all(name.split("/")):
        raise UserError(f"a model of the Hub is named owner/name, not {name!r}.")


def model_card(
    model: Model,
    config: dict[str, Any],
    evaluations: list[dict[str, Any]],
    picture: str,
    shipped: dict[str, Any] | None = None,
) -> str:
    """The README of a model: what it is, what it learned from, how good it is, how it is used."""
    title, card, data = registry.title(config["model"]), registry.card(config["model"]), config["data"]
    size = " x ".join(map(str, data["shape"]))
    names = ", ".join(data.get("class_names") or []) if model.conditional or model.classifies else ""
    tags = ["gan", title, *({TAGS[name] for name in _abilities(model) if name in TAGS})]
    front = ["---", "library_name: ganarium", "tags:", *(f"- {tag}" for tag in tags), "---"]
    facts = [
        f"| model | [{card['title']}]({_address(card)}), {card['authors']}, {card['year']} |",
        f"| what it makes | {model.task} |",
        f"| data | {data['name']}: {data.get('train') or 'unknown number of'} training images of {size} |",
        *([f"| classes | {_cell(names)} |"] if names else []),
        f"| training | {model.iteration} steps, seed {config['options'].get('seed', 'unknown')} |",
    ]
    return "\n".join(
        [
            *front,
            f"# {title} on {data['name']}",
            "",
            card["idea"],
            "",
            *([f"![what the model makes]({picture})", ""] if picture else []),
            "| | |",
            "| --- | --- |",
            *facts,
            "",
            "## Use",
            "",
            "```python",
            "import ganarium",
            "",
            'model = ganarium.load("hf:OWNER/NAME")  # or the path of this folder, or of model.safetensors',
            _example(model),
            "```",
            "",
            "## Numbers",
            "",
            *(_shipped_numbers(shipped) if shipped else _numbers(evaluations, model.iteration)),
            "",
            "## Intended use and limits",
            "",
            f"It makes what it saw in {data['name']}, with its gaps and biases, and is meant for study and play. Do "
            "not pass off its pictures as photographs of people or events.",
            "",
            "## Licence",
            "",
            *(
                [f"The weights come with ganarium, under Apache-2.0. Data: {shipped['terms']}."]
                if shipped
                else [UNSTATED]
            ),
            "",
        ]
    )


def _shipped_numbers(card: dict[str, Any]) -> list[str]:
    """The numbers on the card of a generator of the package, and the command that trains it."""
    values = {name: value for name, value in card["numbers"].items() if isinstance(value, int | float)}
    return [
        f"Measured so: {card['numbers']['protocol']}. Trained by `{card['command']}`.",
        "",
        "| metric | value |",
        "| --- | --- |",
        *(f"| {name} | {value:.4g} |" for name, value in values.items()),
    ]


def _numbers(evaluations: list[dict[str, Any]], step: int) -> list[str]:
    """The last evaluation up to a step, as a table with its protocol."""
    rows = [row for row in evaluations if row.get("step", step + 1) <= step]
    if not rows:
        return ["It has not been evaluated: `ganarium evaluate` does that."]
    row = rows[-1]
    lines = [f"| {name} | {value:.4g} |" for name, value in row["values"].items()]
    return [
        f"At step {row['step']}, by `ganarium evaluate`: {Protocol(**row['protocol'])}.",
        "",
        "| metric | value |",
        "| --- | --- |",
        *lines,
    ]


def _example(model: Model) -> str:
    if model.directions:
        return f'picture = model.translate(picture, direction="{model.directions[0]}")  # a PIL image'
    if model.scale:
        return "picture = model.upscale(picture)  # a PIL image"
    if model.inpaints:
        return "picture = model.inpaint(picture, mask)  # PIL images; the mask is white in the hole"
    told = ", label=0" if model.conditional else ', text="..."' if model.captioned else ""
    return f"images = model.sample(16, seed=1{told})  # (16, {', '.join(map(str, model.shape))}) in [-1, 1]"


def _picture(model: Model, run: Path, folder: Path) -> str:
    """Samples of the model, or the last picture of the run; the name of the file, "" where there is none."""
    target = folder / "samples.png"
    if model.directions or model.scale or model.inpaints:
        drawn = sorted((run / "samples").glob("step-*.png"))
        if not drawn:
            return ""
        shutil.copyfile(drawn[-1], target)
    else:
        save_grid(model.sample(64, seed=0), target)
    return target.name


def _difference(model: Model, loaded: Model) -> float:
    """The largest difference between two models' networks on the same inputs."""
    try:
        pairs = list(zip(networks(model), networks(loaded), strict=True))
    except UserError:  # value by value: then the weights
        own, theirs = model.state_dict(), loaded.state_dict()
        return largest(float((own[key].double() - theirs[key].double()).abs().max()) for key in own)
    found = [0.0]
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        for one, other in pairs:
            inputs = one.draw(2)
            found.append(float((one(*inputs) - other(*inputs)).abs().max()))
    return largest(found)


def _abilities(model: Model) -> list[str]:
    made = ["generate"] if model.prior is not None else []
    made += [*model.directions, *(["upscale"] if model.scale else []), *(["inpaint"] if model.inpaints else [])]
    return [*made, *(["classify"] if model.classifies else [])]


def _address(card: dict[str, Any]) -> str:
    return f"https://arxiv.org/abs/{card['arxiv']}" if card["arxiv"] else "#"


def _cell(text: str) -> str:
    """Text inside a table of Markdown."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")[:2000]
