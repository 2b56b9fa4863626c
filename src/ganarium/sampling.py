"""How a model is sampled and asked to classify: written once, for every model.

`Sampling` is the half of `Model` that users call. A model declares what it can do in its fields (prior, labels, code,
directions ...); commands, reports and exports read these fields, and nobody finds out by trying. Translating, enlarging
and filling holes are in `mapping`, the streams of samples in `streams`.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ganarium.data.augment import cropped, enlarged, reduced
from ganarium.data.dataset import PairedImages, SourceTargetImages, UnpairedImages, decode
from ganarium.data.files.decode import MODES, UnusablePicture, as_displayed, fit_picture
from ganarium.errors import UserError
from ganarium.layers.labels import one_hot
from ganarium.mapping import Mapping, check_values
from ganarium.projection import Projection, project
from ganarium.streams import CHUNK, conditions, samples, undisturbed


@dataclass(frozen=True)
class Prior:
    """The distribution of z: `dim` independent numbers, normal with mean 0 and a standard deviation, or uniform on
    [low, high]; or the model's own (`own`), from which its `latent` draws."""

    dim: int
    kind: Literal["normal", "uniform", "own"] = "normal"
    low: float = -1.0
    high: float = 1.0
    std: float = 1.0  # of a normal one

    def draw(self, n: int, device: torch.device, dtype: torch.dtype) -> Tensor:
        """`n` codes (n, dim), of a distribution that is not the model's own."""
        z = torch.empty(n, self.dim, device=device, dtype=dtype)
        return z.uniform_(self.low, self.high) if self.kind == "uniform" else z.normal_(0.0, self.std)


@dataclass(frozen=True)
class Code:
    """The part of z that a user can set: a category, one-hot, and behind it continuous numbers, usual in [-1, 1].

    `start` is the column of z at which it begins.
    """

    categories: int
    continuous: int
    start: int


