"""Conditional Generative Adversarial Nets (Mirza, Osindero, 2014), https://arxiv.org/abs/1411.1784

Both networks of a GAN are told a label y: G makes a sample of that class, and D learns whether a sample is
real and has its label, so that G can be asked for what one wants.

Losses, to minimise (p = sigmoid(D); a fake has the label of the real beside it):
    D    E_x,y[-log p(x, y)] + E_z,y[-log(1 - p(G(z, y), y))]
    G    E_z,y[-log p(G(z, y), y)]
Three designs of D. "joint", the paper's: one score, where a hidden layer joins sample and label. "projection"
(Miyato, Koyama, 1802.05637): one score, psi(x) + <e(y), phi(x)>. "two_networks": Q(x) scores quality and D(x,
y) the match (y' is another label, r(s) = -log sigmoid(s)); without real pairs that do not match, D does not
tell a real image's label:
    D, Q   E[r(Q(x))] + E[r(-Q(G(z, y)))] + E[r(D(x, y))] + 0.5 E[r(-D(x, y'))] + 0.5 E[r(-D(G(z, y), y))]
    G      E[r(Q(G(z, y)))] + E[r(D(G(z, y), y))]

Differences from the paper:
- There is no released code to hold the perceptrons' sizes, dropout and SGD against. Momentum rises linearly
  over the run; images are in [-1, 1] outside, and D maps them back to [0, 1].
- Of the paper's experiments only MNIST's is here, for any height and width. z is uniform on [-sqrt(3),
  sqrt(3)], first weights are small and G starts at the mean of 1,000 images, as in the released code of GAN.
- Not the paper's: other networks, where G and D read an embedding of the label and z is on [-1, 1]; 2-D
  points; the two other designs, the product and Adam. Miyato and Koyama's projection has hinge losses.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from ganarium.data.batches import Batches
from ganarium.data.dataset import LabelledImages
from ganarium.errors import UserError, require_fraction, require_positive
from ganarium.layers.augmentation import Augmentation, AugmentOptions
from ganarium.layers.init import mean_logit
from ganarium.layers.labels import known_classes, one_hot
from ganarium.layers.normalization import Norm
from ganarium.layers.shapes import image_shape
from ganarium.losses import as_fake, as_real
from ganarium.model import SGD, Adam, Model, OptimizerConfig, Paper, Player, Prior, Step, watch
from ganarium.networks.backbones import BackboneOptions, Network, backbone
from ganarium.networks.cgan import Generator, Networks, perceptrons
from ganarium.networks.conditional import Joint, LabelledGenerator, Projection, embedding

PAPER = Paper(
    title="Conditional Generative Adversarial Nets",
    authors="Mirza, Osindero",
    year=2014,
    arxiv="1411.1784",
    idea="Both networks are told a label: the generator learns to make a sample of the class asked for.",
)

LABEL_DIM = 50  # numbers of an embedded label beside z; as a one-hot row it would be one number among 100


@dataclass(frozen=True, kw_only=True)
class Config(AugmentOptions, BackboneOptions):
    design: Literal["joint", "two_networks", "projection"] = "joint"
    """How the discriminator takes the label: joined with the sample in a hidden layer (the paper), in a
    network of its own beside one that judges the sample alone, or as a projection (Miyato, Koyama 2018)."""
    joining: Literal["concatenation", "product"] = "concatenation"
    """How the label joins z in the generator: side by side (the paper), or as a factor of z."""
    network: Network = "auto"
    """Kind of networks. auto: the paper's perceptrons; dcgan for the design projection, or the product."""
    prior: Literal["normal", "uniform"] = "uniform"
    """Distribution of the numbers in z: normal, or uniform (the paper): on [-1, 1], with variance 1 in the
    paper's perceptrons, and on [0, 1] with the joining product."""
    width: int | None = None
    """Units of the widest layer, or channels next to the picture. None: 1200 in the paper's perceptrons;
    dcgan 64, resnet 128, both 32 below 48 pixels; mlp 512, or 128 for points."""
    norm: Norm | None = None
    """Normalisation in the discriminator: none, batch, layer or spectral. None: batch in convolutional
    networks, or spectral in the design projection; none in an mlp."""
    dropout: float | None = None
    """Share of activations set to zero behind hidden layers of the discriminator, and in the paper's
    perceptrons of the generator. None: 0.5 in these perceptrons (the paper), 0 in other networks."""
    lr: float | None = None
    """Learning rate. None: 0.1, falling, for SGD (the paper's perceptrons), or 2e-4 for Adam (the others)."""
    beta2: float = 0.999
    """Adam's second momentum; the first is 0.5."""

    def __post_init__(self) -> None:
        require_positive(self, "latent_dim", "width", "lr")
        require_fraction(self, "dropout", "beta2")
        if self.perceptrons and not (self.generator_norm is None and self.norm is None):
            raise UserError(
                "the perceptrons of cgan have no normalisation: choose --network mlp, dcgan or resnet."
            )

    @property
    def perceptrons(self) -> bool:
        """Whether the networks are those of the paper."""
        return self.network == "auto" and self.design != "projection" and self.joining != "product"

    @classmethod
    def for_points(cls) -> "Config":
        return cls(network="mlp", latent_dim=2, lr=1e-3, beta2=0.9)

    @classmethod
    def small(cls) -> "Config":
        return cls(width=48)


