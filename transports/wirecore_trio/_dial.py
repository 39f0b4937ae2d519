"""Opening the stream that a connection runs on: TCP, Unix sockets, proxies, wss."""

from __future__ import annotations

import errno
import math
import re
import socket
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Final, TypedDict, Unpack
from urllib.parse import unquote, urlsplit

import trio

from wirecore import errors

from ._arguments import require_type
from ._link import Link, SocketLink, StreamLink, socket_link
from ._network import NETWORK
from ._ssl_engine import StdlibEngine
from ._tls_link import TLSLink

#: A socket option as ``setsockopt`` takes it: level, name, value.
SocketOption = tuple[int, int, int | bytes]


@dataclass(frozen=True, slots=True)
class Target:
    """Where a ``ws`` or ``wss`` URL points."""

    secure: bool
    host: str
    port: int
    #: Path and query, as the request line has them.
    resource: str
    #: What the Host field says.
    authority: str
    #: User and password of the URL, or None.
    user_info: tuple[str, str] | None

    @property
    def name(self) -> str:
        """For logs: without what may be secret, which are user, password and query."""
        scheme = "wss" if self.secure else "ws"
        return f"{scheme}://{self.authority}{self.resource.partition('?')[0]}"


#: What is given in place of ws and wss, and what to do about it.
_OTHER_SCHEMES: Final = {
    "http": ", not http://: write ws:// in its place",
    "https": ", not https://: write wss:// in its place",
    "wsrpc": ", not wsrpc://: wsrpc is dialled by wsrpc.connect",
}


#: RFC 3986's reg-name but for percent-encoding, which nobody resolves.
_HOST: Final = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=-]+")


def parse_url(url: str) -> Target:
    """Take a WebSocket URL apart, RFC 6455 section 3.

    Raises TypeError for what isn't ``str``, and InvalidOption (a LocalError), which doesn't
    quote the URL: it may hold a password.
    """
    require_type("url", url, str)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise errors.InvalidOption(
            "the URL can't be taken apart: its port isn't 0 to 65535, or a bracket is missing"
        ) from None
    if parts.scheme not in ("ws", "wss"):
        hint = _OTHER_SCHEMES.get(parts.scheme, "")
        if url and not any(mark in url for mark in ("//", "@", "?", "#")):  # it holds no secret
            hint = f", as ws://{url} does"
        raise errors.InvalidOption(f"a WebSocket URL begins with ws:// or wss://{hint}")
    if not parts.hostname:
        raise errors.InvalidOption(
            f"a WebSocket URL names a host, as {parts.scheme}://example.com/ does"
        )
    if parts.fragment:
        raise errors.InvalidOption("a WebSocket URL has no fragment (RFC 6455 section 3)")
    secure = parts.scheme == "wss"
    default_port = 443 if secure else 80
    host = parts.hostname
    if ":" in host:
        shown = f"[{host}]"
    else:
        try:
            # One name for all: the look-up, the Host field, and the certificate.
            host = shown = host.encode("idna").decode()
        except UnicodeError:
            raise errors.InvalidOption(f"not a host name: {host!r}") from None
        if not _HOST.fullmatch(host):
            raise errors.InvalidOption(f"not a host name: {host!r}")
    path = parts.path or "/"
    return Target(
        secure=secure,
        host=host,
        port=default_port if port is None else port,
        resource=f"{path}?{parts.query}" if parts.query else path,
        authority=shown if port in (None, default_port) else f"{shown}:{port}",
        user_info=None
        if parts.username is None
        else (unquote(parts.username), unquote(parts.password or "")),
    )


def environment_proxy(target: Target) -> str | None:
    """The proxy that the environment names for *target* (``HTTPS_PROXY``, ``NO_PROXY``, ...)."""
    # Not at the top: it loads an HTTP client and an e-mail parser, which few ever need.
    import urllib.request

    if urllib.request.proxy_bypass(f"{target.host}:{target.port}"):
        return None
    proxies = urllib.request.getproxies()
    names = ("wss", "https", "socks", "all") if target.secure else ("ws", "http", "socks", "all")
    return next((proxies[name] for name in names if name in proxies), None)


class Way(TypedDict, total=False):
    """How to get there; see :func:`open_socket`."""

    unix_path: str | None
    proxy: str | None
    socket_options: Iterable[SocketOption]
    happy_eyeballs_delay: float


async def open_link(host: str, port: int, **way: Unpack[Way]) -> Link:
    """Connect as :func:`open_socket` does, unless the run has its own network. Raises OSError.

    That has neither proxies nor options of sockets.
    """
    network = NETWORK.get()
    if network is None:
        return await open_socket(host, port, **way)
    return StreamLink(await network.dial(host, port, way.get("unix_path")))


