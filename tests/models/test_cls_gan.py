"""The conditional least squares GAN against its paper: the losses and their gradients at chosen points, who is told
which label, the discriminator with a known optimum, the released numbers, the known mistakes."""

import pytest
import torch
from torch import Tensor, nn

from ganarium import registry
from ganarium.data.dataset import LabelledImages
from ganarium.losses import as_real
from ganarium.models.cls_gan import half_squares
from synthetic import obeyed, quadrants, refused, trainer


class Scores(nn.Module):
    """A discriminator that gives these scores, and keeps the labels it was told."""

    def __init__(self, *values: float) -> None:
        super().__init__()
        self.score, self.told = nn.Parameter(torch.tensor(values)), []

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        self.told.append(label.argmax(1))
        return self.score + 0 * x.flatten(1).sum(1)


class Table(nn.Module):
    """A discriminator of symbols with labels: a score for each pair."""

    def __init__(self, values: Tensor) -> None:
        super().__init__()
        self.score = nn.Parameter(values)

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        return self.score[x[:, 0, 0, 0].long(), label.argmax(1)]


def terms_at(*scores: float, **options):
    """The terms of D and of G where the scores are these, G's gradient with respect to them, and the model."""
    made = trainer("cls_gan", batch_size=len(scores), **options)
    made.model.discriminator = Scores(*scores)
    (_, d_terms, _), (_, g_terms) = made.model.step(made.batches)
    (gradient,) = torch.autograd.grad(g_terms["adversarial"], made.model.discriminator.score)
    return {k: v.item() for k, v in d_terms.items()}, g_terms["adversarial"].item(), gradient.tolist(), made


# ---- losses --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("score", "real", "fake", "g"), [(0.0, 0.5, 0.0, 0.5), (0.5, 0.125, 0.125, 0.125), (3.0, 2.0, 4.5, 2.0)]
)
def test_values_where_all_scores_are_equal(score, real, fake, g):
    d_terms, actual, _, _ = terms_at(*[score] * 4)
    assert d_terms == {"real": real, "fake": fake}
    assert actual == g


def test_targets_may_be_given_one_by_one():
    d_terms, g, _, _ = terms_at(0.0, 0.0, fake_target=-3.0, real_target=2.0, generator_target=0.5)
    assert (d_terms["real"], d_terms["fake"], g) == (2, 4.5, 0.125)


def test_a_sample_beyond_the_target_is_pulled_back():
    """-1/N at 0 and +4/N at 5. The control is cross-entropy, which never pulls back: a CGAN under this name."""
    assert terms_at(0.0, 5.0)[2] == [-1 / 2, 4 / 2]
    score = torch.tensor([0.0, 5.0], requires_grad=True)
    (mistaken,) = torch.autograd.grad(as_real(score), score)
    assert mistaken[1] < 0


def test_control_a_sigmoid_left_on_d():
    """Known mistake: a fake that is told for sure has no gradient left; a raw score has."""
    assert terms_at(-8.0, -8.0)[2] == [-9 / 2, -9 / 2]
    score = torch.full((1,), -8.0, requires_grad=True)
    (gradient,) = torch.autograd.grad(half_squares(score.sigmoid() - 1), score)
    assert gradient.abs().item() < 1e-3


def test_the_mean_of_the_squares_is_not_the_square_of_the_mean():
    assert terms_at(0.0, 2.0)[1] == 0.5
    assert 0.5 * (torch.tensor([0.0, 2.0]) - 1).mean().square() == 0


def test_the_best_discriminator_of_pairs():
    """(b p + a q) / (p + q) of p(x, y) and q(x, y): the gradient of D's loss there is 0 in every cell."""
    symbol, label = torch.tensor([[0, 0, 0, 1, 1, 1, 1, 0], [0, 0, 1, 1, 1, 0, 0, 1]])
    made = torch.tensor([0, 0, 1, 1, 1, 1, 0, 0])
    p, q = (torch.bincount(2 * x + label, minlength=4).view(2, 2).float() for x in (symbol, made))
    model = registry.create("cls_gan", (1, 8, 8), 2, real_target=2.0, fake_target=-1.0)

    def images(x: Tensor) -> Tensor:
        return x[:, None, None, None].expand(-1, 1, 8, 8).float()

    model.generate = lambda n, label=None: images(made)
    for best, zero in (((2 * p - q) / (p + q), True), ((p / (p + q)), False)):
        model.discriminator = Table(best)
        terms = next(model.step(iter([LabelledImages(images(symbol), label)])))[1]
        (gradient,) = torch.autograd.grad(sum(terms.values()), model.discriminator.score)
        assert (gradient.abs().max().item() < 1e-6) == zero


