"""DiscoGAN against its paper and the authors' numbers: both forms, the toy, the known mistakes."""

import pytest
import torch
from torch import Tensor, nn

import reference
from ganarium import registry
from ganarium.data.batches import Batches
from ganarium.data.dataset import Dataset, UnpairedImages
from ganarium.errors import UserError
from ganarium.models.discogan import DiscoGAN, feature_distance
from ganarium.networks.discogan import Discriminator, Generator
from ganarium.trainer import Trainer


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def unpaired(n: int = 8, shape: tuple[int, int, int] = (3, 16, 16)) -> Dataset:
    generator = torch.Generator().manual_seed(0)
    c, h, w = shape
    a, b = (torch.randint(0, 256, (n, h, w, c), dtype=torch.uint8, generator=generator) for _ in range(2))
    return Dataset("unpaired", a, second=b)


def trainer(shape: tuple[int, int, int] = (3, 16, 16), **options) -> Trainer:
    torch.manual_seed(0)
    model = registry.create("discogan", shape, **{"width": 4} | options)
    return Trainer(model, Batches(unpaired(shape=shape), UnpairedImages, 3), 100)


def test_resize_and_convolve_leaves_no_checkerboards():
    """Behind transposed convolutions an even image comes out uneven; behind resize and convolve it does not."""

    def unevenness(upsampling: str) -> float:
        torch.manual_seed(0)
        net = Generator(1, 8, 3, upsampling=upsampling).eval()
        with torch.no_grad():
            made = net(torch.full((1, 1, 128, 128), 0.3))[0, 0, 60:68, 60:68]
        return ((made[:, 1:] - made[:, :-1]).abs().mean() / made.abs().mean()).item()

    assert unevenness("resize") < 1e-5
    assert unevenness("transposed") > 1e-4
    assert "resize" in str(trainer(upsampling="resize").model.config)
    with pytest.raises(UserError, match="upsampling"):
        registry.create("discogan", (2,), upsampling="resize")


def test_published_numbers_of_parameters():
    published = reference.load("discogan")["published_sizes"]
    assert count(Generator(3, 64, 4)) == 5_513_856 == published["G"]
    assert count(Generator(3, 64, 4, 100)) == 7_153_480 == published["G with extra layers"]
    assert count(Discriminator((3, 64, 64), 64, 4)) == 2_765_568 == published["D"]


@pytest.mark.parametrize(("case_name", "code"), [("G", None), ("G, extra layers", 12)])
def test_the_generator_gives_the_authors_numbers(case_name, code):
    cases = reference.load("discogan")["cases"]
    case, x = cases[case_name], reference.inputs(cases)["x"]
    net, rows = Generator(3, 8, 4, code).double(), case["networks"]["G"]["parameters"]
    reference.fill(net.parameters(), rows)
    made = net(x)
    reference.hold(made, case["outputs"]["G(x)"])
    loss = ((1 + 0.1 * reference.values(made.shape, 1900)) * made).sum()
    (record,) = case["gradients"].values()
    reference.hold_gradient(loss, reference.by_name(net.parameters(), rows), record)


def test_the_discriminator_gives_the_authors_numbers():
    cases = reference.load("discogan")["cases"]
    case, x = cases["D"], reference.inputs(cases)["x"]
    net = Discriminator((3, 64, 64), 8, 4).double()
    reference.fill(net.parameters(), case["networks"]["D"]["parameters"])
    reference.hold(torch.sigmoid(net(x)).view(3, 1, 1, 1), case["outputs"]["sigmoid(D(x))"])
    for number, features in enumerate(net.features(x), 2):
        reference.hold(features, case["outputs"][f"feature {number}"])


