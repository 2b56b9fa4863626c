"""PixelRNN and PixelCNN against their paper: causality, likelihoods in closed form, sampling, the known
mistakes."""

import itertools
import math
import time
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from ganarium import cli, registry
from ganarium.data.batches import Batches
from ganarium.data.dataset import Dataset, Images
from ganarium.errors import UserError
from ganarium.models.pixelrnn import PixelRNN
from ganarium.networks.masked import MaskedConv2d, groups
from ganarium.networks.pixelcnn import Canvas, PixelCNN, ResidualBlock
from ganarium.networks.pixelrnn import DiagonalBiLSTM, DiagonalLSTM, RowLSTM, skewed, unskewed
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


def dependence(network: Callable[[Tensor], Tensor], maps: int, height: int, width: int) -> Tensor:
    """Which outputs depend on which values of an input of so many maps: bool (outputs, values), both in raster order
    and map by map within a pixel. Each output is that of a random image of its own, all in one batch."""
    with torch.no_grad():
        outputs = network(torch.zeros(1, maps, height, width, dtype=torch.float64)).shape[1]
    n = height * width * outputs
    image = torch.randn(n, maps, height, width, dtype=torch.float64, requires_grad=True)
    # squares keep the gradients of different levels from cancelling
    output = network(image).square().view(n, outputs, -1, height, width).sum(2)
    (gradient,) = torch.autograd.grad(output.movedim(1, 3).reshape(n, n).diagonal().sum(), image)
    return gradient.movedim(1, 3).reshape(n, -1) != 0


def future_seen(network: Callable[[Tensor], Tensor], channels: int, height: int, width: int) -> int:
    """How many pairs (logits of a value, a value at or after it in raster order) have a gradient."""
    return int(dependence(network, channels, height, width).triu().sum())


CASES = [(1, 1, 8), (3, 1, 8), (3, 16, 9), (1, 256, 8), (4, 5, 7), (3, 4, 2)]


@pytest.mark.parametrize(("channels", "outputs", "width"), CASES)
def test_no_logit_sees_its_own_value_or_a_later_one(channels, outputs, width):
    """Rows, columns and channels; widths that do not divide by the channels, or are fewer."""
    torch.manual_seed(0)
    network = PixelCNN(channels, width, 2, head=7, outputs=outputs).double()
    assert future_seen(network, channels, 9, 10) == 0
    leaky(network)
    assert future_seen(network, channels, 9, 10) > 0, "the control must leak"


def test_masks_hold_after_updates():
    model = setup((3, 8, 8), levels=4)
    stored = torch.randint(0, 256, (32, 8, 8, 3), dtype=torch.uint8)
    train(model, stored, 5)
    assert future_seen(model.network.double(), 3, 9, 10) == 0
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


# ---- recurrent layers --------------------------------------------------------------------------------------

RECURRENT = ["row_lstm", "diagonal_bilstm"]


