"""`check_model` lets a good model pass, and finds each fault of a broken one: where it is, and what to do."""

import importlib
import sys
from pathlib import Path
from textwrap import indent

import pytest
import torch

import ganarium
from ganarium import testing
from ganarium.errors import UserError
from ganarium.models.wgan_gp import WGANGP
from synthetic import refused

DOCS = Path(__file__).parents[1] / "docs" / "own-loss.md"
GOOD = DOCS.read_text().split("```python\n")[1].split("```")[0]  # the hinge loss, which is broken below
LAST = '        yield "G", {"adversarial": -D(G(len(real))).mean()}\n'


def init(code):
    """Lines at the end of `__init__`."""
    place = "        name, last = last_linear(self.discriminator)\n"
    return place, indent(code, " " * 8) + "\n" + place


def method(code):
    return LAST, f"{LAST}\n{indent(code, '    ')}\n"


def generate(*lines):
    return method("def generate(self, n, latent=None, label=None):\n" + indent("\n".join(lines), "    "))


def declared(line):
    return "class HingeGAN(Model):\n", f"class HingeGAN(Model):\n    {line}\n\n"


def in_last(old, new):
    """A change of the last yield."""
    assert old in LAST
    return LAST, LAST.replace(old, new)


def before_last(line):
    return LAST, f"        {line}\n{LAST}"


UNTIED = """
def shrink(parameter):
    self.discriminator.layers[0].weight.data.mul_(0.9)

for parameter in self.generator.parameters():
    parameter.register_post_accumulate_grad_hook(shrink)
"""

# A rule, words of the sentence with which it is said to be broken, and what is changed in the good file.
FAULTS = [
    (
        "file",
        "Config of broken: ... can be changed ... @dataclass(frozen=True",
        ("frozen=True, kw_only=True", "frozen=True"),
    ),
    ("file", "no help for lr: write a docstring", ('    """Learning rate of Adam."""\n', "")),
    (
        "file",
        "the option seed of broken is called like one of `train`",
        ("    lr: f", '    seed: int = 0\n    """."""\n    lr: f'),
    ),
    ("file", "broken.py, line 25: the title of PAPER must be a literal", ('"Geometric GAN"', 'str("Geometric GAN")')),
    ("file", "broken.py: PAPER has no year", ("    year=2017,\n", "")),
    (
        "source",
        "broken.py, line 83: step calls .item() ... watch(...) (rule: no sync",
        before_last("score_real.sum().item()"),
    ),
    (
        "source",
        "broken.py, line 16: random is imported ... draw with torch",
        ("import torch\n", "import random\n\nimport torch\n"),
    ),
    (
        "source",
        "line 84: a yield stands inside a `with` block",
        (LAST, "        with torch.enable_grad():\n    " + LAST),
    ),
    ("samples", "samples of broken: ... (3, 5) and not (3, 2): let", generate("return torch.zeros(n, 5)")),
    ("samples", "samples of broken: ... not all finite", generate("return super().generate(n) / 0")),
    (
        "samples",
        "latent of broken: five codes have the shape (5, 3) and not (5, 2)",
        method("def latent(self, n):\n    return torch.randn(n, 3)"),
        generate("return self.generator(self.latent(n)[:, :2])"),
    ),
    (
        "samples",
        "class_logits of broken: ... (5, 2) and not (5, 4)",
        declared("classifies = True"),
        method("def class_logits(self, image):\n    return image"),
    ),
    (
        "samples",
        "nll of broken: it is not one number for each image",
        declared("has_likelihood = True"),
        method("def nll(self, image):\n    return image.mean()"),
    ),
    (
        "moves",
        "an update of G in broken: it changed discriminator.layers.0.weight, which is no parameter of G",
        init(UNTIED),
    ),
    (
        "moves",
        "an update of G in broken: the gradient of generator.layers.0.weight is not finite",
        in_last(".mean()", ".mean() + (0 * G(9)).sum().sqrt()"),
    ),
    ("moves", "term 'floor' of player G became -inf", in_last("}", ', "floor": torch.zeros(()).log()}')),
    ("moves", "E never moved in 10 iterations", init('self.players["E"] = self.players["D"]')),
    (
        "moves",
        "`still` of broken: there is no parameter nowhere",
        in_last("yield", 'self.still |= {"nowhere": ""}; yield'),
    ),
    (
        "moves",
        "spare.weight and spare.bias never moved ... give the reason in `self.still`",
        init("self.spare = torch.nn.Linear(2, 2)"),
    ),
    ("moves", "step of broken: it names a player 'H': declare it; there are D, G", in_last('"G"', '"H"')),
    ("moves", "the terms of G are no scalars by name", in_last(".mean()", "")),
    ("moves", "no term of G depends on a parameter", in_last(".mean()", ".mean().detach()")),
    (
        "no_synchronisation",
        "broken.py, line 83: ... use torch.where for `if tensor`",
        before_last("assert score_real.sum() < 1e9"),
    ),
    ("no_synchronisation", "broken.py, line 83: ... no mask as index", before_last("real[real > 0]")),
    (
        "precision",
        "'adversarial' of player G in broken: it is torch.bfloat16 ... through `full`",
        in_last(".mean()", ".bfloat16().mean()"),
    ),
    ("precision", "'real' of player D in broken: it is torch.float16", ("real=score_real", "real=score_real.half()")),
    ("sampling", "sampling from broken: it changed clock", generate("self.clock += 1", "return super().generate(n)")),
    (
        "sampling",
        "a seed does not give the same samples again",
        generate(
            "chance = torch.Generator()", "chance.seed()", "return self.generator(torch.randn(n, 2, generator=chance))"
        ),
    ),
    (
        "saving",
        "a deep copy of broken: ... parameters of the original",
        method("def __deepcopy__(self, memo):\n    return self"),
    ),
    (
        "saving",
        "broken, loaded from a checkpoint: it gives other samples than the model itself: keep all that",
        init("self.shift = torch.rand(2)"),
        generate("return super().generate(n) + self.shift"),
    ),
    (
        "resuming",
        "broken, resumed from a checkpoint: ... is not what it was: keep what changes ... in parameters or buffers",
        init("self.turns = 0"),
        before_last("self.turns += 1"),
        in_last("-D", "-self.turns * D"),
    ),
    (
        "resuming",
        "broken, resumed from a checkpoint: it counts otherwise: {'drawn'",
        init("self.turns = 0"),
        before_last("self.turns += 1"),
        before_last("batches.draw(self.turns)"),
    ),
]


