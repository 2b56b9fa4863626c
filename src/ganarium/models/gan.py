"""Generative Adversarial Nets (Goodfellow et al., 2014), https://arxiv.org/abs/1406.2661

A generator G turns noise into samples; a discriminator D learns to tell them from data, and G learns to be
mistaken for data. Algorithm 1: k steps of D, then one of G. D(x) is the raw score (a logit), p = sigmoid(D).

Losses, to minimise:
    D                      E_x[-log p(x)] + E_z[-log(1 - p(G(z)))]
    G, non-saturating      E_z[-log p(G(z))]         what the paper trains with, and the default
    G, minimax             E_z[log(1 - p(G(z)))]     the saturating loss of equation 1

Differences from the paper:
- The released code halves D's loss; here D's learning rate is halved instead, which is the same under SGD.
  Its momentum rises once an epoch; here it rises with every iteration.
- G's output starts at the mean of 1,000 images, not of the whole training set.
- Images are in [-1, 1] outside: G's sigmoid is rescaled to it, and D maps its input back to [0, 1].
- Colour images use the MNIST recipe on all channels jointly; the released CIFAR-10 one has 8000 units, normal
  z, a learning rate of 0.025 and contrast-normalised data.
- The recipe "modern" (no dropout, Adam) is not the paper's; nor are 2-D points (3 layers of 128) and other
  networks.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ganarium.data.batches import Batches
from ganarium.errors import UserError, require_fraction, require_positive
from ganarium.layers.augmentation import Augmentation, AugmentOptions
from ganarium.layers.init import init_uniform, mean_logit
from ganarium.layers.maxout import MaxoutDiscriminator
from ganarium.layers.normalization import Norm
from ganarium.losses import as_fake, as_real
from ganarium.model import SGD, Adam, Model, OptimizerConfig, Paper, Player, Prior, Step, watch
from ganarium.networks.backbones import BackboneOptions, Network, Pair, backbone
from ganarium.networks.mlp import MLP

PAPER = Paper(
    title="Generative Adversarial Nets",
    authors="Goodfellow, Pouget-Abadie, Mirza, Xu, Warde-Farley, Ozair, Courville, Bengio",
    year=2014,
    arxiv="1406.2661",
    idea="A generator learns to make samples that a discriminator, which learns too, cannot tell from data.",
)


@dataclass(frozen=True, kw_only=True)
class Config(AugmentOptions, BackboneOptions):
    loss: Literal["non_saturating", "minimax"] = "non_saturating"
    """The generator's loss: -log p(G(z)), with which the paper trains, or log(1 - p(G(z))) of equation 1,
    which stands still where the discriminator is sure."""
    num_discriminator_steps: int = 1
    """Updates of the discriminator for one of the generator: k of Algorithm 1."""
    recipe: Literal["auto", "paper", "modern"] = "auto"
    """paper: a maxout discriminator with dropout, and SGD, as released; modern: no dropout, and Adam. auto:
    paper with the networks of auto, modern with the others."""
    network: Network = "auto"
    """Kind of networks. auto: the perceptrons of the recipe."""
    latent_dim: int = 100
    """Numbers in z (released)."""
    prior: Literal["normal", "uniform"] = "uniform"
    """Distribution of the numbers in z: normal, or uniform on [-sqrt(3), sqrt(3)] (released); both of
    variance 1."""
    width: int | None = None
    """Units of a hidden layer, or channels next to the picture; the paper's discriminator keeps its own.
    None: 1200 in the networks of auto (released); dcgan 64, resnet 128, both 32 below 48 pixels; mlp 512, or
    128 for points."""
    lr: float | None = None
    """Learning rate. None: 0.1 for SGD, with which it falls (released); 2e-4 for Adam."""
    beta2: float = 0.999
    """Adam's second momentum, in the recipe modern (ours); the first is 0.5."""

    def __post_init__(self) -> None:
        require_positive(self, "num_discriminator_steps", "latent_dim", "width", "lr")
        require_fraction(self, "beta2")
        if self.network == "auto" and not (self.generator_norm is None and self.norm is None):
            raise UserError(
                "the perceptrons of gan have no normalisation: choose --network mlp, dcgan or resnet."
            )
        if self.network != "auto" and self.recipe == "paper":
            raise UserError(
                "the paper's recipe is for images and for its own networks: leave --recipe or --network away."
            )

    @classmethod
    def for_points(cls) -> "Config":
        return cls(network="mlp", latent_dim=2, prior="normal", lr=1e-3, beta2=0.9)

    @classmethod
    def small(cls) -> "Config":
        return cls(width=16)


