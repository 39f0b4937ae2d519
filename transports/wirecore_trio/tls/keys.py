"""Ed25519 keys in the forms people keep them in: raw bytes, PEM, ``cryptography`` objects.

Inside the package a private key is an ``Ed25519PrivateKey`` and a public key its 32 raw bytes
(RFC 8032 section 5.1.5), which is what the peers compare. No message holds any part of a
private key.
"""

from __future__ import annotations

from os import PathLike
from typing import Final, TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa

from wirecore.errors import InvalidKey
from wirecore.events import Buffer

from .key_forms import (
    OPENSSH_PRIVATE,
    PEM_START,
    PRIVATE_FORMS,
    PUBLIC_FORMS,
    form_of,
    label_of,
)

PrivateKey: TypeAlias = Buffer | str | ed25519.Ed25519PrivateKey
PublicKey: TypeAlias = Buffer | str | ed25519.Ed25519PublicKey

#: Bytes of a raw public key, and of the seed that a private key is made from.
KEY_SIZE: Final = 32

#: Bytes of a private key as Go keeps it: the seed and the public key behind it.
GO_PRIVATE_KEY_SIZE: Final = 64

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


def load_private_key(key: PrivateKey, *, name: str = "private key") -> ed25519.Ed25519PrivateKey:
    """Make a private key of *key*.

    *key*: the 32 bytes of the seed; Go's 64 bytes (seed and public key); PEM (PKCS8, not
    encrypted) as bytes or text; or an ``Ed25519PrivateKey``, which is returned as it is.
    *name*: what errors call it.

    Raises InvalidKey when it is none of these, when its length is wrong, and when the public
    half of Go's 64 bytes doesn't belong to the seed.
    """
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key
    raw = _to_bytes(key, name, "private", PRIVATE_FORMS)
    if PEM_START in raw:
        return _private_from_pem(raw, name)
    if len(raw) not in (KEY_SIZE, GO_PRIVATE_KEY_SIZE):
        raise _wrong_length(
            raw, name, f"{GO_PRIVATE_KEY_SIZE}, or {KEY_SIZE} for a seed", "private", PRIVATE_FORMS
        )
    private = ed25519.Ed25519PrivateKey.from_private_bytes(raw[:KEY_SIZE])
    if len(raw) == GO_PRIVATE_KEY_SIZE and public_key_of(private) != raw[KEY_SIZE:]:
        form = form_of(raw)
        if form is not None:
            raise InvalidKey(f"{name}: {form}")
        raise InvalidKey(
            f"{name}: of 64 bytes the second half must be the public key of the first, and isn't"
        )
    return private


def load_public_key(key: PublicKey, *, name: str = "public key") -> bytes:
    """The 32 raw bytes of the public key *key*.

    *key*: these bytes; PEM (SubjectPublicKeyInfo) as bytes or text; or an ``Ed25519PublicKey``.
    *name*: what errors call it. 32 raw bytes look alike whatever they are: the seed of a
    private key, passed by mistake, can't be told from a public key, and would be shown to
    peers and logs as one.

    Raises InvalidKey when it is none of these, when its length is wrong, when it is a private
    key in a form that shows it, and when it is one of the few points of small order, for which
    signatures can be made without a private key.
    """
    if isinstance(key, ed25519.Ed25519PublicKey):
        raw = key.public_bytes_raw()
    else:
        raw = _to_bytes(key, name, "public", PUBLIC_FORMS)
        if PEM_START in raw:
            raw = _public_from_pem(raw, name)
    if len(raw) != KEY_SIZE:
        if _is_go_private(raw):
            raise InvalidKey(
                f"{name}: invalid key length: {GO_PRIVATE_KEY_SIZE}, expected: {KEY_SIZE}: this is "
                "a private key, seed and public key, as Go keeps it. Keep it secret, and give "
                "the second half, which is its public key"
            )
        raise _wrong_length(raw, name, str(KEY_SIZE), "public", PUBLIC_FORMS)
    if int.from_bytes(raw, "little") & ~_SIGN_BIT in _SMALL_ORDER_Y:
        raise InvalidKey(
            f"{name}: {raw.hex()} is a point of small order: "
            "anybody could sign for it, and no key generator makes it"
        )
    return raw


