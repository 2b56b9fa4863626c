"""DCGAN against its paper: a static walk over the networks that finds every known mistake, batch norm at work, the
released sizes and numbers."""

import copy
import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from ganarium import registry
from ganarium.data.dataset import Images
from ganarium.networks.dcgan import Discriminator, Generator
from synthetic import trainer

NORMS = nn.modules.batchnorm._BatchNorm
POOLS = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)


def layers(network: nn.Module) -> list[nn.Module]:
    return [m for m in network.modules() if not list(m.children()) and not isinstance(m, nn.Identity)]


def faults(G: nn.Module, D: nn.Module) -> list[str]:
    """What is not DCGAN about a pair of networks, from their modules alone."""
    g, d = layers(G), layers(D)
    actual = [f"{type(m).__name__} in a network" for m in g + d if isinstance(m, (nn.Upsample, *POOLS))]
    actual += ["dropout" for m in g + d if isinstance(m, nn.modules.dropout._DropoutNd)]
    actual += ["dense layer in the middle" for m in g[1:] + d[:-1] if isinstance(m, nn.Linear)]
    actual += ["G is not made of transposed convolutions"] * any(isinstance(m, nn.Conv2d) for m in g)
    actual += ["D without strides" for m in d if isinstance(m, nn.Conv2d) and m.stride != (2, 2)]
    actual += ["G without strides" for m in g if isinstance(m, nn.ConvTranspose2d) and m.stride != (2, 2)]
    actual += ["eps" for m in g + d if isinstance(m, NORMS) and m.eps > 1e-3]
    g_norms, d_norms = (
        [type(m) for m in net if isinstance(m, (NORMS, nn.Conv2d, nn.ConvTranspose2d))] for net in (g, d)
    )
    actual += ["batch norm at G's output"] * (g_norms[-1] in (nn.BatchNorm1d, nn.BatchNorm2d))
    actual += ["batch norm at D's input"] * (nn.BatchNorm2d in d_norms[:2])
    kernels = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
    for network in (g[:-2], d[1:]):  # all but the ends: G's last convolution and tanh, D's first convolution
        for layer, after in pairwise(network):
            if isinstance(layer, kernels):
                actual += ["no batch norm in the middle"] * (not isinstance(after, NORMS))
                actual += ["a bias under batch norm"] * (layer.bias is not None)
    actual += ["leaky G" for m in g if isinstance(m, nn.LeakyReLU)] + ["no tanh"] * (not isinstance(g[-1], nn.Tanh))
    actual += ["D is not leaky by 0.2"] * (
        [m.negative_slope for m in d if isinstance(m, nn.LeakyReLU)] != [0.2] * d_norms.count(nn.Conv2d)
    )
    large = [m for m in g + d if isinstance(m, kernels) and m.weight.numel() > 5000]
    actual += ["initial weights" for m in large if not 0.018 < m.weight.std() < 0.022 or m.weight.mean().abs() > 1e-3]
    for norm in (m for m in g + d if isinstance(m, NORMS)):
        actual += ["initial gain"] * (not 0.012 < norm.weight.std() < 0.028 or abs(norm.weight.mean() - 1) > 0.02)
        actual += ["initial shift"] * bool((norm.bias != 0).any())
    return actual


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 32, 32), (1, 28, 28), (4, 33, 50)])
def test_the_networks_are_those_of_dcgan(shape):
    torch.manual_seed(0)
    model = registry.create("dcgan", shape, width=32)
    assert faults(model.generator, model.discriminator) == []


def changed(G=None, D=None) -> list[str]:
    torch.manual_seed(0)
    model = registry.create("dcgan", (3, 32, 32), width=32)
    for change, network in ((G, model.generator), (D, model.discriminator)):
        if change:
            network.layers = nn.Sequential(*change(list(network.layers)))
    return faults(model.generator, model.discriminator)


def upsampled(old: list[nn.Module]) -> list[nn.Module]:
    """PyTorch-GAN's dcgan.py."""
    return [
        new
        for m in old
        for new in (
            [nn.Upsample(scale_factor=2), nn.Conv2d(m.in_channels, m.out_channels, 3, 1, 1)]
            if isinstance(m, nn.ConvTranspose2d)
            else [m]
        )
    ]


