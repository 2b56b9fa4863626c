"""Recommends a model and its settings for a set of images and a time: what to train when nobody has said which model.

The rules are short tables. `suited` reads from the survey of a data set which three models come first; `recommend` also
times the settings of the first on this machine, and takes the largest whose steps fit into the minutes.
"""

import dataclasses
import os
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from ganarium import registry
from ganarium.data import as_name
from ganarium.data.inspect.dataset import survey
from ganarium.data.inspect.survey import Survey
from ganarium.errors import UserError, nearest
from ganarium.runs.options import Options, from_mapping, parse_size
from ganarium.runtime.device import resolve_device, resolve_precision
from ganarium.training.compatibility import reason_against
from ganarium.training.estimate import Estimate, estimate
from ganarium.training.timing import in_minutes, in_steps

FEW = 5000  # images below which D learns them by heart, so that they are augmented
FEW_OF_A_CLASS = 100  # images below which a class is too small to be learned by itself
SMALL = 32  # pixels of a side
LEAST_STEPS = 1000  # fewer show nothing of a model
SHARE = 0.85  # of the minutes that steps take: the rest goes to loading, pictures and evaluations
MEASURED = 3.0  # seconds of steps for each setting that is timed
WIDTHS = ("width", "generator_width", "discriminator_width", "classifier_width", "base_width", "max_width")
NEAR = 0.8  # of the steps wanted, with which a setting is taken all the same


@dataclass(frozen=True)
class Choice:
    """A model that suits a kind of data, and what it can be trained with."""

    model: str
    reason: str  # why it comes first, or when it is the better one
    steps: int = 3000  # after which its samples can be shown
    settings: tuple[tuple[int, int], ...] = ((64, 64), (64, 32), (64, 16), (32, 16))  # (size, width), dearest first
    widths: tuple[tuple[str, int], ...] = (("width", 1),)  # options that the width sets, and its divisor
    fixed: tuple[tuple[str, Any], ...] = ()  # other options of the model
    shares: tuple[tuple[str, float], ...] = ()  # options that count steps, as shares of the run; at most their defaults


UNPAIRED = ((256, 64), (128, 64), (128, 32), (64, 32), (64, 16), (32, 16))
LIGHT = ((256, 64), (128, 64), (128, 32), (64, 32), (64, 16), (32, 16), (32, 8))
FASTGAN = partial(Choice, "fastgan", settings=LIGHT)
PROJECTED = partial(
    Choice,
    "projected_gan",
    steps=2000,
    settings=LIGHT[1:],
    fixed=(("feature_size", 128), ("discriminator_width", 32)),  # cheaper on a CPU
)
SNGAN = partial(
    Choice,
    "sngan",
    steps=3000,
    settings=((64, 64), (64, 32), (64, 16), (32, 64), (32, 32), (32, 16)),
    widths=(("generator_width", 1), ("discriminator_width", 1)),
    fixed=(("conditional", True), ("num_critic_steps", 1)),  # the paper's five make a step twice as dear
)
ACGAN = partial(
    Choice,
    "acgan",
    steps=3000,
    settings=((64, 96), (32, 96), (32, 48), (32, 24)),
    widths=(("generator_width", 1), ("discriminator_width", 6)),
)
DCGAN = partial(Choice, "dcgan", settings=((64, 128), (64, 64), (64, 32), (32, 64), (32, 32)))
R3GAN = partial(Choice, "r3gan", steps=5000, settings=((64, 96), (64, 48), (32, 48), (32, 32)))

