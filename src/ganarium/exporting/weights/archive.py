"""A file of weights as names and tensors: what `torch.save` writes (zip and older), and safetensors.

Nothing of a file is executed. What it claims is held against its size before memory is asked for.
"""

import json
import math
import re
import zipfile
import zlib
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ganarium.errors import UserError
from ganarium.exporting.weights.pickled import MOST_BYTES, Refused, Storage, Stored, read_pickle

MOST_FILE_BYTES = 4 << 30
MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # of the format before torch 1.6
SAFETENSORS_DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "F64": torch.float64}
SAFETENSORS_DTYPES |= {"I64": torch.int64, "I32": torch.int32, "U8": torch.uint8, "BOOL": torch.bool}


class Archive:
    """The content of a file of weights: dicts, lists and plain values, with `Stored` for tensors, and `fetch` for their
    numbers."""

    def __init__(self, path: Path) -> None:
        """Raises `UserError`, one sentence, for a file that is none, or that asks for anything but tensors."""
        self.path = path
        self._offsets: dict[str, tuple[int, int]] = {}  # storage -> (place, length) in bytes; of the older format
        self._prefix = ""  # of the names in a zip
        if not path.is_file():
            raise UserError(f"there is no file {path}: give the path of a file of weights, such as latest_net_G.pth.")
        try:
            self.bytes = path.stat().st_size
            if self.bytes > MOST_FILE_BYTES:
                raise Refused("is larger than 4 GiB")
            with path.open("rb") as file:
                start = file.read(16)
            if start[:4] == b"PK\x03\x04":
                self.content = self._read_zip()
            elif len(start) > 8 and start[8:9] == b"{":
                self.content = self._read_safetensors()
            else:
                self.content = self._read_old()
        except Refused as error:
            raise UserError(f"{path} {error}: nothing of it was run or kept.") from error
        except (zipfile.BadZipFile, zlib.error, SafetensorError, json.JSONDecodeError, EOFError) as error:
            raise UserError(f"{path} is damaged, or no file of weights: nothing of it was run or kept.") from error
        except (NotImplementedError, RuntimeError) as error:  # of zipfile: a kind of compression, or a password
            raise UserError(f"{path} is no zip that torch.save writes: nothing of it was run or kept.") from error
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror or error}.") from error

    def fetch(self, stored: Stored) -> Tensor:
        """The numbers of one tensor. Raises `UserError` if they are not there."""
        storage = stored.storage
        try:
            if self._safe:
                with safe_open(self.path, "pt") as file:
                    tensor: Tensor = file.get_tensor(storage.key)
                return tensor
            data = self._numbers(storage)
            flat = torch.frombuffer(bytearray(data), dtype=storage.dtype) if data else torch.empty(0)
            return flat.as_strided(stored.size, stored.stride, stored.offset).clone()
        except (Refused, KeyError, OSError, zipfile.BadZipFile, SafetensorError, ValueError, RuntimeError) as error:
            raise UserError(f"{self.path} is damaged: the numbers of a tensor are not there.") from error

    @property
    def _safe(self) -> bool:
        return not self._prefix and not self._offsets

    def _numbers(self, storage: Storage) -> bytes:
        length = storage.length * storage.dtype.itemsize
        if self._prefix:
            with zipfile.ZipFile(self.path) as file:
                data = file.read(f"{self._prefix}data/{storage.key}")
        else:
            place, there = self._offsets[storage.key]
            with self.path.open("rb") as raw:
                raw.seek(place)
                data = raw.read(min(there, length))
        if len(data) < length:
            raise Refused("is cut short")
        return data[:length]

    def _read_zip(self) -> Any:
        with zipfile.ZipFile(self.path) as file:
            entries = file.infolist()
            pickles = [entry for entry in entries if re.fullmatch(r"[^/]+/data\.pkl", entry.filename)]
            if len(pickles) != 1:
                raise Refused("is a zip, but none that torch.save writes")
            self._prefix = pickles[0].filename.removesuffix("data.pkl")
            names = {entry.filename.removeprefix(self._prefix) for entry in entries}
            if "constants.pkl" in names or any(name.startswith("code/") for name in names):
                raise Refused("is a TorchScript program and not weights: save its state_dict with torch.save")
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
                raise Refused("is compressed, which torch.save never does")
            if sum(entry.file_size for entry in entries) > self.bytes or len(names) < len(entries):
                raise Refused("claims more than it holds")
            if "byteorder" in names and file.read(f"{self._prefix}byteorder") != b"little":
                raise Refused("was written on a machine with another order of bytes")
            if pickles[0].file_size > MOST_BYTES:
                raise Refused(f"has a pickle of more than {MOST_BYTES >> 20} MiB, which no weights need")
            content, _ = read_pickle(file.read(pickles[0]))
            sizes = {entry.filename.removeprefix(f"{self._prefix}data/"): entry.file_size for entry in entries}
        self._check(content, sizes)
        return content

    def _read_old(self) -> Any:
        """Four pickles, the names of the storages, then for each its count and its numbers."""
        with self.path.open("rb") as file:
            data = memoryview(file.read(4 * MOST_BYTES))
        place, parts = 0, []
        for number in range(5):
            part, length = read_pickle(data[place : place + MOST_BYTES + 1])
            parts.append(part)
            place += length
            if number == 0 and part != MAGIC:
                raise Refused("is no file of weights of torch")
        _, protocol, machine, content, keys = parts
        if protocol != PROTOCOL or type(machine) is not dict or machine.get("little_endian") is not True:
            raise Refused("is of no known format of torch")
        if type(keys) is not list or any(not isinstance(key, str) for key in keys):
            raise Refused("is of no known format of torch")
        widths = {stored.storage.key: stored.storage.dtype.itemsize for stored in tensors_in(content)}
        with self.path.open("rb") as file:
            for key in keys:
                file.seek(place)
                count = int.from_bytes(file.read(8), "little", signed=True)
                if key not in widths or count < 0 or place + 8 + count * widths[key] > self.bytes:
                    raise Refused("is cut short, or claims more than it holds")
                self._offsets[key] = (place + 8, count * widths[key])
                place += 8 + count * widths[key]
        self._check(content, {key: length for key, (_, length) in self._offsets.items()})
        return content

    def _read_safetensors(self) -> Any:
        content = {}
        with safe_open(self.path, "pt") as file:
            for name in file.offset_keys():
                part = file.get_slice(name)
                if part.get_dtype() not in SAFETENSORS_DTYPES:
                    raise Refused(f"has numbers of the type {part.get_dtype()}, which are not read here")
                size = tuple(part.get_shape())
                storage = Storage(name, SAFETENSORS_DTYPES[part.get_dtype()], math.prod(size))
                content[name] = Stored(storage, 0, size, ())
        return content

    def _check(self, content: Any, sizes: dict[str, int]) -> None:
        """Holds all tensors together against what the file has for them."""
        total = 0
        for stored in tensors_in(content):
            storage = stored.storage
            if sizes.get(storage.key, -1) < storage.length * storage.dtype.itemsize:
                raise Refused("is cut short: the numbers of a tensor are not there")
            total += math.prod(stored.size) * storage.dtype.itemsize
        if total > 2 * self.bytes:
            raise Refused("shows the same numbers again and again, as more than it holds")


def tensors_in(content: Any) -> list[Stored]:
    """All tensors in dicts and lists, each container once."""
    tensors, waiting, known = [], [content], set()
    while waiting:
        value = waiting.pop()
        if isinstance(value, Stored):
            tensors.append(value)
        elif isinstance(value, dict | list | tuple) and not isinstance(value, Storage) and id(value) not in known:
            known.add(id(value))
            waiting += value.values() if isinstance(value, dict) else value
    return tensors
