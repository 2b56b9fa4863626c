"""Improving the Improved Training of Wasserstein GANs: A Consistency Term and Its Dual Effect (Wei et al., 2018),
https://arxiv.org/abs/1803.01541

WGAN-GP holds the critic's gradient only between reals and fakes. Here each real x also goes twice through a critic with
dropout, as x' and x'', and both must be judged alike: the critic is smooth around the data and overfits them less.

Losses, to minimise (D(x) is a score, D_(x) what D's last layer reads, d the squared difference, a mean over units):
    CT   E_x[max(0, d(D(x'), D(x'')) + 0.1 d(D_(x'), D_(x'')) - M')]
    D    E_z[D(G(z))] - E_x[D(x)] + lambda_1 E[(||grad D(x^)|| - 1)^2] + lambda_2 CT,  x^ as in WGAN-GP
    G    -E_z[D(G(z))]
Semi-supervised (D gives K logits l, Z = log sum exp l, sp = softplus; CT compares softmax(l) of the unlabelled):
    D    E[cross-entropy of the labelled] + 0.5 (E_x[sp(-Z(x))] + E_z[sp(Z(G(z)))] + lambda_2 CT)
    G    d(E_x[D_(x)], E_z[D_(G(z))]), the feature matching of Improved GAN (1606.03498)

Differences from the paper:
- The networks are WGAN-GP's DCGAN-sized ones for any height and width, begun as our DCGAN. In a resnet every block has
  the same dropout, and the rate is constant; released: 0.2, 0.5, 0.5 in the last blocks, and a falling rate.
- Semi-supervised: the released MNIST perceptrons, where Gaussian noise tells x' from x''; G's batch norm has a
  gain. The networks for CIFAR-10 are not built. Points (lambda_1 = 0.1, Adam at 1e-3) are our own.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ganarium.data.batches import Batches
from ganarium.data.dataset import PartlyLabelledImages
from ganarium.errors import UserError, require_positive
from ganarium.layers.normalization import Norm, check_penalised
from ganarium.losses import as_fake, as_real, gradient_penalty
from ganarium.model import Adam, Model, Paper, Player, Step, watch
from ganarium.networks.backbones import Network
from ganarium.networks.ct_gan import networks
from ganarium.networks.improved_gan import NoisyPerceptron

PAPER = Paper(
    title="Improving the Improved Training of Wasserstein GANs: A Consistency Term and Its Dual Effect",
    authors="Wei, Gong, Liu, Lu, Wang",
    year=2018,
    arxiv="1803.01541",
    idea="A critic with dropout must judge a real image alike twice: it is smooth around the data and overfits less.",
)


@dataclass(frozen=True, kw_only=True)
class Config:
    semi_supervised: bool = False
    """Learn to classify as well, from few labels (--labels-per-class) and all images."""
    consistency_weight: float | None = None
    """lambda_2. None: 2, or 0.1 semi-supervised (both released)."""
    margin: float = 0.0
    """M', below which a difference costs nothing (released)."""
    dropout: float = 0.5
    """Share of zeros behind each layer of D (released); the semi-supervised perceptrons have Gaussian noise instead."""
    penalty_weight: float | None = None
    """lambda_1 of the gradient penalty. None: 10 (released), 0.1 on points. Semi-supervised there is no penalty."""
    num_critic_steps: int = 5
    """Updates of D for one of G (released); semi-supervised it is always 1."""
    network: Network = "auto"
    """Kind of networks. auto: dcgan for images, mlp for points; the released perceptrons semi-supervised."""
    latent_dim: int | None = None
    """Numbers in z. None: 128, normal, or 100, uniform on [0, 1], semi-supervised (both released); 2 for points."""
    width: int | None = None
    """Channels or units. None: 64 grey, 128 colour, 500 in the perceptrons (all released); else usual for the kind."""
    generator_norm: bool | None = None
    """Batch norm in G. None: on for colour (released), in a resnet and in the perceptrons (released)."""
    norm: Norm = "none"
    """Normalisation in D, not batch."""
    lr: float | None = None
    """Learning rate of Adam. None: 1e-4, or 3e-3 semi-supervised (both released); 1e-3 for points."""
    beta1: float = 0.5
    """Adam's first momentum (released); its second is 0.9, or 0.999 semi-supervised."""

    def __post_init__(self) -> None:
        require_positive(self, "penalty_weight", "num_critic_steps", "latent_dim", "width", "lr")
        check_penalised(self.norm, "ct_gan")
        for name, below in {"dropout": 1, "beta1": 1, "consistency_weight": math.inf, "margin": math.inf}.items():
            if not 0 <= (getattr(self, name) or 0) < below:
                raise UserError(f"{name} must be from 0 to below {below}, not {getattr(self, name)}.")


