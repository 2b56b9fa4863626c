"""Analyzing and Improving the Image Quality of StyleGAN (Karras et al., 2019),
https://arxiv.org/abs/1912.04958

StyleGAN without its droplets and its growing: a style scales the weights of a convolution, which are then
divided by their length, and images of all resolutions are summed up. A penalty on path lengths lets equal
steps in w change the image by equal amounts.

Losses, to minimise (r(s) = -log sigmoid(s); J is the gradient of G(w) with respect to w, y is normal noise of
the image's shape, a the running mean of |J^T y|):
    D    E_x[r(D(x))] + E_z[r(-D(G(z)))]
    G    E_z[r(D(G(z)))]
and in moves of their own (lazy regularisation), at every 16th and 4th step, times 16 and 4:
    D    gamma / 2 E_x[|grad D(x)|^2]
    G    2 E_{w,y}[(|J^T y| - a)^2]

Differences from the paper:
- The authors' later code (StyleGAN2-ADA): one noise strength a layer, no mirroring unless the data are asked
  for it, a mean of w as in StyleGAN, gamma from the size of the image where none is given.
- `base_width` is the later code's for images below 512 pixels; 32,768 is the paper's.
- The average of G's weights has a half-life of 5 % of the steps at most, as in the later code's `auto`.
- `--preset cifar` keeps the skips of D, which the later code leaves out there.
- R1 is of the images as D sees them, after augmentation if there is one; in the later code before it.
- Images of any size: networks work on the next power of two, images are padded to it by reflection and G's
  are cropped and clipped outside.
- Without labels; the later code can also condition on them.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from ganarium.data.batches import Batches
from ganarium.errors import UserError, require_not_negative, require_positive
from ganarium.layers.augmentation import Augmentation, AugmentOptions
from ganarium.layers.penalized import inputs_only
from ganarium.layers.shapes import image_shape, reflect_to_multiple
from ganarium.losses import as_fake, as_real, gradient_norm
from ganarium.model import Adam, Model, Paper, Player, Prior, Step, ramped, watch
from ganarium.networks.stylegan import mixed, truncated
from ganarium.networks.stylegan2 import Discriminator, Generator, stage_widths

PAPER = Paper(
    title="Analyzing and Improving the Image Quality of StyleGAN",
    authors="Karras, Laine, Aittala, Hellsten, Lehtinen, Aila",
    year=2019,
    arxiv="1912.04958",
    idea="StyleGAN with weights scaled by styles, no growing, and equal steps in w for equal changes.",
)
PRESETS: dict[str, dict[str, Any]] = {
    "small": {"base_width": 1024, "max_width": 64, "latent_dim": 128, "mapping_layers": 2},
    "low_shot": {"base_width": 32768, "mapping_layers": 2, "gamma": 10, "augment": "diff", "half_life": 1250},
    "cifar": {
        "mapping_layers": 2,
        "mixing": 0.0,
        "gamma": 0.01,
        "path_weight": 0.0,
        "group_size": 32,
        "lr": 2.5e-3,
        "half_life": 7812.5,
    },
    "paper256": {"gamma": 1, "group_size": 8, "lr": 2.5e-3},
    "config_f": {"base_width": 32768, "gamma": 10},
}
BATCH_SIZES: dict[str | None, int] = {"small": 16, "low_shot": 8, "cifar": 64, "paper256": 64}


@dataclass(frozen=True, kw_only=True)
class Config(AugmentOptions):
    preset: Literal["small", "low_shot", "cifar", "paper256", "config_f"] | None = None
    """Other values of the options, and another batch size, by name; an option that is given keeps its value.
    small: for a CPU (ours). Released: low_shot for a few hundred photos (DiffAugment; add --mirror), cifar
    for images of 32 pixels, paper256 and config_f for many photos of 256 and of 1024."""
    base_width: int = 16384
    """Channels of a map, times its side in pixels (released below 512 pixels; paper: 32,768). 1024 suits a
    CPU."""
    max_width: int = 512
    """The most channels of a map (released). 64 suits a CPU."""
    latent_dim: int = 512
    """Numbers in z, normal, and in w."""
    mapping_layers: int = 8
    """Dense layers from z to w; 2 in the release's presets for small images."""
    mixing: float = 0.9
    """Chance that a batch has styles of two codes, the second from a random layer on."""
    gamma: float | None = None
    """Weight of R1, the squared slope of D at reals. None: 0.0002 times the pixels of an image, divided by
    the batch (released). 0: without it."""
    penalty_interval: int = 16
    """Steps from one move with R1 to the next, which weighs so many times more (appendix B)."""
    path_weight: float = 2.0
    """Weight of the penalty on path lengths (released). 0: without it, as in the release for CIFAR-10."""
    path_interval: int = 4
    """Steps from one move with that penalty to the next, which weighs so many times more (appendix B)."""
    group_size: int = 4
    """Images over which D is told the standard deviation (released). 1: it is told nothing."""
    lr: float = 2e-3
    """Learning rate of Adam (appendix B; 2.5e-3 in the release below 1024 pixels), made a little smaller by
    the moves of the penalties, k / (k + 1) for an interval of k."""
    half_life: float = 312.5
    """Steps in which a weight of G fades to one half in the average (10,000 images, released)."""

    def __post_init__(self) -> None:
        require_positive(self, "base_width", "max_width", "latent_dim", "mapping_layers", "group_size", "lr")
        require_positive(self, "penalty_interval", "path_interval", "half_life")
        require_not_negative(self, "path_weight")
        if (self.gamma or 0) < 0 or not 0 <= self.mixing <= 1:
            raise UserError("gamma must be at least 0, and mixing from 0 to 1.")

    @classmethod
    def small(cls) -> "Config":
        return cls(base_width=64, max_width=8, latent_dim=8, mapping_layers=2, penalty_interval=3)


