"""The judges: as good as they say, undecided of what is no image, and reading images of any size."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F

from ganarium.data import load_data
from ganarium.data.arrays import with_channels as stored_with_channels
from ganarium.data.dataset import decode
from ganarium.errors import UserError
from ganarium.metrics.judges import train_judge
from ganarium.metrics.judges.judge import (
    WEIGHTS,
    Judge,
    accuracy,
    confidence,
    digest_of,
    judge_for,
    list_judges,
    load_judge,
)
from ganarium.metrics.judges.train_judge import RECIPES, Recipe, not_images

SURE = 0.9  # a confidence

LEAST = {"glyphs-digits": 0.98, "glyphs": 0.98, "mnist": 0.993, "fashion_mnist": 0.925, "cifar10_subset": 0.7}
OFFLINE = ("glyphs-digits", "glyphs")
TINY = Recipe(data="glyphs", characters="digits", epochs=0.2, widths=(8, 16, 16), batch=32, shift=1)


def share_of_sure(judge, images, least=SURE):
    return float((confidence(judge, images) > least).double().mean())


@pytest.fixture(scope="module")
def digits():
    """1,000 held-out digits and their labels."""
    _, test = load_data("glyphs", characters="digits")
    return decode(test.images).contiguous(), test.labels


@pytest.fixture(params=sorted(LEAST))
def committed(request):
    """A committed judge with the two splits of its own data; skipped where these are not here."""
    if request.param not in OFFLINE:
        request.getfixturevalue("real_data")
    judge = load_judge(request.param)
    train, test = train_judge.load(RECIPES[request.param])
    return judge, train, test


def test_every_committed_judge_is_tested():
    assert list_judges() == sorted(LEAST) == sorted(RECIPES)


def test_the_committed_judge_is_as_good_as_it_says(committed):
    judge, train, test = committed
    facts = judge.facts
    assert (list(train.class_names), len(train)) == (facts["classes"], facts["train_images"])
    assert len(test) == facts["test_images"]
    assert accuracy(judge, test) == pytest.approx(facts["test_accuracy"], abs=0.001)  # other processors round otherwise
    assert facts["test_accuracy"] >= LEAST[judge.name]

    torch.manual_seed(0)
    untrained = Judge(judge.channels, judge.num_classes, judge.widths, padded=judge.padded).eval()
    subset = dataclasses.replace(test, images=test.images[:500], labels=test.labels[:500])
    assert accuracy(untrained, subset) < 0.3


@pytest.mark.parametrize("name", sorted(LEAST))
def test_a_judge_s_file_says_what_it_is(name):
    judge, path = load_judge(name), WEIGHTS / f"{name}.safetensors"
    assert path.stat().st_size < 700 * 1024
    facts, recipe = judge.facts, RECIPES[name]
    assert facts["name"] == judge.name == name
    assert facts["input"] == judge.rule
    assert ("28x28 padded" in judge.rule) == (name in ("mnist", "fashion_mnist"))
    assert facts["steps"] == round(recipe.epochs * facts["train_images"] / recipe.batch)
    assert {key: facts[key] for key in ("seed", "undecided", "worn", "padded")} == {
        "seed": recipe.seed,
        "undecided": recipe.undecided,
        "worn": recipe.worn,
        "padded": recipe.padded,
    }
    stored = {key: value.half() for key, value in judge.state_dict().items() if value.is_floating_point()}
    assert judge.digest == facts["digest"] == digest_of(stored)  # half precision is all there is


def test_a_judge_is_sure_of_its_own_data_and_not_of_what_is_none(committed):
    judge, _, test = committed
    if not judge.facts["undecided"]:
        pytest.skip(f"{judge.name} was not trained to be undecided: its confidence says nothing about other images")
    torch.manual_seed(0)
    images = decode(test.images[torch.randperm(len(test))[:400]]).contiguous()
    noise, scrambled, mixed, torn = not_images(images).split(100)
    # Clothes are hard to tell apart; two pictures of one class, or of a trouser and a dress, still make a garment.
    assert share_of_sure(judge, images) > (0.7 if judge.name == "fashion_mnist" else 0.95)
    assert share_of_sure(judge, noise) < 0.05
    assert share_of_sure(judge, torch.rand_like(noise) * 2 - 1) < 0.05
    assert share_of_sure(judge, scrambled) < 0.05
    assert share_of_sure(judge, mixed) < 0.35
    assert share_of_sure(judge, torn) < 0.35


def test_training_makes_a_judge_undecided_of_what_is_none(digits):
    """The control: without the images that are none, the same training is sure of them."""
    train, _ = load_data("glyphs", characters="digits")
    recipe = dataclasses.replace(TINY, epochs=0.4)
    torch.manual_seed(0)
    none = not_images(digits[0][:200])
    mean = {}
    for undecided in (True, False):
        judge, steps = train_judge.train_judge(train, dataclasses.replace(recipe, undecided=undecided))
        assert steps == round(0.4 * 9000 / 32)
        assert (judge.logits(digits[0]).argmax(1) == digits[1]).double().mean() > 0.8
        mean[undecided] = float(confidence(judge, none).mean())
    assert mean[True] < 0.4 < mean[False], mean


def test_digits_that_are_worn_are_still_read(digits):
    """As a generator's are. Undecided is not all that is less clean than the data, but what has no digit in it."""
    judge, images, labels = load_judge("glyphs-digits"), digits[0][:400], digits[1][:400]
    torch.manual_seed(0)
    noisy, faint = images + 0.3 * torch.randn_like(images), 0.5 * images - 0.3
    for used in (images, noisy.clamp(-1, 1), faint):
        assert (judge.logits(used).argmax(1) == labels).double().mean() > 0.98
        assert share_of_sure(judge, used) > 0.95
    unlike = labels != labels.roll(133)
    two = (images + images.roll(133, 0))[unlike] / 2
    assert share_of_sure(judge, two, 0.5) < 0.1
    for none in (not_images(images).chunk(4)[kind] for kind in (0, 1, 3)):
        assert share_of_sure(judge, none, 0.5) < 0.2


