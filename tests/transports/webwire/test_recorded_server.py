"""Sessions that were recorded with the original's server: ours takes its place.

The recorded clients' messages are sent to it, and what it sends must be what the original sent,
byte for byte, but for what ``deviations`` says, and a pong to each ping, of which the original
answers none.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trio

from tests.transports.webwire.deviations import (
    CLOSED_BY_SERVER,
    CLOSES,
    OURS,
    Expected,
    Ours,
    Words,
)
from tests.transports.webwire.original_server import KEY, OriginalServer, options_of, serving
from tests.transports.webwire.raw_client import RawClient
from tests.transports.webwire.recorded import (
    SESSIONS,
    VECTORS,
    data_of,
    ended_by,
    messages_of,
    without_times,
)
from wirecore.constants import Opcode
from wirecore.events import Close, Pong
from wirecore_trio.webwire import Encoding, FileStore, MemoryStore, Payload, SessionStore

if TYPE_CHECKING:
    from tests.transports.conftest import Run
    from wirecore._backend import Backend

#: Those that need more than a client: the server is told to shut down. See test_recorded_shutdown.
SHUTDOWNS = {"graceful shutdown", "fault: signal during shutdown"}

#: Those whose connections are requests of HTTP, most of them refused. See test_recorded_upgrades.
UPGRADES = {"upgrade", "js client in Chromium: foreign origin"}

#: Those whose connections were open at once; the ids of requests tell the order. Elsewhere each
#: connection begins when the one before it has ended.
AT_ONCE = {
    "session shared by two connections",
    "too many connections, close by key",
    "restore over another session",
}

#: Frames that break the rules of WebSocket, which the recorder couldn't show.
UNMASKED = bytes((0x82, 1, 0x21))
WITH_RSV1 = bytes((0xC2, 0x81, 0, 0, 0, 0, 0x21))
WITH_OPCODE_3 = bytes((0x83, 0x81, 0, 0, 0, 0, 0x21))
BY_HAND = {("frames", 1): UNMASKED, ("frames", 2): WITH_RSV1, ("frames", 3): WITH_OPCODE_3}

#: Those that found something in files.
WITH_FILES = {"go client: restore by hand, success", "fault: key with path"}

#: Another server's key, and what a store held before the first connection.
FIRST_KEYS = {
    "js client: stored session, unknown to the server": (
        "enJhxE3O4o6Re3882KTeGEkDVWlNe6SHfNMbDlfMt1H2Oy_5fzqRjxdXkX2oQdSH"
    )
}
STORED = VECTORS["session_files"][0]
OUTSIDE = '{"c":"2020-01-02T03:04:05Z","l":"2020-01-02T03:04:05Z","i":null}'

_OPCODES = {
    "binary": Opcode.BINARY,
    "continuation": Opcode.CONTINUATION,
    "ping": Opcode.PING,
    "pong": Opcode.PONG,
}


def is_timed(session: str) -> bool:
    """Whether it matters when messages come."""
    recorded = SESSIONS[session]
    return recorded["client"] == "raw frames" or "read_timeout_ms" in recorded["server_options"]


class Replay:
    """One recorded connection, played to our server."""

    def __init__(self, session: str, number: int, port: int, backend: Backend) -> None:
        recorded = SESSIONS[session]
        self._session = session
        self._number = number
        self._recorded = recorded["connections"][number]
        self._port = port
        self._backend = backend
        self._timed = is_timed(session)
        self._deviations = OURS.get((session, number), {})
        self._next = 0
        self.client: RawClient

    async def __aenter__(self) -> Replay:
        """Upgrade, with the recorded request."""
        request = self._recorded["http"]["request"].encode()
        self.client = await RawClient.open(self._port, self._backend, request)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.leave()

    def orders(self) -> Iterator[tuple[int, int]]:
        """The recorded client's messages: their places, with the id that tells of their turn."""
        turn = 0
        for place, record in enumerate(messages_of(self._recorded)):
            if record["from"] == "client":
                data = data_of(record)
                if record["opcode"] == "binary" and len(data) >= 9:
                    turn = int.from_bytes(data[1:9], "big")
                yield turn, place

    async def play(self, place: int) -> None:
        """Send the client's message at *place*, and see the server's up to the answer to it."""
        await self._see(place)
        record = messages_of(self._recorded)[place]
        if self._timed:
            await trio.sleep_until(self.client.opened + record["t_ms"] / 1000)
        await self._send(record)
        self._next = place + 1
        answer = data_of(record)[1:9]
        for later in messages_of(self._recorded)[self._next :]:
            if later["from"] == "client":
                break
            await self._see(self._next + 1)
            if answer and data_of(later)[1:9] == answer:
                break
        if ours := self._deviations.get(place):
            await self._expect(ours)

    async def _send(self, record: dict[str, Any]) -> None:
        client, data = self.client, data_of(record)
        if record["opcode"] == "close":
            await client.close(record["code"], data[2:].decode())
        elif record["opcode"] in _OPCODES:
            frame = client.frame(_OPCODES[record["opcode"]], data, fin=record.get("fin", True))
            await client.send(frame * record.get("repeat", 1))
            if record["opcode"] == "ping":
                assert await client.next() == Pong(data)
        else:
            await client.send(BY_HAND[self._session, self._number])

    async def _see(self, end: int) -> None:
        """The server's messages up to the place *end*."""
        while self._next < end:
            record = messages_of(self._recorded)[self._next]
            if record["from"] == "server":
                ours = self._deviations.get(self._next)
                if ours is None:
                    await self._expect_recorded(record)
                else:
                    await self._expect(ours)
            self._next += 1

    async def _expect_recorded(self, record: dict[str, Any]) -> None:
        data = data_of(record)
        if record["opcode"] == "close":
            came = await self.client.next()
            assert isinstance(came, Close)
            assert came.code == record["code"]  # the reason is words
        else:
            await self._expect(Ours((data,), "as recorded"))

    async def _expect(self, ours: Ours) -> None:
        for expected in ours.messages:
            came = await self.client.next()
            assert isinstance(came, bytes), came
            check(came, expected)

    async def end(self) -> None:
        """See the rest, and the end: the server's, or the client's."""
        if all(record["from"] == "server" for record in messages_of(self._recorded)):
            await self._see(1)
            await self.client.send(BY_HAND.get((self._session, self._number), b""))
        await self._see(len(messages_of(self._recorded)))
        closes = [record for record in messages_of(self._recorded) if record["opcode"] == "close"]
        if closes:
            assert closes[-1]["from"] == "server"
            assert await self.client.rest() == []
        elif self._ended_by_server():
            # The recorder saw no close frame, only the end of the stream.
            assert (await self.client.see_close()).code == CLOSES[self._session]
            if self._timed:
                elapsed = trio.current_time() - self.client.opened
                ended = self._recorded["messages"][-1]["t_ms"] / 1000
                assert elapsed == pytest.approx(ended, abs=0.02)

    def _ended_by_server(self) -> bool:
        recorded = SESSIONS[self._session]
        if recorded["client"] == "raw frames":
            return self._session in CLOSED_BY_SERVER
        return ended_by(self._recorded) == "server"


