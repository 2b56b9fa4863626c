"""Relativistic GANs against their paper: the losses at chosen scores, what they are invariant to, the gradient of both
terms in G's step, the author's settings, the known mistakes."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import ganarium
from ganarium import registry
from ganarium.losses import as_fake, as_real
from ganarium.models.relativistic_gan import LOSSES
from synthetic import trainer

RELATIVISTIC = sorted(LOSSES)


class Given(nn.Module):
    """A discriminator that gives these scores, whatever it is shown: to reals and fakes in turn."""

    def __init__(self, *scores: Tensor) -> None:
        super().__init__()
        self.scores = [score.clone().requires_grad_() for score in scores]
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        score = self.scores[self.calls % len(self.scores)]
        self.calls += 1
        return score + 0 * x.flatten(1).sum(1)


def played(loss: str, real: Tensor, fake: Tensor):
    """D's and G's terms where reals have the scores `real` and fakes `fake`, and the leaf scores of G's step."""
    made = trainer("relativistic_gan", (2,), batch_size=len(real), loss=loss)
    made.model.discriminator = D = Given(real, fake)
    (_, d_terms, _), (_, g_terms) = made.model.step(made.batches)
    return sum(d_terms.values()), sum(g_terms.values()), D.scores


def scores(n: int = 6) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(n, generator=generator) + 1, torch.randn(n, generator=generator) * 2 - 1


# ---- losses --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "expected"), [("rsgan", math.log(2)), ("rasgan", 2 * math.log(2)), ("ralsgan", 2.0), ("rahinge", 2.0)]
)
@pytest.mark.parametrize("level", [0.0, 3.0])
def test_values_where_every_score_is_the_same(loss, expected, level):
    d, g, _ = played(loss, torch.full((4,), level), torch.full((4,), level))
    assert d.item() == pytest.approx(expected, abs=1e-6)
    assert g.item() == pytest.approx(expected, abs=1e-6)


def test_values_at_chosen_scores():
    """By hand, from the formulas of the paper: r = (2, 0), f = (-1, 2), so the means are 1 and 0.5; no two terms are
    alike."""

    def sp(t: float) -> float:
        return math.log1p(math.exp(t))

    r, f = torch.tensor([2.0, 0.0]), torch.tensor([-1.0, 2.0])
    expected = {
        "rsgan": ((sp(-3) + sp(2)) / 2, (sp(3) + sp(-2)) / 2),
        "rasgan": ((sp(-1.5) + sp(0.5) + sp(-2) + sp(1)) / 2, (sp(2) + sp(-1) + sp(1.5) + sp(-0.5)) / 2),
        "ralsgan": ((0.25 + 2.25 + 1 + 4) / 2, (9 + 0 + 6.25 + 0.25) / 2),
        "rahinge": ((0 + 1.5 + 0 + 2) / 2, (3 + 0 + 2.5 + 0.5) / 2),
    }
    for loss, (d_value, g_value) in expected.items():
        d, g, _ = played(loss, r, f)
        assert (d.item(), g.item()) == pytest.approx((d_value, g_value), abs=1e-5), loss


@pytest.mark.parametrize(("penalty", "names"), [("none", ()), ("r1", ("real",)), ("r1_r2", ("real", "fake"))])
def test_penalties_are_half_gamma_times_the_squared_slope_at_reals_and_at_fakes(penalty, names):
    made = trainer("relativistic_gan", (2,), batch_size=6, penalty=penalty, gamma=3.0)
    made.model.discriminator = D = nn.Linear(2, 1, bias=False)
    (_, terms, _), _ = made.model.step(made.batches)
    expected = 1.5 * D.weight.square().sum().item()
    penalties = {name: term.item() for name, term in terms.items() if "penalty" in name}
    assert penalties == pytest.approx({f"penalty_{name}": expected for name in names})


def test_watched_scores():
    made = trainer("relativistic_gan", (2,), batch_size=2)
    real, fake = torch.tensor([2.0, 0.0]), torch.tensor([-1.0, 2.0])
    made.model.discriminator = Given(real, fake)
    _, _, seen = next(made.model.step(made.batches))
    assert torch.equal(seen["real"], real)
    assert torch.equal(seen["fake"], fake)


