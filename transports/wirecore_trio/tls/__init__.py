"""Mutual TLS with pinned Ed25519 keys: each side holds a private key and lists the other's.

No certificate authority, no names, no dates: a peer is its public key. Usable by itself over
any ``trio.abc.Stream``::

    credentials = ClientCredentials(private_key, server_public_key)
    stream = await connect_pinned_tls("127.0.0.1", 1338, credentials)

Keys are raw bytes, PEM or ``cryptography`` objects, see `load_private_key` and
`load_public_key`. `PinnedEngine` is the same without I/O.
"""

from __future__ import annotations

from .certificate import self_signed_certificate
from .connect import connect_pinned_tls, wrap_server
from .contract import Engine
from .credentials import ClientCredentials, ServerCredentials
from .engine import PinnedEngine
from .errors import StreamHandshakeError, StreamLost, StreamPeerRefused, StreamProtocolError
from .keys import generate_private_key, load_private_key, load_public_key, public_key_of
from .signer import Sign
from .signer_engine import SignerEngine, engine_for
from .stream import PinnedTLSStream

__all__ = [
    "ClientCredentials",
    "Engine",
    "PinnedEngine",
    "PinnedTLSStream",
    "ServerCredentials",
    "Sign",
    "SignerEngine",
    "StreamHandshakeError",
    "StreamLost",
    "StreamPeerRefused",
    "StreamProtocolError",
    "connect_pinned_tls",
    "engine_for",
    "generate_private_key",
    "load_private_key",
    "load_public_key",
    "public_key_of",
    "self_signed_certificate",
    "wrap_server",
]
