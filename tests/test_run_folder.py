"""The run folder: what it holds, and that nothing loses it: kills, signals, torn files, full disks, NaN."""

import dataclasses
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console
from safetensors.torch import load_file
from torch import Tensor

import ganarium
from ganarium import cli, registry
from ganarium.pictures import grid, latents
from ganarium.runs import checkpoint
from ganarium.runs.curves import save_curves
from ganarium.runs.listing import summary_of
from ganarium.runs.loading import data_of
from ganarium.runs.options import Options
from ganarium.runtime import environment
from ganarium.runtime.cache import cache_dir
from ganarium.trainer import Trainer, Update
from ganarium.training import console, session, timing
from ganarium.training.estimate import forget_peak, peak_bytes
from synthetic import trainer

GLYPHS = ["--data", "glyphs", "--characters", "01", "--size", "8", "--batch-size", "8"]
POINTS = ["--data", "ring", "--batch-size", "16", "--width", "8"]
SCENES = ["--data", "scenes_unpaired", "--size", "8"]
FAMILIES = {  # one model of each kind, and steps enough to be killed among them
    "gan": ["gan", *POINTS, "--steps", "200"],
    "dcgan": ["dcgan", *GLYPHS, "--width", "2", "--steps", "120"],
    "wgan_gp": ["wgan_gp", *POINTS, "--num-critic-steps", "2", "--steps", "120"],
    "began": ["began", *GLYPHS, "--width", "2", "--latent-dim", "4", "--steps", "80"],
    "cyclegan": ["cyclegan", *SCENES, "--width", "2", "--num-blocks", "0", "--pool-size", "5", "--steps", "60"],
    "pixelrnn": ["pixelrnn", *GLYPHS, "--width", "4", "--num-blocks", "1", "--head", "4", "--steps", "120"],
}
TIMES = {"seconds", "steps_per_second"}


