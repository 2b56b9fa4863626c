"""`ganarium evaluate` and `compare`: the numbers tell samples that are the data from samples that are not."""

import json
import re
import shutil
from dataclasses import replace

import pytest
import torch
from torch import nn

import ganarium
from ganarium import cli, evaluate, registry
from ganarium.data import load_data
from ganarium.data.dataset import Dataset, Images, decode, encode
from ganarium.data.sources.points import MODE_STD, mode_centres
from ganarium.errors import UserError
from ganarium.evaluation import measures
from ganarium.evaluation.features import images_of, network_for, pairs_of
from ganarium.evaluation.measures import class_metrics, evaluate_model, feature_metrics, quick_measure
from ganarium.evaluation.result import compare
from ganarium.model import Model
from synthetic import small_options

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
    monkeypatch.setattr(measures.streams, "samples", lambda model, n, **_: iter(images[:n].split(100)))
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
    """Label 1 of four characters is '7', and class 7 of the judge; what it has no name for is not measured. The word is
    the judge's, even where the model itself says 0 of everything."""
    train, _ = load_data("glyphs", characters="17AZ")
    images = decode(train.images)
    drawn = lambda model, n, seed, label: iter([images[train.labels == label][:n]])  # noqa: E731
    monkeypatch.setattr(measures.streams, "samples", drawn)
    monkeypatch.setattr(measures.streams, "classes", lambda model: ("label", 4))
    judge, model = network_for("glyphs", 1, "auto", torch.device("cpu")), Stub(images)
    model.conditional = model.classifies = True
    model.classify = lambda image: torch.zeros(len(image), dtype=torch.int64)  # wrong, and never asked
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
    images = decode(test.images[:1000]).contiguous()
    good = measured(monkeypatch, "stacked_mnist", images, n=1000, size=(28, 28))
    grey = measured(monkeypatch, "stacked_mnist", images[:, :1].expand(-1, 3, -1, -1), n=1000, size=(28, 28))
    expected = len({int(label) for label in test.labels[:1000]})
    assert good["modes"] == pytest.approx(expected, rel=0.02)
    assert grey["modes"] < 30
    assert grey["reverse_kl"] > 3 > good["reverse_kl"]


@pytest.mark.parametrize("name", ["ring", "info", "dc", "cycle"])
def test_a_run_is_measured_and_left_as_it_was(runs, name):
    before = {path: path.read_bytes() for path in runs.glob(f"{name}/checkpoints/**/*") if path.is_file()}
    actual = evaluate(runs / name, n=200, device="cpu")
    assert evaluate(runs / name, n=200, device="cpu") == actual  # the same seed, the same numbers
    assert evaluate(runs / name, n=200, seed=1, device="cpu").values != actual.values
    assert all(isinstance(value, int | float) and abs(value) < 1e6 for value in actual.values.values())
    assert actual.protocol.num_fake in (200, 400)
    assert {path: path.read_bytes() for path in before} == before
    keys = {"ring": "modes", "info": "code_accuracy", "dc": "inception_score", "cycle": "b2a/kernel_distance_of_inputs"}
    assert keys[name] in actual.values
    assert ("code_accuracy" in actual.values) == (name == "info")


def test_what_cannot_be_compared_is_refused(runs):
    one, other = (evaluate(runs / name, n=150, device="cpu") for name in ("info", "dc"))
    table = compare({"info": one, "dc": other})
    assert "frechet_distance" in table
    assert str(one.protocol) in table
    with pytest.raises(UserError, match="num_fake 150 and 160"):
        compare({"info": one, "dc": evaluate(runs / "dc", n=160, device="cpu")})
    with pytest.raises(UserError, match="different data"):
        compare({"info": one, "ring": evaluate(runs / "ring", n=150, device="cpu")})


