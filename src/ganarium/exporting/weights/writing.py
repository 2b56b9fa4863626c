"""Writes a generator of ours under the names that other programs read."""

from pathlib import Path

import torch

from ganarium.errors import UserError
from ganarium.exporting.result import Exported
from ganarium.exporting.weights.importing import read_weights
from ganarium.exporting.weights.layouts import RRDB_FORMS, rrdb_names
from ganarium.model import Model
from ganarium.networks.rrdb import RRDBNet
from ganarium.runtime.files import atomic_write

GROWTH = 32  # of every RRDBNet that others have; spandrel does not read it from the file


def write_pth(model: Model, path: Path) -> Exported:
    """Writes RRDBNet as Real-ESRGAN and BasicSR have it, under `params_ema`, and reads it back.

    spandrel and chaiNNer read it. Raises `UserError` for a model whose generator is another network.
    """
    network = dict(model.named_children()).get("generator")
    if not isinstance(network, RRDBNet) or network.colours is not None:
        raise UserError(
            f"{type(model).__name__}'s generator is none that chaiNNer or spandrel know: give a run of esrgan with the "
            "released generator, or export it to onnx."
        )
    if network.growth != GROWTH:
        raise UserError(
            f"chaiNNer and spandrel read RRDBNet of growth {GROWTH} alone, and this one has {network.growth}."
        )
    forms = next(iter(RRDB_FORMS.values()))
    names = rrdb_names(forms, len(network.blocks), len(network.doublings))
    state = {names[key]: value.float().cpu().contiguous() for key, value in network.state_dict().items()}
    with atomic_write(path) as temporary:
        torch.save({"params_ema": state}, temporary)
    _, read = read_weights(path)
    difference = max(
        float((read[key] - value.float().cpu()).abs().max()) for key, value in network.state_dict().items()
    )
    return Exported(path, difference, 0.0, "weights, read back from the file")
