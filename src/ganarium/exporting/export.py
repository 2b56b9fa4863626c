"""Takes a run's networks out of the library: one entry for every target."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ganarium import registry
from ganarium.errors import UserError, nearest
from ganarium.exporting import to_html, to_hub, to_keras, to_onnx
from ganarium.exporting.examples import examples
from ganarium.exporting.network import Network, networks
from ganarium.exporting.result import Exported
from ganarium.exporting.weights.writing import write_pth
from ganarium.runs import gallery
from ganarium.runs.gallery import PREFIX
from ganarium.runs.hub import is_hub
from ganarium.runs.loading import config_of, load
from ganarium.version import __version__

TARGETS = ("html", "hub", "keras", "onnx", "pth")


def export(
    run: str | Path,
    *,
    to: str,
    out: str | Path | None = None,
    size: tuple[int, int] | None = None,
    raw: bool = False,
    weights: str | None = None,
) -> list[Exported]:
    """Writes the networks of a run, or of one of its checkpoints, for use without this library.

    `to` is `html`: one page that makes its pictures itself; `onnx` or `keras`: a file for each network (generate,
    classify, upscale, inpaint, or the directions of `translate`); `hub`: a folder for the Hugging Face Hub; or `pth`:
    the generator of esrgan in the layout of its authors, which spandrel and chaiNNer read. They are written to the
    folder `out`, by default RUN/exported; each is compared with PyTorch first, and the largest difference stands in a
    .json beside it. `size` (height, width) is that of the pictures a network maps; default: that of the training.
    Averaged weights are taken where the model keeps some, unless `raw`. `weights` are those of a page: float16, or int8
    for one of half the size, whose pictures may differ by 16/255.

    Raises `UserError` for a model that cannot be exported so, with the reason; then nothing of it is written.
    """
    if to not in TARGETS:
        raise UserError(f"there is no target {to!r}: {nearest(to, TARGETS)}")
    if weights is not None and to != "html":
        raise UserError(f"weights are chosen for pages alone: leave --weights away, or use --to html instead of {to}.")
    if weights not in (None, *to_html.WEIGHTS):
        raise UserError(f"there are no weights {weights!r}: {nearest(weights, to_html.WEIGHTS)}")
    if to == "onnx":
        to_onnx.runtime_package()  # says early that it is missing
    if to == "keras":
        to_keras.require()
    config = config_of(run)
    model = load(run, raw=raw)
    if to == "pth":
        exported = write_pth(model, _folder(Path(run), out) / f"{Path(run).resolve().name}.pth")
        exported.write_beside({"model": registry.title(config["model"]), "step": model.iteration, "scale": model.scale})
        return [exported]
    if to == "hub":
        place = _folder(Path(run), out)
        name = str(run).removeprefix(PREFIX) if str(run).startswith(PREFIX) else None
        exported = to_hub.write(
            model,
            config,
            _run_of(Path(run)),
            place if out is not None else place / "hub",
            shipped=gallery.card(name) if name else None,
        )
        exported.write_beside(_facts_of_run(config, model.iteration))
        return [exported]
    if size is not None and not (model.directions or model.scale):
        raise UserError(f"{type(model).__name__} does not map pictures of any size: leave the size away.")
    parts = networks(model, size)
    facts = _facts_of_run(config, model.iteration)
    folder = _folder(Path(run), out)
    try:
        if to == "html":
            path = folder / f"{facts['model']}.html"
            seen = examples(model, config, [part.name for part in parts])
            described = facts | {"paper": _paper(config["model"]), "examples": seen}
            exported = to_html.write(parts, path, described, weights or "float16")
            exported.write_beside(facts | {"networks": [_facts_of_network(part) for part in parts]})
            return [exported]
        made = []
        if to == "keras":
            made = to_keras.write(parts, [folder / f"{part.name}.keras" for part in parts])
            for part, each in zip(parts, made, strict=True):
                each.write_beside(facts | _facts_of_network(part, to_keras.layout))
            return made
        for part in parts:
            made.append(to_onnx.write(part, folder / f"{part.name}.onnx"))
            made[-1].write_beside(facts | _facts_of_network(part))
        return made
    finally:
        with suppress(OSError):  # of a folder that has files
            folder.rmdir()


def _facts_of_run(config: dict[str, Any], step: int) -> dict[str, Any]:
    return {
        "model": registry.title(config["model"]),
        "data": config["data"]["name"],
        "step": step,
        "classes": config["data"].get("class_names"),
        "ganarium": __version__,
    }


def _facts_of_network(network: Network, layout: Callable[[Sequence[int]], Sequence[int]] = list) -> dict[str, Any]:
    """What a user of the file needs to know of a network. `layout` gives the shape of a sample in the file."""
    return {
        "network": network.name,
        "inputs": [
            {"name": each.name, "kind": each.kind, "shape": ["batch", *layout(each.shape)]} for each in network.inputs
        ],
        "output": {"shape": ["batch", *layout(network.output_shape)], "range": _range(network)},
    }


def _paper(model: str) -> dict[str, Any]:
    """The card of a model, for people."""
    card = registry.card(model)
    return {
        "name": registry.title(model),
        "title": card["title"],
        "authors": card["authors"],
        "year": card["year"],
        "idea": card["idea"],
    }


def _range(network: Network) -> list[float] | None:
    if network.name == "classify":
        return [0.0, 1.0]
    return [-1.0, 1.0] if len(network.output_shape) == 3 else None


def push(run: str | Path, name: str, *, private: bool = False, raw: bool = False) -> str:
    """Sends the model of a run, or a folder that `export(..., to="hub")` wrote, to the Hugging Face Hub.

    `name` is owner/name. Gives the address. Raises `UserError` where the Hub cannot be reached or refuses.
    """
    to_hub.check_name(name)
    if is_hub(run) and Path(run).is_dir():
        return to_hub.push(Path(run), name, private=private)
    with TemporaryDirectory() as folder:
        (made,) = export(run, to="hub", out=Path(folder) / "hub", raw=raw)
        return to_hub.push(made.path, name, private=private)


def _run_of(path: Path) -> Path:
    return path.parent.parent if path.parent.name == "checkpoints" else path


def _folder(run: Path, out: str | Path | None) -> Path:
    """Where to write; of a checkpoint the folder of its run, since old checkpoints are removed."""
    if str(run).startswith(PREFIX):
        run = Path(str(run).replace(":", "-"))
    folder = Path(out) if out is not None else _run_of(run) / "exported"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder} cannot be made ({error.strerror}): give another folder.") from error
    return folder
