"""Our own sessions keep the contract, on both backends."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from operator import itemgetter
from typing import Any

import pytest

from tests.wirecore.testing.composed import Composed, greeting, pair_of, silence
from wirecore._backend import Backend
from wirecore.protocols.wsrpc import Received, Session
from wirecore.session import Call, Heartbeat, Limits
from wirecore.testing import Ends, check_calls, check_session
from wirecore.websocket import Connection, DeflateParameters

WebSockets = Ends[Connection, Connection]


def messages(ends: WebSockets) -> None:
    ends.client.session.send("short")
    ends.client.session.send_all([b"several", "in one go", b""])
    ends.settle()
    ends.server.session.send(b"cut into fragments " * 200)
    ends.settle()


def parts(ends: WebSockets) -> None:
    """A message in fragments, with a ping in between, cut within a character."""
    whole = "zwölf".encode()
    ends.client.session.send_fragment(whole[:3], text=True, last=False)
    ends.client.session.ping(b"between")
    ends.client.session.send_fragment(whole[3:], last=True)
    ends.settle()


def pings(ends: WebSockets) -> None:
    ends.client.session.ping()
    ends.server.session.ping(b"?")
    ends.advance(100)


def last_words(ends: WebSockets) -> None:
    """What came before a close frame is answered, and the answer still goes."""
    ends.server.react = lambda happened: ends.server.session.send("an answer in time")
    ends.client.session.send("a question")
    ends.client.session.close(1001, "and goodbye")
    ends.settle()


def broken_rules(ends: WebSockets) -> None:
    """A reserved opcode behind a sound message."""
    ends.client.session.send("sound")
    ends.client.session.outbox.put(b"\x83\x80abcd")
    ends.settle()


def too_large(ends: WebSockets) -> None:
    ends.client.session.send(bytes(10_001))
    ends.settle()


WEBSOCKET_STORIES = [messages, parts, pings, last_words, broken_rules, too_large]


@pytest.mark.parametrize("compressed", [False, True])
def test_a_websocket_connection_is_one(backend: Backend, compressed: bool) -> None:
    def make(client: bool) -> Connection:
        return Connection(
            client=client,
            limits=Limits(max_message_size=10_000),
            deflate=DeflateParameters() if compressed else None,
            heartbeat=Heartbeat(20, 40),
            fragment_size=1000,
            backend=backend,
        )

    check_session(lambda: (make(True), make(False)), WEBSOCKET_STORIES)


def test_one_that_composes_it_is_one(backend: Backend) -> None:
    check_session(pair_of(Composed, backend), [greeting, silence])


# --- wsrpc ------------------------------------------------------------------------------------

Peers = Ends[Session, Session]


def peers(backend: Backend) -> Callable[[], tuple[Session, Session]]:
    def make(client: bool) -> Session:
        return Session(client=client, call_timeout=30, backend=backend)

    return lambda: (make(True), make(False))


def described(received: Received) -> Iterator[object]:
    """Without the ids, which are others each time."""
    for _, payload, text in received.answers:
        yield "answer", payload, text
    for method, _, payload in received.requests:
        yield "request", method, payload
    for _ in received.timed_out:
        yield ("timed out",)


def answering(session: Session) -> Callable[[Received], None]:
    def react(received: Received) -> None:
        for method, call_id, payload in received.requests:
            if method == "Fail":
                session.reply_error(call_id, "no")
            elif method != "Dawdle":
                session.reply(call_id, payload[::-1])

    return react


def call(session: Any, now: float, method: str = "Reverse", payload: bytes = b"abc") -> Call:
    made = Call()
    session.call(made, method, payload, now)
    return made


def calls_both_ways(ends: Peers) -> None:
    for end in ends.client, ends.server:
        end.react = answering(end.session)
        for method, payload in ("Reverse", b"abc"), ("Fail", b""), ("Reverse", b"x" * 5000):
            call(end.session, ends.now, method, payload)
    ends.settle()


def a_call_that_nobody_answers(ends: Peers) -> None:
    ends.server.react = answering(ends.server.session)
    call(ends.client.session, ends.now, "Dawdle")
    ends.advance(10)
    call(ends.client.session, ends.now)
    ends.advance(60)


def rubbish(ends: Peers) -> None:
    ends.client.session.outbox.put(b"\x82\x83\0\0\0\0abc")
    ends.settle()


WSRPC_STORIES: Iterable[Callable[[Peers], None]] = [
    calls_both_ways,
    a_call_that_nobody_answers,
    rubbish,
]


def test_a_wsrpc_session_is_one(backend: Backend) -> None:
    check_session(peers(backend), WSRPC_STORIES, describe=described, kind=itemgetter(0))


def test_a_wsrpc_session_knows_what_became_of_its_calls(backend: Backend) -> None:
    check_calls(peers(backend), call)


def test_a_long_call_is_lost_at_some_places_only(backend: Backend) -> None:
    def long_call(session: Any, now: float) -> Call:
        return call(session, now, payload=bytes(100_000))

    check_calls(peers(backend), long_call)


# --- the checks themselves --------------------------------------------------------------------


def test_they_need_no_test_framework() -> None:
    code = "import sys, wirecore.testing; print('pytest' in sys.modules)"
    command = [sys.executable, "-P", "-c", code]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout == "False\n"
