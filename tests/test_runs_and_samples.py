"""Daily use: what became of a run, the list of runs, room on the disk, and the pictures that a run is asked for."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from rich.text import Text
from torch import Tensor, nn

import ganarium
from ganarium import cli, streams
from ganarium.cli.sample import parse_code_sum
from ganarium.errors import UserError
from ganarium.model import Model, Prior
from ganarium.pictures import animation, latents
from ganarium.pictures import grid as pictures
from ganarium.runs.checkpoint import best_step
from ganarium.runs.listing import Summary, disk_use, summary_of
from ganarium.runs.lock import alone, running
from synthetic import trainer

POINTS = {"data": "ring", "width": 8, "batch_size": 8, "threads": 1, "quiet": True}
GLYPHS = ["--data", "glyphs", "--characters", "01", "--size", "8", "--batch-size", "8", "--threads", "1"]
TINY = {
    "gan": ["gan", "--data", "ring", "--batch-size", "8", "--threads", "1"],
    "dcgan": ["dcgan", *GLYPHS, "--width", "2"],
    "infogan": ["infogan", *GLYPHS],
    "pixelrnn": ["pixelrnn", *GLYPHS, "--num-blocks", "1"],
    "cyclegan": ["cyclegan", "--data", "scenes_unpaired", "--size", "8", "--width", "2", "--num-blocks", "0"],
}


@pytest.fixture(scope="module")
def trained(own_cache: None, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A finished run of two steps of a model, made once, in a folder with a space in its name."""
    made: dict[str, Path] = {}

    def once(name: str) -> Path:
        if name not in made:
            folder = tmp_path_factory.mktemp("my runs") / name
            assert cli.main(["train", *TINY[name], "--steps", "2", "--out", str(folder)]) == 0
            made[name] = folder
        return made[name]

    return once


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run of points with checkpoints at 0, 2, 4, 6 and 8."""
    folder = tmp_path / "runs" / "mine"
    ganarium.train("gan", out=folder, steps=8, save_every=2, keep=9, log_every=2, **POINTS)
    return folder


def steps(run: Path) -> list[int]:
    return sorted(int(path.name.removeprefix("step-")) for path in (run / "checkpoints").glob("step-*"))


def tear(run: Path, step: int) -> None:
    """Cuts the weights of a checkpoint short."""
    weights = run / "checkpoints" / f"step-{step:08d}" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])


def state(run: Path) -> Any:
    return json.loads((run / "state.json").read_text())


def look(run: Path) -> Summary:
    return summary_of(run, run.name)


def said(arguments: list[str], capsys: pytest.CaptureFixture[str], code: int = 0) -> list[str]:
    """The lines of a command, or of what it says when it is refused."""
    capsys.readouterr()
    assert cli.main(arguments) == code
    heard = capsys.readouterr()
    return (heard.err if code else heard.out).splitlines()


def refused(words: str, arguments: list[str], capsys: pytest.CaptureFixture[str], code: int = 2) -> None:
    before = sorted(Path().rglob("*"))
    (line,) = said(arguments, capsys, code)
    for part in words.split("..."):
        assert part.strip() in line, line
    assert sorted(Path().rglob("*")) == before, "something was left behind"


# What became of a run


def test_a_finished_run_says_so_and_its_seconds_add_up(run: Path) -> None:
    first = state(run)
    assert first["state"] == "finished"
    assert first["step"] == 8
    assert first["reason"] is None
    assert 0 < first["seconds"] < 100
    (run / "state.json").write_text(json.dumps(first | {"seconds": 1000.0}))
    ganarium.resume(run, steps=12, quiet=True)
    second = state(run)
    assert second["step"] == 12
    assert 1000 < second["seconds"] < 1100
    logged = [json.loads(line)["seconds"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert logged == sorted(logged), "the time in the metrics goes on too"
    assert logged[-1] > 1000
    summary = look(run)
    assert (summary.state, summary.step, summary.total) == ("finished", 12, 12)
    assert summary.terms.keys() == {"D/real", "D/fake", "G/adversarial"}
    assert summary.size == sum(file.stat().st_size for file in run.rglob("*") if file.is_file())
    assert not list((run / "checkpoints").glob(".*"))


def test_a_diverged_run_has_failed_and_says_why(tmp_path: Path) -> None:
    with pytest.raises(ganarium.RunError) as caught:
        ganarium.train("gan", out=tmp_path / "run", steps=200, lr=1e12, **POINTS)
    assert state(tmp_path / "run")["state"] == "failed"
    assert state(tmp_path / "run")["reason"] == str(caught.value)
    summary = look(tmp_path / "run")
    assert summary.state == "failed"
    assert summary.reason == str(caught.value)


def test_any_error_of_training_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("division\nby zero")

    monkeypatch.setattr(pictures, "save_grid", broken)
    with pytest.raises(ZeroDivisionError):
        ganarium.train("gan", out=tmp_path / "run", steps=2, **POINTS)
    assert state(tmp_path / "run") | {"seconds": 0} == {
        "state": "failed",
        "step": 0,
        "seconds": 0,
        "reason": "division by zero",
    }


def started(folder: Path) -> subprocess.Popen[bytes]:
    """An endless run of points in a process of its own, past its first lines of metrics."""
    command = [sys.executable, "-m", "ganarium", "train", *TINY["gan"], "--steps", "1000000", "--log-every", "2"]
    process = subprocess.Popen([*command, "--save-every", "50", "--out", str(folder)], stdout=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while not (folder / "checkpoints" / "step-00000050").exists() or look(folder).step < 50:
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.01)
    return process


def test_running_stopped_killed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    process = started(run)
    assert look(run).state == "running"
    assert look(run).seconds > 0
    assert "being trained by another process" in said(["clean", str(run)], capsys, 2)[0]
    os.kill(process.pid, signal.SIGTERM)
    process.wait(30)
    assert state(run)["state"] == "stopped"
    assert state(run)["reason"] == "SIGTERM"
    assert look(run).state == "stopped"
    assert look(run).step == steps(run)[-1]

    killed = tmp_path / "killed"
    process = started(killed)
    process.kill()
    process.wait(30)
    assert not (killed / "state.json").exists()
    assert look(killed).state == "stopped"
    assert look(killed).step == steps(killed)[-1], "what was done after the last checkpoint is lost"


def test_a_state_that_is_out_of_date_is_not_believed(run: Path) -> None:
    config = json.loads((run / "config.json").read_text())
    config["options"]["steps"] = 20  # it was extended, and killed before the next checkpoint
    (run / "config.json").write_text(json.dumps(config))
    assert look(run).state == "stopped"
    (run / "state.json").write_text(json.dumps({"state": "failed", "step": 3, "seconds": 1, "reason": "no"}))
    assert (look(run).state, look(run).step, look(run).reason) == ("stopped", 8, ""), "a checkpoint is newer"
    (run / "state.json").write_text(json.dumps({"state": "failed", "step": 9, "seconds": 1, "reason": "no"}))
    assert (look(run).state, look(run).step, look(run).reason) == ("failed", 9, "no")
    (run / "state.json").write_text("{")
    assert look(run).state == "stopped"
    config["options"]["steps"] = 8  # killed after the last checkpoint, before the state was written
    (run / "config.json").write_text(json.dumps(config))
    assert look(run).state == "finished"


# ganarium runs


def test_runs_needs_no_torch(run: Path) -> None:
    code = (
        "import sys\nfrom ganarium.cli import main\n"
        f"assert main(['runs', {str(run.parent)!r}]) == 0\n"
        "print(sorted({'torch', 'numpy', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "finished" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_list_of_runs(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run.parent
    nested = shutil.copytree(run, folder / "more" / "nested")
    shutil.copytree(run, folder / "more" / "deep" / "too deep")
    (folder / "bad").mkdir()
    (folder / "bad" / "config.json").write_text('{"format": 1')
    for number, which in enumerate((folder / "bad", nested, run)):
        for file in which.glob("*.json*"):
            os.utime(file, (number, number))
    header, bad, second, last, total = said(["runs", str(folder)], capsys)
    assert header.split() == ["name", "model", "data", "steps", "time", "steps/s", "size", "state"]
    assert bad.split(maxsplit=1) == ["bad", "config.json cannot be read: it is no complete config of a run"]
    assert second.startswith("more/nested  gan")
    assert last.split()[:4] == ["mine", "gan", "ring", "8/8"]
    assert "  finished  D/real 0." in last
    assert last.index("finished") == second.index("finished") == header.index("state")
    assert total.startswith("3 runs, ")
    assert said(["runs", str(run)], capsys)[1].startswith("mine"), "a run by itself"


def test_the_list_fits_a_terminal(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(run, run.parent / ("a-very-long-name-of-a-run-that-somebody-gave-to-it" * 2))
    lines = said(["runs", str(run.parent)], capsys)
    assert all("\x1b" not in line for line in lines)
    assert max(map(len, lines)) > 130, "whole, where there is no terminal"
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("FORCE_COLOR", "1")
    coloured = said(["runs", str(run.parent)], capsys)
    plain = [Text.from_ansi(line).plain for line in coloured]
    assert coloured != plain
    assert max(map(len, plain)) <= 80
    assert sum("finished" in line for line in plain) == 2
    assert sum("8/8" in line for line in plain) == 2
    assert sum(line.startswith("    D/real") for line in plain) == 2, "the terms below"


def test_no_runs(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "`ganarium train" in said(["runs"], capsys)[0]
    Path("empty").mkdir()
    assert "no runs in empty yet" in said(["runs", "empty"], capsys)[0]
    refused("no folder nowhere", ["runs", "nowhere"], capsys)


# ganarium clean, and the best checkpoint


def test_clean_keeps_the_last_and_the_best(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = shutil.copytree(run, run.with_name("plain"))
    (run / "best.json").write_text(json.dumps({"step": 2, "score": 0.5}))
    for folder in (run, plain):
        (folder / "checkpoints" / ".writing-step-00000006").mkdir()
        (folder / "checkpoints" / ".writing-config.json").write_text("{")
    pictures_before = sorted((run / "samples").iterdir())
    before = disk_use(run)
    dry = said(["clean", str(run), "--dry-run"], capsys)
    assert "would remove step-00000000, step-00000004, step-00000006" in dry[0]
    assert disk_use(run) == before
    lines = said(["clean", str(run), str(plain), str(run)], capsys)
    assert len(lines) == 3, "a run that is named twice is cleaned once"
    assert steps(run) == [2, 8]
    assert steps(plain) == [8], "of the same age, but not the best"
    assert "freed" in lines[-1]
    assert disk_use(run) < before
    assert sorted((run / "samples").iterdir()) == pictures_before
    assert (run / "metrics.jsonl").exists()
    assert not list((run / "checkpoints").glob(".*"))
    assert "nothing to remove" in said(["clean", str(run)], capsys)[0]
    assert ganarium.load(run).iteration == 8


def test_clean_never_takes_the_only_complete_one(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "best.json").write_text('{"step": 6}')
    for step in (8, 6):
        tear(run, step)
    assert cli.main(["clean", str(run)]) == 0
    assert steps(run) == [4], "the torn ones go, and a torn best one too"
    tear(run, 4)
    assert "no complete checkpoint" in said(["clean", str(run)], capsys, 2)[0]
    assert steps(run) == [4]


def test_clean_removes_nothing_if_one_of_the_runs_cannot_be_cleaned(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = shutil.copytree(run, run.with_name("other"))
    with alone(other):
        assert running(other)
        assert "other is being trained" in said(["clean", str(run), str(other)], capsys, 2)[0]
    assert not running(other)
    assert "is no run" in said(["clean", str(run), str(tmp_path)], capsys, 2)[0]
    assert steps(run) == steps(other) == [0, 2, 4, 6, 8]


def test_a_look_at_the_moment_of_a_start_keeps_nobody_out(run: Path) -> None:
    import fcntl

    handle = os.open(run / "checkpoints", os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_SH)
    with pytest.raises(UserError, match="another process"), alone(run):  # who stays is no passer-by
        pass
    moment = threading.Timer(0.02, os.close, [handle])
    moment.start()
    with alone(run):
        pass
    moment.join()


def test_training_never_removes_the_best(tmp_path: Path) -> None:
    best, plain = tmp_path / "best", tmp_path / "plain"
    ganarium.train("gan", out=best, steps=2, save_every=1, keep=2, **POINTS)
    shutil.copytree(best, plain)
    (best / "best.json").write_text('{"step": 1}')
    for folder in (best, plain):
        ganarium.resume(folder, steps=5, quiet=True)
    assert steps(best) == [1, 4, 5]
    assert steps(plain) == [4, 5]
    (best / "best.json").write_text("[]")
    assert best_step(best) == -1


# Streams of samples


class Drifting(Model):
    """Takes labels, and in the mode "train" a buffer moves with every forward, as in spectral norm."""

    def __init__(self, mode: str = "train") -> None:
        super().__init__(None, (1, 4, 4), 3)
        self.weight, self.sample_mode = nn.Parameter(torch.ones(())), mode
        self.prior, self.conditional = Prior(16), True
        self.calls = 0
        self.register_buffer("moved", torch.zeros(()))

    def generate(self, n: int, latent: Tensor | None = None, label: Tensor | None = None) -> Tensor:
        self.calls += 1
        code = self.latent(n) if latent is None else latent
        label = torch.randint(3, (n,)) if label is None else label
        if self.training:
            self.moved += 0.01
        return (self.weight * 0.05 * code.view(n, 1, 4, 4) + 0.5 * (label.view(n, 1, 1, 1) - 1) + self.moved).tanh()


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_a_stream_is_one_long_sample(mode: str) -> None:
    model = Drifting(mode)
    with streams.undisturbed(model, 5, mode):  # all in one region
        sizes = (64, 64, 64)
        whole = torch.cat([model.generate(size) for size in sizes])[:130]
    state_before, parts = torch.get_rng_state(), []
    for part in streams.samples(model, 130, seed=5):
        assert torch.equal(torch.get_rng_state(), state_before)
        assert float(model.moved) == 0
        assert model.training
        torch.randn(3)  # whoever takes the parts may draw
        torch.set_rng_state(state_before)
        parts.append(part)
    assert [len(part) for part in parts] == [64, 64, 2]
    assert torch.equal(torch.cat(parts), whole)
    assert torch.equal(model.sample(130, seed=5), whole)
    assert not torch.equal(parts[0], parts[1])
    if mode == "train":  # without the place the buffer would begin anew
        with streams.undisturbed(model, 5, mode):
            model.generate(64)
            model.moved.zero_()
            assert not torch.equal(model.generate(64), whole[64:128])


def test_a_stream_makes_only_what_is_asked_for() -> None:
    model = Drifting()
    stream = streams.samples(model, 10**12, seed=0)
    assert model.calls == 0
    next(stream)
    next(stream)
    assert model.calls == 2
    for bad in ({"n": 0}, {"n": 4, "seed": -1}, {"n": 4, "code": 3}):
        with pytest.raises(UserError):
            streams.samples(model, **bad)  # at once, not at the first part


def test_many_files(trained: Callable[[str], Path], here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = trained("dcgan")
    lines = said(["sample", str(folder), "--n", "300", "--seed", "2", "--files", "--out", "out"], capsys)
    assert lines == ["out/grid-seed2.png", "out/seed2"]
    images = ganarium.load(folder).sample(300, seed=2)
    files = sorted(Path("out/seed2").iterdir())
    assert len(files) == 300
    for place in (0, 63, 64, 299):
        assert np.array_equal(Image.open(files[place]), pictures.to_picture(images[place]))
    assert np.array_equal(Image.open("out/grid-seed2.png"), pictures.grid(images[:256]))
    Path("out/seed2/mine.png").write_text("keep")
    said(["sample", str(folder), "--n", "3", "--seed", "2", "--files", "--out", "out"], capsys)
    names = ["00000.png", "00001.png", "00002.png", "mine.png"]
    assert sorted(path.name for path in Path("out/seed2").iterdir()) == names
    assert sorted(path.name for path in Path("out").iterdir()) == ["grid-seed2.png", "seed2"]


def test_a_large_grid_says_what_it_leaves_out(
    trained: Callable[[str], Path], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["sample", str(trained("dcgan")), "--n", "257", "--out", "out"]) == 0
    assert "first 256 of 257" in capsys.readouterr().err
    assert cli.main(["sample", str(trained("dcgan")), "--n", "256", "--out", "out"]) == 0
    assert capsys.readouterr().err == ""
    assert cli.main(["sample", str(trained("gan")), "--n", "2100", "--files", "--out", "out"]) == 0
    assert np.array_equal(np.load("out/points-seed0.npy"), ganarium.load(trained("gan")).sample(2100, seed=0).numpy())


def test_files_are_written_whole_or_not_at_all(
    trained: Callable[[str], Path], here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = ["sample", str(trained("dcgan")), "--files", "--out", "out"]
    assert cli.main([*sample, "--n", "4"]) == 0
    real, calls = pictures.to_picture, []

    def full(image: Tensor) -> Image.Image:
        calls.append(image)
        if len(calls) > 70:
            raise OSError(28, "No space left on device", "out")
        return real(image)

    monkeypatch.setattr("ganarium.cli.sample_files.to_picture", full)
    refused("No space left", [*sample, "--n", "100"], capsys, 1)
    assert len(list(Path("out/seed0").iterdir())) == 4


def test_more_files_than_the_disk_takes(
    trained: Callable[[str], Path], here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 0, 10**6))  # type: ignore[attr-defined]
    folder = str(trained("dcgan"))
    assert cli.main(["sample", folder, "--n", "200", "--files"]) == 0
    refused("300 files ... are free at", ["sample", folder, "--n", "300", "--files"], capsys)
    refused("at most 1000000 at once", ["sample", folder, "--n", "1000001"], capsys)


# Walks


def test_a_film(trained: Callable[[str], Path], here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    av = pytest.importorskip("av")
    gif, film = said(["sample", str(trained("dcgan")), "--gif", "--mp4", "--out", "out"], capsys)[1:]
    with av.open(film) as file:
        stream = file.streams.video[0]
        assert stream.codec_context.pix_fmt == "yuv420p"
        frames = [frame.to_image() for frame in file.decode(stream)]
    first = Image.open(gif)
    assert len(frames) == getattr(first, "n_frames", 1)
    assert frames[0].size == first.size
    assert np.abs(np.asarray(frames[0], float) - np.asarray(first.convert("RGB"), float)).mean() < 8
    odd = [Image.new(mode, (11, 7), colour) for mode, colour in (("L", 0), ("RGBA", (0, 0, 0, 0)))]
    with av.open(animation.save_mp4(odd, here / "odd.mp4")) as file:
        dark, white = [np.asarray(frame.to_image()) for frame in file.decode(video=0)]
    assert dark.shape == white.shape == (8, 12, 3)
    assert dark[:6, :10].max() < 40
    assert white.min() > 215, "what is transparent is white"


def test_no_film_without_the_package(
    trained: Callable[[str], Path], here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    folder = str(trained("dcgan"))
    refused("pip install av ... --gif needs nothing", ["sample", folder, "--mp4", "--out", "out"], capsys)
    assert cli.main(["sample", folder, "--gif", "--out", "out"]) == 0


# Classes


def tiles(picture: Image.Image, columns: int, rows: int, side: int) -> np.ndarray:
    """The images of a grid of square ones: (rows, columns, side, side)."""
    factor = picture.width // (columns * (side + 2) + 2)
    small = np.asarray(picture)[factor // 2 :: factor, factor // 2 :: factor]
    cut = small[2:, 2:].reshape(rows, side + 2, columns, side + 2)[:, :side, :, :side]
    return cut.transpose(0, 2, 1, 3)


def test_rows_of_classes() -> None:
    model = Drifting("eval")
    assert streams.classes(model) == ("label", 3)
    sheet = tiles(latents.class_grid(model, seed=4), 10, 3, 4).astype(float)
    assert (np.diff(sheet.mean((1, 2, 3))) > 40).all(), "each row is its class"
    pattern = np.arctanh(sheet / 127.5 - 1) / 0.05 - (np.arange(3) - 1)[:, None, None, None] * 10
    assert np.abs(pattern - pattern[:1]).max() < 0.5, "the noise is the same down a column"
    assert np.abs(pattern[:, 1:] - pattern[:, :-1]).mean() > 0.5, "and another in the next"


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_a_walk_keeps_its_class(mode: str) -> None:
    """To the one that is asked for, or each of the four to one of its own: of three classes, all are seen."""

    def brightness(**given: Any) -> Tensor:
        model = Drifting(mode)
        return latents.walk(model, stops=3, frames=5, seed=2, **given).atanh().mean((2, 3, 4))  # (steps, walks)

    held = brightness().div(0.5).round() + 1  # codes and drift move it by less than 0.25
    assert torch.equal(held, held[:1].expand(15, 4))
    assert sorted(set(held[0].tolist())) == [0, 1, 2]
    assert torch.equal(brightness(label=2).div(0.5).round() + 1, torch.full((15, 4), 2.0))
    assert torch.equal(brightness(), brightness()), "the seed decides"


def test_rows_of_categories(
    trained: Callable[[str], Path], here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = trained("infogan")
    model = ganarium.load(folder)
    assert streams.classes(model) == ("code", 10)
    seen: list[Tensor] = []
    generate = model.generate
    monkeypatch.setattr(model, "generate", lambda n, latent: (seen.append(latent), generate(n, latent))[1])
    picture = latents.class_grid(model, seed=7)
    codes = torch.stack(seen)[:, :10]  # (10 rows, 10 columns of a part of 64, 62 + 10 + 2)
    assert torch.equal(codes[:, :, 62:72].argmax(2), torch.arange(10)[:, None].expand(10, 10))
    rest = torch.cat([codes[:, :, :62], codes[:, :, 72:]], 2)
    assert torch.equal(rest, rest[:1].expand_as(rest))
    assert not torch.equal(rest[:, 0], rest[:, 1])
    line = said(["sample", str(folder), "--classes", "--seed", "7", "--out", "out"], capsys)[1]
    assert line == "out/classes-seed7.png"
    assert np.array_equal(Image.open(line), picture)
    shutil.rmtree("out")
    refused("leave --label and --code away", ["sample", str(folder), "--classes", "--code", "3"], capsys)
    refused("no class and no code", ["sample", str(trained("dcgan")), "--classes"], capsys)
    refused("leave --classes away", ["sample", str(trained("gan")), "--classes"], capsys)


def test_traversals_of_a_code(
    trained: Callable[[str], Path], here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = trained("infogan")
    model = ganarium.load(folder)
    assert model.code.continuous == 2
    assert ganarium.load(trained("dcgan")).code is None
    seen: list[Tensor] = []
    generate = model.generate
    monkeypatch.setattr(model, "generate", lambda n, latent: (seen.append(latent), generate(n, latent))[1])
    sheets = latents.traversals(model, seed=7, columns=5)
    codes = torch.stack(torch.cat(seen).chunk(2))[:, :50].reshape(2, 10, 5, -1)  # continuous number, category, column
    assert torch.equal(codes[..., 62:72].argmax(3), torch.arange(10)[:, None].expand(2, 10, 5))
    assert torch.equal(codes[..., :62], codes[:1, :1, :1, :62].expand(2, 10, 5, 62)), "the same noise everywhere"
    steps = torch.tensor([-2.0, -1, 0, 1, 2]).expand(10, 5)
    for number in (0, 1):
        assert torch.equal(codes[number, :, :, 72 + number], steps)
        assert not codes[number, :, :, 73 - number].any(), "the other number stays at 0"
    assert len(sheets) == 2
    lines = said(["sample", str(folder), "--traverse", "--seed", "7", "--out", "out"], capsys)[1:]
    assert lines == ["out/traversal1-seed7.png", "out/traversal2-seed7.png"]
    assert np.array_equal(Image.open(lines[1]), latents.traversals(model, seed=7)[1])
    shutil.rmtree("out")
    refused("leave --label and --code away", ["sample", str(folder), "--traverse", "--code", "3"], capsys)
    refused("no continuous code", ["sample", str(trained("dcgan")), "--traverse"], capsys)


# Sums of codes


def test_sums_of_codes_are_arithmetic() -> None:
    codes = torch.randn(30, 7)
    _, total = latents.code_sum(codes, parse_code_sum("3,4 - 3,4 + 20"))
    assert torch.equal(total, codes[20]), "a - a + b = b"
    means, total = latents.code_sum(codes, parse_code_sum("1,7,12 - 3,5 + 20"))
    assert torch.allclose(total, codes[[1, 7, 12]].mean(0) - codes[[3, 5]].mean(0) + codes[20])
    assert torch.equal(means[2], codes[20])
    (_, total), (_, difference) = (latents.code_sum(codes, parse_code_sum(text)) for text in ("1+2", "1-2"))
    assert not torch.equal(total, difference)


@pytest.mark.parametrize("name", ["gan", "dcgan", "infogan"])
def test_codes_are_traced_to_their_places(name: str) -> None:
    model = trainer(name).model
    given = {"code": [3, 0.5]} if name == "infogan" else {}
    images, codes = streams.traced(model, 100, 70, seed=3, **given)
    assert torch.equal(images, model.sample(100, seed=3, **given)[:70])
    model.sample_mode = "eval"  # else the batch decides too
    images, codes = streams.traced(model, 100, 70, seed=3, **given)
    assert len(images) == len(codes) == 70
    assert torch.allclose(model.sample(70, seed=9, latent=codes), images, atol=1e-6)
    assert not torch.allclose(model.sample(70, seed=9, latent=codes.roll(1, 0)), images, atol=1e-3)
    assert "latent" not in vars(model)


def test_what_has_no_one_code_a_sample_is_refused() -> None:
    class Twice(Drifting):
        def generate(self, n: int, latent: Tensor | None = None, label: Tensor | None = None) -> Tensor:
            return super().generate(n, self.latent(n) + self.latent(n), label)

    with pytest.raises(UserError, match="from one code"):
        streams.traced(Twice(), 8, 8, seed=0)
    with pytest.raises(UserError, match="no latent codes"):
        streams.traced(trainer("pixelrnn").model, 8, 8, seed=0)


def test_a_sum_of_codes_is_within_a_class() -> None:
    with pytest.raises(UserError, match="give a label"):
        latents.arithmetic(Drifting("eval"), parse_code_sum("1 - 2"))
    assert not trainer("dcgan").model.conditional
    assert not trainer("infogan").model.conditional


def test_the_picture_of_a_sum() -> None:
    model = Drifting("eval")
    with torch.no_grad():
        model.weight.fill_(10.0)
    groups = parse_code_sum("2,5 - 5 + 9")
    picture = np.asarray(latents.arithmetic(model, groups, n=16, seed=1, label=1))
    images, codes = streams.traced(model, 16, 16, seed=1, label=1)
    means, total = latents.code_sum(codes, groups)
    factor = picture.shape[0] // (3 * 6 + 4 + 2)  # two samples and their mean, 4 apart
    small = picture[factor // 2 :: factor, factor // 2 :: factor]
    assert small.shape == (24, 3 * (4 + 10) + 3 * 6 + 2)

    def made(code: Tensor) -> np.ndarray:
        return np.asarray(pictures.to_picture(model.sample(1, latent=code[None], label=1)[0]))

    def column(x: int, *expected: np.ndarray) -> None:
        actual = [small[y : y + 4, x : x + 4] for y in (2, 8, 18)][3 - len(expected) :]
        assert all(np.array_equal(a, b) for a, b in zip(actual, expected, strict=True))

    sample = [np.asarray(pictures.to_picture(image)) for image in images]
    assert not np.array_equal(sample[2], sample[5])
    column(2, sample[2], sample[5], made(means[0]))
    column(16, sample[5], made(means[1]))
    column(30, sample[9], made(means[2]))
    block = small[-18:, -18:].reshape(3, 6, 3, 6)[:, :4, :, :4].transpose(0, 2, 1, 3)
    assert np.array_equal(block[1, 1], made(total)), "the result is in the middle"
    for place in range(9):
        noise = np.arctanh(block[place // 3, place % 3].clip(1, 254) / 127.5 - 1) / 0.5 - total.view(4, 4).numpy()
        seen = block[place // 3, place % 3]
        noise = noise[(seen > 40) & (seen < 215)]  # elsewhere tanh hides it
        assert np.abs(noise).max() < (0.27 if place != 4 else 0.05)
        assert np.abs(noise).max() > 0.1 or place == 4


@pytest.mark.parametrize("text", ["", "1,,2", "1 -", "- 1", "1 2", "1 + + 2", "a", "1.5", "1,-2", "²"])
def test_what_is_no_sum_of_codes(
    text: str, trained: Callable[[str], Path], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused("such as '1,7,12 - 3,5 + 20'", ["sample", str(trained("dcgan")), f"--arithmetic={text}"], capsys)


def test_sums_from_the_command_line(
    trained: Callable[[str], Path], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dcgan = str(trained("dcgan"))
    lines = said(["sample", dcgan, "--n", "9", "--arithmetic", "1,2 - 3 + 8", "--out", "out"], capsys)
    assert lines == ["out/grid-seed0.png", "out/arithmetic-seed0-1_2-3+8.png"]
    shutil.rmtree("out")
    for text, words in (("1,9", "no place 9 among 9 ... 0 to 8"), ("8,64 - 1", "no place 64")):
        refused(words, ["sample", dcgan, "--n", "9", "--arithmetic", text], capsys)
    refused("leave --arithmetic away", ["sample", str(trained("gan")), "--arithmetic", "1"], capsys)
    refused("needs latent codes", ["sample", str(trained("pixelrnn")), "--arithmetic", "1"], capsys)


# The end of training


@pytest.mark.parametrize("name", TINY)
def test_the_commands_to_try_next_work(name: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(["train", *TINY[name], "--steps", "1", "--out", "my runs/it's one"], capsys)
    place = lines.index("next:")
    assert "  samples   my runs/it's one/samples/step-00000001.png" in lines[:place]
    Image.effect_noise((9, 9), 80).convert("RGB").save("PICTURE.png")
    commands = [shlex.split(line) for line in lines[place + 1 :]]
    look = "translate" if name == "cyclegan" else "sample"
    more = ["complete"] if name == "pixelrnn" else []
    assert [command[1] for command in commands] == [look, *more, "evaluate", "resume", "runs"]
    commands[-3] += ["--n", "150", "--device", "cpu"]  # fewer, for the test
    for command in commands:
        assert command[0] == "ganarium"
        assert cli.main(command[1:]) == 0, command
    assert "it's one" in capsys.readouterr().out.splitlines()[-2]
