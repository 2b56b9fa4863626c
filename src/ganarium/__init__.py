"""ganarium: generative adversarial networks as real software. The public names, each loaded when it is first used."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ganarium.version import __version__ as __version__

_HOMES = {
    "list_models": "registry",
    "create": "registry",
    "train": "api",
    "resume": "api",
    "load": "runs.loading",
    "load_pretrained": "runs.pretrained",
    "evaluate": "api",
    "export": "api",
    "push": "api",
    "import_weights": "exporting.weights.importing",
    "recommend": "training.recommend",
    "save_grid": "pictures.grid",
    "load_data": "data",
    "UserError": "errors",
    "RunError": "errors",
}
_MODULES = ("metrics", "testing")
__all__ = [*_HOMES, *_MODULES]

if TYPE_CHECKING:
    from ganarium import metrics as metrics
    from ganarium import testing as testing
    from ganarium.api import evaluate as evaluate
    from ganarium.api import export as export
    from ganarium.api import push as push
    from ganarium.api import resume as resume
    from ganarium.api import train as train
    from ganarium.data import load_data as load_data
    from ganarium.errors import RunError as RunError
    from ganarium.errors import UserError as UserError
    from ganarium.exporting.weights.importing import import_weights as import_weights
    from ganarium.pictures.grid import save_grid as save_grid
    from ganarium.registry import create as create
    from ganarium.registry import list_models as list_models
    from ganarium.runs.loading import load as load
    from ganarium.runs.pretrained import load_pretrained as load_pretrained
    from ganarium.training.recommend import recommend as recommend


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"ganarium.{_HOMES[name]}"), name)
    if name in _MODULES:
        return import_module(f"ganarium.{name}")
    raise AttributeError(f"module 'ganarium' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
