"""Export to ONNX: what ONNX Runtime makes of each model's files is what PyTorch makes."""

import json
import math
import re
import sys

import pytest
import torch

import ganarium
from exported_models import lively, saved_run
from ganarium import cli, registry
from ganarium.exporting import to_onnx
from ganarium.exporting.network import networks, steady
from synthetic import ALL, refused

onnxruntime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is optional: pip install onnxruntime")
pytest.importorskip("onnxscript", reason="torch's exporter needs onnxscript")


CHECKED = {}  # the operators of a network -> the model that had them first


@pytest.mark.parametrize("name", [name for name in ALL if name != "pixelrnn"])
def test_every_model_agrees(name, tmp_path):
    """The first network of each kind, at batch sizes that the export was not traced with.

    Networks whose operators are those of another model to the letter, and differ in nothing but numbers, are exported
    once: many papers share the generator of DCGAN.
    """
    made = networks(lively(name, (3, 16, 16)))
    seen = [network for network in made if network.name not in ("b2a",)]
    for network in seen:
        program = torch.export.export(network, tuple(network.draw(2)), strict=False).graph_module
        operators = f"{network.inputs} {re.sub(r'p_[a-z0-9_]*|b_[a-z0-9_]*', 'weight', program.code)}"
        shapes = [
            tuple(node.meta["val"].shape) for node in program.graph.nodes if hasattr(node.meta.get("val"), "shape")
        ]
        if CHECKED.setdefault((operators, str(shapes)), name) != name:
            continue
        result = to_onnx.write(network, tmp_path / f"{network.name}.onnx")
        assert result.difference <= 1e-4
        session = onnxruntime.InferenceSession(str(result.path))
        assert [each.name for each in session.get_inputs()] == [each.name for each in network.inputs]
        inputs = network.draw(7)
        expected = network(*inputs)
        assert expected.std() > (0.01 if network.name == "classify" else 0.05), "a flat picture would agree with any"
        assert (to_onnx.run(network, session, inputs) - expected).abs().max() <= 1e-4


def test_a_model_that_writes_value_by_value_is_refused_with_the_reason():
    refused("PixelRNN ... value by value ... ganarium sample", lambda: networks(lively("pixelrnn")))


def test_noise_is_an_input():
    """Dropout that a paper keeps on: the same noise gives the same picture, other noise another."""
    (network,) = networks(lively("pix2pix", (3, 16, 16)))
    assert [each.kind for each in network.inputs] == ["image", "uniform", "uniform"]
    image, *noise = network.draw(2)
    first = network(image, *noise)
    assert torch.equal(first, network(image, *noise))
    assert (network(image, *network.draw(2)[1:]) - first).abs().max() > 0.05


def test_every_draw_of_noise_is_seen():
    """The network draws nothing from torch's own generator."""
    for name in ("fastgan", "pix2pix"):
        network = networks(lively(name))[0]
        inputs = network.draw(2)
        before = torch.get_rng_state()
        network(*inputs)
        assert torch.equal(before, torch.get_rng_state())
        assert network.num_noises > 0


def test_one_picture_maps_as_translate_maps_it():
    """Norms that see one picture at a time, whatever the batch: with dropout off, `translate` gives the same."""
    model = lively("pix2pix", (3, 16, 16), dropout=0.0)
    (network,) = networks(model)
    pictures = torch.rand(3, 3, 16, 16) * 2 - 1
    alone = torch.cat([model.translate(picture[None]) for picture in pictures])
    assert (network(pictures) - alone).abs().max() < 1e-5
    assert (model.translate(pictures) - alone).abs().max() > 1e-2  # the statistics of the batch


