"""PixelRNN (here: PixelCNN) against its paper: causality, likelihoods in closed form, sampling, the known
mistakes."""

import itertools
import math

import pytest
import torch
from torch import Tensor, nn

from ganarium import registry
from ganarium.data.batches import Batches
from ganarium.data.dataset import Dataset, Images
from ganarium.errors import UserError
from ganarium.models.pixelrnn import PixelRNN
from ganarium.networks.pixelcnn import Canvas, MaskedConv2d, PixelCNN, groups
from ganarium.trainer import Trainer


def setup(shape=(1, 8, 8), seed=0, **options) -> PixelRNN:
    torch.manual_seed(seed)
    return registry.create("pixelrnn", shape, **{"width": 8, "num_blocks": 2, "head": 8} | options)


def train(model: PixelRNN, stored: Tensor, steps: int, batch: int = 16) -> list[dict[str, float]]:
    trainer = Trainer(model, Batches(Dataset("synthetic", stored), Images, batch), steps)
    for _ in trainer:
        pass
    return trainer.drain().rows


def loud(model: PixelRNN, gain: float = 4.0) -> PixelRNN:
    """Weights so large that a conditional depends strongly on what came before."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("weight"):
                parameter.mul_(gain)
    return model


def leaky(network: PixelCNN) -> None:
    """The control: mask B in the first layer lets every value see itself."""
    network.first.mask = MaskedConv2d(network.channels, network.first.out_channels, 7, "B", network.channels).mask


def fixed(model: PixelRNN, logits: list[float]) -> PixelRNN:
    """The same logits at every pixel, whatever came before."""
    nn.init.zeros_(model.network.last.weight)
    with torch.no_grad():
        model.network.last.bias.copy_(torch.tensor(logits))
    return model


# ---- causality ---------------------------------------------------------------------------------------------


def future_seen(network: PixelCNN, height: int, width: int) -> int:
    """How many pairs (logit, value at or after it in raster order) have a gradient."""
    channels = network.channels
    image = torch.randn(1, channels, height, width, dtype=torch.float64, requires_grad=True)
    logits = network(image)
    order = torch.arange(height * width * channels).view(height, width, channels).permute(2, 0, 1)
    leaks = 0
    for y, x, c in itertools.product((0, 3, height - 1), (0, 4, width - 1), range(channels)):
        # squares keep the gradients of different levels from cancelling
        (gradient,) = torch.autograd.grad(logits[0, c, :, y, x].square().sum(), image, retain_graph=True)
        leaks += int(((gradient[0] != 0) & (order >= order[c, y, x])).sum())
    return leaks


CASES = [(1, 1, 8), (3, 1, 8), (3, 256, 9), (1, 256, 8), (4, 5, 7), (3, 4, 2)]


@pytest.mark.parametrize(("channels", "outputs", "width"), CASES)
def test_no_logit_sees_its_own_value_or_a_later_one(channels, outputs, width):
    """Rows, columns and channels; widths that do not divide by the channels, or are fewer."""
    torch.manual_seed(0)
    network = PixelCNN(channels, width, 2, head=7, outputs=outputs).double()
    assert future_seen(network, 9, 10) == 0
    leaky(network)
    assert future_seen(network, 9, 10) > 0, "the control must leak"


def test_masks_hold_after_updates():
    model = setup((3, 8, 8), levels=4)
    stored = torch.randint(0, 256, (32, 8, 8, 3), dtype=torch.uint8)
    train(model, stored, 5)
    assert future_seen(model.network.double(), 9, 10) == 0
    assert not any("mask" in name for name in model.state_dict())


def test_past_is_seen():
    """All but the corner that the paper allows to be missing: everything before the centre in a 9x9 image,
    save a few."""
    torch.manual_seed(0)
    network = PixelCNN(1, 8, 5, head=8, outputs=1).double()
    image = torch.randn(1, 1, 9, 9, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(network(image)[0, 0, 0, 4, 4], image)
    assert (gradient.flatten()[:40] != 0).sum() >= 36


def test_channel_order_of_the_masks():
    assert groups(6, 3).tolist() == [0, 0, 1, 1, 2, 2]
    assert groups(7, 3).tolist() == [0, 0, 0, 1, 1, 2, 2]
    a, b = (MaskedConv2d(3, 3, 3, kind, 3).mask[:, :, 1, 1].int().tolist() for kind in "AB")
    assert a == [
        [0, 0, 0],
        [1, 0, 0],
        [1, 1, 0],
    ]  # row: the map that looks; R sees nothing, G sees R, B sees R and G
    assert b == [[1, 0, 0], [1, 1, 0], [1, 1, 1]]


def test_green_sees_red_of_its_pixel_and_blue_sees_both():
    torch.manual_seed(0)
    network = PixelCNN(3, 9, 2, head=9, outputs=4).double()
    image = torch.randn(1, 3, 8, 8, dtype=torch.float64, requires_grad=True)
    seen = []
    for c in range(3):
        (gradient,) = torch.autograd.grad(network(image)[0, c, :, 4, 4].square().sum(), image)
        seen.append((gradient[0, :, 4, 4] != 0).tolist())
    assert seen == [[False, False, False], [True, False, False], [True, True, False]]


# ---- likelihoods -------------------------------------------------------------------------------------------


def all_images(channels: int, height: int, width: int, levels: int) -> Tensor:
    values = torch.linspace(-1, 1, levels, dtype=torch.float64)
    grid = torch.cartesian_prod(*[values] * (channels * height * width))
    return grid.view(-1, channels, height, width)


@pytest.mark.parametrize(("size", "levels"), [((1, 3, 3), 2), ((3, 1, 3), 2), ((3, 1, 2), 3), ((4, 2, 1), 2)])
def test_probabilities_of_all_images_sum_to_one(size, levels):
    """Holds for whatever weights, and only for a causal network with a likelihood that is right."""
    channels, height, width = size
    images = all_images(channels, height, width, levels)
    model = loud(setup((channels, 8, 8), levels=levels)).double()
    with torch.no_grad():
        assert torch.exp(-model.nll(images)).sum().item() == pytest.approx(1, abs=1e-9)
        leaky(model.network)
        assert abs(torch.exp(-model.nll(images)).sum().item() - 1) > 1e-3, "the control must not be normalised"


@pytest.mark.parametrize(("shape", "levels"), [((1, 28, 28), 2), ((3, 8, 9), 256), ((1, 8, 8), 16), ((4, 9, 8), 2)])
def test_uniform_network_costs_a_fixed_number_of_nats(shape, levels):
    """A sum over values: 543.4 nats for binary MNIST. Known mistake: the mean, 784 times smaller."""
    outputs = 1 if levels == 2 else levels
    model = fixed(setup(shape, levels=levels), [0.0] * shape[0] * outputs)
    nll = model.nll(torch.rand(5, *shape) * 2 - 1)
    expected = math.prod(shape) * math.log(levels)
    assert nll.shape == (5,)
    assert nll.tolist() == pytest.approx([expected] * 5, rel=1e-5)
    c, h, w = shape
    _, terms, watched = next(model.step(Batches(Dataset("d", torch.zeros(16, h, w, c, dtype=torch.uint8)), Images, 16)))
    assert terms["nll"].item() == pytest.approx(expected, rel=1e-5)
    assert watched["bits_per_dim"].item() == pytest.approx(math.log2(levels), rel=1e-5)


def test_independent_values_have_the_entropy_of_their_distribution():
    p = 0.3
    model = fixed(setup((1, 8, 8)), [math.log(p / (1 - p))])
    image = torch.where(torch.rand(3, 1, 8, 8) < 0.5, -1.0, 1.0)
    ones = (image > 0).flatten(1).sum(1)
    expected = -(ones * math.log(p) + (64 - ones) * math.log(1 - p))
    assert model.nll(image).tolist() == pytest.approx(expected.tolist(), rel=1e-5)
    logits = torch.randn(3 * 4)
    model = fixed(setup((3, 8, 8), levels=4), logits.tolist())
    image = torch.full((1, 3, 8, 8), 1 / 3)  # level 2 of 0 to 3
    expected = -64 * logits.view(3, 4).log_softmax(1)[:, 2].sum()
    assert model.nll(image).item() == pytest.approx(expected.item(), rel=1e-5)


def test_grey_values_are_drawn_afresh_and_binary_images_are_not():
    model = setup()
    torch.manual_seed(0)
    grey = torch.full((400, 1, 8, 8), -0.4)  # 1 with probability 0.3
    drawn = model.quantised(grey)
    assert set(drawn.unique().tolist()) == {0, 1}
    assert drawn.double().mean().item() == pytest.approx(0.3, abs=0.01)  # standard deviation 0.003
    assert not torch.equal(drawn, model.quantised(grey))
    binary = torch.where(torch.rand(400, 1, 8, 8) < 0.5, -1.0, 1.0)
    assert torch.equal(model.decoded(model.quantised(binary)), binary)


@pytest.mark.parametrize("levels", [3, 4, 16, 255, 256])
def test_levels_are_exact(levels):
    model = setup((1, 16, 16), levels=levels)
    index = torch.arange(levels)
    assert torch.equal(model.quantised(model.decoded(index)), index)
    stored = torch.arange(256, dtype=torch.uint8).view(1, 16, 16, 1)
    batch = Batches(Dataset("grey", stored), Images, 1).draw(1).image
    nearest = (torch.arange(256, dtype=torch.float64) * (levels - 1) / 255).round().long()
    assert torch.equal(model.quantised(batch).flatten(), nearest)


def test_two_images_cost_one_bit():
    """All black or all white: the optimum is ln 2 = 0.693 nats an image. With mask B it is 0: the value is
    copied."""
    stored = torch.cat([torch.zeros(16, 8, 8, 1), torch.full((16, 8, 8, 1), 255.0)]).to(torch.uint8)
    cost = {}
    for control in (False, True):
        model = setup(width=16)
        if control:
            leaky(model.network)
        train(model, stored, 150, batch=32)
        cost[control] = model.nll(Batches(Dataset("d", stored), Images, 32).draw(32).image).mean().item()
    assert math.log(2) - 0.02 < cost[False] < math.log(2) + 0.3
    assert cost[True] < 0.2


def test_constant_grey_costs_its_entropy():
    """Nothing to learn but the grey value: training goes to 64 H(p), not below, as the draws are new every
    time."""
    p = 77 / 255
    entropy = -64 * (p * math.log(p) + (1 - p) * math.log(1 - p))
    stored = torch.full((16, 8, 8, 1), 77, dtype=torch.uint8)
    rows = train(setup(), stored, 200)
    nll = sum(row["model/nll"] for row in rows[-50:]) / 50
    assert entropy - 0.7 < nll < entropy + 1.2  # 50 batches of 16: standard deviation 0.11
    assert rows[0]["model/nll"] > entropy + 3


# ---- sampling ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "levels", "width"),
    [((1, 9, 11), 2, 8), ((3, 8, 9), 4, 9), ((3, 8, 8), 256, 7), ((4, 10, 8), 2, 3), ((1, 12, 8), 6, 8)],
)
def test_pixel_by_pixel_logits_are_those_of_the_whole_network(shape, levels, width):
    model = loud(setup(shape, levels=levels, width=width, num_blocks=3)).double()
    channels, height, wide = shape
    image = model.decoded(torch.randint(levels, (3, *shape))).double()
    with torch.no_grad():
        whole = model.network(image)
        canvas = Canvas(model.network, torch.zeros_like(image))
        for y, x, c in itertools.product(range(height), range(wide), range(channels)):
            torch.testing.assert_close(canvas.logits(y, x)[:, c], whole[:, c, :, y, x], rtol=0, atol=1e-12)
            canvas.image[:, c, y, x] = image[:, c, y, x]
    assert torch.equal(canvas.image, image)


@pytest.mark.parametrize(("shape", "levels"), [((1, 8, 8), 2), ((3, 8, 8), 4)])
def test_own_samples_cost_what_their_conditionals_promise(shape, levels):
    """Of samples drawn rightly, the nats and the summed entropies of the conditionals have one mean (chain
    rule)."""
    model = loud(setup(shape, levels=levels))
    n = 1000
    image = model.sample(n, seed=0)
    with torch.no_grad():
        logits = model.network(image)
        logp = logits.log_softmax(2) if levels > 2 else torch.cat([logits, -logits], 2).sigmoid().log()
        entropy = -(logp.exp() * logp).sum((1, 2, 3, 4))
        surprise = model.nll(image) - entropy
    assert entropy.mean() < 0.9 * math.prod(shape) * math.log(levels)  # the conditionals say something
    assert abs(surprise.mean()) < 4 * surprise.std() / math.sqrt(n)
    with torch.no_grad():  # the control: as if written from right to left
        assert (model.nll(image.flip(3)) - entropy).mean() > 100 * surprise.std() / math.sqrt(n)


def test_samples_have_the_frequencies_of_the_model():
    image = fixed(setup(), [math.log(0.3 / 0.7)]).sample(100, seed=0)
    assert set(image.unique().tolist()) == {-1.0, 1.0}
    assert (image > 0).double().mean().item() == pytest.approx(0.3, abs=0.02)  # standard deviation 0.006
    p = [0.1, 0.2, 0.3, 0.4]
    image = fixed(setup((3, 8, 8), levels=4), [math.log(value) for value in p] * 3).sample(100, seed=0)
    shares = [(image.sub(value).abs() < 1e-6).double().mean().item() for value in (-1, -1 / 3, 1 / 3, 1)]
    assert shares == pytest.approx(p, abs=0.02)


def test_samples_are_seeded_and_independent():
    model = setup((3, 8, 10), levels=8)
    first, again, other = (model.sample(3, seed=seed) for seed in (1, 1, 2))
    assert first.shape == (3, 3, 8, 10)
    assert first.dtype == torch.float32
    assert first.abs().max() <= 1
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first[0], first[1])
    with pytest.raises(UserError, match="PixelRNN is told no latent"):
        model.sample(2, latent=torch.zeros(2, 5))


# ---- the rest ----------------------------------------------------------------------------------------------


def test_sizes_as_published():
    model = registry.create("pixelrnn", (1, 28, 28), num_blocks=5, head=64)
    assert sum(p.numel() for p in model.parameters()) == 20_737
    for shape, levels, blocks, width in [((1, 28, 28), 2, 7, 16), ((3, 32, 32), 256, 15, 128)]:
        model = registry.create("pixelrnn", shape)
        assert model.levels == levels
        assert len(model.network.blocks) == blocks
        assert model.network.blocks[0].look.in_channels == width
        assert model.network.first.out_channels == 2 * width
    assert model.batch_size == 16
    assert list(model.players) == ["model"]


def test_structure_learns_better_than_independent_pixels():
    """Vertical stripes of random phase: 4 images in all, so 1.39 nats; independent pixels cannot go below 64
    ln 2."""
    columns = torch.arange(8)
    stripes = torch.stack([((columns + phase) // 2 % 2 * 255).expand(8, 8) for phase in range(4)])
    stored = stripes.to(torch.uint8)[:, :, :, None].repeat(8, 1, 1, 1)
    rows = train(setup(width=16), stored, 150, batch=32)
    assert math.log(4) - 0.02 < rows[-1]["model/nll"] < 4 < 44 < rows[0]["model/nll"] + 4


def test_autocast_gives_fp32_logits_and_learns():
    model = setup((3, 8, 8), levels=4)
    with torch.autocast("cpu", torch.bfloat16):
        assert model.network(torch.randn(2, 3, 8, 8)).dtype == torch.float32
        assert model.nll(torch.rand(2, 3, 8, 8)).dtype == torch.float32


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"levels": 1}, "levels must be from 2 to 256, not 1"),
        ({"levels": 300}, "levels must be from 2 to 256, not 300"),
        ({"width": 0}, "width must be above 0"),
        ({"clip_norm": 0.0}, "clip_norm must be above 0"),
    ],
)
def test_bad_options_are_one_sentence(options, message):
    with pytest.raises(UserError, match=message):
        registry.create("pixelrnn", (1, 8, 8), **options)


def test_points_are_refused():
    with pytest.raises(UserError, match="2-D points"):
        registry.create("pixelrnn", (2,))
