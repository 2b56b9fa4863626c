"""Starting from weights: of every model, of other programs, and held to the result."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch

import ganarium
import other_programs as other
from ganarium import registry
from ganarium.cli.app import main
from ganarium.errors import UserError
from ganarium.runs.loading import load
from ganarium.training.start import Source, _as_typed, in_words, read_source, start_from
from synthetic import ALL, trainer

SMALL = {"width": 4, "num_blocks": 1, "scale": 2, "discriminator_width": 2}
QUIET = {"size": 32, "batch_size": 2, "quiet": True, "threads": 1}


def source_of(model, name: str) -> Source:
    return Source("a run", name, 7, {}, {key: value.clone() for key, value in model.state_dict().items()})


@pytest.mark.parametrize("name", ALL)
def test_every_model_takes_the_weights_of_its_kind(name):
    """All networks, whatever they were drawn as; what is no part of a network stays as it is."""
    (first, second), pools = (trainer(name, seed=seed).model for seed in (0, 1)), []
    networks = {child: part for child, part in second.named_children() if any(True for _ in part.parameters())}
    with torch.no_grad():
        for parameter in first.parameters():
            parameter.add_(0.5)
    pools = {key: value.clone() for key, value in second.state_dict().items() if key.split(".")[0] not in networks}
    record = start_from(second, source_of(first, name))
    assert record["loaded"] == sorted(networks)
    assert not record["anew"]
    now, wanted = second.state_dict(), first.state_dict()
    assert all(torch.equal(now[key], wanted[key]) for key in now if key.split(".")[0] in networks)
    assert all(torch.equal(now[key], value) for key, value in pools.items())
    for child, average in second.averages.items():
        live = getattr(second, child).state_dict()
        assert all(torch.equal(value, live[key]) for key, value in average.state_dict().items())


def test_a_generator_of_another_size_is_refused_with_its_options():
    wide = registry.create("cyclegan", (3, 32, 32), width=8, num_blocks=2)
    model = registry.create("cyclegan", (3, 32, 32), width=4, num_blocks=2)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    source = source_of(wide, "cyclegan")._replace(options={"width": 8, "num_blocks": 2, "lr": 0.1})
    with pytest.raises(UserError, match=r"a2b\.layers\.1\.weight is \(8, 3, 7, 7\) in it .* --width 8\.$"):
        start_from(model, source)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_a_judge_of_another_size_starts_anew_and_is_named():
    small, large = (registry.create("srgan", (3, side, side), **SMALL) for side in (16, 32))
    record = start_from(large, source_of(small, "srgan"))
    assert record["loaded"] == ["generator"]
    assert "discriminator" in record["anew"]
    assert "anew: discriminator (discriminator.classifier.0.weight is (1024, 16) in it" in in_words(record)


def test_another_model_has_nothing_for_it():
    wgan = registry.create("wgan", (3, 16, 16))
    model = registry.create("cyclegan", (3, 16, 16), width=4, num_blocks=1)
    with pytest.raises(UserError, match="a run has nothing for CycleGAN"):
        start_from(model, source_of(wgan, "wgan"))


def test_averaged_weights_are_what_a_training_starts_from(tmp_path):
    small = dataclasses.asdict(registry.module("r3gan").Config.small())
    ganarium.train("r3gan", "glyphs", steps=3, out=tmp_path / "run", **small | QUIET | {"size": 16})
    averaged, source = load(tmp_path / "run"), read_source(str(tmp_path / "run"))
    (average,) = averaged.averages.values()
    averages = average.state_dict()
    assert all(torch.equal(source.tensors[f"generator.{key}"], value) for key, value in averages.items())
    live = load(tmp_path / "run", raw=True).generator.state_dict()
    assert any(not torch.equal(live[key], value) for key, value in averages.items())


def train(start: Path | str, out: Path, **options):
    settings = QUIET | {"steps": 4, "out": out, "init_from": start, "num_pretraining_steps": 100} | SMALL | options
    return ganarium.train("srgan", "textures", **settings)


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "first"
    settings = QUIET | {"steps": 60, "out": folder, "num_pretraining_steps": 100, "lr": 3e-3, "evaluate_every": 60}
    ganarium.train("srgan", "textures", **settings | SMALL)
    return folder


def test_a_better_result_is_said_to_be_better(first, tmp_path, capsys):
    capsys.readouterr()
    train(first, tmp_path / "second", steps=60, lr=3e-3, quiet=False)
    said = capsys.readouterr().out
    assert f"starts from {first} (srgan, step 60): discriminator, generator" in said
    assert "\nbetter than the start: mean_absolute_error" in said
    config = json.loads((tmp_path / "second" / "config.json").read_text())
    assert config["start"]["step"] == 60
    assert config["options"]["init_from"] == str(first)
    rows = [json.loads(line) for line in (tmp_path / "second" / "evaluations.jsonl").read_text().splitlines()]
    assert (rows[0]["step"], rows[-1]["step"]) == (0, 60)
    assert rows[0]["values"] == load_values(first)
    assert json.loads((tmp_path / "second" / "best.json").read_text())["step"] > 0


def load_values(run: Path) -> dict:
    """The last evaluation of a run, which its successor starts with."""
    return json.loads((run / "evaluations.jsonl").read_text().splitlines()[-1])["values"]


def test_a_worse_result_leaves_the_start_as_the_best(first, tmp_path, capsys):
    capsys.readouterr()
    train(first, tmp_path / "worse", lr=3.0, keep=1, quiet=False)
    said = capsys.readouterr().out
    assert "\nnot better than the start: mean_absolute_error" in said
    best = tmp_path / "worse" / "checkpoints" / "step-00000000"
    assert f"; the best checkpoint, which is loaded, is {best}" in said
    image = torch.zeros(1, 3, 16, 16)
    start, given = load(first), train(first, tmp_path / "again", lr=3.0)
    for kept in (load(best), load(tmp_path / "worse"), given):
        assert torch.equal(start.upscale(image), kept.upscale(image))
    last = load(tmp_path / "worse" / "checkpoints" / "step-00000004")
    assert not torch.equal(start.upscale(image), last.upscale(image))
    resumed = ganarium.resume(tmp_path / "worse", steps=5, quiet=True)  # goes on from the last step
    assert (tmp_path / "worse" / "checkpoints" / "step-00000005").is_dir()
    assert torch.equal(start.upscale(image), resumed.upscale(image))


def test_a_run_that_started_anew_is_loaded_at_its_last_step(tmp_path):
    settings = QUIET | {"steps": 4, "num_pretraining_steps": 2, "lr": 1e-3, "evaluate_every": 1, "save_every": 1}
    ganarium.train("srgan", "textures", out=tmp_path / "run", **settings | SMALL)
    (tmp_path / "run" / "best.json").write_text(json.dumps({"step": 1}))
    assert load(tmp_path / "run").iteration == 4


def test_a_run_without_evaluations_is_not_held_to_its_start(first, tmp_path, capsys):
    train(first, tmp_path / "run", evaluate_every=0)
    assert not (tmp_path / "run" / "evaluations.jsonl").exists()


def test_files_of_other_programs_and_what_import_makes_of_them(here, capsys):
    torch.save(other.resnet()[0], "latest_net_G.pth")
    assert main(["import", "latest_net_G.pth", "--out", "theirs"]) == 0
    for start in ("latest_net_G.pth", "theirs"):
        out = f"run-{Path(start).stem}"
        words = ["train", "cyclegan", "--data", "scenes_unpaired", "--width", "4", "--num-blocks", "2", "--steps", "1"]
        assert main([*words, "--batch-size", "1", "--init-from", start, "--out", out, "--lr", "1e-9"]) == 0
        begun = load(f"{out}/checkpoints/step-00000000").a2b.state_dict()
        assert all(torch.equal(value, begun[key]) for key, value in load("theirs").a2b.state_dict().items())
    said = capsys.readouterr().out
    assert "a2b; anew: b2a (not in it)" in said
    words[5] = "8"
    assert main([*words, "--init-from", "theirs", "--out", "x"]) == 2
    assert "--width 4" in capsys.readouterr().err
    assert [_as_typed("width", 4), _as_typed("augment", True), _as_typed("augment", False)] == [
        "--width 4",
        "--augment",
        "--no-augment",
    ]
    assert main([*words, "--init-from", "nowhere", "--out", "x"]) == 2
    assert not Path("x").exists()
