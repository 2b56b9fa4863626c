"""Whether a translation shows its true partner is read from the scenes that were drawn."""

import pytest

from ganarium.data.sources.scenes import scenes_unpaired
from ganarium.proofs.measures import hidden_map


@pytest.mark.parametrize("domain", ["a", "b"])
def test_the_true_partners_are_told_from_others(domain, monkeypatch):
    monkeypatch.setattr(hidden_map, "COUNT", 12)
    _, test = scenes_unpaired(size=(16, 16))
    own, turned = hidden_map.held_out(test, domain)
    assert own.shape == (12, 3, 16, 16)
    assert turned.shape == (8, 12, 3, 16, 16)
    assert hidden_map.right_shares(turned[0], turned) == {"corresponds": 1, "hue": 1}
    assert hidden_map.right_shares(turned[3], turned)["hue"] == 0  # the same shape in another hue
    assert hidden_map.right_shares(turned[0].roll(1, 0), turned)["corresponds"] == 0  # of another image
    assert hidden_map.right_shares(own, turned)["hue"] < 1


def test_the_worse_direction_counts():
    assert hidden_map.smaller([{"x": 0.2, "y": 0.5}, {"x": 0.3, "y": 0.1}]) == {"x": 0.2, "y": 0.1}
