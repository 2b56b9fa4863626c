"""A Style-Based Generator Architecture for Generative Adversarial Networks (Karras et al., 2018),
https://arxiv.org/abs/1812.04948

G starts from a learned constant, and a mapping turns z into a style w that scales and shifts the maps of
every layer; noise in every pixel draws what is random, such as hair. Coarse layers then own the pose, fine
ones the colours, and styles of two images can be mixed.

Losses, to minimise (r(s) = -log sigmoid(s); x is a real at the resolution of the stage, faded as in ProGAN):
    D    E_x[r(D(x))] + E_z[r(-D(G(z)))] + gamma / 2 E_x[|grad D(x)|^2]
    G    E_z[r(D(G(z)))]

Differences from the paper:
- Images of any size up to 1024 pixels: networks work on the next power of two, images are padded to it by
  reflection and G's are cropped and clipped outside.
- Phases are counted in steps, at the release's batches; another batch size scales those of all resolutions,
  and shows another number of images in as many steps.
- The average of G's weights has the half-life of 10,000 images at the release's batches of the full size,
  at most a tenth of the steps since layers entered, where it begins anew.
- No mirroring unless the data are asked for it (--mirror); the release mirrors faces.
- Configuration F of the paper with this loss; not the loss of WGAN-GP, which it has on CelebA-HQ.
- `penalty_interval` is StyleGAN2's, without its correction of Adam for the steps between.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from ganarium.data.batches import Batches
from ganarium.errors import UserError, require_not_negative, require_positive
from ganarium.layers.augmentation import Augmentation, AugmentOptions
from ganarium.layers.shapes import image_shape, reflect_to_multiple
from ganarium.losses import as_fake, as_real, gradient_norm
from ganarium.model import Adam, Model, Paper, Player, Prior, Step, ramped, watch
from ganarium.networks.progan import (
    Discriminator,
    Growth,
    enlarged,
    growing_size,
    seen_at,
    side_of,
    stage_widths,
)
from ganarium.networks.stylegan import Generator, mixed, truncated

PAPER = Paper(
    title="A Style-Based Generator Architecture for Generative Adversarial Networks",
    authors="Karras, Laine, Aila",
    year=2018,
    arxiv="1812.04948",
    idea="A code becomes a style for every layer of G: coarse ones own the pose, fine ones the colours.",
)

BATCH_SIZES = {
    4: 512,
    8: 256,
    16: 128,
    32: 64,
}  # side in pixels -> images in a batch (released, one GPU); 32 else
RATES = {128: 1.5, 256: 2.0, 512: 3.0, 1024: 3.0}  # side in pixels -> times the learning rate (released)
TRUNCATED = 8  # the first layers, to which `truncation` applies (released)


@dataclass(frozen=True, kw_only=True)
class Config(AugmentOptions):
    first_size: int = 8
    """Side in pixels of the first images, a power of two (appendix C). The size of the data: no growing."""
    stable_images: int = 600_000
    """Real images shown at each resolution after it has faded in (released), at the release's batches."""
    fading_images: int = 600_000
    """Real images shown while a resolution fades in (released). 0: it is there at once."""
    width: int = 512
    """Channels up to 32 pixels, halved with every doubling beyond (table 2 of ProGAN)."""
    latent_dim: int = 512
    """Numbers in z, normal, and in w (section 2)."""
    mapping_layers: int = 8
    """Dense layers from z to w (section 2)."""
    mapping_lr: float = 0.01
    """Learning rate of the mapping, in parts of the others' (appendix C)."""
    mixing: float = 0.9
    """Chance that a batch has styles of two codes, the second from a random layer on (section 3.1)."""
    gamma: float = 10.0
    """Weight of R1, the squared slope of D at reals (appendix C, for 1024 pixels; 0.1 suits 64)."""
    penalty_interval: int = 1
    """Steps from one penalty to the next, which weighs so many times more (lazy regularisation); Adam's rate
    and betas stay as they are, which stylegan2 corrects for it. 1: every step (released)."""
    group_size: int = 4
    """Images over which D is told the standard deviation (released). 1: it is told nothing."""
    lr: float = 1e-3
    """Learning rate of Adam up to 64 pixels; 1.5 times that at 128, 2 times at 256, 3 times beyond."""

    def __post_init__(self) -> None:
        positive = ("stable_images", "width", "latent_dim", "mapping_layers", "mapping_lr", "lr")
        require_positive(self, *positive, "penalty_interval", "group_size")
        require_not_negative(self, "fading_images", "gamma")
        if not 0 <= self.mixing <= 1:
            raise UserError(f"mixing must be from 0 to 1, not {self.mixing}.")

    @classmethod
    def small(cls) -> "Config":
        return cls(stable_images=512, fading_images=256, width=6, latent_dim=8, mapping_layers=2)


