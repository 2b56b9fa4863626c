"""Functions that all sources use: they fit images, uint8 (n, h, w, c), to a size and a number of channels."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ganarium.errors import UserError

MAX_BYTES = 4 * 2**30  # of the images of a data set in memory
MIN_IMAGES = 10  # to train on, with one of them held out


def check_count(name: str, count: int, minimum: int = MIN_IMAGES) -> None:
    """`UserError` when a data set has too few images to train on."""
    if count < minimum:
        raise UserError(f"{name} has {count} image{'s' * (count != 1)} to train on: at least {MIN_IMAGES} are needed.")


def check_memory(name: str, count: int, size: tuple[int, int], channels: int) -> None:
    """`UserError` when `count` images of `size` (h, w) are more than a data set may hold."""
    needed = count * size[0] * size[1] * channels
    if needed > MAX_BYTES:
        side = math.isqrt(MAX_BYTES // (count * channels))
        raise UserError(
            f"{count:,} images of {size[0]}x{size[1]} pixels in {name} take {needed / 2**30:.1f} GiB "
            f"of memory, more than {MAX_BYTES / 2**30:.0f} GiB: use --size {side} or smaller."
        )


def held_out(count: int, labels: Sequence[str | int] | None = None) -> tuple[Tensor, Tensor]:
    """Indices of the train and of the test images, for sources without a test part: a tenth, chosen by a seed.

    With `labels` of the images, it is a tenth of each class as nearly as whole images allow, and no class loses its
    last training image (unless every class has but one).
    """
    order = torch.randperm(count, generator=torch.Generator().manual_seed(0))
    num_test = max(1, count // 10)
    if labels is not None:
        by_class: dict[str | int, list[int]] = {}
        for index in order.tolist():
            by_class.setdefault(labels[index], []).append(index)
        shares = {label: len(indices) * num_test / count for label, indices in by_class.items()}
        quotas = {label: min(int(share), len(by_class[label]) - 1) for label, share in shares.items()}
        for label in sorted(shares, key=lambda label: (quotas[label] - shares[label], -len(by_class[label]))):
            if sum(quotas.values()) < num_test and quotas[label] < min(shares[label], len(by_class[label]) - 1):
                quotas[label] += 1
        first = [index for label, indices in by_class.items() for index in indices[: quotas[label]]]
        if first:
            rest = set(range(count)) - set(first)
            return torch.tensor(sorted(rest)), torch.tensor(sorted(first))
    return order[num_test:].sort().values, order[:num_test].sort().values


def note_on_absent(classes: Sequence[str]) -> tuple[str, ...]:
    """The note on classes that no training image has; nothing where there are none."""
    if not classes:
        return ()
    listed = ", ".join(classes[:10]) + (" ..." if len(classes) > 10 else "")
    return (f"no training image of the class{'es' * (len(classes) > 1)} {listed}",)


def pad(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Puts each image in the middle of `size` (h, w), with zeros around it."""
    count, height, width, channels = images.shape
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    padded = images.new_zeros(count, *size, channels)
    padded[:, top : top + height, left : left + width] = images
    return padded


def resize(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Resizes to exactly `size` (h, w), bilinearly with antialiasing."""
    if images.shape[1:3] == size:
        return images
    resized = images.new_empty(len(images), *size, images.shape[3])
    for part, target in zip(torch.split(images, 256), torch.split(resized, 256), strict=True):
        pixels = F.interpolate(part.permute(0, 3, 1, 2).float(), size=size, mode="bilinear", antialias=True)
        target.copy_(pixels.round_().clamp_(0, 255).permute(0, 2, 3, 1))
    return resized


def cover(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Resizes until the image covers `size` (h, w), then crops at the centre: never stretches."""
    height, width = images.shape[1:3]
    scale = max(size[0] / height, size[1] / width)
    covering = (round(height * scale), round(width * scale))
    top, left = (covering[0] - size[0]) // 2, (covering[1] - size[1]) // 2
    return resize(images, covering)[:, top : top + size[0], left : left + size[1]].contiguous()


def with_channels(images: Tensor, channels: int) -> Tensor:
    """Makes grey, RGB or RGBA from any of the three; alpha that is not kept is laid on white."""
    if images.shape[3] == channels:
        return images
    if images.shape[3] == 4:
        alpha = images[..., 3:].float() / 255
        images = (images[..., :3] * alpha + 255 * (1 - alpha)).round().to(torch.uint8)
    if channels == 1:
        luminance = torch.tensor([0.299, 0.587, 0.114])  # ITU-R 601, as PIL has it
        return (images.float() @ luminance).round().to(torch.uint8).unsqueeze(3)
    colours = images.expand(-1, -1, -1, 3)
    if channels == 4:
        return torch.cat([colours, torch.full_like(colours[..., :1], 255)], dim=3)
    return colours.contiguous()
