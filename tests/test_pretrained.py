"""The generator that comes with the package: its verb, its file, its card."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

import ganarium
from ganarium import metrics, registry
from ganarium.cli.app import main
from ganarium.data.augment import enlarged
from ganarium.errors import UserError
from ganarium.runs import gallery, pretrained

SHIPPED = gallery.FOLDER / "upscaler.safetensors"


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A package whose upscaler is a tiny one, with weights of no training."""
    monkeypatch.setattr(gallery, "FOLDER", tmp_path / "weights")
    options = {"generator": "basicsr", "width": 4, "num_blocks": 1, "discriminator_width": 1}
    return written("upscaler", "srgan", (3, 96, 96), None, options)


def written(name, model_name, shape, num_classes, options, steps=0, card=None, **more):
    """A model of no training, written as if a run of so many steps had made it."""
    torch.manual_seed(0)
    model = registry.create(model_name, shape, num_classes, **options)
    model.iteration = steps
    config = {
        "model": model_name,
        "model_options": options,
        "options": {"data": "/home/somebody/textures", "out": "/home/somebody/run"},
        "data": {
            "name": "textures",
            "shape": list(shape),
            "num_classes": num_classes,
            "class_names": list("abc")[: num_classes or 0],
        },
    }
    pretrained.write(name, model, config, card or {"steps": 0, "what": "a try"}, **more)
    return model


def photo(path: Path, side: int = 24) -> Path:
    levels = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    Image.fromarray(levels).save(path)
    return path


def test_what_was_written_is_loaded_in_half_precision(small):
    model = ganarium.load_pretrained()
    image = torch.rand(1, 3, 16, 16) * 2 - 1
    small.eval()
    assert torch.allclose(model.upscale(image), small.upscale(image), atol=2e-3)
    assert model.scale == 4
    assert gallery.card() == {"steps": 0, "what": "a try"}
    with safe_open(gallery.FOLDER / "upscaler.safetensors", "pt") as file:
        assert {file.get_tensor(key).dtype for key in file.offset_keys()} == {torch.float16}


def test_a_photo_is_enlarged_without_a_run(here, small, capsys):
    photo(Path("photo.png"))
    assert main(["upscale", "--pretrained", "photo.png"]) == 0
    assert capsys.readouterr().out == "pretrained-upscaler/upscaled/photo-x4.png\n"
    assert Image.open("pretrained-upscaler/upscaled/photo-x4.png").size == (96, 96)
    assert main(["upscale", "--pretrained"]) == 2
    assert main(["upscale", "photo.png"]) == 2


def test_a_package_without_the_weights_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(gallery, "FOLDER", tmp_path)
    with pytest.raises(UserError, match="train_upscaler"):
        ganarium.load_pretrained()
    written("upscaler", "srgan", (3, 96, 96), None, {"width": 4, "num_blocks": 1, "discriminator_width": 1})
    with pytest.raises(UserError, match="upscaler"):
        ganarium.load_pretrained("upscale")


