"""A run in progress: its folder and the trainer behind it, from the first step to the last."""

import dataclasses
import json
import shlex
import signal
import time
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import torch

from ganarium import registry
from ganarium.data import SOURCES, halves
from ganarium.data.batches import Batches
from ganarium.data.dataset import Dataset
from ganarium.doctor.memory import more_images
from ganarium.doctor.notes import RunDoctor
from ganarium.errors import Diverged, RunError, UserError
from ganarium.evaluation.measures import Measure, quick_measure
from ganarium.pictures import animation, grid
from ganarium.runs import checkpoint
from ganarium.runs.curves import save_curves
from ganarium.runs.folder import (
    FORMAT,
    cannot_begin,
    choose,
    claim,
    leftovers_of_training,
    reason_of,
    release,
    remove,
    run_folder,
    write_json,
)
from ganarium.runs.listing import PATIENCE, newest_step, seconds_before
from ganarium.runs.loading import change_of_data, take_edits, use_data_folder
from ganarium.runs.lock import alone
from ganarium.runs.options import DEFAULT_STEPS, Options, check_own_options
from ganarium.runs.rows import last_row, means
from ganarium.runtime import distributed
from ganarium.runtime.device import resolve_device, resolve_precision
from ganarium.runtime.environment import differences, environment, variable
from ganarium.trainer import Trainer
from ganarium.training.build import build, prepare
from ganarium.training.console import Bar, MetricsLog, warn
from ganarium.training.recommend import LEAST_STEPS, cheaper
from ganarium.training.signals import Signals
from ganarium.training.start import in_words, read_source, start_from
from ganarium.training.state import capture, restore
from ganarium.training.timing import Plan, in_minutes, in_steps, steps_within, tell_memory, warn_of_stages
from ganarium.training.trackers import Tracker
from ganarium.training.validation import Validation, interval
from ganarium.web import report
from ganarium.web.report import artifacts

SAVE_SECONDS = 300.0
ARTIFACTS_FROM = 30.0  # seconds of training from which neighbours and codes are looked at in the end
NUM_GRIDS = 40  # sample grids in a run, unless --sample-every says otherwise


