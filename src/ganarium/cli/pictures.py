"""What the verbs that change people's pictures have in common. Only one picture at a time is in memory."""

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganarium.cli.output import output_folder
from ganarium.data.files.tree import printable

if TYPE_CHECKING:
    from ganarium.data.files.photo import Photo

PROBE = 128  # pixels of the side of a window whose time tells the time of the rest
SPOKEN = 5  # seconds that need no estimate
SHOWN = 1000  # pixels of the side of a comparison


def each_picture(
    run: str,
    paths: Sequence[str],
    apply: Callable[["Photo", Callable[[float], None]], "Photo"],
    effort: Callable[[int, int], float],
    *,
    folder: str,
    out: str | None,
    ending: str,
    compare: bool,
) -> int:
    """Maps every picture, writes each as soon as it is done, prints its path, and gives the exit code.

    `apply(photo, progress)` maps one and tells the share that is done; `effort(height, width)` is its time in any unit.
    Files are written to `out` or RUN/`folder`, as NAME-`ending`.png under a name that is free. A picture that cannot be
    read is named on standard error, and the exit code is 2.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from ganarium.data.files.decode import header, reason, silence_warnings
    from ganarium.data.files.photo import free_name, read_photo, write_png
    from ganarium.data.sources.folder import picture_files

    silence_warnings()
    files, efforts, bad = picture_files(paths), {}, 0
    for file in files:
        try:
            with file.open("rb") as handle:
                head = header(handle)
            efforts[file] = effort(head.height, head.width)
        except Exception as error:  # decoders raise errors of all kinds on broken files
            _say(f"{printable(str(file))} {reason(error)}, and is passed over.")
            bad += 1
    console = Console()
    columns = (TextColumn("{task.description}", markup=False), BarColumn(bar_width=20), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task, done = bar.add_task("", total=sum(efforts.values())), 0.0
        for file, own in efforts.items():
            try:
                photo = read_photo(file)
            except Exception as error:
                _say(f"{printable(str(file))} {reason(error)}, and is passed over.")
                bad += 1
                continue
            if not done:
                _estimate(photo, apply, effort, list(efforts.values()))
            bar.update(task, description=printable(file.name))
            before = done

            def progress(share: float, before: float = before, own: float = own) -> None:
                bar.update(task, completed=before + share * own)

            try:
                result = apply(photo, progress)
            except (MemoryError, RuntimeError) as error:
                if isinstance(error, RuntimeError) and "memory" not in str(error).lower():
                    raise
                way = "use smaller tiles, or reduce the picture"
                _say(f"{printable(str(file))} does not fit in the memory, and is passed over: {way}.")
                bad += 1
                continue
            done += own
            bar.update(task, completed=done)
            target = free_name(output_folder(run, out, folder) / f"{file.stem}-{ending}.png")
            write_png(target, result)
            print(target)
            if compare:
                print(save_comparison(photo, result, target))
    return 2 if bad else 0


def save_comparison(before: "Photo", after: "Photo", target: Path) -> Path:
    """Writes the middle of a picture before and after, side by side in the size of the result; gives the path."""
    from PIL import Image

    from ganarium.data.files.photo import free_name, image_of, in_srgb

    before, after = in_srgb(before), in_srgb(after)
    new, old = image_of(after), image_of(before)
    width, height = (min(side, SHOWN) for side in new.size)
    left, top = (new.width - width) // 2, (new.height - height) // 2
    part = new.crop((left, top, left + width, top + height)).convert("RGBA")
    scale = old.width / new.width, old.height / new.height
    box = (left * scale[0], top * scale[1], (left + width) * scale[0], (top + height) * scale[1])
    if old.mode.startswith("I"):
        old = image_of(before._replace(pixels=(before.pixels // 257).astype("uint8")))
    plain = old.convert("RGBA").resize((width, height), Image.Resampling.BICUBIC, box)
    both = Image.new("RGBA", (2 * width + 8, height), "white")
    both.alpha_composite(plain, (0, 0))
    if new.mode.startswith("I"):
        small = image_of(after._replace(pixels=(after.pixels // 257).astype("uint8")))
        part = small.crop((left, top, left + width, top + height)).convert("RGBA")
    both.alpha_composite(part, (width + 8, 0))
    path = free_name(target.with_name(f"{target.stem}-compare.png"))
    both.convert("RGB").save(path)
    return path


def _estimate(
    photo: "Photo", apply: Callable[..., Any], effort: Callable[[int, int], float], efforts: list[float]
) -> None:
    """Says how long it will take, if that is more than some seconds."""
    height, width = photo.pixels.shape[:2]
    if not any(efforts) or (len(efforts) < 4 and height * width < 4 * PROBE**2):
        return
    rows, columns = min(PROBE, height), min(PROBE, width)
    small = photo._replace(pixels=photo.pixels[:rows, :columns], alpha=None)
    seconds = []
    for _ in range(3):  # the first is slower
        start = time.perf_counter()
        apply(small, lambda share: None)
        seconds.append(time.perf_counter() - start)
    total = statistics.median(seconds[1:]) * sum(efforts) / effort(rows, columns)
    if total > SPOKEN:
        words = f"{total:.0f} seconds" if total < 90 else f"{total / 60:.0f} minutes"
        _say(f"this will take about {words}.")


def _say(text: str) -> None:
    print(f"ganarium: {text}", file=sys.stderr, flush=True)
