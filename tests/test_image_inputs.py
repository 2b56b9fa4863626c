"""People's pictures through every door: PIL, arrays, tensors, files; in any size, with all that belongs to them."""

import io
import struct
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

import ganarium
from ganarium import cli, registry
from ganarium.data.files.decode import as_displayed
from ganarium.data.files.photo import Photo, free_name, image_of, photo_of, read_photo, write_png
from ganarium.data.files.profile import from_srgb, to_srgb
from ganarium.data.tiles import STEP, tiles
from ganarium.model import Model
from synthetic import refused, saved, trainer

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def noise(*shape: int, dtype: type = np.uint8, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def smooth(height: int, width: int, seed: int = 0) -> np.ndarray:
    coarse = Image.fromarray(noise(5, 7, 3, seed=seed))
    return np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))


def model_of(name: str, channels: int = 3, **options: object) -> Model:
    """An untrained small model, whose norms have seen a few images."""
    torch.manual_seed(0)
    made = trainer(name, (channels, 16, 16), **options)
    next(iter(made))
    return made.model.eval()


@pytest.fixture(scope="module")
def enlarger() -> Model:
    return model_of("srgan")


@pytest.fixture(scope="module")
def translator() -> Model:
    return model_of("cyclegan")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Runs of a srgan and a cyclegan, as `load` reads them."""
    paths = {}
    for name in ("srgan", "cyclegan"):
        made = trainer(name, (3, 16, 16))
        next(iter(made))
        data = {"shape": [3, 16, 16], "num_classes": None}
        options = {"width": 4, "num_blocks": 1} | ({"scale": 2, "discriminator_width": 2} if name == "srgan" else {})
        folder = tmp_path_factory.mktemp(name)
        paths[name] = str(saved(made, folder, model=name, model_options=options, data=data, precision="fp32"))
    return paths


def command(*arguments: str) -> int:
    return cli.main([str(argument) for argument in arguments])


# Files


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("alpha", [False, True])
def test_a_photo_is_written_and_read_as_it_was(dtype: type, channels: int, alpha: bool, tmp_path: Path) -> None:
    for seed, size in enumerate([(1, 1), (70, 5), (3, 200)]):
        layer = noise(*size, dtype=dtype, seed=seed) if alpha else None
        photo = Photo(noise(*size, channels, dtype=dtype, seed=seed), layer, SRGB if channels == 3 else None)
        write_png(tmp_path / "photo.png", photo)
        read = read_photo(tmp_path / "photo.png")
        assert read.pixels.dtype == dtype
        assert np.array_equal(read.pixels, photo.pixels)
        assert (read.alpha is None) != alpha
        assert not alpha or np.array_equal(read.alpha, photo.alpha)
        assert read.profile == photo.profile
    assert [path.name for path in tmp_path.iterdir()] == ["photo.png"]


def test_pil_reads_our_png_alike(tmp_path: Path) -> None:
    pixels = smooth(90, 40)
    write_png(tmp_path / "photo.png", Photo(pixels, noise(90, 40), SRGB))
    with Image.open(tmp_path / "photo.png") as image:
        assert image.info["icc_profile"] == SRGB
        assert np.array_equal(np.asarray(image), np.dstack([pixels, noise(90, 40)]))
    write_png(tmp_path / "plain.png", Photo(pixels))
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png")
    assert (tmp_path / "plain.png").stat().st_size < 1.3 * buffer.tell()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_once(orientation: int, tmp_path: Path) -> None:
    """At 8 bits by PIL, at 16 bits of colour by ourselves: the same way up."""
    pixels = noise(5, 7, 3)
    image = Image.fromarray(pixels)
    image.getexif()[0x0112] = orientation
    image.save(tmp_path / "shallow.png", exif=image.getexif())
    upright = read_photo(tmp_path / "shallow.png").pixels
    assert upright.shape == ((5, 7, 3) if orientation < 5 else (7, 5, 3))
    write_png(tmp_path / "deep.png", Photo(pixels.astype(np.uint16) * 257))
    exif, deep = image.getexif().tobytes(), (tmp_path / "deep.png").read_bytes()
    from ganarium.data.files.photo import _chunk

    (tmp_path / "deep.png").write_bytes(deep[:33] + _chunk(b"eXIf", exif.removeprefix(b"Exif\0\0")) + deep[33:])
    assert np.array_equal(read_photo(tmp_path / "deep.png").pixels, upright.astype(np.uint16) * 257)
    assert np.array_equal(photo_of(image).pixels, upright)


def test_a_profile_of_other_colours_is_dropped(tmp_path: Path) -> None:
    Image.fromarray(noise(4, 4)).save(tmp_path / "grey.png", icc_profile=SRGB)
    assert read_photo(tmp_path / "grey.png").profile is None


def test_names_never_overwrite(tmp_path: Path) -> None:
    for expected in ("a.png", "a-2.png", "a-3.png"):
        path = free_name(tmp_path / "a.png")
        assert path.name == expected
        path.touch()


# The same picture through every door


@pytest.mark.parametrize("verb", ["translate", "upscale"])
def test_pictures_arrays_photos_and_files_agree(verb: str, runs: dict[str, str], tmp_path: Path) -> None:
    run = runs["cyclegan" if verb == "translate" else "srgan"]
    model, pixels = ganarium.load(run), smooth(24, 40)
    ask = getattr(model, verb)
    expected = ask(pixels)
    assert np.array_equal(np.asarray(ask(Image.fromarray(pixels))), expected)
    assert np.array_equal(ask(Photo(pixels)).pixels, expected)
    Image.fromarray(pixels).save(tmp_path / "picture.png")
    assert command(verb, run, tmp_path / "picture.png", "--out", tmp_path / "out") == 0
    (written,) = (tmp_path / "out").iterdir()
    assert np.array_equal(read_photo(written).pixels, expected)
    if verb == "upscale":
        tensor = torch.from_numpy(pixels).permute(2, 0, 1) / 127.5 - 1
        made = ask(tensor).add(1).mul(127.5).round().permute(1, 2, 0)
        assert np.array_equal(made.numpy().astype(np.uint8), expected)


@pytest.mark.parametrize("verb", ["translate", "upscale"])
def test_16_bits_alpha_and_exif_are_seen_as_by_a_person(verb: str, runs: dict[str, str], tmp_path: Path) -> None:
    """Fault p32: 16 bits were clipped, hidden colours shown, the orientation ignored."""
    run = runs["cyclegan" if verb == "translate" else "srgan"]
    model = ganarium.load(run)

    def through_a_file(photo: Photo | Image.Image) -> np.ndarray:
        path, out = tmp_path / "in.png", tmp_path / "out"
        if isinstance(photo, Photo):
            write_png(path, photo)
        else:
            photo.save(path, exif=photo.getexif())
        before = set(out.glob("*"))
        assert command(verb, run, path, "--out", out) == 0
        (written,) = set(out.glob("*")) - before
        read = read_photo(written)
        return read.pixels if read.alpha is None else np.dstack([read.pixels, read.alpha])

    ask = getattr(model, verb)
    rgb = smooth(16, 16)
    plain = ask(rgb).astype(int)
    for made in (ask(rgb.astype(np.uint16) * 257), through_a_file(Photo(rgb.astype(np.uint16) * 257))):
        assert made.dtype == np.uint16
        assert np.abs(made / 257 - plain).max() < 0.51
    grey = rgb[:, :, 0]
    from_grey = ask(grey).astype(int)
    deep = Image.fromarray(grey.astype(np.uint16) * 257)
    for made in (np.asarray(ask(deep)), ask(np.asarray(deep)), through_a_file(deep)):
        levels = made / 257 if made.dtype == np.uint16 else made
        assert np.abs(levels.reshape(from_grey.shape) - from_grey).max() < 1.01

    hidden = np.dstack([rgb, np.full((16, 16), 255, np.uint8)])
    hidden[:8, :, 3], hidden[:8, :, :3] = 0, (255, 0, 255)
    seen = rgb.copy()
    seen[:8] = 255
    expected = ask(seen)
    for made in (np.asarray(ask(Image.fromarray(hidden))), ask(hidden), through_a_file(Image.fromarray(hidden))):
        assert np.array_equal(made[:, :, :3], expected)
        edge = len(made) // 2
        assert (made[: edge - 4, :, 3] == 0).all()
        assert (made[edge + 4 :, :, 3] == 255).all()

    turned = Image.fromarray(rgb)
    turned.getexif()[0x0112] = 3
    expected = ask(rgb[::-1, ::-1].copy())
    for made in (np.asarray(ask(turned)), through_a_file(turned)):
        assert np.array_equal(made, expected)


@pytest.mark.parametrize("verb", ["translate", "upscale", "inpaint", "project", "encode", "classify"])
def test_a_tensor_of_pixels_from_0_to_255_is_refused(verb: str, enlarger: Model, translator: Model) -> None:
    filler = registry.create("context_encoder", (3, 64, 64), width=4)
    whole = torch.zeros(64, 64, dtype=torch.bool)
    whole[20:40, 20:40] = True
    use = {
        "translate": translator.translate,
        "upscale": enlarger.upscale,
        "inpaint": lambda image: filler.inpaint(image, whole),
        "encode": registry.create("bigan", (3, 64, 64), network="dcgan", width=4).encode,
        "classify": registry.create("sgan", (3, 64, 64), 4, width=4).classify,
        "project": lambda image: registry.create("dcgan", (3, 64, 64), width=4).project(image, steps=1),
    }[verb]
    image = torch.zeros(3, 64, 64)
    refused("not from 200 to 200: of pixels from 0 to 255 give image / 127.5 - 1", lambda: use(image + 200))
    refused("not torch.uint8: of pixels from 0 to 255 give image / 127.5 - 1", lambda: use(image.to(torch.uint8)))
    refused("in [-1, 1], not from -2.5 to -2.5.", lambda: use(image - 2.5))
    refused("not finite", lambda: use(image / 0))
    if verb in ("translate", "upscale", "inpaint"):  # interpolation goes a little beyond
        assert use(image + 1.2).shape[0] == 3


def test_grey_stays_grey_where_a_picture_stays_itself(enlarger: Model) -> None:
    assert enlarger.upscale(Image.new("L", (9, 5))).mode == "L"
    assert enlarger.upscale(Image.new("LA", (9, 5))).mode == "LA"
    assert enlarger.upscale(noise(5, 9)).shape == (10, 18)
    assert enlarger.upscale(noise(5, 9, 1)).shape == (10, 18, 1)
    deep = enlarger.upscale(Image.fromarray(noise(5, 9, dtype=np.uint16)))
    assert (deep.mode, deep.size) == ("I;16", (18, 10))


def test_a_network_of_grey_is_shown_the_colours_one_by_one() -> None:
    model, pixels = model_of("srgan", 1), smooth(6, 9)
    made = model.upscale(pixels)
    for channel in range(3):
        assert np.array_equal(made[:, :, channel], model.upscale(pixels[:, :, channel]))


def test_a_network_with_alpha_is_given_it() -> None:
    model, pixels = model_of("srgan", 4), noise(6, 9, 4)
    tensor = torch.from_numpy(pixels).permute(2, 0, 1) / 127.5 - 1
    made = model.upscale(tensor).add(1).mul(127.5).round().permute(1, 2, 0).numpy()
    assert np.array_equal(model.upscale(pixels), made)
    assert model.upscale(pixels[:, :, :3]).shape == (12, 18, 3)


def test_the_profile_is_kept(enlarger: Model, translator: Model) -> None:
    picture = Image.new("RGB", (20, 16))
    picture.info["icc_profile"] = SRGB
    for made in (enlarger.upscale(picture), translator.translate(picture)):
        assert made.info["icc_profile"] == SRGB


def test_what_is_not_filled_keeps_its_numbers_under_any_profile() -> None:
    model, pixels = model_of("context_encoder", 3), smooth(16, 16)
    mask = np.zeros((16, 16), bool)
    mask[6:10, 6:10] = True
    made = model.inpaint(Photo(pixels, None, display_p3()), mask)
    assert made.profile == display_p3()
    assert np.array_equal(made.pixels[~mask], pixels[~mask])
    assert not np.array_equal(made.pixels[mask], pixels[mask])


def display_p3() -> bytes:
    """A profile with the primaries of Display P3 under D50 (SMPTE EG 432-1) and the curve of sRGB."""
    profile = bytearray(SRGB)
    primaries = {
        b"rXYZ": (0.51512, 0.24120, -0.00105),
        b"gXYZ": (0.29198, 0.69225, 0.04189),
        b"bXYZ": (0.15710, 0.06657, 0.78407),
    }
    for place in range(struct.unpack_from(">I", profile, 128)[0]):
        name, start, _ = struct.unpack_from(">4sII", profile, 132 + 12 * place)
        if name in primaries:
            struct.pack_into(">3i", profile, start + 8, *(round(65536 * value) for value in primaries[name]))
    return bytes(profile).replace("sRGB".encode("utf-16-be"), "mine".encode("utf-16-be"))


# colours of sRGB, and the same ones in the numbers of Display P3
IN_P3 = {
    (255, 0, 0): (234, 51, 35),
    (0, 255, 0): (117, 251, 76),
    (0, 0, 255): (0, 0, 245),
    (255, 255, 255): (255,) * 3,
    (0, 0, 0): (0,) * 3,
    (128, 128, 128): (128,) * 3,
}


@pytest.mark.parametrize("steps", [1, 257])
def test_colours_of_a_profile_are_those_of_srgb_and_back(steps: int) -> None:
    """At 8 and at 16 bits, known values; the inverse gives the numbers back."""
    dtype = np.uint8 if steps == 1 else np.uint16
    of_srgb, of_p3 = (np.array([list(colours)], int) * steps for colours in (IN_P3, IN_P3.values()))
    # a level of the one is up to three of the other where the curve is steep, near 0
    assert np.abs(to_srgb(of_p3.astype(dtype), display_p3()) - of_srgb.astype(float)).max() <= 3 * steps
    assert np.abs(from_srgb(of_srgb.astype(dtype), display_p3()) - of_p3.astype(float)).max() <= steps
    inside = from_srgb(noise(40, 50, 3, dtype=dtype), display_p3())
    again = from_srgb(to_srgb(inside, display_p3()), display_p3())
    assert np.abs(again.astype(float) - inside).max() <= (2 if steps == 1 else 8)
    for profile in (None, SRGB, b"", b"broken", SRGB[:200], SRGB[:16] + b"GRAY" + SRGB[20:]):
        assert np.array_equal(to_srgb(inside, profile), inside)


@pytest.mark.parametrize("gamma", [1.0, 1.8, 2.2])
def test_tone_curves_are_those_of_pillow(gamma: float) -> None:
    """A gamma as ICC writes it, beside Pillow's own conversion, which training uses."""
    profile, curve = bytearray(display_p3()), struct.pack(">4sIIH2x", b"curv", 0, 1, round(gamma * 256))
    for place in range(struct.unpack_from(">I", profile, 128)[0]):
        name, start, _ = struct.unpack_from(">4sII", profile, 132 + 12 * place)
        if name[1:] == b"TRC":
            profile[start : start + len(curve)] = curve
    picture = Image.fromarray(smooth(40, 30))
    picture.info["icc_profile"] = bytes(profile)
    ours, theirs = to_srgb(np.asarray(picture), bytes(profile)), np.asarray(as_displayed(picture, 3))
    assert np.abs(ours.astype(int) - theirs).max() <= 1
    assert np.abs(ours.astype(int) - np.asarray(picture)).max() > 3, "else nothing is tested"


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_model_sees_the_colours_of_srgb_whatever_the_profile(dtype: type, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red of sRGB in a Display P3 picture. A model that changes red and green is given (255, 0, 0), and what it makes
    is green of sRGB in the numbers of Display P3; the other way round, so is blue, which it leaves as it is."""
    model, steps, seen = model_of("pix2pix"), 1 if dtype == np.uint8 else 257, []

    def mapped(image: torch.Tensor, direction: str) -> torch.Tensor:
        seen.append(image[0, :, 0, 0])
        return image[:, [1, 0, 2]]

    monkeypatch.setattr(model, "mapped", mapped)
    pixels = np.empty((16, 16, 3), dtype)
    pixels[:, :8], pixels[:, 8:] = (np.array(IN_P3[colour]) * steps for colour in ((255, 0, 0), (0, 0, 255)))
    made = model.translate(Photo(pixels, None, display_p3()))
    assert seen[0].tolist() == pytest.approx([1, -1, -1], abs=0.01)
    assert made.profile == display_p3()
    assert made.pixels.dtype == dtype
    assert np.abs(made.pixels[0, 0].astype(int) - np.array(IN_P3[0, 255, 0]) * steps).max() <= steps
    assert np.abs(made.pixels[0, 15].astype(int) - pixels[0, 15]).max() <= steps // 2, "at 8 bits the very numbers"
    if dtype == np.uint8:
        picture = image_of(Photo(pixels, None, display_p3()))
        again = model.translate(picture)
        assert again.info["icc_profile"] == display_p3()
        assert np.array_equal(np.asarray(again), made.pixels)


# Tiles


@pytest.mark.parametrize(("height", "width", "side", "reach"), [(150, 300, 64, 8), (64, 64, 64, 5), (65, 1, 64, 90)])
def test_tiles_cover_a_picture_once(height: int, width: int, side: int, reach: int) -> None:
    image, result = noise(height, width), np.zeros((2 * height, 2 * width), int)
    for tile in tiles(height, width, side, reach, 2):
        part = np.repeat(np.repeat(image[tile.read], 2, 0), 2, 1)
        result[tile.place] += part[tile.kept]
        assert all(place.start % 2 == 0 and place.start // 2 % STEP == 0 for place in tile.place)
    assert np.array_equal(result, np.repeat(np.repeat(image, 2, 0), 2, 1))


@pytest.mark.parametrize(
    ("name", "options"),
    [("srgan", {}), ("srgan", {"scale": 4}), ("srgan", {"scale": 8}), ("esrgan", {}), ("esrgan", {"scale": 4})],
)
def test_tiles_show_no_seam(name: str, options: dict[str, int]) -> None:
    model, picture = model_of(name, **options), noise(100, 140, 3)
    assert model.reach is not None
    whole, tiled = (model.upscale(picture, tile=tile).astype(int) for tile in (None, 64))
    assert np.abs(whole - tiled).max() <= 1
    tensor = torch.rand(2, 3, 70, 65) * 2 - 1
    assert torch.allclose(model.upscale(tensor), model.upscale(tensor, tile=64), atol=1 / 255)
    model.reach = 2  # the control
    assert np.abs(whole - model.upscale(picture, tile=64)).max() > 1


def test_23_blocks_see_no_further_than_said() -> None:
    """ESRGAN's blocks reach over 349 pixels, but what lies behind 64 changes nothing that can be seen."""
    torch.manual_seed(0)
    model = ganarium.create("esrgan", (3, 16, 16), width=8, growth=4).eval()
    assert model.reach == 64
    for parameter in model.generator.parameters():
        parameter.data.mul_(3)  # trained weights are larger than those that training starts with
    picture = torch.rand(1, 3, 8, 160) * 2 - 1
    other = picture.clone()
    other[:, :, :, :16] *= -1
    difference = (model.enlarged(picture) - model.enlarged(other)).abs()
    assert difference[..., : 16 * 4].max() > 1 / 255
    assert difference[..., 4 * (16 + 64) :].max() < 1 / 255


def test_a_translator_with_fixed_statistics_shows_no_seam(translator: Model) -> None:
    picture = smooth(100, 150)
    fixed = {"full_size": True, "fixed_statistics": True}
    whole, tiled = translator.translate(picture, **fixed), translator.translate(picture, tile=64, **fixed)
    assert whole.shape == picture.shape
    assert np.abs(whole.astype(int) - tiled).max() <= 1
    own = translator.translate(picture, full_size=True)
    assert np.abs(own.astype(int) - whole).mean() < 30, "the statistics of a reduced copy are near the picture's own"
    again = translator.translate(picture, full_size=True)
    assert np.array_equal(own, again), "nothing of it is left in the model"


def test_a_network_without_instance_norm_is_tiled() -> None:
    model, picture = model_of("discogan"), smooth(100, 150)
    whole, tiled = (model.translate(picture, full_size=True, tile=tile).astype(int) for tile in (None, 64))
    assert np.abs(whole - tiled).max() <= 1


def test_tiles_that_would_show_seams_are_refused(translator: Model, enlarger: Model) -> None:
    picture = smooth(70, 80)
    words = "CycleGAN normalises ... map the whole ... fixed_statistics"
    refused(words, lambda: translator.translate(picture, full_size=True, tile=64))
    unet = model_of("pix2pix")
    refused("depends on the whole picture ... map the whole", lambda: unet.translate(picture, full_size=True, tile=64))
    refused("have no statistics to fix", lambda: unet.translate(picture, full_size=True, fixed_statistics=True))
    refused("--full-size", lambda: translator.translate(picture, tile=64))
    refused("a multiple of 64 pixels, not 100", lambda: enlarger.upscale(picture, tile=100))
    refused("1, 3 or 4 channels", lambda: enlarger.upscale(noise(4, 4, 2)))
    refused("uint8 or uint16", lambda: enlarger.upscale(np.zeros((4, 4, 3))))
    refused("floating-point", lambda: enlarger.upscale(Image.new("F", (4, 4))))


def test_large_pictures_are_tiled_without_being_told(enlarger: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganarium.mapping.WHOLE", 60 * 60)
    monkeypatch.setattr("ganarium.mapping.TILE", 64)
    shares: list[float] = []
    enlarger.upscale(smooth(100, 70), progress=shares.append)
    assert shares == [0.25, 0.5, 0.75, 1.0]


# The command line


def test_the_time_is_said_before_it_begins(
    runs: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ganarium.cli.pictures.SPOKEN", 0)
    Image.fromarray(smooth(300, 300)).save(tmp_path / "a.png")
    assert command("upscale", runs["srgan"], tmp_path / "a.png", "--out", tmp_path / "out") == 0
    assert capsys.readouterr().err.startswith("ganarium: this will take about ")


def test_a_comparison_is_drawn(runs: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pixels = smooth(12, 20)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    Image.fromarray(pixels[:, :, 0].astype(np.uint16) * 257).save(tmp_path / "deep.png")
    files = (tmp_path / "a.png", tmp_path / "deep.png")
    assert command("upscale", runs["srgan"], *files, "--compare", "--out", tmp_path / "out") == 0
    result, both, deep, deep_both = map(Path, capsys.readouterr().out.split())
    assert (result.name, both.name, deep.name) == ("a-x2.png", "a-x2-compare.png", "deep-x2.png")
    drawn = read_photo(both).pixels
    assert drawn.shape == (24, 88, 3)
    assert np.array_equal(drawn[:, 48:], read_photo(result).pixels)
    plain = Image.fromarray(pixels).resize((40, 24), Image.Resampling.BICUBIC)
    assert np.abs(drawn[:, :40].astype(int) - np.asarray(plain)).max() <= 1
    grey = read_photo(deep_both).pixels
    assert abs(grey[:, :40].mean() - pixels[:, :, 0].mean()) < 5


def test_a_damaged_file_among_others(runs: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its header is whole, so that it is found out when it is decoded. The second half of fault p33."""
    for name in ("a", "b", "c"):
        Image.fromarray(noise(30, 30, 3)).save(tmp_path / f"{name}.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "b.png").read_bytes()[:400])
    (tmp_path / "empty.png").touch()
    assert command("upscale", runs["srgan"], tmp_path, "--out", tmp_path / "out") == 2
    said = capsys.readouterr()
    assert [Path(line).name for line in said.out.split()] == ["a-x2.png", "c-x2.png"]
    assert len(said.err.splitlines()) == 2
    assert "b.png is damaged or cut short, and is passed over" in said.err
    assert "empty.png" in said.err


def peak_of(*arguments: str | Path) -> int:
    """The most memory, in MiB, of a process of its own that runs a command."""
    code = "import sys, resource; from ganarium import cli; code = cli.main(sys.argv[1:]); "
    code += "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, file=sys.stderr); sys.exit(code)"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stderr.split()[-1])


def test_memory_does_not_grow_with_the_number_of_files(runs: dict[str, str], tmp_path: Path) -> None:
    """Fault p33: all photos were held at once, 36 MB for one of 12 megapixels."""
    peaks = []
    for count in (1, 8):
        folder = tmp_path / f"photos{count}"
        folder.mkdir()
        for number in range(count):
            Image.new("RGB", (2000, 1500), (number * 9, 100, 50)).save(folder / f"{number}.jpg")
        peaks.append(peak_of("translate", runs["cyclegan"], folder, "--out", tmp_path / "out"))
    assert peaks[1] - peaks[0] < 40, peaks


@pytest.mark.slow
def test_a_photo_of_12_megapixels_is_enlarged_four_times_in_3_gib(tmp_path: Path) -> None:
    """By the smallest SRResNet; docs/every-day.md says what the real one takes."""
    made = trainer("srgan", (3, 16, 16), scale=4)
    next(iter(made))
    data, options = {"shape": [3, 16, 16], "num_classes": None}, asdict(made.model.config)
    run = saved(made, tmp_path / "run", model="srgan", model_options=options, data=data, precision="fp32")
    Image.new("RGB", (4000, 3000), (90, 120, 50)).save(tmp_path / "photo.jpg")
    assert peak_of("upscale", run, tmp_path / "photo.jpg", "--out", tmp_path / "out") < 3 * 1024
    with (tmp_path / "out" / "photo-x4.png").open("rb") as file:  # Pillow takes so large a picture for a bomb
        assert struct.unpack(">2I", file.read(24)[16:]) == (16000, 12000)
