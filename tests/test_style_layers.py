"""Layers that ProGAN and the StyleGANs share, against the authors' numbers and in closed form."""

import copy
import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import reference
from ganarium.layers.equalized import EqualizedConv2d, EqualizedLinear
from ganarium.layers.minibatch_std import minibatch_std
from ganarium.layers.pixel_norm import PixelNorm, pixel_norm
from ganarium.layers.resampling import ONE_THREE_THREE_ONE, ONE_TWO_ONE, Blur, Downsample, Upsample


@pytest.mark.parametrize("width", [8, 64, 256])
def test_an_equalised_layer_keeps_the_size_of_its_input_at_every_width(width):
    torch.manual_seed(0)
    x = torch.randn(4, width, 8, 8)
    made = EqualizedConv2d(width, 64, gain=1.0)(x)[:, :, 1:-1, 1:-1]
    assert made.var().item() == pytest.approx(1.0, rel=0.2)
    assert EqualizedConv2d(width, 64)(x)[:, :, 1:-1, 1:-1].var().item() == pytest.approx(2.0, rel=0.2)
    assert EqualizedLinear(width, 256, gain=1.0)(torch.randn(64, width)).var().item() == pytest.approx(1.0, rel=0.2)


def test_the_stored_weight_is_scaled_and_the_bias_is_not():
    """The mistake: the whole output times the constant, so that biases learn more slowly than the authors'."""
    torch.manual_seed(0)
    layer, x = EqualizedConv2d(2, 3), torch.randn(1, 2, 4, 4)
    plain = layer(x)
    with torch.no_grad():
        layer.bias.fill_(1.0)
    torch.testing.assert_close(layer(x), plain + 1)
    with torch.no_grad():
        layer.bias.zero_()
        layer.weight.mul_(3.0)
    torch.testing.assert_close(layer(x), 3 * plain)
    assert layer.scale == pytest.approx(math.sqrt(2) / math.sqrt(18))


def test_a_multiplier_of_the_learning_rate_changes_the_speed_and_not_the_start():
    torch.manual_seed(0)
    plain, slow = EqualizedLinear(4, 2, bias_start=1.0), EqualizedLinear(4, 2, lr_multiplier=0.01, bias_start=1.0)
    with torch.no_grad():
        slow.weight.copy_(plain.weight / 0.01)
    x = torch.randn(3, 4)
    torch.testing.assert_close(slow(x), plain(x))
    changes = []
    for layer in (plain, slow):  # a step of the same size in what is stored, as Adam makes it
        before = layer(x)
        with torch.no_grad():
            layer.weight.add_(1e-2)
        changes.append((layer(x) - before).norm().item())
    assert changes[0] == pytest.approx(100 * changes[1], rel=1e-2)


def test_pixel_norm_gives_every_pixel_a_mean_square_of_1():
    torch.manual_seed(0)
    x = 7 * torch.randn(2, 5, 3, 3)
    torch.testing.assert_close(pixel_norm(x).square().mean(1), torch.ones(2, 3, 3))
    torch.testing.assert_close(PixelNorm()(x), pixel_norm(3 * x))
    operators = reference.load("progan")["operators"]
    row = torch.tensor([[1, -2, 3, 0.5]], dtype=torch.float64)
    reference.hold(pixel_norm(row), operators["pixel_norm of (1, -2, 3, 0.5), eps 1e-8"])


def test_minibatch_std_gives_the_authors_numbers():
    record = reference.load("progan")["operators"]["minibatch_std"]
    row = record["input"]
    x = reference.values(row["shape"], row["k"], row["offset"], row["scale"])
    for size, name in (
        (4, "groups of 4, one number per sample"),
        (8, "groups of 8"),
        (16, "groups of 16 (all 8)"),
        (2, "groups of 2"),
    ):
        made = minibatch_std(x, size)
        assert torch.equal(made[:, :3], x)
        assert made[:, 3].std((1, 2)).max() == 0
        reference.hold(made[:, 3, 0, 0], record[name])
    wrong = record[next(name for name in record if name.startswith("for contrast"))]["values"]
    assert minibatch_std(x, 4)[:, 3, 0, 0].tolist() != pytest.approx(wrong, rel=1e-2)


