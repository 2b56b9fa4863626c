"""The conditional GAN against its paper: the losses of the three designs, who is told which label, the discriminators
with a known optimum, the networks and numbers, labels of samples, the known mistakes."""

import math

import pytest
import torch
from torch import Tensor, nn

from ganarium import registry
from ganarium.data.batches import Batches
from ganarium.data.dataset import Dataset, LabelledImages
from ganarium.layers.maxout import Maxout, MaxoutDiscriminator
from ganarium.losses import as_fake, as_real
from synthetic import obeyed, quadrants, refused, trainer

LN2 = math.log(2)
DESIGNS = ["joint", "two_networks", "projection"]


class Given(nn.Module):
    """Gives these scores, one call after another, and keeps what it was asked."""

    def __init__(self, *scores: float) -> None:
        super().__init__()
        self.scores = [torch.tensor(score, requires_grad=True) for score in scores]
        self.asked: list[tuple[Tensor, Tensor | None]] = []

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        score = self.scores[len(self.asked)]
        self.asked.append((x, None if label is None else label.argmax(1)))
        return score.expand(len(x))


class Table(nn.Module):
    """A discriminator of symbols 0, 1, ... with labels: a score for each pair."""

    def __init__(self, values: Tensor) -> None:
        super().__init__()
        self.score = nn.Parameter(values)

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        return self.score[x[:, 0].long(), 0 if label is None else label.argmax(1)]


def played(scores: list[float], quality: list[float] | None = None):
    """The terms of both players at these scores, what the networks were asked, and the labels that G was given."""
    made = trainer("cgan", batch_size=6, design="two_networks" if quality else "joint")
    model, told = made.model, []
    generate = model.generate
    model.generate = lambda n, label=None: told.append(label) or generate(n, label=label)
    model.discriminator = Given(*scores)
    if quality:
        model.quality = Given(*quality)
    (_, d_terms, seen), (_, g_terms) = model.step(made.batches)
    return made, d_terms, g_terms, seen, told


# ---- losses --------------------------------------------------------------------------------------------------


def test_values_at_zero():
    """Cross-entropy: 2 ln 2 and ln 2. Known mistake: squares of raw scores, a least squares GAN under this name, 1."""
    _, d_terms, g_terms, _, _ = played([0.0, 0.0, 0.0])
    assert {k: v.item() for k, v in d_terms.items()} == pytest.approx({"real": LN2, "fake": LN2})
    assert {k: v.item() for k, v in g_terms.items()} == pytest.approx({"adversarial": LN2})


def test_values_of_two_networks():
    """At scores chosen by hand; real pairs that match count once, the two kinds that do not half each."""
    sp = [torch.nn.functional.softplus(torch.tensor(s)).item() for s in (-1.0, 2.0, 3.0, -0.5, 0.25, -4.0, -5.0)]
    _, d_terms, g_terms, seen, _ = played([1.0, 2.0, 3.0, 4.0], [0.5, 0.25, 5.0])
    match = {"match": sp[0], "mismatch": 0.5 * sp[2] + 0.5 * sp[1]}
    assert {k: v.item() for k, v in d_terms.items()} == pytest.approx(match | {"real": sp[3], "fake": sp[4]})
    assert {k: v.item() for k, v in g_terms.items()} == pytest.approx({"adversarial": sp[5], "quality": sp[6]})
    assert (seen["real"][0].item(), seen["fake"][0].item()) == (0.5, 0.25)
    _, d_terms, g_terms, _, _ = played([0.0] * 4, [0.0] * 3)
    assert sum(d_terms.values()).item() == pytest.approx(4 * LN2)
    assert sum(g_terms.values()).item() == pytest.approx(2 * LN2)


# ---- who is told what ----------------------------------------------------------------------------------------


def test_pairs_of_sample_and_label():
    """D sees a real with its own label and a fake with the label that G was given, in both steps."""
    made, _, _, _, told = played([0.0, 0.0, 0.0])
    made.batches.drawn -= len(told[0])  # back to the step's own batch
    real, label = next(made.batches)
    asked = made.model.discriminator.asked
    assert len(asked) == 3
    assert torch.equal(asked[0][0], real)
    assert all(torch.equal(given, label) for given in told)
    assert all(torch.equal(judged, label) for _, judged in asked)
    assert not torch.equal(asked[1][0], asked[2][0])  # a fresh fake for G


