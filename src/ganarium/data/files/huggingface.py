"""Data sets of the Hugging Face hub, as `hf:owner/name`: needs the package datasets."""

import io
import os
import socket
from pathlib import Path
from typing import Any, BinaryIO

from ganarium.data.files.tree import LABEL_KEYS, TEXT_KEYS, Row, split_role
from ganarium.errors import UserError


class HubTree:
    """The pictures of a data set of the hub, under the names `train/0000000.png` and so on; see `Tree`."""

    def __init__(self, location: str) -> None:
        self.location = location
        name = location.removeprefix("hf:")
        self.title = name.split("/")[-1]
        splits = _load(name)
        self._pictures: dict[str, tuple[Any, int]] = {}
        self.rows: dict[str, Row] = {}
        roles: dict[str, list[str]] = {}
        for split in splits:
            roles.setdefault(split_role(split), []).append(split)
        if "train" not in roles:
            raise UserError(f"{location} has no split called train, only {', '.join(splits)}.")
        test = "test" if "test" in roles else "val"
        chosen = {split: role for role in ("train", test) for split in roles.get(role, [])[:1]}
        for split, role in chosen.items():
            self._add(splits[split], "train" if role == "train" else "test")
        self.left_out = [(f"{split}/", "is a split that is not used") for split in splits if split not in chosen]
        self.names = sorted(self._pictures)
        if not any(row.label is not None or row.captions for row in self.rows.values()):
            self.rows = {}

    def _add(self, table: Any, role: str) -> None:
        kinds = {name: type(feature).__name__ for name, feature in table.features.items()}
        image = next((name for name, kind in kinds.items() if kind == "Image"), None)
        if image is None:
            raise UserError(f"{self.location} has no column of images, only {', '.join(kinds)}.")
        classes = next((name for name, kind in kinds.items() if kind == "ClassLabel"), None)
        label = next((name for name in LABEL_KEYS if name in kinds and name != image), None)
        text = next((name for name in TEXT_KEYS if name in kinds), None)
        pictures = table.select_columns([image]).cast_column(image, table.features[image].__class__(decode=False))
        labels: list[str | None] | None = None
        if classes:
            names = table.features[classes].names
            labels = [names[number] if number >= 0 else None for number in table[classes]]
        elif label:
            labels = [None if value is None else str(value) for value in table[label]]
        texts = table[text] if text else None
        for place in range(len(table)):
            name = f"{role}/{place:07d}.png"  # the format itself is read from the content
            self._pictures[name] = (pictures, place)
            sentences = texts[place] if texts else ()
            captions = (sentences,) if isinstance(sentences, str) else tuple(sentences or ())
            self.rows[name] = Row(role, labels[place] if labels else None, captions)

    def open(self, name: str) -> BinaryIO:
        table, place = self._pictures[name]
        (stored,) = table[place].values()
        return io.BytesIO(stored["bytes"]) if stored["bytes"] else Path(stored["path"]).open("rb")

    def stamp(self, name: str) -> tuple[int, int]:
        return (0, 0)

    def known_digest(self, name: str) -> str | None:
        table, place = self._pictures[name]
        return f"{table._fingerprint}-{place}"


def _load(name: str) -> Any:
    if not Path(name).is_dir() and not _reachable():
        os.environ.setdefault(
            "HF_HUB_OFFLINE", "1"
        )  # opens what was loaded before; else it would try the network for a minute
    try:
        import datasets  # type: ignore[import-not-found,unused-ignore]
    except ImportError as error:
        raise UserError(
            "data from the Hugging Face hub needs one more package: pip install datasets, or download the images "
            "and give their folder."
        ) from error
    try:
        return datasets.load_dataset(name)
    except Exception as error:  # errors of a dozen kinds, from three libraries
        raise UserError(
            f"hf:{name} could not be loaded ({type(error).__name__}: {' '.join(str(error).split())[:200]}): check the "
            f"name and the network, or download the images and give their folder."
        ) from error


def _reachable() -> bool:
    """Whether the hub answers. Behind a proxy, or with another endpoint, it is assumed to answer."""
    if any(os.environ.get(name) for name in ("HF_ENDPOINT", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")):
        return True
    try:
        with socket.create_connection(("huggingface.co", 443), timeout=5):
            return True
    except OSError:
        return False
