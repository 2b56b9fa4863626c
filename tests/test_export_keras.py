"""Export to Keras: plain `.keras` files, which give in Keras what PyTorch gives, on every backend that is installed."""

import json
import os
import re
import subprocess
import sys
import zipfile
from importlib.util import find_spec

import numpy as np
import pytest
import torch

import ganarium
from exported_models import lively, saved_run
from ganarium import cli
from ganarium.exporting import keras_worker, to_keras
from ganarium.exporting.graph import REFERENCE, trace
from ganarium.exporting.network import networks
from synthetic import ALL, refused

pytestmark = pytest.mark.skipif(find_spec("keras") is None, reason="Keras is optional: pip install keras")

# Models whose networks have, among them, every operator that any model has: the test of the others is slow.
VARIED = [
    "began",
    "ccgan",
    "cgan",
    "context_encoder",
    "cyclegan",
    "dcgan",
    "pix2pix",
    "progan",
    "sagan",
    "srgan",
    "stylegan",
    "stylegan2",
    "triple_gan",
]
OTHERS = [name for name in ALL if name not in ("pixelrnn", "cogan", *VARIED)]
READ = """
import sys, keras, numpy as np
for path in sys.argv[1:]:
    model = keras.saving.load_model(path)
    with np.load(path + ".npz") as file:
        made = model.predict([file[name] for name in file.files if name != "expected"], verbose=0)
        print(np.abs(made - file["expected"]).max())
"""


def written(names, folder):
    """The networks of models and what was written of them: Keras is started once for all."""
    parts = [(name, network) for name in names for network in networks(lively(name, (3, 16, 16)))]
    parts = [(name, network) for name, network in parts if network.name != "b2a"]
    paths = [folder / f"{name}-{network.name}.keras" for name, network in parts]
    made = to_keras.write([network for _, network in parts], paths)
    return {name: [(n, e) for (own, n), e in zip(parts, made, strict=True) if own == name] for name in names}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    return written(VARIED, tmp_path_factory.mktemp("keras"))


def check(exported):
    """To 1e-4, with nothing but what Keras brings in the file, and on pictures with contrast."""
    for name, made in exported.items():
        for network, result in made:
            assert result.difference <= 1e-4, name
            expected = network(*network.draw(7))
            least = 0.01 if network.name == "classify" else 0.05
            assert expected.std() > least, f"{name}: a flat picture would agree with any"
            with zipfile.ZipFile(result.path) as file:
                config = file.read("config.json").decode()
            assert set(re.findall(r'"module": "(\w+)', config)) <= {"keras", "builtins"}, name
            assert "Lambda" not in config


def test_models_agree(exported):
    check(exported)


@pytest.mark.slow
def test_all_other_models_agree(exported, tmp_path):
    """Their operators are those of the models above."""
    check(written(OTHERS, tmp_path))
    kinds = {
        name: {
            each.kind
            for network in networks(lively(name, (3, 16, 16)))
            for each in trace(network, network.draw(1)).operators
        }
        for name in (*VARIED, *OTHERS)
    }
    seen = set().union(*(kinds[name] for name in VARIED))
    assert not {name: kinds[name] - seen for name in OTHERS if kinds[name] - seen}


def test_whoever_reads_a_file_needs_keras_alone(exported):
    """On inputs that the export has not seen; pictures of another size are enlarged."""
    read = []
    for name in ("cgan", "pix2pix", "srgan", "stylegan2"):
        network, result = exported[name][0]
        torch.manual_seed(9)
        inputs = network.draw(3)
        if name == "srgan":
            inputs = [torch.rand(3, 3, 6, 10) * 2 - 1]
        with torch.no_grad():
            expected = network(*inputs)
        named = {f"x{i}": to_keras._laid_out(each) for i, each in enumerate(inputs)}
        np.savez(f"{result.path}.npz", **named, expected=to_keras._laid_out(expected))
        read.append(result.path)
    for backend in [each for each in to_keras.BACKENDS if find_spec(each)]:
        made = subprocess.run(
            [sys.executable, "-P", "-c", READ, *map(str, read)],
            env=to_keras.environment(backend, read[0].parent),
            capture_output=True,
            text=True,
        )
        assert made.returncode == 0, made.stderr
        differences = [float(line) for line in made.stdout.split()]
        assert len(differences) == len(read)
        assert max(differences) <= 1e-4, differences


def test_models_whose_samples_know_their_place_are_refused(tmp_path):
    """CoGAN's two domains take turns within a batch."""
    made = networks(lively("cogan", (3, 16, 16)))
    refused("depends on its place in the batch ... onnx", lambda: to_keras.write(made[:1], [tmp_path / "x.keras"]))
    assert not list(tmp_path.iterdir())


def test_there_is_a_layer_for_every_operator():
    assert set(REFERENCE) == keras_worker.KINDS


def test_the_command_leaves_the_process_as_it_was(tmp_path, capsys):
    run = saved_run(lively("gan", (1, 8, 8)), "gan", tmp_path / "run")
    before = dict(os.environ)
    assert cli.main(["export", str(run), "--to", "keras"]) == 0
    assert dict(os.environ) == before
    assert "keras" not in sys.modules
    facts = json.loads((run / "exported" / "generate.keras.json").read_text())
    assert facts["output"] == {"shape": ["batch", 8, 8, 1], "range": [-1.0, 1.0]}
    assert "torch" in facts["protocol"]
    assert f"{facts['largest_difference']:.1e}" in capsys.readouterr().out


def test_a_file_that_disagrees_is_not_left(tmp_path, monkeypatch):
    """The control of the check: one weight of the generator is another."""
    own = to_keras.trace

    def changed(*arguments):
        graph = own(*arguments)
        graph.constants[graph.used_constants()[0]].view(-1)[0] += 1
        return graph

    monkeypatch.setattr(to_keras, "trace", changed)
    run = saved_run(lively("gan", (1, 8, 8)), "gan", tmp_path / "run")
    refused("Keras's generate on torch differs", lambda: ganarium.export(run, to="keras"))
    assert not (run / "exported").exists()


def test_what_is_missing_is_one_sentence(tmp_path, monkeypatch):
    run = saved_run(lively("gan", (1, 8, 8)), "gan", tmp_path / "run")
    monkeypatch.setattr(to_keras, "find_spec", lambda name: None)
    refused("pip install keras", lambda: ganarium.export(run, to="keras"))
    assert not (run / "exported").exists()
