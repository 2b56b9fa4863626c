"""Draws docs/images/models/NAME.png: samples of a small form of each model after some minutes on one CPU core.

    GANARIUM_DATA=... python tools/model_pictures.py            those that have no picture yet
    GANARIUM_DATA=... python tools/model_pictures.py gan wgan   these

How each was made is written to protocol.json beside the pictures, and printed below them on the models' pages.
"""

import json
import os
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import enlargement_picture
import train_gallery
import train_upscaler
from PIL import Image, ImageOps

import ganarium
from ganarium.data import list_data
from ganarium.errors import UserError
from ganarium.pictures import latents
from ganarium.pictures.grid import grid

FOLDER = Path(__file__).parents[1] / "docs" / "images" / "models"
PROTOCOL = FOLDER / "protocol.json"
LIMIT = 240 * 1024  # bytes of a picture
SEED = 0
DRAWN = "the drawn pictures of tools/train_upscaler.py"


class Setting(NamedTuple):
    steps: int
    options: dict[str, Any]
    data: str = "mnist"  # by name, DRAWN, or a folder in GANARIUM_DATA
    note: str = ""  # what a reader should know of a picture that is not good


NOTES = {"words": "The sentences, of the data, also name a circle, a square or a triangle: that is only half learned."}
GALLERY = {"stylegan2": "style", "text_to_image": "words"}  # models shown by a generator of the package


def gallery_setting(name: str) -> Setting:
    """How a generator of the package was trained."""
    entry = train_gallery.ENTRIES[name]
    options = {key: value for key, value in entry.options.items() if key not in ("data", "steps")}
    drawn = entry.drawn.replace("this script", "tools/train_gallery.py")
    return Setting(entry.options["steps"], options, drawn, NOTES.get(name, ""))


