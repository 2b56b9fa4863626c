"""Context encoders against their paper and the authors' numbers: the square, its rim, holes of people's pictures."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import reference
from ganarium import cli, registry
from ganarium.data.batches import Batches
from ganarium.data.dataset import Dataset, Images
from ganarium.evaluation.measures import quick_measure
from ganarium.evaluation.restoration import InpaintingMeasure
from ganarium.losses import as_fake, as_real
from ganarium.models.context_encoder import ContextEncoder
from ganarium.networks.context_encoder import Discriminator, Generator
from ganarium.trainer import Trainer
from synthetic import refused, saved, trainer


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def model_of(shape: tuple[int, int, int] = (3, 32, 32), **options: object) -> ContextEncoder:
    torch.manual_seed(0)
    model = registry.create("context_encoder", shape, **{"width": 4, "bottleneck": 20} | options).eval()
    assert isinstance(model, ContextEncoder)
    return model


def noise(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def test_published_numbers_of_parameters():
    published = reference.load("context_encoder")["published_sizes"]
    shape, hole = (3, 128, 128), (64, 64)
    assert count(Generator(shape, hole, 64, 4000)) == 71_124_544 == published["G, width 64, bottleneck 4000"]
    assert count(Generator(shape, hole, 64, 100)) == 7_219_144 == published["G, width 64, bottleneck 100"]
    assert count(Discriminator((3, 64, 64), 64)) == 2_765_568 == published["D, width 64"]


def test_three_full_steps_give_the_authors_numbers():
    case = reference.load("context_encoder")["full_step"]
    model = registry.create("context_encoder", (3, 128, 128), width=4, bottleneck=20).double()
    rows = {name: net["parameters"] for name, net in case["networks"].items()}
    nets = {"G": model.generator, "D": model.discriminator}
    for name, net in nets.items():
        reference.fill(net.parameters(), rows[name])
    given, image = reference.inputs(case), torch.zeros(4, 128, 128, 3, dtype=torch.uint8)
    made = Trainer(model, Batches(Dataset("none", image), Images, 3, dtype=torch.float64), 10, precision="fp64")
    made.batches = iter([Images(given[f"x{i}"]) for i in range(3)])
    first = case["steps"][0]
    hidden = model.without(given["x0"], model.holes(3))
    reference.hold(hidden, first["input"])
    fake = model.generator(hidden)
    reference.hold(fake, first["fake"])
    for expected in case["steps"]:
        losses = expected["losses"]
        updates = made.updates()
        update = next(updates)
        assert update.player == "D"
        assert update.terms["real"].item() == pytest.approx(losses["errD_real"], rel=1e-6)
        assert update.terms["fake"].item() == pytest.approx(losses["errD_fake"], rel=1e-6)
        update = next(updates)
        l2, total = (value for key, value in expected.items() if "L2" in key or "total" in key)
        assert update.terms["l2"].item() == pytest.approx(0.999 * l2, rel=1e-6)
        assert update.terms["adversarial"].item() == pytest.approx(0.001 * losses["errG_D"], rel=1e-6)
        assert sum(update.terms.values()).item() == pytest.approx(total, rel=1e-6)
        norm = torch.stack([p.grad.square().sum() for p in model.generator.parameters()]).sum().sqrt().item()
        assert norm == pytest.approx(expected["gradient_G"]["norm"], rel=1e-6)
        list(updates)
    for name, net in nets.items():
        own = torch.cat([parameter.detach().flatten() for parameter in net.parameters()])
        assert own.sum().item() == pytest.approx(case["after_3_steps"][name]["sum"], rel=1e-6)
        assert own.norm().item() == pytest.approx(case["after_3_steps"][name]["norm"], rel=1e-6)


class Constant(nn.Module):
    """A generator that predicts one value."""

    def __init__(self, value: float, size: tuple[int, int]) -> None:
        super().__init__()
        self.value, self.size = nn.Parameter(torch.tensor(value)), size

    def forward(self, x: Tensor) -> Tensor:
        return self.value.expand(len(x), x.shape[1], *self.size)


class MeanScore(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.factor, self.seen = nn.Parameter(torch.tensor(2.0)), []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x)
        return self.factor * x.mean((1, 2, 3))


def test_every_term_in_closed_form():
    """Real 0.5, filled 0.2: off by 0.3. The square is 16 pixels wide, of which 14 are hidden."""
    model = model_of()
    model.generator, model.discriminator = Constant(0.2, (16, 16)), MeanScore()
    step = model.step(iter([Images(torch.full((2, 3, 32, 32), 0.5))]))
    _, terms, watched = next(step)
    assert terms["real"].item() == pytest.approx(as_real(torch.tensor(1.0)).item())
    assert terms["fake"].item() == pytest.approx(as_fake(torch.tensor(0.4)).item(), rel=1e-6)
    assert watched["fake"].mean().item() == pytest.approx(0.4)
    terms["fake"].backward()
    assert model.generator.value.grad is None, "D's loss does not reach G"
    _, terms = next(step)
    weight = (14 * 14 * 1 + (16 * 16 - 14 * 14) * 10) / 16**2
    assert terms["l2"].item() == pytest.approx(0.999 * weight * 0.09, rel=1e-6)
    assert terms["adversarial"].item() == pytest.approx(0.001 * as_real(torch.tensor(0.4)).item(), rel=1e-6)
    assert all(x.shape == (2, 3, 16, 16) for x in model.discriminator.seen), "D sees the square and no context"


class Half(nn.Module):
    """A generator that predicts half of the brightest number of each image."""

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.factor, self.size = nn.Parameter(torch.tensor(0.5)), size

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x.amax((2, 3), keepdim=True).expand(-1, -1, *self.size)


@pytest.mark.parametrize("regions", ["centre", "random"])
def test_every_image_is_held_to_itself_and_judged_with_its_own_rest(regions: str):
    """Flat images of 0.8 and 0.4, and a G that predicts 0.4 and 0.2: off by these. D sees what was made, and of random
    regions, which cover a quarter, the rest of the same image: 0.875 of its value."""
    model, value = model_of(regions=regions), torch.tensor([0.8, 0.4])
    random = regions == "random"
    model.generator, model.discriminator = Half((32, 32) if random else (16, 16)), MeanScore()
    step = model.step(iter([Images(value[:, None, None, None].expand(2, 3, 32, 32))]))
    _, terms, watched = next(step)
    shown = value * (0.875 if random else 0.5)
    assert watched["real"].tolist() == pytest.approx((2 * value).tolist(), rel=1e-5)
    assert watched["fake"].tolist() == pytest.approx((2 * shown).tolist(), rel=1e-5)
    assert terms["fake"].item() == pytest.approx(as_fake(2 * shown).item(), rel=1e-5)
    _, terms = next(step)
    weight = 1.0 if random else (14 * 14 * 1 + (16 * 16 - 14 * 14) * 10) / 16**2
    assert terms["l2"].item() == pytest.approx(0.999 * weight * (0.16 + 0.04) / 2, rel=1e-5)
    assert terms["adversarial"].item() == pytest.approx(0.001 * as_real(2 * shown).item(), rel=1e-5)
    (slope,) = torch.autograd.grad(terms["adversarial"], model.generator.factor)
    # d/df of softplus(-s), s = 2 value (rest + share f), share a quarter or all
    by_hand = -(0.001 * (-2 * shown).sigmoid() * 2 * value * (0.25 if random else 1.0)).mean().item()
    assert slope.item() == pytest.approx(by_hand, rel=1e-4)


def test_g_uses_d_as_it_is_after_its_update():
    """The release's shortcut reuses the scores from before it."""
    model = model_of()
    model.generator, model.discriminator = Constant(0.2, (16, 16)), MeanScore()
    step = model.step(iter([Images(torch.full((2, 3, 32, 32), 0.5))]))
    next(step)
    with torch.no_grad():
        model.discriminator.factor.fill_(-3.0)
    _, terms = next(step)
    assert terms["adversarial"].item() == pytest.approx(0.001 * as_real(torch.tensor(-0.6)).item(), rel=1e-6)


