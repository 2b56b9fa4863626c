"""How a run gets on: cheap evaluations while it trains, the best step so far, and whether more training would help.

runs/NAME/
  evaluations.jsonl   a line an evaluation: step, seconds (of the run so far), took, metric, values, protocol
  best.json           step, metric, value and lower_is_better of the best evaluation whose checkpoint is there

One number of an evaluation says which step is the best, and every such number falls as samples get better:
  images                    frechet_distance of 1,000 samples on the features of a judge, or kernel_distance where the
                            data are fewer images than it has features
  points                    wasserstein_distance of 500 samples
  images mapped to images   kernel_distance of 256 held-out images, mapped; the mean over the directions
  models with a likelihood  nll_nats of 256 held-out images, without a sample being drawn
"""

import json
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from ganarium import metrics, sampling
from ganarium.data.dataset import Dataset
from ganarium.data.sources.points import MODE_STD, mode_centres
from ganarium.errors import UserError
from ganarium.evaluation import measures as evaluation
from ganarium.metrics.judges.judge import judge_for
from ganarium.metrics.protocol import Protocol
from ganarium.model import Model
from ganarium.runs import checkpoint
from ganarium.runs import rows as logs

FILE = "evaluations.jsonl"
IMAGES, POINTS, HELD_OUT = 1000, 500, 256  # samples of an evaluation
SEED = 0  # of samples and of the real ones, at every evaluation: the weights alone change the numbers
SHORT = 50  # steps; a run of fewer is a trial, and has evaluations only if they are asked for
TIMES = 20  # evaluations in a run, unless --evaluate-every says otherwise
SHARE = 0.05  # of the time that they may take by default
LAST_SHARE = 0.25  # of the time that the one at the end may take
SOON = 0.05  # seconds; an evaluation hardly takes less, so in shorter runs not even a trial is worth its time
RECENT, FEWEST = 8, 5  # evaluations that a trend is read from
SURE = 0.05  # the chance that scatter alone looks like a trend
WORTH = 0.01  # the share of its value by which a number must change over the recent evaluations to count as changing


class Measure:
    """One way to measure a model that trains. `metric` names the number by which steps are compared."""

    metric: str
    protocol: Protocol
    count: int  # samples
    portion = sampling.CHUNK  # samples that the time of all is told from

    def made(self, count: int) -> Any:
        """The dear part: what `count` samples are measured by, on the CPU."""
        raise NotImplementedError

    def values(self) -> dict[str, float]:
        """The numbers by name."""
        raise NotImplementedError

    def seconds(self) -> float:
        """What `values` will take, told from a small part of it, made twice: the first time warms up."""
        for _ in range(2):
            began = time.monotonic()
            self.made(min(self.portion, self.count))
        return (time.monotonic() - began) * max(1.0, self.count / self.portion)


class Likelihood(Measure):
    metric, portion = "nll_nats", 16

    def __init__(self, model: Model, test: Dataset) -> None:
        self.model, self.count = model, min(HELD_OUT, len(test))
        self.images = torch.cat([*evaluation.images_of(test, self.count, SEED)])
        self.protocol = Protocol("pixels", "", self.count, 0, "", SEED)

    def made(self, count: int) -> dict[str, float]:
        return evaluation.likelihood(self.model, self.images[:count].split(evaluation.PART))

    def values(self) -> dict[str, float]:
        return self.made(self.count)


class Points(Measure):
    metric = "wasserstein_distance"

    def __init__(self, model: Model, train: Dataset) -> None:
        self.model, self.name, self.count = model, train.name, min(POINTS, len(train))
        self.real = torch.cat([*evaluation.images_of(train, self.count, SEED)])
        self.protocol = Protocol("points", "", self.count, self.count, "", SEED)

    def made(self, count: int) -> Tensor:
        return self.model.sample(count, seed=SEED).cpu()

    def values(self) -> dict[str, float]:
        fake = self.made(self.count)
        values: dict[str, float] = {self.metric: metrics.wasserstein_distance(self.real, fake)}
        if self.name in MODE_STD:
            centres = mode_centres(self.name)
            found = metrics.mode_coverage(fake, centres, MODE_STD[self.name])
            values |= {"modes": found.covered, "modes_of": len(centres), "high_quality": found.high_quality}
        return values