SMALL = {"width": 16, "batch_size": 32}
SETTINGS = {
    "aae": Setting(8000, {"width": 500}),
    "acgan": Setting(1500, {"generator_width": 16, "discriminator_width": 8, "lr": 6e-4, "batch_size": 32}),
    "began": Setting(
        900,
        {"size": "32", "width": 24, "lr": 0.0005, "lambda_k": 0.01, "precision": "bf16"},
        "lfw64",
        note="Smooth and much alike after so few steps.",
    ),
    "bgan": Setting(
        7200,
        {
            "size": "28",
            "network": "mlp",
            "width": 256,
            "generator_norm": True,
            "num_samples": 10,
            "batch_size": 32,
            "lr": 0.0003,
            "precision": "bf16",
        },
        "mnist_binarised",
        note="Many are ones, and some digits are still speckled, after so few steps.",
    ),
    "bigan": Setting(
        8000,
        {"width": 256, "batch_size": 64, "lr": 5e-4},
        note="Digits are speckled: both players are perceptrons.",
    ),
    "catgan": Setting(1500, {"width": 16}),
    "ccgan": Setting(
        2500, {"size": "28", "width": 16, "hole": 0.4, "noise_dim": 10, "lr": 5e-4, "batch_size": 32}, "fashion_mnist"
    ),
    "cgan": Setting(6000, {}),
    "cls_gan": Setting(2000, {**SMALL, "lr": 6e-4}),
    "cogan": Setting(2000, {"width": 16, "discriminator_width": 8, "lr": 5e-4}, "mnist+mnist_negative"),
    "context_encoder": Setting(
        2500, {"size": "32", "width": 24, "bottleneck": 400, "batch_size": 32, "generator_lr": 1e-3}, "textures"
    ),
    "ct_gan": Setting(
        1516,
        {
            "size": "28",
            "width": 16,
            "batch_size": 32,
            "lr": 0.0007,
            "generator_norm": True,
            "num_critic_steps": 2,
            "dropout": 0.2,
            "precision": "bf16",
        },
        "fashion_mnist",
        note="Garments are only rough after so few steps.",
    ),
    "cyclegan": Setting(
        5000,
        {"size": "32", "width": 12, "num_blocks": 3, "augment": False, "lr": 1e-3, "batch_size": 4},
        "scenes_unpaired",
        note="Shape, size and place are kept. Which hue goes with which stripes is not learned in so few steps.",
    ),
    "dcgan": Setting(
        3600, {"size": "32", "width": 24, "batch_size": 32, "lr": 0.0005, "mirror": True, "precision": "bf16"}, "lfw64"
    ),
    "discogan": Setting(
        3000,
        {"form": "released", "num_curriculum_steps": 0, "width": 16, "batch_size": 32, "lr": 1e-3},
        "mnist+mnist_edges",
    ),
    "dragan": Setting(6000, {}, note="Digits are speckled: both players are perceptrons."),
    "dualgan": Setting(
        2000,
        {"width": 16, "batch_size": 8, "a_weight": 100.0, "b_weight": 100.0, "lr": 2e-4, "augment": False},
        "mnist+mnist_edges",
    ),
    "ebgan": Setting(1000, SMALL),
    "esrgan": Setting(
        2400,
        {
            "size": "48",
            "layout": "patches",
            "width": 32,
            "growth": 16,
            "num_blocks": 2,
            "discriminator_width": 16,
            "num_pretraining_steps": 2100,
            "pixel_weight": 0.1,
            "batch_size": 8,
            "lr": 1e-3,
            "precision": "bf16",
        },
        DRAWN,
    ),
    "f_gan": Setting(3000, {"width": 256}, note="Digits stand among specks: both players are perceptrons."),
    "fastgan": Setting(2500, {"size": "64", "width": 16, "mirror": True, "precision": "bf16"}, "lfw64"),
    "gan": Setting(
        3000,
        {"recipe": "modern", "width": 512, "batch_size": 64},
        note="Most are a 9, with specks: both players are perceptrons, and nothing in the loss keeps samples apart.",
    ),
    "improved_gan": Setting(1500, {"width": 256}),
    "infogan": Setting(3000, {"size": "16", "width": 32, "batch_size": 64}),
    "loss_sensitive_gan": Setting(2500, SMALL, note="Some strokes are broken after so few steps."),
    "lsgan": Setting(2500, SMALL, note="Some strokes are broken after so few steps."),
    "pixelda": Setting(
        2000, {"size": "16", "width": 16, "num_blocks": 2, "style_weight": 0.1}, "glyphs+glyphs_coloured"
    ),
    "pixelrnn": Setting(
        2500,
        {"levels": 8, "width": 32, "num_blocks": 9, "head": 64, "lr": 0.002, "precision": "bf16"},
        "usps",
        note="The masked convolutions see 12 pixels up and aside, so strokes are smooth but some digits do not close.",
    ),
    "pix2pix": Setting(
        3000, {"size": "64", "width": 16, "batch_size": 4, "lr": 1e-3, "augment": False}, "scenes_paired"
    ),
    "projected_gan": Setting(
        1000,
        {
            "size": "64",
            "width": 24,
            "discriminator_width": 32,
            "feature_size": 128,
            "batch_size": 16,
            "mirror": True,
            "precision": "bf16",
        },
        "lfw64",
    ),
    "progan": Setting(
        7200,
        {
            "size": "64",
            "width": 24,
            "latent_dim": 64,
            "batch_size": 16,
            "stable_images": 12800,
            "fading_images": 9600,
            "lr": 3e-3,
            "mirror": True,
            "precision": "bf16",
        },
        "lfw64",
        note="25 minutes beside other work. Some faces are smeared or have no eyes.",
    ),
    "r3gan": Setting(
        2500,
        {"size": "32", "width": 32, "num_blocks": 1, "batch_size": 16, "augment": "diff", "precision": "bf16"},
        "lfw64",
    ),
    "relativistic_gan": Setting(
        1356,
        {
            "size": "32",
            "width": 24,
            "batch_size": 32,
            "norm": "batch",
            "mirror": True,
            "precision": "bf16",
            "lr": 0.0005,
        },
        "lfw64",
        note="Faces are smeared after so few steps.",
    ),
    "sgan": Setting(2000, SMALL),
    "sagan": Setting(6000, {"size": "32", "width": 16, "batch_size": 16, "mirror": True, "precision": "bf16"}, "lfw64"),
    "sngan": Setting(
        1500,
        {"size": "32", "generator_width": 24, "discriminator_width": 24, "num_critic_steps": 2, "batch_size": 16},
        "lfw64",
    ),
    "softmax_gan": Setting(
        4000,
        {"network": "mlp", "width": 256, "generator_norm": True},
        note="Most are smudged 8s and 9s after so few steps: both players are perceptrons.",
    ),
    "srgan": Setting(
        3000,
        {
            "size": "64",
            "layout": "patches",
            "generator": "basicsr",
            "width": 32,
            "num_blocks": 8,
            "discriminator_width": 16,
            "num_pretraining_steps": 2500,
            "batch_size": 8,
            "lr": 5e-4,
            "precision": "bf16",
        },
        DRAWN,
    ),
    "stylegan": Setting(
        4000,
        {
            "size": "32",
            "width": 24,
            "latent_dim": 64,
            "mapping_layers": 4,
            "gamma": 0.5,
            "penalty_interval": 4,
            "batch_size": 16,
            "stable_images": 40000,
            "fading_images": 20000,
            "lr": 4e-3,
            "mirror": True,
            "precision": "bf16",
        },
        "lfw64",
        note="Ten minutes in all. No two are alike; colours are harsh, and some faces are smeared.",
    ),
    **{model: gallery_setting(name) for model, name in GALLERY.items()},
    "triple_gan": Setting(
        1500, {"size": "16", "width": 256, "classifier_width": 8, "noise": 0.0, "num_pretraining_steps": 300}
    ),
    "wgan": Setting(
        5400,
        {"width": 16, "batch_size": 32, "lr": 0.0005, "num_long_critic_steps": 20, "size": "28", "precision": "bf16"},
        "fashion_mnist",
    ),
    "wgan_div": Setting(
        400,
        {"network": "dcgan", "width": 16, "lr": 5e-4, "batch_size": 32},
        note="Some strokes are broken after so few steps.",
    ),
    "wgan_gp": Setting(500, {"width": 16, "lr": 5e-4}, note="Some strokes are broken after so few steps."),
}


