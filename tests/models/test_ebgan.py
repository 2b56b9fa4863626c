"""EBGAN against its paper: the energy and its gradient, the hinge of each sample, how the margin is measured, the
pull-away term, the known mistakes."""

import math
import time

import pytest
import torch
from torch import Tensor, nn

from ganarium import registry
from ganarium.data.dataset import Images
from ganarium.models.ebgan import EBGAN, energies, pull_away
from ganarium.runs.options import Options
from ganarium.training.session import Run
from synthetic import refused, trainer


class Scaled(nn.Module):
    """Gives back a multiple of its input."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x


class Given:
    """Batches of the same points again and again."""

    def __init__(self, image: Tensor) -> None:
        self.image = image

    def __next__(self) -> Images:
        return Images(self.image)


def with_energies(real: list[float], fake: list[float], margin: float, factor: float = 0.0, **options):
    """A model, and batches, whose samples have these energies, times (1 - factor)^2 where D rebuilds a part."""
    model = trainer("ebgan", (2,), margin=margin, **options).model
    model.discriminator = nn.Sequential(nn.Identity(), Scaled(factor))
    made = torch.tensor(fake).sqrt()[:, None].expand(-1, 2).clone().requires_grad_()
    model.generate = lambda n: made[:n]
    return model, Given(torch.tensor(real).sqrt()[:, None].expand(-1, 2)), made


# ---- energy ------------------------------------------------------------------------------------------------------


def test_energy_is_the_mean_square_over_the_pixels_of_one_sample():
    """Known mistakes: a sum over pixels, whose scale is that of the picture's size, and a mean over the batch."""
    image = torch.tensor([0.5, 1.0])[:, None, None, None].expand(2, 3, 4, 5)
    assert energies(image, torch.zeros_like(image)).tolist() == [0.25, 1.0]
    assert energies(image, -image).tolist() == [1.0, 4.0]


def test_gradient_of_the_energy_flows_through_both_arguments():
    """E = mean (v - a v)^2: dE/dv = 2 (1 - a)^2 v / n. Known mistakes: the target v detached, -2 a (1 - a) v / n, and
    the rebuilt detached, 2 (1 - a) v / n."""
    model, batches, made = with_energies([1.0], [4.0], margin=1.0, factor=0.75)
    *_, (_, terms) = model.step(batches)
    (gradient,) = torch.autograd.grad(terms["energy"], made)
    assert torch.allclose(gradient, 2 * 0.25**2 * made / 2)
    for target, rebuilt, factor in ((made.detach(), made, -0.75 * 0.25), (made, made.detach(), 0.25)):
        (mistaken,) = torch.autograd.grad(energies(target, 0.75 * rebuilt).mean(), made)
        assert torch.allclose(mistaken, 2 * factor * made / 2)
        assert not torch.allclose(mistaken, gradient)


def test_gradient_of_the_generators_loss_is_a_finite_difference():
    """In the networks themselves. Control: half of the gradient is missing where the target is detached."""
    made = trainer("ebgan", (1, 16, 16), precision="fp64", norm="none", margin=1.0)
    model, h = made.model, 1e-6
    fake = model.generate(3).detach().requires_grad_()
    direction = torch.randn(fake.shape, dtype=torch.float64)
    model.generate = lambda n: fake
    *_, (_, terms) = model.step(made.batches)
    slope = (torch.autograd.grad(terms["energy"], fake)[0] * direction).sum().item()
    up, down = (energies(v, model.discriminator(v)).mean() for v in (fake + h * direction, fake - h * direction))
    assert slope == pytest.approx(((up - down) / (2 * h)).item(), rel=1e-5)
    (mistaken,) = torch.autograd.grad(energies(fake.detach(), model.discriminator(fake)).mean(), fake)
    assert (mistaken * direction).sum().item() != pytest.approx(slope, rel=0.1)


# ---- margin ------------------------------------------------------------------------------------------------------


