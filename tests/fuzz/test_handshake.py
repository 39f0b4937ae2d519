"""Opening handshakes with peers that send anything at all.

Whatever comes: a request (or an acceptance), a documented error, or a wait for more; the same
however it is cut; and every answer is HTTP that a client understands.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import h11
from hypothesis import given, settings
from hypothesis import strategies as st

from wirecore.errors import HandshakeError, UpgradeRejected
from wirecore.websocket import (
    BadRequest,
    ClientHandshake,
    DeflateOffer,
    Request,
    ServerHandshake,
    origin_problem,
)

if TYPE_CHECKING:
    from tests.fuzz.conftest import Mutated

FUZZ = settings.get_profile("wirecore-fuzz")

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
KEY = b"dGhlIHNhbXBsZSBub25jZQ=="

#: Stands for the token that fits the client's key, which is another one each time.
TOKEN = b"@TOKEN@"

UPGRADE = [
    b"Host: example.com:80",
    b"Upgrade: websocket",
    b"Connection: Upgrade",
    b"Sec-WebSocket-Version: 13",
    b"Sec-WebSocket-Key: " + KEY,
]
LINES = st.sampled_from(
    [
        b"Origin: http://example.com:80",
        b"Origin: null",
        b"Sec-WebSocket-Protocol: chat, superchat",
        b"Sec-WebSocket-Protocol: ,,chat,\xff",
        b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
        b"Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=8, x",
        b"Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=9",
        b"Sec-WebSocket-Protocol: chat",
        b'Sec-WebSocket-Extensions: x; y="a\\"b", permessage-deflate; server_max_window_bits="9"',
        b"Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover=1;",
        b"Sec-WebSocket-Key: short",
        b"Sec-WebSocket-Version: 8",
        b"Host: a b",
        b"Connection: keep-alive, upgrade",
        b"Content-Length: 5",
        b"Content-Length: 5, 6",
        b"Transfer-Encoding: chunked",
        b"Transfer-Encoding: gzip",
        b"Expect: 100-continue",
        b"X:",
        b" folded",
        b": nothing",
        b"X-Long: " + b"x" * 300,
    ]
)
REQUEST_LINES = st.sampled_from(
    [
        b"GET / HTTP/1.1",
        b"GET / HTTP/1.1",
        b"GET /a?b=c#d HTTP/1.1",
        b"GET http://example.com/a?b HTTP/1.1",
        b"GET * HTTP/1.1",
        b"GET //x://? HTTP/1.0",
        b"HEAD / HTTP/1.1",
        b"POST / HTTP/1.1",
        b"CONNECT example.com:80 HTTP/1.1",
        b"PRI * HTTP/2.0",
    ]
)
STATUS_LINES = st.sampled_from(
    [
        b"HTTP/1.1 101 Switching Protocols",
        b"HTTP/1.1 101 Switching Protocols",
        b"HTTP/1.0 101 Old",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101 Switching Protocols",
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 204",
        b"HTTP/1.1 302 Found",
        b"HTTP/1.1 999 ?",
        b"HTTP/2 101 New",
    ]
)
ACCEPTANCE = [b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Accept: " + TOKEN]
OFFERS = st.none() | st.builds(
    DeflateOffer,
    server_no_context_takeover=st.booleans(),
    server_max_window_bits=st.sampled_from([9, 15]),
    client_max_window_bits=st.sampled_from([9, 15]),
)
CUTS = st.lists(st.integers(0, 1000), max_size=6)


@st.composite
def heads(draw: st.DrawFn, first: st.SearchStrategy[bytes], usual: list[bytes]) -> bytes:
    """A head: the usual lines, one of them perhaps missing, and others; and what is behind it."""
    lines = [*usual, *draw(st.lists(LINES, max_size=3))]
    if draw(st.integers(0, 3)) == 0:
        del lines[draw(st.integers(0, len(lines) - 1))]
    end = draw(st.sampled_from([b"\r\n", b"\r\n", b"\n"]))
    behind = draw(st.sampled_from([b"", b"", b"\x81\x80mask", b"hello"]))
    return end.join([draw(first), *draw(st.permutations(lines)), b"", b""]) + behind


def cut_up(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
    return [data[at:stop] for at, stop in pairwise(edges) if at < stop]


def read_response(data: bytes, method: bytes = b"GET") -> tuple[int, dict[bytes, bytes], bytes]:
    """Status, header and body of a whole response, as another implementation reads it."""
    http = h11.Connection(h11.CLIENT)
    http.send(
        h11.Request(
            method=method,
            target="/",
            headers=[("Host", "x"), ("Connection", "Upgrade"), ("Upgrade", "websocket")],
        )
    )
    http.send(h11.EndOfMessage())
    http.receive_data(data)
    head: Any = http.next_event()
    body = b""
    if head.status_code != 101:
        while not isinstance(event := http.next_event(), h11.EndOfMessage):
            assert isinstance(event, h11.Data)
            body += bytes(event.data)
    assert http.trailing_data[0] == b""
    return head.status_code, {bytes(name): bytes(value) for name, value in head.headers}, body


# --- the server's side ------------------------------------------------------------------------


def serve(
    pieces: list[bytes], max_head_size: int
) -> tuple[ServerHandshake, Request | BadRequest | None, bytes]:
    """What a server makes of *pieces*, and what it leaves of them."""
    handshake = ServerHandshake(max_head_size=max_head_size)
    for index, piece in enumerate(pieces):
        try:
            request = handshake.receive(piece)
        except BadRequest as error:
            return handshake, error, b""
        if request is not None:
            return handshake, request, handshake.leftover + b"".join(pieces[index + 1 :])
    return handshake, None, b""


@FUZZ
@given(data=st.data(), cuts=CUTS, offer=OFFERS, max_head_size=st.sampled_from([65536, 300]))
def test_servers(
    mutated: Mutated,
    data: st.DataObject,
    cuts: list[int],
    offer: DeflateOffer | None,
    max_head_size: int,
) -> None:
    whole = heads(REQUEST_LINES, UPGRADE)
    stream = data.draw(mutated(whole) | whole | st.binary(max_size=40), "stream")
    handshake, found, rest = serve([stream], max_head_size)
    for pieces in (cut_up(stream, cuts), [bytes([byte]) for byte in stream]):
        _, same, same_rest = serve(pieces, max_head_size)
        assert type(same) is type(found)
        assert same_rest == rest
        if isinstance(found, Request):
            assert same == found
    if isinstance(found, BadRequest):
        status, header, _ = read_response(found.response)
        assert status in (400, 431, 501)
        assert header[b"connection"] == b"close"
    elif found is not None:
        assert stream.endswith(rest)
        assert len(stream) - len(rest) <= max_head_size
        check_answer(handshake, found, offer)
    elif stream:
        assert len(stream) <= max_head_size


def check_answer(handshake: ServerHandshake, request: Request, offer: DeflateOffer | None) -> None:
    """The answer fits the request, and is one that a client understands."""
    refusal = request.problem or origin_problem(request)
    if refusal is not None:
        status, header, body = read_response(handshake.respond(refusal), request.method.encode())
        assert status == refusal.status
        assert body == (b"" if request.method == "HEAD" else refusal.body)
        return
    chosen = request.subprotocols[0] if request.subprotocols else None
    status, header, _ = read_response(handshake.accept(subprotocol=chosen, compression=offer))
    assert status == 101
    key = request.header(b"sec-websocket-key") or b""
    assert header[b"sec-websocket-accept"] == token(key)
    assert header.get(b"sec-websocket-protocol") == (chosen.encode() if chosen else None)
    assert (b"sec-websocket-extensions" in header) is (handshake.accepted.deflate is not None)
    assert offer is not None or handshake.accepted.deflate is None


def token(key: bytes) -> bytes:
    return base64.b64encode(hashlib.sha1(key + GUID).digest())


# --- the client's side ------------------------------------------------------------------------


def dial(
    template: bytes, cut: Callable[[bytes], list[bytes]], offer: DeflateOffer | None
) -> tuple[object, ...]:
    """What a client makes of an answer, in words; *template* stands for it without the token."""
    handshake = ClientHandshake(
        host="example.com", target="/", subprotocols=["chat"], compression=offer
    )
    lines = handshake.request().split(b"\r\n")
    [key] = [line.split()[1] for line in lines if line.lower().startswith(b"sec-websocket-key:")]
    fitting = token(key)
    pieces = cut(template.replace(TOKEN, fitting))
    try:
        for index, piece in enumerate(pieces):
            accepted = handshake.receive(piece)
            if accepted is not None:
                rest = handshake.leftover + b"".join(pieces[index + 1 :])
                rest = rest.replace(fitting, TOKEN)
                return "accepted", accepted.subprotocol, accepted.deflate, rest
        handshake.receive_eof()
    except UpgradeRejected as error:
        body = error.body.replace(fitting, TOKEN)
        return "rejected", error.status, [name for name, _ in error.headers], body
    except HandshakeError:
        return ("failed",)
    raise AssertionError("neither an answer nor an error")


@FUZZ
@given(data=st.data(), cuts=CUTS, offer=OFFERS)
def test_clients(
    mutated: Mutated, data: st.DataObject, cuts: list[int], offer: DeflateOffer | None
) -> None:
    whole = heads(STATUS_LINES, ACCEPTANCE)
    template = data.draw(mutated(whole) | whole | st.binary(max_size=40), "answer")
    outcome = dial(template, lambda answer: [answer] if answer else [], offer)
    assert dial(template, lambda answer: cut_up(answer, cuts), offer) == outcome
    assert dial(template, lambda answer: [bytes([byte]) for byte in answer], offer) == outcome
