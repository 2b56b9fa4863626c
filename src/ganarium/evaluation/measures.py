"""Measures of a model, one class for each kind: images, points, translations, likelihood.

Every class counts in two ways. `full` gives all the metrics of `ganarium evaluate`. `quick` gives a few metrics of few
samples, for a run in training; its `metric` says which step is the best, and falls as samples get better:

  images                    frechet_distance of 1,000 samples on the features of a judge, or kernel_distance where the
                            data are fewer images than it has features
  points                    wasserstein_distance of 500 samples
  images mapped to images   kernel_distance of 256 held-out images, mapped; the mean over the directions
  the same from pairs, and  mean_absolute_error of 64 held-out images
  enlargement, and holes
  models with a likelihood  nll_nats of 256 held-out images, without a sample being drawn

Of a model whose D sees through features of ImageNet a quick count, by which the best step is chosen, is on those of a
judge that comes with the package and never saw ImageNet; in a full count on other features its distances stand beside.

What each metric is stands in `ganarium.metrics`. Images are measured on the features of a judge (a small classifier
that comes with the package), photographs on those of EfficientNet-Lite0 where its weights are here, with a judge beside
it; on request on those of Inception-v3; points on the points themselves.
"""

from collections.abc import Iterable, Iterator
from functools import cached_property

import torch
from torch import Tensor

from ganarium import metrics, streams
from ganarium.data.dataset import Dataset, PairedImages
from ganarium.data.sources.points import MODE_STD, mode_centres
from ganarium.errors import UserError
from ganarium.evaluation.features import (
    features_of,
    images_of,
    labelled_images_of,
    logits_of,
    network_for,
    own_judge,
    pairs_of,
)
from ganarium.evaluation.hidden_map import beside_the_true_map, there_and_back
from ganarium.evaluation.measure import Measure
from ganarium.evaluation.path_length import path_length
from ganarium.evaluation.restoration import InpaintingMeasure, RestorationMeasure
from ganarium.metrics.copies import LEAST_HELD_OUT, NEIGHBOURS, thumbnails
from ganarium.metrics.judges.judge import FeatureNetwork, Judge, judge_for
from ganarium.metrics.judges.lite import LiteFeatures
from ganarium.metrics.modes import ModeCoverage
from ganarium.metrics.protocol import Protocol
from ganarium.model import Model
from ganarium.registry import plain
from ganarium.sampling import source_of

# samples, or held-out images, of a full count
NUM_IMAGES, NUM_POINTS, NUM_HELD_OUT = 2000, 2500, 1000
LEAST = 6  # of samples: one, and the five neighbours that density and coverage look at
NUM_STACKED = 26_000  # of stacked MNIST, as in the literature
NUM_COPIED = 1000  # samples, and held-out images, that are held against training images
MOST_TRAINED = 20_000  # training images among which copies are looked for
NUM_PAIRED = 2000  # as many as the exact assignment of the Wasserstein distance is practical for
# and of a quick one
QUICK_IMAGES, QUICK_POINTS, QUICK_HELD_OUT, QUICK_RESTORED = 1000, 500, 256, 64


def evaluate_model(
    model: Model, train: Dataset, test: Dataset, *, n: int | None = None, seed: int = 0, features: str = "auto"
) -> tuple[dict[str, float], Protocol]:
    """The full count of a model, by the metric's name, and its protocol. For the arguments see `ganarium.evaluate`.

    Raises `UserError` for what cannot be measured.
    """
    n, one_by_one = plain(n), bool(model.scale or model.inpaints or model.batch_type is PairedImages)
    least = 1 if one_by_one else LEAST if len(model.shape) == 3 else 2
    if n is not None and (isinstance(n, bool) or not isinstance(n, int) or n < least):
        raise UserError(f"n, how many are measured, must be a whole number of at least {least}, not {n!r}.")
    measure = _full_measure(model, train, test, n, seed, features)
    values = measure.full()
    if model.has_likelihood and isinstance(measure, ImageMeasure):
        values |= LikelihoodMeasure(model, test, NUM_HELD_OUT, seed).full()
    labelled = test.target if test.second is not None else test  # of two domains, the one whose labels are not told
    if model.classifies and labelled is not None:
        values["test_accuracy"] = classifier_accuracy(model, labelled)
    return values, measure.protocol


