"""Energy-based Generative Adversarial Network (Zhao et al., 2016), https://arxiv.org/abs/1609.03126

D is an auto-encoder and gives every image an energy, its reconstruction error: low on data, and on fakes pushed up, but
no further than a margin m. EBGAN-PT (`--pull-away-weight 0.1`) also pulls the codes of a batch of fakes apart.

Losses, to minimise, with E(v) = mean |v - D(v)|^2 over the pixels of one image:
    D    E_x[E(x)] + E_z[max(0, m - E(G(z)))]
    G    E_z[E(G(z))] + weight * f_PT,  f_PT = the mean over pairs i != j of (cosine of the codes of fakes i and j)^2

Differences from the paper:
- The paper sets m by hand for each data set and network. Here, unless it is given, it is a multiple of the energy of
  reals, measured before training on a copy of D that is trained on reals alone for a while, and then thrown away.
- The networks are the shared ones: D's encoder is their discriminator with a code in place of the score, D's decoder
  their generator. For 2-D points, which the paper has not, three layers of 128.
"""

from copy import deepcopy
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium.data.batches import Batches
from ganarium.errors import UserError, require_positive
from ganarium.layers.heads import PerClass
from ganarium.layers.normalization import Norm
from ganarium.model import Adam, Model, Paper, Player, Step, watch
from ganarium.networks.backbones import Network, backbone

PAPER = Paper(
    title="Energy-based Generative Adversarial Network",
    authors="Zhao, Mathieu, LeCun",
    year=2016,
    arxiv="1609.03126",
    idea="The discriminator is an auto-encoder: its reconstruction error is an energy, low on data and high on fakes.",
)


@dataclass(frozen=True, kw_only=True)
class Config:
    margin: float | None = None
    """m, the energy up to which fakes are pushed: a mean squared error per pixel, in [-1, 1]. None: measured."""
    margin_factor: float = 3.0
    """A measured m is so many times the energy of reals; not in the paper."""
    num_measuring_steps: int = 500
    """Updates, on reals alone, of the copy of D on which m is measured."""
    pull_away_weight: float = 0.0
    """Weight of f_PT in G's loss (section 2.4). 0: EBGAN; 0.1: EBGAN-PT."""
    network: Network = "auto"
    """Kind of networks. auto: dcgan for images, mlp for points."""
    latent_dim: int | None = None
    """Numbers in z, normal. None: 100 for images, 2 for points."""
    code_dim: int | None = None
    """Numbers in D's code. None: 100 for images, 32 for points."""
    width: int | None = None
    """Channels next to the picture, or units in a hidden layer. None: as is usual for the networks."""
    generator_norm: bool | None = None
    """Batch norm in G. None: on for images, off for points."""
    norm: Norm | None = None
    """Normalisation in D's encoder; with batch also in its decoder. None: batch for images, none for points."""
    lr: float = 1e-3
    """Learning rate of Adam."""
    beta1: float = 0.5
    """Adam's first momentum."""

    def __post_init__(self) -> None:
        require_positive(self, "margin_factor", "num_measuring_steps", "latent_dim", "code_dim", "width", "lr")
        for name in ("margin", "pull_away_weight"):
            if (getattr(self, name) or 0) < 0:
                raise UserError(f"{name} must be at least 0, not {getattr(self, name)}.")
        if not 0 <= self.beta1 < 1:
            raise UserError(f"beta1 must be from 0 to below 1, not {self.beta1}.")


class EBGAN(Model):
    margin: Tensor  # () m

    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        points = len(shape) == 1
        self.batch_size = 256 if points else 64
        self.latent_dim = config.latent_dim or (2 if points else 100)
        code_dim = config.code_dim or (32 if points else 100)
        g_norm = not points if config.generator_norm is None else config.generator_norm
        self.sample_mode = "train" if g_norm else "eval"
        norm: Norm = config.norm or ("none" if points else "batch")
        kind = "ebgan", config.network, shape
        self.generator, body = backbone(*kind, self.latent_dim, config.width, generator_norm=g_norm, norm=norm)
        decoder, _ = backbone(*kind, code_dim, config.width, generator_norm=norm == "batch", norm=norm)
        self.discriminator = nn.Sequential(PerClass(body, code_dim, norm), decoder)
        self.register_buffer("margin", torch.tensor(config.margin or 0.0))
        adam = Adam(lr=config.lr, betas=(config.beta1, 0.9 if points else 0.999))
        self.players = {"D": Player(self.discriminator, optimizer=adam), "G": Player(self.generator, optimizer=adam)}

    def prepare(self, batches: Batches) -> None:  # measures m
        if self.config.margin is not None:
            return
        D = deepcopy(self.discriminator)
        adam = self.players["D"].optimizer.build([{"params": list(D.parameters())}], fused=False)
        for _ in range(self.config.num_measuring_steps):
            real = next(batches).image
            energy = energies(real, D(real)).mean()
            adam.zero_grad()
            energy.backward()
            adam.step()
        self.margin.copy_(self.config.margin_factor * energy.detach())

    def step(self, batches: Batches) -> Step:
        D, m = self.discriminator, self.margin
        real = next(batches).image  # (b, c, h, w) in [-1, 1], or (b, 2)
        with torch.no_grad():
            fake = self.generate(len(real))
        # apart, not in one batch: each has statistics of its own in D's batch norm
        energy_real, energy_fake = energies(real, D(real)), energies(fake, D(fake))  # (b,)
        terms = {"real": energy_real.mean(), "fake": F.relu(m - energy_fake).mean()}
        yield "D", terms, watch(real=-energy_real, fake=-energy_fake)  # as scores, which are high on reals
        fake = self.generate(len(real))
        code = D[0](fake)  # (b, code_dim)
        terms = {"energy": energies(fake, D[1](code)).mean()}
        if self.config.pull_away_weight:
            terms["pull_away"] = self.config.pull_away_weight * pull_away(code)
        yield "G", terms

    def latent(self, n: int) -> Tensor:
        """z (n, latent_dim), normal."""
        return torch.randn(n, self.latent_dim, device=self.device, dtype=self.dtype)

    def generate(self, n: int, latent: Tensor | None = None) -> Tensor:
        return self.generator(self.latent(n) if latent is None else latent)


def energies(image: Tensor, rebuilt: Tensor) -> Tensor:
    """E of each image (b,): the mean squared error over its pixels; a gradient flows through both arguments."""
    return (image - rebuilt).square().flatten(1).mean(1)


def pull_away(code: Tensor) -> Tensor:
    """f_PT of codes (b, n), b at least 2: the mean of cosine^2 over pairs of different rows, from 0 to 1."""
    b, direction = len(code), F.normalize(code, dim=1)
    with torch.autocast(code.device.type, enabled=False):
        squares = (direction @ direction.T).square()
    return (squares.sum() - squares.trace()) / (b * (b - 1))
