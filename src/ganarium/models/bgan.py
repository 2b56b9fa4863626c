"""Boundary-Seeking Generative Adversarial Networks (Hjelm et al., 2017), https://arxiv.org/abs/1702.08431

G can draw discrete pixels, through which no gradient flows. D's odds p / (1 - p) = exp(D) say how much likelier a
sample is under the data than under G: G raises the likelihood of each of M samples for one z by its share of the odds.

Losses, to minimise (p = sigmoid(D), g(x|z) the product of the sites' Bernoulli probabilities):
    D                 E_x[-log p(x)] + E_z,m[-log(1 - p(x_m))],  x_m ~ g(x|z), m = 1 ... M
    G, discrete       -E_z[sum_m w_m log g(x_m|z)],  w = softmax over m of D(x_m); samples and weights are constants
    G, continuous     0.5 E_z[(log p(G(z)) - log(1 - p(G(z))))^2] = 0.5 E_z[D(G(z))^2], through G(z) as usual

Differences from the paper:
- Discrete means binary here; the categorical form (16 colours, characters) is left out. Grey images are made binary for
  every batch, each value 1 with its brightness as probability; binary ones stay as they are.
- Samples are binary draws from g(x|z), which is what D judges; the released pictures show the probabilities.
- DCGAN's networks of any height and width in place of the released ones, which on MNIST have one dense layer more.
- The released continuous loss has no 0.5, and by default subtracts a running estimate of the log partition function.
- Binary values are -1 and 1, not 0 and 1. Points are no data of the paper: three layers of 128.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium.data.batches import Batches
from ganarium.errors import UserError, require_positive
from ganarium.layers.normalization import Norm
from ganarium.losses import as_fake, as_real
from ganarium.model import Adam, Model, Paper, Player, Step, watch
from ganarium.networks.backbones import Network, backbone

PAPER = Paper(
    title="Boundary-Seeking Generative Adversarial Networks",
    authors="Hjelm, Jacob, Che, Trischler, Cho, Bengio",
    year=2017,
    arxiv="1702.08431",
    idea="The discriminator's odds weigh samples of a generator, which so learns to draw discrete data.",
)


@dataclass(frozen=True, kw_only=True)
class Config:
    form: Literal["auto", "discrete", "continuous"] = "auto"
    """Binary pixels and weighted likelihoods, or a gradient through the samples. auto: discrete for grey images."""
    num_samples: int = 20
    """M, samples for each z in the discrete form (released)."""
    network: Network = "auto"
    """Kind of networks. auto: dcgan for images, mlp for points."""
    latent_dim: int | None = None
    """Numbers in z. None: 64 if discrete, 128 if continuous (both released), 2 for points."""
    width: int | None = None
    """Channels next to the picture, or units in a hidden layer. None: as is usual for the networks; dcgan 64 (released
    for MNIST), 32 below 48 pixels."""
    generator_norm: bool | None = None
    """Batch norm in G. None: on for images (released), off for points."""
    norm: Norm | None = None
    """Normalisation in D. None: batch for continuous images, none if discrete (both released) and for points."""
    lr: float | None = None
    """Learning rate of Adam. None: 1e-4 for images (released), 1e-3 for points."""
    beta1: float = 0.5
    """Adam's first momentum (released)."""

    def __post_init__(self) -> None:
        require_positive(self, "num_samples", "latent_dim", "width", "lr")
        if not 0 <= self.beta1 < 1:
            raise UserError(f"beta1 must be from 0 to below 1, not {self.beta1}.")


class BGAN(Model):
    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        points, grey = len(shape) == 1, len(shape) == 3 and shape[0] == 1
        if points and config.form == "discrete":
            raise UserError("bgan's discrete form makes binary pixels, not points: use --form continuous.")
        self.discrete = config.form == "discrete" or (config.form == "auto" and grey)
        self.batch_size = 256 if points else 64
        self.latent_dim = config.latent_dim or (2 if points else 64 if self.discrete else 128)
        own_norm: Norm = "none" if points or self.discrete else "batch"
        self.generator, self.discriminator = backbone(
            "bgan",
            config.network,
            shape,
            self.latent_dim,
            config.width,
            generator_norm=not points if config.generator_norm is None else config.generator_norm,
            norm=config.norm or own_norm,
        )
        if self.discrete:
            *_, (name, last) = self.generator.named_modules()
            assert isinstance(last, nn.Tanh)
            self.generator.set_submodule(name, nn.Identity())  # what is left gives logits
        adam = Adam(lr=config.lr or (1e-3 if points else 1e-4), betas=(config.beta1, 0.9 if points else 0.999))
        self.players = {"D": Player(self.discriminator, optimizer=adam), "G": Player(self.generator, optimizer=adam)}

    def step(self, batches: Batches) -> Step:
        D, M = self.discriminator, self.config.num_samples
        real = next(batches).image  # (b, c, h, w) in [-1, 1], or (b, 2)
        real = binary((real + 1) / 2) if self.discrete else real
        with torch.no_grad():
            made = self.generator(self.latent(len(real)))
            fake = binary(made.sigmoid().expand(M, *made.shape)).flatten(0, 1) if self.discrete else made
        # apart, not in one batch: each has statistics of its own in D's batch norm
        score_real, score_fake = D(real), D(fake)
        terms = {"real": as_real(score_real), "fake": as_fake(score_fake)}
        yield "D", terms, watch(real=score_real, fake=score_fake)
        made = self.generator(self.latent(len(real)))
        if self.discrete:
            with torch.no_grad():
                x = binary(made.sigmoid().expand(M, *made.shape))  # (M, b, c, h, w)
                weight = D(x.flatten(0, 1)).unflatten(0, (M, -1)).softmax(0)  # (M, b)
            log_g = F.logsigmoid(x * made).flatten(2).sum(2)  # of -1 or 1, from logits: (M, b)
            yield "G", {"likelihood": -(weight * log_g).sum(0).mean()}
        else:
            yield "G", {"boundary": 0.5 * D(made).square().mean()}

    def latent(self, n: int) -> Tensor:
        """z (n, latent_dim): uniform on [0, 1] for images (released), normal for points."""
        z = torch.empty(n, self.latent_dim, device=self.device, dtype=self.dtype)
        return z.normal_() if len(self.shape) == 1 else z.uniform_()

    def generate(self, n: int, latent: Tensor | None = None) -> Tensor:
        made = self.generator(self.latent(n) if latent is None else latent)
        return binary(made.sigmoid()) if self.discrete else made


def binary(chance: Tensor) -> Tensor:
    """-1 or 1 in each place, 1 with the chance given there; carries no gradient."""
    return 2 * (torch.rand_like(chance) < chance).to(chance.dtype) - 1
