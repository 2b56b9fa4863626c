"""AC-GAN against its paper: the losses at zero and under their floor, whom each term moves, that G is told the label
and D is not, the networks for CIFAR-10, labels of samples, the classifier, the known mistakes."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium import registry
from synthetic import obeyed, quadrants, refused, trainer, without_terms


def played(made):
    """The terms of D and of G in one step without updates."""
    (_, d_terms, _), (_, g_terms) = made.model.step(made.batches)
    return d_terms, g_terms


def reached(term: Tensor, module: nn.Module) -> bool:
    gradients = torch.autograd.grad(term, list(module.parameters()), allow_unused=True, retain_graph=True)
    return any(gradient is not None and bool((gradient != 0).any()) for gradient in gradients)


# ---- losses --------------------------------------------------------------------------------------------------


def test_values_where_every_output_is_zero():
    """For ten classes 2 ln 2 + 2 ln 10 = 5.9915 and ln 2 + ln 10 = 2.9957."""
    made = trainer("acgan")
    made.model.D = lambda image, steady=False: (torch.zeros(len(image)), torch.zeros(len(image), 10))
    d_terms, g_terms = played(made)
    assert set(d_terms) == {"real", "fake", "class_real", "class_fake"}
    assert set(g_terms) == {"adversarial", "class"}
    assert sum(d_terms.values()).item() == pytest.approx(5.9915, abs=1e-4)
    assert sum(g_terms.values()).item() == pytest.approx(2.9957, abs=1e-4)
    assert d_terms["class_fake"].item() == pytest.approx(math.log(10))


def test_values_at_chosen_outputs():
    """Each term by hand from what D says of the two batches; each label is that of the real in its place."""
    made = trainer("acgan", batch_size=6)
    said = [(torch.randn(6), torch.randn(6, 4)) for _ in range(3)]
    answers = iter(said)
    made.model.D = lambda image, steady=False: next(answers)
    d_terms, g_terms = played(made)
    made.batches.drawn = 0
    label, expected = next(made.batches).label, {}
    rows = torch.arange(6)
    for name, (score, logits), sign in (("real", said[0], -1), ("fake", said[1], 1), ("g", said[2], -1)):
        expected[name] = (1 + (sign * score).exp()).log().mean().item()
        expected[f"class_{name}"] = -(logits.softmax(1)[rows, label]).log().mean().item()
    actual = {k: v.item() for k, v in d_terms.items()}
    actual |= {"g": g_terms["adversarial"].item(), "class_g": g_terms["class"].item()}
    assert actual == pytest.approx(expected, rel=1e-5)


def test_classes_of_reals_are_learned_below_a_tenth_of_a_nat(monkeypatch):
    """In the model's own step. The control, the known mistake of a softmax before the cross-entropy, stays above the
    floor that this has, log(e + K - 1) - 1."""
    lowest, cross_entropy = {}, F.cross_entropy
    for mistaken in (False, True):
        if mistaken:
            monkeypatch.setattr(F, "cross_entropy", lambda logits, label: cross_entropy(logits.softmax(1), label))
        widths = {"generator_width": 8, "discriminator_width": 8, "dropout": 0.0}
        made = quadrants(trainer("acgan", (1, 8, 8), batch_size=32, total=60, lr=2e-3, **widths))
        for _ in made:
            pass
        lowest[mistaken] = min(row["D/class_real"] for row in made.drain().rows)
    assert lowest[False] < 0.1
    assert lowest[True] > math.log(math.e + 3) - 1 - 1e-5


# ---- whom a term moves ---------------------------------------------------------------------------------------


def test_whom_each_term_reaches():
    """In D's step the classes of reals and of fakes move trunk and classifier, and G stays out; in G's step both terms
    move G."""
    made = trainer("acgan")
    model = made.model
    d_terms, g_terms = played(made)
    for name, term in d_terms.items():
        assert reached(term, model.trunk)
        assert reached(term, model.classes) == ("class" in name)
        assert reached(term, model.source) == ("class" not in name)
        assert not reached(term, model.generator)
    assert all(reached(term, model.generator) for term in g_terms.values())


def test_the_heads_share_the_whole_trunk():
    model, calls = trainer("acgan").model, []
    model.trunk.register_forward_hook(lambda *args: calls.append(1))
    score, logits = model.D(torch.randn(5, 1, 16, 16))
    assert (len(calls), score.shape, logits.shape) == (1, (5,), (5, 4))


# ---- labels --------------------------------------------------------------------------------------------------


def test_d_is_not_told_the_label():
    """Other labels change the terms of the classes and nothing else of D: no label goes in."""
    actual = []
    for turn in (0, 1):
        made = trainer("acgan", batch_size=6)
        made.batches.labels = made.batches.labels.roll(turn)
        fake = torch.rand(6, 1, 16, 16, generator=torch.Generator().manual_seed(0))
        made.model.generate = lambda n, label=None, fake=fake: fake
        torch.manual_seed(0)
        actual.append({k: v.item() for k, v in next(made.model.step(made.batches))[1].items()})
    changed = {name for name in actual[0] if actual[0][name] != actual[1][name]}
    assert changed == {"class_real", "class_fake"}


def test_g_is_told_the_label_that_is_asked_of_its_image():
    made, told = trainer("acgan", batch_size=6), []
    model, generate = made.model, made.model.generate
    model.generate = lambda n, label=None: told.append(label) or generate(n, label=label)
    for _ in model.step(made.batches):
        pass
    made.batches.drawn = 0
    label = next(made.batches).label
    assert len(told) == 2
    assert all(torch.equal(given, label) for given in told)


def test_noise_and_label_do_not_mix():
    """Known mistake: the label as a factor of z, which at z = 0 makes all classes one."""
    model = trainer("acgan").model.eval()
    z, label = torch.zeros(2, 8), torch.tensor([0, 1])
    one, other = model.generate(2, z, label)
    assert (one - other).abs().max() > 1e-4
    factors = torch.randn(4, 12)
    one, other = model.generator.body(torch.zeros(2, 12) * factors[label])
    assert (one - other).abs().max() < 1e-6


def test_labels_of_samples():
    model = trainer("acgan").model
    same = [model.sample(8, seed=0, label=k) for k in (0, 1, [1] * 8)]
    assert not torch.equal(same[0], same[1])
    assert torch.equal(same[1], same[2])
    assert model.sample(8, seed=0).shape == (8, 1, 16, 16)
    refused("label must be a class from 0 to 3", lambda: model.sample(8, label=4))


def test_bad_options_and_data():
    refused("no labels", lambda: registry.create("acgan", (1, 16, 16), None))
    refused("2-D points", lambda: registry.create("acgan", (2,), 4))
    refused("dropout", lambda: registry.create("acgan", (1, 16, 16), 4, dropout=1.0))
    refused("generator_width", lambda: registry.create("acgan", (1, 16, 16), 4, generator_width=0))


# ---- networks and numbers ------------------------------------------------------------------------------------


def test_networks_for_cifar():
    model = registry.create("acgan", (3, 32, 32), 10)
    G, D = model.generator.body, model.trunk
    assert (G.project.in_features, G.start) == (110, (384, 4, 4))
    up = [(m.in_channels, m.out_channels, m.kernel_size, m.stride) for m in G.layers if hasattr(m, "output_padding")]
    assert up == [(384, 192, (5, 5), (2, 2)), (192, 96, (5, 5), (2, 2)), (96, 3, (5, 5), (2, 2))]
    down = [m for m in D.modules() if isinstance(m, nn.Conv2d)]
    assert [m.out_channels for m in down] == [16, 32, 64, 128, 256, 512]
    assert [m.stride[0] for m in down] == [2, 1, 2, 1, 2, 1]
    assert {m.kernel_size for m in down} == {(3, 3)}
    normed = [any(isinstance(m, nn.BatchNorm2d) for m in block) for block in D.blocks]
    assert normed == [False] + [True] * 5
    assert {m.negative_slope for m in D.modules() if isinstance(m, nn.LeakyReLU)} == {0.2}
    assert (D.dropout, model.source.in_features, model.classes.out_features) == (0.5, 512 * 4 * 4, 10)
    assert not [m for m in model.modules() if isinstance(m, nn.Softmax | nn.LogSoftmax | nn.Sigmoid)]
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert all(m.eps == 1e-5 for m in norms)
    for m in [*down, G.project, model.classes]:
        assert m.weight.std().item() == pytest.approx(0.02, rel=0.25)


def test_numbers():
    made = trainer("acgan")
    assert made.model.batch_size == 100
    for moved in made.players.values():
        assert isinstance(moved.optimizer, torch.optim.Adam)
        assert {(group["lr"], group["betas"]) for group in moved.optimizer.param_groups} == {(2e-4, (0.5, 0.999))}
    z = made.model.latent(5000)
    assert (z.mean().item(), z.std().item()) == pytest.approx((0, 1), abs=0.02)


def test_dropout_rests_while_g_is_trained():
    """Known mistake: an image of G judged by chance. In D's step there is dropout, which the control shows."""
    made, actual = trainer("acgan", batch_size=6), []
    model = made.model
    fake = torch.rand(6, 1, 16, 16) * 2 - 1
    model.generate = lambda n, label=None: fake
    for _ in range(2):
        made.batches.drawn = 0
        d_terms, g_terms = played(made)
        actual.append((d_terms["fake"].item(), g_terms["adversarial"].item()))
    assert actual[0][1] == actual[1][1]
    assert actual[0][0] != actual[1][0]


