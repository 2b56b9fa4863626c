"""ESRGAN against its paper and the authors' numbers: both forms of the loss, phases, interpolation, the known
mistakes."""

import math

import pytest
import torch
from torch import Tensor, nn

import reference
from ganarium import registry
from ganarium.data.batches import Batches
from ganarium.data.dataset import Dataset, HighResolutionImages, Photos
from ganarium.errors import UserError
from ganarium.models.esrgan import rise_above
from ganarium.networks.rrdb import RRDB, DenseBlock, Discriminator, RRDBNet
from ganarium.networks.vgg import VGG19
from ganarium.trainer import Trainer


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def photos(side: int = 16, n: int = 8) -> Dataset:
    pixels = torch.randint(0, 256, (n, side, side, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    sides = torch.full((n,), side)
    return Dataset("photos", pixels, photos=Photos(pixels.flatten(), sides, sides, (side, side), 3))


def trainer(**options) -> Trainer:
    torch.manual_seed(0)
    small = {"scale": 2, "width": 4, "growth": 2, "num_blocks": 1, "discriminator_width": 2, "num_pretraining_steps": 2}
    model = registry.create("esrgan", (3, 16, 16), **small | options)
    return Trainer(model, Batches(photos(), HighResolutionImages, 2), 10)


def test_published_numbers_of_parameters():
    published = reference.load("esrgan")["published_sizes"]
    assert count(RRDBNet(3, 64, 23, 32, 4)) == 16_697_987 == published["RRDBNet, 23 blocks, 64 channels, growth 32"]
    assert count(Discriminator((3, 128, 128), 64)) == 14_499_401 == published["discriminator, 128 px, width 64"]


def test_the_generator_gives_the_authors_numbers():
    case = reference.load("esrgan")["cases"]["generator"]
    net, rows = RRDBNet(3, 8, 2, 4, 4).double(), case["networks"]["G"]["parameters"]
    reference.fill(net.parameters(), rows)
    made = net(reference.inputs(case)["x"])
    reference.hold(made, case["outputs"]["G(x)"])
    loss = ((1 + 0.1 * reference.values(made.shape, 1900)) * made).sum()
    (record,) = case["gradients"].values()
    reference.hold_gradient(loss, reference.by_name(net.parameters(), rows), record)


def test_the_discriminator_gives_the_authors_numbers():
    case = reference.load("esrgan")["cases"]["discriminator"]
    net, rows = Discriminator((3, 128, 128), 4).double(), case["networks"]["D"]["parameters"]
    reference.fill(net.parameters(), rows)
    score = net(reference.inputs(case)["x"])[:, None]
    reference.hold(score, case["outputs"]["D(x)"])
    loss = ((1 + 0.1 * reference.values(score.shape, 1900)) * score).sum()
    (record,) = case["gradients"].values()
    reference.hold_gradient(loss, reference.by_name(net.parameters(), rows), record)


def test_the_relativistic_terms_give_the_authors_numbers():
    numbers = reference.load("esrgan")["relativistic terms on given scores"]
    real = torch.tensor(numbers["real"], dtype=torch.float64)
    fake = torch.tensor(numbers["fake"], dtype=torch.float64, requires_grad=True)
    losses = numbers["losses"]
    of_g = rise_above(fake, real)
    assert of_g.item() == pytest.approx(losses["G, real part"] + losses["G, fake part"], rel=1e-9)
    assert rise_above(real, fake).item() == pytest.approx(losses["D, real part"] + losses["D, fake part"], rel=1e-9)
    (gradient,) = torch.autograd.grad(of_g, fake)
    reference.hold(gradient, numbers["gradient of (real part + fake part) of G to the fake scores"])


def test_three_full_steps_of_the_released_form_give_the_authors_numbers():
    numbers = reference.load("esrgan")
    case, cases = numbers["full_step"], numbers["cases"]
    options = {"width": 8, "growth": 4, "num_blocks": 2, "discriminator_width": 4, "num_pretraining_steps": 0}
    model = registry.create("esrgan", (3, 128, 128), form="released", **options).double()
    reference.fill(model.generator.parameters(), cases["generator"]["networks"]["G"]["parameters"])
    reference.fill(model.discriminator.parameters(), cases["discriminator"]["networks"]["D"]["parameters"])
    given = reference.inputs(case)
    data = Batches(photos(128, 2), HighResolutionImages, 2, dtype=torch.float64)
    made = Trainer(model, data, 1000, precision="fp64")
    made.batches = iter([HighResolutionImages(2 * given[f"hr{i}"] - 1) for i in range(3)])
    low = iter([given[f"lr{i}"] for i in range(3)])
    model.low_resolution = lambda image: next(low)
    for expected in case["steps"]:
        terms = {update.player: update.terms for update in made.updates()}
        losses = expected["losses"]
        assert terms["G"]["l1"].item() == pytest.approx(losses["l_g_pix"], rel=1e-6)
        assert terms["G"]["adversarial"].item() == pytest.approx(losses["l_g_gan"], rel=1e-6)
        of_d = losses["l_d_real"] + losses["l_d_fake"]
        assert terms["D"]["relativistic"].item() == pytest.approx(of_d, rel=1e-6)
    for name, net in (("G", model.generator), ("D", model.discriminator)):
        total = sum(parameter.sum().item() for parameter in net.parameters())
        assert total == pytest.approx(case["after_3_steps"][name]["sum"], rel=1e-6)


def test_the_content_term_gives_the_authors_number():
    numbers = reference.load("vgg")
    given = reference.inputs(numbers)
    net = VGG19("conv5_4").double()
    reference.fill(net.parameters(), numbers["parameters"])
    model = trainer().model
    model.features = (net,)
    expected = numbers["ESRGAN: mean |difference| at conv5_4, weight 1"]
    assert model.content(given["x"], given["target"]).item() == pytest.approx(expected, rel=1e-6)


# ---- identities --------------------------------------------------------------------------------------------


def test_a_constant_discriminator_costs_twice_log_2_and_any_offset_nothing():
    same = torch.full((4,), 3.0)
    assert rise_above(same, same).item() == pytest.approx(2 * math.log(2))
    high, low = torch.randn(4), torch.randn(4)
    assert rise_above(high + 7, low + 7).item() == pytest.approx(rise_above(high, low).item(), rel=1e-5)


def test_both_relativistic_terms_reach_the_generator():
    """The known mistake keeps the second alone; in the paper's sum the reals' term pulls too, through the mean."""
    real, fake = torch.randn(4), torch.randn(4, requires_grad=True)
    (both,) = torch.autograd.grad(rise_above(fake, real), fake)
    (second,) = torch.autograd.grad(nn.functional.softplus(real.mean() - fake).mean(), fake)
    assert ((both - second).abs() > 1e-3).all()


def test_dense_blocks_read_all_maps_before_them_and_residuals_count_a_fifth():
    block = DenseBlock(6, 4)
    assert [layer.in_channels for layer in (*block.layers, block.last)] == [6, 10, 14, 18, 22]
    with torch.no_grad():
        for layer in block.layers:
            layer.weight.zero_()
        block.last.weight.zero_()
        block.last.bias.fill_(1.0)
    x = torch.randn(1, 6, 5, 5)
    assert torch.allclose(block(x), x + 0.2)
    whole = RRDB(6, 4)
    for inner in whole.blocks:
        inner.load_state_dict(block.state_dict())
    assert torch.allclose(whole(x), x + 0.2 * (x + 0.6))


def test_there_is_no_norm_in_g_and_d_starts_without_one():
    model = trainer().model
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in model.generator.modules())
    kinds = [type(layer) for layer in model.discriminator.features[:4]]
    assert kinds == [nn.Conv2d, nn.LeakyReLU, nn.Conv2d, nn.BatchNorm2d]


def test_dense_layers_start_at_a_tenth_of_he():
    torch.manual_seed(0)
    layer = DenseBlock(64, 32).layers[3]
    assert layer.weight.std().item() == pytest.approx(0.1 * math.sqrt(2 / (160 * 9)), rel=0.03)


class Constant(nn.Module):
    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(value))

    def forward(self, x: Tensor) -> Tensor:
        return self.value * torch.ones_like(x).repeat(1, 1, 2, 2)


