"""Augmentation in the step of every model that offers it; the transformations of ADA and its controller."""

import math
import typing

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ganarium import registry
from ganarium.layers import ada, augmentation
from ganarium.layers.augmentation import Augmentation
from ganarium.proofs.changes import ChangeModel
from ganarium.proofs.experiment import Experiment, scale
from ganarium.proofs.measures.fixed_fakes import MemoryGap
from ganarium.testing import NoSync
from ganarium.training.state import capture, restore
from synthetic import ALL, refused, trainer

CLASSIFIER = "what it is for is a classifier, which sees images as they are"
INTO_OTHERS = "it learns from pairs or domains, and has flips and crops of its own"
WITHOUT = {  # models without --augment diff, and why
    "aae": "its discriminators judge codes, and no images",
    "bgan": "G learns from weights of samples, each augmented by other draws, and through no gradient",
    "catgan": CLASSIFIER,
    "ccgan": INTO_OTHERS,
    "context_encoder": INTO_OTHERS,
    "cyclegan": INTO_OTHERS,
    "discogan": INTO_OTHERS,
    "dualgan": INTO_OTHERS,
    "esrgan": INTO_OTHERS,
    "improved_gan": CLASSIFIER,
    "infogan": "a code that should find a change of place or colour cannot be read behind one that is drawn",
    "pix2pix": INTO_OTHERS,
    "pixelda": INTO_OTHERS,
    "pixelrnn": "it has no discriminator",
    "sgan": CLASSIFIER,
    "srgan": INTO_OTHERS,
    "text_to_image": "sentences name colours, sides and places, which a change would make untrue",
    "triple_gan": CLASSIFIER,
}


def choices(name):
    hint = typing.get_type_hints(registry.module(name).Config).get("augment")
    return typing.get_args(hint)


OFFERED = [name for name in ALL if "diff" in choices(name)]
ADAPTIVE = [name for name in OFFERED if "ada" in choices(name)]
SHAPE = (3, 16, 16)
OPTIONS = {name: {"first_size": 16} for name in ("progan", "stylegan")}  # so that D sees whole images from the start


def test_every_model_offers_augmentation_or_says_why_not():
    assert set(ALL) - set(OFFERED) == set(WITHOUT) & set(ALL)
    assert len(OFFERED) >= 26
    assert len(ADAPTIVE) >= 16
    defaults = {name: registry.module(name).Config().augment for name in OFFERED}
    assert {name for name, default in defaults.items() if default != "none"} <= {"fastgan", "projected_gan"}


class Marked(nn.Module):
    """Augmentation that can be seen: pixels leave [-1, 1]."""

    def __init__(self):
        super().__init__()
        self.with_gradient = []

    def forward(self, image):
        return self.together(image)[0]

    def together(self, *images):
        self.with_gradient.append(images[0].requires_grad)
        return [image + 100 for image in images]

    def adapt(self, score, num_images=None):
        return {}

    def schedule(self, p):
        return {}


class Cut(Marked):
    def together(self, *images):
        return [image.detach() if image.grad_fn else image for image in images]


@pytest.mark.parametrize("name", OFFERED)
def test_the_discriminator_sees_augmented_images_alone(name):
    """Reals, fakes and points between them, in all turns."""
    made = trainer(name, SHAPE, augment="none", **OPTIONS.get(name, {}))
    model, marked, seen = made.model, Marked(), []
    assert isinstance(model.augment, Augmentation)
    model.augment = marked

    def look(module, arguments):
        for x in arguments:
            picture = isinstance(x, torch.Tensor) and x.dim() == 4 and x.shape[1] == 3 and x.shape[2] >= 16
            if picture and not isinstance(module, nn.Tanh):
                seen.append(x.min().item())

    others = {*model.generator.modules(), *getattr(model, "encoder", marked).modules(), marked, model}
    model.load_features()
    for module in [*model.modules(), *getattr(model, "loaded", [])]:
        if module not in others:
            module.register_forward_pre_hook(look)
    body = getattr(model, "critic", None)
    if hasattr(body, "features"):  # which `step` may call by itself
        inner = body.features
        body.features = lambda x, *more: (look(body, (x,)), inner(x, *more))[1]
    model.prepare(made.batches)
    moves = list(model.step(made.batches))
    assert len(moves) >= 2
    assert len(seen) >= 3, "no image reached D"
    assert min(seen) > 40  # D may map [-1, 1] to [0, 1]
    assert {True, False} <= set(marked.with_gradient), "reals and fakes, with and without a gradient to G"


