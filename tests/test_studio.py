"""The studio: who is let in, what may be read, and trainings, samples and pictures through its page's calls."""

import functools
import inspect
import io
import json
import os
import re
import signal
import threading
import time
import zipfile
from pathlib import Path

import pytest
import torch
from PIL import Image

import ganarium
import other_programs as other
from ganarium import cli
from ganarium.errors import UserError
from ganarium.runs import gallery
from ganarium.runs.lock import running
from ganarium.sampling import Sampling
from ganarium.training.estimate import Estimate
from ganarium.training.recommend import SHARE, levels

testclient = pytest.importorskip("starlette.testclient", reason="the packages of the studio are not installed")
pytest.importorskip("fastapi", reason="the packages of the studio are not installed")
pytest.importorskip("multipart", reason="the packages of the studio are not installed")

from ganarium.studio.folders import Folders  # noqa: E402
from ganarium.studio.jobs import Jobs  # noqa: E402
from ganarium.studio.server import create_app  # noqa: E402
from studio_home import RUNS, make_home, picture  # noqa: E402

TOKEN, HOST = "a-token-that-nobody-knows", "127.0.0.1:8123"
SMALL = {"/api/upload": 200_000, "/api/translate": 100_000, "/api/weights": 500_000}  # bytes
OWN = {"host": HOST, "authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return make_home(tmp_path_factory.mktemp("studio"), list(RUNS))


@pytest.fixture(scope="module")
def app(home):
    folders = Folders(home / "runs", [home / "opened"])
    return create_app(folders, TOKEN, [HOST], device="cpu", limits=SMALL)


@pytest.fixture
def client(app):
    return testclient.TestClient(app, base_url=f"http://{HOST}", headers=OWN)


@pytest.fixture
def stranger(app):
    """Knows the address and not the token."""
    return testclient.TestClient(app, base_url=f"http://{HOST}", follow_redirects=False)


def opened_picture(answer):
    assert answer.status_code == 200, answer.text
    return Image.open(io.BytesIO(answer.content))


# ---- the gate


def paths(app):
    return [(method, route.path) for route in app.app.routes if hasattr(route, "methods") for method in route.methods]


def test_every_call_asks_for_the_token(app, stranger):
    calls = paths(app)
    assert len(calls) > 20
    for method, path in [*calls, ("GET", "/studio.js"), ("GET", "/lab.html"), ("GET", "/nothing")]:
        assert stranger.request(method, path).status_code == 401, (method, path)
    wrong = {"authorization": "Bearer another"}
    assert stranger.get("/api/runs", headers=wrong).status_code == 401
    assert stranger.get("/api/runs", params={"token": TOKEN}).status_code == 401  # it is for the first page alone
    assert stranger.get("/", params={"token": "another"}).status_code == 401


def test_the_printed_address_leads_in_and_hides_the_token(stranger):
    answer = stranger.get("/", params={"token": TOKEN})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert stranger.get("/").status_code == 200  # by the cookie
    assert stranger.get("/api/runs").status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8123", "127.0.0.1", "127.0.0.1:8124", ""])
def test_another_host_is_not_answered(client, host):
    """A name of the attacker's that leads to this machine: DNS rebinding."""
    assert client.get("/api/runs", headers={"host": host}).status_code == 421


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:8124"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
    ],
)
def test_calls_from_other_sites_are_refused(client, headers):
    assert client.post("/api/stop", json={"run": "plain"}, headers=headers).status_code == 403
    assert client.get("/api/runs", headers=headers).status_code == 403


def test_own_calls_are_answered(client):
    own = {"origin": f"http://{HOST}", "sec-fetch-site": "same-origin"}
    assert client.get("/api/runs", headers=own).status_code == 200
    clicked = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert client.get("/", headers=clicked).status_code == 200


def test_every_answer_has_a_content_security_policy(client, stranger):
    for answer in (client.get("/"), client.get("/studio.js"), client.get("/api/runs"), stranger.get("/api/runs")):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'self'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in answer.headers
    report = client.get("/api/report", params={"run": "plain"})
    assert report.status_code == 200
    assert report.headers["content-security-policy"].startswith("sandbox allow-scripts; default-src 'none'")