class Pictures(Measure):
    def __init__(self, model: Model, train: Dataset) -> None:
        self.model, self.train, self.count = model, train, min(IMAGES, len(train))
        self.network = evaluation.network_for(train.name, model.shape[0], "auto", model.device)
        self.stacked = train.name == "stacked_mnist"
        assert isinstance(self.network.head, nn.Linear)
        width = self.network.head.in_features * (3 if self.stacked else 1)
        self.metric = "frechet_distance" if self.count > width else "kernel_distance"
        self.reads_classes = judge_for(train.name) == self.network.name and not self.stacked
        self.protocol = Protocol(
            self.network.name, self.network.digest, self.count, self.count, self.network.rule, SEED
        )

    @cached_property
    def real(self) -> Tensor:
        """Features (n, d), read once."""
        return self._features(evaluation.images_of(self.train, self.count, SEED))

    def made(self, count: int) -> Tensor:
        return self._features(sampling.samples(self.model, count, seed=SEED))

    def values(self) -> dict[str, float]:
        fake = self.made(self.count)
        if self.metric == "frechet_distance":
            values = {self.metric: metrics.frechet_distance(self.real, fake)}
        else:
            values = {self.metric: kernel_distance(self.real, fake)}
        values["coverage"] = metrics.density_coverage(self.real, fake).coverage
        if self.stacked:
            digits = self._classes(fake.view(3 * self.count, -1)).view(-1, 3)
            values["modes"] = metrics.stacked_mode_coverage(digits).modes
        if self.reads_classes:
            values |= live_classes(self._classes(self.real), self._classes(fake))
        return values

    def _features(self, images: Iterable[Tensor]) -> Tensor:
        features = evaluation.read(self.network, images, self.stacked).cpu()
        return features.view(-1, 3 * features.shape[1]) if self.stacked else features

    def _classes(self, features: Tensor) -> Tensor:
        with torch.no_grad():
            read: Tensor = self.network.head(features.to(self.model.device)).argmax(1).cpu()
        return read


class Translations(Measure):
    metric, portion = "kernel_distance", 1

    def __init__(self, model: Model, train: Dataset, test: Dataset) -> None:
        if train.second is None or test.second is None:
            raise UserError(f"{train.name} has no second domain to compare with: give a run on two domains.")
        self.model, self.train, self.test = model, train, test
        self.network = evaluation.network_for(train.name, model.shape[0], "auto", model.device)
        self.count = min(HELD_OUT, len(test), len(test.second), len(train), len(train.second))
        self.protocol = Protocol(
            self.network.name, self.network.digest, self.count, self.count, self.network.rule, SEED
        )

    @cached_property
    def real(self) -> list[Tensor]:
        """Features (n, d) of what each direction is to arrive at, read once."""
        parts = evaluation.pairs_of(self.train, self.count, SEED)
        b, a = zip(*(map(self.network.features, reversed(part)) for part in parts), strict=True)
        return [torch.cat(b).cpu(), torch.cat(a).cpu()]

    def made(self, count: int) -> list[Tensor]:
        found: dict[str, list[Tensor]] = {direction: [] for direction in self.model.directions}
        for part in evaluation.pairs_of(self.test, count, SEED):
            for direction, source in zip(self.model.directions, part, strict=False):
                found[direction].append(self.network.features(self.model.translate(source, direction=direction)).cpu())
        return list(map(torch.cat, found.values()))

    def values(self) -> dict[str, float]:
        found = [kernel_distance(real, fake) for real, fake in zip(self.real, self.made(self.count), strict=False)]
        each = {f"{name}/{self.metric}": value for name, value in zip(self.model.directions, found, strict=True)}
        return {self.metric: sum(found) / len(found), **each}


def measure_for(model: Model, train: Dataset, test: Dataset) -> Measure:
    """The way to measure this model on these data. Raises `UserError` where there is none."""
    if model.directions:
        return Translations(model, train, test)
    if model.has_likelihood:
        return Likelihood(model, test)
    return Points(model, train) if len(model.shape) == 1 else Pictures(model, train)


