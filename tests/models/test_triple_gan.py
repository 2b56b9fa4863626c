"""Triple-GAN against its paper: the three losses at chosen scores, which network each of them moves, where the labels
come from, the two phases, the released networks and settings, the known mistakes."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium import registry
from ganarium.data.dataset import PartlyLabelledImages
from ganarium.layers.gaussian_noise import GaussianNoise
from ganarium.layers.weight_norm import WeightNormed
from ganarium.networks.triple_gan import Discriminator
from ganarium.trainer import Trainer
from synthetic import refused, trainer

LOG2 = math.log(2)


class Judge(nn.Module):
    """A discriminator that scores pairs by a function; the pairs are kept."""

    def __init__(self, score) -> None:
        super().__init__()
        self.score, self.seen = score, []

    def forward(self, image: Tensor, label: Tensor) -> Tensor:
        self.seen.append((image, label))
        return self.score(image, label) + 0 * image.flatten(1).sum(1)


class Namer(nn.Module):
    """A classifier that gives every image of a kind these logits; what it is shown is kept."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits, self.shown, self.last = nn.Parameter(logits), [], nn.Linear(1, 1)

    def forward(self, image: Tensor) -> Tensor:
        self.shown.append(image)
        return self.logits.expand(len(image), -1) + 0 * image.flatten(1).sum(1, keepdim=True)


def made(**options) -> Trainer:
    return trainer("triple_gan", (1, 8, 8), **options)


def terms(trained: Trainer) -> dict[str, dict[str, Tensor]]:
    """The terms of every player in one step."""
    return {item[0]: item[1] for item in trained.model.step(trained.batches)}


def constant(value: float):
    return lambda image, label: image.new_full((len(image),), value)


# ---- the losses --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("assumed", [0, 2])
def test_values_at_zero_scores(assumed):
    """D 2 log 2, G 0.5 log 2; of an even C: cross-entropy log K, entropy log K, evenness log K, A log 2 / K."""
    trained = made(pseudo_start=0, num_assumed=assumed)
    trained.model.discriminator, trained.model.classifier = Judge(constant(0.0)), Namer(torch.zeros(4))
    actual = terms(trained)
    assert list(actual) == ["D", "C", "G"]
    assert sum(actual["D"].values()).item() == pytest.approx(2 * LOG2, rel=1e-6)
    assert actual["G"]["adversarial"].item() == pytest.approx(0.5 * LOG2, rel=1e-6)
    expected = {"labelled": 1.0, "entropy": 0.3, "balance": 1e-3, "pseudo": 0.1}
    assert {name: actual["C"][name].item() for name in expected} == pytest.approx(
        {name: weight * math.log(4) for name, weight in expected.items()}, rel=1e-5
    )
    assert actual["C"]["adversarial"].item() == pytest.approx(0.5 * LOG2 / 4, rel=1e-5)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_d_refuses_both_by_their_shares(alpha):
    """Scores that tell the three kinds of pair apart: real 1, C's 2, G's -3."""
    trained = made(alpha=alpha)
    scores = iter([1.0, 2.0, -3.0])
    trained.model.discriminator = Judge(lambda image, label: image.new_full((len(image),), next(scores)))
    player, actual, seen = next(trained.model.step(trained.batches))
    softplus = {value: math.log1p(math.exp(value)) for value in (-1.0, 2.0, -3.0)}
    assert player == "D"
    assert actual["real"].item() == pytest.approx(softplus[-1.0], rel=1e-6)
    assert actual["classifier"].item() == pytest.approx(alpha * softplus[2.0], rel=1e-6)
    assert actual["fake"].item() == pytest.approx((1 - alpha) * softplus[-3.0], rel=1e-6)
    assert seen["real"].unique().item() == 1
    assert seen["fake"].unique().item() == -3


