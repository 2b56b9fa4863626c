"""What the studies share: training runs side by side, each kept as it ends, and the ranges of their values.

A study is a file with `run(task) -> values` and the tasks. Its runs lie in RESULTS/NAME.jsonl, one line each; a study
that was stopped goes on where it was.
"""

import json
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch

from ganarium.runtime.environment import environment

RESULTS = Path(__file__).parent / "results"
Task = dict[str, Any]


def rows(name: str) -> list[dict[str, Any]]:
    """The runs of a study that are kept."""
    path = RESULTS / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def run_all(name: str, tasks: Iterable[Task], run: Callable[[Task], dict[str, float]], device: str) -> None:
    """Does what is not done yet: on a CPU one run per processor with one thread each, else one after another."""
    done = [row["task"] for row in rows(name)]
    left = [task for task in tasks if task not in done]
    for count, (task, values) in enumerate(_answers(left, run, device), 1):
        keep(name, task, values, _environment(device))
        words = ", ".join(f"{key} {value:.4g}" for key, value in values.items())
        print(f"{count}/{len(left)}  {' '.join(map(str, task.values()))}: {words}", flush=True)


def keep(name: str, task: Task, values: dict[str, Any], environment: dict[str, Any]) -> None:
    """Adds one run to those of a study."""
    with (RESULTS / f"{name}.jsonl").open("a") as file:
        file.write(json.dumps({"task": task, "values": values, "environment": environment}) + "\n")


def _answers(
    tasks: list[Task], run: Callable[[Task], dict[str, float]], device: str
) -> Iterator[tuple[Task, dict[str, float]]]:
    if device != "cpu":
        for task in tasks:
            yield task, run(task)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        os.cpu_count(), mp_context=context, initializer=torch.set_num_threads, initargs=(1,)
    ) as pool:
        waiting = {pool.submit(run, task): task for task in tasks}
        for future in as_completed(waiting):
            yield waiting[future], future.result()


def _environment(device: str) -> dict[str, Any]:
    gpu = torch.cuda.get_device_name(device) if device.startswith("cuda") else None
    return environment() | ({"gpu": gpu} if gpu else {"threads": 1})


def spread(values: Iterable[float], digits: int = 3) -> str:
    """Lowest to highest, or the one value."""
    words = [f"{value:.{digits}g}" for value in sorted(values)]
    return words[0] if words[0] == words[-1] else f"{words[0]} to {words[-1]}"


def seeds_of(text: str) -> list[int]:
    """ "0-2" -> [0, 1, 2]."""
    first, _, last = text.partition("-")
    return list(range(int(first), int(last or first) + 1))
