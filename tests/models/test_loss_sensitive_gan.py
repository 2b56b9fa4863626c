"""The loss-sensitive GAN against its paper: the margin and the hinge at chosen losses, the margin law with G frozen,
the two forms at its ends, the released settings, the conditional form, the known mistakes."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import ganarium
from ganarium import registry
from ganarium.data.batches import Batches
from ganarium.data.dataset import Images, LabelledImages
from ganarium.data.sources import points as toys
from ganarium.testing import NoSync
from ganarium.trainer import Trainer
from synthetic import refused, trainer


class Given(nn.Module):
    """A loss network that gives reals and fakes these losses in turn, whatever they are."""

    def __init__(self, *losses: Tensor) -> None:
        super().__init__()
        self.losses = [loss.clone().requires_grad_() for loss in losses]
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        loss = self.losses[self.calls % len(self.losses)]
        self.calls += 1
        return loss + 0 * x.flatten(1).sum(1)


def played(real: Tensor, fake: Tensor, distance: float = 3.0, **options):
    """The terms of both players, and the losses given, where each pair of points is `distance` apart in L1."""
    made = trainer("loss_sensitive_gan", (2,), batch_size=len(real), **options)
    made.batches.images.zero_()
    made.model.discriminator = L = Given(real, fake, fake)
    made.model.generate = lambda n, label=None: torch.tensor([[distance - 1, -1.0]]).expand(n, 2)
    (_, terms, seen), (_, g_terms) = made.model.step(made.batches)
    return terms, g_terms["loss"], L.losses, seen


# ---- losses --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
def test_equal_losses_cost_the_mean_margin(scale):
    terms, g, _, _ = played(torch.zeros(4), torch.zeros(4), margin_scale=scale)
    assert terms["margin"].item() == pytest.approx(3 * scale)
    assert terms["real"].item() == 0
    assert g.item() == 0


def test_values_at_chosen_losses():
    """By hand: the margin is 3, so max(0, 3 + L(x) - L(G(z))) is 1, 0, 8 and 3."""
    real, fake = torch.tensor([0.0, 1.0, 4.0, 2.0]), torch.tensor([2.0, 6.0, -1.0, 2.0])
    terms, g, _, seen = played(real, fake, gamma=0.5)
    assert terms["margin"].item() == pytest.approx(12 / 4)
    assert terms["real"].item() == pytest.approx(0.5 * 7 / 4)
    assert g.item() == pytest.approx(9 / 4)  # L is a loss: G lowers it. Known mistake: the sign
    assert torch.equal(seen["real"], -real)
    assert torch.equal(seen["fake"], -fake)


def test_satisfied_margins_cost_nothing_and_pull_nothing():
    """Exactly 0, value and gradient. The control is WGAN's loss, which goes on pulling."""
    real, fake = torch.zeros(4), torch.full((4,), 3.5)
    slopes = {}
    for slope in (0.0, 1.0):
        terms, _, losses, _ = played(real, fake, slope=slope)
        gradients = torch.autograd.grad(terms["margin"], losses[:2])
        slopes[slope] = [gradient.abs().max().item() for gradient in gradients]
        assert (terms["margin"].item() == 0) == (slope == 0)
    assert slopes == {0.0: [0, 0], 1.0: [0.25, 0.25]}


def test_slope_one_is_wgan():
    """GLS-GAN's other end: WGAN's critic, up to the mean margin, with -L as its score; and between them, both."""
    torch.manual_seed(0)
    real, fake = torch.randn(8) * 4, torch.randn(8) * 4
    wasserstein = (-fake).mean() - (-real).mean()
    terms, _, _, _ = played(real, fake, slope=1.0)
    assert terms["margin"].item() == pytest.approx(3 + wasserstein.item(), rel=1e-5)
    a = 3 + real - fake
    for slope in (0.0, 0.3, 1.0):
        expected = torch.maximum(a, slope * a).mean().item()
        assert played(real, fake, slope=slope)[0]["margin"].item() == pytest.approx(expected, rel=1e-5)