def test_pages_have_nothing_inline_and_nothing_from_elsewhere(client):
    for page in ("/", "/lab.html"):
        text = client.get(page).text
        assert "<script>" not in text
        assert "<style" not in text
        assert " style=" not in text
        assert " onclick=" not in text
        assert "//" not in text.replace("<!doctype html>", "")


# ---- what may be read


@pytest.mark.parametrize(
    "path",
    ["{home}/closed", "{home}/opened/../closed", "{home}/opened/way_out", "/etc/passwd", "/", "~", "..", "hf:a/b"],
)
def test_data_outside_of_opened_folders_are_not_read(client, home, path):
    for call in ("/api/data", "/api/recommend", "/api/train"):
        body = {"data": path.format(home=home)} | ({"minutes": 1} if call != "/api/data" else {})
        body |= {"model": "dcgan"} if call == "/api/train" else {}
        answer = client.post(call, json=body)
        assert answer.status_code == 400, call
        assert "opened" in answer.json()["error"]


def test_the_page_says_how_long_better_samples_take(client, monkeypatch):
    def measured(model, shape, num_classes, **job):
        return Estimate(model, "cpu", 8, 1000, 1, 10, 64, 0.1, (8,), (1,), (0.1,))

    monkeypatch.setattr("ganarium.studio.server.levels", functools.partial(levels, measure=measured))
    answer = client.post("/api/levels", json={"data": "ring"}).json()
    assert answer["model"] == "gan"
    assert [level["name"] for level in answer["levels"]] == ["rough", "good", "best"]
    rough, good, best = (level["minutes"] for level in answer["levels"])
    assert rough < good < best
    assert best == pytest.approx(answer["levels"][2]["steps"] * 0.1 / 60 / SHARE)
    assert client.post("/api/levels", json={"data": "/etc"}).status_code == 400


@pytest.mark.parametrize("name", ["..", "../runs/plain", "plain/checkpoints", "/etc", "", "plain\0", ".studio"])
def test_only_runs_of_the_list_have_names(client, name):
    for call in ("/api/run", "/api/abilities", "/api/report", "/api/picture"):
        extra = {"file": "step-00000004.png"} if call == "/api/picture" else {}
        key = "name" if call == "/api/run" else "run"
        assert client.get(call, params={key: name, **extra}).status_code == 400
    assert client.post("/api/sample", json={"run": name}).status_code == 400


@pytest.mark.parametrize(
    "file", ["../config.json", "../../plain/config.json", "/etc/passwd", "config.json", "step-9.png"]
)
def test_only_sample_grids_are_pictures(client, file):
    assert client.get("/api/picture", params={"run": "plain", "file": file}).status_code == 400


@pytest.mark.parametrize(
    "path", ["/../server.py", "/%2e%2e/server.py", "/..%2fserver.py", "/static/../server.py", "//etc/passwd"]
)
def test_no_file_but_the_page_is_served(client, path):
    answer = client.get(path)
    assert answer.status_code in (404, 405)
    assert "uvicorn" not in answer.text


def test_model_files_are_not_run(client, home, tmp_path):
    own = home / "opened" / "own.py"
    own.write_text("import pathlib\npathlib.Path(__file__).with_name('ran').touch()\n")
    for model in (str(own), "own", "../own", "os"):
        body = {"data": "glyphs", "model": model, "steps": 1}
        assert client.post("/api/train", json=body).status_code == 400
        assert client.get("/api/options", params={"model": model}).status_code == 400
    assert not (home / "opened" / "ran").exists()


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"name": "../../elsewhere"}, "name of a run"),
        ({"name": ".hidden"}, "name of a run"),
        ({"name": "plain"}, "never overwritten"),
        ({"options": {"out": "/tmp/x"}}, "no option"),
        ({"options": {"data": "/etc"}}, "no option"),
        ({"options": {"config": "/etc/passwd"}}, "no option"),
        ({"options": {"width=4 --out": "x"}}, "no option"),
        ({"steps": 5, "minutes": 1}, "how long"),
        ({"steps": -1}, "steps"),
        ({"size": "64; rm"}, "size"),
        ({"more": 1}, "more"),
    ],
)
def test_bad_trainings_are_one_sentence_and_start_nothing(client, home, change, word):
    answer = client.post("/api/train", json={"data": "glyphs", "model": "dcgan", "steps": 1} | change)
    assert answer.status_code == 400
    assert word in answer.json()["error"]
    assert not list((home / "runs" / ".studio" / "jobs").glob("*")) if "name" in change else True