@pytest.mark.parametrize("adversarial", ["argmax", "exact"])
def test_a_in_numbers(adversarial):
    """p_c = (0.6, 0.3, 0.1, 0), and D's score of label y is y - 1."""
    trained = made(adversarial=adversarial)
    p = torch.tensor([0.6, 0.3, 0.1, 1e-30])
    trained.model.discriminator = Judge(lambda image, label: label - 1.0)
    cost = F.softplus(-(torch.arange(4) - 1.0))
    expected = (p * cost).sum() if adversarial == "exact" else p[0] * cost[0]
    actual = trained.model.doubt(torch.zeros(5, 1, 8, 8), p.log().repeat(5, 1))
    assert actual.item() == pytest.approx(expected.item(), rel=1e-5)


def test_both_forms_of_a_agree_where_c_is_certain():
    values = []
    for adversarial in ("argmax", "exact"):
        trained = made(adversarial=adversarial)
        torch.manual_seed(0)
        image, label = torch.rand(6, 1, 8, 8), torch.tensor([0, 1, 2, 3, 0, 1])
        trained.model.discriminator.eval()
        log_p = (200.0 * F.one_hot(label, 4)).log_softmax(1)
        values.append(trained.model.doubt(image, log_p).item())
    assert values[0] == pytest.approx(values[1], rel=1e-5)
    assert values[0] > 0


def test_each_label_is_judged_with_its_own_image():
    """Exact A shows D every image K times, each with every label once."""
    trained = made(adversarial="exact")
    trained.model.discriminator = judge = Judge(constant(0.0))
    image = torch.arange(3.0)[:, None, None, None].expand(3, 1, 8, 8)
    trained.model.doubt(image, torch.zeros(3, 4))
    (seen, label), *_ = judge.seen
    assert seen[:, 0, 0, 0].tolist() == [0.0] * 4 + [1.0] * 4 + [2.0] * 4
    assert label.tolist() == [0, 1, 2, 3] * 3


@pytest.mark.parametrize("adversarial", ["argmax", "exact"])
def test_gradient_of_a_is_through_the_chances_alone(adversarial):
    """To C's logits, as p_c's derivative says; to D and to the image nothing. C learns away from what D refuses."""
    trained = made(adversarial=adversarial)
    D = trained.model.discriminator.eval()
    image = torch.rand(6, 1, 8, 8, requires_grad=True)
    torch.manual_seed(0)
    logits = torch.randn(6, 4, requires_grad=True)
    trained.model.doubt(image, logits.log_softmax(1)).backward()
    assert image.grad is None
    assert all(p.grad is None for p in D.parameters())
    with torch.no_grad():
        p = logits.softmax(1)
        cost = F.softplus(-torch.stack([D(image, torch.full((6,), k)) for k in range(4)], 1))
        if adversarial == "argmax":
            cost = cost * F.one_hot(p.argmax(1), 4)
        expected = p * (cost - (p * cost).sum(1, keepdim=True)) / 6
    torch.testing.assert_close(logits.grad, expected)
    assert logits.grad.abs().max() > 0


def test_regularisers_in_numbers():
    """p_c = (1, 0) for half of the images and (1/2, 1/2) for the others: entropy log 2 / 2, mean (3/4, 1/4)."""
    model = made(entropy_weight=2.0).model
    log_p = torch.tensor([[80.0, 0.0], [0.0, 0.0]]).repeat(3, 1).log_softmax(1)
    model.classifier = Namer(torch.tensor([0.0, 0.0]))
    actual = model.own_terms(torch.zeros(4, 1, 8, 8), torch.tensor([0, 1, 0, 1]), log_p, 0.5)
    assert actual["entropy"].item() == pytest.approx(2 * LOG2 / 2, rel=1e-5)
    uneven = -(math.log(0.75) + math.log(0.25)) / 2
    assert actual["balance"].item() == pytest.approx(0.5 * uneven, rel=1e-5)
    assert actual["labelled"].item() == pytest.approx(LOG2, rel=1e-6)