KINDS: dict[str, tuple[Choice, ...]] = {
    "pairs": (
        Choice("pix2pix", "learns from pairs what one becomes in the other", settings=UNPAIRED[:-1]),
        Choice("cyclegan", "needs no pairs: take it where the pairs do not fit well", 4000, UNPAIRED),
        Choice("discogan", "needs no pairs, and bears large changes of shape", 4000),
    ),
    "two domains": (
        Choice("cyclegan", "turns one kind into the other without pairs", 4000, UNPAIRED),
        Choice("discogan", "bears large changes of shape", 4000),
        Choice("dualgan", "the same under Wasserstein critics", 4000, UNPAIRED),
    ),
    "captions": (
        Choice(
            "text_to_image",
            "draws what a sentence says",
            steps=6000,
            settings=((64, 64), (64, 32), (32, 32), (32, 16)),
            # lighter and at higher rates than the paper's, for short runs
            fixed=(("text_width", 64), ("projected", 64), ("lr", 5e-4), ("text_lr", 4e-3), ("halvings", 0)),
            shares=(("num_text_steps", 0.25),),
        ),
        FASTGAN("makes images like these, without the sentences"),
        R3GAN("a modern baseline without the sentences"),
    ),
    "patches": (
        Choice("srgan", "enlarges small photos", 6000, ((96, 64), (96, 32), (48, 32))),
        Choice("esrgan", "is slower and sharper", 6000, ((96, 64), (96, 32), (48, 32))),
        FASTGAN("makes new windows of such photos"),
    ),
    "classes": (
        SNGAN("draws the class asked for"),
        ACGAN("draws the class asked for, and classifies"),
        FASTGAN("makes images of all classes, without being told which"),
    ),
    "digits by class": (
        ACGAN("draws the class asked for, and classifies"),
        Choice("cgan", "draws the class asked for, with small networks", 8000, ((32, 64),)),
        Choice("sgan", "becomes a classifier from few labels", 3000, ((32, 64), (32, 32))),
    ),
    "few of a class": (
        FASTGAN("learns from few photos; each class alone has too few"),
        SNGAN("draws the class asked for, from few images of it"),
        DCGAN("the short file to learn from"),
    ),
    "few": (
        FASTGAN("is made for a few hundred photos"),
        PROJECTED("learns from ImageNet features, of a frozen network"),
        DCGAN("the short file to learn from"),
    ),
    "many": (
        FASTGAN("a light GAN that needs no pretrained features"),
        R3GAN("a modern baseline, for a GPU or a night"),
        DCGAN("the short file to learn from"),
    ),
    "small and many": (
        DCGAN("a short file, for small images", settings=((32, 64), (32, 32))),
        Choice("wgan_gp", "if dcgan collapses or D wins", 5000, ((32, 64), (32, 32))),
        Choice("infogan", "finds kinds and styles without labels", 5000, ((32, 64), (32, 32))),
    ),
    "points": (
        Choice("gan", "the game itself, in a minute", 4000, ((0, 0),), ()),
        Choice("wgan_gp", "a loss that follows the distance", 4000, ((0, 0),), ()),
        Choice("relativistic_gan", "scores that compare reals with fakes", 4000, ((0, 0),), ()),
    ),
}


Setting = tuple[tuple[int, ...], dict[str, Any]]  # the shape, and the options of the model


@dataclass(frozen=True)
class Recommendation:
    """A model, its settings, and why."""

    model: str
    options: dict[str, Any]  # of `ganarium train`: data, minutes, size and others, and the model's own
    reasons: tuple[str, ...]  # five lines: what is there, the model, its size, augmentation, what is left aside
    others: tuple[tuple[str, str], ...]  # models that suit as well, and when they are better
    steps: int  # that fit into the minutes
    seconds_per_step: float
    bytes_needed: int
    device: str

    @property
    def command(self) -> str:
        """The command that does the same."""
        words = [f"--{key.replace('_', '-')}={shlex.quote(str(value))}" for key, value in self.options.items()]
        return " ".join(["ganarium train", self.model, *words])


def kind_of(data: Survey) -> str:
    """What a data set is to a person who wants a model: a key of KINDS."""
    if len(data.shape) == 1:
        return "points"
    if "PairedImages" in data.kinds:
        return "pairs"
    if "UnpairedImages" in data.kinds:
        return "two domains"
    if "HighResolutionImages" in data.kinds:
        return "patches"
    if "CaptionedImages" in data.kinds:
        return "captions"
    small = _short_side(data) <= SMALL and data.num_train >= FEW
    if len(data.classes) > 1:
        if small and data.shape[0] == 1:
            return "digits by class"
        enough = min(train for train, _ in data.classes.values()) >= FEW_OF_A_CLASS
        return "classes" if enough else "few of a class"
    return "small and many" if small else "few" if data.num_train < FEW else "many"


