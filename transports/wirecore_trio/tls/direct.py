"""OpenSSL's own reads and writes, without what pyOpenSSL does around each of them.

Around a record of 64 bytes its calls cost more than the record itself: a buffer made and copied,
helpers asked for errors there were none of. That is a tenth of a call that goes alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from cryptography.hazmat.bindings.openssl.binding import Binding
from OpenSSL import SSL

from wirecore.events import Buffer

# What this needs beyond pyOpenSSL's documented calls; where a release lacks any of it, those do.
_AVAILABLE: Final = (
    all(hasattr(Binding.lib, name) for name in ("SSL_read", "SSL_write"))
    and hasattr(Binding, "ffi")
    and hasattr(SSL.Connection, "_raise_ssl_error")
)


def reader(connection: SSL.Connection) -> Callable[[memoryview, int], int]:
    """``connection.recv_into``: reads at most so many bytes into a buffer, and returns how many.

    Raises as that does.
    """
    ssl = getattr(connection, "_ssl", None)
    if not _AVAILABLE or ssl is None:
        return connection.recv_into
    return partial(_read, Binding.lib.SSL_read, Binding.ffi.from_buffer, connection, ssl)


def writer(connection: SSL.Connection) -> Callable[[Buffer], int]:
    """``connection.send``: writes some of the bytes given, and returns how many.

    Raises as that does.
    """
    ssl = getattr(connection, "_ssl", None)
    if not _AVAILABLE or ssl is None:
        return connection.send
    return partial(_write, Binding.lib.SSL_write, Binding.ffi.from_buffer, connection, ssl)


def _read(
    read: Callable[[Any, Any, int], int],
    from_buffer: Callable[[memoryview], Any],
    connection: Any,
    ssl: Any,
    buffer: memoryview,
    most: int,
) -> int:
    size = len(buffer)
    got = read(ssl, from_buffer(buffer), most if most < size else size)
    if got <= 0:
        connection._raise_ssl_error(ssl, got)
    return got


def _write(
    write: Callable[[Any, Any, int], int],
    from_buffer: Callable[[Buffer], Any],
    connection: Any,
    ssl: Any,
    data: Buffer,
) -> int:
    taken = write(ssl, from_buffer(data), len(data))
    if taken <= 0:
        connection._raise_ssl_error(ssl, taken)
    return taken
