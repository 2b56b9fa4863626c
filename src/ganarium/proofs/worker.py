"""One run of a proof in a process of its own: reads a task as a line of JSON, answers with its values as another.

A task: {"proof", "scale", "role": "model", "control" or "baselines", "seed", "device", "picture": path or null}.
"""

import json
import math
import os
import sys
import time
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch

from ganarium.errors import RunError, UserError
from ganarium.pictures.grid import save_grid
from ganarium.proofs.claim import Claim, load_claim


def answer(task: dict[str, Any], claim: Claim) -> dict[str, Any]:
    """The task with its `values`, and the seconds it took; or with an `error`, a sentence."""
    start = time.monotonic()
    run = partial(claim.experiment, task["scale"], task["seed"], device=task["device"])
    values: dict[str, Any]
    try:
        if task["role"] == "baselines":
            values = dict(claim.measure.baselines(run()))
            values |= {name: claim.measure(run(name)).values for name in claim.runs_beside}
        else:
            values, images = claim.measure(run(task["role"]))
            if task["picture"] and images is not None:
                save_grid(images, Path(task["picture"]))
    except (UserError, RunError) as error:
        return task | {"error": str(error)}
    return task | {"values": _finite(values), "seconds": round(time.monotonic() - start, 1)}


def _finite(values: Any) -> Any:
    """JSON has no numbers that are not finite: None stands for them."""
    if isinstance(values, dict):
        return {name: _finite(value) for name, value in values.items()}
    return values if math.isfinite(values) else None


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