@pytest.mark.parametrize("loss", RELATIVISTIC)
def test_a_constant_added_to_every_score_changes_nothing(loss):
    real, fake = scores()
    d, g, _ = played(loss, real, fake)
    shifted_d, shifted_g, _ = played(loss, real + 7, fake + 7)
    assert shifted_d.item() == pytest.approx(d.item(), abs=1e-4)
    assert shifted_g.item() == pytest.approx(g.item(), abs=1e-4)


@pytest.mark.parametrize("loss", RELATIVISTIC)
def test_the_step_of_g_is_that_of_d_with_reals_and_fakes_swapped(loss):
    real, fake = scores()
    d, g, _ = played(loss, real, fake)
    swapped_d, swapped_g, _ = played(loss, fake, real)
    assert (swapped_d.item(), swapped_g.item()) == pytest.approx((g.item(), d.item()), rel=1e-5)


def test_control_an_ordinary_generator_loss_is_not_invariant():
    """Known mistake (relativistic_gan.py of PyTorch-GAN): G's loss overwritten by the non-saturating one. Toys pass."""
    real, fake = scores()
    assert abs(as_real(fake + 7) - as_real(fake)) > 0.5
    assert abs(as_real(real + 7) + as_fake(fake + 7) - as_real(real) - as_fake(fake)) > 0.5
    _, g, _ = played("rasgan", real, fake)
    assert abs(g - as_real(fake)) > 0.5


# ---- gradient ------------------------------------------------------------------------------------------------


def gradient_on_fakes(loss: str) -> tuple[Tensor, Tensor | None]:
    """The gradients of G's loss with respect to the scores of fakes and of reals, at r = 5 and f = -5, times N."""
    n = 8
    _, g, (real, fake) = played(loss, torch.full((n,), 5.0), torch.full((n,), -5.0))
    on_fake, on_real = torch.autograd.grad(g, (fake, real), allow_unused=True)
    return n * on_fake, on_real


def test_both_terms_pull_the_fakes_and_none_the_reals():
    """About -2 / N for RaGAN at r = 5, f = -5, half of it through the mean in the term on reals."""
    on_fake, on_real = gradient_on_fakes("rasgan")
    assert on_real is None
    assert on_fake.tolist() == pytest.approx([-2.0] * 8, abs=1e-3)


def test_control_without_the_second_term_the_pull_is_half():
    """Known mistake: G's loss with the term on fakes alone (PyTorch-GAN, and its ESRGAN)."""
    fake = torch.full((8,), -5.0, requires_grad=True)
    (gradient,) = torch.autograd.grad(F.softplus(-(fake - 5)).mean(), fake)
    assert (8 * gradient).tolist() == pytest.approx([-1.0] * 8, abs=1e-3)


def test_control_a_detached_mean_loses_the_second_term_too():
    real, fake = torch.full((8,), 5.0), torch.full((8,), -5.0, requires_grad=True)
    loss = F.softplus(-(fake - real.mean())).mean() + F.softplus(real - fake.mean().detach()).mean()
    (gradient,) = torch.autograd.grad(loss, fake)
    assert (8 * gradient).tolist() == pytest.approx([-1.0] * 8, abs=1e-3)


@pytest.mark.parametrize("loss", ["rasgan", "ralsgan", "rahinge"])
def test_averages_need_no_pairs_and_rsgan_does(loss):
    real, fake = scores()
    order = torch.tensor([3, 1, 5, 0, 4, 2])
    assert played(loss, real, fake[order])[0].item() == pytest.approx(played(loss, real, fake)[0].item(), rel=1e-5)
    assert abs(played("rsgan", real, fake[order])[0] - played("rsgan", real, fake)[0]) > 1e-3


