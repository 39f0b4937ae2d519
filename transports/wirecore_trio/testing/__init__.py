"""For the tests of who uses wirecore: memory in place of sockets, scripts, faults.

Each name loads when it is first asked for; docs/testing.md tells how they go together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wirecore._late import late_names

if TYPE_CHECKING:
    from ._adapters import AdapterConformance
    from ._fault_kinds import Fault
    from ._faults import Direction, FaultInjector
    from ._framed import Recorded
    from ._frames import Frame
    from ._network import Network
    from ._pairs import (
        Pair,
        engine_pair,
        memory_pair,
        pool_pair,
        rest_pair,
        webwire_pair,
        wsrpc_credentials,
        wsrpc_pair,
    )
    from ._peer import ScriptedPeer
    from ._runs import LeftOver, run
    from ._server import Script, ScriptedServer
    from ._streams import Connection, MemoryStream

__all__ = [
    "AdapterConformance",
    "Connection",
    "Direction",
    "Fault",
    "FaultInjector",
    "Frame",
    "LeftOver",
    "MemoryStream",
    "Network",
    "Pair",
    "Recorded",
    "Script",
    "ScriptedPeer",
    "ScriptedServer",
    "engine_pair",
    "memory_pair",
    "pool_pair",
    "rest_pair",
    "run",
    "webwire_pair",
    "wsrpc_credentials",
    "wsrpc_pair",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = late_names(
        __name__,
        {
            "_adapters": ("AdapterConformance",),
            "_fault_kinds": ("Fault",),
            "_faults": ("Direction", "FaultInjector"),
            "_framed": ("Recorded",),
            "_frames": ("Frame",),
            "_network": ("Network",),
            "_pairs": (
                "Pair",
                "engine_pair",
                "memory_pair",
                "pool_pair",
                "rest_pair",
                "webwire_pair",
                "wsrpc_credentials",
                "wsrpc_pair",
            ),
            "_peer": ("ScriptedPeer",),
            "_runs": ("LeftOver", "run"),
            "_server": ("Script", "ScriptedServer"),
            "_streams": ("Connection", "MemoryStream"),
        },
    )
