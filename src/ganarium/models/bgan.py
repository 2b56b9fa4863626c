"""Boundary-Seeking Generative Adversarial Networks (Hjelm et al., 2017), https://arxiv.org/abs/1702.08431

G can draw discrete pixels, through which no gradient flows. D's odds p / (1 - p) = exp(D) say how much
likelier a sample is under the data than under G: G raises the likelihood of each of M samples for one z by
its share of the odds.

Losses, to minimise (p = sigmoid(D), g(x|z) the product of the sites' Bernoulli probabilities):
    D                 E_x[-log p(x)] + E_z,m[-log(1 - p(x_m))],  x_m ~ g(x|z), m = 1 ... M
    G, discrete       -E_z[sum_m w_m log g(x_m|z)],  w = softmax over m of D(x_m); no gradient in w or x_m
    G, continuous     0.5 E_z[(log p(G(z)) - log(1 - p(G(z))))^2] = 0.5 E_z[D(G(z))^2], through G(z) as usual

Differences from the paper:
- Discrete means binary here; the categorical form (16 colours, characters) is left out. Grey images are made
  binary for every batch, each value 1 with its brightness as probability; binary ones stay as they are.
- Samples are binary draws from g(x|z), which is what D judges; the released pictures show the probabilities.
- DCGAN's networks of any height and width in place of the released ones, which on MNIST have one dense layer
  more.
- The released continuous loss has no 0.5, and by default subtracts a running estimate of the log partition
  function.
- Binary values are -1 and 1, not 0 and 1. Points are no data of the paper: three layers of 128.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium.data.batches import Batches
from ganarium.errors import UserError, require_fraction, require_positive
from ganarium.layers.normalization import Norm
from ganarium.losses import as_fake, as_real
from ganarium.model import Adam, Model, Paper, Player, Prior, Step, watch
from ganarium.networks.backbones import BackboneOptions, backbone

PAPER = Paper(
    title="Boundary-Seeking Generative Adversarial Networks",
    authors="Hjelm, Jacob, Che, Trischler, Cho, Bengio",
    year=2017,
    arxiv="1702.08431",
    idea="The discriminator's odds weigh samples of a generator, which so learns to draw discrete data.",
)


@dataclass(frozen=True, kw_only=True)
class Config(BackboneOptions):
    form: Literal["auto", "discrete", "continuous"] = "auto"
    """discrete: the generator draws binary pixels, and samples are weighed by the discriminator's odds;
    continuous: a gradient flows through the samples. auto: discrete for grey images."""
    num_samples: int = 20
    """Samples drawn for each z in the discrete form: M (released)."""
    latent_dim: int | None = None  # type: ignore[assignment]
    """Numbers in z. None: 64 in the discrete form, 128 in the continuous one (both released)."""
    prior: Literal["normal", "uniform"] = "uniform"
    """Distribution of the numbers in z: normal, or uniform on [0, 1] (released)."""
    width: int | None = None
    """Channels next to the picture, or units of a hidden layer. None: dcgan 64 (released for MNIST), resnet
    128, both 32 below 48 pixels; mlp 512, or 128 for points."""
    generator_norm: bool = True
    """Batch norm in the generator (released)."""
    norm: Norm | None = None
    """Normalisation in the discriminator: none, batch, layer or spectral. None: batch in the continuous form,
    none in the discrete one (both released)."""
    lr: float = 1e-4
    """Learning rate of Adam (released)."""
    beta1: float = 0.5
    """Adam's first momentum (released)."""
    beta2: float = 0.999
    """Adam's second momentum (released)."""

    def __post_init__(self) -> None:
        require_positive(self, "num_samples", "latent_dim", "width", "lr")
        require_fraction(self, "beta1", "beta2")

    @classmethod
    def for_points(cls) -> "Config":
        return cls(
            network="mlp",
            latent_dim=2,
            prior="normal",
            generator_norm=False,
            norm="none",
            lr=1e-3,
            beta2=0.9,
        )

    @classmethod
    def small(cls) -> "Config":
        return cls(width=4, num_samples=3)


class BGAN(Model):
    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        if config.form == "discrete" and len(shape) == 1:
            raise UserError("bgan's discrete form makes binary pixels, not points: use --form continuous.")
        self.discrete = config.form == "discrete" or (config.form == "auto" and shape[0] == 1)
        latent_dim = config.latent_dim or (64 if self.discrete else 128)
        self.prior = Prior(latent_dim, config.prior, low=0.0)
        self.generator, self.discriminator = backbone(
            "bgan",
            config.network,
            shape,
            latent_dim,
            config.width,
            generator_norm=config.generator_norm,
            norm=config.norm or ("none" if self.discrete else "batch"),
        )
        if self.discrete:
            *_, (name, last) = self.generator.named_modules()
            assert isinstance(last, nn.Tanh)
            self.generator.set_submodule(name, nn.Identity())  # what is left gives logits
        adam = Adam(lr=config.lr, betas=(config.beta1, config.beta2))
        self.players = {
            "D": Player(self.discriminator, optimizer=adam),
            "G": Player(self.generator, optimizer=adam),
        }

    def step(self, batches: Batches) -> Step:
        D, M = self.discriminator, self.config.num_samples
        real = next(batches).image  # (b, c, h, w) in [-1, 1], or (b, 2)
        if self.discrete:
            real = binary((real + 1) / 2)
        with torch.no_grad():
            fake = self.generator(self.latent(len(real)))
            if self.discrete:
                fake = binary(fake.sigmoid().expand(M, *fake.shape)).flatten(0, 1)
        # apart, not in one batch: each has statistics of its own in D's batch norm
        score_real, score_fake = D(real), D(fake)
        terms = {"real": as_real(score_real), "fake": as_fake(score_fake)}
        yield "D", terms, watch(real=score_real, fake=score_fake)
        output = self.generator(self.latent(len(real)))  # logits of pixels in the discrete form
        if not self.discrete:
            yield "G", {"boundary": 0.5 * D(output).square().mean()}
            return
        with torch.no_grad():
            x = binary(output.sigmoid().expand(M, *output.shape))  # (M, b, c, h, w), -1 or 1
            weight = D(x.flatten(0, 1)).unflatten(0, (M, -1)).softmax(0)  # (M, b)
        log_g = F.logsigmoid(x * output).flatten(2).sum(2)  # (M, b)
        yield "G", {"likelihood": -(weight * log_g).sum(0).mean()}

    def generate(self, n: int, latent: Tensor | None = None, label: Tensor | None = None) -> Tensor:
        output = super().generate(n, latent)
        return binary(output.sigmoid()) if self.discrete else output

    def expected(self, n: int, latent: Tensor | None = None, **conditions: Tensor) -> Tensor:
        output = super().generate(n, latent)
        return 2 * output.sigmoid() - 1 if self.discrete else output


def binary(chance: Tensor) -> Tensor:
    """-1 or 1 in each place, 1 with the chance given there; carries no gradient."""
    return 2 * (torch.rand_like(chance) < chance).to(chance.dtype) - 1
