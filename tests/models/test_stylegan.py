"""StyleGAN against its paper and the authors' numbers: mapping, synthesis, mixing, truncation, noise, R1, mistakes."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import reference
from ganarium import cli, registry
from ganarium.data.batches import Batches
from ganarium.data.dataset import Dataset, Images
from ganarium.errors import UserError
from ganarium.evaluation.measures import evaluate_model
from ganarium.evaluation.path_length import path_length
from ganarium.metrics.judges.judge import load_judge
from ganarium.metrics.path_length import path_lengths, perceptual_path_length
from ganarium.networks.progan import Discriminator, enlarged
from ganarium.networks.stylegan import Generator, Synthesis, instance_norm, mixed, truncated
from ganarium.pictures import latents
from ganarium.testing import NoSync
from ganarium.trainer import Trainer
from ganarium.training.state import capture, restore
from synthetic import refused

WIDTHS = [8, 8, 4]  # of the case with reference numbers, at 4, 8 and 16 pixels
# level of detail of the case -> stage, and the share of the stage that fades in
LEVELS = {"0.0": (2, None), "0.3": (2, 0.7), "1.0": (1, None), "2.0": (0, None)}


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def trainer(size=16, batch=4, seed=0, **options) -> Trainer:
    """Two steps at 8 pixels, three in which 16 fade in, then stable ones."""
    torch.manual_seed(seed)
    small = {"stable_images": 512, "fading_images": 384, "width": 6, "latent_dim": 5, "mapping_layers": 2}
    model = registry.create("stylegan", (3, size, size), **(small | options))
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (32, size, size, 3), dtype=torch.uint8, generator=generator)
    return Trainer(model, Batches(Dataset("noise", pixels), Images, batch), 1000)


def tensor(alpha: float | None) -> Tensor | None:
    return None if alpha is None else torch.tensor(alpha, dtype=torch.float64)


# ---- the authors' numbers ----------------------------------------------------------------------------------


def generator_in_file_order(G: Generator) -> list[nn.Parameter]:
    own = [*G.mapping.parameters()]
    for number, layer in enumerate(G.synthesis.layers):
        own += [layer.bias, layer.map if number == 0 else layer.convolution.weight, layer.strength]
        own += [*layer.style.parameters()]
        if number % 2:
            output = G.synthesis.outputs[number // 2]
            own += [output.bias, output.weight]
    return own


def discriminator_in_file_order(D: Discriminator) -> list[nn.Parameter]:
    own = []
    for stage in (2, 1, 0):
        own += [*D.inputs[stage].parameters()]
        if stage:
            block = D.blocks[stage - 1]
            own += [block.first.weight, block.first.bias, block.second.weight, block.bias]
    return [*own, *D.last.parameters()]


def case_networks() -> tuple[Generator, dict, Discriminator, dict]:
    rows = {name: network["parameters"] for name, network in reference.load("stylegan")["case"]["networks"].items()}
    G = Generator(8, 3, WIDTHS, mapping_layers=4, mapping_lr=0.01).double()
    D = Discriminator(3, WIDTHS, 4, blur=True).double()
    of_g, of_d = generator_in_file_order(G), discriminator_in_file_order(D)
    reference.fill(of_g, rows["G"])
    reference.fill(of_d, rows["D"])
    return G, reference.by_name(of_g, rows["G"]), D, reference.by_name(of_d, rows["D"])


def noise_of(given: dict[str, Tensor]) -> list[Tensor]:
    return [given[f"noise{layer}"] for layer in range(6)]


def styles(w: Tensor) -> Tensor:
    return w[:, None].expand(-1, 6, -1)


def test_published_numbers_of_parameters():
    published = reference.load("stylegan")["published_sizes"]
    with torch.device("meta"):
        model = registry.create("stylegan", (3, 1024, 1024))
    assert count(model.generator) == published["G, all"] == 26_219_627
    assert count(model.generator.mapping) == published["mapping"] == 2_101_248
    outputs = published["of these the 1x1 outputs of all resolutions"]
    assert count(model.generator.synthesis.outputs) == outputs == 7_659
    assert count(model.discriminator) == published["D, 1024 px, all inputs"] == 23_087_249
    gains = reference.load("stylegan")["equalised_gains_at_1024"]
    dense = model.generator.mapping.layers[1]
    assert (dense.scale, dense.lr_multiplier) == pytest.approx((gains["mapping, each layer"], gains["mapping, bias"]))
    layers = model.generator.synthesis.layers
    assert [layers[k].convolution.scale for k in (1, 9, 17)] == pytest.approx(
        [gains["G"][f"layer{k}"] for k in (1, 9, 17)]
    )
    assert layers[17].style.scale == pytest.approx(gains["G"]["layer17.style"])
    assert model.styles == 18


def test_operators_give_the_authors_numbers():
    operators = reference.load("stylegan")["operators"]
    case = operators["instance norm, eps 1e-8 inside the root"]
    row = case["input"]
    x = reference.values(row["shape"], row["k"], row["offset"], row["scale"])
    normal = instance_norm(x)
    reference.hold(normal, case["output"])
    assert normal.mean((2, 3)).abs().max() < 1e-12
    torch.testing.assert_close(normal.var((2, 3), correction=0), torch.ones(2, 3, dtype=torch.float64))
    case = operators["AdaIN: instance norm, then x (1 + s) + t, (s, t) = dense(w)"]
    synthesis = Synthesis(4, 3, [3]).double()
    layer = synthesis.layers[0]
    given = {name: reference.values(case[name]["shape"], case[name]["k"], 0, case[name]["scale"]) for name in ("w",)}
    with torch.no_grad():
        layer.style.weight.copy_(reference.values([6, 4], 3010, 0, case["dense weight"]["scale"]))
        layer.style.bias.copy_(reference.values([6], 3011, 0, case["dense bias"]["scale"]))
    scale, shift = layer.style(given["w"])[:, :, None, None].chunk(2, 1)
    assert case["dense weight"]["gain"] == layer.style.scale == 0.5
    reference.hold(normal * (1 + scale) + shift, case["output"])


@pytest.mark.parametrize("level", list(LEVELS))
def test_networks_give_the_authors_numbers_at_every_level(level):
    case = reference.load("stylegan")["case"]
    (G, _, D, _), given, (stage, alpha) = case_networks(), reference.inputs(case), LEVELS[level]
    w = G.mapping(given["z"])
    reference.hold(w, case["outputs"]["mapping(z)"])
    side = 4 * 2**stage
    image = G.synthesis(styles(w), stage, tensor(alpha), noise_of(given))
    reference.hold(enlarged(image, 16 // side), case["outputs"][f"G(z), lod {level}"])
    real = nn.functional.avg_pool2d(given["x"], 16 // side)
    reference.hold(D(real, stage, tensor(alpha)), case["outputs"][f"D(x), lod {level}"])


def test_truncation_and_mixing_give_the_authors_numbers():
    case = reference.load("stylegan")["case"]
    (G, *_), given, outputs = case_networks(), reference.inputs(case), case["outputs"]
    w, second, noise = G.mapping(given["z"]), G.mapping(given["z2"]), noise_of(given)
    drawn = truncated(styles(w), given["w_avg"], torch.full((4,), 0.7, dtype=torch.float64), 4)
    reference.hold(drawn[0, 0], outputs["truncated w, psi 0.7, first 4 layers: layer 0 of sample 0"])
    assert torch.equal(drawn[:, 4:], styles(w)[:, 4:])
    reference.hold(G.synthesis(drawn, 2, None, noise), outputs["G(z), psi 0.7 on the first 4 of 6 layers, lod 0"])
    both = mixed(styles(w), second, torch.tensor([3]))
    reference.hold(G.synthesis(both, 2, None, noise), outputs["mixing: w of z in layers 0 to 2, of z2 from layer 3 on"])
    each = mixed(styles(w), second, torch.tensor([0, 2, 5, 6]))
    assert torch.equal(each[0], styles(second)[0])
    assert torch.equal(each[3], styles(w)[3])
    assert torch.equal(each[1, 1:3], torch.stack([w[1], second[1]]))


def stepping(given, *, mixing, reals, codes) -> tuple[Trainer, Generator, dict, Discriminator, dict]:
    """A trainer of the case at 16 pixels in float64, with its inputs in the order of use and its noise; the draws of
    second codes, which nothing uses without mixing, are the first codes again."""
    made = trainer(mixing=mixing, latent_dim=8)
    model, (G, of_G, D, of_D) = made.model, case_networks()
    model.generator, model.discriminator, model.iteration, model.ema = G, D, 10**6, {}
    G.average.copy_(reference.values([8], 899, 0, 0.5))
    for name, network in (("D16", D), ("G16", G)):
        model.players[name] = type(model.players[name])(network, optimizer=model.players[name].optimizer)
    own = Trainer(model, made.batches, 10**7, precision="fp64")

    class Given:
        batch_size = 4

        def draw(self, n):
            return Images(given[reals.pop(0)])

    twice = [name for name in codes for _ in range(2)]
    own.batches, model.latent = Given(), lambda n: given[twice.pop(0)]
    return own, G, of_G, D, of_D


NOISE = {f"noise{layer}": ((1, 1, side, side), 900 + layer) for layer, side in enumerate((4, 4, 8, 8, 16, 16))}


def fixed_noise(model) -> None:
    noise = [reference.values(shape, k, 0, 1.7) for shape, k in NOISE.values()]
    synthesis = model.generator.synthesis
    model.synthesised = lambda w: synthesis(w, 2, None, noise)


def test_losses_gradients_and_the_average_of_w_give_the_authors_numbers():
    case = reference.load("stylegan")["case"]
    given = reference.inputs(case)
    made, G, of_G, _, of_D = stepping(given, mixing=0.0, reals=["x"], codes=["z", "z"])
    fixed_noise(made.model)
    step, losses, gradients = made.model.step(made.batches), case["losses"], case["gradients"]
    name, terms, _ = next(step)
    assert name == "D16"
    reference.hold(G.average, case["outputs"]["w_avg after one training pass of z, decay 0.995"])
    assert (terms["real"] + terms["fake"]).item() == pytest.approx(losses["D, logistic part"], rel=1e-6)
    penalty = losses["R1: mean over images of |grad|^2, without weight"]
    assert terms["penalty"].item() == pytest.approx(5 * penalty, rel=1e-6)  # the mistake: gamma without its half
    total = sum(terms.values())
    assert total.item() == pytest.approx(losses["D, with 10 / 2 times R1"], rel=1e-6)
    reference.hold_gradient(total, of_D, gradients["D total to D"])
    name, terms = next(step)
    assert name == "G16"
    assert terms["adversarial"].item() == pytest.approx(losses["G, logistic"], rel=1e-6)
    reference.hold_gradient(terms["adversarial"], of_G, gradients["G to G"])


def test_three_full_steps_give_the_authors_numbers():
    case = reference.load("stylegan")["full_step"]
    names = [f"real{i}" for i in range(3)], [f"z_{p}{i}" for i in range(3) for p in "DG"]
    made, G, _, D, _ = stepping(reference.inputs(case), mixing=0.0, reals=names[0], codes=names[1])
    fixed_noise(made.model)
    for expected in case["steps"]:
        terms = {update.player: update.terms for update in made.updates()}
        assert sum(terms["D16"].values()).item() == pytest.approx(expected["D"], rel=1e-6)
        assert terms["D16"]["penalty"].item() == pytest.approx(5 * expected["R1"], rel=1e-6)
        assert terms["G16"]["adversarial"].item() == pytest.approx(expected["G"], rel=1e-6)
    for name, network in (("G", G), ("D", D)):
        total = sum(parameter.sum().item() for parameter in network.parameters())
        norm = math.sqrt(sum(parameter.square().sum().item() for parameter in network.parameters()))
        assert total == pytest.approx(case["after_3_steps"][name]["sum"], rel=1e-6)
        assert norm == pytest.approx(case["after_3_steps"][name]["norm"], rel=1e-6)
    key = next(key for key in case if key.startswith("w_avg after 3 steps"))
    reference.hold(G.average, case[key])


# ---- what makes it this model ------------------------------------------------------------------------------


def test_at_the_start_styles_neither_scale_nor_shift_and_noise_is_not_seen():
    torch.manual_seed(0)
    G = Generator(5, 3, [6, 6], 2, 0.01)
    layer = G.synthesis.layers[1]
    with torch.no_grad():
        layer.style.weight.zero_()
    scale, shift = layer.style(torch.randn(3, 5)).chunk(2, 1)
    assert torch.equal(1 + scale, torch.ones(3, 6))  # the mistake: a scale without the 1, that starts near 0
    assert torch.equal(shift, torch.zeros(3, 6))
    w = torch.randn(2, 4, 5)
    assert torch.equal(G.synthesis(w, 1), G.synthesis(w, 1))
    with torch.no_grad():
        layer.strength.copy_(torch.tensor([1.0, 0, 0, 0, 0, 0]))  # one for each channel
    assert not torch.equal(G.synthesis(w, 1), G.synthesis(w, 1))
    x, maps = torch.randn(1, 6, 4, 4), torch.randn(1, 1, 4, 4)
    with torch.no_grad():
        layer.strength.fill_(2.0)
        layer.style.bias.zero_()
    seen = layer.activation(layer.convolution(x) + 2 * maps)
    torch.testing.assert_close(layer(x, torch.zeros(1, 5), maps), instance_norm(seen))


def test_images_come_from_the_constant_and_the_style_of_a_layer_changes_no_earlier_map():
    torch.manual_seed(0)
    G = Generator(5, 3, [6, 6, 4], 2, 0.01)
    w, seen = torch.randn(2, 6, 5), []
    for layer in G.synthesis.layers:
        layer.register_forward_hook(lambda module, inputs, output: seen.append(output.detach()))
    G.synthesis(w, 2)
    changed = w.clone()
    changed[:, 3] += 1
    G.synthesis(changed, 2)
    alike = [torch.equal(a, b) for a, b in zip(seen[:6], seen[6:], strict=True)]
    assert alike == [True] * 3 + [False] * 3
    assert torch.equal(G.synthesis.layers[0].map, torch.ones(1, 6, 4, 4))


def test_a_fade_is_exact_at_both_ends():
    torch.manual_seed(0)
    G, w = Generator(5, 3, [6, 6, 4], 2, 0.01), torch.randn(2, 6, 5)
    zero, one = torch.tensor(0.0), torch.tensor(1.0)
    assert torch.equal(G.synthesis(w, 2, zero), enlarged(G.synthesis(w, 1)))
    assert torch.equal(G.synthesis(w, 2, one), G.synthesis(w, 2))


def test_mixing_in_training_is_from_a_random_layer_on_and_as_often_as_it_should():
    made = trainer()
    model = made.model
    model.iteration = 10**6
    first = []
    for _ in range(300):
        w = model.random_styles(2)
        changes = (w[0] != w[0, 0]).any(1)
        first.append(int(changes.int().argmax()) if changes.any() else 6)
        assert torch.equal(changes, torch.arange(6) >= first[-1])
    assert set(first) == {1, 2, 3, 4, 5, 6}  # 6: not mixed; odd numbers: within a block too
    assert 0.85 < sum(at < 6 for at in first) / 300 < 0.95
    w = trainer(mixing=0.0).model.random_styles(3)
    assert all(torch.equal(w[:, 0], w[:, k]) for k in range(w.shape[1]))


def test_the_average_of_w_moves_in_training_and_not_in_sampling():
    made = trainer()
    made.iterate()
    average = made.model.generator.average.clone()
    assert average.abs().sum() > 0
    made.model.sample(4, seed=0)
    assert torch.equal(made.model.generator.average, average)
    assert torch.equal(made.model.averages["generator"].average, average)


def test_the_mapping_learns_a_hundredth_as_fast():
    model = trainer().model
    dense, style = model.generator.mapping.layers[1], model.generator.synthesis.layers[0].style
    assert dense.lr_multiplier == 0.01
    assert dense.weight.std() > 50 * style.weight.std()
    assert {player.optimizer.lr for player in model.players.values()} == {1e-3}  # in one player, at one rate


# ---- sampling ----------------------------------------------------------------------------------------------


def trained() -> Trainer:
    made = trainer(batch=2)
    for _ in range(7):
        made.iterate()
    with torch.no_grad():  # so that noise is seen, and styles differ
        for network in (made.model.generator, made.model.averages["generator"]):
            for layer in network.synthesis.layers:
                layer.strength.fill_(0.3)
    return made


def test_truncation_goes_from_the_average_image_to_the_sample():
    model = trained().model
    plain = model.sample(3, seed=0, noise_seed=1)
    assert torch.allclose(model.sample(3, seed=0, noise_seed=1, truncation=1.0), plain, atol=1e-5)
    average = model.sample(3, seed=0, noise_seed=1, truncation=0)
    assert torch.allclose(average, average[:1].expand_as(average), atol=1e-6)
    near = model.sample(3, seed=0, noise_seed=1, truncation=0.3)
    assert (near - average).norm() < (plain - average).norm()


def test_numbers_of_numpy_are_asked_for_like_pythons():
    model = trained().model
    second = torch.randn(3, model.prior.dim)
    asked = {"seed": 1, "truncation": 0.5, "noise_seed": 2, "crossover": 1}
    types = {"seed": np.int64, "truncation": np.float32, "noise_seed": np.uint8, "crossover": np.int32}
    given = {name: types[name](value) for name, value in asked.items()}
    expected = model.sample(3, second=second, **asked)
    assert torch.equal(model.sample(np.int64(3), second=second, **given), expected)
    refused(
        "crossover must be a layer", lambda: model.sample(3, second=second, **asked | {"crossover": np.float64(1.5)})
    )
    refused("seed must be a whole number", lambda: model.sample(3, seed=np.float64(1.0)))
    refused("number of samples", lambda: model.sample(np.bool_(True)))


def test_truncation_reaches_the_first_eight_layers_alone():
    """Up to 32 pixels, as released: finer styles stay those of the code."""
    model = registry.create("stylegan", (1, 64, 64), width=6, latent_dim=5, mapping_layers=1, first_size=64)
    w, seen = torch.randn(3, 5), []
    model.synthesised = lambda styles, noise: (seen.append(styles), torch.zeros(len(styles), 1, 64, 64))[1]
    with torch.no_grad():
        model.generate(3, style=w, truncation=torch.zeros(3))
    assert torch.equal(seen[0][:, :8], model.generator.average.expand(3, 8, -1))
    assert torch.equal(seen[0][:, 8:], w[:, None].expand(-1, 2, -1))


def test_a_noise_seed_fixes_the_noise_and_nothing_else():
    model = trained().model
    z = torch.randn(2, 5)
    one, again, other = (
        model.sample(2, seed=seed, latent=z, noise_seed=noise) for seed, noise in [(0, 5), (1, 5), (0, 6)]
    )
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    same = model.sample(2, seed=0, latent=z[:1].expand(2, -1), noise_seed=5)
    assert torch.allclose(same[0], same[1], atol=1e-5)
    assert not torch.allclose(*model.sample(2, seed=0, latent=z[:1].expand(2, -1)), atol=1e-2)


def test_styles_of_two_codes_are_mixed():
    model = trained().model
    a, b = torch.randn(2, 5), torch.randn(2, 5)
    one, two = (model.sample(2, seed=0, latent=z, noise_seed=0) for z in (a, b))
    ends = [model.sample(2, seed=0, latent=a, second=b, crossover=k, noise_seed=0) for k in (0, 3, 6)]
    assert torch.equal(ends[0], two)
    assert torch.equal(ends[2], one)
    assert not torch.equal(ends[1], one)
    assert not torch.equal(ends[1], two)


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ("truncation must be a number from 0 ... not 'much'", {"truncation": "much"}),
        ("truncation must be a number from 0 ... not -1", {"truncation": -1}),
        ("from 0 (the average) to 2 (1: none), not 2.5", {"truncation": 2.5}),
        ("the seed must be a whole number", {"noise_seed": -3}),
        ("give both or neither", {"crossover": 2}),
        ("second must be a tensor of shape (2, 5) ... not (2, 4)", {"second": torch.zeros(2, 4), "crossover": 1}),
        *[
            (f"{word} has numbers that are not finite", {word: torch.full((2, 5), math.nan), **more})
            for word, more in (("latent", {}), ("style", {}), ("second", {"crossover": 1}))
        ],
        ("crossover must be a layer from 0 to 6, not 7", {"second": torch.zeros(2, 5), "crossover": 7}),
    ],
)
def test_what_sampling_refuses(words, asked):
    refused(words, lambda: trainer().model.sample(2, **asked))


def test_other_models_take_no_truncation():
    refused("is told no truncation", lambda: registry.create("dcgan", (1, 16, 16), width=4).sample(1, truncation=0.5))


# ---- training ----------------------------------------------------------------------------------------------


class Bent(nn.Module):
    """Scores are slope (p + p^2 / 2) of the first pixel p of each image: the slope at p is slope (1 + p)."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(slope))

    def forward(self, x: Tensor, stage: int, alpha: Tensor | None) -> Tensor:
        first = x[:, 0, 0, 0]
        return self.slope * (first + first.square() / 2)


