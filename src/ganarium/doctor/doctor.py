"""The doctor: looks at a training run as it goes, and says when it is sick, why that may be, and what to try.

It sees only what the log and the pictures read from the device anyway: the terms of every update, the scores that the
step handed to `watch`, a few numbers of the reals that it drew, the samples of a picture. It knows no model, so every
sign is defined without a scale: by ranks, by the spread of a batch, by what an untrained model had, by distances
between held-out images. `docs/doctor.md` says how each number is measured and how far healthy runs stay away from it.
"""

import math
import textwrap
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ganarium.doctor.batches import BatchStatistics, f_statistic
from ganarium.doctor.samples import Gallery
from ganarium.errors import Diverged
from ganarium.model import FAKE, PENALTY, REAL

LOOK = 50  # iterations to an examination: fewer say little about a trend
ENOUGH = 8  # scores: fewer have no spread to speak of
SWING = 300  # iterations in which a swing must be seen three times
CALM = 3  # examinations without a sign after which it has gone, and can be told again

SEPARATED = 0.99  # chance that a real scores on the other side of a fake: 0.5 is no difference, 1 no overlap
VANISHED = 0.01  # part of an untrained D's loss
AHEAD, STALLED = 0.35, 350  # the same part, where for so many iterations the samples come no nearer to the data
FLAT = 1e-3  # spread of the scores of fakes, in spreads of those of reals
CONSTANT = 1e-6  # spread of all scores, in parts of their size
UNMIXED = 3.0  # how much batches differ, in what chance gives: of 8 reals they pass it once in 10^7 examinations
LEAP = 1.2  # of the mean score of reals against that of fakes, from update to update, in spreads within a batch
WAVE, DEPTH = 0.6, 0.2  # correlation with itself a period later, and size in parts of the mean
EXPLODED = 1000.0  # times the largest term of an untrained model, or times 1
GROWN = 100.0  # times in the last steps before a number that is not finite
HUGE = 1e12  # a term, whatever those before it were

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
    "unmixed": (
        ("each batch holds one kind of image", "the data are sorted and not shuffled"),
        ("shuffled data",),
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
}  # fmt: skip


@dataclass(frozen=True)
class Note:
    """One sign, when it appeared."""

    step: int
    sign: str
    """A key of ADVICE."""
    player: str
    """Whom it is about: a player, "samples" or "data"."""
    seen: str
    """What was measured, in words with numbers."""

    @property
    def remedies(self) -> tuple[str, ...]:
        """What to try, the likeliest first."""
        return ADVICE[self.sign][1]

    def line(self) -> str:
        """For the terminal, at most 160 characters."""
        advice = f"; try {self.remedies[0]}"
        return textwrap.shorten(f"doctor: {self.sign}: {self.seen}", 160 - len(advice), placeholder=" ...") + advice

    def record(self) -> dict[str, Any]:
        """A line of doctor.jsonl."""
        return asdict(self) | {"causes": list(ADVICE[self.sign][0]), "try": list(self.remedies)}


class Finding(NamedTuple):
    """Whether a sign is there at one examination: `seen` says how, and is empty if it is not."""

    sign: str
    player: str
    seen: str
    sure: bool = False  # it need not be seen twice


@dataclass
class Course:
    """How a sign has come and gone."""

    streak: int = 0  # examinations in a row with it
    calm: int = 0  # and without it
    told: bool = False


class Scores(NamedTuple):
    """The scores that one pair of watched tensors gave in an examination: of reals, then of fakes."""

    separation: float  # see SEPARATED
    means: tuple[float, float]
    spreads: tuple[float, float]  # within a batch
    leap: float  # see LEAP; 0 where a sample has many scores


