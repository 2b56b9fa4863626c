"""`ganarium studio`: the library as a page in the browser."""

from pathlib import Path

from ganarium.cli.parameters import Whole
from ganarium.errors import UserError


def studio(
    runs: str = "runs",
    /,
    *,
    open: list[str] | None = None,
    port: Whole = 0,
    host: str = "127.0.0.1",
    device: str = "auto",
    browser: bool = True,
) -> int:
    """Open the studio: train, watch runs, play with what was trained, and a laboratory, in the browser.

    It prints an address with a token, without which nobody is let in. Trainings are processes of their own: closing the
    page, or ending the studio, stops none of them. Needs `pip install fastapi uvicorn python-multipart`.

    Parameters
    ----------
    runs
        The folder of the runs.
    open
        A folder whose data may be read; may be given more than once. Default: the folder you are in.
    port
        The port to listen on. Default: a free one.
    host
        The address to listen on. Default: this machine alone can reach it.
    device
        Where to compute: auto (CUDA if there is a GPU, else the CPU), cpu, cuda or mps.
    browser
        Open the address in the browser.
    """
    try:
        from ganarium.studio.server import serve
    except ImportError as error:
        raise UserError(
            f"the studio needs the package {error.name}: pip install fastapi uvicorn python-multipart."
        ) from None
    opened = [Path(folder) for folder in open or ["."]]
    for folder in opened:
        if not folder.is_dir():
            raise UserError(f"there is no folder {folder} to open.")
    if not 0 <= port < 65536:
        raise UserError(f"a port is a number from 0 to 65535, not {port}.")
    serve(
        Path(runs),
        opened,
        host=host,
        port=port,
        device=device,
        browser=browser,
        say=lambda text: print(text, flush=True),
    )
    return 0
