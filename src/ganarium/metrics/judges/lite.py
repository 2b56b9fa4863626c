"""The judge of photographs: maps of EfficientNet-Lite0, which knows ImageNet.

It was chosen among 24 features of this network and of our own judge of small objects by a ladder of known order
(`benchmarks/photo_judge.py`): held-out faces, flowers and horses; the same with parts moved, cut out, turned over or
taken from others, more and more; blurred; noise. The means of the 112 maps at stride 16 notice broken parts best for
their number, which has to stay below that of the images for a Frechet distance.
"""

from importlib.util import find_spec

import torch
import torch.nn.functional as F
from torch import Tensor

from ganarium.metrics.diversity import feature_map_distance
from ganarium.metrics.judges.judge import FeatureNetwork, with_channels
from ganarium.networks.efficientnet_lite import VARIANTS, EfficientNetLite, load_efficientnet_lite, package

NAME = "lite0"
SIDE = 128  # pixels
STAGES = 5  # of the network, the last of which gives the maps


class LiteFeatures(FeatureNetwork):
    """Images in [-1, 1] -> features (n, 112), the means of the maps at stride 16. It has no logits."""

    rule = f"{SIDE}x{SIDE} RGB: centre square, bilinear with antialiasing"
    chunk = 64

    def __init__(self, network: EfficientNetLite) -> None:
        super().__init__()
        self.name, self.digest = NAME, VARIANTS[0].digest
        self.network = network

    def prepare(self, images: Tensor) -> Tensor:
        """(n, c, h, w) in [-1, 1] -> (n, 3, 128, 128), by `rule`."""
        images = with_channels(images.float(), 3)
        height, width = images.shape[2:]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        images = images[:, :, top : top + side, left : left + side]
        resized = F.interpolate(images, size=(SIDE, SIDE), mode="bilinear", antialias=True, align_corners=False)
        return resized.contiguous(memory_format=torch.channels_last)

    def penultimate(self, prepared: Tensor) -> Tensor:
        """(n, 3, 128, 128) -> (n, 112)."""
        x = self.network.stem(prepared)
        for stage in self.network.stages[:STAGES]:
            x = stage(x)
        return x.mean((2, 3))

    @torch.no_grad()
    def distances(self, a: Tensor, b: Tensor) -> Tensor:
        """Distances (n,) of images (n, c, h, w) in [-1, 1], in their own size, of 32 pixels or more: as LPIPS takes
        them, of the maps at strides 4, 8, 16 and 32, with all weights 1."""
        return feature_map_distance(self.network(a.float()), self.network(b.float()))


def lite_is_here() -> bool:
    """Whether the package with its weights is installed."""
    return find_spec(package(0).replace("-", "_")) is not None


def load_lite(device: torch.device | str = "cpu") -> LiteFeatures:
    """The judge, in evaluation mode. Raises `UserError` without its weights."""
    network = load_efficientnet_lite(0).to(memory_format=torch.channels_last)
    return LiteFeatures(network).eval().to(device)
