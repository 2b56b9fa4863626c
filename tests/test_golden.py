"""Golden losses: the first twenty iterations of every model, in float64 on one thread, against tests/golden/NAME.json.

A change to the numbers fails here. If it is meant (*numerics: yes*), write the files anew with
`python tests/test_golden.py` and say why in the commit.
"""

import json
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from ganarium.models.cgan import CGAN
from synthetic import ALL, trainer

FOLDER = Path(__file__).parent / "golden"
# InfoGAN's dense layers under batch norm are chaotic in batches of 4: a relative 1e-14 in the weights grows to 1e-2 in
# twenty steps, so another processor would fail. In batches of 16 it stays at 1e-12.
BATCH_SIZES = {"infogan": 16}
# The paper's perceptrons of cgan begin so small that all losses are log 2 to 1e-5, and another label would change them
# by 1e-8. With weights of D that are so many times as large, they differ from the first step on.
SCALES = {"cgan": 30.0}


def first_losses(name):
    made = trainer(name, (1, 16, 16), total=20, batch_size=BATCH_SIZES.get(name, 4), precision="fp64", seed=7)
    if name in SCALES:
        with torch.no_grad():
            torch._foreach_mul_([*made.model.discriminator.parameters()], SCALES[name])
    for _ in made:
        pass
    return made.drain().rows


@pytest.mark.parametrize("name", ALL)
def test_first_twenty_losses(name):
    golden = json.loads((FOLDER / f"{name}.json").read_text())
    rows = first_losses(name)
    assert len(rows) == len(golden) == 20
    for row, expected in zip(rows, golden, strict=True):
        assert row == pytest.approx(expected, rel=1e-6, abs=1e-9), f"step {row['step']}"


def test_golden_losses_notice_a_small_change():
    """The control: a thousandth more learning rate is seen."""
    golden = json.loads((FOLDER / "dcgan.json").read_text())
    made = trainer("dcgan", (1, 16, 16), total=20, batch_size=4, precision="fp64", seed=7, lr=2e-4 * 1.001)
    for _ in made:
        pass
    assert made.drain().rows[-1] != pytest.approx(golden[-1], rel=1e-6, abs=1e-9)


def test_golden_losses_of_cgan_notice_other_labels(monkeypatch):
    """The control: from the paper's own start they would not, within 1e-6."""
    golden = json.loads((FOLDER / "cgan.json").read_text())
    own = CGAN.D
    monkeypatch.setattr(CGAN, "D", lambda self, image, label: own(self, image, label.roll(1)))
    assert first_losses("cgan")[0] != pytest.approx(golden[0], rel=1e-4)
    monkeypatch.setitem(SCALES, "cgan", 1.0)
    other = first_losses("cgan")[0]
    monkeypatch.setattr(CGAN, "D", own)
    assert first_losses("cgan")[0] == pytest.approx(other, rel=1e-6)


if __name__ == "__main__":
    torch.set_num_threads(1)
    for model in sys.argv[1:] or ALL:
        lines = ",\n".join(json.dumps(row) for row in first_losses(model))
        (FOLDER / f"{model}.json").write_text(f"[\n{lines}\n]\n")
