"""Says which models can be trained on a data set, before anything is trained."""

import torch

from ganarium import registry
from ganarium.data.inspect.dataset import Survey
from ganarium.errors import UserError


def model_compatibility(data: Survey) -> dict[str, str]:
    """Every model -> "" if it can be trained on such data, else the reason why not. Models are built without memory."""
    result = {}
    for name in registry.list_models():
        try:
            with torch.device("meta"):
                model = registry.create(name, data.shape, len(data.classes) or None)
        except UserError as error:
            result[name] = str(error)
            continue
        batch = model.batch_type.__name__
        result[name] = "" if batch in data.kinds else f"it learns from {batch}"
    return result