def test_a_generator_of_the_gallery_stands_wherever_a_run_does(here, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(gallery, "FOLDER", tmp_path / "weights")
    small = written("kinds", "cgan", (1, 16, 16), 3, {"network": "dcgan", "width": 4, "latent_dim": 8})
    model = ganarium.load("pretrained:kinds")
    assert not list(model.players)
    assert model.discriminator is None
    small.eval()
    assert torch.allclose(model.sample(4, seed=1, label=2), small.sample(4, seed=1, label=2), atol=5e-3)
    assert main(["sample", "--pretrained", "kinds", "--n", "4", "--label", "b"]) == 0
    made = Path(capsys.readouterr().out.strip())
    assert made.parts[:2] == ("pretrained-kinds", "generated")
    assert main(["sample", "pretrained:kinds", "--n", "4", "--classes", "--out", "elsewhere"]) == 0
    assert len(list(Path("elsewhere").iterdir())) == 2
    assert main(["sample", "pretrained:kinds", "--pretrained", "kinds"]) == 2
    assert main(["sample"]) == 2
    assert main(["sample", "--pretrained", "kind"]) == 2
    assert "kinds" in capsys.readouterr().err
    raw = (tmp_path / "weights" / "kinds.safetensors").read_bytes()
    assert b"somebody" not in raw, "no path of the machine that trained it"
    assert main(["list"]) == 0
    assert "kinds" in capsys.readouterr().out


def test_a_model_of_the_gallery_that_grows_draws_at_its_last_resolution(tmp_path, monkeypatch):
    monkeypatch.setattr(gallery, "FOLDER", tmp_path / "weights")
    options = {"width": 4, "latent_dim": 8, "mapping_layers": 2, "stable_images": 256, "fading_images": 256}
    small = written("grown", "stylegan", (3, 16, 16), None, options, steps=100).eval()
    model = ganarium.load("pretrained:grown")
    drawn, asked = model.sample(2, seed=1, noise_seed=1), small.sample(2, seed=1, noise_seed=1)
    assert torch.allclose(drawn, asked, atol=2e-2)
    assert not torch.equal(drawn[:, :, ::2], drawn[:, :, 1::2]), "rows of a smaller image, twice each"


def test_a_map_of_the_gallery_keeps_its_directions(tmp_path, monkeypatch):
    monkeypatch.setattr(gallery, "FOLDER", tmp_path / "weights")
    small = written(
        "there", "cyclegan", (3, 16, 16), None, {"width": 4, "num_blocks": 1}, parts=["a2b"], directions=["a2b"]
    )
    model, image = ganarium.load("pretrained:there"), torch.rand(1, 3, 16, 16) * 2 - 1
    assert model.directions == ("a2b",)
    assert model.b2a is None
    small.eval()
    assert torch.allclose(model.translate(image), small.translate(image), atol=2e-2)
    with pytest.raises(UserError, match="no direction"):
        model.translate(image, direction="b2a")


def test_a_generator_of_the_gallery_goes_to_the_hub_with_its_card(here, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(gallery, "FOLDER", tmp_path / "weights")
    numbers = {"protocol": "by eye", "beauty": 0.5}
    card = {"what": "a try", "terms": "drawn", "command": "train it", "steps": 700, "numbers": numbers}
    small = {"width": 4, "num_blocks": 1}
    written("there", "cyclegan", (3, 16, 16), None, small, parts=["a2b"], directions=["a2b"], card=card, steps=7)
    assert main(["export", "pretrained:there", "--to", "hub"]) == 0
    folder = Path("pretrained-there/exported/hub")
    assert str(folder) in capsys.readouterr().out
    model, image = ganarium.load(folder), torch.rand(1, 3, 16, 16) * 2 - 1
    assert model.directions == ("a2b",)
    assert torch.equal(model.translate(image), ganarium.load("pretrained:there").translate(image))
    text = (folder / "README.md").read_text()
    assert all(words in text for words in ("by eye", "| beauty | 0.5 |", "Data: drawn.", "`train it`", "7 steps"))


@pytest.mark.parametrize("name", gallery.names())
def test_what_is_shipped_is_small_and_says_what_it_is(name):
    file, card = gallery.FOLDER / f"{name}.safetensors", gallery.card(name)
    assert file.stat().st_size <= 700 * 1024
    assert {"what", "data", "terms", "command", "steps", "numbers"} <= set(card)
    assert card["numbers"]["protocol"]
    model = ganarium.load(f"pretrained:{name}")
    assert model.directions or model.scale or model.inpaints or len(model.sample(2, seed=0)) == 2


def test_all_that_is_shipped_is_less_than_five_mebibytes():
    assert sum(file.stat().st_size for file in gallery.FOLDER.glob("*")) < 5 * 2**20


@pytest.mark.skipif(not SHIPPED.is_file(), reason="the weights are not here: tools/train_upscaler.py makes them")
def test_the_one_that_is_shipped_is_better_than_bicubic(real_data):
    assert SHIPPED.stat().st_size < 700 * 1024
    card = gallery.card()
    model = ganarium.load_pretrained()
    assert sum(parameter.numel() for parameter in model.parameters()) == 232_963
    made = []
    for path in sorted((real_data / "sr" / "Set5").glob("*.png")):
        image = torch.from_numpy(np.array(Image.open(path).convert("RGB"))).permute(2, 0, 1)[None] / 127.5 - 1
        image = image[:, :, : image.shape[2] // 4 * 4, : image.shape[3] // 4 * 4]
        size = [side // 4 for side in image.shape[2:]]
        low = torch.nn.functional.interpolate(image, size=size, mode="bicubic", antialias=True).clamp(-1, 1)
        made.append(metrics.psnr(model.upscale((low * 127.5 + 127.5).round() / 127.5 - 1), image, border=4))
    assert len(made) == 5
    assert sum(made) / 5 == pytest.approx(card["numbers"]["psnr"], abs=0.02), json.dumps(card)
    assert sum(made) / 5 > card["numbers"]["psnr_of_bicubic"] + 0.3


def test_a_generator_that_takes_sentences_brings_what_reads_them(here, tmp_path, monkeypatch):
    monkeypatch.setattr(gallery, "FOLDER", tmp_path / "weights")
    options = {"width": 4, "text_width": 6, "embedding_dim": 8, "projected": 4, "latent_dim": 4}
    parts = ("generator", "text", "examples")
    model = written("by-words", "text_to_image", (3, 16, 16), None, options, parts=parts).eval()
    loaded = ganarium.load_pretrained("by-words")
    drawn, same = (one.sample(2, seed=0, text="a small red circle above a blue square") for one in (loaded, model))
    assert torch.allclose(drawn, same, atol=5e-3)
    assert torch.equal(loaded.examples, model.examples)
    assert main(["sample", "--pretrained", "by-words", "--text", "a small red circle above a blue square"]) == 0
    assert list(Path("pretrained-by-words").rglob("*a_small_red_circle*.png"))


def test_enlargements_side_by_side(tmp_path):
    """Anyone's own pictures, in rows of bicubic, each model and the original."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
    import enlargement_picture as table

    class Bicubic:
        def upscale(self, low):
            return enlarged(low, 4)

    noise = np.random.default_rng(0).integers(0, 256, (2, 130, 121, 3), np.uint8)
    for number, pixels in enumerate(noise):
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    photos = table.photos(tmp_path)
    assert [tuple(photo.shape) for photo in photos] == [(1, 3, 128, 120)] * 2
    sheet = np.array(table.side_by_side(photos, {"a model": Bicubic()}))
    cell = table.ZOOM * table.PART
    columns = [table.GAP + place * (cell + table.GAP) for place in range(3)]
    bicubic, model, original = (sheet[table.GAP + table.LINE :][:cell, left : left + cell] for left in columns)
    assert (bicubic == model).all()
    assert (original[:: table.ZOOM, :: table.ZOOM] == noise[0, 16:112, 12:108]).all()
