"""Conditional Generative Adversarial Nets (Mirza, Osindero, 2014), https://arxiv.org/abs/1411.1784

Both networks of a GAN are told a label y: G makes a sample of that class, and D learns whether a sample is real and has
its label, so that G can be asked for what one wants.

Losses, to minimise (p = sigmoid(D); a fake has the label of the real beside it, which G is given and D judges):
    D    E_x,y[-log p(x, y)] + E_z,y[-log(1 - p(G(z, y), y))]
    G    E_z,y[-log p(G(z, y), y)]
Three designs of D. "joint", the paper's: one score, where a hidden layer joins sample and label. "projection" (Miyato,
Koyama, 1802.05637): one score, psi(x) + <e(y), phi(x)>. "two_networks": Q(x) scores quality and D(x, y) the match (y'
is another label, r(s) = -log sigmoid(s)); without real pairs that do not match, D does not tell a real image's label:
    D, Q   E[r(Q(x))] + E[r(-Q(G(z, y)))] + E[r(D(x, y))] + 0.5 E[r(-D(x, y'))] + 0.5 E[r(-D(G(z, y), y))]
    G      E[r(Q(G(z, y)))] + E[r(D(G(z, y), y))]

Differences from the paper:
- There is no released code to hold the perceptrons' sizes, dropout and SGD against. Momentum rises linearly over the
  run; images are in [-1, 1] outside, and D maps them back to [0, 1].
- Of the paper's experiments only MNIST's is here, for any height and width. z is uniform on [-sqrt(3), sqrt(3)], first
  weights are small and G starts at the mean of 1,000 images, as in the released code of GAN. From the paper's [0, 1] G
  drew one image of a class; from grey, which D tells at once, D's scores often grew without end.
- Other networks, where G and D read an embedding of the label and z is on [-1, 1], 2-D points, the two other designs,
  the product and Adam are not the paper's. Projection has these losses; Miyato and Koyama's are hinges.
"""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from ganarium.data.batches import Batches
from ganarium.data.dataset import LabelledImages
from ganarium.errors import UserError, require_positive
from ganarium.layers.init import mean_logit
from ganarium.layers.labels import asked_labels, known_classes, one_hot
from ganarium.layers.normalization import Norm
from ganarium.losses import as_fake, as_real
from ganarium.model import SGD, Adam, Model, OptimizerConfig, Paper, Player, Step, watch
from ganarium.networks.backbones import Network
from ganarium.networks.cgan import Generator, networks

PAPER = Paper(
    title="Conditional Generative Adversarial Nets",
    authors="Mirza, Osindero",
    year=2014,
    arxiv="1411.1784",
    idea="Both networks are told a label, and the generator learns to make a sample of the class it is asked for.",
)


@dataclass(frozen=True, kw_only=True)
class Config:
    design: Literal["joint", "two_networks", "projection"] = "joint"
    """How D takes the label: joined with the sample (the paper), in a network of its own, or as a projection."""
    joining: Literal["concatenation", "product"] = "concatenation"
    """How the label joins z in G: side by side (the paper), or z times an embedding of it, number by number."""
    network: Network = "auto"
    """Kind of networks. auto: the paper's perceptrons for images; dcgan for product or projection; mlp for points."""
    latent_dim: int | None = None
    """Numbers in z. None: 100 for images, 2 for points."""
    width: int | None = None
    """Units of the widest layer, or channels next to the picture. None: 1200, or as is usual for the networks."""
    generator_norm: bool | None = None
    """Batch norm in the G of dcgan, resnet or mlp. None: on in convolutional networks."""
    norm: Norm | None = None
    """Normalisation in the D of dcgan, resnet or mlp. None: batch, or spectral for projection; none in an mlp."""
    dropout: float | None = None
    """Share of zeros behind hidden layers of D, and of G in the paper's perceptrons. None: 0.5 there, 0 elsewhere."""
    lr: float | None = None
    """Learning rate. None: 0.1, falling, for SGD (the perceptrons); else of Adam: 2e-4 for images, 1e-3 for points."""

    def __post_init__(self) -> None:
        require_positive(self, "latent_dim", "width", "lr")
        if not 0 <= (self.dropout or 0) < 1:
            raise UserError(f"dropout must be from 0 to below 1, not {self.dropout}.")


