"""The adapters that come with the engine pass what a user may try one of their own with."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from wirecore_trio import NotConnected
from wirecore_trio.engine.adapters import Adapter, Message, WirecoreAdapter
from wirecore_trio.testing import AdapterConformance
from wirecore_trio.websocket import ConnectionClosed, Limits, Options, WebSocket


class TestWirecore(AdapterConformance):
    def make_adapter(self) -> Adapter:
        return WirecoreAdapter()

    def make_limited_adapter(self, max_message_size: int) -> Adapter:
        return WirecoreAdapter(options=Options(limits=Limits(max_message_size=max_message_size)))


class TestWebsockets(AdapterConformance):
    def make_adapter(self) -> Adapter:
        pytest.importorskip("websockets.trio")
        from wirecore_trio.engine.adapters import WebsocketsAdapter

        return WebsocketsAdapter()

    def make_limited_adapter(self, max_message_size: int) -> Adapter:
        pytest.importorskip("websockets.trio")
        from wirecore_trio.engine.adapters import WebsocketsAdapter

        return WebsocketsAdapter(max_size=max_message_size)


# --- an adapter that does it wrong is found out ---------------------------------------------------


class Forgetful(WirecoreAdapter):
    """Loses what a cancelled receive had."""

    async def receive(self) -> Message:
        try:
            return await super().receive()
        except trio.Cancelled:
            if self._connection is not None:
                self._connection.abort()
            raise


class Late(WirecoreAdapter):
    """Looks at its connection before it looks whether it is cancelled."""

    async def send(self, message: Message) -> None:
        if self._connection is None:
            raise NotConnected("write failed because no connection is already up")
        await super().send(message)


class Clinging(WirecoreAdapter):
    """Keeps a connection that has ended."""

    def _forget(self, connection: WebSocket) -> None: ...


class Numb(WirecoreAdapter):
    """Has one code for all closures."""

    async def receive(self) -> Message:
        try:
            return await super().receive()
        except ConnectionClosed as error:
            raise ConnectionClosed(1006, error.reason, clean=False) from error


class Hasty(WirecoreAdapter):
    """Waits for no pong."""

    async def ping(self) -> float:
        await self._up("ping")
        return 0.0


class Greedy(WirecoreAdapter):
    """Dials while there is a connection, and drops that."""

    async def dial(self, url: str) -> Any:
        await trio.lowlevel.checkpoint_if_cancelled()
        connection, answer = await self._dial(url)
        if self._connection is not None:
            self._connection.abort()
        self._connection = connection
        return answer


class Leaking(WirecoreAdapter):
    """Waits for the peer's close frame, though it is cancelled."""

    async def close(self, code: int, reason: str) -> None:
        with trio.CancelScope(shield=True):
            await super().close(code, reason)


class Patient(WirecoreAdapter):
    """Waits for the end of the stream, behind a close frame."""

    async def _dial(self, url: str) -> tuple[WebSocket, Any]:
        connection, answer = await super()._dial(url)
        connection._connection.await_eof = True
        return connection, answer


class Deaf(WirecoreAdapter):
    """Waits for the peer's close frame, and reads nothing of what is before it."""

    async def close(self, code: int, reason: str) -> None:
        connection = self._take("close")
        connection._start_close(code, reason)
        try:
            await trio.sleep(3)
        finally:
            connection.abort()


@pytest.mark.parametrize(
    ("wrong", "test"),
    [
        (Forgetful, "test_a_receive_that_is_cancelled_loses_nothing"),
        (Late, "test_who_is_cancelled_already_is_told_so_first"),
        (Clinging, "test_a_lost_connection_is_a_closure_with_1006"),
        (Clinging, "test_a_closure_has_the_code_and_the_reason_that_came"),
        (Numb, "test_a_closure_has_the_code_and_the_reason_that_came"),
        (Numb, "test_a_broken_rule_is_a_closure_with_1002"),
        (Hasty, "test_a_ping_waits_for_its_pong_though_nobody_receives"),
        (Hasty, "test_every_ping_ends_with_the_connection"),
        (Greedy, "test_a_second_dial_is_refused_and_harms_nothing"),
        (Greedy, "test_a_dial_beside_a_dial_is_refused"),
        (Leaking, "test_close_that_is_cancelled_drops_the_connection_at_once"),
        (Patient, "test_a_close_frame_is_a_closure_though_the_stream_stays_open"),
        (Patient, "test_a_close_frame_ends_a_ping_though_the_stream_stays_open"),
        (Deaf, "test_a_close_with_many_messages_unread_waits_for_none"),
    ],
)
def test_what_is_wrong_is_found(wrong: type[WirecoreAdapter], test: str) -> None:
    class Tried(AdapterConformance):
        patience = 2.0

        def make_adapter(self) -> Adapter:
            return wrong()

    with pytest.raises((AssertionError, trio.TooSlowError, NotConnected, ConnectionClosed)):
        getattr(Tried(), test)()
