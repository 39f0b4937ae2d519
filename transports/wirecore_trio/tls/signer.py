"""A key that signs elsewhere: in a hardware module, a key service, an agent of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Final, TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from wirecore.errors import CredentialsUnavailable, InvalidKey, kind_of

from .certificate import to_be_signed

#: Called with what is to be signed; returns the Ed25519 signature (RFC 8032 section 5.1.6, 64
#: bytes), or an awaitable of it. A plain function runs in the event loop, and mustn't block it.
Sign: TypeAlias = Callable[[bytes], bytes | Awaitable[bytes]]

_SIGNATURE_SIZE: Final = 64


class Signer:
    """The key that belongs to *public_key*, 32 raw bytes, and is asked through *sign*."""

    __slots__ = ("_certificate", "_sign", "public_key")

    def __init__(self, public_key: bytes, sign: Sign) -> None:
        if not callable(sign):
            raise TypeError(f"sign must be a function that signs bytes, not {kind_of(sign)}")
        self.public_key = public_key
        self._sign = sign
        self._certificate: bytes | None = None

    async def certificate(self) -> bytes:
        """The self-signed certificate (DER); the first call has it signed. Raises as `sign`."""
        if self._certificate is None:
            text, unsigned = to_be_signed(self.public_key)
            self._certificate = unsigned + await self.sign(text)
        return self._certificate

    async def sign(self, text: bytes) -> bytes:
        """The signature of *text*.

        Raises CredentialsUnavailable, whose cause is what *sign* has raised, or a TypeError where
        it returned anything but bytes, or an InvalidKey where these aren't a signature by the key.
        """
        try:
            answer = self._sign(text)
            return self._checked(text, await answer if isawaitable(answer) else answer)
        except Exception as error:
            raise CredentialsUnavailable(
                f"no signature by the key {self.public_key.hex()}: {kind_of(error)}: {error}"
            ) from error

    def _checked(self, text: bytes, signature: object) -> bytes:
        if not isinstance(signature, bytes | bytearray | memoryview):
            raise TypeError(f"sign must return the signature as bytes, not {kind_of(signature)}")
        signature = bytes(signature)
        if len(signature) != _SIGNATURE_SIZE:
            raise InvalidKey(
                f"sign must return the {_SIGNATURE_SIZE} bytes of an Ed25519 signature, "
                f"got {len(signature)}"
            )
        try:
            Ed25519PublicKey.from_public_bytes(self.public_key).verify(signature, text)
        except InvalidSignature:
            raise InvalidKey(
                "what sign returned isn't one: it signs with another key, or hashes first "
                "(Ed25519ph) what must be signed as it is"
            ) from None
        return signature
