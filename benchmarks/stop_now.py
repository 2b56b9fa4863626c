"""The chance that more training improves a run, fitted to runs of many models: the numbers of `training/outlook.py`.

    python benchmarks/stop_now.py --part 1/4      makes a quarter of the runs, of half a minute of one core each
    python benchmarks/stop_now.py --take          takes in the runs on photographs that own_photos.py has made since
    python benchmarks/stop_now.py --fit           fits the chance to what is kept, and says how often it is right

The runs are kept in benchmarks/results/stop_now.jsonl, with the number and the step of each of their evaluations. The
question is asked in the middle of a run: does the best number improve by more than 2 % in the half that is left? A
chance above one half says yes. It is right if the answer came so, for a run that it was not fitted to; beside it stands
what always saying the commoner answer gets. Runs on photographs of own-photos.jsonl that were not taken in judge the
chance too; those count of which five evaluations lie before the middle.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import ganarium
from ganarium.runtime.environment import environment
from ganarium.training.outlook import COEFFICIENTS, FEWEST, WORTHWHILE, signs
from studies import keep, rows

NAME, PHOTOS = "stop_now", "own-photos"
TIMES = 20  # evaluations of a run
RIDGE = 0.1  # weight of the coefficients' squares in the fit, of signs with deviation 1

POINTS = (
    "gan",
    "lsgan",
    "wgan",
    "wgan_gp",
    "wgan_div",
    "dragan",
    "relativistic_gan",
    "loss_sensitive_gan",
    "f_gan",
    "softmax_gan",
)
IMAGES = ("dcgan", "lsgan", "wgan_gp", "dragan", "relativistic_gan", "began", "ebgan", "acgan", "infogan", "wgan")
SMALL: dict[str, dict[str, Any]] = {
    "acgan": {"generator_width": 48, "discriminator_width": 8},
    "began": {"width": 16},
    "infogan": {"width": 16},
}


def tasks() -> list[dict[str, Any]]:
    """Runs on points, drawn digits and MNIST; short and long ones, at the default rate and at a higher one."""
    made: list[dict[str, Any]] = []
    for place, model in enumerate(POINTS):
        for data, steps in (("ring", 1500), ("grid", 3000)):
            made.append({"model": model, "data": data, "steps": steps, "seed": place, "batch_size": 128})
    for place, model in enumerate(IMAGES):
        options = SMALL.get(model, {"width": 16}) | {"size": 16, "batch_size": 32, "seed": place}
        made.append({"model": model, "data": "glyphs", "characters": "digits", "steps": 600, **options})
        made.append({"model": model, "data": "mnist", "steps": 300, **options})
        if model in ("dcgan", "lsgan", "relativistic_gan", "dragan"):
            made.append({"model": model, "data": "mnist", "steps": 400, "lr": 2e-3, **options})
    return made


def run(task: dict[str, Any]) -> dict[str, Any]:
    """The evaluations of a run: its metric, and (step, number) of each."""
    options = {key: value for key, value in task.items() if key != "model"}
    with tempfile.TemporaryDirectory() as folder:
        once = {"save_every": task["steps"], "sample_every": task["steps"], "log_every": task["steps"]}
        every = {"evaluate_every": task["steps"] // TIMES}
        ganarium.train(task["model"], out=f"{folder}/run", device="cpu", quiet=True, **once, **every, **options)
        lines = [json.loads(line) for line in Path(folder, "run", "evaluations.jsonl").read_text().splitlines()]
    metric = lines[-1]["metric"]
    return {"metric": metric, "evaluations": [[line["step"], round(line["values"][metric], 6)] for line in lines]}


def examples(evaluations: list[list[float]]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Of one run, at each moment up to its middle: the signs, whether going on as long again improved the best number
    by more than 2 %, and whether the moment is the middle. Signs need five evaluations."""
    steps, values = [int(step) for step, _ in evaluations], [value for _, value in evaluations]
    found, answers, middle = [], [], []
    last = sum(step <= steps[-1] / 2 for step in steps)
    for count in range(FEWEST, last + 1):
        until = sum(step <= 2 * steps[count - 1] for step in steps)
        best, later = min(values[:count]), min(values[count:until], default=np.inf)
        found.append(signs(values[:count], steps[:count]))
        answers.append(later < best - WORTHWHILE * abs(best))
        middle.append(count == last)
    return np.array(found), np.array(answers, dtype=bool), np.array(middle, dtype=bool)