def with_eps(old: list[nn.Module]) -> list[nn.Module]:
    for m in old:
        m.eps = 0.8
    return old


def redrawn(old: list[nn.Module]) -> list[nn.Module]:
    """torch's own initialisation."""
    old[0].reset_parameters()
    return old


def test_the_walk_finds_every_known_mistake():
    assert "Upsample in a network" in changed(G=upsampled)
    assert "eps" in changed(G=with_eps)
    assert "eps" in changed(D=with_eps)
    assert "batch norm at G's output" in changed(G=lambda old: [*old[:-1], nn.BatchNorm2d(3), old[-1]])
    assert "batch norm at D's input" in changed(D=lambda old: [old[0], nn.BatchNorm2d(32), *old[1:]])
    assert "dropout" in changed(D=lambda old: [*old, nn.Dropout2d(0.25)])
    assert "MaxPool2d in a network" in changed(D=lambda old: [*old, nn.MaxPool2d(2)])
    assert "dense layer in the middle" in changed(D=lambda old: [*old, nn.Flatten(), nn.Linear(2048, 9)])
    assert "no batch norm in the middle" in changed(D=lambda old: [m for m in old if not isinstance(m, NORMS)])
    assert "leaky G" in changed(G=lambda old: [nn.LeakyReLU(0.2) if isinstance(m, nn.ReLU) else m for m in old])
    assert "no tanh" in changed(G=lambda old: [*old[:-1], nn.Sigmoid()])
    assert "initial weights" in changed(G=redrawn)
    assert "a bias under batch norm" in changed(D=lambda old: [*old[:2], nn.Conv2d(32, 64, 5, 2, 2), *old[3:]])


def test_widths_of_the_released_64x64_script():
    model = registry.create("dcgan", (3, 64, 64))
    G, D = model.generator, model.discriminator
    assert (G.project.in_features, *G.start) == (100, 1024, 4, 4)
    up = [m for m in layers(G) if isinstance(m, nn.ConvTranspose2d)]
    down = [m for m in layers(D) if isinstance(m, nn.Conv2d)]
    assert [m.out_channels for m in up] == [512, 256, 128, 3]
    assert [m.out_channels for m in down] == [128, 256, 512, 1024]
    assert {m.kernel_size for m in up + down} == {(5, 5)}
    assert (D.score.in_features, D.score.out_features) == (1024 * 4 * 4, 1)
    assert model.batch_size == 128


def norm_outputs(model) -> dict[str, list[float]]:
    """Standard deviation of what every batch norm gives in train mode, in G and in D."""
    stds = {"generator": [], "discriminator": []}
    for network, actual in stds.items():
        for m in getattr(model, network).modules():
            if isinstance(m, NORMS):
                m.register_forward_hook(lambda module, args, out, actual=actual: actual.append(out.std().item()))
    fake = model.generate(32)
    model.discriminator(fake.detach())
    return stds


def test_batch_norm_gives_unit_deviation_at_the_start():
    """Known mistake: BatchNorm2d(n, 0.8) sets eps, not the momentum; D's layers then shrink to hundredths."""
    torch.manual_seed(0)
    model = registry.create("dcgan", (3, 32, 32), width=64)
    stds = norm_outputs(copy.deepcopy(model))
    assert [len(actual) for actual in stds.values()] == [3, 2]
    for actual in stds.values():
        assert actual == pytest.approx([1.0] * len(actual), abs=0.05)
    for m in model.modules():
        if isinstance(m, NORMS):
            m.eps = 0.8
    mistaken = norm_outputs(model)
    assert max(mistaken["generator"] + mistaken["discriminator"]) < 0.95


def test_losses_are_plain_sums():
    made = trainer("dcgan")
    nn.init.zeros_(made.model.discriminator.score.weight)
    (_, d_terms, _), (_, g_terms) = made.model.step(made.batches)
    assert [term.item() for term in d_terms.values()] == pytest.approx([0.693147] * 2, abs=1e-6)
    assert g_terms["adversarial"].item() == pytest.approx(0.693147, abs=1e-6)


