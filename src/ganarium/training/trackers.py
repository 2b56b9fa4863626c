"""Experiment trackers of others, fed with the rows of metrics.jsonl. Optional: one that fails never stops a run."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

PROJECT = "ganarium"


class Tracker:
    """Sends numbers to wandb, mlflow or trackio. The first failure is said once by `warn`; then nothing more is sent.

    `folder` is that of the run, whose name it gets; `config` is the run's. The packages are asked by their own
    variables, such as WANDB_MODE or MLFLOW_TRACKING_URI, where they send to.
    """

    def __init__(self, name: str, folder: Path, config: dict[str, Any], warn: Callable[[str], None]) -> None:
        self.name, self._warn = name, warn
        self._package: Any = None
        self._try(lambda: self._begin(folder, config))

    def scalars(self, values: dict[str, float], step: int) -> None:
        """Numbers of a step, by name."""
        if self._package is not None and values:
            send = self._package.log_metrics if self.name == "mlflow" else self._package.log
            self._try(lambda: send(dict(values), step=step))

    def close(self) -> None:
        if self._package is not None:
            end = self._package.end_run if self.name == "mlflow" else self._package.finish
            self._try(lambda: end())

    def _begin(self, folder: Path, config: dict[str, Any]) -> None:
        package = import_module(self.name)
        groups = ("options", "model_options")
        facts = {"model": config["model"], "data": config["data"]["name"]}
        facts |= {f"{group}.{key}": value for group in groups for key, value in config[group].items()}
        title = folder.resolve().name
        if self.name == "mlflow":
            package.set_experiment(PROJECT)
            package.start_run(run_name=title)
            package.log_params(facts)
        else:
            package.init(project=PROJECT, name=title, config=facts)
        self._package = package

    def _try(self, call: Callable[[], object]) -> None:
        try:
            call()
        except Exception as error:  # whatever it is, the run goes on
            self._package = None
            said = f"{type(error).__name__}: {error}".splitlines()[0]
            self._warn(f"{self.name} gets no more numbers ({said}); they stand in metrics.jsonl.")
