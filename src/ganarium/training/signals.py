"""SIGINT and SIGTERM, read between two steps, so that a run that is stopped is saved first."""

import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any


class Signals:
    """Turns the first SIGINT or SIGTERM into a flag that the loop reads between two steps; a second acts at once.

    `say` shows a line to the user.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.caught = 0  # the signal's number
        self._say = say
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Signals":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._catch) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _catch(self, number: int, frame: FrameType | None) -> None:
        if self.caught:
            raise KeyboardInterrupt
        self.caught = number
        with suppress(RuntimeError, OSError):  # the signal came in the middle of a line, or nobody reads
            self._say("stopping after this step and saving ...")
