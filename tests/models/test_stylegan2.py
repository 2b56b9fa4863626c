"""StyleGAN2 against its paper and the authors' numbers: demodulation, path lengths, lazy penalties, the known
mistakes."""

import dataclasses
import math
import typing

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import reference
from ganarium import registry
from ganarium.data.dataset import Images
from ganarium.errors import UserError
from ganarium.model import Model, ramped
from ganarium.models.stylegan2 import PRESETS, Config
from ganarium.networks.stylegan2 import Discriminator, Generator, Layer, Output, Synthesis, stage_widths
from ganarium.testing import small_trainer


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def model(**options: object) -> Model:
    torch.manual_seed(0)
    return small_trainer("stylegan2", (3, 16, 16), **options).model


def pieces() -> dict:
    return reference.load("stylegan")["stylegan2_ada_pieces"]


# ---- the authors' numbers ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "size", "layers", "g", "d"),
    [
        (32768, 1024, 8, 30_370_060, 29_012_513),  # configuration F
        (16384, 256, 8, 24_767_458, 24_001_089),
        (16384, 64, 2, 22_243_608, 23_407_361),
    ],
)
def test_published_numbers_of_parameters(base: int, size: int, layers: int, g: int, d: int) -> None:
    widths = stage_widths(base, 512, size)
    with torch.device("meta"):
        assert count(Generator(512, 3, widths, layers)) == g
        assert count(Discriminator(3, widths, 4)) == d


# base_width, mapping_layers, group_size, lr, gamma, batch size and half-life in thousands of images, as in the table
# of configurations of the authors' train.py (low_shot: of DiffAugment's), where widths are multiples of 32,768
RELEASED = {
    "low_shot": (32768, 2, 4, 0.002, 10, 8, 10),
    "cifar": (None, 2, 32, 0.0025, 0.01, 64, 500),  # of 32 pixels, where the most channels decide
    "paper256": (16384, 8, 8, 0.0025, 1, 64, 20),
    "config_f": (32768, 8, 4, 0.002, 10, 32, 10),
}


@pytest.mark.parametrize("name", RELEASED)
def test_presets_are_the_authors(name: str) -> None:
    with torch.device("meta"):
        made = registry.create("stylegan2", (3, 32, 32), preset=name)
    config: Config = made.config
    base, layers, group, lr, gamma, batch, thousands = RELEASED[name]
    assert config.base_width == (base or config.base_width)
    assert (config.mapping_layers, config.group_size, config.lr, config.gamma) == (layers, group, lr, gamma)
    assert (config.max_width, config.latent_dim, made.batch_size) == (512, 512, batch)
    # after many steps the average halves in so many images
    assert made.ema["generator"](10**7) ** (1000 * thousands / batch) == pytest.approx(0.5)
    assert config.augment == ("diff" if name == "low_shot" else "none")
    assert (config.path_weight, config.mixing) == ((0, 0) if name == "cifar" else (2, 0.9))
    if name == "cifar":
        assert stage_widths(config.base_width, config.max_width, 32) == stage_widths(32768, 512, 32) == [512] * 4


def test_a_small_preset_is_for_a_cpu_and_what_is_given_wins() -> None:
    made = registry.create("stylegan2", (3, 64, 64), preset="small")
    assert made.batch_size == 16
    assert [block.first.weight.shape[0] for block in made.discriminator.blocks] == [16, 32, 64, 64]
    assert len(made.generator.mapping.layers) == 2
    assert made.prior.dim == 128
    assert count(made.generator) + count(made.discriminator) < 1_000_000
    named = {"mapping_layers": 8, "max_width": 512, "gamma": 0.0}  # two of them are the defaults
    config = registry.make_config("stylegan2", {"preset": "small", **named})
    assert (config.mapping_layers, config.max_width, config.gamma) == (8, 512, 0.0)
    assert (config.base_width, config.latent_dim) == (1024, 128)
    written = dataclasses.asdict(config)  # as a run keeps it
    assert registry.make_config("stylegan2", written) == config


def test_without_a_preset_nothing_has_changed() -> None:
    """A run that was written before there were presets has neither of their options."""
    config = registry.make_config("stylegan2", {})
    assert (config.base_width, config.max_width, config.latent_dim, config.mapping_layers) == (16384, 512, 512, 8)
    written = dataclasses.asdict(config)
    del written["preset"], written["half_life"]
    assert registry.make_config("stylegan2", written) == config
    assert registry.make_config("stylegan2", {"preset": None}) == config
    assert model().batch_size == 32
    assert model().ema["generator"](10**7) == ramped(0.5 ** (32 / 10_000))(10**7), "to the bit"


