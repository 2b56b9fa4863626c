"""`ganarium clean`: removes the old checkpoints of runs."""

import shlex
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ganarium.cli.output import size_in_words
from ganarium.runs.folder import all_leftovers, remove, run_folder
from ganarium.runs.listing import disk_use
from ganarium.runs.lock import alone


def clean(
    folders: Annotated[list[str], Parameter(name="RUN", negative=())],
    /,
    *,
    dry_run: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Remove the old checkpoints of runs; the last complete one and the best stay, and all pictures and metrics.

    Parameters
    ----------
    folders
        The folders of one or more runs.
    dry_run
        Only print what would be removed.
    """
    from ganarium.runs.checkpoint import removable

    paths = list({Path(name).resolve(): run_folder(name) for name in folders}.values())
    with ExitStack() as stack:
        for run in paths:  # all runs are locked before anything is removed
            if (run / "checkpoints").is_dir():
                stack.enter_context(alone(run))
        plans = [(run, *removable(run)) for run in paths]
        total = 0
        for run, kept, checkpoints in plans:
            removed = [*checkpoints, *all_leftovers(run)]
            size = sum(map(disk_use, removed))
            for path in removed if not dry_run else []:
                remove(path)
            total += size
            verb = "would remove" if dry_run else "removed"
            names = ", ".join(path.name for path in removed)
            what = f"{verb} {names} ({size_in_words(size)})" if removed else "nothing to remove"
            print(f"{shlex.quote(str(run))}: keeps {', '.join(kept)}; {what}")
        if len(plans) > 1:
            print(f"{size_in_words(total)} {'would be freed' if dry_run else 'freed'}")
    return 0
