"""`ganarium sample`, `ganarium translate` and `ganarium classify`: what a run makes of noise and of pictures."""

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from ganarium.cli.parameters import whole
from ganarium.errors import UserError, nearest

if TYPE_CHECKING:
    from torch import Tensor

    from ganarium.model import Model

Whole = Annotated[int, Parameter(converter=whole)]
MOST = 1_000_000  # samples in one call: the codes of so many fit in memory
IN_GRID, IN_PLOT = 256, 2000  # images, points
GROUP = r"\d+(?:\s*,\s*\d+)*"


def sample(
    run: str,
    /,
    *,
    n: Whole = 64,
    seed: Whole = 0,
    label: str | None = None,
    code: str | None = None,
    out: str | None = None,
    files: bool = False,
    gif: bool = False,
    mp4: bool = False,
    classes: bool = False,
    traverse: bool = False,
    arithmetic: str | None = None,
    raw: bool = False,
    device: str = "auto",
) -> int:
    """Draw samples from a run (or one checkpoint): a grid, and if asked single files, a walk, classes, sums of codes.

    Parameters
    ----------
    run
        The run's folder, or the folder of one checkpoint.
    n
        How many. The grid shows the first 256 of them, or the first 2000 points.
    seed
        The same seed gives the same samples.
    label
        A class, for models that take one: its name, such as that of its folder, or its number from 0 where none is
        called so.
    code
        A code, for models that have one: a category, or category,number,number.
    out
        Where to write. Default: RUN/generated.
    files
        Write every sample as a PNG of its own too (points as one .npy).
    gif
        Write an animated walk between codes too, within a class if the model is told classes.
    mp4
        Write that walk as a film too: needs the package av.
    classes
        Write a grid with a row for each class (or category of the code) and the same noise in each column too.
    traverse
        Write for each continuous number of a code how it changes the image, from -2 to 2, a row for each category, too.
    arithmetic
        Write sums of codes too, such as "1,7,12 - 3,5 + 20": numbers are places in the grid, from 0, row by row; the
        codes of a group are averaged. Needs --label where the model is told classes.
    raw
        Use the weights themselves where the model keeps averages.
    device
        auto, cpu, cuda or mps.
    """
    from ganarium import api, sampling
    from ganarium.pictures import animation, latents
    from ganarium.pictures import grid as pictures
    from ganarium.training.console import warn

    if n > MOST:
        raise UserError(f"--n is at most {MOST} at once, not {n}: draw more with another --seed.")
    groups = _groups(arithmetic) if arithmetic is not None else []
    if mp4:
        animation.video_package()  # says early where it is missing
    model = api.load(run, raw=raw, device=device)
    conditions = _conditions(model, run, label, code)
    parts = sampling.samples(model, n, seed=seed, **conditions)
    flags = {"--gif": gif, "--mp4": mp4, "--arithmetic": groups, "--classes": classes, "--traverse": traverse}
    for flag in (flag for flag, asked in flags.items() if asked):
        _can(model, flag, codes=flag != "--classes")
        if conditions and flag in ("--classes", "--traverse"):
            raise UserError(f"{flag} shows every class: leave --label and --code away.")
    walk = latents.interpolation(model, seed=seed, **conditions) if gif or mp4 else []
    rows = latents.class_grid(model, seed=seed) if classes else None
    along = latents.traversals(model, seed=seed) if traverse else []
    sums = latents.arithmetic(model, groups, n=n, seed=seed, **conditions) if groups else None
    told = {"label": _named(run, conditions["label"])} if label is not None else {}
    told |= {"code": code} if code is not None else {}
    stem = "-".join([f"seed{seed}", *(f"{key}{value}" for key, value in told.items())])
    points = len(model.shape) == 1
    if files:
        _room_for(Path(out or run).absolute(), n, 8 if points else 4096)  # the least that they take
    folder = output_folder(run, out, "generated")
    images, written = _drawn(parts, n, folder / f"points-{stem}.npy" if points else folder / stem, files)
    print(pictures.save_grid(images, folder / f"grid-{stem}.png"))
    if files:
        print(written)
    elif len(images) < n:
        warn(f"the grid shows the first {len(images)} of {n}; --files writes all of them.")
    if walk and gif:
        print(animation.save_gif(walk, folder / f"walk-{stem}.gif"))
    if walk and mp4:
        print(animation.save_mp4(walk, folder / f"walk-{stem}.mp4"))
    if rows:
        print(pictures.save_picture(rows, folder / f"classes-{stem}.png"))
    for number, sheet in enumerate(along, 1):
        print(pictures.save_picture(sheet, folder / f"traversal{number}-{stem}.png"))
    if sums:
        words = re.sub(r"\s", "", str(arithmetic)).replace(",", "_")[:80]
        print(pictures.save_picture(sums, folder / f"arithmetic-{stem}-{words}.png"))
    return 0


