"""CatGAN against its paper: the three entropies at chosen predictions, their signs and bounds, clusters of points that
are found and the controls that find none, the semi-supervised form, the known mistakes."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium import registry
from ganarium.data.batches import Batches
from ganarium.data.dataset import Dataset, Images, PartlyLabelledImages
from ganarium.layers.gaussian_noise import GaussianNoise, noise_for_dropout
from ganarium.metrics import clustering_accuracy
from ganarium.models.catgan import entropy, marginal_entropy
from ganarium.networks.backbones import backbone
from ganarium.testing import NoSync
from ganarium.trainer import Trainer
from synthetic import refused, trainer

K = 10
SURE = 100.0  # a logit beside zeros, whose softmax is 1 to the last digit
EVEN = torch.zeros(20, K)
SPREAD = SURE * F.one_hot(torch.arange(20) % K, K).float()  # certain of each, and all categories alike
ONE = SURE * F.one_hot(torch.full((20,), 3), K).float()  # certain of each, and always the same category


class Told(nn.Module):
    """A discriminator that gives these logits in turn, whatever it sees; what it was shown is kept."""

    def __init__(self, *turns: Tensor) -> None:
        super().__init__()
        self.logits, self.shown = [turn.clone().requires_grad_() for turn in turns], []

    def forward(self, x: Tensor) -> Tensor:
        self.shown.append(x)
        return self.logits[len(self.shown) - 1] + 0 * x.flatten(1).sum(1, keepdim=True)


def played(real: Tensor, fake: Tensor, **options):
    """The terms of both players, and the discriminator, where these are the logits of reals and of fakes."""
    made = trainer("catgan", (2,), batch_size=len(real), **options)
    made.model.discriminator = D = Told(real, fake, fake)
    (_, terms, seen), (_, g_terms) = made.model.step(made.batches)
    return terms, g_terms, D, seen


def loss(terms: dict[str, Tensor]) -> float:
    return sum(terms.values()).item()


# ---- the three entropies -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("real", "fake", "d", "g"),
    [
        (EVEN, EVEN, -math.log(K), 0.0),  # -log K + log K - log K
        (SPREAD, EVEN, -2 * math.log(K), 0.0),  # D's minimum
        (SPREAD, SPREAD, -math.log(K), -math.log(K)),  # G's minimum
        (ONE, ONE, 0.0, 0.0),  # D's maximum
        (SPREAD, ONE, -math.log(K), 0.0),
    ],
)
def test_values_at_chosen_predictions(real, fake, d, g):
    terms, g_terms, _, _ = played(real, fake)
    assert loss(terms) == pytest.approx(d, abs=1e-5)
    assert loss(g_terms) == pytest.approx(g, abs=1e-5)


def test_each_term_by_hand():
    torch.manual_seed(0)
    real, fake = torch.randn(20, 4), torch.randn(20, 4)
    terms, g_terms, _, seen = played(real, fake)

    def both(logits):
        p = logits.softmax(1)
        per_sample = torch.stack([-(row * row.log()).sum() for row in p])
        return per_sample, -(p.mean(0) * p.mean(0).log()).sum()

    (each_real, marginal_real), (each_fake, marginal_fake) = both(real), both(fake)
    assert terms["marginal"].item() == pytest.approx(-marginal_real.item(), rel=1e-5)
    assert terms["real"].item() == pytest.approx(each_real.mean().item(), rel=1e-5)
    assert terms["fake"].item() == pytest.approx(-each_fake.mean().item(), rel=1e-5)
    assert g_terms["marginal"].item() == pytest.approx(-marginal_fake.item(), rel=1e-5)
    assert g_terms["fake"].item() == pytest.approx(each_fake.mean().item(), rel=1e-5)
    torch.testing.assert_close(seen["real"], -each_real)
    torch.testing.assert_close(seen["fake"], -each_fake)


def test_bounds_by_concavity():
    """D's loss lies in [-2 log K, 0], G's in [-log K, 0], whatever the predictions."""
    generator = torch.Generator().manual_seed(0)
    for scale in (0.1, 1.0, 10.0, 1000.0):
        for _ in range(50):
            real, fake = (scale * torch.randn(20, K, generator=generator) for _ in range(2))
            log_real, log_fake = real.log_softmax(1), fake.log_softmax(1)
            own = entropy(log_real).mean() - marginal_entropy(log_real)
            d, g = own - entropy(log_fake).mean(), entropy(log_fake).mean() - marginal_entropy(log_fake)
            assert -2 * math.log(K) - 1e-5 <= d.item() <= 1e-5
            assert -math.log(K) - 1e-5 <= g.item() <= 1e-5


def test_gradients_have_the_papers_signs():
    """A step downhill makes D more certain of reals and less of fakes, and evens out the categories."""
    torch.manual_seed(0)
    real, fake = torch.randn(20, 4) + torch.tensor([1.0, 0, 0, 0]), torch.randn(20, 4)
    terms, g_terms, D, _ = played(real, fake)
    (away,) = torch.autograd.grad(terms["real"], D.logits[0], retain_graph=True)
    assert entropy((real - away).log_softmax(1)).mean() < entropy(real.log_softmax(1)).mean()
    (away,) = torch.autograd.grad(terms["marginal"], D.logits[0], retain_graph=True)
    assert marginal_entropy((real - away).log_softmax(1)) > marginal_entropy(real.log_softmax(1))
    (away,) = torch.autograd.grad(terms["fake"], D.logits[1])
    assert entropy((fake - away).log_softmax(1)).mean() > entropy(fake.log_softmax(1)).mean()
    (away,) = torch.autograd.grad(g_terms["fake"], D.logits[2], retain_graph=True)
    assert entropy((fake - away).log_softmax(1)).mean() < entropy(fake.log_softmax(1)).mean()
    (away,) = torch.autograd.grad(g_terms["marginal"], D.logits[2])
    assert marginal_entropy((fake - away).log_softmax(1)) > marginal_entropy(fake.log_softmax(1))


def test_certain_predictions_have_finite_gradients():
    """Known mistake: log of a softmax that has become 0."""
    terms, g_terms, D, _ = played(1e4 * SPREAD, 1e4 * ONE)
    (sum(terms.values()) + sum(g_terms.values())).backward()
    assert all(logits.grad.isfinite().all() for logits in D.logits)
    p = (1e4 * ONE).requires_grad_().softmax(1)
    mistaken = -(p * p.log()).sum(1).mean()
    assert mistaken.isnan()


def test_known_mistake_of_the_marginal():
    """The entropy of the mean is not the mean of the entropies, nor that of reals and fakes together."""
    terms, _, _, _ = played(SPREAD, ONE)
    assert terms["marginal"].item() == pytest.approx(-math.log(K), abs=1e-5)
    assert entropy(SPREAD.log_softmax(1)).mean().item() == pytest.approx(0, abs=1e-5)
    together = marginal_entropy(torch.cat([SPREAD, ONE]).log_softmax(1)).item()
    assert together != pytest.approx(math.log(K), abs=0.1)


def test_permuted_categories_change_nothing():
    torch.manual_seed(0)
    real, fake, order = torch.randn(20, 4), torch.randn(20, 4), torch.tensor([2, 0, 3, 1])
    plain, permuted = played(real, fake)[:2], played(real[:, order], fake[:, order])[:2]
    for before, after in zip(plain, permuted, strict=True):
        assert [v.item() for v in after.values()] == pytest.approx([v.item() for v in before.values()], abs=1e-6)


def test_weight_of_the_marginal():
    """0 drops the entropy of the mean from both losses, and nothing else."""
    plain, plain_g, _, _ = played(SPREAD, EVEN)
    terms, g_terms, _, _ = played(SPREAD, EVEN, marginal_weight=0.0)
    assert terms["marginal"].item() == g_terms["marginal"].item() == 0
    assert terms["fake"].item() == plain["fake"].item() == pytest.approx(-math.log(K), rel=1e-5)
    assert g_terms["fake"].item() == plain_g["fake"].item()


# ---- the order of things -----------------------------------------------------------------------------------------


def test_order_of_the_updates():
    """One of D and one of G on the same number of images; fakes of both steps have noise of their own."""
    made = trainer("catgan", batch_size=4)
    drawn, latent = [], made.model.latent
    made.model.latent = lambda n: drawn.append(latent(n)) or drawn[-1]
    assert [item[0] for item in made.model.step(made.batches)] == ["D", "G"]
    assert made.batches.drawn == 4
    assert len(drawn) == 2
    assert not torch.equal(*drawn)


def test_gradient_of_d_does_not_reach_g():
    made = trainer("catgan")
    _, terms, _ = next(made.model.step(made.batches))
    sum(terms.values()).backward()
    assert all(p.grad is None for p in made.model.generator.parameters())
    assert all(p.grad is not None for p in made.model.discriminator.parameters())


def test_without_labels_no_label_is_seen():
    model = trainer("catgan").model
    assert model.batch_type is Images
    assert model.classifies is False
    assert model.class_logits(torch.zeros(3, 1, 16, 16)).shape == (3, 20)


# ---- the semi-supervised form ------------------------------------------------------------------------------------


def semi(shape=(1, 16, 16), **options) -> Trainer:
    return trainer("catgan", shape, semi_supervised=True, **options)


@pytest.mark.parametrize("weight", [1.0, 0.3])
def test_cross_entropy_is_added_to_d_alone(weight):
    made = semi((2,), batch_size=6, labelled_weight=weight)
    torch.manual_seed(0)
    logits = torch.randn(6, 4)
    start = made.batches.drawn
    made.model.discriminator = D = Told(torch.zeros(6, 4), torch.zeros(6, 4), logits, torch.zeros(6, 4))
    (_, terms, _), (_, g_terms) = made.model.step(made.batches)
    made.batches.drawn = start
    image, label, unlabelled = next(made.batches)
    assert torch.equal(D.shown[0], unlabelled)
    assert torch.equal(D.shown[2], image)
    assert terms["labelled"].item() == pytest.approx(weight * F.cross_entropy(logits, label).item(), rel=1e-6)
    assert set(g_terms) == {"marginal", "fake"}


def test_entropies_are_of_the_unlabelled_images():
    made = semi((2,), batch_size=20)
    made.model.discriminator = Told(SPREAD, EVEN, ONE, EVEN)
    _, terms, _ = next(made.model.step(made.batches))
    assert terms["marginal"].item() == pytest.approx(-math.log(K), abs=1e-5)


def test_ten_labels_can_be_learnt():
    """No softmax before the cross-entropy, which would never fall below log(e + K - 1) - 1 = 0.7437 for 4 classes."""
    made = semi(width=16, noise=0.0, lr=2e-3, total=80)
    for _ in made:
        pass
    terms = [row["D/labelled"] for row in made.drain().rows]
    assert min(terms) < 0.1 < math.log(math.e + 3) - 1


def test_what_it_is_made_of():
    model = semi().model
    assert (model.batch_type, model.classifies) == (PartlyLabelledImages, True)
    assert model.classify(torch.zeros(3, 1, 16, 16)).shape == (3,)
    assert model.class_logits(torch.zeros(3, 1, 16, 16)).shape == (3, 4)
    refused("catgan ... no labels", lambda: registry.create("catgan", (1, 16, 16), None, semi_supervised=True))
    refused(
        "num_categories", lambda: registry.create("catgan", (1, 16, 16), 10, semi_supervised=True, num_categories=10)
    )


@pytest.mark.parametrize("shape", [(2,), (1, 16, 16)])
def test_rules_of_a_step_hold_for_the_semi_supervised_form(shape):
    """No host synchronisation, full precision under autocast, D's terms do not reach G, and everything moves."""
    made = semi(shape, total=10)
    (_, terms, _), _ = made.model.step(made.batches)
    weights = list(made.model.generator.parameters())
    for term in terms.values():
        assert not any(
            given is not None for given in torch.autograd.grad(term, weights, allow_unused=True, retain_graph=True)
        )
    with NoSync():
        for _ in made.model.step(made.batches):
            pass
    with torch.autocast("cpu", torch.bfloat16):
        items = [*made.model.step(made.batches)]
    assert {term.dtype for item in items for term in item[1].values()} == {torch.float32}
    start = {key: value.clone() for key, value in made.model.named_parameters()}
    for _ in made:
        pass
    assert not [key for key, value in made.model.named_parameters() if torch.equal(value, start[key])]


