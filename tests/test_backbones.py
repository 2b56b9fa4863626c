"""The pairs of networks that every objective can run on: shapes, norms, and what a penalised critic may not have."""

import itertools

import pytest
import torch
from torch import nn

import ganarium
from ganarium.layers.normalization import check_penalised
from ganarium.networks import resnet
from ganarium.networks.backbones import backbone

KINDS = ("mlp", "dcgan", "resnet")
NORMS = ("none", "batch", "layer", "spectral")


@pytest.mark.parametrize(("kind", "norm"), [*itertools.product(KINDS, NORMS)])
@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 20, 13)])
def test_shapes_and_gradients(kind, norm, shape):
    torch.manual_seed(0)
    G, D = backbone("a model", kind, shape, 5, 4, generator_norm=True, norm=norm, dropout=0.1)
    z = torch.randn(6, 5)
    made = G(z)
    assert made.shape == (6, *shape)
    assert made.abs().max() <= 1
    score = D(made)
    assert score.shape == (6,)
    assert D.features(made).shape[0] == 6
    assert D.features(made).dim() == 2
    score.sum().backward()
    for name, parameter in [*G.named_parameters(), *D.named_parameters()]:
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


@pytest.mark.parametrize("network", ["auto", "mlp"])
def test_points(network):
    G, D = backbone("a model", network, (2,), 2, generator_norm=False, norm="none")
    assert G(torch.randn(3, 2)).shape == (3, 2)
    assert D(torch.randn(3, 2)).shape == (3,)
    hidden = [layer.out_features for layer in D.modules() if isinstance(layer, nn.Linear)]
    assert hidden == [128, 128, 128, 1]


def test_points_have_no_convolutions():
    with pytest.raises(ganarium.UserError, match="no resnet for 2-D points: leave --network away"):
        backbone("wgan", "resnet", (2,), 2, generator_norm=False, norm="none")


@pytest.mark.parametrize("kind", KINDS)
def test_only_batch_norm_mixes_samples(kind):
    """The gradient of one score with respect to the other samples is zero, but under batch norm."""
    for norm in NORMS:
        torch.manual_seed(0)
        _, D = backbone("a model", kind, (1, 16, 16), 5, 4, generator_norm=True, norm=norm)
        x = torch.randn(4, 1, 16, 16, requires_grad=True)
        (gradient,) = torch.autograd.grad(D.train()(x)[0], x)
        mixed = bool(gradient[1:].any())
        assert mixed == (norm == "batch"), norm


@pytest.mark.parametrize("kind", KINDS)
def test_spectral_norm_holds_the_largest_singular_value_at_one(kind):
    torch.manual_seed(0)
    _, D = backbone("a model", kind, (1, 16, 16), 5, 4, generator_norm=True, norm="spectral")
    with torch.no_grad():
        for _ in range(50):  # one power iteration each
            D(torch.randn(4, 1, 16, 16))
    layers = [layer for layer in D.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    assert layers
    for layer in layers:
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, abs=0.02)


def test_second_derivatives_of_the_residual_critic_are_those_of_plain_layers():
    """A penalty through our layers equals the one through torch's own, with its gradient."""
    torch.manual_seed(0)
    critic = resnet.Discriminator((1, 16, 16), 4).double()
    x = torch.randn(3, 1, 16, 16, dtype=torch.float64)

    def penalty_gradients():
        place = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(critic(place).sum(), place, create_graph=True)
        penalty = (gradient.flatten(1).norm(dim=1) - 1).square().mean()
        return torch.autograd.grad(penalty, list(critic.parameters())[:-1], allow_unused=True)

    ours = penalty_gradients()
    for module in critic.modules():
        for child, layer in module.named_children():
            if type(layer).__name__ == "LeakyReLU":
                setattr(module, child, nn.ReLU())
            elif isinstance(layer, nn.Conv2d):
                layer.__class__ = nn.Conv2d
    for own, plain in zip(ours, penalty_gradients(), strict=True):
        if plain is None or own is None:  # biases: the gradient does not depend on them
            assert own is None or not own.any()
            continue
        torch.testing.assert_close(own, plain, rtol=1e-9, atol=1e-12)


def test_a_residual_network_halves_to_about_eight_pixels_and_keeps_it():
    critic = resnet.Discriminator((3, 32, 32), 8)
    sizes = []
    for block in critic.layers[:-1]:
        block.register_forward_hook(lambda _module, _inputs, output: sizes.append(tuple(output.shape[2:])))
    critic(torch.randn(2, 3, 32, 32))
    assert sizes == [(16, 16), (8, 8), (8, 8), (8, 8)]  # as published for CIFAR-10


def test_batch_norm_in_a_penalised_critic_is_refused():
    with pytest.raises(ganarium.UserError, match="depend on the whole batch: use --norm layer or none"):
        check_penalised("batch", "wgan_div")
    for norm in ("none", "layer", "spectral"):
        check_penalised(norm, "wgan_div")