def translate(
    run: str,
    pictures: Annotated[list[str], Parameter(name="FILES", negative=())],
    /,
    *,
    direction: str | None = None,
    out: str | None = None,
    device: str = "auto",
) -> int:
    """Map pictures with a run's model, such as horses to zebras.

    Parameters
    ----------
    run
        The run's folder, or the folder of one checkpoint.
    pictures
        Picture files, or folders of them, one or more.
    direction
        Such as a2b or b2a. Default: the model's first.
    out
        Where to write. Default: RUN/translated.
    device
        auto, cpu, cuda or mps.
    """
    from ganarium import api
    from ganarium.data.sources.folder import open_image, picture_files

    model = api.load(run, device=device)
    sources = {path: open_image(path, model.shape[0]) for path in picture_files(pictures)}
    stems = [path.stem for path in sources]
    for stem in stems:
        if stems.count(stem) > 1:
            raise UserError(
                f"two of the pictures are called {stem}: translate them apart, each with an --out of its own."
            )
    results = {path: model.translate(picture, direction=direction) for path, picture in sources.items()}
    folder = output_folder(run, out, "translated")
    for path, mapped in results.items():
        target = folder / f"{path.stem}-{direction or model.directions[0]}.png"
        mapped.save(target)
        print(target)
    return 0


def classify(
    run: str,
    pictures: Annotated[list[str], Parameter(name="FILES", negative=())],
    /,
    *,
    raw: bool = False,
    device: str = "auto",
) -> int:
    """Say what pictures show: a line for each with the likeliest class and its probability.

    Parameters
    ----------
    run
        The run's folder, or the folder of one checkpoint, of a model that classifies.
    pictures
        Picture files, or folders of them, one or more. They are scaled to cover the size the model was trained at, and
        cropped to it.
    raw
        Use the weights themselves where the model keeps averages.
    device
        auto, cpu, cuda or mps.
    """
    from ganarium import api
    from ganarium.data.files.tree import shown
    from ganarium.data.sources.folder import open_image, picture_files

    model, names = api.load(run, raw=raw, device=device), _class_names(run)
    if len(model.shape) != 3:
        raise UserError("the model knows points and no pictures: give the run of a model of images.")
    files = picture_files(pictures)
    odds = [model.probabilities(open_image(path, model.shape[0])) for path in files]
    shown_as = [shown(str(path)) for path in files]
    wide, wide_name = max(map(len, shown_as)), max(map(len, names))
    for path, row in zip(shown_as, odds, strict=True):
        print(f"{path:{wide}}  {names[int(row.argmax())]:{wide_name}}  {float(row.max()):.3f}")
    return 0


def output_folder(run: str, out: str | None, name: str) -> Path:
    """Where to write; of a checkpoint inside a run, the run's: old checkpoints are removed with all that is in them."""
    path = Path(run).resolve()
    if path.parent.name == "checkpoints" and (path.parent.parent / "config.json").is_file():
        run = str(path.parent.parent)
    folder = Path(out or Path(run) / name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder} cannot be made ({error.strerror}): give another --out.") from error
    return folder


def _conditions(model: "Model", run: str, label: str | None, code: str | None) -> dict[str, Any]:
    given: dict[str, Any] = {} if label is None else {"label": _class(model, run, label)}
    if code is not None:
        try:
            given["code"] = [float(part) for part in code.split(",")]
        except ValueError:
            raise UserError(
                f"a code is numbers with commas between them, such as 3 or 3,0.5,-1, not {code!r}."
            ) from None
    return given


def _class(model: "Model", run: str, label: str) -> int:
    """The number of a class that is called so, or, if none is, has that number. `UserError` for what is no class."""
    names = _class_names(run)
    if label in names:
        return int(names.index(label))
    try:
        return int(label)
    except ValueError:
        model.conditions(1, label=0)  # says it where the model is told none
        raise UserError(
            f"the run has no class {label!r}: {nearest(label, names)} A number from 0 to {len(names) - 1} will do too."
        ) from None


def _class_names(run: str) -> list[str]:
    from ganarium import api

    names: list[str] = api.config_of(run)["data"]["class_names"]
    return names


def _named(run: str, number: int) -> str:
    """A class in the name of a file: its number, and its name where that is another."""
    name = re.sub(r"[^\w.+-]+", "_", _class_names(run)[number])[:60]
    return str(number) if name == str(number) else f"{number}-{name}"


