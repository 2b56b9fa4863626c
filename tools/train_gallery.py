"""Trains the small generators that come with the package: `python tools/train_gallery.py [NAME ...]`.

Each is trained on data that may be passed on, evaluated, and written into `src/ganarium/runs/weights` in float16 with a
card: data, terms, numbers with their protocol, command and seed. A run that was stopped goes on where it was, and one
that has been written is not made again (`--again` makes it). Each takes 5 to 15 minutes of one core.
"""

import argparse
import json
from pathlib import Path
from typing import Any, NamedTuple

import ganarium
from ganarium.runs import checkpoint, gallery, pretrained
from ganarium.runs.loading import config_of

RUNS = Path("runs/gallery")
LARGEST = 700 * 1024  # bytes of a file
DRAWN = "drawn by ganarium itself from matplotlib's fonts or shapes: free to pass on"
FASHION = "Fashion-MNIST, Zalando SE, MIT licence"


class Entry(NamedTuple):
    """One generator: what it shows, and how it is trained."""

    what: str
    model: str
    terms: str
    options: dict[str, Any]
    parts: tuple[str, ...] = ("generator",)
    directions: tuple[str, ...] | None = None


ENTRIES = {
    "garments": Entry(
        "new garments from noise",
        "dcgan",
        FASHION,
        {"data": "fashion_mnist", "steps": 4000, "width": 24, "latent_dim": 64, "batch_size": 64, "lr": 4e-4},
    ),
    "garments-by-class": Entry(
        "the garment that is asked for",
        "cgan",
        FASHION,
        {"data": "fashion_mnist", "steps": 6000, "network": "dcgan", "width": 16, "batch_size": 64, "lr": 6e-4}
        | {"dropout": 0.1},
    ),
    "garments-by-code": Entry(
        "garments whose kind and style a code sets, found without labels",
        "infogan",
        FASHION,
        {"data": "fashion_mnist", "steps": 6000, "width": 12, "batch_size": 64},
    ),
    "scenes": Entry(
        "filled shapes into outlines and back, learned without pairs",
        "cyclegan",
        DRAWN,
        {"data": "scenes_unpaired", "size": 32, "steps": 5000, "width": 12, "num_blocks": 3, "augment": False}
        | {"lr": 1e-3, "batch_size": 4},
        ("a2b", "b2a"),
        ("a2b", "b2a"),
    ),
    "outlines": Entry(
        "outlines into filled shapes, learned from pairs",
        "pix2pix",
        DRAWN,
        {"data": "scenes_paired", "size": 32, "steps": 15000, "width": 8, "batch_size": 8, "direction": "b2a"}
        | {"lr": 5e-4},
    ),
    "holes": Entry(
        "holes in pictures of textures and shapes filled",
        "context_encoder",
        DRAWN,
        {"data": "glyphs_coloured", "size": 32, "steps": 4000, "width": 8, "bottleneck": 128, "regions": "random"}
        | {"batch_size": 32},
    ),
}


def train(name: str, entry: Entry) -> None:
    """Trains one generator, from wherever its run is, and writes its file and its card."""
    folder = RUNS / name
    if not checkpoint.exists(folder):
        ganarium.train(entry.model, out=folder, seed=0, threads=1, evaluate_every=0, **entry.options)
    elif checkpoint.newest(folder)[2]["step"] < entry.options["steps"]:
        ganarium.resume(folder)
    config = config_of(folder)
    shown = " ".join(f"--{key.replace('_', '-')} {value}" for key, value in entry.options.items() if key != "data")
    card = {
        "what": entry.what,
        "model": entry.model,
        "data": entry.options["data"],
        "terms": entry.terms,
        "steps": entry.options["steps"],
        "seed": 0,
        "command": f"ganarium train {entry.model} --data {entry.options['data']} {shown}",
        "made_by": f"python tools/train_gallery.py {name}",
        "processor": config["processor"],
        "numbers": numbers(folder),
    }
    path = pretrained.write(name, ganarium.load(folder), config, card, parts=entry.parts, directions=entry.directions)
    size = path.stat().st_size
    print(json.dumps(card, indent=1), f"\n{path}: {size / 1024:.0f} KiB", flush=True)
    if size > LARGEST:
        path.unlink()
        raise SystemExit(f"{name} is larger than {LARGEST // 1024} KiB: make it narrower.")


def numbers(folder: Path) -> dict[str, Any]:
    """What `ganarium evaluate` measures on 2,000 samples, with its protocol."""
    evaluation = ganarium.evaluate(folder, n=2000, seed=0)
    values = {key: round(value, 4) for key, value in evaluation.values.items() if isinstance(value, float)}
    return {"protocol": str(evaluation.protocol), **values}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(ENTRIES)}; default: all")
    parser.add_argument("--again", action="store_true", help="also those that are there already")
    arguments = parser.parse_args()
    for name in arguments.names or ENTRIES:
        if arguments.again or name not in gallery.names():
            train(name, ENTRIES[name])
