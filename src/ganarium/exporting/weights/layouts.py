"""Which network a file of weights is for, from the names and shapes of its tensors alone."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ganarium.errors import UserError
from ganarium.exporting.weights.pickled import Stored

Shapes = Mapping[str, tuple[int, ...]]
WRAPPERS = ("params_ema", "params", "state_dict", "model_state_dict", "model", "netG", "generator", "G")
PREFIXES = ("module.", "generator.", "netG.", "_orig_mod.")
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
MOST_LEVELS = 12  # of a U-Net: 4096 pixels
PYTORCH_GAN_EPS = 0.8  # of its batch norms, which was meant as a momentum
EPS = 1e-5  # of ours


@dataclass(frozen=True)
class Layout:
    """What a file was recognised as, and where our network's tensors are in it."""

    name: str
    """In words."""
    model: str
    options: dict[str, Any]
    shape: tuple[int, int, int]
    """(c, h, w) of the images, which the file may not say."""
    part: str
    """The module of our model that the file fills."""
    tensors: dict[str, str]
    """Name in that module -> name in the file."""
    directions: tuple[str, ...] = ()
    fold: Callable[[dict[str, Tensor], Callable[[str], Tensor]], None] | None = None
    """Changes what was taken where the other program computes otherwise."""
    ignored: frozenset[str] = frozenset()
    """Names in the file that change nothing."""
    notes: tuple[str, ...] = field(default=())


class Unfit(UserError):
    """A file that is recognised and cannot be used, with the reason."""


def unwrapped(content: Any) -> dict[str, Stored]:
    """The tensors of a network by name, out of the wrappers that training code puts around them.

    Averaged weights (`params_ema`) come before others. Raises `UserError` where there are none.
    """
    for _ in range(4):
        if not isinstance(content, dict):
            break
        tensors = {key: value for key, value in content.items() if isinstance(value, Stored)}
        if tensors and all(isinstance(key, str) for key in tensors):
            return _without_prefixes(tensors)
        inner = next((content[key] for key in WRAPPERS if isinstance(content.get(key), dict)), None)
        if inner is None:
            break
        content = inner
    raise UserError("no tensors by name are in it: save the state_dict of one generator.")


def _without_prefixes(tensors: dict[str, Stored]) -> dict[str, Stored]:
    while prefix := next((p for p in PREFIXES if all(key.startswith(p) for key in tensors)), None):
        tensors = {key.removeprefix(prefix): value for key, value in tensors.items()}
    return tensors


def recognised(shapes: Shapes) -> Layout:
    """The layout of a file. Raises `UserError` for one that is not known, `Unfit` for one that cannot be used."""
    for recognise in (_rrdb, _rrdb_of_pytorch_gan, _msrresnet, _srresnet_of_pytorch_gan, _resnet, _unet, _pytorch_unet):
        layout = recognise(shapes)
        if layout:
            left = sorted(shapes.keys() - set(layout.tensors.values()) - layout.ignored)
            missing = sorted(set(layout.tensors.values()) - shapes.keys())
            if missing or left:
                what = f"{missing[0]} is missing" if missing else f"{left[0]} has no place in it"
                raise Unfit(f"it looks like {layout.name}, but {what}.")
            return layout
    some = ", ".join(sorted(shapes)[:2])
    raise UserError(
        f"its tensors ({some}, ...) are of no generator that is known here: CycleGAN and pix2pix of the authors' code, "
        "cyclegan, pix2pix, srgan and esrgan of PyTorch-GAN, RRDBNet of ESRGAN, Real-ESRGAN and BSRGAN, and SRResNet "
        "of BasicSR are."
    )


def _count(shapes: Shapes, pattern: str) -> int:
    """How many different numbers the group of a pattern has in the names, which must be 0, 1, 2 ..."""
    numbers = {int(match[1]) for key in shapes if (match := re.match(pattern, key))}
    if numbers != set(range(len(numbers))):
        raise Unfit("some of its blocks are missing.")
    return len(numbers)


def _both(tensors: dict[str, str], ours: str, theirs: str, *, bias: bool = True) -> None:
    tensors[f"{ours}.weight"] = f"{theirs}.weight"
    if bias:
        tensors[f"{ours}.bias"] = f"{theirs}.bias"


def _side(shapes: Shapes, key: str, axis: int) -> int:
    """A side of a tensor that every file of this layout has."""
    shape = shapes.get(key, ())
    if len(shape) != 4:
        raise Unfit(f"{key} is missing, or of no convolution.")
    return shape[axis]


def _same_channels(inputs: int, outputs: int, name: str) -> int:
    if inputs != outputs:
        raise Unfit(f"it is {name} of {inputs} channels to {outputs}, and here both kinds of image have as many.")
    return inputs


