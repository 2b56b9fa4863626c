"""A model file of one's own: its path is taken wherever a name is, and what is wrong with it is said in a sentence."""

import json
import shutil
from pathlib import Path

import pytest
import torch

import ganarium
from ganarium import registry
from ganarium.cli.app import main
from ganarium.web.report import commands
from synthetic import refused

DOCS = Path(__file__).parents[1] / "docs" / "own-loss.md"
GOOD = DOCS.read_text().split("```python\n")[1].split("```")[0]
QUIET = {"quiet": True, "evaluate_every": 0, "threads": 1}


@pytest.fixture
def file(here):
    """The file of the docs, in the folder where one works."""
    path = Path("hinge_gan.py")
    path.write_text(GOOD)
    return path


def test_every_verb_takes_a_run_of_it(file, capsys):
    words = ["--data", "ring", "--margin", "0.5", "--batch-size", "8", "--evaluate-every", "0", "--threads", "1"]
    assert main(["train", "./hinge_gan.py", *words, "--steps", "2"]) == 0
    assert "hinge_gan on ring" in capsys.readouterr().out
    run = Path("runs/hinge_gan-ring").resolve()
    config = json.loads((run / "config.json").read_text())
    assert config["model"] == str(file.resolve())
    assert config["model_options"]["network"] == "mlp"  # the preset for points
    assert "Geometric GAN" in (run / "report.html").read_text()
    elsewhere = Path("elsewhere")
    elsewhere.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(elsewhere)
        assert main(["resume", str(run), "--steps", "3"]) == 0
        assert main(["sample", str(run), "--n", "4"]) == 0
        assert main(["evaluate", str(run), "--n", "50"]) == 0
    assert "hinge_gan on ring, step 3" in capsys.readouterr().out
    assert main(["report", str(run)]) == 0
    assert main(["runs"]) == 0
    assert "hinge_gan  ring" in capsys.readouterr().out
    assert ganarium.load(run).config.margin == 0.5
    assert commands.reproduce(config) == (
        f"ganarium train {file.resolve()} --data ring --steps 2 --batch-size 8 --evaluate-every 0 --threads 1 "
        "--margin 0.5"
    )


