"""The commands that train a run anew and that go on with it, from its config."""

import dataclasses
import shlex
from pathlib import Path
from typing import Any

from ganarium import registry
from ganarium.runs.options import Options

ELSEWHERE = {"minutes", "out"}  # minutes have become steps; a run is never overwritten, so it gets a folder of its own


def reproduce(config: dict[str, Any]) -> str:
    """`ganarium train ...` with every option that differs from its default, quoted for a shell."""
    model = config["model"]
    given = {key: value for key, value in config["options"].items() if key not in ELSEWHERE}
    given["precision"] = config["precision"]  # what "auto" was taken for
    usual = {field.name: field.default for field in dataclasses.fields(Options)}
    preset = dataclasses.asdict(registry.make_config(model, {}, tuple(config["data"]["shape"])))
    words = [*_differing(usual, given), *_differing(preset, config["model_options"])]
    return shlex.join([*_program(config), "train", model, *words])


def resume(folder: Path, config: dict[str, Any], *, steps: int | None = None) -> str:
    """`ganarium resume ...`, with the steps that extend a finished run."""
    return shlex.join([*_program(config), "resume", str(folder), *(["--steps", str(steps)] if steps else [])])


def _program(config: dict[str, Any]) -> list[str]:
    world = config["world"]
    return [*(["torchrun", "--nproc-per-node", str(world), "-m"] if world > 1 else []), "ganarium"]


def _differing(defaults: dict[str, Any], given: dict[str, Any]) -> list[str]:
    """The options that are not at their defaults, as words of a command line; required ones first."""
    words = []
    for name, default in defaults.items():
        value = given.get(name, default)
        flag = name.replace("_", "-")
        if value == default or value is None:
            continue
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            words += [f"--{flag}={value}"] if str(value).startswith("-") else [f"--{flag}", str(value)]
    return words
