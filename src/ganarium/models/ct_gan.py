"""Improving the Improved Training of Wasserstein GANs: A Consistency Term and Its Dual Effect (Wei et al.,
2018), https://arxiv.org/abs/1803.01541

WGAN-GP holds the critic's gradient between reals and fakes. Here each real x also goes twice through a critic
with dropout, as x' and x'', and both must be judged alike: it is smooth around the data, and overfits less.

Losses, to minimise (D(x) is a score, D_(x) what D's last layer reads, d the mean squared difference):
    CT   E_x[max(0, d(D(x'), D(x'')) + 0.1 d(D_(x'), D_(x'')) - M')]
    D    E_z[D(G(z))] - E_x[D(x)] + lambda_1 E[(||grad D(x^)|| - 1)^2] + lambda_2 CT,  x^ as in WGAN-GP
    G    -E_z[D(G(z))]
Semi-supervised (D gives K logits l, Z = log sum exp l, sp = softplus; CT compares softmax(l)):
    D    E[cross-entropy of the labelled] + 0.5 (E_x[sp(-Z(x))] + E_z[sp(Z(G(z)))] + lambda_2 CT)
    G    d(E_x[D_(x)], E_z[D_(G(z))]), the feature matching of Improved GAN (1606.03498)

Differences from the paper:
- The networks are WGAN-GP's DCGAN-sized ones for any height and width, begun as our DCGAN. In a resnet all
  blocks have the same dropout (released: 0.2, 0.5, 0.5 in the last), and the rate is constant, not falling.
- Semi-supervised: the released perceptrons for MNIST, G's batch norm with a gain; not those for CIFAR-10.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium.data.batches import Batches
from ganarium.data.dataset import PartlyLabelledImages
from ganarium.errors import UserError, require_fraction, require_not_negative, require_positive
from ganarium.layers.augmentation import Augmentation, DiffAugmentOptions
from ganarium.layers.heads import SplitDiscriminator
from ganarium.layers.labels import known_classes
from ganarium.layers.normalization import Norm, check_penalised
from ganarium.layers.shapes import image_shape
from ganarium.losses import as_fake, as_real, gradient_norm
from ganarium.model import Adam, Model, Paper, Player, Prior, Step, watch
from ganarium.networks.backbones import BackboneOptions, Network, backbone
from ganarium.networks.improved_gan import NoisyPerceptron, Pair, perceptrons

PAPER = Paper(
    title="Improving the Improved Training of Wasserstein GANs: A Consistency Term and Its Dual Effect",
    authors="Wei, Gong, Liu, Lu, Wang",
    year=2018,
    arxiv="1803.01541",
    idea="A critic with dropout judges a real alike twice, and overfits less. Not CTGAN, which makes tables.",
)


@dataclass(frozen=True, kw_only=True)
class Config(DiffAugmentOptions, BackboneOptions):
    semi_supervised: bool = False
    """Learn to classify as well, from few labels (--labels-per-class) and all images."""
    consistency_weight: float | None = None
    """Weight of the consistency term: lambda_2. None: 2, or 0.1 with semi_supervised (both released)."""
    margin: float = 0.0
    """Difference between the two judgements that costs nothing: M' (released)."""
    dropout: float = 0.5
    """Share of zeros behind each layer of the critic (released); the perceptrons have noise."""
    penalty_weight: float | None = None
    """Weight of the gradient penalty: lambda_1. None: 10 (released), 0.1 for points, 0 if semi-supervised."""
    num_critic_steps: int = 5
    """Updates of the critic for one of the generator (released). With semi_supervised it is always 1."""
    network: Network = "auto"
    """Kind of networks. auto: dcgan, or with semi_supervised the released perceptrons."""
    latent_dim: int | None = None  # type: ignore[assignment]
    """Numbers in z. None: 128, or 100 with semi_supervised (both released)."""
    prior: Literal["normal", "uniform"] | None = None  # type: ignore[assignment]
    """Distribution of z: normal, or uniform on [0, 1]. None: normal, semi-supervised uniform (released)."""
    width: int | None = None
    """Channels next to the picture, or units of a hidden layer. None: dcgan 64 for grey and 128 for colour
    images, perceptrons 500 (all released); resnet 128, or 32 below 48 pixels; mlp 512, or 128 for points."""
    generator_norm: bool | None = None
    """Batch norm in the generator. None: on for colour images, the perceptrons (both released) and resnet."""
    norm: Norm = "none"
    """Normalisation in the critic: none (released), layer or spectral; batch norm is refused."""
    lr: float | None = None
    """Learning rate of Adam. None: 1e-4, or 3e-3 with semi_supervised (both released)."""
    beta1: float = 0.5
    """Adam's first momentum (released); its second is 0.9, or 0.999 with semi_supervised."""

    def __post_init__(self) -> None:
        require_positive(self, "penalty_weight", "num_critic_steps", "latent_dim", "width", "lr")
        check_penalised(self.norm, "ct_gan")
        require_fraction(self, "dropout", "beta1")
        require_not_negative(self, "consistency_weight", "margin")
        if self.semi_supervised and (self.penalty_weight is not None or self.num_critic_steps != 5):
            raise UserError("with --semi-supervised leave --penalty-weight and --num-critic-steps away.")
        if self.semi_supervised and self.augment != "none":
            raise UserError("--semi-supervised learns from images as they are: leave --augment away.")
        if self.perceptrons and (self.norm != "none" or self.dropout != 0.5):
            raise UserError("perceptrons have their own norm and noise: use --network mlp, dcgan or resnet.")

    @property
    def perceptrons(self) -> bool:  # whether the networks are the released ones for MNIST
        return self.semi_supervised and self.network == "auto"

    @classmethod
    def for_points(cls) -> "Config":
        return cls(network="mlp", latent_dim=2, prior="normal", lr=1e-3)

    @classmethod
    def small(cls) -> "Config":
        return cls(width=4)


