"""Measures whether the network that scores the match of image and label knows which label an unseen image has."""

from typing import Any

import torch
from scipy.stats import mannwhitneyu
from torch import Tensor

from ganarium.data.batches import Batches
from ganarium.data.dataset import decode
from ganarium.losses import as_fake, as_real
from ganarium.model import Step
from ganarium.proofs.experiment import Experiment, Measured, labels_of
from ganarium.proofs.measures.label_fidelity import LabelFidelity

COUNT = 5000


class MatchArea(LabelFidelity):
    """area: the area under the ROC curve that parts the scores of 5,000 held-out images with their own label from those
    with another label, which is the chance that the right label scores higher. D has the statistics of batches of 500
    with both kinds, as in training, and an exponential average of its weights (decay 0.99)."""

    def prepare(self, experiment: Experiment, model: Any) -> None:
        model.ema = {"discriminator": 0.99}  # the weights of the last step alone are unsteady

    def read(self, experiment: Experiment, model: Any) -> Measured:
        values, images = super().read(experiment, model)
        return Measured({"area": area(experiment, model), **values}, images)


def without_mismatched(model: Any, batches: Batches) -> Step:
    """The model's step without real images that have another label: only fakes are examples of what does not match."""
    D, Q, G = model.D, model.quality, model.generate
    real, label = next(batches)
    with torch.no_grad():
        fake = G(len(real), label=label)
    terms = {"match": as_real(D(real, label)), "mismatch": as_fake(D(fake, label))}
    yield "D", terms | {"real": as_real(Q(real)), "fake": as_fake(Q(fake))}
    fake = G(len(real), label=label)
    yield "G", {"adversarial": as_real(D(fake, label)), "quality": as_real(Q(fake))}


@torch.no_grad()
def area(experiment: Experiment, model: Any) -> float:
    """The area under the ROC curve of right labels over wrong ones, each held-out image with both. D is in the mode of
    training: its running statistics are of reals, wrong pairs and fakes alike, and unsteady."""
    test = experiment.test
    images, labels = test.images[:COUNT].split(500), labels_of(test)[:COUNT].to(experiment.device)
    torch.manual_seed(experiment.seed)
    was_training, scores = model.training, []
    with model.averaged():
        model.train()
        for part, label in zip(images, labels.split(500), strict=True):
            image = decode(part).to(experiment.device).repeat(2, 1, 1, 1)
            scores.append(model.D(image, torch.cat([label, model.another(label)])).view(2, -1))
        model.train(was_training)
    return chance_above(*torch.cat(scores, 1))


def chance_above(right: Tensor, wrong: Tensor) -> float:
    """The chance that one of `right` (n,) is above one of `wrong` (m,); equal ones count half."""
    statistic = mannwhitneyu(right.cpu().double(), wrong.cpu().double(), method="asymptotic").statistic
    return float(statistic) / (len(right) * len(wrong))
