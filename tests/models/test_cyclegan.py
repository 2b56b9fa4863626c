"""CycleGAN against its paper: the losses in closed form, the pool, the networks' sizes, the known
mistakes."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium import registry
from ganarium.data.augment import crop_and_mirror, window
from ganarium.data.batches import Batches
from ganarium.data.dataset import Dataset, UnpairedImages, decode, encode
from ganarium.errors import UserError
from ganarium.layers.image_pool import ImagePool
from ganarium.models.cyclegan import CycleGAN
from ganarium.networks.cyclegan_generator import ResidualBlock, ResNetGenerator
from ganarium.networks.patchgan import PatchDiscriminator
from ganarium.trainer import Trainer


def images(value: int | None, shape: tuple[int, int, int], n: int = 8) -> Tensor:
    c, h, w = shape
    if value is None:
        return torch.randint(0, 256, (n, h, w, c), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    return torch.full((n, h, w, c), value, dtype=torch.uint8)


def setup(shape=(3, 16, 16), a=None, b=None, batch=2, **options) -> tuple[CycleGAN, Batches]:
    torch.manual_seed(0)
    model = registry.create("cyclegan", shape, **{"width": 4, "num_blocks": 1} | options)
    data = Dataset("synthetic", images(a, shape), second=images(b, shape, n=9))
    return model, Batches(data, UnpairedImages, batch)


class Constant(nn.Module):
    """A generator whose result is one value everywhere."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(value))

    def forward(self, x: Tensor) -> Tensor:
        return torch.ones_like(x) * self.value


class MeanScore(nn.Module):
    """A discriminator whose scores (2, 2) are a multiple of the image's mean."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x.mean((1, 2, 3), keepdim=True).expand(-1, 1, 2, 2)


# ---- losses ------------------------------------------------------------------------------------------------


def test_every_term_in_closed_form():
    """Constant images, generators and scores: each term must see the right network, image and direction."""
    model, batches = setup(a=0, b=255, augment=False, pool_size=0, cycle_weight=10.0, identity_weight=0.5)
    a, b, g, f = -1.0, 1.0, 0.25, -0.5  # images of A and of B; what G and F make of anything
    model.a2b, model.b2a, model.D_a, model.D_b = Constant(g), Constant(f), MeanScore(1.0), MeanScore(2.0)
    step = model.step(batches)
    player, terms = next(step)
    assert player == "G"
    assert {name: term.item() for name, term in terms.items()} == pytest.approx(
        {
            "adversarial": (2 * g - 1) ** 2 + (f - 1) ** 2,
            "cycle": 10 * (abs(f - a) + abs(g - b)),
            "identity": 5 * (abs(g - b) + abs(f - a)),
        }
    )
    with torch.no_grad():  # what the D update sees was made before the G update
        model.a2b.value.fill_(9.0)
        model.b2a.value.fill_(9.0)
    player, terms, watched = next(step)
    assert player == "D"
    assert {name: term.item() for name, term in terms.items()} == pytest.approx(
        {
            "a": 0.5 * ((a - 1) ** 2 + f**2),
            "b": 0.5 * ((2 * b - 1) ** 2 + (2 * g) ** 2),
        }
    )
    assert watched["fake_b"].mean().item() == pytest.approx(2 * g)
    assert not watched["fake_b"].requires_grad


def test_identity_term_compares_with_the_generators_input():
    """Known mistake: G(x) held against x, instead of G(y) against y. With G = F = 0 the two differ."""
    model, batches = setup(a=255, b=0, augment=False)
    model.a2b, model.b2a = nn.Identity(), Constant(0.0)
    images_a = 1.0
    terms = next(model.step(batches))[1]
    assert terms["identity"].item() == pytest.approx(5 * (0 + abs(0 - images_a)))
    model, batches = setup(a=255, b=128, augment=False)  # |a| = 1, |b| = 1/255
    model.a2b, model.b2a = Constant(0.0), nn.Identity()
    terms = next(model.step(batches))[1]
    assert terms["identity"].item() == pytest.approx(5 * 1 / 255, rel=1e-4)  # and not 5 * 1


def test_losses_where_every_score_is_zero():
    model, batches = setup()
    for D in (model.D_a, model.D_b):
        nn.init.zeros_(D.layers[-1].weight)
        nn.init.zeros_(D.layers[-1].bias)
    step = model.step(batches)
    assert next(step)[1]["adversarial"].item() == 2.0
    assert {name: term.item() for name, term in next(step)[1].items()} == {"a": 0.5, "b": 0.5}


def test_inverse_generators_have_no_cycle_loss():
    model, batches = setup(augment=False)
    model.a2b, model.b2a = nn.Hardtanh(-9, 9), nn.Hardtanh(-9, 9)  # both the identity
    terms = next(model.step(batches))[1]
    assert terms["cycle"].item() == 0
    assert terms["identity"].item() == 0


def test_cycle_loss_runs_in_both_directions():
    """G keeps everything and F nothing: the cycle a -> b -> a fails and so does b -> a -> b."""
    for broken in ("a2b", "b2a"):
        model, batches = setup(a=255, b=255, augment=False, identity_weight=0.0)
        model.a2b, model.b2a = nn.Identity(), nn.Identity()
        setattr(model, broken, Constant(0.0))
        assert next(model.step(batches))[1]["cycle"].item() == pytest.approx(10 * 2)


class Times(nn.Module):
    """A generator that multiplies its input."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))
        self.shown: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.shown.append(x)
        return self.factor * x


