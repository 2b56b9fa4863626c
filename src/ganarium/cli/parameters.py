"""Command-line parameters made from dataclasses, and files of options turned into arguments."""

import dataclasses
import math
import tomllib
import typing
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter, Token

from ganarium.errors import UserError, nearest
from ganarium.registry import field_docs

# Said before the options of a model, in the words that their docstrings use.
LEGEND = (
    "G is the generator and D the discriminator (or critic); z is the noise from which G draws. Brackets say where a "
    "value comes from: the paper, the authors' released code, or ours."
)
NO_VALUE = (None, "", "~", "null")  # in YAML


def whole(kind: Any, tokens: typing.Sequence[Token]) -> int:
    """A whole number, checked as text: the parser would round 3.5 without a word."""
    text = tokens[0].value
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"must be a whole number, not {text!r}.") from None


def number(kind: Any, tokens: typing.Sequence[Token]) -> float:
    """A finite number: the parser would take nan and inf too."""
    text = tokens[0].value
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"must be a number, not {text!r}.")
    return value


Whole = Annotated[int, Parameter(converter=whole)]
Count = Annotated[int | None, Parameter(converter=whole)]
Number = Annotated[float | None, Parameter(converter=number)]


def parameters(config: type, group: str, *, optional: bool = False) -> type:
    """A copy of a config dataclass whose fields are options, with their docstrings as help. Checks no values.

    `optional`: a field that is not given is None, whatever its default, which the help shows.
    """
    docs, hints = field_docs(config), typing.get_type_hints(config)
    fields: list[Any] = []
    for field in dataclasses.fields(config):
        hint = hints[field.name]
        kinds = typing.get_args(hint) or (hint,)
        converter = whole if int in kinds else number if float in kinds else None
        help_text = " ".join(docs.get(field.name, "").split()).replace("None: ", "Default: ")
        shown: Any = _shown(field.default) if optional else None
        option = Parameter(help=help_text, group=group, converter=converter, show_default=shown)
        required = field.default is dataclasses.MISSING
        if optional:
            fields.append((field.name, Annotated[hint | None, option], None))
        else:
            kind: Any = Annotated[hint, option]
            fields.append((field.name, kind) if required else (field.name, kind, field.default))
    made = dataclasses.make_dataclass(config.__name__, fields, kw_only=True, frozen=True)
    made.__module__ = config.__module__  # else the parser takes it for a builtin type
    return Parameter(name="*")(made)


def _shown(default: Any) -> Any:
    """What `--help` prints as a default in the place of None; False: nothing."""
    return False if default is None or default is dataclasses.MISSING else lambda _: default


def take_option(arguments: list[str], name: str) -> tuple[str | None, list[str]]:
    """The value of `--name VALUE` or `--name=VALUE`, and the arguments without it."""
    for place, argument in enumerate(arguments):
        if argument == f"--{name}" and place + 1 < len(arguments):
            return arguments[place + 1], arguments[:place] + arguments[place + 2 :]
        if argument.startswith(f"--{name}="):
            return argument.split("=", 1)[1], arguments[:place] + arguments[place + 1 :]
    return None, arguments


def from_file(path: str, known: set[str], arguments: list[str]) -> list[str]:
    """The options of a YAML or TOML file as arguments, less those that `arguments` give themselves."""
    given = {
        argument.removeprefix("--").removeprefix("no-").split("=")[0].replace("-", "_")
        for argument in arguments
        if argument.startswith("--")
    }
    made: list[str] = []
    for key, value in read_file(path).items():
        name = key.replace("-", "_")
        if name not in known:
            raise UserError(f"{path}: there is no option {key!r}: {nearest(name, known)}")
        if name in given or value in NO_VALUE:
            continue
        if not isinstance(value, str | int | float):
            raise UserError(f"{path}: {key} must be a number, a word or true or false, not {value!r}.")
        made.append(f"--{name.replace('_', '-')}={value}")
    return made


def read_file(path: str) -> dict[str, Any]:
    """The mapping in a .yaml, .yml or .toml file. YAML's values stay as they are spelled: it would read 01 as 1."""
    import yaml

    file = Path(path)
    if file.suffix not in (".yaml", ".yml", ".toml"):
        raise UserError(f"a file of options is .yaml or .toml, not {file.name}.")
    try:
        text = file.read_text()
        values = tomllib.loads(text) if file.suffix == ".toml" else yaml.load(text, yaml.BaseLoader)
    except OSError as error:
        raise UserError(f"the file of options {path} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, yaml.YAMLError, UnicodeDecodeError) as error:
        where = " ".join(str(error).split())
        raise UserError(f"{path} is no valid {file.suffix[1:].upper()}: {where}.") from error
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise UserError(f"{path} must hold options by name, such as `steps: 5000`.")
    return values
