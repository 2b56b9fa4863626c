"""`ganarium bench`: a trained network in several formats, side by side."""

from ganarium.cli.output import size_in_words
from ganarium.cli.parameters import Whole
from ganarium.runs.options import parse_size


def bench(
    run: str,
    /,
    *,
    formats: str = "pytorch,bf16,onnx,keras",
    batch_size: Whole = 8,
    repeats: Whole = 5,
    size: str | None = None,
    raw: bool = False,
) -> int:
    """Print size, time and difference of a network in PyTorch, bfloat16, ONNX Runtime and Keras.

    Parameters
    ----------
    run
        The folder of a run, or of one of its checkpoints.
    formats
        What is measured: pytorch (float32), bf16, onnx and keras, with commas between them.
    batch_size
        Samples that are computed at once.
    repeats
        Number of timed calls, of which the fastest counts.
    size
        Size in pixels of the pictures that a network maps: 64, or height x width such as 64x96. Default: that of the
        training.
    raw
        Use the weights of the last step. Default: their running average, where the model keeps one.
    """
    from ganarium.exporting.formats import compare_formats

    names = [name for name in formats.replace(" ", "").split(",") if name]
    network, made = compare_formats(run, names, batch=batch_size, repeats=repeats, size=parse_size(size), raw=raw)
    print(f"{network}, {batch_size} samples at once on the processor; difference: the largest from PyTorch in float32")
    print(f"{'format':10} {'size':>8} {'ms a sample':>12} {'difference':>11}  program")
    for each in made:
        if each.missing:
            print(f"{each.name:10} {each.missing}")
            continue
        words = f"{size_in_words(each.size):>8} {each.milliseconds:12.3g} {each.difference:11.1e}"
        print(f"{each.name:10} {words}  {each.program}")
    return 0