class Doctor:
    """Keeps what it has seen, and tells each sign once until it has gone and come again.

    `first` are the terms of the untrained model where the run began before; else the first row is taken.
    """

    def __init__(self, batch_size: int, first: dict[str, float] | None = None) -> None:
        self.batch_size, self.first = batch_size, first or {}
        self._rows: list[dict[str, float]] = []  # since the last examination
        self._means: list[dict[str, float]] = []
        self._drawn: dict[tuple[str, int], list[BatchStatistics]] = {}  # by field and size
        self._recent: deque[dict[str, float]] = deque(maxlen=STALLED)
        self._losses: deque[dict[str, float]] = deque(maxlen=STALLED)  # of the same rows
        self._galleries: dict[str, Gallery] = {}
        self._courses: dict[tuple[str, str], Course] = {}

    def look(
        self,
        rows: list[dict[str, float]],
        means: list[dict[str, float]],
        observed: dict[str, NDArray[Any]],
        drawn: dict[str, BatchStatistics],
    ) -> list[Note]:
        """New notes from what `Trainer.drain` gave: terms, means of the scores, the last scores, batches."""
        self.first = self.first or rows[0]
        self._rows, self._means = self._rows + rows, self._means + means
        for name, batches in drawn.items():
            self._drawn.setdefault((name, batches.size), []).append(batches)
        if len(self._rows) < LOOK:
            return []
        self._recent.extend(self._rows)
        self._losses.extend(map(losses, self._rows))
        found = self._unmixed()
        mixed = not any(finding.seen for finding in found)
        found += [*self._exploding(), *self._swinging()]
        judged: dict[str, list[Scores]] = {}
        for real, fake in pairs(observed):
            both = np.concatenate([observed[real], observed[fake]])
            if len(both) >= 2 * ENOUGH and np.isfinite(both).all():
                judged.setdefault(real.split("/")[0], []).append(self._scores(real, fake, observed))
        for player, scores in judged.items():
            found += self._judged(player, scores, mixed)
        self._rows, self._means, self._drawn = [], [], {}
        return self._told(int(rows[-1]["step"]), found)

    def see(self, step: int, samples: NDArray[Any], reals: NDArray[Any], where: str = "") -> list[Note]:
        """New notes from the samples of a picture beside held-out reals: (n, c, h, w) or points (n, 2) each.

        `where` tells the directions of a model that maps images apart.
        """
        if where not in self._galleries:
            self._galleries[where] = Gallery(reals)
        seen, sure = self._galleries[where].look(step, samples)
        return self._told(step, [Finding("collapsed", f"samples {where}".strip(), seen, sure)])

    def explain(self, error: Diverged) -> Note:
        """Where a number that is not finite came from."""
        numbers = [
            (name, math.isfinite(number)) for found in (error.terms, error.means) for name, number in found.items()
        ]
        real, fake = ([finite for name, finite in numbers if word in name] for word in (REAL, FAKE))
        own = [
            {name: row[f"{error.player}/{name}"] for name in error.terms if f"{error.player}/{name}" in row}
            for row in (*self._recent, *self._rows, *error.rows)
        ]
        before = [row for row in own if row]
        largest = [max(map(abs, row.values())) for row in before]
        grown = growth(largest)
        if grown > GROWN:
            sign, seen = "blow-up", f"its terms had grown {grown:.2g} times"
        elif largest and largest[-1] > HUGE:
            sign, seen = "blow-up", f"its terms had grown to {largest[-1]:.2g}"
        elif all(finite for _, finite in numbers):
            sign, seen = "nan in the gradient", "all its terms were finite"
        elif real and not all(real) and fake and all(fake):
            sign, seen = "nan in the data", "it came with the reals, and the fakes were finite"
        elif fake and not all(fake) and real and all(real):
            sign, seen = "nan in the samples", "it came with the fakes, and the reals were finite"
        else:
            sign, seen = "nan", "it came at once, and no term had grown"
        if before:
            seen += "; one step before: " + ", ".join(f"{name} {value:.3g}" for name, value in before[-1].items())
        return Note(error.step, sign, error.player, seen)

    def _scores(self, real: str, fake: str, observed: dict[str, NDArray[Any]]) -> Scores:
        spreads = float(observed[real].std()), float(observed[fake].std())
        both = math.hypot(*spreads) / math.sqrt(2)
        leap = 0.0
        means = np.array([(row[real], row[fake]) for row in self._means if real in row])
        if self.batch_size == len(observed[real]) and len(means) >= LOOK // 2 and min(spreads) > 0:
            leap = jump(means[:, 0] - means[:, 1]) / both
        return Scores(
            separation=separation(observed[real], observed[fake]),
            means=(float(observed[real].mean()), float(observed[fake].mean())),
            spreads=spreads,
            leap=leap,
        )

    def _judged(self, player: str, pairs: list[Scores], mixed: bool) -> list[Finding]:
        """What the scores of one player say. Of batches that are not mixed it is no fault of D that scores leap."""
        apart, paid = min(scores.separation for scores in pairs), self._paid(player, len(self._rows))
        seen = ""
        if apart > SEPARATED and 0 <= paid < VANISHED:
            seen = f"real and fake scores are apart, its loss is {paid:.2%} of an untrained one's"
        elif self._stalled(player):
            seen = f"its loss is small, and for {STALLED} steps the samples came no nearer to the data"
        found = [Finding("saturated", player, seen)]
        for scores in pairs:
            leaps = f"the gap between real and fake scores leaps {scores.leap:.2g} of their spreads from step to step"
            found.append(Finding("dead", player, self._flat(scores)))
            found.append(Finding("oscillating", player, leaps if mixed and scores.leap > LEAP else ""))
        return found

    def _stalled(self, player: str) -> bool:
        """Whether a player has been ahead for long, while the samples stayed where they were."""
        if len(self._recent) < STALLED or not self._galleries or not 0 <= self._paid(player, STALLED) < AHEAD:
            return False
        return all(gallery.stalled(int(self._recent[0]["step"])) for gallery in self._galleries.values())

    def _paid(self, player: str, count: int) -> float:
        """The median loss of a player in the last rows, as a part of the loss of the untrained one; NaN where that has
        no floor."""
        untrained = losses(self.first).get(player, 0.0)
        recent = [row[player] for row in list(self._losses)[-count:] if player in row]
        return float(np.median(recent)) / untrained if untrained > 0 and recent else math.nan

    def _flat(self, scores: Scores) -> str:
        """How the scores give no direction to G."""
        (real, fake), (mean, mean_fake) = scores.spreads, scores.means
        if max(real, fake) <= CONSTANT * max(abs(mean), abs(mean_fake)):
            return f"every real has the score {mean:.3g} and every fake {mean_fake:.3g}"
        collapsed = any(sign == "collapsed" and course.told for (sign, _), course in self._courses.items())
        if fake < FLAT * real and not collapsed:  # samples that are all the same have one score, and D is not ill
            return f"every fake has the score {mean_fake:.3g}, so G has no gradient"
        return ""

    def _exploding(self) -> list[Finding]:
        """Terms past all measure. Where a player watches scores the losses of others are left out: the level of scores
        without a scale may drift, which moves those losses and means nothing."""
        watchers = {name.split("/")[0] for means in self._means for name in means}
        usual = max([1.0, *(abs(value) for name, value in self.first.items() if "/" in name)])
        found = []
        for name in dict.fromkeys(name for row in self._rows for name in row if "/" in name):
            player = name.split("/")[0]
            if PENALTY in name or not watchers or player in watchers:
                size = float(np.median([abs(row[name]) for row in self._rows if name in row]))
                seen = f"{name} is {size:.3g}; untrained, no term was above {usual:.3g}"
                found.append(Finding("exploding", player, seen if size > EXPLODED * usual else ""))
        return found

    def _unmixed(self) -> list[Finding]:
        """Batches that differ from one another by more than chance."""
        found = []
        for (name, size), parts in self._drawn.items():
            means, variances = (np.concatenate(numbers) for numbers in list(zip(*parts, strict=True))[1:])
            if size >= ENOUGH and len(means) >= LOOK:
                apart = f_statistic(BatchStatistics(size, means, variances))
                seen = f"batches differ {apart:.3g} times as much as chance would have them"
                player = "data" if name == "image" else f"data {name}"
                found.append(Finding("unmixed", player, seen if apart > UNMIXED else ""))
        return found

    def _swinging(self) -> list[Finding]:
        """Players whose loss goes up and down in time."""
        found = []
        for player in self._losses[-1]:
            recent = [row[player] for row in self._losses if player in row][-SWING:]
            if len(recent) == SWING:
                correlation, period, depth = wave(np.array(recent))
                seen = f"its loss swings by {depth:.0%} of its mean, every {period} steps"
                found.append(Finding("oscillating", player, seen if correlation > WAVE and depth > DEPTH else ""))
        return found

    def _told(self, step: int, found: list[Finding]) -> list[Note]:
        """The notes of signs that are new: seen twice in a row, and not told since they were last gone."""
        there: dict[tuple[str, str], Finding] = {}
        for finding in sorted(found, key=lambda finding: not finding.seen):
            there.setdefault((finding.sign, finding.player), finding)
        notes = []
        for key, finding in there.items():
            course = self._courses.setdefault(key, Course())
            if not finding.seen:
                course.streak, course.calm = 0, course.calm + 1
                course.told = course.told and course.calm < CALM
                continue
            course.streak, course.calm = course.streak + 1, 0
            if not course.told and (finding.sure or course.streak > 1):
                course.told = True
                notes.append(Note(step, *finding[:3]))
        return notes


