"""PixelDA against its paper: the weights and players of each term, the pairwise error, noise, labels of the target that
nobody is told; the known mistakes: T in G's update, a softmax before the cross-entropy, squared errors."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium import registry
from ganarium.data.dataset import SourceTargetImages
from ganarium.evaluation.measures import evaluate_model
from ganarium.losses import as_fake, as_real
from ganarium.models.pixelda import pairwise_error
from ganarium.networks.pixelda import Classifier, Discriminator, Generator
from synthetic import quadrants, refused, trainer


def model_of(shape=(1, 16, 16), **options):
    torch.manual_seed(0)
    small = {"noise_dim": 3, "width": 4, "num_blocks": 1, "classifier_width": 4}
    return registry.create("pixelda", shape, 4, **small | options)


class Shift(nn.Module):
    """G that adds a number to the image."""

    def __init__(self) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(0.25))

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        return x + self.value


class Mean(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x.mean((1, 2, 3))


class Logits(nn.Module):
    """T whose logits are multiples of the mean: other ones for the two kinds of images."""

    def __init__(self) -> None:
        super().__init__()
        self.source, self.target = nn.Parameter(torch.randn(4)), nn.Parameter(torch.randn(4))

    def forward(self, x: Tensor, kind: str = "target") -> Tensor:
        return x.mean((1, 2, 3))[:, None] * (self.source if kind == "source" else self.target)


def stubbed(**options):
    """x_s = 0.2, x_f = 0.45, x_t = -0.5."""
    model = model_of(**options)
    model.generator, model.discriminator, model.classifier = Shift(), Mean(3.0), Logits()
    label = torch.tensor([0, 1, 2, 3])
    batch = SourceTargetImages(torch.full((4, 1, 16, 16), 0.2), label, torch.full((4, 1, 16, 16), -0.5))
    (_, d_terms, _), (_, terms) = model.step(iter([batch]))
    T = model.classifier
    task = F.cross_entropy(0.45 * T.target.expand(4, 4), label) + F.cross_entropy(0.2 * T.source.expand(4, 4), label)
    return model, d_terms, terms, task.item()


# ---- the losses ----------------------------------------------------------------------------------------------------


def test_every_term_with_its_published_weight():
    _, d_terms, terms, task = stubbed()
    assert d_terms["real"].item() == pytest.approx(0.1356 * as_real(torch.tensor(-1.5)).item(), rel=1e-5)
    assert d_terms["fake"].item() == pytest.approx(0.1356 * as_fake(torch.tensor(1.35)).item(), rel=1e-5)
    assert d_terms["task"].item() == pytest.approx(task, rel=1e-5), "on adapted and on source images"
    assert terms["style"].item() == pytest.approx(0.0113 * as_real(torch.tensor(1.35)).item(), rel=1e-5)
    assert terms["task"].item() == pytest.approx(0.0101 * task, rel=1e-5)
    assert set(terms) == {"style", "task"}, "the similarity is off"


def test_values_where_d_and_t_say_nothing():
    model = model_of()
    for layer in (model.discriminator.last, model.classifier.shared[-1]):
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    batch = SourceTargetImages(torch.rand(4, 1, 16, 16), torch.arange(4), torch.rand(4, 1, 16, 16))
    (_, d_terms, _), (_, terms) = model.step(iter([batch]))
    assert (d_terms["real"] + d_terms["fake"]).item() == pytest.approx(0.1356 * 2 * math.log(2), rel=1e-5)
    assert d_terms["task"].item() == pytest.approx(2 * math.log(4), rel=1e-5)
    assert terms["style"].item() == pytest.approx(0.0113 * math.log(2), rel=1e-5)


def test_whom_each_update_moves():
    """Known mistake: T and G in one optimiser, so that T is trained by G's update too."""
    made = trainer("pixelda")
    moved, before = {}, {key: p.clone() for key, p in made.model.named_parameters()}
    for update in made.updates():
        now = {key: p.clone() for key, p in made.model.named_parameters()}
        moved[update.player] = {key.split(".")[0] for key in now if not torch.equal(now[key], before[key])}
        before = now
    assert moved == {"DT": {"discriminator", "classifier"}, "G": {"generator"}}
    model, d_terms, terms, _ = stubbed()
    gradients = torch.autograd.grad(sum(d_terms.values()), [model.generator.value], allow_unused=True)
    assert gradients == (None,)
    assert all(torch.autograd.grad(term, model.generator.value, retain_graph=True)[0] != 0 for term in terms.values())


