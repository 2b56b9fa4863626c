"""R3GAN against its paper and the authors' numbers: networks, pairs, both penalties, the identities of its loss."""

import math

import pytest
import torch
from torch import Tensor, nn

import reference
from ganarium import registry
from ganarium.data.batches import Batches
from ganarium.data.dataset import Dataset, Images, LabelledImages
from ganarium.errors import UserError
from ganarium.layers.resampling import ONE_THREE_THREE_ONE, Downsample, Upsample
from ganarium.networks.r3gan import Block, Discriminator, Generator, num_groups, stage_widths
from ganarium.trainer import Trainer

SMALL_G = (5, 3, [12, 8, 6], [3, 2, 2], [2, 1, 2])
SMALL_D = (3, [6, 8, 12], [2, 2, 3], [2, 1, 2])


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def data(labels: bool = False) -> Dataset:
    pixels = torch.randint(0, 256, (16, 16, 16, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return Dataset("noise", pixels, torch.arange(16) % 4 if labels else None, ("a", "b", "c", "d") if labels else ())


def trainer(**options) -> Trainer:
    torch.manual_seed(0)
    model = registry.create("r3gan", (3, 16, 16), 4, **{"width": 8, "num_blocks": 1, "latent_dim": 5} | options)
    kind = LabelledImages if options.get("conditional") else Images
    return Trainer(model, Batches(data(labels=True), kind, 4), 100)


# ---- the authors' numbers ----------------------------------------------------------------------------------


def test_published_numbers_of_parameters():
    published = reference.load("r3gan")["published_sizes"]
    with torch.device("meta"):
        for size, g, d in ((64, 22_429_824, 22_381_440), (256, 23_057_952, 23_009_568)):
            widths = stage_widths(768, size)
            groups, blocks = [num_groups(width) for width in widths], [2] * len(widths)
            generator = Generator(64, 3, widths, groups, blocks)
            discriminator = Discriminator(3, widths[::-1], groups[::-1], blocks)
            assert (count(generator), count(discriminator)) == (g, d)
            assert published[f"FFHQ-{size} preset"] == {"G": g, "D": d}
        model = registry.create("r3gan", (3, 32, 32), 10, conditional=True)
        assert count(model.generator) == 20_781_952
        assert count(model.discriminator) == 21_280_512


def test_networks_and_losses_give_the_authors_numbers():
    case = reference.load("r3gan")["case"]
    generator, discriminator = Generator(*SMALL_G).double(), Discriminator(*SMALL_D).double()
    rows_g, rows_d = (case["networks"][name]["parameters"] for name in "GD")
    reference.fill(generator.parameters(), rows_g)
    reference.fill(discriminator.parameters(), rows_d)
    given = reference.inputs(case)
    fake = generator(given["z"])
    reference.hold(fake, case["outputs"]["G(z)"])
    model = registry.create("r3gan", (3, 16, 16), gamma=0.05, width=8, num_blocks=1).double()
    model.generator, model.discriminator = generator, discriminator
    model.latent = lambda n: given["z"]
    step = model.step(iter([Images(given["x"])] * 2))
    _, terms, watched = next(step)
    reference.hold(watched["real"], case["outputs"]["D(x)"])
    reference.hold(watched["fake"], case["outputs"]["D(G(z))"])
    assert terms["adversarial"].item() == pytest.approx(case["losses"]["D, adversarial"], rel=1e-6)
    for term, key in (("penalty_real", "R1 per image"), ("penalty_fake", "R2 per image")):
        mean = sum(case["outputs"][key]["values"]) / 4
        assert terms[term].item() == pytest.approx(0.025 * mean, rel=1e-6)
    total = sum(terms.values())
    assert total.item() == pytest.approx(case["losses"]["D, total with gamma 0.05"], rel=1e-6)
    reference.hold_gradient(
        total, reference.by_name(discriminator.parameters(), rows_d), case["gradients"]["D total to D"]
    )
    _, terms = next(step)
    assert terms["adversarial"].item() == pytest.approx(case["losses"]["G"], rel=1e-6)
    to_g = reference.by_name(generator.parameters(), rows_g)
    reference.hold_gradient(terms["adversarial"], to_g, case["gradients"]["G to G"])


def test_conditional_networks_give_the_authors_numbers():
    numbers = reference.load("r3gan")
    case, given = numbers["conditional"], reference.inputs(numbers["case"])
    generator = Generator(*SMALL_G, num_classes=4, embedding_dim=3).double()
    discriminator = Discriminator(*SMALL_D, num_classes=4, embedding_dim=7).double()
    reference.fill(generator.parameters(), case["networks"]["G"]["parameters"])
    reference.fill(discriminator.parameters(), case["networks"]["D"]["parameters"])
    label = torch.eye(4, dtype=torch.float64)
    reference.hold(generator(given["z"], label), case["outputs"]["G(z, c)"])
    reference.hold(discriminator(given["x"], label), case["outputs"]["D(x, c)"])


def test_three_full_steps_give_the_authors_numbers():
    numbers = reference.load("r3gan")
    case, networks = numbers["full_step"], numbers["case"]["networks"]
    options = {"gamma": 0.05, "width": 8, "num_blocks": 1, "burn_in": 10**12}
    model = registry.create("r3gan", (3, 16, 16), **options)
    model.generator, model.discriminator = Generator(*SMALL_G), Discriminator(*SMALL_D)
    model.double()
    for name, net in (("G", model.generator), ("D", model.discriminator)):
        reference.fill(net.parameters(), networks[name]["parameters"])
        player = type(model.players[name])(net, optimizer=model.players[name].optimizer)
        model.players[name] = player
    model.ema, given = {}, reference.inputs(case)
    made = Trainer(model, Batches(data(), Images, 4, dtype=torch.float64), 10, precision="fp64")
    made.batches = iter([Images(given[f"x_{player}{i}"]) for i in range(3) for player in "DG"])
    codes = iter([given[f"z_{player}{i}"] for i in range(3) for player in "DG"])
    model.latent = lambda n: next(codes)
    for expected in case["steps"]:
        terms = {update.player: update.terms for update in made.updates()}
        assert terms["D"]["adversarial"].item() == pytest.approx(expected["D adversarial"], rel=1e-6)
        assert sum(terms["D"].values()).item() == pytest.approx(expected["D total"], rel=1e-6)
        assert terms["G"]["adversarial"].item() == pytest.approx(expected["G"], rel=1e-6)
    for name, net in (("G", model.generator), ("D", model.discriminator)):
        total = sum(parameter.sum().item() for parameter in net.parameters())
        assert total == pytest.approx(case["after_3_steps"][name]["sum"], rel=1e-6)


def test_resampling_and_a_block_give_the_authors_numbers():
    operators = reference.load("r3gan")["operators"]
    x = (torch.arange(16, dtype=torch.float64) ** 1.5).view(1, 1, 4, 4)
    reference.hold(Upsample(ONE_THREE_THREE_ONE).double()(x), operators["up-sampling of n^1.5 as 4x4"])
    reference.hold(Downsample(ONE_THREE_THREE_ONE).double()(x), operators["down-sampling of n^1.5 as 4x4"])
    case = operators["residual block, 6 channels, cardinality 2, expansion 2"]
    block, row = Block(6, 2, 1).double(), case["x"]
    reference.fill(block.parameters(), case["parameters"])
    reference.hold(block(reference.values(row["shape"], row["k"], row["offset"], row["scale"])), case["output"])


# ---- identities --------------------------------------------------------------------------------------------


class Linear(nn.Module):
    """A discriminator whose scores are a multiple of the mean, and a number."""

    def __init__(self, slope: float, offset: float = 0.0) -> None:
        super().__init__()
        self.slope, self.offset = nn.Parameter(torch.tensor(slope)), offset

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        return self.slope * x.mean((1, 2, 3)) + self.offset


class Shade(nn.Module):
    """A generator of flat images: the first number of z."""

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        return z[:, :1, None, None].expand(-1, 3, 16, 16)


def terms_of(D: nn.Module, real: Tensor, z: Tensor, **options) -> list[dict[str, Tensor]]:
    model = trainer(**options).model
    model.discriminator, model.generator, model.latent = D, Shade(), lambda n: z
    return [item[1] for item in model.step(iter([Images(real)] * 2))]


def test_every_term_in_closed_form():
    """Reals 0.5, fakes -0.25, D four times the mean: a difference of 3, and slopes of 4 / sqrt(768) everywhere."""
    real, z = torch.full((2, 3, 16, 16), 0.5), torch.full((2, 5), -0.25)
    d, g = terms_of(Linear(4.0), real, z, gamma=3.0)
    assert d["adversarial"].item() == pytest.approx(math.log1p(math.exp(-3)), rel=1e-5)
    assert g["adversarial"].item() == pytest.approx(math.log1p(math.exp(3)), rel=1e-5)
    for name in ("penalty_real", "penalty_fake"):
        assert d[name].item() == pytest.approx(1.5 * 16 / 768, rel=1e-5)


def test_an_offset_of_d_changes_nothing_and_a_flat_d_costs_log_2():
    real, z = torch.rand(4, 3, 16, 16), torch.randn(4, 5)
    plain, lifted = (terms_of(Linear(2.0, offset), real, z) for offset in (0.0, 7.0))
    for one, other in zip(plain, lifted, strict=True):
        for name in one:
            assert one[name].item() == pytest.approx(other[name].item(), rel=1e-4)
    d, g = terms_of(Linear(0.0), real, z)
    assert d["adversarial"].item() == pytest.approx(math.log(2))
    assert g["adversarial"].item() == pytest.approx(math.log(2))


def test_reals_and_fakes_are_compared_in_pairs_and_not_by_their_means():
    real, z = torch.linspace(-1, 1, 4).view(4, 1, 1, 1).expand(4, 3, 16, 16), torch.linspace(-1, 1, 4)[:, None]
    alike, turned = (terms_of(Linear(3.0), real, codes)[0]["adversarial"].item() for codes in (z, z.flip(0)))
    assert abs(alike - turned) > 0.1


class Told(nn.Module):
    """A discriminator whose scores are the square of the image's mean, times a number for its class."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        return (label @ self.weight) * x.mean((1, 2, 3)).square()


def test_every_fake_is_beside_its_real_and_has_its_label():
    """In numbers, where scores, slopes and classes differ by sample: ||grad D|| = 2 w |mean| / sqrt(768)."""
    real, fake = torch.tensor([0.5, -0.9, 0.2, 0.7]), torch.tensor([-0.3, 0.6, 0.8, -0.1])
    label, weight = torch.tensor([2, 0, 1, 3]), torch.tensor([1.0, -2.0, 3.0, 5.0])
    model = trainer(conditional=True, gamma=3.0).model
    model.discriminator, model.generator = Told(weight), Shade()
    model.latent = lambda n: fake[:n, None].expand(-1, 5)
    batch = LabelledImages(real[:, None, None, None].expand(4, 3, 16, 16), label)
    (_, d, scores), (_, g) = model.step(iter([batch, batch]))
    of_real, of_fake = weight[label] * real.square(), weight[label] * fake.square()
    assert scores["real"].tolist() == pytest.approx(of_real.tolist(), rel=1e-4)
    assert scores["fake"].tolist() == pytest.approx(of_fake.tolist(), rel=1e-4)
    softplus = nn.functional.softplus
    assert d["adversarial"].item() == pytest.approx(softplus(of_fake - of_real).mean().item(), rel=1e-4)
    assert g["adversarial"].item() == pytest.approx(softplus(of_real - of_fake).mean().item(), rel=1e-4)
    for name, level in (("penalty_real", real), ("penalty_fake", fake)):
        assert d[name].item() == pytest.approx(1.5 * (2 * weight[label] * level).square().mean().item() / 768, rel=1e-4)


@pytest.mark.parametrize(("gamma", "both", "real_only"), [(1.0, 0.2223, 0.4011), (0.1, 1.1775, 1.6335)])
def test_the_slope_of_a_linear_d_settles_where_the_sheet_has_it(gamma, both, real_only):
    """1 / (1 + e^s) = 2 gamma s with both penalties, gamma s with that on reals alone, for points at distance 1."""
    for factor, expected in ((2, both), (1, real_only)):
        s = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.SGD([s], lr=0.2)
        for _ in range(3000):
            optimizer.zero_grad()
            (nn.functional.softplus(-s) + factor * gamma / 2 * s**2).backward()
            optimizer.step()
        assert s.item() == pytest.approx(expected, abs=1e-4)


def test_every_block_is_the_identity_at_the_start():
    torch.manual_seed(0)
    block, x = Block(16, 2, 4), torch.randn(2, 16, 5, 5)
    assert torch.equal(block(x), x)
    made = trainer()
    assert 0.2 < made.model.generate(64).std() < 1.0
    assert not any(isinstance(layer, nn.BatchNorm2d | nn.GroupNorm) for layer in made.model.modules())


def test_g_and_d_see_images_of_their_own_and_reals_get_no_gradient():
    made = trainer()
    moved = [update.player for update in made.updates()]
    assert moved == ["D", "G"]
    assert made.batches.drawn == 8


def test_gamma_and_the_rates_follow_a_half_cosine():
    model = trainer(burn_in=1000, gamma=2.0).model
    batch = Images(torch.rand(4, 3, 16, 16))
    model.discriminator, penalties = Linear(3.0), []
    for step in (0, 125, 250, 500):
        model.clock.fill_(step)
        _, terms, _ = next(model.step(iter([batch])))
        penalties.append(terms["penalty_real"].item() * 2 * 768 / 9)
    assert penalties == pytest.approx([2.0, 1.1, 0.2, 0.2], rel=1e-5)
    adam = trainer(burn_in=256 * 10).model.players["D"].optimizer
    assert [adam.lr(step, 99) for step in (0, 5, 10, 20)] == pytest.approx([2e-4, 1.25e-4, 5e-5, 5e-5])
    assert [adam.betas[1](step, 99) for step in (0, 5, 10)] == pytest.approx([0.9, 0.945, 0.99])


def test_the_probability_of_ada_follows_the_same_half_cosine_to_that_of_the_preset():
    for options, end in (({}, 0.55), ({"augment_p": 0.2}, 0.2)):
        model, seen = trainer(burn_in=1000, augment="ada", **options).model, []
        for step in (0, 125, 250, 500):
            model.clock.fill_(step)
            _, _, watched = next(model.step(iter([Images(torch.rand(4, 3, 16, 16))])))
            seen.append(watched["augment_p"].item())
        assert seen == pytest.approx([0.0, end / 2, end, end], abs=1e-6)
        assert model.augment.p == seen[-1]
    with torch.device("meta"):
        larger = registry.create("r3gan", (3, 64, 64), width=8, augment="ada")
    assert (larger.augment_p, larger.augment.colour, larger.augment.cutout) == (0.3, 0.5, 1.0)
    assert "augment_p" not in next(trainer(augment="diff").model.step(iter([Images(torch.rand(4, 3, 16, 16))])))[2]
    for options, words in (
        ({"augment": "ada", "augment_p": 1.5}, "from 0 to 1"),
        ({"augment_p": 0.5}, "add --augment"),
    ):
        with pytest.raises(UserError, match=words):
            registry.create("r3gan", (3, 16, 16), **options)


def test_presets_by_size_and_what_is_refused():
    with torch.device("meta"):
        gammas = [registry.create("r3gan", (3, side, side), width=8).gamma for side in (32, 64, 128, 256)]
    assert gammas == [0.05, 2.0, 20.0, 150.0]
    with pytest.raises(UserError, match="leave --conditional away"):
        registry.create("r3gan", (3, 16, 16), None, conditional=True)
    with pytest.raises(UserError, match="2-D points"):
        registry.create("r3gan", (2,))


def test_a_conditional_model_draws_the_class_it_is_told():
    made = trainer(conditional=True)
    list(made.updates())
    model, z = made.model, torch.randn(2, 5)
    first, same, other = (model.sample(2, seed=0, latent=z, label=k) for k in (1, 1, 2))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
