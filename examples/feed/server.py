"""A feed as public market-data APIs have it: JSON over WebSocket, subscriptions, snapshots.

Now and then it closes all connections with 1012, "service restart", and lets nobody in for a
while. Prices are made up, and the same each time.
"""

from __future__ import annotations

import argparse
import json
import random
from functools import partial
from typing import Any

import trio

from wirecore_trio import websocket
from wirecore_trio.websocket import Request, Response, WebSocket

PRICES = {"BTC/EUR": 61_000.0, "ETH/EUR": 3_100.0}


class Exchange:
    """The prices, and who may come in. *away*: seconds that nobody may, after a close."""

    def __init__(self, *, ticks: int, every: float, away: float) -> None:
        self.ticks = ticks
        self.every = every
        self._away = away
        self._closed_until = 0.0
        self._chance = random.Random(5)
        self._prices = dict(PRICES)

    def close(self) -> None:
        """Let nobody in for a while."""
        self._closed_until = trio.current_time() + self._away

    async def on_request(self, request: Request) -> Response | None:
        """Whether to let somebody in."""
        is_closed = trio.current_time() < self._closed_until
        return Response(503, body=b"in maintenance") if is_closed else None

    def tick(self, symbol: str) -> dict[str, Any]:
        """A new price of *symbol*."""
        price = round(self._prices[symbol] * self._chance.uniform(0.999, 1.001), 2)
        self._prices[symbol] = price
        return {"channel": "ticker", "symbol": symbol, "price": price}

    def book(self, symbol: str) -> dict[str, Any]:
        """Who would buy and sell now. Nothing in it tells which request it answers."""
        price = self._prices[symbol]
        bids = [[round(price - step, 2), 1.0] for step in (1, 2, 3)]
        asks = [[round(price + step, 2), 1.0] for step in (1, 2, 3)]
        return {"channel": "book", "symbol": symbol, "bids": bids, "asks": asks}


class Client:
    """One connection."""

    def __init__(self, exchange: Exchange, ws: WebSocket) -> None:
        self._exchange = exchange
        self._ws = ws
        self._symbols: list[str] = []

    async def serve(self) -> None:
        """Answer, and send prices, until it is time to close."""
        await self._say({"channel": "status", "system": "online"})
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._tick)
            async for message in self._ws:
                await self._answer(json.loads(message))
            nursery.cancel_scope.cancel()

    async def _answer(self, request: dict[str, Any]) -> None:
        method = request["method"]
        if method == "ping":
            await self._say({"method": "pong"})
        elif method == "book":
            await self._say(self._exchange.book(request["symbol"]))
        elif method == "subscribe":
            symbol = request["symbol"]
            told = {"method": "subscribe", "symbol": symbol, "req_id": request["req_id"]}
            await self._say({**told, "success": symbol in PRICES})
            if symbol in PRICES and symbol not in self._symbols:
                self._symbols.append(symbol)

    async def _tick(self) -> None:
        """Prices of one symbol after the other."""
        sent = 0
        while sent < self._exchange.ticks:
            await trio.sleep(self._exchange.every)
            if len(self._symbols) == len(PRICES):
                symbol = self._symbols[sent % len(PRICES)]
                await self._say(self._exchange.tick(symbol))
                sent += 1
        self._exchange.close()
        await self._ws.aclose(1012, "service restart")

    async def _say(self, what: dict[str, Any]) -> None:
        await self._ws.send(json.dumps(what))


async def main(port: int, exchange: Exchange) -> None:
    """Serve until killed."""

    async def serve_one(ws: WebSocket) -> None:
        try:
            await Client(exchange, ws).serve()
        except* (websocket.ConnectionClosed, websocket.AlreadyClosed):
            pass  # it has gone, as it may

    async with trio.open_nursery() as nursery:
        serve = partial(
            websocket.serve, serve_one, "127.0.0.1", port, on_request=exchange.on_request
        )
        server = await nursery.start(serve)
        print(f"listening on ws://127.0.0.1:{server.port}/", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8765, help="0: a free one (%(default)s)")
    parser.add_argument("--ticks", type=int, default=6, help="prices until it closes (%(default)s)")
    parser.add_argument("--every", type=float, default=0.2, help="seconds between (%(default)s)")
    parser.add_argument("--away", type=float, default=0.3, help="seconds of absence (%(default)s)")
    given = parser.parse_args()
    try:
        trio.run(main, given.port, Exchange(ticks=given.ticks, every=given.every, away=given.away))
    except* KeyboardInterrupt:
        print("stopped")