@pytest.mark.parametrize(
    ("name", "n"), [("dcgan", 0), ("dcgan", 5), ("dcgan", True), ("dcgan", 7.0), ("gan", 1), ("srgan", 0)]
)
def test_a_number_of_samples_that_cannot_be_measured_is_refused(name, n):
    shape = (2,) if name == "gan" else (3, 32, 32)
    model = registry.create(name, shape, **small_options(name))
    data = Dataset("noise", torch.zeros(20, 2) if name == "gan" else torch.zeros(20, 32, 32, 3, dtype=torch.uint8))
    least = {"srgan": 1, "gan": 2}.get(name, 6)
    with pytest.raises(UserError, match=f"a whole number of at least {least}, not {n!r}"):
        evaluate_model(model, data, data, n=n)


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
    assert re.search(r"150 real of [0-9a-f]{8}, 150 generated, held out [0-9a-f]{8}, seed 0", said)
    (written,) = (runs / "dc/evaluations").glob("*.json")
    assert json.loads(written.read_text())["values"]["coverage"] >= 0
    both = ["compare", str(runs / "dc"), str(runs / "info"), "--n", "150", "--device", "cpu"]
    assert cli.main(both) == 0
    assert cli.main(["compare", str(runs / "dc"), str(runs / "ring"), "--device", "cpu", "--n", "150"]) == 2
    assert "different data" in capsys.readouterr().err
    assert cli.main(["evaluate", str(runs / "nothing")]) == 2


@pytest.mark.parametrize(("run", "data"), [("dc", "glyphs"), ("cycle", "scenes_unpaired")])
def test_a_protocol_names_the_held_out_images_too(run, data, runs):
    """Copies are counted beside them, and maps begin with them."""
    result = evaluate(runs / run, n=150, device="cpu")
    options = {"characters": "digits"} if data == "glyphs" else {"size": (16, 16)}
    train, test = load_data(data, **options)
    assert result.protocol.reference == train.checksum()[:16]
    assert result.protocol.held_out == test.checksum()[:16] != result.protocol.reference
    other = replace(result, protocol=replace(result.protocol, held_out="0123456789abcdef"))
    with pytest.raises(UserError, match="held_out"):
        compare({"one": result, "other": other})


def test_numbers_are_beside_images_as_they_lie_in_the_set_though_training_mirrors_them():
    train, _ = load_data("glyphs_coloured", size=(16, 16))
    (as_it_is,) = images_of(train, 40, 0)
    (mirrored,) = images_of(replace(train, mirror=True), 40, 0)
    assert torch.equal(as_it_is, mirrored)
    unpaired, _ = load_data("scenes_unpaired", size=(16, 16))
    pairs = [next(pairs_of(replace(unpaired, mirror=mirror), 40, 0)) for mirror in (False, True)]
    assert all(torch.equal(*images) for images in zip(*pairs, strict=True))


def test_the_advice_on_images_is_of_the_step_and_of_all_domains(runs, capsys, monkeypatch, tmp_path):
    run = tmp_path / "dc"
    shutil.copytree(runs / "dc", run)
    looks = [{"step": step, "player": "D", "gap": 0.1, "apart": apart} for step, apart in ((2, 0.9), (99, 0.5))]
    (run / "memory.jsonl").write_text("".join(json.dumps(look) + "\n" for look in looks))
    result = evaluate(run, n=150, device="cpu")
    values = result.values | {"a/copied_share": 0.0, "b/copied_share": 0.02}
    monkeypatch.setattr("ganarium.api.evaluate", lambda *_, **__: replace(result, values=values))
    assert cli.main(["evaluate", str(run)]) == 0
    said = capsys.readouterr().out
    assert "more images would help, or --augment diff: D scores a training image above an unseen one in 90% of" in said
    values["b/copied_share"] = 0.5
    assert cli.main(["evaluate", str(run)]) == 0
    assert "more images would help: 50% of the samples are copies" in capsys.readouterr().out


# --- which side, which split, which seed: values by hand


def on_a_line():
    """Reals at 0, 1 ... 9 of a line, and as many fakes crowded at -0.3."""
    return torch.arange(10.0).double()[:, None], -0.3 - 1e-3 * torch.arange(10.0).double()[:, None]


