"""CC-GAN against its paper: D is shown the composite, visible pixels are copied, CC-GAN2's whole images, the
classifier; the known mistakes: D on G's whole output alone, an error of pixels, no noise, a class "fake"."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium import registry
from ganarium.data.dataset import Images, PartlyLabelledImages
from ganarium.losses import as_fake, as_real
from ganarium.networks.ccgan import Discriminator
from synthetic import quadrants, refused, trainer


def model_of(num_classes=4, shape=(1, 16, 16), **options):
    torch.manual_seed(0)
    return registry.create("ccgan", shape, num_classes, **{"width": 4, "noise_dim": 3} | options)


class Flat(nn.Module):
    """G that makes one value everywhere."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value, self.seen = nn.Parameter(torch.tensor(value)), []

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        self.seen.append((x, z))
        return self.value.expand(len(x), 1, *x.shape[2:])


class Mean(nn.Module):
    """D whose score is twice the mean of the image."""

    def __init__(self) -> None:
        super().__init__()
        self.factor, self.seen = nn.Parameter(torch.tensor(2.0)), []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x)
        return self.factor * x.mean((1, 2, 3))


def played(**options):
    """A step on images of 0.5 with a G that makes -0.7: the model and the terms of D and G."""
    model = model_of(**options)
    model.generator, model.discriminator = Flat(-0.7), Mean()
    (_, d_terms, _), (_, terms) = model.step(iter([Images(torch.full((5, 1, 16, 16), 0.5))]))
    return model, d_terms, terms


# ---- the composite -------------------------------------------------------------------------------------------------


def test_every_term_in_closed_form():
    """A quarter of each image is hole: the mean of a composite is 0.75 * 0.5 - 0.25 * 0.7 = 0.2."""
    model, d_terms, terms = played(full_image=False)
    assert set(d_terms) == {"real", "fake"}
    assert set(terms) == {"adversarial"}, "no error of pixels"
    assert d_terms["real"].item() == pytest.approx(as_real(torch.tensor(1.0)).item(), rel=1e-5)
    assert d_terms["fake"].item() == pytest.approx(as_fake(torch.tensor(0.4)).item(), rel=1e-5)
    assert terms["adversarial"].item() == pytest.approx(as_real(torch.tensor(0.4)).item(), rel=1e-5)
    d_terms["fake"].backward()
    assert model.generator.value.grad is None
    whole = as_fake(torch.tensor(-1.4)).item()  # known mistake: D on G's whole output
    assert d_terms["fake"].item() != pytest.approx(whole, rel=0.1)


def test_cc_gan2_rejects_the_whole_image_as_well():
    """Two games, each with the reals."""
    _, d_terms, terms = played()
    assert d_terms["real"].item() == pytest.approx(2 * as_real(torch.tensor(1.0)).item(), rel=1e-5)
    assert d_terms["full"].item() == pytest.approx(as_fake(torch.tensor(-1.4)).item(), rel=1e-5)
    assert terms["full"].item() == pytest.approx(as_real(torch.tensor(-1.4)).item(), rel=1e-5)
    model = model_of()
    for layer in (model.discriminator.score,):
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    (_, d_terms, _), (_, terms) = model.step(iter([Images(torch.rand(5, 1, 16, 16))]))
    assert sum(d_terms.values()).item() == pytest.approx(4 * math.log(2))
    assert sum(terms.values()).item() == pytest.approx(2 * math.log(2))


def test_visible_pixels_are_copied():
    torch.manual_seed(1)
    model = model_of()
    image, mask = torch.rand(5, 1, 16, 16) * 2 - 1, model.holes(5)
    made = model.filled(image, mask)
    assert torch.equal(made.masked_fill(mask, 0), image.masked_fill(mask, 0))
    assert (made - image).masked_fill(~mask, 0).abs().amax((1, 2, 3)).min() > 0.01
    seen = []
    judge = model.discriminator.forward
    model.discriminator.forward = lambda x: seen.append(x.detach()) or judge(x)
    list(model.step(iter([Images(image)])))
    real, composite, full = seen[:3]
    assert torch.equal(real, image)
    assert ((composite == image).flatten(1).float().mean(1) >= 0.75).all()
    assert not (full == image).any()


