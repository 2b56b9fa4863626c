"""The transformations of adaptive discriminator augmentation (ADA; Karras et al. 2020, arXiv 2006.06676).

Every transformation of places and of colours is applied to each image with the probability p, drawn for that image
alone, and gradients go through all of them to G. They are those of the paper's best set, blit, geometry and colour,
and its cutout where a model wants it; its image-space filters and noise are left out. Differences from the paper: an
image is sampled bilinearly at its own resolution, without the wavelet filter that the authors put around that; what
comes in at a border is the image reflected with its last row. Images are in [-1, 1]; nothing is clipped afterwards.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from ganarium.layers.precision import full


def augmented(*images: Tensor, p: Tensor, colour: float = 1.0, cutout: float = 0.0) -> list[Tensor]:
    """Images (b, c, h, w), c 1 or 3, each changed by the transformations that are drawn for it; p () is in [0, 1],
    and that of a change of colour `colour` times as much, of a grey square (`cut`) `cutout` times.

    Several tensors are of the same b images at several sizes, the largest first: all get the same draws.
    """
    with torch.autocast(images[0].device.type, enabled=False):
        first, *smaller = [full(image) for image in images]
        places, colours = draw_places(first, p), draw_colours(first, p * colour)
        results = [recoloured(resampled(first, places), *colours)]
        for image in smaller:
            results.append(recoloured(resampled(image, at_size(places, first, image)), *colours))
        if cutout:
            square = draw_square(first, p * cutout)
            results = [cut(image, *square) for image in results]
        return results


def at_size(places: Tensor, full_size: Tensor, image: Tensor) -> Tensor:
    """The maps (b, 3, 3) that `draw_places` gives for images of full size, for the same images at another size."""
    one = torch.ones_like(places[:, 0, 0])
    y, x = (side / full_side for side, full_side in zip(image.shape[2:], full_size.shape[2:], strict=True))
    return scaling(x * one, y * one) @ places @ scaling(one / x, one / y)


def draw_places(image: Tensor, p: Tensor) -> Tensor:
    """For each image of a batch (b, c, h, w) the map (b, 3, 3) from a pixel of the result to its place in the image,
    both as (x, y, 1) in pixels from the middle."""
    height, width = image.shape[2:]
    draw = Draws(image, p)
    rotate = 1 - (1 - p).sqrt()  # each of two: together they are applied with the probability p
    mirrored = 1 - 2 * draw((2 * draw.uniform()).floor(), 0)
    quarters = draw((4 * draw.uniform()).floor(), 0)
    right, down = draw((2 * torch.stack([draw.uniform(), draw.uniform()]) - 1) / 8, 0)
    larger = draw((0.2 * draw.normal()).exp2(), 1)
    turned = draw((2 * draw.uniform() - 1) * math.pi, 0, rotate)
    wider = draw((0.2 * draw.normal()).exp2(), 1)
    turned_again = draw((2 * draw.uniform() - 1) * math.pi, 0, rotate)
    further, below = draw(torch.stack([draw.normal(), draw.normal()]) / 8, 0)
    return (
        scaling(mirrored, torch.ones_like(mirrored))
        @ rotation(quarters * (math.pi / 2))
        @ shift((right * width).round(), (down * height).round())
        @ scaling(larger, larger)
        @ rotation(turned)
        @ scaling(wider, 1 / wider)
        @ rotation(turned_again)
        @ shift(further * width, below * height)
    )


def draw_colours(image: Tensor, p: Tensor) -> list[Tensor]:
    """The arguments of `recoloured` for a batch (b, c, h, w), each (b, 1, 1, 1)."""
    draw = Draws(image, p)
    values = (
        draw(0.2 * draw.normal(), 0),
        draw((0.5 * draw.normal()).exp2(), 1),
        1 - 2 * draw((2 * draw.uniform()).floor(), 0),
        draw((2 * draw.uniform() - 1) * math.pi, 0),
        draw(draw.normal().exp2(), 1),
    )
    return [value.view(-1, 1, 1, 1) for value in values]


def draw_square(image: Tensor, p: Tensor) -> list[Tensor]:
    """The arguments of `cut` for a batch (b, c, h, w), each (b, 1, 1, 1)."""
    draw = Draws(image, p)
    nowhere = -1.0  # a centre whose square does not reach the image
    values = draw(torch.stack([draw.uniform(), draw.uniform()]), nowhere)
    return [value.view(-1, 1, 1, 1) for value in values]


class Draws:
    """Random numbers for each image of a batch."""

    def __init__(self, image: Tensor, p: Tensor) -> None:
        self.like, self.p = image.new_empty(len(image)), p.to(image.dtype)

    def __call__(self, value: Tensor, neutral: float, p: Tensor | None = None) -> Tensor:
        """The value (..., b) with the probability p, for each image by itself, else the neutral one."""
        chance = self.p if p is None else p.to(value.dtype)
        return torch.where(self.uniform() < chance, value, neutral)

    def uniform(self) -> Tensor:
        """(b,) in [0, 1)."""
        return torch.rand_like(self.like)

    def normal(self) -> Tensor:
        """(b,) with variance 1."""
        return torch.randn_like(self.like)


def scaling(x: Tensor, y: Tensor) -> Tensor:
    """(b,), (b,) -> (b, 3, 3)."""
    return _matrix(x, 0, 0, 0, y, 0)


def rotation(angle: Tensor) -> Tensor:
    """(b,), in radians -> (b, 3, 3)."""
    return _matrix(angle.cos(), -angle.sin(), 0, angle.sin(), angle.cos(), 0)


def shift(x: Tensor, y: Tensor) -> Tensor:
    """(b,), (b,), in pixels -> (b, 3, 3)."""
    return _matrix(1, 0, x, 0, 1, y)


def _matrix(*entries: Tensor | float) -> Tensor:
    """The first two rows of a matrix, whose last is (0, 0, 1), for each image."""
    like = next(entry for entry in entries if isinstance(entry, Tensor))
    rows = [entry if isinstance(entry, Tensor) else torch.full_like(like, entry) for entry in (*entries, 0, 0, 1)]
    return torch.stack(rows, 1).view(-1, 3, 3)


def resampled(image: Tensor, places: Tensor) -> Tensor:
    """Images (b, c, h, w), each pixel taken from where its map in `places` (b, 3, 3) says; see `draw_places`."""
    height, width = image.shape[2:]
    y = torch.arange(height, device=image.device, dtype=image.dtype) - (height - 1) / 2
    x = torch.arange(width, device=image.device, dtype=image.dtype) - (width - 1) / 2
    grid = torch.stack([x.expand(height, -1), y[:, None].expand(-1, width)], 2).view(-1, 2)
    x, y = (grid @ places[:, :2, :2].mT + places[:, None, :2, 2]).view(-1, height, width, 2).unbind(3)
    source = torch.stack([x * (2 / width), y * (2 / height)], 3)  # the borders lie at -1 and 1
    return F.grid_sample(image, source, mode="bilinear", padding_mode="reflection", align_corners=False)


def cut(image: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Images (b, c, h, w) with a grey square of half their size; its centre (b, 1, 1, 1) is in shares of the sides."""
    height, width = image.shape[2:]
    row = (torch.arange(height, device=image.device, dtype=image.dtype).view(-1, 1) + 0.5) / height
    column = (torch.arange(width, device=image.device, dtype=image.dtype) + 0.5) / width
    return torch.where(((column - x).abs() < 0.25) & ((row - y).abs() < 0.25), 0.0, image)


def recoloured(
    image: Tensor, brightness: Tensor, contrast: Tensor, luma: Tensor, hue: Tensor, saturation: Tensor
) -> Tensor:
    """Colours of images (b, c, h, w), changed by numbers (b, 1, 1, 1): brightness is added, contrast scales all, luma
    (1 or -1) the brightness of each pixel, saturation its distance from grey, whose direction hue turns, in radians.

    It is the product of the paper's matrices: all of them have the grey axis and the plane across it in common.
    """
    grey = image.mean(1, keepdim=True)
    colour = image - grey
    if image.shape[1] == 3:
        red, green, blue = colour.chunk(3, 1)
        across = torch.cat([blue - green, red - blue, green - red], 1) / math.sqrt(3)
        colour = saturation * (colour * hue.cos() + across * hue.sin())
    return contrast * (luma * (grey + brightness) + colour)
