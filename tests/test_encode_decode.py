"""`ganarium encode` and `decode`: a row for each picture and a picture for each row, and what is no code is named."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import ganarium
from ganarium import cli


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """An AAE of two steps on 8x8 images, and four pictures."""
    folder = tmp_path_factory.mktemp("codes")
    words = ["aae", "--data", "glyphs", "--characters", "01", "--size", "8", "--width", "8", "--latent-dim", "3"]
    assert cli.main(["train", *words, "--steps", "2", "--threads", "1", "--out", str(folder / "run")]) == 0
    (folder / "pictures").mkdir()
    for number in range(4):
        Image.new("L", (20, 16), 60 * number).save(folder / "pictures" / f"{number}.png")
    return folder


def test_codes_of_pictures_and_back(run, capsys):
    capsys.readouterr()
    assert cli.main(["encode", str(run / "run"), str(run / "pictures")]) == 0
    said = capsys.readouterr().out
    assert "codes.npy: 4 pictures, 3 numbers each" in said
    codes = np.load(run / "run" / "encoded" / "codes.npy")
    model = ganarium.load(run / "run")
    expected = torch.cat([model.encode(Image.open(run / "pictures" / f"{k}.png"))[None] for k in range(4)])
    assert codes.dtype == np.float32
    assert codes == pytest.approx(expected.numpy(), abs=1e-5)
    names = (run / "run" / "encoded" / "codes.txt").read_text().splitlines()
    assert [Path(name).name for name in names] == ["0.png", "1.png", "2.png", "3.png"]

    out = run / "made"
    for _ in range(2):  # nothing is overwritten
        assert cli.main(["decode", str(run / "run"), str(run / "run/encoded/codes.npy"), "--out", str(out)]) == 0
    made = sorted(file.name for file in out.iterdir())
    assert made == sorted(f"codes-{k}{again}.png" for k in range(4) for again in ("", "-2"))
    pixels = np.asarray(Image.open(out / "codes-2.png"))
    assert np.abs(pixels - (model.decode(expected[2])[0].cpu().numpy() + 1) * 127.5).max() <= 1


def test_one_code_is_one_picture_and_those_of_project_are_read(run, capsys):
    np.save(run / "one.npy", np.zeros(3))
    np.savez(run / "found.npz", code=np.ones(3, np.float32))
    out = run / "single"
    assert cli.main(["decode", str(run / "run"), str(run / "one.npy"), str(run / "found.npz"), "--out", str(out)]) == 0
    assert sorted(file.name for file in out.iterdir()) == ["found.png", "one.png"]


def test_no_codes_are_overwritten(run):
    for name in ("own.npy", "own-2.npy"):
        command = ["encode", str(run / "run"), str(run / "pictures" / "1.png"), "--out", str(run / "own.npy")]
        assert cli.main(command) == 0
        assert np.load(run / name).shape == (1, 3)
    (run / "mine.txt").write_text("mine")
    assert cli.main([*command[:-1], str(run / "mine.npy")]) == 0
    assert (run / "mine.txt").read_text() == "mine"
    assert (run / "mine-2.npy").exists()


def test_broken_files_are_named_and_passed_over(run, capsys, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    capsys.readouterr()
    words = ["encode", str(run / "run"), str(run / "pictures" / "3.png"), str(tmp_path / "broken.png")]
    assert cli.main([*words, "--out", str(tmp_path / "codes.npy")]) == 2
    said = capsys.readouterr()
    assert "broken.png" in said.err
    assert "passed over" in said.err
    assert "1 picture, 3 numbers" in said.out
    assert len((tmp_path / "codes.txt").read_text().splitlines()) == len(np.load(tmp_path / "codes.npy")) == 1
    assert cli.main(["encode", str(run / "run"), str(tmp_path / "broken.png"), "--out", str(tmp_path / "no.npy")]) == 2
    assert "nothing to encode" in capsys.readouterr().err
    assert not (tmp_path / "no.npy").exists()

    good = np.ones((2, 3), np.float32)
    np.save(tmp_path / "good.npy", good)
    np.save(tmp_path / "long.npy", np.ones((2, 4)))
    np.save(tmp_path / "empty.npy", np.ones((0, 3)))
    np.save(tmp_path / "words.npy", np.array(["a", "b", "c"]))
    np.save(tmp_path / "objects.npy", np.array([{}, {}, {}]), allow_pickle=True)
    np.save(tmp_path / "endless.npy", np.array([0, np.inf, 0]))
    np.savez(tmp_path / "other.npz", codes=good)
    (tmp_path / "text.npy").write_text("no array")
    words = {
        "long": "has the shape (2, 4), and the codes of this model are (n, 3)",
        "empty": "has the shape (0, 3)",
        "words": "in the place of numbers",
        "objects": "is no file of codes",
        "endless": "not finite",
        "text": "is no file of codes",
        "absent": "is not there",
    }
    files = [tmp_path / f"{name}.npy" for name in words] + [tmp_path / "other.npz", tmp_path / "good.npy"]
    assert cli.main(["decode", str(run / "run"), *map(str, files), "--out", str(tmp_path / "made")]) == 2
    said = capsys.readouterr()
    for name, sentence in words.items():
        (line,) = [line for line in said.err.splitlines() if f"{name}.npy" in line]
        assert sentence in line
    assert "has no array `code`" in said.err
    assert sorted(file.name for file in (tmp_path / "made").iterdir()) == ["good-0.png", "good-1.png"]


def test_what_cannot_be_encoded_is_refused_before_anything_is_written(run, capsys, tmp_path):
    plain = tmp_path / "plain"
    words = ["gan", "--data", "glyphs", "--size", "8", "--width", "8", "--steps", "1", "--threads", "1"]
    assert cli.main(["train", *words, "--out", str(plain)]) == 0
    capsys.readouterr()
    picture = str(run / "pictures" / "0.png")
    for command in (["encode", str(plain), picture], ["decode", str(plain), str(run / "one.npy")]):
        assert cli.main(command) == 2
        said = capsys.readouterr().err
        assert "GAN has no encoder: give a run of aae or bigan, or find the codes" in said
        assert said.count("\n") == 1
    assert not (plain / "encoded").exists()
    assert cli.main(["encode", str(run / "run"), picture, "--out", str(tmp_path / "codes.csv")]) == 2
    assert "--out is the .npy file" in capsys.readouterr().err
