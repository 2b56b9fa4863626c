"""The report of a run: what it reads, what it says of copies, that it disturbs nothing, and the page in a browser."""

import functools
import json
import re
import shlex
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import ganarium
from ganarium import cli, registry
from ganarium.data.dataset import decode
from ganarium.errors import RunError, UserError
from ganarium.metrics.protocol import Protocol
from ganarium.pictures import grid
from ganarium.runs import checkpoint
from ganarium.runs.rows import read_rows
from ganarium.training.session import Run
from ganarium.web import html, report
from ganarium.web.report import artifacts, commands, curves, frames, run_data, sections
from synthetic import dataset

QUIET = {"threads": 1, "device": "cpu", "quiet": True}
GLYPHS = {"data": "glyphs", "characters": "digits", "size": "16", "batch_size": 16}
DCGAN = {"width": 4, "sample_every": 2, "log_every": 1}
HOSTILE = "<script>alert('x')</script> & \"co\""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """One small run of each kind."""
    folder = tmp_path_factory.mktemp("runs")
    ganarium.train("dcgan", steps=6, out=str(folder / "dcgan"), **DCGAN, **GLYPHS, **QUIET)
    ganarium.train("gan", data="ring", steps=6, width=16, log_every=2, out=str(folder / "ring"), **QUIET)
    ganarium.train("cgan", steps=2, joining="product", width=4, out=str(folder / "cgan"), **GLYPHS, **QUIET)
    small = {"width": 4, "num_blocks": 1}
    ganarium.train("cyclegan", data="scenes_unpaired", size=16, steps=1, out=str(folder / "cycle"), **small, **QUIET)
    ganarium.train("pixelrnn", steps=2, head=8, out=str(folder / "pixel"), **small, **GLYPHS, **QUIET)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(artifacts, "MOST", 600)
        for run in folder.iterdir():
            assert cli.main(["report", str(run), "--device", "cpu"]) == 0
    return folder


@pytest.fixture
def run(runs, tmp_path):
    """A run of dcgan to write into, with all that a report can show."""
    folder = tmp_path / "run"
    folder.mkdir()
    for path in (runs / "dcgan").rglob("*"):
        if path.is_file():
            copy = folder / path.relative_to(runs / "dcgan")
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    (folder / "evaluations").mkdir(exist_ok=True)
    protocol = Protocol("glyphs", "ab" * 32, 100, 100, "as it is", 0)
    fill(folder, protocol)
    other = {"step": 6, "values": {"frechet_distance": 7.25}, "protocol": asdict(replace(protocol, num_fake=555))}
    (folder / "evaluations" / "evaluation-00000006-glyphs-seed0.json").write_text(json.dumps(other))
    return folder


def fill(folder: Path, protocol: Protocol) -> None:
    """Evaluations, scores and a note, each file with the half line that a kill leaves."""
    values = {2: 9.5, 4: 3.25, 6: 5.5}
    bins = {"low": -1.0, "high": 1.0, "counts": [1, 2, 3, 4]}
    histograms = {"D/real": bins, "D/fake": bins | {"counts": [4, 3, 2, 1]}}
    lines = {
        "evaluations.jsonl": [
            {"step": step, "seconds": 1.0, "took": 0.1, "values": {"frechet_distance": v}, "protocol": asdict(protocol)}
            for step, v in values.items()
        ],
        "scores.jsonl": [{"step": step, "histograms": histograms} for step in (2, 4)],
        "doctor.jsonl": [
            {
                "step": 4,
                "sign": "collapse",
                "player": "G",
                "seen": "one <mode>",
                "causes": ["a cause"],
                "try": ["a way"],
            }
        ],
    }
    for name, rows in lines.items():
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"step": 6, "se')
    best = {"step": 4, "metric": "frechet_distance", "value": 3.25, "lower_is_better": True}
    (folder / "best.json").write_text(json.dumps(best))


def data_of(page: str) -> dict:
    """What the script of a page finds."""
    return json.loads(re.search(r"id='data'>(.*?)</script>", page).group(1))