def _full_measure(model: Model, train: Dataset, test: Dataset, n: int | None, seed: int, features: str) -> Measure:
    if model.scale or model.batch_type is PairedImages:
        return RestorationMeasure(model, test, n or NUM_HELD_OUT, seed)
    if model.inpaints:
        return InpaintingMeasure(model, test, n or NUM_HELD_OUT, seed)
    if model.domains:
        return DomainMeasure(model, train, test, n or NUM_IMAGES, seed, features)
    if model.directions:
        return TranslationMeasure(model, train, test, n or NUM_IMAGES, seed, features)
    if len(model.shape) == 1:
        return PointMeasure(model, train, n or NUM_POINTS, seed)
    n = n or (NUM_STACKED if _is_stacked(train) else NUM_IMAGES)
    return ImageMeasure(model, train, n, seed, features, test)


def quick_measure(model: Model, train: Dataset, test: Dataset) -> Measure:
    """The measure whose quick count suits a model in training. Raises `UserError` where there is none."""
    if model.scale or model.batch_type is PairedImages:
        return RestorationMeasure(model, test, QUICK_RESTORED)
    if model.inpaints:
        return InpaintingMeasure(model, test, QUICK_RESTORED)
    if model.domains:
        return DomainMeasure(model, train, test, QUICK_HELD_OUT)
    if model.directions:
        return TranslationMeasure(model, train, test, QUICK_HELD_OUT)
    if model.has_likelihood:
        return LikelihoodMeasure(model, test, QUICK_HELD_OUT)
    if len(model.shape) == 1:
        return PointMeasure(model, train, min(QUICK_POINTS, len(train)))
    features = own_judge(train.name, model.shape[0]) if model.sees_imagenet else "auto"
    return ImageMeasure(model, train, min(QUICK_IMAGES, len(train)), features=features)


class LikelihoodMeasure(Measure):
    """-log p of held-out images."""

    metric, portion = "nll_nats", 16

    def __init__(self, model: Model, test: Dataset, n: int, seed: int = 0) -> None:
        self.model, self.test, self.seed = model, test, seed
        self.count = min(n, len(test))
        self.protocol = Protocol("pixels", "", self.count, 0, "", seed, reference=test.checksum()[:16])

    def read(self, count: int) -> Tensor:
        """Nats (n,)."""
        with streams.undisturbed(self.model, 0, "eval"):
            images = (part.to(self.model.device, self.model.dtype) for part in images_of(self.test, count, self.seed))
            return torch.cat([self.model.nll(part).cpu() for part in images])

    def quick(self) -> dict[str, float]:
        return self.full()

    def full(self) -> dict[str, float]:
        likelihood = metrics.nll(self.read(self.count), self.model.shape)
        return {"nll_nats": likelihood.nats, "bits_per_dimension": likelihood.bits_per_dimension}


class PointMeasure(Measure):
    """Points beside those of the data, and the modes that they hit where the data have known ones."""

    metric = "wasserstein_distance"

    def __init__(self, model: Model, train: Dataset, n: int, seed: int = 0) -> None:
        self.model, self.train, self.count, self.seed = model, train, n, seed
        self.num_real = min(n, len(train))
        self.protocol = Protocol("points", "", self.num_real, n, "", seed, reference=train.checksum()[:16])

    @cached_property
    def real(self) -> Tensor:
        return torch.cat([*images_of(self.train, self.num_real, self.seed)]).double()

    def read(self, count: int) -> Tensor:
        """Points (n, 2)."""
        return torch.cat([*streams.samples(self.model, count, seed=self.seed)]).cpu().double()

    def quick(self) -> dict[str, float]:
        fake = self.read(self.count)
        return {self.metric: metrics.wasserstein_distance(self.real, fake), **self._modes(fake)}

    def full(self) -> dict[str, float]:
        fake = self.read(self.count)
        paired = min(self.num_real, self.count, NUM_PAIRED)
        neighbours = metrics.nearest_neighbour_test(self.real[:paired], fake[:paired])
        return {
            **self._modes(fake),
            "wasserstein_distance": metrics.wasserstein_distance(self.real[:paired], fake[:paired]),
            "maximum_mean_discrepancy": metrics.maximum_mean_discrepancy(self.real[:paired], fake[:paired]),
            "nearest_neighbour_real": neighbours.real,
            "nearest_neighbour_fake": neighbours.fake,
        }

    def _modes(self, fake: Tensor) -> dict[str, float]:
        if self.train.name not in MODE_STD:
            return {}
        modes = known_mode_coverage(fake, self.train.name)
        return {"modes": modes.covered, "modes_of": len(modes.counts), "high_quality": modes.high_quality}


