"""Ed25519 keys in the forms people keep them in: raw bytes, PEM, ``cryptography`` objects.

Inside the package a private key is an ``Ed25519PrivateKey`` and a public key its 32 raw bytes
(RFC 8032 section 5.1.5), which is what the peers compare. No message holds any part of a
private key.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa

from wirecore.errors import InvalidKey
from wirecore.events import Buffer

PrivateKey: TypeAlias = Buffer | str | ed25519.Ed25519PrivateKey
PublicKey: TypeAlias = Buffer | str | ed25519.Ed25519PublicKey

#: Bytes of a raw public key, and of the seed that a private key is made from.
KEY_SIZE: Final = 32

#: Bytes of a private key as Go keeps it: the seed and the public key behind it.
GO_PRIVATE_KEY_SIZE: Final = 64

_PEM_START: Final = b"-----BEGIN"

_KINDS: Final[tuple[tuple[type, str], ...]] = (
    (ed25519.Ed25519PrivateKey, "Ed25519 private"),
    (ed25519.Ed25519PublicKey, "Ed25519 public"),
    (rsa.RSAPrivateKey, "RSA private"),
    (rsa.RSAPublicKey, "RSA public"),
    (ec.EllipticCurvePrivateKey, "ECDSA private"),
    (ec.EllipticCurvePublicKey, "ECDSA public"),
    (ed448.Ed448PrivateKey, "Ed448 private"),
    (ed448.Ed448PublicKey, "Ed448 public"),
    (dsa.DSAPrivateKey, "DSA private"),
    (dsa.DSAPublicKey, "DSA public"),
)

# The y coordinates, little-endian, of the eight points whose order divides 8, and the two that
# encode such a y unreduced (p and p + 1). Whoever lists one of them as a key, say 32 zero bytes
# of a field that was never filled, lets anybody in: signatures for it need no private key.
_FIELD_PRIME: Final = 2**255 - 19
_SIGN_BIT: Final = 1 << 255
_ORDER_8_Y: Final = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_SMALL_ORDER_Y: Final = frozenset(
    {
        0,
        1,
        _ORDER_8_Y,
        _FIELD_PRIME - _ORDER_8_Y,
        _FIELD_PRIME - 1,
        _FIELD_PRIME,
        _FIELD_PRIME + 1,
    }
)


def load_private_key(key: PrivateKey) -> ed25519.Ed25519PrivateKey:
    """Make a private key of *key*.

    *key*: the 32 bytes of the seed; Go's 64 bytes (seed and public key); PEM (PKCS8, not
    encrypted) as bytes or text; or an ``Ed25519PrivateKey``, which is returned as it is.

    Raises InvalidKey when it is none of these, when its length is wrong, and when the public
    half of Go's 64 bytes doesn't belong to the seed.
    """
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key
    raw = _to_bytes(key, wanted="an Ed25519 private key")
    if raw.startswith(_PEM_START):
        return _private_from_pem(raw)
    if len(raw) not in (KEY_SIZE, GO_PRIVATE_KEY_SIZE):
        raise InvalidKey(
            f"invalid key length: {len(raw)}, expected: {GO_PRIVATE_KEY_SIZE}, "
            f"or {KEY_SIZE} for a seed"
        )
    private = ed25519.Ed25519PrivateKey.from_private_bytes(raw[:KEY_SIZE])
    if len(raw) == GO_PRIVATE_KEY_SIZE and public_key_of(private) != raw[KEY_SIZE:]:
        raise InvalidKey("the second half of the private key isn't the public key of its seed")
    return private


def load_public_key(key: PublicKey) -> bytes:
    """The 32 raw bytes of the public key *key*.

    *key*: these bytes; PEM (SubjectPublicKeyInfo) as bytes or text; or an ``Ed25519PublicKey``.

    Raises InvalidKey when it is none of these, when its length is wrong, and when it is one of
    the few points of small order, for which signatures can be made without a private key.
    """
    if isinstance(key, ed25519.Ed25519PublicKey):
        raw = key.public_bytes_raw()
    else:
        raw = _to_bytes(key, wanted="an Ed25519 public key")
        if raw.startswith(_PEM_START):
            raw = _public_from_pem(raw)
    if len(raw) != KEY_SIZE:
        raise InvalidKey(f"invalid key length: {len(raw)}, expected: {KEY_SIZE}")
    if int.from_bytes(raw, "little") & ~_SIGN_BIT in _SMALL_ORDER_Y:
        raise InvalidKey(
            f"the public key {raw.hex()} is a point of small order: "
            "anybody could sign for it, and no key generator makes it"
        )
    return raw


def generate_private_key() -> ed25519.Ed25519PrivateKey:
    """A new private key from the operating system's random numbers."""
    return ed25519.Ed25519PrivateKey.generate()


def public_key_of(private_key: ed25519.Ed25519PrivateKey) -> bytes:
    """The 32 raw bytes of the public key that belongs to *private_key*."""
    return private_key.public_key().public_bytes_raw()


def kind_of(key: object) -> str:
    """What to call *key*, of ``cryptography``'s classes, in a message: "RSA public key"."""
    for kind, name in _KINDS:
        if isinstance(key, kind):
            return f"{name} key"
    return type(key).__name__


def _to_bytes(key: object, *, wanted: str) -> bytes:
    if isinstance(key, bytes | bytearray | memoryview):
        return bytes(key)
    if isinstance(key, str):
        if not key.startswith(_PEM_START.decode()):
            raise InvalidKey(
                f"{wanted} given as text must be PEM; turn hexadecimal digits into bytes first"
            )
        return key.encode()
    raise InvalidKey(f"expected {wanted}, got: {kind_of(key)}")


def _private_from_pem(pem: bytes) -> ed25519.Ed25519PrivateKey:
    # "from None": what the parser says of a private key stays out of the traceback.
    try:
        private = serialization.load_pem_private_key(pem, password=None)
    except TypeError:
        raise InvalidKey("the PEM private key is encrypted: decrypt it first") from None
    except (ValueError, UnsupportedAlgorithm):
        raise InvalidKey("the PEM text holds no readable PKCS8 private key") from None
    if not isinstance(private, ed25519.Ed25519PrivateKey):
        raise InvalidKey(f"expected an Ed25519 private key, got: {kind_of(private)}")
    return private


def _public_from_pem(pem: bytes) -> bytes:
    try:
        public = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        # The text may be a private key passed by mistake: its content isn't for a traceback.
        raise InvalidKey("the PEM text holds no readable SubjectPublicKeyInfo") from None
    if not isinstance(public, ed25519.Ed25519PublicKey):
        raise InvalidKey(f"expected an Ed25519 public key, got: {kind_of(public)}")
    return public.public_bytes_raw()
