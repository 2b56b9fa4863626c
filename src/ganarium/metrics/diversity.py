"""Measures the diversity of samples of one input by distances between feature maps: LPIPS, if its weights are given.

The name LPIPS belongs to the published backbones together with their learned weights (Zhang et al. 2018, arXiv
1801.03924, version 0.1). With any other network, or without the weights, the number is another: `feature_diversity`.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ganarium.errors import UserError
from ganarium.metrics.checks import as_double, as_tensor

FeatureMaps = Callable[[Tensor], Sequence[Tensor]]


def feature_map_distance(a: Sequence[Tensor], b: Sequence[Tensor], weights: Sequence[Tensor] | None = None) -> Tensor:
    """Distances (n,) of feature maps, one (n, c, h, w) per layer, as LPIPS takes them (arXiv 1801.03924, eq. 1).

    Each map is scaled to unit length over its channels at each place; the squared difference is weighted per channel by
    `weights`, one tensor of c numbers per layer (all 1 when None); then the mean over places, and the sum over channels
    and layers.

    Raises `UserError` when layers, shapes or numbers of weights do not fit, a weight is negative, or all is not finite.
    """
    if not a or len(a) != len(b) or (weights is not None and len(weights) != len(a)):
        extra = "" if weights is None else f" with {len(weights)} sets of weights"
        raise UserError(f"feature maps must come layer by layer for both, not {len(a)} and {len(b)} layers{extra}.")
    total = torch.zeros((), dtype=torch.float64)
    for layer, (x, y) in enumerate(zip(a, b, strict=True)):
        x, y = as_tensor(x, f"layer {layer} of a"), as_tensor(y, f"layer {layer} of b")
        if x.dim() != 4 or x.shape != y.shape:
            raise UserError(
                f"layer {layer} must give maps (n, c, h, w) of one shape, not {tuple(x.shape)} and {tuple(y.shape)}."
            )
        x, y = as_double(x, f"layer {layer} of a"), as_double(y, f"layer {layer} of b").to(x.device)
        unit_x, unit_y = (maps / (maps.norm(dim=1, keepdim=True) + 1e-10) for maps in (x, y))
        distance = (unit_x - unit_y).square()
        if weights is not None:
            weight = as_double(weights[layer], f"the weights of layer {layer}").flatten().to(distance)
            if len(weight) != x.shape[1] or bool((weight < 0).any()):
                raise UserError(f"layer {layer} needs {x.shape[1]} weights, none below 0, not {len(weight)} such.")
            distance = distance * weight.view(1, -1, 1, 1)
        total = total.to(distance.device) + distance.mean((2, 3)).sum(1)
    return total


def feature_diversity(samples: Tensor, network: FeatureMaps) -> float:
    """Mean `feature_map_distance` over pairs of samples of the same input: (inputs, samples, c, h, w); at least 0.

    Higher is more diverse, but noise scores high too: print the value of random real pairs and a measure of realism
    beside it. `network` maps images (n, c, h, w) to feature maps, one per layer. All pairs of samples of an input are
    taken, and the inputs count alike. Not LPIPS: its values are only comparable with those of the same network.

    Raises `UserError` for another shape, or fewer than two samples per input.
    """
    return _mean_over_pairs(samples, network, None)


def lpips_diversity(samples: Tensor, network: FeatureMaps, weights: Sequence[Tensor]) -> float:
    """Mean LPIPS over pairs of samples of the same input, (inputs, samples, c, h, w) in [-1, 1]; at least 0.

    `network` is the published backbone (AlexNet to evaluate) with its scaling of the input, and gives its five layers;
    `weights` are the learned ones of version 0.1, c numbers per layer. BicycleGAN and MUNIT report it. All pairs of
    samples of an input are taken. As `feature_diversity`, print the value of random real pairs beside it.

    Raises `UserError` without weights: then nothing can be reported under this name.
    """
    if not weights:
        raise UserError("LPIPS needs its learned weights: without them use feature_diversity, which is another number.")
    return _mean_over_pairs(samples, network, weights)


@torch.no_grad()
def _mean_over_pairs(samples: Tensor, network: FeatureMaps, weights: Sequence[Tensor] | None) -> float:
    samples = as_tensor(samples, "samples")
    if samples.dim() != 5 or samples.shape[0] == 0 or samples.shape[1] < 2:
        raise UserError(
            "samples must be (inputs, samples, c, h, w) with at least two samples of each input, "
            f"not {tuple(samples.shape)}."
        )
    values = []
    for group in samples:
        maps = network(group)
        i, j = torch.triu_indices(len(group), len(group), offset=1)
        for first, second in zip(i.split(32), j.split(32), strict=True):
            a, b = ([layer[part.to(layer.device)] for layer in maps] for part in (first, second))
            values.append(feature_map_distance(a, b, weights))
    return float(torch.cat(values).mean())
