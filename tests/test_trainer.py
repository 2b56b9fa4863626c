"""The trainer and the players, on models made for the test."""

import math

import pytest
import torch
from torch import nn

from ganarium.data.batches import Batches
from ganarium.data.dataset import Images
from ganarium.errors import Diverged
from ganarium.model import SGD, Adam, Group, Model, Player, RMSProp, ramped, watch
from ganarium.players import PlayerState
from ganarium.runs import checkpoint
from ganarium.trainer import Trainer
from ganarium.training.state import capture, restore
from synthetic import dataset, saved, trainer


class Toy(Model):
    """Two players that share a tensor, a schedule, and whatever `script` makes of the step."""

    def __init__(self, players, script, ema=None):
        super().__init__(None, (2,), None)
        self.a, self.b, self.shared = (
            nn.Linear(2, 1, bias=False),
            nn.Linear(2, 1, bias=False),
            nn.Linear(2, 2, bias=False),
        )
        for module in (self.a, self.b, self.shared):
            nn.init.ones_(module.weight)
        self.register_buffer("seen", torch.zeros(()))
        self.players, self.script, self.ema = players(self), script, ema or {}

    def step(self, batches):
        yield from self.script(self, next(batches).image)


def train(players, script, steps=3, total=3, ema=None, precision="fp32"):
    model = Toy(players, script, ema)
    made = Trainer(model, Batches(dataset(Images, (2,)), Images, 4), total, precision=precision)
    made.prepare()
    for done in made:
        if done == steps:
            break
    return made


def one_player(**player):
    return lambda model: {"p": Player(model.a, **({"optimizer": SGD(lr=0.1)} | player))}


def constant_gradient(model, x):
    yield "p", {"sum": model.a.weight.sum()}


def test_terms_are_summed_and_the_line_after_a_yield_sees_new_weights():
    seen = []

    def script(model, x):
        yield "p", {"one": model.a.weight.sum(), "two": 2 * model.a.weight.sum()}
        seen.append(model.a.weight.detach().clone())

    train(one_player(), script, steps=1)
    assert torch.allclose(seen[0], torch.full((1, 2), 1 - 0.1 * 3))


def test_schedules_are_functions_of_iteration_and_total():
    made = train(one_player(optimizer=SGD(lr=lambda i, n: (i + 1) / n, momentum=lambda i, n: 0.0)), constant_gradient)
    assert torch.allclose(made.model.a.weight, torch.full((1, 2), 1 - (1 + 2 + 3) / 3))


def test_group_has_its_own_numbers_and_keeps_the_rest():
    def players(model):
        return {"p": Player(Group(model.a, lr=lambda i, n: 0.5), model.b, optimizer=SGD(lr=0.1))}

    def script(model, x):
        yield "p", {"sum": model.a.weight.sum() + model.b.weight.sum()}

    made = train(players, script, steps=1)
    assert torch.allclose(made.model.a.weight, torch.full((1, 2), 0.5))
    assert torch.allclose(made.model.b.weight, torch.full((1, 2), 0.9))


def test_the_schedule_of_a_group_is_a_function_of_iteration_and_total():
    """Its own i / n is 0.75 at (3, 4), beside one that is constant and one of the whole player."""
    model = Toy(lambda model: {}, constant_gradient)
    parts = [Group(model.a, lr=lambda i, n: i / n), Group(model.shared, momentum=lambda i, n: i / (2 * n)), model.b]
    state = PlayerState(Player(*parts, optimizer=SGD(lr=0.1)), torch.device("cpu"))
    for iteration, total in ((0, 4), (3, 4), (3, 6)):
        state.set_numbers(iteration, total)
        own, other, last = state.optimizer.param_groups
        assert (own["lr"], own["momentum"]) == (iteration / total, 0.0)
        assert (other["lr"], other["momentum"]) == (0.1, iteration / (2 * total))
        assert (last["lr"], last["momentum"]) == (0.1, 0.0)


