"""`ganarium compare`: several runs measured in the same way, side by side."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ganarium.cli.parameters import Count, Whole
from ganarium.evaluation.result import compare as compare_evaluations


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
        The folders of two or more runs.
    n
        Number of samples of each run. Default: as for `ganarium evaluate`.
    seed
        Chooses the samples, and the real images that they are compared with.
    features
        The network that compares images, as for `ganarium evaluate`.
    device
        Where to compute: auto (CUDA if there is a GPU, else the CPU), cpu, cuda or mps.
    html
        Also write an HTML page of this name, with the samples and the curves of the runs side by side.
    """
    from ganarium import api

    names = [Path(run).resolve().name for run in runs]
    names = names if len(set(names)) == len(names) else runs
    evaluations = {
        name: api.evaluate(run, n=n, seed=seed, features=features, device=device)
        for name, run in zip(names, runs, strict=True)
    }
    print(compare_evaluations(evaluations))
    if html:
        from ganarium.web.comparison import page
        from ganarium.web.html import save

        folders = {name: Path(run) for name, run in zip(names, runs, strict=True)}
        print(f"  {save(page(folders, evaluations), Path(html))}")
    return 0
