"""SNGAN against its papers: counted parameters, the hinge, spectral norm, the projection, the known mistakes."""

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ganarium import registry
from ganarium.data.dataset import Images, LabelledImages
from ganarium.errors import UserError
from ganarium.layers.conditional_norm import ConditionalBatchNorm2d
from ganarium.model import Model
from ganarium.networks.sngan import Discriminator, DownBlock, Generator, UpBlock, networks
from ganarium.testing import small_trainer


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


class Given:
    """Batches of one image (b, c, h, w) again and again, with its labels if there are any."""

    def __init__(self, image: Tensor, label: Tensor | None = None) -> None:
        self.batch, self.batch_size = Images(image) if label is None else LabelledImages(image, label), len(image)

    def __next__(self) -> Images | LabelledImages:
        return self.batch

    def __iter__(self) -> Iterator[Images | LabelledImages]:
        return self


def model(**options: object) -> Model:
    torch.manual_seed(0)
    return small_trainer("sngan", (1, 16, 16), **options).model


# ---- networks ----------------------------------------------------------------------------------------------


def test_published_numbers_of_parameters() -> None:
    """Counted in the authors' networks: for CIFAR-10, and for 128 pixels without labels."""
    with torch.device("meta"):
        g, d = networks((3, 32, 32), 128, None, None, spectral=False)
        assert (count(g), count(d)) == (4_276_739, 1_053_824)
        g, d = networks((3, 128, 128), 128, None, None, spectral=False)
    assert (count(g), count(d)) == (32_150_787, 29_017_857 - 1)  # the release has a bias in D's last layer


def test_maps_double_and_halve_as_in_the_paper() -> None:
    sides = []
    g, d = networks((3, 32, 32), 8, 4, 4)
    for block in [*g.blocks, *d.blocks]:
        block.register_forward_hook(lambda _, __, output: sides.append(output.shape[2]))
    d(g(torch.randn(2, 8)))
    assert sides == [8, 16, 32, 16, 8, 8, 8]
    sides.clear()
    g, d = networks((3, 64, 64), 8, 1, 1)
    for block in [*g.blocks, *d.blocks]:
        block.register_forward_hook(lambda _, __, output: sides.append((output.shape[1], output.shape[2])))
    d(g(torch.randn(2, 8)))
    assert sides == [(8, 8), (4, 16), (2, 32), (1, 64), (1, 32), (2, 16), (4, 8), (8, 4), (16, 4)]


def test_blocks_are_the_papers() -> None:
    torch.manual_seed(0)
    x = torch.randn(3, 4, 6, 6)
    up = UpBlock(4, 5, (12, 12), 0).eval()
    inner = F.interpolate(F.relu(x / (1 + 2e-5) ** 0.5), scale_factor=2)
    inner = F.relu(up.first(inner) / (1 + 2e-5) ** 0.5)
    expected = up.second(inner) + up.skip(F.interpolate(x, scale_factor=2))
    assert torch.allclose(up(x, None), expected, atol=1e-5)
    down = DownBlock(4, 5, halves=True, first=False)
    first, second, skip = down.inner[1], down.inner[3], down.skip[1]
    expected = F.avg_pool2d(second(F.relu(first(F.relu(x)))), 2) + F.avg_pool2d(skip(x), 2)
    assert torch.allclose(down(x), expected, atol=1e-5)
    assert (first.out_channels, second.out_channels) == (4, 5), "the hidden width is that of the input"
    start = DownBlock(4, 5, halves=True, first=True)
    expected = F.avg_pool2d(start.inner[2](F.relu(start.inner[0](x))), 2) + start.skip[1](F.avg_pool2d(x, 2))
    assert torch.allclose(start(x), expected, atol=1e-5)


def test_the_sum_is_of_the_large_networks_and_the_mean_of_the_small() -> None:
    """Mixed up, scores are 64 or 16 times as large."""
    large, small = networks((3, 64, 64), 8, 1, 1)[1], networks((3, 32, 32), 8, 1, 1)[1]
    assert (large.mean, small.mean) == (False, True)
    x = torch.randn(2, 3, 32, 32)
    mean = small.features(x)
    small.mean = False
    assert torch.allclose(small.eval().features(x), 64 * mean, rtol=0.2)


def test_weights_begin_as_released() -> None:
    torch.manual_seed(0)
    g, d = networks((3, 32, 32), 128, 32, 32, spectral=False)
    for layer, variance in (
        (g.blocks[0].first, 4 / (32 * 9 * 2)),
        (g.blocks[0].skip, 2 / 64),
        (g.to_image, 2 / (35 * 9)),
        (g.project, 2 / (128 + 512)),
        (d.blocks[1].inner[1], 4 / (32 * 9 * 2)),
    ):
        assert layer.weight.var().item() == pytest.approx(variance, rel=0.1)
        assert not layer.bias.any()