def test_what_is_hidden_changes_nothing():
    model = model_of((3, 128, 128))
    assert model.hole == (36, 36, 92, 92)
    image, mask = torch.rand(1, 3, 128, 128) * 2 - 1, model.holes(1)
    assert mask.sum() == 56 * 56
    other = torch.where(mask, -image, image)
    assert torch.equal(model.inpaint(image, mask[0, 0]), torch.where(mask, model.filled(other, mask), image))
    rim = image.clone()
    rim[:, :, 33] *= -1  # shown to G, as is all around
    inside = mask.expand_as(image)
    assert not torch.equal(model.filled(rim, mask)[inside], model.filled(image, mask)[inside])
    without = model.without(image, mask)
    fill = torch.tensor([117.0, 104, 123]) / 127.5 - 1
    assert torch.allclose(without[0, :, 60, 60], fill)
    assert torch.equal(without[~mask.expand_as(image)], image[~mask.expand_as(image)])


def test_random_regions_cover_a_quarter_and_have_no_rim():
    model = model_of(regions="random")
    masks = model.holes(8)
    assert masks.double().mean((1, 2, 3)).tolist() == pytest.approx([0.25] * 8, abs=1e-6)
    assert not torch.equal(masks[0], masks[1])
    coherent = (masks[:, :, 1:] == masks[:, :, :-1]).double().mean()
    assert coherent > 0.9, "blobs and not single pixels"
    model.generator, model.discriminator = Constant(0.2, (32, 32)), MeanScore()
    step = model.step(iter([Images(torch.full((2, 3, 32, 32), 0.5))]))
    _, terms, _ = next(step)
    assert terms["fake"].item() == pytest.approx(as_fake(torch.tensor(2 * (0.5 - 0.25 * 0.3))).item(), rel=1e-6)
    _, terms = next(step)
    assert terms["l2"].item() == pytest.approx(0.999 * 0.09, rel=1e-6), "the mean over the holes"


