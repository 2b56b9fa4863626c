"""BGAN against its paper: the discrete estimator against the exact gradient, its weights and what is constant in it,
binary samples and data, the continuous form, the known mistakes."""

import itertools
import math

import pytest
import torch
from torch import Tensor, nn

from ganarium import registry
from ganarium.data.dataset import Images
from ganarium.losses import as_fake, as_real
from ganarium.models.bgan import binary
from synthetic import refused, trainer

PATTERNS = torch.tensor([*itertools.product((-1.0, 1.0), repeat=4)], dtype=torch.float64)  # all 2x2 binary images


class Sites(nn.Module):
    """A generator of 2x2 images that has no use for z: one logit for each pixel."""

    def __init__(self, logit: Tensor) -> None:
        super().__init__()
        self.logit = nn.Parameter(logit)

    def forward(self, z: Tensor) -> Tensor:
        return self.logit.view(1, 1, 2, 2).expand(len(z), -1, -1, -1)

    def log_prob(self) -> Tensor:
        """log q of all patterns (16,)."""
        return nn.functional.logsigmoid(PATTERNS * self.logit).sum(1)


class Table(nn.Module):
    """A discriminator of 2x2 images: one score for each pattern."""

    def __init__(self, score: Tensor) -> None:
        super().__init__()
        self.score = nn.Parameter(score)
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x.detach())
        place = ((x.flatten(1) + 1) / 2).long() @ torch.tensor([8, 4, 2, 1])
        return self.score[place]


class Given:
    """Batches of `n` black images."""

    def __init__(self, n: int, value: float = -1.0) -> None:
        self.image = torch.full((n, 1, 2, 2), value, dtype=torch.float64)

    def __next__(self) -> Images:
        return Images(self.image)


def tabled(logit: Tensor, score: Tensor | None = None, num_samples: int = 20):
    """A discrete model of 2x2 images with a generator and a discriminator that are tables."""
    model = trainer("bgan", precision="fp64", num_samples=num_samples).model
    model.generator = Sites(logit.double())
    model.discriminator = Table(torch.zeros(16).double() if score is None else score.double())
    return model


def generator_loss(model, n: int) -> Tensor:
    *_, (_, terms) = model.step(Given(n))
    return terms["likelihood"]


def target(seed: int = 0) -> Tensor:
    """p of the 16 patterns."""
    return torch.randn(16, generator=torch.Generator().manual_seed(seed)).double().mul(1.5).softmax(0)


def estimated(num_samples: int, draws: int = 40_000) -> tuple[float, float]:
    """Cosine and ratio of norms of the estimator's mean and the exact gradient of -sum p log q, D at its optimum."""
    torch.manual_seed(0)
    model, p = tabled(torch.tensor([0.4, -0.8, 0.2, 1.0]), num_samples=num_samples), target()
    model.discriminator.score.data = p.log() - model.generator.log_prob().detach()
    n = draws // num_samples
    (actual,) = torch.autograd.grad(generator_loss(model, n), model.generator.logit)
    (exact,) = torch.autograd.grad(-(p * model.generator.log_prob()).sum(), model.generator.logit)
    return torch.cosine_similarity(actual, exact, dim=0).item(), (actual.norm() / exact.norm()).item()


# ---- the discrete estimator --------------------------------------------------------------------------------------


def test_estimator_is_the_gradient_of_the_cross_entropy():
    """With D at log p / q and many samples for each z. Self-normalised weights are biased where M is small."""
    cosine, ratio = estimated(2000, draws=400_000)
    assert cosine > 0.99
    assert 0.97 < ratio < 1.03
    ratios = [estimated(m)[1] for m in (2, 20)]
    assert ratios[0] < 0.7 < ratios[1] < 1


def test_estimator_leads_to_the_data():
    """D always at its optimum, p a product of the sites: plain descent ends at p."""
    torch.manual_seed(0)
    goal = torch.tensor([1.0, -2.0, 0.5, 0.0], dtype=torch.float64)
    model = tabled(torch.zeros(4), num_samples=50)
    rule = torch.optim.SGD(model.generator.parameters(), lr=0.5)
    for _ in range(150):
        model.discriminator.score.data = Sites(goal).log_prob().detach() - model.generator.log_prob().detach()
        rule.zero_grad()
        generator_loss(model, 64).backward()
        rule.step()
    assert (model.generator.logit.sigmoid() - goal.sigmoid()).abs().max() < 0.03


