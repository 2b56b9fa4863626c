"""The lines that `ganarium data` prints about a data set, and about what training on it would take."""

import shlex
import statistics
import textwrap

from ganarium import registry
from ganarium.data.inspect.duplicates import Groups
from ganarium.data.inspect.survey import Survey
from ganarium.training.estimate import Estimate
from ganarium.training.recommend import Choice

WIDTH, MARGIN = 80, 12  # columns: of a line, and of the word that it begins with
NUM_NAMES = 3  # names of files in a line; the page has all of them
MINUTES, MINUTES_OF_POINTS = 60, 2  # of the command at the end; points are learned in a minute


def report(survey: Survey, models: dict[str, str], first: list[Choice]) -> list[str]:
    """The lines of the report, of at most 80 columns. `models` is what `model_compatibility` gives, `first` the models
    that suit best."""
    points = len(survey.shape) == 1
    things = "points" if points else "images"
    lines = [f"{survey.name}: {survey.layout}"]
    source = " (held out: no test part is given)" if survey.held_out else ""
    domains = " (of both domains)" if survey.num_domains == 2 and "side by side" not in survey.layout else ""
    lines.append(line(things, f"{survey.num_train:,} to train on, {survey.num_test:,} to test{source}{domains}"))
    if points and survey.extent:
        lines.append(line("extent", f"coordinates from {survey.extent[0]:.2f} to {survey.extent[1]:.2f}"))
    if survey.sizes:
        lines += [line("" if place else "sizes", text) for place, text in enumerate(sizes_in_words(survey))]
        lines.append(line("stored as", ", ".join(f"{word} {n:,}" for word, n in survey.formats.most_common(6))))
        if survey.num_grey and survey.shape[0] != 1:
            every = survey.num_grey == sum(survey.sizes.values())
            lines.append(
                line("", f"{survey.num_grey:,} of them show no colour" + ("; --channels 1 would do" if every else ""))
            )
    lines += classes_in_words(survey)
    if survey.caption_lengths:
        words = sorted(survey.caption_lengths)
        text = (
            f"{len(words):,}, of which {survey.num_different_captions:,} differ; {words[0]} to {words[-1]} words, "
            f"mostly about {statistics.median(words):.0f}"
        )
        lines.append(line("captions", text))
    lines += _named_files("broken", [f"{name} {why}" for name, why in survey.broken], "cannot be used")
    lines += _named_files("not used", survey.left_out, "that are not used")
    lines += _named_files("blank", survey.blank, "of one colour throughout")
    lines += _groups("identical", survey.exact, "have the same content", things)
    lines += _groups("leaks", survey.leaks, "have the same content in train and in test", things)
    if not points:
        lines += _groups("alike", survey.near, "look nearly the same", things, " ~ ")
        lines += _groups("leaks", survey.near_leaks, "look nearly the same in train and in test", things, " ~ ")
    lines += [line("note", note) for note in survey.notes]
    if survey.note:
        lines.append(line("", survey.note))
    lines.append(
        line("gives", f"{' or '.join(survey.kinds)} of {'2-D points' if points else 'x'.join(map(str, survey.shape))}")
    )
    fits = [name for name, why in models.items() if not why]
    for place, choice in enumerate(first):
        lines.append(line("" if place else "first", f"{choice.model}: {choice.reason}"))
    others = [name for name in fits if name not in [choice.model for choice in first]]
    lines.append(line("then", ", ".join(others)) if first and others else line("suits", ", ".join(fits) or "no model"))
    return lines


def sizes_in_words(survey: Survey) -> list[str]:
    """Height x width of the pictures, and what fitting does to them."""
    (height, width), count = survey.sizes.most_common(1)[0]
    total = sum(survey.sizes.values())
    lines = []
    if len(survey.sizes) == 1:
        lines.append(f"all {height}x{width} (height x width)")
    else:
        sides = [sorted(size[axis] for size in survey.sizes.elements()) for axis in (0, 1)]
        extents = [f"{side[0]} to {side[-1]}, median {side[len(side) // 2]}" for side in sides]
        lines.append(f"heights {extents[0]}; widths {extents[1]}; commonest {height}x{width} ({count / total:.0%})")
    if survey.fit is None:
        return lines
    target = "x".join(map(str, survey.shape[1:]))
    if survey.fit == "patches":
        return [*lines, f"windows of {target}; {survey.num_enlarged:,} are smaller than that"]
    if survey.lost_share >= 0.005:
        crop = survey.fit == "crop"
        effect = "cuts away" if crop else "adds black to"
        remedy = "; --fit pad or a --size of their proportions keeps all" if crop and survey.lost_share > 0.3 else ""
        lines.append(f"fitting them to {target} {effect} {survey.lost_share:.0%} on average{remedy}")
    if survey.num_enlarged:
        lines.append(f"{survey.num_enlarged:,} are smaller than {target} and would be enlarged")
    return lines


