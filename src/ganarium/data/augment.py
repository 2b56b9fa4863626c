"""Changes a batch of images at random, on the device, each image with draws of its own; and scales or crops it."""

import torch
import torch.nn.functional as F
from torch import Tensor


def crop_and_mirror(image: Tensor, enlarge: float = 286 / 256) -> Tensor:
    """The jitter of pix2pix and CycleGAN: "load 286, crop 256, mirror".

    Each image of (b, c, h, w) is enlarged, a window of the old size is cut from it at a random place, and
    half of the windows are mirrored left to right. With `enlarge` 1 only the mirror remains; it copies pixels
    exactly.
    """
    b, _, h, w = image.shape
    large_h, large_w = round(h * enlarge), round(w * enlarge)
    top = torch.randint(large_h - h + 1, (b, 1), device=image.device)
    left = torch.randint(large_w - w + 1, (b, 1), device=image.device)
    mirror = torch.rand(b, 1, device=image.device) < 0.5
    return window(image, (large_h, large_w), top, left, mirror)


def window(image: Tensor, size: tuple[int, int], top: Tensor, left: Tensor, mirror: Tensor) -> Tensor:
    """Scales (b, c, h, w) to `size`, cuts (h, w) at each (top, left), mirrored or not; all three (b, 1)."""
    b, _, h, w = image.shape
    large = F.interpolate(image, size=size, mode="bilinear", align_corners=False)
    across = torch.arange(w, device=image.device)
    rows = top + torch.arange(h, device=image.device)  # (b, h)
    columns = left + torch.where(mirror, w - 1 - across, across)  # (b, w)
    sample = torch.arange(b, device=image.device)
    pixels = large.permute(0, 2, 3, 1)[sample[:, None, None], rows[:, :, None], columns[:, None, :]]
    return pixels.permute(0, 3, 1, 2)  # (b, c, h, w), channels_last as the batches are


def reduced(image: Tensor, scale: int) -> Tensor:
    """(b, c, h, w) in [-1, 1] -> (b, c, h // scale, w // scale): antialiased bicubic, as MATLAB's imresize, clipped."""
    size = (image.shape[2] // scale, image.shape[3] // scale)
    return F.interpolate(image, size=size, mode="bicubic", antialias=True).clamp(-1, 1)


def enlarged(image: Tensor, scale: int) -> Tensor:
    """(b, c, h, w) in [-1, 1] -> (b, c, scale h, scale w): bicubic with a = -0.5, as MATLAB's imresize, clipped.

    It is what tables of super-resolution call bicubic. PyTorch's own enlargement has a = -0.75 and is 0.2 dB better at
    x4 on Set5.
    """
    size = (image.shape[2] * scale, image.shape[3] * scale)
    return F.interpolate(image, size=size, mode="bicubic", antialias=True).clamp(-1, 1)


def cropped(image: Tensor, multiple: int) -> Tensor:
    """(b, c, h, w) without the last rows and columns that are no multiple."""
    height, width = (side // multiple * multiple for side in image.shape[2:])
    return image[:, :, :height, :width]
