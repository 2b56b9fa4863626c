"""Layouts of pictures in folders and archives; the mapped cache; what is drawn from pairs, photos and captions."""

import dataclasses
import json
import os
import re
import stat
import subprocess
import sys
import time
import unicodedata
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms, PngImagePlugin

import ganarium
from ganarium import cli
from ganarium.data import load_data
from ganarium.data.arrays import held_out
from ganarium.data.batches import Batches
from ganarium.data.dataset import (
    CaptionedImages,
    Dataset,
    HighResolutionImages,
    Images,
    LabelledImages,
    PairedImages,
    PartlyLabelledImages,
    UnpairedImages,
)
from ganarium.data.files import decode_cache
from ganarium.data.files.tree import split_role
from ganarium.data.sources.folder import from_files
from ganarium.errors import UserError


def picture(seed, size=(20, 20), mode="RGB"):
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8))
    return coarse.resize(size[::-1], Image.Resampling.BICUBIC).convert(mode)


def fill(folder, count, start=0, suffix="png", size=(20, 20)):
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(start, start + count):
        picture(number, size).save(folder / f"{number:03}.{suffix}")
    return folder


def refused(*words, **options):
    with pytest.raises(UserError) as caught:
        load_data(**{key: str(value) if key == "name_or_path" else value for key, value in options.items()})
    sentence = str(caught.value)
    assert all(word in sentence for word in words), sentence
    assert "\n" not in sentence
    return sentence


def zipped(folder, archive, above=""):
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                file.write(path, above + path.relative_to(folder).as_posix())
    return archive


def same(one, other):
    assert torch.equal(one.images, other.images)
    assert one.class_names == other.class_names
    for field in ("labels", "second"):
        a, b = getattr(one, field), getattr(other, field)
        assert (a is None) == (b is None)
        assert a is None or torch.equal(a, b)
    assert one.captions == other.captions


# Layouts


def test_a_zip_is_the_folder_it_holds(tmp_path):
    for name in ("cat", "dog"):
        fill(tmp_path / "own" / name, 10, start=len(name) * ord(name[0]))
    (tmp_path / "own" / ".DS_Store").write_text("x")
    train, test = load_data(str(tmp_path / "own"), size=(16, 16))
    for number, above in enumerate(("", "holiday/2024/")):
        archive = zipped(tmp_path / "own", tmp_path / f"{number}.zip", above)
        again, test_again = load_data(str(archive), size=(16, 16))
        same(train, again)
        same(test, test_again)
    assert train.class_names == ("cat", "dog")


@pytest.mark.parametrize("name", ["../evil.png", "/etc/evil.png", "a/../../evil.png", "C:\\evil.png", "..\\evil.png"])
def test_a_zip_that_leaves_its_folder_is_refused(tmp_path, name):
    archive = zipped(fill(tmp_path / "good", 12), tmp_path / "set.zip")
    load_data(str(archive))
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr(name, (tmp_path / "good/000.png").read_bytes())
    refused("leads out of the folder", "set.zip", name_or_path=archive)