class ImageMeasure(Measure):
    """Images beside those of the data, on the features of a network; their classes where its judge knows them."""

    def __init__(
        self,
        model: Model,
        train: Dataset,
        n: int,
        seed: int = 0,
        features: str = "auto",
        test: Dataset | None = None,
    ) -> None:
        """`test` holds the held-out images beside which `full` counts copies."""
        self.model, self.train, self.count, self.seed, self.test = model, train, n, seed, test
        self.num_real = min(n, len(train))
        self.network = network_for(train.name, model.shape[0], features, model.device)
        # beside a judge that knows ImageNet, for models that have learned from it too, one that never saw it
        self.second: FeatureNetwork | None = None
        if isinstance(self.network, LiteFeatures) or (model.sees_imagenet and not isinstance(self.network, Judge)):
            self.second = network_for(train.name, model.shape[0], own_judge(train.name, model.shape[0]), model.device)
        self.stacked = _is_stacked(train)
        self.protocol = _protocol(self.network, self.num_real, n, seed, train, test)

    @property
    def metric(self) -> str:
        return "frechet_distance" if self.num_real > self.real.shape[1] else "kernel_distance"

    @cached_property
    def real(self) -> Tensor:
        """Features (n, d)."""
        return features_of(self.network, images_of(self.train, self.num_real, self.seed), stacked=self.stacked)

    def read(self, count: int) -> Tensor:
        """Features (n, d)."""
        return features_of(self.network, streams.samples(self.model, count, seed=self.seed), stacked=self.stacked)

    def quick(self) -> dict[str, float]:
        real, fake = self.real, self.read(self.count)
        if self.metric == "frechet_distance":
            values = {"frechet_distance": metrics.frechet_distance(real, fake)}
        else:
            values = {"kernel_distance": quick_kernel_distance(real, fake)}
        values["coverage"] = metrics.density_coverage(real, fake).coverage
        if self.stacked:
            values["modes"] = metrics.stacked_mode_coverage(self._digits(fake)).modes
        elif self._judge:
            values |= live_classes(*(logits_of(self.network, features).argmax(1) for features in (real, fake)))
        return values

    def full(self) -> dict[str, float]:
        small: list[Tensor] = []
        second: list[Tensor] = []
        samples = self._remembered(streams.samples(self.model, self.count, seed=self.seed), small, second)
        real, fake = self.real, features_of(self.network, samples, stacked=self.stacked)
        if self.stacked:
            modes = metrics.stacked_mode_coverage(self._digits(fake))
            real, fake = real[:NUM_PAIRED], fake[:NUM_PAIRED]
            return {"modes": modes.modes, "reverse_kl": modes.kl, **feature_metrics(real, fake, self.seed)}
        values = feature_metrics(real, fake, self.seed)
        if self._judge:
            odds_real, odds_fake = (logits_of(self.network, features).softmax(1) for features in (real, fake))
            values["inception_score"] = metrics.inception_score(odds_fake, splits=1).mean
            values["inception_score_of_reals"] = metrics.inception_score(odds_real, splits=1).mean
            values["mode_score"] = metrics.mode_score(odds_fake, odds_real)
            values |= class_metrics(self.model, self._judge, self.train, self.count, self.seed)
        return values | self._second(second) | self._copies(torch.cat(small)) | self._path_lengths()

    def _remembered(self, parts: Iterable[Tensor], small: list[Tensor], second: list[Tensor]) -> Iterator[Tensor]:
        """The same parts; `small` gets thumbnails of the first images of them, `second` what the second judge sees."""
        for part in parts:
            if sum(map(len, small)) < NUM_COPIED:
                small.append(thumbnails(part.cpu()))
            if self.second:
                second.append(self.second.features(part).cpu())
            yield part

    def _second(self, features: list[Tensor]) -> dict[str, float]:
        """The distances by the second judge, if there is one, under its name."""
        if not self.second:
            return {}
        real, fake = features_of(self.second, images_of(self.train, self.num_real, self.seed)), torch.cat(features)
        values = {f"{self.second.name}/kernel_distance": _kernel_distance(real, fake, self.seed)}
        equal = min(len(real), len(fake))
        if equal > real.shape[1]:
            values[f"{self.second.name}/frechet_distance"] = metrics.frechet_distance(real[:equal], fake[:equal])
        return values

    def _path_lengths(self) -> dict[str, float]:
        """Of models with styles: along paths in w and in z, which take as many images as the other metrics."""
        paths = self.count // 4
        if not self.model.styles or paths < 2:
            return {}
        lengths = (path_length(self.model, self.network, space=s, n=paths, seed=self.seed) for s in ("w", "z"))
        return dict(zip(("perceptual_path_length", "perceptual_path_length_z"), lengths, strict=True))

    def _copies(self, samples: Tensor) -> dict[str, float]:
        """The share of samples (n, c, h, w), thumbnails, that are copies, where there are held-out images enough."""
        if self.test is None or len(self.test) < LEAST_HELD_OUT or len(self.train) < NEIGHBOURS:
            return {}
        train, held_out = (
            images_of(data, min(most, len(data)), self.seed)
            for data, most in ((self.train, MOST_TRAINED), (self.test, NUM_COPIED))
        )
        return {"copied_share": copied_share(samples, train, held_out)}

    @property
    def _judge(self) -> Judge | None:
        """The network, where it knows the classes of the data."""
        network = self.network
        return network if isinstance(network, Judge) and judge_for(self.train.name) == network.name else None

    def _digits(self, features: Tensor) -> Tensor:
        """The digit in each channel (n, 3) of stacked images, from their features (n, 3 d)."""
        return logits_of(self.network, features.view(3 * len(features), -1)).argmax(1).view(-1, 3)


