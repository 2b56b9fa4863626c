"""`ganarium sample --z codes.npy`: codes of one's own, and what is no file of codes."""

import numpy as np
import pytest
import torch
from PIL import Image

import ganarium
from exported_models import lively, saved_run
from ganarium import cli, registry
from ganarium.model import Prior
from ganarium.pictures.latents import walk
from ganarium.studio.playing import directions


@pytest.fixture
def run(tmp_path):
    return saved_run(lively("gan", (1, 8, 8)), "gan", tmp_path / "run")


def test_the_codes_of_a_file_are_drawn(run, tmp_path):
    model = ganarium.load(run)
    codes = torch.randn(5, model.prior.dim)
    np.save(tmp_path / "mine.npy", codes.double().numpy())
    assert (
        cli.main(["sample", str(run), "--z", str(tmp_path / "mine.npy"), "--files", "--out", str(tmp_path / "o")]) == 0
    )
    drawn = sorted((tmp_path / "o" / "mine-seed0").glob("*.png"))
    assert len(drawn) == 5
    expected = ((model.sample(5, seed=0, latent=codes) + 1) * 127.5).round()
    for file, image in zip(drawn, expected, strict=True):
        assert np.abs(np.array(Image.open(file)).astype(int) - image[0].numpy()).max() <= 1
    assert (tmp_path / "o" / "grid-mine-seed0.png").exists()


@pytest.mark.parametrize(
    ("content", "flags", "words"),
    [
        (np.zeros((3, 7)), [], "latent must be a tensor of shape"),
        (np.zeros(100), [], "a row for each sample, not an array of shape (100,)"),
        (np.full((2, 100), np.nan), [], "not finite"),
        (np.array([["a"] * 100]), [], "as numbers"),
        (np.zeros((2, 100)), ["--gif"], "--gif draws codes of its own: leave --z away"),
        (None, [], "cannot be read as codes: give a .npy file"),
    ],
)
def test_what_is_no_file_of_codes_is_one_sentence(run, tmp_path, capsys, content, flags, words):
    file = tmp_path / "z.npy"
    if content is not None:
        np.save(file, content)
    assert cli.main(["sample", str(run), "--z", str(file), *flags, "--out", str(tmp_path / "o")]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert not (tmp_path / "o").exists()


def test_no_pickle_is_opened(run, tmp_path, capsys):
    np.save(tmp_path / "z.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert cli.main(["sample", str(run), "--z", str(tmp_path / "z.npy")]) == 2
    assert "cannot be read as codes" in capsys.readouterr().err


def test_a_prior_is_as_wide_as_it_says():
    for std in (1.0, 5.0):
        codes = Prior(3, std=std).draw(4000, torch.device("cpu"), torch.float32)
        assert codes.std().item() == pytest.approx(std, rel=0.05)
    model = registry.create("aae", (1, 8, 8), width=4)
    assert model.prior.std == 5
    assert model.latent(4000).std().item() == pytest.approx(5, rel=0.05)
    assert registry.create("aae", (1, 8, 8), 4, width=4, semi_supervised=True).prior.std == 1


class FirstNumber(torch.nn.Module):
    """An image of one grey that is a tenth of the first number of a code."""

    def forward(self, code):
        return (code[:, :1] / 10)[:, :, None, None].expand(-1, 1, 8, 8)


@pytest.mark.parametrize(("label", "centre"), [(0, 4), (2, -4)])
def test_walks_keep_to_the_codes_of_their_class(label, centre):
    """Where the prior has a part for each class: a ring of four Gaussians, of which two lie along the first number."""
    model = registry.create("aae", (1, 8, 8), 4, width=4, prior="mixture", labels_in_prior=True)
    model.generator = FirstNumber()
    first = 10 * walk(model, stops=6, frames=2, seed=0, label=label)[:, :, 0, 0, 0]
    assert first.mean().item() == pytest.approx(centre, abs=0.6)
    others = 10 * walk(model, stops=6, frames=2, seed=0)[:, :, 0, 0, 0]  # a class each
    assert sorted(others.mean(0).round().tolist()) == pytest.approx([-4, 0, 0, 4], abs=1)


@pytest.mark.parametrize("std", [1.0, 5.0])
def test_sliders_of_the_studio_go_by_standard_deviations(std):
    model = registry.create("aae", (1, 8, 8), width=4, latent_dim=3, prior_std=std)
    assert directions(model, None).norm(dim=1).tolist() == pytest.approx([std] * 3, rel=0.05)