def _groups(text: str) -> list[tuple[int, list[int]]]:
    """ "1,7 - 3" -> [(1, [1, 7]), (-1, [3])]."""
    if not re.fullmatch(rf"\s*{GROUP}(?:\s*[+-]\s*{GROUP})*\s*", text, re.ASCII):
        raise UserError(
            f"--arithmetic is places in the grid, joined by commas, with + and - between groups, "
            f"such as '1,7,12 - 3,5 + 20', not {text!r}."
        )
    found = re.findall(rf"([+-]?)\s*({GROUP})", text)
    return [(-1 if sign == "-" else 1, [int(place) for place in group.split(",")]) for sign, group in found]


def _can(model: "Model", flag: str, *, codes: bool) -> None:
    """`UserError` unless the model makes images, and from codes where they are needed."""
    from ganarium.model import Model

    names = {"--arithmetic": "a sum of codes", "--classes": "a grid of classes", "--traverse": "a traversal"}
    name = names.get(flag, "an interpolation")
    if len(model.shape) != 3:
        raise UserError(f"{name} shows images, and this model makes points: leave {flag} away.")
    if codes and type(model).latent is Model.latent:
        raise UserError(f"{name} needs latent codes, and this model has none: leave {flag} away.")


def _drawn(parts: "Iterator[Tensor]", n: int, target: Path, files: bool) -> "tuple[Tensor, Path]":
    """The samples for the grid, and if asked every sample written to `target`. Only a part at a time is in memory."""
    import torch
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console, kept, have = Console(stderr=True), [], 0
    columns = (TextColumn("samples"), BarColumn(bar_width=20), MofNCompleteColumn(), TimeRemainingColumn(compact=True))
    hidden = not (files and n > IN_GRID and console.is_terminal)
    with ExitStack() as stack:
        bar = stack.enter_context(Progress(*columns, console=console, transient=True, disable=hidden))
        task = bar.add_task("", total=n)
        writer = _points if target.suffix else _single_files
        write = stack.enter_context(writer(target, n)) if files else None
        for part in parts:
            part = part.cpu()
            most = IN_PLOT if part.dim() == 2 else IN_GRID
            if have < most:
                kept.append(part[: most - have])
            have += len(part)
            if write:
                write(part)
            elif have >= most:
                break
            bar.advance(task, len(part))
    return torch.cat(kept), target


@contextmanager
def _points(path: Path, n: int) -> "Iterator[Callable[[Tensor], None]]":
    """Writes points, part by part, as one array (n, 2) of float32, whole or not at all."""
    import numpy as np

    aside, done = path.with_name(f".writing-{path.name}"), 0
    array = np.lib.format.open_memmap(aside, "w+", np.float32, (n, 2))

    def write(points: "Tensor") -> None:
        nonlocal done
        array[done : done + len(points)] = points.numpy()
        done += len(points)

    try:
        yield write
        array.flush()
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def _single_files(folder: Path, n: int) -> "Iterator[Callable[[Tensor], None]]":
    """Writes images, part by part, as PNGs by number, all of them or none; older ones of the folder make way."""
    from ganarium.pictures import grid as pictures

    aside, done = folder.with_name(f".writing-{folder.name}"), 0
    digits = max(5, len(str(n - 1)))
    shutil.rmtree(aside, ignore_errors=True)  # of a call that was killed
    aside.mkdir()

    def write(images: "Tensor") -> None:
        nonlocal done
        for place, image in enumerate(images, start=done):
            pictures.to_picture(image).save(aside / f"{place:0{digits}}.png")
        if not done:  # the others will be about as large; a disk gives room in blocks of 4 KiB
            sizes = [-(-file.stat().st_size // 4096) * 4096 for file in aside.iterdir()]
            _room_for(folder.parent, n - len(images), sum(sizes) / len(sizes))
        done += len(images)

    try:
        yield write
        if folder.is_dir():
            for file in folder.glob("*.png"):
                if file.stem.isdecimal():
                    file.unlink()
            for file in sorted(aside.iterdir()):
                file.replace(folder / file.name)
        else:
            aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _room_for(folder: Path, n: int, size: float) -> None:
    """`UserError` unless `n` files of `size` bytes fit on the disk of a folder, or of the nearest that exists."""
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if n * size > free:
        need, have = (f"{number / 2**30:.3g} GiB" for number in (n * size, free))
        raise UserError(
            f"{n} files need about {need} and {have} are free at {folder}: use a smaller --n, or an --out elsewhere."
        )
