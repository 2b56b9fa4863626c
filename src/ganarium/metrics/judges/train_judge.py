"""Trains a judge: `python -m ganarium.metrics.judges.train_judge NAME [NAME ...]`, on one CPU thread minutes each.

The recipe is fixed before the test split is seen. The test split is read once, at the end, by the weights as they are
stored, and that number is written beside them. `--hold-out N` instead keeps N training images apart, prints the
accuracy on them and writes nothing: it is the way to compare recipes.

One exception: the first recipe of `fashion_mnist` (8 epochs, half of the images worn, shifts of 2) gave 0.9153, and was
changed once after that number was seen, without a search.
"""

import argparse
import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ganarium.data import load_data
from ganarium.data.batches import Batches
from ganarium.data.dataset import Dataset, LabelledImages
from ganarium.metrics.judges.judge import WEIGHTS, Judge, accuracy, load_judge, save_judge


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one judge is trained: SGD, Nesterov momentum 0.9, weight decay 5e-4, one cycle of the learning rate."""

    data: str
    """A name or path for `load_data`; `$GANARIUM_DATA` is filled in."""
    epochs: float
    widths: tuple[int, int, int]
    characters: str | None = None
    padded: bool = False
    """28x28 images are padded to 32, for this is how the data set is padded."""
    lr: float = 0.1
    """The largest learning rate."""
    batch: int = 128
    shift: float = 0.0
    """Pixels of 32, at most, either way; whole ones."""
    turn: float = 0.0
    """Degrees, at most, either way."""
    scale: float = 0.0
    """Logarithm, at most, either way."""
    flip: bool = False
    hole: int = 0
    """Side of a square that is greyed out, in pixels (DeVries and Taylor 2017)."""
    smoothing: float = 0.0
    """Share of the label that is spread over all classes."""
    undecided: bool = True
    """One image in nine shows no class, and the judge must give it the same probability of every class.

    Without them a classifier is sure of noise too, and its confidence says nothing about a generator's samples.
    """
    worn: float = 0.5
    """The share of all images that are a little blurred, noisy and faded, as those of a generator are.

    Without them a judge is undecided about every image that is not as clean as the data.
    """
    seed: int = 0


RECIPES = {
    "glyphs-digits": Recipe(data="glyphs", characters="digits", epochs=10, widths=(24, 48, 64), shift=1),
    "mnist": Recipe(data="mnist", epochs=5, widths=(24, 48, 64), padded=True, shift=2, turn=8, scale=0.08),
    "glyphs": Recipe(data="glyphs", epochs=3, widths=(24, 48, 96), shift=1),
    "fashion_mnist": Recipe(
        data="fashion_mnist", epochs=10, widths=(32, 64, 96), padded=True, shift=1, flip=True, worn=0.1
    ),
    "cifar10_subset": Recipe(
        data="$GANARIUM_DATA/cifar10/cifar10_subset.npz",
        epochs=40,
        widths=(32, 64, 96),
        shift=4,
        flip=True,
        hole=8,
        smoothing=0.1,
        undecided=False,
        worn=0.0,
    ),
}


def train_judge(train: Dataset, recipe: Recipe) -> tuple[Judge, int]:
    """The judge in evaluation mode, and the number of steps."""
    torch.manual_seed(recipe.seed)
    judge = Judge(train.shape[0], len(train.class_names), recipe.widths, padded=recipe.padded)
    judge.to(memory_format=torch.channels_last)  # faster on a CPU
    steps = round(recipe.epochs * len(train) / recipe.batch)
    rule = torch.optim.SGD(judge.parameters(), lr=recipe.lr, momentum=0.9, nesterov=True, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        rule, recipe.lr, steps, pct_start=0.2, anneal_strategy="linear", cycle_momentum=False, final_div_factor=1e3
    )
    batches = Batches(train, LabelledImages, recipe.batch, seed=recipe.seed)
    for step in range(steps):
        batch = next(batches)
        image, label = augment(batch.image, recipe), batch.label
        if recipe.undecided:
            image = torch.cat([image, not_images(image[: recipe.batch // 8])])
        if recipe.worn:
            image = degrade(image, recipe.worn)
        logits = judge(image.contiguous(memory_format=torch.channels_last))
        loss = F.cross_entropy(logits[: len(label)], label, label_smoothing=recipe.smoothing)
        if recipe.undecided:
            loss = loss - 0.2 * logits[len(label) :].log_softmax(1).mean()
        rule.zero_grad()
        loss.backward()
        rule.step()
        schedule.step()
        if step % 200 == 0:
            print(f"step {step} of {steps}: loss {loss.item():.3f}", flush=True)
    return judge.eval(), steps


def augment(images: Tensor, recipe: Recipe) -> Tensor:
    """The images (n, c, h, w) moved, turned, scaled, mirrored and covered at random. The border is reflected."""
    count, _, height, width = images.shape

    def uniform(most: float) -> Tensor:
        return (2 * torch.rand(count) - 1) * most

    turn, scale = uniform(math.radians(recipe.turn)), uniform(recipe.scale).exp()
    mirror = torch.where(torch.rand(count) < 0.5, -1.0, 1.0) if recipe.flip else torch.ones(count)
    across, down = (uniform(recipe.shift + 0.5).round() * 2 / side for side in (width, height))
    top = torch.stack([mirror * turn.cos() * scale, -turn.sin() * scale, across], dim=1)
    bottom = torch.stack([mirror * turn.sin() * scale, turn.cos() * scale, down], dim=1)
    grid = F.affine_grid(torch.stack([top, bottom], dim=1), list(images.shape), align_corners=False)
    images = F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    if recipe.hole:
        y, x = torch.arange(height).view(1, -1, 1), torch.arange(width).view(1, 1, -1)
        centre = torch.rand(2, count, 1, 1) * torch.tensor([height, width]).view(2, 1, 1, 1)
        inside = ((y - centre[0]).abs() < recipe.hole / 2) & ((x - centre[1]).abs() < recipe.hole / 2)
        images = images.masked_fill(inside.unsqueeze(1), 0.0)
    return images


def not_images(images: Tensor) -> Tensor:
    """Makes n images (n, c, h, w) that show no class, a quarter of each kind.

    Noise, from fine to coarse; images with their pixels in any order; the mean of two images; images torn by a coarse
    random displacement. The last two are what a generator draws that has not learned shapes yet.
    """
    channels, height, width = images.shape[1:]
    noise, shuffled, mixed, torn = torch.tensor_split(images, 4)
    grain = int(torch.randint(1, 9, ()))  # pixels
    noise = torch.rand(len(noise), channels, math.ceil(height / grain), math.ceil(width / grain)) * 2 - 1
    noise = F.interpolate(noise, size=(height, width), mode="bilinear", align_corners=False)
    shuffled = shuffled.flatten(2)[:, :, torch.randperm(height * width)].view_as(shuffled)
    mixed = (mixed + images[: len(mixed)]) / 2
    look = F.affine_grid(torch.eye(2, 3).repeat(len(torn), 1, 1), list(torn.shape), align_corners=False)
    away = 0.25 * torch.randn(len(torn), 2, 9, 9)  # of half the side
    away = F.interpolate(away, size=(height, width), mode="bilinear", align_corners=True).permute(0, 2, 3, 1)
    torn = F.grid_sample(torn, look + away, padding_mode="reflection", align_corners=False)
    return torch.cat([noise, shuffled, mixed, torn])


def degrade(images: Tensor, share: float) -> Tensor:
    """The images (n, c, h, w), a random `share` of them blurred, faded to some grey and noisy by a random amount."""

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(len(images), 1, 1, 1)

    blurred = F.avg_pool2d(images, 3, stride=1, padding=1, count_include_pad=False)
    contrast = uniform(0.5, 1)
    used = torch.lerp(images, blurred, uniform(0, 1)) * contrast + uniform(-1, 1) * (1 - contrast)
    used = (used + uniform(0, 0.4) * torch.randn_like(images)).clamp(-1, 1)
    return torch.where(uniform(0, 1) < share, used, images)


def load(recipe: Recipe) -> tuple[Dataset, Dataset]:
    """The two splits that a recipe names."""
    return load_data(os.path.expandvars(recipe.data), characters=recipe.characters)


def make(name: str, folder: Path = WEIGHTS) -> None:
    """Trains a judge, stores it, and writes its accuracy on the test split beside it."""
    recipe = RECIPES[name]
    train, test = load(recipe)
    judge, steps = train_judge(train, recipe)
    path = folder / f"{name}.safetensors"
    facts = {
        "name": name,
        "data": f"{train.name}, {recipe.characters or 'all of it'}, 32x32",
        "classes": list(train.class_names),
        "train_images": len(train),
        "steps": steps,
        **{
            key: value for key, value in asdict(recipe).items() if key not in ("data", "characters", "widths", "padded")
        },
    }
    save_judge(judge, path, facts)
    stored = load_judge(name, folder=folder)  # what is measured is what is committed
    measured = accuracy(stored, test)
    save_judge(stored, path, facts | {"test_accuracy": measured, "test_images": len(test)})
    print(f"{path}: {measured:.4f} of {len(test)} test images read right, {path.stat().st_size / 1024:.0f} KiB")


def compare(name: str, held: int) -> None:
    """Prints the accuracy on training images that were held out; the test split is not read."""
    recipe = RECIPES[name]
    train, _ = load(recipe)
    assert train.labels is not None
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))
    parts = [
        Dataset(train.name, train.images[places], train.labels[places], train.class_names)
        for places in (order[:-held], order[-held:])
    ]
    judge, steps = train_judge(parts[0], recipe)
    print(f"{name}: {accuracy(judge, parts[1]):.4f} of {held} held-out training images after {steps} steps")


def main() -> None:
    parser = argparse.ArgumentParser(description="Trains the committed judges anew.")
    parser.add_argument("names", nargs="+", choices=RECIPES)
    parser.add_argument("--hold-out", type=int, default=0, metavar="N", help="training images to compare recipes on")
    options = parser.parse_args()
    torch.set_num_threads(1)  # so that the same weights come out on every machine of a kind
    for name in options.names:
        if options.hold_out:
            compare(name, options.hold_out)
        else:
            make(name)


if __name__ == "__main__":
    main()
