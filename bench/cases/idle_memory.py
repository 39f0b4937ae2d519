"""Memory that one more idle connection costs a server, 10,000 open ones, no compression.

The client is the same for all: plain sockets that do the upgrade and then say nothing. What is
weighed is the resident size of the server's process.
"""

from __future__ import annotations

from dataclasses import replace

from bench.contenders import GO_PEERS, WEBSOCKET_PEERS, WIRECORE
from bench.harness.model import Goal, Load, Row


def rows() -> list[Row]:
    """The one row."""
    servers = (WIRECORE, *WEBSOCKET_PEERS, *GO_PEERS)
    return [
        Row(
            name="idle_memory/10000",
            title="memory of an idle connection, 10,000 open",
            unit="bytes",
            load=Load(options={"connections": "10000"}),
            contenders=tuple(replace(each, client="idle_client", drive={}) for each in servers),
            goals=(Goal("wirecore", "websockets asyncio", 0.5, 0.4),),
            smaller_is_better=True,
            quick={"connections": "200"},
        ),
    ]