@pytest.mark.parametrize("late", [False, True])
def test_three_iterations_of_the_released_form_give_the_authors_numbers(late):
    """The released loop, before and after its change of the rate at 10,000 iterations."""
    case = reference.load("discogan")["full_step"]
    model = registry.create("discogan", (3, 64, 64), width=8, form="released").double()
    nets = {
        "generator_A": model.b2a,
        "generator_B": model.a2b,
        "discriminator_A": model.D_a,
        "discriminator_B": model.D_b,
    }
    for name, net in nets.items():
        reference.fill(net.parameters(), case["networks"][name]["parameters"])
    given = reference.inputs(case)
    data = Batches(unpaired(shape=(3, 64, 64)), UnpairedImages, 3, dtype=torch.float64)
    made = Trainer(model, data, 20_000, precision="fp64")
    made.batches = iter([UnpairedImages(2 * given[f"A{i}"] - 1, 2 * given[f"B{i}"] - 1) for i in range(3)])
    variant = next(v for key, v in case["variants"].items() if key.startswith("after") == late)
    model.iteration = 9999 if late else 0
    for expected in variant["steps"]:
        r = 0.01 if model.iteration < 10_000 else 0.5
        (update,) = made.updates()
        assert update.player == expected["moved"]
        losses, terms = expected["losses"], {name: term.item() for name, term in update.terms.items()}
        if update.player == "D":
            assert terms["a"] == pytest.approx(losses["dis_loss_A"], rel=1e-6)
            assert terms["b"] == pytest.approx(losses["dis_loss_B"], rel=1e-6)
            continue
        adversarial = losses["gen_loss_A"] + losses["gen_loss_B"]
        matching = losses["fm_loss_A"] + losses["fm_loss_B"]
        rebuilt = losses["recon_loss_A"] + losses["recon_loss_B"]
        assert terms["adversarial"] == pytest.approx((1 - r) * 0.1 * adversarial, rel=1e-6)
        assert terms["features"] == pytest.approx((1 - r) * 0.9 * matching, rel=1e-6)
        assert terms["reconstruction"] == pytest.approx(r * rebuilt, rel=1e-6)
        assert sum(terms.values()) == pytest.approx(losses["gen_loss"], rel=1e-6)
    for name, net in nets.items():
        total = sum(parameter.sum().item() for parameter in net.parameters())
        assert total == pytest.approx(variant["after_3"][name]["sum"], rel=1e-6)


class Shift(nn.Module):
    """A generator that adds a number."""

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
        return self.factor * x.mean((1, 2, 3))


def test_every_term_of_the_paper_in_closed_form():
    """a = 0.5, b = 0.3, G adds 0.2 and F takes 0.1, in [0, 1]; no term has a weight."""
    model = registry.create("discogan", (3, 16, 16), width=4)
    model.a2b, model.b2a, model.D_a, model.D_b = Shift(0.2), Shift(-0.1), MeanScore(2.0), MeanScore(5.0)
    a, b = torch.full((2, 3, 16, 16), 0.0), torch.full((2, 3, 16, 16), -0.4)
    step = model.step(iter([UnpairedImages(a, b)]))
    softplus = nn.functional.softplus
    _, terms, watched = next(step)
    assert watched["fake_b"].mean().item() == pytest.approx(5 * 0.7)
    assert watched["fake_a"].mean().item() == pytest.approx(2 * 0.2)
    expected = softplus(torch.tensor(-1.0)) + softplus(torch.tensor(0.4))
    assert terms["a"].item() == pytest.approx(expected.item())
    expected = softplus(torch.tensor(-1.5)) + softplus(torch.tensor(3.5))
    assert terms["b"].item() == pytest.approx(expected.item())
    _, terms = next(step)
    assert terms["reconstruction"].item() == pytest.approx(0.1**2 + 0.1**2)
    expected = softplus(torch.tensor(-0.4)) + softplus(torch.tensor(-3.5))
    assert terms["adversarial"].item() == pytest.approx(expected.item())


class Times(nn.Module):
    """A generator that multiplies its input."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x


def test_both_cycles_go_through_both_generators_and_back_to_their_own_image():
    """G = 0.5 x, F = 0.25 x: an image v comes back as 0.125 v, which costs (0.875 v)^2. Images of 0.8, 0.4 and of 0.6,
    0.2 in [0, 1] have mean squares of 0.4 and 0.2. The derivatives of (f g - 1)^2 (0.4 + 0.2) are -1.75 f 0.6 in g and
    -1.75 g 0.6 in f; a detached translation would give half of the one or of the other."""
    model = registry.create("discogan", (3, 16, 16), width=4)
    model.a2b, model.b2a, model.D_a, model.D_b = Times(0.5), Times(0.25), MeanScore(2.0), MeanScore(5.0)
    a, b = (
        2 * torch.tensor(levels)[:, None, None, None].expand(2, 3, 16, 16) - 1 for levels in ((0.8, 0.4), (0.6, 0.2))
    )
    *_, (_, terms) = model.step(iter([UnpairedImages(a, b)]))
    assert terms["reconstruction"].item() == pytest.approx(0.875**2 * 0.6, rel=1e-4)
    slopes = torch.autograd.grad(terms["reconstruction"], (model.a2b.factor, model.b2a.factor))
    assert [slope.item() for slope in slopes] == pytest.approx([-1.75 * 0.25 * 0.6, -1.75 * 0.5 * 0.6], rel=1e-4)


def test_the_paper_moves_d_then_g_and_the_release_one_of_them():
    assert [update.player for update in trainer().updates()] == ["D", "G"]
    made = trainer(form="released")
    moved = [[update.player for update in made.updates()] for _ in range(6)]
    assert moved == [["D"], ["G"], ["G"], ["D"], ["G"], ["G"]]


def test_there_is_no_pair_anywhere():
    """The known mistake: images of A fitted to their partners in B. Another order of B changes no term of A's."""
    made = trainer()
    assert made.model.batch_type is UnpairedImages
    a, b = next(made.batches)
    made.model.eval()  # running statistics: no image reads its neighbours
    first, second = (list(made.model.step(iter([UnpairedImages(a, order)])))[-1][1] for order in (b, b.flip(0)))
    for name in first:
        assert first[name].item() == pytest.approx(second[name].item(), rel=1e-5), name