# People's pictures


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_visible_pixel_is_kept_through_every_door(dtype: type):
    model, array = model_of(), noise(90, 70, 3, dtype=dtype)
    mask = np.zeros((90, 70), bool)
    mask[40:50, 30:45] = True
    filled = model.inpaint(array, mask)
    assert filled.dtype == dtype
    assert np.array_equal(filled[~mask], array[~mask])
    assert (filled[mask] != array[mask]).any()
    assert np.array_equal(model.inpaint(array, torch.from_numpy(mask)), filled)
    assert np.array_equal(model.inpaint(array, Image.fromarray(mask)), filled)
    assert np.array_equal(model.inpaint(array, mask.astype(np.uint8) * 255), filled)
    if dtype == np.uint8:
        picture = model.inpaint(Image.fromarray(array), Image.fromarray(mask.astype(np.uint8) * 255))
        assert np.array_equal(np.asarray(picture), filled)
        tensor = torch.from_numpy(array).permute(2, 0, 1) / 127.5 - 1
        made = model.inpaint(tensor, mask)
        assert torch.equal(made[:, ~torch.from_numpy(mask)], tensor[:, ~torch.from_numpy(mask)])
        levels = made.add(1).mul(127.5).round().permute(1, 2, 0).numpy()
        assert np.abs(levels - filled).max() <= 1
        alpha = model.inpaint(np.dstack([array, noise(90, 70)]), mask)
        assert np.array_equal(alpha[:, :, 3], noise(90, 70))


def test_grey_stays_grey():
    model, mask = model_of(), np.zeros((32, 32), bool)
    mask[12:20, 12:20] = True
    assert model.inpaint(Image.new("L", (32, 32)), mask).mode == "L"
    assert model.inpaint(noise(32, 32), mask).shape == (32, 32)


def test_a_hole_elsewhere_is_filled_in_a_window_or_refused():
    model, array = model_of(), noise(120, 100, 3)
    mask = np.zeros((120, 100), bool)
    mask[80:84, 60:70] = True
    window = model.inpaint(array, mask)
    # the same as in a picture that is that window alone: its own middle
    own = model.inpaint(array[66:98, 49:81], mask[66:98, 49:81])
    assert np.array_equal(window[66:98, 49:81], own)
    edge = np.zeros((120, 100), bool)
    edge[:5, :5] = True
    words = "near the edge ... fills the middle of pictures alone ... rows 9 to 23 ... --regions random"
    refused(words, lambda: model.inpaint(array, edge))
    assert model_of(regions="random").inpaint(array, edge).shape == array.shape
    large = np.zeros((120, 100), bool)
    large[30:70, 30:70] = True  # in a window of 92 pixels, reduced to 32
    assert np.array_equal(model.inpaint(array, large)[~large], array[~large])


