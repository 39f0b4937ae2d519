"""From a fresh link to an open channel: TLS, upgrade, session, on either side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from wirecore import errors
from wirecore.protocols.wsrpc import CLIENT_READ_LIMIT, PROTOCOL, SERVER_READ_LIMIT, Session
from wirecore.session import CallLimits, Heartbeat, Limits
from wirecore.session.fields import CallFields
from wirecore.websocket import ClientHandshake

from .._link import Link, SocketLink
from .._tls_link import TLSLink
from .._upgrade import upgrade_client
from ..tls import ClientCredentials, ServerCredentials, SignerEngine, engine_for
from ..tls.socket_link import PinnedSocketLink
from ._options import Options

if TYPE_CHECKING:
    from wirecore._backend import Backend


#: What a server answers instead of the upgrade where the key has a connection already.
_TAKEN: Final = 200

_SWAPPED: Final = (
    "it is what was given as private_key here: the keys are swapped, and what was given as the "
    "peer's public key is a private one, to be kept secret"
)


@dataclass(slots=True)
class Secured:
    """A link whose peer has shown its key."""

    link: Link
    public_key: bytes


async def secure(link: Link, credentials: ClientCredentials | ServerCredentials) -> Secured:
    """The TLS handshake over *link*. Raises PeerRefused, HandshakeError, BrokenResourceError."""
    try:
        return await _shake_hands(link, credentials)
    except errors.PeerRefused as error:
        # A refusal quotes the key that the peer has shown. Raw keys look alike, so that nobody
        # could tell before.
        if credentials.private_key.private_bytes_raw().hex() in str(error):
            error.args = (f"{error}; {_SWAPPED}",)
        raise


async def _shake_hands(link: Link, credentials: ClientCredentials | ServerCredentials) -> Secured:
    speaks_next = credentials.role == "client"
    if isinstance(link, SocketLink) and credentials.signer is None:
        direct = PinnedSocketLink(link, credentials)
        await direct.handshake(speaks_next=speaks_next)
        return Secured(direct, direct.peer_public_key)
    engine = engine_for(credentials)
    tls = TLSLink(link, engine)
    sign = engine.sign if isinstance(engine, SignerEngine) else None
    await tls.handshake(speaks_next=speaks_next, sign=sign)
    return Secured(tls, engine.peer_public_key)


async def upgrade(link: Link, authority: str) -> tuple[bool, bytes]:
    """The client's upgrade over *link*.

    Whether control messages were agreed on, and what came behind the answer. No Origin, subprotocol
    or extension is sent, as the Go client sends none; only where somebody wants to know what goes
    with calls is that offered, which the Go server ignores. Raises PeerRefused (TLS 1.3: a server
    that refuses our key says so at the first read), UpgradeRejected, HandshakeError,
    BrokenResourceError.
    """
    offered = (PROTOCOL,) if CallFields.wanted else ()
    handshake = ClientHandshake(host=authority, target="/", subprotocols=offered)
    try:
        accepted = await upgrade_client(link, handshake)
    except errors.UpgradeRejected as error:
        if error.status == _TAKEN:
            hint = "a wsrpc server answers so while this key has another connection"
            error.args = (f"{error} ({hint})",)
        raise
    return accepted.subprotocol == PROTOCOL, handshake.leftover


def make_session(
    *, client: bool, options: Options, extended: bool = False, backend: Backend | None = None
) -> Session:
    """The session of a new connection. *extended*: control messages were agreed on."""
    size = options.max_message_size or (CLIENT_READ_LIMIT if client else SERVER_READ_LIMIT)
    return Session(
        client=client,
        limits=Limits(
            max_frame_size=size,
            max_message_size=size,
            max_queued_bytes=options.max_queued_bytes,
        ),
        call_limits=CallLimits(
            max_pending_calls=options.max_pending_calls, max_send_size=options.max_send_size
        ),
        heartbeat=Heartbeat(options.ping_interval, options.ping_timeout),
        call_timeout=options.call_timeout,
        extended=extended,
        backend=backend,
    )
