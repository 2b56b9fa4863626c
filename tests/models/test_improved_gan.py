"""Improved GAN against its paper: the K + 1 logits, feature matching, and each of the other techniques as a layer or a
term of its own; the released perceptrons and settings; the known mistakes."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium import registry
from ganarium.data.batches import Batches
from ganarium.data.dataset import Images, PartlyLabelledImages
from ganarium.data.sources import points as toys
from ganarium.layers.historical_average import History, flat
from ganarium.layers.minibatch_discrimination import MinibatchDiscrimination
from ganarium.layers.virtual_batch_norm import VirtualBatchNorm, VirtuallyNormed
from ganarium.layers.weight_norm import WeightNormed
from ganarium.testing import NoSync
from ganarium.trainer import Trainer
from synthetic import refused, trainer

LOG10, LOG11 = math.log(10), math.log(11)
EVERYTHING = {"num_kernels": 3, "historical_weight": 0.1, "real_target": 0.9, "virtual_batch_norm": True}


class Told(nn.Module):
    """A discriminator that gives these features and logits, one call after another; what it was shown is kept."""

    def __init__(self, features: list[Tensor], logits: list[Tensor]) -> None:
        super().__init__()
        self.told, self.logits, self.shown = iter(features), iter(logits), []

    def features(self, x: Tensor) -> Tensor:
        self.shown.append(x)
        return next(self.told).to(x) + 0 * x.flatten(1).sum(1, keepdim=True)

    def head(self, features: Tensor) -> Tensor:
        return next(self.logits).to(features) + 0 * features.sum()

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


def told(real: Tensor, fake: Tensor, labelled: Tensor, again: Tensor | None = None, **options) -> dict[str, float]:
    """All terms where D says these logits of the unlabelled, the fakes and the labelled (of class 0), and G's fakes."""
    n = len(real)
    made = trainer("improved_gan", (2,), batch_size=n, prepare=False, **options)
    made.batches.labels = made.batches.labels * 0
    features, again = [torch.zeros(3 * n, 4), torch.zeros(n, 4), torch.zeros(n, 4)], real if again is None else again
    made.model.discriminator = Told(features, [real, fake, labelled, again])
    return {name: term.item() for item in made.model.step(made.batches) for name, term in item[1].items()}


def random_logits(n: int = 6) -> list[Tensor]:
    torch.manual_seed(0)
    return [torch.randn(n, 10) for _ in range(4)]


# ---- the K + 1 logits ----------------------------------------------------------------------------------------------


def test_values_at_zero_logits():
    """K = 10: supervised log 10; unsupervised -log 10 + 2 log 11 = 2.4932, halved as released."""
    terms = told(*[torch.zeros(4, 10)] * 3)
    assert terms["labelled"] == pytest.approx(LOG10, rel=1e-6)
    assert 2 * (terms["real"] + terms["fake"]) == pytest.approx(2.4932, abs=1e-4)
    assert 2 * terms["fake"] == pytest.approx(LOG11, rel=1e-6)


def test_it_is_a_softmax_over_k_plus_1_classes_of_which_the_last_logit_is_0():
    real, fake, labelled, again = random_logits()
    terms = told(real, fake, labelled, again, loss="non_saturating")
    odds = [F.pad(part, (0, 1)).softmax(1)[:, 10] for part in (real, fake, again)]
    assert 2 * terms["real"] == pytest.approx(-(1 - odds[0]).log().mean().item(), rel=1e-5)
    assert 2 * terms["fake"] == pytest.approx(-odds[1].log().mean().item(), rel=1e-5)
    assert terms["adversarial"] == pytest.approx(-(1 - odds[2]).log().mean().item(), rel=1e-5)
    assert terms["labelled"] == pytest.approx(-labelled.log_softmax(1)[:, 0].mean().item(), rel=1e-5)


def test_a_constant_on_all_logits_is_seen_by_the_unsupervised_part_alone():
    """Known mistake: a free (K + 1)-th logit, which would take the constant up."""
    logits = random_logits()
    plain, moved = told(*logits), told(*(part + 3 for part in logits))
    assert moved["labelled"] == pytest.approx(plain["labelled"], rel=1e-4)
    assert moved["real"] < 0.1 * plain["real"]
    assert moved["fake"] > plain["fake"] + 1
    last = trainer("improved_gan").model.discriminator.last
    assert (last.direction.shape[0], last.bias.shape[0]) == (4, 4)


