"""The original as it answers who asks one request at a time, with what was recorded of it."""

from __future__ import annotations

from typing import Final

import trio

from tests.wirecore.protocols.rest.recorded import messages
from wirecore.constants import Opcode
from wirecore_trio.testing import ScriptedPeer

#: The only scenario of two requests at once in which both were answered.
_BOTH: Final = "concurrent/client/fast_then_slow"

#: Seconds that each takes.
_TIMES: Final = {"/simple": 0.05, "/slow": 0.2}

_ID: Final = b"\r\nX-Correlation-Id: "


async def answer_in_turn(peer: ScriptedPeer, *, client: bool) -> bool:
    """Answer two requests, for /simple and /slow; whether each came when its turn had come.

    From the upgrade on. *client*: whether *peer* has dialled.
    """
    metadata, connection_id, ack, _, _, simple, slow = messages(_BOTH)
    for message in (metadata, ack) if client else (connection_id,):
        if not client:
            await peer.receive()
        await peer.send_frame(Opcode.TEXT, message)
        if message is not ack:
            await peer.receive()
    in_turn = True
    for _ in range(2):
        request = await peer.receive()
        assert isinstance(request, str)
        path = request.split()[1].partition("?")[0]
        before = len(peer.record)
        await trio.sleep(_TIMES[path])
        in_turn &= len(peer.record) == before
        answer = simple if path == "/simple" else slow
        own, theirs = _id_of(request.encode()), _id_of(answer)
        await peer.send_frame(Opcode.TEXT, answer.replace(theirs, own))
    return in_turn


def _id_of(message: bytes) -> bytes:
    return message.partition(_ID)[2].partition(b"\r\n")[0]
