"""Export to a folder of the Hugging Face Hub, and to a small server on this machine that speaks as the Hub does."""

import base64
import hashlib
import json
import re
import shutil
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from safetensors import safe_open

import ganarium
from exported_models import lively, saved_run
from ganarium import cli
from ganarium.exporting import to_hub
from ganarium.runs import hub
from synthetic import refused


class Hub(BaseHTTPRequestHandler):
    """As much of the Hub as `push` and `load` ask for: repositories of files in memory."""

    files: dict[str, dict[str, bytes]] = {}
    asked: list[str] = []
    forbids = False

    def log_message(self, *arguments):
        pass

    def answer(self, status, content=b"", **headers):
        body = json.dumps(content).encode() if not isinstance(content, bytes) else content
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.asked.append(self.path)
        if self.forbids:
            return self.answer(403, {"error": "no"})
        if self.path == "/api/repos/create":
            about = json.loads(body)
            name = f"{about['organization']}/{about['name']}" if about.get("organization") else about["name"]
            self.files.setdefault(name, {})
            return self.answer(200, {"url": f"http://{self.headers['Host']}/{name}", "id": name})
        if match := re.fullmatch(r"/api/models/(.+)/preupload/main", self.path):
            paths = [each["path"] for each in json.loads(body)["files"]]
            return self.answer(
                200, {"files": [{"path": path, "uploadMode": "regular", "shouldIgnore": False} for path in paths]}
            )
        if match := re.fullmatch(r"/api/models/(.+)/commit/main", self.path):
            for line in body.splitlines():
                row = json.loads(line)
                if row["key"] == "file":
                    self.files[match[1]][row["value"]["path"]] = base64.b64decode(row["value"]["content"])
            url = f"http://{self.headers['Host']}/{match[1]}/commit/{'1' * 40}"
            return self.answer(200, {"commitUrl": url, "commitOid": "1" * 40, "success": True})
        return self.answer(200, {})

    def do_GET(self):
        self.asked.append(self.path)
        if self.forbids:
            return self.answer(403, {"error": "no"})
        match = re.fullmatch(r"/([^/]+/[^/]+)/resolve/[^/]+/(.+)", self.path)
        if match and match[1] not in self.files:
            return self.answer(404, {"error": "none"}, X_Error_Code="RepoNotFound")
        if match and match[2] in self.files[match[1]]:
            content = self.files[match[1]][match[2]]
            etag = hashlib.sha1(content).hexdigest()
            return self.answer(200, content, ETag=f'"{etag}"', X_Repo_Commit="1" * 40)
        if match:
            return self.answer(404, {"error": "none"}, X_Error_Code="EntryNotFound", X_Repo_Commit="1" * 40)
        return self.answer(200, {"sha": "1" * 40, "siblings": []})

    do_HEAD = do_GET


@pytest.fixture
def server(monkeypatch, tmp_path):
    pytest.importorskip("huggingface_hub", reason="the Hub's package is optional: pip install huggingface_hub")
    from huggingface_hub import constants

    Hub.files, Hub.asked, Hub.forbids = {}, [], False
    made = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{made.server_port}"
    monkeypatch.setenv("HF_ENDPOINT", address)
    monkeypatch.setenv("HF_TOKEN", "hf_of_a_test")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)  # a test of hf: data may have been offline before
    yield address
    made.shutdown()
    made.server_close()


@pytest.fixture
def run(tmp_path):
    return saved_run(lively("cgan", (1, 16, 16)), "cgan", tmp_path / "run", class_names=["a|b", "cats", "c", "d"])


def same(one, other, **told):
    return torch.equal(one.sample(3, seed=2, **told), other.sample(3, seed=2, **told))


def test_a_folder_and_its_weights_alone_give_the_model_back(run, capsys):
    assert cli.main(["export", str(run), "--to", "hub"]) == 0
    folder = run / "exported" / "hub"
    assert f"{folder} (" in capsys.readouterr().out
    assert {path.name for path in folder.iterdir()} == {"config.json", "model.safetensors", "README.md", "samples.png"}
    model = ganarium.load(run)
    assert same(ganarium.load(folder), model, label=1)
    alone = run / "weights.safetensors"
    shutil.copy(folder / "model.safetensors", alone)
    assert same(ganarium.load(alone), model, label=1)
    assert ganarium.load(alone).iteration == 7
    with safe_open(alone, "pt") as file:
        assert json.loads(file.metadata()["ganarium"]) == json.loads((folder / "config.json").read_text())
    assert cli.main(["export", str(run), "--to", "hub"]) == 0, "a second export takes the place of the first"
    assert json.loads((run / "exported" / "hub.json").read_text())["largest_difference"] == 0


def test_commands_take_the_folder(run, tmp_path):
    ganarium.export(run, to="hub", out=tmp_path / "hub")
    assert cli.main(["sample", str(tmp_path / "hub"), "--n", "4", "--label", "cats", "--out", str(tmp_path / "o")]) == 0
    assert list((tmp_path / "o").glob("grid-*.png"))


@pytest.mark.parametrize("name", ["cyclegan", "srgan", "pixelrnn", "r3gan", "infogan", "context_encoder"])
def test_other_models_too(name, tmp_path):
    run = saved_run(lively(name, (1, 16, 16), **({"width": 4} if name == "infogan" else {})), name, tmp_path / name)
    (made,) = ganarium.export(run, to="hub")
    assert made.difference == 0
    card = (made.path / "README.md").read_text()
    verbs = {"cyclegan": "translate", "srgan": "upscale", "context_encoder": "inpaint"}
    assert f"model.{verbs.get(name, 'sample')}(" in card


