"""Where a server is: reading ``HOST:PORT``, and naming it in what a dial raises."""

from __future__ import annotations

import re
from typing import Final

from wirecore import errors

from .._arguments import require_type
from .._network import Accepted, name_of_peer

#: What stands in other places of a URL, blanks, and control characters: a name that holds one is
#: found nowhere, and would be looked for for ever.
_NO_HOST: Final = re.compile(r"[\s\x00-\x1f\x7f/\\?#@]")


def parse_address(address: str, *, lowest_port: int = 1) -> tuple[str, int]:
    """Host, without brackets, and port of *address*. Raises TypeError, InvalidOption.

    *lowest_port*: 0 where it is to listen on, as 0 is any free one then.
    """
    require_type("address", address, str)
    scheme, found, rest = address.partition("://")
    if found:
        raise errors.InvalidOption(
            f"an address is HOST:PORT without a scheme, as {rest.partition('/')[0]!r}, "
            f"not {scheme}://...: wsrpc is always over TLS"
        )
    host, colon, port = address.rpartition(":")
    if not (colon and host and port.isascii() and port.isdecimal()):
        raise errors.InvalidOption(
            f"an address is HOST:PORT, as '127.0.0.1:1337' or '[::1]:1337', not {address!r}"
        )
    if not lowest_port <= int(port) < 65536:
        raise errors.InvalidOption(
            f"{address!r} isn't an address: its port isn't {lowest_port} to 65535"
        )
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host or "[" in host or "]" in host:
        raise errors.InvalidOption(
            f"an address is HOST:PORT, an IPv6 one in brackets, as '[::1]:1337', not {address!r}"
        )
    strange = _NO_HOST.search(host)
    if strange is not None:
        raise errors.InvalidOption(
            f"{host!r} can't be a host's name: {strange[0]!r} isn't part of one"
        )
    try:
        host.encode("idna")  # what looking it up begins with
    except UnicodeError as error:
        raise errors.InvalidOption(f"{host!r} can't be a host's name: {error}") from None
    return host, int(port)


def show_address(host: str, port: int) -> str:
    """*host* and *port* as :func:`parse_address` reads them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def peer_address(sock: Accepted) -> str:
    """Where the other end of *sock* is, for logs."""
    try:
        address = name_of_peer(sock)
    except OSError:  # it has gone already
        return "an address that is gone"
    if isinstance(address, tuple):
        return show_address(address[0], address[1])
    return "a Unix socket"


def name_failure(error: Exception, host: str, port: int) -> None:
    """Have the text of *error*, which a dial raised, say where it was to."""
    address = show_address(host, port)
    text = str(error)
    if address in text or f"{host} port {port}" in text:
        return
    if isinstance(error, OSError) and error.strerror is not None:
        error.strerror = f"{address}: {error.strerror}"
    else:
        error.args = (f"{address}: {text or type(error).__name__}",)
