"""The client's engine for credentials whose private key is elsewhere."""

from __future__ import annotations

from wirecore.errors import HandshakeError
from wirecore.events import Buffer

from .client_flight import ClientFlight
from .credentials import ClientCredentials, Credentials
from .engine import PinnedEngine
from .signer import Signer


class SignerEngine(PinnedEngine):
    """One client's end of a TLS connection, which has the signer of *credentials* sign for it.

    The contract is that of `Engine`, with one step more: where `handshake` answers False,
    `sign` may have something to do. TypeError for credentials that hold their key.
    """

    __slots__ = ("_flight", "_key", "_signer")

    _has_signer = True

    def __init__(self, credentials: Credentials) -> None:
        signer = credentials.signer
        if signer is None or not isinstance(credentials, ClientCredentials):
            raise TypeError("a SignerEngine needs ClientCredentials with a signer")
        super().__init__(credentials)
        self._signer: Signer = signer
        # None once the handshake is through: then this is as any other engine.
        self._flight: ClientFlight | None = ClientFlight(self._end.exchange.secrets)
        # The server's key, while the signature isn't there.
        self._key: bytes | None = None

    def receive(self, data: Buffer) -> None:
        if self._flight is not None:
            self._flight.receive(bytes(data))
        super().receive(data)

    def handshake(self) -> bool:
        flight = self._flight
        if flight is None:
            return super().handshake()
        if self._key is not None:
            return False
        try:
            complete = super().handshake()
        except HandshakeError:
            self._pass_alert(flight)
            raise
        try:
            flight.follow()
            self._pass_on(flight)
            if complete and not (flight.held and flight.answered):
                raise HandshakeError("OpenSSL's last flight isn't what it should be")
        except HandshakeError as error:
            # OpenSSL's own flight mustn't leave: its key has no meaning.
            self._drain()
            self._sealed.clear()
            self._end.peer_key = None
            self._end.exchange.secrets.clear()
            self._end.failure = (HandshakeError, f"no signature could be made: {error}")
            self._end.check()
        if not complete:
            return False
        # Neither reading nor writing before it is known that the flight can go.
        self._key, self._end.peer_key = self._end.peer_key, None
        if flight.signed:
            return False
        self._let_go(flight.leave())
        return True

    async def sign(self) -> bool:
        """Have the signer sign, where the handshake waits for that; whether it can go on.

        Raises CredentialsUnavailable where that fails. Cancelled or failed, it can be called again.
        """
        flight = self._flight
        if flight is None or self._key is None:
            return False
        text = flight.to_sign(await self._signer.certificate())
        signature = await self._signer.sign(text)
        if self._flight is not None:
            self._let_go(flight.complete(signature))
        return True

    def _pass_on(self, flight: ClientFlight) -> None:
        self._drain()
        made = b"".join(self._sealed)
        self._sealed.clear()
        passed = flight.send(made)
        if passed:
            self._sealed.append(passed)

    def _pass_alert(self, flight: ClientFlight) -> None:
        """Have the alert that says why leave, and nothing of a flight."""
        try:
            self._pass_on(flight)
        except HandshakeError:
            self._sealed.clear()

    def _let_go(self, sealed: bytes) -> None:
        self._sealed.append(sealed)
        self.unsent = True
        self._end.peer_key, self._key = self._key, None
        self._end.exchange.secrets.clear()
        self._flight = None


def engine_for(credentials: Credentials) -> PinnedEngine:
    """The engine that *credentials* need."""
    return PinnedEngine(credentials) if credentials.signer is None else SignerEngine(credentials)