def test_fixed_statistics_stand_for_those_of_a_batch():
    """DCGAN is sampled with batch statistics. Fixed ones give nearly the same pictures; those of training do not."""
    model = lively("dcgan")
    codes = model.latent(64)
    usual = model.sample(64, seed=0, latent=codes)
    fixed = networks(model)[0](codes)
    running = model.eval().generate(64, latent=codes).detach()
    assert (fixed - usual).abs().mean() < 0.1 * (running - usual).abs().mean()
    assert (networks(model)[0](codes[:1]) - fixed[:1]).abs().max() < 1e-5


def test_the_model_stays_as_it_was():
    model = lively("dcgan")
    before = {key: value.clone() for key, value in model.state_dict().items()}
    random = torch.get_rng_state()
    steady(model)
    networks(model)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert torch.equal(random, torch.get_rng_state())


def test_the_command_writes_files_and_the_difference_beside_them(tmp_path, capsys):
    run = saved_run(lively("discogan", (3, 16, 16)), "discogan", tmp_path / "run")
    assert cli.main(["export", str(run / "checkpoints" / "step-00000007"), "--to", "onnx", "--size", "32"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed] == [str(run / "exported" / f"{way}.onnx") for way in ("a2b", "b2a")]
    facts = json.loads((run / "exported" / "a2b.onnx.json").read_text())
    assert facts["largest_difference"] <= facts["tolerance"] == 1e-4
    assert f"{facts['largest_difference']:.1e}" in printed[0]
    assert facts["inputs"] == [{"name": "image", "kind": "image", "shape": ["batch", 3, 32, 32]}]
    assert (facts["model"], facts["step"]) == ("discogan", 7)


def test_a_file_that_disagrees_is_not_left(tmp_path, monkeypatch):
    """The control of the check: a difference of 2e-4."""
    network = networks(lively("gan", (1, 8, 8)))[0]
    own = to_onnx.run
    monkeypatch.setattr(to_onnx, "run", lambda *arguments: own(*arguments) + 2e-4)
    refused("differs from PyTorch's by 2.0e-04", lambda: to_onnx.write(network, tmp_path / "x.onnx"))
    assert not list(tmp_path.iterdir())
    assert network.why_apart(to_onnx.TOLERANCE) == ""


@pytest.mark.parametrize("batch", to_onnx.CHECKED_BATCHES)
def test_a_batch_of_nan_is_not_hidden_by_another_that_is_right(batch, tmp_path, monkeypatch):
    network = networks(lively("gan", (1, 8, 8)))[0]
    own = to_onnx.run

    def run(network, session, inputs):
        return own(network, session, inputs) * (math.nan if len(inputs[0]) == batch else 1)

    monkeypatch.setattr(to_onnx, "run", run)
    refused("differs from PyTorch's by nan", lambda: to_onnx.write(network, tmp_path / "x.onnx"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("seed", range(3))
def test_what_norms_add_is_not_left_out(seed, tmp_path):
    """Before its first step StyleGAN divides even maps by sqrt(0 + 1e-8): the exporter's own rules left sqrt(0)."""
    torch.manual_seed(seed)
    (network,) = networks(registry.create("stylegan", (1, 16, 16), width=8, latent_dim=8, mapping_layers=1).eval())
    assert to_onnx.write(network, tmp_path / "x.onnx").difference <= to_onnx.TOLERANCE
    assert "was hardly trained" in network.why_apart(1e-7)


def test_a_file_says_nothing_of_the_machine_it_was_made_on(tmp_path):
    to_onnx.write(networks(lively("stylegan2", (3, 16, 16)))[0], tmp_path / "x.onnx")
    assert b".py" not in (tmp_path / "x.onnx").read_bytes()


def test_bad_input_is_one_sentence(tmp_path, monkeypatch):
    run = saved_run(lively("gan", (1, 8, 8)), "gan", tmp_path / "run")
    refused("no target 'onxn' ... onnx", lambda: ganarium.export(run, to="onxn"))
    refused("does not map pictures ... size", lambda: ganarium.export(run, to="onnx", size=(8, 8)))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    refused("pip install onnx", lambda: ganarium.export(run, to="onnx"))
    assert not (run / "exported").exists()
