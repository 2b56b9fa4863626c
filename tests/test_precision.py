"""What half precision must not round, with values by hand: gradient norms, penalties, minibatch discrimination; and
losses at scores far from 0."""

from itertools import repeat

import pytest
import torch
from torch import Tensor, nn

from ganarium.data.dataset import Images
from ganarium.layers.minibatch_discrimination import MinibatchDiscrimination
from ganarium.losses import as_fake, as_real, gradient_norm
from synthetic import trainer

SLOPE = 3.0


class Slope(nn.Module):
    """A critic of points whose gradient is 3 long everywhere: of 0.3 and 2.985, which half precision cannot hold."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([[0.3, (SLOPE**2 - 0.09) ** 0.5]]))

    def features(self, x: Tensor) -> Tensor:
        return x

    def head(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.weight).squeeze(1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


def first_penalty(name: str, critic: str, **options: object) -> float:
    """The penalty of D's first update under bfloat16 autocast, on points."""
    model = trainer(name, (2,), **options).model
    setattr(model, critic, Slope())
    batches = repeat(Images(torch.randn(16, 2, generator=torch.Generator().manual_seed(0))))
    with torch.autocast("cpu", torch.bfloat16):
        _, terms, *_ = next(iter(model.step(batches)))
    return terms["penalty"].item()


def test_gradient_norms_are_exact_under_autocast():
    x = torch.randn(8, 2, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        assert Slope()(x).dtype == torch.bfloat16, "else nothing here is tested"
        norm = gradient_norm(Slope(), x)
    assert norm.dtype == torch.float32
    torch.testing.assert_close(norm, torch.full((8,), SLOPE), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "critic", "options"),
    [
        ("wgan_gp", "critic", {"penalty_weight": 1.0}),
        ("ct_gan", "critic", {"penalty_weight": 1.0}),
        ("dragan", "discriminator", {"penalty_weight": 1.0, "slope": 1.0}),
    ],
)
def test_penalties_are_exact_under_autocast(name, critic, options):
    """(3 - 1)^2 = 4."""
    assert first_penalty(name, critic, **options) == pytest.approx(4.0, abs=1e-4)


def test_the_powers_of_wgan_div_are_exact_under_autocast():
    """3^2 = 9 and 2 * 3^6 = 1458."""
    assert first_penalty("wgan_div", "critic", penalty_weight=1.0, penalty_power=2.0) == pytest.approx(9.0, rel=1e-5)
    assert first_penalty("wgan_div", "critic") == pytest.approx(1458.0, rel=1e-4)


def test_minibatch_discrimination_is_the_same_under_autocast():
    generator = torch.Generator().manual_seed(0)
    layer, x = MinibatchDiscrimination(6, 5, 3), torch.randn(8, 6, generator=generator)
    exact = layer(x)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(layer(x), exact, rtol=0, atol=1e-6)


def test_every_row_gets_a_gradient_through_minibatch_discrimination():
    x = torch.randn(8, 6, generator=torch.Generator().manual_seed(0)).requires_grad_()
    near = MinibatchDiscrimination(6, 5, 3)(x)[:, 6:]
    (gradient,) = torch.autograd.grad(near[0].sum(), x)
    assert gradient.abs().sum(1).gt(0).all(), "the nearness of the first row depends on every other"


@pytest.mark.parametrize("loss", [as_real, as_fake])
def test_losses_and_their_gradients_are_finite_far_from_0(loss):
    for score in (-200.0, 200.0):
        at = torch.tensor([score], requires_grad=True)
        value = loss(at)
        (slope,) = torch.autograd.grad(value, at)
        wrong = score < 0 if loss is as_real else score > 0  # where D is wrong: the loss is the score, its slope 1
        assert value.item() == pytest.approx(200.0 if wrong else 0.0, abs=1e-6)
        assert slope.abs().item() == pytest.approx(1.0 if wrong else 0.0, abs=1e-6)
