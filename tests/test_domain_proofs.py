"""What the proofs of AAE, BiGAN, CoGAN, PixelDA and CC-GAN measure, in closed form, and what their controls change."""

from dataclasses import replace

import pytest
import torch

from ganarium import registry
from ganarium.data.batches import Batches
from ganarium.data.dataset import Dataset
from ganarium.proofs.measures import aae_codes, bigan_inverse, ccgan_holes, cogan_pairs, domain_classifier
from ganarium.proofs.measures.samples import judge_of
from ganarium.trainer import Trainer


def test_codes_beside_the_prior():
    """Equal draws are at distance 0; codes twice as wide are apart by the mean |z| of a normal number."""
    prior = 5 * torch.randn(10_000, 2, generator=torch.Generator().manual_seed(0))
    same = aae_codes.compare(prior.flip(0), prior)
    assert same == pytest.approx({"sliced_distance": 0, "std_low": 1, "std_high": 1}, abs=1e-6)
    wide = aae_codes.compare(2 * prior, prior)
    assert wide["sliced_distance"] == pytest.approx((2 / torch.pi) ** 0.5, rel=0.05)
    assert (wide["std_low"], wide["std_high"]) == pytest.approx((2, 2), rel=1e-6)
    moved = aae_codes.compare(prior + torch.tensor([5.0, 0.0]), prior)
    assert 0.5 < moved["sliced_distance"] < 0.75, "a shift by one deviation, on the average of directions 2 / pi"