class TranslationMeasure(Measure):
    """In each direction the held-out images of one domain, mapped, beside the training images of the other."""

    metric, portion = "kernel_distance", 1

    def __init__(
        self, model: Model, train: Dataset, test: Dataset, n: int, seed: int = 0, features: str = "auto"
    ) -> None:
        if train.second is None or test.second is None:
            raise UserError(f"{train.name} has no second domain to compare with: give a run on two domains.")
        self.model, self.train, self.test, self.seed = model, train, test, seed
        self.count = min(n, len(test), len(test.second), len(train), len(train.second))
        self.network: FeatureNetwork | None = None  # points are their own features
        if len(model.shape) == 3:
            self.network = network_for(train.name, model.shape[0], features, model.device)
        self.protocol = _protocol(self.network, self.count, self.count, seed, train, test)

    @property
    def names(self) -> tuple[str, ...]:
        """What is measured, one after the other."""
        return self.model.directions

    @cached_property
    def real(self) -> list[Tensor]:
        """Features (n, d) of what each direction is to arrive at."""
        return self._domains(self.train)[::-1]

    def read(self, count: int) -> list[Tensor]:
        """Features (n, d) of the mapped images, for each direction."""
        mapped: list[list[Tensor]] = [[] for _ in self.model.directions]
        for pair in pairs_of(self.test, count, self.seed):
            for parts, direction in zip(mapped, self.model.directions, strict=True):
                made = self.model.translate(source_of(pair, direction), direction=direction)
                parts.append(self._features([made]))
        return [torch.cat(parts) for parts in mapped]

    def quick(self) -> dict[str, float]:
        distances = {
            f"{direction}/kernel_distance": quick_kernel_distance(real, fake)
            for direction, real, fake in zip(self.names, self.real, self.read(self.count), strict=False)
        }
        return {"kernel_distance": sum(distances.values()) / len(distances), **distances}

    def full(self) -> dict[str, float]:
        values: dict[str, float] = {}
        features = zip(self.names, self.real, self.read(self.count), self._domains(self.test), strict=False)
        for direction, real, fake, source in features:
            own = feature_metrics(real, fake, self.seed)
            values |= {f"{direction}/{name}": value for name, value in own.items()}
            # what a map that changes nothing would get
            values[f"{direction}/kernel_distance_of_inputs"] = _kernel_distance(real, source, self.seed)
        both_ways = there_and_back(self.model, self.test, self.count, self.seed)
        return values | both_ways | beside_the_true_map(self.model, self.test)

    def _domains(self, data: Dataset) -> list[Tensor]:
        """Features (n, d) of the images of both domains."""
        return [self._features(pair[domain] for pair in pairs_of(data, self.count, self.seed)) for domain in (0, 1)]

    def _features(self, images: Iterable[Tensor]) -> Tensor:
        return features_of(self.network, images) if self.network else torch.cat([part.cpu() for part in images])