def test_weights_are_even_where_all_scores_are_equal():
    """1/M each, so the loss is the mean of -log g over all samples."""
    model = tabled(torch.tensor([3.0, -1.0, 0.0, 2.0]), num_samples=5)
    loss = generator_loss(model, 7)
    log_q = model.generator.log_prob()
    drawn = model.discriminator.seen[-1]
    place = ((drawn.flatten(1) + 1) / 2).long() @ torch.tensor([8, 4, 2, 1])
    assert drawn.shape == (35, 1, 2, 2)
    assert loss.item() == pytest.approx(-log_q[place].mean().item(), rel=1e-9)


def test_weights_are_normalised_for_each_z():
    """A score added to all samples of one z changes nothing. Control: a softmax over the whole batch."""
    model, scores = tabled(torch.tensor([0.5, -0.5, 1.0, 0.0]), num_samples=6), torch.randn(24).double()
    losses, wrong = [], []
    for shift in (torch.zeros(4), torch.tensor([0.0, 5.0, -3.0, 1.0])):
        given = scores + shift.double().repeat(6)  # (M, b) flat: z by z within a sample
        model.discriminator.forward = lambda x, given=given: model.discriminator.seen.append(x) or given[: len(x)]
        torch.manual_seed(1)
        losses.append(generator_loss(model, 4).item())
        log_g = nn.functional.logsigmoid(model.discriminator.seen[-1].flatten(1) * model.generator.logit).sum(1)
        wrong.append(-(given.softmax(0) * log_g).sum().item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-9)
    assert wrong[0] != pytest.approx(wrong[1], rel=1e-3)


class FromCode(nn.Module):
    """A generator of 2x2 images whose four logits are the first four numbers of z, times a parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones((), dtype=torch.float64))

    def forward(self, z: Tensor) -> Tensor:
        return self.factor * z[:, :4].unflatten(1, (1, 2, 2))


def test_the_samples_of_a_code_stand_in_its_own_column():
    """Codes that are told apart: of the first all pixels are white, of the second black, of the third white above and
    black below. D is shown M times these three, in this order, in its own step and in G's."""
    model = tabled(torch.zeros(4), num_samples=5)
    code = 50 * torch.tensor([[1.0, 1, 1, 1], [-1, -1, -1, -1], [1, 1, -1, -1]], dtype=torch.float64)
    model.generator, model.latent = FromCode(), lambda n: code[:n]
    model.discriminator.score.data = torch.randn(16, generator=torch.Generator().manual_seed(0)).double()
    generator_loss(model, 3)
    _, of_d, of_g = model.discriminator.seen
    for shown in (of_d, of_g):
        assert torch.equal(shown.flatten(1), code.sign().repeat(5, 1))


def test_samples_are_weighed_and_likely_under_their_own_code():
    """-sum_m w_m log g(x_m | z) by hand, in a loop, where the codes have different logits and D different scores."""
    torch.manual_seed(0)
    model, M, b = tabled(torch.zeros(4), num_samples=6), 6, 4
    code = torch.randn(b, 64, dtype=torch.float64)
    model.generator, model.latent = FromCode(), lambda n: code[:n]
    model.discriminator.score.data = 2 * torch.randn(16).double()
    loss = generator_loss(model, b)
    x = model.discriminator.seen[-1]
    score = model.discriminator(x)
    expected, slope = 0.0, 0.0
    for j in range(b):
        own, logit = x[j::b].flatten(1), code[j, :4]
        weight = score[j::b].softmax(0)
        assert len(own) == M
        expected -= (weight * nn.functional.logsigmoid(own * logit).sum(1)).sum().item() / b
        # d/df log sigmoid(x f l) = x l sigmoid(-x f l), at f = 1
        slope -= (weight * (own * logit * (-own * logit).sigmoid()).sum(1)).sum().item() / b
    assert loss.item() == pytest.approx(expected, rel=1e-9)
    assert torch.autograd.grad(loss, model.generator.factor)[0].item() == pytest.approx(slope, rel=1e-9)