def test_clip_norm():
    made = train(one_player(optimizer=SGD(lr=1.0), clip_norm=0.5), constant_gradient, steps=1)
    assert torch.allclose(made.model.a.weight, 1 - 0.5 / math.sqrt(2) * torch.ones(1, 2))


def test_overlapping_players_have_optimiser_states_of_their_own():
    def players(model):
        return {
            "p": Player(model.a, model.shared, optimizer=Adam(lr=0.1)),
            "q": Player(model.shared, optimizer=Adam(lr=0.1)),
        }

    def script(model, x):
        yield "p", {"sum": model.shared.weight.sum()}
        yield "q", {"sum": -model.shared.weight.sum()}

    made = train(players, script, steps=2)
    weight = made.model.shared.weight
    first, second = (made.players[name].optimizer.state[weight]["exp_avg"] for name in "pq")
    assert (first > 0).all()
    assert (second < 0).all()
    assert made.model.a.weight.grad is None, "the loss does not reach it: no zeros are filled in"
    assert torch.equal(made.model.a.weight, torch.ones(1, 2))


def test_a_parameter_in_two_parts_of_a_player_counts_once():
    model = Toy(one_player(), constant_gradient)
    tied = Player(nn.ModuleList([model.a, model.b]), model.a, optimizer=SGD(lr=0.1))
    assert len(tied.parameters()) == 2


def test_gradients_reach_nobody_else():
    def script(model, x):
        yield "p", {"sum": (model.a.weight * model.b.weight).sum()}
        assert model.b.weight.grad is None

    train(one_player(), script, steps=2)


def test_ema_is_a_true_mean_at_the_start_and_exact_later():
    decay, values = 0.9, []

    def script(model, x):
        yield "p", {"sum": model.a.weight.sum()}
        model.seen.add_(1)
        values.append(model.a.weight.detach().clone())

    made = train(one_player(), script, steps=5, total=5, ema={"a": decay})
    weights = torch.tensor([decay ** (4 - i) for i in range(5)])
    expected = sum(w * v for w, v in zip(weights / weights.sum(), values, strict=True))
    assert torch.allclose(made.model.averages["a"].weight, expected, atol=1e-6)
    with made.model.averaged():
        assert torch.equal(made.model.a.weight, made.model.averages["a"].weight)
    assert torch.equal(made.model.a.weight, values[-1])


def test_a_ramped_average_forgets_the_first_steps_of_a_short_run():
    values = []

    def script(model, x):
        yield "p", {"sum": model.a.weight.sum()}
        model.seen.add_(1)
        values.append(model.a.weight.detach().clone())

    made = train(one_player(), script, steps=40, total=40, ema={"a": ramped(0.99)})
    average = made.model.averages["a"].weight
    assert abs(average - values[-1]).max() < 4 * abs(values[-1] - values[-2]).max()  # a half-life of two steps
    plain = train(one_player(), script, steps=40, total=40, ema={"a": 0.99}).model.averages["a"].weight
    assert abs(plain - values[-1]).max() > 10 * abs(values[-1] - values[-2]).max()
    assert ramped(0.999)(10**6) == pytest.approx(0.999)
    assert ramped(0.999)(200) == pytest.approx(0.5**0.1)  # half in 10 of 200 steps


def test_statistics_of_batch_norm_are_averaged_and_other_buffers_copied():
    """Copied, they are those of other weights and of the last batches: Triple-GAN's classifier was worse for it by up
    to ten points, and unsteady."""
    decay, means, variances = 0.9, [], []

    class Normed(Toy):
        def __init__(self, *given):
            super().__init__(*given)
            self.a = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 1, bias=False))
            self.a.register_buffer("count", torch.zeros(()))
            self.players = {"p": Player(self.a, optimizer=Adam(lr=0.1))}

    def script(model, x):
        yield "p", {"sum": model.a(x + 5 * model.iteration).sum()}
        model.a.count.add_(1)
        means.append(model.a[0].running_mean.clone())
        variances.append(model.a[0].running_var.clone())

    model = Normed(lambda model: {}, script, {"a": decay})
    made = Trainer(model, Batches(dataset(Images, (2,)), Images, 4), 5)
    made.prepare()
    list(made)
    average = model.averages["a"]
    weights = torch.tensor([decay ** (4 - i) for i in range(5)])
    for actual, seen in ((average[0].running_mean, means), (average[0].running_var, variances)):
        expected = sum(w * v for w, v in zip(weights / weights.sum(), seen, strict=True))
        assert torch.allclose(actual, expected, rtol=1e-5)
        assert not torch.allclose(actual, seen[-1], rtol=0.02)
    assert average.count == model.a.count == 5
    assert average[0].num_batches_tracked == 5