# ---- spectral norm -----------------------------------------------------------------------------------------


def test_every_weight_of_d_has_norm_1_and_none_of_g() -> None:
    made = model(conditional=True)
    D, G = made.discriminator, made.generator
    weighted = [layer for layer in D.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    assert all(hasattr(layer, "parametrizations") for layer in weighted)
    assert D.embedding in weighted
    assert not any(hasattr(layer, "parametrizations") for layer in G.modules())
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in D.modules()), "batch norm left in D"
    for _ in range(50):
        D(torch.randn(2, 1, 16, 16), torch.eye(4)[:2])
    D.eval()
    for layer in weighted:
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1.0, abs=0.02)
    plain = model(spectral=False).discriminator
    assert not any(hasattr(layer, "parametrizations") for layer in plain.modules())


def test_power_iteration_goes_on_in_training_alone_and_only_u_and_v_have_no_gradient() -> None:
    torch.manual_seed(0)
    layer = spectral_norm(nn.Linear(6, 4, bias=False))
    norm, original = layer.parametrizations.weight[0], layer.parametrizations.weight.original
    before = norm._u.clone()
    layer.eval()
    layer(torch.randn(2, 6))
    assert torch.equal(norm._u, before)
    layer.train()
    layer(torch.randn(2, 6))
    assert not torch.equal(norm._u, before)
    # through sigma: W / (u' W v) has the gradient of a quotient
    layer.eval()
    x, u, v = torch.randn(1, 6), norm._u, norm._v
    (gradient,) = torch.autograd.grad(layer(x).sum(), original)
    sigma = u @ original @ v
    expected = torch.ones(4, 1) @ x / sigma - (original @ x.T).sum() / sigma**2 * torch.outer(u, v)
    assert torch.allclose(gradient, expected, atol=1e-5)


def test_a_convolution_of_norm_1_can_stretch_more() -> None:
    """What spectral norm does not do: the norm of the reshaped weight is not that of the convolution."""
    torch.manual_seed(0)
    weight = torch.randn(4, 4, 3, 3, dtype=torch.float64)
    weight = weight / torch.linalg.matrix_norm(weight.flatten(1), 2)
    x = torch.randn(1, 4, 16, 16, dtype=torch.float64)
    for _ in range(100):
        y = F.conv2d(x, weight, padding=1)
        x = F.conv_transpose2d(y, weight, padding=1)
        x = x / x.norm()
    assert 1.1 < F.conv2d(x, weight, padding=1).norm().item() < 3.0


# ---- losses ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "adversarial", "real", "fake"),
    [
        ("hinge", -(2.0 + 0.5) / 2, (0.0 + 1.25) / 2, (0.0 + 1.75) / 2),
        ("log", (0.126928 + 0.474077) / 2, (0.048587 + 0.825939) / 2, (0.126928 + 1.136871) / 2),
    ],
)
def test_terms_are_the_papers(loss: str, adversarial: float, real: float, fake: float) -> None:
    """Scores are given: of G's fakes 2 and 0.5, of reals 3 and -0.25, of D's fakes -2 and 0.75."""
    made = model(loss=loss, num_critic_steps=1)
    images = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 1, 16, 16).requires_grad_()
    of_g, of_d = torch.tensor([2.0, 0.5, 2.0, 0.5]), torch.tensor([3.0, -0.25, -2.0, 0.75])
    weight, seen = nn.Parameter(torch.ones(())), []
    made.generator.forward = lambda z: images[: len(z)]

    def scores(x: Tensor, label: Tensor | None) -> Tensor:
        seen.append(x)
        return (of_g if len(seen) == 1 else of_d) * weight + 0 * x.sum()

    made.discriminator.forward = scores
    step = made.step(Given(torch.full((2, 1, 16, 16), 7.0)))
    player, terms = next(step)
    assert player == "G", "G moves first"
    assert len(seen[0]) == 4, "its batch is twice that of D"
    assert terms["adversarial"].item() == pytest.approx(adversarial, abs=1e-5)
    assert seen[0].requires_grad
    player, terms, watched = next(step)
    assert player == "D"
    assert {name: term.item() for name, term in terms.items()} == pytest.approx({"real": real, "fake": fake}, abs=1e-5)
    assert seen[1][:, 0, 0, 0].tolist() == [7, 7, 0, 1], "reals first, then fakes"
    assert not seen[1].requires_grad
    assert watched["real"].tolist() == [3.0, -0.25]
    with pytest.raises(StopIteration):
        next(step)


