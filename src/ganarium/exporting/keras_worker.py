"""Writes and reads `.keras` files in a process of its own: Keras takes its backend from the environment, once.

`python -P keras_worker.py FOLDER` with KERAS_BACKEND set. The folder holds `job.json`, a list of networks as
`to_keras` describes them, and for each NUMBER.npz with constants and inputs. What the networks give goes to
NUMBER-BACKEND.npz, and what went wrong to `errors-BACKEND.json`. Nothing of ganarium is imported here.

Pictures are (b, h, w, c) in the file, as in Keras; the graph has them as (b, c, h, w).
"""

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

LAST = (0, 2, 3, 1)  # (b, c, h, w) -> (b, h, w, c)
AXES = (0, 3, 1, 2)  # the place of each axis of (b, c, h, w) there
LARGE = 1024  # numbers of a constant, above which it is a weight of a layer and not part of the config


class Refused(Exception):
    """The network cannot be told in layers of Keras."""


class Value:
    """A tensor of Keras in the order of PyTorch, or with its channels last if it has four axes, or both."""

    def __init__(self, shape: Sequence[int], *, plain: Any = None, last: Any = None) -> None:
        self.shape, self._plain, self._last = list(shape), plain, last
        if not shape or shape[0] != 1:
            raise Refused("it mixes the samples of a batch")

    @property
    def plain(self) -> Any:
        from keras import layers

        if self._plain is None:
            narrow = self.shape[2:] == [1, 1]
            self._plain = (layers.Reshape(self.shape[1:]) if narrow else layers.Permute((3, 1, 2)))(self._last)
        return self._plain

    @property
    def last(self) -> Any:
        from keras import layers

        if self._last is None:
            narrow = self.shape[2:] == [1, 1]
            self._last = (layers.Reshape((1, 1, self.shape[1])) if narrow else layers.Permute((2, 3, 1)))(self._plain)
        return self._last

    @property
    def best(self) -> Any:
        """Channels last where there are four axes."""
        return self.last if len(self.shape) == 4 else self.plain


