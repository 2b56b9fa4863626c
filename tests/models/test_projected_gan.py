"""Projected GAN against its paper and the authors' numbers: mixing, small discriminators, generator, what is frozen."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import reference
from ganarium import registry
from ganarium.data.dataset import Images
from ganarium.errors import UserError
from ganarium.layers import diffaugment
from ganarium.models import projected_gan
from ganarium.networks.efficientnet_lite import CHANNELS, load_efficientnet_lite
from ganarium.networks.fastgan import Noise
from ganarium.networks.projected_gan import Discriminators, Generator, Mixing
from ganarium.testing import small_trainer


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def recorded(k: int, shape: tuple[int, ...]) -> Tensor:
    """Maps as the frozen network may give them, for tests that need no weights."""
    return reference.values(shape, k)


def one_iteration_of_the_old_hook(network: nn.Module, rows: list) -> None:
    """Spectral norms as in the recorded forward: from the given vectors, one power iteration of torch's old hook, which
    begins with v."""
    names, vectors = [row[1].rpartition("_")[0] for row in rows], [reference.values(row[2], row[0]) for row in rows]
    given = {(name, row[1][-1]): vector / vector.norm() for name, row, vector in zip(names, rows, vectors, strict=True)}
    norms = [layer.parametrizations.weight for layer in network.modules() if hasattr(layer, "parametrizations")]
    for name, weight in zip(dict.fromkeys(names), norms, strict=True):
        matrix = weight[0]._reshape_weight_to_matrix(weight.original).detach()
        v = F.normalize(matrix.T @ given[name, "u"], dim=0)
        weight[0]._u.copy_(F.normalize(matrix @ v, dim=0))
        weight[0]._v.copy_(v)
        weight[0].eval()


# ---- the authors' numbers ----------------------------------------------------------------------------------


def test_published_numbers_of_parameters() -> None:
    numbers = reference.load("projected_gan")
    with torch.device("meta"):
        assert count(Generator(256, 3, 128, 256, lite=False)) == numbers["generator"]["published_size ngf 128, 256 px"]
        assert count(Generator(256, 3, 128, 256, lite=True)) == numbers["generator"]["the same, lite"] == 79_354_307
        assert count(Discriminators(64, 224)) == numbers["discriminators"]["published_size"] == 10_331_328


def test_the_generator_gives_the_authors_numbers() -> None:
    numbers = reference.load("projected_gan")["generator"]
    net = Generator(256, 3, 4, 128, lite=False).double()
    here = [row for row in numbers["parameters"] if "256" not in row[1]]
    reference.fill(net.parameters(), here)
    one_iteration_of_the_old_hook(net, [row for row in numbers["spectral norm vectors"] if "256" not in row[1]])
    z = reference.inputs({"inputs": {"z": numbers["z"]}})["z"]
    reference.hold(net(z), numbers["output"])
    assert torch.allclose(net(3 * z), net(z)), "z is scaled to one mean square"


def test_mixing_and_discriminators_give_the_authors_numbers() -> None:
    numbers = reference.load("projected_gan")
    try:
        network = load_efficientnet_lite(0).double()
    except UserError as error:
        pytest.skip(str(error))
    image = reference.inputs({"inputs": {"image": numbers["efficientnet_lite0"]["input"]}})["image"]
    maps = network(F.interpolate(image, size=224, mode="bilinear", align_corners=False))
    mixing = Mixing(CHANNELS, 64).double()
    reference.fill(mixing.parameters(), numbers["mixing"]["parameters"])
    mixed = mixing(maps)
    for x, row in zip(mixed, numbers["mixing"]["outputs, depth 0 to 3"], strict=True):
        reference.hold(x, row)

    record = numbers["discriminators"]
    net = Discriminators(64, 224).double()
    reference.fill(net.parameters(), record["parameters"])
    one_iteration_of_the_old_hook(net, record["spectral norm vectors"])
    scores = net(mixed)
    reference.hold(scores, record["logits"])
    assert F.relu(1 - scores).mean().item() == pytest.approx(record["hinge"]["as real"], rel=1e-6)
    assert F.relu(1 + scores).mean().item() == pytest.approx(record["hinge"]["as fake"], rel=1e-6)
    assert -scores.mean().item() == pytest.approx(record["hinge"]["G"], rel=1e-6)


# ---- losses ------------------------------------------------------------------------------------------------


def test_terms_are_the_hinge_over_all_patches_and_who_gets_a_gradient() -> None:
    model, seen = small_trainer("projected_gan", (3, 32, 32), augment="none").model, []
    shift = nn.Parameter(torch.zeros(()))
    real = torch.full((6, 3, 32, 32), -0.1)
    images = iter([torch.full((6, 3, 32, 32), 0.2, requires_grad=True), torch.full((6, 3, 32, 32), 0.3)])
    model.generator.forward = lambda z: next(images)

    def scores(image: Tensor) -> Tensor:
        seen.append(image)
        return image.mean((1, 2, 3))[:, None] + torch.tensor([-3.0, -0.5, 0.25, 4.0]) + shift

    model.D = scores
    step = model.step(iter([Images(real)]))
    player, terms = next(step)
    assert player == "G"
    assert terms["adversarial"].item() == pytest.approx(-(0.2 + 0.1875), abs=1e-6)
    (to_image,) = torch.autograd.grad(terms["adversarial"], [seen[0]])
    assert torch.allclose(to_image, torch.full_like(to_image, -1 / to_image.numel()))

    player, terms, watched = next(step)
    assert player == "D"
    assert terms["real"].item() == pytest.approx((1 + 3.1 + 1 + 0.6 + 1 - 0.15 + 0) / 4, abs=1e-6)
    assert terms["fake"].item() == pytest.approx((0 + 0.8 + 1.55 + 5.3) / 4, abs=1e-6)
    assert torch.equal(seen[1], real)
    assert not seen[2].requires_grad
    assert watched["real"].shape == watched["fake"].shape == (6, 4)


def test_the_frozen_network_and_the_mixing_never_move_but_the_image_has_a_gradient() -> None:
    made = small_trainer("projected_gan", (3, 32, 32))
    model = made.model
    model.load_features()
    (network,) = model.loaded
    before = {key: value.clone() for key, value in network.state_dict().items()}
    mixing = {key: value.clone() for key, value in model.mixing.state_dict().items()}
    for _ in range(3):
        made.iterate()
    assert not network.training
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert all(torch.equal(value, mixing[key]) for key, value in model.mixing.state_dict().items())
    image = torch.rand(2, 3, 32, 32, requires_grad=True)
    model.D(image).mean().backward()
    assert image.grad is not None
    assert image.grad.abs().sum() > 0
    frozen = [*network.parameters(), *model.mixing.parameters()]
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in frozen)


def test_the_mistake_of_a_frozen_network_in_training_is_none_here() -> None:
    model = small_trainer("projected_gan", (3, 32, 32), augment="none").model
    image = torch.rand(2, 3, 32, 32)
    maps = model.train().feature_network()(image)
    model.eval()
    assert all(torch.equal(x, y) for x, y in zip(model.feature_network()(image), maps, strict=True))


def test_a_copy_of_an_image_has_its_scores_and_augmentation_changes_them() -> None:
    plain = small_trainer("projected_gan", (3, 32, 32), augment="none").model.eval()
    image = torch.rand(1, 3, 32, 32).repeat(2, 1, 1, 1)
    first, second = plain.D(image)
    assert torch.equal(first, second)
    augmented = small_trainer("projected_gan", (3, 32, 32)).model.eval()
    first, second = augmented.D(image)
    assert not torch.equal(first, second)


def test_augmentation_is_on_what_d_sees_in_both_steps(monkeypatch) -> None:
    seen = []

    def recording(*images: Tensor, policy: tuple[str, ...]) -> list[Tensor]:
        seen.append((images[0].requires_grad, policy))
        return list(images)

    monkeypatch.setattr(diffaugment, "augmented", recording)
    made = small_trainer("projected_gan", (3, 32, 32))
    made.iterate()
    assert seen == [(needs, ("color", "translation", "cutout")) for needs in (True, False, False)]


# ---- the random layers, sizes, channels --------------------------------------------------------------------


def test_mixing_is_random_by_the_seed_and_saved() -> None:
    first, same, other = (
        small_trainer("projected_gan", (3, 32, 32), seed=seed).model.mixing.state_dict() for seed in (1, 1, 2)
    )
    assert all(torch.equal(value, same[key]) for key, value in first.items())
    assert not any(torch.equal(value, other[key]) for key, value in first.items())
    model = small_trainer("projected_gan", (3, 32, 32)).model
    assert any(key.startswith("mixing.") for key in model.state_dict())
    assert set(model.still) == {name for name, _ in model.named_parameters() if name.startswith("mixing.")}


def test_the_frozen_network_is_in_no_checkpoint_and_not_needed_to_sample(monkeypatch) -> None:
    def absent(variant: int) -> None:
        raise UserError("not here")

    monkeypatch.setattr(projected_gan, "load_efficientnet_lite", absent)
    model = registry.create("projected_gan", (3, 32, 32), width=4, latent_dim=8, discriminator_width=4)
    assert model.sample(2, seed=0).shape == (2, 3, 32, 32)
    made = small_trainer("projected_gan", (3, 32, 32))
    made.iterate()
    names = [name.partition(".")[0] for name in made.model.state_dict()]
    assert set(names) == {"generator", "mixing", "discriminators", "clock"}
    with pytest.raises(UserError, match="not here"):
        small_trainer("projected_gan", (3, 32, 32), features="lite0").model.load_features()


def test_deeper_maps_reach_the_shallow_ones_and_not_the_other_way() -> None:
    mixing = Mixing((3, 5, 7, 9), 4)
    maps = [torch.rand(1, n, 16 // 2**i, 16 // 2**i) for i, n in enumerate((3, 5, 7, 9))]
    mixed = mixing(maps)
    assert [tuple(x.shape[1:]) for x in mixed] == [(4, 32, 32), (4, 16, 16), (8, 8, 8), (16, 4, 4)]
    for depth in range(4):
        changed = copy.copy(maps)
        changed[depth] = maps[depth] + 1
        same = [torch.equal(x, y) for x, y in zip(mixing(changed), mixed, strict=True)]
        assert same == [other > depth for other in range(4)]


@pytest.mark.parametrize(("side", "patches"), [(64, [4, 4, 4, 4]), (128, [1] * 4), (224, [16] * 4), (256, [25] * 4)])
def test_scores_at_every_size_of_the_features(side: int, patches: list[int]) -> None:
    mixed = [torch.rand(2, w, side // 2 ** (i + 1), side // 2 ** (i + 1)) for i, w in enumerate((1, 1, 2, 4))]
    net = Discriminators(1, side)
    each = [head(x).numel() // 2 for head, x in zip(net.heads, mixed, strict=True)]
    assert net(mixed).shape == (2, sum(each))
    if side != 64:
        assert each == patches


def test_grey_images_are_repeated_and_a_fourth_channel_is_seen() -> None:
    grey = small_trainer("projected_gan", (1, 32, 32), augment="none").model.eval()
    colour = small_trainer("projected_gan", (3, 32, 32), augment="none").model.eval()
    colour.mixing, colour.discriminators = grey.mixing, grey.discriminators
    image = torch.rand(2, 1, 32, 32)
    assert torch.equal(grey.D(image), colour.D(image.repeat(1, 3, 1, 1)))
    alpha = small_trainer("projected_gan", (4, 32, 32), augment="none").model.eval()
    image = torch.rand(2, 4, 32, 32, requires_grad=True)
    alpha.D(image).mean().backward()
    assert image.grad is not None
    assert (image.grad.abs().sum((0, 2, 3)) > 0).all()


def test_noise_is_in_every_stage_but_the_lite_ones() -> None:
    noisy, lite = (Generator(8, 3, 4, 64, lite=lite) for lite in (False, True))
    assert sum(isinstance(layer, Noise) for layer in noisy.modules()) == 2 * 4
    assert sum(isinstance(layer, Noise) for layer in lite.modules()) == 0
    assert list(noisy.gates) == ["64"]


def test_what_it_refuses() -> None:
    for words, options, shape in (
        ("at most 1024 pixels", {}, (3, 2000, 64)),
        ("2-D points", {}, (2,)),
        ("feature_size must be a multiple of 32", {"feature_size": 100}, (3, 32, 32)),
        ("at least 64", {"feature_size": 32}, (3, 32, 32)),
        ("width must be at least 2", {"width": 1}, (3, 32, 32)),
    ):
        with pytest.raises(UserError, match=words) as caught:
            registry.create("projected_gan", shape, **options)
        assert str(caught.value).count(". ") == 0
