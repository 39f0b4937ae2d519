"""Dialling: ``connect`` for one connection, ``reconnecting`` for one after another."""

from __future__ import annotations

import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, TypeAlias, TypedDict, Unpack

import trio

from wirecore import errors
from wirecore.websocket import ClientHandshake

from .._dial import (
    SocketOption,
    Target,
    environment_proxy,
    fail_after,
    open_socket,
    parse_url,
    secure,
)
from .._errors import require_trio
from .._link import Link, link_for
from .._supervise import Redial, RetryPolicy, dial_until_open
from .._upgrade import upgrade_client
from ._connection import WebSocket
from ._options import Options

if TYPE_CHECKING:
    from wirecore._backend import Backend

Header: TypeAlias = tuple[str | bytes, str | bytes]


@dataclass(frozen=True, slots=True)
class Prepared:
    """What ``prepare`` returns: the URL and the headers of one attempt."""

    url: str
    headers: Sequence[Header] = ()


#: Asked before each attempt, so that no reconnect uses stale credentials.
Prepare: TypeAlias = Callable[[], Awaitable[Prepared]]


class DialOptions(TypedDict, total=False):
    """What :func:`connect` and :func:`reconnecting` take besides the URL.

    *prepare*: an async function asked before each attempt for a :class:`Prepared` URL and
    headers, so that no reconnect uses stale credentials. *headers* go with the request;
    *subprotocols* are offered, in order of preference; *origin* is the Origin field.
    *ssl_context*, *server_hostname*: trust for ``wss``; the default verifies chain and name.
    *proxy*: a URL (``http://``, ``socks5://``, ...), or True for the one the environment names;
    None, the default, asks nobody. *unix_path*: connect to this Unix socket instead of the
    URL's host. *socket_options*: (level, name, value), set once connected.
    *happy_eyeballs_delay*: seconds before the next address of the host is tried beside the
    last one (RFC 8305). *options*: see :class:`Options`. *backend*: the codec, for tests.
    """

    prepare: Prepare | None
    headers: Sequence[Header]
    subprotocols: Sequence[str]
    origin: str | None
    ssl_context: ssl.SSLContext | None
    server_hostname: str | None
    proxy: str | bool | None
    unix_path: str | None
    socket_options: Sequence[SocketOption]
    happy_eyeballs_delay: float
    options: Options
    backend: Backend | None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Dialer:
    """All that is needed to dial, any number of times; see :class:`DialOptions`."""

    url: str | None
    prepare: Prepare | None = None
    headers: Sequence[Header] = ()
    subprotocols: Sequence[str] = ()
    origin: str | None = None
    ssl_context: ssl.SSLContext | None = None
    server_hostname: str | None = None
    proxy: str | bool | None = None
    unix_path: str | None = None
    socket_options: Sequence[SocketOption] = ()
    happy_eyeballs_delay: float = 0.25
    options: Options = field(default_factory=Options)
    backend: Backend | None = None

    def __post_init__(self) -> None:
        if (self.url is None) == (self.prepare is None):
            raise errors.InvalidOption("give either a URL or prepare=, and not both")
        if self.url is not None:
            parse_url(self.url)

    @property
    def name(self) -> str:
        """The peer's name for logs; it holds no secret."""
        return "the prepared URL" if self.url is None else parse_url(self.url).name

    async def dial(self) -> WebSocket:
        """One attempt. Raises OSError, HandshakeError, UpgradeRejected, a LocalError."""
        with fail_after(self.options.open_timeout, "not connected"):
            return await self._dial()

    async def _dial(self) -> WebSocket:
        if self.prepare is not None:
            prepared = await self.prepare()
            url, headers = prepared.url, [*self.headers, *prepared.headers]
        else:
            assert self.url is not None
            url, headers = self.url, [*self.headers]
        target = parse_url(url)
        link: Link = await open_socket(
            target.host,
            target.port,
            unix_path=self.unix_path,
            proxy=self._proxy_for(target),
            socket_options=self.socket_options,
            happy_eyeballs_delay=self.happy_eyeballs_delay,
        )
        try:
            if target.secure:
                link = await secure(link, self.ssl_context, self.server_hostname or target.host)
            return await self.open_over(link, target, headers)
        except BaseException:
            link.close()
            raise

    def _proxy_for(self, target: Target) -> str | None:
        if self.proxy is True:
            return environment_proxy(target)
        return self.proxy or None

    async def open_over(self, link: Link, target: Target, headers: Iterable[Header]) -> WebSocket:
        """The upgrade over *link*, and the open connection."""
        sent = list(headers)
        if self.origin is not None:
            sent.append(("Origin", self.origin))
        if target.user_info is not None:
            credentials = b64encode(":".join(target.user_info).encode()).decode()
            sent.append(("Authorization", f"Basic {credentials}"))
        handshake = ClientHandshake(
            host=target.authority,
            target=target.resource,
            headers=sent,
            subprotocols=self.subprotocols,
            compression=self.options.compression,
        )
        accepted = await upgrade_client(link, handshake)
        return WebSocket(
            link,
            client=True,
            accepted=accepted,
            options=self.options,
            leftover=handshake.leftover,
            backend=self.backend,
        )


