"""One page of HTML with the networks in it: it asks for no other file, and any browser of the last years runs it.

Arithmetic is in `page/engine.js`, what a person sees in `page/player.js` and `page/player.css`.
"""

import base64
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
from ganarium.exporting.result import Exported
from ganarium.model import Model
from ganarium.runtime.files import atomic_write
from ganarium.web.html import as_json

PAGE = Path(__file__).parent / "page"
TOLERANCE = 2 / 127.5  # of pixels in [-1, 1]: two of the 256 levels that a screen shows
CHECKS = 8  # random inputs that are compared
OWN_CODES = 256  # that a page has of a prior that it cannot draw from itself
LARGE = 8e6  # bytes, above which it is said how large a page will be before it is made
POLICY = (
    "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src 'unsafe-inline' 'wasm-unsafe-eval'"
)


def write(networks: Sequence[Network], path: Path, facts: dict[str, Any]) -> Exported:
    """Writes a page with all networks that make pictures. `facts` are those of `export`, and of the model's paper.

    Weights are float16, or float32 where float16 would change a pixel by more than 2/255. Raises `UserError` for a
    model of points, for a network with an operator that the page does not have, and for numbers that differ.
    """
    drawn = [network for network in networks if network.name != "classify"]
    if not drawn or any(len(network.output_shape) != 3 for network in drawn):
        raise UserError("a page shows pictures, and this model makes none: export it to onnx.")
    if any(each.kind == "text" for network in drawn for each in network.inputs):
        raise UserError("a page does not read sentences, which this model draws: export it to onnx.")
    if (size := size_of(drawn)) > LARGE:
        warnings.warn(
            f"the page will have about {size / 1e6:.0f} MB: narrower networks make a smaller one.", stacklevel=2
        )
    parts, differences, kinds = [], [], []
    for network in drawn:
        part, difference = _packed(network)
        parts.append(part)
        differences.append(difference)
        kinds.append(part["kind"])
    if max(differences) > TOLERANCE:
        raise UserError(f"the page's pictures would differ from PyTorch's by {max(differences):.1e}: export to onnx.")
    data = {**facts, **_abilities(drawn[0]), "networks": parts}
    with atomic_write(path) as temporary:
        temporary.write_text(page(data), encoding="utf-8")
    weights = " and ".join(sorted(set(kinds)))
    protocol = (
        f"the page's list of operators with its {weights} weights, computed by PyTorch {torch.__version__}, against "
        f"the model in float32, {CHECKS} random inputs; the page compares one more picture itself whenever it is opened"
    )
    return Exported(path, max(differences), TOLERANCE, protocol)


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


def _packed(network: Network) -> tuple[dict[str, Any], float]:
    """A network as the page holds it, and its largest difference from PyTorch."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        graph = trace(network, network.draw(1))
        examples = [network.draw(1) for _ in range(CHECKS)]
    expected = [network(*inputs) for inputs in examples]
    for kind in (torch.float16, torch.float32):
        rounded = rounded_to(graph, kind)
        difference = max(
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
    """The same operators with constants rounded to a kind of number."""
    constants = {i: graph.constants[i].to(kind).float() for i in graph.used_constants()}
    return Graph(graph.num_inputs, constants, graph.operators, graph.output)


def as_data(graph: Graph, kind: torch.dtype) -> dict[str, Any]:
    """A graph as JSON: operators, the places of constants, and their numbers in base64."""
    places, numbers, start = [], [], 0
    for i in graph.used_constants():
        constant = graph.constants[i]
        places.append([i, list(constant.shape), start])
        numbers.append(constant.flatten())
        start += constant.numel()
    operators = [
        {"kind": each.kind, "inputs": each.inputs, "output": each.output, "shape": each.shape, "options": each.options}
        for each in graph.operators
    ]
    whole = torch.cat(numbers) if numbers else torch.zeros(0)
    return {
        "graph": {"operators": operators, "constants": places, "output": graph.output},
        "numbers": _base64(whole.to(kind)),
    }


def _base64(tensor: Tensor) -> str:
    little = tensor.detach().contiguous().numpy()
    return base64.b64encode(little.astype(little.dtype.newbyteorder("<")).tobytes()).decode("ascii")
