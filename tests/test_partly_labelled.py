"""Data of which few labels are known: which ones, in what order they come, and that the others are told to nobody."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

import ganarium
from ganarium import cli, registry
from ganarium.data import OWN_DATA, suitable_data
from ganarium.data.batches import Batches
from ganarium.data.dataset import Dataset, Images, PartlyLabelledImages, decode
from ganarium.data.inspect.dataset import survey
from ganarium.runs.options import Options
from synthetic import ALL, images_only, refused, trainer

SEMI = {"semi_supervised": True, "width": 8}


def numbered(n: int = 60, classes: int = 3, **more: Any) -> Dataset:
    """Points that tell their place in the set."""
    names = tuple("abcdefgh"[:classes])
    return Dataset("numbers", torch.arange(n).float()[:, None].repeat(1, 2), torch.arange(n) % classes, names, **more)


def places(points: torch.Tensor) -> list[int]:
    return points[:, 0].long().tolist()


# Which images keep their label


@pytest.mark.parametrize("per_class", [1, 4, 20])
def test_every_class_keeps_as_many_labels(per_class: int) -> None:
    data = numbered()
    kept = data.keep_labels(per_class, seed=0).labelled
    assert kept is not None
    assert len(kept.unique()) == 3 * per_class
    assert torch.bincount(data.labels[kept]).tolist() == [per_class] * 3


def test_the_seed_alone_chooses() -> None:
    first, again, other = (numbered().keep_labels(4, seed).labelled.tolist() for seed in (0, 0, 1))
    assert first == again
    assert set(first) != set(other)
    assert set(first) <= set(numbered().keep_labels(6, 0).labelled.tolist())
    assert sorted(first) != first  # no class by class walk along the set either
    drawn = [Batches(numbered().keep_labels(4, 0), PartlyLabelledImages, size, seed=5).draw(60) for size in (1, 7)]
    assert all(set(places(batch.image)) == set(first) for batch in drawn)


def test_a_class_with_too_few_images() -> None:
    refused(
        "21 training images ... class a of numbers has 20 ... --labels-per-class 20 or fewer",
        lambda: numbered().keep_labels(21, 0),
    )
    empty = dataclasses.replace(numbered(), class_names=("a", "b", "c", "d"))
    refused("class d of numbers has 0: leave that class away", lambda: empty.keep_labels(1, 0))


# Batches


def test_labels_belong_to_the_labelled_images() -> None:
    data = numbered().keep_labels(4, 0)
    known = set(data.labelled.tolist())
    batches = Batches(data, PartlyLabelledImages, 10)
    for _ in range(20):
        image, label, unlabelled = next(batches)
        assert image.shape == unlabelled.shape == (10, 2)
        assert set(places(image)) <= known
        assert torch.equal(image[:, 0].long() % 3, label)


def test_unlabelled_images_are_all_of_them_in_the_order_of_plain_images() -> None:
    data = numbered().keep_labels(4, 0)
    partly, plain = Batches(data, PartlyLabelledImages, 10, seed=3), Batches(data, Images, 10, seed=3)
    seen = [next(partly).unlabelled for _ in range(6)]
    assert all(torch.equal(part, next(plain).image) for part in seen)
    assert sorted(places(torch.cat(seen))) == list(range(60))


def test_labelled_images_come_in_endless_permutations_of_their_own() -> None:
    data = numbered().keep_labels(4, 0)
    batch = Batches(data, PartlyLabelledImages, 10).draw(60)
    rounds = [places(part) for part in batch.image.split(12)]
    assert all(sorted(part) == sorted(data.labelled.tolist()) for part in rounds)
    assert len({tuple(part) for part in rounds}) == 5
    among = [place for place in places(batch.unlabelled) if place in set(rounds[0])]
    assert among not in rounds  # not the order of the unlabelled ones


@pytest.mark.parametrize("kept", [True, False])
def test_the_count_is_the_whole_state(kept: bool) -> None:
    data = numbered().keep_labels(4, 0) if kept else numbered()
    straight, resumed = (Batches(data, PartlyLabelledImages, 7, seed=2) for _ in range(2))
    for _ in range(5):
        next(straight)
    resumed.drawn = straight.drawn
    for _ in range(20):
        for one, other in zip(next(straight), next(resumed), strict=True):
            assert torch.equal(one, other)


def test_two_processes_share_the_batch_of_one() -> None:
    data = numbered().keep_labels(4, 0)
    alone = Batches(data, PartlyLabelledImages, 6, seed=1)
    pair = [Batches(data, PartlyLabelledImages, 3, seed=1, rank=rank, world=2) for rank in (0, 1)]
    for _ in range(15):
        halves = [next(batches) for batches in pair]
        for whole, *parts in zip(next(alone), *halves, strict=True):
            assert torch.equal(whole, torch.cat(parts))


def test_without_a_choice_all_labels_are_known() -> None:
    batch = Batches(numbered(), PartlyLabelledImages, 60).draw(60)
    assert sorted(places(batch.image)) == sorted(places(batch.unlabelled)) == list(range(60))


def test_random_changes_of_both_parts_are_functions_of_the_count() -> None:
    """Mirroring and binary pixels: drawn anew at every draw, apart for the two parts, and the same after resuming."""
    half = torch.full((24, 4, 4, 1), 128, dtype=torch.uint8)
    ramp = torch.arange(16, dtype=torch.uint8).view(1, 4, 4, 1).repeat(24, 1, 1, 1)
    labels, names = torch.arange(24) % 2, ("a", "b")
    for data in (
        Dataset("noise", half, labels, names, bernoulli=True),
        Dataset("ramp", ramp, labels, names, mirror=True),
    ):
        chosen = data.keep_labels(2, 0)
        batches, resumed = (Batches(chosen, PartlyLabelledImages, 24) for _ in range(2))
        first, second = next(batches), next(batches)
        assert not torch.equal(first.image, first.unlabelled)
        assert not torch.equal(first.image, second.image)
        resumed.drawn = 24
        assert torch.equal(second.image, next(resumed).image)
        assert len(first.image.flatten(1).unique(dim=0)) > 1


# What a model learns of the other labels

FORMS: dict[str, dict[str, Any]] = {
    "aae": {"semi_supervised": True},
    "ccgan": {"semi_supervised": True},
    "catgan": {"semi_supervised": True, "noise": 0.0},
    "ct_gan": {"semi_supervised": True, "network": "mlp", "dropout": 0.0},
    "improved_gan": {"network": "mlp"},
    "sgan": {"network": "mlp"},
    "triple_gan": {"num_pretraining_steps": 0, "pseudo_start": 0, "classifier_width": 8, "entropy_weight": 0.0},
}


def trained(name: str, labels: torch.Tensor, kept: torch.Tensor, steps: int = 3) -> dict[str, torch.Tensor]:
    made = trainer(name, (1, 8, 8), total=steps, prepare=False, **FORMS[name] | {"width": 8})
    made.batches.labels, made.batches.labelled = labels, kept
    made.prepare()
    for _ in made:
        pass
    return {key: value.clone() for key, value in made.model.state_dict().items()}


@pytest.mark.parametrize("name", FORMS)
def test_no_model_sees_the_other_labels(name: str) -> None:
    """The labels of all other images are permuted, or are nonsense, and not one weight differs. The control: other
    known labels are seen."""
    labels, kept = torch.arange(64) % 4, torch.arange(12)
    plain = trained(name, labels, kept)
    others = torch.ones(64, dtype=torch.bool)
    others[kept] = False
    permuted, nonsense, known = labels.clone(), torch.where(others, -1, labels), labels.clone()
    permuted[others] = labels[others].flip(0)
    assert not torch.equal(permuted, labels)
    for changed in (permuted, nonsense):
        assert all(torch.equal(value, plain[key]) for key, value in trained(name, changed, kept).items())
    known[kept] = (known[kept] + 1) % 4
    assert not all(torch.equal(value, plain[key]) for key, value in trained(name, known, kept).items())


def test_every_semi_supervised_model_is_among_the_forms() -> None:
    assert {name for name in ALL if "semi-supervised" in registry.card(name)["docstring"].lower()} <= set(FORMS)


@pytest.mark.parametrize("name", FORMS)
def test_twelve_labels_are_learned_by_heart(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their loss falls below 0.1. The control, a softmax before the cross-entropy, stays above the floor that this
    known mistake has, log(e + K - 1) - 1."""
    lowest, cross_entropy = {}, F.cross_entropy
    for mistaken in (False, True):
        if mistaken:
            monkeypatch.setattr(F, "cross_entropy", lambda logits, label: cross_entropy(logits.softmax(1), label))
        steps = 300 if name == "aae" else 120  # its encoder also learns to reconstruct
        made = trainer(name, (1, 8, 8), total=steps, batch_size=12, **FORMS[name] | {"width": 32})
        for layer in made.model.modules():
            if isinstance(layer, torch.nn.Dropout):
                layer.p = 0.0
        for player in made.players.values():
            player.set_numbers = lambda *numbers: None  # schedules are for longer runs
            for group in player.optimizer.param_groups:
                group["lr"] = 5e-3
        for _ in made:
            pass
        player = "C" if name in ("aae", "triple_gan") else "D"
        lowest[mistaken] = min(row[f"{player}/labelled"] for row in made.drain().rows)
    num_logits = 5 if name == "sgan" else 4
    assert lowest[False] < 0.1
    assert lowest[True] > math.log(math.e + num_logits - 1) - 1 - 1e-5


