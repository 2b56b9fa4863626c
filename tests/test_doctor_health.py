"""What the doctor reads in thirty healthy runs, recorded by tools/doctor_health.py: no sign, and wide margins.

Each file has the rows, scores and statistics of a run, and the name of the processor that it ran on. Every number must
keep to half of the limit at which the doctor speaks (twice where less is worse).
"""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganarium.doctor.batches import BatchStatistics, strength
from ganarium.doctor.doctor import (
    AHEAD,
    APART,
    CONSTANT,
    DEPTH,
    EARLY,
    EXPLODED,
    FLAT,
    GAP,
    INTERVAL,
    LEAP,
    LIKELY,
    SEPARATED,
    SIGNS,
    STALLED,
    SWING,
    UNMIXED,
    VANISHED,
    WAVE,
    Doctor,
)
from ganarium.doctor.samples import CLOSE, FALLEN, FAR, IDENTICAL, MOVED, ONE, ONE_PLACE, POOR, SampleStatistics
from ganarium.doctor.scores import jump, losses, pairs, separation, wave
from ganarium.model import PENALTY

FILES = sorted((Path(__file__).parent / "health").glob("*.npz"))
NAMES = [file.stem for file in FILES]
Rows = list[dict[str, float]]


class Recording:
    """One healthy run."""

    def __init__(self, file: Path) -> None:
        arrays = np.load(file)
        self.about = json.loads(str(arrays["about"]))
        self.ends = arrays["ends"].tolist()
        self.rows, self.means = (self._rows(arrays, kind) for kind in ("row", "mean"))
        count = len(self.ends)
        self.scores = [self._named(arrays, f"score:{index}:") for index in range(count)]
        ratios = [self._named(arrays, f"ratio:{index}:") for index in range(count)]
        self.ratios = [one for one in ratios if one]
        named = self._named(arrays, "sample:")
        self.samples = {
            key: [SampleStatistics(int(row[0]), *row[1:4], bool(row[4])) for row in rows] for key, rows in named.items()
        }

    @staticmethod
    def _named(arrays: Any, start: str) -> dict[str, np.ndarray]:
        return {key.removeprefix(start): arrays[key].astype(float) for key in arrays.files if key.startswith(start)}

    def _rows(self, arrays: Any, kind: str) -> Rows:
        columns = self._named(arrays, f"{kind}:")
        count = len(next(iter(columns.values()))) if columns else 0
        return [
            {key: float(values[place]) for key, values in columns.items() if not math.isnan(values[place])}
            for place in range(count)
        ]

    def readings(self) -> Iterator[tuple[Rows, Rows, dict[str, np.ndarray]]]:
        """The rows, the means and the scores of each reading of the log."""
        before = [0, 0]
        for (rows, means), scores in zip(self.ends, self.scores, strict=True):
            yield self.rows[before[0] : rows], self.means[before[1] : means], scores
            before = [rows, means]


@pytest.fixture(params=FILES, ids=NAMES)
def recording(request: pytest.FixtureRequest) -> Recording:
    return Recording(request.param)


def test_the_runs_are_all_there() -> None:
    demos = {f"demo-{precision}-{seed}" for precision in ("bf16", "fp32") for seed in range(10)}
    assert demos <= set(NAMES)
    others = [Recording(file) for file in FILES if file.stem not in demos]
    assert len(others) == 10
    assert all(len(one.rows) == 2000 for one in others)
    assert all(one.about["processor"] for one in others)


def test_a_replayed_run_has_no_sign(recording: Recording) -> None:
    assert recording.about["notes"] == [] or recording.about["notes"][0]["sign"] == "oscillating"  # before the mending
    doctor = Doctor(recording.about["batch_size"])
    for rows, means, scores in recording.readings():
        assert doctor.examine(rows, means, scores, {}) == []


