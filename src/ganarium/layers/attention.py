"""Self-attention of the pixels of a map (Zhang et al. 2018, SAGAN)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium.layers.normalization import spectral_norm


class SelfAttention(nn.Module):
    """(b, channels, h, w) -> the same shape: x + strength * o, where o is what each pixel gathers from all others.

    Each pixel weighs the others by how well its query fits their keys, and adds their values. Keys and values are
    pooled over 2x2 pixels, as in the released code. All layers are 1x1 convolutions under spectral norm, without
    biases. `strength` starts at 0: at first the layer changes nothing.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        few, half = max(1, channels // 8), max(1, channels // 2)
        self.query = spectral_norm(nn.Conv2d(channels, few, 1, bias=False))
        self.key = spectral_norm(nn.Conv2d(channels, few, 1, bias=False))
        self.value = spectral_norm(nn.Conv2d(channels, half, 1, bias=False))
        self.output = spectral_norm(nn.Conv2d(half, channels, 1, bias=False))
        self.strength = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        weights = self.weights(x)
        values = F.max_pool2d(self.value(x), 2, ceil_mode=True).flatten(2)  # (b, channels / 2, keys)
        gathered = (values @ weights.transpose(1, 2)).unflatten(2, x.shape[2:])
        return x + self.strength * self.output(gathered)

    def weights(self, x: Tensor) -> Tensor:
        """(b, pixels, keys): how much each pixel gathers from each key. Rows sum to 1; scores are not scaled."""
        queries = self.query(x).flatten(2)  # (b, few, pixels)
        keys = F.max_pool2d(self.key(x), 2, ceil_mode=True).flatten(2)  # (b, few, keys)
        return (queries.transpose(1, 2) @ keys).softmax(2)