def test_losses_of_g():
    """Z = log 10 at zero logits: p = 10 / 11. Minimax is the one whose gradient dies where p is near 0."""
    zeros = torch.zeros(4, 10)
    assert told(zeros, zeros, zeros, loss="minimax")["adversarial"] == pytest.approx(-LOG11, rel=1e-6)
    assert told(zeros, zeros, zeros, loss="non_saturating")["adversarial"] == pytest.approx(LOG11 - LOG10, rel=1e-5)
    low = torch.full((4, 10), -12.0)
    slopes = []
    for loss in ("minimax", "non_saturating"):
        values = [told(zeros, zeros, zeros, low + shift, loss=loss)["adversarial"] for shift in (-0.05, 0.05)]
        slopes.append((values[1] - values[0]) / 0.1)
    assert slopes == pytest.approx([0, -1], abs=1e-3)


def test_without_labels_d_is_the_plain_one():
    """K = 1: Z is D's one logit, and the losses are those of GAN, halved in D."""
    made = trainer("improved_gan", (2,), batch_size=2, semi_supervised=False, loss="non_saturating")
    real, fake = torch.tensor([[0.5], [-2.0]]), torch.tensor([[3.0], [0.0]])
    made.model.discriminator = Told([torch.zeros(4, 4), torch.zeros(2, 4)], [real, fake, fake])
    (_, terms, watched), (_, last) = made.model.step(made.batches)
    assert list(terms) == ["real", "fake"]
    assert 2 * terms["real"].item() == pytest.approx(F.softplus(-real).mean().item())
    assert 2 * terms["fake"].item() == pytest.approx(F.softplus(fake).mean().item())
    assert last["adversarial"].item() == pytest.approx(F.softplus(-fake).mean().item())
    assert watched["real"].tolist() == pytest.approx([0.5, -2.0])
    model = registry.create("improved_gan", (1, 28, 28), semi_supervised=False)
    assert (model.batch_type, model.classifies, model.ema) == (Images, False, {})
    assert model.discriminator(torch.zeros(2, 1, 28, 28)).shape == (2, 1)


# ---- what D sees ---------------------------------------------------------------------------------------------------


def test_real_fake_and_labelled_are_what_they_are_called():
    made = trainer("improved_gan", (2,), batch_size=6, prepare=False)
    sizes = [torch.zeros(18, 4), torch.zeros(6, 4), torch.zeros(6, 4)]
    made.model.discriminator = D = Told(sizes, [torch.zeros(6, 10)] * 3)
    for _ in made.model.step(made.batches):
        pass
    made.batches.drawn = 0
    image, _, unlabelled = next(made.batches)
    real, fake, labelled = D.shown[0].chunk(3)
    assert torch.equal(real, unlabelled)
    assert torch.equal(labelled, image)
    assert not torch.equal(fake, unlabelled)
    assert torch.equal(D.shown[1], next(made.batches).unlabelled)  # the reals of G's step are drawn anew


def test_image_and_label_are_of_one_pair():
    """D that reads the label off the image is right; with the labels turned by one image it is wrong."""
    made = trainer("improved_gan", (2,), batch_size=12, prepare=False)
    made.batches.images[:12, 0] = made.batches.labels[:12].float()

    class Reads(nn.Module):
        def features(self, x):
            return x

        def head(self, x):
            return 50 * (x[:, :1].round() == torch.arange(4)) + 0 * x.sum()

    made.model.discriminator = Reads()
    assert next(made.model.step(made.batches))[1]["labelled"].item() < 1e-6
    made.batches.labels = made.batches.labels.roll(1)
    assert next(made.model.step(made.batches))[1]["labelled"].item() > 40


def test_labels_of_the_unlabelled_are_not_seen():
    """Only the first twelve images have theirs. The control: one of these is changed."""

    def weights(labels: Tensor) -> dict[str, Tensor]:
        made = trainer("improved_gan", (1, 8, 8), total=8)
        made.batches.labels = labels
        for _ in made:
            pass
        return {key: value.clone() for key, value in made.model.state_dict().items()}

    labels = torch.arange(64) % 4
    permuted, known = labels.clone(), labels.clone()
    permuted[12:] = labels[12:].flip(0)
    known[0] = 3
    assert not torch.equal(permuted, labels)
    plain, others, one = weights(labels), weights(permuted), weights(known)
    assert all(torch.equal(value, others[key]) for key, value in plain.items())
    assert not all(torch.equal(value, one[key]) for key, value in plain.items())


