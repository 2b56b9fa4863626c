"""Generative Adversarial Nets (Goodfellow et al., 2014), https://arxiv.org/abs/1406.2661

A generator G turns noise into samples; a discriminator D learns to tell them from data, and G learns to be mistaken for
data. Algorithm 1: k steps of D, then one of G. D(x) is the raw score (a logit), p = sigmoid(D).

Losses, to minimise:
    D                      E_x[-log p(x)] + E_z[-log(1 - p(G(z)))]
    G, non-saturating      E_z[-log p(G(z))]         what the paper trains with, and the default
    G, minimax             E_z[log(1 - p(G(z)))]     the saturating loss of equation 1

Differences from the paper:
- The released code halves D's loss; here D's learning rate is halved instead, which is the same under SGD. Its momentum
  rises once an epoch; here it rises with every iteration.
- G's output starts at the mean of 1,000 images, not of the whole training set.
- Images are in [-1, 1] outside: G's sigmoid is rescaled to it, and D maps its input back to [0, 1].
- Colour images use the MNIST recipe on all channels jointly; the released CIFAR-10 one has 8000 units, normal z, a
  learning rate of 0.025 and contrast-normalised data.
- The recipe "modern" (no dropout, Adam) is not the paper's; nor are 2-D points (3 layers of 128) and other networks.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ganarium.data.batches import Batches
from ganarium.errors import UserError, require_positive
from ganarium.layers.init import init_uniform, mean_logit
from ganarium.layers.maxout import MaxoutDiscriminator
from ganarium.layers.normalization import Norm
from ganarium.losses import as_fake, as_real
from ganarium.model import SGD, Adam, Model, OptimizerConfig, Paper, Player, Step, watch
from ganarium.networks.backbones import Network, backbone
from ganarium.networks.mlp import MLP

PAPER = Paper(
    title="Generative Adversarial Nets",
    authors="Goodfellow, Pouget-Abadie, Mirza, Xu, Warde-Farley, Ozair, Courville, Bengio",
    year=2014,
    arxiv="1406.2661",
    idea="A generator learns to make samples that a discriminator, trained against it, cannot tell from data.",
)


@dataclass(frozen=True, kw_only=True)
class Config:
    loss: Literal["non_saturating", "minimax"] = "non_saturating"
    """G's loss: -log p(G(z)), or the saturating log(1 - p(G(z))) of equation 1."""
    num_discriminator_steps: int = 1
    """k of Algorithm 1: updates of D for one of G."""
    recipe: Literal["auto", "paper", "modern"] = "auto"
    """Released networks and SGD, or Adam without dropout. auto: paper for images, modern for points and `network`."""
    network: Network = "auto"
    """Kind of networks. auto: the recipe's own perceptrons."""
    latent_dim: int | None = None
    """Numbers in z. None: 100 for images (released), 2 for points."""
    width: int | None = None
    """Units in a layer of G (and D if modern), or channels. None: 1200 (released), 128 for points, or the network's."""
    generator_norm: bool | None = None
    """Batch norm in the G of dcgan, resnet or mlp. None: on in convolutional networks."""
    norm: Norm | None = None
    """Normalisation in the D of dcgan, resnet or mlp. None: batch in convolutional networks."""
    lr: float | None = None
    """Learning rate. None: 0.1 for SGD (released), 2e-4 for Adam on images, 1e-3 on points."""

    def __post_init__(self) -> None:
        require_positive(self, "num_discriminator_steps", "latent_dim", "width", "lr")
        if self.network == "auto" and not (self.generator_norm is None and self.norm is None):
            raise UserError("the perceptrons of gan have no normalisation: choose --network mlp, dcgan or resnet.")
        if self.network != "auto" and self.recipe == "paper":
            raise UserError("the paper's recipe is for its own networks: leave --recipe or --network away.")


