"""Learning to Discover Cross-Domain Relations with Generative Adversarial Networks (Kim et al., 2017),
https://arxiv.org/abs/1703.05192

Two generators translate between two domains without pairs, and each must give back what the other was given,
so that the two domains are matched one to one. Beside CycleGAN, which came in the same month: reconstruction
by squares and without a weight, the log loss, and one score for a whole image.

Losses, to minimise (G: A to B, F: B to A; p = sigmoid(D); images in [0, 1]):
    D    E[-log p_b(b)] + E[-log(1 - p_b(G(a)))] + E[-log p_a(a)] + E[-log(1 - p_a(F(b)))]
    G    E[-log p_b(G(a))] + E[(F(G(a)) - a)^2] + E[-log p_a(F(b))] + E[(G(F(b)) - b)^2]
The form "released", which the paper does not tell, with r = 0.01 in the first 10,000 iterations
(num_curriculum_steps) and 0.5 later:
    D    half of the above, in every third iteration
    G    in the others (1 - r) (0.1 E[-log p] + 0.9 FM) + r E[squares], in each direction; FM is the sum, over
         D's second and later blocks, of the mean squared difference between the batch means of reals and
         fakes

Differences from the paper:
- Four layers each way at 64 pixels, as released, and as many as lead to four pixels at other sizes.
- Weight decay 1e-5 and batches of 64 are the released code's.
- For 2-D points, the paper's toy, G has three linear layers and D five, of 128 units each.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from ganarium.data.batches import Batches
from ganarium.data.dataset import UnpairedImages
from ganarium.errors import UserError, require_not_negative, require_positive
from ganarium.layers.init import init_normal
from ganarium.layers.shapes import halvings, image_shape
from ganarium.layers.upsampling import Upsampling
from ganarium.losses import as_fake, as_real
from ganarium.model import Adam, Model, Paper, Player, Step, watch
from ganarium.networks.discogan import Discriminator, Generator
from ganarium.networks.mlp import MLP

PAPER = Paper(
    title="Learning to Discover Cross-Domain Relations with Generative Adversarial Networks",
    authors="Kim, Cha, Kim, Lee, Kim",
    year=2017,
    arxiv="1703.05192",
    idea="Translate both ways without pairs: reconstruction in both domains matches them one to one.",
)


@dataclass(frozen=True, kw_only=True)
class Config:
    form: Literal["paper", "released"] = "paper"
    """The paper's losses, or the released code's, with feature matching and a curriculum. Where all
    translations look alike, the released form helps: against the log loss its reconstruction weighs ten times
    the paper's once the curriculum is over."""
    num_curriculum_steps: int = 10_000
    """First iterations of the released form, in which reconstruction hardly counts (released). Fewer or
    none for short runs."""
    width: int = 64
    """Channels of the first layer (released), doubled with every layer; units of a layer for points."""
    extra_layers: bool = False
    """Two more layers in the middle of G, through a code of 100 channels (released as an option)."""
    upsampling: Upsampling = "transposed"
    """How G enlarges: by transposed convolutions (paper), or resize and convolve, which leaves no
    checkerboards."""
    lr: float = 2e-4
    """Learning rate of Adam (released)."""
    beta1: float = 0.5
    """Adam's first momentum (released)."""
    weight_decay: float = 1e-5
    """L2 penalty on every parameter (released)."""

    def __post_init__(self) -> None:
        require_positive(self, "width", "lr")
        require_not_negative(self, "num_curriculum_steps")
        if not 0 <= self.beta1 < 1 or self.weight_decay < 0:
            raise UserError("beta1 must be from 0 to below 1, weight_decay at least 0.")

    @classmethod
    def for_points(cls) -> "Config":
        return cls(width=128, lr=5e-4, weight_decay=0.0)

    @classmethod
    def small(cls) -> "Config":
        return cls(width=4)