class DomainMeasure(TranslationMeasure):
    """The samples of a model of two domains, those of each beside its training images."""

    @property
    def names(self) -> tuple[str, ...]:
        return self.model.domains

    @cached_property
    def real(self) -> list[Tensor]:
        return self._domains(self.train)

    def read(self, count: int) -> list[Tensor]:
        """Features (n, d) of samples, for each domain."""
        return [self._features(parts) for parts in self._samples(count)]

    def full(self) -> dict[str, float]:
        values: dict[str, float] = {}
        for place, (domain, real, parts) in enumerate(
            zip(self.names, self.real, self._samples(self.count), strict=True)
        ):
            own = feature_metrics(real, self._features(parts), self.seed) | self._copies(place, parts)
            values |= {f"{domain}/{name}": value for name, value in own.items()}
        return values

    def _samples(self, count: int) -> tuple[list[Tensor], list[Tensor]]:
        """Samples of each domain, in parts: the model gives them by turns."""
        parts = list(streams.samples(self.model, 2 * count, seed=self.seed))
        return [part[0::2] for part in parts], [part[1::2] for part in parts]

    def _copies(self, place: int, parts: list[Tensor]) -> dict[str, float]:
        """The share of a domain's samples that are copies of its training images, where images are enough to tell."""
        domains = [data.second if place else data.images for data in (self.train, self.test)]
        num_train, num_test = (0 if images is None else len(images) for images in domains)
        if self.network is None or num_test < LEAST_HELD_OUT or num_train < NEIGHBOURS:
            return {}
        train, held_out = (
            (pair[place] for pair in pairs_of(data, min(most, count), self.seed))
            for data, most, count in ((self.train, MOST_TRAINED, num_train), (self.test, NUM_COPIED, num_test))
        )
        samples = torch.cat([thumbnails(part.cpu()) for part in parts])
        return {"copied_share": copied_share(samples, train, held_out)}


def feature_metrics(real: Tensor, fake: Tensor, seed: int) -> dict[str, float]:
    """The metrics of features (n, d) and (m, d) alone; those that need equal numbers take the first of each."""
    equal = min(len(real), len(fake))
    paired = min(equal, NUM_PAIRED)
    neighbours = metrics.nearest_neighbour_test(real[:paired], fake[:paired])
    support = metrics.precision_recall(real[:paired], fake[:paired])
    filled = metrics.density_coverage(real[:paired], fake[:paired])
    values = {}
    if equal > real.shape[1]:
        values["frechet_distance"] = metrics.frechet_distance(real[:equal], fake[:equal])
    return values | {
        "kernel_distance": _kernel_distance(real, fake, seed),
        "maximum_mean_discrepancy": metrics.maximum_mean_discrepancy(real[:paired], fake[:paired]),
        "wasserstein_distance": metrics.wasserstein_distance(real[:paired], fake[:paired]),
        "nearest_neighbour_real": neighbours.real,
        "nearest_neighbour_fake": neighbours.fake,
        "precision": support.precision,
        "recall": support.recall,
        "density": filled.density,
        "coverage": filled.coverage,
    }


