"""Each recorded message of a client, good and bad, as the first one: ours does as the original did.

A connection that the original drops without a word gets a close frame from ours.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from tests.transports.webwire.original_server import OriginalServer, serving
from tests.transports.webwire.raw_client import RawClient
from tests.transports.webwire.recorded import VECTORS, data_of
from wirecore.constants import CloseCode, Opcode
from wirecore.errors import ConnectionClosed, ProtocolError
from wirecore_trio.webwire import MemoryStore, ServerOptions

if TYPE_CHECKING:
    from tests.transports.conftest import Run
    from wirecore._backend import Backend

ENTRIES = VECTORS["malformed"]

PROBE = b"\x7f" + bytes(range(1, 9)) + b"\x04echoalive"
ALIVE = b"\xbf" + bytes(range(1, 9)) + b"alive"

#: Answered 2 by the original, whose files can't have such names. There just is no such session.
ODD_KEYS = {
    "restore: key with NUL byte",
    "restore: key of 300 bytes (longer than a file name may be)",
}


def answers_of(entry: dict[str, Any]) -> list[bytes]:
    """The messages that came back, put together where they came in fragments."""
    found: list[bytes] = []
    for frame in entry["server"]["answers"]:
        if frame["opcode"] == "continuation":
            found[-1] += data_of(frame)
        else:
            found.append(data_of(frame))
    if entry["label"] in ODD_KEYS:
        return [b"\x03" + answer[1:] for answer in found]
    return found


def code_of(entry: dict[str, Any]) -> CloseCode:
    """What the close frame of ours says of the message."""
    return CloseCode.TOO_BIG if len(data_of(entry)) > 8192 else CloseCode.PROTOCOL_ERROR


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["label"])
def test_first_message(run_real: Run, backend: Backend, entry: dict[str, Any]) -> None:
    opcode = Opcode.TEXT if entry["opcode"] == "text" else Opcode.BINARY

    async def story() -> None:
        made = OriginalServer(ServerOptions(), MemoryStore(), backend)
        async with (
            serving(made) as port,
            await RawClient.open(port, backend) as bystander,
            await RawClient.open(port, backend) as client,
        ):
            settings = await client.next()
            assert await bystander.next() == settings
            await client.send(client.frame(opcode, data_of(entry)))
            for answer in answers_of(entry):
                assert await client.next() == answer
            if entry["server"]["connection"] == "stays open":
                assert await client.request(PROBE) == ALIVE
                assert made.disconnected == []
            else:
                assert (await client.see_close()).code == code_of(entry)
                await trio.testing.wait_all_tasks_blocked()
                [(connection, reason)] = made.disconnected
                assert not connection.connected
                assert isinstance(reason, ProtocolError | ConnectionClosed)
                assert made.server.connections == [made.connected[0]]
            assert await bystander.request(PROBE) == ALIVE
        assert made.signals == [] or entry["go_parser"] == "accept"

    run_real(story)


def test_what_comes_behind_it_is_not_looked_at(run_real: Run, backend: Backend) -> None:
    """In one go: a signal, what is no message, and another signal."""
    messages = (b"\x3f\x03onex", b"", b"\x3f\x03twox")

    async def story() -> None:
        made = OriginalServer(ServerOptions(), MemoryStore(), backend)
        async with serving(made) as port, await RawClient.open(port, backend) as client:
            await client.next()
            await client.send(*(client.frame(Opcode.BINARY, data) for data in messages))
            assert (await client.see_close()).code == CloseCode.PROTOCOL_ERROR
        assert [name for name, _ in made.signals] == ["one"]

    run_real(story)


def test_all_of_them_are_here() -> None:
    assert len(ENTRIES) == 110
    verdicts = sorted(entry["server"]["connection"] for entry in ENTRIES)
    assert [(verdict, len(list(group))) for verdict, group in groupby(verdicts)] == [
        ("closed without a close frame", 67),
        ("stays open", 43),
    ]
