"""One page of HTML with the networks in it: it asks for no other file, and any browser of the last years runs it.

Arithmetic is in `page/engine.js`, what a person sees in `page/player.js` and `page/player.css`.
"""

import base64
import math
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganarium.errors import UserError
from ganarium.exporting.directions import principal_directions
from ganarium.exporting.graph import Graph, run, trace
from ganarium.exporting.network import Network
from ganarium.exporting.result import Exported, largest
from ganarium.model import Model
from ganarium.runtime.files import atomic_write
from ganarium.web.html import as_json

PAGE = Path(__file__).parent / "page"
LEVELS = 127.5  # of 255, for each unit of pixels in [-1, 1]
TOLERANCE = 2 / LEVELS  # of pixels: two of the 256 levels that a screen shows
TOLERANCE_INT8 = 16 / LEVELS  # 16 levels, in the worst pixel of all that are compared, where a user wants a small page
WEIGHTS = ("float16", "int8")
CHECKS = 8  # random inputs that are compared
OWN_CODES = 256  # that a page has of a prior that it cannot draw from itself
LARGE = 8e6  # bytes, above which it is said how large a page will be before it is made
POLICY = (
    "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src 'unsafe-inline' 'wasm-unsafe-eval'"
)


def write(networks: Sequence[Network], path: Path, facts: dict[str, Any], weights: str = "float16") -> Exported:
    """Writes a page with all networks that make pictures. `facts` are those of `export`, and of the model's paper.

    Weights are float16, or float32 where float16 would change a pixel by more than 2/255. With `weights="int8"` those
    of convolutions and linear layers have 8 bits, times one float32 for each output channel, and no pixel that is
    compared may change by more than 16/255. Raises `UserError` for a model of points, for a network with an operator
    that the page does not have, and for numbers that differ.
    """
    drawn = [network for network in networks if network.name != "classify"]
    if not drawn or any(len(network.output_shape) != 3 for network in drawn):
        raise UserError("a page shows pictures, and this model makes none: export it to onnx.")
    if any(each.kind == "text" for network in drawn for each in network.inputs):
        raise UserError("a page does not read sentences, which this model draws: export it to onnx.")
    if (size := size_of(drawn) / (2 if weights == "int8" else 1)) > LARGE:
        warnings.warn(
            f"the page will have about {size / 1e6:.0f} MB: narrower networks make a smaller one.", stacklevel=2
        )
    parts, differences, kinds = [], [], []
    tolerance = TOLERANCE_INT8 if weights == "int8" else TOLERANCE
    for network in drawn:
        part, difference = _packed(network, weights)
        parts.append(part)
        differences.append(difference)
        kinds.append(part["kind"])
    if not (difference := largest(differences)) <= tolerance:
        instead = "leave --weights int8 away" if weights == "int8" else "export to onnx"
        raise UserError(f"the page's pictures would differ from PyTorch's by {difference:.1e}: {instead}.")
    data = {**facts, **_abilities(drawn[0]), "networks": parts, "allowed": tolerance * LEVELS}
    with atomic_write(path) as temporary:
        temporary.write_text(page(data), encoding="utf-8")
    used = " and ".join(sorted(set(kinds)))
    protocol = (
        f"the page's list of operators with its {used} weights, computed by PyTorch {torch.__version__}, against "
        f"the model in float32, {CHECKS} random inputs; the page compares one more picture itself whenever it is opened"
    )
    return Exported(path, max(differences), tolerance, protocol)


def size_of(networks: Sequence[Network]) -> float:
    """About how many bytes a page of these networks has, with float16 weights."""
    count = 0
    for network in networks:
        if network.name != "classify":
            graph = trace(network, network.draw(1))
            count += sum(graph.constants[i].numel() for i in graph.used_constants())
    return count * 2 * 4 / 3


def page(data: dict[str, Any]) -> str:
    """The page of HTML that shows `data`."""
    title = f"{data['model']} - {data['data']}"
    scripts = "\n".join((PAGE / name).read_text(encoding="utf-8") for name in ("engine.js", "player.js"))
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f"<meta name='viewport' content='width=device-width, initial-scale=1'><title>{escape(title)}</title>\n"
        f"<style>\n{(PAGE / 'player.css').read_text(encoding='utf-8')}</style></head>\n<body>\n"
        "<noscript>This page makes its pictures with JavaScript, which is turned off.</noscript>\n"
        f"<script type='application/json' id='data'>{as_json(data)}</script>\n<script>\n{scripts}</script>\n"
        "</body></html>\n"
    )


def _abilities(network: Network) -> dict[str, Any]:
    """What of the codes a person can set."""
    if network.name != "generate":
        return {}
    model = network.model
    assert model.prior is not None
    codes = model.latent(4096).float()
    made: dict[str, Any] = {
        "prior": asdict(model.prior),
        "spread": float(codes.std()),
        "directions": [[round(x, 5) for x in row] for row in principal_directions(network).tolist()],
    }
    if model.prior.kind == "own":  # the page draws these codes, by their number; of each class, if there are classes
        made["prior"]["codes"] = [
            [[round(x, 4) for x in row] for row in part.tolist()] for part in _own_codes(model, OWN_CODES)
        ]
    if model.conditional:
        made["num_classes"] = model.num_labels
    if model.code is not None:
        code = model.code
        made["code"] = {"categories": code.categories, "continuous": code.continuous, "start": code.start}
    return made


