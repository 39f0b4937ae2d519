"""Recorded requests of HTTP, and what becomes of them: ours answers them as the original did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import trio

from tests.transports.webwire.original_server import OriginalServer, options_of, serving
from tests.transports.webwire.raw_client import read_head
from tests.transports.webwire.recorded import SESSIONS, data_of
from wirecore_trio.webwire import MemoryStore

if TYPE_CHECKING:
    from tests.transports.conftest import Run
    from wirecore._backend import Backend

#: Fields that may differ. The original's refusals end with words of HTTP's library of its own, so
#: the length does, too; ours tells a client whose request was no upgrade that TCP ends.
FREE = {"date", "content-length", "connection", "server"}

#: A request with Sec-WebSocket-Version twice, 13 and 12.
TWO_VERSIONS = ("upgrade", 12)

REQUESTS = [
    pytest.param(session, number, id=f"{session} {number}")
    for session in ("upgrade", "js client in Chromium: foreign origin")
    for number in range(len(SESSIONS[session]["connections"]))
]


class Answer(NamedTuple):
    """The head of an answer, and what came behind it."""

    status: int
    fields: dict[str, str]
    rest: bytes

    @classmethod
    def parse(cls, head: str, rest: bytes) -> Answer:
        """An answer of *head*, whose fields come once each."""
        status, *lines = head.rstrip("\r\n").split("\r\n")
        fields = [line.split(": ", 1) for line in lines]
        named = {name.lower(): value for name, value in fields}
        assert len(named) == len(fields)
        return cls(int(status.split()[1]), named, rest)

    def kept(self) -> dict[str, str]:
        """The fields that are the same everywhere; their values are words, but for the key's."""
        return {
            name: value if name == "sec-websocket-accept" else value.lower()
            for name, value in self.fields.items()
            if name not in FREE
        }


async def ask(port: int, request: str) -> Answer:
    """Send *request*; the answer, and its body or the first frame behind it."""
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(request.encode())
        head, rest = await read_head(stream)
        answer = Answer.parse(head.decode(), rest)
        length = int(answer.fields.get("content-length", 13))  # the settings, in a frame
        while len(rest) < length:
            piece = await stream.receive_some()
            assert piece
            rest += piece
        return answer._replace(rest=rest)


def addressed_to(port: int, recorded: dict[str, Any]) -> str:
    """The recorded request, with our port in the place of the original's."""
    request: str = recorded["http"]["request"]
    host = next(line for line in request.split("\r\n") if line.startswith("Host: "))
    return request.replace(host.removeprefix("Host: "), f"127.0.0.1:{port}")


@pytest.mark.parametrize(("session", "number"), REQUESTS)
def test_answers(run_real: Run, backend: Backend, session: str, number: int) -> None:
    recorded = SESSIONS[session]["connections"][number]
    theirs = Answer.parse(recorded["http"]["response"], b"")

    async def story() -> None:
        made = OriginalServer(options_of({}), MemoryStore(), backend)
        async with serving(made) as port:
            ours = await ask(port, addressed_to(port, recorded))
            if (session, number) == TWO_VERSIONS:
                # Two versions are no version: RFC 6455 section 4.1 wants the field once.
                assert ours.status == 400
                assert theirs.status == 101
                return
            assert ours.status == theirs.status
            # RFC 9110 section 15.5.6 wants Allow, which the original leaves out.
            allowed = {"allow": "get"} if ours.status == 405 else {}
            assert ours.kept() == theirs.kept() | allowed
            if ours.status == 101:
                assert ours.rest == b"\x82\x0b" + data_of(recorded["messages"][0])
            elif recorded["http"]["body"] in ("", "nope\n"):
                assert ours.rest.decode() == recorded["http"]["body"]  # a hook's
            else:
                assert ours.rest.endswith(b"\n")  # words for people
            assert len(made.connected) == (ours.status == 101)

    run_real(story)
