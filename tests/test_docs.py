"""The site: every model has a page and neighbours, what the pages say is what the code does, and no link is broken."""

import json
import re
import shlex
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from cyclopts import CycloptsError
from PIL import Image

import ganarium
from ganarium import registry
from ganarium.cli.app import application
from ganarium.data.dataset import Images
from ganarium.data.sources import points as toys
from ganarium.runs import options

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
import model_pages
import model_pictures

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
ALL = registry.list_models()
PARTS = (
    "losses",
    "beside-its-neighbours",
    "train-and-sample",
    "proofs",
    "differences-from-the-paper",
    "options",
    "the-file",
)
needs_mkdocs = pytest.mark.skipif(find_spec("mkdocs") is None, reason="mkdocs is not installed: pip install '.[docs]'")


def built(folder, **changes):
    """The site as `make docs` builds it: a warning (a broken link, a page that is in no menu) is an error."""
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    config = load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder), strict=True, **changes)
    config.plugins.on_startup(command="build", dirty=False)
    build(config)
    return folder


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return built(tmp_path_factory.mktemp("site"))


@needs_mkdocs
def test_every_model_has_a_page_with_its_parts(site):
    for name in ALL:
        page = (site / "models" / f"{name}.html").read_text()
        for part in PARTS:
            assert f'<h2 id="{part}">' in page, (name, part)
        assert registry.card(name)["arxiv"] in page


@needs_mkdocs
def test_the_site_asks_for_nothing_from_anywhere(site):
    for page in site.rglob("*.html"):
        for tag in re.findall(r"<(?:script|link|img|iframe)[^>]*>", page.read_text()):
            assert not re.search(r'(?:src|href)="?(?:https?:)?//', tag), f"{page.name}: {tag}"


@needs_mkdocs
@pytest.mark.parametrize("link", ["nothing.md", "#nowhere", "nothing.png"])
def test_a_broken_link_is_an_error(tmp_path, link):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text(f"# Start\n\n[here]({link})\n")
    from mkdocs.exceptions import Abort

    with pytest.raises(Abort):
        built(tmp_path / "site", docs_dir=str(tmp_path / "docs"), hooks=[], nav=None, extra_css=[])


@needs_mkdocs
def test_links_into_the_repository_lead_to_the_site():
    from docs_site import relinked

    def led(text, page="index.md"):
        return relinked(text, page)

    assert led("[gan](../src/ganarium/models/gan.py)") == "[gan](models/gan.md)"
    assert led("[gan](../../src/ganarium/models/gan.py)", "models/index.md") == "[gan](gan.md)"
    assert led("[models](../README.md#the-models)") == "[models](models/index.md)"
    assert led("[p](proofs.md#gan_saturation-cpu)") == "[p](proofs.md#gan_saturation-cpu)"
    assert led("see [demo.yaml](../demo.yaml)") == "see demo.yaml"
    assert led("```python\nx = [a](../NOTICE)\n```") == "```python\nx = [a](../NOTICE)\n```"


@needs_mkdocs
def test_the_chinese_page_lists_the_same_data():
    import docs_site

    words = yaml.safe_load(docs_site.IN_CHINESE.read_text(encoding="utf-8"))
    chinese = docs_site.data_by_name(words)
    assert [text for text in words.values() if text not in chinese] == [], "texts that the list no longer has"
    assert re.findall("`[^`]+`", chinese) == re.findall("`[^`]+`", docs_site.data_by_name())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_hold_in_the_repository_as_well(page):
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
        assert target.startswith("https://") or (page.parent / target).exists(), target


@pytest.mark.parametrize("name", ALL)
def test_every_model_has_neighbours(name):
    assert len(model_pages.neighbours(name)) >= 2
    for other, sentence in model_pages.neighbours(name).items():
        assert other != name
        assert sentence.endswith(".")


def test_every_neighbour_is_known():
    said = model_pages.beside()
    for entry in said.values():
        assert set(entry) <= {"beside", "commands"}
        assert set(entry["beside"]) <= set(said)


@pytest.mark.parametrize("name", ALL)
def test_a_page_has_the_words_and_the_options_of_the_file(name):
    card, page = registry.card(name), model_pages.page(name)
    losses = card["docstring"].split("\nLosses")[1].split("\n\n")[0]
    assert losses in page
    assert (ROOT / "tests" / "models" / f"test_{name}.py").exists()
    config = registry.module(name).Config
    assert [option.name for option in model_pages.options(name)] == list(registry.field_docs(config))
    for option in model_pages.options(name):
        default = config.__dataclass_fields__[option.name].default
        assert str(default) == option.default


def said_commands():
    """Every command of ganarium in the pages and in the README, as words."""
    texts = [path.read_text() for path in [*PAGES, ROOT / "README.md"]] + [
        "```sh\n" + "\n".join(model_pages.commands(name)) + "\n```" for name in ALL
    ]
    blocks = [block for text in texts for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)]
    lines = {line for block in blocks for line in block.splitlines() if line.startswith("ganarium ")}
    return sorted(lines)


def understood(command):
    given = shlex.split(command, comments=True)[1:]
    if given[0] == "train" and given[1].startswith("--"):
        given.insert(1, "dcgan")  # without a model the data are read and a few steps are timed, and these are not there
    app, words = application(given)
    app.parse_args(words, exit_on_error=False, print_error=False)


@pytest.mark.parametrize("command", [line for line in said_commands() if "hinge_gan" not in line])
def test_the_commands_that_the_pages_give_are_understood(command):
    understood(command)


