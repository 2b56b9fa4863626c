"""The list of generators that come with the package, read from their cards: nothing here needs torch."""

import json
from pathlib import Path
from typing import Any

from ganarium.errors import UserError, nearest

FOLDER = Path(__file__).parent / "weights"
PREFIX = "pretrained:"  # `pretrained:NAME` stands wherever a run does


def names() -> list[str]:
    """The generators that this copy of the package has."""
    return sorted(path.stem for path in FOLDER.glob("*.safetensors"))


def card(name: str = "upscaler") -> dict[str, Any]:
    """What a generator was trained on, by which command, and its numbers with their protocol. `UserError` for others.

    It has "what" (one line), "model", "data", "terms", "command", "seed", "steps" and "numbers".
    """
    made: dict[str, Any] = json.loads(checked(name).with_suffix(".json").read_text())
    return made


def checked(name: str) -> Path:
    """The file of a generator; `UserError` for a name that is none, or a package that has come without weights."""
    present = names()
    if not present:
        raise UserError(
            f"this copy of ganarium has come without the weights of its {name}: `python tools/train_gallery.py` and "
            "`python tools/train_upscaler.py` in the repository make them."
        )
    if name not in present:
        raise UserError(f"there is no pretrained generator {name!r}: {nearest(name, present)}")
    return FOLDER / f"{name}.safetensors"
