"""Improved Training of Wasserstein GANs (Gulrajani et al., 2017), https://arxiv.org/abs/1704.00028

The critic D estimates the Wasserstein-1 distance, for which it must be 1-Lipschitz; instead of clipping
weights, its gradient is held near norm 1 on straight lines between reals and fakes. Algorithm 1.

Losses, to minimise (D(x) is a score, not a probability):
    D    E_z[D(G(z))] - E_x[D(x)] + lambda E[(||grad D(x^)|| - 1)^2],
             x^ = e x + (1 - e) G(z), one e ~ U[0, 1] a sample
    G    -E_z[D(G(z))]

Differences from the paper:
- The networks are the released DCGAN-sized ones (5x5 convolutions, no batch norm in the critic), for any
  height and width; the paper's best CIFAR-10 numbers are a ResNet's. Grey images end in tanh, not in a
  sigmoid on [0, 1].
- Channels are at most 8 `width`, and G's first batch norm is per channel; released: per unit of the
  projection.
- `--network` runs it on other networks; resnet has the paper's, whose own settings for them are not the
  defaults here.
- Adam's betas are Algorithm 1's (0, 0.9); the released scripts for these networks have (0.5, 0.9).
"""

import math
from dataclasses import dataclass

import torch
from torch import nn

from ganarium.data.batches import Batches
from ganarium.errors import require_fraction, require_positive
from ganarium.layers.augmentation import Augmentation, DiffAugmentOptions
from ganarium.layers.heads import last_linear
from ganarium.layers.normalization import Norm, check_penalised, normalise_spectrally
from ganarium.layers.shapes import image_shape
from ganarium.losses import gradient_norm
from ganarium.model import Adam, Model, Paper, Player, Prior, Step, watch
from ganarium.networks.backbones import Network, Pair, backbone
from ganarium.networks.dcgan import Discriminator, Generator
from ganarium.networks.mlp import MLP

PAPER = Paper(
    title="Improved Training of Wasserstein GANs",
    authors="Gulrajani, Ahmed, Arjovsky, Dumoulin, Courville",
    year=2017,
    arxiv="1704.00028",
    idea="A penalty on the norm of the critic's gradient replaces weight clipping in the Wasserstein GAN.",
)


@dataclass(frozen=True, kw_only=True)
class Config(DiffAugmentOptions):
    penalty_weight: float = 10.0
    """Weight of the gradient penalty: lambda (equation 3)."""
    num_critic_steps: int = 5
    """Updates of the critic for one of G (Algorithm 1)."""
    network: Network = "auto"
    """Kind of networks: dcgan, resnet or mlp. auto: the released ones, which are of DCGAN's size."""
    latent_dim: int = 128
    """Numbers in z, normal (released)."""
    width: int | None = None
    """Channels of D's first layer, or units of a hidden layer. None: 64 for grey images, 128 for colour
    (released); dcgan 64, resnet 128, both 32 below 48 pixels; mlp 512, or 128 for points."""
    generator_norm: bool | None = None
    """Batch norm in G. None: on for colour images and in resnet (released), off for grey ones (released) and
    in mlp."""
    norm: Norm = "none"
    """Normalisation in the critic: none as released, or layer norm as the paper advises; batch norm is
    refused."""
    lr: float = 1e-4
    """Learning rate of Adam (Algorithm 1)."""
    beta1: float = 0.0
    """Adam's first momentum (Algorithm 1)."""

    def __post_init__(self) -> None:
        require_positive(self, "penalty_weight", "num_critic_steps", "latent_dim", "width", "lr")
        check_penalised(self.norm, "wgan_gp")
        require_fraction(self, "beta1")

    @classmethod
    def for_points(cls) -> "Config":
        """The released toy script."""
        return cls(penalty_weight=0.1, latent_dim=2, width=512, generator_norm=False)

    @classmethod
    def small(cls) -> "Config":
        return cls(width=4)


