"""JSON of the command line as an argument of a call."""

from __future__ import annotations

import pytest

from wirecore.errors import InvalidOption
from wirecore_cli.pool.values import argument_of, json_of


def test_objects_of_one_shape_are_one_type() -> None:
    """A connection bounds how many types it is told, and a shell calls for ever."""
    made = [argument_of(f'{{"a": {number}, "b": [{{"c": "x"}}]}}', "gob") for number in range(3)]
    assert len({type(each) for each in made}) == 1
    assert made[0] != made[1]
    assert type(argument_of('{"a": 1.5, "b": []}', "gob")) is not type(made[0])


@pytest.mark.parametrize("text", ["NaN", "1e400", "[-1e400]", '{"a": Infinity}'])
def test_what_is_no_number_is_no_argument(text: str) -> None:
    with pytest.raises(InvalidOption, match="isn't JSON"):
        argument_of(text, "gob")


def test_what_json_has_no_number_for_is_text() -> None:
    odd = [float("nan"), float("inf"), {"low": -float("inf")}, 1.5]
    assert json_of(odd) == '["NaN", "Infinity", {"low": "-Infinity"}, 1.5]'
