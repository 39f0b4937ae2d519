"""What both recorded clients made of a server's odd messages: ours is never worse than Go's.

What Go's client can't read kills it for good: its request waits for its deadline, and nothing
tries again. Ours fails the request at once, connects again, and goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from tests.transports.webwire.fake_server import SETTINGS, FakeServer, fake_server
from tests.transports.webwire.recorded import VECTORS, data_of
from wirecore.constants import Opcode
from wirecore.events import Pong
from wirecore_trio import webwire

if TYPE_CHECKING:
    from tests.transports.conftest import RawPeer, Run
    from wirecore._backend import Backend

ENTRIES = VECTORS["client_reactions"]

OPCODES = {
    "binary": Opcode.BINARY,
    "text": Opcode.TEXT,
    "ping": Opcode.PING,
    "close": Opcode.CLOSE,
}

#: What Go's client reports, as ours does.
CONNECT_ERRORS = {
    "incompatible version": webwire.IncompatibleVersion,
    "other error": webwire.UnexpectedFirstMessage,
}
REQUEST_ERRORS = {
    "sessions disabled": webwire.SessionsDisabled,
    "max session connections": webwire.MaxSessionConnectionsReached,
    "server shutdown": webwire.ServerShutdown,
    # Lost, which ours says at once.
    "timed out": webwire.Disconnected,
}

#: Ours takes longer messages than it may send: the original's server sends such replies.
BETTER = {"message over the buffer": "reply"}

#: As Go's client was set up.
OPTIONS = webwire.ClientOptions(
    dial_timeout=1.0,
    retry=webwire.RetryPolicy(backoff=lambda: webwire.Backoff(0.3, 1.0, 0.0, 0.3)),
)
PATIENCE = 2.0


def frames(peer: RawPeer, records: list[dict[str, Any]], id_: bytes = b"") -> list[bytes]:
    """The frames of *records*, with the request's id where they have one."""
    found = []
    for record in records:
        data = data_of(record)
        if "id_at" in record:
            at = record["id_at"]
            data = data[:at] + id_ + data[at + 8 :]
        found.append(peer.frame(OPCODES[record["opcode"]], data))
    return found


async def behave_oddly(server: FakeServer, entry: dict[str, Any]) -> None:
    """The first connection, as it was recorded."""
    peer = await server.accept()
    await peer.send(*frames(peer, entry["first"]))
    request = await peer.next()
    if isinstance(request, bytes):
        id_ = request[1:9]
        assert request == b"\x80" + id_ + b"\x01ax"
        await peer.send(*frames(peer, entry["before_reply"], id_))
        if any(record["opcode"] == "ping" for record in entry["before_reply"]):
            assert await peer.next() == Pong(b"yo")
        await peer.message(b"\xbf" + id_)
        await peer.next()
    await peer.stream.aclose()


async def behave_well(server: FakeServer) -> None:
    """A later connection: echoes."""
    peer = await server.accept()
    await peer.message(SETTINGS)
    request = await peer.next()
    assert isinstance(request, bytes)
    await peer.message(b"\xc0" + request[1:9] + b"well")
    await peer.next()


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["label"])
def test_reactions(run_sockets: Run, backend: Backend, entry: dict[str, Any]) -> None:
    theirs = entry["go_client"]
    connects, request = theirs["connect"], theirs.get("request")
    outcome = BETTER.get(entry["label"], request)

    async def ask(client: webwire.Client) -> None:
        await client.connect()
        if outcome == "reply":
            assert await client.request("a", "x") == webwire.Payload()
        else:
            asked = trio.current_time()
            with pytest.raises(REQUEST_ERRORS[outcome]):
                await client.request("a", "x")
            assert trio.current_time() == asked

    async def story() -> None:
        signals = []
        async with (
            fake_server(backend) as server,
            trio.open_nursery() as nursery,
            webwire.connect(server.url, OPTIONS, wait=False, backend=backend) as client,
        ):
            client.on_signal()(lambda signal: signals.append(signal.name))
            nursery.start_soon(behave_oddly, server, entry)
            with trio.move_on_after(PATIENCE) as scope:
                if connects in CONNECT_ERRORS:
                    with pytest.raises(CONNECT_ERRORS[connects]):
                        await client.connect()
                else:
                    await ask(client)
            assert scope.cancelled_caught == (connects == "still trying at the deadline")

            # Whatever happened, the next server that is as it should be finds a client.
            nursery.start_soon(behave_well, server)
            if outcome in ("reply", *set(REQUEST_ERRORS) - {"timed out"}):
                assert client.connections == 1
                await client.close()
            await client.connect()
            assert (await client.request("b", "y")).text == "well"
            assert server.accepted == 2
        assert signals == [SIGNALS[entry["label"]]] if entry["label"] in SIGNALS else not signals

    run_sockets(story)


#: The signals that ours makes something of.
SIGNALS = {"name-only binary signal": "a", "message over the buffer": "a"}


def test_all_of_them_are_here() -> None:
    assert len(ENTRIES) == 23
    assert set(SIGNALS) | set(BETTER) <= {entry["label"] for entry in ENTRIES}