def test_pairs_of_two_networks():
    """Known mistake: no real pair that does not match."""
    made, _, _, _, told = played([0.0] * 4, [0.0] * 3)
    made.batches.drawn -= len(told[0])
    real, label = next(made.batches)
    (_, own), (fake, of_fake), (again, wrong), _ = made.model.discriminator.asked
    assert torch.equal(own, label)
    assert torch.equal(of_fake, label)
    assert torch.equal(again, real)
    assert not torch.equal(fake, real)
    assert (wrong != label).all()
    assert all(judged is None for _, judged in made.model.quality.asked)


def test_another_label_is_any_other():
    model = registry.create("cgan", (2,), 4)
    label = torch.arange(4).repeat(1000)
    counts = torch.bincount(4 * label + model.another(label), minlength=16).view(4, 4)
    assert (counts.diagonal() == 0).all()
    assert (counts + 1000 * torch.eye(4) > 250).all()


@pytest.mark.parametrize("design", DESIGNS)
def test_d_does_not_reach_g(design):
    made = trainer("cgan", design=design, network="mlp")
    sum(next(made.model.step(made.batches))[1].values()).backward()
    assert all(p.grad is None for p in made.model.generator.parameters())


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("joining", ["concatenation", "product"])
@pytest.mark.parametrize("shape", [(1, 16, 16), (2,)])
def test_the_label_reaches_both_networks(design, joining, shape):
    torch.manual_seed(0)
    model = registry.create("cgan", shape, 4, design=design, joining=joining, width=48, dropout=0.0).eval()
    label = torch.tensor([0, 1])
    x, z = torch.randn(1, *shape).repeat(2, *[1] * len(shape)), model.latent(1).repeat(2, 1)

    def apart(pair: Tensor) -> bool:
        return bool((pair[0] - pair[1]).abs().max() > 1e-4 * pair.abs().max())

    assert apart(model.D(x, label))
    assert apart(model.generate(2, z, label))
    assert not apart(model.D(x, label[[0, 0]]))  # control
    assert not apart(model.generate(2, z, label[[0, 0]]))


# ---- known optima --------------------------------------------------------------------------------------------

REAL = [(0, 0)] * 3 + [(0, 1)] + [(1, 1)] * 2 + [(1, 0)] * 2  # symbols with their labels
FAKE = [0, 1, 1, 1, 0, 1, 1, 0]  # G's symbols for those labels


def at_table(values: Tensor, design: str = "joint"):
    """The terms of D where its scores are this table; the model."""
    model = registry.create("cgan", (2,), 2, design=design)
    model.discriminator = Table(values)
    if design == "two_networks":
        model.quality = Table(torch.zeros(2, 1))
    symbol, label = torch.tensor(REAL).T
    model.generate = lambda n, label=None: torch.tensor(FAKE)[:, None].float()
    return next(model.step(iter([LabelledImages(symbol[:, None].float(), label)])))[1], model


def counts(symbol: list[int], label: list[int]) -> Tensor:
    return torch.bincount(2 * torch.tensor(symbol) + torch.tensor(label), minlength=4).view(2, 2).float()


def test_the_best_discriminator_of_pairs():
    """log p(x, y) / q(x, y): the gradient of D's loss there is 0 in every cell; that of least squares is not."""
    label = [y for _, y in REAL]
    p, q = counts([x for x, _ in REAL], label), counts(FAKE, label)
    terms, model = at_table((p / q).log())
    (gradient,) = torch.autograd.grad(sum(terms.values()), model.discriminator.score)
    assert gradient.abs().max() < 1e-6
    score = (p / q).log().requires_grad_()
    (mistaken,) = torch.autograd.grad((p * (score - 1).square() + q * score.square()).sum() / 8, score)
    assert mistaken.abs().max() > 0.1


def test_a_pair_that_never_occurs_is_pushed_down():
    """Real symbols are their labels, and so are fakes: only the pairs with another label tell D that 0 is no 1. Without
    them (the control) D learns nothing of it, and at 0 is already content."""
    model = registry.create("cgan", (2,), 2, design="two_networks")
    model.discriminator, model.quality = Table(torch.zeros(2, 2)), Table(torch.zeros(2, 1))
    label = torch.tensor([0, 1] * 4)
    model.generate = lambda n, label=None: label[:, None].float()
    _, terms, _ = next(model.step(iter([LabelledImages(label[:, None].float(), label)])))
    (gradient,) = torch.autograd.grad(terms["match"] + terms["mismatch"], model.discriminator.score)
    assert (gradient[[0, 1], [1, 0]] > 0.1).all()
    assert (gradient[[0, 1], [0, 1]] < -0.05).all()
    score = torch.zeros(2, 2, requires_grad=True)
    pairs = score[label, label]
    (control,) = torch.autograd.grad(as_real(pairs) + as_fake(pairs), score)
    assert (control == 0).all()