def test_hinge_of_each_sample():
    """Energies 0.5 and 3 and m = 1: 0.5 and 0, mean 0.25. Known mistake: the hinge of the batch's mean, 0."""
    model, batches, _ = with_energies([0.25, 0.75], [0.5, 3.0], margin=1.0)
    (d, terms, watched), (g, g_terms) = model.step(batches)
    assert (d, g) == ("D", "G")
    assert {k: v.item() for k, v in terms.items()} == pytest.approx({"real": 0.5, "fake": 0.25})
    assert {k: v.item() for k, v in g_terms.items()} == pytest.approx({"energy": 1.75})
    assert max(0.0, 1.0 - (0.5 + 3.0) / 2) == 0
    assert watched["real"].tolist() == pytest.approx([-0.25, -0.75])  # high on data, as scores are
    assert watched["fake"].tolist() == pytest.approx([-0.5, -3.0])


def test_every_sample_is_held_to_its_own_reconstruction():
    """D rebuilds half: reals of 1 and 2 have energies of 0.25 and 1, fakes of 2 and 4 of 1 and 4. Held to another
    sample's, the reals would be 0 and 2.25."""
    model, batches, _ = with_energies([1.0, 4.0], [4.0, 16.0], margin=3.0, factor=0.5)
    (_, terms, watched), (_, g_terms) = model.step(batches)
    assert watched["real"].tolist() == pytest.approx([-0.25, -1.0])
    assert watched["fake"].tolist() == pytest.approx([-1.0, -4.0])
    assert terms["real"].item() == pytest.approx(0.625)
    assert terms["fake"].item() == pytest.approx((2.0 + 0.0) / 2)
    assert g_terms["energy"].item() == pytest.approx(2.5)


@pytest.mark.parametrize(
    ("margin", "shares"), [(0.0, [0, 0]), (1.0, [1, 0]), (1000.0, [1, 1])], ids=["auto-encoder", "paper", "constant"]
)
def test_which_fakes_are_pushed(margin, shares):
    """Those below m. Controls: none at m = 0, where D is a plain auto-encoder, and all of them for ever at m = 1000."""
    model, batches, _ = with_energies([1.0, 1.0], [0.5, 3.0], margin=margin, factor=0.1)
    _, terms, _ = next(model.step(batches))
    assert (terms["fake"].item() > 0) == any(shares)
    factor = model.discriminator[1].factor
    (gradient,) = torch.autograd.grad(terms["fake"], factor)
    pushed = [share * energy for share, energy in zip(shares, (0.5, 3.0), strict=True)]
    assert gradient.item() == pytest.approx(2 * 0.9 * sum(pushed) / 2)  # d/da of -(1 - a)^2 v^2


def energy_of_reals(model, batches) -> float:
    """The energy of reals of an auto-encoder trained on them alone, for a while."""
    rule = torch.optim.Adam(model.discriminator.parameters(), lr=1e-3, betas=(0.5, 0.9))
    for _ in range(60):
        real = next(batches).image
        energy = energies(real, model.discriminator(real)).mean()
        rule.zero_grad()
        energy.backward()
        rule.step()
    return energy.item()


def test_margin_is_measured_on_reals():
    """So many times the energy of reals, whatever their scale. Known mistake: max(1, batch / 64) against a mean over
    pixels, above five times the energy of reals, so that the hinge does not close."""
    for scale in (1, 4):
        made = trainer("ebgan", (2,), num_measuring_steps=60, margin_factor=3, width=16, code_dim=1, prepare=False)
        other = trainer("ebgan", (2,), num_measuring_steps=60, width=16, code_dim=1, prepare=False)
        for each in (made, other):
            each.batches.images *= scale
        made.prepare()
        assert made.model.margin.item() == pytest.approx(3 * energy_of_reals(other.model, other.batches), rel=1e-4)
    made = trainer("ebgan", (1, 16, 16), num_measuring_steps=60)
    assert max(1, made.batches.batch_size / 64) > 5 * made.model.margin.item() / 3


