"""The networks of a model as functions of tensors alone: what every export starts from.

A `Network` has no hidden state. Codes, labels and pictures are its inputs, and so is every random number that the model
draws on the way (dropout that stays on, maps of noise): the same inputs give the same picture anywhere.
"""

import copy
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.overrides import TorchFunctionMode

from ganarium.errors import UserError
from ganarium.model import Model

STATISTICS_BATCHES, STATISTICS_BATCH = 16, 64  # of codes, whose statistics take the place of those of a batch

Kind = Literal["code", "normal", "uniform", "label", "text", "truncation", "image", "mask"]


@dataclass(frozen=True)
class Input:
    """One input of a network: (b, *shape) of float32, or (b,) of int64 for a label.

    A `code` is drawn from the model's prior; `normal` and `uniform` are noise, on [0, 1) the latter; an `image` is in
    [-1, 1]; a `text` is a sentence as `model.sentences` embeds it; a `truncation` is 0 for the average image and 1
    for one as in training; a `mask` is 1 where an image has a hole and 0
    elsewhere.
    """

    name: str
    kind: Kind
    shape: tuple[int, ...]


class Network(nn.Module):
    """One ability of a model: inputs (b, ...), in the order of `inputs`, -> images, points or probabilities (b, ...).

    `name` is generate, classify, upscale, inpaint, or a direction of `translate`.
    """

    def __init__(self, model: Model, name: str, inputs: Sequence[Input]) -> None:
        super().__init__()
        self.model, self.name = model, name
        self.inputs = [*inputs]
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            drawn = self.draw(2, noise=False)
            with _Recorder() as probe:
                made = self._forward(*drawn)
        for number, (kind, shape) in enumerate(probe.drawn, 1):
            if shape[:1] != (2,):
                raise UserError(f"{type(model).__name__} draws random numbers that belong to no sample: no export.")
            self.inputs.append(Input(f"noise{number}", kind, shape[1:]))
        self.output_shape = tuple(made.shape[1:])

    @property
    def num_noises(self) -> int:
        """How many of the inputs, the last ones, are noise that the network draws on its way."""
        return sum(each.kind in ("normal", "uniform") for each in self.inputs)

    @property
    def _conditions(self) -> list[str]:
        """What `generate` calls the first inputs."""
        return ["latent", *(each.name for each in self.inputs if each.kind in ("label", "text", "truncation"))]

    def draw(self, n: int, *, noise: bool = True) -> list[Tensor]:
        """Random inputs of `n` samples, from torch's generator."""
        return [self._draw(each, n) for each in self.inputs if noise or each.kind not in ("normal", "uniform")]

    def _draw(self, each: Input, n: int) -> Tensor:
        if each.kind == "code":
            return self.model.latent(n).float()
        if each.kind == "label":
            return self.model.random_labels(n)
        if each.kind == "text":
            return self.model.sentences(["a picture"]).float() + torch.randn(n, *each.shape)
        if each.kind == "truncation":
            return torch.rand(n) / 2 + 0.5
        if each.kind == "mask":
            return self.model.holes(n).float()
        if each.kind == "image":
            return torch.rand(n, *each.shape) * 2 - 1
        return torch.randn(n, *each.shape) if each.kind == "normal" else torch.rand(n, *each.shape)

    def why_apart(self, tolerance: float) -> str:
        """Why another program gives other numbers, as a sentence, where the network makes rounding large: PyTorch's own
        float32 is far from float64 then. Else nothing."""
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(0)
            inputs = self.draw(2)
            exact = copy.deepcopy(self).double()(*(x.double() if x.is_floating_point() else x for x in inputs))
            own = float((exact.float() - self(*inputs)).abs().max())
        if not own > tolerance / 10:
            return ""
        return (
            f" PyTorch's own float32 is {own:.1e} from float64: the network may divide by what is nearly 0, as one "
            "does that was hardly trained."
        )

    def forward(self, *inputs: Tensor) -> Tensor:
        own = len(inputs) - self.num_noises
        with _Supplier(inputs[own:]):
            return self._forward(*inputs[:own])

    def _forward(self, *inputs: Tensor) -> Tensor:
        model, name = self.model, self.name
        if name == "generate":
            made = model.generate(len(inputs[0]), **dict(zip(self._conditions, inputs, strict=True)))
        elif name == "classify":
            return model.class_logits(*inputs).float().softmax(1)
        elif name == "upscale":
            made = model.enlarged(*inputs)
        elif name == "inpaint":
            image, mask = inputs
            made = torch.where(mask > 0.5, model.filled(image, mask > 0.5), image)
        else:
            made = model.mapped(inputs[0], name)
        return made.clamp(-1, 1) if len(model.shape) == 3 else made


