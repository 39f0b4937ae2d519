"""What makes no sense is refused where a test gives it, by its name, its value and its bound."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
import trio

from tests.transports.conftest import Run
from wirecore.constants import Opcode
from wirecore.errors import InvalidOption
from wirecore_trio.engine import Callbacks
from wirecore_trio.testing import (
    FaultInjector,
    Frame,
    Network,
    ScriptedPeer,
    ScriptedServer,
    engine_pair,
    pool_pair,
    rest_pair,
    run,
    webwire_pair,
    wsrpc_pair,
)

URL = "ws://server.test/"

#: Arguments that a checker of types would refuse, too.
given: Any = partial


async def stay(peer: ScriptedPeer) -> None:
    await peer.accept()
    await peer.wait_ended()


faults = FaultInjector()
server = ScriptedServer(stay)
peer = given(ScriptedPeer, faults.stream_pair()[0])
a_run = given(run, trio.sleep_forever)

REFUSED: list[tuple[Callable[[], object], type[Exception], str]] = [
    (given(FaultInjector, None), TypeError, "seed must be int, not NoneType"),
    (given(faults.delay, math.nan), InvalidOption, "seconds must be at least 0, not nan"),
    (
        given(faults.delay, math.inf),
        InvalidOption,
        "seconds must be finite, not inf: black_hole() holds what is sent",
    ),
    (given(faults.delay, 1, jitter=-1), InvalidOption, "jitter must be at least 0, not -1"),
    (given(faults.delay, True), TypeError, "seconds must be a number of seconds, not bool"),
    (
        given(faults.limit_rate, math.nan),
        InvalidOption,
        "bytes_per_second must be above 0, not nan",
    ),
    (given(faults.limit_rate, "1"), TypeError, "bytes_per_second must be a number, not str"),
    (given(faults.cut_pieces, 0), InvalidOption, "size must be at least 1, not 0"),
    (given(faults.cut_pieces, 1.5), TypeError, "size must be int, not float"),
    (
        given(faults.duplicate, chance=math.nan),
        InvalidOption,
        "chance must be at least 0, not nan",
    ),
    (given(faults.duplicate, chance=2), InvalidOption, "chance must be at most 1, not 2"),
    (given(faults.duplicate, chance=None), TypeError, "chance must be a number, not NoneType"),
    (given(faults.corrupt, every=0), InvalidOption, "every must be at least 1, not 0"),
    (given(faults.corrupt, times=True), TypeError, "times must be int, not bool"),
    (given(faults.cut, after=-1), InvalidOption, "after must be at least 0, not -1"),
    (given(faults.cut, reset=1), TypeError, "reset must be bool, not int"),
    (given(faults.stream_pair, capacity=0), InvalidOption, "capacity must be at least 1, not 0"),
    (given(faults.connect, capacity="1"), TypeError, "capacity must be int, not str"),
    (given(Network, capacity=0), InvalidOption, "capacity must be at least 1, not 0"),
    (given(Network().listen, "x", -1), InvalidOption, "port must be 0 to 65535, not -1"),
    (given(Network().listen, "x", "80"), TypeError, "port must be int, not str"),
    (given(Network().listen, 5, 80), TypeError, "host must be str or None, not int"),
    (given(server.listening, None), TypeError, "host must be str, not NoneType"),
    (given(server.listening, port=70_000), InvalidOption, "port must be 0 to 65535, not 70000"),
    (given(ScriptedPeer, None), TypeError, "stream must be Stream, not NoneType"),
    (given(peer, client=1), TypeError, "client must be bool, not int"),
    (given(peer, number=0), InvalidOption, "number must be at least 1, not 0"),
    (given(Frame, 16), InvalidOption, "opcode must be 0 to 15, not 16"),
    (given(Frame, None), TypeError, "opcode must be int, not NoneType"),
    (given(Frame, 1, rsv=8), InvalidOption, "rsv must be 0 to 7, not 8"),
    (given(Frame, 1, "text"), TypeError, "payload must be bytes, not str: encode it"),
    (given(Frame, 1, fin=None), TypeError, "fin must be bool, not NoneType"),
    (given(Frame, 1, masked="no"), TypeError, "masked must be bool, not str"),
    (
        given(Frame, 1, length=1 << 64),
        InvalidOption,
        f"length must be 0 to {(1 << 64) - 1}, not {1 << 64}",
    ),
    (given(run, None), TypeError, "story must be an async function, not NoneType"),
    (given(a_run, patience=math.nan), InvalidOption, "patience must be above 0, not nan"),
    (
        given(a_run, patience=None),
        TypeError,
        "patience must be a number of seconds, not NoneType",
    ),
    (given(a_run, seed="x"), TypeError, "seed must be int, not str"),
    (given(a_run, clock=5), TypeError, "clock must be Clock or None, not int"),
    (given(engine_pair, Callbacks()), InvalidOption, "a scripted server needs a script"),
    (given(webwire_pair, None), TypeError, "server must be Server, not NoneType"),
    (given(rest_pair, 5), TypeError, "server must be Server, not int"),
    (given(wsrpc_pair, 5, None), TypeError, "server must be Server, not int"),
    (given(pool_pair, None, None), TypeError, "server must be PoolServer, not NoneType"),
]


@pytest.mark.parametrize(
    ("call", "error", "told"), REFUSED, ids=[told.partition(",")[0] for *_, told in REFUSED]
)
def test_making_one(call: Callable[[], object], error: type[Exception], told: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == told


def test_what_a_peer_is_told_to_do(run: Run) -> None:
    async def story() -> None:
        async with Network() as network:
            scripted = network.scripted(URL, stay)
            async with await network.scripted_client(URL) as each:
                await each.upgrade()
                for call, error, told in (
                    (given(scripted.peer, 0), InvalidOption, "number must be at least 1, not 0"),
                    (given(scripted.peer, "1"), TypeError, "number must be int, not str"),
                    (given(network.dial, "x", "80"), TypeError, "port must be int, not str"),
                    (given(each.send, 5), TypeError, "message must be str or bytes or "),
                    (each.send_fragments, InvalidOption, "a message has one fragment at least"),
                    (given(each.send_fragments, "a", None), TypeError, "message must be str"),
                    (
                        given(each.send_frame, 16),
                        InvalidOption,
                        "opcode must be 0 to 15, not 16",
                    ),
                    (given(each.ping, "x"), TypeError, "payload must be bytes, not str"),
                    (given(each.send_raw, "x"), TypeError, "data must be bytes, not str"),
                    (given(each.close, -1), InvalidOption, "code must be 0 to 65535, not -1"),
                    (given(each.close, 1000, b""), TypeError, "reason must be str, not bytes"),
                    (given(each.close, None, "x"), InvalidOption, "has no reason"),
                    (given(each.expect, 5), TypeError, "message must be str or bytes, not int"),
                    (given(each.expect_pong, "x"), TypeError, "payload must be bytes or None"),
                    (given(each.expect_close, "1000"), TypeError, "code must be int, not str"),
                    (given(each.refuse, 5), TypeError, "error must be OSError or None, not int"),
                    (given(each.accept, key=5), TypeError, "key must be str or None, not int"),
                ):
                    await refused(call, error, told)
                assert each.record == []  # nothing of it was sent
                await each.send_frame(Opcode.CLOSE, b"\x00\x05")  # a wrong one is what it is for

    async def refused(
        call: Callable[[], Awaitable[object]], error: type[Exception], told: str
    ) -> None:
        with pytest.raises(error, match=told):
            await call()

    run(story)
