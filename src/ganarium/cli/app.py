"""All commands together; `main` runs one and turns errors into one sentence and an exit code.

Exit codes: 0 done, 1 the run could not go on, 2 bad input, 128 + the signal's number when stopped (the run is saved).
"""

import importlib.metadata
import inspect
import io
import os
import platform
import re
import sys
import warnings
from collections.abc import Callable
from typing import Any, NoReturn

from cyclopts import App, CycloptsError, UnknownOptionError
from cyclopts.completion.detect import ShellDetectionError

import ganarium
from ganarium.cli.bench import bench
from ganarium.cli.classify import classify
from ganarium.cli.clean import clean
from ganarium.cli.compare import compare
from ganarium.cli.complete import complete
from ganarium.cli.data import data
from ganarium.cli.decode import decode
from ganarium.cli.encode import encode
from ganarium.cli.evaluate import evaluate
from ganarium.cli.export import export
from ganarium.cli.import_ import import_
from ganarium.cli.inpaint import inpaint
from ganarium.cli.list import list_
from ganarium.cli.project import project
from ganarium.cli.prove import prove
from ganarium.cli.push import push
from ganarium.cli.report import report
from ganarium.cli.resume import resume
from ganarium.cli.runs import runs
from ganarium.cli.sample import sample
from ganarium.cli.show import show
from ganarium.cli.studio import studio
from ganarium.cli.train import register_train
from ganarium.cli.translate import translate
from ganarium.cli.upscale import upscale
from ganarium.errors import RunError, UserError

HELP = """Generative adversarial networks as real software: train, resume and sample any classic GAN.

    ganarium list                                      every model and data set, a line each
    ganarium train dcgan --data glyphs --minutes 3     no network needed
    ganarium train --data my_photos --minutes 60       the model that suits a folder, and the time
    ganarium resume runs/dcgan-glyphs                  after a crash, or to go on with --steps
    ganarium sample runs/dcgan-glyphs --n 64 --gif
    ganarium evaluate runs/dcgan-glyphs                how good the samples are
    ganarium report runs/dcgan-glyphs                  one page with all pictures and curves of a run
    ganarium export runs/dcgan-glyphs --to onnx        the trained networks, for use without ganarium
    ganarium prove wgan_gp                             test what its paper claims
    ganarium runs                                      a table of all runs
    ganarium clean runs/dcgan-glyphs                   remove old checkpoints
    ganarium studio                                    all of it as a page in the browser
"""


def run() -> NoReturn:
    """The program `ganarium`."""
    code = main()
    if "ganarium.runtime.distributed" in sys.modules:
        sys.modules["ganarium.runtime.distributed"].leave(code)
    sys.exit(code)


def main(arguments: list[str] | None = None) -> int:
    """Runs one command and gives its exit code."""
    # Threads that spin while they wait make two busy programs on one machine many times slower; waiting costs nothing
    # measurable here. It must be set before torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # where it cannot show a letter, it shows its code
            stream.reconfigure(errors="backslashreplace")
    warnings.showwarning = _print_warning  # type: ignore[assignment]
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        app, arguments = application(arguments)
        code = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
        return code if isinstance(code, int) else 0
    except CycloptsError as error:
        sentence = str(error).replace("\n", " ")
        if isinstance(error, UnknownOptionError) and "Did you mean" not in sentence:
            verb = [word for word in arguments[: 2 if arguments[0] == "train" else 1] if not word.startswith("-")]
            sentence += f" `{' '.join(['ganarium', *verb, '--help'])}` lists the options."
        return _fail(sentence, 2)
    except UserError as error:
        return _fail(str(error), 2)
    except RunError as error:
        return _fail(str(error), 1)
    except (MemoryError, RuntimeError) as error:
        said = str(error).lower()
        if isinstance(error, MemoryError) or "out of memory" in said or "allocate memory" in said:
            return _fail("the memory does not suffice: use a smaller --batch-size, --size or width.", 1)
        raise
    except KeyboardInterrupt as stop:
        return _fail(str(stop) or "stopped.", 130)
    except BrokenPipeError:  # `ganarium list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # a full disk or a folder that may not be written, while samples are saved
        where = f"{error.filename} could not be written" if error.filename else "a file could not be written"
        return _fail(f"{where}: {error.strerror or error}.", 1)
    finally:
        if "ganarium.runtime.distributed" in sys.modules:
            sys.modules["ganarium.runtime.distributed"].stop()


def application(arguments: list[str]) -> tuple[App, list[str]]:
    """All commands, `train` with the options of the model that the arguments name, and the arguments to parse."""
    app = App(
        name="ganarium",
        help=HELP,
        help_format="plaintext",
        version=versions,
        suppress_keyboard_interrupt=False,
    )
    verbs = (
        list_,
        show,
        data,
        sample,
        translate,
        upscale,
        inpaint,
        complete,
        import_,
        classify,
        project,
        encode,
        decode,
        evaluate,
        compare,
        prove,
        report,
        export,
        bench,
        push,
        resume,
        runs,
        clean,
        studio,
    )
    for verb in verbs:
        verb.__doc__ = _with_long_lines(verb)
        app.command(verb, name=verb.__name__.rstrip("_"))
    app.command(install_completion, name="--install-completion")
    return app, register_train(app, arguments)


def _with_long_lines(verb: Callable[..., Any]) -> str:
    """The docstring, each option's help in one line: the parser would keep the line breaks."""
    return re.sub(
        r"(?m)^ {4}\S.*(\n {4}\S.*)+", lambda block: "    " + " ".join(block[0].split()), inspect.getdoc(verb) or ""
    )


def install_completion() -> int:
    """Teach the shell (bash, zsh or fish) to complete commands and options, from its next start on."""
    app, _ = application([])
    try:
        path = app.install_completion()
    except (RuntimeError, ValueError, ShellDetectionError) as error:
        raise UserError(
            f"completion was not installed: {error}. bash, zsh and fish have it; run this in one."
        ) from None
    print(f"{path}: the next shell that you open completes ganarium's commands and options.")
    return 0


def versions() -> str:
    """The versions of ganarium, torch and Python, a line each."""
    torch = importlib.metadata.version("torch")  # read from the files of the package: importing it takes seconds
    return f"ganarium {ganarium.__version__}\ntorch {torch}\nPython {platform.python_version()}"


def _fail(sentence: str, code: int) -> int:
    print(f"ganarium: {sentence}", file=sys.stderr)
    return code


def _print_warning(message: Warning | str, category: type[Warning], *rest: Any) -> None:
    if category is UserWarning:
        print(f"ganarium: {message}", file=sys.stderr)