def test_averaged_weights_are_what_is_shared(tmp_path):
    """A run with averages: the folder samples as the run does, and not as its raw weights."""
    model = lively("r3gan", (1, 16, 16))
    from ganarium.trainer import add_averages

    add_averages(model)
    with torch.no_grad():
        for parameter in model.averages["generator"].parameters():
            parameter.mul_(1.1)
    made = to_hub.write(
        model,
        {
            "model": "r3gan",
            "model_options": vars(model.config),
            "options": {},
            "data": {"name": "glyphs", "shape": [1, 16, 16], "num_classes": 4},
        },
        tmp_path,
        tmp_path / "hub",
    )
    loaded = ganarium.load(made.path)
    assert same(loaded, model)
    model.averages = {}
    assert not same(loaded, model)


def test_the_card_has_data_numbers_with_their_protocol_and_what_is_not_known(run):
    protocol = {"features": "glyphs", "digest": "0123456789", "num_real": 100, "num_fake": 90, "resize": "", "seed": 0}
    rows = [
        {"step": step, "values": {"frechet_distance": value}, "protocol": protocol}
        for step, value in ((5, 12.5), (9, 1.0))
    ]
    (run / "evaluations.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (made,) = ganarium.export(run, to="hub")
    card = (made.path / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: ganarium\ntags:\n- gan\n- cgan\n- unconditional-image-generation\n---\n")
    for words in (
        "Conditional Generative Adversarial Nets",
        "100 training images of 1 x 16 x 16",
        "| 12.5 |",
        "100 real, 90 generated",
        "At step 5",
        "a\\|b, cats",
        "## Licence",
        "samples.png",
    ):
        assert words in card, words
    assert "| 1 |" not in card.split("## Numbers")[1], "the model of step 7 has not the numbers of step 9"


def test_push_and_load_through_a_hub(server, run, capsys):
    assert cli.main(["push", str(run), "me/digits", "--private"]) == 0
    assert capsys.readouterr().out.strip().splitlines()[-1] == f"{server}/me/digits"
    assert set(Hub.files["me/digits"]) == {"config.json", "model.safetensors", "README.md", "samples.png"}
    assert not (run / "exported").exists(), "nothing is left in the run"
    assert same(ganarium.load("hf:me/digits"), ganarium.load(run), label=3)
    (made,) = ganarium.export(run, to="hub")
    assert ganarium.push(made.path, "me/again") == f"{server}/me/again"
    assert same(ganarium.load("hf:me/again"), ganarium.load(run), label=3)


def test_what_the_hub_refuses_is_one_sentence(server, run):
    refused("no model me/none ... hf auth login", lambda: ganarium.load("hf:me/none"))
    Hub.files["me/other"] = {"README.md": b"x"}
    refused("me/other is no model of ganarium", lambda: ganarium.load("hf:me/other"))
    Hub.files["me/bad"] = {"model.safetensors": b"no tensors"}
    refused("holds no model of ganarium", lambda: ganarium.load("hf:me/bad"))
    Hub.forbids = True
    refused("does not let you ... me/digits ... hf auth login", lambda: ganarium.push(run, "me/digits"))


def test_offline_is_one_sentence_at_once_and_what_was_fetched_still_loads(server, run, monkeypatch):
    ganarium.push(run, "me/digits")
    fetched = ganarium.load("hf:me/digits")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    start = time.monotonic()
    refused("the Hub could not be reached for me/others: check the network", lambda: ganarium.push(run, "me/others"))
    refused("the Hub could not be reached for me/others: check the network", lambda: ganarium.load("hf:me/others"))
    assert same(fetched, ganarium.load("hf:me/digits"), label=1)
    assert time.monotonic() - start < 5, "the package asks again for half a minute"


def test_bad_names_files_and_models(run, tmp_path):
    refused("hf:owner/name, not hf:digits", lambda: ganarium.load("hf:digits"))
    refused("owner/name, not 'digits'", lambda: ganarium.push(run, "digits"))
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(2)}, tmp_path / "x.safetensors")
    refused("holds no model of ganarium", lambda: ganarium.load(tmp_path / "x.safetensors"))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    refused("holds other files", lambda: ganarium.export(run, to="hub", out=tmp_path / "full"))
    assert (tmp_path / "full" / "mine.txt").exists()
    config = {"model": "/a/my_gan.py", "model_options": {}, "data": {}, "options": {}}
    refused("a model file of your own", lambda: hub.write(tmp_path, lively("gan", (1, 8, 8)), config))


def test_a_folder_cannot_have_code_run(run, tmp_path, monkeypatch):
    """A config that names a model file or a function of the machine is refused before anything is imported."""
    (made,) = ganarium.export(run, to="hub")
    trap = tmp_path / "trap.py"
    trap.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nPAPER = None\n")
    from safetensors.torch import load_file, save_file

    about = json.loads((made.path / "config.json").read_text()) | {"model": str(trap)}
    save_file(load_file(made.path / "model.safetensors"), tmp_path / "x.safetensors", {"ganarium": json.dumps(about)})
    refused("no model", lambda: ganarium.load(tmp_path / "x.safetensors"))
    about |= {"model": "text_to_image", "model_options": {"encoder": f"{trap.stem}:run"}}
    save_file(load_file(made.path / "model.safetensors"), tmp_path / "x.safetensors", {"ganarium": json.dumps(about)})
    monkeypatch.syspath_prepend(tmp_path)
    refused(
        "the function trap:run, and nothing that such a file names", lambda: ganarium.load(tmp_path / "x.safetensors")
    )
    refused("embeds sentences by trap:run", lambda: hub.write(tmp_path, lively("gan", (1, 8, 8)), about))
    assert not (tmp_path / "ran").exists()