class MeanScore(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x.mean((1, 2, 3))


def test_every_term_in_closed_form():
    """x = 0.75 in [0, 1], G gives 0.5, scores are four times the mean: 3 and 2."""
    softplus = nn.functional.softplus
    for form, half in (("paper", 1.0), ("released", 0.5)):
        model = trainer(form=form).model
        model.discriminator = MeanScore(4.0)
        batch, model.iteration = HighResolutionImages(torch.full((2, 3, 16, 16), 0.5)), 2
        model.generator = Constant(0.5)
        step = model.step(iter([batch]))
        _, terms = next(step)
        assert terms["l1"].item() == pytest.approx(1e-2 * 0.25)
        of_g = 2 * softplus(torch.tensor(1.0)).item()
        assert terms["adversarial"].item() == pytest.approx(5e-3 * half * of_g, rel=1e-5)
        _, terms, _ = next(step)
        assert terms["relativistic"].item() == pytest.approx(half * 2 * softplus(torch.tensor(-1.0)).item(), rel=1e-5)


class Times(nn.Module):
    """A generator that enlarges by repeating pixels, and multiplies."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x.repeat_interleave(2, 2).repeat_interleave(2, 3)


def test_every_image_is_held_to_itself_and_every_score_to_the_others_mean():
    """Flat images of 0.75 and 0.25 in [0, 1], of which G makes half: off by 0.375 and 0.125, in features of [-1, 1]
    twice that. Scores are four times the mean: 3 and 1 of reals, 1.5 and 0.5 of what was made."""
    softplus = nn.functional.softplus
    model, value = trainer(content="vgg").model, torch.tensor([0.75, 0.25])
    model.generator, model.discriminator, model.features = Times(0.5), MeanScore(4.0), (nn.Identity(),)
    model.keep_exact = lambda: None  # of the weights of the generator that stood here
    batch = HighResolutionImages(2 * value[:, None, None, None].expand(2, 3, 16, 16) - 1)
    ((_, terms),) = model.step(iter([batch]))
    assert terms["l1"].item() == pytest.approx(0.25, rel=1e-4)
    model.iteration, real, made = 2, 4 * value, 2 * value
    (_, g_terms), (_, d_terms, scores) = model.step(iter([batch]))
    assert g_terms["l1"].item() == pytest.approx(1e-2 * 0.25, rel=1e-4)
    assert g_terms["content"].item() == pytest.approx(0.5, rel=1e-4)
    of_g = softplus(2 - made).mean() + softplus(real - 1).mean()  # the means are 2 of reals and 1 of what was made
    of_d = softplus(1 - real).mean() + softplus(made - 2).mean()
    assert g_terms["adversarial"].item() == pytest.approx(5e-3 * of_g.item(), rel=1e-4)
    assert d_terms["relativistic"].item() == pytest.approx(of_d.item(), rel=1e-4)
    assert scores["real"].tolist() == pytest.approx(real.tolist(), rel=1e-4)
    assert scores["fake"].tolist() == pytest.approx(made.tolist(), rel=1e-4)


def test_interpolation_goes_from_the_first_phase_to_the_second():
    made = trainer(num_pretraining_steps=2, lr=1e-2)
    list(made.updates())
    list(made.updates())
    exact = [parameter.detach().clone() for parameter in made.model.generator.parameters()]
    list(made.updates())
    moved = list(made.model.generator.parameters())
    assert any(not torch.equal(a, b) for a, b in zip(exact, moved, strict=True))
    ends = (made.model.interpolated(0.0), made.model.interpolated(1.0))
    assert all(torch.equal(a, b) for a, b in zip(ends[0].parameters(), exact, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(ends[1].parameters(), moved, strict=True))
    between = made.model.interpolated(0.25).parameters()
    for mixed, a, b in zip(between, exact, moved, strict=True):
        assert torch.allclose(mixed, 0.75 * a + 0.25 * b, atol=1e-6)


def test_rates_fall_as_the_paper_has_them():
    players = trainer(num_pretraining_steps=10, lr=2e-4).model.players
    first, second = players["pretrain"].optimizer.lr, players["G"].optimizer.lr
    assert [first(step, 50) for step in (0, 1, 2, 4, 9)] == pytest.approx([2e-4, 2e-4, 1e-4, 5e-5, 1.25e-5])
    expected = [1e-4, 5e-5, 2.5e-5, 1.25e-5, 6.25e-6]
    assert [second(step, 50) for step in (10, 15, 20, 30, 40)] == pytest.approx(expected)


def test_what_it_refuses(monkeypatch, tmp_path):
    with pytest.raises(UserError, match="scale must be 2, 4 or 8"):
        registry.create("esrgan", (3, 16, 16), scale=5)
    monkeypatch.setenv("GANARIUM_VGG", str(tmp_path / "absent.pth"))
    with pytest.raises(UserError, match="weights of VGG-19 are not here"):
        registry.create("esrgan", (3, 16, 16), content="vgg").load_features()
