"""`ganarium sample --z codes.npy`: codes of one's own, and what is no file of codes."""

import numpy as np
import pytest
import torch
from PIL import Image

import ganarium
from exported_models import lively, saved_run
from ganarium import cli


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
