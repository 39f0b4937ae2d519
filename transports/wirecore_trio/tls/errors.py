"""Failures of a TLS stream: ours, and a ``trio.BrokenResourceError`` as trio's contract asks."""

from __future__ import annotations

from typing import TypeAlias

import trio

from wirecore import errors


class StreamPeerRefused(errors.PeerRefused, trio.BrokenResourceError):
    """One side doesn't accept the other's certificate or key; the stream is of no use."""


class StreamHandshakeError(errors.HandshakeError, trio.BrokenResourceError):
    """The TLS handshake failed; the stream is of no use."""


class StreamProtocolError(errors.ProtocolError, trio.BrokenResourceError):
    """The peer broke TLS, or gave up with an alert; the stream is of no use."""


class StreamLost(errors.ConnectionLost, trio.BrokenResourceError):
    """The connection is gone, or its end was cut off."""


StreamFailure: TypeAlias = StreamPeerRefused | StreamHandshakeError | StreamProtocolError


def stream_failure(error: errors.RemoteError) -> StreamFailure:
    """What a stream raises for *error* of its engine: the same class and text, on trio."""
    if isinstance(error, errors.PeerRefused):
        return StreamPeerRefused(str(error))
    if isinstance(error, errors.HandshakeError):
        return StreamHandshakeError(str(error))
    return StreamProtocolError(str(error))
