"""Validation while a run trains: it disturbs nothing, loses nothing, keeps to its time, and says what is true."""

import dataclasses
import json
import math
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

import ganarium
from ganarium import cli, registry
from ganarium.data import load_data
from ganarium.data.dataset import Dataset, HighResolutionImages, UnpairedImages, decode
from ganarium.errors import UserError
from ganarium.evaluation import measures
from ganarium.evaluation.measures import ImageMeasure, Measure, quick_measure
from ganarium.metrics.judges.judge import FeatureNetwork
from ganarium.metrics.protocol import Protocol
from ganarium.model import Model
from ganarium.runs import listing
from ganarium.runs.checkpoint import best_step
from ganarium.runs.folder import write_json
from ganarium.sampling import Sampling
from ganarium.training import session, timing, validation
from ganarium.training.outlook import chance_of_improvement, in_words, outlook, signs, trend, unlikely
from ganarium.training.validation import Validation, interval, reserve
from synthetic import dataset, refused, small_options, trainer

GLYPHS = {"data": "glyphs", "characters": "01", "size": 8, "batch_size": 8}
SCENES = {"data": "scenes_unpaired", "size": 8}
FAMILIES: dict[str, dict[str, Any]] = {  # one of each way to measure, and a model whose sampling moves buffers
    "gan": {"data": "ring", "batch_size": 16, "width": 8},
    "dcgan": GLYPHS | {"width": 2},
    "cyclegan": SCENES | {"width": 2, "num_blocks": 0},
    "pixelrnn": GLYPHS | {"width": 4, "num_blocks": 1, "head": 4},
}
METRICS = {
    "gan": "wasserstein_distance",
    "dcgan": "frechet_distance",
    "cyclegan": "kernel_distance",
    "pixelrnn": "nll_nats",
}
COMMON: dict[str, Any] = {"threads": 1, "device": "cpu", "log_every": 2}
PROTOCOL = dataclasses.asdict(Protocol("points", "", 9, 9, "", 0))


