"""The harness of the proofs: a control that passes proves nothing, results are whole, and committed ones still hold."""

import hashlib
import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
import proof_table

from ganarium import cli, registry
from ganarium.data import SOURCES
from ganarium.data.dataset import Dataset
from ganarium.errors import UserError
from ganarium.proofs import prove as harness
from ganarium.proofs.changes import Change, ChangeOptions, OtherModel
from ganarium.proofs.claim import SCALES, Claim, Scale, as_values, at_least, at_most, list_proofs, load_claim
from ganarium.proofs.measures.likelihood import ExactLikelihood, ThresholdedLikelihood, nearest_ten, parzen
from ganarium.proofs.measures.points import ModeCoverage
from ganarium.proofs.thresholds import Bound, difference_in_words, gain_of, level_of

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results" / "proofs"
FOUNDATION = ("began", "cyclegan", "dcgan", "gan", "infogan", "pixelrnn", "wgan_gp")
KEYS = {
    "model",
    "claim",
    "scale",
    "seeds",
    "values",
    "control",
    "baselines",
    "threshold",
    "passed",
    "protocol",
    "command",
    "environment",
    "digest",
}
LOW = Scale("toy", 1).requires(at_most(error=0.1))
GOOD = Scale("toy", 1).requires(at_least(accuracy=0.89))


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
def test_verdicts(model, control, passed):
    assert harness.verdict_on(LOW, runs(*model), runs(*control))["passed"] == passed


def test_a_control_need_miss_only_one_of_the_thresholds():
    scale = replace(LOW, held_to={**LOW.held_to, **at_least(modes=7)})
    good, bad = [{"error": 0.0, "modes": 8}], [{"error": 0.0, "modes": 3}]
    verdict = {"model_holds": True, "control_holds": False, "passed": True}
    assert harness.verdict_on(scale, good, bad) == verdict
    assert harness.verdict_on(scale, good, good) == verdict | {"control_holds": True, "passed": False}


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
    own, other = ([{"accuracy": value} for value in values] for values in (model, control))
    assert harness.verdict_on(GOOD, own, other)["passed"]
    assert harness.verdict_on(replace(GOOD, gain="accuracy"), own, other)["passed"] == passed


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
    own = [{"accuracy": value} for value in (0.90, 0.92)]
    other = [{"accuracy": 0.5, "regularised": value} for value in rival]
    level = ("accuracy", "regularised", 0.015)
    assert harness.verdict_on(replace(GOOD, level=level), own, other)["passed"] == passed


def test_a_level_in_numbers():
    actual = level_of("a", "b", 0.01, [{"a": 0.9}, {"a": 0.95}], [{"b": 0.92}, {"b": 0.94}])
    assert actual["pairs"] == pytest.approx([-0.02, 0.01])
    assert (actual["mean"], actual["holds"]) == (pytest.approx(-0.005), True)
    assert difference_in_words(actual) == "-0.02, +0.01, -0.005 on average; margin 0.01"


def test_most_of_three_is_their_median():
    most = Bound(at_most=0.1, over="most")
    assert most.held_by([0.0, 0.1, 5.0])
    assert not most.held_by([0.0, 0.2, 5.0])
    assert not most.held_by([0.0, None, 5.0])
    assert str(most) == "at most 0.1 (most seeds)"


@pytest.mark.parametrize("name", list_proofs())
def test_every_claim_is_whole(name):
    claim = load_claim(name)
    assert claim.model in registry.list_models()
    assert name.startswith(f"{claim.model}_")
    for words in (claim.text, claim.source, claim.control_text, claim.measure.text):
        assert words
        assert "unverified" not in words
    assert bool(claim.runs_beside) == bool(claim.beside_text)
    assert claim.scales
    assert set(claim.scales) <= set(SCALES)
    for scale in claim.scales.values():
        assert scale.held_to
        for change in (Change(), claim.control, *claim.runs_beside.values()):
            registry.make_config(*change.recipe(claim.model, scale.options))
    if "quick" in claim.scales:  # for everyone, with no network
        source = SOURCES[claim.scales["quick"].data]
        assert source.module in ("glyphs", "scenes", "points", "textures")


