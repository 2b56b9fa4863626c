"""The registry is the directory: every file in `models/` is a model and gives it its name. Cards need no torch.

Wherever a name is taken, the path of a model file of one's own is taken too: `my_gan.py`, `models/hinge.py`.
"""

import ast
import dataclasses
import importlib.util
import inspect
import math
import sys
import textwrap
import types
import typing
import zlib
from collections.abc import Hashable
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ganarium.errors import UserError, nearest

if TYPE_CHECKING:
    from ganarium.model import Model

MODELS = Path(__file__).parent / "models"
_imported: dict[str, tuple[int, ModuleType, dict[str, Any]]] = {}  # own files by path: time of change, module, card


def list_models() -> list[str]:
    """The names of all models, sorted."""
    return sorted(path.stem for path in MODELS.glob("*.py") if not path.stem.startswith("_"))


def checked(name: str | Path) -> str:
    """The name, if there is such a model, or the absolute path of a model file; else `UserError` with the nearest
    names."""
    name = str(name)
    if name.endswith(".py"):
        path = Path(name).expanduser().resolve()
        if not path.is_file() and str(path) not in _imported:
            raise UserError(
                f"there is no model file {path}: give the path of another, or a name of `ganarium list`; a run needs "
                "the file it was trained with at its place."
            )
        return str(path)
    known = list_models()
    if name not in known:
        raise UserError(f"there is no model {name!r}: {nearest(name, known)}")
    return name


def title(name: str | Path) -> str:
    """What a model is called in names of runs and in sentences: its name, or that of its file."""
    return Path(name).stem


def source(name: str) -> Path:
    """The file of a model."""
    name = checked(name)
    return Path(name) if name.endswith(".py") else MODELS / f"{name}.py"


def card(name: str) -> dict[str, Any]:
    """The `Paper(...)` of a model file and its docstring, read without importing it.

    Keys: title, authors, year, arxiv ("" for a model without a paper), idea, docstring. Raises `UserError` for a file
    that has no such card.
    """
    name = checked(name)
    if name in _imported:
        return _imported[name][2]
    return _read_card(source(name)) if name.endswith(".py") else _card_of_ganarium(name)


@cache
def _card_of_ganarium(name: str) -> dict[str, Any]:
    return _read_card(source(name))


def _read_card(path: Path) -> dict[str, Any]:
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise UserError(f"{path} cannot be read as a model file: {error.msg} in line {error.lineno}.") from error
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as a model file: {error}.") from error
    papers = [node.value for node in tree.body if isinstance(node, ast.Assign) and _assigns(node, "PAPER")]
    if not papers or not isinstance(papers[0], ast.Call):
        raise UserError(f"{path} is no model file: it needs `PAPER = Paper(...)`, written with literals.")
    facts: dict[str, Any] = {"docstring": ast.get_docstring(tree) or ""}
    for word in papers[0].keywords:
        try:
            facts[str(word.arg)] = ast.literal_eval(word.value)
        except ValueError as error:
            raise UserError(
                f"{path}, line {word.value.lineno}: the {word.arg} of PAPER must be a literal, for it is read without "
                "running the file."
            ) from error
    missing = [key for key in ("title", "authors", "year", "arxiv", "idea") if key not in facts]
    if missing:
        raise UserError(f"{path}: PAPER has no {' and no '.join(missing)}.")
    return facts


def _assigns(node: ast.Assign, name: str) -> bool:
    return any(isinstance(target, ast.Name) and target.id == name for target in node.targets)


def field_docs(config: type) -> dict[str, str]:
    """The docstring under each field of a config dataclass, by field name, inherited fields first."""
    docs = {}
    for kind in reversed(config.__mro__):
        if not dataclasses.is_dataclass(kind):
            continue
        tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
        for field, doc in pairwise(tree.body[0].body):  # type: ignore[attr-defined]
            if isinstance(field, ast.AnnAssign) and isinstance(doc, ast.Expr):
                docs[ast.unparse(field.target)] = inspect.cleandoc(ast.literal_eval(doc.value))
    return docs


def module(name: str) -> ModuleType:
    """The module of one model; no other model is imported."""
    name = checked(name)
    return _own_module(name) if name.endswith(".py") else importlib.import_module(f"ganarium.models.{name}")


def _own_module(path: str) -> ModuleType:
    """A user's own model file, imported once."""
    if path not in _imported:
        facts = card(path)  # says what is missing before anything runs
        modified = Path(path).stat().st_mtime_ns
        spec = importlib.util.spec_from_file_location(f"ganarium_model_{title(path)}_{zlib.crc32(path.encode())}", path)
        assert spec is not None
        assert spec.loader is not None
        imported = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = imported  # where dataclasses and inspect look for it
        try:
            spec.loader.exec_module(imported)
        except Exception as error:
            del sys.modules[spec.name]
            raise UserError(f"{path} cannot be imported: {type(error).__name__}: {error}.") from error
        if "__dataclass_fields__" not in vars(getattr(imported, "Config", object)):
            raise UserError(
                f"{path} is no model file: it needs a class `Config` with its options, under "
                "`@dataclass(frozen=True, kw_only=True)`."
            )
        _imported[path] = (modified, imported, facts)
    return _imported[path][1]


