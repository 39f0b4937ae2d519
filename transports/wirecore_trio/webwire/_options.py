"""How servers and clients behave: a frozen object of options for each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from wirecore.errors import InvalidOption
from wirecore.protocols.webwire import AcceptConf, accept_conf
from wirecore.session import Backoff, CallLimits, Limits
from wirecore.session.limits import check_at_least, check_seconds

from .._arguments import require_int, require_seconds, require_type
from .._rhythm import check_eager_wait
from .._supervise import RetryPolicy
from ..websocket import _options as _websocket

#: Bytes that may wait to be sent before senders wait.
_HIGH_WATER: Final = 1024 * 1024

#: Bytes that may wait to be sent at all: a peer that reads nothing is cut beyond.
_MAX_QUEUED: Final = 64 * 1024 * 1024


def subprotocol_bytes(name: str) -> bytes:
    """*name* as it goes over the wire. Raises TypeError, and InvalidOption where it can't go."""
    require_type("subprotocol", name, str)
    try:
        return name.encode()
    except UnicodeEncodeError as error:
        raise InvalidOption(f"subprotocol can't be encoded: {error.reason}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """Bounds and times of a server's connections; sizes in bytes, times in seconds.

    *buffer_size*: the longest message in either direction, its header included; clients must be
    set to the same. 0: the default; below 32: an error. *read_timeout*: a client that sends
    nothing for so long is dropped; clients send heartbeats to prevent that. Below 1: the default.
    *subprotocol*: what is spoken inside of webwire, told to the clients.
    *concurrency*: handlers of one connection that run at once; 0 or 1: one after another, in
    order; below 0: any number. *max_queue*, *max_queue_bytes*: messages that wait for a handler
    of theirs to begin; beyond, their connection isn't read until it has room.
    *max_session_connections*: connections that may use one session at once; 0: any number.
    *max_handler_threads*: plain handlers of one connection that run at once, in threads, and
    *max_threads*: of all of them. *on_disconnect*: whether handlers "finish" or are told to
    "cancel" when their connection is lost.
    *high_water*: ``signal`` waits while more than this waits to be sent. *max_queued_bytes*: a
    client that doesn't read its replies is cut when more than this does.
    *write_timeout*: how long a client may take nothing of what is owed to it; None: for ever.
    *open_timeout*: for TLS and the upgrade. *close_timeout*: how long a close waits for the
    client's. *eager_wait*: see :class:`wirecore_trio.websocket.Options`.

    Raises InvalidOption for a value out of its bounds, TypeError for one of another type.
    """

    buffer_size: int = 8192
    read_timeout: float = 60.0
    subprotocol: str = ""
    concurrency: int = 1
    max_queue: int = 1024
    max_queue_bytes: int = 4 * 1024 * 1024
    max_session_connections: int = 0
    max_handler_threads: int = 10
    max_threads: int = 40
    on_disconnect: Literal["finish", "cancel"] = "finish"
    high_water: int = _HIGH_WATER
    max_queued_bytes: int = _MAX_QUEUED
    write_timeout: float | None = 60.0
    open_timeout: float | None = 10.0
    close_timeout: float = 5.0
    eager_wait: float = 0.0002
    conf: AcceptConf = field(init=False, repr=False)

    def __post_init__(self) -> None:
        for name in ("buffer_size", "concurrency", "max_session_connections"):
            require_int(name, getattr(self, name))
        require_seconds("read_timeout", self.read_timeout, optional=False)
        conf = accept_conf(self.read_timeout, self.buffer_size, subprotocol_bytes(self.subprotocol))
        object.__setattr__(self, "conf", conf)
        for name in (
            "max_queue",
            "max_queue_bytes",
            "max_handler_threads",
            "max_threads",
        ):
            require_int(name, getattr(self, name))
            check_at_least(name, getattr(self, name), 1)
        check_at_least("max_session_connections", self.max_session_connections, 0)
        if self.on_disconnect not in ("finish", "cancel"):
            raise InvalidOption(
                f'on_disconnect must be "finish" or "cancel", not {self.on_disconnect!r}'
            )
        self.websocket()

    def websocket(self) -> _websocket.Options:
        """What of it is the WebSocket's. Raises as the class."""
        return _websocket.Options(
            limits=Limits(max_queued_bytes=self.max_queued_bytes),
            high_water=self.high_water,
            ping_interval=None,
            write_timeout=self.write_timeout,
            open_timeout=self.open_timeout,
            close_timeout=self.close_timeout,
            eager_wait=self.eager_wait,
        )


def _every_two_seconds() -> RetryPolicy:
    return RetryPolicy(backoff=Backoff.webwire)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOptions:
    """Bounds and times of a client; sizes in bytes, times in seconds.

    *request_timeout*: for each request that isn't given its own, the wait for a connection
    included; None: none. *dial_timeout*: for one attempt to connect. *retry*: when to try again;
    by default every 2 s. *restore_timeout*: for how long a session is tried to be restored, with
    new connections, while the server fails at that or doesn't answer; then it is given up, as it
    is at once where the server refuses; None: for ever.
    *buffer_size*: the longest message that is sent; the server must be set to the same.
    *max_message_size*: the longest that is taken: a server may send more than its buffer.
    *subprotocol*: what is spoken inside of webwire; the server must say the same.
    *max_pending_requests*: requests without a reply yet. *max_queue*: signals of the server's
    that wait for a handler; beyond, the connection isn't read but for replies that are due, and
    is dropped at 16 times as many.
    *high_water*, *max_queued_bytes*, *write_timeout*, *close_timeout*, *eager_wait*: as
    :class:`ServerOptions` has them.

    Raises InvalidOption for a value out of its bounds, TypeError for one of another type.
    """

    request_timeout: float | None = 60.0
    dial_timeout: float | None = 5.0
    retry: RetryPolicy = field(default_factory=_every_two_seconds)
    restore_timeout: float | None = 60.0
    buffer_size: int = 8192
    max_message_size: int = 16 * 1024 * 1024
    subprotocol: str = ""
    max_pending_requests: int = 100_000
    max_queue: int = 1024
    high_water: int = _HIGH_WATER
    max_queued_bytes: int = _MAX_QUEUED
    write_timeout: float | None = 60.0
    close_timeout: float = 5.0
    eager_wait: float = 0.0002

    def __post_init__(self) -> None:
        for name in ("buffer_size", "max_message_size", "max_pending_requests", "max_queue"):
            require_int(name, getattr(self, name))
        check_at_least("buffer_size", self.buffer_size, 32)
        check_at_least("max_queue", self.max_queue, 1)
        for name in ("request_timeout", "restore_timeout"):
            require_seconds(name, getattr(self, name))
            check_seconds(name, getattr(self, name))
        require_type("retry", self.retry, RetryPolicy)
        subprotocol_bytes(self.subprotocol)
        CallLimits(max_pending_calls=self.max_pending_requests)
        check_eager_wait(self.eager_wait)
        self.websocket()

    def websocket(self) -> _websocket.Options:
        """What of it is the WebSocket's. Raises as the class."""
        return _websocket.Options(
            limits=Limits(
                max_frame_size=self.max_message_size,
                max_message_size=self.max_message_size,
                max_queued_bytes=self.max_queued_bytes,
            ),
            high_water=self.high_water,
            ping_interval=None,
            write_timeout=self.write_timeout,
            open_timeout=self.dial_timeout,
            close_timeout=self.close_timeout,
            eager_wait=self.eager_wait,
        )