class Sampling(Mapping):
    """What a model can do, and how it is asked for it. Fields are declared by the class, or in `__init__`."""

    config: Any
    num_classes: int | None  # of the data
    prior: Prior | None = None  # of z, for models that make samples from noise
    conditional: bool = False  # whether `sample` takes `label=`, one of `num_classes`
    code: Code | None = None  # whether `sample` takes `code=`
    captioned: bool = False  # whether `sample` takes `text=`, and `sentences` embeds it
    styles: int = 0  # layers with a style w each, for whom `sample` takes `truncation=`, `noise_seed=` and `second=`
    classifies: bool = False  # whether `classify` is there
    has_likelihood: bool = False  # whether `nll` is there
    completes: bool = False  # whether `complete` is there
    encodes: bool = False  # whether `encode` and `decode` are there
    sees_imagenet: bool = False  # whether D sees through features of ImageNet, which then do not choose the best step
    domains: tuple[str, ...] = ()  # two, whose images of one code follow one another in `sample`

    def latent(self, n: int) -> Tensor:
        """Draws `n` codes (n, prior.dim) from the prior, on the model's device."""
        if self.prior is None:
            raise UserError(f"{type(self).__name__} has no latent codes.")
        return self.prior.draw(n, self.device, self.dtype)

    def latent_of(self, label: Tensor) -> Tensor:
        """Draws a code (n, prior.dim) for each of these classes (n,); only of some models does it depend on them."""
        return self.latent(len(label))

    def generate(self, n: int, latent: Tensor | None = None, label: Tensor | None = None) -> Tensor:
        """The raw forward used in `step`: (n, *shape) from the prior, or from the given codes (n, prior.dim).

        A conditional model also takes labels (n,), else it draws them, each class with equal chance; its `generator`
        reads them as one-hot rows beside the codes.
        """
        z = self.latent(n) if latent is None else latent
        if not self.conditional:
            return self.generator(z)  # type: ignore[operator, no-any-return]
        label = self.random_labels(n) if label is None else label
        return self.generator(z, one_hot(label, self.num_labels, z.dtype))  # type: ignore[operator, no-any-return]

    def expected(self, n: int, latent: Tensor | None = None, **conditions: Any) -> Tensor:
        """As `generate`, for `project`: the mean image of each code, where a model draws the pixels themselves."""
        return self.generate(n, latent, **conditions)

    def class_logits(self, image: Tensor) -> Tensor:
        """The raw forward of `classify`: (b, *shape) to logits (b, num_classes), for models that classify."""
        raise NotImplementedError

    def encoded(self, image: Tensor) -> Tensor:
        """The raw forward of `encode`: (b, *shape) to codes (b, prior.dim), for models that encode."""
        raise NotImplementedError

    @property
    def styles_in_use(self) -> int:
        """Of `styles`, the layers that draw so far: fewer while a StyleGAN grows."""
        return self.styles

    def styles_of(self, latent: Tensor) -> Tensor:
        """Codes (n, prior.dim) -> their styles w (n, prior.dim), for models with styles; as `sample` takes them."""
        return self.generator.mapping(latent)  # type: ignore[union-attr, operator, no-any-return]

    def sentences(self, sentences: Any) -> Tensor:
        """n sentences -> (n, dim) as `generate` takes them as `text`, for models that are captioned."""
        raise NotImplementedError

    def nll(self, image: Tensor) -> Tensor:
        """-log p of each image (b, c, h, w) in nats: (b,), for models that have a likelihood."""
        raise NotImplementedError

    def completed(self, image: Tensor, mask: Tensor) -> Tensor:
        """The raw forward of `complete`: (b, c, h, w) in [-1, 1] with the pixels of the mask (b, 1, h, w) drawn."""
        raise NotImplementedError

    def random_labels(self, n: int) -> Tensor:
        """int64 (n,), each class with equal chance."""
        return torch.randint(self.num_labels, (n,), device=self.device)

    def conditions(self, n: int, **given: Any) -> dict[str, Tensor]:
        """What `sample` was asked for, checked, as tensors with one row for each sample; see `sample`."""
        return conditions(self, n, **given)

    @property
    def task(self) -> str:
        """What the model is for, in a few words."""
        if self.domains:
            return "pairs of images, from two kinds without pairs"
        if self.directions:
            return "one kind of image into another"
        if self.scale:
            return "larger images"
        if self.inpaints:
            return "holes in images filled"
        if self.captioned:
            return "images from sentences"
        if self.conditional:
            return "images by class, and a classifier" if self.classifies else "images by class"
        if self.classifies:
            return "a classifier from few labels"
        if self.encodes:
            return "new images, and the codes of images"
        if self.code:
            return "images by a code it finds"
        return "images, and how likely they are" if self.has_likelihood else "new images"

    @property
    def num_labels(self) -> int:
        """How many classes the data have: `num_classes`, which a conditional model knows to be there."""
        assert self.num_classes is not None
        return self.num_classes

    def sample(self, n: int, *, seed: int | None = None, **conditions: Any) -> Tensor:
        """`n` samples as float32 (n, c, h, w) in [-1, 1], or points (n, 2), on the model's device.

        Uses the averaged weights where the model keeps them, and the mode in which its paper samples; in the mode
        "train" batch norm sees batches of 64 whatever `n`, so one sample alone is as good as one of many. The same seed
        gives the same samples; without one they differ from call to call. `latent=` (n, latent_dim) fixes the codes of
        a noise model; `label=`, `code=` and `text=` exist where the model has them. Models with `styles` take
        `truncation=`, from 0 (the average image) to 1 (as in training), `noise_seed=`, the same noise for all images,
        and `second=` codes (n, latent_dim), whose styles are used from layer `crossover=` on. Raises `UserError` (a
        `ValueError`) for anything else.
        """
        return torch.cat(list(samples(self, n, seed=seed, **conditions)))

    def complete(self, image: Any, mask: Tensor, *, seed: int | None = None) -> Tensor:
        """Draws the covered pixels of an image from those before them in raster order: float32 (c, h, w) of the model's
        size, or (b, c, h, w) of a batch.

        `image` is as for `probabilities`; `mask` bool (h, w) is True where to draw. Known pixels get the nearest value
        that the model knows; of two values either, white with the grey value as chance, as in training. What is known
        below a covered pixel is not seen: cover the lower part. Raises `UserError` for a model that does not complete
        images, another image, or another mask.
        """
        if not self.completes:
            raise UserError(f"{type(self).__name__} does not complete images: use a run of pixelrnn.")
        batch, batched = self.fitted(image, "complete")
        if not isinstance(mask, Tensor) or mask.shape != self.shape[1:] or mask.dtype != torch.bool:
            raise UserError(f"the mask must be a bool tensor of shape {self.shape[1:]}, True where to draw.")
        covered = mask.to(self.device).expand(len(batch), 1, -1, -1)
        with undisturbed(self, seed, self.sample_mode):
            made = self.completed(batch, covered).float().clamp(-1, 1)
        return made if batched else made[0]

    def classify(self, image: Any) -> Tensor:
        """The class that each image most likely belongs to: int64 (b,), or () of one image; see `probabilities`."""
        return self.probabilities(image).argmax(-1)

    def probabilities(self, image: Any) -> Tensor:
        """How likely an image belongs to each class: float32 (num_classes,), or (b, num_classes) of a batch, on the
        model's device; each row sums to 1.

        `image` is a PIL image, a uint8 array (h, w, c), or a tensor (c, h, w) or (b, c, h, w) in [-1, 1] (points: (2,)
        or (b, 2)). Pictures and arrays are scaled to cover the model's size and cropped at the middle; tensors must
        have that size. Averaged weights, no dropout. Raises `UserError` for a model that does not classify, or another
        image.
        """
        if not self.classifies:
            raise UserError(
                f"{type(self).__name__} as it was trained does not classify: use a run of a model that learns to, "
                "such as a semi-supervised one."
            )
        batch, batched = self.fitted(image, "classify")
        with undisturbed(self, 0, "eval"):
            logits = torch.cat([self.class_logits(part) for part in torch.split(batch, CHUNK)])
        chances = logits.float().softmax(1)
        return chances if batched else chances[0]

    def encode(self, image: Any) -> Tensor:
        """The codes that a model's encoder gives images: float32 (prior.dim,), or (b, prior.dim) of a batch, on the
        model's device.

        `image` is as for `probabilities`. An encoder that draws its codes draws the same ones in every call. Raises
        `UserError` for a model without an encoder, or another image.
        """
        self._check_encoder()
        batch, batched = self.fitted(image, "encode")
        with undisturbed(self, 0, "eval"):
            codes = torch.cat([self.encoded(part) for part in torch.split(batch, CHUNK)]).float()
        return codes if batched else codes[0]

    def decode(self, code: Tensor) -> Tensor:
        """What a model with an encoder makes of codes (prior.dim,) or (b, prior.dim): float32 (c, h, w) in [-1, 1], or
        (b, c, h, w), on the model's device. Raises `UserError` for a model without an encoder, or another shape."""
        self._check_encoder()
        assert self.prior is not None
        if not isinstance(code, Tensor) or code.dim() not in (1, 2) or code.shape[-1] != self.prior.dim:
            raise UserError(f"a code must be a tensor ({self.prior.dim},) or (b, {self.prior.dim}), as of `encode`.")
        made = self.sample(code.numel() // self.prior.dim, seed=0, latent=code.view(-1, self.prior.dim))
        return made if code.dim() == 2 else made[0]

    def project(self, image: Any, **options: Any) -> Projection:
        """The code of an image, by which the model makes it again as well as it can: see `projection.Projection`.

        `image` is as for `probabilities`, one or a batch; the results are of a batch in any case. `by` is `encoder`
        where the model has one, or `optimisation`: of `num_random` (1,000) codes from the prior the nearest `starts`
        (8) are improved in `steps` (300) updates of Adam, on the squared difference of pixels, and the best code of all
        is the answer. A conditional model looks among all classes, or in that of `label`; a model of two `domains` in
        the first, or in `domain`. The numbers of a category stay those of a random code. A `captioned` model needs
        `text`, the sentence that all images are drawn of. A model with `styles` takes `space="w"`: styles are looked
        for in the place of codes, come nearer to the image, and are what `sample` takes as `style=`. The same `seed`
        (0) gives the same answer. Raises `UserError` for a model that makes no images from codes, or another image.
        """
        return project(self, image, **options)

    def _check_encoder(self) -> None:
        if not self.encodes:
            raise UserError(f"{type(self).__name__} has no encoder: use a run of a model that has one, aae or bigan.")

    def fitted(self, image: Any, verb: str) -> tuple[Tensor, bool]:
        """An image as a batch of the size, device and type of the model, and whether it came as a batch; see
        `probabilities`. `verb` is what is done to it, for errors."""
        if isinstance(image, np.ndarray):
            image = _picture(image)
        if isinstance(image, Image.Image) and len(self.shape) == 3:
            image = _covering(image, self.shape)
        batched = isinstance(image, Tensor) and image.dim() == len(self.shape) + 1
        if not isinstance(image, Tensor) or image.shape[batched:] != self.shape:
            wanted = ", ".join(map(str, self.shape))
            raise UserError(
                f"a tensor to {verb} must be ({wanted}) or (b, {wanted}), as the model was trained; a picture or a "
                "uint8 array (h, w, c) is fitted to that."
            )
        check_values(image, verb, of_pixels=len(self.shape) == 3)
        return (image if batched else image[None]).to(self.device, self.dtype), batched

    def preview(self, held_out: Any, *, seed: int = 0) -> Tensor:
        """64 images (2,000 points) for the sample grid of a run: samples, or for models that map images the columns of
        `preview_row`, image after image; of points those of the first direction alone. `held_out` is a typed batch the
        model was not trained on."""
        if self.domains:
            return self.sample(32, seed=seed)
        if self.directions and len(self.shape) == 1:
            return self.translate(source_of(held_out, self.directions[0]).float())  # type: ignore[no-any-return]
        if self.directions:
            columns = []
            for direction in self.directions:
                source = source_of(held_out, direction)
                columns += [source.float(), self.translate(source, direction=direction)]
        elif self.scale:
            original = cropped(held_out.image.float(), self.scale)
            low = reduced(original, self.scale)
            columns = [enlarged(low, self.scale), self.upscale(low), original]
        elif self.inpaints:
            original = held_out.image[:16].float().to(self.device)
            with undisturbed(self, seed, self.sample_mode):
                masks = self.holes(len(original))
                filled = self.filled(original.to(self.dtype), masks).float().clamp(-1, 1)
            columns = [original.masked_fill(masks, 0), torch.where(masks, filled, original), original]
        else:
            return self.sample(CHUNK if len(self.shape) == 3 else 2000, seed=seed)
        return torch.stack([column[:16] for column in columns], 1).flatten(0, 1)

    @property
    def preview_row(self) -> tuple[str, ...]:
        """What the columns of `preview` are that belong to one image; empty where it shows samples; of points the first
        direction alone."""
        if self.domains:
            return self.domains
        if self.directions and len(self.shape) == 1:
            return self.directions[:1]
        if self.directions:
            return tuple(name for direction in self.directions for name in (f"input {direction}", direction))
        if self.inpaints:
            return ("hole", "filled", "original")
        return ("bicubic", "upscaled", "original") if self.scale else ()


def source_of(batch: Any, direction: str) -> Tensor:
    """The images of a typed batch that a direction of `translate` starts from."""
    if isinstance(batch, UnpairedImages | PairedImages | SourceTargetImages):
        return domains_of(batch)[direction == "b2a"]
    image: Tensor = batch.image
    return image


def target_of(batch: Any, direction: str) -> Tensor:
    """The images of a typed batch that a direction of `translate` leads to, or of a domain; of pairs, the true ones."""
    return domains_of(batch)[direction not in ("b2a", "a")]


def domains_of(batch: Any) -> tuple[Tensor, Tensor]:
    """The images of both domains of a typed batch; of a source and a target, those."""
    return (batch.source, batch.target) if isinstance(batch, SourceTargetImages) else (batch.a, batch.b)


def _covering(image: Image.Image, shape: tuple[int, ...]) -> Tensor:
    """A picture as training has pictures of a folder: (c, h, w) in [-1, 1], scaled to cover that and cropped."""
    channels, height, width = shape
    try:
        pixels = np.array(fit_picture(as_displayed(image, channels), (height, width), "crop"))
    except UnusablePicture as error:
        raise UserError(f"the picture {error}: give another part of it.") from error
    return decode(torch.from_numpy(pixels.reshape(1, height, width, channels)))[0]


def _picture(array: np.ndarray) -> Image.Image:
    """A uint8 array (h, w) or (h, w, c) as PIL has it."""
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in MODES):
        raise UserError(f"an array must be uint8 (h, w, c) with 1, 3 or 4 channels, not {array.dtype} {array.shape}.")
    return Image.fromarray(_squeezed(array) if array.ndim == 3 else array)


def _squeezed(picture: np.ndarray) -> np.ndarray:
    return picture[:, :, 0] if picture.shape[2] == 1 else picture
