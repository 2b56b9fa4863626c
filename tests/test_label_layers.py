"""Labels on their way into networks, and the networks that are told them."""

import pytest
import torch
from torch import nn

from ganarium import registry
from ganarium.layers.labels import asked_labels, known_classes, one_hot
from ganarium.networks.acgan import Trunk
from ganarium.networks.backbones import backbone
from ganarium.networks.conditional import Joint, LabelledGenerator, LayeredDiscriminator, Projection, embedding
from synthetic import refused, trainer

CPU = torch.device("cpu")


THREES = torch.tensor([3, 3]).to(torch.uint32)  # torch compares no numbers of this kind


def labels(*classes: int, of: int = 4) -> torch.Tensor:
    return one_hot(torch.tensor(classes), of, torch.float32)


def test_one_hot():
    assert labels(2, 0).tolist() == [[0, 0, 1, 0], [1, 0, 0, 0]]
    assert one_hot(torch.tensor([1]), 2, torch.float64).dtype == torch.float64


@pytest.mark.parametrize("label", [3, [3, 3], (3, 3), torch.tensor(3), torch.tensor([3, 3], dtype=torch.int32), THREES])
def test_labels_asked_for(label):
    actual = asked_labels(label, 2, 4, CPU)
    assert actual.tolist() == [3, 3]
    assert actual.dtype == torch.int64


@pytest.mark.parametrize("label", [4, -1, 1.0, True, 1j, "cat", None, [0, 1], [[0, 1, 2]] * 2, float("nan"), 10**400])
def test_wrong_labels_are_refused(label):
    refused("label must be a class from 0 to 3, for all 3", lambda: asked_labels(label, 3, 4, CPU))


def test_data_without_classes_are_refused():
    assert known_classes(2, "cgan") == 2
    refused("cgan learns from the labels of at least two classes ... no labels", lambda: known_classes(None, "cgan"))
    refused("one class", lambda: known_classes(1, "cgan"))


def test_embedding_is_one_row_for_each_class():
    """It begins as long as the one-hot row; a factor of z begins at 1 in size, number by number."""
    torch.manual_seed(0)
    layer, factor = embedding(4, 5000), embedding(4, 5000, product=True)
    assert torch.equal(layer(labels(2)), layer.weight[:, 2][None])
    assert layer.weight.norm(dim=0).tolist() == pytest.approx([1] * 4, abs=0.03)
    assert (factor.weight.mean().item(), factor.weight.std().item()) == pytest.approx((0, 1), abs=0.03)


@pytest.mark.parametrize("name", ["acgan", "cgan", "cls_gan", "triple_gan"])
def test_a_label_does_not_drown_the_noise(name):
    """One code in two classes begins nearer together than two codes of one class. A mistake that we had made: the label
    as 50 numbers of N(0, 1) beside z, with which G drew one image for each class."""
    torch.manual_seed(0)
    options = {"network": "dcgan", "width": 8} if name == "cgan" else {}
    model = registry.create(name, (1, 16, 16), 10, **options)
    assert loudness_of_label(model) < 0.5
    if name in ("cgan", "cls_gan"):
        nn.init.normal_(model.generator.embedding.weight)
        assert loudness_of_label(model) > 1


@torch.no_grad()
def loudness_of_label(model):
    """The mean square of what another label changes, over that of what another code changes."""
    z, label = model.latent(64), torch.arange(64) % 10
    image = model.generate(64, z, label=label)
    other_label, other_code = model.generate(64, z, label=(label + 1) % 10), model.generate(64, label=label)
    return ((image - other_label).square().mean() / (image - other_code).square().mean()).item()


def test_product_and_concatenation():
    """Number by number; and at z = 0 a product has forgotten the label (the reason not to multiply), a pair has not."""
    z = torch.randn(2, 3)
    side, product = (LabelledGenerator(nn.Identity(), nn.Identity()), embedding(4, 3))
    assert torch.equal(side(z, labels(1, 3)), torch.cat([z, labels(1, 3)], 1))
    times = LabelledGenerator(nn.Identity(), product, product=True)
    assert torch.equal(times(z, labels(1, 3)), z * product.weight[:, [1, 3]].T)
    assert torch.equal(*times(torch.zeros(2, 3), labels(1, 3)).chunk(2))
    assert not torch.equal(*side(torch.zeros(2, 3), labels(1, 3)).chunk(2))


def body(norm="none", network="mlp", shape=(1, 16, 16)):
    return backbone("cgan", network, shape, 4, 8, generator_norm=False, norm=norm).discriminator


def test_joint_is_one_layer_on_features_and_label_side_by_side():
    D, x = Joint(body(), 4, "none", units=6), torch.randn(3, 1, 16, 16)
    y = labels(0, 1, 3)
    weight = torch.cat([D.image.weight, D.label.weight], 1)
    hidden = torch.cat([D.body.features(x), y], 1) @ weight.T + D.image.bias
    assert torch.allclose(D(x, y), D.score(hidden).squeeze(1), atol=1e-6)


def test_in_joint_label_and_image_act_together():
    """What a change of label does depends on the image; a sum of two scores, the control, cannot tell a match."""
    torch.manual_seed(0)
    x = torch.randn(2, 1, 16, 16)
    for D, together in ((Joint(body(), 4, "none"), True), (lambda x, y: x.flatten(1).sum(1) + y[:, 0], False)):
        change = D(x, labels(0, 0)) - D(x, labels(1, 1))
        assert (abs(change[0] - change[1]).item() > 1e-3) == together


