"""CoGAN: Coupled Generative Adversarial Networks (Liu and Tuzel, 2016), https://arxiv.org/abs/1606.07536

Two GANs, of two kinds of images without pairs. Their generators get the same z and share all layers but the
last, their discriminators share all but the first. What is decided early, such as which digit it is, is then
decided for both, and each z makes a pair that nobody has shown the model.

Losses, to minimise (p = sigmoid(D), means over both domains):
    D    E[-log p(x)] + E[-log(1 - p(G(z)))]
    G    E[-log p(G(z))]
With `--adapt` D also learns the labels of the first domain, and to see the same in both images of a pair:
    D    + 10 E[-log P(y | x_a)] + 0.01 E[|f(G_a(z)) - f(G_b(z))|^2], f being what D's last layers read
and classifies the second domain, whose labels are never told.

Differences from the paper:
- As released: one mean over both domains, half of the paper's sum; no activation behind D's first two
  convolutions; batch norm without gain and shift; the difference of D's two logits is its score.
- Images of any size: the middle of what G makes is taken, and for D small ones are padded with black.
- `translate` looks for the z of an image by its pixels; the release has no such program.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium.data.batches import Batches
from ganarium.data.dataset import SourceTargetImages, UnpairedImages
from ganarium.errors import require_not_negative, require_positive
from ganarium.layers.augmentation import Augmentation, AugmentOptions
from ganarium.layers.labels import known_classes
from ganarium.layers.shapes import image_shape
from ganarium.losses import as_fake, as_real
from ganarium.model import Adam, Model, Paper, Player, Prior, Step, watch
from ganarium.networks.cogan import Discriminator, Generator
from ganarium.projection import search

PAPER = Paper(
    title="Coupled Generative Adversarial Networks",
    authors="Liu, Tuzel",
    year=2016,
    arxiv="1606.07536",
    idea="Two GANs that share layers make pairs of images of two kinds, learned without a single pair.",
)
CANDIDATES = 512  # random codes that `translate` begins with


@dataclass(frozen=True, kw_only=True)
class Config(AugmentOptions):
    adapt: bool = False
    """Learn to classify the second domain from the labels of the first (section 4.2), with data such as
    mnist+usps."""
    share: bool = True
    """Share layers; without, two GANs of one z, whose images have nothing to do with each other."""
    latent_dim: int = 100
    """Numbers in z, normal (released)."""
    width: int = 128
    """Channels of G's last shared layer; the layers before have 2, 4 and 8 times as many (released)."""
    discriminator_width: int = 20
    """Channels of D's first layer; the next two have 2.5 and 25 times as many (released)."""
    class_weight: float = 10.0
    """Weight of the cross-entropy of labels, with --adapt (released)."""
    feature_weight: float = 0.01
    """Weight of the distance of the features of a pair, with --adapt (released)."""
    search_steps: int = 100
    """Updates by which `translate` improves each of eight codes of an image (ours)."""
    lr: float = 2e-4
    """Learning rate of Adam (released)."""
    beta1: float = 0.5
    """Adam's first momentum (released)."""
    weight_decay: float = 5e-4
    """Factor of the weights in their gradients, an L2 penalty (released)."""

    def __post_init__(self) -> None:
        require_positive(self, "latent_dim", "width", "discriminator_width", "search_steps", "lr")
        require_not_negative(self, "class_weight", "feature_weight", "beta1", "weight_decay")

    @classmethod
    def small(cls) -> "Config":
        return cls(latent_dim=6, width=4, discriminator_width=2, search_steps=3)


class CoGAN(Model):
    directions = ("a2b", "b2a")
    domains = ("a", "b")
    prior: Prior

    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        image = image_shape(shape, "cogan")
        self.augment = Augmentation(config.augment, "cogan", shape)
        self.batch_type = SourceTargetImages if config.adapt else UnpairedImages
        self.classifies = config.adapt
        classes = known_classes(num_classes, "cogan --adapt") if config.adapt else None
        self.prior = Prior(config.latent_dim)
        channels = [config.width * times for times in (8, 4, 2, 1)]
        first = config.discriminator_width
        self.generator = Generator(image, config.latent_dim, channels, shared=config.share)
        self.discriminator = Discriminator(
            image, (first, first * 5 // 2, first * 25), classes, shared=config.share
        )
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.xavier_uniform_(layer.weight)
                assert layer.bias is not None
                nn.init.zeros_(layer.bias)
        adam = Adam(lr=config.lr, betas=(config.beta1, 0.999), weight_decay=config.weight_decay)
        self.players = {
            "D": Player(self.discriminator, optimizer=adam),
            "G": Player(self.generator, optimizer=adam),
        }

    def step(self, batches: Batches) -> Step:
        D, G, T, config = self.discriminator, self.generator, self.augment, self.config
        batch = next(batches)
        a, b = (batch.source, batch.target) if config.adapt else batch  # (b, c, h, w) in [-1, 1], no pairs
        with torch.no_grad():
            fake_a, fake_b = G(self.codes(len(a)))
        score_real, score_fake = D(T(a), T(b)), D(T(fake_a), T(fake_b))
        terms = {"real": as_real(score_real), "fake": as_fake(score_fake)}
        if config.adapt:
            logits = D.class_logits(D.features(a, 0))
            distance = (D.features(fake_a, 0) - D.features(fake_b, 1)).square().flatten(1).sum(1)
            terms["class"] = config.class_weight * F.cross_entropy(logits, batch.label)
            terms["features"] = config.feature_weight * distance.mean()
        yield "D", terms, watch(real=score_real, fake=score_fake, **T.adapt(score_real))
        fake_a, fake_b = G(self.codes(len(a)))
        yield "G", {"adversarial": as_real(D(T(fake_a), T(fake_b)))}

    def codes(self, n: int) -> Tensor:
        """(n, latent_dim) from the prior."""
        return self.prior.draw(n, self.device, self.dtype)

    def latent(self, n: int) -> Tensor:
        """Codes of `n` samples, each twice: the first sample of a pair is of domain a, the second of b."""
        return self.codes(n)[torch.arange(n, device=self.device) // 2 * 2]

    def generate(self, n: int, latent: Tensor | None = None, label: Tensor | None = None) -> Tensor:
        """The domains take turns: a, b, a, b ..."""
        a, b = self.generator(self.latent(n) if latent is None else latent)
        turn = torch.arange(n, device=self.device).view(-1, 1, 1, 1) % 2
        return torch.where(turn == 0, a, b)

    def mapped(self, image: Tensor, direction: str) -> Tensor:
        """What the code that is found for an image makes in the other domain."""
        start = self.directions.index(direction)
        fitted = F.interpolate(image, self.shape[1:], mode="bilinear", antialias=True)
        projection = search(
            lambda code, label: self.generator(code)[start],
            fitted,
            self.codes(CANDIDATES),
            starts=8,
            steps=self.config.search_steps,
        )
        made: Tensor = self.generator(projection.code)[1 - start]
        return F.interpolate(made, image.shape[2:], mode="bilinear", antialias=True)

    def class_logits(self, image: Tensor) -> Tensor:
        """By the second domain's own first layer: of the domain whose labels are not told."""
        return self.discriminator.class_logits(self.discriminator.features(image, 1))