def test_training_again_gives_the_same_weights_and_a_file(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(RECIPES, "mnist", TINY)
    train_judge.compare("mnist", 600)
    assert "of 600 held-out training images after 52 steps" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())
    digests = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        train_judge.make("mnist", folder)
        judge = load_judge("mnist", folder=folder)
        digests.append(judge.digest)
        _, test = train_judge.load(TINY)
        assert accuracy(judge, test) == judge.facts["test_accuracy"]
        assert [file.name for file in folder.iterdir()] == ["mnist.safetensors"]
    assert digests[0] == digests[1]


def test_features_logits_and_probabilities_agree(digits):
    for name in list_judges():
        judge = load_judge(name)
        images = digits[0][:20]
        features, logits = judge.features(images), judge.logits(images)
        assert features.shape == (20, judge.widths[-1])
        assert features.shape[1] <= 128
        assert logits.shape == (20, len(judge.classes))
        assert not logits.requires_grad
        assert features.dtype == logits.dtype == torch.float32
        assert (features >= 0).all()
        assert features.std(0).amax() > 0
        torch.testing.assert_close(judge.head(features), logits)
        torch.testing.assert_close(judge.probabilities(images), logits.softmax(1))
        torch.testing.assert_close(confidence(judge, images), logits.softmax(1).amax(1))


def test_images_are_read_one_by_one_whatever_the_batch(digits, monkeypatch):
    judge = load_judge("glyphs-digits")
    whole = judge.logits(digits[0][:40])
    monkeypatch.setattr(judge, "chunk", 7)
    torch.testing.assert_close(judge.logits(digits[0][:40]), whole, rtol=1e-4, atol=1e-4)
    monkeypatch.setattr("ganarium.metrics.judges.judge.PIXELS", 3 * 32 * 32 + 5)
    seen = []
    monkeypatch.setattr(judge, "prepare", lambda part: seen.append(len(part)) or Judge.prepare(judge, part))
    judge.logits(digits[0][:8])
    assert seen == [3, 3, 2]
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(judge.logits(digits[0][:40]), whole, rtol=1e-4, atol=1e-4)
    with pytest.raises(AssertionError, match="eval"):
        judge.train().logits(digits[0][:2])


def test_images_of_any_size_and_channels_come_to_the_judge_s_own():
    torch.manual_seed(0)
    for name in list_judges():
        judge = load_judge(name)
        for shape in ((1, 1, 1), (1, 28, 28), (3, 32, 32), (4, 45, 80), (3, 200, 17), (1, 256, 256)):
            images = torch.rand(2, *shape) * 2 - 1
            prepared = judge.prepare(images)
            assert prepared.shape == (2, judge.channels, 32, 32)
            assert prepared.abs().max() <= 1 + 1e-5
            assert judge.features(images).isfinite().all()


def test_32x32_is_left_as_it_is_and_28x28_is_padded_as_the_data_sets_are(real_data):
    for name in ("mnist", "fashion_mnist"):
        judge = load_judge(name)
        small, large = (decode(load_data(name, size=(side, side))[1].images[:50]) for side in (28, 32))
        assert torch.equal(judge.prepare(large), large)
        assert torch.equal(judge.prepare(small), large)
        other = load_judge("glyphs")  # whose 28x28 are drawn at that size
        assert not torch.allclose(other.prepare(small), large, atol=0.1)


