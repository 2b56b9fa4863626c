"""The relativistic discriminator: a key element missing from standard GAN (Jolicoeur-Martineau, 2018),
https://arxiv.org/abs/1807.00734

D does not say whether a sample is real, but how much more real it is than the other kind: losses depend on
differences of scores only, and G is trained to lower the scores of reals as well as to raise those of its own
samples.

Losses, to minimise (r = D(x), f = D(G(z)); D wants r above f, and G, with r and f swapped, f above r):
    rsgan      E[h(r - f)], real and fake paired by their place in the batch,  h(t) = softplus(-t)
    rasgan     E[h(r - E[f])] + E[h(E[r] - f)],  h(t) = softplus(-t)           the default, "RaGAN"
    ralsgan    the same with h(t) = (t - 1)^2
    rahinge    the same with h(t) = max(0, 1 - t)

Differences from the paper:
- The author's "stable" networks are SN-DCGAN's (spectral norm in D, LeakyReLU 0.1); here they are DCGAN's,
  with spectral norm in D and LeakyReLU 0.2. 2-D points, on plain perceptrons, are not the paper's.
- The author's code halves the sums of two terms; here, as in the paper, they are sums, which is the same
  under Adam.
- `penalty` adds R1, or R1 and R2, as in R3GAN ("The GAN is dead; long live the GAN!"), which has them with
  rsgan, at every step and on networks without normalisation.
- G's step takes the reals of D's last update and scores them anew, with the weights that D has by then.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ganarium.data.batches import Batches
from ganarium.errors import require_fraction, require_positive
from ganarium.layers.augmentation import Augmentation, DiffAugmentOptions
from ganarium.layers.heads import last_linear
from ganarium.layers.normalization import Norm
from ganarium.losses import gradient_norm
from ganarium.model import Adam, Model, Paper, Player, Prior, Step, watch
from ganarium.networks.backbones import BackboneOptions, backbone

PAPER = Paper(
    title="The relativistic discriminator: a key element missing from standard GAN",
    authors="Jolicoeur-Martineau",
    year=2018,
    arxiv="1807.00734",
    idea="D tells how much more real a sample is than the other kind, so G also lowers scores of real data.",
)


@dataclass(frozen=True, kw_only=True)
class Config(DiffAugmentOptions, BackboneOptions):
    loss: Literal["rsgan", "rasgan", "ralsgan", "rahinge"] = "rasgan"
    """Which differences of scores are compared, and by which loss. rsgan: each real with one fake, logistic
    loss. The others: each sample with the mean score of the other kind, by logistic loss (rasgan), squares
    (ralsgan) or a hinge (rahinge). rasgan is the paper's RaGAN (section 4)."""
    num_discriminator_steps: int = 1
    """Updates of D for one of G (1 in the author's first setting, 5 in the second)."""
    latent_dim: int = 128
    """Numbers in z (author's code)."""
    norm: Norm | None = None
    """Normalisation in D: none, batch, layer or spectral. None: spectral in convolutional networks (author's
    stable setting), none in an mlp."""
    penalty: Literal["none", "r1", "r1_r2"] = "none"
    """Squared norms of D's gradient: none (paper), at reals (r1), or at reals and fakes (r1_r2, R3GAN's)."""
    gamma: float = 1.0
    """Weight of these penalties, of which half counts."""
    lr: float = 2e-4
    """Learning rate of Adam (author's first setting; 1e-4 in the second)."""
    beta1: float = 0.5
    """Adam's first momentum (author's stable settings; 0.9 in the unstable one)."""
    beta2: float = 0.999
    """Adam's second momentum (author's first setting; 0.9 in the others)."""

    def __post_init__(self) -> None:
        require_positive(self, "num_discriminator_steps", "latent_dim", "width", "lr", "gamma")
        require_fraction(self, "beta1", "beta2")

    @classmethod
    def for_points(cls) -> "Config":
        return cls(network="mlp", latent_dim=2, lr=1e-3, beta2=0.9)

    @classmethod
    def small(cls) -> "Config":
        return cls(width=4)


LOSSES: dict[str, Callable[[Tensor], Tensor]] = {  # h, of a difference that its player wants to be large
    "rsgan": lambda t: F.softplus(-t),
    "rasgan": lambda t: F.softplus(-t),
    "ralsgan": lambda t: (t - 1).square(),
    "rahinge": lambda t: F.relu(1 - t),
}


class RelativisticGAN(Model):
    batch_size = 32

    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        self.augment = Augmentation(config.augment, "relativistic_gan", shape)
        self.prior = Prior(config.latent_dim, config.prior)
        self.generator, self.discriminator = backbone(
            "relativistic_gan",
            config.network,
            shape,
            config.latent_dim,
            config.width,
            generator_norm=config.batch_norm_in_generator,
            norm=config.norm or ("spectral" if config.convolutional else "none"),
        )
        self.sample_mode = "train" if config.batch_norm_in_generator else "eval"
        adam = Adam(lr=config.lr, betas=(config.beta1, config.beta2))
        self.players = {
            "D": Player(self.discriminator, optimizer=adam),
            "G": Player(self.generator, optimizer=adam),
        }
        name, last = last_linear(self.discriminator)
        if last.bias is not None:
            reason = "differences of scores do not change with it: no gradient"
            self.still = {f"discriminator.{name}.bias": reason}

    def step(self, batches: Batches) -> Step:
        D, G, T = self.discriminator, self.generate, self.augment
        for _ in range(self.config.num_discriminator_steps):
            real = T(next(batches).image)  # (b, c, h, w) in [-1, 1], or (b, 2)
            with torch.no_grad():
                fake = T(G(len(real)))
            score_real, score_fake = D(real), D(fake)  # two passes: D may have batch norm
            terms = self.above(score_real, score_fake) | self.penalties(real, fake)
            yield "D", terms, watch(real=score_real, fake=score_fake)
        # reals are no function of G; its gradient flows through the fakes of both terms
        with torch.no_grad():
            score_real = D(real)
        yield "G", self.above(D(T(G(len(real)))), score_real)

    def penalties(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """gamma / 2 times the mean squared norm of D's gradient, at what D sees."""
        seen = {"penalty_real": real, "penalty_fake": fake}
        names = list(seen)[: {"none": 0, "r1": 1, "r1_r2": 2}[self.config.penalty]]
        half = 0.5 * self.config.gamma
        return {name: half * gradient_norm(self.discriminator, seen[name]).square().mean() for name in names}

    def above(self, high: Tensor, low: Tensor) -> dict[str, Tensor]:
        """The terms of the player who wants the scores `high` (b,) above the scores `low` (b,)."""
        h = LOSSES[self.config.loss]
        if self.config.loss == "rsgan":
            return {"pairs": h(high - low).mean()}
        return {"high": h(high - low.mean()).mean(), "low": h(high.mean() - low).mean()}