def test_certain_answers_have_finite_gradients():
    model = made().model
    logits = (1e4 * torch.eye(4)[:1].repeat(6, 1)).requires_grad_()  # one class alone: the mean of the others is 0
    log_p = logits.log_softmax(1)
    actual = model.own_terms(torch.zeros(4, 1, 8, 8), torch.zeros(4, dtype=torch.int64), log_p, 0.3)
    assert all(value.isfinite() for value in actual.values())
    (actual["entropy"] + actual["balance"]).backward()
    assert logits.grad.isfinite().all()
    assert logits.detach().softmax(1).mean(0).log().isinf().any()  # the mistaken form


def test_the_labelled_can_be_learnt():
    """No softmax before the cross-entropy, which would never fall below log(e + K - 1) - 1 = 0.7437 for 4 classes."""
    options = {"num_pretraining_steps": 200, "classifier_width": 8, "entropy_weight": 0.0}
    trained = trainer("triple_gan", (1, 16, 16), total=80, **options)
    for layer in trained.model.classifier.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    for group in trained.players["C"].optimizer.param_groups:
        group["lr"] = 1e-2
    trained.players["C"].set_numbers = lambda *numbers: None  # the schedule's rate is for longer runs
    for _ in trained:
        pass
    losses = [row["C/labelled"] for row in trained.drain().rows]
    assert min(losses) < 0.1 < math.log(math.e + 3) - 1


# ---- what goes where ---------------------------------------------------------------------------------------------


def test_gradients_of_each_player():
    """No term of D or C reaches another network: R_P does not move G, which would make it an ACGAN."""
    trained = made(pseudo_start=0)
    model = trained.model
    networks = {"D": model.discriminator, "C": model.classifier, "G": model.generator}
    for player, actual, *_ in model.step(trained.batches):
        model.zero_grad()
        sum(actual.values()).backward()
        reached = {name for name, part in networks.items() if any(p.grad is not None for p in part.parameters())}
        assert reached == ({"D", "G"} if player == "G" else {player})


def test_d_sees_pairs_of_three_kinds():
    """The labels of real pairs are the data's and C's, those of C's pairs its own, those of G's what G was told."""
    trained = made(num_assumed=2, batch_size=5)
    model, told = trained.model, []
    generate = model.generate
    model.generate = lambda n, label=None: told.append((generate(n, label=label), label)) or told[-1][0]
    model.discriminator = judge = Judge(constant(0.0))
    model.classifier = Namer(torch.tensor([0.0, 0.0, 9.0, 0.0]))
    start = trained.batches.drawn
    next(model.step(trained.batches))
    trained.batches.drawn = start
    _, _, unlabelled = next(trained.batches)
    image, label, assumed = trained.batches.draw(10)
    (real, label_real), (own, label_own), (fake, label_fake) = judge.seen
    assert torch.equal(real, torch.cat([image[:1], assumed]))
    assert label_real.tolist() == [label[0].item(), *[2] * 10]
    assert torch.equal(own, unlabelled)
    assert label_own.tolist() == [2] * 5
    assert len(told) == 1
    assert torch.equal(fake, told[0][0])
    assert torch.equal(label_fake, told[0][1])
    assert len(fake) == 10


