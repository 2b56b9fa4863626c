"""Every data source, on real and on hostile files; the order in which batches are drawn."""

import gzip
import math
import os
import struct
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from ganarium.data import SOURCES, list_data, load_data, suitable_data
from ganarium.data.arrays import cover, held_out, pad, resize, with_channels
from ganarium.data.batches import Batches
from ganarium.data.dataset import Dataset, Images, LabelledImages, UnpairedImages, decode, encode
from ganarium.data.inspect.dataset import survey
from ganarium.data.sources.glyphs import BASELINE, DIGITS, FONTS, GROUPS, PER_CLASS, draw_masters, render
from ganarium.data.sources.mnist import FILES
from ganarium.data.sources.points import MODE_STD, mode_centres
from ganarium.data.sources.scenes import KINDS, draw_scenes, scenes_of, stripe_angle
from ganarium.data.sources.scenes import render as render_scenes
from ganarium.runtime.cache import cache_dir
from synthetic import refused

torch.set_num_threads(1)

ROOT = Path(__file__).parents[1]
REAL = Path(os.environ.get("GANARIUM_DATA", ROOT.parent / "shared" / "data")).resolve()
needs_mnist = pytest.mark.skipif(not (REAL / "mnist/MNIST/raw").is_dir(), reason=f"no MNIST in {REAL}")
needs_fashion = pytest.mark.skipif(not (REAL / "fashion/FashionMNIST/raw").is_dir(), reason=f"no fashion in {REAL}")
needs_usps = pytest.mark.skipif(not (REAL / "usps/usps.bz2").is_file(), reason=f"no USPS in {REAL}")
needs_photos = pytest.mark.skipif(not (REAL / "bsds500/images/train").is_dir(), reason=f"no BSDS500 in {REAL}")
absent = pytest.mark.skip(reason="read from made-up files in test_named_data.py")
needs = {name: [needs_mnist] for name, source in SOURCES.items() if source.module in ("mnist", "mnist_variants")}
needs |= {"fashion_mnist": [needs_fashion], "usps": [needs_usps], "mnist_m": [needs_mnist, needs_photos]}
needs |= {name: [absent] for name in ("cifar10", "svhn", "celeba")}
sides = st.integers(1, 80)


@pytest.fixture(autouse=True, scope="module")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANARIUM_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr("urllib.request.urlopen", refuse)


def picture(seed: int, size: tuple[int, int] = (24, 20), mode: str = "RGB") -> Image.Image:
    """Noise of `size` (h, w)."""
    bands = len(Image.new(mode, (1, 1)).getbands())
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, bands), dtype=np.uint8)
    return Image.fromarray(pixels.squeeze(2) if bands == 1 else pixels)


def fill(folder: Path, count: int, start: int = 0, mode: str = "RGB") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(start, start + count):
        picture(number, mode=mode).save(folder / f"{number:03}.png")
    return folder


def flat(value: int, size: tuple[int, int] = (12, 12)) -> Image.Image:
    return Image.new("L", size, value)


# The loader


def test_listing_needs_no_torch() -> None:
    code = "import sys, ganarium.data as d; d.list_data(); d.suitable_data('Images'); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_listing() -> None:
    assert set(list_data()) >= {"mnist", "fashion_mnist", "glyphs", "ring", "grid", "swiss_roll", "scenes_unpaired"}
    assert all("\n" not in description for description in list_data().values())


@pytest.mark.parametrize("name", [pytest.param(name, marks=needs.get(name, [])) for name in SOURCES])
def test_every_set_gives_what_the_table_says(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANARIUM_DATA", str(REAL))
    for split in load_data(name, characters="A" if name.startswith("glyphs") else None):
        assert tuple(kind.__name__ for kind in split.kinds) == SOURCES[name].kinds
        assert split.name == name
        assert split.source


def test_suitable_data() -> None:
    assert suitable_data("UnpairedImages") == ["scenes_unpaired", "scenes_paired"]
    assert "glyphs" in suitable_data("LabelledImages")
    assert "swiss_roll" not in suitable_data("LabelledImages")
    assert suitable_data("CaptionedImages") == ["scenes_captioned"]
    assert suitable_data("SourceTargetImages") == []


def test_unknown_data(tmp_path: Path) -> None:
    refused("'mnits' ... folder ... .npz ... did you mean mnist", lambda: load_data("mnits"))
    refused("no data set '/nowhere/at/all'", lambda: load_data("/nowhere/at/all"))
    (tmp_path / "a.txt").write_text("x")
    refused("neither a folder of images nor a .zip or .npz file", lambda: load_data(str(tmp_path / "a.txt")))


def test_options_that_a_source_lacks(tmp_path: Path) -> None:
    refused("mnist has no option 'characters' ... size and channels", lambda: load_data("mnist", characters="A"))
    refused("ring has no option 'size' ... none", lambda: load_data("ring", size=(32, 32)))
    refused("no option 'channels'", lambda: load_data("scenes_unpaired", channels=1))
    refused("no option 'characters'", lambda: load_data(str(fill(tmp_path / "a", 10)), characters="A"))


@pytest.mark.parametrize("size", [(0, 32), (32, -1), (3.5, 4), (32,), (True, 8)])
def test_bad_sizes(size: tuple[int, int]) -> None:
    refused("size must be", lambda: load_data("glyphs", size=size))


def test_bad_channels() -> None:
    refused("channels must be 1 (grey), 3", lambda: load_data("glyphs", channels=2))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name_or_path": 5}, "data must be a set that `ganarium list` names, or the path of a folder"),
        ({"name_or_path": ""}, "data must be a set that"),
        ({"name_or_path": ["glyphs"]}, "data must be a set that"),
        ({"size": 32}, "size must be a height and a width of at least 1 pixel, not 32"),
        ({"channels": 3.0}, "channels must be 1 (grey), 3 (RGB) or 4 (RGBA), not 3.0"),
        ({"characters": 3}, "characters must be a word, not 3"),
        ({"fit": 3}, "fit must be a word, not 3"),
        ({"layout": []}, "layout must be a word, not []"),
        ({"passed_over": "0.1"}, "passed_over is a share of the pictures, from 0 to below 1, not '0.1'"),
        ({"passed_over": 2.0}, "passed_over is a share of the pictures, from 0 to below 1, not 2.0"),
        ({"passed_over": float("nan")}, "passed_over is a share of the pictures, from 0 to below 1, not nan"),
    ],
)
def test_arguments_of_a_wrong_type(options: dict[str, Any], words: str) -> None:
    for function in (load_data, survey):
        refused(words, partial(function, **{"name_or_path": "glyphs"} | options))


