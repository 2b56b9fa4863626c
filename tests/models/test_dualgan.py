"""DualGAN against its paper: which critic judges whom, clipping, noise by dropout, the known mistakes."""

import pytest
import torch
from torch import Tensor, nn

from ganarium import registry
from ganarium.data.batches import Batches
from ganarium.data.dataset import Dataset, UnpairedImages
from ganarium.errors import UserError
from ganarium.players import RMSProp
from ganarium.trainer import Trainer


def trainer(**options) -> Trainer:
    torch.manual_seed(0)
    model = registry.create("dualgan", (3, 16, 16), **{"width": 4, "levels": 3, "augment": False} | options)
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randint(0, 256, (8, 16, 16, 3), dtype=torch.uint8, generator=generator) for _ in range(2))
    return Trainer(model, Batches(Dataset("unpaired", a, second=b), UnpairedImages, 2), 100)


class Shift(nn.Module):
    def __init__(self, by: float) -> None:
        super().__init__()
        self.by = nn.Parameter(torch.tensor(by))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.by


class MeanScore(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x.mean((1, 2, 3), keepdim=True).expand(-1, 1, 2, 2)


def test_every_term_in_closed_form():
    """a = 0.1, b = -0.2, G adds 0.3, F takes 0.5; D_a counts double, D_b fivefold. Each critic judges the domain that
    it is named after, which equation 3 of the paper has the wrong way round."""
    model = registry.create(
        "dualgan", (3, 16, 16), width=4, levels=3, augment=False, num_critic_steps=1, a_weight=10.0, b_weight=1000.0
    )
    model.a2b, model.b2a, model.D_a, model.D_b = Shift(0.3), Shift(-0.5), MeanScore(2.0), MeanScore(5.0)
    a, b = torch.full((2, 3, 16, 16), 0.1), torch.full((2, 3, 16, 16), -0.2)
    step = model.step(iter([UnpairedImages(a, b)]))
    _, terms, watched = next(step)
    assert terms["a"].item() == pytest.approx(2 * (-0.7) - 2 * 0.1)
    assert terms["b"].item() == pytest.approx(5 * 0.4 - 5 * (-0.2))
    assert watched["real_a"].mean().item() == pytest.approx(0.2)
    assert watched["fake_b"].mean().item() == pytest.approx(2.0)
    _, terms = next(step)  # the critics' factors are clipped by now
    clip = model.config.clip
    assert terms["reconstruction_a"].item() == pytest.approx(10 * 0.2, rel=1e-5)
    assert terms["reconstruction_b"].item() == pytest.approx(1000 * 0.2, rel=1e-5)
    assert terms["wasserstein"].item() == pytest.approx(-clip * 0.4 - clip * (-0.7), rel=1e-5)


class Times(nn.Module):
    """A generator that multiplies its input."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x


def test_both_images_come_back_through_both_generators():
    """G = 0.5 x, F = 0.25 x: an image v comes back as 0.125 v, which costs 0.875 |v|. Images of 0.8, -0.4 and of 0.6,
    -0.2 have means of |v| of 0.6 and 0.4; the derivatives of (1 - f g) (0.6 + 0.4) are -f and -g."""
    options = {"augment": False, "num_critic_steps": 1, "a_weight": 1.0, "b_weight": 1.0}
    model = registry.create("dualgan", (3, 16, 16), width=4, levels=3, **options)
    model.a2b, model.b2a, model.D_a, model.D_b = Times(0.5), Times(0.25), MeanScore(2.0), MeanScore(5.0)
    a, b = (torch.tensor(levels)[:, None, None, None].expand(2, 3, 16, 16) for levels in ((0.8, -0.4), (0.6, -0.2)))
    *_, (_, terms) = model.step(iter([UnpairedImages(a, b)]))
    assert terms["reconstruction_a"].item() == pytest.approx(0.875 * 0.6, rel=1e-5)
    assert terms["reconstruction_b"].item() == pytest.approx(0.875 * 0.4, rel=1e-5)
    both = terms["reconstruction_a"] + terms["reconstruction_b"]
    slopes = torch.autograd.grad(both, (model.a2b.factor, model.b2a.factor))
    assert [slope.item() for slope in slopes] == pytest.approx([-0.25, -0.5], rel=1e-5)


def test_images_of_both_domains_are_augmented(monkeypatch):
    monkeypatch.setattr("ganarium.models.dualgan.crop_and_mirror", lambda image: image / 2)
    made = trainer(augment=True)
    drawn = made.model.draw(made.batches)
    made.batches.drawn = 0
    assert all(torch.equal(2 * image, whole) for image, whole in zip(drawn, next(made.batches), strict=True))


def test_critics_are_clipped_after_each_of_their_updates_and_generators_never():
    made = trainer(lr=1e-2)
    critics = [*made.model.D_a.parameters(), *made.model.D_b.parameters()]
    sizes = []
    for update in made.updates():
        if update.player == "G":
            sizes.append(max(parameter.abs().max().item() for parameter in critics))
    assert max(sizes) <= made.model.config.clip
    assert max(parameter.abs().max().item() for parameter in made.model.a2b.parameters()) > 1


def test_control_without_the_clip_parameters_grow_past_it():
    made = trainer(lr=1e-2, clip=1e9)
    list(made.updates())
    critics = [*made.model.D_a.parameters(), *made.model.D_b.parameters()]
    assert max(parameter.abs().max().item() for parameter in critics) > 1


def test_critics_see_reals_and_fakes_and_move_as_often_as_said():
    """A known mistake multiplies the fakes' scores by the label 0: their sign must be the other one."""
    made = trainer(num_critic_steps=2)
    moved = []
    for update in made.updates():
        moved.append(update.player)
        if update.player == "D":
            real, fake = update.watched["real_b"], update.watched["fake_b"]
            assert update.terms["b"].item() == pytest.approx((fake.mean() - real.mean()).item(), rel=1e-5)
    assert moved == ["D", "D", "G"]
    assert isinstance(made.model.players["D"].optimizer, RMSProp)
    assert made.batches.drawn == 4


def test_its_noise_is_dropout_which_stays_on():
    image = torch.rand(1, 3, 16, 16) * 2 - 1
    noisy, still = trainer(dropout=0.5).model, trainer(dropout=0.0).model
    with torch.no_grad():
        noisy.train()
        still.train()
        first, second = (noisy.mapped(image, "a2b") for _ in range(2))
        assert (first - second).abs().max() > 0
        assert torch.equal(still.mapped(image, "b2a"), still.mapped(image, "b2a"))
    assert noisy.sample_mode == "train"
    assert torch.equal(noisy.translate(image), noisy.translate(image))  # one seed for what users ask


def test_scores_are_linear_patches():
    model = trainer().model
    scores = model.D_a(torch.rand(2, 3, 16, 16) * 100)
    assert scores.dim() == 4
    assert isinstance(model.D_a.layers[-1], nn.Conv2d)


def test_what_it_refuses():
    with pytest.raises(UserError, match="2-D points"):
        registry.create("dualgan", (2,))
    with pytest.raises(UserError, match="at least 0"):
        registry.create("dualgan", (3, 16, 16), a_weight=-1.0)
