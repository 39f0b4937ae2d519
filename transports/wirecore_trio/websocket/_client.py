"""Dialling: ``connect`` for one connection, ``reconnecting`` for one after another."""

from __future__ import annotations

import ssl
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias, TypedDict, Unpack

import trio

from wirecore import errors
from wirecore.websocket import ClientHandshake
from wirecore.websocket.client import check_request
from wirecore.websocket.http import UserField, UserFields, encode_value, header_fields

from .._arguments import (
    require_async,
    require_known,
    require_seconds,
    require_type,
    require_words,
)
from .._connecting import OneAfterAnother, OneConnection
from .._dial import (
    SocketOption,
    Target,
    deadline_after,
    environment_proxy,
    fail_after,
    open_link,
    parse_url,
    secure,
)
from .._link import Link, link_for
from .._supervise import RetryPolicy
from .._upgrade import upgrade_client
from ._connection import WebSocket, websocket_of
from ._opened import Opened, Upgraded
from ._options import Options

if TYPE_CHECKING:
    from wirecore._backend import Backend


@dataclass(frozen=True, slots=True, repr=False)
class Prepared:
    """What ``prepare`` returns: the URL and the headers of one attempt.

    *headers*: (name, value) pairs, or a mapping. Raises TypeError for other types, InvalidOption
    for what is no WebSocket URL and for headers that can't be sent.
    """

    url: str
    headers: UserFields = ()

    def __post_init__(self) -> None:
        target = parse_url(self.url)
        headers = header_fields("headers", self.headers)
        check_request(target.resource, headers, ())
        object.__setattr__(self, "headers", headers)

    def __repr__(self) -> str:
        # URL and headers are where credentials are.
        return f"<Prepared for {parse_url(self.url).name}>"


#: Asked before each attempt, so that no reconnect uses stale credentials.
Prepare: TypeAlias = Callable[[], Awaitable[Prepared]]


class Dialing(TypedDict, total=False):
    """What all that dial take besides the URL; :class:`DialOptions` says of each what it is."""

    prepare: Prepare | None
    headers: UserFields
    origin: str | None
    ssl_context: ssl.SSLContext | None
    server_hostname: str | None
    proxy: str | bool | None
    unix_path: str | None
    socket_options: Sequence[SocketOption]
    happy_eyeballs_delay: float


