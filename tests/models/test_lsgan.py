"""LSGAN against its paper: the losses and their gradients at chosen points in both codings, the discriminator with a
known optimum, the released numbers, the known mistakes."""

import pytest
import torch
from torch import Tensor, nn

from ganarium import registry
from ganarium.data.dataset import Images
from ganarium.losses import as_real
from ganarium.models.lsgan import LSGAN, Config, half_squares
from ganarium.networks.mlp import MLP
from synthetic import trainer

CODINGS = {"0-1-1": (0, 1, 1), "pearson": (-1, 1, 0)}


class Scores(nn.Module):
    """A discriminator that gives these scores, whatever the samples."""

    def __init__(self, *values: float) -> None:
        super().__init__()
        self.score = nn.Parameter(torch.tensor(values))

    def forward(self, x: Tensor) -> Tensor:
        return self.score + 0 * x.flatten(1).sum(1)


class Table(nn.Module):
    """A discriminator of symbols 0, 1, ..., with a score for each."""

    def __init__(self, values: Tensor) -> None:
        super().__init__()
        self.score = nn.Parameter(values)

    def forward(self, x: Tensor) -> Tensor:
        return self.score[x[:, 0].long()]


def terms_at(*scores: float, **options):
    """The terms of D and of G where the scores are these, and G's gradient with respect to them."""
    made = trainer("lsgan", batch_size=len(scores), **options)
    made.model.discriminator = Scores(*scores)
    (_, d_terms, _), (_, g_terms) = made.model.step(made.batches)
    (gradient,) = torch.autograd.grad(g_terms["adversarial"], made.model.discriminator.score)
    return {k: v.item() for k, v in d_terms.items()}, g_terms["adversarial"].item(), gradient.tolist()


# ---- losses --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("coding", "score", "real", "fake", "g"),
    [
        ("0-1-1", 0.0, 0.5, 0.0, 0.5),
        ("pearson", 0.0, 0.5, 0.5, 0.0),
        ("0-1-1", 0.5, 0.125, 0.125, 0.125),  # D's optimum where samples are like data: 0.25 in all
        ("0-1-1", 3.0, 2.0, 4.5, 2.0),
        ("pearson", 3.0, 2.0, 8.0, 4.5),
    ],
)
def test_values_where_all_scores_are_equal(coding, score, real, fake, g):
    """With the factors 0.5: without them D's loss at 0 is 1 in the coding 0-1-1, and 2 in the other."""
    d_terms, actual, _ = terms_at(*[score] * 4, coding=coding)
    assert (d_terms["real"], d_terms["fake"], actual) == (real, fake, g)


def test_the_coding_of_the_paper_is_the_default():
    assert registry.create("lsgan", (2,)).targets == (0, 1, 1)


def test_targets_may_be_given_one_by_one():
    assert registry.create("lsgan", (2,), coding="pearson", generator_target=1).targets == (-1, 1, 1)
    d_terms, g, _ = terms_at(0.0, 0.0, fake_target=-3, real_target=2, generator_target=0.5)
    assert (d_terms["real"], d_terms["fake"], g) == (2, 4.5, 0.125)


def test_only_one_coding_is_the_pearson_divergence():
    """b - c = 1 and b - a = 2."""

    def is_pearson(coding):
        a, b, c = registry.create("lsgan", (2,), coding=coding).targets
        return b - c == 1 and b - a == 2

    assert is_pearson("pearson")
    assert not is_pearson("0-1-1")


def test_a_sample_beyond_the_target_is_pulled_back():
    """-1/N at 0, and +4/N at 5."""
    assert terms_at(0.0, 5.0)[2] == [-1 / 2, 4 / 2]
    assert terms_at(0.0, 5.0, 0.0, 5.0)[2] == [-1 / 4, 4 / 4, -1 / 4, 4 / 4]


def test_control_cross_entropy_never_pulls_back():
    """Known mistake: "LS" on the label of a model with cross-entropy."""
    score = torch.tensor([0.0, 5.0], requires_grad=True)
    gradient = torch.autograd.grad(as_real(score), score)[0].tolist()
    assert gradient != pytest.approx([-1 / 2, 4 / 2], abs=0.1)
    assert gradient[1] < 0