# ---- networks and numbers ------------------------------------------------------------------------------------


def test_perceptrons_of_the_paper():
    model = registry.create("cgan", (1, 28, 28), 10)
    G, D = model.generator, model.discriminator
    dense = [(m.in_features, m.out_features) for m in (G.noise, G.label, G.joint, G.last)]
    assert dense == [(100, 200), (10, 1000), (1200, 1200), (1200, 784)]
    maxout = [
        (m.linear.in_features, m.units, m.linear.out_features // m.units) for m in D.modules() if type(m) is Maxout
    ]
    assert maxout == [(784, 240, 5), (10, 50, 5), (290, 240, 4)]
    assert {m.p for m in model.modules() if isinstance(m, nn.Dropout)} == {0.5}
    assert not [m for m in model.modules() if isinstance(m, nn.Sigmoid | nn.BatchNorm1d)]  # scores are raw
    assert model.batch_size == 100


def test_both_networks_of_two_follow_width_and_dropout():
    for options, size, shares in (({}, 240, {0.2, 0.5}), ({"width": 600, "dropout": 0.25}, 120, {0.1, 0.25})):
        quality = registry.create("cgan", (1, 28, 28), 10, design="two_networks", **options).quality
        assert isinstance(quality, MaxoutDiscriminator)
        maxout = [(m.linear.in_features, m.units) for m in quality.modules() if type(m) is Maxout]
        assert maxout == [(784, size), (size, size)]
        assert {m.p for m in quality.modules() if isinstance(m, nn.Dropout)} == shares


def test_schedule_of_the_paper():
    made = trainer("cgan", total=100)
    for moved in made.players.values():
        assert isinstance(moved.optimizer, torch.optim.SGD)
        for iteration, lr, momentum in ((0, 0.1, 0.5), (50, 0.1 / 1.00004**50, 0.6), (10**9, 1e-6, None)):
            moved.set_numbers(iteration, 100)
            (group,) = moved.optimizer.param_groups
            assert group["lr"] == pytest.approx(lr)
            assert momentum is None or group["momentum"] == pytest.approx(momentum)


@pytest.mark.parametrize(
    ("shape", "options", "lr", "beta2", "norms"),
    [
        ((1, 16, 16), {"network": "dcgan"}, 2e-4, 0.999, "batch"),
        ((1, 16, 16), {"design": "projection"}, 2e-4, 0.999, "spectral"),
        ((1, 16, 16), {"joining": "product"}, 2e-4, 0.999, "batch"),
        ((1, 16, 16), {"network": "mlp"}, 2e-4, 0.999, None),
        ((2,), {}, 1e-3, 0.9, None),
    ],
)
def test_numbers_of_other_networks(shape, options, lr, beta2, norms):
    made = trainer("cgan", shape, **options)
    for moved in made.players.values():
        (group,) = moved.optimizer.param_groups
        assert isinstance(moved.optimizer, torch.optim.Adam)
        assert (group["lr"], group["betas"]) == (lr, (0.5, beta2))
    kinds = {type(m).__name__ for m in made.model.discriminator.modules()}
    assert ("BatchNorm2d" in kinds) == (norms == "batch")
    assert any("Parametrized" in kind for kind in kinds) == (norms == "spectral")


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("network", ["auto", "mlp", "dcgan", "resnet"])
def test_every_network_learns_in_every_design(design, network):
    for joining in ("concatenation", "product"):
        made = trainer("cgan", design=design, network=network, joining=joining, width=48 if network == "auto" else 4)
        before = {name: value.clone() for name, value in made.model.named_parameters()}
        for done in made:
            if done == 6:
                break
        made.drain()
        rested = [name for name, value in made.model.named_parameters() if torch.equal(value, before[name])]
        assert rested == []


def test_samples_are_made_without_dropout_or_batch():
    """Known mistake: sampling in the mode of training."""
    made = trainer("cgan")
    made.iterate()
    z = made.model.latent(5)
    together = made.model.sample(5, latent=z, label=1)
    assert torch.allclose(made.model.sample(1, latent=z[:1], label=1), together[:1], atol=1e-6)
    made.model.sample_mode = "train"
    assert not torch.allclose(made.model.sample(1, latent=z[:1], label=1), together[:1], atol=1e-6)


def test_labels_of_samples():
    model = trainer("cgan").model
    same = [model.sample(8, seed=0, label=k) for k in (0, 1, [1] * 8)]
    assert not torch.equal(same[0], same[1])
    assert torch.equal(same[1], same[2])
    assert model.sample(8, seed=0).shape == (8, 1, 16, 16)
    refused("label must be a class from 0 to 3", lambda: model.sample(8, label=4))
    refused("does not classify", lambda: model.classify(torch.zeros(1, 16, 16)))


def test_bad_options_and_data():
    for shape in ((1, 16, 16), (2,)):
        refused("no labels", lambda shape=shape: registry.create("cgan", shape, None))
    refused("no normalisation ... --network", lambda: registry.create("cgan", (1, 16, 16), 4, norm="batch"))
    refused("no dcgan for 2-D points", lambda: registry.create("cgan", (2,), 4, network="dcgan"))
    refused("dropout", lambda: registry.create("cgan", (2,), 4, dropout=1.0))
    refused("lr", lambda: registry.create("cgan", (2,), 4, lr=-1.0))


# ---- learning ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("way", [*DESIGNS, "product"])
def test_images_obey_their_label(way, shuffled):
    """In every design, and for a product. Chosen on seeds 100 and 101: 1.0, and at most 0.25 where the labels of reals
    are shuffled (the control)."""
    options = {"network": "dcgan", "width": 8, "lr": 2e-3, "joining" if way == "product" else "design": way}
    made = quadrants(trainer("cgan", (1, 8, 8), batch_size=32, total=400, **options), shuffled=shuffled)
    for _ in made:
        pass
    assert obeyed(made.model) <= 0.5 if shuffled else obeyed(made.model) >= 0.7


def test_noise():
    """On [0, 1] for a product: a z with both signs hides that of the embedding, and with it most of the label.
    Otherwise around 0, far from which G soon makes one image of all z, and in the paper's perceptrons of variance 1."""
    wide = 3**0.5
    for options, low, high in (({}, -wide, wide), ({"joining": "product"}, 0, 1), ({"network": "dcgan"}, -1, 1)):
        z = registry.create("cgan", (1, 16, 16), 4, **options).latent(1000)
        assert z.shape == (1000, 100)
        assert low <= z.min() < low + 0.001 < high - 0.001 < z.max() <= high


def test_perceptrons_begin_as_those_of_the_released_gan():
    for design, networks in (("joint", 2), ("two_networks", 3)):
        model = registry.create("cgan", (1, 28, 28), 10, design=design)
        bounds = [(model.generator, 0.05), (model.discriminator, 0.005), (model.quality, 0.005)][:networks]
        for network, bound in bounds:
            for layer in network.modules():
                if isinstance(layer, nn.Linear):
                    assert 0.9 * bound < layer.weight.abs().max() <= bound
                    assert not layer.bias.any()
    D = registry.create("cgan", (1, 28, 28), 10, network="mlp").discriminator
    assert any(layer.bias.any() for layer in D.modules() if isinstance(layer, nn.Linear))


def test_perceptrons_start_at_the_mean_of_the_data():
    """Else D tells fakes by their grey alone, and often its scores run away, at 32x32 within 600 iterations."""
    images = torch.full((40, 16, 16, 1), 20, dtype=torch.uint8)
    images[:, 4:12, 4:12] = 200
    data = Dataset("square", images, torch.arange(40) % 4, tuple("abcd"))
    for options, moved in (({"width": 24}, {"generator.last.bias"}), ({"network": "dcgan", "width": 4}, set())):
        model = registry.create("cgan", (1, 16, 16), 4, **options)
        before = {key: value.clone() for key, value in model.state_dict().items()}
        model.prepare(Batches(data, model.batch_type, 8))
        assert {key for key, value in model.state_dict().items() if not torch.equal(value, before[key])} == moved
        if moved:
            nn.init.zeros_(model.generator.last.weight)
            wanted = (images[:4, None, :, :, 0] / 127.5 - 1).expand(4, 1, 16, 16)
            torch.testing.assert_close(model.generate(4), wanted, atol=1e-3, rtol=0)
