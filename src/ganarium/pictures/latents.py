"""Pictures of what latent codes mean: walks between codes, traversals, rows of classes, sums of codes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ganarium import streams
from ganarium.data.dataset import encode
from ganarium.errors import UserError
from ganarium.pictures.grid import GAP, enlarged, grid

Groups = Sequence[tuple[int, Sequence[int]]]  # (1 or -1, places) for each term of a sum; the first is added


def interpolation(
    model: Any, *, stops: int = 6, frames: int = 12, seed: int = 0, **conditions: Any
) -> list[Image.Image]:
    """The images of `walk` as frames of an animation, each a row of 4."""
    return [grid(part, columns=4) for part in walk(model, stops=stops, frames=frames, seed=seed, **conditions)]


def walk(model: Any, *, stops: int = 6, frames: int = 12, seed: int = 0, **conditions: Any) -> Tensor:
    """Images (stops * frames, 4, c, h, w) of 4 closed walks from code to code: `stops` of them, `frames` each.

    Codes are joined on the sphere, since a straight line between two random codes leaves the shell where codes lie.
    Each walk of a model that takes labels keeps to one: to `label`, or to a random one that differs from walk to walk,
    as long as there are others.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        tensors = model.conditions(stops * 4, **conditions)
        codes = tensors["latent"] if "latent" in tensors else model.latent(stops * 4)
        if "label" not in conditions and model.conditional:
            order = torch.randperm(model.num_labels)[torch.arange(4) % model.num_labels]
            conditions = conditions | {"label": order.repeat(stops * frames)}
            tensors |= {"label": order.repeat_interleave(stops).to(codes.device)}
        if "label" in tensors and "latent" not in tensors and model.prior.kind == "own":
            codes = model.latent_of(tensors["label"])  # of such a prior codes may depend on the class
    codes = codes.view(4, stops, -1)
    shares = torch.arange(frames, device=codes.device, dtype=codes.dtype) / frames
    path = torch.stack([slerp(codes[:, i], codes[:, (i + 1) % stops], t) for i in range(stops) for t in shares])
    images: Tensor = model.sample(len(path) * 4, seed=seed, latent=path.flatten(0, 1), **_without_code(conditions))
    return images.view(-1, 4, *images.shape[1:])


def class_grid(model: Any, *, seed: int = 0, columns: int = 10) -> Image.Image:
    """Draws a row for each class (or category of the code), with the same noise along each column.

    Raises `UserError` for a model that takes neither.
    """
    name, count = streams.classes(model)
    rows = [model.sample(columns, seed=seed, **{name: value}) for value in range(count)]  # one seed: the same noise
    return grid(torch.cat(rows), columns)


def traversals(model: Any, *, seed: int = 0, columns: int = 9) -> list[Image.Image]:
    """Draws a picture for each continuous number of a code (Chen et al. 2016, figure 2).

    It has a row for each category, along which the number goes from -2 to 2. The noise is the same everywhere, and the
    other numbers are 0. Raises `UserError` for a model whose code has no such number.
    """
    if model.code is None or not model.code.continuous:
        raise UserError(f"{type(model).__name__} has no continuous code to go along.")
    numbers, count = model.code.continuous, model.code.categories
    with streams.undisturbed(model, seed, model.sample_mode):
        noise = model.latent(1)
    sheets = []
    for number in range(numbers):
        code = torch.zeros(count * columns, 1 + numbers)
        code[:, 0] = torch.arange(count).repeat_interleave(columns)
        code[:, 1 + number] = torch.linspace(-2, 2, columns).repeat(count)
        rows = streams.checked_code(model, len(code), code)
        latent = streams.with_code(model, noise.repeat(len(code), 1), rows)
        sheets.append(grid(model.sample(len(code), seed=seed, latent=latent), columns))
    return sheets