def test_a_sure_fake_has_a_gradient():
    assert terms_at(-8.0, -8.0)[2] == [-9 / 2, -9 / 2]


def test_control_a_sigmoid_left_on_d():
    """Known mistake: scores then stay in [0, 1], and a fake that is told for sure has no gradient left."""
    for logit in (-8.0, 8.0):
        score = torch.full((1,), logit, requires_grad=True)
        (gradient,) = torch.autograd.grad(half_squares(score.sigmoid() - 1), score)
        assert gradient.abs().item() < 1e-3


def test_the_mean_of_the_squares_is_not_the_square_of_the_mean():
    """Known mistake: scores of 0 and 2 would be as good as two of 1."""
    assert terms_at(0.0, 2.0)[1] == 0.5
    mistaken = 0.5 * (torch.tensor([0.0, 2.0]) - 1).mean().square()
    assert mistaken == 0


def test_adding_a_constant_to_every_score_changes_the_losses():
    (before, g, _), (after, shifted, _) = terms_at(0.0, 1.0), terms_at(7.0, 8.0)
    assert before["real"] != after["real"]
    assert before["fake"] != after["fake"]
    assert g != shifted


@pytest.mark.parametrize("coding", CODINGS)
def test_the_best_discriminator_of_a_finite_set(coding):
    """D*(x) = (b p + a q) / (p + q): the gradient of D's loss there is 0, for every symbol."""
    a, b, _ = CODINGS[coding]
    real, fake = torch.tensor([0, 0, 0, 1, 1, 2]), torch.tensor([0, 1, 1, 2, 2, 2])
    p, q = (torch.bincount(x, minlength=3) / 6 for x in (real, fake))
    model = LSGAN(Config(coding=coding), (2,))
    model.discriminator = Table((b * p + a * q) / (p + q))
    model.generate = lambda n: fake[:, None].float()
    terms = next(model.step(iter([Images(real[:, None].float())])))[1]
    for total, zero in ((sum(terms.values()), True), (terms["real"], False)):
        (gradient,) = torch.autograd.grad(total, model.discriminator.score, retain_graph=True)
        assert (gradient.abs().max().item() < 1e-6) == zero


@pytest.mark.parametrize("coding", CODINGS)
def test_discriminator_of_two_gaussians(coding):
    """N(1, 1) against N(0, 1), G frozen: D(x) = sigmoid(x - 0.5), or 2 sigmoid(x - 0.5) - 1. About 1 s."""
    torch.manual_seed(0)
    model, steps = LSGAN(Config(coding=coding), (2,)), 250
    model.discriminator, model.generate = MLP(1, [32, 32], ()), lambda n: torch.randn(n, 1)
    rule = torch.optim.Adam(model.discriminator.parameters(), lr=1e-2, betas=(0.9, 0.99))
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(rule, steps)
    for _ in range(steps):
        rule.zero_grad()
        sum(next(model.step(iter([Images(1 + torch.randn(1024, 1))])))[1].values()).backward()
        rule.step()
        decay.step()
    x = torch.linspace(-2, 3, 101)
    share = (x - 0.5).sigmoid()
    with torch.no_grad():
        actual = model.discriminator(x[:, None])
    best = {"0-1-1": share, "pearson": 2 * share - 1}
    assert (actual - best.pop(coding)).abs().max() < 0.05
    (other,) = best.values()
    assert (actual - other).abs().max() > 0.5


# ---- the algorithm -------------------------------------------------------------------------------------------


def test_one_update_each_on_noise_of_its_own():
    made = trainer("lsgan", batch_size=6)
    model, drawn = made.model, []
    latent = model.latent
    model.latent = lambda n: drawn.append(latent(n)) or drawn[-1]
    assert [item[0] for item in model.step(made.batches)] == ["D", "G"]
    assert made.batches.drawn == 6
    assert len({tuple(z[0].tolist()) for z in drawn}) == 2


def test_d_does_not_reach_g():
    made = trainer("lsgan")
    sum(next(made.model.step(made.batches))[1].values()).backward()
    assert all(p.grad is None for p in made.model.generator.parameters())


