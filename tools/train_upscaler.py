"""Trains the small SRResNet of `ganarium upscale --pretrained` and writes its weights into the package.

    python tools/train_upscaler.py

It draws 800 pictures that may be passed on (textures, scenes, lines of text) into `runs/upscaler/pictures`, trains
`srgan` on them for its first phase alone (mean squared error; 8 blocks of 32 channels, 0.23 million parameters), lowers
the learning rate twice, and writes `src/ganarium/runs/weights/upscaler.safetensors` in float16, with a card of how it
was made and, where GANARIUM_DATA has Set5, its PSNR there beside bicubic's. Nothing of Set5 is trained on.

It takes about 15 minutes of one core of its own (`OMP_NUM_THREADS=1`), and half an hour of one that others use too;
`--steps` sets another length. Stopped at any moment (Ctrl-C, SIGTERM, kill), the same command goes on where it was:
pictures that are there are kept, and the run goes on from its last checkpoint, of which there is one every five
minutes.

    GANARIUM_DATA=... python tools/train_upscaler.py --full

trains the full network (16 blocks of 64 channels, 1.5 million parameters) on the 200 training photographs of BSDS500
instead, for about 15 minutes of one core with bfloat16, and writes its PSNR on the card of the shipped one, beside its
own. Its weights stay in `runs/upscaler-full`: the photographs are not ganarium's to pass on.
"""

import argparse
import json
import os
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib import get_data_path
from PIL import Image, ImageDraw, ImageFont
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

import ganarium
from ganarium import metrics
from ganarium.data.augment import cropped, reduced
from ganarium.data.dataset import decode
from ganarium.data.sources.glyphs import FONTS
from ganarium.data.sources.scenes import draw_scenes, render
from ganarium.data.sources.textures import render_textures
from ganarium.runs import checkpoint, gallery, pretrained
from ganarium.runs.loading import config_of
from ganarium.runtime.files import atomic_write

RUN = Path("runs/upscaler")
SIDE, PATCH = 256, 96  # pixels
NUM_TEXTURES, NUM_SCENES, NUM_TEXTS = 480, 80, 240
PARTS = ((0.7, 1e-3), (0.9, 3e-4), (1.0, 5e-5))  # share of the steps at which a part ends, and its learning rate
STEPS = 4000  # of 8 patches; 0.2 s each
OPTIONS = {"scale": 4, "generator": "basicsr", "num_blocks": 8, "width": 32, "discriminator_width": 1}
TRAINING = {"size": PATCH, "layout": "patches", "batch_size": 8, "seed": 0, "device": "cpu", "mirror": True, "keep": 2}
TRAINING |= {"precision": "auto"}
FULL_RUN = Path("runs/upscaler-full")
FULL_PARTS = ((0.65, 5e-4), (0.9, 2e-4), (1.0, 5e-5))
FULL_OPTIONS = OPTIONS | {"num_blocks": 16, "width": 64}
FULL_TRAINING = TRAINING | {"size": 64}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=STEPS, help="of training")
    parser.add_argument("--run", type=Path, help="where pictures and the run are kept; default: below runs/")
    parser.add_argument("--full", action="store_true", help="train the full network on BSDS500, for its number alone")
    arguments = parser.parse_args()
    steps = arguments.steps
    if arguments.full:
        train_full(arguments.run or FULL_RUN, steps)
        return
    home = arguments.run or RUN
    pictures, run = home / "pictures", home / "run"
    draw_pictures(pictures)
    train_to_end(run, pictures, steps, PARTS, OPTIONS, TRAINING)
    model = ganarium.load(run)
    card = {
        "what": "pictures enlarged four times",
        "network": "SRResNet without batch norm, 8 blocks of 32 channels, x4, float16",
        "model": "srgan",
        "data": f"{NUM_TEXTURES} textures, {NUM_SCENES} scenes, {NUM_TEXTS} lines of text, drawn by ganarium",
        "terms": "drawn pictures and the fonts of matplotlib: free to pass on",
        "steps": steps,
        "seed": 0,
        "batch_size": TRAINING["batch_size"],
        "command": "python tools/train_upscaler.py",
    }
    config = config_of(run)
    pretrained.write("upscaler", model, config, card)
    card["numbers"] = set5(pretrained.load_pretrained())  # in float16, as it is shipped
    path = pretrained.write("upscaler", model, config, card)
    print(json.dumps(card, indent=1))
    print(f"{path}: {path.stat().st_size / 1024:.0f} KiB, {count(model):,} parameters")


def train_full(run: Path, steps: int) -> None:
    """Trains the full network on BSDS500, and writes its PSNR on the card of the shipped one."""
    pictures = Path(os.environ["GANARIUM_DATA"]) / "bsds500" / "images"
    train_to_end(run, pictures, steps, FULL_PARTS, FULL_OPTIONS, FULL_TRAINING)
    write_full(run, steps)