def live_classes(real: Tensor, fake: Tensor) -> dict[str, float]:
    """Of the classes (n,) that a judge reads in at least 1 % of the reals, those that the fakes show at least a tenth
    as often."""
    classes = int(max(real.max(), fake.max())) + 1
    shares = [torch.bincount(read, minlength=classes) / len(read) for read in (real, fake)]
    there = shares[0] >= 0.01
    return {"classes": int((there & (shares[1] >= shares[0] / 10)).sum()), "classes_of": int(there.sum())}


def kernel_distance(real: Tensor, fake: Tensor) -> float:
    """Of all features at once: (n, d), (m, d)."""
    return metrics.kernel_distance(real, fake, subsets=1, subset_size=min(len(real), len(fake))).mean


def interval(options: dict[str, Any], total: int) -> int:
    """Steps between two moments at which a run may be evaluated, the same in every process; 0: never.

    Where the run chooses they are steps at which it logs, so that the log does not depend on them.
    """
    every: int | None = options.get("evaluate_every")  # absent from the configs of older runs
    if every is not None:
        return every
    log_every: int = options["log_every"]
    return 0 if total < SHORT else log_every * max(1, round(total / (TIMES * log_every)))


def reserve(measure: Callable[[], Measure], options: dict[str, Any], seconds: float) -> tuple[float, float]:
    """What evaluations will take of a run of some seconds: once, and in addition to each step."""
    every: int | None = options.get("evaluate_every")
    if every == 0:
        return 0.0, 0.0
    if every is not None:
        one = measure().seconds()
        return one, one / every
    try:
        one = measure().seconds() if LAST_SHARE * seconds > SOON else 0.0
    except UserError:  # the run will say so
        return 0.0, 0.0
    return max(SHARE * seconds, one if one < LAST_SHARE * seconds else 0.0), 0.0


class Evaluations:
    """The evaluations of one run: whether one fits in the time, what it says, and which was the best.

    Opened at a step, it drops what an interrupted run wrote after that step; `best.json` then names the best of what
    is left. `always` is for moments that the user chose, and `say` takes a line to be shown.
    """

    def __init__(
        self, folder: Path, step: int, measure: Callable[[], Measure], *, always: bool, say: Callable[[str], None]
    ) -> None:
        self.folder, self.always, self.say = folder, always, say
        self.rows = logs.cut(folder / FILE, step)
        self.best = min(filter(self._saved, self._comparable()), key=_value, default=None)
        self._make: Callable[[], Measure] | None = measure  # None after it has failed
        self._measure: Measure | None = None
        self._began, self._spent, self._expected = 0.0, 0.0, 0.0
        self._made = 0  # evaluations, here
        named = checkpoint.best_step(folder)
        if self.best and named != self.best["step"]:  # killed before it was written, or what it names was undone
            self._write_best(self.best)
        elif not self.best and named > step:
            (folder / "best.json").unlink()

    def measured(self, step: int, seconds: float, last: bool) -> dict[str, Any] | None:
        """The row of an evaluation, if one fits after so many seconds of training here; `add` then takes it."""
        self._began = time.monotonic()
        try:
            if self._make and (self.always or self._fits(self._make, seconds, last)):
                measure = self._known(self._make)
                values, protocol = measure.values(), asdict(measure.protocol)
                return {"step": step, "metric": measure.metric, "values": values, "protocol": protocol}
        except UserError as error:
            self._make = None
            self.say(f"this run is not evaluated while it trains: {error}")
        self._spent += time.monotonic() - self._began
        return None

    def is_best(self, row: dict[str, Any]) -> bool:
        """Whether a row is better than the best that it can be compared with."""
        best = self.best
        return best is None or best["protocol"] != row["protocol"] or _value(row) < _value(best)

    def add(self, row: dict[str, Any], seconds: float) -> None:
        """Writes a row of `measured`, after `seconds` of the run. The checkpoint of a new best is there by now: then
        come its row and `best.json`, so that a kill at any moment leaves no name without its checkpoint."""
        took = time.monotonic() - self._began
        self._spent += took
        self._made += 1
        if self._made > 1:  # the first has also read the real side
            self._expected = took
        best = self.is_best(row)
        row = {"step": row["step"], "seconds": round(seconds, 3), "took": round(took, 4), **row}
        self.rows.append(row)
        with (self.folder / FILE).open("a") as file:
            file.write(json.dumps(row) + "\n")
        if best:
            self.best = row
            self._write_best(row)
        self.say(f"step {row['step']}: {said(row)}{', the best so far' if best and len(self.rows) > 1 else ''}")

    def verdict(self, more: str) -> list[str]:
        """The end of a run in a few lines: the last numbers, the best, whether to go on (with the command `more`), and
        what evaluating took."""
        if not self.rows or not self.best:
            return []
        last, best = self.rows[-1], self.best
        value = "" if best is last else f", {best['metric']} {_value(best):.4g}"
        share = sum(row["took"] for row in self.rows) / last["seconds"]
        return [
            f"evaluated at step {last['step']}: {said(last)}",
            f"best at step {best['step']}{value}: {self._checkpoint(best)}",
            outlook(self._comparable(), more),
            f"evaluations took {100 * share:.2g} % of the time",
        ]

    def _fits(self, make: Callable[[], Measure], seconds: float, last: bool) -> bool:
        """Before the end two must fit, this one and the last, so that all together keep to the share."""

        def room(one: float) -> bool:
            return one <= LAST_SHARE * seconds if last else self._spent + 2 * one <= SHARE * seconds

        if not self._expected and room(SOON):
            self._expected = max(SOON, self._known(make).seconds())
        return self._expected > 0 and room(self._expected)

    def _known(self, make: Callable[[], Measure]) -> Measure:
        if self._measure is None:
            self._measure = make()
        return self._measure

    def _comparable(self) -> list[dict[str, Any]]:
        """The evaluations that were made as the last one was."""
        return [row for row in self.rows if row["protocol"] == self.rows[-1]["protocol"]]

    def _checkpoint(self, row: dict[str, Any]) -> Path:
        return self.folder / "checkpoints" / f"step-{row['step']:08d}"

    def _saved(self, row: dict[str, Any]) -> bool:
        return (self._checkpoint(row) / "checkpoint.json").is_file()

    def _write_best(self, row: dict[str, Any]) -> None:
        best = {"step": row["step"], "metric": row["metric"], "value": _value(row), "lower_is_better": True}
        checkpoint.write_json(self.folder, "best.json", best)


