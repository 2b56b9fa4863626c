"""One network in several formats, side by side: how large, how fast, and how far from PyTorch in float32."""

import copy
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import torch
from torch import Tensor

from ganarium.errors import UserError, nearest
from ganarium.exporting import to_keras, to_onnx
from ganarium.exporting.graph import trace
from ganarium.exporting.network import Network, networks
from ganarium.runs.loading import load

FORMATS = ("pytorch", "bf16", "onnx", "keras")


@dataclass(frozen=True)
class Measured:
    """A format: what computes it, the bytes of its weights or its file, milliseconds for each sample, and the largest
    difference from PyTorch in float32. `missing` says instead why it was not measured."""

    name: str
    program: str = ""
    size: int = 0
    milliseconds: float = 0.0
    difference: float = 0.0
    missing: str = ""


def compare_formats(
    run: str | Path,
    formats: Sequence[str] = FORMATS,
    *,
    batch: int = 8,
    repeats: int = 5,
    size: tuple[int, int] | None = None,
    raw: bool = False,
) -> tuple[str, list[Measured]]:
    """The name of a run's first network (generate, upscale, a direction of `translate`) and its measurements.

    All compute the same random inputs (batch, ...) on the processor, with as many threads as PyTorch has here; the time
    is the least of `repeats` calls. Sizes are those of the weights in PyTorch, and of the file elsewhere. In bf16
    weights are rounded and PyTorch computes under autocast. `size` (height, width) is that of the pictures a network
    maps. Where a package is not installed, `missing` says so. Raises `UserError` for an unknown format.
    """
    for each in formats:
        if each not in FORMATS:
            raise UserError(f"there is no format {each!r}: {nearest(each, FORMATS)}")
    if batch < 1 or repeats < 1:
        raise UserError("a measurement needs at least one sample and one repeat.")
    network = networks(load(run, raw=raw), size)[0]
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        inputs = network.draw(batch)
        expected = network(*inputs)
        made = []
        for name in formats:
            try:
                output, seconds, size_, program = _MEASURES[name](network, inputs, repeats)
            except UserError as error:
                made.append(Measured(name, missing=str(error)))
                continue
            difference = float((output.float() - expected).abs().max())
            made.append(Measured(name, program, size_, 1000 * seconds / batch, difference))
    return network.name, made


Result = tuple[Tensor, float, int, str]  # the output, seconds, bytes, the program


def _pytorch(network: Network, inputs: Sequence[Tensor], repeats: int) -> Result:
    output, seconds = _timed(lambda: network(*inputs), repeats)
    return output, seconds, 4 * _num_weights(network), f"PyTorch {torch.__version__}, float32"


def _bf16(network: Network, inputs: Sequence[Tensor], repeats: int) -> Result:
    rounded = copy.deepcopy(network)
    for parameter in rounded.parameters():
        parameter.copy_(parameter.bfloat16())

    def call() -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return rounded(*inputs)

    output, seconds = _timed(call, repeats)
    return output, seconds, 2 * _num_weights(network), f"PyTorch {torch.__version__}, bfloat16"


def _onnx(network: Network, inputs: Sequence[Tensor], repeats: int) -> Result:
    runtime = to_onnx.runtime_package()
    with TemporaryDirectory() as folder:
        path = to_onnx.write(network, Path(folder) / "network.onnx").path
        options = runtime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        output, seconds = _timed(lambda: to_onnx.run(network, session, list(inputs)), repeats)
        size = sum(each.stat().st_size for each in Path(folder).iterdir())
    return output, seconds, size, f"ONNX Runtime {runtime.__version__}"


def _keras(network: Network, inputs: Sequence[Tensor], repeats: int) -> Result:
    backend = os.environ.get("KERAS_BACKEND", "torch")
    output, seconds, size, version = to_keras.measure(network, inputs, repeats, backend)
    return output, seconds, size, f"Keras {version} on {backend}"


_MEASURES: dict[str, Callable[[Network, Sequence[Tensor], int], Result]] = {
    "pytorch": _pytorch,
    "bf16": _bf16,
    "onnx": _onnx,
    "keras": _keras,
}


def _timed(call: Callable[[], Tensor], repeats: int) -> tuple[Tensor, float]:
    """A result, and the least seconds of `repeats` calls behind the first."""
    output, seconds = call(), []
    for _ in range(repeats):
        start = perf_counter()
        call()
        seconds.append(perf_counter() - start)
    return output, min(seconds)


def _num_weights(network: Network) -> int:
    graph = trace(network, network.draw(1))
    return sum(graph.constants[i].numel() for i in graph.used_constants())