def test_broken_and_encrypted_zips(tmp_path):
    (tmp_path / "text.zip").write_text("no archive")
    refused("cannot be read as a zip archive", name_or_path=tmp_path / "text.zip")
    archive = zipped(fill(tmp_path / "good", 12), tmp_path / "set.zip")
    data = bytearray(archive.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = data.find(mark)
        while place >= 0:
            data[place + offset] |= 1
            place = data.find(mark, place + 1)
    archive.write_bytes(data)
    refused("encrypted", "unpack it", name_or_path=archive)


def test_side_by_side_pairs_are_found_and_split(tmp_path):
    for number in range(12):
        both = Image.new("RGB", (40, 20))
        both.paste(picture(number), (0, 0))
        both.paste(picture(100 + number), (20, 0))
        both.save(tmp_path / f"{number}.png")
    train, test = load_data(str(tmp_path), size=(20, 20))
    assert train.kinds == (PairedImages, UnpairedImages)
    assert len(train) + len(test) == 12
    for number in range(12):
        a = torch.from_numpy(np.asarray(picture(number)).copy())
        rows = [row for split in (train, test) for row in range(len(split)) if torch.equal(split.images[row], a)]
        assert len(rows) == 1
    split, row = next((s, r) for s in (train, test) for r in range(len(s)) if torch.equal(s.images[r], a))
    assert torch.equal(split.second[row], torch.from_numpy(np.asarray(picture(111)).copy()))
    whole, _ = load_data(str(tmp_path), size=(20, 40), layout="images")
    assert whole.kinds == (Images,)
    assert whole.shape == (3, 20, 40)
    picture(50, (20, 41)).save(tmp_path / "odd.png")  # one that is not twice as wide: no pairs any more
    assert load_data(str(tmp_path))[0].kinds == (Images,)
    assert load_data(str(tmp_path), layout="pairs")[0].kinds[0] is PairedImages


def test_two_folders_with_the_same_names_are_pairs(tmp_path):
    fill(tmp_path / "A", 14)
    fill(tmp_path / "B", 14, suffix="jpg")
    train, test = load_data(str(tmp_path), size=(16, 16))
    assert train.kinds == (PairedImages, UnpairedImages)
    difference = (train.images.float() - train.second.float()).abs().flatten(1).mean(1)
    others = (train.images.float() - train.second.roll(1, 0).float()).abs().flatten(1).mean(1)
    assert difference.max() < 10 < others.min()
    assert len(test) == 1
    (tmp_path / "A" / "005.png").write_bytes(b"")  # its partner goes with it
    fill(tmp_path / "A", 10, start=14)
    fill(tmp_path / "B", 10, start=14, suffix="jpg")
    train, _ = load_data(str(tmp_path), size=(16, 16))
    assert train.skipped == ("A/005.png is empty", "B/005.jpg is the partner of a picture that cannot be used")
    difference = (train.images.float() - train.second.float()).abs().flatten(1).mean(1)
    assert difference.max() < 10
    assert load_data(str(tmp_path), layout="images")[0].class_names == ("A", "B")
    (tmp_path / "B" / "007.jpg").unlink()
    assert load_data(str(tmp_path))[0].class_names == ("A", "B")
    refused("without a partner", "007", name_or_path=tmp_path, layout="pairs")


def test_patches_are_windows_of_the_photos(tmp_path):
    sizes = [(40, 60), (50, 30), (33, 33)] * 4
    for number, size in enumerate(sizes):
        picture(number, size).save(tmp_path / f"{number:02}.png")
    picture(99, (20, 90)).save(tmp_path / "small.png")
    fill(tmp_path, 20, start=100, size=(32, 32))
    train, test = load_data(str(tmp_path), size=(32, 24), layout="patches")
    assert train.kinds == (Images, HighResolutionImages)
    assert train.skipped == ("small.png is smaller than a window",)
    assert len(train) + len(test) == 32
    batches = Batches(train, HighResolutionImages, 8)
    drawn = torch.cat([next(batches).image for _ in range(20)])
    assert drawn.shape == (160, 3, 32, 24)
    photos = [np.asarray(Image.open(file).convert("RGB")) for file in sorted(tmp_path.glob("*.png"))]
    windows = [np.lib.stride_tricks.sliding_window_view(p, (32, 24, 3)) for p in photos if min(p.shape[:2]) >= 24]
    windows = [view.reshape(-1, 32 * 24 * 3) for view in windows if view.size]
    actual = set()
    for patch in drawn[:40]:
        flat = ((patch + 1) * 127.5).round().byte().permute(1, 2, 0).reshape(-1).numpy()
        hits = [(n, int(i)) for n, view in enumerate(windows) for i in np.flatnonzero((view == flat).all(1))]
        assert hits, "a patch that is in no photo"
        actual.add(hits[0])
    assert len(actual) > 15  # from many places


@pytest.mark.parametrize(
    ("train", "test", "size", "options", "kind"),
    [
        (["train"], ["test"], (20, 40), {"layout": "pairs"}, PairedImages),
        (["A/train", "B/train"], ["A/test", "B/test"], (20, 20), {"layout": "pairs"}, PairedImages),
        (["trainA", "trainB"], ["testA", "testB"], (20, 20), {}, UnpairedImages),
        (["train"], ["test"], (40, 40), {"layout": "patches"}, HighResolutionImages),
    ],
    ids=["side by side", "same names", "unpaired", "patches"],
)
def test_a_planted_test_picture_never_enters_training(tmp_path, train, test, size, options, kind):
    """Those for training are dark, the planted ones white."""
    for level, folders in ((60, train), (255, test)):
        for folder in folders:
            (tmp_path / folder).mkdir(parents=True)
            for number in range(12 if level == 60 else 4):
                Image.new("RGB", size[::-1], (level,) * 3).save(tmp_path / folder / f"{number}.png")
    dark, white = load_data(str(tmp_path), size=(20, 20), **options)
    for split, level, count in ((dark, 60, 12), (white, 255, 4)):
        assert len(split) == count
        batches = Batches(split, kind, 4)
        for _ in range(2 * count // 4):
            for images in next(batches):
                assert torch.equal(images, torch.full_like(images, level / 127.5 - 1))


def test_captions_of_metadata(tmp_path):
    fill(tmp_path / "images", 12)
    lines = [{"file_name": f"{n:03}.png", "text": f"number {n}"} for n in range(12)]
    lines += [{"file_name": "003.png", "text": "the third"}, {"file_name": "003.png", "text": "number 3"}]
    (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    train, test = load_data(str(tmp_path), size=(20, 20))
    assert train.kinds == (Images, CaptionedImages)
    said = train.captions + test.captions
    assert ("number 10",) in said
    assert ("number 3", "the third") in said
    batches = Batches(train, CaptionedImages, len(train))
    seen = set()
    for _ in range(12):
        image, caption = next(batches)
        assert len(caption) == len(image)
        for one, words in zip(image, caption, strict=True):
            number = 3 if words == "the third" else int(words.split()[1])
            pixels = torch.from_numpy(np.asarray(picture(number)).copy()).permute(2, 0, 1) / 127.5 - 1
            assert torch.allclose(one, pixels, atol=1e-6), words
            seen.add(words)
    assert "the third" in seen or ("number 3", "the third") in test.captions


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"file_name": "999.png", "text": "x"}', ["lacks 1 pictures", "999.png"]),
        ('{"text": "x"}', ["line 13", "names no picture"]),
        ('{"file_name": "../000.png", "text": "x"}', ["line 13", "outside the folder"]),
        ('{"file_name": ', ["line 13", "no JSON"]),
        ("[1]", ["line 13", "no JSON object"]),
    ],
)
def test_bad_metadata_names_the_line(tmp_path, line, words):
    fill(tmp_path, 12)
    good = [json.dumps({"file_name": f"{n:03}.png", "text": f"number {n}"}) for n in range(12)]
    (tmp_path / "metadata.jsonl").write_text("\n".join(good))
    load_data(str(tmp_path))
    (tmp_path / "metadata.jsonl").write_text("\n".join([*good, line]))
    refused(*words, name_or_path=tmp_path)


def test_labels_of_a_table_and_numbers_in_their_order(tmp_path):
    fill(tmp_path / "train", 24)
    rows = ["file_name,label", *(f"{n:03}.png,{n % 12}" for n in range(24))]
    (tmp_path / "train" / "metadata.csv").write_text("\n".join(rows))
    train, test = load_data(str(tmp_path), size=(20, 20))
    assert train.kinds == (Images, LabelledImages, PartlyLabelledImages)
    assert train.class_names == tuple(map(str, range(12)))  # 2 before 10
    for split in (train, test):
        for image, label in zip(split.images, split.labels, strict=True):
            own = [torch.from_numpy(np.asarray(picture(n)).copy()) for n in (int(label), int(label) + 12)]
            assert any(torch.equal(image, one) for one in own)