def test_reals_and_fakes_are_never_in_one_batch_of_d():
    """Known mistake: one batch of both, whose statistics change D."""
    made = trainer("dcgan", batch_size=6)
    model, seen = made.model, []
    model.discriminator.register_forward_pre_hook(lambda module, args: seen.append(args[0].detach()))
    for _ in model.step(made.batches):
        pass
    assert [len(batch) for batch in seen] == [6, 6, 6]
    real, fake = seen[:2]
    D = copy.deepcopy(model.discriminator)
    with torch.no_grad():
        apart, together = D(real), D(torch.cat([real, fake]))[:6]
    assert (apart - together).abs().max() > 0.01 * apart.std()
    made.batches.drawn = 0
    assert torch.equal(real, made.batches.draw(6).image)


def test_samples_use_the_statistics_of_their_batch():
    """Known mistake: running statistics, which change the images. One sample alone is still one of many."""
    made = trainer("dcgan", (1, 16, 16), width=16)
    for done in made:
        if done == 5:
            break
    model = made.model
    z = model.latent(64)
    with torch.no_grad():
        expected = copy.deepcopy(model.generator).train()(z)
        running = copy.deepcopy(model.generator).eval()(z)
        alone = copy.deepcopy(model.generator).train()(z[:1])
    torch.manual_seed(3)
    with torch.no_grad():
        drawn = copy.deepcopy(model.generator).train()(model.latent(64))
    assert torch.equal(model.sample(64, seed=3), drawn)
    assert (running - expected).abs().mean() > 0.1 * expected.std()
    one = model.sample(1, latent=z[:1], seed=0)
    assert 0.5 < one.std() / expected[0].std() < 2
    assert (one - expected[:1]).abs().mean() < 0.5 * (alone - expected[:1]).abs().mean()


def test_optimisers_and_prior():
    made = trainer("dcgan")
    for moved in made.players.values():
        (group,) = moved.optimizer.param_groups
        assert isinstance(moved.optimizer, torch.optim.Adam)
        assert (group["lr"], group["betas"], group["weight_decay"]) == (2e-4, (0.5, 0.999), 1e-5)
    z: Tensor = made.model.latent(1000)
    assert z.shape == (1000, 100)
    assert 0.99 < z.abs().max() <= 1
    assert z.var().item() == pytest.approx(1 / 3, abs=0.01)


class TwiceTheMean(nn.Module):
    """A discriminator whose score is twice the mean of an image."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(2.0))

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x.flatten(1).mean(1)


def test_losses_are_means_over_the_samples():
    """Scores of 2 and -2 of reals, 1 and -3 of fakes: known mistake, the loss of the mean score."""
    model = registry.create("dcgan", (1, 16, 16), width=2)
    real, fake = (
        torch.tensor(levels)[:, None, None, None].expand(2, 1, 16, 16) for levels in ((1.0, -1.0), (0.5, -1.5))
    )
    model.discriminator, model.generate = TwiceTheMean(), lambda n: fake
    (_, terms, scores), (_, g_terms) = model.step(iter([Images(real)]))
    assert (scores["real"].tolist(), scores["fake"].tolist()) == ([2, -2], [1, -3])
    softplus = [math.log1p(math.exp(score)) for score in (-2, 2, 1, -3, -1, 3)]
    assert terms["real"].item() == pytest.approx((softplus[0] + softplus[1]) / 2)
    assert terms["fake"].item() == pytest.approx((softplus[2] + softplus[3]) / 2)
    assert g_terms["adversarial"].item() == pytest.approx((softplus[4] + softplus[5]) / 2)


def test_gradient_of_d_does_not_reach_g():
    made = trainer("dcgan")
    sum(next(made.model.step(made.batches))[1].values()).backward()
    assert all(p.grad is None for p in made.model.generator.parameters())


def test_every_size_comes_out_exactly():
    for shape in ((3, 9, 31), (1, 45, 13), (4, 64, 24)):
        G, D = Generator(shape, 5, 2), Discriminator(shape, 2)
        assert G(torch.randn(2, 5)).shape == (2, *shape)
        assert D(torch.randn(2, *shape)).shape == (2,)
