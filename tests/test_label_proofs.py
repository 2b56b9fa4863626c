"""What the proofs on labels measure, and that their controls are what they are said to be."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from ganarium import registry
from ganarium.data.batches import Batches
from ganarium.data.dataset import Dataset
from ganarium.model import Model
from ganarium.proofs import experiment as harness
from ganarium.proofs.changes import Change, ReplaceStep, ShuffledLabels, WithoutPlayer
from ganarium.proofs.claim import list_proofs, load_claim
from ganarium.proofs.measures import categories, labels
from ganarium.trainer import Trainer

CLASSES = ("sgan", "improved_gan", "catgan", "triple_gan", "ct_gan")
SMALL = {
    "sgan": {"width": 4},
    "improved_gan": {"width": 8},
    "catgan": {"width": 4, "semi_supervised": True},
    "triple_gan": {"width": 8, "classifier_width": 2, "num_pretraining_steps": 0, "pseudo_start": 0},
    "ct_gan": {"width": 8, "semi_supervised": True},
}
PLAYER = {name: "C" if name == "triple_gan" else "D" for name in CLASSES}


def bright_quarters(n=64):
    """Images (n, 8, 8, 1) whose one bright quarter is their class, of four."""
    labels = torch.arange(n) % 4
    images = torch.randint(0, 60, (n, 8, 8, 1), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    for image, k in zip(images, labels.tolist(), strict=True):
        image[4 * (k // 2) :, 4 * (k % 2) :][:4, :4] = 255
    return Dataset(name="quarters", images=images, labels=labels, class_names=tuple("abcd"))


def trained_on(name, data, alter, steps=2):
    torch.manual_seed(0)
    model = registry.create(name, data.shape, 4, **SMALL[name])
    alter(model)
    trainer = Trainer(model, Batches(data, model.batch_type, 8), steps)
    trainer.prepare()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    for _ in trainer:
        pass
    return before, model


@pytest.mark.parametrize("name", CLASSES)
def test_a_classifier_alone_learns_from_labelled_images_and_moves_nothing_else(name):
    data = bright_quarters().keep_labels(2, 0)
    assert data.labelled is not None
    others = torch.ones(len(data), dtype=torch.bool)
    others[data.labelled] = False
    images = data.images.clone()
    images[others] = images[others].flip(1)
    ways = [
        trained_on(name, each, labels.LabelsAlone(PLAYER[name]).apply) for each in (data, replace(data, images=images))
    ]
    before, model = ways[0]
    after = model.state_dict()
    assert not any(key.startswith("generator") and not torch.equal(before[key], after[key]) for key in before)
    assert any(not torch.equal(before[key], after[key]) for key in before)
    if name not in ("improved_gan", "ct_gan"):  # whose first weights are fitted to images without labels
        assert all(torch.equal(after[key], value) for key, value in ways[1][1].state_dict().items())


@pytest.mark.parametrize("name", CLASSES)
def test_without_its_player_the_generator_stays(name):
    data = bright_quarters().keep_labels(2, 0)
    before, model = trained_on(name, data, WithoutPlayer("G").apply)
    weights = {key for key, _ in model.generator.named_parameters(prefix="generator")}
    after = model.state_dict()
    assert weights
    assert all(torch.equal(before[key], after[key]) for key in weights)
    assert any(not torch.equal(before[key], after[key]) for key in set(before) - weights)


def test_c_with_its_own_terms_learns_from_all_images_and_moves_nothing_else():
    """As the model's C does in its first phase, and on without D and G."""
    data = bright_quarters().keep_labels(2, 0)
    options = SMALL["triple_gan"] | {"num_pretraining_steps": 2}
    ways = []
    for alter, images in (
        (lambda model: None, data.images),
        (ReplaceStep(labels.regularised).apply, data.images),
        (ReplaceStep(labels.regularised).apply, data.images.flip(1)),
    ):
        torch.manual_seed(0)
        model = registry.create("triple_gan", data.shape, 4, **options)
        alter(model)
        trainer = Trainer(model, Batches(replace(data, images=images), model.batch_type, 8), 3)
        trainer.prepare()
        before = {key: value.clone() for key, value in model.state_dict().items()}
        states = [{key: value.clone() for key, value in model.state_dict().items()} for _ in trainer]
        ways.append([before, *states])
    model, control, others = ways
    assert all(torch.equal(value, control[2][key]) for key, value in model[2].items())
    assert not all(torch.equal(value, others[2][key]) for key, value in control[2].items())
    moved = {key for key, value in control[0].items() if not torch.equal(value, control[3][key])} - {"clock"}
    assert {key.split(".")[0] for key in moved} == {"classifier"}
    assert not all(torch.equal(value, control[3][key]) for key, value in control[2].items() if "classifier" in key)


