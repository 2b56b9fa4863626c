"""Improved Techniques for Training GANs (Salimans et al., 2016), https://arxiv.org/abs/1606.03498

D is a classifier of K classes and one more, "generated", whose logit is fixed to 0: it learns from few labels
and many images. G matches the mean of D's features on data; the paper's other techniques are options.

Losses, to minimise (D gives K logits l, or 1 without labels; Z = log sum exp l, and p = sigmoid(Z) is the
chance of being real; f(x) is what D's last layer reads; t = `real_target`):
    D    E[cross-entropy of the labelled]
             + 0.5 (E_x[-t log p(x) - (1 - t) log(1 - p(x))] + E_z[-log(1 - p(G(z)))])
    G    matching: the mean over the units of (E_x[f(x)] - E_z[f(G(z))])^2
         minimax: E_z[log(1 - p(G(z)))]; non_saturating: -E_z[log p(G(z))]
    each + historical_weight |theta - the mean of all theta so far|^2, theta the player's parameters

Differences from the paper:
- Networks are those of the released MNIST script, for any height and width; G's batch norm has a gain. Those
  for CIFAR-10 and SVHN are not built: `--network dcgan` has dropout behind each layer of D. Points are ours.
- Minibatch discrimination is as released, without a row's nearness to itself; with it `classify` too depends
  on the other images of a batch. Virtual batch norm is in G alone, and its reference batch are fixed codes.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium.data.batches import Batches
from ganarium.data.dataset import PartlyLabelledImages
from ganarium.errors import UserError, require_fraction, require_not_negative, require_positive
from ganarium.layers.heads import SplitDiscriminator
from ganarium.layers.historical_average import History
from ganarium.layers.labels import known_classes
from ganarium.layers.normalization import Norm
from ganarium.layers.shapes import image_shape
from ganarium.layers.virtual_batch_norm import VirtuallyNormed
from ganarium.losses import as_fake, as_real
from ganarium.model import Adam, Model, Paper, Player, Prior, Step, watch
from ganarium.networks import improved_gan as networks
from ganarium.networks.backbones import BackboneOptions, Network, backbone

PAPER = Paper(
    title="Improved Techniques for Training GANs",
    authors="Salimans, Goodfellow, Zaremba, Cheung, Radford, Chen",
    year=2016,
    arxiv="1606.03498",
    idea="A classifier with one more class for what is generated learns from few labels; G matches features.",
)


@dataclass(frozen=True, kw_only=True)
class Config(BackboneOptions):
    semi_supervised: bool = True
    """Learn to classify, from few labels (--labels-per-class) and all images; else from images alone."""
    loss: Literal["matching", "minimax", "non_saturating"] = "matching"
    """G's loss. matching: D's features are to have the same mean on G's images as on data (section 3.1).
    minimax (released with minibatch discrimination) and non_saturating: G's images are to pass for real."""
    num_kernels: int = 0
    """Kernels of minibatch discrimination, each of which tells D how near a sample is to the others of its
    batch (section 3.2). 0: none; released: 100."""
    kernel_dim: int = 5
    """Numbers in which a kernel compares two samples (released)."""
    historical_weight: float = 0.0
    """Weight, in both losses, of the squared distance of a player's parameters to their mean over all
    iterations so far: historical averaging (section 3.3)."""
    real_target: float = 1.0
    """Label of reals in D's loss; 0.9 is one-sided label smoothing (section 3.4). That of fakes stays 0."""
    virtual_batch_norm: bool = False
    """Virtual batch norm in G instead of batch norm: a sample is normalised by itself and a batch of fixed
    codes, which has the usual size (section 3.5)."""
    network: Network = "auto"
    """Kind of G and D: dcgan, resnet or mlp. auto: the perceptrons of the released MNIST script."""
    prior: Literal["normal", "uniform"] = "uniform"
    """Distribution of the numbers in z: normal, or uniform on [0, 1] (released)."""
    width: int | None = None
    """Units in a layer of G, or channels next to the picture. None: 500 in the perceptrons (released), with
    1000 to 250 in D; dcgan 64, resnet 128, both 32 below 48 pixels; mlp 512, or 128 for points."""
    norm: Norm = "none"
    """Normalisation in D: none, layer or spectral, not batch. The perceptrons have weight norm."""
    dropout: float | None = None
    """Share of zeros behind each layer of a D without noise. None: 0.5 in convolutional networks, 0 in
    mlp."""
    lr: float | None = None
    """Learning rate of Adam. None: 3e-3 for the perceptrons, 3e-4 for other networks (both released)."""
    beta1: float = 0.5
    """Adam's first momentum (released)."""

    def __post_init__(self) -> None:
        require_positive(self, "kernel_dim", "latent_dim", "width", "lr")
        require_fraction(self, "dropout", "beta1")
        require_not_negative(self, "num_kernels", "historical_weight")
        if not 0 < self.real_target <= 1:
            raise UserError(f"real_target must be above 0 and at most 1, not {self.real_target}.")
        if self.norm == "batch":
            raise UserError("D reads labelled, real and fake images in one batch: use --norm layer or none.")
        if self.virtual_batch_norm and self.generator_norm is False:
            raise UserError("virtual batch norm replaces G's batch norm: leave --no-generator-norm away.")

    @property
    def batch_norm_in_generator(self) -> bool:
        return super().batch_norm_in_generator or self.virtual_batch_norm

    @classmethod
    def for_points(cls) -> "Config":
        return cls(network="mlp", latent_dim=2, prior="normal", lr=1e-3)

    @classmethod
    def small(cls) -> "Config":
        return cls(width=8)


