"""What half precision must not round, with values by hand: gradient norms, penalties, minibatch discrimination; and
losses at scores far from 0."""

from itertools import repeat

import pytest
import torch
from torch import Tensor, nn

from ganarium.data.dataset import Images
from ganarium.layers.equalized import EqualizedConv2d, EqualizedLinear
from ganarium.layers.minibatch_discrimination import MinibatchDiscrimination
from ganarium.layers.weight_norm import WeightNormed
from ganarium.losses import as_fake, as_real, gradient_norm
from synthetic import ALL, trainer

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


# where a model's scores, or its logits, come from, unless it is the last layer of a D, a critic or a classifier
SCORES = {
    "acgan": ("source", "classes"),
    "cls_gan": ("discriminator.score", "discriminator.embedding"),
    "fastgan": ("discriminator.head", "discriminator.small_head"),
    "infogan": ("head", "Q"),
    "projected_gan": tuple(f"discriminators.heads.{place}" for place in range(4)),
    "sagan": ("discriminator.score",),
}
JUDGES = ("discriminator", "category_discriminator", "critic", "classifier", "D_", "network", "quality")
LAYERS = (nn.Linear, nn.modules.conv._ConvNd, WeightNormed, EqualizedLinear, EqualizedConv2d)


def scoring(name: str, model: nn.Module) -> list[nn.Module]:
    """The modules whose outputs are scores."""
    if name in SCORES:
        return [model.get_submodule(path) for path in SCORES[name]]
    judges = [part for key, part in model.named_children() if key.startswith(JUDGES)]
    layers = [[layer for layer in judge.modules() if isinstance(layer, LAYERS)] for judge in judges]
    return [each[-1] for each in layers if each]


@pytest.mark.parametrize("at", [200.0, -200.0, "mixed"])
@pytest.mark.parametrize("name", ALL)
def test_losses_of_every_model_are_finite_far_from_0(name, at):
    """All scores are 200 or -200, or one after the other, in float32; gradients flow on as usual. Of several
    logits, or patches, every second one has the other sign. Known mistake: the logarithm of a probability that has
    become 0, or exp of a score."""
    model = trainer(name, (1, 16, 16)).model
    model.iteration = max(model.stages, default=0)
    count = 0

    def far(module: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> Tensor:
        nonlocal count
        count += 1
        rows = 1 - 2 * (torch.arange(len(output)) % 2) if at == "mixed" else torch.ones(len(output))
        columns = 1 - 2 * (torch.arange(output[0].numel()) % 2)  # of logits and of patches, every second one
        score = (200.0 if at == "mixed" else at) * (rows[:, None] * columns).view_as(output)
        return output + (score - output).detach()

    for module in scoring(name, model):
        module.register_forward_hook(far)
    for player, terms, *_ in model.step(trainer(name, (1, 16, 16)).batches):
        assert all(term.isfinite() for term in terms.values()), (player, terms)
        moved = model.players[player].parameters()
        gradients = torch.autograd.grad(sum(terms.values()), moved, allow_unused=True)
        assert all(gradient.isfinite().all() for gradient in gradients if gradient is not None), player
    assert count, f"SCORES does not say where the scores of {name} come from"
