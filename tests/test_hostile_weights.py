"""Hostile files of weights: each is refused in one sentence, none runs anything, and none takes time or memory.

The pickles are written opcode by opcode, since no library writes them. Python's own reader is the control: it runs
what is in them.
"""

import copyreg
import io
import pickle
import pickletools
import struct
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import other_programs as other
from ganarium.errors import UserError
from ganarium.exporting.weights.importing import import_weights

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
EXTENSION = 0xF0  # a code of copyreg, which the control registers
SECONDS, BYTES = 10.0, 256 << 20  # that a refusal may take on a busy machine


# ---- writing pickles -----------------------------------------------------------------------------------------


def word(text: str) -> bytes:
    data = text.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def name(module: str, attribute: str) -> bytes:
    return f"c{module}\n{attribute}\n".encode()


def stack_name(module: str, attribute: str) -> bytes:
    return word(module) + word(attribute) + b"\x93"


def call(function: bytes, *arguments: bytes) -> bytes:
    return function + b"(" + b"".join(arguments) + b"tR"


def storage(key: str = "0", count: int = 4, kind: bytes = name("torch", "FloatStorage"), old: bool = False) -> bytes:
    return b"(" + word("storage") + kind + word(key) + word("cpu") + number(count) + b"N" * old + b"tQ"


def number(value: int) -> bytes:
    data = pickle.encode_long(value)
    return b"\x8a" + bytes([len(data)]) + data


def tensor(stored: bytes, size: tuple[int, ...] = (4,), stride: tuple[int, ...] = (1,), offset: int = 0) -> bytes:
    sides, steps = (b"(" + b"".join(map(number, values)) + b"t" for values in (size, stride))
    hooks = name("collections", "OrderedDict") + b")R"
    rebuild = name("torch._utils", "_rebuild_tensor_v2")
    return call(rebuild, stored, number(offset), sides, steps, b"\x89", hooks)


def state(**values: bytes) -> bytes:
    return b"}(" + b"".join(word(key) + value for key, value in values.items()) + b"u"


def program(body: bytes) -> bytes:
    return b"\x80\x02" + body + b"."


