"""Pictures of samples and of training: grids, animations, curves."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ganzoo.data.batches import encode
from ganzoo.errors import UserError
from ganzoo.logs import read_metrics


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
    grid(images, columns).save(path)
    return path


def grid(images: Tensor, columns: int | None = None) -> Image.Image:
    """The picture of `save_grid`."""
    n, channels, height, width = images.shape
    columns = min(n, columns or max(1, round((n * height / width) ** 0.5)))
    rows = -(-n // columns)
    gap = 2
    sheet = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, channels), 255, np.uint8)
    for place, pixels in enumerate(encode(images.cpu()).numpy()):
        y, x = (place // columns) * (height + gap) + gap, (place % columns) * (width + gap) + gap
        sheet[y : y + height, x : x + width] = pixels
    picture = Image.fromarray(sheet[:, :, 0] if channels == 1 else sheet)
    factor = max(1, 640 // max(picture.size))
    return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)


def save_gif(frames: Sequence[Image.Image], path: Path, *, seconds: float = 6.0) -> Path:
    """An endless animation of about `seconds`, resting on its last frame."""
    each = max(40, round(1000 * seconds / len(frames)))
    first, *rest = [frame.convert("P", palette=Image.Palette.ADAPTIVE) for frame in frames]
    first.save(path, save_all=True, append_images=rest, duration=[each] * len(rest) + [each + 1000], loop=0)
    return path


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
    """Frames of a closed walk from code to code (`stops` of them, `frames` each) in a row of 4 walks at once.

    Codes are joined on the sphere, since a straight line between two random codes leaves the shell where codes lie.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        given = model.conditions(stops * 4, **conditions)
        codes = given["latent"] if "latent" in given else model.latent(stops * 4)
    codes = codes.view(4, stops, -1)
    shares = torch.arange(frames, device=codes.device, dtype=codes.dtype) / frames
    walk = torch.stack([slerp(codes[:, i], codes[:, (i + 1) % stops], t) for i in range(stops) for t in shares])
    images = model.sample(walk.shape[0] * 4, seed=seed, latent=walk.flatten(0, 1))
    return [grid(part, columns=4) for part in images.split(4)]


def slerp(a: Tensor, b: Tensor, share: Tensor) -> Tensor:
    """From a (share 0) to b (share 1) along the sphere, row by row; straight where the two are nearly parallel.

    Numbers that both have in common (a code that was asked for) stay as they are.
    """
    cosine = torch.nn.functional.cosine_similarity(a, b, dim=-1).clamp(-1, 1)[:, None]
    angle = cosine.acos()
    curved = (torch.sin((1 - share) * angle) * a + torch.sin(share * angle) * b) / torch.sin(angle).clamp_min(1e-6)
    return torch.where((angle > 1e-3) & (a != b), curved, (1 - share) * a + share * b)


def save_curves(metrics: Path, path: Path) -> Path | None:
    """Draws every term of `metrics.jsonl` over the steps, one panel a player; None if there is nothing to draw."""
    rows = read_metrics(metrics)
    if not rows:
        return None
    players = list(dict.fromkeys(key.split("/")[0] for row in rows for key in row if "/" in key))
    figure, panels = _figure(len(players), 7.0, 2.6 * len(players))
    for player, panel in zip(players, panels, strict=True):
        for key in dict.fromkeys(key for row in rows for key in row if key.startswith(f"{player}/")):
            points = [(row["step"], row[key]) for row in rows if key in row]
            marker = "." if len(points) < 20 else None  # a line of one point shows nothing
            panel.plot(*zip(*points, strict=True), label=key.split("/", 1)[1], linewidth=1.2, marker=marker)
        panel.set(title=player, xlabel="step")
        panel.legend(fontsize=8)
        panel.grid(alpha=0.3)
    figure.savefig(path, dpi=110)
    return path


def _scatter(points: Tensor, real: Tensor | None, path: Path) -> None:
    figure, (panel,) = _figure(1, 5.0, 5.0)
    if real is not None:
        panel.scatter(*real[:2000].cpu().numpy().T, s=4, color="0.75", label="data")
    panel.scatter(*points.cpu().numpy().T, s=4, color="tab:red", alpha=0.6, label="samples")
    panel.set_aspect("equal")
    if real is not None:
        reach = 1.4 * float(real.abs().max())
        panel.set(xlim=(-reach, reach), ylim=(-reach, reach))
        panel.legend(loc="upper right", fontsize=8)
    figure.savefig(path, dpi=110)


def _figure(panels: int, width: float, height: float) -> tuple[Any, Any]:
    """A figure without pyplot, so that no display and no global state is needed."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(panels, 1, squeeze=False)[:, 0]