def titles(page: str) -> list[str]:
    return re.findall(r"<h2>(.*?)</h2>", page)


def test_a_page_tells_all_that_the_files_hold(run):
    page = report.write(run).read_text()
    parts = ["The doctor's notes", "Samples", "Real beside fake", "Losses and speed", "Evaluation", "Scores"]
    assert titles(page) == [title.replace("'", "&#x27;") for title in parts] + [
        "Nearest training images",
        "Between codes",
        "Setup",
    ]
    data = data_of(page)
    assert data["frames"]["steps"] == [0, 2, 4, 6]
    assert len(data["frames"]["earlier"]) == 3
    panels = {panel["title"]: panel for panel in data["panels"]}
    assert {"player D", "player G", "speed", "frechet distance"} == panels.keys()
    logged = read_rows(run / "metrics.jsonl")
    (adversarial,) = (s for s in panels["player G"]["series"] if s["name"] == "adversarial")
    assert adversarial["points"] == [[row["step"], pytest.approx(row["G/adversarial"], rel=1e-4)] for row in logged]
    assert panels["frechet distance"]["best"] == [4, 3.25]
    assert [row["step"] for row in data["scores"]] == [2, 4]
    assert "Collapse <small>player G, step 4</small>" in page
    assert "One &lt;mode&gt;" in page
    assert "a cause" in page
    assert "arxiv.org/abs/1511.06434" in page


def test_two_protocols_are_never_in_one_table(run):
    page = report.write(run).read_text()
    tables = [table for table in re.findall(r"<table>.*?</table>", page) if "frechet" in table]
    assert len(tables) == 2
    assert "3.25" in tables[0]
    assert "5.5" in tables[0]
    assert "7.25" in tables[1]
    assert "7.25" not in tables[0]
    assert "step 4, best" in tables[0]
    assert "step 6, last" in tables[0]
    assert "100 generated" in page
    assert "555 generated" in page


def test_numbers_that_do_not_say_how_they_were_measured_are_left_out(run):
    (run / "evaluations.jsonl").write_text(
        json.dumps({"step": 2, "values": {"a": 1.0}, "protocol": {"seed": 0}}) + "\n"
    )
    assert run_data.read(run).evaluations == []


@pytest.mark.parametrize("state", ["absent", "empty", "torn"])
def test_what_is_not_there_is_left_out(run, state):
    names = ["metrics.jsonl", "evaluations.jsonl", "scores.jsonl", "doctor.jsonl", "best.json", "state.json"]
    names += ["report/neighbours.json", "report/walk.json"]
    for name in names:
        path = run / name
        path.unlink() if state == "absent" else path.write_text("" if state == "empty" else '{"step": 3, "val')
    for path in (run / "evaluations").iterdir():
        path.write_text("{")
    page = report.write(run).read_text()
    assert titles(page) == ["Samples", "Real beside fake", "Losses and speed", "Setup"]
    assert "Nothing has been logged yet" in page
    for path in (run / "samples").iterdir():
        path.unlink()
    assert "There is no sample grid yet" in report.write(run).read_text()


def test_names_from_files_are_text_and_nothing_else(run):
    config = json.loads((run / "config.json").read_text())
    config["data"] |= {"name": HOSTILE, "class_names": [HOSTILE] * 30, "source": HOSTILE}
    config["options"]["data"] = f"{HOSTILE}\udcff"  # as a damaged byte in a name reads
    (run / "config.json").write_text(json.dumps(config))
    (run / "state.json").write_text(json.dumps({"state": "failed", "step": 6, "seconds": 1, "reason": HOSTILE}))
    (run / "metrics.jsonl").write_text(json.dumps({"step": 1, f"D/{HOSTILE}": 1.0, "D/inf": float("inf")}) + "\n")
    page = report.write(run).read_text(encoding="utf-8")
    assert page.count("<script") == 2  # its own: the data and the program
    assert "<script>alert" not in page
    assert page.count("&lt;script&gt;alert") > 4
    assert "and 10 more" in page
    assert data_of(page)["panels"][0]["series"][0]["name"] == HOSTILE


