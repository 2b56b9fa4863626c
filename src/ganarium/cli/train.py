"""`ganarium train`: a new run, with the options of the model that is named."""

import dataclasses
import shlex
from contextlib import suppress
from itertools import pairwise
from typing import Annotated, Any

from cyclopts import App, Parameter

from ganarium import registry
from ganarium.cli.parameters import LEGEND, from_file, parameters, read_file, take_option
from ganarium.errors import UserError
from ganarium.runs.options import Options

UNRELATED = (  # options of a run that have no part in what is chosen
    "patience",
    "keep",
    "save_every",
    "sample_every",
    "log_every",
    "evaluate_every",
    "seed",
    "track",
    "labels_per_class",
)
GENERAL = """Train a model on a data set, in a folder of its own.

`ganarium train MODEL --help` shows the options of that model as well; `ganarium list` names the models. Without one,
`ganarium train --data my_photos --minutes 60` looks at the data, takes the model that suits them and the size that the
time can pay for, and says why.
"""


def register_train(app: App, arguments: list[str]) -> list[str]:
    """Adds `train` with the options of the model that the arguments name, and gives the arguments to parse.

    Only that model is imported, and none at all for other commands.
    """
    model, rest = None, arguments
    if arguments[:1] == ["train"]:
        path, rest = take_option(arguments[1:], "config")
        file = read_file(path) if path else {}
        place = _place_of_model(rest)
        model, rest = (file.get("model"), rest) if place is None else (rest[place], rest[:place] + rest[place + 1 :])
        if model is None and path is None and not {"--help", "-h"} & {*rest}:
            model, rest = _recommended(rest)
        if model is not None:
            known = {
                field.name
                for kind in (Options, registry.module(str(model)).Config)
                for field in dataclasses.fields(kind)
            }
            rest = rest + (from_file(path, known | {"model"}, [*rest, "--model"]) if path else [])
            if not {"--help", "-h"} & {*rest} and not any(word.split("=")[0] == "--data" for word in rest):
                raise UserError("name the data, as in `--data glyphs`: a set that `ganarium list` names, or a folder.")
        elif not {"--help", "-h"} & {*rest}:
            raise UserError(
                f"{path} names no model: add a line such as `model: dcgan`, or name it on the command line."
            )
        rest = ["train", *([str(model)] if model else []), *rest]
    app.command(_command(str(model) if model else None), name="train")
    return rest


def _recommended(words: list[str]) -> tuple[str, list[str]]:
    """The model that suits the data which the options name, and the options with what the time can pay for."""
    given: dict[str, str] = {}
    for name in Options.__dataclass_fields__:
        value, _ = take_option(words, name.replace("_", "-"))
        if value is not None:
            given[name] = value
    if "data" not in given:
        raise UserError(
            "name the data, as in `ganarium train --data my_photos --minutes 60`, and a model if you want one: "
            "`ganarium train dcgan --data glyphs`; `ganarium list` names both."
        )
    if "steps" in given:
        raise UserError("without a model the minutes decide what is trained: give --minutes and no --steps.")
    try:
        minutes = float(given.get("minutes", 60))
        fixed: dict[str, Any] = {key: int(given[key]) for key in ("channels", "batch_size", "threads") if key in given}
        fixed |= {"passed_over": float(given["passed_over"])} if "passed_over" in given else {}
    except ValueError as error:
        raise UserError(
            f"--minutes, --channels, --batch-size, --threads and --passed-over must be numbers: {error}."
        ) from None
    fixed |= {
        key: given[key] for key in ("size", "characters", "fit", "layout", "classes", "precision") if key in given
    }
    fixed |= {key: _value(given[key]) for key in UNRELATED if key in given}  # refused before the long look, if at all
    own = _own(words)
    from ganarium.training.recommend import recommend

    print("looking at the data, and timing what this machine can do ...", flush=True)
    advice = recommend(given["data"], minutes=minutes, device=given.get("device", "auto"), **fixed, **own)
    for line in advice.reasons:
        print(line, flush=True)
    new = {key: value for key, value in advice.options.items() if key not in given and key not in own}
    return advice.model, [*words, *(f"--{key.replace('_', '-')}={value}" for key, value in new.items())]


def _own(words: list[str]) -> dict[str, Any]:
    """The options that are not the run's but those of a model which is still to be chosen, with their values."""
    options: dict[str, Any] = {}
    for word, after in zip(words, [*words[1:], "--"], strict=True):
        if not word.startswith("--"):
            continue
        name, equals, text = word[2:].partition("=")
        if not equals and not after.startswith("--"):
            text = after
        value = not name.startswith("no-") if text == "" else _value(text)
        options[name.removeprefix("no-").replace("-", "_")] = value
    return {name: value for name, value in options.items() if name not in Options.__dataclass_fields__}


def _value(text: str) -> Any:
    """A number, true or false, or else the word itself."""
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return {"true": True, "false": False}.get(text.lower(), text)


