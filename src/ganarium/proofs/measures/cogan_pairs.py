"""Measures whether the two images of a pair show the same digit, though no pairs were shown to the model."""

from typing import Any

import torch
from torch import Tensor

from ganarium.data.dataset import decode
from ganarium.proofs.experiment import Experiment, Measure, Measured
from ganarium.proofs.measures.samples import judge_of

COUNT = 2000  # pairs


class PairsOfDigits(Measure):
    """The domains are MNIST and its negative, each from another half of it. same_digit: the share of 2,000 pairs in
    whose two images, the second turned back into a positive, a judge (a small classifier that comes with ganarium)
    reads one digit; commonest_class and rarest_class: the largest and the smallest share of a class of the judge, over
    both domains; pixels: the share of equal pixels, after each is made black or white."""

    def read(self, experiment: Experiment, model: Any) -> Measured:
        images = model.sample(2 * COUNT, seed=experiment.seed)
        return Measured(self.values(experiment, images[::2], -images[1::2]), images[:64])

    def values(self, experiment: Experiment, a: Tensor, b: Tensor) -> dict[str, float]:
        """Returns the values of pairs (n, c, h, w), both as positives."""
        judge = judge_of(experiment.train, experiment.device)
        first, second = (judge.logits(part).argmax(1) for part in (a, b))
        shares = torch.stack([part.bincount(minlength=judge.num_classes) / len(part) for part in (first, second)])
        return {
            "same_digit": (first == second).double().mean().item(),
            "commonest_class": shares.max().item(),
            "rarest_class": shares.min().item(),
            "pixels": ((a > 0) == (b > 0)).double().mean().item(),
        }

    def baselines(self, experiment: Experiment) -> dict[str, dict[str, float]]:
        test = experiment.test
        assert test.second is not None
        chance = self.values(experiment, decode(test.images[:COUNT]), -decode(test.second[:COUNT]))
        copies = self.values(experiment, decode(test.images[:COUNT]), decode(test.images[:COUNT]))
        return {"test_images_by_chance": chance, "true_pairs": copies, **super().baselines(experiment)}