# ---- networks and settings ---------------------------------------------------------------------------------------


def test_numbers():
    made = trainer("catgan")
    for moved in made.players.values():
        (group,) = moved.optimizer.param_groups
        assert (group["lr"], group["betas"]) == (2e-4, (0.5, 0.999))
    assert (made.model.batch_size, made.model.sample_mode) == (100, "train")
    assert {layer.std for layer in made.model.discriminator.modules() if isinstance(layer, GaussianNoise)} == {0.1}
    points = trainer("catgan", (2,)).model
    assert (points.batch_size, points.sample_mode) == (256, "eval")
    assert points.class_logits(torch.zeros(3, 2)).shape == (3, 8)
    z = made.model.latent(4000)
    assert z.shape == (4000, 100)
    assert (z.mean().item(), z.std().item()) == pytest.approx((0, 1), abs=0.02)


@pytest.mark.parametrize("network", ["mlp", "dcgan", "resnet"])
def test_noise_before_every_layer_of_d(network):
    D = trainer("catgan", network=network, noise=0.2).model.discriminator
    plain = backbone("catgan", network, (1, 16, 16), 8, 8, generator_norm=True, norm="batch", dropout=0.5)[1]
    noises = [layer.std for layer in D.modules() if isinstance(layer, GaussianNoise)]
    assert noises == [0.2] * (1 + sum(isinstance(layer, nn.Dropout) for layer in plain.modules()))
    assert not [layer for layer in D.modules() if isinstance(layer, nn.Dropout)]
    x = torch.randn(5, 1, 16, 16)
    assert not torch.equal(D.train()(x), D(x))
    assert torch.equal(D.eval()(x), D(x))


