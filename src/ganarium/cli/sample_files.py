"""Writes samples to disk part by part, so that only one part of them is in memory at a time."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from ganarium.errors import UserError
from ganarium.pictures.grid import to_picture
from ganarium.runtime.files import PREFIX, atomic_write

IN_GRID, IN_PLOT = 256, 2000  # images, points


def write_samples(parts: Iterator[Tensor], n: int, target: Path | None) -> Tensor:
    """Writes all `n` samples to `target`, an .npy file of points or a folder of images, and gives those for the grid.

    Without a target nothing is written. `parts` are the samples, some at a time.
    """
    console, first, count = Console(stderr=True), [], 0
    columns = (TextColumn("samples"), BarColumn(bar_width=20), MofNCompleteColumn(), TimeRemainingColumn(compact=True))
    hidden = not (target and n > IN_GRID and console.is_terminal)
    with ExitStack() as stack:
        bar = stack.enter_context(Progress(*columns, console=console, transient=True, disable=hidden))
        task = bar.add_task("", total=n)
        write = None
        if target:
            write = stack.enter_context(_points(target, n) if target.suffix else _single_files(target, n))
        for part in parts:
            part = part.cpu()
            room = (IN_PLOT if part.dim() == 2 else IN_GRID) - count
            if room > 0:
                first.append(part[:room])
            count += len(part)
            if write:
                write(part)
            elif len(part) >= room:
                break
            bar.advance(task, len(part))
    return torch.cat(first)


@contextmanager
def _points(path: Path, n: int) -> Iterator[Callable[[Tensor], None]]:
    """Writes points, part by part, as one array (n, 2) of float32, whole or not at all."""
    count = 0
    with atomic_write(path) as temporary:
        array = np.lib.format.open_memmap(temporary, "w+", np.float32, (n, 2))

        def write(points: Tensor) -> None:
            nonlocal count
            array[count : count + len(points)] = points.numpy()
            count += len(points)

        yield write
        array.flush()


@contextmanager
def _single_files(folder: Path, n: int) -> Iterator[Callable[[Tensor], None]]:
    """Writes images, part by part, as numbered PNGs, all of them or none; older numbered ones in the folder go."""
    count, digits = 0, max(5, len(str(n - 1)))
    temporary = folder.with_name(f"{PREFIX}{folder.name}")
    shutil.rmtree(temporary, ignore_errors=True)  # of a call that was killed
    temporary.mkdir()

    def write(images: Tensor) -> None:
        nonlocal count
        for number, image in enumerate(images, start=count):
            to_picture(image).save(temporary / f"{number:0{digits}}.png")
        if not count:  # the others will be about as large; a disk gives room in blocks of 4 KiB
            sizes = [-(-file.stat().st_size // 4096) * 4096 for file in temporary.iterdir()]
            check_room(folder.parent, n - len(images), sum(sizes) / len(sizes))
        count += len(images)

    try:
        yield write
        if folder.is_dir():
            for file in folder.glob("*.png"):
                if file.stem.isdecimal():
                    file.unlink()
            for file in sorted(temporary.iterdir()):
                file.replace(folder / file.name)
        else:
            temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_room(folder: Path, n: int, size: float) -> None:
    """`UserError` unless `n` files of `size` bytes fit on the disk of a folder, or of the nearest that exists."""
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if n * size > free:
        need, have = (f"{number / 2**30:.3g} GiB" for number in (n * size, free))
        raise UserError(
            f"{n} files need about {need} and {have} are free at {folder}: use a smaller --n, or an --out elsewhere."
        )