def trend(values: list[float], steps: list[int]) -> Literal["falling", "rising", "flat", "unknown"]:
    """Whether the last evaluations fall or rise: the slope of a straight line through them against their scatter.

    It counts when scatter alone would give it less than one time in twenty (Student's t, one-sided, each evaluation
    taken as independent), and changes the value by 1 % over their length. Fewer than five tell nothing.
    """
    from scipy.special import stdtr

    if len(values) < FEWEST:
        return "unknown"
    y, x = np.array(values[-RECENT:]), np.array(steps[-RECENT:], dtype=float)
    x -= x.mean()
    slope = float(x @ y / (x @ x))
    left = y - y.mean() - slope * x
    error = math.sqrt(float(left @ left) / (len(x) - 2) / float(x @ x))
    chance = stdtr(len(x) - 2, -abs(slope) / max(error, 1e-300))
    if chance > SURE or abs(slope) * (x[-1] - x[0]) < WORTH * abs(y).mean():
        return "flat"
    return "falling" if slope < 0 else "rising"


def outlook(rows: list[dict[str, Any]], more: str) -> str:
    """Whether more training would likely help, in a sentence; `more` is the command for it."""
    name, count = rows[-1]["metric"], min(RECENT, len(rows))
    found = trend([_value(row) for row in rows], [row["step"] for row in rows])
    if found == "unknown":
        return f"{len(rows)} evaluation{'s' * (len(rows) > 1)} cannot tell whether more training would help"
    if found == "falling":
        return f"{name} still falls over the last {count} evaluations, so more training would likely help: {more}"
    if found == "rising":
        return f"{name} rises over the last {count} evaluations, so training has gone past its best"
    return f"{name} neither falls nor rises over the last {count} evaluations, so more training would likely not help"


def said(row: dict[str, Any]) -> str:
    """The numbers of an evaluation in words: "frechet_distance 12.3, classes 9 of 10"."""
    values = row["values"]
    counted = {name: f" of {values[f'{name}_of']}" for name in values if f"{name}_of" in values}
    names = [name for name in values if not name.endswith("_of")]
    return ", ".join(f"{name} {values[name]:.4g}{counted.get(name, '')}" for name in names)


def _value(row: dict[str, Any]) -> float:
    return float(row["values"][row["metric"]])
