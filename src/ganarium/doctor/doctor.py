"""Examines a training run as it goes: names the signs that it is sick, likely causes, and what to try.

The doctor uses what the log and the sample grids read from the device anyway: the terms of every update, the scores
that the step handed to `watch`, a few pixels of the reals in each batch, and the samples. It knows no model, so no sign
depends on a scale: signs are ranks, or are measured in the spread of a batch, in what an untrained model had, or in
distances between held-out images. `docs/doctor.md` says how each number is measured, and how far healthy runs are from
it.
"""

import math
from collections import deque
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ganarium.doctor import checkerboard
from ganarium.doctor.batches import BatchStatistics, f_statistic
from ganarium.doctor.memory import MemoryReading
from ganarium.doctor.samples import SampleHistory
from ganarium.doctor.scores import ScoreStatistics, growth, jump, losses, pairs, separation, wave
from ganarium.doctor.signs import Note
from ganarium.errors import Diverged
from ganarium.model import FAKE, PENALTY, REAL

INTERVAL = 50  # iterations between two examinations: fewer say little about a trend
MIN_SCORES = 8  # fewer scores have no spread to speak of
SWING = 300  # iterations in which a loss must swing three times
CALM = 3  # examinations without a sign, after which it has gone and can be reported again

SEPARATED = 0.99  # chance that a real scores on the other side of a fake: 0.5 is no difference, 1 no overlap
VANISHED = 0.005  # D's loss, as a part of an untrained D's
AHEAD, STALLED = 0.35, 350  # the same part, where for so many iterations the samples come no nearer to the data
FLAT = 1e-3  # spread of the scores of fakes, in spreads of those of reals
CONSTANT = 1e-6  # spread of all scores, in parts of their size
UNMIXED = 3.5  # F statistic between batches; shuffled ones keep below half of it
EARLY = 150  # iterations in which the scores of a healthy run leap too, since new networks change fast
LEAP = 2.0  # step-to-step change of mean(D(real)) - mean(D(fake)) after that, in spreads of scores within a batch
WAVE, DEPTH = 0.7, 0.5  # correlation of a loss with itself a period later, and its deviation in parts of the mean
APART, GAP = 0.85, 0.5  # D scores training images above held-out ones; as a part of the way to fakes
SIGNS, LIKELY = 0.9, 0.8  # ADA's r_t, whose target is 0.6; its p, above which changes show in samples
EXPLODED = 1000.0  # times the largest term of an untrained model, or times 1
GROWN = 100.0  # times in the last steps before a number that is not finite
HUGE = 1e12  # a term, whatever those before it were


class Finding(NamedTuple):
    """The result of one examination for one sign: `evidence` is empty where the sign is absent."""

    sign: str
    player: str
    evidence: str
    sure: bool = False  # it is reported at once, not only when two examinations in a row find it


@dataclass
class SignState:
    """The course of a sign over the examinations."""

    present: int = 0  # examinations in a row with it
    absent: int = 0  # and without it
    reported: bool = False


