"""Closes and frames: what ours does otherwise than the original's WebSocket libraries.

docs/engine-differences.md names these tests, as those of ``test_beside``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio

from tests.transports.engine.test_engine import wait
from wirecore.constants import Opcode
from wirecore_trio import engine, testing
from wirecore_trio.engine import ConnectionClosed, Session
from wirecore_trio.testing import ScriptedPeer


async def _go_and_come_back(peer: ScriptedPeer) -> None:
    await peer.accept()
    await peer.half_close()
    await peer.wait_ended()


async def _stay(peer: ScriptedPeer) -> None:
    await peer.accept()
    await peer.wait_ended()


def test_nothing_is_sent_where_the_peer_has_gone() -> None:
    async def story() -> None:
        found: list[str] = []

        async def send(session: Session) -> None:
            if not session.restarting:
                await trio.sleep(1)
                with pytest.raises(ConnectionClosed):
                    await session.send("too late")
                found.append("refused")

        callbacks = engine.Callbacks()
        callbacks.on_open(send)
        async with testing.engine_pair(callbacks, _go_and_come_back, _stay):
            await wait(1)
        assert found == ["refused"]

    testing.run(story)


# --- what this end sends --------------------------------------------------------------------------


async def _stopped(code: int, reason: str) -> tuple[int, str]:
    """What the server is told where on_close chooses *code* and *reason*."""
    found: list[tuple[int, str]] = []

    async def serve(peer: ScriptedPeer) -> None:
        await peer.accept()
        frame = await peer.expect_close()
        found.append((int.from_bytes(frame.payload[:2], "big"), frame.payload[2:].decode()))
        await peer.wait_ended()

    callbacks = engine.Callbacks()
    callbacks.on_close(lambda session, details: engine.CloseMessage(code, reason))
    async with testing.engine_pair(callbacks, serve) as client:
        await client.stop()
    return found[0]


@pytest.mark.parametrize("code", [1012, 1014, 3000, 4999])
def test_any_code_that_may_be_sent_is_sent(code: int) -> None:
    async def story() -> None:
        assert await _stopped(code, "bye") == (code, "bye")

    testing.run(story)


@pytest.mark.parametrize(
    ("code", "reason"), [(1005, ""), (1006, ""), (999, ""), (5000, ""), (4000, "x" * 124)]
)
def test_what_no_close_frame_holds_is_refused_and_1001_is_sent(
    caplog: pytest.LogCaptureFixture, code: int, reason: str
) -> None:
    async def story() -> None:
        assert await _stopped(code, reason) == (1001, "Going away")

    testing.run(story)
    assert "on_close failed; the engine goes on" in caplog.text


def test_a_close_that_is_not_answered_has_not_failed() -> None:
    async def mute(peer: ScriptedPeer) -> None:
        peer.answers_close = False
        await _stay(peer)

    async def story() -> None:
        errors: list[Exception] = []
        callbacks = engine.Callbacks()
        callbacks.on_close_error(errors.append)
        async with testing.engine_pair(callbacks, mute) as client:
            begun = trio.current_time()
            await client.stop()
            assert trio.current_time() - begun == pytest.approx(5)
        assert not errors

    testing.run(story)


# --- what the server sends ------------------------------------------------------------------------


async def _told(serve: testing.Script) -> str:
    """How a connection was closed, to on_close."""
    found: list[str] = []
    handler = engine.Callbacks()
    handler.on_close(lambda session, details: found.append(str(details and int(details.code))))
    handler.on_message(lambda session, message: found.append(f"message {message!r}"))
    async with testing.engine_pair(handler, serve, _stay):
        await wait(1)
    return found[0]


@pytest.mark.parametrize("code", [1012, 1013, 1014, 3000])
def test_any_code_that_may_be_sent_is_received(code: int) -> None:
    async def serve(peer: ScriptedPeer) -> None:
        await peer.accept()
        await peer.close(code, "bye")

    async def story() -> None:
        assert await _told(serve) == str(code)

    testing.run(story)


@pytest.mark.parametrize(
    ("send", "code"),
    [
        pytest.param(lambda peer: peer.send_frame(Opcode.TEXT, b"\xc3("), 1007, id="no UTF-8"),
        pytest.param(lambda peer: peer.send_raw(b"\x81\x7e\x00\x01a"), 1002, id="long length"),
        pytest.param(lambda peer: peer.send_frame(Opcode.TEXT, b"a", masked=True), 1002, id="mask"),
    ],
)
def test_rules_are_kept_that_the_others_let_pass(
    send: Callable[[ScriptedPeer], Any], code: int
) -> None:
    async def serve(peer: ScriptedPeer) -> None:
        await peer.accept()
        await send(peer)
        await peer.wait_ended()

    async def story() -> None:
        assert await _told(serve) == str(code)

    testing.run(story)
