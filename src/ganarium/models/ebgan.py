"""Energy-based Generative Adversarial Network (Zhao et al., 2016), https://arxiv.org/abs/1609.03126

D is an auto-encoder and gives every image an energy, its reconstruction error: low on data, and on fakes
pushed up, but no further than a margin m. EBGAN-PT (`--pull-away-weight 0.1`) also pulls the codes of a batch
of fakes apart.

Losses, to minimise, with E(v) = mean |v - D(v)|^2 over the pixels of one image:
    D    E_x[E(x)] + E_z[max(0, m - E(G(z)))]
    G    E_z[E(G(z))] + weight * f_PT
    f_PT   the mean over pairs i != j of (cosine of the codes of fakes i and j)^2

Differences from the paper:
- The paper sets m by hand for each data set and network. Here, unless it is given, it is a multiple of the
  energy of reals, measured before training on a copy of D that is trained on reals alone for a while, and
  then thrown away.
- The networks are the shared ones: D's encoder is their discriminator with a code in place of the score, D's
  decoder their generator. For 2-D points, which the paper has not, three layers of 128.
"""

from copy import deepcopy
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium.data.batches import Batches
from ganarium.errors import require_fraction, require_not_negative, require_positive
from ganarium.layers.augmentation import Augmentation, DiffAugmentOptions
from ganarium.layers.heads import PerClass
from ganarium.layers.normalization import Norm
from ganarium.model import Adam, Model, Paper, Player, Prior, Step, watch
from ganarium.networks.backbones import BackboneOptions, backbone

PAPER = Paper(
    title="Energy-based Generative Adversarial Network",
    authors="Zhao, Mathieu, LeCun",
    year=2016,
    arxiv="1609.03126",
    idea="The discriminator is an auto-encoder, whose error is an energy: low on data and high on fakes.",
)


@dataclass(frozen=True, kw_only=True)
class Config(DiffAugmentOptions, BackboneOptions):
    margin: float | None = None
    """The energy (mean squared error of a rebuilt pixel, of values in [-1, 1]) up to which that of fakes is
    pushed: m (section 2.1). None: measured before training, as margin_factor times the energy of reals."""
    margin_factor: float = 3.0
    """How many times the energy of reals a measured margin is; not in the paper."""
    num_measuring_steps: int = 500
    """Updates, on reals alone, of the copy of the discriminator on which the margin is measured; not in the
    paper."""
    pull_away_weight: float = 0.0
    """Weight of the term that pulls the codes of fakes apart in the generator's loss, f_PT (section 2.4). 0:
    EBGAN; 0.1: EBGAN-PT."""
    latent_dim: int = 100
    """Numbers in z (ours)."""
    code_dim: int = 100
    """Numbers in the code between the discriminator's encoder and decoder (ours)."""
    generator_norm: bool = True
    """Batch norm in the generator."""
    norm: Norm = "batch"
    """Normalisation in the discriminator's encoder: none, batch, layer or spectral; with batch also in its
    decoder."""
    lr: float = 1e-3
    """Learning rate of Adam."""
    beta1: float = 0.5
    """Adam's first momentum (ours)."""
    beta2: float = 0.999
    """Adam's second momentum (ours)."""

    def __post_init__(self) -> None:
        require_positive(self, "margin_factor", "num_measuring_steps", "lr")
        require_positive(self, "latent_dim", "code_dim", "width")
        require_not_negative(self, "margin", "pull_away_weight")
        require_fraction(self, "beta1", "beta2")

    @classmethod
    def for_points(cls) -> "Config":
        return cls(network="mlp", latent_dim=2, code_dim=32, generator_norm=False, norm="none", beta2=0.9)

    @classmethod
    def small(cls) -> "Config":
        return cls(width=8, num_measuring_steps=3)


class EBGAN(Model):
    margin: Tensor  # () m

    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        self.augment = Augmentation(config.augment, "ebgan", shape)
        self.prior = Prior(config.latent_dim, config.prior)
        self.generator, body = backbone(
            "ebgan",
            config.network,
            shape,
            config.latent_dim,
            config.width,
            generator_norm=config.generator_norm,
            norm=config.norm,
        )
        decoder, _ = backbone(
            "ebgan",
            config.network,
            shape,
            config.code_dim,
            config.width,
            generator_norm=config.norm == "batch",
            norm=config.norm,
        )
        self.discriminator = nn.Sequential(PerClass(body, config.code_dim, config.norm), decoder)
        self.register_buffer("margin", torch.tensor(config.margin or 0.0))
        self.sample_mode = "train" if config.generator_norm else "eval"  # as DCGAN's authors sample
        adam = Adam(lr=config.lr, betas=(config.beta1, config.beta2))
        self.players = {
            "D": Player(self.discriminator, optimizer=adam),
            "G": Player(self.generator, optimizer=adam),
        }

    def step(self, batches: Batches) -> Step:
        D, G, T, m = self.discriminator, self.generate, self.augment, self.margin
        real = T(next(batches).image)  # (b, c, h, w) in [-1, 1], or (b, 2)
        with torch.no_grad():
            fake = T(G(len(real)))
        # apart, not in one batch: each has statistics of its own in D's batch norm
        energy_real, energy_fake = energies(real, D(real)), energies(fake, D(fake))  # (b,)
        terms = {"real": energy_real.mean(), "fake": F.relu(m - energy_fake).mean()}
        yield "D", terms, watch(real=-energy_real, fake=-energy_fake)  # as scores, which are high on reals
        fake = T(G(len(real)))
        code = D[0](fake)  # (b, code_dim)
        terms = {"energy": energies(fake, D[1](code)).mean()}
        if self.config.pull_away_weight:
            terms["pull_away"] = self.config.pull_away_weight * pull_away(code)
        yield "G", terms

    def prepare(self, batches: Batches) -> None:
        """Measures the margin m, unless it is given."""
        if self.config.margin is not None:
            return
        D = deepcopy(self.discriminator)
        adam = self.players["D"].optimizer.build([{"params": list(D.parameters())}], fused=False)
        for _ in range(self.config.num_measuring_steps):
            real = self.augment(next(batches).image)
            energy = energies(real, D(real)).mean()
            adam.zero_grad()
            energy.backward()
            adam.step()
        self.margin.copy_(self.config.margin_factor * energy.detach())


def energies(image: Tensor, rebuilt: Tensor) -> Tensor:
    """E of each image (b,): the mean squared error over its pixels; a gradient flows through both
    arguments."""
    return (image - rebuilt).square().flatten(1).mean(1)


def pull_away(code: Tensor) -> Tensor:
    """f_PT of codes (b, n), b at least 2: the mean of cosine^2 over pairs of different rows, from 0 to 1."""
    b, direction = len(code), F.normalize(code, dim=1)
    with torch.autocast(code.device.type, enabled=False):
        squares = (direction @ direction.T).square()
    return (squares.sum() - squares.trace()) / (b * (b - 1))