def _place_of_model(words: list[str]) -> int | None:
    """The place of the model's name: first, or wherever a word is a model's name and not the value of an option."""
    if words and not words[0].startswith("-"):
        return 0
    known = registry.list_models()
    pairs = enumerate(pairwise(words), start=1)
    return next((place for place, (before, word) in pairs if word in known and not before.startswith("--")), None)


def _command(name: str | None) -> Any:
    """The function behind `ganarium train`, with the run's options and those of the named model."""
    run_options = parameters(Options, "Run")
    if name is None:

        def train(model: ModelName = "", /, *, options: Any, config: Config = None) -> None:
            raise AssertionError("only its help is ever asked for: every other call names a model")

        train.__doc__ = GENERAL
        train.__annotations__["options"] = run_options
        return train
    own_options = parameters(registry.module(name).Config, f"Model: {registry.title(name)}", optional=True)
    defaults = own_options()

    def train_model(model: ModelName, /, *, options: Any, model_options: Any = defaults, config: Config = None) -> int:
        from ganarium.training.session import Run

        run_values = Options(**dataclasses.asdict(options))
        model_values = {key: value for key, value in dataclasses.asdict(model_options).items() if value is not None}
        return train_and_tell(Run.new(model, run_values, model_values))

    card = registry.card(name)
    train_model.__doc__ = (
        f"Train {registry.title(name)}: {card['title']} ({card['year']}).\n\n{card['idea']}\n\n{LEGEND}"
    )
    train_model.__annotations__ |= {"options": run_options, "model_options": own_options}
    return train_model


def train_and_tell(run: Any) -> int:
    """Trains, and prints which files a person can look at and which commands come next."""
    from ganarium.training.timing import in_steps

    if run.first:
        data, shape = run.config["data"], "x".join(map(str, run.config["data"]["shape"]))
        things = f"images of {shape}" if "x" in shape else "points"
        print(f"{run.folder}: {registry.title(run.config['model'])} on {data['name']}, {data['train']} {things}")
        batches = f"batches of {run.options['batch_size']}"
        print(f"{in_steps(run.trainer.total)}, {batches}, {run.config['device']}", flush=True)
        for note in data["notes"]:
            print(note)
    signal_number = run.train()
    if not run.first:
        return 0
    if signal_number:
        print(f"saved at step {run.model.iteration} of {run.trainer.total}; go on with: {run.resume_command()}")
        return 128 + signal_number
    step, total = run.model.iteration, run.trainer.total
    print(f"done: {in_steps(step)}" + (f" of {total:,}, where patience ended it" if step < total else ""))
    print(f"  samples   {max((run.folder / 'samples').glob('step-*.png'))}")
    print(f"  training  {run.folder / 'samples' / 'training.gif'}")
    print(f"  curves    {run.folder / 'curves.png'}")
    print(f"  report    {run.folder / 'report.html'}")
    print("next:")
    for command in _next_commands(run):
        print(f"  {command}")
    return 0


def _next_commands(run: Any) -> list[str]:
    """Commands that work on this run, ready to be pasted."""
    folder, above = shlex.quote(str(run.folder)), shlex.quote(str(run.folder.parent))
    if run.model.directions:
        images = f"ganarium translate {folder} PICTURE.png --direction {run.model.directions[0]}"
    elif run.model.scale:
        images = f"ganarium upscale {folder} PICTURE.png"
    elif run.model.inpaints:
        images = f"ganarium inpaint {folder} PICTURE.png --mask MASK.png"
    elif len(run.model.shape) == 1:
        images = f"ganarium sample {folder} --n 2000 --files"
    else:
        walks = run.model.prior and not run.model.captioned  # which needs a sentence for it
        images = f"ganarium sample {folder} --n 64" + (" --gif" if walks else "")
    more = []
    if run.model.domains:  # it translates, and also makes pairs
        more = [f"ganarium sample {folder} --n 64 --gif"]
    elif run.model.encodes:
        more = [f"ganarium encode {folder} PICTURE.png"]
    elif run.model.captioned:
        more = [f'ganarium sample {folder} --text "A SENTENCE" --gif']
    elif run.model.completes:
        more = [f"ganarium complete {folder} PICTURE.png"]
    elif run.model.styles:
        more = [f"ganarium sample {folder} --truncation 0.7 --mix 1"]
    step, total = run.model.iteration, run.trainer.total
    further = "" if step < total else f" --steps {2 * total}"
    runs = "ganarium runs" if above == "runs" else f"ganarium runs {above}"
    return [
        images,
        *more,
        f"ganarium evaluate {folder}",
        f"{run.resume_command()}{further}",
        runs,
    ]


Config = Annotated[
    str | None,
    Parameter(help="A YAML or TOML file with options; an option on the command line overrides it.", group="Run"),
]
ModelName = Annotated[
    str, Parameter(help="A name from `ganarium list`, or the path of your own model file.", show_default=False)
]
