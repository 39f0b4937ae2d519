"""Sessions of two originals, recorded between them: ours takes the place of either.

Every frame of the end that it replaces must come out of ours, byte for byte but for the mask, and
what the other end sent must mean the same to it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from wirecore.protocols.wsrpc import Received
from wirecore.session import Limits

if TYPE_CHECKING:
    from tests.wirecore.protocols.wsrpc.conftest import End, MakeEnd
    from wirecore._backend import Backend

VECTORS = json.loads(
    (Path(__file__).parents[3] / "vectors" / "wsrpc.json").read_text(encoding="utf-8")
)

#: What was recorded with read limits other than the defaults.
LIMITED = Limits(max_frame_size=1000, max_message_size=1000)
LIMITS = {("server_read_limit", "server"): LIMITED, ("client_read_limit", "client"): LIMITED}

_HEADS = {126: 2, 127: 8}


class Connection(NamedTuple):
    """One upgraded connection of a recorded session."""

    session: str
    number: int
    frames: list[dict[str, Any]]

    def __str__(self) -> str:
        return f"{self.session}-{self.number}"


CONNECTIONS = [
    Connection(session["name"], number, [f for f in one["frames"] or [] if "event" not in f])
    for session in VECTORS["sessions"]
    for number, one in enumerate(session["connections"])
    if one.get("upgrade_response", "").startswith("HTTP/1.1 101")
]


def split_frames(data: bytes) -> Iterator[tuple[str, str]]:
    """The frames in *data*: the head without mask, and the payload unmasked, as hex."""
    while data:
        length = data[1] & 0x7F
        start = 2 + _HEADS.get(length, 0)
        if length in _HEADS:
            length = int.from_bytes(data[2:start], "big")
        head, mask = data[:start], b""
        if data[1] & 0x80:
            mask = data[start : start + 4]
            start += 4
        payload = data[start : start + length]
        data = data[start + length :]
        if mask:
            payload = bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))
        yield head.hex(), payload.hex()


def without_reason(frame: tuple[str, str]) -> tuple[str, str]:
    """A close frame as if it gave no reason: the words are each side's own."""
    head, payload = frame
    return (f"{head[:2]} close", payload[:4]) if head[:2] == "88" else frame


def is_beat(frame: tuple[str, str]) -> bool:
    return frame[0][:2] in ("89", "8a")


class Stand:
    """Our end in the place of the original that was *role*."""

    def __init__(self, end: End, role: str, ids: list[str]) -> None:
        self.end = end
        self.role = role
        self._ids = ids
        self._calls: dict[str, Any] = {}
        self._message = b""
        #: The bytes that ours has sent.
        self.made = b""
        #: What ours made of the answers: (call id, payload, error text).
        self.answers: list[tuple[str, bytes, str]] = []
        self.requests: list[tuple[str, str, bytes]] = []

    def meet(self, frame: dict[str, Any]) -> None:
        """Take *frame* where it is the other end's; make it where it is ours."""
        now = frame["t_ms"] / 1000
        if frame["from"] == self.role:
            self._make(frame, now)
        else:
            self._note(self.end.session.receive(bytes.fromhex(frame["raw"]), now) or Received())
        self.made += self.end.outgoing()

    def _note(self, received: Received) -> None:
        answers, requests, timed_out = received
        names = {id(call): name for name, call in self._calls.items()}
        self.answers += [(names[id(call)], payload, text) for call, payload, text in answers]
        self.requests += requests
        assert not timed_out

    def _make(self, frame: dict[str, Any], now: float) -> None:
        session = self.end.session
        if frame["opcode"] == "ping":
            session.expire(now)
        elif frame["opcode"] == "close" and not session.stage.finished:
            session.close()  # else it was the answer to the other's, or to what that did wrong
        elif frame["opcode"] in ("binary", "continuation"):
            self._message += bytes.fromhex(frame["hex"])
            if frame["fin"]:
                message, self._message = self._message, b""
                self._send(self.end.backend.envelope.decode_envelope(message), now)

    def _send(self, envelope: Any, now: float) -> None:
        session = self.end.session
        if envelope[0] == self.end.backend.envelope.REQUEST:
            _, method, call_id, payload = envelope
            self._ids.append(call_id)
            self._calls[call_id] = self.end.call(method, payload, now)
            return
        _, call_id, payload, text = envelope
        if text:
            session.reply_error(call_id, text, payload)
        else:
            session.reply(call_id, payload)


@pytest.fixture
def ids(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the calls to come, in place of random ones."""
    coming: list[str] = []
    monkeypatch.setattr(backend.entropy, "uuid4_text", coming.pop)
    return coming


@pytest.mark.parametrize("role", ["client", "server"])
@pytest.mark.parametrize("connection", CONNECTIONS, ids=str)
def test_ours_in_the_place_of_the_original_sends_the_same(
    make_end: MakeEnd, ids: list[str], connection: Connection, role: str
) -> None:
    limits = LIMITS.get((connection.session, role))
    stand = Stand(make_end(client=role == "client", limits=limits), role, ids)
    for frame in connection.frames:
        stand.meet(frame)
    ours = list(map(without_reason, split_frames(stand.made)))
    theirs = [
        without_reason(part)
        for frame in connection.frames
        if frame["from"] == role
        for part in split_frames(bytes.fromhex(frame["raw"]))
    ]
    assert [part for part in ours if not is_beat(part)] == [
        part for part in theirs if not is_beat(part)
    ]
    # Which comes first of a ping and a pong that are due at one time is chance.
    assert sorted(filter(is_beat, ours)) == sorted(filter(is_beat, theirs))
    closes = {frame["from"] for frame in connection.frames if frame["opcode"] == "close"}
    assert stand.end.session.stage.finished == bool(closes)
    if closes:
        code = next(f["close_code"] for f in connection.frames if f["opcode"] == "close")
        assert stand.end.session.closed_error().code in (code, 1006)


@pytest.mark.parametrize(
    ("connection", "role"),
    [
        pytest.param(connection, role, id=f"{connection}-{role}")
        for connection in CONNECTIONS
        for role in ("client", "server")
        if (connection.session, role) not in LIMITS  # what is over the limit means nothing
    ],
)
def test_what_the_original_sent_means_the_same_to_ours(
    make_end: MakeEnd,
    backend: Backend,
    ids: list[str],
    connection: Connection,
    role: str,
) -> None:
    stand = Stand(make_end(client=role == "client"), role, ids)
    message, answers, requests = b"", [], []
    for frame in connection.frames:
        stand.meet(frame)
        if frame["from"] == role or frame["opcode"] not in ("binary", "continuation"):
            continue
        message += bytes.fromhex(frame["hex"])
        if frame["fin"]:
            kind, *members = backend.envelope.decode_envelope(message)
            message = b""
            if kind == backend.envelope.REQUEST:
                requests.append(tuple(members))
            else:
                call_id, payload, text = members
                answers.append((call_id, b"" if text else payload, text))
    assert [(name, b"" if text else data, text) for name, data, text in stand.answers] == answers
    assert stand.requests == requests


def test_every_recorded_session_is_here() -> None:
    """Connections without frames were refused: no session began."""
    upgraded = {connection.session for connection in CONNECTIONS}
    refused = {session["name"] for session in VECTORS["sessions"]} - upgraded
    assert refused == {"second_connection_same_key"}