def test_validation_is_the_test_part_where_there_is_no_test(tmp_path):
    fill(tmp_path / "train", 12)
    fill(tmp_path / "val", 5, start=50)
    assert [len(split) for split in load_data(str(tmp_path))] == [12, 5]
    fill(tmp_path / "test", 3, start=80)
    assert [len(split) for split in load_data(str(tmp_path))] == [12, 3]


def test_lists_of_files_are_read_in_their_order_from_any_folder(tmp_path):
    for number in range(12):
        (tmp_path / f"{number % 3}").mkdir(exist_ok=True)
        picture(number).save(tmp_path / f"{number % 3}" / f"{number}.png")
    files = [tmp_path / f"{number % 3}" / f"{number}.png" for number in range(12)]
    train, test = from_files("mine", files[11:1:-1], files[:2], size=(20, 20), channels=3, source="two lists")
    assert (train.name, train.source, len(train), len(test)) == ("mine", "two lists", 10, 2)
    for image, number in zip([*train.images, *test.images], [*range(11, 1, -1), 0, 1], strict=True):
        assert torch.equal(image, torch.from_numpy(np.asarray(picture(number)).copy()))


# Bad data


def test_names_that_are_no_ascii_and_no_utf8(tmp_path):
    fill(tmp_path, 20)
    picture(30).save(tmp_path / "日本語 ü.png")
    raw = os.fsencode(tmp_path) + b"/caf\xe9.png"
    Path(os.fsdecode(raw)).write_bytes((tmp_path / "000.png").read_bytes())
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/broken\xff.png")).write_bytes(b"")
    train, test = load_data(str(tmp_path))
    assert len(train) + len(test) == 22
    assert train.skipped == ("broken\\udcff.png is empty",)
    json.dumps(train.skipped).encode()


def test_long_strips_are_not_cut_to_nothing(tmp_path):
    fill(tmp_path, 12)
    for number in range(3):
        picture(number, (40, 3000)).save(tmp_path / f"strip{number}.png")
    refused("3 of the 15", "strip0.png is 40x3000", "--fit pad", name_or_path=tmp_path)
    train, test = load_data(str(tmp_path), fit="pad")
    assert len(train) + len(test) == 15


def test_three_images_are_too_few(tmp_path):
    refused("has 3 images to train on: at least 10", name_or_path=fill(tmp_path, 3))


def test_formats_that_are_not_read_are_named(tmp_path):
    fill(tmp_path, 12)
    (tmp_path / "phone.HEIC").write_bytes(b"ftypheic")
    assert load_data(str(tmp_path))[0].skipped == ("phone.HEIC is of a format that is not read",)
    (tmp_path / "only").mkdir()
    (tmp_path / "only" / "phone.heic").write_bytes(b"ftypheic")
    refused("no images in", "phone.heic", name_or_path=tmp_path / "only")


def test_published_sets_and_single_archives_by_path(tmp_path):
    (tmp_path / "MNIST/raw").mkdir(parents=True)
    (tmp_path / "MNIST/raw/train-images-idx3-ubyte.gz").write_bytes(b"")
    refused("use --data mnist", name_or_path=tmp_path)
    (tmp_path / "arrays").mkdir()
    np.savez(tmp_path / "arrays/set.npz", images=np.zeros((12, 8, 8), np.uint8))
    assert load_data(str(tmp_path / "arrays"))[0].shape == (1, 8, 8)


def test_unknown_fit_and_layout(tmp_path):
    fill(tmp_path, 12)
    refused("no fit 'stretch'", name_or_path=tmp_path, fit="stretch")
    refused("no layout 'pair'", "pairs", name_or_path=tmp_path, layout="pair")
    refused("no option 'fit'", name_or_path="ring", fit="pad")
    refused("cannot be mirrored", name_or_path="ring", mirror=True)


def test_a_broken_profile_or_odd_mode_is_read_or_named(tmp_path):
    fill(tmp_path, 25)
    picture(1).convert("CMYK").save(tmp_path / "ink.jpg", icc_profile=b"broken")
    Image.fromarray(np.zeros((20, 20), np.float32)).save(tmp_path / "float.tiff")
    train, _ = load_data(str(tmp_path))
    assert train.skipped == ("float.tiff has floating-point pixels, whose range is unknown",)


def test_pad_shows_the_whole_picture(tmp_path):
    Path(tmp_path / "p").mkdir()
    for number in range(12):
        Image.new("RGB", (60, 20), (250, 250, 250)).save(tmp_path / "p" / f"{number}.png")
    train, _ = load_data(str(tmp_path / "p"), size=(30, 30), fit="pad")
    assert (train.images[:, 10:20] > 240).all()
    assert (train.images[:, :9] == 0).all()
    assert (train.images[:, 21:] == 0).all()


# Everything below the path is used, or named with the reason


def accounted(path, **options):
    """How many files are used and how many are named as left out, in a set of any layout."""
    train, test = load_data(str(path), size=(16, 16), **options)
    domains = 1 if train.second is None or "side by side" in train.source else 2
    named = 0
    for line in train.skipped:
        many = re.search(r" has (\d+) files, each of which ", line)
        named += int(many[1]) if many else 1
    return domains * (len(train) + len(test)), named


def table(folder, rows, name="metadata.jsonl"):
    (folder / name).write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")


