"""Decodes pictures once: into memory or, if they are too many for it, into a file that is mapped into memory.

CACHE/decoded/KEY/   KEY is a digest of the files' content, of the size and of the way of fitting
  pixels             uint8, what `torch.from_file` maps
  reasons.json       an entry for each file: "" or why it could not be read
While it is filled, the folder is called KEY.partial and has `plan.json` and `blocks.jsonl` too, with a line for every
block of files that is done, so that decoding goes on where it was stopped.
"""

import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from ganarium.data.files.decode import Plan, decode_file, silence_warnings
from ganarium.data.files.tree import Tree, printable
from ganarium.errors import UserError
from ganarium.runtime.cache import cache_dir
from ganarium.runtime.files import atomic_write
from ganarium.runtime.workers import answers

MAX_IN_MEMORY = 2**30  # bytes of pixels of one data set that are held in memory
BLOCK = 128  # files that a worker decodes at a time
VERSION = 2  # of the decoding: when it changes, old caches are not used


class Decoded(NamedTuple):
    """The pixels of all files, and which files could not be read."""

    pixels: Tensor  # uint8, flat
    reasons: list[str]  # for each file "" or why it could not be read; its pixels are 0 then
    mapped: bool  # the pixels are in a file on disk
    digest: str  # of the content, if mapped


def decode_all(tree: Tree, names: Sequence[str], shapes: Sequence[Sequence[int]], fit: str) -> Decoded:
    """Decodes every file, in order. `shapes` has an entry for each file, or one for all; see `decode` for `fit`."""
    counts = [int(np.prod(shape)) for shape in shapes]
    starts = [0, *np.cumsum(counts[:-1]).tolist()] if len(shapes) > 1 else []
    total = sum(counts) if len(shapes) > 1 else counts[0] * len(names)
    plan = Plan(tree.location, list(names), [list(shape) for shape in shapes], starts, fit)
    return _in_memory(tree, plan, total) if total <= MAX_IN_MEMORY else _on_disk(tree, plan, total)


def _in_memory(tree: Tree, plan: Plan, total: int) -> Decoded:
    pixels = np.zeros(total, np.uint8)
    reasons = []
    with warnings.catch_warnings(), ThreadPoolExecutor(os.cpu_count()) as pool, progress(tree, len(plan.names)) as bar:
        silence_warnings()  # for the whole process, so before the threads start
        jobs = ((tree, name, plan.target(pixels, place), plan.fit) for place, name in enumerate(plan.names))
        for reason in pool.map(lambda job: decode_file(*job), jobs):
            reasons.append(reason)
            bar.advance(bar.task_ids[0])
    return Decoded(torch.from_numpy(pixels), reasons, False, "")


def _on_disk(tree: Tree, plan: Plan, total: int) -> Decoded:
    """Takes the pixels from the cache, and fills it first if needed. A second process waits until the first is done."""
    description = json.dumps([VERSION, *plan[2:], _digest_of_contents(tree, plan.names)])
    key = hashlib.sha256(description.encode()).hexdigest()[:24]
    folder = cache_dir() / "decoded" / key
    try:
        if not folder.is_dir():
            partial = folder.with_name(f"{key}.partial")
            partial.mkdir(parents=True, exist_ok=True)
            with _locked(folder.with_name(f"{key}.lock")):
                if not folder.is_dir():
                    _fill(tree, plan, total, partial)
                    partial.replace(folder)
        reasons = json.loads((folder / "reasons.json").read_text())
        pixels = torch.from_file(str(folder / "pixels"), shared=False, size=total, dtype=torch.uint8)
    except OSError as error:
        raise UserError(
            f"the decoded images of {tree.title} could not be kept in {folder.parent} ({error.strerror or error}): "
            f"set GANARIUM_CACHE to a folder that can be written, or use a smaller --size."
        ) from error
    return Decoded(pixels, reasons, True, key)


