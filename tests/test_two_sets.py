"""Two sets as a source and a target: which images and labels are drawn, whose labels are told, folders of one's own."""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from ganarium.data import load_data
from ganarium.data.batches import Batches
from ganarium.data.dataset import Dataset, Images, SourceTargetImages, UnpairedImages
from ganarium.data.sources import two_sets
from ganarium.runs import folder as run_folder
from ganarium.runs.options import Options
from synthetic import refused


def digits(value, n=40, *, labels=True, channels=1, source=""):
    """Images whose first pixel is their place and whose others are a value."""
    images = torch.full((n, 8, 8, channels), value, dtype=torch.uint8)
    images[:, 0, 0] = torch.arange(n, dtype=torch.uint8)[:, None]
    classes = tuple("0123") if labels else ()
    return Dataset(f"of_{value}", images, torch.arange(n) % 4 if labels else None, classes, source=source or f"{value}")


def joined(monkeypatch, *sets, **options):
    """Two sets joined, each of which is its own test split."""
    by_name = {data.name: data for data in sets}
    monkeypatch.setattr(two_sets, "load_data", lambda name, **_: (by_name[name], by_name[name]))
    monkeypatch.setattr(two_sets, "find_source", lambda name: (None, {}))
    monkeypatch.setattr(two_sets, "function_of", lambda source: lambda: None)
    return two_sets.two_sets(*by_name, **options)[0]


def drawn(data, kind=SourceTargetImages, n=16, seed=0):
    batches = Batches(data, kind, n, seed=seed)
    return [next(batches) for _ in range(6)]


def test_a_batch_has_the_labels_of_its_source_and_images_of_both(monkeypatch):
    data = joined(monkeypatch, digits(100), digits(200, 24))
    assert data.kinds == (SourceTargetImages, UnpairedImages)
    for batch in drawn(data):
        place = ((batch.source[:, 0, 0, 0] + 1) * 127.5).round().long()
        assert torch.equal(batch.label, place % 4)
        assert batch.source[:, 0, 1:].unique().item() == pytest.approx(100 / 127.5 - 1)
        assert batch.target[:, 0, 1:].unique().item() == pytest.approx(200 / 127.5 - 1)
    place = torch.cat([((batch.target[:, 0, 0, 0] + 1) * 127.5).round() for batch in drawn(data)])
    assert place[:24].unique().numel() == 24, "an epoch of the target is a permutation of its own"


def test_labels_of_the_target_are_in_no_batch(monkeypatch):
    """Permuted, they change nothing; the control permutes those of the source."""
    first = joined(monkeypatch, digits(100), digits(200))
    assert first.target_labels is not None
    other = dataclasses.replace(first, target_labels=first.target_labels.flip(0))
    wrong = dataclasses.replace(first, labels=first.labels.flip(0))
    batches, permuted, control = drawn(first), drawn(other), drawn(wrong)
    assert all(torch.equal(a, b) for x, y in zip(batches, permuted, strict=True) for a, b in zip(x, y, strict=True))
    assert not all(torch.equal(x.label, y.label) for x, y in zip(batches, control, strict=True))
    assert first.checksum() == other.checksum() != wrong.checksum()


def test_the_target_is_a_set_for_evaluation(monkeypatch):
    data = joined(monkeypatch, digits(100), digits(200, 24))
    assert torch.equal(data.target.images, digits(200, 24).images)
    assert torch.equal(data.target.labels, digits(200, 24).labels)
    assert Images in data.target.kinds
    assert joined(monkeypatch, digits(100), digits(200, labels=False)).target is None


def test_one_set_in_two_looks_is_cut_in_halves(monkeypatch):
    """MNIST and its negative: no digit is in both, so no pair can be learned from."""
    data = joined(monkeypatch, digits(100, source="same"), digits(200, source="same"))
    places = [set(half[:, 0, 0, 0].tolist()) for half in (data.images, data.second)]
    assert places == [set(range(0, 40, 2)), set(range(1, 40, 2))]
    assert torch.equal(data.target_labels, digits(200).labels[1::2])
    whole = joined(monkeypatch, digits(100, source="one"), digits(200, source="another"))
    assert len(whole) == len(whole.second) == 40


def test_both_have_the_channels_of_the_richer(monkeypatch):
    assert joined(monkeypatch, digits(100), digits(200, channels=3)).shape == (3, 8, 8)
    assert joined(monkeypatch, digits(100, channels=3), digits(200)).second.shape == (40, 8, 8, 3)
    assert joined(monkeypatch, digits(100), digits(200), channels=4).shape == (4, 8, 8)


def test_drawn_sets_without_a_network():
    train, test = load_data("glyphs+glyphs_coloured", size=(16, 16), characters="01")
    assert (train.name, train.shape, len(train), len(train.second)) == (
        "glyphs+glyphs_coloured",
        (3, 16, 16),
        1800,
        1800,
    )
    assert test.target is not None
    grey = train.images.float().std(3).max()
    assert grey == 0
    assert train.second.float().std(3).max() > 20


def pictures(folder, names, colour):
    rng = np.random.default_rng(len(names))
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, colour, (20, 20, 3), np.uint8)).save(path)


def test_two_folders_of_ones_own(tmp_path):
    pictures(tmp_path / "labelled", [f"{kind}/{i}.png" for kind in ("cats", "dogs") for i in range(20)], 100)
    pictures(tmp_path / "new", [f"{i}.png" for i in range(30)], 250)
    train, test = load_data(f"{tmp_path}/labelled+{tmp_path}/new", size=(16, 16))
    assert train.class_names == ("cats", "dogs")
    assert train.kinds == (SourceTargetImages, UnpairedImages)
    assert (len(train), len(train.second), len(test), len(test.second)) == (36, 27, 4, 3)
    assert train.target is None, "no labels are known"
    assert run_folder.choose("cogan", Options(data=f"{tmp_path}/labelled+{tmp_path}/new")).name == "cogan-labelled+new"
    (tmp_path / "a+b").mkdir()
    pictures(tmp_path / "a+b", [f"{i}.png" for i in range(20)], 250)
    assert load_data(f"{tmp_path}/a+b", size=(16, 16))[0].second is None, "a folder whose name has a +"


def test_what_is_refused():
    refused("one +", lambda: load_data("mnist+usps+glyphs"))
    refused("one +", lambda: load_data("+glyphs"))
    refused("no data set 'glyph'...glyphs", lambda: load_data("glyphs+glyph"))
    refused("has points", lambda: load_data("ring+grid"))
    refused("no plain set", lambda: load_data("glyphs+scenes_unpaired", size=(16, 16)))
    refused("my_labelled+my_other", lambda: load_data("glyphs", kind=SourceTargetImages, characters="01"))
