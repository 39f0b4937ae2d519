"""webwire: requests of 64 bytes of text, answered with the same, over one connection.

The server lets 100 handlers of a connection run at once; "async" ones each in a task, as
python-socketio's and JSON-RPC's, "inline" ones in the task that reads. Where there are several
clients each has a connection and a request under way; else each request that is under
way is made by a task of its own; with "submit" one task makes all of them, and takes them from a
``Done`` as they end. wsrpc's calls, without their TLS, are there to show that webwire
costs no more; with one request under way the bare socket is, to show what trio costs.
"""

from __future__ import annotations

from dataclasses import replace

from bench.contenders import RAW, WEBWIRE_PEERS, webwire, wsrpc
from bench.harness.model import Goal, Load, Row

INLINE = webwire("wirecore inline", mode="inline")
SUBMIT = replace(INLINE, name="wirecore submit", drive={"calling": "submit"})
ASYNC = webwire("wirecore async", mode="async")
WSRPC_INLINE = wsrpc("wirecore wsrpc inline", mode="inline", tls="off")
WSRPC_ASYNC = wsrpc("wirecore wsrpc async", mode="async", tls="off")


def rows() -> list[Row]:
    """One request under way, and a hundred; and one of each of so many clients."""
    contenders = (INLINE, SUBMIT, ASYNC, WSRPC_INLINE, WSRPC_ASYNC, *WEBWIRE_PEERS)
    goals = (
        Goal(ASYNC.name, "python-socketio", 20.0, None),
        Goal(INLINE.name, "python-socketio", 20.0, None),
        Goal(SUBMIT.name, "python-socketio", 20.0, None),
        Goal(ASYNC.name, WSRPC_ASYNC.name, 0.9, None),
        Goal(INLINE.name, WSRPC_INLINE.name, 0.9, None),
    )
    bare = Goal(RAW.name, "python-socketio", None, None)
    return [
        *(
            Row(
                name=f"webwire_request/{in_flight}",
                title=f"webwire request and reply, 64 B, {in_flight} in flight",
                unit="requests/s",
                load=Load(size=64, in_flight=in_flight),
                contenders=contenders if in_flight > 1 else (*contenders, RAW),
                goals=goals if in_flight > 1 else (*goals, bare),
            )
            for in_flight in (1, 100)
        ),
        *(_clients(number) for number in (4, 100)),
    ]


def _clients(number: int) -> Row:
    """All clients are in one process, each with a connection of its own."""
    return Row(
        name=f"webwire_clients/{number}",
        title=f"webwire request and reply, 64 B, {number} clients with 1 in flight each",
        unit="requests/s",
        load=Load(size=64, in_flight=number, options={"clients": "each"}),
        contenders=(INLINE, ASYNC, WEBWIRE_PEERS[0]),
        goals=(
            Goal(INLINE.name, "python-socketio", None, None),
            Goal(ASYNC.name, "python-socketio", None, None),
        ),
        placement="free",
    )