def test_no_noise_of_size_zero():
    D = trainer("catgan", noise=0.0).model.discriminator.train()
    x = torch.randn(5, 1, 16, 16)
    random = torch.get_rng_state()
    assert torch.equal(D(x), D(x))
    assert torch.equal(random, torch.get_rng_state())


def test_gaussian_noise():
    torch.manual_seed(0)
    layer, x = GaussianNoise(0.3), torch.full((20_000, 3), 5.0)
    noise = layer.train()(x) - x
    assert noise.std(0).tolist() == pytest.approx([0.3] * 3, rel=0.03)
    assert noise.mean(0).tolist() == pytest.approx([0.0] * 3, abs=0.01)
    assert torch.equal(layer.eval()(x), x)


def test_noise_in_the_place_of_dropout():
    network = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5), nn.Sequential(nn.ReLU(), nn.Dropout(0.1)))
    noise_for_dropout(network, 0.7)
    assert [type(network[1]), type(network[2][1])] == [GaussianNoise] * 2
    assert (network[1].std, network[2][1].std) == (0.7, 0.7)


def test_bad_options():
    for name, value in [("noise", -0.1), ("marginal_weight", -1.0), ("beta1", 1.0), ("num_categories", 1), ("lr", 0.0)]:
        refused(name, lambda name=name, value=value: registry.create("catgan", (2,), **{name: value}))


