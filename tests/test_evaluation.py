"""`ganarium evaluate` and `compare`: the numbers tell samples that are the data from samples that are not."""

import json
from dataclasses import replace

import pytest
import torch

import ganarium
from ganarium import cli, evaluate
from ganarium.data import load_data
from ganarium.data.dataset import decode
from ganarium.errors import UserError
from ganarium.evaluation import measures
from ganarium.evaluation.features import network_for
from ganarium.evaluation.measures import class_metrics, evaluate_model, feature_metrics
from ganarium.evaluation.result import compare
from ganarium.model import Model

SMALL = {"threads": 1, "device": "cpu", "quiet": True}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Three small runs."""
    folder = tmp_path_factory.mktemp("runs")
    ganarium.train("gan", "ring", steps=30, width=16, out=str(folder / "ring"), **SMALL)
    data = {"data": "glyphs", "characters": "digits", "steps": 3}
    ganarium.train("infogan", noise_dim=4, batch_size=16, out=str(folder / "info"), **data, **SMALL)
    ganarium.train("dcgan", width=4, batch_size=16, out=str(folder / "dc"), **data, **SMALL)
    unpaired = {"data": "scenes_unpaired", "size": "16", "steps": 1, "width": 4, "num_blocks": 1}
    ganarium.train("cyclegan", out=str(folder / "cycle"), **unpaired, **SMALL)
    return folder


class Stub(Model):
    """A model that can only be sampled; `measured` gives the samples."""

    def __init__(self, images):
        super().__init__(None, tuple(images.shape[1:]))
        self.iteration = 7


def measured(monkeypatch, name, images, n=400, **options):
    """The values of samples that are handed in, measured as a run on a data set would be."""
    monkeypatch.setattr(measures.sampling, "samples", lambda model, n, **_: iter(images[:n].split(100)))
    return evaluate_model(Stub(images), *load_data(name, **options), n=n)[0]


def test_held_out_images_noise_and_one_image_repeated(monkeypatch):
    options = {"characters": "digits"}
    _, test = load_data("glyphs", **options)
    torch.manual_seed(0)
    real = decode(test.images[torch.randperm(len(test))[:400]]).contiguous()  # they lie in the order of the digits
    good = measured(monkeypatch, "glyphs", real, **options)
    noise = measured(monkeypatch, "glyphs", torch.rand_like(real) * 2 - 1, **options)
    same = measured(monkeypatch, "glyphs", real[:1].expand(400, -1, -1, -1), **options)
    for bad in (noise, same):
        for name in ("frechet_distance", "kernel_distance", "maximum_mean_discrepancy"):
            assert bad[name] > 3 * max(good[name], 0.01), name
        # between two sets of one distribution this is far from 0: 400 points are few in 96 dimensions
        assert bad["wasserstein_distance"] > 1.5 * good["wasserstein_distance"]
        assert bad["coverage"] < 0.1 < 0.8 < good["coverage"]
        assert bad["recall"] < 0.1 < 0.7 < good["recall"]
        assert bad["nearest_neighbour_fake"] > 0.9
    assert 0.4 < good["nearest_neighbour_real"] < 0.6
    assert same["inception_score"] == pytest.approx(1, abs=1e-4)
    assert good["inception_score"] == pytest.approx(good["inception_score_of_reals"], rel=0.1)
    assert good["mode_score"] > 2 * same["mode_score"]


def test_labels_are_held_against_the_names_of_the_judge(monkeypatch):
    """Label 1 of four characters is '7', and class 7 of the judge; what it has no name for is not measured."""
    train, _ = load_data("glyphs", characters="17AZ")
    images = decode(train.images)
    drawn = lambda model, n, seed, label: iter([images[train.labels == label][:n]])  # noqa: E731
    monkeypatch.setattr(measures.sampling, "samples", drawn)
    monkeypatch.setattr(measures.sampling, "classes", lambda model: ("label", 4))
    judge, model = network_for("glyphs", 1, "auto", torch.device("cpu")), Stub(images)
    model.conditional = True
    assert class_metrics(model, judge, train, 400, 0)["label_fidelity"] > 0.9
    others = replace(train, class_names=("7", "1", "Z", "A"))
    assert class_metrics(model, judge, others, 400, 0)["label_fidelity"] < 0.1
    assert class_metrics(model, judge, replace(train, class_names=("1", "7", "A", "zett")), 400, 0) == {}


def test_points_of_the_data_and_of_one_mode(monkeypatch):
    _, test = load_data("ring")
    points = test.images[:1000]
    good = measured(monkeypatch, "ring", points, n=1000)
    one = measured(monkeypatch, "ring", points[:1].expand(1000, -1), n=1000)
    assert (good["modes"], good["modes_of"], one["modes"]) == (8, 8, 1)
    assert good["high_quality"] == pytest.approx(0.989, abs=0.015)
    assert one["wasserstein_distance"] > 10 * good["wasserstein_distance"]


def test_stacked_digits_are_counted_a_channel_at_a_time(monkeypatch, real_data):
    _, test = load_data("stacked_mnist", size=(28, 28))
    images = decode(test.images[:3000]).contiguous()
    good = measured(monkeypatch, "stacked_mnist", images, n=3000, size=(28, 28))
    grey = measured(monkeypatch, "stacked_mnist", images[:, :1].expand(-1, 3, -1, -1), n=3000, size=(28, 28))
    expected = len({int(label) for label in test.labels[:3000]})
    assert good["modes"] == pytest.approx(expected, rel=0.02)
    assert grey["modes"] < 30
    assert grey["reverse_kl"] > 3 > good["reverse_kl"]


@pytest.mark.parametrize("name", ["ring", "info", "dc", "cycle"])
def test_a_run_is_measured_and_left_as_it_was(runs, name):
    before = {path: path.read_bytes() for path in runs.glob(f"{name}/checkpoints/**/*") if path.is_file()}
    found = evaluate(runs / name, n=200, device="cpu")
    assert evaluate(runs / name, n=200, device="cpu") == found  # the same seed, the same numbers
    assert evaluate(runs / name, n=200, seed=1, device="cpu").values != found.values
    assert all(isinstance(value, int | float) and abs(value) < 1e6 for value in found.values.values())
    assert found.protocol.num_fake in (200, 400)
    assert {path: path.read_bytes() for path in before} == before
    keys = {"ring": "modes", "info": "code_accuracy", "dc": "inception_score", "cycle": "b2a/kernel_distance_of_inputs"}
    assert keys[name] in found.values
    assert ("code_accuracy" in found.values) == (name == "info")


def test_what_cannot_be_compared_is_refused(runs):
    one, other = (evaluate(runs / name, n=150, device="cpu") for name in ("info", "dc"))
    table = compare({"info": one, "dc": other})
    assert "frechet_distance" in table
    assert str(one.protocol) in table
    with pytest.raises(UserError, match="num_fake 150 and 160"):
        compare({"info": one, "dc": evaluate(runs / "dc", n=160, device="cpu")})
    with pytest.raises(UserError, match="different data"):
        compare({"info": one, "ring": evaluate(runs / "ring", n=150, device="cpu")})


def test_unknown_features_and_no_inception(runs, monkeypatch, tmp_path):
    with pytest.raises(UserError, match=r"no features 'mnits'.*mnist"):
        evaluate(runs / "dc", n=150, features="mnits", device="cpu")
    monkeypatch.setenv("GANARIUM_CACHE", str(tmp_path))
    monkeypatch.delenv("GANARIUM_DATA", raising=False)
    with pytest.raises(UserError, match="inception"):
        network_for("mnist", 1, "inception", torch.device("cpu"))


def test_the_frechet_distance_is_left_out_where_it_is_not_defined():
    a, b = torch.randn(2, 60, 64, generator=torch.Generator().manual_seed(0)).unbind()
    assert "frechet_distance" not in feature_metrics(a, b, 0)
    assert "frechet_distance" in feature_metrics(a[:, :50], b[:, :50], 0)


def test_the_command_line(runs, capsys):
    assert cli.main(["evaluate", str(runs / "dc"), "--n", "150", "--device", "cpu"]) == 0
    said = capsys.readouterr().out
    assert "150 real, 150 generated" in said
    (written,) = (runs / "dc/evaluations").glob("*.json")
    assert json.loads(written.read_text())["values"]["coverage"] >= 0
    both = ["compare", str(runs / "dc"), str(runs / "info"), "--n", "150", "--device", "cpu"]
    assert cli.main(both) == 0
    assert cli.main(["compare", str(runs / "dc"), str(runs / "ring"), "--device", "cpu", "--n", "150"]) == 2
    assert cli.main(["evaluate", str(runs / "nothing")]) == 2