def test_a_rebuilt_image_is_nearer_to_its_own():
    images = torch.randn(400, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    assert bigan_inverse.ratio(images, images) == 0
    assert bigan_inverse.ratio(images.mean(0).expand_as(images), images) == pytest.approx(1)
    assert 0 < bigan_inverse.ratio(0.5 * images, images) < 0.6


def test_a_blind_discriminator_does_not_see_codes():
    model = registry.create("bigan", (1, 8, 8), width=8, latent_dim=3).eval()
    image, codes = torch.randn(4, 1, 8, 8), torch.randn(2, 4, 3)
    before = [model.discriminator(image, code) for code in codes]
    assert not torch.equal(*before)
    bigan_inverse.blind_to_codes(model)
    assert torch.equal(*(model.discriminator(image, code) for code in codes))
    assert not torch.equal(model.discriminator(image, codes[0]), model.discriminator(-image, codes[0]))


def test_holes_and_their_rims():
    masks = ccgan_holes.holes(50, 16, 0.5, seed=0)
    assert torch.equal(masks.sum((1, 2, 3)), torch.full((50,), 64))
    assert len({tuple(mask.flatten().tolist()) for mask in masks}) > 20, "places differ"
    assert torch.equal(masks, ccgan_holes.holes(50, 16, 0.5, seed=0))
    images = torch.zeros(50, 1, 16, 16)
    assert ccgan_holes.step_at(images, masks) == 0
    assert ccgan_holes.step_at(images.masked_fill(masks, 1), masks) == 1
    inner = images.clone()
    inner[:, :, ::16] = 1  # the first row, at the edge of the image, is no rim unless a hole begins below it
    assert ccgan_holes.step_at(inner, masks[masks[:, 0, :2].sum((1, 2)) == 0][:1].expand(50, -1, -1, -1)) == 0


def test_ccgan_without_context():
    """G's images do not change with the image that has the hole, and D judges whole images of G."""
    model = registry.create("ccgan", (1, 8, 8), 4, width=4, noise_dim=2, semi_supervised=True).eval()
    x, mask, z = torch.randn(2, 3, 1, 8, 8), model.holes(3), torch.randn(3, 2)
    assert not torch.equal(*(model.made(each, mask, z) for each in x))
    ccgan_holes.without_context(model)
    assert torch.equal(*(model.made(each, mask, z) for each in x))
    assert model.holes(3).all()
    assert not model.config.full_image


class Stripes:
    """Reads the row of a white stripe as the class."""

    num_classes = 4

    def logits(self, images):
        return images.mean((1, 3))[:, :4]


def test_pairs_that_show_one_digit(monkeypatch):
    monkeypatch.setattr(cogan_pairs, "judge_of", lambda data, device: Stripes())
    label = torch.arange(40) % 4
    images = torch.full((40, 1, 4, 4), -1.0)
    images[torch.arange(40), :, label] = 1
    experiment = type("Alone", (), {"train": None, "device": None})
    same = cogan_pairs.PairsOfDigits().values(experiment, images, images)
    assert same == {"same_digit": 1, "commonest_class": 0.25, "rarest_class": 0.25, "pixels": 1}
    shifted = cogan_pairs.PairsOfDigits().values(experiment, images, images.roll(1, 0))
    assert shifted == {"same_digit": 0, "commonest_class": 0.25, "rarest_class": 0.25, "pixels": 0.5}
    one = cogan_pairs.PairsOfDigits().values(experiment, images[:1].expand(40, -1, -1, -1), images)
    assert (one["commonest_class"], one["rarest_class"]) == (1, 0)


def test_pairs_are_read_by_the_judge_of_the_first_domain():
    """Of the joint name the package knows no judge, and would take that of 59 glyphs."""
    data = Dataset("mnist+mnist_negative", torch.zeros(4, 28, 28, 1, dtype=torch.uint8), torch.arange(4), tuple("abcd"))
    assert judge_of(data, torch.device("cpu")).num_classes == 10


def test_k_means_names_four_kinds():
    """Images of four kinds, one digit each, are told apart by four centres."""
    labels = torch.arange(80) % 4
    images = torch.zeros(80, 8, 8, 1, dtype=torch.uint8)
    images[torch.arange(80), 2 * labels] = 255
    images[:, 7, 7, 0] = torch.arange(80, dtype=torch.uint8)
    data = Dataset("kinds", images, labels, tuple("abcd"))
    experiment = type("Alone", (), {"train": data, "test": data, "seed": 0})
    assert aae_codes.k_means_accuracy(experiment, 16) == 1
    assert aae_codes.k_means_accuracy(experiment, 1) == 0.25


def digits(n=40):
    labels = torch.arange(n) % 4
    images = torch.zeros(n, 8, 8, 1, dtype=torch.uint8)
    images[:, 3:5, 3:5] = 255
    return Dataset("digits", images, labels, tuple("abcd"))


def test_digits_on_flat_backgrounds():
    """Two halves; each target has one colour and its complement where the digit is."""
    data = digits()
    both = domain_classifier.FlatBackgrounds().both(data)
    assert both.shape == (3, 8, 8)
    assert torch.equal(both.labels, data.labels[:20])
    assert torch.equal(both.target_labels, data.labels[20:])
    target = both.second.int()
    assert torch.equal(target[:, 3, 3], 255 - target[:, 0, 0])
    assert (target[:, 1, 1] == target[:, 0, 0]).all()
    assert target[:, 0, 0].float().std() > 30, "colours differ from image to image"
    assert torch.equal(both.second, domain_classifier.FlatBackgrounds().both(data).second)


@pytest.mark.parametrize("target", [False, True])
def test_a_classifier_of_one_domain_learns_from_it_alone(target):
    """The bounds of an adaptation: the other domain's images change nothing, and nothing but the classifier moves."""
    change = domain_classifier.OneDomain("DT", domain_classifier.by_private_layer, target=target)
    data = domain_classifier.FlatBackgrounds().both(digits())
    others = replace(data, images=255 - data.images) if target else replace(data, second=255 - data.second)
    states = []
    for each in (data, others, replace(data, labels=3 - data.labels, target_labels=3 - data.target_labels)):
        torch.manual_seed(0)
        model = registry.create("pixelda", each.shape, 4, width=4, num_blocks=1, classifier_width=4)
        before = {key: value.clone() for key, value in model.state_dict().items()}
        change.apply(model)
        train = change.data(each, 0)
        trainer = Trainer(model, Batches(train, model.batch_type, 8), 2)
        trainer.prepare()
        for _ in trainer:
            pass
        states.append(model.state_dict())
    moved = {key.split(".")[0] for key, value in before.items() if not torch.equal(value, states[0][key])} - {"clock"}
    assert moved == {"classifier"}
    private = f"classifier.first.{'source' if target else 'target'}.weight"
    assert torch.equal(before[private], states[0][private]), "the first layer of the other domain has learned nothing"
    assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())
    assert not all(torch.equal(value, states[2][key]) for key, value in states[0].items())