def test_a_page_asks_for_nothing(run):
    page = report.write(run).read_text()
    outside = re.findall(r"(?:src|href)=['\"]?(?!data:)([^'\" >]+)", page)
    assert outside == ["https://arxiv.org/abs/1511.06434"]
    assert "url(" not in page
    assert "@import" not in page


@pytest.mark.parametrize(
    ("name", "has"),
    [
        ("dcgan", {"real.png", "walk.png", "neighbours-samples.png", "neighbours-held_out.png"}),
        ("cgan", {"real.png", "walk.png", "neighbours-samples.png", "neighbours-held_out.png"}),
        ("pixel", {"real.png", "neighbours-samples.png", "neighbours-held_out.png"}),  # no codes
        ("cycle", set()),
        ("ring", set()),
    ],
)
def test_each_kind_of_model_has_the_parts_that_suit_it(runs, name, has):
    assert {path.name for path in (runs / name / "report").glob("*.png")} == has
    page = (runs / name / "report.html").read_text()
    assert ("Inputs and outputs" in titles(page)) == (name == "cycle")
    assert ("Nearest training images" in titles(page)) == bool(has)
    assert ("Between codes" in titles(page)) == ("walk.png" in has)
    assert ("keeps its class" in page) == (name == "cgan")


def test_curves_are_thinned_and_keep_their_extremes():
    values = np.random.default_rng(0).normal(size=7919).tolist()
    values[1234], values[6000] = 50.0, -60.0
    points = list(enumerate(values))
    thin = curves.thinned(points)
    assert len(thin) <= curves.MOST
    assert thin == sorted(thin)
    assert {points[0], points[-1], (1234, 50.0), (6000, -60.0)} <= {*thin}
    assert curves.thinned(points[:900]) == points[:900]


def test_the_speed_is_that_of_each_stretch():
    rows = [{"step": 10, "seconds": 1.0}, {"step": 20, "seconds": 2.0}, {"step": 30, "seconds": 7.0}, {"step": 31}]
    assert curves.speed(rows) == [(20, 10.0), (30, 2.0)]


def test_frames_fit_a_page(tmp_path):
    rng = np.random.default_rng(0)
    grids = []
    for step in range(45):
        path = tmp_path / f"step-{step:08d}.png"
        Image.fromarray(rng.integers(0, 255, (350, 350, 3), dtype=np.uint8)).save(path)  # noise: nothing is larger
        grids.append((step, path))
    shown = frames.chosen(grids)
    assert sum(len(uri) for _, (uri, _) in shown) <= frames.ROOM
    assert len(shown) <= frames.MOST
    assert (shown[0][0], shown[-1][0]) == (0, 44)
    assert [step for step, _ in frames.spread(grids, 5)] == [0, 11, 22, 33, 44]


@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 24, 16), (4, 8, 8), (3, 400, 300)])
def test_a_grid_is_cut_into_the_images_it_was_made_of(tmp_path, shape):
    stored = torch.randint(0, 256, (7, *shape[1:], shape[0]), dtype=torch.uint8)
    path = grid.save_grid(decode(stored), tmp_path / "grid.png")
    assert torch.equal(grid.tiles(path, 7, shape), stored)
    with Image.open(path) as picture:
        plain = frames.plain(picture)
        assert picture.width % plain.width == 0
        assert (plain.width - 2) % (shape[2] + 2) == 0


def searched(train, images, features, **options):
    return artifacts.search(features(images), features, train, **options)


