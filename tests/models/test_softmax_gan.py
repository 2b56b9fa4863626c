"""Softmax GAN against its paper: the cross-entropy over a batch and its gradient, a discriminator with a known optimum,
the networks without stabilisers, the known mistakes."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium import registry
from ganarium.data.dataset import Images
from ganarium.layers.init import init_normal
from ganarium.losses import as_fake, as_real
from ganarium.models.softmax_gan import Config, SoftmaxGAN
from ganarium.networks.mlp import MLP
from synthetic import refused, trainer


class Scores(nn.Module):
    """A discriminator with given scores: of reals and of fakes in turn."""

    def __init__(self, real: Tensor, fake: Tensor) -> None:
        super().__init__()
        self.real, self.fake, self.turn = nn.Parameter(real), nn.Parameter(fake), 0

    def forward(self, x: Tensor) -> Tensor:
        self.turn += 1
        return (self.real if self.turn % 2 else self.fake) + 0 * x.flatten(1).sum(1)


def losses(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor, Scores]:
    """The losses of D and of G in a step where D gives these scores, and that D."""
    made = trainer("softmax_gan", (2,), batch_size=len(real))
    D = made.model.discriminator = Scores(real.double(), fake.double())
    (_, d_terms, _), (_, g_terms) = made.model.step(made.batches)
    return sum(d_terms.values()), sum(g_terms.values()), D


def some_scores() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 5, generator=generator, dtype=torch.float64).unbind()


# ---- the loss --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0.0, -3.0, 8.0])
def test_losses_where_all_scores_are_equal(value):
    """64 reals and 64 fakes: log 128 for both players. The control is GAN's loss for each sample under this name."""
    d, g, _ = losses(torch.full((64,), value), torch.full((64,), value))
    assert d.item() == pytest.approx(4.852030, abs=1e-5)
    assert g.item() == pytest.approx(math.log(128), abs=1e-9)
    score = torch.full((64,), value)
    assert (as_real(score) + as_fake(score)).item() != pytest.approx(math.log(128), abs=0.1)


def test_a_perfect_discriminator():
    """D's loss falls to log 64 = 4.1589, its infimum."""
    actual = [losses(torch.full((64,), s), torch.full((64,), -s))[0].item() for s in (0.0, 1.0, 5.0, 20.0)]
    assert actual == sorted(actual, reverse=True)
    assert actual[-1] == pytest.approx(4.158883, abs=1e-6)
    assert min(actual) >= math.log(64) - 1e-12


def test_loss_of_g_is_least_where_the_softmax_is_even():
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        d, g, _ = losses(*(3 * torch.randn(2, 6, generator=generator)))
        assert g.item() > math.log(12)
        assert d.item() > math.log(6)


def test_gradients_are_softmax_less_target():
    """D: 1/N on reals and 0 on fakes. G: 1/(N + M) on fakes, and nothing flows into the reals, though they count."""
    real, fake = some_scores()
    share = torch.cat([real, fake]).softmax(0)
    d, g, D = losses(real, fake)
    actual = torch.autograd.grad(d, (D.real, D.fake))
    assert torch.allclose(torch.cat(actual), share - torch.cat([torch.full((5,), 1 / 5), torch.zeros(5)]))
    actual = torch.autograd.grad(g, (D.real, D.fake), allow_unused=True)
    assert actual[0] is None
    assert torch.allclose(actual[1], share[5:] - 1 / 10)


def test_reals_stay_inside_the_partition_function_of_g():
    """Control: without them the gradient is that of a softmax over the fakes alone, which sums to 0 over them."""
    real, fake = some_scores()
    _, g, D = losses(real + 4, fake)
    (gradient,) = torch.autograd.grad(g, D.fake)
    assert gradient.sum().item() < -0.4  # all fakes are to rise towards the reals
    alone = fake.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(alone.logsumexp(0) - alone.mean(), alone)
    assert gradient.sum().item() == pytest.approx(0, abs=1e-9)