# ---- feature matching ----------------------------------------------------------------------------------------------


def test_feature_matching_in_numbers():
    """The mean over the units of the squared difference of the means; nothing if the means are the same."""
    real, fake = torch.tensor([[1.0, 0, 0, 0], [3, 0, 0, 0]]), torch.tensor([[0.0, 0, 0, 1], [0, 0, 0, 3]])
    for made, expected in ((fake, (2**2 + 2**2) / 4), (real.flip(0), 0.0)):
        own = trainer("improved_gan", (2,), batch_size=2, prepare=False)
        own.model.discriminator = Told([torch.zeros(6, 4), real, made], [torch.zeros(2, 4)] * 3)
        _, (_, terms) = own.model.step(own.batches)
        assert list(terms) == ["matching"]
        assert terms["matching"].item() == pytest.approx(expected)
    assert (real - fake).square().mean().item() != pytest.approx(2.0)  # known mistake: sample by sample


def test_feature_matching_moves_g_towards_the_mean_of_the_data():
    made = trainer("improved_gan")
    _, (_, terms) = made.model.step(made.batches)
    terms["matching"].backward()
    assert all(p.grad is not None for p in made.model.generator.parameters())


# ---- one-sided label smoothing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [-2.0, 0.0, 3.0])
def test_one_sided_smoothing_in_numbers(level):
    """0.9 sp(-d) + 0.1 sp(d) of the reals; the fakes and the labelled are what they are without it."""
    logits = torch.full((4, 1), level)
    plain, smooth = (told(logits, logits, logits, real_target=target) for target in (1.0, 0.9))
    expected = 0.9 * F.softplus(-logits) + 0.1 * F.softplus(logits)
    assert 2 * smooth["real"] == pytest.approx(expected.mean().item())
    assert 2 * plain["real"] == pytest.approx(F.softplus(-logits).mean().item())
    assert smooth["fake"] == plain["fake"]
    assert smooth["labelled"] == plain["labelled"]
    mistaken = 0.9 * F.softplus(logits) + 0.1 * F.softplus(-logits)  # known mistake: fakes are smoothed too
    assert (mistaken.mean().item() == pytest.approx(2 * smooth["fake"])) is (level == 0)


def test_smoothed_reals_are_best_at_their_target():
    values = {
        p: told(*[torch.tensor([[math.log(p / (1 - p))]])] * 3, real_target=0.9)["real"]
        for p in (0.85, 0.89, 0.9, 0.91, 0.95)
    }
    assert min(values, key=values.get) == 0.9


# ---- minibatch discrimination --------------------------------------------------------------------------------------


def minibatch(fan_in: int = 4, num_kernels: int = 3, kernel_dim: int = 2) -> MinibatchDiscrimination:
    torch.manual_seed(0)
    return MinibatchDiscrimination(fan_in, num_kernels, kernel_dim)


def test_nearness_in_numbers():
    """o_k(x_i) is the sum over the other rows of exp(-|M_ik - M_jk|_1), plus a bias, beside the row itself."""
    layer, x = minibatch(), torch.randn(5, 4)
    layer.log_scale.data.normal_()
    layer.bias.data.normal_()
    made = layer(x)
    assert torch.equal(made[:, :4], x)
    for k in range(3):
        rows = F.normalize(layer.direction[k].detach(), dim=1) * layer.log_scale[k].detach().exp()[:, None]
        for i in range(5):
            near = sum(math.exp(-float((rows @ (x[i] - x[j])).abs().sum())) for j in range(5) if j != i)
            assert made[i, 4 + k].item() == pytest.approx(near + layer.bias[k].item(), rel=1e-4)


def test_rows_that_are_alike_and_rows_that_are_far():
    """N - 1 for N equal rows, each but itself; nothing for rows that are far apart. The gradient stays finite."""
    layer = minibatch()
    x = torch.ones(6, 4, requires_grad=True)
    near = layer(x)[:, 4:]
    assert near.flatten().tolist() == pytest.approx([5.0] * 18)
    near.sum().backward()
    assert all(p.grad.isfinite().all() for p in (x, *layer.parameters()))
    assert layer(1000 * torch.randn(6, 4))[:, 4:].abs().max() < 1e-3


def test_order_of_the_rows_is_not_seen():
    layer, x, order = minibatch(), torch.randn(6, 4), torch.randperm(6)
    assert torch.allclose(layer(x)[order], layer(x[order]), atol=1e-6)


