"""Whether a run takes the time and the memory that `ganarium.recommend` says, for twelve kinds of folders.

    python benchmarks/recommendation.py                    makes what is missing: about a minute of one core a folder
    python benchmarks/recommendation.py --only pairs --minutes 60 600       one of them, for other times

Each folder is drawn, `recommend` chooses for some minutes, and the choice is trained for as many steps as by its word
take 30 seconds, in a process of its own. Kept in benchmarks/results/recommendation.jsonl: the choice, seconds of a step
and the peak of memory as they were said and as they came. Both times are by the clock, so other programs count in them;
`load` is how many of them there were.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import ganarium
from ganarium.runtime.environment import environment
from studies import keep, rows

NAME, TRAINED = "recommendation", 30.0  # seconds by the word of `recommend`
WARM = 5  # of twenty rows, before which caches are filled
RNG = np.random.default_rng(0)


def pictures(
    folder: Path,
    count: int,
    size: tuple[int, int] = (72, 72),
    *,
    grey: bool = False,
    same: int = 1,
    suffix: str = ".png",
) -> None:
    """Files (h, w) of noise; each is written `same` times under other names."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        pixels = RNG.integers(0, 256, size if grey else (*size, 3), np.uint8)
        for copy in range(same):
            Image.fromarray(pixels).save(folder / f"{folder.name}-{number:05d}-{copy}{suffix}")


def captions(folder: Path) -> None:
    pictures(folder, 24)
    lines = [{"file_name": path.name, "text": f"a picture called {path.stem}"} for path in sorted(folder.iterdir())]
    (folder / "metadata.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def broken(folder: Path) -> None:
    pictures(folder, 39)
    (folder / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n torn")


FOLDERS: dict[str, Callable[[Path], Any]] = {
    "30 photos": lambda folder: pictures(folder, 30),
    "500 photos": lambda folder: pictures(folder, 500, (64, 64)),
    "20,000 photos": lambda folder: pictures(folder, 20_000, (64, 64), suffix=".jpg"),
    "two classes": lambda folder: [pictures(folder / name, 115, (40, 40)) for name in ("cats", "dogs")],
    "pairs": lambda folder: pictures(folder, 20, (140, 280)),
    "two domains": lambda folder: [pictures(folder / name, 12) for name in ("trainA", "trainB", "testA", "testB")],
    "captions": captions,
    "grey": lambda folder: pictures(folder, 30, grey=True),
    "tiny": lambda folder: pictures(folder, 60, (16, 16)),
    "mixed sizes": lambda folder: [pictures(folder / "a", 15, (300, 200)), pictures(folder / "b", 15, (80, 90))],
    "one broken": broken,
    "duplicates": lambda folder: pictures(folder, 3, same=12),
}
OPTIONS: dict[str, dict[str, Any]] = {
    "mixed sizes": {"layout": "images", "classes": "none"},
    "captions": {"num_text_steps": 5},  # so that the steps that are timed are those of G and D, as most of a run are
}

CHILD = """
import sys
from ganarium import cli
from ganarium.training.estimate import peak_bytes
assert cli.main(sys.argv[1:]) == 0
print(peak_bytes("cpu"))
"""


def compared(name: str, folder: Path, minutes: float, trained: float) -> dict[str, Any]:
    """What `recommend` says of a folder, and what came of training that for `trained` seconds by its word."""
    load = os.getloadavg()[0]
    advice = ganarium.recommend(str(folder), minutes=minutes, device="cpu", **OPTIONS.get(name, {}))
    steps = max(20, 20 * round(trained / advice.seconds_per_step / 20))
    words = shlex.split(advice.command)[1:]  # without the name of the program
    words = [word for word in words if not word.startswith("--minutes")]
    words += [f"--steps={steps}", f"--log-every={steps // 20}", f"--sample-every={steps}", "--evaluate-every=0"]
    with tempfile.TemporaryDirectory() as parent:
        command = [sys.executable, "-c", CHILD, *words, "--device=cpu", f"--threads={torch.get_num_threads()}"]
        said = subprocess.run([*command, f"--out={parent}/run"], capture_output=True, text=True, check=True).stdout
        lines = Path(parent, "run", "metrics.jsonl").read_text().splitlines()
    moments = [(row["step"], row["seconds"]) for row in map(json.loads, lines)][WARM:]
    (first, began), (last, ended) = moments[0], moments[-1]
    return {
        "model": advice.model,
        "options": {key: value for key, value in advice.options.items() if key not in ("data", "minutes")},
        "steps": advice.steps,
        "seconds a step, said": advice.seconds_per_step,
        "seconds a step": (ended - began) / (last - first),
        "bytes, said": advice.bytes_needed,
        "bytes": int(said.split()[-1]),
        "load": round(load, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=FOLDERS, default=list(FOLDERS))
    parser.add_argument("--minutes", nargs="+", type=float, default=[5.0])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    done = [row["task"] for row in rows(NAME)]
    for name, minutes in product(arguments.only, arguments.minutes):
        task = {"folder": name, "minutes": minutes, "trained": TRAINED}
        if task in done:
            continue
        with tempfile.TemporaryDirectory() as parent:
            folder = Path(parent, "photos")
            FOLDERS[name](folder)
            values = compared(name, folder, minutes, TRAINED)
        keep(NAME, task, values, environment())
        time, memory = (values[f"{key}, said"] / values[key] for key in ("seconds a step", "bytes"))
        print(
            f"{name}, {minutes:g} minutes: {values['model']}, said / came: time {time:.2f}, memory {memory:.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
