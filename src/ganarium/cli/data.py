"""`ganarium data`: a data set examined, for a person to read before anything is trained on it."""

from pathlib import Path
from typing import TYPE_CHECKING

from ganarium import registry
from ganarium.cli.parameters import Count, Number
from ganarium.runs.options import DEFAULT_STEPS, parse_size
from ganarium.runtime.device import resolve_device
from ganarium.runtime.files import atomic_write

if TYPE_CHECKING:
    from ganarium.data.inspect.survey import Survey
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
    classes: str | None = None,
    passed_over: Number = None,
    model: str | None = None,
    batch_size: Count = None,
    steps: Count = None,
    device: str = "auto",
    html: bool = False,
    out: str | None = None,
) -> int:
    """Examine a data set: what it holds, what is wrong with it, and which models can learn from it.

    Parameters
    ----------
    name_or_path
        The name of a built-in set, a folder or .zip of images, an .npz file, or hf:owner/name on Hugging Face.
    size
        Image size in pixels: 64, or height x width such as 64x96. Default: the set's own, or 64 for a folder.
    channels
        1 for grey, 3 for RGB, 4 for RGBA. Default: as many as the images have.
    characters
        For the built-in set glyphs: digits, letters, all, or the characters themselves.
    fit
        How images of a folder are brought to the size: crop the middle, or pad with black. Default: crop.
    layout
        What a folder holds: images, pairs (two pictures side by side in a file) or patches (windows are cut from
        photos). Default: found from the files.
    classes
        What sub-folders are: folders (each is a class, whatever its name), splits (train, test and val are parts of the
        data, and other folders are left out) or none (all images are of one kind). Default: found from the names.
    passed_over
        Share of the pictures that may be broken and are passed over, from 0 to 1. Default: 0.05.
    model
        Predict the memory and the time that training this model would take, from a few steps of it.
    batch_size
        With --model: images in a batch. Default: the paper's.
    steps
        With --model: the number of steps whose time is predicted. Default: 10000.
    device
        With --model: auto (CUDA if there is a GPU, else the CPU), cpu, cuda or mps.
    html
        Also write an HTML page with every bad file, duplicates side by side, and charts of sizes and classes.
    out
        File of the picture grid; the page has the same name and ends in .html. Default: runs/data/NAME.png.
    """
    from ganarium.cli.data_report import line, prediction_lines, report, verdict
    from ganarium.data.inspect.dataset import survey
    from ganarium.training.compatibility import model_compatibility, reason_against
    from ganarium.training.recommend import suited
    from ganarium.web.dataset import page

    if model is not None:
        registry.checked(model)
        resolve_device(device)
    examined = survey(
        name_or_path,
        size=parse_size(size),
        channels=channels,
        characters=characters,
        fit=fit,
        layout=layout,
        classes=classes,
        passed_over=passed_over,
    )
    target = Path(out) if out else Path("runs") / "data" / _file_name(examined)
    grid = _save_grid(examined, target.with_suffix(".png"))
    models = model_compatibility(examined)
    first = suited(examined)
    print("\n".join(report(examined, models, first)), flush=True)
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
    chosen: dict[str, str | float | None] = {"size": size, "channels": channels, "characters": characters, "fit": fit}
    chosen |= {"layout": layout, "classes": classes, "passed-over": passed_over}
    words = [f"--{option}={value}" for option, value in chosen.items() if value is not None]
    print(verdict(examined, models, first, [name_or_path, *words], model, obstacle))
    return 0


def _save_grid(survey: "Survey", path: Path) -> Path | None:
    """The pictures as a model sees them, side by side; None if there are none."""
    from ganarium.data.dataset import decode
    from ganarium.pictures.grid import save_grid

    if survey.grid is None:
        return None
    return save_grid(decode(survey.grid), path, columns=survey.columns)


def _predict(survey: "Survey", model: str, batch_size: int | None, steps: int | None, device: str) -> "Estimate":
    """The memory and the time that training would take, from a few steps in a process of its own."""
    from ganarium.training.estimate import estimate

    return estimate(
        model,
        survey.shape,
        len(survey.classes) or None,
        num_train=max(1, survey.num_train),
        data_bytes=survey.bytes_held(survey.shape),
        batch_size=batch_size,
        steps=steps or DEFAULT_STEPS,
        device=device,
    )


def _file_name(survey: "Survey") -> str:
    """The data set's name in letters that any file system takes."""
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in survey.name) or "data"
