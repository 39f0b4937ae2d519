"""The client's handshake: what it asks, and which answers it takes."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wirecore import __version__
from wirecore.errors import HandshakeError, InvalidOption, InvalidState, UpgradeRejected
from wirecore.websocket import (
    Accepted,
    ClientHandshake,
    DeflateOffer,
    DeflateParameters,
)


def accept_token(key: bytes) -> bytes:
    """Sec-WebSocket-Accept as RFC 6455 section 4.2.2 has it: a second opinion on wsproto's."""
    return base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())


def start(
    *, subprotocols: tuple[str, ...] = (), compression: DeflateOffer | None = None
) -> tuple[ClientHandshake, bytes]:
    """A handshake whose request is sent, and the token that its answer needs."""
    handshake = ClientHandshake(
        host="example.com", subprotocols=subprotocols, compression=compression
    )
    key = field(handshake.request(), b"Sec-WebSocket-Key")
    return handshake, accept_token(key)


def field(head: bytes, name: bytes) -> bytes:
    values = [line[len(name) + 2 :] for line in head.split(b"\r\n") if line.startswith(name + b":")]
    assert len(values) == 1
    return values[0]


def answer(token: bytes, *more: bytes) -> bytes:
    lines = [
        b"HTTP/1.1 101 Switching Protocols",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Accept: " + token,
        *more,
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def test_the_request() -> None:
    head = ClientHandshake(
        host="example.com:8080",
        target="/chat?room=1",
        headers=[("Authorization", "Bearer x"), (b"X-Raw", b"\xff")],
        subprotocols=["v2", "v1"],
        compression=DeflateOffer(),
    ).request()
    key = field(head, b"Sec-WebSocket-Key")
    assert len(base64.b64decode(key, validate=True)) == 16
    assert head == (
        b"GET /chat?room=1 HTTP/1.1\r\nHost: example.com:8080\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Key: " + key + b"\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: v2, v1\r\n"
        b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
        b"Authorization: Bearer x\r\nX-Raw: \xff\r\n"
        b"User-Agent: wirecore/" + __version__.encode() + b"\r\n\r\n"
    )


def test_every_request_has_a_key_of_its_own() -> None:
    keys = {field(ClientHandshake(host="h").request(), b"Sec-WebSocket-Key") for _ in range(20)}
    assert len(keys) == 20


def test_the_user_agent_may_be_another_or_none() -> None:
    assert b"User-Agent" not in ClientHandshake(host="h", user_agent=None).request()
    assert field(ClientHandshake(host="h", user_agent="me/1").request(), b"User-Agent") == b"me/1"
    head = ClientHandshake(host="h", headers=[("user-agent", "mine")]).request()
    assert field(head.lower(), b"user-agent") == b"mine"


@pytest.mark.parametrize(
    ("host", "sent"),
    [("[::1]:80", b"[::1]:80"), ("bücher.example:80", b"xn--bcher-kva.example:80")],
)
def test_hosts(host: str, sent: bytes) -> None:
    assert field(ClientHandshake(host=host).request(), b"Host") == sent


@pytest.mark.parametrize(
    "make",
    [
        lambda: ClientHandshake(host=""),
        lambda: ClientHandshake(host="a b"),
        lambda: ClientHandshake(host="a\r\nX: y"),
        lambda: ClientHandshake(host="a/b"),
        lambda: ClientHandshake(host="user@h"),
        lambda: ClientHandshake(host="ü" * 70),
        lambda: ClientHandshake(host="a" * 64),  # RFC 1035 section 2.3.4: 63 bytes a label
        lambda: ClientHandshake(host="a..b"),
        lambda: ClientHandshake(host="h", target="no-slash"),
        lambda: ClientHandshake(host="h", target="/a b"),
        lambda: ClientHandshake(host="h", target="/ HTTP/1.1\r\nX: y"),
        lambda: ClientHandshake(host="h", target="/ä"),
        lambda: ClientHandshake(host="h", target="/a#b"),
        lambda: ClientHandshake(host="h", subprotocols=["a,b"]),
        lambda: ClientHandshake(host="h", subprotocols=["a", "a"]),
        lambda: ClientHandshake(host="h", subprotocols=[""]),
        lambda: ClientHandshake(host="h", headers=[("X", "a\r\nY: b")]),
        lambda: ClientHandshake(host="h", headers=[("X Y", "a")]),
        lambda: ClientHandshake(host="h", headers=[("Host", "a")]),
        lambda: ClientHandshake(host="h", headers=[("upgrade", "a")]),
        lambda: ClientHandshake(host="h", headers=[("Content-Length", "1")]),
        lambda: ClientHandshake(host="h", user_agent="a\nb"),
    ],
)
def test_what_can_not_be_asked(make: Callable[[], ClientHandshake]) -> None:
    with pytest.raises(InvalidOption):
        make()


def test_a_plain_answer_cut_at_every_byte() -> None:
    for cut in range(200):
        handshake, token = start()
        text = answer(token, b"X-Node: 7")
        if cut >= len(text):
            break
        assert handshake.receive(text[:cut]) is None
        accepted = handshake.receive(memoryview(text[cut:] + b"\x81\x00"))
        assert accepted is not None
        assert (accepted.subprotocol, accepted.deflate) == (None, None)
        assert (b"x-node", b"7") in accepted.headers
        assert handshake.leftover == b"\x81\x00"


def test_bare_line_feeds() -> None:
    handshake, token = start()
    assert handshake.receive(answer(token).replace(b"\r\n", b"\n")) is not None


def test_a_large_head_within_the_bound() -> None:
    for more in (b"Set-Cookie: " + b"c" * 65_000, b"Connection: " + b"\xff, " * 21_000):
        handshake, token = start()
        text = answer(token, more)
        for at in range(0, len(text), 5000):
            accepted = handshake.receive(text[at : at + 5000])
        assert accepted is not None
        assert len(accepted.headers) == 4


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Connection: Upgrade", b"connection: keep-alive\r\nCONNECTION: \xff,uPGRADE"),
        (b"Connection: Upgrade", b"Connection: upgrade\r\nConnection: keep-alive"),
        (b"Upgrade: websocket", b"upgrade:WebSocket"),
        (b"\r\n\r\n", b"\r\nSec-WebSocket-Extensions: ,\r\nSec-WebSocket-Extensions:\r\n\r\n"),
    ],
)
def test_a_good_answer_however_it_is_spelt(old: bytes, new: bytes) -> None:
    handshake, token = start()
    assert old in answer(token)
    assert handshake.receive(answer(token).replace(old, new)) is not None


