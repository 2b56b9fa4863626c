"""Writes files whole or not at all, and syncs them to the disk."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = ".writing-"  # of names in which a write has begun; a killed process leaves them behind


@contextmanager
def atomic_write(path: Path, *, sync: bool = False, concurrent: bool = False) -> Iterator[Path]:
    """Gives a path beside `path`. The block writes a file or a folder there, which is renamed to `path` at its end.

    If the block fails, `path` stays as it was and nothing is left behind. After a kill, `.writing-NAME` is left; the
    next write of the same name removes it. `path` may be a file already, but no folder with files in it.

    `sync` has the disk take the file, or the files of the folder, before it is renamed, and the new name after that.
    `concurrent` is for files that several processes may write at the same time: each writes under a name of its own.
    Raises `OSError` where the disk does not take it.
    """
    own = f"{os.getpid()}-" if concurrent else ""
    temporary = path.with_name(f"{PREFIX}{own}{path.name}")
    _remove(temporary)
    try:
        yield temporary
        if sync:
            for written in [*temporary.rglob("*"), temporary] if temporary.is_dir() else [temporary]:
                sync_to_disk(written)
        temporary.replace(path)
        if sync:
            sync_to_disk(path.parent)
    finally:
        _remove(temporary)


def leftovers(folder: Path) -> list[Path]:
    """What killed processes have left in a folder of files that `atomic_write` wrote."""
    return sorted(folder.glob(f"{PREFIX}*"))


def sync_to_disk(path: Path) -> None:
    """Has the disk take a file or a folder now. Windows cannot open a folder for this, and does not need it."""
    if path.is_dir() and os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    with suppress(OSError):  # the error of the write itself must be told
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