@pytest.mark.parametrize("name", OFFERED)
def test_gradients_reach_the_generator_through_the_augmentation_alone(name):
    made = trainer(name, SHAPE, augment="diff", batch_size=8, **OPTIONS.get(name, {}))
    parameters = [*made.model.generator.parameters()]

    def gradients():
        for player, terms, *_ in made.model.step(made.batches):
            if "G" in player:  # bigan's E and G move together
                total = torch.stack([*terms.values()]).sum()
                return torch.autograd.grad(total, parameters, allow_unused=True)

    reached = [gradient for gradient in gradients() if gradient is not None]
    assert reached
    assert all(gradient.isfinite().all() for gradient in reached)
    assert any(gradient.abs().sum() > 0 for gradient in reached)
    made.model.augment = Cut()
    assert all(gradient is None for gradient in gradients())


@pytest.mark.parametrize("name", sorted(set(OFFERED) - set(ADAPTIVE)))
def test_ada_is_refused_where_scores_have_no_sign(name):
    refused("augment ... diff ... 'ada'", lambda: registry.create(name, SHAPE, 4, augment="ada"))


@pytest.mark.parametrize("name", ADAPTIVE)
def test_ada_works_in_every_model_that_offers_it(name):
    """Without waiting for the device, in full precision, with p and r_t in the log: r3gan's p follows a schedule."""
    made = trainer(name, SHAPE, augment="ada")
    with NoSync():
        for _ in made.model.step(made.batches):
            pass
    made.model.augment.p.fill_(0.5)
    step = made.model.step(made.batches)
    watched = {}
    while True:
        with torch.autocast("cpu", torch.bfloat16):
            move = next(step, None)
        if move is None:
            break
        assert all(value.dtype == torch.float32 for values in move[1:] for value in values.values())
        watched |= move[2] if len(move) > 2 else {}
    assert watched["augment_p"] == made.model.augment.p
    assert ("augment_r" in watched) == (name != "r3gan")
    assert -1 <= watched.get("augment_r", 0) <= 1


def test_p_is_logged_and_saved_and_training_resumes_with_it():
    def made():
        result = trainer("dcgan", SHAPE, augment="ada", total=12)
        result.model.augment.p.fill_(0.5)
        return result

    straight = made()
    for _ in range(12):
        straight.iterate()
    rows = straight.drain().rows
    assert all(0 <= row["D/augment_p"] <= 1 for row in rows)
    assert len({row["D/augment_p"] for row in rows}) > 1
    expected, _ = capture(straight)
    first = made()
    for _ in range(7):
        first.iterate()
    files, meta = capture(first)
    resumed = made()
    torch.manual_seed(999)
    restore(resumed, files, meta)
    for _ in range(5):
        resumed.iterate()
    assert files["model"]["augment.p"] > 0
    files, _ = capture(resumed)
    for name, tensors in expected.items():
        assert all(torch.equal(files[name][key], value) for key, value in tensors.items())


def test_what_cannot_be_augmented_is_refused():
    refused("points ... --augment", lambda: registry.create("gan", (2,), augment="diff"))
    refused("4 channels ... diff", lambda: registry.create("dcgan", (4, 16, 16), augment="ada"))
    semi = {"semi_supervised": True, "augment": "diff"}
    refused("as they are ... --augment", lambda: registry.create("ct_gan", SHAPE, 4, **semi))


def test_without_augmentation_nothing_is_drawn_and_nothing_is_kept():
    T, image, state = Augmentation("none", "dcgan", SHAPE), torch.rand(2, *SHAPE), torch.get_rng_state()
    assert T(image) is image
    assert T.adapt(torch.ones(2)) == {}
    assert torch.equal(torch.get_rng_state(), state)
    assert not T.state_dict()


@pytest.mark.parametrize("kind", ["diff", "ada"])
def test_every_image_has_draws_of_its_own(kind):
    T = Augmentation(kind, "dcgan", SHAPE)
    if kind == "ada":
        T.p.fill_(1)
    torch.manual_seed(0)
    same = torch.rand(1, *SHAPE).expand(32, -1, -1, -1)
    results = T(same)
    assert len({round(image.sum().item(), 3) for image in results}) == 32
    assert not torch.equal(T(same), results)


# ---- the transformations of ADA --------------------------------------------------------------------------------------


