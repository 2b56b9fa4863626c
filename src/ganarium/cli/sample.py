"""`ganarium sample`: samples of a run as a grid, single files, walks between codes and sums of codes."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganarium.cli.classify import class_names
from ganarium.cli.output import output_folder
from ganarium.cli.parameters import Whole
from ganarium.errors import UserError, nearest

if TYPE_CHECKING:
    from torch import Tensor

    from ganarium.model import Model

MAX_SAMPLES = 1_000_000  # in one call: the codes of so many fit in memory
PLACES = r"\d+(?:\s*,\s*\d+)*"


def sample(
    run: str | None = None,
    /,
    *,
    pretrained: str | None = None,
    n: Whole = 64,
    seed: Whole = 0,
    label: str | None = None,
    code: str | None = None,
    z: str | None = None,
    text: str | None = None,
    truncation: float | None = None,
    noise_seed: Whole | None = None,
    mix: Whole | None = None,
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
    """Draw samples from a trained run: a picture of many, and on request single files and animations.

    A latent code is the noise that the model turns into a sample.

    Parameters
    ----------
    run
        The folder of a run, or of one of its checkpoints.
    pretrained
        A generator that comes with the package, in place of a run: `ganarium list` names them.
    n
        Number of samples. The picture shows the first 256 images, or the first 2000 points.
    seed
        The same seed gives the same samples.
    label
        Draw this class only, if the model takes classes: the name of a class, or else its number, counted from 0.
    code
        Draw this code only, if the model has one beside the noise (infogan): a category, or a category and numbers,
        such as 3 or 3,0.5,-1.
    z
        Draw these latent codes: a .npy file of numbers, a row for each sample, as many columns as --latent-dim. Their
        number takes the place of --n.
    text
        Draw what this sentence says, if the model learned from captions (text_to_image). Default: sentences of its
        data.
    truncation
        Draw styles towards their average, if the model has any (stylegan): from 0, the average image, to 1, as in
        training. 0.7 is usual for looking at.
    noise_seed
        Give all samples the same noise in their pixels, if the model has styles.
    mix
        Also write a grid of mixed styles: rows have the coarse styles of the first samples, columns the fine ones of
        the samples of this other seed.
    out
        Folder to write to. Default: RUN/generated.
    files
        Also write every sample as a PNG of its own (points: all in one .npy file).
    gif
        Also write an animation that goes from one latent code to the next, within a class if the model takes
        classes.
    mp4
        Also write that animation as a film; this needs the package av.
    classes
        Also write a picture with a row for each class (or category of the code); along a column the noise is the
        same.
    traverse
        Also write a picture for each continuous number of the code (infogan): it goes from -2 to 2 along a row, and
        each category has a row.
    arithmetic
        Also write a sum of latent codes, such as "1,7,12 - 3,5 + 20". The numbers are places of samples in the
        picture, counted from 0, row by row; codes with commas between them are averaged. Needs --label if the model
        takes classes.
    raw
        Use the weights of the last step. Default: their running average, where the model keeps one.
    device
        Where to compute: auto (CUDA if there is a GPU, else the CPU), cpu, cuda or mps.
    """
    from ganarium import streams
    from ganarium.cli.sample_files import check_room, write_samples
    from ganarium.pictures import animation, latents
    from ganarium.pictures.grid import save_grid, save_picture
    from ganarium.runs.loading import load
    from ganarium.training.console import warn

    if (run is None) == (pretrained is None):
        raise UserError("name a run, or with --pretrained a generator that comes with the package.")
    run = run or f"pretrained:{pretrained}"
    codes = None if z is None else _codes(z)
    n = n if codes is None else len(codes)
    if n > MAX_SAMPLES:
        raise UserError(f"--n is at most {MAX_SAMPLES} at once, not {n}: draw more with another --seed.")
    terms = parse_code_sum(arithmetic) if arithmetic is not None else []
    if mp4:
        animation.video_package()  # says early that the package is missing
    model = load(run, raw=raw, device=device)
    conditions = _conditions(model, run, label, code)
    asked = {"truncation": truncation, "noise_seed": noise_seed}
    told = asked | {"text": text}
    conditions |= {name: value for name, value in told.items() if value is not None}
    if codes is not None:
        conditions["latent"] = codes
    parts = streams.samples(model, n, seed=seed, **conditions)
    flags = {"--gif": gif, "--mp4": mp4, "--arithmetic": terms, "--classes": classes, "--traverse": traverse}
    flags["--mix"] = mix is not None
    for flag in (flag for flag, value in flags.items() if value):
        _check_flag(model, flag)
        if codes is not None:
            raise UserError(f"{flag} draws codes of its own: leave --z away.")
        if model.captioned and text is None:
            raise UserError(f"{flag} needs a sentence that all its images are of: add --text.")
        if conditions.keys() & {"label", "code"} and flag in ("--classes", "--traverse"):
            raise UserError(f"{flag} shows every class: leave --label and --code away.")
    walk = latents.interpolation(model, seed=seed, **conditions) if gif or mp4 else []
    class_rows = latents.class_grid(model, seed=seed) if classes else None
    traversals = latents.traversals(model, seed=seed) if traverse else []
    mixture = latents.style_mixing(model, seed=seed, other_seed=mix, **conditions) if mix is not None else None
    code_sum = latents.arithmetic(model, terms, n=n, seed=seed, **conditions) if terms else None
    stem = f"seed{seed}"
    stem += f"-label{_class_in_file_name(run, conditions['label'])}" if label is not None else ""
    stem += f"-code{code}" if code is not None else ""
    stem += "".join(f"-{name.replace('_', '')}{value:g}" for name, value in asked.items() if value is not None)
    stem += "-" + re.sub(r"[^\w.+-]+", "_", text)[:60] if text is not None else ""
    stem = f"{Path(z).stem}-{stem}" if z is not None else stem
    points = len(model.shape) == 1
    if files:
        check_room(Path(out or run).absolute(), n, 8 if points else 4096)  # the least that a file of each takes
    folder = output_folder(run, out, "generated")
    target = folder / (f"points-{stem}.npy" if points else stem) if files else None
    images = write_samples(parts, n, target)
    print(save_grid(images, folder / f"grid-{stem}.png"))
    if target:
        print(target)
    elif len(images) < n:
        warn(f"the grid shows the first {len(images)} of {n}; --files writes all of them.")
    if walk and gif:
        print(animation.save_gif(walk, folder / f"walk-{stem}.gif"))
    if walk and mp4:
        print(animation.save_mp4(walk, folder / f"walk-{stem}.mp4"))
    if class_rows:
        print(save_picture(class_rows, folder / f"classes-{stem}.png"))
    for number, picture in enumerate(traversals, 1):
        print(save_picture(picture, folder / f"traversal{number}-{stem}.png"))
    if mixture:
        print(save_picture(mixture, folder / f"mixed-{stem}-with{mix}.png"))
    if code_sum:
        words = re.sub(r"\s", "", str(arithmetic)).replace(",", "_")[:80]
        print(save_picture(code_sum, folder / f"arithmetic-{stem}-{words}.png"))
    return 0


def _conditions(model: "Model", run: str, label: str | None, code: str | None) -> dict[str, Any]:
    """The arguments of `model.sample` for --label and --code."""
    conditions: dict[str, Any] = {} if label is None else {"label": class_number(model, run, label)}
    if code is not None:
        try:
            conditions["code"] = [float(part) for part in code.split(",")]
        except ValueError:
            raise UserError(
                f"a code is numbers with commas between them, such as 3 or 3,0.5,-1, not {code!r}."
            ) from None
    return conditions


def class_number(model: "Model", run: str, label: str) -> int:
    """The number of the class of this name, or, if no class has this name, the number itself."""
    names = class_names(run)
    if label in names:
        return names.index(label)
    try:
        return int(label)
    except ValueError:
        model.conditions(1, label=0)  # raises the error of a model that takes no label
        raise UserError(
            f"the run has no class {label!r}: {nearest(label, names)} A number from 0 to {len(names) - 1} will do too."
        ) from None


def _class_in_file_name(run: str, number: int) -> str:
    """A class in the name of a file: its number, and its name where that is not the number."""
    name = re.sub(r"[^\w.+-]+", "_", class_names(run)[number])[:60]
    return str(number) if name == str(number) else f"{number}-{name}"


def _codes(file: str) -> "Tensor":
    """The codes (n, latent_dim) in a .npy file. Nothing in it is run as code."""
    import numpy as np
    import torch

    try:
        codes = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{file} cannot be read as codes: give a .npy file that numpy.save wrote.") from error
    shape = getattr(codes, "shape", ())
    if not isinstance(codes, np.ndarray) or codes.ndim != 2 or codes.dtype.kind not in "fiu" or not len(codes):
        raise UserError(f"{file} must hold codes as numbers, a row for each sample, not an array of shape {shape}.")
    if not np.isfinite(codes).all():
        raise UserError(f"{file} holds codes that are not finite numbers.")
    return torch.from_numpy(codes.astype(np.float64))


def parse_code_sum(text: str) -> list[tuple[int, list[int]]]:
    """The terms of a sum of codes, each a sign and places in the grid: "1,7 - 3" -> [(1, [1, 7]), (-1, [3])]."""
    if not re.fullmatch(rf"\s*{PLACES}(?:\s*[+-]\s*{PLACES})*\s*", text, re.ASCII):
        raise UserError(
            f"--arithmetic is places in the grid, joined by commas, with + and - between groups, "
            f"such as '1,7,12 - 3,5 + 20', not {text!r}."
        )
    terms = re.findall(rf"([+-]?)\s*({PLACES})", text)
    return [(-1 if sign == "-" else 1, [int(place) for place in places.split(",")]) for sign, places in terms]


def _check_flag(model: "Model", flag: str) -> None:
    """`UserError` if the model makes no images, or has no codes and the flag needs them."""
    names = {
        "--arithmetic": "a sum of codes",
        "--classes": "a grid of classes",
        "--traverse": "a traversal",
        "--mix": "a mixture",
    }
    name = names.get(flag, "an interpolation")
    if len(model.shape) != 3:
        raise UserError(f"{name} shows images, and this model makes points: leave {flag} away.")
    if model.prior is None and flag != "--classes":
        raise UserError(f"{name} needs latent codes, and this model has none: leave {flag} away.")