class ImprovedGAN(Model):
    batch_size = 100

    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        num_logits = 1
        if config.semi_supervised:
            num_logits = known_classes(num_classes, "improved_gan", ": use --no-semi-supervised")
            self.batch_type = PartlyLabelledImages
            self.classifies = True
            self.ema = {"discriminator": 0.9999}
        self.prior = Prior(config.latent_dim, config.prior, low=0.0, high=1.0)
        self.generator, self.discriminator = build_networks(config, self.shape, num_logits)
        if config.virtual_batch_norm:
            self.generator = VirtuallyNormed(self.generator, self.latent(self.batch_size))
        elif config.batch_norm_in_generator:
            self.sample_mode = "train"  # as released
        if config.historical_weight:
            self.history = nn.ModuleDict({name: History(network) for name, network in self.named_children()})
        lr = config.lr or (3e-3 if config.network == "auto" else 3e-4)
        adam = Adam(lr=lr, betas=(config.beta1, 0.999), eps=1e-4)  # released: 1e-8 inside the root
        self.players = {
            "D": Player(self.discriminator, optimizer=adam),
            "G": Player(self.generator, optimizer=adam),
        }

    def prepare(self, batches: Batches) -> None:  # as released, from 500 images
        networks.begin(self.discriminator, batches.draw(min(500, len(batches.data)))[-1])

    def step(self, batches: Batches) -> Step:
        D, G, target = self.discriminator, self.generate, self.config.real_target
        # (b, c, h, w) in [-1, 1], or (b, 2); before it labelled images and their labels, if semi-supervised
        *labelled, real = next(batches)
        with torch.no_grad():
            fake = G(len(real))
        # in one pass, but for the last layer: it may compare the rows of a batch
        images = [real, fake, *labelled[:1]]
        logits = [D.head(part) for part in D.features(torch.cat(images)).chunk(len(images))]  # (b, K) each
        score_real, score_fake = (part.logsumexp(1) for part in logits[:2])  # Z
        smoothed = target * as_real(score_real) + (1 - target) * as_fake(score_real)
        terms = {"real": 0.5 * smoothed, "fake": 0.5 * as_fake(score_fake)} | self.drift("discriminator")
        if labelled:
            terms["labelled"] = F.cross_entropy(logits[2], labelled[1])
        yield "D", terms, watch(real=score_real, fake=score_fake)
        if self.config.loss == "matching":
            with torch.no_grad():
                matched = D.features(next(batches)[-1]).mean(0)
            terms = {"matching": (D.features(G(len(real))).mean(0) - matched).square().mean()}
        else:
            score = D(G(len(real))).logsumexp(1)
            terms = {"adversarial": -as_fake(score) if self.config.loss == "minimax" else as_real(score)}
        yield "G", terms | self.drift("generator")

    def drift(self, name: str) -> dict[str, Tensor]:
        """The term of historical averaging of a network, if there is one."""
        weight = self.config.historical_weight
        return {"history": weight * self.history[name](getattr(self, name), self.clock)} if weight else {}

    def class_logits(self, image: Tensor) -> Tensor:
        return self.discriminator(image)


def build_networks(config: Config, shape: tuple[int, ...], num_logits: int) -> networks.Pair:
    """G and D: the released perceptrons, or a backbone, with minibatch discrimination where asked for."""
    width, batch_norm = config.width, config.batch_norm_in_generator
    if config.network == "auto":
        if config.norm != "none" or config.dropout is not None:
            raise UserError(
                "the perceptrons of improved_gan have weight norm and Gaussian noise: for another --norm or "
                "--dropout choose --network mlp, dcgan or resnet."
            )
        image = image_shape(shape, "improved_gan")
        pair = networks.perceptrons(image, config.latent_dim, width or 500, num_logits, batch_norm)
    else:
        generator, body = backbone(
            "improved_gan",
            config.network,
            shape,
            config.latent_dim,
            width,
            generator_norm=batch_norm,
            norm=config.norm,
            dropout=0.5 * config.convolutional if config.dropout is None else config.dropout,
        )
        pair = networks.Pair(generator, SplitDiscriminator(body, num_logits, config.norm))
    if config.num_kernels:
        networks.add_minibatch_head(pair.discriminator, config.num_kernels, config.kernel_dim, config.norm)
    return pair
