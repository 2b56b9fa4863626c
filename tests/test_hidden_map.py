"""Whether a translation shows its true partner is read from the scenes that were drawn."""

import pytest

from ganarium.data.sources.scenes import scenes_unpaired
from ganarium.proofs.measures import hidden_map
from ganarium.proofs.measures.hidden_map import in_hues, right_shares


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
    assert hidden_map.smaller([{"x": 0.2, "y": 0.5}, {"x": 0.3, "y": 0.1}]) == {"x": 0.2, "y": 0.1}
