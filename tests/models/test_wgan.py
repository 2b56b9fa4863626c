"""WGAN against its paper: every parameter of the critic in the box when G moves, the schedule of the authors' code, a
clipped critic with a known optimum, the known mistakes."""

import pytest
import torch
from torch import Tensor, nn

from ganarium import registry
from ganarium.errors import UserError
from synthetic import trainer


class Linear(nn.Module):
    """A critic w.x + b."""

    def __init__(self, *weight: float) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.tensor(weight)), nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight + self.bias


def largest(critic: nn.Module, kind: type = nn.Module) -> float:
    """The largest size of a parameter, of all modules or of those of a kind."""
    parts = [p for m in critic.modules() if isinstance(m, kind) for p in m.parameters(recurse=False)]
    return max(p.abs().max().item() for p in parts)


def critic_updates(moves: list[str]) -> list[int]:
    """How many updates of the critic come before each one of G."""
    return [len(part) for part in "".join(moves).split("G")[:-1]]


# ---- losses --------------------------------------------------------------------------------------------------


def test_critic_is_to_be_high_on_reals():
    made = trainer("wgan", (2,), batch_size=8, num_long_critic_steps=1)
    made.batches.images.fill_(2.0)
    made.model.critic, made.model.generate = Linear(1.0, 0.0), lambda n: torch.ones(n, 2)
    (_, critic, _), (_, last) = made.model.step(made.batches)
    assert critic["wasserstein"].item() == 1 - 2
    made.model.critic = Linear(1.0, 0.0)
    *_, (_, last) = made.model.step(made.batches)
    assert last["wasserstein"].item() == pytest.approx(-0.05)  # the weight of 1 has been clipped


def test_values_of_a_critic_that_is_zero():
    made = trainer("wgan", (2,))
    nn.init.zeros_(made.model.critic.layers[-1].weight)
    nn.init.zeros_(made.model.critic.layers[-1].bias)
    *critic, last = made.model.step(made.batches)
    assert {item[1]["wasserstein"].item() for item in [*critic, last]} == {0.0}


def test_adding_a_constant_to_every_score():
    """The critic's loss does not change, G's moves by it and has the same gradient: why the last bias never moves."""
    values, gradients = [], []
    for shift in (0.0, 7.0):
        made = trainer("wgan", (2,), batch_size=4, num_long_critic_steps=1, clip=10.0)
        last = made.model.critic.layers[-1]
        last.bias.data += shift
        step = made.model.step(made.batches)
        _, critic, _ = next(step)
        (own,) = torch.autograd.grad(critic["wasserstein"], last.bias)
        assert own == 0
        _, g = next(step)
        values.append((critic["wasserstein"].item(), g["wasserstein"].item()))
        gradients.append(torch.autograd.grad(g["wasserstein"], made.model.generator.layers[-1].weight)[0])
    assert values[1] == pytest.approx((values[0][0], values[0][1] - 7), abs=1e-5)
    assert torch.allclose(*gradients, atol=1e-6)
    assert list(made.model.still) == ["critic.layers.6.bias"]


def test_which_parameters_never_move():
    """The last bias of every kind of critic; the released one, with batch norm, has none."""
    actual = {}
    for network in ("dcgan", "mlp", "resnet"):
        for norm in ("none", "batch", "layer"):
            model = registry.create("wgan", (1, 16, 16), width=4, network=network, norm=norm)
            actual[network, norm] = list(model.still)
            assert set(model.still) <= set(dict(model.named_parameters()))
    assert actual["dcgan", "batch"] == []
    assert actual["dcgan", "none"] == actual["dcgan", "layer"] == actual["resnet", "batch"] == ["critic.score.bias"]
    assert actual["mlp", "none"] == ["critic.layers.6.bias"]