# ---- labels --------------------------------------------------------------------------------------------------


def test_a_fake_is_judged_with_the_label_that_g_was_given():
    made, told = trainer("cls_gan", batch_size=6), []
    model, generate = made.model, made.model.generate
    model.generate = lambda n, label=None: told.append(label) or generate(n, label=label)
    model.discriminator = Scores(*[0.0] * 6)
    for _ in model.step(made.batches):
        pass
    made.batches.drawn = 0
    label = next(made.batches).label
    assert (len(told), len(model.discriminator.told)) == (2, 3)
    assert all(torch.equal(seen, label) for seen in told + model.discriminator.told)


def test_the_label_reaches_both_networks():
    torch.manual_seed(0)
    model = trainer("cls_gan").model.eval()
    x, z, label = torch.randn(1, 1, 16, 16).expand(2, -1, -1, -1), model.latent(1).expand(2, -1), torch.tensor([0, 1])
    for told, apart in ((label, True), (label[[0, 0]], False)):
        for pair in (model.D(x, told), model.generate(2, z, told)):
            assert bool((pair[0] - pair[1]).abs().max() > 1e-4) == apart


def test_d_does_not_reach_g():
    made = trainer("cls_gan")
    sum(next(made.model.step(made.batches))[1].values()).backward()
    assert all(p.grad is None for p in made.model.generator.parameters())


def test_reals_and_fakes_are_never_in_one_batch_of_d():
    made, seen = trainer("cls_gan", batch_size=6), []
    made.model.discriminator.register_forward_pre_hook(lambda module, args: seen.append(len(args[0])))
    for _ in made.model.step(made.batches):
        pass
    assert seen == [6, 6, 6]


def test_labels_of_samples():
    model = trainer("cls_gan").model
    same = [model.sample(8, seed=0, label=k) for k in (0, 1, [1] * 8)]
    assert not torch.equal(same[0], same[1])
    assert torch.equal(same[1], same[2])
    assert model.sample(8, seed=0).shape == (8, 1, 16, 16)
    refused("label must be a class from 0 to 3", lambda: model.sample(8, label=4))
    refused("does not classify", lambda: model.classify(torch.zeros(1, 16, 16)))


def test_bad_options_and_data():
    refused("no labels", lambda: registry.create("cls_gan", (1, 16, 16), None))
    refused("2-D points", lambda: registry.create("cls_gan", (2,), 4))
    refused("label_dim", lambda: registry.create("cls_gan", (1, 16, 16), 4, label_dim=0))
    refused("beta1", lambda: registry.create("cls_gan", (1, 16, 16), 4, beta1=1.0))


# ---- networks and numbers ------------------------------------------------------------------------------------


def test_numbers_of_the_release():
    made = trainer("cls_gan")
    assert made.model.batch_size == 64
    for moved in made.players.values():
        (group,) = moved.optimizer.param_groups
        assert isinstance(moved.optimizer, torch.optim.Adam)
        assert (group["lr"], group["betas"]) == (2e-4, (0.5, 0.999))
    config = made.model.config
    assert (config.fake_target, config.real_target, config.generator_target) == (0, 1, 1)


def test_layers():
    """The label enters z and all layers of D but the first by a linear layer; D has a hidden layer of 1024; batch norm
    with torch's eps; no sigmoid."""
    model = registry.create("cls_gan", (1, 28, 28), 10)
    assert model.generator.body.project.in_features == 100 + 50
    down = [(m.in_channels, m.out_channels) for m in model.discriminator.modules() if isinstance(m, nn.Conv2d)]
    assert down == [(1, 32), (32 + 50, 64), (64 + 50, 128)]
    dense = [(m.in_features, m.out_features) for m in model.discriminator.modules() if isinstance(m, nn.Linear)]
    assert sorted(dense) == [(10, 50), (1024 + 50, 1), (128 * 4 * 4 + 50, 1024)]
    assert [type(m.embedding) for m in (model.generator, model.discriminator)] == [nn.Linear] * 2
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    assert len(norms) == 3 + 3
    assert all(m.eps == 1e-5 for m in norms)
    assert not [m for m in model.modules() if isinstance(m, nn.Sigmoid | nn.Dropout)]


# ---- learning ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shuffled", [False, True])
def test_images_obey_their_label(shuffled):
    """Chosen on seed 100; the control's labels say nothing."""
    made = quadrants(trainer("cls_gan", (1, 8, 8), batch_size=32, total=100, lr=2e-3, width=8), shuffled=shuffled)
    for _ in made:
        pass
    assert obeyed(made.model) >= 0.7 if not shuffled else obeyed(made.model) <= 0.45