async def open_socket(
    host: str,
    port: int,
    *,
    unix_path: str | None = None,
    proxy: str | None = None,
    socket_options: Iterable[SocketOption] = (),
    happy_eyeballs_delay: float = 0.25,
) -> SocketLink:
    """Connect, and give the socket as a link.

    All addresses of *host* are tried, as RFC 8305 (happy eyeballs) has it. *proxy* is a URL
    (``http://``, ``socks4://`` or ``socks5://``); it needs the extra ``proxy``. TCP_NODELAY is
    set; *socket_options* are set as soon as the connection is there. Raises OSError, whose text
    says where to.
    """
    if unix_path is not None:
        link = await _open_unix(unix_path)
    elif proxy is not None:
        link = await _open_through_proxy(host, port, proxy)
    else:
        link = await _open_tcp(host, port, happy_eyeballs_delay)
    try:
        if unix_path is None:
            link.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for level, name, value in socket_options:
            link.socket.setsockopt(level, name, value)
    except BaseException:
        link.close()
        raise
    return link


async def _open_tcp(host: str, port: int, happy_eyeballs_delay: float) -> SocketLink:
    try:
        stream = await trio.open_tcp_stream(host, port, happy_eyeballs_delay=happy_eyeballs_delay)
    except socket.gaierror as error:
        hint = "check the spelling of the host, or give an address"
        text = f"{host}:{port}: {error.strerror}; {hint}"
        raise socket.gaierror(error.errno, text) from error
    except OSError as error:
        raise _refused(error, f"{host} port {port}") from error
    return socket_link(stream)


async def _open_unix(path: str) -> SocketLink:
    try:
        stream = await trio.open_unix_socket(path)
    except OSError as error:
        raise _refused(error, f"the Unix socket {path!r}") from error
    return socket_link(stream)


def _refused(error: OSError, where: str) -> OSError:
    """What *error* means for *where*, as an error of the same number, which decides its class.

    trio's error for a host is the only one, or has those of all addresses as its cause.
    """
    found: list[OSError] = []
    _collect(error.__cause__ or error, found)
    number = found[0].errno
    if all(one.errno == errno.ECONNREFUSED for one in found):
        text = f"{where} refused the connection: does a server listen there?"
    else:
        reasons = dict.fromkeys(one.strerror or str(one) for one in found)
        text = f"can't connect to {where}: {'; '.join(reasons)}"
    return OSError(text) if number is None else OSError(number, text)


def _collect(error: BaseException, found: list[OSError]) -> None:
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            _collect(one, found)
    elif isinstance(error, OSError):
        found.append(error)


async def _open_through_proxy(host: str, port: int, proxy: str) -> SocketLink:
    try:
        from python_socks import ProxyError
        from python_socks.async_.trio import Proxy
    except ImportError:
        raise errors.LocalError(
            "a proxy needs the package python-socks: pip install 'python-socks[trio]'"
        ) from None
    try:
        found = await Proxy.from_url(proxy).connect(dest_host=host, dest_port=port)
    except ValueError:
        # Not the URL itself: it may hold a password.
        raise errors.InvalidOption(
            "a proxy's URL begins with http://, socks4:// or socks5:// and names a host and a port"
        ) from None
    except ProxyError as error:
        raise errors.HandshakeError(f"the proxy refused the connection: {error}") from error
    return SocketLink(socket.socket(found.family, found.type, found.proto, found.detach()))


@cache
def _default_context() -> ssl.SSLContext:
    # Reading the system's certificates takes many milliseconds, in which nothing else runs.
    return ssl.create_default_context()


async def secure(link: Link, context: ssl.SSLContext | None, host: str) -> TLSLink:
    """TLS as a client over *link*, for the name *host*.

    *context* None: the standard library's default, which verifies chain and name. Raises
    PeerRefused where a certificate isn't acceptable, and HandshakeError.
    """
    context = context or _default_context()
    tls = TLSLink(link, StdlibEngine(context, server_side=False, server_hostname=host))
    await tls.handshake(speaks_next=True)
    return tls


async def secure_server(link: Link, context: ssl.SSLContext) -> TLSLink:
    """TLS as a server over *link*. Raises as :func:`secure`."""
    tls = TLSLink(link, StdlibEngine(context, server_side=True))
    await tls.handshake()
    return tls


def deadline_after(seconds: float | None) -> float:
    """trio's time in *seconds* from now; never, for None."""
    return math.inf if seconds is None else trio.current_time() + seconds


@contextmanager
def fail_after(seconds: float | None, what: str) -> Iterator[None]:
    """Raise TimeoutError, saying *what*, when the block takes longer than *seconds*."""
    with trio.CancelScope(deadline=deadline_after(seconds)) as scope:
        yield
    if scope.cancelled_caught:
        raise TimeoutError(f"{what} within {seconds:g} s")
