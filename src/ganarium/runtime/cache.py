"""Where drawn data is kept between runs. The cache is a convenience: without it everything is drawn again."""

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ganarium.runtime.environment import variable


def cache_dir() -> Path:
    """`$GANARIUM_CACHE`, else `$XDG_CACHE_HOME/ganarium`, else `~/.cache/ganarium`."""
    if own := variable("CACHE"):
        return Path(own).expanduser()
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared) if shared else Path.home() / ".cache") / "ganarium"


def cached(name: str, key: object, make: Callable[[], Tensor]) -> Tensor:
    """What `make` gives, from the cache if it was made before. `repr(key)` must hold all that the tensor depends on."""
    digest = hashlib.sha256(repr(key).encode()).hexdigest()[:16]
    path = cache_dir() / f"{name}-{digest}.safetensors"
    try:
        return load_file(path)["data"]
    except (OSError, SafetensorError, KeyError):
        made = make()
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({"data": made}, aside)
        aside.replace(path)
    except (OSError, SafetensorError):  # read-only or full
        with suppress(OSError):
            aside.unlink()
    return made