def terms_of(iteration=0, **options) -> list[tuple]:
    """Reals of 1, where D has a slope of 6; fakes of -1 before the first update, where it is 0, and 0.5 before the
    second."""
    made = trainer(**options)
    model, shades = made.model, [-1.0, 0.5]
    model.discriminator, model.iteration = Bent(3.0), iteration
    model.synthesised = lambda w: torch.full((len(w), 3, 8, 8), shades.pop(0))
    made.batches.images = torch.full_like(made.batches.images, 255)
    return [move[:2] for move in model.step(made.batches)]


def test_every_term_in_closed_form():
    (d_name, d), (g_name, g) = terms_of()
    assert (d_name, g_name) == ("D8", "G8")
    assert d["real"].item() == pytest.approx(math.log1p(math.exp(-4.5)), rel=1e-5)
    assert d["fake"].item() == pytest.approx(math.log1p(math.exp(-1.5)), rel=1e-5)
    # 5 |grad|^2 at reals; at fakes it would be 0 (a mistake), halfway between them 45 (the penalty of WGAN-GP)
    assert d["penalty"].item() == pytest.approx(10 / 2 * 36, rel=1e-5)
    assert g["adversarial"].item() == pytest.approx(math.log1p(math.exp(-1.875)), rel=1e-5)


