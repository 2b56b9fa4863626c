"""pix2pix against its paper: sizes, the authors' numbers, losses in closed form, the known mistakes."""

import pytest
import torch
from torch import Tensor, nn

import reference
from ganarium import registry
from ganarium.data.batches import Batches
from ganarium.data.dataset import Dataset, PairedImages, decode
from ganarium.errors import UserError
from ganarium.layers.normalization import unrecorded
from ganarium.losses import as_fake, as_real
from ganarium.models.pix2pix import Pix2Pix
from ganarium.networks.patchgan import PatchDiscriminator
from ganarium.networks.unet import UNet, num_levels
from ganarium.trainer import Trainer


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def in_release_order(net: UNet) -> list[nn.Parameter]:
    """The released U-Net registers its way down from the outside in, then its way up from the inside out."""
    return [p for part in (*net.down, *reversed(net.up)) for p in part.parameters()]


def pairs(n: int = 8, shape: tuple[int, int, int] = (3, 16, 16), seed: int = 0) -> Dataset:
    generator = torch.Generator().manual_seed(seed)
    c, h, w = shape
    first = torch.randint(0, 256, (n, h, w, c), dtype=torch.uint8, generator=generator)
    return Dataset("pairs", first, second=255 - first, paired=True)


def trainer(batch_size: int = 2, shape: tuple[int, int, int] = (3, 16, 16), **options) -> Trainer:
    torch.manual_seed(0)
    model = registry.create("pix2pix", shape, **{"width": 4, "levels": 3, "augment": False} | options)
    return Trainer(model, Batches(pairs(shape=shape), PairedImages, batch_size), 100)


# ---- sizes -------------------------------------------------------------------------------------------------


def test_published_numbers_of_parameters():
    published = reference.load("pix2pix")["published_sizes"]
    assert count(UNet(3, 3, 64, 8)) == 54_413_955 == published["U-Net 8 levels (256 px), 3 -> 3, width 64, batch norm"]
    assert count(UNet(3, 3, 64, 7)) == 41_828_995
    sizes = {1: 139_585, 2: 666_433, 3: 2_768_705, 4: 6_964_033, 5: 11_159_361}
    for layers, size in sizes.items():
        assert count(PatchDiscriminator(6, 64, layers, norm="batch")) == size


def test_depth_and_patches_follow_the_size():
    assert [num_levels(side, side) for side in (16, 32, 64, 128, 256, 512)] == [4, 5, 6, 7, 8, 8]
    assert num_levels(256, 64) == 6
    patches = {8: 1, 16: 2, 64: 2, 128: 3, 256: 3}
    for side, layers in patches.items():
        with torch.device("meta"):
            model = registry.create("pix2pix", (3, side, side), width=4)
        strides = [layer.stride[0] for layer in model.discriminator.layers if isinstance(layer, nn.Conv2d)]
        assert strides.count(2) == layers


@pytest.mark.parametrize(("layers", "field"), [(1, 16), (2, 34), (3, 70), (4, 142)])
def test_receptive_field_of_a_patch(layers, field):
    """Measured by gradients: no pixel farther away moves a score."""
    net = PatchDiscriminator(1, 2, layers, norm=None).double()
    side = field + 2 * 2**layers + 16
    image = torch.randn(1, 1, side, side, dtype=torch.float64, requires_grad=True)
    scores = net(image)
    middle = scores.shape[2] // 2
    scores[0, 0, middle, middle].backward()
    rows = image.grad[0, 0].abs().sum(1).nonzero().flatten()
    assert int(rows.max() - rows.min()) + 1 == field


# ---- the authors' numbers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("levels", [5, 6, 7])
def test_the_u_net_gives_the_authors_numbers(levels):
    case = reference.load("pix2pix")["cases"][f"unet_{levels}_levels"]
    args, rows = case["networks"]["G"]["args"], case["networks"]["G"]["parameters"]
    net = UNet(args["in"], args["out"], args["width"], levels, dropout=0.0).double()
    assert count(net) == case["networks"]["G"]["count"]
    reference.fill(in_release_order(net), rows)
    x = reference.inputs(case)["x"]
    made = net(x)
    reference.hold(made, case["outputs"]["G(x), training statistics"])
    weights = 1 + 0.1 * reference.values(made.shape, 1900)
    (loss, expected), (record,) = ((weights * made).sum(), *case["losses"].values()), case["gradients"].values()
    assert loss.item() == pytest.approx(expected, rel=1e-6)
    reference.hold_gradient(loss, reference.by_name(in_release_order(net), rows), record)
    reference.hold(net.eval()(x), case["outputs"]["G(x), running statistics after that one pass"])


