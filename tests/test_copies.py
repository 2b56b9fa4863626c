"""Copies as a number: planted memorisers are ranked, and single copies told from held-out images."""

import dataclasses
import io
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from ganarium import metrics, streams
from ganarium.data import load_data
from ganarium.data.batches import Batches
from ganarium.data.dataset import Images, UnpairedImages
from ganarium.evaluation.measures import DomainMeasure, ImageMeasure
from ganarium.metrics.copies import thumbnails
from ganarium.testing import small_trainer
from synthetic import refused


def shifted(images, pixels=2):
    """Right and down; the border is repeated."""
    return F.pad(images, (pixels, 0, pixels, 0), mode="replicate")[:, :, : images.shape[2], : images.shape[3]]


def compressed(images, quality=60):
    """Through a JPEG file."""
    results = []
    for image in images:
        file = io.BytesIO()
        pixels = ((image + 1) * 127.5).round().clamp(0, 255).byte().permute(1, 2, 0).numpy()
        Image.fromarray(pixels).save(file, "JPEG", quality=quality)
        results.append(torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1).float() / 127.5 - 1)
    return torch.stack(results)


DISGUISES = {
    "as they are": lambda x: x,
    "mirrored": lambda x: x.flip(3),
    "shifted": shifted,
    "compressed": compressed,
    "all of it": lambda x: compressed(shifted(x.flip(3))),
    "noisy": lambda x: x + 0.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0)),
}


def drawn(n, seed=0):
    """Images (n, 3, 64, 64) that were drawn, no two alike."""
    train, _ = load_data("glyphs_coloured", size=(64, 64), seed=seed)
    return Batches(train, Images, 1, seed=seed).draw(n).image


def photos(real_data, name, n):
    folder = {"faces": Path(real_data) / "lfw64", "flowers": Path(real_data) / "flowers102" / "images"}[name]
    train, _ = load_data(str(folder), size=(64, 64))
    return Batches(train, Images, 1, seed=1).draw(n).image


def area(copied, held_out):
    """Of the ROC curve: how often a copy has a lower score than a held-out image."""
    return float((copied[:, None] < held_out).double().mean() + (copied[:, None] == held_out).double().mean() / 2)


@pytest.mark.parametrize("name", ["faces", "flowers"])
def test_single_copies_of_photographs_are_told_from_held_out_ones(name, real_data):
    images = photos(real_data, name, 700)
    train, held_out = images[:500], images[500:]
    scores = metrics.copy_scores(held_out, train)
    for disguise, change in DISGUISES.items():
        assert area(metrics.copy_scores(change(train[:100]), train), scores) >= 0.95, disguise
    assert area(scores[:100], scores[100:]) == pytest.approx(0.5, abs=0.12)  # the control: no copies


@pytest.mark.parametrize("name", ["faces", "flowers"])
def test_memorisers_are_ranked_on_five_seeds(name, real_data):
    images = photos(real_data, name, 1000)
    for seed in range(5):
        train, held_out, fresh = images[torch.randperm(1000, generator=torch.Generator().manual_seed(seed))].split(
            [500, 250, 250]
        )
        beside = metrics.copy_scores(held_out, train)
        shares = []
        for planted in (0, 25, 125):
            copies = DISGUISES["all of it"](train[:planted]) if planted else train[:0]
            samples = torch.cat([copies, fresh[planted:]])
            shares.append(metrics.copied_share(metrics.copy_scores(samples, train), beside))
        assert shares[0] < shares[1] < shares[2]
        assert shares[0] <= 0.06
        assert shares[1] == pytest.approx(0.1, abs=0.06)
        assert shares[2] == pytest.approx(0.5, abs=0.06)


