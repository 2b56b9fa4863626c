"""SAGAN against its paper and the released attention: what attention does, where it stands, the losses."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium import registry
from ganarium.data.dataset import Images, LabelledImages
from ganarium.errors import UserError
from ganarium.layers.attention import SelfAttention
from ganarium.networks.sngan import UpBlock
from ganarium.testing import small_trainer


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def attention(channels: int = 16) -> SelfAttention:
    """With a strength of 1, and norms that stand still."""
    torch.manual_seed(0)
    layer = SelfAttention(channels).eval()
    nn.init.ones_(layer.strength)
    return layer


# ---- attention ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("channels", "weights"), [(64, 5_120), (128, 20_480), (256, 81_920)])
def test_published_numbers_of_weights(channels: int, weights: int) -> None:
    assert count(SelfAttention(channels)) == weights + 1  # and the strength


def test_at_the_start_it_changes_nothing_bit_for_bit_and_only_its_strength_has_a_gradient() -> None:
    torch.manual_seed(0)
    layer, x = SelfAttention(16), torch.randn(2, 16, 6, 6)
    made = layer(x)
    assert torch.equal(made, x)
    (made * torch.randn_like(made)).sum().backward()
    assert layer.strength.grad is not None
    assert layer.strength.grad.abs() > 0
    others = [parameter.grad for name, parameter in layer.named_parameters() if name != "strength"]
    assert all(gradient is not None and not gradient.any() for gradient in others)


def test_every_pixel_shares_out_one_over_the_pooled_keys() -> None:
    layer, x = attention(), torch.randn(2, 16, 6, 8)
    weights = layer.weights(x)
    assert weights.shape == (2, 48, 12)
    assert torch.allclose(weights.sum(2), torch.ones(2, 48))
    # the softmax is over keys: over pixels columns would sum to one
    assert not torch.allclose(weights.sum(1), torch.full((2, 12), 4.0), atol=1e-3)
    # and its scores are not divided by the root of the channels
    scores = layer.query(x).flatten(2).transpose(1, 2) @ F.max_pool2d(layer.key(x), 2).flatten(2)
    assert torch.allclose(weights, scores.softmax(2))


def test_it_is_the_weighted_sum_of_the_pooled_values() -> None:
    layer, x = attention(), torch.randn(1, 16, 4, 4)
    weights, values = layer.weights(x), F.max_pool2d(layer.value(x), 2).flatten(2)
    gathered = torch.zeros(1, 8, 4, 4)
    for pixel in range(16):
        for key in range(4):
            gathered[0, :, pixel // 4, pixel % 4] += weights[0, pixel, key] * values[0, :, key]
    assert torch.allclose(layer(x), x + layer.output(gathered), atol=1e-6)


def test_it_reaches_over_the_whole_map_and_the_order_of_places_is_nothing_to_it() -> None:
    layer, x = attention(), torch.randn(1, 16, 8, 8)
    changed = x.clone()
    changed[:, :, 7, 7] += 3
    assert (layer(changed) - layer(x))[0, :, 0, 0].abs().max() > 1e-4
    # whole 2x2 places moved about: what is gathered moves with them
    moved = x.roll((2, 4), (2, 3))
    assert torch.allclose(layer(moved), layer(x).roll((2, 4), (2, 3)), atol=1e-5)


# ---- networks ----------------------------------------------------------------------------------------------


def test_attention_stands_where_maps_have_a_quarter_of_the_side() -> None:
    with torch.device("meta"):
        model = registry.create("sagan", (3, 128, 128), width=64)
    assert (model.generator.attention_before, model.discriminator.attention_behind) == (3, 2)
    assert model.generator.attention.query.in_channels == 256
    assert model.discriminator.attention.query.in_channels == 128
    model, seen = registry.create("sagan", (3, 64, 64), width=1, latent_dim=4), []
    for network in (model.generator, model.discriminator):
        network.attention.register_forward_hook(lambda _, given, __: seen.append(tuple(given[0].shape[2:])))
    model.discriminator(model.generator(torch.randn(2, 4)))
    assert seen == [(16, 16), (16, 16)]
    without = registry.create("sagan", (3, 64, 64), width=1, attention=False)
    assert not any(isinstance(layer, SelfAttention) for layer in without.modules())


def test_spectral_norm_is_on_every_layer_of_both() -> None:
    model = registry.create("sagan", (3, 32, 32), 4, width=2, latent_dim=4, conditional=True)
    weighted = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    assert all(hasattr(layer, "parametrizations") for layer in weighted)
    assert model.generator.project in weighted
    blocks = [layer for layer in model.modules() if isinstance(layer, UpBlock)]
    assert not any(hasattr(block.norms[0], "parametrizations") for block in blocks), "gains are free"


# ---- losses ------------------------------------------------------------------------------------------------


def test_terms_are_the_hinge_and_one_step_of_d_comes_before_one_of_g() -> None:
    model = small_trainer("sagan").model
    image = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 1, 16, 16).requires_grad_()
    seen: list[Tensor] = []
    weight, scores = nn.Parameter(torch.ones(())), iter([[3.0, -0.25, -2.0, 0.75], [2.0, 0.5]])
    model.generator.forward = lambda z: image[: len(z)]

    def judge(x: Tensor, label: Tensor | None) -> Tensor:
        seen.append(x)
        return torch.tensor(next(scores)) * weight + 0 * x.sum()

    model.discriminator.forward = judge
    (player, terms, watched), (other, adversarial) = model.step(iter([Images(torch.full((2, 1, 16, 16), 7.0))]))
    assert (player, other) == ("D", "G")
    assert terms["real"].item() == pytest.approx((0 + 1.25) / 2)
    assert terms["fake"].item() == pytest.approx((0 + 1.75) / 2)
    assert adversarial["adversarial"].item() == pytest.approx(-1.25)
    assert seen[0][:, 0, 0, 0].tolist() == [7, 7, 0, 1], "reals first, then fakes"
    assert (seen[0].requires_grad, seen[1].requires_grad) == (False, True)
    assert watched["fake"].tolist() == [-2.0, 0.75]


def test_labels_go_with_the_images_they_are_of() -> None:
    model = small_trainer("sagan", conditional=True).model
    told: dict[str, list[Tensor]] = {"G": [], "D": []}
    G, D = model.generator.forward, model.discriminator.forward
    model.generator.forward = lambda z, label: told["G"].append(label) or G(z, label)
    model.discriminator.forward = lambda x, label: told["D"].append(label) or D(x, label)
    label = torch.tensor([0, 0, 1, 3])
    for _ in model.step(iter([LabelledImages(torch.zeros(4, 1, 16, 16), label)])):
        pass
    assert torch.equal(told["D"][0], torch.cat([F.one_hot(label, 4), told["G"][0]]))
    assert torch.equal(told["D"][1], told["G"][1])


def test_d_learns_four_times_as_fast_as_g() -> None:
    players = registry.create("sagan", (1, 16, 16), width=2).players
    assert (players["D"].optimizer.lr, players["G"].optimizer.lr) == (4e-4, 1e-4)
    assert players["D"].optimizer.betas == players["G"].optimizer.betas == (0.0, 0.9)


def test_what_it_refuses() -> None:
    for words, options, classes, shape in (
        ("learns from the labels", {"conditional": True}, None, (3, 32, 32)),
        ("2-D points", {}, None, (2,)),
        ("discriminator_lr must be above 0", {"discriminator_lr": 0.0}, None, (3, 32, 32)),
    ):
        with pytest.raises(UserError, match=words):
            registry.create("sagan", shape, classes, **options)
