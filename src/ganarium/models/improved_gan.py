"""Improved Techniques for Training GANs (Salimans et al., 2016), https://arxiv.org/abs/1606.03498

D is a classifier of K classes and one more, "generated", whose logit is fixed to 0: it learns from few labels and many
images. G matches the mean of D's features on data; the paper's other techniques are options.

Losses, to minimise (D gives K logits l, or 1 without labels; Z = log sum exp l, and p = sigmoid(Z) is the chance of
being real; f(x) is what D's last layer reads; t = `real_target`):
    D    E[cross-entropy of the labelled] + 0.5 (E_x[-t log p(x) - (1 - t) log(1 - p(x))] + E_z[-log(1 - p(G(z)))])
    G    matching: the mean over the units of (E_x[f(x)] - E_z[f(G(z))])^2
         minimax: E_z[log(1 - p(G(z)))]; non_saturating: -E_z[log p(G(z))]
    each + historical_weight |theta - the mean of all theta so far|^2, theta the player's parameters

Differences from the paper:
- Networks are those of the released MNIST script, for any height and width; G's batch norm has a gain. Those for
  CIFAR-10 and SVHN are not built: `--network dcgan` has dropout behind each layer of D. Points are our own.
- Minibatch discrimination is as released, without a row's nearness to itself; with it `classify` too depends on the
  other images of a batch. Virtual batch norm is in G alone, and its reference batch are fixed codes.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium.data.batches import Batches
from ganarium.data.dataset import PartlyLabelledImages
from ganarium.errors import UserError, require_positive
from ganarium.layers.historical_average import History
from ganarium.layers.labels import known_classes
from ganarium.layers.normalization import Norm
from ganarium.layers.virtual_batch_norm import VirtuallyNormed
from ganarium.losses import as_fake, as_real
from ganarium.model import Adam, Model, Paper, Player, Step, watch
from ganarium.networks.backbones import Network
from ganarium.networks.improved_gan import begin, networks

PAPER = Paper(
    title="Improved Techniques for Training GANs",
    authors="Salimans, Goodfellow, Zaremba, Cheung, Radford, Chen",
    year=2016,
    arxiv="1606.03498",
    idea="A classifier with one more class for what is generated learns from few labels; G matches its features.",
)


@dataclass(frozen=True, kw_only=True)
class Config:
    semi_supervised: bool = True
    """Learn to classify, from few labels (--labels-per-class) and all images; else from images alone."""
    loss: Literal["matching", "minimax", "non_saturating"] = "matching"
    """G's loss: feature matching (section 3.1); minimax was released with minibatch discrimination, for samples."""
    num_kernels: int = 0
    """Kernels of minibatch discrimination (section 3.2) in front of D's last layer: 0, none; released: 100."""
    kernel_dim: int = 5
    """Numbers that a kernel compares (released)."""
    historical_weight: float = 0.0
    """Weight of historical averaging (section 3.3) in both losses."""
    real_target: float = 1.0
    """t, the label of reals; 0.9 is one-sided label smoothing (section 3.4). That of fakes stays 0."""
    virtual_batch_norm: bool = False
    """Virtual batch norm (section 3.5) in the place of G's batch norm; the reference batch has the usual size."""
    network: Network = "auto"
    """Kind of networks. auto: the released perceptrons for images, mlp for points."""
    latent_dim: int | None = None
    """Numbers in z, uniform on [0, 1], or normal for points. None: 100 (released), 2 for points."""
    width: int | None = None
    """Units in a layer of G, or channels. None: 500 (released), with 1000 to 250 in D; else usual for the kind."""
    generator_norm: bool | None = None
    """Batch norm in G. None: on in the perceptrons (released) and in convolutional networks."""
    norm: Norm = "none"
    """Normalisation in D, not batch; the perceptrons have weight norm."""
    dropout: float | None = None
    """Share of zeros behind each layer of a backbone's D. None: 0.5 in convolutional networks, 0 in an mlp."""
    lr: float | None = None
    """Learning rate of Adam. None: 3e-3 for the perceptrons, 3e-4 for backbones (both released), 1e-3 for points."""
    beta1: float = 0.5
    """Adam's first momentum (released)."""

    def __post_init__(self) -> None:
        require_positive(self, "kernel_dim", "latent_dim", "width", "lr")
        if not 0 <= (self.dropout or 0) < 1 or not 0 <= self.beta1 < 1 or not 0 < self.real_target <= 1:
            raise UserError("dropout and beta1 must be from 0 to below 1, real_target above 0 and at most 1.")
        if min(self.num_kernels, self.historical_weight) < 0:
            raise UserError("num_kernels and historical_weight must be at least 0.")
        if self.norm == "batch":
            raise UserError("D reads labelled, real and generated images in one batch: use --norm layer or none.")
        if self.virtual_batch_norm and self.generator_norm is False:
            raise UserError("virtual batch norm takes the place of G's batch norm: leave --no-generator-norm away.")


class ImprovedGAN(Model):
    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        points, semi = len(shape) == 1, config.semi_supervised
        self.batch_size, self.latent_dim = 256 if points else 100, config.latent_dim or (2 if points else 100)
        K = known_classes(num_classes, "improved_gan", ": use --no-semi-supervised") if semi else 1
        self.generator, self.discriminator, batch_norm = networks(config, self.shape, self.latent_dim, K)
        if config.virtual_batch_norm:
            self.generator = VirtuallyNormed(self.generator, self.latent(self.batch_size))
        self.sample_mode = "train" if batch_norm and not config.virtual_batch_norm else "eval"  # as released
        if config.historical_weight:
            self.history = nn.ModuleDict({name: History(network) for name, network in self.named_children()})
        lr = config.lr or (1e-3 if points else 3e-3 if config.network == "auto" else 3e-4)
        adam = Adam(lr=lr, betas=(config.beta1, 0.999), eps=1e-4)  # released: 1e-8 inside the root
        self.players = {"D": Player(self.discriminator, optimizer=adam), "G": Player(self.generator, optimizer=adam)}
        if semi:
            self.batch_type, self.classifies, self.ema = PartlyLabelledImages, True, {"discriminator": 0.9999}

    def prepare(self, batches: Batches) -> None:  # as released, from 500 images
        begin(self.discriminator, batches.draw(min(500, len(batches.data)))[-1])

    def step(self, batches: Batches) -> Step:
        D, G, target = self.discriminator, self.generate, self.config.real_target
        *labelled, real = next(batches)  # (b, c, h, w) in [-1, 1], or (b, 2); before it images and labels, if any
        with torch.no_grad():
            fake = G(len(real))
        images = [real, fake, *labelled[:1]]  # in one pass, but for the last layer: it may compare the rows of a batch
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

    def latent(self, n: int) -> Tensor:
        """z (n, latent_dim): uniform on [0, 1], or normal for points."""
        z = torch.empty(n, self.latent_dim, device=self.device, dtype=self.dtype)
        return z.normal_() if len(self.shape) == 1 else z.uniform_()

    def generate(self, n: int, latent: Tensor | None = None) -> Tensor:
        return self.generator(self.latent(n) if latent is None else latent)
