"""The contract, over every model there is: what the design asks of all of them is asked here of each."""

import ast
import dataclasses
import re
from pathlib import Path

import pytest
import torch

from ganarium import registry, testing
from ganarium.data.dataset import decode
from synthetic import ALL, images_only, trainer

ROOT = Path(registry.__file__).parent
SHAPES = [(1, 16, 16), (3, 20, 12), (4, 17, 23)]


def source(name):
    return (ROOT / "models" / f"{name}.py").read_text()


def test_every_model_has_a_small_form():
    assert all(hasattr(registry.module(name).Config, "small") for name in ALL)
    assert len(ALL) >= 7


@pytest.mark.parametrize("name", ALL)
def test_builds_and_samples_for_every_shape(name):
    for shape in SHAPES if images_only(name) else [*SHAPES, (2,)]:
        testing.check_samples(testing.Candidate(name, shape))


@pytest.mark.parametrize("name", ALL)
def test_the_file_has_a_card_and_explains_every_option(name):
    testing.check_file(testing.Candidate(name))


@pytest.mark.parametrize("name", ALL)
def test_rules_1_and_2_in_the_source(name):
    """No host synchronisation, and no yield inside `with`."""
    testing.check_source(testing.Candidate(name))


@pytest.mark.parametrize("name", ALL)
def test_rule_1_no_host_synchronisation_at_run_time(name):
    testing.check_no_synchronisation(testing.Candidate(name))


@pytest.mark.parametrize("name", ALL)
def test_rule_3_only_the_named_player_moves(name):
    for shape in [(1, 16, 16)] if images_only(name) else [(1, 16, 16), (2,)]:
        testing.check_moves(testing.Candidate(name, shape))


@pytest.mark.parametrize("name", ALL)
def test_rule_4_terms_are_full_precision_under_autocast(name):
    testing.check_precision(testing.Candidate(name))


@pytest.mark.parametrize("name", ALL)
def test_sampling_disturbs_nothing(name):
    testing.check_sampling(testing.Candidate(name))


@pytest.mark.parametrize("name", ALL)
def test_save_load_and_deepcopy(name):
    testing.check_saving(testing.Candidate(name))


@pytest.mark.parametrize("name", ALL)
def test_resume_is_bit_exact(name):
    testing.check_resuming(testing.Candidate(name))


def test_every_rule_is_asked_here():
    """What `check_model` asks of the model of a user."""
    text = Path(__file__).read_text()
    assert all(f"testing.{rule.__name__}(" in text for rule in testing.RULES)


@pytest.mark.parametrize("name", ALL)
def test_file_reads_like_its_paper(name):
    text, card = source(name), registry.card(name)
    assert len(text.splitlines()) <= 200
    assert max(map(len, text.splitlines())) <= 110
    assert "fmt: skip" not in text, "nothing is squeezed to fit"
    step = next(n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef) and n.name == "step")
    assert step.end_lineno - step.lineno < 30
    docstring = card["docstring"]
    assert card["arxiv"] in docstring
    assert str(card["year"]) in docstring
    assert "Losses" in docstring
    assert "Differences from the paper:" in docstring
    assert re.fullmatch(r"\d{4}\.\d{4,5}", card["arxiv"])
    assert card["idea"].endswith(".")
    order = ["PAPER = ", "class Config", "(Model):", "def step(", "def generate("]
    places = [text.find(mark) for mark in order if mark in text]
    assert places == sorted(places)


@pytest.mark.parametrize("name", [name for name in ALL if hasattr(registry.module(name).Config, "for_points")])
def test_old_runs_keep_the_preset_for_points(name):
    """Their options were written out as None or auto where a default was meant."""
    config = registry.module(name).Config
    written = {field.name: None for field in dataclasses.fields(config) if field.default is None}
    written |= {field.name: "auto" for field in dataclasses.fields(config) if field.default == "auto"}
    assert registry.make_config(name, written, (2,)) == config.for_points()


def test_none_is_a_value_where_the_default_is_another():
    assert registry.make_config("pixelrnn", {"clip_norm": None}).clip_norm is None


def test_the_trainer_knows_no_model():
    text = (ROOT / "trainer.py").read_text()
    assert len(text.splitlines()) <= 225
    assert len((ROOT / "model.py").read_text().splitlines()) <= 150
    assert not [name for name in ALL if re.search(rf"['\"]{name}['\"]", text)]
    assert "isinstance(model" not in text
    assert "isinstance(self.model" not in text


@pytest.mark.parametrize("name", ALL)
def test_bf16_learns_and_is_not_stale(name):
    """The first step in bf16 is near the one in fp32, and the terms move: stale cached weights would repeat them."""
    rows = {}
    for precision in ("fp32", "bf16"):
        made = trainer(name, precision=precision, total=8)
        for _ in made:
            pass
        rows[precision] = made.drain().rows
    terms = {key for row in rows["fp32"] for key in row if "/" in key}
    for key in terms:
        full, half = (
            torch.tensor([row[key] for row in rows[precision] if key in row]) for precision in ("fp32", "bf16")
        )
        assert abs(full[0] - half[0]) <= 0.05 * abs(full[0]) + 0.05, key
        if full.std() > 1e-4 * full.abs().mean():
            assert half.unique().numel() > min(2, len(half) - 1), f"{key} stands still in bf16"


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(
    ("name", "term", "options"), [("pixelrnn", "model/nll", {}), ("began", "D/real", {"lr": 2e-3})]
)
def test_bf16_lowers_a_loss_as_fp32_does(name, term, options, precision):
    """Images with a white half, which both models can learn at once."""
    made = trainer(name, precision=precision, total=40, **options)
    made.batches.images = torch.zeros_like(made.batches.images)
    made.batches.images[:, :, 8:] = 255
    for _ in made:
        pass
    losses = [row[term] for row in made.drain().rows]
    assert losses[-1] < 0.5 * losses[0]


def test_decoded_batches_keep_channels_last():
    images = torch.zeros(2, 5, 6, 3, dtype=torch.uint8)
    assert decode(images).is_contiguous(memory_format=torch.channels_last)
