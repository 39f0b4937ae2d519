"""The same request of httpx2 to the application on uvicorn and, with our transport, over a
connection; and by the connection's own method.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import httpx2
import pytest

from tests.transports.rest.torture.answers import (
    answering,
    answers_before_it_reads,
    failing,
    returns_early,
    returns_in_the_middle,
)
from tests.transports.rest.torture.callers import Answer, Outcome
from tests.transports.rest.torture.compare import normalised
from tests.transports.rest.torture.conftest import Plain
from tests.transports.rest.torture.recorder import Script, read_and_answer
from tests.transports.rest.torture.servers import GatewayPlace, Place
from tests.transports.rest.torture.test_over_sockets import nothing_left
from wirecore.errors import InvalidOption, LocalLimitExceeded
from wirecore_trio.rest import Aborted
from wirecore_trio.rest.httpx2 import Transport


@dataclass(frozen=True)
class Asked:
    """A request. *pieces*: a body that comes piece by piece.

    *fails*: what httpx2 raises, with its own transport and with ours; *raises*: what the
    connection's own method does. *seen*: how many requests the application sees.
    """

    name: str
    method: str = "GET"
    target: str = "/a"
    headers: tuple[tuple[str, str | bytes], ...] = ()
    content: bytes | None = None
    pieces: tuple[bytes, ...] | None = None
    script: Script = read_and_answer
    fails: type[Exception] | None = None
    raises: type[Exception] | None = None
    seen: int = 1

    def body(self) -> Any:
        """For one request; None: there is none."""
        return self.content if self.pieces is None else _each(self.pieces)


async def _each(pieces: tuple[bytes, ...]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


CASES: Final = [
    *(Asked(f"{method}", method) for method in ("GET", "DELETE", "OPTIONS", "TRACE", "REPORT")),
    *(Asked(f"{method}", method, content=b"abc") for method in ("POST", "PUT", "PATCH")),
    Asked("HEAD", "HEAD"),
    Asked("POST without a body", "POST"),
    Asked("POST with an empty body", "POST", content=b""),
    Asked("GET with a body", content=b"abc"),
    Asked("a method in lower case", "get"),
    Asked("escapes", target="/%61%2Fb%00%ff/caf%C3%A9?q=%20+&r=&r=2"),
    Asked("empty parts", target="//a///b//"),
    Asked("an empty query", target="/a?"),
    Asked("1 MiB", "POST", content=bytes(1 << 20)),
    Asked("64 KiB", "POST", content=b"a" * 65_536),
    Asked("64 KiB and 1", "POST", content=b"a" * 65_537),
    Asked("pieces", "POST", pieces=(b"one", b"", b"two", bytes(100_000))),
    Asked("no pieces", "POST", pieces=()),
    Asked(
        "pieces with a length", "POST", headers=(("Content-Length", "6"),), pieces=(b"one", b"two")
    ),
    Asked(
        "fields",
        headers=(
            ("X-B", "1"),
            ("x-a", "2"),
            ("X-B", "3"),
            ("X-Empty", ""),
            ("Cookie", "a"),
            ("Cookie", "b"),
        ),
    ),
    Asked("fields beyond ASCII", headers=(("X-Name", b"caf\xe9\xff"),)),
    Asked("fields of one connection", headers=(("Connection", "close"), ("TE", "trailers"))),
    Asked("an id", headers=(("X-Correlation-Id", "mine"),)),
    Asked("60 KiB of a field", headers=(("X", "a" * 60_000),)),
    *(
        Asked(f"status {code}", script=answering(code, body=b"body"))
        for code in (201, 299, 404, 500, 599)
    ),
    Asked("status 204", script=answering(204)),
    Asked("status 304", script=answering(304)),
    Asked(
        "fields of an answer",
        script=answering(200, (b"Set-Cookie", b"a"), (b"X", b"caf\xe9"), (b"set-cookie", b"b")),
    ),
    Asked("an answer in pieces", script=answering(200, pieces=(b"one", b"", b"two"))),
    Asked("an answer of 10 MiB", script=answering(200, pieces=(bytes(1 << 20),) * 10)),
    Asked("an early answer", "POST", content=b"abc", script=answers_before_it_reads),
    Asked("a failure", script=failing()),
    Asked("no answer", script=returns_early),
    Asked(
        "a failure in the body",
        script=failing(after=(b"the beginning",)),
        fails=httpx2.RemoteProtocolError,
        raises=Aborted,
    ),
    Asked(
        "a failure in a sized body",
        script=failing(after=(b"the beginning",), length=99),
        fails=httpx2.RemoteProtocolError,
        raises=Aborted,
    ),
    Asked("no end", script=returns_in_the_middle, fails=httpx2.RemoteProtocolError, raises=Aborted),
    *(
        Asked(
            f"the value {value!r}",
            headers=(("X-Evil", value),),
            fails=httpx2.LocalProtocolError,
            raises=InvalidOption,
            seen=0,
        )
        for value in (b"a\r\nX-More: 1", b"a\rb", b"a\nb", b"a\0b")
    ),
    *(
        Asked(
            f"the name {name!r}",
            headers=((name, "1"),),
            fails=httpx2.LocalProtocolError,
            raises=InvalidOption,
            seen=0,
        )
        for name in ("X\r\nX-More", "X Y", "X:Y", "")
    ),
    *(
        Asked(
            f"the method {method!r}",
            method,
            fails=httpx2.LocalProtocolError,
            raises=InvalidOption,
            seen=0,
        )
        for method in ("GE T", "GET /smuggled HTTP/1.1\r\n", "")
    ),
]


@dataclass
class Got:
    """What a call came to: an answer, or what was raised."""

    outcome: Outcome
    error: type[BaseException] | None = None


def _encoded(headers: Sequence[tuple[str, str | bytes]]) -> list[tuple[bytes, bytes]]:
    return [
        (name.encode(), value if isinstance(value, bytes) else value.encode())
        for name, value in headers
    ]


async def _with_httpx2(asked: Asked, url: str, transport: Any) -> Answer:
    async with httpx2.AsyncClient(transport=transport, timeout=10) as client:
        request = client.build_request(
            asked.method, url, headers=_encoded(asked.headers), content=asked.body()
        )
        # The library's own ways with paths aren't what is compared.
        request.url = request.url.copy_with(raw_path=asked.target.encode())
        response = await client.send(request)
        return Answer(response.status_code, tuple(response.headers.raw), response.content, True)


async def _by_itself(asked: Asked, host: str, connection: Any) -> Answer:
    headers = [("Host", host), *asked.headers]
    method = asked.method.upper()
    if asked.pieces is None:
        response = await connection.request(
            method, asked.target, headers=headers, content=asked.content or b""
        )
        return Answer(response.status, tuple(response.fields), response.body, True)
    async with connection.stream(
        method, asked.target, headers=headers, content=asked.body()
    ) as stream:
        return Answer(stream.status, tuple(stream.fields), await stream.read(), True)


def _collect(place: Place, ask: Callable[[], Answer], script: Script) -> Got:
    place.recorder.journal.take()
    place.recorder.script = script
    try:
        answers, error = [ask()], None
    except Exception as problem:  # noqa: BLE001 - what it is is compared
        answers, error = [], type(problem)
    return Got(Outcome(list(place.recorder.journal.take()), answers), error)


def _shown(got: Got, *, own: bool = False) -> Outcome:
    """*own*: whether our connection has carried it."""
    shown = normalised(got.outcome, gateway=False)
    for at, seen in enumerate(shown.requests):
        fields = dict(seen.headers)
        kept = [
            (name, value)
            for name, value in seen.headers
            if name != b"x-correlation-id" or value == b"mine"
        ]
        assert (b"x-correlation-id" in fields) or not own
        shown.requests[at] = replace(seen, headers=tuple(kept), outcome="", body=bytes(seen.body))
    return shown


@pytest.mark.parametrize("asked", CASES, ids=lambda asked: asked.name)
@pytest.mark.parametrize("name", ["h11", "httptools"])
def test_the_same_request(asked: Asked, name: str, plain: Plain, gateway: GatewayPlace) -> None:
    place = plain(name)
    host = f"127.0.0.1:{place.port}"
    [connection] = gateway.server.connections

    there = _collect(
        place, lambda: gateway.call(_with_httpx2, asked, f"http://{host}/", None), asked.script
    )
    here = _collect(
        gateway,
        lambda: gateway.call(_with_httpx2, asked, f"http://{host}/", Transport(connection)),
        asked.script,
    )
    assert nothing_left(gateway)
    assert (there.error, here.error) == (asked.fails, asked.fails)
    expected = _shown(there)
    if asked.seen:
        assert expected == _shown(here, own=True)
    else:
        assert there.outcome.requests == here.outcome.requests == []


@pytest.mark.parametrize("asked", CASES, ids=lambda asked: asked.name)
def test_the_same_request_by_the_connection(asked: Asked, gateway: GatewayPlace) -> None:
    """Which adds no fields that are httpx2's."""
    [connection] = gateway.server.connections
    host = "torture.example"
    with_httpx2 = _collect(
        gateway,
        lambda: gateway.call(_with_httpx2, asked, f"http://{host}/", Transport(connection)),
        asked.script,
    )
    alone = _collect(
        gateway, lambda: gateway.call(_by_itself, asked, host, connection), asked.script
    )
    assert nothing_left(gateway)
    assert alone.error is asked.raises
    theirs, ours = _shown(with_httpx2, own=True), _shown(alone, own=True)
    for outcome in theirs, ours:
        for at, seen in enumerate(outcome.requests):
            kept = sorted(f for f in seen.headers if f[0] not in _OF_HTTPX2)
            outcome.requests[at] = replace(seen, headers=tuple(kept))
    assert theirs.answers == ours.answers
    if asked.seen:
        assert theirs.requests == ours.requests