@pytest.fixture(autouse=True)
def quick_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer samples than 1,000, so that a test takes no second: still more than a judge has features."""
    monkeypatch.setattr(measures, "QUICK_IMAGES", 128)
    monkeypatch.setattr(measures, "QUICK_HELD_OUT", 32)


def train(name: str, out: Path, *, quiet: bool = True, **more: Any) -> Path:
    ganarium.train(name, out=out, quiet=quiet, **(COMMON | FAMILIES[name] | more))
    return out


def rows(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "evaluations.jsonl").read_text().splitlines()]


def best(run: Path) -> dict[str, Any]:
    actual: dict[str, Any] = json.loads((run / "best.json").read_text())
    return actual


def checkpoints(run: Path) -> list[int]:
    return sorted(int(path.name.removeprefix("step-")) for path in (run / "checkpoints").glob("step-*"))


def value(row: dict[str, Any]) -> float:
    return float(row["values"][row["metric"]])


# A run


@pytest.mark.parametrize("name", FAMILIES)
def test_a_run_with_evaluations_is_bit_equal_to_one_without(name: str, tmp_path: Path) -> None:
    runs = [train(name, tmp_path / str(every), steps=6, evaluate_every=every) for every in (2, 0)]
    a, b = (
        {
            f"{file.stem}/{key}": tensor
            for file in (run / "checkpoints" / "step-00000006").glob("*.safetensors")
            for key, tensor in load_file(file).items()
        }
        for run in runs
    )
    assert a.keys() == b.keys()
    assert any("random" in key for key in a)
    assert all(torch.equal(a[key], b[key]) for key in a)
    metrics = [[json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()] for run in runs]
    for one, other in zip(*metrics, strict=True):
        times = ("seconds", "steps_per_second")
        assert {key: one[key] for key in one if key not in times} == {k: other[k] for k in other if k not in times}
    assert not (runs[1] / "evaluations.jsonl").exists()
    assert not (runs[1] / "best.json").exists()


@pytest.mark.parametrize("name", FAMILIES)
def test_every_case_names_its_number_and_keeps_the_best(name: str, tmp_path: Path) -> None:
    run = train(name, tmp_path / "run", steps=7, evaluate_every=2, keep=1)
    actual = rows(run)
    assert [row["step"] for row in actual] == [2, 4, 6, 7], "and one at the end"
    for row in actual:
        assert list(row) == ["step", "seconds", "took", "metric", "values", "protocol"]
        assert row["metric"] == METRICS[name]
        assert Protocol(**row["protocol"]).num_real > 0
        assert all(np.isfinite(number) for number in row["values"].values())
        assert 0 < row["took"] < row["seconds"]
    lowest = min(actual, key=value)
    assert best(run) == {
        "step": lowest["step"],
        "metric": METRICS[name],
        "value": value(lowest),
        "lower_is_better": True,
    }
    assert {lowest["step"], 7} <= set(checkpoints(run))
    assert len(checkpoints(run)) <= 2, "the best before it goes with the next that is written"
    model = ganarium.load(run / "checkpoints" / f"step-{lowest['step']:08d}")
    train_set, test_set = load_data(
        FAMILIES[name]["data"],
        size=(8, 8) if "size" in FAMILIES[name] else None,
        characters=FAMILIES[name].get("characters"),
    )
    again = quick_measure(model, train_set, test_set).quick()
    assert again == pytest.approx(lowest["values"]), "the checkpoint gives the numbers that are told of it"


def test_tensorboard_has_the_numbers(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = train("gan", tmp_path / "run", steps=4, evaluate_every=2)
    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    seen = events.Scalars("evaluation/wasserstein_distance")
    assert [event.step for event in seen] == [2, 4]
    assert seen[-1].value == pytest.approx(value(rows(run)[-1]))


def test_what_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = train("gan", tmp_path / "my run", steps=12, evaluate_every=2, quiet=False)
    lines = capsys.readouterr().out.splitlines()
    actual = rows(run)
    for row in actual:
        assert any(line.startswith(f"step {row['step']}: wasserstein_distance {value(row):.4g}") for line in lines)
    assert f"evaluated at step 12: {in_words(actual[-1])}" in lines
    (where,) = [line for line in lines if line.startswith("best at step")]
    path = Path(where.split(": ", 1)[1])
    assert ganarium.load(path).iteration == best(run)["step"]
    (share,) = [line for line in lines if line.startswith("evaluations took")]
    expected = 100 * sum(row["took"] for row in actual) / actual[-1]["seconds"]
    assert share == f"evaluations took {expected:.2g} % of the time"
    assert any("over the last 6 evaluations" in line for line in lines)
    train("gan", tmp_path / "quiet", steps=4, evaluate_every=2)
    assert capsys.readouterr().out == ""


def test_the_command_line_ends_with_the_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = "train gan --data ring --batch-size 16 --width 8 --threads 1 --device cpu --steps 4 --evaluate-every 2"
    assert cli.main([*words.split(), "--out", str(tmp_path / "run")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "2 evaluations cannot tell whether more training would help" in lines
    assert lines.index("done: 4 steps") > lines.index(f"evaluated at step 4: {in_words(rows(tmp_path / 'run')[-1])}")


# Stopped and taken up again


def test_resuming_drops_later_lines_and_half_ones(tmp_path: Path) -> None:
    run = train("gan", tmp_path / "run", steps=8, evaluate_every=2, save_every=4, keep=9)
    whole, lowest = rows(run), best(run)
    for step in checkpoints(run):
        if step > 4:
            shutil.rmtree(run / "checkpoints" / f"step-{step:08d}")
    with (run / "evaluations.jsonl").open("a") as file:
        file.write('{"step": 9, "seco')
    write_json(run, "best.json", {"step": 8, "metric": "wasserstein_distance", "value": 0.0})
    ganarium.resume(run, quiet=True)
    again = rows(run)
    assert [row["step"] for row in again] == [2, 4, 6, 8]
    assert [row["values"] for row in again] == [row["values"] for row in whole]
    assert best(run) == lowest


def row(step: int, number: float, **more: Any) -> dict[str, Any]:
    own = {"step": step, "seconds": 9.0 + step, "took": 0.1, "metric": "m", "values": {"m": number}}
    return own | {"protocol": PROTOCOL} | more


def opened(folder: Path, step: int, *, measure: Any = None, always: bool = True) -> tuple[Validation, list[str]]:
    lines: list[str] = []
    return Validation(folder, step, measure, always=always, say=lines.append), lines


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four evaluations, the third the best, with checkpoints of all but the second."""
    for step in (1, 3, 4):
        place = tmp_path / "checkpoints" / f"step-{step:08d}"
        place.mkdir(parents=True)
        (place / "checkpoint.json").write_text("{}")
    written = [row(step, number) for step, number in zip((1, 2, 3, 4), (4.0, 1.0, 2.0, 3.0), strict=True)]
    (tmp_path / "evaluations.jsonl").write_text("".join(json.dumps(line) + "\n" for line in written))
    return tmp_path


