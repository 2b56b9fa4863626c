"""Measures what the styles of a generator are for: which layers own the class, and how straight paths between images
are."""

from typing import Any

import torch

from ganarium.evaluation.path_length import path_length
from ganarium.proofs.experiment import Experiment, Measure, Measured
from ganarium.proofs.measures.samples import judge_of

SAMPLES = 1000


class Styles(Measure):
    """w_over_z: the perceptual path length in w over that in z, each of 1,000 paths, on the features of a judge (a
    small classifier that comes with ganarium), as vectors of length 1. Images A and B of 1,000 pairs of codes, all with
    the same noise, are mixed: styles of A up to 8x8 pixels, and of B in finer layers; of those whose classes differ,
    kept_class: the share that has A's class, fine_class: B's. path_w, path_z: the two lengths."""

    def read(self, experiment: Experiment, model: Any) -> Measured:
        seed = experiment.seed
        judge = judge_of(experiment.train, experiment.device)
        length = {space: path_length(model, judge, space=space, n=SAMPLES, seed=seed) for space in ("w", "z")}
        torch.manual_seed(seed)
        codes = model.latent(2 * SAMPLES).chunk(2)
        a, b = (judge.logits(model.sample(SAMPLES, latent=z, noise_seed=0)).argmax(1) for z in codes)
        mixed = model.sample(SAMPLES, latent=codes[0], second=codes[1], crossover=4, noise_seed=0)
        of_mixed, differ = judge.logits(mixed).argmax(1), a != b
        values = {
            "w_over_z": length["w"] / length["z"],
            "kept_class": (of_mixed == a)[differ].double().mean().item(),
            "fine_class": (of_mixed == b)[differ].double().mean().item(),
            "path_w": length["w"],
            "path_z": length["z"],
        }
        return Measured(values, mixed[:64])
