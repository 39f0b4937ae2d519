"""Reading values by their types, with Go's rules and in its words.

Names of fields match in any case, and those that the program hasn't are passed over; null leaves
what is there, which is the type's zero or the field's default; of members of one name the last
counts; an array in JSON may be shorter or longer than the one it is read into.
"""

from __future__ import annotations

import re
from binascii import a2b_base64
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from math import frexp, inf, isinf, ldexp, nextafter
from typing import Any, Final, TypeAlias

from wirecore import gob_rules as rules
from wirecore.errors import (
    InvalidJsonType,
    JsonError,
    JsonValueError,
    JsonValueLimitExceeded,
    printable,
)
from wirecore.gob.opaque import ZERO_TIME
from wirecore.gob.types import GobType, make_struct, zero_of
from wirecore.gob_rules import Kind
from wirecore.gojson.parsing import Number, Tree, fold
from wirecore.gojson.plans import forget
from wirecore.gojson.text import round_single
from wirecore.gojson.times import parse_time

_PLAN: Final = "json, read"
_TEXT_MARSHALER: Final = 7

#: Characters of a number that an error shows.
_SHOWN: Final = 100

_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,400}")

#: What base64 is decoded by: four digits, with line breaks anywhere; and what is left of these.
_QUANTA: Final = re.compile(rb"(?:(?:[\r\n]*[A-Za-z0-9+/]){4})*+")
_DIGITS_LEFT: Final = re.compile(rb"(?:[\r\n]*[A-Za-z0-9+/])*[\r\n]*")
_LINE_BREAKS: Final = re.compile(rb"[\r\n]*")


class NeedsText(Exception):
    """It matters how a number was written, for an error say: all must be parsed again for that.

    Never leaves the package.
    """


class Mismatch(Exception):
    """A value of another kind. Never leaves the package: :meth:`text` is what does."""

    def __init__(self, found: str, wanted: str) -> None:
        self._found = found
        self._wanted = wanted
        self._owner = ""
        self._path: list[str] = []

    def within(self, owner: str, field: str) -> None:
        """It is in a field of a struct, which is the innermost the first time."""
        self._owner = self._owner if self._path else owner
        self._path.append(field)

    def text(self) -> str:
        """Go's words."""
        place = "value"
        if self._path:
            place = f"struct field {self._owner}.{'.'.join(reversed(self._path))}"
        return f"json: cannot unmarshal {self._found} into Go {place} of type {self._wanted}"


class Budget:
    """How many more elements and fields a value may be made of."""

    __slots__ = ("_bound", "_left")

    def __init__(self, bound: int) -> None:
        self._bound = self._left = bound

    def take(self, count: int) -> None:
        """Raises :class:`~wirecore.errors.JsonValueLimitExceeded` where that is too many."""
        self._left -= count
        if self._left < 0:
            raise JsonValueLimitExceeded("max_elements", self._bound - self._left, self._bound)


Reader: TypeAlias = Callable[[Tree, Budget], Any]


def reader_of(wanted: GobType) -> Reader:
    """What reads values of the type *wanted*.

    Raises :class:`~wirecore.errors.InvalidJsonType` where it has no counterpart in JSON.
    """
    found: Reader | None = wanted.plans.get(_PLAN)
    if found is None:
        found = wanted.plans[_PLAN] = _MAKE[wanted.kind](wanted)
    return found


def describe(value: Tree) -> str:
    """What Go calls a value, a number by its text."""
    if isinstance(value, Number) or type(value) is int:
        return f"number {_number_text(value)}"
    if isinstance(value, float):
        raise NeedsText
    return describe_kind(value)


def describe_kind(value: Tree) -> str:
    """What Go calls the kind of a value."""
    kind = type(value)
    return {str: "string", bool: "bool", list: "array", tuple: "object"}.get(kind, "number")