def images(n=4, shape=(3, 12, 10), seed=0):
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2 - 1


def p(value):
    return torch.tensor(value, dtype=torch.float64)


@pytest.mark.parametrize("shape", [(3, 16, 16), (3, 12, 10), (1, 9, 9)])
def test_p_0_is_the_identity_and_p_1_changes_every_image(shape):
    torch.manual_seed(0)
    image = images(64, shape)
    assert torch.allclose(ada.augmented(image, p=p(0.0))[0], image, atol=1e-12)
    changed = (ada.augmented(image, p=p(1.0))[0] - image).abs().mean((1, 2, 3))
    assert changed.min() > 0.02


def test_the_share_of_images_that_a_transformation_changes_is_p():
    torch.manual_seed(0)
    image = images(1).expand(8000, -1, -1, -1)
    for chance in (0.2, 0.8):
        brightness, contrast, luma, hue, saturation = (
            value.flatten() for value in ada.draw_colours(image[:, :, :1, :1], p(chance))
        )
        for value, neutral in ((brightness, 0), (contrast, 1), (hue, 0), (saturation, 1)):
            assert (value != neutral).double().mean().item() == pytest.approx(chance, abs=0.02)
        assert (luma == -1).double().mean().item() == pytest.approx(chance / 2, abs=0.02)
        assert brightness[brightness != 0].std().item() == pytest.approx(0.2, abs=0.01)
        assert contrast.log2()[contrast != 1].std().item() == pytest.approx(0.5, abs=0.02)
        assert saturation.log2()[saturation != 1].std().item() == pytest.approx(1, abs=0.04)
        places = ada.draw_places(image[:, :, :8, :8], p(chance))
        # unchanged is what has no turn, no scaling and no shift by parts of a pixel; one of two flips, one of four
        # quarter turns, and one of four shifts by less than a pixel (rounded in both directions) leave all as it is
        rest = (1 - chance) ** 4 * (1 - chance / 2) * (1 - 0.75 * chance) ** 2
        same = (places - torch.eye(3)).abs().amax((1, 2)) < 1e-9
        assert same.double().mean().item() == pytest.approx(rest, abs=0.02)
        assert (places.det() < 0).double().mean().item() == pytest.approx(chance / 2, abs=0.02)


def ones(value, n=4):
    return torch.full((n,), value, dtype=torch.float64)


def test_places_by_hand():
    image = images()
    mirror = ada.scaling(ones(-1), ones(1))
    assert torch.allclose(ada.resampled(image, mirror), image.flip(3), atol=1e-12)
    assert torch.allclose(ada.resampled(ada.resampled(image, mirror), mirror), image, atol=1e-12)
    square = images(shape=(3, 12, 12))
    quarter = ada.rotation(ones(math.pi / 2))
    turned = ada.resampled(square, quarter)
    assert torch.allclose(turned, square.rot90(1, (2, 3)), atol=1e-9) or torch.allclose(
        turned, square.rot90(-1, (2, 3)), atol=1e-9
    )
    for _ in range(3):
        turned = ada.resampled(turned, quarter)
    assert torch.allclose(turned, square, atol=1e-9)
    moved = ada.resampled(image, ada.shift(ones(3), ones(-2)))
    assert torch.allclose(moved[:, :, 2:, :-3], image[:, :, :-2, 3:], atol=1e-9)
    assert torch.allclose(moved[:, :, 1], moved[:, :, 1].clamp(-1, 1))
    assert torch.allclose(moved[:, :, 1, :-3], image[:, :, 0, 3:], atol=1e-9)  # reflected with its border
    twice = ada.resampled(image, ada.scaling(ones(0.5), ones(0.5)))  # a pixel is taken from half as far: larger
    assert torch.allclose(
        twice[:, :, 6, 5],
        0.75**2 * image[:, :, 6, 5]
        + torch.stack([0.25 * 0.75 * (image[:, :, 5, 5] + image[:, :, 6, 4]) + 0.25**2 * image[:, :, 5, 4]]).squeeze(0),
        atol=1e-9,
    )