# Which data give them


def test_labelled_sets_give_them() -> None:
    for name in ("mnist", "glyphs", "cifar10", "ring"):
        assert name in suitable_data("PartlyLabelledImages")
    assert suitable_data("PartlyLabelledImages") == suitable_data("LabelledImages")
    assert "sub-folder per class" in OWN_DATA["PartlyLabelledImages"]
    assert PartlyLabelledImages in numbered().kinds
    assert PartlyLabelledImages not in dataclasses.replace(numbered(), labels=None).kinds
    assert "PartlyLabelledImages" in survey("ring").kinds
    assert "PartlyLabelledImages" not in survey("swiss_roll").kinds


def test_batches_from_data_without_labels() -> None:
    bare = dataclasses.replace(numbered(), labels=None)
    refused("gives Images, not PartlyLabelledImages", lambda: Batches(bare, PartlyLabelledImages, 5))


# A run


def semi(*more: str, data: str = "glyphs", model: str = "ct_gan") -> list[str]:
    glyphs = ["--characters", "012", "--size", "8"] if data == "glyphs" else []
    form = ["--semi-supervised"] if "semi_supervised" in FORMS[model] else []
    return [
        "train",
        model,
        "--data",
        data,
        *glyphs,
        *form,
        "--width",
        "8",
        "--batch-size",
        "8",
        "--threads",
        "1",
        *more,
    ]


