"""The contract of a model as a test: what is asked of every model of ganarium can be asked of yours.

import ganarium

def test_my_model():
    ganarium.testing.check_model("my_gan.py")
"""

import ast
import copy
import dataclasses
import sys
import tempfile
import traceback
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from ganarium import registry
from ganarium.data.batches import Batches
from ganarium.data.dataset import (
    CaptionedImages,
    Dataset,
    HighResolutionImages,
    PairedImages,
    Photos,
    SourceTargetImages,
    UnpairedImages,
)
from ganarium.errors import Diverged, UserError
from ganarium.model import Model, Step
from ganarium.runs import checkpoint, loading
from ganarium.runs.options import check_own_options
from ganarium.trainer import Trainer
from ganarium.training.state import capture, restore
from ganarium.version import __version__

__all__ = ["RULES", "Candidate", "NoSync", "check_model", "small_trainer", "synthetic_data"]

ITERATIONS = 10  # within which every parameter must move


def check_model(
    model: type[Model] | str | Path, *, shape: tuple[int, ...] = (1, 16, 16), num_classes: int | None = 4
) -> None:
    """Checks that a model keeps the contract, on small synthetic data: see `RULES`.

    `model` is a model file, a subclass of `Model` that a file defines, or a name of `list_models()`. It is built in the
    size of its `Config.small()`, if it has one, for images of `shape` (channels, height, width), or for points with the
    shape (2,), in `num_classes` classes (None: without labels). A minute or less on a CPU.

    Raises `AssertionError` for the first rule that is broken, in a sentence that names the rule, the place and the
    remedy, and `UserError` for a file that is no model file.

        ganarium.testing.check_model("my_gan.py")
        ganarium.testing.check_model("my_gan.py", shape=(2,))
    """
    candidate = Candidate(_name(model), tuple(shape), num_classes)
    with torch.random.fork_rng(devices=[]):
        for rule in RULES:
            rule(candidate)