ON_A_LINE = {
    "nearest_neighbour_real": 0.9,  # the real at 0 alone has a fake as its nearest neighbour
    "nearest_neighbour_fake": 1.0,
    "precision": 1.0,  # the ball of the real at 0 reaches as far as its third neighbour
    "recall": 0.0,
    "density": 0.6,  # fakes are in the balls of 0, 1 and 2 alone, which reach to the fifth neighbour: 3 * 10 / (5 * 10)
    "coverage": 0.3,  # three of ten balls
}


def test_reals_and_fakes_are_told_apart():
    """Control: the two sides in the other order, which sets that are alike do not show."""
    real, fake = on_a_line()
    values, turned = feature_metrics(real, fake, 0), feature_metrics(fake, real, 0)
    assert {name: values[name] for name in ON_A_LINE} == pytest.approx(ON_A_LINE)
    assert all(turned[name] != pytest.approx(value, abs=0.05) for name, value in ON_A_LINE.items())


def test_points_and_quick_counts_have_the_same_sides(monkeypatch):
    real, fake = on_a_line()
    points = [torch.cat([side, 0 * side], 1).float() for side in (real, fake)]
    train, test = Dataset("toy", points[0]), Dataset("toy", points[0] + 50)
    monkeypatch.setattr(measures.streams, "samples", lambda model, n, **_: iter([points[1][:n]]))
    values, _ = evaluate_model(Stub(points[1]), train, test)
    assert (values["nearest_neighbour_real"], values["nearest_neighbour_fake"]) == pytest.approx((0.9, 1.0))
    measure = measures.ImageMeasure(Stub(torch.zeros(1, 1, 8, 8)), images_at([0.5] * 10), 10)
    monkeypatch.setitem(vars(measure), "real", real)
    monkeypatch.setattr(measure, "read", lambda count: fake)
    assert measure.quick()["coverage"] == pytest.approx(0.3)


def test_the_frechet_distance_is_of_equally_many():
    """Of the first of each: fakes that are their reals moved by 3 are 9 away, however far off those are that are left
    over on either side."""
    first = torch.randn(60, 4, generator=torch.Generator().manual_seed(0)).double()
    moved = first + torch.tensor([3.0, 0, 0, 0])
    for real, fake in ((torch.cat([first, first + 100]), moved), (first, torch.cat([moved, first + 100]))):
        assert feature_metrics(real, fake, 0)["frechet_distance"] == pytest.approx(9, rel=1e-9)


def images_at(levels, *, noise=0.0, **more):
    """A split of grey 8x8 images of these levels in [-1, 1], with seeded noise."""
    generator = torch.Generator().manual_seed(0)
    level = torch.as_tensor(levels)[:, None, None, None]
    return Dataset("toy", encode(level + noise * torch.randn(len(levels), 1, 8, 8, generator=generator)), **more)


class Weighs(Model):
    """A model whose -log p of an image is 2 + its mean level, and which says 1 of bright images and 0 of dark ones."""

    has_likelihood = classifies = True

    def __init__(self):
        super().__init__(None, (1, 8, 8), 2)
        self.weight = nn.Parameter(torch.zeros(()))

    def nll(self, image):
        return 2 + image.flatten(1).mean(1)

    def class_logits(self, image):
        return torch.stack([-image, image], 1).flatten(2).mean(2)


