"""Which model a person with a folder of photos should train: six of them on faces and flowers, all images and 100.

    python benchmarks/own_photos.py --time             once: seconds of a step of each, in turns, on one quiet core
    python benchmarks/own_photos.py                    the first round: 24 runs of ten minutes of one core each
    python benchmarks/own_photos.py --minutes 5 --sets faces --counts 100 --only fastgan      a part of one
    python benchmarks/own_photos.py --second           two more seeds of --only, on faces
    python benchmarks/own_photos.py --device cuda --minutes 30      the form for a GPU, with r3gan and wgan_gp
    python benchmarks/own_photos.py --page             docs/own-photos.md and its pictures, from the runs that are kept

Minutes become steps once, by the timing, which is kept with the processor's name; every run then makes that many steps,
wherever it runs. One run at a time; a run that was stopped goes on from its last checkpoint, and results are kept as
they come, in benchmarks/results/own-photos.jsonl, with the evaluations made on the way. Each run is read by two judges
of other kinds: ImageNet features, and our own, which never saw ImageNet (projected_gan learns from ImageNet features).
Reals are all training images of the set, also where only 100 were trained on; beside them stands what held-out images
get.
"""

import argparse
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw

import ganarium
from ganarium import metrics, registry, streams
from ganarium.data.batches import Batches
from ganarium.data.dataset import Dataset
from ganarium.evaluation.features import features_of, images_of, network_for
from ganarium.pictures.grid import save_grid
from ganarium.runs import checkpoint
from ganarium.runs.lock import alone
from ganarium.runtime.environment import environment
from ganarium.trainer import Trainer
from studies import RESULTS, keep, rows

NAME, SIZE, FEW = "own-photos", 64, 100
COUNT = {"cpu": 2000, "cuda": 5000}  # samples that a run is judged by
EVALUATIONS = 12  # of a run while it trains, so that five lie before its middle: see stop_now.py
PRECISION = "bf16"  # of every run: up to twice the steps in the same time, on a GPU and on most processors
DATA = Path(os.environ.get("GANARIUM_DATA", "../shared/data"))
RUNS = Path("runs/own_photos")
TIMING = {device: RESULTS / f"{NAME}-timing-{device}.json" for device in COUNT}
SETS = {"faces": DATA / "lfw64" / "faces", "flowers": DATA / "flowers102" / "images"}
SOURCES = {"faces": "faces (LFW)", "flowers": "flowers (Oxford 102)"}
# on one core: networks and batches so small that a run makes some hundred steps
CONTENDERS: dict[str, tuple[str, dict[str, Any]]] = {
    "projected_gan": (
        "projected_gan",
        {"width": 16, "feature_size": 128, "discriminator_width": 32, "batch_size": 16},
    ),
    "fastgan": ("fastgan", {"width": 16}),
    "stylegan2": ("stylegan2", {"base_width": 1024, "max_width": 64, "latent_dim": 128, "batch_size": 16}),
    "sngan": (
        "sngan",
        {"generator_width": 16, "discriminator_width": 16, "num_critic_steps": 1, "batch_size": 32},
    ),
    "dcgan": ("dcgan", {"width": 32, "batch_size": 32}),
    "dcgan, DiffAugment": ("dcgan", {"width": 32, "batch_size": 32, "augment": "diff"}),
}
ON_GPU: dict[str, tuple[str, dict[str, Any]]] = {
    "projected_gan": ("projected_gan", {}),
    "fastgan": ("fastgan", {}),
    "stylegan2": ("stylegan2", {}),
    "sngan": ("sngan", {}),
    "r3gan": ("r3gan", {"augment": "diff"}),
    "wgan_gp": ("wgan_gp", {}),
    "dcgan": ("dcgan", {}),
    "dcgan, DiffAugment": ("dcgan", {"augment": "diff"}),
}
JUDGES = ("auto", "cifar10_subset")  # the default of photographs, and one that never saw ImageNet
OWN_JUDGE = "frechet cifar10_subset"
BASELINE, GOAL = "dcgan", 0.7  # at most this share of the baseline's distance by both judges
DOCS = Path(__file__).parents[1] / "docs"
SHOWN = 8  # samples of each model in the picture
LONGER = (
    "## A little longer",
    "",
    "`fastgan` on the flowers, 3,500 steps, 18 minutes of one core "
    "(`GANARIUM_DATA=... python tools/photos_pictures.py flowers`): samples, and two walks between codes. They have "
    "the colours of flowers, a background of leaves, and no two are alike; petals are rough, and specks come from "
    "too little training.",
    "",
    "![Samples of FastGAN, and walks](images/photos-flowers.jpg)",
    "",
    "Copies would lie nearer to the training photos than photos do that the model never saw. They do not:",
    "",
    "![How near samples and unseen photos are to training photos](images/photos-flowers-distances.png)",
)
TURNS = 4  # of each contender, in the timing
TURN = 8.0  # seconds


