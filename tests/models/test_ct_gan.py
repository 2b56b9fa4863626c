"""CT-GAN against its paper: the consistency term in numbers, what it sees and what it does not, the released networks
and settings; the semi-supervised form; the known mistakes."""

import math
from itertools import repeat

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium import registry
from ganarium.data.batches import Batches
from ganarium.data.dataset import PartlyLabelledImages
from ganarium.data.sources import points as toys
from ganarium.layers.heads import SplitDiscriminator
from ganarium.layers.penalized import LeakyReLU
from ganarium.layers.weight_norm import WeightNormed
from ganarium.networks.backbones import backbone
from ganarium.networks.improved_gan import NoisyPerceptron
from ganarium.testing import NoSync
from ganarium.trainer import Trainer
from synthetic import refused, trainer

LOG10 = math.log(10)


class Given(nn.Module):
    """A critic that says what it is told to, part by part of a batch; what it was shown is kept."""

    def __init__(self, features: list[Tensor], scores: list[Tensor]) -> None:
        super().__init__()
        self.told, self.scores, self.shown = torch.cat(features), torch.cat(scores), []

    def features(self, x: Tensor) -> Tensor:
        self.shown.append(x)
        return self.told.to(x)[: len(x)] + 0 * x.flatten(1).sum(1, keepdim=True)

    def head(self, features: Tensor) -> Tensor:
        return self.scores.to(features)[: len(features)] + 0 * features.sum()

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


def first_terms(made: Trainer, seed: int = 0) -> dict[str, Tensor]:
    """The terms of D's first update."""
    torch.manual_seed(seed)
    return next(made.model.step(made.batches))[1]


# ---- the consistency term ----------------------------------------------------------------------------------------

SCORES = [torch.tensor([1.0, 0.0]), torch.tensor([0.0, 3.0]), torch.tensor([5.0, 5.0])]
FEATURES = [
    torch.tensor([[0.0, 0, 0, 2], [1, 1, 1, 1]]),
    torch.tensor([[0.0, 0, 0, 0], [1, 1, 1, 0]]),
    torch.ones(2, 4),
]
APART = [1 + 0.1 * 4 / 4, 9 + 0.1 * 1 / 4]  # of each real: D squared, and a tenth of the mean square of D_


@pytest.mark.parametrize("margin", [0.0, 1.0, 2.0, 100.0])
def test_the_term_in_numbers(margin):
    """lambda_2 E[max(0, d(D(x'), D(x'')) + 0.1 d(D_(x'), D_(x'')) - M')]; a margin above all makes it 0."""
    made = trainer("ct_gan", (2,), batch_size=2, margin=margin)
    made.model.critic = Given(FEATURES, SCORES)
    expected = 2 * sum(max(0, apart - margin) for apart in APART) / 2
    assert first_terms(made)["consistency"].item() == pytest.approx(expected, rel=1e-6)


def test_control_sums_over_units_and_the_norm_are_other_numbers():
    (one, two, _), squares = FEATURES, (SCORES[0] - SCORES[1]).square()
    mistakes = [squares + 0.1 * (one - two).square().sum(1), squares + 0.1 * (one - two).norm(dim=1)]
    for mistaken in mistakes:
        assert 2 * mistaken.mean().item() != pytest.approx(sum(APART), rel=1e-2)


def shown(**options) -> tuple[Tensor, Tensor]:
    """What D is shown in its first update, and the reals of it."""
    made = trainer("ct_gan", (2,), batch_size=2, **options)
    made.model.critic = critic = Given(FEATURES, SCORES)
    made.batches.drawn = 0
    first_terms(made)
    made.batches.drawn = 0
    return critic.shown[0], next(made.batches).image


def test_one_real_goes_twice_through_d():
    """Known mistake: two real batches. x' and x'' are the same images, and the third part are fakes."""
    seen, real = shown()
    first, second, fake = seen.chunk(3)
    assert torch.equal(first, real)
    assert torch.equal(second, real)
    assert not torch.equal(fake, real)


