"""The laboratory's arithmetic, in a real browser, is that of ganarium's models: the same losses from the same points.

Each objective runs 100 steps twice, in double precision: by the model's own `step` under ganarium's trainer, which also
records what it drew, and by `lab_engine.js` in Chromium from the same weights and the same draws.
"""

import base64
import shlex
from pathlib import Path

import pytest
import torch
from torch import nn

import ganarium.studio
from ganarium import cli, registry
from ganarium.data import load_data
from ganarium.data.dataset import Images
from ganarium.data.sources.points import MODE_STD, mode_centres, ring
from ganarium.layers.heads import PerClass
from ganarium.layers.penalized import LeakyReLU
from ganarium.metrics import mode_coverage, wasserstein_distance
from ganarium.model import Model, Player, Prior
from ganarium.models.r3gan import R3GAN
from ganarium.models.r3gan import Config as R3GANConfig
from ganarium.networks.mlp import MLP
from ganarium.studio.single_file import single_file
from ganarium.trainer import Trainer

CHROMIUM = Path("/usr/bin/chromium")
ENGINE = Path(ganarium.studio.__file__).parent / "static" / "lab_engine.js"
STEPS, BATCH, HIDDEN, CODE = 100, 128, [32, 32], 32
IDS = [
    "gan",
    "minimax",
    "lsgan",
    "lsgan_pearson",
    "wgan",
    "wgan_gp",
    "wgan_div",
    "dragan",
    "rsgan",
    "rasgan",
    "ralsgan",
    "rahinge",
    "r3gan",
    "softmax_gan",
    "loss_sensitive_gan",
    "ebgan",
    "bgan",
    "f_gan_kl",
    "f_gan_reverse_kl",
    "f_gan_pearson",
    "f_gan_neyman",
    "f_gan_hellinger",
    "f_gan_jeffrey",
    "f_gan_js",
    "f_gan_gan",
    "f_gan_total_variation",
]
MUTATED = 40  # steps in which a wrong loss shows itself
RUN = """({id, settings, start, drawn, steps}) => steps.map((count, wrong) => {
  const draws = {};
  for (const [name, {bytes, size}] of Object.entries(drawn)) {
    const all = new Float64Array(Uint8Array.from(atob(bytes), (letter) => letter.charCodeAt(0)).buffer);
    let next = 0;
    draws[name] = (count) => all.slice(next, (next += size * count));
  }
  const trainer = new GanLab.Trainer(id, settings, draws);
  [trainer.generator, ...trainer.D.nets].forEach((net, n) => net.layers.forEach((layer, l) => {
    layer.W.set(start[n][l][0]);
    layer.b.set(start[n][l][1]);
  }));
  const {D} = trainer.objective;
  trainer.objective = {...trainer.objective, D: (...given) => {
    const loss = D(...given);
    return {...loss, byReal: loss.byReal.map((slope) => (wrong ? 1.2 : 1) * slope)};
  }};
  const made = [];
  for (let step = 0; step < count; step++) made.push(...trainer.iterate());
  return made;
})"""  # twice: as it is, and with reals that weigh too much in the gradient of D's loss


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip(f"there is no {CHROMIUM}")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def page(browser):
    opened = browser.new_page()
    opened.add_script_tag(path=str(ENGINE))
    return opened


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("laboratory") / "lab.html"
    path.write_text(single_file("lab.html"), encoding="utf-8")
    return path


