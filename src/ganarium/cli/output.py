"""What verbs share that write files: the folder they write to, and sizes in words."""

from pathlib import Path

from ganarium.errors import UserError
from ganarium.runs.gallery import PREFIX


def output_folder(run: str, out: str | None, name: str) -> Path:
    """Where to write; of a checkpoint inside a run, the run's: old checkpoints are removed with all that is in them."""
    if run.startswith(PREFIX):
        run = run.replace(":", "-")
    path = Path(run).resolve()
    if path.parent.name == "checkpoints" and (path.parent.parent / "config.json").is_file():
        run = str(path.parent.parent)
    folder = Path(out or Path(run) / name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder} cannot be made ({error.strerror}): give another --out.") from error
    return folder


def size_in_words(count: float) -> str:
    """Bytes for people: 12 kB, 3.4 MB."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.3g} {unit}" if count < 99.5 else f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.3g} TB"