def test_equal_images_have_a_std_of_a_ten_thousandth_and_finite_gradients():
    x = torch.ones(4, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    made = minibatch_std(x, 4)
    torch.testing.assert_close(made[:, 2], torch.full((4, 3, 3), 1e-4, dtype=torch.float64))
    made.sum().backward()
    assert x.grad.isfinite().all()


def test_a_batch_that_groups_do_not_divide_has_smaller_groups():
    torch.manual_seed(0)
    x = torch.randn(6, 2, 2, 2)
    assert torch.equal(minibatch_std(x, 4), minibatch_std(x, 3))
    assert minibatch_std(torch.randn(5, 2, 2, 2), 4)[:, 2].unique().numel() == 1  # groups of 1: nothing differs


def test_filters_keep_the_mean_and_act_on_each_channel_alone():
    torch.manual_seed(0)
    x = torch.randn(2, 3, 8, 8)
    flat = torch.ones(1, 1, 8, 8)
    for layer, sides in (
        (Blur(ONE_TWO_ONE), 8),
        (Upsample(ONE_THREE_THREE_ONE), 16),
        (Downsample(ONE_THREE_THREE_ONE), 4),
    ):
        made = layer(x)
        assert made.shape == (2, 3, sides, sides)
        inner = layer(flat)[:, :, 2:-2, 2:-2] if sides > 4 else layer(flat)[:, :, 1:-1, 1:-1]
        torch.testing.assert_close(inner, torch.ones_like(inner))
        changed = x.clone()
        changed[:, 1] += 1
        assert torch.equal(layer(changed)[:, ::2], made[:, ::2])
        assert not layer.state_dict()


def test_filters_in_closed_form():
    dot = torch.zeros(1, 1, 4, 4)
    dot[0, 0, 1, 1] = 1
    blurred = Blur(ONE_TWO_ONE)(dot)[0, 0]
    torch.testing.assert_close(blurred[0], torch.tensor([1.0, 2.0, 1.0, 0.0]) / 16)
    torch.testing.assert_close(Upsample(ONE_THREE_THREE_ONE)(dot)[0, 0, 2], torch.tensor([0, 3, 9, 9, 3, 0, 0, 0]) / 16)
    assert Downsample(ONE_THREE_THREE_ONE)(dot)[0, 0, 0, 0].item() == pytest.approx(9 / 64)
    twice = Upsample((1.0, 1.0))(torch.arange(4.0).view(1, 1, 2, 2))
    assert torch.equal(twice, torch.arange(4.0).view(1, 1, 2, 2).repeat_interleave(2, 2).repeat_interleave(2, 3))


def test_filters_give_the_authors_numbers():
    numbers = reference.load("stylegan")
    x = (torch.arange(25, dtype=torch.float64) ** 1.5).view(1, 1, 5, 5)
    reference.hold(Blur(ONE_TWO_ONE).double()(x), numbers["operators"]["blur on n^1.5, n = 0 .. 24 as 5x5"])
    pieces = numbers["stylegan2_ada_pieces"]
    x = (torch.arange(16, dtype=torch.float64) ** 1.5).view(1, 1, 4, 4)
    for layer, name in ((Upsample, "upsample2d"), (Downsample, "downsample2d")):
        made = layer(ONE_THREE_THREE_ONE).double()(x)
        reference.hold(made, pieces[f"{name}, filter 1-3-3-1, of n^1.5 as 4x4"])
    reference.hold(Blur(ONE_THREE_THREE_ONE).double()(x), pieces["filter2d, 1-3-3-1"])


FILTERS = (Blur(ONE_TWO_ONE), Blur(ONE_THREE_THREE_ONE), Upsample(ONE_THREE_THREE_ONE), Downsample(ONE_THREE_THREE_ONE))


@pytest.mark.parametrize("sides", [(6, 8), (7, 5)])
@pytest.mark.parametrize("layer", FILTERS, ids=lambda layer: f"{type(layer).__name__}{layer.kernel.shape[2]}")
def test_gradients_of_filters_are_right_twice(layer, sides):
    torch.manual_seed(0)
    layer = copy.deepcopy(layer).double()
    x = torch.randn(2, 3, *sides, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, x)
    assert torch.autograd.gradgradcheck(lambda x: layer(x) ** 3, x)
    with torch.no_grad():
        plain = layer(x)
    assert torch.equal(layer(x), plain)
    ways = (torch.autograd.grad(layer(x).pow(2).sum(), x, create_graph=again)[0] for again in (False, True))
    torch.testing.assert_close(*ways, rtol=1e-12, atol=1e-14)


def operations(width):
    """How many a penalty on the gradient of a filtered map takes, forward and backward."""
    count = 0

    class Counting(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, arguments=(), named=None):
            nonlocal count
            count += 1
            return function(*arguments, **(named or {}))

    x = torch.randn(1, width, 8, 8, requires_grad=True)
    weight = torch.randn(width, 1, 1, requires_grad=True)
    with Counting():
        score = Downsample(ONE_THREE_THREE_ONE)(Blur(ONE_TWO_ONE)(x * weight) ** 2).sum()
        (gradient,) = torch.autograd.grad(score, x, create_graph=True)
        gradient.square().sum().backward()
    return count


def test_a_penalty_does_not_go_through_the_channels_one_by_one():
    assert operations(64) == operations(2)
