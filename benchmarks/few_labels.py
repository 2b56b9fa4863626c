"""How well each semi-supervised model classifies with 10, 100 and 1,000 labels, beside its classifier without the rest.

    python benchmarks/few_labels.py            some two hours on two cores, more than half of them for triple_gan
    python benchmarks/few_labels.py --models sgan catgan --seeds 0
    python benchmarks/few_labels.py --device cuda --scale gpu

MNIST, in the settings of the proofs on few labels (`ganarium prove MODEL --claim MODEL_few_labels`): a model learns
from so many labels and from all images; the control is the same classifier on the labelled images alone, for as many
steps. The runs with 100 labels are those of the proofs, where their results are kept. Leaves
benchmarks/results/few-labels.jsonl, docs/few-labels.md and its picture.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from ganarium.proofs.claim import Claim, load_claim
from gpu_plan import claim_of_plan
from studies import RESULTS, Task, keep, rows, run_all, seeds_of, spread

NAME = "few-labels"
DOCS = Path(__file__).parents[1] / "docs"
MODELS = ("ct_gan", "improved_gan", "sgan", "catgan", "triple_gan")
LABELS_PER_CLASS = (1, 10, 100)


def run(task: Task) -> dict[str, float]:
    """The accuracy of one model, or of its classifier alone, on the 10,000 test images."""
    claim = claim_of(task["model"], task["scale"])
    role = "control" if task["alone"] else "model"
    experiment = claim.experiment(task["scale"], task["seed"], role, task["device"])
    experiment = replace(experiment, scale=replace(experiment.scale, steps=task["steps"], level=None))
    measure: Any = replace(claim.measure, labels_per_class=task["labels_per_class"])
    return {"accuracy": measure(experiment).values["accuracy"]}


def claim_of(model: str, scale: str) -> Claim:
    """The claim whose settings a model has at a scale."""
    name = f"{model}_few_labels"
    return claim_of_plan(name) if scale == "gpu" else load_claim(name)


def take_proven(tasks: list[Task]) -> None:
    """Keeps the runs that the proofs in results/proofs have done as their own, where they had the present budget."""
    done = [row["task"] for row in rows(NAME)]
    for model, scale in dict.fromkeys((task["model"], task["scale"]) for task in tasks):
        path = RESULTS / "proofs" / f"{model}_few_labels-{scale}.json"
        proof = json.loads(path.read_text()) if path.exists() else {"seeds": []}
        claim = claim_of(model, scale)
        if proof.get("digest") != claim.digest(scale):
            continue
        per_class = claim.measure.labels_per_class
        for place, seed in enumerate(proof["seeds"]):
            for key, alone in (("values", False), ("control", True)):
                own = {"model": model, "scale": scale, "seed": seed, "labels_per_class": per_class, "alone": alone}
                for task in tasks:
                    if own.items() <= task.items() and task not in done:
                        values = {"accuracy": proof[key][place]["accuracy"]}
                        keep(NAME, task, values, proof["environment"])


def page(results: list[dict[str, Any]]) -> str:
    """docs/few-labels.md."""
    one = results[0]["environment"]
    where = " or ".join(sorted({row["environment"].get("gpu") or row["environment"]["processor"] for row in results}))
    seeds = sorted({row["task"]["seed"] for row in results})
    lines = [
        "# Few labels",
        "",
        "What images without labels add to a classifier: its error on the 10,000 test images of MNIST, in percent. In "
        "the first row of each model it learns from 10, 100 or 1,000 labels and all 60,000 images; in the second it "
        "learns for as many steps from the labelled images alone. Cells are the lowest to the highest of seeds "
        f"{', '.join(map(str, seeds))}, which also choose the labels.",
        "",
        f"`python benchmarks/few_labels.py` on {'' if one.get('gpu') else 'one core of '}{where}, torch "
        f"{one['versions']['torch'].split('+')[0]}. Budgets are small and differ from model to model, and so do the "
        "classifiers: do not compare rows of different models. The papers train for hundreds of epochs.",
        "",
        "| model | budget | learns from | " + " | ".join(f"{10 * count:,} labels" for count in LABELS_PER_CLASS) + " |",
        "| --- " * (3 + len(LABELS_PER_CLASS)) + "|",
    ]
    for model in MODELS:
        own = [row["task"] for row in results if row["task"]["model"] == model]
        for alone in (False, True) if own else ():
            errors = [errors_of(results, model, count, alone) for count in LABELS_PER_CLASS]
            cells = " | ".join(spread(some) if some else "" for some in errors)
            words = "the labelled images" if alone else "all images"
            lines.append(f"| {model} | {budget(own[0])} | {words} | {cells} |")
    pairs = [
        (with_all, alone)
        for model in MODELS
        for count in LABELS_PER_CLASS
        for with_all, alone in zip(*(errors_of(results, model, count, alone) for alone in (False, True)), strict=True)
    ]
    better = sum(with_all < alone for with_all, alone in pairs)
    lines += ["", f"With the same labels, all images made for fewer errors in {better} of {len(pairs)} pairs of runs."]
    return "\n".join([*lines, "", "![Error over the number of labels](images/few-labels.png)", ""])


def budget(task: Task) -> str:
    """In words."""
    size = claim_of(task["model"], task["scale"]).scales[task["scale"]].settings["size"]
    return f"{task['steps']:,} steps at {size}x{size}"


def errors_of(results: list[dict[str, Any]], model: str, labels_per_class: int, alone: bool) -> list[float]:
    """In percent, by seed."""
    wanted = {"model": model, "labels_per_class": labels_per_class, "alone": alone}
    own = sorted((row for row in results if wanted.items() <= row["task"].items()), key=lambda row: row["task"]["seed"])
    return [100 * (1 - row["values"]["accuracy"]) for row in own]


def draw(results: list[dict[str, Any]]) -> None:
    """docs/images/few-labels.png: every seed, and a line through the medians."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    models = [model for model in MODELS if any(row["task"]["model"] == model for row in results)]
    figure = Figure(figsize=(2.6 * len(models), 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(models), sharey=True, squeeze=False)[0]
    for axis, model in zip(axes, models, strict=True):
        for alone, colour in ((False, "tab:blue"), (True, "tab:red")):
            runs = {10 * count: errors_of(results, model, count, alone) for count in LABELS_PER_CLASS}
            runs = {labels: own for labels, own in runs.items() if own}
            label = "labels alone" if alone else "all images"
            axis.plot(list(runs), [sorted(own)[len(own) // 2] for own in runs.values()], color=colour, label=label)
            for labels, own in runs.items():
                axis.plot([labels] * len(own), own, "o", color=colour, alpha=0.6, markersize=4)
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_xticks([10 * count for count in LABELS_PER_CLASS], [f"{10 * count:,}" for count in LABELS_PER_CLASS])
        axis.set_yticks([5, 10, 20, 50], ["5", "10", "20", "50"])
        axis.minorticks_off()
        axis.set_title(model, fontsize=9)
        axis.set_xlabel("labels", fontsize=8)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("error, %", fontsize=8)
    axes[0].legend(fontsize=7)
    figure.savefig(DOCS / "images" / f"{NAME}.png", dpi=90)


def steps_of(model: str, scale: str) -> int:
    """The budget: that of the model's proof."""
    return claim_of(model, scale).scales[scale].steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--scale", default="cpu", choices=("cpu", "gpu"))
    parser.add_argument("--seeds", default="0-2")
    parser.add_argument("--models", nargs="*", default=list(MODELS))
    arguments = parser.parse_args()
    tasks = [
        {"model": model, "labels_per_class": count, "alone": alone, "seed": seed}
        | {"steps": steps_of(model, arguments.scale), "scale": arguments.scale, "device": arguments.device}
        for seed in seeds_of(arguments.seeds)
        for model in arguments.models
        for count in LABELS_PER_CLASS
        for alone in (False, True)
    ]
    RESULTS.mkdir(exist_ok=True)
    take_proven(tasks)
    run_all(NAME, tasks, run, arguments.device)
    wanted = {"scale": arguments.scale, "device": arguments.device}
    kept = [row for row in rows(NAME) if wanted.items() <= row["task"].items()]  # those of earlier commands too
    results = [row for row in kept if row["task"]["steps"] == steps_of(row["task"]["model"], arguments.scale)]
    draw(results)
    (DOCS / "few-labels.md").write_text(page(results))


if __name__ == "__main__":
    main()
