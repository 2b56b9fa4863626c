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
from ganarium.proofs.claim import Trial, load_proof


def answer(task: dict[str, Any]) -> dict[str, Any]:
    """The task with its `values`, and the seconds it took; or with an `error`, a sentence."""
    began = time.monotonic()
    proof = load_proof(task["proof"])
    scale = proof.CLAIM.scales[task["scale"]]
    trial = Trial(
        scale=scale, seed=task["seed"], control=task["role"] == "control", device=torch.device(task["device"])
    )
    try:
        if task["role"] == "baselines":
            return task | {"values": proof.baselines(trial), "seconds": round(time.monotonic() - began, 1)}
        values, images = proof.measure(trial)
    except (UserError, RunError) as error:
        return task | {"error": str(error)}
    if task["picture"] and images is not None:
        pictures.save_grid(images, Path(task["picture"]))
    finite = {name: value if math.isfinite(value) else None for name, value in values.items()}
    return task | {"values": finite, "seconds": round(time.monotonic() - began, 1)}


def main() -> None:
    """Answers until the input ends. What a proof prints goes to standard error: standard output is for answers."""
    torch.set_num_threads(int(sys.argv[1]))
    for line in sys.stdin:
        with redirect_stdout(sys.stderr):
            answered = answer(json.loads(line))
        print(json.dumps(answered), flush=True)


if __name__ == "__main__":
    main()
