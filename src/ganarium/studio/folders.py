"""What the studio may read and write: the folder of runs, folders that were opened, and what was uploaded.

Nothing outside is read, whatever a call asks for: a run is named by a name that the listing has, and a path of data
must lie, with all its links followed, in an opened folder.
"""

import re
import secrets
import shutil
from collections.abc import Iterable
from pathlib import Path

from ganarium.data import SOURCES
from ganarium.errors import UserError
from ganarium.runs import gallery
from ganarium.runs.listing import disk_use, find_runs
from ganarium.runtime.environment import variable

MAX_FILES, MAX_DEPTH, MAX_NAME = 20_000, 4, 120  # of an upload: files, folders in one another, letters of a name
MAX_UPLOADS = 2 << 30  # bytes of all that is kept
PICTURES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
ACCEPTED = PICTURES | {".zip", ".npz", ".jsonl", ".csv"}  # of an upload: data, which are read and never run
WEIGHTS = {".pth", ".pt", ".safetensors"}  # of an upload of weights
NAME = re.compile(r"[\w][\w.\- ()+,]*")  # of a run
FILE = re.compile(
    r"""[^\x00-\x1f\x7f/\\:*?"<>|.~\s-][^\x00-\x1f\x7f/\\:*?"<>|]*"""
)  # of an uploaded file, or its folder


class Folders:
    """`runs` is where runs lie; `opened` are folders whose data may be read."""

    def __init__(self, runs: Path, opened: Iterable[Path]) -> None:
        self.runs = runs
        self.own = runs / ".studio"  # uploads, jobs and their logs
        named = variable("DATA")
        places = [*opened, *([Path(named)] if named else []), runs, self.uploads]
        self.opened = tuple(dict.fromkeys(place.resolve() for place in places))

    @property
    def uploads(self) -> Path:
        return self.own / "uploads"

    def run(self, name: str) -> Path:
        """The folder of a run that the listing has, or `pretrained:NAME`. `UserError` for any other name."""
        if name.startswith(gallery.PREFIX) and name.removeprefix(gallery.PREFIX) in gallery.names():
            return Path(name)
        for path in find_runs(self.runs) if self.runs.is_dir() else []:
            if str(path.relative_to(self.runs)) == name:
                return path
        raise UserError(f"there is no run {name[:80]!r} in {self.runs}.")

    def new_run(self, name: str) -> Path:
        """A folder for a new run. `UserError` for a name that is no plain one, or taken."""
        if not NAME.fullmatch(name) or len(name) > MAX_NAME or name.endswith("."):
            raise UserError("the name of a run may have letters, digits, spaces and -_.()+, and begins with a letter.")
        if (self.runs / name).exists():
            raise UserError(f"there is a run {name} already, and a run is never overwritten: give another name.")
        return self.runs / name

    def free_name(self, wish: str) -> str:
        """A name for a new run that is like the wish, and free."""
        plain = re.sub(r"[^\w.\-]+", "-", wish).strip("-._")[: MAX_NAME - 5] or "run"
        names = (plain if number == 1 else f"{plain}-{number}" for number in range(1, 10**6))
        return next(name for name in names if not (self.runs / name).exists())

    def data(self, name_or_path: str) -> str:
        """A built-in set by its name, or a path in an opened folder. `UserError` for anything else."""
        if name_or_path in SOURCES:
            return name_or_path
        if name_or_path.startswith("hf:") or "\0" in name_or_path or not name_or_path.strip():
            raise UserError("name a built-in data set, or a folder, .zip or .npz in a folder that the studio opened.")
        path = Path(name_or_path).expanduser()
        path = path if path.is_absolute() else Path.cwd() / path
        real = path.resolve()
        if not any(real.is_relative_to(place) for place in self.opened):
            allowed = ", ".join(str(place) for place in self.opened if place != self.uploads.resolve())
            raise UserError(f"that path is not in a folder that the studio opened ({allowed}): start it with --open.")
        if not real.exists():
            raise UserError(f"there is nothing at {name_or_path}.")
        return str(real)

    def listing(self) -> list[str]:
        """Data that lie at the top of opened folders: folders with pictures in them, .zip and .npz files."""
        names: list[str] = []
        for place in self.opened:
            if place in (self.runs.resolve(), self.uploads.resolve()) or not place.is_dir():
                continue
            for entry in sorted(place.iterdir()):
                if entry.name.startswith((".", "_")) or len(names) >= 200:
                    continue
                if entry.suffix in (".zip", ".npz") or (entry.is_dir() and _has_pictures(entry)):
                    names.append(str(entry))
        return names

    def new_upload(self) -> Path:
        """An empty folder for what is uploaded now."""
        if disk_use(self.uploads) > MAX_UPLOADS:
            limit = MAX_UPLOADS >> 30
            raise UserError(f"uploads hold more than {limit} GiB: remove some of the folders in {self.uploads} first.")
        folder = self.uploads / secrets.token_hex(6)
        folder.mkdir(parents=True)
        return folder

    def place_in(self, upload: Path, name: str, accepted: set[str] = ACCEPTED) -> Path:
        """Where a file of an upload goes: its name as the browser gave it, with its folders. `UserError` for a name
        that could lead elsewhere, or whose ending is not `accepted`."""
        parts = name.replace("\\", "/").split("/")
        plain = all(FILE.fullmatch(part) and len(part) <= MAX_NAME for part in parts)
        if not plain or len(parts) > MAX_DEPTH:
            raise UserError(f"a file cannot be called {name[:80]!r} here: rename it, or leave it out.")
        if Path(name).suffix.lower() not in accepted:
            kinds = "pictures, .zip, .npz, .jsonl and .csv" if accepted is ACCEPTED else ", ".join(sorted(accepted))
            raise UserError(f"{name[:80]} cannot be taken here: {kinds} can.")
        path = upload.joinpath(*parts)
        if not path.resolve().is_relative_to(upload.resolve()) or path.exists():
            raise UserError(f"two files are called {name[:80]!r}.")
        return path

    @staticmethod
    def what_was_uploaded(upload: Path) -> Path:
        """The data of an upload: its only file or folder, or all of it."""
        entries = list(upload.iterdir())
        return (
            entries[0]
            if len(entries) == 1 and (entries[0].suffix.lower() not in PICTURES or entries[0].is_dir())
            else upload
        )

    @staticmethod
    def drop(upload: Path) -> None:
        """Removes an upload that could not be taken whole."""
        shutil.rmtree(upload, ignore_errors=True)


def _has_pictures(folder: Path, depth: int = 2) -> bool:
    """Whether pictures lie in a folder, or a little below; not all of it is read."""
    try:
        entries = [entry for entry, _ in zip(folder.iterdir(), range(50), strict=False)]
    except OSError:
        return False
    if any(entry.suffix.lower() in PICTURES for entry in entries):
        return True
    return depth > 0 and any(_has_pictures(entry, depth - 1) for entry in entries[:10] if entry.is_dir())
