"""A secret that is cut by the pieces of a body doesn't show; and what ended takes no memory."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterable

import pytest

from tests.cli.tap.observing import Piece, behind_upgrade, message, observe, upgrade
from wirecore.protocols.rest import PROTOCOL as REST_V1
from wirecore.protocols.rest import RequestHead, ResponseHead, frames, messages
from wirecore_cli.tap.pieces import Pieces
from wirecore_cli.tap.records import Record, Sender
from wirecore_cli.tap.rest_multiplexed import Frames
from wirecore_cli.tap.showing import Showing

SECRET = "hünter2-hünter2-hünter2"

BODIES = [
    '{"user": "ann", "password": "%s", "page": 2}',
    "user=ann&pass%%77ord=%s&page=2",
    'x\r\ncontent-disposition: form-data; name="password"\r\n\r\n%s\r\n--x--',
    "user: ann\npassword: |\n  %s\npage: 2",
    "<user><password>%s</password></user>",
    "-----BEGIN PRIVATE KEY-----\n%s\n-----END PRIVATE KEY-----",
    '{"token": {"of": ["a", "%s"]}}',
]


def payloads(records: Iterable[Record]) -> str:
    return "|".join(each.told.fields.get("payload", "") for each in records)


def reveals(shown: str, *, least: int = 4) -> bool:
    """Whether *least* characters of the secret, one behind the other, are shown."""
    return any(SECRET[at : at + least] in shown for at in range(len(SECRET) - least + 1))


@pytest.mark.parametrize("body", BODIES)
def test_a_secret_that_is_cut_anywhere(body: str) -> None:
    data = (body % SECRET).encode()
    for at in range(1, len(data)):
        for then in {at, min(at + 1, len(data)), min(at + 7, len(data))}:
            pieces = Pieces(Showing())
            found = [pieces.payload(each) for each in (data[:at], data[at:then], data[then:])]
            assert all(each["payload_encoding"] in ("text", "hex") for each in found)
            shown = "|".join(
                bytes.fromhex(each["payload"]).decode(errors="replace")
                if each["payload_encoding"] == "hex"
                else each["payload"]
                for each in found
            )
            assert not reveals(shown), (at, then)


def test_a_secret_that_comes_byte_by_byte_and_is_longer_than_what_is_remembered() -> None:
    pieces = Pieces(Showing())
    secret = "x" * 5000
    shown = [
        pieces.payload(each.encode())["payload"] for each in f'{{"token": "{secret}", "p": 2}}'
    ]
    assert "x" not in "".join(shown)
    assert "".join(shown).endswith(', "p": 2}')


def test_a_secret_in_the_end_of_a_long_piece() -> None:
    pieces = Pieces(Showing())
    pieces.payload(b'["' + "ü".encode() * 50_000 + b'", {"password": "hunt')
    assert pieces.payload(b'er2", "page": 2}]')["payload"] == '[masked, 1-8]", "page": 2}]'


def test_pieces_of_other_bodies_are_shown_as_they_are() -> None:
    text = "user: ünn\nauthor: x => y\n" * 3
    data = text.encode()
    for size in (1, 5, 30):
        pieces = Pieces(Showing())
        shown = [pieces.payload(data[at : at + size]) for at in range(0, len(data), size)]
        # Of a character that was cut the other half is shown.
        assert "".join(each["payload"] for each in shown).replace("ü", "") == text.replace("ü", "")
    binary = Pieces(Showing())
    assert binary.payload(b"\xff\xfe\x00")["payload"] == "fffe00"
    assert binary.payload(b"page: 2")["payload"] == "page: 2"


def frames_of_a_body(pieces: list[bytes]) -> list[Piece]:
    """A body in the request, and in the response, with another exchange between the frames."""
    first, *rest = pieces
    head = RequestHead(b"POST", b"/login", ())
    other = frames.encode_request(3, RequestHead(b"GET", b"/", ()), end=True)
    made: list[Piece] = [message("client", frames.encode_request(1, head, first, end=False))]
    made += [message("client", other)]
    made += [message("client", frames.encode_data(1, each, end=False)) for each in rest]
    made += [message("client", frames.encode_data(1, b"", end=True))]
    made += [message("server", frames.encode_response(1, ResponseHead(200, ()), end=False))]
    made += [message("server", frames.encode_data(1, each, end=False)) for each in pieces]
    return made


def test_bodies_in_frames() -> None:
    data = (BODIES[0] % SECRET).encode()
    for at in range(1, len(data)):
        records = observe(
            [*upgrade(subprotocol=REST_V1), *frames_of_a_body([data[:at], data[at:]])]
        )
        assert not any(each.told.kind == "problem" for each in records)
        assert not reveals(payloads(records))
        assert not any(reveals(each.told.summary) for each in records)


def test_bodies_in_text_messages() -> None:
    body = BODIES[0] % "hunter2-hunter2"
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n"
    for at in range(len(body)):
        pieces = [
            message("client", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
            message("server", head + body[:at]),
            message("server", body[at:]),
        ]
        records = behind_upgrade(pieces, protocol="rest")
        assert [each.told.kind for each in records] == ["request", "response", "end"]
        assert "nter" not in payloads(records)


# --- memory ---------------------------------------------------------------------------------------


def test_exchanges_that_are_through_are_forgotten() -> None:
    decoder = Frames(Showing())
    fields = tuple((b"X-%d" % number, b"v" * 40) for number in range(50))
    for number in range(1, 401, 2):
        request = RequestHead(b"GET", b"/", fields)
        decoder.message("client", frames.encode_request(number, request, end=True), False, 0)
        assert list(decoder._exchanges) == [number]
        response = frames.encode_response(number, ResponseHead(200, ()), b"a", end=False)
        [told] = decoder.message("server", response, False, 0.25)
        assert told.summary == f"{number}  200  GET /  a"
        assert told.took == 0.25
        decoder.message("server", frames.encode_data(number, b"b", end=True), False, 0)
        assert not decoder._exchanges


def test_an_exchange_that_is_under_way_keeps_no_head() -> None:
    decoder = Frames(Showing())
    gc.collect()
    tracemalloc.start()
    try:
        for number in range(1, 401, 2):
            fields = tuple((b"X-%d" % each, b"v" * 400) for each in range(100))
            head = RequestHead(b"GET", b"/", fields)
            decoder.message("client", frames.encode_request(number, head, end=False), False, 0)
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] < 1_000_000  # the heads have 8 MB
    finally:
        tracemalloc.stop()
    assert len(decoder._exchanges) == 200


def open_within(decoder: Frames, number: int) -> None:
    request = RequestHead(b"GET", b"/", (), b"ws")
    decoder.message("client", frames.encode_request(number, request, end=False), False, 0)
    response = frames.encode_response(number, ResponseHead(101, ()), end=False)
    decoder.message("server", response, False, 0)


def test_a_websocket_that_ended_within_a_message_is_forgotten() -> None:
    decoder = Frames(Showing())
    part = messages.encode_message(bytes(1000))[:500]
    for number, reset in ((1, False), (3, True)):
        open_within(decoder, number)
        decoder.message("client", frames.encode_data(number, part, end=False), False, 0)
        assert decoder._held == 500
        if reset:
            decoder.message("server", frames.encode_reset(number, "x"), False, 0)
        else:
            senders: tuple[Sender, ...] = ("client", "server")
            for sender in senders:
                decoder.message(sender, frames.encode_data(number, b"", end=True), False, 0)
        assert not decoder._exchanges
        assert decoder._held == 0


def test_what_is_held_of_messages_is_counted_and_bounded() -> None:
    decoder = Frames(Showing())
    whole = messages.encode_message(bytes(1_000_000))
    open_within(decoder, 1)
    for at in range(0, len(whole), 400_000):
        piece = frames.encode_data(1, whole[at : at + 400_000], end=False)
        told = decoder.message("client", piece, False, 0)
    assert [each.kind for each in told] == ["message"]
    assert decoder._held == 0
    for number in range(3, 45, 2):
        open_within(decoder, number)
        told = decoder.message(
            "client", frames.encode_data(number, whole[:-1], end=False), False, 0
        )
        assert decoder._held <= 16 << 20
        assert told[0].kind == ("part" if number <= 33 else "problem")
    # Others go on.
    told = decoder.message("client", frames.encode_data(3, whole[-1:], end=False), False, 0)
    assert [each.kind for each in told] == ["message"]