def test_samples_and_weights_are_constants():
    """Control: with the weights left in the graph, D's scores get a gradient from G's loss."""
    model = tabled(torch.tensor([0.5, -0.5, 1.0, 0.0]), torch.randn(16, generator=torch.Generator().manual_seed(0)))
    loss = generator_loss(model, 8)
    (actual,) = torch.autograd.grad(loss, model.discriminator.score, allow_unused=True, retain_graph=True)
    assert actual is None
    assert loss.requires_grad
    x = model.discriminator.seen[-1]
    score = model.discriminator(x)
    log_g = nn.functional.logsigmoid(x.flatten(1) * model.generator.logit).sum(1).unflatten(0, (20, 8))
    mistaken = -(score.unflatten(0, (20, 8)).softmax(0) * log_g).sum(0).mean()
    assert mistaken.item() == pytest.approx(loss.item(), rel=1e-9)
    (leak,) = torch.autograd.grad(mistaken, model.discriminator.score)
    assert leak.abs().max() > 1e-3


def test_likelihood_is_taken_from_logits():
    """Known mistake: the log of probabilities, infinite where a sigmoid has become 0 or 1."""
    model = tabled(torch.tensor([2.0, -1.0, 0.5, 0.0]))
    independent = torch.distributions.Bernoulli(logits=model.generator.logit.detach())
    expected = independent.log_prob((PATTERNS + 1) / 2).sum(1)
    assert torch.allclose(model.generator.log_prob(), expected)
    far = torch.tensor([800.0, -800.0, 800.0, 0.0])
    model = tabled(far)
    loss = generator_loss(model, 4)
    loss.backward()
    assert loss.item() == pytest.approx(math.log(2), rel=1e-6)
    assert model.generator.logit.grad.isfinite().all()
    chance = far.double().sigmoid()
    assert not (torch.tensor([1.0, 0.0, 1.0, 0.0]) * (1 - chance).log()).isfinite().all()


# ---- binary samples and data -------------------------------------------------------------------------------------


def test_discriminator_sees_binary_images_only():
    """M fakes for each z. Control: the sigmoids themselves, which D tells from binary data at once."""
    made = trainer("bgan", batch_size=6, num_samples=3)
    seen: list[Tensor] = []
    made.model.discriminator.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    for _ in made.model.step(made.batches):
        pass
    assert [len(x) for x in seen] == [6, 18, 18]
    assert all(set(x.unique().tolist()) == {-1, 1} for x in seen)
    mistaken = made.model.generator(made.model.latent(6)).sigmoid()
    assert len(mistaken.unique()) > 100


def test_grey_images_are_made_binary_by_their_brightness_and_binary_ones_stay():
    model = tabled(torch.zeros(4))
    for value in (-1.0, 1.0):
        next(model.step(Given(100, value)))
        assert (model.discriminator.seen[-2] == value).all()
    next(model.step(Given(4000, 0.5)))
    assert model.discriminator.seen[-2].mean().item() == pytest.approx(0.5, abs=0.03)


def test_a_binary_draw():
    torch.manual_seed(0)
    chance = torch.tensor([0.0, 1.0, 0.3]).double().repeat(20_000, 1).requires_grad_()
    made = binary(chance)
    assert made.dtype == torch.float64
    assert not made.requires_grad
    assert (made[:, 0] == -1).all()
    assert (made[:, 1] == 1).all()
    assert made[:, 2].mean().item() == pytest.approx(-0.4, abs=0.03)
    assert binary(torch.full((2, 3), 0.5).expand(4, 2, 3)).shape == (4, 2, 3)


@pytest.mark.parametrize("network", ["mlp", "dcgan", "resnet"])
def test_samples_are_binary_and_logits_have_no_bound(network):
    model = registry.create("bgan", (1, 8, 8), network=network, width=4)
    assert set(model.sample(8, seed=0).unique().tolist()) == {-1, 1}
    assert not [m for m in model.generator.modules() if isinstance(m, nn.Tanh | nn.Sigmoid)]
    *_, last = (m for m in model.generator.modules() if getattr(m, "bias", None) is not None)
    nn.init.constant_(last.bias, 50.0)
    assert model.generator(model.latent(2)).mean().item() > 20
    assert (model.sample(2, seed=0) == 1).all()


def test_forms():
    """Known mistake: the continuous form alone, on grey digits."""

    def discrete(shape, **options):
        return registry.create("bgan", shape, width=2, **options).discrete

    assert [discrete(shape) for shape in ((1, 8, 8), (3, 8, 8), (2,))] == [True, False, False]
    assert discrete((3, 8, 8), form="discrete")
    assert not discrete((1, 8, 8), form="continuous")
    made = trainer("bgan", form="continuous")
    assert len(made.model.sample(2, seed=0).unique()) > 100
    refused("binary pixels, not points: use --form continuous", lambda: discrete((2,), form="discrete"))