def fitted(x: NDArray[Any], y: NDArray[Any], weight: NDArray[Any]) -> NDArray[Any]:
    """Intercept and coefficients of a logistic regression with a small ridge, by Newton's method."""
    mean, spread = x.mean(0), x.std(0) + 1e-9
    z = np.column_stack([np.ones(len(x)), (x - mean) / spread])
    ridge = np.diag([0.0] + [RIDGE * weight.sum() / 10] * x.shape[1])
    beta = np.zeros(z.shape[1])
    for _ in range(50):
        chance = 1 / (1 + np.exp(-z @ beta))
        hessian = (z * (weight * chance * (1 - chance))[:, None]).T @ z + ridge
        beta += np.linalg.solve(hessian + 1e-9 * np.eye(len(beta)), z.T @ (weight * (y - chance)) - ridge @ beta)
    slopes = beta[1:] / spread
    return np.concatenate([[beta[0] - slopes @ mean], slopes])


def kept_runs(name: str = NAME) -> list[dict[str, Any]]:
    """The runs of a study that were long enough to be asked in their middle."""
    return [row for row in rows(name) if len(examples(row["values"]["evaluations"])[1])]


def coefficients(runs: list[dict[str, Any]]) -> NDArray[Any]:
    """The fit to all moments of some runs, each run with the same weight."""
    return fitted(*joined([examples(row["values"]["evaluations"]) for row in runs]))


def asked(run: dict[str, Any], beta: Sequence[float] | NDArray[Any]) -> tuple[bool, bool]:
    """What these coefficients say in the middle of a run, and how it came."""
    x, y, middle = examples(run["values"]["evaluations"])
    return bool(beta[0] + x[middle][0] @ np.asarray(beta[1:]) > 0), bool(y[middle][0])


def asked_unseen(runs: list[dict[str, Any]]) -> list[tuple[bool, bool]]:
    """For the middle of each run: what a fit to all others says, and how it came."""
    return [asked(row, coefficients(runs[:place] + runs[place + 1 :])) for place, row in enumerate(runs)]


def new_photos() -> list[dict[str, Any]]:
    """The runs on photographs that are long enough, and that the chance is not fitted to."""
    taken = [row["task"] for row in rows(NAME)]
    return [row for row in kept_runs(PHOTOS) if row["task"] not in taken]


def take() -> None:
    """Copies what the fit needs of the new runs on photographs into this study's file."""
    for row in new_photos():
        values = {key: row["values"][key] for key in ("metric", "evaluations")}
        keep(NAME, row["task"], values, row["environment"])


def fit() -> None:
    """Prints the coefficients, and how often a chance that never saw a run is right in its middle: of the runs it is
    fitted to, each left out, and by COEFFICIENTS of those on photographs that it is not fitted to."""
    runs, new = kept_runs(), new_photos()
    answers = list(zip(runs, asked_unseen(runs), strict=True))
    tell("fitted to, each left out", answers)
    tell("of these on photographs", [answer for answer in answers if "contender" in answer[0]["task"]])
    tell("on photographs, not fitted to", [(row, asked(row, COEFFICIENTS)) for row in new])
    print("COEFFICIENTS =", tuple(float(f"{value:.3g}") for value in coefficients(runs)))


def tell(which: str, answers: list[tuple[dict[str, Any], tuple[bool, bool]]]) -> None:
    """Prints how many of these answers were right, beside the commoner one, and names the runs of the others."""
    improved = sum(came for _, (_, came) in answers)
    right = sum(said == came for _, (said, came) in answers)
    print(f"{len(answers)} runs {which}: right in {right}; {improved} improved by more than {WORTHWHILE:.0%},", end=" ")
    print(f"so always the commoner answer is right in {max(improved, len(answers) - improved)}")
    for row, (said, came) in answers:
        if said != came:
            task = row["task"]
            words = [task.get("model") or task["contender"], "on", task.get("data") or task["set"]]
            words += [task[key] or "all" for key in ("count",) if key in task] + [f"seed {task['seed']}"]
            print("   wrong:", *words)


def joined(data: list[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]]) -> tuple[NDArray[Any], ...]:
    """Signs, answers, and weights by which each run counts as one."""
    weights = [np.full(len(y), 1 / len(y)) for _, y, _ in data]
    x, y = (np.concatenate([one[part] for one in data]) for part in (0, 1))
    return x, y.astype(float), np.concatenate(weights)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", default="1/1", help="which part of the runs to make, such as 2/4")
    parser.add_argument("--fit", action="store_true", help="fit the chance to the runs that are kept")
    parser.add_argument("--take", action="store_true", help="take in the new runs on photographs")
    arguments = parser.parse_args()
    if arguments.take:
        take()
    if arguments.fit:
        fit()
    if arguments.take or arguments.fit:
        return
    torch.set_num_threads(1)
    part, parts = map(int, arguments.part.split("/"))
    done = [row["task"] for row in rows(NAME)]
    for task in tasks()[part - 1 :: parts]:
        if task not in done:
            values = run(task)
            keep(NAME, task, values, environment())
            print(task, values["evaluations"][-1], flush=True)


if __name__ == "__main__":
    main()
