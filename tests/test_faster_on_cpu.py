"""Translating and enlarging on the CPU take a shorter way to the same numbers."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ganarium import registry
from ganarium.layers import inference, winograd
from ganarium.layers.inference import faster_on_cpu
from ganarium.layers.normalization import fixed_norms


def net(*layers):
    """A network with instance norm, which marks those that are computed in another way."""
    torch.manual_seed(0)
    return nn.Sequential(*layers, nn.InstanceNorm2d(6)).eval()


@pytest.fixture
def narrow(monkeypatch):
    """Few channels are enough, and all is done in several parts, of which the last is smaller."""
    monkeypatch.setattr(inference, "LEAST", 2)
    monkeypatch.setattr(inference, "ROWS", 4)
    monkeypatch.setattr(winograd, "TILES", 3)


@pytest.mark.parametrize("size", [(8, 8), (3, 3), (17, 10), (1, 5)])
@pytest.mark.parametrize("padding", [0, 1, (0, 2)])
def test_convolutions_of_any_size(narrow, size, padding):
    layer = nn.Conv2d(4, 6, 3, 1, padding).double()
    x = torch.randn(2, 4, *size, dtype=torch.float64)
    if min(layer.padding[0] * 2 + size[0], layer.padding[1] * 2 + size[1]) < 3:
        pytest.skip("smaller than the filter")
    with torch.no_grad():
        assert torch.allclose(inference.convolution(layer)(x), layer(x), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(4, 6, 3, 2, 1),
        nn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(4, 6, 3, dilation=2),
        nn.Conv2d(4, 6, 3, groups=2, bias=False),
        nn.Conv2d(4, 6, 3, padding="same"),
        nn.Conv2d(4, 6, 7),
        nn.Conv2d(4, 6, (3, 5), padding=(2, 1), bias=False),
        nn.Conv2d(4, 9, 5),
        nn.Conv2d(4, 6, 3, 1, 1, bias=False),
        nn.ConvTranspose2d(4, 6, 3, 2, 1, output_padding=1),
        nn.ConvTranspose2d(4, 6, 3, 2, 1, output_padding=1, bias=False),
        nn.ConvTranspose2d(4, 6, 4, 2, 1),
        nn.ConvTranspose2d(4, 6, 3, 2, groups=2, dilation=2),
        nn.ConvTranspose2d(4, 6, 3, 2, 1),
        nn.InstanceNorm2d(6, affine=True),
    ],
    ids=str,
)
def test_layers_of_any_form(narrow, layer):
    network = net(layer)
    for parameter in network.parameters():
        nn.init.normal_(parameter)
    x = torch.randn(2, 6 if isinstance(layer, nn.InstanceNorm2d) else 4, 9, 11)
    with torch.no_grad():
        plain = network(x)
        with faster_on_cpu(network):
            quick = network(x.contiguous(memory_format=torch.channels_last))
        assert torch.equal(network(x), plain)  # and all is as it was
    assert torch.allclose(quick, plain, rtol=0, atol=2e-5)
    assert all("forward" not in layer.__dict__ for layer in network.modules())


def test_a_translation_is_that_of_the_network_alone(narrow):
    model = registry.create("cyclegan", (3, 32, 32), width=4, num_blocks=2).eval()
    image = torch.rand(2, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        plain = model.a2b(image)
    made = model.translate(image)
    assert (made - plain).abs().max() < 0.01 / 127.5
    assert not torch.equal(made, plain)  # it was computed in another way
    model.double()
    with torch.no_grad():
        assert torch.equal(model.translate(image), model.a2b(image.double()).float())  # only float32 is


def test_fixed_statistics_stay_fixed(narrow):
    network = net(nn.Conv2d(4, 6, 3))
    x, other = torch.randn(1, 4, 8, 8), torch.randn(1, 4, 8, 8) + 3
    with torch.no_grad(), fixed_norms(network, lambda: network(x)):
        plain = network(other)
        with faster_on_cpu(network):
            assert torch.allclose(network(other), plain, atol=1e-5)
    assert not torch.allclose(plain, F.instance_norm(plain), atol=0.1)  # they are not those of this image


def test_an_enlargement_is_that_of_the_network_alone(narrow):
    model = registry.create("srgan", (3, 16, 16), width=4, num_blocks=2, discriminator_width=1)
    for name, values in [*model.named_parameters(), *model.named_buffers()]:
        if "norm" in name or values.dim() == 1:  # batch norm and PReLU away from where they begin
            nn.init.uniform_(values, 0.2, 1.0)
    model.eval()
    image = torch.rand(2, 3, 10, 13) * 2 - 1
    with torch.no_grad():
        plain = model.enlarged(image).clamp(-1, 1)
    made = model.upscale(image)
    assert plain.abs().mean() < 0.9  # little of it is clipped
    assert (made - plain).abs().max() < 0.01 / 127.5
    assert not torch.equal(made, plain)  # it was computed in another way
    assert all("forward" not in layer.__dict__ for layer in model.modules())


def test_batch_norm_is_folded_only_where_its_statistics_are_those_of_training():
    network = nn.Sequential(nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6), nn.PReLU(6), nn.PReLU())
    with faster_on_cpu(network.train()):
        assert not any("forward" in layer.__dict__ for layer in network)
    with faster_on_cpu(network.eval()):
        assert ["forward" in layer.__dict__ for layer in network] == [True, True, False, False]


def test_a_search_for_codes_inside_has_its_gradients():
    """Layers that work in place would break them."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(4, 6, 3), nn.PReLU(), nn.Conv2d(6, 3, 9)).eval()
    nn.init.constant_(network[1].weight, -0.3)
    x = torch.rand(1, 4, 16, 16, requires_grad=True)
    (wanted,) = torch.autograd.grad(network(x).square().sum(), x)
    with torch.no_grad(), faster_on_cpu(network):
        assert torch.equal(network[1](torch.full((1,), -1.0)), torch.full((1,), 0.3))
        with torch.enable_grad():
            (made,) = torch.autograd.grad(network(x).square().sum(), x)
    assert torch.equal(made, wanted)


def test_a_wide_convolution_takes_the_shorter_way_and_a_narrow_one_does_not(monkeypatch):
    calls = []
    monkeypatch.setattr(
        inference, "transformed", lambda weight: calls.append(weight.shape[:2]) or torch.zeros(36, 128, 128)
    )
    with torch.no_grad():
        for channels in (128, 64):
            inference.convolution(nn.Conv2d(channels, channels, 3, padding=1))(torch.zeros(1, channels, 4, 4))
    assert calls == [(128, 128)]