def apart(D: SplitDiscriminator, first: Tensor, second: Tensor) -> float:
    """The consistency term of any two batches, without margin."""
    features = D.features(torch.cat([first, second]))
    (a, b), (score_a, score_b) = features.chunk(2), D.head(features).chunk(2)
    return 2 * ((score_a - score_b).square() + 0.1 * (a - b).square().mean(1)).mean().item()


def test_the_term_is_exactly_zero_without_dropout():
    made = trainer("ct_gan", dropout=0.0)
    assert first_terms(made)["consistency"].item() == 0.0
    made = trainer("ct_gan")
    assert first_terms(made)["consistency"].item() > 0
    made.model.eval()
    assert first_terms(made)["consistency"].item() == 0.0


def test_control_other_forms_are_not_zero_without_dropout():
    """Known mistakes: two different real batches; noise on the input called CT."""
    made = trainer("ct_gan", dropout=0.0)
    D, real = made.model.critic, next(made.batches).image
    assert apart(D, real, real) == 0.0
    assert apart(D, real, next(made.batches).image) > 0
    assert apart(D, real, real + 0.1 * torch.randn_like(real)) > 0


@pytest.mark.parametrize("network", ["mlp", "dcgan", "resnet"])
def test_dropout_strikes_each_row_by_itself(network):
    """One pass over x', x'' and the fakes gives each an independent mask, as separate passes do."""
    torch.manual_seed(0)
    D = trainer("ct_gan", network=network, width=16).model.critic.train()
    x = torch.rand(1, 1, 16, 16)
    zeros = D.features(x.repeat(400, 1, 1, 1))
    assert (zeros[0] != zeros[1]).any()
    assert len(zeros.unique(dim=0)) > 390
    apart_in_one = D.head(zeros).chunk(2)
    apart_in_two = D(x.repeat(200, 1, 1, 1)), D(x.repeat(200, 1, 1, 1))
    one, two = ((a - b).square().mean().item() for a, b in (apart_in_one, apart_in_two))
    assert one == pytest.approx(two, rel=0.5)
    assert one > 0


def test_the_term_ignores_fakes():
    made = trainer("ct_gan", (2,), batch_size=8)
    values, mistaken = [], []
    for shift in (0.0, 5.0):
        made.batches.drawn = 0
        made.model.generate = lambda n, shift=shift: torch.full((n, 2), shift)
        values.append(first_terms(made)["consistency"].item())
        fake = torch.full((8, 2), shift)
        torch.manual_seed(0)
        mistaken.append(apart(made.model.critic, fake, fake))  # known mistake: CT on fakes
    assert values[0] == values[1] > 0
    assert mistaken[0] != pytest.approx(mistaken[1], rel=1e-3)


def test_gradient_reaches_d_and_not_g():
    made = trainer("ct_gan")
    first_terms(made)["consistency"].backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in made.model.critic.parameters())
    assert all(p.grad is None for p in made.model.generator.parameters())


def test_dropout_is_active_in_every_pass_of_training():
    """In the scores, in the penalty and in G's step; known mistake: only where the term is computed."""
    made = trainer("ct_gan", batch_size=4, num_critic_steps=1)
    D, masks = made.model.critic, []
    for layer in D.modules():
        if isinstance(layer, nn.Dropout):
            layer.register_forward_hook(lambda layer, given, out: masks.append((out == 0).float().mean().item()))
    count = sum(isinstance(layer, nn.Dropout) for layer in D.modules())
    for _ in made.model.step(made.batches):
        pass
    assert len(masks) == 3 * count  # scores of all, the penalty, G's step
    assert all(share > 0.3 for share in masks)


# ---- the Wasserstein part ------------------------------------------------------------------------------------------


def test_terms_of_a_critic_that_says_nothing():
    made = trainer("ct_gan", batch_size=4, num_critic_steps=1)
    nn.init.zeros_(made.model.critic.last.weight)
    (_, terms, _), (_, last) = made.model.step(made.batches)
    assert (terms["wasserstein"].item(), terms["penalty"].item(), last["wasserstein"].item()) == (0.0, 10.0, 0.0)
    sum(terms.values()).backward()
    assert all(p.grad.isfinite().all() for p in made.model.critic.parameters() if p.grad is not None)