def test_the_cycle_goes_through_both_generators():
    """G = 0.5 x, F = 0.25 x and images of 1 and -1: 10 (|0.125 - 1| + |-0.125 + 1|) = 17.5, whose derivatives are
    -10 (F + F) = -5 in G's factor and -10 (G + G) = -10 in F's. Known mistake: a detached translation, half of both."""
    model, batches = setup(a=255, b=0, augment=False)
    model.a2b, model.b2a = Times(0.5), Times(0.25)
    cycle = next(model.step(batches))[1]["cycle"]
    assert cycle.item() == pytest.approx(17.5)
    slopes = torch.autograd.grad(cycle, (model.a2b.factor, model.b2a.factor))
    assert [slope.item() for slope in slopes] == pytest.approx([-5, -10])


def test_images_of_both_domains_are_augmented(monkeypatch):
    """All networks and terms see what the augmentation made of an image: here half of it, so that G = F = x give no
    cycle and no identity term, and 2-pixel scores of half the images' means."""
    monkeypatch.setattr("ganarium.models.cyclegan.crop_and_mirror", lambda image: image / 2)
    model, batches = setup(a=255, b=0, pool_size=0, identity_weight=0.5)  # images of 1 and of -1
    model.a2b, model.b2a, model.D_a, model.D_b = Times(1.0), Times(1.0), MeanScore(1.0), MeanScore(1.0)
    step = model.step(batches)
    _, terms = next(step)
    assert {name: term.item() for name, term in terms.items()} == pytest.approx(
        {"adversarial": (0.5 - 1) ** 2 + (-0.5 - 1) ** 2, "cycle": 0.0, "identity": 0.0}
    )
    assert model.a2b.shown[0].unique().tolist() == [0.5]
    assert model.b2a.shown[0].unique().tolist() == [-0.5]
    _, _, scores = next(step)
    assert {name: score.unique().item() for name, score in scores.items()} == pytest.approx(
        {"real_a": 0.5, "fake_a": -0.5, "real_b": -0.5, "fake_b": 0.5}
    )


def test_identity_weight_zero_leaves_the_term_out():
    model, batches = setup(identity_weight=0.0)
    assert list(next(model.step(batches))[1]) == ["adversarial", "cycle"]


# ---- updates -----------------------------------------------------------------------------------------------


def test_each_update_moves_its_own_networks_and_nothing_else():
    model, batches = setup()
    original, moves = model.step, []

    def watched_step(batches):
        for item in original(batches):
            before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
            yield item
            changed = {name.split(".")[0] for name, p in model.named_parameters() if not torch.equal(p, before[name])}
            moves.append((item[0], changed))

    model.step = watched_step
    trainer = Trainer(model, batches, 2)
    for _ in trainer:
        pass
    assert moves == [("G", {"a2b", "b2a"}), ("D", {"D_a", "D_b"})] * 2


