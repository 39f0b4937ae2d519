"""REST over WebSocket without I/O: the handshake, and the two wires behind it."""

from wirecore.protocols.rest.errors import Aborted, Refused
from wirecore.protocols.rest.handshake import PROTOCOL
from wirecore.protocols.rest.happenings import Stream, Wire
from wirecore.protocols.rest.heads import Fields, RequestHead, ResponseHead
from wirecore.protocols.rest.multiplexed import Multiplexed
from wirecore.protocols.rest.sequential_calling import SAFE_SIZES, SequentialCalling
from wirecore.protocols.rest.sequential_serving import SequentialServing
from wirecore.protocols.rest.session import RestSession

__all__ = [
    "PROTOCOL",
    "SAFE_SIZES",
    "Aborted",
    "Fields",
    "Multiplexed",
    "Refused",
    "RequestHead",
    "ResponseHead",
    "RestSession",
    "SequentialCalling",
    "SequentialServing",
    "Stream",
    "Wire",
]