def clutter(folder):
    """Nine entries that are no pictures of the set."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".hidden").write_text("x")
    (folder / "notes.txt").write_text("x")
    (folder / "phone.heic").write_bytes(b"x")
    (folder / "without_ending").write_bytes(b"x")
    (folder / "empty").mkdir()
    (folder / "inner" / "empty").mkdir(parents=True)
    (folder / "gone.png").symlink_to("nowhere.png")
    (folder / "around").symlink_to(folder)
    (folder / "itself.png").symlink_to("itself.png")


def plain_layout(folder):
    fill(folder, 14)


def class_layout(folder):
    fill(folder / "cats", 12)
    fill(folder / "dogs", 12, start=12)


def split_layout(folder):
    for split, count in (("Train", 12), ("TEST", 4), ("val", 30)):
        fill(folder / split / "cats", count)
        fill(folder / split / "dogs", count, start=50)


def unpaired_layout(folder):
    for side in ("trainA", "trainB", "valA", "valB"):
        fill(folder / side, 12)
    fill(folder / "trainC", 3)


def paired_layout(folder):
    fill(folder / "A", 14)
    fill(folder / "B", 14)


def table_layout(folder):
    fill(folder, 40)
    table(folder, [{"file_name": f"{n:03}.png", "label": "ab"[n % 2]} for n in range(20)])


def stylegan_layout(folder):
    fill(folder / "00000", 12)
    fill(folder / "00001", 12, start=12)
    labels = [[f"0000{n // 12}/{n:03}.png", n % 3] for n in range(24)]
    (folder / "dataset.json").write_text(json.dumps({"labels": labels}))


LAYOUTS = [plain_layout, class_layout, split_layout, unpaired_layout, paired_layout, table_layout, stylegan_layout]


@pytest.mark.parametrize("make", LAYOUTS)
def test_every_file_is_used_or_named(tmp_path, make):
    make(tmp_path / "own")
    tables = {"metadata.jsonl", "dataset.json"}
    count = sum(file.is_file() and file.name not in tables for file in (tmp_path / "own").rglob("*"))
    assert sum(accounted(tmp_path / "own")) == count
    used, named = accounted(zipped(tmp_path / "own", tmp_path / "own.zip"))
    assert used + named == count
    clutter(tmp_path / "own")
    assert accounted(tmp_path / "own") == (used, named + 9)
    notes = load_data(str(tmp_path / "own"))[0].notes
    assert len(notes) == 1
    assert "1 hidden" in notes[0]
    assert "2 an empty folder" in notes[0]


def test_every_entry_of_an_archive_is_used_or_named(tmp_path):
    archive = tmp_path / "set.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(fill(tmp_path / "own", 12).iterdir()):
            file.writestr(f"./{path.name}", path.read_bytes())
    content = (tmp_path / "own" / "000.png").read_bytes()
    link = zipfile.ZipInfo("link.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr(link, "000.png")
        file.writestr("2024-05-01 12:30:00.png", content)
        file.writestr("empty/", "")
        file.writestr("__MACOSX/._000.png", "x")
        with pytest.warns(UserWarning, match="Duplicate name"):
            file.writestr("./011.png", content)
    assert accounted(archive) == (13, 4)
    skipped = load_data(str(archive))[0].skipped
    assert "011.png is in the archive twice, of which the last is read" in skipped
    assert "link.png is a link, which an archive does not follow" in skipped


def test_an_archive_of_an_unknown_compression_is_one_sentence(tmp_path):
    archive = zipped(fill(tmp_path / "own", 12), tmp_path / "set.zip")
    content = bytearray(archive.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        place = content.find(mark)
        while place >= 0:
            content[place + offset] = 9
            place = content.find(mark, place + 1)
    archive.write_bytes(content)
    refused("Deflate64", "unpack it", name_or_path=archive)


@pytest.mark.parametrize("train", ["train", "Train", "TRAINING", "training_set", "train-data", "Trainset"])
@pytest.mark.parametrize("test", ["test", "Test", "testing", "test_set", "Validation", "val set", "valid"])
def test_names_of_splits_in_any_spelling(train, test):
    assert split_role(train) == "train"
    assert split_role(test) in ("test", "val")
    for name in ("trains", "contest", "interval", "training day", "value", "cats"):
        assert split_role(name) == ""


def test_splits_are_found_in_any_spelling_and_doubled(tmp_path):
    for split, count in (("training_set", 12), ("Test_Set", 3)):
        for start, name in enumerate(("cats", "dogs")):
            fill(tmp_path / split / split / name, count, start=50 * start)
    train, test = load_data(str(tmp_path))
    assert (len(train), len(test), train.class_names) == (24, 6, ("cats", "dogs"))
    assert train.skipped == ()


def test_a_class_called_train_is_one_among_classes(tmp_path):
    for start, name in enumerate(("bus", "car", "train")):
        fill(tmp_path / name, 12, start=20 * start)
    train, test = load_data(str(tmp_path))
    assert (len(train) + len(test), train.class_names) == (36, ("bus", "car", "train"))


@pytest.mark.parametrize(
    "folders", [("train", "test", "unlabeled"), ("train", ""), ("train", "extra"), ("train", "cats/a")]
)
def test_a_guess_that_would_leave_files_out_is_refused(tmp_path, folders):
    for start, name in enumerate(folders):
        fill(tmp_path / name, 12, start=20 * start)
    refused("--classes folders", "--classes splits", "--classes none", name_or_path=tmp_path)
    train, test = load_data(str(tmp_path), classes="none")
    assert (len(train) + len(test), train.class_names) == (12 * len(folders), ())
    assert sum(accounted(tmp_path, classes="splits")) == 12 * len(folders)
    if "" not in folders:
        train, test = load_data(str(tmp_path), classes="folders")
        assert (len(train) + len(test), train.num_classes) == (12 * len(folders), len(folders))
    refused("no classes 'split'", "splits", name_or_path=tmp_path, classes="split")


def test_data_names_what_is_left_out_and_the_command_that_leaves_it_out(tmp_path, monkeypatch, capsys):
    for start, name in enumerate(("train", "test", "unlabeled")):
        fill(tmp_path / "own" / name, 22, start=30 * start)
    monkeypatch.chdir(tmp_path)
    assert cli.main(["data", "own", "--classes", "splits"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "files not used: 22 beside the splits" in said
    assert "unlabeled/ has 22 files, each of which is beside the splits" in said
    assert "--data own --classes=splits" in said


def test_a_test_part_without_a_train_part_is_refused(tmp_path):
    fill(tmp_path / "test", 12)
    fill(tmp_path / "val", 12, start=12)
    refused("no train", "--classes none", name_or_path=tmp_path)


def test_labels_of_stylegan_and_shards_without_labels(tmp_path):
    stylegan_layout(tmp_path / "own")
    train, test = load_data(str(tmp_path / "own"), size=(20, 20))
    assert train.class_names == ("0", "1", "2")
    for split in (train, test):
        for image, label in zip(split.images, split.labels, strict=True):
            own = [torch.from_numpy(np.asarray(picture(n)).copy()) for n in range(int(label), 24, 3)]
            assert any(torch.equal(image, one) for one in own)
    (tmp_path / "own" / "dataset.json").write_text('{"labels": null}')
    assert load_data(str(tmp_path / "own"))[0].class_names == ()
    (tmp_path / "own" / "dataset.json").unlink()
    refused("--classes none", "--classes folders", name_or_path=tmp_path / "own")


@pytest.mark.parametrize("ending", ["jfif", "jpe", "pgm", "ppm", "PNM"])
def test_more_endings_of_pictures(tmp_path, ending):
    fill(tmp_path, 12)
    kind = "PPM" if ending.lower().startswith("p") else "JPEG"
    picture(50, mode="L" if ending == "pgm" else "RGB").save(tmp_path / f"x.{ending}", format=kind)
    assert accounted(tmp_path) == (13, 0)


# Labels


@pytest.mark.parametrize("empty", [{}, {"label": None}, {"label": ""}, {"label": " "}, {"label": float("nan")}])
def test_an_absent_label_is_refused_with_the_file(tmp_path, empty):
    fill(tmp_path, 12)
    rows = [{"file_name": f"{n:03}.png", "label": n % 2} for n in range(12)]
    table(tmp_path, [*rows[:7], {"file_name": "007.png"} | empty, *rows[8:]])
    refused("007.png", "no label", "--classes none", name_or_path=tmp_path)
    assert load_data(str(tmp_path), classes="none")[0].class_names == ()


def test_an_empty_cell_is_no_label(tmp_path):
    fill(tmp_path, 12)
    lines = [f"{n:03}.png,{'' if n == 5 else n % 2}" for n in range(12)]
    (tmp_path / "metadata.csv").write_text("\n".join(["file_name,label", *lines]))
    refused("005.png", "no label", name_or_path=tmp_path)


def test_labels_that_contradict_each_other_are_refused_with_both(tmp_path):
    fill(tmp_path / "images", 12)
    table(tmp_path, [{"file_name": f"images/{n:03}.png", "label": f"up{n % 2}"} for n in range(12)])
    table(tmp_path / "images", [{"file_name": f"{n:03}.png", "label": f"in{n % 2}"} for n in range(12)])
    refused("000.png", "'up0'", "'in0'", name_or_path=tmp_path)
    (tmp_path / "images" / "metadata.jsonl").unlink()
    rows = [{"file_name": f"images/{n:03}.png", "label": float(n % 2)} for n in range(12)]
    table(tmp_path, [*rows, {"file_name": "images/003.png", "label": 1}])  # 1.0 is 1
    assert load_data(str(tmp_path))[0].class_names == ("0", "1")
    table(tmp_path, [*rows, {"file_name": "images/003.png", "label": 0}])
    refused("003.png", "'1'", "'0'", name_or_path=tmp_path)


def test_a_tenth_of_each_class_is_held_out(tmp_path):
    fill(tmp_path / "common", 40)
    for number in range(20):
        fill(tmp_path / f"rare{number}", 1, start=100 + number)
    train, test = load_data(str(tmp_path))
    counts = torch.bincount(train.labels, minlength=21)
    assert counts.min() == 1
    assert len(test) == 4
    train, test = held_out(100, [0] * 50 + [1] * 30 + [2] * 20)
    assert torch.bincount(torch.tensor([0] * 50 + [1] * 30 + [2] * 20)[test]).tolist() == [5, 3, 2]
    assert torch.cat([train, test]).sort().values.tolist() == list(range(100))


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\u0085", "\x0c"])
def test_only_a_line_feed_ends_a_line_of_a_table(tmp_path, separator):
    fill(tmp_path, 12)
    rows = [{"file_name": f"{n:03}.png", "text": f"one{separator}two {n}"} for n in range(12)]
    text = "\r\n".join(json.dumps(row, ensure_ascii=False).replace("\x0c", "\\f") for row in rows)
    (tmp_path / "metadata.jsonl").write_bytes(text.encode())
    train, test = load_data(str(tmp_path))
    assert (f"one{separator}two 3",) in train.captions + test.captions


def test_names_are_compared_in_one_unicode_form(tmp_path):
    one, other = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    for split, form, count in (("train", one, 12), ("test", other, 3)):
        fill(tmp_path / split / form, count)
        fill(tmp_path / split / "tea", count, start=50)
    assert load_data(str(tmp_path))[0].class_names == (one, "tea")
    fill(tmp_path / "b", 12)
    (tmp_path / "b" / "000.png").rename(tmp_path / "b" / f"{other}.png")
    names = [f"{one}.png", *(f"{n:03}.png" for n in range(1, 12))]
    table(tmp_path / "b", [{"file_name": name, "label": n % 2} for n, name in enumerate(names)])
    assert accounted(tmp_path / "b") == (12, 0)


# Pictures as a person sees them


def test_an_orientation_is_applied_once(tmp_path):
    for ending in ("tif", "jpg", "png", "webp"):
        (tmp_path / ending).mkdir()
        for number in range(12):
            exif = Image.Exif()
            exif[0x0112] = 6
            picture(number, (20, 40)).save(tmp_path / ending / f"{number:02}.{ending}", exif=exif)
        whole, _ = load_data(str(tmp_path / ending), size=(40, 20))
        assert whole.kinds == (Images,), ending
        windows, _ = load_data(str(tmp_path / ending), size=(32, 16), layout="patches")
        assert len(windows) == 11, ending
        upright = np.asarray(picture(0, (20, 40)).transpose(Image.Transpose.ROTATE_270)).astype(float)
        differences = [(abs(image.numpy() - upright)).mean() for image in whole.images]
        assert min(differences) < 8, ending


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_colours_are_those_of_the_profile(tmp_path, mode):
    """A profile in which red and green have changed places: red pixels are shown green."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = srgb.replace(b"rXYZ", b"kept").replace(b"gXYZ", b"rXYZ").replace(b"kept", b"gXYZ")
    swapped = swapped.replace("sRGB".encode("utf-16-be"), "mine".encode("utf-16-be"))
    for folder, profile in (("swapped", swapped), ("srgb", srgb), ("broken", b"broken")):
        (tmp_path / folder).mkdir()
        for number in range(12):
            Image.new(mode, (8, 8), (200, 0, 0)).save(tmp_path / folder / f"{number}.png", icc_profile=profile)
    pixel = {
        folder.name: load_data(str(folder), size=(8, 8))[0].images[0, 0, 0].tolist() for folder in tmp_path.iterdir()
    }
    assert pixel["srgb"] == pixel["broken"] == [200, 0, 0]
    assert pixel["swapped"][1] > 190 > 10 > max(pixel["swapped"][0], pixel["swapped"][2])