# ---- super-resolution --------------------------------------------------------------------------------------

RRDB_FORMS = {  # first, a dense block's convolution, middle, a doubling, before the last, last
    "RRDBNet as in Real-ESRGAN and BasicSR": (
        "conv_first",
        "body.{block}.rdb{dense}.conv{layer}",
        "conv_body",
        "conv_up{level}",
        "conv_hr",
        "conv_last",
    ),
    "RRDBNet as in BSRGAN": (
        "conv_first",
        "RRDB_trunk.{block}.RDB{dense}.conv{layer}",
        "trunk_conv",
        "upconv{level}",
        "HRconv",
        "conv_last",
    ),
}


def _rrdb(shapes: Shapes) -> Layout | None:
    if any("conv1x1" in key for key in shapes):
        raise Unfit("it is ESRGAN+, whose dense blocks have 1x1 convolutions that RRDBNet has not.")
    if "model.1.sub.0.RDB1.conv1.0.weight" in shapes:
        name, forms = "RRDBNet as in the first ESRGAN", _old_rrdb(shapes)
    elif "body.0.rdb1.conv1.weight" in shapes or "RRDB_trunk.0.RDB1.conv1.weight" in shapes:
        name = [*RRDB_FORMS]["RRDB_trunk.0.RDB1.conv1.weight" in shapes]
        forms = RRDB_FORMS[name]
    else:
        return None
    first, dense, _, doubling, _, last = forms
    block_pattern = re.escape(dense).replace(r"\{block\}", r"(\d+)").replace(r"\{dense\}", "1")
    blocks = _count(shapes, block_pattern.replace(r"\{layer\}", "1") + r"\.weight")
    doublings = 0
    while f"{doubling.format(level=doublings + 1, place=3 * (doublings + 1))}.weight" in shapes:
        doublings += 1
    if "model.1.sub.0.RDB1.conv1.0.weight" in shapes:  # its last two convolutions have numbers as well
        doublings = (int(last.split(".")[1]) - 4) // 3
    width, growth = _side(shapes, f"{first}.weight", 0), _side(shapes, _dense(dense, 0, 1, 1) + ".weight", 0)
    outputs, inputs = _side(shapes, f"{last}.weight", 0), _side(shapes, f"{first}.weight", 1)
    unshuffle = next((n for n in (1, 2, 4) if inputs == outputs * n * n), None)
    if unshuffle is None:
        raise Unfit(f"it is {name} of {inputs} channels to {outputs}, which no picture has.")
    scale = 2**doublings // unshuffle
    if doublings > 3 or scale < 1:
        raise Unfit(
            f"it is {name} with {doublings} doublings and unshuffle {unshuffle}, which is no scale from 1 to 8."
        )
    tensors = rrdb_names(forms, blocks, doublings)
    options = {"scale": scale, "unshuffle": unshuffle, "width": width, "num_blocks": blocks, "growth": growth}
    return Layout(f"{name}, x{scale}", "esrgan", options, (outputs, 128, 128), "generator", tensors)


def rrdb_names(forms: Sequence[str], blocks: int, doublings: int) -> dict[str, str]:
    """Names in our RRDBNet -> names in a file, by the forms of its layout."""
    first, dense, middle, doubling, before_last, last = forms
    tensors: dict[str, str] = {}
    _both(tensors, "first", first)
    for block in range(blocks):
        for number in range(3):
            for layer in range(4):
                ours = f"blocks.{block}.blocks.{number}.layers.{layer}"
                _both(tensors, ours, _dense(dense, block, number + 1, layer + 1))
            _both(tensors, f"blocks.{block}.blocks.{number}.last", _dense(dense, block, number + 1, 5))
    _both(tensors, "middle", middle.format(blocks=blocks))
    for level in range(doublings):
        _both(tensors, f"doublings.{level}", doubling.format(level=level + 1, place=3 * (level + 1)))
    _both(tensors, "before_last", before_last)
    _both(tensors, "last", last)
    return tensors


def _dense(form: str, block: int, dense: int, layer: int) -> str:
    return form.format(block=block, dense=dense, layer=layer)


def _old_rrdb(shapes: Shapes) -> tuple[str, ...]:
    """Names in one sequence: 0, 1.sub, then 3, 6 ... for the doublings, and two more convolutions."""
    top = max(int(match[1]) for key in shapes if (match := re.match(r"model\.(\d{1,3})\.weight$", key)))
    if top not in (4, 7, 10, 13):
        raise Unfit(f"it looks like RRDBNet as in the first ESRGAN, but ends in model.{top}.")
    dense = "model.1.sub.{block}.RDB{dense}.conv{layer}.0"
    return ("model.0", dense, "model.1.sub.{blocks}", "model.{place}", f"model.{top - 2}", f"model.{top}")


