"""The last layers of networks."""

from torch import Tensor, nn

from ganarium.layers.init import init_normal
from ganarium.layers.normalization import Norm, normalise_spectrally
from ganarium.layers.precision import full


def last_linear(network: nn.Module) -> tuple[str, nn.Linear]:
    """The last dense layer of a network, and its name in the network."""
    return [(name, layer) for name, layer in network.named_modules() if isinstance(layer, nn.Linear)][-1]


class PerClass(nn.Module):
    """(b, *shape) -> (b, num_classes): a discriminator of `backbones` whose last layer has an output for each class.

    The new layer has a bias if the old one had, and starts at N(0, 0.02); `norm` is the discriminator's.
    """

    def __init__(self, discriminator: nn.Module, num_classes: int, norm: Norm) -> None:
        super().__init__()
        name, last = last_linear(discriminator)
        self.body, self.head = discriminator, nn.Linear(last.in_features, num_classes, bias=last.bias is not None)
        self.body.set_submodule(name, nn.Identity())
        init_normal(self.head)
        if norm == "spectral":
            normalise_spectrally(self.head)

    def forward(self, x: Tensor) -> Tensor:
        return full(self.head(self.body.features(x)))  # type: ignore[operator]


class SplitDiscriminator(nn.Module):
    """(b, *shape) -> score (b,), or logits (b, num_classes): a backbone's discriminator in two parts.

    One pass through `features` serves whoever needs them and `head`.
    """

    def __init__(self, body: nn.Module, num_classes: int | None, norm: Norm) -> None:
        super().__init__()
        name, last = last_linear(body)
        body.set_submodule(name, nn.Identity())
        self.body, self.last, self.num_classes = body, last, num_classes
        if num_classes:
            self.last = nn.Linear(last.in_features, num_classes)
            if norm == "spectral":
                normalise_spectrally(self.last)

    def features(self, x: Tensor) -> Tensor:
        """(b, *shape) -> (b, f)"""
        return full(self.body.features(x))  # type: ignore[operator]

    def head(self, features: Tensor) -> Tensor:
        """(b, f) -> (b,) or (b, num_classes)"""
        output = full(self.last(features))
        return output if self.num_classes else output.squeeze(1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))
