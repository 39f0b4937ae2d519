"""An adapter's tests of how a connection ends: by the peer's doing, by a fault, or by its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from wirecore.constants import Opcode

from .._errors import ConnectionClosed, NotConnected
from ..engine.adapters import Adapter
from ._adapter_trying import AT_ONCE, MOMENT, Trying, closure, free_again, raises, stay
from ._peer import ScriptedPeer
from ._server import Script, ScriptedServer


class Closures(Trying):
    """See AdapterConformance."""

    # --- the peer's -------------------------------------------------------------------------------

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

    def test_a_close_frame_is_a_closure_though_the_stream_stays_open(self) -> None:
        async def script(peer: ScriptedPeer) -> None:
            await peer.accept()
            await peer.send("last words")
            await peer.close(4000, "enough", wait=False)
            await peer.wait_ended()

        async def story(adapter: Adapter, url: str, server: ScriptedServer) -> None:
            await adapter.dial(url)
            assert await adapter.receive() == "last words"
            begun = trio.current_time()
            closed = await closure(adapter)
            assert (closed.code, closed.reason) == (4000, "enough")
            assert trio.current_time() - begun < AT_ONCE, "it waited for the end of the stream"
            await free_again(adapter, url)
            await server.peers[0].wait_ended()

        self._run(story, script, stay)

    def test_a_close_frame_ends_a_ping_though_the_stream_stays_open(self) -> None:
        async def script(peer: ScriptedPeer) -> None:
            peer.answers_pings = False
            await peer.accept()
            await peer.expect_ping()
            await peer.close(4000, "enough", wait=False)
            await peer.wait_ended()

        async def story(adapter: Adapter, url: str, server: ScriptedServer) -> None:
            await adapter.dial(url)
            begun = trio.current_time()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(closure, adapter)
                with raises((ConnectionClosed, NotConnected)):
                    await adapter.ping()
            assert trio.current_time() - begun < AT_ONCE, "it waited for the end of the stream"

        self._run(story, script)

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

    # --- what a peer does wrong -------------------------------------------------------------------

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

    # --- its own --------------------------------------------------------------------------------

    def test_a_close_with_many_messages_unread_waits_for_none(self) -> None:
        self._close_unread(1000, 100)
        self._close_unread(300, 65_536)  # more than the buffers of TCP hold

    def _close_unread(self, count: int, size: int) -> None:
        closes: list[str] = []

        async def answer(peer: ScriptedPeer) -> None:
            closes.append((await peer.expect_close()).close_reason)
            await peer.close(1000, wait=False)
            await peer.cut()

        async def script(peer: ScriptedPeer) -> None:
            peer.answers_close = False
            await peer.accept()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(answer, peer)
                for _ in range(count):
                    await peer.send(b"x" * size)

        async def story(adapter: Adapter, url: str, server: ScriptedServer) -> None:
            await adapter.dial(url)
            await trio.sleep(MOMENT)
            begun = trio.current_time()
            await adapter.close(1000, "bye")
            assert trio.current_time() - begun < AT_ONCE, "it waited for who receives"
            assert adapter.underlying is None
            await server.peers[0].wait_ended()

        self._run(story, script)
        assert closes == ["bye"]
