"""Triple Generative Adversarial Nets (Li et al., 2017), https://arxiv.org/abs/1703.02291

A classifier C labels images, a generator G draws an image for a label, and a discriminator D judges nothing
but pairs of image and label. C and G both play against D, so that no network has to tell both classes and
real from fake.

Losses, to minimise (p = sigmoid(D), p_c = softmax(C), y^ its argmax; x is real, and x_g = G(y, z)):
    D    E_x,y[-log p(x, y)] + alpha E_x[-log(1 - p(x, y^))] + (1 - alpha) E_y,z[-log(1 - p(x_g, y))]
    C    E_x,y[-log p_c(y|x)] + alpha A + alpha_P E_y,z[-log p_c(y|x_g)]
             + 0.3 E_x[H(p_c(y|x))] + 0.001 (cross-entropy of E_x[p_c(y|x)] with the uniform distribution)
             + 0.0001 |W|^2, W the weights of its last layer
         A = E_x[-p_c(y^|x) log p(x, y^)], or exactly E_x[-sum_y p_c(y|x) log p(x, y)]; its gradient flows
             through p_c alone
    G    (1 - alpha) E_y,z[-log p(x_g, y)]
C learns alone at first, and from G's images late. D would learn a few labelled pairs by heart, so it takes
unlabelled images with C's labels for real as well.

Differences from the paper:
- The MNIST experiment as released, for any height and width; that on CIFAR-10, with its consistency term, is
  not built. D's noise spares the label, C's kernels are all padded, and its batch norm keeps statistics of
  reals alone.
- The two phases are cut for 10,000 steps. As released, C is alone for 30 epochs, on 500 unlabelled images at
  a time and with a first momentum of 0.9, or not at all for more than 100 labels, and alpha_P begins at 300
  epochs of 1,000.
- Released: labels for G come in equal numbers, here by chance; alpha_P weighs twice as many images; of the
  labelled pairs D takes one in a hundred for real, here one in all; for n < 100 C's batches are n and 10,000
  / n, here 100 each.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ganarium.data.batches import Batches
from ganarium.data.dataset import PartlyLabelledImages
from ganarium.errors import UserError, require_fraction, require_not_negative, require_positive
from ganarium.layers.labels import known_classes
from ganarium.layers.normalization import unrecorded
from ganarium.layers.shapes import image_shape
from ganarium.losses import as_fake, as_real
from ganarium.model import Adam, Model, Paper, Player, Prior, Step, watch
from ganarium.networks.triple_gan import Classifier, Discriminator, Generator

PAPER = Paper(
    title="Triple Generative Adversarial Nets",
    authors="Li, Xu, Zhu, Zhang",
    year=2017,
    arxiv="1703.02291",
    idea="A classifier and a conditional generator both make pairs of image and label; D judges only pairs.",
)


@dataclass(frozen=True, kw_only=True)
class Config:
    alpha: float = 0.5
    """Share of the classifier C's pairs in what D learns to refuse, the rest are G's: alpha (equation 1)."""
    adversarial: Literal["argmax", "exact"] = "argmax"
    """What D teaches C on an image: about its likeliest label (released), or about all labels in the mean."""
    num_assumed: int = 4
    """How many unlabelled images D takes for real, with C's labels, for each image of a batch (released: 4).
    0: D takes the labelled images and no others."""
    pseudo_weight: float = 0.1
    """alpha_P, the weight of G's images, with the labels they were made for, in C's loss (released)."""
    pseudo_start: int = 3000
    """Iteration from which C learns from G's images; from then on all learning rates fall by 0.5 % every 600
    iterations (released: from 300 epochs of 1,000)."""
    num_pretraining_steps: int = 1000
    """Iterations at the start in which C learns alone, at a learning rate of 3e-4 and with 0.3 as weight of
    its even use of the classes, later 0.001 (released)."""
    entropy_weight: float = 0.3
    """Weight of the entropy of C's answers on unlabelled images, by which they become certain (released)."""
    latent_dim: int = 100
    """Numbers in z, uniform on [0, 1] (released)."""
    width: int = 500
    """Units in each of G's two hidden layers (released). D's five hidden layers have 2, 1, 1/2, 1/2 and 1/2
    times as many."""
    noise: float = 1.0
    """Scale of the Gaussian noise in D. 1: released (std 0.3 on pixels in [0, 1], 0.5 between layers). At
    16x16 with narrow layers, D learns nothing through that noise: use 0."""
    classifier_width: int = 32
    """Channels of C's first convolution (released); they double twice."""
    lr: float = 1e-3
    """Learning rate of Adam (released)."""
    beta1: float = 0.5
    """Adam's first momentum (released)."""

    def __post_init__(self) -> None:
        require_positive(self, "latent_dim", "classifier_width", "lr")
        require_fraction(self, "beta1")
        require_not_negative(self, "num_assumed", "pseudo_weight", "pseudo_start", "num_pretraining_steps")
        require_not_negative(self, "entropy_weight", "noise")
        if not 0 <= self.alpha <= 1:
            raise UserError(f"alpha must be from 0 to 1, not {self.alpha}.")
        if self.width < 2:
            raise UserError(f"width must be at least 2, not {self.width}.")

    @classmethod
    def small(cls) -> "Config":
        return cls(width=8, classifier_width=4, num_pretraining_steps=0, pseudo_start=3)


