"""Estimates the memory and the time of a run from a few small batches of noise, in a process of its own."""

import json
import os
import statistics
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ganarium import registry
from ganarium.data.batches import Batches
from ganarium.data.dataset import (
    CaptionedImages,
    Dataset,
    HighResolutionImages,
    PairedImages,
    Photos,
    SourceTargetImages,
    UnpairedImages,
)
from ganarium.errors import UserError
from ganarium.runtime.device import resolve_device, resolve_precision
from ganarium.trainer import PRECISIONS, Trainer
from ganarium.training.state import capture

USABLE = 0.8  # the share of the free memory that a run may take
SECONDS = 8.0  # for all steps together, unless two batch sizes take longer, where nobody asks for less
RESERVE = 1.1  # times the memory that was measured: pictures, checkpoints and the allocator's gaps


@dataclass(frozen=True)
class Estimate:
    """What training would take, from the `bytes` and `seconds` measured at the batch sizes `sizes`. Memory is that of
    the process on the CPU, and torch's on CUDA."""

    model: str
    device: str
    batch_size: int  # the one asked for, or the paper's
    steps: int
    bytes_needed: int  # at that batch size, the data set with it
    bytes_free: int
    largest: int  # the largest batch size that fits, at most the training images; 0 if none does
    seconds_per_step: float
    sizes: tuple[int, ...]  # batch sizes that were measured
    bytes: tuple[int, ...]  # the peak of each, without the data set
    seconds: tuple[float, ...]  # the median of a step of each

    @property
    def minutes(self) -> float:
        return self.steps * self.seconds_per_step / 60


