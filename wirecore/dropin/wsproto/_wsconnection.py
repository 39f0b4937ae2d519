"""The object most programs use: handshake and connection in one."""

from __future__ import annotations

import wsproto

from wirecore.dropin.wsproto.connection import ConnectionType
from wirecore.dropin.wsproto.handshake import H11Handshake


class WSConnection(wsproto.WSConnection):
    """wsproto's WSConnection, made the same way, with the same methods and the same events.

    *max_message_size*: the most bytes a message may have, on the wire and decompressed, 1 to
    sys.maxsize (else InvalidOption is raised, and TypeError where it isn't an int); None, as in
    wsproto, for any number. A message over it is a CloseConnection event with code 1009.
    """

    def __init__(
        self, connection_type: ConnectionType, *, max_message_size: int | None = None
    ) -> None:
        super().__init__(connection_type)
        self.handshake = H11Handshake(connection_type, max_message_size=max_message_size)