def test_scores_by_hand():
    """Seven grey images, each flat: distances are those of their levels."""
    train = torch.tensor([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]).view(-1, 1, 1, 1).expand(-1, 1, 4, 4)
    queries = torch.tensor([0.0, -0.1, 0.31]).view(-1, 1, 1, 1).expand(-1, 1, 4, 4)
    # of an image that is its own mirror image, each training image counts twice: the sixth nearest is the third
    expected = [0.0, 0.1 / 0.3, 0.01 / 0.11]
    assert metrics.copy_scores(queries, train).tolist() == pytest.approx(expected, abs=1e-6)
    assert metrics.copy_scores(queries[:1], train[:1].expand(9, -1, -1, -1)).item() == 0
    held_out = torch.linspace(0.5, 1, 100)
    assert metrics.copied_share(torch.full((50,), 0.9), held_out) == 0
    half = torch.cat([torch.zeros(50), torch.full((50,), 0.9)])
    assert metrics.copied_share(half, held_out) == pytest.approx((0.5 - 0.05) / 0.95)
    refused("20 held-out", lambda: metrics.copied_share(half, held_out[:3]))
    refused("one size", lambda: metrics.copy_scores(queries, train[:, :, :3]))


def test_bad_scores_and_images_are_told():
    """Scores of NaN are no copies and no samples either."""
    held_out, nothing = torch.linspace(0.5, 1, 100), torch.full((30,), math.nan)
    half = torch.cat([torch.zeros(50), torch.full((50,), 0.9)])
    train = torch.rand(20, 3, 8, 8)
    refused("30 of the 30 numbers of scores are NaN", lambda: metrics.copied_share(nothing, held_out))
    refused("numbers of held_out are NaN", lambda: metrics.copied_share(half, nothing))
    refused("at least 1 sample", lambda: metrics.copied_share(half[:0], held_out))
    refused("a number per image", lambda: metrics.copied_share(half[:, None], held_out))
    assert metrics.copied_share(half.tolist(), held_out.numpy()) == metrics.copied_share(half, held_out)
    pixels = (train * 255).to(torch.uint8)
    same = metrics.copy_scores(pixels[:3], pixels)
    assert float(same.max()) < 1e-3
    assert metrics.copy_scores(pixels[:3].tolist(), pixels.numpy()).equal(same)
    refused("floats, or both whole numbers, not uint8 and float32", lambda: metrics.copy_scores(pixels, train))
    refused("of the images are NaN", lambda: metrics.copy_scores(torch.full_like(train, math.nan), train))


def test_thumbnails_keep_small_images():
    image = torch.rand(2, 3, 12, 64)
    assert thumbnails(image).shape == (2, 3, 12, 16)
    assert torch.allclose(thumbnails(image)[:, :, :, 0], image[:, :, :, :4].mean(3))
    assert torch.equal(thumbnails(thumbnails(image)), thumbnails(image))


def test_evaluation_tells_of_a_model_of_two_domains_that_repeats_one_of_them(monkeypatch):
    train, test = load_data("scenes_unpaired", size=(16, 16))
    model = small_trainer("cogan", (3, 16, 16)).model
    seen, other = (
        Batches(train, UnpairedImages, 1, seed=0).draw(100),
        Batches(test, UnpairedImages, 1, seed=0).draw(100),
    )
    by_turns = torch.stack([seen[0].flip(3), other[1]], 1).flatten(0, 1)
    monkeypatch.setattr(streams, "samples", lambda *_, **__: iter(by_turns.split(50)))
    first, second = model.domains
    values = DomainMeasure(model, train, test, 100).full()
    assert values[f"{first}/copied_share"] > 0.9
    assert values[f"{second}/copied_share"] < 0.1
    few = dataclasses.replace(test, images=test.images[:9], second=test.second[:9])
    assert not [name for name in DomainMeasure(model, train, few, 9).full() if "copied" in name], "held-out images"


def test_evaluation_tells_of_a_model_that_repeats_the_training_images(monkeypatch):
    train, test = load_data("glyphs_coloured", size=(32, 32))
    model = small_trainer("dcgan", (3, 32, 32)).model
    seen = Batches(train, Images, 1, seed=0).draw(150).image

    def shares(images):
        monkeypatch.setattr(streams, "samples", lambda *_, **__: iter(images.split(64)))
        return ImageMeasure(model, train, 150, test=test).full()["copied_share"]

    assert shares(seen.flip(3)) > 0.9
    assert shares(Batches(test, Images, 1, seed=5).draw(150).image) < 0.08
    monkeypatch.setattr(streams, "samples", lambda *_, **__: iter(seen.split(64)))
    assert "copied_share" not in ImageMeasure(model, train, 150).full()