def _rrdb_of_pytorch_gan(shapes: Shapes) -> Layout | None:
    if "res_blocks.0.dense_blocks.0.b1.0.weight" not in shapes:
        return None
    blocks = _count(shapes, r"res_blocks\.(\d+)\.dense_blocks\.0\.b1\.0\.weight")
    doublings = sum(f"upsampling.{3 * n}.weight" in shapes for n in range(4))
    width, channels = _side(shapes, "conv1.weight", 0), _side(shapes, "conv1.weight", 1)
    if not 1 <= doublings <= 3:
        raise Unfit(f"it is esrgan of PyTorch-GAN with {doublings} doublings: 1, 2 and 3 are known here.")
    tensors: dict[str, str] = {}
    _both(tensors, "first", "conv1")
    for block in range(blocks):
        for dense in range(3):
            for layer in range(4):
                theirs = f"res_blocks.{block}.dense_blocks.{dense}.b{layer + 1}.0"
                _both(tensors, f"blocks.{block}.blocks.{dense}.layers.{layer}", theirs)
            _both(tensors, f"blocks.{block}.blocks.{dense}.last", f"res_blocks.{block}.dense_blocks.{dense}.b5.0")
    _both(tensors, "middle", "conv2")
    for level in range(doublings):
        _both(tensors, f"doublings.{level}", f"upsampling.{3 * level}")
    _both(tensors, "before_last", "conv3.0")
    _both(tensors, "last", "conv3.2")
    options = {"generator": "pytorch_gan", "scale": 2**doublings, "width": width, "num_blocks": blocks}
    options["growth"] = _side(shapes, "res_blocks.0.dense_blocks.0.b1.0.weight", 0)
    name = f"esrgan of PyTorch-GAN, x{2**doublings}"
    return Layout(name, "esrgan", options, (channels, 128, 128), "generator", tensors)


