"""`ganarium data`: a data set examined, for a person to read before anything is trained on it."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

from ganarium import registry
from ganarium.cli.parameters import Count
from ganarium.runs.options import DEFAULT_STEPS, parse_size
from ganarium.runtime.device import resolve_device
from ganarium.runtime.files import atomic_write

if TYPE_CHECKING:
    from ganarium.data.inspect.dataset import Survey
    from ganarium.training.estimate import Estimate


def data(
    name_or_path: str,
    /,
    *,
    size: str | None = None,
    channels: Count = None,
    characters: str | None = None,
    fit: str | None = None,
    layout: str | None = None,
    model: str | None = None,
    batch_size: Count = None,
    steps: Count = None,
    device: str = "auto",
    html: bool = False,
    out: str | None = None,
) -> int:
    """Examine a data set: what it is, what is wrong with it, which models it suits, what training would take.

    Parameters
    ----------
    name_or_path
        A data set by name, a folder or .zip of images, an .npz file, or hf:owner/name.
    size
        Image size in pixels: 64, or height x width as 64x96. Default: the set's own, or 64 for a folder.
    channels
        1 for grey, 3 for RGB, 4 for RGBA. Default: what the images have.
    characters
        For glyphs: digits, letters, all, or the characters themselves.
    fit
        For folders: crop or pad. Default: crop.
    layout
        For folders: images, pairs or patches. Default: what it looks like.
    model
        Predict what training this model would take, from a few steps of it.
    batch_size
        Images in a batch, with --model. Default: the paper's.
    steps
        Steps to predict the time of, with --model. Default: 10000.
    device
        auto, cpu, cuda or mps, with --model.
    html
        Write a page with all that was found too.
    out
        Where to write the picture grid (and the page beside it). Default: runs/data/NAME.png.
    """
    from ganarium.cli.data_report import line, prediction_lines, report, verdict
    from ganarium.data.inspect.dataset import survey
    from ganarium.training.compatibility import model_compatibility, reason_against
    from ganarium.web.dataset import page

    if model is not None:
        registry.checked(model)
        resolve_device(device)
    examined = survey(
        name_or_path, size=parse_size(size), channels=channels, characters=characters, fit=fit, layout=layout
    )
    target = Path(out) if out else Path("runs") / "data" / _file_name(examined)
    grid = _save_grid(examined, target.with_suffix(".png"))
    models = model_compatibility(examined)
    print("\n".join(report(examined, models)), flush=True)
    if grid and examined.grid is not None:
        print(line("pictures", f"{min(len(examined.grid), 2000)} of them in {grid}"))
    prediction: list[str] = []
    obstacle = reason_against(model, examined) if model else ""
    if model and obstacle:
        print(line(registry.title(model), obstacle))
    elif model:
        prediction = prediction_lines(_predict(examined, model, batch_size, steps, device))
        print("\n".join(prediction))
    if html:
        path = target.with_suffix(".html")
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as temporary:
            temporary.write_text(page(examined, models, grid, prediction), encoding="utf-8")
        print(line("page", str(path)))
    print(verdict(examined, models, name_or_path, model, obstacle))
    return 0


def _save_grid(survey: "Survey", path: Path) -> Path | None:
    """The pictures as a model sees them, side by side; None if there are none."""
    from ganarium.data.inspect.dataset import as_images
    from ganarium.pictures.grid import save_grid

    if survey.grid is None:
        return None
    return save_grid(as_images(survey.grid), path, columns=survey.columns)


def _predict(survey: "Survey", model: str, batch_size: int | None, steps: int | None, device: str) -> "Estimate":
    """The memory and the time that training would take, from a few steps in a process of its own."""
    from ganarium.training.estimate import estimate

    bytes_each = (4 if len(survey.shape) == 1 else 1) * math.prod(survey.shape)
    in_memory = survey.num_files * bytes_each * (2 if "side by side" in survey.layout else 1)
    return estimate(
        model,
        survey.shape,
        len(survey.classes) or None,
        num_train=max(1, survey.num_train),
        data_bytes=in_memory if survey.fit is None or in_memory <= 2**30 else 0,  # more is mapped, not held
        batch_size=batch_size,
        steps=steps or DEFAULT_STEPS,
        device=device,
    )


def _file_name(survey: "Survey") -> str:
    """The data set's name in letters that any file system takes."""
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in survey.name) or "data"