def test_a_clipped_linear_critic_measures_the_distance():
    """Reals at 0, fakes at v: the best w in the box is -c sign(v), and the loss -c (|v_1| + |v_2|)."""
    made = trainer("wgan", (2,), batch_size=8, num_long_critic_steps=200, clip=0.02, lr=1e-3)
    made.batches.images.zero_()
    model, place = made.model, torch.tensor([3.0, -0.5])
    model.critic.layers = nn.Sequential(nn.Linear(2, 1))
    moved = made.players["D"]
    moved.parameters = list(model.critic.parameters())
    moved.optimizer = torch.optim.RMSprop(moved.parameters, lr=1e-3)
    model.generate = lambda n: place.expand(n, 2) + 0 * model.generator.layers[-1].bias
    losses = [update.terms["wasserstein"].item() for update in made.updates() if update.player == "D"]
    assert model.critic.layers[0].weight.flatten().tolist() == pytest.approx([-0.02, 0.02])
    assert losses[-1] == pytest.approx(-0.02 * 3.5)


# ---- clipping ------------------------------------------------------------------------------------------------


def test_g_meets_a_critic_in_the_box():
    made = trainer("wgan", lr=1e-3)
    sizes = {"D": [], "G": []}  # the largest parameter of the critic after each update of a player
    for _ in range(4):
        for update in made.updates():
            sizes[update.player].append(largest(made.model.critic))
        assert largest(made.model.critic) == pytest.approx(0.01)
    assert max(sizes["G"]) <= torch.tensor(0.01).item()
    assert min(sizes["D"]) > 0.0101


def test_control_clipping_before_the_update():
    """The released order, where G meets what the last update made of the critic: the assertion above fails."""
    made = trainer("wgan", lr=1e-3)
    for _ in range(5):
        for p in made.model.critic.parameters():
            p.data.clamp_(-0.01, 0.01)
        next(made.updates())  # the step is left before it clips
    assert not largest(made.model.critic) <= torch.tensor(0.01).item()


def test_batch_norm_is_clipped_too():
    made = trainer("wgan")
    assert largest(made.model.critic, nn.BatchNorm2d) > 0.9
    made.iterate()
    assert largest(made.model.critic, nn.BatchNorm2d) <= torch.tensor(0.01).item()


def test_control_clipping_convolutions_only():
    """Known mistake: batch norm's gains stay near 1 and undo it."""
    made = trainer("wgan", clip=1e9)
    made.iterate()
    for layer in made.model.critic.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.weight.data.clamp_(-0.01, 0.01)
    assert largest(made.model.critic, nn.Conv2d) <= torch.tensor(0.01).item()
    assert not largest(made.model.critic) <= torch.tensor(0.01).item()


def at_the_walls(clip: float, updates: int) -> float:
    """The share of the hidden weights within 2 % of the largest, after updates of a critic that starts inside 0.04."""
    made = trainer("wgan", (2,), batch_size=64, width=32, num_long_critic_steps=updates, clip=clip)
    for p in made.model.critic.parameters():
        p.data.mul_(0.2)
    made.iterate()
    weights = torch.cat([made.model.critic.layers[i].weight.flatten() for i in (2, 4)]).abs()
    return (weights > 0.98 * weights.max()).double().mean().item()


def test_clipped_weights_gather_at_the_walls():
    """The signature that the paper of WGAN-GP shows; weights without a box gather nowhere. About 1 s."""
    assert at_the_walls(0.05, 1) < 0.1
    assert at_the_walls(0.05, 300) > 0.5
    assert at_the_walls(1e9, 300) < 0.1


def test_spectral_norm_is_refused():
    with pytest.raises(UserError, match="use --norm batch, layer or none"):
        registry.create("wgan", (1, 16, 16), norm="spectral")


# ---- the schedule --------------------------------------------------------------------------------------------


def test_schedule_of_the_authors_code():
    """100 updates of the critic in iterations 0-24 and in every 500th, else 5."""
    made = trainer("wgan", (2,), num_long_critic_steps=100)
    assert registry.make_config("wgan", {}).num_long_critic_steps == 100
    counts = {}
    for iteration in (0, 1, 24, 25, 26, 499, 500, 501, 1000):
        made.model.iteration = iteration
        (counts[iteration],) = critic_updates([item[0] for item in made.model.step(made.batches)])
    assert [n for n, count in counts.items() if count == 100] == [0, 1, 24, 500, 1000]
    assert [n for n, count in counts.items() if count == 5] == [25, 26, 499, 501]


