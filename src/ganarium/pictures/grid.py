"""Pictures of samples and of training: grids, animations, sums of codes."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ganarium import sampling
from ganarium.data.dataset import encode
from ganarium.errors import UserError
from ganarium.runtime.files import atomic_write


def to_picture(image: Tensor) -> Image.Image:
    """(c, h, w) in [-1, 1] with 1, 3 or 4 channels -> a PIL picture (L, RGB or RGBA)."""
    pixels = encode(image[None].cpu())[0].numpy()
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def save_grid(images: Tensor, path: str | Path, *, columns: int | None = None, real: Tensor | None = None) -> Path:
    """Saves images (n, c, h, w) in [-1, 1] side by side, 2 pixels apart, or points (n, 2) as a scatter plot.

    `columns` is the number of images in a row (default: a square). Small images are enlarged by a whole factor so that
    a person can see them. `real` (n, 2) is drawn under points. Gives the path. Raises `UserError` for another shape.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if images.dim() == 2 and images.shape[1] == 2:
        _scatter(images, real, path)
        return path
    if images.dim() != 4 or images.shape[1] not in (1, 3, 4) or len(images) == 0:
        raise UserError(f"a grid needs images (n, 1 or 3 or 4, h, w) or points (n, 2), not {tuple(images.shape)}.")
    return save_picture(grid(images, columns), path)


def save_picture(picture: Image.Image, path: Path) -> Path:
    """Saves a PIL picture, whole or not at all; gives the path."""
    with atomic_write(path) as temporary:
        picture.save(temporary)
    return path