def test_classifying_reads_the_classes_without_dropout():
    model = trainer("acgan").model
    x = torch.rand(6, 1, 16, 16) * 2 - 1
    odds = model.probabilities(x)
    assert torch.equal(odds, model.probabilities(x))
    model.eval()
    with torch.no_grad():
        assert torch.allclose(odds, model.D(x)[1].softmax(1))
    assert torch.equal(model.classify(x), odds.argmax(1))


# ---- learning ------------------------------------------------------------------------------------------------


def learned(without: str = "", shuffled: bool = False) -> tuple[float, float]:
    """The share of samples that obey their label, and of reals that D names rightly, after some steps; `without` one
    of the terms."""
    options = {"generator_width": 8, "lr": 2e-3}
    made = quadrants(trainer("acgan", (1, 8, 8), batch_size=32, total=120, **options), shuffled=shuffled)
    for _ in without_terms(made, without):
        pass
    model = made.model
    real, label = made.batches.draw(64)
    return obeyed(model), (model.classify(real) == label).double().mean().item()


def test_images_obey_their_label():
    """The controls: G without the classes obeys no label; D without those of reals gives labels an order of its own,
    which by chance is right for none, one or two of the four."""
    obedience, accuracy = learned()
    assert obedience >= 0.7
    assert accuracy >= 0.9
    assert learned(without="class")[0] <= 0.45
    assert learned(without="class_real")[1] <= 0.7
