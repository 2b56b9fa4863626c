"""SGAN against its paper: one softmax over N + 1 classes, what each kind of image is told, what is not told; the known
mistakes: a second head, a softmax before the cross-entropy, all labels."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium import registry
from ganarium.data.batches import Batches
from ganarium.data.dataset import PartlyLabelledImages
from ganarium.data.sources import points as toys
from ganarium.models.sgan import realness
from ganarium.trainer import Trainer
from synthetic import refused, trainer


class Told(nn.Module):
    """A discriminator that says what it is told to, one call after another; what it was shown is kept."""

    def __init__(self, *logits: Tensor) -> None:
        super().__init__()
        self.logits, self.shown = iter(logits), []

    def forward(self, x: Tensor) -> Tensor:
        self.shown.append(x)
        return next(self.logits).to(x) + 0 * x.sum()


def told(logits: list[Tensor], labels: Tensor | None = None, **options) -> tuple[dict[str, Tensor], Tensor]:
    """D's terms and G's loss where D says these logits of the labelled, the unlabelled, the fakes, and G's fakes."""
    made = trainer("sgan", (2,), batch_size=len(logits[0]), **options)
    if labels is not None:
        made.batches.labels, made.batches.labelled = labels, torch.arange(len(labels))
    made.model.discriminator = Told(*logits)
    (_, terms, _), (_, last) = made.model.step(made.batches)
    return terms, last["adversarial"]


# ---- the losses ----------------------------------------------------------------------------------------------------


def test_values_at_zero_logits():
    """N = 10: log 11 for the labelled and the fakes, log 11 - log 10 for the unlabelled and for G."""
    terms, adversarial = told([torch.zeros(4, 11)] * 4)
    assert terms["labelled"].item() == pytest.approx(2.3979, abs=1e-4)
    assert terms["fake"].item() == pytest.approx(2.3979, abs=1e-4)
    assert terms["unlabelled"].item() == pytest.approx(0.0953, abs=1e-4)
    assert adversarial.item() == pytest.approx(0.0953, abs=1e-4)


def test_all_are_logarithms_of_one_softmax():
    torch.manual_seed(0)
    logits = [3 * torch.randn(6, 5) for _ in range(4)]
    terms, adversarial = told(logits, torch.full((6,), 2))
    labelled, unlabelled, fake, again = (part.softmax(1) for part in logits)
    assert terms["labelled"].item() == pytest.approx(-labelled[:, 2].log().mean().item(), rel=1e-5)
    assert terms["unlabelled"].item() == pytest.approx(-(1 - unlabelled[:, 4]).log().mean().item(), rel=1e-5)
    assert terms["fake"].item() == pytest.approx(F.cross_entropy(logits[2], torch.full((6,), 4)).item(), rel=1e-5)
    assert terms["fake"].item() == pytest.approx(-fake[:, 4].log().mean().item(), rel=1e-5)
    assert adversarial.item() == pytest.approx(-(1 - again[:, 4]).log().mean().item(), rel=1e-5)


def test_only_differences_of_all_the_logits_count():
    """The logit of what is generated is free; in Improved GAN it is 0, and there the level of the others counts."""
    torch.manual_seed(0)
    logits = [torch.randn(6, 5) for _ in range(4)]
    every = [part + 3 for part in logits]
    classes = [torch.cat([part[:, :-1] + 3, part[:, -1:]], 1) for part in logits]
    values = [[term.item() for term in terms.values()] for terms, _ in map(told, (logits, every, classes))]
    assert values[1] == pytest.approx(values[0], rel=1e-4)
    assert values[2][1] > values[0][1] + 1
    assert values[2][2] < values[0][2]


def test_g_moves_all_logits_of_the_one_head():
    """dG/dl_N = P(N), and the classes share the rest. Known mistake: G learns from a head of its own for real or fake,
    and the classes have no part in it."""
    logits = torch.tensor([[0.5, -1.0, 2.0, 0.3]], requires_grad=True)
    F.softplus(-realness(logits)).sum().backward()
    odds = logits.detach().softmax(1)[0]
    expected = [*(odds[:3] - odds[:3] / odds[:3].sum()), odds[3]]
    assert logits.grad[0].tolist() == pytest.approx([float(part) for part in expected], abs=1e-6)
    for shape in ((2,), (1, 16, 16)):
        layers = [m for m in trainer("sgan", shape, width=16).model.discriminator.modules() if isinstance(m, nn.Linear)]
        assert [m.out_features for m in layers if m.out_features < 16] == [5]


