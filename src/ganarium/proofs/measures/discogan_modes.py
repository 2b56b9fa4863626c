"""Measures whether points of one ring are mapped to those of another one to one, mode by mode."""

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ganarium.data.dataset import Dataset
from ganarium.data.sources.points import mode_centres
from ganarium.proofs.experiment import Experiment, Measure, Measured, labels_of

SHRUNK, TURN = 0.25, 0.3  # the first domain is the ring made so small, the second is it turned, in radians


class Modes(Measure):
    """modes: the number of different modes of the second domain that the eight of the first are mapped to, each to
    the one that is nearest to most of its held-out points, and of the way back, the smaller of the two; near: the share
    of mapped points that lie within a quarter of the distance of two modes from one, the smaller of the two ways;
    cycle_error: the mean distance between a point and where it comes back to, divided by the radius of its ring, the
    larger of the two ways."""

    def data(self, experiment: Experiment) -> Dataset:
        return self.domains(experiment.train)

    def domains(self, data: Dataset) -> Dataset:
        """A split of `ring` as two domains."""
        raise NotImplementedError

    def centres(self) -> list[Tensor]:
        """The centres (8, 2) of the modes of each domain."""
        raise NotImplementedError

    def read(self, experiment: Experiment, model: Any) -> Measured:
        test, centres, mapped = self.domains(experiment.test), self.centres(), []
        modes, near, errors = [], [], []
        for domain, direction, back in ((0, "a2b", "b2a"), (1, "b2a", "a2b")):
            own = (test.images, test.second)[domain]
            assert own is not None
            points = model.translate(own, direction=direction)
            distance, nearest = torch.cdist(points, centres[1 - domain]).min(1)
            mode = torch.cdist(own, centres[domain]).argmin(1)
            modes.append(len({nearest[mode == k].mode().values.item() for k in range(len(centres[0]))}))
            radius = [centre.norm(dim=1).mean().item() for centre in centres]
            apart = 2 * radius[1 - domain] * math.sin(math.pi / len(centres[0]))
            near.append((distance < apart / 4).double().mean().item())
            returned = model.translate(points, direction=back)
            errors.append((returned - own).norm(dim=1).mean().item() / radius[domain])
            mapped.append(points)
        return Measured({"modes": min(modes), "near": min(near), "cycle_error": max(errors)}, mapped[0][:2000])


class MatchedModes(Modes):
    """Both domains are drawn from `ring`, from different points: the first made four times as small, the second turned
    by 0.3."""

    def domains(self, data: Dataset) -> Dataset:
        first, second = data.images.chunk(2)
        return replace(data, images=place(first, 0), second=place(second, 1), labels=None, class_names=())

    def centres(self) -> list[Tensor]:
        return [place(mode_centres("ring"), domain) for domain in (0, 1)]


class MatchedRings(Modes):
    """Both domains are eight Gaussians: the first on a circle of radius 0.25, with a standard deviation of 0.02, the
    second on one of 1.5, turned by 0.3, with 0.05."""

    def domains(self, data: Dataset) -> Dataset:
        generator = torch.Generator().manual_seed(len(data))
        first, second = (
            centre[label] + deviation * torch.randn(len(label), 2, generator=generator)
            for centre, label, deviation in zip(self.centres(), labels_of(data).chunk(2), (0.02, 0.05), strict=True)
        )
        return replace(data, images=first, second=second, labels=None, class_names=())

    def centres(self) -> list[Tensor]:
        unit = mode_centres("ring") / mode_centres("ring").norm(dim=1, keepdim=True)
        return [0.25 * unit, 1.5 * place(unit, 1)]


def place(points: Tensor, domain: int) -> Tensor:
    """Points (n, 2) of `ring` where a domain has them."""
    if domain == 0:
        return SHRUNK * points
    cosine, sine = math.cos(TURN), math.sin(TURN)
    return points @ torch.tensor([[cosine, sine], [-sine, cosine]])
