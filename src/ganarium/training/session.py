"""A run: everything that training needs and leaves, in one folder that is never overwritten and never lost.

runs/NAME/
  config.json     all that is needed to rebuild the model and the run
  state.json      how training ended: see `runs`
  checkpoints/    see `checkpoint`
  samples/        sample grids, and training.gif
  metrics.jsonl   tensorboard/   curves.png
  report.html   report/   see `report`
  evaluations.jsonl   best.json   see `progress`
  doctor.jsonl   scores.jsonl   see `casebook`
"""

import dataclasses
import hashlib
import json
import os
import shlex
import shutil
import signal
import statistics
import threading
import time
from contextlib import nullcontext, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch import nn

from ganarium import registry
from ganarium.data import OWN_DATA, SOURCES, load_data, suited
from ganarium.data.batches import Batches
from ganarium.data.dataset import Dataset, PartlyLabelledImages
from ganarium.doctor.notes import Casebook
from ganarium.errors import Diverged, RunError, UserError
from ganarium.pictures import animation
from ganarium.pictures import grid as pictures
from ganarium.runs import checkpoint
from ganarium.runs import listing as runs
from ganarium.runs import rows as logs
from ganarium.runs.curves import save_curves
from ganarium.runs.listing import FORMAT, run_folder
from ganarium.runs.options import Options, differences, environment, parse_size, resolve_device, resolve_precision
from ganarium.runtime import distributed
from ganarium.trainer import PRECISIONS, Trainer
from ganarium.training import validation as progress
from ganarium.web import report
from ganarium.web.report import artifacts as exhibits

DEFAULT_STEPS = 10_000
LABELS_PER_CLASS = 10  # of a semi-supervised model
SAVE_SECONDS = 300.0
MOMENT = 2.0  # seconds before the user is told what is waited for
LONG = 30.0  # seconds of training from which neighbours and codes are looked at in the end
PICTURES = 40  # sample grids in a run, unless --sample-every says otherwise
NUM_EARLY, LATER = 30, 1001  # iterations in which an algorithm may do more than usual; one in which it does not