def test_lazy_regularisation_weighs_a_rare_penalty_more():
    penalties = [terms_of(k, penalty_interval=4, stable_images=5120)[0][1].get("penalty") for k in range(5)]
    assert [penalty is None for penalty in penalties] == [False, True, True, True, False]
    assert penalties[0].item() == pytest.approx(4 * 180, rel=1e-5)


def test_nothing_is_truncated_in_training():
    """A known mistake: styles that are pulled towards their average while D and G learn."""
    model, seen = trainer(mixing=0.0).model, []
    own = model.synthesised
    model.latent = lambda n: torch.linspace(-2, 2, 5 * n).view(n, 5)
    model.synthesised = lambda w: (seen.append(w.detach()), own(w))[1]
    model.generator.average.fill_(100.0)
    batches = trainer().batches
    for _ in model.step(batches):
        pass
    assert len(seen) == 2  # for D, and for G
    for w in seen:
        torch.testing.assert_close(w, model.generator.mapping(model.latent(len(w)))[:, None].expand_as(w))


def test_adam_starts_anew_where_a_resolution_enters():
    """A known mistake: moments that are kept from stage to stage."""
    made = trainer()
    moved = [[update.player for update in made.updates()] for _ in range(7)]
    assert moved == [["D8", "G8"]] * 2 + [["D16", "G16"]] * 5
    slots = made.optimizer_state()
    for name in ("G{}/generator.synthesis.layers.0.map", "G{}/generator.mapping.layers.1.weight"):
        assert [int(slots[name.format(side) + "/step"]) for side in (8, 16)] == [2, 5]
    assert [int(slots[f"D{side}/discriminator.last.layers.0.weight/step"]) for side in (8, 16)] == [2, 5]


