"""The networks of InfoGAN's MNIST experiment for any height and width: 4x4 convolutions of stride 2, dense layers."""

from torch import Tensor, nn

from ganarium.layers.precision import full


class Generator(nn.Module):
    """(b, code_dim) -> (b, c, h, w) in [-1, 1]. `sizes` go from the picture down, and channels double from `width`."""

    def __init__(self, sizes: list[tuple[int, int]], channels: int, code_dim: int, width: int) -> None:
        super().__init__()
        widths = [channels] + [width * min(2**level, 8) for level in range(len(sizes) - 1)]
        self.start = (widths[-1], *sizes[-1])
        volume = widths[-1] * sizes[-1][0] * sizes[-1][1]
        units = 16 * width
        self.dense = nn.Sequential(nn.Linear(code_dim, units, bias=False), nn.BatchNorm1d(units), nn.ReLU())
        self.project = nn.Linear(units, volume, bias=False)
        layers: list[nn.Module] = [nn.BatchNorm2d(widths[-1]), nn.ReLU()]
        for level in range(len(sizes) - 1, 0, -1):
            odd = (sizes[level - 1][0] % 2, sizes[level - 1][1] % 2)
            layers.append(nn.ConvTranspose2d(widths[level], widths[level - 1], 4, 2, 1, odd, bias=level == 1))
            layers += [nn.BatchNorm2d(widths[level - 1]), nn.ReLU()] if level > 1 else [nn.Tanh()]
        self.layers = nn.Sequential(*layers)

    def forward(self, code: Tensor) -> Tensor:
        return full(self.layers(self.project(self.dense(code)).unflatten(1, self.start)))


class Trunk(nn.Sequential):
    """(b, c, h, w) -> features (b, 16 `width`), which the heads of D and Q share."""

    def __init__(self, sizes: list[tuple[int, int]], channels: int, width: int, leak: float) -> None:
        widths = [channels] + [width * min(2**level, 8) for level in range(len(sizes) - 1)]
        layers: list[nn.Module] = []
        for level in range(1, len(sizes)):
            layers.append(nn.Conv2d(widths[level - 1], widths[level], 4, 2, 1, bias=level == 1))
            layers += [nn.BatchNorm2d(widths[level])] if level > 1 else []
            layers.append(nn.LeakyReLU(leak))
        volume = widths[-1] * sizes[-1][0] * sizes[-1][1]
        units = 16 * width
        layers += [nn.Flatten(), nn.Linear(volume, units, bias=False), nn.BatchNorm1d(units), nn.LeakyReLU(leak)]
        super().__init__(*layers)
