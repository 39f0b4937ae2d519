"""The values in gob's messages: the pure twin of ``wirecore._gob_reader``.

What a value's bytes mean is told by a plan, made once for each pair of type on the wire and type
in the program (``wirecore.gob``).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final

from wirecore import gob_rules as rules
from wirecore.errors import GobError, GobValueError, GobValueLimitExceeded
from wirecore.gob_rules import MADE, DefinitionInside, Kind, Make

_to_float: Final = struct.Struct("<d").unpack


class ReadPlan:
    """How the bytes of one value are read. Whoever makes one sets what its kind needs."""

    __slots__ = (
        "kind",
        "label",  # of the value, for errors
        "low",  # bounds of an int (of a uint: the upper one)
        "high",
        "single",  # a float, or the parts of a complex, must fit into 32 bits
        "text",  # Go's name of a string or bytes, and of elements that are basic; else ""
        "elem",
        "key",
        "size",  # of an array
        "frozen",  # elements are given as a tuple
        "fields",  # the plan of each field on the wire
        "slots",  # the place of each among the values; -1: it is passed over
        "make",
        "maker",  # the class or function of a struct, or of what is opaque (None: bytes)
        "names",  # of a struct's values
        "template",  # a struct's values where none come; MADE where a function makes one
        "factories",  # these: pairs of place and function
        "strict",  # an interface's name must be registered
    )

    def __init__(self, kind: int, label: str = "") -> None:
        self.kind = kind
        self.label = label
        self.low = rules.MIN_INT
        self.high = rules.MAX_INT if kind == Kind.INT else rules.MAX_UINT
        self.single = False
        self.text = ""
        self.elem: ReadPlan | None = None
        self.key: ReadPlan | None = None
        self.size = 0
        self.frozen = False
        self.fields: list[ReadPlan] = []
        self.slots: list[int] = []
        self.make: int = Make.DICT
        self.maker: Callable[..., Any] | None = None
        self.names: list[str] = []
        self.template: list[Any] = []
        self.factories: list[tuple[int, Callable[[], Any]]] = []
        self.strict = False


#: Finds the plan for a value in an interface: the type's name (b"": it is passed over), the id
#: of the type, and whether that name must be registered.
Resolve = Callable[[bytes, int, bool], ReadPlan]


class ValueReader:
    """Reads values by plans. *resolve* finds those for what interfaces hold."""

    def __init__(self, resolve: Resolve, max_depth: int, max_elements: int) -> None:
        self._resolve = resolve
        self._max_depth = max_depth
        self._max_elements = max_elements

    def read(self, plan: ReadPlan, message: bytes, at: int, end: int) -> Any:
        """The value that begins at *at* in a message that ends at *end*, perhaps before it.

        Raises :class:`~wirecore.errors.GobValueError` where it can't be read by *plan*, or
        passes a bound; DefinitionInside where it isn't all in this message; and what *resolve*
        raises.
        """
        cursor = _Cursor(message, at, end, self._resolve, self._max_depth, self._max_elements)
        return cursor.top(plan, 1)


class _Cursor:
    """A place in a message, and what reads there. *depth* is that of the value to be read."""

    __slots__ = ("data", "at", "end", "resolve", "max_depth", "max_elements", "elements")

    def __init__(
        self,
        data: bytes,
        at: int,
        end: int,
        resolve: Resolve | None = None,
        max_depth: int = 0,
        max_elements: int = 0,
    ) -> None:
        self.data = data
        self.at = at
        self.end = end
        self.resolve = resolve
        self.max_depth = max_depth
        self.max_elements = max_elements
        self.elements = 0

    # --- what all is made of ---

    def uint(self) -> int:
        at = self.at
        if at >= self.end:
            raise GobValueError(rules.EOF)
        first = self.data[at]
        at += 1
        if first < 0x80:
            self.at = at
            return first
        width = 0x100 - first
        if width > 8:
            raise GobValueError(rules.BAD_UINT)
        if self.end - at < width:
            raise GobValueError(rules.short_uint(width, self.end - at))
        self.at = at + width
        return int.from_bytes(self.data[at : self.at], "big")

    def signed(self) -> int:
        number = self.uint()
        return ~(number >> 1) if number & 1 else number >> 1

    def span(self, problem: str) -> bytes:
        """As many bytes as the integer before them says; *problem*: there are fewer."""
        size = self.uint()
        if size > self.end - self.at:
            raise GobValueError(problem)
        begin = self.at
        self.at = begin + size
        return self.data[begin : self.at]

    def real(self, plan: ReadPlan) -> float:
        value: float = _to_float(self.uint().to_bytes(8, "big"))[0]
        if plan.single and rules.MAX_FLOAT32 < abs(value) < float("inf"):
            raise GobValueError(rules.out_of_range(plan.label))
        return value

    def deeper(self, depth: int) -> None:
        if depth > self.max_depth:
            raise GobValueLimitExceeded("max_depth", depth, self.max_depth)

    def count_elements(self, count: int) -> None:
        self.elements += count
        if self.elements > self.max_elements:
            raise GobValueLimitExceeded("max_elements", self.elements, self.max_elements)

    # --- values ---

    def top(self, plan: ReadPlan, depth: int) -> Any:
        """A value as it stands behind a type id: what is no struct has a zero byte before it."""
        if plan.kind != Kind.STRUCT and self.uint():
            raise GobValueError(rules.BAD_DELTA)
        return _READ[plan.kind](self, plan, depth)

    def read_bool(self, plan: ReadPlan, depth: int) -> bool:
        return self.uint() != 0

    def read_int(self, plan: ReadPlan, depth: int) -> int:
        value = self.signed()
        if not plan.low <= value <= plan.high:
            raise GobValueError(rules.out_of_range(plan.label))
        return value

    def read_uint(self, plan: ReadPlan, depth: int) -> int:
        value = self.uint()
        if value > plan.high:
            raise GobValueError(rules.out_of_range(plan.label))
        return value

    def read_float(self, plan: ReadPlan, depth: int) -> float:
        return self.real(plan)

    def read_complex(self, plan: ReadPlan, depth: int) -> complex:
        return complex(self.real(plan), self.real(plan))

    def read_bytes(self, plan: ReadPlan, depth: int) -> bytes:
        return self.span(rules.bad_size(plan.text))

    def read_string(self, plan: ReadPlan, depth: int) -> str:
        return self.span(rules.bad_size(plan.text)).decode("utf-8", "surrogateescape")

    def read_opaque(self, plan: ReadPlan, depth: int) -> Any:
        data = self.span(rules.BAD_OPAQUE)
        if plan.maker is None:
            return data
        try:
            return plan.maker(data)
        except GobError:
            raise
        except Exception as error:
            raise GobValueError(rules.refused(plan.label, error)) from error

    def read_interface(self, plan: ReadPlan, depth: int) -> Any:
        self.deeper(depth)
        name = self.name()
        if not name:
            return None
        return self.top(self.inner(name, plan.strict), depth + 1)

    def name(self) -> bytes:
        size = self.uint()
        if size > self.end - self.at:
            raise GobValueError(rules.bad_name(size))
        if size > rules.GO_MAX_NAME:
            raise GobValueError(rules.long_name(size))
        begin = self.at
        self.at = begin + size
        return self.data[begin : self.at]

    def inner(self, name: bytes, strict: bool) -> ReadPlan:
        """The plan of what follows an interface's name; id and length are read."""
        if self.at == self.end:
            raise DefinitionInside
        number = self.signed()
        if number < 0:
            raise DefinitionInside
        self.uint()
        assert self.resolve is not None
        return self.resolve(name, number, strict)

    def read_slice(self, plan: ReadPlan, depth: int) -> list[Any] | tuple[Any, ...]:
        self.deeper(depth)
        elem = plan.elem
        assert elem is not None
        count = self.uint()
        if plan.kind == Kind.ARRAY and count != plan.size:
            raise GobValueError(rules.BAD_ARRAY)
        if count > self.end - self.at:
            text = plan.text
            raise GobValueError(rules.too_many_of(text, count) if text else rules.too_many(count))
        self.count_elements(count)
        read = _READ[elem.kind]
        found = []
        for _ in range(count):
            if self.at == self.end:
                text = plan.text
                raise GobValueError(
                    rules.too_many_of(text, count) if text else rules.too_many(count)
                )
            found.append(read(self, elem, depth + 1))
        return tuple(found) if plan.frozen else found

    def read_map(self, plan: ReadPlan, depth: int) -> dict[Any, Any]:
        self.deeper(depth)
        key, elem = plan.key, plan.elem
        assert key is not None
        assert elem is not None
        count = self.uint()
        if count > (self.end - self.at) // 2:
            raise GobValueError(rules.too_many_pairs(count))
        self.count_elements(2 * count)
        read_key, read_elem = _READ[key.kind], _READ[elem.kind]
        found = {}
        for _ in range(count):
            one = read_key(self, key, depth + 1)
            other = read_elem(self, elem, depth + 1)
            try:
                found[one] = other
            except TypeError as error:
                raise GobValueError(rules.unhashable(plan.label)) from error
        return found

    def read_struct(self, plan: ReadPlan, depth: int) -> Any:
        self.deeper(depth)
        self.count_elements(len(plan.template))
        fields, slots = plan.fields, plan.slots
        values = plan.template.copy()
        number = -1
        # Go takes the end of the message for the end of a struct.
        while self.at < self.end:
            delta = self.uint()
            if delta == 0:
                break
            if number >= len(fields) - delta:
                raise GobValueError(rules.BAD_FIELD)
            number += delta
            field, slot = fields[number], slots[number]
            if slot < 0:
                self.skip(field, depth + 1)
            else:
                values[slot] = _READ[field.kind](self, field, depth + 1)
        return _make(plan, values)

    # --- values that nobody wants ---

    def skip(self, plan: ReadPlan, depth: int) -> None:
        """Pass over a value; only what is needed to find its end is looked at."""
        kind = plan.kind
        if kind <= Kind.FLOAT:
            self.uint()
        elif kind == Kind.COMPLEX:
            self.uint()
            self.uint()
        elif kind == Kind.INTERFACE:
            self.deeper(depth)
            if self.name():
                inner = self.inner(b"", False)
                if inner.kind != Kind.STRUCT and self.uint():
                    raise GobValueError(rules.BAD_DELTA)
                self.skip(inner, depth + 1)
        elif kind in _SPANS:
            self.span(rules.BAD_OPAQUE if kind == Kind.OPAQUE else rules.bad_size(plan.text))
        else:
            self.deeper(depth)
            if kind == Kind.STRUCT:
                self._skip_fields(plan, depth)
            else:
                self._skip_many(plan, depth)

    def _skip_fields(self, plan: ReadPlan, depth: int) -> None:
        number = -1
        while self.at < self.end:
            delta = self.uint()
            if delta == 0:
                return
            if number >= len(plan.fields) - delta:
                raise GobValueError(rules.BAD_FIELD)
            number += delta
            self.skip(plan.fields[number], depth + 1)

    def _skip_many(self, plan: ReadPlan, depth: int) -> None:
        key, elem = plan.key, plan.elem
        assert elem is not None
        count = self.uint()
        if plan.kind == Kind.ARRAY and count != plan.size:
            raise GobValueError(rules.BAD_ARRAY)
        if key is not None and count > (self.end - self.at) // 2:
            raise GobValueError(rules.too_many_pairs(count))
        if count > self.end - self.at:
            raise GobValueError(rules.too_many(count))
        for _ in range(count):
            if self.at == self.end:
                raise GobValueError(rules.too_many(count))
            if key is not None:
                self.skip(key, depth + 1)
            self.skip(elem, depth + 1)


