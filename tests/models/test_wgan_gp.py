"""WGAN-GP against its paper: the penalty in closed form, the linear critic with a known optimum, what must not be in
the critic, the released sizes, the known mistakes."""

import math

import pytest
import torch
from torch import Tensor, nn

from ganarium import registry
from ganarium.data.dataset import Images
from ganarium.layers.penalized import Conv2d, LeakyReLU, inputs_only
from ganarium.networks.dcgan import Discriminator, Generator
from synthetic import refused, trainer


class Linear(nn.Module):
    """A critic w.x over all axes of a sample."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, x: Tensor) -> Tensor:
        return (x * self.weight).flatten(1).sum(1)


def linear_of_norm(norm: float, shape=(2, 3, 4)) -> Linear:
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    return Linear(weight * norm / weight.norm())


class Function(nn.Module):
    """A critic without weights; it keeps what it was last asked."""

    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        self.asked = x.detach()
        return self.function(x)


def penalty_of(critic: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """The penalty in the model's own step, with a weight of 1."""
    model = registry.create("wgan_gp", (1, 16, 16), width=4, penalty_weight=1.0)
    model.critic, model.generate = critic, lambda n: fake
    return next(model.step(iter([Images(real)])))[1]["penalty"]


# ---- penalty -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", [0.25, 1.0, 3.0])
def test_penalty_of_a_linear_critic(norm):
    """(|w| - 1)^2 wherever the samples lie; two-sided. The norm is over all axes but the first."""
    critic = linear_of_norm(norm)
    for scale in (0.0, 1.0, 100.0):
        real, fake = scale * torch.randn(5, 2, 3, 4), scale * torch.randn(5, 2, 3, 4)
        assert penalty_of(critic, real, fake).item() == pytest.approx((norm - 1) ** 2, abs=1e-5)
    x = torch.randn(5, 2, 3, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(critic(x).sum(), x)
    mistaken = (gradient.norm(dim=1) - 1).square().mean().item()  # known mistake: dim=1 of an unflattened gradient
    assert mistaken != pytest.approx((norm - 1) ** 2, abs=1e-2)


def test_penalty_has_a_gradient_for_the_critic():
    """2 (|w| - 1) w / |w|. Known mistake: without `create_graph` the penalty is a constant."""
    critic = linear_of_norm(3.0)
    penalty = penalty_of(critic, torch.randn(5, 2, 3, 4), torch.randn(5, 2, 3, 4))
    (actual,) = torch.autograd.grad(penalty, critic.weight)
    assert torch.allclose(actual, 4 * critic.weight / 3, atol=1e-5)
    x = torch.randn(5, 2, 3, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad((critic(x) ** 2).sum(), x)
    assert not (gradient.flatten(1).norm(dim=1) - 1).square().mean().requires_grad


def test_penalty_of_a_critic_without_gradient():
    """lambda * 1, and finite: the derivative of the norm at 0 is no NaN."""
    made = trainer("wgan_gp", batch_size=4)
    nn.init.zeros_(made.model.critic.score.weight)
    _, terms, _ = next(made.model.step(made.batches))
    assert terms["penalty"].item() == 10.0
    assert terms["wasserstein"].item() == 0.0
    sum(terms.values()).backward()
    assert all(p.grad.isfinite().all() for p in made.model.critic.parameters() if p.grad is not None)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 5, 7), (2,)])
def test_one_place_on_the_line_for_each_sample(shape):
    """With reals 1 and fakes 0 the critic sees e itself. Known mistakes: one e for the batch, one for each pixel."""
    critic, n = Function(lambda x: x.flatten(1).sum(1)), 4000
    penalty_of(critic, torch.ones(n, *shape), torch.zeros(n, *shape))
    e = critic.asked.flatten(1)
    assert (e == e[:, :1]).all()
    assert 0 <= e.min() < 0.01 < 0.99 < e.max() <= 1
    assert e[:, 0].mean().item() == pytest.approx(0.5, abs=0.02)
    assert e[:, 0].var().item() == pytest.approx(1 / 12, abs=0.005)
    assert len(e[:, 0].unique()) > 0.99 * n


def test_points_lie_between_one_real_and_one_fake():
    critic = Function(lambda x: x.flatten(1).sum(1))
    real, fake = torch.randn(50, 3, 4, 4), torch.randn(50, 3, 4, 4) + 5
    penalty_of(critic, real, fake)
    e = ((critic.asked - fake) / (real - fake)).flatten(1)
    assert torch.allclose(e, e[:, :1].expand_as(e), atol=1e-3)