def test_initialisation_from_data():
    """The nearest other row is 2 away in the mean, and the mean nearness is 0; a second time changes nothing."""
    layer, x = minibatch(), 5 * torch.randn(40, 4)
    made = layer.begin(x)
    assert made[:, 4:].mean(0).abs().max() < 1e-5
    apart = layer.distances(x) + 1e6 * torch.eye(40)
    assert apart.amin(2).mean(1).tolist() == pytest.approx([2.0] * 3, rel=1e-4)
    before = copy.deepcopy(layer.state_dict())
    layer.begin(x)
    assert all(torch.allclose(value, before[key], atol=1e-4) for key, value in layer.state_dict().items())


@pytest.mark.parametrize("network", ["auto", "dcgan"])
def test_reals_and_fakes_are_compared_among_themselves(network):
    """Fakes that are all alike change nothing of what D says of reals. Known mistake, the control: a batch of both."""
    made = trainer("improved_gan", num_kernels=4, network=network, batch_size=6)
    made.model.eval()  # no noise
    D, own, terms, together = made.model.discriminator, made.model.generate, [], []
    real = next(made.batches).unlabelled
    for generate in (own, lambda n: torch.ones(n, 1, 16, 16)):
        made.batches.drawn, made.model.generate = 0, generate
        terms.append({name: term.item() for name, term in next(made.model.step(made.batches))[1].items()})
        together.append(D(torch.cat([real, generate(6)]))[:6].detach())
    assert terms[0]["real"] == terms[1]["real"]
    assert terms[0]["labelled"] == terms[1]["labelled"]
    assert terms[0]["fake"] != terms[1]["fake"]
    assert not torch.allclose(*together, atol=1e-5)


def test_last_layer_reads_the_kernels():
    """Of the kind that D has: weight norm and noise in the perceptrons, linear else. `prepare` sets them up."""
    for network, norm, kind in (
        ("auto", "none", WeightNormed),
        ("mlp", "layer", nn.Linear),
        ("dcgan", "spectral", nn.Linear),
    ):
        made = trainer("improved_gan", num_kernels=4, network=network, norm=norm, prepare=False)
        compare, last = made.model.discriminator.last
        assert isinstance(last, kind)
        assert hasattr(last, "parametrizations") is (norm == "spectral")
        assert compare.log_scale.shape == (4, 5)
        before = compare.bias.clone()
        made.prepare()
        assert made.batches.drawn == 64  # of 500, as many as there are
        assert (compare.bias != before).all()
        assert all(value.isfinite().all() for value in made.model.state_dict().values())


# ---- historical averaging ------------------------------------------------------------------------------------------


def test_distance_to_the_mean_of_all_parameters_so_far():
    """On a straight line t v the mean of 0 to t is t v / 2, and the gradient is twice the distance."""
    module, velocity = nn.Linear(2, 1), torch.tensor([0.5, -1.0, 2.0])
    nn.init.zeros_(module.weight)
    nn.init.zeros_(module.bias)
    history = History(module)
    for t in range(6):
        torch.nn.utils.vector_to_parameters(t * velocity, module.parameters())
        drift = history(module, torch.tensor(t))
        assert drift.item() == pytest.approx((t / 2) ** 2 * velocity.square().sum().item(), abs=1e-6)
        gradient = torch.autograd.grad(drift, list(module.parameters()))
        assert torch.cat([g.flatten() for g in gradient]).tolist() == pytest.approx((t * velocity).tolist(), abs=1e-5)


@pytest.mark.parametrize("network", ["auto", "dcgan"])
def test_both_players_are_held_to_their_own_past(network):
    made = trainer("improved_gan", historical_weight=0.5, network=network, total=4)
    model = made.model
    modules = {"D": model.discriminator, "G": model.generator}
    past = {player: [flat(module).detach().clone()] for player, module in modules.items()}  # as the updates met them
    for _ in range(4):
        for player, terms, _watched in made.updates():
            distance = (past[player][-1] - torch.stack(past[player]).mean(0)).square().sum().item()
            assert terms["history"].item() == pytest.approx(0.5 * distance, rel=1e-3, abs=1e-9)
            past[player].append(flat(modules[player]).detach().clone())
    rows = made.drain().rows
    assert [rows[0]["D/history"], rows[0]["G/history"]] == [0.0, 0.0]
    assert min(rows[3]["D/history"], rows[3]["G/history"]) > 0
    assert {"history.discriminator.mean", "history.generator.mean"} <= set(model.state_dict())
    assert not [name for name in trainer("improved_gan").model.state_dict() if "history" in name]


