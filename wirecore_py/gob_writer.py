"""Values as gob messages: the pure twin of ``wirecore._gob_writer``.

How a value is written is told by a plan, made once for each type (``wirecore.gob``).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final

from wirecore import gob_rules as rules
from wirecore.errors import UnsendableGob, kind_of
from wirecore.gob_rules import Kind

_from_float: Final = struct.Struct("<d").pack
_from_single: Final = struct.Struct("<f")

#: Writes what an interface holds: its name, its type and its value. Between two of several
#: pieces the message ends and the next one begins.
Describe = Callable[[Any, int], bytes | list[bytes]]


class WritePlan:
    """How a value is written. Whoever makes one sets what its kind needs."""

    __slots__ = (
        "kind",
        "label",  # of the value, for errors
        "low",  # bounds of an int (of a uint: the upper one)
        "high",
        "single",  # a float, or the parts of a complex, are rounded to 32 bits
        "nullable",  # None is a nil pointer
        "elem",
        "key",
        "size",  # of an array
        "fields",  # the plan of each field of a struct
        "names",  # and the attribute that has its value
        "owner",  # the class of a struct, or of what is opaque (None: bytes)
        "opaque",  # makes bytes of what is opaque (None: it is bytes)
        "is_zero",  # tells which values of it are left out as a field (None: none)
    )

    def __init__(self, kind: int, label: str = "") -> None:
        self.kind = kind
        self.label = label
        self.low = rules.MIN_INT if kind == Kind.INT else 0
        self.high = rules.MAX_INT if kind == Kind.INT else rules.MAX_UINT
        self.single = False
        self.nullable = False
        self.elem: WritePlan | None = None
        self.key: WritePlan | None = None
        self.size = 0
        self.fields: list[WritePlan] = []
        self.names: list[str] = []
        self.owner: type | None = None
        self.opaque: Callable[[Any], bytes] | None = None
        self.is_zero: Callable[[Any], bool] | None = None


class ValueWriter:
    """Writes values by plans. *describe* writes what interfaces hold; *max_depth* is a bound."""

    def __init__(self, describe: Describe, max_depth: int) -> None:
        self._describe = describe
        self._max_depth = max_depth

    def write(self, plan: WritePlan, head: bytes, value: Any, depth: int = 0) -> bytes:
        """The message or messages that hold *head* and *value*, with their lengths.

        *depth*: how many values this one is within. Raises
        :class:`~wirecore.errors.UnsendableGob` for what isn't as *plan* says, and what
        *describe* raises.
        """
        sink = _Sink(head, self._describe, self._max_depth)
        if plan.kind != Kind.STRUCT:
            sink.out.append(0)
        _WRITE[plan.kind](sink, plan, value, 0, depth + 1)
        return sink.messages()


class _Sink:
    """The bytes written so far.

    *delta* is what is written before a field's value, and a zero value isn't written then; where
    it is 0, the value is no field, and is always written. *depth* is that of the value.
    """

    __slots__ = ("out", "ends", "describe", "max_depth")

    def __init__(self, head: bytes, describe: Describe, max_depth: int) -> None:
        self.out = bytearray(head)
        self.ends: list[int] = []  # where a message ends and the next one begins
        self.describe = describe
        self.max_depth = max_depth

    def messages(self) -> bytes:
        out = self.out
        if not self.ends:
            return b"".join((rules.encode_uint(len(out)), out))
        parts: list[bytes] = []
        begin = 0
        for end in (*self.ends, len(out)):
            parts += rules.encode_uint(end - begin), bytes(out[begin:end])
            begin = end
        return b"".join(parts)

    def uint(self, value: int) -> None:
        if value < 0x80:
            self.out.append(value)
        else:
            width = (value.bit_length() + 7) >> 3
            self.out.append(0x100 - width)
            self.out += value.to_bytes(width, "big")

    def span(self, data: bytes | bytearray | memoryview, delta: int) -> bool:
        size = len(data)
        if delta:
            if not size:
                return False
            self.uint(delta)
        self.uint(size)
        self.out += data
        return True

    def real(self, value: float) -> None:
        self.uint(int.from_bytes(_from_float(value), "big"))

    def deeper(self, depth: int) -> None:
        if depth > self.max_depth:
            raise UnsendableGob(rules.too_deep(self.max_depth))

    def element(self, plan: WritePlan, value: Any, depth: int) -> None:
        if value is None and plan.kind != Kind.INTERFACE:
            raise UnsendableGob(rules.nil_inside(plan.label))
        _WRITE[plan.kind](self, plan, value, 0, depth)

    # --- values: True where something was written ---

    def write_bool(self, plan: WritePlan, value: Any, delta: int, depth: int) -> bool:
        if value is not True and value is not False:
            raise _not_one(plan, "a bool", value)
        if delta:
            if not value:
                return False
            self.uint(delta)
        self.out.append(value)
        return True

    def write_int(self, plan: WritePlan, value: Any, delta: int, depth: int) -> bool:
        if not isinstance(value, int):
            raise _not_one(plan, "an int", value)
        if not plan.low <= value <= plan.high:
            raise UnsendableGob(rules.out_of_range(plan.label))
        if delta:
            if not value:
                return False
            self.uint(delta)
        self.uint(~value << 1 | 1 if value < 0 else value << 1)
        return True

    def write_uint(self, plan: WritePlan, value: Any, delta: int, depth: int) -> bool:
        if not isinstance(value, int):
            raise _not_one(plan, "an int", value)
        if not 0 <= value <= plan.high:
            raise UnsendableGob(rules.out_of_range(plan.label))
        if delta:
            if not value:
                return False
            self.uint(delta)
        self.uint(value + 0)
        return True

    def write_float(self, plan: WritePlan, value: Any, delta: int, depth: int) -> bool:
        if not isinstance(value, float | int):
            raise _not_one(plan, "a float", value)
        number = _round(plan, value)
        if delta:
            if not number:
                return False
            self.uint(delta)
        self.real(number)
        return True

    def write_complex(self, plan: WritePlan, value: Any, delta: int, depth: int) -> bool:
        if not isinstance(value, complex | float | int):
            raise _not_one(plan, "a complex", value)
        real, imaginary = _round(plan, value.real), _round(plan, value.imag)
        if delta:
            if not real and not imaginary:
                return False
            self.uint(delta)
        self.real(real)
        self.real(imaginary)
        return True

    def write_bytes(self, plan: WritePlan, value: Any, delta: int, depth: int) -> bool:
        if value is None and delta:
            return False
        if not isinstance(value, bytes | bytearray | memoryview):
            raise _not_one(plan, "bytes", value)
        return self.span(bytes(value), delta)

    def write_string(self, plan: WritePlan, value: Any, delta: int, depth: int) -> bool:
        if not isinstance(value, str):
            raise _not_one(plan, "a str", value)
        try:
            data = str.encode(value, "utf-8", "surrogateescape")
        except UnicodeEncodeError:
            raise UnsendableGob(rules.bad_text(plan.label)) from None
        return self.span(data, delta)

    def write_opaque(self, plan: WritePlan, value: Any, delta: int, depth: int) -> bool:
        if plan.opaque is None:
            if not isinstance(value, bytes | bytearray | memoryview):
                raise _not_one(plan, "bytes", value)
            data = bytes(value)
            if delta and not data and not plan.nullable:
                return False
        else:
            if plan.owner is not None and not isinstance(value, plan.owner):
                raise _not_one(plan, plan.owner.__name__, value)
            if delta and not plan.nullable and plan.is_zero is not None and plan.is_zero(value):
                return False
            data = plan.opaque(value)
            if not isinstance(data, bytes):
                raise _not_one(plan, "bytes of its type's", data)
        if delta:
            self.uint(delta)
        return self.span(data, 0)

    def write_interface(self, plan: WritePlan, value: Any, delta: int, depth: int) -> bool:
        self.deeper(depth)
        if delta:
            if value is None:
                return False
            self.uint(delta)
        pieces = self.describe(value, depth)
        if isinstance(pieces, bytes):
            self.out += pieces
        else:
            for piece in pieces[:-1]:
                self.out += piece
                self.ends.append(len(self.out))
            self.out += pieces[-1]
        return True

    def write_slice(self, plan: WritePlan, value: Any, delta: int, depth: int) -> bool:
        self.deeper(depth)
        if value is None and delta and plan.kind == Kind.SLICE:
            return False
        if not isinstance(value, list | tuple):
            raise _not_one(plan, "a list or tuple", value)
        count = len(value)
        if plan.kind == Kind.ARRAY:
            if count != plan.size:
                raise UnsendableGob(rules.wrong_size(plan.label, plan.size, count))
        elif delta and not count:
            return False
        if delta:
            self.uint(delta)
        self.uint(count)
        elem = plan.elem
        assert elem is not None
        written = 0
        for item in value:
            self.element(elem, item, depth + 1)
            written += 1
        if written != count:
            raise UnsendableGob(rules.changed(plan.label))
        return True

    def write_map(self, plan: WritePlan, value: Any, delta: int, depth: int) -> bool:
        self.deeper(depth)
        if value is None and delta:
            return False
        if not isinstance(value, dict):
            raise _not_one(plan, "a dict", value)
        if delta:
            self.uint(delta)
        key, elem = plan.key, plan.elem
        assert key is not None
        assert elem is not None
        pairs = list(value.items())
        self.uint(len(pairs))
        for one, other in pairs:
            self.element(key, one, depth + 1)
            self.element(elem, other, depth + 1)
        return True

    def write_struct(self, plan: WritePlan, value: Any, delta: int, depth: int) -> bool:
        self.deeper(depth)
        owner = plan.owner
        assert owner is not None
        if not isinstance(value, owner):
            raise _not_one(plan, owner.__name__, value)
        if delta:
            self.uint(delta)
        step = 1
        for name, field in zip(plan.names, plan.fields, strict=True):
            try:
                inner = getattr(value, name)
            except AttributeError:
                raise UnsendableGob(rules.no_attribute(field.label)) from None
            if inner is None and field.nullable:
                step += 1
            elif _WRITE[field.kind](self, field, inner, step, depth + 1):
                step = 1
            else:
                step += 1
        self.out.append(0)
        return True


def _not_one(plan: WritePlan, wanted: str, value: object) -> UnsendableGob:
    return UnsendableGob(rules.not_one(plan.label, wanted, kind_of(value)))


def _round(plan: WritePlan, value: float) -> float:
    """*value* as the float that is written."""
    try:
        number = float(value)
        if plan.single:
            number = _from_single.unpack(_from_single.pack(number))[0]
    except OverflowError:
        raise UnsendableGob(rules.out_of_range(plan.label)) from None
    return number


_WRITE: Final[dict[int, Callable[[_Sink, WritePlan, Any, int, int], bool]]] = {
    Kind.BOOL: _Sink.write_bool,
    Kind.INT: _Sink.write_int,
    Kind.UINT: _Sink.write_uint,
    Kind.FLOAT: _Sink.write_float,
    Kind.BYTES: _Sink.write_bytes,
    Kind.STRING: _Sink.write_string,
    Kind.COMPLEX: _Sink.write_complex,
    Kind.INTERFACE: _Sink.write_interface,
    Kind.SLICE: _Sink.write_slice,
    Kind.ARRAY: _Sink.write_slice,
    Kind.MAP: _Sink.write_map,
    Kind.STRUCT: _Sink.write_struct,
    Kind.OPAQUE: _Sink.write_opaque,
}