@pytest.mark.parametrize(("step", "expected"), [(4, 3), (3, 3), (2, 1), (1, 1)])
@pytest.mark.parametrize("named", [None, 1, 2, 3, 4])
def test_best_is_of_what_is_left_and_has_a_checkpoint(
    folder: Path, step: int, expected: int, named: int | None
) -> None:
    if named is not None:
        write_json(folder, "best.json", {"step": named})
    opened(folder, step)
    assert best_step(folder) == expected
    assert [line["step"] for line in rows(folder)] == list(range(1, step + 1))


def test_best_from_before_the_first_evaluation_goes(folder: Path) -> None:
    write_json(folder, "best.json", {"step": 3})
    evaluations, _ = opened(folder, 0)
    assert not (folder / "best.json").exists()
    assert evaluations.best is None
    assert evaluations.summary("more") == []


def test_a_best_that_somebody_named_stays(tmp_path: Path) -> None:
    (tmp_path / "best.json").write_text('{"step": 1}')
    opened(tmp_path, 5)
    assert best_step(tmp_path) == 1


def test_numbers_of_another_protocol_are_not_compared(folder: Path) -> None:
    evaluations, _ = opened(folder, 4)
    other = row(5, 9.0, protocol=PROTOCOL | {"version": "9.9.9"})
    assert not evaluations.is_best(row(5, 2.5))
    assert evaluations.is_best(row(5, 1.5))
    assert evaluations.is_best(other)
    evaluations.add(other, 20.0)
    assert best(folder)["value"] == 9.0
    assert evaluations.summary("more")[2].startswith("1 evaluation cannot tell")