# ---- virtual batch norm --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3,), (3, 2, 4)])
def test_statistics_of_the_reference_batch_and_the_row_itself(shape):
    """Each row is what batch norm makes of it beside the reference rows; these are normed by themselves."""
    torch.manual_seed(0)
    norm = (nn.BatchNorm1d if len(shape) == 1 else nn.BatchNorm2d)(3)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    x = 2 + 3 * torch.randn(5 + 4, *shape)
    made = VirtualBatchNorm(norm, 5)(x)
    assert torch.allclose(made[:5], norm(x[:5]), atol=1e-5)
    for row in range(5, 9):
        assert torch.allclose(made[row], norm(torch.cat([x[:5], x[row : row + 1]]))[5], atol=1e-5)


@pytest.mark.parametrize(
    ("network", "shape"),
    [("auto", (1, 16, 16)), ("dcgan", (3, 9, 14)), ("resnet", (1, 16, 16)), ("mlp", (1, 16, 16)), ("auto", (2,))],
)
def test_a_sample_depends_on_its_own_code_alone(network, shape):
    """The control is batch norm, where it depends on the others."""
    model = trainer("improved_gan", shape, virtual_batch_norm=True, network=network).model
    assert isinstance(model.generator, VirtuallyNormed)
    kinds = [type(module).__name__ for module in model.generator.modules()]
    assert "VirtualBatchNorm" in kinds
    assert not [kind for kind in kinds if kind.startswith("BatchNorm")]
    assert model.generator.reference.shape == (model.batch_size, model.prior.dim)
    assert model.sample_mode == "eval"
    z = model.latent(5)
    assert torch.allclose(model.generate(2, z[:2]), model.generate(5, z)[:2], atol=1e-5)
    plain = trainer("improved_gan", shape, generator_norm=True, network=network).model
    assert not torch.allclose(plain.generate(2, z[:2]), plain.generate(5, z)[:2], atol=1e-3)
    assert plain.sample_mode == "train"


# ---- networks and settings -----------------------------------------------------------------------------------------


def test_released_perceptrons():
    model = registry.create("improved_gan", (1, 28, 28), 10)
    layers = [m for m in model.discriminator.modules() if isinstance(m, WeightNormed)]
    sizes = [tuple(m.direction.shape) for m in layers]
    assert sizes == [(1000, 784), (500, 1000), (250, 500), (250, 250), (250, 250), (10, 250)]
    assert [m.noise for m in layers] == [0.3, 0.5, 0.5, 0.5, 0.5, 0.5]
    kinds = [type(m).__name__ for m in model.generator.layers]
    assert kinds == ["Linear", "BatchNorm1d", "Softplus"] * 2 + ["WeightNormed", "Sigmoid"]
    assert [m.out_features for m in model.generator.modules() if isinstance(m, nn.Linear)] == [500, 500]
    assert model.discriminator.features(torch.zeros(3, 1, 28, 28)).shape == (3, 250)
    features = [model.train().discriminator.features(torch.zeros(1, 1, 28, 28)) for _ in range(2)]
    assert not torch.equal(*features)


def test_numbers():
    made = trainer("improved_gan", total=1)
    for moved in made.players.values():
        (group,) = moved.optimizer.param_groups
        assert (group["lr"], group["betas"], group["eps"]) == (3e-3, (0.5, 0.999), 1e-4)
    model = made.model
    assert (model.batch_size, model.batch_type, model.ema) == (100, PartlyLabelledImages, {"discriminator": 0.9999})
    assert (model.sample_mode, model.still) == ("train", {})
    z = model.latent(2000)
    assert z.shape == (2000, 100)
    assert 0 <= z.min() < 0.001 < 0.999 < z.max() <= 1
    lr = {
        network: registry.create("improved_gan", (1, 16, 16), 4, network=network, width=4).players["D"].optimizer.lr
        for network in ("mlp", "dcgan", "resnet")
    }
    assert set(lr.values()) == {3e-4}


def test_average_of_the_parameters_is_theirs_after_one_step():
    """Known mistake in a short run: an average that starts at 0, a ten-thousandth of the parameters by then."""
    made = trainer("improved_gan", total=1)
    for _ in made:
        pass
    average, live = flat(made.model.averages["discriminator"]), flat(made.model.discriminator)
    assert torch.allclose(average, live, rtol=1e-4)
    assert not torch.allclose(1e-4 * live, live, rtol=0.5)