def test_iteration_and_clock_agree():
    seen = []

    def script(model, x):
        seen.append((model.iteration, int(model.clock)))
        yield "p", {"sum": model.a.weight.sum()}

    train(one_player(), script)
    assert seen == [(0, 0), (1, 1), (2, 2)]


def test_prepare_runs_before_iteration_0_and_averages_start_from_it():
    class Prepared(Toy):
        def prepare(self, batches):
            assert self.iteration == 0
            with torch.no_grad():
                self.a.weight.fill_(5 + 0 * batches.draw(3).image.sum())

    model = Prepared(one_player(), constant_gradient, {"a": 0.9})
    made = Trainer(model, Batches(dataset(Images, (2,)), Images, 4), 1)
    made.prepare()
    assert torch.equal(model.averages["a"].weight, torch.full((1, 2), 5.0))
    assert made.batches.drawn == 3


@pytest.mark.parametrize(
    ("place", "words"), [("term", "the term 'bad' of player p"), ("parameter", "parameter of player p")]
)
def test_divergence_names_player_term_and_iteration(place, words):
    """The exact iteration, although the device is read only once at the end."""

    def script(model, x):
        poison = torch.where(model.clock == 3, float("nan"), 0.0)
        if place == "term":
            yield "p", {"good": model.a.weight.sum(), "bad": poison}
        else:  # a finite loss whose gradient is not
            yield "p", {"good": (model.a.weight * 0 + 1).sum() + _nan_gradient(model.a.weight, poison)}

    made = train(one_player(), script, steps=8, total=8)
    with pytest.raises(Diverged, match=words) as caught:
        made.drain()
    assert "step 4" in str(caught.value)


class _Poisoned(torch.autograd.Function):
    @staticmethod
    def forward(ctx, weight, poison):
        ctx.save_for_backward(poison)
        return weight.sum() * 0

    @staticmethod
    def backward(ctx, gradient):
        return ctx.saved_tensors[0].expand(1, 2).clone(), None


def _nan_gradient(weight, poison):
    return _Poisoned.apply(weight, poison)


def test_a_checkpoint_that_is_not_finite_is_never_written(tmp_path):
    made = train(one_player(), constant_gradient)
    good = saved(made, tmp_path)
    with torch.no_grad():
        made.model.b.weight[0, 0] = float("inf")
    files, meta = capture(made)
    with pytest.raises(Diverged, match=r"b\.weight is not finite at step 4"):
        checkpoint.write(tmp_path, files, meta | {"step": 4}, keep=2)
    assert list(tmp_path.iterdir()) == [good]


def test_watched_scalars_are_logged_and_tensors_kept():
    def script(model, x):
        yield "p", {"sum": model.a.weight.sum()}, watch(control=model.seen + 2, scores=x)

    made = train(one_player(), script)
    assert made.drain().rows[0] == pytest.approx({"step": 1, "p/sum": 2.0, "p/control": 2.0})
    watched = next(made.updates()).watched
    assert watched["scores"].shape == (4, 2)
    assert not watched["scores"].requires_grad