def _fill(tree: Tree, plan: Plan, total: int, folder: Path) -> None:
    """Decodes the missing blocks in worker processes. A block that an earlier call has done is not repeated."""
    blocks = [(first, min(first + BLOCK, len(plan.names))) for first in range(0, len(plan.names), BLOCK)]
    pixels, plan_file, log = folder / "pixels", folder / "plan.json", folder / "blocks.jsonl"
    if not pixels.exists() or pixels.stat().st_size != total or not plan_file.exists():
        free = shutil.disk_usage(folder).free
        if total > 0.95 * free:
            raise UserError(
                f"{tree.title} takes {total / 2**30:.1f} GiB decoded, and the disk of {folder.parent} has "
                f"{free / 2**30:.1f} GiB left: set GANARIUM_CACHE to a larger disk, or use a smaller --size."
            )
        plan_file.write_text(json.dumps(plan))
        log.write_text("")
        with pixels.open("wb") as file:
            file.truncate(total)
    reasons_by_block = {(first, last): reasons for first, last, reasons in _lines(log)}
    missing = [block for block in blocks if block not in reasons_by_block]
    with ExitStack() as stack:
        bar = stack.enter_context(progress(tree, len(plan.names), len(plan.names) - sum(b - a for a, b in missing)))
        answers = stack.enter_context(log.open("a"))
        for first, last, reasons in _decoded_blocks(missing, folder):
            reasons_by_block[first, last] = reasons
            answers.write(json.dumps([first, last, reasons]) + "\n")
            answers.flush()
            bar.advance(bar.task_ids[0], last - first)
    with pixels.open("rb") as file:
        os.fsync(file.fileno())
    (folder / "reasons.json").write_text(json.dumps([reason for block in blocks for reason in reasons_by_block[block]]))
    for leftover in (plan_file, log):
        leftover.unlink()


def _decoded_blocks(blocks: list[tuple[int, int]], folder: Path) -> Iterator[tuple[int, int, list[str]]]:
    """The answers of the workers, in any order: first file, end, and the reasons of failures."""

    def message(task: str) -> str:
        first, end = map(int, task.split())
        return (
            f"a process that decodes pictures ended at files {first} to {end - 1} (in order of their "
            f"names): the memory may not suffice; the same command goes on where it stopped"
        )

    tasks = (f"{first} {end}" for first, end in blocks)
    yield from map(tuple, answers("ganarium.data.files.decode", [str(folder)], tasks, len(blocks), message))


def _digest_of_contents(tree: Tree, names: Sequence[str]) -> str:
    """A digest of the names and the content of all files. A file whose size and time have not changed is not read."""
    index = (
        cache_dir() / "digests" / f"{hashlib.sha256(os.fsencode(Path(tree.location).absolute())).hexdigest()[:24]}.json"
    )
    known: dict[str, list] = {}
    with suppress(OSError, ValueError):
        known = json.loads(index.read_text())
    current: dict[str, list] = {}

    def digest(name: str) -> str:
        if tree_digest := tree.known_digest(name):
            return tree_digest
        try:
            stamp = list(tree.stamp(name))
            entry = known.get(name)
            if entry is None or entry[0] != stamp:
                with tree.open(name) as file:
                    entry = [stamp, hashlib.blake2b(file.read(), digest_size=16).hexdigest()]
            current[name] = entry
            return str(entry[1])
        except OSError:
            return "unreadable"

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        digests = list(pool.map(digest, names))
    if current:
        index.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(index, concurrent=True) as temporary:
            temporary.write_text(json.dumps(current))
    total = hashlib.sha256()
    for name, content in zip(names, digests, strict=True):
        total.update(f"{printable(name)}\0{content}\n".encode())
    return total.hexdigest()


def _lines(log: Path) -> Iterator[tuple[int, int, list[str]]]:
    for line in log.read_text().splitlines():
        try:
            first, last, reasons = json.loads(line)
        except ValueError:  # the half line of a process that was killed
            continue
        yield first, last, reasons


@contextmanager
def _locked(lock: Path) -> Iterator[None]:
    """Waits until no other process fills the same folder, then holds its lock."""
    with lock.open("w") as handle:
        try:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX)
        except ImportError:  # not POSIX: two at once do the same work twice
            pass
        yield
    lock.unlink(missing_ok=True)


@contextmanager
def progress(tree: Tree, total: int, done: int = 0) -> Iterator[Progress]:
    """A progress bar on standard error, if that is a terminal and there are many files."""
    console = Console(stderr=True)
    columns = (TextColumn("reading {task.description}", markup=False), BarColumn(bar_width=20), MofNCompleteColumn())
    with Progress(
        *columns, TimeRemainingColumn(compact=True), console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        bar.add_task(printable(tree.title), total=total, completed=done, visible=total > 500)
        yield bar
