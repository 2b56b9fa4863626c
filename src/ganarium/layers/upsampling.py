"""How generators that map images to images enlarge their maps."""

from typing import Literal

Upsampling = Literal["transposed", "resize"]
"""Transposed convolutions, as most papers have them; or nearest-neighbour resizing and a convolution, which draws no
checkerboards (Odena, Dumoulin and Olah 2016)."""