def _name(model: type[Model] | str | Path) -> str:
    """What the registry calls a model: its name, or the path of its file."""
    if not isinstance(model, type):
        return registry.read_anew(model)
    if model.__module__.startswith("ganarium.models."):
        return model.__module__.rpartition(".")[2]
    file = getattr(sys.modules[model.__module__], "__file__", None)
    if not file or not file.endswith(".py"):
        raise UserError(f"{model.__name__} is in no file: write it to a model file, and give the path of that.")
    return registry.read_anew(file)


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A model that is checked, and the data it is checked on."""

    name: str  # as the registry knows it
    shape: tuple[int, ...] = (1, 16, 16)
    num_classes: int | None = 4

    @property
    def title(self) -> str:
        return registry.title(self.name)

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(registry.source(self.name).read_text(encoding="utf-8"))

    def at(self, node: ast.AST) -> str:
        """The place of a piece of the file, for errors."""
        return f"{registry.source(self.name).name}, line {getattr(node, 'lineno', 1)}"

    def trainer(self, **settings: Any) -> Trainer:
        return small_trainer(self.name, self.shape, self.num_classes, **settings)


def small_options(name: str) -> dict[str, Any]:
    """The options in which `Config.small()` of a model differs from its defaults."""
    config = registry.module(name).Config
    if not hasattr(config, "small"):
        return {}
    usual, small = config(), config.small()
    names = [field.name for field in dataclasses.fields(config)]
    return {name: getattr(small, name) for name in names if getattr(small, name) != getattr(usual, name)}


def small_trainer(
    name: str,
    shape: tuple[int, ...] = (1, 16, 16),
    num_classes: int | None = 4,
    *,
    total: int = 20,
    batch_size: int = 6,
    precision: str = "fp32",
    seed: int = 0,
    prepare: bool = True,
    **options: Any,
) -> Trainer:
    """A trainer of the small form of a model on synthetic data, at iteration 0; `options` are those of the model."""
    torch.manual_seed(seed)
    model = registry.create(name, shape, num_classes, **(small_options(name) | options))
    dtype = torch.float64 if precision == "fp64" else torch.float32
    data = synthetic_data(model.batch_type, shape, num_classes)
    batches = Batches(data, model.batch_type, batch_size, seed=seed, dtype=dtype)
    trainer = Trainer(model, batches, total, precision=precision)
    if prepare:
        trainer.prepare()
    return trainer


def synthetic_data(
    kind: type, shape: tuple[int, ...], num_classes: int | None = 4, *, n: int = 64, seed: int = 0
) -> Dataset:
    """`n` smooth random images, or normal points, from which batches of this kind can be drawn. The labels of three
    images of each class are known to a semi-supervised model."""
    generator = torch.Generator().manual_seed(seed)

    def images() -> Tensor:
        if len(shape) == 1:
            return torch.randn(n, *shape, generator=generator)
        channels, height, width = shape
        smooth = F.interpolate(torch.rand(n, channels, 4, 4, generator=generator), (height, width), mode="bilinear")
        return (smooth * 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()

    if kind in (UnpairedImages, PairedImages):
        return Dataset("synthetic", images(), second=images(), paired=kind is PairedImages)
    if kind is HighResolutionImages:
        stored, (channels, height, width) = images(), shape
        photos = Photos(stored.flatten(), torch.full((n,), height), torch.full((n,), width), (height, width), channels)
        return Dataset("synthetic", stored, photos=photos)
    if kind is SourceTargetImages:
        labels, names = torch.arange(n) % (num_classes or 1), tuple(f"class {k}" for k in range(num_classes or 1))
        return Dataset("synthetic", images(), labels, names, images(), target_labels=labels)
    captions = tuple((f"a smooth picture, number {place}",) for place in range(n)) if kind is CaptionedImages else None
    if num_classes is None:
        return Dataset("synthetic", images(), captions=captions)
    labels, labelled = torch.arange(n) % num_classes, torch.arange(min(n, 3 * num_classes))
    names = tuple(f"class {k}" for k in range(num_classes))
    return Dataset("synthetic", images(), labels, names, labelled=labelled, captions=captions)


# ---- the rules -----------------------------------------------------------------------------------------------------


def check_file(candidate: Candidate) -> None:
    """The card is written with literals, and every option is frozen, by keyword, explained and free to be given."""
    registry.card(candidate.name)  # a UserError says what is missing
    config = registry.module(candidate.name).Config
    check_own_options(candidate.name)
    parameters = config.__dataclass_params__
    _require(
        parameters.frozen and all(field.kw_only for field in dataclasses.fields(config)),
        f"Config of {candidate.title}",
        "its options can be changed, or be given by their place",
        "write `@dataclass(frozen=True, kw_only=True)` above it",
        "options are fixed",
    )
    docs = registry.field_docs(config)
    bare = [field.name for field in dataclasses.fields(config) if not docs.get(field.name, "").strip()]
    _require(
        not bare,
        f"Config of {candidate.title}",
        f"there is no help for {' and '.join(bare)}",
        "write a docstring under each field, with its unit and where in the paper it stands",
        "options are explained",
    )


def check_source(candidate: Candidate) -> None:
    """By the text of the file: `step` makes nobody wait for the device, and nothing is yielded inside `with`."""
    for node in ast.walk(candidate.tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            chance = sorted({"random", "numpy"} & {name.split(".")[0] for name in names})
            _require(
                not chance,
                candidate.at(node),
                f"{' and '.join(chance)} is imported, whose random numbers no checkpoint keeps",
                "draw with torch, on the model's device",
                "no synchronisation",
            )
        if isinstance(node, ast.FunctionDef) and "contextmanager" not in map(ast.unparse, node.decorator_list):
            blocks = [inner for inner in ast.walk(node) if isinstance(inner, ast.With)]
            yields = [
                inner for block in blocks for inner in ast.walk(block) if isinstance(inner, ast.Yield | ast.YieldFrom)
            ]
            _require(
                not yields,
                candidate.at(yields[0] if yields else node),
                "a yield stands inside a `with` block, which would hold while the trainer moves a player",
                "end the block before the yield",
                "no yield inside with",
            )
        if isinstance(node, ast.FunctionDef) and node.name == "step":
            for inner in ast.walk(node):
                waits = isinstance(inner, ast.Attribute) and inner.attr in ("item", "cpu", "tolist", "numpy")
                _require(
                    not waits,
                    candidate.at(inner),
                    f"step calls .{getattr(inner, 'attr', '')}(), for which the program waits for the device",
                    "keep numbers on the device, and hand them on as terms or by watch(...)",
                    "no synchronisation",
                )


def check_samples(candidate: Candidate) -> None:
    """Samples are finite float32 of the shape of the data, images in [-1, 1], and what is declared is there."""
    model = candidate.trainer().model
    samples = _samples(model)
    title, expected = candidate.title, (3, *candidate.shape)
    if model.scale:
        expected = (*expected[:2], *(model.scale * side for side in expected[2:]))
    _require(
        samples.shape == expected,
        f"samples of {title}",
        f"three of them have the shape {tuple(samples.shape)} and not {expected}",
        "let the generator make what `shape` says",
        "samples are as the data",
    )
    _require(
        samples.dtype == torch.float32 and bool(samples.isfinite().all()),
        f"samples of {title}",
        f"they are {samples.dtype}, or not all finite",
        "let the generator give finite numbers through `full` of ganarium.layers.precision",
        "samples are as the data",
    )
    _require(
        len(candidate.shape) == 1 or bool(samples.abs().max() <= 1),
        f"samples of {title}",
        "pixels are outside of [-1, 1]",
        "end the generator with tanh",
        "samples are as the data",
    )
    if model.prior is not None:
        codes = model.latent(5)
        _require(
            codes.shape == (5, model.prior.dim),
            f"latent of {title}",
            f"five codes have the shape {tuple(codes.shape)} and not {(5, model.prior.dim)}, as the prior declares",
            "declare the prior's dim for all of z",
            "what is declared is there",
        )
    image = torch.zeros(5, *candidate.shape)
    if model.conditional:
        model.sample(3, seed=1, label=0)
    if model.code:
        model.sample(3, seed=1, code=0)
    if model.classifies:
        chances = model.probabilities(image)
        _require(
            chances.shape == (5, model.num_labels),
            f"class_logits of {title}",
            f"of five images they have the shape {tuple(chances.shape)} and not {(5, model.num_labels)}",
            "give a logit for each class of the data",
            "what is declared is there",
        )
    if model.encodes:
        code = model.encode(image)
        _require(
            model.prior is not None and code.shape == (5, model.prior.dim),
            f"encoded of {title}",
            f"of five images it has the shape {tuple(code.shape)}, which is not that of codes of the prior",
            "declare a prior, and give a code of its dim for each image",
            "what is declared is there",
        )
        _require(
            model.decode(code).shape == image.shape and torch.equal(model.encode(image), code),
            f"encoded of {title}",
            "its codes cannot be decoded, or are others in another call",
            "let `generate` take codes as latent, and draw with torch's own generator",
            "what is declared is there",
        )
    if model.has_likelihood:
        _require(
            model.nll(image).shape == (5,),
            f"nll of {title}",
            "it is not one number for each image",
            "give (b,), the sum over the pixels of each image",
            "what is declared is there",
        )


def check_moves(candidate: Candidate) -> None:
    """After an update nothing outside of the moving player has changed, bit for bit, and its gradients are finite;
    within ten iterations every parameter moves, or is in `still` with the reason."""
    trainer, title = candidate.trainer(), candidate.title
    model, step, before = trainer.model, trainer.model.step, dict[str, Tensor]()

    def watched(batches: Batches) -> Step:
        for move in step(batches):
            _check_move(candidate, model, move)
            before.update(_copies(model))  # right before the update: step itself may change parameters
            yield move

    model.step = watched  # type: ignore[method-assign]
    start, moved = _copies(model), set()
    for _ in range(ITERATIONS):
        for update in trainer.updates():
            own = {id(parameter) for parameter in trainer.players[update.player].parameters}
            for key, parameter in model.named_parameters():
                _require(
                    id(parameter) in own or torch.equal(parameter, before[key]),
                    f"an update of {update.player} in {title}",
                    f"it changed {key}, which is no parameter of {update.player}",
                    "change other parameters between updates alone, or make them part of the player",
                    "only the named player moves",
                )
                _require(
                    id(parameter) not in own or parameter.grad is None or bool(parameter.grad.isfinite().all()),
                    f"an update of {update.player} in {title}",
                    f"the gradient of {key} is not finite",
                    "look for a logarithm, a root or a norm at 0, or a division by 0",
                    "gradients are finite",
                )
            moved.add(update.player)
    try:
        trainer.drain()
    except Diverged as error:
        raise AssertionError(f"{title}: {error}: find out why (rule: losses are finite).") from error
    idle = sorted(set(model.players) - moved)
    _require(
        not idle,
        f"players of {title}",
        f"{' and '.join(idle)} never moved in {ITERATIONS} iterations",
        "let step yield it, or declare it no player",
        "every player moves",
    )
    unknown = sorted(set(model.still) - set(start))
    _require(
        not unknown, f"`still` of {title}", f"there is no parameter {' and '.join(unknown)}", "name it", "reasons hold"
    )
    rested = [key for key, value in model.named_parameters() if torch.equal(value, start[key])]
    unexplained = [key for key in rested if not model.still.get(key)]
    _require(
        not unexplained,
        f"parameters of {title}",
        f"{' and '.join(unexplained[:5])} never moved in {ITERATIONS} iterations",
        "make them part of a player whose loss reaches them, or give the reason in `self.still`",
        "every parameter moves",
    )


def _check_move(candidate: Candidate, model: Model, move: tuple[Any, ...]) -> None:
    """What `step` yields is a declared player and named scalars, one of which at least depends on parameters."""
    player, terms = move[:2]
    place, rule = f"step of {candidate.title}", "step yields a player and its terms"
    known = ", ".join(model.players)
    _require(player in model.players, place, f"it names a player {player!r}", f"declare it; there are {known}", rule)
    scalar = bool(terms) and all(isinstance(term, Tensor) and term.dim() == 0 for term in terms.values())
    _require(scalar, place, f"the terms of {player} are no scalars by name", "yield {name: tensor.mean()}", rule)
    reached = any(term.requires_grad for term in terms.values())
    _require(reached, place, f"no term of {player} depends on a parameter", "leave out detach or no_grad", rule)


class NoSync(TorchDispatchMode):
    """Inside, an operation by which a value leaves the device raises `AssertionError`, on any device."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        aten, packet = torch.ops.aten, func.overloadpacket
        waits = packet in (aten._local_scalar_dense, aten.is_nonzero, aten.nonzero, aten.masked_select)
        if packet in (aten.index, aten.index_put_):
            waits = any(index is not None and index.dtype == torch.bool for index in args[1])
        if waits:
            raise AssertionError(f"{packet} makes the program wait for the device")
        return func(*args, **(kwargs or {}))


