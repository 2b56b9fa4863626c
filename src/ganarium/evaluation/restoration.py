"""Measures of models whose right answer is known: paired translation, enlargement of reduced images, and holes."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ganarium import metrics
from ganarium.data.augment import cropped, enlarged, reduced
from ganarium.data.batches import Batches
from ganarium.data.dataset import Dataset
from ganarium.evaluation.features import of_photographs
from ganarium.evaluation.measure import Measure
from ganarium.metrics.judges.lite import NAME, LiteFeatures, lite_is_here, load_lite
from ganarium.metrics.pixels import Channel
from ganarium.metrics.protocol import Protocol
from ganarium.model import Model
from ganarium.sampling import source_of, target_of
from ganarium.streams import undisturbed

PART = 16  # images in memory at a time
LEAST, NUM_DISTANCES = 64, 200  # pixels of a side from which on, and images of which, features are compared


class RestorationMeasure(Measure):
    """Held-out images that a model made, beside the true ones; `baseline` is what needs no model.

    Paired translation starts from one image of a pair, and the other is the true one. Enlargement starts from images
    that were reduced by antialiased bicubic, and the images themselves are the true ones.
    """

    metric, portion = "mean_absolute_error", 1

    def __init__(self, model: Model, test: Dataset, n: int, seed: int = 0) -> None:
        self.model, self.test, self.seed = model, test, seed
        self.count = min(n, len(test))
        self.border = model.scale or 0  # pixels that tables of super-resolution leave out
        self.channel: Channel = "y" if model.scale and model.shape[0] in (1, 3) else "rgb"
        rule = f"{self.channel} without {self.border} pixels at the border" if model.scale else ""
        self.protocol = Protocol("pixels", "", self.count, self.count, rule, seed, reference=test.checksum()[:16])

    def read(self, count: int) -> Tensor:
        """What the model made (n, c, h, w) in [-1, 1]."""
        parts = []
        for batch in self._batches(count):
            if self.model.scale:
                parts.append(self.model.upscale(reduced(cropped(batch.image, self.model.scale), self.model.scale)))
            else:
                (direction,) = self.model.directions
                parts.append(self.model.translate(source_of(batch, direction), direction=direction))
        return torch.cat([part.cpu() for part in parts])

    @cached_property
    def real(self) -> Tensor:
        """The true images (n, c, h, w) in [-1, 1]."""
        if self.model.scale:
            return torch.cat([cropped(batch.image, self.model.scale) for batch in self._batches(self.count)])
        (direction,) = self.model.directions
        return torch.cat([target_of(batch, direction) for batch in self._batches(self.count)])

    @cached_property
    def baseline(self) -> Tensor:
        """Bicubic enlargement, or the input as it is."""
        if self.model.scale:
            return enlarged(reduced(self.real, self.model.scale), self.model.scale)
        (direction,) = self.model.directions
        return torch.cat([source_of(batch, direction) for batch in self._batches(self.count)])

    def quick(self) -> dict[str, float]:
        made = self.read(self.count)
        return {self.metric: (made - self.real).abs().mean().item(), "psnr": self._psnr(made)}

    def full(self) -> dict[str, float]:
        name = "of_bicubic" if self.model.scale else "of_inputs"
        made = self.read(self.count)
        values = {
            self.metric: (made - self.real).abs().mean().item(),
            f"{self.metric}_{name}": (self.baseline - self.real).abs().mean().item(),
            "psnr": self._psnr(made),
            f"psnr_{name}": self._psnr(self.baseline),
        }
        if self.real.std() > 0:  # flat images have no sharpness
            values["sharpness_ratio"] = metrics.sharpness_ratio(made, self.real)
            values[f"sharpness_ratio_{name}"] = metrics.sharpness_ratio(self.baseline, self.real)
        if min(self.real.shape[2:]) - 2 * self.border >= 11:  # the window of SSIM
            for ending, images in (("", made), (f"_{name}", self.baseline)):
                values[f"ssim{ending}"] = metrics.ssim(images, self.real, channel=self.channel, border=self.border)
        if min(self.real.shape[2:]) >= LEAST and of_photographs(self.test.name, self.model.shape[0]) and lite_is_here():
            judge = load_lite(self.model.device)
            for ending, images in (("", made), (f"_{name}", self.baseline)):
                values[f"{NAME}_distance{ending}"] = self._distance(judge, images)
        return values

    def _distance(self, judge: LiteFeatures, images: Tensor) -> float:
        """The mean distance of the first images from the true ones."""
        parts = zip(images[:NUM_DISTANCES].split(PART), self.real[:NUM_DISTANCES].split(PART), strict=True)
        device = self.model.device
        return torch.cat([judge.distances(a.to(device), b.to(device)) for a, b in parts]).mean().item()

    def _psnr(self, images: Tensor) -> float:
        return metrics.psnr(images, self.real, channel=self.channel, border=self.border)

    def _batches(self, count: int) -> Iterator[Any]:
        batches = Batches(self.test, self.model.batch_type, 1, seed=self.seed)
        for start in range(0, count, PART):
            yield batches.draw(min(PART, count - start))


class InpaintingMeasure(Measure):
    """Held-out images with holes that a model filled, inside the holes alone, beside two fillings that need no model:
    the mean colour of what is around the hole, and that of the pixels at its rim."""

    metric, portion = "mean_absolute_error", PART

    def __init__(self, model: Model, test: Dataset, n: int, seed: int = 0) -> None:
        self.model, self.test, self.seed = model, test, seed
        self.count = min(n, len(test))
        reference = test.checksum()[:16]
        self.protocol = Protocol("pixels", "", self.count, self.count, "inside the holes", seed, reference=reference)

    @cached_property
    def real(self) -> Tensor:
        """The images (n, c, h, w) in [-1, 1]."""
        batches = Batches(self.test, self.model.batch_type, 1, seed=self.seed)
        return torch.cat([batches.draw(min(PART, self.count - i)).image for i in range(0, self.count, PART)])

    @cached_property
    def masks(self) -> Tensor:
        """bool (n, 1, h, w): a hole in each, as training has them."""
        with undisturbed(self.model, self.seed, "eval"):
            return self.model.holes(self.count).cpu()

    def read(self, count: int) -> Tensor:
        """The first images, filled, (n, c, h, w) in [-1, 1]."""
        pairs = zip(self.real[:count], self.masks[:count], strict=True)
        return torch.stack([self.model.inpaint(image, mask).cpu() for image, mask in pairs])

    def quick(self) -> dict[str, float]:
        return self._errors(self.read(self.count))

    def full(self) -> dict[str, float]:
        inside = self.masks.to(self.real.dtype)
        near = F.max_pool2d(inside, 3, 1, 1) - inside
        values = self._errors(self.read(self.count))
        for name, around in (("mean_colour", 1 - inside), ("rim", near)):
            colour = (self.real * around).sum((2, 3), keepdim=True) / around.sum((2, 3), keepdim=True)
            errors = self._errors(torch.where(self.masks, colour, self.real))
            values |= {f"{metric}_of_{name}": value for metric, value in errors.items()}
        return values

    def _errors(self, filled: Tensor) -> dict[str, float]:
        """The mean absolute error in [-1, 1], and PSNR over the 256 levels of all holes together: a single flat image,
        which the mean colour fills exactly, would make a mean of PSNR infinite."""
        levels = [image.clamp(-1, 1).double().add(1).mul(127.5).round() for image in (filled, self.real)]
        pixels = self.masks.double().sum((1, 2, 3)) * filled.shape[1]
        squared = ((levels[0] - levels[1]).square() * self.masks).sum((1, 2, 3)) / pixels
        absolute = ((filled - self.real).abs() * self.masks).double().sum((1, 2, 3)) / pixels
        return {self.metric: float(absolute.mean()), "psnr": float(10 * torch.log10(255**2 / squared.mean()))}