class Connecting:
    """What :func:`connect` returns: ``async with`` it."""

    def __init__(self, dialer: Dialer, retry: RetryPolicy | None) -> None:
        self._dialer = dialer
        self._retry = retry
        self._websocket: WebSocket | None = None

    async def __aenter__(self) -> WebSocket:
        require_trio()
        if self._retry is None:
            self._websocket = await self._dialer.dial()
        else:
            self._websocket = await dial_until_open(
                self._dialer.dial, self._retry, what=self._dialer.name
            )
        return self._websocket

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._websocket is not None
        await self._websocket.__aexit__(kind, error, traceback)


def connect(
    url: str | None = None, *, retry: RetryPolicy | None = None, **dialing: Unpack[DialOptions]
) -> Connecting:
    """Connect to a WebSocket server: ``async with connect("ws://127.0.0.1:8000/") as ws: ...``.

    *url*: ``ws://`` or ``wss://``; it may be left out where ``prepare`` gives one. *retry*: try
    again as it says; None: one attempt. The other arguments: :class:`DialOptions`.

    Entering raises OSError (TimeoutError after ``open_timeout``), UpgradeRejected,
    HandshakeError, or a LocalError for wrong arguments. Leaving closes the connection; an
    exception of the body arrives as itself.
    """
    return Connecting(Dialer(url, **dialing), retry)


class Reconnecting:
    """What :func:`reconnecting` returns: an async context manager of connections."""

    def __init__(self, dialer: Dialer, policy: RetryPolicy) -> None:
        self._dialer = dialer
        self._policy = policy
        self._redial = Redial(policy)
        self._websocket: WebSocket | None = None

    async def __aenter__(self) -> AsyncIterator[WebSocket]:
        require_trio()
        return self

    def __aiter__(self) -> AsyncIterator[WebSocket]:
        return self

    async def __anext__(self) -> WebSocket:
        if self._websocket is not None:
            await self._websocket.aclose()
            await self._redial.pause()
        self._websocket = await dial_until_open(
            self._dialer.dial,
            self._policy,
            what=self._dialer.name,
            backoff=self._redial.backoff,
        )
        self._redial.opened()
        return self._websocket

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._websocket is not None:
            await self._websocket.__aexit__(kind, error, traceback)


def reconnecting(
    url: str | None = None, *, retry: RetryPolicy | None = None, **dialing: Unpack[DialOptions]
) -> Reconnecting:
    """Connection after connection, for ever::

        async with reconnecting("wss://example.com/feed") as connections:
            async for ws in connections:
                try:
                    async for message in ws:
                        ...
                except websocket.ConnectionClosed as error:
                    print(f"lost ({error}); on with the next one")

    The body runs once for each connection; when it is through, the connection is closed and
    the next one dialled, after a delay that grows while connections fail or are short-lived.
    *retry* says which failures end it (its error is raised from the ``async for``); everything
    else is as in :func:`connect`. An abnormal end is raised inside the body (by ``receive`` or
    the iteration), and ends the loop unless it is caught there.
    """
    return Reconnecting(Dialer(url, **dialing), retry or RetryPolicy())


async def wrap_client(
    stream: trio.abc.Stream,
    url: str = "ws://localhost/",
    *,
    headers: Sequence[Header] = (),
    subprotocols: Sequence[str] = (),
    origin: str | None = None,
    options: Options | None = None,
    backend: Backend | None = None,
) -> WebSocket:
    """The client's side of a WebSocket over any ``trio.abc.Stream``, which it then owns.

    *url* gives path and Host; its scheme doesn't matter (TLS is the stream's matter). Raises
    UpgradeRejected, HandshakeError, TimeoutError; the stream is then closed.
    """
    dialer = Dialer(
        url,
        subprotocols=subprotocols,
        origin=origin,
        options=options or Options(),
        backend=backend,
    )
    link = link_for(stream)
    try:
        with fail_after(dialer.options.open_timeout, "no answer to the upgrade request"):
            return await dialer.open_over(link, parse_url(url), headers)
    except BaseException:
        link.close()
        raise


__all__ = [
    "Connecting",
    "DialOptions",
    "Dialer",
    "Prepare",
    "Prepared",
    "Reconnecting",
    "connect",
    "reconnecting",
    "wrap_client",
]