def copied_share(samples: Tensor, train: Iterable[Tensor], held_out: Iterable[Tensor]) -> float:
    """The share of copies among the first thumbnails of samples (n, c, h, w); training and held-out images in parts."""
    known, unseen = (torch.cat([thumbnails(part) for part in parts]) for parts in (train, held_out))
    return metrics.copied_share(*(metrics.copy_scores(images, known) for images in (samples[:NUM_COPIED], unseen)))


def class_metrics(model: Model, judge: Judge, train: Dataset, n: int, seed: int) -> dict[str, float]:
    """How often the judge reads the class that a model was asked for, in `n` samples.

    Labels are compared by the names of their classes, of which a data set may have some only; codes up to the best
    renaming. Nothing for a model that is told neither, or labels that the judge does not know.
    """
    if not model.conditional and model.code is None:
        return {}
    condition, count = streams.classes(model)
    places = {name: place for place, name in enumerate(judge.classes)}
    if condition == "label" and not set(train.class_names) <= set(places):
        return {}
    each = max(1, n // count)
    samples = [streams.samples(model, each, seed=seed, **{condition: value}) for value in range(count)]
    read = torch.cat([logits_of(judge, features_of(judge, parts)).argmax(1) for parts in samples])
    asked = torch.arange(count).repeat_interleave(each)
    if condition == "label":
        asked = torch.tensor([places[name] for name in train.class_names])[asked]
        return {"label_fidelity": metrics.label_fidelity(read, asked)}
    return {
        "code_accuracy": metrics.clustering_accuracy(asked, read),
        "code_mutual_information": metrics.normalised_mutual_information(asked, read),
        "code_rand_index": metrics.adjusted_rand_index(asked, read),
    }


def known_mode_coverage(points: Tensor, data: str) -> ModeCoverage:
    """The modes of the mixture `ring` or `grid` that points (n, 2) cover at 3 standard deviations."""
    return metrics.mode_coverage(points, mode_centres(data).to(points.device), MODE_STD[data])


def classifier_accuracy(model: Model, test: Dataset) -> float:
    """The share of held-out images whose class a model names rightly, from 0 to 1."""
    parts = [(model.classify(image).cpu(), label) for image, label in labelled_images_of(test, len(test), 0)]
    predicted, labels = zip(*parts, strict=True)
    return metrics.accuracy(torch.cat(predicted), torch.cat(labels))


def live_classes(real: Tensor, fake: Tensor) -> dict[str, float]:
    """How many classes are alive, from the classes (n,) that a judge reads in reals and in fakes.

    Of those in at least 1 % of the reals, it counts the ones that the fakes show at least a tenth as often.
    """
    count = int(max(real.max(), fake.max())) + 1
    shares = [torch.bincount(classes, minlength=count) / len(classes) for classes in (real, fake)]
    present = shares[0] >= 0.01
    return {"classes": int((present & (shares[1] >= shares[0] / 10)).sum()), "classes_of": int(present.sum())}


def quick_kernel_distance(real: Tensor, fake: Tensor) -> float:
    """Of all features at once: (n, d), (m, d)."""
    return metrics.kernel_distance(real, fake, subsets=1, subset_size=min(len(real), len(fake))).mean


def _kernel_distance(real: Tensor, fake: Tensor, seed: int) -> float:
    return metrics.kernel_distance(real, fake, subset_size=min(len(real), len(fake), 1000), seed=seed).mean


def _protocol(
    network: FeatureNetwork | None, num_real: int, num_fake: int, seed: int, reals: Dataset, held_out: Dataset | None
) -> Protocol:
    """How the features of a network are measured, or, without one, points."""
    features, digest, rule = (network.name, network.digest, network.rule) if network else ("points", "", "")
    sums = {"reference": reals.checksum()[:16], "held_out": "" if held_out is None else held_out.checksum()[:16]}
    return Protocol(features, digest, num_real, num_fake, rule, seed, **sums)


def _is_stacked(train: Dataset) -> bool:
    return train.name == "stacked_mnist"
