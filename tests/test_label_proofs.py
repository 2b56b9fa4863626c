"""What the proofs on labels measure, and that their controls are what they are said to be."""

from dataclasses import replace

import pytest
import torch

from ganzoo import registry
from ganzoo.data.batches import Batches, Dataset
from ganzoo.proofs import few_labels, fidelity
from ganzoo.proofs.claims import list_proofs, load_proof
from ganzoo.proofs.training import without_player
from ganzoo.trainer import Trainer

CLASSES = ("sgan", "improved_gan", "catgan", "triple_gan", "ct_gan")
SMALL = {
    "sgan": {"width": 4},
    "improved_gan": {"width": 8},
    "catgan": {"width": 4, "semi_supervised": True},
    "triple_gan": {"width": 8, "classifier_width": 2, "num_pretraining_steps": 0, "pseudo_start": 0},
    "ct_gan": {"width": 8, "semi_supervised": True},
}
PLAYER = {name: "C" if name == "triple_gan" else "D" for name in CLASSES}


def bright_quarters(n=64):
    """Images (n, 8, 8, 1) whose one bright quarter is their class, of four."""
    labels = torch.arange(n) % 4
    images = torch.randint(0, 60, (n, 8, 8, 1), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    for image, k in zip(images, labels.tolist(), strict=True):
        image[4 * (k // 2) :, 4 * (k % 2) :][:4, :4] = 255
    return Dataset(name="quarters", images=images, labels=labels, class_names=tuple("abcd"))


def trained_on(name, data, alter, steps=2):
    torch.manual_seed(0)
    model = registry.create(name, data.shape, 4, **SMALL[name])
    alter(model)
    trainer = Trainer(model, Batches(data, model.batch_type, 8), steps)
    trainer.prepare()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    for _ in trainer:
        pass
    return before, model


@pytest.mark.parametrize("name", CLASSES)
def test_a_classifier_alone_learns_from_labelled_images_and_moves_nothing_else(name):
    data = bright_quarters().keep_labels(2, 0)
    assert data.labelled is not None
    others = torch.ones(len(data), dtype=torch.bool)
    others[data.labelled] = False
    images = data.images.clone()
    images[others] = images[others].flip(1)
    ways = [
        trained_on(name, each, lambda model: few_labels.on_labels_alone(model, PLAYER[name]))
        for each in (data, replace(data, images=images))
    ]
    before, model = ways[0]
    after = model.state_dict()
    assert not any(key.startswith("generator") and not torch.equal(before[key], after[key]) for key in before)
    assert any(not torch.equal(before[key], after[key]) for key in before)
    if name not in ("improved_gan", "ct_gan"):  # whose first weights are fitted to images without labels
        assert all(torch.equal(after[key], value) for key, value in ways[1][1].state_dict().items())


@pytest.mark.parametrize("name", CLASSES)
def test_without_its_player_the_generator_stays(name):
    data = bright_quarters().keep_labels(2, 0)
    before, model = trained_on(name, data, lambda model: without_player(model, "G"))
    weights = {key for key, _ in model.generator.named_parameters(prefix="generator")}
    after = model.state_dict()
    assert weights
    assert all(torch.equal(before[key], after[key]) for key in weights)
    assert any(not torch.equal(before[key], after[key]) for key in set(before) - weights)


def test_nearest_labelled():
    train, test = bright_quarters().keep_labels(1, 0), bright_quarters(40)
    assert few_labels.nearest_labelled(train, test) == 1
    wrong = replace(train, labels=(train.labels + 1) % 4)
    assert few_labels.nearest_labelled(wrong, test) == 0


def test_shuffled_labels_keep_images_and_counts():
    data = bright_quarters(4000)
    control = fidelity.shuffled(data, 0)
    assert torch.equal(control.images, data.images)
    assert torch.equal(control.labels.bincount(), data.labels.bincount())
    assert (control.labels == data.labels).double().mean().item() == pytest.approx(0.25, abs=0.03)


def test_diversity_is_one_of_images_and_none_of_copies():
    data = bright_quarters(400)
    images = data.images.permute(0, 3, 1, 2) / 127.5 - 1
    assert fidelity.diversity(images, data.labels, data, seed=0) == pytest.approx(1, abs=0.02)
    copies = images[data.labels]  # images 0 to 3 are one of each class
    assert fidelity.diversity(copies, data.labels, data, seed=0) == 0


def test_rows_of_styles():
    model = registry.create("acgan", (1, 16, 16), 4, generator_width=4, discriminator_width=4).eval()
    sheet = fidelity.styles(model, replace(bright_quarters(), name="any"))
    assert sheet.shape == (16, 1, 16, 16)


@pytest.mark.parametrize("name", CLASSES)
def test_every_semi_supervised_model_has_a_claim_on_few_labels(name):
    claim = load_proof(f"{name}_few_labels").CLAIM
    assert claim.control == few_labels.CONTROL
    for scale in claim.scales.values():
        assert scale.numbers["labels_per_class"] == 10


@pytest.mark.parametrize("name", ["cgan", "acgan", "cls_gan"])
def test_every_conditional_model_has_a_claim_on_its_labels(name):
    assert f"{name}_labels" in list_proofs(name)
    assert load_proof(f"{name}_labels").CLAIM.control == fidelity.CONTROL
