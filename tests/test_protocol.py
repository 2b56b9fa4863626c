"""How numbers were measured: which of them may stand in one table."""

import dataclasses
import json

import pytest

import ganarium
from ganarium.errors import UserError
from ganarium.metrics.judges.judge import load_judge
from ganarium.metrics.protocol import Protocol, one_protocol

ONE = Protocol(features="mnist", digest="0123456789abcdef", num_real=10_000, num_fake=5_000, resize="32x32", seed=0)
OTHER = {
    "features": "inception",
    "digest": "fedcba9876543210",
    "num_real": 9_999,
    "num_fake": 5_001,
    "resize": "28x28",
    "seed": 1,
    "version": "0.0.1",
    "reference": "fedcba9876543210",
    "held_out": "0123456789abcdef",
}


def test_it_is_one_line_with_everything_in_it():
    text = str(ONE)
    assert "\n" not in text
    assert text == f"mnist 01234567 (32x32), 10000 real, 5000 generated, seed 0, ganarium {ganarium.__version__}"
    of_a_set = dataclasses.replace(ONE, reference="fedcba9876543210")
    assert "10000 real of fedcba98, 5000 generated" in str(of_a_set)
    beside = dataclasses.replace(of_a_set, held_out="89abcdef01234567")
    assert "of fedcba98, 5000 generated, held out 89abcdef, seed 0" in str(beside)
    points = Protocol(features="points", digest="", num_real=0, num_fake=2_500, resize="", seed=3, version="1")
    assert str(points) == "points, 0 real, 2500 generated, seed 3, ganarium 1"


def test_a_judge_gives_what_it_needs():
    judge = load_judge("glyphs")
    protocol = Protocol(judge.name, judge.digest, 1, 2, judge.rule, 0)
    assert protocol.features == "glyphs"
    assert len(protocol.digest) == 16
    assert judge.rule in str(protocol)


def test_it_survives_json_and_does_not_change():
    assert Protocol(**json.loads(json.dumps(dataclasses.asdict(ONE)))) == ONE
    with pytest.raises(dataclasses.FrozenInstanceError):
        ONE.seed = 1  # type: ignore[misc]


def test_equal_protocols_share_a_table():
    again = dataclasses.replace(ONE)
    assert one_protocol({"a": ONE, "b": again, "c": ONE}) == ONE
    assert one_protocol({"a": ONE}) is ONE


def test_every_field_is_tried():
    assert sorted(OTHER) == sorted(field.name for field in dataclasses.fields(Protocol))


@pytest.mark.parametrize("field", OTHER)
def test_one_difference_keeps_two_numbers_apart(field):
    other = dataclasses.replace(ONE, **{field: OTHER[field]})
    assert other != ONE
    with pytest.raises(UserError, match=f"numbers of a and c cannot be compared.*{field} ") as caught:
        one_protocol({"a": ONE, "b": ONE, "c": other})
    message = str(caught.value)
    assert repr(OTHER[field]) in message
    assert repr(getattr(ONE, field)) in message
    assert not any(f"{name} {getattr(ONE, name)!r}" in message for name in OTHER if name != field)


def test_an_empty_table_is_refused():
    with pytest.raises(UserError, match="no number"):
        one_protocol({})
