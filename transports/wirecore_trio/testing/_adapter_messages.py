"""An adapter's tests of pings and messages."""

from __future__ import annotations

from typing import Final

import trio

from wirecore.constants import Opcode

from ..engine.adapters import Adapter
from ._adapter_trying import MOMENT, SIZES, Trying, closure, echo
from ._peer import ScriptedPeer
from ._server import ScriptedServer

#: Empty ones, of both types, and of each size.
MESSAGES: Final[tuple[str | bytes, ...]] = (
    "",
    b"",
    "äöü €",
    b"\x00\xff",
    *(b"x" * size for size in SIZES),
)


class Messages(Trying):
    """See AdapterConformance."""

    # --- ping -------------------------------------------------------------------------------------

    def test_a_ping_waits_for_its_pong_though_nobody_receives(self) -> None:
        async def late(peer: ScriptedPeer) -> None:
            peer.answers_pings = False
            await peer.accept()
            payload = await peer.expect_ping()
            await peer.pong(b"another one's")
            await trio.sleep(MOMENT)
            answered.append(trio.current_time())
            await peer.pong(payload)
            await peer.wait_ended()

        answered: list[float] = []

        async def story(adapter: Adapter, url: str, server: ScriptedServer) -> None:
            await adapter.dial(url)
            await adapter.ping()
            assert answered, "it returned before its pong was sent"
            assert trio.current_time() >= answered[0]
            await adapter.close(1000, "")

        self._run(story, late)

    def test_several_may_ping_beside_who_receives(self) -> None:
        async def story(adapter: Adapter, url: str, server: ScriptedServer) -> None:
            await adapter.dial(url)
            async with trio.open_nursery() as nursery:
                for _ in range(12):
                    nursery.start_soon(adapter.ping)
                await adapter.send("between")
                assert await adapter.receive() == "between"
            await adapter.close(1000, "")

        self._run(story, echo)

    # --- receive ----------------------------------------------------------------------------------

    def test_messages_come_whole_in_order_and_of_their_type(self) -> None:
        async def script(peer: ScriptedPeer) -> None:
            await peer.accept()
            for message in MESSAGES:
                await peer.send(message)
            await peer.send_fragments("first, ", "", "last")
            await peer.send_frame(Opcode.BINARY, b"around ", fin=False)
            await peer.ping(b"amid")
            await peer.pong(b"unasked")
            await peer.send_frame(Opcode.CONTINUATION, b"a ping")
            await peer.expect_pong(b"amid")
            await peer.wait_ended()

        async def story(adapter: Adapter, url: str, server: ScriptedServer) -> None:
            await adapter.dial(url)
            for message in [*MESSAGES, "first, last", b"around a ping"]:
                found = await adapter.receive()
                assert type(found) is type(message)
                assert found == message
            await adapter.close(1000, "")

        self._run(story, script)

    def test_a_receive_that_is_cancelled_loses_nothing(self) -> None:
        async def script(peer: ScriptedPeer) -> None:
            await peer.accept()
            for number in range(10):
                whole = b"%d/" % number * 1000
                for begin in range(0, len(whole), 500):
                    last = begin + 500 >= len(whole)
                    opcode = Opcode.CONTINUATION if begin else Opcode.BINARY
                    await peer.send_frame(opcode, whole[begin : begin + 500], fin=last)
                    await trio.sleep(0.002)
            await peer.wait_ended()

        async def story(adapter: Adapter, url: str, server: ScriptedServer) -> None:
            await adapter.dial(url)
            received: list[object] = []
            cancelled = 0
            while len(received) < 10:
                with trio.move_on_after(0.003) as scope:
                    received.append(await adapter.receive())
                cancelled += scope.cancelled_caught
            assert received == [b"%d/" % number * 1000 for number in range(10)]
            assert cancelled, "no receive was cancelled: this tried nothing"
            await adapter.close(1000, "")

        self._run(story, script)

    # --- send -------------------------------------------------------------------------------------

    def test_messages_go_whole_in_order_and_of_their_type(self) -> None:
        async def script(peer: ScriptedPeer) -> None:
            await peer.accept()
            for message in MESSAGES:
                await peer.expect(message)
            await peer.close(1000)

        async def story(adapter: Adapter, url: str, server: ScriptedServer) -> None:
            await adapter.dial(url)
            for message in MESSAGES:
                await adapter.send(message)
            assert (await closure(adapter)).code == 1000

        self._run(story, script)

    def test_many_may_send_at_once(self) -> None:
        messages = {f"{number}: " + "x" * (number * 3000) for number in range(25)}

        async def script(peer: ScriptedPeer) -> None:
            await peer.accept()
            assert {await peer.receive() for _ in messages} == messages
            await peer.close(1000)

        async def story(adapter: Adapter, url: str, server: ScriptedServer) -> None:
            await adapter.dial(url)
            async with trio.open_nursery() as nursery:
                for message in sorted(messages):
                    nursery.start_soon(adapter.send, message)
            assert (await closure(adapter)).code == 1000

        self._run(story, script)