def test_the_search_finds_the_nearest_in_the_memory_of_a_chunk(monkeypatch):
    train = dataset(ganarium.data.dataset.Images, (1, 16, 16), n=500)
    monkeypatch.setattr(artifacts, "CHUNK", 37)
    queries = decode(dataset(ganarium.data.dataset.Images, (1, 16, 16), n=9, seed=1).images)
    actual = searched(train, queries, lambda images: images.flatten(1))
    known = decode(train.images)
    distances, places = torch.cdist(queries.flatten(1), known.flatten(1)).topk(3, largest=False)
    assert torch.allclose(actual.distances, distances, atol=1e-4)
    assert torch.equal(actual.images, known[places])
    assert actual.searched == 500
    assert searched(train, queries, lambda images: images.flatten(1), seconds=0).searched == 37
    monkeypatch.setattr(artifacts, "MOST", 90)
    assert searched(train, queries, lambda images: images.flatten(1)).searched == 90


@pytest.mark.parametrize(
    ("kind", "said"),
    [("copies", "are copies of training images"), ("held out", "no sign"), ("noise", "no sign")],
)
def test_copies_are_told_from_what_is_new(runs, tmp_path, kind, said):
    train, test = ganarium.data.load_data("glyphs", characters="digits", size=(16, 16))
    generator = torch.Generator().manual_seed(3)
    # copies of images that training mirrors are copies all the same
    few = train.images[torch.randperm(len(train), generator=generator)[:3000]]
    train = replace(train, images=few, labels=None, mirror=True)
    other = test.images[torch.randperm(len(test), generator=generator)[:64]]
    images = {
        "copies": decode(train.images[:64]),
        "held out": decode(other),
        "noise": torch.rand(64, 1, 16, 16, generator=generator) * 2 - 1,
    }[kind]
    grid.save_grid(images, tmp_path / "samples" / "step-00000007.png")
    artifacts.neighbours(tmp_path, ganarium.load(runs / "dcgan"), train, test)
    told = json.loads((tmp_path / "report" / "neighbours.json").read_text())
    assert told["searched"] == told["total"] == len(train)
    assert said in sections.verdict(told)
    assert f"all {len(train):,} training images ({train.checksum()[:8]})" in sections.protocol_of(told)
    assert (told["copied"] > 0.9) == (kind == "copies")
    assert kind == "copies" or told["copied"] <= 0.1
    if kind == "copies":
        assert told["samples"]["median"] < 1e-3 * told["held_out"]["median"]
        assert told["nearer"] == 1


def test_what_ada_does_has_panels_of_its_own():
    rows = [{"step": step, "D/real": 0.7, "D/augment_p": 1e-4 * step, "D/augment_r": 0.9} for step in (50, 100)]
    player, p, r_t = curves.of_players(rows)
    assert [series["name"] for series in player["series"]] == ["real"]
    assert (p["title"], p["unit"]) == ("player D: how often ADA changes images", "p")
    assert p["series"] == [{"name": "p", "points": [[50, 0.005], [100, 0.01]]}]
    assert r_t["series"] == [{"name": "r_t", "points": [[50, 0.9], [100, 0.9]]}]


def test_samples_far_from_the_data_are_no_copies():
    told = {"samples": {"median": 4.0}, "held_out": {"median": 2.0}, "nearer": 0.0}
    assert "lie further from the data" in sections.verdict(told)


def test_nothing_is_said_where_held_out_images_are_in_the_training_set():
    told = {"samples": {"median": 1.0}, "held_out": {"median": 0.0}, "nearer": 0.0}
    assert "nothing can be said" in sections.verdict(told)


def test_a_run_with_and_without_the_report_is_bit_equal(tmp_path, monkeypatch):
    def weights(name):
        ganarium.train("dcgan", steps=6, out=str(tmp_path / name), **DCGAN, **GLYPHS, **QUIET)
        return checkpoint.newest(tmp_path / name)[1]

    written = []

    def always(self, bar):
        artifacts.make(self.folder, self.model, self.trainer.batches.data, self.held_out.data)
        written.append(report.write(self.folder))

    monkeypatch.setattr(Run, "_report", always)
    monkeypatch.setattr("ganarium.training.session.ARTIFACTS_FROM", 0.0)
    monkeypatch.setattr(artifacts, "MOST", 300)
    with_it = weights("with")
    assert len(written) == 3
    monkeypatch.setattr(Run, "_report", lambda self, bar: None)
    monkeypatch.setattr(Run, "_last_report", lambda self, state, seconds: None)
    without = weights("without")
    assert not (tmp_path / "without" / "report.html").exists()
    assert with_it.keys() == without.keys()
    for name, tensors in with_it.items():
        assert all(torch.equal(value, without[name][key]) for key, value in tensors.items())


