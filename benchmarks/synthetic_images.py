"""Whether synthetic images help a classifier that has few real ones.

    python benchmarks/synthetic_images.py            some 15 minutes of one core; what is done is not done again
    python benchmarks/synthetic_images.py --seeds 0

Fashion-MNIST at 16x16, with 10, 50 or 200 images of each class, which the seed chooses. The same small classifier
learns for as many steps from these images; from them and their mirror images; from them and images of a `cgan` that has
seen nothing else; and from all of that. Accuracy is that on the 10,000 test images. Leaves
benchmarks/results/synthetic-images.jsonl and docs/synthetic-images.md.
"""

import argparse
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium import metrics, registry
from ganarium.data import load_data
from ganarium.data.batches import Batches
from ganarium.data.dataset import Dataset, decode
from ganarium.metrics.judges.judge import load_judge
from ganarium.trainer import Trainer
from studies import Task, rows, run_all, seeds_of

NAME, DATA, SIZE = "synthetic-images", "fashion_mnist", (16, 16)
PAGE = Path(__file__).parents[1] / "docs" / f"{NAME}.md"
PER_CLASS, SEEDS = (10, 50, 200), "0-4"
GAN = {"design": "projection", "network": "dcgan", "width": 16, "lr": 4e-4, "augment": "diff"}
GAN_STEPS, GAN_BATCH, SAMPLES = 1500, 32, 200  # samples of each class
STEPS, BATCH = 600, 64  # of a classifier
ANSWER = (
    "**Not in this measurement.** With 10 images a class the images of the GAN change accuracy by less than "
    "the choice of the real images does; with 50 or 200 they cost two to four points. The GAN has seen no more "
    "than the classifier, and has trained for half a minute: only two in five of its images show the class "
    "that was asked for. Mirror images do not help either, as all shoes of this set point one way. A larger "
    "GAN with more training may do less harm; that it helps is not shown."
)
WAYS = {"plain": (False, False), "flips": (True, False), "generated": (False, True), "both": (True, True)}


def run(task: Task) -> dict[str, float]:
    """The accuracy of the classifier in each way, and the share of samples that show the class that was asked for."""
    train, test = load_data(DATA, size=SIZE)
    train = few_of(train, task["per_class"], task["seed"])
    images, labels = samples(train, task["seed"])
    judge = load_judge(DATA, torch.device("cpu"))
    values = {"fidelity": metrics.accuracy(judge.logits(images).argmax(1), labels)}
    for way, (flips, generated) in WAYS.items():
        values[way] = accuracy(train, test, (images, labels) if generated else None, flips, task["seed"])
    return values


def few_of(train: Dataset, per_class: int, seed: int) -> Dataset:
    """A set of so many images of each class alone."""
    labelled = train.keep_labels(per_class, seed).labelled
    assert labelled is not None
    assert train.labels is not None
    return Dataset(train.name, train.images[labelled], train.labels[labelled], train.class_names)


def samples(train: Dataset, seed: int) -> tuple[Tensor, Tensor]:
    """Images of a `cgan` that was trained on a set, equally many of each class, and their classes."""
    torch.manual_seed(seed)
    model = registry.create("cgan", train.shape, train.num_classes, **GAN)
    trainer = Trainer(model, Batches(train, model.batch_type, GAN_BATCH, seed=seed), GAN_STEPS)
    trainer.prepare()
    for _ in trainer:
        pass
    labels = torch.arange(train.num_classes or 0).repeat(SAMPLES)
    return model.eval().sample(len(labels), seed=seed, label=labels), labels