def test_data_of_the_wrong_kind(tmp_path: Path) -> None:
    refused(
        "mnist gives Images or LabelledImages ... not UnpairedImages ... scenes_unpaired ... trainA",
        lambda: load_data("mnist", kind=UnpairedImages),
    )
    refused("not LabelledImages ... glyphs", lambda: load_data("swiss_roll", kind=LabelledImages))
    path = str(fill(tmp_path / "plain", 10))
    refused("gives Images, not LabelledImages", lambda: load_data(path, kind=LabelledImages))
    assert load_data(path, kind=Images)[0].labels is None


# Batches


def numbered(count: int, second: int | None = None) -> Dataset:
    """Points that carry their own place in the set."""
    first, *others = (torch.arange(n).float().unsqueeze(1).repeat(1, 2) for n in (count, second) if n is not None)
    if others:
        return Dataset("numbered", first, second=others[0])
    return Dataset("numbered", first, torch.arange(count), tuple(map(str, range(count))))


def places(batches: Batches, sizes: list[int]) -> list[int]:
    return [int(place) for size in sizes for place in batches.draw(size)[0][:, 0]]


def test_every_epoch_is_a_new_permutation() -> None:
    drawn = places(Batches(numbered(23), Images, 5, seed=3), [5] * 23)
    epochs = [drawn[start : start + 23] for start in range(0, 115, 23)]
    assert all(sorted(epoch) == list(range(23)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 5


@given(st.integers(1, 40), st.integers(0, 9), st.lists(st.integers(1, 30), min_size=1, max_size=8), st.data())
def test_the_order_is_that_of_seed_and_count(count: int, seed: int, sizes: list[int], data: st.DataObject) -> None:
    whole = places(Batches(numbered(count), Images, 1, seed=seed), sizes)
    cut = data.draw(st.integers(0, len(sizes)))
    first = Batches(numbered(count), Images, 1, seed=seed)
    before = places(first, sizes[:cut])
    resumed = Batches(numbered(count), Images, 1, seed=seed)
    resumed.drawn = first.drawn
    assert before + places(resumed, sizes[cut:]) == whole
    assert places(Batches(numbered(count), Images, 1, seed=seed), [sum(sizes)]) == whole


def test_another_seed_is_another_order() -> None:
    first, second = (places(Batches(numbered(50), Images, 50, seed=seed), [50]) for seed in (0, 1))
    assert first != second


@pytest.mark.parametrize("kind", [Images, LabelledImages, UnpairedImages])
def test_two_processes_share_the_batch_of_one(kind: type) -> None:
    data = numbered(20, 13) if kind is UnpairedImages else numbered(20)
    alone = Batches(data, kind, 6, seed=1)
    pair = [Batches(data, kind, 3, seed=1, rank=rank, world=2) for rank in (0, 1)]
    for _ in range(9):
        halves = [next(batches) for batches in pair]
        for whole, *parts in zip(next(alone), *halves, strict=True):
            assert torch.equal(whole, torch.cat(parts))


def test_unpaired_domains_have_orders_of_their_own() -> None:
    batch = Batches(numbered(30, 30), UnpairedImages, 30).draw(30)
    assert not torch.equal(batch.a, batch.b)
    assert torch.equal(batch.b[:, 0].sort().values, torch.arange(30.0))


def test_labels_stay_with_their_images() -> None:
    batch = Batches(numbered(30), LabelledImages, 7).draw(70)
    assert torch.equal(batch.image[:, 0].long(), batch.label)


def test_too_large_batches() -> None:
    refused("batch of 31 is more than the 30 ... --batch-size 30", lambda: Batches(numbered(30), Images, 31))
    refused("in each of 2 processes ... --batch-size 15", lambda: Batches(numbered(30), Images, 16, world=2))
    refused("more than the 5 ", lambda: Batches(numbered(30, 5), UnpairedImages, 6))


def test_encode_undoes_decode() -> None:
    stored = torch.arange(256, dtype=torch.uint8).view(1, 16, 16, 1).expand(2, -1, -1, 3)
    images = decode(stored)
    assert images.min() == -1
    assert images.max() == 1
    assert torch.equal(encode(images), stored)


# What sources share


@given(st.integers(10, 500))
def test_a_tenth_is_held_out(count: int) -> None:
    train, test = held_out(count)
    assert len(test) == count // 10
    assert torch.cat([train, test]).sort().values.tolist() == list(range(count))
    assert torch.equal(held_out(count)[1], test)


@settings(max_examples=40)
@given(sides, sides, sides, sides)
def test_cover_never_stretches(height: int, width: int, new_height: int, new_width: int) -> None:
    """A ramp along each axis keeps one slope in both, but for the half pixel to which sizes are rounded."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    ramps = torch.stack([y, x, x], dim=2).to(torch.uint8).unsqueeze(0)
    covered = cover(ramps, (new_height, new_width))
    assert covered.shape == (1, new_height, new_width, 3)
    scale = max(new_height / height, new_width / width)
    seen = [int(covered[..., band].max()) - int(covered[..., band].min()) for band in (0, 1)]
    for span, side in zip(seen, (new_height, new_width), strict=True):
        assert span <= side / scale + 1


def test_resizing_a_flat_image_keeps_it_flat() -> None:
    assert (resize(torch.full((3, 20, 31, 1), 77, dtype=torch.uint8), (9, 50)) == 77).all()


def test_padding_is_central() -> None:
    padded = pad(torch.ones(1, 2, 4, 1, dtype=torch.uint8), (6, 6))[0, :, :, 0]
    assert padded[2:4, 1:5].sum() == padded.sum() == 8


def test_channels() -> None:
    colour = torch.tensor([200, 100, 50], dtype=torch.uint8).view(1, 1, 1, 3)
    assert with_channels(colour, 1).item() == round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)
    assert with_channels(colour, 4).flatten().tolist() == [200, 100, 50, 255]
    half = torch.tensor([0, 0, 0, 51], dtype=torch.uint8).view(1, 1, 1, 4)
    assert with_channels(half, 3).flatten().tolist() == [204] * 3
    assert with_channels(half, 1).shape == (1, 1, 1, 1)
    assert with_channels(with_channels(half, 1), 3).shape == (1, 1, 1, 3)


# MNIST and Fashion-MNIST


@needs_mnist
def test_mnist_is_the_published_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANARIUM_DATA", str(REAL))
    before = sorted((path, path.stat().st_mtime_ns) for path in (REAL / "mnist").rglob("*"))
    train, test = load_data("mnist", size=(28, 28))
    assert sorted((path, path.stat().st_mtime_ns) for path in (REAL / "mnist").rglob("*")) == before
    assert (train.shape, len(train), len(test), train.num_classes) == ((1, 28, 28), 60_000, 10_000, 10)
    assert train.labels is not None
    assert test.labels is not None
    assert train.labels.bincount().tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert test.labels.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert train.images[0, 5, 12:24, 0].tolist() == [3, 18, 18, 18, 126, 136, 175, 26, 166, 255, 247, 127]
    assert train.images.float().mean() / 255 == pytest.approx(0.1307, abs=1e-4)
    padded, _ = load_data("mnist")
    assert padded.shape == (1, 32, 32)
    assert torch.equal(padded.images[:, 2:30, 2:30], train.images)
    assert padded.images.sum(dtype=torch.int64) == train.images.sum(dtype=torch.int64)
    wide, _ = load_data("mnist", size=(28, 40), channels=3)
    assert wide.shape == (3, 28, 40)
    assert torch.equal(wide.images[:, :, 6:34, 1], train.images[..., 0])


@needs_fashion
def test_fashion_mnist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANARIUM_DATA", str(REAL))
    train, test = load_data("fashion_mnist")
    assert (train.shape, len(train), len(test)) == ((1, 32, 32), 60_000, 10_000)
    assert train.labels is not None
    assert train.labels.bincount().tolist() == [6000] * 10
    assert train.class_names[9] == "Ankle boot"
    assert train.labels[0] == 9


def small_mnist(raw: Path, packed: bool = False) -> None:
    """Four IDX files of 30 and 10 images, in which every pixel is the number of the image."""
    raw.mkdir(parents=True)
    for name in FILES:
        count = 30 if "train" in name else 10
        number = np.arange(count, dtype=np.uint8)
        shape = (count, 28, 28) if "images" in name else (count,)
        values = np.broadcast_to(number.reshape(-1, 1, 1), shape) if "images" in name else number % 10
        data = struct.pack(f">BBBB{len(shape)}I", 0, 0, 8, len(shape), *shape) + values.tobytes()
        if packed:
            (raw / f"{name}.gz").write_bytes(gzip.compress(data))
        else:
            (raw / name).write_bytes(data)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("folder", ["mnist/MNIST/raw", "MNIST/raw"])
def test_mnist_packed_or_not_in_either_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, packed: bool
) -> None:
    small_mnist(tmp_path / folder, packed)
    monkeypatch.setenv("GANARIUM_DATA", str(tmp_path))
    train, test = load_data("mnist", size=(16, 48))
    assert (train.shape, len(train), len(test)) == ((1, 16, 48), 30, 10)
    assert (train.images[7, 4:12, 20:28] == 7).all()
    assert train.images[:, :, :16].sum() == 0


def test_damaged_mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANARIUM_DATA", str(tmp_path))
    raw = tmp_path / "mnist" / "MNIST" / "raw"
    small_mnist(raw, packed=True)
    images, labels = raw / f"{FILES[0]}.gz", raw / f"{FILES[1]}.gz"
    whole = images.read_bytes()
    plain = gzip.decompress(whole)
    for broken in (
        whole[:-20],
        b"",
        b"no gzip at all",
        gzip.compress(plain[:-5]),
        gzip.compress(plain[:3]),
        gzip.compress(plain + b"x"),
        gzip.compress(b"\0\0\x0d" + plain[3:]),
    ):
        images.write_bytes(broken)
        refused(f"{images} is damaged or cut short", lambda: load_data("mnist"))
    images.write_bytes(whole)
    labels.write_bytes(gzip.compress(struct.pack(">BBBBI", 0, 0, 8, 1, 29) + bytes(29)))
    refused("do not go together", lambda: load_data("mnist"))


@pytest.mark.usefixtures("no_network")
def test_absent_mnist_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANARIUM_DATA", str(tmp_path))
    refused(
        f"{FILES[0]} ... {tmp_path}/mnist/MNIST/raw ... GANARIUM_DATA ... --data glyphs", lambda: load_data("mnist")
    )
    assert list(tmp_path.iterdir()) == []
    monkeypatch.delenv("GANARIUM_DATA")
    refused(f"{cache_dir()} ... GANARIUM_DATA", lambda: load_data("fashion_mnist"))


def test_downloaded_mnist_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def download(root: str, download: bool) -> None:
        asked.append(root)
        small_mnist(Path(root, "MNIST", "raw"), packed=True)

    monkeypatch.setattr("torchvision.datasets.MNIST", download)
    monkeypatch.setenv("GANARIUM_DATA", str(tmp_path))
    assert len(load_data("mnist")[0]) == len(load_data("mnist")[0]) == 30
    assert len(asked) == 1
    assert {path.name for path in (tmp_path / "mnist" / "MNIST" / "raw").iterdir()} == {f"{name}.gz" for name in FILES}


# Glyphs


def test_glyphs() -> None:
    train, test = load_data("glyphs", characters="digits")
    assert (train.shape, len(train), len(test)) == ((1, 32, 32), 9000, 1000)
    assert train.class_names == tuple(DIGITS)
    assert train.labels is not None
    assert test.labels is not None
    assert (train.labels.bincount() + test.labels.bincount()).tolist() == [PER_CLASS] * 10
    everything = torch.cat([train.images, test.images])
    assert len({image.numpy().tobytes() for image in everything}) == len(everything)
    assert everything.max() == 255
    border = torch.cat([everything[:, [0, -1]].flatten(), everything[:, :, [0, -1]].flatten()])
    assert (border > 0).float().mean() < 0.001
    again, _ = load_data("glyphs", characters="digits")
    assert torch.equal(train.images, again.images)
    assert torch.equal(train.images, torch.cat([render("0123456789", (32, 32))])[held_out(10_000)[0]])


def test_glyphs_are_59_classes() -> None:
    assert len(GROUPS["all"]) == len(set(GROUPS["all"])) == 59
    assert not set("IlO") & set(GROUPS["all"])


def test_a_class_of_glyphs_does_not_depend_on_the_others() -> None:
    pair = render("AB", (16, 16))
    assert torch.equal(pair[PER_CLASS:], render("B", (16, 16)))
    assert not torch.equal(pair[:PER_CLASS], pair[PER_CLASS:])


@settings(max_examples=12)
@given(st.integers(1, 48), st.integers(1, 48))
def test_glyphs_of_any_size(height: int, width: int) -> None:
    images = render("A", (height, width))
    assert images.shape == (PER_CLASS, height, width, 1)
    assert images.any()


def test_glyphs_are_not_stretched_and_stand_in_the_middle() -> None:
    ink = render("o", (32, 64)).float().mean(0).squeeze(2)
    weight = ink / ink.sum()
    (y, x) = (torch.arange(side) + 0.5 for side in ink.shape)
    centre = ((weight.sum(0) * x).sum(), (weight.sum(1) * y).sum())
    spread = [
        ((share * (axis - mean) ** 2).sum().sqrt())
        for share, axis, mean in zip((weight.sum(0), weight.sum(1)), (x, y), centre, strict=True)
    ]
    assert centre[0] == pytest.approx(32, abs=0.5)
    assert spread[0] / spread[1] == pytest.approx(1, abs=0.25)
    assert ink[:, :8].sum() == ink[:, -8:].sum() == 0


def test_small_letters_are_smaller_and_on_the_baseline() -> None:
    masters = draw_masters("Cc", 64)
    assert masters.shape == (2, len(FONTS), 128, 128)
    rows = [[row.nonzero().flatten() for row in font.amax(dim=2) > 0.5] for font in masters]
    for capital, small in zip(*rows, strict=True):
        assert len(small) < 0.85 * len(capital)
        assert abs(int(capital[-1]) - BASELINE * 128) < 4
        assert abs(int(small[-1]) - int(capital[-1])) < 4


def test_characters() -> None:
    assert load_data("glyphs", characters="CAB", size=(8, 8))[0].class_names == ("A", "B", "C")
    assert load_data("glyphs", characters="AA", size=(8, 8), channels=3)[0].shape == (3, 8, 8)
    refused("no characters '!l' ... digits, letters, all", lambda: load_data("glyphs", characters="A!l"))


def test_a_lost_or_unwritable_cache_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("GANARIUM_CACHE", str(tmp_path / "file" / "below"))
    drawn, _ = load_data("glyphs", characters="X", size=(8, 8))
    monkeypatch.setenv("GANARIUM_CACHE", str(tmp_path / "cache"))
    load_data("glyphs", characters="X", size=(8, 8))
    (kept,) = (tmp_path / "cache").iterdir()
    kept.write_bytes(kept.read_bytes()[:100])
    again, _ = load_data("glyphs", characters="X", size=(8, 8))
    assert torch.equal(again.images, drawn.images)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [kept.name]


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GANARIUM_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert cache_dir() == Path("/x/ganarium")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_dir() == Path.home() / ".cache" / "ganarium"
    monkeypatch.setattr(Path, "home", classmethod(lambda cls: Path("~nobody").expanduser()))
    drawn, _ = load_data("glyphs", characters="X", size=(8, 8))  # without a home there is no cache
    assert len(drawn) > 0


def test_paths_that_are_no_text_are_refused_at_the_start(tmp_path: Path) -> None:
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")
    fill(Path(odd), 12)
    refused("is no UTF-8 text ... rename it", lambda: load_data(odd))


# Toys


@pytest.mark.parametrize(("name", "modes", "radius"), [("ring", 8, 2 / 1.414), ("grid", 25, math.hypot(4, 4) / 2.828)])
def test_mixtures(name: str, modes: int, radius: float) -> None:
    centres = mode_centres(name)
    assert centres.shape == (modes, 2)
    assert centres.norm(dim=1).max() == pytest.approx(radius)
    train, test = load_data(name)
    assert (train.shape, len(train), len(test), train.num_classes) == ((2,), 100_000, 10_000, modes)
    assert train.images.dtype == torch.float32
    assert train.labels is not None
    assert torch.equal(torch.cdist(train.images[:5000], centres).argmin(1), train.labels[:5000])
    off = train.images - centres[train.labels]
    assert off.std() == pytest.approx(MODE_STD[name], rel=0.01)
    near = (off.norm(dim=1) < 3 * MODE_STD[name]).float().mean()
    assert near == pytest.approx(1 - math.exp(-4.5), abs=2e-3)  # of a perfect sampler, in two dimensions
    assert train.labels.bincount().min() > 0.9 * len(train) / modes
    assert torch.equal(load_data(name)[1].images, test.images)


def test_swiss_roll() -> None:
    train, test = load_data("swiss_roll")
    assert (train.shape, len(train), len(test), train.labels) == ((2,), 100_000, 10_000, None)
    turn = torch.linspace(1.5 * math.pi, 4.5 * math.pi, 4000)
    curve = torch.stack([turn * turn.cos(), turn * turn.sin()], dim=1) / 7.5
    away = torch.cdist(train.images[:5000], curve).amin(1)
    assert away.square().mean().sqrt() == pytest.approx(0.25 / 7.5, rel=0.1)


# Scenes


def test_scenes() -> None:
    train, test = load_data("scenes_unpaired")
    assert train.second is not None
    assert (train.shape, len(train), len(train.second), len(test)) == ((3, 32, 32), 4000, 4000, 400)
    a, b = scenes_of(train, "a"), scenes_of(train, "b")
    assert not torch.isin(a.x, b.x).any()
    assert not torch.isin(scenes_of(test, "a").x, a.x).any()
    assert torch.equal(render_scenes(a, "filled", (32, 32)), train.images)
    assert torch.equal(render_scenes(b, "outlined", (32, 32)), train.second)
    assert a.kind.bincount().min() > 1200
    again, _ = load_data("scenes_unpaired")
    assert torch.equal(again.images, train.images)


def test_hue_and_place_can_be_read_from_a_filled_scene() -> None:
    scenes = draw_scenes(200, (48, 64), torch.Generator().manual_seed(1))
    images = render_scenes(scenes, "filled", (48, 64)).float() / 255
    shape = (images - 0.2).abs().amax(3) > 0.1
    y, x = torch.meshgrid(torch.arange(48) - 23.5, torch.arange(64) - 31.5, indexing="ij")
    for image, inside, kind, hue, centre_x, centre_y, size in zip(images, shape, *scenes, strict=True):
        assert math.sqrt(inside.sum() / math.pi) / 24 == pytest.approx(float(size), abs=0.04)
        assert x[inside].mean() / 24 == pytest.approx(float(centre_x), abs=0.04)
        assert y[inside].mean() / 24 == pytest.approx(float(centre_y), abs=0.04)
        assert not torch.cat([inside[0], inside[-1], inside[:, 0], inside[:, -1]]).any()
        colour = image[round(23.5 + float(centre_y) * 24), round(31.5 + float(centre_x) * 24)].tolist()
        seen = Image.new("RGB", (1, 1), tuple(round(255 * level) for level in colour)).convert("HSV").getpixel((0, 0))
        assert isinstance(seen, tuple)
        assert abs((seen[0] / 255 - hue + 0.5) % 1 - 0.5) < 0.02
        assert 0 <= kind < len(KINDS)


def test_the_angle_of_the_stripes_is_the_hue() -> None:
    scenes = draw_scenes(100, (32, 32), torch.Generator().manual_seed(2))
    out_of_sight = scenes._replace(x=scenes.x + 9)
    stripes = render_scenes(out_of_sight, "outlined", (32, 32)).float().mean(3)
    down, across = torch.gradient(stripes, dim=(1, 2))
    twice = torch.atan2(2 * (down * across).sum((1, 2)), (across.square() - down.square()).sum((1, 2)))
    wrong = (twice - 2 * stripe_angle(scenes.hue) + math.pi) % (2 * math.pi) - math.pi
    assert wrong.abs().max() / 2 < math.radians(6)


def test_no_turned_or_reversed_map_fits_the_hues() -> None:
    """Unpaired images must tell the true map from its isometries: the hues of a kind are neither even nor symmetric."""
    scenes = draw_scenes(20_000, (32, 32), torch.Generator().manual_seed(3))
    for kind in range(len(KINDS)):
        hue = scenes.hue[scenes.kind == kind]
        counts = torch.histc(hue, 12, 0, 1) / len(hue)
        for turn in range(12):
            assert turn == 0 or (counts - counts.roll(turn)).abs().sum() > 0.2
            assert (counts - counts.flip(0).roll(turn)).abs().sum() > 0.2


@settings(max_examples=20)
@given(st.integers(1, 60), st.integers(1, 60))
def test_scenes_of_any_size(height: int, width: int) -> None:
    scenes = draw_scenes(8, (height, width), torch.Generator().manual_seed(0))
    for look in ("filled", "outlined"):
        assert render_scenes(scenes, look, (height, width)).shape == (8, height, width, 3)


def test_scenes_look_alike_at_every_size() -> None:
    scenes = draw_scenes(16, (32, 32), torch.Generator().manual_seed(0))
    for look in ("filled", "outlined"):
        large = resize(render_scenes(scenes, look, (128, 128)), (32, 32)).float()
        assert (large - render_scenes(scenes, look, (32, 32)).float()).abs().mean() < 6


# Folders


def test_flat_folder(tmp_path: Path) -> None:
    fill(tmp_path, 30)
    train, test = load_data(str(tmp_path))
    assert (train.shape, len(train), len(test), train.labels, train.kinds) == ((3, 64, 64), 27, 3, None, (Images,))
    assert train.name == tmp_path.name
    assert str(tmp_path) in train.source


def test_the_order_is_that_of_the_names(tmp_path: Path) -> None:
    for number in reversed(range(20)):
        flat(number * 10).save(tmp_path / f"{number:02}.png")
    train, test = load_data(str(tmp_path), size=(4, 4))
    for split, expected in zip((train, test), held_out(20), strict=True):
        assert torch.equal(split.images[:, 0, 0, 0], (expected * 10).to(torch.uint8))


def test_class_folders_and_nested_ones(tmp_path: Path) -> None:
    fill(tmp_path / "cat", 12)
    fill(tmp_path / "dog" / "large" / "old", 12)
    (tmp_path / "empty").mkdir()
    (tmp_path / "dog" / "notes.txt").write_text("x")
    (tmp_path / "dog" / "._000.png").write_text("what macOS leaves behind")
    train, test = load_data(str(tmp_path), kind=LabelledImages)
    assert train.class_names == test.class_names == ("cat", "dog")
    assert train.labels is not None
    assert test.labels is not None
    assert (train.labels.bincount() + test.labels.bincount(minlength=2)).tolist() == [12, 12]


def test_a_class_may_be_held_out_whole(tmp_path: Path) -> None:
    for number in range(20):
        fill(tmp_path / f"{number:02}", 1, number)
    train, test = load_data(str(tmp_path))
    assert train.labels is not None
    assert test.labels is not None
    assert train.num_classes == test.num_classes == 20
    assert torch.cat([train.labels, test.labels]).sort().values.tolist() == list(range(20))


def test_a_single_sub_folder_is_no_class(tmp_path: Path) -> None:
    fill(tmp_path / "faces", 10)
    assert load_data(str(tmp_path))[0].kinds == (Images,)


def test_train_and_test_folders(tmp_path: Path) -> None:
    for split, count in (("train", 12), ("test", 3)):
        for place, name in enumerate("ab"):
            fill(tmp_path / split / name, count, place * 50)
    train, test = load_data(str(tmp_path))
    assert (len(train), len(test), test.class_names) == (24, 6, ("a", "b"))
    assert test.labels is not None
    assert test.labels.tolist() == [0, 0, 0, 1, 1, 1]
    fill(tmp_path / "test" / "c", 1)
    refused("the class 'c', which the train part lacks", lambda: load_data(str(tmp_path)))


def test_unpaired_folders(tmp_path: Path) -> None:
    fill(tmp_path / "trainA", 20)
    refused("trainA alone ... both trainA and trainB", lambda: load_data(str(tmp_path)))
    fill(tmp_path / "trainB", 30, 100)
    train, test = load_data(str(tmp_path), kind=UnpairedImages)
    assert train.second is not None
    assert test.second is not None
    assert [len(part) for part in (train.images, train.second, test.images, test.second)] == [18, 27, 2, 3]
    fill(tmp_path / "testA", 4)
    refused("testA alone", lambda: load_data(str(tmp_path)))
    fill(tmp_path / "testB", 1)
    train, test = load_data(str(tmp_path))
    assert train.second is not None
    assert test.second is not None
    assert [len(part) for part in (train.images, train.second, test.images, test.second)] == [20, 30, 4, 1]


def test_images_and_sub_folders_mixed(tmp_path: Path) -> None:
    fill(tmp_path, 10)
    fill(tmp_path / "more", 10)
    refused("both directly in it and in sub-folders (more)", lambda: load_data(str(tmp_path)))


def test_no_images_or_too_few(tmp_path: Path) -> None:
    refused(f"no images in {tmp_path} ... .png, .jpg", lambda: load_data(str(tmp_path)))
    fill(tmp_path / "cat", 5)
    fill(tmp_path / "dog", 4)
    refused(f"{tmp_path} has 9 images to train on: at least 10", lambda: load_data(str(tmp_path)))


def test_too_many_pixels(tmp_path: Path) -> None:
    fill(tmp_path, 10)
    refused("at most 8192 pixels ... --size", lambda: load_data(str(tmp_path), size=(40_000, 40_000)))


def corrupt(folder: Path) -> list[str]:
    """Five files that no one can read."""
    whole = (folder / "000.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.png").write_text("not a picture")
    (folder / "script.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n")
    header = whole[:16] + struct.pack(">II", 60_000, 60_000) + whole[24:29]
    bomb = header + struct.pack(">I", zlib.crc32(header[12:])) + whole[33:]
    (folder / "bomb.png").write_bytes(bomb)
    return ["bomb.png", "cut.png", "empty.jpg", "script.png", "text.png"]


def test_unreadable_files_are_named_and_passed_over(tmp_path: Path) -> None:
    fill(tmp_path, 95)
    names = corrupt(tmp_path)
    train, test = load_data(str(tmp_path), size=(8, 8))
    assert [line.split()[0] for line in train.skipped] == names
    reasons = ["million pixels", "cut short", "is empty", "no picture", "no picture"]
    assert all(why in line for why, line in zip(reasons, train.skipped, strict=True)), train.skipped
    assert len(train) + len(test) == 95
    assert not (train.images == 0).all(dim=(1, 2, 3)).any()
    (tmp_path / "094.png").unlink()
    words = f"5 of the 99 images in {tmp_path} cannot be used ({' ... '.join(names)} ... replace or remove"
    refused(words, lambda: load_data(str(tmp_path)))


def test_one_unreadable_file_among_nineteen_is_too_many(tmp_path: Path) -> None:
    fill(tmp_path, 18)
    (tmp_path / "bad.PNG").write_bytes(b"")
    refused("1 of the 19", lambda: load_data(str(tmp_path)))
    fill(tmp_path, 1, 18)
    assert load_data(str(tmp_path))[0].skipped == ("bad.PNG is empty",)


def test_grey_unless_one_is_coloured(tmp_path: Path) -> None:
    fill(tmp_path, 10, mode="L")
    Image.fromarray(np.linspace(0, 65535, 400).reshape(20, 20).astype(np.uint16)).save(tmp_path / "deep.png")
    flat(9).convert("LA").save(tmp_path / "alpha.png")
    assert load_data(str(tmp_path))[0].shape == (1, 64, 64)
    assert load_data(str(tmp_path), channels=3)[0].shape == (3, 64, 64)
    picture(99).save(tmp_path / "colour.JPG")
    assert load_data(str(tmp_path))[0].shape == (3, 64, 64)
    assert load_data(str(tmp_path), channels=1)[0].shape == (1, 64, 64)


def stored_alike(folder: Path, image: Image.Image, suffix: str = "png", **options: Any) -> Tensor:
    """How one image, saved ten times, is stored: (h, w, c)."""
    folder.mkdir(exist_ok=True)
    for number in range(10):
        image.save(folder / f"{number}.{suffix}", **options)
    return load_data(str(folder), size=(8, 8))[0].images[0]


def test_sixteen_bits(tmp_path: Path) -> None:
    deep = Image.fromarray(np.full((8, 8), 32768, np.uint16))
    assert (stored_alike(tmp_path / "png", deep) == 128).all()
    assert (stored_alike(tmp_path / "tif", deep, "tif") == 128).all()


def test_transparency(tmp_path: Path) -> None:
    clear = Image.new("RGBA", (8, 8), (255, 0, 0, 51))
    assert stored_alike(tmp_path / "a", clear)[0, 0].tolist() == [255, 204, 204]
    assert load_data(str(tmp_path / "a"), size=(8, 8), channels=4)[0].images[0, 0, 0].tolist() == [255, 0, 0, 51]
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([0, 0, 0, 0, 0, 255])
    assert stored_alike(tmp_path / "b", palette, "gif")[0, 0].tolist() == [0, 0, 255]
    assert stored_alike(tmp_path / "c", palette, transparency=1)[0, 0].tolist() == [255, 255, 255]


def test_turned_photographs_stand_upright(tmp_path: Path) -> None:
    image = Image.new("L", (40, 20))
    image.paste(255, (0, 0, 20, 20))  # the left half is white
    exif = Image.Exif()
    exif[0x0112] = 6  # shown after a quarter turn clockwise: the top is white
    stored = stored_alike(tmp_path, image, "jpg", exif=exif, quality=100)
    assert (stored[:3] > 200).all()
    assert (stored[5:] < 50).all()


@settings(max_examples=40)
@given(sides, sides, sides, sides, st.sampled_from(["png", "jpg"]))
def test_images_are_never_stretched(height: int, width: int, new_height: int, new_width: int, suffix: str) -> None:
    """A dark disc that fills the shorter side stays round: as wide as it is high, in the middle of the result."""
    with tempfile.TemporaryDirectory() as folder:
        y, x = np.ogrid[:height, :width]
        reach = np.hypot(y - (height - 1) / 2, x - (width - 1) / 2)
        image = Image.fromarray(np.where(reach < min(height, width) / 2, 0, 255).astype(np.uint8))
        for number in range(10):
            image.save(Path(folder, f"{number}.{suffix}"))
        if not 1 / 4 <= height * new_width / (width * new_height) <= 4:
            again = {"size": (new_height, new_width), "layout": "images"}
            refused("shows almost nothing ... --fit pad", lambda: load_data(folder, **again))
            return
        train, _ = load_data(folder, size=(new_height, new_width), layout="images")
    assert train.shape == (1, new_height, new_width)
    if min(height, width, new_height, new_width) < 16:
        return
    ink = 255 - train.images[0, :, :, 0].float()
    radius = min(height, width) / 2 * max(new_height / height, new_width / width)
    middle_row, middle_column = ink[new_height // 2] > 128, ink[:, new_width // 2] > 128
    for line, side in ((middle_row, new_width), (middle_column, new_height)):
        assert int(line.sum()) == pytest.approx(min(2 * radius, side), abs=0.1 * radius + 2)


# .npz


def saved(folder: Path, **arrays: Any) -> str:
    np.savez(folder / "set.npz", **arrays)
    return str(folder / "set.npz")


COLOUR = np.random.default_rng(0).integers(0, 256, (40, 6, 5, 3), dtype=np.uint8)


@pytest.mark.parametrize("key", ["images", "x", "train_images"])
def test_npz_images(tmp_path: Path, key: str) -> None:
    train, test = load_data(saved(tmp_path, **{key: COLOUR}))
    assert (train.shape, len(train), len(test), train.kinds) == ((3, 6, 5), 36, 4, (Images,))
    assert torch.equal(train.images, torch.from_numpy(COLOUR)[held_out(40)[0]])


def test_npz_with_everything(tmp_path: Path) -> None:
    path = saved(
        tmp_path,
        train_images=COLOUR,
        train_labels=np.arange(40) % 3,
        test_images=COLOUR[:5],
        test_labels=np.arange(5) % 3,
        class_names=["a", "b", "c"],
    )
    train, test = load_data(path, size=(12, 12), channels=1)
    assert (train.shape, len(train), len(test), test.class_names) == ((1, 12, 12), 40, 5, ("a", "b", "c"))
    assert train.labels is not None
    assert train.labels.tolist() == [number % 3 for number in range(40)]


def test_npz_floats(tmp_path: Path) -> None:
    grey = COLOUR[..., 0]
    stored = [load_data(saved(tmp_path, images=array))[0].images for array in (grey, grey / 255, grey / 127.5 - 1)]
    assert stored[0].shape == (36, 6, 5, 1)
    assert torch.equal(stored[0], stored[1])
    assert torch.equal(stored[0], stored[2])


@pytest.mark.parametrize("low", [0, -1])
def test_the_range_of_floats_is_not_guessed_from_one_pixel(tmp_path: Path, low: int) -> None:
    """Rounding leaves a pixel a little outside of its range; both splits have one range, which is told."""
    images = low + (1 - low) * np.random.default_rng(0).random((40, 16, 16, 3)).astype(np.float32)
    images[0, 0, 0, 0], images[1, 0, 0, 0] = low - 1e-6, 1 + 1e-6
    test = np.abs(images[:5])
    train_set, test_set = load_data(saved(tmp_path, images=images, test_images=test))
    for split, array in ((train_set, images), (test_set, test)):
        expected = ((array - low) / (1 - low) * 255).round().clip(0, 255)
        assert torch.equal(split.images, torch.from_numpy(expected.astype(np.uint8)))
    assert train_set.notes == (f"floating-point pixels of set.npz are taken for [{low}, 1]",)
    odd = np.full((40, 16, 16), 0.5)
    odd[0, 0, 0] = -0.5
    refused("1 of 10240 pixels below 0 ... uint8", lambda: load_data(saved(tmp_path, images=odd)))


def test_npz_labels_far_apart_are_as_many_classes_as_there_are(tmp_path: Path) -> None:
    labels = np.array([0, 10**7] * 20)
    train, test = load_data(saved(tmp_path, images=COLOUR, labels=labels, sizes=np.zeros(3)))
    assert train.class_names == test.class_names == ("0", "10000000")
    assert train.labels is not None
    assert test.labels is not None
    assert len(test) == 4
    for image, label in zip([*train.images, *test.images], [*train.labels, *test.labels], strict=True):
        (place,) = [number for number in range(40) if torch.equal(torch.from_numpy(COLOUR[number]), image)]
        assert int(label) == place % 2
    assert train.skipped == ("the array sizes is not used",)
    only_test = {"test_images": COLOUR, "test_labels": np.array([0, 5] * 20)}
    refused("label 5", lambda: load_data(saved(tmp_path, images=COLOUR, labels=labels, **only_test)))


def test_npz_points(tmp_path: Path) -> None:
    path = saved(tmp_path, x=np.random.default_rng(0).normal(size=(50, 2)), labels=np.zeros(50, np.uint8))
    train, _ = load_data(path)
    assert (train.shape, train.images.dtype, train.class_names) == ((2,), torch.float32, ("0",))
    refused("points, which have no size", lambda: load_data(path, size=(8, 8)))


@pytest.mark.parametrize(
    ("words", "arrays"),
    [
        ("no array images or x or train_images, only pictures", {"pictures": COLOUR}),
        ("40 images but 39 labels", {"images": COLOUR, "labels": np.zeros(39, int)}),
        ("labels in ... count from 0, but there is -1", {"images": COLOUR, "labels": np.full(40, -1)}),
        ("labels in ... whole numbers ... float64", {"images": COLOUR, "labels": np.zeros(40)}),
        ("labels in ... (40, 1)", {"images": COLOUR, "labels": np.zeros((40, 1), int)}),
        ("(40, 3, 6, 5)", {"images": COLOUR.transpose(0, 3, 1, 2)}),
        ("(40, 6)", {"images": COLOUR[:, :, 0, 0]}),
        ("uint8, or floating-point ... int64", {"images": COLOUR.astype(np.int64)}),
        ("from 0 to 255", {"images": COLOUR.astype(np.float32)}),
        ("float64", {"images": np.full((40, 6, 6), np.nan)}),
        ("has 9 images", {"images": COLOUR[:9]}),
        ("(6, 4, 3) of the test images is not", {"images": COLOUR, "test_images": COLOUR[:, :, :4]}),
        ("labels for one of its two splits", {"images": COLOUR, "test_images": COLOUR, "labels": np.zeros(40, int)}),
        (
            "labels for one of its two splits",
            {"images": COLOUR, "test_images": COLOUR, "test_labels": np.zeros(40, int)},
        ),
        ("2 class_names, but the label 2", {"images": COLOUR, "labels": np.arange(40) % 3, "class_names": ["a", "b"]}),
        ("all finite", {"images": np.full((40, 2), np.inf)}),
        ("plain arrays", {"images": np.array([{}] * 40)}),
    ],
)
def test_refused_npz(tmp_path: Path, words: str, arrays: dict[str, object]) -> None:
    path = saved(tmp_path, **arrays)
    refused(words, lambda: load_data(path))


def test_broken_npz(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    whole = Path(saved(tmp_path, images=COLOUR)).read_bytes()
    flipped = bytearray(whole)
    flipped[400] ^= 255
    single = tmp_path / "single.npy"
    np.save(single, COLOUR)
    for broken in (whole[:-30], b"", b"no zip at all", bytes(flipped), single.read_bytes()):
        path.write_bytes(broken)
        refused("cannot be read as a .npz file", lambda: load_data(str(path)))