def test_discriminator_loss_has_no_way_to_the_generators():
    model, batches = setup()
    step = model.step(batches)
    next(step)
    sum(next(step)[1].values()).backward()
    assert all(p.grad is None for G in (model.a2b, model.b2a) for p in G.parameters())


def test_learning_rate_is_flat_and_then_falls_to_zero():
    model, batches = setup()
    trainer, total = Trainer(model, batches, 100), 100
    expected = {0: 1.0, 49: 1.0, 50: 1.0, 51: 0.98, 75: 0.5, 99: 0.02}
    for player in ("G", "D"):
        for iteration, factor in expected.items():
            trainer.players[player].set_numbers(iteration, total)
            group = trainer.players[player].optimizer.param_groups[0]
            assert group["lr"] == pytest.approx(2e-4 * factor)
            assert group["betas"] == (0.5, 0.999)


def test_cycle_weight_is_what_brings_images_back():
    """Measured on seeds 0-2: 0.19 with the cycle term, 0.46 and more without; the mean image gives 0.37."""

    def smooth(seed: int) -> Tensor:
        coarse = torch.rand(32, 1, 4, 4, generator=torch.Generator().manual_seed(seed)) * 2 - 1
        return encode(F.interpolate(coarse, size=(16, 16), mode="bilinear"))

    error = {}
    for cycle_weight in (10.0, 0.0):
        model, _ = setup((1, 16, 16), width=8, lr=2e-3, cycle_weight=cycle_weight, augment=False)
        data = Dataset("smooth", smooth(0), second=255 - smooth(1) // 2)
        for _ in Trainer(model, Batches(data, UnpairedImages, 4), 60):
            pass
        held_out = decode(smooth(5))
        error[cycle_weight] = (model.b2a(model.a2b(held_out)) - held_out).abs().mean().item()
    assert error[10.0] < 0.28 < error[0.0]


# ---- pool --------------------------------------------------------------------------------------------------


def numbered(numbers: range) -> Tensor:
    return torch.tensor([float(n) for n in numbers])[:, None, None, None]


def test_pool_statistics_on_numbered_images():
    torch.manual_seed(0)
    pool, total = ImagePool(50, (1, 1, 1)), 6000
    given = torch.cat([pool(numbered(range(i, i + 5))) for i in range(0, total, 5)]).flatten().long()
    fed = torch.arange(total)
    assert torch.equal(given[:50], fed[:50])
    ages = (fed - given)[500:]
    old = ages[ages > 0]
    assert (ages >= 0).all()
    assert 0.47 < len(old) / len(ages) < 0.53  # binomial: standard deviation 0.007
    assert 90 < old.double().mean() < 110  # each place is renewed with probability 1/100 a step
    assert abs((old > 100).double().mean() - 0.99**100) < 0.04  # geometric, not merely of that mean
    # nothing is lost or doubled: what came out after filling, and what is left, is what went in
    left = pool.images.flatten().long()
    assert torch.equal(torch.cat([given[50:], left]).sort().values, fed)


@pytest.mark.parametrize("batch", [1, 7])
def test_pool_is_sequential_within_a_batch(batch):
    """Against the plain list of the authors' code, with the same draws; a batch may be larger than the
    pool."""
    size, pool, stored = 3, ImagePool(3, (1, 1, 1)), []
    for i in range(0, 70, batch):
        torch.manual_seed(i)
        places, exchanged = torch.randint(size, (batch,)).tolist(), (torch.rand(batch) < 0.5).tolist()
        expected = []
        for number, place, exchange in zip(range(i, i + batch), places, exchanged, strict=True):
            if len(stored) < size:
                stored.append(number)
                expected.append(number)
            elif exchange:
                expected.append(stored[place])
                stored[place] = number
            else:
                expected.append(number)
        torch.manual_seed(i)
        assert pool(numbered(range(i, i + batch))).flatten().tolist() == expected
        assert pool.images.flatten()[: len(stored)].tolist() == stored
        assert pool.count == len(stored)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_pool_in_every_type_and_layout(dtype, layout):
    pool = ImagePool(4, (3, 5, 6)).to(dtype).to(memory_format=layout)
    assert pool.images.is_contiguous(memory_format=layout)
    seen = torch.randn(40, 3, 5, 6, dtype=dtype).to(memory_format=torch.channels_last)
    for new in seen.split(2):
        given = pool(new)
        assert given.dtype == dtype
        assert all(any(torch.equal(image, known) for known in seen) for image in given)


def test_pool_gives_no_gradient_and_is_kept_in_the_state():
    image = torch.randn(3, 1, 4, 4, requires_grad=True)
    for size in (0, 2):
        assert not ImagePool(size, (1, 4, 4))(image * 2).requires_grad
    model, batches = setup(pool_size=5)
    for _ in Trainer(model, batches, 2):
        pass
    assert model.state_dict()["pool_a.count"] == 4
    assert model.state_dict()["pool_b.images"].abs().sum() > 0
    assert ImagePool.per_rank


# ---- networks ----------------------------------------------------------------------------------------------


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_parameter_counts_as_published():
    assert count(ResNetGenerator(3, 64, 9)) == 11_378_179
    assert count(ResNetGenerator(3, 64, 6)) == 7_837_699
    assert count(PatchDiscriminator(3, 64, 3, norm="instance")) == 2_764_737
    assert count(PatchDiscriminator(6, 64, 3, norm="batch")) == 2_768_705  # pix2pix


@pytest.mark.parametrize(("layers", "patch"), [(1, 16), (2, 34), (3, 70)])
def test_patch_size_measured_by_gradient(layers, patch):
    torch.manual_seed(0)
    D = PatchDiscriminator(1, 4, layers, norm=None)
    image = torch.randn(1, 1, 120, 120, requires_grad=True)
    score = D(image)
    middle = score.shape[2] // 2
    score[0, 0, middle, middle].backward()
    rows, columns = image.grad[0, 0].nonzero().unbind(1)
    assert rows.max() - rows.min() + 1 == patch
    assert columns.max() - columns.min() + 1 == patch


def test_score_maps_as_published():
    D = PatchDiscriminator(3, 2, 3, norm="instance")
    assert {side: D(torch.zeros(1, 3, side, side)).shape for side in (256, 128, 64)} == {
        256: (1, 1, 30, 30),
        128: (1, 1, 14, 14),
        64: (1, 1, 6, 6),
    }


@pytest.mark.parametrize(
    ("side", "blocks", "layers"), [(256, 9, 3), (128, 6, 3), (100, 6, 2), (64, 3, 2), (28, 3, 2), (8, 3, 1)]
)
def test_networks_follow_the_image_size(side, blocks, layers):
    model = registry.create("cyclegan", (3, side, side), width=1)
    assert sum(isinstance(m, ResidualBlock) for m in model.a2b.modules()) == blocks
    assert sum(isinstance(m, nn.Conv2d) and m.stride == (2, 2) for m in model.D_a.modules()) == layers


@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 13, 22), (4, 8, 9), (1, 28, 28), (3, 31, 17)])
def test_any_shape_trains_and_translates(shape):
    """Known mistake: padding by the number of channels, which breaks everything but RGB."""
    model, batches = setup(shape)
    trainer = Trainer(model, batches, 1)
    for _ in trainer:
        pass
    trainer.drain()
    for direction in model.directions:
        result = model.translate(torch.rand(2, *shape) * 2 - 1, direction=direction)
        assert result.shape == (2, *shape)
        assert result.abs().max() <= 1