def test_a_head_can_be_trained_below_a_tenth_of_a_nat():
    """Known mistake: softmax before cross-entropy, which cannot fall below 0.7437 with four classes."""
    torch.manual_seed(0)
    model = model_of()
    x, label = torch.rand(20, 1, 16, 16), torch.arange(20) % 4
    rule = torch.optim.Adam(model.classifier.parameters(), lr=0.02)
    for _ in range(120):
        loss = model.task_loss(x, x, label)
        rule.zero_grad()
        loss.backward()
        rule.step()
    assert loss.item() < 0.2


# ---- the pairwise error --------------------------------------------------------------------------------------------


def test_pairwise_error_is_the_variance_of_the_difference():
    torch.manual_seed(0)
    a, b, every = torch.rand(3, 2, 8, 8), torch.rand(3, 2, 8, 8), torch.ones(3, 1, 8, 8)
    assert pairwise_error(a, a + 0.3, every).item() == pytest.approx(0.0, abs=1e-6)
    variance = (a - b).flatten(1).var(1, correction=0).mean()
    assert pairwise_error(a, b, every).item() == pytest.approx(variance.item(), rel=1e-4)
    pairs = (a - b).flatten(1)
    differences = (pairs[:, :, None] - pairs[:, None]).square().mean((1, 2)) / 2  # of all pairs of pixels
    assert pairwise_error(a, b, every).item() == pytest.approx(differences.mean().item(), rel=1e-4)


def test_what_is_masked_out_does_not_matter():
    a, b, mask = torch.rand(3, 1, 8, 8), torch.rand(3, 1, 8, 8), torch.zeros(3, 1, 8, 8)
    mask[:, :, 2:5, 2:5] = 1
    other = torch.where(mask == 1, b, b + 5)
    assert torch.equal(pairwise_error(a, b, mask), pairwise_error(a, other, mask))
    assert not torch.equal(pairwise_error(a, b, mask), pairwise_error(a, b + mask, mask))


def test_similarity_is_of_what_is_not_black():
    model = model_of(similarity_weight=2.0)
    x_s, x_f = torch.rand(4, 1, 16, 16), torch.rand(4, 1, 16, 16)
    x_s[:, :, :8] = -1
    model.adapted = lambda x: x_f
    batch = SourceTargetImages(x_s, torch.arange(4), torch.rand(4, 1, 16, 16))
    _, (_, terms) = model.step(iter([batch]))
    mask = torch.ones(4, 1, 16, 16)
    mask[:, :, :8] = 0
    assert terms["similarity"].item() == pytest.approx(2 * pairwise_error(x_s, x_f, mask).item(), rel=1e-5)


# ---- labels, networks ----------------------------------------------------------------------------------------------


def test_labels_of_the_target_change_nothing():
    rows = []
    for which in ("none", "target", "source"):
        made = trainer("pixelda")
        data = made.batches.data
        if which == "target":
            object.__setattr__(data, "target_labels", data.target_labels.flip(0))
        if which == "source":
            made.batches.labels = made.batches.labels.flip(0)
        for _ in range(3):
            made.iterate()
        rows.append(made.drain().rows)
    assert rows[0] == rows[1]
    assert rows[0] != rows[2], "the control"