class Run:
    """A folder and the trainer behind it. `Run.new` and `Run.reopen` make one; `train` goes on to the end."""

    def __init__(self, folder: Path, config: dict[str, Any], trainer: Trainer, test: Dataset) -> None:
        self.folder, self.config, self.trainer, self.model = folder, config, trainer, trainer.model
        self.options: dict[str, Any] = config["options"]
        self.first = trainer.batches.rank == 0  # of several processes, the one that writes
        self.held_out = Batches(test, self.model.batch_type, 1, device=trainer.device)
        self._casebook: Casebook | None = None  # while it trains, of the process that writes
        self._saved = -1
        self._picture_seconds = 0.0
        self._report_seconds = 0.0
        self._seconds_before = 0.0  # of training, before this process took it up

    @classmethod
    def new(cls, model: str, options: Options, model_options: dict[str, Any], *, quiet: bool = False) -> "Run":
        """Checks everything, times a few steps if minutes were given, and only then makes the folder."""
        registry.make_config(model, model_options)
        if options.threads:
            torch.set_num_threads(options.threads)
        device = resolve_device(options.device)
        rank, _ = distributed.start(torch.device(device))
        if rank == 0:
            _free_folder(model, options)  # an answer before the data are loaded
        given = dataclasses.asdict(options) | {"data": _lasting(options.data), "steps": options.steps or DEFAULT_STEPS}
        config = {
            "format": FORMAT,
            "model": model,
            "model_options": model_options,
            "options": given,
            "device": device,
            "precision": resolve_precision(options.precision, device),
            "data_folder": os.environ.get("GANARIUM_DATA") and str(Path(os.environ["GANARIUM_DATA"]).resolve()),
            **environment(),
        }
        if options.minutes:
            given["steps"] = steps_within(options.minutes, config, quiet=quiet)
            if rank == 0 and not quiet:
                print(f"{options.minutes:g} minutes are about {given['steps']} steps here.", flush=True)
        trainer, test = build(config)
        _prepare(trainer, quiet=quiet)
        if options.evaluate_every and rank == 0:
            progress.measure_for(trainer.model, trainer.batches.data, test)  # its error, before anything is written
        folder, made = _claim(model, options) if rank == 0 else (Path(), [])
        folder = distributed.gather(folder)[0]
        assert isinstance(folder, Path)
        run = cls(folder, config, trainer, test)
        try:
            if run.first:
                _write_config(folder, config)
            run.save()
        except BaseException as error:  # a stop with Ctrl-C too leaves nothing behind
            if run.first:
                _unclaim(folder, made)
            if isinstance(error, OSError | RunError):
                raise RunError(f"the run could not begin in {folder}: {_reason(error)}.") from error
            raise
        return run

    @classmethod
    def reopen(cls, folder: str | Path, *, steps: int | None = None, device: str | None = None) -> "Run":
        """The run of a folder, at its newest complete checkpoint. `steps` extends it."""
        folder = run_folder(folder)
        written = json.loads((folder / "config.json").read_text())
        begun = checkpoint.exists(folder)  # false after a kill before the first checkpoint
        _, files, meta = checkpoint.newest(folder) if begun else (None, {}, {"step": 0, "config": written})
        config = meta["config"]
        if steps is not None and steps <= meta["step"]:
            raise UserError(
                f"{folder} is at step {meta['step']} already: give --steps a number above it to extend the run."
            )
        config["options"]["steps"] = steps or written["options"]["steps"]
        config["device"] = resolve_device(device or config["device"])
        before, world = config["data"], config["world"]
        if config["data_folder"]:
            os.environ.setdefault("GANARIUM_DATA", config["data_folder"])
        torch.set_num_threads(config["threads"])
        trainer, test = build(config)
        run = cls(folder, config, trainer, test)
        if config["data"]["sum"] != before["sum"]:
            logs.warn(
                f"the data of {before['name']} have changed since the run began: "
                f"{before['train']} training images then, {config['data']['train']} now."
            )
        if config["world"] != world:
            logs.warn(
                f"{config['world']} processes go on with a run of {world}: each draws its own batches of "
                f"{config['options']['batch_size']}, so the batch of all together has changed."
            )
        for difference in differences(config):
            logs.warn(f"{difference}: the resumed run will not be bit-equal to an uninterrupted one.")
        if begun:
            checkpoint.restore(trainer, files, meta)
            run._saved = meta["step"]
        else:
            trainer.prepare()
        if steps and run.first:
            with runs.alone(folder):
                _write_config(folder, written | {"options": written["options"] | {"steps": steps}})
        if not begun:
            run.save()
        return run

    @property
    def finished(self) -> bool:
        return self.model.iteration >= self.trainer.total

    def train(self, *, quiet: bool = False) -> int:
        """Trains to the end (gives 0) or to a signal (gives its number). Whatever stops it, what was done is saved."""
        with runs.alone(self.folder) if self.first else nullcontext():
            began = time.monotonic()
            if self.first:
                self._seconds_before = runs.seconds_before(self.folder, self.model.iteration)
                (self.folder / "state.json").unlink(missing_ok=True)  # what it says is over
            try:
                caught = self._train(quiet)
            except BaseException as error:
                stopped = isinstance(error, KeyboardInterrupt)
                self._end("stopped" if stopped else "failed", began, "a second signal" if stopped else _said(error))
                raise
            self._end("stopped" if caught else "finished", began, signal.Signals(caught).name if caught else None)
            distributed.wait()
        return caught

    def _end(self, state: str, began: float, reason: str | None) -> None:
        """Writes state.json. A disk that does not take it hides no error: `runs` then goes by the checkpoints."""
        if not self.first:
            return
        seconds = round(self._seconds_before + time.monotonic() - began, 3)
        what = {"state": state, "step": self.model.iteration, "seconds": seconds, "reason": reason}
        with suppress(OSError):
            checkpoint.write_json(self.folder, "state.json", what)
        with suppress(OSError):
            self._last_report(state, seconds)

    def _train(self, quiet: bool) -> int:
        label = f"{self.config['model']} on {self.config['data']['name']}"
        log = logs.MetricsLog(self.folder, self.model.iteration) if self.first else None
        bar = logs.Bar(label, self.model.iteration, self.trainer.total, quiet or not self.first)
        evaluations = self._evaluations(bar) if self.first else None
        if self.first:
            self._casebook = Casebook(self.folder, self.trainer, self.held_out)
        saved_at = time.monotonic()
        try:
            with Signals(bar) as signals, bar:
                if self.model.iteration == 0:
                    self._picture(log, bar)
                for done in self.trainer:
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
                        self._evaluate(evaluations, log, bar)
                    if self._due("sample_every", done, self._picture_fits(done, bar)) or self.finished:
                        self._picture(log, bar)
                        self._report(bar)
                    if stop:
                        return signals.caught or signal.SIGTERM
            if evaluations:
                for line in evaluations.verdict(f"{self.resume_command()} --steps {2 * self.trainer.total}"):
                    bar.say(line)
            return 0
        except BrokenPipeError as error:  # `ganarium train ... | head`
            self.save()
            raise RunError(f"nobody reads the output any more, so the run has stopped. {self._way_on()}") from error
        except OSError as error:
            raise RunError(f"{self.folder} could not be written: {_reason(error)}. {self._way_on()}") from error
        except Diverged as error:
            note = self._casebook.explain(error) if self._casebook and error.player else None
            why, way = (f": {note.seen}", note.remedies[0]) if note else ("", "a new run with a lower learning rate")
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

    def save(self) -> None:
        """A checkpoint of this moment, if there is none yet. Every process must call it."""
        if self._saved == self.model.iteration:
            return
        files, meta = checkpoint.capture(self.trainer)
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

    def _picture_fits(self, done: int, bar: logs.Bar) -> bool:
        """Every 40th of the run, as long as pictures take less than a tenth of the time."""
        due = done % max(1, self.trainer.total // PICTURES) == 0
        return due and self._picture_seconds < 0.1 * bar.seconds()

    def _evaluation_due(self, done: int) -> bool:
        every = progress.interval(self.options, self.trainer.total)
        return every > 0 and (done % every == 0 or self.finished)

    def _evaluations(self, bar: logs.Bar) -> progress.Evaluations:
        def measure() -> progress.Measure:
            return progress.measure_for(self.model, self.trainer.batches.data, self.held_out.data)

        chosen = bool(self.options.get("evaluate_every"))
        return progress.Evaluations(self.folder, self.model.iteration, measure, always=chosen, say=bar.say)

    def _evaluate(self, evaluations: progress.Evaluations | None, log: logs.MetricsLog | None, bar: logs.Bar) -> None:
        """The first process measures the model, if there is time; all of them save a new best."""
        row = evaluations.measured(self.model.iteration, bar.seconds(), self.finished) if evaluations else None
        new = evaluations is not None and row is not None and evaluations.is_best(row)
        (best,) = distributed.any_rank([new], self.trainer.device)
        if best:
            self.save()
        if evaluations and log and row:
            evaluations.add(row, self._seconds_before + bar.seconds())
            log.scalars({f"evaluation/{name}": value for name, value in row["values"].items()}, row["step"])

    def _log(self, log: logs.MetricsLog | None, bar: logs.Bar, done: int) -> None:
        try:
            reading = self.trainer.drain()
        except Diverged as error:
            if log and error.rows:
                log.write(logs.means(error.rows))
            raise
        if reading.rows and log:
            row = logs.means(reading.rows)
            seconds = round(self._seconds_before + bar.seconds(), 3)
            log.write(row | {"seconds": seconds, "steps_per_second": round(bar.speed(done), 3)})
            bar.show(done, row)
        if reading.rows and self._casebook:
            for note in self._casebook.look(reading):
                bar.say(note.line())

    def _picture(self, log: logs.MetricsLog | None, bar: logs.Bar) -> None:
        if log is None:
            return
        start, points = time.monotonic(), len(self.model.shape) == 1
        self.held_out.drawn = 0
        held_out = self.held_out.draw(2000 if points else 16)
        images = self.model.preview(held_out)
        path = self.folder / "samples" / f"step-{self.model.iteration:08d}.png"
        # a row of a translation sheet: two times input and output, in each direction
        columns = 4 * len(self.model.directions) or None
        pictures.save_grid(images, path, columns=columns, real=held_out[0] if points else None)
        log.picture(path, self.model.iteration)
        if self._casebook:
            for note in self._casebook.see(self.model, images):
                bar.say(note.line())
        self._picture_seconds += time.monotonic() - start

    def _report(self, bar: logs.Bar) -> None:
        """The page of the run so far, as long as it takes less than a hundredth of the time."""
        if self.first and not self.finished and self._report_seconds < 0.01 * bar.seconds():
            start = time.monotonic()
            exhibits.reals(self.folder, self.model, self.held_out.data)
            report.write(self.folder)
            self._report_seconds += time.monotonic() - start

    def _last_report(self, state: str, seconds: float) -> None:
        """The page of a run that has ended; of one that was long enough also what needs the data and the model."""
        train, test = self.trainer.batches.data, self.held_out.data
        exhibits.reals(self.folder, self.model, test)
        if state == "finished" and seconds > LONG:
            exhibits.make(self.folder, self.model, train, test, seconds=0.01 * seconds)
        report.write(self.folder)

    def _way_on(self) -> str:
        return f"The last good checkpoint is step {max(self._saved, 0)}: `{self.resume_command()}` goes on from there."


def data_of(config: dict[str, Any]) -> tuple[Dataset, Dataset]:
    """The two splits of the data that a run's config names."""
    options = config["options"]
    return load_data(
        options["data"],
        size=parse_size(options["size"]),
        channels=options["channels"],
        characters=options["characters"],
        fit=options.get("fit"),  # absent from the configs of older runs
        layout=options.get("layout"),
        mirror=options.get("mirror", False),
    )


def build(config: dict[str, Any]) -> tuple[Trainer, Dataset]:
    """The trainer of a config at iteration 0, before `prepare`, and the held-out split of its data.

    Writes into the config what only the data and the model know: the data's facts, the batch size, every model option.
    """
    name, options, device = config["model"], config["options"], torch.device(config["device"])
    train, test = data_of(config)
    torch.manual_seed(options["seed"])
    model = registry.create(name, train.shape, train.num_classes, **config["model_options"])
    if model.batch_type not in train.kinds:
        wants, gives = model.batch_type.__name__, " or ".join(kind.__name__ for kind in train.kinds)
        fits = [known for known in suited(wants) if SOURCES[known].module != "toys"]  # the model has taken images
        fits.sort(key=lambda known: SOURCES[known].module not in ("glyphs", "scenes", "drawn"))  # no network needed
        whole = ", or --layout images to read every file as one picture" if train.paired and wants == "Images" else ""
        fits = [*fits[:4], own] if (own := OWN_DATA.get(wants)) else fits
        raise UserError(f"{name} learns from {wants}, and {train.name} gives {gives}: use {' or '.join(fits)}{whole}.")
    rank, world = distributed.start(device)
    if options["batch_size"] == 1 and any(isinstance(module, nn.BatchNorm1d) for module in model.modules()):
        raise UserError(f"{name} has batch norm, which needs more than one image: use --batch-size 2 or more.")
    batches = Batches(
        _labels_kept(train, name, model.batch_type, options),
        model.batch_type,
        options["batch_size"] or model.batch_size,
        seed=options["seed"],
        device=device,
        dtype=PRECISIONS[config["precision"]],
        rank=rank,
        world=world,
    )
    trainer = Trainer(model, batches, options["steps"], precision=config["precision"])
    words = np.random.SeedSequence([options["seed"], 1, rank]).generate_state(2)
    torch.manual_seed((int(words[0]) << 31) ^ int(words[1]))  # the processes' noise must differ
    config["world"] = world
    options["batch_size"], config["model_options"] = batches.batch_size, dataclasses.asdict(model.config)
    config["data"] = {
        "name": train.name,
        "source": train.source,
        "train": len(train),
        "test": len(test),
        "shape": list(train.shape),
        "num_classes": train.num_classes,
        "class_names": list(train.class_names),
        "skipped": list(train.skipped),
        "sum": _sum(train),
    }
    return trainer, test


def _labels_kept(train: Dataset, name: str, kind: type, options: dict[str, Any]) -> Dataset:
    """The set with the few labels that a semi-supervised model may know; their number is written into the options."""
    asked = options.get("labels_per_class")  # absent from the configs of older runs
    if kind is PartlyLabelledImages:
        options["labels_per_class"] = asked or LABELS_PER_CLASS
        return train.keep_labels(options["labels_per_class"], options["seed"])
    if asked:
        raise UserError(
            f"--labels-per-class is for models that learn from {PartlyLabelledImages.__name__}, and {name} as it is "
            f"asked for learns from {kind.__name__}: leave it away."
        )
    return train


def _prepare(trainer: Trainer, *, quiet: bool) -> None:
    """`Trainer.prepare`; if the model takes more than a moment for it, one line says what is waited for."""
    words = "preparing the model on the training data ..."
    told = threading.Timer(MOMENT, print, [words], {"flush": True})
    if trainer.batches.rank == 0 and not quiet:
        told.start()
    try:
        trainer.prepare()
    finally:
        told.cancel()


def steps_within(minutes: float, config: dict[str, Any], *, quiet: bool = False) -> int:
    """How many steps fit, from timing a trainer that is thrown away: the run itself starts from its seed untouched.

    Steps are timed in short turns and the median counts, so that a machine that was busy for a moment misleads nobody.
    Those of a later time count, and what the first ones take more, such as a critic trained ahead, is added once.
    """
    start = time.monotonic()
    trainer, test = build(json.loads(json.dumps(config)))
    _prepare(trainer, quiet=quiet)
    trainer.total = 2**62
    steps = iter(trainer)

    def seconds(count: int) -> float:
        began = time.monotonic()
        for _ in range(count):
            next(steps)
        trainer.drain()
        return time.monotonic() - began

    seconds(3)  # the first steps choose kernels and fill caches
    early = min(seconds(1), seconds(1))
    trainer.model.iteration = LATER
    each, began, count = [seconds(1)], time.monotonic(), 1
    while count:
        each.append(seconds(count) / count)
        enough = len(each) > 3 and time.monotonic() - began > min(6.0, 0.05 * 60 * minutes)
        count = distributed.gather(0 if enough else max(1, min(round(0.25 / each[-1]), 1000)))[0]
    looked = time.monotonic()
    trainer.model.preview(Batches(test, trainer.model.batch_type, 1, device=trainer.device).draw(16))
    pictures_take = 2 * (time.monotonic() - looked)  # the first and the last are always made
    data = trainer.batches.data
    once, more = progress.reserve(
        lambda: progress.measure_for(trainer.model, data, test), config["options"], 60 * minutes
    )
    usual = statistics.median(each)
    ahead = NUM_EARLY * (early - usual) if early > 2 * usual else 0.0
    left = 60 * minutes - (time.monotonic() - start) - pictures_take - once - ahead
    fit = max(1, int(0.92 * left / (usual + more)))  # the rest is for other pictures and checkpoints
    return int(distributed.gather(fit)[0])


class Signals:
    """Turns the first SIGINT or SIGTERM into a flag that the loop reads between two steps; a second acts at once."""

    def __init__(self, bar: logs.Bar) -> None:
        self.caught = 0
        self._bar = bar
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Signals":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._catch) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _catch(self, number: int, frame: FrameType | None) -> None:
        if self.caught:
            raise KeyboardInterrupt
        self.caught = number
        with suppress(RuntimeError, OSError):  # the signal came in the middle of a line, or nobody reads
            self._bar.say("stopping after this step and saving ...")


def _free_folder(model: str, options: Options) -> Path:
    """Where a new run goes; a folder that holds anything is never touched."""
    if options.out:
        folder = Path(options.out)
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            way = (
                f"go on with `ganarium resume {shlex.quote(str(folder))}`, or "
                if (folder / "config.json").exists()
                else ""
            )
            raise UserError(f"{folder} exists already and a run is never overwritten: {way}give another --out.")
        return folder
    name = f"{model}-{Path(options.data).name.removesuffix('.npz') or 'data'}"
    number = 1
    while (folder := Path("runs") / (name if number == 1 else f"{name}-{number}")).exists():
        number += 1
    return folder


def _claim(model: str, options: Options) -> tuple[Path, list[Path]]:
    """Makes the run's folder, which no other run can have then; gives it and all that was made, the innermost first."""
    while True:
        folder = _free_folder(model, options)
        made = [path for path in (folder, *folder.parents) if not path.exists()]
        try:
            (folder / "checkpoints").mkdir(parents=True)
            return folder, made
        except OSError as error:
            if isinstance(error, FileExistsError) and (folder / "checkpoints").exists():
                continue  # a run that began at the same moment has it
            _unclaim(folder, made)
            raise RunError(f"the run could not begin in {folder}: {_reason(error)}.") from error


def _unclaim(folder: Path, made: list[Path]) -> None:
    """Takes back what a run that could not begin has made, and no folder in which anything else lies."""
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    with suppress(OSError):
        (folder / "config.json").unlink()
    for path in made:
        with suppress(OSError):
            path.rmdir()


def _write_config(folder: Path, config: dict[str, Any]) -> None:
    checkpoint.write_json(folder, "config.json", config)


def _said(error: BaseException) -> str:
    """An error as one line of state.json."""
    return " ".join(f"{error}".split()) or type(error).__name__


def _reason(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error).removesuffix(".")


def _lasting(data: str) -> str:
    """A path as it can be found from any folder; a name as it is."""
    return str(Path(data).resolve()) if data not in SOURCES and Path(data).exists() else data


def _sum(data: Dataset) -> str:
    if data.digest:
        return data.digest
    pixels = data.photos.pixels if data.photos else data.images
    parts = [part for part in (pixels, data.second, data.labels) if part is not None]
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.numpy().tobytes())
    return digest.hexdigest()
