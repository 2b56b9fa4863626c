"""The command line: one file per verb; `app` puts them together and turns errors into one sentence."""

from ganarium.cli.app import HELP, application, main, run

__all__ = ["HELP", "application", "main", "run"]