def test_interim_responses_come_first() -> None:
    handshake, token = start()
    early = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    assert handshake.receive(early) is None
    assert handshake.receive(early + answer(token)) is not None


def test_a_subprotocol_that_was_asked_for() -> None:
    handshake, token = start(subprotocols=("v2", "v1"))
    accepted = handshake.receive(answer(token, b"Sec-WebSocket-Protocol: v1"))
    assert accepted is not None
    assert accepted.subprotocol == "v1"


def test_compression_that_was_asked_for() -> None:
    handshake, token = start(compression=DeflateOffer())
    accepted = handshake.receive(
        answer(token, b"Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=9")
    )
    assert isinstance(accepted, Accepted)
    assert accepted.deflate == DeflateParameters(server_max_window_bits=9)
    handshake, token = start(compression=DeflateOffer())
    accepted = handshake.receive(answer(token))
    assert accepted is not None
    assert accepted.deflate is None


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        (b"Accept: ", b"Accept: x", "doesn't fit our key"),
        (b"Sec-WebSocket-Accept", b"X-Accept", "no Sec-WebSocket-Accept"),
        (b"Upgrade: websocket", b"Upgrade: h2c", "'Upgrade: websocket'"),
        (b"Upgrade: websocket", b"X: y", "'Upgrade: websocket'"),
        (b"Connection: Upgrade", b"Connection: close", "'Connection: Upgrade'"),
        (b"Connection: Upgrade", b"X: y", "'Connection: Upgrade'"),
        (b"HTTP/1.1", b"HTTP/1.0", "isn't HTTP/1.1"),
        (b"\r\n\r\n", b"\r\nSec-WebSocket-Protocol: v1\r\n\r\n", "subprotocol nobody asked for"),
        (b"\r\n\r\n", b"\r\nSec-WebSocket-Protocol: \xff\r\n\r\n", "subprotocol nobody asked for"),
        (b"\r\n\r\n", b"\r\nSec-WebSocket-Extensions: foo\r\n\r\n", "nobody asked for: foo"),
        (
            b"\r\n\r\n",
            b"\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
            "nobody asked for: permessage-deflate",
        ),
        (b"\r\n\r\n", b"\r\nSec-WebSocket-Extensions: a b\r\n\r\n", "Sec-WebSocket-Extensions: n"),
        (b"HTTP/1.1 101", b"HTTP/1.1", "isn't HTTP/1.1: illegal status line"),
        (b"HTTP", b"\x15\x03", "isn't HTTP/1.1"),
        (b"\r\n\r\n", b"\r\nX: " + b"a" * 70_000 + b"\r\n\r\n", "longer than 65536 bytes"),
    ],
)
def test_answers_that_break_the_rules(old: bytes, new: bytes, text: str) -> None:
    handshake, token = start()
    with pytest.raises(HandshakeError, match=text) as caught:
        handshake.receive(answer(token).replace(old, new))
    assert not isinstance(caught.value, UpgradeRejected)
    assert len(str(caught.value)) < 300
    with pytest.raises(InvalidState):
        handshake.receive(b"x")