class CGAN(Model):
    batch_type = LabelledImages

    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        self.K, points = known_classes(num_classes, "cgan"), len(shape) == 1
        self.latent_dim = config.latent_dim or (2 if points else 100)
        self.generator, self.discriminator, self.quality, own = networks(config, self.shape, self.latent_dim, self.K)
        high = 3**0.5 if own else 1.0  # of variance 1 in the perceptrons
        self.low = 0.0 if config.joining == "product" else -high
        self.span = high - self.low
        if own:
            rate = config.lr or 0.1
            rule: OptimizerConfig = SGD(
                lr=decayed(rate), momentum=lambda iteration, total: 0.5 + 0.2 * iteration / total
            )
        else:
            rule = Adam(lr=config.lr or (1e-3 if points else 2e-4), betas=(0.5, 0.9 if points else 0.999))
        self.batch_size = 256 if points else 100
        judges = [self.discriminator] if self.quality is None else [self.discriminator, self.quality]
        self.players = {"D": Player(*judges, optimizer=rule), "G": Player(self.generator, optimizer=rule)}

    def prepare(self, batches: Batches) -> None:
        if isinstance(self.generator, Generator):  # starts at the mean of the data
            with torch.no_grad():
                self.generator.last.bias.copy_(mean_logit(batches.draw(1000).image))

    def step(self, batches: Batches) -> Step:
        D, Q, G = self.D, self.quality, self.generate
        real, label = next(batches)  # (b, c, h, w) in [-1, 1], or (b, 2); and (b,)
        with torch.no_grad():
            fake = G(len(real), label=label)
        # apart, not in one batch: D may have batch norm
        score_real, score_fake = D(real, label), D(fake, label)
        if Q is None:
            terms = {"real": as_real(score_real), "fake": as_fake(score_fake)}
        else:
            wrong = as_fake(D(real, self.another(label)))
            terms = {"match": as_real(score_real), "mismatch": 0.5 * wrong + 0.5 * as_fake(score_fake)}
            score_real, score_fake = Q(real), Q(fake)
            terms |= {"real": as_real(score_real), "fake": as_fake(score_fake)}
        yield "D", terms, watch(real=score_real, fake=score_fake)
        fake = G(len(real), label=label)
        terms = {"adversarial": as_real(D(fake, label))}
        yield "G", terms if Q is None else terms | {"quality": as_real(Q(fake))}

    def D(self, image: Tensor, label: Tensor) -> Tensor:
        """Scores (b,) of samples with their labels."""
        score: Tensor = self.discriminator(image, one_hot(label, self.K, image.dtype))
        return score

    def another(self, label: Tensor) -> Tensor:
        """(b,): any label but the one given, each with equal chance."""
        return (label + torch.randint_like(label, 1, self.K)) % self.K

    def latent(self, n: int) -> Tensor:
        """z (n, latent_dim), uniform: on [-1, 1], in the perceptrons of variance 1, for a product on [0, 1]."""
        return self.low + self.span * torch.rand(n, self.latent_dim, device=self.device, dtype=self.dtype)

    def generate(self, n: int, latent: Tensor | None = None, label: Tensor | None = None) -> Tensor:
        z = self.latent(n) if latent is None else latent
        label = torch.randint(self.K, (n,), device=self.device) if label is None else label
        made: Tensor = self.generator(z, one_hot(label, self.K, z.dtype))
        return made

    def conditions(self, n: int, label: Any = None, **given: Any) -> dict[str, Tensor]:
        """`label` is a class for all samples, or (n,) one for each; left away: any, each with equal chance."""
        told = {} if label is None else {"label": asked_labels(label, n, self.K, self.device)}
        return super().conditions(n, **given) | told


def decayed(lr: float) -> Any:
    """The paper's schedule: divided by 1.00004 at each update, down to 1e-6."""
    return lambda iteration, total: max(lr * 1.00004**-iteration, 1e-6)