def test_the_schedule_of_the_release():
    with torch.device("meta"):
        model = registry.create("stylegan", (3, 1024, 1024), width=4)
    assert [model.players[f"D{side}"].optimizer.lr for side in (8, 64, 128, 256, 512, 1024)] == pytest.approx(
        [1e-3, 1e-3, 1.5e-3, 2e-3, 3e-3, 3e-3]
    )
    phases = model.growth.phases
    assert (phases[0].stage, phases[0].length) == (1, round(600_000 / 256))
    assert phases[-1].length == 600_000 / 32
    assert model.batch_size == 32
    assert model.ema["generator"](10**9) == pytest.approx(0.5 ** (32 / 10_000))
    drawn = trainer(batch=4)
    drawn.iterate()
    assert drawn.batches.drawn == 8  # twice the batch at 8 pixels
    for _ in range(6):
        drawn.iterate()
    assert drawn.batches.drawn == 8 * 2 + 4 * 5


@pytest.mark.parametrize("at", [1, 3])
def test_a_run_killed_inside_a_fade_goes_on_bit_for_bit(at):
    straight = trainer()
    for _ in range(6):
        straight.iterate()
    first = trainer()
    for _ in range(at):
        first.iterate()
    files, meta = capture(first)
    resumed = trainer(seed=99)
    torch.manual_seed(1)
    restore(resumed, files, meta)
    for _ in range(6 - at):
        resumed.iterate()
    (expected, _), (files, _) = capture(straight), capture(resumed)
    for kind, tensors in expected.items():
        assert all(torch.equal(tensors[key], files[kind][key]) for key in tensors)