def test_algorithm_1_as_printed():
    """Five updates of the critic, on fresh data and noise, before each one of G."""
    made = trainer("wgan", batch_size=4, num_long_critic_steps=5)
    model, drawn, moves = made.model, [], []
    latent = model.latent
    model.latent = lambda n: drawn.append(latent(n)) or drawn[-1]
    for _ in range(2):
        moves += [item[0] for item in model.step(made.batches)]
    assert critic_updates(moves) == [5, 5]
    assert made.batches.drawn == 40
    assert len({tuple(z[0].tolist()) for z in drawn}) == 12  # known mistake: G on the critic's noise


def test_control_g_at_every_fifth_batch():
    """Known mistake: counted from 0, so that G first moves after one update of the critic."""
    moves = [move for i in range(10) for move in (["D", "G"] if i % 5 == 0 else ["D"])]
    assert critic_updates(moves) != [5, 5]
    assert critic_updates(moves)[0] == 1


# ---- networks and numbers ------------------------------------------------------------------------------------


def test_numbers_of_algorithm_1():
    """Known mistakes: Adam, and one update of the critic for one of G."""
    made = trainer("wgan")
    for moved in made.players.values():
        (group,) = moved.optimizer.param_groups
        assert isinstance(moved.optimizer, torch.optim.RMSprop)
        assert (group["lr"], group["alpha"], group["momentum"]) == (5e-5, 0.99, 0)
    assert (made.model.config.clip, made.model.config.num_critic_steps, made.model.batch_size) == (0.01, 5, 64)
    z = made.model.latent(4000)
    assert z.shape == (4000, 100)
    assert (z.mean().item(), z.std().item()) == pytest.approx((0, 1), abs=0.01)


def test_numbers_of_points():
    made = trainer("wgan", (2,))
    assert (made.model.config.clip, made.model.batch_size, made.model.prior.dim) == (0.05, 256, 2)
    assert made.players["D"].optimizer.param_groups[0]["lr"] == 5e-4


def bounded(critic: nn.Module) -> bool:
    scores = critic(torch.tensor([[1e6, 1e6], [-1e6, -1e6]]))
    return bool(((scores >= 0) & (scores <= 1)).all())


def test_scores_are_unbounded():
    """Known mistake: a sigmoid left on the critic."""
    torch.manual_seed(0)
    critic = registry.create("wgan", (2,)).critic
    assert not bounded(critic)
    assert bounded(nn.Sequential(critic, nn.Sigmoid()))


def test_networks_as_released():
    model = registry.create("wgan", (3, 64, 64))
    assert [m.out_channels for m in model.critic.modules() if isinstance(m, nn.Conv2d)] == [64, 128, 256, 512]
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert (len(norms), {m.eps for m in norms}, model.sample_mode) == (7, {1e-5}, "train")
    model = registry.create("wgan", (1, 16, 16), network="mlp")
    assert not [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    assert [m.out_features for m in model.critic.modules() if isinstance(m, nn.Linear)] == [512, 512, 512, 1]
    assert model.sample_mode == "eval"


def test_reals_and_fakes_are_never_in_one_batch_of_the_critic():
    made = trainer("wgan", batch_size=6)
    seen = []
    made.model.critic.register_forward_pre_hook(lambda module, args: seen.append(len(args[0])))
    for _ in made.model.step(made.batches):
        pass
    assert set(seen) == {6}


def test_critic_does_not_reach_g():
    made = trainer("wgan")
    next(made.model.step(made.batches))[1]["wasserstein"].backward()
    assert all(p.grad is None for p in made.model.generator.parameters())


@pytest.mark.parametrize(
    ("network", "norm"),
    [(network, norm) for network in ("mlp", "dcgan", "resnet") for norm in (None, "none", "layer")]
    + [("resnet", "batch")],
)
def test_any_network_learns(network, norm):
    made = trainer("wgan", network=network, norm=norm)
    before = {name: p.clone() for name, p in made.model.named_parameters()}
    made.iterate()
    made.drain()
    rested = {name for name, p in made.model.named_parameters() if torch.equal(p, before[name])}
    assert rested <= set(made.model.still)