def test_a_command_that_is_wrong_would_be_noticed():
    with pytest.raises(CycloptsError, match="nn"):
        understood("ganarium sample runs/gan-mnist --nn 64")


def test_pictures_are_small_and_say_how_they_were_made():
    made = json.loads((model_pages.PICTURES / "protocol.json").read_text())
    drawn = {path.stem: path for path in model_pages.PICTURES.glob("*.png")}
    assert set(made) == {name.split("-traversal")[0] for name in drawn}
    for name, path in drawn.items():
        assert path.stat().st_size <= model_pictures.LIMIT, name
        assert Image.open(path).width >= 256
    for facts in made.values():
        assert {"data", "steps", "seed", "options", "rows"} == set(facts) - {"note"}


def test_every_model_has_a_setting_for_its_picture():
    assert set(model_pictures.SETTINGS) == set(ALL)
    for name, setting in model_pictures.SETTINGS.items():
        _, own = options.from_mapping({"data": setting.data, "steps": setting.steps, **setting.options})
        registry.make_config(name, own)


def test_a_picture_is_drawn_and_shown_with_its_protocol(tmp_path, monkeypatch):
    np.savez(tmp_path / "few.npz", images=np.random.default_rng(0).integers(256, size=(200, 16, 16), dtype=np.uint8))
    setting = model_pictures.Setting(2, {"width": 8}, str(tmp_path / "few.npz"))
    monkeypatch.setitem(model_pictures.SETTINGS, "gan", setting)
    monkeypatch.setattr(model_pictures, "FOLDER", tmp_path)
    monkeypatch.setattr(model_pictures, "PROTOCOL", tmp_path / "protocol.json")
    monkeypatch.setattr(model_pages, "PICTURES", tmp_path)
    assert model_pages.picture("gan") == []
    model_pictures.main(["gan"])
    assert (tmp_path / "gan.png").stat().st_size <= model_pictures.LIMIT
    assert "few.npz, 2 steps, seed 0, width 8." in "".join(model_pages.picture("gan"))


def test_a_model_with_a_code_shows_its_rows_and_traversals(tmp_path, monkeypatch):
    small = model_pictures.Setting(2, {"batch_size": 8, "characters": "01", "size": "16"}, "glyphs")
    monkeypatch.setitem(model_pictures.SETTINGS, "infogan", small)
    monkeypatch.setattr(model_pictures, "FOLDER", tmp_path)
    monkeypatch.setattr(model_pictures, "PROTOCOL", tmp_path / "protocol.json")
    monkeypatch.setattr(model_pages, "PICTURES", tmp_path)
    model_pictures.main(["infogan"])
    page = "\n".join(model_pages.picture("infogan"))
    assert "in a row for each class" in page
    assert "(../images/models/infogan-traversal1.png)" in page
    assert "Continuous code 2 from -2 to 2" in page


@pytest.mark.parametrize("shape", [(800, 800), (400, 400, 3)])
def test_a_picture_too_large_has_fewer_levels(tmp_path, shape):
    noise = torch.randint(256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    Image.fromarray(noise.numpy()).save(tmp_path / "noise.png")
    assert (tmp_path / "noise.png").stat().st_size > model_pictures.LIMIT
    model_pictures.save(Image.open(tmp_path / "noise.png"), tmp_path / "small.png")
    assert (tmp_path / "small.png").stat().st_size <= model_pictures.LIMIT


@pytest.fixture
def hinge_gan(here):
    """The file of docs/own-loss.md, in the folder where its commands are given."""
    text = (ROOT / "docs" / "own-loss.md").read_text()
    Path("hinge_gan.py").write_text(text.split("```python\n")[1].split("```")[0])
    return "hinge_gan.py"


def test_the_commands_of_the_example_are_understood(hinge_gan):
    commands = [line for line in said_commands() if "hinge_gan" in line]
    assert len(commands) == 5
    for command in commands:
        understood(command)


@pytest.mark.parametrize(("real", "fake", "loss"), [(0.0, 0.0, 2.0), (1.5, -1.5, 0.0), (-1.0, 3.0, 6.0)])
def test_the_example_of_a_loss_has_the_values_it_says(hinge_gan, real, fake, loss):
    """2 where all scores are 0, 0 beyond the margin; G's loss is minus the mean score."""
    model = ganarium.create(hinge_gan, (2,))
    scores = iter([torch.full((4,), score) for score in (real, fake, fake)])
    vars(model)["discriminator"] = lambda points: next(scores)
    (_, d_terms, _), (_, g_terms) = model.step(iter([Images(torch.zeros(4, 2))]))
    assert sum(d_terms.values()) == loss
    assert g_terms["adversarial"] == -fake


@pytest.mark.parametrize("shape", [(1, 16, 16), (2,)])
def test_the_example_of_a_loss_keeps_the_contract(hinge_gan, shape):
    ganarium.testing.check_model(hinge_gan, shape=shape)


def test_the_example_of_a_loss_learns(hinge_gan, tmp_path):
    """On the ring: its samples come to a fraction of the distance that an untrained generator has."""
    settings = {"steps": 600, "seed": 0, "evaluate_every": 0, "sample_every": 600, "threads": 1, "quiet": True}
    model = ganarium.train(hinge_gan, "ring", out=str(tmp_path / "run"), **settings)
    torch.manual_seed(0)
    untrained = ganarium.create(hinge_gan, (2,))
    real = toys.mode_centres("ring").repeat(50, 1).double()
    far, near = (
        ganarium.metrics.wasserstein_distance(real, m.sample(400, seed=1).double()) for m in (untrained, model)
    )
    assert near < 0.4 * far
