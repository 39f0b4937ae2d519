"""Each recorded message of a client, good and bad, as the first one: ours does as the original did.

A connection that the original drops without a word gets a close frame from ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.lowlevel
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

#: By what they are, or begin to be.
KINDS: dict[str, list[dict[str, Any]]] = {}
for _entry in ENTRIES:
    KINDS.setdefault(_entry["label"].split()[0].strip(":,"), []).append(_entry)

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


@contextmanager
def told_of(entry: dict[str, Any]) -> Iterator[None]:
    """Whatever fails within tells which message it was."""
    try:
        yield
    except BaseException as error:
        error.add_note(entry["label"])
        raise


async def try_on(port: int, made: OriginalServer, entry: dict[str, Any], backend: Backend) -> None:
    """Send the message on a connection of its own, and see what becomes of that."""
    opcode = Opcode.TEXT if entry["opcode"] == "text" else Opcode.BINARY
    gone = len(made.disconnected)
    async with await RawClient.open(port, backend) as client:
        await client.next()
        await client.send(client.frame(opcode, data_of(entry)))
        for answer in answers_of(entry):
            assert await client.next() == answer
        if entry["server"]["connection"] == "stays open":
            assert await client.request(PROBE) == ALIVE
            assert len(made.disconnected) == gone
        else:
            assert (await client.see_close()).code == code_of(entry)
            await trio.testing.wait_all_tasks_blocked()
            [(connection, reason)] = made.disconnected[gone:]
            assert not connection.connected
            assert isinstance(reason, ProtocolError | ConnectionClosed)
            assert connection not in made.server.connections
    while len(made.disconnected) == gone:
        await trio.lowlevel.checkpoint()
    assert made.signals == [] or entry["go_parser"] == "accept"
    made.signals.clear()


@pytest.mark.parametrize("entries", KINDS.values(), ids=list(KINDS))
def test_first_message(run_real: Run, backend: Backend, entries: list[dict[str, Any]]) -> None:
    async def story() -> None:
        made = OriginalServer(ServerOptions(), MemoryStore(), backend)
        async with serving(made) as port, await RawClient.open(port, backend) as bystander:
            await bystander.next()
            for entry in entries:
                with told_of(entry):
                    await try_on(port, made, entry, backend)
                    assert await bystander.request(PROBE) == ALIVE

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