def test_colours_are_the_product_of_the_papers_matrices():
    """Brightness, contrast, flip of luma, turn of hue and saturation, as (4, 4) matrices on homogeneous colours."""
    v = torch.ones(3, dtype=torch.float64) / math.sqrt(3)
    cross = torch.tensor([[0, -1, 1], [1, 0, -1], [-1, 1, 0]], dtype=torch.float64) / math.sqrt(3)
    grey, eye = torch.outer(v, v), torch.eye(3, dtype=torch.float64)
    brightness, contrast, luma, hue, saturation = 0.3, 1.4, -1.0, 0.7, 1.8

    def whole(linear, offset=0.0):
        matrix = torch.eye(4, dtype=torch.float64)
        matrix[:3, :3], matrix[:3, 3] = linear, offset
        return matrix

    turn = eye * math.cos(hue) + cross * math.sin(hue) + grey * (1 - math.cos(hue))  # Rodrigues
    product = (
        whole(grey + (eye - grey) * saturation)
        @ whole(turn)
        @ whole(eye - 2 * grey)
        @ whole(eye * contrast)
        @ whole(eye, brightness)
    )
    image = images()
    flat = torch.cat([image.flatten(2), torch.ones(4, 1, 120, dtype=torch.float64)], 1)
    expected = (product @ flat)[:, :3].view_as(image)
    numbers = (ones(value).view(-1, 1, 1, 1) for value in (brightness, contrast, luma, hue, saturation))
    assert torch.allclose(ada.recoloured(image, *numbers), expected, atol=1e-12)
    one_channel = image[:, :1]
    numbers = (ones(value).view(-1, 1, 1, 1) for value in (brightness, contrast, luma, hue, saturation))
    assert torch.allclose(ada.recoloured(one_channel, *numbers), -1.4 * (one_channel + 0.3), atol=1e-12)


def test_a_square_of_half_the_size_is_cut_out_as_often_as_asked_for():
    torch.manual_seed(0)
    image = images(1, (3, 16, 16)).expand(2000, -1, -1, -1)
    assert torch.equal(ada.cut(image, *ada.draw_square(image, p(0.0))), image)
    x, y = (value[:1] for value in (torch.full((2000, 1, 1, 1), 0.5), torch.full((2000, 1, 1, 1), 0.0)))
    grey = ada.cut(image[:1], x, y)[0, 0] == 0
    rows, columns = grey.nonzero().unbind(1)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (0, 3, 4, 11)
    assert grey.sum() == 4 * 8
    cut = ada.cut(image, *ada.draw_square(image, p(0.3)))
    assert (cut != image).any(3).any(2).any(1).double().mean().item() == pytest.approx(0.3, abs=0.03)
    torch.manual_seed(1)
    half = ada.augmented(image, p=p(0.4), colour=0.0, cutout=1.0)[0]
    torch.manual_seed(1)
    without = ada.augmented(image, p=p(0.4), colour=0.0)[0]
    assert (half != without).any(3).any(2).any(1).double().mean().item() == pytest.approx(0.4, abs=0.03)


@pytest.mark.parametrize("side", [(16, 16), (8, 16)])
def test_an_image_at_two_sizes_is_changed_alike(side):
    """FastGAN's D sees each fake large and small."""
    coarse = torch.rand(16, 3, 4, 4, generator=torch.Generator().manual_seed(0)) * 2 - 1
    large, small = (F.interpolate(coarse, size, mode="bicubic", antialias=True) for size in ((64, 64), side))
    torch.manual_seed(0)
    changed, changed_small = ada.augmented(large, small, p=torch.tensor(1.0))
    reduced = F.interpolate(changed, side, mode="area")
    apart = (changed_small - reduced).abs().mean((1, 2, 3))
    other = (changed_small - reduced.roll(1, 0)).abs().mean((1, 2, 3))
    assert (apart < 0.2 * other).all()


def test_gradients_are_those_of_finite_differences():
    def changed(image):
        torch.manual_seed(3)
        return ada.augmented(image, p=p(0.9))[0]

    assert torch.autograd.gradcheck(changed, images(2, (3, 5, 4)).requires_grad_())


def test_half_precision_is_not_used_for_places():
    image = images(2).float()
    with torch.autocast("cpu", torch.bfloat16):
        (same,) = ada.augmented(image, p=torch.tensor(0.0))
    assert same.dtype == torch.float32
    assert torch.allclose(same, image, atol=1e-5)


# ---- its controller --------------------------------------------------------------------------------------------------


def controlled(score, times, start=0.0, batch=64):
    T = Augmentation("ada", "dcgan", SHAPE)
    T.p.fill_(start)
    for _ in range(times):
        logged = T.adapt(torch.as_tensor(score, dtype=torch.float32).expand(batch))
    return T, logged