class GAN(Model):
    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        size, points, own = math.prod(shape), len(shape) == 1, config.network == "auto"
        if points and config.recipe == "paper":
            raise UserError("the paper has no recipe for 2-D points: leave --recipe away, or give modern.")
        self.paper = config.recipe == "paper" or (config.recipe == "auto" and own and not points)
        self.latent_dim = config.latent_dim or (2 if points else 100)
        self.unit_range = own and not points  # whether G's pixels are in [0, 1]
        convolutional = not own and not points and config.network != "mlp"
        self.norm: Norm = config.norm or ("batch" if convolutional else "none")
        norm = convolutional if config.generator_norm is None else config.generator_norm
        self.sample_mode = "train" if norm else "eval"
        hidden = [config.width or (128 if points else 1200)] * (3 if points else 2)
        if own:
            relu = nn.ReLU if points else lambda: nn.LeakyReLU(0.2)
            self.generator: nn.Module = MLP(self.latent_dim, hidden, shape, last=None if points else nn.Sigmoid())
            self.discriminator: nn.Module = MaxoutDiscriminator(size) if self.paper else MLP(size, hidden, (), relu)
        else:
            self.generator, self.discriminator = backbone(
                "gan", config.network, shape, self.latent_dim, config.width, generator_norm=norm, norm=self.norm
            )
        if self.paper:
            for network, bound in ((self.generator, 0.05), (self.discriminator, 0.005)):
                init_uniform(network, bound)
            lr = config.lr or 0.1
            optimizers: list[OptimizerConfig] = [SGD(lr=decayed(lr, part), momentum=momentum) for part in (0.5, 1)]
        else:
            lr = config.lr or (1e-3 if points else 2e-4)
            optimizers = [Adam(lr=lr, betas=(0.5, 0.9 if points else 0.999))] * 2
        self.batch_size = 256 if points else 100
        for player, module, optimizer in zip("DG", (self.discriminator, self.generator), optimizers, strict=True):
            self.players[player] = Player(module, optimizer=optimizer)

    def prepare(self, batches: Batches) -> None:  # G starts at the mean of the data
        if self.paper and len(self.shape) == 3:
            with torch.no_grad():
                list(self.generator.parameters())[-1].copy_(mean_logit(batches.draw(1000).image))  # the last bias

    def step(self, batches: Batches) -> Step:
        D, G = self.discriminator, self.generate
        for _ in range(self.config.num_discriminator_steps):
            real = next(batches).image  # (b, c, h, w) in [-1, 1], or (b, 2)
            with torch.no_grad():
                fake = G(len(real))
            if self.norm == "batch":  # each has statistics of its own
                score_real, score_fake = D(real), D(fake)
            else:  # one pass: nothing in D mixes samples
                score_real, score_fake = D(torch.cat([real, fake])).chunk(2)
            terms = {"real": as_real(score_real), "fake": as_fake(score_fake)}
            yield "D", terms, watch(real=score_real, fake=score_fake)
        score = D(G(len(real)))
        yield "G", {"adversarial": as_real(score) if self.config.loss == "non_saturating" else -as_fake(score)}

    def latent(self, n: int) -> Tensor:
        """z (n, latent_dim): uniform on [-sqrt(3), sqrt(3)] for images (released), normal for points."""
        z = torch.empty(n, self.latent_dim, device=self.device, dtype=self.dtype)
        return z.normal_() if len(self.shape) == 1 else z.uniform_(-math.sqrt(3), math.sqrt(3))

    def generate(self, n: int, latent: Tensor | None = None) -> Tensor:
        made = self.generator(self.latent(n) if latent is None else latent)
        return 2 * made - 1 if self.unit_range else made


def decayed(lr: float, part: float) -> Any:
    """The released schedule: divided by 1.000004 at each update, down to 1e-6. `part` is 0.5 for D's halved loss."""
    return lambda iteration, total: part * max(lr / 1.000004**iteration, 1e-6)


def momentum(iteration: int, total: int) -> float:
    """The released schedule: 0.5 to 0.7, linearly over epochs 1 to 250 of 500 updates."""
    return 0.5 + 0.2 * min(iteration / (250 * 500), 1.0)