class Reader(nn.Module):
    """A classifier whose answer is another one for every image."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(64, 4, generator=torch.Generator().manual_seed(0)))
        self.last = nn.Linear(1, 1)

    def forward(self, image: Tensor) -> Tensor:
        return image.flatten(1) @ self.weight


def test_every_image_is_judged_with_its_own_label():
    """A Namer and a Judge that answer alike for all images hide pairings. D's real pairs and C's pairs carry C's answer
    to that very image, A is about C's likeliest label of that image, and G's step judges the labels that it drew."""
    trained = made(num_assumed=2, batch_size=12, pseudo_start=0)
    model, told = trained.model, []
    generate = model.generate
    model.generate = lambda n, label=None: told.append((generate(n, label=label), label)) or told[-1][0]
    model.discriminator, model.classifier = judge, reader = Judge(lambda image, label: label - 1.0), Reader()
    start = trained.batches.drawn
    actual = terms(trained)
    trained.batches.drawn = start
    _, _, unlabelled = next(trained.batches)
    _, label, assumed = trained.batches.draw(24)
    with torch.no_grad():
        of_assumed, log_p = reader(assumed).argmax(1), reader(unlabelled).log_softmax(1)
    answers = log_p.argmax(1)
    assert min(len(of_assumed.unique()), len(answers.unique()), len(label.unique())) > 2, "else nothing is tested"
    real, own, _, believed, last = judge.seen
    assert torch.equal(real[0][1:], assumed)
    assert real[1].tolist() == [label[0].item(), *of_assumed.tolist()]
    for images, labels in (own, believed):
        assert torch.equal(images, unlabelled)
        assert torch.equal(labels, answers)
    chance = log_p.exp().amax(1)
    assert actual["C"]["adversarial"].item() == pytest.approx(0.5 * (chance * F.softplus(1.0 - answers)).mean().item())
    (_, _), (shown, named), (fake, drawn) = told
    log_p = reader(shown).log_softmax(1)
    assert actual["C"]["pseudo"].item() == pytest.approx(-0.1 * log_p[torch.arange(12), named].mean().item(), rel=1e-5)
    assert len(drawn.unique()) == 4
    assert torch.equal(last[0], fake)
    assert torch.equal(last[1], drawn)
    assert actual["G"]["adversarial"].item() == pytest.approx(0.5 * F.softplus(1.0 - drawn).mean().item())


def test_without_assumed_pairs_d_takes_labelled_ones_for_real():
    trained = made(num_assumed=0, batch_size=5)
    trained.model.discriminator = judge = Judge(constant(0.0))
    start = trained.batches.drawn
    next(trained.model.step(trained.batches))
    assert trained.batches.drawn == start + 5
    trained.batches.drawn = start
    image, label, _ = next(trained.batches)
    assert torch.equal(judge.seen[0][0], image)
    assert torch.equal(judge.seen[0][1], label)


def test_c_learns_from_images_of_g_with_the_labels_that_g_was_told():
    trained = made(pseudo_start=0, batch_size=5)
    model, told = trained.model, []
    generate = model.generate
    model.generate = lambda n, label=None: told.append((generate(n, label=label), label)) or told[-1][0]
    model.classifier = namer = Namer(torch.tensor([0.0, 1.0, 2.0, 3.0]))
    actual = terms(trained)["C"]
    (_, _), (fake, label), _ = told
    assert torch.equal(namer.shown[-1], fake)
    assert len(label) == 5
    expected = F.cross_entropy(namer.logits.expand(5, -1), label)
    assert actual["pseudo"].item() == pytest.approx(0.1 * expected.item(), rel=1e-6)


def test_d_is_told_the_label_and_so_is_g():
    model = made().model.eval()
    image, zeros = torch.rand(4, 1, 8, 8), torch.zeros(4, dtype=torch.int64)
    assert not torch.equal(model.discriminator(image, zeros), model.discriminator(image, zeros + 1))
    z = model.latent(4)
    assert not torch.equal(model.generate(4, z, zeros), model.generate(4, z, zeros + 1))


def test_drawn_labels_are_all_alike():
    counts = torch.bincount(made().model.random_labels(8000), minlength=4)
    assert counts.tolist() == pytest.approx([2000] * 4, rel=0.1)


# ---- the phases --------------------------------------------------------------------------------------------------


def test_c_learns_alone_and_late_from_images_of_g():
    trained = made(num_pretraining_steps=2, pseudo_start=4, total=6)
    moved = []
    before = {key: value.clone() for key, value in trained.model.state_dict().items()}
    for iteration in range(6):
        moved.append({update.player: set(update.terms) for update in trained.updates()})
        if iteration == 1:
            after = trained.model.state_dict()
            same = {key for key, value in before.items() if torch.equal(value, after[key])}
            assert {key for key in before if key.startswith(("discriminator", "generator"))} <= same
            assert not {key for key in same if key.startswith("classifier")}
    own = {"labelled", "entropy", "balance", "decay"}
    assert moved[:2] == [{"C": own}] * 2
    assert [set(players) for players in moved[2:]] == [{"D", "C", "G"}] * 4
    assert [players["C"] - own for players in moved[2:]] == [{"adversarial"}] * 2 + [{"adversarial", "pseudo"}] * 2


def test_balance_weighs_more_while_c_learns_alone():
    trained = made(num_pretraining_steps=1)
    trained.model.classifier = Namer(torch.zeros(4))
    values = []
    for iteration in (0, 1):
        trained.model.iteration = iteration
        values.append(terms(trained)["C"]["balance"].item())
    assert values == pytest.approx([0.3 * math.log(4), 1e-3 * math.log(4)], rel=1e-4)


def test_learning_rates():
    model = registry.create("triple_gan", (1, 28, 28), 10)
    for player in model.players.values():
        rate = player.optimizer.lr
        assert player.optimizer.betas == (0.5, 0.999)
        assert [rate(i, 1) for i in (0, 999, 1000, 3599)] == [3e-4, 3e-4, 1e-3, 1e-3]
        assert rate(3600, 1) == pytest.approx(0.995e-3)
        assert rate(3000 + 6000, 1) == pytest.approx(0.995**10 * 1e-3)


def test_weights_of_the_last_layer_of_c_are_held_small():
    """Those alone: 0.0001 of their squares, in both phases."""
    trained = made(num_pretraining_steps=1)
    last = trained.model.classifier.last
    for iteration in (0, 1):
        trained.model.iteration = iteration
        decay = terms(trained)["C"]["decay"]
        assert decay.item() == pytest.approx(1e-4 * last.weight.square().sum().item(), rel=1e-6)
        reached = torch.autograd.grad(decay, [*trained.model.classifier.parameters()], allow_unused=True)
        assert sum(gradient is not None for gradient in reached) == 1
    for player in trained.players.values():
        assert [group["weight_decay"] for group in player.optimizer.param_groups] == [0]


# ---- networks and settings ---------------------------------------------------------------------------------------


def test_released_settings():
    model = registry.create("triple_gan", (1, 28, 28), 10)
    assert (model.batch_size, model.batch_type, model.classifies) == (100, PartlyLabelledImages, True)
    assert (model.ema, model.still, model.sample_mode) == ({"classifier": 0.99}, {}, "eval")
    config = model.config
    assert (config.alpha, config.pseudo_weight, config.num_assumed) == (0.5, 0.1, 4)
    z = model.latent(4000)
    assert z.shape == (4000, 100)
    assert 0 <= z.min() < 0.001 < 0.999 < z.max() <= 1


def test_released_networks():
    model = registry.create("triple_gan", (1, 28, 28), 10)
    sizes = [tuple(layer.direction.shape) for layer in model.discriminator.layers]
    assert sizes == [(1000, 794), (500, 1010), (250, 510), (250, 260), (250, 260), (1, 260)]
    assert [noise.std for noise in model.discriminator.noises] == [0.3, 0.5, 0.5, 0.5, 0.5, 0.5]
    dense = [(layer.in_features, layer.out_features) for layer in model.generator.dense]
    assert dense == [(110, 500), (510, 500)]
    assert tuple(model.generator.last.direction.shape) == (784, 510)
    convolutions = [layer for layer in model.classifier.modules() if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == [32, 64, 64, 128, 128]
    assert [layer.p for layer in model.classifier.modules() if isinstance(layer, nn.Dropout)] == [0.5, 0.5]
    assert sum(isinstance(layer, nn.BatchNorm2d) for layer in model.classifier.modules()) == 5
    assert (model.classifier.last.in_features, model.classifier.last.out_features) == (128, 10)
    assert model.classifier(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


def test_noise_spares_the_label():
    torch.manual_seed(0)
    D = Discriminator((1, 8, 8), 8, 3).train()
    read, label = [], torch.tensor([0, 2])
    for layer in D.layers:
        layer.register_forward_hook(lambda layer, given, out: read.append(given[0]))
    for _ in range(2):
        D(torch.zeros(2, 1, 8, 8), label)
    assert all(torch.equal(given[:, -3:], F.one_hot(label, 3).float()) for given in read)
    assert not torch.equal(read[0], read[6])
    D.eval()
    assert torch.equal(D(torch.zeros(2, 1, 8, 8), label), D(torch.zeros(2, 1, 8, 8), label))
    assert all(isinstance(noise, GaussianNoise) for noise in D.noises)


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_noise_in_d(noise):
    """In parts of what was released. Without it the same pairs always have the same scores."""
    D = made(noise=noise).model.discriminator.train()
    assert [layer.std for layer in D.noises] == pytest.approx([0.3 * noise, *[0.5 * noise] * 5])
    image, label = torch.rand(3, 1, 8, 8), torch.tensor([0, 1, 2])
    assert torch.equal(D(image, label), D(image, label)) == (noise == 0)


def test_released_first_weights():
    """In D every unit's weights have length 1 for good; C's begin smaller in its last layer; G's scale is learnt."""
    torch.manual_seed(0)
    model = registry.create("triple_gan", (1, 28, 28), 10)
    for layer in model.discriminator.layers:
        assert [name for name, _ in layer.named_parameters()] == ["direction", "bias"]
        assert layer.direction.std().item() == pytest.approx(0.1, rel=0.2)
        assert (layer.bias.abs().max().item(), layer.scale.unique().item()) == (0, 1)
    convolutions = [layer for layer in model.classifier.modules() if isinstance(layer, nn.Conv2d)]
    assert [layer.weight.std().item() for layer in convolutions] == pytest.approx([0.05] * 5, rel=0.1)
    last = model.classifier.last
    assert (last.weight.std().item(), last.bias.abs().max().item()) == (pytest.approx(0.01, rel=0.1), 0)
    assert isinstance(model.generator.last, WeightNormed)
    assert isinstance(model.generator.last.scale, nn.Parameter)


