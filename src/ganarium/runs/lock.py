"""The lock of a run: only one process trains it at a time. The operating system frees it when the process ends."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ganarium.errors import UserError


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Holds the lock of a run until the block ends: two processes that write one run would spoil it.

    Raises `UserError` if another process holds it.
    """
    try:
        import fcntl
    except ImportError:  # not POSIX: nobody is kept out
        yield
        return
    handle = os.open(folder / "checkpoints", os.O_RDONLY)
    try:
        for patience in (0.1, 0.0):  # `running` holds it too, for a moment
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not patience:
                    way = "wait for it, or stop it first"
                    raise UserError(f"{folder} is being trained by another process: {way}.") from None
                time.sleep(patience)
        yield
    finally:
        os.close(handle)


def running(folder: Path) -> bool:
    """Whether a process trains this run now. Where there are no POSIX locks nobody can tell: False."""
    try:
        import fcntl

        handle = os.open(folder / "checkpoints", os.O_RDONLY)
    except (ImportError, OSError):
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks
        return False
    finally:
        os.close(handle)
    return False
