"""Weights of other programs: what they compute, from any of their layouts and formats, and what is refused."""

import json
from collections import OrderedDict
from pathlib import Path

import pytest
import safetensors.torch
import torch

import ganarium
import other_programs as other
from ganarium.cli.app import main
from ganarium.errors import UserError
from ganarium.exporting.weights.importing import import_weights, read_weights
from ganarium.model import Model
from ganarium.runs.loading import load

UPSCALERS = {
    "RRDBNet, new": lambda: other.rrdb("new"),
    "RRDBNet, new, x2": lambda: other.rrdb("new", 2, unshuffle=2),
    "RRDBNet, new, x1": lambda: other.rrdb("new", 1, unshuffle=4),
    "RRDBNet, old": lambda: other.rrdb("old"),
    "RRDBNet, old, x2": lambda: other.rrdb("old", 2),
    "RRDBNet, old, x1": lambda: other.rrdb("old", 1),
    "RRDBNet, old, x8": lambda: other.rrdb("old", 8),
    "RRDBNet, BSRGAN": lambda: other.rrdb("bsrgan"),
    "RRDBNet, BSRGAN, x2": lambda: other.rrdb("bsrgan", 2),
    "ESRGAN, PyTorch-GAN": lambda: other.pytorch_gan_esrgan(),
    "SRResNet, BasicSR": lambda: other.basicsr_srresnet(),
    "SRResNet, BasicSR, x2": lambda: other.basicsr_srresnet(scale=2),
    "SRResNet, BasicSR, earlier": lambda: other.basicsr_srresnet(earlier=True),
    "SRGAN, PyTorch-GAN": lambda: other.pytorch_gan_srgan(),
}
TRANSLATORS = {
    "CycleGAN": lambda: other.resnet(),
    "CycleGAN, 9 blocks": lambda: other.resnet(blocks=9),
    "CycleGAN, dropout": lambda: other.resnet(dropout=True),
    "CycleGAN, PyTorch-GAN": lambda: other.resnet(inner="block", resize=True),
    "pix2pix": lambda: other.unet(levels=7),
    "pix2pix, 6 levels": lambda: other.unet(levels=6),
    "pix2pix, PyTorch-GAN": lambda: other.pytorch_gan_unet(levels=6),
}


def imported(weights: dict, folder: Path, **options) -> Model:
    torch.save(weights, folder / "weights.pth")
    return load(import_weights(folder / "weights.pth", folder / "run", **options))


@pytest.mark.parametrize("name", UPSCALERS)
def test_upscalers_compute_what_they_compute_elsewhere(name, tmp_path):
    weights, forward = UPSCALERS[name]()
    model = imported(weights, tmp_path)
    image = torch.rand(1, 3, 20, 24, generator=torch.Generator().manual_seed(1))
    theirs = forward(image)
    ours = (model.upscale(2 * image - 1) + 1) / 2
    assert ours.shape == (1, 3, 20 * model.scale, 24 * model.scale) == theirs.shape
    assert torch.allclose(ours, theirs.clamp(0, 1), atol=2e-5)
    assert theirs.clamp(0, 1).std() > 0.01  # the clipping hides nothing


@pytest.mark.parametrize("name", TRANSLATORS)
def test_translators_compute_what_they_compute_elsewhere(name, tmp_path):
    weights, forward = TRANSLATORS[name]()
    model = imported(weights, tmp_path)
    for layer in model.modules():  # the comparison is of what does not change from call to call
        if isinstance(layer, torch.nn.Dropout):
            layer.p = 0.0
    side = model.shape[1] if "pix2pix" in name else 32
    image = 2 * torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(1)) - 1
    assert torch.allclose(model.translate(image), forward(image), atol=2e-5)
    assert model.directions == ("a2b",)


def test_an_imported_u_net_keeps_its_dropout_where_the_authors_have_it(tmp_path):
    model = imported(other.unet(levels=8, width=2)[0], tmp_path)
    drops = [any(isinstance(layer, torch.nn.Dropout) for layer in up) for up in model.generator.up]
    assert drops == [False, False, False, False, True, True, True, False]
    image = torch.zeros(1, 3, 256, 256)
    assert not torch.equal(model.generator.train()(image), model.generator(image))
    assert "dropout" in json.loads((tmp_path / "run" / "config.json").read_text())["imported"]["notes"][0]


# ---- formats and wrappers ----------------------------------------------------------------------------------


