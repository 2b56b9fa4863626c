"""`ganarium report`: the page of a run, written anew."""

from ganarium.errors import UserError
from ganarium.runs.folder import run_folder


def report(run: str, /, *, device: str = "auto") -> int:
    """Write the report of a run, RUN/report.html: one page that needs no other file.

    Training writes it too, with every picture of samples and at the end. This command adds what needs the data and the
    model: the training images nearest to samples, and images between two latent codes.

    Parameters
    ----------
    run
        The folder of the run.
    device
        Where to compute: auto (CUDA if there is a GPU, else the CPU), cpu, cuda or mps.
    """
    from ganarium.runs.loading import config_of, data_of, load
    from ganarium.training.console import warn
    from ganarium.web.report import artifacts, write

    folder = run_folder(run)
    try:
        artifacts.make(folder, load(folder, device=device), *data_of(config_of(folder)))
    except UserError as error:  # the data have moved, or there is no complete checkpoint: the rest can be told
        warn(f"without neighbours and codes: {error}")
    print(write(folder))
    return 0