def test_it_has_no_skips_and_one_score_for_an_image():
    model = registry.create("discogan", (3, 64, 64), width=4)
    assert model.D_a(torch.rand(2, 3, 64, 64)).shape == (2,)
    images = torch.rand(2, 3, 64, 64)
    layers = model.a2b.layers
    middle = next(i for i, layer in enumerate(layers) if isinstance(layer, nn.ConvTranspose2d))
    code = layers[:middle](images)
    assert code.shape[2:] == (4, 4)  # all that the way up is told
    assert torch.allclose(torch.sigmoid(layers[middle:](code)), model.a2b(images))


def test_feature_distance_is_of_batch_means():
    class Two(nn.Module):
        def features(self, x: Tensor) -> list[Tensor]:
            return [x, 2 * x]

    real, fake = torch.tensor([[1.0, 3.0], [3.0, 5.0]]), torch.tensor([[2.0, 0.0], [0.0, 2.0]])
    # means (2, 4) and (1, 1): squares (1, 9), mean 5; of twice as much 20. Sample by sample it would be 7 and 28
    assert feature_distance(Two(), real, fake).item() == pytest.approx(25.0)


def test_the_released_form_matches_features_within_a_domain():
    """G = 0.5 x, F = 0.25 x, features are the images: reals of A have a mean of 0.6 and fakes of 0.1, those of B 0.4
    and 0.3. Of the other domains it would be (0.4 - 0.1)^2 and (0.6 - 0.3)^2."""

    class Seen(MeanScore):
        def features(self, x: Tensor) -> list[Tensor]:
            return [x]

    model = registry.create("discogan", (3, 16, 16), width=4, form="released")
    model.a2b, model.b2a, model.D_a, model.D_b = Times(0.5), Times(0.25), Seen(2.0), Seen(5.0)
    model.iteration = 1
    a, b = (
        2 * torch.tensor(levels)[:, None, None, None].expand(2, 3, 16, 16) - 1 for levels in ((0.8, 0.4), (0.6, 0.2))
    )
    ((_, terms),) = model.step(iter([UnpairedImages(a, b)]))
    assert terms["features"].item() == pytest.approx(0.99 * 0.9 * (0.5**2 + 0.1**2), rel=1e-4)


def test_the_curriculum_lasts_as_long_as_it_is_told():
    """G and F halve, so that (0.25 x - x)^2 of x = 0.8 and of 0.4 are to be weighed by 0.01, and by 0.5 later."""
    model = registry.create("discogan", (3, 16, 16), width=4, form="released", num_curriculum_steps=2)
    model.a2b = model.b2a = Times(0.5)
    a, b = (torch.full((2, 3, 16, 16), 2 * level - 1) for level in (0.8, 0.4))
    for iteration, weight in ((1, 0.01), (2, 0.5)):
        model.iteration = iteration
        ((_, terms),) = model.step(iter([UnpairedImages(a, b)]))
        assert terms["reconstruction"].item() == pytest.approx(weight * (0.6**2 + 0.3**2), rel=1e-4)


def test_images_come_back_in_the_range_of_the_library():
    """The networks work in [0, 1]: a generator that adds 0.2 there adds 0.4 to what a user sees."""
    model = trainer().model
    model.a2b = Shift(0.2)
    image = torch.rand(2, 3, 16, 16) - 0.5
    assert torch.allclose(model.translate(image), image + 0.4, atol=1e-6)


def test_two_rings_of_points_are_matched_one_to_one():
    """The paper's toy, shortened: both ways together give each of eight points back."""
    torch.manual_seed(0)
    angle = torch.arange(8) * torch.pi / 4
    small = 0.25 * torch.stack([angle.cos(), angle.sin()], 1)
    large = 1.5 * torch.stack([(angle + 0.3).cos(), (angle + 0.3).sin()], 1)
    data = Dataset("rings", small.repeat(25, 1), second=large.repeat(25, 1))
    model = registry.create("discogan", (2,), width=64)
    assert isinstance(model, DiscoGAN)
    made = Trainer(model, Batches(data, UnpairedImages, 100), 600)
    for _ in made:
        pass
    rows = made.drain().rows
    assert rows[-1]["G/reconstruction"] < 0.1 * rows[0]["G/reconstruction"]


def test_what_it_refuses():
    with pytest.raises(UserError, match="for images"):
        registry.create("discogan", (2,), form="released")
    with pytest.raises(UserError, match="extra_layers needs"):
        registry.create("discogan", (3, 12, 12), extra_layers=True)
