"""The networks of GAN-CLS (Reed et al. 2016): those of DCGAN, with a sentence beside z and beside D's last map."""

import math

import torch
from torch import Tensor, nn

from ganarium.layers.precision import full


class Projection(nn.Sequential):
    """An embedded sentence (b, embedding_dim) -> (b, projected)."""

    def __init__(self, embedding_dim: int, projected: int) -> None:
        super().__init__(nn.Linear(embedding_dim, projected), nn.BatchNorm1d(projected), nn.LeakyReLU(0.2))


def widths_of(width: int, size: int) -> list[int]:
    """Channels of the maps from `size` / 2 pixels down to 4: each twice the one before, up to 8 `width`."""
    return [width * min(8, 2**level) for level in range((size // 4).bit_length() - 1)]


class Generator(nn.Module):
    """z (b, latent_dim) and sentences (b, embedding_dim) -> images (b, channels, size, size) in [-1, 1]."""

    def __init__(
        self, latent_dim: int, embedding_dim: int, projected: int, channels: int, width: int, size: int
    ) -> None:
        super().__init__()
        self.projection = Projection(embedding_dim, projected)
        widths, inputs = widths_of(width, size)[::-1], latent_dim + projected
        layers: list[nn.Module] = []
        for number, outputs in enumerate(widths):
            stride = (1, 0) if number == 0 else (2, 1)
            layers += [nn.ConvTranspose2d(inputs, outputs, 4, *stride, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
            inputs = outputs
        self.layers = nn.Sequential(*layers, nn.ConvTranspose2d(inputs, channels, 4, 2, 1, bias=False), nn.Tanh())

    def forward(self, z: Tensor, sentence: Tensor) -> Tensor:
        z = torch.cat([self.projection(sentence), z], 1)
        return full(self.layers(z[:, :, None, None]))


class Discriminator(nn.Module):
    """Images (b, channels, size, size) and sentences (b, embedding_dim) -> scores (b,).

    `joint`: a 1x1 convolution over map and sentence before the last layer.
    """

    def __init__(
        self, embedding_dim: int, projected: int, channels: int, width: int, size: int, *, joint: bool = True
    ) -> None:
        super().__init__()
        widths = widths_of(width, size)
        layers: list[nn.Module] = []
        for inputs, outputs in zip([channels, *widths], widths, strict=False):
            norm = [nn.BatchNorm2d(outputs)] if layers else []  # none behind the first
            layers += [nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False), *norm, nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers)
        self.projection = Projection(embedding_dim, projected)
        last = widths[-1] + projected
        self.joint = nn.Sequential(nn.Conv2d(last, last, 1, bias=False), nn.BatchNorm2d(last), nn.LeakyReLU(0.2))
        if not joint:
            self.joint = nn.Sequential()
        self.last = nn.Conv2d(last, 1, 4, bias=False)

    def forward(self, image: Tensor, sentence: Tensor) -> Tensor:
        return self.head(self.layers(image), self.projection(sentence))

    def head(self, x: Tensor, told: Tensor) -> Tensor:
        """Scores (b,) from the last maps (b, c, 4, 4) and projected sentences (b, projected)."""
        x = torch.cat([x, told[:, :, None, None].expand(-1, -1, *x.shape[2:])], 1)
        return full(self.last(self.joint(x)).flatten())

    def hardest(self, image: Tensor, sentence: Tensor, same: Tensor, candidates: int) -> tuple[Tensor, Tensor, Tensor]:
        """Scores (b,) of b images with their sentences, and (b,) of the b pairs with other images that score highest
        of `candidates` drawn for each sentence; and which of these are no pair of the `same` (b, b), (b,). All pairs
        are in one batch: apart, batch norm shows D which batch is the one of wrong pairs."""
        x, told = self.layers(image), self.projection(sentence)
        others = torch.rand(same.shape, device=image.device).masked_fill(same, -1)
        others = others.topk(min(candidates, len(same)), 1).indices  # (b, candidates)
        row = torch.arange(len(same), device=image.device)[:, None].expand_as(others).flatten()
        column, training = others.flatten(), self.training
        with torch.no_grad():
            score = self.eval().head(x[column], told[row]).masked_fill(same[row, column], -math.inf)
        self.train(training)
        chosen = score.topk(len(same)).indices
        row, column = row[chosen], column[chosen]
        right, wrong = self.head(torch.cat([x, x[column]]), torch.cat([told, told[row]])).chunk(2)
        return right, wrong, (~same[row, column]).to(image.dtype)


class ImageEncoder(nn.Module):
    """Images (b, channels, size, size) -> (b, dim), to be compared with embedded sentences."""

    def __init__(self, channels: int, width: int, size: int, dim: int) -> None:
        super().__init__()
        widths = widths_of(width, size)
        layers: list[nn.Module] = []
        for inputs, outputs in zip([channels, *widths], widths, strict=False):
            layers += [nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(16 * widths[-1], dim))

    def forward(self, image: Tensor) -> Tensor:
        return full(self.layers(image))