def test_penalty_is_symmetric_in_real_and_fake():
    """D = |x|^2 / 2 has the gradient x, so the penalty depends on the place: equal in distribution only."""
    torch.manual_seed(0)
    n = 100_000
    real, fake = torch.full((n, 2), 3.0), torch.zeros(n, 2)
    sizes = []
    for pair in ((real, fake), (fake, real)):
        sizes.append(penalty_of(Function(lambda x: x.square().sum(1) / 2), *pair).item())
    exact = 18 / 3 - 2 * math.sqrt(18) / 2 + 1  # E[(r e - 1)^2] with r = sqrt(18)
    assert sizes == pytest.approx([exact] * 2, rel=0.02)


def test_penalty_never_touches_the_generator():
    made = trainer("wgan_gp", batch_size=4)
    sum(next(made.model.step(made.batches))[1].values()).backward()
    assert all(p.grad is None for p in made.model.generator.parameters())
    fake = torch.randn(4, 3, requires_grad=True)  # even where the fakes were not detached
    penalty_of(Function(lambda x: x.pow(3).sum(1)), torch.randn(4, 3, requires_grad=True), fake).backward()
    assert fake.grad is None


# ---- losses --------------------------------------------------------------------------------------------------


def slope_after(sign: float, steps: int = 500, distance: float = 1.0) -> Tensor:
    """Reals at 0, fakes at `distance`: the weights of a linear critic trained by the model's own terms."""
    made = trainer("wgan_gp", (2,), penalty_weight=10.0, batch_size=8)
    model, critic = made.model, Linear(torch.tensor([-1.5, 0.1]))
    made.batches.images.zero_()
    model.critic, model.generate = critic, lambda n: torch.tensor([[distance, 0.0]]).expand(n, 2)
    rule = torch.optim.SGD(critic.parameters(), lr=0.02)
    for _ in range(steps):
        _, terms, _ = next(model.step(made.batches))
        rule.zero_grad()
        (terms["wasserstein"] + sign * terms["penalty"]).backward()
        rule.step()
    return critic.weight.detach()


@pytest.mark.parametrize("distance", [1.0, 4.0])
def test_slope_of_a_linear_critic(distance):
    """-s L + lambda (s - 1)^2 is least at s = 1 + L / (2 lambda): 1.05 for L = 1, lambda = 10."""
    assert slope_after(+1, distance=distance).tolist() == pytest.approx([-1 - distance / 20, 0], abs=1e-3)


def test_control_the_flipped_sign_diverges():
    weight = slope_after(-1)
    assert not weight.norm() < 100


def test_adding_a_constant_to_every_score():
    """The critic's loss does not change, and G's moves by it: why the last bias never moves."""
    values = []
    for shift in (0.0, 7.0):
        made = trainer("wgan_gp", batch_size=4, num_critic_steps=1)
        made.model.critic.score.bias.data += shift
        (_, critic_terms, _), (_, terms) = made.model.step(made.batches)
        values.append([*(v.item() for v in critic_terms.values()), terms["wasserstein"].item()])
        made.model.critic.score.bias.grad = None
        critic_terms["wasserstein"].backward()
        assert made.model.critic.score.bias.grad == 0
    assert values[1][:2] == pytest.approx(values[0][:2], abs=1e-5)
    assert values[1][2] == pytest.approx(values[0][2] - 7, abs=1e-5)
    assert list(made.model.still) == ["critic.score.bias"]


def test_critic_is_to_be_high_on_reals():
    made = trainer("wgan_gp", (2,), batch_size=8)
    made.batches.images.fill_(2.0)
    made.model.critic, made.model.generate = Linear(torch.tensor([1.0, 0.0])), lambda n: torch.ones(n, 2)
    *critic, (_, last) = made.model.step(made.batches)
    assert critic[0][1]["wasserstein"].item() == 1 - 2
    assert last["wasserstein"].item() == -1


def test_order_of_algorithm_1():
    """Five updates of the critic on fresh data and noise for one of G. Known mistake: G on the critic's noise."""
    made = trainer("wgan_gp", batch_size=4)
    model, drawn, moves = made.model, [], []
    latent, before = model.latent, {key: value.clone() for key, value in model.named_parameters()}
    model.latent = lambda n: drawn.append(latent(n)) or drawn[-1]
    for update in made.updates():
        moved = {key.split(".")[0] for key, value in model.named_parameters() if not torch.equal(value, before[key])}
        moves += [{"critic": "D", "generator": "G"}[part] for part in moved]
        assert moves[-1] == update.player
        before = {key: value.clone() for key, value in model.named_parameters()}
    assert moves == ["D"] * 5 + ["G"]
    assert made.batches.drawn == 20
    assert len({tuple(z[0].tolist()) for z in drawn}) == 6


# ---- networks ------------------------------------------------------------------------------------------------


def leaks(critic: nn.Module, shape: tuple[int, ...]) -> bool:
    """Whether a score depends on the other samples of the batch."""
    x, other = torch.randn(2, 4, *shape)
    other[0] = x[0]
    with torch.no_grad():
        return not torch.allclose(critic(x)[0], critic(other)[0], atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 20, 12), (2,)])
