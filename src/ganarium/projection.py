"""Finds the code of an image: of any generator with a prior, by its encoder or by optimisation.

The optimisation draws many codes, keeps those whose images are nearest, and improves them with Adam by the gradient of
the squared difference of pixels, several for each image. The best code that any of them came by is the answer, so that
it is never worse than the best of the random ones.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import torch
from torch import Tensor

from ganarium.errors import UserError
from ganarium.layers.labels import asked_labels
from ganarium.layers.normalization import fixed_norms
from ganarium.registry import plain
from ganarium.streams import CHUNK, checked_seed, part_size, undisturbed

if TYPE_CHECKING:
    from ganarium.sampling import Sampling

LR = 0.1  # of Adam, in standard deviations of the prior; it falls to 0 with half a cosine
Forward = Callable[[Tensor, Tensor | None], Tensor]  # codes (n, dim) and their labels (n,) -> images (n, *shape)


@dataclass(frozen=True)
class Projection:
    """The codes of images, and what the model makes of them."""

    code: Tensor  # float32 (b, prior.dim): codes, or styles where `space` is "w"
    label: Tensor | None  # int64 (b,), for a conditional model
    image: Tensor  # float32 (b, *shape) in [-1, 1]: the reconstruction
    error: Tensor  # float32 (b,): mean squared difference of the reconstruction, in units of [-1, 1]
    random_error: Tensor  # float32 (b,): the least such error among random codes
    seconds: float  # that it took, of all images together
    by: str  # "encoder" or "optimisation"
    space: str = "z"  # "z", of codes, or "w", of the styles of a model that has some


class Codes(NamedTuple):
    """Codes of images, as `search` found them."""

    code: Tensor  # (b, dim)
    label: Tensor | None  # (b,)
    error: Tensor  # (b,)
    random_error: Tensor  # (b,)


def search(
    forward: Forward,
    image: Tensor,
    candidates: Tensor,
    labels: Tensor | None = None,
    *,
    begin: Tensor | None = None,
    starts: int,
    steps: int,
    part: int = CHUNK,
    free: Tensor | None = None,
    bounds: tuple[float, float] | None = None,
) -> Codes:
    """The codes whose images by `forward` are nearest to `image` (b, *shape), in squared difference of pixels.

    The nearest `starts` of the `candidates` (n, dim), with their `labels` (n,), and `begin` (b, dim) where it is given,
    are improved in `steps` updates; labels stay what they are. `part` images are made in one forward. `free` (dim,) is
    0 for numbers that stay as they are; others stay within `bounds`.
    """
    errors = torch.cat([_errors(forward, code, label, image) for code, label in _parts(candidates, labels, part)])
    random_error, nearest = errors.topk(min(starts, len(candidates)), 0, largest=False)  # (starts, b)
    best, error = candidates[nearest[0]], random_error[0].clone()
    best_label = None if labels is None else labels[nearest[0]]
    lr = LR * float(candidates.std())
    for place in range(len(image)):
        code = candidates[nearest[:, place]]
        label = None if labels is None else labels[nearest[:, place]]
        if begin is not None:
            code = torch.cat([code, begin[place : place + 1]])
        for own, own_label in _parts(code, label, part):
            improved, errors = _improved(forward, own, own_label, image[place], steps, lr, free, bounds)
            least = int(errors.argmin())
            if errors[least] < error[place]:
                best[place], error[place] = improved[least], errors[least]
                if best_label is not None and own_label is not None:
                    best_label[place] = own_label[least]
    return Codes(best, best_label, error, random_error[0])


def _improved(
    forward: Forward,
    code: Tensor,
    label: Tensor | None,
    image: Tensor,
    steps: int,
    lr: float,
    free: Tensor | None,
    bounds: tuple[float, float] | None,
) -> tuple[Tensor, Tensor]:
    """The best codes (n, dim) that the updates from these ones came by, and their errors (n,)."""
    code = code.clone().requires_grad_()
    rule = torch.optim.Adam([code], lr=lr)
    best, least = code.detach().clone(), torch.full((len(code),), math.inf, device=code.device)
    for step in range(steps + 1):
        with torch.enable_grad():
            error = (forward(code, label).float() - image.float()).square().flatten(1).mean(1)
            if not error.requires_grad:
                raise UserError("no code can be looked for: the images of this model do not depend smoothly on it.")
            (gradient,) = torch.autograd.grad(error.sum(), code)
        better = error.detach() < least
        best[better], least[better] = code.detach()[better], error.detach()[better]
        rule.param_groups[0]["lr"] = lr * (1 + math.cos(math.pi * step / max(1, steps))) / 2
        code.grad = gradient if free is None else gradient * free
        rule.step()
        if bounds is not None:
            with torch.no_grad():
                code.clamp_(*bounds)
    return best, least


def _errors(forward: Forward, code: Tensor, label: Tensor | None, image: Tensor) -> Tensor:
    """Mean squared differences (n, b) of the images of n codes from b images."""
    made = forward(code, label).float().flatten(1)
    return torch.stack([(made - one.float().flatten()).square().mean(1) for one in image], 1)


def _parts(code: Tensor, label: Tensor | None, size: int) -> list[tuple[Tensor, Tensor | None]]:
    parts = torch.split(code, size)
    return list(zip(parts, [None] * len(parts) if label is None else torch.split(label, size), strict=True))


def project(
    model: Sampling,
    image: Any,
    *,
    by: Literal["encoder", "optimisation"] | None = None,
    space: Literal["z", "w"] = "z",
    label: Any = None,
    text: str | None = None,
    domain: str | None = None,
    starts: int = 8,
    steps: int = 300,
    num_random: int = 1000,
    seed: int = 0,
) -> Projection:
    """The code of an image, or the codes of a batch; see `Sampling.project`."""
    name, prior = type(model).__name__, model.prior
    if prior is None or (model.directions and not model.domains) or model.scale:
        raise UserError(f"{name} does not make images from codes: project with a run of a model that has a prior.")
    if by not in (None, "encoder", "optimisation"):
        raise UserError(f"a code is found by encoder or by optimisation, not by {by!r}.")
    if by == "encoder" and not model.encodes:
        raise UserError(f"{name} has no encoder: project by optimisation.")
    if space not in ("z", "w"):
        raise UserError(f"space must be z, of codes, or w, of styles, not {space!r}.")
    if space == "w" and not model.styles:
        raise UserError(f"{name} has no styles w: project into z, or use a run of stylegan.")
    starts, steps, num_random = plain(starts), plain(steps), plain(num_random)
    for word, number in (("starts", starts), ("steps", steps), ("num_random", num_random)):
        if not isinstance(number, int) or isinstance(number, bool) or number < 1:
            raise UserError(f"{word} must be a whole number of at least 1, not {number!r}.")
    if domain is not None and domain not in model.domains:
        choice = f"choose one of {', '.join(model.domains)}" if model.domains else "leave it away"
        raise UserError(f"{domain!r} is no domain of this model: {choice}.")
    if label is not None and not model.conditional:
        raise UserError(f"{name} is told no label: project without.")
    if text is not None and not model.captioned:
        raise UserError(f"{name} is told no text: project without.")
    if text is None and model.captioned:
        raise UserError(f"{name} makes images from a code and a sentence: say by text= (--text) what the images show.")
    if text is not None and not (isinstance(text, str) and text.strip()):
        raise UserError(f"text must be a sentence, not {text!r}.")
    seed, (batch, _), begun = checked_seed(seed), model.fitted(image, "project"), time.monotonic()
    by = by or ("encoder" if model.encodes else "optimisation")
    with contextlib.ExitStack() as stack:
        stack.enter_context(undisturbed(model, seed, "eval"))
        part = part_size(model)
        if model.sample_mode == "train":  # batch norm has the statistics of usual samples: no code sees another
            stack.enter_context(fixed_norms(model, lambda: model.generate(part)))
        candidates, labels = model.latent(num_random), None
        if model.conditional:
            asked = model.random_labels(num_random) if label is None else label
            labels = asked_labels(asked, num_random, model.num_labels, model.device)
        if space == "w":
            candidates = model.styles_of(candidates)
        sentence = None if text is None else model.sentences([text])
        forward = _forward(model, seed, domain, space, sentence)
        begin = model.encoded(batch) if model.encodes else None
        if by == "encoder":
            assert begin is not None
            errors = [_errors(forward, code, own, batch) for code, own in _parts(candidates, labels, part)]
            codes = Codes(begin, None, begin, torch.cat(errors).amin(0))
        else:
            free = torch.ones(prior.dim, device=model.device, dtype=model.dtype)
            if model.code:
                free[model.code.start : model.code.start + model.code.categories] = 0
            codes = search(
                forward,
                batch,
                candidates,
                labels,
                begin=begin if labels is None else None,
                starts=starts,
                steps=steps,
                part=part,
                free=free,
                bounds=(prior.low, prior.high) if prior.kind == "uniform" and space == "z" else None,
            )
        made = torch.cat([forward(code, own) for code, own in _parts(codes.code, codes.label, part)]).float()
    made = made.clamp(-1, 1) if made.dim() == 4 else made
    error = (made - batch.float()).square().flatten(1).mean(1)
    seconds = time.monotonic() - begun
    return Projection(codes.code.float(), codes.label, made, error, codes.random_error, seconds, by, space)


def _forward(model: Sampling, seed: int, domain: str | None, space: str, sentence: Tensor | None) -> Forward:
    """The images of codes, or of styles, and labels, of an embedded sentence (1, dim) where there is one. The same in
    every call: so is noise that a generator draws."""
    noise = {"noise_seed": torch.tensor([seed], device=model.device)} if model.styles else {}

    def forward(code: Tensor, label: Tensor | None) -> Tensor:
        torch.manual_seed(seed)
        if model.domains:
            pairs = model.generate(2 * len(code), code.repeat_interleave(2, 0))
            return pairs[model.domains.index(domain or model.domains[0]) :: 2]
        asked = noise | ({} if label is None else {"label": label})
        asked |= {} if sentence is None else {"text": sentence.expand(len(code), -1)}
        if space == "w":
            return model.expected(len(code), None, style=code, **asked)
        return model.expected(len(code), code, **asked)

    return forward