def test_nearest_labelled():
    train, test = bright_quarters().keep_labels(1, 0), bright_quarters(40)
    assert labels.nearest_labelled(train, test) == 1
    wrong = replace(train, labels=(train.labels + 1) % 4)
    assert labels.nearest_labelled(wrong, test) == 0


def test_shuffled_labels_keep_images_and_counts():
    data = bright_quarters(4000)
    control = ShuffledLabels().data(data, 0)
    assert torch.equal(control.images, data.images)
    assert torch.equal(control.labels.bincount(), data.labels.bincount())
    assert (control.labels == data.labels).double().mean().item() == pytest.approx(0.25, abs=0.03)


def test_a_control_is_trained_on_the_shuffled_labels(monkeypatch):
    """Which are others than the real ones, in another order, and as many of each."""
    data, seen = bright_quarters(400), []
    monkeypatch.setattr(
        harness, "Batches", lambda train, *rest, **more: seen.append(train) or Batches(train, *rest, **more)
    )
    scale = harness.Scale("toy", 1, SMALL["sgan"] | {"batch_size": 8})
    for change in (Change(), ShuffledLabels()):
        experiment = harness.Experiment(model="sgan", scale=scale, seed=3, train=data, test=data, change=change)
        assert len([*harness.Measure().training(experiment, data)]) == 1
    plain, control = (train.labels for train in seen)
    assert torch.equal(plain, data.labels)
    assert not torch.equal(control, data.labels)
    assert torch.equal(control.sort().values, data.labels.sort().values)