def test_long_text_in_a_picture_is_no_damage(tmp_path):
    fill(tmp_path, 12)
    text = PngImagePlugin.PngInfo()
    text.add_itxt("workflow", "x" * 2_000_000, zip=True)
    picture(50).save(tmp_path / "generated.png", pnginfo=text)
    assert accounted(tmp_path) == (13, 0)


# Names of sets and of folders


def test_a_folder_with_the_name_of_a_set_is_said(tmp_path, monkeypatch):
    fill(tmp_path / "textures", 12)
    monkeypatch.chdir(tmp_path)
    with pytest.warns(UserWarning, match="--data ./textures"):
        load_data("textures", size=(16, 16))
    assert len(load_data("./textures", size=(16, 16))[0]) == 11


def test_arrays_beside_pictures_hide_no_picture(tmp_path):
    fill(tmp_path, 12)
    np.savez(tmp_path / "statistics.npz", mean=np.zeros(3))
    assert accounted(tmp_path) == (12, 1)


def two_tables_layout(folder):
    fill(folder / "d" / "x", 12)
    fill(folder / "d" / "y", 12, start=12)
    table(folder, [{"file_name": f"d/x/{n:03}.png", "label": n % 2} for n in range(12)], "train.jsonl")
    table(folder / "d", [{"file_name": f"y/{n:03}.png", "label": n % 2} for n in range(12, 24)])


