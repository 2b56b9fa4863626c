"""The judge of the demo, and the demo itself."""

import sys
from pathlib import Path

import pytest
import torch

import ganarium
from ganarium.cli.parameters import read_file
from ganarium.data import load_data
from ganarium.data.dataset import decode

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
from demo_judge import WEIGHTS, accuracy, confidence, load_judge, not_glyphs

SURE, SHARE = 0.9, 0.7  # the mark: 70 % of 200 samples read with a confidence above 0.9


def read_share(model):
    judge, _ = load_judge()
    return float((confidence(judge, model.sample(200, seed=0)) > SURE).double().mean())


def test_the_committed_judge_is_as_good_as_it_says():
    judge, facts = load_judge()
    _, test = load_data("glyphs", characters="digits")
    assert list(test.class_names) == facts["classes"]
    assert accuracy(judge, test) == pytest.approx(facts["test_accuracy"], abs=0.002)
    assert facts["test_accuracy"] >= 0.98
    assert WEIGHTS.stat().st_size < 700 * 1024


def test_the_judge_is_sure_of_digits_and_not_of_what_is_none():
    judge, _ = load_judge()
    _, test = load_data("glyphs", characters="digits")
    torch.manual_seed(0)
    digits = decode(test.images)
    share = {
        "digits": confidence(judge, digits),
        "noise": confidence(judge, torch.rand(200, 1, 32, 32) * 2 - 1),
        "scrambled": confidence(judge, not_glyphs(digits)),
    }
    share = {name: float((sure > SURE).double().mean()) for name, sure in share.items()}
    assert share.pop("digits") > 0.95
    assert max(share.values()) < SHARE / 2, share


def test_an_untrained_generator_fails_the_mark():
    for seed in range(3):
        torch.manual_seed(seed)
        assert read_share(ganarium.create("dcgan", (1, 32, 32))) < SHARE


@pytest.mark.slow
def test_the_demo_draws_digits_that_the_judge_reads(tmp_path):
    """`make demo` with its own options, on as many threads as there are cores."""
    options = read_file("demo.yaml")
    numbers = {key: int(options[key]) for key in ("batch_size", "sample_every")}
    words = {key: options[key] for key in ("data", "characters", "precision")}
    torch.set_num_threads(torch.get_num_threads() if torch.get_num_threads() > 1 else 2)
    minutes, lr = float(options["minutes"]), float(options["lr"])
    model = ganarium.train(options["model"], **words, **numbers, minutes=minutes, lr=lr, out=str(tmp_path / "demo"))
    assert minutes <= 3
    assert read_share(model) >= SHARE
