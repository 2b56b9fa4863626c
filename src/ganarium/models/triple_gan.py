"""Triple Generative Adversarial Nets (Li et al., 2017), https://arxiv.org/abs/1703.02291

A classifier C labels images, a generator G draws an image for a label, and a discriminator D judges nothing but pairs
of image and label. C and G both play against D, so that no network has to tell both classes and real from fake.

Losses, to minimise (p = sigmoid(D), p_c = softmax(C), y^ its argmax; x is real, and x_g = G(y, z)):
    D    E_x,y[-log p(x, y)] + alpha E_x[-log(1 - p(x, y^))] + (1 - alpha) E_y,z[-log(1 - p(x_g, y))]
    C    E_x,y[-log p_c(y|x)] + alpha A + alpha_P E_y,z[-log p_c(y|x_g)]
             + 0.3 E_x[H(p_c(y|x))] + 0.001 (cross-entropy of E_x[p_c(y|x)] with the uniform distribution)
             + 0.0001 |W|^2, W the weights of its last layer
         A = E_x[-p_c(y^|x) log p(x, y^)], or exactly E_x[-sum_y p_c(y|x) log p(x, y)]; gradient through p_c alone
    G    (1 - alpha) E_y,z[-log p(x_g, y)]
C learns alone at first, and from G's images late. D would learn a few labelled pairs by heart, so it takes unlabelled
images with C's labels for real as well.

Differences from the paper:
- The MNIST experiment as released, for any height and width; that on CIFAR-10, with its consistency term, is not built.
  D's noise spares the label, C's kernels are all padded, and its batch norm keeps statistics of reals alone.
- The two phases are cut for 10,000 steps. As released, C is alone for 30 epochs, on 500 unlabelled images at a time and
  with a first momentum of 0.9, or not at all for more than 100 labels, and alpha_P begins at 300 epochs of 1,000.
- Released: labels for G come in equal numbers, here by chance; alpha_P weighs twice as many images; of the labelled
  pairs D takes one in a hundred for real, here one in all; for n < 100 C's batches are n and 10,000 / n, here 100 each.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ganarium.data.batches import Batches
from ganarium.data.dataset import PartlyLabelledImages
from ganarium.errors import UserError, require_positive
from ganarium.layers.labels import asked_labels, known_classes
from ganarium.layers.normalization import unrecorded
from ganarium.layers.shapes import image_shape
from ganarium.losses import as_fake, as_real
from ganarium.model import Adam, Model, Paper, Player, Step, watch
from ganarium.networks.triple_gan import Classifier, Discriminator, Generator

PAPER = Paper(
    title="Triple Generative Adversarial Nets",
    authors="Li, Xu, Zhu, Zhang",
    year=2017,
    arxiv="1703.02291",
    idea="A classifier and a conditional generator both make pairs of image and label, and D judges only the pairs.",
)


@dataclass(frozen=True, kw_only=True)
class Config:
    alpha: float = 0.5
    """C's share of the pairs that D is to refuse; the rest is G's (paper)."""
    adversarial: Literal["argmax", "exact"] = "argmax"
    """A, what C learns from D: about its likeliest label (released), or about all labels."""
    num_assumed: int = 4
    """Unlabelled pairs that D takes for real, per image of a batch (released: 4). 0: the labelled and no others."""
    pseudo_weight: float = 0.1
    """alpha_P, the weight of G's images in C's loss (released)."""
    pseudo_start: int = 3000
    """Iteration at which alpha_P begins; from it on, all learning rates fall by 0.5 % every 600 (released)."""
    num_pretraining_steps: int = 1000
    """Iterations at the start in which C learns alone, at a rate of 3e-4, and with 0.3 for 0.001 (released)."""
    entropy_weight: float = 0.3
    """Weight of the entropy of C's answers (released)."""
    latent_dim: int = 100
    """Numbers in z, uniform on [0, 1] (released)."""
    width: int = 500
    """Units in G's two hidden layers (released); in D's five it is twice that, once, and three times half."""
    noise: float = 1.0
    """Times the released noise in D, 0.3 on pixels in [0, 1] and 0.5 between layers, behind which it sees no fakes for
    long where images are small and layers narrow. 0 for 16x16 and width 256."""
    classifier_width: int = 32
    """Channels of C's first convolution (released); they double twice."""
    lr: float = 1e-3
    """Learning rate of Adam (released)."""
    beta1: float = 0.5
    """Adam's first momentum (released)."""

    def __post_init__(self) -> None:
        require_positive(self, "latent_dim", "classifier_width", "lr")
        if not (0 <= self.alpha <= 1 and 0 <= self.beta1 < 1 and self.width >= 2 and self.noise >= 0):
            raise UserError("alpha must be from 0 to 1, beta1 from 0 to below 1, width at least 2, noise at least 0.")
        for name in ("num_assumed", "pseudo_weight", "pseudo_start", "num_pretraining_steps", "entropy_weight"):
            if getattr(self, name) < 0:
                raise UserError(f"{name} must be at least 0, not {getattr(self, name)}.")