class CGAN(Model):
    batch_type = LabelledImages
    conditional = True
    prior: Prior

    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        self.augment = Augmentation(config.augment, "cgan", shape)
        K = known_classes(num_classes, "cgan")
        bound = math.sqrt(3) if config.perceptrons else 1.0
        low = 0.0 if config.joining == "product" else -bound
        self.prior = Prior(config.latent_dim, config.prior, low, bound)
        self.generator, self.discriminator, self.quality = build(config, shape, K)
        if len(shape) == 3:
            self.batch_size = 100
        rule: OptimizerConfig = Adam(lr=config.lr or 2e-4, betas=(0.5, config.beta2))
        if config.perceptrons:
            lr = config.lr or 0.1
            rule = SGD(  # the paper's schedules
                lr=lambda step, total: max(lr * 1.00004**-step, 1e-6),
                momentum=lambda step, total: 0.5 + 0.2 * step / total,
            )
        judges = [self.discriminator] if self.quality is None else [self.discriminator, self.quality]
        self.players = {"D": Player(*judges, optimizer=rule), "G": Player(self.generator, optimizer=rule)}

    def step(self, batches: Batches) -> Step:
        D, Q, G, T = self.D, self.quality, self.generate, self.augment
        real, label = next(batches)  # (b, c, h, w) in [-1, 1], or (b, 2); and (b,)
        real = T(real)
        with torch.no_grad():
            fake = T(G(len(real), label=label))
        # apart, not in one batch: D may have batch norm
        score_real, score_fake = D(real, label), D(fake, label)
        if Q is None:
            terms = {"real": as_real(score_real), "fake": as_fake(score_fake)}
        else:
            wrong = as_fake(D(real, self.another(label)))
            terms = {"match": as_real(score_real), "mismatch": 0.5 * wrong + 0.5 * as_fake(score_fake)}
            score_real, score_fake = Q(real), Q(fake)
            terms |= {"real": as_real(score_real), "fake": as_fake(score_fake)}
        yield "D", terms, watch(real=score_real, fake=score_fake, **T.adapt(score_real))
        fake = T(G(len(real), label=label))
        terms = {"adversarial": as_real(D(fake, label))}
        if Q is not None:
            terms["quality"] = as_real(Q(fake))
        yield "G", terms

    def D(self, image: Tensor, label: Tensor) -> Tensor:
        """Scores (b,) of samples with their labels."""
        return self.discriminator(image, one_hot(label, self.num_labels, image.dtype))

    def another(self, label: Tensor) -> Tensor:
        """(b,): any label but the one given, each with equal chance."""
        return (label + torch.randint_like(label, 1, self.num_labels)) % self.num_labels

    def latent(self, n: int) -> Tensor:
        if self.prior.kind == "normal":
            return super().latent(n)
        u = torch.rand(n, self.prior.dim, device=self.device, dtype=self.dtype)
        return self.prior.low + (self.prior.high - self.prior.low) * u  # `uniform_` has other last digits

    def prepare(self, batches: Batches) -> None:
        """The paper's G starts at the mean of the data."""
        if isinstance(self.generator, Generator):
            with torch.no_grad():
                self.generator.last.bias.copy_(mean_logit(batches.draw(1000).image))


def build(config: Config, shape: tuple[int, ...], num_classes: int) -> Networks:
    """The paper's perceptrons, or a backbone that is told the label beside z and before D's last layer."""
    two_networks = config.design == "two_networks"
    if config.perceptrons:
        image = image_shape(shape, "cgan")
        width = config.width or 1200
        dropout = 0.5 if config.dropout is None else config.dropout
        return perceptrons(image, config.latent_dim, num_classes, width, dropout, two_networks=two_networks)
    product = config.joining == "product"
    projection = config.design == "projection"
    label_dim = config.latent_dim if product else LABEL_DIM
    usual: Norm = "spectral" if projection and config.convolutional else config.norm_in_discriminator
    pair = partial(
        backbone,
        "cgan",
        config.network,
        shape,
        config.latent_dim if product else config.latent_dim + label_dim,
        config.width,
        generator_norm=config.batch_norm_in_generator,
        norm=config.norm or usual,
        dropout=config.dropout or 0.0,
    )
    generator, discriminator = pair()
    told = LabelledGenerator(generator, embedding(num_classes, label_dim, product=product), product=product)
    judge = (Projection if projection else Joint)(discriminator, num_classes, config.norm or usual)
    return Networks(told, judge, pair().discriminator if two_networks else None)
