"""Plays with what was trained: samples, sliders, walks, sums of codes; pictures that are mapped, enlarged or filled.

A model is loaded once and kept. One thread of low priority computes, so that a training beside it keeps its processors,
and the calls that wait for it hold up no other call.
"""

import asyncio
import io
import math
import os
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ganarium.data.batches import Batches
from ganarium.data.files.decode import UnusablePicture, header, reason
from ganarium.data.files.photo import Photo, image_of, read_photo
from ganarium.errors import UserError
from ganarium.exporting.examples import example, held_out
from ganarium.model import Model
from ganarium.pictures import latents
from ganarium.pictures.animation import save_gif
from ganarium.pictures.grid import grid, save_grid, to_picture
from ganarium.runs.listing import newest_step
from ganarium.runs.loading import config_of, load
from ganarium.streams import undisturbed

KEPT = 2  # models in memory
MAX_SAMPLES, MAX_PIXELS = 144, 40_000_000  # of one call: samples, and pixels of a picture that is sent
SLIDERS, SEEN = 6, 192  # directions, and the samples from which they are taken
PIXELS = 2**22  # that a model may make in one call
WAITING = 16  # calls, with the one that computes
LOW = 10  # niceness of the thread that computes


class Player:
    """Models of runs, by their folder and checkpoint."""

    def __init__(self, device: str = "auto") -> None:
        self.device = device
        self._models: dict[tuple[Path, int], tuple[Model, dict[str, Any]]] = {}
        self._directions: dict[tuple[Path, int, int | None], Tensor] = {}
        self._held_out: dict[Path, Batches] = {}
        self._thread = ThreadPoolExecutor(1, "player", initializer=_step_back)
        self._calls = 0

    async def ask(self, work: Callable[..., Any], *args: Any, **given: Any) -> Any:
        """Does the work of one call after those before it. `UserError` if too many wait already."""
        if self._calls >= WAITING:
            raise UserError("the studio is still busy with earlier pictures: try again in a moment.")
        self._calls += 1
        try:
            return await asyncio.wrap_future(self.computed(work, *args, **given))
        finally:
            self._calls -= 1

    def computed(self, work: Callable[..., Any], *args: Any, **given: Any) -> Future[Any]:
        """What the work gives in the player's own thread, after all that was asked before."""
        return self._thread.submit(work, *args, **given)

    def abilities(self, run: Path, step: int | None = None) -> dict[str, Any]:
        """What the model of a run can do, as it declares it, and what is needed to ask for it."""
        model, config = self._model(run, step)
        maps = bool(model.directions or model.scale or model.inpaints)
        points = len(model.shape) == 1
        # a code by itself makes a picture: not so beside a sentence, or where one code makes two pictures
        by_code = model.prior is not None and not (maps or points or model.captioned or model.domains)
        return {
            "task": model.task,
            "shape": list(model.shape),
            "steps": steps_of(run),
            "classes": class_names(model, config) if model.conditional or model.classifies else [],
            "samples": not maps,
            "label": model.conditional and not maps,
            "code": None
            if model.code is None
            else {"categories": model.code.categories, "continuous": model.code.continuous},
            "text": model.captioned,
            "sliders": SLIDERS if by_code else 0,
            "walk": by_code,
            "arithmetic": by_code,
            "directions": list(model.directions) if not points else [],
            "scale": model.scale,
            "inpaints": model.inpaints,
            "hole": list(model.hole) if model.hole else None,
            "classifies": model.classifies,
            "encodes": model.encodes,
            "styles": model.styles and model.styles_in_use,
            "page": not (points or model.captioned or model.has_likelihood),  # what `export --to html` can draw
        }

    def sample(
        self,
        run: Path,
        *,
        step: int | None,
        n: int,
        seed: int,
        label: int | None,
        code: list[float] | None,
        sliders: list[float],
        truncation: float | None = None,
        second_seed: int | None = None,
        crossover: int | None = None,
        text: str | None = None,
    ) -> bytes:
        """A PNG with `n` samples of a seed, moved along the sliders' directions; points as a scatter plot.

        Models with styles take `truncation`, and mix in the styles of the codes of `second_seed` from the layer
        `crossover` on."""
        if not 1 <= n <= MAX_SAMPLES:
            raise UserError(f"the number of samples must be from 1 to {MAX_SAMPLES}, not {n}.")
        model, _ = self._model(run, step)
        _check_effort(model, n)
        conditions: dict[str, Any] = {} if label is None else {"label": label}
        if code:
            conditions["code"] = code
        if any(sliders) and not (model.captioned or model.domains):
            conditions = self._moved(run, step, model, n, seed, sliders, conditions)
        conditions |= {} if truncation is None else {"truncation": truncation}
        conditions |= {} if text is None else {"text": text}
        if second_seed is not None:
            with undisturbed(model, second_seed, model.sample_mode):
                conditions |= {"second": model.latent(n), "crossover": crossover}
        images = model.sample(2000 if len(model.shape) == 1 else n, seed=seed, **conditions)
        if images.dim() == 2:
            with tempfile.TemporaryDirectory() as folder:
                return save_grid(images, Path(folder) / "points.png").read_bytes()
        return png(grid(images))

    def walk(self, run: Path, *, step: int | None, seed: int, label: int | None) -> bytes:
        """A GIF that walks from code to code."""
        model, _ = self._model(run, step)
        _check_effort(model, 4 * 4 * 10)
        given = {} if label is None else {"label": label}
        frames = latents.interpolation(model, stops=4, frames=10, seed=seed, **given)
        with tempfile.TemporaryDirectory() as folder:
            return save_gif(frames, Path(folder) / "walk.gif", seconds=5.0).read_bytes()

    def arithmetic(
        self, run: Path, *, step: int | None, seed: int, n: int, groups: list[tuple[int, list[int]]], label: int | None
    ) -> bytes:
        """A PNG of a sum of codes: groups of (1 or -1, places in the grid of `sample`)."""
        signs = [sign for sign, _ in groups]
        if not groups or signs[0] != 1 or set(signs) - {1, -1} or not all(places for _, places in groups):
            raise UserError("choose pictures for each term of the sum; the first is added.")
        model, _ = self._model(run, step)
        _check_effort(model, n)
        given = {} if label is None else {"label": label}
        return png(latents.arithmetic(model, groups, n=n, seed=seed, **given))

    def translate(self, run: Path, picture: bytes, *, step: int | None, direction: str | None) -> bytes:
        photo = photo_of_bytes(picture)
        model, _ = self._model(run, step)
        return png(image_of(model.translate(photo, direction=direction)))

    def upscale(self, run: Path, picture: bytes, *, step: int | None) -> bytes:
        photo = photo_of_bytes(picture)
        model, _ = self._model(run, step)
        if photo.pixels.size * (model.scale or 1) ** 2 > 3 * MAX_PIXELS:
            raise UserError("the enlarged picture would be too large here: use `ganarium upscale`.")
        return png(image_of(model.upscale(photo)))

    def inpaint(self, run: Path, picture: bytes, mask: bytes, *, step: int | None) -> bytes:
        photo, marked = photo_of_bytes(picture), photo_of_bytes(mask)
        model, _ = self._model(run, step)
        return png(image_of(model.inpaint(photo, image_of(marked))))

    def classify(self, run: Path, picture: bytes, *, step: int | None) -> list[dict[str, Any]]:
        """The five likeliest classes of a picture, with their probabilities."""
        photo = photo_of_bytes(picture)
        model, config = self._model(run, step)
        chances = model.probabilities(image_of(photo))
        names = class_names(model, config)
        values, places = chances.topk(min(5, len(chances)))
        pairs = zip(values.tolist(), places.tolist(), strict=True)
        return [{"name": names[place], "chance": value} for value, place in pairs]

    def rebuild(self, run: Path, picture: bytes, *, step: int | None) -> bytes:
        """What a model with an encoder makes of the code of a picture, beside the picture as the model sees it."""
        photo = photo_of_bytes(picture)
        model, _ = self._model(run, step)
        image = image_of(photo)
        seen, _ = model.fitted(image, "encode")
        return png(grid(torch.cat([seen.float(), model.decode(model.encode(image))[None]]), 2))

    def example(self, run: Path, *, step: int | None, direction: str | None, number: int) -> bytes:
        """A PNG of a picture for the model to work on, from the test part of its data. `number` says which one."""
        model, config = self._model(run, step)
        if run not in self._held_out:  # that of one run is kept
            self._held_out = {run: held_out(model, config)}
        return png(to_picture(example(model, self._held_out[run], number, direction or "")))

    @staticmethod
    def checkpoint(run: Path, step: int) -> Path:
        """The folder of a checkpoint of a run. `UserError` for a step that has none."""
        known = steps_of(run)
        if step not in known:
            raise UserError(f"there is no checkpoint of step {step}: there are {', '.join(map(str, known)) or 'none'}.")
        return run / "checkpoints" / f"step-{step:08d}"

    def _model(self, run: Path, step: int | None) -> tuple[Model, dict[str, Any]]:
        """The model of a run at one of its checkpoints, the newest by default."""
        path = run if step is None else self.checkpoint(run, step)
        key = (run, newest_step(run) if step is None else step)
        if key not in self._models:
            while len(self._models) >= KEPT:
                self._models.pop(next(iter(self._models)))
            self._models[key] = (load(path, device=self.device), config_of(path))
        return self._models[key]

    def _moved(
        self, run: Path, step: int | None, model: Model, n: int, seed: int, sliders: list[float], given: dict[str, Any]
    ) -> dict[str, Any]:
        """The conditions of samples whose codes are moved along the directions, by so many standard deviations."""
        if model.prior is None:
            raise UserError(f"{type(model).__name__} has no codes to move.")
        if len(sliders) > SLIDERS or not all(abs(value) <= 10 for value in sliders):
            raise UserError(f"there are {SLIDERS} sliders, from -10 to 10.")
        with undisturbed(model, seed, model.sample_mode):
            asked = model.conditions(n, **given)
            codes = asked.get("latent")
            if codes is None:
                codes = model.latent_of(asked["label"]) if "label" in asked else model.latent(n)
        key = (run, newest_step(run) if step is None else step, given.get("label"))
        if key not in self._directions:
            self._directions[key] = directions(model, given.get("label"))
        weights = torch.tensor(sliders + [0.0] * (SLIDERS - len(sliders)))[: len(self._directions[key])]
        codes = codes + weights.to(codes) @ self._directions[key].to(codes)
        if model.prior.kind == "uniform":
            codes = codes.clamp(model.prior.low, model.prior.high)
        kept = {name: value for name, value in given.items() if name != "code"}
        return kept | {"latent": codes}


