"""The hot halves of sessions and connections: what isn't theirs is for who derives."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from wirecore.errors import LocalLimitExceeded
from wirecore.webwire_rules import MALFORMED

if TYPE_CHECKING:
    from wirecore._backend import Backend


class Decoder:
    """A decoder of somebody else's."""

    def __init__(self, *items: list[Any], controls: int = 0) -> None:
        self.items = list(items)
        self.controls = controls

    def receive(self, data: object) -> list[Any]:
        return self.items.pop(0)


class Writer:
    """A writer of somebody else's, that says *end*, or raises it."""

    def __init__(self, end: int | Exception) -> None:
        self.end = end
        self.seen: list[Any] = []

    def request(self, *what: Any) -> int:
        self.seen.append(what)
        if isinstance(self.end, Exception):
            raise self.end
        return self.end

    reply = request


def receiver(backend: Backend, *items: list[Any], controls: int = 0, inflates: bool = False) -> Any:
    class Receiver(backend.receiving.Receiver):  # type: ignore[name-defined, misc]
        heard = False

        def _sort(self, items: list[Any], now: float) -> list[Any]:
            return ["sorted", *items]

        def _go_on_receiving(self, data: Any, now: float) -> list[Any]:
            return ["went on"]

    return Receiver(Decoder(*items, controls=controls), None, "open", inflates=inflates)


def test_messages_come_as_they_were_decoded_and_all_else_is_seen_to(backend: Backend) -> None:
    assert receiver(backend, ["a"]).receive(b"", 1.0) == ["a"]
    assert receiver(backend, ["a"], controls=1).receive(b"", 1.0) == ["sorted", "a"]
    for state in ("deferred", "finished", "_inflates"):
        ending = receiver(backend, ["a"])
        setattr(ending, state, True)
        assert ending.receive(b"", 1.0) == ["went on"]
    assert not receiver(backend, inflates=True).plain
    own = receiver(backend)
    own._decode_with(
        backend.frames.MessageDecoder(
            client=False, max_frame_size=99, max_message_size=99, raw_text=True, inflater=None
        )
    )
    frame = backend.frames.encode_frame(2, b"by a decoder of ours", True)
    assert own.receive(frame, 1.0) == [b"by a decoder of ours"]


def client(backend: Backend, connection: Any, writer: Any, *decoded: Any) -> Any:
    class Client(backend.webwire_ends.ClientEnd):  # type: ignore[name-defined, misc]
        seen: Any = None

        def request_with(self, *what: Any) -> None:
            self.seen = what

        def _refused(self, error: LocalLimitExceeded) -> LocalLimitExceeded:
            return LocalLimitExceeded("its option", 2, 1, "wait")

        def _received_first(self, happened: list[Any], now: float) -> list[Any]:
            return ["first", *happened]

    return Client(connection, {}, writer, lambda messages, table: list(decoded))


def test_a_usual_request_is_the_writers_and_others_go_the_long_way(backend: Backend) -> None:
    call = SimpleNamespace()
    writer = Writer(7)
    end = client(backend, receiver(backend), writer)
    end.request(call, "echo", b"x", 1, 5.0)
    assert end.seen == ({}, call, "echo", b"x", 1, 5.0)  # nothing is known of the server yet
    end.conf = object()
    end.request(call, "echo", b"x", 1, 6.0)
    assert writer.seen == [(call, "echo", b"x", 1, 6.0)]
    assert (end._quiet_since, end._alone_at) == (6.0, 6.0)
    end.table[1] = call
    end.request(call, "echo", b"x", 1, 7.0)
    assert (end._quiet_since, end._alone_at) == (7.0, 6.0)
    odd = client(backend, receiver(backend), Writer(0))
    odd.conf = object()
    odd.request(call, "echo", b"x", 1, 8.0)
    assert odd.seen[-1] == 8.0
    full = client(backend, receiver(backend), Writer(LocalLimitExceeded("theirs", 2, 1, "wait")))
    full.conf = object()
    with pytest.raises(LocalLimitExceeded, match="its option"):
        full.request(call, "echo", b"x", 1, 9.0)


