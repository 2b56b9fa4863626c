"""A multi-layer perceptron: for points, and for images taken flattened."""

import math
from collections.abc import Callable
from itertools import pairwise

from torch import Tensor, nn

from ganarium.layers.normalization import Norm, norm_layers
from ganarium.layers.precision import full


class MLP(nn.Module):
    """(b, *inputs) -> (b, *outputs): linear layers with an activation between them; `outputs=()` gives (b,).

    `norm` stands before every activation; `dropout` is the share of zeros after it.
    """

    def __init__(
        self,
        inputs: int,
        hidden: list[int],
        outputs: tuple[int, ...],
        activation: Callable[[], nn.Module] = nn.ReLU,
        last: nn.Module | None = None,
        *,
        norm: Norm = "none",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.outputs = outputs
        sizes = [inputs, *hidden, math.prod(outputs)]
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise(sizes[:-1]):
            layers += [
                nn.Linear(fan_in, fan_out, bias=norm != "batch"),
                *norm_layers(norm, fan_out, flat=True),
                activation(),
            ]
            layers += [nn.Dropout(dropout)] if dropout else []
        self.layers = nn.Sequential(*layers, nn.Linear(sizes[-2], sizes[-1]), *([last] if last else []))

    def features(self, x: Tensor) -> Tensor:
        """(b, *inputs) -> (b, f): what the last linear layer reads, for an MLP without `last`."""
        return self.layers[:-1](x.flatten(1))

    def forward(self, x: Tensor) -> Tensor:
        return full(self.layers(x.flatten(1)).reshape(len(x), *self.outputs))