# ---- uploads


def sent(*files):
    return [("files", (name, content)) for name, content in files]


def test_an_upload_becomes_data_and_is_read_by_the_same_code(client):
    names = [(f"pets/{kind}/{n}.png", picture(colour=(n * 20, 60, 90))) for kind in ("cats", "dogs") for n in range(6)]
    answer = client.post("/api/upload", files=sent(*names))
    assert answer.status_code == 200, answer.text
    assert Path(answer.json()["data"]).name == "pets"
    actual = client.post("/api/data", json={"data": answer.json()["data"], "size": "16"}).json()
    assert actual["shape"] == [3, 16, 16]
    assert any("cats" in line for line in actual["lines"])
    assert actual["choices"][0]["model"] in ganarium.list_models()
    grid = client.get("/api/data-picture", params={"data": answer.json()["data"], "size": "16"})
    assert opened_picture(grid).width > 16


@pytest.mark.parametrize(
    "name",
    ["../out.png", "a/../../out.png", "/abs.png", "run.py", "weights.pth", "a/b/c/d/e.png", ".png", "x" * 200 + ".png"],
)
def test_names_that_lead_elsewhere_and_files_that_are_no_data_are_refused(client, home, name):
    before = set(home.rglob("*"))
    assert client.post("/api/upload", files=sent((name, picture()))).status_code == 400
    after = set(home.rglob("*")) - before
    assert not [path for path in after if path.is_file()]


def test_names_that_cameras_and_people_give_are_taken(client):
    names = ("pets/it's.png", "pets/[3] & 50%.png", "宠物/猫 (1).png", "pets/#1@2x.png", "pets/metadata.csv")
    answer = client.post("/api/upload", files=sent(*[(name, picture()) for name in names]))
    assert answer.json()["files"] == len(names)
    alone = client.post("/api/upload", files=sent(("photo.JPG", picture()))).json()["data"]
    assert not alone.endswith("JPG"), "the data is the folder with the picture in it"


def test_a_picture_of_the_data_is_given_where_they_may_be_read(client, home, monkeypatch):
    """`maps` learned from a folder that was not opened; `sorts` from glyphs, which are drawn."""
    assert [client.get("/api/abilities", params={"run": run}).json()["example"] for run in ("maps", "sorts")] == [0, 1]
    first, second, again = (client.get("/api/example", params={"run": "sorts", "number": n}) for n in (0, 1, 0))
    assert opened_picture(first).size == (16, 16)
    assert first.content == again.content != second.content
    refusal = client.get("/api/example", params={"run": "maps", "direction": "a2b"})
    assert refusal.status_code == 400
    assert "opened" in refusal.json()["error"]


def test_uploads_are_bounded(client, home, monkeypatch):
    large = client.post("/api/upload", files=sent(("big.png", b"x" * 300_000)))
    assert large.status_code == 413

    def chunks():  # no content-length
        for _ in range(10):
            yield b"y" * 50_000

    answer = client.post("/api/upload", content=chunks(), headers={"content-type": "multipart/form-data; boundary=b"})
    assert answer.status_code == 413
    assert client.post("/api/data", content=b"{" + b" " * (2 << 20)).status_code == 413
    monkeypatch.setattr("ganarium.studio.server.MAX_FILES", 3)
    many = client.post("/api/upload", files=sent(*[(f"{n}.png", picture()) for n in range(5)]))
    assert many.status_code == 400
    monkeypatch.setattr("ganarium.studio.folders.MAX_UPLOADS", 10)
    (home / "runs" / ".studio" / "uploads").mkdir(parents=True, exist_ok=True)
    (home / "runs" / ".studio" / "uploads" / "kept.png").write_bytes(b"z" * 100)
    full = client.post("/api/upload", files=sent(("one.png", picture())))
    assert full.status_code == 400
    assert "GiB" in full.json()["error"]