def test_an_accept_field_that_comes_twice() -> None:
    handshake, token = start()
    with pytest.raises(HandshakeError, match="doesn't fit"):
        handshake.receive(answer(token, b"Sec-WebSocket-Accept: " + token))


def test_an_error_quotes_little_of_what_the_server_chose() -> None:
    for field_ in (b"Sec-WebSocket-Protocol: ", b"Sec-WebSocket-Extensions: "):
        handshake, token = start()
        with pytest.raises(HandshakeError, match="nobody asked for: aaa") as caught:
            handshake.receive(answer(token, field_ + b"a" * 60_000))
        assert len(str(caught.value)) < 300


def test_two_subprotocols() -> None:
    handshake, token = start(subprotocols=("v1", "v2"))
    with pytest.raises(HandshakeError, match="nobody asked for"):
        handshake.receive(answer(token, b"Sec-WebSocket-Protocol: v1, v2"))


def test_a_refusal_carries_status_fields_and_body() -> None:
    text = (
        b"HTTP/1.1 307 Temporary Redirect\r\nLocation: ws://elsewhere/\r\nContent-Length: 5\r\n\r\n"
    )
    for cut in range(len(text) + 4):
        handshake, _ = start()
        whole = text + b"moved"
        assert handshake.receive(whole[:cut]) is None
        with pytest.raises(UpgradeRejected, match="status 307") as caught:
            handshake.receive(whole[cut:])
        assert caught.value.status == 307
        assert (b"location", b"ws://elsewhere/") in caught.value.headers
        assert caught.value.body == b"moved"


def test_the_200_of_a_server_that_knows_us_already() -> None:
    handshake, _ = start()
    with pytest.raises(UpgradeRejected, match="status 200") as caught:
        handshake.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert caught.value.body == b""


def test_a_chunked_refusal() -> None:
    handshake, _ = start()
    head = b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert handshake.receive(head + b"3\r\nabc\r\n") is None
    with pytest.raises(UpgradeRejected) as caught:
        handshake.receive(b"2\r\nde\r\n0\r\n\r\n")
    assert caught.value.body == b"abcde"


def test_a_long_body_is_cut() -> None:
    handshake, _ = start()
    head = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 100000\r\n\r\n"
    assert handshake.receive(head + b"a" * 4000) is None
    with pytest.raises(UpgradeRejected) as caught:
        handshake.receive(b"b" * 50_000)
    assert caught.value.body == b"a" * 4000 + b"b" * 96


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (b"HTTP/1.1 503 Busy\r\n\r\n", b"until the end"),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 99\r\n\r\n", b"cut off"),
    ],
)
def test_a_body_that_the_end_of_the_stream_ends(head: bytes, body: bytes) -> None:
    handshake, _ = start()
    assert handshake.receive(head + body) is None
    with pytest.raises(UpgradeRejected) as caught:
        handshake.receive_eof()
    assert caught.value.body == body


