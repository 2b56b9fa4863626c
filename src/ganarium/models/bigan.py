"""BiGAN: Adversarial Feature Learning (Donahue et al., 2016), https://arxiv.org/abs/1605.09782

Beside G, which makes images of codes, an encoder E gives codes of images, and D judges pairs of both: an
image with E's code of it is real, G's image with the code it was made of is fake. Where D cannot tell them
apart, E inverts G, though neither sees what the other makes, and no loss compares an image with another.

Losses, to minimise (p = sigmoid(D)):
    D       (E_x[-log p(x, E(x))] + E_z[-log(1 - p(G(z), z))]) / 2
    E, G    (E_x[-log(1 - p(x, E(x)))] + E_z[-log p(G(z), z)]) / 2

Differences from the paper:
- E and G move after D, against D as it is then; the release computes all losses before it moves all three.
- The perceptrons are those released for digits, for images of any size. `--network dcgan` follows DCGAN where
  the paper's networks for photos do, and E as well; its widths, and D's layer behind the code, are ours.
- Each kind of pair is a batch of its own for D's batch norm. Initial weights are N(0, 0.02), as in DCGAN.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ganarium.data.batches import Batches
from ganarium.errors import require_fraction, require_not_negative, require_positive
from ganarium.layers.augmentation import Augmentation, AugmentOptions
from ganarium.layers.init import init_normal
from ganarium.layers.shapes import image_shape
from ganarium.losses import as_fake, as_real
from ganarium.model import Adam, Model, Paper, Player, Prior, Step, watch
from ganarium.networks.bigan import networks

PAPER = Paper(
    title="Adversarial Feature Learning",
    authors="Donahue, Krahenbuhl, Darrell",
    year=2016,
    arxiv="1605.09782",
    idea="D judges pairs of image and code, and so an encoder learns to invert the generator.",
)


@dataclass(frozen=True, kw_only=True)
class Config(AugmentOptions):
    network: Literal["mlp", "dcgan"] = "mlp"
    """Networks: mlp, the perceptrons released for digits, or dcgan, convolutions."""
    latent_dim: int = 50
    """Numbers in z, uniform on [-1, 1] (released for digits)."""
    width: int | None = None
    """Units of a hidden layer, or channels next to the picture. None: 1024 (released), or 32 of dcgan."""
    lr: float = 2e-4
    """Learning rate of Adam (released). It stays for the first half of the training, and falls
    exponentially in the second."""
    last_lr: float = 0.01
    """The learning rate at the end, as a share of that at the beginning (released)."""
    beta1: float = 0.5
    """Adam's first momentum (released)."""
    weight_decay: float = 2.5e-5
    """Factor of the weights in their gradients, an L2 penalty (released)."""

    def __post_init__(self) -> None:
        require_positive(self, "latent_dim", "width", "lr", "last_lr")
        require_not_negative(self, "weight_decay")
        require_fraction(self, "beta1")

    @classmethod
    def small(cls) -> "Config":
        return cls(latent_dim=4, width=16)


class BiGAN(Model):
    batch_size = 128
    min_batch_size = 2  # batch norm of perceptrons
    encodes = True

    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        image = image_shape(shape, "bigan")
        self.augment = Augmentation(config.augment, "bigan", shape)
        self.prior = Prior(config.latent_dim, "uniform")
        default = 1024 if config.network == "mlp" else 32
        self.generator, self.encoder, self.discriminator = networks(
            config.network, image, config.latent_dim, config.width or default
        )
        init_normal(self)

        def lr(iteration: int, total: int) -> float:
            return float(config.lr * config.last_lr ** max(0.0, 2 * iteration / total - 1))

        adam = Adam(lr=lr, betas=(config.beta1, 0.999), weight_decay=config.weight_decay)
        self.players = {
            "D": Player(self.discriminator, optimizer=adam),
            "EG": Player(self.encoder, self.generator, optimizer=adam),
        }

    def step(self, batches: Batches) -> Step:
        D, E, G, T = self.discriminator, self.encoder, self.generator, self.augment
        x = next(batches).image  # (b, c, h, w) in [-1, 1]
        z = self.latent(len(x))
        with torch.no_grad():
            code, fake = E(x), G(z)
        score_real, score_fake = D(T(x), code), D(T(fake), z)
        terms = {"real": as_real(score_real) / 2, "fake": as_fake(score_fake) / 2}
        yield "D", terms, watch(real=score_real, fake=score_fake, **T.adapt(score_real))
        score_real, score_fake = D(T(x), E(x)), D(T(G(z)), z)
        yield "EG", {"encoder": as_fake(score_real) / 2, "generator": as_real(score_fake) / 2}

    def encoded(self, image: Tensor) -> Tensor:
        code: Tensor = self.encoder(image)
        return code