@pytest.mark.parametrize("shape", [(2,), (1, 16, 16)])
@pytest.mark.parametrize("loss", RELATIVISTIC)
def test_the_bias_that_never_moves_has_no_gradient(loss, shape):
    made = trainer("relativistic_gan", shape, precision="fp64", loss=loss)
    (name,) = made.model.still
    for item in made.model.step(made.batches):
        if item[0] == "D":
            bias = dict(made.model.named_parameters())[name]
            (gradient,) = torch.autograd.grad(sum(item[1].values()), bias)
            assert gradient.abs().item() < 1e-14


# ---- the step ------------------------------------------------------------------------------------------------


def test_reals_are_scored_anew_by_the_moved_discriminator():
    made = trainer("relativistic_gan", (2,), batch_size=8)
    model, seen = made.model, []
    model.discriminator.register_forward_hook(lambda module, args, out: seen.append((args[0], out.detach())))
    made.iterate()
    real, fake, again, fresh = seen
    assert torch.equal(real[0], again[0])
    assert not torch.equal(real[1], again[1])  # D has moved between them
    assert not torch.equal(fake[0], fresh[0])
    assert not again[1].requires_grad


def test_five_steps_of_d_for_one_of_g():
    made = trainer("relativistic_gan", (2,), batch_size=5, num_discriminator_steps=5)
    assert [item[0] for item in made.model.step(made.batches)] == ["D"] * 5 + ["G"]
    assert made.batches.drawn == 25


# ---- the author's settings -----------------------------------------------------------------------------------


def test_the_first_stable_setting():
    model = registry.create("relativistic_gan", (3, 32, 32))
    made = trainer("relativistic_gan", (3, 32, 32))
    for moved in made.players.values():
        (group,) = moved.optimizer.param_groups
        assert isinstance(moved.optimizer, torch.optim.Adam)
        assert (group["lr"], group["betas"]) == (2e-4, (0.5, 0.999))
    assert (model.batch_size, model.config.num_discriminator_steps, model.config.loss) == (32, 1, "rasgan")
    layers = [m for m in model.discriminator.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert all(hasattr(layer, "parametrizations") for layer in layers)
    assert not [m for m in model.discriminator.modules() if isinstance(m, nn.BatchNorm2d)]
    assert [m.eps for m in model.generator.modules() if isinstance(m, nn.BatchNorm2d)] == [1e-5] * 3  # mistake: 0.8


def test_codes_and_the_mode_of_sampling():
    """Batch norm in G, so samples are made with the statistics of their batch."""
    image, points = registry.create("relativistic_gan", (1, 16, 16), width=4), registry.create("relativistic_gan", (2,))
    assert (image.sample_mode, points.sample_mode, points.batch_size) == ("train", "eval", 256)
    assert (image.latent(5).shape, points.latent(5).shape) == ((5, 128), (5, 2))
    z = image.latent(1000)
    assert (z.mean().item(), z.std().item()) == pytest.approx((0, 1), abs=0.02)


def test_the_second_and_the_unstable_setting():
    for options in ({"lr": 1e-4, "beta2": 0.9, "num_discriminator_steps": 5}, {"lr": 1e-3, "beta1": 0.9, "beta2": 0.9}):
        made = trainer("relativistic_gan", **options)
        (group,) = made.players["G"].optimizer.param_groups
        assert (group["lr"], group["betas"]) == (options["lr"], (options.get("beta1", 0.5), 0.9))


@pytest.mark.parametrize("network", ["mlp", "dcgan", "resnet"])
@pytest.mark.parametrize("norm", ["none", "batch", "layer", "spectral"])
def test_every_network_and_norm(network, norm):
    made = trainer("relativistic_gan", network=network, norm=norm, total=2)
    for _ in made:
        pass
    made.drain()
    still = [name for name in made.model.still if name not in dict(made.model.named_parameters())]
    assert not still
    assert len(made.model.still) == (0 if (network, norm) == ("dcgan", "batch") else 1)


@pytest.mark.parametrize("options", [{"beta1": 1.0}, {"beta2": -0.1}, {"lr": 0.0}, {"loss": "gan"}])
def test_bad_options(options):
    with pytest.raises(ganarium.UserError, match=next(iter(options))):
        registry.create("relativistic_gan", (1, 16, 16), **options)