def test_a_run_chooses_ten_labels_of_each_class(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(semi("--steps", "2", "--out", "ten")) == 0
    assert cli.main(semi("--steps", "2", "--out", "four", "--labels-per-class", "4", "--seed", "3")) == 0
    for folder, number, seed in (("ten", 10, 0), ("four", 4, 3)):
        options = json.loads(Path(folder, "config.json").read_text())["options"]
        assert options["labels_per_class"] == number
        from ganarium.training.session import Run

        data = Run.reopen(folder).trainer.batches.data
        assert data.labelled.tolist() == data.keep_labels(number, seed).labelled.tolist()
        assert len(data.labelled) == 3 * number


def test_resuming_is_bit_exact(here: Path) -> None:
    options = {"data": "glyphs", "characters": "012", "size": 8, "batch_size": 8, "threads": 1, "quiet": True, **SEMI}
    straight = ganarium.train("ct_gan", steps=6, out="straight", **options)
    ganarium.train("ct_gan", steps=3, out="broken", **options)
    resumed = ganarium.resume("broken", steps=6, quiet=True)
    for own, other in ((straight, resumed), (straight.averages["critic"], resumed.averages["critic"])):
        states = own.state_dict(), other.state_dict()
        assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def sentence(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert cli.main(list(arguments)) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    return said


def test_errors_of_a_run(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "of glyphs has 888: use --labels-per-class 888" in sentence(capsys, *semi("--labels-per-class", "100000"))
    assert "above 0" in sentence(capsys, *semi("--labels-per-class", "0"))
    said = sentence(capsys, "train", "dcgan", "--data", "glyphs", "--labels-per-class", "5")
    assert "dcgan" in said
    assert "leave it away" in said
    assert "semi-supervised" in sentence(capsys, *semi("--labels-per-class", "5", data="swiss_roll"))
    for i in range(20):
        Image.effect_noise((9, 9), 80).save(f"{i}.png")
    assert "has no labels" in sentence(capsys, *semi("--size", "8", data="."))
    assert not Path("runs").exists()


def test_the_option_is_whole_and_positive() -> None:
    refused("labels_per_class must be above 0", lambda: Options(data="mnist", labels_per_class=0))
    assert Options(data="mnist").labels_per_class is None


# Models that classify, and what they say


def classifier(shape: tuple[int, ...] = (1, 8, 8), **more: Any) -> Any:
    return trainer("ct_gan", shape, **SEMI, **more).model


def test_probabilities_of_what_is_given() -> None:
    model = classifier((3, 8, 12))
    batch = torch.rand(5, 3, 8, 12) * 2 - 1
    odds = model.probabilities(batch)
    assert odds.shape == (5, 4)
    assert odds.dtype == torch.float32
    assert torch.allclose(odds.sum(1), torch.ones(5), atol=1e-6)
    assert torch.equal(model.classify(batch), odds.argmax(1))
    one = model.probabilities(batch[2])
    assert torch.allclose(one, odds[2], atol=1e-6)
    assert model.classify(batch[2]).shape == ()
    array = np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8)
    assert torch.equal(model.probabilities(array), model.probabilities(Image.fromarray(array)))
    assert model.probabilities(array[:, :, 0]).shape == (4,)  # grey, and the model has colours
    assert len(model.probabilities(torch.rand(70, 3, 8, 12))) == 70  # more than one part


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("acgan", {"dropout": 0.0}),
        ("catgan", {"semi_supervised": True}),
        ("loss_sensitive_gan", {"conditional": True}),
        ("sgan", {}),
        ("triple_gan", {"pseudo_start": 0}),
    ],
)
def test_running_statistics_of_a_classifier_are_those_of_reals(name: str, options: dict[str, Any]) -> None:
    """It classifies with them. The control: what G draws has no part in them, what the data are has."""
    statistics = []
    for level, images in ((0.0, 0), (1.0, 0), (0.0, 90)):
        made = trainer(name, total=5, **options)
        made.batches.images = made.batches.images // 2 + images
        made.model.generate = lambda n, level=level, **given: torch.full((n, 1, 16, 16), level)
        for _ in made.model.step(made.batches):
            pass
        layers = [(key, value) for key, value in made.model.named_buffers() if key.endswith("running_mean")]
        statistics.append(torch.cat([value for key, value in layers if not key.startswith("generator")]))
    plain, others, data = statistics
    assert torch.equal(plain, others)
    assert not torch.allclose(plain, data, atol=1e-3)