@pytest.mark.parametrize("case_name", [f"patch_{n}_layers_batch" for n in (1, 2, 3, 4)] + ["patch_3_layers_instance"])
def test_the_patch_discriminator_gives_the_authors_numbers(case_name):
    case = reference.load("pix2pix")["cases"][case_name]
    args, rows = case["networks"]["D"]["args"], case["networks"]["D"]["parameters"]
    net = PatchDiscriminator(args["in"], args["width"], args["layers"], norm=args["norm"]).double()
    reference.fill(net.parameters(), rows)
    score = net(reference.inputs(case)["x"])
    reference.hold(score, case["outputs"]["D(x)"])
    assert as_real(score).item() == pytest.approx(case["losses"]["log loss, as real"], rel=1e-6)
    assert as_fake(score).item() == pytest.approx(case["losses"]["log loss, as fake"], rel=1e-6)
    named = reference.by_name(net.parameters(), rows)
    reference.hold_gradient(as_real(score), named, case["gradients"]["log loss, as real, to D"])


def test_three_full_steps_give_the_authors_numbers():
    case = reference.load("pix2pix")["full_step"]
    model = registry.create("pix2pix", (3, 128, 128), width=4, dropout=0.0, augment=False).double()
    reference.fill(in_release_order(model.generator), case["networks"]["G"]["parameters"])
    reference.fill(model.discriminator.parameters(), case["networks"]["D"]["parameters"])
    given = reference.inputs(case)
    first = torch.zeros(2, 128, 128, 3, dtype=torch.uint8)
    batches = Batches(Dataset("none", first, second=first, paired=True), PairedImages, 2, dtype=torch.float64)
    made = Trainer(model, batches, 3, precision="fp64")
    made.batches = iter([PairedImages(given[f"A{i}"], given[f"B{i}"]) for i in range(3)])  # in place of drawn pairs
    for expected in case["steps"]:
        terms = {update.player: update.terms for update in made.updates()}
        ours = {
            "D_real": 2 * terms["D"]["real"],
            "D_fake": 2 * terms["D"]["fake"],
            "G_GAN": terms["G"]["adversarial"],
            "G_L1": terms["G"]["l1"],
        }
        for name, value in ours.items():
            assert value.item() == pytest.approx(expected["losses"][name], rel=1e-6), name
    after = case["after_3_steps"]
    for name, net in (("G", model.generator), ("D", model.discriminator)):
        total = sum(parameter.sum().item() for parameter in net.parameters())
        norm = torch.stack([parameter.square().sum() for parameter in net.parameters()]).sum().sqrt().item()
        assert total == pytest.approx(after[name]["sum"], rel=1e-6)
        assert norm == pytest.approx(after[name]["norm"], rel=1e-6)


# ---- losses in closed form ---------------------------------------------------------------------------------


class Constant(nn.Module):
    """A generator whose result is one value everywhere."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(value))

    def forward(self, x: Tensor) -> Tensor:
        return torch.ones_like(x) * self.value


class Difference(nn.Module):
    """A discriminator whose scores are the mean of the first image less twice that of the second."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels, self.factor = channels, nn.Parameter(torch.tensor(1.0))

    def forward(self, pair: Tensor) -> Tensor:
        x, y = pair[:, : self.channels], pair[:, self.channels :]
        score = x.mean((1, 2, 3)) - 2 * y.mean((1, 2, 3))
        return self.factor * score.view(-1, 1, 1, 1).expand(-1, 1, 2, 2)


