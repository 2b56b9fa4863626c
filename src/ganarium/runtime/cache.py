"""The cache on the disk, where drawn data are kept between runs. Without it everything is drawn again."""

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ganarium.runtime.environment import variable
from ganarium.runtime.files import atomic_write


def cache_dir() -> Path:
    """`$GANARIUM_CACHE`, else `$XDG_CACHE_HOME/ganarium`, else `~/.cache/ganarium`.

    For a user without a home folder it is a folder that cannot be made, so that everything goes on as without a cache.
    """
    shared = os.environ.get("XDG_CACHE_HOME")
    try:
        if own := variable("CACHE"):
            return Path(own).expanduser()
        return (Path(shared) if shared else Path.home() / ".cache") / "ganarium"
    except RuntimeError:
        return Path(os.devnull) / "ganarium"


def cached(name: str, key: object, make: Callable[[], Tensor]) -> Tensor:
    """The tensor of `make()`, from the cache if it is there. `repr(key)` must hold all that the tensor depends on."""
    digest = hashlib.sha256(repr(key).encode()).hexdigest()[:16]
    path = cache_dir() / f"{name}-{digest}.safetensors"
    try:
        return load_file(path)["data"]
    except (OSError, SafetensorError, KeyError):
        tensor = make()
    with suppress(OSError, SafetensorError):  # read-only or full
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path, concurrent=True) as temporary:
            save_file({"data": tensor}, temporary)
    return tensor
