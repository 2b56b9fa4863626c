"""`ganarium resume`: goes on with a run."""

from ganarium.cli.parameters import Count, Number
from ganarium.cli.train import train_and_tell


def resume(
    run: str,
    /,
    *,
    steps: Count = None,
    device: str | None = None,
    data: str | None = None,
    lr: Number = None,
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
    data
        Where the data of the run are now, if they have moved. They must be the same.
    lr
        Learning rate from here on, for models that have this option. Default: as before.
    """
    from ganarium.training.session import Run

    reopened = Run.reopen(run, steps=steps, device=device, data=data, lr=lr)
    if reopened.finished:
        way = f"`{reopened.resume_command()} --steps N` extends it"
        print(f"{run} is finished at step {reopened.trainer.total}; {way}.")
        return 0
    print(f"resuming {run} at step {reopened.model.iteration} of {reopened.trainer.total}")
    return train_and_tell(reopened)
