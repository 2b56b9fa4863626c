"""The result of an evaluation: its numbers and their protocol, as text, as a table of several runs, and as a file."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from ganarium.errors import UserError
from ganarium.metrics.protocol import Protocol, one_protocol
from ganarium.runtime.files import atomic_write


@dataclass(frozen=True)
class Evaluation:
    """The numbers of one run; `values` by the metric's name."""

    run: str
    model: str
    data: str
    step: int
    values: dict[str, float]
    protocol: Protocol
    data_sum: str = ""
    """SHA-256 of the training images."""
    data_shape: tuple[int, ...] = ()
    """(c, h, w) of an image, or (2,)."""

    def __str__(self) -> str:
        rows = [f"  {name:31} {value:.4g}" for name, value in self.values.items()]
        return "\n".join([f"{self.run}: {self.model} on {self.data}, step {self.step}", *rows, f"  {self.protocol}"])


def compare(evaluations: dict[str, Evaluation]) -> str:
    """A table of several runs, a column each; `UserError` if their data or their protocols differ."""
    results = list(evaluations.values())
    data = {(result.data, result.data_shape, result.data_sum[:8]) for result in results}
    if len({(shape, digest or name) for name, shape, digest in data}) > 1:
        same_name = len({name for name, _, _ in data}) == 1
        facts = [
            f"{name} of {'x'.join(map(str, shape))}, sum {digest}" if same_name else name
            for name, shape, digest in sorted(data)
        ]
        raise UserError(f"the runs learned from different data ({'; '.join(facts)}): compare runs on one set.")
    protocol = one_protocol({name: result.protocol for name, result in evaluations.items()})
    metrics = list(dict.fromkeys(metric for result in results for metric in result.values))
    width = max(12, *(len(name) + 2 for name in evaluations))
    lines = [" " * 33 + "".join(f"{name:>{width}}" for name in evaluations)]
    for metric in metrics:
        cells = [f"{result.values[metric]:.4g}" if metric in result.values else "" for result in results]
        lines.append(f"  {metric:31}" + "".join(f"{cell:>{width}}" for cell in cells))
    return "\n".join([*lines, f"  {protocol}"])


def save(evaluation: Evaluation, path: Path) -> Path:
    """Writes an evaluation as JSON; gives the path."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(asdict(evaluation), indent=1) + "\n")
    return path
