"""Messages inside of frames: wsrpc's envelopes beside webwire's messages, with pytest-benchmark.

``python -m pytest bench/micro`` runs it; the normal test run doesn't. It is for those who change
these codecs.
"""

from __future__ import annotations

from itertools import count
from typing import Any, cast

import pytest

from wirecore._backend import Backend, BackendName, load
from wirecore.session.calls import Call

#: Messages in one batch, and bytes of each one's payload.
COUNT = 100
PAYLOAD = b"x" * 32


@pytest.fixture(params=["c", "py"])
def backend(request: pytest.FixtureRequest) -> Backend:
    return load(cast(BackendName, request.param))


def uuids() -> Any:
    return map("{:08x}-0000-4000-8000-000000000000".format, count(1)).__next__


def make_table(backend: Backend, make_id: Any) -> Any:
    return backend.calls.CallTable(make_id, max_pending=COUNT)


@pytest.mark.parametrize("protocol", ["wsrpc", "webwire"])
def test_read_requests(benchmark: Any, backend: Backend, protocol: str) -> None:
    benchmark.group = f"read {COUNT} requests"
    work: Any
    if protocol == "wsrpc":
        make = uuids()
        messages = [backend.envelope.encode_request("echo", make(), PAYLOAD) for _ in range(COUNT)]
        table = make_table(backend, uuids())
        work = lambda: backend.envelope.sort_envelopes(messages, table)[1]  # noqa: E731
    else:
        messages = [
            backend.webwire.encode_request(number, "echo", PAYLOAD, 0) for number in range(COUNT)
        ]
        work = lambda: backend.webwire.decode_messages(messages, None)  # noqa: E731
    assert len(work()) == COUNT
    benchmark(work)


@pytest.mark.parametrize("protocol", ["wsrpc", "webwire"])
def test_read_replies(benchmark: Any, backend: Backend, protocol: str) -> None:
    benchmark.group = f"read {COUNT} replies"
    call = Call()

    def begin() -> tuple[tuple[Any, Any], dict[str, Any]]:
        table = make_table(backend, uuids() if protocol == "wsrpc" else count(1).__next__)
        ids = [table.open(call) for _ in range(COUNT)]
        messages: list[bytes] = [
            backend.envelope.encode_response(each, PAYLOAD)
            if protocol == "wsrpc"
            else backend.webwire.encode_reply(each, PAYLOAD, 0)
            for each in ids
        ]
        return (messages, table), {}

    sort = backend.envelope.sort_envelopes
    work = (lambda *a: sort(*a)[0]) if protocol == "wsrpc" else backend.webwire.decode_messages
    (messages, table), _ = begin()
    assert len(work(messages, table)) == COUNT
    benchmark.pedantic(work, setup=begin, rounds=500)


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("protocol", ["wsrpc", "webwire"])
def test_write_replies(benchmark: Any, backend: Backend, protocol: str, masked: bool) -> None:
    benchmark.group = f"write {COUNT} replies, {'masked' if masked else 'unmasked'}"
    outbox = backend.outbox.Outbox()
    options: Any = {"masked": masked, "largest": 1000, "max_queued": 1 << 20}
    if protocol == "wsrpc":
        envelopes = backend.envelope_writer.EnvelopeWriter(
            make_table(backend, uuids()), outbox, **options
        )
        request_id = uuids()()

        def work() -> None:
            for _ in range(COUNT):
                envelopes.response(request_id, PAYLOAD)
            outbox.clear()

    else:
        writer = backend.webwire_writer.MessageWriter(None, outbox, **options)

        def work() -> None:
            for _ in range(COUNT):
                writer.reply(12345, PAYLOAD, 0)
            outbox.clear()

    benchmark(work)
    work()
    assert outbox.queued > COUNT * len(PAYLOAD)


@pytest.mark.parametrize("protocol", ["wsrpc", "webwire"])
def test_write_requests(benchmark: Any, backend: Backend, protocol: str) -> None:
    benchmark.group = f"write {COUNT} requests, masked"
    outbox = backend.outbox.Outbox()
    table = make_table(backend, uuids() if protocol == "wsrpc" else count(1).__next__)
    options: Any = {"masked": True, "largest": 1000, "max_queued": 1 << 20}
    call = Call()
    if protocol == "wsrpc":
        envelopes = backend.envelope_writer.EnvelopeWriter(table, outbox, **options)

        def work() -> None:
            for _ in range(COUNT):
                envelopes.request(call, "echo", PAYLOAD)
            outbox.clear()
            table.clear()

    else:
        writer = backend.webwire_writer.MessageWriter(table, outbox, **options)

        def work() -> None:
            for _ in range(COUNT):
                writer.request(call, "echo", PAYLOAD, 0, 0.0)
            outbox.clear()
            table.clear()

    benchmark(work)
    work()
    assert outbox.queued > COUNT * len(PAYLOAD)