def grid(images: Tensor, columns: int | None = None) -> Image.Image:
    """The picture of `save_grid`."""
    n, channels, height, width = images.shape
    columns = min(n, columns or _columns(n, height, width))
    rows = -(-n // columns)
    gap = 2
    sheet = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, channels), 255, np.uint8)
    for place, pixels in enumerate(encode(images.cpu()).numpy()):
        y, x = (place // columns) * (height + gap) + gap, (place % columns) * (width + gap) + gap
        sheet[y : y + height, x : x + width] = pixels
    picture = Image.fromarray(sheet[:, :, 0] if channels == 1 else sheet)
    return _enlarged(picture)


def tiles(path: Path, n: int, shape: tuple[int, ...]) -> Tensor:
    """The `n` images of shape (c, h, w) in a square grid that `save_grid` wrote: uint8 (n, h, w, c), as they were."""
    channels, height, width = shape
    columns = _columns(n, height, width)
    with Image.open(path) as picture:
        factor = picture.width // (columns * (width + 2) + 2)
        plain = picture.resize((picture.width // factor, picture.height // factor), Image.Resampling.NEAREST)
    cells = np.asarray(plain).reshape(plain.height, plain.width, channels)[2:, 2:]
    rows = cells.reshape(-1, height + 2, columns, width + 2, channels)[:, :height, :, :width]
    return torch.from_numpy(rows.swapaxes(1, 2).reshape(-1, height, width, channels)[:n].copy())


def _columns(n: int, height: int, width: int) -> int:
    """Of a grid that is about square."""
    return max(1, round((n * height / width) ** 0.5))


def _enlarged(picture: Image.Image) -> Image.Image:
    factor = max(1, 640 // max(picture.size))
    return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)


def save_gif(frames: Sequence[Image.Image], path: Path, *, seconds: float = 6.0) -> Path:
    """An endless animation of about `seconds`, resting on its last frame."""
    each = _milliseconds(frames, seconds)
    first, *rest = [_opaque(frame).convert("P", palette=Image.Palette.ADAPTIVE) for frame in frames]
    with atomic_write(path) as temporary:
        first.save(temporary, save_all=True, append_images=rest, duration=[each] * len(rest) + [each + 1000], loop=0)
    return path


def video() -> Any:
    """The package that writes MP4s. Raises `UserError` where it is not installed."""
    try:
        import av
    except ImportError:
        raise UserError(
            "an MP4 needs the package av: `pip install 'ganarium[video]'` brings it, and --gif needs nothing."
        ) from None
    return av


def save_mp4(frames: Sequence[Image.Image], path: Path, *, seconds: float = 6.0) -> Path:
    """A film of about `seconds`, in H.264 (MPEG-4 where the package has no H.264), 4:2:0, as every player takes it.

    Sizes are made even with a white edge, which 4:2:0 needs. Raises `UserError` where the package av is missing.
    """
    av = video()
    width, height = (side + side % 2 for side in frames[0].size)
    with atomic_write(path) as temporary, av.open(str(temporary), "w", format="mp4") as film:
        known = "libx264" in av.codecs_available
        rate = Fraction(1000, _milliseconds(frames, seconds))
        stream = film.add_stream("libx264" if known else "mpeg4", rate=rate, options={"crf": "18"} if known else {})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame in frames:
            canvas = Image.new("RGB", (width, height), "white")
            canvas.paste(_opaque(frame).convert("RGB"))
            film.mux(stream.encode(av.VideoFrame.from_image(canvas)))
        film.mux(stream.encode())
    return path


def _milliseconds(frames: Sequence[Image.Image], seconds: float) -> int:
    return max(40, round(1000 * seconds / len(frames)))


def _opaque(picture: Image.Image) -> Image.Image:
    """On white: films have no transparency, and that of GIFs is all or nothing."""
    if picture.mode != "RGBA":
        return picture
    return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")


def save_training_gif(samples: Path) -> Path | None:
    """Animates the sample grids of a run; None if it has none yet."""
    files = sorted(samples.glob("step-*.png"))
    if not files:
        return None
    frames = []
    for file in files:
        with Image.open(file) as picture:
            frames.append(picture.convert("RGB") if picture.mode == "RGBA" else picture.copy())
    return save_gif(frames, samples / "training.gif")


def interpolation(
    model: Any, *, stops: int = 6, frames: int = 12, seed: int = 0, **conditions: Any
) -> list[Image.Image]:
    """The images of `walk` as frames, each a row of 4."""
    return [grid(part, columns=4) for part in walk(model, stops=stops, frames=frames, seed=seed, **conditions)]


def walk(model: Any, *, stops: int = 6, frames: int = 12, seed: int = 0, **conditions: Any) -> Tensor:
    """Images (stops * frames, 4, c, h, w) of 4 closed walks from code to code: `stops` of them, `frames` each.

    Codes are joined on the sphere, since a straight line between two random codes leaves the shell where codes lie. A
    model that is told labels keeps to one on each walk: to `label`, or to one that the seed draws, another for each
    walk as long as there are others.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        given = model.conditions(stops * 4, **conditions)
        codes = given["latent"] if "latent" in given else model.latent(stops * 4)
        if "label" not in conditions and model.conditional:
            order = torch.randperm(model.num_labels)[torch.arange(4) % model.num_labels]
            conditions = conditions | {"label": order.repeat(stops * frames)}
    codes = codes.view(4, stops, -1)
    shares = torch.arange(frames, device=codes.device, dtype=codes.dtype) / frames
    along = torch.stack([slerp(codes[:, i], codes[:, (i + 1) % stops], t) for i in range(stops) for t in shares])
    rest = {name: value for name, value in conditions.items() if name != "code"}  # a code is in the codes already
    images: Tensor = model.sample(along.shape[0] * 4, seed=seed, latent=along.flatten(0, 1), **rest)
    return images.view(-1, 4, *images.shape[1:])


def class_grid(model: Any, *, seed: int = 0, columns: int = 10) -> Image.Image:
    """A row for each class (or category of the code), with the same noise along each column.

    Raises `UserError` for a model that takes neither.
    """
    name, count = sampling.classes(model)
    rows = [model.sample(columns, seed=seed, **{name: value}) for value in range(count)]  # one seed: the same noise
    return grid(torch.cat(rows), columns)


def traversals(model: Any, *, seed: int = 0, columns: int = 9) -> list[Image.Image]:
    """A picture for each continuous number of a code (Chen et al. 2016, figure 2): a row for each category, along which
    the number goes from -2 to 2, with the same noise everywhere and the other numbers at 0.

    Raises `UserError` for a model whose code has no such number.
    """
    if model.code is None or not model.code.continuous:
        raise UserError(f"{type(model).__name__} has no continuous code to go along.")
    numbers, count = model.code.continuous, model.code.categories
    sheets = []
    for number in range(numbers):
        code = torch.zeros(count * columns, 1 + numbers)
        code[:, 0] = torch.arange(count).repeat_interleave(columns)
        code[:, 1 + number] = torch.linspace(-2, 2, columns).repeat(count)
        parts = [model.sample(1, seed=seed, code=row) for row in code]  # one seed: the same noise
        sheets.append(grid(torch.cat(parts), columns))
    return sheets


Groups = Sequence[tuple[int, Sequence[int]]]  # (1 or -1, places) for each term of a sum; the first is added


def code_sum(codes: Tensor, groups: Groups) -> tuple[Tensor, Tensor]:
    """The mean code of each group (groups, latent_dim), and their sum with the groups' signs (latent_dim,)."""
    means = torch.stack([codes[list(places)].mean(0) for _, places in groups])
    total = means[0]
    for (sign, _), mean in zip(groups[1:], means[1:], strict=True):
        total = total + sign * mean
    return means, total


def arithmetic(model: Any, groups: Groups, *, n: int = 64, seed: int = 0, **conditions: Any) -> Image.Image:
    """Sums of codes as a picture (Radford et al. 2016, section 6.3.2, figure 7).

    `groups` are (1 or -1, places), the first with 1; places are in the grid of the `n` samples of the same seed, from
    0, row by row. A column for each group: its samples, and under them the image of its mean code. Then the image of
    the sum, with eight around it whose codes have uniform noise of +-0.25 added, as in the paper. Raises `UserError`
    for a place that the grid does not have, for a model without codes, and for one that is told labels, unless `label`
    says which: the codes of different classes have no sum in one.
    """
    if "label" not in conditions and model.conditional:
        raise UserError("codes are added within a class, and this model is told which: give a label.")
    last = max(place for _, places in groups for place in places)
    if last >= n:
        raise UserError(f"there is no place {last} among {n} samples: places go from 0 to {n - 1}, row by row.")
    images, codes = sampling.traced(model, n, last + 1, seed=seed, **conditions)
    means, total = code_sum(codes, groups)
    noise = torch.rand(8, len(total), generator=torch.Generator().manual_seed(seed)).to(total) * 0.5 - 0.25
    around = torch.cat([total + noise[:4], total[None], total + noise[4:]])
    rest = {name: value for name, value in conditions.items() if name != "code"}  # a code is in the codes already
    made = model.sample(len(groups) + 9, seed=seed, latent=torch.cat([means, around]), **rest)
    tiles = [torch.cat([images[list(places)], made[i : i + 1]]) for i, (_, places) in enumerate(groups)]
    return _equation(tiles, [sign for sign, _ in groups], made[len(groups) :])


def _equation(columns: list[Tensor], signs: list[int], result: Tensor) -> Image.Image:
    """Columns of images with their last ones, apart from the others, joined by signs, and the result in 3 x 3."""
    channels, h, w = result.shape[1:]
    gap, part, side = 2, max(4, h // 4), max(10, w // 2)
    tall = max(max(map(len, columns)) * (h + gap) + part, 3 * (h + gap)) + gap
    sheet = np.full((tall, len(columns) * (w + side) + 3 * (w + gap) + gap, channels), 255, np.uint8)
    ink = np.array([0, 0, 0, 255] if channels == 4 else [0] * channels, np.uint8)
    middle, thin, arm = tall - gap - h // 2, max(1, side // 10), side // 3
    x = 0
    for number, (column, sign) in enumerate(zip(columns, signs, strict=True)):
        if number:  # the first sign is always a plus, and not written
            centre = x + side // 2
            sheet[middle : middle + thin, centre - arm : centre + arm + thin] = ink
            if sign > 0:
                sheet[middle - arm : middle + arm + thin, centre : centre + thin] = ink
        x += side if number else gap
        pixels = encode(column.cpu()).numpy()
        for place, tile in enumerate(reversed(pixels)):
            y = tall - (place + 1) * (h + gap) - (part if place else 0)
            sheet[y : y + h, x : x + w] = tile
        x += w
    centre = x + side // 2
    for line in (middle - 2 * thin, middle + 2 * thin):
        sheet[line : line + thin, centre - arm : centre + arm + thin] = ink
    x += side
    for place, tile in enumerate(encode(result.cpu()).numpy()):
        y, left = tall - (3 - place // 3) * (h + gap), x + place % 3 * (w + gap)
        sheet[y : y + h, left : left + w] = tile
    return _enlarged(Image.fromarray(sheet[:, :, 0] if channels == 1 else sheet))


def slerp(a: Tensor, b: Tensor, share: Tensor) -> Tensor:
    """From a (share 0) to b (share 1) along the sphere, row by row; straight where the two are nearly parallel.

    Numbers that both have in common (a code that was asked for) stay as they are.
    """
    cosine = torch.nn.functional.cosine_similarity(a, b, dim=-1).clamp(-1, 1)[:, None]
    angle = cosine.acos()
    curved = (torch.sin((1 - share) * angle) * a + torch.sin(share * angle) * b) / torch.sin(angle).clamp_min(1e-6)
    return torch.where((angle > 1e-3) & (a != b), curved, (1 - share) * a + share * b)


def _scatter(points: Tensor, real: Tensor | None, path: Path) -> None:
    figure, (panel,) = figure_of_panels(1, 5.0, 5.0)
    if real is not None:
        panel.scatter(*real[:2000].cpu().numpy().T, s=4, color="0.75", label="data")
    panel.scatter(*points.cpu().numpy().T, s=4, color="tab:red", alpha=0.6, label="samples")
    panel.set_aspect("equal")
    if real is not None:
        reach = 1.4 * float(real.abs().max())
        panel.set(xlim=(-reach, reach), ylim=(-reach, reach))
        panel.legend(loc="upper right", fontsize=8)
    save_figure(figure, path)


def figure_of_panels(panels: int, width: float, height: float) -> tuple[Any, Any]:
    """A figure with panels below each other, and the panels. Sizes are in inches.

    It is made without pyplot, so that it needs no display and no global state.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(panels, 1, squeeze=False)[:, 0]


def save_figure(figure: Any, path: Path) -> None:
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=110)