def estimate(
    model: str,
    shape: tuple[int, ...],
    num_classes: int | None,
    *,
    num_train: int,
    data_bytes: int = 0,
    batch_size: int | None = None,
    steps: int = 10_000,
    device: str = "auto",
    precision: str = "fp32",
    model_options: dict[str, Any] | None = None,
    seconds: float = SECONDS,
    threads: int | None = None,
) -> Estimate:
    """Trains a new model for a few steps at two to four batch sizes, up to the one asked for, and fits a line.

    The steps take about so many `seconds`, unless two batch sizes take longer.

    The images are noise: the time and the memory of a step do not depend on what they show. `data_bytes` is what the
    data set itself will take on the device. Raises `UserError` if the model does not take such images, or if even the
    smallest batch could not be measured.
    """
    device = resolve_device(device)
    job: dict[str, Any] = {
        "model": model,
        "shape": shape,
        "num_classes": num_classes,
        "batch_size": batch_size,
        "device": device,
        "precision": resolve_precision(precision, device),
        "options": model_options or {},
        "threads": threads or torch.get_num_threads(),
        "num_train": num_train,
        "seconds": seconds,
    }
    registry.make_config(model, job["options"])
    env = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with subprocess.Popen(
        [sys.executable, "-m", "ganarium.training.estimate"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=env,
    ) as child:
        try:
            output, _ = child.communicate(json.dumps(job))
        except BaseException:
            child.kill()
            raise
    lines = [json.loads(line) for line in output.splitlines()]
    if lines and "error" in lines[0]:
        raise UserError(lines[0]["error"])
    rows = lines[2:]
    if not rows:
        raise UserError(
            f"not one step of {registry.title(model)} could be run at {'x'.join(map(str, shape))}: the memory does not "
            "suffice; use a smaller --size or a narrower model."
        )
    batch_size, free, start = lines[0]["batch_size"], lines[0]["free"], lines[1]["start"]
    sizes, peaks, steps_seconds = (tuple(row[key] for row in rows) for key in ("size", "bytes", "seconds"))
    fixed, slope = _line(sizes, [RESERVE * peak for peak in peaks])
    room = USABLE * free - max(fixed, RESERVE * start) - data_bytes
    largest = num_train if slope <= 0 and room > 0 else max(0, min(num_train, int(room / max(slope, 1e-9))))
    base, each = _line(sizes, steps_seconds)
    return Estimate(
        model,
        device,
        batch_size,
        steps,
        int(max(fixed + slope * batch_size, RESERVE * start) + data_bytes),
        free,
        largest,
        steps_seconds[-1] if sizes[-1] == batch_size else base + each * batch_size,
        sizes,
        peaks,
        steps_seconds,
    )


def noise(kind: type, shape: tuple[int, ...], num_classes: int | None, count: int) -> Dataset:
    """A data set of `count` random items from which batches of this type are drawn."""

    def items() -> torch.Tensor:
        if len(shape) == 1:
            return torch.randn(count, *shape)
        channels, height, width = shape
        return torch.randint(0, 256, (count, height, width, channels), dtype=torch.uint8)

    classes = tuple(map(str, range(num_classes or 0)))
    labels = torch.arange(count) % num_classes if num_classes else None
    images = items()
    second = items() if kind in (UnpairedImages, PairedImages, SourceTargetImages) else None
    photos = None
    if kind is HighResolutionImages:
        sides = [torch.full((count,), side) for side in shape[1:]]
        photos = Photos(images.flatten(), sides[0], sides[1], (shape[1], shape[2]), shape[0])
    return Dataset(
        "noise",
        images,
        labels,
        classes,
        second,
        paired=kind is PairedImages,
        captions=(("a red ball on a blue box",),) * count if kind is CaptionedImages else None,
        photos=photos,
    )


def free_bytes(device: str) -> int:
    """Memory that a new process could take: of the device, or of this machine within the limits set on it."""
    if device.startswith("cuda"):
        return torch.cuda.mem_get_info(device)[0]
    free = []
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        free.append(1024 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable")))
    with suppress(OSError, ValueError):  # of a container
        limit, used = (int(Path(f"/sys/fs/cgroup/memory.{word}").read_text()) for word in ("max", "current"))
        free.append(max(0, limit - used))
    if not free:
        with suppress(OSError, ValueError, AttributeError):
            free.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min(free, default=8 * 2**30)


def peak_bytes(device: str) -> int:
    """The most that this process has held: torch's on CUDA, else resident memory."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_reserved(device)
    with suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()  # getrusage would tell the parent's peak too
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def forget_peak(device: str) -> None:
    """Starts the peak of `peak_bytes` anew from what is held now, where the system can do that."""
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        return
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _line(x: tuple[int, ...], y: Any) -> tuple[float, float]:
    """Least squares: y = first + second * x, which never falls with x."""
    if len(x) == 1:
        return 0.0, y[0] / x[0]
    mean_x, mean_y = statistics.mean(x), statistics.mean(y)
    slope = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / sum((a - mean_x) ** 2 for a in x)
    slope = max(0.0, slope)
    return mean_y - slope * mean_x, slope


def _measure(job: dict[str, Any]) -> None:
    """What the process of its own does: prints the batch size, the memory at the start, and a line for each batch size
    that was measured."""
    torch.set_num_threads(job["threads"])
    device, shape = job["device"], tuple(job["shape"])
    free = free_bytes(device)
    torch.manual_seed(0)
    try:
        model = registry.create(job["model"], shape, job["num_classes"], **job["options"])
    except UserError as error:
        print(json.dumps({"error": str(error)}))
        return
    batch_size = min(job["batch_size"] or model.batch_size, job["num_train"])
    print(json.dumps({"batch_size": batch_size, "free": free}), flush=True)
    if device == "cpu":  # what a run loads besides
        import matplotlib.figure  # noqa: F401
        from torch.utils.tensorboard import SummaryWriter  # noqa: F401
    data = noise(model.batch_type, shape, job["num_classes"], max(batch_size, 16))
    sizes = sorted({max(min(2, batch_size), batch_size // part) for part in (8, 4, 2, 1)})
    batches = Batches(data, model.batch_type, sizes[0], device=device, dtype=PRECISIONS[job["precision"]])
    trainer = Trainer(model, batches, 2**62, precision=job["precision"])
    trainer.prepare()
    model.iteration = max((0, *model.stages))  # the stage in which most steps are
    print(json.dumps({"start": peak_bytes(device)}), flush=True)
    peaks: list[int] = []
    began, seconds = time.monotonic(), [0.0]
    for size in sizes:
        left = job["seconds"] - (time.monotonic() - began)
        next_peak = 2 * peaks[-1] - peaks[-2] if len(peaks) > 1 else 0
        if len(peaks) > 1 and (next_peak > USABLE * free or 6 * seconds[-1] > left):  # 3 steps, of twice the size
            return
        forget_peak(device)
        batches.batch_size, start, seconds = size, time.monotonic(), []
        while len(seconds) < 12 and (len(seconds) < 3 or time.monotonic() - start < 0.2 * job["seconds"]):
            step_began = time.monotonic()
            trainer.iterate()
            trainer.drain()
            seconds.append(time.monotonic() - step_began)
        if not peaks:
            capture(trainer)
        peaks.append(peak_bytes(device))
        print(json.dumps({"size": size, "bytes": peaks[-1], "seconds": statistics.median(seconds[1:])}), flush=True)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt, BrokenPipeError, torch.OutOfMemoryError, MemoryError):
        _measure(json.loads(sys.stdin.readline()))
