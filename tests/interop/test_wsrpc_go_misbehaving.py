"""A Go peer that misbehaves: our end drops what it must, gives up in time, and says why."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import trio

from wirecore_trio import wsrpc
from wirecore_trio.wsrpc.ping import PingRequest

if TYPE_CHECKING:
    from tests.interop.conftest import Meeting, Story

Run = Callable[["Story"], None]

both_roles = pytest.mark.parametrize("role", ["client", "server"])

#: Gives a silent peer up soon.
IMPATIENT = wsrpc.Options(ping_interval=0.05, ping_timeout=0.4)


def ping(body: str) -> bytes:
    """An encoded request or reply of Ping."""
    return PingRequest(body=body).SerializeToString()


@both_roles
def test_a_call_that_is_never_answered_ends_at_its_timeout(
    meeting: Meeting, run: Run, role: str
) -> None:
    async def story() -> None:
        options = wsrpc.Options(call_timeout=0.2)
        async with meeting.ours_as(role, "--never-answer", options=options) as (caller, go):
            with pytest.raises(wsrpc.CallTimeout):
                await caller.call("Ping", b"")
            with trio.move_on_after(0.05) as scope:
                await caller.call("Ping", b"")
            assert scope.cancelled_caught
            await go.command("close")
            await go.wait_for("closed", by="here", requests=2, answered=0)

    run(story)


@both_roles
def test_a_late_answer_is_dropped_and_not_taken_for_another_call(
    meeting: Meeting, run: Run, role: str
) -> None:
    async def story() -> None:
        async with meeting.ours_as(role, "--late-answers", "200ms") as (caller, go):
            with trio.move_on_after(0.05) as scope:
                await caller.call("Ping", ping("first"))
            assert scope.cancelled_caught
            # Its answer comes while the second call waits.
            assert await caller.call("Ping", ping("second")) == ping("second")
            await go.command("close")
            await go.wait_for("closed", by="here", requests=2, answered=2)

    run(story)


@both_roles
@pytest.mark.parametrize("flag", ["--duplicate-answers", "--stray-answers"])
def test_answers_that_nobody_waits_for_are_dropped(
    meeting: Meeting, run: Run, role: str, flag: str
) -> None:
    async def story() -> None:
        async with meeting.ours_as(role, flag) as (caller, go):
            await meeting.call_many(caller, 300, 20)
            await go.command("close")
            await go.wait_for("closed", by="here", requests=300, answered=300)

    run(story)


@both_roles
def test_messages_that_are_no_envelopes_are_skipped(meeting: Meeting, run: Run, role: str) -> None:
    async def story() -> None:
        flags = ("--garbage", "envelopes", "--calls", 10)
        async with meeting.ours_as(role, *flags) as (caller, go):
            await meeting.call_many(caller, 10, 1)
            await go.wait_for("calls", ok=10)
            await go.command("close")
            await go.wait_for("closed", by="here", requests=10)

    run(story)


@both_roles
@pytest.mark.parametrize("kind", ["opcode", "mask"])
def test_a_frame_against_the_protocol_closes_with_1002(
    meeting: Meeting, run: Run, role: str, kind: str
) -> None:
    async def story() -> None:
        async with meeting.ours_as(role, "--garbage", kind) as (_, go):
            await go.wait_for("closed", by="peer", code=1002)

    run(story)


@both_roles
def test_a_peer_that_answers_no_pings_is_given_up(meeting: Meeting, run: Run, role: str) -> None:
    async def story() -> None:
        flags = ("--no-pong", "--never-answer")
        async with meeting.ours_as(role, *flags, options=IMPATIENT) as (caller, go):
            with pytest.raises(wsrpc.CallLost) as lost:
                await caller.call("Ping", b"")
            assert lost.value.execution == "maybe_executed"
            ended = await go.wait_for("closed", by="peer")
            assert ended["pings"] >= 5

    run(story)


@both_roles
def test_a_peer_that_stops_reading_is_given_up_and_its_calls_end(
    meeting: Meeting, run: Run, role: str
) -> None:
    async def story() -> None:
        flags = ("--stop-reading", 1)
        async with meeting.ours_as(role, *flags, options=IMPATIENT) as (caller, _):
            assert await caller.call("Ping", ping("read")) == ping("read")
            with pytest.raises(wsrpc.CallLost) as lost:
                await caller.call("Ping", ping("not read"))
            assert lost.value.execution == "maybe_executed"

    run(story)


@both_roles
def test_answers_that_the_peer_does_not_read_cut_it_off(
    meeting: Meeting, run: Run, role: str
) -> None:
    async def story() -> None:
        # It asks for 1 MB again and again, and reads nothing.
        flags = ("--stop-reading", 0, "--calls", 100, "--inflight", 100, "--body-size", 1_000_000)
        options = wsrpc.Options(max_queued_bytes=4_000_000, ping_timeout=None)
        async with meeting.ours_as(role, *flags, options=options) as (caller, _):
            with pytest.raises(wsrpc.CallLost):
                await caller.call("Ping", b"")

    run(story)