def test_what_is_not_square_is_cropped_and_what_is_large_is_smoothed():
    torch.manual_seed(0)
    judge, images = load_judge("mnist"), torch.rand(4, 1, 32, 32) * 2 - 1
    assert torch.equal(judge.prepare(F.pad(images, (8, 8), value=-1.0)), images)
    assert torch.equal(judge.prepare(F.pad(images, (0, 0, 5, 5), value=-1.0)), images)
    noise = torch.randn(8, 1, 128, 128)
    assert judge.prepare(noise).std() < 0.35
    assert F.interpolate(noise, size=(32, 32), mode="bilinear").std() > 0.45  # the control: without antialiasing


def test_grey_and_colour_follow_the_data_sets_rule():
    torch.manual_seed(0)
    for given in (1, 3, 4):
        stored = torch.randint(0, 256, (5, 32, 32, given), dtype=torch.uint8)
        for name in ("mnist", "cifar10_subset"):
            judge = load_judge(name)
            ours = judge.prepare(decode(stored))
            theirs = decode(stored_with_channels(stored, judge.channels))
            assert (ours - theirs).abs().max() < 2.1 / 255, (given, name)  # they round twice to a level
    with pytest.raises(UserError, match="1, 3 or 4 channels, not 2"):
        load_judge("mnist").features(torch.zeros(1, 2, 32, 32))


def test_digits_are_read_at_other_sizes_and_in_colour(digits):
    judge, (images, labels) = load_judge("glyphs-digits"), digits
    for size in (28, 40, 64):
        resized = F.interpolate(images, size=(size, size), mode="bilinear", antialias=True)
        read = judge.logits(resized.expand(-1, 3, -1, -1)).argmax(1)
        assert (read == labels).double().mean() > 0.95, size


@pytest.mark.parametrize(
    "images",
    [torch.zeros(3, 32, 32), torch.zeros(2, 1, 32, 32, dtype=torch.uint8), torch.zeros(0, 1, 32, 32)],
    ids=["three-dimensions", "bytes", "none"],
)
def test_what_is_not_images_is_refused(images):
    with pytest.raises(UserError, match=r"mnist reads floating-point images \(n, c, h, w\)"):
        load_judge("mnist").features(images)


def test_an_unknown_and_a_damaged_judge_are_named(tmp_path):
    with pytest.raises(UserError, match="no judge 'mnits': did you mean mnist"):
        load_judge("mnits")
    whole = (WEIGHTS / "glyphs-digits.safetensors").read_bytes()
    for damaged in (whole[:-100], whole[:-100] + b"\1" * 100, b""):
        (tmp_path / "mnist.safetensors").write_bytes(damaged)
        with pytest.raises(UserError, match="is not a whole judge"):
            load_judge("mnist", folder=tmp_path)
    (tmp_path / "mnist.safetensors").write_bytes(whole)
    assert load_judge("mnist", folder=tmp_path).num_classes == 10


def test_each_data_set_has_its_judge():
    for data, name in {
        "mnist": "mnist",
        "mnist_binarised": "mnist",
        "stacked_mnist": "mnist",
        "mnist_negative": None,
        "mnist_m": None,
        "fashion_mnist": "fashion_mnist",
        "glyphs": "glyphs",
        "a/b/cifar10_subset.npz": "cifar10_subset",
        "cifar10": None,
        "ring": None,
        "my_photos": None,
    }.items():
        assert judge_for(data) == name, data
        assert name is None or name in list_judges()


def test_the_judge_of_mnist_reads_stacked_digits_and_not_negatives(real_data):
    judge, (_, test) = load_judge("mnist"), load_data("mnist")
    images, labels = decode(test.images[:300]).contiguous(), test.labels[:300]
    stacked = images.view(100, 3, 32, 32)
    read = judge.logits(stacked.reshape(-1, 1, 32, 32)).argmax(1)
    assert (read == labels).double().mean() > 0.98
    for other in (stacked, -images):  # the controls: three digits made one grey picture; black on white
        wrong = judge.logits(other).argmax(1) != labels[: len(other)]
        assert wrong.double().mean() > 0.5


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_judge_reads_on_its_own_device(digits):
    here, there = load_judge("glyphs-digits"), load_judge("glyphs-digits", "cuda")
    read = there.logits(digits[0][:50])
    assert read.device.type == "cuda"
    torch.testing.assert_close(read.cpu(), here.logits(digits[0][:50]), rtol=1e-2, atol=1e-2)