def test_what_comes_first_and_what_is_no_message_are_seen_to(backend: Backend) -> None:
    reply, broken = (191, 1, "", b"x"), (MALFORMED, 0, "", b"why")
    assert client(backend, receiver(backend, []), None).receive(b"", 1.0) is None
    end = client(backend, receiver(backend, ["m"], ["m"]), None, reply)
    assert end.receive(b"", 1.0) == ["first", reply]
    end.conf = object()
    assert end.receive(b"", 1.0) == [reply]
    end = client(backend, receiver(backend, ["m"]), None, broken)
    end.conf = object()
    assert end.receive(b"", 1.0) == ["first", broken]


def server(backend: Backend, connection: Any, writer: Any, *decoded: Any) -> Any:
    class Server(backend.webwire_ends.ServerEnd):  # type: ignore[name-defined, misc]
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self.seen: list[Any] = []

        def _reply(self, *what: Any) -> None:
            self.seen.append(what)

        def _refuse(self, why: Any) -> None:
            self.seen.append(("refused", why))

        def _drop(self, happened: list[Any]) -> None:
            self.seen.append(("dropped", happened))

    return Server(connection, writer, lambda messages, table: list(decoded))


def test_a_server_takes_hears_refuses_and_drops(backend: Backend) -> None:
    request, broken = (127, 1, "echo", b"x"), (MALFORMED, 0, b"why", b"")
    end = server(backend, receiver(backend, [], [], ["m"]), None, request)
    assert end.receive(b"", 1.0) is None
    assert end._heard_at == float("inf")  # nothing was said
    end._connection.heard = True
    assert end.receive(b"", 2.0) is None
    assert end._heard_at == 2.0
    assert end.receive(b"", 3.0) == [request]
    assert end._heard_at == 3.0
    end = server(backend, receiver(backend, ["m"]), None, request, broken)
    end._stopping = True
    assert end.receive(b"", 1.0) is None
    assert end.seen == [("refused", b"why"), ("dropped", [request])]


def test_a_usual_reply_is_the_writers_and_others_go_the_long_way(backend: Backend) -> None:
    end = server(backend, receiver(backend), Writer(5))
    end.reply(1, b"x", 0)
    assert end.seen == []
    end._connection.plain = False
    end.reply(1, b"x", 0)
    assert end.seen == [(1, b"x", 0)]
    odd = server(backend, receiver(backend), Writer(0))
    odd.reply(2, b"y", 1)
    assert odd.seen == [(2, b"y", 1)]


def test_an_unusual_call_of_the_pool_goes_the_long_way(backend: Backend) -> None:
    class Calling(backend.pool_ends.CallingEnd):  # type: ignore[name-defined, misc]
        seen: Any = None

        def call_with(self, *what: Any) -> None:
            self.seen = what

    for sent in (True, False):
        end = Calling(SimpleNamespace(send=lambda *_: sent))  # noqa: B023  # called at once
        end.call("call", "A.B", 7, int, 1.0)
        assert end.seen == (None if sent else ({}, "call", "A.B", 7, int, 1.0))


def test_who_derives_has_the_seldom_half(backend: Backend) -> None:
    nothing: Any = None
    bare = backend.receiving.Receiver(Decoder(), None, "open", inflates=False)
    ends = backend.webwire_ends
    for half, methods in (
        (bare, {"_sort": 2, "_go_on_receiving": 2}),
        (
            ends.ClientEnd(bare, {}, nothing, nothing),
            {"request_with": 6, "_refused": 1, "_received_first": 2},
        ),
        (ends.ServerEnd(bare, nothing, nothing), {"_reply": 3, "_refuse": 1, "_drop": 1}),
        (backend.pool_ends.CallingEnd(nothing), {"call_with": 6}),
        (backend.webwire_channel.Replying(nothing), {"_not_replied": 4}),
    ):
        for method, arguments in methods.items():
            with pytest.raises(NotImplementedError):
                getattr(half, method)(*[nothing] * arguments)