def test_adding_a_constant_to_every_score():
    """Both losses stay, so D's last bias has no gradient. The control, GAN's loss, moves."""
    real, fake = some_scores()
    before, after = losses(real, fake)[:2], losses(real + 7, fake + 7)[:2]
    assert [v.item() for v in after] == pytest.approx([v.item() for v in before], abs=1e-9)
    moved = as_real(real + 7) + as_fake(fake + 7) - as_real(real) - as_fake(fake)
    assert abs(moved.item()) > 1
    made = trainer("softmax_gan", precision="fp64")
    assert list(made.model.still) == ["discriminator.score.bias"]
    _, terms, _ = next(made.model.step(made.batches))
    (gradient,) = torch.autograd.grad(terms["cross_entropy"], made.model.discriminator.score.bias)
    assert abs(gradient.item()) < 1e-12


@pytest.mark.parametrize("norm", ["none", "batch", "layer", "spectral"])
@pytest.mark.parametrize(("network", "shape"), [("mlp", (2,)), ("mlp", (1, 8, 8)), ("dcgan", (1, 8, 8))])
def test_the_still_bias_is_found_in_every_network(network, shape, norm):
    """DCGAN's discriminator with batch norm has no last bias."""
    model = registry.create("softmax_gan", shape, network=network, norm=norm, width=4)
    assert set(model.still) <= set(dict(model.named_parameters()))
    assert len(model.still) == (0 if network == "dcgan" and norm == "batch" else 1)


def test_large_scores():
    """Known mistake: the partition function without the largest score taken out, and 1e-8 inside the logarithm."""
    for value, overflows in ((1000.0, True), (-1000.0, False)):
        real, fake = torch.full((4,), value), torch.full((4,), value - 1)
        d, g, D = losses(real, fake)
        expected = math.log(1 + math.exp(-1)) + math.log(4)
        assert (d.item(), g.item()) == pytest.approx((expected, expected + 0.5), abs=1e-6)
        assert torch.autograd.grad(d, D.real)[0].isfinite().all()
        mistaken = torch.log(torch.cat([real, fake]).exp().sum() + 1e-8) - real.mean()
        assert mistaken.isinf() if overflows else mistaken.item() > 900


def test_discriminator_finds_its_optimum_for_two_gaussians():
    """N(1, 1) against N(0, 1), G frozen: D is log p / (p + q) up to a constant, -softplus(-(x - 0.5)), and not the log
    ratio x - 0.5; the loss of 512 + 512 samples is log 512 + 1.1635 / 2 = 6.8201. About 2 s."""
    torch.manual_seed(0)
    model, steps = SoftmaxGAN(Config(width=4, network="mlp"), (2,)), 500
    model.discriminator, model.generate = MLP(1, [32, 32], ()), lambda n: torch.randn(n, 1)

    class Gaussian:
        def __next__(self) -> Images:
            return Images(1 + torch.randn(512, 1))

    rule = torch.optim.Adam(model.discriminator.parameters(), lr=1e-2)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(rule, steps)
    for _ in range(steps):
        rule.zero_grad()
        sum(next(model.step(Gaussian()))[1].values()).backward()
        rule.step()
        decay.step()
    x = torch.linspace(-2, 3, 101)
    with torch.no_grad():
        values = [sum(next(model.step(Gaussian()))[1].values()).item() for _ in range(100)]
        actual = model.discriminator(x[:, None])
    assert sum(values) / 100 == pytest.approx(6.8201, abs=0.01)
    optimum, ratio = -F.softplus(0.5 - x), x - 0.5
    assert ((actual - actual.mean()) - (optimum - optimum.mean())).abs().max() < 0.15
    assert ((actual - actual.mean()) - (ratio - ratio.mean())).abs().max() > 0.8


# ---- the step ----------------------------------------------------------------------------------------------------


