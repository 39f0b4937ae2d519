"""REST over WebSocket under damaged and random messages, and under random turns of two ends."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.conftest import Mutated
from tests.wirecore.protocols.rest.recorded import messages, named
from tests.wirecore.protocols.rest.wires import GET, OK, POST, End, Wires
from wirecore.errors import (
    ConnectionLost,
    InvalidMessage,
    InvalidOption,
    LimitExceeded,
    RemoteError,
)
from wirecore.events import RawText
from wirecore.protocols.rest import frames
from wirecore.protocols.rest.gohttp import request_bytes
from wirecore.protocols.rest.handshake import read_ack, read_connection_id, read_metadata
from wirecore.protocols.rest.happenings import DATA, END, REQUEST, RESPONSE, Stream
from wirecore.protocols.rest.heads import check_request, check_response
from wirecore.protocols.rest.sequential_calling import SequentialCalling
from wirecore.protocols.rest.sequential_serving import SequentialServing, read_request

FUZZ = settings.get_profile("wirecore-fuzz")

#: What a damaged message is made from: all that was recorded, but for what is very long.
RECORDED = sorted(
    {
        message
        for name in (*named("call/"), *named("raw"), *named("handshake/"))
        for message in messages(name)
        if len(message) < 4000
    }
)
FRAMES = [
    frames.encode_request(1, GET, end=True),
    frames.encode_request(3, POST, b"body", end=False),
    frames.encode_response(1, OK, b"body", end=False),
    frames.encode_data(1, b"more", end=True),
    frames.encode_trailers(1, ((b"X-Sum", b"1"),)),
    frames.encode_reset(1, "why"),
    frames.encode_window(1, 70_000),
    frames.encode_control(b'{"leave":true}'),
]
SIZES = st.integers(0, 100_000)


@FUZZ
@given(data=st.data())
def test_damaged_messages_of_the_original(mutated: Mutated, data: st.DataObject) -> None:
    """Nothing is raised but what says that a message is none; what is taken can be sent on."""
    damaged = mutated(st.sampled_from(RECORDED)) | st.binary(max_size=200)
    came = [RawText(each) for each in data.draw(st.lists(damaged, max_size=5), "messages")]
    sent: list[bytes] = []
    serving = SequentialServing(sent.append, make_date=lambda: b"today")
    now = 0.0
    for kind, stream, _ in serving.receive(came, now):
        if kind == REQUEST:
            assert stream is not None
            check_request(stream.request)
            assert read_request(request_bytes(stream.request, b"", (), known=True), 1 << 16)
            serving.respond(stream, OK, b"fine", end=True, now=now)
    while serving.next_deadline() <= now + 100:
        now = serving.next_deadline()
        serving.expire(now)
    assert all(sent)
    calling = SequentialCalling(sent.append, serving_peer="server", make_id=lambda: "1")
    calling.request(GET, b"", end=True, now=0.0)
    for kind, _, value in calling.receive(came, 0.0):
        if kind == RESPONSE:
            check_response(value)
    assert calling.problem is None or isinstance(calling.problem, RemoteError)
    for read in read_metadata, read_connection_id, read_ack:
        for message in came:
            try:
                read(message)
            except InvalidMessage:
                pass


@FUZZ
@given(data=st.data())
def test_damaged_frames(mutated: Mutated, data: st.DataObject) -> None:
    """What breaks a rule is the end; what is told before it makes sense."""
    damaged = mutated(st.sampled_from(FRAMES)) | st.sampled_from(FRAMES) | st.binary(max_size=50)
    came = data.draw(st.lists(damaged, max_size=12), "frames")
    wires = Wires(max_streams=4)
    ours = wires.client.request(POST, end=False)
    for end in wires.client, wires.server:
        bodies: dict[Stream, int] = {}
        for kind, stream, value in end.wire.receive(came, 0.0):
            if kind == REQUEST:
                assert stream is not None
                check_request(stream.request)
            elif kind == RESPONSE:
                assert stream is ours
                check_response(value)
            elif kind == DATA:
                assert stream is not None
                bodies[stream] = bodies.get(stream, 0) + len(value)
                assert value
        problem = end.wire.problem
        assert problem is None or isinstance(problem, InvalidMessage | LimitExceeded)
        assert all(size <= 64 * 1024 for size in bodies.values())
        assert len(end.wire.lost()) <= 8


class Play:
    """Two ends that do anything, and the sizes of the bodies that were sent and that came.

    Bodies are known by the number of their stream and who sends them.
    """

    def __init__(self) -> None:
        self.wires = Wires(max_streams=5)
        self.ends = self.wires.client, self.wires.server
        self.live: dict[End, dict[int, Stream]] = {end: {} for end in self.ends}
        self.sent: Counter[tuple[int, End]] = Counter()
        self.came: Counter[tuple[int, End]] = Counter()
        self.whole: set[tuple[int, End]] = set()
        self.answered: set[int] = set()  # whole, so that nobody reads the request any more

    def hear(self) -> None:
        """All that was sent arrives."""
        self.wires.carry()
        for end, peer in (self.ends, self.ends[::-1]):
            for kind, stream, value in end.take():
                if stream is None:
                    continue
                if kind == REQUEST:
                    self.live[end][stream.id] = stream
                elif kind == DATA:
                    self.came[stream.id, peer] += len(value)
                    end.wire.consumed(stream, len(value))
                elif kind == END:
                    self.whole.add((stream.id, peer))

    def ask(self, end: End) -> None:
        """A request begins."""
        if end.wire.free:
            stream = end.request(POST, end=False)
            self.live[end][stream.id] = stream

    def go_on(self, end: End, stream: Stream, turn: str, size: int) -> None:
        """Something happens to an exchange, if it can."""
        is_asked = stream.id % 2 == (end is self.wires.server)
        if turn == "reset":
            end.wire.reset(stream, "enough", 0.0)
        elif is_asked and stream.response is None:
            end.respond(stream, end=False)
        elif not stream.sent_end:
            size = min(size, stream.room)
            end.send(stream, bytes(size), end=turn == "end")
            self.sent[stream.id, end] += size
            if is_asked and turn == "end":
                self.answered.add(stream.id)


@FUZZ
@given(data=st.data())
def test_whatever_two_ends_do_each_body_arrives_whole_or_is_given_up(data: st.DataObject) -> None:
    """Requests, pieces, ends and resets in any order, carried at any time."""
    play = Play()
    for _ in range(data.draw(st.integers(1, 25), "turns")):
        end = data.draw(st.sampled_from(play.ends))
        turn = data.draw(st.sampled_from(["ask", "send", "end", "reset", "hear"]))
        streams = [stream for stream in play.live[end].values() if not stream.over]
        if turn == "ask":
            play.ask(end)
        elif turn == "hear":
            play.hear()
        elif streams:
            play.go_on(end, data.draw(st.sampled_from(streams)), turn, data.draw(SIZES))
    play.hear()
    assert play.wires.client.wire.problem is None
    assert play.wires.server.wire.problem is None
    for body, size in play.sent.items():
        if body in play.whole and body[0] not in play.answered:
            assert play.came[body] == size
        else:
            assert play.came[body] <= size


@FUZZ
@given(
    name=st.binary(max_size=10),
    value=st.binary(max_size=10) | st.sampled_from([b"a\r\nb", b" a", b"a\x00"]),
    target=st.binary(max_size=10),
)
def test_no_head_smuggles_another(name: bytes, value: bytes, target: bytes) -> None:
    """What can be sent at all arrives as it was given: one request, with one field more."""
    head = type(GET)(b"GET", b"/" + target, (*GET.fields, (name, value)))
    try:
        check_request(head)
    except InvalidOption:
        return
    found, body, trailers = read_request(request_bytes(head, b"", (), known=True), 1 << 16)
    assert (found.target, body, trailers) == (head.target, b"", ())
    assert len(found.fields) <= len(head.fields) + 1
    wires = Wires()
    wires.client.request(head)
    [(kind, stream, _), *_] = wires.carry().server.take()
    assert kind == REQUEST
    assert stream is not None
    assert stream.request == head
    assert wires.server.wire.problem is None or not isinstance(
        wires.server.wire.problem, ConnectionLost
    )