def test_a_zip_that_climbs_out_writes_nothing(client, home):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("../../escaped.png", picture())
        for n in range(4):
            archive.writestr(f"in/{n}.png", picture(colour=(n, n, n)))
    place = client.post("/api/upload", files=sent(("set.zip", stream.getvalue()))).json()["data"]
    client.post("/api/data", json={"data": place, "size": "16"})
    assert not list(home.rglob("escaped*"))


@pytest.mark.parametrize(
    "content", [b"", b"GIF89a nonsense", b"<svg onload=alert(1)>", b"\x89PNG\r\n\x1a\n", b"PK\x03\x04"]
)
def test_what_is_no_picture_is_a_sentence(client, content):
    answer = client.post("/api/translate", data={"run": "maps"}, files={"picture": ("x.png", content)})
    assert answer.status_code == 400
    assert "picture" in answer.json()["error"]


def test_a_picture_that_is_too_large_is_not_decoded(client, monkeypatch):
    monkeypatch.setattr("ganarium.studio.playing.MAX_PIXELS", 100)
    answer = client.post("/api/translate", data={"run": "maps"}, files={"picture": ("x.png", picture())})
    assert answer.status_code == 400
    assert "million pixels" in answer.json()["error"]
    noise = os.urandom(150_000)
    assert client.post("/api/translate", data={"run": "maps"}, files={"picture": ("x", noise)}).status_code == 413


# ---- playing


def abilities(client, run):
    return client.get("/api/abilities", params={"run": run}).json()


def test_abilities_are_what_the_models_declare(client):
    plain, maps, larger, holes = (abilities(client, run) for run in ("plain", "maps", "larger", "holes"))
    assert (plain["samples"], plain["walk"], plain["label"], plain["directions"]) == (True, True, False, [])
    assert abilities(client, "labelled")["classes"] == [str(n) for n in range(10)]
    assert abilities(client, "codes")["code"]["categories"] == 10
    assert (maps["samples"], maps["walk"], maps["directions"]) == (False, False, ["a2b", "b2a"])
    assert (larger["samples"], larger["scale"] in (2, 4, 8), larger["inpaints"]) == (False, True, False)
    assert (holes["inpaints"], holes["samples"]) == (True, False)
    assert abilities(client, "sorts")["classifies"]
    assert abilities(client, "points")["shape"] == [2]
    assert [abilities(client, run)["page"] for run in ("plain", "maps", "words", "points")] == [
        True,
        True,
        False,
        False,
    ]


def test_what_comes_with_the_package_is_played_like_a_run(client):
    rows = client.get("/api/gallery").json()
    assert [row["name"] for row in rows] == [f"pretrained:{name}" for name in gallery.names()]
    for row in rows:
        assert row["what"]
        assert abilities(client, row["name"])["steps"] == []
    if "garments" in gallery.names():
        opened_picture(client.post("/api/sample", json={"run": "pretrained:garments", "n": 4, "seed": 3}))
    for name in ("pretrained:", "pretrained:../secret", "pretrained:nothing"):
        assert client.get("/api/abilities", params={"run": name}).status_code >= 400


def test_samples_follow_the_seed_the_class_the_code_and_the_sliders(client):
    def sample(run="plain", **asked):
        answer = client.post("/api/sample", json={"run": run, "n": 4, "seed": 3, **asked})
        opened_picture(answer)
        return answer.content

    assert sample() == sample()
    assert sample() != sample(seed=4)
    assert sample() == sample(sliders=[0.0] * 6)
    assert sample() != sample(sliders=[2.0, 0, 0, 0, 0, 0])
    assert sample(sliders=[2.0]) != sample(sliders=[0, 2.0])
    assert sample("labelled", label=1) != sample("labelled", label=2)
    assert sample("codes", code=[1, 0.5]) != sample("codes", code=[2, 0.5])
    assert sample("points") != sample("points", seed=9)


