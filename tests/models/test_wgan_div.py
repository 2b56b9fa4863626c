"""WGAN-div against its paper: the penalty in closed form and in its scaling, the linear critic whose slope no WGAN-GP
has, where the penalty is taken, the released numbers, the known mistakes."""

import pytest
import torch
from torch import Tensor, nn

import ganarium
from ganarium import registry
from ganarium.data.batches import Batches
from ganarium.data.dataset import Images
from ganarium.data.sources.points import ring
from ganarium.losses import gradient_norm
from ganarium.trainer import Trainer
from synthetic import trainer


class Linear(nn.Module):
    """A critic w.x over all axes of a sample."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, x: Tensor) -> Tensor:
        return (x * self.weight).flatten(1).sum(1)


class Cubic(nn.Module):
    """A critic sum x^3, whose gradient 3 x^2 tells where it was taken."""

    def forward(self, x: Tensor) -> Tensor:
        return x.pow(3).flatten(1).sum(1)


def linear_of_norm(norm: float, shape=(1, 16, 16), dtype=torch.float32) -> Linear:
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(dtype)
    return Linear(weight * norm / weight.norm())


def penalty_of(critic: nn.Module, **options) -> Tensor:
    made = trainer("wgan_div", batch_size=4, precision="fp64", **options)
    made.model.critic = critic.double()
    return next(made.model.step(made.batches))[1]["penalty"]


# ---- penalty -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", [0.25, 1.0, 3.0])
@pytest.mark.parametrize("place", ["between", "real", "fake", "both"])
def test_penalty_of_a_linear_critic(norm, place):
    """k |w|^p wherever it is taken: the norm is over all axes of a sample."""
    assert penalty_of(linear_of_norm(norm), penalty_at=place).item() == pytest.approx(2 * norm**6, rel=1e-6)
    actual = penalty_of(linear_of_norm(norm), penalty_at=place, penalty_weight=10.0, penalty_power=3.0)
    assert actual.item() == pytest.approx(10 * norm**3, rel=1e-6)


def test_control_the_power_of_the_square():
    """Known mistake: (sum of squares)^p in the place of (sum of squares)^(p / 2)."""
    critic = linear_of_norm(3.0)
    mistaken = 2 * critic.weight.square().sum().pow(6).item()
    assert mistaken != pytest.approx(2 * 3.0**6, rel=0.1)


@pytest.mark.parametrize("times", [0.5, 2.0, 3.0])
def test_penalty_scales_with_the_sixth_power(times):
    torch.manual_seed(0)
    critic = registry.create("wgan_div", (1, 16, 16), width=4).critic
    made = trainer("wgan_div", batch_size=4, precision="fp64")
    x = made.batches.draw(4).image
    penalty = gradient_norm(critic.double(), x).pow(6).mean()
    scaled = gradient_norm(lambda x: times * critic(x), x).pow(6).mean()
    assert (scaled / penalty).item() == pytest.approx(times**6, rel=1e-9)
    with_target = (gradient_norm(lambda x: times * critic(x), x) - 1).pow(6).mean()  # control: WGAN-GP's "- 1" left in
    assert (with_target / (gradient_norm(critic, x) - 1).pow(6).mean()).item() != pytest.approx(times**6, rel=0.1)


@pytest.mark.parametrize(("name", "expected"), [("wgan_div", 0.0), ("wgan_gp", 10.0)])
def test_a_critic_without_gradient_costs_nothing(name, expected):
    """And WGAN-GP's costs lambda. The derivative of the norm at 0 is finite, for any p above 1."""
    made = trainer(name, batch_size=4, **({"penalty_power": 1.5} if name == "wgan_div" else {}))
    nn.init.zeros_(made.model.critic.score.weight)
    _, terms, _ = next(made.model.step(made.batches))
    assert terms["penalty"].item() == expected
    assert terms["wasserstein"].item() == 0
    sum(terms.values()).backward()
    assert all(p.grad.isfinite().all() for p in made.model.critic.parameters() if p.grad is not None)


def test_penalty_has_a_gradient_for_the_critic():
    """k p |w|^(p - 2) w. Known mistake: without `create_graph` the penalty is a constant."""
    critic = linear_of_norm(1.5)
    (actual,) = torch.autograd.grad(penalty_of(critic), critic.weight)
    assert torch.allclose(actual, 12 * 1.5**4 * critic.weight, rtol=1e-6)


def test_penalty_never_touches_the_generator():
    """Known mistake: fakes that keep the generator's graph."""
    for place in ("between", "real", "fake", "both"):
        made = trainer("wgan_div", batch_size=4, penalty_at=place)
        sum(next(made.model.step(made.batches))[1].values()).backward()
        assert all(p.grad is None for p in made.model.generator.parameters())


