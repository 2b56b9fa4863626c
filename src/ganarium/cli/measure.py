"""`ganarium evaluate` and `ganarium compare`: how good runs are, in numbers that say how they were measured."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ganarium.cli.parameters import whole

Count = Annotated[int | None, Parameter(converter=whole)]
Whole = Annotated[int, Parameter(converter=whole)]


def evaluate(
    run: str,
    /,
    *,
    n: Count = None,
    seed: Whole = 0,
    features: str = "auto",
    raw: bool = False,
    device: str = "auto",
) -> int:
    """Measure the samples of a run (or one checkpoint) against its data; kept as evaluation-STEP.json in the run.

    Parameters
    ----------
    run
        The run's folder, or the folder of one checkpoint.
    n
        How many samples. Default: 2000; 2500 points; 26000 of stacked_mnist.
    seed
        Of the samples and of the real images they are compared with.
    features
        A judge (mnist, fashion_mnist, glyphs, cifar10_subset), inception, or auto: the data set's judge.
    raw
        Use the weights themselves where the model keeps averages.
    device
        auto, cpu, cuda or mps.
    """
    from ganarium import api
    from ganarium.cli.make import output_folder
    from ganarium.evaluation import result

    evaluation = api.evaluate(run, n=n, seed=seed, features=features, raw=raw, device=device)
    print(evaluation)
    name = f"evaluation-{evaluation.step:08d}-{evaluation.protocol.features}-seed{seed}{'-raw' if raw else ''}.json"
    print(f"  {result.save(evaluation, output_folder(run, None, 'evaluations') / name)}")
    return 0


def compare(
    runs: Annotated[list[str], Parameter(name="RUNS", negative=())],
    /,
    *,
    n: Count = None,
    seed: Whole = 0,
    features: str = "auto",
    device: str = "auto",
    html: str | None = None,
) -> int:
    """Measure several runs in the same way, and lay the numbers side by side.

    Parameters
    ----------
    runs
        Folders of runs, two or more.
    n
        How many samples of each, as for `ganarium evaluate`.
    seed
        Of the samples and of the real images.
    features
        As for `ganarium evaluate`.
    device
        auto, cpu, cuda or mps.
    html
        Write a page of this name too, with the sample grids and the curves of the runs side by side.
    """
    from ganarium import api
    from ganarium.evaluation import result

    names = [Path(run).resolve().name for run in runs]
    names = names if len(set(names)) == len(names) else list(map(str, runs))
    evaluations = {
        name: api.evaluate(run, n=n, seed=seed, features=features, device=device)
        for name, run in zip(names, runs, strict=True)
    }
    print(result.compare(evaluations))
    if html:
        from ganarium.web import comparison
        from ganarium.web import html as pages

        folders = {name: Path(run) for name, run in zip(names, runs, strict=True)}
        print(f"  {pages.save(comparison.page(folders, evaluations), Path(html))}")
    return 0