def _step_back() -> None:
    """Gives the thread that computes, and those of torch that it starts, a lower priority than trainings have."""
    with suppress(AttributeError, OSError):  # not every system has it
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOW)


def directions(model: Model, label: int | None) -> Tensor:
    """Directions of codes (k, prior.dim) along which the images change the most: the principal components of samples,
    each fitted by a linear function of the code. They are as long as the codes' standard deviation."""
    given: dict[str, Any] = {"label": 0 if label is None else label} if model.conditional else {}
    count = max(16, min(SEEN, PIXELS // math.prod(model.shape)))
    with undisturbed(model, 0, model.sample_mode):
        codes = model.latent(count)
    images = model.sample(count, seed=0, latent=codes, **given).flatten(1)
    centred = images - images.mean(0)
    k = min(SLIDERS, codes.shape[1], count - 1)
    _, _, components = torch.linalg.svd(centred.float(), full_matrices=False)
    scores = centred.float() @ components[:k].T
    slopes = torch.linalg.lstsq(codes.float().cpu() - codes.float().cpu().mean(0), scores.cpu()).solution.T
    return torch.nn.functional.normalize(slopes, dim=1) * codes.float().std().cpu()


def class_names(model: Model, config: dict[str, Any]) -> list[str]:
    """The names of the classes that the model knows, or their numbers."""
    names = config.get("data", {}).get("class_names") or []
    count = model.num_classes or 0
    return [str(name) for name in names] if len(names) == count else [str(number) for number in range(count)]


def steps_of(run: Path) -> list[int]:
    """The steps of the complete checkpoints of a run."""
    steps = {_step(path.parent) for path in (run / "checkpoints").glob("step-*/checkpoint.json")}
    return sorted(step for step in steps if step is not None)


def _step(path: Path) -> int | None:
    number = path.name.removeprefix("step-")
    return int(number) if number.isdecimal() else None


def _check_effort(model: Model, n: int) -> None:
    if len(model.shape) == 3 and n * model.shape[1] * model.shape[2] > 4 * PIXELS:
        raise UserError("that many samples of this size are too many here: ask for fewer, or use `ganarium sample`.")


def photo_of_bytes(content: bytes) -> Photo:
    """A picture that was sent. `UserError` if it is none, or too large."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "picture"
        file.write_bytes(content)
        try:
            with file.open("rb") as handle:
                head = header(handle)
            if head.height * head.width > MAX_PIXELS:
                raise UserError(f"the picture has more than {MAX_PIXELS // 10**6} million pixels: send a smaller one.")
            return read_photo(file)
        except UnusablePicture as error:
            raise UserError(f"the picture {error}.") from error
        except UserError:
            raise
        except Exception as error:  # the many errors of PIL
            raise UserError(f"that is no picture that can be read: it {reason(error)}.") from error


def png(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, format="PNG", icc_profile=picture.info.get("icc_profile"))
    return stream.getvalue()