def test_a_picture_is_fitted_as_a_folder_is() -> None:
    """Scaled to cover and cropped at the middle: what lies outside is not seen."""
    model = classifier((1, 8, 8))
    wide = np.full((8, 16), 200, np.uint8)
    marked = wide.copy()
    marked[:, [0, 15]] = 0
    assert torch.equal(model.probabilities(wide), model.probabilities(marked))
    marked[:, 8] = 0
    assert not torch.equal(model.probabilities(wide), model.probabilities(marked))
    square = model.probabilities(torch.full((1, 8, 8), 200 / 127.5 - 1))
    assert torch.allclose(model.probabilities(wide), square, atol=1e-6)


def test_classifying_is_deterministic_averaged_and_disturbs_nothing() -> None:
    made = trainer("ct_gan", (1, 8, 8), **SEMI)
    model, image = made.model, torch.rand(5, 1, 8, 8) * 2 - 1
    for parameter in model.critic.parameters():
        parameter.data += torch.randn_like(parameter)
    random, modes = torch.get_rng_state(), {module: module.training for module in model.modules()}
    odds = model.probabilities(image)
    assert torch.equal(odds, model.probabilities(image))
    assert torch.equal(random, torch.get_rng_state())
    assert modes == {module: module.training for module in model.modules()}
    averaged = model.averages["critic"].eval()
    assert torch.allclose(odds, averaged(image).softmax(1), atol=1e-6)
    model.averages = {}
    assert not torch.allclose(odds, model.probabilities(image), atol=1e-3)


def test_points_are_classified() -> None:
    model = classifier((2,))
    assert model.classify(torch.randn(6, 2)).shape == (6,)
    assert model.classify(torch.randn(2)).shape == ()
    refused("(2) or (b, 2)", lambda: model.classify(Image.new("L", (8, 8))))


