"""Header fields that go with calls: what our own ends tell each other beside an original's wire.

No original has a place for them. Where two ends have agreed on a subprotocol, a text message right
before a call, which is no part of the protocol, says what goes with it: the call's id, and fields
as HTTP has them, such as those of a trace.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Final, TypeAlias, TypeVar

from wirecore.events import RawText

R = TypeVar("R")

#: A call's id, as JSON has it.
CallId: TypeAlias = int | str

#: Bytes of a message that says them; longer ones say nothing that is known here.
MOST_BYTES: Final = 4096

#: Bytes of such messages, of one connection, whose fields are kept until they are asked for; and
#: what each, and each of its fields, counts besides, for what Python needs. A read brings hundreds
#: of calls, and several may be read before the first handler begins.
MOST_KEPT: Final = 1 << 22
OVERHEAD: Final = 512
PER_FIELD: Final = 128


def write_fields(call: CallId, fields: Mapping[str, str], most: int = MOST_BYTES) -> RawText:
    """The message that says that *fields* go with *call*; empty where none do.

    *most*: bytes that the peer takes. The last fields are left out where all don't fit.
    """
    most = min(most, MOST_BYTES)
    fitting = dict(fields)
    while fitting:
        message = json.dumps({"call": call, "fields": fitting}, separators=(",", ":")).encode()
        if len(message) <= most:
            return RawText(message)
        fitting.popitem()
    return RawText()


def read_fields(message: bytes) -> tuple[CallId, dict[str, str]] | None:
    """What such a message says; None for another. Fields that no header could have are left out."""
    if len(message) > MOST_BYTES:
        return None
    try:
        said = json.loads(message)
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict):
        return None
    call, fields = said.get("call"), said.get("fields")
    if not isinstance(call, int | str) or isinstance(call, bool) or not isinstance(fields, dict):
        return None
    return call, {name: value for name, value in fields.items() if _fits(name) and _fits(value)}


def _fits(text: object) -> bool:
    return isinstance(text, str) and text.isascii() and text.isprintable()


#: What counts, and goes with a call, where nothing was said.
_NONE: Final[tuple[int, Mapping[str, str]]] = (0, MappingProxyType({}))


class CallFields:
    """The fields that came for the calls of one connection, until they are asked for.

    *wanted*: whether anybody asks for them, which telemetry does; else they are passed over. One
    for all connections, as who asks comes and goes while these are open.
    """

    __slots__ = ("_kept", "_size")

    wanted: ClassVar[bool] = False

    def __init__(self) -> None:
        # By the id's text, as JSON-RPC has no other; with what they count.
        self._kept: dict[str, tuple[int, Mapping[str, str]]] = {}
        self._size = 0

    def take(self, call: CallId) -> Mapping[str, str]:
        """The fields that came for *call*, once; none where none did."""
        size, fields = self._kept.pop(str(call), _NONE)
        self._size -= size
        return fields

    def without_texts(self, messages: list[Any]) -> list[Any]:
        """*messages* without those of text, which are seen to.

        Where more than MOST_KEPT weren't asked for, the oldest are forgotten: a peer may announce
        calls that never come.
        """
        rest = []
        for message in messages:
            if type(message) is not RawText:
                rest.append(message)
            elif self.wanted:
                self._keep(message)
        return rest

    def _keep(self, message: RawText) -> None:
        found = read_fields(message)
        if found is not None and found[1]:
            call, fields = found
            self.take(call)
            size = len(message) + OVERHEAD + PER_FIELD * len(fields)
            self._kept[str(call)] = size, fields
            self._size += size
            while self._size > MOST_KEPT:
                self.take(next(iter(self._kept)))

    def beside(self, read: Callable[[list[Any], Any], R]) -> Callable[[list[Any], Any], R]:
        """*read*, which decodes messages, for those that aren't text; the others are seen to."""
        without_texts = self.without_texts

        def read_rest(messages: list[Any], table: Any) -> R:
            if RawText in map(type, messages):
                messages = without_texts(messages)
            return read(messages, table)

        return read_rest


__all__ = [
    "MOST_BYTES",
    "MOST_KEPT",
    "OVERHEAD",
    "PER_FIELD",
    "CallFields",
    "CallId",
    "read_fields",
    "write_fields",
]
