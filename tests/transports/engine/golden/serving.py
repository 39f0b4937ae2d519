"""The server of a recording, by script."""

from __future__ import annotations

from functools import partial

import trio

from tests.transports.engine.golden.plan import Attempt
from tests.transports.engine.golden.recorded import UNIT
from wirecore.constants import Opcode
from wirecore_trio.testing import Script, ScriptedPeer


def script_of(attempt: Attempt) -> Script:
    """What the server does with *attempt*."""
    match attempt.kind:
        case "refuse":
            return lambda peer: peer.refuse()
        case "reject":
            return lambda peer: peer.reject(403)
        case "silence":
            return lambda peer: peer.silence()
        case _:
            return partial(_serve, attempt)


async def _serve(attempt: Attempt, peer: ScriptedPeer) -> None:
    peer.answers_close = attempt.answers_close
    await peer.accept()
    begun = trio.current_time()
    for step in attempt.steps:
        await trio.sleep_until(begun + step.after * UNIT)
        payload = bytes.fromhex(step.data)
        if payload.startswith(b"re:"):  # it answers
            await peer.expect(payload.removeprefix(b"re:").decode())
        match step.what:
            case "text" | "binary" | "ping" | "close":
                await peer.send_frame(Opcode[step.what.upper()], payload)
            case "bad":
                await peer.send_frame(Opcode.TEXT, payload, rsv=7)
            case "cut":
                await peer.cut()
            case "reset":
                await peer.reset()
    await peer.wait_ended()