class DialOptions(Dialing, total=False):
    """What :func:`connect` and :func:`reconnecting` take besides the URL.

    *prepare*: an async function asked before each attempt for a :class:`Prepared` URL and
    headers, so that no reconnect uses stale credentials. *headers* go with the request:
    (name, value) pairs, or a mapping.
    *subprotocols* are offered, in order of preference; *origin* is the Origin field.
    *ssl_context*, *server_hostname*: trust for ``wss``; the default verifies chain and name.
    *proxy*: a URL (``http://``, ``socks5://``, ...), or True for the one the environment names;
    None, the default, asks nobody. *unix_path*: connect to this Unix socket instead of the
    URL's host. *socket_options*: (level, name, value), set once connected.
    *happy_eyeballs_delay*: seconds before the next address of the host is tried beside the
    last one (RFC 8305). *options*: see :class:`Options`. *backend*: the codec, for tests.
    """

    subprotocols: Sequence[str]
    options: Options
    backend: Backend | None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Dialer:
    """All that is needed to dial, any number of times; see :class:`DialOptions`."""

    url: str | None
    prepare: Prepare | None = None
    headers: UserFields = ()
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
        self._check_types()
        if (self.url is None) == (self.prepare is None):
            raise errors.InvalidOption("give either a URL or prepare=, and not both")
        target = None if self.url is None else parse_url(self.url)
        if target is not None and not target.secure and self.ssl_context:
            raise errors.InvalidOption(
                "ssl_context= is for wss://, and the URL begins with ws://, which has no TLS"
            )
        if self.ssl_context and self.ssl_context.protocol is ssl.PROTOCOL_TLS_SERVER:
            raise errors.InvalidOption(
                "ssl_context is a server's: make it with ssl.create_default_context()"
            )
        object.__setattr__(self, "headers", header_fields("headers", self.headers))
        object.__setattr__(self, "subprotocols", tuple(self.subprotocols))
        check_request("/" if target is None else target.resource, self.headers, self.subprotocols)
        encode_value("origin", self.origin or "")

    def _check_types(self) -> None:
        require_type("url", self.url, str, optional=True)
        require_async("prepare", self.prepare, optional=True)
        require_words("subprotocols", self.subprotocols)
        for name in ("origin", "server_hostname", "unix_path"):
            require_type(name, getattr(self, name), str, optional=True)
        require_type("ssl_context", self.ssl_context, ssl.SSLContext, optional=True)
        require_type("proxy", self.proxy, (str, bool), optional=True)
        require_seconds("happy_eyeballs_delay", self.happy_eyeballs_delay, optional=False)
        require_type("options", self.options, Options)

    def __repr__(self) -> str:
        return f"<Dialer of {self.name}>"  # the URL and the headers hold credentials

    @property
    def name(self) -> str:
        """The peer's name for logs; it holds no secret."""
        return "the prepared URL" if self.url is None else parse_url(self.url).name

    async def dial(self) -> WebSocket:
        """One attempt. Raises as :meth:`open`."""
        return websocket_of(await self.open())

    async def open(self, asking: Callable[[], None] | None = None) -> Upgraded:
        """One attempt, as far as the upgrade. *asking*: called before that is asked for.

        Raises OSError, HandshakeError, UpgradeRejected, a LocalError.
        """
        name = self.name
        timeout = self.options.open_timeout
        try:
            with trio.CancelScope(deadline=deadline_after(timeout)):
                url, headers = await self._prepared()
                target = parse_url(url)
                name = target.name
                return await self._connect(target, headers, asking)
        except errors.RemoteError as error:
            error.args = (f"{name}: {error}",)  # its first line is all that most logs have
            raise
        raise TimeoutError(
            f"not connected to {name} within {timeout:g} s: is it reachable, and is "
            "open_timeout long enough?"
        )

    async def _prepared(self) -> tuple[str, list[UserField]]:
        headers = [*header_fields("headers", self.headers)]
        if self.prepare is None:
            assert self.url is not None
            return self.url, headers
        prepared = await self.prepare()
        require_type("what prepare returns", prepared, Prepared)
        return prepared.url, [*headers, *header_fields("headers", prepared.headers)]

    async def _connect(
        self, target: Target, headers: list[UserField], asking: Callable[[], None] | None
    ) -> Upgraded:
        link: Link = await open_link(
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
            if asking is not None:
                asking()
            return await self.open_over(link, target, headers, in_clear=not target.secure)
        except BaseException:
            link.close()
            raise

    def _proxy_for(self, target: Target) -> str | None:
        if self.proxy is True:
            return environment_proxy(target)
        return self.proxy or None

    async def open_over(
        self,
        link: Link,
        target: Target,
        headers: Iterable[UserField],
        *,
        in_clear: bool = False,
    ) -> Upgraded:
        """The upgrade over *link*.

        *in_clear*: whether a server that says nothing may have wanted TLS.
        """
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
        try:
            accepted = await upgrade_client(link, handshake)
        except errors.HandshakeError as error:
            if in_clear and handshake.unanswered:
                error.args = (f"{error}: does it want wss://?",)
            raise
        opened = Opened(True, accepted, self.options, backend=self.backend)
        return Upgraded(link, opened, handshake.leftover)


class Connecting(OneConnection[WebSocket]):
    """What :func:`connect` returns: ``async with`` it."""

    _use = "use async with connect(...) as ws"


def connect(
    url: str | None = None, *, retry: RetryPolicy | None = None, **dialing: Unpack[DialOptions]
) -> Connecting:
    """Connect to a WebSocket server: ``async with connect("ws://127.0.0.1:8000/") as ws: ...``.

    *url*: ``ws://`` or ``wss://``; it may be left out where ``prepare`` gives one. *retry*: try
    again as it says; None: one attempt. The other arguments: :class:`DialOptions`.

    Entering raises OSError (TimeoutError after ``open_timeout``), UpgradeRejected,
    HandshakeError, or a LocalError for wrong arguments; the call itself raises TypeError and
    InvalidOption for those it can tell. Leaving closes the connection; an
    exception of the body arrives as itself.
    """
    return Connecting(make_dialer("connect", url, retry, dialing), retry)


class Reconnecting(OneAfterAnother[WebSocket]):
    """What :func:`reconnecting` returns: an async context manager of connections."""

    _use = "use async with reconnecting(...) as connections, and async for ws in connections"


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
    dialer = make_dialer("reconnecting", url, retry, dialing)
    return Reconnecting(dialer, retry or RetryPolicy())


def make_dialer(
    function: str, url: str | None, retry: RetryPolicy | None, dialing: DialOptions
) -> Dialer:
    """What dials as *function* was asked to; raises TypeError and InvalidOption in its name."""
    require_known(function, dialing, DialOptions.__optional_keys__)
    require_type("retry", retry, RetryPolicy, optional=True, hint="give RetryPolicy(attempts=...)")
    return Dialer(url, **dialing)


async def wrap_client(
    stream: trio.abc.Stream,
    url: str = "ws://localhost/",
    *,
    headers: UserFields = (),
    subprotocols: Sequence[str] = (),
    origin: str | None = None,
    options: Options | None = None,
    backend: Backend | None = None,
) -> WebSocket:
    """The client's side of a WebSocket over any ``trio.abc.Stream``, which it then owns.

    *url* gives path and Host; its scheme doesn't matter (TLS is the stream's matter). Raises
    UpgradeRejected, HandshakeError, TimeoutError; the stream is then closed. TypeError and
    InvalidOption for wrong arguments leave it open.
    """
    require_type("stream", stream, trio.abc.Stream)
    dialer = Dialer(
        url,
        headers=headers,
        subprotocols=subprotocols,
        origin=origin,
        options=Options() if options is None else options,
        backend=backend,
    )
    link = link_for(stream)
    try:
        with fail_after(dialer.options.open_timeout, "no answer to the upgrade request"):
            target = parse_url(url)
            upgraded = await dialer.open_over(link, target, header_fields("headers", headers))
            return websocket_of(upgraded)
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
    "make_dialer",
    "reconnecting",
    "wrap_client",
]