def time_all(contenders: dict[str, tuple[str, dict[str, Any]]], device: str) -> dict[str, float]:
    """Seconds of a step of each contender, over turns that are taken one after another (A B A B).

    On a CPU they are seconds of the processor, which other programs do not count in. Steps that only some models make
    at some iterations count with their share, since each goes on where its last turn ended.
    """
    clock = time.process_time if device == "cpu" else time.monotonic
    train, _ = ganarium.load_data(str(SETS["faces"]), size=(SIZE, SIZE))
    trainers = {}
    for name, (model_name, options) in contenders.items():
        torch.manual_seed(0)
        own = {key: value for key, value in options.items() if key != "batch_size"}
        model: Any = registry.create(model_name, train.shape, None, **own)
        size = options.get("batch_size", model.batch_size)
        batches = Batches(train, model.batch_type, size, device=torch.device(device))
        trainers[name] = Trainer(model, batches, 10**9, precision=PRECISION)
        trainers[name].prepare()
    seconds, steps = dict.fromkeys(contenders, 0.0), dict.fromkeys(contenders, 0)
    for turn in range(TURNS + 1):
        for name, trainer in trainers.items():
            began, made = clock(), 0
            while clock() - began < TURN or not made:
                trainer.iterate()
                trainer.drain()
                made += 1
            if turn:  # the first fills caches
                seconds[name] += clock() - began
                steps[name] += made
    return {name: seconds[name] / steps[name] for name in contenders}