def test_a_score_depends_on_its_own_sample_only(shape):
    torch.manual_seed(0)
    model = trainer("wgan_gp", shape).model.train()
    assert not leaks(model.critic, shape)
    kinds = {type(m).__name__ for m in model.critic.modules()}
    assert not [kind for kind in kinds if "Norm" in kind or "Dropout" in kind or "Sigmoid" in kind]


def test_control_batch_norm_in_the_critic():
    torch.manual_seed(0)
    assert leaks(Discriminator((3, 16, 16), 4, norm="batch").train(), (3, 16, 16))


@pytest.mark.parametrize("norm", ["none", "layer", "spectral"])
@pytest.mark.parametrize(
    ("network", "shape"),
    [("auto", (1, 16, 16)), ("auto", (2,)), ("mlp", (2,)), ("dcgan", (3, 16, 16)), ("resnet", (1, 16, 16))],
)
def test_no_allowed_norm_mixes_samples_on_any_network(network, shape, norm):
    """And the parameter that is listed as still is the last bias of the critic: the only one without gradient."""
    model = trainer("wgan_gp", shape, network=network, norm=norm).model
    assert not leaks(model.critic.eval(), shape)
    (still,) = model.still
    *_, last = [layer for layer in model.critic.modules() if isinstance(layer, nn.Linear)]
    assert dict(model.named_parameters())[still] is last.bias


@pytest.mark.parametrize("network", ["auto", "mlp", "dcgan", "resnet"])
def test_batch_norm_in_the_critic_is_refused(network):
    refused(
        "wgan_gp penalises the gradient of each sample's score ... use --norm layer or none",
        lambda: registry.create("wgan_gp", (3, 16, 16), network=network, norm="batch"),
    )


@pytest.mark.parametrize(
    ("network", "shape", "norms"),
    [("mlp", (3, 16, 16), 0), ("dcgan", (1, 16, 16), 0), ("dcgan", (3, 16, 16), 2), ("resnet", (1, 16, 16), 5)],
)
def test_batch_norm_in_the_generator_of_other_networks(network, shape, norms):
    model = registry.create("wgan_gp", shape, network=network, width=4)
    assert len([m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]) == norms
    assert model.sample_mode == ("train" if norms else "eval")


@pytest.mark.parametrize(
    ("shape", "width", "norms"), [((1, 28, 28), 64, 0), ((1, 32, 32), 64, 0), ((3, 32, 32), 128, 3)]
)
def test_widths_of_the_released_scripts(shape, width, norms):
    model = registry.create("wgan_gp", shape)
    G, D = model.generator, model.critic
    assert (G.project.in_features, *G.start) == (128, 4 * width, 4, 4)
    up = [m for m in G.modules() if isinstance(m, nn.ConvTranspose2d)]
    down = [m for m in D.modules() if isinstance(m, nn.Conv2d)]
    assert [m.out_channels for m in up] == [2 * width, width, shape[0]]
    assert [m.out_channels for m in down] == [width, 2 * width, 4 * width]
    assert {(m.kernel_size, m.stride) for m in up + down} == {((5, 5), (2, 2))}
    assert {m.slope for m in D.modules() if isinstance(m, LeakyReLU)} == {0.2}
    actual = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    assert len(actual) == norms
    assert all(m.eps == 1e-5 for m in actual)  # known mistake: 0.8
    sizes = []
    for m in up:
        m.register_forward_hook(lambda module, args, out: sizes.append(out.shape[2]))
    model.generate(1 + (norms > 0))
    assert sizes == ([7, 14, 28] if shape[1] == 28 else [8, 16, 32])


def test_networks_of_the_released_toy_script():
    torch.manual_seed(0)
    model = registry.create("wgan_gp", (2,))
    for network, ends in ((model.generator, (2, 2)), (model.critic, (2, 1))):
        dense = [m for m in network.modules() if isinstance(m, nn.Linear)]
        assert [m.in_features for m in dense] == [ends[0], 512, 512, 512]
        assert dense[-1].out_features == ends[1]
        for m in dense[:3]:  # He
            assert m.weight.std().item() == pytest.approx(math.sqrt(2 / m.in_features), rel=0.1)
            assert (m.bias == 0).all()
    assert (model.batch_size, model.config.penalty_weight) == (256, 0.1)