def networks(model: Model, size: tuple[int, int] | None = None) -> list[Network]:
    """All networks of a model that can be exported, on the CPU in float32. The model itself is left as it is.

    Averaged weights stand in them where the model keeps some. Batch norm that a paper samples with the statistics of
    the batch has fixed ones instead, the mean over 16 batches of 64 codes, so that a sample depends on its own code; in
    a model that maps pictures it has the statistics of the picture, as `translate` has. `size` (height, width) is that
    of the pictures to map; default: the size that the model was trained on.

    A translation that a model searches for by gradients is left out. Raises `UserError` for a model that is no function
    of a code or a picture.
    """
    model = steady(model)
    shape = model.shape if size is None else (model.shape[0], *size)
    made = []
    if model.prior is not None:
        conditions = [Input("label", "label", ())] if model.conditional else []
        if model.captioned:
            conditions.append(Input("text", "text", tuple(model.sentences(["a picture"]).shape[1:])))
        if model.styles:
            conditions.append(Input("truncation", "truncation", ()))
        made.append(Network(model, "generate", [Input("code", "code", (model.prior.dim,)), *conditions]))
    for direction in model.directions:
        with suppress(Searches):
            made.append(Network(model, direction, [Input("image", "image", shape)]))
    if model.scale:
        low = (shape[0], *(side // model.scale for side in shape[1:])) if size is None else shape
        made.append(Network(model, "upscale", [Input("image", "image", low)]))
    if model.inpaints:
        pictures = [Input("image", "image", model.shape), Input("mask", "mask", (1, *model.shape[1:]))]
        made.append(Network(model, "inpaint", pictures))
    if model.classifies:
        # a classifier is asked without dropout and noise, whatever the mode in which samples are made
        judge = copy.deepcopy(model).eval()
        made.append(Network(judge, "classify", [Input("image", "image", model.shape)]))
    if not made:
        raise UserError(
            f"{type(model).__name__} makes its samples value by value, which is no single pass through a network: it "
            "cannot be exported; use `ganarium sample`."
        )
    return made


def steady(model: Model) -> Model:
    """A copy of a model, float32 on the CPU, in which a sample or picture depends on nothing but its own inputs."""
    with model.averaged():
        made = copy.deepcopy(model)
    made.averages = {}
    made = made.float().cpu().to(memory_format=torch.contiguous_format).requires_grad_(False).eval()
    if made.sample_mode == "eval":
        return made
    if made.prior is None:
        for name, layer in list(made.named_modules()):
            if isinstance(layer, _BatchNorm):
                made.set_submodule(name, PictureNorm(layer))
    else:
        _fix_statistics(made)
    for layer in made.modules():
        if isinstance(layer, nn.Dropout | nn.Dropout2d):
            layer.train()
    return made


def _fix_statistics(model: Model) -> None:
    """Batch norm gets the mean statistics of batches of codes, as `sample` would have them."""
    layers = [layer for layer in model.modules() if isinstance(layer, _BatchNorm)]
    before = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # the plain mean over all batches
        layer.train()
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for _ in range(STATISTICS_BATCHES):
            model.generate(STATISTICS_BATCH)
    for layer, momentum in zip(layers, before, strict=True):
        layer.momentum = momentum
        if layer.num_batches_tracked:
            layer.eval()


class Searches(Exception):
    """A model finds its answer by gradients (cogan's translation): that is no pass through a network."""


class PictureNorm(nn.Module):
    """(b, c, h, w) -> the same: a batch norm that sees one picture at a time and normalises by its statistics."""

    def __init__(self, norm: _BatchNorm) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = norm.weight, norm.bias, norm.eps

    def forward(self, x: Tensor) -> Tensor:
        return F.instance_norm(x, weight=self.weight, bias=self.bias, eps=self.eps)


class _Recorder(TorchFunctionMode):
    """Notes which random numbers are drawn inside it, and draws them."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn: list[tuple[Kind, tuple[int, ...]]] = []

    def noise(self, kind: Kind, shape: Sequence[int], like: Tensor | None) -> Tensor:
        self.drawn.append((kind, tuple(shape)))
        return torch.randn(*shape) if kind == "normal" else torch.rand(*shape)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in (torch.randn, torch.rand):
            shape = args[0] if len(args) == 1 and isinstance(args[0], Sequence) else args
            return self.noise("normal" if func is torch.randn else "uniform", shape, None)
        if func in (torch.randn_like, torch.rand_like):
            return self.noise("normal" if func is torch.randn_like else "uniform", args[0].shape, args[0])
        if func in (Tensor.uniform_, Tensor.normal_):
            return self.filled(func, *args, **kwargs)
        if getattr(func, "__name__", "") in ("grad", "backward"):
            raise Searches
        if func is F.dropout:
            return self.dropout(*args, **kwargs)
        return func(*args, **kwargs)

    def filled(self, func: Any, x: Tensor, first: float | None = None, second: float | None = None) -> Tensor:
        low, high = 0.0 if first is None else first, 1.0 if second is None else second
        if func is Tensor.normal_:
            return self.noise("normal", x.shape, x) * high + low
        return self.noise("uniform", x.shape, x) * (high - low) + low

    def dropout(self, x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        if not training or p == 0:
            return x
        kept = (self.noise("uniform", x.shape, x) >= p).to(x.dtype)
        return x * kept / (1 - p)


class _Supplier(_Recorder):
    """Hands out given noise, in the order in which it is drawn."""

    def __init__(self, noises: Sequence[Tensor]) -> None:
        super().__init__()
        self.noises = iter(noises)

    def noise(self, kind: Kind, shape: Sequence[int], like: Tensor | None) -> Tensor:
        return next(self.noises)