def folder_of(photos: Path, count: int | None) -> Path:
    """The photos, or a folder of links to `count` of them, always the same ones."""
    if count is None:
        return photos
    few = RUNS / f"{photos.parent.name}-{count}"
    if not few.is_dir():
        few.mkdir(parents=True)
        files = sorted(path for path in photos.iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
        for place in np.random.default_rng(0).permutation(len(files))[:count]:
            (few / files[place].name).symlink_to(files[place].resolve())
    return few


def folder_name(task: dict[str, Any]) -> str:
    words = (task["contender"].replace(", ", "-"), task["set"], task["count"] or "all", task["seed"], task["steps"])
    return "-".join(map(str, words))


def train(task: dict[str, Any], model: str, options: dict[str, Any], steps: int) -> Path:
    """Makes the run of a task, or goes on with it; gives its folder."""
    folder = RUNS / folder_name(task)
    if not checkpoint.exists(folder):
        photos = folder_of(SETS[task["set"]], task["count"])
        settings = {"size": SIZE, "steps": steps, "seed": task["seed"], "device": task["device"]}
        settings["precision"] = PRECISION
        every = {"evaluate_every": -(-steps // EVALUATIONS), "save_every": -(-steps // EVALUATIONS)}
        ganarium.train(model, str(photos), out=folder, keep=1, **every, **settings, **options)
    elif checkpoint.newest(folder)[2]["step"] < steps:
        ganarium.resume(folder)
    return folder


def measure(folder: Path, reals: Dataset, held_out: Dataset, device: str) -> dict[str, Any]:
    """Frechet distances of samples, and of as many held-out images as there are, by both judges; the evaluations made
    on the way, by step."""
    model, values = ganarium.load(folder, device=device), {}
    count = COUNT[device]
    samples = torch.cat([part.cpu() for part in streams.samples(model, count, seed=0)])
    for judge in JUDGES:
        network = network_for(reals.name, reals.shape[0], judge, torch.device(device))
        real = features_of(network, images_of(reals, min(COUNT["cuda"], len(reals)), 0))
        fake = features_of(network, (part.to(device) for part in samples.split(64)))
        test = features_of(network, images_of(held_out, min(count, len(held_out)), 0))
        values[f"frechet {network.name}"] = float(metrics.frechet_distance(real, fake))
        values[f"frechet {network.name}, held out"] = float(metrics.frechet_distance(real, test))
    save_grid(samples[:64], RUNS / f"{folder.name}.png")
    rows_made = [json.loads(line) for line in (folder / "evaluations.jsonl").read_text().splitlines()]
    metric = rows_made[-1]["metric"]
    values["metric"] = metric
    values["evaluations"] = [[row["step"], round(row["values"][metric], 6)] for row in rows_made]
    return values


def page(results: list[dict[str, Any]]) -> str:
    """docs/own-photos.md."""
    first = results[0]
    where = " or ".join(sorted({row["environment"]["processor"] for row in results}))
    sets = {row["task"]["set"] for row in results}
    version = first["environment"]["versions"]["torch"].split("+")[0]
    lines = [
        "# A folder of photos",
        "",
        f"What {len({row['task']['contender'] for row in results})} models make of photographs at {SIZE}x{SIZE} after "
        f"equal times: {' and '.join(SOURCES[name] for name in SETS if name in sets)}. Times became "
        "steps once, by a timing of all models in turns, so every machine makes the same steps. Numbers are Fréchet "
        f"distances of {COUNT[first['task']['device']]:,} samples to the training images of the whole set, by two "
        "judges of other kinds: features of a network trained on ImageNet, as `projected_gan` itself learns from, and "
        "features of our own small one, which never saw ImageNet. Lower is nearer. Where the two disagree, look at the "
        "picture.",
        "",
        f"`python benchmarks/own_photos.py` on one core of {where}, torch {version}, in {PRECISION}. So "
        "little time is far from what these models can do: it is what a person waits for at first.",
        "",
        conclusion(results),
    ]
    for group in groups(results):
        task = group[0]["task"]
        photos = f"{task['count']} photos" if task["count"] else "all photos"
        lines += ["", f"## {task['set'].capitalize()}, {photos}, {task['minutes']:g} minutes", "", *table(group), ""]
        lines.append(verdict(group))
        if task["count"] == FEW:
            lines += ["", f"![Samples of each model from {FEW} {task['set']}](images/{NAME}-{task['set']}.jpg)", ""]
            lines.append("*Samples of each model, one below the other as in the table: not chosen, the first of each.*")
    return "\n".join([*lines, "", *LONGER, ""])


def groups(results: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Runs that may be compared: one set, one number of photos, one time, one kind of machine."""
    made: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in results:
        made.setdefault(tuple(row["task"][key] for key in ("set", "count", "minutes", "device")), []).append(row)
    return [made[key] for key in sorted(made, key=lambda key: (key[0], key[1] is None, key[2:]))]


def judged(row: dict[str, Any]) -> tuple[str, str]:
    """The names of the two judges' numbers: that of ImageNet first."""
    names = [name for name in row["values"] if name.startswith("frechet ") and not name.endswith(", held out")]
    return next(name for name in names if name != OWN_JUDGE), OWN_JUDGE


def table(group: list[dict[str, Any]]) -> list[str]:
    """A line for each model, the nearest to the photos first, and one for photos that were held out."""
    by_imagenet, own = judged(group[0])
    lines = [
        f"| model | steps | {by_imagenet.split()[1]}, of ImageNet | {own.split()[1]}, our own |",
        "| --- " * 4 + "|",
    ]
    contenders = sorted({row["task"]["contender"] for row in group}, key=lambda name: median(group, name, by_imagenet))
    for contender in contenders:
        runs = [row for row in group if row["task"]["contender"] == contender]
        cells = (cell([row["values"][name] for row in runs]) for name in (by_imagenet, own))
        lines.append(f"| {contender} | {runs[0]['task']['steps']:,} | {' | '.join(cells)} |")
    held_out = (cell([group[0]["values"][f"{name}, held out"]]) for name in (by_imagenet, own))
    return [*lines, f"| *photos that no model saw* | | {' | '.join(held_out)} |"]


def cell(values: list[float]) -> str:
    """Lowest to highest."""
    words = [f"{value:,.0f}" if value >= 10 else f"{value:.2f}" for value in sorted(values)]
    return words[0] if words[0] == words[-1] else f"{words[0]} to {words[-1]}"


def far_below(group: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """The models that are far below the baseline by both judges, and those that are by one alone."""
    names = {row["task"]["contender"] for row in group}
    below = {
        contender: [
            median(group, contender, judge) <= GOAL * median(group, BASELINE, judge) for judge in judged(group[0])
        ]
        for contender in sorted(names - {BASELINE})
    }
    both = [name for name, answers in below.items() if all(answers)]
    return both, [name for name, answers in below.items() if any(answers) and not all(answers)]


def conclusion(results: list[dict[str, Any]]) -> str:
    """Where a model reaches the goal, in a sentence, and what ganarium takes."""
    with_baseline = [group for group in groups(results) if any(row["task"]["contender"] == BASELINE for row in group)]
    reached: dict[str, list[str]] = {}
    for group in with_baseline:
        task = group[0]["task"]
        for contender in far_below(group)[0]:
            reached.setdefault(contender, []).append(f"{task['set']} ({task['count'] or 'all'})")
    where = "; ".join(f"`{name}` on {', '.join(sets)}" for name, sets in reached.items()) or "nowhere"
    goal = f"at least {round(100 * (1 - GOAL))} % below `{BASELINE}` by both judges"
    both = [
        (group, judged(group[0])[0])
        for group in groups(results)
        if {row["task"]["contender"] for row in group} >= {"fastgan", "projected_gan"}
    ]
    by_imagenet = sum(median(group, "projected_gan", name) < median(group, "fastgan", name) for group, name in both)
    by_own = sum(median(group, "fastgan", OWN_JUDGE) < median(group, "projected_gan", OWN_JUDGE) for group, _ in both)
    return (
        f"The goal was {goal}, with few photos and with all. It is reached, of {len(with_baseline)} tables below: "
        f"{where}. Where no model is named, ganarium takes `fastgan`. `projected_gan` is nearer than it in "
        f"{by_imagenet} of {len(both)} tables by the features that it learned from, `fastgan` in {by_own} by the "
        "judge that never saw ImageNet."
    )


def verdict(group: list[dict[str, Any]]) -> str:
    """Which models are far below the baseline by both judges, and which by one alone."""
    if BASELINE not in {row["task"]["contender"] for row in group}:
        return f"{BASELINE} has not been run here, so nothing is said of the others."
    both, one = far_below(group)
    percent = round(100 * (1 - GOAL))
    told = f"At least {percent} % below `{BASELINE}` by both judges: {listed(both)}."
    return f"{told} By one judge alone: {listed(one)}."


def listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"


def median(group: list[dict[str, Any]], contender: str, name: str) -> float:
    """Of the seeds of one model."""
    return statistics.median(row["values"][name] for row in group if row["task"]["contender"] == contender)


def draw(results: list[dict[str, Any]]) -> None:
    """docs/images/own-photos-SET.jpg: the first samples of each model that learned from few photos, a row for each."""
    border, caption = 2, 12  # pixels
    strip = (SHOWN * (SIZE + border) + border, SIZE + border)
    for group in groups(results):
        task, by_imagenet = group[0]["task"], judged(group[0])[0]
        if task["count"] != FEW:
            continue
        shown = sorted((row for row in group if row["task"]["seed"] == 0), key=lambda row: row["values"][by_imagenet])
        sheet = Image.new("RGB", (strip[0], len(shown) * (strip[1] + caption)), "white")
        pen = ImageDraw.Draw(sheet)
        for place, row in enumerate(shown):
            top = place * (strip[1] + caption)
            with Image.open(RUNS / f"{folder_name(row['task'])}.png") as grid:
                sheet.paste(grid.convert("RGB").crop((0, 0, *strip)), (0, top + caption))
            pen.text((border, top), row["task"]["contender"], fill="black")
        sheet.save(DOCS / "images" / f"{NAME}-{task['set']}.jpg", quality=90)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--time", action="store_true", help="time the contenders, and stop")
    parser.add_argument("--page", action="store_true", help="write the page of the runs that are kept, and stop")
    parser.add_argument("--second", action="store_true", help="seeds 1 and 2 of --only, on faces")
    parser.add_argument("--only", nargs="+", help="contenders")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--counts", nargs="+", default=["all", str(FEW)], choices=["all", str(FEW)])
    parser.add_argument("--minutes", type=float, default=10.0, help="of a run, by the timing")
    parser.add_argument("--device", default="cpu", choices=COUNT)
    arguments = parser.parse_args()
    if arguments.page:
        (DOCS / f"{NAME}.md").write_text(page(rows(NAME)), encoding="utf-8")
        draw(rows(NAME))
        return
    if arguments.device == "cpu":
        torch.set_num_threads(1)
    contenders = CONTENDERS if arguments.device == "cpu" else ON_GPU
    if arguments.time:
        unit = "seconds of one core a step" if arguments.device == "cpu" else "seconds a step"
        timing = {"unit": unit, "seconds": time_all(contenders, arguments.device), "environment": environment()}
        TIMING[arguments.device].write_text(json.dumps(timing, indent=1) + "\n")
        print(json.dumps(timing["seconds"], indent=1))
        return
    if not TIMING[arguments.device].exists():
        raise SystemExit(
            f"{TIMING[arguments.device]} is not here: run with --time first, on cores that do nothing else."
        )
    seconds = json.loads(TIMING[arguments.device].read_text())["seconds"]
    done = [row["task"] for row in rows(NAME)]
    counts = [None if count == "all" else int(count) for count in arguments.counts]
    rounds = [(name, count, 0) for name in arguments.sets for count in counts]
    if arguments.second:
        rounds = [("faces", count, seed) for seed in (1, 2) for count in counts]
    (RUNS / "checkpoints").mkdir(parents=True, exist_ok=True)  # what the lock is on
    with alone(RUNS):
        for name, count, seed in rounds:
            reals, held_out = ganarium.load_data(str(SETS[name]), size=(SIZE, SIZE))
            for contender in arguments.only or contenders:
                steps = round(60 * arguments.minutes / seconds[contender])
                task = {"contender": contender, "set": name, "count": count, "seed": seed, "steps": steps}
                task |= {"minutes": arguments.minutes, "device": arguments.device}
                if task in done:
                    continue
                began = time.process_time()
                folder = train(task, *contenders[contender], steps)
                values = measure(folder, reals, held_out, arguments.device)
                keep(NAME, task, values | {"seconds": round(time.process_time() - began, 1)}, environment())
                print(task, values, flush=True)


if __name__ == "__main__":
    main()