_SPANS: Final = (Kind.BYTES, Kind.STRING, Kind.OPAQUE)


def _make(plan: ReadPlan, values: list[Any]) -> Any:
    """A struct of its values."""
    try:
        for slot, factory in plan.factories:
            if values[slot] is MADE:
                values[slot] = factory()
        if plan.make == Make.DICT:
            return dict(zip(plan.names, values, strict=True))
        if plan.make == Make.PAIRS:
            return tuple(zip(plan.names, values, strict=True))
        assert plan.maker is not None
        if plan.make == Make.POSITIONS:
            return plan.maker(*values)
        if plan.make == Make.KEYWORDS:
            return plan.maker(**dict(zip(plan.names, values, strict=True)))
        made = object.__new__(plan.maker)  # type: ignore[arg-type]
        for name, value in zip(plan.names, values, strict=True):
            object.__setattr__(made, name, value)
        return made
    except GobError:
        raise
    except Exception as error:
        raise GobValueError(rules.refused(plan.label, error)) from error


_READ: Final[dict[int, Callable[[_Cursor, ReadPlan, int], Any]]] = {
    Kind.BOOL: _Cursor.read_bool,
    Kind.INT: _Cursor.read_int,
    Kind.UINT: _Cursor.read_uint,
    Kind.FLOAT: _Cursor.read_float,
    Kind.BYTES: _Cursor.read_bytes,
    Kind.STRING: _Cursor.read_string,
    Kind.COMPLEX: _Cursor.read_complex,
    Kind.INTERFACE: _Cursor.read_interface,
    Kind.SLICE: _Cursor.read_slice,
    Kind.ARRAY: _Cursor.read_slice,
    Kind.MAP: _Cursor.read_map,
    Kind.STRUCT: _Cursor.read_struct,
    Kind.OPAQUE: _Cursor.read_opaque,
}
