"""CoGAN against its paper and the authors' numbers: which layers are shared, the losses, no pairs, labels of one
domain; the known mistakes: D that shares its first layers, squared errors, labels of the target."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import reference
from ganarium import registry
from ganarium.data.batches import Batches
from ganarium.data.dataset import Dataset, SourceTargetImages, UnpairedImages
from ganarium.evaluation.measures import DomainMeasure, evaluate_model, quick_measure
from ganarium.losses import as_fake, as_real
from ganarium.networks.cogan import Discriminator, Generator
from ganarium.trainer import Trainer
from synthetic import dataset, refused, trainer

SHAPE, CHANNELS = (1, 28, 28), ([12, 10, 8, 6], [4, 8, 16])


def model_of(**options):
    torch.manual_seed(0)
    small = {"latent_dim": 5, "width": 4, "discriminator_width": 2, "search_steps": 3}
    return registry.create("cogan", (1, 16, 16), 4, **small | options)


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def authors(case: str):
    """A model with networks of the recorded sizes and values, and the record."""
    record = reference.load("cogan")[case]
    adapt = case == "mnist2usps"
    model = registry.create("cogan", SHAPE, 10, latent_dim=5, width=4, discriminator_width=2, adapt=adapt).double()
    model.generator = Generator(SHAPE, 5, CHANNELS[0]).double()
    model.discriminator = Discriminator(SHAPE, CHANNELS[1], 10 if adapt else None).double()
    model.players["G"].parts[0].modules = (model.generator,)
    model.players["D"].parts[0].modules = (model.discriminator,)
    for name, network in (("G", model.generator), ("D", model.discriminator)):
        reference.fill(network.parameters(), record["networks"][name]["parameters"])
    return model, record


def scaled(x: Tensor) -> Tensor:
    """Pixels in [0, 1] as ours are."""
    return 2 * x - 1


# ---- the authors' numbers ------------------------------------------------------------------------------------------


def test_published_numbers_of_parameters():
    published = reference.load("cogan")["published_sizes"]
    plain, adapting = (registry.create("cogan", SHAPE, 10, adapt=adapt) for adapt in (False, True))
    assert {"G": count(plain.generator), "D": count(plain.discriminator)} == published["mnistedge"]
    assert {"G": count(adapting.generator), "D": count(adapting.discriminator)} == published["mnist2usps"]
    assert published["mnist2usps"] == {"G": 7_842_694, "D": 432_603}


@pytest.mark.parametrize("case", ["mnistedge", "mnist2usps"])
def test_networks_give_the_authors_numbers(case):
    model, record = authors(case)
    given = reference.inputs(record)
    a, b = model.generator(given["z"])
    reference.hold((a + 1) / 2, record["outputs"]["G_a(z)"])
    reference.hold((b + 1) / 2, record["outputs"]["G_b(z)"])
    logits = next(value for name, value in record["outputs"].items() if name.startswith("D logits"))["values"]
    scores = model.discriminator(scaled(given["x_a"]), scaled(given["x_b"]))
    expected = torch.tensor(logits, dtype=torch.float64).view(6, 2)
    assert scores.tolist() == pytest.approx((expected[:, 1] - expected[:, 0]).tolist(), rel=1e-6)


@pytest.mark.parametrize("case", ["mnistedge", "mnist2usps"])
def test_three_full_steps_give_the_authors_numbers(case):
    model, record = authors(case)
    record = record["full_step"]
    given = reference.inputs(record)
    label = torch.tensor(record["labels of x_a"] or [0, 0, 0])
    batches, codes = [], []
    for i in range(3):
        a, b = scaled(given[f"x_a{i}"]), scaled(given[f"x_b{i}"])
        batches.append(SourceTargetImages(a, label, b) if model.config.adapt else UnpairedImages(a, b))
        codes += [given[f"z_D{i}"], given[f"z_G{i}"]]
    draws = iter(codes)
    model.codes = lambda n: next(draws)
    images = torch.zeros(4, 28, 28, 1, dtype=torch.uint8)
    data = Dataset("none", images, torch.arange(4), tuple("0123"), images)
    made = Trainer(model, Batches(data, model.batch_type, 3, dtype=torch.float64), 10, precision="fp64")
    made.batches = iter(batches)
    for expected in record["steps"]:
        updates = made.updates()
        update = next(updates)
        terms = {name.split(",")[0]: value for name, value in expected["D"].items()}
        assert update.terms["real"].item() == pytest.approx(terms["real"], rel=1e-6)
        assert update.terms["fake"].item() == pytest.approx(terms["fake"], rel=1e-6)
        if model.config.adapt:
            assert update.terms["class"].item() == pytest.approx(10 * terms["class"], rel=1e-6)
            features = 0.01 * terms["feature MSE of the fake pair"]
            assert update.terms["features"].item() == pytest.approx(features, rel=1e-6)
        squares = [p.grad.square().sum() for p in model.discriminator.parameters()]
        assert torch.stack(squares).sum().sqrt().item() == pytest.approx(expected["gradient_norm_D"]["norm"], rel=1e-6)
        assert next(updates).player == "G"
        list(updates)
    for name, network in (("G", model.generator), ("D", model.discriminator)):
        own = torch.cat([parameter.detach().flatten() for parameter in network.parameters()])
        assert own.sum().item() == pytest.approx(record["after_3_steps"][name]["sum"], rel=1e-6)
        assert own.norm().item() == pytest.approx(record["after_3_steps"][name]["norm"], rel=1e-6)


# ---- what is shared ------------------------------------------------------------------------------------------------


def test_shared_tensors_are_one_object_and_counted_once():
    """Known mistake: D shares its first layers, and only its last unit is each domain's own."""
    model = model_of()
    assert len(model.generator.trunks) == len(model.discriminator.trunks) == len(model.discriminator.last) == 1
    assert len(model.generator.last) == len(model.discriminator.first) == 2
    for player in model.players.values():
        assert len({id(parameter) for parameter in player.parameters()}) == len(player.parameters())
    apart = model_of(share=False)
    assert count(apart.generator) == 2 * count(model.generator) - count(model.generator.last)
    assert count(apart.discriminator) == 2 * count(model.discriminator) - count(model.discriminator.first)


