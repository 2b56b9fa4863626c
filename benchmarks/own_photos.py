"""Which model a person with a folder of photos should train: six of them on faces and flowers, all images and 100.

    python benchmarks/own_photos.py --time        once: seconds of a step of each, in turns, on quiet cores
    python benchmarks/own_photos.py               the first round: 24 runs of ten minutes of both cores each
    python benchmarks/own_photos.py --second      two more seeds of the best two and the better dcgan, on faces
    python benchmarks/own_photos.py --device cuda --minutes 30      the form for a GPU, with r3gan and wgan_gp

Minutes become steps once, by the timing, which is kept with the processor's name; every run then makes that many steps,
wherever it runs. One run at a time; a run that was stopped goes on from its last checkpoint, and results are kept as
they come, in benchmarks/results/own_photos.jsonl. Each run is read by two judges of other kinds on 5,000 samples:
ImageNet features, and our own, which never saw ImageNet (projected_gan learns from ImageNet features). Reals are all
training images of the set, also where only 100 were trained on; beside them stands what held-out images get.
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

import ganarium
from ganarium import metrics, registry, streams
from ganarium.data.batches import Batches
from ganarium.data.dataset import Dataset
from ganarium.evaluation.features import features_of, images_of, network_for
from ganarium.pictures.grid import save_grid
from ganarium.runs import checkpoint
from ganarium.runtime.environment import environment
from ganarium.trainer import Trainer
from studies import RESULTS, keep, rows

NAME, SIZE, COUNT, FEW = "own_photos", 64, 5000, 100
DATA = Path(os.environ.get("GANARIUM_DATA", "../shared/data"))
RUNS, TIMING = Path("runs/own_photos"), RESULTS / "own_photos-timing.json"
SETS = {"faces": DATA / "lfw64" / "faces", "flowers": DATA / "flowers102" / "images"}
CONTENDERS: dict[str, tuple[str, dict[str, Any]]] = {
    "projected_gan": ("projected_gan", {"width": 16, "feature_size": 128}),
    "fastgan": ("fastgan", {"width": 16}),
    "stylegan2": ("stylegan2", {"base_width": 1024, "max_width": 64, "latent_dim": 128}),
    "sngan": ("sngan", {"generator_width": 16, "discriminator_width": 16}),
    "dcgan": ("dcgan", {"width": 32}),
    "dcgan, DiffAugment": ("dcgan", {"width": 32, "augment": "diff"}),
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
TURNS = 4  # of each contender, in the timing
TURN = 8.0  # seconds


def time_all(contenders: dict[str, tuple[str, dict[str, Any]]], device: str) -> dict[str, float]:
    """Seconds of a step of each contender: the median of turns that are taken one after another (A B A B)."""
    train, _ = ganarium.load_data(str(SETS["faces"]), size=(SIZE, SIZE))
    trainers = {}
    for name, (model_name, options) in contenders.items():
        torch.manual_seed(0)
        model: Any = registry.create(model_name, train.shape, None, **options)
        batches = Batches(train, model.batch_type, model.batch_size, device=torch.device(device))
        trainers[name] = Trainer(model, batches, 10**9)
        trainers[name].prepare()
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(TURNS + 1):
        for name, trainer in trainers.items():
            began, steps = time.monotonic(), 0
            while time.monotonic() - began < TURN or not steps:
                trainer.iterate()
                trainer.drain()
                steps += 1
            if turn:  # the first fills caches
                seconds[name].append((time.monotonic() - began) / steps)
    return {name: statistics.median(own) for name, own in seconds.items()}


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


def train(task: dict[str, Any], model: str, options: dict[str, Any], steps: int) -> Path:
    """Makes the run of a task, or goes on with it; gives its folder."""
    words = (task["contender"].replace(", ", "-"), task["set"], str(task["count"] or "all"), str(task["seed"]))
    folder = RUNS / "-".join(words)
    if not checkpoint.exists(folder):
        photos = folder_of(SETS[task["set"]], task["count"])
        settings = {"size": SIZE, "steps": steps, "seed": task["seed"], "device": task["device"]}
        ganarium.train(model, str(photos), out=folder, evaluate_every=0, **settings, **options)
    elif checkpoint.newest(folder)[2]["step"] < steps:
        ganarium.resume(folder)
    return folder


def measure(folder: Path, reals: Dataset, held_out: Dataset, device: str) -> dict[str, float]:
    """Frechet distances of 5,000 samples, and of as many held-out images as there are, by both judges."""
    model, values = ganarium.load(folder, device=device), {}
    count = min(COUNT, len(reals))
    for judge in JUDGES:
        network = network_for(reals.name, reals.shape[0], judge, torch.device(device))
        real = features_of(network, images_of(reals, count, 0))
        fake = features_of(network, streams.samples(model, count, seed=0))
        test = features_of(network, images_of(held_out, min(count, len(held_out)), 0))
        values[f"frechet {judge}"] = float(metrics.frechet_distance(real, fake))
        values[f"frechet {judge}, held out"] = float(metrics.frechet_distance(real, test))
    save_grid(model.sample(64, seed=0), RUNS / f"{folder.name}.png")
    return values


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--time", action="store_true", help="time the contenders, and stop")
    parser.add_argument("--second", action="store_true", help="seeds 1 and 2 of --only, on all faces")
    parser.add_argument("--only", nargs="+", help="contenders")
    parser.add_argument("--minutes", type=float, default=10.0, help="of a run, by the timing")
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    contenders = CONTENDERS if arguments.device == "cpu" else ON_GPU
    if arguments.time:
        timing = {"seconds": time_all(contenders, arguments.device), "environment": environment()}
        TIMING.write_text(json.dumps(timing, indent=1) + "\n")
        print(json.dumps(timing["seconds"], indent=1))
        return
    if not TIMING.exists():
        raise SystemExit(f"{TIMING} is not here: run with --time first, on cores that do nothing else.")
    seconds = json.loads(TIMING.read_text())["seconds"]
    done = [row["task"] for row in rows(NAME)]
    rounds = [("faces", None, seed) for seed in (1, 2)]
    if not arguments.second:
        rounds = [(name, count, 0) for name in SETS for count in (None, FEW)]
    for name, count, seed in rounds:
        reals, held_out = ganarium.load_data(str(SETS[name]), size=(SIZE, SIZE))
        for contender in arguments.only or contenders:
            steps = round(60 * arguments.minutes / seconds[contender])
            task = {"contender": contender, "set": name, "count": count, "seed": seed, "steps": steps}
            task |= {"device": arguments.device}
            if task in done:
                continue
            began = time.monotonic()
            folder = train(task, *contenders[contender], steps)
            values = measure(folder, reals, held_out, arguments.device)
            keep(NAME, task, values | {"seconds": time.monotonic() - began}, environment())
            print(task, values, flush=True)


if __name__ == "__main__":
    main()
