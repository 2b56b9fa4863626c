"""`ganarium data`: a data set examined, for a person to read before anything is trained on it."""

import math
import shlex
import statistics
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ganarium.cli.parameters import whole

if TYPE_CHECKING:
    from ganarium.data.inspect.dataset import Groups, Survey
    from ganarium.training.estimate import Estimate

WIDTH, MARGIN = 80, 12  # columns: of a line, and of the word that it begins with
FEW = 3  # names that are told; all are in the page

Count = Annotated[int | None, Parameter(converter=whole)]


def data_(
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
    from ganarium import registry
    from ganarium.data.inspect.dataset import survey
    from ganarium.runs.options import parse_size
    from ganarium.runtime.device import resolve_device
    from ganarium.training.compatibility import model_compatibility

    if model is not None:
        registry.checked(model)
        resolve_device(device)
    found = survey(
        name_or_path, size=parse_size(size), channels=channels, characters=characters, fit=fit, layout=layout
    )
    grid = save_grid(found, Path(out).with_suffix(".png") if out else Path("runs") / "data" / f"{_file(found)}.png")
    models = model_compatibility(found)
    print("\n".join(report(found, models)), flush=True)
    if grid:
        print(_line("pictures", f"{min(len(found.grid), 2000)} of them in {grid}" if found.grid is not None else ""))
    dry = None
    if model is not None:
        dry = _dry_run(found, models, model, batch_size, steps, device)
    if html:
        from ganarium.web.dataset import page

        path = (Path(out) if out else Path("runs") / "data" / _file(found)).with_suffix(".html")
        _write(path, page(found, models, grid, [] if dry is None else dry_report(dry, found)))
        print(_line("page", str(path)))
    print(verdict(found, models, name_or_path, model))
    return 0


def save_grid(found: "Survey", path: Path) -> Path | None:
    """The pictures as a model sees them, side by side; None if there are none."""
    from ganarium.data.inspect.dataset import as_images
    from ganarium.pictures import grid as pictures

    if found.grid is None:
        return None
    aside = path.with_name(f".writing-{path.name}")
    pictures.save_grid(as_images(found.grid), aside, columns=found.columns)
    return aside.replace(path)


def report(found: "Survey", models: dict[str, str]) -> list[str]:
    """The lines of the report, of at most 80 columns. `models` is what `model_compatibility` gives."""
    points = len(found.shape) == 1
    things = "points" if points else "images"
    lines = [f"{found.name}: {found.layout}"]
    own = " (held out: no test part is given)" if found.held_out else ""
    both = " (of both domains)" if found.domains == 2 and "side by side" not in found.layout else ""
    lines.append(_line(things, f"{found.num_train:,} to train on, {found.num_test:,} to test{own}{both}"))
    if points and found.extent:
        lines.append(_line("extent", f"coordinates from {found.extent[0]:.2f} to {found.extent[1]:.2f}"))
    if found.sizes:
        lines += [_line("" if place else "sizes", text) for place, text in enumerate(sizes_in_words(found))]
        lines.append(_line("stored as", ", ".join(f"{word} {n:,}" for word, n in found.stored.most_common(6))))
        if found.grey and found.shape[0] != 1:
            every = found.grey == sum(found.sizes.values())
            lines.append(
                _line("", f"{found.grey:,} of them show no colour" + ("; --channels 1 would do" if every else ""))
            )
    lines += classes_in_words(found)
    if found.captions:
        words = sorted(found.captions)
        text = (
            f"{len(words):,}, of which {found.different_captions:,} differ; {words[0]} to {words[-1]} words, "
            f"mostly about {statistics.median(words):.0f}"
        )
        lines.append(_line("captions", text))
    lines += _named("broken", [f"{name} {why}" for name, why in found.broken], "cannot be used")
    lines += _named("not read", found.unread, "of formats that are not read: save them as PNG or JPEG")
    lines += _named("blank", found.blank, "of one colour throughout")
    lines += _alike("identical", found.exact, "have the same content", things)
    lines += _alike("leaks", found.leaks, "have the same content in train and in test", things)
    if not points:
        lines += _alike("alike", found.near, "look nearly the same", things, " ~ ")
        lines += _alike("leaks", found.near_leaks, "look nearly the same in train and in test", things, " ~ ")
    if found.compared:
        lines.append(_line("", found.compared))
    lines.append(
        _line("gives", f"{' or '.join(found.kinds)} of {'2-D points' if points else 'x'.join(map(str, found.shape))}")
    )
    fits = [name for name, why in models.items() if not why]
    lines.append(_line("suits", ", ".join(fits) if fits else "no model"))
    return lines


def sizes_in_words(found: "Survey") -> list[str]:
    """Height x width of the pictures, and what fitting does to them."""
    (height, width), count = found.sizes.most_common(1)[0]
    total = sum(found.sizes.values())
    lines = []
    if len(found.sizes) == 1:
        lines.append(f"all {height}x{width} (height x width)")
    else:
        sides = [sorted(size[axis] for size in found.sizes.elements()) for axis in (0, 1)]
        told = [f"{side[0]} to {side[-1]}, median {side[len(side) // 2]}" for side in sides]
        lines.append(f"heights {told[0]}; widths {told[1]}; commonest {height}x{width} ({count / total:.0%})")
    if found.fit is None:
        return lines
    target = "x".join(map(str, found.shape[1:]))
    if found.fit == "patches":
        return [*lines, f"windows of {target}; {found.enlarged:,} are smaller than that"]
    if found.lost >= 0.005:
        does = "cuts away" if found.fit == "crop" else "adds black to"
        way = (
            "; --fit pad or a --size of their proportions keeps all" if found.fit == "crop" and found.lost > 0.3 else ""
        )
        lines.append(f"fitting them to {target} {does} {found.lost:.0%} on average{way}")
    if found.enlarged:
        lines.append(f"{found.enlarged:,} are smaller than {target} and would be enlarged")
    return lines


def classes_in_words(found: "Survey") -> list[str]:
    if not found.classes:
        return []
    counts = {name: own[0] for name, own in found.classes.items()}
    order = sorted(counts, key=lambda name: -counts[name])
    most, least = order[0], order[-1]
    if len(order) <= 10:
        lines = [_line("classes", f"{len(order)}: " + ", ".join(f"{name} ({counts[name]:,})" for name in counts))]
    else:
        lines = [_line("classes", f"{len(order)}, from {least} ({counts[least]:,}) to {most} ({counts[most]:,})")]
    if counts[most] > 3 * max(1, counts[least]):
        lines.append(_line("", f"uneven: {most} has {counts[most] / max(1, counts[least]):.0f} times what {least} has"))
    return lines


def dry_report(dry: "Estimate", found: "Survey") -> list[str]:
    """What training would take, with the basis of the prediction."""
    need, free = dry.bytes_needed / 2**30, dry.bytes_free / 2**30
    power = 1 << (max(1, dry.largest).bit_length() - 1)
    if dry.largest < 2:
        fits = "no batch size fits: use a smaller --size or a narrower model"
    elif dry.batch_size <= dry.largest:
        fits = f"batches of {dry.batch_size} fit" + (f", up to {power:,} would" if power > dry.batch_size else "")
    else:
        fits = f"batches of {dry.batch_size} do not fit: use --batch-size {power}"
    took = f"{dry.minutes:.0f} minutes" if dry.minutes < 120 else f"{dry.minutes / 60:.1f} hours"
    measured = ", ".join(map(str, dry.sizes))
    where = "this machine" if dry.device == "cpu" else dry.device
    return [
        _line(dry.model, f"{fits} ({dry.device})"),
        _line("memory", f"{need:.1f} GiB at a batch of {dry.batch_size}, of {free:.1f} GiB free"),
        _line("time", f"{took} for {dry.steps:,} steps, {1000 * dry.seconds_per_step:.0f} ms each"),
        _line("", f"predicted from a few steps at batches of {measured} of noise, beside what else {where} has to do"),
    ]


def verdict(found: "Survey", models: dict[str, str], given: str, model: str | None) -> str:
    """The last line: would training take this data, and what to do."""
    if found.refused:
        return textwrap.fill(
            f"not to be trained on yet: {found.refused}", WIDTH, break_long_words=False, break_on_hyphens=False
        )
    fits = [name for name, why in models.items() if not why]
    chosen = model or ("dcgan" if "dcgan" in fits else fits[0] if fits else None)
    if model and models.get(model):
        return f"{model} cannot be trained on it: {models[model]}"
    passed = f"; {len(found.broken)} files would be passed over" if found.broken else ""
    if chosen is None:
        return f"it can be read{passed}, and no model here learns from it."
    return f"it can be trained on{passed}: ganarium train {chosen} --data {shlex.quote(given)}"


def _dry_run(
    found: "Survey", models: dict[str, str], model: str, batch_size: int | None, steps: int | None, device: str
) -> "Estimate | None":
    from ganarium.runs.options import DEFAULT_STEPS
    from ganarium.training.estimate import estimate

    if why := models[model]:
        print(_line(model, why))
        return None
    things = found.num_files * (4 if len(found.shape) == 1 else 1) * math.prod(found.shape)
    sides = "side by side" in found.layout
    resident = things * (2 if sides else 1)
    dry = estimate(
        model,
        found.shape,
        len(found.classes) or None,
        num_train=max(1, found.num_train),
        data_bytes=resident if found.fit is None or resident <= 2**30 else 0,  # more is mapped, not held
        batch_size=batch_size,
        steps=steps or DEFAULT_STEPS,
        device=device,
    )
    print("\n".join(dry_report(dry, found)))
    return dry


def _line(word: str, text: str) -> str:
    """A word in the margin, and text beside it."""
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=f"  {word:{MARGIN - 2}}",
        subsequent_indent=" " * MARGIN,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _named(word: str, names: list[str], what: str) -> list[str]:
    if not names:
        return []
    more = f"; and {len(names) - FEW:,} more" if len(names) > FEW else ""
    return [_line(word, f"{len(names):,} {what}: {'; '.join(names[:FEW])}{more}")]


def _alike(word: str, groups: "Groups", what: str, things: str, sign: str = " = ") -> list[str]:
    if not groups:
        return []
    told = "; ".join(f"{sign.join(group[:3])}{' ...' if len(group) > 3 else ''}" for group in groups[:FEW])
    files, more = sum(map(len, groups)), " ..." * (len(groups) > FEW)
    together = f" in {len(groups):,} groups" if len(groups) > 1 else ""
    return [_line(word, f"{files:,} {things}{together} {what}: {told}{more}")]


def _file(found: "Survey") -> str:
    """A name that any file system takes."""
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in found.name) or "data"


def _write(path: Path, text: str) -> None:
    aside = path.with_name(f".writing-{path.name}")
    path.parent.mkdir(parents=True, exist_ok=True)
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)