def _own_codes(model: Model, count: int) -> list[Tensor]:
    """`count` codes of each class, or of all where the model takes no class, from a prior of the model's own."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if not model.conditional:
            return [model.latent(count)]
        return [model.latent_of(torch.full((count,), label)) for label in range(model.num_labels)]


def _packed(network: Network, weights: str) -> tuple[dict[str, Any], float]:
    """A network as the page holds it, and its largest difference from PyTorch."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        graph = trace(network, network.draw(1))
        examples = [network.draw(1) for _ in range(CHECKS)]
    expected = [network(*inputs) for inputs in examples]
    for kind in (torch.int8,) if weights == "int8" else (torch.float16, torch.float32):
        rounded = rounded_to(graph, kind)
        difference = largest(
            float((run(rounded, inputs) - one).abs().max()) for inputs, one in zip(examples, expected, strict=True)
        )
        if difference <= TOLERANCE:  # false of a number that is not finite
            break
    packed = {
        "name": network.name,
        "inputs": [{"name": each.name, "kind": each.kind, "shape": each.shape} for each in network.inputs],
        "shape": network.output_shape,
        "kind": str(kind).removeprefix("torch."),
        "any_size": network.name == "upscale",
        **as_data(rounded, kind),
    }
    if network.name == "inpaint":
        packed["hole"] = network.model.hole
    packed["check"] = {"inputs": [_base64(each.float()) for each in examples[0]], "output": _base64(expected[0])}
    return packed, difference


def rounded_to(graph: Graph, kind: torch.dtype) -> Graph:
    """The same operators with constants rounded to a kind of number; int8 is that of weights, float16 of all else."""
    constants = {}
    channels = _output_channels(graph) if kind == torch.int8 else {}
    for i in graph.used_constants():
        constant = graph.constants[i]
        if i in channels:
            whole, scale = _in_8_bits(constant, channels[i])
            constants[i] = (whole.float() * scale[:, None]).view(constant.shape)
        else:
            constants[i] = constant.to(torch.float16 if channels else kind).float()
    return Graph(graph.num_inputs, constants, graph.operators, graph.output)


def as_data(graph: Graph, kind: torch.dtype) -> dict[str, Any]:
    """A graph as JSON: operators, the places of constants, and their numbers in base64.

    A place is [value, shape, start among the numbers], and for a weight of 8 bits [value, shape, start among the bytes,
    start among the scales, output channels].
    """
    channels = _output_channels(graph) if kind == torch.int8 else {}
    places: list[list[Any]] = []
    parts: dict[str, list[Tensor]] = {"numbers": [], "bytes": [], "scales": []}
    starts = dict.fromkeys(parts, 0)

    def put(name: str, values: Tensor) -> int:
        parts[name].append(values.flatten())
        starts[name] += values.numel()
        return starts[name] - values.numel()

    for i in graph.used_constants():
        constant = graph.constants[i]
        if i in channels:
            whole, scale = _in_8_bits(constant, channels[i])
            places.append([i, list(constant.shape), put("bytes", whole), put("scales", scale), channels[i]])
        else:
            places.append([i, list(constant.shape), put("numbers", constant)])
    operators = [
        {"kind": each.kind, "inputs": each.inputs, "output": each.output, "shape": each.shape, "options": each.options}
        for each in graph.operators
    ]
    made = {name: torch.cat(each) if each else torch.zeros(0) for name, each in parts.items()}
    made["numbers"] = made["numbers"].to(torch.float16 if kind == torch.int8 else kind)
    return {
        "graph": {"operators": operators, "constants": places, "output": graph.output},
        **{name: _base64(each) for name, each in made.items() if name == "numbers" or len(each)},
    }


def _output_channels(graph: Graph) -> dict[int, int]:
    """Of each weight of a convolution or a linear layer: how many channels it makes, which follow one another in it."""
    channels = {}
    for each in graph.operators:
        if each.kind in ("linear", "conv", "conv_transpose") and each.inputs[1] in graph.constants:
            shape, area = graph.constants[each.inputs[1]].shape, math.prod(each.options.get("kernel", ()))
            transposed = each.kind == "conv_transpose"  # whose weight is (groups, channels area, inputs)
            channels[each.inputs[1]] = shape[0] * shape[1] // area if transposed else shape[0]
    return channels


def _in_8_bits(weight: Tensor, channels: int) -> tuple[Tensor, Tensor]:
    """Whole numbers (channels, n) from -127 to 127, and the scale (channels,) that each row is to be multiplied by."""
    rows = weight.reshape(channels, -1)
    scale = rows.abs().amax(1).clamp_min(1e-30) / 127
    return (rows / scale[:, None]).round().to(torch.int8), scale


def _base64(tensor: Tensor) -> str:
    little = tensor.detach().contiguous().numpy()
    return base64.b64encode(little.astype(little.dtype.newbyteorder("<")).tobytes()).decode("ascii")