def test_scores_keep_away_from_their_limits(recording: Recording) -> None:
    first, earlier = losses(recording.rows[0]), []
    for rows, means, scores in recording.readings():
        earlier += rows
        for real, fake in pairs(scores):
            spreads, player = (scores[real].std(), scores[fake].std()), real.split("/")[0]
            if int(rows[0]["step"]) > EARLY and len(means) >= INTERVAL // 2 and min(spreads) > 0:
                gap = np.array([row[real] - row[fake] for row in means if real in row])
                if len(scores[real]) == recording.about["batch_size"]:
                    assert jump(gap) / (math.hypot(*spreads) / math.sqrt(2)) <= LEAP / 2
            assert spreads[1] >= 2 * FLAT * spreads[0]
            assert max(spreads) >= 2 * CONSTANT * max(abs(scores[real].mean()), abs(scores[fake].mean()))
            if separation(scores[real], scores[fake]) > SEPARATED and first.get(player, 0) > 0:
                recent = [losses(row)[player] for row in rows if player in losses(row)]
                part = np.median(recent) / first[player]
                assert part < 0 or part >= 2 * VANISHED, "or a loss without a floor"


def test_losses_keep_away_from_their_limits(recording: Recording) -> None:
    first = recording.rows[0]
    usual = max([1.0, *(abs(value) for name, value in first.items() if "/" in name)])
    watchers = {name.split("/")[0] for row in recording.means for name in row}
    sums = [losses(row) for row in recording.rows]
    for end in range(INTERVAL, len(recording.rows) + 1, INTERVAL):
        rows = recording.rows[end - INTERVAL : end]
        for name in {name for row in rows for name in row if "/" in name}:
            if PENALTY in name or not watchers or name.split("/")[0] in watchers:
                assert np.median([abs(row[name]) for row in rows if name in row]) <= EXPLODED / 2 * usual
        for player in sums[end - 1]:
            recent = [row[player] for row in sums[max(0, end - STALLED) : end] if player in row][-SWING:]
            if len(recent) == SWING:
                correlation, _, depth = wave(np.array(recent))
                assert correlation <= WAVE / 2 or depth <= DEPTH / 2


def test_batches_keep_away_from_their_limit(recording: Recording) -> None:
    for ratios in recording.ratios:
        for values in ratios.values():
            if values[0] >= 8:
                assert strength(values[2:]) <= UNMIXED / 2


def test_samples_keep_away_from_their_limits(recording: Recording) -> None:
    for statistics in recording.samples.values():
        best = modes = 0.0
        for place, now in enumerate(statistics):
            if place:
                assert now.diversity >= 2 * IDENTICAL
            assert now.diversity >= 2 * min(POOR, FALLEN * best)
            assert not now.near_reals or now.diversity >= 2 * ONE_PLACE
            assert modes < 5 or now.modes >= 2 * ONE or now.modes >= 0.4 * modes
            best, modes = max(best, now.diversity), max(modes, now.modes)
        for first in range(len(statistics) - 3):
            distances = [
                one.distance
                for one in statistics
                if statistics[first].step <= one.step <= statistics[first].step + STALLED
            ]
            assert len(distances) < 4 or min(distances) <= FAR or max(distances) * (1 - 2 * MOVED) >= min(distances)
    assert 0 < CLOSE < 1
    assert 0 < AHEAD < 1


def test_the_strength_is_that_of_the_pixels_that_tell_most() -> None:
    assert strength(np.array([8.0, 4.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])) == 6.0
    assert strength(np.array([5.0, 1.0])) == 5.0
    batches = BatchStatistics(4, np.array([[0.0, 1.0], [2.0, 1.0]]), np.ones((2, 2)))
    assert strength(4 * batches.means.var(0, ddof=1)) == 8.0


def test_what_d_knows_by_heart_keeps_away_from_its_limits() -> None:
    record = json.loads((Path(__file__).parent / "health" / "memory.json").read_text())
    assert len(record["runs"]) >= 2
    for run in record["runs"]:
        assert len(run["readings"]) >= 10
        for _, gap, apart in run["readings"]:
            assert apart - 0.5 <= (APART - 0.5) / 2
            assert gap <= GAP / 2
        for r_t, p in run["ada"]:
            assert r_t <= SIGNS or p <= LIKELY / 2