def suited(data: Survey) -> list[Choice]:
    """At most three models that suit a data set, the first one first."""
    known = registry.list_models()
    choices = [choice for choice in KINDS[kind_of(data)] if choice.model in known]
    return [choice for choice in choices if not reason_against(choice.model, data)]


def recommend(
    data: str | os.PathLike[str],
    *,
    minutes: float = 60.0,
    device: str = "auto",
    measure: Callable[..., Estimate] = estimate,
    **options: Any,
) -> Recommendation:
    """The model that suits a data set, with the size, width and batch that the minutes can pay for on this machine.

    `data` is what `ganarium train --data` takes. `options` are choices that are fixed already: of the run (size,
    channels, layout, classes, batch_size ...) or of the model. Two or three settings are timed, for a few seconds each,
    by `measure`. Raises `UserError` where no model learns from such data, and for an option that does not exist or has
    a value which `train` would refuse.
    """
    minutes, options = registry.plain(minutes), {key: registry.plain(value) for key, value in options.items()}
    data = _checked(data, {"minutes": minutes, "device": device, **options})
    examined, reading, choice, ladder = _chosen(data, options)
    timed: dict[int, tuple[Estimate, dict[str, int]]] = {}
    precision = _precision(examined, options, device)

    def seconds(place: int) -> float:
        if place not in timed:
            timed[place] = _timed(measure, choice, examined, ladder[place], options, device, precision)
        return timed[place][0].seconds_per_step

    place = _affordable(ladder, seconds, SHARE * 60 * minutes, choice.steps)
    (shape, own), (time, batch) = ladder[place], timed[place]
    steps = int(SHARE * 60 * minutes / time.seconds_per_step)
    own = _counted(choice, steps) | own
    chosen: dict[str, Any] = {"data": data, "minutes": minutes, **reading}
    size = _size(shape, examined, options)
    if size:
        chosen["size"] = size
    chosen |= batch
    if precision != "fp32":
        chosen["precision"] = precision
    chosen |= {key: value for key, value in options.items() if value is not None} | own
    reasons = (
        _things(examined),
        f"{registry.title(choice.model)}: {choice.reason}{_own_options(own, options)}",
        _pace(shape, own, chosen, steps, time, choice.steps, place),
        _augmentation(own, examined, choice.model),
        _left_aside(examined, choice.model),
    )
    others = tuple((other.model, other.reason) for other in suited(examined)[1:])
    return Recommendation(
        choice.model, chosen, reasons, others, steps, time.seconds_per_step, time.bytes_needed, time.device
    )


@dataclass(frozen=True)
class Level:
    """How good the samples shall be, and what that takes on this machine."""

    name: str  # rough, good or best
    steps: int
    minutes: float
    size: str | None  # in pixels, as `--size` takes it
    options: dict[str, Any]  # of the model; the precision, if not fp32; the batch, if the model's is too large


