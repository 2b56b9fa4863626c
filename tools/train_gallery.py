"""Trains the small generators that come with the package: `python tools/train_gallery.py [NAME ...]`.

Each is trained on data that may be passed on, evaluated, and written into `src/ganarium/runs/weights` in float16 with a
card: data, terms, numbers with their protocol, command and seed. A run that was stopped goes on where it was, and one
that has been written is not made again (`--again` makes it). Each takes 5 to 15 minutes of one core.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.colors import hsv_to_rgb
from PIL import Image

import ganarium
from ganarium.data import load_data
from ganarium.data.sources.paired_scenes import Shapes, describe, draw_shapes, render_shapes
from ganarium.proofs.measures.scenes_by_words import compare, questions, read_shapes
from ganarium.runs import checkpoint, gallery, pretrained
from ganarium.runs.loading import config_of

RUNS = Path("runs/gallery")
LARGEST = 700 * 1024  # bytes of a file
DRAWN = "drawn by ganarium itself from matplotlib's fonts or shapes: free to pass on"
FASHION = "Fashion-MNIST, Zalando SE, MIT licence"


def draw_scenes_of_one(folder: Path) -> None:
    """The scenes of one shape among 24,000 drawn ones, some 8,000 PNG files of 32x32, with five sentences each."""
    rng = np.random.default_rng(0)
    shapes = draw_shapes(24_000, (32, 32), torch.Generator().manual_seed(0))
    one = (shapes.kind >= 0).sum(1) == 1
    shapes = Shapes(*(field[one] for field in shapes))
    lines = []
    for place, pixels in enumerate(render_shapes(shapes, (32, 32))):
        Image.fromarray(pixels.numpy()).save(folder / f"{place:05d}.png")
        sentences = describe(Shapes(*(field[place] for field in shapes)), rng)
        lines.append(json.dumps({"file_name": f"{place:05d}.png", "captions": sentences}))
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def draw_tinted_garments(folder: Path) -> None:
    """20,000 garments of Fashion-MNIST as PNG files of 32x32, each in a colour of its own, on white."""
    grey = load_data("fashion_mnist", size=(32, 32))[0].images[:20_000, ..., 0] / 255.0  # (n, 32, 32), 0 is background
    rng = np.random.default_rng(0)
    for place, shade in enumerate(grey.numpy()):
        red_green_blue = hsv_to_rgb((rng.random(), rng.uniform(0.45, 0.95), rng.uniform(0.5, 0.95)))
        covered = np.minimum(1, 3 * shade)[..., None]  # soft at the edge of the garment alone
        lit = red_green_blue * (0.45 + 0.55 * shade[..., None])
        pixels = np.round(255 * (covered * lit + 1 - covered)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{place:05d}.png")


class Entry(NamedTuple):
    """One generator: what it shows, and how it is trained."""

    what: str
    model: str
    terms: str
    options: dict[str, Any]
    parts: tuple[str, ...] = ("generator",)
    directions: tuple[str, ...] | None = None
    draw: Callable[[Path], None] | None = None  # draws the pictures into the folder that `data` names
    drawn: str = ""  # what it draws, in words


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
    "words": Entry(
        "a shape of the colour, the size and at the place that a sentence says",
        "text_to_image",
        DRAWN,
        {"data": str(RUNS / "scenes-of-one-shape"), "size": 32, "steps": 10000, "encoder": "words"}
        | {"batch_size": 32, "embedding_dim": 128, "projected": 64, "width": 24, "latent_dim": 16}
        | {"candidates": 31, "halvings": 0, "lr": 5e-4},
        ("generator", "examples"),
        draw=draw_scenes_of_one,
        drawn="scenes of one shape with sentences, drawn by this script",
    ),
    "style": Entry(
        "garments in colours, where one gives the shape and another the colour",
        "stylegan2",
        FASHION,
        {"data": str(RUNS / "tinted-garments"), "size": 32, "steps": 11000, "base_width": 512, "max_width": 64}
        | {"latent_dim": 64, "mapping_layers": 2, "mixing": 0.5, "gamma": 0.1, "path_weight": 0, "batch_size": 16},
        draw=draw_tinted_garments,
        drawn="20,000 garments of fashion_mnist, each tinted by this script in a colour of its own",
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
    if entry.draw and not Path(entry.options["data"]).exists():
        part = RUNS / f"{name}-drawing"
        part.mkdir(parents=True, exist_ok=True)
        entry.draw(part)
        part.rename(entry.options["data"])
    if not checkpoint.exists(folder):
        ganarium.train(entry.model, out=folder, seed=0, threads=1, evaluate_every=0, **entry.options)
    elif checkpoint.newest(folder)[2]["step"] < entry.options["steps"]:
        ganarium.resume(folder)
    config = config_of(folder)
    shown = " ".join(option(key, value) for key, value in entry.options.items() if key != "data")
    card = {
        "what": entry.what,
        "model": entry.model,
        "data": entry.drawn or entry.options["data"],
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


def option(key: str, value: Any) -> str:
    """An option as it is typed."""
    words = key.replace("_", "-")
    if isinstance(value, bool):
        return f"--{words}" if value else f"--no-{words}"
    return f"--{words} {value}"


def numbers(folder: Path) -> dict[str, Any]:
    """What `ganarium evaluate` measures on 2,000 samples, with its protocol."""
    model = ganarium.load(folder)
    if model.captioned:
        sentences, asked = questions(0)
        shares = compare(read_shapes(model.sample(len(sentences), seed=0, text=sentences)), asked)
        protocol = f"{len(sentences)} sentences, the largest shape of each picture read by formulas: shares that agree"
        return {"protocol": protocol, **{key: round(shares[key], 4) for key in ("colour", "size", "place", "kind")}}
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