@pytest.mark.parametrize("model", FOUNDATION)
@pytest.mark.parametrize("scale", ["quick", "cpu"])
def test_every_model_of_the_foundation_has_a_proof(model, scale):
    assert harness.proofs_of(model, None, scale)


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.json")), ids=lambda path: path.stem)
def test_committed_results_are_those_of_the_claims_as_they_stand(path):
    """Thresholds that were moved after a result, or a result that was edited, are seen."""
    result = json.loads(path.read_text())
    assert set(result) >= KEYS
    claim = load_claim(result["name"])
    again = f"{path.name} is of an earlier form of its claim: run `{result['command']}`"
    assert harness.is_current(result, claim), again
    assert result["threshold"] == harness.in_words(claim, result["scale"])["threshold"]
    verdict = harness.verdict_on(claim.scales[result["scale"]], result["values"], result["control"])
    keys = ("passed", "model_holds", "control_holds", "gain", "level")
    assert [result.get(key) for key in keys] == [verdict.get(key) for key in keys]
    slow = ("pixelrnn_row_lstm", "pixelrnn_diagonal")  # they have one seed, as the page says
    assert len(result["values"]) == len(result["seeds"]) >= (1 if result["name"] in slow else 3)
    assert len(result["control"]) == len(result["seeds"][: claim.scales[result["scale"]].num_controls]) > 0
    assert path.with_suffix(".png").exists()


def test_the_page_opens_with_a_row_for_every_claim_that_was_judged():
    page = proof_table.page(proof_table.results())
    rows = [line for line in page.split("<a id=")[0].splitlines() if line.startswith("| [")]
    judged = {json.loads(path.read_text())["name"] for path in RESULTS.glob("*.json")}
    assert len(rows) == len(judged) == len(list_proofs())
    assert all(row.count(" | ") == 4 for row in rows)
    assert page.count("<details") == page.count("</details>") == len([*RESULTS.glob("*.json")])


def test_the_page_names_every_result_of_fewer_than_three_seeds():
    """Counted from the files: sentences by hand forgot some."""
    head = proof_table.page(proof_table.results()).split("| claim |")[0]
    for path in RESULTS.glob("*.json"):
        result = json.loads(path.read_text())
        fewer = len(result["control"]) < 3 or len(result["values"]) < 3
        assert (f"`{result['name']}`" in head) == fewer, path.name
    made_up = [{"name": "a", "values": [0], "control": [0]}, {"name": "b", "values": [0] * 3, "control": [0] * 2}]
    assert proof_table.exceptions([*made_up, made_up[0] | {"name": "c"}]) == (
        "\nOne seed has: model and control of `a`, `c`.\nTwo seeds have: the control of `b`."
    )
    assert proof_table.exceptions([{"name": "d", "values": [0] * 3, "control": [0] * 3}]) == ""


def test_a_result_of_a_claim_that_has_changed_is_named_on_the_page(tmp_path, monkeypatch):
    result = json.loads((RESULTS / "lsgan_modes-cpu.json").read_text()) | {"claim": "as it was"}
    monkeypatch.setattr(proof_table, "RESULTS", tmp_path)
    for digest, words in ((result["digest"], "passed"), ("another", "passed, of an earlier form of the claim")):
        (tmp_path / "lsgan_modes-cpu.json").write_text(json.dumps(result | {"digest": digest}))
        (known,) = proof_table.results()
        assert known["verdict"] == words
        assert (known["claim"] == "as it was") == (digest == "another")
        assert f"## lsgan_modes, cpu: {words}" in proof_table.page([known])


def numbers_digest(result):
    """Of the numbers of a result, of what is not finite and of verdicts, each in its place; sentences are left out."""

    def numbers(thing):
        if isinstance(thing, dict):
            return {key: numbers(value) for key, value in thing.items()}
        if isinstance(thing, list):
            return [numbers(value) for value in thing]
        return "" if isinstance(thing, str) else thing

    keys = (
        "seeds",
        "values",
        "control",
        "baselines",
        "gain",
        "level",
        "seconds",
        "passed",
        "model_holds",
        "control_holds",
    )
    own = {key: result[key] for key in keys if key in result}
    own["threshold"] = {bound["value"]: bound for bound in result["threshold"]}
    return hashlib.sha256(json.dumps(numbers(own), sort_keys=True).encode()).hexdigest()[:16]