@pytest.mark.parametrize("length", ["2", "9"])
def test_a_length_that_is_not_true(length: str, gateway: GatewayPlace) -> None:
    """httpx2's own transport has h11's error come through, which is none of the library's."""
    asked = Asked("", "POST", headers=(("Content-Length", length),), pieces=(b"abc",))
    [connection] = gateway.server.connections
    with_httpx2 = _collect(
        gateway,
        lambda: gateway.call(_with_httpx2, asked, "http://a.example/", Transport(connection)),
        read_and_answer,
    )
    alone = _collect(
        gateway, lambda: gateway.call(_by_itself, asked, "a.example", connection), read_and_answer
    )
    assert nothing_left(gateway)
    assert (with_httpx2.error, alone.error) == (httpx2.LocalProtocolError, InvalidOption)
    for got in with_httpx2, alone:
        assert all(seen.end == "disconnect" for seen in got.outcome.requests)


_OF_HTTPX2: Final = {b"accept", b"accept-encoding", b"user-agent", b"content-length"}


def test_what_is_too_long_is_not_sent(gateway: GatewayPlace) -> None:
    [connection] = gateway.server.connections
    for headers in ([("X", "a" * 70_000)], [("X", "a")] * 1001):
        asked = Asked("", headers=tuple(headers))
        with pytest.raises((LocalLimitExceeded, InvalidOption)):
            gateway.call(_by_itself, asked, "a.example", connection)
        with pytest.raises(httpx2.LocalProtocolError):
            gateway.call(_with_httpx2, asked, "http://a.example/", Transport(connection))


@pytest.mark.parametrize(
    "target", ["", "a", "/a b", "/a\r\nX: 1", "/a HTTP/1.1\r\n\r\nGET /smuggled", "/\0", "/é"]
)
def test_targets_that_are_none(target: str, gateway: GatewayPlace) -> None:
    [connection] = gateway.server.connections
    gateway.recorder.journal.take()
    with pytest.raises(InvalidOption):
        gateway.call(_by_itself, Asked("", target=target), "a.example", connection)
    assert gateway.recorder.journal.take() == ()
