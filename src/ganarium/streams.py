"""Streams of samples: each sample is a function of the weights, the seed and its place, however many are asked for.

Nothing here touches the training: the random generators are forked, buffers and modes are put back.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ganarium.errors import UserError
from ganarium.layers.labels import asked_labels, one_hot
from ganarium.registry import plain

if TYPE_CHECKING:
    from ganarium.mapping import Mapping
    from ganarium.sampling import Sampling

CHUNK = 64  # samples made in one forward; also the batch whose statistics batch norm sees in the mode "train"
STYLES = ("truncation", "noise_seed", "second", "crossover", "style")  # what a model with styles takes
FEW = 8  # samples made in one forward of codes that were asked for: whoever moves a slider waits for one


class StreamState:
    """Where a stream of samples was left: random generators, and the buffers that sampling moves. Empty at first."""

    def __init__(self) -> None:
        self.random: list[Tensor] = []
        self.buffers: list[Tensor] = []


@contextmanager
def undisturbed(model: Mapping, seed: int | None, mode: str, state: StreamState | None = None) -> Iterator[None]:
    """Averaged weights, no gradient, a random stream of its own; afterwards all is as it was.

    With a `state` the stream goes on from where the last block with that state has left it.
    """
    seed = checked_seed(seed)
    kind = model.device.type
    devices = {"devices": [model.device], "device_type": kind} if kind in ("cuda", "mps") else {"devices": []}
    with torch.random.fork_rng(**devices), torch.no_grad(), model.averaged():
        torch.manual_seed(seed)
        training = {module: module.training for module in model.modules()}
        buffers = list(model.buffers()) if mode == "train" else []
        before = [buffer.clone() for buffer in buffers]
        model.train(mode == "train")
        if state and state.random:
            _set_random(model, state.random)
            _copy(state.buffers, buffers)
        try:
            yield
            if state:
                state.random, state.buffers = _random(model), [buffer.clone() for buffer in buffers]
        finally:
            for module, was in training.items():
                module.training = was
            _copy(before, buffers)


def checked_seed(seed: int | None) -> int:
    """The seed, or a new one for None. Raises `UserError` for what is no seed."""
    if seed is None:
        return int.from_bytes(os.urandom(7), "little")
    whole = plain(seed)
    if not isinstance(whole, int) or not 0 <= whole < 2**63:
        raise UserError(f"the seed must be a whole number from 0 to 2**63 - 1, not {seed!r}.")
    return whole


def _random(model: Mapping) -> list[Tensor]:
    """The states of the CPU's generator and of the model's device."""
    if model.device.type == "cuda":
        return [torch.get_rng_state(), torch.cuda.get_rng_state(model.device)]
    return [torch.get_rng_state(), *([torch.mps.get_rng_state()] if model.device.type == "mps" else [])]


def _set_random(model: Mapping, states: list[Tensor]) -> None:
    torch.set_rng_state(states[0])
    if model.device.type == "cuda":
        torch.cuda.set_rng_state(states[1], model.device)
    elif model.device.type == "mps":
        torch.mps.set_rng_state(states[1])


def _copy(values: list[Tensor], into: list[Tensor]) -> None:
    for value, buffer in zip(values, into, strict=True):
        buffer.copy_(value)


def part_size(model: Sampling) -> int:
    """How many samples are made in one forward: 64 of images up to 64 pixels wide, of larger ones fewer (memory).

    It depends on the model alone, and a part is always made in full: no sample depends on how many were asked for.

    Batch norm that reads the statistics of its batch always sees 64.
    """
    if model.sample_mode == "train" or len(model.shape) == 1:
        return CHUNK
    return max(4, min(CHUNK, CHUNK * 64**2 // (model.shape[1] * model.shape[2])))


def samples(model: Sampling, n: int, *, seed: int | None = None, **conditions: Any) -> Iterator[Tensor]:
    """The samples that `model.sample` gives for the same seed, in parts of at most 64, each made when it is asked for:
    any number of them in the memory of one part, and of the `n` codes where codes are asked for.

    The first samples of a seed are the same, bit for bit, however many follow. Nothing is disturbed between two parts.
    What is wrong is raised at once, as by `model.sample`.
    """
    return _parts(model, n, *_begun(model, n, seed, conditions))


def traced(model: Sampling, n: int, count: int, *, seed: int, **conditions: Any) -> tuple[Tensor, Tensor]:
    """The first `count` of the `n` samples of a seed, and the codes (count, latent_dim) that they were made from.

    Raises `UserError` for a model without codes, or one that draws more than one code for a sample.
    """
    if model.prior is None:
        raise UserError(f"{type(model).__name__} has no latent codes.")
    begun = _begun(model, n, seed, conditions)
    given, own, drawn, parts = begun[2], model.latent, [], []

    def latent(n: int) -> Tensor:
        drawn.append(own(n))
        return drawn[-1]

    vars(model)["latent"] = latent  # what `generate` draws is seen nowhere else
    try:
        for part in _parts(model, n, *begun):
            parts.append(part)
            if sum(map(len, parts)) >= count:
                break
    finally:
        del vars(model)["latent"]
    if "latent" not in given and len(drawn) != len(parts):
        raise UserError(f"{type(model).__name__} does not make a sample from one code, so none can be told.")
    codes = given["latent"] if "latent" in given else torch.cat(drawn)
    return torch.cat(parts)[:count], codes[:count]


def classes(model: Sampling) -> tuple[str, int]:
    """By what a model is told which class to make, and how many there are: ("label", 10), or ("code", 10) for the
    categories of a code. Raises `UserError` for a model that is told neither."""
    if model.conditional:
        return "label", model.num_labels
    if model.code:
        return "code", model.code.categories
    raise UserError(f"{type(model).__name__} takes no class and no code with categories, so it has no rows of classes.")


def conditions(
    model: Sampling,
    n: int,
    *,
    latent: Any = None,
    label: Any = None,
    code: Any = None,
    text: Any = None,
    **unknown: Any,
) -> dict[str, Tensor]:
    """What a model was asked for, by what it declares: tensors with one row for each of the `n` samples.

    `latent` (n, prior.dim) are the codes of a model with a prior. `label` is a class for all samples, or (n,) one for
    each. `code` is a category, or (category, numbers in [-1, 1] ...), for all samples, or (n, ...) a row for each.
    `text` is a sentence for all samples, or a list of n. For what a model with styles takes see `of_styles`.
    """
    name = type(model).__name__
    if latent is not None and unknown.get("style") is not None:
        raise UserError(f"a style takes the place of a code: give {name} style= or latent=, not both.")
    styles = {word: unknown.pop(word) for word in STYLES if model.styles and word in unknown}
    asked = {
        "label": label is not None and not model.conditional,
        "code": code is not None and model.code is None,
        "text": text is not None and not model.captioned,
    }
    wrong = sorted([word for word, refused in asked.items() if refused] + list(unknown))
    if latent is not None and model.prior is None:
        wrong.append("latent")
    if wrong:
        raise UserError(f"{name} is told no {' and no '.join(wrong)}: sample it without.")
    if code is not None:
        if latent is not None:
            raise UserError(f"the latent holds a code: give {name} code= or latent=, not both.")
        latent = with_code(model, model.latent(n), checked_code(model, n, code))
    checked = {}
    if latent is not None:
        checked["latent"] = checked_rows(model, n, "latent", latent)
    if label is not None:
        checked["label"] = asked_labels(label, n, model.num_labels, model.device)
    if text is not None:
        checked["text"] = of_text(model, n, text)
    return checked | of_styles(model, n, **styles)


def checked_rows(model: Sampling, n: int, name: str, rows: Any) -> Tensor:
    """Codes or styles (n, prior.dim), one for each sample, on the model's device and in its type."""
    assert model.prior is not None
    wanted = (n, model.prior.dim)
    if not isinstance(rows, Tensor) or rows.shape != wanted:
        got = tuple(rows.shape) if isinstance(rows, Tensor) else type(rows).__name__
        raise UserError(f"{name} must be a tensor of shape {wanted}, a row for each sample, not {got}.")
    if not rows.isfinite().all():
        raise UserError(f"{name} has numbers that are not finite.")
    return rows.to(model.device, model.dtype)