class StyleGAN(Model):
    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        self.augment = Augmentation(config.augment, "stylegan", shape)
        channels, height, width = image_shape(shape, "stylegan")
        self.size = growing_size(height, width, config.first_size, "stylegan")
        self.growth = Growth(
            self.size, config.first_size, config.stable_images, config.fading_images, batch_size_at
        )
        self.stages, self.resolutions = self.growth.starts, self.growth.sides
        first, last = self.growth.first, self.growth.last
        widths = stage_widths(config.width, last + 1)
        self.prior = Prior(config.latent_dim)
        self.styles = 2 * last + 2
        self.generator = Generator(
            config.latent_dim, channels, widths, config.mapping_layers, config.mapping_lr
        )
        self.discriminator = Discriminator(channels, widths, config.group_size, blur=True)
        self.batch_size = batch_size_at(self.size)
        self.ema = {"generator": self.growth.anew(ramped(0.5 ** (self.batch_size / 10_000), share=0.1))}
        for stage in range(first, last + 1):  # players of their own: Adam starts anew where layers enter
            adam = Adam(lr=config.lr * RATES.get(side_of(stage), 1.0), betas=(0.0, 0.99))
            for name, network in (("D", self.discriminator), ("G", self.generator)):
                parts = network.grown(stage, fades=stage > first)
                self.players[name + str(side_of(stage))] = Player(*parts, optimizer=adam)
        moved = {parameter for player in self.players.values() for parameter in player.parameters()}
        reason = f"no image is smaller than first_size {config.first_size}"
        self.still = {name: reason for name, value in self.named_parameters() if value not in moved}

    def step(self, batches: Batches) -> Step:
        T, config = self.augment, self.config
        stage, alpha = self.growth.at(self.iteration, self.clock)
        side = side_of(stage)
        batch = batches.batch_size * batch_size_at(side) // self.batch_size
        D = partial(self.discriminator, stage=stage, alpha=alpha)
        real = T(seen_at(reflect_to_multiple(batches.draw(batch).image, self.size), side, alpha))
        with torch.no_grad():
            fake = T(self.synthesised(self.random_styles(batch)))  # (b, c, side, side)
        # apart, not in one batch: D sees deviations within a batch
        score_real, score_fake = D(real), D(fake)
        terms = {"real": as_real(score_real), "fake": as_fake(score_fake)}
        if self.iteration % config.penalty_interval == 0:
            weight = config.penalty_interval * config.gamma / 2
            terms["penalty"] = weight * gradient_norm(D, real).square().mean()
        yield f"D{side}", terms, watch(real=score_real, fake=score_fake, **T.adapt(score_real))

        fake = T(self.synthesised(self.random_styles(batch)))
        yield f"G{side}", {"adversarial": as_real(D(fake))}

    def random_styles(self, n: int) -> Tensor:
        """(n, layers, latent_dim) as in training: some from two codes. They move the average of w."""
        G, layers = self.generator, self.styles_in_use
        w, second = G.mapping(self.latent(n)), G.mapping(self.latent(n))
        G.average.lerp_(w.detach().mean(0), 0.005)
        at = torch.randint(1, layers, (1,), device=w.device)
        at = torch.where(torch.rand(1, device=w.device) < self.config.mixing, at, layers)
        return mixed(w[:, None].expand(-1, layers, -1), second, at)

    @property
    def styles_in_use(self) -> int:
        return 2 * self.growth.at(self.iteration, self.clock)[0] + 2

    def synthesised(self, w: Tensor, noise: Sequence[Tensor] | None = None) -> Tensor:
        image: Tensor = self.generator.synthesis(w, *self.growth.at(self.iteration, self.clock), noise)
        return image

    def generate(
        self, n: int, latent: Tensor | None = None, label: Tensor | None = None, **asked: Tensor
    ) -> Tensor:
        """At the resolution reached so far, with pixels repeated up to the size of the data; `asked` are
        the rows of `streams.of_styles`."""
        G = self.generator
        noise = None
        z = self.latent(n) if latent is None else latent
        w = (asked["style"] if "style" in asked else G.mapping(z))[:, None].expand(-1, self.styles, -1)
        if "second" in asked:
            w = mixed(w, G.mapping(asked["second"]), asked["crossover"])
        if "truncation" in asked:
            w = truncated(w, G.average, asked["truncation"], TRUNCATED)
        if "noise_seed" in asked:
            noise = G.synthesis.fixed_noise(int(asked["noise_seed"][0]))
        image = self.synthesised(w, noise)
        return enlarged(image, self.size // image.shape[2])[:, :, : self.shape[1], : self.shape[2]]


def batch_size_at(side: int) -> int:
    """The release's, on one GPU."""
    return BATCH_SIZES.get(side, 32)
