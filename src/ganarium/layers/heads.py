"""The last layers of networks."""

from torch import Tensor, nn

from ganarium.layers.init import init_normal
from ganarium.layers.normalization import Norm, normalise_spectrally
from ganarium.layers.precision import full


def last_linear(network: nn.Module) -> tuple[str, nn.Linear]:
    """The last dense layer of a network, with its name in it."""
    return [(name, layer) for name, layer in network.named_modules() if isinstance(layer, nn.Linear)][-1]


class PerClass(nn.Module):
    """(b, *shape) -> (b, num_classes): a discriminator of `backbones`, its last layer replaced by one for each class.

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