def wrapped(weights: dict) -> dict[str, object]:
    worse = {key: torch.zeros_like(value) for key, value in weights.items()}
    modules = OrderedDict((f"module.{key}", value) for key, value in weights.items())
    return {
        "plain": weights,
        "params": {"params": weights},
        "averages first": {"params": worse, "params_ema": weights},
        "state_dict": {"epoch": 3, "state_dict": weights, "optimizer": {"state": {}, "lr": 1e-4}},
        "module": modules,
        "module in state_dict": {"state_dict": modules},
        "generator": {f"generator.{key}": value for key, value in weights.items()},
    }


@pytest.mark.parametrize("name", ["plain", "params", "averages first", "state_dict", "module", "module in state_dict"])
@pytest.mark.parametrize("old", [False, True])
def test_wrappers_and_both_formats_of_torch(name, old, tmp_path):
    weights, _ = other.rrdb()
    torch.save(wrapped(weights)[name], tmp_path / "w.pth", _use_new_zipfile_serialization=not old)
    layout, tensors = read_weights(tmp_path / "w.pth")
    assert layout.model == "esrgan"
    assert torch.equal(tensors["first.weight"], weights["conv_first.weight"])
    assert len(tensors) == len(weights)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_number_formats_parameters_and_views(dtype, tmp_path):
    weights, _ = other.basicsr_srresnet()
    kept = {key: torch.nn.Parameter(value.to(dtype)) for key, value in weights.items()}
    kept["conv_last.weight"] = kept["conv_last.weight"].detach().transpose(0, 1).contiguous().transpose(0, 1)
    torch.save(kept, tmp_path / "w.pth")
    _, tensors = read_weights(tmp_path / "w.pth")
    for ours, theirs in (("first.weight", "conv_first.weight"), ("last.weight", "conv_last.weight")):
        assert torch.equal(tensors[ours], weights[theirs].to(dtype).float())


def test_safetensors(tmp_path):
    weights, _ = other.resnet()
    safetensors.torch.save_file(weights, tmp_path / "w.safetensors")
    layout, tensors = read_weights(tmp_path / "w.safetensors")
    assert (layout.model, layout.options["num_blocks"]) == ("cyclegan", 2)
    assert torch.equal(tensors["layers.1.weight"], weights["model.1.weight"])


def test_statistics_of_instance_norm_as_it_once_was_are_passed_over(tmp_path):
    weights, forward = other.resnet()
    weights |= {"model.2.running_mean": torch.ones(4), "model.2.running_var": torch.ones(4)}
    image = torch.rand(1, 3, 16, 16) * 2 - 1  # of one colour, norms would enlarge nothing but rounding
    assert torch.allclose(imported(weights, tmp_path).translate(image), forward(image), atol=2e-5)


# ---- what does not fit -------------------------------------------------------------------------------------


def without(weights: dict, *names: str) -> dict:
    return {key: value for key, value in weights.items() if key not in names}


def unfit() -> dict[str, tuple[dict, str]]:
    resnet, unet, rrdb = other.resnet()[0], other.unet()[0], other.rrdb()[0]
    srgan, grey = other.pytorch_gan_srgan()[0], dict(resnet)
    grey["model.1.weight"] = grey["model.1.weight"][:, :1]
    return {
        "batch norm": (resnet | {"model.2.weight": torch.ones(4), "model.2.bias": torch.ones(4)}, "instance norm"),
        "instance norm": (unet | {"model.model.1.model.1.bias": torch.ones(8)}, "batch norm"),
        "channels": (grey, "1 channels to 3"),
        "a block too few": (without(rrdb, "body.0.rdb2.conv1.weight"), "body.0.rdb2.conv1.weight is missing"),
        "a name too many": (rrdb | {"body.9x": torch.ones(1)}, "body.9x has no place"),
        "blocks with a gap": (rrdb | {"body.7.rdb1.conv1.weight": torch.ones(2, 4, 3, 3)}, "missing"),
        "a size": (rrdb | {"conv_body.weight": torch.ones(5, 4, 3, 3)}, r"\(5, 4, 3, 3\) where \(4, 4, 3, 3\)"),
        "ESRGAN+": (rrdb | {"body.0.rdb1.conv1x1.weight": torch.ones(1)}, "1x1"),
        "x3": (other.basicsr_srresnet(scale=3)[0], "power of 2"),
        "earlier PyTorch-GAN": (without(srgan, "conv1.1.weight"), "PReLU"),
        "not finite": (rrdb | {"conv_body.bias": torch.full((4,), torch.nan)}, "not finite"),
        "unknown": ({"features.0.weight": torch.ones(1)}, "no generator that is known"),
        "nothing": ({"epoch": 3}, "state_dict"),
    }


