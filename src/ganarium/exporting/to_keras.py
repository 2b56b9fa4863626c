"""Keras: one `.keras` file for each network of a model, held against PyTorch in Keras before it counts as written.

The files hold layers and operations of Keras 3 alone, so that `keras.saving.load_model` reads them without ganarium, on
any backend. Keras runs in processes of its own, one for each backend: the user's process, whose backend is settled when
Keras is first imported, does not import it.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganarium.errors import UserError
from ganarium.exporting.graph import trace
from ganarium.exporting.network import Network
from ganarium.exporting.result import Exported, largest
from ganarium.runtime.files import atomic_write

TOLERANCE = 1e-4  # of pixels in [-1, 1]
CHECKED_BATCHES = (1, 5)
BACKENDS = ("torch", "jax", "tensorflow")
WORKER = Path(__file__).with_name("keras_worker.py")


def write(networks: Sequence[Network], paths: Sequence[Path]) -> list[Exported]:
    """Writes each network to its path, as a functional model of Keras with any batch size.

    The inputs have the names of `network.inputs`, noise among them. Pictures are (b, h, w, c), labels int32; a network
    that enlarges takes pictures of any size. All files are written or none: raises `UserError` where Keras is missing,
    and for a network that Keras has no layers for or whose numbers differ by more than 1e-4 on a backend.
    """
    require()
    backends = [name for name in BACKENDS if find_spec(name)]
    with TemporaryDirectory() as place, torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        folder = Path(place)
        job, expected = [], []
        for number, network in enumerate(networks):
            part, arrays, outputs = _described(network, {str(n): network.draw(n) for n in CHECKED_BATCHES})
            job.append(part | {"path": str(folder / f"{number}.keras")})
            expected.append(outputs)
            _save(folder / f"{number}.npz", arrays)
        (folder / "job.json").write_text(json.dumps(job))
        versions = [_run(backend, folder, networks) for backend in backends]
        made = []
        for number, (network, path) in enumerate(zip(networks, paths, strict=True)):
            differences = [_difference(folder / f"{number}-{name}.npz", expected[number]) for name in backends]
            for name, difference in zip(backends, differences, strict=True):
                if not difference <= TOLERANCE:
                    raise UserError(
                        f"Keras's {network.name} on {name} differs from PyTorch's by {difference:.1e}, more than "
                        f"{TOLERANCE:g}: no file was written.{network.why_apart(TOLERANCE)}"
                    )
            seen = ", ".join(f"{name} {each:.1e}" for name, each in zip(backends, differences, strict=True))
            protocol = (
                f"Keras {versions[0]} (largest difference on each backend: {seen}) against PyTorch "
                f"{torch.__version__}, float32, batches of {' and '.join(map(str, CHECKED_BATCHES))}, random inputs"
            )
            made.append(Exported(path, max(differences), TOLERANCE, protocol))
        for number, path in enumerate(paths):
            with atomic_write(path) as temporary:
                shutil.copyfile(folder / f"{number}.keras", temporary)
    return made


def require() -> None:
    """Raises `UserError` where Keras is not installed."""
    if find_spec("keras") is None:
        raise UserError("Keras files need the package keras: pip install keras, then again.")


def layout(shape: Sequence[int]) -> list[int]:
    """The shape of a sample in Keras: the channels of a picture (c, h, w) come last."""
    return [*shape[1:], shape[0]] if len(shape) == 3 else list(shape)


def environment(backend: str, home: Path) -> dict[str, str]:
    """Of a process whose Keras has this backend, computes on the processor with as many threads as PyTorch has here,
    and reads no settings of the user."""
    threads = str(torch.get_num_threads())
    own = {"KERAS_BACKEND": backend, "KERAS_HOME": str(home), "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": threads}
    return os.environ | own


def _described(
    network: Network, batches: dict[str, Sequence[Tensor]]
) -> tuple[dict[str, Any], dict[str, np.ndarray], dict[str, np.ndarray]]:
    """A network for the worker, its constants and batches of inputs, and what PyTorch makes of the inputs."""
    graph = trace(network, network.draw(1))
    arrays = {f"c{i}": graph.constants[i].numpy() for i in graph.used_constants()}
    outputs = {}
    for name, inputs in batches.items():
        output = network(*inputs)
        alone = torch.cat([network(*(each[i : i + 1] for each in inputs)) for i in range(len(output))])
        if (alone - output).abs().max() > TOLERANCE:
            raise UserError(
                f"a sample of this model's {network.name} depends on its place in the batch, which no layer of Keras "
                "knows: export it to onnx."
            )
        outputs[name] = _laid_out(output)
        arrays |= {f"x{i}_{name}": _laid_out(each) for i, each in enumerate(inputs)}
    part = {
        "name": network.name,
        "any_size": network.name == "upscale",
        "inputs": [{"name": each.name, "kind": each.kind, "shape": each.shape} for each in network.inputs],
        "operators": [vars(each) for each in graph.operators],
        "output": graph.output,
        "batches": list(batches),
        "repeats": 0,
    }
    return part, arrays, outputs


def _laid_out(x: Tensor) -> np.ndarray:
    """(b, c, h, w) -> (b, h, w, c); anything else as it is, labels as int32."""
    x = x.movedim(1, -1).contiguous() if x.dim() == 4 else x
    return (x if x.is_floating_point() else x.int()).numpy()


def _save(path: Path, arrays: dict[str, np.ndarray]) -> None:
    named: dict[str, Any] = arrays
    np.savez(path, **named)


def _run(backend: str, folder: Path, networks: Sequence[Network]) -> str:
    """Writes what is not yet written and computes all networks, in a process with this backend. Gives the version of
    Keras."""
    run = subprocess.run(
        [sys.executable, "-P", str(WORKER), str(folder)],
        env=environment(backend, folder),
        capture_output=True,
        text=True,
    )
    if run.returncode:
        raise RuntimeError(f"Keras on {backend} has failed:\n{run.stderr[-2000:]}")
    result = json.loads((folder / f"errors-{backend}.json").read_text())
    for number, reason in result["errors"].items():
        raise UserError(f"{networks[int(number)].name} cannot be told in layers of Keras: {reason}. Export it to onnx.")
    version: str = result["keras"]
    return version


def measure(network: Network, inputs: Sequence[Tensor], repeats: int, backend: str) -> tuple[Tensor, float, int, str]:
    """What Keras makes of inputs (b, ...) on a backend: the output (b, ...) in the order of PyTorch, the least seconds
    of `repeats` calls, the bytes of the file, and the version of Keras."""
    require()
    with TemporaryDirectory() as place, torch.no_grad(), torch.random.fork_rng(devices=[]):
        folder = Path(place)
        part, arrays, _ = _described(network, {"timed": inputs})
        (folder / "job.json").write_text(json.dumps([part | {"path": str(folder / "0.keras"), "repeats": repeats}]))
        _save(folder / "0.npz", arrays)
        version = _run(backend, folder, [network])
        with np.load(folder / f"0-{backend}.npz") as made:
            output = torch.from_numpy(made["timed"])
            output = output.movedim(-1, 1) if output.dim() == 4 else output
            return output, float(made["seconds"]), (folder / "0.keras").stat().st_size, version


def _difference(path: Path, expected: dict[str, np.ndarray]) -> float:
    with np.load(path) as made:
        return largest(float(np.abs(made[name] - each).max()) for name, each in expected.items())