def of_text(model: Sampling, n: int, text: Any) -> Tensor:
    """Embedded sentences, one for each of the `n` samples: of a sentence for all of them, or of a list of n."""
    sentences = [text] if isinstance(text, str) else text
    fits = isinstance(sentences, list | tuple) and len(sentences) in (1, n)
    if not fits or not all(isinstance(sentence, str) and sentence.strip() for sentence in sentences):
        raise UserError(f"text must be a sentence for all samples, or a list of {n} sentences, none of them empty.")
    return model.sentences(list(sentences)).expand(n, -1)


def of_styles(
    model: Sampling,
    n: int,
    truncation: Any = None,
    noise_seed: Any = None,
    second: Any = None,
    crossover: Any = None,
    style: Any = None,
) -> dict[str, Tensor]:
    """What a model with styles was asked for, checked, one row for each of the `n` samples.

    `truncation` draws the styles towards their average, from 0 (all the way) to 1 (not), and beyond 1 away from it.
    `noise_seed` gives all samples the same noise. `second` are codes (n, prior.dim) whose styles are used from layer
    `crossover` on; both or neither. `style` (n, prior.dim) are styles in the place of those of codes.
    """
    checked = {}
    if style is not None:
        checked["style"] = checked_rows(model, n, "style", style)
    truncation, crossover = plain(truncation), plain(crossover)
    if truncation is not None:
        if isinstance(truncation, bool) or not isinstance(truncation, int | float) or not 0 <= truncation <= 2:
            raise UserError(f"truncation must be a number from 0 (the average) to 2 (1: none), not {truncation!r}.")
        checked["truncation"] = torch.full((n,), float(truncation), device=model.device, dtype=model.dtype)
    if noise_seed is not None:
        checked["noise_seed"] = torch.full((n,), checked_seed(noise_seed), device=model.device)
    if (second is None) != (crossover is None):
        raise UserError("styles are mixed from second= codes and a layer, crossover=: give both or neither.")
    if second is not None:
        codes = checked_rows(model, n, "second", second)
        if isinstance(crossover, bool) or not isinstance(crossover, int) or not 0 <= crossover <= model.styles:
            raise UserError(f"crossover must be a layer from 0 to {model.styles}, not {crossover!r}.")
        checked["second"] = codes
        checked["crossover"] = torch.full((n,), crossover, device=model.device)
    return checked


