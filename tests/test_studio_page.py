"""The studio's page in a real browser, against a studio that was started as a person starts it."""

import io
import json
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
import torch

import ganarium
import other_programs as other
from ganarium.runs.lock import running
from studio_home import make_home, picture

pytest.importorskip("fastapi", reason="the packages of the studio are not installed")
pytest.importorskip("multipart", reason="the packages of the studio are not installed")
sync_api = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
CHROMIUM = Path("/usr/bin/chromium")
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no {CHROMIUM}")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return make_home(
        tmp_path_factory.mktemp("studio"), ["plain", "labelled", "maps", "larger", "holes", "sorts", "words", "styles"]
    )


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def address(home):
    """What `ganarium studio` prints; the process is killed at the end, as a user may kill it."""
    words = ["studio", str(home / "runs"), "--open", str(home / "opened"), "--no-browser", "--device", "cpu"]
    environment = os.environ | {"PYTHONPATH": str(Path(ganarium.__file__).parents[1])}
    command = [sys.executable, "-m", "ganarium", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            yield process.stdout.readline().split()[-1]
        finally:
            process.kill()


@pytest.fixture
def look(browser, address):
    """Opens the studio; the test fails if the page says an error or asks another place for anything."""
    troubles, contexts = [], []
    own = address.split("/?")[0]

    def opened(path="", **options):
        context = browser.new_context(**{"viewport": {"width": 1200, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(300_000)
        page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        allowed = (own, "data:", f"blob:{own}")
        page.on("request", lambda request: None if request.url.startswith(allowed) else troubles.append(request.url))
        page.goto(address)
        assert "token" not in page.url
        if path:
            page.goto(f"{own}/#{path}")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert troubles == []


def wait_for(condition, seconds=300):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError("it did not come")


def source(page, selector=".canvas > img"):
    """The address of a picture that has come, else None."""
    drawn = "(images) => images.filter((one) => one.complete && one.naturalWidth).map((one) => one.src)[0] ?? null"
    return page.locator(selector).evaluate_all(drawn)


def wait_for_picture(page, selector=".canvas > img", other_than=None):
    wait_for(lambda: source(page, selector) not in (None, other_than))
    return source(page, selector)


def choose(page, run, then):
    """Chooses a run to play with, and waits for a control that it has."""
    page.locator("#play-run").select_option(run)
    page.locator(then).wait_for()


def drop(page, content, name="one.png", kind="image/png", place=".drop input[type=file]"):
    page.locator(place).first.set_input_files({"name": name, "mimeType": kind, "buffer": content})


def test_a_run_is_started_watched_and_stopped_and_outlives_the_studio(look, home):
    page = look()
    page.locator("#set").select_option("ring")  # which is drawn here, without a network
    page.locator(".choice", has_text="wgan_gp").wait_for()
    page.locator(".lines", has_text="points").wait_for()
    wait_for_picture(page, ".found img")
    page.locator("#other").select_option("gan")
    page.locator("summary", has_text="Options of the model").click()
    page.locator("#option-width").fill("4")
    page.locator("#name").fill("from the page")
    page.locator("#minutes").fill("2")
    page.get_by_role("button", name="Start training").click()
    wait_for_picture(page, ".film img")
    page.get_by_role("button", name="Stop and save").wait_for()
    folder = home / "runs" / "from the page"
    assert running(folder)
    page.locator("canvas").first.wait_for()
    page.locator("dt", has_text="Time left").wait_for()
    page.get_by_role("button", name="Stop and save").click()
    page.get_by_role("button", name="Go on").wait_for()
    assert json.loads((folder / "state.json").read_text())["state"] == "stopped"
    page.get_by_role("link", name="Play with it").click()
    wait_for_picture(page)


def test_a_zip_that_is_dropped_becomes_data(look):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for number in range(12):
            archive.writestr(f"pets/{number}.png", picture(20, 20, (20 * number, 90, 40)))
    page = look()
    drop(page, stream.getvalue(), "pets.zip", "application/zip")
    page.locator(".lines", has_text="20x20").wait_for()
    assert page.locator("#path").input_value().endswith("pets.zip")
    assert page.locator(".choice").count() > 0


def test_a_folder_is_taken_without_what_lies_beside_its_pictures(look, tmp_path):
    (tmp_path / "pets").mkdir()
    for number in range(12):
        (tmp_path / "pets" / f"it's [{number}].png").write_bytes(picture(20, 20, (20 * number, 90, 40)))
    for other_file in (".DS_Store", "Thumbs.db", "notes.txt"):
        (tmp_path / "pets" / other_file).write_text("no picture")
    page = look()
    page.locator(".drop input[type=file]").nth(1).set_input_files(tmp_path / "pets")
    page.locator("#toast", has_text="3 others were left out").wait_for()
    page.locator(".lines", has_text="20x20").wait_for()
    assert page.locator("#path").input_value().endswith("pets")


def test_controls_are_those_of_the_model(look):
    page = look("/play/labelled")
    first = wait_for_picture(page)
    page.locator("#class").select_option("3")
    wait_for_picture(page, other_than=first)
    assert page.locator("#direction-0").count() == 1
    assert page.locator("#category, #direction, #brush, #sentence, #second").count() == 0

    choose(page, "styles", "#second")
    first = wait_for_picture(page)
    page.locator("#second").fill("7")
    page.locator("#second").press("Enter")
    mixed = wait_for_picture(page, other_than=first)
    page.locator("#crossover").press("Home")  # all layers from the second seed
    swapped = wait_for_picture(page, other_than=mixed)
    page.get_by_role("button", name="Make a walk").click()
    wait_for_picture(page, other_than=swapped)

    choose(page, "words", "#sentence")
    first = wait_for_picture(page)
    page.locator("#sentence").fill("a large red circle")
    page.locator("#sentence").press("Tab")
    wait_for_picture(page, other_than=first)

    choose(page, "maps", "#direction")
    assert page.locator("#sample-seed, #class, #direction-0, #brush").count() == 0
    drop(page, picture(40, 40))
    wait_for_picture(page, ".before-after .after")
    page.get_by_label("Before and after").press("End")
    assert page.locator(".before-after .after").evaluate("(node) => node.style.clipPath").endswith("100%)")

    choose(page, "larger", "text=Enlarges")
    drop(page, picture(20, 20))
    wait_for_picture(page, ".before-after .after")

    choose(page, "sorts", "h3:text('Classify')")
    drop(page, picture(16, 16, "white"))
    page.locator(".bars progress").first.wait_for()


def test_a_hole_is_painted_and_filled(look):
    page = look("/play/holes")
    page.locator("#brush").wait_for()
    drop(page, picture(64, 64))
    paint = page.locator(".paint canvas")
    wait_for(lambda: paint.count() and paint.evaluate("(canvas) => canvas.width") == 64)
    box = paint.bounding_box()
    across, down = (box[key] + box[side] / 2 for key, side in (("x", "width"), ("y", "height")))
    page.mouse.move(across - 10, down)
    page.mouse.down()
    page.mouse.move(across + 10, down, steps=4)
    page.mouse.up()
    middle = "(canvas) => canvas.getContext('2d').getImageData(32, 32, 1, 1).data[3]"
    assert paint.evaluate(middle) == 255
    page.get_by_role("button", name="Mark the middle").click()
    page.get_by_role("button", name="Fill it").click()
    wait_for_picture(page, ".before-after .after")


def test_codes_are_added(look):
    page = look("/play/plain")
    wait_for_picture(page)
    page.get_by_role("button", name="A, B, C").click()
    cells = page.locator(".cells button")
    cells.nth(15).wait_for()
    first = source(page)
    cells.nth(0).click()
    cells.nth(5).click()
    cells.nth(5).click()
    page.get_by_role("button", name="A − B + C").click()  # noqa: RUF001
    wait_for_picture(page, other_than=first)


def test_weights_of_others_are_opened(look, home):
    page = look("/play/plain")
    weights, _ = other.resnet()
    stream = io.BytesIO()
    torch.save(weights, stream)
    inputs = page.locator("input[accept*='.pth']")
    inputs.wait_for(state="attached")
    inputs.set_input_files({"name": "night2day.pth", "mimeType": "", "buffer": stream.getvalue()})
    page.locator("h3", has_text="Translate").wait_for()
    assert page.locator("#play-run").input_value() == "night2day"
    assert (home / "runs" / "night2day" / "config.json").is_file()
    drop(page, picture(32, 32))
    wait_for_picture(page, ".before-after .after")


def test_a_generator_is_saved_as_a_page_that_opens_from_disk(look, browser, tmp_path):
    page = look("/play/plain")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as one page").click()
    path = tmp_path / "plain.html"
    download.value.save_as(path)
    alone, troubles = browser.new_page(), []
    alone.on("pageerror", lambda error: troubles.append(str(error)))
    alone.on("request", lambda request: troubles.append(request.url) if request.url.startswith("http") else None)
    alone.goto(path.as_uri())
    alone.locator("canvas").first.wait_for()
    assert troubles == []
    alone.close()


def test_the_laboratory_is_in_it(look):
    page = look("/lab", color_scheme="dark")
    lab = page.frame_locator("iframe")
    lab.locator("#run").click()
    frame = page.frames[-1]
    wait_for(lambda: frame.evaluate("Laboratory.trainer.iteration") > 3)
    assert not lab.locator("#top").is_visible()


def test_it_works_by_keyboard(look):
    page = look("/play/plain")
    first = wait_for_picture(page)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
        if page.evaluate("document.activeElement.id") == "direction-0":
            break
    assert {"play-run", "sample-seed", "count", "direction-0"} <= reached
    with page.expect_download() as download:
        page.get_by_role("link", name="Save picture").press("Enter")
    assert download.value.suggested_filename == "ganarium.png"
    page.locator("#direction-0").focus()
    page.keyboard.press("End")
    wait_for_picture(page, other_than=first)


def test_it_fits_a_phone_has_labels_and_speaks_chinese(look):
    page = look("/train", viewport={"width": 375, "height": 800}, color_scheme="dark", locale="zh-CN")
    unnamed = """[...document.querySelectorAll('input, select, canvas, button, progress')].filter((node) => !(
      node.labels?.length || node.getAttribute('aria-label') || node.textContent.trim() || node.closest('label')
    )).length"""
    pages = {
        "/train": ".run .name",
        "/run/plain": ".film img",
        "/play/plain": "#direction-0",
        "/play/maps": "#direction",
        "/compare/plain/labelled": ".charts figure img",
    }
    for path, part in pages.items():
        page.goto(f"{page.url.split('#')[0]}#{path}")
        page.locator(part).first.wait_for()
        assert not page.evaluate("document.documentElement.scrollWidth > innerWidth"), path
        assert page.locator(".tabs a").first.inner_text() == "训练"
        assert page.locator("html").get_attribute("lang") == "zh-Hans"
        assert page.evaluate(unnamed) == 0, path
    page.locator("#language").click()
    assert page.locator(".tabs a").first.inner_text() == "Train"
    page.locator("#theme").click()
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