def test_the_penalty_lies_between_reals_and_fakes():
    made = trainer("ct_gan", (2,), batch_size=2)
    made.batches.images.zero_()
    made.model.critic, made.model.generate = Given(FEATURES, SCORES), lambda n: torch.tensor([[3.0, 0.0]]).expand(n, 2)
    first_terms(made)
    _, between = made.model.critic.shown
    assert ((between[:, 0] > 0) & (between[:, 0] < 3)).all()
    assert (between[:, 1] == 0).all()


def test_one_place_on_the_line_for_each_sample():
    """With reals 0 and fakes 1 the critic sees 1 - e. Known mistakes: one e for the batch, one for each number."""
    made = trainer("ct_gan", (2,), batch_size=40)
    made.batches.images.zero_()
    made.model.critic = Given([torch.zeros(120, 3)], [torch.zeros(120)])
    made.model.generate = lambda n: torch.ones(n, 2)
    first_terms(made)
    _, between = made.model.critic.shown
    assert torch.equal(between[:, 0], between[:, 1])
    assert len(between[:, 0].unique()) == 40


def test_watched_scores():
    """Of x' and of the fakes."""
    made = trainer("ct_gan", (2,), batch_size=2)
    made.model.critic = Given(FEATURES, SCORES)
    _, _, seen = next(made.model.step(made.batches))
    assert (seen["real"].tolist(), seen["fake"].tolist()) == ([1, 0], [5, 5])


def test_adding_a_constant_to_every_score():
    """D's loss does not change, and G's moves by it: why the last bias never moves."""
    values = []
    for shift in (0.0, 7.0):
        made = trainer("ct_gan", batch_size=4, num_critic_steps=1)
        made.model.critic.last.bias.data += shift
        torch.manual_seed(0)
        (_, terms, _), (_, last) = made.model.step(made.batches)
        values.append([*(value.item() for value in terms.values()), last["wasserstein"].item()])
    assert values[1][:3] == pytest.approx(values[0][:3], abs=1e-5)
    assert values[1][3] == pytest.approx(values[0][3] - 7, abs=1e-5)
    assert list(made.model.still) == ["critic.last.bias"]


@pytest.mark.parametrize("norm", ["none", "layer", "spectral"])
@pytest.mark.parametrize("network", ["mlp", "dcgan", "resnet"])
def test_the_parameter_that_never_moves_is_named(network, norm):
    made = trainer("ct_gan", network=network, norm=norm)
    terms = first_terms(made)
    (name,) = made.model.still
    (gradient,) = torch.autograd.grad(sum(terms.values()), dict(made.model.named_parameters())[name])
    assert gradient.abs().item() < 1e-6


