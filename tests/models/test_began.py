"""BEGAN against its paper: the reconstruction loss and its gradient, the control variable in numbers, the networks, the
known mistakes."""

import math

import pytest
import torch
from torch import Tensor, nn

from ganarium import registry
from ganarium.data.batches import Batches
from ganarium.data.dataset import Dataset, Images
from ganarium.models.began import Decoder
from ganarium.trainer import Trainer
from synthetic import trainer


class Scaled(nn.Module):
    """An auto-encoder that gives back a multiple of its input."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x


class Constant:
    """Batches of images of one value."""

    def __init__(self, value: float) -> None:
        self.image = torch.full((4, 1, 8, 8), value)

    def __next__(self) -> Images:
        return Images(self.image)


def with_losses(real: float, fake: float, k: float = 0.0, **options):
    """A model whose D rebuilds nothing, with batches and fakes of one value: L(x) and L(G(z)) are given numbers."""
    model = trainer("began", (1, 8, 8), **options).model
    model.discriminator = Scaled(0.0)
    model.generate = lambda n: torch.full((n, 1, 8, 8), fake)
    model.k.fill_(k)
    return model, Constant(real)


# ---- the control variable --------------------------------------------------------------------------------------


def test_k_and_convergence_in_numbers():
    """L(x) = 1, L(G) = 0.3, gamma = 0.5: k rises by 0.001 (0.5 - 0.3) = 0.0002 a step and M = 1 + 0.2."""
    model, batches = with_losses(1.0, 0.3)
    for step in range(1, 6):
        seen = list(model.step(batches))
        assert model.k.item() == pytest.approx(0.0002 * step, rel=1e-5)
        watched = seen[1][2]
        assert watched["convergence"].item() == pytest.approx(1.2, rel=1e-6)
        assert watched["k"].item() == pytest.approx(0.0002 * (step - 1), rel=1e-5, abs=1e-9)  # the k that D used


def test_convergence_counts_the_balance_without_its_sign():
    """L(x) = 1, L(G) = 3, gamma = 0.5: M = 1 + |0.5 - 3| = 3.5; with its sign it would be -1.5."""
    model, batches = with_losses(1.0, 3.0)
    watched = list(model.step(batches))[1][2]
    assert watched["convergence"].item() == pytest.approx(3.5, rel=1e-6)


@pytest.mark.parametrize(
    ("real", "fake", "gamma", "expected"),
    [(1.0, 0.3, 0.5, 0.0002), (1.0, 0.6, 0.5, -0.0001), (0.4, 0.1, 0.75, 0.0002), (1.0, 0.5, 0.5, 0.0)],
)
def test_k_moves_by_the_balance(real, fake, gamma, expected):
    """Known mistake: the balance turned round, L(x) - gamma L(G) or gamma L(G) - L(x), which fails these rows."""
    model, batches = with_losses(real, fake, k=0.5, gamma=gamma)
    list(model.step(batches))
    assert model.k.item() - 0.5 == pytest.approx(expected, abs=1e-7)
    turned = 0.001 * (gamma * fake - real)
    assert turned != pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize(
    ("k", "fake", "expected"), [(0.0, 0.9, 0.0), (1.0, 0.1, 1.0), (0.9999, 0.1, 1.0), (0.0001, 0.9, 0.0)]
)
def test_k_never_leaves_its_range(k, fake, expected):
    model, batches = with_losses(1.0, fake, k=k)
    for _ in range(3):
        list(model.step(batches))
    assert model.k.item() == expected


def test_k_starts_at_zero_is_saved_and_has_no_gradient():
    made = trainer("began", lambda_k=0.5)
    assert made.model.k.item() == 0
    for done in made:
        if done == 3:
            break
    assert made.model.state_dict()["k"] == made.model.k
    assert 0 < made.model.k.item() <= 1
    assert not made.model.k.requires_grad
    assert made.model.k.grad_fn is None


# ---- losses ----------------------------------------------------------------------------------------------------


def test_loss_is_the_mean_absolute_error():
    """Known mistake: MSE, which would be 0.25."""
    model = trainer("began").model
    model.discriminator = Scaled(0.0)
    image = torch.full((3, 1, 16, 16), 0.5)
    assert model.reconstruction(image).item() == 0.5
    assert (image - model.discriminator(image)).square().mean().item() == 0.25


def test_gradient_reaches_the_fake_through_both_arguments():
    """L = mean |v - a v|: dL/dv = (1 - a) sign(v) / n. Known mistakes: D(v) or v detached, so 1 or -a."""
    model = trainer("began").model
    model.discriminator = Scaled(0.75)
    v = torch.rand(2, 1, 16, 16, requires_grad=True)
    (gradient,) = torch.autograd.grad(model.reconstruction(v), v)
    assert torch.allclose(gradient * v.numel(), torch.tensor(0.25))
    for mistaken, wrong in ((v - 0.75 * v.detach(), 1.0), (v.detach() - 0.75 * v, -0.75)):
        (gradient,) = torch.autograd.grad(mistaken.abs().mean(), v)
        assert torch.allclose(gradient * v.numel(), torch.tensor(wrong))


def test_terms_of_both_players():
    model, batches = with_losses(0.8, 0.3, k=0.25)
    (d, d_terms), (g, g_terms, _) = model.step(batches)
    assert (d, g) == ("D", "G")
    assert {name: v.item() for name, v in d_terms.items()} == pytest.approx({"real": 0.8, "fake": -0.25 * 0.3})
    assert {name: v.item() for name, v in g_terms.items()} == pytest.approx({"reconstruction": 0.3})


def test_gradient_of_d_does_not_reach_g():
    made = trainer("began")
    made.model.k.fill_(0.5)
    sum(next(made.model.step(made.batches))[1].values()).backward()
    assert all(p.grad is None for p in made.model.generator.parameters())
    assert all(p.grad is not None for p in made.model.discriminator.parameters())


def test_generator_is_trained_against_the_new_discriminator():
    made = trainer("began")
    step = made.model.step(made.batches)
    next(step)
    made.model.discriminator = Scaled(1.0)
    assert next(step)[1]["reconstruction"].item() == 0


# ---- networks --------------------------------------------------------------------------------------------------


def convolutions(network: nn.Module) -> list[tuple[int, int, int]]:
    return [(m.in_channels, m.out_channels, m.stride[0]) for m in network.modules() if isinstance(m, nn.Conv2d)]


def test_encoder_channels_grow_linearly():
    """n, 2n, 3n with each halving. Known mistake: doubling, which first differs at the third."""
    model = registry.create("began", (3, 64, 64), width=4)
    n, (encoder, decoder) = 4, model.discriminator
    expected = [(3, n, 1)]
    for level in (1, 2, 3):
        expected += [(level * n, level * n, 1)] * 2 + [(level * n, (level + 1) * n, 2)]
    assert convolutions(encoder) == expected + [(4 * n, 4 * n, 1)] * 2
    assert encoder.layers[-1].in_features == 4 * n * 8 * 8
    assert encoder.layers[-1].out_features == 64
    assert convolutions(decoder) == [(n, n, 1)] * 8 + [(n, 3, 1)]
    assert {m.kernel_size for m in model.modules() if isinstance(m, nn.Conv2d)} == {(3, 3)}


def test_decoder_has_the_architecture_of_the_generator():
    """And weights of its own."""
    model = registry.create("began", (1, 32, 32), width=4)
    G, decoder = model.generator, model.discriminator[1]
    assert type(G) is type(decoder) is Decoder
    assert {k: v.shape for k, v in G.state_dict().items()} == {k: v.shape for k, v in decoder.state_dict().items()}
    assert not {p.data_ptr() for p in G.parameters()} & {p.data_ptr() for p in decoder.parameters()}


def test_no_norm_no_dropout_and_an_unbounded_output():
    """Known mistakes: batch norm in both networks, and a 32-unit bottleneck with it."""
    model = registry.create("began", (1, 16, 16), width=4)
    kinds = {type(m).__name__ for m in model.modules() if not list(m.children())}
    assert kinds == {"Conv2d", "Linear", "ELU", "Flatten", "Augmentation"}
    with torch.no_grad():
        for network in (model.generator, model.discriminator[1]):
            network.last.weight.mul_(1e4)
            assert network(torch.randn(2, 64)).abs().max() > 100
    assert model.sample(2, seed=0).abs().max() == 1


def test_nearest_upsampling():
    decoder = Decoder((1, 16, 16), 3, 2)
    for conv in [*decoder.convs, decoder.last]:  # each channel passes through its own convolution unchanged
        nn.init.dirac_(conv.weight)
        nn.init.zeros_(conv.bias)
    with torch.no_grad():
        small = decoder.project(torch.ones(1, 3)).unflatten(1, (2, 8, 8))
        for _ in range(4):
            small = nn.functional.elu(small)
        assert torch.allclose(decoder(torch.ones(1, 3)), small[:, :1].repeat_interleave(2, 2).repeat_interleave(2, 3))


def test_numbers():
    """Known mistakes: gamma 0.75 and a rate of 2e-4."""
    made = trainer("began", (1, 64, 64), width=None, latent_dim=64)
    config, model = made.model.config, made.model
    assert (config.gamma, config.lambda_k, model.batch_size) == (0.5, 0.001, 16)
    assert convolutions(model.generator)[0] == (64, 64, 1)
    assert convolutions(registry.create("began", (1, 32, 32)).generator)[0] == (32, 32, 1)
    for moved in made.players.values():
        assert isinstance(moved.optimizer, torch.optim.Adam)
        assert moved.optimizer.param_groups[0]["lr"] == 1e-4
    z = model.latent(1000)
    assert z.shape == (1000, 64)
    assert 0.99 < z.abs().max() <= 1
    assert z.var().item() == pytest.approx(1 / 3, abs=0.01)


def test_learning_rate_is_halved_again_and_again():
    for every, expected in ((100, [1, 1, 0.5, 0.5, 0.25]), (None, [1] * 5)):
        made = trainer("began", lr_halving_steps=every)
        for moved in made.players.values():
            actual = []
            for t in (0, 99, 100, 199, 200):
                moved.set_numbers(t, 1000)
                actual.append(moved.optimizer.param_groups[0]["lr"] / 1e-4)
            assert actual == pytest.approx(expected)


# ---- learning ----------------------------------------------------------------------------------------------------


def ratio(seed: int, fixed: float | None = None, steps: int = 350) -> tuple[float, float, float]:
    """L(G) / L(x) over the last hundred steps on small smooth images, the first and the last M; k may be held."""
    torch.manual_seed(seed)
    coarse = torch.rand(256, 1, 3, 3, generator=torch.Generator().manual_seed(seed))
    images = nn.functional.interpolate(coarse, (8, 8), mode="bilinear").mul(255).to(torch.uint8).permute(0, 2, 3, 1)
    options = {"lambda_k": 0.05} if fixed is None else {"lambda_k": 1e-12}
    model = registry.create("began", (1, 8, 8), width=8, latent_dim=8, lr=2e-3, **options)
    model.k.fill_(fixed or 0.0)
    made = Trainer(model, Batches(Dataset("smooth", images.contiguous()), Images, 16, seed=seed), steps)
    for _ in made:
        pass
    rows = made.drain().rows
    last = rows[-100:]
    actual = sum(row["G/reconstruction"] for row in last) / sum(row["D/real"] for row in last)
    return actual, rows[20]["G/convergence"], sum(row["G/convergence"] for row in last) / 100


def test_k_settles_where_the_ratio_is_gamma():
    """In closed form: with L(x) = 1 and L(G) = 0.2 + 0.8 k, k moves by lambda (0.5 - 0.2 - 0.8 k), so after n steps it
    is 0.375 (1 - (1 - 0.8 lambda)^n), and the ratio 0.2 + 0.8 k comes to gamma."""
    made = trainer("began", lambda_k=0.05)
    model, asked = made.model, []

    def reconstruction(image: Tensor) -> Tensor:
        asked.append(image)
        return torch.tensor(1.0) if len(asked) % 3 == 1 else 0.2 + 0.8 * model.k.clone()

    model.reconstruction = reconstruction
    for n in range(1, 121):
        for _ in model.step(made.batches):
            pass
        assert model.k.item() == pytest.approx(0.375 * (1 - 0.96**n), abs=1e-5)
    assert 0.2 + 0.8 * model.k.item() == pytest.approx(model.config.gamma, abs=0.01)


def test_k_holds_the_ratio_near_gamma_while_it_trains():
    """gamma = 0.5, and M falls. One run swings: seeds 0-2 and 100-102 end between 0.44 and 0.61. So two are
    held to the middles between gamma and the controls: 0.27 to 0.34 with k at 0, and 1.2 with k at 1."""
    runs = [ratio(seed) for seed in range(2)]
    mean = math.exp(sum(math.log(actual) for actual, _, _ in runs) / 2)  # 0.55
    assert (0.33 * 0.5) ** 0.5 < mean < (0.5 * 1.2) ** 0.5
    assert all(last < 0.6 * first for _, first, last in runs)  # about a quarter


def test_control_k_held_at_zero():
    """D is then a plain auto-encoder and the ratio drifts off: 0.33, 0.32, 0.34 on seeds 100-102."""
    assert ratio(0, fixed=0.0)[0] < (0.33 * 0.5) ** 0.5


def test_control_k_held_at_one():
    """D blows up: M rises from below 6 to above 100 within a hundred steps on seeds 100-102."""
    _, first, last = ratio(0, fixed=1.0, steps=100)
    assert last > 20
    assert last > 5 * first
