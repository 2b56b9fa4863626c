"""The command line: its speed, its options, every error as one sentence, and what its verbs leave behind."""

import dataclasses
import json
import os
import platform
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ganarium import __version__, cli, registry
from ganarium.data import suitable_data
from ganarium.errors import UserError, nearest
from ganarium.runs.folder import claim, release
from ganarium.runs.options import Options
from ganarium.training.console import Bar

ROOT = Path(__file__).parents[1]
FROZEN = Path(__file__).with_name("options.json")
TINY = {
    "gan": ["gan", "--data", "ring", "--batch-size", "16"],
    "cgan": ["cgan", "--data", "glyphs", "--characters", "78A", "--size", "8", "--joining", "product", "--width", "4"],
    "dcgan": ["dcgan", "--data", "glyphs", "--characters", "01", "--size", "8", "--width", "2", "--batch-size", "8"],
    "infogan": ["infogan", "--data", "glyphs", "--characters", "01", "--size", "8", "--batch-size", "8"],
    "cyclegan": ["cyclegan", "--data", "scenes_unpaired", "--size", "8", "--width", "2", "--num-blocks", "0"],
    "pixelrnn": ["pixelrnn", "--data", "glyphs", "--characters", "01", "--size", "8", "--num-blocks", "1"],
}


