"""AAE: Adversarial Autoencoders (Makhzani et al., 2015), https://arxiv.org/abs/1511.05644

An autoencoder whose codes, taken over all images, follow a prior that one chooses: a discriminator D tells
codes from draws of the prior, and the encoder learns to make them alike. So any draw can be decoded.

Losses, to minimise, in phases on every minibatch (p = sigmoid(D); z is drawn from the prior):
    AE     E[(x - decoder(encoder(x)))^2], pixels in [0, 1]
    D      E[-log p(z)] + E[-log(1 - p(encoder(x)))]
    E      E[-log p(encoder(x))], which moves the encoder alone
    C      E[-log P(y | x)] of the labelled, if semi-supervised
Labels in the prior: D also reads the class of a code, or the part of the prior that z is from, or "unknown".
Categories: the encoder gives a softmax over K of them as well, which a second D holds to one-hot draws.
Cluster heads: the decoder reads z + W y; AE has also the sum over pairs of max(0, distance - |W_i - W_j|).

Differences from the paper:
- Adam by default; `--recipe paper` has the published SGD. That rates fall to a tenth is ours.
- Sizes of the mixture and the swiss roll, the heads' distance and the noise beside images are ours.
- Images end in tanh. With labels in the prior one half of each batch has its label and the other has none.
"""

from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium.data.batches import Batches
from ganarium.data.dataset import Images, PartlyLabelledImages
from ganarium.errors import UserError, require_not_negative, require_positive
from ganarium.layers.code_priors import mixture, swiss_roll
from ganarium.layers.init import init_normal
from ganarium.layers.labels import known_classes, one_hot
from ganarium.layers.shapes import image_shape
from ganarium.losses import as_fake, as_real
from ganarium.model import SGD, Adam, Code, Model, Paper, Player, Prior, Step, watch
from ganarium.networks.aae import Decoder, Encoder
from ganarium.networks.mlp import MLP
from ganarium.players import dropping

PAPER = Paper(
    title="Adversarial Autoencoders",
    authors="Makhzani, Shlens, Jaitly, Goodfellow, Frey",
    year=2015,
    arxiv="1511.05644",
    idea="An autoencoder whose codes a discriminator holds to a prior, so that its decoder makes images.",
)
DROPS = 30_000, 600_000  # iterations after which rates fall: epochs 50 and 1,000 of 600 batches


@dataclass(frozen=True, kw_only=True)
class Config:
    prior: Literal["normal", "uniform", "mixture", "swiss_roll"] = "normal"
    """Distribution of z: normal; uniform on [-1, 1]; ten 2-D Gaussians on a ring, or one for each label that
    D reads; a 2-D swiss roll (section 2.3)."""
    prior_std: float | None = None
    """Standard deviation of a normal prior. None: 5 (section 3), or 1 with categories (section 5)."""
    latent_dim: int | None = None
    """Numbers in z. None: 8 (section 3), 10 with categories (section 5), 2 of a mixture or a swiss roll."""
    labels_in_prior: bool = False
    """Let D see labels, so that each class takes a component of the mixture, or a piece of the swiss roll
    (section 2.3)."""
    semi_supervised: bool = False
    """Learn to classify from few labels (--labels-per-class) and all images (section 5)."""
    num_categories: int | None = None
    """Clusters into which images are sorted without labels, such as 16 or 30 (section 6). None: none."""
    cluster_heads: bool = False
    """Give each category a place in z, which is added to the code: a map of the images (section 7)."""
    head_distance: float = 4.0
    """Distance between two of these places up to which they are pushed apart (ours)."""
    encoder: Literal["deterministic", "gaussian", "noise"] = "deterministic"
    """Code of an image: one, normal around one, or any that noise beside the image makes (section 2)."""
    width: int = 1000
    """Units of the two hidden layers of each network (appendix A)."""
    recipe: Literal["modern", "paper"] = "modern"
    """Adam (ours), or the SGD with momentum of the paper (appendix A), which needs many epochs."""
    lr: float | None = None
    """Learning rate of the reconstruction phase. None: 1e-3 of Adam, 0.01 of SGD."""
    lr_adversarial: float | None = None
    """Learning rate of the other phases. None: 2e-4 of Adam, 0.1 of SGD."""

    def __post_init__(self) -> None:
        require_positive(self, "prior_std", "latent_dim", "width", "lr", "lr_adversarial")
        require_not_negative(self, "head_distance")
        flat = self.prior in ("mixture", "swiss_roll")
        if flat and (self.semi_supervised or self.num_categories or self.latent_dim not in (None, 2)):
            raise UserError(f"the prior {self.prior} is for two numbers in z and without categories.")
        if self.labels_in_prior and not flat:
            raise UserError("labels_in_prior is for the priors that have parts: mixture and swiss_roll.")
        if self.num_categories is not None and (self.num_categories < 2 or self.semi_supervised):
            raise UserError("num_categories must be at least 2, and is left away with --semi-supervised.")
        if self.cluster_heads and not (self.semi_supervised or self.num_categories):
            raise UserError("cluster_heads needs categories: give --num-categories or --semi-supervised.")

    @classmethod
    def small(cls) -> "Config":
        return cls(width=16, latent_dim=2)


