"""The relativistic discriminator: a key element missing from standard GAN (Jolicoeur-Martineau, 2018),
https://arxiv.org/abs/1807.00734

D does not say whether a sample is real, but how much more real it is than the other kind: losses depend on differences
of scores only, and G is trained to lower the scores of reals as well as to raise those of its own samples.

Losses, to minimise (r = D(x), f = D(G(z)); D wants r above f, and G, with r and f swapped, f above r):
    rsgan      E[h(r - f)], real and fake paired by their place in the batch,  h(t) = softplus(-t)
    rasgan     E[h(r - E[f])] + E[h(E[r] - f)],  h(t) = softplus(-t)           the default, "RaGAN"
    ralsgan    the same with h(t) = (t - 1)^2
    rahinge    the same with h(t) = max(0, 1 - t)

Differences from the paper:
- The author's "stable" networks are SN-DCGAN's (spectral norm in D, LeakyReLU 0.1); here they are DCGAN's, with
  spectral norm in D and LeakyReLU 0.2. 2-D points, on plain perceptrons, are not the paper's.
- The author's code halves the sums of two terms; here, as in the paper, they are sums, which is the same under Adam.
- G's step takes the reals of D's last update and scores them anew, with the weights that D has by then.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium.data.batches import Batches
from ganarium.errors import UserError, require_positive
from ganarium.layers.normalization import Norm
from ganarium.model import Adam, Model, Paper, Player, Step, watch
from ganarium.networks.backbones import Network, backbone

PAPER = Paper(
    title="The relativistic discriminator: a key element missing from standard GAN",
    authors="Jolicoeur-Martineau",
    year=2018,
    arxiv="1807.00734",
    idea="D tells how much more real a sample is than the other kind, so G also lowers the scores of real data.",
)


@dataclass(frozen=True, kw_only=True)
class Config:
    loss: Literal["rsgan", "rasgan", "ralsgan", "rahinge"] = "rasgan"
    """Pairs of one real and one fake, or each sample against the mean of the other kind: logistic, squares, hinge."""
    network: Network = "auto"
    """Kind of networks. auto: dcgan for images (near the author's), mlp for points."""
    num_discriminator_steps: int = 1
    """Updates of D for one of G (1 in the author's first setting, 5 in the second)."""
    latent_dim: int | None = None
    """Numbers in z, normal. None: 128, 2 for points."""
    width: int | None = None
    """Channels next to the picture, or units in a hidden layer. None: as is usual for the networks."""
    generator_norm: bool | None = None
    """Batch norm in G. None: on in convolutional networks, off in an mlp."""
    norm: Norm | None = None
    """Normalisation in D. None: spectral in convolutional networks (author's stable setting), none in an mlp."""
    lr: float | None = None
    """Learning rate of Adam. None: 2e-4 (author's first setting; 1e-4 in the second), 1e-3 for points."""
    beta1: float = 0.5
    """Adam's first momentum (author's stable settings; 0.9 in the unstable one)."""
    beta2: float | None = None
    """Adam's second momentum. None: 0.999 (author's first setting; 0.9 in the others), 0.9 for points."""

    def __post_init__(self) -> None:
        require_positive(self, "num_discriminator_steps", "latent_dim", "width", "lr")
        for name in ("beta1", "beta2"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < 1:
                raise UserError(f"{name} must be from 0 to below 1, not {value}.")


LOSSES: dict[str, Callable[[Tensor], Tensor]] = {  # h, of a difference that its player wants to be large
    "rsgan": lambda t: F.softplus(-t),
    "rasgan": lambda t: F.softplus(-t),
    "ralsgan": lambda t: (t - 1).square(),
    "rahinge": lambda t: F.relu(1 - t),
}


class RelativisticGAN(Model):
    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        points = len(shape) == 1
        convolutional = not points and config.network != "mlp"
        self.latent_dim = config.latent_dim or (2 if points else 128)
        norm: Norm = config.norm or ("spectral" if convolutional else "none")
        g_norm = convolutional if config.generator_norm is None else config.generator_norm
        self.generator, self.discriminator = backbone(
            "relativistic_gan", config.network, shape, self.latent_dim, config.width, generator_norm=g_norm, norm=norm
        )
        self.batch_size = 256 if points else 32
        self.sample_mode = "train" if g_norm else "eval"
        beta2 = (0.9 if points else 0.999) if config.beta2 is None else config.beta2
        adam = Adam(lr=config.lr or (1e-3 if points else 2e-4), betas=(config.beta1, beta2))
        self.players = {"D": Player(self.discriminator, optimizer=adam), "G": Player(self.generator, optimizer=adam)}
        layers = [item for item in self.discriminator.named_modules() if isinstance(item[1], nn.Linear)]
        name, last = layers[-1]
        if last.bias is not None:
            self.still = {f"discriminator.{name}.bias": "differences of scores do not change with it: no gradient"}

    def step(self, batches: Batches) -> Step:
        D, G = self.discriminator, self.generate
        for _ in range(self.config.num_discriminator_steps):
            real = next(batches).image  # (b, c, h, w) in [-1, 1], or (b, 2)
            with torch.no_grad():
                fake = G(len(real))
            score_real, score_fake = D(real), D(fake)  # two passes: D may have batch norm
            yield "D", self.above(score_real, score_fake), watch(real=score_real, fake=score_fake)
        with torch.no_grad():  # reals are no function of G; its gradient flows through the fakes of both terms
            score_real = D(real)
        yield "G", self.above(D(G(len(real))), score_real)

    def above(self, high: Tensor, low: Tensor) -> dict[str, Tensor]:
        """The terms of the player who wants the scores `high` (b,) above the scores `low` (b,)."""
        h = LOSSES[self.config.loss]
        if self.config.loss == "rsgan":
            return {"pairs": h(high - low).mean()}
        return {"high": h(high - low.mean()).mean(), "low": h(high.mean() - low).mean()}

    def latent(self, n: int) -> Tensor:
        """z (n, latent_dim), normal."""
        return torch.randn(n, self.latent_dim, device=self.device, dtype=self.dtype)

    def generate(self, n: int, latent: Tensor | None = None) -> Tensor:
        return self.generator(self.latent(n) if latent is None else latent)
