"""How many steps fit into some minutes, before a run begins and while it goes on."""

import dataclasses
import json
import statistics
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from ganarium.data.batches import Batches
from ganarium.evaluation.measures import quick_measure
from ganarium.model import Model
from ganarium.runtime import distributed
from ganarium.trainer import Trainer
from ganarium.training import memory
from ganarium.training.build import build, prepare
from ganarium.training.console import warn
from ganarium.training.validation import reserve

SHARE = 0.92  # of the time that steps may take; the rest is for sample grids and checkpoints
TURN = 0.25  # seconds that are timed at once
LONGEST, LONGEST_SHARE = 6.0, 0.05  # seconds that the timing of steps takes, or the share of the run where that is less
REVIEWS = 10  # of a run, at least: moments at which its steps are counted again
WRONG = 1.5  # by which factor the count must be wrong to be changed
LEAST = 5.0  # seconds by which another count must move the end of the run to be worth it
SHORTEST = 1.0  # seconds of steps that a count is made from, except at the end of the run


class Fit(NamedTuple):
    """What fits into some minutes."""

    steps: int
    share: float  # of the lengths of all stages but the last, with which they would take half of the minutes


def steps_within(minutes: float, config: dict[str, Any], *, quiet: bool = False) -> Fit:
    """How many steps fit, from timing a trainer that is thrown away: the run itself starts from its seed untouched.

    Each stage that the model declares is timed, the last one for longest. A model that grows has to fit the memory at
    all its resolutions; `UserError` if it does not.
    """
    start = time.monotonic()
    trainer, test = build(json.loads(json.dumps(config)))
    trainer.total = 2**62
    tell_memory(trainer, config, quiet=quiet)  # the largest images are timed first
    prepare(trainer, quiet=quiet)
    model, data = trainer.model, trainer.batches.data
    steps = iter(trainer)

    def seconds(count: int) -> float:
        began = time.monotonic()
        for _ in range(count):
            next(steps)
        trainer.drain()
        return time.monotonic() - began

    *earlier, last = sorted({0, *model.stages})
    model.iteration = last
    seconds(3)  # the first steps choose kernels and fill caches
    usual = _usual(seconds, min(LONGEST, LONGEST_SHARE * 60 * minutes))
    costs = []
    for stage in earlier:
        model.iteration = stage
        costs.append((stage, min(seconds(1), seconds(1))))
    began = time.monotonic()
    model.preview(Batches(test, model.batch_type, 1, device=trainer.device).draw(16))
    grids = 2 * (time.monotonic() - began)  # the first and the last are always made
    evaluations, per_step = reserve(lambda: quick_measure(model, data, test), config["options"], 60 * minutes)
    left = 60 * minutes - (time.monotonic() - start) - grids - evaluations
    stages = [(stage, cost + per_step) for stage, cost in [*costs, (last, usual)]]
    growing = sum((following - first) * cost for (first, cost), (following, _) in pairwise(stages))
    fit = Fit(max(1, steps_of(SHARE * left, stages)), max(0.0, SHARE * left) / 2 / growing if growing else 1.0)
    return Fit(*distributed.gather(tuple(fit))[0])


def warn_of_stages(trainer: Trainer, share: float | None) -> None:
    """Warns of a run that ends before the last stage of its model, such as one whose images grow, and says how long
    stages could be: `share` of what they are, or None, so that they take half of the steps."""
    last, total = max((0, *trainer.model.stages)), trainer.total
    if total <= last:
        shorter = _shorter(trainer.model, total / last / 2 if share is None else share)
        warn(
            f"{type(trainer.model).__name__} changes its work until step {last:,}, and this run ends at step "
            f"{total:,}: use more --steps, or shorten the stages by the options of the model{shorter}."
        )


def _shorter(model: Model, share: float) -> str:
    """Options by which the stages of a model that grows have `share` of their lengths, in words; nothing where it does
    not grow, or where stages of at least one step would be longer than that."""
    lengths = {name: getattr(model.config, name, 0) for name in ("stable_images", "fading_images")}
    shorter = {name: max(1, int(share * count)) for name, count in lengths.items() if count}
    if not shorter:
        return ""
    config = dataclasses.replace(model.config, **shorter)
    with FakeTensorMode(), torch.random.fork_rng(devices=[]):
        stages = type(model)(config, model.shape, model.num_classes).stages
    if max(stages) > 1.5 * share * max(model.stages):
        return ""
    words = " ".join(f"--{name.replace('_', '-')} {count}" for name, count in shorter.items())
    return f": {words} would leave half of the run to the last one"


