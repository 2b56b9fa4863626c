"""`ganarium data`: what is found in folders, archives and tensors; the page; the dry run."""

import html.parser
import json
import os
import subprocess
import sys
import zipfile
from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image

from ganarium import cli
from ganarium.cli.data_report import classes_in_words
from ganarium.data import load_data
from ganarium.data.files.open import open_tree
from ganarium.data.inspect import dataset as inspection
from ganarium.data.inspect.dataset import examine_files, survey
from ganarium.data.inspect.duplicates import MAX_DISTANCE, near_pairs
from ganarium.errors import UserError
from ganarium.training.compatibility import model_compatibility
from ganarium.training.estimate import RESERVE, estimate
from ganarium.web.dataset import page


def picture(seed, size=(64, 64)):
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
    return coarse.resize(size[::-1], Image.Resampling.BICUBIC)


def fill(folder, count, start=0, size=(64, 64)):
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(start, start + count):
        picture(number, size).save(folder / f"{number:03}.png")
    return folder


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """Everything that folders of strangers hold."""
    root = tmp_path_factory.mktemp("hostile") / "own"
    train, test = fill(root / "train", 40), fill(root / "test", 6, start=100)
    picture(900).save(train / "cut.jpg")
    whole = (train / "cut.jpg").read_bytes()
    (train / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (train / "empty.png").write_bytes(b"")
    (train / "<script>text.png").write_text("no picture")
    (train / "a.heic").write_bytes(b"x")
    picture(901).save(train / "grüße 東.png")
    with open(os.fsencode(train) + b"/bad\xff.png", "wb") as file:  # noqa: PTH123
        picture(902).save(file, "PNG")
    picture(903, (40, 3000)).save(train / "wide.png")
    (train / "twin.png").write_bytes((train / "001.png").read_bytes())
    (test / "leak.png").write_bytes((train / "002.png").read_bytes())
    picture(3).save(train / "saved.jpg", quality=70)
    lighter = np.asarray(picture(4)).astype(int) + 3
    Image.fromarray(lighter.clip(0, 255).astype(np.uint8)).save(train / "lighter.png")
    Image.new("RGB", (64, 64), "teal").save(train / "blank.png")
    (train / "<script>alert(1).png").write_bytes((train / "005.png").read_bytes())
    return root


@pytest.fixture(scope="module")
def actual(hostile):
    return survey(str(hostile))


def test_what_is_wrong_with_a_folder_is_named(actual):
    broken = dict(actual.broken)
    assert broken.pop("train/<script>text.png").startswith("is no picture")
    assert broken == {
        "train/cut.jpg": "is damaged or cut short",
        "train/empty.png": "is empty",
        "train/wide.png": "is 40x3000, of which a crop to 64x64 shows almost nothing",
    }
    assert actual.left_out == ["train/a.heic is of a format that is not read"]
    assert actual.blank == ["train/blank.png"]
    assert (actual.num_train, actual.num_test, actual.held_out) == (51, 7, False)
    assert actual.sizes == Counter({(64, 64): 54, (40, 3000): 1})


def test_duplicates_are_told_by_kind_and_different_pictures_are_none(actual):
    assert {frozenset(group) for group in actual.exact} == {
        frozenset({"train/001.png", "train/twin.png"}),
        frozenset({"train/005.png", "train/<script>alert(1).png"}),
    }
    assert [set(group) for group in actual.leaks] == [{"train/002.png", "test/leak.png"}]
    near = {frozenset(group) for group in actual.near}
    assert near == {
        frozenset({"train/003.png", "train/saved.jpg"}),
        frozenset({"train/004.png", "train/lighter.png"}),
    }
    assert actual.near_leaks == []


def test_an_archive_gives_the_same_survey_as_its_folder(hostile, actual, tmp_path):
    archive = tmp_path / "own.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(hostile.rglob("*")):
            if path.is_file():
                name = path.relative_to(hostile).as_posix().encode("utf-8", "replace").decode()
                file.writestr(name, path.read_bytes())
    packed = survey(str(archive))
    for field in (
        "layout",
        "kinds",
        "shape",
        "sizes",
        "formats",
        "broken",
        "left_out",
        "blank",
        "near",
        "leaks",
    ):
        assert getattr(packed, field) == getattr(actual, field), field


def test_the_survey_says_what_training_says(hostile, actual, tmp_path):
    with pytest.raises(UserError) as refused:
        load_data(str(hostile))
    assert str(refused.value) == actual.refusal
    forty = fill(tmp_path / "few", 40)
    (forty / "empty.png").write_bytes(b"")
    passed = survey(str(forty))
    train, test = load_data(str(forty))
    assert passed.refusal == ""
    assert (passed.num_train + passed.num_test, len(passed.broken)) == (len(train) + len(test) + 1, 1)
    assert [" ".join(row) for row in passed.broken] == list(train.skipped)
    for number in range(20):
        picture(number, (20, 200)).save(tmp_path / "few" / f"wide{number}.png")
    with pytest.raises(UserError) as refused:
        load_data(str(forty))
    assert str(refused.value) == survey(str(forty)).refusal
    assert survey(str(forty), fit="pad").refusal == ""


def test_a_survey_is_written_for_a_hopeless_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad").mkdir()
    for number in range(12):
        (tmp_path / "bad" / f"{number}.jpg").write_text("no picture")
    assert cli.main(["data", "bad"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "12 cannot be used" in said
    assert "not to be trained on yet: 12 of the 12 images in bad cannot be used" in said
    assert not (tmp_path / "runs").exists()
    fill(tmp_path / "three", 3)
    assert cli.main(["data", "three"]) == 0
    assert "three has 3 images to train on: at least 10 are needed" in " ".join(capsys.readouterr().out.split())
    assert cli.main(["data", "nothing"]) == 2
    assert "there is no data set 'nothing'" in capsys.readouterr().err


def test_the_report_fits_a_terminal_and_leaves_a_grid_and_a_page(hostile, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["data", str(hostile), "--html"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 40
    assert max(len(line) for line in lines if " " in line.strip() and str(hostile) not in line) <= 80
    with Image.open(tmp_path / "runs" / "data" / "own.png") as grid:
        assert min(grid.size) > 64
    assert (tmp_path / "runs" / "data" / "own.html").exists()
    assert sorted(path.name for path in (tmp_path / "runs" / "data").iterdir()) == ["own.html", "own.png"]


class Tags(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.seen, self.open, self.text = Counter(), [], ""

    def handle_starttag(self, tag, attrs):
        self.seen[tag] += 1
        if tag not in ("img", "br", "meta"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_the_page_is_well_formed_and_escapes_names(actual):
    text = page(actual, {"gan": "", "dcgan": "it <cannot>"}, None, ["a < b"])
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    assert tags.seen["script"] == 0
    assert "<script>alert(1).png" in tags.text  # as text, not as a tag
    assert "a < b" in tags.text
    assert "it <cannot>" in tags.text
    assert tags.seen["img"] >= 8  # the duplicates, side by side
    assert tags.seen["svg"] == 2
    assert "://" not in text


def test_workers_find_what_one_process_finds(tmp_path, monkeypatch):
    tree = open_tree(fill(tmp_path / "many", 40))
    alone = dict(examine_files(tree, tree.names))
    monkeypatch.setattr(inspection, "MAX_WITHOUT_WORKERS", 0)
    monkeypatch.setattr(inspection, "BLOCK", 7)
    assert dict(examine_files(tree, tree.names)) == alone


def test_workers_need_no_torch():
    code = "import sys, ganarium.data.inspect.file; assert 'torch' not in sys.modules, 'a worker would import torch'"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_near_pairs_are_all_pairs_within_the_distance():
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**63, 400, dtype=np.uint64)
    for place in range(200):  # at every distance from 0 to 7
        flips = rng.choice(64, place % 8, replace=False)
        hashes[200 + place] = hashes[place] ^ np.bitwise_or.reduce(np.uint64(1) << flips.astype(np.uint64), initial=0)
    pairs, complete = near_pairs(hashes)
    apart = [[bin(int(a) ^ int(b)).count("1") for b in hashes] for a in hashes]
    expected = {(a, b) for a in range(400) for b in range(a + 1, 400) if apart[a][b] <= MAX_DISTANCE}
    assert complete
    assert {tuple(pair) for pair in pairs.tolist()} == expected
    assert len(expected) >= 120


def test_labels_of_arrays_and_components_of_points_are_counted(tmp_path):
    images = np.stack([np.asarray(picture(i, (16, 16))) for i in range(30)])
    images[20] = images[3]
    np.savez(tmp_path / "own.npz", images=images, labels=np.arange(30) % 3, test_images=images[:4], test_labels=[0] * 4)
    own = survey(str(tmp_path / "own.npz"))
    assert own.classes == {"0": (10, 4), "1": (10, 0), "2": (10, 0)}
    assert ("train/0", "test/0") in own.leaks
    assert len(own.leaks) == 4  # the twin of the third is in one of them
    ring = survey("ring")
    assert len(ring.classes) == 8
    assert sum(train for train, _ in ring.classes.values()) == ring.num_train == 100_000
    models = model_compatibility(ring)
    assert not models["gan"]
    assert "2-D points" in models["dcgan"]


def test_captions_classes_domains_and_pairs_are_told(tmp_path):
    for name in ("cat", "dog"):
        fill(tmp_path / "pets" / name, 20 if name == "cat" else 10, start=ord(name[0]) * 100)
    pets = survey(str(tmp_path / "pets"))
    assert pets.classes == {"cat": (20, 0), "dog": (10, 0)}
    assert pets.kinds == ("Images", "LabelledImages", "PartlyLabelledImages")
    fill(tmp_path / "told", 12)
    rows = [{"file_name": f"{i:03}.png", "text": "a ball" if i else "a ball on a box"} for i in range(12)]
    (tmp_path / "told" / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    told = survey(str(tmp_path / "told"))
    assert (len(told.caption_lengths), told.num_different_captions, told.longest_caption) == (12, 2, "a ball on a box")
    sides = survey(str(fill(tmp_path / "sides", 12, size=(32, 64))), size=(32, 32))
    assert sides.kinds == ("PairedImages", "UnpairedImages")
    models = model_compatibility(sides)
    assert not models["cyclegan"]
    assert models["dcgan"]
    assert sides.lost_share == 0
    lost = survey(str(fill(tmp_path / "wide", 12, size=(40, 60))), size=(64, 64))
    assert lost.lost_share == pytest.approx(1 / 3, abs=0.02)
    assert lost.num_enlarged == 12


def test_a_class_without_a_training_image_is_told(tmp_path):
    """Of a table, and of arrays: it stands among the classes with 0, and in a note, as training says it. Class d has a
    training image that is broken."""
    for split, letters in (("train", "aaab" * 5), ("test", "abcd")):
        fill(tmp_path / "own" / split, len(letters))
        rows = [{"file_name": f"{n:03}.png", "label": letter} for n, letter in enumerate(letters)]
        if split == "train":
            (tmp_path / "own" / split / "broken.png").write_bytes(b"no picture")
            rows.append({"file_name": "broken.png", "label": "d"})
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / "own" / split / "metadata.jsonl").write_text(lines)
    images = np.stack([np.asarray(picture(i, (16, 16))) for i in range(30)])
    letters = {"labels": [0, 0, 0, 1] * 5, "test_labels": [0, 1, 2, 3], "class_names": list("abcd")}
    np.savez(tmp_path / "own.npz", images=images[:20], test_images=images[20:24], **letters)
    for name, in_train in (("own", (15, 5, 0, 1)), ("own.npz", (15, 5, 0, 0))):
        actual, (train, _) = survey(str(tmp_path / name)), load_data(str(tmp_path / name))
        assert [actual.classes[letter] for letter in "abcd"] == [(count, 1) for count in in_train]
        assert "no training image of the classes c, d" in actual.notes
        assert "no training image of the classes c, d" in train.notes
        report = " ".join(" ".join(classes_in_words(actual)).split())
        assert "c (0)" in report
        assert "times what c has" not in report


def test_real_sets_have_the_duplicates_they_are_known_for(real_data):
    horses = survey(str(real_data / "horse2zebra"))
    assert Counter(group[0].split("/")[0] for group in horses.exact) == {"trainA": 8, "trainB": 16}
    assert [{name.split("/")[0] for name in group} for group in horses.leaks] == [{"trainA", "testA"}]


PEAK = """
import sys, torch
torch.set_num_threads(1)
from ganarium import cli
from ganarium.training.estimate import peak_bytes
assert cli.main(sys.argv[1:]) == 0
print("peak", peak_bytes("cpu"))
"""


def test_the_dry_run_predicts_the_memory_of_a_run(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (2800, 64, 64, 3), dtype=np.uint8)
    np.savez(tmp_path / "own.npz", images=images)
    dry = estimate(
        "gan",
        (3, 64, 64),
        None,
        num_train=2520,
        data_bytes=images.nbytes,
        batch_size=2500,
        steps=20,
        model_options={"recipe": "modern", "width": 16},
    )
    options = ["--data", str(tmp_path / "own.npz"), "--recipe", "modern", "--width", "16", "--batch-size", "2500"]
    command = [sys.executable, "-c", PEAK, "train", "gan", *options, "--steps", "2", "--out", str(tmp_path / "run")]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    took = int(run.stdout.split()[-1])
    assert dry.bytes_needed / RESERVE == pytest.approx(took, rel=0.3)
    assert dry.bytes[0] != pytest.approx(took, rel=0.3), "the batch must matter, or the test shows nothing"
    assert dry.largest == 2520
    assert dry.minutes == pytest.approx(20 * dry.seconds_per_step / 60)


def test_the_dry_run_refuses_what_the_model_does(tmp_path):
    with pytest.raises(UserError, match="points"):
        estimate("dcgan", (2,), None, num_train=100)
    assert torch.get_num_threads() == 1
