"""ProGAN against its paper and the authors' numbers: growing networks, fades, the schedule, loss terms, mistakes."""

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

import reference
from ganarium import cli, registry
from ganarium.data.batches import Batches
from ganarium.data.dataset import Dataset, Images
from ganarium.layers.equalized import EqualizedConv2d
from ganarium.layers.resampling import Blur
from ganarium.networks.progan import (
    Discriminator,
    Generator,
    Growth,
    enlarged,
    faded,
    seen_at,
    stage_widths,
)
from ganarium.testing import Candidate, NoSync, check_precision
from ganarium.trainer import Trainer
from ganarium.training import session, timing
from ganarium.training.state import capture, restore
from synthetic import refused

WIDTHS = [8, 8, 4]  # of the case with reference numbers, at 4, 8 and 16 pixels
# level of detail of the case -> stage, and the share of the stage before it
LEVELS = {"0.0": (2, None), "0.3": (2, 0.7), "1.0": (1, None), "1.6": (1, 0.4), "2.0": (0, None)}


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def data(size=16, n=32) -> Dataset:
    generator = torch.Generator().manual_seed(0)
    return Dataset("noise", torch.randint(0, 256, (n, size, size, 3), dtype=torch.uint8, generator=generator))


def trainer(size=16, batch=6, seed=0, **options) -> Trainer:
    torch.manual_seed(seed)
    small = {"stable_images": 32, "fading_images": 48, "width": 6, "latent_dim": 5}
    model = registry.create("progan", (3, size, size), **(small | options))
    return Trainer(model, Batches(data(size), Images, batch), 1000)


def tensor(alpha: float | None) -> Tensor | None:
    return None if alpha is None else torch.tensor(alpha, dtype=torch.float64)


# ---- the authors' numbers ----------------------------------------------------------------------------------


def in_file_order(network: Generator | Discriminator) -> list[nn.Parameter]:
    """The parameters as the rows of the reference have them."""
    if isinstance(network, Discriminator):
        stages = range(len(network.inputs) - 1, -1, -1)
        own = []
        for stage in stages:
            own += [*network.inputs[stage].parameters()]
            if stage:
                block = network.blocks[stage - 1]
                own += [block.first.weight, block.first.bias, block.second.weight, block.bias]
        return [*own, *network.last.parameters()]
    own = [network.first.dense.weight, network.first.bias]
    for block, output in zip(network.blocks, network.outputs, strict=True):
        own += [*block.parameters(), *output.parameters()]
    return own


@torch.no_grad()
def fill(network: Generator | Discriminator, rows: list) -> dict[str, nn.Parameter]:
    """Gives a network the parameters of the reference; they come back by their names there."""
    own = in_file_order(network)
    if isinstance(network, Generator):  # a convolution there: its taps turned round are the dense layer
        k, _, shape, offset, scale = rows[0]
        taps = reference.values(shape, k, offset, scale).flip(2, 3)
        own[0].copy_(taps.permute(0, 2, 3, 1).reshape(own[0].shape))
        reference.fill(own[1:], rows[1:])
    else:
        reference.fill(own, rows)
    return {row[1]: parameter for row, parameter in zip(rows, own, strict=True)}


def case_networks() -> tuple[Generator, dict, Discriminator, dict]:
    networks = reference.load("progan")["case"]["networks"]
    G, D = Generator(8, 3, WIDTHS).double(), Discriminator(3, WIDTHS, 4).double()
    return G, fill(G, networks["G"]["parameters"]), D, fill(D, networks["D"]["parameters"])


def without(record: dict, name: str) -> dict:
    """A gradient's record in which one parameter is not looked at alone (its entries stand in another order here)."""
    return record | {"parameters": {key: row for key, row in record["parameters"].items() if key != name}}


