"""Who is who in this example. Real keys are made with ``generate_private_key`` and kept secret."""

from __future__ import annotations

from wirecore_trio.tls import load_private_key, public_key_of

#: Private keys, 32 bytes each: fit for an example and nothing else.
SERVER = bytes([1]) * 32
CLIENTS = {"Alice": bytes([2]) * 32, "Bob": bytes([3]) * 32, "Charlie": bytes([4]) * 32}

#: Whom the server lets in. Charlie isn't listed.
ALLOWED = ("Alice", "Bob")


def public(private_key: bytes) -> bytes:
    """The public key of *private_key*."""
    return public_key_of(load_private_key(private_key))


NAMES = {public(key): name for name, key in CLIENTS.items()}