class StyleGAN2(Model):
    batch_size = 32
    path_mean: Tensor  # (), the running mean of the path lengths

    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        self.batch_size = BATCH_SIZES.get(config.preset, self.batch_size)
        self.augment = Augmentation(config.augment, "stylegan2", shape)
        channels, height, width = image_shape(shape, "stylegan2")
        self.size = 2 ** math.ceil(math.log2(max(height, width)))
        widths = stage_widths(config.base_width, config.max_width, self.size)
        self.prior = Prior(config.latent_dim)
        self.styles = 2 * len(widths)
        self.generator = Generator(config.latent_dim, channels, widths, config.mapping_layers)
        self.discriminator = Discriminator(channels, widths, config.group_size)
        self.register_buffer("path_mean", torch.zeros(()))
        self.ema = {"generator": ramped(0.5 ** (1 / config.half_life))}
        self.players = {
            "G": Player(self.generator, optimizer=lazy(config.lr, config.path_weight, config.path_interval)),
            "D": Player(self.discriminator, optimizer=lazy(config.lr, config.gamma, config.penalty_interval)),
        }

    def step(self, batches: Batches) -> Step:
        config, G, D, T = self.config, self.generator.synthesis, self.discriminator, self.augment
        real = T(reflect_to_multiple(next(batches).image, self.size))  # (b, c, size, size) in [-1, 1]
        n = len(real)
        yield "G", {"adversarial": as_real(D(T(G(self.random_styles(n)))))}
        if config.path_weight > 0 and self.iteration % config.path_interval == 0:
            weight = config.path_interval * config.path_weight
            yield "G", {"penalty_path": weight * self.path_penalty(self.random_styles((n + 1) // 2))}

        with torch.no_grad():
            fake = T(G(self.random_styles(n)))
        # apart, not in one batch: D sees deviations within a batch
        score_real, score_fake = D(real), D(fake)
        terms = {"real": as_real(score_real), "fake": as_fake(score_fake)}
        yield "D", terms, watch(real=score_real, fake=score_fake, **T.adapt(score_real))
        gamma = 0.0002 * self.size**2 / n if config.gamma is None else config.gamma
        if gamma > 0 and self.iteration % config.penalty_interval == 0:
            weight = config.penalty_interval * gamma / 2
            yield "D", {"penalty_r1": weight * gradient_norm(D, real).square().mean()}

    def random_styles(self, n: int) -> Tensor:
        """(n, styles, latent_dim) as in training: some from two codes. They move the average of w."""
        G = self.generator
        w, second = G.mapping(self.latent(n)), G.mapping(self.latent(n))
        G.average.lerp_(w.detach().mean(0), 0.005)
        at = torch.randint(1, self.styles, (1,), device=w.device)
        at = torch.where(torch.rand(1, device=w.device) < self.config.mixing, at, self.styles)
        return mixed(w[:, None].expand(-1, self.styles, -1), second, at)

    def path_penalty(self, w: Tensor) -> Tensor:
        """The mean of (|J^T y| - a)^2 at styles w (n, styles, latent_dim), after a has been moved."""
        with torch.autocast(w.device.type, enabled=False):
            image = self.generator.synthesis(w)
            noise = torch.randn_like(image) / self.size
            with inputs_only():
                (gradient,) = torch.autograd.grad((image * noise).sum(), w, create_graph=True)
            length = gradient.square().sum(2).mean(1).sqrt()  # (n,)
        mean = self.path_mean.lerp(length.mean().to(self.path_mean), 0.01)  # with its gradient, as released
        self.path_mean.copy_(mean.detach())
        return (length - mean).square().mean()

    def generate(
        self, n: int, latent: Tensor | None = None, label: Tensor | None = None, **asked: Tensor
    ) -> Tensor:
        """`asked` are the rows of `streams.of_styles`."""
        G = self.generator
        noise = None
        z = self.latent(n) if latent is None else latent
        w = (asked["style"] if "style" in asked else G.mapping(z))[:, None].expand(-1, self.styles, -1)
        if "second" in asked:
            w = mixed(w, G.mapping(asked["second"]), asked["crossover"])
        if "truncation" in asked:
            w = truncated(w, G.average, asked["truncation"], self.styles)
        if "noise_seed" in asked:
            noise = G.synthesis.fixed_noise(int(asked["noise_seed"][0]))
        image: Tensor = G.synthesis(w, noise)
        return image[:, :, : self.shape[1], : self.shape[2]]


def lazy(lr: float, weight: float | None, interval: int) -> Adam:
    """Adam with smaller steps for a player that also moves for a penalty at every so many steps."""
    share = 1.0 if weight == 0 else interval / (interval + 1)
    return Adam(lr=lr * share, betas=(0.0, 0.99**share))