def check_no_synchronisation(candidate: Candidate) -> None:
    """No number is read back from the device while `step` runs: a whole iteration can be queued at once."""
    trainer = candidate.trainer()
    try:
        with NoSync():
            for _ in trainer.model.step(trainer.batches):
                pass
    except AssertionError as error:
        source = str(registry.source(candidate.name))
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == source]
        place = f"{Path(source).name}, line {lines[-1]}" if lines else f"step of {candidate.title}"
        raise AssertionError(
            f"{place}: {error}: keep numbers on the device; use torch.where for `if tensor`, and no mask as index "
            "(rule: no synchronisation)."
        ) from error


def check_precision(candidate: Candidate) -> None:
    """Under autocast all terms, and all that is watched, are float32."""
    trainer = candidate.trainer()
    step = trainer.model.step(trainer.batches)
    while True:
        with torch.autocast("cpu", torch.bfloat16):
            move = next(step, None)
        if move is None:
            return
        for values in move[1:]:
            for name, value in values.items():
                _require(
                    value.dtype == torch.float32,
                    f"{name!r} of player {move[0]} in {candidate.title}",
                    f"it is {value.dtype} under autocast",
                    "let networks give scores through `full` of ganarium.layers.precision, and switch autocast off "
                    "around penalties",
                    "losses have full precision",
                )


