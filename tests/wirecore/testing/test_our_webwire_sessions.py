"""webwire's sessions keep the contract, on both backends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from wirecore._backend import Backend
from wirecore.protocols.webwire import ClientSession, MessageType, ServerSession, accept_conf
from wirecore.session import Call
from wirecore.testing import Ends, check_session

Peers = Ends[ClientSession, ServerSession]


def peers(backend: Backend) -> Callable[[], tuple[ClientSession, ServerSession]]:
    """A client, and a server with a read timeout of 40 s."""

    def make() -> tuple[ClientSession, ServerSession]:
        server = ServerSession(accept_conf(40, 8192), backend=backend)
        return ClientSession(request_timeout=10, backend=backend), server

    return make


def described(messages: list[Any]) -> Iterator[object]:
    """Calls, which are others each time, by their ids."""
    for kind, call, name, data in messages:
        yield kind, call.call_id if isinstance(call, Call) else call, name, data


def answering(session: ServerSession) -> Callable[[list[Any]], None]:
    """A server that sends back what comes, in its encoding, but to what is called "dawdle"."""

    def react(messages: list[Any]) -> None:
        for kind, request_id, name, data in messages:
            if name == "fail":
                session.reply_error(request_id, "CODE", "text")
            elif kind >= 127 and name != "dawdle" and session.open:
                session.reply(request_id, data, kind - 127)
            elif kind == MessageType.RESTORE_SESSION:
                session.reply_outcome(request_id, MessageType.REPLY_SESSION_NOT_FOUND)

    return react


def request(ends: Peers, name: str = "x", payload: bytes = b"abcd", encoding: int = 0) -> None:
    ends.client.session.request(Call(), name, payload, encoding, ends.now)


def requests(ends: Peers) -> None:
    ends.server.react = answering(ends.server.session)
    ends.settle()
    for encoding in range(3):
        request(ends, encoding=encoding)
    request(ends, "fail")
    request(ends, "long", bytes(8000))
    ends.client.session.signal("s", b"payload", 1, ends.now)
    ends.client.session.restore_session(Call(), b"key", ends.now)
    ends.settle()


def signals_of_the_server(ends: Peers) -> None:
    ends.settle()
    ends.server.session.signal("s", b"payload", 0)
    ends.server.session.session_created(b"{}")
    ends.server.session.session_closed()
    encoded: dict[int, list[bytes]] = {}
    ends.server.session.signal_shared(b"\x3f\x01s", encoded)
    ends.settle()


def silence(ends: Peers) -> None:
    """Heartbeats keep it up, and a request times out."""
    ends.server.react = answering(ends.server.session)
    ends.settle()
    request(ends, "dawdle")
    ends.advance(200)


def shutdown(ends: Peers) -> None:
    ends.settle()
    ends.server.session.stop()
    request(ends)
    ends.client.session.signal("s", b"", 0, ends.now)
    ends.settle()


def inactive(ends: Peers) -> None:
    ends.settle()
    ends.server.session.deactivate()
    request(ends)
    ends.advance(100)


def rubbish_to_the_server(ends: Peers) -> None:
    ends.settle()
    request(ends)
    ends.client.session.outbox.put(b"\x82\x83\0\0\0\0abc")
    ends.settle()


def rubbish_to_the_client(ends: Peers) -> None:
    ends.settle()
    ends.server.session.signal("s", b"", 0)
    ends.server.session.outbox.put(b"\x82\x03abc")
    ends.settle()


STORIES = [
    requests,
    signals_of_the_server,
    silence,
    shutdown,
    inactive,
    rubbish_to_the_server,
    rubbish_to_the_client,
]


def test_webwires_sessions_keep_the_contract(backend: Backend) -> None:
    check_session(peers(backend), STORIES, describe=described)


def test_a_client_that_isnt_for_the_server_ends(backend: Backend) -> None:
    def make() -> tuple[ClientSession, ServerSession]:
        server = ServerSession(accept_conf(40, 64), backend=backend)
        return ClientSession(backend=backend), server

    check_session(make, [lambda ends: ends.settle()])