def test_images_are_drawn_from_the_whole_set():
    """Known mistake: the first ones, which of digits that lie in the order of their classes are all zeros."""
    data = bright_quarters(400)
    levels = replace(data, images=(torch.arange(400) // 2).to(torch.uint8)[:, None, None, None].expand(-1, 8, 8, 1))
    drawn = [harness.draw(levels, 100, seed)[:, 0, 0, 0] for seed in (0, 0, 1)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert drawn[0].max() > 0.4, "the first hundred end at -0.6"
    assert harness.draw(levels, 400, 0)[:, 0, 0, 0].sort().values.tolist() == pytest.approx(
        ((torch.arange(400) // 2) / 127.5 - 1).tolist()
    ), "without replacement"


class Bright(Model):
    """A model that says 1 of bright images and 0 of dark ones, with a certainty that grows with the contrast."""

    classifies = True

    def __init__(self):
        super().__init__(None, (1, 8, 8), 2)
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def class_logits(self, image):
        level = image.flatten(1).mean(1)
        return torch.stack([-level, level], 1) + 0 * self.weight


def two_splits():
    """Training images whose labels are all wrong, and test images whose labels are right."""
    images = torch.tensor([50, 200], dtype=torch.uint8).repeat(30)[:, None, None, None].expand(-1, 8, 8, 1)
    right = torch.tensor([0, 1]).repeat(30)
    train, test = (Dataset("toy", images, labels, ("dark", "bright")) for labels in (1 - right, right))
    return harness.Experiment(model="sgan", scale=harness.Scale("toy", 1), seed=0, train=train, test=test)


@pytest.mark.parametrize(
    "measure", [labels.FewLabels("C"), labels.FewLabelsAndFidelity("C"), labels.FidelityAndAccuracy()]
)
def test_accuracy_is_on_test_images(measure, monkeypatch):
    monkeypatch.setattr(labels, "read_classes", lambda experiment, model: {"fidelity": 0.5})
    monkeypatch.setattr(labels, "styles", lambda model, train: None)
    model = Bright()
    model.sample = lambda n, **_: torch.zeros(n, 1, 8, 8)
    assert measure.read(two_splits(), model).values["accuracy"] == 1


def test_baselines_and_names_of_categories_use_the_right_split():
    """The nearest labelled image is one of training, whose labels are wrong here; categories are named by training
    images too, and judged by the test images."""
    experiment = two_splits()
    nearest = labels.FewLabels("C", labels_per_class=3).baselines(experiment)["nearest_labelled"]["accuracy"]
    assert nearest == 0
    model = Bright()
    model.sample = lambda n, **_: torch.zeros(n, 1, 8, 8)
    assert categories.NamedCategories().read(experiment, model).values["accuracy"] == 0


def test_diversity_is_one_of_images_and_none_of_copies():
    data = bright_quarters(400)
    images = data.images.permute(0, 3, 1, 2) / 127.5 - 1
    assert labels.diversity(images, data.labels, data, seed=0) == pytest.approx(1, abs=0.02)
    copies = images[data.labels]  # images 0 to 3 are one of each class
    assert labels.diversity(copies, data.labels, data, seed=0) == 0


def test_rows_of_styles():
    model = registry.create("acgan", (1, 16, 16), 4, generator_width=4, discriminator_width=4).eval()
    sheet = labels.styles(model, replace(bright_quarters(), name="any"))
    assert sheet.shape == (16, 1, 16, 16)


@pytest.mark.parametrize("name", CLASSES)
def test_every_semi_supervised_model_has_a_claim_on_few_labels(name):
    claim = load_claim(f"{name}_few_labels")
    assert claim.control == labels.LabelsAlone(PLAYER[name])
    assert claim.measure.labels_per_class == 10


@pytest.mark.parametrize("name", ["cgan", "acgan", "cls_gan"])
def test_every_conditional_model_has_a_claim_on_its_labels(name):
    assert f"{name}_labels" in list_proofs(name)
    assert load_claim(f"{name}_labels").control == ShuffledLabels()


def test_slant_of_drawn_lines():
    """Columns for a row: 1 along the diagonal, -1 along the other, 0 upright and for no ink at all."""
    images = torch.full((4, 1, 9, 9), -1.0)
    for row in range(9):
        images[0, 0, row, row] = images[1, 0, row, 8 - row] = images[2, 0, row, 4] = 1.0
    assert categories.slant(images).tolist() == pytest.approx([1, -1, 0, 0])


def test_rank_correlation():
    """Spearman's, with mean ranks for equal values; rows of one value, of which order tells nothing, have 0."""
    rows = torch.tensor([[0.0, 1.0, 5.0, 9.0], [9.0, 5.0, 1.0, 0.0], [2.0, 2.0, 2.0, 2.0], [0.0, 0.0, 5.0, 1.0]])
    ranks = torch.tensor([1.5, 1.5, 4.0, 3.0]) - 2.5
    expected = (ranks * (torch.arange(4) - 1.5)).sum() / (ranks.square().sum() * 5).sqrt()
    assert categories.rank_correlation(rows).tolist() == pytest.approx([1, -1, 0, expected.item()])


def test_slant_by_code():
    """Of a model whose first code turns the line it draws, to the other side in one of its two categories; the second
    code turns it as the noise says, in either, and the third not at all."""

    class Turned:
        device = torch.device("cpu")
        config = SimpleNamespace(noise_dim=1, num_categories=2, num_continuous=3)
        latent = staticmethod(lambda n: torch.cat([torch.rand(n, 1), torch.zeros(n, 5)], 1))

        @staticmethod
        def generate(n, code):
            side = torch.stack([code[:, 1] - code[:, 2], (code[:, 0] < 0.5) * 2.0 - 1, code[:, 0] * 0], 1)
            turn = 0.5 * (side * code[:, 3:]).sum(1)
            row = torch.arange(16.0)[None, :, None] - 7.5
            line = 7.5 + 2 * (code[:, 0] - 0.5)[:, None, None] + turn[:, None, None] * row
            return 2 * torch.exp(-(torch.arange(16.0) - line).square())[:, None] - 1

    torch.manual_seed(0)
    rank, lean = categories.slant_by_code(Turned(), 0)
    assert rank > 0.99
    assert 1.3 < lean < 2  # from -1 to 1 columns for a row, less what the edges cut off
    rank, lean = categories.slant_by_code(Turned(), 1)
    assert rank < 0.25
    assert lean < 0.4
    assert categories.slant_by_code(Turned(), 2) == pytest.approx((0, 0), abs=1e-6)


def test_area_of_right_over_wrong():
    right, wrong = torch.tensor([3.0, 1.0]), torch.tensor([0.0, 1.0, 2.0, 2.0])
    assert labels.chance_above(right, wrong) == pytest.approx((4 + 1.5) / 8)
    assert labels.chance_above(wrong, right) == pytest.approx(1 - 5.5 / 8)


def test_a_step_without_mismatched_pairs():
    """It differs from the model's in that alone: the sum of D's terms where labels are matched, and all of G's."""
    terms = []
    for alter in (lambda model: None, ReplaceStep(labels.without_mismatched).apply):
        torch.manual_seed(0)
        model = registry.create("cgan", (1, 8, 8), 4, design="two_networks", width=48, dropout=0.0)
        alter(model)
        fake = torch.rand(8, 1, 8, 8)
        model.generate = lambda n, label, fake=fake: fake
        asked, judge = [], model.D
        model.D = lambda image, label, judge=judge, asked=asked: asked.append(label) or judge(image, label)
        batches = Batches(bright_quarters(), model.batch_type, 8)
        terms.append(
            [(turn[0], {name: value.item() for name, value in turn[1].items()}) for turn in model.step(batches)]
        )
        batches.drawn = 0
        label = next(batches).label
        terms[-1].append([torch.equal(one, label) for one in asked])
    (_, own), own_g, told = terms[0]
    (_, control), control_g, always = terms[1]
    assert {name: own[name] for name in ("match", "real", "fake")} == pytest.approx(
        {name: control[name] for name in ("match", "real", "fake")}
    )
    assert own_g == control_g
    assert (told, always) == ([True, True, False, True], [True, True, True])


def test_categories_are_named_by_few_labels():
    """A model that sorts by the bright quarter is right everywhere, and one that says one thing in a quarter; of two
    categories of one class both are named. A row of the picture shows one category, dark where it has no more."""
    data = bright_quarters(200)

    class Sorts:
        device = torch.device("cpu")

        def __init__(self, splits):
            self.splits = splits

        def class_logits(self, images):
            quarter = torch.nn.functional.avg_pool2d(images, 4).flatten(1).argmax(1)
            other = (images[:, 0, 0, 0] > images[:, 0, 7, 7]).long() if self.splits else 0
            return 9.0 * torch.nn.functional.one_hot(self.splits * (2 * quarter + other), 8)

    right, one = Sorts(1), Sorts(0)
    said = [categories.predictions(model, data.images) for model in (right, one)]
    assert said[0].exp().sum(1).tolist() == pytest.approx([1] * 200)
    assert categories.named_accuracy(right, data, data, said[0], seed=0) == 1
    assert categories.named_accuracy(one, data, data, said[1], seed=0) == 0.25
    sheet = categories.by_category(data, said[1])
    assert sheet.shape == (64, 1, 8, 8)
    assert (sheet[8:] == -1).all()
    assert sheet[:8].amax((1, 2, 3)).min() > 0


def test_certain_of_fakes_turns_one_sign_round():
    data, turns = bright_quarters(), []
    for alter in (lambda model: None, load_claim("catgan_clusters").runs_beside["certain_of_fakes"].apply):
        torch.manual_seed(0)
        model = registry.create("catgan", data.shape, 4, width=4, num_categories=4)
        alter(model)
        torch.manual_seed(1)
        turns.append([(player, terms) for player, terms, *_ in model.step(Batches(data, model.batch_type, 8))])
    for (player, right), (other, wrong) in zip(*turns, strict=True):
        assert player == other
        assert right.keys() == wrong.keys()
        for key in right:
            sign = -1 if (player, key) == ("D", "fake") else 1
            assert wrong[key].item() == pytest.approx(sign * right[key].item())
            assert right[key].item() != 0
