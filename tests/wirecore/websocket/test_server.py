"""The server's handshake: what is accepted, what is answered, and what is thrown out."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wirecore.errors import HandshakeError, InvalidOption, InvalidState
from wirecore.websocket import (
    BadRequest,
    DeflateOffer,
    DeflateParameters,
    Request,
    Response,
    ServerHandshake,
)

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455 section 1.3

HEAD = (
    b"GET /chat?room=1 HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n"
    b"Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: " + KEY + b"\r\n"
    b"Origin: http://example.com\r\nSec-WebSocket-Protocol: chat, superchat\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
    b"Sec-WebSocket-Version: 13\r\n\r\n"
)


def receive(data: bytes) -> tuple[ServerHandshake, Request]:
    handshake = ServerHandshake()
    request = handshake.receive(data)
    assert request is not None
    return handshake, request


def test_the_example_of_the_standard() -> None:
    handshake, request = receive(HEAD)
    assert request.problem is None
    assert request.is_upgrade
    assert (request.method, request.target) == ("GET", "/chat?room=1")
    assert (request.path, request.query) == ("/chat", "room=1")
    assert request.host == "server.example.com"
    assert request.origin == "http://example.com"
    assert request.subprotocols == ("chat", "superchat")
    assert request.header(b"sec-websocket-key") == KEY
    assert handshake.accept(subprotocol="chat") == (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        b"Sec-WebSocket-Protocol: chat\r\n\r\n"
    )
    accepted = handshake.accepted
    assert accepted.subprotocol == "chat"
    assert accepted.deflate is None
    assert accepted.headers[-1] == (b"sec-websocket-protocol", b"chat")


def test_the_least_that_a_go_client_sends_gets_the_least_in_return() -> None:
    handshake, _ = receive(
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1:1338\r\nUser-Agent: Go-http-client/1.1\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Key: " + KEY + b"\r\nSec-WebSocket-Version: 13\r\n"
        b"Upgrade: websocket\r\n\r\n"
    )
    assert handshake.accept() == (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
    )


def test_a_head_cut_at_every_byte() -> None:
    for cut in range(len(HEAD)):
        handshake = ServerHandshake()
        assert handshake.receive(HEAD[:cut]) is None
        request = handshake.receive(memoryview(HEAD[cut:]))
        assert request is not None
        assert request.problem is None
        assert handshake.leftover == b""


def test_byte_by_byte() -> None:
    handshake = ServerHandshake()
    found = [handshake.receive(HEAD[at : at + 1]) for at in range(len(HEAD))]
    assert found[:-1] == [None] * (len(HEAD) - 1)
    assert found[-1] is not None


def test_bare_line_feeds_without_any_carriage_return() -> None:
    handshake, request = receive(HEAD.replace(b"\r\n", b"\n") + b"early")
    assert request.problem is None
    assert handshake.leftover == b"early"


def test_what_follows_the_head_is_the_connections() -> None:
    handshake, _ = receive(HEAD + b"\x81\x80mask")
    assert handshake.leftover == b"\x81\x80mask"
    assert handshake.accept()
    assert handshake.leftover == b"\x81\x80mask"
    with pytest.raises(InvalidState, match="belongs to the connection"):
        handshake.receive(b"more")


def test_compression() -> None:
    handshake, _ = receive(HEAD)
    answer = handshake.accept(compression=DeflateOffer(client_max_window_bits=10))
    assert b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=10\r\n" in answer
    assert handshake.accepted.deflate == DeflateParameters(client_max_window_bits=10)


def test_compression_that_the_client_can_not_have() -> None:
    handshake, _ = receive(HEAD.replace(b"client_max_window_bits", b"unknown"))
    assert b"Extensions" not in handshake.accept(compression=DeflateOffer())
    assert handshake.accepted.deflate is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Host: server.example.com", b"Host: \xff"),
        (b"Host: server.example.com", b"Host: xn--\xff." + b"a" * 70),
        (b"Host: server.example.com", b"Host:"),
        (b"keep-alive, Upgrade", b"\xff, Upgrade"),
        (b"keep-alive, Upgrade", b"Upgrade\r\nConnection: keep-alive"),
        (b"Upgrade: websocket", b"Upgrade: h2c, WebSocket"),
        (b"superchat", b", ,superchat"),
        (b"client_max_window_bits", b'client_max_window_bits="1\\5", foo; bar="\\x"'),
        (b"GET /chat?room=1", b"GET *"),
        (b"GET /chat?room=1", b"GET http://other/?x://y"),
    ],
)
def test_an_upgrade_however_it_is_spelt(old: bytes, new: bytes) -> None:
    assert old in HEAD
    handshake, request = receive(HEAD.replace(old, new))
    assert request.problem is None
    assert handshake.accept(subprotocol="superchat", compression=DeflateOffer()) == (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        b"Sec-WebSocket-Protocol: superchat\r\n"
        b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
    )


@pytest.mark.parametrize(
    "field",
    [
        b"Cookie: " + b"c" * 60_000,
        b"Connection: " + b"c, " * 20_000,
        b"Sec-WebSocket-Protocol: " + b"p, " * 20_000 + b"last",
        b"Sec-WebSocket-Extensions: " + b"permessage-deflate; no, " * 2_600,
    ],
)
def test_large_heads_within_the_bound(field: bytes) -> None:
    assert len(HEAD) + 60_000 < len(HEAD[:-2] + field) < 65536 - 4
    handshake, request = receive(HEAD[:-2] + field + b"\r\n\r\n")
    assert request.problem is None
    answer = handshake.accept(subprotocol=request.subprotocols[-1], compression=DeflateOffer())
    assert b"permessage-deflate\r\n" in answer


def test_more_header_fields() -> None:
    handshake, _ = receive(HEAD)
    assert b"\r\nX-Node: 7\r\n" in handshake.accept(headers=[("X-Node", "7")])
    assert handshake.accepted.headers[-1] == (b"x-node", b"7")


def test_what_the_caller_must_not_do() -> None:
    handshake = ServerHandshake()
    with pytest.raises(InvalidState, match="isn't there yet"):
        handshake.accept()
    handshake, _ = receive(HEAD)
    with pytest.raises(InvalidState, match="wasn't accepted"):
        _ = handshake.accepted
    with pytest.raises(InvalidOption, match="didn't ask for subprotocol 'Chat'"):
        handshake.accept(subprotocol="Chat")
    with pytest.raises(InvalidOption, match="no line break"):
        handshake.accept(headers=[("X-A", "b\r\nSet-Cookie: c")])
    with pytest.raises(InvalidOption, match="set by the library"):
        handshake.accept(headers=[("Sec-WebSocket-Accept", "x")])
    handshake.accept()  # none of these took the chance away
    with pytest.raises(InvalidState, match="answered already"):
        handshake.respond(Response(200))


def test_an_ordinary_request_gets_an_ordinary_answer() -> None:
    handshake, request = receive(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
    assert request.path == "/healthz"
    assert request.problem is not None
    with pytest.raises(InvalidState, match="isn't a proper upgrade"):
        handshake.accept()
    answer = handshake.respond(Response(200, body=b"ok"))
    assert answer == b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"


def test_head_is_answered_without_a_body() -> None:
    handshake, _ = receive(b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n")
    assert handshake.respond(Response(200, body=b"ok")).endswith(b"Content-Length: 2\r\n\r\n")


def test_a_body_is_left_over() -> None:
    handshake, request = receive(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody")
    assert request.problem is not None
    assert request.problem.status == 405
    assert handshake.leftover == b"body"
    assert handshake.respond(request.problem).startswith(b"HTTP/1.1 405 Method Not Allowed\r\n")


def test_a_refusal_after_a_look_at_the_request() -> None:
    handshake, request = receive(HEAD)
    assert request.problem is None
    assert handshake.respond(Response(403)).startswith(b"HTTP/1.1 403 Forbidden\r\n")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01\x02\x00", b"400"),  # TLS where none is spoken
        (b"GET\r\n\r\n", b"400"),
        (b"\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),  # no Host
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nbroken\r\n\r\n", b"400"),
        (b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", b"501"),
        (b"GET /" + b"a" * 70_000, b"431"),
        (HEAD[:-2] + b"X: " + b"a" * 70_000 + b"\r\n\r\n", b"431"),
    ],
)
def test_what_is_no_request_is_thrown_out_with_an_answer(data: bytes, status: bytes) -> None:
    with pytest.raises(HandshakeError) as caught:
        ServerHandshake().receive(data)
    assert isinstance(caught.value, BadRequest)
    assert caught.value.response.startswith(b"HTTP/1.1 " + status + b" ")
    assert b"\r\nConnection: close\r\n" in caught.value.response
    assert len(str(caught.value)) < 300


def test_the_bound_on_the_head_is_exact() -> None:
    for size, fits in ((len(HEAD), True), (len(HEAD) - 1, False)):
        for cut in (0, 1, len(HEAD) - 1):
            handshake = ServerHandshake(max_head_size=size)
            if fits:
                assert handshake.receive(HEAD[:cut]) is None
                assert handshake.receive(HEAD[cut:] + b"x" * 100) is not None
            else:
                assert handshake.receive(HEAD[:cut]) is None
                with pytest.raises(BadRequest, match=f"longer than {size} bytes"):
                    handshake.receive(HEAD[cut:] + b"x" * 100)


def test_a_trickle_of_header_is_stopped_at_the_bound() -> None:
    handshake = ServerHandshake(max_head_size=1000)
    for _ in range(1000):
        assert handshake.receive(b"a") is None
    with pytest.raises(BadRequest, match="longer than 1000 bytes"):
        handshake.receive(b"a")


def test_the_stream_ends_too_early() -> None:
    handshake = ServerHandshake()
    handshake.receive(b"GET")
    assert handshake.receive(b"") is None
    with pytest.raises(BadRequest, match="after 3 bytes") as caught:
        handshake.receive_eof()
    assert caught.value.response == b""


@given(st.binary(max_size=60) | st.text("GET /\r\n:HTP1.0aost", max_size=60).map(str.encode))
def test_any_bytes_are_a_request_or_thrown_out(data: bytes) -> None:
    for start in (b"", HEAD[:-2]):
        with suppress(BadRequest):
            ServerHandshake().receive(start + data)


#: What may come in a field of a request, for better or worse.
ODD = st.sampled_from(
    (b"", b"Upgrade", b"websocket", b"v1", b"permessage-deflate", b"13", KEY, b"xn--\xff")
) | st.binary(max_size=20).map(bytes.strip)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                (
                    "Host",
                    "Connection",
                    "Upgrade",
                    "Sec-WebSocket-Protocol",
                    "Sec-WebSocket-Extensions",
                    "Sec-WebSocket-Key",
                    "Sec-WebSocket-Version",
                )
            ),
            ODD,
        ),
        max_size=4,
    )
)
def test_any_upgrade_is_thrown_out_refused_or_can_be_accepted(
    fields: list[tuple[str, bytes]],
) -> None:
    names = {name.encode() for name, _ in fields}
    lines = [line for line in HEAD.split(b"\r\n")[:-2] if line.partition(b":")[0] not in names]
    lines += [name.encode() + b": " + value for name, value in fields]
    handshake = ServerHandshake()
    with suppress(BadRequest):
        request = handshake.receive(b"\r\n".join(lines) + b"\r\n\r\n")
        if request is not None and request.problem is None:
            assert handshake.accept(compression=DeflateOffer()).startswith(b"HTTP/1.1 101 ")