def test_ds_verdict_on_the_composite_reaches_g_only_in_the_hole():
    made = torch.rand(4, 1, 16, 16, requires_grad=True)
    model = model_of(full_image=False)
    model.made = lambda x, mask: made
    mask = torch.zeros(4, 1, 16, 16, dtype=torch.bool)
    mask[:, :, 3:9, 5:12] = True
    model.holes = lambda n: mask
    _, (_, terms) = model.step(iter([Images(torch.rand(4, 1, 16, 16))]))
    (gradient,) = torch.autograd.grad(terms["adversarial"], made)
    assert gradient.masked_fill(mask, 0).abs().max() == 0
    assert gradient.masked_fill(~mask, 0).abs().max() > 0


def test_g_is_not_shown_what_is_in_the_hole():
    """And reads noise. Known mistake: the hole is filled with black, -1, which images have too."""
    model = model_of()
    model.generator = Flat(0.0)
    image, mask = torch.rand(2, 1, 16, 16) + 0.1, model.holes(2)
    model.made(image, mask)
    x, z = model.generator.seen[0]
    assert (x.masked_select(mask) == 0).all()
    assert torch.equal(x.masked_select(~mask), image.masked_select(~mask))
    assert z.shape == (2, 3)
    assert z.std() > 0.1
    real = model_of().eval()
    assert not torch.equal(real.made(image, mask), real.made(image, mask)), "other noise, another filling"
    other = torch.where(mask, -image, image)
    torch.manual_seed(0)
    first = real.made(image, mask)
    torch.manual_seed(0)
    assert torch.equal(first, real.made(other, mask))


def test_low_resolution_copy():
    model = model_of(low_resolution=4)
    model.generator = Flat(0.0)
    image = torch.rand(2, 1, 16, 16)
    model.made(image, model.holes(2))
    coarse = model.generator.seen[0][0][:, 1]
    assert coarse.shape == (2, 16, 16)
    assert coarse.mean().item() == pytest.approx(image.mean().item(), abs=0.02)
    assert 0 < coarse.std() < 0.6 * image.std()


def test_holes_are_rectangles_at_random_places():
    model = model_of(shape=(1, 16, 24), hole=0.25)
    masks = model.holes(300)
    assert masks.shape == (300, 1, 16, 24)
    assert (masks.sum((1, 2, 3)) == 4 * 6).all()
    rows, columns = masks.any(3).float().argmax(2).flatten(), masks.any(2).float().argmax(2).flatten()
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (0, 12, 0, 18)


# ---- the classifier ------------------------------------------------------------------------------------------------


def test_classifier_learns_from_labelled_reals_alone():
    model = model_of(semi_supervised=True, class_weight=3.0, dropout=0.0)
    image, label = torch.rand(6, 1, 16, 16), torch.tensor([0, 1, 2, 3, 0, 1])
    batch = PartlyLabelledImages(image, label, torch.rand(6, 1, 16, 16))
    _, terms, _ = next(model.step(iter([batch])))
    logits = model.discriminator.class_logits(image)
    assert logits.shape == (6, 4), 'no class "fake"'
    assert terms["labelled"].item() == pytest.approx(3 * F.cross_entropy(logits, label).item(), rel=1e-4)
    D = model.discriminator
    gradients = torch.autograd.grad(terms["labelled"], list(D.parameters()), allow_unused=True)
    reached = {name for (name, _), g in zip(D.named_parameters(), gradients, strict=True) if g is not None}
    assert {"classes.weight", "features.0.weight"} <= reached
    assert "score.weight" not in reached
    generators = torch.autograd.grad(
        next(model.step(iter([batch])))[1]["labelled"], list(model.generator.parameters()), allow_unused=True
    )
    assert all(g is None for g in generators)


def test_whole_channels_are_dropped_while_it_trains():
    D = Discriminator((1, 16, 16), 4, 4, 0.5)
    D.features = nn.Identity()
    D.classes = nn.Flatten()
    kept = D.class_logits(torch.ones(3, 8, 2, 2)).view(3, 8, 4)
    assert set(kept.unique().tolist()) == {0.0, 2.0}
    assert (kept.amax(2) == kept.amin(2)).all()
    assert (D.eval().class_logits(torch.ones(3, 8, 2, 2)) == 1).all()