def test_its_card_and_options_are_shown(file, capsys):
    assert main(["show", "./hinge_gan.py"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("hinge_gan: Geometric GAN (2017)\nLim, Ye\nhttps://arxiv.org/abs/1705.02894\n")
    assert "--margin [1.0]\n      m, the score beyond which" in shown
    assert main(["train", "./hinge_gan.py", "--help"]) == 0
    assert "--margin" in capsys.readouterr().out


def test_a_loss_without_a_paper_has_no_link(file, capsys):
    file.write_text(GOOD.replace('arxiv="1705.02894"', 'arxiv=""').replace(", https://arxiv.org/abs/1705.02894", ""))
    assert main(["show", "./hinge_gan.py"]) == 0
    assert "arxiv.org/abs" not in capsys.readouterr().out
    ganarium.train(file, "ring", steps=1, batch_size=4, out="run", **QUIET)
    assert "arxiv.org" not in Path("run/report.html").read_text()


def test_an_option_without_a_docstring_has_no_help(file, capsys):
    file.write_text(GOOD.replace('    """Learning rate of Adam."""\n', ""))
    assert main(["show", "./hinge_gan.py"]) == 0
    assert main(["train", "./hinge_gan.py", "--help"]) == 0
    assert "--lr" in capsys.readouterr().out


def test_two_files_of_one_name_are_two_models(file):
    other = Path("other/hinge_gan.py")
    other.parent.mkdir()
    other.write_text(GOOD.replace("margin: float = 1.0", "margin: float = 3.0"))
    assert [ganarium.create(path, (2,)).config.margin for path in (file, other, file)] == [1.0, 3.0, 1.0]
    assert (
        registry.field_docs(registry.module(str(file)).Config).keys()
        == registry.field_docs(registry.module(str(other)).Config).keys()
    )


def test_a_changed_file_is_read_anew_but_not_under_a_run(file):
    assert ganarium.create(file, (2,)).config.margin == 1.0
    file.write_text(GOOD.replace("margin: float = 1.0", "margin: float = 3.0"))
    assert registry.module(str(file)).Config().margin == 1.0  # what a run that is under way asks for
    assert ganarium.create(file, (2,)).config.margin == 3.0
    file.write_text(GOOD.replace('title="Geometric GAN"', 'title="Another"'))
    ganarium.train(file, "ring", steps=1, batch_size=4, out="run", **QUIET)
    assert "Another" in Path("run/report.html").read_text()


def test_a_run_ends_well_when_its_file_goes(file):
    """The report at the end of a training reads the card and the options."""
    step = registry.model_class(str(file)).step

    def last(self, batches):
        file.unlink(missing_ok=True)
        yield from step(self, batches)

    registry.model_class(str(file)).step = last
    ganarium.train(file, "ring", steps=1, batch_size=4, out="run", **QUIET)
    assert json.loads(Path("run/state.json").read_text())["state"] == "finished"
    assert Path("run/report.html").exists()


def test_a_run_without_its_file_says_which(file, capsys, monkeypatch):
    ganarium.train(file, "ring", steps=1, batch_size=4, out="run", **QUIET)
    gone = shutil.move(file, "kept.py")
    monkeypatch.setattr(registry, "_imported", {})  # as in another process
    for words in ("resume run --steps 2", "sample run", "evaluate run", "report run"):
        assert main(words.split()) == 2
        said = capsys.readouterr().err
        assert f"there is no model file {file.resolve()}" in said
        assert "a run needs the file it was trained with" in said
    refused("there is no model file", lambda: ganarium.load("run"))
    assert main(["runs", "."]) == 0
    shutil.move(gone, file)
    assert ganarium.load("run").sample(3, seed=0).shape == (3, 2)


@pytest.mark.parametrize(
    ("words", "old", "new"),
    [
        ("cannot be read as a model file: ... in line", "class HingeGAN(Model):", "class HingeGAN(Model:"),
        ("needs `PAPER = Paper(...)`, written with literals", "PAPER = Paper(", "CARD = Paper("),
        ("line 28: the arxiv of PAPER must be a literal", 'arxiv="1705.02894"', "arxiv=str(1705)"),
        ("PAPER has no year", "    year=2017,\n", ""),
        ("needs a class `Config` ... @dataclass(frozen=True, kw_only=True)", "Config", "Options"),
        ("needs a class `Config`", "@dataclass(frozen=True, kw_only=True)\n", ""),
        (
            "defines 2 (Another, HingeGAN)",
            "class HingeGAN(Model):",
            "class Another(Model):\n    pass\n\n\nclass HingeGAN(Model):",
        ),
        ("must define one subclass of Model, and it defines 0", "class HingeGAN(Model):", "class HingeGAN:"),
        ("cannot be imported: ModuleNotFoundError: No module named 'torhc'", "import torch\n", "import torhc\n"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(file, capsys, words, old, new):
    assert old in GOOD
    file.write_text(GOOD.replace(old, new))
    sentence = refused(words, lambda: ganarium.create(file, (2,)))
    assert str(file.resolve()) in sentence
    assert main(["train", "hinge_gan.py", "--data", "ring"]) == 2
    assert sentence in capsys.readouterr().err


def test_what_is_no_file_is_said(here):
    Path("binary.py").write_bytes(b"\xff\xfe\x00")
    refused("binary.py cannot be read as a model file", lambda: ganarium.create("binary.py", (2,)))
    refused("there is no model file ... gone.py: give the path of another", lambda: ganarium.create("gone.py", (2,)))


def test_an_option_called_like_one_of_train_is_refused(file):
    file.write_text(GOOD.replace("    lr: float", '    seed: int = 0\n    """."""\n    lr: float'))
    words = "the option seed of hinge_gan is called like one of `train`: rename it"
    refused(words, lambda: ganarium.train(file, "ring", steps=1, **QUIET))
    assert not Path("runs").exists()


def test_a_class_of_ganarium_can_be_the_base(here):
    """A variant of a published model is a few lines."""
    Path("sharp.py").write_text(
        '"""WGAN-GP with a one-sided penalty."""\n\n'
        "from ganarium.model import Paper\nfrom ganarium.models.wgan_gp import WGANGP, Config\n\n"
        'PAPER = Paper(title="One-sided WGAN-GP", authors="us", year=2026, arxiv="", idea="Short is free.")\n\n\n'
        "class OneSided(WGANGP):\n    pass\n"
    )
    assert ganarium.create("sharp.py", (2,)).config.penalty_weight == 0.1
    ganarium.testing.check_model("sharp.py", shape=(2,))
    assert torch.equal(ganarium.create("sharp.py", (2,)).clock, torch.zeros((), dtype=torch.int64))