def test_the_user_is_told_of_the_measuring_while_it_lasts(tmp_path, monkeypatch, capsys):
    """It may take a minute; nothing is said to who asks for quiet, nor where it takes no time."""
    heard, measure = [], EBGAN.prepare

    def slow(self, batches):
        measure(self, batches)
        for _ in range(100 if wait else 0):
            heard.append(capsys.readouterr().out)
            if heard[-1]:
                break
            time.sleep(0.02)

    monkeypatch.setattr(EBGAN, "prepare", slow)
    for place, (wait, quiet) in enumerate([(True, False), (True, True), (False, False)]):
        monkeypatch.setattr("ganarium.training.build.PATIENCE", 0.1 if wait else 60)
        run = Options(data="ring", steps=1, device="cpu", out=str(tmp_path / str(place)))
        Run.new("ebgan", run, {"num_measuring_steps": 3, "width": 8}, quiet=quiet)
        said, heard = "".join(heard) + capsys.readouterr().out, []
        assert said == ("preparing the model on the training data ...\n" if wait and not quiet else "")


def test_measuring_changes_nothing_but_the_margin():
    """D starts as it was drawn: the auto-encoder that was trained on reals is a copy."""
    made = trainer("ebgan", prepare=False)
    before = {name: value.clone() for name, value in made.model.state_dict().items()}
    random = torch.get_rng_state()
    made.prepare()
    changed = [name for name, value in made.model.state_dict().items() if not torch.equal(value, before[name])]
    assert changed == ["margin"]
    assert torch.equal(random, torch.get_rng_state())
    assert all(p.grad is None for p in made.model.parameters())
    assert made.model.margin == trainer("ebgan").model.margin  # a function of the seed


@pytest.mark.parametrize("margin", [0.0, 0.3])
def test_a_given_margin_is_taken(margin):
    made = trainer("ebgan", margin=margin)
    assert made.model.margin.item() == pytest.approx(margin)
    assert made.batches.drawn == 0


# ---- the pull-away term ------------------------------------------------------------------------------------------


def test_pull_away_of_known_codes():
    """Known mistake: the cosine not squared, -1 for opposite codes, so that G is paid for making pairs of them."""
    code = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    opposite = torch.stack([code[0], -code[0]])
    assert pull_away(torch.eye(4, 6)).item() == 0
    assert pull_away(code[:1].expand(5, -1)).item() == pytest.approx(1, abs=1e-6)
    assert pull_away(opposite).item() == pytest.approx(1, abs=1e-6)
    assert torch.cosine_similarity(*opposite, dim=0).item() == pytest.approx(-1, abs=1e-6)
    scaled = code * torch.tensor([0.1, 1.0, 3.0, 100.0])[:, None]
    assert pull_away(scaled).item() == pytest.approx(pull_away(code).item(), rel=1e-5)
    pairs = [torch.cosine_similarity(code[i], code[j], dim=0) ** 2 for i in range(4) for j in range(4) if i != j]
    assert pull_away(code).item() == pytest.approx(sum(pairs).item() / 12, rel=1e-5)


