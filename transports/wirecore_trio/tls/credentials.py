"""Who we are and whom we accept: one private key, and a list of the peer's public keys."""

from __future__ import annotations

import contextlib
import hmac
import logging
from collections.abc import Callable, Iterable
from typing import ClassVar, Final, Literal, Self, TypeAlias

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from wirecore.errors import InvalidKey

from .certificate import self_signed_certificate
from .keys import (
    PrivateKey,
    PublicKey,
    generate_private_key,
    kind_of,
    load_private_key,
    load_public_key,
    public_key_of,
)
from .signer import Sign, Signer

Role: TypeAlias = Literal["client", "server"]

#: Called with the keys that a server's list has just lost.
RemovalCallback: TypeAlias = Callable[[frozenset[bytes]], object]

logger = logging.getLogger("wirecore.tls")

_CLIENT_KEYS: Final = "client_public_keys"


class Credentials:
    """What the credentials of both sides have in common.

    *private_key* and *certificate* are ``cryptography`` objects, *public_key* the 32 raw bytes
    that the peer must list. *role* says which side holds them, *peer* what the other side is.
    *signer*: who signs in place of a private key, None where nobody does; then *private_key* and
    *certificate* are of no meaning, made for OpenSSL alone, and no peer sees anything of them.
    """

    __slots__ = ("__weakref__", "_allowed", "certificate", "private_key", "public_key", "signer")

    role: ClassVar[Role]
    peer: ClassVar[Role]

    def __init__(
        self,
        private_key: PrivateKey,
        allowed: Iterable[tuple[str, PublicKey]],
        signer: Signer | None = None,
    ) -> None:
        self.signer = signer
        self.private_key = load_private_key(private_key, name="private_key")
        if signer is None:
            self.public_key = public_key_of(self.private_key)
        else:
            self.public_key = signer.public_key
        self.certificate = self_signed_certificate(self.private_key)
        self._allowed = self._load(allowed)

    def _load(self, named: Iterable[tuple[str, PublicKey]]) -> tuple[bytes, ...]:
        """The peers' keys as they are compared, without repeats; each comes with its name."""
        seed = self.private_key.private_bytes_raw()
        loaded: dict[bytes, str] = {}
        for name, key in named:
            public = load_public_key(key, name=name)
            if hmac.compare_digest(public, seed):
                raise InvalidKey(
                    f"{name}: this is our own private key: keep it secret, and give the "
                    f"{self.peer}'s public key"
                )
            loaded.setdefault(public, name)
        if self.public_key in loaded:
            logger.warning(
                "%s is the public key of this %s itself: only a %s with the same private key "
                "fits it",
                loaded[self.public_key],
                self.role,
                self.peer,
            )
        return tuple(loaded)

    def allowed(self, public_key: bytes) -> bool:
        """Whether the peer that holds *public_key* (32 raw bytes) is accepted.

        Every listed key is compared, each in constant time, so that the time taken tells
        nothing of which one matched.
        """
        found = False
        for key in self._allowed:
            found |= hmac.compare_digest(key, public_key)
        return found

    def __repr__(self) -> str:
        keys = ", ".join(key.hex() for key in self._allowed)
        return (
            f"<{type(self).__name__} with public key {self.public_key.hex()}, "
            f"{self.peer} keys: {keys or 'none'}>"
        )


