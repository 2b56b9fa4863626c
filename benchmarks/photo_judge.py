"""Chooses the features that judge photographs, by a ladder whose order everybody knows.

    python benchmarks/photo_judge.py faces ../shared/data/lfw64          a minute of one core

The rungs are held-out photographs; the same with a part moved, cut out, turned over or taken from another one, each
in three strengths; blurred and noisy, in three strengths; and pixels of pure noise. Features are to put the strengths
of each damage in order, and all damaged parts below a strong blur, and that below noise. How well they see damaged
parts is told by z, the distance in standard deviations of that of undamaged photographs: its mean over the two lesser
strengths of the four damages.

    python benchmarks/photo_judge.py faces ../shared/data/lfw64/faces --run runs/faces

With a run its sample grids are a ladder of their own, by their age: features are to put younger samples below older
ones, the longer trained the better, and all above photographs.
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ganarium import metrics
from ganarium.data import load_data
from ganarium.data.batches import Batches
from ganarium.data.dataset import Images, decode
from ganarium.metrics.judges.judge import load_judge
from ganarium.metrics.judges.lite import load_lite
from ganarium.pictures.grid import tiles

RESULTS = Path(__file__).parent / "results" / "photo_judge"
SIDE, BORDER = 64, 8  # pixels
GRID = 64  # samples of a grid
PARTS, CHAINS = ("moved", "cut", "turned", "mixed"), ("moved", "cut", "turned", "mixed", "blurred", "noisy")
Change = Callable[[Tensor, torch.Generator], Tensor]


def windows(images: Tensor, width: int, generator: torch.Generator) -> list[tuple[int, slice, slice]]:
    """A square of `width` pixels at some place of each image."""
    places = torch.randint(BORDER, SIDE - BORDER - width + 1, (len(images), 2), generator=generator).tolist()
    return [(i, slice(row, row + width), slice(column, column + width)) for i, (row, column) in enumerate(places)]


def moved(images: Tensor, generator: torch.Generator, pixels: int) -> Tensor:
    """A part of 24 pixels is copied to a place so far away."""
    result, width = images.clone(), 24
    angles = (2 * math.pi * torch.rand(len(images), generator=generator)).tolist()
    for (i, rows, columns), angle in zip(windows(images, width, generator), angles, strict=True):
        top, left = (
            min(max(start + round(pixels * part), 0), SIDE - width)
            for start, part in ((rows.start, math.sin(angle)), (columns.start, math.cos(angle)))
        )
        result[i, :, top : top + width, left : left + width] = images[i, :, rows, columns]
    return result


def cut(images: Tensor, generator: torch.Generator, width: int) -> Tensor:
    """A part becomes its mean colour."""
    result = images.clone()
    for i, rows, columns in windows(images, width, generator):
        result[i, :, rows, columns] = images[i, :, rows, columns].mean((1, 2), keepdim=True)
    return result


def turned(images: Tensor, generator: torch.Generator, width: int) -> Tensor:
    """A part stands on its head, mirrored."""
    result = images.clone()
    for i, rows, columns in windows(images, width, generator):
        result[i, :, rows, columns] = images[i, :, rows, columns].flip(1)
    return result


def mixed(images: Tensor, generator: torch.Generator, width: int) -> Tensor:
    """A part is that of another image."""
    result = images.clone()
    for i, rows, columns in windows(images, width, generator):
        result[i, :, rows, columns] = images[i - 1, :, rows, columns]
    return result


def blurred(images: Tensor, generator: torch.Generator, deviation: float) -> Tensor:
    """By a Gaussian, in pixels."""
    reach = math.ceil(4 * deviation)
    kernel = torch.exp(-torch.arange(-reach, reach + 1).float().square() / (2 * deviation**2))
    kernel, channels = kernel / kernel.sum(), images.shape[1]
    padded = F.pad(images, (reach, reach, reach, reach), mode="replicate")
    across = F.conv2d(padded, kernel.view(1, 1, 1, -1).expand(channels, -1, -1, -1), groups=channels)
    return F.conv2d(across, kernel.view(1, 1, -1, 1).expand(channels, -1, -1, -1), groups=channels)


def noisy(images: Tensor, generator: torch.Generator, deviation: float) -> Tensor:
    """With normal noise, where pixels go from -1 to 1."""
    return (images + deviation * torch.randn(images.shape, generator=generator)).clamp(-1, 1)


def noise(images: Tensor, generator: torch.Generator) -> Tensor:
    return 2 * torch.rand(images.shape, generator=generator) - 1


STRENGTHS: dict[Callable[..., Tensor], tuple[float, ...]] = {
    moved: (3, 6, 12),
    cut: (10, 16, 24),
    turned: (12, 20, 32),
    mixed: (12, 20, 32),
    blurred: (0.7, 1.5, 3),
    noisy: (0.1, 0.3, 0.9),
}


def rungs() -> dict[str, Change]:
    """The ladder: what is done to held-out photographs, by name."""
    changes: dict[str, Change] = {"real": lambda images, generator: images}
    for change, strengths in STRENGTHS.items():
        for number, strength in enumerate(strengths, start=1):
            given = {change.__code__.co_varnames[2]: strength}
            changes[f"{change.__name__} {number}"] = partial(change, **given)
    return changes | {"noise": noise}


def photographs(path: str | Path, count: int) -> tuple[Tensor, Tensor]:
    """Twice `count` photographs (n, 3, 64, 64) of a folder: for reference, and held out."""
    train, _ = load_data(str(path), size=(SIDE, SIDE), channels=3)
    first, second = Batches(train, Images, 1, seed=0).draw(2 * count).image.split(count)
    return first, second


def candidates() -> dict[str, Callable[[Tensor], dict[str, Tensor]]]:
    """Features (n, d) by name, from images (n, 3, 64, 64)."""
    judge, lite = load_judge("cifar10_subset"), load_lite()

    def pools(name: str, maps: Tensor, *sides: int) -> dict[str, Tensor]:
        return {f"{name}, {side}x{side}": F.adaptive_avg_pool2d(maps, side).flatten(1) for side in sides}

    def ours(images: Tensor) -> dict[str, Tensor]:
        x, actual = judge.prepare(images), {}
        for number, layer in enumerate(judge.body[:5]):
            x = layer(x)
            if number in (2, 4):
                actual |= pools(f"our judge, stride {4 * number // 2}", x, 1, 2, 4)
        return actual

    def theirs(images: Tensor, side: int) -> dict[str, Tensor]:
        network, actual = lite.network, {}
        x = network.stem(F.interpolate(images, size=(side, side), mode="bilinear", align_corners=False))
        for number, stage in enumerate(network.stages):
            x = stage(x)
            if number in (2, 3, 4, 6):
                actual |= pools(f"lite0 at {side} px, stage {number + 1}", x, 1, *([2, 4] if number in (2, 4) else []))
        return actual | pools(f"lite0 at {side} px, head", network.head(x), 1)

    return {"ours": ours, "lite0 at 64": partial(theirs, side=64), "lite0 at 128": partial(theirs, side=128)}


@torch.no_grad()
def read(images: Tensor, networks: dict[str, Callable[[Tensor], dict[str, Tensor]]]) -> dict[str, Tensor]:
    """All features of images, in double precision, by name."""
    parts: dict[str, list[Tensor]] = {}
    for part in images.split(50):
        for network in networks.values():
            for name, features in network(part).items():
                parts.setdefault(name, []).append(features.double())
    return {name: torch.cat(features) for name, features in parts.items()}


def climb(reference: Tensor, held_out: dict[str, Tensor]) -> dict[str, float]:
    """The kernel distance of each rung, from features (n, d) by the name of the rung."""
    size = min(len(reference), min(map(len, held_out.values())))
    return {
        name: metrics.kernel_distance(reference[:size], features[:size], subsets=1, subset_size=size).mean
        for name, features in held_out.items()
    }


def steps_in_order(distances: dict[str, float]) -> tuple[int, int]:
    """How many steps of the ladder lead upward, and of how many: along each damage, from damaged parts to blur, and
    from blur to noise."""
    pairs = []
    for chain in CHAINS:
        names = ["real", *(f"{chain} {number}" for number in (1, 2, 3))]
        pairs += pairwise(names)
    pairs += [(f"{part} 3", "blurred 3") for part in PARTS] + [("blurred 3", "noise")]
    return sum(distances[low] < distances[high] for low, high in pairs), len(pairs)


def spread(reference: Tensor, real: Tensor) -> float:
    """The standard deviation of the distance of undamaged photographs, from its two halves, twelve times drawn anew."""
    values = []
    for seed in range(12):
        order = torch.randperm(len(real), generator=torch.Generator().manual_seed(seed))
        for half in order.chunk(2):
            values.append(climb(reference, {"real": real[half]})["real"])
    return float(torch.tensor(values).std()) / math.sqrt(2)


def by_age(run: Path) -> dict[str, Tensor]:
    """Samples (n, 3, 64, 64) of one run, from its grids, by their steps: the untrained, and where an eighth, a half and
    all of the run so far was done."""
    grids = sorted((run / "samples").glob("step-*.png"))
    places = sorted({0, max(1, len(grids) // 8), len(grids) // 2, len(grids) - 1})
    shape = (3, SIDE, SIDE)
    return {
        f"step {int(grids[place].stem[5:])}": decode(tiles(grids[place], GRID, shape).contiguous()) for place in places
    }


def age_in_order(distances: dict[str, float]) -> tuple[int, int]:
    """How many steps of the ladder by age lead downward, and of how many; the last one is to photographs."""
    values = [distance for name, distance in distances.items() if name != "real"] + [distances["real"]]
    return sum(younger > older for younger, older in pairwise(values)), len(values) - 1


def results(name: str) -> dict[str, Any]:
    """What was found on a set of photographs, by the features."""
    actual: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())["features"]
    return actual


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name")
    parser.add_argument("path")
    parser.add_argument("--count", type=int, default=100, help="photographs for a rung")
    parser.add_argument("--run", type=Path, help="a run on these photographs: its samples by age are the ladder")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    began, networks = time.process_time(), candidates()
    reference, held_out = photographs(arguments.path, arguments.count)
    known = read(reference, networks)
    rows: dict[str, dict[str, Tensor]] = {}
    ladder = {rung: change(held_out, torch.Generator().manual_seed(0)) for rung, change in rungs().items()}
    if arguments.run:
        ladder = {"real": held_out} | by_age(arguments.run)
    for rung, images in ladder.items():
        for name, features in read(images, networks).items():
            rows.setdefault(name, {})[rung] = features
    actual: dict[str, Any] = {}
    for name, features in rows.items():
        distances, deviation = climb(known[name], features), spread(known[name], features["real"])
        right, total = age_in_order(distances) if arguments.run else steps_in_order(distances)
        z = {rung: round((distance - distances["real"]) / deviation, 1) for rung, distance in distances.items()}
        actual[name] = {"numbers": known[name].shape[1], "in_order": right, "of": total}
        words = f"{name:34} {known[name].shape[1]:5} numbers  {right} of {total} in order"
        if not arguments.run:
            parts = sum(z[f"{part} {number}"] for part in PARTS for number in (1, 2)) / 8
            actual[name]["z_of_parts"] = round(parts, 2)
            words += f"  z of parts {parts:6.2f}"
        actual[name]["z"] = z
        print(words)
    RESULTS.mkdir(parents=True, exist_ok=True)
    content: dict[str, Any] = {
        "command": "python benchmarks/" + " ".join([Path(sys.argv[0]).name, arguments.name, "FOLDER"]),
        "count": arguments.count,
        "seconds": round(time.process_time() - began),
        "features": actual,
    }
    if arguments.run:
        config = json.loads((arguments.run / "config.json").read_text())
        content["command"] += " --run RUN"
        content["run"] = {key: config[key] for key in ("model", "model_options")}
    (RESULTS / f"{arguments.name}{'-by-age' if arguments.run else ''}.json").write_text(
        json.dumps(content, indent=1) + "\n"
    )


if __name__ == "__main__":
    main()