class TripleGAN(Model):
    batch_type = PartlyLabelledImages
    batch_size = 100
    conditional = True
    classifies = True

    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        image = image_shape(shape, "triple_gan")
        K = known_classes(num_classes, "triple_gan")
        self.prior = Prior(config.latent_dim, "uniform", low=0.0, high=1.0)
        self.classifier = Classifier(image[0], config.classifier_width, K)
        self.discriminator = Discriminator(image, config.width, K, config.noise)
        self.generator = Generator(image, config.latent_dim, config.width, K)
        self.ema = {"classifier": 0.99}  # released
        self.stages = (config.num_pretraining_steps, config.pseudo_start)

        def rate(iteration: int, total: int) -> float:
            if iteration < config.num_pretraining_steps:
                return 3e-4
            return config.lr * 0.995 ** (max(0, iteration - config.pseudo_start) // 600)

        adam = Adam(lr=rate, betas=(config.beta1, 0.999))
        self.players = {
            "D": Player(self.discriminator, optimizer=adam),
            "C": Player(self.classifier, optimizer=adam),
            "G": Player(self.generator, optimizer=adam),
        }

    def step(self, batches: Batches) -> Step:
        C, D, G, config = self.classifier, self.discriminator, self.generate, self.config
        alpha = config.alpha
        image, label, unlabelled = next(batches)  # (b, c, h, w) in [-1, 1], (b,), (b, c, h, w)
        n = len(image)
        if self.iteration < config.num_pretraining_steps:
            yield "C", self.own_terms(image, label, C(unlabelled).log_softmax(1), 0.3)
            return
        with torch.no_grad():
            real, label_real = self.real_pairs(batches, image, label)
            label_c = C(unlabelled).argmax(1)
            label_g = self.random_labels(2 * n)  # released: 200 of G beside 100
            fake = G(2 * n, label=label_g)
        score_real, score_c, score_g = D(real, label_real), D(unlabelled, label_c), D(fake, label_g)
        terms = {"real": as_real(score_real), "classifier": alpha * as_fake(score_c)}
        terms["fake"] = (1 - alpha) * as_fake(score_g)
        yield "D", terms, watch(real=score_real, fake=score_g)
        log_p = C(unlabelled).log_softmax(1)
        terms = self.own_terms(image, label, log_p, 1e-3)
        terms["adversarial"] = alpha * self.doubt(unlabelled, log_p)
        if self.iteration >= config.pseudo_start:
            label_g = self.random_labels(n)
            with unrecorded(C):
                logits = C(G(n, label=label_g).detach())
            terms["pseudo"] = config.pseudo_weight * F.cross_entropy(logits, label_g)
        yield "C", terms
        label_g = self.random_labels(2 * n)
        yield "G", {"adversarial": (1 - alpha) * as_real(D(G(2 * n, label=label_g), label_g))}

    def real_pairs(self, batches: Batches, image: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """Images and labels that D is to take for real."""
        if not self.config.num_assumed:
            return image, label
        labelled, label, unlabelled = batches.draw(self.config.num_assumed * len(image))
        assumed = self.classifier(unlabelled).argmax(1)
        return torch.cat([labelled[:1], unlabelled]), torch.cat([label[:1], assumed])

    def own_terms(self, image: Tensor, label: Tensor, log_p: Tensor, balance: float) -> dict[str, Tensor]:
        """What C learns without D and G; `log_p` (b, K) is what it says of unlabelled images."""
        # -log E_x[p_c], on the average of the classes
        uneven = math.log(len(log_p)) - log_p.logsumexp(0).mean()
        entropy = -(log_p.exp() * log_p).sum(1).mean()
        return {
            "entropy": self.config.entropy_weight * entropy,
            "balance": balance * uneven,
            "decay": 1e-4 * self.classifier.last.weight.square().sum(),  # released
            "labelled": F.cross_entropy(self.classifier(image), label),
        }

    def doubt(self, image: Tensor, log_p: Tensor) -> Tensor:
        """A: how little D believes C, as a function of p_c alone."""
        labels = log_p.argmax(1, keepdim=True)  # (b, 1), or (b, K)
        if self.config.adversarial == "exact":
            labels = torch.arange(self.num_labels, device=self.device).expand_as(log_p)
        images = image.repeat_interleave(labels.shape[1], 0)
        with torch.no_grad():
            score = self.discriminator(images, labels.flatten()).view_as(labels)
        return (log_p.gather(1, labels).exp() * F.softplus(-score)).sum(1).mean()

    def class_logits(self, image: Tensor) -> Tensor:
        return self.classifier(image)

    def generate(self, n: int, latent: Tensor | None = None, label: Tensor | None = None) -> Tensor:
        label = self.random_labels(n) if label is None else label  # labels are drawn before z
        return super().generate(n, latent, label)