def test_the_page_is_written_while_the_run_goes_on_and_after_a_resume(tmp_path, monkeypatch):
    seen, write = [], report.write

    def observed(folder):
        actual = run_data.read(folder)
        seen.append((actual.summary.state, actual.pictures[-1][0]))
        return write(folder)

    monkeypatch.setattr(report, "write", observed)
    folder = tmp_path / "run"
    ganarium.train("dcgan", steps=4, out=str(folder), **DCGAN, **GLYPHS, **QUIET)
    assert seen[0] == ("running", 2)
    assert seen[-1] == ("finished", 4)
    (folder / "report.html").write_text("half a pa")
    ganarium.resume(folder, steps=6, quiet=True)
    assert seen[-1] == ("finished", 6)
    page = (folder / "report.html").read_text()
    assert data_of(page)["frames"]["steps"] == [0, 2, 4, 6]
    assert "6 of 6" in page


def test_a_disk_that_takes_no_page_stops_the_run_and_hides_nothing_at_its_end(tmp_path, monkeypatch):
    def full(text, path):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(html, "save", full)
    with pytest.raises(RunError, match=r"No space left.*goes on from there"):
        ganarium.train("dcgan", steps=6, out=str(tmp_path / "a"), **DCGAN, **GLYPHS, **QUIET)
    once = DCGAN | {"sample_every": 6}
    ganarium.train("dcgan", steps=6, out=str(tmp_path / "b"), **once, **GLYPHS, **QUIET)  # only the last is tried
    assert json.loads((tmp_path / "b" / "state.json").read_text())["state"] == "finished"


def test_the_command_on_the_page_makes_the_same_run(tmp_path, here):
    folder = tmp_path / "my runs" / "it's"
    given = GLYPHS | DCGAN | {"lr": 7e-4, "beta1": 0.25, "seed": 3, "mirror": True, "precision": "fp64", "steps": 2}
    ganarium.train("dcgan", out=str(folder), **given, **QUIET)
    config = json.loads((folder / "config.json").read_text())
    words = shlex.split(commands.reproduce(config))
    assert words[:3] == ["ganarium", "train", "dcgan"]
    assert "--seed" in words
    assert "--keep" not in words  # as it is by default
    assert cli.main([*words[1:], "--out", "again"]) == 0
    again = json.loads(Path("again/config.json").read_text())
    assert again["options"] | {"out": None} == config["options"] | {"out": None}
    assert again["model_options"] == config["model_options"]
    several = config | {"world": 2}
    assert commands.reproduce(several).startswith("torchrun --nproc-per-node 2 -m ganarium train dcgan")
    assert shlex.split(commands.resume(folder, config, steps=8)) == ["ganarium", "resume", str(folder), "--steps", "8"]


def test_the_command_names_a_preset_and_what_differs_from_it():
    own = {"preset": "small", "max_width": 512, "latent_dim": 8}  # 512 is the model's default, and not the preset's
    options = asdict(registry.make_config("stylegan2", own))
    config = {"model": "stylegan2", "options": {"data": "scenes"}, "model_options": options, "precision": "fp32"}
    words = commands.reproduce(config | {"data": {"shape": [3, 32, 32]}, "world": 1})
    assert words == "ganarium train stylegan2 --data scenes --preset small --max-width 512 --latent-dim 8"


def test_without_its_data_a_run_still_has_a_page(run, capsys):
    for path in [run / "config.json", *run.glob("checkpoints/*/checkpoint.json")]:
        path.write_text(path.read_text().replace('"data": "glyphs"', '"data": "/gone/away"'))
    (run / "report.html").unlink()
    assert cli.main(["report", str(run), "--device", "cpu"]) == 0
    out, err = capsys.readouterr()
    assert "gone" in err
    assert out.strip() == str(run / "report.html")
    assert (run / "report.html").exists()
    assert cli.main(["report", str(run.parent / "none")]) == 2


