"""The contract, over every model there is: what the design asks of all of them is asked here of each."""

import ast
import copy
import dataclasses
import re
from pathlib import Path

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import ganarium
from ganarium import registry
from ganarium.data.dataset import decode
from ganarium.runs import checkpoint
from ganarium.training.state import capture, restore
from synthetic import ALL, images_only, saved, small_options, trainer

ROOT = Path(registry.__file__).parent
SHAPES = [(1, 16, 16), (3, 20, 12), (4, 17, 23)]


def source(name):
    return (ROOT / "models" / f"{name}.py").read_text()


def sampled(model, n=3, seed=1):
    """Samples, or for a model that maps images what it makes of noise images."""
    torch.manual_seed(seed)
    noise = torch.rand(n, *model.shape) * 2 - 1
    if model.scale:
        return model.upscale(noise)[..., : model.shape[1], : model.shape[2]]
    if model.directions:
        return model.translate(noise)
    return model.sample(n, seed=seed)


def test_every_model_has_a_small_form():
    assert all(small_options(name) for name in ALL)
    assert len(ALL) >= 7


@pytest.mark.parametrize("name", ALL)
def test_builds_and_samples_for_every_shape(name):
    shapes = SHAPES if images_only(name) else [*SHAPES, (2,)]
    for shape in shapes:
        model = trainer(name, shape).model
        made = sampled(model)
        assert made.shape == (3, *shape)
        assert made.dtype == torch.float32
        assert made.isfinite().all()
        if len(shape) == 3:
            assert made.min() >= -1
            assert made.max() <= 1


@pytest.mark.parametrize("name", ALL)
def test_rule_3_only_the_named_player_moves(name):
    """After an update nothing outside the moving player has changed, bit for bit; gradients are finite."""
    shape = (2,) if not images_only(name) else (1, 16, 16)
    made = trainer(name, shape)
    model, step, before, moves = made.model, made.model.step, {}, set()

    def watched(batches):
        for yielded in step(batches):
            before.update({key: value.clone() for key, value in model.named_parameters()})  # right before the update
            yield yielded

    model.step = watched
    start = {key: value.clone() for key, value in model.named_parameters()}
    for _ in range(10):
        for update in made.updates():
            assert update.player in model.players, f"{update.player} is no declared player"
            assert len(update.terms) > 0
            assert all(term.dim() == 0 for term in update.terms.values())
            own = {id(parameter) for parameter in made.players[update.player].parameters}
            for key, parameter in model.named_parameters():
                if id(parameter) not in own:
                    assert torch.equal(parameter, before[key]), f"{update.player} moved {key}"
                elif parameter.grad is not None:
                    assert parameter.grad.isfinite().all(), key
            moves.add(update.player)
    assert moves == set(model.players), "a declared player never moved"
    rested = [key for key, value in model.named_parameters() if torch.equal(value, start[key])]
    unexplained = [key for key in rested if key not in model.still]
    assert not unexplained, f"never moved, and no reason is given in `still`: {unexplained}"
    assert set(model.still) <= set(dict(model.named_parameters()))


@pytest.mark.parametrize("name", ALL)
def test_rule_1_no_host_synchronisation_in_the_source(name):
    tree = ast.parse(source(name))
    step = next(n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == "step")
    banned = {"item", "cpu", "tolist", "numpy"}
    for node in ast.walk(step):
        if isinstance(node, ast.Attribute):
            assert node.attr not in banned, f"step calls .{node.attr}()"
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            assert not {"random", "numpy"} & {part for full in names for part in full.split(".")[:1]}


