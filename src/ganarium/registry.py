"""The registry is the directory: every file in `models/` is a model and gives it its name. Cards need no torch."""

import ast
import dataclasses
import importlib
import inspect
import math
import types
import typing
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ganarium.errors import UserError, nearest

if TYPE_CHECKING:
    from ganarium.model import Model

MODELS = Path(__file__).parent / "models"


def list_models() -> list[str]:
    """The names of all models, sorted."""
    return sorted(path.stem for path in MODELS.glob("*.py") if not path.stem.startswith("_"))


def checked(name: str) -> str:
    """The name, if there is such a model; else `UserError` with the nearest names."""
    known = list_models()
    if name not in known:
        raise UserError(f"there is no model {name!r}: {nearest(name, known)}")
    return name


@cache
def card(name: str) -> dict[str, Any]:
    """The `Paper(...)` of a model file and its docstring, read without importing it.

    Keys: title, authors, year, arxiv, idea, docstring.
    """
    tree = ast.parse((MODELS / f"{checked(name)}.py").read_text())
    for node in tree.body:
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Call)
            and ast.unparse(node.targets[0]) == "PAPER"
        ):
            facts = {word.arg or "": ast.literal_eval(word.value) for word in node.value.keywords}
            return facts | {"docstring": ast.get_docstring(tree) or ""}
    raise AssertionError(f"models/{name}.py has no PAPER")


def field_docs(config: type) -> dict[str, str]:
    """The docstring under each field of a config dataclass, by field name."""
    tree = ast.parse(inspect.cleandoc(inspect.getsource(config)))
    docs = {}
    for field, doc in pairwise(tree.body[0].body):  # type: ignore[attr-defined]
        if isinstance(field, ast.AnnAssign) and isinstance(doc, ast.Expr):
            docs[ast.unparse(field.target)] = inspect.cleandoc(ast.literal_eval(doc.value))
    return docs


def module(name: str) -> ModuleType:
    """The module of one model; no other model is imported."""
    return importlib.import_module(f"ganarium.models.{checked(name)}")


def model_class(name: str) -> "type[Model]":
    from ganarium.model import Model

    classes = [value for value in vars(module(name)).values() if isinstance(value, type) and issubclass(value, Model)]
    (own,) = [value for value in classes if value.__module__ == f"ganarium.models.{name}"]
    return own


def make_config(name: str, options: dict[str, Any]) -> Any:
    """The model's `Config` with these options; `UserError` names an unknown one or a bad value."""
    config = module(name).Config
    known = [field.name for field in dataclasses.fields(config)]
    for option in options:
        if option not in known:
            raise UserError(f"{name} has no option {option!r}: {nearest(option, known)}")
    check_values(config, options)
    return config(**options)


def check_values(config: type, options: dict[str, Any]) -> None:
    """Holds values against the annotations of a config dataclass: a number, a whole number, a flag, a choice."""
    hints = inspect.get_annotations(config, eval_str=True)
    for name, value in options.items():
        origin: Any = typing.get_origin(hints[name])  # `Literal[...] | None` is a typing.Union before Python 3.14
        kinds = typing.get_args(hints[name]) if origin in (types.UnionType, typing.Union) else (hints[name],)
        choices = [choice for kind in kinds for choice in typing.get_args(kind)]
        plain = {kind for kind in kinds if isinstance(kind, type)}
        whole = isinstance(value, int) and not isinstance(value, bool)
        infinite = isinstance(value, float) and not math.isfinite(value)
        if value in choices or (type(value) in plain and not infinite) or (whole and float in plain):
            continue
        if choices:
            raise UserError(f"{name} must be one of {', '.join(map(str, choices))}, not {value!r}.")
        wanted = " or ".join(word for kind, word in _WORDS.items() if kind in plain)
        raise UserError(f"{name} must be {wanted}, not {value!r}.")


_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}


def create(name: str, shape: tuple[int, ...], num_classes: int | None = None, **options: Any) -> "Model":
    """A new model, on the CPU, with weights drawn from torch's generator.

    `shape` is (channels, height, width) of the images, or (2,) for points; `options` are the fields of the model's
    `Config`. Raises `UserError` (a `ValueError`) for an unknown model or option, or a value out of range.
    """
    if not (len(shape) == 3 or tuple(shape) == (2,)) or any(not isinstance(n, int) or n < 1 for n in shape):
        raise UserError(f"shape must be (channels, height, width) of whole numbers, or (2,) for points, not {shape!r}.")
    return model_class(name)(make_config(name, options), tuple(shape), num_classes)