# ---- where it is taken ---------------------------------------------------------------------------------------


def test_places():
    """With reals 1 and fakes 0: one e for each sample on the line, and both ends with half the weight each."""
    model, n = registry.create("wgan_div", (1, 16, 16), width=4), 500
    real, fake = torch.ones(n, 1, 16, 16), torch.zeros(n, 1, 16, 16)
    e = model.places(real, fake).flatten(1)
    assert (e == e[:, :1]).all()
    assert len(e[:, 0].unique()) > 0.99 * n
    assert 0 <= e.min() < 0.02 < 0.98 < e.max() <= 1
    for place, expected in (("real", real), ("fake", fake), ("both", torch.cat([real, fake]))):
        model = registry.create("wgan_div", (1, 16, 16), width=4, penalty_at=place)
        assert torch.equal(model.places(real, fake), expected)


def test_places_between_lie_between_one_real_and_its_fake():
    """Reals of 1, 2 ... and fakes 10 above: all within their own pair, and half-way on average."""
    model, real = registry.create("wgan_div", (2,)), torch.arange(400.0)[:, None].expand(-1, 2)
    share = (model.places(real, real + 10) - real) / 10
    assert ((share >= 0) & (share <= 1)).all()
    assert share.mean().item() == pytest.approx(0.5, abs=0.05)
    assert share.std().item() == pytest.approx(12**-0.5, abs=0.03)


def test_penalty_at_both_is_the_mean_of_both():
    values = {}
    for place in ("real", "fake", "both"):
        model = registry.create("wgan_div", (2,), penalty_at=place)
        model.critic, model.generate = Cubic(), lambda n: torch.full((n, 2), 0.5)
        values[place] = next(model.step(iter([Images(torch.full((3, 2), 0.7))])))[1]["penalty"].item()
    assert values["real"] == pytest.approx(2 * (3 * 0.7**2 * 2**0.5) ** 6, rel=1e-5)
    assert values["fake"] == pytest.approx(2 * (3 * 0.5**2 * 2**0.5) ** 6, rel=1e-5)
    assert values["both"] == pytest.approx((values["real"] + values["fake"]) / 2, rel=1e-5)


# ---- losses --------------------------------------------------------------------------------------------------


def slope(name: str, distance: float, **options) -> float:
    """Reals at 0, fakes at `distance`: the slope of a linear critic trained by the terms of a model."""
    made = trainer(name, (2,), batch_size=8, **options)
    model, critic = made.model, Linear(torch.tensor([-0.9, 0.1]))
    made.batches.images.zero_()
    model.critic, model.generate = critic, lambda n: torch.tensor([[distance, 0.0]]).expand(n, 2)
    rule = torch.optim.SGD(critic.parameters(), lr=0.02)
    for _ in range(400):
        _, terms, _ = next(model.step(made.batches))
        rule.zero_grad()
        sum(terms.values()).backward()
        rule.step()
    assert critic.weight[1].item() == pytest.approx(0, abs=0.02)
    return -critic.weight[0].item()


@pytest.mark.parametrize(("distance", "expected"), [(1.0, 0.6084), (2.0, 0.6988)])
def test_slope_of_a_linear_critic(distance, expected):
    """-s L + k s^p is least at s = (L / (k p))^(1 / (p - 1))."""
    actual = slope("wgan_div", distance)
    assert actual == pytest.approx(expected, rel=0.01)
    assert actual == pytest.approx((distance / 12) ** 0.2, rel=0.001)


def test_slope_with_the_constant_of_the_released_file():
    assert slope("wgan_div", 1.0, penalty_weight=10.0) == pytest.approx((1 / 60) ** 0.2, rel=0.01)


@pytest.mark.parametrize(("distance", "expected"), [(1.0, 1.05), (2.0, 1.10)])
def test_control_wgan_gp_on_the_same_problem(distance, expected):
    """p = 2 with "- 1" left in: the two cannot be taken for each other."""
    actual = slope("wgan_gp", distance, penalty_weight=10.0)
    assert actual == pytest.approx(expected, rel=0.01)
    assert actual != pytest.approx((distance / 12) ** 0.2, rel=0.3)


def test_critic_is_to_be_high_on_reals():
    made = trainer("wgan_div", (2,), batch_size=8)
    made.batches.images.fill_(2.0)
    made.model.critic, made.model.generate = Linear(torch.tensor([1.0, 0.0])), lambda n: torch.ones(n, 2)
    *critic, (_, last) = made.model.step(made.batches)
    assert critic[0][1]["wasserstein"].item() == 1 - 2
    assert last["wasserstein"].item() == -1


