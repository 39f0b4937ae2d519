"""Opening pinned TLS streams: dialling out, and taking over what a listener accepted."""

from __future__ import annotations

import math
from typing import Final

import trio

from .._arguments import require_type
from .credentials import ClientCredentials, Credentials, ServerCredentials
from .errors import StreamHandshakeError
from .stream import PinnedTLSStream

#: Seconds that a server has for the handshake, and a client: the values of the Go side.
CLIENT_HANDSHAKE_TIMEOUT: Final = 45.0
SERVER_HANDSHAKE_TIMEOUT: Final = 10.0


async def connect_pinned_tls(
    host: str,
    port: int,
    credentials: ClientCredentials,
    *,
    handshake_timeout: float | None = CLIENT_HANDSHAKE_TIMEOUT,
) -> PinnedTLSStream:
    """Connect to *host* and *port*, and return a stream whose handshake is complete.

    All addresses of *host* are tried, as ``trio.open_tcp_stream`` does it. *handshake_timeout*:
    seconds for the TLS handshake, None for no bound.

    Raises OSError when no connection could be made; StreamPeerRefused when the server has
    another key; StreamHandshakeError when the handshake failed or took too long; StreamLost
    when the connection broke in it. The server's own verdict comes with the first
    ``receive_some``. TypeError for credentials of the other side.
    """
    _require(credentials, ClientCredentials)
    transport = await trio.open_tcp_stream(host, port)
    return await _secure(transport, credentials, handshake_timeout)


async def wrap_server(
    stream: trio.abc.Stream,
    credentials: ServerCredentials,
    *,
    handshake_timeout: float | None = SERVER_HANDSHAKE_TIMEOUT,
) -> PinnedTLSStream:
    """Run the server's side of the handshake over *stream*, which a listener accepted.

    *handshake_timeout*: seconds for it, None for no bound. *stream* belongs to the
    stream returned; where the handshake fails it is closed.

    Raises StreamPeerRefused when the client isn't let in or doesn't accept this server's key;
    StreamHandshakeError when the handshake failed or took too long; StreamLost when the
    connection broke in it; TypeError, and nothing has happened, for credentials of the other
    side.
    """
    _require(credentials, ServerCredentials)
    return await _secure(stream, credentials, handshake_timeout)


def _require(credentials: Credentials, kind: type[Credentials]) -> None:
    require_type("credentials", credentials, kind, hint=f"this is the {kind.role}'s end")


async def _secure(
    transport: trio.abc.Stream,
    credentials: ClientCredentials | ServerCredentials,
    seconds: float | None,
) -> PinnedTLSStream:
    stream = PinnedTLSStream(transport, credentials)
    try:
        with trio.move_on_after(math.inf if seconds is None else seconds) as scope:
            await stream.do_handshake()
        if scope.cancelled_caught:
            raise StreamHandshakeError(
                f"the {credentials.peer} didn't complete the TLS handshake within {seconds:g} s"
            )
    except BaseException:
        # Whatever ended it, a cancellation too: nobody else knows of this connection yet.
        await trio.aclose_forcefully(transport)
        raise
    return stream
