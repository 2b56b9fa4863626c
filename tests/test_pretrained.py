"""The generator that comes with the package: its verb, its file, its card."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

import ganarium
from ganarium import metrics, registry
from ganarium.cli.app import main
from ganarium.errors import UserError
from ganarium.runs import pretrained

SHIPPED = pretrained.FOLDER / "upscaler.safetensors"


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A package whose upscaler is a tiny one, with weights of no training."""
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path / "weights")
    torch.manual_seed(0)
    options = {"generator": "basicsr", "width": 4, "num_blocks": 1, "discriminator_width": 1}
    model = registry.create("srgan", (3, 96, 96), **options)
    pretrained.write("upscaler", model, {"steps": 0})
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
    assert pretrained.card() == {"steps": 0}
    with safe_open(pretrained.FOLDER / "upscaler.safetensors", "pt") as file:
        assert {file.get_tensor(key).dtype for key in file.offset_keys()} == {torch.float16}


def test_a_photo_is_enlarged_without_a_run(here, small, capsys):
    photo(Path("photo.png"))
    assert main(["upscale", "--pretrained", "photo.png"]) == 0
    assert capsys.readouterr().out == "upscaled/photo-x4.png\n"
    assert Image.open("upscaled/photo-x4.png").size == (96, 96)
    assert main(["upscale", "--pretrained"]) == 2
    assert main(["upscale", "photo.png"]) == 2


def test_a_package_without_the_weights_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path)
    with pytest.raises(UserError, match="train_upscaler"):
        ganarium.load_pretrained()
    with pytest.raises(UserError, match="upscaler"):
        ganarium.load_pretrained("upscale")


@pytest.mark.skipif(not SHIPPED.is_file(), reason="the weights are not here: tools/train_upscaler.py makes them")
def test_the_one_that_is_shipped_is_better_than_bicubic(real_data):
    assert SHIPPED.stat().st_size < 700 * 1024
    card = pretrained.card()
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
