"""Computes PSNR and SSIM by the conventions of the tables in papers on super-resolution.

Images (n, c, h, w) are uint8, or floats in [-1, 1], which are clipped and rounded to the 256 levels first. `data_range`
says otherwise: values are then taken as they are, from 0 to `data_range`. The reference comes second.

`channel="y"` is the luma of ITU-R BT.601 in studio range, 16 + (65.481 R + 128.553 G + 24.966 B) / 255 of R, G, B in
[0, 255], with the peak still 255; grey counts as R = G = B. "rgb" takes the channels as they are, and is about 1.8 dB
lower. `border` pixels are left out on every side: the factor of the super-resolution, 4 for x4. The mean is over the
values of single images.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ganarium.errors import UserError
from ganarium.metrics.checks import as_double, as_tensor

Channel = Literal["y", "rgb"]
WINDOW, SIGMA = 11, 1.5


def psnr(
    image: Tensor, reference: Tensor, *, channel: Channel = "y", border: int = 0, data_range: float | None = None
) -> float:
    """10 log10(peak^2 / MSE) in dB, the mean over images (n, c, h, w); higher is nearer, infinite for equal images.

    The values and options are explained at the top of this module. Raises `UserError` for other shapes or channels,
    a border that leaves nothing, a reference out of range, or NaN.
    """
    x, y, peak = _prepared(image, reference, channel, border, data_range)
    error = (x - y).square().flatten(1).mean(1)
    return float((10 * torch.log10(peak**2 / error)).mean())


def ssim(
    image: Tensor, reference: Tensor, *, channel: Channel = "y", border: int = 0, data_range: float | None = None
) -> float:
    """Structural similarity, the mean over images (n, c, h, w): at most 1, higher is nearer (Wang et al. 2004, eq. 13).

    Gaussian window of 11x11 with sigma 1.5, K1 = 0.01, K2 = 0.03, biased variances, and only windows that lie inside
    the image; for "rgb" the mean over the channels. The values and options are explained at the top of this module.

    Raises `UserError` as `psnr` does, and for images that are smaller than the window.
    """
    x, y, peak = _prepared(image, reference, channel, border, data_range)
    if min(x.shape[2:]) < WINDOW:
        raise UserError(f"SSIM needs {WINDOW}x{WINDOW} pixels inside the border, not {x.shape[2]}x{x.shape[3]}.")
    step = max(1, 2**20 // x[0].numel())
    parts = zip(x.split(step), y.split(step), strict=True)
    return float(torch.cat([_ssim(one, two, peak) for one, two in parts]).mean())


def sharpness_ratio(image: Tensor, reference: Tensor) -> float:
    """Mean absolute difference of neighbouring pixels, both ways, in that of the reference: both (n, c, h, w) alike.

    1 is as sharp as the reference; blur lies below, noise above. It says nothing of what is shown: put a distance to
    the reference beside it. Raises `UserError` for other shapes, NaN, or a reference that is flat.
    """
    x, y = as_double(image, "image"), as_double(reference, "reference")
    if x.shape != y.shape or x.dim() != 4 or min(x.shape[2:]) < 2:
        raise UserError(f"image and reference must both be (n, c, h, w), not {tuple(x.shape)} and {tuple(y.shape)}.")
    steps = [(z.diff(dim=2).abs().mean() + z.diff(dim=3).abs().mean()).item() for z in (x, y)]
    if steps[1] == 0:
        raise UserError("the reference is flat: no image is as sharp as that.")
    return steps[0] / steps[1]


def luma(images: Tensor, peak: float = 255.0) -> Tensor:
    """(n, 1 or 3, h, w) from 0 to `peak` -> (n, 1, h, w): luma of BT.601 in studio range, 16 to 235 of 255."""
    weight = images.new_tensor([65.481, 128.553, 24.966]) / 255
    return 16 / 255 * peak + torch.einsum("nchw,c->nhw", images.expand(-1, 3, -1, -1), weight)[:, None]


def _ssim(x: Tensor, y: Tensor, peak: float) -> Tensor:
    n, c, h, w = x.shape
    place = torch.arange(WINDOW, dtype=x.dtype, device=x.device) - WINDOW // 2
    window = torch.exp(-place.square() / (2 * SIGMA**2))
    window /= window.sum()
    maps = torch.stack([x, y, x * x, y * y, x * y]).reshape(5 * n * c, 1, h, w)
    maps = F.conv2d(F.conv2d(maps, window.view(1, 1, -1, 1)), window.view(1, 1, 1, -1))
    mean_x, mean_y, xx, yy, xy = maps.view(5, n, -1)
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    top = (2 * mean_x * mean_y + c1) * (2 * (xy - mean_x * mean_y) + c2)
    bottom = (mean_x.square() + mean_y.square() + c1) * (xx - mean_x.square() + yy - mean_y.square() + c2)
    return (top / bottom).mean(1)


def _prepared(
    image: Tensor, reference: Tensor, channel: Channel, border: int, data_range: float | None
) -> tuple[Tensor, Tensor, float]:
    """Both in float64, from 0 to the peak, in the channels that count and without the border; and the peak."""
    image, reference = as_tensor(image, "image"), as_tensor(reference, "reference")
    if image.shape != reference.shape or image.dim() != 4 or 0 in image.shape:
        raise UserError(
            f"image and reference must both be (n, c, h, w), not {tuple(image.shape)} and {tuple(reference.shape)}: "
            "crop the reference to a multiple of the scale first."
        )
    if channel not in ("y", "rgb"):
        raise UserError(f"the channel is 'y' or 'rgb', not {channel!r}.")
    if image.shape[1] not in (1, 3) and channel == "y":
        raise UserError(f"luma is of 1 or 3 channels, not {image.shape[1]}: take channel='rgb', or hand in RGB.")
    if border < 0 or min(image.shape[2:]) <= 2 * border:
        raise UserError(f"a border of {border} pixels leaves nothing of {image.shape[2]}x{image.shape[3]}.")
    if data_range is not None and not 0 < data_range < float("inf"):
        raise UserError(f"data_range must be above 0, not {data_range}.")
    if data_range is None and reference.is_floating_point() and float(reference.abs().max()) > 1.01:
        raise UserError("a float reference must be in [-1, 1]: for other values give data_range, the largest one.")
    peak = 255.0 if data_range is None else float(data_range)
    x, y = (_levels(values, name, data_range) for values, name in ((image, "image"), (reference, "reference")))
    y = y.to(x.device)
    if channel == "y":
        x, y = luma(x, peak), luma(y, peak)
    inside = slice(border, -border if border else None)
    return x[:, :, inside, inside], y[:, :, inside, inside], peak


def _levels(values: Tensor, name: str, data_range: float | None) -> Tensor:
    double = as_double(values, name)
    if data_range is not None or not values.is_floating_point():
        return double
    return ((double.clamp(-1, 1) + 1) * 127.5).round()
