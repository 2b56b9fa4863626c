"""Pictures for a network to work on, from the test part of the data of its run, to begin with."""

import base64
import io
from typing import Any

from torch import Tensor

from ganarium.data.augment import cropped, reduced
from ganarium.data.batches import Batches
from ganarium.model import Model
from ganarium.pictures.grid import to_picture
from ganarium.runs.loading import data_of
from ganarium.sampling import source_of

DRAWN = ("glyphs", "glyphs_coloured", "scenes_paired", "scenes_unpaired", "textures")  # by ganarium itself
COUNT = 3  # pictures in a page, for each network


def held_out(model: Model, config: dict[str, Any]) -> Batches:
    """The test part of the data of a run. Raises `UserError` where they are gone."""
    return Batches(data_of(config)[1], model.batch_type, 1)


def example(model: Model, batches: Batches, number: int, direction: str = "") -> Tensor:
    """A picture (c, h, w) in [-1, 1] as the model takes it; `number` says which one."""
    batches.drawn = number
    image = source_of(batches.draw(1), direction).float()
    return (reduced(cropped(image, model.scale), model.scale) if model.scale else image)[0]


def examples(model: Model, config: dict[str, Any], names: list[str]) -> dict[str, list[str]]:
    """Pictures for the networks of these names, as addresses that begin with data:. There are none from data that
    ganarium has not drawn itself, since a page may be given to anybody."""
    options = config["options"]
    maps = bool(model.directions or model.scale or model.inpaints)
    if not maps or options.get("data") not in DRAWN or "channels" not in options:
        return {}
    batches = held_out(model, config)
    return {name: [_address(example(model, batches, number, name)) for number in range(COUNT)] for name in names}


def _address(image: Tensor) -> str:
    stream = io.BytesIO()
    to_picture(image).save(stream, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"
