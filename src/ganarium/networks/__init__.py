"""Blocks shared by the models; each file imports on its own."""

import math

import torch
from torch import Tensor, nn

from ganarium.errors import UserError


def full(x: Tensor) -> Tensor:
    """A network's output in at least fp32, whatever autocast made of it."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


def image_shape(shape: tuple[int, ...], model: str) -> tuple[int, int, int]:
    """(c, h, w); `UserError` for the 2-D points that this model cannot draw."""
    if len(shape) != 3:
        raise UserError(
            f"{model} makes images, and this data set holds 2-D points: use glyphs, mnist or a folder of images, "
            "or for points gan or wgan_gp."
        )
    if min(shape[1:]) < 8:
        raise UserError(f"{model} needs images of at least 8x8 pixels, not {shape[1]}x{shape[2]}.")
    return shape[0], shape[1], shape[2]


def halvings(height: int, width: int, smallest: int = 4) -> int:
    """How often a picture is halved until its shorter side is near `smallest`, at least once: 64 -> 4, 28 -> 3."""
    return max(1, round(math.log2(min(height, width) / smallest)))


def pyramid(height: int, width: int, levels: int, *, ceil: bool = True) -> list[tuple[int, int]]:
    """The sizes from the picture down, each half of the last, rounded up (28, 14, 7, 4) or down (28, 14, 7, 3)."""
    sizes = [(height, width)]
    for _ in range(levels):
        sizes.append(((sizes[-1][0] + ceil) // 2, (sizes[-1][1] + ceil) // 2))
    return sizes


def init_normal(module: nn.Module, std: float = 0.02) -> None:
    """Weights N(0, std), batch norm gain N(1, std), biases 0: the initialisation of DCGAN, pix2pix and CycleGAN."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(layer.weight, 0.0, std)
        elif isinstance(layer, nn.BatchNorm2d | nn.BatchNorm1d):
            nn.init.normal_(layer.weight, 1.0, std)
        else:
            continue
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def mean_logit(images: Tensor) -> Tensor:
    """(n, *shape) in [-1, 1] -> (prod(shape),): of what a sigmoid makes their mean on [0, 1]. The bias with which the
    last layer of G begins in the released GAN."""
    return images.mean(0).flatten().add(1).div(2).clamp(1e-3, 1 - 1e-3).logit()


def init_uniform(module: nn.Module, bound: float) -> nn.Module:
    """Dense weights uniform on [-bound, bound], biases 0: the initialisation of the released GAN. Gives the module."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.uniform_(layer.weight, -bound, bound)
            nn.init.zeros_(layer.bias)
    return module