def captions_layout(folder):
    fill(folder, 14)
    table(folder, [{"file_name": f"{n:03}.png", "text": f"picture {w}"} for n in range(14) for w in ("one", n)])


def arrays_layout(folder):
    folder.mkdir()
    images = np.stack([np.asarray(picture(n)) for n in range(24)])
    np.savez(folder / "own.npz", images=images, labels=np.arange(24) % 3 * 5, other=images[:2])


# prints all that is read of a set, and the first things that are drawn from it
READS = """
import hashlib, sys
from ganarium.data import load_data
from ganarium.data.batches import Batches
from ganarium.data.inspect.dataset import survey

def digest(tensor):
    return tensor is None or hashlib.sha1(tensor.contiguous().numpy().tobytes()).hexdigest()

for path in sys.argv[1:]:
    for split in load_data(path, size=(16, 16)):
        print(path, split.name, split.class_names, split.skipped, split.notes, split.captions, split.checksum())
        print(*map(digest, (split.images, split.labels, split.second)))
        for kind in split.kinds:
            for part in Batches(split, kind, 1, seed=3).draw(7):
                print(kind.__name__, part if isinstance(part, tuple) else digest(part))
    found = survey(path, size=(16, 16))
    print(found.classes, found.left_out, found.notes, found.kinds, found.exact, found.near, digest(found.grid))
"""


