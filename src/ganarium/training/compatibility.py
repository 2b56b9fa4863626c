"""Says which models can be trained on a data set, before anything is trained."""

from functools import lru_cache

import torch

from ganarium import registry
from ganarium.data.inspect.survey import Survey
from ganarium.errors import UserError


def model_compatibility(data: Survey) -> dict[str, str]:
    """Every model of the registry -> "" if it can be trained on such data, else the reason why not."""
    return {name: reason_against(name, data) for name in registry.list_models()}


def reason_against(model: str, data: Survey) -> str:
    """Why a model cannot be trained on such data, or "" if it can.

    `model` is a name of the registry or the path of a model file.
    """
    batch, refusal = _batch_type(model, data.shape, len(data.classes) or None)
    return refusal or ("" if batch in data.kinds else f"it learns from {batch}")


@lru_cache(256)
def _batch_type(model: str, shape: tuple[int, ...], num_classes: int | None) -> tuple[str, str]:
    """The name of a model's batch type, or why it takes no such shape. The model is built without memory."""
    try:
        with torch.device("meta"):
            return registry.create(model, shape, num_classes).batch_type.__name__, ""
    except UserError as error:
        return "", str(error)
