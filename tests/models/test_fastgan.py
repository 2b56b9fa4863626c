"""FastGAN against its paper and the author's numbers: networks, losses, self-supervision, the known mistakes."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import reference
from ganarium import registry
from ganarium.data.batches import Batches
from ganarium.data.dataset import Dataset, Images
from ganarium.errors import UserError
from ganarium.models.fastgan import quarter_of
from ganarium.networks.fastgan import Discriminator, Excitation, Generator, Judgement, Noise, internal_size
from ganarium.proofs.measures import fastgan_redrawn
from ganarium.trainer import Trainer


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def exact_spectral_norm(network: nn.Module) -> None:
    """Lets every power iteration converge, and none move any more: the weights are divided by their largest singular
    value, as the reference has them."""
    for layer in network.modules():
        if hasattr(layer, "parametrizations"):
            norm = layer.parametrizations.weight[0]
            matrix = norm._reshape_weight_to_matrix(layer.parametrizations.weight.original)
            norm._power_method(matrix, 3000)
            norm.eval()


def trainer(size: int = 32, **options) -> Trainer:
    torch.manual_seed(0)
    model = registry.create("fastgan", (3, size, size), **{"width": 4, "latent_dim": 8} | options)
    pixels = torch.randint(0, 256, (8, size, size, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return Trainer(model, Batches(Dataset("noise", pixels), Images, 4), 100)


# ---- the author's numbers ----------------------------------------------------------------------------------


def test_published_numbers_of_parameters():
    sizes = reference.load("fastgan")["published_sizes"]
    with torch.device("meta"):
        for size, (g, d) in {256: (29_127_846, 11_526_160), 1024: (29_176_512, 11_528_192)}.items():
            assert count(Generator(256, 3, 64, size)) == g == sizes[f"{size} px"]["G, width 64, z 256"]
            assert count(Discriminator(3, 64, size, 64)) == d == sizes[f"{size} px"]["D, width 64"]


def test_the_generator_gives_the_authors_numbers(monkeypatch):
    numbers = reference.load("fastgan")["generator"]
    rows, given = numbers["networks"]["G"]["parameters"], reference.inputs(numbers)
    net = Generator(5, 3, 8, 256).double()
    reference.fill(net.parameters(), rows)
    exact_spectral_norm(net)
    noises = iter([given[f"noise{i}"] for i in range(6)])
    monkeypatch.setattr(Noise, "forward", lambda self, x: x + self.weight * next(noises))
    monkeypatch.setattr(torch, "tanh", lambda x: x)  # the release has none at this size
    large, small = net(given["z"])
    reference.hold(large, numbers["outputs"]["256 px"])
    reference.hold(small, numbers["outputs"]["128 px"])
    weigh = (1 + 0.1 * reference.values(large.shape, 1900), 1 + 0.1 * reference.values(small.shape, 1901))
    loss = (weigh[0] * large).mean() + (weigh[1] * small).mean()
    (record,) = numbers["gradients"].values()
    reference.hold_gradient(loss, reference.by_name(net.parameters(), rows), record)


def test_the_discriminator_gives_the_authors_numbers():
    numbers = reference.load("fastgan")["discriminator"]
    rows, given = numbers["networks"]["D"]["parameters"], reference.inputs(numbers)
    net = Discriminator(3, 8, 256, 64).double()
    reference.fill(net.parameters(), rows)
    exact_spectral_norm(net)
    small = F.interpolate(given["x"], size=128)
    judged = net(given["x"], small)
    reference.hold(
        judged.score, numbers["outputs"]["scores of x, 3 x 25 of the large branch and 3 x 25 of the small one"]
    )
    reference.hold(net.decode_last(judged.last), numbers["outputs"]["reconstruction, whole"])
    reference.hold(net.decode_small(judged.small), numbers["outputs"]["reconstruction, small"])
    lower_left = quarter_of(judged.middle, torch.tensor([2]))
    reference.hold(net.decode_part(lower_left), numbers["outputs"]["reconstruction, part"])
    fake = net(given["x_fake_256"], given["x_fake_128"]).score
    reference.hold(fake, numbers["outputs"]["scores of the fakes"])
    named = reference.by_name(net.parameters(), rows)
    losses = {
        "D, real: max(0, 0.2 u + 0.8 - s)": F.relu(0.2 * given["u_real"] + 0.8 - judged.score).mean(),
        "D, fake: max(0, 0.2 u + 0.8 + s)": F.relu(0.2 * given["u_fake"] + 0.8 + fake).mean(),
        "G: -mean s": -fake.mean(),
    }
    for name, loss in losses.items():
        assert loss.item() == pytest.approx(numbers["losses"][name], rel=1e-6)
        reference.hold_gradient(loss, named, numbers["gradients"][f"{name} to D"])


class Zero(nn.Module):
    """A head that scores every patch 0."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros(len(x), 1, 5, 5)


class Fixed(nn.Module):
    """A decoder that gives one image."""

    def __init__(self, image: Tensor) -> None:
        super().__init__()
        self.image = image

    def forward(self, x: Tensor) -> Tensor:
        return self.image


