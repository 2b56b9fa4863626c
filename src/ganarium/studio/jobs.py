"""Trainings as processes of the command line: they need no studio, which may be closed or killed meanwhile.

`.studio/jobs/NAME.json` keeps what was started: {"pid", "born", "words"}; beside it NAME.txt has what the process says.
"""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from ganarium.errors import UserError
from ganarium.runtime.files import atomic_write

MAX_RUNNING = 4  # trainings that the studio starts at once
LOG_SHOWN = 4000  # bytes at the end of what a process has said


class Jobs:
    """The trainings that this studio, or one before it, has started in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._children: dict[str, subprocess.Popen[bytes]] = {}  # of this studio, so that they leave no zombies

    def start(self, name: str, words: list[str]) -> None:
        """Starts `ganarium WORDS` for the run of this name. `UserError` if too many are running."""
        running = [job for job in self.names() if self.alive(job)]
        if name in running:
            raise UserError(f"{name} is being trained already.")
        if len(running) >= MAX_RUNNING:
            raise UserError(f"{len(running)} trainings are running: wait for one, or stop it.")
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "ganarium", *words]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "NO_COLOR": "1"}
        # a session of its own: Ctrl-C at the studio's terminal is not for the training
        apart: dict[str, Any] = {"start_new_session": True}
        if sys.platform == "win32":
            apart = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
        with self._log(name).open("wb") as log:
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=environment, **apart
            )
        self._children[name] = child
        with atomic_write(self._file(name)) as temporary:
            temporary.write_text(json.dumps({"pid": child.pid, "born": _born(child.pid), "words": words}))

    def stop(self, name: str) -> None:
        """Asks a training to save and end. `UserError` for one that the studio has not started, or that has ended."""
        if not self.alive(name):
            raise UserError(f"{name} is not a training that the studio has started and that still runs.")
        os.kill(self._read(name)["pid"], signal.SIGTERM)

    def alive(self, name: str) -> bool:
        """Whether the process of a job still runs, and is not another one that got its number since."""
        if name in self._children:
            return self._children[name].poll() is None
        job = self._read(name)
        return bool(job) and job["born"] is not None and _born(job["pid"]) == job["born"]

    def names(self) -> list[str]:
        return sorted(path.stem for path in self.folder.glob("*.json"))

    def said(self, name: str) -> str:
        """The end of what the process has printed."""
        with suppress(OSError), self._log(name).open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - LOG_SHOWN))
            return log.read().decode("utf-8", "replace").strip()
        return ""

    def _read(self, name: str) -> dict[str, Any]:
        with suppress(OSError, ValueError):
            job = json.loads(self._file(name).read_text())
            if isinstance(job, dict) and isinstance(job.get("pid"), int):
                return job
        return {}

    def _file(self, name: str) -> Path:
        return self.folder / f"{name.replace('/', '~')}.json"

    def _log(self, name: str) -> Path:
        return self._file(name).with_suffix(".txt")


def _born(pid: int) -> int | None:
    """When a process started, in ticks since the machine did; None where it has ended or nobody can tell."""
    with suppress(OSError, ValueError, IndexError):
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if state == "Z" else int(fields[18])
    return None
