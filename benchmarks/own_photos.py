"""Which model a person with a folder of photos should train: six of them on faces and flowers, all images and 100.

    python benchmarks/own_photos.py --time             once: seconds of a step of each, in turns, on one quiet core
    python benchmarks/own_photos.py                    the first round: 24 runs of ten minutes of one core each
    python benchmarks/own_photos.py --minutes 5 --sets faces --counts 100 --only fastgan      a part of one
    python benchmarks/own_photos.py --second           two more seeds of --only, on faces
    python benchmarks/own_photos.py --device cuda --minutes 30      the form for a GPU: r3gan, wgan_gp and more sets
    python benchmarks/own_photos.py --page             docs/own-photos.md and its pictures, from the runs that are kept

Minutes become steps once, by the timing, which is kept with the processor's name; every run then makes that many steps,
wherever it runs. One run at a time; a run that was stopped goes on from its last checkpoint, and results are kept as
they come, in benchmarks/results/own-photos.jsonl, with the evaluations made on the way. Each run is read by two judges
of other kinds: ImageNet features, and our own, which never saw ImageNet (projected_gan learns from ImageNet features).
Reals are all training images of the set, also where only 100 were trained on; beside them stands what held-out images
get.

Sets are folders in GANARIUM_DATA. A picture of samples is drawn anew where the grids of all its runs lie in
runs/own_photos, and else stays as it is committed; curves and sentences come from the kept results alone.
"""