def as_zip(body: bytes, storages: dict[str, bytes] | None = None) -> bytes:
    """A file in torch's format of today."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as file:
        file.writestr("w/data.pkl", program(body))
        for key, data in (storages or {"0": bytes(16)}).items():
            file.writestr(f"w/data/{key}", data)
        file.writestr("w/version", "3\n")
    return target.getvalue()


def as_old(body: bytes, storages: dict[str, bytes] | None = None, count: int | None = None) -> bytes:
    """A file in torch's format before 1.6."""
    storages = storages or {"0": bytes(16)}
    machine = {"protocol_version": PROTOCOL, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    parts = [pickle.dumps(value, 2) for value in (MAGIC, PROTOCOL, machine)]
    parts += [program(body), pickle.dumps([*storages], 2)]
    for data in storages.values():
        parts.append(struct.pack("<q", len(data) // 4 if count is None else count) + data)
    return b"".join(parts)


# ---- what they hold ------------------------------------------------------------------------------------------


def attacks(mark: Path) -> dict[str, bytes]:
    """Pickle bodies that run something: those marked `runs` make the file `mark` when Python reads them."""
    shell, code = word(f"touch {mark}"), word(f"open({str(mark)!r}, 'w').close()")
    system, evaluate = name("posix", "system"), name("builtins", "eval")
    evil = call(system, shell)
    good = tensor(storage())
    bodies = {
        "REDUCE runs": evil,
        "REDUCE of eval runs": call(evaluate, code),
        "REDUCE of exec runs": call(name("builtins", "exec"), code),
        "STACK_GLOBAL runs": call(stack_name("posix", "system"), shell),
        "STACK_GLOBAL, dotted runs": call(stack_name("os", "path.os.system"), shell),
        "STACK_GLOBAL, memoized runs": word("posix")
        + b"\x94"
        + word("system")
        + b"\x930"
        + b"h\x00"
        + word("system")
        + b"\x93("
        + shell
        + b"tR",
        "INST runs": b"(" + shell + b"iposix\nsystem\n",
        "OBJ runs": b"(" + system + shell + b"o",
        "NEWOBJ": name("subprocess", "Popen") + b"(" + shell + b"t\x81",
        "NEWOBJ_EX": name("subprocess", "Popen") + b"(" + shell + b"t}\x92",
        "BUILD of an imported class": name("collections", "Counter") + b")R" + state(x=evil) + b"b",
        "BUILD with setstate runs": call(name("functools", "partial"), evaluate)
        + b"("
        + evaluate
        + b"("
        + code
        + b"t}Ntb)R",
        "BUILD whose state runs": name("collections", "OrderedDict") + b")R" + state(_metadata=evil) + b"b",
        "BUILD of a tensor": good + state(x=number(1)) + b"b",
        "BUILD of a name": system + state(x=number(1)) + b"b",
        "EXT1 runs": b"\x82" + bytes([EXTENSION]) + b"(" + shell + b"tR",
        "EXT2 runs": b"\x83" + struct.pack("<H", EXTENSION) + b"(" + shell + b"tR",
        "EXT4 runs": b"\x84" + struct.pack("<i", EXTENSION) + b"(" + shell + b"tR",
        "PERSID": b"Pstorage\n",
        "BINPERSID that is no storage": b"(" + word("module") + system + word("x") + word("y") + b"tQ",
        "BINPERSID with a call inside runs": storage(kind=evil),
        "BINPERSID with another type": storage(kind=system),
        "BINPERSID of a word": word("0") + b"Q",
        "a call in a wrapper runs": state(params_ema=state(weight=good), meta=evil),
        "a call in two wrappers runs": state(state_dict=state(params=state(weight=evil))),
        "a call beside weights runs": state(weight=good, bias=evil),
        "a call as a key runs": b"}(" + evil + good + b"u",
        "a call in the hooks of a tensor runs": good.replace(name("collections", "OrderedDict") + b")R", evil),
        "a call in an OrderedDict runs": call(name("collections", "OrderedDict"), b"](" + evil + b"e"),
        "a call in a parameter runs": call(name("torch._utils", "_rebuild_parameter"), evil, b"\x89", b"N"),
        "a call put aside runs": evil + b"q\x00" + b"0" + state(weight=b"h\x00"),
        "a call thrown away runs": evil + b"0" + state(weight=good),
        "a call in a list runs": b"](" + evil + b"e",
        "a call in a set runs": b"\x8f(" + evil + b"\x90",
        "a call in a frozenset runs": b"(" + evil + b"\x91",
        "a buffer from outside": b"\x97",
        "a name alone": system,
        "a known name called otherwise": call(name("torch", "FloatStorage"), number(4)),
        "a result that is called runs": call(
            call(name("builtins", "getattr"), name("os", "path"), word("exists")), word("/")
        )
        + b"0"
        + evil,
    }
    return bodies


# Names that have been used to get past readers which look for a few bad ones only.
NAMES = [
    ("os", "system"),
    ("nt", "system"),
    ("subprocess", "check_output"),
    ("builtins", "__import__"),
    ("builtins", "getattr"),
    ("builtins", "open"),
    ("builtins", "compile"),
    ("importlib", "import_module"),
    ("runpy", "_run_code"),
    ("pydoc", "locate"),
    ("code", "InteractiveInterpreter"),
    ("timeit", "timeit"),
    ("pty", "spawn"),
    ("webbrowser", "open"),
    ("ctypes", "CDLL"),
    ("shutil", "rmtree"),
    ("socket", "socket"),
    ("operator", "attrgetter"),
    ("functools", "partial"),
    ("types", "FunctionType"),
    ("codecs", "encode"),
    ("pickle", "loads"),
    ("torch", "load"),
    ("torch.hub", "load"),
    ("torch.jit", "load"),
    ("torch.storage", "_load_from_bytes"),
    ("torch._utils", "_import_dotted_name"),
    ("torch.utils.cpp_extension", "load"),
    ("torch.serialization", "load"),
    ("torch._inductor.codecache", "compile_file"),
    ("torch.nn.modules.module", "Module"),
    ("numpy", "load"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy.testing._private.utils", "runstring"),
    ("collections", "defaultdict"),
    ("collections", "OrderedDict.__reduce__"),
    ("torch", "FloatStorage.__init__"),
    ("torch", "classes.load_library"),
    ("argparse", "Namespace"),
    ("logging.config", "listen"),
    ("cProfile", "run"),
    ("bdb", "Bdb"),
    ("idlelib.run", "Executive"),
    ("torch._dynamo.guards", "GuardBuilder.get"),
    ("__main__", "x"),
    ("ganarium.api", "train"),
]


def hostile(mark: Path) -> dict[str, bytes]:
    files = {}
    for title, body in attacks(mark).items():
        files[f"{title}, zip"], files[f"{title}, old"] = as_zip(body), as_old(body)
    for place, (module, attribute) in enumerate(NAMES):
        body = call(
            (stack_name if place % 3 == 0 or "." in attribute else name)(module, attribute), word(f"touch {mark}")
        )
        body = state(state_dict=state(weight=body)) if place % 2 else body
        files[f"{module}.{attribute}"] = (as_zip if place % 4 < 2 else as_old)(body)
    return files


def bombs() -> dict[str, Callable[[], bytes]]:
    """Files that claim, or unfold into, far more than they hold."""

    def zip_of_zeros() -> bytes:
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("w/data.pkl", program(state(weight=tensor(storage(count=1 << 26), (1 << 26,)))))
            file.writestr("w/data/0", bytes(1 << 28))
        return target.getvalue()

    def same_bytes_twice() -> bytes:
        """Two entries of the directory that share their bytes in the file."""
        data = bytearray(as_zip(state(weight=tensor(storage())), {"0": bytes(1 << 16), "1": bytes(1 << 16)}))
        first, second = data.find(b"PK\x01\x02w/data/0"[:4]), 0
        entries = []
        while (first := data.find(b"PK\x01\x02", first)) >= 0:
            entries.append(first)
            first += 4
        second = entries[2]
        data[second + 42 : second + 46] = data[entries[1] + 42 : entries[1] + 46]  # where its bytes begin
        return bytes(data)

    def views(count: int) -> bytes:
        one = tensor(storage(count=1 << 18), (1 << 18,))
        return as_zip(state(**{f"w{i}": one for i in range(count)}), {"0": bytes(1 << 20)})

    def many() -> bytes:
        return b"}(" + b"".join(word(f"body.{i}") + number(i) for i in range(1_200_000)) + b"u"

    laughs = b"]q\x00" + b"".join(b"](" + (b"h" + bytes([i])) * 9 + b"eq" + bytes([i + 1]) for i in range(60))
    blocks = state(
        **{
            "conv_first.weight": tensor(storage(), (1, 4, 1, 1), (4, 1, 1, 1)),
            "body.0.rdb1.conv1.weight": tensor(storage(), (1, 4, 1, 1), (4, 1, 1, 1)),
            "body.99999999.rdb1.conv1.weight": tensor(storage(), (1, 4, 1, 1), (4, 1, 1, 1)),
            "conv_last.weight": tensor(storage(), (1, 4, 1, 1), (4, 1, 1, 1)),
        }
    )
    return {
        "a shape without numbers": lambda: as_zip(state(weight=tensor(storage(), (1 << 40,)))),
        "a shape without numbers, old": lambda: as_old(state(weight=tensor(storage(), (1 << 40,)))),
        "a storage without numbers": lambda: as_zip(state(weight=tensor(storage(count=1 << 40), (1 << 40,)))),
        "a count without numbers, old": lambda: as_old(state(weight=tensor(storage())), count=1 << 60),
        "a negative count, old": lambda: as_old(state(weight=tensor(storage())), count=-1),
        "one number shown a thousand billion times": lambda: as_zip(state(weight=tensor(storage(), (1 << 40,), (0,)))),
        "an offset behind the end": lambda: as_zip(state(weight=tensor(storage(), offset=1 << 61))),
        "a negative side": lambda: as_zip(state(weight=tensor(storage(), (-4,)))),
        "a negative offset": lambda: as_zip(state(weight=tensor(storage(), offset=-1))),
        "more axes than there are": lambda: as_zip(state(weight=tensor(storage(), (1,) * 900, (1,) * 900))),
        "a side of a thousand digits": lambda: as_zip(state(weight=tensor(storage(), (1 << 2000,)))),
        "a storage that is not there": lambda: as_zip(state(weight=tensor(storage("7")))),
        "a storage outside the folder": lambda: as_zip(state(weight=tensor(storage("../../../etc/passwd")))),
        "a compressed gigabyte": zip_of_zeros,
        "the same bytes twice": same_bytes_twice,
        "the same numbers many times": lambda: views(64),
        "a million names": lambda: as_zip(many()),
        "lists of lists of lists": lambda: as_zip(laughs),
        "a tower of tuples": lambda: as_zip(b"N" + b"\x85" * 3_000_000),
        "marks alone": lambda: as_zip(b"(" * 3_000_000),
        "a word of 4 EiB": lambda: as_zip(b"\x8d" + struct.pack("<Q", 1 << 62)),
        "a number of 2 GiB": lambda: as_zip(b"\x8b" + struct.pack("<i", (1 << 31) - 1)),
        "a number of a million digits": lambda: as_zip(b"L" + b"9" * 1_000_000 + b"L\n"),
        "a million blocks": lambda: as_zip(blocks),
        "cut in the middle": lambda: as_zip(state(weight=tensor(storage())))[:180],
        "cut in the middle, old": lambda: as_old(state(weight=tensor(storage())))[:-7],
        "an empty file": lambda: b"",
        "a page that says 404": lambda: b"<!DOCTYPE html><title>404</title>" + b" " * 400,
        "safetensors that claim more": lambda: (
            struct.pack("<Q", 90)
            + b'{"w":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4398046511104]}}'.ljust(90)
            + bytes(16)
        ),
        "safetensors with a long header": lambda: struct.pack("<Q", 1 << 50) + b"{}" + bytes(16),
    }


# ---- the tests -----------------------------------------------------------------------------------------------


def peak_memory() -> int:
    """The most bytes that this process ever had; 0 where that is not known."""
    try:
        import resource
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def refused(path: Path, out: Path) -> str:
    """The sentence, after a check that nothing was written and little time and memory was taken."""
    before, start = peak_memory(), time.perf_counter()
    with pytest.raises(UserError) as caught:
        import_weights(path, out)
    seconds, peak = time.perf_counter() - start, peak_memory() - before
    sentence = str(caught.value)
    assert not out.exists()
    assert seconds < SECONDS, f"{seconds:.1f} s"
    assert peak < BYTES, f"{peak >> 20} MiB"
    assert "\n" not in sentence
    assert len(sentence) < 400, sentence
    assert sentence.endswith("."), sentence
    assert str(path) in sentence
    return sentence


def test_a_hundred_hostile_files_are_refused_and_none_runs(tmp_path):
    mark = tmp_path / "it-ran"
    files = hostile(mark)
    assert len(files) >= 100
    for title, data in files.items():
        path = tmp_path / "weights.pth"
        path.write_bytes(data)
        sentence = refused(path, tmp_path / "out")
        assert "nothing of it was run" in sentence, (title, sentence)
        assert not mark.exists(), title


@pytest.mark.parametrize("title", bombs())
def test_bombs_are_refused_soon_and_in_little_memory(title, tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(bombs()[title]())
    refused(path, tmp_path / "out")


def test_the_attacks_are_real(tmp_path):
    """The control: Python's own reader runs those that say so."""
    mark = tmp_path / "it-ran"
    copyreg.add_extension("posix", "system", EXTENSION)
    try:

        class Reader(pickle.Unpickler):
            def persistent_load(self, pid):
                return pid

            def find_class(self, module, name):
                harmless = module == "torch._utils"  # a tensor needs real storages
                return (lambda *arguments: None) if harmless else super().find_class(module, name)

        ran = []
        for title, body in attacks(mark).items():
            if "runs" not in title:
                continue
            try:
                Reader(io.BytesIO(b"\x80\x04" + body + b".")).load()
            except Exception as error:  # what comes after the call may fail
                print(title, error)
            assert mark.exists(), title
            mark.unlink()
            ran.append(title)
        assert len(ran) > 20
    finally:
        copyreg.remove_extension("posix", "system", EXTENSION)


def test_the_writer_of_these_files_can_also_write_good_ones(tmp_path):
    """The control: what is refused is refused for what is in it, and not for how it was written."""
    weights = other.rrdb()[0]
    storages = {str(i): value.numpy().tobytes() for i, value in enumerate(weights.values())}
    for old, write in enumerate((as_zip, as_old)):
        tensors = {
            key: tensor(storage(str(i), value.numel(), old=bool(old)), tuple(value.shape), value.stride())
            for i, (key, value) in enumerate(weights.items())
        }
        path = tmp_path / f"{old}.pth"
        path.write_bytes(write(state(**tensors), storages))
        state_dict = torch.load(path, weights_only=True)
        assert all(torch.equal(state_dict[key], value) for key, value in weights.items())
        assert (import_weights(path, tmp_path / f"run{old}") / "config.json").is_file()


def test_every_instruction_that_is_known_is_harmless():
    """Of all opcodes of pickle, those that are run are the ones for data; a new one of Python's is refused."""
    from ganarium.exporting.weights import pickled

    known = pickled._PLAIN | pickled._ACTIONS.keys() | {"STOP"}
    dangerous = {"INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4", "PERSID", "NEXT_BUFFER"}
    assert not known & dangerous
    assert known <= {opcode.name for opcode in pickletools.opcodes}
