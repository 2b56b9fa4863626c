"""Softmax GAN (Lin, 2017), https://arxiv.org/abs/1704.06191

The real and fake samples of a batch share one softmax over their scores. D is to spread all of it evenly over the
reals, G to spread it evenly over reals and fakes: a cross-entropy over the batch instead of one for each sample.

Losses, to minimise, with N reals, M fakes and log Z = log(sum of exp(D) over all N + M):
    D    log Z - (mean of D over the reals)              the target is 1/N on reals and 0 on fakes
    G    log Z - (mean of D over reals and fakes)        the target is 1/(N + M) on each

Differences from the paper:
- Its network is an energy; here D is a score, high on reals, as everywhere in ganarium: D is minus the energy.
- `auto` is DCGAN's networks without batch norm, for any height and width, and for 2-D points three layers of 128.
- G begins with He's weights in place of DCGAN's N(0, 0.02), which count on batch norm.
- Under torchrun every process has a softmax over its own part of the batch.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganarium.data.batches import Batches
from ganarium.errors import UserError, require_positive
from ganarium.layers.normalization import Norm
from ganarium.model import Adam, Model, Paper, Player, Step, watch
from ganarium.networks.backbones import Network, backbone

PAPER = Paper(
    title="Softmax GAN",
    authors="Lin",
    year=2017,
    arxiv="1704.06191",
    idea="One softmax over all real and fake samples of a batch takes the place of a classification of each.",
)


@dataclass(frozen=True, kw_only=True)
class Config:
    network: Network = "auto"
    """Kind of G and D. auto: dcgan for images, mlp for 2-D points."""
    latent_dim: int | None = None
    """Numbers in z. None: 100, uniform on [-1, 1], as in DCGAN; 2, normal, for points."""
    width: int | None = None
    """Channels or units of a layer. None: dcgan 64, resnet 128, both 32 below 48 pixels; mlp 512, for points 128."""
    generator_norm: bool = False
    """Batch norm in G; the paper takes it out of DCGAN's networks."""
    norm: Norm = "none"
    """Norm in D; the paper takes it out of DCGAN's networks."""
    lr: float | None = None
    """Learning rate of Adam. None: 2e-4, as in DCGAN; 1e-3 for points."""
    beta1: float = 0.5
    """Adam's first momentum, as in DCGAN."""

    def __post_init__(self) -> None:
        require_positive(self, "latent_dim", "width", "lr")
        if not 0 <= self.beta1 < 1:
            raise UserError(f"beta1 must be from 0 to below 1, not {self.beta1}.")


class SoftmaxGAN(Model):
    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        points = len(shape) == 1
        self.batch_size = 256 if points else 64
        self.latent_dim = config.latent_dim or (2 if points else 100)
        self.generator, self.discriminator = backbone(
            "softmax_gan",
            config.network,
            shape,
            self.latent_dim,
            config.width,
            generator_norm=config.generator_norm,
            norm=config.norm,
        )
        adam = Adam(lr=config.lr or (1e-3 if points else 2e-4), betas=(config.beta1, 0.9 if points else 0.999))
        self.players = {"D": Player(self.discriminator, optimizer=adam), "G": Player(self.generator, optimizer=adam)}
        *_, last = (layer for layer in self.discriminator.modules() if isinstance(layer, nn.Linear))
        biases = [name for name, parameter in self.named_parameters() if parameter is last.bias]
        self.still = dict.fromkeys(biases, "a constant added to every score leaves the softmax as it is")

    def step(self, batches: Batches) -> Step:
        D, G = self.discriminator, self.generate
        real = next(batches).image  # (b, c, h, w) in [-1, 1], or (b, 2)
        with torch.no_grad():
            fake = G(len(real))
        score_real, score_fake = D(real), D(fake)  # apart, for the sake of --norm batch
        log_z = torch.cat([score_real, score_fake]).logsumexp(0)
        yield "D", {"cross_entropy": log_z - score_real.mean()}, watch(real=score_real, fake=score_fake)
        with torch.no_grad():
            score_real = D(real)  # constants to G, but part of log Z
        score = torch.cat([score_real, D(G(len(real)))])
        yield "G", {"cross_entropy": score.logsumexp(0) - score.mean()}

    def latent(self, n: int) -> Tensor:
        """z (n, latent_dim), uniform on [-1, 1]; normal for points."""
        z = torch.empty(n, self.latent_dim, device=self.device, dtype=self.dtype)
        return z.normal_() if len(self.shape) == 1 else z.uniform_(-1, 1)

    def generate(self, n: int, latent: Tensor | None = None) -> Tensor:
        return self.generator(self.latent(n) if latent is None else latent)
