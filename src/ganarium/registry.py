"""The registry is the directory: every file in `models/` is a model and gives it its name. Cards need no torch.

Wherever a name is taken, the path of a model file of one's own is taken too: `my_gan.py`, `models/hinge.py`.
"""

import ast
import dataclasses
import importlib.util
import inspect
import math
import sys
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
    """The name, if there is such a model, or the absolute path of a model file; else `UserError` with the nearest
    names."""
    if name.endswith(".py"):
        path = Path(name).expanduser()
        if not path.is_file():
            raise UserError(f"there is no model file {name}: give the path of one, or a name of `ganarium list`.")
        return str(path.resolve())
    known = list_models()
    if name not in known:
        raise UserError(f"there is no model {name!r}: {nearest(name, known)}")
    return name


def title(name: str) -> str:
    """What a model is called in names of runs and in sentences: its name, or that of its file."""
    return Path(name).stem


def source(name: str) -> Path:
    """The file of a model."""
    name = checked(name)
    return Path(name) if name.endswith(".py") else MODELS / f"{name}.py"


@cache
def card(name: str) -> dict[str, Any]:
    """The `Paper(...)` of a model file and its docstring, read without importing it.

    Keys: title, authors, year, arxiv, idea, docstring. Raises `UserError` for a file that has no such card.
    """
    path = source(name)
    try:
        tree = ast.parse(path.read_text())
        for node in tree.body:
            if (
                isinstance(node, ast.Assign)
                and isinstance(node.value, ast.Call)
                and ast.unparse(node.targets[0]) == "PAPER"
            ):
                facts = {word.arg or "": ast.literal_eval(word.value) for word in node.value.keywords}
                return facts | {"docstring": ast.get_docstring(tree) or ""}
    except (SyntaxError, ValueError) as error:
        raise UserError(f"{path} cannot be read as a model file: {error}.") from error
    raise UserError(f"{path} is no model file: it needs `PAPER = Paper(...)`, written with literals.")


def field_docs(config: type) -> dict[str, str]:
    """The docstring under each field of a config dataclass, by field name, inherited fields first."""
    docs = {}
    for kind in reversed(config.__mro__):
        if not dataclasses.is_dataclass(kind):
            continue
        tree = ast.parse(inspect.cleandoc(inspect.getsource(kind)))
        for field, doc in pairwise(tree.body[0].body):  # type: ignore[attr-defined]
            if isinstance(field, ast.AnnAssign) and isinstance(doc, ast.Expr):
                docs[ast.unparse(field.target)] = inspect.cleandoc(ast.literal_eval(doc.value))
    return docs


def module(name: str) -> ModuleType:
    """The module of one model; no other model is imported."""
    name = checked(name)
    return _own_module(name) if name.endswith(".py") else importlib.import_module(f"ganarium.models.{name}")


@cache
def _own_module(path: str) -> ModuleType:
    """A user's own model file, imported under its name."""
    card(path)  # says what is missing before anything runs
    spec = importlib.util.spec_from_file_location(f"ganarium_model_{title(path)}", path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = made  # where dataclasses and inspect look for it
    try:
        spec.loader.exec_module(made)
    except Exception as error:
        del sys.modules[spec.name]
        raise UserError(f"{path} cannot be imported: {type(error).__name__}: {error}.") from error
    if not hasattr(made, "Config"):
        raise UserError(f"{path} is no model file: it needs a dataclass `Config` with its options.")
    return made


def model_class(name: str) -> "type[Model]":
    """The subclass of `Model` that a model file defines."""
    from ganarium.model import Model

    home = module(name)
    classes = [value for value in vars(home).values() if isinstance(value, type) and issubclass(value, Model)]
    own = [value for value in classes if value.__module__ == home.__name__]
    if len(own) != 1:
        raise UserError(f"{source(name)} must define one subclass of Model, and it defines {len(own)}.")
    return own[0]


def make_config(name: str, options: dict[str, Any], shape: tuple[int, ...] | None = None) -> Any:
    """The model's `Config` with these options; `UserError` names an unknown one or a bad value.

    For points, of `shape` (2,), what is not given comes from `Config.for_points()`. A value of None, or the word auto,
    says that it is not given, unless None means something to the option that its default does not say.
    """
    config = module(name).Config
    known = {field.name for field in dataclasses.fields(config)}
    for option in options:
        if option not in known:
            raise UserError(f"{title(name)} has no option {option!r}: {nearest(option, known)}")
    given = {key: value for key, value in options.items() if not _left_out(config, key, value)}
    check_values(config, given)
    if shape is not None and len(shape) == 1 and hasattr(config, "for_points"):
        return dataclasses.replace(config.for_points(), **given)
    return config(**given)


def _left_out(config: type, option: str, value: Any) -> bool:
    default = {field.name: field.default for field in dataclasses.fields(config)}[option]
    return value == "auto" or (value is None and (default is None or type(None) not in _kinds(config, option)))


def _kinds(config: type, field: str) -> tuple[Any, ...]:
    """The types that the annotation of a field allows."""
    hint = typing.get_type_hints(config)[field]
    origin: Any = typing.get_origin(hint)  # `Literal[...] | None` is a typing.Union before Python 3.14
    return typing.get_args(hint) if origin in (types.UnionType, typing.Union) else (hint,)


def check_values(config: type, options: dict[str, Any]) -> None:
    """Holds values against the annotations of a config dataclass: a number, a whole number, a flag, a choice."""
    for name, value in options.items():
        kinds = _kinds(config, name)
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

    `name` is one of `list_models()`, or the path of a model file. `shape` is (channels, height, width) of the images,
    or (2,) for points; `options` are the fields of the model's `Config`. Raises `UserError` (a `ValueError`) for an
    unknown model or option, or a value out of range.
    """
    if not (len(shape) == 3 or tuple(shape) == (2,)) or any(not isinstance(n, int) or n < 1 for n in shape):
        raise UserError(f"shape must be (channels, height, width) of whole numbers, or (2,) for points, not {shape!r}.")
    return model_class(name)(make_config(name, options, tuple(shape)), tuple(shape), num_classes)
