"""Who compresses how: offers, answers and refusals, RFC 7692 section 7.1."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest

from wirecore.errors import HandshakeError, InvalidOption
from wirecore.websocket import (
    Accepted,
    ClientHandshake,
    DeflateOffer,
    DeflateParameters,
    ServerHandshake,
)


def accept(offers: str, own: DeflateOffer | None = None) -> Accepted:
    """What a server, with *own* wishes, agrees to when a client makes *offers*."""
    head = ClientHandshake(host="example.com").request()
    offered = f"\r\nSec-WebSocket-Extensions: {offers}\r\n\r\n".encode()
    handshake = ServerHandshake()
    request = handshake.receive(head.removesuffix(b"\r\n\r\n") + offered)
    assert request is not None
    assert request.problem is None
    handshake.accept(compression=own or DeflateOffer())
    return handshake.accepted


def choose(offers: str, own: DeflateOffer | None = None) -> str | None:
    """The server's answer to *offers*."""
    accepted = accept(offers, own)
    answer = dict(accepted.headers).get(b"sec-websocket-extensions")
    assert (accepted.deflate is None) is (answer is None)
    return None if answer is None else answer.decode()


def confirm(answer: str, own: DeflateOffer | None = None) -> DeflateParameters | None:
    """What the client makes of the server's *answer*."""
    client = ClientHandshake(host="example.com", compression=own or DeflateOffer())
    server = ServerHandshake()
    server.receive(client.request())
    head = server.accept().removesuffix(b"\r\n\r\n")
    answered = f"\r\nSec-WebSocket-Extensions: {answer}\r\n\r\n".encode()
    accepted = client.receive(head + answered)
    assert accepted is not None
    return accepted.deflate


NAME = "permessage-deflate"


def test_offers() -> None:
    assert str(DeflateOffer().request()) == f"{NAME}; client_max_window_bits"
    everything = DeflateOffer(
        server_no_context_takeover=True,
        client_no_context_takeover=True,
        server_max_window_bits=10,
        client_max_window_bits=9,
    )
    assert str(everything.request()) == (
        f"{NAME}; client_max_window_bits=9; server_max_window_bits=10; "
        "client_no_context_takeover; server_no_context_takeover"
    )


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: DeflateOffer(server_max_window_bits=8),
            "server_max_window_bits .* 9, not 8",
        ),
        (lambda: DeflateOffer(client_max_window_bits=16), "client_max_window_bits .* 15, not 16"),
        (lambda: DeflateOffer(level=-2), "level must be at least -1, not -2"),
        (lambda: DeflateOffer(level=10), "level must be at most 9, not 10"),
        (lambda: DeflateOffer(mem_level=0), "mem_level must be at least 1, not 0"),
        (lambda: DeflateOffer(mem_level=10), "mem_level must be at most 9, not 10"),
        (lambda: DeflateOffer(threshold=-1), "threshold must be at least 0, not -1"),
    ],
)
def test_options_out_of_range_are_named(make: Callable[[], DeflateOffer], text: str) -> None:
    with pytest.raises(InvalidOption, match=text):
        make()


@pytest.mark.parametrize(
    ("offer", "answer"),
    [
        (NAME, NAME),
        (f"{NAME}; client_max_window_bits", NAME),
        (f"{NAME}; client_max_window_bits=15", NAME),
        (f"{NAME}; client_max_window_bits=10", f"{NAME}; client_max_window_bits=10"),
        (f"{NAME}; client_max_window_bits=8", f"{NAME}; client_max_window_bits=8"),
        (f"{NAME}; server_max_window_bits=15", f"{NAME}; server_max_window_bits=15"),
        (f'{NAME}; server_max_window_bits="10"', f"{NAME}; server_max_window_bits=10"),
        (f"{NAME}; server_no_context_takeover", f"{NAME}; server_no_context_takeover"),
        (f"{NAME}; client_no_context_takeover", f"{NAME}; client_no_context_takeover"),
        # What gorilla/websocket offers.
        (
            f"{NAME}; server_no_context_takeover; client_no_context_takeover",
            f"{NAME}; server_no_context_takeover; client_no_context_takeover",
        ),
        (f"x-webkit-deflate-frame, {NAME}; server_max_window_bits=8, {NAME}", NAME),
        (f"{NAME}; unknown, {NAME}; client_max_window_bits=9", f"{NAME}; client_max_window_bits=9"),
    ],
)
def test_the_server_takes_the_first_offer_it_can_meet(offer: str, answer: str) -> None:
    assert choose(offer) == answer