def test_numbers():
    """Known mistakes: betas (0.5, 0.999) and 2e-4; RMSProp at 5e-5."""
    made = trainer("wgan_gp")
    for moved in made.players.values():
        (group,) = moved.optimizer.param_groups
        assert isinstance(moved.optimizer, torch.optim.Adam)
        assert (group["lr"], group["betas"]) == (1e-4, (0.0, 0.9))
    assert (made.model.config.penalty_weight, made.model.config.num_critic_steps) == (10.0, 5)
    z = made.model.latent(4000)
    assert z.shape == (4000, 128)
    assert (z.mean().item(), z.std().item()) == pytest.approx((0, 1), abs=0.01)
    assert registry.create("wgan_gp", (3, 16, 16), width=4).batch_size == 64


def test_batch_size_of_the_released_mnist_script():
    assert registry.create("wgan_gp", (1, 16, 16), width=4).batch_size == 50


@pytest.mark.parametrize("channels", [1, 3])
def test_generator_does_not_start_saturated(channels):
    """He: the layers keep the size of what they are given. Released: 4 / (fan in + fan out), fan in over stride^2."""
    torch.manual_seed(0)
    model = registry.create("wgan_gp", (channels, 32, 32))
    for m in model.generator.modules():
        if isinstance(m, nn.ConvTranspose2d):
            fan_in, fan_out = m.in_channels * 25 / 4, m.out_channels * 25
            assert m.weight.std().item() == pytest.approx(math.sqrt(4 / (fan_in + fan_out)), rel=0.1)
    with torch.no_grad():
        # colour: batch norm and ReLU give the last layer E[x^2] = 1/2 on 128 * 25/4 taps, so a std of 1.35 before
        # tanh, and 5 % of it above 2.65; the wrong fan gave 39 %
        assert (model.generate(32).abs() > 0.99).double().mean() < (0.02 if channels == 1 else 0.1)


def test_generator_of_grey_images_has_no_batch_norm_unless_asked():
    def norms(**options):
        return sum(isinstance(m, nn.BatchNorm2d) for m in registry.create("wgan_gp", width=2, **options).modules())

    assert norms(shape=(1, 16, 16)) == 0
    assert norms(shape=(1, 16, 16), generator_norm=True) == 2
    assert norms(shape=(3, 16, 16), generator_norm=False) == 0
    G = Generator((1, 16, 16), 3, 2, batch_norm=False)
    assert all(m.bias is not None for m in G.modules() if isinstance(m, nn.Linear | nn.ConvTranspose2d))


def test_the_penalty_is_the_same_with_our_leaky_relu():
    """Values, gradients and those of the penalty equal torch's LeakyReLU, which sends zeros through the network."""
    torch.manual_seed(0)
    x = torch.randn(6, 5, dtype=torch.float64)
    weight = torch.randn(4, 5, dtype=torch.float64)
    actual = []
    for activation in (LeakyReLU(0.2), torch.nn.LeakyReLU(0.2)):
        w, inputs = weight.clone().requires_grad_(), x.clone().requires_grad_()
        score = activation(inputs @ w.T).square().sum()
        (slope,) = torch.autograd.grad(score, inputs, create_graph=True)
        penalty = (slope.norm(dim=1) - 1).square().mean()
        actual.append((score, slope, *torch.autograd.grad(penalty, (w, inputs))))
    for ours, theirs in zip(*actual, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    assert torch.autograd.gradgradcheck(LeakyReLU(0.2), x[:2].clone().requires_grad_())
    assert LeakyReLU(0.2)(x.bfloat16()).dtype == torch.bfloat16


@pytest.mark.parametrize("size", [(8, 8), (7, 10)])
@pytest.mark.parametrize("bias", [True, False])
def test_the_penalty_is_the_same_with_our_convolution(size, bias):
    """As torch's own: values, all first gradients, and those of the penalty; `inputs_only` leaves out one alone."""
    torch.manual_seed(0)
    ours = Conv2d(2, 3, 5, 2, 2, bias=bias).double()
    theirs = nn.Conv2d(2, 3, 5, 2, 2, bias=bias).double()
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(4, 2, *size, dtype=torch.float64)
    actual = []
    for layer in (ours, theirs):
        inputs = x.clone().requires_grad_()
        parameters = list(layer.parameters())
        score = layer(inputs).pow(3).sum()
        first = torch.autograd.grad(score, [inputs, *parameters], retain_graph=True)
        with inputs_only():
            (slope,) = torch.autograd.grad(score, inputs, create_graph=True)
        penalty = (slope.flatten(1).norm(dim=1) - 1).square().mean()
        actual.append((score, *first, slope, *torch.autograd.grad(penalty, [inputs, *parameters])))
    assert len(actual[0]) == len(actual[1])
    for mine, own in zip(*actual, strict=True):
        torch.testing.assert_close(mine, own, rtol=1e-10, atol=1e-10)
    with inputs_only():
        (nothing,) = torch.autograd.grad(ours(x).sum(), ours.weight, allow_unused=True)
    assert nothing is None
    with torch.autocast("cpu", torch.bfloat16):
        assert ours.float()(x.float()).dtype == torch.bfloat16