def check_sampling(candidate: Candidate) -> None:
    """Neither the generators nor a buffer nor the mode of a module knows that there was a sample, and a seed gives the
    same samples again."""
    trainer = candidate.trainer()
    model = trainer.model
    random = torch.get_rng_state()
    buffers = {key: value.clone() for key, value in model.named_buffers()}
    modes = {key: module.training for key, module in model.named_modules()}
    maps = bool(model.preview_row)
    first = model.preview(trainer.batches.draw(16)) if maps else model.sample(2, seed=5)
    changed = [key for key, value in model.named_buffers() if not torch.equal(value, buffers[key])]
    changed += [f"the mode of {key}" for key, module in model.named_modules() if module.training != modes[key]]
    if not torch.equal(random, torch.get_rng_state()):
        changed.append("torch's random generator")
    rule = "sampling disturbs nothing"
    _require(
        not changed,
        f"sampling from {candidate.title}",
        f"it changed {' and '.join(changed[:5])}",
        "let `generate` draw and change nothing but its result",
        rule,
    )
    if not maps:
        _require(
            torch.equal(first, model.sample(2, seed=5)) and not torch.equal(first, model.sample(2, seed=6)),
            f"sampling from {candidate.title}",
            "a seed does not give the same samples again, or another seed does",
            "let `generate` draw with torch's own generator",
            rule,
        )
        for condition in _conditions(model):
            three, many = (model.sample(n, seed=5, **condition) for n in (3, 70))
            _require(
                torch.equal(three, many[:3]),
                f"sampling from {candidate.title}" + (f" with {', '.join(condition)}" if condition else ""),
                "the first samples of a seed depend on how many are asked for",
                "let `generate` draw nothing for more than the `n` samples that it is asked for",
                "a sample is a function of weights, seed and place",
            )


