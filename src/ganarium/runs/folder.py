"""The folder of a run. It is never overwritten, and holds everything that training needs and leaves.

runs/NAME/
  config.json     all that is needed to rebuild the model and the run
  state.json      how training ended: see `listing`
  checkpoints/    see `checkpoint`
  samples/        sample grids, and training.gif
  metrics.jsonl   tensorboard/   curves.png
  report.html   report/   see `web.report`
  evaluations.jsonl   best.json   see `training.validation`
  doctor.jsonl   memory.jsonl   scores.jsonl   see `doctor.notes`
  evaluations/  generated/  translated/   what the verbs evaluate, sample and translate have written
"""

import json
import shlex
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from ganarium import registry
from ganarium.data import halves
from ganarium.data.files.tree import printable
from ganarium.errors import RunError, UserError, nearest
from ganarium.runs.options import Options
from ganarium.runtime.files import atomic_write, leftovers

FORMAT = 1  # of config.json


def run_folder(path: str | Path) -> Path:
    """The folder of a run; `UserError` if it is none."""
    path = Path(path)
    if not (path / "config.json").is_file():
        runs = [str(file.parent) for folder in (path, path.parent) for file in folder.glob("*/config.json")]
        end = f": {nearest(str(path), runs)}" if 0 < len(runs) <= 10 else "."
        raise UserError(f"{path} is no run, which is a folder with config.json and checkpoints/{end}")
    try:
        written = int(json.loads((path / "config.json").read_text())["format"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path / 'config.json'} cannot be read: it is no complete config of a run; every folder in "
            f"{path / 'checkpoints'} holds it too and can be sampled by itself."
        ) from error
    if written > FORMAT:
        raise UserError(
            f"{path} was made by a newer ganarium (run format {written}; this one reads {FORMAT}): upgrade ganarium."
        )
    return path


def choose(model: str, options: Options) -> Path:
    """The folder of a new run. `UserError` if --out holds anything: a run is never overwritten."""
    if options.out:
        folder = Path(options.out)
        if printable(options.out) != options.out:
            raise UserError(f"the path {printable(options.out)} is no UTF-8 text: give another --out.")
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            way = (
                f"go on with `ganarium resume {shlex.quote(str(folder))}`, or "
                if (folder / "config.json").exists()
                else ""
            )
            raise UserError(f"{folder} exists already and a run is never overwritten: {way}give another --out.")
        return folder
    named = "+".join(Path(part).name.removesuffix(".npz") for part in halves(options.data) or [options.data])
    name = f"{registry.title(model)}-{named or 'data'}"
    number = 1
    while (folder := Path("runs") / (name if number == 1 else f"{name}-{number}")).exists():
        number += 1
    return folder


def claim(model: str, options: Options) -> tuple[Path, list[Path]]:
    """Makes the run's folder, which no other run can have then; returns it and all new folders, the innermost first."""
    while True:
        folder = choose(model, options)
        new = [path for path in (folder, *folder.parents) if not path.exists()]
        try:
            (folder / "checkpoints").mkdir(parents=True)
            return folder, new
        except OSError as error:
            if isinstance(error, FileExistsError) and (folder / "checkpoints").exists():
                continue  # a run that began at the same moment has it
            release(folder, new)
            raise cannot_begin(folder, error) from error


def release(folder: Path, new: list[Path]) -> None:
    """Removes what a run that could not begin has made, and no folder in which anything else lies."""
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    with suppress(OSError):
        (folder / "config.json").unlink()
    for path in new:
        with suppress(OSError):
            path.rmdir()


def write_json(run: Path, name: str, content: dict[str, Any]) -> None:
    """Writes a file of the run, whole or not at all."""
    with atomic_write(run / name, sync=True) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n")


def leftovers_of_training(run: Path) -> list[Path]:
    """What killed processes have left in the folders that training writes. They are removed when it goes on."""
    folders = (run, *(run / name for name in ("checkpoints", "samples", "report", "evaluations")))
    before_0_2 = [*run.glob("*.writing"), *(run / "evaluations").glob(".evaluation-*")]
    return sorted([*before_0_2, *(path for folder in folders for path in leftovers(folder))])


def all_leftovers(run: Path) -> list[Path]:
    """What killed processes have left in all folders of a run."""
    samples = [path for name in ("generated", "translated") for path in leftovers(run / name)]
    return [*leftovers_of_training(run), *samples]


def remove(path: Path) -> None:
    """Removes a file or a folder with all that is in it."""
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def cannot_begin(folder: Path, error: Exception) -> RunError:
    return RunError(f"the run could not begin in {folder}: {reason_of(error)}.")


def reason_of(error: Exception) -> str:
    """Why the system refused, in words."""
    return (isinstance(error, OSError) and error.strerror) or str(error).removesuffix(".")
