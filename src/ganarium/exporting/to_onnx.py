"""ONNX: one file for each network of a model, held against PyTorch in ONNX Runtime before it counts as written."""

import logging
import warnings
from pathlib import Path
from typing import Any

import torch

from ganarium.errors import UserError
from ganarium.exporting.network import Network
from ganarium.exporting.result import Exported, largest

TOLERANCE = 1e-4  # of pixels in [-1, 1]
CHECKED_BATCHES = (1, 5)
OPSET = 20


def write(network: Network, path: Path) -> Exported:
    """Writes a network as ONNX with any batch size, and pictures of any size where it enlarges them.

    The inputs have the names of `network.inputs`, noise among them; the output is `output`. Raises `UserError` where a
    package is missing, or where ONNX Runtime and PyTorch differ by more than 1e-4: then no file is left.
    """
    runtime = runtime_package()
    program = _program(network)
    program.save(str(path))
    try:
        session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        difference = largest(_difference(network, session, n) for n in CHECKED_BATCHES)
    except BaseException:
        path.unlink()
        raise
    if not difference <= TOLERANCE:
        path.unlink()
        raise UserError(
            f"ONNX Runtime's {network.name} differs from PyTorch's by {difference:.1e}, more than {TOLERANCE:g}: no "
            f"file was written.{network.why_apart(TOLERANCE)}"
        )
    return Exported(
        path,
        difference,
        TOLERANCE,
        f"ONNX Runtime {runtime.__version__} against PyTorch {torch.__version__}, float32, batches of "
        f"{' and '.join(map(str, CHECKED_BATCHES))}, random inputs",
    )


def runtime_package() -> Any:
    """The package onnxruntime; `UserError` where it, onnx or onnxscript is missing."""
    try:
        import onnx  # noqa: F401
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"ONNX needs the package {error.name}: pip install onnx onnxscript onnxruntime, then again."
        ) from error
    return onnxruntime


def run(network: Network, session: Any, inputs: list[torch.Tensor]) -> torch.Tensor:
    """What ONNX Runtime makes of inputs."""
    named = {each.name: value.numpy() for each, value in zip(network.inputs, inputs, strict=True)}
    return torch.from_numpy(session.run(None, named)[0])


def _program(network: Network) -> Any:
    inputs = network.draw(3)
    batch, free = torch.export.Dim.DYNAMIC, network.name == "upscale"
    shapes = tuple({0: batch, 2: batch, 3: batch} if free else {0: batch} for _ in inputs)
    level = logging.getLogger("torch.onnx").level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter about itself
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        try:
            program = torch.onnx.export(
                network,
                tuple(inputs),
                dynamo=True,
                dynamic_shapes={"inputs": shapes},
                input_names=[each.name for each in network.inputs],
                output_names=["output"],
                opset_version=OPSET,
                optimize=False,
                verbose=False,
            )
        finally:
            logging.getLogger("torch.onnx").setLevel(level)
    assert program is not None
    _simplify(program.model)
    return program


def _simplify(graph: Any) -> None:
    """Makes a graph small and fast, as the exporter itself would.

    Its own rules take the addition of 1e-8, as norms have it, for one of 0 and leave it out: then what is even becomes
    NaN. What nodes remember of where they came from goes too; it is longer than they are.
    """
    import onnxscript
    from onnx_ir.passes import common

    onnxscript.optimizer.fold_constants(graph)
    for each in (
        common.RemoveUnusedNodesPass(),
        common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        common.DeduplicateInitializersPass(),
        common.CommonSubexpressionEliminationPass(),
        common.ClearMetadataAndDocStringPass(),
    ):
        each(graph)


def _difference(network: Network, session: Any, n: int) -> float:
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(n)
        inputs = network.draw(n)
        return float((run(network, session, inputs) - network(*inputs)).abs().max())