def checked_code(model: Sampling, n: int, code: Any) -> Tensor:
    """What a code is set to, one row for all samples or (n, ...) a row for each: category, and numbers behind it."""
    assert model.code is not None
    K, continuous = model.code.categories, model.code.continuous
    try:
        rows = torch.as_tensor(code, dtype=model.dtype, device=model.device)
        rows = rows.view(1, -1) if rows.dim() < 2 else rows
    except (TypeError, ValueError, OverflowError, RuntimeError):
        rows = torch.empty(0)
    fits = rows.dim() == 2 and len(rows) in (1, n) and 1 <= rows.shape[1] <= 1 + continuous
    if not fits or not rows.isfinite().all():
        wanted = f"code must be a category and at most {continuous} finite numbers"
        raise UserError(f"{wanted}, for all {n} samples, or a list of {n} such lists.")
    if not bool(((rows[:, 0] >= 0) & (rows[:, 0] < K) & (rows[:, 0] % 1 == 0)).all()):
        bad = ", ".join(f"{value:g}" for value in sorted(set(rows[:, 0].tolist())))
        raise UserError(f"the category of a code must be a whole number from 0 to {K - 1}, not {bad}.")
    return rows


def with_code(model: Sampling, latent: Tensor, rows: Tensor) -> Tensor:
    """Codes (n, prior.dim), in which the part that can be set is that of the rows: one for all, or (n, ...)."""
    assert model.code is not None
    K, start = model.code.categories, model.code.start
    latent[:, start : start + K] = one_hot(rows[:, 0], K, model.dtype)
    latent[:, start + K : start + K + rows.shape[1] - 1] = rows[:, 1:]
    return latent


def _begun(
    model: Sampling, n: int, seed: int | None, asked: dict[str, Any]
) -> tuple[int, StreamState, dict[str, Tensor]]:
    """Seed and state of a stream of samples, and what was asked for, checked."""
    if (model.directions and not model.domains) or model.scale or (model.inpaints and model.prior is None):
        verb = "translate" if model.directions else "upscale" if model.scale else "inpaint"
        raise UserError(f"{type(model).__name__} maps images to images: use {verb}.")
    n = plain(n)
    if not isinstance(n, int) or isinstance(n, bool) or n < 1:
        raise UserError(f"the number of samples must be a whole number of at least 1, not {n!r}.")
    seed, state = checked_seed(seed), StreamState()
    code = None
    if asked.get("code") is not None and model.code is not None and asked.get("latent") is None:
        code = checked_code(model, n, asked["code"]).expand(n, -1)  # each part draws the rest of its codes
        asked = {name: value for name, value in asked.items() if name != "code"}
    with undisturbed(model, seed, model.sample_mode):
        given = model.conditions(n, **asked)
    return seed, state, given if code is None else {**given, "code": code}


def _parts(model: Sampling, n: int, seed: int, state: StreamState, given: dict[str, Tensor]) -> Iterator[Tensor]:
    batch_statistics, full = model.sample_mode == "train", part_size(model)
    if "latent" in given and not batch_statistics:
        full = min(full, FEW)
    # codes that were asked for may be alike (a walk); half of the batch from the prior keeps its statistics usual
    size = full // 2 if batch_statistics and "latent" in given else full
    for start in range(0, n, size):
        take = min(size, n - start)
        with undisturbed(model, seed, model.sample_mode, state):
            rows = {name: value[start : start + size] for name, value in given.items()}
            rows = {name: _filled(model, name, value, full) for name, value in rows.items()}
            if "code" in rows:
                rows["latent"] = with_code(model, model.latent(full), rows.pop("code"))
            made = model.generate(full, **rows)[:take].float()
        # some papers' generators have no bounded output
        yield made.clamp(-1, 1) if len(model.shape) == 3 else made


def _filled(model: Sampling, name: str, rows: Tensor, full: int) -> Tensor:
    """Rows made up to a whole part: codes by the prior where batch norm sees them, all else by repeating."""
    missing = full - len(rows)
    if name == "latent" and model.sample_mode == "train":
        return torch.cat([rows, model.latent(missing).to(rows)])
    return torch.cat([rows, rows.repeat(missing // len(rows) + 1, *[1] * (rows.dim() - 1))[:missing]])