def test_nothing_depends_on_the_hash_of_strings(tmp_path):
    """Of every layout, of folders, of archives and of arrays: sets of strings have another order in every process."""
    places = []
    for make in (*LAYOUTS, two_tables_layout, captions_layout, arrays_layout):
        folder = tmp_path / make.__name__
        make(folder)
        places.append(folder / "own.npz" if make is arrays_layout else folder)
        if make in (class_layout, stylegan_layout):
            places.append(zipped(folder, tmp_path / f"{make.__name__}.zip"))
        if make is not arrays_layout:
            clutter(folder)
    path = str(Path(ganarium.__file__).parents[1])
    said = [
        subprocess.run(
            [sys.executable, "-c", READS, *map(str, places)],
            env=os.environ | {"PYTHONPATH": path, "PYTHONHASHSEED": str(seed)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in (0, 1, 2)
    ]
    assert said[0].count("LabelledImages") > 20
    assert said[0].count("Paired") > 4
    assert said[1:] == said[:1] * 2


# The mapped cache


@pytest.fixture
def mapped(monkeypatch, tmp_path):
    """Every set goes through the cache, in blocks of four files."""
    monkeypatch.setattr(decode_cache, "MAX_IN_MEMORY", 0)
    monkeypatch.setattr(decode_cache, "BLOCK", 4)
    monkeypatch.setenv("GANARIUM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "decoded"


def made_set(folder):
    fill(folder / "cat", 30)
    fill(folder / "dog", 30, start=30)
    (folder / "dog" / "broken.png").write_bytes(b"x")
    return folder


def test_the_mapped_cache_holds_the_same_images(tmp_path, monkeypatch, mapped):
    folder = made_set(tmp_path / "set")
    on_disk = load_data(str(folder), size=(16, 16))
    monkeypatch.setattr(decode_cache, "MAX_IN_MEMORY", 2**30)
    in_memory = load_data(str(folder), size=(16, 16))
    for one, other in zip(on_disk, in_memory, strict=True):
        same(one, other)
        assert one.mapped
        assert not other.mapped
    assert (
        on_disk[0].skipped
        == in_memory[0].skipped
        == ("dog/broken.png is no picture that can be read (PNG, JPEG, BMP, GIF, WebP or TIFF)",)
    )
    one, other = (Batches(data[0], LabelledImages, 7, seed=3) for data in (on_disk, in_memory))
    for _ in range(20):
        for a, b in zip(next(one), next(other), strict=True):
            assert torch.equal(a, b)


def test_decoded_once_and_again_when_the_content_changes(tmp_path, monkeypatch, mapped):
    folder = made_set(tmp_path / "set")
    first = load_data(str(folder), size=(16, 16))[0]
    filled = []
    fill_before = decode_cache._fill
    monkeypatch.setattr(decode_cache, "_fill", lambda *given: (filled.append(1), fill_before(*given)))
    same(load_data(str(folder), size=(16, 16))[0], first)
    folder.rename(tmp_path / "moved")
    load_data(str(tmp_path / "moved"), size=(16, 16))
    assert filled == []  # elsewhere, but the same files
    file = tmp_path / "moved/cat/003.png"
    before = file.stat()
    picture(77).save(file)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    changed = load_data(str(tmp_path / "moved"), size=(16, 16))[0]
    assert filled == [1]
    assert changed.digest != first.digest
    assert not torch.equal(changed.images, first.images)
    load_data(str(tmp_path / "moved"), size=(16, 20))
    assert filled == [1, 1]


def test_decoding_goes_on_where_it_was_killed(tmp_path, monkeypatch, mapped):
    folder = made_set(tmp_path / "set")
    code = (
        "import sys, time\nfrom ganarium.data import load_data\nfrom ganarium.data.files import decode_cache\n"
        "decode_cache.MAX_IN_MEMORY, decode_cache.BLOCK = 0, 4\nworked = decode_cache._decoded_blocks\n"
        "def slow(*given):\n    for answer in worked(*given):\n        yield answer\n        time.sleep(0.2)\n"
        f"decode_cache._decoded_blocks = slow\nload_data({str(folder)!r}, size=(16, 16))\n"
    )
    env = os.environ | {"PYTHONPATH": str(Path(ganarium.__file__).parents[1])}
    process = subprocess.Popen([sys.executable, "-c", code], env=env)
    deadline = time.monotonic() + 60
    while (
        time.monotonic() < deadline and sum(1 for log in mapped.glob("*.partial/blocks.jsonl") for _ in log.open()) < 3
    ):
        time.sleep(0.05)
    process.kill()
    process.wait()
    (log,) = mapped.glob("*.partial/blocks.jsonl")
    done = len(log.read_text().splitlines())
    assert 3 <= done < 16
    blocks = []
    worked_before = decode_cache._decoded_blocks
    monkeypatch.setattr(
        decode_cache,
        "_decoded_blocks",
        lambda missing, where: (blocks.extend(missing), worked_before(missing, where))[1],
    )
    train, _ = load_data(str(folder), size=(16, 16))
    assert len(blocks) == 16 - done
    monkeypatch.setattr(decode_cache, "MAX_IN_MEMORY", 2**30)
    same(train, load_data(str(folder), size=(16, 16))[0])
    assert not list(mapped.glob("*.partial"))


def test_a_full_disk_is_said_before_anything_is_decoded(tmp_path, monkeypatch, mapped):
    folder = made_set(tmp_path / "set")
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(decode_cache.shutil, "disk_usage", lambda path: usage)
    refused("GiB left", "GANARIUM_CACHE", name_or_path=folder)
    assert not list(mapped.glob("*/pixels"))


def test_a_mapped_set_trains_and_resumes_to_the_bit(tmp_path, monkeypatch, mapped):
    folder = made_set(tmp_path / "set")
    monkeypatch.chdir(tmp_path)
    settings = {"size": "16", "batch_size": 4, "width": 16, "quiet": True, "threads": 1, "device": "cpu"}
    one = ganarium.train("gan", data=str(folder), steps=6, out="one", **settings)
    ganarium.train("gan", data=str(folder), steps=3, out="two", **settings)
    two = ganarium.resume("two", steps=6, quiet=True)
    for (key, a), b in zip(one.state_dict().items(), two.state_dict().values(), strict=True):
        assert torch.equal(a, b), key
    written = json.loads((tmp_path / "one/config.json").read_text())
    assert "dog/broken.png is no picture" in written["data"]["skipped"][0]


def test_workers_do_not_import_torch():
    code = "import sys, ganarium.data.files.decode, ganarium.data.files.open; assert 'torch' not in sys.modules"
    env = os.environ | {"PYTHONPATH": str(Path(ganarium.__file__).parents[1])}
    assert subprocess.run([sys.executable, "-c", code], env=env, check=False).returncode == 0


# What chance decides is a function of the seed and the count of draws


def sets(tmp_path):
    images = torch.randint(0, 256, (40, 8, 8, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    plain = Dataset("plain", images)
    paired = dataclasses.replace(plain, second=255 - images, paired=True)
    captions = tuple((f"{n} a", f"{n} b", f"{n} c") for n in range(40))
    return {
        "mirrored": (dataclasses.replace(plain, mirror=True), Images),
        "binary": (dataclasses.replace(plain, bernoulli=True), Images),
        "pairs": (dataclasses.replace(paired, mirror=True), PairedImages),
        "domains": (dataclasses.replace(paired, mirror=True), UnpairedImages),
        "captions": (dataclasses.replace(plain, captions=captions), CaptionedImages),
    }


@pytest.mark.parametrize("name", ["mirrored", "binary", "pairs", "domains", "captions"])
def test_draws_continue_where_they_were(tmp_path, name):
    data, kind = sets(tmp_path)[name]

    def alike(a, b):
        return all(torch.equal(x, y) if isinstance(x, torch.Tensor) else x == y for x, y in zip(a, b, strict=True))

    one, two, other = (Batches(data, kind, 16, seed=seed) for seed in (5, 5, 6))
    torch.manual_seed(1)
    drawn = [next(one) for _ in range(6)]
    torch.manual_seed(2)  # the training's own chance has no say
    two.drawn = 3 * 16
    assert alike(next(two), drawn[3])
    assert not alike(next(other), drawn[0])
    one.drawn = 0
    again = [next(one) for _ in range(6)]
    assert all(alike(a, b) for a, b in zip(drawn, again, strict=True))


def test_half_are_mirrored_and_pairs_together(tmp_path):
    data, _ = sets(tmp_path)["mirrored"]
    drawn = torch.cat([batch.image for _, batch in zip(range(50), Batches(data, Images, 40), strict=False)])
    stored = ((data.images.permute(0, 3, 1, 2) / 127.5) - 1).flatten(1)
    straight = (torch.cdist(drawn.flatten(1), stored) < 1e-2).any(1)
    turned = (torch.cdist(drawn.flip(3).flatten(1), stored) < 1e-2).any(1)
    assert (straight ^ turned).all()
    assert turned.float().mean() == pytest.approx(0.5, abs=0.05)
    pairs, kind = sets(tmp_path)["pairs"]
    for batch in (next(Batches(pairs, kind, 40)) for _ in range(3)):
        assert torch.allclose(batch.a, -batch.b, atol=1e-6)  # 255 - x, turned alike


def test_pixels_are_drawn_by_their_probability(tmp_path):
    data, kind = sets(tmp_path)["binary"]
    batches = Batches(data, kind, 40, seed=1)
    drawn = torch.stack([next(batches).image.mean((2, 3)).sort(0).values for _ in range(300)])
    assert set(next(batches).image.unique().tolist()) == {-1.0, 1.0}
    expected = (data.images.float() / 127.5 - 1).mean((1, 2)).mean(0)
    mean = drawn.mean((0, 1))
    assert torch.allclose(mean, expected, atol=0.01)


# The hub


def test_the_hub_needs_its_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    refused("pip install datasets", name_or_path="hf:someone/some-set")


def test_the_hub_offline_is_one_sentence(monkeypatch):
    class Offline:
        @staticmethod
        def load_dataset(name):
            raise ConnectionError(f"Couldn't reach {name}\non the Hub")

    monkeypatch.setitem(sys.modules, "datasets", Offline)
    refused("hf:someone/some-set could not be loaded", "network", name_or_path="hf:someone/some-set")


def test_a_set_of_the_hub(tmp_path, monkeypatch):
    """Through a stand-in with the few names of `datasets` that are used."""

    class Image_:
        def __init__(self, decode=True):
            self.decode = decode

    class ClassLabel:
        names = ["cat", "dog"]

    Image_.__name__ = "Image"

    class Table:
        _fingerprint = "abc"

        def __init__(self, columns, features):
            self.columns, self.features = columns, features

        def select_columns(self, names):
            return Table({n: self.columns[n] for n in names}, {n: self.features[n] for n in names})

        def cast_column(self, name, feature):
            assert feature.decode is False
            return self

        def __len__(self):
            return len(next(iter(self.columns.values())))

        def __getitem__(self, key):
            return self.columns[key] if isinstance(key, str) else {n: c[key] for n, c in self.columns.items()}

    fill(tmp_path, 24)
    stored = [{"bytes": (tmp_path / f"{n:03}.png").read_bytes(), "path": None} for n in range(24)]
    features = {"image": Image_(), "label": ClassLabel()}
    tables = {
        "train": Table({"image": stored[:16], "label": [n % 2 for n in range(16)]}, features),
        "test": Table({"image": stored[16:], "label": [n % 2 for n in range(8)]}, features),
    }
    fake = type("Fake", (), {"load_dataset": staticmethod(lambda name: tables)})
    monkeypatch.setitem(sys.modules, "datasets", fake)
    train, test = load_data("hf:someone/pets", size=(20, 20))
    assert (len(train), len(test), train.class_names, train.name) == (16, 8, ("cat", "dog"), "pets")
    for number, (image, label) in enumerate(zip(train.images, train.labels, strict=True)):
        assert torch.equal(image, torch.from_numpy(np.asarray(picture(number)).copy()))
        assert label == number % 2


# The real sets, by path


@pytest.mark.parametrize(
    ("path", "options", "kind", "counts", "classes"),
    [
        ("lfw64", {}, Images, (5175, 574), None),
        ("flowers102", {"size": (32, 32)}, LabelledImages, (4990, 554), 90),
        ("horse2zebra", {"size": (32, 32)}, UnpairedImages, (1067, 120), None),
        ("facades", {"size": (32, 32)}, PairedImages, (400, 106), None),
        ("bsds500", {"size": (96, 96), "layout": "patches"}, HighResolutionImages, (200, 100), None),
        ("nlvr", {"size": (24, 96)}, CaptionedImages, (1641, 556), None),
        ("cifar10/cifar10_subset.npz", {}, LabelledImages, (8000, 2000), 10),
    ],
)
def test_real_sets_by_path(real_data, path, options, kind, counts, classes):
    train, test = load_data(str(real_data / path), kind=kind, **options)
    assert (len(train), len(test), train.num_classes) == (*counts, classes)
    assert train.skipped == ()
    assert train.images.float().std() > 20
