"""JSON of the command line as an argument of a call, and results as JSON."""

from __future__ import annotations

import base64
import json
import math
from dataclasses import dataclass, field, make_dataclass
from functools import lru_cache
from typing import Annotated, Any

from wirecore import gob
from wirecore.errors import InvalidOption
from wirecore_trio.pool._service import go_name


@dataclass
class Nothing:
    """What goes where there is no argument: an empty struct."""


def read_json(text: str) -> Any:
    """The value that *text* is in JSON. Raises InvalidOption."""
    try:
        return json.loads(text, parse_constant=_no_number, parse_float=_number)
    except (ValueError, RecursionError) as error:
        raise InvalidOption(
            f"the argument isn't JSON ({error}): --text takes it as it is, and in JSON text is in "
            "double quotes"
        ) from None


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is none")


def _number(text: str) -> float:
    found = float(text)
    if math.isinf(found):
        raise ValueError(f"{text} is more than a number can be")
    return found


def text_as_json(text: str) -> str:
    """*text*, written in JSON."""
    return json.dumps(text)


def argument_of(text: str, codec: str, *, maps: bool = False) -> Any:
    """What a call gets for *text*, which is JSON; "" is no argument. Raises InvalidOption.

    For gob an object is a struct, whose fields are called as in Go or as in Python, and null is
    what isn't there; with *maps* it is a map. Whole numbers are int, others float64.
    """
    if codec != "gob":
        return read_json(text) if text else None
    value = read_json(text) if text else None
    if value is None:
        return Nothing()
    if maps:
        return value
    return _shape_of(value).build(value)


class _Shape:
    """A type that is told by values: *kind* is its annotation; None: nothing tells."""

    kind: Any = None

    def build(self, value: Any) -> Any:
        """What gob takes for *value*."""
        if value is None:
            raise InvalidOption("an array in gob can't hold null")
        return value


class _Plain(_Shape):
    def __init__(self, kind: type) -> None:
        self.kind = kind

    def build(self, value: Any) -> Any:
        return float(value) if self.kind is float else super().build(value)


class _List(_Shape):
    def __init__(self, element: _Shape) -> None:
        self.element = element
        kind: Any = element.kind
        self.kind = None if kind is None else list[kind]

    def build(self, value: Any) -> Any:
        return [self.element.build(each) for each in value]


@lru_cache(maxsize=1024)
def _struct(fields: tuple[tuple[str, Any], ...]) -> type:
    """A type with *fields*: names in gob, and kinds. The same for the same ones.

    Each type is defined on the stream of a connection, and the other end bounds how many are.
    """
    return make_dataclass(
        "Object",
        [
            (f"field{number}", Annotated[kind | None, gob.Field(name)], field(default=None))
            for number, (name, kind) in enumerate(fields)
        ],
    )


class _Struct(_Shape):
    """Its fields by their names in JSON; each may be missing in a value."""

    def __init__(self, fields: dict[str, _Shape]) -> None:
        self.fields = {name: each for name, each in fields.items() if each.kind is not None}
        names = [go_name(name) for name in self.fields]
        if len(set(names)) < len(names):
            raise InvalidOption(f"two fields of an object have one name in gob: {', '.join(names)}")
        kinds = [each.kind for each in self.fields.values()]
        self.kind = _struct(tuple(zip(names, kinds, strict=True)))

    def build(self, value: Any) -> Any:
        return self.kind(
            *(
                None if value.get(name) is None else each.build(value[name])
                for name, each in self.fields.items()
            )
        )


def _shape_of(value: Any) -> _Shape:
    if isinstance(value, list):
        element = _Shape()
        for each in value:
            element = _merged(element, _shape_of(each))
        return _List(element)
    if isinstance(value, dict):
        return _Struct({name: _shape_of(each) for name, each in value.items()})
    return _Shape() if value is None else _Plain(type(value))


def _merged(one: _Shape, other: _Shape) -> _Shape:
    """The type of both: elements of one array may lack fields, or have whole numbers."""
    match one, other:
        case _List(), _List():
            return _List(_merged(one.element, other.element))
        case _Struct(), _Struct():
            names = dict.fromkeys([*one.fields, *other.fields])
            unknown = _Shape()
            return _Struct(
                {
                    name: _merged(one.fields.get(name, unknown), other.fields.get(name, unknown))
                    for name in names
                }
            )
    if one.kind is None or one.kind == other.kind:
        return other
    if other.kind is None:
        return one
    if {one.kind, other.kind} == {int, float}:
        return _Plain(float)
    raise InvalidOption("an array in gob holds values of one type, and these are of several")


def json_of(result: Any) -> str:
    """*result*, as a call returned it, in JSON.

    Bytes, a gob's time among them, are in base64; and text what JSON has no number for: "NaN",
    "Infinity", "-Infinity".
    """
    return json.dumps(_plain(result), ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name if type(name) is str else str(name): _plain(each) for name, each in value.items()
        }
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return value if value is None or isinstance(value, bool | int | float) else str(value)