class Line(nn.Module):
    """A linear critic of points, whose last layer reads its own score."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([-1.5, 0.1]))

    def features(self, x: Tensor) -> Tensor:
        return x @ self.weight[:, None]

    def head(self, features: Tensor) -> Tensor:
        return features.squeeze(1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


def test_slope_of_a_linear_critic():
    """Without dropout it is WGAN-GP: -s L + lambda (s - 1)^2 is least at s = 1 + L / (2 lambda) = 1.05."""
    made = trainer("ct_gan", (2,), penalty_weight=10.0, batch_size=8)
    made.model.critic, made.model.generate = Line(), lambda n: torch.tensor([[1.0, 0.0]]).expand(n, 2)
    made.batches.images.zero_()
    rule = torch.optim.SGD(made.model.critic.parameters(), lr=0.02)
    for _ in range(300):
        rule.zero_grad()
        sum(next(made.model.step(made.batches))[1].values()).backward()
        rule.step()
    assert made.model.critic.weight.tolist() == pytest.approx([-1.05, 0], abs=1e-3)


def test_critic_is_to_be_high_on_reals():
    made = trainer("ct_gan", (2,), batch_size=8)
    made.batches.images.fill_(2.0)
    made.model.critic, made.model.generate = Line(), lambda n: torch.ones(n, 2)
    made.model.critic.weight.data = torch.tensor([1.0, 0.0])
    *critic, (_, last) = made.model.step(made.batches)
    assert (critic[0][1]["wasserstein"].item(), last["wasserstein"].item()) == (1 - 2, -1)


def test_order_of_the_updates():
    """Five of D on fresh data and noise, one of G on noise of its own."""
    made = trainer("ct_gan", batch_size=4)
    model, drawn = made.model, []
    latent = model.latent
    model.latent = lambda n: drawn.append(latent(n)) or drawn[-1]
    assert [update.player for update in made.updates()] == ["D"] * 5 + ["G"]
    assert made.batches.drawn == 20
    assert len({tuple(z[0].tolist()) for z in drawn}) == 6


# ---- networks and settings -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("shape", "width", "norms"), [((1, 28, 28), 64, 0), ((3, 32, 32), 128, 3)])
def test_released_networks(shape, width, norms):
    """WGAN-GP's, with dropout of a half behind each of the three LeakyReLU; no normalisation in D."""
    model = registry.create("ct_gan", shape)
    up = [m for m in model.generator.modules() if isinstance(m, nn.ConvTranspose2d)]
    down = [m for m in model.critic.modules() if isinstance(m, nn.Conv2d)]
    assert [m.out_channels for m in up] == [2 * width, width, shape[0]]
    assert [m.out_channels for m in down] == [width, 2 * width, 4 * width]
    assert {(m.kernel_size, m.stride) for m in up + down} == {((5, 5), (2, 2))}
    order = [type(m).__name__ for m in model.critic.modules() if isinstance(m, nn.Conv2d | LeakyReLU | nn.Dropout)]
    assert order == ["Conv2d", "LeakyReLU", "Dropout"] * 3
    assert {m.p for m in model.critic.modules() if isinstance(m, nn.Dropout)} == {0.5}
    assert not [m for m in model.critic.modules() if "Norm" in type(m).__name__]
    assert sum(isinstance(m, nn.BatchNorm2d) for m in model.generator.modules()) == norms
    assert model.critic.features(torch.zeros(2, *shape)).shape == (2, 4 * width * 16)


def test_numbers():
    made = trainer("ct_gan")
    for moved in made.players.values():
        (group,) = moved.optimizer.param_groups
        assert isinstance(moved.optimizer, torch.optim.Adam)
        assert (group["lr"], group["betas"]) == (1e-4, (0.5, 0.9))
    model = made.model
    assert (model.penalty_weight, model.consistency_weight, model.config.margin) == (10.0, 2.0, 0.0)
    assert model.config.num_critic_steps == 5
    z = model.latent(4000)
    assert z.shape == (4000, 128)
    assert (z.mean().item(), z.std().item()) == pytest.approx((0, 1), abs=0.01)
    assert (model.batch_size, registry.create("ct_gan", (3, 16, 16), width=4).batch_size) == (50, 64)


@pytest.mark.parametrize(("network", "shape"), [("mlp", (1, 12, 12)), ("dcgan", (3, 12, 12)), ("resnet", (1, 12, 12))])
@pytest.mark.parametrize("norm", ["none", "layer", "spectral"])
def test_any_network_in_two_parts_is_the_same_function(network, shape, norm):
    for classes in (None, 10):
        torch.manual_seed(0)
        whole = backbone("ct_gan", network, shape, 8, 8, generator_norm=False, norm=norm, dropout=0.5).discriminator
        torch.manual_seed(0)
        again = backbone("ct_gan", network, shape, 8, 8, generator_norm=False, norm=norm, dropout=0.5).discriminator
        parts = SplitDiscriminator(again, classes, norm).eval()
        x = torch.rand(3, *shape)
        assert torch.equal(parts(x), parts.head(parts.features(x)))
        if classes:
            assert parts(x).shape == (3, 10)
            assert hasattr(parts.last, "parametrizations") is (norm == "spectral")
        else:
            torch.testing.assert_close(parts(x), whole.eval()(x))
        assert sum(isinstance(m, nn.Linear) for m in parts.modules()) == sum(
            isinstance(m, nn.Linear) for m in whole.modules()
        )


@pytest.mark.parametrize("semi", [False, True])
@pytest.mark.parametrize("network", ["auto", "mlp", "dcgan", "resnet"])
def test_every_network_trains(network, semi):
    for shape in ((1, 8, 8), (3, 9, 14)):
        made = trainer("ct_gan", shape, network=network, semi_supervised=semi, width=8, total=2)
        for _ in made:
            pass
        assert len(made.drain().rows) == 2
        assert made.model.sample(2, seed=0).shape == (2, *shape)