def classes_in_words(survey: Survey) -> list[str]:
    """The classes with their counts, or the largest and the smallest where there are many."""
    if not survey.classes:
        return []
    counts = {name: train for name, (train, _) in survey.classes.items()}
    order = sorted(counts, key=lambda name: -counts[name])
    most, least = order[0], order[-1]
    if len(order) <= 10:
        lines = [line("classes", f"{len(order)}: " + ", ".join(f"{name} ({counts[name]:,})" for name in counts))]
    else:
        lines = [line("classes", f"{len(order)}, from {least} ({counts[least]:,}) to {most} ({counts[most]:,})")]
    rarest = min((name for name in order if counts[name]), key=counts.__getitem__, default=most)
    if counts[most] > 3 * counts[rarest]:  # a class without a training image has a note of its own
        lines.append(line("", f"uneven: {most} has {counts[most] / counts[rarest]:.0f} times what {rarest} has"))
    return lines


def prediction_lines(prediction: Estimate) -> list[str]:
    """What training would take, with the basis of the prediction."""
    need, free = prediction.bytes_needed / 2**30, prediction.bytes_free / 2**30
    power = 1 << (max(1, prediction.largest).bit_length() - 1)
    if prediction.largest < 2:
        fits = "no batch size fits: use a smaller --size or a narrower model"
    elif prediction.batch_size <= prediction.largest:
        fits = f"batches of {prediction.batch_size} fit"
        fits += f", up to {power:,} would" if power > prediction.batch_size else ""
    else:
        fits = f"batches of {prediction.batch_size} do not fit: use --batch-size {power}"
    minutes = prediction.minutes
    duration = f"{minutes:.0f} minutes" if minutes < 120 else f"{minutes / 60:.1f} hours"
    measured = ", ".join(map(str, prediction.sizes))
    where = "this machine" if prediction.device == "cpu" else prediction.device
    return [
        line(registry.title(prediction.model), f"{fits} ({prediction.device})"),
        line("memory", f"{need:.1f} GiB at a batch of {prediction.batch_size}, of {free:.1f} GiB free"),
        line("time", f"{duration} for {prediction.steps:,} steps, {1000 * prediction.seconds_per_step:.0f} ms each"),
        line("", f"predicted from a few steps at batches of {measured} of noise, beside what else {where} has to do"),
    ]


def verdict(
    survey: Survey,
    models: dict[str, str],
    first: list[Choice],
    data: list[str],
    model: str | None = None,
    obstacle: str = "",
) -> str:
    """The last line: whether the data can be trained on, and the command that does it.

    `data` is the name or path of the set, and the options it was read with. Where no `model` was asked about, `train`
    chooses it, with the size and width that the minutes can pay for. `obstacle` is the reason why the `model` that was
    asked about cannot.
    """
    if survey.refusal:
        return textwrap.fill(
            f"not to be trained on yet: {survey.refusal}", WIDTH, break_long_words=False, break_on_hyphens=False
        )
    fits = [name for name, why in models.items() if not why]
    if model and obstacle:
        return f"{registry.title(model)} cannot be trained on it: {obstacle}"
    skipped = f"; {len(survey.broken)} files would be passed over" if survey.broken else ""
    if not (model or first or fits):
        return f"it can be read{skipped}, and no model here learns from it."
    words = shlex.join(data)
    if first and not model:
        command = f"--data {words} --minutes {MINUTES_OF_POINTS if len(survey.shape) == 1 else MINUTES}"
    else:
        command = f"{model or fits[0]} --data {words}"
    return f"it can be trained on{skipped}: ganarium train {command}"


def line(word: str, text: str) -> str:
    """A word in the margin, and text beside it."""
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=f"  {word:{MARGIN - 2}}",
        subsequent_indent=" " * MARGIN,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _named_files(word: str, names: list[str], what: str) -> list[str]:
    if not names:
        return []
    more = f"; and {len(names) - NUM_NAMES:,} more" if len(names) > NUM_NAMES else ""
    return [line(word, f"{len(names):,} {what}: {'; '.join(names[:NUM_NAMES])}{more}")]


def _groups(word: str, groups: Groups, what: str, things: str, sign: str = " = ") -> list[str]:
    if not groups:
        return []
    examples = "; ".join(f"{sign.join(group[:3])}{' ...' if len(group) > 3 else ''}" for group in groups[:NUM_NAMES])
    files, more = sum(map(len, groups)), " ..." * (len(groups) > NUM_NAMES)
    together = f" in {len(groups):,} groups" if len(groups) > 1 else ""
    return [line(word, f"{files:,} {things}{together} {what}: {examples}{more}")]
