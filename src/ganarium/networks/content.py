"""Features by which srgan and esrgan compare what they made with what it should be, by the name of their `content`."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ganarium.layers.precision import full
from ganarium.networks.efficientnet_lite import EfficientNetLite, load_efficientnet_lite
from ganarium.networks.vgg import Layer, load_vgg

VGG_LAYERS: dict[str, Layer] = {"vgg54": "relu5_4", "vgg22": "relu2_2", "vgg": "conv5_4"}


def frozen_features(content: str) -> tuple[nn.Module, ...]:
    """The network of features that never moves, in a tuple: it is no part of the model, its checkpoints or its players.
    Empty for what needs none. Raises `UserError` where its weights are not here; nothing takes their place."""
    if content == "efficientnet":
        return (load_efficientnet_lite(0),)
    return (load_vgg(VGG_LAYERS[content]),) if content in VGG_LAYERS else ()


def differences(features: Callable[[Tensor], Tensor | list[Tensor]], made: Tensor, image: Tensor) -> list[Tensor]:
    """Features of `made` minus those of `image`, both (b, c, h, w) in [-1, 1], for each map that `features` gives.

    A gradient goes to `made` alone. Maps of EfficientNet-Lite, whose sizes differ, are scaled to a mean square of 1
    over the channels of each place, as LPIPS does.
    """
    scaled = isinstance(features, EfficientNetLite)
    with torch.no_grad():
        wanted = _maps(features(image), scaled)
    return [one - other for one, other in zip(_maps(features(made), scaled), wanted, strict=True)]


def _maps(given: Tensor | list[Tensor], scaled: bool) -> list[Tensor]:
    maps = [full(part) for part in (given if isinstance(given, list) else [given])]
    if not scaled:
        return maps
    return [part * (part.square().mean(1, keepdim=True) + 1e-10).rsqrt() for part in maps]
