"""Says which models can be trained on a data set, before anything is trained."""

import torch

from ganarium import registry
from ganarium.data.inspect.survey import Survey
from ganarium.errors import UserError


def model_compatibility(data: Survey) -> dict[str, str]:
    """Every model of the registry -> "" if it can be trained on such data, else the reason why not."""
    return {name: reason_against(name, data) for name in registry.list_models()}


def reason_against(model: str, data: Survey) -> str:
    """Why a model cannot be trained on such data, or "" if it can. The model is built without memory.

    `model` is a name of the registry or the path of a model file.
    """
    try:
        with torch.device("meta"):
            instance = registry.create(model, data.shape, len(data.classes) or None)
    except UserError as error:
        return str(error)
    batch = instance.batch_type.__name__
    return "" if batch in data.kinds else f"it learns from {batch}"
