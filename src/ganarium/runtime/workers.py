"""Worker processes: plain programs that read a line and answer with a line.

The process pools of the standard library would import the caller's script once more in each worker.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import suppress
from typing import Any

from ganarium.errors import RunError


def answers(
    module: str, arguments: Sequence[str], tasks: Iterable[str], most: int, lost: Callable[[str], str]
) -> Iterator[Any]:
    """The answers of `python -m module` to the tasks (lines of text), read from JSON, in any order.

    There are at most `most` workers, and no more than processors. Each has one task at a time, and the next task is
    drawn from `tasks` only when a worker is free. All workers end with this process. Raises `RunError` with the
    sentence `lost(task)` when a worker ends before it has answered.
    """
    waiting = iter(tasks)
    command = [sys.executable, "-m", module, *arguments]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "OMP_NUM_THREADS": "1"}
    count = min(os.cpu_count() or 1, most)
    workers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
        for _ in range(count)
    ]

    def serve(worker: subprocess.Popen[str], task: str) -> Any:
        """Gives a worker one task and waits for the answer."""
        assert worker.stdin is not None
        assert worker.stdout is not None
        line = ""
        with suppress(BrokenPipeError):
            worker.stdin.write(task + "\n")
            worker.stdin.flush()
            line = worker.stdout.readline()
        if not line:
            raise RunError(lost(task))
        return json.loads(line)

    try:
        with ThreadPoolExecutor(max(1, count)) as pool:
            free, serving = list(workers), {}
            while True:
                while free and (task := next(waiting, None)) is not None:
                    worker = free.pop()
                    serving[pool.submit(serve, worker, task)] = worker
                if not serving:
                    return
                for future in wait(serving, return_when=FIRST_COMPLETED).done:
                    free.append(serving.pop(future))
                    yield future.result()
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
            for pipe in (worker.stdin, worker.stdout):
                if pipe:
                    with suppress(BrokenPipeError):
                        pipe.close()
