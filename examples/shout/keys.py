"""Who is who in this example. Real keys are made with ``generate_private_key`` and kept secret."""

from __future__ import annotations

from wirecore_trio import tls

#: Private keys, 32 bytes each: fit for an example and nothing else.
SERVER = bytes([1]) * 32
CLIENT = bytes([2]) * 32


def public(private_key: bytes) -> bytes:
    """The public key of *private_key*."""
    return tls.public_key_of(tls.load_private_key(private_key))