def test_accuracy_is_that_of_held_out_images_of_the_target():
    """Known mistake: measured on the training images of the target."""
    made = trainer("pixelda")
    data, model = made.batches.data, made.model
    share = (model.classify(data.second.permute(0, 3, 1, 2).float() / 127.5 - 1) == data.target_labels).double()
    assert evaluate_model(model, data, data, n=40)[0]["test_accuracy"] == pytest.approx(share.mean().item())
    source = model.classifier(torch.zeros(2, 1, 16, 16), "source")
    assert not torch.allclose(source, model.class_logits(torch.zeros(2, 1, 16, 16)))


def test_noise_is_one_more_channel():
    """Known mistake: as many channels of noise as the image has."""
    generator = Generator((3, 16, 16), 5, 8, 2)
    assert generator.layers[0].in_channels == 4
    x, z = torch.rand(6, 3, 16, 16), torch.rand(6, 5)
    assert not torch.allclose(generator(x, z), generator(x, z.flip(0)))
    assert not torch.allclose(generator(x, z), generator(x.flip(0), z))
    assert generator.eval()(torch.rand(2, 3, 24, 20), z[:2]).shape == (2, 3, 24, 20)
    model = model_of()
    seen = []
    model.generator.forward = lambda x, z: seen.append(z) or x
    model.adapted(torch.rand(2000, 1, 16, 16))
    assert seen[0].shape == (2000, 3)
    assert -1 <= seen[0].min() < -0.95 < 0.95 < seen[0].max() <= 1


def test_d_is_noisy_while_it_trains():
    torch.manual_seed(0)
    x = torch.rand(8, 1, 16, 16)
    noisy, plain = Discriminator((1, 16, 16), 4, 0.1, 0.2), Discriminator((1, 16, 16), 4, 0.0, 0.0)
    assert not torch.equal(noisy(x), noisy(x))
    assert torch.equal(noisy.eval()(x), noisy(x))
    assert torch.equal(plain(x), plain(x))


def test_first_layers_of_t_are_each_kinds_own():
    T = Classifier((1, 16, 16), 4, 4)
    gradients = torch.autograd.grad(T(torch.rand(2, 1, 16, 16)).sum(), list(T.parameters()), allow_unused=True)
    untouched = {name for (name, _), g in zip(T.named_parameters(), gradients, strict=True) if g is None}
    assert untouched == {"first.source.weight", "first.source.bias"}


def test_rate_falls_every_20000_steps():
    rate = model_of().players["G"].optimizer.lr
    assert [rate(place, 10**6) / 1e-3 for place in (0, 19_999, 20_000, 40_000)] == pytest.approx([1, 1, 0.95, 0.9025])


# ---- it learns, and what it refuses --------------------------------------------------------------------------------


def test_t_learns_the_source_and_what_it_is_shown_of_it():
    """Quarters that are bright in the source and dark in the target. Control: shuffled labels."""
    shares = []
    for shuffled in (False, True):
        made = trainer("pixelda", (1, 8, 8), batch_size=16, total=60, width=8, classifier_width=8)
        made = quadrants(made, shuffled=shuffled)
        truth = quadrants(trainer("cgan", (1, 8, 8))).batches.labels
        made.batches.second = 255 - made.batches.images
        for _ in range(60):
            made.iterate()
        images = made.batches.images.permute(0, 3, 1, 2).float() / 127.5 - 1
        with torch.no_grad():
            shares.append((made.model.classifier(images, "source").argmax(1) == truth).double().mean().item())
    assert shares[0] > 0.8, shares
    assert shares[1] < 0.6, shares


def test_what_is_refused():
    refused("2-D points", lambda: registry.create("pixelda", (2,), 4))
    refused("labels of at least two classes", lambda: registry.create("pixelda", (1, 16, 16)))
    refused("style_weight", lambda: model_of(style_weight=-1.0))
    refused("translate", lambda: model_of().sample(3))
