"""The memory of a model that grows, counted before a run begins, and runs that will not fit."""

import pytest
import torch

from ganarium import cli, registry
from ganarium.data.dataset import Images
from ganarium.training import memory
from synthetic import refused

OPTIONS = {"width": 6, "latent_dim": 8, "stable_images": 32, "fading_images": 32, "group_size": 2}


# whose batches are the larger, the smaller the images
STYLES = OPTIONS | {"first_size": 4, "mapping_layers": 2, "stable_images": 256, "fading_images": 256}


def model(size=16, name="progan"):
    return registry.create(name, (3, size, size), **(OPTIONS if name == "progan" else STYLES))


def test_tensors_count_while_they_live_and_views_do_not():
    with memory.Live() as live:
        a = torch.zeros(1000)
        b = a.view(10, 100)
        c = b + 1
        assert live.now == live.peak == 8000
        del a, b
        assert live.now == 4000
        d = c[:5] * 2
        assert (live.now, live.peak) == (6000, 8000)
        del c, d
    assert (live.now, live.peak) == (0, 8000)


@pytest.mark.parametrize("name", ["progan", "stylegan"])
def test_without_values_as_much_is_counted_as_with_them(name):
    made = model(8, name)
    start = next(iteration for iteration, side in made.resolutions.items() if side == 8)

    class Real(memory.Nothing):
        def draw(self, n):
            return Images(torch.zeros(n, *self.shape))

    real = memory.Nothing
    try:
        memory.Nothing = Real
        with_values, moved = memory._step(made, start, 16)
    finally:
        memory.Nothing = real
    assert moved == {"D8", "G8"}
    fake = {need.side: need.bytes for need in memory.needs(made, 16, steps=100, device="cuda")}
    assert fake[8] / memory.RESERVE - memory._held(made, {"D4", "G4", "D8", "G8"}) == pytest.approx(
        with_values, rel=0.02
    )


def test_larger_images_and_batches_need_more():
    actual = memory.needs(model(), 16, steps=100, device="cuda")
    assert [(need.iteration, need.side) for need in actual] == [(0, 4), (2, 8), (6, 16)]
    assert actual[0].bytes < actual[1].bytes < actual[2].bytes
    assert memory.needs(model(), 32, steps=100, device="cuda")[2].bytes > 1.5 * actual[2].bytes
    assert len(memory.needs(model(), 16, steps=6, device="cuda")) == 2  # the run ends before 16 pixels
    assert memory.needs(registry.create("dcgan", (1, 16, 16), width=4), 16, steps=100, device="cpu") == []


def test_what_will_not_fit_is_refused_with_the_batch_that_would(monkeypatch):
    made, device = model(), {"steps": 100, "device": "cuda"}
    need = memory.needs(made, 64, **device)[2].bytes
    monkeypatch.setattr(memory, "free_bytes", lambda device: int(0.6 * need / memory.USABLE))
    message = refused("at 16x16 in batches of 64", lambda: memory.check(made, 64, **device))
    fits = int(message.rsplit("--batch-size ", 1)[1].rstrip("."))
    assert 25 < fits < 45
    assert "16x16" in memory.check(made, fits, **device)
    refused("batches", lambda: memory.check(made, fits + 4, **device))
    monkeypatch.setattr(memory, "free_bytes", lambda device: 1000)
    refused("use a smaller --size or --width", lambda: memory.check(made, 64, **device))


def test_mixed_precision_needs_less_and_double_more():
    """What layers keep for the gradient is in bf16 then; weights and penalties stay in fp32."""
    made = model(16, "stylegan")
    half, single, double = (
        memory.needs(made, 16, steps=100, device="cuda", precision=name)[-1].bytes for name in ("bf16", "fp32", "fp64")
    )
    assert 0.5 * single < half < 0.95 * single
    assert double == pytest.approx(2 * single, rel=0.05)


def test_a_run_of_minutes_is_refused_before_it_is_timed(tmp_path, capsys, monkeypatch):
    """Timing begins with the largest images: of a run that does not fit, the machine would end the process."""
    options = ["--size", "16", "--width", "4", "--latent-dim", "4", "--batch-size", "4", "--minutes", "0.2"]
    command = ["train", "progan", "--data", "glyphs", *options, "--out", str(tmp_path / "run")]
    monkeypatch.setattr(memory, "free_bytes", lambda device: 1000)
    monkeypatch.setattr("ganarium.trainer.Trainer.iterate", lambda self: pytest.fail("a step was made"))
    monkeypatch.setattr("ganarium.trainer.Trainer.__iter__", lambda self: pytest.fail("a step was made"))
    assert cli.main(command) == 2
    assert "at 16x16 in batches of 4" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_run_says_what_it_will_need_and_begins_only_if_it_fits(tmp_path, capsys, monkeypatch):
    options = ["--size", "8", "--width", "4", "--latent-dim", "4", "--stable-images", "16", "--fading-images", "16"]
    command = ["train", "progan", "--data", "glyphs", *options, "--batch-size", "4", "--steps", "2", "--out"]
    assert cli.main([*command, str(tmp_path / "a")]) == 0
    assert "memory at each resolution, about: 4x4 " in capsys.readouterr().out
    monkeypatch.setattr(memory, "free_bytes", lambda device: 1000)
    assert cli.main([*command, str(tmp_path / "b")]) == 2
    assert "needs about" in capsys.readouterr().err
    assert not (tmp_path / "b").exists()