def test_batch_norm_in_d_is_refused():
    refused("ct_gan penalises ... --norm layer or none", lambda: registry.create("ct_gan", (1, 16, 16), norm="batch"))


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ("leave --penalty-weight and --num-critic-steps away", {"penalty_weight": 5.0}),
        ("leave --penalty-weight and --num-critic-steps away", {"num_critic_steps": 2}),
        ("use --network mlp, dcgan or resnet", {"norm": "layer"}),
        ("use --network mlp, dcgan or resnet", {"dropout": 0.1}),
        ("width must be at least 2", {"width": 1}),
    ],
)
def test_options_that_the_semi_supervised_form_has_not(words, options):
    refused(words, lambda: registry.create("ct_gan", (1, 16, 16), 4, semi_supervised=True, **options))


def test_the_semi_supervised_form_needs_classes():
    refused("has no labels", lambda: registry.create("ct_gan", (1, 16, 16), None, semi_supervised=True))
    refused("has one class", lambda: registry.create("ct_gan", (1, 16, 16), 1, semi_supervised=True))


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("dropout", 1.0, "must be from 0 to below 1"),
        ("dropout", -0.1, "must be from 0 to below 1"),
        ("beta1", 1.0, "must be from 0 to below 1"),
        ("consistency_weight", -1.0, "must be at least 0"),
        ("margin", -0.5, "must be at least 0"),
    ],
)
def test_values_out_of_range(option, value, words):
    refused(f"{option} {words}", lambda: registry.create("ct_gan", (1, 16, 16), **{option: value}))


def test_a_weight_of_zero_is_zero():
    """The control of the paper's claim: dropout without the term."""
    made = trainer("ct_gan", consistency_weight=0.0)
    assert first_terms(made)["consistency"].item() == 0.0
    assert made.model.critic.training


# ---- semi-supervised: the losses -----------------------------------------------------------------------------------


def semi(shape=(1, 8, 8), **options) -> Trainer:
    return trainer("ct_gan", shape, **({"semi_supervised": True, "width": 8} | options))


def told(logits: list[Tensor], **options) -> dict[str, Tensor]:
    """D's terms where it says these logits of the labelled, the unlabelled twice, and the fakes."""
    made = semi(batch_size=len(logits[0]), **options)
    made.batches.labels = made.batches.labels * 0
    made.model.critic = Given([torch.zeros(len(part), 3) for part in logits], logits)
    return first_terms(made)


def numbers(terms: dict[str, Tensor]) -> list[float]:
    return [terms[name].item() for name in ("labelled", "real", "fake", "consistency")]


def test_values_at_zero_logits():
    """K = 10: supervised log 10; unsupervised -log 10 + 2 log 11 = 2.4932, halved; no inconsistency."""
    terms = told([torch.zeros(4, 10)] * 4)
    assert terms["labelled"].item() == pytest.approx(LOG10, rel=1e-6)
    assert 2 * (terms["real"] + terms["fake"]).item() == pytest.approx(2.4932, abs=1e-4)
    assert 2 * terms["fake"].item() == pytest.approx(math.log(11), rel=1e-6)
    assert terms["consistency"].item() == 0.0


def test_it_is_a_softmax_over_k_plus_1_classes_of_which_the_last_logit_is_0():
    torch.manual_seed(0)
    logits = [torch.randn(6, 10) for _ in range(4)]
    terms = told(logits)
    odds = [F.pad(part, (0, 1)).softmax(1) for part in logits]
    assert 2 * terms["real"].item() == pytest.approx(-(1 - odds[1][:, 10]).log().mean().item(), rel=1e-5)
    assert 2 * terms["fake"].item() == pytest.approx(-odds[3][:, 10].log().mean().item(), rel=1e-5)
    assert terms["labelled"].item() == pytest.approx(-logits[0].log_softmax(1)[:, 0].mean().item(), rel=1e-5)


