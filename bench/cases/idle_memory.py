"""Memory that one more idle connection costs a server, 10,000 open ones, plain and over TLS.

The client is the same for all: plain sockets that do the upgrade and then say nothing. What is
weighed is the resident size of the server's process. Compression is off. TLS is the same for all,
too: a context of the standard library's ssl. Each process holds 10,000 open files; where a limit
is lower, the row is left out and says so.
"""

from __future__ import annotations

from dataclasses import replace

from bench.contenders import GO_PEERS, WEBSOCKET_PEERS, WIRECORE
from bench.harness.model import Contender, Goal, Load, Row


def over_tls(contender: Contender) -> Contender:
    """The same behind TLS."""
    tls = {"tls": "on"}
    return replace(contender, serve={**contender.serve, **tls}, drive={**contender.drive, **tls})


def rows() -> list[Row]:
    """Plain, and over TLS beside those whom the goal names."""
    servers = tuple(
        replace(each, client="idle_client", drive={})
        for each in (WIRECORE, *WEBSOCKET_PEERS, *GO_PEERS)
    )
    named = ("wirecore", "websockets asyncio", "trio-websocket")
    return [
        Row(
            name="idle_memory/10000",
            title="memory of an idle connection, 10,000 open",
            unit="bytes",
            load=Load(options={"connections": "10000"}),
            contenders=servers,
            goals=(Goal("wirecore", "websockets asyncio", 0.5, 0.4),),
            smaller_is_better=True,
            quick={"connections": 200},
        ),
        Row(
            name="idle_memory/10000-tls",
            title="memory of an idle connection over TLS, 10,000 open",
            unit="bytes",
            load=Load(options={"connections": "10000"}),
            contenders=tuple(over_tls(each) for each in servers if each.name in named),
            goals=(Goal("wirecore", "websockets asyncio", 0.5, 0.4),),
            # Where the processes run is nothing to memory, and handshakes take their time.
            placement="free",
            smaller_is_better=True,
            quick={"connections": 200},
        ),
    ]
