"""Semi-Supervised Learning with Generative Adversarial Networks (Odena, 2016), https://arxiv.org/abs/1606.01583

D is a classifier with one softmax over the N classes of the data and one more, "generated". To tell what is generated,
it must learn what the data are: of few labels it makes a better classifier than without G.

Losses, to minimise (D gives N + 1 logits, P = softmax(D), and class N is "generated"):
    D    E[-log P(y | x)] of the labelled + E_x[-log(1 - P(N | x))] of the unlabelled + E_z[-log P(N | G(z))]
    G    E_z[-log(1 - P(N | G(z)))]

Differences from the paper:
- The paper takes the mean over one minibatch of reals and fakes: half of the sum of both, which is nothing to Adam.
- It does not say clearly whether reals without a label are learned from. Here they are: as any class but "generated",
  which the paper has no formula for; `--no-unlabelled` leaves them away.
- It gives few details of its networks, and they are DCGAN's, for any height and width, with the numbers of DCGAN.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ganarium.data.batches import Batches
from ganarium.data.dataset import PartlyLabelledImages
from ganarium.errors import UserError, require_positive
from ganarium.layers.heads import PerClass
from ganarium.layers.labels import known_classes
from ganarium.layers.normalization import Norm, unrecorded
from ganarium.losses import as_fake, as_real
from ganarium.model import Adam, Model, Paper, Player, Step, watch
from ganarium.networks.backbones import Network, backbone

PAPER = Paper(
    title="Semi-Supervised Learning with Generative Adversarial Networks",
    authors="Odena",
    year=2016,
    arxiv="1606.01583",
    idea="The discriminator is a classifier with one more class, for what is generated, and learns from few labels.",
)


@dataclass(frozen=True, kw_only=True)
class Config:
    unlabelled: bool = True
    """Learn from all images, most of them without a label; else D sees no reals but the labelled ones."""
    network: Network = "auto"
    """Kind of networks. auto: dcgan for images, mlp for points."""
    latent_dim: int | None = None
    """Numbers in z: uniform on [-1, 1], or normal for points. None: 100, as DCGAN has, or 2 for points."""
    width: int | None = None
    """Channels next to the picture, or units in a hidden layer. None: as is usual for the networks."""
    generator_norm: bool | None = None
    """Batch norm in G. None: on in convolutional networks, off in an mlp."""
    norm: Norm | None = None
    """Normalisation in D. None: batch in convolutional networks, none in an mlp."""
    dropout: float = 0.0
    """Share of zeros behind each layer of D."""
    lr: float | None = None
    """Learning rate of Adam. None: 2e-4, as DCGAN has, or 1e-3 for points."""
    beta1: float = 0.5
    """Adam's first momentum, as DCGAN has."""

    def __post_init__(self) -> None:
        require_positive(self, "latent_dim", "width", "lr")
        for name in ("dropout", "beta1"):
            if not 0 <= getattr(self, name) < 1:
                raise UserError(f"{name} must be from 0 to below 1, not {getattr(self, name)}.")


class SGAN(Model):
    batch_type, classifies = PartlyLabelledImages, True

    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        num_logits, points = known_classes(num_classes, "sgan") + 1, len(shape) == 1
        convolutional = not points and config.network != "mlp"
        norm: Norm = config.norm or ("batch" if convolutional else "none")
        g_norm = convolutional if config.generator_norm is None else config.generator_norm
        self.latent_dim = config.latent_dim or (2 if points else 100)
        self.generator, discriminator = backbone(
            "sgan",
            config.network,
            shape,
            self.latent_dim,
            config.width,
            generator_norm=g_norm,
            norm=norm,
            dropout=config.dropout,
        )
        self.discriminator = PerClass(discriminator, num_logits, norm)
        self.batch_size = 256 if points else 64
        self.sample_mode = "train" if g_norm else "eval"  # as DCGAN's authors sample
        adam = Adam(lr=config.lr or (1e-3 if points else 2e-4), betas=(config.beta1, 0.999))
        self.players = {"D": Player(self.discriminator, optimizer=adam), "G": Player(self.generator, optimizer=adam)}

    def step(self, batches: Batches) -> Step:
        D, G = self.discriminator, self.generate
        image, label, unlabelled = next(batches)  # (b, c, h, w) in [-1, 1], or (b, 2); (b,) of `image`
        with torch.no_grad():
            fake = G(len(image))
        # apart, not in one batch: each has statistics of its own in D's batch norm
        labelled = D(image)  # (b, N + 1)
        score_real = realness(D(unlabelled) if self.config.unlabelled else labelled)
        with unrecorded(D):
            score_fake = realness(D(fake))
        terms = {"labelled": F.cross_entropy(labelled, label), "fake": as_fake(score_fake)}
        if self.config.unlabelled:
            terms["unlabelled"] = as_real(score_real)
        yield "D", terms, watch(real=score_real, fake=score_fake)
        with unrecorded(D):
            score = realness(D(G(len(image))))
        yield "G", {"adversarial": as_real(score)}

    def class_logits(self, image: Tensor) -> Tensor:
        """(b, N): without the class of what is generated."""
        return self.discriminator(image)[:, :-1]

    def latent(self, n: int) -> Tensor:
        """z (n, latent_dim): uniform on [-1, 1], or normal for points."""
        z = torch.empty(n, self.latent_dim, device=self.device, dtype=self.dtype)
        return z.normal_() if len(self.shape) == 1 else z.uniform_(-1, 1)

    def generate(self, n: int, latent: Tensor | None = None) -> Tensor:
        return self.generator(self.latent(n) if latent is None else latent)


def realness(logits: Tensor) -> Tensor:
    """(b, N + 1) -> (b,): the score whose sigmoid is 1 - P(N | x), the chance of being none of the generated."""
    return logits[:, :-1].logsumexp(1) - logits[:, -1]