class NoSync(TorchDispatchMode):
    """Fails on the operations by which a value leaves the device."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        assert func.overloadpacket not in (torch.ops.aten._local_scalar_dense, torch.ops.aten.is_nonzero), func
        assert func.overloadpacket not in (torch.ops.aten.nonzero, torch.ops.aten.masked_select), func
        if func.overloadpacket in (torch.ops.aten.index, torch.ops.aten.index_put_):
            assert not any(index is not None and index.dtype == torch.bool for index in args[1]), "a mask as index"
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", ALL)
def test_rule_1_no_host_synchronisation_at_run_time(name):
    made = trainer(name)
    step = made.model.step(made.batches)
    with NoSync():
        for _ in step:
            pass


def test_the_dispatch_mode_sees_a_synchronisation():
    for sync in (lambda x: x.sum().item(), lambda x: bool(x.sum() > 0), lambda x: x[x > 0]):
        with pytest.raises(AssertionError), NoSync():
            sync(torch.ones(3))


@pytest.mark.parametrize("name", ALL)
def test_rule_2_no_yield_inside_with(name):
    tree = ast.parse(source(name))
    for node in ast.walk(tree):
        if isinstance(node, ast.With):
            assert not any(isinstance(inner, ast.Yield | ast.YieldFrom) for inner in ast.walk(node))


@pytest.mark.parametrize("name", ALL)
def test_rule_4_terms_are_full_precision_under_autocast(name):
    made = trainer(name)
    seen = []
    step = made.model.step(made.batches)
    while True:
        with torch.autocast("cpu", torch.bfloat16):
            item = next(step, None)
        if item is None:
            break
        seen += [term.dtype for term in item[1].values()]
        seen += [value.dtype for extra in item[2:] for value in extra.values()]
    assert set(seen) == {torch.float32}


@pytest.mark.parametrize("name", ALL)
def test_sampling_disturbs_nothing(name):
    """Neither the generators nor a buffer nor the mode of a module knows that there was a sample."""
    made = trainer(name)
    model = made.model
    random = torch.get_rng_state()
    buffers = {key: value.clone() for key, value in model.named_buffers()}
    modes = {key: module.training for key, module in model.named_modules()}
    maps = bool(model.preview_row)
    first = model.preview(made.batches.draw(16)) if maps else model.sample(2, seed=5)
    assert torch.equal(random, torch.get_rng_state())
    assert all(torch.equal(value, buffers[key]) for key, value in model.named_buffers())
    assert modes == {key: module.training for key, module in model.named_modules()}
    if not maps:
        assert torch.equal(first, model.sample(2, seed=5))
        assert not torch.equal(first, model.sample(2, seed=6))


@pytest.mark.parametrize("name", ALL)
def test_save_load_and_deepcopy(name, tmp_path):
    made = trainer(name)
    for done in made:
        if done == 2:
            break
    copied = copy.deepcopy(made.model)
    assert all(
        copied.players[key].parameters()[0] is not made.model.players[key].parameters()[0] for key in copied.players
    )
    data = {"shape": list(made.model.shape), "num_classes": 4}
    path = saved(
        made, tmp_path, model=name, model_options=dataclasses.asdict(made.model.config), data=data, precision="fp32"
    )
    loaded = ganarium.load(path)
    for key, value in made.model.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value), key
    made.model.eval()
    assert torch.equal(sampled(loaded), sampled(made.model))
    assert torch.equal(sampled(copied.eval()), sampled(made.model))


def assert_equal_states(a, b):
    assert a.keys() == b.keys()
    for key in a:
        assert torch.equal(a[key], b[key]), key


@pytest.mark.parametrize("name", ALL)
def test_resume_is_bit_exact(name, tmp_path):
    """Six steps equal three, a checkpoint, a new trainer from another seed, and three more."""
    straight = trainer(name, total=6)
    for _ in straight:
        pass
    broken = trainer(name, total=6)
    for done in broken:
        if done == 3:
            break
    path = saved(broken, tmp_path)
    resumed = trainer(name, total=6, prepare=False)
    torch.manual_seed(999)
    restore(resumed, *checkpoint.read(path))
    for _ in resumed:
        pass
    files, meta = capture(resumed)
    expected, expected_meta = capture(straight)
    assert meta == expected_meta
    for key in expected:
        assert_equal_states(expected[key], files[key])


@pytest.mark.parametrize("name", ALL)
def test_file_reads_like_its_paper(name):
    text, card = source(name), registry.card(name)
    assert len(text.splitlines()) <= 200
    assert max(map(len, text.splitlines())) <= 120
    assert "fmt: skip" not in text, "nothing is squeezed to fit"
    step = next(n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef) and n.name == "step")
    assert step.end_lineno - step.lineno < 30
    docstring = card["docstring"]
    assert card["arxiv"] in docstring
    assert str(card["year"]) in docstring
    assert "Losses" in docstring
    assert "Differences from the paper:" in docstring
    assert re.fullmatch(r"\d{4}\.\d{4,5}", card["arxiv"])
    assert card["idea"].endswith(".")
    order = ["PAPER = ", "class Config", "(Model):", "def step(", "def generate("]
    places = [text.find(mark) for mark in order if mark in text]
    assert places == sorted(places)
    config = registry.module(name).Config
    fields = {field.name for field in dataclasses.fields(config)}
    docs = registry.field_docs(config)
    assert set(docs) == fields, "every field of Config needs a docstring under it"
    assert config.__dataclass_params__.frozen
    assert all(field.kw_only for field in dataclasses.fields(config))


@pytest.mark.parametrize("name", [name for name in ALL if hasattr(registry.module(name).Config, "for_points")])
def test_old_runs_keep_the_preset_for_points(name):
    """Their options were written out as None or auto where a default was meant."""
    config = registry.module(name).Config
    written = {field.name: None for field in dataclasses.fields(config) if field.default is None}
    assert registry.make_config(name, written | {"network": "auto"}, (2,)) == config.for_points()


def test_none_is_a_value_where_the_default_is_another():
    assert registry.make_config("pixelrnn", {"clip_norm": None}).clip_norm is None


@pytest.mark.parametrize("name", ALL)
def test_option_names_do_not_collide_with_those_of_train(name):
    from ganarium.runs.options import Options

    own = {field.name for field in dataclasses.fields(registry.module(name).Config)}
    assert not own & {field.name for field in dataclasses.fields(Options)}


def test_the_trainer_knows_no_model():
    text = (ROOT / "trainer.py").read_text()
    assert len(text.splitlines()) <= 225
    assert len((ROOT / "model.py").read_text().splitlines()) <= 150
    assert not [name for name in ALL if re.search(rf"['\"]{name}['\"]", text)]
    assert "isinstance(model" not in text
    assert "isinstance(self.model" not in text


@pytest.mark.parametrize("name", ALL)
def test_bf16_learns_and_is_not_stale(name):
    """The first step in bf16 is near the one in fp32, and the terms move: stale cached weights would repeat them."""
    rows = {}
    for precision in ("fp32", "bf16"):
        made = trainer(name, precision=precision, total=8)
        for _ in made:
            pass
        rows[precision] = made.drain().rows
    terms = {key for row in rows["fp32"] for key in row if "/" in key}
    for key in terms:
        full, half = (
            torch.tensor([row[key] for row in rows[precision] if key in row]) for precision in ("fp32", "bf16")
        )
        assert abs(full[0] - half[0]) <= 0.05 * abs(full[0]) + 0.05, key
        if full.std() > 1e-4 * full.abs().mean():
            assert half.unique().numel() > 2, f"{key} stands still in bf16"


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(
    ("name", "term", "options"), [("pixelrnn", "model/nll", {}), ("began", "D/real", {"lr": 2e-3})]
)
def test_bf16_lowers_a_loss_as_fp32_does(name, term, options, precision):
    """Images with a white half, which both models can learn at once."""
    made = trainer(name, precision=precision, total=40, **options)
    made.batches.images = torch.zeros_like(made.batches.images)
    made.batches.images[:, :, 8:] = 255
    for _ in made:
        pass
    losses = [row[term] for row in made.drain().rows]
    assert losses[-1] < 0.5 * losses[0]


def test_decoded_batches_keep_channels_last():
    images = torch.zeros(2, 5, 6, 3, dtype=torch.uint8)
    assert decode(images).is_contiguous(memory_format=torch.channels_last)