class Same(nn.Module):
    """A decoder that gives back what it is given."""

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(x, 8, mode="area")


# ---- losses ------------------------------------------------------------------------------------------------


def test_a_discriminator_of_zeros_costs_two_and_its_hinge_is_of_the_maps():
    for random, expected in ((False, 1.0), (True, 0.9)):
        made = trainer(random_margin=random, augment="none")
        made.model.discriminator.head[-1] = Zero()
        made.model.discriminator.small_head = Zero()
        _, terms, watched = next(made.model.step(made.batches))
        assert watched["real"].shape == (4 * (25 + 25),)
        for name in ("real", "fake"):
            assert terms[name].item() == pytest.approx(expected, abs=0.02)


class Told(nn.Module):
    """A discriminator with one score for an image: 2 times its mean, plus 4 times the product of it and the mean of the
    small one."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(1.0))

    def forward(self, large: Tensor, small: Tensor) -> Judgement:
        a, b = large.mean((1, 2, 3)), small.mean((1, 2, 3))
        return Judgement(self.factor * (2 * a + 4 * a * b), large, large, small)


def test_every_image_is_judged_with_its_own_small_one_and_hinged_alone():
    """Reals of 0.5 and -0.5, whose small ones are the same: scores 2 and 0, hinges 0 and 1. Fakes of 0.2 and -0.6 with
    small ones of 0.1 and 0.7: 0.48 and -2.88, hinges 1.48 and 0. Known mistake: the hinge of the mean score. G's slope
    goes through both sizes: 2 + 4 small, and 4 large."""
    model = trainer(reconstruction_weight=0.0, random_margin=False, augment="none").model
    flat = lambda *levels: torch.tensor(levels)[:, None, None, None].expand(-1, 3, 32, 32)  # noqa: E731
    large, small = flat(0.2, -0.6).clone().requires_grad_(), flat(0.1, 0.7)[:, :, :16, :16].clone().requires_grad_()
    model.discriminator, model.generator.forward = Told(), lambda z: (large, small)
    (_, terms, scores), (_, g_terms) = model.step(iter([Images(flat(0.5, -0.5))]))
    assert scores["real"].tolist() == pytest.approx([2.0, 0.0], abs=1e-5)
    assert scores["fake"].tolist() == pytest.approx([0.48, -2.88], rel=1e-5)
    assert terms["real"].item() == pytest.approx((0 + 1) / 2, abs=1e-5)
    assert terms["fake"].item() == pytest.approx((1.48 + 0) / 2, rel=1e-5)
    assert g_terms["adversarial"].item() == pytest.approx(-(0.48 - 2.88) / 2, rel=1e-5)
    slopes = [part.sum((1, 2, 3)).tolist() for part in torch.autograd.grad(g_terms["adversarial"], (large, small))]
    assert slopes[0] == pytest.approx([-(2 + 4 * 0.1) / 2, -(2 + 4 * 0.7) / 2], rel=1e-4)
    assert slopes[1] == pytest.approx([-4 * 0.2 / 2, 4 * 0.6 / 2], rel=1e-4)


def test_reals_fakes_and_their_small_ones_are_augmented(monkeypatch):
    """By an augmentation that halves, D is shown halves of everything, and the reals' small ones are made after it."""
    model, shown = trainer(reconstruction_weight=0.0).model, []
    monkeypatch.setattr(model.augment, "forward", lambda image: image / 2)
    monkeypatch.setattr(model.augment, "together", lambda *images: tuple(x / 2 for x in images))
    white = torch.ones(2, 3, 32, 32)
    judge = Told()
    model.generator.forward = lambda z: (-white, -white[:, :, :16, :16])
    model.discriminator.forward = lambda *pair: shown.append([x.mean().item() for x in pair]) or judge(*pair)
    for _ in model.step(iter([Images(white)])):
        pass
    assert shown == [[0.5, 0.5], [-0.5, -0.5], [-0.5, -0.5]]


def test_d_redraws_reals_only_and_its_error_never_reaches_g():
    made = trainer()
    step = made.model.step(made.batches)
    _, terms, _ = next(step)
    D, G = made.model.discriminator, made.model.generator
    kept = {"retain_graph": True, "allow_unused": True}
    to_trunk = torch.autograd.grad(terms["reconstruction"], list(D.entry.parameters()), **kept)
    assert all(gradient is not None and gradient.abs().sum() > 0 for gradient in to_trunk)
    to_g = torch.autograd.grad(sum(terms.values()), list(G.parameters()), **kept)
    assert all(gradient is None for gradient in to_g)
    _, terms = next(step)
    assert list(terms) == ["adversarial"]
    to_g = torch.autograd.grad(terms["adversarial"], list(G.first.parameters()), **kept)
    assert all(gradient is not None for gradient in to_g)