def pairs(observed: dict[str, NDArray[Any]]) -> Iterator[tuple[str, str]]:
    """The names of scores on reals and on fakes that belong together: "D/real" and "D/fake", "D/real_a" and ..."""
    for name in observed:
        if REAL in name and (other := name.replace(REAL, FAKE)) in observed:
            yield name, other


def losses(row: dict[str, float]) -> dict[str, float]:
    """The sum of each player's terms in a row, without penalties."""
    sums: dict[str, float] = {}
    for name, value in row.items():
        player, _, term = name.partition("/")
        if term and PENALTY not in term:
            sums[player] = sums.get(player, 0.0) + value
    return sums


def separation(real: NDArray[Any], fake: NDArray[Any]) -> float:
    """The chance that a real has the higher score of a real and a fake, or the lower one if that is larger: the area
    under the ROC curve. 0.5 where scores tell nothing, 1 where they do not overlap. It needs no scale."""
    ordered = np.sort(fake)
    below, not_above = np.searchsorted(ordered, real, "left"), np.searchsorted(ordered, real, "right")
    chance = float((below + not_above).mean()) / (2 * len(fake))
    return max(chance, 1 - chance)


def jump(values: NDArray[Any]) -> float:
    """The standard deviation of a step from one value to the next, over the root of 2, so that values that are
    independent give their own. From the median, so that single leaps count little; a trend counts little too."""
    return float(np.sqrt(np.median(np.square(np.diff(values))) / 0.455 / 2))  # 0.455: the median of chi-square of 1


