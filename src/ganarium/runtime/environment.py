"""The environment of the process: its variables, and what a bit-exact resumption depends on.

Until version 0.2 the package was called ganzoo. Runs made under that name load and resume, and its variables are still
read.
"""

import os
import platform
import sys
from functools import cache
from typing import Any

from ganarium.runtime.device import cpuinfo
from ganarium.version import __version__

NAME, OLD_NAME = "ganarium", "ganzoo"


def variable(name: str) -> str | None:
    """The environment variable GANARIUM_`name`, or GANZOO_`name` where only that is set; None without either."""
    new, old = f"{NAME.upper()}_{name}", f"{OLD_NAME.upper()}_{name}"
    if new in os.environ or old not in os.environ:
        return os.environ.get(new)
    _say_once(f"{old} is an old name: set {new} instead.")
    return os.environ[old]


def default_variable(name: str, value: str) -> None:
    """Sets GANARIUM_`name` where it is set under neither name."""
    if variable(name) is None:
        os.environ[f"{NAME.upper()}_{name}"] = value


@cache
def _say_once(text: str) -> None:
    print(f"{NAME}: {text}", file=sys.stderr, flush=True)


def environment() -> dict[str, Any]:
    """What a bit-exact resumption depends on: threads, processor and versions."""
    import numpy
    import torch

    versions = {NAME: __version__, "torch": torch.__version__, "numpy": numpy.__version__}
    return {
        "threads": torch.get_num_threads(),
        "processor": _processor(),
        "versions": versions | {"python": platform.python_version()},
    }


def differences(config: dict[str, Any]) -> list[str]:
    """What here differs from the machine that a run began on, in words."""
    now = environment()
    program, began_with = written_by(config["versions"])
    sentences = []
    if (program, began_with) != (NAME, __version__):
        sentences.append(f"{NAME} is {__version__} and the run began with {program} {began_with}")
    for package in ("torch", "numpy"):
        here, there = now["versions"][package], config["versions"][package]
        if here != there:
            sentences.append(f"{package} is {here} and the run began with {there}")
    for key in ("threads", "processor"):
        if now[key] != config[key]:
            sentences.append(f"{key}: {now[key]} here, {config[key]} where the run began")
    return sentences


def written_by(versions: dict[str, str]) -> tuple[str, str]:
    """The package's name and version among the `versions` of a config. Raises `KeyError` if neither name is there."""
    name = NAME if NAME in versions else OLD_NAME
    return name, versions[name]


def _processor() -> str:
    """Model and instruction set: torch chooses its kernels by them."""
    import torch

    models = [line.split(":", 1)[1].strip() for line in cpuinfo().splitlines() if line.startswith("model name")]
    name = models[0] if models else platform.processor() or platform.machine()
    return f"{name}, {torch.backends.cpu.get_cpu_capability()}"
