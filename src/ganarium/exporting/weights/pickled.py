"""Reads the pickles of `torch.save` as data: nothing that a file names is imported, called or built.

A pickle is a program for a machine with a stack. This is that machine with the instructions left out that call
anything; of those that are needed for tensors, REDUCE and BUILD, it knows six names and does by itself what they stand
for. All else is refused.
"""

import io
import pickletools
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

MOST_BYTES = 16 << 20  # of one pickle; the tensors' numbers are not in it
MOST_INSTRUCTIONS = 1_000_000  # of one pickle; RRDBNet's with its optimiser has 100,000
MOST_AXES = 64

DTYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


class Refused(ValueError):
    """Why a file is not read, as the end of a sentence that begins with its name."""


class Name(NamedTuple):
    """Something that the pickle names and nobody imports."""

    module: str
    name: str

    def __str__(self) -> str:
        return "".join(c if c.isprintable() else "?" for c in f"{self.module}.{self.name}"[:60])


class Storage(NamedTuple):
    """Numbers that lie elsewhere in the file."""

    key: str
    dtype: torch.dtype
    length: int
    """How many they are."""


class Stored(NamedTuple):
    """A tensor, as a view of a storage."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


class Mark:
    """Where a list of arguments begins on the stack."""


ORDERED_DICT = Name("collections", "OrderedDict")
REBUILD = {Name("torch._utils", "_rebuild_tensor_v2"), Name("torch._utils", "_rebuild_tensor")}
PARAMETER = Name("torch._utils", "_rebuild_parameter")
SIZE, DEVICE = Name("torch", "Size"), Name("torch", "device")
KNOWN = {ORDERED_DICT, *REBUILD, PARAMETER, SIZE, DEVICE, *(Name("torch", name) for name in DTYPES)}


def read_pickle(data: bytes | memoryview) -> tuple[Any, int]:
    """The content of the pickle at the start of `data`, and its length in bytes.

    Dicts, lists, tuples and plain values are themselves, tensors are `Stored`. Raises `Refused`.
    """
    stream = io.BytesIO(data[: MOST_BYTES + 1])
    machine = _Machine()
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
            if opcode.name == "STOP":
                return machine.result(), stream.tell()
            if count > MOST_INSTRUCTIONS:
                raise Refused("begins with a pickle of more instructions than any weights need")
            machine.run(opcode.name, argument)
    except (IndexError, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        if isinstance(error, Refused):
            raise
        if len(data) > MOST_BYTES:
            raise Refused(f"begins with a pickle of more than {MOST_BYTES >> 20} MiB, which no weights need") from error
        raise Refused("is cut short, or no file of weights") from error
    raise Refused("is cut short, or no file of weights")


class _Machine:
    """The stack, and what was put aside."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def result(self) -> Any:
        if len(self.stack) != 1:
            raise Refused("is no pickle that torch.save writes")
        return self.stack.pop()

    def run(self, name: str, argument: Any) -> None:
        if name in _PLAIN:
            self.stack.append(argument)
        elif name in _ACTIONS:
            _ACTIONS[name](self, argument)
        else:
            raise Refused(f"uses the pickle instruction {name}, which can run a program and which weights never need")

    def marked(self) -> list[Any]:
        """What lies above the last mark, taken off with it."""
        place = len(self.stack) - 1
        while place >= 0 and not isinstance(self.stack[place], Mark):
            place -= 1
        if place < 0:
            raise Refused("is no pickle that torch.save writes")
        values = self.stack[place + 1 :]
        del self.stack[place:]
        return values

    def put(self, place: int) -> None:
        self.memo[place] = self.stack[-1]

    def take(self, count: int) -> tuple[Any, ...]:
        if count > len(self.stack):
            raise Refused("is no pickle that torch.save writes")
        values = tuple(self.stack[len(self.stack) - count :])
        del self.stack[len(self.stack) - count :]
        return values

    def set_items(self, pairs: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not dict or len(pairs) % 2:
            raise Refused("is no pickle that torch.save writes")
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            if type(key) not in (str, int, float, bool, type(None)):
                raise Refused("has a dict whose keys are no words")
            target[key] = value

    def append(self, values: list[Any]) -> None:
        if type(self.stack[-1]) is not list:
            raise Refused("is no pickle that torch.save writes")
        self.stack[-1].extend(values)

    def name(self, module: Any, name: Any) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise Refused("names something in no words")
        wanted = Name(module, name)
        if wanted not in KNOWN:
            raise Refused(f"asks for {wanted}, which weights never need")
        self.stack.append(wanted)

    def reduce(self) -> None:
        """What calling one of the known names would give."""
        function, arguments = self.take(2)
        if type(arguments) is not tuple or not isinstance(function, Name):
            raise Refused("calls something that is no name")
        if function == ORDERED_DICT:
            self.stack.append(_ordered_dict(arguments))
        elif function in REBUILD:
            self.stack.append(_tensor(arguments))
        elif function == PARAMETER and arguments and isinstance(arguments[0], Stored):
            self.stack.append(arguments[0])
        elif function == SIZE and len(arguments) == 1:
            self.stack.append(tuple(arguments[0]))
        elif function == DEVICE:
            self.stack.append(None)
        else:
            raise Refused(f"calls {function}, which weights never need")

    def build(self) -> None:
        """The state of a dict, which is its `_metadata`, is left out; nothing else has one."""
        self.take(1)
        if type(self.stack[-1]) is not dict:
            raise Refused("sets the state of something that is no dict")

    def storage(self) -> None:
        (pid,) = self.take(1)
        if type(pid) is not tuple or len(pid) not in (5, 6) or pid[0] not in ("storage", b"storage"):
            raise Refused("has a persistent id that is no storage")
        kind, key, count = pid[1], pid[2], pid[4]
        if not isinstance(kind, Name) or kind.name not in DTYPES or kind.module != "torch":
            raise Refused("has a storage of no known type")
        if not isinstance(key, str) or type(count) is not int or count < 0 or (len(pid) == 6 and pid[5] is not None):
            raise Refused("has a storage of no known form")
        self.stack.append(Storage(key, DTYPES[kind.name], count))


def _ordered_dict(arguments: tuple[Any, ...]) -> dict[Any, Any]:
    if not arguments:
        return {}
    pairs = arguments[0]
    if len(arguments) > 1 or type(pairs) is not list or any(len(pair) != 2 for pair in pairs):
        raise Refused("has an OrderedDict of no known form")
    machine = _Machine()
    machine.stack.append({})
    machine.set_items([value for pair in pairs for value in pair])
    result: dict[Any, Any] = machine.result()
    return result


def _tensor(arguments: tuple[Any, ...]) -> Stored:
    """The arguments of `_rebuild_tensor_v2`, checked: a view that holds no number twice, inside its storage."""
    storage, offset, size, stride = arguments[:4]
    if not isinstance(storage, Storage) or type(size) is not tuple or type(stride) is not tuple:
        raise Refused("has a tensor of no known form")
    numbers = (offset, *size, *stride)
    if (
        len(size) != len(stride)
        or len(size) > MOST_AXES
        or any(type(n) is not int or not 0 <= n < 2**62 for n in numbers)
    ):
        raise Refused("has a tensor of no known form")
    count, last = 1, offset
    for side, step in zip(size, stride, strict=True):
        count *= side
        last += max(0, side - 1) * step
        if count > storage.length or last > storage.length:
            raise Refused("has a tensor that is larger than the numbers behind it")
    if count and last >= storage.length:
        raise Refused("has a tensor that is larger than the numbers behind it")
    return Stored(storage, offset, size, stride)


_PLAIN = {"BININT", "BININT1", "BININT2", "LONG1", "LONG4", "INT", "LONG", "FLOAT", "BINFLOAT"}
_PLAIN |= {"BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "UNICODE", "BINSTRING", "SHORT_BINSTRING", "STRING"}
_PLAIN |= {"BINBYTES", "SHORT_BINBYTES"}
_ACTIONS: dict[str, Callable[[_Machine, Any], Any]] = {
    "PROTO": lambda machine, argument: None,
    "FRAME": lambda machine, argument: None,
    "NONE": lambda machine, argument: machine.stack.append(None),
    "NEWTRUE": lambda machine, argument: machine.stack.append(True),
    "NEWFALSE": lambda machine, argument: machine.stack.append(False),
    "MARK": lambda machine, argument: machine.stack.append(Mark()),
    "EMPTY_DICT": lambda machine, argument: machine.stack.append({}),
    "EMPTY_LIST": lambda machine, argument: machine.stack.append([]),
    "EMPTY_TUPLE": lambda machine, argument: machine.stack.append(()),
    "TUPLE": lambda machine, argument: machine.stack.append(tuple(machine.marked())),
    "TUPLE1": lambda machine, argument: machine.stack.append(machine.take(1)),
    "TUPLE2": lambda machine, argument: machine.stack.append(machine.take(2)),
    "TUPLE3": lambda machine, argument: machine.stack.append(machine.take(3)),
    "LIST": lambda machine, argument: machine.stack.append(machine.marked()),
    "APPEND": lambda machine, argument: machine.append([*machine.take(1)]),
    "APPENDS": lambda machine, argument: machine.append(machine.marked()),
    "SETITEM": lambda machine, argument: machine.set_items([*machine.take(2)]),
    "SETITEMS": lambda machine, argument: machine.set_items(machine.marked()),
    "PUT": lambda machine, argument: machine.put(argument),
    "BINPUT": lambda machine, argument: machine.put(argument),
    "LONG_BINPUT": lambda machine, argument: machine.put(argument),
    "MEMOIZE": lambda machine, argument: machine.put(len(machine.memo)),
    "GET": lambda machine, argument: machine.stack.append(machine.memo[argument]),
    "BINGET": lambda machine, argument: machine.stack.append(machine.memo[argument]),
    "LONG_BINGET": lambda machine, argument: machine.stack.append(machine.memo[argument]),
    "GLOBAL": lambda machine, argument: machine.name(*argument.split(" ", 1)),
    "STACK_GLOBAL": lambda machine, argument: machine.name(*machine.take(2)),
    "REDUCE": lambda machine, argument: machine.reduce(),
    "BUILD": lambda machine, argument: machine.build(),
    "BINPERSID": lambda machine, argument: machine.storage(),
}
