"""Recorded shutdowns: ours does what the original does while handlers run, and ends better.

The original leaves its clients connected when all handlers are through, and answers them that it
shuts down until its process ends. It runs the handlers of signals that come meanwhile, and loses
count by it. Ours drops signals, waits for each handler, and closes the connections (1001).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from tests.transports.webwire.original_server import OriginalServer, options_of
from tests.transports.webwire.raw_client import HEAD, RawClient
from tests.transports.webwire.recorded import SESSIONS, data_of, messages_of, without_times
from tests.transports.webwire.test_recorded_upgrades import Answer, ask
from wirecore.events import Close
from wirecore_trio.webwire import MemoryStore

if TYPE_CHECKING:
    from tests.transports.conftest import Run
    from wirecore._backend import Backend

#: When the shutdown began, after the first request had been sent.
BEGUN = 0.2


class Script:
    """What was said on one recorded connection, taken message by message."""

    def __init__(self, session: str, number: int) -> None:
        self._messages = iter(messages_of(SESSIONS[session]["connections"][number]))

    def next(self, who: str) -> bytes:
        """The next message, which must be *who*'s."""
        record = next(self._messages)
        assert record["from"] == who
        return data_of(record)


async def exchange(client: RawClient, script: Script) -> None:
    """The next request, and its answer."""
    await client.message(script.next("client"))
    came = await client.next()
    assert without_times(came) == without_times(script.next("server"))


def test_graceful_shutdown(run_sockets: Run, backend: Backend) -> None:
    session = "graceful shutdown"
    upgrade, options = SESSIONS[session]["connections"][2:]

    async def story() -> None:
        made = OriginalServer(options_of({}), MemoryStore(), backend)
        slow, busy = Script(session, 0), Script(session, 1)
        async with trio.open_nursery() as nursery:
            listener = await nursery.start(made.server.serve, "127.0.0.1")
            a = await RawClient.open(listener.port, backend)
            b = await RawClient.open(listener.port, backend)
            assert await b.next() == busy.next("server")  # how the server is set up
            await b.message(busy.next("client"))
            for _ in ("the new session", "its key"):
                assert without_times(await b.next()) == without_times(busy.next("server"))
            assert await a.next() == slow.next("server")
            await a.message(slow.next("client"))
            await trio.sleep(BEGUN)
            began = trio.current_time()
            nursery.start_soon(made.server.shutdown)
            await trio.testing.wait_all_tasks_blocked()

            for recorded in (upgrade, options):
                answer = await ask(listener.port, recorded["http"]["request"])
                theirs = Answer.parse(recorded["http"]["response"], b"")
                assert (answer.status, answer.kept()) == (503, theirs.kept())
                assert answer.rest.decode() == recorded["http"]["body"]
            for _ in ("a request", "close session", "restore session"):
                await exchange(b, busy)
            await b.message(busy.next("client"))  # a heartbeat
            assert trio.current_time() == began
            assert await a.next() == slow.next("server")
            assert trio.current_time() - began + BEGUN > 1.2

            # The original lets both ask on, and answers that it shuts down.
            for client in (a, b):
                assert (await client.see_close()).code == 1001
                await client.leave()
        # The listener is gone.
        try:
            await trio.open_tcp_stream("127.0.0.1", listener.port)
        except OSError:
            return
        raise AssertionError("somebody listens still")

    run_sockets(story)


def test_a_signal_during_a_shutdown_is_dropped(run_sockets: Run, backend: Backend) -> None:
    session = "fault: signal during shutdown"

    async def story() -> None:
        made = OriginalServer(options_of({}), MemoryStore(), backend)
        slow, signals = Script(session, 0), Script(session, 1)
        async with trio.open_nursery() as nursery:
            listener = await nursery.start(made.server.serve, "127.0.0.1")
            a = await RawClient.open(listener.port, backend, HEAD)
            b = await RawClient.open(listener.port, backend, HEAD)
            assert await a.next() == slow.next("server")
            assert await b.next() == signals.next("server")
            await a.message(slow.next("client"))
            await trio.sleep(BEGUN)
            nursery.start_soon(made.server.shutdown)
            await trio.testing.wait_all_tasks_blocked()
            await b.message(signals.next("client"))
            await trio.sleep(0.5)
            await b.message(signals.next("client"))
            assert await a.next() == slow.next("server")
            assert isinstance(await b.next(), Close)
            await b.leave()
            await a.leave()
        assert made.signals == []

    run_sockets(story)