class ClientCredentials(Credentials):
    """A client's private key, and the key of the server it is willing to talk to.

    *server_public_key* is one key, or an iterable of several of which any will do. Keys come in
    the forms that `load_private_key` and `load_public_key` take.

    Raises InvalidKey, which names the argument, when a key is wrong, when our own private key is
    among the server's, or when no server key is given. Our own public key among them is logged
    as a warning: it fits only a server with the same private key.
    """

    __slots__ = ()

    role = "client"
    peer = "server"

    def __init__(
        self, private_key: PrivateKey, server_public_key: PublicKey | Iterable[PublicKey]
    ) -> None:
        super().__init__(private_key, _server_keys(server_public_key))
        self._require_one()

    @classmethod
    def with_signer(
        cls,
        public_key: PublicKey,
        sign: Sign,
        server_public_key: PublicKey | Iterable[PublicKey],
    ) -> Self:
        """Credentials whose private key is elsewhere, and is asked to sign through *sign*.

        *public_key* belongs to it. *sign* is called with the bytes to be signed, some 150, and
        returns the Ed25519 signature of them as they are, 64 bytes, or an awaitable of it: so it
        may be an async function. A plain one runs in the event loop and mustn't block. It is
        called once for the certificate and once for each connection, within the time that the
        handshake has. What it returns is checked. Where it raises, or returns anything but a
        signature by that key, connecting fails with CredentialsUnavailable, whose cause tells
        which (TypeError: not bytes, InvalidKey: no signature by the key).

        Raises InvalidKey as the constructor does, and TypeError where *sign* can't be called.
        """
        self = cls.__new__(cls)
        signer = Signer(load_public_key(public_key, name="public_key"), sign)
        Credentials.__init__(self, generate_private_key(), _server_keys(server_public_key), signer)
        self._require_one()
        return self

    def _require_one(self) -> None:
        if not self._allowed:
            raise InvalidKey("a client needs at least one server public key")

    @property
    def server_public_keys(self) -> tuple[bytes, ...]:
        """The accepted server keys, 32 raw bytes each."""
        return self._allowed


class ServerCredentials(Credentials):
    """A server's private key, and the list of clients it lets in, which may change any time.

    *client_public_keys* may be empty: then nobody gets in until `replace` brings some. Keys
    come in the forms that `load_private_key` and `load_public_key` take; raises InvalidKey,
    which names the argument, when one is wrong, or our own private key. Our own public key
    among them is logged as a warning.
    """

    __slots__ = ("_callbacks",)

    role = "server"
    peer = "client"

    def __init__(self, private_key: PrivateKey, client_public_keys: Iterable[PublicKey]) -> None:
        super().__init__(private_key, _named(_CLIENT_KEYS, client_public_keys))
        self._callbacks: dict[object, RemovalCallback] = {}

    @property
    def client_public_keys(self) -> tuple[bytes, ...]:
        """The clients that are let in, 32 raw bytes each, in the order given, without repeats."""
        return self._allowed

    def replace(self, client_public_keys: Iterable[PublicKey]) -> None:
        """Let in exactly the clients of this list from now on.

        All keys are read first: raises InvalidKey when any is wrong, and then nothing has
        changed. Handshakes that end after the call go by the new list. When keys were removed,
        all subscribers are called before it returns; should one raise, its exception comes out
        after the others were called, with the new list in force.
        """
        listed = self._load(_named(_CLIENT_KEYS, client_public_keys))
        removed = frozenset(self._allowed) - frozenset(listed)
        self._allowed = listed
        if removed:
            # The stack calls every one of them, also when an earlier one has raised.
            with contextlib.ExitStack() as stack:
                for callback in reversed(self._callbacks.values()):
                    stack.callback(callback, removed)

    def subscribe(self, callback: RemovalCallback) -> Callable[[], None]:
        """Have *callback* called with the removed keys by each `replace` that removes some.

        It is called synchronously: a server closes the connections of these keys in it. Returns
        a function that ends the subscription; calling it again does nothing.
        """
        token = object()
        self._callbacks[token] = callback

        def unsubscribe() -> None:
            self._callbacks.pop(token, None)

        return unsubscribe


def _server_keys(keys: PublicKey | Iterable[PublicKey]) -> list[tuple[str, PublicKey]]:
    """The keys that a client accepts, each with the name that an error gives it."""
    name = "server_public_key"
    if isinstance(keys, Iterable) and not isinstance(keys, bytes | bytearray | memoryview | str):
        return _named(name, keys)
    return [(name, keys)]


def _named(name: str, keys: Iterable[PublicKey]) -> list[tuple[str, PublicKey]]:
    """The keys of the argument *name*, each with the name that an error gives it."""
    if isinstance(keys, bytes | bytearray | memoryview | str | Ed25519PublicKey):
        # Bytes are an iterable too, of numbers: the mistake deserves its name.
        raise InvalidKey(
            f"{name}: expected an iterable of public keys, got a single one: put it into a list"
        )
    if not isinstance(keys, Iterable):
        raise InvalidKey(f"{name}: expected an iterable of public keys, got: {kind_of(keys)}")
    return [(f"{name}[{index}]", key) for index, key in enumerate(keys)]