def test_every_labelled_image_has_its_own_label():
    torch.manual_seed(0)
    made, logits, label = semi(batch_size=6), torch.randn(6, 4), torch.tensor([3, 0, 2, 1, 1, 0])
    image = torch.zeros(6, 1, 8, 8)
    made.model.critic = Given([torch.zeros(24, 3)], [logits, *[torch.zeros(6, 4)] * 3])
    _, terms, _ = next(made.model.step(iter([PartlyLabelledImages(image, label, image)])))
    by_hand = -logits.softmax(1)[torch.arange(6), label].log().mean().item()
    assert terms["labelled"].item() == pytest.approx(by_hand, rel=1e-5)


def test_a_constant_on_all_logits_is_seen_by_the_unsupervised_part_alone():
    torch.manual_seed(0)
    logits = [torch.randn(6, 10) for _ in range(4)]
    plain, moved = numbers(told(logits)), numbers(told([part + 3 for part in logits]))
    assert (moved[0], moved[3]) == pytest.approx((plain[0], plain[3]), rel=1e-4)
    assert moved[1] < plain[1]
    assert moved[2] > plain[2]


@pytest.mark.parametrize("margin", [0.0, 0.05])
def test_consistency_of_probabilities_in_numbers(margin):
    """0.5 lambda_2 E[max(0, mean over the classes of (p' - p'')^2 - M')], lambda_2 = 0.1; D_ has no part in it."""
    certain, even = torch.tensor([[50.0, 0, 0, 0]]), torch.zeros(1, 4)
    logits = [torch.zeros(2, 4), torch.cat([certain, even]), torch.cat([even, even]), torch.zeros(2, 4)]
    expected = 0.5 * 0.1 * max(0, (0.75**2 + 3 * 0.25**2) / 4 - margin) / 2
    assert told(logits, margin=margin)["consistency"].item() == pytest.approx(expected, rel=1e-5)
    mistaken = 0.5 * 0.1 * max(0, (50**2 / 4) - margin) / 2  # of the logits, not of the probabilities
    assert mistaken != pytest.approx(expected, rel=1)


def test_the_unlabelled_go_twice_through_d_and_the_labelled_once():
    made = semi(batch_size=6)
    given = Given([torch.zeros(6, 3)] * 4, [torch.zeros(6, 4)] * 4)
    made.model.critic, start = given, made.batches.drawn
    first_terms(made)
    made.batches.drawn = start
    image, _, unlabelled = next(made.batches)
    labelled, first, second, fake = given.shown[0].chunk(4)
    assert torch.equal(labelled, image)
    assert torch.equal(first, unlabelled)
    assert torch.equal(second, unlabelled)
    assert not torch.equal(fake, unlabelled)


@pytest.mark.parametrize("network", ["auto", "mlp"])
def test_consistency_of_the_semi_supervised_form(network):
    """Zero where nothing is disturbed; else it moves D and not G."""
    made = semi(network=network)
    first_terms(made)["consistency"].backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in made.model.critic.parameters())
    assert all(p.grad is None for p in made.model.generator.parameters())
    made.model.eval()
    assert first_terms(made)["consistency"].item() == 0.0


class Turns(nn.Module):
    """A critic that gives other features each time it is asked: of D's step, of G's reals, of G's fakes."""

    def __init__(self, *turns: Tensor) -> None:
        super().__init__()
        self.turns = iter(turns)

    def features(self, x: Tensor) -> Tensor:
        return next(self.turns) + 0 * x.sum()

    def forward(self, x: Tensor) -> Tensor:
        return self.features(x)


def test_feature_matching_in_numbers():
    """The mean over the units of the squared difference of the means; nothing if the means are the same."""
    real, fake = torch.tensor([[1.0, 0, 0, 0], [3, 0, 0, 0]]), torch.tensor([[0.0, 0, 0, 1], [0, 0, 0, 3]])
    for made, expected in ((fake, (2**2 + 2**2) / 4), (real.flip(0), 0.0)):
        model, batches = (own := semi((2,), batch_size=2)).model, own.batches
        model.critic = Turns(torch.zeros(8, 4), real, made)
        _, (_, terms) = model.step(batches)
        assert terms["matching"].item() == pytest.approx(expected)
    assert (real - fake).square().mean().item() != pytest.approx(2.0)  # known mistake: sample by sample


