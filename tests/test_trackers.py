"""Trackers of experiments: what they are sent is what stands in metrics.jsonl, and none of them can stop a run."""

import json
import sys

import pytest

from ganarium import cli

RUN = ["train", "gan", "--data", "ring", "--batch-size", "16", "--steps", "6", "--log-every", "2", "--threads", "1"]
PACKAGE = """
import json, os
def note(*row):
    with open(os.environ["NOTES"], "a") as file:
        file.write(json.dumps(row) + "\\n")
def fails(word):
    if os.environ.get("FAILS") == word:
        raise OSError("no network\\nat all")
def init(**words): note("begin", words); fails("begin")
def log(values, step): note("log", values, step); fails("log")
def finish(): note("end"); fails("end")
def set_experiment(name): note("experiment", name)
def start_run(run_name): note("begin", run_name); fails("begin")
def log_params(values): note("params", values)
log_metrics, end_run = log, finish
"""


@pytest.fixture
def notes(tmp_path, monkeypatch):
    """Packages by the names of the three trackers, which note what they are told."""
    home = tmp_path / "packages"
    home.mkdir()
    for name in ("wandb", "mlflow", "trackio"):
        (home / f"{name}.py").write_text(PACKAGE)
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(str(home))
    monkeypatch.setenv("NOTES", str(tmp_path / "notes"))
    yield lambda: [json.loads(line) for line in (tmp_path / "notes").read_text().splitlines()]
    for name in ("wandb", "mlflow", "trackio"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("name", ["wandb", "mlflow", "trackio"])
def test_a_tracker_gets_the_rows_of_metrics(name, notes, tmp_path):
    run = tmp_path / "digits"
    assert cli.main([*RUN, "--track", name, "--out", str(run)]) == 0
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    sent = [row for row in notes() if row[0] == "log"]
    assert [row[2] for row in sent] == [row["step"] for row in rows] == [2, 4, 6]
    assert [row[1] for row in sent] == [{key: value for key, value in row.items() if key != "step"} for row in rows]
    told = json.dumps(notes())
    assert '"digits"' in told
    assert '"options.data": "ring"' in told
    assert notes()[-1] == ["end"]


@pytest.mark.parametrize("moment", ["begin", "log", "end"])
def test_a_tracker_that_fails_never_stops_a_run(moment, notes, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FAILS", moment)
    run = tmp_path / "run"
    assert cli.main([*RUN, "--track", "wandb", "--out", str(run)]) == 0
    said = capsys.readouterr().err
    assert said.count("wandb gets no more numbers (OSError: no network)") == 1
    assert json.loads((run / "state.json").read_text())["state"] == "finished"
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 3
    assert len([row for row in notes() if row[0] == "log"]) == {"begin": 0, "log": 1, "end": 3}[moment]


def test_an_unknown_or_missing_tracker_is_refused_before_anything_is_written(tmp_path, capsys, monkeypatch):
    assert cli.main([*RUN, "--track", "wandbb", "--out", str(tmp_path / "run")]) == 2
    assert "no tracker 'wandbb'" in capsys.readouterr().err
    monkeypatch.setattr("ganarium.runs.options.find_spec", lambda name: None)
    assert cli.main([*RUN, "--track", "mlflow", "--out", str(tmp_path / "run")]) == 2
    assert "pip install mlflow" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_resuming_goes_on_to_track(notes, tmp_path):
    run = tmp_path / "run"
    assert cli.main([*RUN, "--track", "trackio", "--out", str(run)]) == 0
    assert cli.main(["resume", str(run), "--steps", "8"]) == 0
    assert [row[2] for row in notes() if row[0] == "log"] == [2, 4, 6, 8]