def test_generator_is_trained_against_the_new_discriminator():
    """On codes of its own. Known mistake: G's loss from scores taken before D's update, whose graph is no longer
    valid: RuntimeError."""
    made = trainer("softmax_gan", (2,), batch_size=8)
    model, drawn = made.model, []
    latent = model.latent
    model.latent = lambda n: drawn.append(latent(n)) or drawn[-1]
    step = model.step(made.batches)
    assert next(step)[1]["cross_entropy"].item() != pytest.approx(math.log(16), abs=1e-5)
    for parameter in model.discriminator.parameters():
        nn.init.zeros_(parameter)
    assert next(step)[1]["cross_entropy"].item() == pytest.approx(math.log(16), abs=1e-6)
    assert len(drawn) == 2
    assert not torch.equal(*drawn)
    D, G = MLP(2, [4], ()), MLP(2, [4], (2,))
    old = D(G(torch.randn(8, 2)))
    old.mean().backward(retain_graph=True)
    torch.optim.SGD(D.parameters(), lr=0.1).step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        old.logsumexp(0).backward()


def test_the_discriminators_loss_never_reaches_g():
    made = trainer("softmax_gan")
    sum(next(made.model.step(made.batches))[1].values()).backward()
    assert all(p.grad is None for p in made.model.generator.parameters())
    assert all(p.grad is not None for p in made.model.discriminator.parameters())


def test_watched_scores():
    real, fake = some_scores()
    made = trainer("softmax_gan", (2,), batch_size=5)
    made.model.discriminator = Scores(real, fake)
    _, _, watched = next(made.model.step(made.batches))
    assert torch.equal(watched["real"], real)
    assert torch.equal(watched["fake"], fake)


# ---- networks and numbers ------------------------------------------------------------------------------------------


def test_stabilisers_are_left_out_unless_asked_for():
    def norms(**options):
        model = registry.create("softmax_gan", (3, 16, 16), width=4, **options)
        return [
            sum("Norm" in type(m).__name__ or "Dropout" in type(m).__name__ for m in network.modules())
            for network in (model.generator, model.discriminator)
        ]

    assert norms() == [0, 0]
    assert norms(generator_norm=True) == [2, 0]
    assert norms(norm="batch") == [0, 1]


@pytest.mark.parametrize("shape", [(1, 32, 32), (3, 64, 64)])
def test_first_pictures_differ_from_code_to_code(shape):
    """Without batch norm, by about as much as those of DCGAN. The control begins with DCGAN's weights all the same."""

    def spread(model: SoftmaxGAN) -> float:
        with torch.no_grad():
            return model.train().generate(16).std(0).mean().item()

    torch.manual_seed(0)
    model, stabilised = (registry.create("softmax_gan", shape, width=16, generator_norm=norm) for norm in (False, True))
    assert 0.1 < spread(model) < 0.5
    assert spread(stabilised) > 0.02
    assert all((layer.bias == 0).all() for layer in model.generator.modules() if hasattr(layer, "bias"))
    init_normal(model.generator)
    assert spread(model) < 0.002


@pytest.mark.parametrize(("shape", "inputs"), [((3, 8, 8), 192), ((1, 8, 9), 72), ((2,), 2)])
def test_a_perceptron_reads_all_channels(shape, inputs):
    """Known mistake: img_size**2 inputs, whatever the number of channels."""
    model = registry.create("softmax_gan", shape, network="mlp", width=4)
    assert next(m for m in model.discriminator.modules() if isinstance(m, nn.Linear)).in_features == inputs


@pytest.mark.parametrize(
    ("shape", "lr", "betas", "batch_size", "latent_dim"),
    [((1, 16, 16), 2e-4, (0.5, 0.999), 64, 100), ((2,), 1e-3, (0.5, 0.9), 256, 2)],
)
def test_numbers(shape, lr, betas, batch_size, latent_dim):
    made = trainer("softmax_gan", shape)
    for moved in made.players.values():
        (group,) = moved.optimizer.param_groups
        assert isinstance(moved.optimizer, torch.optim.Adam)
        assert (group["lr"], group["betas"]) == (lr, betas)
    assert made.model.batch_size == batch_size
    z = made.model.latent(2000)
    assert z.shape == (2000, latent_dim)
    assert (z.abs().max() <= 1) == (len(shape) == 3)


def test_refusals():
    refused("beta1 must be from 0", lambda: registry.create("softmax_gan", (2,), beta1=1.0))
    refused("no dcgan for 2-D points", lambda: registry.create("softmax_gan", (2,), network="dcgan"))