def moved_states(network: nn.Module) -> nn.Module:
    """First states away from 0, as training makes them."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.rpartition(".")[2] in ("first_h", "first_c"):
                parameter.normal_()
    return network


@pytest.mark.parametrize("layer", RECURRENT)
@pytest.mark.parametrize(("channels", "outputs", "width"), [(1, 1, 6), (3, 4, 7), (4, 5, 2)])
def test_recurrent_layers_see_nothing_of_the_future(layer, channels, outputs, width):
    torch.manual_seed(0)
    network = moved_states(PixelCNN(channels, width, 2, head=7, outputs=outputs, layer=layer)).double()
    assert future_seen(network, channels, 9, 10) == 0
    leaky(network)
    assert future_seen(network, channels, 9, 10) > 0, "the control must leak"


def seen_by(layer: nn.Module, y: int, x: int, size=9) -> Tensor:
    """Which positions of the input the output at (y, x) depends on, bool (size, size)."""
    image = torch.randn(1, 4, size, size, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(layer(image)[0, :, y, x].square().sum(), image)
    return (gradient[0] != 0).any(0)


def before(y: int, x: int, size=9) -> Tensor:
    """The positions up to (y, x) itself in raster order."""
    return (torch.arange(size * size) <= y * size + x).view(size, size)


def test_a_row_lstm_sees_a_triangle_and_a_diagonal_bilstm_everything_before():
    torch.manual_seed(0)
    row, diagonal = (
        dependence(layer(2, 1).double(), 4, 9, 9).view(81, 2, 81, 4).any(3).any(1)
        for layer in (RowLSTM, DiagonalBiLSTM)
    )
    assert torch.equal(diagonal, torch.ones(81, 81, dtype=torch.bool).tril())
    y, x = torch.arange(81) // 9, torch.arange(81) % 9
    above, aside = y[:, None] - y, x - x[:, None]
    # one more pixel on each side with every row, and one on the left for the input
    assert torch.equal(row, (above >= 0) & (aside >= -above - 1) & (aside <= above))


ALONE = {
    "mask A": lambda width, channels: MaskedConv2d(2 * width, width, 3, "A", channels),
    "mask B": lambda width, channels: MaskedConv2d(2 * width, width, 3, "B", channels),
    "residual block": ResidualBlock,
    "row_lstm": RowLSTM,
    "diagonal_bilstm": DiagonalBiLSTM,
}


@pytest.mark.parametrize("name", ALONE)
@pytest.mark.parametrize(("channels", "width"), [(3, 3), (3, 4), (4, 5)])
def test_each_layer_alone_sees_the_channels_before_and_nothing_later(name, channels, width):
    """Between layers, maps belong to channels, in equal shares as far as numbers divide."""
    torch.manual_seed(0)
    layer = moved_states(ALONE[name](width, channels)).double()
    seen = dependence(layer, 2 * width, 5, 6)
    outputs = len(seen) // 30
    seeing, given = (
        (torch.arange(30)[:, None] * channels + groups(maps, channels)).flatten() for maps in (outputs, 2 * width)
    )
    allowed = given < seeing[:, None] if name == "mask A" else given <= seeing[:, None]
    assert not (seen & ~allowed).any()
    if name == "diagonal_bilstm":
        assert torch.equal(seen, allowed)
    own = [part.view(30, outputs, 30, 2 * width).diagonal(0, 0, 2).any(2) for part in (seen, allowed)]
    if name != "residual block":  # whose few ReLUs may all be off
        assert torch.equal(*own)  # within a pixel all is seen that may be
    for module in layer.modules():
        if hasattr(module, "mask"):
            module.mask.fill_(True)
    assert (dependence(layer, 2 * width, 5, 6) & ~allowed).any(), "the control must leak"


def test_known_mistakes_of_the_diagonal_layer_leak():
    torch.manual_seed(0)
    layer = DiagonalBiLSTM(2, 1).double()

    def unshifted(x):  # the backward direction added in its own row
        return layer.right(x) + layer.left(x.flip(3)).flip(3)

    def padded_below(x):  # a state convolution that pads below: the state of the row beneath
        one = DiagonalLSTM(2, 1).double()
        gates, h, c, columns = skewed(one.gates(x)), torch.zeros(1, 2, 9).double(), torch.zeros(1, 2, 9).double(), []
        for column in range(gates.shape[3]):
            h, c = one.step(gates[:, :, :, column] + one.remember(nn.functional.pad(h, (0, 1))), c)
            columns.append(h)
        return unskewed(torch.stack(columns, 3))

    for mistake in (unshifted, padded_below):
        assert (seen_by(mistake, 4, 4) & ~before(4, 4)).sum() >= 3


def test_skewing_moves_row_y_by_y_columns_and_back():
    x = torch.arange(1.0, 7.0).view(1, 1, 2, 3)
    assert skewed(x)[0, 0].tolist() == [[1, 2, 3, 0], [0, 4, 5, 6]]
    for height, width in ((1, 1), (1, 4), (5, 1), (4, 3)):
        x = torch.randn(2, 3, height, width)
        assert torch.equal(unskewed(skewed(x)), x)


def test_a_step_of_the_lstm_in_closed_form():
    """Equation 3: three gates with a sigmoid, and tanh for the new content (the mistake: a sigmoid there too)."""
    layer, sigmoid = RowLSTM(1, 1), lambda value: 1 / (1 + math.exp(-value))
    gates, c = torch.tensor([[[0.5], [-1.0], [2.0], [-0.7]]]), torch.tensor([[[0.3]]])
    h, new = layer.step(gates, c)
    expected = sigmoid(-1.0) * 0.3 + sigmoid(2.0) * math.tanh(-0.7)
    assert new.item() == pytest.approx(expected)
    assert h.item() == pytest.approx(sigmoid(0.5) * math.tanh(expected))


@pytest.mark.parametrize("layer", RECURRENT)
@pytest.mark.parametrize(("size", "levels"), [((1, 3, 3), 2), ((3, 1, 2), 3)])
def test_probabilities_with_recurrent_layers_sum_to_one(layer, size, levels):
    channels, height, width = size
    model = loud(setup((channels, 8, 8), levels=levels, layer=layer)).double()
    moved_states(model.network)
    with torch.no_grad():
        nll = model.nll(all_images(channels, height, width, levels))
    assert torch.exp(-nll).sum().item() == pytest.approx(1.0, rel=1e-9)
    assert nll.std() > 0.1


@pytest.mark.parametrize("layer", RECURRENT)
@pytest.mark.parametrize(("shape", "levels"), [((1, 8, 9), 2), ((3, 9, 8), 4)])
def test_states_that_are_kept_give_the_logits_of_the_whole_network(layer, shape, levels):
    model = loud(setup(shape, levels=levels, layer=layer)).double()
    moved_states(model.network)
    image = model.decoded(torch.randint(levels, (2, *shape))).double()
    with torch.no_grad():
        whole = model.network(image)
        canvas = Canvas(model.network, torch.zeros_like(image))
        for y, x, channel in itertools.product(range(shape[1]), range(shape[2]), range(shape[0])):
            logits = canvas.logits(y, x)[:, channel]
            torch.testing.assert_close(logits, whole[:, channel, :, y, x], rtol=1e-9, atol=1e-9)
            canvas.image[:, channel, y, x] = image[:, channel, y, x]


@pytest.mark.parametrize("layer", ["convolution", "row_lstm"])
def test_sampling_is_far_cheaper_than_a_pass_over_the_image_for_every_pixel(layer):
    model = setup((1, 20, 20), layer=layer)
    with torch.no_grad():
        began = time.process_time()
        for _ in range(10):
            model.network(torch.zeros(16, 1, 20, 20))
        anew = (time.process_time() - began) / 10 * 400
        model.sample(1, seed=0)
        began = time.process_time()
        model.generate(16)
        kept = time.process_time() - began
    assert anew > 5 * kept


def test_sizes_of_the_recurrent_networks():
    """About 70,000 parameters on MNIST with 7 layers of two directions."""
    model = registry.create("pixelrnn", (1, 28, 28), layer="diagonal_bilstm")
    assert len(model.network.blocks) == 7
    assert 60_000 < sum(parameter.numel() for parameter in model.parameters()) < 80_000
    with torch.device("meta"):
        colour = registry.create("pixelrnn", (3, 32, 32), layer="row_lstm")
    assert len(colour.network.blocks) == 12
    assert (colour.network.blocks[0].layer.width, colour.levels) == (128, 256)


@pytest.mark.parametrize("layer", RECURRENT)
def test_recurrent_layers_learn_and_copy_nothing(layer):
    """Rows that repeat the one above, drawn at random: the first costs 8 bits, all others can be learnt to cost
    nothing."""
    model = setup((1, 8, 8), layer=layer, lr=1e-2, num_blocks=1)
    rows = torch.randint(0, 2, (256, 1, 8, 1), dtype=torch.uint8) * 255
    nats = [row["model/nll"] for row in train(model, rows.expand(-1, 8, -1, -1).contiguous(), 150)]
    assert 8 * math.log(2) * 0.95 < sum(nats[-10:]) / 10 < 15
    assert nats[0] > 40
    assert not [
        name for name, value in model.named_parameters() if value.grad is not None and not value.grad.isfinite().all()
    ]


# ---- completion --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", ["convolution", *RECURRENT])
def test_a_half_covered_image_is_completed(layer):
    model = loud(setup((1, 8, 8), layer=layer))
    image = (torch.rand(3, 1, 8, 8) < 0.5).float() * 2 - 1
    mask = torch.arange(8)[:, None].expand(8, 8) >= 4
    first, again, other = (model.complete(image, mask, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(first[:, :, :4], image[:, :, :4])
    hidden = image.clone()
    hidden[:, :, 4:] = -1
    assert torch.equal(model.complete(hidden, mask, seed=0), first)  # what is covered is not looked at
    changed = image.clone()
    changed[:, :, 3] *= -1
    assert not torch.equal(model.complete(changed, mask, seed=0)[:, :, 4:], first[:, :, 4:])
    one = model.complete(image[0], mask, seed=0)
    assert one.shape == (1, 8, 8)
    nothing = model.complete(image, torch.zeros(8, 8, dtype=torch.bool))
    assert torch.equal(nothing, image)


def test_colours_are_completed_value_by_value_and_wrong_shapes_refused():
    model = setup((3, 8, 8), levels=4)
    image = model.decoded(torch.randint(4, (2, 3, 8, 8)))
    mask = torch.arange(8)[None].expand(8, 8) >= 4
    made = model.complete(image, mask, seed=0)
    torch.testing.assert_close(made[..., :4], image[..., :4])
    with pytest.raises(UserError, match="a tensor to complete must be"):
        model.complete(image[..., :7], mask)
    with pytest.raises(UserError, match="the mask must be a bool tensor"):
        model.complete(image, mask.float())
    with pytest.raises(UserError, match="does not complete images"):
        registry.create("dcgan", (1, 16, 16), width=4).complete(torch.zeros(1, 16, 16), torch.ones(16, 16).bool())


# ---- the multi-scale form ----------------------------------------------------------------------------------

LAYERS = ["convolution", *RECURRENT]


def double(shape=(1, 8, 8), **options) -> PixelRNN:
    """Two scales in float64, with biases that matter and states that move."""
    model = loud(setup(shape, subsample=2, **options).double())
    for network in (model.network, model.small_network):
        moved_states(network)
    return model


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize(("size", "levels"), [((1, 2, 4), 2), ((2, 2, 2), 2)])
def test_probabilities_with_two_scales_sum_to_one(layer, size, levels):
    model = double((size[0], 8, 8), levels=levels, layer=layer, width=4)
    with torch.no_grad():
        total = (-model.nll(all_images(*size, levels).double())).exp().sum()
    assert total.item() == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("layer", LAYERS)
def test_with_a_small_image_no_logit_sees_its_own_value_or_a_later_one(layer):
    network = double((3, 8, 8), levels=4, layer=layer, width=6).network
    small = torch.randn(1, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    assert future_seen(lambda x: network(x, small.detach().expand(len(x), -1, -1, -1)), 3, 8, 8) == 0
    logits = network(torch.randn(1, 3, 8, 8, dtype=torch.float64), small)
    (told,) = torch.autograd.grad(logits.square().sum(), small)
    assert (told != 0).all()


@pytest.mark.parametrize("layer", LAYERS)
def test_kept_states_give_the_logits_of_the_whole_network_at_two_scales(layer):
    model = double(layer=layer)
    x, small = torch.randn(2, 1, 8, 4, dtype=torch.float64), torch.randn(2, 1, 4, 2, dtype=torch.float64)
    with torch.no_grad():
        whole, canvas = model.network(x, small), Canvas(model.network, x.clone(), small)
        for y, column in itertools.product(range(8), range(4)):
            torch.testing.assert_close(canvas.logits(y, column), whole[..., y, column])
        assert not torch.allclose(whole, model.network(x, 0 * small))


def test_samples_of_two_scales_hold_the_small_image_and_cost_their_entropy():
    model = fixed(double(), [1.0])
    nn.init.zeros_(model.small_network.last.weight)
    nn.init.constant_(model.small_network.last.bias, -2.0)
    images = model.sample(200, seed=0)
    lit = (images + 1) / 2
    corners, rest = lit[:, :, ::2, ::2].mean().item(), (lit.sum() - lit[:, :, ::2, ::2].sum()).item() / (200 * 48)
    assert corners == pytest.approx(1 / (1 + math.exp(2)), abs=0.03)
    assert rest == pytest.approx(1 / (1 + math.exp(-1)), abs=0.03)
    chances = [corners] * 16 + [rest] * 48
    entropy = -sum(p * math.log(p) + (1 - p) * math.log(1 - p) for p in chances)
    assert model.nll(images).mean().item() == pytest.approx(entropy, rel=0.05)


def test_two_scales_complete_and_learn_and_need_sides_that_divide():
    model = setup((1, 8, 8), subsample=2)
    torch.manual_seed(0)
    image = torch.where(torch.rand(4, 1, 8, 8) < 0.5, 1.0, -1.0)
    mask = torch.zeros(4, 1, 8, 8, dtype=torch.bool)
    mask[:, :, 4:] = True
    done = model.completed(image, mask)
    assert torch.equal(done[:, :, :4], image[:, :, :4])
    stored = torch.zeros(64, 8, 8, 1, dtype=torch.uint8)
    stored[:, :, 2:4], stored[::2, 4:] = 255, 255
    losses = [row["model/nll"] for row in train(model, stored, 60)]
    assert losses[-1] < 0.3 * losses[0]
    with pytest.raises(UserError, match="9x8 pixels cannot be divided by subsample 2"):
        setup((1, 9, 8), subsample=2)
    with pytest.raises(UserError, match="power of two, not 3"):
        setup(subsample=3)


def test_the_command_line_completes_pictures(tmp_path, capsys):
    run, picture = str(tmp_path / "run"), tmp_path / "picture.png"
    options = ["--size", "8", "--width", "4", "--num-blocks", "1", "--head", "4", "--batch-size", "4", "--steps", "2"]
    assert cli.main(["train", "pixelrnn", "--data", "glyphs", *options, "--out", run]) == 0
    pixels = np.zeros((8, 8), np.uint8)
    pixels[:4, ::2] = 255
    Image.fromarray(pixels).save(picture)
    assert f"ganarium complete {run} PICTURE.png" in capsys.readouterr().out
    assert cli.main(["complete", run, str(picture), "--n", "3", "--device", "cpu"]) == 0
    drawn = np.asarray(Image.open(tmp_path / "run" / "generated" / "completed-seed0.png").convert("L")).astype(int)
    scale = drawn.shape[0] // (8 + 4)
    cells = [drawn[2 * scale :: scale, (2 + 10 * k) * scale :: scale][:8, :8] for k in range(5)]
    assert np.array_equal(cells[0], pixels)
    assert all(np.array_equal(cell[:4], pixels[:4]) for cell in cells)
    assert set(cells[1][4:].flatten()) <= {127, 128}
    assert len({cell[4:].tobytes() for cell in cells[2:]}) > 1
    assert cli.main(["complete", run, str(picture), "--n", "1", "--device", "cpu"]) == 0
    assert capsys.readouterr().out.endswith("completed-seed0-2.png\n")  # nothing is overwritten
    for wrong, words in (
        (["--covered", "2"], "--covered must be above 0"),
        (["--covered", "nan"], "--covered must be above 0"),
        (["--covered", "0.05"], "0.05 of 8 rows is less than half a row"),
        (["--n", "33"], "--n from 1 to 32"),
    ):
        assert cli.main(["complete", run, str(picture), *wrong]) == 2
        assert words in capsys.readouterr().err