def test_a_refusal_whose_body_is_badly_framed() -> None:
    handshake, _ = start()
    head = b"HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n"
    with pytest.raises(UpgradeRejected, match="status 500"):
        handshake.receive(head + b"zzz\r\n")


def test_the_stream_ends_before_any_answer() -> None:
    handshake, _ = start()
    assert handshake.receive(b"HTTP/1.1 1") is None
    assert handshake.receive(b"") is None
    with pytest.raises(HandshakeError, match="sent 10 bytes and no whole response"):
        handshake.receive_eof()


def test_a_server_without_any_answer() -> None:
    handshake, _ = start()
    assert handshake.unanswered
    with pytest.raises(HandshakeError, match="closed the connection without any answer"):
        handshake.receive_eof()
    handshake, _ = start()
    assert handshake.receive(b"HTTP/1.1 1") is None
    assert not handshake.unanswered


def test_a_server_that_wants_tls() -> None:
    handshake, _ = start()
    with pytest.raises(HandshakeError, match=r"isn't HTTP/1\.1: it is TLS: is it wss://\?$"):
        handshake.receive(b"\x15\x03\x01\x00\x02\x02\x46")


def test_the_bound_counts_interim_responses() -> None:
    handshake, _ = start()
    early = b"HTTP/1.1 103 Early Hints\r\nLink: " + b"x" * 1000 + b"\r\n\r\n"
    for _ in range(65536 // len(early)):
        assert handshake.receive(early) is None
    with pytest.raises(HandshakeError, match="longer than 65536 bytes"):
        handshake.receive(early)


def test_an_endless_head_is_stopped_at_the_bound() -> None:
    handshake, _ = start()
    for _ in range(64):
        assert handshake.receive(b"HTTP/1.1 101 " + b"x" * 1011) is None
    with pytest.raises(HandshakeError, match="Receive buffer too long"):
        handshake.receive(b"x")


def test_the_order_of_things() -> None:
    handshake = ClientHandshake(host="h")
    with pytest.raises(InvalidState, match="no response is awaited"):
        handshake.receive(b"x")
    token = accept_token(field(handshake.request(), b"Sec-WebSocket-Key"))
    with pytest.raises(InvalidState, match="made already"):
        handshake.request()
    assert handshake.receive(answer(token)) is not None
    with pytest.raises(InvalidState, match="no response is awaited"):
        handshake.receive(b"x")


@given(st.binary(max_size=60) | st.text("HTTP/1.0 2\r\n:a", max_size=60).map(str.encode))
def test_any_bytes_are_an_answer_or_an_error(data: bytes) -> None:
    refusal = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    for begin in (b"", answer(b"TOKEN")[:-2], refusal):
        handshake, token = start()
        with suppress(HandshakeError):
            handshake.receive(begin.replace(b"TOKEN", token) + data)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                (
                    b"Connection",
                    b"Upgrade",
                    b"Sec-WebSocket-Accept",
                    b"Sec-WebSocket-Protocol",
                    b"Sec-WebSocket-Extensions",
                )
            ),
            st.sampled_from((b"", b"Upgrade", b"websocket", b"v1", b"permessage-deflate"))
            | st.binary(max_size=20).map(bytes.strip),
        ),
        max_size=4,
    )
)
def test_any_101_is_taken_or_an_error(fields: list[tuple[bytes, bytes]]) -> None:
    handshake, token = start(subprotocols=("v1",), compression=DeflateOffer())
    names = {name for name, _ in fields}
    lines = [
        line for line in answer(token).split(b"\r\n")[:-2] if line.partition(b":")[0] not in names
    ]
    lines += [name + b": " + value for name, value in fields]
    with suppress(HandshakeError):
        assert handshake.receive(b"\r\n".join(lines) + b"\r\n\r\n") is not None
