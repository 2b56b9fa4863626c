"""`ganarium bench`: one network in several formats, side by side."""

from importlib.util import find_spec

import pytest

from exported_models import lively, saved_run
from ganarium import cli
from ganarium.exporting import to_keras
from ganarium.exporting.formats import FORMATS, compare_formats
from synthetic import refused

pytest.importorskip("onnxruntime", reason="ONNX Runtime is optional: pip install onnxruntime")


def test_formats_side_by_side(tmp_path, capsys, monkeypatch):
    run = saved_run(lively("gan", (1, 8, 8)), "gan", tmp_path / "run")
    name, made = compare_formats(run, FORMATS if find_spec("keras") else FORMATS[:3], batch=3, repeats=2)
    measured = {each.name: each for each in made}
    assert name == "generate"
    assert not any(each.missing for each in made)
    assert measured["pytorch"].difference == 0
    assert 1e-4 < measured["bf16"].difference < 0.1
    assert measured["onnx"].difference <= 1e-4
    assert measured["bf16"].size * 2 == measured["pytorch"].size
    assert measured["onnx"].size > measured["pytorch"].size, "the file has the weights and more"
    assert all(each.milliseconds > 0 for each in made)
    if find_spec("keras"):
        assert measured["keras"].difference <= 1e-4
        assert measured["keras"].program.startswith("Keras 3")

    monkeypatch.setattr(to_keras, "find_spec", lambda name: None)
    assert cli.main(["bench", str(run), "--formats", "bf16, keras", "--repeats", "1"]) == 0
    _, _, first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("bf16 ")
    assert "bfloat16" in first
    assert "pip install keras" in second


def test_bad_input_is_one_sentence(tmp_path):
    refused("no format 'onxn' ... onnx", lambda: compare_formats(tmp_path, ["onxn"]))
    refused("at least one sample", lambda: compare_formats(tmp_path, batch=0))
