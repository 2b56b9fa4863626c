"""ganzoo: generative adversarial networks as real software. The public names, each loaded when it is first used."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "list_models": "registry",
    "create": "registry",
    "train": "api",
    "resume": "api",
    "load": "api",
    "evaluate": "evaluation",
    "save_grid": "pictures",
    "load_data": "data",
    "UserError": "errors",
    "RunError": "errors",
}
__all__ = [*_HOMES, "metrics"]

if TYPE_CHECKING:
    from ganzoo import metrics as metrics
    from ganzoo.api import load as load
    from ganzoo.api import resume as resume
    from ganzoo.api import train as train
    from ganzoo.data import load_data as load_data
    from ganzoo.errors import RunError as RunError
    from ganzoo.errors import UserError as UserError
    from ganzoo.evaluation import evaluate as evaluate
    from ganzoo.pictures import save_grid as save_grid
    from ganzoo.registry import create as create
    from ganzoo.registry import list_models as list_models


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"ganzoo.{_HOMES[name]}"), name)
    if name == "metrics":
        return import_module("ganzoo.metrics")
    raise AttributeError(f"module 'ganzoo' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
