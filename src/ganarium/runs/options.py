"""How to train, whatever the model: the options of `ganarium train`, and what they are resolved to on this machine."""

import dataclasses
import math
import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganarium.errors import UserError, nearest, require_positive
from ganarium.registry import check_values

PRECISIONS = ("fp32", "bf16", "fp64", "auto")


@dataclass(frozen=True, kw_only=True)
class Options:
    data: str
    """A data set by name, a folder or .zip of images, an .npz file, or hf:owner/name."""
    size: str | None = None
    """Image size in pixels: 64, or height x width as 64x96. Default: the set's own, or 64 for a folder."""
    channels: int | None = None
    """1 for grey, 3 for RGB, 4 for RGBA. Default: what the images have."""
    characters: str | None = None
    """For glyphs: digits, letters, all, or the characters themselves."""
    fit: str | None = None
    """For folders: crop to the size at the middle, or pad to it with black. Default: crop."""
    layout: str | None = None
    """For folders: images, pairs (side by side in a file) or patches (of photos). Default: what it looks like."""
    mirror: bool = False
    """Turn half of the training images left to right."""
    labels_per_class: int | None = None
    """For semi-supervised models: how many images of each class keep their label, chosen by the seed. Default: 10."""
    steps: int | None = None
    """Iterations of the model's step. Default: 10000."""
    minutes: float | None = None
    """Train for about so long instead: turned into a number of steps after a short timing."""
    batch_size: int | None = None
    """Images in a batch, of each process. Default: the paper's."""
    seed: int = 0
    """Seed of the weights, the noise and the order of the data."""
    device: str = "auto"
    """auto (CUDA if there is one, else the CPU), cpu, cuda, cuda:1 or mps."""
    precision: str = "fp32"
    """fp32, bf16 (mixed precision), fp64, or auto: bf16 where the processor is faster in it, else fp32."""
    out: str | None = None
    """The run's folder. Default: runs/MODEL-DATA."""
    save_every: int | None = None
    """Steps between checkpoints. Default: one every five minutes, and one at the end."""
    keep: int = 3
    """How many of the newest checkpoints are kept."""
    sample_every: int | None = None
    """Steps between sample grids. Default: 40 grids in a run."""
    evaluate_every: int | None = None
    """Steps between evaluations, 0 for none. Default: 20 in a run, fewer where they would take over 5 % of its time."""
    log_every: int = 50
    """Steps between two lines of metrics.jsonl."""
    threads: int | None = None
    """CPU threads. Default: torch's choice."""

    def __post_init__(self) -> None:
        counts = ("steps", "minutes", "batch_size", "save_every", "keep", "sample_every", "log_every", "threads")
        require_positive(self, *counts, "labels_per_class")
        parse_size(self.size)
        if self.evaluate_every is not None and self.evaluate_every < 0:
            raise UserError(f"evaluate_every must be 0 (never) or above, not {self.evaluate_every}.")
        if self.minutes and not math.isfinite(self.minutes):
            raise UserError(f"minutes must be a number above 0, not {self.minutes}.")
        if not 0 <= self.seed < 2**63:
            raise UserError(f"seed must be from 0 to 2**63 - 1, not {self.seed}.")
        if self.steps and self.minutes:
            raise UserError("steps and minutes both say how long to train: give one of them.")
        if self.precision not in PRECISIONS:
            raise UserError(f"there is no precision {self.precision!r}: {nearest(self.precision, PRECISIONS)}")
        if self.channels not in (None, 1, 3, 4):
            raise UserError(f"channels must be 1, 3 or 4, not {self.channels}.")


def parse_size(text: str | None) -> tuple[int, int] | None:
    """ "64" -> (64, 64), "64x96" -> (64, 96): height, width in pixels."""
    if text is None:
        return None
    parts = str(text).lower().split("x")
    if not (1 <= len(parts) <= 2 and all(part.isdecimal() and int(part) > 0 for part in parts)):
        raise UserError(f"a size is a number of pixels such as 64, or height x width such as 64x96, not {text!r}.")
    return int(parts[0]), int(parts[-1])


def resolve_device(name: str) -> str:
    """The torch device of `--device`; `UserError` if this machine has no such device."""
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, index = name.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (index and not index.isdecimal()):
        raise UserError(f"there is no device {name!r}: {nearest(name, ('auto', 'cpu', 'cuda', 'mps'))}")
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        raise UserError(
            f"this machine has no device {name}: torch sees {torch.cuda.device_count()} CUDA devices, so use cpu."
        )
    if kind == "mps" and not torch.backends.mps.is_available():
        raise UserError("this machine has no mps device: use cpu.")
    return name


def resolve_precision(name: str, device: str) -> str:
    """fp32, bf16 or fp64; "auto" asks whether the processor is faster in bf16."""
    import torch

    if name == "fp64" and device == "mps":
        raise UserError("an mps device has no fp64: use fp32.")
    if name != "auto":
        return name
    if device.startswith("cuda"):
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if device == "cpu" and _bf16_pays(Path("/proc/cpuinfo")) else "fp32"


def _bf16_pays(cpuinfo: Path) -> bool:
    """Whether a processor computes bf16 faster than fp32.

    Those with AMX do, and AMD's with AVX-512 (DCGAN's step: 1.4 times as fast). Intel's AVX-512 alone has the
    instructions and takes twice as long for a product as in fp32.
    """
    said = cpuinfo.read_text() if cpuinfo.exists() else ""
    return "amx_bf16" in said or ("avx512_bf16" in said and "AuthenticAMD" in said)


def environment() -> dict[str, Any]:
    """What a bit-exact resumption depends on: threads, processor and versions."""
    import numpy
    import torch

    import ganarium

    versions = {"ganarium": ganarium.__version__, "torch": torch.__version__, "numpy": numpy.__version__}
    return {
        "threads": torch.get_num_threads(),
        "processor": _processor(),
        "versions": versions | {"python": platform.python_version()},
    }


def differences(config: dict[str, Any]) -> list[str]:
    """What here differs from the machine that a run began on, in words."""
    now = environment()
    found = [
        f"{name} is {now['versions'][name]} and the run began with {version}"
        for name, version in config["versions"].items()
        if name != "python" and now["versions"][name] != version
    ]
    for key in ("threads", "processor"):
        if now[key] != config[key]:
            found.append(f"{key}: {now[key]} here, {config[key]} where the run began")
    return found


def _processor() -> str:
    """Model and instruction set: torch chooses its kernels by them."""
    import torch

    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    name = models[0] if models else platform.processor() or platform.machine()
    return f"{name}, {torch.backends.cpu.get_cpu_capability()}"


def from_mapping(options: dict[str, Any]) -> tuple[Options, dict[str, Any]]:
    """Sorts keyword arguments into the `Options` and what is left for the model."""
    names = {field.name for field in dataclasses.fields(Options)}
    own: dict[str, Any] = {
        key: str(value) if isinstance(value, os.PathLike) or (key == "size" and type(value) is int) else value
        for key, value in options.items()
        if key in names
    }
    check_values(Options, own)
    return Options(**own), {key: value for key, value in options.items() if key not in names}
