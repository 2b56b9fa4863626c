"""AAE against its paper: the phases and whom each moves, which side is real, the priors and their parts, labels in the
prior, categories and cluster heads; the known mistakes: one loss for all, codes as reals, a prior of another size."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from ganarium import registry
from ganarium.data.dataset import Images, PartlyLabelledImages
from ganarium.layers.code_priors import mixture, swiss_roll
from ganarium.losses import as_fake, as_real
from ganarium.networks.aae import Decoder, Encoder
from synthetic import quadrants, refused, trainer


class Linear(nn.Module):
    """Scores that are a multiple of the first number; what was shown is kept."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor, self.shown = nn.Parameter(torch.tensor(factor)), []

    def forward(self, x: Tensor) -> Tensor:
        self.shown.append(x)
        return self.factor * x[:, 0]


class Mean(nn.Module):
    """An encoder that gives the mean of an image, times a factor, in every number."""

    def __init__(self, numbers: int) -> None:
        super().__init__()
        self.factor, self.numbers = nn.Parameter(torch.tensor(0.5)), numbers

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x.mean((1, 2, 3))[:, None].expand(-1, self.numbers)


class Grey(nn.Module):
    """A decoder that gives images of the last number of the code, times a factor."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(0.8))

    def forward(self, code: Tensor) -> Tensor:
        return (self.factor * code[:, -1])[:, None, None, None].expand(-1, 1, 8, 8)


class Told(nn.Module):
    """A network that answers with what a function says; what was shown is kept."""

    def __init__(self, answer) -> None:
        super().__init__()
        self.answer, self.shown = answer, []

    def forward(self, x: Tensor) -> Tensor:
        self.shown.append(x)
        return self.answer(x)


def model_of(num_classes=4, **options):
    torch.manual_seed(0)
    return registry.create("aae", (1, 8, 8), num_classes, **{"width": 8, "latent_dim": 2} | options)


def parts(step):
    """The terms of each player of one step without updates."""
    return {move[0]: move[1] for move in step}


# ---- the phases ----------------------------------------------------------------------------------------------------


def test_every_term_in_closed_form():
    """x = 0.6 everywhere: z = 0.3, x^ = 0.24. The prior is put at -1, and D(z) = 3 z."""
    model = model_of()
    model.encoder, model.generator, model.discriminator = Mean(2), Grey(), Linear(3.0)
    model.drawn = lambda part: torch.full((len(part), 2), -1.0)
    terms = parts(model.step(iter([Images(torch.full((4, 1, 8, 8), 0.6))])))
    assert terms["AE"]["reconstruction"].item() == pytest.approx(0.18**2, rel=1e-5)  # of pixels in [0, 1]
    assert terms["D"]["real_code"].item() == pytest.approx(as_real(torch.tensor(-3.0)).item())
    assert terms["D"]["fake_code"].item() == pytest.approx(as_fake(torch.tensor(0.9)).item(), rel=1e-5)
    assert terms["E"]["code"].item() == pytest.approx(as_real(torch.tensor(0.9)).item(), rel=1e-5)


def test_values_where_d_says_nothing():
    model = model_of()
    model.discriminator = Linear(0.0)
    terms = parts(model.step(iter([Images(torch.zeros(4, 1, 8, 8))])))
    assert terms["D"]["real_code"].item() == terms["D"]["fake_code"].item() == pytest.approx(math.log(2))
    assert terms["E"]["code"].item() == pytest.approx(math.log(2))


def test_whom_each_phase_moves():
    """Known mistake (PyTorch-GAN): one optimiser for encoder and decoder on 0.001 of the one loss and 0.999 of the
    other. Here the reconstruction leaves D alone, and the adversarial phase the decoder."""
    made = trainer("aae", (1, 8, 8), num_categories=3)
    moved = {}
    before = {key: p.clone() for key, p in made.model.named_parameters()}
    for update in made.updates():
        now = {key: p.clone() for key, p in made.model.named_parameters()}
        moved[update.player] = {key.split(".")[0] for key in now if not torch.equal(now[key], before[key])}
        before = now
    judges = {"discriminator", "category_discriminator"}
    assert moved == {"AE": {"encoder", "generator"}, "D": judges, "E": {"encoder"}}


def test_d_sees_the_codes_of_the_encoder_after_its_reconstruction():
    made = trainer("aae", (1, 8, 8))
    model, image = made.model, made.batches.draw(6).image
    made.batches.draw = lambda n: Images(image)
    model.discriminator = Linear(1.0)
    step = model.step(made.batches)
    next(step)
    with torch.no_grad():  # as an update would
        model.encoder.layers.layers[-1].bias.add_(1.0)
    next(step)
    codes = model.discriminator.shown[-1]
    assert torch.equal(codes, model.encoded(image))
    assert not codes.requires_grad, "D's loss does not reach the encoder"


def test_each_phase_has_its_own_rates():
    modern, paper = model_of().players, model_of(recipe="paper").players
    assert [modern[name].optimizer.lr for name in ("AE", "D", "E")] == [1e-3, 2e-4, 2e-4]
    rates = [(paper[name].optimizer.lr(0, 10), paper[name].optimizer.momentum) for name in ("AE", "D", "E")]
    assert rates == [(0.01, 0.9), (0.1, 0.1), (0.1, 0.1)]


def test_three_networks_of_two_hidden_layers():
    """784-1000-1000-8, 8-1000-1000-784, 8-1000-1000-1, with biases."""
    model = registry.create("aae", (1, 28, 28))
    counts = [sum(p.numel() for p in net.parameters()) for net in (model.encoder, model.generator, model.discriminator)]
    assert counts == [1_794_008, 1_794_784, 1_011_001]
    weights = torch.cat([p.flatten() for p in model.parameters() if p.dim() == 2])
    assert weights.std().item() == pytest.approx(0.01, rel=0.01)


# ---- priors --------------------------------------------------------------------------------------------------------


def test_sizes_of_the_priors():
    """Known mistake: samples from a prior of another size than the one that the codes were held to."""
    for options, std in [({}, 5.0), ({"prior_std": 2.0}, 2.0), ({"num_categories": 3}, 1.0)]:
        model = model_of(**options)
        z = model.latent(20_000)[:, model.K :]
        assert z.std(0).tolist() == pytest.approx([std] * 2, rel=0.03)
        model.discriminator = Linear(1.0)
        list(model.step(iter([Images(torch.zeros(5000, 1, 8, 8))])))
        assert model.discriminator.shown[0][:, :2].std().item() == pytest.approx(std, rel=0.05), "what D is shown"
    z = model_of(prior="uniform").latent(5000)
    assert z.abs().max() <= 1
    assert z.std().item() == pytest.approx(1 / math.sqrt(3), rel=0.03)


def test_components_of_the_mixture():
    torch.manual_seed(0)
    part = torch.arange(10).repeat(2000)
    z = mixture(part, 10, torch.float64)
    angle = 2 * math.pi * part / 10
    outwards = z[:, 0] * angle.cos() + z[:, 1] * angle.sin()
    aside = z[:, 1] * angle.cos() - z[:, 0] * angle.sin()
    assert (outwards.mean().item(), outwards.std().item()) == pytest.approx((4.0, 1.0), abs=0.03)
    assert (aside.mean().item(), aside.std().item()) == pytest.approx((0.0, 0.25), abs=0.01)


def test_pieces_of_the_swiss_roll():
    """They follow one another outwards, and cover it evenly: the share of draws within r grows with r^2."""
    torch.manual_seed(0)
    part = torch.arange(4).repeat(2000)
    radius = swiss_roll(part, 4, torch.float64).norm(dim=1)
    ends = [(radius[part == k].min().item(), radius[part == k].max().item()) for k in range(4)]
    for k, (low, high) in enumerate(ends):
        assert 5 * math.sqrt(k / 4) <= low < high <= 5 * math.sqrt((k + 1) / 4)
    assert (radius.square() / 25).mean().item() == pytest.approx(0.5, abs=0.01)


# ---- labels in the prior -------------------------------------------------------------------------------------------


def test_what_d_is_told_of_labels():
    """K + 1 entries. Half of the codes and half of the draws have the last one; draws of the other half have the
    component that they are from."""
    model = model_of(prior="mixture", labels_in_prior=True)
    model.discriminator = Linear(1.0)
    label = torch.tensor([3, 1, 0, 2] * 50)
    batch = PartlyLabelledImages(torch.zeros(200, 1, 8, 8), label, torch.ones(200, 1, 8, 8))
    list(model.step(iter([batch])))
    drawn, codes, _ = model.discriminator.shown
    assert drawn.shape == codes.shape == (400, 2 + 5)
    assert torch.equal(codes[:, 2:].argmax(1), torch.cat([label, torch.full((200,), 4)]))
    told = drawn[:, 2:].argmax(1)
    assert (told[:200] < 4).all()
    assert (told[200:] == 4).all()
    angle = torch.atan2(drawn[:, 1], drawn[:, 0]) / (2 * math.pi) * 4
    assert ((angle.round() % 4).long()[:200] == told[:200]).double().mean() > 0.97
    assert (codes[:200, :2] - codes[200:, :2]).abs().max() > 0, "both kinds of images are encoded"


def test_a_label_chooses_the_component():
    model = model_of(prior="mixture", labels_in_prior=True)
    assert model.conditional
    model.generator = Told(lambda code: torch.zeros(len(code), 1, 8, 8))
    model.generate(100, label=torch.full((100,), 1))
    model.generate(400)
    asked, drawn = model.generator.shown
    assert (asked[:, 1] > 0).all(), "component 1 of 4 lies upwards"
    assert 60 < (drawn[:, 1] > drawn[:, 0].abs()).sum() < 140


# ---- categories ----------------------------------------------------------------------------------------------------


def test_categories_are_a_softmax_and_their_draws_one_hot():
    model = model_of(num_categories=5)
    model.category_discriminator = Linear(1.0)
    list(model.step(iter([Images(torch.rand(500, 1, 8, 8))])))
    drawn, codes, _ = model.category_discriminator.shown
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    assert (drawn.sum(1) == 1).all()
    assert drawn.mean(0).tolist() == pytest.approx([0.2] * 5, abs=0.07)
    assert codes.sum(1).tolist() == pytest.approx([1.0] * 500, rel=1e-5)
    assert codes.max() < 0.9, "a softmax of a network that has learned nothing"


def test_semi_supervised_phase_is_cross_entropy_of_the_labelled_alone():
    made = trainer("aae", (1, 8, 8), semi_supervised=True, latent_dim=2)
    model = made.model
    logits, label = 3 * torch.randn(6, 4), torch.tensor([0, 1, 2, 3, 0, 1])
    batch = PartlyLabelledImages(torch.full((6, 1, 8, 8), 0.5), label, torch.zeros(6, 1, 8, 8))
    model.encoder = Told(lambda image: torch.cat([logits, torch.zeros(6, 2)], 1) * (1 if image.mean() > 0 else -1))
    terms = parts(model.step(iter([batch])))
    assert terms["C"]["labelled"].item() == pytest.approx(F.cross_entropy(logits, label).item(), rel=1e-5)
    mistaken = F.cross_entropy(logits.softmax(1), label).item()
    assert mistaken != pytest.approx(terms["C"]["labelled"].item(), rel=0.05)


def test_labels_of_the_unlabelled_are_not_told():
    """Other labels of all images but the labelled ones change nothing; the control changes those of the labelled."""
    rows = []
    for which in ("none", "unlabelled", "labelled"):
        made = trainer("aae", (1, 8, 8), semi_supervised=True)
        known = torch.zeros(64, dtype=torch.bool)
        known[made.batches.labelled] = True
        changed = {"none": known & ~known, "unlabelled": ~known, "labelled": known}[which]
        made.batches.labels = (made.batches.labels + changed) % 4
        for _ in range(3):
            made.iterate()
        rows.append(made.drain().rows)
    assert rows[0] == rows[1]
    assert rows[0] != rows[2]


def test_a_label_of_a_semi_supervised_model_is_its_category():
    model = model_of(semi_supervised=True)
    latent = model.latent(3)
    asked = model.sample(3, latent=latent, label=2)
    latent[:, :4] = torch.tensor([0.0, 0, 1, 0])
    assert torch.equal(asked, model.sample(3, latent=latent))


def test_heads_are_points_with_the_style_around_them():
    decoder = Decoder((1, 8, 8), 3, 2, 8, heads=True)
    with torch.no_grad():
        decoder.heads.weight.copy_(torch.tensor([[0.0, 3.0, 0.0], [0.0, 0.0, 4.0]]))
    code = torch.tensor([[0.0, 1.0, 0.0, 0.5, -0.5], [0.0, 0.5, 0.5, 0.0, 0.0]])
    assert decoder.point(code).tolist() == [[3.5, -0.5], [1.5, 2.0]]
    assert decoder.crowding(4.5).item() == pytest.approx((4.5 - 3) + (4.5 - 4))  # 5 lie between the second and third
    assert decoder.crowding(3.0).item() == pytest.approx(0.0, abs=1e-6)


def test_heads_are_held_apart_by_their_own_weight():
    model = model_of(num_categories=3, cluster_heads=True, head_distance=7.0)
    terms = parts(model.step(iter([Images(torch.zeros(4, 1, 8, 8))])))
    assert terms["AE"]["heads"].item() == pytest.approx(model.generator.crowding(7.0).item())
    assert set(parts(model_of(num_categories=3).step(iter([Images(torch.zeros(4, 1, 8, 8))])))["AE"]) == {
        "reconstruction"
    }


# ---- encoders ------------------------------------------------------------------------------------------------------


def test_kinds_of_encoders():
    """A Gaussian one draws around its mean while it trains, with the deviation that the network gives."""
    torch.manual_seed(0)
    image = torch.rand(1, 1, 8, 8).expand(4000, -1, -1, -1)
    plain, gaussian, noise = (Encoder((1, 8, 8), 0, 2, 8, kind) for kind in ("deterministic", "gaussian", "noise"))
    assert plain(image).std(0).max() < 1e-6
    last = gaussian.layers.layers[-1]
    nn.init.zeros_(last.weight)
    with torch.no_grad():
        last.bias.copy_(torch.tensor([1.0, -2.0, math.log(0.5), math.log(3.0)]))
    code = gaussian(image)
    assert code.mean(0).tolist() == pytest.approx([1.0, -2.0], abs=0.15)
    assert code.std(0).tolist() == pytest.approx([0.5, 3.0], rel=0.05)
    assert gaussian.eval()(image)[0].tolist() == pytest.approx([1.0, -2.0])
    assert noise(image).std(0).min() > 0.01


def test_encode_and_decode():
    """One image or many, a code that belongs to it, and nothing that another call would change."""
    model = model_of(semi_supervised=True)
    images = torch.rand(70, 1, 8, 8) * 2 - 1
    codes = model.encode(images)
    assert codes.shape == (70, 6)
    assert codes[:, :4].sum(1).tolist() == pytest.approx([1.0] * 70, rel=1e-5)
    assert torch.allclose(model.encode(images[3]), codes[3], atol=1e-6)
    assert torch.allclose(codes[:, :4], model.probabilities(images), atol=1e-6)
    model.eval()
    assert torch.allclose(model.decode(codes), model.generator(codes), atol=1e-6)
    assert torch.allclose(model.decode(codes[3]), model.generator(codes)[3], atol=1e-6)
    drawn = model_of(encoder="noise")
    assert torch.equal(drawn.encode(images), drawn.encode(images)), "the noise is the same in every call"
    picture = Image.fromarray(np.full((30, 20), 255, np.uint8))
    assert torch.allclose(model.encode(picture), model.encode(torch.ones(1, 8, 8)), atol=1e-6)


def test_codes_that_are_none():
    model = model_of()
    refused("(2,) or (b, 2)", lambda: model.decode(torch.zeros(3)))
    refused("as of `encode`", lambda: model.decode([0.0, 1.0]))
    refused("a tensor to encode must be (1, 8, 8)", lambda: model.encode(torch.zeros(1, 9, 9)))
    refused("has no encoder...aae or bigan", lambda: registry.create("gan", (1, 8, 8)).encode(torch.zeros(1, 8, 8)))
    refused("has no encoder", lambda: registry.create("gan", (1, 8, 8)).decode(torch.zeros(100)))


def test_noise_on_images_only_with_categories_and_only_in_training():
    sorting = Encoder((1, 8, 8), 3, 2, 8)
    image = torch.zeros(2, 1, 8, 8)
    assert not torch.equal(sorting.input_noise(image), image)
    assert torch.equal(sorting.eval().input_noise(image), image)
    assert torch.equal(Encoder((1, 8, 8), 0, 2, 8).input_noise(image), image)


# ---- it learns, and what it refuses --------------------------------------------------------------------------------


def test_the_codes_of_all_images_take_the_size_of_the_prior():
    """Control: the encoder's adversarial phase stands still."""
    ends = []
    for adversarial in (True, False):
        made = quadrants(trainer("aae", (1, 8, 8), batch_size=32, total=300, width=64, lr_adversarial=1e-3))
        if not adversarial:
            made.players["E"].optimizer.param_groups[0]["lr"] = 0.0
        for _ in range(300):
            made.iterate()
        with torch.no_grad():
            code = made.model.encoded(made.batches.draw(64).image)
        ends.append((code.std(0) / 5).log().abs().max().item())
    assert ends[0] < math.log(2), ends
    assert ends[1] > math.log(3), ends


def test_what_is_refused():
    refused("two numbers in z", lambda: model_of(prior="mixture", latent_dim=3))
    refused("two numbers in z", lambda: model_of(prior="swiss_roll", num_categories=3))
    refused("mixture and swiss_roll", lambda: model_of(labels_in_prior=True))
    refused("at least 2", lambda: model_of(num_categories=1))
    refused("left away", lambda: model_of(num_categories=4, semi_supervised=True))
    refused("--num-categories", lambda: model_of(cluster_heads=True))
    refused("labels of at least two classes", lambda: model_of(None, semi_supervised=True))
    refused("2-D points", lambda: registry.create("aae", (2,)))
    refused("head_distance", lambda: model_of(head_distance=-1.0))


def test_the_papers_rates_fall_after_epochs_50_and_1000():
    """Of 600 batches: MNIST's 60,000 images in batches of 100."""
    players = model_of(recipe="paper").players
    for name, first in (("AE", 0.01), ("D", 0.1), ("E", 0.1)):
        rate = players[name].optimizer.lr
        rates = [rate(iteration, 10**6) for iteration in (0, 29_999, 30_000, 599_999, 600_000)]
        assert rates == pytest.approx([first, first, first / 10, first / 10, first / 100])