@pytest.mark.parametrize(
    ("run", "asked"),
    [
        ("plain", {"n": 0}),
        ("plain", {"n": 10**6}),
        ("plain", {"label": 1}),
        ("plain", {"code": [1]}),
        ("plain", {"sliders": [1e9]}),
        ("plain", {"sliders": [1] * 9}),
        ("plain", {"step": 77}),
        ("labelled", {"label": 10}),
        ("maps", {}),
        ("plain", {"truncation": 0.5}),
        ("plain", {"text": "a red square"}),
        ("plain", {"seed": -1}),
    ],
)
def test_what_a_model_cannot_do_is_a_sentence(client, run, asked):
    answer = client.post("/api/sample", json={"run": run, "n": 4} | asked)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_a_sentence_is_drawn(client):
    can = abilities(client, "words")
    assert (can["text"], can["sliders"], can["samples"]) == (True, 0, True)
    answer = client.post("/api/sample", json={"run": "words", "n": 2, "text": "a large red circle"})
    assert opened_picture(answer).width > 32
    assert client.post("/api/sample", json={"run": "words", "n": 2, "text": ""}).status_code == 400


def test_styles_are_cut_short_and_mixed(client):
    can = abilities(client, "styles")
    assert can["styles"] > 3
    assert abilities(client, "plain")["styles"] == 0

    def sample(**asked):
        answer = client.post("/api/sample", json={"run": "styles", "n": 4, "seed": 3, **asked})
        opened_picture(answer)
        return answer.content

    mixed = [sample(second_seed=7, crossover=layer) for layer in (0, 2, can["styles"])]
    assert len({sample(), *mixed[:2]}) == 3
    assert mixed[2] == sample()  # no layer is left for the second code
    assert sample(truncation=0.2) != sample()
    bad = client.post("/api/sample", json={"run": "styles", "n": 4, "second_seed": 7, "crossover": 99})
    assert bad.status_code == 400
    assert client.post("/api/sample", json={"run": "plain", "second_seed": 7, "crossover": 1}).status_code == 400


def test_playing_holds_up_nothing_else(app, client, monkeypatch):
    """One thread computes, with a lower priority than trainings have; others are answered while it does."""
    player, begun, go_on = app.app.state.player, threading.Event(), threading.Event()
    priority = player.computed(lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id())).result()
    assert priority > os.getpriority(os.PRIO_PROCESS, 0)
    waiting = player.computed(lambda: (begun.set(), go_on.wait(30)))
    assert begun.wait(30)
    try:
        assert client.get("/api/runs").status_code == 200
        assert client.post("/api/stop", json={"run": "nothing"}).status_code == 400
        monkeypatch.setattr("ganarium.studio.playing.WAITING", 0)
        full = client.post("/api/sample", json={"run": "plain", "n": 1})
        assert (full.status_code, "busy" in full.text) == (400, True)
    finally:
        go_on.set()
    assert waiting.result(30)


def weights_file(content):
    stream = io.BytesIO()
    torch.save(content, stream)
    return stream.getvalue()


def test_weights_of_others_are_opened_by_the_rules_of_import(client, home):
    content = weights_file(other.resnet(blocks=1)[0])
    answer = client.post("/api/weights", files={"file": ("day2night.pth", content)}, data={"size": "64"})
    assert answer.status_code == 200, answer.text
    name = answer.json()["run"]
    (row,) = [row for row in client.get("/api/runs").json() if row["name"] == name]
    assert (row["state"], row["model"]) == ("imported", "cyclegan")
    can = abilities(client, name)
    assert (can["directions"], can["samples"], can["shape"][1:]) == (["a2b"], False, [64, 64])
    sent = {"picture": ("p.png", picture(40, 32))}
    assert opened_picture(client.post("/api/translate", data={"run": name}, files=sent)).width > 32
    again = client.post("/api/weights", files={"file": ("day2night.pth", content)}, data={"size": "64"})
    assert again.json()["run"] != name  # nothing is overwritten
    assert not list((home / "runs" / ".studio").rglob("*.pth"))
    assert client.post("/api/resume", json={"run": name}).status_code == 400  # there is no training to go on with