def check(came: bytes, expected: Expected) -> None:
    """That *came* is what was *expected*, whenever it was."""
    if isinstance(expected, Words):
        assert came.startswith(expected.before)
        assert came[len(expected.before) :] not in (b"", b"<nil>")
    else:
        assert without_times(came) == without_times(expected)


def make_original(session: str, folder: Path, backend: Backend) -> OriginalServer:
    """Our server as the session's was."""
    recorded = SESSIONS[session]
    store: SessionStore | None = None
    if recorded["server_options"].get("sessions") != "disabled":
        store = FileStore(folder / "sessions") if session in WITH_FILES else MemoryStore()
        (folder / "sessions").mkdir(exist_ok=True)
        (folder / "sessions" / STORED["name"]).write_text(STORED["content"])
    (folder / "outside.wwrsess").write_text(OUTSIDE)
    return OriginalServer(
        options_of(recorded["server_options"]),
        store,
        backend,
        first_key=FIRST_KEYS.get(session, KEY),
    )


def signals_of(session: str, backend: Backend) -> list[tuple[str, Payload]]:
    """The signals that the recorded clients sent, and which meant something."""
    found = []
    for connection in SESSIONS[session]["connections"]:
        for record in messages_of(connection):
            if record["from"] == "client" and record["opcode"] == "binary":
                kind, _, name, data = backend.webwire.decode_message(data_of(record))
                if 63 <= kind <= 65:
                    found.append((name, Payload(data, Encoding(kind - 63))))
    return found


@pytest.mark.parametrize("session", [name for name in SESSIONS if name not in SHUTDOWNS | UPGRADES])
def test_ours_in_the_place_of_the_original_sends_the_same(
    run_sockets: Run, run_real: Run, backend: Backend, tmp_path: Path, session: str
) -> None:
    recorded = SESSIONS[session]
    numbers = range(len(recorded["connections"]))

    async def one_after_another(port: int) -> None:
        for number in numbers:
            async with Replay(session, number, port, backend) as replay:
                for _, place in replay.orders():
                    await replay.play(place)
                await replay.end()

    async def at_once(port: int) -> None:
        async with AsyncExitStack() as stack:
            replays = [
                await stack.enter_async_context(Replay(session, number, port, backend))
                for number in numbers
            ]
            turns = [(turn, number) for number in numbers for turn in replays[number].orders()]
            for (_, place), number in sorted(turns):
                await replays[number].play(place)
            for replay in replays:
                await replay.end()

    async def story() -> None:
        made = make_original(session, tmp_path, backend)
        # Recorded with any origin; see test_recorded_upgrades for others.
        async with serving(made, check_origin=lambda _: True) as port:
            await (at_once if session in AT_ONCE else one_after_another)(port)
        gone = [connection for connection, _ in made.disconnected]
        assert len(made.connected) == len(gone) == len(numbers)
        assert set(made.connected) == set(gone)
        assert made.signals == signals_of(session, backend)
        assert (tmp_path / "outside.wwrsess").read_text() == OUTSIDE

    # Where time jumps it would jump while a thread reads files, too.
    (run_sockets if is_timed(session) else run_real)(story)


def test_no_recorded_session_is_skipped() -> None:
    assert len(SESSIONS) == 46
    assert SHUTDOWNS | UPGRADES | AT_ONCE | set(CLOSES) | CLOSED_BY_SERVER <= set(SESSIONS)
    assert {session for session, _ in OURS} <= set(SESSIONS)
