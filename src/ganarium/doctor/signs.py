"""The signs of a sick training run: their likely causes, what to try, and the note that reports one."""

import textwrap
from dataclasses import dataclass
from typing import Any

ADVICE: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {  # sign -> likely causes, what to try
    "saturated": (
        ("D learns too fast for G", "G is too small or learns too slowly", "a loss whose gradient vanishes"),
        ("a lower learning rate for D", "fewer updates of D for one of G", "a wider G", "a loss without ceiling"),
    ),
    "collapsed": (
        ("G ignores its noise", "the training data are all alike", "G exploits a D that is too slow or too small"),
        ("ganarium data on the training set", "a lower learning rate for G", "a larger batch", "more updates of D"),
    ),
    "oscillating": (
        ("a learning rate is too high", "too much momentum", "D and G chase each other round the equilibrium"),
        ("a lower learning rate for D, then for G", "a lower beta1", "a larger batch", "a gradient penalty"),
    ),
    "dead": (
        ("units of D that are zero everywhere", "D's learning rate is too high", "scores too large for floats"),
        ("a lower learning rate for D", "LeakyReLU for ReLU in D", "another --seed", "normalisation in D"),
    ),
    "checkerboard": (
        ("transposed convolutions whose kernels overlap unevenly", "G has not yet learned to undo their pattern"),
        ("--upsampling resize where the model has it", "more steps", "a kernel that is a multiple of the stride"),
    ),
    "unmixed": (
        ("each batch holds one kind of image", "the data are sorted and not shuffled"),
        ("shuffled data",),
    ),
    "memorised": (
        ("too few training images for D", "many steps on the same images"),
        ("--augment diff", "more training images", "fewer steps", "a narrower D"),
    ),
    "overfitted": (
        ("too few training images for D, however they are augmented", "many steps on the same images"),
        ("an earlier checkpoint", "more training images", "a narrower D"),
    ),
    "exploding": (
        ("a learning rate is too high", "a penalty's weight is too high or too low", "16-bit precision"),
        ("a lower learning rate", "another weight of the penalty", "--precision fp32", "a limit on gradients"),
    ),
    "nan in the data": (
        ("images or labels that are not finite", "a transformation that divides by zero"),
        ("ganarium data on the training set, then a new run",),
    ),
    "nan in the samples": (
        ("G's output has overflowed",),
        ("a new run with a lower learning rate for G or another --seed", "an output with bounds"),
    ),
    "blow-up": (
        ("a learning rate is too high", "a penalty or a loss without a bound"),
        ("a new run with a lower learning rate or another --seed", "a limit on the gradient's norm"),
    ),
    "nan in the gradient": (
        ("a derivative that does not exist (the root or the norm of 0)", "a gradient too large for its precision"),
        ("a new run with a lower learning rate or another --seed", "--precision fp32"),
    ),
    "nan": (
        ("a batch with values that are not finite", "an operation without a value (0 / 0, the log of 0)"),
        ("a new run with a lower learning rate or another --seed", "ganarium data on the training set"),
    ),
}


@dataclass(frozen=True)
class Note:
    """Reports one sign, when it appeared."""

    step: int
    sign: str
    """A key of ADVICE."""
    player: str
    """Whom it is about: a player, "samples" or "data"."""
    evidence: str
    """What was measured, in words with numbers."""
    left_out: str = ""
    """An option that is no remedy, since the run has it already or the model has it not: --augment."""

    @property
    def remedies(self) -> tuple[str, ...]:
        """What to try, the likeliest first."""
        return tuple(way for way in ADVICE[self.sign][1] if not self.left_out or not way.startswith(self.left_out))

    def line(self) -> str:
        """The note for the terminal, at most 160 characters."""
        advice = f"; try {self.remedies[0]}"
        text = f"doctor: {self.sign}: {self.evidence}"
        return textwrap.shorten(text, 160 - len(advice), placeholder=" ...") + advice

    def record(self) -> dict[str, Any]:
        """The note as a line of doctor.jsonl."""
        return {
            "step": self.step,
            "sign": self.sign,
            "player": self.player,
            "seen": self.evidence,
            "causes": list(ADVICE[self.sign][0]),
            "try": list(self.remedies),
        }
