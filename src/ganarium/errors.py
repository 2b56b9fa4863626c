"""The two ways ganarium says that something is wrong and what to do about it."""

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """Bad input: one sentence that says what was wrong, where, and what to do. The command line exits with 2."""


class RunError(RuntimeError):
    """A run that cannot go on (divergence, a full disk): one sentence. The command line prints it and exits with 1."""


class Diverged(RunError):
    """A loss term or a parameter stopped being finite.

    `rows` holds the terms of the iterations before that one, `terms` and `means` those of the update itself by name.
    """

    step: int = 0
    player: str = ""
    terms: dict[str, float] = {}
    means: dict[str, float] = {}  # of the tensors it watched
    rows: list[dict[str, float]] = []


def nearest(name: str, choices: Iterable[str]) -> str:
    """The end of an error sentence: the likeliest names, or all of them, up to 50, when none comes near."""
    choices = sorted(choices)
    close = difflib.get_close_matches(name, choices, n=3, cutoff=0.5)
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"choose one of {', '.join(choices[:50])}{', ...' if len(choices) > 50 else '.'}"


def require_positive(config: object, *names: str) -> None:
    """`UserError` unless each of these fields is above 0 (or None, where the model chooses)."""
    for name in names:
        value = getattr(config, name)
        if value is not None and not 0 < value < float("inf"):
            raise UserError(f"{name} must be above 0, not {value}.")


def require_not_negative(config: object, *names: str) -> None:
    """`UserError` unless each of these fields is at least 0 (or None)."""
    for name in names:
        value = getattr(config, name)
        if value is not None and not 0 <= value < float("inf"):
            raise UserError(f"{name} must be at least 0, not {value}.")


def require_fraction(config: object, *names: str) -> None:
    """`UserError` unless each of these fields is from 0 to below 1 (or None)."""
    for name in names:
        value = getattr(config, name)
        if value is not None and not 0 <= value < 1:
            raise UserError(f"{name} must be from 0 to below 1, not {value}.")