import argparse
import json
import os
import statistics
import time
from itertools import groupby
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
from ganarium.evaluation.measures import QUICK_IMAGES
from ganarium.pictures.grid import figure_of_panels, save_figure, save_grid
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
SETS = {
    "faces": DATA / "lfw64" / "faces",
    "flowers": DATA / "flowers102" / "images",
    "horses": DATA / "horse2zebra" / "trainA",
    "zebras": DATA / "horse2zebra" / "trainB",
    "celebrities": DATA / "celeba" / "img_align_celeba",
}
SOURCES = {
    "faces": "faces (LFW)",
    "flowers": "flowers (Oxford 102)",
    "horses": "horses (horse2zebra)",
    "zebras": "zebras (horse2zebra)",
    "celebrities": "celebrities (CelebA)",
}
USUAL_SETS = {"cpu": ["faces", "flowers"], "cuda": list(SETS)}
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
ON = {"cpu": CONTENDERS, "cuda": ON_GPU}
LEARNS_FROM_IMAGENET = ("projected_gan",)  # so that our own judge watches it while it trains
JUDGES = ("auto", "cifar10_subset")  # the default of photographs, and one that never saw ImageNet
OWN_JUDGE = "frechet cifar10_subset"
BASELINE, GOAL = "dcgan", 0.7  # at most this share of the baseline's distance by both judges
DEFAULT = "fastgan"  # what ganarium takes for a folder of photos
UNITS = {"cpu": "of one core", "cuda": "of a GPU"}
METRICS = {"frechet_distance": "Fréchet distance", "kernel_distance": "kernel distance"}  # counted while it trains
DOCS = Path(__file__).parents[1] / "docs"
SHOWN = 8  # samples of each model in the picture
LONGER = (
    "## A little longer",
    "",
    "`fastgan` on the faces and on the flowers, 3,500 steps each, 18 minutes of one core "
    "(`GANARIUM_DATA=... python tools/photos_pictures.py`): samples, and two walks between codes. The faces have eyes, "
    "glasses and teeth, each is another one, and a walk is made of faces all the way; one in eight is smeared.",
    "",
    "![Samples of FastGAN that learned from faces, and walks](images/photos-faces.jpg)",
    "",
    "The flowers have the colours of flowers, a background of leaves, and no two are alike; petals are rough, and "
    "specks come from too little training.",
    "",
    "![Samples of FastGAN that learned from flowers, and walks](images/photos-flowers.jpg)",
    "",
    "Copies would lie nearer to the training photos than photos do that the model never saw. The nearest samples do "
    "not: of the faces a twentieth is within .67 of a training photo, as of photos that were never seen. The others "
    "are a little nearer (medians .84 and .89). Faces, then flowers:",
    "",
    "![How near samples and unseen photos of faces are to training photos](images/photos-faces-distances.png)",
    "",
    "![How near samples and unseen photos are to training photos](images/photos-flowers-distances.png)",
    "",
    "The nearest training photos are other people's, so they are not shown here. `ganarium report RUN` shows those of "
    "your own run, beside its samples.",
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


def folder_of(name: str, count: int | None) -> Path:
    """The photos of a set, or a folder of links to `count` of them, always the same ones."""
    photos = SETS[name]
    if count is None:
        return photos
    few = RUNS / f"{photos.parent.name}-{photos.name}-{count}"
    if not few.is_dir():
        few.mkdir(parents=True)
        files = sorted(path for path in photos.iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
        for place in np.random.default_rng(0).permutation(len(files))[:count]:
            (few / files[place].name).symlink_to(files[place].resolve())
    return few


def folder_name(task: dict[str, Any]) -> str:
    words = [task["contender"].replace(", ", "-"), task["set"], task["count"] or "all", task["seed"], task["steps"]]
    return "-".join(map(str, words + [task["device"]] * (task["device"] != "cpu")))


def train(task: dict[str, Any], model: str, options: dict[str, Any], steps: int) -> Path:
    """Makes the run of a task, or goes on with it; gives its folder."""
    folder = RUNS / folder_name(task)
    if not checkpoint.exists(folder):
        photos = folder_of(task["set"], task["count"])
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
        if len(test) > test.shape[1]:  # a distance needs more images than features
            values[f"frechet {network.name}, held out"] = float(metrics.frechet_distance(real, test))
    save_grid(samples[:64], RUNS / f"{folder.name}.png")
    rows_made = [json.loads(line) for line in (folder / "evaluations.jsonl").read_text().splitlines()]
    metric = rows_made[-1]["metric"]
    values["metric"] = metric
    values["evaluations"] = [[row["step"], round(row["values"][metric], 6)] for row in rows_made]
    return values


def page(results: list[dict[str, Any]]) -> str:
    """docs/own-photos.md."""
    devices = [device for device in COUNT if any(row["task"]["device"] == device for row in results)]
    version = results[0]["environment"]["versions"]["torch"].split("+")[0]
    samples = " or ".join(f"{COUNT[device]:,}" for device in devices)
    where = " and ".join(f"{UNITS[device].removeprefix('of ')} ({machines(results, device)})" for device in devices)
    sets = [SOURCES[name] for name in SETS if any(row["task"]["set"] == name for row in results)]
    lines = [
        "# A folder of photos",
        "",
        f"What {len({row['task']['contender'] for row in results})} models make of photographs at {SIZE}x{SIZE} after "
        f"equal times: {in_words(sets)}. Times became steps once, by a timing of all models in turns, so every machine "
        f"makes the same steps. Numbers are Fréchet distances of {samples} samples to the training images of the whole "
        "set, by two judges of other kinds: features of a network trained on ImageNet, as `projected_gan` itself "
        "learns from, and features of our own small one, which never saw ImageNet. Lower is nearer. Where the two "
        "disagree, look at the picture.",
        "",
        f"`python benchmarks/own_photos.py` on {where}, torch {version}, in {PRECISION}. So little time is far from "
        "what these models can do: it is what a person waits for at first.",
        "",
        'Every range in a table ("a to b") is over seeds: the lowest and the highest of runs that differ in nothing '
        "else. Models are ordered and compared by the median of their seeds; one seed may be lucky.",
    ]
    for minutes, device in settings(results):
        these = [row for row in results if (row["task"]["minutes"], row["task"]["device"]) == (minutes, device)]
        lines += ["", f"**After {time_of(these[0])}.** {conclusion(these)}"]
    for device in devices:
        lines += ["", *models_of([row for row in results if row["task"]["device"] == device], device)]
    for of_set in by_set(results):
        for group in of_set:
            lines += ["", *section(group)]
        if curve_panels(of_set):
            first = of_set[0][0]
            heading = f"## {first['task']['set'].capitalize()} while they trained, {time_of(first)}"
            lines += ["", heading, "", *about_curves(of_set)]
    return "\n".join([*lines, "", *LONGER, ""])


def section(group: list[dict[str, Any]]) -> list[str]:
    """The table of a group, what follows from it, and the picture of samples where one is committed."""
    task = group[0]["task"]
    photos = f"{task['count']} photos" if task["count"] else "all photos"
    lines = [f"## {task['set'].capitalize()}, {photos}, {time_of(group[0])}", "", *table(group), ""]
    lines.append(f"{verdict(group)} {beside_default(group)}".strip())
    if picture(task).exists():
        lines += [
            "",
            f"![Samples of models that learned from {photos}: {task['set']}](images/{picture(task).name})",
            "",
        ]
        lines.append("*Samples of models, each under its name: not chosen, the first of each.*")
    return lines


def settings(results: list[dict[str, Any]]) -> list[tuple[float, str]]:
    """The times and kinds of machine that runs were made with: on a CPU first, the shorter first."""
    both = {(row["task"]["minutes"], row["task"]["device"]) for row in results}
    return sorted(both, key=lambda setting: (list(COUNT).index(setting[1]), setting[0]))


def groups(results: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Runs that may be compared: one set, one number of photos, one time, one kind of machine."""
    made: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in results:
        made.setdefault(tuple(row["task"][key] for key in ("device", "minutes", "set", "count")), []).append(row)
    return [made[key] for key in sorted(made, key=lambda key: (*key[:3], key[3] is None))]


def by_set(results: list[dict[str, Any]]) -> list[list[list[dict[str, Any]]]]:
    """Groups of one set, one time and one kind of machine, side by side."""
    together = groupby(groups(results), lambda group: (group[0]["task"]["set"], time_of(group[0])))
    return [list(parts) for _, parts in together]


def machines(results: list[dict[str, Any]], device: str) -> str:
    """The processors, or GPUs, that runs were made on."""
    found = (row["environment"] for row in results if row["task"]["device"] == device)
    return " or ".join(sorted({environment.get("gpu", environment["processor"]) for environment in found}))


def time_of(row: dict[str, Any]) -> str:
    return f"{row['task']['minutes']:g} minutes {UNITS[row['task']['device']]}"


def place_of(group: list[dict[str, Any]]) -> str:
    """Set and number of photos, in short."""
    return f"{group[0]['task']['set']} ({group[0]['task']['count'] or 'all'})"


def models_of(results: list[dict[str, Any]], device: str) -> list[str]:
    """How wide the models are, and their batches."""
    names = [name for name in ON[device] if any(row["task"]["contender"] == name for row in results)]
    lines = [
        f"## The models, on {UNITS[device].removeprefix('of ')}",
        "",
        "All else is as `ganarium train MODEL` has it.",
        "",
        "| model | options | batch |",
        "| --- " * 3 + "|",
    ]
    for name in names:
        model, options = ON[device][name]
        words = ", ".join(f"`{key}={value}`" for key, value in options.items() if key != "batch_size")
        batch = options.get("batch_size", registry.model_class(model).batch_size)
        lines.append(f"| {name} | {words or 'none: the published width'} | {batch} |")
    return lines


def judged(row: dict[str, Any]) -> tuple[str, str]:
    """The names of the two judges' numbers: that of ImageNet first."""
    names = [name for name in row["values"] if name.startswith("frechet ") and not name.endswith(", held out")]
    return next(name for name in names if name != OWN_JUDGE), OWN_JUDGE


def table(group: list[dict[str, Any]]) -> list[str]:
    """A line for each model, the nearest to the photos first, and one for photos that were held out."""
    by_imagenet, own = judged(group[0])
    lines = [
        f"| model | steps | seeds | {by_imagenet.split()[1]}, of ImageNet | {own.split()[1]}, our own |",
        "| --- " * 5 + "|",
    ]
    for contender in sorted(contenders_of(group), key=lambda name: median(group, name, by_imagenet)):
        runs = [row for row in group if row["task"]["contender"] == contender]
        cells = (cell(values_of(group, contender, name)) for name in (by_imagenet, own))
        lines.append(f"| {contender} | {runs[0]['task']['steps']:,} | {len(runs)} | {' | '.join(cells)} |")
    unseen = (group[0]["values"].get(f"{name}, held out") for name in (by_imagenet, own))
    held_out = ("too few" if value is None else cell([value]) for value in unseen)
    return [*lines, f"| *photos that no model saw* | | | {' | '.join(held_out)} |"]


def cell(values: list[float]) -> str:
    """Lowest to highest."""
    words = [f"{value:,.0f}" if value >= 10 else f"{value:.2f}" for value in sorted(values)]
    return words[0] if words[0] == words[-1] else f"{words[0]} to {words[-1]}"


def far_below(group: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """The models that are far below the baseline by both judges, and those that are by one alone."""
    below = {
        contender: [
            median(group, contender, judge) <= GOAL * median(group, BASELINE, judge) for judge in judged(group[0])
        ]
        for contender in contenders_of(group)
        if contender != BASELINE
    }
    both = [name for name, answers in below.items() if all(answers)]
    return both, [name for name, answers in below.items() if any(answers) and not all(answers)]


def ahead(group: list[dict[str, Any]], judge: str) -> list[str]:
    """The models whose median is below the default's by one judge, the nearest to the photos first."""
    bound = median(group, DEFAULT, judge)
    medians = {name: median(group, name, judge) for name in contenders_of(group) if name != DEFAULT}
    return sorted((name for name, value in medians.items() if value < bound), key=medians.__getitem__)


def conclusion(results: list[dict[str, Any]]) -> str:
    """Where a model reaches the goal, in a sentence, and who is ahead of what ganarium takes, by which judge."""
    with_baseline = [group for group in groups(results) if BASELINE in contenders_of(group)]
    reached: dict[str, list[str]] = {}
    for group in with_baseline:
        for contender in far_below(group)[0]:
            reached.setdefault(contender, []).append(place_of(group))
    where = "; ".join(f"`{name}` on {', '.join(sets)}" for name, sets in reached.items()) or "nowhere"
    goal = f"at least {round(100 * (1 - GOAL))} % below `{BASELINE}` by both judges"
    told = (
        f"The goal was {goal}, with few photos and with all. It is reached, of {several(len(with_baseline))} below: "
        f"{where}."
    )
    with_default = [group for group in groups(results) if DEFAULT in contenders_of(group)]
    if not with_default:
        return told
    told += f" Where no model is named, ganarium takes `{DEFAULT}`."
    for place, judge in enumerate(("by the features of ImageNet", "by our own judge")):
        nearer: dict[str, list[str]] = {}
        for group in with_default:
            for name in ahead(group, judged(group[0])[place]):
                nearer.setdefault(name, []).append(place_of(group))
        models = "; ".join(f"`{name}` on {', '.join(sets)}" for name, sets in nearer.items()) or "none"
        told += f" Ahead of it {judge}, of {several(len(with_default))}: {models}."
    twice = sum(bool(ahead_by_both(group)) for group in with_default)
    return f"{told} By both judges at once a model is ahead of it in {twice or 'none'} of {len(with_default)}."


def several(count: int) -> str:
    return f"{count} table" if count == 1 else f"{count} tables"


def ahead_by_both(group: list[dict[str, Any]]) -> list[str]:
    one, other = (ahead(group, judge) for judge in judged(group[0]))
    return [name for name in one if name in other]


def verdict(group: list[dict[str, Any]]) -> str:
    """Which models are far below the baseline by both judges, and which by one alone."""
    if BASELINE not in contenders_of(group):
        return f"{BASELINE} has not been run here, so nothing is said of the others."
    both, one = far_below(group)
    percent = round(100 * (1 - GOAL))
    told = f"At least {percent} % below `{BASELINE}` by both judges: {listed(both)}."
    return f"{told} By one judge alone: {listed(one)}."


def beside_default(group: list[dict[str, Any]]) -> str:
    """Which models are ahead of what ganarium takes, by which judge, and where seeds leave it open."""
    if DEFAULT not in contenders_of(group):
        return ""
    words = []
    for judge in judged(group[0]):
        names, lowest = ahead(group, judge), min(values_of(group, DEFAULT, judge))
        open_ones = [name for name in names if max(values_of(group, name, judge)) >= lowest]
        doubt = f" (ranges overlap: {listed(open_ones)})" if open_ones else ""
        words.append(f"by {judge.split()[1]} {listed(names)}{doubt}")
    return f"Ahead of the default, `{DEFAULT}`: {'; '.join(words)}; by both {listed(ahead_by_both(group))}."


def listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"


def in_words(names: list[str]) -> str:
    """a, b and c."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def contenders_of(group: list[dict[str, Any]]) -> list[str]:
    return sorted({row["task"]["contender"] for row in group})


def values_of(group: list[dict[str, Any]], contender: str, name: str) -> list[float]:
    """By seeds of one model."""
    return [row["values"][name] for row in group if row["task"]["contender"] == contender]


def median(group: list[dict[str, Any]], contender: str, name: str) -> float:
    return statistics.median(values_of(group, contender, name))


def curve_panels(of_set: list[list[dict[str, Any]]]) -> list[tuple[str, str, list[dict[str, Any]]]]:
    """What is drawn of one set: a title, the name of the distance, and its runs. Numbers of one panel are of one judge
    and one metric, which alone may be compared."""
    panels = []
    for group in of_set:
        followed = [row for row in group if row["values"].get("evaluations")]
        for place, judge in enumerate(judged(group[0])):
            for metric in METRICS:
                runs = [row for row in followed if watched_by_own(row) == place and row["values"]["metric"] == metric]
                if runs:
                    photos = f"{runs[0]['task']['count'] or 'all'} photos"
                    panels.append((f"{photos}, judged by {judge.split()[1]}", METRICS[metric], runs))
    return panels


def watched_by_own(row: dict[str, Any]) -> bool:
    """Whether our own judge counted while it trained, since the model sees through features of ImageNet."""
    return ON[row["task"]["device"]][row["task"]["contender"]][0] in LEARNS_FROM_IMAGENET


def about_curves(of_set: list[list[dict[str, Any]]]) -> list[str]:
    """The picture of the curves, what they count, and who was still getting nearer when time was up."""
    task = of_set[0][0]["task"]
    runs = [row for _, _, runs in curve_panels(of_set) for row in runs]
    lowest: dict[str, list[bool]] = {}
    for row in sorted(runs, key=lambda row: row["task"]["contender"]):
        distances = [value for _, value in row["values"]["evaluations"]]
        lowest.setdefault(row["task"]["contender"], []).append(distances[-1] == min(distances))
    falling = ", ".join(f"`{name}` in {sum(answers)} of {len(answers)}" for name, answers in lowest.items())
    return [
        f"![Distances of models while they trained on {task['set']}](images/{curves(task).name})",
        "",
        f"*A line is a run; a colour is a model. Each point counts at most {QUICK_IMAGES:,} samples, fewer than the "
        "tables do, beside the photos that the model learned from: the Fréchet distance, or the kernel distance "
        "where the photos are fewer than the features. `projected_gan` learns from features of ImageNet and is "
        "followed by our own judge alone, the others by ImageNet's; numbers of two panels cannot be compared.*",
        "",
        f"Runs whose last point is their lowest, so that they were still getting nearer when time was up: {falling}.",
    ]


def picture(task: dict[str, Any]) -> Path:
    """Where samples of the models of one table are shown."""
    words = (NAME, task["set"], task["count"] or "all", task["device"], f"{task['minutes']:g}min")
    return DOCS / "images" / f"{'-'.join(map(str, words))}.jpg"


def curves(task: dict[str, Any]) -> Path:
    """Where the curves of one set are shown."""
    words = (NAME, task["set"], task["device"], f"{task['minutes']:g}min", "curves")
    return DOCS / "images" / f"{'-'.join(words)}.png"


def draw(results: list[dict[str, Any]]) -> None:
    """The pictures of the page, in docs/images. Samples are those of the grids in RUNS: where one is not there the
    committed picture stays."""
    for group in groups(results):
        task, by_imagenet = group[0]["task"], judged(group[0])[0]
        shown = sorted((row for row in group if row["task"]["seed"] == 0), key=lambda row: row["values"][by_imagenet])
        absent = [grid.name for row in shown if not (grid := grid_of(row["task"])).exists()]
        if absent or not shown:
            print(f"{picture(task).name} is not drawn: {', '.join(absent) or 'runs of seed 0'} not in {RUNS}")
        else:
            draw_samples(shown, picture(task))
    for of_set in by_set(results):
        if panels := curve_panels(of_set):
            draw_curves(panels, curves(of_set[0][0]["task"]))


def grid_of(task: dict[str, Any]) -> Path:
    return RUNS / f"{folder_name(task)}.png"


def draw_samples(shown: list[dict[str, Any]], path: Path) -> None:
    """The first samples of each run, a row for each under the name of its model."""
    border, caption = 2, 12  # pixels
    strip = (SHOWN * (SIZE + border) + border, SIZE + border)
    sheet = Image.new("RGB", (strip[0], len(shown) * (strip[1] + caption)), "white")
    pen = ImageDraw.Draw(sheet)
    for place, row in enumerate(shown):
        top = place * (strip[1] + caption)
        with Image.open(grid_of(row["task"])) as grid:
            sheet.paste(grid.convert("RGB").crop((0, 0, *strip)), (0, top + caption))
        pen.text((border, top), row["task"]["contender"], fill="black")
    sheet.save(path, quality=90)


def draw_curves(panels: list[tuple[str, str, list[dict[str, Any]]]], path: Path) -> None:
    """A panel for each judge and metric: the distance of every run over the time that it had."""
    columns = min(2, len(panels))
    lines = -(-len(panels) // columns)
    figure, axes = figure_of_panels(lines, 4.2 * columns, 3.1 * lines, columns)
    names = list(ON[panels[0][2][0]["task"]["device"]])
    for axis, (title, distance, runs) in zip(axes, panels, strict=False):
        for row in sorted(runs, key=lambda row: names.index(row["task"]["contender"])):
            task = row["task"]
            steps, values = zip(*row["values"]["evaluations"], strict=True)
            minutes = [task["minutes"] * step / task["steps"] for step in steps]
            place = names.index(task["contender"])
            axis.plot(minutes, values, ".-", color=f"C{place}", linewidth=1.2, markersize=4, label=task["contender"])
        axis.set_title(title, fontsize=9)
        axis.set_xlabel(f"minutes {UNITS[runs[0]['task']['device']]}", fontsize=8)
        axis.set_ylabel(distance, fontsize=8)
        axis.tick_params(labelsize=8)
        axis.set_xlim(left=0)
        axis.set_ylim(bottom=min(0, *(value for row in runs for _, value in row["values"]["evaluations"])))
        once = dict(zip(*reversed(axis.get_legend_handles_labels()), strict=True))
        axis.legend(once.values(), once.keys(), fontsize=7)
    for axis in axes[len(panels) :]:
        axis.remove()
    save_figure(figure, path)


def machine(device: str) -> dict[str, Any]:
    """What a run was made on and with."""
    return environment() | ({"gpu": torch.cuda.get_device_name(device)} if device != "cpu" else {})


def sets_here(names: list[str] | None, device: str) -> list[str]:
    """The sets that are asked for, or the usual ones of a device as far as GANARIUM_DATA has them."""
    absent = [name for name in names or USUAL_SETS[device] if not SETS[name].is_dir()]
    here = [name for name in names or USUAL_SETS[device] if name not in absent]
    if (names and absent) or not here:
        raise SystemExit(f"{SETS[absent[0]]} is not here: set GANARIUM_DATA to the folder that holds it.")
    for name in absent:
        print(f"without {name}: {SETS[name]} is not here")
    return here


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--time", action="store_true", help="time the contenders, and stop")
    parser.add_argument("--page", action="store_true", help="write the page of the runs that are kept, and stop")
    parser.add_argument("--second", action="store_true", help="seeds 1 and 2 of --only, on faces")
    parser.add_argument("--only", nargs="+", help="contenders")
    parser.add_argument("--sets", nargs="+", choices=SETS, help="by default faces and flowers, on a GPU all")
    parser.add_argument("--counts", nargs="+", default=["all", str(FEW)], choices=["all", str(FEW)])
    parser.add_argument("--minutes", type=float, default=10.0, help="of a run, by the timing")
    parser.add_argument("--device", default="cpu", choices=COUNT)
    arguments = parser.parse_args()
    if arguments.page:
        if not rows(NAME):
            raise SystemExit(f"{RESULTS / NAME}.jsonl holds no runs: make one first.")
        draw(rows(NAME))
        (DOCS / f"{NAME}.md").write_text(page(rows(NAME)), encoding="utf-8")
        return
    if arguments.device == "cpu":
        torch.set_num_threads(1)
    contenders = ON[arguments.device]
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
    rounds = [(name, count, 0) for name in sets_here(arguments.sets, arguments.device) for count in counts]
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
                keep(NAME, task, values | {"seconds": round(time.process_time() - began, 1)}, machine(arguments.device))
                print(task, values, flush=True)


if __name__ == "__main__":
    main()
