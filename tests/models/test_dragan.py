"""DRAGAN against its paper and the authors' notebook: the penalty in closed form, where it is taken, that no fake has a
part in it, the notebook's networks and numbers, the known mistakes."""

import pytest
import torch
from torch import Tensor, nn

import ganarium
from ganarium import registry
from ganarium.data.batches import Batches
from ganarium.data.dataset import Images
from ganarium.data.sources.points import ring
from ganarium.layers.normalization import check_penalised
from ganarium.losses import gradient_norm
from ganarium.trainer import Trainer
from synthetic import trainer, without_terms


class Linear(nn.Module):
    """A discriminator w.x + b over all axes of a sample."""

    def __init__(self, weight: Tensor, bias: float = 0.0) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(torch.tensor(bias))

    def forward(self, x: Tensor) -> Tensor:
        return (x * self.weight).flatten(1).sum(1) + self.bias


def linear_of_norm(norm: float, shape=(1, 16, 16)) -> Linear:
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    return Linear(weight * norm / weight.norm())


def penalty_of(D: nn.Module, **options) -> Tensor:
    made = trainer("dragan", batch_size=5, **options)
    made.model.discriminator = D
    return next(made.model.step(made.batches))[1]["penalty"]


# ---- losses --------------------------------------------------------------------------------------------------


def test_values_of_a_discriminator_that_is_zero():
    """2 log 2, and lambda for a gradient of 0; finite gradients all the same."""
    made = trainer("dragan")
    nn.init.zeros_(made.model.discriminator.layers[-1].weight)
    (_, d_terms, _), (_, g_terms) = made.model.step(made.batches)
    assert sum(term.item() for term in d_terms.values()) == pytest.approx(1.386294 + 10, abs=1e-5)
    assert d_terms["penalty"].item() == 10
    assert g_terms["adversarial"].item() == pytest.approx(0.693147, abs=1e-6)
    sum(d_terms.values()).backward()
    assert all(p.grad.isfinite().all() for p in made.model.discriminator.parameters() if p.grad is not None)


@pytest.mark.parametrize("norm", [0.25, 1.0, 3.0])
@pytest.mark.parametrize("noise", ["notebook", "gaussian"])
def test_penalty_of_a_linear_discriminator(norm, noise):
    """lambda (|w| - k)^2 wherever it is taken, two-sided; the norm is over all axes of a sample."""
    assert penalty_of(linear_of_norm(norm), noise=noise).item() == pytest.approx(10 * (norm - 1) ** 2, abs=1e-4)
    actual = penalty_of(linear_of_norm(norm), noise=noise, slope=2.0, penalty_weight=0.5).item()
    assert actual == pytest.approx(0.5 * (norm - 2) ** 2, abs=1e-4)


@pytest.mark.parametrize("axis", [1, 2])
def test_control_norm_over_one_axis(axis):
    """Known mistakes: axis 1 or 2 of a gradient (n, c, h, w) as its norm."""
    x = torch.randn(5, 1, 16, 16, requires_grad=True)
    (gradient,) = torch.autograd.grad(linear_of_norm(3.0)(x).sum(), x)
    mistaken = 10 * (gradient.norm(dim=axis) - 1).square().mean().item()
    assert mistaken != pytest.approx(10 * (3.0 - 1) ** 2, rel=0.1)


def test_control_gradient_of_the_probability():
    """Known mistake: of sigmoid(D), which is at most a quarter of the logit's."""
    D = linear_of_norm(3.0)
    x = torch.randn(5, 1, 16, 16)
    mistaken = 10 * (gradient_norm(lambda x: D(x).sigmoid(), x) - 1).square().mean().item()
    assert mistaken != pytest.approx(10 * (3.0 - 1) ** 2, rel=0.1)


def test_penalty_in_the_units_of_the_notebook():
    """The file says: slope 0.5 and weight 40 are the notebook's penalty, whose pixels are in [0, 1]."""
    D, x = linear_of_norm(0.8), torch.rand(5, 1, 16, 16)
    notebook = 10 * (gradient_norm(lambda pixel: D(2 * pixel - 1), x) - 1).square().mean().item()
    ours = penalty_of(D, slope=0.5, penalty_weight=40.0).item()
    assert ours == pytest.approx(notebook, rel=1e-5)


def test_gradient_of_the_discriminator_in_closed_form():
    """Reals at 0, fakes at L, D = s x + b. With p = sigmoid(s L + b) the derivatives by s and b are
    L p + 2 lambda (s - k) and p - sigmoid(-b)."""
    made = trainer("dragan", (2,), batch_size=4)
    made.batches.images.zero_()
    D = Linear(torch.tensor([0.3, 0.0]), 0.2)
    made.model.discriminator, made.model.generate = D, lambda n: torch.tensor([[2.0, 0.0]]).expand(n, 2)
    terms = next(made.model.step(made.batches))[1]
    slope, bias = torch.autograd.grad(sum(terms.values()), (D.weight, D.bias))
    p = torch.tensor(0.3 * 2 + 0.2).sigmoid().item()
    assert slope[0].item() == pytest.approx(2 * p + 20 * (0.3 - 1), rel=1e-5)
    assert bias.item() == pytest.approx(p - torch.tensor(-0.2).sigmoid().item(), abs=1e-6)


