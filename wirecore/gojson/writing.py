"""Writing values by their types: what Go's encoding/json makes of them, in characters.

A writer takes a value and how much deeper values may be nested, and gives its text, which
:func:`~wirecore.gojson.text.finish` makes bytes of.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Callable
from datetime import datetime
from math import isfinite
from operator import attrgetter
from typing import Any, Final, TypeAlias

from wirecore import gob_rules as rules
from wirecore.errors import InvalidJsonType, UnsendableJson, kind_of
from wirecore.gob.registry import Named
from wirecore.gob.schema import gob_type
from wirecore.gob.types import GobType
from wirecore.gob_rules import Kind
from wirecore.gojson.plans import forget
from wirecore.gojson.raw import RawJson
from wirecore.gojson.text import float_text, quote, round_single
from wirecore.gojson.times import time_text

Writer: TypeAlias = Callable[[Any, int], str]

_PLAN: Final = "json, written"

_TEXT_MARSHALER: Final = 7


def writer_of(wanted: GobType) -> Writer:
    """What writes values of the type *wanted*.

    Raises :class:`~wirecore.errors.InvalidJsonType` where it has no counterpart in JSON.
    """
    found: Writer | None = wanted.plans.get(_PLAN)
    if found is None:
        found = wanted.plans[_PLAN] = _make(wanted, wanted.base.text)
    return found


def write(value: Any, annotation: Any, max_depth: int) -> str:
    """*value* of the type *annotation*; by default, ``Any``, it is what it looks like.

    A :class:`RawJson` is written as it is, wherever in a value without a type it stands.

    Raises :class:`~wirecore.errors.UnsendableJson` where it isn't of that type, or is nested in
    more than *max_depth* others; :class:`~wirecore.errors.InvalidJsonType` and
    :class:`~wirecore.errors.InvalidGobType` where the type has no counterpart.
    """
    if annotation is RawJson:
        return _checked(value, RawJson, "RawJson").text_within(max_depth)  # type: ignore[no-any-return]
    if annotation is Any:
        return _write_any(value, max_depth)
    return writer_of(gob_type(annotation))(value, max_depth)


def _make(wanted: GobType, label: str) -> Writer:
    return _MAKE[wanted.kind](wanted, label)


def _not_one(label: str, wanted: str, value: object) -> UnsendableJson:
    return UnsendableJson(rules.not_one(label, wanted, kind_of(value)))


def _too_deep() -> UnsendableJson:
    return UnsendableJson("the value is nested deeper than max_depth, or holds itself")


def _pointer(wanted: GobType, label: str) -> Writer:
    assert wanted.elem is not None
    inner = _make(wanted.elem, label)
    return lambda value, depth: "null" if value is None else inner(value, depth)


def _bool(wanted: GobType, label: str) -> Writer:
    def write_bool(value: Any, depth: int) -> str:
        if value is True:
            return "true"
        if value is False:
            return "false"
        raise _not_one(label, "a bool", value)

    return write_bool


def _string(wanted: GobType, label: str) -> Writer:
    def write_string(value: Any, depth: int) -> str:
        if not isinstance(value, str):
            raise _not_one(label, "a str", value)
        return quote(value)

    return write_string


def _bytes(wanted: GobType, label: str) -> Writer:
    def write_bytes(value: Any, depth: int) -> str:
        if value is None:
            return "null"
        if not isinstance(value, bytes | bytearray | memoryview):
            raise _not_one(label, "bytes", value)
        return f'"{b2a_base64(bytes(value), newline=False).decode()}"'

    return write_bytes


def _integer(wanted: GobType, label: str) -> Writer:
    low, high = wanted.bounds

    def write_integer(value: Any, depth: int) -> str:
        if not isinstance(value, int):
            raise _not_one(label, "an int", value)
        if not low <= value <= high:
            raise UnsendableJson(rules.out_of_range(label))
        return int.__repr__(value)

    return write_integer


def _float(wanted: GobType, label: str) -> Writer:
    single = wanted.single

    def write_float(value: Any, depth: int) -> str:
        if not isinstance(value, float | int):
            raise _not_one(label, "a float", value)
        try:
            number = float(value)
            if single:
                number = round_single(number)
        except OverflowError:
            raise UnsendableJson(rules.out_of_range(label)) from None
        if not isfinite(number):
            raise UnsendableJson(f"the value for {label!r} must be finite: JSON has no {number}")
        return float_text(number, single=single)

    return write_float


def _list(wanted: GobType, label: str) -> Writer:
    assert wanted.elem is not None
    inner = _make(wanted.elem, f"element of {label}")
    size = wanted.size if wanted.kind == Kind.ARRAY else -1

    def write_list(value: Any, depth: int) -> str:
        if value is None and size < 0:
            return "null"
        if not isinstance(value, list | tuple):
            raise _not_one(label, "a list or tuple", value)
        if size >= 0 and len(value) != size:
            raise UnsendableJson(rules.wrong_size(label, size, len(value)))
        if depth <= 0:
            raise _too_deep()
        depth -= 1
        return f"[{','.join([inner(each, depth) for each in value])}]"

    return write_list


def _map(wanted: GobType, label: str) -> Writer:
    assert wanted.key is not None
    assert wanted.elem is not None
    key_text = _key(wanted, wanted.key, f"key of {label}")
    inner = _make(wanted.elem, f"element of {label}")

    def write_map(value: Any, depth: int) -> str:
        if value is None:
            return "null"
        if not isinstance(value, dict):
            raise _not_one(label, "a dict", value)
        if depth <= 0:
            raise _too_deep()
        depth -= 1
        return _object([(key_text(key), inner(each, depth)) for key, each in value.items()])

    return write_map


def _object(pairs: list[tuple[str, str]]) -> str:
    """Members in the order that Go gives them: of the bytes of their names."""
    pairs.sort()
    members = ",".join([f"{quote(name)}:{text}" for name, text in pairs])
    return f"{{{members}}}"


def _key(wanted: GobType, key: GobType, label: str) -> Callable[[Any], str]:
    """What makes a member's name of a map's key."""
    if key.kind == Kind.STRING:

        def write_text(value: Any) -> str:
            if not isinstance(value, str):
                raise _not_one(label, "a str", value)
            return value

        return write_text
    if key.kind in (Kind.INT, Kind.UINT):
        inner = _integer(key, label)
        return lambda value: inner(value, 0)
    if key.kind == Kind.OPAQUE:
        marshal = text_of(key, label)
        if marshal is not None:
            return marshal
    raise InvalidJsonType(f"json: unsupported type: {wanted.text}")


def _struct(wanted: GobType, label: str) -> Writer:
    """The writer of a struct, of which there is one: fields may be of its own type."""
    found: Writer | None = wanted.plans.get(_PLAN)
    if found is not None:
        return found
    owner = wanted.owner
    parts: list[tuple[str, Writer]] = []
    assert owner is not None
    names = [field.attribute for field in wanted.fields]
    values_of = _values_of(names)

    def write_struct(value: Any, depth: int) -> str:
        if not isinstance(value, owner):
            raise _not_one(wanted.text, owner.__name__, value)
        if depth <= 0:
            raise _too_deep()
        depth -= 1
        try:
            values = values_of(value)
        except AttributeError:
            missing = next(name for name in names if not hasattr(value, name))
            raise UnsendableJson(rules.no_attribute(f"{wanted.text}.{missing}")) from None
        members = [
            head + inner(each, depth) for (head, inner), each in zip(parts, values, strict=True)
        ]
        return f"{{{','.join(members)}}}"

    wanted.plans[_PLAN] = write_struct
    try:
        for field in wanted.fields:
            inner = _make(field.type, f"{wanted.text}.{field.name}")
            parts.append((f"{quote(field.json_name)}:", inner))
    except BaseException:
        forget(wanted, _PLAN)
        raise
    return write_struct


def _values_of(names: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    if not names:
        return lambda value: ()
    get = attrgetter(*names)
    return get if len(names) > 1 else lambda value: (get(value),)


# --- types that encode themselves ---


def text_of(wanted: GobType, label: str) -> Callable[[Any], str] | None:
    """What makes a text of a type that has one; None: it has none."""
    owner = wanted.owner
    if owner is datetime:
        return lambda value: time_text(_checked(value, datetime, label))
    if owner is None:
        if wanted.member != _TEXT_MARSHALER:
            return None
        return lambda value: bytes(_checked(value, bytes, label)).decode("utf-8", "surrogateescape")
    if not hasattr(owner, "marshal_text") or not hasattr(owner, "unmarshal_text"):
        return None

    def call(value: Any) -> str:
        made = _checked(value, owner, label).marshal_text()
        data: bytes = _checked(made, bytes, f"marshal_text of {label}")
        return data.decode("utf-8", "surrogateescape")

    return call


def _opaque(wanted: GobType, label: str) -> Writer:
    marshal = text_of(wanted, label)
    if marshal is None:
        raise InvalidJsonType(
            f"{wanted.text} encodes itself, but not as JSON: give it marshal_text and "
            "unmarshal_text"
        )
    return lambda value, depth: quote(marshal(value))


def _checked(value: Any, owner: type, label: str) -> Any:
    if not isinstance(value, owner):
        raise _not_one(label, owner.__name__, value)
    return value


# --- values without a type ---


def _write_any(value: Any, depth: int) -> str:
    if isinstance(value, Named):
        value = value.value
    if value is None:
        return "null"
    kind = type(value)
    plain = _PLAIN.get(kind)
    if plain is not None:
        return plain(value, depth)
    if isinstance(value, datetime):
        return quote(time_text(value))
    if kind is object:  # as a type it says Any, which would lead here again
        raise _not_one("interface {}", "of a type that says more", value)
    if kind not in (list, tuple, dict):
        return writer_of(gob_type(kind))(value, depth)
    if depth <= 0:
        raise _too_deep()
    depth -= 1
    if kind is not dict:
        return f"[{','.join([_write_any(each, depth) for each in value])}]"
    return _object([(_any_key(key), _write_any(each, depth)) for key, each in value.items()])


def _any_key(key: Any) -> str:
    if isinstance(key, str):
        return key
    if isinstance(key, int) and not isinstance(key, bool):
        return _write_integer(key, 0)
    raise _not_one("a member's name", "a str or an int", key)


def _write_integer(value: int, depth: int) -> str:
    # Longer than any int of Go's are what a float64 or a big.Int was when it came.
    try:
        float(value)
    except OverflowError:
        raise UnsendableJson(rules.out_of_range("float64")) from None
    return int.__repr__(value)


_PLAIN: Final[dict[type, Writer]] = {
    bool: _bool(gob_type(bool), "bool"),
    str: _string(gob_type(str), "string"),
    int: _write_integer,
    float: _float(gob_type(float), "float64"),
    bytes: _bytes(gob_type(bytes), "[]uint8"),
    bytearray: _bytes(gob_type(bytes), "[]uint8"),
    RawJson: RawJson.text_within,
}


def _unsupported(wanted: GobType, label: str) -> Writer:
    raise InvalidJsonType(f"json: unsupported type: {wanted.text}")


_MAKE: Final[dict[Kind, Callable[[GobType, str], Writer]]] = {
    Kind.POINTER: _pointer,
    Kind.BOOL: _bool,
    Kind.INT: _integer,
    Kind.UINT: _integer,
    Kind.FLOAT: _float,
    Kind.BYTES: _bytes,
    Kind.STRING: _string,
    Kind.COMPLEX: _unsupported,
    Kind.INTERFACE: lambda wanted, label: _write_any,
    Kind.SLICE: _list,
    Kind.ARRAY: _list,
    Kind.MAP: _map,
    Kind.STRUCT: _struct,
    Kind.OPAQUE: _opaque,
}
