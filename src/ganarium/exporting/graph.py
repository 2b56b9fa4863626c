"""A network as a list of operators with constants, from torch.export: what a page can run without PyTorch.

A picture is made one at a time (batches of 1). All that depends on weights alone is computed here; batch norm with
fixed statistics becomes part of the convolution or linear layer before it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from ganarium.errors import UserError


@dataclass
class Operator:
    """One step: `kind` reads the values `inputs` and makes the value `output`, of a fixed shape with batch 1."""

    kind: str
    inputs: list[int]
    output: int
    shape: list[int]
    options: dict[str, Any] = field(default_factory=dict)


@dataclass
class Graph:
    """Values are numbered: first the inputs in their order, then constants and results."""

    num_inputs: int
    constants: dict[int, Tensor]
    operators: list[Operator]
    output: int

    def used_constants(self) -> list[int]:
        return sorted({i for each in self.operators for i in each.inputs if i in self.constants})


UNARY = ("relu", "tanh", "sigmoid", "elu", "silu", "softplus", "abs", "exp", "neg", "square", "sqrt", "rsqrt")
BINARY = ("add", "sub", "mul", "div", "eq", "gt", "ge", "lt", "le", "or")
_SAME = {"clone", "contiguous", "alias", "detach", "lift_fresh_copy", "to", "_to_copy", "dropout", "copy", "positive"}
_VIEWS = {"flatten", "unflatten", "reshape", "view", "unsqueeze", "squeeze", "_unsafe_view"}
_CHECKS = {"_assert_tensor_metadata", "_assert_scalar", "sym_constrain_range_for_size"}


def trace(network: nn.Module, inputs: Sequence[Tensor]) -> Graph:
    """The operators of a network on inputs (1, ...). Raises `UserError` that names an operator a page does not have."""
    with torch.no_grad():
        program = torch.export.export(network, tuple(inputs), strict=False)
        changes_in_place = any(
            node.op == "call_function" and _name(node).endswith("_") and not _name(node).startswith("_")
            for node in program.graph.nodes
        )
        if changes_in_place:
            program = program.run_decompositions()
        return _Builder(program).graph


class _Builder:
    """Walks the nodes of an exported program. `env` holds for each the number of its value, or a constant."""

    def __init__(self, program: Any) -> None:
        self.env: dict[fx.Node, Any] = {}
        self.constants: dict[int, Tensor] = {}
        self.operators: list[Operator] = []
        self.uses: dict[int, int] = {}
        self.maker: dict[int, Operator] = {}
        self.count = 0
        signature = program.graph_signature
        kept = {
            **signature.inputs_to_parameters,
            **signature.inputs_to_buffers,
            **signature.inputs_to_lifted_tensor_constants,
        }
        tensors = {**program.state_dict, **program.constants}
        names = list(signature.user_inputs)
        inputs = {name: number for number, name in enumerate(names)}
        self.count = len(names)
        output = None
        for node in program.graph.nodes:
            if node.op == "placeholder":
                self.env[node] = tensors[kept[node.name]].detach() if node.name in kept else _Value(inputs[node.name])
            elif node.op == "get_attr":
                self.env[node] = getattr(program.graph_module, node.target)
            elif node.op == "call_function":
                self.env[node] = self.convert(node)
            elif node.op == "output":
                output = self.env[node.args[0][-1]]
        assert isinstance(output, _Value), "the output depends on an input"
        self.graph = Graph(len(names), self.constants, self.operators, output.number)

    def convert(self, node: fx.Node) -> Any:
        args, kwargs = fx.map_arg(node.args, self.env.get), fx.map_arg(node.kwargs, self.env.get)
        name = _name(node)
        if name in _CHECKS:
            return None
        if name == "getitem":
            made: Any = args[0]
            assert isinstance(made, tuple) or args[1] == 0
            return made[args[1]] if isinstance(made, tuple) else made  # type: ignore[index]
        if not _holds_value((args, kwargs)):
            return node.target(*args, **kwargs)  # type: ignore[operator]
        shape = [int(side) for side in _meta(node).shape]
        if name in _SAME:
            kept = args[1] if name == "copy" else args[0]
            return (
                kept
                if list(_meta(node.args[1 if name == "copy" else 0]).shape) == shape
                else self.add("expand", [kept], shape)
            )
        if name in _VIEWS:
            return self.add("view", [args[0]], shape)
        if name in ("expand", "expand_as"):
            return self.add("expand", [args[0]], shape)
        bound = _bind(node, args, kwargs)
        if name == "rsub" and bound.get("alpha", 1) == 1:
            return self.add("sub", [args[1], args[0]], shape)
        special = getattr(self, f"on_{name}", None)
        if special is not None:
            return special(node, bound, shape)
        if name in UNARY:
            return self.add(name, [args[0]], shape)
        plain = {"__or__": "or", "bitwise_or": "or", "logical_or": "or"}.get(name, name)
        if plain in BINARY:
            if bound.get("alpha", 1) != 1 or bound.get("rounding_mode"):
                raise _unknown(name)
            if plain == "add" and self.fold_shift(node, args):
                return args[0]
            return self.add(plain, [args[0], args[1]], shape)
        raise _unknown(name)

    def add(self, kind: str, inputs: Sequence[Any], shape: Sequence[int], **options: Any) -> "_Value":
        numbers = []
        for each in inputs:
            if isinstance(each, _Value):
                numbers.append(each.number)
            else:
                self.constants[self.count] = torch.as_tensor(each, dtype=torch.float32).detach().clone()
                numbers.append(self.count)
                self.count += 1
        operator = Operator(kind, numbers, self.count, list(shape), options)
        self.operators.append(operator)
        self.maker[self.count] = operator
        self.count += 1
        return _Value(operator.output)

    def on_linear(self, node: fx.Node, a: dict[str, Any], shape: list[int]) -> Any:
        return self.add("linear", [a["input"], a["weight"], *_given(a["bias"])], shape)

    def on_mm(self, node: fx.Node, a: dict[str, Any], shape: list[int]) -> Any:
        return self.add("linear", [a["self"], a["mat2"].t()], shape)

    def on_addmm(self, node: fx.Node, a: dict[str, Any], shape: list[int]) -> Any:
        return self.add("linear", [a["mat1"], a["mat2"].t(), a["self"]], shape)

    def on_conv2d(self, node: fx.Node, a: dict[str, Any], shape: list[int]) -> Any:
        return self.convolve(node, a, shape)

    def on_conv_transpose2d(self, node: fx.Node, a: dict[str, Any], shape: list[int]) -> Any:
        return self.convolve(node, a | {"transposed": True}, shape)

    def on_convolution(self, node: fx.Node, a: dict[str, Any], shape: list[int]) -> Any:
        return self.convolve(node, a, shape)

    def convolve(self, node: fx.Node, a: dict[str, Any], shape: list[int]) -> Any:
        weight = a["weight"]
        if isinstance(weight, _Value) or isinstance(a["padding"], str):
            raise _unknown("convolution with computed weights")
        options = {
            "stride": _pair(a["stride"]),
            "padding": _pair(a["padding"]),
            "dilation": _pair(a["dilation"]),
            "groups": a["groups"],
            "kernel": list(weight.shape[2:]),
        }
        if a.get("transposed"):
            g = a["groups"]  # (i, o / g, kh, kw) -> (g, o / g kh kw, i / g), the matrix that the kernel multiplies by
            before = _meta(node.args[0]).shape
            options["extra"] = [
                shape[2 + i]
                - (before[2 + i] - 1) * options["stride"][i]
                + 2 * options["padding"][i]
                - options["dilation"][i] * (options["kernel"][i] - 1)
                - 1
                for i in (0, 1)
            ]
            weight = weight.reshape(g, weight.shape[0] // g, -1).transpose(1, 2).contiguous()
            return self.add("conv_transpose", [a["input"], weight, *_given(a["bias"])], shape, **options)
        return self.add("conv", [a["input"], weight, *_given(a["bias"])], shape, **options)

    def on_batch_norm(self, node: fx.Node, a: dict[str, Any], shape: list[int]) -> Any:
        if a["training"]:
            raise _unknown("batch norm with the statistics of its batch")
        return self.norm(node, a, shape)

    def on__native_batch_norm_legit_no_training(self, node: fx.Node, a: dict[str, Any], shape: list[int]) -> Any:
        return self.norm(node, a, shape)

    def norm(self, node: fx.Node, a: dict[str, Any], shape: list[int]) -> Any:
        """Batch norm with fixed statistics: a gain and a shift per channel, folded into the layer before it."""
        gain = (a["running_var"].double() + a["eps"]).rsqrt()
        gain = gain if a["weight"] is None else gain * a["weight"].double()
        shift = -a["running_mean"].double() * gain
        shift = shift if a["bias"] is None else shift + a["bias"].double()
        before = self.maker.get(a["input"].number)
        source = node.args[0]
        alone = isinstance(source, fx.Node) and len(source.users) == 1
        if before is None or not alone or before.kind not in ("linear", "conv", "conv_transpose"):
            return self.add("affine", [a["input"], gain.float(), shift.float()], shape)
        weight = self.constants[before.inputs[1]].double()
        rows = gain
        if before.kind == "conv_transpose":
            area = math.prod(before.options["kernel"])
            rows = gain.repeat_interleave(area).view(weight.shape[0], -1, 1)
        self.constants[before.inputs[1]] = (weight * rows.view(*rows.shape, *[1] * (weight.dim() - rows.dim()))).float()
        if len(before.inputs) == 3:
            shift = shift + self.constants[before.inputs[2]].double() * gain
        else:
            before.inputs.append(self.count)
            self.count += 1
        self.constants[before.inputs[2]] = shift.float()
        return a["input"]

    def fold_shift(self, node: fx.Node, args: Sequence[Any]) -> bool:
        """Whether the sum of a convolution and a constant per channel became the convolution's bias."""
        value, shift = args
        source = node.args[0]
        before = self.maker.get(value.number) if isinstance(value, _Value) else None
        if before is None or not isinstance(shift, Tensor) or not isinstance(source, fx.Node) or len(source.users) > 1:
            return False
        channels = before.shape[1]
        per_channel = shift.dim() >= 3 and shift.shape[-3] == channels == shift.numel()
        if before.kind not in ("conv", "conv_transpose") or len(before.inputs) == 3 or not per_channel:
            return False
        self.constants[self.count] = shift.detach().float().flatten().clone()
        before.inputs.append(self.count)
        self.count += 1
        return True

    def on_instance_norm(self, node: fx.Node, a: dict[str, Any], shape: list[int]) -> Any:
        affine = [] if a["weight"] is None else [a["weight"], a["bias"]]
        return self.add("norm", [a["input"], *affine], shape, eps=a["eps"])

    def on_leaky_relu(self, node: fx.Node, a: dict[str, Any], shape: list[int]) -> Any:
        return self.add("leaky_relu", [a["self"]], shape, slope=a["negative_slope"])

    def on_prelu(self, node: fx.Node, a: dict[str, Any], shape: list[int]) -> Any:
        return self.add("prelu", [a["self"], a["weight"]], shape)

    def on_clamp(self, node: fx.Node, a: dict[str, Any], shape: list[int]) -> Any:
        return self.add("clamp", [a["self"]], shape, low=a["min"], high=a["max"])

    def on_where(self, node: fx.Node, a: dict[str, Any], shape: list[int]) -> Any:
        return self.add("where", [a["condition"], a["self"], a["other"]], shape)

    def on_masked_fill(self, node: fx.Node, a: dict[str, Any], shape: list[int]) -> Any:
        return self.add("where", [a["mask"], a["value"], a["self"]], shape)

    def on_cat(self, node: fx.Node, a: dict[str, Any], shape: list[int]) -> Any:
        tensors = [each for each in a["tensors"] if not isinstance(each, Tensor) or each.numel()]
        return tensors[0] if len(tensors) == 1 else self.add("cat", tensors, shape, dim=a["dim"] % len(shape))

    def on_slice(self, node: fx.Node, a: dict[str, Any], shape: list[int]) -> Any:
        before = _meta(node.args[0]).shape
        dim, start = a["dim"] % len(before), a["start"] or 0
        if list(before) == shape:
            return a["self"]
        if 0 in shape:  # nothing is left, as of the layers behind the last
            return torch.zeros(shape)
        if a["step"] != 1:
            raise _unknown("slice with a step")
        start = max(0, start + before[dim] if start < 0 else start)
        return self.add("slice", [a["self"]], shape, dim=dim, start=int(start))

    def on_select(self, node: fx.Node, a: dict[str, Any], shape: list[int]) -> Any:
        before = list(_meta(node.args[0]).shape)
        dim = a["dim"] % len(before)
        part = [*before[:dim], 1, *before[dim + 1 :]]
        return self.add("view", [self.add("slice", [a["self"]], part, dim=dim, start=a["index"] % before[dim])], shape)

    def on_slice_scatter(self, node: fx.Node, a: dict[str, Any], shape: list[int]) -> Any:
        start = a["start"] or 0
        if a["step"] != 1 or start < 0:
            raise _unknown("slice_scatter with a step")
        return self.add("slice_scatter", [a["self"], a["src"]], shape, dim=a["dim"] % len(shape), start=start)

    def on_glu(self, node: fx.Node, a: dict[str, Any], shape: list[int]) -> Any:
        dim = a["dim"] % len(shape)
        value = self.add("slice", [a["self"]], shape, dim=dim, start=0)
        gate = self.add("slice", [a["self"]], shape, dim=dim, start=shape[dim])
        return self.add("mul", [value, self.add("sigmoid", [gate], shape)], shape)

    def on_permute(self, node: fx.Node, a: dict[str, Any], shape: list[int]) -> Any:
        return self.add("permute", [a["self"]], shape, order=[axis % len(shape) for axis in a["dims"]])

    def on_pad(self, node: fx.Node, a: dict[str, Any], shape: list[int]) -> Any:
        mode = a["mode"]
        if mode not in ("constant", "reflect", "replicate") or len(shape) != 4 or len(a["pad"]) > 4:
            raise _unknown(f"pad {mode}")
        left, right, top, bottom = [*a["pad"], 0, 0, 0, 0][:4]
        sides = [top, left, bottom, right]
        return self.add("pad", [a["self"]], shape, mode=mode, sides=sides, value=a["value"] or 0.0)

    def on_constant_pad_nd(self, node: fx.Node, a: dict[str, Any], shape: list[int]) -> Any:
        return self.on_pad(node, a | {"mode": "constant"}, shape)

    def on_reflection_pad2d(self, node: fx.Node, a: dict[str, Any], shape: list[int]) -> Any:
        return self.on_pad(node, {"self": a["self"], "pad": a["padding"], "mode": "reflect", "value": None}, shape)

    def on_upsample_nearest2d(self, node: fx.Node, a: dict[str, Any], shape: list[int]) -> Any:
        return self.add("nearest", [a["input"]], shape, **_enlargement(node, a, shape))

    def on_upsample_bilinear2d(self, node: fx.Node, a: dict[str, Any], shape: list[int]) -> Any:
        if a["align_corners"]:
            raise _unknown("bilinear enlarging with aligned corners")
        return self.add("bilinear", [a["input"]], shape, **_enlargement(node, a, shape))

    def on_pixel_shuffle(self, node: fx.Node, a: dict[str, Any], shape: list[int]) -> Any:
        return self.add("pixel_shuffle", [a["self"]], shape, factor=a["upscale_factor"])

    def on_avg_pool2d(self, node: fx.Node, a: dict[str, Any], shape: list[int]) -> Any:
        before = _meta(node.args[0]).shape
        window = _pair(a["kernel_size"])
        plain = not any(_pair(a["padding"])) and _pair(a["stride"] or window) == window
        if not plain or any(before[2 + i] % window[i] for i in (0, 1)):
            raise _unknown("avg_pool2d with overlapping windows")
        return self.add("avg_pool", [a["self"]], shape, window=window)

    def on_adaptive_avg_pool2d(self, node: fx.Node, a: dict[str, Any], shape: list[int]) -> Any:
        before = _meta(node.args[0]).shape
        if any(before[i] % shape[i] for i in (2, 3)):
            raise _unknown("adaptive_avg_pool2d with uneven windows")
        return self.add("avg_pool", [a["self"]], shape, window=[before[i] // shape[i] for i in (2, 3)])

    def on_max_pool2d(self, node: fx.Node, a: dict[str, Any], shape: list[int]) -> Any:
        window = _pair(a["kernel_size"])
        plain = not any(_pair(a["padding"])) and _pair(a["stride"] or window) == window
        if not plain or _pair(a["dilation"]) != [1, 1]:
            raise _unknown("max_pool2d with overlapping windows")
        return self.add("max_pool", [a["self"]], shape, window=window, ceil=bool(a["ceil_mode"]))

    def on_matmul(self, node: fx.Node, a: dict[str, Any], shape: list[int]) -> Any:
        first, second = a["self"], a.get("other", a.get("mat2"))
        if isinstance(second, Tensor) and second.dim() == 2:
            return self.add("linear", [first, second.t()], shape)
        if [_meta(each).dim() for each in node.args[:2]] != [3, 3]:
            raise _unknown("matmul of other than two batches of matrices")
        return self.add("matmul", [first, second], shape)

    def on_bmm(self, node: fx.Node, a: dict[str, Any], shape: list[int]) -> Any:
        return self.on_matmul(node, a, shape)

    def on_softmax(self, node: fx.Node, a: dict[str, Any], shape: list[int]) -> Any:
        return self.add("softmax", [a["self"]], shape, dim=a["dim"] % len(shape))

    def on__softmax(self, node: fx.Node, a: dict[str, Any], shape: list[int]) -> Any:
        return self.on_softmax(node, a, shape)

    def on_transpose(self, node: fx.Node, a: dict[str, Any], shape: list[int]) -> Any:
        order = list(range(len(shape)))
        first, second = a["dim0"] % len(shape), a["dim1"] % len(shape)
        order[first], order[second] = order[second], order[first]
        return self.add("permute", [a["self"]], shape, order=order)

    def on_chunk(self, node: fx.Node, a: dict[str, Any], shape: list[int]) -> Any:
        return self.parts(node, a["self"], a["dim"])

    def on_split(self, node: fx.Node, a: dict[str, Any], shape: list[int]) -> Any:
        return self.parts(node, a["self"], a["dim"])

    def parts(self, node: fx.Node, value: Any, dim: int) -> tuple[Any, ...]:
        """What follows one another along an axis."""
        made, start = [], 0
        for each in node.meta["val"]:
            shape = [int(side) for side in each.shape]
            made.append(self.add("slice", [value], shape, dim=dim % len(shape), start=start))
            start += shape[dim]
        return tuple(made)

    def on_new_ones(self, node: fx.Node, a: dict[str, Any], shape: list[int]) -> Any:
        return torch.ones(shape)

    def on_new_full(self, node: fx.Node, a: dict[str, Any], shape: list[int]) -> Any:
        return torch.full(shape, float(a["fill_value"]))

    def on_new_zeros(self, node: fx.Node, a: dict[str, Any], shape: list[int]) -> Any:
        return torch.zeros(shape)

    def on_mean(self, node: fx.Node, a: dict[str, Any], shape: list[int]) -> Any:
        rank = len(_meta(node.args[0]).shape)
        axes = range(rank) if a.get("dim") is None else a["dim"]
        axes = [axes] if isinstance(axes, int) else axes
        return self.add("mean", [a["self"]], shape, axes=sorted(axis % rank for axis in axes))

    def on_clamp_min(self, node: fx.Node, a: dict[str, Any], shape: list[int]) -> Any:
        return self.add("clamp", [a["self"]], shape, low=a["min"], high=None)


@dataclass(frozen=True)
class _Value:
    """The number of a value that depends on the inputs."""

    number: int


def run(graph: Graph, inputs: Sequence[Tensor]) -> Tensor:
    """What the list of operators makes of inputs (1, ...), in PyTorch: the page's arithmetic, without a browser."""
    values: dict[int, Tensor] = dict(enumerate(inputs)) | graph.constants
    for each in graph.operators:
        values[each.output] = REFERENCE[each.kind]([values[i].float() for i in each.inputs], each)
    return values[graph.output]


def _convolved(x: list[Tensor], each: Operator) -> Tensor:
    o = each.options
    bias = x[2] if len(x) == 3 else None
    return F.conv2d(x[0], x[1], bias, o["stride"], o["padding"], o["dilation"], o["groups"])


def _convolved_back(x: list[Tensor], each: Operator) -> Tensor:
    o, bias = each.options, x[2] if len(x) == 3 else None
    weight = x[1].transpose(1, 2).reshape(x[0].shape[1], -1, *o["kernel"])
    return F.conv_transpose2d(x[0], weight, bias, o["stride"], o["padding"], o["extra"], o["groups"], o["dilation"])


def _affine(x: list[Tensor], each: Operator) -> Tensor:
    shape = (1, -1, *[1] * (x[0].dim() - 2))
    return x[0] * x[1].view(shape) + x[2].view(shape)


def _scattered(x: list[Tensor], each: Operator) -> Tensor:
    dim, start = each.options["dim"], each.options["start"]
    return torch.slice_scatter(x[0], x[1], dim, start, start + x[1].shape[dim])


def _padded(x: list[Tensor], each: Operator) -> Tensor:
    top, left, bottom, right = each.options["sides"]
    mode, value = each.options["mode"], each.options["value"]
    return F.pad(x[0], (left, right, top, bottom), mode, value if mode == "constant" else None)


_TWO: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": torch.div,
    "eq": torch.eq,
    "gt": torch.gt,
    "ge": torch.ge,
    "lt": torch.lt,
    "le": torch.le,
    "or": torch.maximum,
}
_ONE: dict[str, Callable[[Tensor], Tensor]] = {name: getattr(F, name, None) or getattr(torch, name) for name in UNARY}
REFERENCE: dict[str, Callable[[list[Tensor], Operator], Tensor]] = {
    **{name: lambda x, each, f=f: f(x[0]) for name, f in _ONE.items()},  # type: ignore[misc]
    **{name: lambda x, each, f=f: f(x[0], x[1]).float() for name, f in _TWO.items()},  # type: ignore[misc]
    "linear": lambda x, each: F.linear(*x),
    "conv": _convolved,
    "conv_transpose": _convolved_back,
    "affine": _affine,
    "norm": lambda x, each: F.instance_norm(
        x[0], weight=x[1] if len(x) > 1 else None, bias=x[2] if len(x) > 2 else None, eps=each.options["eps"]
    ),
    "leaky_relu": lambda x, each: F.leaky_relu(x[0], each.options["slope"]),
    "prelu": lambda x, each: F.prelu(x[0], x[1]),
    "clamp": lambda x, each: x[0].clamp(each.options["low"], each.options["high"]),
    "where": lambda x, each: torch.where(x[0] != 0, x[1], x[2]),
    "cat": lambda x, each: torch.cat(x, each.options["dim"]),
    "slice": lambda x, each: x[0].narrow(each.options["dim"], each.options["start"], each.shape[each.options["dim"]]),
    "slice_scatter": _scattered,
    "permute": lambda x, each: x[0].permute(each.options["order"]),
    "view": lambda x, each: x[0].reshape(each.shape),
    "expand": lambda x, each: x[0].expand(each.shape),
    "pad": _padded,
    "nearest": lambda x, each: F.interpolate(x[0], each.shape[2:], mode="nearest"),
    "bilinear": lambda x, each: F.interpolate(x[0], each.shape[2:], mode="bilinear"),
    "pixel_shuffle": lambda x, each: F.pixel_shuffle(x[0], each.options["factor"]),
    "avg_pool": lambda x, each: F.avg_pool2d(x[0], each.options["window"]),
    "max_pool": lambda x, each: F.max_pool2d(x[0], each.options["window"], ceil_mode=each.options["ceil"]),
    "matmul": lambda x, each: x[0] @ x[1],
    "softmax": lambda x, each: x[0].softmax(each.options["dim"]),
    "mean": lambda x, each: x[0].mean(each.options["axes"]).reshape(each.shape),
}


def _name(node: fx.Node) -> str:
    """The operator of a node without its namespace and overload: aten.add.Tensor -> add."""
    packet = getattr(node.target, "overloadpacket", None)
    return str(packet).removeprefix("aten.") if packet is not None else getattr(node.target, "__name__", "")


def _bind(node: fx.Node, args: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of an operator by the names of its schema, defaults among them."""
    schema = node.target._schema.arguments  # type: ignore[union-attr]
    bound = {each.name: each.default_value for each in schema if each.has_default_value()}
    return bound | {each.name: value for each, value in zip(schema, args, strict=False)} | kwargs


def _meta(node: Any) -> Tensor:
    value = node.meta["val"]
    return value[0] if isinstance(value, tuple | list) else value


def _holds_value(structure: Any) -> bool:
    if isinstance(structure, dict):
        return any(_holds_value(each) for each in structure.values())
    if isinstance(structure, list | tuple):
        return any(_holds_value(each) for each in structure)
    return isinstance(structure, _Value)


def _enlargement(node: fx.Node, a: dict[str, Any], shape: list[int]) -> dict[str, Any]:
    """By how much both sides grow, where that is a whole number; such a network takes pictures of any size."""
    before = _meta(node.args[0]).shape
    whole = all(shape[i] % before[i] == 0 for i in (2, 3))
    if a.get("scale_factors") and whole:
        return {"scale": [shape[i] // before[i] for i in (2, 3)]}
    return {"size": shape[2:]}


def _given(bias: Any) -> list[Any]:
    return [] if bias is None else [bias]


def _pair(value: Any) -> list[int]:
    values = [value] if isinstance(value, int) else list(value)
    return [int(each) for each in (values * 2 if len(values) == 1 else values)]


def _unknown(name: str) -> UserError:
    return UserError(f"pages and Keras files have no operator for {name}, which this network uses: export it to onnx.")
