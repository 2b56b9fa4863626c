"""The only training loop: it plays a model's `step` and moves the players that the step names."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ganarium.data.batches import Batches
from ganarium.doctor.batches import Drawn, Noted
from ganarium.errors import RunError, UserError
from ganarium.model import Model, Player
from ganarium.players import at
from ganarium.runtime import distributed

OBSERVED = 2048  # numbers of a watched tensor that `drain` brings along: of a larger one, every so many
PRECISIONS = {"fp32": torch.float32, "bf16": torch.float32, "fp64": torch.float64}  # -> dtype of the weights


class Diverged(RunError):
    """A loss term or a parameter stopped being finite.

    `rows` holds the terms of the iterations before that one, `terms` and `means` those of the update itself by name.
    """

    step: int = 0
    player: str = ""
    terms: dict[str, float] = {}
    means: dict[str, float] = {}  # of the tensors it watched
    rows: list[dict[str, float]] = []


@dataclass(frozen=True)
class Record:
    """What one update left behind: read from the device only when the log wants it."""

    iteration: int
    player: str
    names: tuple[str, ...]  # the terms, then what `watch` gave as scalars
    num_terms: int
    tensors: tuple[str, ...]  # those that `watch` gave: their means are kept
    values: Tensor  # the named numbers, the means, and the norm of the player's parameters

    def checked(self, numbers: list[float]) -> tuple[dict[str, float], dict[str, float]]:
        """The numbers and the means by "player/name"; raises `Diverged` if a term or a parameter is not finite."""
        *numbers, norm = numbers
        named = dict(zip(self.names, numbers, strict=False))
        means = dict(zip(self.tensors, numbers[len(self.names) :], strict=True))
        terms = {name: named[name] for name in self.names[: self.num_terms]}
        step, wrong = self.iteration + 1, [name for name, number in terms.items() if not abs(number) < float("inf")]
        if wrong or not norm < float("inf"):
            what = f"the term {wrong[0]!r}" if wrong else "a parameter"
            became = str(terms[wrong[0]]) if wrong else "NaN or infinite"
            error = Diverged(f"{what} of player {self.player} became {became} at step {step}")
            error.step, error.player, error.terms, error.means = step, self.player, terms, means
            raise error
        return self._by_player(named), self._by_player(means)

    def _by_player(self, numbers: dict[str, float]) -> dict[str, float]:
        return {f"{self.player}/{name}": number for name, number in numbers.items()}


class Trainer:
    """Holds all that training changes: the model, one optimiser a player, the averages, the place in the data.

    Iterating over it trains: each item is the number of iterations done. Nothing is read back from the device until
    `drain`. `precision` is "fp32", "bf16" (autocast, weights in fp32) or "fp64".
    """

    def __init__(self, model: Model, batches: Batches, total: int, *, precision: str = "fp32") -> None:
        if precision not in PRECISIONS:
            raise UserError(f"the precision must be one of {', '.join(PRECISIONS)}, not {precision!r}.")
        self.model, self.batches, self.total = model, batches, total
        self.device, self.precision = batches.device, precision
        laid_out(model.to(self.device, PRECISIONS[precision]))
        self.players = {name: Moved(player, self.device) for name, player in model.players.items()}
        with_averages(model)
        self.watched: dict[str, dict[str, Tensor]] = {}
        self.observed: dict[str, Tensor] = {}  # "player/name" -> (n,) on the CPU: what was watched at the last `drain`
        self.means: list[dict[str, float]] = []  # of what was watched, as the rows of the last `drain`
        self.noted = Noted(batches)
        self.drawn: dict[str, Drawn] = {}  # field of a batch -> what the batches before the last `drain` were like
        self._pending: list[Record] = []
        model.train()

    def prepare(self) -> None:
        """What comes before iteration 0: the model's own preparation; then all processes start from rank 0's model."""
        self.model.prepare(self.batches)
        distributed.broadcast([*self.model.parameters(), *self.model.buffers()])
        for name, average in self.model.averages.items():
            average.load_state_dict(getattr(self.model, name).state_dict())

    def __iter__(self) -> Iterator[int]:
        while self.model.iteration < self.total:
            self.iterate()
            yield self.model.iteration

    def iterate(self) -> None:
        """One iteration: plays the step from yield to yield, then updates the averages."""
        model = self.model
        model.clock.fill_(model.iteration)
        step = model.step(self.noted.as_batches())
        try:
            while True:
                # Autocast is entered anew for every part of the step: a region kept open would serve the weights it
                # cast before the last update.
                with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
                    try:
                        name, terms, *watched = next(step)
                    except StopIteration:
                        break
                self._update(name, terms, watched[0] if watched else {})
        finally:
            step.close()
        distributed.average_buffers(model)
        self._average()
        model.iteration += 1

    def _update(self, name: str, terms: dict[str, Tensor], watched: dict[str, Tensor]) -> None:
        moved = self.players[name]
        moved.set_numbers(self.model.iteration, self.total)
        moved.optimizer.zero_grad(set_to_none=True)
        torch.stack(list(terms.values())).sum().backward(inputs=moved.parameters)  # type: ignore[no-untyped-call]
        gradients = [parameter.grad for parameter in moved.parameters if parameter.grad is not None]
        distributed.average(gradients)
        if moved.player.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(moved.parameters, moved.player.clip_norm)
        moved.optimizer.step()
        scalars = {key: value for key, value in watched.items() if value.dim() == 0}
        means = {key: value.mean() for key, value in watched.items() if value.dim() > 0}
        norm = torch.nn.utils.get_total_norm(moved.parameters)
        numbers = (*terms.values(), *scalars.values(), *means.values(), norm)
        values = torch.stack([value.detach() for value in numbers])
        record = Record(self.model.iteration, name, (*terms, *scalars), len(terms), tuple(means), values)
        self._pending.append(record)
        self.watched[name] = watched

    @torch.no_grad()
    def _average(self) -> None:
        """ema <- beta ema + (1 - beta) weights, with beta corrected so that it is a true mean of the weights seen.

        Batch norm's running statistics too, for the live ones belong to other weights; other buffers are copied.
        """
        t = self.model.iteration + 1
        for name, decay in self.model.ema.items():
            live, average = getattr(self.model, name), self.model.averages[name]
            beta = decay * (1 - decay ** (t - 1)) / (1 - decay**t)
            torch._foreach_lerp_(list(average.parameters()), list(live.parameters()), 1 - beta)
            for (key, kept), buffer in zip(average.named_buffers(), live.buffers(), strict=True):
                kept.copy_(kept.lerp(buffer, 1 - beta) if key.endswith(("running_mean", "running_var")) else buffer)

    def drain(self) -> list[dict[str, float]]:
        """The terms of the updates since the last call, one dict an iteration, in one read from the device.

        The same read brings what was watched into `observed` and `means`, and the batches into `drawn`. Raises
        `Diverged` at the first update that left something not finite, naming player, term and iteration.
        """
        records, self._pending = self._pending, []
        if not records:
            return []
        watched = {
            f"{player}/{name}": tensor.flatten()[:: -(-tensor.numel() // OBSERVED)]
            for player, tensors in self.watched.items()
            for name, tensor in tensors.items()
            if tensor.dim() > 0
        }
        taken = self.noted.taken()
        moments = [both.flatten() for _, both in taken.values()]
        parts = [*(record.values for record in records), *watched.values(), *moments]
        read = torch.split(torch.cat(parts).cpu(), [len(part) for part in parts])
        self.observed = dict(zip(watched, read[len(records) :], strict=False))
        self.drawn = {
            name: Drawn(size, *part.double().view(both.shape).numpy())
            for (name, (size, both)), part in zip(taken.items(), read[len(records) + len(watched) :], strict=True)
        }
        rows: dict[int, dict[str, float]] = {}
        means: dict[int, dict[str, float]] = {}
        for record, values in zip(records, read, strict=False):
            try:
                mine, seen = record.checked(values.tolist())
            except Diverged as error:
                error.rows = [row for key, row in rows.items() if key < record.iteration]
                raise
            rows.setdefault(record.iteration, {"step": record.iteration + 1}).update(mine)
            means.setdefault(record.iteration, {}).update(seen)
        self.means = list(means.values())
        return list(rows.values())

    def optimizer_state(self) -> dict[str, Tensor]:
        """ "player/parameter/slot" -> tensor, for every slot that exists."""
        names: dict[Tensor, str] = {parameter: name for name, parameter in self.model.named_parameters()}
        return {
            f"{player}/{names[parameter]}/{slot}": torch.as_tensor(value)
            for player, moved in self.players.items()
            for parameter, slots in moved.optimizer.state.items()
            for slot, value in slots.items()
            if value is not None
        }

    def load_optimizer_state(self, state: dict[str, Tensor]) -> None:
        """Puts slots back with the strides of their parameters: fused optimisers ignore strides, and a channels_last
        weight with a contiguous moment would be updated wrongly without a word."""
        parameters = dict(self.model.named_parameters())
        for key, value in state.items():
            player, name, slot = key.split("/")
            parameter = parameters[name]
            if value.shape == parameter.shape and value.dim() > 0:
                value = torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)
            elif self.players[player].fused:
                value = value.to(self.device)  # the step count, which a fused optimiser keeps beside the weights
            self.players[player].optimizer.state[parameter][slot] = value


def laid_out(model: Model) -> Model:
    """Convolution weights in channels_last, as batches are: the fast layout. It changes the last digits of results."""
    return model.to(memory_format=torch.channels_last)


def with_averages(model: Model) -> None:
    """Gives the model a running average, for now equal to the weights, of every module it declares in `ema`."""
    model.averages = {name: deepcopy(getattr(model, name)).requires_grad_(False) for name in model.ema}


class Moved:
    """A player with its optimiser."""

    def __init__(self, player: Player, device: torch.device) -> None:
        self.player = player
        self.parameters = player.parameters()
        groups = [{"params": group} for group in player.groups()]
        self.optimizer = player.optimizer.build(groups, device.type in ("cpu", "cuda"))
        self.fused = bool(self.optimizer.defaults.get("fused"))
        own = [part.numbers for part in player.parts]
        self._numbers = own
        self._scheduled = any(map(_varies, own)) or _varies(vars(player.optimizer))
        self.set_numbers(0, 1, always=True)

    def set_numbers(self, iteration: int, total: int, always: bool = False) -> None:
        """Learning rates, momenta and so on, for this iteration."""
        if not (always or self._scheduled):
            return
        shared = self.player.optimizer.numbers(iteration, total)
        for group, own in zip(self.optimizer.param_groups, self._numbers, strict=True):
            group.update(shared | {key: at(value, iteration, total) for key, value in own.items()})


def _varies(numbers: dict[str, Any]) -> bool:
    return any(callable(v) or (isinstance(v, tuple) and any(map(callable, v))) for v in numbers.values())