@pytest.fixture(scope="module")
def trained(own_cache: None, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A finished run of two steps of a model, trained once; nothing may change it but `sample` and `translate`."""
    runs: dict[str, Path] = {}

    def once(name: str) -> Path:
        if name not in runs:
            folder = tmp_path_factory.mktemp("runs") / name
            assert cli.main(["train", *TINY[name], "--steps", "2", "--threads", "1", "--out", str(folder)]) == 0
            runs[name] = folder
        return runs[name]

    return once


def ganarium(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ganarium", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def refused(capsys: pytest.CaptureFixture[str], words: str, *arguments: str, code: int = 2) -> str:
    """The sentence with which a command is refused: one line on standard error, with all the words between `...`."""
    capsys.readouterr()
    before = sorted(Path().rglob("*"))
    assert cli.main(list(arguments)) == code
    said = capsys.readouterr()
    lines = said.err.splitlines()
    assert len(lines) == 1, said.err
    assert lines[0].startswith("ganarium: ")
    assert lines[0][-1] in ".?", lines[0]
    assert said.out == "" or "steps fit in" in said.out
    for part in words.split("..."):
        assert part.strip() in lines[0], lines[0]
    assert sorted(Path().rglob("*")) == before, "something was left behind"
    return lines[0]


# Speed


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["--version"], []])
def test_quick_answers_take_half_a_second_and_no_torch(arguments: list[str]) -> None:
    code = (
        "import sys, time, os\n"
        "from ganarium.cli import main\n"
        f"assert main({arguments!r}) == 0\n"
        "heavy = {'torch', 'numpy', 'matplotlib', 'torchvision'} & set(sys.modules)\n"
        "cpu = sum(os.times()[:2])\n"  # of this process alone, however busy the machine is
        "print(f'\\n{sorted(heavy)} {cpu}')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy, cpu = done.stdout.splitlines()[-1].rsplit(" ", 1)
    assert heavy == "[]"
    assert float(cpu) < 0.5


def test_versions(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    own, torch_line, python = capsys.readouterr().out.splitlines()
    assert (own, python) == (f"ganarium {__version__}", f"Python {platform.python_version()}")
    assert torch.__version__.startswith(torch_line.removeprefix("torch "))


def test_the_help_of_a_model_imports_no_other() -> None:
    code = (
        "import sys\nfrom ganarium.cli import main\nassert main(['train', 'wgan_gp', '--help']) == 0\n"
        "print(sorted(name for name in sys.modules if name.startswith('ganarium.models.')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "['ganarium.models.wgan_gp']"
    for option in ("--penalty-weight", "--num-critic-steps", "--batch-size", "--minutes", "--config"):
        assert option in done.stdout


def test_list_into_a_closed_pipe() -> None:
    command = f"{sys.executable} -m ganarium list | head -1"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("models")
    assert done.stderr == ""


# What there is


def test_list_and_show(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["list"]) == 0
    text = capsys.readouterr().out
    for name in [*registry.list_models(), "glyphs", "ring", "mnist"]:
        assert f"\n  {name} " in text
    for name in registry.list_models():
        assert cli.main(["show", name]) == 0
        text, card = capsys.readouterr().out, registry.card(name)
        assert card["title"] in text
        assert card["arxiv"] in text
        assert "Losses" in text
        assert "Players" in text
        for field in dataclasses.fields(registry.module(name).Config):
            assert f"--{field.name.replace('_', '-')}" in text


def described(config: type) -> dict[str, Any]:
    """Every option's type and default."""
    return {
        field.name: [str(getattr(field.type, "__name__", field.type)), None if required(field) else field.default]
        for field in dataclasses.fields(config)
    }


def required(field: Any) -> bool:
    return field.default is dataclasses.MISSING


def test_options_are_frozen() -> None:
    """Others build on the names of options. After a change that is meant: GANARIUM_FREEZE=1 pytest tests/test_cli.py"""
    now = {"train": described(Options)} | {
        name: described(registry.module(name).Config) for name in registry.list_models()
    }
    if os.environ.get("GANARIUM_FREEZE"):
        FROZEN.write_text(json.dumps(now, indent=1) + "\n")
    assert now == json.loads(FROZEN.read_text()), (
        f"if this is meant, write {FROZEN.name} anew: GANARIUM_FREEZE=1 pytest"
    )


def test_every_option_is_offered_and_explained(capsys: pytest.CaptureFixture[str]) -> None:
    for name in registry.list_models():
        assert cli.main(["train", name, "--help"]) == 0
        text = capsys.readouterr().out
        for config in (Options, registry.module(name).Config):
            docs = registry.field_docs(config)
            for field in dataclasses.fields(config):
                assert f"--{field.name.replace('_', '-')}" in text
                assert docs[field.name].strip(), f"{name}: {field.name}"


def test_every_option_of_every_verb_is_explained() -> None:
    application, _ = cli.application(["train", "cgan", "--help"])
    verbs = [name for name in application if not name.startswith("-")]
    assert {"train", "sample", "data", "clean"} < set(verbs)
    for verb in verbs:
        options = [
            argument
            for argument in application[verb].assemble_argument_collection(parse_docstring=True)
            if argument.name != "*"
        ]
        assert options or verb == "list"
        for option in options:
            words = str(option.parameter.help)
            assert len(words.split()) >= 3, f"{verb} {option.name}: {words}"
            assert "\n" not in words
            assert words.endswith((".", ").")), f"{verb} {option.name}: {words}"


def test_the_bar_fits_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("FORCE_COLOR", "1")
    with Bar("cyclegan on scenes_unpaired", 0, 10000) as bar:
        bar.advance(400)
        bar.show(400, {"G/adversarial": 1.92, "G/cycle": 7.63, "G/identity": 3.92, "D/a": 0.459, "D/b": 0.526})
    said = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", capsys.readouterr().out)
    for word in (" 400/10000 ", "steps/s", "G/adversarial 1.92 G/cycle 7.63 G/identity 3.92 D/a 0.459 D/b 0.526"):
        assert word in said


# Errors: one sentence, exit code 2, nothing left behind


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        ("did you mean dcgan", "train dcgn --data glyphs"),
        ("name the data", "train"),
        ("give --minutes and no --steps", "train --data ring --steps 5"),
        ("name the data ... ganarium list", "train gan"),
        ("did you mean glyphs", "train gan --data glyfs"),
        ("Did you mean --width?", "train gan --data ring --widht 3"),
        ("--leraning-rate ... ganarium train gan --help", "train gan --data ring --leraning-rate 3"),
        ("a whole number ... '3.5'", "train gan --data ring --steps 3.5"),
        ("a whole number ... '1,5'", "train gan --data ring --steps 1,5"),
        ("a whole number ... '1e3'", "train gan --data ring --batch-size 1e3"),
        ("steps must be above 0 ... -3", "train gan --data ring --steps -3"),
        ("batch_size must be above 0 ... -4", "train gan --data ring --batch-size -4"),
        ("batch_size must be above 0", "train gan --data ring --batch-size 0"),
        ("keep must be above 0", "train gan --data ring --keep 0"),
        ("threads must be above 0", "train gan --data ring --threads 0"),
        ("save_every must be above 0", "train gan --data ring --save-every 0"),
        ("minutes ... a number", "train gan --data ring --minutes inf"),
        ("minutes ... above 0", "train gan --data ring --minutes -1"),
        ("one of them", "train gan --data ring --steps 5 --minutes 1"),
        ("a number, not 'nan'", "train gan --data ring --lr nan"),
        ("a number, not 'fast'", "train gan --data ring --lr fast"),
        ("lr must be above 0", "train gan --data ring --lr -1"),
        ("2**63", "train gan --data ring --seed 99999999999999999999999"),
        ("non_saturating ... minimax", "train gan --data ring --loss hinge"),
        ("use --batch-size 100000 or fewer", "train gan --data ring --batch-size 100001"),
        ("has no option 'size'", "train gan --data ring --size 12"),
        ("64x96", "train dcgan --data glyphs --size 0"),
        ("64x96", "train dcgan --data glyphs --size 64y96"),
        ("at least 8x8", "train dcgan --data glyphs --characters 01 --size 2"),
        ("GiB ... use --size", "train dcgan --data glyphs --size 5000x5000"),
        ("channels must be 1, 3 or 4", "train dcgan --data glyphs --channels 2"),
        ("no characters '%'", "train dcgan --data glyphs --characters %"),
        ("did you mean cpu", "train gan --data ring --device gpu"),
        ("cuda:99 ... use cpu", "train gan --data ring --device cuda:99"),
        ("fp64", "train gan --data ring --precision fp8"),
        ("scenes_unpaired", "train cyclegan --data glyphs --characters 01 --size 8"),
        ("points", "train dcgan --data ring"),
        ("points", "train cyclegan --data ring"),
        ("glyphs", "train dcgan --data scenes_unpaired --size 8"),
        ("specified multiple times", "train gan --data ring --seed 1 --seed 2"),
        ("['more']", "train gan more --data ring"),
        ('Did you mean "list"?', "lst"),
        ("did you mean dcgan", "show dcgn"),
        ("RUN", "resume"),
        ("is no run", "resume nowhere"),
        ("is no run", "sample nowhere"),
        ("is no run", "translate nowhere picture.png"),
        ("--batch-size 2", "train cls_gan --data glyphs --size 16 --width 4 --batch-size 1"),
        ("--batch-size 2", "train context_encoder --data textures --size 32 --width 4 --batch-size 1"),
        ("--batch-size 2", "train discogan --data scenes_unpaired --size 32 --width 4 --extra-layers --batch-size 1"),
    ],
)
def test_a_sentence(words: str, arguments: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, words, *arguments.split())