class WGANGP(Model):
    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        self.augment = Augmentation(config.augment, "wgan_gp", shape)
        colour = len(shape) == 3 and shape[0] > 1
        self.prior = Prior(config.latent_dim)
        norm = config.generator_norm
        if norm is None:
            norm = config.network == "resnet" or (config.network != "mlp" and colour)
        if config.network == "auto":
            width = config.width or (128 if colour else 64)
            self.generator, self.critic = released_networks(config, shape, width, norm)
        else:
            self.generator, self.critic = backbone(
                "wgan_gp",
                config.network,
                shape,
                config.latent_dim,
                config.width,
                generator_norm=norm,
                norm=config.norm,
            )
        if len(shape) == 3:
            self.batch_size = 64 if colour else 50  # as in the released scripts
        self.sample_mode = "train" if norm else "eval"  # the released batch norm has no other mode
        adam = Adam(lr=config.lr, betas=(config.beta1, 0.9))
        self.players = {"D": Player(self.critic, optimizer=adam), "G": Player(self.generator, optimizer=adam)}
        name, _ = last_linear(self.critic)
        reason = "E[D(fake)] - E[D(real)] does not change with it: its gradient is exactly 0"
        self.still = {f"critic.{name}.bias": reason}

    def step(self, batches: Batches) -> Step:
        D, G, T, config = self.critic, self.generate, self.augment, self.config
        for _ in range(config.num_critic_steps):
            real = T(next(batches).image)  # (b, c, h, w) in [-1, 1], or (b, 2)
            with torch.no_grad():
                fake = T(G(len(real)))
            # one pass: nothing in D mixes samples
            score_real, score_fake = D(torch.cat([real, fake])).chunk(2)
            e = torch.rand(len(real), *[1] * (real.dim() - 1), device=real.device, dtype=real.dtype)
            norm = gradient_norm(D, e * real + (1 - e) * fake)  # (b,), at x^
            terms = {
                "wasserstein": score_fake.mean() - score_real.mean(),
                "penalty": config.penalty_weight * (norm - 1).square().mean(),
            }
            yield "D", terms, watch(real=score_real, fake=score_fake)
        yield "G", {"wasserstein": -D(T(G(len(real)))).mean()}


def released_networks(config: Config, shape: tuple[int, ...], width: int, norm: bool) -> Pair:
    """Those of the released scripts: for images of DCGAN's size, for points three layers of `width` units."""
    if len(shape) == 1:
        generator: nn.Module = MLP(config.latent_dim, [width] * 3, shape, norm="batch" if norm else "none")
        critic: nn.Module = MLP(shape[0], [width] * 3, (), norm=config.norm)
    else:
        image = image_shape(shape, "wgan_gp")
        generator = Generator(image, config.latent_dim, width, batch_norm=norm)
        critic = Discriminator(image, width, norm=config.norm)
    for network in (generator, critic):
        init_released(network)
    if config.norm == "spectral":
        normalise_spectrally(critic)
    return Pair(generator, critic)


def init_released(network: nn.Module) -> None:
    """Uniform weights with the variances of the released scripts, biases 0: He's for the hidden layers of
    points, 4 / (fan in + fan out) for convolutions, where a stride thins out one of the two, and Glorot's for
    other layers."""
    hidden = {
        layer for module in network.modules() if isinstance(module, MLP) for layer in module.layers[:-1]
    }
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            fan_in, fan_out = layer.weight.shape[1] * layer.weight[0, 0].numel(), layer.weight[:, 0].numel()
            if isinstance(layer, nn.Linear):
                variance = 2 / fan_in if layer in hidden else 2 / (fan_in + fan_out)
            else:
                variance = 4 / (fan_in + fan_out / math.prod(layer.stride))
            nn.init.uniform_(layer.weight, -math.sqrt(3 * variance), math.sqrt(3 * variance))
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
