"""The judge of the demo: a small classifier of the digits of `glyphs`, trained on real labelled images only.

`python tools/demo_judge.py` trains it, prints its accuracy on held-out glyphs and writes `demo_judge.safetensors`
beside it, with the accuracy and the seed. It marks the demo (see `tests/test_demo.py`) and is kept as it is, so that
the mark means the same from release to release. Numbers are measured by stricter judges, those in `metrics/judges`.
"""

import json
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ganarium.data import load_data
from ganarium.data.batches import Batches
from ganarium.data.dataset import Dataset, LabelledImages, decode

WEIGHTS = Path(__file__).with_suffix(".safetensors")


class Judge(nn.Sequential):
    """(b, 1, 32, 32) in [-1, 1] -> logits (b, num_classes): three convolutions and a linear layer."""

    def __init__(self, num_classes: int) -> None:
        layers: list[nn.Module] = []
        for fan_in, fan_out in ((1, 32), (32, 64), (64, 64)):
            layers += [
                nn.Conv2d(fan_in, fan_out, 3, 1, 1, bias=False),
                nn.BatchNorm2d(fan_out),
                nn.ReLU(),
                nn.MaxPool2d(2),
            ]
        super().__init__(*layers, nn.Flatten(), nn.Dropout(0.3), nn.Linear(64 * 16, num_classes))


def train_judge(train: Dataset, *, steps: int = 1500, seed: int = 0) -> Judge:
    """Cross-entropy, Adam 2e-3 falling linearly to zero, batches of 128 glyphs and 32 images that are none.

    Those should be read as every class alike. Without them a classifier is sure of noise too, and its confidence says
    nothing about a generator's samples.
    """
    torch.manual_seed(seed)
    judge = Judge(len(train.class_names))
    rule = torch.optim.Adam(judge.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.LinearLR(rule, 1.0, 0.01, steps)
    batches = Batches(train, LabelledImages, 128, seed=seed)
    for _ in range(steps):
        batch = next(batches)
        rule.zero_grad()
        logits = judge(torch.cat([batch.image, not_glyphs(batch.image[:32])]))
        undecided = -logits[128:].log_softmax(1).mean()
        (F.cross_entropy(logits[:128], batch.label) + 0.2 * undecided).backward()
        rule.step()
        schedule.step()
    return judge.eval()


def not_glyphs(images: Tensor) -> Tensor:
    """As many images (n, 1, 32, 32) without a glyph: half of them noise, half glyphs with their pixels in any order."""
    noise, shuffled = torch.tensor_split(images, 2)
    noise = torch.rand_like(noise) * 2 - 1
    return torch.cat([noise, shuffled.flatten(1)[:, torch.randperm(shuffled[0].numel())].view_as(shuffled)])


@torch.no_grad()
def accuracy(judge: Judge, test: Dataset) -> float:
    """Share of a labelled set that is read right, from 0 to 1."""
    assert test.labels is not None
    images = torch.split(decode(test.images), 500)
    read = torch.cat([judge(part).argmax(1) for part in images])
    return float((read == test.labels).double().mean())


def save_judge(judge: Judge, path: Path, facts: dict[str, Any]) -> None:
    """Weights in half precision (for their size), facts in the file's metadata."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {key: value.half() if value.is_floating_point() else value for key, value in judge.state_dict().items()}
    save_file(tensors, path, {key: json.dumps(value) for key, value in facts.items()})


def load_judge() -> tuple[Judge, dict[str, Any]]:
    """The committed judge and what is known about it: data, classes, accuracy, seed, steps."""
    with safe_open(WEIGHTS, framework="pt") as file:
        facts = {key: json.loads(value) for key, value in file.metadata().items()}
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
    judge = Judge(len(facts["classes"]))
    judge.load_state_dict(tensors)  # copies, and so takes half precision to float
    return judge.eval(), facts


@torch.no_grad()
def confidence(judge: Judge, images: Tensor) -> Tensor:
    """The judge's probability for the class it reads in each image (n, 1, 32, 32) in [-1, 1]: (n,) from 0 to 1."""
    return judge(images.cpu().float()).softmax(1).amax(1)


def main() -> None:
    """Trains the committed judge anew."""
    train, test = load_data("glyphs", characters="digits")
    seed, steps = 0, 1500
    judge = train_judge(train, steps=steps, seed=seed)
    path = WEIGHTS
    facts = {
        "data": "glyphs, characters digits, 32x32",
        "classes": list(train.class_names),
        "seed": seed,
        "steps": steps,
    }
    save_judge(judge, path, facts | {"test_accuracy": None})
    reloaded, _ = load_judge()  # what is measured is what is committed
    measured = accuracy(reloaded, test)
    save_judge(reloaded, path, facts | {"test_accuracy": measured, "test_images": len(test)})
    print(f"{path}: {measured:.4f} of {len(test)} held-out glyphs read right, {path.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main()
