"""Competitors that several cases share, with the names that tables and goals use."""

from __future__ import annotations

from dataclasses import replace

from bench.harness.model import Contender


def pair(name: str, peer: str, **options: str) -> Contender:
    """One library at both ends; *options* are of both."""
    return Contender(name, peer, peer, serve=options, drive=options)


#: Without this the pure modules would stand in silently where no compiled ones are.
COMPILED = {"WIRECORE_BACKEND": "c"}
PURE = {"WIRECORE_BACKEND": "py"}

WIRECORE = replace(pair("wirecore", "wirecore_websocket"), environment=COMPILED)

#: The same through the calls that move one message at a time.
WIRECORE_SINGLE = replace(
    pair("wirecore one by one", "wirecore_websocket", api="single"), environment=COMPILED
)

WIRECORE_PURE = replace(pair("wirecore pure", "wirecore_websocket"), environment=PURE)

#: Bare sockets: what no library can pass.
RAW = pair("raw trio socket", "raw_trio")

WEBSOCKET_PEERS = (
    pair("trio-websocket", "trio_websocket"),
    pair("websockets trio", "websockets_trio"),
    pair("websockets asyncio", "websockets_asyncio"),
    pair("aiohttp asyncio", "aiohttp_websocket"),
    pair("picows asyncio", "picows_asyncio"),
)

GO_PEERS = (
    pair("gorilla", "go/gorilla"),
    pair("gws", "go/gws"),
)


def wsrpc(name: str, **options: str) -> Contender:
    """wirecore's wsrpc at both ends; see ``bench/peers/wirecore_wsrpc.py`` for the options."""
    return replace(pair(name, "wirecore_wsrpc", **options), environment=COMPILED)


def webwire(name: str, **options: str) -> Contender:
    """wirecore's webwire at both ends; see ``bench/peers/wirecore_webwire.py`` for the options."""
    return replace(pair(name, "wirecore_webwire", **options), environment=COMPILED)


#: What else has requests and signals over WebSocket.
WEBWIRE_PEERS = (
    pair("python-socketio", "socketio_aiohttp"),
    pair("JSON-RPC inline", "jsonrpc_websockets", mode="inline"),
    pair("JSON-RPC async", "jsonrpc_websockets", mode="async"),
)