def test_sides_are_padded_by_reflection_and_cropped():
    torch.manual_seed(0)
    G, x = ResNetGenerator(3, 4, 1), torch.randn(2, 3, 14, 17)
    padded = F.pad(x, (0, 3, 0, 2), mode="reflect")
    assert torch.equal(G(x), G(padded)[:, :, :14, :17])


def test_directions():
    model, _ = setup()
    model.a2b, model.b2a = Constant(0.5), Constant(-0.5)
    image = torch.zeros(1, 3, 16, 16)
    assert model.directions == ("a2b", "b2a")
    assert (model.translate(image) == 0.5).all()
    assert (model.translate(image, direction="b2a") == -0.5).all()


def test_instance_norm_is_the_same_in_training_and_evaluation():
    """Known mistake: running statistics, with which a trained model maps differently when it is used."""
    model, batches = setup()
    for _ in Trainer(model, batches, 3):
        pass
    image = torch.randn(2, 3, 16, 16)
    for network in (model.a2b, model.b2a, model.D_a, model.D_b):
        with torch.no_grad():
            assert torch.equal(network.train()(image), network.eval()(image))
    norms = [m for m in model.modules() if isinstance(m, nn.InstanceNorm2d)]
    assert norms
    assert all(not norm.track_running_stats and not norm.affine for norm in norms)