def test_inside_a_fade_nobody_waits_for_the_device():
    made = trainer()
    for _ in range(3):
        made.iterate()
    with NoSync():
        moves = [move[0] for move in made.model.step(made.batches)]
    assert moves == ["D16", "G16"]


def test_what_is_refused():
    refused("power of two from 4 on, not 12", lambda: trainer(first_size=12))
    refused("at most 1024 pixels ... --size 1024", lambda: registry.create("stylegan", (3, 2000, 64)))
    refused("mixing must be from 0 to 1, not 2", lambda: trainer(mixing=2))
    refused("2-D points", lambda: registry.create("stylegan", (2,)))
    refused("penalty_interval must be above 0", lambda: trainer(penalty_interval=0))


def test_a_grid_of_mixed_styles_has_samples_at_its_edges(monkeypatch):
    model, sheets = trained().model, []
    monkeypatch.setattr(latents, "grid", lambda images, columns: sheets.append((images, columns)))
    latents.style_mixing(model, seed=3, other_seed=4, count=2, crossover=6)
    latents.style_mixing(model, seed=3, other_seed=4, count=2, crossover=0)
    (own, columns), (other, _) = sheets
    assert (len(own), columns) == (9, 3)
    assert torch.equal(own[0], torch.ones(3, 16, 16))
    for row in (1, 2):  # all styles are the row's, or all are the column's
        assert torch.allclose(own[3 * row + 1], own[3 * row], atol=1e-5)
        assert torch.allclose(other[3 * row + 1 : 3 * row + 3], other[1:3], atol=1e-5)
    assert not torch.allclose(own[3], own[1], atol=1e-2)
    with pytest.raises(UserError, match="has no styles to mix"):
        latents.style_mixing(registry.create("dcgan", (1, 16, 16), width=4))