def levels(
    data: str | os.PathLike[str], *, device: str = "auto", measure: Callable[..., Estimate] = estimate, **options: Any
) -> tuple[str, tuple[Level, ...]]:
    """The model that suits a data set, and how long it takes to be rough, good and best.

    Rough is the lightest setting for 1,000 steps, after which there is something to see; good is the middle one for as
    many steps as it takes to show samples; best is the dearest one for three times as many. Each is timed for a few
    seconds. `data` and `options` are those of `recommend`. Raises `UserError` where no model learns from such data.
    """
    options = {key: registry.plain(value) for key, value in options.items()}
    examined, _, choice, ladder = _chosen(_checked(data, {"device": device, **options}), options)
    wishes = (
        ("rough", len(ladder) - 1, min(LEAST_STEPS, choice.steps)),
        ("good", len(ladder) // 2, choice.steps),
        ("best", 0, 3 * choice.steps),
    )
    precision = _precision(examined, options, device)
    timed = {
        place: _timed(measure, choice, examined, ladder[place], options, device, precision)
        for place in {place for _, place, _ in wishes}
    }
    offers = []
    for name, place, steps in wishes:
        (shape, own), (time, batch) = ladder[place], timed[place]
        own = _counted(choice, steps) | own | batch
        if precision != "fp32":
            own["precision"] = precision
        minutes = steps * time.seconds_per_step / (60 * SHARE)
        offers.append(Level(name, steps, minutes, _size(shape, examined, options), own))
    return choice.model, tuple(offers)


def _checked(data: str | os.PathLike[str], options: dict[str, Any]) -> str:
    """The data as text; `UserError` for what no run can be told, before a long look at the data."""
    name = as_name(data)
    if options.get("minutes", 0) is None:
        raise UserError("minutes must be a number, not None.")
    if options.get("steps") is not None:
        raise UserError("without a model the minutes decide what is trained: give minutes and no steps.")
    from_mapping({"data": name, **options})
    return name


def _chosen(data: str, options: dict[str, Any]) -> tuple[Survey, dict[str, Any], Choice, list[Setting]]:
    """The survey of a data set, the options by which it is read, the first model for it and its settings."""
    how = ("channels", "characters", "fit", "layout", "classes", "passed_over")
    reading: dict[str, Any] = {key: options[key] for key in how if key in options}
    examined = survey(data, size=parse_size(options.get("size")), **reading)
    if examined.refusal:
        raise UserError(examined.refusal)
    choices = suited(examined)
    if not choices:
        raise UserError(f"no model here learns from {data}: `ganarium data {shlex.quote(data)}` says what it holds.")
    choice = choices[0]
    config = registry.module(choice.model).Config
    own = {field.name for field in dataclasses.fields(config)}
    for option in options:
        if option not in own and option not in Options.__dataclass_fields__:
            raise UserError(
                f"there is no option {option!r} of {registry.title(choice.model)}, the model for {data}: "
                f"{nearest(option, own | {*Options.__dataclass_fields__})}"
            )
    registry.make_config(choice.model, {key: value for key, value in options.items() if key in own}, examined.shape)
    return examined, reading, choice, _ladder(choice, examined, options)


def _precision(examined: Survey, options: dict[str, Any], device: str) -> str:
    """The number format, if none is fixed: bf16 for images where the device is faster in it, as photographs bear well
    (a step takes 1/1.3 to 1/2 of the time). Places of points need the digits of fp32."""
    usual = "auto" if len(examined.shape) == 3 else "fp32"
    return resolve_precision(options.get("precision") or usual, resolve_device(device))


def _timed(
    measure: Callable[..., Estimate],
    choice: Choice,
    examined: Survey,
    setting: Setting,
    options: dict[str, Any],
    device: str,
    precision: str,
) -> tuple[Estimate, dict[str, int]]:
    """A setting's timing, and its batch size as an option where the model's own is too large: for the memory, and then
    a smaller one is timed, or for the images there are."""
    shape, own = setting
    timing = partial(
        measure,
        choice.model,
        shape,
        len(examined.classes) or None,
        num_train=max(1, examined.num_train),
        data_bytes=examined.bytes_held(shape),
        device=device,
        precision=precision,
        model_options=own,
        seconds=MEASURED,
        threads=options.get("threads"),
    )
    fixed = options.get("batch_size")
    time = timing(batch_size=fixed)
    if fixed is None and time.batch_size > max(1, time.largest):
        smaller = {"batch_size": 1 << (max(1, time.largest).bit_length() - 1)}
        return timing(**smaller), smaller
    return time, {"batch_size": time.batch_size} if time.batch_size == examined.num_train else {}


def _size(shape: tuple[int, ...], examined: Survey, options: dict[str, Any]) -> str | None:
    """The size of a setting as `--size` takes it; None for points, and where the data have theirs."""
    if len(shape) != 3 or not (options.get("size") or examined.fit):
        return None
    return "x".join(map(str, shape[1:] if shape[1] != shape[2] else shape[1:2]))


def cheaper(config: dict[str, Any], steps: int, measure: Callable[..., Estimate] = estimate) -> str:
    """A sentence for a run that can do only few steps in its minutes: the time they take, and an option that could.

    `config` is that of a run whose trainer has been built. Networks of half the width and less are timed, for a few
    seconds each, until 1,000 steps fit; where the model has no width, or none does, the size is named.
    """
    minutes, data = config["options"]["minutes"], config["data"]
    needed = LEAST_STEPS * minutes / steps
    words = f"{LEAST_STEPS:,} steps, after which there is something to see, take {in_minutes(round(needed))}"
    for widths in _narrower(config["model_options"]):
        try:
            time = measure(
                config["model"],
                tuple(data["shape"]),
                data["num_classes"],
                num_train=data["train"],
                batch_size=config["options"]["batch_size"],
                device=config["device"],
                precision=config["precision"],
                model_options=config["model_options"] | widths,
                seconds=MEASURED,
            )
        except UserError:  # some networks take widths of their own only
            continue
        if SHARE * 60 * minutes / time.seconds_per_step >= LEAST_STEPS:
            narrow = " ".join(f"--{key.replace('_', '-')} {value}" for key, value in widths.items())
            return f"{words}; {narrow} would do that in {minutes:g}"
    side = min(data["shape"][1:], default=0)
    smaller = f"; a smaller --size than {side}, or a lighter model, would be quicker" if side > 16 else ""
    return words + smaller


def _narrower(options: dict[str, Any]) -> list[dict[str, int]]:
    """The widths of a model's networks, halved and halved again, until the widest is 8.

    A width of None is the paper's, which differs from network to network: those that are tried then begin with 64.
    """
    names = [key for key in options if key in WIDTHS]
    widths = {key: 128 if options[key] is None else int(options[key]) for key in names}
    narrower = []
    while max(widths.values(), default=0) > 8:
        widths = {key: max(1, value // 2) for key, value in widths.items()}
        narrower.append(widths)
    return narrower


def _ladder(choice: Choice, data: Survey, options: dict[str, Any]) -> list[Setting]:
    """The settings of a model on these data, the dearest first; what `options` fix is the same in all."""
    config = registry.module(choice.model).Config
    names = {field.name for field in dataclasses.fields(config)}
    fixed = {key: value for key, value in options.items() if key in names and value is not None}
    if "augment" in names and "augment" not in fixed and data.num_train < FEW and _takes_diff(config):
        fixed["augment"] = "diff"
    ladder: list[Setting] = []
    for size, width in choice.settings:
        shape = data.shape
        if len(shape) == 3 and data.fit and "size" not in options:
            if size > max(SMALL, _short_side(data)) and size != choice.settings[-1][0]:
                continue  # enlarged pictures show nothing new
            shape = (shape[0], size, size)
        own = {option: max(1, width // part) for option, part in choice.widths if option in names}
        setting = (shape, own | dict(choice.fixed) | fixed)
        if setting not in ladder:
            ladder.append(setting)
    return ladder


def _takes_diff(config: type) -> bool:
    try:
        config(augment="diff")
    except (UserError, TypeError):
        return False
    return isinstance(config.augment, str)  # type: ignore[attr-defined]


def _counted(choice: Choice, steps: int) -> dict[str, Any]:
    """The options of a model that count steps, for a run of so many."""
    config = registry.module(choice.model).Config
    return {name: min(getattr(config, name), max(1, int(share * steps))) for name, share in choice.shares}


def _cost(setting: Setting) -> float:
    """How dear a step is beside that of another setting, as a guess."""
    shape, own = setting
    pixels = shape[1] * shape[2] if len(shape) == 3 else 1
    width: float = own.get("width") or own.get("generator_width") or 1
    return float(pixels * width**1.5)


def _affordable(ladder: list[Setting], seconds: Callable[[int], float], budget: float, steps: int) -> int:
    """The place of the dearest setting that makes the steps within the budget, in seconds; else the cheapest."""
    last = len(ladder) - 1
    unit = seconds(last) / _cost(ladder[last])
    for place, setting in enumerate(ladder[:-1]):
        # the guess is checked by a timing where it says that the steps fit, or nearly
        if unit * _cost(setting) * steps < budget / NEAR and seconds(place) * NEAR * steps <= budget:
            return place
    return last


def _short_side(data: Survey) -> int:
    """The median of the pictures' shorter sides, in pixels."""
    sides = sorted(min(size) for size in data.sizes.elements())
    return sides[len(sides) // 2] if sides else min(data.shape[1:])


def _things(data: Survey) -> str:
    if len(data.shape) == 1:
        return f"{data.num_train:,} points to train on"
    colour = {1: "grey", 3: "in colour", 4: "in colour with alpha"}[data.shape[0]]
    words = f"{data.num_train:,} images to train on, {colour}, mostly {_short_side(data)} pixels or more a side"
    kind = kind_of(data)
    if kind in ("pairs", "two domains", "captions"):
        return f"{words}: {kind}"
    return f"{words}, in {len(data.classes)} classes" if len(data.classes) > 1 else words


def _own_options(own: dict[str, Any], options: dict[str, Any]) -> str:
    """The options of the model that are chosen for it, beside those that other lines name; `options` are the user's."""
    words = [
        f"--{key.replace('_', '-')}" + ("" if value is True else f" {value}")
        for key, value in own.items()
        if options.get(key) is None and "width" not in key and key != "augment"
    ]
    return f", with {' '.join(words)}" if words else ""


def _pace(
    shape: tuple[int, ...],
    own: dict[str, Any],
    chosen: dict[str, Any],
    steps: int,
    time: Estimate,
    wanted: int,
    place: int,
) -> str:
    minutes, precision = chosen["minutes"], chosen.get("precision", "fp32")
    batch = f"batches of {chosen.get('batch_size', time.batch_size):,}"
    size = f"{shape[1]}x{shape[2]}, " if len(shape) == 3 else ""
    widths = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in own.items() if "width" in key)
    words = f"{size}{widths or 'its own networks'}, {batch}: about {in_steps(steps)} in {in_minutes(minutes)} on "
    words += time.device
    words += "" if precision == "fp32" else f" in {precision}"
    if steps < LEAST_STEPS:
        needed = LEAST_STEPS * minutes / max(1, steps)
        return f"{words}, too few to show much: {LEAST_STEPS:,} take {in_minutes(round(needed))}"
    if steps < NEAR * wanted:
        return f"{words}; {wanted:,} would be better"
    return words + ("; a larger setting would not do enough steps" if place else "")


def _augmentation(own: dict[str, Any], data: Survey, model: str) -> str:
    kind = own.get("augment", getattr(registry.module(model).Config, "augment", None))
    if kind == "ada":
        return "ADA changes what D sees, as often as its scores ask for"
    if kind == "diff":
        why = (
            f"since {data.num_train:,} images are fewer than {FEW:,}" if data.num_train < FEW else "as the model has it"
        )
        return f"DiffAugment changes what D sees, {why}"
    return "no augmentation: " + (
        "points have none" if len(data.shape) == 1 else "the model has its own, or needs none"
    )


def _left_aside(data: Survey, model: str) -> str:
    aside = []
    if data.broken:
        aside.append(f"{len(data.broken):,} broken file{'s' * (len(data.broken) > 1)}")
    if data.left_out:
        aside.append(f"{len(data.left_out):,} that no layout uses")
    if data.classes and model == "fastgan":
        aside.append("the classes")
    if data.caption_lengths and model != "text_to_image":
        aside.append("the captions")
    alike = sum(len(group) - 1 for group in [*data.exact, *data.near])
    if alike > 0.5 * data.num_train:
        aside.append(f"little can be learned from {alike:,} images that look like others")
    return "left aside: " + ("; ".join(aside) or "nothing")