@pytest.mark.parametrize(
    "offer",
    [
        "",
        "permessage-bzip2",
        f"{NAME}; unknown",
        f"{NAME}; server_no_context_takeover=1",
        f"{NAME}; client_no_context_takeover=true",
        f"{NAME}; server_no_context_takeover; server_no_context_takeover",
        f"{NAME}; client_max_window_bits=10; client_max_window_bits=10",
        f"{NAME}; server_max_window_bits",
        f"{NAME}; server_max_window_bits=7",
        f"{NAME}; server_max_window_bits=16",
        f"{NAME}; server_max_window_bits=010",
        f"{NAME}; server_max_window_bits=ten",
        f"{NAME}; client_max_window_bits=7",
        f"{NAME}; client_max_window_bits=16",
        f'{NAME}; client_max_window_bits="08"',
        # zlib can't make this one: declined, so that a second offer gets its chance.
        f"{NAME}; server_max_window_bits=8",
    ],
)
def test_the_server_declines(offer: str) -> None:
    assert choose(offer) is None


def test_the_server_has_wishes_of_its_own() -> None:
    own = DeflateOffer(
        server_no_context_takeover=True,
        client_no_context_takeover=True,
        server_max_window_bits=11,
        client_max_window_bits=12,
        level=3,
        mem_level=4,
        threshold=5,
    )
    # A client that doesn't say so can't be told a window: section 7.1.2.2.
    assert choose(NAME, own) == (
        f"{NAME}; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=11"
    )
    assert choose(f"{NAME}; client_max_window_bits", own) == (
        f"{NAME}; server_no_context_takeover; client_no_context_takeover; "
        "server_max_window_bits=11; client_max_window_bits=12"
    )
    agreed = accept(f"{NAME}; client_max_window_bits=9", own).deflate
    assert agreed == DeflateParameters(True, True, 11, 9, 3, 4, 5)


def test_the_client_takes_what_it_offered_and_what_it_must() -> None:
    assert confirm("") is None
    assert confirm(NAME) == DeflateParameters()
    assert confirm(f"{NAME}; client_max_window_bits=10") == DeflateParameters(
        client_max_window_bits=10
    )
    # Neither was asked for, but a server may: sections 7.1.1.1 and 7.1.2.1.
    assert confirm(
        f"{NAME}; server_no_context_takeover; server_max_window_bits=8"
    ) == DeflateParameters(server_no_context_takeover=True, server_max_window_bits=8)
    assert confirm(f"{NAME}; client_no_context_takeover") == DeflateParameters(
        client_no_context_takeover=True
    )


def test_the_client_keeps_to_its_own_offer() -> None:
    own = DeflateOffer(client_no_context_takeover=True, client_max_window_bits=10, level=1)
    assert confirm(NAME, own) == DeflateParameters(
        client_no_context_takeover=True, client_max_window_bits=10, level=1
    )
    # A server may name a larger window than the hint, and the client use a smaller one.
    wide = confirm(f"{NAME}; client_max_window_bits=12", own)
    assert wide is not None
    assert wide.client_max_window_bits == 10


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("permessage-bzip2", "nobody asked for: permessage-bzip2"),
        (f"{NAME}, foo", "nobody asked for: foo"),
        (f"{NAME}, {NAME}", "more than once"),
        (f"{NAME}; unknown=1", "unknown parameter unknown"),
        (f"{NAME}; server_no_context_takeover=1", "has a value"),
        (f"{NAME}; client_no_context_takeover; client_no_context_takeover", "there twice"),
        (f"{NAME}; client_max_window_bits", "client_max_window_bits is None, not 8 to 15"),
        (f"{NAME}; server_max_window_bits", "server_max_window_bits is None, not 8 to 15"),
        (f"{NAME}; server_max_window_bits=16", "server_max_window_bits is 16, not 8 to 15"),
        (f"{NAME}; client_max_window_bits=08", "client_max_window_bits is 08, not 8 to 15"),
    ],
)
def test_the_client_fails_the_handshake(answer: str, text: str) -> None:
    with pytest.raises(HandshakeError, match=text):
        confirm(answer)


def test_the_client_insists_on_what_it_asked_for() -> None:
    with pytest.raises(HandshakeError, match="lacks server_no_context_takeover"):
        confirm(NAME, DeflateOffer(server_no_context_takeover=True))
    small = DeflateOffer(server_max_window_bits=10)
    for answer in (NAME, f"{NAME}; server_max_window_bits=11"):
        with pytest.raises(HandshakeError, match="not 10 or less"):
            confirm(answer, small)
    agreed = confirm(f"{NAME}; server_max_window_bits=9", small)
    assert agreed is not None
    assert agreed.server_max_window_bits == 9


def test_any_client_of_ours_agrees_with_any_server_of_ours() -> None:
    wishes = [
        DeflateOffer(server_fresh, client_fresh, server_bits, client_bits)
        for server_fresh, client_fresh, server_bits, client_bits in product(
            (False, True), (False, True), (9, 12, 15), (9, 12, 15)
        )
    ]
    for client, server in product(wishes, wishes):
        chosen = server.choose(client.request())
        assert chosen is not None
        answer, parameters = chosen
        assert client.confirm(answer) == parameters