def draw(name: str) -> dict[str, Any]:
    """Trains a model, saves its last sheet of samples, and gives the protocol; one of the package is trained."""
    setting = SETTINGS[name]
    if name in GALLERY:
        save(grid(ganarium.load(f"pretrained:{GALLERY[name]}").sample(64, seed=SEED)), FOLDER / f"{name}.png")
        return facts(setting, False)
    with TemporaryDirectory() as folder:
        run = Path(folder) / name
        given = {"seed": SEED, "threads": 1, "sample_every": setting.steps, "evaluate_every": 0, "quiet": True}
        early = setting.options.get("num_pretraining_steps", 0) if setting.data == DRAWN else 0
        data, first = place(setting.data, Path(folder)), early or setting.steps
        ganarium.train(name, data, steps=first, out=str(run), **given, **setting.options)
        model = ganarium.load(run)
        if early:
            last = ganarium.resume(run, steps=setting.steps, quiet=True)
            phases = {f"{name}, first phase": model, f"{name}, second phase": last}
            table = enlargement_picture.side_by_side(enlargement_picture.unseen(), phases)
            save(table, FOLDER / f"{name}.png")
            return facts(setting, False)
        last = Image.open(max((run / "samples").glob("step-*.png")))
        rows, along = of_classes(model)
        save(rows or last, FOLDER / f"{name}.png")
        for number, sheet in enumerate(along, 1):
            save(sheet, FOLDER / f"{name}-traversal{number}.png")
    return facts(setting, rows is not None)


def facts(setting: Setting, rows: bool) -> dict[str, Any]:
    """The protocol of a picture."""
    noted = {"note": setting.note} if setting.note else {}
    made = {"data": setting.data, "rows": rows, "steps": setting.steps, "seed": SEED, "options": setting.options}
    return made | noted


def place(data: str, folder: Path) -> str:
    """A data set of the library by its name; DRAWN is drawn below a folder; any other is a folder in GANARIUM_DATA."""
    if data == DRAWN:
        train_upscaler.draw_pictures(folder / "pictures")
        return str(folder / "pictures")
    return data if data in list_data() or "+" in data else str(Path(os.environ.get("GANARIUM_DATA", "")) / data)


def of_classes(model: Any) -> tuple[Image.Image | None, list[Image.Image]]:
    """Samples in rows of classes, where the model knows classes, and what each continuous number of a code does."""
    rows, along = None, []
    with suppress(UserError):
        rows = latents.class_grid(model, seed=SEED)
        along = latents.traversals(model, seed=SEED)
    return rows, along


def save(picture: Image.Image, path: Path) -> None:
    """A picture in as many levels of brightness, or colours, as the limit on the file's size allows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with picture:
        fine, coarse = (
            [partial(ImageOps.posterize, picture, bits) for bits in some] for some in ((8, 6, 5), (4, 3, 2))
        )
        # a palette comes late: it takes hues that are rare, such as those of small shapes, for others
        colours = [partial(picture.quantize, 256, dither=Image.Dither.NONE)] if picture.mode == "RGB" else []
        for form in (*fine, *colours, *coarse):
            form().save(path, optimize=True)
            if path.stat().st_size <= LIMIT:
                return
    raise SystemExit(f"{path.name} is larger than {LIMIT} bytes")


def main(names: list[str]) -> None:
    for name in names or [name for name in SETTINGS if not (FOLDER / f"{name}.png").exists()]:
        print(name, flush=True)
        made = draw(name)
        known = json.loads(PROTOCOL.read_text()) if PROTOCOL.exists() else {}
        PROTOCOL.write_text(json.dumps(known | {name: made}, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