@pytest.mark.parametrize(
    "line", (RESULTS.parent / "numbers.txt").read_text().splitlines(), ids=lambda line: line.split()[1]
)
def test_numbers_are_those_of_the_day_on_which_results_were_rewritten(line):
    """The digests are of the files as they were when claims were functions, on 2026-11-29; where a baseline was added
    since, with it. A proof that is run again has new numbers: then its line is deleted."""
    digest, path = line.split()
    assert numbers_digest(json.loads((RESULTS.parent / path).read_text())) == digest


def test_numbers_that_were_edited_would_be_seen():
    result = json.loads((RESULTS / "lsgan_modes-cpu.json").read_text())
    before = numbers_digest(result)
    assert numbers_digest(result | {"claim": "another sentence"}) == before
    result["values"][0]["w1"] += 1e-12
    assert numbers_digest(result) != before


MADE_UP = Claim(
    id="gan_made_up",
    model="gan",
    text="It learns.",
    source="none",
    control=ChangeOptions({"lr": 1e-9}),
    control_text="it cannot learn",
    measure=ModeCoverage(),
    quick=Scale("ring", 2, {"width": 4, "batch_size": 8}).requires(at_least(modes=1)),
)


@pytest.mark.parametrize(
    ("words", "same"),
    [
        ({"text": "It does learn.", "source": "a paper", "control_text": "it is too slow", "paper": "nothing"}, True),
        ({"quick": replace(MADE_UP.quick, steps=2.0)}, True),
        ({"runs_beside": {"slow": ChangeOptions({"lr": 1e-6})}, "beside_text": "slow: a run"}, True),
        ({"id": "gan_made_up_too"}, False),
        ({"quick": replace(MADE_UP.quick, steps=3)}, False),
        ({"quick": replace(MADE_UP.quick, settings={"width": 5, "batch_size": 8})}, False),
        ({"quick": MADE_UP.quick.requires(at_least(modes=2))}, False),
        ({"quick": replace(MADE_UP.quick, gain="modes")}, False),
        ({"control": ChangeOptions({"lr": 1e-8})}, False),
        ({"control": ChangeOptions({"lr": 1e-9}, num_steps=1)}, False),
        ({"control": OtherModel("lsgan", {})}, False),
        ({"measure": load_claim("wgan_div_modes").measure}, False),
    ],
)
def test_a_result_belongs_to_a_claim_by_its_values_and_not_by_its_sentences(words, same):
    result = {"scale": "quick", "digest": MADE_UP.digest("quick")}
    assert harness.is_current(result, replace(MADE_UP, **words)) == same


def test_values_of_a_claim_are_json_with_functions_by_their_names():
    claim = load_claim("pixelrnn_likelihood")
    control, measure = as_values([claim.control, claim.measure])
    assert (control, measure) == ({"ChangeModel": {"function": "see_the_pixel"}}, {"ExactLikelihood": {}})
    settings = {"width": 4.0, "batch_size": 8.0}
    held_to = {"modes": {"Bound": {"at_least": 1.0, "over": "every"}}}
    expected = {"data": "ring", "steps": 2.0, "settings": settings, "held_to": held_to}
    assert as_values(MADE_UP.quick) == {"Scale": expected}


def test_a_claim_of_ones_own_is_proven_in_this_process(tmp_path):
    """Its result says by which command it was made, and whose claim it is. Where the claim says so, fewer seeds have a
    control."""
    claim, said = replace(MADE_UP, quick=replace(MADE_UP.quick, num_controls=1)), []
    assert claim.digest("quick") != MADE_UP.digest("quick")
    result = harness.prove(claim, seeds=[7, 8], out=tmp_path, device="cpu", say=said.append, command="my own")
    assert not result["passed"]
    assert (result["name"], result["command"], len(said)) == ("gan_made_up", "my own", 3)
    assert (len(result["values"]), len(result["control"])) == (2, 1)
    assert set(result["baselines"]) == {"held_out_points", "untrained"}
    assert harness.is_current(json.loads((tmp_path / "gan_made_up-quick.json").read_text()), claim)


