"""The harness of the proofs: a control that passes proves nothing, results are whole, and committed ones still hold."""

import json
import math
from pathlib import Path

import pytest
import torch

from ganarium import cli, registry
from ganarium.data import SOURCES
from ganarium.data.dataset import Dataset
from ganarium.errors import UserError
from ganarium.proofs import prove as harness
from ganarium.proofs.claim import SCALES, Bound, Scale, gain_of, level_in_words, level_of, list_proofs, load_proof
from ganarium.proofs.measures.parzen import parzen

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results" / "proofs"
FOUNDATION = ("began", "cyclegan", "dcgan", "gan", "infogan", "pixelrnn", "wgan_gp")
KEYS = {"model", "claim", "scale", "seeds", "values", "control", "baselines", "threshold", "passed", "protocol",
        "command", "environment"}  # fmt: skip
LOW = Bound(value="error", at_most=0.1)


def scale_of(*bounds, **words):
    return Scale(data="toy", steps=1, bounds=bounds, **words)


def runs(*errors):
    return [{"error": error} for error in errors]


@pytest.mark.parametrize(
    ("model", "control", "passed"),
    [
        ((0.05, 0.1), (0.2, 0.3), True),
        ((0.05, 0.11), (0.2, 0.3), False),  # every seed must hold it
        ((0.05, 0.1), (0.2, 0.09), False),  # a control that passes once proves nothing
        ((0.05, None), (0.2, 0.3), False),  # what is not finite holds nothing
        ((0.05, 0.1), (None, 0.3), True),
    ],
)
def test_judged(model, control, passed):
    assert harness.judged(scale_of(LOW), runs(*model), runs(*control))["passed"] == passed


def test_a_control_need_miss_only_one_of_the_thresholds():
    bounds = [LOW, Bound(value="modes", at_least=7)]
    good, bad = [{"error": 0.0, "modes": 8}], [{"error": 0.0, "modes": 3}]
    assert harness.judged(scale_of(*bounds), good, bad) == {"model": True, "control": False, "passed": True}
    assert harness.judged(scale_of(*bounds), good, good) == {"model": True, "control": True, "passed": False}


@pytest.mark.parametrize(
    ("model", "control", "passed"),
    [
        ((0.90, 0.92), (0.80, 0.84), True),  # by 0.09 on average, and the seeds are 0.04 apart
        ((0.90, 0.92), (0.76, 0.88), False),  # the same, and the seeds 0.12
        ((0.90, 1.00), (0.84, 0.88), False),  # the same, and the model's 0.1
        ((0.90, 0.92), (0.80, None), False),
    ],
)
def test_a_gain_must_be_more_than_the_spread_of_the_seeds(model, control, passed):
    bound = Bound(value="accuracy", at_least=0.89)
    own, other = ([{"accuracy": value} for value in values] for values in (model, control))
    assert harness.judged(scale_of(bound), own, other)["passed"]
    assert harness.judged(scale_of(bound, gain="accuracy"), own, other)["passed"] == passed


def test_a_gain_in_numbers():
    gain = gain_of("accuracy", [{"accuracy": 0.9}, {"accuracy": 0.95}], [{"accuracy": 0.8}, {"accuracy": 0.82}])
    assert gain["pairs"] == pytest.approx([0.1, 0.13])
    assert (gain["mean"], gain["spread"], gain["holds"]) == (pytest.approx(0.115), pytest.approx(0.05), True)
    assert not gain_of("accuracy", [{"accuracy": 0.9}, {"accuracy": 0.8}], [{"accuracy": 0.3}, {"accuracy": 0.81}])[
        "holds"
    ]


@pytest.mark.parametrize(
    ("rival", "passed"), [((0.91, 0.93), True), ((0.92, 0.94), False), ((0.89, 0.95), True), ((0.80, None), False)]
)
def test_a_rival_may_be_ahead_by_the_margin(rival, passed):
    bound = Bound(value="accuracy", at_least=0.89)
    own = [{"accuracy": value} for value in (0.90, 0.92)]
    other = [{"accuracy": 0.5, "regularised": value} for value in rival]
    level = ("accuracy", "regularised", 0.015)
    assert harness.judged(scale_of(bound, level=level), own, other)["passed"] == passed


def test_a_level_in_numbers():
    found = level_of("a", "b", 0.01, [{"a": 0.9}, {"a": 0.95}], [{"b": 0.92}, {"b": 0.94}])
    assert found["pairs"] == pytest.approx([-0.02, 0.01])
    assert (found["mean"], found["holds"]) == (pytest.approx(-0.005), True)
    assert level_in_words(found) == "-0.02, +0.01, -0.005 on average; margin 0.01"


def test_most_of_three_is_their_median():
    most = Bound(value="error", at_most=0.1, over="most")
    assert most.held_by([0.0, 0.1, 5.0])
    assert not most.held_by([0.0, 0.2, 5.0])
    assert not most.held_by([0.0, None, 5.0])
    assert str(most) == "error at most 0.1 (most seeds)"


@pytest.mark.parametrize("name", list_proofs())
def test_every_claim_is_whole(name):
    file = load_proof(name)
    claim = file.CLAIM
    assert claim.model in registry.list_models()
    assert name.startswith(claim.model)
    for words in (claim.text, claim.source, claim.control, claim.measure):
        assert words
        assert "unverified" not in words
    assert callable(file.measure)
    assert callable(file.baselines)
    assert set(claim.scales) <= set(SCALES)
    for scale in claim.scales.values():
        assert scale.bounds
        registry.make_config(claim.model, dict(scale.options))
    if "quick" in claim.scales:  # for everyone, with no network
        source = SOURCES[claim.scales["quick"].data]
        assert source.module in ("glyphs", "scenes", "drawn", "textures", "toys")