def _msrresnet(shapes: Shapes) -> Layout | None:
    trunk = next((trunk for trunk in ("body", "recon_trunk") if f"{trunk}.0.conv1.weight" in shapes), None)
    if trunk is None or "upconv1.weight" not in shapes:
        return None
    blocks, width = _count(shapes, trunk + r"\.(\d+)\.conv1\.weight"), _side(shapes, "conv_first.weight", 0)
    channels = _same_channels(_side(shapes, "conv_first.weight", 1), _side(shapes, "conv_last.weight", 0), "SRResNet")
    if _side(shapes, "upconv1.weight", 0) != 4 * width:
        raise Unfit("it is SRResNet of BasicSR of a scale that is no power of 2, and 2 and 4 are known here.")
    scale = 4 if "upconv2.weight" in shapes else 2
    tensors: dict[str, str] = {}
    _both(tensors, "first", "conv_first")
    for block in range(blocks):
        _both(tensors, f"blocks.{block}.layers.0", f"{trunk}.{block}.conv1")
        _both(tensors, f"blocks.{block}.layers.2", f"{trunk}.{block}.conv2")
    for level in range(scale // 2):
        _both(tensors, f"doublings.{level}", f"upconv{level + 1}")
    _both(tensors, "before_last", "conv_hr" if "conv_hr.weight" in shapes else "HRconv")
    _both(tensors, "last", "conv_last")
    options = {"generator": "basicsr", "scale": scale, "width": width, "num_blocks": blocks}
    return Layout(f"SRResNet of BasicSR, x{scale}", "srgan", options, (channels, 96, 96), "generator", tensors)


def _srresnet_of_pytorch_gan(shapes: Shapes) -> Layout | None:
    if "res_blocks.0.conv_block.0.weight" not in shapes or "conv1.0.weight" not in shapes:
        return None
    if "conv1.1.weight" not in shapes:
        raise Unfit(
            "it is srgan of PyTorch-GAN as it was before PReLU took the place of ReLU, which is not known here."
        )
    blocks = _count(shapes, r"res_blocks\.(\d+)\.conv_block\.0\.weight")
    doublings = sum(f"upsampling.{4 * n}.weight" in shapes for n in range(4))
    width, channels = _side(shapes, "conv1.0.weight", 0), _side(shapes, "conv1.0.weight", 1)
    if not 1 <= doublings <= 3:
        raise Unfit(f"it is srgan of PyTorch-GAN with {doublings} doublings: 1, 2 and 3 are known here.")
    tensors: dict[str, str] = {}
    norms = []  # (convolution, norm, norm of ours)
    _both(tensors, "first.0", "conv1.0")
    tensors["first.1.weight"] = "conv1.1.weight"
    for block in range(blocks):
        theirs, ours = f"res_blocks.{block}.conv_block", f"blocks.{block}.layers"
        for place in (0, 3):
            _both(tensors, f"{ours}.{place}", f"{theirs}.{place}", bias=False)
            norms.append((f"{theirs}.{place}", f"{theirs}.{place + 1}", f"{ours}.{place + 1}"))
        tensors[f"{ours}.2.weight"] = f"{theirs}.2.weight"
    _both(tensors, "middle.0", "conv2.0", bias=False)
    norms.append(("conv2.0", "conv2.1", "middle.1"))
    for _, norm, ours in norms:
        _both(tensors, ours, norm)
        tensors |= {f"{ours}.{name}": f"{norm}.{name}" for name in STATISTICS}
    ignored = {f"{convolution}.bias" for convolution, _, _ in norms}
    for level in range(doublings):
        _both(tensors, f"doublings.{level}.0", f"upsampling.{4 * level}")
        tensors[f"doublings.{level}.2.weight"] = f"upsampling.{4 * level + 3}.weight"
        ignored |= {f"upsampling.{4 * level + 1}.{name}" for name in ("weight", "bias", *STATISTICS)}
    _both(tensors, "last", "conv3.0")

    def fold(taken: dict[str, Tensor], fetch: Callable[[str], Tensor]) -> None:
        for convolution, _, ours in norms:  # its bias and its eps, as statistics
            taken[f"{ours}.running_mean"] = taken[f"{ours}.running_mean"] - fetch(f"{convolution}.bias")
            taken[f"{ours}.running_var"] = taken[f"{ours}.running_var"] + (PYTORCH_GAN_EPS - EPS)
        for level in range(doublings):  # batch norm, as part of the convolution before it
            norm = {name: fetch(f"upsampling.{4 * level + 1}.{name}") for name in ("weight", "bias", *STATISTICS[:2])}
            factor = norm["weight"] / (norm["running_var"] + EPS).sqrt()
            weight, bias = f"doublings.{level}.0.weight", f"doublings.{level}.0.bias"
            taken[weight] = taken[weight] * factor.view(-1, 1, 1, 1)
            taken[bias] = (taken[bias] - norm["running_mean"]) * factor + norm["bias"]

    options = {"generator": "pytorch_gan", "scale": 2**doublings, "width": width, "num_blocks": blocks}
    name = f"srgan of PyTorch-GAN, x{2**doublings}"
    dark = "its tanh keeps every colour near the middle, so pictures come out pale, as in PyTorch-GAN"
    return Layout(
        name, "srgan", options, (channels, 96, 96), "generator", tensors, (), fold, frozenset(ignored), (dark,)
    )


# ---- images to images --------------------------------------------------------------------------------------


def _resnet(shapes: Shapes) -> Layout | None:
    inner = re.compile(r"model\.(\d{1,3})\.(conv_block|block)\.1\.weight$")
    matches = [match for key in shapes if (match := inner.match(key))]
    if not matches:
        return None
    kind, blocks = matches[0][2], len(matches)
    if {int(match[1]) for match in matches} != set(range(10, 10 + blocks)):
        raise Unfit("it looks like CycleGAN's generator, but its blocks do not stand where they should.")
    end = 10 + blocks
    transposed = f"model.{end}.weight" in shapes
    ups, last = ((end, end + 3), end + 7) if transposed else ((end + 1, end + 5), end + 9)
    name = f"CycleGAN's ResNet with {blocks} blocks" + ("" if transposed else ", resizing, as in PyTorch-GAN")
    if "model.2.weight" in shapes:
        raise Unfit(
            f"it is {name} and batch norm (or instance norm with weights), and here CycleGAN has instance norm without."
        )
    dropout = f"model.10.{kind}.6.weight" in shapes
    second = 6 if dropout else 5
    tensors: dict[str, str] = {}
    for place in (1, 4, 7):
        _both(tensors, f"layers.{place}", f"model.{place}")
    for block in range(10, end):
        _both(tensors, f"layers.{block}.layers.1", f"model.{block}.{kind}.1")
        _both(tensors, f"layers.{block}.layers.5", f"model.{block}.{kind}.{second}")
    for number, up in enumerate(ups):
        _both(tensors, f"layers.{end + 3 * number}" + ("" if transposed else ".1"), f"model.{up}")
    _both(tensors, f"layers.{end + 7}", f"model.{last}")
    channels = _same_channels(_side(shapes, "model.1.weight", 1), _side(shapes, f"model.{last}.weight", 0), name)
    width = _side(shapes, "model.1.weight", 0)
    options = {"num_blocks": blocks, "width": width, "upsampling": "transposed" if transposed else "resize"}
    ignored = frozenset(key for key in shapes if key.endswith(STATISTICS))  # of instance norm as it once was
    notes = ("its dropout is off, as with --eval of the authors' test.py",) if dropout else ()
    side = 256 if blocks > 6 else 128
    return Layout(name, "cyclegan", options, (channels, side, side), "a2b", tensors, ("a2b",), None, ignored, notes)


def _unet(shapes: Shapes) -> Layout | None:
    if "model.model.0.weight" not in shapes:
        return None
    tensors: dict[str, str] = {}
    _both(tensors, "down.0.0", "model.model.0", bias=False)
    _both(tensors, "up.0.1", "model.model.3")
    place, levels = "model.model.1.model", 1
    if any(f"{outer}.bias" in shapes for outer in ("model.model.0", f"{place}.1")):
        raise Unfit("it is pix2pix's U-Net with instance norm, and here it has batch norm.")
    while f"{place}.1.weight" in shapes:
        innermost = f"{place}.5.weight" not in shapes
        _both(tensors, f"down.{levels}.1", f"{place}.1", bias=False)
        norms = {f"up.{levels}.2": f"{place}.{4 if innermost else 6}"}
        _both(tensors, f"up.{levels}.1", f"{place}.{3 if innermost else 5}", bias=False)
        if not innermost:
            norms[f"down.{levels}.2"] = f"{place}.2"
        for ours, theirs in norms.items():
            _both(tensors, ours, theirs)
            tensors |= {f"{ours}.{name}": f"{theirs}.{name}" for name in STATISTICS}
        place, levels = f"{place}.3.model", levels + 1
        if levels > MOST_LEVELS:
            raise Unfit(f"it is a U-Net of more than {MOST_LEVELS} levels.")
    name = f"pix2pix's U-Net of {levels} levels"
    channels = _same_channels(_side(shapes, "model.model.0.weight", 1), _side(shapes, "model.model.3.weight", 1), name)
    options = {"generator": "released", "levels": levels, "width": _side(shapes, "model.model.0.weight", 0)}
    ignored = frozenset(key for key in tensors.values() if key.endswith("num_batches_tracked") and key not in shapes)
    tensors = {ours: theirs for ours, theirs in tensors.items() if theirs not in ignored}
    notes = ("whether it was trained with dropout cannot be seen in it: it is on, as the authors have it",)
    side = 2**levels
    return Layout(
        name, "pix2pix", options, (channels, side, side), "generator", tensors, ("a2b",), None, frozenset(), notes
    )


def _pytorch_unet(shapes: Shapes) -> Layout | None:
    if "down1.model.0.weight" not in shapes or "up1.model.0.weight" not in shapes:
        return None
    levels = sum(f"down{number}.model.0.weight" in shapes for number in range(1, MOST_LEVELS + 1))
    if _side(shapes, "down1.model.0.weight", 2) != 4 or "final.2.weight" not in shapes or levels < 2:
        raise Unfit("it is a U-Net of an earlier PyTorch-GAN, with 3x3 convolutions, which is not known here.")
    tensors = {f"down.{level}.0.weight": f"down{level + 1}.model.0.weight" for level in range(levels)}
    tensors |= {f"up.{number}.0.weight": f"up{number + 1}.model.0.weight" for number in range(levels - 1)}
    _both(tensors, "last.2", "final.2")
    name = f"pix2pix of PyTorch-GAN with {levels} levels"
    channels = _same_channels(_side(shapes, "down1.model.0.weight", 1), _side(shapes, "final.2.weight", 0), name)
    options = {"generator": "pytorch_gan", "levels": levels, "width": _side(shapes, "down1.model.0.weight", 0)}
    side = 2**levels
    return Layout(name, "pix2pix", options, (channels, side, side), "generator", tensors, ("a2b",))


def torch_tensors(layout: Layout, fetch: Callable[[str], Tensor]) -> dict[str, Tensor]:
    """The tensors of our module in float32, by our names. Raises `UserError` if a number is not finite."""
    taken = {}
    for ours, theirs in layout.tensors.items():
        value = fetch(theirs)
        taken[ours] = value.float() if value.is_floating_point() else value
    if layout.fold:
        layout.fold(taken, lambda key: fetch(key).float())
    for ours, value in taken.items():
        if not bool(torch.isfinite(value).all()):
            raise UserError(f"{layout.tensors[ours]} has numbers that are not finite.")
    return taken