class AAE(Model):
    batch_size = 100
    encodes = True
    prior: Prior

    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        image = image_shape(shape, "aae")
        labels = config.semi_supervised or config.labels_in_prior
        self.num_parts = known_classes(num_classes, "aae with labels") if labels else 10
        K = self.K = self.num_parts if config.semi_supervised else config.num_categories or 0
        self.batch_type = PartlyLabelledImages if labels else Images
        self.conditional, self.classifies = labels, config.semi_supervised
        self.code = Code(K, 0, start=0) if config.num_categories else None
        dim = config.latent_dim or (10 if K else 8 if config.prior in ("normal", "uniform") else 2)
        kind: Any = config.prior if config.prior in ("normal", "uniform") else "own"
        self.prior = Prior(K + dim, kind, std=config.prior_std or (1.0 if K else 5.0))
        self.encoder = Encoder(image, K, dim, config.width, config.encoder)
        self.generator = Decoder(image, K, dim, config.width, heads=config.cluster_heads)
        self.min_batch_size = 2 if K else 1  # batch norm in the encoder
        self.discriminator = MLP(dim + (self.num_parts + 1) * config.labels_in_prior, [config.width] * 2, ())
        self.category_discriminator = MLP(K, [config.width] * 2, ()) if K else nn.Identity()
        init_normal(self, 0.01)
        reconstruction: Any = Adam(lr=config.lr or 1e-3)
        adversarial: Any = Adam(lr=config.lr_adversarial or 2e-4)
        if config.recipe == "paper":
            reconstruction = SGD(lr=dropping(config.lr or 0.01, *DROPS), momentum=0.9)
            adversarial = SGD(lr=dropping(config.lr_adversarial or 0.1, *DROPS), momentum=0.1)
        self.players = {
            "AE": Player(self.encoder, self.generator, optimizer=reconstruction),
            "D": Player(self.discriminator, self.category_discriminator, optimizer=adversarial),
            "E": Player(self.encoder, optimizer=adversarial),
        }
        self.players |= {"C": Player(self.encoder, optimizer=adversarial)} if config.semi_supervised else {}

    def step(self, batches: Batches) -> Step:
        batch = next(batches)
        image, label = self.told(batch)  # (b, c, h, w) in [-1, 1]; (b,), or None
        code = self.encoded(image)
        terms = {"reconstruction": ((image - self.generator(code)) / 2).square().mean()}
        if self.config.cluster_heads:
            terms["heads"] = self.generator.crowding(self.config.head_distance)
        yield "AE", terms

        code = self.encoded(image)  # by the encoder as it is now
        part = torch.randint(self.num_parts, (len(image),), device=self.device)
        same = None if label is None else torch.where(label == self.num_parts, label, part)
        real, fake = self.scores(self.drawn(part), same), self.scores(code.detach(), label)
        terms = {f"real_{name}": as_real(score) for name, score in real.items()}
        terms |= {f"fake_{name}": as_fake(score) for name, score in fake.items()}
        yield "D", terms, watch(real=real["code"], fake=fake["code"])
        yield "E", {name: as_real(score) for name, score in self.scores(code, label).items()}
        if self.config.semi_supervised:
            yield "C", {"labelled": F.cross_entropy(self.class_logits(batch.image), batch.label)}

    def told(self, batch: Any) -> tuple[Tensor, Tensor | None]:
        """The images of a batch, and what D is told of them: a class, or `num_parts` for "unknown"."""
        if not self.config.labels_in_prior:
            return batch.unlabelled if self.config.semi_supervised else batch.image, None
        unknown = torch.full_like(batch.label, self.num_parts)
        return torch.cat([batch.image, batch.unlabelled]), torch.cat([batch.label, unknown])

    def scores(self, code: Tensor, label: Tensor | None) -> dict[str, Tensor]:
        """Raw scores (b,) of codes: of z, with a label beside it, and of y."""
        z = code[:, self.K :]
        if label is not None:
            z = torch.cat([z, one_hot(label, self.num_parts + 1, z.dtype)], 1)
        scores = {"code": self.discriminator(z)}
        if self.K:
            scores["category"] = self.category_discriminator(code[:, : self.K])
        return scores

    def encoded(self, image: Tensor) -> Tensor:
        logits, z = self.encoder(image).tensor_split([self.K], 1)
        return torch.cat([logits.softmax(1), z], 1)

    def class_logits(self, image: Tensor) -> Tensor:
        return self.encoder(image)[:, : self.K]

    def drawn(self, part: Tensor) -> Tensor:
        """Codes (n, K + dim) from these parts of the prior: one-hot categories, and z."""
        code = self.prior.draw(len(part), self.device, self.dtype)
        category = torch.randint(max(1, self.K), (len(part),), device=self.device)
        if self.prior.kind == "own":  # and no categories
            draw = mixture if self.config.prior == "mixture" else swiss_roll
            return draw(part, self.num_parts, self.dtype)
        return torch.cat([one_hot(category, self.K, self.dtype), code[:, self.K :]], 1)

    def latent(self, n: int) -> Tensor:
        return self.drawn(torch.randint(self.num_parts, (n,), device=self.device))

    def latent_of(self, label: Tensor) -> Tensor:
        return self.latent(len(label)) if self.K else self.drawn(label)

    def generate(self, n: int, latent: Tensor | None = None, label: Tensor | None = None) -> Tensor:
        """A label chooses the part of the prior that z is drawn from, or the category beside z."""
        if latent is None:
            latent = self.latent(n) if label is None else self.latent_of(label)
        if self.config.semi_supervised and label is not None:
            latent = torch.cat([one_hot(label, self.K, latent.dtype), latent[:, self.K :]], 1)
        return self.generator(latent)