def test_control_least_squares_under_this_name():
    """Known mistake: the other LSGAN. It is not 0 where the margins hold, and depends on more than differences."""
    real, fake = torch.zeros(4), torch.full((4,), 3.5)

    def squares(r: Tensor, f: Tensor) -> Tensor:
        return (0.5 * (r - 1).square() + 0.5 * f.square()).mean()

    assert squares(real, fake) > 1
    assert abs(squares(real + 7, fake + 7) - squares(real, fake)) > 1
    assert played(real + 7, fake + 7)[0]["margin"] == played(real, fake)[0]["margin"] == 0


def test_pairs_are_by_place():
    real, fake = torch.tensor([0.0, 5.0]), torch.tensor([0.0, 9.0])
    assert played(real, fake)[0]["margin"].item() == pytest.approx((3 + 0) / 2)
    assert played(real, fake.flip(0))[0]["margin"].item() == pytest.approx((0 + 8) / 2)


def test_every_pair_has_its_own_margin():
    """Points that are 1 and 3 apart in L1, with losses 0 of the reals and 2 of the fakes: max(0, 1 - 2) and max(0, 3 -
    2), 0.5 on average. Known mistakes: the mean margin, 0, and the margins of other pairs."""
    made = trainer("loss_sensitive_gan", (2,), batch_size=2)
    real, fake = torch.tensor([[0.0, 0.0], [1.0, 1.0]]), torch.tensor([[0.0, 1.0], [4.0, 1.0]])
    made.model.discriminator = Given(torch.zeros(2), torch.full((2,), 2.0), torch.zeros(2))
    made.model.generate = lambda n, label=None: fake[:n]
    _, terms, _ = next(made.model.step(iter([Images(real)])))
    assert terms["margin"].item() == pytest.approx(0.5)


def test_the_margin_is_the_l1_distance_of_each_pair_and_constant():
    """At 3x64x64 and 3x32x32 the released scales. Known mistake: unscaled, a margin of thousands. No gradient for G."""
    for shape, scale in (((3, 64, 64), 2e-4), ((3, 32, 32), 8e-4), ((2,), 1.0)):
        assert registry.create("loss_sensitive_gan", shape).margin_scale == pytest.approx(scale)
    made = trainer("loss_sensitive_gan", (3, 16, 16), batch_size=4)
    model, n = made.model, 3 * 16 * 16
    model.discriminator = Given(torch.zeros(4), torch.zeros(4))
    _, terms, _ = next(model.step(made.batches))
    assert 0 < terms["margin"].item() < 2.4576 * 2
    assert terms["margin"].item() * n / 2.4576 > 100  # what it would be unscaled
    gradients = torch.autograd.grad(terms["margin"], list(model.generator.parameters()), allow_unused=True)
    assert all(gradient is None for gradient in gradients)


# ---- the margin law ------------------------------------------------------------------------------------------


def law(slope: float) -> list[tuple[float, float]]:
    """Points near 0 against points 1 to 3 away, G frozen: after 150 and after 300 updates, the share of pairs whose
    margin holds and the mean of L(G(z)) - L(x)."""
    made = trainer("loss_sensitive_gan", (2,), batch_size=64, width=64, slope=slope)
    model = made.model
    made.batches.images.mul_(0.05)  # apart from the fakes: where the two overlap, margins contradict each other
    model.generate = lambda n, label=None: F.normalize(torch.randn(n, 2)) * (1 + 2 * torch.rand(n, 1))
    rule = torch.optim.Adam(model.discriminator.parameters(), lr=1e-3)
    actual = []
    for done in range(1, 301):
        rule.zero_grad()
        sum(next(model.step(made.batches))[1].values()).backward()
        rule.step()
        if done % 150 == 0:
            with torch.no_grad():
                real, fake = next(made.batches).image, model.generate(64)
                gap = model.L(fake) - model.L(real)
                holds = gap >= (real - fake).abs().sum(1)
            actual.append((holds.double().mean().item(), gap.mean().item()))
    return actual


def test_margins_hold_and_then_nothing_grows():
    """Nine pairs of ten satisfy their margin and the gap stays; WGAN's without clipping (the control) grows on."""
    (_, early), (holds, late) = law(0.0)
    assert holds >= 0.9
    assert late < 1.3 * early
    (_, early), (_, late) = law(1.0)
    assert late > 2 * early