class Table(nn.Module):
    """A discriminator that says the same of everything."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(5))

    def forward(self, x: Tensor) -> Tensor:
        return self.logits.expand(len(x), 5) + 0 * x.sum()


@pytest.mark.parametrize(("unlabelled", "share"), [(True, 1 / 3), (False, 1 / 2)])
def test_optimum_where_all_images_are_alike(unlabelled, share):
    """P(N) is the share of the fakes among all that D sees, and the labels share the rest."""
    made = trainer("sgan", (2,), batch_size=12, unlabelled=unlabelled)
    made.model.discriminator = table = Table()
    rule = torch.optim.Adam(table.parameters(), lr=0.05)
    for _ in range(150):
        rule.zero_grad()
        sum(next(made.model.step(made.batches))[1].values()).backward()
        rule.step()
    assert table.logits.softmax(0).tolist() == pytest.approx([(1 - share) / 4] * 4 + [share], abs=2e-3)


def test_control_a_softmax_before_the_cross_entropy_has_a_floor():
    """Twelve labelled points are learned by heart: the loss falls below 0.1. The known mistake, learned on the same
    points as long, stays above log(e + K - 1) - 1, K = N + 1."""
    losses = {}
    for mistaken in (False, True):
        made = trainer("sgan", (2,), batch_size=12, width=64)
        made.model.generate = lambda n: torch.full((n, 2), 9.0)
        rule = torch.optim.Adam(made.model.discriminator.parameters(), lr=1e-2)
        for _ in range(150):
            rule.zero_grad()
            image, label, _ = next(made.batches)
            terms = next(made.model.step(made.batches))[1]
            if mistaken:
                terms = {"labelled": F.cross_entropy(made.model.discriminator(image).softmax(1), label)}
            sum(terms.values()).backward()
            rule.step()
        losses[mistaken] = terms["labelled"].item()
    assert losses[False] < 0.1
    assert losses[True] > math.log(math.e + 4) - 1 == pytest.approx(0.9048, abs=1e-4)
    assert math.log(math.e + 10) - 1 == pytest.approx(1.5430, abs=1e-4)  # where there are ten classes


# ---- what D sees ---------------------------------------------------------------------------------------------------


def shown(unlabelled: bool) -> tuple[list[Tensor], PartlyLabelledImages]:
    made = trainer("sgan", batch_size=6, prepare=False, unlabelled=unlabelled)
    made.model.discriminator = D = Told(*[torch.zeros(6, 5)] * 3)
    next(made.model.step(made.batches))
    made.batches.drawn = 0
    return D.shown, next(made.batches)


def test_labelled_unlabelled_and_fakes_each_by_themselves():
    (first, second, third), (image, _, unlabelled) = shown(True)
    assert torch.equal(first, image)
    assert torch.equal(second, unlabelled)
    assert not torch.equal(third, unlabelled)
    (first, second), (image, _, _) = shown(False)
    assert torch.equal(first, image)
    assert not torch.equal(second, image)


def test_image_and_label_are_of_one_pair():
    """D that reads the label off the image is right; with the labels turned by one image it is wrong."""
    made = trainer("sgan", (2,), batch_size=12)
    made.batches.images[:12, 0] = made.batches.labels[:12].float()

    class Reads(nn.Module):
        def forward(self, x):
            return 50 * (x[:, :1].round() == torch.arange(5)) + 0 * x.sum()

    made.model.discriminator = Reads()
    assert next(made.model.step(made.batches))[1]["labelled"].item() < 1e-6
    made.batches.labels = made.batches.labels.roll(1)
    assert next(made.model.step(made.batches))[1]["labelled"].item() > 40


def weights_after(labels: Tensor | None = None, images: Tensor | None = None, **options) -> dict[str, Tensor]:
    made = trainer("sgan", (1, 8, 8), total=3, **options)
    made.batches.labels = made.batches.labels if labels is None else labels
    made.batches.images = made.batches.images if images is None else images
    for _ in made:
        pass
    return {key: value.clone() for key, value in made.model.state_dict().items()}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, b[key]) for key, value in a.items())


def test_labels_of_the_unlabelled_are_not_seen():
    """Known mistake: all labels are used. Only the first twelve images have theirs here."""
    plain, labels = weights_after(), torch.arange(64) % 4
    permuted, known = labels.clone(), labels.clone()
    permuted[12:] = labels[12:].flip(0)
    known[0] = 3
    assert not torch.equal(permuted, labels)
    assert same(plain, weights_after(permuted))
    assert not same(plain, weights_after(known))


def test_unlabelled_images_are_seen_unless_left_away():
    images = trainer("sgan", (1, 8, 8)).batches.images.clone()
    images[12:] = 255 - images[12:]
    assert not same(weights_after(), weights_after(images=images))
    assert same(weights_after(unlabelled=False), weights_after(images=images, unlabelled=False))


def test_which_network_each_loss_moves():
    made = trainer("sgan")
    (_, terms, watched), (_, last) = made.model.step(made.batches)
    assert list(terms) == ["labelled", "fake", "unlabelled"]
    sum(terms.values()).backward()
    assert all(p.grad is None for p in made.model.generator.parameters())
    assert all(p.grad is not None for p in made.model.discriminator.parameters())
    last["adversarial"].backward()
    assert all(p.grad is not None for p in made.model.generator.parameters())
    assert watched["real"].shape == watched["fake"].shape == (6,)


# ---- classes, networks, settings -----------------------------------------------------------------------------------


def test_the_class_of_the_generated_is_no_answer():
    model = trainer("sgan").model
    model.discriminator = Told(torch.tensor([[1.0, 2, 0, 0, 90]]))
    odds = model.probabilities(torch.zeros(1, 1, 16, 16))
    assert odds.shape == (1, 4)
    assert odds[0].tolist() == pytest.approx(torch.tensor([1.0, 2, 0, 0]).softmax(0).tolist())


def test_numbers():
    made = trainer("sgan")
    for moved in made.players.values():
        (group,) = moved.optimizer.param_groups
        assert isinstance(moved.optimizer, torch.optim.Adam)
        assert (group["lr"], group["betas"]) == (2e-4, (0.5, 0.999))
    model = made.model
    assert (model.batch_type, model.classifies, model.sample_mode) == (PartlyLabelledImages, True, "train")
    assert (model.batch_size, trainer("sgan", (2,)).model.batch_size) == (64, 256)
    z = model.latent(2000)
    assert z.shape == (2000, 100)
    assert -1 <= z.min() < -0.99 < 0.99 < z.max() <= 1


@pytest.mark.parametrize("norm", [None, "none", "layer", "spectral"])
@pytest.mark.parametrize("network", ["mlp", "dcgan", "resnet"])
def test_every_network_trains(network, norm):
    made = trainer("sgan", (3, 9, 14), network=network, norm=norm, width=8, dropout=0.2, total=2)
    for _ in made:
        pass
    assert len(made.drain().rows) == 2
    assert made.model.sample(2, seed=0).shape == (2, 3, 9, 14)
    assert made.model.probabilities(torch.zeros(3, 3, 9, 14)).shape == (3, 4)


@pytest.mark.parametrize("options", [{"dropout": 1.0}, {"dropout": -0.1}, {"beta1": 1.0}])
def test_values_out_of_range(options):
    refused(f"{next(iter(options))} must be from 0", lambda: registry.create("sgan", (1, 16, 16), 4, **options))


def test_data_that_do_not_fit():
    refused("sgan ... no labels", lambda: registry.create("sgan", (1, 16, 16)))
    refused("sgan ... one class", lambda: registry.create("sgan", (1, 16, 16), 1))
    refused("no dcgan for 2-D points", lambda: registry.create("sgan", (2,), 8, network="dcgan"))


# ---- it learns -----------------------------------------------------------------------------------------------------


def test_it_learns_to_classify_points():
    """The eight Gaussians of the ring, of whose 100,000 points 8 have a label."""
    train, test = toys.ring()

    def accuracy(steps: int) -> float:
        torch.manual_seed(0)
        model = registry.create("sgan", (2,), 8, width=32, lr=3e-3)
        made = Trainer(model, Batches(train.keep_labels(1, 0), PartlyLabelledImages, 64), steps)
        for _ in made:
            pass
        return (model.classify(test.images[:2000]) == test.labels[:2000]).double().mean().item()

    assert accuracy(150) > 0.95
    assert accuracy(0) < 0.5
