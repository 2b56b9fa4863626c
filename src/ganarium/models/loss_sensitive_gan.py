"""Loss-Sensitive Generative Adversarial Networks on Lipschitz Densities (Qi, 2017), https://arxiv.org/abs/1701.06264

A network L gives every sample a loss, low on data, and must hold a fake's above that of the real it is paired with by a
margin: the distance between the two. Known as LS-GAN; `lsgan`, with least squares, is another model.

Losses, to minimise (x and G(z) are paired by their place in the batch; C(a) = max(a, slope a)):
    L, player D   gamma E[L(x)] + E[C(Delta + L(x) - L(G(z)))],  Delta = margin_scale |x - G(z)|_1
    G             E[L(G(z))]
    conditional   L(x) = -log p(y|x), p(.|x) the softmax of an output for each class; G(z, y) has the label of its x
Slope 0 is LS-GAN; GLS-GAN, the generalised form, is any slope up to 1, where C is no hinge and the loss is WGAN's.

Differences from the paper:
- The networks are DCGAN's, as released, for any height and width. Classes are told by the running statistics of L's
  batch norm, which are those of reals alone; released, by the statistics of the test images.
- The released margin scales, 0.0002 at 3x64x64 and 0.0008 at 3x32x32, are 2.4576 over the numbers in an image: that is
  the default at any size. 2-D points, with margin scale 1 and no ReLU behind L, are not the paper's.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium.data.batches import Batches
from ganarium.data.dataset import LabelledImages
from ganarium.errors import UserError, require_positive
from ganarium.layers.heads import PerClass
from ganarium.layers.labels import asked_labels, one_hot
from ganarium.layers.normalization import Norm, unrecorded
from ganarium.model import Adam, Model, Paper, Player, Step, watch
from ganarium.networks.backbones import Network, backbone

PAPER = Paper(
    title="Loss-Sensitive Generative Adversarial Networks on Lipschitz Densities",
    authors="Qi",
    year=2017,
    arxiv="1701.06264",
    idea="A network gives each sample a loss, and a fake's must exceed a real's by the distance between the two.",
)


@dataclass(frozen=True, kw_only=True)
class Config:
    conditional: bool = False
    """Learn from labels: G draws the class it is told, and L has an output for each class (released as clsgan)."""
    margin_scale: float | None = None
    """Margin for a unit of L1 distance. None: 2.4576 / numbers in an image (from the released), 1 for points."""
    gamma: float | None = None
    """Weight of the mean loss of reals. None: 0, or 1 if conditional (both released)."""
    slope: float = 0.0
    """Slope of C below 0: 0 is LS-GAN, 1 is WGAN, between them is GLS-GAN."""
    output_relu: bool | None = None
    """ReLU behind L, so that no loss is below 0 (if conditional none is). None: on but in an mlp (released)."""
    network: Network = "auto"
    """Kind of networks. auto: dcgan for images (released), mlp for points."""
    latent_dim: int | None = None
    """Numbers in z: uniform on [-1, 1], or normal if conditional and for points. None: 100 (released), 2 for points."""
    width: int | None = None
    """Channels next to the picture, or units in a hidden layer. None: as is usual for the networks."""
    generator_norm: bool | None = None
    """Batch norm in G. None: on in convolutional networks (released), off in an mlp."""
    norm: Norm | None = None
    """Normalisation in L. None: batch in convolutional networks (released), none in an mlp."""
    lr: float | None = None
    """Learning rate of Adam. None: 1e-4, or 1e-3 if conditional (both released) and for points."""
    beta1: float = 0.5
    """Adam's first momentum (released)."""

    def __post_init__(self) -> None:
        require_positive(self, "latent_dim", "width", "lr")
        if min(self.margin_scale or 0, self.gamma or 0) < 0 or not 0 <= self.slope <= 1 or not 0 <= self.beta1 < 1:
            raise UserError("margin_scale and gamma must be at least 0, slope from 0 to 1, beta1 from 0 to below 1.")


