"""The other end of a recorded connection: it sends what was recorded, when it was recorded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

import trio

from tests.transports.rest.golden.seen import CLOSING, End, Seen, response_head, without_times
from tests.wirecore.protocols.rest.recorded import group_of, payload, scenarios
from wirecore.constants import Opcode
from wirecore_trio.testing import ScriptedPeer

#: Seconds. Memory's time passes only when everybody waits: so ours is at rest before the peer goes
#: on, and has sent what it sends in the same millisecond.
AFTER: Final = 0.0005

_OPCODES: Final = {
    "text": Opcode.TEXT,
    "binary": Opcode.BINARY,
    "close": Opcode.CLOSE,
    "ping": Opcode.PING,
    "pong": Opcode.PONG,
}


class Played:
    """One connection, *number* of the scenario, whose end at *ours* is ours."""

    def __init__(self, name: str, number: int, ours: End) -> None:
        trace = scenarios()[name]["trace"]
        self._closing = group_of(name) in CLOSING
        entries = [entry for entry in trace if entry["conn"] == number]
        #: By time: a message stands where it was whole.
        self._entries = sorted(entries, key=lambda entry: entry["ms"])
        self._ours = ours
        self.begins = (self._entries[0]["ms"] if self._entries else 0) / 1000

    async def run(self, peer: ScriptedPeer, zero: float) -> None:
        """Do it, from the upgrade on. *zero*: the time at which the scenario began."""
        peer.answers_pings = peer.answers_close = False
        last = first = 0.0
        for entry in self._entries:
            at = zero + entry["ms"] / 1000
            if entry["dir"] == self._ours.value:
                first = max(last, at) + AFTER  # ours comes before what follows
                continue
            last = max(first, at) + AFTER
            await trio.sleep_until(last)
            if entry["kind"].startswith("tcp: cut"):
                await peer.cut()
                return
            if not entry["kind"].startswith("tcp:"):
                await self._send(peer, entry)
            elif self._closing:
                with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                    await peer.half_close()

    async def _send(self, peer: ScriptedPeer, entry: dict[str, Any]) -> None:
        opcode, data = _OPCODES[entry["kind"]], payload(entry)
        sizes = [size for times, size in entry.get("frames") or () for _ in range(times)]
        # The recorded one wrote to a connection that was gone, too.
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            at = 0
            for place, size in enumerate(sizes or [len(data)]):
                piece, fin = data[at : at + size], place >= len(sizes) - 1
                await peer.send_frame(Opcode.CONTINUATION if place else opcode, piece, fin=fin)
                at += size


async def upgrade(peer: ScriptedPeer, request: str) -> str:
    """Ask for the upgrade, as a client, in the recorded words: the head of the response."""
    await peer.stream.send_all(request.encode())
    received = b""
    while b"\r\n\r\n" not in received:
        received += await peer.stream.receive_some()
    head, blank, rest = received.partition(b"\r\n\r\n")
    if head.startswith(b"HTTP/1.1 101 "):
        peer._start_reading(rest)
    return response_head((head + blank).decode())


def seen_by(peers: list[ScriptedPeer], *, closing: bool) -> Iterator[Seen]:
    """What each of *peers* got of ours up to now."""
    for peer in peers:
        seen = Seen(sent=[[]], pings=[[]])
        [sent], [pings] = seen.sent, seen.pings
        parts: list[bytes] = []
        for each in peer.record:
            if each.sent:
                continue
            if each.kind == "ping":
                pings.append((round(each.time - peer.record[0].time), each.payload))
            elif each.kind == "pong":
                seen.pongs.append(each.payload)
            elif each.frame is None:
                if closing:
                    sent.append(("end", b""))
            elif each.kind in ("text", "continuation"):
                parts.append(each.payload)
                if each.frame.fin:
                    sent.append(("text", without_times(b"".join(parts))))
                    parts.clear()
            else:
                sent.append((each.kind, each.payload[:2]))
        yield seen