@pytest.mark.parametrize(
    ("words", "bad"),
    [
        ("(1, 8, 8) or (b, 1, 8, 8)", torch.zeros(2, 1, 9, 9)),
        ("(1, 8, 8)", torch.zeros(8, 8)),
        ("values in [-1, 1], not torch.uint8", torch.zeros(1, 8, 8, dtype=torch.uint8)),
        ("not finite", torch.full((1, 8, 8), float("nan"))),
        ("a picture or a uint8 array", "a.png"),
        ("uint8 (h, w, c)", np.zeros((8, 8))),
        ("1, 3 or 4 channels", np.zeros((8, 8, 2), np.uint8)),
        ("shows almost nothing", Image.new("L", (400, 8))),
    ],
)
def test_what_cannot_be_classified(words: str, bad: Any) -> None:
    model = classifier()
    refused(words, lambda: model.classify(bad))


@pytest.mark.parametrize("name", ALL)
def test_every_model_classifies_or_says_that_it_does_not(name: str) -> None:
    shape = (1, 16, 16) if images_only(name) else (2,)
    model, images = trainer(name, shape, prepare=False).model, torch.zeros(3, *shape)
    if model.classifies:
        assert model.classify(images).shape == (3,)
    else:
        refused("does not classify ... semi-supervised", lambda: model.classify(images))


def test_the_verb(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(semi("--steps", "2", "--out", "run")) == 0
    for place, name in enumerate(("one.png", "the second.png")):
        Image.effect_noise((20 + place, 11), 80).convert("RGB").save(name)
    Path("folder/deep").mkdir(parents=True)
    Path("folder/notes.txt").write_text("no picture")
    Image.effect_noise((20, 11), 80).save("folder/deep/a.png")
    capsys.readouterr()
    assert cli.main(["classify", "run", "one.png", "the second.png"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert cli.main(["classify", "run", "one.png", "folder"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["one.png", "folder/deep/a.png"]
    model = ganarium.load("run")
    assert [line.split()[-2] in "012" for line in lines] == [True, True]
    assert lines[0].startswith("one.png ")
    assert lines[1].startswith("the second.png ")
    odds = model.probabilities(Image.open("one.png"))
    assert lines[0].split()[-2:] == ["012"[odds.argmax()], f"{odds.max():.3f}"]
    assert cli.main(["classify", "run", "one.png", "--raw"]) == 0
    Path("broken.png").write_bytes(b"no picture")
    assert "broken.png" in sentence(capsys, "classify", "run", "one.png", "broken.png")
    assert "none.png" in sentence(capsys, "classify", "run", "none.png")
    assert "FILES" in sentence(capsys, "classify", "run")
    assert "is no run" in sentence(capsys, "classify", "nowhere", "one.png")


@pytest.mark.parametrize("name", FORMS)
def test_evaluations_hold_the_test_accuracy(here: Path, name: str) -> None:
    assert cli.main(semi("--steps", "2", "--out", "run", model=name)) == 0
    model, (_, test) = ganarium.load("run"), ganarium.load_data("glyphs", characters="012", size=(8, 8))
    expected = (model.classify(decode(test.images)) == test.labels).double().mean().item()
    assert ganarium.evaluate("run", n=64).values["test_accuracy"] == pytest.approx(expected)
    assert cli.main(["train", "gan", "--data", "ring", "--batch-size", "8", "--steps", "1", "--out", "plain"]) == 0
    assert "test_accuracy" not in ganarium.evaluate("plain", n=64).values


def test_the_verb_with_runs_that_cannot(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.effect_noise((9, 9), 80).save("one.png")
    plain = ["--data", "glyphs", "--characters", "01", "--size", "8", "--width", "2", "--batch-size", "8"]
    assert cli.main(["train", "dcgan", *plain, "--steps", "1", "--threads", "1", "--out", "plain"]) == 0
    assert "does not classify" in sentence(capsys, "classify", "plain", "one.png")
    assert cli.main(semi("--steps", "1", "--out", "points", data="ring")) == 0
    assert "knows points" in sentence(capsys, "classify", "points", "one.png")
    assert cli.main(semi("--steps", "1", "--out", "run")) == 0
    Path("empty").mkdir()
    assert "there are no pictures in empty" in sentence(capsys, "classify", "run", "empty")
    assert "two.png is not there" in sentence(capsys, "classify", "run", "two.png")


def test_the_registry_builds_both_forms() -> None:
    assert registry.create("ct_gan", (1, 16, 16), 10, **SEMI).batch_type is PartlyLabelledImages
    assert registry.create("ct_gan", (1, 16, 16), 10, width=4).batch_type is Images
    refused("has no labels", lambda: registry.create("ct_gan", (1, 16, 16), None, **SEMI))
