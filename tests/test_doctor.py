"""The doctor: every sign just where it begins, injected faults in real runs, and healthy runs that leave him silent."""

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import ganarium
from ganarium.data import load_data
from ganarium.data.batches import Batches
from ganarium.data.dataset import Dataset, Images, UnpairedImages
from ganarium.doctor import checkerboard
from ganarium.doctor import notes as notes_of_runs
from ganarium.doctor.batches import GRID, KEPT, BatchStatistics, RecordingBatches, f_statistic, few_pixels
from ganarium.doctor.doctor import APART, CALM, GAP, INTERVAL, MIN_SCORES, STALLED, Doctor
from ganarium.doctor.memory import Memory, MemoryReading, compared, more_images
from ganarium.doctor.notes import BINS, HISTOGRAMS, RunDoctor, histograms
from ganarium.doctor.samples import MIN_REALS, SampleHistory, features
from ganarium.doctor.scores import jump, separation, wave
from ganarium.doctor.signs import ADVICE, Note
from ganarium.errors import Diverged, RunError
from ganarium.model import Adam
from ganarium.players import PlayerState
from ganarium.runs.options import Options
from ganarium.trainer import OBSERVED, Trainer
from ganarium.training.session import Run
from ganarium.training.state import capture
from synthetic import dataset, trainer

RNG = np.random.default_rng
Rows = list[dict[str, float]]
UNTRAINED = {"step": 1.0, "D/real": 0.7, "D/fake": 0.7, "G/adversarial": 0.7}


def rows(start: int, **terms: float | np.ndarray) -> Rows:
    """INTERVAL rows after a step; a term is one number or one for each row. "D_real" stands for "D/real"."""
    columns = {name.replace("_", "/", 1): np.broadcast_to(value, INTERVAL) for name, value in terms.items()}
    return [
        {"step": float(start + i + 1)} | {name: float(values[i]) for name, values in columns.items()}
        for i in range(INTERVAL)
    ]


def scores(real: float, fake: float, spread: float = 1.0, fake_spread: float | None = None) -> dict[str, np.ndarray]:
    noise = RNG(0).standard_normal((2, 64))
    fake_spread = spread if fake_spread is None else fake_spread
    return {"D/real": real + spread * noise[0], "D/fake": fake + fake_spread * noise[1]}


def steady(observed: dict[str, np.ndarray], seed: int = 1) -> list[dict[str, float]]:
    """Means of the scores as independent batches have them."""
    sizes = {name: values.std() / math.sqrt(len(values)) for name, values in observed.items()}
    rng = RNG(seed)
    return [
        {name: float(values.mean() + sizes[name] * rng.standard_normal()) for name, values in observed.items()}
        for _ in range(INTERVAL)
    ]


def looks(
    patient: Doctor,
    times: int,
    observed: dict[str, np.ndarray],
    means: list[dict[str, float]] | None = None,
    batches: dict[str, BatchStatistics] | None = None,
    **terms: float | np.ndarray,
) -> list[Note]:
    """The notes of examinations in which nothing changes."""
    notes = []
    for time in range(times):
        notes += patient.examine(
            rows(INTERVAL * time, **terms), means or steady(observed, time), observed, batches or {}
        )
    return notes


def signs(notes: list[Note]) -> list[tuple[str, str]]:
    return [(note.sign, note.player) for note in notes]


# What is measured


def test_separation_is_the_chance_of_the_right_order() -> None:
    assert separation(np.array([2.0, 3.0]), np.array([0.0, 1.0])) == 1.0
    assert separation(np.array([0.0, 1.0]), np.array([2.0, 3.0])) == 1.0, "energies are low on reals"
    assert separation(np.zeros(5), np.zeros(7)) == 0.5
    assert separation(np.array([0.0, 2.0]), np.array([1.0])) == 0.5
    real, fake = RNG(0).standard_normal((2, 300)) + np.array([[0.5], [0.0]])
    counted = float((real[:, None] > fake).mean())
    assert separation(real, fake) == pytest.approx(counted)
    assert separation(np.exp(real), np.exp(fake)) == separation(real, fake), "it has no scale"


def test_a_jump_is_the_deviation_of_independent_values_and_no_trend() -> None:
    noise = RNG(0).standard_normal(5000)
    assert jump(noise) == pytest.approx(1.0, rel=0.05)
    assert jump(noise + 0.1 * np.arange(5000)) == pytest.approx(1.0, rel=0.05)
    assert jump(100.0 * (np.arange(5000) > 2500)) == 0.0, "one leap is none"


def test_a_wave_is_known_by_its_period_and_noise_is_none() -> None:
    time, noise = np.arange(300), RNG(0).standard_normal(300)
    correlation, period, depth = wave(1 + 0.5 * np.sin(time / 40 * math.tau) + 0.1 * noise)
    assert correlation > 0.8
    assert abs(period - 40) <= 1
    assert depth == pytest.approx(0.5 / math.sqrt(2), rel=0.15)
    for other in (noise, np.cumsum(noise), np.exp(-time / 50), time.astype(float), np.ones(300)):
        assert wave(other)[0] < 0.55


# Every sign: there, and just below


def test_saturated_is_a_loss_near_nothing_with_scores_apart() -> None:
    apart = scores(5, -5)
    assert signs(looks(Doctor(64, UNTRAINED), 3, apart, D_real=0.003, D_fake=0.003)) == [("saturated", "D")]
    assert not looks(Doctor(64, UNTRAINED), 3, apart, D_real=0.004, D_fake=0.004), "0.6 % of the loss"
    assert not looks(Doctor(64, UNTRAINED), 3, scores(1, -1), D_real=0.003, D_fake=0.003), "scores that overlap"
    assert not looks(Doctor(64, UNTRAINED), 1, apart, D_real=0.003, D_fake=0.003), "seen once"


