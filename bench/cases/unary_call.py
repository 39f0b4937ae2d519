"""Unary calls of a message with one 64-byte string, answered with the same; one connection.

Each call that is under way is made by a task of its own (grpcio: by a future). "inline" handlers
run in the task that reads, "async" ones each in a task; the others do what they do. Nobody speaks
TLS here.
"""

from __future__ import annotations

from bench.contenders import pair, wsrpc
from bench.harness.model import Goal, Load, Row, Tail

INLINE = wsrpc("wirecore inline", mode="inline", tls="off")
ASYNC = wsrpc("wirecore async", mode="async", tls="off")

PEERS = (
    pair("grpc.aio", "grpc_aio"),
    pair("grpcio", "grpc_sync"),
    pair("grpclib", "grpclib_asyncio"),
    pair("rpyc", "rpyc_sync"),
    pair("JSON-RPC inline", "jsonrpc_websockets", mode="inline"),
    pair("JSON-RPC async", "jsonrpc_websockets", mode="async"),
)


def rows() -> list[Row]:
    """One call under way, and a hundred."""
    contenders = (INLINE, ASYNC, *PEERS)
    return [
        Row(
            name="unary_call/1",
            title="unary call, 64 B, 1 in flight",
            unit="calls/s",
            load=Load(size=64, in_flight=1),
            contenders=contenders,
            goals=(
                Goal("wirecore inline", "grpc.aio", 6.0, 10.0),
                Goal("wirecore inline", "grpcio", 3.0, 7.0),
            ),
        ),
        Row(
            name="unary_call/100",
            title="unary call, 64 B, 100 in flight",
            unit="calls/s",
            load=Load(size=64, in_flight=100),
            contenders=contenders,
            goals=(
                Goal("wirecore inline", "grpc.aio", 30.0, 50.0),
                Goal("wirecore inline", "grpcio", 12.0, 25.0),
                Goal("wirecore inline", "JSON-RPC inline", 3.0, 5.0),
                Goal("wirecore async", "grpc.aio", 15.0, 30.0),
                Goal("wirecore async", "grpcio", 6.0, 12.0),
            ),
            tails=(Tail("wirecore inline", 500.0),),
        ),
    ]