def tell_memory(trainer: Trainer, config: dict[str, Any], *, quiet: bool) -> None:
    """Prints what the resolutions of a model that grows need of memory; `UserError` where one does not fit."""
    if trainer.batches.rank:
        return
    run = {"steps": trainer.total, "device": config["device"], "precision": config["precision"]}
    line = memory.check(trainer.model, trainer.batches.batch_size, **run)
    if line and not quiet:
        print(line, flush=True)


def in_minutes(minutes: float) -> str:
    """ "1 minute", "2.5 minutes"."""
    return f"{minutes:g} minute{'s' * (minutes != 1)}"


def in_steps(steps: int) -> str:
    """ "1 step", "2,500 steps"."""
    return f"{steps:,} step{'s' * (steps != 1)}"


def _usual(seconds: Callable[[int], float], longest: float) -> float:
    """The seconds of a step, timed in short turns of which the median counts: a machine that was busy for a moment
    misleads nobody. `seconds(count)` makes so many steps; `longest` is in seconds."""
    each, began, count = [seconds(1)], time.monotonic(), 1
    while count:
        each.append(seconds(count) / count)
        enough = len(each) > 3 and time.monotonic() - began > longest
        count = distributed.gather(0 if enough else max(1, min(round(TURN / each[-1]), 1000)))[0]
    return statistics.median(each)


def steps_of(seconds: float, costs: list[tuple[int, float]]) -> int:
    """How many steps take so long, where `costs` are the first iteration of each stage and the seconds of its steps."""
    for (first, cost), (following, _) in pairwise([*costs, (2**62, 0.0)]):
        if seconds < (following - first) * cost:
            return first + max(0, int(seconds / cost))
        seconds -= (following - first) * cost
    raise AssertionError("no run is so long")


class Plan:
    """The steps of a run of some minutes, counted again as it goes: a machine that was busy when they were timed, or
    that is busy later, would make a run of an hour last minutes or days.

    `ends` is when the minutes are over, by `time.monotonic`.
    """

    def __init__(self, minutes: float, ends: float) -> None:
        self.minutes, self._ends = minutes, ends
        self._reviews = [(0, time.monotonic())]  # the step and the moment of each, from where stages are over
        self._far = 0  # 1 or -1 if far more or far fewer steps fitted at the last review

    def due(self, done: int, total: int) -> bool:
        """Whether `total` is worth a call after `done` steps: the same in every process."""
        return done % max(1, total // (10 * REVIEWS)) == 0 or done >= total

    def total(self, done: int, total: int, stages: tuple[int, ...] = ()) -> int:
        """How many steps the run should have, after `done` of `total`: as many as planned, unless that is far off.

        They are counted twice, from the seconds since the last review and from those since the middle of the run so
        far, with pictures, checkpoints and evaluations; the count nearer to the plan holds. Two reviews must agree
        that the plan is far off, unless it or the time is at its end: what made a machine busy for a moment should not
        change a run. While the work of the model's steps still changes (`stages`), nothing is counted.
        """
        now, (step, moment) = time.monotonic(), self._reviews[-1]
        enough = done - step >= total // REVIEWS or now - moment > 60 * self.minutes / REVIEWS
        if done < total and not (enough and now - moment > SHORTEST):
            return total
        if step < max((0, *stages)):
            self._reviews = [(done, now)]
            return total
        middle = (self._reviews[0][1] + now) / 2
        stretches = (self._reviews[-1], min(self._reviews, key=lambda review: abs(review[1] - middle)))
        self._reviews.append((done, now))
        left = SHARE * max(0.0, self._ends - now)
        fits = [done + int(left * (done - first) / (now - since)) for first, since in stretches]
        fit = min(fits, key=lambda fit: abs(fit - total))
        before, self._far = self._far, (fit > total * WRONG) - (fit < total / WRONG)
        sure = self._far == before or done >= total or now >= self._ends
        worth = abs(fit - total) * (now - moment) > LEAST * (done - step)
        return fit if self._far and sure and worth else total