def test_a_control_may_have_steps_of_its_own():
    claim = replace(MADE_UP, control=ChangeOptions({}, num_steps=5))
    for role, steps in (("model", 2), ("control", 5)):
        experiment = claim.experiment("quick", 0, role)
        assert len([*claim.measure.training(experiment, experiment.train, every=1)]) == steps


def test_a_proof_from_the_command_line(here, capsys):
    """One seed of the quickest; what was done before a stop is not done again."""
    arguments = ["prove", "bgan", "--seeds", "100", "--device", "cpu"]
    assert cli.main(arguments) == 0
    said = capsys.readouterr().out
    assert "PASSED: model holds, control fails" in said
    assert "must be: coverage at least" in said
    result = json.loads((here / "proofs" / "bgan_discrete-quick.json").read_text())
    assert set(result) >= KEYS
    assert result["passed"] is True
    assert result["seeds"] == [100]
    assert result["control"][0]["coverage"] < result["values"][0]["coverage"]
    assert (here / "proofs" / "bgan_discrete-quick.png").stat().st_size > 5000
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
    monkeypatch.setattr(harness, "__version__", "another")
    harness.prove("pixelrnn_likelihood", "cpu", **known)
    assert len(tasks) == 3 + 5


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["prove"], "name a model, as in `ganarium prove wgan_gp`"),
        (["prove", "wgan_pg"], "there is no model 'wgan_pg'"),
        (["prove", "gan", "--scale", "huge"], "there is no scale 'huge': give quick, cpu."),
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
    with pytest.raises(UserError, match="set GANARIUM_DATA to the folder that holds lfw64/"):
        load_claim("began_balance").scales["cpu"].splits()


def test_listing_names_every_claim(capsys):
    assert cli.main(["prove", "--list"]) == 0
    said = capsys.readouterr().out
    for name in list_proofs():
        assert name in said


def test_the_ten_nearest_pixels_before_are_seen_and_no_other():
    lit = torch.zeros(49, 7, 7)
    lit.view(49, 49).fill_diagonal_(1)  # one pixel of each image
    cases = nearest_ten(lit)[:, 3, 3].view(7, 7)  # of the pixel in the middle
    assert (cases > 0).int().tolist() == [
        [0] * 7,
        [0, 0, 1, 1, 1, 0, 0],
        [0, 1, 1, 1, 1, 1, 0],
        [0, 1, 1, 0, 0, 0, 0],
        *[[0] * 7] * 3,
    ]
    assert sorted(cases[cases > 0].tolist()) == [2**bit for bit in range(10)]


@pytest.mark.parametrize("measure", [ExactLikelihood(), ThresholdedLikelihood()])
def test_the_table_of_ten_pixels_is_a_baseline_of_every_likelihood(measure):
    """Images of which two rows decide all that follow: pixels copy the one two rows above, which left and up miss."""
    torch.manual_seed(0)
    images = (torch.rand(400, 2, 8) < 0.5).float().repeat(1, 4, 1)
    nats = measure.counted(images[:300], images[300:])
    assert nats["table_of_ten_before"] < 30 < 0.75 * nats["table_of_left_and_up"]
    assert nats["pixels_by_themselves"] == pytest.approx(64 * math.log(2), rel=0.02)


def test_parzen_in_closed_form():
    """All samples at one point, all held-out images at one distance r in d dimensions: the best width of the ten is the
    one nearest r / sqrt(d), and the density is the Gaussian's."""
    samples = torch.full((50, 1, 4, 4), -1.0)
    test = Dataset("flat", torch.full((40, 4, 4, 1), 51, dtype=torch.uint8))  # 0.2 in [0, 1]
    widths = torch.logspace(-1, 0, 10)
    log_density = -16 * 0.2**2 / (2 * widths**2) - 16 * (widths.log() + 0.5 * math.log(2 * math.pi))
    assert parzen(samples, test, 0) == pytest.approx(log_density.max().item(), abs=1e-3)