def test_stages_of_vgg_a():
    """At 64 pixels all five stages, down to 2x2; at 16 three."""
    D = registry.create("ccgan", (3, 64, 64)).discriminator
    widths = [layer.out_channels for layer in D.features if isinstance(layer, nn.Conv2d)]
    assert widths == [64, 128, 256, 256, 512, 512, 512, 512]
    assert D.score.kernel_size == (2, 2)
    assert model_of().discriminator.score.kernel_size == (2, 2)


def test_fakes_leave_the_statistics_that_classify_alone():
    made = trainer("ccgan", semi_supervised=True)
    norms = [layer for layer in made.model.discriminator.modules() if isinstance(layer, nn.BatchNorm2d)]
    list(made.model.step(made.batches))
    assert {int(norm.num_batches_tracked) for norm in norms} == {2}, "of unlabelled and of labelled reals"


# ---- it learns, and what it refuses --------------------------------------------------------------------------------


def test_it_learns_to_classify():
    """Control: labels that say nothing."""
    shares = []
    for shuffled in (False, True):
        made = quadrants(
            trainer("ccgan", (1, 8, 8), batch_size=16, total=40, semi_supervised=True, width=8, lr=2e-3),
            shuffled=shuffled,
        )
        truth = quadrants(trainer("cgan", (1, 8, 8))).batches.labels
        for _ in range(40):
            made.iterate()
        images = made.batches.images.permute(0, 3, 1, 2).float() / 127.5 - 1
        shares.append((made.model.classify(images) == truth).double().mean().item())
    assert shares[0] > 0.8, shares
    assert shares[1] < 0.6, shares


def test_inpaint_any_hole():
    model = model_of(shape=(3, 16, 16))
    image, mask = torch.rand(3, 40, 30) * 2 - 1, torch.zeros(40, 30, dtype=torch.bool)
    mask[5:9, 20:26] = True
    made = model.inpaint(image, mask)
    assert torch.equal(made[:, ~mask], image[:, ~mask])
    assert not torch.equal(made[:, mask], image[:, mask])
    assert torch.equal(made, model.inpaint(image, mask)), "the same noise in every call"


def test_what_is_refused():
    refused("2-D points", lambda: registry.create("ccgan", (2,)))
    refused("a share of the image's side", lambda: model_of(hole=1.5))
    refused("labels of at least two classes", lambda: model_of(None, semi_supervised=True))
    refused("does not classify", lambda: model_of().classify(torch.zeros(1, 16, 16)))


def test_crops_are_parts_of_the_image_at_its_size():
    """Of a ramp from -1 to 1 they are ramps too, at most as much less steep as the crop is smaller; 0 crops nothing."""
    ramp = torch.linspace(-1, 1, 16).expand(64, 1, 16, 16)
    crops = model_of(crop=0.5).cropped(ramp)
    assert crops.shape == ramp.shape
    assert crops.abs().max() <= 1
    inner = crops[..., 2:-2]
    steps = inner.diff(dim=3)
    assert torch.allclose(steps, steps.mean((2, 3), keepdim=True).expand_as(steps), atol=1e-4)
    slopes = steps.mean((1, 2, 3)) / (2 / 15)
    assert 0.49 < slopes.min() < 0.6 < 0.9 < slopes.max() <= 1.001
    assert inner.mean((1, 2, 3)).std() > 0.05, "each is at another place"
    assert model_of().cropped(ramp) is ramp
    refused("crop", lambda: model_of(crop=1.5))


def test_what_is_cropped_is_trained_on(monkeypatch):
    model = trainer("ccgan", (1, 16, 16), batch_size=4, width=4, noise_dim=3, crop=0.4, semi_supervised=True).model
    seen = []
    monkeypatch.setattr(model, "cropped", lambda x: seen.append(x) or x)
    batch = PartlyLabelledImages(torch.zeros(4, 1, 16, 16), torch.arange(4) % 4, torch.ones(4, 1, 16, 16))
    next(model.step(iter([batch])))
    assert [float(x.mean()) for x in seen] == [1.0, 0.0]