class LossSensitiveGAN(Model):
    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        points, labels = len(shape) == 1, config.conditional
        if labels and (num_classes or 0) < 2:
            raise UserError("this data set has no labels of two classes to learn from: leave --conditional away.")
        self.K = (num_classes or 0) if labels else 0
        scale = 1.0 if points else 2.4576 / math.prod(shape)
        self.margin_scale = scale if config.margin_scale is None else config.margin_scale
        self.gamma = float(labels) if config.gamma is None else config.gamma
        convolutional = not points and config.network != "mlp"
        self.relu = convolutional if config.output_relu is None else config.output_relu
        self.latent_dim = config.latent_dim or (2 if points else 100)
        code = self.latent_dim + self.K
        g_norm = convolutional if config.generator_norm is None else config.generator_norm
        norm: Norm = config.norm or ("batch" if convolutional else "none")
        self.generator, self.discriminator = backbone(
            "loss_sensitive_gan", config.network, shape, code, config.width, generator_norm=g_norm, norm=norm
        )
        if labels:
            self.batch_type, self.classifies = LabelledImages, True
            self.discriminator = PerClass(self.discriminator, self.K, norm)
        *_, (name, last) = [item for item in self.discriminator.named_modules() if isinstance(item[1], nn.Linear)]
        if last.bias is not None and not (labels or self.gamma or self.relu):
            self.still = {f"discriminator.{name}.bias": "only differences of L count: its gradient is exactly 0"}
        self.batch_size = 256 if points else 64
        self.sample_mode = "train" if g_norm else "eval"
        lr = config.lr or (1e-3 if points or labels else 1e-4)
        adam = Adam(lr=lr, betas=(config.beta1, 0.9 if points else 0.999))
        self.players = {"D": Player(self.discriminator, optimizer=adam), "G": Player(self.generator, optimizer=adam)}

    def step(self, batches: Batches) -> Step:
        L, G, scale = self.L, self.generate, self.margin_scale
        real, label = (*next(batches), None)[:2]  # (b, c, h, w) in [-1, 1], or (b, 2); and (b,), or None without labels
        with torch.no_grad():
            fake = G(len(real), label=label)
        margin = scale * (real - fake).abs().flatten(1).sum(1)
        loss_real = L(real, label)
        with unrecorded(self.discriminator):  # two passes: L may have batch norm
            loss_fake = L(fake, label)
        violated = F.leaky_relu(margin + loss_real - loss_fake, self.config.slope)
        terms = {"real": self.gamma * loss_real.mean(), "margin": violated.mean()}
        yield "D", terms, watch(real=-loss_real, fake=-loss_fake)  # as scores, which are high on reals
        with unrecorded(self.discriminator):
            loss = L(G(len(real), label=label), label)
        yield "G", {"loss": loss.mean()}

    def L(self, image: Tensor, label: Tensor | None = None) -> Tensor:
        """Losses (b,), low on data."""
        loss = self.discriminator(image)  # (b,), or with labels logits (b, K)
        if label is not None:
            return F.cross_entropy(loss, label, reduction="none")
        return F.relu(loss) if self.relu else loss

    def class_logits(self, image: Tensor) -> Tensor:
        return self.discriminator(image)

    def latent(self, n: int) -> Tensor:
        """z (n, latent_dim): uniform on [-1, 1], or normal if conditional and for points."""
        z = torch.empty(n, self.latent_dim, device=self.device, dtype=self.dtype)
        return z.normal_() if self.K or len(self.shape) == 1 else z.uniform_(-1, 1)

    def generate(self, n: int, latent: Tensor | None = None, label: Tensor | None = None) -> Tensor:
        z = self.latent(n) if latent is None else latent
        if self.K:
            label = torch.randint(self.K, (n,), device=self.device) if label is None else label
            z = torch.cat([z, one_hot(label, self.K, z.dtype)], 1)
        return self.generator(z)

    def conditions(self, n: int, label: Any = None, **given: Any) -> dict[str, Tensor]:
        """`label` is a class for all samples, or (n,) one for each, of a conditional model; left away: any."""
        if label is None or not self.K:
            return super().conditions(n, **given, **({} if label is None else {"label": label}))
        return super().conditions(n, **given) | {"label": asked_labels(label, n, self.K, self.device)}
