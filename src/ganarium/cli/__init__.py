"""The command line: one file per verb; `application` puts them together and turns errors into one sentence."""

from ganarium.cli.application import main, run

__all__ = ["main", "run"]