def test_initial_weights():
    torch.manual_seed(0)
    model = registry.create("cyclegan", (3, 32, 32), width=16)
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            assert abs(layer.weight.std() - 0.02) < 0.004
            assert (layer.bias == 0).all()


def test_outputs_are_fp32_under_autocast():
    model, _ = setup()
    with torch.autocast("cpu", torch.bfloat16):
        fake = model.a2b(torch.randn(2, 3, 16, 16))
        assert fake.dtype == model.D_b(fake).dtype == torch.float32


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, "width must be above 0"),
        ({"lr": 0.0}, "lr must be above 0"),
        ({"pool_size": -1}, "pool_size must be at least 0"),
        ({"cycle_weight": -1.0}, "cycle_weight must be at least 0"),
        ({"patch_layers": 3}, "patch_layers 3 needs images of at least 24x24 pixels, not 16x16: use fewer"),
    ],
)
def test_bad_options_are_one_sentence(options, message):
    with pytest.raises(UserError, match=message):
        registry.create("cyclegan", (3, 16, 16), **options)


# ---- augmentation ------------------------------------------------------------------------------------------


def test_window_is_resize_then_crop_then_mirror():
    torch.manual_seed(0)
    image = torch.rand(4, 3, 20, 28).to(memory_format=torch.channels_last)
    top, left = torch.tensor([[0], [2], [1], [2]]), torch.tensor([[0], [3], [2], [0]])
    mirror = torch.tensor([[False], [True], [False], [True]])
    result = window(image, (22, 31), top, left, mirror)
    large = F.interpolate(image, size=(22, 31), mode="bilinear")
    for i in range(4):
        expected = large[i, :, top[i] : top[i] + 20, left[i] : left[i] + 28]
        assert torch.equal(result[i], expected.flip(2) if mirror[i] else expected)
    assert result.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [(28, 28), (31, 17)])
def test_without_enlarging_pixels_are_copied(size, dtype):
    image = torch.rand(40, 3, *size, dtype=dtype)
    result = crop_and_mirror(image, enlarge=1.0)
    as_is = (result == image).flatten(1).all(1)
    mirrored = (result == image.flip(3)).flatten(1).all(1)
    assert (as_is ^ mirrored).all()
    assert as_is.any()
    assert mirrored.any()


def test_every_window_of_the_enlarged_image_is_drawn_and_no_other():
    torch.manual_seed(0)
    image = torch.rand(1, 1, 32, 32)
    large = F.interpolate(image, size=(36, 36), mode="bilinear")  # 32 * 286 / 256 = 35.75
    crops = torch.stack([large[0, :, y : y + 32, x : x + 32] for y in range(5) for x in range(5)])
    known = torch.cat([crops, crops.flip(3)])
    drawn = crop_and_mirror(image.expand(600, -1, -1, -1))
    match = (drawn[:, None] == known[None]).flatten(2).all(2)
    assert (match.sum(1) == 1).all()
    assert (match.sum(0) > 0).all()


def test_augment_can_be_turned_off():
    seen: dict[bool, Tensor] = {}
    for augment in (True, False):
        model, batches = setup(augment=augment)
        model.a2b.register_forward_pre_hook(lambda _, x, key=augment: seen.setdefault(key, x[0]))
        next(model.step(batches))
    untouched = setup()[1].draw(2).a
    assert torch.equal(seen[False], untouched)
    assert not torch.equal(seen[True], untouched)
