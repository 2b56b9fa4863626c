"""Saves animations: GIFs, MP4 films, and the sample grids of a run as training.gif."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from PIL import Image

from ganarium.errors import UserError
from ganarium.runtime.files import atomic_write


def save_gif(frames: Sequence[Image.Image], path: Path, *, seconds: float = 6.0) -> Path:
    """Saves an endless animation of about `seconds`, which rests on its last frame; gives the path."""
    each = _milliseconds(frames, seconds)
    durations = [each] * (len(frames) - 1) + [each + 1000]
    first, *rest = [_opaque(frame).convert("P", palette=Image.Palette.ADAPTIVE) for frame in frames]
    with atomic_write(path) as temporary:
        first.save(temporary, save_all=True, append_images=rest, duration=durations, loop=0)
    return path


def video_package() -> Any:
    """The package av, which writes MP4s. Raises `UserError` where it is not installed."""
    try:
        import av
    except ImportError:
        raise UserError("an MP4 needs the package av: `pip install av` brings it, and --gif needs nothing.") from None
    return av


def save_mp4(frames: Sequence[Image.Image], path: Path, *, seconds: float = 6.0) -> Path:
    """Saves a film of about `seconds`; gives the path. Raises `UserError` where the package av is missing.

    It is in H.264 (MPEG-4 where av has no H.264), 4:2:0, as every player takes it. That needs even sizes, so a white
    edge is added where they are odd.
    """
    av = video_package()
    width, height = (side + side % 2 for side in frames[0].size)
    with atomic_write(path) as temporary, av.open(str(temporary), "w", format="mp4") as film:
        h264 = "libx264" in av.codecs_available
        rate = Fraction(1000, _milliseconds(frames, seconds))
        stream = film.add_stream("libx264" if h264 else "mpeg4", rate=rate, options={"crf": "18"} if h264 else {})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame in frames:
            canvas = Image.new("RGB", (width, height), "white")
            canvas.paste(_opaque(frame).convert("RGB"))
            film.mux(stream.encode(av.VideoFrame.from_image(canvas)))
        film.mux(stream.encode())
    return path


def _milliseconds(frames: Sequence[Image.Image], seconds: float) -> int:
    """The time of one frame."""
    return max(40, round(1000 * seconds / len(frames)))


def _opaque(picture: Image.Image) -> Image.Image:
    """A picture on white: films have no transparency, and GIFs only all or nothing."""
    if picture.mode != "RGBA":
        return picture
    return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")


def save_training_gif(samples: Path) -> Path | None:
    """Animates the sample grids of a run as training.gif; None if it has none yet."""
    files = sorted(samples.glob("step-*.png"))
    if not files:
        return None
    frames = []
    for file in files:
        with Image.open(file) as picture:
            frames.append(picture.convert("RGB") if picture.mode == "RGBA" else picture.copy())
    return save_gif(frames, samples / "training.gif")
