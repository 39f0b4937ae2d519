"""What the tap would tell of bytes that are given to it: no process, no socket, no clock."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from wirecore._backend import Backend, default
from wirecore.constants import Opcode
from wirecore_cli.tap.connection import Watched
from wirecore_cli.tap.guessing import Chooser
from wirecore_cli.tap.masking import Masker
from wirecore_cli.tap.records import Record, Sender, Told
from wirecore_cli.tap.showing import Showing
from wirecore_cli.tap.wsrpc import Values

VECTORS = Path(__file__).parents[2] / "vectors"

REQUEST = (
    b"GET /path HTTP/1.1\r\nHost: tap.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)
ANSWER = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"

#: Bytes, and whose they are.
Piece = tuple[Sender, bytes]


def vectors(name: str) -> Any:
    return json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))


def upgrade(*, request: bytes = b"", answer: bytes = b"", subprotocol: str = "") -> list[Piece]:
    """The two heads, with more lines in each."""
    if subprotocol:
        line = b"Sec-WebSocket-Protocol: %b\r\n" % subprotocol.encode()
        request, answer = request + line, answer + line
    return [("client", REQUEST + request + b"\r\n"), ("server", ANSWER + answer + b"\r\n")]


def message(sender: Sender, data: bytes | str, *, backend: Backend = default) -> Piece:
    """A message, as *sender* would frame it."""
    return sender, backend.frames.encode_message(data, sender == "client")


def frame(sender: Sender, opcode: Opcode, data: bytes, **parts: Any) -> Piece:
    """One frame."""
    return sender, default.frames.encode_frame(opcode, data, sender == "client", **parts)


def watch(
    protocol: str = "auto",
    *,
    showing: Showing | None = None,
    show_secrets: bool = False,
    values: Values | None = None,
    max_message: int = 4 << 20,
    backend: Backend = default,
) -> Watched:
    """An observer of one connection."""
    shown = showing or Showing(Masker(show_secrets=show_secrets))
    chooser = Chooser(shown, protocol, values=values, max_message=max_message, backend=backend)
    return Watched(1, shown, chooser, max_message=max_message, backend=backend)


def observe(pieces: Iterable[Piece], **how: Any) -> list[Record]:
    """All that is told of *pieces*, a millisecond after each other."""
    watched = watch(**how)
    records: list[Record] = []
    for number, (sender, data) in enumerate(pieces):
        records += watched.receive(sender, data, number / 1000)
    return records


def behind_upgrade(pieces: Sequence[Piece], **how: Any) -> list[Record]:
    """The same of what comes behind the two heads."""
    records = observe([*upgrade(), *pieces], **how)
    assert [each.told.kind for each in records[:2]] == ["upgrade", "upgraded"]
    return records[2:]


def told(records: Iterable[Record]) -> list[tuple[Sender | None, str, str]]:
    """Whose, of which kind, and what a line says."""
    return [(each.sender, each.told.kind, each.told.summary) for each in records]


def only(records: Sequence[Record]) -> Told:
    [record] = records
    return record.told


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    """*data* in pieces that end at *places*."""
    at, pieces = 0, []
    for place in sorted({each % (len(data) + 1) for each in places}):
        pieces.append(data[at:place])
        at = place
    return [each for each in (*pieces, data[at:]) if each]
