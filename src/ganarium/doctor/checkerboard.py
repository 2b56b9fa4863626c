"""Detects the checkerboards that transposed convolutions draw (Odena, Dumoulin and Olah 2016).

Such a pattern stands still: it has the same place on the grid of pixels in every picture, which nothing in a photograph
has. So the difference between a pixel and its four neighbours is averaged over all pictures and all squares of 4x4
pixels. What is left at the 16 places is noise for pictures, and the pattern for checkerboards of periods 2 and 4.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

PERIOD = 4  # pixels: the last two layers of stride 2
LIMIT = 64  # pictures
SMALLEST = 16  # pixels of the shorter side
FROM_STEP = 2000  # before that networks still lose the pattern that all transposed convolutions begin with
STRONG, ABOVE_REALS = 0.75, 4.0  # strength from which it is told, and in that of the held-out images


def strength(images: NDArray[Any]) -> float:
    """The largest mean difference of one place of the 4x4 from the others, in the root mean square of the differences.

    Images are (n, c, h, w), of which the first 64 count; 0 for what is too small to say. Photographs have up to 0.1,
    and an untrained generator with transposed convolutions has 0.8 and more.
    """
    x = np.asarray(images[:LIMIT], np.float64)
    if x.ndim != 4 or min(x.shape[2:]) < SMALLEST or not np.isfinite(x).all():
        return 0.0
    x = x.mean(1)
    around = (x[:, :-2, 1:-1] + x[:, 2:, 1:-1] + x[:, 1:-1, :-2] + x[:, 1:-1, 2:]) / 4
    difference = x[:, 1:-1, 1:-1] - around
    n, rows, columns = len(x), *(side // PERIOD for side in difference.shape[1:])
    squares = difference[:, : rows * PERIOD, : columns * PERIOD].reshape(n, rows, PERIOD, columns, PERIOD)
    places = squares.mean((0, 1, 3))
    size = float(np.sqrt(np.square(squares).mean()))
    return float(np.abs(places - places.mean()).max()) / size if size > 0 else 0.0


def evidence(step: int, samples: NDArray[Any], strength_of_reals: float) -> str:
    """What is to be told of the samples of a step; "" if nothing is."""
    if step < FROM_STEP:
        return ""
    now = strength(samples)
    if now < max(STRONG, ABOVE_REALS * strength_of_reals):
        return ""
    return f"one pattern on the grid in all samples, {now:.2f} of their detail ({strength_of_reals:.2f} in reals)"