def test_the_quarter_of_the_map_is_that_of_the_image():
    x = torch.arange(16.0).view(1, 1, 4, 4)
    quarters = [quarter_of(x, torch.tensor([k]))[0, 0].flatten().tolist() for k in range(4)]
    assert quarters == [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]
    model, image = trainer(augment="none").model, torch.rand(2, 3, 16, 16)
    small = F.interpolate(image, 8, mode="area")
    D = model.discriminator
    D.decode_part, D.decode_last, D.decode_small = Same(), Fixed(small), Fixed(small)
    judged = Judgement(score=small, last=small, middle=image, small=small)
    assert model.reconstruction(judged, image, small).item() == pytest.approx(0.0, abs=1e-6)
    assert model.reconstruction(judged, image.roll(8, 3), small).item() > 0.1


def test_fakes_are_augmented_as_reals_are_and_gradients_go_through():
    made = trainer(cutout=True)
    fake = torch.zeros(4, 3, 32, 32, requires_grad=True)
    made.model.generator.forward = lambda z: (fake, F.interpolate(fake, 16))
    step = made.model.step(made.batches)
    next(step)
    _, terms = next(step)
    terms["adversarial"].backward()
    assert fake.grad is not None
    assert fake.grad.abs().sum() > 0


# ---- what makes it this model ------------------------------------------------------------------------------


def test_gates_of_zero_features_are_half_open_and_noise_starts_silent():
    gate = Excitation(3, 5).eval()
    high = torch.randn(2, 5, 7, 7)
    assert torch.allclose(gate(torch.zeros(2, 3, 4, 4), high), 0.5 * high)
    net = Generator(8, 3, 4, 64).eval()
    noises = [layer for layer in net.modules() if isinstance(layer, Noise)]
    assert len(noises) == 4
    z = torch.randn(2, 8)
    assert torch.equal(net(z)[0], net(z)[0])
    for noise in noises:
        nn.init.ones_(noise.weight)
    assert not torch.equal(net(z)[0], net(z)[0])


def test_which_maps_excite_which():
    assert [list(Generator(8, 3, 4, size).gates) for size in (32, 64, 128)] == [[], ["64"], ["64", "128"]]
    assert [list(Discriminator(3, 4, size, 4).gates) for size in (32, 64, 128, 256)] == [
        [],
        ["8"],
        ["16", "8"],
        ["32", "16", "8"],
    ]


def test_every_width_scales_with_one_number():
    """The trap of the release: decoders of fixed widths are nearly all of a small network."""
    large, small = (count(Discriminator(3, width, 64, width)) for width in (32, 8))
    assert large / small > 12
    fixed = count(Discriminator(3, 8, 64, 64))
    assert fixed > 4 * small


def test_sizes():
    assert [internal_size(*size) for size in ((8, 8), (32, 20), (33, 12), (64, 64), (1000, 700))] == [
        32,
        32,
        64,
        64,
        1024,
    ]
    with pytest.raises(UserError, match="at most 1024 pixels"):
        registry.create("fastgan", (3, 2000, 64))
    with pytest.raises(UserError, match="cutout is a part of DiffAugment"):
        registry.create("fastgan", (3, 32, 32), augment="none", cutout=True)
    with pytest.raises(UserError, match="2-D points"):
        registry.create("fastgan", (2,))


def test_samples_come_from_the_average_and_its_own_statistics():
    made = trainer()
    for done in made:
        if done == 2:
            break
    model = made.model
    average = model.averages["generator"]
    means = [buffer for name, buffer in average.named_buffers() if name.endswith("running_mean")]
    assert any(mean.abs().sum() > 0 for mean in means)
    assert model.sample_mode == "eval"
    for noise in (layer for layer in average.modules() if isinstance(layer, Noise)):
        nn.init.zeros_(noise.weight)
    z = torch.randn(2, 8)
    assert torch.equal(model.sample(2, seed=0, latent=z), average.eval()(z)[0])


# ---- the measure of its proof ------------------------------------------------------------------------------


def test_what_features_leave_unexplained_is_none_of_a_linear_map_and_all_of_noise() -> None:
    chance = torch.Generator().manual_seed(0)
    features = [torch.randn(40 * 64, 6, generator=chance, dtype=torch.double) for _ in range(2)]
    weights = torch.randn(6, 12, generator=chance, dtype=torch.double)
    places = torch.randn(64, 12, generator=chance, dtype=torch.double).repeat(40, 1)  # what each place has in common
    noise = [torch.randn(40 * 64, 12, generator=chance, dtype=torch.double) for _ in range(2)]
    assert fastgan_redrawn.unexplained(features, [part @ weights for part in features]) < 0.03
    assert fastgan_redrawn.unexplained(features, [part + places for part in noise]) == pytest.approx(1, abs=0.06)
    half = [part @ weights / 6**0.5 + rest for part, rest in zip(features, noise, strict=True)]
    assert 0.4 < fastgan_redrawn.unexplained(features, half) < 0.6


def test_a_patch_lies_below_its_place_of_the_map() -> None:
    images = torch.zeros(1, 3, 32, 32)
    images[0, :, 4:8, 12:16] = torch.arange(48.0).reshape(3, 4, 4)
    cut = fastgan_redrawn.patches(images)
    assert cut.shape == (64, 48)
    assert torch.equal(cut[1 * 8 + 3], torch.arange(48.0, dtype=torch.double))
    assert cut.sum() == cut[1 * 8 + 3].sum()
