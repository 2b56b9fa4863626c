"""The discriminator of the first GAN (Goodfellow et al. 2014): maxout under dropout."""

from torch import Tensor, nn

from ganarium.layers.precision import full


class Maxout(nn.Module):
    """(b, fan_in) -> (b, units): each unit is the largest of `pieces` linear maps (Goodfellow et al. 2013)."""

    def __init__(self, fan_in: int, units: int, pieces: int) -> None:
        super().__init__()
        self.units, self.linear = units, nn.Linear(fan_in, units * pieces)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x).unflatten(1, (self.units, -1)).amax(2)


class MaxoutDiscriminator(nn.Module):
    """(b, *shape) in [-1, 1] -> score (b,). Dropout, 0.4 times as much on the pixels, stays active while G is trained,
    as released."""

    def __init__(self, size: int, units: int = 240, dropout: float = 0.5) -> None:
        super().__init__()
        first = [nn.Dropout(0.4 * dropout), Maxout(size, units, 5), nn.Dropout(dropout)]
        second = [Maxout(units, units, 5), nn.Dropout(dropout)]
        self.layers = nn.Sequential(nn.Flatten(), *first, *second, nn.Linear(units, 1))

    def forward(self, x: Tensor) -> Tensor:
        return full(self.layers((x + 1) / 2).squeeze(1))
