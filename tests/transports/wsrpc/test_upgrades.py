"""Upgrade requests as hand-made clients sent them to the original: ours gives the same answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.transports.wsrpc.ping_ends import public
from wirecore_trio import wsrpc
from wirecore_trio.tls import connect_pinned_tls

Opener = Callable[..., Any]
Run = Callable[..., Any]

SERVER, ALICE = (bytes([number]) * 32 for number in (1, 2))

VECTORS = json.loads(
    (Path(__file__).parents[2] / "vectors" / "wsrpc.json").read_text(encoding="utf-8")
)

CASES = VECTORS["raw_client_cases"]

#: Its first frame comes with the request, so that there is no answer at all.
EARLY = "frame_sent_with_upgrade"


def head(text: str) -> tuple[str, dict[str, str]]:
    """The status line's version and code, and the fields that matter to a client."""
    first, *lines = text.rstrip("\r\n").split("\r\n")
    fields = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    kept = ("connection", "upgrade", "sec-websocket-accept", "sec-websocket-extensions")
    status = " ".join(first.split()[:2])
    if " 101" not in status:
        return status, {}  # the words of a refusal are each server's own
    return status, {name: fields[name] for name in kept if name in fields}


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["name"]))
def test_the_answer_to_an_upgrade_is_the_originals(
    open_world: Opener, run: Run, case: dict[str, Any]
) -> None:
    request = case["upgrade_request"].encode()
    if case["name"] == EARLY:
        request += bytes.fromhex(case["frames"][0]["raw"])

    async def main() -> None:
        async with open_world() as world:
            credentials = wsrpc.ClientCredentials(ALICE, public(SERVER))
            async with await connect_pinned_tls("127.0.0.1", world.port, credentials) as stream:
                await stream.send_all(request)
                answer = b""
                while b"\r\n\r\n" not in answer:
                    chunk = await stream.receive_some(65536)
                    if not chunk:
                        break
                    answer += chunk
            if case["name"] == EARLY:
                assert answer == b""
                return
            ours = head(answer.partition(b"\r\n\r\n")[0].decode())
            assert ours == head(case["upgrade_response"])

    run(main)


def test_the_clients_request_is_the_originals() -> None:
    """But for the product's name, the key, which is random, and the order of fields."""
    from wirecore.websocket import ClientHandshake

    ours = ClientHandshake(host="127.0.0.1:1337", target="/").request().decode()
    theirs = VECTORS["sessions"][0]["connections"][0]["upgrade_request"]

    def fields(text: str) -> tuple[str, set[str]]:
        first, *lines = text.rstrip("\r\n").split("\r\n")
        dull = ("host", "user-agent", "sec-websocket-key")
        names = {line.partition(":")[0].lower(): line.partition(": ")[2] for line in lines}
        return first, {
            f"{name}: {value.lower()}" for name, value in names.items() if name not in dull
        }

    assert fields(ours) == fields(theirs)
