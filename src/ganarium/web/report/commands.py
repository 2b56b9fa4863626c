"""The commands that train a run anew and that go on with it, from its config."""

import dataclasses
import shlex
from pathlib import Path
from typing import Any

from ganarium import registry
from ganarium.runs.options import Options

LEFT_OUT = {"minutes", "out"}  # minutes have become steps; a run is never overwritten, so it gets a folder of its own


def reproduce(config: dict[str, Any]) -> str:
    """`ganarium train ...` with every option that differs from its default, quoted for a shell."""
    model = config["model"]
    options = {key: value for key, value in config["options"].items() if key not in LEFT_OUT}
    options["precision"] = config["precision"]  # what "auto" was taken for
    defaults = {field.name: field.default for field in dataclasses.fields(Options)}
    own = config["model_options"]
    preset = {"preset": own["preset"]} if "preset" in own else {}
    own_defaults = dataclasses.asdict(registry.make_config(model, preset, tuple(config["data"]["shape"])))
    own_defaults |= dict.fromkeys(preset)  # its name is said, and not what it stands for
    words = [*_differing(options, defaults), *_differing(own, own_defaults)]
    return shlex.join([*_program(config), "train", model, *words])


def resume(folder: Path, config: dict[str, Any], *, steps: int | None = None) -> str:
    """`ganarium resume ...`, with the steps that extend a finished run."""
    return shlex.join([*_program(config), "resume", str(folder), *(["--steps", str(steps)] if steps else [])])


def _program(config: dict[str, Any]) -> list[str]:
    world = config["world"]
    return [*(["torchrun", "--nproc-per-node", str(world), "-m"] if world > 1 else []), "ganarium"]


def _differing(options: dict[str, Any], defaults: dict[str, Any]) -> list[str]:
    """The options that are not at their defaults, as words of a command line, in the order of the defaults."""
    words = []
    for name, default in defaults.items():
        value = options.get(name, default)
        flag = name.replace("_", "-")
        if value == default or value is None:
            continue
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            words += [f"--{flag}={value}"] if str(value).startswith("-") else [f"--{flag}", str(value)]
    return words
