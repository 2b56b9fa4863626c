"""One run of a proof in a process of its own: reads a task as a line of JSON, answers with its values as another.

A task: {"proof", "scale", "role": "model", "control" or "baselines", "seed", "device", "picture": path or null}.
"""

import json
import math
import os
import sys
import time
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch

from ganarium.errors import RunError, UserError
from ganarium.pictures import grid as pictures
from ganarium.proofs.claim import Claim, load_claim


def answer(task: dict[str, Any], claim: Claim) -> dict[str, Any]:
    """The task with its `values`, and the seconds it took; or with an `error`, a sentence."""
    start = time.monotonic()
    scale, seed, device = task["scale"], task["seed"], task["device"]
    values: dict[str, Any]
    try:
        if task["role"] == "baselines":
            baselines = claim.measure.baselines(claim.experiment(scale, seed, device=device))
            for name in claim.runs_beside:
                baselines[name] = claim.measure(claim.experiment(scale, seed, name, device)).values
            values = {name: _finite(own) for name, own in baselines.items()}
        else:
            measured = claim.measure(claim.experiment(scale, seed, task["role"], device))
            values = _finite(measured.values)
            if task["picture"] and measured.images is not None:
                pictures.save_grid(measured.images, Path(task["picture"]))
    except (UserError, RunError) as error:
        return task | {"error": str(error)}
    return task | {"values": values, "seconds": round(time.monotonic() - start, 1)}


def _finite(values: dict[str, float]) -> dict[str, float | None]:
    """JSON has no numbers that are not finite: None stands for them."""
    return {name: value if math.isfinite(value) else None for name, value in values.items()}


def main() -> None:
    """Answers until the input ends. What a proof prints goes to standard error: standard output is for answers."""
    torch.set_num_threads(int(sys.argv[1]))
    for line in sys.stdin:
        task = json.loads(line)
        with redirect_stdout(sys.stderr):
            answered = answer(task, load_claim(task["proof"]))
        print(json.dumps(answered), flush=True)


if __name__ == "__main__":
    main()
