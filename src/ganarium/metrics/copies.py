"""Says how many samples are copies of training images: a number that no distance between distributions gives.

Images are compared as thumbnails, 16 pixels a side, and as their mirror images too. A copy that was mirrored, shifted
by two of 64 pixels, compressed anew or all of that still has one training image far nearer than the next ones.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ganarium.errors import UserError
from ganarium.metrics.checks import as_double, as_features, as_tensor, require_samples
from ganarium.metrics.distances import squared_blocks

THUMBNAIL = 16  # pixels a side, at most
NEIGHBOURS = 6  # the nearest training image is held against this one, so that a few doubles in the data hide nothing
ALLOWED = 0.05  # the share of held-out images that are called copies: false alarms
LEAST_HELD_OUT = 20  # below which a twentieth of them is no image


def thumbnails(images: Tensor) -> Tensor:
    """Images (n, c, h, w), reduced to the means of areas, at most 16 pixels a side; smaller sides stay."""
    height, width = images.shape[2:]
    return F.adaptive_avg_pool2d(images, (min(height, THUMBNAIL), min(width, THUMBNAIL)))


def copy_scores(images: Tensor, train: Tensor) -> Tensor:
    """How near each image (n, c, h, w) is to its nearest training image (m, c, h, w), as a share of the distance to the
    sixth: float64 (n,), from 0 for a copy to 1. Images may be thumbnails already.

    Raises `UserError` for fewer than six training images, another shape, whole numbers beside floats (0 to 255 and -1
    to 1 have no common scale), or NaN.
    """
    images, train = as_tensor(images, "the images"), as_tensor(train, "the training images")
    if images.is_complex() or images.is_floating_point() != train.is_floating_point():
        raise UserError(
            "images and training images must both be floats, or both whole numbers, not "
            f"{' and '.join(str(values.dtype).removeprefix('torch.') for values in (images, train))}: scale them alike."
        )
    if images.dim() != 4 or images.shape[1:] != train.shape[1:]:
        raise UserError(
            f"images and training images must both be (n, c, h, w) of one size, not {tuple(images.shape)} and "
            f"{tuple(train.shape)}."
        )
    if not images.is_floating_point():
        images, train = images.float(), train.float()
    known = as_features(thumbnails(train).flatten(1), "the training images", NEIGHBOURS)
    small = thumbnails(images)
    nearest = torch.cat(
        [
            torch.cat([squared.topk(NEIGHBOURS, largest=False).values for squared in squared_blocks(seen, known)])
            for seen in (as_features(side.flatten(1), "the images") for side in (small, small.flip(3)))
        ],
        1,
    )
    nearest = nearest.topk(NEIGHBOURS, largest=False).values.sqrt()  # ascending
    first, last = nearest[:, 0], nearest[:, -1]
    return torch.where(last > 0, first / last.clamp(min=torch.finfo(last.dtype).tiny), 0)


def copied_share(scores: Tensor, held_out: Tensor) -> float:
    """The share of samples that are copies, from 0 to 1, by the scores (n,) of samples and of held-out images.

    A sample counts whose score is below that of all but the lowest 5 % of the held-out images. These 5 % are taken off:
    of images that know nothing of the training set the share is about 0. Raises `UserError` for fewer than 20 held-out
    images, no samples, another shape, or NaN.
    """
    scores, held_out = as_double(scores, "scores"), as_double(held_out, "held_out")
    if scores.dim() != 1 or held_out.dim() != 1:
        raise UserError(
            f"scores and held_out must be a number per image (n,), not of shape {tuple(scores.shape)} and "
            f"{tuple(held_out.shape)}."
        )
    require_samples(len(scores), "scores", 1)
    if len(held_out) < LEAST_HELD_OUT:
        raise UserError(f"copies are counted beside {LEAST_HELD_OUT} held-out images or more, not {len(held_out)}.")
    nearer = float((scores < held_out.to(scores.device).quantile(ALLOWED)).double().mean())
    return max(0.0, (nearer - ALLOWED) / (1 - ALLOWED))