def _number_text(value: int | Number) -> str:
    text = value if isinstance(value, Number) else int.__repr__(value)
    return str(text) if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def read_plain(value: Tree, budget: Budget) -> Any:
    """A value without a type: dicts, lists, str, numbers, bool, None."""
    kind = type(value)
    if kind is tuple:
        return {name: read_plain(each, budget) for name, each in value}
    if kind is list:
        return [read_plain(each, budget) for each in value]
    if kind is float and isinf(value):
        raise NeedsText
    if kind is Number:
        if _INTEGER.fullmatch(value) and value != "-0":
            return int(value)
        return _to_float(value, "float64", single=False)
    return value


def _to_float(value: Tree, text: str, *, single: bool) -> float:
    try:
        number = float(value)
        if isinf(number):
            raise Mismatch(describe(value), text)
        return _to_single(value, number) if single else number
    except OverflowError:
        raise Mismatch(describe(value), text) from None


def _to_single(value: Tree, number: float) -> float:
    """The float of 32 bits nearest to *value*, to which *number* is the nearest of 64.

    Where *number* is halfway between two of 32 bits, what *value* is beyond it decides.
    """
    mantissa, exponent = frexp(number)
    bits = min(24, exponent + 149)  # that one of 32 bits has there
    if ldexp(abs(mantissa), bits + 1) % 2 == 1:
        if type(value) is float:
            raise NeedsText
        exact = Decimal(value) if type(value) is Number else value
        if exact != number:
            number = nextafter(number, inf if exact > number else -inf)
    return round_single(number)


def _pointer(wanted: GobType) -> Reader:
    elem = wanted.elem
    assert elem is not None
    # Of what reads itself, and of nothing else, Go's errors tell that it is a pointer.
    inner = _opaque(elem, wanted.text) if elem.kind == Kind.OPAQUE else reader_of(elem)
    return lambda value, budget: None if value is None else inner(value, budget)


def _unsupported(wanted: GobType) -> Reader:
    raise InvalidJsonType(f"json: unsupported type: {wanted.text}")


def _bool(wanted: GobType) -> Reader:
    text = wanted.text

    def read_bool(value: Tree, budget: Budget) -> bool:
        if value is True or value is False:
            return value
        if value is None:
            return False
        raise Mismatch(describe_kind(value), text)

    return read_bool


def _string(wanted: GobType) -> Reader:
    text = wanted.text

    def read_string(value: Tree, budget: Budget) -> str:
        if type(value) is str:
            return value
        if value is None:
            return ""
        raise Mismatch(describe_kind(value), text)

    return read_string


def _integer(wanted: GobType) -> Reader:
    low, high = wanted.bounds
    unsigned = wanted.kind == Kind.UINT
    text = wanted.text

    def read_integer(value: Tree, budget: Budget) -> int:
        if type(value) is int and low <= value <= high:
            return value
        if value is None:
            return 0
        if type(value) is Number and _INTEGER.fullmatch(value):
            number = int(value)
            if low <= number <= high and not (unsigned and value == "-0"):
                return number
        raise Mismatch(describe(value), text)

    return read_integer


def _float(wanted: GobType) -> Reader:
    text, single = wanted.text, wanted.single

    def read_float(value: Tree, budget: Budget) -> float:
        kind = type(value)
        if kind is float or kind is int or kind is Number:
            return _to_float(value, text, single=single)
        if value is None:
            return 0.0
        raise Mismatch(describe_kind(value), text)

    return read_float


def _bytes(wanted: GobType) -> Reader:
    text = wanted.text

    def read_bytes(value: Tree, budget: Budget) -> bytes:
        if type(value) is str:
            return _from_base64(value)
        if value is None:
            return b""
        if type(value) is list:
            return bytes([_to_byte(each) for each in value])
        raise Mismatch(describe_kind(value), text)

    return read_bytes


