"""wsproto's public API, with wirecore's frames beneath: ``from wirecore.dropin import wsproto``.

For those who build frameworks: names, events and exceptions are wsproto's own (the event
classes *are* its classes), so a program that uses wsproto needs no other change than its import.
Every submodule of wsproto that is public has its namesake here. What differs is the speed, and
that a message's size can be bounded; docs/dropin.md tells it all. These names are stable: they
change only as wsproto's do.

For those who have a framework that uses wsproto: :func:`install` puts our frames under the
wsproto that is installed, for connections made from then on, until :func:`uninstall`.

Importing this module loads wsproto and h11, and changes nothing in them. It raises ImportError
where wsproto is of a version that it doesn't know.
"""

# Checks the version, so before all that builds on it.
from wirecore.dropin.wsproto import _version  # isort: split

from wirecore.dropin.wsproto import (
    connection,
    events,
    extensions,
    frame_protocol,
    handshake,
    typing,
    utilities,
)
from wirecore.dropin.wsproto._install import install, installed, uninstall
from wirecore.dropin.wsproto._wsconnection import WSConnection
from wirecore.dropin.wsproto.connection import Connection, ConnectionState, ConnectionType
from wirecore.dropin.wsproto.frame_protocol import CloseReason, Opcode
from wirecore.dropin.wsproto.handshake import H11Handshake
from wirecore.dropin.wsproto.utilities import (
    LocalProtocolError,
    ProtocolError,
    RemoteProtocolError,
)

#: wsproto's, which it is a replacement for.
__version__ = _version.FOUND

__all__ = [
    "CloseReason",
    "Connection",
    "ConnectionState",
    "ConnectionType",
    "H11Handshake",
    "LocalProtocolError",
    "Opcode",
    "ProtocolError",
    "RemoteProtocolError",
    "WSConnection",
    "connection",
    "events",
    "extensions",
    "frame_protocol",
    "handshake",
    "install",
    "installed",
    "typing",
    "uninstall",
    "utilities",
]