def test_every_term_in_closed_form():
    """x = 0.6, y = -0.2, G(x) = 0.5: D must see the input first, and L1 is a mean times 100."""
    model = registry.create("pix2pix", (3, 16, 16), width=4, levels=3, augment=False)
    model.generator, model.discriminator = Constant(0.5), Difference(3)
    x, y = torch.full((2, 3, 16, 16), 0.6), torch.full((2, 3, 16, 16), -0.2)
    step = model.step(iter([PairedImages(x, y)]))
    player, terms, watched = next(step)
    assert player == "D"
    assert watched["real"].mean().item() == pytest.approx(1.0)
    assert watched["fake"].mean().item() == pytest.approx(-0.4)
    softplus = nn.functional.softplus
    assert terms["real"].item() == pytest.approx(0.5 * softplus(torch.tensor(-1.0)).item())
    assert terms["fake"].item() == pytest.approx(0.5 * softplus(torch.tensor(-0.4)).item())
    player, terms = next(step)
    assert player == "G"
    assert terms["l1"].item() == pytest.approx(100 * 0.7)
    assert terms["adversarial"].item() == pytest.approx(softplus(torch.tensor(0.4)).item())


class Times(nn.Module):
    """A generator that multiplies its input."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x


def test_every_translation_is_held_to_its_own_partner_and_judged_with_its_own_input():
    """x = 0.6, -0.4 and y = -0.2, 0.8, G = x / 4, D = x - 2 y: G(x) = 0.15, -0.1, off by 0.35 and 0.9; scores of
    pairs are 1 and -2, those of what was made half of x."""
    model = registry.create("pix2pix", (3, 16, 16), width=4, levels=3, augment=False)
    model.generator, model.discriminator = Times(0.25), Difference(3)
    x, y = (torch.tensor(levels)[:, None, None, None].expand(2, 3, 16, 16) for levels in ((0.6, -0.4), (-0.2, 0.8)))
    (_, terms, scores), (_, g_terms) = model.step(iter([PairedImages(x, y)]))
    real, fake = torch.tensor([1.0, -2.0]), torch.tensor([0.3, -0.2])
    assert scores["real"].mean((1, 2, 3)).tolist() == pytest.approx(real.tolist(), rel=1e-5)
    assert scores["fake"].mean((1, 2, 3)).tolist() == pytest.approx(fake.tolist(), rel=1e-5)
    assert terms["real"].item() == pytest.approx(0.5 * as_real(real).item(), rel=1e-5)
    assert terms["fake"].item() == pytest.approx(0.5 * as_fake(fake).item(), rel=1e-5)
    assert g_terms["l1"].item() == pytest.approx(100 * (0.35 + 0.9) / 2, rel=1e-5)
    assert g_terms["adversarial"].item() == pytest.approx(as_real(fake).item(), rel=1e-5)


def test_the_other_direction_swaps_the_pair():
    model = registry.create("pix2pix", (3, 16, 16), width=4, levels=3, augment=False, direction="b2a")
    model.generator, model.discriminator = Constant(0.5), Difference(3)
    x, y = torch.full((2, 3, 16, 16), 0.6), torch.full((2, 3, 16, 16), -0.2)
    step = model.step(iter([PairedImages(x, y)]))
    assert next(step)[2]["real"].mean().item() == pytest.approx(-0.2 - 2 * 0.6)
    assert next(step)[1]["l1"].item() == pytest.approx(100 * 0.1, rel=1e-5)
    assert model.directions == ("b2a",)


def test_the_fakes_reach_d_detached_and_g_through_d():
    made = trainer()
    step = made.model.step(made.batches)
    _, terms, _ = next(step)
    sum(terms.values()).backward()
    assert all(parameter.grad is None for parameter in made.model.generator.parameters())
    _, terms = next(step)
    gradients = torch.autograd.grad(terms["adversarial"], list(made.model.generator.parameters()), allow_unused=True)
    assert all(gradient is not None for gradient in gradients)


# ---- what makes it this model ------------------------------------------------------------------------------


def test_one_window_and_one_mirror_for_both_images_of_a_pair():
    """y is the negative of x everywhere in the data, and still is behind the jitter."""
    made = trainer(augment=True, batch_size=8)
    seen: list[tuple[Tensor, Tensor]] = []
    own = made.model.D

    def kept(x: Tensor, y: Tensor) -> Tensor:
        seen.append((x, y))
        return own(x, y)

    made.model.D = kept  # type: ignore[method-assign]
    next(made.updates())
    x, y = seen[0]
    assert torch.allclose(x, -y, atol=1e-5)
    made.batches.drawn = 0
    assert not torch.allclose(x, next(made.batches).a, atol=1e-3)


def test_dropout_stays_on_and_stands_in_the_three_innermost_layers():
    net = UNet(3, 3, 4, 8)
    dropped = [any(isinstance(layer, nn.Dropout) for layer in part) for part in net.up]
    assert dropped == [False] * 5 + [True] * 3
    model = trainer(dropout=0.5).model
    image = torch.rand(1, 3, 16, 16) * 2 - 1
    with unrecorded(model.generator):
        first, second = (model.generator(image) for _ in range(2))
    assert not torch.equal(first, second)
    still = trainer(dropout=0.0).model
    assert torch.equal(still.generator(image), still.generator(image))
    assert Pix2Pix.sample_mode == "train"


def test_the_innermost_map_has_no_norm():
    """One pixel normalised by its own statistics is 0 for every image: G would not see the whole picture."""
    net = UNet(3, 3, 4, 4)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in net.down[-1])
    a, b = torch.rand(2, 1, 3, 16, 16)
    for down in net.down:
        a, b = down(a), down(b)
    assert a.shape[2:] == (1, 1)
    assert not torch.allclose(a, b)
    normalised = nn.InstanceNorm2d(a.shape[1])
    with pytest.raises(ValueError, match="more than 1 spatial element"):
        normalised(a)


def test_any_size_is_padded_and_cropped():
    net = UNet(1, 1, 4, 4).eval()
    for h, w in ((16, 16), (17, 23), (20, 12), (40, 9)):
        assert net(torch.rand(1, 1, h, w)).shape == (1, 1, h, w)


def test_resizing_draws_no_checkerboard():
    """A constant picture, random weights: behind a transposed convolution neighbouring pixels differ, away from the
    border; behind resize and convolve they do not."""

    def unevenness(upsampling) -> float:
        torch.manual_seed(0)
        net = UNet(1, 1, 8, 3, dropout=0.0, upsampling=upsampling).eval()
        with torch.no_grad():
            made = net(torch.full((1, 1, 64, 64), 0.3))[0, 0, 24:40, 24:40]
        return ((made[:, 1:] - made[:, :-1]).abs().mean() / made.abs().mean()).item()

    assert unevenness("resize") < 1e-5
    assert unevenness("transposed") > 1e-2


def test_a_discriminator_that_ignores_its_input_is_another_model():
    made = trainer(conditional_discriminator=False)
    x, y = next(made.batches)
    assert torch.equal(made.model.D(x, y), made.model.D(-x, y))
    conditional = trainer().model
    assert not torch.equal(conditional.D(x, y), conditional.D(-x, y))


def test_l1_alone_leaves_d_out():
    made = trainer(adversarial_weight=0.0)
    updates = list(made.updates())
    assert list(updates[-1].terms) == ["l1"]


def test_it_learns_a_map_that_can_be_learned():
    """Negatives of random blocks, 60 steps, judged on unseen ones: the error falls to a fraction; from pairs of two
    scenes it does not."""

    def blocks(seed: int) -> Tensor:
        drawn = torch.randint(0, 2, (64, 4, 4, 1), generator=torch.Generator().manual_seed(seed)) * 255
        return drawn.repeat_interleave(4, 1).repeat_interleave(4, 2).to(torch.uint8)

    def error(*, shuffled: bool) -> float:
        torch.manual_seed(0)
        first, unseen = blocks(1), decode(blocks(2))
        second = (255 - first).roll(1, 0) if shuffled else 255 - first
        model = registry.create("pix2pix", (1, 16, 16), width=8, levels=4, dropout=0.0, augment=False, lr=2e-3)
        made = Trainer(model, Batches(Dataset("blocks", first, second=second, paired=True), PairedImages, 8), 60)
        for _ in made:
            pass
        return (model.translate(unseen) + unseen).abs().mean().item()

    assert error(shuffled=False) < 0.3
    assert error(shuffled=True) > 0.7


def test_what_it_refuses():
    with pytest.raises(UserError, match="2-D points"):
        registry.create("pix2pix", (2,))
    with pytest.raises(UserError, match=r"levels 5 needs images of 32 pixels.*use fewer"):
        registry.create("pix2pix", (3, 16, 16), levels=5)
    with pytest.raises(UserError, match="one of them above"):
        registry.create("pix2pix", (3, 16, 16), l1_weight=0.0, adversarial_weight=0.0)
