"""Arguments and results on their way over a third process, which doesn't know their types.

Who calls packs the argument, of its type, into bytes that stand alone; another process sends
these to a provider, over whatever connection, as *raw*; the result comes back as *raw*, and who
called reads its bytes as the type that it wants. All is as if he had that connection: what the
provider gets, and what errors say.
"""

from __future__ import annotations

from typing import Any, Protocol

from wirecore import _backend, gob
from wirecore.errors import JsonStreamError, LocalLimitExceeded
from wirecore.gojson.raw import RawJson
from wirecore.gojson.text import finish
from wirecore.gojson.writing import write
from wirecore.protocols.pool.codec import NEED_DATA, without_nil
from wirecore.protocols.pool.jsonrpc import JsonCalling


class Packing(Protocol):
    """How values of one codec are packed."""

    @property
    def raw(self) -> type[gob.Raw] | type[RawJson]:
        """Wraps packed bytes, ``raw(data)``, and is the annotation to send and to read that as."""

    def pack(self, value: Any, annotation: Any) -> bytes:
        """An argument as bytes. Raises what the codec's ``encode_request`` raises."""

    def unpack(self, data: bytes, annotation: Any) -> Any:
        """A result that was packed. Raises what the codec's ``result`` raises.

        Bytes that aren't packed are an :class:`~wirecore.errors.InvalidStream`.
        """


class GobPacking:
    """Values of gob. Arguments are :class:`~wirecore.protocols.pool.GobCalling`'s."""

    raw = gob.Raw

    def __init__(
        self,
        registry: gob.Registry | None = None,
        limits: gob.Limits | None = None,
        *,
        backend: _backend.Backend | None = None,
    ) -> None:
        self._registry = registry or gob.Registry()
        self._limits = limits
        self._backend = backend

    def pack(self, value: Any, annotation: Any = Any) -> bytes:
        """An argument as bytes. Raises what :meth:`wirecore.gob.Encoder.encode` raises."""
        encoder = gob.Encoder(self._registry, self._limits, backend=self._backend)
        return encoder.encode(without_nil(value, annotation), annotation)

    def unpack(self, data: bytes, annotation: Any = Any) -> Any:
        """A result that was packed. Raises what :func:`wirecore.gob.loads` raises."""
        return gob.loads(
            data,
            annotation,
            registry=self._registry,
            limits=self._limits,
            backend=self._backend,
        )


class JsonPacking:
    """Values of JSON. *limits*: :class:`~wirecore.protocols.pool.JsonCalling`'s."""

    raw = RawJson

    def __init__(self, limits: gob.Limits | None = None) -> None:
        self._limits = limits or gob.Limits()

    def pack(self, value: Any, annotation: Any = Any) -> bytes:
        """An argument as bytes.

        Raises what :meth:`~wirecore.protocols.pool.JsonCalling.encode_request` raises.
        """
        made = finish(write(value, annotation, self._limits.max_depth))
        bound = self._limits.max_message_size
        if len(made) > bound:
            raise LocalLimitExceeded("max_message_size", len(made), bound)
        return made

    def unpack(self, data: bytes, annotation: Any = Any) -> Any:
        """A result that was packed.

        Raises what :meth:`~wirecore.protocols.pool.JsonCalling.result` raises, and
        :class:`~wirecore.errors.JsonStreamError` where it is no JSON.
        """
        calling = JsonCalling(self._limits)
        calling.feed(b'{"id":0,"result":' + data + b"}\n")
        if calling.next_response() is NEED_DATA:
            raise JsonStreamError("unexpected EOF")
        found = calling.result(annotation)
        calling.finish()
        return found