def test_presets_are_what_the_option_offers() -> None:
    choices = {name for kind in typing.get_args(Config.__annotations__["preset"]) for name in typing.get_args(kind)}
    assert choices == {*PRESETS}
    with pytest.raises(UserError, match=r"preset must be one of small, low_shot, .*, not 'tiny'"):
        registry.create("stylegan2", (3, 32, 32), preset="tiny")


def test_path_lengths_are_the_authors(monkeypatch) -> None:
    record = pieces()["path length regularisation (StyleGAN2)"]
    made = small_trainer("stylegan2", (3, 8, 8), precision="fp64", max_width=8).model
    G, rows = made.generator, record["G"]["parameters"]
    ours = [row for kind in ("const", ".conv", "torgb") for row in rows if kind in row[1]]
    reference.fill(G.synthesis.parameters(), ours)
    reference.fill(G.mapping.parameters(), [row for row in rows if "mapping" in row[1]])
    given = reference.inputs({"inputs": record})
    w = G.mapping(given["z"][:4])[:, None].expand(-1, 4, -1).clone()
    reference.hold(G.synthesis(w), record["image"])
    monkeypatch.setattr(torch, "randn", lambda *size, **kind: torch.zeros(*size, **kind))  # of the layers' noise
    monkeypatch.setattr(torch, "randn_like", lambda image: given["noise"])
    penalty = made.path_penalty(w)
    assert made.path_mean.item() == pytest.approx(record["mean length after, decay 0.01"], rel=1e-9)
    assert 2 * penalty.item() == pytest.approx(record["weighted by 2, mean"], rel=1e-9)
    named = {row[1]: value for row, value in zip(ours, G.synthesis.parameters(), strict=True)}
    named |= {f"mapping{k}": value for k, value in enumerate(G.mapping.parameters())}
    reference.hold_gradient(2 * penalty, named, record["gradient to G"])


def test_the_discriminator_and_r1_are_the_authors() -> None:
    record = pieces()["R1 per image (|grad|^2), D of 8 px"]
    D = Discriminator(3, [8, 8], 4).double()
    reference.fill(D.parameters(), record["D"]["parameters"])
    x = reference.inputs({"inputs": record})["x"].requires_grad_()
    scores = D(x)
    assert scores.tolist() == pytest.approx(record["scores"]["values"], rel=1e-6)
    (gradient,) = torch.autograd.grad(scores.sum(), x, create_graph=True)
    norm = gradient.square().sum((1, 2, 3))
    assert norm.tolist() == pytest.approx(record["values"]["values"], rel=1e-6)
    named = reference.by_name(D.parameters(), record["D"]["parameters"])
    reference.hold_gradient(5 * norm.mean(), named, record["gradient of 5 * mean to D"])


def test_the_mapping_is_the_authors() -> None:
    case = reference.load("stylegan")["case"]
    mapping = Generator(8, 3, [8, 8], 4).mapping.double()
    reference.fill(mapping.parameters(), case["networks"]["G"]["parameters"][:8])
    z = reference.inputs({"inputs": {"z": case["inputs"]["z"]}})["z"]
    (record,) = (row for name, row in pieces().items() if name.startswith("mapping, 4 layers"))
    reference.hold(mapping(z), record)


# ---- modulation and demodulation ---------------------------------------------------------------------------