def test_p_rises_above_the_target_and_falls_below_it_at_the_papers_speed():
    T, logged = controlled(2.0, 400)  # all reals above 0: 100 changes of 4 * 64 / 500,000
    assert T.p.item() == pytest.approx(0.0512, abs=1e-6)
    assert logged["augment_p"] == T.p
    assert logged["augment_r"] == 1
    assert controlled(-1.0, 200, start=0.0512)[0].p.item() == pytest.approx(0.0256, abs=1e-6)
    assert controlled(0.0, 400, start=0.0512)[0].p.item() == pytest.approx(0.0, abs=1e-6)
    assert controlled(1.0, 3)[0].p.item() == 0, "p changes in every fourth turn alone"
    # an eighth of the speed with an eighth of the images
    assert controlled(1.0, 400, batch=8)[0].p.item() == pytest.approx(0.0064, abs=1e-6)


def test_scores_of_patches_count_as_the_images_they_are_of():
    def after(*shape, num_images=None):
        T = Augmentation("ada", "fastgan", SHAPE)
        for _ in range(4):
            logged = T.adapt(torch.ones(shape), num_images)
        assert logged["augment_r"] == 1
        return T.p.item()

    assert after(8, 100) == after(800, num_images=8) == pytest.approx(4 * 8 / 500_000)


def test_p_stays_between_0_and_1():
    assert controlled(-1.0, 40)[0].p.item() == 0
    assert controlled(1.0, 40, start=0.9999)[0].p.item() == 1


def test_r_is_the_mean_sign_over_four_batches_and_its_target_0_6():
    def after(share):  # of scores above 0: r = 2 share - 1
        T = Augmentation("ada", "dcgan", SHAPE)
        T.p.fill_(0.5)
        score = torch.where(torch.arange(100) < 100 * share, 0.1, -5.0)
        for part in score[torch.randperm(100, generator=torch.Generator().manual_seed(0))].split(25):
            logged = T.adapt(part)
        return T.p.item() - 0.5, logged["augment_r"].item()

    change, r = after(0.81)
    assert change == pytest.approx(100 / 500_000, rel=1e-3)
    assert r == pytest.approx(0.62)
    change, r = after(0.79)
    assert change == pytest.approx(-100 / 500_000, rel=1e-3)
    assert r == pytest.approx(0.58)


def d_alone(own, splits, num_photos, of_fakes=False):
    """p, and the mean sign of D's scores on augmented reals, over the last third of 200 steps in which D alone learns
    from photographs. With `of_fakes` the controller gets D's scores on augmented fakes."""
    signs, chances = [], []

    def watch(model):
        T = model.augment
        adapt = T.adapt

        def watched(score):
            signs.append(score.detach().sign().mean())
            chances.append(T.p.clone())
            return adapt(model.discriminator(T(model.generate(len(score)))) if of_fakes else score)

        T.adapt = watched

    measure, change = MemoryGap(num_train=num_photos), ChangeModel(watch)
    experiment = Experiment(model="gan", scale=own, seed=0, train=splits[0], test=splits[1], change=change)
    measure.trained(experiment, measure.data(experiment))
    return torch.stack(chances)[-67:].mean().item(), torch.stack(signs)[-67:].mean().item()


def test_the_controller_holds_d_at_its_target_on_few_photographs_and_leaves_many_alone(real_data, monkeypatch):
    """The control goes by D's scores on fakes: p stays at 0, and D becomes sure of every photograph that it knows."""
    monkeypatch.setattr(augmentation, "ADAPTATION_IMAGES", 5000)  # 500,000 would take a hundred times as many steps
    settings = {"size": 16, "network": "dcgan", "norm": "none", "width": 16, "lr": 3e-3, "beta2": 0.99}
    own = scale("lfw64", 200, batch_size=32, augment="ada", **settings)
    splits = own.splits()
    p_of_few, sign_of_few = d_alone(own, splits, 100)
    assert p_of_few > 0.04
    assert sign_of_few == pytest.approx(augmentation.TARGET, abs=0.1)
    p_of_many, sign_of_many = d_alone(own, splits, 2000)
    assert p_of_many < 0.02
    assert sign_of_many < augmentation.TARGET
    p_of_fakes, sign_of_fakes = d_alone(own, splits, 100, of_fakes=True)
    assert p_of_fakes == 0
    assert sign_of_fakes > 0.85