def test_a_set_of_the_wrong_kind_names_some_that_fit(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sentence = refused(capsys, "Images", "train", "dcgan", "--data", "scenes_unpaired", "--size", "8")
    assert "mnist" in sentence
    assert "ring" not in sentence, "points are nothing that dcgan can learn"
    assert "[" not in sentence
    for name in suitable_data("UnpairedImages"):
        assert name in refused(capsys, "Unpaired", "train", "cyclegan", *TINY["dcgan"][1:7])


def test_errors_end_the_process_with_2(here: Path) -> None:
    done = ganarium("train", "dcgan", "--data", "ring")
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert not any(here.iterdir()), "not even runs/"


def test_folders_of_bad_images(here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def fill(name: str, good: int, bad: int) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        for number in range(good):
            Image.fromarray(np.random.default_rng(number).integers(0, 256, (9, 12, 3), np.uint8)).save(
                folder / f"{number}.png"
            )
        for number in range(bad):
            (folder / f"broken{number}.jpg").write_bytes(b"no picture")
        return folder

    def train(folder: Path, *more: str) -> list[str]:
        return ["train", "dcgan", "--data", str(folder), "--size", "8", "--width", "2", "--steps", "1", *more]

    refused(capsys, "2 images ... at least 10", *train(fill("few", 2, 0)))
    refused(capsys, "no images", *train(fill("none", 0, 0)))
    refused(capsys, "2 of the 12 ... broken0.jpg", *train(fill("bad", 10, 2)))
    refused(capsys, "18 training images ... --batch-size 18", *train(fill("small", 20, 0)))
    nearly = fill("nearly good", 30, 1)
    assert cli.main(train(nearly, "--batch-size", "4", "--threads", "1")) == 0
    said = capsys.readouterr().out
    assert "skipped 1 unreadable" in said
    assert "'runs/dcgan-nearly good'" in said or "runs/dcgan-nearly good" in said
    config = json.loads(Path("runs/dcgan-nearly good/config.json").read_text())
    (skipped,) = config["data"]["skipped"]
    assert skipped.startswith("broken0.jpg is no picture")
    assert config["options"]["data"] == str(nearly.resolve())


def test_where_a_run_goes(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train = ["train", *TINY["gan"], "--steps", "1", "--threads", "1"]
    assert cli.main([*train, "--out", "deep/down"]) == 0
    line = refused(capsys, "never overwritten", *train, "--out", "deep/down")
    assert "`ganarium resume deep/down`" in line
    Path("notes").mkdir()
    Path("notes/mine.txt").write_text("keep")
    refused(capsys, "notes exists ... another --out", *train, "--out", "notes")
    refused(capsys, "notes/mine.txt exists", *train, "--out", "notes/mine.txt")
    refused(capsys, "Not a directory", *train, "--out", "notes/mine.txt/run", code=1)
    assert Path("notes/mine.txt").read_text() == "keep"
    Path("empty").mkdir()
    assert cli.main([*train, "--out", "empty"]) == 0
    Path("ring").mkdir()  # a folder here does not hide the set of that name
    for name in ("gan-ring", "gan-ring-2"):
        assert cli.main(train) == 0
        assert json.loads(Path("runs", name, "config.json").read_text())["data"]["name"] == "ring"
    refused(capsys, "did you mean runs/gan-ring", "resume", "runs/gan-rnig")


def test_two_runs_that_begin_at_once_take_two_folders(here: Path) -> None:
    free = Options(data="ring")
    assert [claim("gan", free)[0].name for _ in range(2)] == ["gan-ring", "gan-ring-2"]
    named = Options(data="ring", out="mine")
    assert claim("gan", named)[1] == [Path("mine")]
    with pytest.raises(UserError, match="never overwritten"):
        claim("gan", named)


def test_taking_back_a_folder_spares_the_others(here: Path) -> None:
    first, made = claim("gan", Options(data="ring"))
    second, _ = claim("gan", Options(data="ring"))
    release(first, made)
    assert not first.exists()
    assert (second / "checkpoints").is_dir()


# Files of options

YAML = """
model: dcgan
data: glyphs
characters: 01
size: 8
width: 2
batch-size: 8
steps: 1
lr: 1e-3
threads: 1
seed: null
"""
TOML = """
model = "dcgan"
data = "glyphs"
characters = "01"
size = 8
width = 2
batch_size = 8
steps = 1
lr = 1e-3
threads = 1
"""


@pytest.mark.parametrize(("name", "text"), [("my.yaml", YAML), ("my.yml", YAML), ("my.toml", TOML)])
def test_options_from_a_file(name: str, text: str, here: Path) -> None:
    Path(name).write_text(text)
    assert cli.main(["train", "--config", name, "--out", "steps", "--beta1=0.25", "--width", "4"]) == 0
    config = json.loads(Path("steps/config.json").read_text())
    assert config["model"] == "dcgan"
    assert config["options"]["steps"] == 1, "the word `steps` after --out is no option"
    assert config["options"]["characters"] == "01"
    assert config["options"]["seed"] == 0
    assert config["model_options"]["width"] == 4, "the command line wins"
    assert config["model_options"] | {"lr": 1e-3, "beta1": 0.25} == config["model_options"]


def test_flags_and_the_model_from_a_file(here: Path) -> None:
    for number, value in enumerate(("true", "false")):
        Path("my.yaml").write_text(f"model: dcgan\ngenerator_norm: {value}\nsize: 8\ncharacters: '1'\n")
        out = f"run{number}"
        more = ["--data", "glyphs", "--steps", "1", "--batch-size", "4", "--width", "2", "--threads", "1", "--out", out]
        assert cli.main(["train", "wgan_gp", "--config", "my.yaml", *more]) == 0
        config = json.loads(Path(out, "config.json").read_text())
        assert (config["model"], config["model_options"]["generator_norm"]) == ("wgan_gp", value == "true")


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.yaml", "stepz: 3", "a.yaml ... 'stepz' ... did you mean steps"),
        ("a.toml", "stepz = 3", "a.toml ... 'stepz' ... did you mean steps"),
        ("a.yaml", "steps: 3.5", "--steps ... a whole number, not '3.5'"),
        ("a.toml", "steps = 3.5", "--steps ... a whole number, not '3.5'"),
        ("a.yaml", "steps: true", "--steps ... a whole number, not 'true'"),
        ("a.yaml", "steps: [3]", "steps must be a number, a word or true or false"),
        ("a.yaml", "steps: {a: 3}", "steps must be a number, a word or true or false"),
        ("a.yaml", "a: [1", "no valid YAML ... line 1"),
        ("a.toml", "a = [1", "no valid TOML"),
        ("a.yaml", "- data", "must hold options by name"),
        ("a.yaml", "", "must hold options by name"),
        ("a.json", "{}", ".yaml or .toml, not a.json"),
        ("a.yaml", "model: dcgn", "'dcgn' ... did you mean dcgan"),
    ],
)
def test_bad_files_of_options(name: str, text: str, words: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path(name).write_text(text)
    model = [] if "model" in text else ["gan"]
    refused(capsys, words, "train", *model, "--data", "ring", "--config", name)


def test_no_file_of_options(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, "a.yaml ... No such file", "train", "gan", "--data", "ring", "--config", "a.yaml")


def test_the_files_of_this_repository_are_valid() -> None:
    import yaml

    assert yaml.safe_load((ROOT / "demo.yaml").read_text())["model"] == "dcgan"
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]["ganarium"] == "ganarium.cli:run"


# Samples and translations


def test_samples(trained: Callable[[str], Path], here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = trained("dcgan")
    capsys.readouterr()
    assert cli.main(["sample", str(folder), "--n", "9", "--seed", "3", "--files", "--gif"]) == 0
    grid, singles, walk = map(Path, capsys.readouterr().out.split())
    assert grid.parent == folder / "generated"
    assert Image.open(grid).mode == "L"
    assert sorted(path.name for path in singles.iterdir()) == [f"{number:05}.png" for number in range(9)]
    assert {Image.open(path).size for path in singles.iterdir()} == {(8, 8)}
    assert getattr(Image.open(walk), "n_frames", 1) > 20
    first = grid.read_bytes()
    for more, same in ((["--seed", "3"], True), (["--seed", "4"], False)):
        assert cli.main(["sample", str(folder), "--n", "9", *more, "--out", "other"]) == 0
        assert (Path(capsys.readouterr().out.strip()).read_bytes() == first) is same
    assert cli.main(["sample", str(folder), "--n", "1", "--raw", "--out", "raw"]) == 0


def test_samples_of_points(trained: Callable[[str], Path], here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = trained("gan")
    assert cli.main(["sample", str(folder), "--n", "7", "--files", "--out", "points"]) == 0
    assert np.load("points/points-seed0.npy").shape == (7, 2)
    refused(capsys, "leave --gif away", "sample", str(folder), "--gif")


def test_codes(trained: Callable[[str], Path], here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(trained("infogan"))
    walks = []
    for number in range(2):
        out = f"out{number}"
        assert cli.main(["sample", folder, "--code", "3,0.5,-1", "--n", "4", "--gif", "--out", out]) == 0
        walks.append(next(Path(out).glob("walk-*.gif")).read_bytes())
    assert walks[0] == walks[1], "the seed decides"
    refused(capsys, "from 0 to 9", "sample", folder, "--code", "12")
    refused(capsys, "from 0 to 9", "sample", folder, "--code", "-1")
    refused(capsys, "from 0 to 9", "sample", folder, "--code", "3.5")
    refused(capsys, "at most 2 finite numbers", "sample", folder, "--code", "3,1,1,1")
    refused(capsys, "at most 2 finite numbers", "sample", folder, "--code", "3,inf")
    refused(capsys, "3,0.5,-1, not 'three'", "sample", folder, "--code", "three")
    refused(capsys, "told no label", "sample", folder, "--label", "3")


def test_names_to_choose_from_are_at_most_fifty() -> None:
    assert nearest("dog", "abc") == "choose one of a, b, c."
    assert nearest("cats", ["dogs", "cat"]) == "did you mean cat?"
    said = nearest("cat", (f"{number:04}" for number in range(3740)))
    assert said.startswith("choose one of 0000, 0001")
    assert said.endswith("0049, ...")


def test_labels(trained: Callable[[str], Path], here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A class is asked for by its name, and by its number where no class is called so.

    In this model a label multiplies the noise, so that two classes differ by whole grey levels after two steps already.
    """
    folder = str(trained("cgan"))
    grids = {}
    for label, stem in {"7": "0-7", "8": "1-8", "A": "2-A", "0": "0-7", "1": "1-8", "2": "2-A"}.items():
        assert cli.main(["sample", folder, "--label", label, "--n", "4", "--out", label]) == 0
        grids[label] = Path(label, f"grid-seed0-label{stem}.png").read_bytes()
    assert [grids[name] for name in "78A"] == [grids[name] for name in "012"]
    assert len(set(grids.values())) == 3
    refused(capsys, "no class 'AA': did you mean A? A number from 0 to 2 will", "sample", folder, "--label", "AA")
    refused(capsys, "no class '1.0': choose one of 7, 8, A.", "sample", folder, "--label", "1.0")
    refused(capsys, "from 0 to 2", "sample", folder, "--label", "3")
    refused(capsys, "from 0 to 2", "sample", folder, "--label", "-1")
    refused(capsys, "leave --label", "sample", folder, "--label", "7", "--classes")
    refused(capsys, "give a label", "sample", folder, "--arithmetic", "1 - 2")
    assert cli.main(["sample", folder, "--label", "7", "--arithmetic", "1 - 2", "--out", "sum"]) == 0
    refused(capsys, "told no label", "sample", str(trained("gan")), "--label", "A")


def test_bad_samples(trained: Callable[[str], Path], here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(trained("gan"))
    refused(capsys, "told no label", "sample", folder, "--label", "3")
    refused(capsys, "told no code", "sample", folder, "--code", "3")
    refused(capsys, "at least 1, not 0", "sample", folder, "--n", "0")
    refused(capsys, "a whole number, not '3.5'", "sample", folder, "--n", "3.5")
    refused(capsys, "2**63", "sample", folder, "--seed", "-1")
    refused(capsys, "did you mean cpu", "sample", folder, "--device", "gpu")
    refused(capsys, "cannot be made", "sample", folder, "--out", f"{folder}/config.json")
    refused(capsys, "leave --gif away", "sample", str(trained("pixelrnn")), "--gif")
    refused(capsys, "use sample", "translate", str(trained("dcgan")), f"{trained('dcgan')}/samples/step-00000002.png")


def test_translations(trained: Callable[[str], Path], here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = trained("cyclegan")
    Image.effect_noise((33, 21), 80).convert("RGB").save("wide.png")
    Image.effect_noise((8, 8), 80).save("grey.jpg")
    capsys.readouterr()
    assert cli.main(["translate", str(folder), "wide.png", "grey.jpg", "--direction", "b2a"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    wide, grey = (Image.open(path) for path in said.out.split())
    assert (wide.mode, wide.size, grey.mode, grey.size) == ("RGB", (13, 8), "RGB", (8, 8))
    refused(capsys, "'c2d' ... a2b, b2a", "translate", str(folder), "wide.png", "--direction", "c2d")
    Path("broken.png").write_bytes(b"no picture")
    refused(capsys, "broken.png ... passed over", "translate", str(folder), "broken.png", "--out", "new")
    assert cli.main(["translate", str(folder), "wide.png", "broken.png", "grey.jpg", "--out", "new"]) == 2
    said = capsys.readouterr()
    assert said.out.split() == ["new/wide-a2b.png", "new/grey-a2b.png"], "the good ones are done"
    assert said.err.startswith("ganarium: broken.png is no picture")
    Path("other").mkdir()
    Path("wide.png").rename("other/grey.png")
    before = Path("new/grey-a2b.png").read_bytes()
    assert cli.main(["translate", str(folder), "grey.jpg", "other/grey.png", "--out", "new"]) == 0
    assert capsys.readouterr().out.split() == ["new/grey-a2b-2.png", "new/grey-a2b-3.png"]
    assert Path("new/grey-a2b.png").read_bytes() == before
    refused(capsys, "none.png", "translate", str(folder), "none.png")
    refused(capsys, "FILES", "translate", str(folder))
    refused(capsys, "use translate", "sample", str(folder))


def test_bf16_is_chosen_where_it_is_faster() -> None:
    from ganarium.runtime.device import faster_in_bf16

    for said, pays in {
        "vendor_id : AuthenticAMD\nflags : avx512f avx512_bf16": True,
        "vendor_id : GenuineIntel\nflags : avx512f avx512_bf16 amx_bf16": True,
        "vendor_id : GenuineIntel\nflags : avx512f avx512_bf16": False,
        "vendor_id : AuthenticAMD\nflags : avx2": False,
    }.items():
        assert faster_in_bf16(said) == pays, said
    assert not faster_in_bf16("")