@pytest.mark.parametrize("network", ["mlp", "dcgan", "resnet"])
def test_projection_is_the_score_and_an_inner_product(network):
    discriminator, x = body(network=network), torch.randn(3, 1, 16, 16)
    alone = discriminator(x)
    D, y = Projection(discriminator, 4, "none"), labels(0, 1, 3)
    inner = (D.label.weight.T[[0, 1, 3]] * D.body.features(x)).sum(1)
    assert torch.allclose(D(x, y), alone + inner, atol=1e-6)
    assert torch.allclose(D(x, torch.zeros(3, 4)), alone, atol=1e-6)


@pytest.mark.parametrize("kind", [Joint, Projection])
def test_spectral_norm_reaches_every_layer(kind):
    D = kind(body("spectral"), 4, "spectral")
    for _ in range(50):
        D(torch.randn(2, 1, 16, 16), labels(0, 1))
    D.eval()
    layers = [m for m in D.modules() if isinstance(m, nn.Linear)]
    assert len(layers) >= 5
    for layer in layers:
        assert torch.linalg.matrix_norm(layer.weight, 2).item() == pytest.approx(1, abs=0.02)


def test_every_layer_but_the_first_reads_the_label_everywhere():
    torch.manual_seed(0)
    D, seen = LayeredDiscriminator((1, 17, 12), 4, 3, 8, 16), []
    D.eval()
    for block in [*D.blocks, D.hidden, D.score]:
        block.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    x, y = torch.randn(2, 1, 17, 12), labels(1, 2)
    assert D(x, y).shape == (2,)
    assert torch.equal(seen[0], x)
    assert len(seen) == len(D.blocks) + 2 >= 4
    for x in seen[1:]:
        told = x[:, -3:].flatten(2) if x.dim() == 4 else x[:, -3:, None]
        assert torch.equal(told, D.embedding(y)[:, :, None].expand_as(told))


@pytest.mark.parametrize("hidden", [True, False])
def test_image_and_label_meet_in_the_hidden_layer(hidden):
    """Whether a label suits an image is an exclusive or, which takes a layer that reads both before the last one. The
    control has none: its last layer reads what the convolution gives, and the label."""
    torch.manual_seed(0)
    image, label = torch.tensor([1.0, 1.0, -1.0, -1.0]), torch.tensor([0, 1, 0, 1])
    x, y = image.view(4, 1, 1, 1).expand(4, 1, 8, 8), nn.functional.one_hot(label, 2).float()
    suits = (label == (image < 0)).float()
    D = LayeredDiscriminator((1, 8, 8), 2, 4, 4, 16)
    if not hidden:
        D.score = nn.Linear(D.hidden[0].in_features + 4, 1)
        D.hidden = nn.Sequential()
    rule = torch.optim.Adam(D.parameters(), lr=1e-2)
    for _ in range(200):
        loss = (D(x, y) - suits).square().mean()
        rule.zero_grad()
        loss.backward()
        rule.step()
    assert loss.item() < 0.01 if hidden else loss.item() > 0.2


def test_thousands_of_classes_cost_one_row_each():
    """What the linear layer is for: 3,740 classes as maps in every layer would be thousands of channels."""
    sizes = [
        sum(p.numel() for p in LayeredDiscriminator((1, 28, 28), K, 256, 32, 1024).parameters()) for K in (10, 3740)
    ]
    assert sizes[1] - sizes[0] == 3730 * 256


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (4, 17, 23), (1, 9, 40)])
def test_trunk_gives_as_many_features_as_it_says(shape):
    trunk = Trunk(shape, 4, 0.5).eval()
    assert trunk(torch.zeros(2, *shape)).shape == (2, trunk.num_features)


def test_a_steady_trunk_has_no_dropout():
    torch.manual_seed(0)
    trunk, x = Trunk((1, 16, 16), 4, 0.5), torch.randn(4, 1, 16, 16)
    assert torch.equal(trunk(x, steady=True), trunk(x, steady=True))
    assert not torch.equal(trunk(x), trunk(x))
    assert torch.equal(trunk.eval()(x), trunk(x))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("acgan", {}),
        ("sgan", {}),
        ("catgan", {}),
        ("catgan", {"semi_supervised": True}),
        ("loss_sensitive_gan", {"conditional": True}),
        ("triple_gan", {"num_pretraining_steps": 0, "pseudo_start": 0}),
    ],
)
def test_statistics_of_a_classifier_are_those_of_reals(name, options):
    """With them it classifies. Fakes that are white, or black, leave the running statistics the same, in D's update
    and in G's."""

    def statistics(fake: float) -> list[torch.Tensor]:
        model = (made := trainer(name, (1, 16, 16), **options)).model
        model.generate = lambda n, *rest, **more: torch.full((n, 1, 16, 16), fake, requires_grad=True)
        torch.manual_seed(0)
        for _ in model.step(made.batches):
            pass
        return [value for key, value in model.named_buffers() if "running" in key and "generator" not in key]

    white, black = statistics(1.0), statistics(-1.0)
    assert white
    assert all(torch.equal(a, b) for a, b in zip(white, black, strict=True))
    assert not all(torch.equal(value, value.new_zeros(()).expand_as(value)) for value in white), "they have moved"