def wave(values: NDArray[Any]) -> tuple[float, int, float]:
    """How much a series is a wave: the smaller of its correlations with itself after a period and, turned round, after
    half of one; the period, of which the series must hold three; its standard deviation in parts of the mean."""
    values = np.convolve(values, np.ones(5) / 5, "valid")
    time = np.arange(len(values))
    rest = values - np.polyval(np.polyfit(time, values, 1), time)
    if not rest.std() > 0:
        return 0.0, 0, 0.0
    spectrum = np.abs(np.fft.rfft(rest, 2 * len(rest))) ** 2
    alike = np.fft.irfft(spectrum)[: len(rest) // 3] / np.arange(len(rest), 0, -1)[: len(rest) // 3]
    alike /= alike[0]
    opposite = np.flatnonzero(alike < 0)
    if not len(opposite):
        return 0.0, 0, 0.0
    period = int(opposite[0] + alike[opposite[0] :].argmax())
    depth = float(rest.std() / max(abs(values.mean()), 1e-12))
    return float(min(alike[period], -alike[:period].min())), period, depth


def growth(values: list[float]) -> float:
    """The largest of the last ten values over the median of those before; 1 where they are too few."""
    if len(values) < 20:
        return 1.0
    return float(max(values[-10:]) / max(np.median(values[:-10]), 1e-12))