def test_a_loss_of_one_domain_reaches_the_shared_layers_and_its_own():
    for share, other in ((True, []), (False, ["trunks.1", "last.1"])):
        model = model_of(share=share)
        a, _ = model.generator(torch.randn(3, 5))
        gradients = torch.autograd.grad(a.sum(), list(model.generator.parameters()), allow_unused=True)
        names = [name for name, _ in model.generator.named_parameters()]
        untouched = {".".join(name.split(".")[:2]) for name, g in zip(names, gradients, strict=True) if g is None}
        assert untouched == set(other) | {"last.1"}
    model = model_of()
    score = model.discriminator.judged(model.discriminator.features(torch.rand(2, 1, 16, 16), 1), 1)
    gradients = torch.autograd.grad(score.sum(), list(model.discriminator.parameters()), allow_unused=True)
    names = [name for name, _ in model.discriminator.named_parameters()]
    assert {name[:7] for name, g in zip(names, gradients, strict=True) if g is None} == {"first.0"}


def test_private_layers_part_ways():
    made = trainer("cogan")
    for layers in (made.model.generator.last, made.model.discriminator.first):
        layers[1].load_state_dict(layers[0].state_dict())
    made.iterate()
    for layers in (made.model.generator.last, made.model.discriminator.first):
        assert not torch.equal(layers[0].weight, layers[1].weight)


def test_both_generators_get_the_same_code():
    model = model_of()
    model.generator.last[1].load_state_dict(model.generator.last[0].state_dict())
    images = model.sample(6, seed=0)
    assert torch.equal(images[0::2], images[1::2])
    assert not torch.equal(images[0], images[2])
    latent = torch.randn(4, 5)
    a, b = model.eval().generator(latent)
    made = model.sample(4, latent=latent)
    assert torch.allclose(made[0], a[0], atol=1e-6)
    assert torch.allclose(made[3], b[3], atol=1e-6)


# ---- the losses ----------------------------------------------------------------------------------------------------


class Scores(nn.Module):
    """D that says the mean of an image of a, and three times that of one of b."""

    def __init__(self) -> None:
        super().__init__()
        self.factors = nn.Parameter(torch.tensor([1.0, 3.0]))

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return torch.cat([self.factors[0] * a.mean((1, 2, 3)), self.factors[1] * b.mean((1, 2, 3))])