@pytest.mark.parametrize("semi", [False, True])
@pytest.mark.parametrize("network", ["auto", "mlp", "dcgan", "resnet"])
def test_every_network_trains_with_everything_on(network, semi):
    """No host synchronisation, full precision under autocast, only the named player moves, all of it moves."""
    made = trainer(
        "improved_gan", (3, 9, 14), network=network, semi_supervised=semi, loss="non_saturating", total=6, **EVERYTHING
    )
    with NoSync(), torch.autocast("cpu", torch.bfloat16):
        items = [*made.model.step(made.batches)]
    assert {term.dtype for item in items for term in item[1].values()} == {torch.float32}
    start = {key: value.clone() for key, value in made.model.named_parameters()}
    before = start
    for _ in range(6):
        for update in made.updates():
            own = "discriminator." if update.player == "D" else "generator."
            for key, value in made.model.named_parameters():
                assert key.startswith(own) or torch.equal(value, before[key]), f"{update.player} moved {key}"
            before = {key: value.clone() for key, value in made.model.named_parameters()}
    assert len(made.drain().rows) == 6
    assert not [key for key, value in made.model.named_parameters() if torch.equal(value, start[key])]
    assert made.model.sample(2, seed=0).shape == (2, 3, 9, 14)


def test_golden_losses_with_everything_on():
    """The tenth iteration, in float64, as tests/golden has those of the default."""
    made = trainer("improved_gan", (1, 8, 8), total=10, batch_size=16, precision="fp64", seed=7, **EVERYTHING)
    for _ in made:
        pass
    expected = {
        "step": 10,
        "D/real": 0.18153881320563553,
        "D/fake": 0.8199564083481301,
        "D/history": 0.0023972598399302015,
        "D/labelled": 1.3960939940334391,
        "G/matching": 0.007232705939249412,
        "G/history": 0.0009799538247035463,
    }
    assert made.drain().rows[-1] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ("dropout must be from 0 to below 1", {"dropout": 1.0}),
        ("beta1 must be from 0 to below 1", {"beta1": 1.0}),
        ("real_target must be above 0", {"real_target": 0.0}),
        ("real_target ... at most 1", {"real_target": 1.1}),
        ("num_kernels must be at least 0", {"num_kernels": -1}),
        ("historical_weight must be at least 0", {"historical_weight": -0.1}),
        ("kernel_dim must be above 0", {"kernel_dim": 0}),
        ("in one batch: use --norm layer or none", {"norm": "batch", "network": "dcgan"}),
        ("leave --no-generator-norm away", {"virtual_batch_norm": True, "generator_norm": False}),
        ("choose --network mlp, dcgan or resnet", {"norm": "layer"}),
        ("choose --network mlp, dcgan or resnet", {"dropout": 0.1}),
    ],
)
def test_options_that_do_not_go(words, options):
    refused(words, lambda: registry.create("improved_gan", (1, 16, 16), 4, **options))


def test_data_that_do_not_fit():
    refused("no labels: use --no-semi-supervised", lambda: registry.create("improved_gan", (1, 16, 16)))
    refused("one class: use --no-semi-supervised", lambda: registry.create("improved_gan", (1, 16, 16), 1))
    refused("width must be at least 2", lambda: registry.create("improved_gan", (1, 16, 16), 4, width=1))
    assert registry.create("improved_gan", (1, 16, 16), semi_supervised=False).sample(1).shape == (1, 1, 16, 16)
    refused("no dcgan for 2-D points", lambda: registry.create("improved_gan", (2,), 8, network="dcgan"))


# ---- it learns -----------------------------------------------------------------------------------------------------


def test_it_learns_to_classify_points():
    """The eight Gaussians of the ring, of whose 100,000 points 8 have a label."""
    train, test = toys.ring()

    def accuracy(steps: int) -> float:
        torch.manual_seed(0)
        model = registry.create("improved_gan", (2,), 8, width=32, lr=3e-3)
        made = Trainer(model, Batches(train.keep_labels(1, 0), PartlyLabelledImages, 64), steps)
        for _ in made:
            pass
        return (model.classify(test.images[:2000]) == test.labels[:2000]).double().mean().item()

    assert accuracy(150) > 0.95
    assert accuracy(0) < 0.5