@pytest.mark.parametrize("broken", ["row", "best"])
def test_a_kill_between_two_writes_leaves_no_name_without_its_checkpoint(
    broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies at the row of a new best, or at `best.json`."""
    seen = []

    class Killed(BaseException):
        pass

    def killed(self: Validation, *_: Any) -> None:
        seen.append(max(checkpoints(self.folder)))
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Validation, "add" if broken == "row" else "_write_best", killed)
        with pytest.raises(Killed):
            train("gan", tmp_path / "run", steps=6, evaluate_every=2)
    run = tmp_path / "run"
    assert seen == [2], "the checkpoint comes first"
    assert not (run / "best.json").exists()
    assert (run / "evaluations.jsonl").exists() == (broken == "best")
    ganarium.resume(run, quiet=True)
    assert best(run)["step"] in checkpoints(run)
    if broken == "best":
        assert best(run)["value"] == min(map(value, rows(run))), "the row that was written counts"


def test_an_extension_goes_on_from_the_best(tmp_path: Path) -> None:
    run, long = tmp_path / "run", tmp_path / "long"
    train("gan", run, steps=4, evaluate_every=2)
    ganarium.resume(run, steps=8, quiet=True)
    train("gan", long, steps=8, evaluate_every=2)
    assert [line["values"] for line in rows(run)] == [line["values"] for line in rows(long)]
    assert best(run) == best(long)


# What cannot be measured


def test_an_error_of_the_evaluator_kills_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def none(model: Any, train: Dataset, test: Dataset) -> Measure:
        raise UserError(f"{train.name} has no judge: train one.")

    for module in (session, timing):
        monkeypatch.setattr(module, "quick_measure", none)
    monkeypatch.setattr(validation, "MIN_SECONDS", 0.0)
    run = train("gan", tmp_path / "run", steps=50, quiet=False)
    assert max(checkpoints(run)) == 50
    lines = [line for line in capsys.readouterr().out.splitlines() if "evaluat" in line]
    assert lines == ["this run is not evaluated while it trains: ring has no judge: train one."]
    assert not (run / "evaluations.jsonl").exists()
    for more in ({"steps": 2}, {"minutes": 0.02}):
        refused("ring has no judge", lambda more=more: train("gan", tmp_path / "other", evaluate_every=2, **more))
    assert not (tmp_path / "other").exists(), "an error before anything is written"


def test_a_negative_interval_is_refused(tmp_path: Path) -> None:
    refused("evaluate_every must be 0 ... above, not -1", lambda: train("gan", tmp_path / "run", evaluate_every=-1))


def test_divergence_is_still_named(tmp_path: Path) -> None:
    with pytest.raises(ganarium.RunError, match=r"(term|parameter).*player [DG].*at step"):
        train("gan", tmp_path / "run", steps=200, evaluate_every=1, lr=1e4, width=128)
    assert best(tmp_path / "run")["step"] in checkpoints(tmp_path / "run")


# Time


class Timed(Measure):
    """Takes as long as it says, on a clock of its own."""

    metric, count = "m", 6400

    def __init__(self, takes: float, clock: list[float]) -> None:
        self.takes, self.clock, self.protocol = takes, clock, Protocol("points", "", 9, 9, "", 0)

    def read(self, count: int) -> None:
        self.clock[0] += self.takes * count / self.count

    def quick(self) -> dict[str, float]:
        self.read(self.count)
        return {"m": 1.0}


def simulated(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, takes: float, run: float, always: bool = False
) -> tuple[int, float]:
    """How many evaluations a run of `run` seconds has, and their share of its time."""
    (folder / "checkpoints").mkdir(parents=True)
    clock = [0.0]
    monkeypatch.setattr(validation.time, "monotonic", lambda: clock[0])
    evaluations, _ = opened(folder, 0, measure=lambda: Timed(takes, clock), always=always)
    trained = 0.0
    for part in range(1, 21):
        trained += run / 20
        clock[0] += run / 20
        actual = evaluations.evaluate(part, clock[0], part == 20)
        if actual:
            evaluations.add(actual, clock[0])
    return len(evaluations.rows), (clock[0] - trained) / clock[0]


@pytest.mark.parametrize(
    ("takes", "seconds", "count"),
    [
        (0.2, 600.0, 20),  # cheap: all twenty
        (2.0, 600.0, 14),  # as many as fit
        (10.0, 600.0, 2),  # that at the end, and one before
        (60.0, 600.0, 1),  # that at the end alone
        (200.0, 600.0, 0),  # a third of the time: none
        (0.3, 1.0, 0),
        (0.01, 0.1, 0),
    ],
)
def test_evaluations_keep_to_their_share(
    takes: float, seconds: float, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, share = simulated(tmp_path / "run", monkeypatch, takes=takes, run=seconds)
    assert made == count
    assert share <= {0: 0.01, 1: 0.25}.get(count, 0.05), "one that does not fit costs its trial"


def test_a_chosen_interval_asks_for_no_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert simulated(tmp_path / "run", monkeypatch, takes=60.0, run=1.0, always=True)[0] == 20


@pytest.mark.parametrize(
    ("options", "total", "expected"),
    [
        ({"evaluate_every": None, "log_every": 50}, 10_000, 500),
        ({"log_every": 50}, 10_000, 500),  # a run of an older version
        ({"evaluate_every": None, "log_every": 50}, 100, 50),
        ({"evaluate_every": None, "log_every": 10}, 50, 10),
        ({"evaluate_every": None, "log_every": 10}, 49, 0),
        ({"evaluate_every": 10, "log_every": 10}, 49, 10),
        ({"evaluate_every": None, "log_every": 7}, 10_000, 497),
        ({"evaluate_every": 30, "log_every": 50}, 10_000, 30),
        ({"evaluate_every": 0, "log_every": 50}, 10_000, 0),
    ],
)
def test_the_interval(options: dict[str, Any], total: int, expected: int) -> None:
    assert interval(options, total) == expected


def test_minutes_count_evaluations_in(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(validation.time, "monotonic", lambda: clock[0])

    def reserved(takes: float, every: int | None) -> tuple[float, float]:
        return reserve(lambda: Timed(takes, clock), {"evaluate_every": every, "log_every": 50}, 100.0)

    assert reserved(3.0, 0) == (0.0, 0.0)
    assert reserved(3.0, 10) == (3.0, 0.3)
    assert reserved(0.2, None) == (5.0, 0.0)
    assert reserved(20.0, None) == (20.0, 0.0)
    assert reserved(40.0, None) == (5.0, 0.0), "it will not be made"


# Whether more training would help


def wandering(slope: float, scatter: float, seed: int, count: int = 12) -> list[float]:
    chance = random.Random(seed)
    return [100 + slope * place + chance.gauss(0, scatter) for place in range(count)]


def test_trends_are_told_from_scatter() -> None:
    steps = list(range(100, 1300, 100))
    for seed in range(20):
        assert trend(wandering(-5, 2, seed), steps) == "falling"
        assert trend(wandering(5, 2, seed), steps) == "rising"
        assert trend(wandering(-0.1, 0.001, seed), steps) == "flat", "sure, but of no worth"
    flat = [trend(wandering(0, 5, seed), steps) for seed in range(400)]
    assert 0.02 < flat.count("falling") / 400 < 0.09, "the chance that is named: 5 % each way"
    assert 0.02 < flat.count("rising") / 400 < 0.09
    assert trend([5.0] * 12, steps) == "flat"
    assert trend([12.0 - place for place in range(12)], steps) == "falling"
    fell = [100.0 - 10 * place for place in range(4)] + wandering(0, 1, 0, 8)
    assert trend(fell, steps) == "flat", "what was long ago does not count"
    assert trend([5.0, 4.0, 3.0, 2.0, 1.0], steps[:5]) == "falling"


def test_the_outlook_is_a_sentence() -> None:
    def sentence(values: list[float]) -> str:
        return outlook(evaluated(values), "ganarium resume r")

    assert sentence([3.0]) == "1 evaluation cannot tell whether more training would help"
    assert sentence([5.0, 4.0, 3.0, 2.0]) == "4 evaluations cannot tell whether more training would help"
    falls = sentence([9.0, 8.0, 7.1, 6.0, 5.0])
    assert falls.startswith(
        "over the last 5 evaluations m still falls; as many steps again improve the best by over 2%"
    )
    assert falls.endswith("so more training would likely help: ganarium resume r")
    rises = sentence([5.0, 6.0, 7.1, 8.0, 9.0, 10.0])
    assert rises.startswith("over the last 6 evaluations m rises; ")
    assert rises.endswith("so more training would likely not help")
    assert "m neither falls nor rises" in sentence([5.0, 5.5, 4.5, 5.2, 4.9])


def evaluated(values: list[float]) -> list[dict[str, Any]]:
    return [row(place, number) for place, number in enumerate(values, start=1)]


def test_the_chance_is_high_while_numbers_fall_and_low_after_a_long_time_without() -> None:
    assert chance_of_improvement(evaluated([9.0, 8.0, 7.0, 6.0])) is None, "four evaluations tell nothing"
    falling = chance_of_improvement(evaluated([9.0, 7.0, 5.5, 4.2, 3.3, 2.6]))
    resting = chance_of_improvement(evaluated([9.0, 3.0, 2.6, 2.7, 2.7, 2.6, 2.8, 2.7, 2.7, 2.8, 2.7]))
    assert falling is not None
    assert resting is not None
    assert resting < 0.5 < falling
    steep = chance_of_improvement(evaluated([1000.0, 300.0, 100.0, 30.0, 10.0]))
    assert steep is not None
    assert steep > 0.5, "no run is ended at its best"


def test_signs_have_no_scale_and_bear_numbers_below_zero() -> None:
    values, steps = [9.0, 7.0, 5.0, 4.0, 4.2, 4.1], [1, 2, 3, 4, 5, 6]
    assert signs(values, steps) == pytest.approx(signs([100 * value for value in values], [10 * s for s in steps]))
    assert signs(values, steps)[1] == pytest.approx(2 / 6), "the steps since the best, as a share of all"
    assert all(map(math.isfinite, signs([0.1, 0.0, -0.1, 0.0, 0.0], steps[:5])))
    assert all(map(math.isfinite, signs([0.0] * 5, steps[:5])))


def test_patience_counts_evaluations_in_a_row_and_stops_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert unlikely(evaluated([9.0, 7.0, 5.5, 4.2, 3.3, 2.6])) == 0
    assert unlikely(evaluated([9.0, 3.0, 2.6, 2.7, 2.7, 2.6, 2.8, 2.7, 2.7, 2.8, 2.7])) >= 2
    refused("patience goes by evaluations", lambda: train("gan", tmp_path / "none", patience=2, evaluate_every=0))
    monkeypatch.setattr("ganarium.training.outlook.chance_of_improvement", lambda rows: 0.4 if len(rows) > 2 else None)
    run = train("gan", tmp_path / "run", steps=40, evaluate_every=4, patience=3)
    assert [row["step"] for row in rows(run)] == [4, 8, 12, 16, 20]
    assert checkpoints(run)[-1] == 20
    state = json.loads((run / "state.json").read_text())
    assert (state["state"], state["reason"]) == ("finished", "patience")
    assert listing.summary_of(run, "run").state == "finished", "though 20 of its 40 steps were not made"
    assert (run / "samples" / "step-00000020.png").exists()
    assert cli.main(["resume", str(run)]) == 0
    assert [row["step"] for row in rows(run)][5:] == [24, 28, 32], "who goes on wants three more evaluations"
    told = capsys.readouterr().out
    assert "done: 32 steps of 40, where patience ended it" in told
    assert f"  ganarium resume {run}\n" in told, "without more steps: some are left"
    monkeypatch.setattr("ganarium.training.outlook.chance_of_improvement", lambda rows: 0.6)
    assert ganarium.resume(run, quiet=True).iteration == 40
    assert json.loads((run / "state.json").read_text())["reason"] is None


def test_the_best_step_of_a_model_that_sees_imagenet_is_chosen_by_a_judge_that_never_saw_it() -> None:
    made = trainer("projected_gan", (3, 32, 32))
    photos = dataclasses.replace(made.batches.data, name="my_photos")
    assert not made.model.sees_imagenet, "a control with random features"
    made.model.sees_imagenet = True
    assert quick_measure(made.model, photos, photos).protocol.features == "cifar10_subset"


class Pixels(FeatureNetwork):
    """Stands for Inception: a network that knows ImageNet and is none of the package's judges."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(1, 1)

    def prepare(self, images: Tensor) -> Tensor:
        return images

    def penultimate(self, prepared: Tensor) -> Tensor:
        return prepared.mean((2, 3)) + 1


def test_a_model_that_sees_imagenet_has_a_second_judge_beside_every_network_but_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = trainer("projected_gan", (3, 32, 32))
    photos = dataclasses.replace(made.batches.data, name="my_photos")
    monkeypatch.setattr("ganarium.evaluation.features.load_inception", lambda device: Pixels().eval())

    def metrics_by(features: str) -> set[str]:
        return set(ImageMeasure(made.model, photos, 8, features=features).full())

    assert "cifar10_subset/kernel_distance" not in metrics_by("inception"), "random features know nothing of ImageNet"
    made.model.sees_imagenet = True
    assert "cifar10_subset/kernel_distance" in metrics_by("inception")
    assert "cifar10_subset/kernel_distance" not in metrics_by("cifar10_subset"), "it is the first already"


# The numbers


class Stub(Model):
    """A generator that gives what it was handed."""

    def __init__(self, samples: Tensor) -> None:
        super().__init__(None, tuple(samples.shape[1:]))
        self.samples = samples

    def sample(self, n: int, *, seed: int | None = None, **conditions: Any) -> Tensor:
        return self.samples[:n]


def values_of(monkeypatch: pytest.MonkeyPatch, samples: Tensor, data: tuple[Dataset, Dataset]) -> dict[str, float]:
    def parts(model: Stub, n: int, seed: int) -> Iterator[Tensor]:
        return iter(model.samples[:n].split(64))

    monkeypatch.setattr(measures.streams, "samples", parts)
    stub: Any = Stub(samples)
    return quick_measure(stub, *data).quick()


def test_images_noise_and_one_class(monkeypatch: pytest.MonkeyPatch) -> None:
    data = load_data("glyphs", characters="digits")
    test = data[1]
    assert test.labels is not None
    shuffled = torch.randperm(len(test), generator=torch.Generator().manual_seed(0))
    real, labels = decode(test.images[shuffled]), test.labels[shuffled]
    good = values_of(monkeypatch, real, data)
    one = values_of(monkeypatch, real[labels == 3].repeat(9, 1, 1, 1), data)
    noise = values_of(monkeypatch, torch.rand(128, 1, 32, 32) * 2 - 1, data)
    assert good["classes"] == good["classes_of"] >= 10
    assert one["classes"] <= 2
    assert one["classes_of"] == good["classes_of"]
    for bad in (one, noise):
        assert bad["frechet_distance"] > 3 * good["frechet_distance"]
        assert bad["coverage"] < 0.3 < 0.7 < good["coverage"]


def test_points_of_one_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    data = load_data("ring")
    points = data[1].images
    assert data[1].labels is not None
    good = values_of(monkeypatch, points, data)
    one = values_of(monkeypatch, points[data[1].labels == 2], data)
    assert (good["modes"], good["modes_of"], one["modes"]) == (8, 8, 1)
    assert good["high_quality"] == pytest.approx(0.989, abs=0.02)
    assert one["wasserstein_distance"] > 5 * good["wasserstein_distance"]


def test_stacked_digits_are_read_a_channel_at_a_time(monkeypatch: pytest.MonkeyPatch, real_data: Path) -> None:
    monkeypatch.setattr(measures, "QUICK_IMAGES", 400)
    data = load_data("stacked_mnist", size=(28, 28))
    images = decode(data[1].images[:400])
    good = values_of(monkeypatch, images, data)
    grey = values_of(monkeypatch, images[:, :1].expand(-1, 3, -1, -1), data)
    assert good["modes"] > 300 > 15 > grey["modes"]
    assert grey["frechet_distance"] > 2 * good["frechet_distance"]


def test_few_images_have_a_kernel_distance(monkeypatch: pytest.MonkeyPatch) -> None:
    train_set, test_set = load_data("glyphs", characters="digits")
    small_set = dataclasses.replace(train_set, images=train_set.images[:40], labels=None, class_names=())
    stub: Any = Stub(decode(test_set.images[:40]))
    assert quick_measure(stub, small_set, test_set).metric == "kernel_distance"
    actual = values_of(monkeypatch, decode(small_set.images), (small_set, test_set))
    black = values_of(monkeypatch, stub.samples * 0, (small_set, test_set))
    assert actual["kernel_distance"] < 0.1 * black["kernel_distance"]


def test_translations_are_measured_in_each_direction() -> None:
    train_set, test_set = load_data("scenes_unpaired", size=(32, 32))
    assert train_set.second is not None

    class Maps(Model):
        batch_type, directions = UnpairedImages, ("a2b", "b2a")

        def __init__(self, right: bool) -> None:
            super().__init__(None, (3, 32, 32))
            self.right = right

        def translate(self, image: Tensor, *, direction: str | None = None, **options: Any) -> Tensor:
            to = test_set.second if direction == "a2b" else test_set.images
            assert to is not None
            return decode(to[: len(image)]) if self.right or direction == "b2a" else image

    right, half = (quick_measure(Maps(kind), train_set, test_set).quick() for kind in (True, False))
    assert list(half) == ["kernel_distance", "a2b/kernel_distance", "b2a/kernel_distance"]
    assert half["kernel_distance"] == pytest.approx((half["a2b/kernel_distance"] + half["b2a/kernel_distance"]) / 2)
    assert half["b2a/kernel_distance"] == right["b2a/kernel_distance"]
    assert half["a2b/kernel_distance"] > 3 * abs(right["a2b/kernel_distance"])
    without = dataclasses.replace(train_set, second=None)
    refused("no second domain", lambda: quick_measure(Maps(True), without, test_set))


@pytest.mark.parametrize("name", ["cyclegan", "pix2pix", "srgan", "context_encoder", "pixelrnn"])
def test_held_out_images_are_what_a_model_is_measured_on(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Training images are dark, and held-out ones bright."""
    kind = registry.create(name, (1, 32, 32), **small_options(name)).batch_type
    train_set, test_set = (dataset(kind, (1, 32, 32), n=24) for _ in range(2))
    dark, bright = (
        {field: shift(getattr(data, field), level) for field in ("images", "second")}
        for data, level in ((train_set, 0), (test_set, 200))
    )
    train_set, test_set = dataclasses.replace(train_set, **dark), dataclasses.replace(test_set, **bright)
    if kind is HighResolutionImages:
        train_set, test_set = (
            dataclasses.replace(data, photos=dataclasses.replace(data.photos, pixels=shift(data.photos.pixels, level)))
            for data, level in ((train_set, 0), (test_set, 200))
        )
    seen: list[Tensor] = []
    verb = {"srgan": "upscale", "context_encoder": "inpaint", "pixelrnn": "nll"}.get(name, "translate")
    model = registry.create(name, (1, 32, 32), **small_options(name))
    own = getattr(model, verb)
    monkeypatch.setattr(model, verb, lambda image, *rest, **more: seen.append(image) or own(image, *rest, **more))
    measure = quick_measure(model, train_set, test_set)
    measure.quick()
    assert seen
    assert min(image.min().item() for image in seen) > 0, "held-out images are what it reads"
    if name == "cyclegan":
        assert torch.cdist(measure.real[0], reals_of(measure, train_set.second)).amin(1).max() < 1e-3
        assert torch.cdist(measure.real[1], reals_of(measure, train_set.images)).amin(1).max() < 1e-3
    elif name != "pixelrnn":
        assert measure.real.min() > 0, "and what it is held to"


def shift(images: Tensor | None, level: int) -> Tensor | None:
    """uint8 images of a quarter of their contrast, above a level."""
    return None if images is None else images // 5 + level


def reals_of(measure: Any, images: Tensor) -> Tensor:
    actual: Tensor = measure.network.features(decode(images))
    return actual


def test_a_run_is_measured_on_held_out_images_while_it_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a folder whose training images are black and whose test images are white: in evaluations and in the grids."""
    for split, level in (("train", 0), ("test", 255)):
        for domain in "AB":
            (tmp_path / "data" / f"{split}{domain}").mkdir(parents=True)
            for place in range(12):
                picture = Image.new("RGB", (8, 8), (level,) * 3)
                picture.putpixel((place % 8, place // 8), (level // 2 + 60,) * 3)  # no copies
                picture.save(tmp_path / "data" / f"{split}{domain}" / f"{place}.png")
    seen: list[float] = []
    own = Sampling.translate

    def translate(self: Any, image: Tensor, **more: Any) -> Tensor:
        seen.append(image.mean().item())
        return own(self, image, **more)

    monkeypatch.setattr(Sampling, "translate", translate)
    small = {"width": 2, "num_blocks": 0, "batch_size": 2, "sample_every": 1}
    ganarium.train(
        "cyclegan",
        str(tmp_path / "data"),
        out=tmp_path / "run",
        steps=2,
        evaluate_every=1,
        quiet=True,
        **small,
        **COMMON,
    )
    assert len(rows(tmp_path / "run")) == 2
    assert len(seen) >= 4
    assert min(seen) > 0.8


def test_the_feature_network_draws_nothing() -> None:
    from ganarium.evaluation.features import network_for

    before = torch.get_rng_state()
    network_for("glyphs", 1, "auto", torch.device("cpu"))
    assert torch.equal(torch.get_rng_state(), before)
    with pytest.raises(UserError):
        network_for("glyphs", 1, "glyfs", torch.device("cpu"))


# Two processes


def test_two_processes_keep_one_best(tmp_path: Path) -> None:
    words = "train gan --data ring --steps 6 --batch-size 8 --width 8 --threads 1 --device cpu --out run --keep 1"
    torchrun = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "-m",
        "ganarium",
    ]
    env = os.environ | {"PYTHONPATH": str(Path(ganarium.__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    command = [*torchrun, *words.split(), "--evaluate-every", "2"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("evaluated at step 6") == 1
    actual = rows(tmp_path / "run")
    assert [line["step"] for line in actual] == [2, 4, 6]
    assert best(tmp_path / "run")["value"] == min(map(value, actual))
    assert {best(tmp_path / "run")["step"], 6} <= set(checkpoints(tmp_path / "run"))
    assert ganarium.resume(tmp_path / "run", steps=7, quiet=True).iteration == 7, "with all that two processes saved"