def style_mixing(
    model: Any, *, seed: int = 0, other_seed: int = 1, count: int = 6, crossover: int | None = None, **conditions: Any
) -> Image.Image:
    """Draws a grid of mixed styles (Karras et al. 2019, figure 3): the first row is samples of `other_seed`, the first
    column those of `seed`, and every other image has the styles of its row up to layer `crossover` and those of its
    column from there on. None: of the layers that draw so far the first half, or the four coarsest, are the row's.

    All images have the same noise. Raises `UserError` for a model without styles.
    """
    if not model.styles:
        raise UserError(f"{type(model).__name__} has no styles to mix: use a run of stylegan.")
    layers = model.styles_in_use
    at = min(layers - 1, max(4, layers // 2)) if crossover is None else crossover
    conditions = {"noise_seed": seed} | conditions
    codes = []
    for own in (seed, other_seed):
        with streams.undisturbed(model, own, model.sample_mode):
            codes.append(model.latent(count))
    rows, columns = (model.sample(count, seed=seed, latent=code, **conditions) for code in codes)
    both = {"latent": codes[0].repeat_interleave(count, 0), "second": codes[1].repeat(count, 1), "crossover": at}
    mixtures = model.sample(count**2, seed=seed, **both, **conditions).unflatten(0, (count, count))
    blank = torch.ones_like(rows[:1])
    lines = [torch.cat([blank, columns]), *(torch.cat([rows[k : k + 1], mixtures[k]]) for k in range(count))]
    return grid(torch.cat(lines), count + 1)


def code_sum(codes: Tensor, groups: Groups) -> tuple[Tensor, Tensor]:
    """The mean code of each group (groups, latent_dim), and their sum with the groups' signs (latent_dim,)."""
    means = torch.stack([codes[list(places)].mean(0) for _, places in groups])
    total = means[0]
    for (sign, _), mean in zip(groups[1:], means[1:], strict=True):
        total = total + sign * mean
    return means, total


def arithmetic(model: Any, groups: Groups, *, n: int = 64, seed: int = 0, **conditions: Any) -> Image.Image:
    """Draws a sum of codes as an equation (Radford et al. 2016, section 6.3.2, figure 7).

    `groups` are (1 or -1, places), the first with 1. Places are in the grid of the `n` samples of the same seed, from
    0, row by row. Each group has a column of its samples, with the image of its mean code under them. The image of the
    sum follows, in the middle of eight whose codes have uniform noise of +-0.25 added, as in the paper.

    Raises `UserError` for a place that the grid does not have, for a model without codes, and for a model that takes
    labels where `label` is not given: codes of different classes have no sum.
    """
    if "label" not in conditions and model.conditional:
        raise UserError("codes are added within a class, and this model takes labels: give a label.")
    last = max(place for _, places in groups for place in places)
    if last >= n:
        raise UserError(f"there is no place {last} among {n} samples: places go from 0 to {n - 1}, row by row.")
    images, codes = streams.traced(model, n, last + 1, seed=seed, **conditions)
    means, total = code_sum(codes, groups)
    noise = torch.rand(8, len(total), generator=torch.Generator().manual_seed(seed)).to(total) * 0.5 - 0.25
    noise = noise * model.prior.std
    around = torch.cat([total + noise[:4], total[None], total + noise[4:]])
    latent = torch.cat([means, around])
    outputs = model.sample(len(latent), seed=seed, latent=latent, **_without_code(conditions))
    columns = [torch.cat([images[list(places)], outputs[i : i + 1]]) for i, (_, places) in enumerate(groups)]
    return _equation(columns, [sign for sign, _ in groups], outputs[len(groups) :])


def _without_code(conditions: dict[str, Any]) -> dict[str, Any]:
    """The conditions of samples whose latent holds the code already."""
    return {name: value for name, value in conditions.items() if name != "code"}


def _equation(columns: list[Tensor], signs: list[int], result: Tensor) -> Image.Image:
    """Draws columns of images, joined by signs, and the result in 3 x 3. The last image of a column stands apart."""
    channels, h, w = result.shape[1:]
    space, sign_width = max(4, h // 4), max(10, w // 2)  # above the last image; between columns
    height = max(max(map(len, columns)) * (h + GAP) + space, 3 * (h + GAP)) + GAP
    sheet = np.full((height, len(columns) * (w + sign_width) + 3 * (w + GAP) + GAP, channels), 255, np.uint8)
    ink = np.array([0, 0, 0, 255] if channels == 4 else [0] * channels, np.uint8)
    middle, thickness, arm = height - GAP - h // 2, max(1, sign_width // 10), sign_width // 3
    x = 0
    for number, (column, sign) in enumerate(zip(columns, signs, strict=True)):
        if number:  # the first sign is always a plus, and not written
            centre = x + sign_width // 2
            sheet[middle : middle + thickness, centre - arm : centre + arm + thickness] = ink
            if sign > 0:
                sheet[middle - arm : middle + arm + thickness, centre : centre + thickness] = ink
        x += sign_width if number else GAP
        for row, pixels in enumerate(reversed(encode(column.cpu()).numpy())):  # from the last one, at the bottom
            y = height - (row + 1) * (h + GAP) - (space if row else 0)
            sheet[y : y + h, x : x + w] = pixels
        x += w
    centre = x + sign_width // 2
    for y in (middle - 2 * thickness, middle + 2 * thickness):  # the equals sign
        sheet[y : y + thickness, centre - arm : centre + arm + thickness] = ink
    x += sign_width
    for place, pixels in enumerate(encode(result.cpu()).numpy()):
        y, left = height - (3 - place // 3) * (h + GAP), x + place % 3 * (w + GAP)
        sheet[y : y + h, left : left + w] = pixels
    return enlarged(sheet)


def slerp(a: Tensor, b: Tensor, share: Tensor) -> Tensor:
    """Goes from a (share 0) to b (share 1) along the sphere, row by row (Shoemake 1985); straight where they are nearly
    parallel. Numbers that both have in common (a code that was asked for) stay as they are.
    """
    cosine = torch.nn.functional.cosine_similarity(a, b, dim=-1).clamp(-1, 1)[:, None]
    angle = cosine.acos()
    curved = (torch.sin((1 - share) * angle) * a + torch.sin(share * angle) * b) / torch.sin(angle).clamp_min(1e-6)
    return torch.where((angle > 1e-3) & (a != b), curved, (1 - share) * a + share * b)