@pytest.mark.parametrize("name", unfit())
def test_what_does_not_fit_is_refused_with_the_reason(name, tmp_path):
    weights, reason = unfit()[name]
    torch.save(weights, tmp_path / "w.pth")
    with pytest.raises(UserError, match=reason) as caught:
        import_weights(tmp_path / "w.pth", tmp_path / "run")
    assert str(tmp_path / "w.pth") in str(caught.value)
    assert not (tmp_path / "run").exists()


# ---- ours, for other programs --------------------------------------------------------------------------------


@pytest.mark.parametrize(("scale", "unshuffle"), [(4, 1), (2, 1), (2, 2), (1, 4)])
def test_spandrel_reads_what_export_writes(scale, unshuffle, tmp_path):
    spandrel = pytest.importorskip("spandrel", reason="spandrel is not here: pip install spandrel")
    weights, _ = other.rrdb("old" if unshuffle == 1 else "new", scale, growth=32, blocks=1, unshuffle=unshuffle)
    model = imported(weights, tmp_path)
    (made,) = ganarium.export(tmp_path / "run", to="pth")
    assert made.difference == 0
    theirs = spandrel.ModelLoader().load_from_file(made.path)
    assert (theirs.architecture.id, theirs.scale) == ("ESRGAN", scale)
    image = torch.rand(1, 3, 16, 20, generator=torch.Generator().manual_seed(0))
    ours = (model.upscale(2 * image - 1) + 1) / 2
    assert torch.allclose(theirs(image).clamp(0, 1), ours, atol=2e-5)


def test_the_exported_file_is_imported_again_with_the_same_results(tmp_path):
    model = imported(other.rrdb(growth=32, blocks=1)[0], tmp_path)
    (made,) = ganarium.export(tmp_path / "run", to="pth", out=tmp_path / "out")
    again = load(import_weights(made.path, tmp_path / "again"))
    image = torch.rand(1, 3, 16, 16) * 2 - 1
    assert torch.equal(model.upscale(image), again.upscale(image))
    for name, weights in (("growth", other.rrdb()[0]), ("onnx", other.basicsr_srresnet()[0])):
        torch.save(weights, tmp_path / f"{name}.pth")
        with pytest.raises(UserError, match=name):
            ganarium.export(import_weights(tmp_path / f"{name}.pth", tmp_path / name), to="pth")


# ---- the folder, and the commands that take it ---------------------------------------------------------------


def picture(path: Path, side: int = 40) -> Path:
    from PIL import Image

    generator = torch.Generator().manual_seed(0)
    Image.fromarray(torch.randint(0, 256, (side, side, 3), dtype=torch.uint8, generator=generator).numpy()).save(path)
    return path


def test_commands_take_what_import_makes(here, capsys):
    torch.save(other.resnet()[0], "latest_net_G.pth")
    torch.save(other.rrdb("old", 2)[0], "x2.pth")
    picture(Path("photo.png"))
    assert main(["import", "latest_net_G.pth", "--size", "32"]) == 0
    assert "CycleGAN's ResNet with 2 blocks" in capsys.readouterr().out
    assert load("runs/latest_net_G").shape == (3, 32, 32)
    assert main(["import", "x2.pth", "--out", "mine"]) == 0
    assert main(["translate", "runs/latest_net_G", "photo.png"]) == 0
    assert main(["upscale", "mine", "photo.png"]) == 0
    assert Path("mine/upscaled/photo-x2.png").exists()
    assert main(["import", "x2.pth", "--out", "mine"]) == 2
    assert main(["runs"]) == 0
    capsys.readouterr()
    for verb in ("resume", "evaluate"):
        assert main([verb, "mine"]) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1, said
        assert "x2.pth" in said


def test_a_direction_that_is_not_in_the_file_is_not_offered(tmp_path):
    model = imported(other.resnet()[0], tmp_path)
    with pytest.raises(UserError, match="a2b"):
        model.translate(torch.zeros(1, 3, 16, 16), direction="b2a")
    assert sum(1 for _ in model.parameters()) == len(other.resnet()[0])