def test_samples_are_held_against_training_images_and_what_needs_no_sample_against_test_images(monkeypatch):
    """Training images are dark and test images bright; both are labelled 1, which is wrong of the dark ones."""
    label = {"labels": torch.ones(40, dtype=torch.int64), "class_names": ("a", "b")}
    train, test = (images_at([level] * 40, noise=0.1, **label) for level in (-0.7, 0.7))
    distance = {}
    for name, split in (("train", train), ("test", test)):
        samples = decode(split.images)
        monkeypatch.setattr(measures.streams, "samples", lambda model, n, images=samples, **_: iter([images[:n]]))
        values, _ = evaluate_model(Weighs(), train, test)
        distance[name] = values["wasserstein_distance"]
        assert values["nll_nats"] == pytest.approx(2.7, abs=0.05)
        assert values["test_accuracy"] == 1
    assert distance["train"] == pytest.approx(0, abs=1e-4)
    assert distance["test"] > 0.1
    points = [Dataset("toy", torch.randn(40, 2, generator=torch.Generator().manual_seed(0)) + at) for at in (0, 9)]
    monkeypatch.setattr(measures.streams, "samples", lambda model, n, **_: iter([points[0].images.flip(0)]))
    assert evaluate_model(Stub(points[0].images), *points)[0]["wasserstein_distance"] == pytest.approx(0, abs=1e-6)
    assert quick_measure(Stub(points[0].images), *points).quick()["wasserstein_distance"] == pytest.approx(0, abs=1e-6)
    quick = quick_measure(Stub(decode(train.images)), train, test)
    own = quick.network.features(decode(train.images)).cpu()
    assert torch.cdist(quick.real.double(), own.double()).amin(1).max() < 1e-3, "training images"
    assert quick_measure(Weighs(), train, test).quick()["nll_nats"] == pytest.approx(2.7, abs=0.05)


def test_translations_are_held_against_the_other_domain_with_reals_first():
    """a2b maps every held-out image to one training image of B: precision 1 and recall 1 / 40. b2a maps to images of A
    that are all different: 1 and 1. The domains are far apart, and so are the splits."""

    def domain(x, y):
        return torch.randn(40, 2, generator=torch.Generator().manual_seed(x)) + torch.tensor([10.0 * x, 100.0 * y])

    train = Dataset("toy", domain(0, 0), second=domain(1, 0))
    test = Dataset("toy", domain(2, 1), second=domain(3, 1))
    seen = {"a2b": [], "b2a": []}

    class Maps(Model):
        directions = ("a2b", "b2a")

        def translate(self, image, *, direction=None):
            seen[direction] += image.tolist()
            if direction == "b2a" and len(seen["b2a"]) <= 40:
                return train.images[len(seen["b2a"]) - len(image) :][: len(image)]
            return train.second[:1].expand(len(image), -1)

    values, protocol = evaluate_model(Maps(None, (2,)), train, test)
    assert protocol.num_fake == 40
    assert (values["a2b/precision"], values["a2b/recall"]) == pytest.approx((1.0, 1 / 40))
    assert (values["b2a/precision"], values["b2a/recall"]) == (1.0, 1.0)
    assert sorted(seen["a2b"][:40]) == sorted(test.images.tolist())  # after them come the ways there and back
    assert sorted(seen["b2a"][:40]) == sorted(test.second.tolist())
    own = {"a2b": (train.second, test.images), "b2a": (train.images, test.second)}
    for direction, (real, source) in own.items():
        expected = measures._kernel_distance(real, source, 0)
        assert values[f"{direction}/kernel_distance_of_inputs"] == pytest.approx(expected, rel=1e-6)


def test_half_of_the_digits_have_a_mode_score_of_two_and_a_half(monkeypatch):
    """exp(log 5 - log 2): five classes are told, and of ten that the data have five are missing. The other order of
    reals and samples has an infinite divergence, and a score near 0."""
    _, test = load_data("glyphs", characters="digits")
    low = decode(test.images[(test.labels < 5).nonzero().flatten()])
    samples = low[torch.randperm(len(low), generator=torch.Generator().manual_seed(0))[:400]]
    values = measured(monkeypatch, "glyphs", samples, characters="digits")
    assert values["mode_score"] == pytest.approx(2.5, abs=0.25)
    assert values["inception_score"] == pytest.approx(5, abs=0.4)
    assert values["inception_score_of_reals"] == pytest.approx(10, abs=0.8)


@pytest.mark.parametrize("name", ["ring", "grid"])
def test_points_four_deviations_away_hit_no_mode(name):
    centres = mode_centres(name)
    for deviations, modes, share in ((4, 0, 0.0), (2, len(centres), 1.0)):
        points = centres + deviations * MODE_STD[name] * torch.tensor([0.6, 0.8])
        coverage = measures.known_mode_coverage(points, name)
        assert (coverage.covered, coverage.high_quality) == (modes, share)