def read_anew(name: str | Path) -> str:
    """The name as `checked` gives it. A user's own model file that was changed since it was imported is forgotten, so
    that it is imported again; a training that is under way goes on with what it has."""
    name = checked(name)
    if name in _imported and Path(name).is_file() and Path(name).stat().st_mtime_ns != _imported[name][0]:
        del _imported[name]
    return name


def model_class(name: str) -> "type[Model]":
    """The subclass of `Model` that a model file defines."""
    from ganarium.model import Model

    home = module(name)
    classes = [value for value in vars(home).values() if isinstance(value, type) and issubclass(value, Model)]
    own = [value for value in classes if value.__module__ == home.__name__]
    if len(own) != 1:
        names = f" ({', '.join(value.__name__ for value in own)})" if own else ""
        raise UserError(f"{source(name)} must define one subclass of Model, and it defines {len(own)}{names}.")
    return own[0]


def make_config(name: str, options: dict[str, Any], shape: tuple[int, ...] | None = None) -> Any:
    """The model's `Config` with these options; `UserError` names an unknown one or a bad value.

    What is not given comes from the model's `PRESETS` if its option `preset` names one of them, and for points, of
    `shape` (2,), from `Config.for_points()`. A value of None, or the word auto, says that it is not given, unless None
    means something to the option that its default does not say.
    """
    config = module(name).Config
    known = {field.name for field in dataclasses.fields(config)}
    for option in options:
        if option not in known:
            raise UserError(f"{title(name)} has no option {option!r}: {nearest(option, known)}")
    given = {key: value for key, value in options.items() if not _left_out(config, key, value)}
    given = checked_values(config, given)
    if "preset" in given:
        given = getattr(module(name), "PRESETS", {}).get(given["preset"], {}) | given
    if shape is not None and len(shape) == 1 and hasattr(config, "for_points"):
        return dataclasses.replace(config.for_points(), **given)
    return config(**given)


def _left_out(config: type, option: str, value: Any) -> bool:
    default = {field.name: field.default for field in dataclasses.fields(config)}[option]
    if isinstance(value, str):
        return value == "auto"
    return value is None and (default is None or type(None) not in _kinds(config, option))


def _kinds(config: type, field: str) -> tuple[Any, ...]:
    """The types that the annotation of a field allows."""
    hint = typing.get_type_hints(config)[field]
    origin: Any = typing.get_origin(hint)  # `Literal[...] | None` is a typing.Union before Python 3.14
    return typing.get_args(hint) if origin in (types.UnionType, typing.Union) else (hint,)


def plain(value: Any) -> Any:
    """A scalar of numpy as Python's number, flag or word of the same value; anything else unchanged."""
    numpy = sys.modules.get("numpy")  # without which there are none
    return value.item() if numpy and isinstance(value, numpy.generic) else value


def checked_values(config: type, options: dict[str, Any]) -> dict[str, Any]:
    """The values, `plain`, if they fit the annotations of a config dataclass: a number, a whole number, a flag, a
    choice. Else `UserError`."""
    values = {name: plain(value) for name, value in options.items()}
    for name, value in values.items():
        kinds = _kinds(config, name)
        choices = [choice for kind in kinds for choice in typing.get_args(kind)]
        simple = {kind for kind in kinds if isinstance(kind, type)}
        whole = isinstance(value, int) and not isinstance(value, bool)
        infinite = isinstance(value, float) and not math.isfinite(value)
        chosen = isinstance(value, Hashable) and value in choices  # arrays cannot be looked for
        if chosen or (type(value) in simple and not infinite) or (whole and float in simple):
            continue
        if choices:
            raise UserError(f"{name} must be one of {', '.join(map(str, choices))}, not {value!r}.")
        wanted = " or ".join(word for kind, word in _WORDS.items() if kind in simple)
        raise UserError(f"{name} must be {wanted}, not {value!r}.")
    return values


_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}


def create(name: str | Path, shape: tuple[int, ...], num_classes: int | None = None, **options: Any) -> "Model":
    """A new model, on the CPU, with weights drawn from torch's generator.

    `name` is one of `list_models()`, or the path of a model file. `shape` is (channels, height, width) of the images,
    or (2,) for points; `options` are the fields of the model's `Config`. Raises `UserError` (a `ValueError`) for an
    unknown model or option, or a value out of range.
    """
    if not (len(shape) == 3 or tuple(shape) == (2,)) or any(not isinstance(n, int) or n < 1 for n in shape):
        raise UserError(f"shape must be (channels, height, width) of whole numbers, or (2,) for points, not {shape!r}.")
    name = read_anew(name)
    return model_class(name)(make_config(name, options, tuple(shape)), tuple(shape), num_classes)
