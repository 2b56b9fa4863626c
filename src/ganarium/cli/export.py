"""`ganarium export`: a run's networks, for use without this library."""

from ganarium.cli.output import size_in_words
from ganarium.runs.options import parse_size


def export(
    run: str,
    /,
    *,
    to: str,
    size: str | None = None,
    out: str | None = None,
    raw: bool = False,
    weights: str | None = None,
) -> int:
    """Take the networks of a run out of the library, each compared with PyTorch before it is written.

    Parameters
    ----------
    run
        The folder of a run, or of one of its checkpoints.
    to
        html: one page, which makes pictures in any browser and asks for no other file. onnx: files for ONNX Runtime and
        everything else that reads ONNX, with any batch size. keras: files of Keras 3, which run on any backend. hub: a
        folder for the Hugging Face Hub, with a model card. pth: the generator of esrgan in its authors' layout, for
        chaiNNer and whatever else reads that.
    size
        Size in pixels of the pictures that a network maps: 64, or height x width such as 64x96. Default: that of the
        training.
    out
        Folder to write to. Default: RUN/exported.
    raw
        Use the weights of the last step. Default: their running average, where the model keeps one.
    weights
        How the html page stores weights: float16, or int8 for half the size and pictures that may differ by 16/255.
        Default: float16.
    """
    from ganarium.api import export

    made = export(run, to=to, out=out, size=parse_size(size), raw=raw, weights=weights)
    for each in made:
        words = f"({size_in_words(each.size)}) differs from PyTorch by at most {each.difference:.1e}"
        print(f"{each.path} {words}")
    return 0
