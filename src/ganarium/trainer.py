"""The only training loop: it plays a model's `step` and moves the players that the step names."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ganarium.data.batches import Batches
from ganarium.errors import Diverged, UserError
from ganarium.model import Model
from ganarium.players import PlayerState
from ganarium.runtime import distributed

OBSERVED = 2048  # watched tensors are strided down to at most so many values before they are copied to the host
PRECISIONS = {"fp32": torch.float32, "bf16": torch.float32, "fp64": torch.float64}  # -> dtype of the weights


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


class Update(NamedTuple):
    """One update that was made: what the step yielded for it."""

    player: str
    terms: dict[str, Tensor]
    watched: dict[str, Tensor]


class Reading(NamedTuple):
    """What `Trainer.drain` read from the device."""

    rows: list[dict[str, float]]
    """One an iteration: its step, and the terms of its updates by "player/term"."""
    means: list[dict[str, float]]
    """One an iteration: means of what was watched, by "player/name"."""
    observed: dict[str, Tensor]
    """What was watched at the last update of each player, by "player/name": (n,) on the CPU."""


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
        to_channels_last(model.to(self.device, PRECISIONS[precision]))
        self.players = {name: PlayerState(player, self.device) for name, player in model.players.items()}
        add_averages(model)
        self._watched: dict[str, dict[str, Tensor]] = {}  # of the last update of each player
        self._records: list[Record] = []  # since the last `drain`
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
        """One iteration."""
        for _ in self.updates():
            pass

    def updates(self) -> Iterator[Update]:
        """One iteration, update by update: each item is an update that has just been made. At the end of the iteration
        the averages are updated and `model.iteration` is one more; left in the middle, neither is."""
        model = self.model
        model.clock.fill_(model.iteration)
        step = model.step(self.batches)
        try:
            while True:
                # Autocast is entered anew for every part of the step: a region kept open would serve the weights it
                # cast before the last update.
                with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
                    try:
                        name, terms, *watched = next(step)
                    except StopIteration:
                        break
                update = Update(name, terms, watched[0] if watched else {})
                self._make(update)
                yield update
        finally:
            step.close()
        distributed.average_buffers(model)
        self._average()
        model.iteration += 1

    def _make(self, update: Update) -> None:
        state = self.players[update.player]
        state.set_numbers(self.model.iteration, self.total)
        state.optimizer.zero_grad(set_to_none=True)
        torch.stack(list(update.terms.values())).sum().backward(inputs=state.parameters)  # type: ignore[no-untyped-call]
        distributed.average([parameter.grad for parameter in state.parameters if parameter.grad is not None])
        if state.player.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(state.parameters, state.player.clip_norm)
        state.optimizer.step()
        scalars = {key: value for key, value in update.watched.items() if value.dim() == 0}
        means = {key: value.mean() for key, value in update.watched.items() if value.dim() > 0}
        norm = torch.nn.utils.get_total_norm(state.parameters)
        numbers = (*update.terms.values(), *scalars.values(), *means.values(), norm)
        values = torch.stack([number.detach() for number in numbers])
        names = (*update.terms, *scalars)
        self._records.append(
            Record(self.model.iteration, update.player, names, len(update.terms), tuple(means), values)
        )
        self._watched[update.player] = update.watched

    @torch.no_grad()
    def _average(self) -> None:
        """ema <- beta ema + (1 - beta) weights. A fixed one is corrected to be a true mean of the weights seen.

        Batch norm's running statistics too, for the live ones belong to other weights; other buffers are copied.
        """
        t = self.model.iteration + 1
        for name, decay in self.model.ema.items():
            live, average = getattr(self.model, name), self.model.averages[name]
            beta = decay(t) if callable(decay) else decay * (1 - decay ** (t - 1)) / (1 - decay**t)
            torch._foreach_lerp_(list(average.parameters()), list(live.parameters()), 1 - beta)
            for (key, kept), buffer in zip(average.named_buffers(), live.buffers(), strict=True):
                kept.copy_(kept.lerp(buffer, 1 - beta) if key.endswith(("running_mean", "running_var")) else buffer)

    def drain(self) -> Reading:
        """All that the updates since the last call left behind, in one read from the device.

        Raises `Diverged` at the first update that left something not finite, naming player, term and iteration.
        """
        records, self._records = self._records, []
        if not records:
            return Reading([], [], {})
        watched = {
            f"{player}/{name}": tensor.flatten()[:: -(-tensor.numel() // OBSERVED)]
            for player, tensors in self._watched.items()
            for name, tensor in tensors.items()
            if tensor.dim() > 0
        }
        parts = [*(record.values for record in records), *watched.values()]
        read = torch.split(torch.cat(parts).cpu(), [len(part) for part in parts])
        rows: dict[int, dict[str, float]] = {}
        means: dict[int, dict[str, float]] = {}
        for record, values in zip(records, read, strict=False):
            try:
                terms, own_means = record.checked(values.tolist())
            except Diverged as error:
                error.rows = [row for key, row in rows.items() if key < record.iteration]
                raise
            rows.setdefault(record.iteration, {"step": record.iteration + 1}).update(terms)
            means.setdefault(record.iteration, {}).update(own_means)
        observed = dict(zip(watched, read[len(records) :], strict=True))
        return Reading(list(rows.values()), list(means.values()), observed)

    def optimizer_state(self) -> dict[str, Tensor]:
        """ "player/parameter/slot" -> tensor, for every slot that exists."""
        names: dict[Tensor, str] = {parameter: name for name, parameter in self.model.named_parameters()}
        return {
            f"{player}/{names[parameter]}/{slot}": torch.as_tensor(value)
            for player, state in self.players.items()
            for parameter, slots in state.optimizer.state.items()
            for slot, value in slots.items()
            if value is not None
        }

    def load_optimizer_state(self, slots: dict[str, Tensor]) -> None:
        """Puts slots back with the strides of their parameters: fused optimisers ignore strides, and a channels_last
        weight with a contiguous moment would be updated wrongly without a word."""
        parameters = dict(self.model.named_parameters())
        for key, value in slots.items():
            player, name, slot = key.split("/")
            parameter = parameters[name]
            if value.shape == parameter.shape and value.dim() > 0:
                value = torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)
            elif self.players[player].fused:
                value = value.to(self.device)  # the step count, which a fused optimiser keeps beside the weights
            self.players[player].optimizer.state[parameter][slot] = value


def to_channels_last(model: Model) -> Model:
    """Convolution weights in channels_last, as batches are: the fast layout. It changes the last digits of results."""
    return model.to(memory_format=torch.channels_last)


def add_averages(model: Model) -> None:
    """Gives the model a running average, for now equal to the weights, of every module it declares in `ema`."""
    model.averages = {name: deepcopy(getattr(model, name)).requires_grad_(False) for name in model.ema}