class CTGAN(Model):
    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        self.augment = Augmentation(config.augment, "ct_gan", shape)
        semi = self.classifies = config.semi_supervised
        K = known_classes(num_classes, "the semi-supervised ct_gan") if semi else 0
        latent_dim = config.latent_dim or (100 if semi else 128)
        self.prior = Prior(latent_dim, config.prior or ("uniform" if semi else "normal"), low=0.0)
        self.generator, self.critic = build(config, shape, latent_dim, K)
        if any(isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d) for layer in self.generator.modules()):
            self.sample_mode = "train"  # the released batch norm has no other mode
        self.penalty_weight = config.penalty_weight or (10.0 if len(shape) == 3 else 0.1)
        usual = 0.1 if semi else 2.0
        self.consistency_weight = usual if config.consistency_weight is None else config.consistency_weight
        if semi:  # as released, but for eps, which there is 1e-8 inside the root
            self.batch_type = PartlyLabelledImages
            self.batch_size = 100
            self.ema = {"critic": 0.9999}
            adam = Adam(lr=config.lr or 3e-3, betas=(config.beta1, 0.999), eps=1e-4)
        else:
            if len(shape) == 3:
                self.batch_size = 50 if shape[0] == 1 else 64
            self.still = {"critic.last.bias": "only differences of scores count: its gradient is about 0"}
            adam = Adam(lr=config.lr or 1e-4, betas=(config.beta1, 0.9))
        self.players = {"D": Player(self.critic, optimizer=adam), "G": Player(self.generator, optimizer=adam)}

    def step(self, batches: Batches) -> Step:
        if self.config.semi_supervised:
            yield from self.semi_supervised_step(batches)
            return
        D, G, T = self.critic, self.generate, self.augment
        for _ in range(self.config.num_critic_steps):
            real = T(next(batches).image)  # (b, c, h, w) in [-1, 1], or (b, 2)
            with torch.no_grad():
                fake = T(G(len(real)))
            features = D.features(torch.cat([real, real, fake]))  # one pass: each row has its own dropout
            first, second, _ = features.chunk(3)
            score_real, score_again, score_fake = D.head(features).chunk(3)
            apart = (score_real - score_again).square() + 0.1 * (first - second).square().mean(1)
            e = torch.rand(len(real), *[1] * (real.dim() - 1), device=real.device, dtype=real.dtype)
            norm = gradient_norm(D, e * real + (1 - e) * fake)  # (b,), at x^
            terms = {
                "wasserstein": score_fake.mean() - score_real.mean(),
                "penalty": self.penalty_weight * (norm - 1).square().mean(),
                "consistency": self.consistency_weight * F.relu(apart - self.config.margin).mean(),
            }
            yield "D", terms, watch(real=score_real, fake=score_fake)
        yield "G", {"wasserstein": -D(T(G(len(real)))).mean()}

    def semi_supervised_step(self, batches: Batches) -> Step:
        D, G = self.critic, self.generate
        image, label, unlabelled = next(batches)
        with torch.no_grad():
            fake = G(len(image))
        labelled, first, second, last = D(torch.cat([image, unlabelled, unlabelled, fake])).chunk(4)  # (b, K)
        score_real, score_fake = first.logsumexp(1), last.logsumexp(1)  # Z: p(real) is its sigmoid
        apart = (first.softmax(1) - second.softmax(1)).square().mean(1)
        terms = {
            "labelled": F.cross_entropy(labelled, label),
            "real": 0.5 * as_real(score_real),
            "fake": 0.5 * as_fake(score_fake),
            "consistency": 0.5 * self.consistency_weight * F.relu(apart - self.config.margin).mean(),
        }
        yield "D", terms, watch(real=score_real, fake=score_fake)
        with torch.no_grad():
            matched = D.features(next(batches).unlabelled).mean(0)
        yield "G", {"matching": (D.features(G(len(image))).mean(0) - matched).square().mean()}

    def prepare(self, batches: Batches) -> None:
        if isinstance(self.critic, NoisyPerceptron):  # whose first scales and biases come from data
            self.critic.begin(batches.draw(500).unlabelled)

    def class_logits(self, image: Tensor) -> Tensor:
        return self.critic(image)


def build(config: Config, shape: tuple[int, ...], latent_dim: int, K: int) -> Pair:
    """G and D: the released perceptrons, or a backbone. D gives K logits, or a score where K is 0."""
    usual = config.perceptrons or config.network == "resnet" or (config.convolutional and shape[0] > 1)
    batch_norm = usual if config.generator_norm is None else config.generator_norm
    if config.perceptrons:
        return perceptrons(image_shape(shape, "ct_gan"), latent_dim, config.width or 500, K, batch_norm)
    released_width = (128 if shape[0] > 1 else 64) if config.network in ("auto", "dcgan") else None
    generator, critic = backbone(
        "ct_gan",
        config.network,
        shape,
        latent_dim,
        config.width or released_width,
        generator_norm=batch_norm,
        norm=config.norm,
        dropout=config.dropout,
    )
    return Pair(generator, SplitDiscriminator(critic, K or None, config.norm))