class Pair(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.values = nn.Parameter(torch.tensor([0.3, -0.4]))

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        a, b = (value.expand(len(z), 1, 16, 16) for value in self.values)
        return a, b


def test_every_term_in_closed_form():
    """Cross-entropy, one mean over both domains. Known mistake: squared errors."""
    model = model_of()
    model.discriminator, model.generator = Scores(), Pair()
    batch = UnpairedImages(torch.full((2, 1, 16, 16), 0.5), torch.full((2, 1, 16, 16), -0.2))
    (_, d_terms, _), (_, terms) = model.step(iter([batch]))
    assert d_terms["real"].item() == pytest.approx(as_real(torch.tensor([0.5, -0.6])).item(), rel=1e-5)
    assert d_terms["fake"].item() == pytest.approx(as_fake(torch.tensor([0.3, -1.2])).item(), rel=1e-5)
    assert terms["adversarial"].item() == pytest.approx(as_real(torch.tensor([0.3, -1.2])).item(), rel=1e-5)
    d_terms["fake"].backward()
    assert model.generator.values.grad is None
    nn.init.zeros_(model.discriminator.factors)
    (_, d_terms, _), _ = model.step(iter([batch]))
    assert sum(d_terms.values()).item() == pytest.approx(2 * math.log(2))


def test_adapting_terms():
    model = model_of(adapt=True, class_weight=3.0, feature_weight=0.5)
    a, label, b = torch.rand(4, 1, 16, 16), torch.tensor([0, 3, 1, 1]), torch.rand(4, 1, 16, 16)
    codes = torch.randn(4, 5)
    model.codes = lambda n: codes
    _, terms, _ = next(model.step(iter([SourceTargetImages(a, label, b)])))
    D = model.discriminator
    logits = D.class_logits(D.features(a, 0))
    assert terms["class"].item() == pytest.approx(3 * F.cross_entropy(logits, label).item(), rel=1e-5)
    fakes = [image.detach() for image in model.generator(codes)]
    distance = (D.features(fakes[0], 0) - D.features(fakes[1], 1)).square().sum((1, 2, 3)).mean()
    assert terms["features"].item() == pytest.approx(0.5 * distance.item(), rel=1e-4)
    assert torch.allclose(model.class_logits(b), D.class_logits(D.features(b, 1)))
    assert not torch.allclose(model.class_logits(b), D.class_logits(D.features(b, 0)))


def test_labels_of_the_target_change_nothing():
    rows = []
    for which in ("none", "target", "source"):
        made = trainer("cogan", adapt=True)
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


# ---- what it can do ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3, 8, 12), (1, 28, 28), (4, 33, 41)])
def test_images_of_any_size(shape):
    model = registry.create("cogan", shape, width=4, discriminator_width=2, latent_dim=5)
    assert model.sample(3, seed=0).shape == (3, *shape)
    assert model.discriminator(torch.rand(2, *shape), torch.rand(2, *shape)).shape == (4,)


def test_translate_looks_for_the_code_and_shows_the_other_domain():
    """An image of the model's own comes near to its partner; the control is the partner of another code."""
    model = model_of(search_steps=60)
    for parameter in model.generator.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    pairs = model.sample(6, seed=1)
    made = model.translate(pairs[0::2], direction="a2b")
    own = (made - pairs[1::2]).square().mean()
    other = (made - pairs[1::2].roll(1, 0)).square().mean()
    assert own < 0.3 * other, (own, other)
    back = model.project(pairs[1:2], domain="b", starts=4, steps=150)
    assert (back.error < 0.1 * back.random_error).all()


def test_domains_are_shown_and_measured_each_by_itself():
    model = model_of()
    assert model.preview_row == ("a", "b")
    assert model.preview(None).shape == (32, 1, 16, 16)
    data = dataset(model, (1, 16, 16))
    measure = quick_measure(model, data, data)
    assert isinstance(measure, DomainMeasure)
    assert set(measure.quick()) == {"kernel_distance", "a/kernel_distance", "b/kernel_distance"}
    made = trainer("cogan", adapt=True)
    values, _ = evaluate_model(made.model, made.batches.data, made.batches.data, n=40)
    assert 0 <= values["test_accuracy"] <= 1, "of the target"
    assert "b/coverage" in values


def test_what_is_refused():
    refused("2-D points", lambda: registry.create("cogan", (2,)))
    refused("labels of at least two classes", lambda: registry.create("cogan", (1, 16, 16), adapt=True))
    refused("class_weight", lambda: model_of(class_weight=-1.0))
