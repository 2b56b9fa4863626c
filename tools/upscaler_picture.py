"""Draws docs/images/upscaler.png: drawn pictures that were reduced four times, enlarged by bicubic and by `upscaler`.

The third column is the original. The training has seen none of these pictures.
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from train_upscaler import SIDE, text_picture

import ganarium
from ganarium.data.augment import reduced
from ganarium.data.dataset import decode
from ganarium.data.sources.scenes import draw_scenes, render

UNSEEN = 100_000  # a number that the training does not reach
GAP, PART = 6, 160  # pixels


def main() -> None:
    model = ganarium.load("pretrained:upscaler")
    scene = render(draw_scenes(1, (SIDE, SIDE), torch.Generator().manual_seed(UNSEEN)), "filled", (SIDE, SIDE))[0]
    pictures = [np.asarray(text_picture(UNSEEN)), scene.numpy()]
    rows = []
    for picture in pictures:
        image = decode(torch.from_numpy(picture.copy())[None])
        low = (reduced(image, 4) * 127.5 + 127.5).round() / 127.5 - 1
        small = Image.fromarray(levels(low))
        large = small.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        columns = [np.asarray(large), levels(model.upscale(low)), picture]
        start = (SIDE - PART) // 2
        rows.append(np.concatenate([framed(c[start : start + PART, start : start + PART]) for c in columns], 1))
    Image.fromarray(np.concatenate(rows, 0)).save(Path(__file__).parents[1] / "docs" / "images" / "upscaler.png")


def levels(image: torch.Tensor) -> np.ndarray:
    return (image[0].permute(1, 2, 0).clamp(-1, 1) * 127.5 + 127.5).round().byte().numpy()


def framed(picture: np.ndarray) -> np.ndarray:
    return np.pad(picture, ((GAP, GAP), (GAP, GAP), (0, 0)), constant_values=255)


if __name__ == "__main__":
    main()
