"""BEGAN: Boundary Equilibrium Generative Adversarial Networks (Berthelot et al., 2017),
https://arxiv.org/abs/1703.10717

D is an auto-encoder, trained to rebuild reals well and fakes badly; G makes images that D rebuilds well. A
control variable k holds the two losses at the ratio gamma = E[L(G(z))] / E[L(x)], which trades diversity for
quality.

Losses, to minimise, with L(v) = mean |v - D(v)| over the pixels:
    D    L(x) - k L(G(z))
    G    L(G(z))
    k <- clip(k + lambda_k (gamma L(x) - L(G(z))), 0, 1)
    M = L(x) + |gamma L(x) - L(G(z))|, the convergence measure

Differences from the paper:
- The paper halves the learning rate when M stalls; here it is halved every `lr_halving_steps` iterations (off
  by default), since schedules depend on the iteration alone.
- Any height and width: as many halvings as bring the shorter side to about 8, at least one. Weights start as
  torch's do; the paper says nothing of it. The optional vanishing residuals and skip connections of section
  3.5 are left out. Below 64 pixels the default is 32 filters; the paper's are 64 and 128.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium.data.batches import Batches
from ganarium.errors import UserError, require_positive
from ganarium.layers.augmentation import Augmentation, DiffAugmentOptions
from ganarium.layers.precision import full
from ganarium.layers.shapes import halvings, image_shape, pyramid
from ganarium.model import Adam, Model, Paper, Player, Prior, Step, watch

PAPER = Paper(
    title="BEGAN: Boundary Equilibrium Generative Adversarial Networks",
    authors="Berthelot, Schumm, Metz",
    year=2017,
    arxiv="1703.10717",
    idea="An auto-encoder as discriminator, held in equilibrium with the generator by a control variable.",
)


@dataclass(frozen=True, kw_only=True)
class Config(DiffAugmentOptions):
    gamma: float = 0.5
    """Diversity ratio in (0, 1]: the reconstruction loss of fakes over that of reals, which is held at this
    value (section 3.3; the paper shows 0.3 to 0.7). Lower gives sharper and less varied images."""
    lambda_k: float = 0.001
    """How far the control variable k moves in one iteration, as a share of the imbalance (section 3.4)."""
    latent_dim: int = 64
    """Numbers in z, uniform on [-1, 1], and in the code of the auto-encoder."""
    width: int | None = None
    """Channels of the first convolution; the encoder adds as many with each halving. None: 64 (paper) where
    the shorter side has 64 pixels or more, 32 below."""
    lr: float = 1e-4
    """Learning rate of Adam at the start (paper)."""
    lr_halving_steps: int | None = None
    """Iterations after which the learning rate is halved, again and again. None: never."""

    def __post_init__(self) -> None:
        require_positive(self, "lambda_k", "latent_dim", "width", "lr", "lr_halving_steps")
        if not 0 < self.gamma <= 1:
            raise UserError(f"gamma must be above 0 and at most 1, not {self.gamma}.")

    @classmethod
    def small(cls) -> "Config":
        return cls(width=4, latent_dim=8)


class Decoder(nn.Module):
    """(b, latent_dim) -> (b, c, h, w), unbounded: G, and with weights of its own the second half of D."""

    def __init__(self, shape: tuple[int, int, int], latent_dim: int, width: int) -> None:
        super().__init__()
        self.sizes = pyramid(*shape[1:], halvings(*shape[1:], smallest=8))[::-1]
        self.start = (width, *self.sizes[0])
        self.project = nn.Linear(latent_dim, math.prod(self.start))
        self.convs = nn.ModuleList(nn.Conv2d(width, width, 3, 1, 1) for _ in range(2 * len(self.sizes)))
        self.last = nn.Conv2d(width, shape[0], 3, 1, 1)

    def forward(self, code: Tensor) -> Tensor:
        x = self.project(code).unflatten(1, self.start)
        for level, size in enumerate(self.sizes):
            if level:
                x = F.interpolate(x, size=size, mode="nearest")
            x = F.elu(self.convs[2 * level](x))
            x = F.elu(self.convs[2 * level + 1](x))
        return full(self.last(x))


class Encoder(nn.Module):
    """(b, c, h, w) -> (b, latent_dim): with each halving the channels grow linearly, n, 2n, 3n."""

    def __init__(self, shape: tuple[int, int, int], latent_dim: int, width: int) -> None:
        super().__init__()
        sizes = pyramid(*shape[1:], halvings(*shape[1:], smallest=8))
        layers: list[nn.Module] = [nn.Conv2d(shape[0], width, 3, 1, 1), nn.ELU()]
        for level in range(1, len(sizes) + 1):
            n = width * level
            layers += [nn.Conv2d(n, n, 3, 1, 1), nn.ELU(), nn.Conv2d(n, n, 3, 1, 1), nn.ELU()]
            if level < len(sizes):
                layers += [nn.Conv2d(n, n + width, 3, 2, 1), nn.ELU()]
        dense = nn.Linear(n * math.prod(sizes[-1]), latent_dim)
        self.layers = nn.Sequential(*layers, nn.Flatten(), dense)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class BEGAN(Model):
    batch_size = 16
    k: Tensor  # () the control variable, in [0, 1]

    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        self.augment = Augmentation(config.augment, "began", shape)
        image = image_shape(shape, "began")
        self.prior = Prior(config.latent_dim, "uniform")
        width = config.width or (64 if min(image[1:]) >= 64 else 32)
        self.generator = Decoder(image, config.latent_dim, width)
        encoder = Encoder(image, config.latent_dim, width)
        decoder = Decoder(image, config.latent_dim, width)
        self.discriminator = nn.Sequential(encoder, decoder)
        self.register_buffer("k", torch.zeros(()))
        every = config.lr_halving_steps
        adam = Adam(lr=lambda iteration, total: config.lr / 2 ** (iteration // every) if every else config.lr)
        self.players = {
            "D": Player(self.discriminator, optimizer=adam),
            "G": Player(self.generator, optimizer=adam),
        }

    def step(self, batches: Batches) -> Step:
        G, L, T = self.generate, self.reconstruction, self.augment
        real = T(next(batches).image)  # (b, c, h, w) in [-1, 1]
        with torch.no_grad():
            fake = T(G(len(real)))
        loss_real, loss_fake = L(real), L(fake)
        yield "D", {"real": loss_real, "fake": -self.k * loss_fake}
        loss_g = L(T(G(len(real))))
        balance = (self.config.gamma * loss_real - loss_g).detach()
        yield "G", {"reconstruction": loss_g}, watch(k=self.k.clone(), convergence=loss_real + balance.abs())
        self.k.add_(self.config.lambda_k * balance).clamp_(0, 1)

    def reconstruction(self, image: Tensor) -> Tensor:
        """L(v) = mean |v - D(v)|; for fakes the gradient flows through both v's."""
        return (image - self.discriminator(image)).abs().mean()
