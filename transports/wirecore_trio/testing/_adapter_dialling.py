"""An adapter's tests of dialling and closing, and of what it says without a connection."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import trio

from .._errors import ConnectionClosed, NotConnected
from ..engine.adapters import Adapter, AlreadyConnected
from ._adapter_trying import (
    DOWN,
    MOMENT,
    Trying,
    all_down,
    cancelled,
    echo,
    raises,
    stay,
)
from ._peer import ScriptedPeer
from ._server import ScriptedServer


class Dialling(Trying):
    """See AdapterConformance."""

    # --- dial -----------------------------------------------------------------------------------

    def test_dial_gives_the_servers_answer_and_a_connection(self) -> None:
        async def story(adapter: Adapter, url: str, server: ScriptedServer) -> None:
            assert adapter.underlying is None
            assert await adapter.dial(url) is not None
            assert adapter.underlying is not None
            await adapter.close(1000, "")
            assert adapter.underlying is None

        self._run(story, stay)

    def test_a_second_dial_is_refused_and_harms_nothing(self) -> None:
        async def story(adapter: Adapter, url: str, server: ScriptedServer) -> None:
            await adapter.dial(url)
            connection = adapter.underlying
            with raises(AlreadyConnected, "a connection has already been established"):
                await adapter.dial(url)
            assert adapter.underlying is connection
            await adapter.send("still there")
            assert await adapter.receive() == "still there"
            assert len(server.peers) == 1
            await adapter.close(1000, "")

        self._run(story, echo)

    def test_a_dial_beside_a_dial_is_refused(self) -> None:
        async def slow(peer: ScriptedPeer) -> None:
            await peer.read_request()
            await trio.sleep(MOMENT)
            await stay(peer)

        async def story(adapter: Adapter, url: str, server: ScriptedServer) -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(adapter.dial, url)
                await server.peer()
                with raises(AlreadyConnected):
                    await adapter.dial(url)
            assert adapter.underlying is not None
            await adapter.close(1000, "")

        self._run(story, slow)

    def test_of_a_dial_that_was_refused_nothing_is_left(self) -> None:
        async def story(adapter: Adapter, url: str, server: ScriptedServer) -> None:
            with raises(Exception):
                await adapter.dial(url)
            assert adapter.underlying is None
            with raises(NotConnected, f"read {DOWN}"):
                await adapter.receive()
            await adapter.dial(url)
            await adapter.close(1000, "")
            assert len(server.peers) == 2

        self._run(story, lambda peer: peer.reject(403), stay)

    def test_of_a_dial_where_nobody_listens_nothing_is_left(self) -> None:
        async def main() -> None:
            adapter = self.make_adapter()
            async with ScriptedServer(stay).listening() as url:
                pass
            with raises(Exception):
                await adapter.dial(url)
            assert adapter.underlying is None

        self._main(main)

    def test_of_a_dial_that_was_cancelled_nothing_is_left(self) -> None:
        async def never(peer: ScriptedPeer) -> None:
            await peer.read_request()
            try:
                while await peer.stream.receive_some():
                    pass
            except trio.BrokenResourceError:
                pass  # it is gone, either way
            gone.set()

        gone = trio.Event()

        async def story(adapter: Adapter, url: str, server: ScriptedServer) -> None:
            with trio.move_on_after(MOMENT) as scope:
                await adapter.dial(url)
            assert scope.cancelled_caught
            assert adapter.underlying is None
            await gone.wait()
            await adapter.dial(url)
            await adapter.close(1000, "")

        self._run(story, never, stay)

    # --- cancelled before -----------------------------------------------------------------------

    def test_who_is_cancelled_already_is_told_so_first(self) -> None:
        async def story(adapter: Adapter, url: str, server: ScriptedServer) -> None:
            for call in (adapter.receive, adapter.ping, partial(adapter.send, "x")):
                await cancelled(call)
            await cancelled(partial(adapter.dial, url))
            await trio.sleep(MOMENT)
            assert not server.peers
            assert adapter.underlying is None
            await adapter.dial(url)
            await cancelled(partial(adapter.dial, url))
            for call in (adapter.receive, adapter.ping, partial(adapter.send, "x")):
                await cancelled(call)
            await adapter.send("y")
            assert await adapter.receive() == "y"
            await adapter.close(1000, "")

        self._run(story, echo)

    def test_close_alone_tells_first_that_there_is_no_connection(self) -> None:
        async def story(adapter: Adapter, url: str, server: ScriptedServer) -> None:
            with trio.CancelScope() as scope:
                scope.cancel()
                with raises(NotConnected):
                    await adapter.close(1000, "")

        self._run(story, stay)

    # --- without a connection -------------------------------------------------------------------

    def test_without_a_connection_everything_says_so(self) -> None:
        async def story(adapter: Adapter, url: str, server: ScriptedServer) -> None:
            await all_down(adapter)
            await adapter.dial(url)
            await adapter.close(1000, "")
            await all_down(adapter)

        self._run(story, stay)

    # --- close ----------------------------------------------------------------------------------

    def test_close_sends_its_code_and_reason(self) -> None:
        for code, reason in ((1000, ""), (1001, "Going away"), (4000, "Größe")):

            async def script(peer: ScriptedPeer, code: int = code, reason: str = reason) -> None:
                await peer.accept()
                await peer.expect_close(code, reason)

            async def story(
                adapter: Adapter,
                url: str,
                server: ScriptedServer,
                code: int = code,
                reason: str = reason,
            ) -> None:
                await adapter.dial(url)
                await adapter.close(code, reason)
                assert adapter.underlying is None

            self._run(story, script)

    def test_close_ends_who_receives_and_who_pings(self) -> None:
        async def mute(peer: ScriptedPeer) -> None:
            peer.answers_pings = False
            await stay(peer)

        async def story(adapter: Adapter, url: str, server: ScriptedServer) -> None:
            await adapter.dial(url)

            async def ends(call: Callable[[], Awaitable[object]]) -> None:
                with raises((ConnectionClosed, NotConnected)):
                    await call()

            async with trio.open_nursery() as nursery:
                nursery.start_soon(ends, adapter.receive)
                nursery.start_soon(ends, adapter.ping)
                await trio.sleep(MOMENT)
                await adapter.close(1000, "")
            await all_down(adapter)

        self._run(story, mute)

    def test_close_that_is_cancelled_drops_the_connection_at_once(self) -> None:
        async def impolite(peer: ScriptedPeer) -> None:
            peer.answers_close = False
            await peer.accept()
            await peer.wait_ended()
            ended.set()

        ended = trio.Event()

        async def story(adapter: Adapter, url: str, server: ScriptedServer) -> None:
            await adapter.dial(url)
            begun = trio.current_time()
            with trio.move_on_after(MOMENT):
                await adapter.close(1000, "")
            assert trio.current_time() - begun < 1
            assert adapter.underlying is None
            with trio.fail_after(1):
                await ended.wait()
            await adapter.dial(url)
            with trio.move_on_after(MOMENT):
                await adapter.close(1000, "")

        self._run(story, impolite)

    def test_closing_what_is_lost_forgets_it(self) -> None:
        async def lose(peer: ScriptedPeer) -> None:
            await peer.accept()
            await peer.reset()

        async def story(adapter: Adapter, url: str, server: ScriptedServer) -> None:
            await adapter.dial(url)
            await trio.sleep(MOMENT)
            try:
                await adapter.close(1000, "")
            except Exception:  # noqa: BLE001, S110 - whatever the library raises, or nothing
                pass
            assert adapter.underlying is None
            await adapter.dial(url)
            await adapter.close(1000, "")

        self._run(story, lose, stay)