def test_pull_away_keeps_full_precision_under_autocast():
    code = torch.randn(8, 16, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        half = pull_away(code)
        assert (code @ code.T).dtype == torch.bfloat16
    assert torch.equal(half, pull_away(code))


def test_pull_away_is_on_the_codes_of_fakes_in_the_generators_loss_alone():
    """Controls: the reals' codes, and the pixels, have other cosines."""
    model, batches, made = with_energies([1.0, 1.0], [0.5, 3.0], margin=1.0, pull_away_weight=0.1)
    turn = torch.tensor([[1.0, 2.0], [0.0, 0.0]])
    model.discriminator = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    with torch.no_grad():
        model.discriminator[0].weight.copy_(turn)
        model.discriminator[0].bias.copy_(torch.tensor([0.0, 1.0]))
    (_, d_terms, _), (_, g_terms) = model.step(batches)
    assert set(d_terms) == {"real", "fake"}
    expected = 0.1 * pull_away(model.discriminator[0](made)).item()
    assert g_terms["pull_away"].item() == pytest.approx(expected, rel=1e-5)
    for wrong in (model.discriminator[0](batches.image), made, model.discriminator(made)):
        assert 0.1 * pull_away(wrong).item() != pytest.approx(expected, rel=0.01)
    (gradient,) = torch.autograd.grad(g_terms["pull_away"], made)
    assert gradient.abs().sum() > 0


def test_plain_ebgan_has_no_pull_away_term():
    made = trainer("ebgan")
    *_, (_, terms) = made.model.step(made.batches)
    assert set(terms) == {"energy"}


# ---- the step ----------------------------------------------------------------------------------------------------


def test_the_discriminators_loss_never_reaches_g():
    made = trainer("ebgan", margin=1.0)
    sum(next(made.model.step(made.batches))[1].values()).backward()
    assert all(p.grad is None for p in made.model.generator.parameters())
    assert all(p.grad is not None for p in made.model.discriminator.parameters())


def test_generator_is_trained_against_the_new_discriminator_on_codes_of_its_own():
    made = trainer("ebgan", (2,), margin=1.0)
    model, drawn = made.model, []
    latent = model.latent
    model.latent = lambda n: drawn.append(latent(n)) or drawn[-1]
    step = model.step(made.batches)
    next(step)
    for parameter in model.discriminator.parameters():
        nn.init.zeros_(parameter)
    terms = next(step)[1]
    assert not torch.equal(*drawn)
    assert terms["energy"].item() == pytest.approx(model.generator(drawn[1]).square().mean().item(), rel=1e-5)


# ---- networks and numbers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", [None, "none", "layer", "spectral"])
@pytest.mark.parametrize(
    ("network", "shape"), [("mlp", (2,)), ("mlp", (3, 8, 9)), ("dcgan", (3, 8, 9)), ("resnet", (3, 8, 9))]
)
def test_discriminator_is_an_auto_encoder(network, shape, norm):
    """(b, *shape) through a code to the same, D's decoder built as G is, with weights of its own."""
    model = registry.create("ebgan", shape, network=network, norm=norm, width=4, code_dim=5, latent_dim=5)
    encoder, decoder = model.discriminator
    x = torch.rand(3, *shape)
    assert encoder(x).shape == (3, 5)
    assert model.discriminator(x).shape == x.shape
    assert type(decoder) is type(model.generator)
    assert not {p.data_ptr() for p in decoder.parameters()} & {p.data_ptr() for p in model.generator.parameters()}
    normed = sum(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in model.discriminator.modules())
    assert (normed > 0) == (norm is None and len(shape) == 3)


@pytest.mark.parametrize("generator_norm", [True, False])
def test_samples_have_the_batch_norm_of_training(generator_norm):
    """With the statistics of their own batch, as DCGAN's authors sample; without batch norm in evaluation mode."""
    model = registry.create("ebgan", (1, 16, 16), width=4, generator_norm=generator_norm)
    modes = []
    model.generator.register_forward_pre_hook(lambda module, given: modes.append(module.training))
    model.sample(2, seed=0)
    assert modes == [generator_norm]


@pytest.mark.parametrize(
    ("shape", "betas", "batch_size", "sizes"),
    [((1, 16, 16), (0.5, 0.999), 64, (100, 100)), ((2,), (0.5, 0.9), 256, (2, 32))],
)
def test_numbers(shape, betas, batch_size, sizes):
    made = trainer("ebgan", shape)
    for moved in made.players.values():
        (group,) = moved.optimizer.param_groups
        assert isinstance(moved.optimizer, torch.optim.Adam)
        assert (group["lr"], group["betas"]) == (1e-3, betas)
    model = made.model
    assert model.batch_size == batch_size
    z = model.latent(4000)
    assert z.shape[1] == sizes[0]
    assert z.std().item() == pytest.approx(1, abs=0.05)
    assert model.discriminator[0].head.out_features == sizes[1]
    assert model.config.pull_away_weight == 0
    assert math.isclose(model.config.margin_factor, 3)
    assert 2 <= model.config.margin_factor <= 5


def test_refusals():
    refused("margin must be at least 0", lambda: registry.create("ebgan", (2,), margin=-1.0))
    refused("pull_away_weight must be at least 0", lambda: registry.create("ebgan", (2,), pull_away_weight=-0.1))
    refused("no dcgan for 2-D points", lambda: registry.create("ebgan", (2,), network="dcgan"))