def test_another_seed_draws_other_reals_and_other_samples(monkeypatch):
    """Of every measure: the same seed the same ones, another seed others. `evaluate_model` hands its seed to all."""
    data = images_at([0.0] * 40, noise=0.3, labels=torch.arange(40) % 2, class_names=("a", "b"))
    pairs = replace(data, labels=None, second=data.images.flip(0), paired=True)
    points = Dataset("toy", torch.randn(40, 2, generator=torch.Generator().manual_seed(0)))
    enlarges = registry.create("srgan", (1, 8, 8), scale=2, width=2, num_blocks=1, discriminator_width=2)
    enlarges.batch_type = Images
    options = small_options("context_encoder") | {"regions": "random"}
    fills = registry.create("context_encoder", (1, 32, 32), **options)
    larger = Dataset("toy", data.images.repeat(1, 4, 4, 1))
    maps = Stub(torch.zeros(1, 1, 8, 8))
    maps.directions = ("a2b",)
    stub = Stub(torch.zeros(1, 1, 8, 8))
    kinds = {
        "images": lambda seed: measures.ImageMeasure(stub, data, 20, seed).real,
        "points": lambda seed: measures.PointMeasure(Stub(points.images), points, 20, seed).real,
        "translation": lambda seed: torch.cat(measures.TranslationMeasure(maps, pairs, pairs, 20, seed).real),
        "enlargement": lambda seed: measures.RestorationMeasure(enlarges, data, 20, seed).real,
        "holes": lambda seed: measures.InpaintingMeasure(fills, larger, 20, seed).real,
        "where holes are": lambda seed: measures.InpaintingMeasure(fills, larger, 20, seed).masks.double(),
        "likelihood": lambda seed: measures.LikelihoodMeasure(Weighs(), data, 20, seed).read(20),
    }
    for name, real in kinds.items():
        assert torch.equal(real(3), real(3)), name
        assert not torch.equal(real(3), real(4)), name
    asked, likelihood = [], measures.LikelihoodMeasure

    def samples(model, n, *, seed, **_):
        asked.append(seed)
        return iter([points.images[:n] if len(model.shape) == 1 else decode(data.images[:n])])

    monkeypatch.setattr(measures.streams, "samples", samples)
    monkeypatch.setattr(measures, "LikelihoodMeasure", lambda *args: asked.append(args[-1]) or likelihood(*args))
    _, protocol = evaluate_model(Weighs(), data, data, n=20, seed=5)
    assert (protocol.seed, asked) == (5, [5, 5])
    asked.clear()
    evaluate_model(Stub(points.images), points, points, n=20, seed=6)
    assert asked == [6]


def test_the_images_of_a_measure_are_drawn_and_not_the_first_of_the_file():
    data = images_at(torch.linspace(-1, 1, 200))
    levels = torch.cat([*images_of(data, 50, 0)])[:, 0, 0, 0]
    assert len(levels.unique()) == 50
    assert levels.max() > 0.8, "the first fifty end at -0.5"


def test_raw_weights_are_those_that_are_measured(tmp_path):
    """The averages are samples of another kind than the weights: here weights that make white and averages black."""
    options = {"data": "glyphs", "characters": "01", "size": 16, "steps": 2, "batch_size": 8, "labels_per_class": 4}
    small = {"width": 8, "classifier_width": 2, "num_pretraining_steps": 0, "pseudo_start": 0}
    ganarium.train("triple_gan", out=str(tmp_path / "run"), **options, **small, **SMALL)
    averaged, raw = (evaluate(tmp_path / "run", n=120, raw=raw, device="cpu").values for raw in (False, True))
    for chosen, values in ((False, averaged), (True, raw)):
        model = ganarium.load(tmp_path / "run", raw=chosen, device="cpu")
        expected = evaluate_model(model, *load_data("glyphs", characters="01", size=(16, 16)), n=120)[0]
        assert values == pytest.approx(expected)
    assert averaged["test_accuracy"] != raw["test_accuracy"]