def test_adding_a_constant_to_every_score():
    """The critic's loss does not change, and G's moves by it: why the last bias never moves."""
    values = []
    for shift in (0.0, 7.0):
        made = trainer("wgan_div", batch_size=4, num_critic_steps=1)
        made.model.critic.score.bias.data += shift
        (_, critic, _), (_, g) = made.model.step(made.batches)
        values.append([critic["wasserstein"].item(), critic["penalty"].item(), g["wasserstein"].item()])
        critic["wasserstein"].backward()
        assert made.model.critic.score.bias.grad == 0
    assert values[1] == pytest.approx([*values[0][:2], values[0][2] - 7], abs=1e-5)


def test_four_updates_of_the_critic_for_one_of_g():
    """Each on fresh data and noise. Known mistake: G on the critic's noise."""
    made = trainer("wgan_div", batch_size=4)
    model, drawn = made.model, []
    latent = model.latent
    model.latent = lambda n: drawn.append(latent(n)) or drawn[-1]
    assert [item[0] for item in model.step(made.batches)] == ["D"] * 4 + ["G"]
    assert made.batches.drawn == 16
    assert len({tuple(z[0].tolist()) for z in drawn}) == 5


def norm_after_training(name: str, **options) -> float:
    """The mean norm of the critic's gradient between reals and fakes, after 60 iterations on the ring."""
    torch.manual_seed(0)
    model = registry.create(name, (2,), width=64, lr=1e-3, beta1=0.5, num_critic_steps=4, **options)
    batches = Batches(ring()[0], Images, 128)
    for _ in Trainer(model, batches, 60):
        pass
    real, fake, e = batches.draw(2000).image, model.generate(2000), torch.rand(2000, 1)
    return gradient_norm(model.critic, e * real + (1 - e) * fake).mean().item()


def test_gradients_settle_well_below_one():
    """Where WGAN-GP holds them at 1. About 2 s."""
    assert norm_after_training("wgan_div") < 0.7
    assert norm_after_training("wgan_gp", penalty_weight=10.0) > 0.85


# ---- networks and numbers ------------------------------------------------------------------------------------


def test_numbers_of_the_released_file():
    made = trainer("wgan_div")
    for moved in made.players.values():
        (group,) = moved.optimizer.param_groups
        assert isinstance(moved.optimizer, torch.optim.Adam)
        assert (group["lr"], group["betas"]) == (2e-4, (0.0, 0.9))
    config = made.model.config
    assert (config.penalty_weight, config.penalty_power, config.num_critic_steps) == (2, 6, 4)
    assert made.model.batch_size == 64
    z = made.model.latent(4000)
    assert z.shape == (4000, 128)
    assert (z.mean().item(), z.std().item()) == pytest.approx((0, 1), abs=0.01)


def test_points():
    model = registry.create("wgan_div", (2,))
    dense = [m.out_features for m in model.critic.modules() if isinstance(m, nn.Linear)]
    assert (model.batch_size, model.prior.dim, dense) == (256, 2, [128, 128, 128, 1])
    group = trainer("wgan_div", (2,)).players["D"].optimizer.param_groups[0]
    assert (group["lr"], group["betas"]) == (1e-3, (0.5, 0.9))


def test_layer_norm_in_the_critic_and_batch_norm_in_g():
    model = registry.create("wgan_div", (3, 32, 32), width=4)
    kinds = [
        {type(m).__name__ for m in net.modules() if "Norm" in type(m).__name__}
        for net in (model.generator, model.critic)
    ]
    assert kinds == [{"BatchNorm2d"}, {"GroupNorm"}]
    assert model.sample_mode == "train"


def test_batch_norm_in_the_critic_is_refused():
    with pytest.raises(ganarium.UserError, match="wgan_div penalises the gradient"):
        registry.create("wgan_div", (1, 16, 16), norm="batch")


def test_powers_up_to_one_are_refused():
    with pytest.raises(ganarium.UserError, match="penalty_power must be above 1"):
        registry.create("wgan_div", (2,), penalty_power=1.0)


@pytest.mark.parametrize("network", ["mlp", "dcgan", "resnet"])
@pytest.mark.parametrize("norm", [None, "none", "layer", "spectral"])
def test_any_network_learns(network, norm):
    made = trainer("wgan_div", network=network, norm=norm, batch_size=8)  # its mean is exact
    before = {name: p.clone() for name, p in made.model.named_parameters()}
    made.iterate()
    made.drain()
    rested = {name for name, p in made.model.named_parameters() if torch.equal(p, before[name])}
    assert rested == set(made.model.still)
    assert len(rested) == 1
