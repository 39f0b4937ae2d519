"""No part of a private key in what is shown, raised or logged."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import trio.testing

from wirecore.errors import InvalidKey
from wirecore_trio.tls import ClientCredentials, PinnedEngine, PinnedTLSStream, ServerCredentials

if TYPE_CHECKING:
    from tests.transports.tls.conftest import End, Join

# Seeds without repetition, so that a part of one is recognised wherever it turns up.
CLIENT_SEED = bytes(range(0x41, 0x61))
SERVER_SEED = bytes(range(0x61, 0x81))


def leaks(text: str) -> list[str]:
    found = []
    for seed in (CLIENT_SEED, SERVER_SEED):
        for form in (seed.hex(), seed.decode("latin-1"), repr(seed)[2:-1], str(list(seed))[1:-1]):
            found += [form[i : i + 8] for i in range(len(form) - 7) if form[i : i + 8] in text]
    return found


def test_leaks_would_be_found() -> None:
    assert leaks(f"oops: {CLIENT_SEED!r}")
    assert leaks(SERVER_SEED.hex()[10:30])


def test_nothing_shows_a_private_key(
    caplog: pytest.LogCaptureFixture, join: Callable[[End, End], Join]
) -> None:
    caplog.set_level(logging.DEBUG)
    server = ServerCredentials(SERVER_SEED, [])
    client = ClientCredentials(CLIENT_SEED, server.public_key)
    shown = [client, server, client.private_key, client.certificate, vars(type(client))]
    shown += [getattr(client, name, None) for name in dir(client)]
    said = [repr(thing) + str(thing) for thing in shown]

    refused = join(PinnedEngine(client), PinnedEngine(server))
    server.replace([client.public_key])
    accepted = join(PinnedEngine(client), PinnedEngine(server))
    junk = PinnedEngine(server)
    junk.receive(b"no TLS at all")
    failed = join(PinnedEngine(client), junk)
    for link in (refused, accepted, failed):
        said += [repr(link.client), repr(link.server)]
        for error in (link.client_error, link.server_error):
            if error is not None:
                said += traceback.format_exception(error)
    assert accepted.server_error is None
    assert len([text for text in said if "Error" in text or "Refused" in text]) >= 2

    near, _ = trio.testing.memory_stream_pair()
    said.append(repr(PinnedTLSStream(near, client)))
    for wrong in (CLIENT_SEED[:31], CLIENT_SEED + SERVER_SEED, CLIENT_SEED.hex()):
        with pytest.raises(InvalidKey) as raised:
            ClientCredentials(wrong, server.public_key)
        said += traceback.format_exception(raised.value)
    assert leaks("\n".join(said) + caplog.text) == []
