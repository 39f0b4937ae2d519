"""Our sessions in the place of the original's ends, fed with what the other end really sent.

The bytes are those of tests/vectors/wsrpc.json. Where ours does better on purpose, the
difference is written down here, case by case.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from wirecore.errors import InvalidMessage
from wirecore.events import Close, Failure, Ping, Pong
from wirecore.protocols.wsrpc import Received
from wirecore.protocols.wsrpc.ping import PingRequest

if TYPE_CHECKING:
    from tests.wirecore.protocols.wsrpc.conftest import End, MakeEnd, Pair
    from wirecore._backend import Backend

VECTORS = json.loads(
    (Path(__file__).parents[3] / "vectors" / "wsrpc.json").read_text(encoding="utf-8")
)

#: Decided before a session begins: in the HTTP upgrade. The last one's frame came before the
#: upgrade was answered.
BEFORE_THE_SESSION = {
    "origin_other_host",
    "plain_get",
    "post",
    "version_8",
    "no_key",
    "frame_sent_with_upgrade",
}

#: Answered here with an error, where the original's caller waits for ever.
ANSWERED_WITH_AN_ERROR = {
    "unknown_method": "unknown method",
    "payload_undecodable": "PingRequest: cannot parse invalid wire-format data",
}

#: The original drops a request whose id is no UUID of version 4.
ANSWERED_HERE = {
    "call_id_not_uuid": "42",
    "call_id_uuid_v1": "c232ab00-9414-11ec-b3c8-9f6bdeced846",
}

#: RFC 6455 asks for these codes: section 5.5.1 for a close frame of one byte, which gorilla
#: takes for an empty one, and section 8.1 for text that isn't UTF-8.
OTHER_CLOSE_CODES = {"close_one_byte": 1002, "close_bad_utf8_reason": 1007}

RAW_CASES = [case for case in VECTORS["raw_client_cases"] if case["name"] not in BEFORE_THE_SESSION]


def name_of(case: dict[str, Any]) -> str:
    return str(case["name"])


class PingServer:
    """A server end that answers Ping with the body it got, as the one of the vectors did."""

    def __init__(self, end: End) -> None:
        self.end = end
        #: What it sent, and when.
        self.sent: list[tuple[float, Any]] = []

    def wait_until(self, now: float) -> None:
        """Time passes; what is due on the way happens when it is due."""
        session = self.end.session
        while session.next_deadline() <= now:
            due = session.next_deadline()
            session.expire(due)
            self.note(due)

    def receive(self, data: bytes, now: float) -> None:
        """The client sent *data*."""
        self.wait_until(now)
        received = self.end.session.receive(data, now) or Received()
        for method, call_id, payload in received.requests:
            self.answer(method, call_id, payload)
        self.note(now)

    def answer(self, method: str, call_id: str, payload: bytes) -> None:
        session = self.end.session
        if method != "Ping":
            session.reply_error(call_id, "unknown method")
            return
        try:
            session.reply(call_id, PingRequest.FromString(payload).SerializeToString())
        except InvalidMessage as error:
            session.reply_error(call_id, str(error))

    def note(self, now: float) -> None:
        self.sent += [(now, item) for item in self.end.sent()]


def meaning(backend: Backend, frame: dict[str, Any]) -> Any:
    """A whole frame of the vectors, as :meth:`End.sent` says it."""
    payload = bytes.fromhex(frame["hex"])
    if frame["opcode"] == "ping":
        return Ping(payload)
    if frame["opcode"] == "pong":
        return Pong(payload)
    if frame["opcode"] == "close":
        return Close(frame.get("close_code"), frame.get("close_reason") or "")
    return backend.envelope.decode_envelope(payload)


def original_answers(backend: Backend, case: dict[str, Any]) -> list[tuple[float, Any]]:
    return [
        (frame["t_ms"] / 1000, meaning(backend, frame))
        for frame in case["frames"] or []
        if frame["from"] == "server" and "event" not in frame
    ]


def play(server: PingServer, case: dict[str, Any]) -> None:
    """Let the hand-made client of *case* do what it did."""
    for frame in case["frames"] or []:
        if frame["from"] == "client" and "event" not in frame:
            server.receive(bytes.fromhex(frame["raw"]), frame["t_ms"] / 1000)
    if case["name"] == "over_read_limit":
        server.receive(b"\x82\xff" + (10_000_001).to_bytes(8, "big") + bytes(4), 0.05)
    if case["name"] == "tcp_close_without_close_frame":
        server.end.session.receive_eof(0.05)
    server.wait_until(case["observed_for_ms"] / 1000)


def as_the_original(item: Any) -> Any:
    """*item* without what needn't be the same: the words of a close reason."""
    return Close(item.code, "some reason" if item.reason else "") if type(item) is Close else item


@pytest.mark.parametrize("case", RAW_CASES, ids=name_of)
def test_a_hand_made_client_meets_our_server(
    backend: Backend, make_end: MakeEnd, case: dict[str, Any]
) -> None:
    name = case["name"]
    server = PingServer(make_end(client=False))
    play(server, case)
    expected = [item for _, item in original_answers(backend, case)]
    sent = [item for _, item in server.sent]
    if name in ANSWERED_WITH_AN_ERROR:
        first = sent.pop(0)
        assert first[2:] == (b"", ANSWERED_WITH_AN_ERROR[name])
    elif name in ANSWERED_HERE:
        assert sent.pop(0) == (backend.envelope.RESPONSE, ANSWERED_HERE[name], b"\x0a\x01x", "")
    elif name in OTHER_CLOSE_CODES:
        expected = [Close(OTHER_CLOSE_CODES[name], "some reason")]
    elif name == "over_read_limit":
        expected = [Close(1009, "some reason")]
    assert list(map(as_the_original, sent)) == list(map(as_the_original, expected))
    # The server's last connection left its list where our session is over.
    assert server.end.session.stage.finished == (case["server_connections_at_end"] == 0)


def test_the_original_pings_and_gives_up_when_ours_does(
    backend: Backend, make_end: MakeEnd
) -> None:
    [case] = [case for case in RAW_CASES if case["name"] == "silent_client_25s"]
    server = PingServer(make_end(client=False))
    play(server, case)
    [(theirs, their_ping)] = original_answers(backend, case)
    [(ours, our_ping)] = server.sent
    assert our_ping == their_ping == Ping(b"")
    assert ours == pytest.approx(theirs, abs=0.1)


def test_a_message_of_exactly_the_read_limit_passes(pair: Pair) -> None:
    """The original counts the bytes of the envelope, and takes the limit itself."""
    overhead = len(pair.client.backend.envelope.encode_request("Ping", "i" * 36, bytes(5_000_000)))
    size = 10_000_000 - (overhead - 5_000_000)
    pair.client.call("Ping", bytes(size))
    [(_, _, payload)] = pair.to_server().requests
    assert len(payload) == size
    assert not pair.server.session.stage.finished


def test_nothing_of_a_failure_is_left_for_later(make_end: MakeEnd) -> None:
    server = make_end(client=False)
    server.session.receive(b"\x82\x00", 0.0)
    assert server.session.stage.finished
    [close] = server.sent()
    assert not isinstance(close, Failure)
    assert close.code == 1002