def _to_byte(value: Tree) -> int:
    if value is None:
        return 0
    if isinstance(value, Number) and len(value) < _SHOWN and value.isdecimal():
        value = int(value)
    if type(value) is int and 0 <= value <= 0xFF:
        return value
    raise Mismatch(describe(value), "uint8")


def _from_base64(text: str) -> bytes:
    kept = text.replace("\r", "").replace("\n", "")
    try:
        if len(kept) % 4 == 0:
            return a2b_base64(kept, strict_mode=True)
    except ValueError:
        pass
    at = _where_no_base64(text.encode("utf-8", "replace"))
    raise JsonValueError(f"illegal base64 data at input byte {at}")


def _where_no_base64(data: bytes) -> int:
    """Where Go says that *data*, which is no base64, isn't."""
    begin = _QUANTA.match(data).end()  # type: ignore[union-attr]
    at = _DIGITS_LEFT.match(data, begin).end()  # type: ignore[union-attr]
    digits = len(data[begin:at].translate(None, b"\r\n"))
    if at == len(data):
        return at - digits
    if data[at] != ord("=") or digits < 2:
        return at
    if digits == 2:
        at = _LINE_BREAKS.match(data, at + 1).end()  # type: ignore[union-attr]
        if data[at : at + 1] != b"=":
            return at if at == len(data) else at - 1
    return _LINE_BREAKS.match(data, at + 1).end()  # type: ignore[union-attr]


def _slice(wanted: GobType) -> Reader:
    assert wanted.elem is not None
    text, frozen = wanted.text, wanted.frozen
    inner = reader_of(wanted.elem)

    def read_slice(value: Tree, budget: Budget) -> Any:
        if type(value) is list:
            found = [inner(each, budget) for each in value]
        elif value is None:
            found = []
        else:
            raise Mismatch(describe_kind(value), text)
        return tuple(found) if frozen else found

    return read_slice


def _array(wanted: GobType) -> Reader:
    assert wanted.elem is not None
    text, frozen, size = wanted.text, wanted.frozen, wanted.size
    inner = reader_of(wanted.elem)

    def read_array(value: Tree, budget: Budget) -> Any:
        if type(value) is not list and value is not None:
            raise Mismatch(describe_kind(value), text)
        budget.take(size)
        found = [inner(each, budget) for each in (value or ())[:size]]
        found += [inner(None, budget) for _ in range(size - len(found))]
        return tuple(found) if frozen else found

    return read_array


def _map(wanted: GobType) -> Reader:
    assert wanted.key is not None
    assert wanted.elem is not None
    text = wanted.text
    key_of = _key(wanted, wanted.key)
    inner = reader_of(wanted.elem)

    def read_map(value: Tree, budget: Budget) -> dict[Any, Any]:
        if type(value) is tuple:
            found: dict[Any, Any] = {}
            try:
                for name, each in value:
                    found[key_of(name)] = inner(each, budget)  # Go, too, reads the key last
            except TypeError as error:
                raise JsonValueError(rules.unhashable(text)) from error
            return found
        if value is None:
            return {}
        raise Mismatch(describe_kind(value), text)

    return read_map


def _key(wanted: GobType, key: GobType) -> Callable[[str], Any]:
    if key.kind == Kind.STRING:
        return lambda name: name
    if key.kind in (Kind.INT, Kind.UINT):
        low, high = key.bounds
        digits = re.compile(r"[+-]?[0-9]{1,400}" if key.kind == Kind.INT else "[0-9]{1,400}")

        def read_key(name: str) -> int:
            if digits.fullmatch(name) and low <= (number := int(name)) <= high:
                return number
            raise Mismatch(f"number {printable(name[:_SHOWN])}", key.text)

        return read_key
    if key.kind == Kind.OPAQUE:
        from_text = _from_text(key)
        if from_text is not None:
            return from_text
    raise InvalidJsonType(f"json: unsupported type: {wanted.text}")


