"""webwire: signals of 64 bytes of text from the client, counted and compared at the server.

They are sent by one task, one after the other; a request closes each burst of 1,000, and is
answered when the server has handled all of them.
"""

from __future__ import annotations

from bench.contenders import WEBWIRE_PEERS, webwire
from bench.harness.model import Goal, Load, Row


def rows() -> list[Row]:
    """The one row."""
    return [
        Row(
            name="webwire_signals/1000",
            title="webwire signals, 64 B, in bursts of 1,000",
            unit="signals/s",
            load=Load(size=64, in_flight=1000, options={"load": "signals"}),
            contenders=(
                webwire("wirecore inline", mode="inline"),
                webwire("wirecore async", mode="async"),
                *WEBWIRE_PEERS,
            ),
            # Handlers of signals seldom have to wait for anything.
            goals=(
                Goal("wirecore inline", "python-socketio", 20.0, None),
                Goal("wirecore async", "python-socketio", 20.0, None),
            ),
        ),
    ]
