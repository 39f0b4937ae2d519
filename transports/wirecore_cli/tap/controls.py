"""What our own ends say to each other besides calls, of a pool, webwire and wsrpc."""

from __future__ import annotations

from wirecore.events import RawText
from wirecore.protocols.pool.framing import says_leave

from .records import Told
from .showing import Showing


def told_control(showing: Showing, data: bytes) -> Told:
    """What a control message says."""
    payload = showing.payload(data)
    about = "wants no more calls" if says_leave(RawText(data)) else ""
    return Told("control", about or showing.preview(payload), len(data), payload)
