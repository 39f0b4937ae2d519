"""Which codec a path speaks: gob or JSON-RPC, and what each can be told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from wirecore import errors, gob
from wirecore.protocols.pool import (
    CallingCodec,
    GobCalling,
    GobPacking,
    GobServing,
    JsonCalling,
    JsonPacking,
    JsonServing,
    Packing,
    ServingCodec,
)

from .._arguments import kind_of, require_type

if TYPE_CHECKING:
    from wirecore._backend import Backend


@dataclass(frozen=True, slots=True)
class Gob:
    """net/rpc over gob, which both ends speak unless told otherwise.

    *registry*: the names of types in interfaces (``Any``). *limits*: of each stream, None: those
    of the connection's ``max_message_size``. Raises TypeError for other types.
    """

    registry: gob.Registry | None = None
    limits: gob.Limits | None = None

    def __post_init__(self) -> None:
        require_type("registry", self.registry, gob.Registry, optional=True)
        require_type("limits", self.limits, gob.Limits, optional=True)

    @property
    def name(self) -> str:
        """What the codec is called."""
        return "gob"

    def packing(self, size: int, backend: Backend | None = None) -> Packing:
        """How values go from node to node."""
        return GobPacking(self.registry, self.limits or _limits(size), backend=backend)

    def calling(self, size: int, backend: Backend | None = None) -> CallingCodec:
        """The end that calls, of one connection; *size*: the connection's bound on a value."""
        return GobCalling(self.registry, self.limits or _limits(size), backend=backend)

    def serving(self, size: int, backend: Backend | None = None) -> ServingCodec:
        """The end that serves, of one connection."""
        return GobServing(self.registry, self.limits or _limits(size), backend=backend)


@dataclass(frozen=True, slots=True)
class Json:
    """JSON-RPC 1.0, as Go's net/rpc/jsonrpc speaks it. *limits*: as :class:`Gob` has them."""

    limits: gob.Limits | None = None

    def __post_init__(self) -> None:
        require_type("limits", self.limits, gob.Limits, optional=True)

    @property
    def name(self) -> str:
        """What the codec is called."""
        return "json"

    def packing(self, size: int, backend: Backend | None = None) -> Packing:
        """How values go from node to node."""
        return JsonPacking(self.limits or _limits(size))

    def calling(self, size: int, backend: Backend | None = None) -> CallingCodec:
        """The end that calls, of one connection; *size*: the connection's bound on a value."""
        return JsonCalling(self.limits or _limits(size), backend=backend)

    def serving(self, size: int, backend: Backend | None = None) -> ServingCodec:
        """The end that serves, of one connection."""
        return JsonServing(self.limits or _limits(size), backend=backend)


#: What a path's codec is given as.
AnyCodec: TypeAlias = "str | Gob | Json"

_NAMED: Final[dict[str, type[Gob] | type[Json]]] = {"gob": Gob, "json": Json}


def _limits(size: int) -> gob.Limits:
    return gob.Limits(max_message_size=size)


def codec_of(codec: AnyCodec) -> Gob | Json:
    """What *codec* names. Raises InvalidOption for another name, TypeError for another type."""
    if isinstance(codec, Gob | Json):
        return codec
    if not isinstance(codec, str):
        raise TypeError(f'codec must be "gob", "json", Gob or Json, not {kind_of(codec)}')
    if codec not in _NAMED:
        raise errors.InvalidOption(f'codec must be "gob" or "json", not {codec!r}')
    return _NAMED[codec]()