def _struct(wanted: GobType) -> Reader:
    """The reader of a struct, of which there is one: fields may be of its own type."""
    places: dict[str, tuple[str, str, bool, Reader]] = {}
    count = len(wanted.fields)
    text, name_in_go = wanted.text, wanted.name

    def read_struct(value: Tree, budget: Budget) -> Any:
        if type(value) is not tuple and value is not None:
            raise Mismatch(describe_kind(value), text)
        budget.take(count)
        found: dict[str, Any] = {}
        for name, each in value or ():
            place = places.get(name) or places.get(fold(name))
            if place is None:
                continue
            attribute, field, stays, inner = place
            if each is None and stays:
                continue
            try:
                found[attribute] = inner(each, budget)
            except Mismatch as error:
                error.within(name_in_go, field)
                raise
        return _refusable(text, make_struct, wanted, found)

    wanted.plans[_PLAN] = read_struct
    try:
        for field in wanted.fields:
            name = field.json_name
            place = field.attribute, name, _null_stays(field.type), reader_of(field.type)
            places[name] = place
            places.setdefault(fold(name), place)
    except BaseException:
        forget(wanted, _PLAN)
        raise
    return read_struct


def _refusable(label: str, make: Callable[..., Any], *given: Any) -> Any:
    """What a function of the program's makes: it may refuse, with any error."""
    try:
        return make(*given)
    except JsonError:
        raise
    except Exception as error:
        raise JsonValueError(rules.refused(label, error)) from error


def _null_stays(wanted: GobType) -> bool:
    """Whether null leaves a field as it is; what can be nil becomes that."""
    return wanted.kind not in (
        Kind.POINTER, Kind.INTERFACE, Kind.SLICE, Kind.MAP, Kind.BYTES,
    )  # fmt: skip


# --- types that encode themselves ---


def _opaque(wanted: GobType, text: str) -> Reader:
    owner: Any = wanted.owner
    if owner is datetime:
        return _read_time
    from_text = _from_text(wanted)
    if from_text is None:
        raise InvalidJsonType(
            f"{wanted.text} encodes itself, but not as JSON: give it marshal_text and "
            "unmarshal_text"
        )
    zero, factory = zero_of(wanted)

    def read_opaque(value: Tree, budget: Budget) -> Any:
        if type(value) is str:
            return from_text(value)
        if value is None:
            return zero if factory is None else _refusable(wanted.text, factory)
        raise Mismatch(describe_kind(value), text)

    return read_opaque


def _read_time(value: Tree, budget: Budget) -> datetime:
    if type(value) is str:
        return parse_time(value)
    if value is None:
        return ZERO_TIME
    raise JsonValueError("Time.UnmarshalJSON: input is not a JSON string")


def _from_text(wanted: GobType) -> Callable[[str], Any] | None:
    """What makes a value of a text; None: there is nothing that does."""
    owner: Any = wanted.owner
    if owner is datetime:
        return parse_time
    if owner is None:
        if wanted.member != _TEXT_MARSHALER:
            return None
        return lambda text: text.encode("utf-8", "replace")
    if not hasattr(owner, "marshal_text") or not hasattr(owner, "unmarshal_text"):
        return None

    def from_text(text: str) -> Any:
        data = text.encode("utf-8", "replace")
        return _refusable(wanted.text, owner.unmarshal_text, data)

    return from_text


_MAKE: Final[dict[Kind, Callable[[GobType], Reader]]] = {
    Kind.POINTER: _pointer,
    Kind.BOOL: _bool,
    Kind.INT: _integer,
    Kind.UINT: _integer,
    Kind.FLOAT: _float,
    Kind.BYTES: _bytes,
    Kind.STRING: _string,
    Kind.COMPLEX: _unsupported,
    Kind.INTERFACE: lambda wanted: read_plain,
    Kind.SLICE: _slice,
    Kind.ARRAY: _array,
    Kind.MAP: _map,
    Kind.STRUCT: _struct,
    Kind.OPAQUE: lambda wanted: _opaque(wanted, wanted.text),
}