def write_full(run: Path, steps: int) -> None:
    """Writes the PSNR of the full network, after those of its steps that are done, on the card of the shipped one."""
    model, done = ganarium.load(run), checkpoint.newest(run)[2]["step"]
    size, batch = FULL_TRAINING["size"], FULL_TRAINING["batch_size"]
    network = f"SRResNet without batch norm, 16 blocks of 64 channels ({count(model):,} parameters)"
    length = f"{done:,} steps" if done == steps else f"{done:,} of {steps:,} steps"
    training = f"200 photographs of BSDS500, {length} of {batch} patches of {size} pixels"
    psnr = set5(model)["psnr"]
    full = {"network": network, "data": training, "psnr": psnr, "command": "python tools/train_upscaler.py --full"}
    card = gallery.card("upscaler")
    card["numbers"]["full_network"] = full
    with safe_open(gallery.checked("upscaler"), "pt") as file:
        metadata = file.metadata() | {"card": json.dumps(card)}
        tensors = {key: file.get_tensor(key) for key in file.offset_keys()}
    with atomic_write(gallery.FOLDER / "upscaler.json") as temporary:
        temporary.write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    with atomic_write(gallery.FOLDER / "upscaler.safetensors") as temporary:
        save_file(tensors, temporary, metadata)
    print(json.dumps(card, indent=1))


def train_to_end(
    run: Path,
    pictures: Path,
    total: int,
    parts: tuple[tuple[float, float], ...],
    options: dict[str, Any],
    training: dict[str, Any],
) -> None:
    """Trains the parts that are still to come, from wherever the run is."""
    for share, lr in parts:
        train_to(run, pictures, round(share * total), lr, options | {"num_pretraining_steps": total}, training)


def train_to(run: Path, pictures: Path, end: int, lr: float, options: dict[str, Any], training: dict[str, Any]) -> None:
    if not checkpoint.exists(run):
        shutil.rmtree(run, ignore_errors=True)  # killed before its first checkpoint
        ganarium.train("srgan", str(pictures), out=run, steps=end, lr=lr, **training, **options)
        return
    done = checkpoint.newest(run)[2]
    if done["step"] >= end:
        return
    resumed = {"steps": end} if done["total"] != end else {}
    ganarium.resume(run, lr=lr, **resumed)


def draw_pictures(folder: Path) -> None:
    """Textures, scenes and lines of text as PNG files; what is there already is kept."""
    folder.mkdir(parents=True, exist_ok=True)
    there = {path.name for path in folder.glob("*.png")}

    def write(name: str, pixels: Tensor) -> None:
        if name not in there:
            with atomic_write(folder / name) as temporary:
                Image.fromarray(pixels.numpy()).save(temporary, "PNG")

    if f"texture-{NUM_TEXTURES - 1}.png" not in there:
        for number, image in enumerate(render_textures(NUM_TEXTURES, (SIDE, SIDE))):
            write(f"texture-{number}.png", image)
    scenes = draw_scenes(NUM_SCENES, (SIDE, SIDE), torch.Generator().manual_seed(7))
    for look in ("filled", "outlined"):
        for number, image in enumerate(render(scenes, look, (SIDE, SIDE))[: NUM_SCENES // 2]):
            write(f"scene-{look}-{number}.png", image)
    for number in range(NUM_TEXTS):
        if f"text-{number}.png" not in there:
            write(f"text-{number}.png", torch.from_numpy(np.array(text_picture(number))))


def text_picture(number: int) -> Image.Image:
    """Lines of letters in many fonts, sizes, colours and angles, drawn at twice the size and reduced."""
    draw = random.Random(number)
    colours = [tuple(draw.randrange(256) for _ in range(3)) for _ in range(2)]
    image = Image.new("RGB", (2 * SIDE, 2 * SIDE), colours[0])
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,;:!?&%()/+-="
    place = 0
    while place < 2 * SIDE:
        size = draw.randrange(18, 96)
        font = ImageFont.truetype(str(Path(get_data_path()) / "fonts" / "ttf" / f"{draw.choice(FONTS)}.ttf"), size)
        line = "".join(draw.choice(letters + " " * 12) for _ in range(60))
        ImageDraw.Draw(image).text((draw.randrange(-20, 20), place), line, colours[1], font)
        place += round(1.2 * size)
    turned = image.rotate(
        draw.choice((0, 0, 90, draw.uniform(-20, 20))), Image.Resampling.BICUBIC, fillcolor=colours[0]
    )
    return turned.resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def set5(model: ganarium.model.Model) -> dict[str, float | str]:
    """PSNR on Set5 beside bicubic's; empty where the pictures are not here."""
    folder = Path(os.environ.get("GANARIUM_DATA", "../shared/data")) / "sr" / "Set5"
    made, plain = [], []
    for path in sorted(folder.glob("*.png")):
        image = decode(torch.from_numpy(np.array(Image.open(path).convert("RGB")))[None])
        image = cropped(image, 4)
        low = (reduced(image, 4) * 127.5 + 127.5).round() / 127.5 - 1  # as a file of it would be
        made.append(metrics.psnr(model.upscale(low), image, border=4))
        bicubic = F.interpolate(low, scale_factor=4, mode="bicubic", antialias=True)  # as in the tables: a = -0.5
        plain.append(metrics.psnr(bicubic.clamp(-1, 1), image, border=4))
    if not made:
        return {}
    protocol = "Set5, x4, luma without 4 pixels at the border, mean of 5 pictures, dB"
    return {"protocol": protocol, "psnr": round(sum(made) / 5, 3), "psnr_of_bicubic": round(sum(plain) / 5, 3)}


def count(model: ganarium.model.Model) -> int:
    return sum(parameter.numel() for parameter in model.get_submodule("generator").parameters())


if __name__ == "__main__":
    main()