@pytest.mark.parametrize("model", FOUNDATION)
@pytest.mark.parametrize("scale", ["quick", "cpu"])
def test_every_model_of_the_foundation_has_a_proof(model, scale):
    assert harness.chosen(model, None, scale)


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.json")), ids=lambda path: path.stem)
def test_committed_results_are_those_of_the_claims_as_they_stand(path):
    """Thresholds that were moved after a result, or a result that was edited, are seen."""
    result = json.loads(path.read_text())
    assert set(result) >= KEYS
    claim = load_proof(result["name"]).CLAIM
    scale = claim.scales[result["scale"]]
    assert (result["claim"], result["control_is"]) == (claim.text, claim.control)
    assert result["threshold"] == harness.thresholds(scale.bounds)
    assert result["protocol"].startswith(scale.protocol())
    verdict = harness.judged(scale, result["values"], result["control"])
    assert result["passed"] == verdict["passed"]
    assert [result.get(key) for key in ("gain", "level")] == [verdict.get(key) for key in ("gain", "level")]
    assert len(result["values"]) == len(result["control"]) == len(result["seeds"]) >= 3
    assert path.with_suffix(".png").exists()


def test_a_proof_from_the_command_line(here, capsys):
    """One seed of the quickest; what was done before a stop is not done again."""
    arguments = ["prove", "pixelrnn", "--seeds", "100", "--device", "cpu"]
    assert cli.main(arguments) == 0
    said = capsys.readouterr().out
    assert "PASSED: model holds, control fails" in said
    assert "must be: nats at least" in said
    result = json.loads((here / "proofs" / "pixelrnn_likelihood-quick.json").read_text())
    assert set(result) >= KEYS
    assert result["passed"] is True
    assert result["seeds"] == [100]
    assert result["control"][0]["nats"] < result["values"][0]["nats"] < result["baselines"]["uniform"]["nats"]
    assert (here / "proofs" / "pixelrnn_likelihood-quick.png").stat().st_size > 5000
    assert not list((here / "proofs" / ".runs").iterdir())


def test_runs_that_are_done_are_taken_up_and_others_are_not(tmp_path, monkeypatch, real_data):
    tasks = []

    def answers(module, arguments, lines, most, lost):
        for line in lines:
            task = json.loads(line)
            tasks.append((task["role"], task["seed"]))
            if len(tasks) == 3:
                raise KeyboardInterrupt
            values = {"model": {"nats": 100.0}, "control": {"nats": 0.0}, "baselines": {"uniform": {"nats": 543.4}}}
            yield task | {"values": values[task["role"]], "seconds": 1.0}

    monkeypatch.setattr(harness, "answers", answers)
    known = {"seeds": [0, 1], "out": tmp_path, "device": "cpu", "say": lambda line: None}
    with pytest.raises(KeyboardInterrupt):
        harness.prove("pixelrnn_likelihood", "cpu", **known)
    result = harness.prove("pixelrnn_likelihood", "cpu", **known)
    assert tasks == [("model", 0), ("model", 1), ("control", 0), ("control", 0), ("control", 1), ("baselines", 0)]
    assert result["passed"]
    assert result["seconds"] == 5
    tasks.clear()
    with pytest.raises(KeyboardInterrupt):
        harness.prove("pixelrnn_likelihood", "cpu", **known)
    monkeypatch.setattr(harness, "_digest", lambda *_: "other code")
    harness.prove("pixelrnn_likelihood", "cpu", **known)
    assert len(tasks) == 3 + 5


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["prove"], "name a model, as in `ganarium prove wgan_gp`"),
        (["prove", "wgan_pg"], "there is no model 'wgan_pg'"),
        (["prove", "gan", "--scale", "huge"], "there is no scale 'huge': give quick, cpu, gpu."),
        (["prove", "gan", "--claim", "nothing"], "gan has no proof 'nothing'"),
        (["prove", "gan", "--seeds", "one"], "seeds are whole numbers such as 0-2 or 5,7, not 'one'."),
        (["prove", "gan", "--seeds", "2,2"], "seeds must be different whole numbers"),
    ],
)
def test_bad_input_is_one_sentence(here, capsys, arguments, words):
    assert cli.main(arguments) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert not (here / "proofs").exists()


def test_real_images_that_are_absent_are_named(tmp_path, monkeypatch):
    monkeypatch.delenv("GANARIUM_DATA", raising=False)
    from ganarium.proofs.training import data_of

    with pytest.raises(UserError, match="set GANARIUM_DATA to the folder that holds lfw64/"):
        data_of(load_proof("began_balance").CLAIM.scales["cpu"])


def test_listing_names_every_claim(capsys):
    assert cli.main(["prove", "--list"]) == 0
    said = capsys.readouterr().out
    for name in list_proofs():
        assert name in said


def test_parzen_in_closed_form():
    """All samples at one point, all held-out images at one distance r in d dimensions: the best width of the ten is the
    one nearest r / sqrt(d), and the density is the Gaussian's."""
    samples = torch.full((50, 1, 4, 4), -1.0)
    test = Dataset("flat", torch.full((40, 4, 4, 1), 51, dtype=torch.uint8))  # 0.2 in [0, 1]
    widths = torch.logspace(-1, 0, 10)
    log_density = -16 * 0.2**2 / (2 * widths**2) - 16 * (widths.log() + 0.5 * math.log(2 * math.pi))
    assert parzen(samples, test, 0) == pytest.approx(log_density.max().item(), abs=1e-3)