class Level(nn.Module):
    """A critic whose only feature is the mean of an image."""

    def features(self, x: Tensor) -> Tensor:
        return x.flatten(1).mean(1, keepdim=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.features(x).expand(-1, 4)


def test_features_are_matched_on_unlabelled_images():
    """Unlabelled images are 1, labelled ones -1 and fakes 0: the difference is 1, and would be 1 of the labelled ones
    with another sign. Then fakes of 0.5: 0.25, and of the labelled ones it would be 2.25."""
    made = semi(batch_size=4)
    white = torch.ones(4, 1, 8, 8)
    batches = repeat(PartlyLabelledImages(-white, torch.arange(4), white))
    made.model.critic = Level()
    for fake, expected in ((0.0, 1.0), (0.5, 0.25)):
        made.model.generate = lambda n, fake=fake: fake * white[:n]
        (_, _, seen), (_, terms) = made.model.step(batches)
        assert terms["matching"].item() == pytest.approx(expected)
        assert seen["real"].tolist() == pytest.approx([1 + math.log(4)] * 4), "Z of the unlabelled"
        assert seen["fake"].tolist() == pytest.approx([fake + math.log(4)] * 4)


def test_feature_matching_moves_the_generator_towards_another_batch():
    """The reals of G's step are drawn anew."""
    made = semi(batch_size=4)
    step = made.model.step(made.batches)
    start = made.batches.drawn
    next(step)
    _, terms = next(step)
    assert made.batches.drawn == start + 8
    terms["matching"].backward()
    assert all(p.grad is not None for p in made.model.generator.parameters())


# ---- semi-supervised: networks and settings ------------------------------------------------------------------------


def test_released_perceptrons():
    model = registry.create("ct_gan", (1, 28, 28), 10, semi_supervised=True)
    layers = [m for m in model.critic.modules() if isinstance(m, WeightNormed)]
    assert all(m.direction.std().item() == pytest.approx(0.1, rel=0.1) for m in layers)
    sizes = [tuple(m.direction.shape) for m in layers]
    assert sizes == [(1000, 784), (500, 1000), (250, 500), (250, 250), (250, 250), (10, 250)]
    assert [m.noise for m in layers] == [0.3, 0.5, 0.5, 0.5, 0.5, 0.5]
    assert [isinstance(m.scale, nn.Parameter) for m in layers] == [False] * 5 + [True]
    dense = [m for m in model.generator.modules() if isinstance(m, nn.Linear)]
    assert [(m.in_features, m.out_features) for m in dense] == [(100, 500), (500, 500)]
    kinds = [type(m).__name__ for m in model.generator.layers]
    assert kinds == ["Linear", "BatchNorm1d", "Softplus"] * 2 + ["WeightNormed", "Sigmoid"]
    last = model.generator.layers[-2]
    assert (tuple(last.direction.shape), last.noise, isinstance(last.scale, nn.Parameter)) == ((784, 500), 0.0, True)
    assert model.sample_mode == "train"


def test_numbers_of_the_semi_supervised_form():
    made = semi(total=1)
    for moved in made.players.values():
        (group,) = moved.optimizer.param_groups
        assert (group["lr"], group["betas"], group["eps"]) == (3e-3, (0.5, 0.999), 1e-4)
    model = made.model
    assert (model.batch_size, model.batch_type, model.consistency_weight) == (100, PartlyLabelledImages, 0.1)
    assert (model.ema, model.still) == ({"critic": 0.9999}, {})
    z = model.latent(4000)
    assert z.shape == (4000, 100)
    assert 0 <= z.min() < 0.001 < 0.999 < z.max() <= 1
    made.iterate()
    assert [key for key in made.drain().rows[0] if key.startswith("G")] == ["G/matching"]


def test_a_noisy_layer():
    """Rows of length 1 times their scale; noise in training alone, of the given deviation."""
    torch.manual_seed(0)
    layer = WeightNormed(50, 3, 0.5, 0.1, trained_scale=False)
    x = torch.randn(1, 50).repeat(20_000, 1)
    noisy, exact = layer.train()(x), layer.eval()(x)
    assert torch.allclose(exact[0], F.linear(x[0], layer.direction / layer.direction.norm(dim=1, keepdim=True)))
    assert noisy.std(0).tolist() == pytest.approx([0.5] * 3, rel=0.03)
    assert torch.allclose(noisy.mean(0), exact[0], atol=0.02)
    layer.direction.data *= 7
    assert torch.allclose(layer(x), exact, atol=1e-5)


def test_initialisation_from_data():
    """On the first images every layer but the last has outputs of mean 0 and variance 1, before its ReLU."""
    torch.manual_seed(0)
    D, x = NoisyPerceptron((1, 8, 8), 20, 10).train(), torch.rand(2000, 1, 8, 8) * 2 - 1
    D.begin(x)
    x = (x.flatten(1) + 1) / 2
    for layer in [*D.hidden, D.last]:
        x = layer(x)
        assert x.mean(0).abs().max() < 0.1
        assert x.std(0).tolist() == pytest.approx([1.0] * x.shape[1], abs=0.1)
        x = F.relu(x)
    made, plain = semi(prepare=True), semi(prepare=False)
    assert made.batches.drawn == 500
    assert not torch.equal(made.model.critic.last.scale, plain.model.critic.last.scale)
    assert torch.equal(made.model.averages["critic"].last.scale, made.model.critic.last.scale)


def test_hidden_scales_are_no_parameters_and_stay():
    made = semi(total=3)
    before = [layer.scale.clone() for layer in made.model.critic.hidden]
    last = made.model.critic.last.scale.clone()
    for _ in made:
        pass
    assert all(torch.equal(layer.scale, b) for layer, b in zip(made.model.critic.hidden, before, strict=True))
    assert not torch.equal(made.model.critic.last.scale, last)


@pytest.mark.parametrize("network", ["auto", "dcgan"])
def test_rules_of_a_step_hold_for_the_semi_supervised_form(network):
    """No host synchronisation, full precision under autocast, only the named player moves, all of it moves."""
    made = semi(network=network, total=10)
    with NoSync():
        for _ in made.model.step(made.batches):
            pass
    with torch.autocast("cpu", torch.bfloat16):
        items = [*made.model.step(made.batches)]
    assert {term.dtype for item in items for term in item[1].values()} == {torch.float32}
    start = {key: value.clone() for key, value in made.model.named_parameters()}
    for _ in range(10):
        before = {key: value.clone() for key, value in made.model.named_parameters()}
        for player, _, _ in made.updates():
            own = "critic." if player == "D" else "generator."
            for key, value in made.model.named_parameters():
                assert key.startswith(own) or torch.equal(value, before[key]), f"{player} moved {key}"
            before = {key: value.clone() for key, value in made.model.named_parameters()}
    assert not [key for key, value in made.model.named_parameters() if torch.equal(value, start[key])]


def test_golden_losses_of_the_semi_supervised_form():
    """The tenth iteration, in float64, as tests/golden has those of the other form."""
    made = trainer(
        "ct_gan", (1, 8, 8), total=10, batch_size=16, precision="fp64", seed=7, semi_supervised=True, width=8
    )
    for _ in made:
        pass
    expected = {
        "step": 10,
        "D/labelled": 1.6858003387399114,
        "D/real": 0.1353000954964221,
        "D/fake": 0.672888140442143,
        "D/consistency": 0.002512105640373635,
        "G/matching": 0.008719413527469303,
    }
    assert made.drain().rows[-1] == pytest.approx(expected, rel=1e-6)


# ---- semi-supervised: it learns ------------------------------------------------------------------------------------


def accuracy(seed: int, steps: int, **options) -> float:
    """Held-out accuracy on the eight Gaussians of the ring, of whose 100,000 points 8 have a label."""
    torch.manual_seed(seed)
    train, test = toys.ring()
    model = registry.create("ct_gan", (2,), 8, semi_supervised=True, width=32, **options)
    made = Trainer(model, Batches(train.keep_labels(1, seed), PartlyLabelledImages, 64, seed=seed), steps)
    for _ in made:
        pass
    return (model.classify(test.images[:2000]) == test.labels[:2000]).double().mean().item()


def test_it_learns_to_classify_points():
    assert accuracy(0, 150, lr=3e-3) > 0.95
    assert accuracy(0, 0, lr=3e-3) < 0.5