# ---- the discriminator's loss, and the continuous form -------------------------------------------------------------


class Logit(nn.Module):
    """A discriminator whose score is one parameter for each sample."""

    def __init__(self, score: list[float]) -> None:
        super().__init__()
        self.score = nn.Parameter(torch.tensor(score))

    def forward(self, x: Tensor) -> Tensor:
        return self.score.repeat(len(x) // len(self.score))


def continuous(score: list[float]):
    """The terms of D and of G where D gives these scores, and the gradient of G's in them."""
    made = trainer("bgan", (2,), batch_size=len(score))
    D = made.model.discriminator = Logit(score)
    (_, d_terms, _), (_, g_terms) = made.model.step(made.batches)
    (gradient,) = torch.autograd.grad(g_terms["boundary"], D.score)
    return sum(d_terms.values()).item(), g_terms["boundary"].item(), gradient


def test_values_where_every_score_is_zero():
    d, g, gradient = continuous([0.0] * 4)
    assert d == pytest.approx(1.386294, abs=1e-6)
    assert g == 0
    assert not gradient.any()
    made = trainer("bgan")
    made.model.discriminator = Logit([0.0])
    _, terms, watched = next(made.model.step(made.batches))
    assert sum(terms.values()).item() == pytest.approx(1.386294, abs=1e-6)
    assert {name: len(value) for name, value in watched.items()} == {"real": 6, "fake": 18}


@pytest.mark.parametrize("value", [-3.0, -0.1, 2.0, 50.0, 200.0])
def test_the_boundary_loss_draws_every_score_to_zero(value):
    """0.5 d^2 and d/N: nothing at the boundary, back from beyond it. The control, GAN's loss, always pushes up. Known
    mistake: from probabilities, log p - log(1 - p), which is infinite once p has become 1."""
    d, g, gradient = continuous([value, 0.0])
    assert g == pytest.approx(value**2 / 4)
    assert gradient.tolist() == pytest.approx([value / 2, 0])
    assert d == pytest.approx((as_real(torch.tensor([value, 0.0])) + as_fake(torch.tensor([value, 0.0]))).item())
    score = torch.tensor([value], requires_grad=True)
    (other,) = torch.autograd.grad(as_real(score), score)
    assert other.item() <= 0
    p = score.sigmoid()
    assert (p.log() - (1 - p).log()).isfinite().all() == (value < 50)


# ---- the step, networks and numbers ------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["discrete", "continuous"])
def test_the_discriminators_loss_never_reaches_g(form):
    made = trainer("bgan", form=form)
    step = made.model.step(made.batches)
    sum(next(step)[1].values()).backward()
    assert all(p.grad is None for p in made.model.generator.parameters())
    assert all(p.grad is not None for p in made.model.discriminator.parameters())
    sum(next(step)[1].values()).backward(inputs=list(made.model.generator.parameters()))
    assert all(p.grad is not None for p in made.model.generator.parameters())


@pytest.mark.parametrize(
    ("shape", "norms", "latent_dim"), [((1, 16, 16), [2, 0], 64), ((3, 16, 16), [2, 1], 128), ((2,), [0, 0], 2)]
)
def test_numbers(shape, norms, latent_dim):
    """Released: no batch norm in D where images are binary, and in G's networks always. Known mistake: eps 0.8."""
    made = trainer("bgan", shape)
    model, points = made.model, len(shape) == 1
    for moved in made.players.values():
        (group,) = moved.optimizer.param_groups
        assert isinstance(moved.optimizer, torch.optim.Adam)
        assert (group["lr"], group["betas"]) == ((1e-3, (0.5, 0.9)) if points else (1e-4, (0.5, 0.999)))
    actual = [
        [m.eps for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
        for network in (model.generator, model.discriminator)
    ]
    assert [len(each) for each in actual] == norms
    assert {eps for each in actual for eps in each} <= {1e-5}
    assert (model.batch_size, model.sample_mode) == (256 if points else 64, "eval")
    assert registry.create("bgan", (1, 8, 8), width=2).config.num_samples == 20
    z = model.latent(4000)
    assert z.shape[1] == latent_dim
    assert (z.min().item() >= 0) != points
    assert points or z.mean().item() == pytest.approx(0.5, abs=0.01)