# ---- behaviour on points -----------------------------------------------------------------------------------------


def blobs(seed: int, total: int = 150, **options) -> tuple[float, float]:
    """Three well separated Gaussians of points, K = 3: the accuracy of the clusters that were found, one to one, and
    the entropy of the mean prediction."""
    generator = torch.Generator().manual_seed(0)
    label = torch.arange(1500) % 3
    centres = torch.tensor([[0.0, 1.5], [1.3, -0.75], [-1.3, -0.75]])
    points = centres[label] + 0.1 * torch.randn(1500, 2, generator=generator)
    made = trainer("catgan", (2,), width=64, num_categories=3, total=total, prepare=False, seed=seed, **options)
    made.batches = Batches(Dataset("blobs", points, label, ("a", "b", "c")), Images, 128, seed=seed)
    for _ in made:
        pass
    made.drain()
    with torch.no_grad():
        log_p = made.model.class_logits(points).log_softmax(1)
    return clustering_accuracy(log_p.argmax(1), label), marginal_entropy(log_p).item()


def test_blobs_are_told_apart_without_labels():
    """In the best of three short runs. It guards against breakage and is no evidence: by seed two of the blobs may be
    merged, and runs that go on may merge them again."""
    accuracy, marginal = max(blobs(seed) for seed in range(3))
    assert accuracy > 0.99
    assert marginal > 0.95 * math.log(3)


def test_control_without_the_marginal_blobs_share_a_category():
    """From each of the three seeds: two blobs are one category, and one category is left unused."""
    for seed in range(3):
        accuracy, marginal = blobs(seed, marginal_weight=0.0)
        assert accuracy < 0.7
        assert marginal < 0.9 * math.log(3)