def test_bf16_autocast_is_entered_anew_for_every_part():
    """The second forward sees the weights that the first update left. One region around the whole step would not:
    the control shows that it serves the cast it cached."""
    outputs = []

    def script(model, x):
        for _ in range(2):
            y = model.a(torch.ones(1, 2)).float().sum()
            outputs.append(float(y.detach()))
            yield "p", {"y": y}

    train(one_player(optimizer=SGD(lr=0.25)), script, steps=1, precision="bf16")
    assert outputs == [2.0, 1.5]
    layer, stale = nn.Linear(2, 1, bias=False), []
    nn.init.ones_(layer.weight)
    with torch.autocast("cpu", torch.bfloat16):
        for _ in range(2):
            y = layer(torch.ones(1, 2)).float().sum()
            stale.append(float(y.detach()))
            (gradient,) = torch.autograd.grad(y, layer.weight)
            layer.weight.data -= 0.25 * gradient
    assert stale == [2.0, 2.0]


@pytest.mark.parametrize("rule", [Adam(lr=1e-2), SGD(lr=1e-2, momentum=0.9), RMSProp(lr=1e-2)])
def test_channels_last_weights_resume_bit_exactly_under_every_optimiser(rule, tmp_path):
    """Fused optimisers ignore strides: a channels_last weight with a contiguous moment is updated wrongly."""
    straight, broken, resumed = (conv_trainer(rule) for _ in range(3))
    torch.manual_seed(1)
    for done in straight:
        if done == 4:
            break
    torch.manual_seed(1)
    for done in broken:
        if done == 2:
            break
    path = saved(broken, tmp_path)
    restore(resumed, *checkpoint.read(path))
    weight = resumed.model.generator.layers[0].weight
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert not weight.is_contiguous()
    for slot in resumed.players["G"].optimizer.state[weight].values():
        assert slot.dim() == 0 or slot.stride() == weight.stride()
    for done in resumed:
        if done == 4:
            break
    for key, value in straight.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[key]), key


def conv_trainer(rule):
    made = trainer("dcgan", prepare=False)
    for player in made.model.players.values():
        player.optimizer = rule
    again = Trainer(made.model, made.batches, 20)
    again.prepare()
    return again


def test_fused_adam_really_ignores_strides():
    """Why the loader restores them: the control of the test above."""
    weights = []
    for contiguous_moments in (False, True):
        torch.manual_seed(0)
        weight = nn.Parameter(torch.randn(4, 3, 5, 5).to(memory_format=torch.channels_last))
        rule = torch.optim.Adam([weight], lr=0.1, fused=True)
        for step in range(2):
            weight.grad = torch.randn(4, 3, 5, 5).to(memory_format=torch.channels_last)
            if step and contiguous_moments:
                state = rule.state[weight]
                state["exp_avg"], state["exp_avg_sq"] = state["exp_avg"].contiguous(), state["exp_avg_sq"].contiguous()
            rule.step()
        weights.append(weight.detach().clone())
    assert not torch.allclose(*weights)


def test_shared_tensors_are_stored_once_and_come_back_shared(tmp_path):
    def tied(players, script):
        model = Toy(players, script)
        model.b.weight = model.a.weight
        return model

    model = tied(one_player(), constant_gradient)
    made = Trainer(model, Batches(dataset(Images, (2,)), Images, 4), 3)
    files, meta = capture(made)
    assert "b.weight" not in files["model"]
    assert meta["aliases"] == {"b.weight": "a.weight"}
    path = saved(made, tmp_path)
    fresh = tied(one_player(), constant_gradient)
    with torch.no_grad():
        fresh.a.weight.zero_()
    checkpoint.restore_model(fresh, *checkpoint.read(path))
    assert fresh.a.weight is fresh.b.weight
    assert torch.equal(fresh.b.weight, torch.ones(1, 2))


def test_averages_are_saved_and_loaded(tmp_path):
    made = train(one_player(), constant_gradient, ema={"a": 0.5})
    path = saved(made, tmp_path)
    other = Trainer(Toy(one_player(), constant_gradient, {"a": 0.5}), made.batches, 3)
    restore(other, *checkpoint.read(path))
    assert torch.equal(other.model.averages["a"].weight, made.model.averages["a"].weight)
    assert not torch.equal(other.model.averages["a"].weight, other.model.a.weight)
