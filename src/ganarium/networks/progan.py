"""The growing networks of ProGAN (Karras et al. 2018), and the schedule by which they grow.

Stage 0 is 4x4 pixels, and each stage doubles the side. Networks work at the resolution of a stage; while a stage fades
in, `alpha` from 0 to 1 is its share, and the stage before it has the rest.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium.errors import UserError
from ganarium.layers.equalized import EqualizedConv2d, EqualizedLinear
from ganarium.layers.minibatch_std import minibatch_std
from ganarium.layers.penalized import LeakyReLU
from ganarium.layers.pixel_norm import PixelNorm, pixel_norm
from ganarium.layers.precision import full
from ganarium.layers.resampling import ONE_TWO_ONE, Blur

SMALLEST, LARGEST = 4, 1024  # pixels on a side in stage 0, and in the last one there can be


class Phase(NamedTuple):
    """Iterations in which a stage fades in, or is stable."""

    start: int  # the first iteration
    length: int  # iterations; of the last phase what the schedule has, though it goes on
    stage: int
    fading: bool


class Growth:
    """The schedule: from `first_size` to `size` pixels, each resolution fades in (the first one not) and is then
    stable, for so many images in batches of `batch_size(side)`."""

    def __init__(
        self, size: int, first_size: int, stable_images: int, fading_images: int, batch_size: Callable[[int], int]
    ) -> None:
        self.size, self.last = size, int(math.log2(size // SMALLEST))
        self.first = min(self.last, int(math.log2(first_size // SMALLEST)))
        self.phases: list[Phase] = []
        start = 0
        for stage in range(self.first, self.last + 1):
            for images, fades in ((fading_images if stage > self.first else 0, True), (stable_images, False)):
                if images:
                    length = max(1, round(images / batch_size(side_of(stage))))
                    self.phases.append(Phase(start, length, stage, fades))
                    start += length
        self.starts = tuple(phase.start for phase in self.phases[1:])
        first_of = {phase.stage: phase.start for phase in reversed(self.phases)}
        self.sides = {start: side_of(stage) for stage, start in sorted(first_of.items())}  # from which step on

    def at(self, iteration: int, clock: Tensor) -> tuple[int, Tensor | None]:
        """The stage of an iteration, and its share while it fades in, (), by the clock; None where it is stable."""
        phase = next(phase for phase in reversed(self.phases) if phase.start <= iteration)
        return phase.stage, ((clock - phase.start) / phase.length).clamp(0, 1) if phase.fading else None

    def anew(self, decay: Callable[[int], float]) -> Callable[[int], float]:
        """The decay of an average of weights that begins anew where layers enter, at each iteration, counted from 1.

        An average over all iterations would hold the weights with which those layers were drawn.
        """
        return lambda iteration: decay(iteration - max(start for start in self.sides if start < iteration))


def growing_size(height: int, width: int, first_size: int, model: str) -> int:
    """The power of two whose square holds an image; `UserError` above 1024 pixels, or for a first size that is none."""
    if max(height, width) > LARGEST:
        raise UserError(f"{model} makes images of at most 1024 pixels, not {height}x{width}: use --size 1024.")
    if first_size < SMALLEST or first_size & (first_size - 1):
        raise UserError(f"first_size must be a power of two from 4 on, not {first_size}.")
    return int(2 ** math.ceil(math.log2(max(height, width))))


def side_of(stage: int) -> int:
    """Pixels on a side."""
    return int(SMALLEST * 2**stage)


def stage_widths(width: int, num_stages: int) -> list[int]:
    """Channels of every stage: `width` up to 32 pixels, and half of it with every doubling beyond."""
    return [max(1, min(width, 32 * width // side_of(stage))) for stage in range(num_stages)]


def faded(old: Tensor, new: Tensor, alpha: Tensor) -> Tensor:
    """(1 - alpha) old + alpha new, exactly one of them at 0 and at 1."""
    return (1 - alpha) * old + alpha * new


def enlarged(x: Tensor, times: int = 2) -> Tensor:
    """(b, c, h, w) -> (b, c, times h, times w): every pixel repeated."""
    return F.interpolate(x, scale_factor=float(times), mode="nearest")


def seen_at(image: Tensor, side: int, alpha: Tensor | None) -> Tensor:
    """Real images (b, c, size, size) as D sees them at the resolution of a stage: means of squares of pixels; while the
    stage fades in, mixed with what the stage before had seen."""
    x = F.avg_pool2d(image, image.shape[2] // side) if image.shape[2] > side else image
    return x if alpha is None else faded(enlarged(F.avg_pool2d(x, 2)), x, alpha)


class Generator(nn.Module):
    """Codes (b, latent_dim) -> images (b, channels, side, side) at the resolution of a stage; not bounded."""

    def __init__(self, latent_dim: int, channels: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.first = FirstMap(latent_dim, widths[0])
        grow = [nn.Upsample(scale_factor=2)]
        self.blocks = nn.ModuleList([nn.Sequential(*_normalised(widths[0], widths[0]))])
        for low, high in pairwise(widths):
            self.blocks.append(nn.Sequential(*grow, *_normalised(low, high), *_normalised(high, high)))
        self.outputs = nn.ModuleList(EqualizedConv2d(width, channels, 1, gain=1.0) for width in widths)

    def forward(self, z: Tensor, stage: int, alpha: Tensor | None = None) -> Tensor:
        x = self.first(z)
        for block in self.blocks[:stage]:
            x = block(x)
        image = full(self.outputs[stage](self.blocks[stage](x)))
        if alpha is None:
            return image
        return faded(enlarged(full(self.outputs[stage - 1](x))), image, alpha)

    def grown(self, stage: int, fades: bool) -> list[nn.Module]:
        """The modules that a stage uses, those of its fade among them if it `fades` in."""
        return [self.first, *self.blocks[: stage + 1], *self.outputs[stage - fades : stage + 1]]


class Discriminator(nn.Module):
    """Images (b, channels, side, side) at the resolution of a stage -> scores (b,).

    `blur`: StyleGAN's, whose maps are blurred before they are halved.
    """

    def __init__(self, channels: int, widths: Sequence[int], group_size: int, *, blur: bool = False) -> None:
        super().__init__()
        self.inputs = nn.ModuleList(nn.Sequential(EqualizedConv2d(channels, w, 1), LeakyReLU()) for w in widths)
        self.blocks = nn.ModuleList(Down(high, low, blur) for low, high in pairwise(widths))
        self.last = Last(widths[0], group_size)

    def forward(self, image: Tensor, stage: int, alpha: Tensor | None = None) -> Tensor:
        x = self.inputs[stage](image)
        if stage > 0:
            x = self.blocks[stage - 1](x)
        if alpha is not None:
            x = faded(self.inputs[stage - 1](F.avg_pool2d(image, 2)), x, alpha)
        for block in reversed(self.blocks[: max(0, stage - 1)]):
            x = block(x)
        return full(self.last(x))

    def grown(self, stage: int, fades: bool) -> list[nn.Module]:
        """The modules that a stage uses, those of its fade among them if it `fades` in."""
        return [*self.inputs[stage - fades : stage + 1], *self.blocks[:stage], self.last]


class FirstMap(nn.Module):
    """Codes (b, latent_dim), normalised -> (b, width, 4, 4): a dense layer, with a bias for each channel."""

    def __init__(self, latent_dim: int, width: int) -> None:
        super().__init__()
        self.dense = EqualizedLinear(latent_dim, width * SMALLEST**2, gain=math.sqrt(2) / 4, bias=False)
        self.bias = nn.Parameter(torch.zeros(width))
        self.activation = nn.LeakyReLU(0.2)

    def forward(self, z: Tensor) -> Tensor:
        x = self.dense(pixel_norm(z)).unflatten(1, (-1, SMALLEST, SMALLEST))
        return pixel_norm(self.activation(x + self.bias[:, None, None]))


class Down(nn.Module):
    """(b, high, h, w) -> (b, low, h / 2, w / 2): two 3x3 convolutions and the means of squares of pixels."""

    def __init__(self, high: int, low: int, blur: bool) -> None:
        super().__init__()
        self.first, self.second = EqualizedConv2d(high, high), EqualizedConv2d(high, low, bias=False)
        self.bias = nn.Parameter(torch.zeros(low))
        self.activation = LeakyReLU()
        self.blur = Blur(ONE_TWO_ONE) if blur else None

    def forward(self, x: Tensor) -> Tensor:
        x, bias = self.activation(self.first(x)), self.bias[:, None, None]
        if self.blur is None:
            return F.avg_pool2d(self.activation(self.second(x) + bias), 2)
        activated: Tensor = self.activation(F.avg_pool2d(self.second(self.blur(x)), 2) + bias)
        return activated


class Last(nn.Module):
    """(b, width, 4, 4) -> (b,): the deviation within the batch as one more map, a convolution, two dense layers."""

    def __init__(self, width: int, group_size: int) -> None:
        super().__init__()
        self.group_size = group_size
        self.layers = nn.Sequential(
            EqualizedConv2d(width + 1, width),
            LeakyReLU(),
            nn.Flatten(),
            EqualizedLinear(width * SMALLEST**2, width),
            LeakyReLU(),
            EqualizedLinear(width, 1, gain=1.0),
        )

    def forward(self, x: Tensor) -> Tensor:
        score: Tensor = self.layers(minibatch_std(x, self.group_size))
        return score.squeeze(1)


def _normalised(inputs: int, outputs: int) -> list[nn.Module]:
    return [EqualizedConv2d(inputs, outputs), nn.LeakyReLU(0.2), PixelNorm()]