def test_published_numbers_of_parameters():
    published = reference.load("progan")["published_sizes"]
    with torch.device("meta"):
        model = registry.create("progan", (3, 1024, 1024))
    assert stage_widths(512, 9) == [512, 512, 512, 512, 256, 128, 64, 32, 16]
    assert count(model.generator) == published["G, 1024 px, all outputs"] == 23_079_115
    assert count(model.discriminator) == published["D, 1024 px, all inputs"] == 23_087_249
    gains = reference.load("progan")["equalised_gains_at_1024"]
    assert model.generator.first.dense.scale == pytest.approx(gains["G"]["layer0"])
    assert model.generator.blocks[8][1].scale == pytest.approx(gains["G"]["layer16"])
    assert model.generator.outputs[8].scale == pytest.approx(gains["G"]["output8"])
    assert model.discriminator.inputs[0][0].scale == pytest.approx(gains["D"]["input8"])
    assert [model.discriminator.last.layers[i].scale for i in (0, 3, 5)] == pytest.approx(
        [gains["D"][f"layer{i}"] for i in (16, 17, 18)]
    )


@pytest.mark.parametrize("level", list(LEVELS))
def test_networks_and_reals_give_the_authors_numbers_at_every_level(level):
    case = reference.load("progan")["case"]
    (G, _, D, _), given, (stage, alpha) = case_networks(), reference.inputs(case), LEVELS[level]
    side = 4 * 2**stage
    image = enlarged(G(given["z"], stage, tensor(alpha)), 16 // side)
    reference.hold(image, case["outputs"][f"G(z), lod {level}"])
    real = nn.functional.avg_pool2d(given["x"], 16 // side)
    reference.hold(D(real, stage, tensor(alpha)), case["outputs"][f"D(x), lod {level}"])
    seen = seen_at(given["x"], side, tensor(alpha))
    reference.hold(enlarged(seen, 16 // side), case["faded_reals"][f"reals, lod {level}"])
    if alpha is not None:  # the mistake: reals that are not faded
        assert (seen - real).abs().max() > 0.1


def stepping(monkeypatch, G, D, given, names):
    """A trainer of the case in float64: its networks, latents, reals and points between, in the order of use."""
    made = trainer(penalty_weight=10.0)
    model = made.model
    model.generator, model.discriminator, model.iteration = G, D, 10**6
    for name, network in (("D16", D), ("G16", G)):
        model.players[name] = type(model.players[name])(network, optimizer=model.players[name].optimizer)
    model.ema = {}
    made = Trainer(model, made.batches, 10**7, precision="fp64")
    reals, codes, points = (iter([given[name] for name in group]) for group in names)

    class Given:
        batch_size = 8

        def draw(self, n):
            assert n == 8
            return Images(next(reals))

    made.batches, model.latent = Given(), lambda n: next(codes)
    monkeypatch.setattr(torch, "rand", lambda *sizes, **_: 1 - next(points))  # there the share of the real
    return made


def test_losses_and_gradients_give_the_authors_numbers(monkeypatch):
    case = reference.load("progan")["case"]
    (G, of_G, D, of_D), given = case_networks(), reference.inputs(case)
    made = stepping(monkeypatch, G, D, given, (["x"], ["z", "z"], ["eps"]))
    step = made.model.step(made.batches)
    name, terms, _ = next(step)
    assert name == "D16"
    losses, gradients = case["losses"], case["gradients"]
    for term, key in (
        ("wasserstein", "E D(fake) - E D(real)"),
        ("penalty", "penalty, weight 10"),
        ("drift_penalty", "drift, weight 0.001"),
    ):
        assert terms[term].item() == pytest.approx(losses[key], rel=1e-6), term
        reference.hold_gradient(terms[term], of_D, gradients[f"{key} to D"])
    total = sum(terms.values())
    assert total.item() == pytest.approx(losses["D total"], rel=1e-6)
    reference.hold_gradient(total, of_D, gradients["D total to D"])
    name, terms = next(step)
    assert name == "G16"
    assert terms["wasserstein"].item() == pytest.approx(losses["G"], rel=1e-6)
    reference.hold_gradient(terms["wasserstein"], of_G, without(gradients["G to G"], "layer0.weight"))


def test_three_full_steps_give_the_authors_numbers(monkeypatch):
    case = reference.load("progan")["full_step"]
    (G, _, D, _), given = case_networks(), reference.inputs(case)
    names = [f"real{i}" for i in range(3)], [f"z_{p}{i}" for i in range(3) for p in "DG"], [f"eps{i}" for i in range(3)]
    made = stepping(monkeypatch, G, D, given, names)
    for expected in case["steps"]:
        terms = {update.player: sum(update.terms.values()).item() for update in made.updates()}
        assert terms == pytest.approx({"D16": expected["D"], "G16": expected["G"]}, rel=1e-6)
    for name, network in (("G", G), ("D", D)):
        total = sum(parameter.sum().item() for parameter in network.parameters())
        norm = math.sqrt(sum(parameter.square().sum().item() for parameter in network.parameters()))
        assert total == pytest.approx(case["after_3_steps"][name]["sum"], rel=1e-6)
        assert norm == pytest.approx(case["after_3_steps"][name]["norm"], rel=1e-6)


# ---- growing -----------------------------------------------------------------------------------------------


def test_a_fade_is_exact_at_both_ends():
    torch.manual_seed(0)
    G, D = Generator(5, 3, [6, 6, 4]), Discriminator(3, [6, 6, 4], 2)
    z, x = torch.randn(4, 5), torch.rand(4, 3, 16, 16)
    zero, one, low = torch.tensor(0.0), torch.tensor(1.0), nn.functional.avg_pool2d(x, 2)
    assert torch.equal(G(z, 2, one), G(z, 2))
    assert torch.equal(G(z, 2, zero), enlarged(G(z, 1)))
    assert torch.equal(D(x, 2, one), D(x, 2))
    assert torch.equal(D(x, 2, zero), D(low, 1))
    assert torch.equal(seen_at(x, 16, zero), enlarged(low))
    assert torch.equal(seen_at(x, 16, one), x)
    between = G(z, 2, torch.tensor(0.25))
    torch.testing.assert_close(between, 0.75 * enlarged(G(z, 1)) + 0.25 * G(z, 2))
    assert torch.equal(faded(x, 2 * x, zero), x)


def test_the_first_activations_have_the_same_size_at_every_width():
    """With a gain of sqrt(2) and inputs whose squares have the mean 1: 2, and less at a border of zeros."""
    for width in (8, 64):
        torch.manual_seed(0)
        variances = []
        for _ in range(8):  # a narrow network varies from draw to draw
            G = Generator(width, 3, [width] * 3)
            x = G.first(torch.randn(64, width))
            for layer in (layer for block in G.blocks for layer in block):
                x = layer(x)
                if isinstance(layer, EqualizedConv2d):
                    variances.append(x.var().item())
        mean = torch.tensor(variances).view(8, 5).mean(0)
        assert ((mean > 0.5) & (mean < 2)).all()


def test_the_papers_schedule():
    with torch.device("meta"):
        model = registry.create("progan", (3, 1024, 1024), width=4)
    images = 0
    for phase, after in pairwise(model.growth.phases):
        assert after.start == phase.start + phase.length
        images += phase.length * {6: 14, 7: 6, 8: 3}.get(phase.stage, 16)
    assert [(phase.stage, phase.fading) for phase in model.growth.phases[:4]] == [
        (0, False),
        (1, True),
        (1, False),
        (2, True),
    ]
    assert len(model.growth.phases) == 17
    assert images == pytest.approx(16 * 800_000, abs=100)
    assert model.stages == tuple(phase.start for phase in model.growth.phases[1:])


def test_phases_follow_one_another_and_alpha_rises_within_a_fade():
    model = trainer().model  # 2 stable steps, 3 fading
    seen = []
    for iteration in range(15):
        stage, alpha = model.growth.at(iteration, torch.tensor(iteration))
        seen.append((stage, None if alpha is None else round(alpha.item(), 3)))
    fade = [0.0, 0.333, 0.667]
    assert seen[:7] == [(0, None)] * 2 + [(1, alpha) for alpha in fade] + [(1, None)] * 2
    assert seen[7:] == [(2, alpha) for alpha in fade] + [(2, None)] * 5
    at_once = Growth(16, 4, 50, 0, lambda side: 10)
    assert [tuple(phase) for phase in at_once.phases] == [(0, 5, 0, False), (5, 5, 1, False), (10, 5, 2, False)]
    assert at_once.at(9, torch.tensor(9)) == (1, None)


def test_a_new_stage_has_players_with_a_new_optimiser_that_move_all_it_uses():
    made = trainer()
    moved = [[update.player for update in made.updates()] for _ in range(12)]
    assert moved == [["D4", "G4"]] * 2 + [["D8", "G8"]] * 5 + [["D16", "G16"]] * 5
    slots = made.optimizer_state()
    first = "generator.first.dense.weight"
    assert [int(slots[f"G{side}/{first}/step"]) for side in (4, 8, 16)] == [2, 5, 5]
    # a fade also trains the layer to colours that goes; afterwards it rests
    assert int(slots["G8/generator.outputs.0.weight/step"]) == 3
    assert int(slots["G16/generator.outputs.1.weight/step"]) == 3
    assert not any(key.startswith("G4/generator.outputs.1") for key in slots)


def test_images_are_of_the_stage_and_samples_of_the_size_of_the_data():
    made = trainer(size=12)
    model, sides = made.model, []
    own = model.discriminator.forward
    model.discriminator.forward = lambda x, *rest: (sides.append(x.shape[2]), own(x, *rest))[1]
    for _ in range(12):
        made.iterate()
        assert model.sample(2, seed=0).shape == (2, 3, 12, 12)
    assert sorted(set(sides)) == [4, 8, 16]
    model.iteration = 0
    blocks = model.sample(1, seed=0)  # of 4x4 pixels, each repeated
    assert torch.equal(blocks[:, :, :4, :4], blocks[:, :, :1, :1].expand(-1, -1, 4, 4))


def test_large_images_have_the_papers_smaller_batches():
    with torch.device("meta"):
        model = registry.create("progan", (1, 512, 512), width=2, latent_dim=2)
    drawn = []

    class Seen(Exception):
        pass

    class Counting:
        batch_size = 32

        def draw(self, n):
            drawn.append(n)
            raise Seen

    for phase in model.growth.phases:
        model.iteration = phase.start
        with pytest.raises(Seen):
            next(model.step(Counting()))
    assert [drawn[0], drawn[-4], drawn[-1]] == [32, 28, 12]


@pytest.mark.parametrize("at", [3, 6, 8])
def test_a_run_killed_inside_a_fade_goes_on_bit_for_bit(at):
    straight = trainer()
    for _ in range(12):
        straight.iterate()
    first = trainer()
    for _ in range(at):
        first.iterate()
    files, meta = capture(first)
    resumed = trainer(seed=99)
    torch.manual_seed(1)
    restore(resumed, files, meta)
    for _ in range(12 - at):
        resumed.iterate()
    (expected, _), (files, _) = capture(straight), capture(resumed)
    for kind, tensors in expected.items():
        assert tensors.keys() == files[kind].keys()
        assert all(torch.equal(tensors[key], files[kind][key]) for key in tensors)


def test_the_average_is_of_the_whole_generator_from_the_start():
    made = trainer()
    made.iterate()
    model = made.model
    later = model.generator.blocks[2][1].weight
    assert torch.equal(model.averages["generator"].blocks[2][1].weight, later)  # not yet moved


def test_the_average_begins_anew_where_layers_enter():
    """In a short fade it would else hold the weights with which new layers were drawn."""
    made = trainer()
    live, decay, starts = made.model.generator, made.model.ema["generator"], list(made.model.growth.sides)
    assert max(decay(1), decay(starts[1] + 1)) < 0.001
    assert decay(starts[1] + 2) == decay(2) == pytest.approx(0.5**5)  # a half after 0.2 steps
    assert decay(starts[-1] + 10**5) == pytest.approx(0.999)
    seen = []
    while made.model.iteration < starts[1] + 2:
        made.iterate()
        seen.append(live.blocks[1][1].weight.clone())
    average = made.model.averages["generator"].blocks[1][1].weight
    torch.testing.assert_close(average, seen[-1].lerp(seen[-2], 0.5**5), rtol=0.01, atol=1e-5)
    assert not torch.allclose(seen[-1], seen[0], atol=1e-4)


def test_inside_a_fade_nobody_waits_for_the_device_and_losses_have_full_precision():
    made = trainer()
    for _ in range(4):
        made.iterate()
    made.model.clock.fill_(4)
    with NoSync():
        moves = [move[0] for move in made.model.step(made.batches)]
    assert moves == ["D8", "G8"]
    check_precision(Candidate("progan"))


# ---- the loss ----------------------------------------------------------------------------------------------


class Tilted(nn.Module):
    """Scores are a multiple of the mean, and a number; the images and stages that it saw are kept."""

    def __init__(self, slope: float, offset: float) -> None:
        super().__init__()
        self.slope, self.offset, self.seen = nn.Parameter(torch.tensor(slope)), offset, []

    def forward(self, x: Tensor, stage: int, alpha: Tensor | None) -> Tensor:
        self.seen.append(x.detach())
        return self.slope * x.mean((1, 2, 3)) + self.offset


class Shade(nn.Module):
    def forward(self, z: Tensor, stage: int, alpha: Tensor | None) -> Tensor:
        return z[:, :1, None, None].expand(-1, 3, 4 * 2**stage, 4 * 2**stage)


def terms_of(offset=0.5, **options) -> tuple[dict[str, Tensor], dict[str, Tensor], Tilted]:
    """Reals of 1 and fakes of -0.25, at 4x4 pixels: D has a slope of 4 / sqrt(48) everywhere."""
    made = trainer(**options)
    model = made.model
    model.discriminator, model.generator = Tilted(4.0, offset), Shade()
    model.latent = lambda n: torch.full((n, 5), -0.25)
    made.batches.images = torch.full_like(made.batches.images, 255)
    (_, d, _), (_, g) = list(model.step(made.batches))
    return d, g, model.discriminator


def test_every_term_in_closed_form():
    d, g, _ = terms_of()
    norm = 4 / math.sqrt(48)
    assert d["wasserstein"].item() == pytest.approx(-0.5 - 4.5, rel=1e-5)
    assert d["penalty"].item() == pytest.approx(10 * (norm - 1) ** 2, rel=1e-4)
    assert d["drift_penalty"].item() == pytest.approx(0.001 * 4.5**2, rel=1e-5)
    assert g["wasserstein"].item() == pytest.approx(0.5, rel=1e-5)
    steep, _, _ = terms_of(slope=2.0, penalty_weight=3.0, drift_weight=0.5)
    assert steep["penalty"].item() == pytest.approx(3 / 4 * (norm - 2) ** 2, rel=1e-4)
    assert steep["drift_penalty"].item() == pytest.approx(0.5 * 4.5**2, rel=1e-5)


def test_an_offset_of_d_is_seen_by_the_drift_alone():
    (plain, _, _), (lifted, _, _) = terms_of(offset=0.0), terms_of(offset=7.0)
    assert plain["wasserstein"].item() == pytest.approx(lifted["wasserstein"].item(), rel=1e-5)
    assert plain["penalty"].item() == pytest.approx(lifted["penalty"].item(), rel=1e-5)
    assert plain["drift_penalty"].item() == pytest.approx(0.001 * 16, rel=1e-5)
    assert lifted["drift_penalty"].item() == pytest.approx(0.001 * 121, rel=1e-5)


def test_points_between_have_one_share_for_each_image():
    _, _, D = terms_of()
    between = D.seen[2]
    assert (between - between[:, :1, :1, :1]).abs().max() < 1e-6
    shares = (1 - between[:, 0, 0, 0]) / 1.25
    assert shares.unique().numel() == 6
    assert 0 <= shares.min() < shares.max() <= 1


def test_images_differ_within_a_batch_and_d_is_told_so():
    """Fakes that are all alike have another score than the same image among others."""
    torch.manual_seed(0)
    D, x = Discriminator(3, [6, 6], 16), torch.rand(4, 3, 8, 8)
    assert not torch.allclose(D(x[:1].expand(4, -1, -1, -1), 1)[0], D(x, 1)[0])
    alone = Discriminator(3, [6, 6], 1)
    torch.testing.assert_close(alone(x[:1].expand(4, -1, -1, -1), 1)[0], alone(x, 1)[0])
    assert not any(isinstance(layer, nn.BatchNorm2d | nn.Tanh | Blur) for layer in trainer().model.modules())


def test_without_growing_and_what_is_refused():
    made = trainer(first_size=16)
    assert list(made.model.players) == ["D16", "G16"]
    assert [update.player for update in made.updates()] == ["D16", "G16"]
    assert {name.split(".")[2] for name in made.model.still if "outputs" in name} == {"0", "1"}
    assert len(trainer(first_size=64).model.growth.phases) == 1
    half = trainer(first_size=8)
    assert list(half.model.players) == ["D8", "G8", "D16", "G16"]
    for _ in range(10):
        half.iterate()
    assert trainer(drift_weight=0).model.still.keys() == {"discriminator.last.layers.5.bias"}
    start = trainer(first_size=8).model
    still = [name for name, value in half.model.named_parameters() if torch.equal(value, start.get_parameter(name))]
    assert sorted(still) == sorted(half.model.still)
    refused("power of two from 4 on, not 12", lambda: trainer(first_size=12))
    refused("power of two from 4 on, not 2", lambda: trainer(first_size=2))
    refused("at most 1024 pixels ... --size 1024", lambda: registry.create("progan", (3, 2000, 64)))
    refused("2-D points", lambda: registry.create("progan", (2,)))
    refused("stable_images must be above 0", lambda: trainer(stable_images=0))


def told_of_stages(tmp_path, capsys, steps, stable, fading, *more):
    """What a run of progan at 16 pixels says before it begins."""
    sizes = {
        "size": "16",
        "batch-size": 4,
        "width": 4,
        "latent-dim": 4,
        "stable-images": stable,
        "fading-images": fading,
    }
    options = [word for key, value in sizes.items() for word in (f"--{key}", str(value))]
    out = ["--out", str(tmp_path / f"run{steps}-{stable}"), "--threads", "1", "--evaluate-every", "0"]
    length = ["--steps", str(steps)] if not more else [*more]
    assert cli.main(["train", "progan", "--data", "glyphs", *options, *out, *length]) == 0
    return " ".join("".join(capsys.readouterr()).split())


@pytest.mark.parametrize(("steps", "warned"), [(4, True), (40, False)])
def test_a_run_that_ends_before_the_last_stage_is_warned_of(tmp_path, capsys, steps, warned):
    said = told_of_stages(tmp_path, capsys, steps, 16, 16)
    assert (f"ProGAN changes its work until step 4, and this run ends at step {steps}" in said) == warned
    assert "would leave half" not in said  # stages are of one step already


def test_lengths_of_stages_that_are_told_lead_to_the_last(tmp_path, capsys):
    said = told_of_stages(tmp_path, capsys, 20, 160, 160)
    assert "until step 40, and this run ends at step 20" in said
    assert "--stable-images 40 --fading-images 40 would leave half of the run to the last one" in said
    assert "changes its work" not in told_of_stages(tmp_path, capsys, 20, 40, 40)


@pytest.mark.parametrize(("share", "told"), [(0.5, 80), (0.0, None)])
def test_a_run_of_minutes_goes_by_the_time_that_stages_take(tmp_path, capsys, monkeypatch, share, told):
    monkeypatch.setattr(session, "steps_within", lambda *_, **__: timing.Fit(20, share))
    monkeypatch.setattr(timing.Plan, "total", lambda _, done, total, stages: total)
    said = told_of_stages(tmp_path, capsys, 20, 160, 160, "--minutes", "1")
    assert "until step 40, and this run ends at step 20" in said
    assert ("would leave half" in said) == (told is not None)
    assert f"--stable-images {told} --fading-images {told} would" in said or told is None