class CTGAN(Model):
    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        semi, points = config.semi_supervised, len(shape) == 1
        self.latent_dim = config.latent_dim or (2 if points else 100 if semi else 128)
        self.generator, self.critic, batch_norm = networks(config, self.shape, self.latent_dim, num_classes)
        self.sample_mode = "train" if batch_norm else "eval"  # the released batch norm has no other mode
        self.batch_size = 100 if semi else 256 if points else 50 if shape[0] == 1 else 64
        self.penalty_weight = config.penalty_weight or (0.1 if points else 10.0)
        usual = 0.1 if semi else 2.0
        self.consistency_weight = usual if config.consistency_weight is None else config.consistency_weight
        lr = config.lr or (1e-3 if points else 3e-3 if semi else 1e-4)
        eps = 1e-4 if semi else 1e-8  # released: 1e-8 inside the root
        adam = Adam(lr=lr, betas=(config.beta1, 0.999 if semi else 0.9), eps=eps)
        self.players = {"D": Player(self.critic, optimizer=adam), "G": Player(self.generator, optimizer=adam)}
        if semi:
            self.batch_type, self.classifies, self.ema = PartlyLabelledImages, True, {"critic": 0.9999}  # released
        else:
            self.still = {"critic.last.bias": "only differences of scores count: but for rounding, its gradient is 0"}

    def prepare(self, batches: Batches) -> None:  # as released, from 500 images
        if isinstance(self.critic, NoisyPerceptron):
            self.critic.begin(batches.draw(500).unlabelled)

    def step(self, batches: Batches) -> Step:
        if self.config.semi_supervised:
            yield from self.semi_supervised(batches)
            return
        D, G = self.critic, self.generate
        for _ in range(self.config.num_critic_steps):
            real = next(batches).image  # (b, c, h, w) in [-1, 1], or (b, 2)
            with torch.no_grad():
                fake = G(len(real))
            features = D.features(torch.cat([real, real, fake]))  # one pass: each row has a dropout of its own
            (first, second, _), (score_real, again, score_fake) = features.chunk(3), D.head(features).chunk(3)
            apart = (score_real - again).square() + 0.1 * (first - second).square().mean(1)
            terms = {"wasserstein": score_fake.mean() - score_real.mean()}
            terms["penalty"] = self.penalty_weight * gradient_penalty(D, real, fake)
            terms["consistency"] = self.consistency_weight * F.relu(apart - self.config.margin).mean()
            yield "D", terms, watch(real=score_real, fake=score_fake)
        yield "G", {"wasserstein": -D(G(len(real))).mean()}

    def semi_supervised(self, batches: Batches) -> Step:
        D, G = self.critic, self.generate
        image, label, unlabelled = next(batches)
        with torch.no_grad():
            fake = G(len(image))
        labelled, first, second, last = D(torch.cat([image, unlabelled, unlabelled, fake])).chunk(4)  # (b, K) each
        score_real, score_fake = first.logsumexp(1), last.logsumexp(1)  # Z: p(real) is its sigmoid
        apart = (first.softmax(1) - second.softmax(1)).square().mean(1)
        terms = {"labelled": F.cross_entropy(labelled, label)}
        terms |= {"real": 0.5 * as_real(score_real), "fake": 0.5 * as_fake(score_fake)}
        terms["consistency"] = 0.5 * self.consistency_weight * F.relu(apart - self.config.margin).mean()
        yield "D", terms, watch(real=score_real, fake=score_fake)
        with torch.no_grad():
            matched = D.features(next(batches).unlabelled).mean(0)
        yield "G", {"matching": (D.features(G(len(image))).mean(0) - matched).square().mean()}

    def class_logits(self, image: Tensor) -> Tensor:
        return self.critic(image)

    def latent(self, n: int) -> Tensor:
        """z (n, latent_dim): normal; of semi-supervised images uniform on [0, 1]."""
        z = torch.empty(n, self.latent_dim, device=self.device, dtype=self.dtype)
        return z.uniform_() if self.config.semi_supervised and len(self.shape) == 3 else z.normal_()

    def generate(self, n: int, latent: Tensor | None = None) -> Tensor:
        return self.generator(self.latent(n) if latent is None else latent)