def test_labels_of_samples():
    model = made().model.eval()
    same = [model.sample(8, seed=0, label=k) for k in (0, 1, [1] * 8, torch.ones(8, dtype=torch.int64))]
    assert not torch.equal(same[0], same[1])
    assert torch.equal(same[1], same[2])
    assert torch.equal(same[1], same[3])
    assert model.sample(8, seed=0).shape == (8, 1, 8, 8)
    assert torch.equal(
        model.sample(3, seed=0, label=2, latent=torch.ones(3, 100)),
        model.sample(3, seed=1, label=2, latent=torch.ones(3, 100)),
    )
    for wrong in (4, -1, 1.5, "cat", [0, 1]):
        refused("label must be a class from 0 to 3, for all 8", lambda wrong=wrong: model.sample(8, label=wrong))
    refused("told no code", lambda: model.sample(8, code=1))


def test_the_average_of_c_classifies():
    trained = made(total=3)
    for _ in trained:
        pass
    model, image = trained.model, torch.rand(5, 1, 8, 8) * 2 - 1
    average = model.averages["classifier"].eval()
    torch.testing.assert_close(model.probabilities(image), average(image).softmax(1))


def test_errors():
    refused("triple_gan ... no labels", lambda: registry.create("triple_gan", (1, 16, 16), None))
    refused("triple_gan makes images", lambda: registry.create("triple_gan", (2,), 8))
    for name, value in [
        ("alpha", 1.5),
        ("beta1", 1.0),
        ("width", 1),
        ("num_assumed", -1),
        ("noise", -1.0),
        ("lr", 0.0),
    ]:
        refused(name, lambda name=name, value=value: registry.create("triple_gan", (1, 8, 8), 4, **{name: value}))