def test_reals_and_fakes_are_never_in_one_batch_of_d():
    made = trainer("lsgan", batch_size=6)
    seen = []
    made.model.discriminator.register_forward_pre_hook(lambda module, args: seen.append(len(args[0])))
    for _ in made.model.step(made.batches):
        pass
    assert seen == [6, 6, 6]


# ---- networks and numbers ------------------------------------------------------------------------------------


def test_numbers_of_the_released_scripts():
    made = trainer("lsgan")
    assert made.model.batch_size != 6 == made.batches.batch_size
    assert made.model.batch_size == 64
    for moved in made.players.values():
        (group,) = moved.optimizer.param_groups
        assert isinstance(moved.optimizer, torch.optim.Adam)
        assert (group["lr"], group["betas"]) == (2e-4, (0.5, 0.999))
    z = made.model.latent(200)
    assert z.shape == (200, 1024)
    assert 0.99 < z.abs().max() <= 1
    assert z.var().item() == pytest.approx(1 / 3, abs=0.01)


def test_rmsprop_and_no_batch_norm_as_released():
    made = trainer("lsgan", coding="pearson", optimizer="rmsprop", generator_norm=False, norm="none")
    for moved in made.players.values():
        (group,) = moved.optimizer.param_groups
        assert isinstance(moved.optimizer, torch.optim.RMSprop)
        assert (group["lr"], group["alpha"], group["momentum"]) == (2e-4, 0.9, 0)
    assert not [m for m in made.model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]


def test_points():
    made = trainer("lsgan", (2,))
    model = registry.create("lsgan", (2,))
    dense = [m.out_features for m in model.discriminator.modules() if isinstance(m, nn.Linear)]
    assert (model.batch_size, model.prior.dim, dense) == (256, 2, [128, 128, 128, 1])
    assert made.players["G"].optimizer.param_groups[0]["betas"] == (0.5, 0.9)
    assert model.latent(2000).abs().max() > 2  # normal


def faults(model: nn.Module) -> list[str]:
    """Layers that have no place in the released networks."""
    actual = ["eps" for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.eps > 1e-3]
    actual += ["dropout" for m in model.modules() if isinstance(m, nn.modules.dropout._DropoutNd)]
    return actual + ["sigmoid" for m in model.modules() if isinstance(m, nn.Sigmoid)]


def test_layers_of_the_released_networks():
    """Known mistakes: batch norm with eps 0.8, Dropout2d in D, a sigmoid on D."""
    model = registry.create("lsgan", (3, 64, 64))
    assert faults(model) == []
    norms = [sum(isinstance(m, nn.BatchNorm2d) for m in n.modules()) for n in (model.generator, model.discriminator)]
    assert norms == [4, 3]
    down = [m.out_channels for m in model.discriminator.modules() if isinstance(m, nn.Conv2d)]
    assert down == [64, 128, 256, 512]
    D = model.discriminator
    D.layers[3].eps, D.score = 0.8, nn.Sequential(nn.Dropout2d(0.25), D.score, nn.Sigmoid())
    assert faults(model) == ["eps", "dropout", "sigmoid"]


@pytest.mark.parametrize("network", ["auto", "mlp", "dcgan", "resnet"])
@pytest.mark.parametrize("norm", [None, "none", "batch", "layer", "spectral"])
def test_any_network_with_any_norm_learns(network, norm):
    made = trainer("lsgan", network=network, norm=norm, latent_dim=8)
    before = [p.clone() for p in made.model.parameters()]
    made.iterate()
    made.drain()
    moved = [not torch.equal(p, b) for p, b in zip(made.model.parameters(), before, strict=True)]
    assert all(moved)
    assert bool([m for m in made.model.discriminator.modules() if "BatchNorm" in type(m).__name__]) == (
        norm == "batch" or (norm is None and network != "mlp")
    )


def test_samples_use_running_statistics_as_released():
    made = trainer("lsgan")
    made.iterate()
    z = made.model.latent(5)
    with torch.no_grad():
        alone = made.model.eval().generate(1, z[:1])
    assert torch.allclose(made.model.sample(5, latent=z)[:1], alone, atol=1e-6)
