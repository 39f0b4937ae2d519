"""Go's encoding/gob: values of the program as the bytes that Go's encoder writes, and back.

Types are dataclasses (msgspec.Struct and NamedTuple too) with annotations::

    @dataclass
    class Quotient:
        quo: int                          # Quo int
        rem: Annotated[int, gob.UINT8]    # Rem uint8

====================================  ==================================================
annotation                            in Go
====================================  ==================================================
``bool``, ``str``, ``bytes``          bool, string, []byte
``int``, ``float``, ``complex``       int, float64, complex128; ``Annotated`` for others
``list[T]``, ``tuple[T, ...]``        []T
``tuple[T, T]``, ``gob.Array(2)``     [2]T
``dict[K, V]``                        map[K]V
``T | None``                          \\*T: nil is None
``Any``                               an interface, by the names of a ``gob.Registry``
``datetime``                          time.Time; must have a zone, to microseconds
a class with ``gob_encode``, …        a type that encodes itself: :mod:`wirecore.gob.opaque`
====================================  ==================================================

A field is its Python name in Go's style: ``first_name`` is ``FirstName``; ``gob.Field("ID")``
in ``Annotated``, or ``metadata={"gob": "ID"}``, says otherwise. As in Go a struct's zero fields
aren't sent, and are zero again where they don't come; a field's default is for what the sender's
type doesn't have. A ``str`` that isn't UTF-8 in Go has surrogates for the odd bytes, and goes back
as it came. ``{}`` is an empty map, which Go sends; None, for ``dict[K, V] | None``, is a nil one.

An :class:`Encoder` and a :class:`Decoder` live as long as a connection; :func:`dumps` and
:func:`loads` are for one value that stands alone. :class:`Raw` is one that goes from a stream to
another as it is. There is no I/O here.
"""

from wirecore.errors import (
    GobError,
    GobStreamError,
    GobStreamLimitExceeded,
    GobValueError,
    GobValueLimitExceeded,
    InvalidGobType,
    UnsendableGob,
)
from wirecore.gob.annotations import (
    BINARY_MARSHALER,
    COMPLEX64,
    COMPLEX128,
    FLOAT32,
    FLOAT64,
    GOB_ENCODER,
    INT,
    INT8,
    INT16,
    INT32,
    INT64,
    TEXT_MARSHALER,
    UINT,
    UINT8,
    UINT16,
    UINT32,
    UINT64,
    UINTPTR,
    Array,
    Field,
    Name,
)
from wirecore.gob.decoder import NEED_DATA, Decoder, NeedData, loads
from wirecore.gob.encoder import Encoder, dumps
from wirecore.gob.ids import TypeIds
from wirecore.gob.limits import Limits
from wirecore.gob.raw import Raw
from wirecore.gob.registry import Named, Registry

__all__ = [
    "BINARY_MARSHALER",
    "COMPLEX64",
    "COMPLEX128",
    "FLOAT32",
    "FLOAT64",
    "GOB_ENCODER",
    "INT",
    "INT8",
    "INT16",
    "INT32",
    "INT64",
    "NEED_DATA",
    "TEXT_MARSHALER",
    "UINT",
    "UINT8",
    "UINT16",
    "UINT32",
    "UINT64",
    "UINTPTR",
    "Array",
    "Decoder",
    "Encoder",
    "Field",
    "GobError",
    "GobStreamError",
    "GobStreamLimitExceeded",
    "GobValueError",
    "GobValueLimitExceeded",
    "InvalidGobType",
    "Limits",
    "Name",
    "Named",
    "NeedData",
    "Raw",
    "Registry",
    "TypeIds",
    "UnsendableGob",
    "dumps",
    "loads",
]
