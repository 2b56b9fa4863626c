"""PixelDA: Unsupervised Pixel-Level Domain Adaptation with Generative Adversarial Networks (Bousmalis et al.,
2016), https://arxiv.org/abs/1612.05424

G repaints images of a source in the look of a target, and D tells the result from images of the target. A
classifier T learns from source images and from repainted ones, whose labels are known, and so knows the
target, whose labels are not. T's errors also reach G, so that what is repainted stays what it was.

Losses, to minimise (x_s, y_s source, x_t target, x_f = G(x_s, z); p = sigmoid(D)):
    L_t     E[-log T(y_s | x_f)] + E[-log T(y_s | x_s)]
    D, T    0.1356 (E[-log p(x_t)] + E[-log(1 - p(x_f))]) + L_t
    G       0.0113 E[-log p(x_f)] + 0.0101 L_t + similarity_weight L_c
L_c, off by default, is the pairwise mean squared error of x_s and x_f in the foreground: it lets all of it
become brighter, and holds differences within it.

Differences from the paper:
- The published foreground is a mask of depth; here it is what is brighter than black.
- T has 32, 48, 96 and 96 channels, near those of the release; its pooling and D's layers suit any size.
- The number of blocks, dropout and noise in D are as commonly given; we could not check them.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ganarium.data.batches import Batches
from ganarium.data.dataset import SourceTargetImages
from ganarium.errors import require_fraction, require_not_negative, require_positive
from ganarium.layers.init import init_normal
from ganarium.layers.labels import known_classes
from ganarium.layers.shapes import image_shape
from ganarium.losses import as_fake, as_real
from ganarium.model import Adam, Model, Paper, Player, Step, watch
from ganarium.networks.pixelda import Classifier, Discriminator, Generator

PAPER = Paper(
    title="Unsupervised Pixel-Level Domain Adaptation with Generative Adversarial Networks",
    authors="Bousmalis, Silberman, Dohan, Erhan, Krishnan",
    year=2016,
    arxiv="1612.05424",
    idea="Labelled images are repainted in the look of another domain, and a classifier learns from them.",
)
BLACK = -0.9  # what is darker is background


@dataclass(frozen=True, kw_only=True)
class Config:
    noise_dim: int = 10
    """Numbers of noise that G reads beside an image, uniform on [-1, 1] (released)."""
    width: int = 64
    """Channels of G's blocks and of D's first layer (released)."""
    num_blocks: int = 6
    """Residual blocks of G."""
    classifier_width: int = 32
    """Channels of the first layer of the classifier T (released)."""
    domain_weight: float = 0.1356
    """Weight of D's cross-entropy, beside T's errors of weight 1 (released, MNIST to MNIST-M)."""
    style_weight: float = 0.0113
    """Weight of D's verdict in the loss of G (released). 0: nothing of the target is learned."""
    task_weight: float = 0.0101
    """Weight of the errors of the classifier T in the loss of G (released)."""
    similarity_weight: float = 0.0
    """Weight in the loss of G of L_c, by which objects on black stay alike when repainted (section 3.2)."""
    dropout: float = 0.1
    """Share of zeros before each layer of D."""
    noise: float = 0.2
    """Standard deviation of Gaussian noise before each layer of D."""
    lr: float = 1e-3
    """Learning rate of Adam (released); it is 0.95 times as large after every 20,000 steps."""
    beta1: float = 0.5
    """Adam's first momentum (released)."""
    weight_decay: float = 1e-5
    """Factor of the weights in their gradients, an L2 penalty."""

    def __post_init__(self) -> None:
        require_positive(self, "noise_dim", "width", "num_blocks", "classifier_width", "domain_weight", "lr")
        require_not_negative(
            self, "style_weight", "task_weight", "similarity_weight", "noise", "weight_decay"
        )
        require_fraction(self, "dropout", "beta1")

    @classmethod
    def small(cls) -> "Config":
        return cls(noise_dim=3, width=4, num_blocks=1, classifier_width=4)


class PixelDA(Model):
    batch_type = SourceTargetImages
    batch_size = 32
    min_batch_size = 2
    directions = ("a2b",)
    classifies = True
    z: Tensor  # (1, noise_dim), the noise of all that `translate` repaints

    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        image = image_shape(shape, "pixelda")
        classes = known_classes(num_classes, "pixelda")
        self.generator = Generator(image, config.noise_dim, config.width, config.num_blocks)
        self.discriminator = Discriminator(image, config.width, config.dropout, config.noise)
        self.classifier = Classifier(image, classes, config.classifier_width)
        for network in (self.generator, self.discriminator):
            init_normal(network)
        self.register_buffer("z", torch.empty(1, config.noise_dim).uniform_(-1, 1))

        def lr(iteration: int, total: int) -> float:
            return float(config.lr * 0.95 ** (iteration // 20_000))

        adam = Adam(lr=lr, betas=(config.beta1, 0.999), weight_decay=config.weight_decay)
        self.players = {
            "DT": Player(self.discriminator, self.classifier, optimizer=adam),
            "G": Player(self.generator, optimizer=adam),
        }

    def step(self, batches: Batches) -> Step:
        D, config = self.discriminator, self.config
        x_s, y_s, x_t = next(batches)  # (b, c, h, w) in [-1, 1]; (b,); as x_s
        with torch.no_grad():
            x_f = self.adapted(x_s)
        score_real, score_fake = D(x_t), D(x_f)
        terms = {
            "real": config.domain_weight * as_real(score_real),
            "fake": config.domain_weight * as_fake(score_fake),
            "task": self.task_loss(x_f, x_s, y_s),
        }
        yield "DT", terms, watch(real=score_real, fake=score_fake)
        x_f = self.adapted(x_s)
        terms = {
            "style": config.style_weight * as_real(D(x_f)),
            "task": config.task_weight * self.task_loss(x_f, x_s, y_s),
        }
        if config.similarity_weight > 0:
            foreground = (x_s.amax(1, keepdim=True) > BLACK).to(x_s.dtype)
            terms["similarity"] = config.similarity_weight * pairwise_error(x_s, x_f, foreground)
        yield "G", terms

    def adapted(self, x: Tensor) -> Tensor:
        """Source images (b, c, h, w) in the look of the target, by noise that is drawn."""
        z = torch.empty(len(x), self.config.noise_dim, device=x.device, dtype=x.dtype).uniform_(-1, 1)
        return self.generator(x, z)

    def task_loss(self, x_f: Tensor, x_s: Tensor, y_s: Tensor) -> Tensor:
        """T's cross-entropy on adapted images and on those of the source."""
        T = self.classifier
        return F.cross_entropy(T(x_f), y_s) + F.cross_entropy(T(x_s, "source"), y_s)

    def mapped(self, image: Tensor, direction: str) -> Tensor:
        repainted: Tensor = self.generator(image, self.z.to(image.dtype).expand(len(image), -1))
        return repainted

    def class_logits(self, image: Tensor) -> Tensor:
        """Of images of the target."""
        return self.classifier(image)


def pairwise_error(a: Tensor, b: Tensor, mask: Tensor) -> Tensor:
    """How much the difference d of images (b, c, h, w) varies in a mask m (b, 1, h, w), mean over the batch.

    Over all k numbers of an image: |d m|^2 / k - (d . m)^2 / k^2 (equation 6).
    """
    d = ((a - b) * mask).flatten(1)
    return (d.square().mean(1) - d.mean(1).square()).mean()
