"""InfoGAN: Interpretable Representation Learning by Information Maximizing Generative Adversarial Nets (Chen
et al., 2016), https://arxiv.org/abs/1606.03657

Part of the noise is a structured code c, and a network Q on D's trunk reads the code back from the image:
maximising a lower bound L_I of the mutual information I(c; G(z, c)) makes the code mean something, without
labels.

Losses, to minimise (p = sigmoid(D)):
    L_I  = E[log Q(c | G(z, c))] + H(c), where -log Q is the cross-entropy of the category, and 0.5 (c - mu)^2
           of each continuous code
    D, Q   E_x[-log p(x)] + E_z[-log(1 - p(G(z, c)))] - lambda L_I
    G      E_z[-log p(G(z, c))] - lambda L_I

Differences from the paper:
- Constants of L_I that no parameter changes (H(c), the Gaussian's normaliser; its std is 1 as released) are
  dropped.
- Any height and width: two halvings as on MNIST, more from 40 pixels on. Images end in tanh, not in a
  Bernoulli mean.
- Layers before a batch norm have no bias, which it would cancel; G's batch norms are per channel throughout.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium.data.batches import Batches
from ganarium.errors import require_not_negative, require_positive
from ganarium.layers.init import init_normal
from ganarium.layers.labels import one_hot
from ganarium.layers.precision import full
from ganarium.layers.shapes import halvings, image_shape, pyramid
from ganarium.losses import as_fake, as_real
from ganarium.model import Adam, Code, Model, Paper, Player, Prior, Step, watch
from ganarium.networks.infogan import Generator, Trunk

PAPER = Paper(
    title="InfoGAN: Interpretable Representation Learning by "
    "Information Maximizing Generative Adversarial Nets",
    authors="Chen, Duan, Houthooft, Schulman, Sutskever, Abbeel",
    year=2016,
    arxiv="1606.03657",
    idea="A generator whose code is read back from images learns codes that mean something, without labels.",
)


@dataclass(frozen=True, kw_only=True)
class Config:
    noise_dim: int = 62
    """Numbers in the noise z, uniform on [-1, 1] (released MNIST launcher)."""
    num_categories: int = 10
    """Values of the categorical part of the code, drawn with equal chance (released)."""
    num_continuous: int = 2
    """Numbers in the continuous part of the code, uniform on [-1, 1] (released)."""
    information_weight: float = 1.0
    """Weight of the term by which the network Q learns to read the code back, and G to make it readable
    (released)."""
    width: int = 64
    """Channels next to the picture (released); they double with every halving, up to 8 times. Dense layers
    have 16 times as many units."""
    leak: float = 0.01
    """Slope of the LeakyReLU below 0 in D and Q (released)."""
    lr_generator: float = 1e-3
    """Learning rate of G's Adam (released)."""
    lr_discriminator: float = 2e-4
    """Learning rate of the Adam that moves D and Q together (released)."""

    def __post_init__(self) -> None:
        require_positive(self, "noise_dim", "num_categories", "width", "lr_generator", "lr_discriminator")
        require_not_negative(self, "information_weight", "num_continuous", "leak")

    @classmethod
    def small(cls) -> "Config":
        return cls(noise_dim=4)


class InfoGAN(Model):
    batch_size = 128

    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        channels, height, width = image_shape(shape, "infogan")
        sizes = pyramid(height, width, max(2, halvings(height, width, smallest=7)), ceil=False)
        self.code = Code(config.num_categories, config.num_continuous, start=config.noise_dim)
        self.prior = Prior(config.noise_dim + config.num_categories + config.num_continuous, "uniform")
        self.generator = Generator(sizes, channels, self.prior.dim, config.width)
        self.trunk = Trunk(sizes, channels, config.width, config.leak)
        units, hidden = 16 * config.width, 2 * config.width
        self.head = nn.Linear(units, 1)
        self.Q = nn.Sequential(
            nn.Linear(units, hidden, bias=False),
            nn.BatchNorm1d(hidden),
            nn.LeakyReLU(config.leak),
            nn.Linear(hidden, config.num_categories + config.num_continuous),
        )
        init_normal(self)
        adam_d = Adam(lr=config.lr_discriminator, betas=(0.5, 0.999))
        adam_g = Adam(lr=config.lr_generator, betas=(0.5, 0.999))
        self.players = {
            "D": Player(self.trunk, self.head, self.Q, optimizer=adam_d),
            "G": Player(self.generator, optimizer=adam_g),
        }

    def step(self, batches: Batches) -> Step:
        real = next(batches).image  # (b, c, h, w) in [-1, 1]; its label, if it has one, is never seen
        weight = self.config.information_weight
        code = self.latent(len(real))
        with torch.no_grad():
            fake = self.generate(len(real), code)
        score_real, _ = self.D(real)
        score_fake, read = self.D(fake)
        information = weight * self.unread(read, code)
        terms = {"real": as_real(score_real), "fake": as_fake(score_fake), "information": information}
        yield "D", terms, watch(real=score_real, fake=score_fake)
        code = self.latent(len(real))
        score, read = self.D(self.generate(len(real), code))
        yield "G", {"adversarial": as_real(score), "information": weight * self.unread(read, code)}

    def D(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (b,), and what Q reads: logits of the category, then the means of the continuous codes."""
        features = self.trunk(image)
        return full(self.head(features).squeeze(1)), full(self.Q(features))

    def unread(self, read: Tensor, code: Tensor) -> Tensor:
        """-log Q(c | x), mean over the batch, up to constants: what is minimised to maximise L_I."""
        K, start = self.config.num_categories, self.config.noise_dim
        category, continuous = code[:, start : start + K], code[:, start + K :]
        gaussian = 0.5 * (continuous - read[:, K:]).square().sum(1)
        return (F.cross_entropy(read[:, :K], category, reduction="none") + gaussian).mean()

    def latent(self, n: int) -> Tensor:
        """Noise, one-hot category and continuous codes side by side: (n, 62 + 10 + 2) as published."""
        K, noise_dim = self.config.num_categories, self.config.noise_dim
        uniform = torch.empty(n, noise_dim + self.config.num_continuous, device=self.device, dtype=self.dtype)
        noise, continuous = uniform.uniform_(-1, 1).tensor_split([noise_dim], 1)
        category = torch.randint(K, (n,), device=self.device)
        return torch.cat([noise, one_hot(category, K, self.dtype), continuous], 1)
