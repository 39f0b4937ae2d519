"""A client of the feed: it subscribes, comes back when the feed does, and asks for a snapshot.

With ``--trace FILE`` every span of it, the engine's and its own, is written to that file: a line
of JSON each, as OpenTelemetry's SDK makes it. ``picture.py`` draws them.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio

from wirecore.errors import ConnectionLost
from wirecore_trio.engine import (
    CloseDetails,
    CloseMessage,
    Engine,
    Handler,
    Heartbeat,
    Message,
    Options,
    Session,
)

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

SYMBOLS = ("BTC/EUR", "ETH/EUR")

#: Prices of a connection before a snapshot is asked for.
SETTLED = 3

OPTIONS = Options(
    workers=2,
    retry_delay_base=0.4,
    fractional_delays=True,
    heartbeat=Heartbeat(interval=0.5, message=json.dumps({"method": "ping"})),
    idle_timeout=10,
)


class Subscribing:
    """What is said to subscribe to *symbol*, with a new number each time, and its answer."""

    numbers = itertools.count(1)

    def __init__(self, symbol: str) -> None:
        self._symbol = symbol
        self._number = 0

    def message(self) -> Message:
        """The request."""
        self._number = next(self.numbers)
        asked = {"method": "subscribe", "symbol": self._symbol, "req_id": self._number}
        return json.dumps(asked)

    def acknowledges(self, message: Message) -> bool:
        """Whether *message* says that it is granted."""
        answer = json.loads(message)
        return bool(answer.get("req_id") == self._number and answer["success"])


class Feed(Handler):
    """Tells what comes, and when there is enough of it."""

    def __init__(self) -> None:
        self._ticks = 0
        self._changed = trio.Event()

    async def on_open(self, session: Session) -> None:
        self._ticks = 0
        status = json.loads(await session.receive())  # by hand: nobody else reads yet
        again = " again" if session.restarting else ""
        print(f"open{again}: the feed is {status['system']}", flush=True)

    async def on_message(self, session: Session, message: Message) -> None:
        self.take(json.loads(message))

    async def on_close(self, session: Session, details: CloseDetails | None) -> CloseMessage | None:
        if details is None:
            print("closing", flush=True)
            return CloseMessage(1000, "seen enough")
        print(f"the feed has closed: {details.code} {details.reason}", flush=True)
        return None

    async def on_restart_error(
        self, error: Exception, retry_count: int, give_up: Callable[[], None]
    ) -> None:
        print(f"attempt {retry_count} failed, trying again", flush=True)

    def take(self, message: dict[str, Any]) -> None:
        """What the feed has said by itself."""
        if message.get("method") == "subscribe":
            print(f"subscribed to {message['symbol']}, request {message['req_id']}", flush=True)
        elif message.get("channel") == "ticker":
            print(f"{message['symbol']} {message['price']:,.2f}", flush=True)
            self._ticks += 1
            changed, self._changed = self._changed, trio.Event()
            changed.set()

    async def wait_ticks(self, number: int) -> None:
        """Wait until a connection has brought so many prices."""
        while self._ticks < number:
            await self._changed.wait()

    async def wait_new(self) -> None:
        """Wait until another connection has brought its first."""
        while self._ticks >= SETTLED:
            await self._changed.wait()


async def snapshot(engine: Engine, feed: Feed, symbol: str) -> None:
    """Ask for all that is offered of *symbol*.

    The answer doesn't tell what it answers: so nobody else may ask, or read, meanwhile.
    """
    meanwhile = []
    async with engine.pause() as session:
        await session.send(json.dumps({"method": "book", "symbol": symbol}))
        while (message := json.loads(await session.receive())).get("channel") != "book":
            meanwhile.append(message)
        bid, ask = message["bids"][0][0], message["asks"][0][0]
        print(f"snapshot of {symbol}: bid {bid:,.2f}, ask {ask:,.2f}", flush=True)
        for each in meanwhile:
            feed.take(each)


async def main(url: str, connections: int | None, provider: TracerProvider | None) -> None:
    """Follow the feed over so many *connections*; None: until killed."""
    feed = Feed()
    tracer = None if provider is None else provider.get_tracer("examples.feed")
    async with Engine(url, feed, OPTIONS, tracer_provider=provider) as engine:
        for symbol in SYMBOLS:
            subscribing = Subscribing(symbol)
            await engine.subscribe(subscribing.message, subscribing.acknowledges)
        for number in itertools.count(1):
            await feed.wait_ticks(SETTLED)
            with tracer.start_as_current_span("feed.snapshot") if tracer else nullcontext():
                try:
                    await snapshot(engine, feed, SYMBOLS[0])
                except ConnectionLost as error:
                    print(f"no snapshot: {error}", flush=True)
            if number == connections:
                break
            await feed.wait_new()


@contextmanager
def tracing_to(path: Path | None) -> Iterator[TracerProvider | None]:
    """A provider that writes each span to a file as it ends; None without one."""
    if path is None:
        yield None
        return
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

    provider = TracerProvider()
    with path.open("w", encoding="utf-8") as file:
        exporter = ConsoleSpanExporter(
            out=file, formatter=lambda span: span.to_json(indent=None) + "\n"
        )
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        yield provider
        provider.shutdown()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="ws://127.0.0.1:8765/", help="the feed's (%(default)s)")
    parser.add_argument("--connections", type=int, help="how many to follow (no end)")
    parser.add_argument("--trace", type=Path, metavar="FILE", help="write spans there")
    given = parser.parse_args()
    try:
        with tracing_to(given.trace) as provider:
            trio.run(main, given.url, given.connections, provider)
    except* KeyboardInterrupt:
        print("stopped")
