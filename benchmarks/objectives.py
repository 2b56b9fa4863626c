"""All objectives on one backbone, under one budget and one protocol, three seeds each: the study for people who choose.

    python benchmarks/objectives.py                                about two hours on two cores
    python benchmarks/objectives.py --device cuda --minutes 3 --network dcgan      one run after another

A run's budget is time spent in training alone, not a number of steps: minutes of one processor's own time on a CPU, so
that a busy machine changes nothing but the wait, and minutes of the clock on a GPU. Each objective has the optimiser,
the learning rate and the updates of D for one of G of its paper (as ganarium has them by default for these networks);
the networks are the same. Leaves benchmarks/results/objectives.jsonl, docs/objectives.md and its pictures.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import torch

from ganarium import registry
from ganarium.data import load_data
from ganarium.data.batches import Batches
from ganarium.pictures import grid as pictures
from ganarium.proofs import experiment
from ganarium.proofs.measures.points import read_points
from ganarium.proofs.measures.samples import Reference
from ganarium.trainer import Trainer
from studies import RESULTS, Task, rows, run_all, seeds_of, spread

NAME = "objectives"
DOCS = Path(__file__).parents[1] / "docs"
OBJECTIVES: dict[str, tuple[str, dict[str, Any]]] = {  # name -> model, its own options
    "GAN": ("gan", {}),
    "GAN, minimax": ("gan", {"loss": "minimax"}),
    "LSGAN": ("lsgan", {}),
    "WGAN": ("wgan", {}),
    "WGAN-GP": ("wgan_gp", {}),
    "WGAN-div": ("wgan_div", {}),
    "CT-GAN": ("ct_gan", {}),
    "DRAGAN": ("dragan", {}),
    "BGAN": ("bgan", {"form": "continuous"}),
    "RSGAN": ("relativistic_gan", {"loss": "rsgan"}),
    "RaSGAN": ("relativistic_gan", {"loss": "rasgan"}),
    "RaLSGAN": ("relativistic_gan", {"loss": "ralsgan"}),
    "f-GAN, KL": ("f_gan", {"divergence": "kl"}),
    "f-GAN, Pearson": ("f_gan", {"divergence": "pearson"}),
    "Softmax GAN": ("softmax_gan", {}),
    "Loss-Sensitive GAN": ("loss_sensitive_gan", {}),
}
IMAGES: dict[str, dict[str, Any]] = {  # norm: none, since penalties and clipping bar the batch norm of the others
    "mlp": {"network": "mlp", "width": 256, "generator_norm": True, "norm": "none"},
    "dcgan": {"network": "dcgan", "width": 32, "generator_norm": True, "norm": "none"},
}
POINTS: dict[str, Any] = {"network": "mlp", "width": 128, "latent_dim": 2, "norm": "none"}
MINUTES = {"mnist": 3.0, "ring": 1.0, "grid": 1.0}
COUNT, SHOWN = 5000, 10
VALUES = {  # what is measured, and whether more is better
    "mnist": {"frechet_distance": False, "coverage": True, "rarest_class": True},
    "ring": {"modes": True, "high_quality": True, "w1": False},
    "grid": {"modes": True, "high_quality": True, "w1": False},
}
WORDS = {
    "frechet_distance": "Frechet distance",
    "coverage": "coverage",
    "rarest_class": "rarest class",
    "modes": "modes",
    "high_quality": "high-quality share",
    "w1": "W1",
}


def run(task: Task) -> dict[str, float]:
    """Trains one objective until its budget is spent, and measures it."""
    device, data, seed = torch.device(task["device"]), task["data"], task["seed"]
    train, _ = load_data(data, **({"size": (28, 28)} if data == "mnist" else {}))
    name, options = OBJECTIVES[task["objective"]]
    torch.manual_seed(seed)
    common = IMAGES[task["network"]] if data == "mnist" else POINTS
    model: Any = registry.create(name, train.shape, None, **common, **options)
    batches = Batches(train, model.batch_type, 64 if data == "mnist" else 256, seed=seed, device=device)
    trainer = Trainer(model, batches, 10**9)
    clock = time.process_time if task["device"] == "cpu" else time.monotonic
    start = clock()
    trainer.prepare()
    for done in trainer:
        if done % 20 == 0:
            trainer.drain()
            if clock() - start > 60 * task["minutes"]:
                break
    samples = model.sample(COUNT if data == "mnist" else 2500, seed=seed)
    if data == "mnist":
        values = Reference(train, experiment.draw(train, COUNT, 0).to(device)).compare(samples)
    else:
        values = read_points(samples, train, seed)
    if seed == 0:
        pictures.save_grid(samples[:SHOWN] if data == "mnist" else samples, picture(task), columns=SHOWN)
    return {"steps": float(done)} | {key: values[key] for key in VALUES[data]}


def picture(task: Task) -> Path:
    name = task["objective"].lower().replace(", ", "-").replace(" ", "-")
    return RESULTS / NAME / f"{task['data']}-{name}.png"


def winners(runs: dict[str, list[float]], more: bool) -> tuple[list[str], list[str]]:
    """The objectives with the best median, and the others whose range over the seeds overlaps with the first one's."""
    medians = {name: sorted(own)[len(own) // 2] for name, own in runs.items()}
    value = (max if more else min)(medians.values())
    best = [name for name in runs if medians[name] == value]
    low, high = min(runs[best[0]]), max(runs[best[0]])
    return best, [name for name, own in runs.items() if name not in best and min(own) <= high and max(own) >= low]


def verdict(best: list[str], rivals: list[str]) -> str:
    if len(best) > 1:
        return f"no winner: {'; '.join(best)} share the best median"
    if rivals:
        return f"no winner: {best[0]} has the best median, and its range overlaps with those of {'; '.join(rivals)}"
    return f"{best[0]}, whose range overlaps with no other"


def budget(minutes: float) -> str:
    return f"{minutes:g} minute{'s' * (minutes != 1)}"


def machine_of(row: dict[str, Any]) -> str:
    """Where a run was done."""
    one = row["environment"]
    return str(one.get("gpu") or f"one core of {one['processor']}")


def page(results: list[dict[str, Any]]) -> str:
    """docs/objectives.md."""
    one, machine = results[0]["environment"], machine_of(results[0])
    seeds = sorted({row["task"]["seed"] for row in results})
    lines = [
        "# All objectives on one backbone",
        "",
        "One pair of networks, one budget, one protocol, seeds "
        f"{', '.join(map(str, seeds))}. The budget is time: an objective with dear steps makes fewer of them. Each "
        "has the optimiser, the learning rate and the number of updates of D for one of G of its own paper: this "
        "compares recipes at a small budget, not losses alone, and tells nothing about long runs.",
        "",
        f"`python benchmarks/objectives.py` on {machine}, torch {one['versions']['torch'].split('+')[0]}. EBGAN and "
        "BEGAN are not in it, since their discriminator is an auto-encoder, which is another network. Cells are the "
        "lowest to the highest of the seeds. A row from another machine says so, and is not compared with the others, "
        "since its minutes hold another number of updates. **Where ranges overlap no winner is named.**",
        "",
    ]
    for data, values in VALUES.items():
        own = [row for row in results if row["task"]["data"] == data]
        if not own:
            continue
        kind, machine = own[0]["task"]["network"], machine_of(own[0])
        width = IMAGES[kind]["width"] if data == "mnist" else POINTS["width"]
        networks = f"perceptrons of three layers of {width}" if kind == "mlp" else f"a DCGAN of {width} channels"
        if data == "mnist":
            networks = (
                f"MNIST at 28x28, {networks}, batch norm in G, none in D, batches of 64; {COUNT:,} samples on the "
                "features of ganarium's MNIST judge"
            )
        else:
            networks += ", batches of 256; 2,500 points"
        lines += [
            f"## {data}, {budget(own[0]['task']['minutes'])} of {machine} a run",
            "",
            f"{networks[0].upper()}{networks[1:]}.",
            "",
        ]
        lines += [f"| objective | updates of G | {' | '.join(WORDS[key] for key in values)} |"]
        lines += ["| --- " * (2 + len(values)) + "|"]
        names = [name for name in OBJECTIVES if any(row["task"]["objective"] == name for row in own)]
        runs = {name: [row["values"] for row in own if row["task"]["objective"] == name] for name in names}
        others = {
            name: {machine_of(row) for row in own if row["task"]["objective"] == name} - {machine} for name in names
        }
        for name in names:
            where = f" (on {', '.join(sorted(others[name]))})" if others[name] else ""
            cells = [spread(run[key] for run in runs[name]) for key in values]
            steps = sorted(round(run["steps"]) for run in runs[name])
            updates = " to ".join(f"{count:,}" for count in dict.fromkeys((steps[0], steps[-1])))
            lines.append(f"| {name}{where} | {updates} | {' | '.join(cells)} |")
        lines.append("")
        for key, more in values.items():
            compared = {name: [run[key] for run in runs[name]] for name in names if not others[name]}
            lines.append(f"- {WORDS[key]}: {verdict(*winners(compared, more))}.")
        lines += ["", f"![{data}: every seed's values](images/objectives-{data}.png)", ""]
        lines += [f"![{data}: samples of seed {seeds[0]}](images/objectives-{data}-samples.png)", ""]
    return "\n".join(lines)


def draw(results: list[dict[str, Any]]) -> None:
    """docs/images/objectives-DATA.png, every seed's values, and objectives-DATA-samples.png, samples of seed 0."""
    for data in VALUES:
        own = [row for row in results if row["task"]["data"] == data]
        if own:
            names = [name for name in OBJECTIVES if any(row["task"]["objective"] == name for row in own)]
            title = f"{data}, {budget(own[0]['task']['minutes'])} a run"
            draw_values(own, names, title, DOCS / "images" / f"objectives-{data}.png")
            draw_samples(data, names, f"{title}, seed 0", DOCS / "images" / f"objectives-{data}-samples.png")


def draw_values(own: list[dict[str, Any]], names: list[str], title: str, path: Path) -> None:
    values = VALUES[own[0]["task"]["data"]]
    figure = blank((11, 0.3 * len(names) + 1), title)
    axes = figure.subplots(1, len(values), sharey=True, squeeze=False)[0]
    for axis, key in zip(axes, values, strict=True):
        for place, name in enumerate(names):
            seen = [row["values"][key] for row in own if row["task"]["objective"] == name]
            axis.plot(seen, [place] * len(seen), "o-", color="tab:blue", alpha=0.7)
        axis.set_title(WORDS[key], fontsize=9)
        seen = [row["values"][key] for row in own]
        if min(seen) > 0 and max(seen) > 100 * min(seen):  # a run that diverged would hide all others
            axis.set_xscale("log")
        axis.set_yticks(range(len(names)), names, fontsize=8)
        axis.grid(alpha=0.3)
    axes[0].invert_yaxis()
    figure.savefig(path, dpi=90)


def draw_samples(data: str, names: list[str], title: str, path: Path) -> None:
    """A row of images for each objective, or four scatter plots in a row."""
    from PIL import Image

    columns, height = (1, 0.8) if data == "mnist" else (4, 2.1)
    num_rows = -(-len(names) // columns)
    figure = blank((8, height * num_rows + 0.4), title)
    axes = figure.subplots(num_rows, columns, squeeze=False).flat
    for axis in axes:
        axis.set_axis_off()
    for axis, name in zip(figure.axes, names, strict=False):
        axis.imshow(Image.open(picture({"data": data, "objective": name})), cmap="gray")
        axis.set_title(name, fontsize=8)
    figure.savefig(path, dpi=80)


def blank(size: tuple[float, float], title: str) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=10)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seeds", default="0-2")
    parser.add_argument("--minutes", type=float, help="of an MNIST run; a third of it for points")
    parser.add_argument("--data", nargs="*", default=list(VALUES))
    parser.add_argument("--network", choices=list(IMAGES), default="mlp", help="for images")
    parser.add_argument("--only", nargs="*", default=list(OBJECTIVES), help="objectives, by name")
    arguments = parser.parse_args()
    minutes = (
        MINUTES if arguments.minutes is None else {data: arguments.minutes * MINUTES[data] / 3 for data in MINUTES}
    )
    tasks = [
        {
            "objective": name,
            "data": data,
            "seed": seed,
            "minutes": minutes[data],
            "device": arguments.device,
            "network": arguments.network if data == "mnist" else "mlp",
        }
        for data in arguments.data
        for seed in seeds_of(arguments.seeds)
        for name in arguments.only
    ]
    (RESULTS / NAME).mkdir(exist_ok=True)
    run_all(NAME, tasks, run, arguments.device)
    results = [row for row in rows(NAME) if row["task"] in tasks]
    draw(results)
    (DOCS / "objectives.md").write_text(page(results))


if __name__ == "__main__":
    main()