class GAN(Model):
    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        self.augment = Augmentation(config.augment, "gan", shape)
        self.prior = Prior(config.latent_dim, config.prior, -math.sqrt(3), math.sqrt(3))
        self.own_networks = config.network == "auto"
        self.paper = config.recipe == "paper" or (config.recipe == "auto" and self.own_networks)
        self.norm: Norm = "none"
        if self.own_networks:
            self.generator, self.discriminator = perceptrons(config, shape, self.paper)
        else:
            self.norm = config.norm_in_discriminator
            self.sample_mode = "train" if config.batch_norm_in_generator else "eval"
            self.generator, self.discriminator = backbone(
                "gan",
                config.network,
                shape,
                config.latent_dim,
                config.width,
                generator_norm=config.batch_norm_in_generator,
                norm=self.norm,
            )
        if len(shape) == 3:
            self.batch_size = 100
        rules = optimizers(config, self.paper)
        self.players = {
            "D": Player(self.discriminator, optimizer=rules["D"]),
            "G": Player(self.generator, optimizer=rules["G"]),
        }

    def step(self, batches: Batches) -> Step:
        D, G, T = self.discriminator, self.generate, self.augment
        for _ in range(self.config.num_discriminator_steps):
            real = T(next(batches).image)  # (b, c, h, w) in [-1, 1], or (b, 2)
            with torch.no_grad():
                fake = T(G(len(real)))
            if self.norm == "batch":  # each has statistics of its own
                score_real, score_fake = D(real), D(fake)
            else:  # one pass: nothing in D mixes samples
                score_real, score_fake = D(torch.cat([real, fake])).chunk(2)
            terms = {"real": as_real(score_real), "fake": as_fake(score_fake)}
            yield "D", terms, watch(real=score_real, fake=score_fake, **T.adapt(score_real))
        score = D(T(G(len(real))))
        loss = as_real(score) if self.config.loss == "non_saturating" else -as_fake(score)
        yield "G", {"adversarial": loss}

    def prepare(self, batches: Batches) -> None:
        """In the paper's recipe G starts at the mean of the data."""
        if self.paper:
            *_, bias = self.generator.parameters()
            with torch.no_grad():
                bias.copy_(mean_logit(batches.draw(1000).image))

    def generate(self, n: int, latent: Tensor | None = None, label: Tensor | None = None) -> Tensor:
        output = super().generate(n, latent)
        return 2 * output - 1 if self.own_networks else output  # whose pixels are in [0, 1]


def perceptrons(config: Config, shape: tuple[int, ...], paper: bool) -> Pair:
    """G of two hidden layers, which ends in a sigmoid, and D: the released one, or one like G."""
    hidden = [config.width or 1200] * 2
    size = math.prod(shape)
    generator = MLP(config.latent_dim, hidden, shape, last=nn.Sigmoid())
    if not paper:
        return Pair(generator, MLP(size, hidden, (), lambda: nn.LeakyReLU(0.2)))
    discriminator = MaxoutDiscriminator(size)
    return Pair(init_uniform(generator, 0.05), init_uniform(discriminator, 0.005))


def optimizers(config: Config, paper: bool) -> dict[str, OptimizerConfig]:
    """The optimiser of each player."""
    if not paper:
        adam = Adam(lr=config.lr or 2e-4, betas=(0.5, config.beta2))
        return {"D": adam, "G": adam}
    lr = config.lr or 0.1
    return {
        "D": SGD(lr=decayed(lr, 0.5), momentum=momentum),
        "G": SGD(lr=decayed(lr, 1), momentum=momentum),
    }


def decayed(lr: float, part: float) -> Any:
    """The released schedule: divided by 1.000004 at each update, down to 1e-6. `part` is 0.5 for D's halved
    loss."""
    return lambda iteration, total: part * max(lr / 1.000004**iteration, 1e-6)


def momentum(iteration: int, total: int) -> float:
    """The released schedule: 0.5 to 0.7, linearly over epochs 1 to 250 of 500 updates."""
    return 0.5 + 0.2 * min(iteration / (250 * 500), 1.0)
