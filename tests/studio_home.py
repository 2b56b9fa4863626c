"""Runs of several abilities for the tests of the studio, trained for a step or two on a few small pictures."""

import io
import json
from pathlib import Path

import numpy as np
from PIL import Image

import ganarium

WORDS = {"num_text_steps": 3, "embedding_dim": 8, "projected": 4, "text_width": 6, "width": 8}
STYLES = {"base_width": 64, "max_width": 8, "latent_dim": 8, "mapping_layers": 2}
RUNS = {  # name: model, data (a folder of `draw_sets`, or a built-in set), options
    "plain": ("dcgan", "glyphs", {"width": 4, "size": 16, "characters": "digits"}),
    "labelled": ("cgan", "glyphs", {"width": 32, "size": 16, "characters": "digits"}),
    "codes": ("infogan", "glyphs", {"width": 16, "size": 16, "characters": "digits"}),
    "maps": ("cyclegan", "piles", {"size": 16, "width": 4, "num_blocks": 1, "batch_size": 1}),
    "larger": ("srgan", "photos", {"size": 32, "width": 8, "num_blocks": 1, "layout": "patches", "batch_size": 2}),
    "holes": ("context_encoder", "photos", {"size": 32, "width": 4}),
    "sorts": ("sgan", "glyphs", {"width": 4, "size": 16, "characters": "digits"}),
    "words": ("text_to_image", "sentences", {"size": 32, **WORDS}),
    "styles": ("stylegan2", "photos", {"size": 16, **STYLES}),
    "points": ("gan", "ring", {"width": 8}),
}


def draw_sets(folder: Path) -> None:
    """Writes 24 small pictures as photographs, as two piles, and with sentences."""
    random, captions = np.random.default_rng(0), []
    for name in ("photos", "piles/trainA", "piles/trainB", "sentences"):
        (folder / name).mkdir(parents=True)
    for number in range(24):
        coarse = Image.fromarray(random.integers(0, 255, (4, 4, 3), dtype=np.uint8))
        picture = coarse.resize((40, 40), Image.Resampling.BICUBIC)
        picture.save(folder / "photos" / f"{number}.png")
        picture.save(folder / "piles" / "trainA" / f"{number}.png")
        picture.rotate(90).save(folder / "piles" / "trainB" / f"{number}.png")
        picture.save(folder / "sentences" / f"{number}.png")
        text = f"a {('large', 'small')[number % 2]} {('red', 'green', 'blue')[number % 3]} circle"
        captions.append(json.dumps({"file_name": f"{number}.png", "text": text}))
    (folder / "sentences" / "metadata.jsonl").write_text("\n".join(captions))


def make_home(home: Path, names: list[str]) -> Path:
    """A folder with these runs, an opened folder with a picture in it, and one that is not opened."""
    draw_sets(home / "sets")
    for name in names:
        model, data, options = RUNS[name]
        source = str(home / "sets" / data) if (home / "sets" / data).is_dir() else data
        settings = {"steps": 2, "batch_size": 4, "quiet": True, "device": "cpu", "evaluate_every": 0, **options}
        ganarium.train(model, data=source, out=str(home / "runs" / name), **settings)
    for name in ("opened", "closed"):
        (home / name / "cats").mkdir(parents=True)
        Image.new("RGB", (20, 20), "red").save(home / name / "cats" / "one.png")
    (home / "opened" / "way_out").symlink_to(home / "closed")
    return home


def picture(
    width: int = 24, height: int = 20, colour: str | tuple[int, int, int] = "green", mode: str = "RGB"
) -> bytes:
    """A PNG of one colour."""
    stream = io.BytesIO()
    Image.new(mode, (width, height), colour).save(stream, format="PNG")
    return stream.getvalue()