def test_d_moves_five_times_for_one_move_of_g_and_the_rate_falls_to_0() -> None:
    made = small_trainer("sngan", num_critic_steps=5, total=4)
    rates = []
    for _ in range(4):
        assert [update.player for update in made.updates()] == ["G", *["D"] * 5]
        rates.append(made.players["D"].optimizer.param_groups[0]["lr"])
    assert [float(rate) for rate in rates] == pytest.approx([2e-4, 1.5e-4, 1e-4, 0.5e-4])


# ---- labels ------------------------------------------------------------------------------------------------


def test_the_label_is_projected_on_the_features() -> None:
    torch.manual_seed(0)
    D = Discriminator(1, [4, 4, 6], 2, 3, mean=True).eval()
    x, labels = torch.randn(5, 1, 16, 16), torch.eye(3)
    of = [D(x, labels[k].expand(5, 3)) for k in (0, 1)]
    embedded = D.embedding.weight.T
    assert torch.allclose(of[0] - of[1], D.features(x) @ (embedded[0] - embedded[1]), atol=1e-5)
    plain = Discriminator(1, [4, 4, 6], 2, 3, mean=True, spectral=False)
    nn.init.zeros_(plain.embedding.weight)
    expected = plain.score(plain.features(x)).squeeze(1)
    assert torch.equal(plain(x, labels[0].expand(5, 3)), plain(x, labels[1].expand(5, 3)))
    assert torch.allclose(plain(x, labels[0].expand(5, 3)), expected)


def test_every_class_has_gains_and_shifts_of_its_own_in_g() -> None:
    norm = ConditionalBatchNorm2d(3, 2).eval()
    x, label = torch.randn(2, 3, 4, 4), torch.eye(2)
    assert torch.allclose(norm(x, label), x, atol=1e-4), "gains start at 1, shifts at 0"
    with torch.no_grad():
        norm.gain[1], norm.shift[1] = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.0, 0.5, -1.0])
    changed = norm(x, label)
    assert torch.allclose(changed[0], x[0], atol=1e-4)
    expected = x[1] * torch.tensor([1.0, 2.0, 3.0])[:, None, None] + torch.tensor([0.0, 0.5, -1.0])[:, None, None]
    assert torch.allclose(changed[1], expected, atol=1e-4)
    G = Generator((1, 16, 16), 8, [4, 4, 4], 4)
    assert sum(isinstance(layer, ConditionalBatchNorm2d) for layer in G.modules()) == 4
    assert not isinstance(G.norm, ConditionalBatchNorm2d), "the last one is of all classes alike"


def test_reals_are_judged_with_their_labels_and_fakes_with_those_they_were_made_for() -> None:
    made = model(conditional=True, num_critic_steps=1)
    told: dict[str, list[Tensor]] = {"G": [], "D": []}
    G, D = made.generator.forward, made.discriminator.forward
    made.generator.forward = lambda z, label: told["G"].append(label) or G(z, label)
    made.discriminator.forward = lambda x, label: told["D"].append(label) or D(x, label)
    label = torch.tensor([0, 0, 1, 3])
    for _ in made.step(Given(torch.zeros(4, 1, 16, 16), label)):
        pass
    assert torch.equal(told["D"][0], told["G"][0])
    assert len(told["D"][0]) == 8
    assert torch.equal(told["D"][1], torch.cat([F.one_hot(label, 4), told["G"][1]]))
    drawn = made.random_labels(4000).bincount()
    assert drawn.tolist() == pytest.approx([1000] * 4, abs=150), "labels of fakes are uniform"


def test_augmentation_changes_what_d_sees() -> None:
    image = torch.randn(4, 1, 16, 16)
    plain, changed = model().eval(), model(augment="diff").eval()
    assert torch.equal(plain.D(image, None), plain.D(image, None))
    assert not torch.equal(changed.D(image, None), changed.D(image, None))


def test_what_it_refuses() -> None:
    for words, options, classes, shape in (
        ("learns from the labels", {"conditional": True}, None, (3, 32, 32)),
        ("2-D points", {}, None, (2,)),
        ("beta2 must be from 0 to below 1", {"beta2": 1.0}, None, (3, 32, 32)),
        ("num_critic_steps must be above 0", {"num_critic_steps": 0}, None, (3, 32, 32)),
    ):
        with pytest.raises(UserError, match=words):
            registry.create("sngan", shape, classes, **options)