def generate_private_key() -> ed25519.Ed25519PrivateKey:
    """A new private key from the operating system's random numbers."""
    return ed25519.Ed25519PrivateKey.generate()


def public_key_of(private_key: PrivateKey) -> bytes:
    """The 32 raw bytes of the public key that belongs to *private_key*.

    It comes in any form that :func:`load_private_key` takes. Raises InvalidKey as that does.
    """
    return load_private_key(private_key).public_key().public_bytes_raw()


def kind_of(key: object) -> str:
    """What to call *key*, of ``cryptography``'s classes, in a message: "RSA public key"."""
    for kind, name in _KINDS:
        if isinstance(key, kind):
            return f"{name} key"
    return type(key).__name__


def _is_go_private(raw: bytes) -> bool:
    if len(raw) != GO_PRIVATE_KEY_SIZE:
        return False
    private = ed25519.Ed25519PrivateKey.from_private_bytes(raw[:KEY_SIZE])
    return public_key_of(private) == raw[KEY_SIZE:]


def _wrong_length(raw: bytes, name: str, expected: str, side: str, forms: str) -> InvalidKey:
    form = form_of(raw)
    return InvalidKey(
        f"{name}: invalid key length: {len(raw)}, expected: {expected}"
        + (f"; it looks like {form}" if form is not None else "")
        + f" (a {side} key is given as {forms})"
    )


def _to_bytes(key: object, name: str, side: str, forms: str) -> bytes:
    if isinstance(key, bytes | bytearray | memoryview):
        return bytes(key)
    if isinstance(key, str):
        if PEM_START.decode() not in key:
            form = form_of(key)
            raise InvalidKey(
                f"{name}: {form}"
                if form is not None
                else f"{name}: text must be PEM, and this isn't: if it is a file's name, give what "
                f"the file holds (a {side} key is given as {forms})"
            )
        return key.encode()
    if isinstance(key, PathLike):
        raise InvalidKey(
            f"{name}: expected an Ed25519 {side} key, got a path: "
            "give what its file holds, its read_bytes()"
        )
    hint = "give its public_key(); " if isinstance(key, ed25519.Ed25519PrivateKey) else ""
    raise InvalidKey(
        f"{name}: expected an Ed25519 {side} key, got: {kind_of(key)} "
        f"({hint}a {side} key is given as {forms})"
    )


def _private_from_pem(pem: bytes, name: str) -> ed25519.Ed25519PrivateKey:
    if OPENSSH_PRIVATE in pem:
        raise InvalidKey(
            f"{name}: an OpenSSH private key: load it with cryptography's load_ssh_private_key"
        )
    # "from None": what the parser says of a private key stays out of the traceback.
    try:
        private = serialization.load_pem_private_key(pem, password=None)
    except TypeError:
        raise InvalidKey(f"{name}: the PEM private key is encrypted: decrypt it first") from None
    except (ValueError, UnsupportedAlgorithm):
        raise InvalidKey(
            f"{name}: the PEM text has {label_of(pem)}, and holds no readable PKCS8 private key"
        ) from None
    if not isinstance(private, ed25519.Ed25519PrivateKey):
        raise InvalidKey(f"{name}: expected an Ed25519 private key, got: {kind_of(private)}")
    return private


def _public_from_pem(pem: bytes, name: str) -> bytes:
    try:
        public = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        # The text may be a private key passed by mistake: its content isn't for a traceback.
        raise InvalidKey(
            f"{name}: the PEM text has {label_of(pem)}, and holds no readable SubjectPublicKeyInfo"
        ) from None
    if not isinstance(public, ed25519.Ed25519PublicKey):
        raise InvalidKey(f"{name}: expected an Ed25519 public key, got: {kind_of(public)}")
    return public.public_bytes_raw()
