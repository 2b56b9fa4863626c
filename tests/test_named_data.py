"""The sets that have a name: published, made from MNIST, drawn. Statistics come with a control that fails them."""

import bz2
import hashlib
import pickle
import re
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch
from PIL import Image
from torch import Tensor
from torchvision import datasets

from ganarium.data import load_data
from ganarium.data.batches import Batches
from ganarium.data.dataset import (
    CaptionedImages,
    Dataset,
    HighResolutionImages,
    Images,
    PairedImages,
    UnpairedImages,
    encode,
)
from ganarium.data.files.download import Published, find, places
from ganarium.data.sources.glyphs import render as render_glyphs
from ganarium.data.sources.mnist import FILES
from ganarium.data.sources.mnist_variants import HUES
from ganarium.data.sources.paired_scenes import (
    CAPTIONS,
    COLOURS,
    KIND_WORDS,
    MAX_SHAPES,
    PLACE_WORDS,
    PLACES,
    RELATION_WORDS,
    SIZE_WORDS,
    SIZES,
    draw_shapes,
    render_shapes,
    shapes_of,
)
from ganarium.data.sources.scenes import KINDS, render, scenes_of
from ganarium.data.sources.textures import SIDE, render_textures
from ganarium.data.sources.torchvision_sets import OBJECTS, celeba_files
from synthetic import refused

RNG = np.random.default_rng(0)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    monkeypatch.setattr("torchvision.datasets.CelebA", refuse)  # it has a way of its own


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in which data is looked for, and nowhere else."""
    monkeypatch.setenv("GANARIUM_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("GANARIUM_CACHE", str(tmp_path / "cache"))
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def labels_of(data: Dataset) -> Tensor:
    assert data.labels is not None
    return data.labels


# Where sets are looked for


def test_places(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = home.parent / "cache" / "data"
    assert places("a", ".") == [home / "a", home, cache / "a", cache]
    monkeypatch.delenv("GANARIUM_DATA")
    assert places("a") == [cache / "a"]


def own_set(fetch: Callable[[Path], Path]) -> Published:
    return Published("own", ("own", "."), "inner", ("one", "two"), fetch)


def test_a_download_is_made_aside_and_kept_whole(home: Path) -> None:
    seen = []

    def fetch(aside: Path) -> Path:
        seen.append(list(home.iterdir()))
        (aside / "made").mkdir()
        (aside / "made" / "one").write_text("1")
        (aside / "made" / "two").mkdir()
        (aside / "made" / "two.gz").write_text("packed")
        (aside / "left over").write_text("x")
        return aside / "made"

    assert find(own_set(fetch)) == find(own_set(fetch)) == home / "own" / "inner"
    assert len(seen) == 1
    assert all(path.name.startswith(".download-") for path in seen[0])
    assert sorted(str(path.relative_to(home)) for path in home.rglob("*")) == [
        "own",
        "own/inner",
        "own/inner/one",
        "own/inner/two.gz",
    ]


def test_a_failed_download_leaves_nothing(home: Path) -> None:
    def fetch(aside: Path) -> Path:
        (aside / "one").write_text("1")
        raise RuntimeError("File not found or corrupted.")

    words = f"own is not here (one and one more were looked for in {home}/own/inner, {home}/inner, ... downloaded"
    refused(words, lambda: find(own_set(fetch)))
    assert list(home.iterdir()) == []


def test_a_read_only_folder_is_passed_over(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(aside: Path) -> Path:
        for name in ("one", "two"):
            (aside / name).write_text(name)
        return aside

    monkeypatch.setattr("ganarium.data.files.download._writable", lambda folder: folder != home)
    assert find(own_set(fetch)) == home.parent / "cache" / "data" / "own" / "inner"
    assert list(home.iterdir()) == []


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("usps", "usps.bz2 and one more were looked for in {home}/usps, {home}, ... --data glyphs"),
        ("cifar10", "data_batch_1 and six more ... {home}/cifar10/cifar-10-batches-py ... by its path ... .npz"),
        ("svhn", "train_32x32.mat and one more ... {home}/svhn ... GANARIUM_DATA ... by its path"),
        ("celeba", "img_align_celeba and one more ... {home}/celeba ... gdown"),
        ("mnist_m", "BSDS500 ... {home}/bsds500/images/train ... --data glyphs_coloured"),
        ("stacked_mnist", "mnist is not here ... {home}/mnist/MNIST/raw"),
    ],
)
def test_absent_sets_offline(home: Path, name: str, words: str) -> None:
    refused(words.format(home=home), lambda: load_data(name))
    assert list(home.iterdir()) == []


@pytest.mark.usefixtures("no_network")
def test_a_subset_is_never_taken_for_cifar10(home: Path) -> None:
    (home / "cifar10").mkdir()
    images, labels = RNG.integers(0, 256, (40, 32, 32, 3), dtype=np.uint8), np.arange(40) % 10
    np.savez(home / "cifar10" / "cifar10_subset.npz", images=images, labels=labels)
    refused("cifar10 is not here ... .npz of images and labels", lambda: load_data("cifar10"))
    assert len(load_data(str(home / "cifar10"))[0]) == 36


# USPS


def write_usps(folder: Path, counts: tuple[int, int] = (30, 10)) -> None:
    """Every pixel of image i is i / 100 - 1; the label in the file is i % 10 + 1."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, count in zip(("usps.bz2", "usps.t.bz2"), counts, strict=True):
        rows = [
            f"{i % 10 + 1} " + " ".join(f"{place}:{i / 100 - 1:.3f}" for place in range(1, 257)) for i in range(count)
        ]
        (folder / name).write_bytes(bz2.compress("\n".join([*rows, ""]).encode()))