# ---- where the penalty is taken ------------------------------------------------------------------------------


def penalties_for_two_batches_of_fakes(penalty) -> tuple[float, float]:
    torch.manual_seed(0)
    D = registry.create("dragan", (1, 16, 16), width=16).discriminator
    real, values = torch.randn(5, 1, 16, 16), []
    for fake in torch.randn(2, 5, 1, 16, 16):
        torch.manual_seed(1)
        values.append(penalty(D, real, fake).item())
    return tuple(values)


def test_no_fake_has_a_part_in_the_penalty():
    def ours(D, real, fake):
        model = registry.create("dragan", (1, 16, 16))
        model.discriminator, model.generate = D, lambda n: fake
        torch.manual_seed(1)
        return next(model.step(iter([Images(real)])))[1]["penalty"]

    one, other = penalties_for_two_batches_of_fakes(ours)
    assert one == other


def test_control_points_between_reals_and_fakes():
    """Known mistake: that is GAN with the penalty of WGAN-GP."""

    def mistaken(D, real, fake):
        e = torch.rand(len(real), 1, 1, 1)
        return (gradient_norm(D, e * real + (1 - e) * fake) - 1).square().mean()

    one, other = penalties_for_two_batches_of_fakes(mistaken)
    assert one != other


def test_noise_of_the_notebook():
    """x^ lies in [x, x + s] in every number, s = 0.5 standard deviations of the whole batch."""
    torch.manual_seed(0)
    model = registry.create("dragan", (3, 16, 16))
    real = 0.7 * torch.randn(400, 3, 16, 16) + torch.tensor([0.0, 5.0, -5.0])[:, None, None]
    noise = (model.around(real) - real) / (0.5 * real.std(correction=0))
    assert -1e-5 <= noise.min() < 0.001
    assert 0.99 < noise.max() <= 1 + 1e-5
    assert noise.mean().item() == pytest.approx(0.25, abs=0.02)


def spread_of_sample_means(noise: Tensor) -> float:
    return noise.flatten(1).mean(1).std().item()


def test_one_distance_for_each_sample_and_noise_for_each_number():
    """a u with one a ~ U[0, 1] a sample: the sample means are a / 2, spread over 1 / sqrt(48)."""
    torch.manual_seed(0)
    model, real = registry.create("dragan", (1, 16, 16)), torch.randn(2000, 1, 16, 16)
    noise = (model.around(real) - real) / (0.5 * real.std(correction=0))
    assert spread_of_sample_means(noise) == pytest.approx(48**-0.5, rel=0.1)
    share = (noise / noise.flatten(1).amax(1)[:, None, None, None]).flatten()
    assert (share.mean().item(), share.std().item()) == pytest.approx((0.5, 12**-0.5), abs=0.02)


def test_control_a_distance_for_each_number():
    """Known mistake: then all samples have about the same noise."""
    mistaken = torch.rand(2000, 1, 16, 16) * torch.rand(2000, 1, 16, 16)
    assert spread_of_sample_means(mistaken) != pytest.approx(48**-0.5, rel=0.1)


def test_the_deviation_is_that_of_all_numbers_of_the_batch():
    """A flat image of 0 and a checkerboard of -1 and 1 together deviate by 1 / sqrt(2): both reach 0.5 of that, 0.3536.
    Known mistake: each image's own deviation, 0 and 1, which would leave the flat image where it is."""
    torch.manual_seed(0)
    board = torch.ones(16, 16) - 2 * ((torch.arange(16)[:, None] + torch.arange(16)) % 2)
    real = torch.stack([torch.zeros(16, 16), board])[:, None]
    model = registry.create("dragan", (1, 16, 16))
    noise = torch.stack([model.around(real) - real for _ in range(400)])
    reach = noise.amax((0, 2, 3, 4))
    assert reach.tolist() == pytest.approx([0.3536, 0.3536], abs=0.003)
    assert reach.max() <= 0.5**1.5 + 1e-6
    wide = registry.create("dragan", (1, 16, 16), noise="gaussian")
    noise = torch.stack([wide.around(real) - real for _ in range(400)])
    assert noise.std((0, 2, 3, 4)).tolist() == pytest.approx([0.3536, 0.3536], rel=0.02)


def test_gaussian_noise():
    torch.manual_seed(0)
    model = registry.create("dragan", (1, 16, 16), noise="gaussian", noise_scale=0.3)
    real = 0.7 * torch.randn(400, 1, 16, 16)
    noise = (model.around(real) - real) / (0.3 * real.std(correction=0))
    assert (noise.mean().item(), noise.std().item()) == pytest.approx((0, 1), abs=0.01)
    assert noise.pow(4).mean().item() == pytest.approx(3, abs=0.1)
    assert spread_of_sample_means(noise) == pytest.approx(1 / 16, rel=0.15)


