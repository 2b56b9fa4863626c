"""Draws docs/images/photos-enlarged.jpg: `GANARIUM_DATA=... python tools/photos_enlarged_picture.py`.

SRResNet (`tools/train_upscaler.py --full`) and an SRGAN that begins with its weights enlarge photographs of Set14 four
times. Only what they make is shown, since the photographs are not ganarium's; `tools/enlargement_picture.py SET14
table.png runs/upscaler-full runs/srgan-full` draws it beside bicubic and the originals. The PSNR and SSIM of Set5 and
Set14 are printed. The second run takes six minutes of one core and goes on where it was stopped.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from enlargement_picture import PART, sheet
from PIL import Image
from torch import Tensor

import ganarium
from ganarium import metrics
from ganarium.data.augment import cropped, enlarged, reduced
from ganarium.data.dataset import decode
from ganarium.runs import checkpoint

FILE = Path(__file__).parents[1] / "docs" / "images" / "photos-enlarged.jpg"
FULL, RUN, STEPS = Path("runs/upscaler-full"), Path("runs/srgan-full"), 800
OPTIONS = {"scale": 4, "generator": "basicsr", "content": "efficientnet", "discriminator_width": 32, "lr": 2e-4}
TRAINING = {"size": "64", "layout": "patches", "batch_size": 8, "seed": 0, "mirror": True, "precision": "bf16"}
SHOWN = ("img_001", "img_005", "img_006", "img_007", "img_011", "img_014")


def images(folder: Path) -> Iterator[tuple[str, Tensor, Tensor]]:
    """The name of each photograph, itself (1, 3, h, w) in [-1, 1], and a quarter of its size as a file would be."""
    for path in sorted(folder.iterdir()):
        pixels = np.array(Image.open(path).convert("RGB"))
        image = cropped(decode(torch.from_numpy(pixels)[None]), 4)
        yield path.stem, image, (reduced(image, 4) * 127.5 + 127.5).round() / 127.5 - 1


def part(image: Tensor) -> Image.Image:
    """The middle of an image, twice as large as PART."""
    side = 2 * PART
    top, left = (max(0, (length - side) // 2) for length in image.shape[2:])
    pixels = image[0, :, top : top + side, left : left + side].permute(1, 2, 0)
    return Image.fromarray((pixels.clamp(-1, 1) * 127.5 + 127.5).round().byte().cpu().numpy())


def main() -> None:
    torch.set_num_threads(1)
    data = Path(os.environ["GANARIUM_DATA"])
    if not checkpoint.exists(RUN):
        options = {**OPTIONS, **TRAINING, "num_pretraining_steps": 0, "evaluate_every": 0, "threads": 1}
        photos = str(data / "bsds500" / "images")
        ganarium.train("srgan", photos, out=RUN, steps=STEPS, init_from=str(FULL), **options)
    elif checkpoint.newest(RUN)[2]["step"] < STEPS:
        ganarium.resume(RUN)
    models: dict[str, Any] = {"bicubic": None, "SRResNet": ganarium.load(FULL), "SRGAN": ganarium.load(RUN)}
    shown = {}
    for name in ("Set5", "Set14"):
        values: dict[str, list[tuple[float, float]]] = {title: [] for title in models}
        for stem, image, low in images(data / "sr" / name):
            for title, model in models.items():
                made = model.upscale(low) if model else enlarged(low, 4)
                psnr = float(metrics.psnr(made, image, border=4))
                values[title].append((psnr, float(metrics.ssim(made, image, border=4))))
                if model and name == "Set14":
                    shown[stem, title] = (part(made), f"{stem}, {psnr:.1f} dB")
        for title, pairs in values.items():
            psnr, ssim = np.mean(pairs, axis=0)
            print(f"{name}, {title}: PSNR {psnr:.2f} dB, SSIM {ssim:.3f}", flush=True)
    titles = ("SRResNet", "SRGAN")
    rows = [[shown[stem, title] for title in titles] for stem in SHOWN if (stem, titles[0]) in shown]
    half = -(-len(rows) // 2)
    table = sheet((*titles, *titles), [a + b for a, b in zip(rows[:half], rows[half:], strict=True)])
    table.save(FILE, quality=88)


if __name__ == "__main__":
    main()
