"""What gob values are made of: the kinds, the figures, and what is said of bytes that are none.

Both backends go by these. Texts are Go's own where Go has one. It imports nothing but the leaves.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

#: Type ids below this one are Go's; those of a stream begin here.
FIRST_TYPE_ID: Final = 64
#: The largest type id: Go's are of 32 bits.
LAST_TYPE_ID: Final = (1 << 31) - 1

#: Longest message that Go reads, in bytes.
GO_MAX_MESSAGE: Final = 1 << 33

#: Longest name of a type in an interface value that Go reads, in bytes.
GO_MAX_NAME: Final = 1024

MAX_INT: Final = (1 << 63) - 1
MIN_INT: Final = -(1 << 63)
MAX_UINT: Final = (1 << 64) - 1

#: The largest float of 32 bits.
MAX_FLOAT32: Final = 3.4028234663852886e38


class Kind(IntEnum):
    """What a value is. Those up to INTERFACE are their own type ids on the wire."""

    POINTER = 0
    BOOL = 1
    INT = 2
    UINT = 3
    FLOAT = 4
    BYTES = 5
    STRING = 6
    COMPLEX = 7
    INTERFACE = 8
    SLICE = 9
    ARRAY = 10
    MAP = 11
    STRUCT = 12
    #: Bytes that a type makes of itself: GobEncoder, BinaryMarshaler, TextMarshaler.
    OPAQUE = 13


class Make(IntEnum):
    """How a struct's value is made of its fields."""

    #: A dict from names to values.
    DICT = 0
    #: A call with the values in order.
    POSITIONS = 1
    #: A call with keywords.
    KEYWORDS = 2
    #: The attributes of a new object are set: what a generated ``__init__`` would do.
    ATTRIBUTES = 3
    #: A tuple of name and value pairs, which is hashable.
    PAIRS = 4


class DefinitionInside(Exception):
    """A value in an interface brings the definition of its type, or goes on in the next message.

    Never leaves the package: the message is read in another way then.
    """


#: Stands for a field of a struct whose value a function makes.
MADE: Final = object()


def encode_uint(value: int) -> bytes:
    """An unsigned integer as gob writes it: one byte below 128, else its length and its bytes."""
    if value < 0x80:
        return bytes((value,))
    width = (value.bit_length() + 7) >> 3
    return bytes((0x100 - width,)) + value.to_bytes(width, "big")


def encode_int(value: int) -> bytes:
    """A signed integer as gob writes it: the lowest bit says that the others are flipped."""
    return encode_uint(~value << 1 | 1 if value < 0 else value << 1)


# --- what is wrong with bytes that came: Go's words ----------------------------------------

EOF: Final = "EOF"
UNEXPECTED_EOF: Final = "unexpected EOF"
BAD_LENGTH: Final = "invalid message length"
BAD_UINT: Final = "gob: encoded unsigned integer out of range"
BAD_TYPE: Final = "gob: unknown type id or corrupted data"
DUPLICATE_TYPE: Final = "gob: duplicate type received"
EXTRA_DATA: Final = "extra data in buffer"
BAD_FIELD: Final = "gob: bad data: field numbers out of bounds"
BAD_DELTA: Final = "gob: decode: corrupted data: non-zero delta for singleton"
BAD_OPAQUE: Final = "gob: GobDecoder: length too large for buffer"
BAD_NESTING: Final = "invalid nesting depth"
BAD_ARRAY: Final = "gob: length mismatch in decodeArray"


def short_uint(wanted: int, left: int) -> str:
    """An integer of *wanted* bytes where *left* are."""
    return f"gob: invalid uint data length {wanted}: exceeds input size {left}"


def out_of_range(label: str) -> str:
    """A number that its type doesn't hold; *label*: the field, say."""
    return f'value for "{label}" out of range'


def too_many(count: int) -> str:
    """More elements announced than bytes follow."""
    return f"gob: decoding array or slice: length exceeds input size ({count} elements)"


def too_many_of(kind: str, count: int) -> str:
    """The same of elements that are numbers, strings or bools: *kind* is Go's name for them."""
    return f"gob: decoding {kind} array or slice: length exceeds input size ({count} elements)"


def too_many_pairs(count: int) -> str:
    """The same of the pairs of a map."""
    return f"gob: decoding map: length exceeds input size ({count} elements)"


def bad_size(kind: str) -> str:
    """A string or bytes longer than what is left; *kind* is Go's name."""
    return f"gob: bad {kind} slice length: 0"


def bad_name(size: int) -> str:
    """The name of a type in an interface value, longer than what is left."""
    return f"gob: invalid type name length {size}: exceeds input size"


def long_name(size: int) -> str:
    """The name of a type in an interface value, longer than any."""
    return f"gob: name too long ({size} bytes)"


def unhashable(label: str) -> str:
    """A key that no dict takes."""
    return f"a key of {label!r} can't be one of a dict: its type isn't hashable"


def refused(label: str, error: BaseException) -> str:
    """A type of the program's refused what it was made of; only *error*'s type is told."""
    return f"the value for {label!r} was refused ({type(error).__name__})"


# --- what is wrong with values to be written ------------------------------------------------


def not_one(label: str, wanted: str, found: str) -> str:
    """A value of another kind."""
    return f"the value for {label!r} must be {wanted}, not {found}"


def nil_inside(label: str) -> str:
    """None where Go sends no nil."""
    return f"the value for {label!r} must not be None: gob has no nil there"


def wrong_size(label: str, wanted: int, found: int) -> str:
    """An array of another length."""
    return f"the value for {label!r} must have {wanted} elements, not {found}"


def bad_text(label: str) -> str:
    """A str that can't be put into bytes."""
    return f"the value for {label!r} has surrogates that stand for no byte"


def no_attribute(label: str) -> str:
    """A struct's instance without the attribute that has the field's value."""
    return f"the value for {label!r} is missing: its attribute isn't set"


def changed(label: str) -> str:
    """A list that grew or shrank meanwhile."""
    return f"the value for {label!r} changed while it was written"


def too_deep(bound: int) -> str:
    """A value nested too deeply, or within itself."""
    return f"max_depth is {bound}, and the value is nested deeper, or holds itself"