# ---- the algorithm -------------------------------------------------------------------------------------------


def separation(terms_of_d: set[str]) -> float:
    """E[D(real)] - E[D(fake)] on the ring after 150 updates of D by some of its terms, G frozen."""
    torch.manual_seed(0)
    model, batches = registry.create("dragan", (2,), width=64), Batches(ring()[0], Images, 128)
    made = without_terms(Trainer(model, batches, 150), *({"real", "fake", "penalty"} - terms_of_d))
    for _ in range(150):
        assert next(made.updates()).player == "D"
    with torch.no_grad():
        real, fake = batches.draw(1000).image, model.generate(1000)
        return (model.discriminator(real).mean() - model.discriminator(fake).mean()).item()


def test_d_learns_to_tell_reals_from_fakes():
    assert separation({"real", "fake", "penalty"}) > 1


def test_control_d_trained_by_the_penalty_alone():
    """Known mistake: the adversarial terms are computed, and their backward pass is not called."""
    assert not separation({"penalty"}) > 1


def test_one_update_each_on_noise_of_its_own():
    made = trainer("dragan", batch_size=6)
    model, drawn = made.model, []
    latent = model.latent
    model.latent = lambda n: drawn.append(latent(n)) or drawn[-1]
    assert [item[0] for item in model.step(made.batches)] == ["D", "G"]
    assert made.batches.drawn == 6
    assert len({tuple(z[0].tolist()) for z in drawn}) == 2


def test_d_does_not_reach_g():
    made = trainer("dragan")
    sum(next(made.model.step(made.batches))[1].values()).backward()
    assert all(p.grad is None for p in made.model.generator.parameters())


# ---- networks and numbers ------------------------------------------------------------------------------------


def test_networks_of_the_notebook():
    torch.manual_seed(0)
    model = registry.create("dragan", (1, 28, 28))
    for network, sizes in ((model.generator, (100, 128, 784)), (model.discriminator, (784, 128, 1))):
        dense = [m for m in network.modules() if isinstance(m, nn.Linear)]
        assert (*(m.in_features for m in dense), dense[-1].out_features) == sizes
        for m in dense:
            assert m.weight.std().item() == pytest.approx((2 / m.in_features) ** 0.5, rel=0.2)
            assert (m.bias == 0).all()
    slopes = [m.slope for m in model.discriminator.modules() if hasattr(m, "slope")]
    assert slopes == [0.0]
    assert isinstance(model.generator.layers[-1], nn.Tanh)
    assert not [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm | nn.Sigmoid)]


def test_numbers_of_the_notebook():
    made = trainer("dragan")
    for moved in made.players.values():
        (group,) = moved.optimizer.param_groups
        assert isinstance(moved.optimizer, torch.optim.Adam)
        assert (group["lr"], group["betas"]) == (1e-4, (0.5, 0.9))
    config = made.model.config
    assert (config.penalty_weight, config.slope, config.noise, config.noise_scale) == (10, 1, "notebook", 0.5)
    assert made.model.batch_size == 128
    z = made.model.latent(2000)
    assert z.shape == (2000, 100)
    assert 0.99 < z.abs().max() <= 1
    assert z.var().item() == pytest.approx(1 / 3, abs=0.01)


def test_points():
    model = registry.create("dragan", (2,))
    dense = [m.out_features for m in model.discriminator.modules() if isinstance(m, nn.Linear)]
    assert (model.batch_size, model.prior.dim, dense) == (256, 2, [128, 128, 128, 1])
    group = trainer("dragan", (2,)).players["D"].optimizer.param_groups[0]
    assert (group["lr"], group["betas"]) == (1e-3, (0.5, 0.9))
    assert model.latent(2000).abs().max() > 2  # normal


@pytest.mark.parametrize("network", ["auto", "mlp", "dcgan", "resnet"])
def test_batch_norm_in_d_is_refused(network):
    with pytest.raises(ganarium.UserError, match="dragan penalises the gradient"):
        registry.create("dragan", (1, 16, 16), network=network, norm="batch")
    check_penalised("layer", "dragan")


@pytest.mark.parametrize("network", ["auto", "mlp", "dcgan", "resnet"])
@pytest.mark.parametrize("norm", ["none", "layer", "spectral"])
@pytest.mark.parametrize("generator_norm", [None, True])
def test_any_network_learns(network, norm, generator_norm):
    made = trainer("dragan", network=network, norm=norm, generator_norm=generator_norm)
    before = [p.clone() for p in made.model.parameters()]
    made.iterate()
    made.drain()
    assert all(not torch.equal(p, b) for p, b in zip(made.model.parameters(), before, strict=True))