def test_of_a_model_that_still_grows_the_layers_that_draw_are_mixed():
    model, sheets = trainer(size=32).model, []
    assert (model.styles, model.styles_in_use) == (8, 4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(latents, "grid", lambda images, columns: sheets.append(images))
        for crossover in (None, 3, 4):
            latents.style_mixing(model, seed=3, other_seed=4, count=2, crossover=crossover)
    usual, mixed_in_the_last, rows_alone = sheets
    assert torch.equal(usual, mixed_in_the_last)
    assert torch.allclose(rows_alone[4], rows_alone[3], atol=1e-5)
    assert not torch.allclose(usual[4], usual[3], atol=1e-5)


def test_the_command_line_truncates_fixes_the_noise_and_mixes(tmp_path, capsys):
    sizes = {"size": "8", "batch-size": 2, "width": 4, "latent-dim": 4, "mapping-layers": 1, "stable-images": 256}
    options = [word for key, value in sizes.items() for word in (f"--{key}", str(value))]
    run = str(tmp_path / "run")
    assert cli.main(["train", "stylegan", "--data", "glyphs", *options, "--steps", "2", "--out", run]) == 0
    asked = ["--truncation", "0.5", "--noise-seed", "3", "--mix", "1", "--n", "4", "--device", "cpu"]
    assert cli.main(["sample", run, *asked]) == 0
    drawn = sorted(path.name for path in (tmp_path / "run" / "generated").iterdir())
    assert drawn == ["grid-seed0-truncation0.5-noiseseed3.png", "mixed-seed0-truncation0.5-noiseseed3-with1.png"]
    assert cli.main(["sample", run, "--truncation", "3"]) == 2
    assert "truncation must be a number" in capsys.readouterr().err


# ---- path lengths ------------------------------------------------------------------------------------------


def test_path_lengths_in_closed_form():
    """Images that move along a line at speeds 1 to 100: the squares, less the two at the ends."""
    speed = torch.arange(1.0, 101.0, dtype=torch.float64)

    def at(t):
        return (t * speed)[:, None, None, None].expand(-1, 1, 2, 2)

    def distance(a, b):
        return (a - b).square().flatten(1).sum(1)

    lengths = path_lengths(at, distance, torch.linspace(0, 1, 100, dtype=torch.float64))
    torch.testing.assert_close(lengths, 4 * speed**2, rtol=1e-6, atol=0)
    assert perceptual_path_length(lengths) == pytest.approx(4 * (speed[1:99] ** 2).mean().item(), rel=0.03)
    assert perceptual_path_length(torch.tensor([1.0, 3.0])) == 2.0
    refused("at least two numbers", lambda: perceptual_path_length(torch.tensor([1.0])))


def test_a_style_in_the_place_of_a_code():
    model = trained().model
    z = torch.randn(3, 5)
    with torch.no_grad(), model.averaged():
        w = model.styles_of(z)
    assert torch.allclose(
        model.sample(3, seed=0, noise_seed=1, style=w), model.sample(3, seed=0, noise_seed=1, latent=z), atol=1e-5
    )
    refused("give StyleGAN style= or latent=", lambda: model.sample(3, style=w, latent=z))
    refused("style must be a tensor of shape (3, 5)", lambda: model.sample(3, style=w[:2]))


def test_paths_are_measured_in_both_spaces_and_styles_that_matter_less_make_them_shorter():
    model = trained().model.double()
    with torch.no_grad():  # small images, which nothing clips
        for network in (model.generator, model.averages["generator"]):
            for output in network.synthesis.outputs:
                output.weight.mul_(0.05)
    measured = {space: path_length(model, space=space, n=20) for space in ("w", "z")}
    assert path_length(model, space="w", n=20) == measured["w"] > 0
    assert path_length(model, space="w", n=20, ends=True) != measured["w"]
    for network in (model.generator, model.averages["generator"]):
        for style in (layer.style for layer in network.synthesis.layers):
            with torch.no_grad():
                style.weight.mul_(0.01)
    flat = path_length(model, space="w", n=20)
    assert flat < 0.01 * measured["w"]
    refused("space must be w", lambda: path_length(model, space="v"))
    refused("at least 2 paths, not 0", lambda: path_length(model, n=0))
    with pytest.raises(UserError, match="has no styles whose paths"):
        path_length(registry.create("dcgan", (1, 16, 16), width=4))


def test_an_evaluation_tells_the_path_lengths_of_models_with_styles_alone():
    made = trained()
    data = made.batches.data
    values, _ = evaluate_model(made.model, data, data, n=40, features="cifar10_subset")
    network = load_judge("cifar10_subset", torch.device("cpu"))
    for name, space in (("perceptual_path_length", "w"), ("perceptual_path_length_z", "z")):
        assert values[name] == path_length(made.model, network, space=space, n=10) > 0
    without = registry.create("dcgan", (3, 16, 16), width=4)
    assert not any("path" in name for name in evaluate_model(without, data, data, n=40, features="cifar10_subset")[0])