class TripleGAN(Model):
    batch_type, batch_size, classifies = PartlyLabelledImages, 100, True

    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        image, self.K = image_shape(shape, "triple_gan"), known_classes(num_classes, "triple_gan")
        self.classifier = Classifier(image[0], config.classifier_width, self.K)
        self.discriminator = Discriminator(image, config.width, self.K, config.noise)
        self.generator = Generator(image, config.latent_dim, config.width, self.K)
        self.ema = {"classifier": 0.99}  # released
        alone, late = self.stages = config.num_pretraining_steps, config.pseudo_start

        def rate(iteration: int, total: int) -> float:
            return 3e-4 if iteration < alone else config.lr * 0.995 ** (max(0, iteration - late) // 600)

        adam = Adam(lr=rate, betas=(config.beta1, 0.999))
        self.players["D"] = Player(self.discriminator, optimizer=adam)
        self.players["C"] = Player(self.classifier, optimizer=adam)
        self.players["G"] = Player(self.generator, optimizer=adam)

    def step(self, batches: Batches) -> Step:
        C, D, G, config, alpha = self.classifier, self.discriminator, self.generate, self.config, self.config.alpha
        image, label, unlabelled = next(batches)  # (b, c, h, w) in [-1, 1], (b,), (b, c, h, w)
        n = len(image)
        if self.iteration < config.num_pretraining_steps:
            yield "C", self.own_terms(image, label, C(unlabelled).log_softmax(1), 0.3)
            return
        with torch.no_grad():
            real, label_real = self.real_pairs(batches, image, label)
            label_c, label_g = C(unlabelled).argmax(1), self.labels(2 * n)  # released: 200 of G beside 100
            fake = G(2 * n, label=label_g)
        score_real, score_c, score_g = D(real, label_real), D(unlabelled, label_c), D(fake, label_g)
        terms = {"real": as_real(score_real), "classifier": alpha * as_fake(score_c)}
        yield "D", terms | {"fake": (1 - alpha) * as_fake(score_g)}, watch(real=score_real, fake=score_g)
        log_p = C(unlabelled).log_softmax(1)
        terms = self.own_terms(image, label, log_p, 1e-3) | {"adversarial": alpha * self.doubt(unlabelled, log_p)}
        if self.iteration >= config.pseudo_start:
            label_g = self.labels(n)
            with unrecorded(C):
                terms["pseudo"] = config.pseudo_weight * F.cross_entropy(C(G(n, label=label_g).detach()), label_g)
        yield "C", terms
        label_g = self.labels(2 * n)
        yield "G", {"adversarial": (1 - alpha) * as_real(D(G(2 * n, label=label_g), label_g))}

    def real_pairs(self, batches: Batches, image: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """Images and labels that D is to take for real."""
        if not self.config.num_assumed:
            return image, label
        labelled, label, unlabelled = batches.draw(self.config.num_assumed * len(image))
        return torch.cat([labelled[:1], unlabelled]), torch.cat([label[:1], self.classifier(unlabelled).argmax(1)])

    def own_terms(self, image: Tensor, label: Tensor, log_p: Tensor, balance: float) -> dict[str, Tensor]:
        """What C learns without D and G; `log_p` (b, K) is what it says of unlabelled images."""
        uneven = math.log(len(log_p)) - log_p.logsumexp(0).mean()  # -log E_x[p_c], on the average of the classes
        entropy = -(log_p.exp() * log_p).sum(1).mean()
        terms = {"entropy": self.config.entropy_weight * entropy, "balance": balance * uneven}
        terms["decay"] = 1e-4 * self.classifier.last.weight.square().sum()  # released
        return terms | {"labelled": F.cross_entropy(self.classifier(image), label)}

    def doubt(self, image: Tensor, log_p: Tensor) -> Tensor:
        """A: how little D believes C, as a function of p_c alone."""
        labels = log_p.argmax(1, keepdim=True)  # (b, 1), or (b, K)
        if self.config.adversarial == "exact":
            labels = torch.arange(self.K, device=self.device).expand_as(log_p)
        with torch.no_grad():
            score = self.discriminator(image.repeat_interleave(labels.shape[1], 0), labels.flatten()).view_as(labels)
        return (log_p.gather(1, labels).exp() * F.softplus(-score)).sum(1).mean()

    def class_logits(self, image: Tensor) -> Tensor:
        return self.classifier(image)

    def labels(self, n: int) -> Tensor:  # (n,)
        return torch.randint(self.K, (n,), device=self.device)

    def latent(self, n: int) -> Tensor:
        """z (n, latent_dim), uniform on [0, 1]."""
        return torch.rand(n, self.config.latent_dim, device=self.device, dtype=self.dtype)

    def generate(self, n: int, latent: Tensor | None = None, label: Tensor | None = None) -> Tensor:
        label = self.labels(n) if label is None else label
        return self.generator(self.latent(n) if latent is None else latent, label)

    def conditions(self, n: int, label: Any = None, **given: Any) -> dict[str, Tensor]:
        """`label` is a class for all samples, or (n,) one for each; left away: any."""
        asked = {} if label is None else {"label": asked_labels(label, n, self.K, self.device)}
        return super().conditions(n, **given) | asked
