"""`ganarium import`: weights of other programs, as a folder that the other verbs take."""

import shlex


def import_(file: str, /, *, size: str | None = None, out: str | None = None) -> int:
    """Turn a file of weights from another program into a folder like a run's.

    Known are CycleGAN and pix2pix of the authors' code, PyTorch-GAN's cyclegan, pix2pix, srgan and esrgan, RRDBNet of
    ESRGAN, Real-ESRGAN and BSRGAN, and SRResNet of BasicSR. Nothing in the file is executed.

    Parameters
    ----------
    file
        A .pth, .pt or .safetensors file with the weights of one generator.
    size
        Size of the images it was trained on, in pixels, such as 512: `translate` scales pictures to that. Default: the
        paper's, 256 for most.
    out
        Folder to make. Default: runs/NAME-OF-THE-FILE.
    """
    import json

    from ganarium.exporting.weights.importing import import_weights

    folder = import_weights(file, out, size=size)
    imported = json.loads((folder / "config.json").read_text())["imported"]
    print(f"{folder}: {imported['name']}")
    for note in imported["notes"]:
        print(f"note: {note}")
    verb = "translate" if imported["directions"] else "upscale"
    print(f"next: ganarium {verb} {shlex.quote(str(folder))} PICTURE.png")
    return 0
