"""An adapter's tests of pings and messages, and of how a connection ends meanwhile."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from wirecore.constants import Opcode

from .._errors import ConnectionClosed, NotConnected
from ..engine.adapters import Adapter
from ._adapter_trying import (
    MOMENT,
    SIZES,
    Trying,
    closure,
    echo,
    free_again,
    raises,
    stay,
)
from ._peer import ScriptedPeer
from ._server import Script, ScriptedServer


class Messages(Trying):
    """See AdapterConformance."""

    # --- ping -----------------------------------------------------------------------------------

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

    def test_every_ping_ends_with_the_connection(self) -> None:
        async def leave(peer: ScriptedPeer) -> None:
            peer.answers_pings = False
            await peer.accept()
            for _ in range(3):
                await peer.expect_ping()
            await peer.cut()

        async def story(adapter: Adapter, url: str, server: ScriptedServer) -> None:
            await adapter.dial(url)

            async def ping() -> None:
                with raises(ConnectionClosed) as caught:
                    await adapter.ping()
                assert caught.error.code == 1006

            async with trio.open_nursery() as nursery:
                for _ in range(3):
                    nursery.start_soon(ping)

        self._run(story, leave)

    # --- receive --------------------------------------------------------------------------------

    def test_messages_come_whole_in_order_and_of_their_type(self) -> None:
        messages: list[str | bytes] = [
            "",
            b"",
            "äöü €",
            b"\x00\xff",
            *(b"x" * size for size in SIZES),
        ]

        async def script(peer: ScriptedPeer) -> None:
            await peer.accept()
            for message in messages:
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
            for message in [*messages, "first, last", b"around a ping"]:
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

    def test_a_closure_has_the_code_and_the_reason_that_came(self) -> None:
        for code, reason in (
            (1000, ""),
            (1000, "done"),
            (1001, "Going away"),
            (1011, "failed"),
            (3000, "registered"),
            (4000, "private"),
            (None, ""),
        ):

            async def script(
                peer: ScriptedPeer, code: int | None = code, reason: str = reason
            ) -> None:
                await peer.accept()
                await peer.send("last words")
                await peer.close(code, reason)

            async def story(
                adapter: Adapter,
                url: str,
                server: ScriptedServer,
                code: int | None = code,
                reason: str = reason,
            ) -> None:
                await adapter.dial(url)
                assert await adapter.receive() == "last words"
                closed = await closure(adapter)
                assert (closed.code, closed.reason) == (1005 if code is None else code, reason)
                await free_again(adapter, url)
                await server.peers[0].wait_ended()
                answers = [each for each in server.peers[0].record if not each.sent]
                assert answers[0].kind == "close", "a close frame is answered"

            self._run(story, script, stay)

    def test_a_lost_connection_is_a_closure_with_1006(self) -> None:
        async def after(peer: ScriptedPeer, lose: Callable[[], Awaitable[object]]) -> None:
            await peer.accept()
            await trio.sleep(MOMENT)
            await lose()

        async def story(adapter: Adapter, url: str, server: ScriptedServer) -> None:
            await adapter.dial(url)
            closed = await closure(adapter)
            assert closed.code == 1006
            assert not closed.clean
            await free_again(adapter, url)

        self._run(story, lambda peer: after(peer, peer.cut), stay)
        self._run(story, lambda peer: after(peer, peer.reset), stay)

        async def amid(peer: ScriptedPeer) -> None:
            await peer.accept()
            await peer.send_raw(b"\x82\x7e\x10")  # the head of a frame, in part

        self._run(story, amid, stay)

    def test_a_broken_rule_is_a_closure_with_1002(self) -> None:
        breaks: list[tuple[str, Script]] = [
            ("a reserved opcode", lambda peer: peer.send_frame(3, b"x")),
            ("a reserved bit", lambda peer: peer.send_frame(Opcode.TEXT, b"x", rsv=4)),
            ("a masked frame", lambda peer: peer.send_frame(Opcode.TEXT, b"x", masked=True)),
            ("a long ping", lambda peer: peer.send_frame(Opcode.PING, b"x" * 126)),
            ("a cut ping", lambda peer: peer.send_frame(Opcode.PING, b"x", fin=False)),
            ("nothing to go on with", lambda peer: peer.send_frame(Opcode.CONTINUATION, b"x")),
        ]
        for what, send in breaks:

            async def script(peer: ScriptedPeer, send: Script = send) -> None:
                await peer.accept()
                await send(peer)
                await peer.expect_close(1002)
                await peer.wait_ended()

            async def story(
                adapter: Adapter, url: str, server: ScriptedServer, what: str = what
            ) -> None:
                await adapter.dial(url)
                closed = await closure(adapter)
                assert closed.code == 1002, what
                await free_again(adapter, url)

            self._run(story, script, stay)

    def test_text_that_is_none_is_a_closure_with_1007(self) -> None:
        async def script(peer: ScriptedPeer) -> None:
            await peer.accept()
            await peer.send_frame(Opcode.TEXT, b"\xff\xfe")
            await peer.expect_close(1007)
            await peer.wait_ended()

        async def story(adapter: Adapter, url: str, server: ScriptedServer) -> None:
            await adapter.dial(url)
            assert (await closure(adapter)).code == 1007
            await free_again(adapter, url)

        self._run(story, script, stay)

    def test_a_message_that_is_too_big_is_a_closure_with_1009(self) -> None:
        if self.make_limited_adapter(1000) is None:
            import pytest

            pytest.skip("make_limited_adapter makes none")

        async def script(peer: ScriptedPeer) -> None:
            await peer.accept()
            await peer.send(b"x" * 1000)
            await peer.send(b"x" * 1001)
            await peer.expect_close(1009)
            await peer.wait_ended()

        async def story(adapter: Adapter, url: str, server: ScriptedServer) -> None:
            await adapter.dial(url)
            assert await adapter.receive() == b"x" * 1000
            assert (await closure(adapter)).code == 1009
            await free_again(adapter, url)

        self._run(story, script, stay, limit=1000)

    # --- send -----------------------------------------------------------------------------------

    def test_messages_go_whole_in_order_and_of_their_type(self) -> None:
        messages: list[str | bytes] = [
            "",
            b"",
            "äöü €",
            b"\x00\xff",
            *(b"x" * size for size in SIZES),
        ]

        async def script(peer: ScriptedPeer) -> None:
            await peer.accept()
            for message in messages:
                await peer.expect(message)
            await peer.close(1000)

        async def story(adapter: Adapter, url: str, server: ScriptedServer) -> None:
            await adapter.dial(url)
            for message in messages:
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

    def test_sending_over_what_has_ended_says_so(self) -> None:
        async def script(peer: ScriptedPeer) -> None:
            await peer.accept()
            await peer.close(4001, "enough")

        async def story(adapter: Adapter, url: str, server: ScriptedServer) -> None:
            await adapter.dial(url)
            with raises((ConnectionClosed, NotConnected)):
                while True:
                    await adapter.send("into the void")
                    await trio.sleep(0.001)
            # Whether it was told by then is the library's matter: the closure is still to be had.
            if adapter.underlying is not None:
                assert (await closure(adapter)).code == 4001
            await free_again(adapter, url)

        self._run(story, script, stay)