def test_a_wasserstein_loss_has_no_floor_and_is_never_saturated() -> None:
    for start in (-0.01, 0.01):
        untrained = {"step": 1.0, "D/wasserstein": start, "D/penalty": 9.0}
        for now in (-12.0, -1e-5):
            assert not looks(Doctor(64, untrained), 4, scores(9, -9), D_wasserstein=now, D_penalty=0.1)


def test_a_penalty_is_no_part_of_the_loss_that_vanishes() -> None:
    given = {"D_real": 0.001, "D_fake": 0.001, "D_penalty": 3.0}
    assert signs(looks(Doctor(64, UNTRAINED), 2, scores(5, -5), **given)) == [("saturated", "D")]


def far_pictures(patient: Doctor, drift: float) -> None:
    """Varied samples at some distance from the reals, which come nearer by `drift` over the run."""
    rng = RNG(0)
    reals = rng.standard_normal((64, 2))
    for step in range(0, 801, 50):
        samples = rng.standard_normal((64, 2)) + 10.0 * (1 - drift * step / 800)
        assert not patient.examine_samples(step, samples, reals)


def test_saturated_is_also_a_small_loss_while_samples_stay_far_from_the_data() -> None:
    for drift, small, expected in ((0.0, 0.2, True), (0.5, 0.2, False), (0.0, 0.3, False)):
        patient = Doctor(64, UNTRAINED)
        far_pictures(patient, drift)
        notes = looks(patient, 800 // INTERVAL, scores(3, -3), D_real=small, D_fake=small)
        assert signs(notes) == [("saturated", "D")] * expected, (drift, small)
        if expected:
            assert notes[0].step == STALLED + INTERVAL
    assert not looks(Doctor(64, UNTRAINED), 16, scores(3, -3), D_real=0.2, D_fake=0.2), "no picture was seen"


def test_dead_is_one_score_for_all_fakes() -> None:
    given = {"D_real": 0.5, "D_fake": 0.5}
    notes = looks(Doctor(64, UNTRAINED), 2, scores(1, -1, fake_spread=5e-4), **given)
    assert signs(notes) == [("dead", "D")]
    assert "every fake has the score -1" in notes[0].evidence
    assert not looks(Doctor(64, UNTRAINED), 2, scores(1, -1, fake_spread=5e-3), **given)
    assert signs(looks(Doctor(64, UNTRAINED), 2, scores(1, 1, spread=0.0), **given)) == [("dead", "D")]
    assert not looks(Doctor(1, UNTRAINED), 2, {"D/real": np.ones(1), "D/fake": np.zeros(1)}, **given), "a batch of 1"


def test_samples_that_are_all_the_same_are_no_fault_of_the_discriminator() -> None:
    patient = Doctor(64, UNTRAINED)
    reals = RNG(0).standard_normal((64, 2))
    assert not patient.examine_samples(0, np.ones((64, 2)), reals), "before any update"
    assert signs(patient.examine_samples(50, np.ones((64, 2)), reals)) == [("collapsed", "samples")]
    assert not looks(patient, 3, scores(1, -1, fake_spread=0.0), D_real=0.5, D_fake=0.5)


def jumping(size: float, seed: int = 1) -> np.ndarray:
    """INTERVAL means that jump by so much."""
    noise = RNG(seed).standard_normal(INTERVAL)
    return noise * size / jump(noise)


def means_of(real: np.ndarray, fake: np.ndarray) -> list[dict[str, float]]:
    return [{"D/real": float(a), "D/fake": float(b)} for a, b in zip(real, fake, strict=True)]


def batches_that_differ(times: float, size: int = 64, count: int = INTERVAL) -> BatchStatistics:
    """By so much more than chance would have them, in the second of three numbers."""
    means = RNG(0).standard_normal((count, 3)) / math.sqrt(size)
    means[:, 1] *= math.sqrt(times / size / means[:, 1].var(ddof=1))
    return BatchStatistics(size, means, np.ones((count, 3)))


def test_unmixed_is_batches_that_differ_by_more_than_chance() -> None:
    for times, expected in ((3.6, True), (3.4, False)):
        drawn = {"image": batches_that_differ(times)}
        notes = looks(Doctor(64, UNTRAINED), 2, {}, [{}], drawn, D_real=0.7)
        assert signs(notes) == [("unmixed", "data")] * expected, times
    few_reals, few_batches = batches_that_differ(99, size=MIN_SCORES - 1), batches_that_differ(99, count=INTERVAL - 1)
    for drawn in (few_reals, few_batches):
        assert not looks(Doctor(64, UNTRAINED), 2, {}, [{}], {"image": drawn}, D_real=0.7)


def test_each_domain_and_each_size_of_batch_is_judged_by_itself() -> None:
    patient, notes = Doctor(64, UNTRAINED), []
    for time in range(2):
        for part in range(2):  # of an examination: the batches become larger
            given = rows(INTERVAL * time + INTERVAL // 2 * part, D_real=0.7)[: INTERVAL // 2]
            drawn = {"a": batches_that_differ(1), "b": batches_that_differ(5, size=(16, 64)[part])}
            notes += patient.examine(given, [], {}, drawn)
    assert signs(notes) == [("unmixed", "data b")]
    assert "batches differ 5 times as much as chance" in notes[0].evidence


def test_scores_that_leap_with_batches_that_are_not_mixed_are_no_fault_of_the_discriminator() -> None:
    observed = scores(0, 0)
    gap = means_of(jumping(9.0 * observed["D/real"].std()), np.zeros(INTERVAL))
    for times, expected in ((9.0, ("unmixed", "data")), (1.0, ("oscillating", "D"))):
        drawn = {"image": batches_that_differ(times)}
        assert signs(looks(Doctor(64, UNTRAINED), 6, observed, gap, drawn, D_real=0.7)) == [expected]


def test_oscillating_is_no_level_of_all_scores_and_no_batch_of_one() -> None:
    observed = scores(0, 0)
    level = means_of(jumping(9.0), jumping(9.0))
    assert not looks(Doctor(64, UNTRAINED), 6, observed, level, D_real=0.7)
    one = means_of(jumping(9.0), np.zeros(INTERVAL))
    assert not looks(Doctor(1, UNTRAINED), 2, observed, one, D_real=0.7), "64 scores of one image"


def test_oscillating_is_a_gap_that_leaps_from_step_to_step() -> None:
    observed = scores(0, 0)
    spread = math.hypot(observed["D/real"].std(), observed["D/fake"].std()) / math.sqrt(2)
    for size, expected in ((2.08, True), (1.92, False)):
        gap = jumping(size * spread) / 2
        notes = looks(Doctor(64, UNTRAINED), 6, observed, means_of(gap, -gap), D_real=0.7, D_fake=0.7)
        assert signs(notes) == [("oscillating", "D")] * expected, size
    gap = jumping(9.0 * spread) / 2
    assert not looks(Doctor(64, UNTRAINED), 4, observed, means_of(gap, -gap), D_real=0.7, D_fake=0.7), "new networks"


def test_oscillating_is_also_a_loss_that_swings() -> None:
    for depth, expected in ((0.8, True), (0.6, False)):
        patient, notes = Doctor(64, UNTRAINED), []
        for time in range(9):
            swing = 1 + depth * np.sin((INTERVAL * time + np.arange(INTERVAL)) / 60 * math.tau)
            notes += patient.examine(rows(INTERVAL * time, G_adversarial=0.7 * swing), [], {}, {})
        assert signs(notes) == [("oscillating", "G")] * expected, depth


def test_exploding_is_a_term_a_thousand_times_all_that_was() -> None:
    observed = scores(1, -1)
    for size, expected in ((1100.0, True), (900.0, False)):
        notes = looks(Doctor(64, UNTRAINED), 2, observed, D_real=0.7, D_fake=0.7, D_penalty=size)
        assert signs(notes) == [("exploding", "D")] * expected, size
    assert not looks(Doctor(64, UNTRAINED), 2, observed, D_real=0.7, D_fake=0.7, G_adversarial=-5000.0), "it may drift"
    assert signs(looks(Doctor(16), 2, {}, [{}] * INTERVAL, model_nll=5.0)) == []
    likelihood = Doctor(16, {"step": 1.0, "model/nll": 500.0})
    assert not looks(likelihood, 2, {}, [{}] * INTERVAL, model_nll=4e5)
    assert signs(looks(likelihood, 2, {}, [{}] * INTERVAL, model_nll=6e5)) == [("exploding", "model")]


def test_few_rows_are_gathered_until_they_say_something() -> None:
    patient, apart = Doctor(64, UNTRAINED), scores(5, -5)
    told = []
    for row in rows(0, D_real=0.001, D_fake=0.001) + rows(INTERVAL, D_real=0.001, D_fake=0.001):
        told += patient.examine([row], [{"D/real": 5.0, "D/fake": -5.0}], apart, {})
    assert [note.step for note in told] == [2 * INTERVAL]


def test_a_sign_is_told_once_until_it_has_gone_and_come_again() -> None:
    patient, apart = Doctor(64, UNTRAINED), scores(5, -5)
    ill, well = {"D_real": 0.001, "D_fake": 0.001}, {"D_real": 0.7, "D_fake": 0.7}
    assert len(looks(patient, 8, apart, **ill)) == 1
    assert not looks(patient, CALM - 1, apart, **well)
    assert not looks(patient, 4, apart, **ill), "it was not gone for long enough"
    assert not looks(patient, CALM, apart, **well)
    assert len(looks(patient, 4, apart, **ill)) == 1


# Pictures


def digits(n: int, seed: int) -> np.ndarray:
    """Points in eight clusters, as the ring has them."""
    rng = RNG(seed)
    angle = rng.integers(8, size=n) / 8 * math.tau
    return np.stack([np.cos(angle), np.sin(angle)], 1) + 0.02 * rng.standard_normal((n, 2))


def test_samples_like_the_data_are_near_varied_and_everywhere() -> None:
    history = SampleHistory(digits(256, 0))
    assert history.collapse(1, digits(256, 1)) == ("", False)
    (statistics,) = history.statistics
    assert statistics.distance == pytest.approx(0, abs=0.02)
    assert statistics.diversity == pytest.approx(1, abs=0.05)
    assert statistics.modes > 7
    assert statistics.near_reals


def test_the_distance_is_that_of_the_distributions() -> None:
    """For two single points it is 2 |x - y|; here in units of the distance between two reals."""
    reals = np.repeat([[0.0, 0.0], [1.0, 0.0]], 8, 0)
    history = SampleHistory(reals)
    history.collapse(1, reals + 100.0)
    spread = 64 / 120  # of the 120 pairs of reals, those that differ
    assert history.spread == pytest.approx(spread)
    cross = np.mean([math.hypot(100 + dx, 100) for dx in (0, 0, 1, -1)])
    assert history.statistics[0].distance == pytest.approx((2 * cross - 2 * spread) / spread)


@pytest.mark.parametrize(
    ("before", "now", "words"),
    [
        (digits(64, 1), np.full((64, 2), 0.3), "all samples are the same"),
        (digits(64, 1), 0.05 * digits(64, 2), "before"),
        (0.05 * digits(64, 1), 0.02 * digits(64, 2) + np.array([1.0, 0.0]), "in one place of the data"),
        (digits(64, 1), np.repeat([[1.0, 0.0], [-1.0, 0.0]], (57, 7), 0), "clusters of the reals"),
    ],
)
def test_collapsed(before: np.ndarray, now: np.ndarray, words: str) -> None:
    history = SampleHistory(digits(256, 0))
    assert history.collapse(1, before) == ("", False)
    assert words in history.collapse(2, now)[0]


def test_not_collapsed() -> None:
    """Blurred samples at the start, a third of the diversity, and three of ten clusters."""
    history = SampleHistory(digits(256, 0))
    half = digits(256, 2)
    half = half[half[:, 0] > 0.5]
    for samples in (0.02 * digits(64, 1), 0.1 * digits(64, 1), digits(64, 1), 0.3 * digits(64, 1), half):
        assert history.collapse(1, samples) == ("", False)


def test_too_few_or_equal_reals_say_nothing() -> None:
    for reals in (digits(MIN_REALS - 1, 0), np.ones((64, 2))):
        history = SampleHistory(reals)
        assert history.collapse(1, np.ones((64, 2))) == history.collapse(2, np.ones((64, 2))) == ("", False)


def test_large_images_are_averaged_first() -> None:
    images = RNG(0).standard_normal((3, 2, 33, 50))
    small = features(images)
    assert small.shape == (3, 2 * 16 * 25)
    assert small[0, 0] == pytest.approx(images[0, 0, :2, :2].mean())
    assert small[2, -1] == pytest.approx(images[2, 1, 30:32, 48:50].mean())
    assert features(RNG(0).standard_normal((2, 1, 12, 12))).shape == (2, 144)


# Batches


def recorded(batches: Batches, count: int = INTERVAL) -> dict[str, BatchStatistics]:
    """The statistics of batches that are drawn one after another."""
    recording = RecordingBatches(batches)
    for _ in range(count):
        next(recording)
    return recording.statistics()


def shaded(n: int) -> Dataset:
    """Images of noise in ten kinds, which differ in the brightness of the upper half."""
    kinds = np.arange(n) % 10
    images = RNG(0).integers(0, 100, (n, 10, 11, 3))
    images[:, :5] += 15 * kinds[:, None, None, None]
    return Dataset("shaded", torch.tensor(images, dtype=torch.uint8), torch.tensor(kinds), tuple("0123456789"))


def test_what_is_recorded_of_a_batch_is_its_mean_and_its_variance_in_a_few_pixels() -> None:
    made, again = recorded(Batches(shaded(96), Images, 16), count=3)["image"], Batches(shaded(96), Images, 16)
    images = [next(again).image.double().numpy() for _ in range(3)]
    pixels = np.stack(images)[:, :, :, 1::2, 1::2].reshape(3, 16, -1)
    assert made.size == 16
    assert made.means == pytest.approx(pixels.mean(1), abs=1e-6)
    assert made.variances == pytest.approx(pixels.var(1, ddof=1), abs=1e-6)


def test_few_pixels_of_any_image_and_points_as_they_are() -> None:
    points = torch.randn(5, 2)
    assert few_pixels(points) is points
    for side, places in ((28, [3, 10, 17, 24]), (3, [0, 1, 2]), (1, [0]), (4, [0, 1, 2, 3])):
        image = torch.arange(float(side)).expand(2, 3, 40, side)
        assert few_pixels(image)[0, 0, 0].tolist() == places
        assert few_pixels(image).shape[1:3] == (3, GRID)


def test_batches_at_random_differ_as_chance_has_them_and_batches_of_one_kind_by_the_part_between_kinds() -> None:
    """Of k shades 15 apart, in noise of 100 levels: the variances are 15^2 (k^2 - 1) / 12 and (100^2 - 1) / 12."""
    healthy = [f_statistic(recorded(Batches(shaded(4000), Images, 16, seed=seed))["image"]) for seed in (100, 101, 102)]
    assert 0.5 < min(healthy) <= max(healthy) < 2.2
    sick = Batches(shaded(4000), Images, 16)
    sick.__class__ = OneByOne
    part = 15**2 * (8**2 - 1) / (15**2 * (8**2 - 1) + 100**2 - 1)  # it takes eight of the kinds
    expected = 1 + 16 * part / (1 - part)
    assert f_statistic(recorded(sick)["image"]) == pytest.approx(expected, rel=0.35), "the largest of 48 numbers"


@pytest.mark.parametrize(("n", "batch", "low", "high"), [(8, 8, 0.0, 1e-9), (40, 8, 0.3, 2.2), (100, 64, 0.1, 1.2)])
def test_few_images_that_are_drawn_once_an_epoch_differ_less(n: int, batch: int, low: float, high: float) -> None:
    assert low <= f_statistic(recorded(Batches(shaded(n), Images, batch))["image"]) <= high


def test_domains_are_recorded_apart_and_a_batch_of_another_size_is_left_out() -> None:
    data = dataclasses.replace(shaded(64), second=255 - shaded(64).images, labels=None, class_names=())
    recording = RecordingBatches(Batches(data, UnpairedImages, 8))
    next(recording)
    recording.draw(5)
    next(recording)
    statistics = recording.statistics()
    assert {name: (batch.size, len(batch.means)) for name, batch in statistics.items()} == {"a": (8, 2), "b": (8, 2)}
    assert not np.array_equal(statistics["a"].means, statistics["b"].means)
    assert recording.statistics() == {}, "it forgets"


def test_a_number_that_never_changes_says_nothing_and_one_that_changes_with_the_batch_all() -> None:
    means, variances = np.zeros((INTERVAL, 2)), np.zeros((INTERVAL, 2))
    assert f_statistic(BatchStatistics(8, means, variances)) == 0
    means[::2, 1] = 1
    assert f_statistic(BatchStatistics(8, means, variances)) == math.inf


def test_a_long_wait_between_readings_costs_no_memory() -> None:
    assert len(recorded(Batches(shaded(64), Images, 8), count=KEPT + 9)["image"].means) == KEPT


# Where a number that is not finite came from


def diverged(terms: dict[str, float], means: dict[str, float], before: Rows) -> Diverged:
    error = Diverged("x")
    error.step, error.player, error.terms, error.means, error.rows = 61, "D", terms, means, before
    return error


CALM_ROWS = rows(0, D_real=0.5, D_fake=0.6, D_penalty=1.0)
WILD_ROWS = rows(0, D_real=0.5, D_fake=0.6, D_penalty=np.exp(np.maximum(0, np.arange(INTERVAL) - 40.0)))
FAR_ROWS = rows(0, D_real=0.5, D_fake=0.6, D_penalty=np.full(INTERVAL, 1e29))  # it has been there for long
BAD = math.nan


@pytest.mark.parametrize(
    ("terms", "means", "before", "sign"),
    [
        ({"real": BAD, "fake": 0.6}, {"real": BAD, "fake": -1.0}, CALM_ROWS, "nan in the data"),
        ({"wasserstein": BAD, "penalty": BAD}, {"real": BAD, "fake": 0.0}, [], "nan in the data"),
        ({"real": 0.5, "fake": math.inf}, {"real": 1.0, "fake": math.inf}, CALM_ROWS, "nan in the samples"),
        ({"real": BAD, "fake": BAD}, {"real": BAD, "fake": BAD}, CALM_ROWS, "nan"),
        ({"real": BAD, "fake": 0.6, "penalty": BAD}, {"real": BAD, "fake": 0.0}, WILD_ROWS, "blow-up"),
        ({"real": 0.5, "fake": 0.6, "penalty": 1e29}, {"real": 1.0, "fake": -1.0}, FAR_ROWS, "blow-up"),
        ({"real": 0.5, "fake": 0.6}, {"real": 1.0, "fake": -1.0}, CALM_ROWS, "nan in the gradient"),
        ({"nll": BAD}, {}, [], "nan"),
    ],
)
def test_explanations(terms: dict[str, float], means: dict[str, float], before: Rows, sign: str) -> None:
    note = Doctor(64).explain(diverged(terms, means, before))
    assert (note.sign, note.step, note.player) == (sign, 61, "D")
    if before and "real" in terms:
        assert "one step before: real 0.5" in note.evidence


def test_a_note_fits_a_line_and_its_record_says_all() -> None:
    for sign, (causes, remedies) in ADVICE.items():
        note = Note(7, sign, "D", "words " * 60)
        assert len(note.line()) <= 160
        assert note.line().endswith(f"...; try {remedies[0]}")
        record = {"step": 7, "sign": sign, "player": "D", "seen": note.evidence}
        assert note.record() == record | {"causes": list(causes), "try": list(remedies)}


def test_histograms_of_a_player_share_their_range() -> None:
    made = histograms({"D/real": np.array([0.0, 4.0]), "D/fake": np.array([-4.0]), "E/x": np.zeros(3), "E/y": [BAD]})
    assert made.keys() == {"D/real", "D/fake", "E/x"}
    assert made["D/real"]["low"] == made["D/fake"]["low"] == -4.0
    assert made["D/real"]["high"] == 4.0
    assert made["D/fake"]["counts"] == [1] + [0] * (BINS - 1)
    assert sum(made["D/real"]["counts"]) == 2
    assert (made["E/x"]["low"], made["E/x"]["high"]) == (-0.5, 0.5)
    json.dumps(made)


# Runs

GLYPHS = {"data": "glyphs", "characters": "digits", "size": "12", "sample_every": 25}
RING = {"data": "ring", "batch_size": 128, "sample_every": 100}
PATIENTS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {  # model, its options, those of the run
    "gan on points": ("gan", {"width": 64}, RING),
    "gan on a grid": ("gan", {}, {**RING, "data": "grid"}),
    "gan, minimax": ("gan", {"width": 64, "loss": "minimax"}, RING),
    "gan, as released": ("gan", {"width": 64}, {**GLYPHS, "batch_size": 50, "steps": 250}),
    "gan, modern": ("gan", {"width": 32, "recipe": "modern"}, {**GLYPHS, "batch_size": 64}),
    "dcgan": ("dcgan", {"width": 8}, {**GLYPHS, "size": "16", "batch_size": 16}),
    "infogan": ("infogan", {"noise_dim": 8}, {**GLYPHS, "size": "8", "batch_size": 16, "steps": 150}),
    "began": ("began", {"width": 8}, {**GLYPHS, "steps": 200}),
    "cyclegan": ("cyclegan", {"width": 8, "num_blocks": 1}, {"data": "scenes_unpaired", "size": "16", "steps": 150}),
    "pixelrnn": ("pixelrnn", {"width": 8, "num_blocks": 2}, {**GLYPHS, "size": "8", "sample_every": 200}),
    "wgan_gp on points": ("wgan_gp", {"width": 64}, {**RING, "steps": 250}),
    "wgan_gp": ("wgan_gp", {"width": 8}, {**GLYPHS, "size": "16", "batch_size": 32, "steps": 200}),
    "relativistic_gan on points": ("relativistic_gan", {"width": 64}, {**RING, "steps": 250}),
    "f_gan": ("f_gan", {"width": 64}, {**GLYPHS, "size": "16", "batch_size": 32, "steps": 200}),
    "softmax_gan on points": ("softmax_gan", {"width": 64}, {**RING, "steps": 250}),
}


def admitted(name: str, folder: Path, fault: Callable[[Trainer], None] | None = None, **more: Any) -> Run:
    """A run that has not begun, with something wrong in it."""
    model, its_options, given = PATIENTS[name]
    usual = {"steps": 400, "out": str(folder), "evaluate_every": 0, "threads": 1}
    run = Run.new(model, Options(**{**usual, **given, **more}), its_options, quiet=True)
    if fault:
        fault(run.trainer)
    return run


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def notes(run: Run) -> list[tuple[str, str]]:
    run.train(quiet=True)
    return [(note["sign"], note["player"]) for note in lines(run.folder / "doctor.jsonl")]


def hurried(trainer: Trainer) -> None:
    """D's learning rate a hundred times as large."""
    player = trainer.model.players["D"]
    player.optimizer = dataclasses.replace(player.optimizer, lr=100 * player.optimizer.lr)
    trainer.players["D"] = PlayerState(player, trainer.device)


def blind(trainer: Trainer) -> None:
    """A generator that ignores its noise."""
    latent = trainer.model.latent
    vars(trainer.model)["latent"] = lambda n: torch.zeros_like(latent(n))


class OneClass(Batches):
    """Batches of one class each: always the same, or each another."""

    always = True

    def draw(self, n: int) -> Any:
        batch = super().draw(n)
        assert self.labels is not None
        wanted = 3 if self.always else self.drawn // n % 8
        places = (self.labels == wanted).nonzero().squeeze(1)
        start = self.drawn % (len(places) - n)
        return type(batch)(self._decode(self.images[places[start : start + n]], None))


class OneByOne(OneClass):
    always = False


class Spoilt(Batches):
    """One value of one batch is no number."""

    def draw(self, n: int) -> Any:
        batch = super().draw(n)
        if self.drawn // n == 60:
            batch.image[3].view(-1)[1] = math.nan
        return batch


def with_batches(kind: type[Batches]) -> Callable[[Trainer], None]:
    def fault(trainer: Trainer) -> None:
        trainer.batches.__class__ = kind

    return fault


FAULTS: list[tuple[str, Callable[[Trainer], None], tuple[str, str], dict[str, Any]]] = [
    ("gan on points", hurried, ("dead", "D"), {"steps": 500}),
    ("gan, modern", hurried, ("saturated", "D"), {"steps": 500}),
    ("dcgan", hurried, ("saturated", "D"), {"steps": 500}),
    ("wgan_gp", hurried, ("oscillating", "D"), {"steps": 300}),
    ("gan on points", blind, ("collapsed", "samples"), {"steps": 100}),
    ("dcgan", blind, ("collapsed", "samples"), {"steps": 50}),
    ("wgan_gp", blind, ("collapsed", "samples"), {"steps": 50}),
    ("gan on points", with_batches(OneClass), ("collapsed", "samples"), {"steps": 300}),
    ("gan on points", with_batches(OneByOne), ("unmixed", "data"), {"steps": 200}),
    ("wgan_gp on points", with_batches(OneByOne), ("unmixed", "data"), {"steps": 100}),
    ("dcgan", with_batches(OneByOne), ("unmixed", "data"), {"steps": 100}),
    ("wgan_gp", with_batches(OneByOne), ("unmixed", "data"), {"steps": 100}),
]


@pytest.mark.parametrize(("name", "fault", "expected", "more"), FAULTS)
def test_a_fault_is_named_within_500_steps(
    name: str, fault: Callable[[Trainer], None], expected: tuple[str, str], more: dict[str, Any], tmp_path: Path
) -> None:
    assert expected in notes(admitted(name, tmp_path / "run", fault, **more))


@pytest.mark.parametrize("name", [name for name in PATIENTS if name not in ("dcgan", "wgan_gp", "cyclegan")])
def test_a_healthy_run_raises_no_alarm(name: str, tmp_path: Path) -> None:
    """Those of which no longer run is recorded: test_doctor_health.py replays the others."""
    assert notes(admitted(name, tmp_path / "run")) == []


@pytest.mark.parametrize(("name", "step"), [("gan on points", 60), ("dcgan", 60), ("wgan_gp on points", 12)])
def test_a_batch_with_nan_is_named_as_such(name: str, step: int, tmp_path: Path) -> None:
    run = admitted(name, tmp_path / "run", with_batches(Spoilt))
    with pytest.raises(RunError, match="it came with the reals, and the fakes were finite") as caught:
        run.train(quiet=True)
    assert "one step before: " in str(caught.value)
    assert "try ganarium data on the training set" in str(caught.value)
    (note,) = lines(run.folder / "doctor.jsonl")
    assert (note["sign"], note["player"], note["step"]) == ("nan in the data", "D", step)


def test_a_learning_rate_past_all_measure_is_not_laid_on_the_data(tmp_path: Path) -> None:
    def wild(trainer: Trainer) -> None:
        player = trainer.model.players["D"]
        player.optimizer = Adam(lr=lambda step, total: 1e-3 * 1.3**step)
        trainer.players["D"] = PlayerState(player, trainer.device)

    run = admitted("wgan_gp", tmp_path / "run", wild, size="8", batch_size=8, log_every=10)
    with pytest.raises(RunError, match=r"its terms had grown (.* times|to .*); .*lower learning rate"):
        run.train(quiet=True)
    assert lines(run.folder / "doctor.jsonl")[-1]["sign"] == "blow-up"


@pytest.mark.parametrize("name", ["gan on points", "dcgan", "cyclegan"])
def test_a_run_with_and_without_the_doctor_is_bit_equal(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = {"steps": 60, "sample_every": 20, "log_every": 10}
    for limit, value in (("EARLY", 0), ("SHARE", 9.0), ("LAST_SHARE", 9.0)):  # looks at what D knows at every picture
        monkeypatch.setattr(notes_of_runs, limit, value)
    monkeypatch.setattr("ganarium.doctor.memory.NUM", 4)
    seen = admitted(name, tmp_path / "seen", **more)
    assert seen.train(quiet=True) == 0
    monkeypatch.setattr(RunDoctor, "__init__", lambda self, *_: None)
    monkeypatch.setattr(RunDoctor, "examine", lambda self, *_: [])
    monkeypatch.setattr(RunDoctor, "examine_samples", lambda self, *_: [])
    monkeypatch.setattr(RunDoctor, "examine_memory", lambda self, *_: [])
    alone = admitted(name, tmp_path / "alone", **more)
    assert alone.train(quiet=True) == 0
    assert (seen.folder / "scores.jsonl").exists() > (alone.folder / "scores.jsonl").exists()
    assert torch.equal(seen.trainer.batches.draw(4)[0], alone.trainer.batches.draw(4)[0])
    ours, theirs = capture(seen.trainer)[0], capture(alone.trainer)[0]
    for file, tensors in ours.items():
        for key, value in tensors.items():
            assert torch.equal(value, theirs[file][key]), key


def test_a_note_stands_above_the_bar(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    admitted("gan on points", tmp_path / "run", blind, steps=100).train()
    assert "doctor: collapsed: all samples are the same; try " in capsys.readouterr().out


def test_scores_are_kept_at_even_steps_and_a_resumed_run_has_one_story(tmp_path: Path) -> None:
    run = admitted("gan on points", tmp_path / "run", steps=3 * HISTOGRAMS, log_every=1, sample_every=3 * HISTOGRAMS)
    run.train(quiet=True)
    kept = lines(run.folder / "scores.jsonl")
    assert [row["step"] for row in kept] == list(range(3, 3 * HISTOGRAMS + 1, 3))
    assert all(sum(row["histograms"]["D/fake"]["counts"]) == 128 for row in kept)
    last = 3 * HISTOGRAMS
    for name in ("scores.jsonl", "doctor.jsonl"):
        with (run.folder / name).open("a") as file:
            file.write(f'{{"step": {last}}}\n{{"step": {last + 2}}}\n{{"step": 9')
    Run.reopen(run.folder, steps=last + 3).train(quiet=True)
    assert [row["step"] for row in lines(run.folder / "doctor.jsonl")] == [last]
    assert last + 2 not in [row["step"] for row in lines(run.folder / "scores.jsonl")]


def test_what_a_doctor_reads() -> None:
    """The terms, scores and batches of three iterations, and of a watched tensor that is too large to copy."""
    training = trainer("gan", (2,), batch_size=6)
    recording = training.batches = RecordingBatches(training.batches)
    watched = [{update.player: update.watched for update in training.updates()} for _ in range(3)][-1]["D"]
    reading = training.drain()
    assert [row["step"] for row in reading.rows] == [1, 2, 3]
    assert reading.observed.keys() == {"D/real", "D/fake"}
    assert torch.equal(reading.observed["D/real"], watched["real"].flatten())
    assert [row.keys() for row in reading.means] == [{"D/real", "D/fake"}] * 3
    assert reading.means[-1]["D/fake"] == pytest.approx(float(watched["fake"].mean()))
    statistics = recording.statistics()
    training.batches.drawn -= 6
    again = next(training.batches).image.double().numpy()
    assert {name: (batch.size, len(batch.means)) for name, batch in statistics.items()} == {"image": (6, 3)}
    assert statistics["image"].means[-1] == pytest.approx(again.mean(0), abs=1e-6)
    assert statistics["image"].variances[-1] == pytest.approx(again.var(0, ddof=1), rel=1e-5)
    for update in training.updates():
        if update.player == "D":
            update.watched["real"] = torch.arange(3 * OBSERVED - 1.0).view(-1, 1)
    assert training.drain().observed["D/real"].tolist() == [3.0 * i for i in range(OBSERVED)]


# ---- checkerboards -------------------------------------------------------------------------------------------


def pictures(name: str, count: int = 40) -> np.ndarray:
    images = load_data(name)[1].images[:count]
    return images.permute(0, 3, 1, 2).numpy() / 127.5 - 1


@pytest.mark.parametrize("name", ["textures", "glyphs", "scenes_unpaired"])
def test_a_planted_checkerboard_is_seen_and_healthy_pictures_are_not(name):
    healthy = pictures(name)
    planted = healthy.copy()
    planted[:, :, ::2, ::2] += 0.25  # of the range of 2
    assert checkerboard.strength(healthy) < 0.15
    assert checkerboard.strength(planted) > 0.75
    patient = Doctor(64, UNTRAINED)
    assert not patient.examine_samples(0, 0.99 * planted, healthy)
    assert not patient.examine_samples(3000, planted, healthy), "once is chance"
    assert signs(patient.examine_samples(3050, planted, healthy)) == [("checkerboard", "samples")]
    patient = Doctor(64, UNTRAINED)
    for step in (3000, 3050, 3100):
        assert not patient.examine_samples(step, healthy[::-1].copy(), healthy)
    patient = Doctor(64, UNTRAINED)
    for step in (0, 3000, 3050):  # in text_to_image the encoder of sentences learns first
        assert not patient.examine_samples(step, planted, healthy), "G has not moved yet"


def test_a_pattern_that_the_data_have_themselves_is_no_sign():
    healthy = pictures("textures")
    healthy[:, :, ::2, ::2] += 0.15
    assert checkerboard.evidence(3000, healthy, checkerboard.strength(healthy)) == ""
    assert checkerboard.strength(np.zeros((4, 2))) == 0.0
    assert checkerboard.strength(np.zeros((4, 3, 32, 32))) == 0.0


def test_transposed_convolutions_draw_checkerboards_and_resizing_does_not():
    image = torch.from_numpy(pictures("textures", 8)).float()
    strengths = {}
    for upsampling in ("transposed", "resize"):
        torch.manual_seed(0)
        model = ganarium.create("cyclegan", (3, 64, 64), width=8, num_blocks=1, upsampling=upsampling)
        strengths[upsampling] = checkerboard.strength(model.translate(image).numpy())
    assert strengths["transposed"] > 0.5 > 0.25 > strengths["resize"]


# ---- what D knows by heart -----------------------------------------------------------------------------------


def reading(apart: float, gap: float) -> MemoryReading:
    return MemoryReading("D", gap, apart)


def test_a_reading_is_a_share_of_the_way_to_fakes_and_a_chance_of_the_right_order() -> None:
    known, fake = np.array([3.0, 5.0]), np.array([-1.0, 1.0])
    assert compared("D", known, np.array([2.0, 4.0]), fake) == ("D", 0.25, 0.75)
    assert compared("D", known, known, fake) == ("D", 0.0, 0.5)
    assert compared("D", known, fake, fake) == ("D", 1.0, 1.0)
    assert math.isnan(compared("D", fake, known, known).gap), "D scores fakes higher: there is no way to them"


def test_memorised_is_told_at_the_second_look_and_needs_both_numbers() -> None:
    assert [signs(Doctor(8).examine_memory(1, reading(1.0, 0.9)))] == [[]]
    for apart, gap, told in ((1.0, 0.9, 1), (APART, 0.9, 0), (1.0, GAP, 0), (0.6, 0.1, 0), (1.0, math.nan, 0)):
        patient = Doctor(8)
        notes = patient.examine_memory(100, reading(apart, gap)) + patient.examine_memory(200, reading(apart, gap))
        assert signs(notes) == [("memorised", "D")] * told, (apart, gap)
    assert notes == []


def test_overfitted_is_a_sure_d_however_ada_changes_its_images() -> None:
    usual = scores(1.0, -1.0)
    for r_t, p, told in ((0.95, 0.9, 1), (0.95, 0.5, 0), (0.7, 1.0, 0)):
        notes = looks(Doctor(64), 3, usual, D_real=0.5, D_fake=0.5, D_augment_r=r_t, D_augment_p=p)
        assert signs(notes) == [("overfitted", "D")] * told, (r_t, p)


def by_heart(trainer: Trainer) -> None:
    """Sixteen training images are left."""
    trainer.batches.images = trainer.batches.images[:16]


def test_a_discriminator_that_knows_sixteen_images_by_heart_is_told_of(tmp_path: Path) -> None:
    run = admitted("dcgan", tmp_path / "run", by_heart, steps=560)
    assert ("memorised", "D") in notes(run)
    readings = lines(run.folder / "memory.jsonl")
    assert [reading["step"] for reading in readings] == [275, 550, 560]
    assert more_images(readings[-1]["apart"], None).startswith("more images would help: D scores")
    told = [note["try"] for note in lines(run.folder / "doctor.jsonl") if note["sign"] == "memorised"]
    assert told[0][0] == "--augment diff"


@pytest.mark.parametrize(("name", "told"), [("dcgan", True), ("fastgan", False), ("sgan", False)])
def test_augmentation_is_no_remedy_where_it_is_on_or_not_there(name: str, told: bool, tmp_path: Path) -> None:
    training = trainer(name, (3, 16, 16))
    training.model.iteration = training.total = 1000
    held_out = Batches(dataset(training.model, training.model.shape, n=16), training.model.batch_type, 1)
    doctor = RunDoctor(tmp_path, training, held_out)
    doctor.memory.read = lambda model: MemoryReading("D", 0.9, 1.0)  # type: ignore[method-assign]
    (note,) = [note for _ in range(2) for note in doctor.examine_memory(training.model, True)]
    assert note.sign == "memorised"
    assert note.remedies[0] == ("--augment diff" if told else "more training images")
    assert lines(tmp_path / "doctor.jsonl")[0]["try"] == list(note.remedies)


@pytest.mark.parametrize("name", ["acgan", "ct_gan", "fastgan", "pix2pix", "r3gan", "sgan", "stylegan2"])
def test_a_look_at_what_d_knows_changes_nothing(name: str) -> None:
    """Steps with augmentation, averages, penalties and D's turn behind G's, of models with each kind of batch."""
    training = trainer(name, (3, 16, 16))
    training.iterate()
    before, random = capture(training)[0], torch.get_rng_state()
    held_out = Batches(dataset(training.model, training.model.shape, seed=1), training.model.batch_type, 1)
    result = Memory(training.batches, held_out).read(training.model)
    assert result is not None
    assert 0 <= result.apart <= 1
    assert torch.equal(torch.get_rng_state(), random)
    for file, tensors in capture(training)[0].items():
        for key, value in tensors.items():
            assert torch.equal(value, before[file][key]), key


def test_a_model_without_scores_and_few_held_out_images_are_not_looked_at() -> None:
    training = trainer("pixelrnn", (1, 8, 8))
    memory = Memory(training.batches, Batches(dataset(training.model, (1, 8, 8)), training.model.batch_type, 1))
    assert memory.affordable(10**6, 0)
    assert memory.read(training.model) is None
    fifteen = Batches(dataset(training.model, (1, 8, 8), n=15), training.model.batch_type, 1)
    assert not Memory(training.batches, fifteen).affordable(10**6, 0)


def test_a_share_of_the_steps_is_kept_to() -> None:
    training = trainer("gan", (1, 8, 8), batch_size=8)
    memory = Memory(training.batches, Batches(dataset(training.model, (1, 8, 8)), training.model.batch_type, 1))
    assert memory.steps == 8
    assert [memory.affordable(step, 1, 0.04) for step in (799, 800)] == [False, True]  # 2 x 16 steps


def test_whether_more_images_would_help_is_a_sentence() -> None:
    assert more_images(None, None) == more_images(None, None, 20) == ""
    assert "20 held-out images, and there are 3" in more_images(None, None, 3)
    assert "hardly help yet" in more_images(0.5, None, 3)
    assert more_images(0.5, 0.3).startswith("more images would help: 30% of the samples are copies")
    assert more_images(0.9, 0.0, augment="none").startswith("more images would help, or --augment diff: D scores")
    for augment in ("diff", "ada", None, True):  # it is on, or the model has none for D
        assert more_images(0.9, 0.0, augment=augment).startswith("more images would help: D scores")
    assert "hardly help yet" in more_images(0.55, 0.02)
    assert "hardly help yet" in more_images(None, 0.0)
