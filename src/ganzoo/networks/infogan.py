"""The networks of InfoGAN's MNIST experiment for any height and width: 4x4 convolutions of stride 2, dense layers."""

from torch import Tensor, nn

from ganzoo.networks import full


class Generator(nn.Module):
    """(b, code_dim) -> (b, c, h, w) in [-1, 1]. `sizes` go from the picture down; widths are 64, 128 ..."""

    def __init__(self, sizes: list[tuple[int, int]], channels: int, code_dim: int) -> None:
        super().__init__()
        widths = [channels] + [min(64 * 2**level, 512) for level in range(len(sizes) - 1)]
        self.start = (widths[-1], *sizes[-1])
        volume = widths[-1] * sizes[-1][0] * sizes[-1][1]
        self.dense = nn.Sequential(nn.Linear(code_dim, 1024, bias=False), nn.BatchNorm1d(1024), nn.ReLU())
        self.project = nn.Linear(1024, volume, bias=False)
        layers: list[nn.Module] = [nn.BatchNorm2d(widths[-1]), nn.ReLU()]
        for level in range(len(sizes) - 1, 0, -1):
            odd = (sizes[level - 1][0] % 2, sizes[level - 1][1] % 2)
            layers.append(nn.ConvTranspose2d(widths[level], widths[level - 1], 4, 2, 1, odd, bias=level == 1))
            layers += [nn.BatchNorm2d(widths[level - 1]), nn.ReLU()] if level > 1 else [nn.Tanh()]
        self.layers = nn.Sequential(*layers)

    def forward(self, code: Tensor) -> Tensor:
        return full(self.layers(self.project(self.dense(code)).unflatten(1, self.start)))


class Trunk(nn.Sequential):
    """(b, c, h, w) -> features (b, 1024), which the heads of D and Q share."""

    def __init__(self, sizes: list[tuple[int, int]], channels: int, leak: float) -> None:
        widths = [channels] + [min(64 * 2**level, 512) for level in range(len(sizes) - 1)]
        layers: list[nn.Module] = []
        for level in range(1, len(sizes)):
            layers.append(nn.Conv2d(widths[level - 1], widths[level], 4, 2, 1, bias=level == 1))
            layers += [nn.BatchNorm2d(widths[level])] if level > 1 else []
            layers.append(nn.LeakyReLU(leak))
        volume = widths[-1] * sizes[-1][0] * sizes[-1][1]
        layers += [nn.Flatten(), nn.Linear(volume, 1024, bias=False), nn.BatchNorm1d(1024), nn.LeakyReLU(leak)]
        super().__init__(*layers)
