"""Numbers computed with the authors' code, and how our networks are held to them.

The files lie in `../shared/reference`, or where GANARIUM_REFERENCE says; a test that needs one is skipped where there
is none. Parameters and inputs are made by one formula, so that no weights need to be stored: see `values`.
"""

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

FOLDER = Path(os.environ.get("GANARIUM_REFERENCE") or Path(__file__).parents[2] / "shared" / "reference")
PRIME = 1_000_003


def load(name: str) -> dict[str, Any]:
    """The numbers of a model."""
    path = FOLDER / f"{name}.json"
    if not path.is_file():
        pytest.skip(f"no reference numbers: {path} is absent and GANARIUM_REFERENCE does not point at them")
    return dict(json.loads(path.read_text()))


def values(shape: Sequence[int], k: int, offset: float = 0.0, scale: float = 1.0) -> Tensor:
    """float64 of a shape: offset + scale v, v spread evenly over [-1, 1), another sequence for every k."""
    i = torch.arange(math.prod(shape), dtype=torch.int64) % PRIME
    h = (732053 * i * i + (236069 + 618035 * k) % PRIME * i + 414215 * k + 12345) % PRIME
    return (offset + scale * (2 * h.double() / PRIME - 1)).view(tuple(shape))


def inputs(record: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors that a case names as its inputs."""
    return {
        name: values(row["shape"], row["k"], row["offset"], row["scale"])
        for name, row in record["inputs"].items()
        if isinstance(row, dict) and "k" in row
    }


@torch.no_grad()
def fill(parameters: Iterable[nn.Parameter], rows: Sequence[Sequence[Any]]) -> None:
    """Gives parameters, in the order of the rows, the values [k, name, shape, offset, scale, ...]; shapes must
    agree."""
    own = list(parameters)
    assert [list(parameter.shape) for parameter in own] == [list(row[2]) for row in rows]
    for parameter, (k, _, shape, offset, scale, *_) in zip(own, rows, strict=True):
        parameter.copy_(values(shape, k, offset, scale))


def hold(tensor: Tensor, record: Mapping[str, Any], *, rel: float = 1e-6) -> None:
    """A tensor has the recorded shape, sum, mean, deviation and entries."""
    tensor = tensor.detach()
    assert list(tensor.shape) == record["shape"]
    size = float(tensor.abs().max())
    near = {"rel": rel, "abs": max(1e-9, 1e-9 * size)}
    if "values" in record:
        flat = torch.tensor(record["values"], dtype=torch.float64).flatten()
        assert tensor.flatten().tolist() == pytest.approx(flat.tolist(), **near)
        return
    assert tensor.sum().item() == pytest.approx(record["sum"], rel=rel, abs=1e-7 * size * tensor.numel() ** 0.5)
    assert tensor.std(correction=0).item() == pytest.approx(record["std"], **near)
    places, expected = zip(*record["entries"], strict=True)
    assert tensor.flatten()[list(places)].tolist() == pytest.approx(list(expected), **near)


def hold_gradient(loss: Tensor, parameters: Mapping[str, Tensor], record: Mapping[str, Any]) -> None:
    """The gradient of a loss to all parameters of a network has the recorded norm, and to each named one its own norm,
    first and last entry. `parameters` are all of them, by the names of the file."""
    gradients = torch.autograd.grad(loss, list(parameters.values()), retain_graph=True, allow_unused=True)
    by_name = {
        name: torch.zeros_like(parameter) if gradient is None else gradient
        for (name, parameter), gradient in zip(parameters.items(), gradients, strict=True)
    }
    total = torch.stack([gradient.square().sum() for gradient in by_name.values()]).sum().sqrt().item()
    assert total == pytest.approx(record["norm"], rel=1e-6)
    for name, row in record["parameters"].items():
        gradient = by_name[name].flatten()
        near = {"rel": 1e-6, "abs": 1e-9 * max(1.0, total)}
        assert gradient.norm().item() == pytest.approx(row["norm"], **near), name
        assert gradient[0].item() == pytest.approx(row["first"], **near), name
        assert gradient[-1].item() == pytest.approx(row["last"], **near), name


def by_name(parameters: Iterable[nn.Parameter], rows: Sequence[Sequence[Any]]) -> dict[str, Tensor]:
    """Parameters in the order of the rows, by the names of the file."""
    return {str(row[1]): parameter for parameter, row in zip(parameters, rows, strict=True)}
