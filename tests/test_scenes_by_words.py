"""What is read off pictures of scenes, by formulas, and how it is compared with sentences."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ganarium.data.dataset import Dataset, decode
from ganarium.data.sources.paired_scenes import COLOURS, PLACES, SIZES, describe, draw_shapes, render_shapes
from ganarium.data.sources.scenes import KINDS
from ganarium.proofs.changes import ShuffledCaptions
from ganarium.proofs.measures import scenes_by_words, several_shapes
from ganarium.proofs.measures.scenes_by_words import (
    HELD_OUT,
    SENTENCES,
    KindsByWords,
    ScenesByWords,
    Seen,
    compare,
    questions,
    read_shapes,
)


def scenes(count=60) -> tuple[Dataset, torch.Tensor]:
    """Drawn scenes of 32x32, and their pictures in [-1, 1]."""
    shapes, rng = draw_shapes(count, (32, 32), torch.Generator().manual_seed(0)), np.random.default_rng(0)
    captions = tuple(describe(type(shapes)(*(field[row] for field in shapes)), rng) for row in range(count))
    images = render_shapes(shapes, (32, 32))
    return Dataset("scenes_captioned", images, captions=captions, extra=shapes._asdict()), decode(images)


def test_nearly_all_shapes_of_drawn_scenes_are_read_as_they_are():
    data, images = scenes()
    hits = total = 0
    for row, seen in enumerate(read_shapes(images)):
        true = {
            tuple(int(data.extra[name][row, place]) for name in ("kind", "colour", "large", "place"))
            for place in range(3)
        }
        true = {shape for shape in true if shape[0] >= 0}
        hits, total = hits + len(true & {shape[:4] for shape in seen}), total + len(true)
        assert [shape.area for shape in seen] == sorted((shape.area for shape in seen), reverse=True)
    assert total > 100
    assert hits / total > 0.97


def test_on_a_blank_picture_and_on_noise_no_shape_is_read():
    torch.manual_seed(0)
    blank = torch.full((2, 3, 32, 32), -0.6)
    speckled = torch.where(torch.rand(2, 1, 32, 32) < 0.02, torch.ones(()), blank)
    assert read_shapes(torch.cat([blank, speckled])) == [[]] * 4


def test_sentences_speak_of_every_combination():
    sentences, asked = questions(0)
    assert len(sentences) == len(asked) == SENTENCES * 3 * 8 * 2 * 9
    assert len({tuple(row) for row in asked.tolist()}) == len(asked) / SENTENCES
    for sentence, (_, colour, _, _) in zip(sentences, asked.tolist(), strict=True):
        assert list(COLOURS)[colour] in sentence
    assert questions(0)[0] == sentences != questions(1)[0]


def test_agreement_is_counted():
    green_circle = (KINDS.index("circle"), list(COLOURS).index("green"), 1, PLACES.index("top"))
    assert ("circle", "green") in HELD_OUT
    asked = torch.tensor([green_circle, (2, 0, 0, 3), (2, 0, 0, 3)])
    _, images = scenes(1)
    seen = read_shapes(images)[0][0]
    pictures = [
        [seen._replace(kind=green_circle[0], colour=green_circle[1], place=8)],
        [],
        [seen._replace(kind=2, colour=0, large=0, place=3)],
    ]
    values = compare(pictures, asked)
    assert values["colour"] == values["kind"] == 2 / 3
    assert values["place"] == 1 / 3
    assert values["held_out"] == values["held_out_colour"] == 1.0
    assert values["drawn"] == 2 / 3
    assert len(SIZES) == 2


def test_chance_is_counted_from_the_pictures_that_have_a_shape():
    """Far below 1/8 is no knowledge, where pictures are empty: so a control must be held against its own chance."""
    _, asked = questions(0)
    generator = torch.Generator().manual_seed(0)
    shown = asked[torch.randperm(len(asked), generator=generator)]  # right shapes, of other sentences
    pictures = [[Seen(*row, area=50.0)] if number % 3 else [] for number, row in enumerate(shown.tolist())]
    values = compare(pictures, asked)
    assert values["drawn"] == pytest.approx(2 / 3, abs=1e-3)
    for name, cases in (("kind", 3), ("colour", 8), ("size", 2), ("place", 9)):
        chance = values[f"chance_{name}"]
        assert chance == pytest.approx(values["drawn"] / cases)
        assert values[name] == pytest.approx(chance, abs=0.05)  # 864 pictures
    true = compare([[Seen(*row, area=50.0)] for row in asked.tolist()], asked)
    assert {true[name] for name in ("kind", "colour", "size", "place", "held_out", "drawn")} == {1.0}


def test_a_model_that_knows_colours_and_no_kinds_has_the_chance_of_a_held_out_combination():
    _, asked = questions(0)
    kinds = torch.arange(len(asked)) % 3
    values = compare(
        [[Seen(int(kind), *row[1:], 50.0)] for kind, row in zip(kinds, asked.tolist(), strict=True)], asked
    )
    assert values["held_out_colour"] == 1.0
    assert values["chance_held_out"] == pytest.approx(1 / 3)
    assert values["held_out"] == pytest.approx(values["chance_held_out"], abs=0.05)


def test_training_lacks_the_held_out_combinations_and_scenes_of_several_shapes(monkeypatch):
    class Given:
        train = scenes(2)[0]

    monkeypatch.setattr(scenes_by_words, "SCENES", 300)
    kept = ScenesByWords().data(Given)
    assert len(kept) == 300
    assert kept.images.shape[1:] == Given.train.images.shape[1:]
    pairs = {
        (KINDS[kind], list(COLOURS)[colour])
        for kind, colour in zip(kept.extra["kind"][:, 0].tolist(), kept.extra["colour"][:, 0].tolist(), strict=True)
    }
    assert not pairs & set(HELD_OUT)
    assert bool((kept.extra["kind"][:, 1] == -1).all())
    for sentences, (seen, *_) in zip(kept.captions[:30], read_shapes(decode(kept.images[:30])), strict=True):
        assert all(list(COLOURS)[seen.colour] in sentence for sentence in sentences), "sentences are of their picture"
    assert all(pairs_in(sentence) == 1 for sentences in kept.captions for sentence in sentences)
    mixed = ShuffledCaptions().data(kept, 0)
    assert sorted(mixed.captions) == sorted(kept.captions)
    assert mixed.captions != kept.captions
    assert torch.equal(mixed.images, kept.images)


def test_where_kinds_alone_are_asked_for_shapes_are_large_and_in_the_middle(monkeypatch):
    class Given:
        train = scenes(2)[0]

    monkeypatch.setattr(scenes_by_words, "SCENES", 300)
    kept = KindsByWords().data(Given)
    true = torch.stack([kept.extra[name][:, 0] for name in ("kind", "colour", "large", "place")], 1)
    values = compare(read_shapes(decode(kept.images)), true)
    assert min(values[name] for name in ("kind", "colour", "size", "place", "drawn")) > 0.97
    assert {tuple(row) for row in true[:, 2:].tolist()} == {(1, PLACES.index("middle"))}
    assert len({tuple(row) for row in true[:, :2].tolist()}) == 24 - len(HELD_OUT)
    sentences, asked = KindsByWords().questions(0)
    assert len(sentences) == len(asked) == 16 * 24
    assert {tuple(row) for row in asked[:, 2:].tolist()} == {(1, PLACES.index("middle"))}
    assert len(set(sentences)) > 250


def pairs_in(sentence: str) -> int:
    """How many shapes a sentence names."""
    return sum(sentence.count(colour) for colour in COLOURS)


def test_of_several_shapes_colours_and_places_are_counted():
    """Two sentences, red at the top left and blue at the right, and green at the top."""
    red, green, blue = map(list(COLOURS).index, ("red", "green", "blue"))
    asked = torch.zeros(2, len(COLOURS), len(PLACES))
    asked[0, red, 0] = asked[0, blue, 5] = asked[1, green, 1] = 1
    seen = torch.zeros_like(asked)
    seen[0, red, 5] = seen[0, blue, 5] = seen[1, green, 1] = 1  # the places of one picture are wrong by half
    values = several_shapes.compare(seen, asked)
    assert values["colours"] == 1
    assert values["placed"] == pytest.approx(2 / 3)
    assert (values["placed_one"], values["placed_more"], values["shapes"]) == (1, 0.5, 1.5)
    assert values["chance_colours"] == 0.5
    assert values["chance_placed"] == pytest.approx(1 / 3)
    assert several_shapes.compare(torch.zeros_like(asked), asked)["chance_colours"] == 0


def test_what_is_read_off_the_true_pictures_of_several_shapes_agrees_and_of_other_pictures_does_not():
    data, images = scenes(200)
    experiment = SimpleNamespace(test=data)
    seen, asked = several_shapes.in_pictures(images), several_shapes.in_scenes(experiment)
    right, wrong = several_shapes.compare(seen, asked), several_shapes.compare(seen.roll(1, 0), asked)
    assert right["colours"] > 0.97
    assert min(right["placed_one"], right["placed_more"]) > 0.97
    assert wrong["placed"] < 0.1
    assert wrong["colours"] == pytest.approx(right["chance_colours"], abs=0.06)
    assert right["shapes"] == pytest.approx(asked.sum().item() / 200, rel=0.03)


def test_sentences_of_held_out_scenes_are_drawn():
    data, _ = scenes(8)
    asked = []

    class Drawing:
        def sample(self, count, *, seed, text):
            asked.extend(text)
            return decode(data.images)

    experiment = SimpleNamespace(test=data, seed=0)
    values = several_shapes.SeveralShapes().read(experiment, Drawing()).values
    assert asked == [captions[0] for captions in data.captions]
    assert values["colours"] == values["placed"] == 1
