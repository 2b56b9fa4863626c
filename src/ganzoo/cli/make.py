"""`ganzoo sample` and `ganzoo translate`: pictures from a run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from ganzoo.cli.parameters import whole
from ganzoo.errors import UserError

if TYPE_CHECKING:
    from ganzoo.model import Model

Whole = Annotated[int, Parameter(converter=whole)]


def sample(
    run: str,
    /,
    *,
    n: Whole = 64,
    seed: Whole = 0,
    label: Annotated[int | None, Parameter(converter=whole)] = None,
    code: str | None = None,
    out: str | None = None,
    files: bool = False,
    gif: bool = False,
    raw: bool = False,
    device: str = "auto",
) -> int:
    """Draw samples from a run (or one checkpoint): a grid, and if asked single files and an interpolation.

    Parameters
    ----------
    run
        The run's folder, or the folder of one checkpoint.
    n
        How many.
    seed
        The same seed gives the same samples.
    label
        A class, for models that take one.
    code
        A code, for models that have one: a category, or category,number,number.
    out
        Where to write. Default: RUN/generated.
    files
        Write every sample as a PNG of its own too (points as one .npy).
    gif
        Write an animated walk between codes too.
    raw
        Use the weights themselves where the model keeps averages.
    device
        auto, cpu, cuda or mps.
    """
    from ganzoo import api, pictures

    model = api.load(run, raw=raw, device=device)
    conditions = _conditions(label, code)
    images = model.sample(n, seed=seed, **conditions)
    walk = _walk(model, seed, conditions) if gif else []
    folder = _folder(run, out, "generated")
    stem = "-".join(
        [f"seed{seed}", *(f"{key}{value}" for key, value in (("label", label), ("code", code)) if value is not None)]
    )
    print(pictures.save_grid(images, folder / f"grid-{stem}.png"))
    if files:
        print(_single_files(images, folder, stem))
    if walk:
        print(pictures.save_gif(walk, folder / f"walk-{stem}.gif"))
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
        Picture files, one or more.
    direction
        Such as a2b or b2a. Default: the model's first.
    out
        Where to write. Default: RUN/translated.
    device
        auto, cpu, cuda or mps.
    """
    from ganzoo import api
    from ganzoo.data.folders import open_image

    model = api.load(run, device=device)
    sources = {Path(path): open_image(Path(path), model.shape[0]) for path in pictures}
    stems = [path.stem for path in sources]
    for stem in stems:
        if stems.count(stem) > 1:
            raise UserError(
                f"two of the pictures are called {stem}: translate them apart, each with an --out of its own."
            )
    results = {path: model.translate(picture, direction=direction) for path, picture in sources.items()}
    folder = _folder(run, out, "translated")
    for path, mapped in results.items():
        target = folder / f"{path.stem}-{direction or model.directions[0]}.png"
        mapped.save(target)
        print(target)
    return 0


def _folder(run: str, out: str | None, name: str) -> Path:
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


def _conditions(label: int | None, code: str | None) -> dict[str, Any]:
    given: dict[str, Any] = {} if label is None else {"label": label}
    if code is not None:
        try:
            given["code"] = [float(part) for part in code.split(",")]
        except ValueError:
            raise UserError(
                f"a code is numbers with commas between them, such as 3 or 3,0.5,-1, not {code!r}."
            ) from None
    return given


def _walk(model: "Model", seed: int, conditions: dict[str, Any]) -> list[Any]:
    from ganzoo import pictures
    from ganzoo.model import Model

    if len(model.shape) != 3:
        raise UserError("an interpolation shows images, and this model makes points: leave --gif away.")
    if type(model).latent is Model.latent:
        raise UserError("an interpolation goes from code to code, and this model has none: leave --gif away.")
    return pictures.interpolation(model, seed=seed, **conditions)


def _single_files(images: Any, folder: Path, stem: str) -> Path:
    import numpy as np

    from ganzoo import pictures

    if images.dim() == 2:
        path = folder / f"points-{stem}.npy"
        np.save(path, images.cpu().numpy())
        return path
    singles = folder / stem
    singles.mkdir(exist_ok=True)
    for place, image in enumerate(images):
        pictures.to_picture(image).save(singles / f"{place:05d}.png")
    return singles
