"""Whether a translation shows its true partner is read from the scenes that were drawn."""

from dataclasses import replace

import pytest
import torch

from ganarium.data.dataset import decode
from ganarium.data.sources.scenes import scenes_unpaired
from ganarium.evaluation import hidden_map
from ganarium.evaluation.hidden_map import in_hues, right_shares
from ganarium.evaluation.measures import evaluate_model
from ganarium.model import Model
from ganarium.proofs.measures.hidden_map import smaller


@pytest.mark.parametrize(("domain", "look"), [("a", "outlined"), ("b", "filled")])
def test_the_true_partners_are_told_from_others(domain, look, monkeypatch):
    monkeypatch.setattr(hidden_map, "COUNT", 12)
    _, test = scenes_unpaired(size=(16, 16))
    own, scenes = hidden_map.held_out(test, domain)
    turned = in_hues(scenes, look, own)
    assert own.shape == (12, 3, 16, 16)
    assert turned.shape == (8, 12, 3, 16, 16)
    assert right_shares(turned[0], scenes, look) == {"corresponds": 1, "shape": 1, "hue": 1}
    assert right_shares(turned[3], scenes, look) == {"corresponds": 1, "shape": 1, "hue": 0}
    elsewhere = scenes._replace(x=scenes.x.roll(1), y=scenes.y.roll(1))
    assert right_shares(in_hues(elsewhere, look, own)[0], scenes, look)["corresponds"] < 0.4
    others = scenes._replace(kind=scenes.kind.roll(1), size=scenes.size.roll(1))
    assert right_shares(in_hues(others, look, own)[0], scenes, look)["shape"] == 0
    assert right_shares(turned[0].roll(1, 0), scenes, look)["corresponds"] == 0  # of another image


def test_the_worse_direction_counts():
    assert smaller([{"x": 0.2, "y": 0.5}, {"x": 0.3, "y": 0.1}]) == {"x": 0.2, "y": 0.1}


class Known(Model):
    """Maps the held-out scenes to their true partners, or, `turned`, to those of the next hue; and back to zeros."""

    directions = ("a2b", "b2a")

    def __init__(self, test, turned=0):
        super().__init__(None, test.shape)
        self.partners = {}
        for direction, (domain, look, _) in hidden_map.DIRECTIONS.items():
            own, scenes = hidden_map.held_out(test, domain)
            for image, partner in zip(own, in_hues(scenes, look, own)[turned], strict=True):
                self.partners[direction, image.numpy().tobytes()] = partner

    def translate(self, image, *, direction=None):
        nothing = torch.zeros(self.shape)
        return torch.stack([self.partners.get((direction, one.numpy().tobytes()), nothing) for one in image])


def first(data, count):
    """The first images of either domain."""
    extra = {name: values[:count] for name, values in data.extra.items()}
    return replace(data, images=data.images[:count], second=data.second[:count], extra=extra, digest="")


@pytest.mark.parametrize(("turned", "hue"), [(0, 1), (3, 0)])
def test_an_evaluation_tells_the_true_map_from_another(turned, hue, monkeypatch):
    monkeypatch.setattr(hidden_map, "COUNT", 12)
    monkeypatch.setattr(hidden_map, "PART", 8)
    train, test = (first(part, 12) for part in scenes_unpaired(size=(16, 16)))
    values, _ = evaluate_model(Known(test, turned), train, test)
    for direction, images in (("a2b", test.images), ("b2a", test.second)):
        assert values[f"{direction}/correspondence"] == values[f"{direction}/correspondence_of_shape"] == 1
        assert values[f"{direction}/correspondence_of_hue"] == hue
        assert (values[f"{direction}/mean_absolute_error"] == 0) == (turned == 0)
        expected = decode(images).abs().mean().item()  # what comes back is zeros
        assert values[f"{direction}/reconstruction_error"] == pytest.approx(expected, rel=1e-5)