def check_saving(candidate: Candidate) -> None:
    """A checkpoint that is loaded, and a deep copy, are the model again."""
    trainer = candidate.trainer()
    _play(trainer, 2)
    model, rule = trainer.model, "a model can be saved and copied"
    copied = copy.deepcopy(model)
    shared = [
        key for key in copied.players if copied.players[key].parameters()[0] is model.players[key].parameters()[0]
    ]
    _require(
        not shared,
        f"a deep copy of {candidate.title}",
        f"its player {' and '.join(shared)} has the parameters of the original",
        "give players modules of the model, and no tensors of others",
        rule,
    )
    with tempfile.TemporaryDirectory() as folder:
        loaded = loading.load(_saved(trainer, candidate, Path(folder)))
    _require_equal(loaded.state_dict(), model.state_dict(), f"{candidate.title}, loaded from a checkpoint", rule)
    samples = _samples(model.eval())
    for other, what in ((loaded, "loaded from a checkpoint"), (copied.eval(), "copied")):
        _require(
            torch.equal(_samples(other), samples),
            f"{candidate.title}, {what}",
            "it gives other samples than the model itself",
            "keep all that `generate` reads in parameters, buffers or the config",
            rule,
        )


def check_resuming(candidate: Candidate) -> None:
    """Six iterations are, bit for bit, three, a checkpoint, a new trainer from another seed, and three more."""
    straight = candidate.trainer(total=6)
    _play(straight, 6)
    expected, expected_meta = capture(straight)
    first = candidate.trainer(total=6)
    _play(first, 3)
    with tempfile.TemporaryDirectory() as folder:
        files, meta = checkpoint.read(_saved(first, candidate, Path(folder)))
    resumed = candidate.trainer(total=6, prepare=False)
    torch.manual_seed(999)
    restore(resumed, files, meta)
    _play(resumed, 3)
    files, meta = capture(resumed)
    place, rule = f"{candidate.title}, resumed from a checkpoint", "resuming is bit-exact"
    counts = {key: (meta[key], value) for key, value in expected_meta.items() if meta[key] != value}
    _require(not counts, place, f"it counts otherwise: {counts}", "draw from `batches` in step alone", rule)
    for name, tensors in expected.items():
        _require_equal(files[name], tensors, place, rule)


RULES = (
    check_file,
    check_source,
    check_samples,
    check_moves,
    check_no_synchronisation,
    check_precision,
    check_sampling,
    check_saving,
    check_resuming,
)


# ---- helpers ---------------------------------------------------------------------------------------------------------


def _require(held: bool, place: str, fault: str, remedy: str, rule: str) -> None:
    if not held:
        raise AssertionError(f"{place}: {fault}: {remedy} (rule: {rule}).")


def _require_equal(tensors: dict[str, Tensor], expected: dict[str, Tensor], place: str, rule: str) -> None:
    different = sorted(tensors.keys() ^ expected.keys())
    different += [key for key in expected.keys() & tensors.keys() if not torch.equal(tensors[key], expected[key])]
    remedy = "keep what changes while it trains in parameters or buffers, updated in place, and draw with torch alone"
    _require(not different, place, f"{' and '.join(different[:5])} is not what it was", remedy, rule)


def _samples(model: Model) -> Tensor:
    """Three samples, or for a model that maps images what it makes of three images of noise."""
    if not model.preview_row:
        return model.sample(3, seed=1)
    torch.manual_seed(1)
    noise = torch.rand(3, *model.shape) * 2 - 1
    if model.inpaints:
        images: Tensor = model.inpaint(noise, model.holes(1))
    else:
        images = model.upscale(noise) if model.scale else model.translate(noise)
    return images


def _conditions(model: Model) -> list[dict[str, Any]]:
    """What `sample` can be asked for: nothing, a label, a code."""
    label = [{"label": 1}] if model.conditional else []
    return [{}, *label, *([{"code": [1, *[0.5] * model.code.continuous]}] if model.code else [])]


def _copies(model: Model) -> dict[str, Tensor]:
    return {key: value.detach().clone() for key, value in model.named_parameters()}


def _play(trainer: Trainer, iterations: int) -> None:
    for _ in range(iterations):
        trainer.iterate()


def _saved(trainer: Trainer, candidate: Candidate, folder: Path) -> Path:
    """Writes a checkpoint of a trainer, as a run does, and gives its path."""
    files, meta = capture(trainer)
    config = {
        "model": candidate.name,
        "model_options": dataclasses.asdict(trainer.model.config),
        "data": {"shape": list(candidate.shape), "num_classes": candidate.num_classes},
        "precision": trainer.precision,
        "versions": {"ganarium": __version__},
    }
    return checkpoint.write(folder, files, meta | {"config": config}, keep=2)
