"""`ganarium resume`: goes on with a run."""

from ganarium.cli.parameters import Count
from ganarium.cli.train import train_and_tell


def resume(
    run: str,
    /,
    *,
    steps: Count = None,
    device: str | None = None,
) -> int:
    """Go on with a run, from its newest complete checkpoint.

    Parameters
    ----------
    run
        The folder of the run.
    steps
        Extend the run to this many steps in all. Default: the number it began with.
    device
        Compute elsewhere than before: auto, cpu, cuda or mps.
    """
    from ganarium.training.session import Run

    reopened = Run.reopen(run, steps=steps, device=device)
    if reopened.finished:
        way = f"`{reopened.resume_command()} --steps N` extends it"
        print(f"{run} is finished at step {reopened.trainer.total}; {way}.")
        return 0
    print(f"resuming {run} at step {reopened.model.iteration} of {reopened.trainer.total}")
    return train_and_tell(reopened)