class DiscoGAN(Model):
    batch_type = UnpairedImages
    directions = ("a2b", "b2a")

    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        self.a2b, self.b2a, self.D_a, self.D_b = networks(config, self.shape)
        self.min_batch_size = 2 if config.extra_layers else 1  # batch norm of a code of 1x1
        self.reach = self.a2b.reach if isinstance(self.a2b, Generator) else None
        adam = Adam(lr=config.lr, betas=(config.beta1, 0.999), weight_decay=config.weight_decay)
        self.players = {
            "D": Player(self.D_a, self.D_b, optimizer=adam),
            "G": Player(self.a2b, self.b2a, optimizer=adam),
        }

    def step(self, batches: Batches) -> Step:
        G, F, D_a, D_b = self.a2b, self.b2a, self.D_a, self.D_b
        a, b = map(self.as_seen, next(batches))  # (b, c, h, w) in [0, 1], or (b, 2), each from its own domain
        fake_b, fake_a = G(a), F(b)
        released = self.config.form == "released"

        if not released or self.iteration % 3 == 0:
            real_a, real_b, score_a, score_b = D_a(a), D_b(b), D_a(fake_a.detach()), D_b(fake_b.detach())
            half = 0.5 if released else 1.0
            terms = {
                "a": half * (as_real(real_a) + as_fake(score_a)),
                "b": half * (as_real(real_b) + as_fake(score_b)),
            }
            yield "D", terms, watch(real_a=real_a, fake_a=score_a, real_b=real_b, fake_b=score_b)

        if not released or self.iteration % 3 > 0:
            early = self.iteration < self.config.num_curriculum_steps
            r = (0.01 if early else 0.5) if released else 1.0
            adversarial = as_real(D_a(fake_a)) + as_real(D_b(fake_b))
            rebuilt = (F(fake_b) - a).square().mean() + (G(fake_a) - b).square().mean()
            terms = {"adversarial": adversarial, "reconstruction": r * rebuilt}
            if released:
                matching = feature_distance(D_a, a, fake_a) + feature_distance(D_b, b, fake_b)
                terms["adversarial"] = (1 - r) * 0.1 * adversarial
                terms["features"] = (1 - r) * 0.9 * matching
            yield "G", terms

    def as_seen(self, image: Tensor) -> Tensor:
        """What the networks see: images in [0, 1], points as they are."""
        return (image + 1) / 2 if len(self.shape) == 3 else image

    def mapped(self, image: Tensor, direction: str) -> Tensor:
        made: Tensor = {"a2b": self.a2b, "b2a": self.b2a}[direction](self.as_seen(image))
        return 2 * made - 1 if len(self.shape) == 3 else made


def networks(config: Config, shape: tuple[int, ...]) -> list[nn.Module]:
    """G, F, D_a and D_b."""
    if len(shape) == 1:
        if config.extra_layers or config.form == "released" or config.upsampling != "transposed":
            raise UserError(
                "extra_layers, upsampling and the released form are for images: leave them away for points."
            )
        hidden = [config.width] * 2
        generators: list[nn.Module] = [MLP(2, hidden, shape) for _ in range(2)]
        return generators + [MLP(2, hidden * 2, ()) for _ in range(2)]
    image = image_shape(shape, "discogan")
    levels = halvings(*image[1:])
    if config.extra_layers and min(image[1:]) < 4 * 2**levels:
        raise UserError(
            f"extra_layers needs images that can be halved {levels} times to 4 pixels: leave it away."
        )
    made: list[nn.Module] = []
    for _ in range(2):
        code = 100 if config.extra_layers else None
        made.append(Generator(image[0], config.width, levels, code, config.upsampling))
    for _ in range(2):
        made.append(Discriminator(image, config.width, levels))
    for network in made:
        init_normal(network)
    return made


def feature_distance(D: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """FM: the sum over D's feature maps of the mean squared difference of batch means."""
    pairs = zip(D.features(real), D.features(fake), strict=True)  # type: ignore[operator]
    return torch.stack([(x.mean(0) - y.mean(0)).square().mean() for x, y in pairs]).sum()