def accuracy(train: Dataset, test: Dataset, more: tuple[Tensor, Tensor] | None, flips: bool, seed: int) -> float:
    """The accuracy of a new classifier; with `more` images, half of each batch is of them."""
    assert train.labels is not None
    assert test.labels is not None
    torch.manual_seed(seed)
    network = nn.Sequential(
        *(nn.Conv2d(1, 16, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, 1, 1), nn.ReLU()),
        *(nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.3), nn.Linear(512, 64), nn.ReLU(), nn.Linear(64, 10)),
    )
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    sources = [(decode(train.images), train.labels), *([more] if more else [])]
    for _ in range(STEPS):
        parts = [(*source, torch.randint(len(source[0]), (BATCH // len(sources),))) for source in sources]
        image = torch.cat([images[index] for images, _, index in parts])
        label = torch.cat([labels[index] for _, labels, index in parts])
        if flips:
            image = torch.where(torch.rand(len(image), 1, 1, 1) < 0.5, image.flip(3), image)
        optimizer.zero_grad()
        F.cross_entropy(network(image), label).backward()
        optimizer.step()
    with torch.no_grad():
        return metrics.accuracy(
            torch.cat([network.eval()(decode(part)) for part in test.images.split(1000)]).argmax(1), test.labels
        )


def page(done: list[dict[str, Any]]) -> str:
    """docs/synthetic-images.md."""
    seeds = sorted({row["task"]["seed"] for row in done})
    environment = done[0]["environment"]
    rows_of_table, gains = [], []
    for per_class in sorted({row["task"]["per_class"] for row in done}):
        runs = [row["values"] for row in done if row["task"]["per_class"] == per_class]
        cells = [mean_and_range([values[name] for values in runs]) for name in (*WAYS, "fidelity")]
        rows_of_table.append(f"| {per_class} | {' | '.join(cells)} |")
        alone, beside = gain(runs, "generated", "plain"), gain(runs, "both", "flips")
        gains.append(f"| {per_class} | {gain(runs, 'flips', 'plain')} | {alone} | {beside} |")
    paragraphs = [
        "A classifier has few real images of each class. Does it get better if it also learns from images of a GAN "
        "that has seen nothing but the same few? The table has the accuracy on the 10,000 test images of Fashion-MNIST "
        f"at 16x16, in percent: the mean of seeds {', '.join(map(str, seeds))}, which also choose the images, and the "
        "lowest and the highest in brackets. The last column is the share of generated images in which a judge, a "
        "small classifier that comes with ganarium, reads the class that was asked for.",
        "The difference that each makes, in points: the mean over seeds of the difference within a seed, and in "
        "brackets how many seeds gain.",
        f"Every classifier is the same small network and has {STEPS:,} updates with batches of {BATCH}. Where it "
        f"learns from generated images they are half of each batch, from {SAMPLES} of each class. The `cgan` (design "
        f"projection, DCGAN's networks, augmentation `diff`) has {GAN_STEPS:,} steps with batches of {GAN_BATCH}, and "
        "is trained anew for each cell and each seed.",
        "To try it on your own images: `ganarium train cgan --data FOLDER --augment diff`, then `ganarium sample RUN "
        "--label NAME`. Add the samples to the training images alone, and compare accuracies on images that neither "
        "the GAN nor the classifier has seen.",
        f"`python benchmarks/synthetic_images.py` on one core of {environment['processor']}, torch "
        f"{environment['versions']['torch'].split('+')[0]}.",
    ]
    table = [
        "| images a class | plain | with flips | with images of `cgan` | with both | as asked |",
        "| --- | --- | --- | --- | --- | --- |",
        *rows_of_table,
    ]
    differences = [
        "| images a class | flips | images of `cgan` | images of `cgan`, beside flips |",
        "| --- | --- | --- | --- |",
        *gains,
    ]
    first, second, *last = paragraphs
    blocks = [
        "# Do synthetic images help a classifier?",
        ANSWER,
        *(first, "\n".join(table), second, "\n".join(differences)),
        *last,
    ]
    return "\n\n".join(blocks) + "\n"


def gain(runs: list[dict[str, float]], way: str, other: str) -> str:
    """In points: "+1.2 (4 of 5)"."""
    gains = [100 * (values[way] - values[other]) for values in runs]
    return f"{sum(gains) / len(gains):+.1f} ({sum(value > 0 for value in gains)} of {len(gains)})"


def mean_and_range(shares: list[float]) -> str:
    """In percent: "78.3 (77.1 to 79.6)"."""
    return f"{100 * sum(shares) / len(shares):.1f} ({100 * min(shares):.1f} to {100 * max(shares):.1f})"


def main() -> None:
    """Does what is not done yet, and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default=SEEDS)
    arguments = parser.parse_args()
    tasks = [{"data": DATA, "seed": seed, "per_class": k} for seed in seeds_of(arguments.seeds) for k in PER_CLASS]
    run_all(NAME, tasks, run, "cpu")
    PAGE.write_text(page(rows(NAME)), encoding="utf-8")


if __name__ == "__main__":
    main()