class Builder:
    """Makes a functional model of Keras from a list of operators; each is a layer, or an operation of `keras.ops`."""

    def __init__(self, part: dict[str, Any], constants: dict[int, np.ndarray]) -> None:
        import keras

        self.keras, self.layers, self.ops = keras, keras.layers, keras.ops
        self.constants = constants
        inputs, self.values = [], {}
        for number, each in enumerate(part["inputs"]):
            shape = each["shape"]
            free = part["any_size"] and len(shape) == 3
            order = [None, None, shape[0]] if free else [*shape[1:], shape[0]] if len(shape) == 3 else shape
            kind = "int32" if each["kind"] == "label" else "float32"
            inputs.append(keras.Input(tuple(order), dtype=kind, name=each["name"]))
            key = "last" if len(shape) == 3 else "plain"
            self.values[number] = Value([1, *shape], **{key: inputs[-1]})
        self.first = inputs[0]
        for each in part["operators"]:
            self.values[each["output"]] = self.convert(each)
        made = self.values[part["output"]]
        self.model = keras.Model(inputs, made.best, name=part["name"])

    def convert(self, each: dict[str, Any]) -> Value:
        kind, shape, options = each["kind"], each["shape"], each["options"]
        inputs: list[Any] = [self.values[i] if i in self.values else self.constants[i] for i in each["inputs"]]
        own = getattr(self, f"on_{kind}", None)
        if own is not None:
            return own(inputs, shape, options)
        if kind in ACTIVATIONS:
            return self.like(inputs[0], self.layers.Activation(kind)(inputs[0].best))
        if kind in UNARY:
            return self.like(inputs[0], getattr(self.ops, UNARY[kind])(inputs[0].best))
        return self.together(kind, inputs, shape)

    # --- values ---

    def like(self, value: Value, made: Any) -> Value:
        return self.value(value.shape, made)

    def value(self, shape: Sequence[int], made: Any) -> Value:
        return Value(shape, **{"last" if len(shape) == 4 else "plain": made})

    def aligned(self, each: Any, rank: int) -> Any:
        """A value or constant in the order in which results with `rank` axes are computed."""
        if isinstance(each, Value):
            if len(each.shape) != rank:
                raise Refused("it mixes the samples of a batch")
            return each.best
        whole = each.reshape([1] * (rank - each.ndim) + list(each.shape))
        if len(whole) != 1:
            raise Refused("it has constants for each sample of a batch")
        if rank == 4:
            whole = whole.transpose(LAST)
        return np.float32(whole.item()) if whole.size == 1 else whole if whole.size <= LARGE else self.weight(whole)

    def weight(self, array: np.ndarray) -> Any:
        """A constant (1, ...) as a weight, repeated for each sample: the only row of an Embedding."""
        sample = (
            self.ops.mean(self.first, axis=list(range(1, len(self.first.shape))))
            if self.first.shape[1:]
            else self.first
        )
        row = self.layers.Embedding(1, array.size)
        made = row(self.ops.cast(self.ops.zeros_like(sample), "int32"))
        row.set_weights([array.reshape(1, -1)])
        return self.layers.Reshape(array.shape[1:])(made)

    def repeated(self, each: Any, shape: Sequence[int]) -> Value:
        """A value, or a constant for every sample."""
        if isinstance(each, Value):
            return each
        whole = np.broadcast_to(each, shape)
        return self.value(shape, self.weight(whole.transpose(LAST) if len(shape) == 4 else whole))

    # --- layers with weights ---

    def with_weights(self, layer: Any, x: Any, weights: Sequence[np.ndarray]) -> Any:
        made = layer(x)
        layer.set_weights([np.ascontiguousarray(each, np.float32) for each in weights])
        return made

    def on_linear(self, inputs: list[Any], shape: list[int], o: dict[str, Any]) -> Value:
        x, weight, *bias = inputs
        layer = self.layers.Dense(len(weight), use_bias=bool(bias))
        return Value(shape, plain=self.with_weights(layer, x.plain, [weight.T, *bias]))

    def on_conv(self, inputs: list[Any], shape: list[int], o: dict[str, Any]) -> Value:
        (x, weight, *bias), stride = inputs, tuple(o["stride"])
        side = [o["dilation"][i] * (o["kernel"][i] - 1) for i in (0, 1)]
        same = stride == (1, 1) and all(side[i] == 2 * o["padding"][i] for i in (0, 1))
        padded = x.last if same else self.padded(x.last, [(p, p) for p in o["padding"]])
        options = {
            "strides": stride,
            "dilation_rate": tuple(o["dilation"]),
            "padding": "same" if same else "valid",
            "use_bias": bool(bias),
        }
        if o["groups"] == x.shape[1] > 1:
            layer = self.layers.DepthwiseConv2D(o["kernel"], depth_multiplier=len(weight) // o["groups"], **options)
            kernel = weight.reshape(o["groups"], -1, *o["kernel"]).transpose(2, 3, 0, 1)
        else:
            layer = self.layers.Conv2D(len(weight), o["kernel"], groups=o["groups"], **options)
            kernel = weight.transpose(2, 3, 1, 0)
        return Value(shape, last=self.with_weights(layer, padded, [kernel, *bias]))

    def on_conv_transpose(self, inputs: list[Any], shape: list[int], o: dict[str, Any]) -> Value:
        """The whole sum, and what PyTorch's padding cuts from it; groups become zeros among the weights."""
        (x, weight, *bias), stride, kernel, groups = inputs, o["stride"], list(o["kernel"]), o["groups"]
        if o["dilation"] != [1, 1]:
            raise Refused("it has a dilated transposed convolution")
        ins, outs = weight.shape[2], weight.shape[1] // math.prod(kernel)  # of a group
        whole = np.zeros((*[max(kernel[i], stride[i]) for i in (0, 1)], outs * groups, ins * groups), np.float32)
        for g in range(groups):
            part = weight[g].reshape(outs, *kernel, ins).transpose(1, 2, 0, 3)
            whole[: kernel[0], : kernel[1], g * outs : (g + 1) * outs, g * ins : (g + 1) * ins] = part
        sides = []
        for i in (0, 1):  # before and behind
            sides.append((o["padding"][i], o["padding"][i] - o["extra"][i] + max(stride[i] - kernel[i], 0)))
        total = [max(kernel[i] - stride[i], 0) for i in (0, 1)]
        same = all(sides[i] == (total[i] // 2, total[i] - total[i] // 2) and kernel[i] >= stride[i] for i in (0, 1))
        cut = not same and any(map(any, sides))
        layer = self.layers.Conv2DTranspose(
            outs * groups,
            whole.shape[:2],
            strides=tuple(stride),
            padding="same" if same else "valid",
            use_bias=bool(bias),
        )
        if not cut:
            return Value(shape, last=self.with_weights(layer, x.last, [whole, *bias]))
        made = self.with_weights(layer, x.last, [whole, *bias])
        if any(behind < 0 for _, behind in sides):
            raise Refused("it has a transposed convolution with more output padding than padding")
        return Value(shape, last=self.layers.Cropping2D(tuple(sides))(made))

    def on_affine(self, inputs: list[Any], shape: list[int], o: dict[str, Any]) -> Value:
        x, gain, shift = inputs
        axis = 1 if len(shape) == 3 else -1
        layer = self.layers.BatchNormalization(axis=axis, epsilon=1e-12, trainable=False)
        made = self.with_weights(layer, x.best, [gain, shift, np.zeros_like(gain), np.ones_like(gain)])
        return self.value(shape, made)

    def on_norm(self, inputs: list[Any], shape: list[int], o: dict[str, Any]) -> Value:
        x, *weights = inputs
        layer = self.layers.GroupNormalization(
            groups=-1, axis=-1, epsilon=o["eps"], scale=bool(weights), center=bool(weights)
        )
        return Value(shape, last=self.with_weights(layer, x.last, weights))

    def on_prelu(self, inputs: list[Any], shape: list[int], o: dict[str, Any]) -> Value:
        x, slope = inputs
        layer = self.layers.PReLU(shared_axes=[1, 2] if len(shape) == 4 else None)
        channels = (1, 1, shape[1]) if len(shape) == 4 else (shape[1],)
        return self.value(shape, self.with_weights(layer, x.best, [np.broadcast_to(slope.reshape(-1), channels)]))

    # --- layers without, and operations ---

    def padded(self, x: Any, sides: Sequence[tuple[int, int]]) -> Any:
        return self.layers.ZeroPadding2D(tuple(sides))(x) if any(map(any, sides)) else x

    def on_leaky_relu(self, inputs: list[Any], shape: list[int], o: dict[str, Any]) -> Value:
        return self.like(inputs[0], self.layers.LeakyReLU(negative_slope=o["slope"])(inputs[0].best))

    def on_softmax(self, inputs: list[Any], shape: list[int], o: dict[str, Any]) -> Value:
        return Value(shape, plain=self.layers.Softmax(axis=o["dim"])(inputs[0].plain))

    def on_clamp(self, inputs: list[Any], shape: list[int], o: dict[str, Any]) -> Value:
        made = inputs[0].best
        if o["low"] is not None and o["high"] is not None:
            return self.like(inputs[0], self.ops.clip(made, float(o["low"]), float(o["high"])))
        made = made if o["low"] is None else self.ops.maximum(made, float(o["low"]))
        return self.like(inputs[0], made if o["high"] is None else self.ops.minimum(made, float(o["high"])))

    def together(self, kind: str, inputs: list[Any], shape: list[int]) -> Value:
        """Sums, products, comparisons: comparisons are 0 or 1."""
        made = getattr(self.ops, BINARY[kind])(*(self.aligned(each, len(shape)) for each in inputs))
        return self.value(shape, self.ops.cast(made, "float32") if kind in COMPARISONS else made)

    def on_where(self, inputs: list[Any], shape: list[int], o: dict[str, Any]) -> Value:
        condition, first, second = (self.aligned(each, len(shape)) for each in inputs)
        return self.value(shape, self.ops.where(self.ops.not_equal(condition, 0.0), first, second))

    def on_matmul(self, inputs: list[Any], shape: list[int], o: dict[str, Any]) -> Value:
        first, second = (each.plain if isinstance(each, Value) else self.aligned(each, 3) for each in inputs)
        return Value(shape, plain=self.ops.matmul(first, second))

    def on_cat(self, inputs: list[Any], shape: list[int], o: dict[str, Any]) -> Value:
        axis, whole = o["dim"], []
        if axis == 0:
            raise Refused("it mixes the samples of a batch")
        for each in inputs:
            own = [*shape]
            own[axis] = each.shape[axis]
            whole.append(self.repeated(each, own).best)
        return self.value(shape, self.layers.Concatenate(axis=AXES[axis] if len(shape) == 4 else axis)(whole))

    def part(self, x: Value, axis: int, start: int, stop: int) -> Any:
        place = [slice(None)] * len(x.shape)
        place[AXES[axis] if len(x.shape) == 4 else axis] = slice(start, stop)
        return x.best[tuple(place)]

    def on_slice(self, inputs: list[Any], shape: list[int], o: dict[str, Any]) -> Value:
        if o["dim"] == 0:
            raise Refused("it mixes the samples of a batch")
        return self.value(shape, self.part(inputs[0], o["dim"], o["start"], o["start"] + shape[o["dim"]]))

    def on_slice_scatter(self, inputs: list[Any], shape: list[int], o: dict[str, Any]) -> Value:
        x, source = self.repeated(inputs[0], shape), inputs[1]
        axis, start, end = o["dim"], o["start"], o["start"] + source.shape[o["dim"]]
        pieces = [self.part(x, axis, 0, start)] if start else []
        pieces.append(self.repeated(source, source.shape).best)
        pieces += [self.part(x, axis, end, shape[axis])] if end < shape[axis] else []
        return self.value(shape, self.layers.Concatenate(axis=AXES[axis] if len(shape) == 4 else axis)(pieces))

    def on_permute(self, inputs: list[Any], shape: list[int], o: dict[str, Any]) -> Value:
        if o["order"][0] != 0:
            raise Refused("it mixes the samples of a batch")
        return Value(shape, plain=self.layers.Permute(tuple(o["order"][1:]))(inputs[0].plain))

    def on_view(self, inputs: list[Any], shape: list[int], o: dict[str, Any]) -> Value:
        x = inputs[0]
        if len(shape) == 4 and shape[2:] == [1, 1] and len(x.shape) == 2:
            return Value(shape, last=self.layers.Reshape((1, 1, shape[1]))(x.plain))
        if len(x.shape) == 4 and x.shape[2:] == [1, 1] and len(shape) == 2:
            return Value(shape, plain=self.layers.Reshape((shape[1],))(x.last))
        if len(shape) > 1 and len(x.shape) > 1:
            return Value(shape, plain=self.layers.Reshape(tuple(shape[1:]))(x.plain))
        return Value(shape, plain=self.ops.reshape(x.plain, (-1, *shape[1:])))

    def on_expand(self, inputs: list[Any], shape: list[int], o: dict[str, Any]) -> Value:
        x = inputs[0]
        if not isinstance(x, Value) or len(x.shape) != len(shape):
            raise Refused("it mixes the samples of a batch")
        times = [side // own for side, own in zip(shape, x.shape, strict=True)]
        order = [times[i] for i in LAST] if len(shape) == 4 else times
        return self.value(shape, self.ops.tile(x.best, order))

    def on_pad(self, inputs: list[Any], shape: list[int], o: dict[str, Any]) -> Value:
        (x,), (top, left, bottom, right) = inputs, o["sides"]
        sides = [(top, bottom), (left, right)]
        if o["mode"] == "constant" and not o["value"]:
            return Value(shape, last=self.padded(x.last, sides))
        mode = {"constant": "constant", "reflect": "reflect", "replicate": "edge"}[o["mode"]]
        value = {"constant_values": o["value"]} if mode == "constant" else {}
        width = [[0, 0], *map(list, sides), [0, 0]]
        return Value(shape, last=self.ops.pad(x.last, width, mode=mode, **value))

    def on_nearest(self, inputs: list[Any], shape: list[int], o: dict[str, Any]) -> Value:
        (x,) = inputs
        if all(shape[i] % x.shape[i] == 0 for i in (2, 3)):
            times = tuple(shape[i] // x.shape[i] for i in (2, 3))
            return Value(shape, last=self.layers.UpSampling2D(times, interpolation="nearest")(x.last))
        made = x.last
        for i in (2, 3):
            rows = np.arange(shape[i]) * x.shape[i] // shape[i]
            made = self.ops.take(made, rows.astype(np.int32), axis=i - 1)
        return Value(shape, last=made)

    def on_bilinear(self, inputs: list[Any], shape: list[int], o: dict[str, Any]) -> Value:
        (x,) = inputs
        if any(shape[i] % x.shape[i] for i in (2, 3)):
            raise Refused("it enlarges pictures by no whole number")
        times = tuple(shape[i] // x.shape[i] for i in (2, 3))
        return Value(shape, last=self.layers.UpSampling2D(times, interpolation="bilinear")(x.last))

    def on_pixel_shuffle(self, inputs: list[Any], shape: list[int], o: dict[str, Any]) -> Value:
        """Keras reads the channels of a pixel row by row of the small square, PyTorch channel by channel."""
        (x,), r = inputs, o["factor"]
        order = np.arange(x.shape[1], dtype=np.int32).reshape(-1, r * r).T.reshape(-1)
        made = self.ops.take(x.last, order, axis=3)
        return Value(shape, last=self.ops.depth_to_space(made, r, data_format="channels_last"))

    def on_avg_pool(self, inputs: list[Any], shape: list[int], o: dict[str, Any]) -> Value:
        return Value(shape, last=self.layers.AveragePooling2D(tuple(o["window"]))(inputs[0].last))

    def on_max_pool(self, inputs: list[Any], shape: list[int], o: dict[str, Any]) -> Value:
        """Padded at the end with the smallest number where windows are cut off by the border."""
        (x,), window = inputs, o["window"]
        made = x.last
        missing = [shape[i + 2] * window[i] - x.shape[i + 2] for i in (0, 1)]
        if any(each > 0 for each in missing):
            sides = [[0, 0], *[[0, max(0, each)] for each in missing], [0, 0]]
            made = self.ops.pad(made, sides, mode="constant", constant_values=float(np.finfo(np.float32).min))
        return Value(shape, last=self.layers.MaxPooling2D(tuple(window))(made))

    def on_mean(self, inputs: list[Any], shape: list[int], o: dict[str, Any]) -> Value:
        x, axes = inputs[0], o["axes"]
        if 0 in axes:
            raise Refused("it mixes the samples of a batch")
        keeps = len(x.shape) == len(shape)
        if len(x.shape) == 4 and axes == [2, 3]:
            return self.value(shape, self.layers.GlobalAveragePooling2D(keepdims=keeps)(x.last))
        if keeps:
            places = [AXES[axis] for axis in axes] if len(shape) == 4 else axes
            return self.value(shape, self.ops.mean(x.best, axis=places, keepdims=True))
        return self.value(shape, Value(shape, plain=self.ops.mean(x.plain, axis=axes)).best)


ACTIVATIONS = ("relu", "tanh", "sigmoid", "elu", "silu", "softplus")
UNARY = {"abs": "abs", "exp": "exp", "neg": "negative", "square": "square", "sqrt": "sqrt", "rsqrt": "rsqrt"}
BINARY = {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "div": "divide",
    "or": "maximum",
    "eq": "equal",
    "gt": "greater",
    "ge": "greater_equal",
    "lt": "less",
    "le": "less_equal",
}
COMPARISONS = {"eq", "gt", "ge", "lt", "le"}
KINDS = {*ACTIVATIONS, *UNARY, *BINARY, *(name.removeprefix("on_") for name in vars(Builder) if name.startswith("on_"))}


def main(folder: Path) -> None:
    import keras

    backend: str = keras.backend.backend()
    errors: dict[int, str] = {}
    for number, part in enumerate(json.loads((folder / "job.json").read_text())):
        with np.load(folder / f"{number}.npz") as file:
            arrays = dict(file)
        path = Path(part["path"])
        try:
            if not path.exists():
                constants = {int(key[1:]): array for key, array in arrays.items() if key.startswith("c")}
                Builder(part, constants).model.save(path)
            model = keras.saving.load_model(path, compile=False)
            made = {}
            for batch in part["batches"]:
                inputs = [arrays[f"x{i}_{batch}"] for i in range(len(part["inputs"]))]
                made[batch] = model.predict_on_batch(inputs)
                seconds = []
                for _ in range(part["repeats"]):
                    start = perf_counter()
                    model.predict_on_batch(inputs)
                    seconds.append(perf_counter() - start)
                if seconds:
                    made["seconds"] = np.array(min(seconds))
            np.savez(folder / f"{number}-{backend}.npz", **made)
        except Refused as error:
            errors[number] = str(error)
    (folder / f"errors-{backend}.json").write_text(json.dumps({"errors": errors, "keras": keras.__version__}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
