"""`ganarium report`: the page of a run, written anew."""


def report(run: str, /, *, device: str = "auto") -> int:
    """Write the report of a run anew: one page, report.html in the run, that needs nothing else.

    Training writes it too, at every sample grid and at the end. This adds what needs the data and the model: the
    training images nearest to samples, and a walk between codes.

    Parameters
    ----------
    run
        The run's folder.
    device
        auto, cpu, cuda or mps.
    """
    from ganarium import api
    from ganarium.errors import UserError
    from ganarium.runs import rows as logs
    from ganarium.runs.listing import run_folder
    from ganarium.training.session import data_of
    from ganarium.web import report as pages
    from ganarium.web.report import artifacts as exhibits

    folder = run_folder(run)
    try:
        exhibits.make(folder, api.load(folder, device=device), *data_of(api.config_of(folder)))
    except UserError as error:  # the data have moved, or there is no complete checkpoint: the rest can be told
        logs.warn(f"without neighbours and codes: {error}")
    print(pages.write(folder))
    return 0
