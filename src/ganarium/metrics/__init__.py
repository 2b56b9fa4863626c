"""Measures samples: metrics are plain functions of features, probabilities, labels or pixels.

The public names are loaded when they are first used. Each docstring says what the function takes, its range and its
estimator. `judges/` has the networks that read images.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOMES = {
    "Moments": "frechet",
    "frechet_distance": "frechet",
    "kernel_distance": "kernel",
    "maximum_mean_discrepancy": "kernel",
    "wasserstein_distance": "wasserstein",
    "inception_score": "scores",
    "mode_score": "scores",
    "nearest_neighbour_test": "neighbours",
    "precision_recall": "neighbours",
    "density_coverage": "neighbours",
    "mode_coverage": "modes",
    "stacked_mode_coverage": "modes",
    "accuracy": "labels",
    "label_fidelity": "labels",
    "clustering_accuracy": "clusters",
    "normalised_mutual_information": "clusters",
    "adjusted_rand_index": "clusters",
    "copied_share": "copies",
    "copy_scores": "copies",
    "psnr": "pixels",
    "sharpness_ratio": "pixels",
    "ssim": "pixels",
    "feature_map_distance": "diversity",
    "feature_diversity": "diversity",
    "lpips_diversity": "diversity",
    "nll": "likelihood",
    "path_lengths": "path_length",
    "perceptual_path_length": "path_length",
}
__all__ = [*_HOMES]

if TYPE_CHECKING:
    from ganarium.metrics.clusters import adjusted_rand_index as adjusted_rand_index
    from ganarium.metrics.clusters import clustering_accuracy as clustering_accuracy
    from ganarium.metrics.clusters import normalised_mutual_information as normalised_mutual_information
    from ganarium.metrics.copies import copied_share as copied_share
    from ganarium.metrics.copies import copy_scores as copy_scores
    from ganarium.metrics.diversity import feature_diversity as feature_diversity
    from ganarium.metrics.diversity import feature_map_distance as feature_map_distance
    from ganarium.metrics.diversity import lpips_diversity as lpips_diversity
    from ganarium.metrics.frechet import Moments as Moments
    from ganarium.metrics.frechet import frechet_distance as frechet_distance
    from ganarium.metrics.kernel import kernel_distance as kernel_distance
    from ganarium.metrics.kernel import maximum_mean_discrepancy as maximum_mean_discrepancy
    from ganarium.metrics.labels import accuracy as accuracy
    from ganarium.metrics.labels import label_fidelity as label_fidelity
    from ganarium.metrics.likelihood import nll as nll
    from ganarium.metrics.modes import mode_coverage as mode_coverage
    from ganarium.metrics.modes import stacked_mode_coverage as stacked_mode_coverage
    from ganarium.metrics.neighbours import density_coverage as density_coverage
    from ganarium.metrics.neighbours import nearest_neighbour_test as nearest_neighbour_test
    from ganarium.metrics.neighbours import precision_recall as precision_recall
    from ganarium.metrics.path_length import path_lengths as path_lengths
    from ganarium.metrics.path_length import perceptual_path_length as perceptual_path_length
    from ganarium.metrics.pixels import psnr as psnr
    from ganarium.metrics.pixels import sharpness_ratio as sharpness_ratio
    from ganarium.metrics.pixels import ssim as ssim
    from ganarium.metrics.scores import inception_score as inception_score
    from ganarium.metrics.scores import mode_score as mode_score
    from ganarium.metrics.wasserstein import wasserstein_distance as wasserstein_distance


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"ganarium.metrics.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'ganarium.metrics' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