@pytest.mark.parametrize("doubles", [False, True])
def test_it_is_a_convolution_with_weights_of_its_own_for_each_image(doubles: bool) -> None:
    torch.manual_seed(0)
    layer = Layer(5, 7, 8, doubles=doubles).double()
    x, style = torch.randn(3, 5, 6, 6).double(), torch.randn(3, 5).double()
    made = layer.convolution(x, style)
    for image, own, result in zip(x, style, made, strict=True):
        weight = layer.weight * own[None, :, None, None]
        weight = weight / (weight.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        if doubles:
            mapped = F.conv_transpose2d(image[None], weight.transpose(0, 1), stride=2)
            taps = torch.tensor([1.0, 3, 3, 1]).double() / 8
            kernel = torch.outer(taps, taps).expand(7, 1, 4, 4)
            mapped = F.conv2d(F.pad(mapped, (1, 1, 1, 1)), 4 * kernel, groups=7)
        else:
            mapped = F.conv2d(image[None], weight, padding=1)
        assert torch.allclose(result, mapped[0], atol=1e-12)
    assert made.shape[2:] == ((12, 12) if doubles else (6, 6))


def test_demodulation_keeps_the_deviation_whatever_the_style_and_its_size() -> None:
    torch.manual_seed(0)
    layer = Layer(64, 32, 8)
    x, style = torch.randn(8, 64, 16, 16), 10 ** torch.empty(8, 64).uniform_(-1, 1)
    made = layer.convolution(x, style)
    assert made[:, :, 1:-1, 1:-1].std().item() == pytest.approx(1.0, abs=0.03)
    assert torch.allclose(layer.convolution(x, 3 * style), made, atol=1e-5)
    # colours are scaled and not divided: that would be the mistake
    colours = Output(64, 3, 8)
    w = torch.randn(8, 8)
    plain = colours(x, w)
    colours.scale *= 3
    assert torch.allclose(colours(x, w), 3 * plain, atol=1e-4)


def test_noise_comes_behind_demodulation_starts_silent_and_is_one_map_for_all_channels() -> None:
    torch.manual_seed(0)
    layer, x, w = Layer(4, 6, 8), torch.randn(2, 4, 5, 5), torch.randn(2, 8)
    assert torch.equal(layer(x, w, None), layer(x, w, None))
    nn.init.constant_(layer.strength, 0.5)
    noise = torch.randn(1, 1, 5, 5)
    expected = layer.convolution(x, layer.style(w)) + 0.5 * noise
    assert torch.allclose(layer(x, w, noise), F.leaky_relu(expected, 0.2) * math.sqrt(2), atol=1e-6)


def test_styles_start_at_one_and_layers_and_outputs_take_theirs() -> None:
    torch.manual_seed(0)
    net = Synthesis(8, 3, [4, 4, 4])
    assert all((layer.style.bias == 1).all() for layer in [*net.layers, *net.outputs])
    w = torch.randn(1, 6, 8)
    maps: dict[str, list[Tensor]] = {"layers": [], "outputs": []}
    for kind in maps:
        for part in getattr(net, kind):
            part.register_forward_hook(lambda _, given, __, kind=kind: maps[kind].append(given[1][0]))
    net(w)
    assert [next(k for k in range(6) if torch.equal(w[0, k], x)) for x in maps["layers"]] == [0, 1, 2, 3, 4]
    assert [next(k for k in range(6) if torch.equal(w[0, k], x)) for x in maps["outputs"]] == [1, 3, 5]
    with torch.no_grad():  # the image is the sum of what all resolutions say
        for part in net.outputs:
            part.weight.zero_()
        net.outputs[0].bias.fill_(0.5)
        net.outputs[2].bias.fill_(0.25)
    assert net(w)[:, :, 5:-5, 5:-5].unique().tolist() == pytest.approx([0.75])


def test_codes_are_normalised() -> None:
    G, z = model().generator, torch.randn(2, 8)
    assert torch.allclose(G.mapping(3 * z), G.mapping(z), atol=1e-6)


# ---- losses ------------------------------------------------------------------------------------------------


class Linear(nn.Module):
    """A synthesis G(w) = A w, of images of n pixels."""

    def __init__(self, matrix: Tensor) -> None:
        super().__init__()
        self.matrix = nn.Parameter(matrix)

    def forward(self, w: Tensor) -> Tensor:
        return (w[:, 0] @ self.matrix.T).view(len(w), 1, 4, -1)


def test_the_path_length_of_a_linear_generator_is_its_norm() -> None:
    torch.manual_seed(0)
    made = model()
    made.size, A = 4, torch.randn(16, 3)
    made.generator.synthesis = Linear(A)
    made.path_penalty(torch.randn(4000, 1, 3, requires_grad=True))
    # E |A' y|^2 = |A|^2 / n; the mean of the length is a little below the root
    assert 100 * made.path_mean.item() == pytest.approx((A.square().sum() / 16).sqrt().item(), rel=0.2)


def test_the_path_penalty_makes_singular_values_equal() -> None:
    torch.manual_seed(0)
    made = model()
    made.size = 4
    left, right = (torch.linalg.qr(torch.randn(n, 3))[0] for n in (16, 3))
    made.generator.synthesis = Linear(left @ torch.diag(torch.tensor([5.0, 3.0, 1.0])) @ right.T)
    matrix = made.generator.synthesis.matrix
    adam = torch.optim.Adam([matrix], lr=0.03)
    for _ in range(400):
        adam.zero_grad()
        made.path_penalty(torch.randn(64, 1, 3, requires_grad=True)).backward()
        adam.step()
    largest, *_, smallest = torch.linalg.svdvals(matrix.detach()).tolist()
    assert largest / smallest < 1.5


def test_penalties_come_at_their_intervals_and_weigh_so_many_times_more() -> None:
    made = small_trainer("stylegan2", (3, 16, 16), total=20, gamma=2.0, path_interval=2)
    seen = [[(update.player, *update.terms) for update in made.updates()] for _ in range(4)]
    plain = [("G", "adversarial"), ("D", "real", "fake")]
    path, r1 = ("G", "penalty_path"), ("D", "penalty_r1")
    assert seen == [
        [plain[0], path, plain[1], r1],
        plain,
        [plain[0], path, plain[1]],
        [*plain, r1],
    ]


def test_r1_is_of_the_reals_alone() -> None:
    a = torch.randn(3, 16, 16, generator=torch.Generator().manual_seed(0))
    made = model(gamma=3.0, path_weight=0.0)
    weight = nn.Parameter(torch.ones(()))
    made.discriminator.forward = lambda x: weight * (x * a).sum((1, 2, 3))
    real = torch.rand(6, 3, 16, 16)
    moves = list(made.step(iter([Images(real)])))
    assert [player for player, *_ in moves] == ["G", "D", "D"]
    assert moves[2][1]["penalty_r1"].item() == pytest.approx(3 * 3 / 2 * a.square().sum().item(), rel=1e-5)
    scores = (real * a).sum((1, 2, 3))
    assert moves[1][1]["real"].item() == pytest.approx(F.softplus(-scores).mean().item(), rel=1e-5)


def test_gamma_follows_the_size_and_the_batch() -> None:
    a = torch.ones(3, 16, 16)
    made = model(path_weight=0.0)
    weight = nn.Parameter(torch.ones(()))
    made.discriminator.forward = lambda x: weight * (x * a).sum((1, 2, 3))
    *_, (_, terms) = made.step(iter([Images(torch.rand(8, 3, 16, 16))]))
    assert terms["penalty_r1"].item() == pytest.approx(3 * 0.0002 * 256 / 8 / 2 * a.square().sum().item(), rel=1e-5)
    with_none = model(gamma=0.0, path_weight=0.0)
    assert len(list(with_none.step(iter([Images(torch.rand(4, 3, 16, 16))])))) == 2


def test_rates_and_momenta_make_room_for_the_moves_of_the_penalties() -> None:
    players = model(lr=2e-3, penalty_interval=16, path_interval=4).players
    assert players["G"].optimizer.lr == pytest.approx(2e-3 * 0.8)
    assert players["G"].optimizer.betas == pytest.approx((0.0, 0.9920), abs=1e-4)
    assert players["D"].optimizer.lr == pytest.approx(2e-3 * 0.9412, rel=1e-4)
    assert players["D"].optimizer.betas == pytest.approx((0.0, 0.9906), abs=1e-4)
    assert model(path_weight=0.0).players["G"].optimizer.lr == 2e-3


def test_gradients_reach_whom_they_should() -> None:
    made = model()
    step = made.step(iter([Images(torch.rand(6, 3, 16, 16))]))
    _, terms = next(step)
    (to_map,) = torch.autograd.grad(terms["adversarial"], [made.generator.mapping.layers[0].weight], retain_graph=True)
    assert to_map.any()
    next(step)
    _, terms, _ = next(step)
    to_g = torch.autograd.grad(sum(terms.values()), list(made.generator.parameters()), allow_unused=True)
    assert all(gradient is None for gradient in to_g)


# ---- styles ------------------------------------------------------------------------------------------------


def test_styles_are_mixed_truncated_and_their_mean_moves_in_training_alone() -> None:
    made = model(mixing=1.0)
    w = made.random_styles(4)
    changes = [(w[:, k] != w[:, k + 1]).any().item() for k in range(made.styles - 1)]
    assert sum(changes) == 1
    assert made.generator.average.any()
    assert not any((model(mixing=0.0).random_styles(4)[:, 0] != model(mixing=0.0).random_styles(4)[:, 5]).flatten())
    before = made.generator.average.clone()
    first, second = made.sample(2, seed=0, truncation=0.0, noise_seed=1)
    assert torch.equal(first, second), "the average image, with one noise"
    assert torch.equal(made.generator.average, before)
    z = torch.randn(2, 8)
    mixed = made.sample(2, seed=0, latent=z, second=z.flip(0), crossover=made.styles, noise_seed=1)
    assert torch.equal(mixed, made.sample(2, seed=0, latent=z, noise_seed=1))


def test_what_it_refuses() -> None:
    for words, options, shape in (
        ("2-D points", {}, (2,)),
        ("gamma must be at least 0", {"gamma": -1.0}, (3, 32, 32)),
        ("path_interval must be above 0", {"path_interval": 0}, (3, 32, 32)),
    ):
        with pytest.raises(UserError, match=words):
            registry.create("stylegan2", shape, **options)