class Program:
    """What a pickle runs when it is loaded by Python's own reader."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize(
    ("name", "content", "status"),
    [
        ("run.pth", None, 400),
        ("run.py", b"import os", 400),
        ("../out.pth", b"x", 400),
        ("odd.pth", b"no weights", 400),
        ("unknown.pth", weights_file({"a": torch.zeros(3)}), 400),
        ("x.safetensors", b"\xff" * 64, 400),
        ("large.pth", b"x" * 600_000, 413),
    ],
)
def test_no_file_of_weights_is_run(client, home, tmp_path, name, content, status):
    before = {*(home / "runs").iterdir()}
    sent = weights_file({"w": Program(str(tmp_path / "ran"))}) if content is None else content
    assert client.post("/api/weights", files={"file": (name, sent)}).status_code == status
    assert not (tmp_path / "ran").exists()
    assert {*(home / "runs").iterdir()} == before
    assert not [path for path in (home / "runs" / ".studio").rglob("*.pth") if path.is_file()]


def test_walks_and_sums(client):
    walk = client.post("/api/walk", json={"run": "plain", "seed": 1})
    assert opened_picture(walk).n_frames > 10
    asked = {"run": "plain", "seed": 1, "n": 16, "groups": [[1, [0, 1]], [-1, [2]], [1, [3]]]}
    assert opened_picture(client.post("/api/sum", json=asked)).width > 16
    for groups in ([], [[1, []]], [[-1, [0]]], [[2, [0]]], [[1, [99]]]):
        assert client.post("/api/sum", json=asked | {"groups": groups}).status_code == 400


def test_pictures_are_mapped_enlarged_filled_and_classified(client):
    def post(verb, run, *, mask=None, **data):
        files = {"picture": ("p.png", picture(40, 32))} | ({"mask": ("m.png", mask)} if mask else {})
        return client.post(f"/api/{verb}", data={"run": run, **data}, files=files)

    a, b = (post("translate", "maps", direction=direction) for direction in ("a2b", "b2a"))
    assert min(opened_picture(a).size) == 16
    assert a.content != b.content
    scale = abilities(client, "larger")["scale"]
    assert opened_picture(post("upscale", "larger")).size == (40 * scale, 32 * scale)
    mask = Image.new("L", (40, 32))
    mask.paste(255, (16, 12, 24, 20))
    stream = io.BytesIO()
    mask.save(stream, format="PNG")
    filled = opened_picture(post("inpaint", "holes", mask=stream.getvalue())).convert("RGB")
    assert filled.getpixel((1, 1)) == (0, 128, 0)
    assert post("inpaint", "holes").status_code == 400
    classes = post("classify", "sorts").json()
    assert len(classes) == 5
    assert sum(row["chance"] for row in classes) <= 1.0001
    assert post("translate", "plain").status_code == 400
    assert post("translate", "maps", direction="c2d").status_code == 400
    assert post("upscale", "maps").status_code == 400


# ---- training


def wait_for(condition, seconds=300):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come")


@pytest.fixture(scope="module")
def started(app):
    """Three trainings that start side by side: one that goes on and on, one that cannot begin, one that is resumed."""
    client = testclient.TestClient(app, base_url=f"http://{HOST}", headers=OWN)
    body = {"data": "glyphs", "model": "dcgan", "steps": 100_000, "size": "16"}
    long = client.post("/api/train", json=body | {"options": {"width": 4, "batch_size": 4}})
    wrong = client.post("/api/train", json=body | {"name": "wrong", "options": {"width": "wide"}})
    resumed = client.post("/api/resume", json={"run": "plain", "steps": 3})
    assert [answer.status_code for answer in (long, wrong, resumed)] == [200, 200, 200]
    yield long.json()["run"]
    client.post("/api/stop", json={"run": long.json()["run"]})


def test_a_training_is_an_ordinary_run_that_outlives_the_studio(client, home, started):
    name, folder = started, home / "runs" / started
    wait_for(
        lambda: running(folder) and (folder / "metrics.jsonl").exists() and (folder / "metrics.jsonl").stat().st_size
    )
    assert client.get("/api/run", params={"name": name}).json()["curves"]
    (row,) = [row for row in client.get("/api/runs").json() if row["name"] == name]
    assert row["state"] == "running"
    again = create_app(Folders(home / "runs", []), TOKEN, [HOST], device="cpu")  # the studio was ended and started anew
    later = testclient.TestClient(again, base_url=f"http://{HOST}", headers=OWN)
    detail = later.get("/api/run", params={"name": name}).json()
    assert (detail["state"], detail["can_stop"]) == ("running", True)
    assert "ganarium train dcgan" in detail["command"]
    sample = later.post("/api/sample", json={"run": name, "n": 4})
    assert sample.status_code in (200, 400)  # whether a checkpoint is there yet or not, training goes on
    assert running(folder)
    assert later.post("/api/resume", json={"run": name}).status_code == 400
    assert later.post("/api/stop", json={"run": name}).status_code == 200
    wait_for(lambda: not running(folder))
    state = json.loads((folder / "state.json").read_text())
    assert state["state"] == "stopped"
    assert cli.main(["runs", str(home / "runs")]) == 0


def test_a_stopped_run_goes_on(client, home, started):
    wait_for(lambda: client.get("/api/run", params={"name": "plain"}).json()["step"] == 3)
    wait_for(lambda: not running(home / "runs" / "plain"))
    again = client.post("/api/resume", json={"run": "plain", "steps": 3})
    assert (again.status_code, "3 steps already" in again.text) == (400, True)


def test_a_training_that_cannot_begin_says_why(client, home, started):
    wait_for(lambda: [r for r in client.get("/api/runs").json() if r["name"] == "wrong" and r["state"] == "failed"])
    (row,) = [row for row in client.get("/api/runs").json() if row["name"] == "wrong"]
    assert "width" in row["reason"]
    assert not (home / "runs" / "wrong").exists()


def test_only_so_many_trainings_run_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr("ganarium.studio.jobs.MAX_RUNNING", 0)
    with pytest.raises(UserError, match="running"):
        Jobs(tmp_path).start("one", ["list"])


def test_a_process_that_took_the_number_of_a_training_is_not_stopped(tmp_path):
    """The pid of a job that ended long ago is now that of the test itself."""
    jobs = Jobs(tmp_path)
    jobs.folder.mkdir(exist_ok=True)
    (tmp_path / "old.json").write_text(json.dumps({"pid": os.getpid(), "born": 1, "words": []}))
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(UserError, match="not a training"):
        jobs.stop("old")
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_command_asks_for_what_is_there(tmp_path, capsys, monkeypatch):
    assert cli.main(["studio", "--open", str(tmp_path / "nothing")]) == 2
    assert "no folder" in capsys.readouterr().err
    assert cli.main(["studio", "--port", "99999"]) == 2
    monkeypatch.setitem(__import__("sys").modules, "ganarium.studio.server", None)
    assert cli.main(["studio"]) == 2
    assert "pip install fastapi" in capsys.readouterr().err


def test_exports_are_of_checkpoints_that_there_are(client):
    assert client.post("/api/export", json={"run": "plain", "step": 77}).status_code == 400
    assert client.post("/api/export", json={"run": "../plain"}).status_code == 400


def luminance(colour):
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in (c / 255 for c in colour)]
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_words_stand_out_from_their_ground_in_light_and_dark():
    """WCAG's contrast of at least 4.5 for text, on every ground that the page has."""
    sheet = (Path(ganarium.__file__).parent / "studio" / "static" / "common.css").read_text()
    for theme in re.findall(r":root[^{]*\{(.*?)\}", sheet, re.DOTALL)[:2]:
        colours = {name: bytes.fromhex(value) for name, value in re.findall(r"--([\w-]+): #(\w{6})", theme)}
        pairs = [(ink, ground) for ink in ("ink", "quiet", "accent", "warn") for ground in ("paper", "raised", "panel")]
        for ink, ground in [*pairs, ("on-accent", "accent"), ("ink", "accent-soft")]:
            low, high = sorted(luminance(colours[name]) for name in (ink, ground))
            assert (high + 0.05) / (low + 0.05) >= 4.5, (ink, ground)


def test_both_languages_have_the_same_words():
    script = (Path(ganarium.__file__).parent / "studio" / "static" / "studio_words.js").read_text()
    english, chinese = script.split("  zh: {")
    keys = [re.findall(r'(?:^\s*|[{,]\s*)(\w+): "', part, re.MULTILINE) for part in (english, chinese)]
    assert sorted(set(keys[0])) == sorted(set(keys[1]))
    assert len(keys[0]) > 100
    said = re.findall(r'"(\w[^"]+)"', inspect.getsource(Sampling.task.fget).split('"""')[2])
    assert len(said) > 10
    assert [words for words in said if f'"{words}": "' not in chinese] == [], "what a model makes, in Chinese"