def test_control_without_a_margin_a_constant_is_best():
    terms, _, losses, _ = played(torch.ones(4), torch.ones(4), margin_scale=0.0)
    assert terms["margin"].item() == 0
    with_margin, _, losses, _ = played(torch.ones(4), torch.ones(4))
    assert torch.autograd.grad(with_margin["margin"], losses[0])[0].abs().sum() > 0


# ---- released settings ---------------------------------------------------------------------------------------


def test_the_released_unconditional_script():
    model = registry.create("loss_sensitive_gan", (3, 64, 64))
    made = trainer("loss_sensitive_gan", (3, 32, 32))
    for moved in made.players.values():
        (group,) = moved.optimizer.param_groups
        assert isinstance(moved.optimizer, torch.optim.Adam)
        assert (group["lr"], group["betas"][0]) == (1e-4, 0.5)
    assert (model.batch_size, model.gamma, model.relu, model.batch_type) == (64, 0.0, True, Images)
    assert model.sample_mode == "train"
    z = model.latent(1000)
    assert z.shape == (1000, 100)
    assert 0.99 < z.abs().max() <= 1
    for network in (model.generator, model.discriminator):
        norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
        assert norms
        assert all(m.eps == 1e-5 for m in norms)


def test_losses_are_not_below_zero_with_the_relu():
    x = torch.randn(64, 1, 16, 16)
    for relu in (True, False):
        model = trainer("loss_sensitive_gan", output_relu=relu).model
        assert (model.L(x) >= 0).all() == relu


# ---- the conditional form ------------------------------------------------------------------------------------


def conditional(shape=(1, 16, 16), **options):
    return trainer("loss_sensitive_gan", shape, conditional=True, **options)


def test_the_released_conditional_script():
    made = conditional((3, 32, 32))
    model = made.model
    (group,) = made.players["D"].optimizer.param_groups
    assert (group["lr"], model.gamma, model.batch_type) == (1e-3, 1.0, LabelledImages)
    assert model.margin_scale == pytest.approx(8e-4)
    assert model.discriminator(torch.zeros(5, 3, 32, 32)).shape == (5, 4)
    assert model.generator.project.in_features == 100 + 4
    z = model.latent(4000)
    assert (z.mean().item(), z.std().item()) == pytest.approx((0, 1), abs=0.02)


def test_the_loss_is_minus_the_log_softmax_at_the_label():
    """So no loss is below 0, and the class of the least loss is that of the greatest output."""
    model = conditional().model.eval()
    x, label = torch.randn(6, 1, 16, 16).tanh(), torch.tensor([0, 3, 1, 2, 0, 3])
    every = torch.stack([model.L(x, torch.full((6,), k)) for k in range(4)], 1)
    torch.testing.assert_close(model.L(x, label), every[torch.arange(6), label])
    torch.testing.assert_close((-every).exp().sum(1), torch.ones(6))
    assert torch.equal(model.classify(x), every.argmin(1))
    assert not torch.equal(model.classify(x), every.argmax(1))  # known mistake: the sign


def test_values_at_equal_outputs_of_all_classes():
    """log K for a real and for a fake, of whatever label; the margin is left."""
    made = conditional((2,), batch_size=4)
    made.batches.images.zero_()
    made.model.generate = lambda n, label=None: torch.tensor([[2.0, -1.0]]).expand(n, 2)
    torch.nn.init.zeros_(made.model.discriminator.head.weight)
    (_, terms, seen), (_, g_terms) = made.model.step(made.batches)
    assert terms["real"].item() == pytest.approx(math.log(4))
    assert terms["margin"].item() == pytest.approx(3)
    assert g_terms["loss"].item() == pytest.approx(math.log(4))
    assert seen["real"].tolist() == pytest.approx([-math.log(4)] * 4)


def test_a_real_raises_its_losses_for_the_other_labels():
    """Known mistake: an output for each class without the softmax. The outputs of the other labels are then left to
    chance on a real, and so are classes."""
    logits, label = torch.zeros(2, 4, requires_grad=True), torch.tensor([1, 2])
    model = conditional((2,)).model
    model.discriminator = nn.Identity()
    (gradient,) = torch.autograd.grad(model.L(logits, label).sum(), logits)
    assert gradient.tolist() == [[0.25, -0.75, 0.25, 0.25], [0.25, 0.25, -0.75, 0.25]]
    (mistaken,) = torch.autograd.grad(logits.gather(1, label[:, None]).sum(), logits)
    assert (mistaken != 0).sum() == 2