def test_what_is_refused():
    model, array = model_of(), noise(32, 32, 3)
    refused("marks nothing", lambda: model.inpaint(array, np.zeros((32, 32), bool)))
    refused("the mask is 8x8 and the image 32x32", lambda: model.inpaint(array, np.ones((8, 8), bool)))
    refused("a PIL image, or an array", lambda: model.inpaint(array, "mask.png"))
    refused("use inpaint", lambda: model.sample(1))
    refused("use inpaint", lambda: model.translate(array))
    refused("context_encoder", lambda: registry.create("gan", (1, 16, 16)).inpaint(array, array))
    refused("leaves no hole", lambda: model_of(overlap=8))
    refused("adversarial_weight", lambda: model_of(adversarial_weight=1.0))
    refused("2-D points", lambda: registry.create("context_encoder", (2,)))


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    made = trainer("context_encoder", (3, 16, 16))
    next(iter(made))
    options = {"width": 4, "bottleneck": 16}
    data = {"shape": [3, 16, 16], "num_classes": None}
    run = str(saved(made, tmp_path, model="context_encoder", model_options=options, data=data, precision="fp32"))
    array = noise(40, 60, 3)
    Image.fromarray(array).save("a.png")
    mask = np.zeros((40, 60), np.uint8)
    mask[20:24, 30:33] = 255
    Image.fromarray(mask).save("mask.png")
    assert cli.main(["inpaint", run, "a.png", "--mask", "mask.png", "--out", "out", "--compare"]) == 0
    assert cli.main(["inpaint", run, "a.png", "--box", "30,20,3,4", "--out", "out"]) == 0
    assert capsys.readouterr().out.split() == ["out/a-filled.png", "out/a-filled-compare.png", "out/a-filled-2.png"]
    first, second = (np.asarray(Image.open(f"out/a-filled{end}.png")) for end in ("", "-2"))
    assert np.array_equal(first, second)
    assert np.array_equal(first[mask == 0], array[mask == 0])
    for words, arguments in (
        ("either --mask", []),
        ("such as 120,80,40,40, not '1,2'", ["--box", "1,2"]),
        ("does not lie in the picture", ["--box", "58,20,3,4"]),
        ("none.png", ["--mask", "none.png"]),
    ):
        assert cli.main(["inpaint", run, "a.png", *arguments]) == 2
        assert words in capsys.readouterr().err


# Evaluation


def test_holes_are_measured_inside():
    """Real 0, filled 0.5 in a context of 0.2: errors in closed form, beside two fillings without a model."""
    model = model_of()
    pixels = np.full((8, 32, 32, 3), 153, np.uint8)  # 0.2
    pixels[:, 9:23, 9:23] = 128
    measure = quick_measure(model, Dataset("flat", torch.from_numpy(pixels)), Dataset("flat", torch.from_numpy(pixels)))
    assert isinstance(measure, InpaintingMeasure)
    model.generator = Constant(0.5, (16, 16))
    values = measure.full()
    zero = 128 / 127.5 - 1
    assert values["mean_absolute_error"] == pytest.approx(0.5 - zero, rel=1e-5)
    assert values["psnr"] == pytest.approx(20 * np.log10(255 / (191 - 128)), rel=1e-5)
    for name in ("mean_colour", "rim"):
        assert values[f"mean_absolute_error_of_{name}"] == pytest.approx(0.2 - zero, rel=1e-5)
        assert values[f"psnr_of_{name}"] == pytest.approx(20 * np.log10(255 / 25), rel=1e-5)
    assert measure.quick() == {key: values[key] for key in ("mean_absolute_error", "psnr")}


def ramps(n: int, side: int = 16) -> Dataset:
    """Pictures that grow evenly brighter in a direction and by a slope of their own, which their rims tell."""
    random = torch.rand(n, 3, 1, 1, generator=torch.Generator().manual_seed(n)) * 2 - 1
    place = torch.linspace(-1, 1, side)
    values = 0.4 * random[:, :1] + 0.3 * random[:, 1:2] * place[:, None] + 0.3 * random[:, 2:] * place
    return Dataset("ramps", ((values + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).expand(-1, -1, -1, 3))


def error_after(steps: int, *, own_surroundings: bool = True) -> float:
    """The error in the holes of new pictures, divided by that of the mean colour of what is around them."""
    model = model_of((3, 16, 16), width=8, lr=1e-3)
    if not own_surroundings:
        shown = model.without
        model.without = lambda image, mask: shown(image.roll(1, 0), mask)  # type: ignore[method-assign]
    for _ in (made := Trainer(model, Batches(ramps(512), Images, 32), steps)):
        pass
    made.drain()
    values = InpaintingMeasure(model.eval(), ramps(64), 64).full()
    return values["mean_absolute_error"] / values["mean_absolute_error_of_mean_colour"]


def test_it_learns_to_fill_what_its_surroundings_tell():
    assert error_after(100) < 0.8
    assert error_after(100, own_surroundings=False) > 1.0  # the same, shown what is around another hole