@pytest.fixture(scope="module")
def ten(own_cache: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of dcgan with checkpoints at 0, 5 and 10; tests copy it."""
    run = tmp_path_factory.mktemp("runs") / "ten"
    assert train("dcgan", run, "--steps", "10", "--save-every", "5", "--sample-every", "5", "--log-every", "2") == 0
    return run


def train(name: str, out: Path, *more: str) -> int:
    model, *rest = FAMILIES[name]
    if "--steps" in more:
        rest = rest[:-2]
    return cli.main(["train", model, *rest, "--threads", "1", "--out", str(out), *more])


def start(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "ganarium", *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, start_new_session=True, **options)


def wait_for(what: Callable[[], object], process: subprocess.Popen[str], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert process.poll() is None, f"it ended before its time: {process.communicate()}"
        assert time.monotonic() < end
        time.sleep(0.005)


def checkpoints(run: Path) -> list[int]:
    return sorted(int(path.name.removeprefix("step-")) for path in (run / "checkpoints").glob("step-*"))


def tensors(run: Path) -> dict[str, Tensor]:
    """Every tensor of the newest checkpoint: weights, buffers, optimiser slots, random generators."""
    newest = run / "checkpoints" / f"step-{checkpoints(run)[-1]:08d}"
    return {
        f"{file.stem}/{key}": value for file in newest.glob("*.safetensors") for key, value in load_file(file).items()
    }


def assert_same_end(run: Path, other: Path) -> None:
    a, b = tensors(run), tensors(other)
    assert checkpoints(run)[-1] == checkpoints(other)[-1]
    assert a.keys() == b.keys()
    assert len(a) > 4
    for key in a:
        assert torch.equal(a[key], b[key]), key
    assert losses(run) == losses(other)


def rows(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def losses(run: Path) -> list[dict[str, float]]:
    return [{key: value for key, value in row.items() if key not in TIMES} for row in rows(run)]


def config(run: Path) -> dict[str, Any]:
    made: dict[str, Any] = json.loads((run / "config.json").read_text())
    return made


# What a run leaves


def test_the_files_of_a_run(ten: Path) -> None:
    assert {path.name for path in ten.iterdir()} == {
        "config.json",
        "state.json",
        "checkpoints",
        "samples",
        "metrics.jsonl",
        "tensorboard",
        "curves.png",
        "report.html",
        "report",
        "scores.jsonl",
    }
    assert checkpoints(ten) == [0, 5, 10], "one is written before the first update"
    assert not [path for path in ten.rglob("*") if path.name.startswith(".")]
    assert {path.name for path in (ten / "samples").iterdir()} == {
        "step-00000000.png",
        "step-00000005.png",
        "step-00000010.png",
        "training.gif",
    }
    assert getattr(Image.open(ten / "samples" / "training.gif"), "n_frames", 1) == 3
    assert Image.open(ten / "curves.png").size[0] > 300
    for path in ten.rglob("*"):
        assert path.stat().st_mode & 0o400
        assert path.is_dir() or path.stat().st_mode & 0o777 == 0o666 & ~umask(), path


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_the_config_holds_every_value(ten: Path) -> None:
    made = config(ten)
    assert made["model"] == "dcgan"
    assert made["options"].keys() == {field.name for field in dataclasses.fields(Options)}
    names = {field.name for field in dataclasses.fields(registry.module("dcgan").Config)}
    assert made["model_options"].keys() == names
    assert made["model_options"]["lr"] == 2e-4
    assert made["options"] | {"steps": 10, "batch_size": 8, "seed": 0, "keep": 3, "log_every": 2} == made["options"]
    assert made["versions"].keys() == {"ganarium", "torch", "numpy", "python"}
    assert made["threads"] == 1
    assert made["format"] == 1
    assert made["device"] == "cpu"
    assert made["processor"]
    for step in checkpoints(ten):
        path = ten / "checkpoints" / f"step-{step:08d}" / "checkpoint.json"
        assert json.loads(path.read_text())["config"] == made


def test_metrics(ten: Path) -> None:
    assert [row["step"] for row in rows(ten)] == [2, 4, 5, 6, 8, 10]
    for row in rows(ten):
        assert row.keys() == {"step", "D/real", "D/fake", "G/adversarial", *TIMES}
        assert all(np.isfinite(value) for value in row.values())


def test_tensorboard_reads_the_events(ten: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(ten / "tensorboard"))
    events.Reload()
    assert {"D/real", "D/fake", "G/adversarial"} <= set(events.Tags()["scalars"])
    assert [event.step for event in events.Scalars("D/real")] == [row["step"] for row in rows(ten)]
    assert events.Scalars("D/real")[-1].value == pytest.approx(rows(ten)[-1]["D/real"])
    assert [event.step for event in events.Images("samples")] == [0, 5, 10]


def test_the_newest_are_kept(tmp_path: Path) -> None:
    assert train("gan", tmp_path / "run", "--steps", "9", "--save-every", "2", "--keep", "2") == 0
    assert checkpoints(tmp_path / "run") == [8, 9]


def test_the_last_lines_say_what_to_do_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "my run"
    assert train("cyclegan", run, "--steps", "2") == 0
    said = capsys.readouterr()
    assert said.err == ""
    for path in ("samples/step-00000002.png", "samples/training.gif", "curves.png"):
        assert str(run / path) in said.out
        assert (run / path).is_file()


# Bit-exact


@pytest.fixture(scope="module")
def killed(own_cache: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run of each family, killed at some moment after its first checkpoint beyond step 0."""
    folder = tmp_path_factory.mktemp("killed")
    for name in ("glyphs", "scenes_unpaired"):  # drawn once, before the processes ask for them at the same time
        ganarium.load_data(name, size=(8, 8), characters="01" if name == "glyphs" else None)

    def begun(name: str) -> subprocess.Popen[str]:
        model, *rest = FAMILIES[name]
        every = ["--save-every", "5", "--log-every", "3", "--threads", "1"]
        return start("train", model, *rest, *every, "--out", str(folder / name))

    running: dict[str, subprocess.Popen[str]] = {}
    names = list(FAMILIES)
    while names or running:
        while names and len(running) < 2:
            running[names[0]] = begun(names[0])
            names.pop(0)
        for name, process in list(running.items()):
            past = [path for path in (folder / name).glob("checkpoints/step-*") if path.name != "step-00000000"]
            if past:
                time.sleep(0.003 * len(running))
                os.killpg(process.pid, signal.SIGKILL)
                assert process.wait() == -signal.SIGKILL, "it was done before the kill: give it more steps"
                process.communicate()
                del running[name]
            else:
                assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    return {name: folder / name for name in FAMILIES}


@pytest.mark.parametrize("name", FAMILIES)
def test_resuming_after_a_kill_is_bit_exact(
    name: str, killed: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, whole, total = killed[name], tmp_path / "whole", int(FAMILIES[name][-1])
    assert 0 < checkpoints(run)[-1] < total
    if name == "gan":  # a third process; for the others it is this one, which has run other things before
        process = start("resume", str(run))
        said = process.communicate(timeout=60)
        assert (process.returncode, said[1]) == (0, "")
    else:
        assert cli.main(["resume", str(run)]) == 0
        assert capsys.readouterr().err == "", "nothing to warn of"
    assert train(name, whole, "--save-every", "5", "--log-every", "3") == 0
    assert_same_end(run, whole)
    assert [row["step"] for row in rows(run)][-1] == total


def test_resuming_before_the_first_checkpoint(ten: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "checkpoints" / ".writing-step-00000000").mkdir(parents=True)
    shutil.copy(ten / "config.json", run)
    assert cli.main(["resume", str(run)]) == 0
    assert_same_end(run, ten)


@pytest.mark.parametrize("name", ["dcgan", "cyclegan"])
def test_looking_on_changes_nothing(name: str, tmp_path: Path) -> None:
    often, never = tmp_path / "often", tmp_path / "never"
    assert train(name, often, "--steps", "12", "--sample-every", "1", "--log-every", "1") == 0
    assert train(name, never, "--steps", "12", "--sample-every", "99", "--log-every", "99") == 0
    assert len(list((often / "samples").glob("step-*.png"))) == 13
    assert len(rows(never)) == 1
    a, b = tensors(often), tensors(never)
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert a.keys() == b.keys()


def test_extending_equals_one_long_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, long, out = tmp_path / "run", tmp_path / "long", ["--save-every", "3", "--log-every", "3"]
    assert train("wgan_gp", run, "--steps", "6", *out) == 0
    capsys.readouterr()
    assert cli.main(["resume", str(run)]) == 0
    assert "finished at step 6" in capsys.readouterr().out
    for steps in ("5", "6", "-1"):
        assert cli.main(["resume", str(run), "--steps", steps]) == 2
        assert "above it" in capsys.readouterr().err
    assert cli.main(["resume", str(run), "--steps", "12"]) == 0
    assert config(run)["options"]["steps"] == 12
    assert train("wgan_gp", long, "--steps", "12", *out) == 0
    assert_same_end(run, long)


def test_an_extension_outlives_a_kill(ten: Path, tmp_path: Path) -> None:
    run = shutil.copytree(ten, tmp_path / "run")
    assert cli.main(["resume", str(run), "--steps", "14"]) == 0
    for step in (14,):  # as if killed before the first checkpoint beyond the old end
        shutil.rmtree(run / "checkpoints" / f"step-{step:08d}")
    assert checkpoints(run)[-1] == 10
    assert cli.main(["resume", str(run)]) == 0
    assert checkpoints(run)[-1] == 14


# Data that moved or changed, and a config.json edited by hand


def photos(folder: Path, names: tuple[str, ...] = ("cats", "dogs"), seed: int = 0) -> Path:
    rng = np.random.default_rng(seed)
    for name in names:
        (folder / name).mkdir(parents=True)
        for number in range(12):
            Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).save(folder / name / f"{number}.png")
    return folder


def learn(model: str, data: Path, out: Path, *more: str, size: int = 8) -> int:
    small = ["--size", str(size), "--batch-size", "4", "--threads", "1", "--evaluate-every", "0"]
    return cli.main(["train", model, "--data", str(data), *small, "--out", str(out), *more])


def newest_config(run: Path) -> dict[str, Any]:
    newest = run / "checkpoints" / f"step-{checkpoints(run)[-1]:08d}"
    made: dict[str, Any] = json.loads((newest / "checkpoint.json").read_text())["config"]
    return made


def test_data_that_moved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, run, long = photos(tmp_path / "photos"), tmp_path / "run", tmp_path / "long"
    assert learn("gan", data, long, "--width", "8", "--steps", "6", "--save-every", "3") == 0
    assert learn("gan", data, run, "--width", "8", "--steps", "3", "--save-every", "3") == 0
    moved = data.rename(tmp_path / "elsewhere")
    for verb in (["resume", str(run), "--steps", "6"], ["evaluate", str(run), "--n", "20"]):
        capsys.readouterr()
        assert cli.main(verb) == 2
        assert "--data NEW" in capsys.readouterr().err
    assert cli.main(["evaluate", str(run), "--n", "20", "--data", str(moved)]) == 0
    other = photos(tmp_path / "other", seed=1)
    for verb in (["resume", str(run), "--steps", "6"], ["evaluate", str(run), "--n", "20"]):
        capsys.readouterr()
        assert cli.main([*verb, "--data", str(other)]) == 2
        assert "of other content" in capsys.readouterr().err
    assert cli.main(["resume", str(run), "--steps", "6", "--data", str(moved)]) == 0
    assert_same_end(run, long)
    assert config(run)["options"]["data"] == newest_config(run)["options"]["data"] == str(moved)
    (moved / "cats" / "0.png").unlink()
    capsys.readouterr()
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert cli.main(["evaluate", str(run), "--n", "20"]) == 0  # the place is remembered
    assert "have changed since it was trained: 22 training images then, 21 now" in capsys.readouterr().err


def test_classes_are_bound_by_their_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, run = photos(tmp_path / "photos", ("cats", "dogs", "eels")), tmp_path / "run"
    assert learn("cgan", data, run, "--steps", "1") == 0
    (data / "cats").rename(data / "wolves")
    assert cli.main(["resume", str(run), "--steps", "2"]) == 2
    said = capsys.readouterr().err
    assert "'wolves'" in said
    assert "'cats' is gone" in said
    (data / "wolves").rename(tmp_path / "aside")
    assert cli.main(["resume", str(run), "--steps", "2"]) == 0  # with what is left, under the old numbers
    assert newest_config(run)["data"]["class_names"] == ["cats", "dogs", "eels"]
    train, test = data_of(newest_config(run))
    assert train.labels is not None
    assert test.labels is not None
    assert torch.cat([train.labels, test.labels]).unique().tolist() == [1, 2]


@pytest.mark.parametrize(
    ("group", "name", "value"),
    [
        ("model_options", "width", 4),
        ("options", "seed", 3),
        ("options", "batch_size", 2),
        ("options", "save_every", -1),
    ],
)
def test_an_edit_that_a_run_cannot_take_is_refused(
    group: str, name: str, value: int, ten: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = shutil.copytree(ten, tmp_path / "run")
    written = config(run)
    written[group][name] = value
    (run / "config.json").write_text(json.dumps(written))
    assert cli.main(["resume", str(run), "--steps", "12"]) == 2
    assert name in capsys.readouterr().err


def test_the_learning_rate_may_change(ten: Path, tmp_path: Path) -> None:
    by_hand, by_option = (shutil.copytree(ten, tmp_path / name) for name in ("by_hand", "by_option"))
    written = config(by_hand)
    written["model_options"]["lr"] = 0.05
    (by_hand / "config.json").write_text(json.dumps(written))
    assert cli.main(["resume", str(by_hand), "--steps", "12"]) == 0
    assert cli.main(["resume", str(by_option), "--steps", "12", "--lr", "0.05"]) == 0
    for run in (by_hand, by_option):
        assert config(run)["model_options"]["lr"] == newest_config(run)["model_options"]["lr"] == 0.05
    assert_same_end(by_hand, by_option)
    plain = shutil.copytree(ten, tmp_path / "plain")
    assert cli.main(["resume", str(plain), "--steps", "12"]) == 0
    a, b = tensors(plain), tensors(by_option)
    assert any(not torch.equal(a[key], b[key]) for key in a)


def test_runs_on_sets_of_one_name_are_not_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed, name in enumerate(("x", "y")):
        assert learn("gan", photos(tmp_path / name / "faces", seed=seed), tmp_path / f"r{name}", "--steps", "1") == 0
    assert learn("gan", tmp_path / "x" / "faces", tmp_path / "wide", "--steps", "1", size=16) == 0
    assert learn("gan", tmp_path / "x" / "faces", tmp_path / "again", "--steps", "1", "--seed", "1") == 0
    for other, code in (("ry", 2), ("wide", 2), ("again", 0)):
        capsys.readouterr()
        assert cli.main(["compare", str(tmp_path / "rx"), str(tmp_path / other), "--n", "20"]) == code
        assert ("different data (faces of" in capsys.readouterr().err) == (code == 2)


# Text is data


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_letters_that_the_output_lacks_are_escaped(encoding: str, tmp_path: Path) -> None:
    data = photos(tmp_path / "café 植 {v2} [bold]")
    process = start(
        *["train", "gan", "--data", str(data), "--size", "8", "--batch-size", "4", "--width", "8", "--steps", "1"],
        *["--out", str(tmp_path / "run")],
        env=os.environ | {"PYTHONIOENCODING": encoding},
        encoding=encoding,
    )
    said, errors = process.communicate()
    assert process.returncode == 0, errors
    assert "\\u690d {v2} [bold]" in said


@pytest.mark.parametrize("name", ["faces {v2}", "100% {", "x [bold] y", "[/]"])
def test_the_bar_shows_a_name_as_it_is(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "Console", lambda: Console(force_terminal=True, width=100, record=True))
    bar = console.Bar(f"gan on {name}", 0, 3)
    with bar:
        bar.advance(1)
        bar.say(f"a line about {name}")
    assert bar._bar is not None
    text = bar._bar.console.export_text()
    assert f"a line about {name}" in text
    assert f"gan on {name}" in text


# Signals


def test_signals_save_and_name_the_way_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, command = (
        tmp_path / "run",
        ["train", "gan", *POINTS, "--steps", "1000000", "--log-every", "2", "--threads", "1"],
    )
    for number, arguments in ((signal.SIGTERM, [*command, "--out", str(run)]), (signal.SIGINT, ["resume", str(run)])):
        seen = len(rows(run)) if (run / "metrics.jsonl").exists() else 0
        process = start(*arguments)
        wait_for(lambda seen=seen: (run / "metrics.jsonl").exists() and len(rows(run)) > seen + 2, process)
        os.kill(process.pid, number)
        out, err = process.communicate(timeout=30)
        assert (process.returncode, err) == (128 + number, "")
        assert f"ganarium resume {run}" in out.splitlines()[-1]
        assert f"saved at step {checkpoints(run)[-1]} of 1000000" in out
        assert (run / "curves.png").exists()
    steps = [row["step"] for row in rows(run)]
    assert steps == sorted(set(steps))
    end = checkpoints(run)[-1] + 3
    assert cli.main(["resume", str(run), "--steps", str(end)]) == 0
    assert checkpoints(run)[-1] == end


def test_a_second_signal_acts_at_once(tmp_path: Path) -> None:
    run = tmp_path / "run"
    endless = ["--num-critic-steps", "10000000", "--threads", "1"]  # within one step
    process = start("train", "wgan_gp", *POINTS, *endless, "--out", str(run))
    wait_for((run / "samples" / "step-00000000.png").exists, process)
    time.sleep(0.3)
    os.kill(process.pid, signal.SIGINT)
    time.sleep(0.3)
    assert process.poll() is None, "the first waits for the end of the step"
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=5)
    assert process.returncode == 130
    assert "stopping after this step" in out
    way_on = f"The last good checkpoint is step 0: `ganarium resume {run}` goes on from there."
    assert err.splitlines() == [f"ganarium: stopped within a step. {way_on}"]
    assert checkpoints(run) == [0]


def test_what_a_stopped_run_says_is_what_its_checkpoints_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A first signal after step 7 saves that step. A second one, in step 8 of the resumed run, leaves it at 7, though
    lines of the log and of the evaluations may be further: the last line, state.json, `runs` and resuming all say 7."""
    run, own = tmp_path / "run", Trainer.updates
    process_signal: dict[int, int] = {}

    def updates(self: Trainer) -> Iterator[Update]:
        for _ in range(process_signal.get(self.model.iteration, 0)):
            signal.raise_signal(signal.SIGINT)
        yield from own(self)

    def summary() -> tuple[str, int]:
        actual = summary_of(run, "run")
        return actual.state, actual.step

    monkeypatch.setattr(Trainer, "updates", updates)
    process_signal[6] = 1
    options = ["--steps", "20", "--log-every", "1", "--save-every", "5", "--threads", "1", "--out", str(run)]
    assert cli.main(["train", "gan", *POINTS, *options]) == 128 + signal.SIGINT
    assert capsys.readouterr().out.splitlines()[-1] == f"saved at step 7 of 20; go on with: ganarium resume {run}"
    assert (checkpoints(run)[-1], rows(run)[-1]["step"], summary()) == (7, 7, ("stopped", 7))
    process_signal[6], process_signal[8] = 0, 2
    assert cli.main(["resume", str(run)]) == 130
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.endswith(f"The last good checkpoint is step 7: `ganarium resume {run}` goes on from there.")
    assert rows(run)[-1]["step"] == 8, "else nothing is tested"
    assert (checkpoints(run)[-1], summary()) == (7, ("stopped", 7))
    state = json.loads((run / "state.json").read_text())
    assert (state["step"], state["reason"]) == (7, "a second signal")
    assert state["seconds"] == pytest.approx(rows(run)[6]["seconds"], abs=0.01), "the time that led to step 7"
    process_signal.clear()
    process_signal[10] = 1
    with pytest.raises(KeyboardInterrupt, match=r"stopped and saved at step 11: `ganarium resume"):
        ganarium.resume(run, quiet=True)
    assert (checkpoints(run)[-1], summary()) == (11, ("stopped", 11))


# Damage


def spoken(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> int:
    """The exit code of a command that says its warnings as it does outside of pytest, where they are no errors."""
    capsys.readouterr()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        return cli.main(arguments)


def tear(checkpoint: Path, how: str) -> None:
    file, sums = checkpoint / "model.safetensors", checkpoint / "checkpoint.json"
    if how == "cut":
        os.truncate(file, file.stat().st_size // 2)
    elif how == "flipped":
        content = bytearray((checkpoint / "training.safetensors").read_bytes())
        content[-9] ^= 1
        (checkpoint / "training.safetensors").write_bytes(content)
    elif how == "no file":
        file.unlink()
    elif how == "no json":
        sums.unlink()
    elif how == "half json":
        sums.write_text(sums.read_text()[:100])
    else:
        assert how == "odd json"
        sums.write_text('{"format": 1}')


@pytest.mark.parametrize("how", ["cut", "flipped", "no file", "no json", "half json", "odd json"])
def test_a_torn_checkpoint_is_skipped(how: str, ten: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = shutil.copytree(ten, tmp_path / "run")
    tear(run / "checkpoints" / "step-00000010", how)
    with pytest.warns(UserWarning, match="skipped a checkpoint: .*step-00000010"):
        assert ganarium.load(run).iteration == 5
    assert spoken(["resume", str(run)], capsys) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("ganarium: skipped a checkpoint: ")
    assert_same_end(run, ten)


def refused(capsys: pytest.CaptureFixture[str], words: str, *arguments: str, code: int = 2) -> None:
    assert spoken(list(arguments), capsys) == code
    (line,) = capsys.readouterr().err.splitlines()
    for part in words.split("..."):
        assert part.strip() in line, line
    assert line[-1] in ".?"


def test_nothing_to_load(ten: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = shutil.copytree(ten, tmp_path / "run")
    for step in checkpoints(run):
        tear(run / "checkpoints" / f"step-{step:08d}", "cut")
    for verb in ("resume", "sample"):
        refused(capsys, "no complete checkpoint ... step-00000010 ... train it anew", verb, str(run))
    refused(capsys, "model.safetensors ... another", "sample", str(run / "checkpoints" / "step-00000010"))
    shutil.rmtree(run / "checkpoints")
    refused(capsys, "no complete checkpoint", "sample", str(run))
    (run / "config.json").write_text("{")
    refused(capsys, "config.json cannot be read", "resume", str(run))
    (run / "config.json").unlink()
    refused(capsys, "is no run", "resume", str(run))


def test_formats_of_the_future(ten: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = shutil.copytree(ten, tmp_path / "run")
    file = run / "checkpoints" / "step-00000010" / "checkpoint.json"
    meta = json.loads(file.read_text())
    meta["config"]["versions"]["ganarium"] = "9.8.7"
    file.write_text(json.dumps(meta | {"format": 99}))
    refused(capsys, "9.8.7 ... use that version or a newer one", "resume", str(run))
    (run / "config.json").write_text(json.dumps(config(ten) | {"format": 99}))
    refused(capsys, "run format 99 ... upgrade ganarium", "resume", str(run))
    (run / "config.json").write_text(json.dumps(config(ten) | {"format": "new"}))
    refused(capsys, "cannot be read", "resume", str(run))


def test_a_half_line_of_metrics(ten: Path, tmp_path: Path) -> None:
    run = shutil.copytree(ten, tmp_path / "run")
    shutil.rmtree(run / "checkpoints" / "step-00000010")
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 11, "D/re')
    assert save_curves(run / "metrics.jsonl", tmp_path / "curves.png")
    assert cli.main(["resume", str(run)]) == 0
    assert_same_end(run, ten)


def test_another_machine_is_one_warning(ten: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = shutil.copytree(ten, tmp_path / "run")
    file = run / "checkpoints" / "step-00000010" / "checkpoint.json"
    meta = json.loads(file.read_text())
    meta["config"]["versions"]["torch"] = "1.0"
    file.write_text(json.dumps(meta))
    assert cli.main(["resume", str(run), "--steps", "11"]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert "the run began with 1.0" in line
    assert "not be bit-equal" in line


def test_a_file_too_large_stops_with_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first checkpoint, without optimiser slots, fits under the limit; the next does not."""
    run = tmp_path / "run"
    model, limit = ["gan", "--data", "ring"], 400_000

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    more = ["--steps", "50", "--save-every", "5", "--threads", "1", "--out", str(run)]
    process = start("train", *model, *more, preexec_fn=limited)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1, err
    (line,) = err.splitlines()
    assert "checkpoint of step 5 could not be written" in line
    assert f"`ganarium resume {run}`" in line
    assert checkpoints(run) == [0]
    assert cli.main(["resume", str(run), "--steps", "6"]) == 0


def test_a_checkpoint_is_written_without_a_copy_of_it_in_memory(tmp_path: Path) -> None:
    """The most that a run of pix2pix took was that, and not what its steps take."""
    files = {"model": {str(number): torch.rand(2**20) for number in range(16)}}  # 64 MiB
    checkpoint.write(tmp_path / "first", {"model": {"weight": torch.rand(1)}}, {"step": 0}, keep=1)
    forget_peak("cpu")
    before = peak_bytes("cpu")
    folder = checkpoint.write(tmp_path, files, {"step": 1}, keep=1)
    assert peak_bytes("cpu") - before < 2**25
    assert torch.equal(load_file(folder / "model.safetensors")["3"], files["model"]["3"])
    modes = {path.stat().st_mode for path in folder.iterdir()}
    assert len(modes) == 1, "others may read the weights as they may read what is said of them"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1.5 MB; only root can make one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    made = (
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1536k", "tmpfs", str(disk)], capture_output=True, check=False
        )
        if shutil.which("mount")
        else None
    )
    if made is None or made.returncode:
        pytest.skip("mounting a small disk is not allowed here")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_full_disk(small_disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = small_disk / "run"
    model = ["gan", "--data", "ring", "--width", "64", "--batch-size", "8"]
    process = start("train", *model, "--save-every", "5", "--keep", "99", "--threads", "1", "--out", str(run))
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    (line,) = err.splitlines()
    assert "No space left on device" in line
    last = checkpoints(run)[-1]
    assert f"checkpoint is step {last}: `ganarium resume {run}`" in line
    assert last > 0
    assert ganarium.load(run).iteration == last
    refused(capsys, "could not", "train", *model, "--steps", "1", "--out", str(small_disk / "next"), code=1)
    assert not (small_disk / "next").exists()
    for step in checkpoints(run)[:-1]:  # room is made
        shutil.rmtree(run / "checkpoints" / f"step-{step:08d}")
    assert cli.main(["resume", str(run), "--steps", str(last + 1)]) == 0


def test_nan_names_player_term_and_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, every = tmp_path / "run", tmp_path / "every"
    wild = ["gan", "--data", "ring", "--batch-size", "16", "--lr", "1e4", "--threads", "1", "--steps", "200"]
    assert cli.main(["train", *wild, "--save-every", "1", "--out", str(run)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    options = {"data": "ring", "batch_size": 16, "lr": 1e4, "threads": 1, "steps": 200, "log_every": 1, "quiet": True}
    with pytest.raises(ganarium.RunError) as caught:
        ganarium.train("gan", out=every, **options)
    step = rows(every)[-1]["step"] + 1
    assert step > 1
    for sentence in (line, str(caught.value)):
        assert f"at step {step:g}" in sentence
        assert "player D" in sentence or "player G" in sentence
        assert "term" in sentence or "parameter" in sentence
    assert checkpoints(run)[-1] == step - 1
    assert f"checkpoint of step {step - 1:g}" in line
    assert rows(run)[-1]["step"] == step - 1
    assert all(value.isfinite().all() for value in tensors(run).values() if value.is_floating_point())
    assert ganarium.load(run).iteration == step - 1


# Leftovers of killed processes

FOLDERS = ("", "checkpoints", "samples", "report", "evaluations")


def planted(run: Path) -> set[Path]:
    """What a kill in the middle of a write leaves in each folder that training writes, and what older versions left."""
    files = {run / folder / ".writing-file" for folder in FOLDERS}
    files |= {run / "checkpoints" / ".writing-step-00000099" / "model.safetensors", run / ".writing-7-report.html"}
    files |= {run / "metrics.writing", run / "evaluations" / ".evaluation-00000010-glyphs-seed0.json"}
    for file in files:
        file.parent.mkdir(exist_ok=True)
        file.write_text("half")
    return files


def test_going_on_removes_what_a_kill_has_left(ten: Path, tmp_path: Path) -> None:
    run = shutil.copytree(ten, tmp_path / "run")
    before, files = {path for path in run.rglob("*") if path.is_file()}, planted(run)
    (run / "generated").mkdir()
    being_written = run / "generated" / ".writing-seed0"  # by `ganarium sample`, it may be
    being_written.write_text("")
    assert cli.main(["resume", str(run), "--steps", "11"]) == 0
    assert not [file for file in files if file.exists()]
    assert not (run / "checkpoints" / ".writing-step-00000099").exists()
    assert being_written.exists()
    gone = {path.relative_to(run).parts[:2] for path in before if not path.exists()}
    assert gone == {("checkpoints", "step-00000000")}, "the oldest of four checkpoints, as ever"


def test_cleaning_removes_what_a_kill_has_left(ten: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = shutil.copytree(ten, tmp_path / "run")
    files = planted(run)
    for folder in ("generated", "translated"):
        files.add(run / folder / ".writing-seed0" / "00000.png")
        (run / folder / ".writing-seed0").mkdir(parents=True)
        (run / folder / ".writing-seed0" / "00000.png").write_text("half")
    assert cli.main(["clean", str(run), "--dry-run"]) == 0
    assert all(file.exists() for file in files)
    assert cli.main(["clean", str(run)]) == 0
    assert not [file for file in files if file.exists()]
    assert not list(run.rglob(".writing*"))
    assert {path.name for path in (run / "samples").iterdir()} == {path.name for path in (ten / "samples").iterdir()}
    assert checkpoints(run) == [10]


# Runs and variables of the old name

OLD_RUN = Path(__file__).parent / "old_run"  # dcgan on glyphs, six steps of ganzoo 0.1.0


def test_a_run_of_the_old_name_loads_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = shutil.copytree(OLD_RUN, tmp_path / "run")
    assert list(config(run)["versions"]) == ["ganzoo", "torch", "numpy", "python"]
    model = ganarium.load(run)
    assert model.iteration == 6
    assert model.sample(3, seed=1).shape == (3, 1, 16, 16)
    evaluation = ganarium.evaluate(run, n=20, device="cpu")
    assert (evaluation.model, evaluation.data, evaluation.step) == ("dcgan", "glyphs", 6)
    assert cli.main(["runs", str(tmp_path)]) == 0
    assert "finished" in capsys.readouterr().out
    assert cli.main(["report", str(run), "--device", "cpu"]) == 0
    assert "ganzoo 0.1.0" in (run / "report.html").read_text()
    capsys.readouterr()
    assert cli.main(["resume", str(run), "--steps", "12"]) == 0
    err = capsys.readouterr().err
    assert f"ganarium is {ganarium.__version__} and the run began with ganzoo 0.1.0" in err
    assert checkpoints(run) == [12]
    assert ganarium.load(run).iteration == 12
    assert [row["step"] for row in rows(run)] == [6, 12]


def test_a_newer_format_names_the_version_that_reads_it_by_either_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = shutil.copytree(OLD_RUN, tmp_path / "run")
    file = run / "checkpoints" / "step-00000006" / "checkpoint.json"
    meta = json.loads(file.read_text())
    file.write_text(json.dumps(meta | {"format": 99}))
    refused(capsys, "written by ganzoo 0.1.0 ... use that version or a newer one", "sample", str(run))
    meta["config"]["versions"] = {"another": "1.0"}
    file.write_text(json.dumps(meta))
    refused(capsys, "no complete checkpoint", "sample", str(run))


def test_variables_of_the_old_name_are_read_with_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("DATA", "CACHE"):
        monkeypatch.delenv(f"GANARIUM_{name}", raising=False)
        monkeypatch.setenv(f"GANZOO_{name}", str(tmp_path / name))
    environment.default_variable("DATA", "of/the/run")
    assert "GANARIUM_DATA" not in os.environ, "what the user has set wins"
    assert [environment.variable("DATA") for _ in range(3)] == 3 * [str(tmp_path / "DATA")]
    assert cache_dir() == tmp_path / "CACHE"
    assert capsys.readouterr().err.splitlines() == [
        f"ganarium: GANZOO_{name} is an old name: set GANARIUM_{name} instead." for name in ("DATA", "CACHE")
    ]
    monkeypatch.setenv("GANARIUM_DATA", "new")
    assert environment.variable("DATA") == "new"
    monkeypatch.delenv("GANZOO_DATA")
    monkeypatch.delenv("GANARIUM_DATA")
    assert environment.variable("DATA") is None
    environment.default_variable("DATA", "of/the/run")
    assert os.environ["GANARIUM_DATA"] == "of/the/run"
    monkeypatch.setenv("GANARIUM_DATA", "")  # which undoes it at the end
    assert capsys.readouterr().err == ""


# Minutes


@pytest.mark.parametrize(
    ("seconds", "costs", "steps"),
    [
        (7.0, [(0, 2.0)], 3),
        (3.5, [(0, 1.0), (25, 0.25)], 3),
        (25.0, [(0, 1.0), (25, 0.25)], 25),
        (26.0, [(0, 1.0), (25, 0.25)], 29),
        (10.0, [(0, 0.5), (0, 1.0), (4, 2.0)], 7),  # a stage that a setting has left empty
        (-1.0, [(0, 1.0)], 0),
    ],
)
def test_each_stage_of_a_model_takes_its_own_time(seconds: float, costs: list[tuple[int, float]], steps: int) -> None:
    assert timing.steps_of(seconds, costs) == steps


@pytest.mark.parametrize("name", ["esrgan", "srgan", "triple_gan", "wgan"])
def test_the_work_of_a_step_changes_where_a_stage_begins(name: str) -> None:
    made = trainer(name)

    def work(iteration: int) -> list[tuple[str, list[str]]]:
        made.model.iteration = iteration
        return [(update.player, list(update.terms)) for update in made.updates()]

    assert made.model.stages
    for stage in filter(None, made.model.stages):
        assert work(stage - 1) != work(stage) == work(stage + 1)


def test_minutes_become_steps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, began = tmp_path / "run", time.monotonic()
    model = [word for word in FAMILIES["gan"] if word not in ("--steps", "200")]
    assert cli.main(["train", *model, "--minutes", "0.05", "--threads", "1", "--out", str(run)]) == 0
    assert time.monotonic() - began < 20  # three seconds and the pictures, on a busy machine
    options = config(run)["options"]
    assert options["minutes"] == 0.05
    assert checkpoints(run)[-1] == options["steps"] > 1
    assert f"{options['steps']:,} steps fit in 0.05 minutes" in capsys.readouterr().out
    plain = tmp_path / "plain"  # the timing has left no trace
    assert train("gan", plain, "--steps", str(options["steps"])) == 0
    a, b = tensors(run), tensors(plain)
    assert all(torch.equal(a[key], b[key]) for key in a)


def test_steps_are_counted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred steps were planned for 100 seconds; then a step takes 1/20, 1 or 5 seconds, or 1/20 after the half."""
    for seconds, later, expected in ((0.05, 0.05, 1850), (1, 1, 100), (5, 5, 20), (1, 0.05, 970)):
        clock, total, done = 0.0, 100, 0
        monkeypatch.setattr(timing.time, "monotonic", lambda: clock)  # noqa: B023
        plan = timing.Plan(100 / 60, 100.0)
        while done < total:
            done, clock = done + 1, clock + (seconds if done < 50 else later)
            if plan.due(done, total):
                total = plan.total(done, total, stages=(5,))
        assert total == pytest.approx(expected, rel=0.15 if later == seconds else 0.3)
        assert done == total
        assert 50 < clock < 110
    plan = timing.Plan(100 / 60, clock + 100.0)
    # busy for a tenth of its time, twice
    for moment, steps in ((10, 10), (20, 11), (30, 21), (40, 31), (50, 41), (60, 42), (70, 52)):
        clock = plan._ends - 100 + moment
        assert plan.total(steps, 100) == 100, "a machine that was busy for a moment changed the run"
    plan = timing.Plan(100 / 60, clock + 100.0)
    assert plan.due(100, 100)
    assert plan.total(100, 100, stages=(0, 200)) == 100, "the work of a step is about to change"


def test_a_run_whose_timing_was_far_off_fills_its_minutes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(session, "steps_within", lambda *_, **__: timing.Fit(4, 1.0))
    monkeypatch.setattr(timing.Plan, "total", lambda _, done, total, stages: 20 if done == 4 else total)
    run = tmp_path / "run"
    model = [word for word in FAMILIES["gan"] if word not in ("--steps", "200")]
    assert cli.main(["train", *model, "--minutes", "0.03", "--threads", "1", "--out", str(run)]) == 0
    assert config(run)["options"]["steps"] == checkpoints(run)[-1] == 20
    said = capsys.readouterr().out
    assert "step 4: steps take less time than was thought: 20 fit in 0.03 minutes" in said
    assert "done: 20 steps" in said
    assert cli.main(["resume", str(run)]) == 0
    assert "is finished at step 20" in capsys.readouterr().out


# The API


def test_five_lines(tmp_path: Path) -> None:
    small = {"characters": "01", "size": 8, "width": 2, "batch_size": 8, "threads": 1, "quiet": True}
    model = ganarium.train("dcgan", data="glyphs", steps=2, out=tmp_path / "run", **small)
    loaded = ganarium.load(tmp_path / "run")
    images = loaded.sample(70, seed=1)
    assert ganarium.save_grid(images, tmp_path / "digits.png").is_file()
    assert images.shape == (70, 1, 8, 8)
    assert images.dtype == torch.float32
    assert images.abs().max() <= 1
    assert torch.equal(images, model.sample(70, seed=1))
    assert torch.equal(images, loaded.sample(70, seed=1))
    assert not torch.equal(images, loaded.sample(70, seed=2))
    assert not torch.equal(loaded.sample(4), loaded.sample(4))
    assert torch.equal(images[:3], deepcopy(loaded).sample(70, seed=1)[:3])
    further = ganarium.resume(tmp_path / "run", steps=3, quiet=True)
    assert further.iteration == 3
    assert torch.equal(further.sample(2, seed=1), ganarium.load(tmp_path / "run").sample(2, seed=1))


def test_loading_and_sampling_disturb_nothing(ten: Path) -> None:
    torch.manual_seed(4)
    before = torch.get_rng_state()
    model = ganarium.load(ten)
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    assert any("running_mean" in name for name in buffers)
    model.sample(3, seed=1)
    model.sample(3)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(buffer, buffers[name]) for name, buffer in model.named_buffers())
    assert not model.training
    model.train().sample(1)
    assert model.training


def test_a_checkpoint_by_itself(ten: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    alone = shutil.copytree(ten / "checkpoints" / "step-00000010", tmp_path / "model to ship")
    assert torch.equal(ganarium.load(alone).sample(2, seed=1), ganarium.load(ten, raw=True).sample(2, seed=1))
    assert cli.main(["sample", str(alone), "--n", "2"]) == 0
    assert Path(capsys.readouterr().out.strip()).is_relative_to(alone)
    first = ganarium.load(ten / "checkpoints" / "step-00000000")
    assert first.iteration == 0
    inside = shutil.copytree(ten, tmp_path / "run") / "checkpoints" / "step-00000005"
    assert cli.main(["sample", str(inside), "--n", "2"]) == 0
    assert (tmp_path / "run" / "generated").is_dir(), "a checkpoint's own folder goes when it is old"


def test_translate(tmp_path: Path) -> None:
    assert train("cyclegan", tmp_path / "run", "--steps", "1") == 0
    model = ganarium.load(tmp_path / "run")
    tensor = torch.rand(2, 3, 8, 12) * 2 - 1
    assert model.translate(tensor).shape == (2, 3, 8, 12)
    assert torch.equal(model.translate(tensor), model.translate(tensor, direction="a2b"))
    assert model.translate(tensor[0], direction="b2a").shape == (3, 8, 12)
    array = np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8)
    mapped = model.translate(array)
    assert (mapped.shape, mapped.dtype) == ((8, 12, 3), np.uint8)
    picture = model.translate(Image.fromarray(array))
    assert (picture.mode, picture.size) == ("RGB", (12, 8))
    assert np.array_equal(np.asarray(picture), mapped)
    assert model.translate(Image.new("L", (30, 9))).mode == "RGB"
    for bad in (torch.rand(1, 1, 8, 8), array[..., :2], array.astype(float), "picture.png"):
        with pytest.raises(ValueError):
            model.translate(bad)
    with pytest.raises(ValueError, match="a2b, b2a"):
        model.translate(tensor, direction="c")
    with pytest.raises(ValueError, match="translate"):
        model.sample(1)


@pytest.mark.parametrize(
    ("words", "call"),
    [
        ("did you mean dcgan", lambda: ganarium.create("dcgn", shape=(1, 8, 8))),
        ("no option 'widht'.*width", lambda: ganarium.create("dcgan", shape=(1, 8, 8), widht=3)),
        ("a whole number", lambda: ganarium.create("dcgan", shape=(1, 8, 8), width=3.5)),
        ("shape", lambda: ganarium.create("dcgan", shape=(8, 8))),
        ("did you mean steps", lambda: ganarium.train("gan", data="ring", stesp=3)),
        ("a whole number", lambda: ganarium.train("gan", data="ring", steps=3.5)),
        ("above 0", lambda: ganarium.train("gan", data="ring", steps=-1)),
        ("did you mean glyphs", lambda: ganarium.train("gan", data="glyfs")),
        ("no run", lambda: ganarium.load("nowhere")),
        ("no run", lambda: ganarium.resume("nowhere")),
        ("width must be a whole number, not 3.5", lambda: ganarium.create("dcgan", (1, 8, 8), width=np.float64(3.5))),
        ("width must be a whole number, not True", lambda: ganarium.create("dcgan", (1, 8, 8), width=np.bool_(True))),
        ("lr must be a number, not nan", lambda: ganarium.create("dcgan", (1, 8, 8), lr=np.float32("nan"))),
        ("lr must be a number, not array", lambda: ganarium.create("dcgan", (1, 8, 8), lr=np.array([0.1, 0.2]))),
        ("lr must be a number, not array", lambda: ganarium.create("dcgan", (1, 8, 8), lr=np.array(0.1))),
        ("loss must be one of", lambda: ganarium.create("gan", (1, 8, 8), loss=np.array(["minimax", "minimax"]))),
        ("steps must be a whole number, not 3.5", lambda: ganarium.train("gan", "ring", steps=np.float32(3.5))),
        ("minutes must be a number, not nan", lambda: ganarium.train("gan", "ring", minutes=np.float64("nan"))),
        ("steps must be a whole number, not array", lambda: ganarium.train("gan", "ring", steps=np.array([3]))),
    ],
)
def test_value_errors(words: str, call: Callable[[], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=words):
        call()
    assert not any(tmp_path.iterdir())


def test_numbers_of_numpy_are_numbers(tmp_path: Path) -> None:
    run = tmp_path / "run"
    own = {"width": np.int64(16), "latent_dim": np.uint8(8), "lr": np.float32(0.5), "loss": np.str_("minimax")}
    options = {"steps": np.int32(2), "batch_size": np.int64(4), "mirror": np.bool_(False), "seed": np.uint64(2**63 - 1)}
    model = ganarium.train("gan", "ring", out=run, threads=1, evaluate_every=np.int16(0), quiet=True, **own, **options)
    values = dataclasses.asdict(model.config) | json.loads((run / "config.json").read_text())["options"]
    for name, value in {**own, **options}.items():
        assert values[name] == value.item()
        assert type(values[name]) is type(value.item())
    model = ganarium.resume(run, steps=np.int64(3), lr=np.float32(0.25), quiet=True)
    assert model.iteration == 3
    written = json.loads((run / "config.json").read_text())
    assert (written["options"]["steps"], written["model_options"]["lr"]) == (3, 0.25)
    image = ganarium.create("dcgan", (1, 16, 16), width=np.int64(4), lr=np.int64(1))
    assert (type(image.config.width), type(image.config.lr)) == (int, int)
    with pytest.raises(ValueError, match=r"steps must be a whole number, not 4\.5"):
        ganarium.resume(run, steps=np.float64(4.5))


# Pictures


def test_grids(tmp_path: Path) -> None:
    ramp = torch.linspace(-1, 1, 5 * 3 * 4 * 6).view(5, 3, 4, 6)
    sheet = grid.grid(ramp, columns=3)
    factor = sheet.width // (3 * 8 + 2)
    assert sheet.size == (factor * (3 * (6 + 2) + 2), factor * (2 * (4 + 2) + 2))
    assert sheet.mode == "RGB"
    small = np.asarray(sheet)[factor // 2 :: factor, factor // 2 :: factor]
    assert np.array_equal(small[2:6, 2:8], np.asarray(grid.to_picture(ramp[0])))
    assert np.array_equal(small[8:12, 10:16], np.asarray(grid.to_picture(ramp[4])))
    assert (small[8:, 18:] == 255).all(), "the empty place"
    assert grid.grid(ramp[:, :1]).mode == "L"
    for bad in (torch.zeros(0, 3, 4, 4), torch.zeros(4, 2, 4, 4), torch.zeros(4, 4)):
        with pytest.raises(ValueError, match="grid needs"):
            ganarium.save_grid(bad, tmp_path / "bad.png")


def test_slerp() -> None:
    a, b = torch.tensor([[1.0, 0.0], [3.0, 1.0]]), torch.tensor([[0.0, 1.0], [3.0, -1.0]])
    half = latents.slerp(a, b, torch.tensor(0.5))
    assert torch.allclose(half[0], torch.full((2,), 0.5**0.5))
    assert half[1, 0] == 3, "what both have in common stays"
    for share, end in ((0.0, a), (1.0, b)):
        assert torch.allclose(latents.slerp(a, b, torch.tensor(share)), end, atol=1e-6)


def test_a_run_in_training_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from ganarium.runs.lock import alone
    from ganarium.training.session import Run

    run = tmp_path / "run"
    ganarium.train("gan", "ring", steps=4, batch_size=8, out=str(run), quiet=True)
    reopened = Run.reopen(run, steps=8)
    with alone(run):
        with pytest.raises(ganarium.UserError, match="another process"):
            reopened.train(quiet=True)
        with pytest.raises(ganarium.UserError, match="another process"):
            Run.reopen(run, steps=12)
    assert Run.reopen(run, steps=8).train(quiet=True) == 0