class Run:
    """A folder and the trainer behind it. `Run.new` and `Run.reopen` make one; `train` goes on to the end."""

    def __init__(self, folder: Path, config: dict[str, Any], trainer: Trainer, test: Dataset) -> None:
        self.folder, self.config, self.trainer, self.model = folder, config, trainer, trainer.model
        self.options: dict[str, Any] = config["options"]
        self.first = trainer.batches.rank == 0  # of several processes, the one that writes
        self.held_out = Batches(test, self.model.batch_type, 1, device=trainer.device)
        self._doctor: RunDoctor | None = None  # while it trains, of the process that writes
        self._saved = -1
        self._enough = False  # whether `patience` has ended the run
        self._plan: Plan | None = None  # of a run that was given minutes, in the process that begins it
        self._picture_seconds = 0.0
        self._report_seconds = 0.0
        self._seconds_before = 0.0  # of training, before this process took it up

    @classmethod
    def new(cls, model: str, options: Options, model_options: dict[str, Any], *, quiet: bool = False) -> "Run":
        """Checks everything, times a few steps if minutes were given, and only then makes the folder."""
        model, data_folder = registry.checked(model), variable("DATA")
        registry.make_config(model, model_options)
        check_own_options(model)
        if options.threads:
            torch.set_num_threads(options.threads)
        device = resolve_device(options.device)
        rank, _ = distributed.start(torch.device(device))
        if rank == 0:
            choose(model, options)  # an answer before the data are loaded
        steps = options.steps or DEFAULT_STEPS
        train_options = dataclasses.asdict(options) | {"data": _lasting(options.data), "steps": steps}
        source = read_source(options.init_from) if options.init_from else None
        if source and Path(source.place).exists():
            train_options["init_from"] = str(Path(source.place).resolve())
        config = {
            "format": FORMAT,
            "model": model,
            "model_options": model_options,
            "options": train_options,
            "device": device,
            "precision": resolve_precision(options.precision, device),
            "data_folder": data_folder and str(Path(data_folder).resolve()),
            **environment(),
        }
        ends, share = time.monotonic() + 60 * (options.minutes or 0.0), None
        if options.minutes:
            steps, share = steps_within(options.minutes, config, quiet=quiet)
            train_options["steps"] = steps
            if rank == 0 and not quiet:
                fit = "fits" if steps == 1 else "fit"
                print(f"{in_steps(steps)} {fit} in {in_minutes(options.minutes)} here.", flush=True)
        trainer, test = build(config)
        if rank == 0:
            warn_of_stages(trainer, share)
        if not options.minutes:
            tell_memory(trainer, config, quiet=quiet)
        if options.minutes and train_options["steps"] < LEAST_STEPS and rank == 0 and not quiet:
            print(f"{cheaper(config, train_options['steps'])}.", flush=True)
        if source:  # before `prepare`, which may go by the weights, and after it, which may change them
            start_from(trainer.model, source)
        prepare(trainer, quiet=quiet)
        if source:
            config["start"] = start_from(trainer.model, source)
            if rank == 0 and not quiet:
                print(in_words(config["start"]), flush=True)
        if options.evaluate_every and rank == 0:
            quick_measure(trainer.model, trainer.batches.data, test)  # its error, before anything is written
        folder, new = claim(model, options) if rank == 0 else (Path(), [])
        folder = distributed.gather(folder)[0]
        assert isinstance(folder, Path)
        run = cls(folder, config, trainer, test)
        run._plan = Plan(options.minutes, ends) if options.minutes else None
        try:
            if run.first:
                write_json(folder, "config.json", config)
            run.save()
        except BaseException as error:  # a stop with Ctrl-C too leaves nothing behind
            if run.first:
                release(folder, new)
            if isinstance(error, OSError | RunError):
                raise cannot_begin(folder, error) from error
            raise
        return run

    @classmethod
    def reopen(
        cls,
        folder: str | Path,
        *,
        steps: int | None = None,
        device: str | None = None,
        data: str | None = None,
        lr: float | None = None,
    ) -> "Run":
        """The run of a folder, at its newest complete checkpoint. `steps` extends it.

        `data` is the place of its data, if they have moved, and `lr` the learning rate from here on; both are written
        into config.json. What was changed in that file by hand is used where a run can change it, else refused.
        """
        folder = run_folder(folder)
        written = json.loads((folder / "config.json").read_text())
        if "imported" in written:
            raise UserError(
                f"{folder} holds weights from {written['imported']['file']} and no training to go on with: start one "
                f"with --init-from {shlex.quote(str(folder))}."
            )
        steps, lr = registry.checked_values(Options, {"steps": steps})["steps"], registry.plain(lr)
        begun = checkpoint.exists(folder)  # false after a kill before the first checkpoint
        _, files, meta = checkpoint.newest(folder) if begun else (None, {}, {"step": 0, "config": written})
        config = meta["config"]
        if steps is not None and steps <= meta["step"]:
            raise UserError(
                f"{folder} is at step {meta['step']} already: give --steps a number above it to extend the run."
            )
        changes: dict[str, Any] = {"steps": steps or written["options"]["steps"]}
        if data is not None:
            changes["data"] = _lasting(data)
        written["options"] |= changes
        if lr is not None:
            if "lr" not in written["model_options"]:
                raise UserError(f"{registry.title(config['model'])} has no option lr: leave --lr away.")
            written["model_options"]["lr"] = lr
        elsewhere = written["options"]["data"] != config["options"]["data"]
        take_edits(folder, written, config)
        config["device"] = resolve_device(device or config["device"])
        before, world = config["data"], config["world"]
        use_data_folder(config)
        torch.set_num_threads(config["threads"])
        trainer, test = build(config)
        run = cls(folder, config, trainer, test)
        if change := change_of_data(before, config["data"]["train"], config["data"]["sum"]):
            if elsewhere:
                raise UserError(
                    f"{config['options']['data']} are not the data that {folder} has learned from: {change}."
                )
            warn(f"the data of {before['name']} have changed since the run began: {change}.")
        if config["world"] != world:
            warn(
                f"{config['world']} processes go on with a run of {world}: each draws its own batches of "
                f"{config['options']['batch_size']}, so the batch of all together has changed."
            )
        for difference in differences(config):
            warn(f"{difference}: the resumed run will not be bit-equal to an uninterrupted one.")
        if begun:
            restore(trainer, files, meta)
            run._saved = meta["step"]
        else:
            trainer.prepare()
        if (steps or data or lr is not None) and run.first:
            with alone(folder):
                write_json(folder, "config.json", written)
        if not begun:
            run.save()
        return run

    @property
    def finished(self) -> bool:
        return self._enough or self.model.iteration >= self.trainer.total

    def train(self, *, quiet: bool = False) -> int:
        """Trains to the end (returns 0) or to a signal (returns its number), after which its last step is saved.

        A second signal stops it within a step: then KeyboardInterrupt says which checkpoint is the newest.
        """
        with alone(self.folder) if self.first else nullcontext():
            began = time.monotonic()
            if self.first:
                for path in leftovers_of_training(self.folder):
                    remove(path)
                self._seconds_before = seconds_before(self.folder, self.model.iteration)
                (self.folder / "state.json").unlink(missing_ok=True)  # what it says is over
            try:
                caught = self._train(quiet)
            except BaseException as error:
                stopped = isinstance(error, KeyboardInterrupt)
                self._end("stopped" if stopped else "failed", began, "a second signal" if stopped else _one_line(error))
                if stopped:
                    raise KeyboardInterrupt(f"stopped within a step. {self._way_on()}") from error
                raise
            early = PATIENCE if self.model.iteration < self.trainer.total else None
            reason = signal.Signals(caught).name if caught else early
            self._end("stopped" if caught else "finished", began, reason)
            if self.first and not quiet and not caught and (advice := self._on_images()):
                print(advice, flush=True)
            distributed.wait()
        return caught

    def _end(self, state: str, began: float, reason: str | None) -> None:
        """Writes state.json and the report. A full disk may hide no error: `runs` then goes by the checkpoints.

        A run that was stopped is where its newest checkpoint is: what a second signal broke off is lost.
        """
        if not self.first:
            return
        seconds, step = round(self._seconds_before + time.monotonic() - began, 3), self.model.iteration
        if state == "stopped" and step != newest_step(self.folder):
            step = newest_step(self.folder)
            seconds = seconds_before(self.folder, step)
        content = {"state": state, "step": step, "seconds": seconds, "reason": reason}
        with suppress(OSError):
            write_json(self.folder, "state.json", content)
        with suppress(OSError):
            self._last_report(state, seconds)

    def _train(self, quiet: bool) -> int:
        label = f"{registry.title(self.config['model'])} on {self.config['data']['name']}"
        tracked = self.first and self.options.get("track")  # absent from the configs of older runs
        tracker = Tracker(tracked, self.folder, self.config, warn) if tracked else None
        log = MetricsLog(self.folder, self.model.iteration, tracker) if self.first else None
        bar = Bar(label, self.model.iteration, self.trainer.total, quiet or not self.first)
        validation = self._validation(bar) if self.first else None
        if self.first:
            self._doctor = RunDoctor(self.folder, self.trainer, self.held_out)
        saved_at = time.monotonic()
        try:
            with Signals(bar.say) as signals, bar:
                if self.model.iteration == 0:
                    self._picture(log, bar)
                    if self._must_compare:
                        self._evaluate(validation, log, bar, must=True)
                for done in self.trainer:
                    self._count_again(done, bar)
                    stop = late = False
                    if self.config["world"] == 1 or done % 10 == 0:  # asking the others waits for the device
                        flags = [signals.caught > 0, time.monotonic() - saved_at > SAVE_SECONDS]
                        stop, late = distributed.any_rank(flags, self.trainer.device)
                    save = self._due("save_every", done, late) or stop or self.finished
                    evaluate = self._evaluation_due(done) and not stop
                    bar.advance(done)
                    if save or evaluate or done % self.options["log_every"] == 0:
                        self._log(log, bar, done)
                    if save:
                        self.save()
                        saved_at = time.monotonic()
                    if evaluate:
                        self._evaluate(validation, log, bar, must=self._must_compare and self.finished)
                    if self._due("sample_every", done, self._picture_fits(done, bar)) or self.finished:
                        self._picture(log, bar)
                        self._report(bar)
                    if stop:
                        return signals.caught or signal.SIGTERM
                    if self._enough:
                        self.save()
                        break
            if validation:
                for line in validation.summary(f"{self.resume_command()} --steps {2 * self.trainer.total}"):
                    bar.say(line)
            return 0
        except BrokenPipeError as error:  # `ganarium train ... | head`
            self.save()
            raise RunError(f"nobody reads the output any more, so the run has stopped. {self._way_on()}") from error
        except OSError as error:
            raise RunError(f"{self.folder} could not be written: {reason_of(error)}. {self._way_on()}") from error
        except Diverged as error:
            note = self._doctor.explain(error) if self._doctor and error.player else None
            why = f": {note.evidence}" if note else ""
            way = note.remedies[0] if note else "a new run with a lower learning rate"
            raise RunError(
                f"{error}{why}; the run has stopped. Resuming would repeat it: try {way}. "
                f"The checkpoint of step {max(self._saved, 0)} in {self.folder} is good and can be sampled."
            ) from error
        except RunError as error:
            raise RunError(f"{error}. {self._way_on()}") from error
        finally:
            if log:
                with suppress(OSError):
                    log.close()
                    animation.save_training_gif(self.folder / "samples")
                    save_curves(self.folder / "metrics.jsonl", self.folder / "curves.png")

    def _count_again(self, done: int, bar: Bar) -> None:
        """Changes the number of steps where far more or far fewer than planned fit into the minutes."""
        before, plan = self.trainer.total, self._plan
        if plan is None or not plan.due(done, before):
            return
        total = int(distributed.gather(plan.total(done, before, self.model.stages))[0])
        if total == before:
            return
        bar.total = self.trainer.total = self.options["steps"] = total
        if self._doctor:
            self._doctor.total = total
        if self.first:
            write_json(self.folder, "config.json", self.config)
        self.save()
        less = "less" if total > before else "more"
        bar.say(f"step {done}: steps take {less} time than was thought: {total:,} fit in {in_minutes(plan.minutes)}")

    def save(self) -> None:
        """A checkpoint of this moment, if there is none yet. Every process must call it."""
        if self._saved == self.model.iteration:
            return
        files, meta = capture(self.trainer)
        if self.first:
            checkpoint.write(self.folder / "checkpoints", files, meta | {"config": self.config}, self.options["keep"])
        self._saved = self.model.iteration

    def resume_command(self) -> str:
        world = self.config["world"]
        start = f"torchrun --nproc-per-node {world} -m ganarium" if world > 1 else "ganarium"
        return f"{start} resume {shlex.quote(str(self.folder))}"

    def _due(self, option: str, done: int, otherwise: bool) -> bool:
        every = self.options[option]
        return done % every == 0 if every else otherwise

    def _picture_fits(self, done: int, bar: Bar) -> bool:
        """Every 40th of the run, as long as pictures take less than a tenth of the time."""
        due = done % max(1, self.trainer.total // NUM_GRIDS) == 0
        return due and self._picture_seconds < 0.1 * bar.seconds()

    def _evaluation_due(self, done: int) -> bool:
        every = interval(self.options, self.trainer.total)
        return (every > 0 and (done % every == 0 or self.finished)) or (self._must_compare and self.finished)

    @property
    def _must_compare(self) -> bool:
        """Whether the result is held to the weights that the run started from."""
        return "start" in self.config and self.options["evaluate_every"] != 0

    def _validation(self, bar: Bar) -> Validation:
        def make_measure() -> Measure:
            return quick_measure(self.model, self.trainer.batches.data, self.held_out.data)

        chosen = bool(self.options.get("evaluate_every"))
        return Validation(self.folder, self.model.iteration, make_measure, always=chosen, say=bar.say)

    def _evaluate(self, validation: Validation | None, log: MetricsLog | None, bar: Bar, *, must: bool = False) -> None:
        """The first process measures the model, if there is time; all of them save a new best."""
        step, seconds = self.model.iteration, bar.seconds()
        row = validation.evaluate(step, seconds, self.finished, must) if validation else None
        new = validation is not None and row is not None and validation.is_best(row)
        (best,) = distributed.any_rank([new], self.trainer.device)
        if best:
            self.save()
        if validation and log and row:
            validation.add(row, self._seconds_before + bar.seconds())
            log.scalars({f"evaluation/{name}": value for name, value in row["values"].items()}, row["step"])
        if patience := self.options.get("patience"):  # absent from the configs of older runs
            enough = validation is not None and row is not None and validation.enough(patience)
            (self._enough,) = distributed.any_rank([enough], self.trainer.device)
            if enough:
                bar.say(f"step {step}: patience is over, more steps would likely not help")

    def _log(self, log: MetricsLog | None, bar: Bar, done: int) -> None:
        try:
            reading = self.trainer.drain()
        except Diverged as error:
            if log and error.rows:
                log.write(means(error.rows))
            raise
        if reading.rows and log:
            row = means(reading.rows)
            seconds = round(self._seconds_before + bar.seconds(), 3)
            log.write(row | {"seconds": seconds, "steps_per_second": round(bar.speed(done), 3)})
            bar.show(done, row)
        if reading.rows and self._doctor:
            for note in self._doctor.examine(reading):
                bar.say(note.line())

    def _picture(self, log: MetricsLog | None, bar: Bar) -> None:
        if log is None:
            return
        start, points = time.monotonic(), len(self.model.shape) == 1
        self.held_out.drawn = 0
        held_out = self.held_out.draw(2000 if points else 16)
        images = self.model.preview(held_out)
        path = self.folder / "samples" / f"step-{self.model.iteration:08d}.png"
        columns = 2 * len(self.model.preview_row) or None  # two images and what was made of them in a row
        real = held_out[1 if self.model.directions else 0] if points else None
        grid.save_grid(images, path, columns=columns, real=real)
        log.picture(path, self.model.iteration)
        if self._doctor:
            for note in self._doctor.examine_samples(self.model, images):
                bar.say(note.line())
            for note in self._doctor.examine_memory(self.model, self.finished):
                bar.say(note.line())
        self._picture_seconds += time.monotonic() - start

    def _report(self, bar: Bar) -> None:
        """The page of the run so far, as long as it takes less than a hundredth of the time."""
        if self.first and not self.finished and self._report_seconds < 0.01 * bar.seconds():
            start = time.monotonic()
            artifacts.reals(self.folder, self.model, self.held_out.data)
            report.write(self.folder)
            self._report_seconds += time.monotonic() - start

    def _last_report(self, state: str, seconds: float) -> None:
        """The page of a run that has ended; of one that was long enough also what needs the data and the model."""
        train, test = self.trainer.batches.data, self.held_out.data
        artifacts.reals(self.folder, self.model, test)
        if state == "finished" and seconds > ARTIFACTS_FROM:
            artifacts.make(self.folder, self.model, train, test, seconds=0.01 * seconds)
        report.write(self.folder)

    def _on_images(self) -> str:
        """Whether more images would help, from what the doctor and the last report have measured."""
        apart, copied, num_held_out = last_row(self.folder / "memory.jsonl").get("apart"), None, None
        with suppress(OSError, ValueError):
            result = json.loads((self.folder / "report" / "neighbours.json").read_text())
            copied, num_held_out = result.get("copied"), result["held_out"]["count"]
        return more_images(apart, copied, num_held_out, getattr(self.model.config, "augment", None))

    def _way_on(self) -> str:
        step = newest_step(self.folder)
        return f"The last good checkpoint is step {step}: `{self.resume_command()}` goes on from there."


def _one_line(error: BaseException) -> str:
    return " ".join(f"{error}".split()) or type(error).__name__


def _lasting(data: str) -> str:
    """A path as it can be found from any folder; a name as it is."""
    if both := halves(data):
        return "+".join(map(_lasting, both))
    return str(Path(data).resolve()) if data not in SOURCES and Path(data).exists() else data