@pytest.mark.parametrize("folder", ["usps", "."])
def test_usps_in_either_place(home: Path, folder: str) -> None:
    write_usps(home / folder)
    train, test = load_data("usps")
    assert (train.shape, len(train), len(test)) == ((1, 16, 16), 30, 10)
    assert labels_of(train).tolist() == [i % 10 for i in range(30)]
    assert train.images[:, 3, 4, 0].tolist() == pytest.approx([i / 200 * 255 for i in range(30)], abs=1)
    wide, _ = load_data("usps", size=(32, 40), channels=3)
    assert wide.shape == (3, 32, 40)
    assert (wide.images[20, :, 4:36] == train.images[20, 0, 0, 0]).all()
    assert wide.images[:, :, :4].sum() == 0


def test_damaged_usps(home: Path) -> None:
    write_usps(home)
    file = home / "usps.t.bz2"
    whole = file.read_bytes()
    lines = bz2.decompress(whole)
    too_large = lines.replace(b"10 1:", b"12 1:")
    for broken in (
        whole[:-20],
        b"",
        b"no bzip2",
        bz2.compress(lines[:-40]),
        bz2.compress(b""),
        bz2.compress(b"a b c"),
        bz2.compress(too_large),
        bz2.compress(lines.replace(b"1:-", b"1:x")),
    ):
        file.write_bytes(broken)
        refused(f"{file} is damaged", lambda: load_data("usps"))


def test_usps_is_the_published_one(real_data: Path) -> None:
    train, test = load_data("usps")
    assert (train.shape, len(train), len(test), train.num_classes) == ((1, 16, 16), 7291, 2007, 10)
    assert labels_of(train).bincount().tolist() == [1194, 1005, 731, 658, 652, 556, 664, 645, 542, 644]
    assert labels_of(test).bincount().tolist() == [359, 264, 198, 166, 200, 160, 170, 147, 166, 177]
    ink = torch.stack([train.images[labels_of(train) == digit].float().mean(0)[..., 0] for digit in range(10)])
    assert ink[0, 7:9, 7:9].mean() < 60 < 200 < ink[1, 7:9, 7:9].mean()  # a nought is hollow, a one is not


# CIFAR-10 and SVHN, in files of torchvision's layout whose check sums are put in the place of the published


def write_cifar10(folder: Path, monkeypatch: pytest.MonkeyPatch, images: int = 4) -> np.ndarray:
    """Five train batches and a test batch of random images (n, 3, 32, 32); labels count on."""
    folder.mkdir(parents=True)
    names = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
    pixels = np.random.default_rng(1).integers(0, 256, (6 * images, 3, 32, 32), dtype=np.uint8)
    sums = []
    for place, name in enumerate(names):
        part = slice(place * images, (place + 1) * images)
        entry = {"data": pixels[part].reshape(images, -1), "labels": [i % 10 for i in range(24)][part]}
        (folder / name).write_bytes(pickle.dumps(entry))
        sums.append([name, hashlib.md5((folder / name).read_bytes()).hexdigest()])
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list(OBJECTS)}))
    meta = {**datasets.CIFAR10.meta, "md5": hashlib.md5((folder / "batches.meta").read_bytes()).hexdigest()}
    for name, value in (("train_list", sums[:5]), ("test_list", sums[5:]), ("meta", meta)):
        monkeypatch.setattr(datasets.CIFAR10, name, value)
    return pixels