def test_the_conditional_step_never_waits_for_the_device():
    made = conditional()
    with NoSync():
        assert [player for player, *_ in made.model.step(made.batches)] == ["D", "G"]


def test_it_learns_to_classify_points():
    """The eight modes of the ring."""
    torch.manual_seed(0)
    train, test = toys.ring()
    model = registry.create("loss_sensitive_gan", (2,), 8, conditional=True, width=32)
    made = Trainer(model, Batches(train, LabelledImages, 64, seed=0), 200)

    def accuracy() -> float:
        return (model.classify(test.images[:2000]) == test.labels[:2000]).double().mean().item()

    assert accuracy() < 0.5
    for _ in made:
        pass
    assert accuracy() > 0.95


def test_a_fake_has_the_label_of_its_real():
    made = conditional(batch_size=6)
    model, told = made.model, []
    generate, L = model.generate, model.L
    model.generate = lambda n, label=None: told.append(label) or generate(n, label=label)
    model.L = lambda x, label=None: told.append(label) or L(x, label)
    for _ in model.step(made.batches):
        pass
    made.batches.drawn = 0
    label = next(made.batches).label
    assert len(told) == 5
    assert all(torch.equal(seen, label) for seen in told)


@pytest.mark.parametrize("network", ["mlp", "dcgan", "resnet"])
@pytest.mark.parametrize("norm", ["none", "batch", "spectral"])
def test_every_network_learns_from_labels(network, norm):
    """All parameters move but the ones that say why not."""
    made = conditional(network=network, norm=norm, width=16, total=6)
    before = {name: value.clone() for name, value in made.model.named_parameters()}
    for _ in made:
        pass
    made.drain()
    rested = [name for name, value in made.model.named_parameters() if torch.equal(value, before[name])]
    assert set(rested) <= set(made.model.still)


def test_labels_of_samples():
    made = conditional()
    model = made.model.eval()
    same = [model.sample(8, seed=0, label=k) for k in (0, 1, [1] * 8, torch.ones(8, dtype=torch.int64))]
    assert not torch.equal(same[0], same[1])
    assert torch.equal(same[1], same[2])
    assert torch.equal(same[1], same[3])
    assert model.sample(8, seed=0).shape == (8, 1, 16, 16)
    for wrong in (4, -1, 1.5, "cat", [0, 1]):
        refused("label must be a class from 0 to 3, for all 8", lambda wrong=wrong: model.sample(8, label=wrong))
    refused("is told no label", lambda: trainer("loss_sensitive_gan").model.sample(2, label=0))
    for classes, has in ((None, "no labels"), (1, "one class")):
        words = f"{has}: leave --conditional away"
        refused(
            words, lambda classes=classes: registry.create("loss_sensitive_gan", (1, 16, 16), classes, conditional=True)
        )
    refused("does not classify", lambda: trainer("loss_sensitive_gan").model.classify(torch.zeros(1, 16, 16)))


@pytest.mark.parametrize("shape", [(2,), (1, 16, 16)])
def test_what_never_moves_has_no_gradient(shape):
    made = trainer("loss_sensitive_gan", shape, output_relu=False, norm="none", precision="fp64")
    (name,) = made.model.still
    _, terms, _ = next(made.model.step(made.batches))
    bias = dict(made.model.named_parameters())[name]
    assert torch.autograd.grad(sum(terms.values()), bias)[0].item() == 0
    assert not conditional(shape, output_relu=False, norm="none", gamma=0.0).model.still  # classes differ in theirs


def test_bad_options():
    for name, value in [("slope", 1.5), ("slope", -0.1), ("gamma", -1.0), ("margin_scale", -1.0)]:
        refused(name, lambda name=name, value=value: registry.create("loss_sensitive_gan", (2,), **{name: value}))
    with pytest.raises(ganarium.UserError, match="lr"):
        registry.create("loss_sensitive_gan", (2,), lr=-math.pi)