def test_runs_side_by_side(runs, tmp_path, capsys):
    page = tmp_path / "pages" / "both.html"
    both = ["compare", str(runs / "dcgan"), str(runs / "pixel"), "--n", "40", "--device", "cpu", "--html", str(page)]
    assert cli.main(both) == 0
    assert str(page) in capsys.readouterr().out
    text = page.read_text()
    assert "2 runs on glyphs" in text
    assert "40 generated" in text
    panels = {panel["title"]: panel for panel in data_of(text)["panels"]}
    assert [series["name"] for series in panels["G: adversarial"]["series"]] == ["dcgan", "pixel"]
    assert panels["G: adversarial"]["series"][0]["points"]
    assert panels["G: adversarial"]["series"][1]["points"] == []  # and keeps its colour
    page.unlink()
    different = [
        "compare",
        str(runs / "dcgan"),
        str(runs / "ring"),
        "--n",
        "40",
        "--device",
        "cpu",
        "--html",
        str(page),
    ]
    assert cli.main(different) == 2
    assert not page.exists()


CHROMIUM = Path("/usr/bin/chromium")


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip(f"there is no {CHROMIUM}")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def look(browser):
    """Opens a file in a window of a width; the test fails if the page says an error or asks for anything."""
    troubles, contexts = [], []

    def opened(path, width=1100, **options):
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: troubles.append(message.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        own = path.resolve().as_uri()
        page.on("request", lambda request: troubles.append(request.url) if request.url[:5] != "data:" else None)
        page.goto(own)
        assert troubles.pop(0) == own
        return page

    yield opened
    for context in contexts:
        context.close()
    assert troubles == []


def ink(page, of="body", what="color"):
    return page.evaluate(f"getComputedStyle(document.querySelector('{of}')).{what}")


def overflows(page):
    return page.evaluate("document.documentElement.scrollWidth > innerWidth")


def test_in_a_browser_the_slider_moves_through_the_samples(run, look):
    page = look(report.write(run))
    image, bar = page.locator("[data-frames] img"), page.locator("[data-frames] input")
    said = page.locator("[data-frames] output")
    last = image.get_attribute("src")
    assert said.inner_text() == "step 6"
    bar.focus()
    page.keyboard.press("Home")
    assert said.inner_text() == "step 0"
    assert image.get_attribute("src") != last
    assert image.get_attribute("alt") == "samples at step 0"
    page.keyboard.press("ArrowRight")
    assert said.inner_text() == "step 2"
    page.locator("[data-frames] button").click()  # plays to the end
    page.locator("[data-frames] output", has_text="step 6").wait_for()
    assert image.get_attribute("src") == last
    assert all(page.evaluate("[...document.images].map((image) => image.naturalWidth > 0 && image.alt !== '')"))


def test_in_a_browser_a_curve_tells_its_values(run, look):
    rows = [{"step": step, "D/real": 10.0**-step, "D/low": -1.0 * step} for step in range(1, 6)]
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    page = look(report.write(run))
    chart = page.locator("[data-panel]").first
    svg, legend, button = chart.locator("svg"), chart.locator(".legend"), chart.locator("button")
    assert legend.inner_text().replace("\n", " ").split() == ["step", "5", "real", "1.0e-5", "low", "-5"]
    svg.scroll_into_view_if_needed()
    box = svg.bounding_box()
    page.mouse.move(box["x"] + 53, box["y"] + 80)  # the left end of the axis
    assert legend.inner_text().replace("\n", " ").split() == ["step", "1", "real", "0.1", "low", "-1"]
    assert chart.locator(".cross").get_attribute("visibility") == "visible"
    page.mouse.move(box["x"] + 53, box["y"] - 300)
    assert "step 5" in legend.inner_text()
    linear = chart.locator("path").first.get_attribute("d")
    button.click()
    assert button.inner_text() == "linear scale"
    straight = [float(y) for y in re.findall(r" ([\d.]+)(?=L|$)", chart.locator("path").first.get_attribute("d"))]
    assert chart.locator("path").first.get_attribute("d") != linear
    assert np.diff(straight) == pytest.approx(np.diff(straight)[0], abs=0.3)  # a power of ten a step
    assert page.locator("[data-scores] path").count() == 2


def test_in_a_browser_the_scores_have_a_slider_of_their_own(run, look):
    row = {"low": -1.0, "high": 1.0, "counts": [0, 0, 9, 0]}
    (run / "scores.jsonl").write_text(
        "".join(
            json.dumps({"step": step, "histograms": {"D/real": row | {"counts": counts}, "D/fake": row}}) + "\n"
            for step, counts in ((10, [9, 0, 0, 0]), (20, [0, 0, 0, 9]))
        )
    )
    page = look(report.write(run))
    real = page.locator("[data-scores] path").first
    before = real.get_attribute("d")
    page.locator("[data-scores] input").focus()
    page.keyboard.press("ArrowLeft")
    assert page.locator("[data-scores] output").inner_text() == "step 10"
    assert real.get_attribute("d") != before


@pytest.mark.parametrize("name", ["dcgan", "ring", "cycle", "pixel"])
def test_in_a_browser_every_kind_of_run_fits_a_phone_in_the_dark(runs, look, name):
    path = report.write(runs / name)
    light, dark = look(path), look(path, width=400, color_scheme="dark")
    assert not overflows(light)
    assert not overflows(dark)
    assert ink(light, what="backgroundColor") == "rgb(255, 255, 255)"
    assert ink(dark, what="backgroundColor") != ink(light, what="backgroundColor")
    assert ink(dark) != ink(light)


def test_in_a_browser_hostile_names_run_no_script_and_a_bare_run_no_error(run, look):
    test_names_from_files_are_text_and_nothing_else(run)
    page = look(run / "report.html", width=400)
    assert page.locator("h1").inner_text() == f"dcgan on {HOSTILE}"
    assert not overflows(page)
    for path in [*run.glob("*.jsonl"), *run.glob("samples/*")]:
        path.unlink()
    look(report.write(run))


def test_in_a_browser_the_other_pages(runs, look, tmp_path):
    measure = functools.partial(ganarium.evaluate, n=40, device="cpu")
    from ganarium.web import comparison

    names = ("dcgan", "pixel")
    text = comparison.page({name: runs / name for name in names}, {name: measure(runs / name) for name in names})
    page = look(html.save(text, tmp_path / "both.html"), width=400)
    assert not overflows(page)
    assert page.locator("[data-panel] svg").count() == len(data_of(text)["panels"])
    with pytest.raises(UserError, match="different data"):
        comparison.page({}, {name: measure(runs / name) for name in ("dcgan", "ring")})
    for place, size in enumerate([(30, 40), (64, 64), (90, 20)] * 4):
        pixels = np.random.default_rng(place).integers(0, 255, (*size, 3), dtype=np.uint8)
        (tmp_path / "set" / f"{'ab'[place % 2]} class with quite a long name").mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(next((tmp_path / "set").glob(f"{'ab'[place % 2]}*")) / f"{place}.png")
    cli.main(["data", str(tmp_path / "set"), "--html", "--out", str(tmp_path / "set.png")])
    assert not overflows(look(tmp_path / "set.html", width=400, color_scheme="dark"))


def test_pictures_larger_than_thumbnails_are_searched_for_copies(tmp_path):
    train, test = ganarium.data.load_data("glyphs", characters="digits", size=(24, 20))
    train = replace(train, images=train.images[::20], labels=None)
    grid.save_grid(decode(train.images[:64]), tmp_path / "samples" / "step-00000007.png")
    artifacts.neighbours(tmp_path, ganarium.create("dcgan", (1, 24, 20), width=8), train, test)
    assert json.loads((tmp_path / "report" / "neighbours.json").read_text())["copied"] > 0.9
