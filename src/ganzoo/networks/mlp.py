"""A multi-layer perceptron: for points, and for images taken flattened."""

import math
from collections.abc import Callable
from itertools import pairwise

from torch import Tensor, nn

from ganzoo.networks import full


class MLP(nn.Module):
    """(b, *inputs) -> (b, *outputs): linear layers with an activation between them; `outputs=()` gives (b,)."""

    def __init__(
        self,
        inputs: int,
        hidden: list[int],
        outputs: tuple[int, ...],
        activation: Callable[[], nn.Module] = nn.ReLU,
        last: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.outputs = outputs
        sizes = [inputs, *hidden, math.prod(outputs)]
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise(sizes[:-1]):
            layers += [nn.Linear(fan_in, fan_out), activation()]
        self.layers = nn.Sequential(*layers, nn.Linear(sizes[-2], sizes[-1]), *([last] if last else []))

    def forward(self, x: Tensor) -> Tensor:
        return full(self.layers(x.flatten(1)).reshape(len(x), *self.outputs))
