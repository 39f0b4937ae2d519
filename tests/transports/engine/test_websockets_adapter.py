"""The engine over websockets: in memory like over our own, and by the peer's close frame."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from wirecore.errors import InvalidOption
from wirecore_trio.engine import CloseDetails, ConnectionClosed, Handler, Options, Session
from wirecore_trio.testing import Network, ScriptedPeer, engine_pair
from wirecore_trio.testing import run as run_story

pytest.importorskip("websockets.trio")

from websockets.trio.client import ClientConnection

from wirecore_trio.engine.adapters import WebsocketsAdapter


class Noting(Handler):
    """Writes down how connections ended, and when."""

    def __init__(self) -> None:
        self.got: list[object] = []

    async def on_message(self, session: Session, message: object) -> None:
        self.got.append(message)

    async def on_close(self, session: Session, details: CloseDetails | None) -> None:
        self.got.append((details and (details.code, details.reason), trio.current_time()))


def test_a_network_in_memory_is_dialled_and_a_close_frame_is_acted_on_at_once() -> None:
    async def leave(peer: ScriptedPeer) -> None:
        await peer.accept()
        await peer.send("hello")
        await trio.sleep(1)
        await peer.close(4000, "enough", wait=False)  # and the stream stays open
        await peer.wait_ended()

    async def story() -> None:
        handler = Noting()
        options = Options(auto_reconnect=False)
        pair = engine_pair(handler, leave, options=options, adapter=WebsocketsAdapter())
        async with pair as client:
            await client.wait_ended()
        assert handler.got == ["hello", ((4000, "enough"), 1)]
        assert len(pair.network.connections) == 1

    run_story(story)


def test_a_close_frame_is_acted_on_though_its_answer_cant_leave(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def deaf(peer: ScriptedPeer) -> None:
        await peer.accept()
        peer.stop_reading()
        await peer.send("hello")
        await peer.close(4000, "enough", wait=False)
        await trio.sleep(10)

    async def send(adapter: WebsocketsAdapter) -> None:
        with pytest.raises(ConnectionClosed) as caught:
            await adapter.send(b"x" * 1_000_000)  # more than the network holds
        assert caught.value.code == 4000

    async def story() -> None:
        network.scripted("ws://feed.example.com/", deaf)
        adapter = WebsocketsAdapter()
        async with trio.open_nursery() as nursery:
            await adapter.dial("ws://feed.example.com/")
            nursery.start_soon(send, adapter)
            assert await adapter.receive() == "hello"
            with pytest.raises(ConnectionClosed) as caught:
                await adapter.receive()
            assert caught.value.code == 4000
            assert trio.current_time() <= 1

    network = Network()
    run_story(story, network=network)
    assert not caplog.records  # the library has not taken it for a bug


def test_where_nobody_listens_it_is_refused_in_memory_too() -> None:
    async def story() -> None:
        adapter = WebsocketsAdapter()
        with pytest.raises(ConnectionRefusedError, match="nobody listens there in this network"):
            await adapter.dial("ws://elsewhere.example.com/")
        assert adapter.underlying is None

    run_story(story, network=Network())


@pytest.mark.parametrize(
    ("keywords", "place"),
    [
        ({"proxy": "http://proxy.example.com:3128"}, "ws://feed.example.com/"),
        ({"host": "other.example.com", "port": 81}, "ws://other.example.com:81/"),
    ],
    ids=["a proxy is passed by", "another host and port"],
)
def test_where_it_dials_in_memory(keywords: dict[str, Any], place: str) -> None:
    async def greet(peer: ScriptedPeer) -> None:
        await peer.accept()
        await peer.send("hello")
        await peer.wait_ended()

    async def story() -> None:
        network.scripted(place, greet)
        adapter = WebsocketsAdapter(**keywords)
        await adapter.dial("ws://feed.example.com/")
        assert await adapter.receive() == "hello"
        await adapter.close(1000, "")

    network = Network()
    run_story(story, network=network)


def test_a_class_of_connections_of_ones_own() -> None:
    class Counting(ClientConnection):
        events = 0

        def process_event(self, event: Any) -> None:
            Counting.events += 1
            super().process_event(event)

    async def stay(peer: ScriptedPeer) -> None:
        await peer.accept()
        await peer.wait_ended()

    async def story() -> None:
        network.scripted("ws://feed.example.com/", stay)
        adapter = WebsocketsAdapter(create_connection=Counting)
        await adapter.dial("ws://feed.example.com/")
        assert isinstance(adapter.underlying, Counting)
        await adapter.close(1000, "")

    network = Network()
    run_story(story, network=network)
    assert Counting.events


@pytest.mark.parametrize("wrong", [5, print, object])
def test_what_is_no_class_of_connections(wrong: Any) -> None:
    with pytest.raises(InvalidOption, match="create_connection must be a class that derives from"):
        WebsocketsAdapter(create_connection=wrong)
