"""Chooses and re-encodes the sample grids of a run, so that they are small enough for a page."""

from functools import lru_cache
from pathlib import Path

from PIL import Image

from ganarium.web import html

MOST = 40  # frames on the page
ROOM = 3_000_000  # characters that they may take together
LOSSLESS = 100_000  # pixels up to which a frame is kept exactly
SIDE = 640  # pixels of the longer side of larger ones
QUALITY = 80

Frame = tuple[str, tuple[int, int]]  # a data URI, and (width, height) in pixels to show it at


def chosen(pictures: list[tuple[int, Path]]) -> list[tuple[int, Frame]]:
    """Frames of at most 40 grids, evenly over the run, and of fewer where they are large; the last is always there."""
    count = min(MOST, len(pictures))
    while True:
        frames = [(step, shown(path)) for step, path in spread(pictures, count)]
        size = sum(len(uri) for _, (uri, _) in frames)
        if size <= ROOM or count <= 2:
            return frames
        count = max(2, min(count - 1, count * ROOM // size))


def spread(pictures: list[tuple[int, Path]], count: int) -> list[tuple[int, Path]]:
    """`count` of the pictures, evenly over the run, with the first and the last."""
    if count >= len(pictures):
        return pictures
    return [pictures[place * (len(pictures) - 1) // (count - 1)] for place in range(count)]


def shown(path: Path) -> Frame:
    """A picture of a run as the page shows it."""
    return _encoded(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=4 * MOST)
def _encoded(path: Path, changed: int) -> Frame:
    """The frame of a file that was `changed` at that time. It is kept, for the page is written again and again."""
    with Image.open(path) as opened:
        picture = opened if opened.mode in ("L", "RGB", "RGBA") else opened.convert("RGB")
        size = picture.size
        small = plain(picture)
        if small.width * small.height <= LOSSLESS:
            return html.uri(small), size
        if max(small.size) > SIDE:
            small = small.copy()
            small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        return html.uri(small, QUALITY), size


def plain(picture: Image.Image) -> Image.Image:
    """A picture whose pixels were enlarged by a whole factor, as it was before."""
    for factor in range(32, 1, -1):
        if picture.width % factor == 0 and picture.height % factor == 0:
            small = picture.resize((picture.width // factor, picture.height // factor), Image.Resampling.NEAREST)
            if small.resize(picture.size, Image.Resampling.NEAREST).tobytes() == picture.tobytes():
                return small
    return picture.copy()