@pytest.mark.parametrize("folder", ["cifar10", "."])
def test_cifar10(home: Path, monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    pixels = torch.from_numpy(write_cifar10(home / folder / "cifar-10-batches-py", monkeypatch))
    train, test = load_data("cifar10")
    assert (train.shape, len(train), len(test), train.class_names[9]) == ((3, 32, 32), 20, 4, "truck")
    assert torch.equal(torch.cat([train.images, test.images]), pixels.permute(0, 2, 3, 1))
    assert labels_of(test).tolist() == [0, 1, 2, 3]
    assert load_data("cifar10", size=(16, 24), channels=1)[0].shape == (1, 16, 24)


def test_damaged_cifar10(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch of another check sum is refused before it is unpickled."""
    place = home / "cifar10" / "cifar-10-batches-py"
    write_cifar10(place, monkeypatch)
    (place / "data_batch_3").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    refused(f"{place} is damaged ... CIFAR10", lambda: load_data("cifar10"))


def write_svhn(folder: Path, monkeypatch: pytest.MonkeyPatch, top: int = 10) -> np.ndarray:
    """20 and 10 random images (32, 32, 3, n); labels 1 to `top`, where 10 means 0."""
    folder.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(2).integers(0, 256, (32, 32, 3, 30), dtype=np.uint8)
    sums = {}
    for split, part in (("train", slice(20)), ("test", slice(20, 30))):
        file = folder / f"{split}_32x32.mat"
        labels = np.arange(30)[part].reshape(-1, 1) % top + 1
        scipy.io.savemat(file, {"X": pixels[..., part], "y": labels.astype(np.uint8)})
        sums[split] = ["http://localhost/", file.name, hashlib.md5(file.read_bytes()).hexdigest()]
    monkeypatch.setattr(datasets.SVHN, "split_list", sums)
    return pixels


@pytest.mark.parametrize("folder", ["svhn", "."])
def test_svhn(home: Path, monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    pixels = torch.from_numpy(write_svhn(home / folder, monkeypatch))
    train, test = load_data("svhn")
    assert (train.shape, len(train), len(test)) == ((3, 32, 32), 20, 10)
    assert torch.equal(torch.cat([train.images, test.images]), pixels.permute(3, 0, 1, 2))
    assert labels_of(train).tolist() == [(i + 1) % 10 for i in range(20)]


def test_damaged_svhn(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_svhn(home / "svhn", monkeypatch, top=12)
    refused("labels do not fit", lambda: load_data("svhn"))
    write_svhn(home / "svhn", monkeypatch)
    file = home / "svhn" / "test_32x32.mat"
    file.write_bytes(file.read_bytes()[:-100])
    refused(f"{file} is damaged", lambda: load_data("svhn"))


def test_svhn_without_scipy(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "scipy.io", None)
    refused("svhn ... pip install scipy", lambda: load_data("svhn"))


# CelebA


def write_celeba(folder: Path, counts: tuple[int, int, int] = (6, 2, 3)) -> None:
    (folder / "img_align_celeba").mkdir(parents=True)
    lines: list[str] = []
    for part, count in enumerate(counts):
        for _ in range(count):
            name = f"{len(lines) + 1:06}.jpg"
            Image.new("RGB", (178, 218), (len(lines), 0, 0)).save(folder / "img_align_celeba" / name)
            lines.append(f"{name} {part}")
    (folder / "list_eval_partition.txt").write_text("\n".join(lines) + "\n")


def test_celeba_files(tmp_path: Path) -> None:
    write_celeba(tmp_path)
    train, test = celeba_files(tmp_path)
    assert [file.name for file in train] == [f"{number:06}.jpg" for number in range(1, 7)]
    assert [file.name for file in test] == [f"{number:06}.jpg" for number in range(9, 12)]
    assert all(file.is_file() for file in train + test)


def test_damaged_celeba(tmp_path: Path) -> None:
    write_celeba(tmp_path)
    partition, pictures = tmp_path / "list_eval_partition.txt", tmp_path / "img_align_celeba"
    (pictures / "000002.jpg").unlink()
    (pictures / "000008.jpg").unlink()  # of the validation part, which is not used
    refused(f"1 of the 9 pictures ... not in {pictures} (such as 000002.jpg)", lambda: celeba_files(tmp_path))
    whole = partition.read_text()
    for broken in (whole + "000012.jpg 3\n", whole + "000012.jpg\n", whole + "ü.jpg 1\n", whole.replace(" ", ",")):
        partition.write_text(broken, encoding="utf-8")
        refused(f"{partition} is damaged", lambda: celeba_files(tmp_path))
    partition.write_text("000001.jpg 0\n")
    refused("no pictures to test on", lambda: celeba_files(tmp_path))
    partition.write_text("")
    refused("no pictures to train on", lambda: celeba_files(tmp_path))


def test_celeba(home: Path) -> None:
    write_celeba(home / "celeba", (20, 2, 3))
    train, test = load_data("celeba", size=(16, 16))
    assert (train.name, train.shape, len(train), len(test), train.kinds) == ("celeba", (3, 16, 16), 20, 3, (Images,))
    assert train.images[:, 8, 8, 0].tolist() == pytest.approx(range(20), abs=2)
    assert test.images[:, 8, 8, 0].tolist() == pytest.approx([22, 23, 24], abs=2)


# Made from MNIST


def write_mnist(raw: Path, train: int = 60, test: int = 20) -> None:
    """IDX files whose image i has label i % 10 and the brightness 20 * label in a square that moves with i."""
    raw.mkdir(parents=True)
    for name in FILES:
        count = train if "train" in name else test
        label = np.arange(count, dtype=np.uint8) % 10
        if "labels" in name:
            array = label
        else:
            array = np.zeros((count, 28, 28), np.uint8)
            for place in range(count):
                array[place, 4 + place % 7 : 20 + place % 7, 8:20] = 20 * label[place] + 40
        header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
        (raw / name).write_bytes(header + array.tobytes())


@pytest.fixture
def small(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small MNIST, where the brightest pixel tells the label: (value - 40) / 20."""
    write_mnist(home / "mnist" / "MNIST" / "raw")
    monkeypatch.setattr("ganarium.data.sources.mnist_variants.NUM_STACKED", (5000, 300))
    return home


def told(images: Tensor) -> Tensor:
    """The labels (n,) of small MNIST's images (n, h, w)."""
    return (images.flatten(1).amax(1).long() - 40) // 20


def test_stacked_digits_stand_in_the_order_of_the_label(small: Path) -> None:
    train, test = load_data("stacked_mnist")
    assert (train.shape, len(train), len(test), train.num_classes) == ((3, 32, 32), 5000, 300, 1000)
    for split in (train, test):
        digits = [told(split.images[..., channel]) for channel in range(3)]
        read = sum(digit * weight for digit, weight in zip(digits, (100, 10, 1), strict=True))
        assert torch.equal(labels_of(split), torch.as_tensor(read))
        turned = sum(digit * weight for digit, weight in zip(digits[::-1], (100, 10, 1), strict=True))
        assert (labels_of(split) == turned).float().mean() < 0.2  # control: the channels in another order
    assert train.class_names[int(labels_of(train)[0])] == f"{labels_of(train)[0]:03}"
    assert len(labels_of(train).unique()) > 950
    joint = torch.zeros(10, 10)
    red, green = labels_of(train) // 100, labels_of(train) // 10 % 10
    joint.index_put_((red, green), torch.ones(()), accumulate=True)
    assert dependence(joint) < 0.08  # 0.055 comes from chance alone
    assert dependence(torch.eye(10)) > 0.5  # control: the same digit twice
    assert torch.equal(load_data("stacked_mnist")[0].images, train.images)


def test_stacked_digits_are_those_of_their_own_split(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of black training digits and white test digits."""
    splits = [
        Dataset("mnist", torch.full((20, 28, 28, 1), level, dtype=torch.uint8), torch.arange(20) % 10)
        for level in (0, 255)
    ]
    monkeypatch.setattr("ganarium.data.sources.mnist_variants.mnist", lambda *, size: splits)
    monkeypatch.setattr("ganarium.data.sources.mnist_variants.NUM_STACKED", (50, 30))
    for split, level, count in zip(load_data("stacked_mnist", size=(28, 28)), (0, 255), (50, 30), strict=True):
        assert set(split.images.unique().tolist()) == {level}
        assert len(split) == count


def dependence(counts: Tensor) -> float:
    """Total variation between a table of counts and the product of its margins."""
    share = counts / counts.sum()
    return float((share - share.sum(1, keepdim=True) * share.sum(0, keepdim=True)).abs().sum() / 2)


def test_stacked_mnist_is_that_of_the_papers(real_data: Path) -> None:
    train, test = load_data("stacked_mnist")
    assert (train.shape, len(train), len(test)) == ((3, 32, 32), 128_000, 26_000)
    assert len(labels_of(train).unique()) == len(labels_of(test).unique()) == 1000
    digits = load_data("mnist")[0]
    known = {image.numpy().tobytes(): int(label) for image, label in zip(digits.images, labels_of(digits), strict=True)}
    for place in range(0, 128_000, 1000):
        read = [known[train.images[place, :, :, channel].numpy().tobytes()] for channel in range(3)]
        assert labels_of(train)[place] == int("".join(map(str, read)))


def test_fixed_binary_pixels(small: Path) -> None:
    grey, drawn = load_data("mnist")[0], load_data("mnist_binarised")[0]
    assert drawn.images.unique().tolist() == [0, 255]
    assert torch.equal(drawn.images, load_data("mnist_binarised")[0].images)
    assert drawn.images[grey.images == 0].sum() == 0
    for value in (80, 220):
        lit = drawn.images[grey.images == value].float().mean()
        assert lit == pytest.approx(value, abs=12)
    first, second = (Batches(drawn, Images, 60, seed=1) for _ in range(2))
    places_of = [first._index(0, 60, epoch * 60, 60) for epoch in (0, 1)]
    epochs = [torch.empty(60, *drawn.shape), torch.empty(60, *drawn.shape)]
    for target, place in zip(epochs, places_of, strict=True):
        target[place] = next(first).image
    assert torch.equal(epochs[0], epochs[1])  # fixed: the same in each epoch
    assert torch.equal(next(second).image, epochs[0][places_of[0]])
    assert load_data("mnist_binarised", channels=3)[0].images.float().std(dim=3).max() == 0


def test_stochastic_binary_pixels(small: Path) -> None:
    grey, data = load_data("mnist")[0], load_data("mnist_stochastic")[0]
    assert torch.equal(data.images, grey.images)
    batches = Batches(data, Images, 60, seed=1)
    orders = [batches._index(0, 60, epoch * 60, 60) for epoch in range(40)]
    epochs = torch.empty(40, 60, *data.shape)
    for target, order in zip(epochs, orders, strict=True):
        target[order] = next(batches).image
    assert epochs.unique().tolist() == [-1, 1]
    uncertain = (grey.images > 0).permute(0, 3, 1, 2)
    share = uncertain.sum() / uncertain.numel()
    assert (epochs[0] != epochs[1]).float().mean() > 0.25 * share  # new pixels in each epoch
    probability = (epochs.mean(0) + 1) / 2
    assert (probability - grey.images.permute(0, 3, 1, 2) / 255)[uncertain].abs().mean() < 0.09
    batches.drawn = 60
    assert torch.equal(next(batches).image, epochs[1][orders[1]])  # the same after going back
    assert load_data("mnist_stochastic")[1].bernoulli


def test_the_hue_is_independent_of_the_digit(real_data: Path) -> None:
    grey, data = load_data("mnist")[0], load_data("mnist_tinted")[0]
    assert data.shape == (3, 32, 32)
    assert data.extra is not None
    hue, colours = data.extra["hue"], torch.tensor(list(HUES.values()))
    some = slice(0, 60_000, 20)
    assert torch.equal(data.images[some].amax(3, keepdim=True), grey.images[some])
    brightest = data.images[some].flatten(1, 2).amax(1)  # (n, 3): nothing in the channels that the hue lacks
    assert torch.equal(brightest, colours[hue[some]] * brightest.amax(1, keepdim=True))
    table = torch.zeros(6, 10)
    table.index_put_((hue, labels_of(data)), torch.ones(()), accumulate=True)
    assert table.min() > 800
    assert dependence(table) < 0.02
    tied = torch.zeros(6, 10)
    tied.index_put_((labels_of(data) % 6, labels_of(data)), torch.ones(()), accumulate=True)
    assert dependence(tied) > 0.5  # control: a hue that follows the digit


def test_negative_digits(small: Path) -> None:
    (grey, _), (negative, test) = load_data("mnist", size=(32, 48)), load_data("mnist_negative", size=(32, 48))
    assert torch.equal(negative.images, 255 - grey.images)
    assert (negative.images[:, :, :8] == 255).all()
    assert len(test) == 20
    assert (load_data("mnist_negative", channels=4)[0].images[..., 3] == 255).all()


def write_photos(folder: Path, count: int = 3) -> list[np.ndarray]:
    """Photos of different shapes whose columns rise in brightness, each in its own colour."""
    folder.mkdir(parents=True)
    photos = []
    for number in range(count):
        height, width = 50 + 10 * number, 90 - 10 * number
        photo = np.zeros((height, width, 3), np.uint8)
        photo[..., number % 3] = 60 + np.arange(width)
        photos.append(photo)
        Image.fromarray(photo).save(folder / f"{number}.jpg", quality=98, subsampling=0)
    return photos


def test_mnist_m_is_a_crop_less_the_digit(small: Path) -> None:
    write_photos(small / "bsds500" / "images" / "train")
    (digits, _), (train, test) = load_data("mnist"), load_data("mnist_m")
    assert (train.shape, len(train), len(test)) == ((3, 32, 32), 60, 20)
    assert torch.equal(labels_of(train), labels_of(digits))
    bright = train.images.amax(3)
    outside = digits.images[..., 0] == 0
    assert (bright[outside] > 50).float().mean() > 0.99  # the photo fills the padding too
    step = train.images.float().amax(3).diff(dim=2)[outside[:, :, 1:] & outside[:, :, :-1]]
    assert step.median() == pytest.approx(1, abs=1)  # the photos are cut, not resized: a ramp keeps its slope
    colour = train.images[:, 0, 0].argmax(1)  # of the corner, where no digit is
    assert set(colour.tolist()) == {0, 1, 2}
    for image, digit, own in zip(train.images.int(), digits.images.int(), colour, strict=True):
        others = [channel for channel in range(3) if channel != own]
        assert (image[..., others] - digit).abs().max() <= 6  # |0 - digit|, but for the JPEG
        inside = digit[..., 0] > 0
        ramp = image[-1, :, own].expand(32, 32)  # the photo, from a row below the digit
        expected = (ramp - digit[..., 0]).abs()[inside]
        assert (image[..., own][inside] - expected).abs().max() <= 12
    assert torch.equal(load_data("mnist_m")[0].images, train.images)
    refused("larger than the smallest photo ... 50 rows ... --size", lambda: load_data("mnist_m", size=(60, 60)))


def test_mnist_m(real_data: Path) -> None:
    (digits, _), (train, test) = load_data("mnist", channels=3), load_data("mnist_m")
    assert (train.shape, len(train), len(test)) == ((3, 32, 32), 60_000, 10_000)
    assert torch.equal(labels_of(train), labels_of(digits))
    some = slice(0, 60_000, 30)
    images, plain = train.images[some].float(), digits.images[some].float()
    assert (images - plain).abs().mean() > 40
    shifted = plain.roll(1, 0)
    own, other = (edge_agreement(images, ink) for ink in (plain, shifted))
    assert own > 2 * other > 0  # its own digit is in it; control: that of the next image is not


def edge_agreement(images: Tensor, ink: Tensor) -> float:
    """Mean product of the strengths of the horizontal edges of both (n, h, w, c)."""
    edges = [pictures.mean(3).diff(dim=2).abs() for pictures in (images, ink)]
    centred = [edge - edge.mean((1, 2), keepdim=True) for edge in edges]
    return float((centred[0] * centred[1]).mean())


# Drawn


def test_paired_scenes_are_the_same_scenes() -> None:
    train, test = load_data("scenes_paired", size=(24, 40), kind=PairedImages)
    assert (train.shape, len(train), len(test), train.paired) == ((3, 24, 40), 4000, 400, True)
    for split in (train, test):
        assert split.second is not None
        a, b = scenes_of(split, "a"), scenes_of(split, "b")
        assert torch.equal(render(a, "outlined", (24, 40)), split.second)
        assert torch.equal(render(b, "filled", (24, 40)), split.images)
    batch = Batches(train, PairedImages, 200, seed=0).draw(200)
    apart = Batches(train, UnpairedImages, 200, seed=0).draw(200)
    filled, outline = ((encode(domain).float() - 51).abs().amax(3) > 60 for domain in (batch.a, apart.a))
    assert torch.equal(filled, outline)
    agreement = [line_in_shape(encode(pair.a), encode(pair.b)) for pair in (batch, apart)]
    assert agreement[0] > 0.55 > 0.35 > agreement[1]  # control: domains drawn apart
    assert not torch.equal(train.images, load_data("scenes_unpaired", size=(24, 40))[0].images)


def line_in_shape(a: Tensor, b: Tensor) -> float:
    """The share of the outlines' bright pixels that touch the filled shapes."""
    shape = (a.float() - 51).abs().amax(3) > 60
    grown = torch.nn.functional.max_pool2d(shape.float(), 3, 1, 1) > 0
    line = b.float().amax(3) > 200
    return float((grown & line).sum() / line.sum())


def test_captions_name_all_shapes() -> None:
    """Read by words alone: every sentence tells the kind, colour, size and place of every shape, and no more; or, of
    two shapes, how one lies to the other."""
    train, test = load_data("scenes_captioned", kind=CaptionedImages)
    assert (train.shape, len(train), len(test)) == ((3, 64, 64), 4000, 400)
    for split in (train, test):
        assert split.captions is not None
        shapes = shapes_of(split)
        facts = [shape_words(Dataset("", split.images, extra=shapes._asdict()), row) for row in range(len(split))]
        for own, sentences in zip(facts, split.captions, strict=True):
            assert len(set(sentences)) == CAPTIONS
            placed = [sentence for sentence in sentences if not related(sentence)]
            assert all(read(sentence) == own for sentence in placed), (own, sentences)
            assert len(placed) == CAPTIONS or len(own) == 2
        mistaken = [read(sentences[0]) == own for own, sentences in zip(facts[1:], split.captions, strict=False)]
        assert np.mean(mistaken) < 0.02  # control: the captions of other scenes
    assert train.captions is not None
    assert shapes_of(train).kind.ge(0).sum(1).bincount().tolist()[0] == 0
    openings = {sentence.split()[0] for sentences in train.captions for sentence in sentences}
    assert len(openings) > 8
    batch = Batches(train, CaptionedImages, 8, seed=0).draw(8)
    assert all(isinstance(sentence, str) for sentence in batch.caption)


def test_sentences_say_how_two_shapes_lie_to_each_other() -> None:
    """By the centres of the shapes; and not of the same scenes mirrored, or upside down."""
    train, _ = load_data("scenes_captioned")
    assert train.captions is not None
    shapes = shapes_of(train)
    two = (shapes.kind >= 0).sum(1) == 2
    said, true = [], {"as they are": [], "mirrored": [], "upside down": []}
    for row in two.nonzero().squeeze(1).tolist():
        named = [
            (KINDS[kind], tuple(COLOURS)[colour], tuple(SIZES)[large])
            for kind, colour, large in torch.stack(shapes[:3])[:, row, :2].T.tolist()
        ]
        for sentence in train.captions[row]:
            told = related(sentence)
            if not told:
                continue
            first, relation, second = told
            said.append((first[2], relation))
            places = [[name for name in named if fits(name, thing)] for thing in (first, second)]
            assert all(places), (named, sentence)
            ways = [(a, b) for a in range(2) for b in range(2) if a != b]
            ways = [(a, b) for a, b in ways if fits(named[a], first) and fits(named[b], second)]
            dx, dy = (field[row, :2] for field in (shapes.x, shapes.y))
            for name, (across, down) in (("as they are", (1, 1)), ("mirrored", (-1, 1)), ("upside down", (1, -1))):
                away = [(across * float(dx[a] - dx[b]), down * float(dy[a] - dy[b])) for a, b in ways]
                true[name].append(any(lies(relation, *one) for one in away))
    assert len(said) == pytest.approx(0.4 * CAPTIONS * int(two.sum()), rel=0.1)
    assert {relation for _, relation in said} == set(RELATION_WORDS)
    assert np.mean([size is None for size, _ in said]) == pytest.approx(0.3, abs=0.05)
    assert all(true["as they are"])
    assert np.mean(true["mirrored"]) == pytest.approx(0.5, abs=0.05)  # where one is above the other
    assert np.mean(true["upside down"]) == pytest.approx(0.5, abs=0.05)


def lies(relation: str, x: float, y: float) -> bool:
    """Whether a shape that is (x, y) away from another, to the right and downwards, lies to it as is said."""
    far = {"above": -y, "below": y, "left": -x, "right": x}[relation]
    return far == max(abs(x), abs(y))


def fits(shape: tuple[str, str, str], told: tuple[str, str, str | None]) -> bool:
    return shape[:2] == told[:2] and told[2] in (None, shape[2])


def related(sentence: str) -> tuple[tuple, str, tuple] | None:
    """What a sentence tells of how two shapes lie: (kind, colour, size or None), a relation, and the other shape."""
    what = {word: kind for kind, words in KIND_WORDS.items() for word in words}
    large = {word: size for size, words in SIZE_WORDS.items() for word in words}
    how = {words: relation for relation, all_words in RELATION_WORDS.items() for words in all_words}
    thing = rf"an? (?:({'|'.join(large)}) )?({'|'.join(COLOURS)}) ({'|'.join(what)})"
    words, text = f"({'|'.join(how)})", sentence.lower()
    ahead, behind = re.search(rf"{thing} {words} {thing}", text), re.match(rf"{words} {thing} there is {thing}", text)
    if not (ahead or behind):
        return None
    parts = list((ahead or behind).groups())
    relation = how[parts.pop(3 if ahead else 0)]
    things = [(what[kind], colour, large[size] if size else None) for size, colour, kind in (parts[:3], parts[3:])]
    first, second = things if ahead else things[::-1]
    return first, relation, second


def shape_words(data: Dataset, row: int) -> list[tuple[str, str, str, str]]:
    fields = [field[row].tolist() for field in shapes_of(data)[:4]]
    return sorted(
        (KINDS[kind], tuple(COLOURS)[colour], tuple(SIZES)[large], PLACES[place])
        for kind, colour, large, place in zip(*fields, strict=True)
        if kind >= 0
    )


def read(sentence: str) -> list[tuple[str, str, str, str]]:
    """The shapes that a sentence tells of. Each is named in one piece, its place just before or just after."""
    where = {words: place for place, all_words in PLACE_WORDS.items() for words in all_words}
    what = {word: kind for kind, words in KIND_WORDS.items() for word in words}
    large = {word: size for size, words in SIZE_WORDS.items() for word in words}
    text = sentence.lower()
    place = "|".join(sorted(map(re.escape, where), key=len, reverse=True))
    thing = rf"an? ({'|'.join(large)}) ({'|'.join(COLOURS)}) ({'|'.join(what)})"
    actual = []
    if re.match(place, text):
        for near, size, colour, kind in re.findall(rf"({place})(?: there is| sits| lies| is)? {thing}", text):
            actual.append((what[kind], colour, large[size], where[near]))
    else:
        for size, colour, kind, near in re.findall(rf"{thing} ({place})", text):
            actual.append((what[kind], colour, large[size], where[near]))
    return sorted(actual)


def test_the_words_are_true_of_the_pixels() -> None:
    """The colour at the centre is the one named, the centre lies in the third named, large shapes have more pixels."""
    size = (48, 80)
    shapes = draw_shapes(600, size, torch.Generator().manual_seed(5))
    images = render_shapes(shapes, size)
    colours = (torch.tensor(list(COLOURS.values())) * 255).round()
    single = (shapes.kind[:, 1] < 0).nonzero().squeeze(1)
    assert len(single) > 100
    ink = (images[single].float() - images[single, :1, :1].float()).abs().amax(3) > 20
    area, big = ink.sum((1, 2)), shapes.large[single, 0]
    assert area[big == 1].min() > 1.5 * area[big == 0].max()
    y, x = (torch.arange(side).float() + 0.5 for side in size)
    row = (ink.sum(2) * y).sum(1) / area / size[0] * 3
    column = (ink.sum(1) * x).sum(1) / area / size[1] * 3
    assert torch.equal(3 * row.long() + column.long(), shapes.place[single, 0])
    for place in range(MAX_SHAPES):
        there = (shapes.kind[:, place] >= 0).nonzero().squeeze(1)
        middle_y = (shapes.y[there, place] * 24 + 24).long()
        middle_x = (shapes.x[there, place] * 24 + 40).long()
        seen = images[there, middle_y, middle_x].float()
        assert torch.equal(seen, colours[shapes.colour[there, place]])


def test_every_word_is_in_use() -> None:
    shapes = draw_shapes(2000, (64, 64), torch.Generator().manual_seed(6))
    there = shapes.kind >= 0
    for field, words in ((shapes.kind, KINDS), (shapes.colour, COLOURS), (shapes.large, SIZES), (shapes.place, PLACES)):
        counts = field[there].bincount(minlength=len(words))
        assert counts.min() > 0.03 * counts.sum()
    assert there.sum(1).bincount(minlength=4)[1:].min() > 500


def test_textures_are_cut_from_larger_pictures() -> None:
    train, test = load_data("textures", size=(48, 40), kind=HighResolutionImages)
    assert (train.shape, len(train), len(test)) == ((3, 48, 40), 400, 40)
    assert train.photos is not None
    assert train.photos.heights.unique().tolist() == [SIDE]
    top, left = (SIDE - 48) // 2, (SIDE - 40) // 2
    whole = train.photos.pixels.view(400, SIDE, SIDE, 3)
    assert torch.equal(train.images, whole[:, top : top + 48, left : left + 40])
    batches = Batches(train, HighResolutionImages, 50, seed=0)
    first = next(batches).image
    assert not any(torch.equal(encode(one[None])[0], train.images[i]) for one in first[:5] for i in range(400))
    assert not torch.equal(first, next(batches).image)
    batches.drawn = 0
    assert torch.equal(first, next(batches).image)
    assert not (test.images[:, None, ::8, ::8] == train.images[None, :, ::8, ::8]).flatten(2).all(2).any()


def test_textures_are_sharp_at_several_scales() -> None:
    """Halving and enlarging loses far more of them than of their blurred copies, and every octave has contrast."""
    drawn = render_textures(40, (96, 96)).permute(0, 3, 1, 2).float()
    blurred = torch.nn.functional.avg_pool2d(drawn, 5, 1, 2, count_include_pad=False)

    def lost(images: Tensor) -> Tensor:
        small = torch.nn.functional.avg_pool2d(images, 2)
        return (images - torch.nn.functional.interpolate(small, scale_factor=2, mode="bicubic")).square().mean()

    assert lost(drawn) > 10 * lost(blurred)
    octaves = []
    for _ in range(5):
        coarse = torch.nn.functional.avg_pool2d(drawn, 2)
        octaves.append(float((drawn - coarse.repeat_interleave(2, 2).repeat_interleave(2, 3)).std()))
        drawn = coarse
    assert min(octaves) > 5


def test_a_texture_does_not_depend_on_their_number() -> None:
    assert torch.equal(render_textures(3, (40, 50))[:2], render_textures(2, (40, 50)))
    refused("up to 512 pixels ... not 64x1024 ... --size", lambda: load_data("textures", size=(64, 1024)))


@pytest.mark.parametrize("size", [(1, 1), (7, 200), (210, 9)])
def test_textures_of_any_size(size: tuple[int, int]) -> None:
    images = render_textures(2, size)
    assert images.shape == (2, *size, 3)


def test_coloured_glyphs() -> None:
    (train, test), (plain, _) = (load_data(name, characters="A7x") for name in ("glyphs_coloured", "glyphs"))
    assert (train.shape, len(train), len(test)) == ((3, 32, 32), 2700, 300)
    assert train.class_names == plain.class_names == ("7", "A", "x")
    assert torch.equal(labels_of(train), labels_of(plain))
    edges = train.images.float().mean(3).diff(dim=2).abs()
    ink = torch.stack([render_glyphs(one, (32, 32)).float().mean((0, 3)).diff(dim=1).abs() for one in "7Ax"])
    means = torch.stack([edges[labels_of(train) == label].mean(0) for label in range(3)])
    means, ink = (part - part.mean((1, 2), keepdim=True) for part in (means, ink))
    likeness = torch.einsum("ahw,bhw->ab", means, ink)
    assert (likeness.diagonal() > 0).all()
    assert likeness.argmax(1).tolist() == [0, 1, 2]  # the class is in the picture; the others are the control
    coloured, same = (split.images[labels_of(split) == 1].float() for split in (train, plain))
    own, other = (edge_agreement(coloured, ink) for ink in (same, same.roll(1, 0)))
    assert own < 1.1 * other  # drawn anew, and not as in glyphs
    assert edge_agreement(255 - same, same) > 1.5 * other  # control: the same drawings
    assert train.images[:, 0, 0].float().std(0).min() > 30  # backgrounds of many colours
    saturation = (train.images.amax(3).int() - train.images.amin(3).int()).float().mean()
    assert saturation > 15
    again, _ = load_data("glyphs_coloured", characters="A7x")
    assert torch.equal(again.images, train.images)