@pytest.fixture
def written(tmp_path):
    """Writes a model file, and gives its path."""

    def write(text, name="broken.py"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize(("rule", "words", "changes"), [(rule, words, changes) for rule, words, *changes in FAULTS])
def test_every_rule_can_be_broken(written, rule, words, changes):
    text = GOOD
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    candidate = testing.Candidate(str(written(text)), (2,))
    with pytest.raises((AssertionError, UserError)) as caught:
        getattr(testing, f"check_{rule}")(candidate)
    sentence = str(caught.value)
    for part in words.split("..."):
        assert part.strip() in sentence, sentence
    assert "\n" not in sentence


def test_a_fault_of_each_rule_is_tried():
    assert {f"check_{rule}" for rule, *_ in FAULTS} == {rule.__name__ for rule in testing.RULES}


def test_pixels_out_of_range(written):
    """Samples are clamped; what a model that maps images makes is not."""
    text = GOOD.replace(*declared('directions = ("a2b",)')).replace(
        *method("def mapped(self, image, direction):\n    return 2 * image")
    )
    with pytest.raises(AssertionError, match=r"pixels are outside of \[-1, 1\]: end the generator with tanh"):
        testing.check_samples(testing.Candidate(str(written(text))))


def test_a_good_model_passes(written):
    random = torch.get_rng_state()
    testing.check_model(written(GOOD, "hinge_gan.py"), shape=(2,))
    assert torch.equal(random, torch.get_rng_state())


def test_a_broken_model_does_not_pass(written):
    with pytest.raises(AssertionError, match="is no parameter of G"):
        testing.check_model(written(GOOD.replace(*init(UNTIED))), shape=(2,))


def test_a_class_is_checked_by_the_file_that_defines_it(written, monkeypatch):
    path = written(GOOD.replace("    year=2017,\n", "    year=2017 + 0,\n"), "summed.py")
    monkeypatch.syspath_prepend(str(path.parent))
    with pytest.raises(UserError, match="the year of PAPER must be a literal"):
        testing.check_model(importlib.import_module("summed").HingeGAN, shape=(2,))
    del sys.modules["summed"]
    assert testing.Candidate(testing._name(WGANGP)).name == "wgan_gp"


def test_a_class_in_no_file_is_refused():
    nowhere = type("Nowhere", (ganarium.create("dcgan", (1, 16, 16), width=2).__class__,), {"__module__": "builtins"})
    refused("Nowhere is in no file: write it to a model file", lambda: testing.check_model(nowhere))


def test_a_file_that_was_changed_is_read_again(written):
    path = written(GOOD.replace(*in_last(".mean()", "")))
    with pytest.raises(AssertionError, match="no scalars"):
        testing.check_model(path, shape=(2,))
    written(GOOD)
    testing.check_model(path, shape=(2,))


def test_the_dispatch_mode_sees_a_synchronisation():
    for sync in (lambda x: x.sum().item(), lambda x: bool(x.sum() > 0), lambda x: x[x > 0]):
        with pytest.raises(AssertionError), testing.NoSync():
            sync(torch.ones(3))