@pytest.fixture
def lab(browser, file):
    """Opens the laboratory's one file from disk; the test fails if the page says an error or asks for anything."""
    troubles, contexts = [], []

    def opened(**options):
        context = browser.new_context(**{"viewport": {"width": 1200, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: troubles.append(message.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on(
            "request", lambda request: troubles.append(request.url) if request.url[:5] not in ("data:", "blob:") else 0
        )
        page.goto(file.as_uri())
        assert troubles.pop(0) == file.as_uri()
        return page

    yield opened
    for context in contexts:
        context.close()
    assert troubles == []


class Points:
    """Stands in for `Batches`: the ring in double precision, and a record of what was drawn."""

    device = torch.device("cpu")

    def __init__(self, seed):
        self.points = ring()[0].images.double()
        self.generator = torch.Generator().manual_seed(seed)
        self.drawn = []

    def __next__(self):
        image = self.points[torch.randint(len(self.points), (BATCH,), generator=self.generator)]
        self.drawn.append(image)
        return Images(image)


class Alone(nn.Module):
    """A network in a place where a conditional one is called with a label beside its input."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x, label):
        return self.network(x)


class R3GANOfPoints(R3GAN):
    """R3GAN's step and optimisers on points, which its networks are not made for."""

    def __init__(self, gamma, lr):
        super().__init__(R3GANConfig(width=8, num_blocks=1, burn_in=10**15, lr=lr), (1, 8, 8))
        self.shape, self.gamma, self.ema, self.prior = (2,), gamma, {}, Prior(2)

    def draw(self, batches):
        return next(batches).image, None


def perceptron(outputs, inputs=2, activation=nn.ReLU):
    return MLP(inputs, HIDDEN, outputs, activation)


def reference(objective, settings) -> tuple[Model, list[MLP]]:
    """The library's model of an objective with networks of two layers of 32; its perceptrons, G's first."""
    torch.manual_seed(3)
    if objective["id"] == "r3gan":
        model = R3GANOfPoints(settings["gamma"], settings["lrD"])
        parts = [perceptron((2,)), perceptron((), activation=lambda: LeakyReLU(0.0))]
        generator, discriminator = map(Alone, parts)
    else:
        options = dict(objective["options"])
        options |= {name: settings[name] for name in (*objective["numbers"], *objective["choices"])}
        options |= {objective[key]: settings["steps"] for key in ("turns", "longTurns") if objective.get(key)}
        model = registry.create(objective["model"], (2,), network="mlp", lr=settings["lrD"], width=32, **options)
        parts = [perceptron((2,)), perceptron((), activation=lambda: LeakyReLU(0.0))]
        generator, discriminator = parts
        if objective.get("autoEncoder"):
            encoder = PerClass(parts[1], CODE, "none")
            parts = [*parts, perceptron((2,), CODE)]
            discriminator = nn.Sequential(encoder, parts[2])
    critic = "critic" if hasattr(model, "critic") else "discriminator"
    setattr(model, critic, discriminator)
    model.generator = generator
    rules = {name: player.optimizer for name, player in model.players.items()}
    model.players = {"D": Player(discriminator, optimizer=rules["D"]), "G": Player(generator, optimizer=rules["G"])}
    return model.double(), parts


def start_of(parts, model):
    """Weights of the perceptrons as the page has them: (inputs, outputs)."""

    def layers(network):
        linear = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
        if network is parts[1] and len(parts) == 3:
            linear.append(model.discriminator[0].head)  # of the code, in the place of the score
        return [[layer.weight.T.flatten().tolist(), layer.bias.tolist()] for layer in linear]

    return [layers(network) for network in parts]


def library_losses(objective, settings, monkeypatch):
    """The updates of 100 steps, the weights before them, and what was drawn."""
    model, parts = reference(objective, settings)
    start, points = start_of(parts, model), Points(seed=1)
    drawn = {"codes": [], "uniforms": []}

    def recorded(draw, kind):
        def call(*args, **kwargs):
            values = draw(*args, **kwargs)
            drawn[kind].append(values)
            return values

        return call

    monkeypatch.setattr(model, "latent", recorded(model.latent, "codes"))
    monkeypatch.setattr(torch, "rand", recorded(torch.rand, "uniforms"))
    monkeypatch.setattr(torch, "rand_like", recorded(torch.rand_like, "uniforms"))
    trainer = Trainer(model, points, STEPS, precision="fp64")
    made = [
        {"player": update.player, "terms": {name: value.item() for name, value in update.terms.items()}}
        for _ in range(STEPS)
        for update in trainer.updates()
    ]
    monkeypatch.undo()
    return made, start, drawn | {"reals": points.drawn}


def packed(draws, size):
    """Numbers for the browser as text: a list of 100,000 takes a second to send, this takes none."""
    flat = torch.cat([draw.detach().double().flatten() for draw in draws] or [torch.empty(0).double()])
    return {"bytes": base64.b64encode(flat.numpy().tobytes()).decode(), "size": size}


def largest_difference(ours, theirs):
    """Of all terms of all updates; the names and their order must be the same."""
    assert [(u["player"], list(u["terms"])) for u in ours] == [(u["player"], list(u["terms"])) for u in theirs]
    pairs = [(a["terms"][name], b["terms"][name]) for a, b in zip(ours, theirs, strict=True) for name in a["terms"]]
    return max(abs(a - b) / max(1.0, abs(a)) for a, b in pairs)


def settings_of(page, id, **changes):
    return page.evaluate("(id) => GanLab.defaults(id)", id) | changes


def objective_of(page, id):
    return page.evaluate("(id) => JSON.parse(JSON.stringify(GanLab.OBJECTIVES[id]))", id)


def test_every_objective_is_tested(page):
    assert page.evaluate("Object.keys(GanLab.OBJECTIVES)") == IDS


CASES = [(id, {}) for id in IDS] + [
    ("gan", {"steps": 3}),
    ("loss_sensitive_gan", {"slope": 0.3}),
    ("f_gan_pearson", {"loss": "practical"}),
    ("f_gan_neyman", {"loss": "practical"}),
    ("f_gan_js", {"loss": "practical"}),
]


@pytest.mark.parametrize(
    ("id", "changes"), CASES, ids=lambda value: value if isinstance(value, str) else "-".join(value)
)
def test_losses_are_those_of_the_library_and_mutated_ones_are_not(page, monkeypatch, id, changes):
    objective, settings = objective_of(page, id), settings_of(page, id, **changes)
    ours, start, drawn = library_losses(objective, settings, monkeypatch)
    sent = {kind: packed(draws, 1 if kind == "uniforms" else 2) for kind, draws in drawn.items()}
    call = {"id": id, "settings": settings, "start": start, "drawn": sent, "steps": [STEPS, MUTATED]}
    same, mutated = page.evaluate(RUN, call)
    assert len(same) == len(ours)
    assert largest_difference(ours, same) < 1e-6
    assert largest_difference(ours[: len(mutated)], mutated) > 1e-3


def test_w1_and_modes_are_those_of_the_metrics(page):
    torch.manual_seed(0)
    a, b = torch.randn(200, 2).double(), 0.5 * torch.randn(200, 2).double() + 1
    flat = [points.flatten().tolist() for points in (a, b)]
    given = page.evaluate("([a, b]) => GanLab.wasserstein1(Float64Array.from(a), Float64Array.from(b))", flat)
    assert given == pytest.approx(wasserstein_distance(a, b), rel=1e-9)
    centres, std = mode_centres("ring").double(), MODE_STD["ring"]
    points = torch.cat([ring()[0].images[:900].double() * 1.01, torch.randn(100, 2).double()])
    ours = mode_coverage(points, centres, std)
    theirs = page.evaluate(
        "([p, c, r]) => GanLab.modeCoverage(Float64Array.from(p), Float64Array.from(c), r)",
        [points.flatten().tolist(), centres.flatten().tolist(), 3 * std],
    )
    assert (theirs["covered"], theirs["share"]) == (ours.covered, pytest.approx(ours.high_quality))
    assert theirs["counts"] == list(ours.counts)


@pytest.mark.parametrize(("id", "least"), [("gan", 200), ("wgan_gp", 40)])
def test_updates_a_second(page, id, least):
    """The best of 40 bursts, each so short that other programs leave some of them alone."""
    measure = """(id) => {
      const trainer = new GanLab.Trainer(id, {}, new GanLab.Draws((r) => [r.normal(), r.normal()], 1));
      const rates = [];
      for (let burst = 0; burst < 40; burst++) {
        const start = performance.now(), before = trainer.updates;
        for (let i = 0; i < 2; i++) trainer.iterate();
        rates.push(1000 * (trainer.updates - before) / (performance.now() - start));
      }
      return Math.max(...rates);
    }"""
    assert page.evaluate(measure, id) >= least


def test_it_is_one_small_file(file):
    text = file.read_text(encoding="utf-8")
    assert file.stat().st_size <= 250 * 1024
    assert "src=" not in text.replace('"data:,"', "")
    assert 'rel="stylesheet"' not in text


def test_it_trains_pauses_steps_and_starts_anew(lab):
    page = lab()
    page.locator("#run").click()
    page.wait_for_function("Laboratory.trainer.iteration > 3")
    page.locator("#run").click()
    done = page.evaluate("Laboratory.trainer.iteration")
    page.locator("#step").click()
    assert page.evaluate("Laboratory.trainer.iteration") == done + 1
    assert page.locator("#iteration").inner_text() == f"{done + 1:,}"
    assert page.locator("#w1").inner_text()[0].isdigit()
    page.keyboard.press("Escape")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("r")
    assert page.evaluate("Laboratory.trainer.iteration") == 0


def test_every_objective_runs_from_its_menu(lab):
    page = lab()
    values = page.evaluate("[...document.querySelectorAll('#objective option')].map((option) => option.value)")
    assert sorted(values) == sorted(IDS)
    stepped = """(values) => values.map((value) => {
      const select = document.getElementById('objective');
      select.value = value;
      select.dispatchEvent(new Event('change', {bubbles: true}));
      document.getElementById('step').click();
      const {trainer} = Laboratory;
      return [trainer.objective.id, trainer.iteration, document.getElementById('formula').innerText.length > 10];
    })"""
    assert page.evaluate(stepped, values) == [[id, 1, True] for id in values]


def test_presets_collapse_and_cure(lab):
    """W1 to the data after some steps of seed 1, by the arithmetic of the page alone: the same on every machine."""
    page = lab()
    distance = """([n, steps]) => {
      document.getElementById(`preset-${n}`).click();
      document.getElementById('run').click();
      const {trainer} = Laboratory;
      for (let step = trainer.iteration; step < steps; step++) trainer.iterate();
      const points = trainer.generate(new GanLab.Random(5).normals(1000)).points;
      return GanLab.wasserstein1(trainer.draws.reals(200), points.slice(0, 400));
    }"""
    pairs = enumerate((450, 450, 200, 150))
    fast, cured_fast, sure, cured_sure = (page.evaluate(distance, [n, steps]) for n, steps in pairs)
    assert fast > 1.2
    assert sure > 1
    assert cured_fast < 0.8
    assert cured_sure < 0.6


def test_a_drawing_becomes_data_that_ganarium_reads(lab, tmp_path):
    page = lab()
    page.locator("#data button").nth(3).click()
    box = page.locator("#plane").bounding_box()
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.4 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.4 * box["height"], steps=8)
    page.mouse.up()
    page.locator("#plane").focus()
    page.locator("#repeat").click()
    with page.expect_download() as download:
        page.locator("#save-points").click()
    path = tmp_path / "drawing.npz"
    download.value.save_as(path)
    train, test = load_data(str(path))
    points = torch.cat([train.images, test.images])
    assert points.shape == (20000, 2)
    assert points[:, 1].mean() == pytest.approx(2.1 * 0.2, abs=0.02)
    assert (points[:, 0].min().item(), points[:, 0].max().item()) == pytest.approx((-0.84, 0.84), abs=0.15)
    assert "--data drawing.npz" in page.locator("#command-text").inner_text()


def test_the_command_is_one_that_ganarium_takes(lab, tmp_path, monkeypatch, capsys):
    """Every objective's options exist; the command with the most of them is run, for two steps."""
    commands = lab().evaluate(
        """(ids) => ids.map((objective) => {
          const settings = {...Laboratory.state.settings, ...GanLab.defaults(objective)};
          return Laboratory.commandOf({...Laboratory.state, objective, settings}, 1000).command;
        })""",
        IDS,
    )
    for id, command in zip(IDS, commands, strict=True):
        if id == "r3gan":
            assert command == ""
            continue
        words = shlex.split(command)
        assert words[:2] == ["ganarium", "train"]
        flags = dict(zip(words[3::2], words[4::2], strict=True))
        known = {"--" + name.replace("_", "-") for name in registry.module(words[2]).Config.__dataclass_fields__}
        assert set(flags) - {"--data", "--batch-size", "--steps", "--seed"} <= known
        if id == "f_gan_js":
            monkeypatch.chdir(tmp_path)
            words[words.index("--steps") + 1] = "2"
            assert cli.main([*words[1:], "--device", "cpu", "--evaluate-every", "0"]) == 0
    capsys.readouterr()


def test_it_fits_a_phone_speaks_chinese_and_turns_dark(lab):
    page = lab(viewport={"width": 375, "height": 800}, color_scheme="dark")
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.locator("#theme").click()
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    page.locator("#language").click()
    assert page.locator("#title").inner_text() == "亲眼看 GAN 学习"
    assert page.locator("html").get_attribute("lang") == "zh-Hans"
    assert page.evaluate("document.querySelectorAll('canvas:not([aria-label])').length") == 0
    unnamed = "[...document.querySelectorAll('input, select')].filter((input) => !input.labels.length).length"
    assert page.evaluate(unnamed) == 0
