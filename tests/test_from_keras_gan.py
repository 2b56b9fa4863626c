"""The page for readers of Keras-GAN: each script has a command, and the data in it fit the model."""

import re
import shlex
from pathlib import Path

from ganarium import registry
from ganarium.data import SOURCES, halves, suitable_data

PAGE = (Path(__file__).parents[1] / "docs" / "from-keras-gan.md").read_text()
ROWS = re.findall(r"^\| `(\w+)/(\w+)\.py` \| `ganarium train (\w+) ([^`]+)` \|", PAGE, re.M)
SCRIPTS = [
    "aae",
    "acgan",
    "bgan",
    "bigan",
    "ccgan",
    "cgan",
    "cogan",
    "context_encoder",
    "cyclegan",
    "dcgan",
    "discogan",
    "dualgan",
    "gan",
    "infogan",
    "lsgan",
    "pix2pix",
    "pixelda",
    "sgan",
    "srgan",
    "wgan",
    "wgan_gp",
]


def test_every_script_has_a_row_with_a_model_that_exists():
    assert [folder for folder, *_ in ROWS] == SCRIPTS
    assert all(folder == script == model for folder, script, model, _ in ROWS)
    assert set(SCRIPTS) <= set(registry.list_models())


def test_the_data_fit_the_models():
    seen = 0
    for _, _, name, words in ROWS:
        arguments = shlex.split(words)
        data = arguments[arguments.index("--data") + 1]
        options = {"semi_supervised": True} if "--semi-supervised" in arguments else {}
        wanted = registry.create(name, (3, 32, 32), 10, **options).batch_type.__name__
        if halves(data):
            assert wanted in ("UnpairedImages", "SourceTargetImages"), name
            assert all(half in SOURCES for half in halves(data))
            seen += 1
        elif data in SOURCES:
            assert data in suitable_data(wanted), (name, data, wanted)
            seen += 1
    assert seen >= 17