class Doctor:
    """Remembers earlier examinations, and reports each sign once until it has gone and come again.

    `first` are the terms of the untrained model where the run began before; else the first row is taken.
    """

    def __init__(self, batch_size: int, first: dict[str, float] | None = None) -> None:
        self.batch_size, self.first = batch_size, first or {}
        self._rows: list[dict[str, float]] = []  # since the last examination
        self._means: list[dict[str, float]] = []
        self._batches: dict[tuple[str, int], list[BatchStatistics]] = {}  # by field and size
        self._recent: deque[dict[str, float]] = deque(maxlen=STALLED)
        self._losses: deque[dict[str, float]] = deque(maxlen=STALLED)  # of the same rows
        self._samples: dict[str, SampleHistory] = {}  # by direction
        self._grids: dict[str, float] = {}  # strength of patterns in the reals, by direction
        self._untrained: dict[str, NDArray[Any]] = {}  # the samples of step 0, by direction
        self._signs: dict[tuple[str, str], SignState] = {}  # by sign and player

    def examine(
        self,
        rows: list[dict[str, float]],
        means: list[dict[str, float]],
        observed: dict[str, NDArray[Any]],
        batches: dict[str, BatchStatistics],
    ) -> list[Note]:
        """New notes on what `Trainer.drain` read (terms, means of the scores, the last scores) and on the batches.

        Rows are gathered until they are enough for an examination.
        """
        self.first = self.first or rows[0]
        self._rows, self._means = self._rows + rows, self._means + means
        for name, statistics in batches.items():
            self._batches.setdefault((name, statistics.size), []).append(statistics)
        if len(self._rows) < INTERVAL:
            return []
        self._recent.extend(self._rows)
        self._losses.extend(map(losses, self._rows))
        findings = self._unmixed()
        shuffled = not any(finding.evidence for finding in findings)
        findings += [*self._exploding(), *self._swinging(), *self._overfitted()]
        for player, scores in self._scores(observed).items():
            findings += self._judge(player, scores, shuffled and int(self._rows[0]["step"]) > EARLY)
        self._rows, self._means, self._batches = [], [], {}
        return self._new_notes(int(rows[-1]["step"]), findings)

    def examine_samples(self, step: int, samples: NDArray[Any], reals: NDArray[Any], direction: str = "") -> list[Note]:
        """New notes on samples beside held-out reals: (n, c, h, w) or points (n, 2) each.

        `direction` is that of a model that maps images to images.
        """
        if direction not in self._samples:
            self._samples[direction] = SampleHistory(reals)
            self._grids[direction] = checkerboard.strength(reals)
        evidence, sure = self._samples[direction].collapse(step, samples)
        pattern = checkerboard.evidence(step, samples, self._grids[direction])
        if step == 0:
            self._untrained[direction] = samples
        if np.array_equal(samples, self._untrained.get(direction, ())):
            pattern = ""  # another player learns first, and G has not moved yet
        whose = f"samples {direction}".strip()
        findings = [Finding("collapsed", whose, evidence, sure), Finding("checkerboard", whose, pattern)]
        return self._new_notes(step, findings)

    def examine_memory(self, step: int, reading: MemoryReading) -> list[Note]:
        """New notes on how well D knows the training images by heart."""
        evidence = ""
        if reading.apart > APART and reading.gap > GAP:
            evidence = (
                f"D knows its training images by heart: it scores one above an unseen image in {reading.apart:.0%} of "
                f"pairs, and takes unseen ones for fakes by {min(reading.gap, 1):.0%}"
            )
        return self._new_notes(step, [Finding("memorised", reading.player, evidence)])

    def explain(self, error: Diverged) -> Note:
        """Where a number that is not finite came from."""
        finite = [
            (name, math.isfinite(number)) for numbers in (error.terms, error.means) for name, number in numbers.items()
        ]
        real, fake = ([is_finite for name, is_finite in finite if word in name] for word in (REAL, FAKE))
        earlier = [
            {name: row[f"{error.player}/{name}"] for name in error.terms if f"{error.player}/{name}" in row}
            for row in (*self._recent, *self._rows, *error.rows)
        ]
        earlier = [terms for terms in earlier if terms]
        sizes = [max(map(abs, terms.values())) for terms in earlier]
        grown = growth(sizes)
        if grown > GROWN:
            sign, evidence = "blow-up", f"its terms had grown {grown:.2g} times"
        elif sizes and sizes[-1] > HUGE:
            sign, evidence = "blow-up", f"its terms had grown to {sizes[-1]:.2g}"
        elif all(is_finite for _, is_finite in finite):
            sign, evidence = "nan in the gradient", "all its terms were finite"
        elif real and not all(real) and fake and all(fake):
            sign, evidence = "nan in the data", "it came with the reals, and the fakes were finite"
        elif fake and not all(fake) and real and all(real):
            sign, evidence = "nan in the samples", "it came with the fakes, and the reals were finite"
        else:
            sign, evidence = "nan", "it came at once, and no term had grown"
        if earlier:
            evidence += "; one step before: " + ", ".join(f"{name} {value:.3g}" for name, value in earlier[-1].items())
        return Note(error.step, sign, error.player, evidence)

    def _scores(self, observed: dict[str, NDArray[Any]]) -> dict[str, list[ScoreStatistics]]:
        """Statistics of each pair of watched scores, by player, where they are enough and finite."""
        statistics: dict[str, list[ScoreStatistics]] = {}
        for real, fake in pairs(observed):
            both = np.concatenate([observed[real], observed[fake]])
            if len(both) >= 2 * MIN_SCORES and np.isfinite(both).all():
                statistics.setdefault(real.split("/")[0], []).append(self._pair_statistics(real, fake, observed))
        return statistics

    def _pair_statistics(self, real: str, fake: str, observed: dict[str, NDArray[Any]]) -> ScoreStatistics:
        spreads = float(observed[real].std()), float(observed[fake].std())
        leap = 0.0
        means = np.array([(row[real], row[fake]) for row in self._means if real in row])
        if self.batch_size == len(observed[real]) and len(means) >= INTERVAL // 2 and min(spreads) > 0:
            leap = jump(means[:, 0] - means[:, 1]) / (math.hypot(*spreads) / math.sqrt(2))
        return ScoreStatistics(
            separation=separation(observed[real], observed[fake]),
            means=(float(observed[real].mean()), float(observed[fake].mean())),
            spreads=spreads,
            leap=leap,
        )

    def _judge(self, player: str, pairs: list[ScoreStatistics], leaps: bool) -> list[Finding]:
        """What the scores of one player say. `leaps`: whether scores that leap are a fault of D, which they are not
        where batches are not shuffled, nor at first."""
        apart, loss = min(scores.separation for scores in pairs), self._relative_loss(player, len(self._rows))
        evidence = ""
        if apart > SEPARATED and 0 <= loss < VANISHED:
            evidence = f"real and fake scores are apart, its loss is {loss:.2%} of an untrained one's"
        elif self._stalled(player):
            evidence = f"its loss is small, and for {STALLED} steps the samples came no nearer to the data"
        findings = [Finding("saturated", player, evidence)]
        for scores in pairs:
            leap = f"the gap between real and fake scores leaps {scores.leap:.2g} of their spreads from step to step"
            findings.append(Finding("dead", player, self._flat(scores)))
            findings.append(Finding("oscillating", player, leap if leaps and scores.leap > LEAP else ""))
        return findings

    def _stalled(self, player: str) -> bool:
        """Whether a player has been ahead for long, while the samples stayed where they were."""
        if len(self._recent) < STALLED or not self._samples or not 0 <= self._relative_loss(player, STALLED) < AHEAD:
            return False
        return all(samples.stalled(int(self._recent[0]["step"])) for samples in self._samples.values())

    def _relative_loss(self, player: str, count: int) -> float:
        """The median loss of a player in the last rows, as a part of the untrained player's; NaN where that is not
        above 0, as for a loss without a floor."""
        untrained = losses(self.first).get(player, 0.0)
        recent = [row[player] for row in list(self._losses)[-count:] if player in row]
        return float(np.median(recent)) / untrained if untrained > 0 and recent else math.nan

    def _flat(self, scores: ScoreStatistics) -> str:
        """How the scores give no direction to G; "" if they do."""
        (spread_real, spread_fake), (mean_real, mean_fake) = scores.spreads, scores.means
        if max(spread_real, spread_fake) <= CONSTANT * max(abs(mean_real), abs(mean_fake)):
            return f"every real has the score {mean_real:.3g} and every fake {mean_fake:.3g}"
        # samples that are all the same have one score, and D is not ill
        collapsed = any(sign == "collapsed" and state.reported for (sign, _), state in self._signs.items())
        if spread_fake < FLAT * spread_real and not collapsed:
            return f"every fake has the score {mean_fake:.3g}, so G has no gradient"
        return ""

    def _exploding(self) -> list[Finding]:
        """Terms past all measure.

        Where a player watches scores, the losses of others are left out: the level of scores without a scale may
        drift, which moves those losses and means nothing.
        """
        watchers = {name.split("/")[0] for means in self._means for name in means}
        usual = max([1.0, *(abs(value) for name, value in self.first.items() if "/" in name)])
        findings = []
        for name in dict.fromkeys(name for row in self._rows for name in row if "/" in name):
            player = name.split("/")[0]
            if PENALTY in name or not watchers or player in watchers:
                size = float(np.median([abs(row[name]) for row in self._rows if name in row]))
                evidence = f"{name} is {size:.3g}; untrained, no term was above {usual:.3g}"
                findings.append(Finding("exploding", player, evidence if size > EXPLODED * usual else ""))
        return findings

    def _unmixed(self) -> list[Finding]:
        """Batches that differ from one another by more than chance."""
        findings = []
        for (name, size), parts in self._batches.items():
            means, variances = (np.concatenate(numbers) for numbers in list(zip(*parts, strict=True))[1:])
            if size >= MIN_SCORES and len(means) >= INTERVAL:
                times = f_statistic(BatchStatistics(size, means, variances))
                evidence = f"batches differ {times:.3g} times as much as chance would have them"
                player = "data" if name == "image" else f"data {name}"
                findings.append(Finding("unmixed", player, evidence if times > UNMIXED else ""))
        return findings

    def _swinging(self) -> list[Finding]:
        """Players whose loss goes up and down in time."""
        findings = []
        for player in self._losses[-1]:
            recent = [row[player] for row in self._losses if player in row][-SWING:]
            if len(recent) == SWING:
                correlation, period, depth = wave(np.array(recent))
                evidence = f"its loss swings by {depth:.0%} of its mean, every {period} steps"
                swings = correlation > WAVE and depth > DEPTH
                findings.append(Finding("oscillating", player, evidence if swings else ""))
        return findings

    def _overfitted(self) -> list[Finding]:
        """Players whose D is surer of its training images than ADA can help, by its r_t and its p in the log."""
        findings = []
        for name in [name for name in self._rows[-1] if name.endswith("/augment_r")]:
            player = name.split("/")[0]
            names = (name, f"{player}/augment_p")
            r_t, p = (float(np.median([row[key] for row in self._rows if key in row])) for key in names)
            evidence = f"r_t is {r_t:.2f} with p at {p:.2f}: D is sure of its training images, however ADA changes them"
            findings.append(Finding("overfitted", player, evidence if r_t > SIGNS and p > LIKELY else ""))
        return findings

    def _new_notes(self, step: int, findings: list[Finding]) -> list[Note]:
        """Notes on the signs that are present twice in a row and not reported since they were last gone."""
        by_sign: dict[tuple[str, str], Finding] = {}
        for finding in sorted(findings, key=lambda finding: not finding.evidence):
            by_sign.setdefault((finding.sign, finding.player), finding)
        notes = []
        for key, finding in by_sign.items():
            state = self._signs.setdefault(key, SignState())
            if not finding.evidence:
                state.present, state.absent = 0, state.absent + 1
                state.reported = state.reported and state.absent < CALM
                continue
            state.present, state.absent = state.present + 1, 0
            if not state.reported and (finding.sure or state.present > 1):
                state.reported = True
                notes.append(Note(step, finding.sign, finding.player, finding.evidence))
        return notes
