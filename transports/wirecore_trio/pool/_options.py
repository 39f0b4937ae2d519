"""How the connections of a pool behave: a frozen object of options for each side."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from wirecore.errors import InvalidOption
from wirecore.session import CallLimits, Limits
from wirecore.session.keepalive import UnansweredPings
from wirecore.session.limits import check_at_least, check_seconds

from .._arguments import require_int, require_seconds
from .._rhythm import check_eager_wait
from ..websocket import _options as _websocket

#: What a value may be longer as a WebSocket message: the header of its call, which goes with it.
_HEADERS = 8192

_SIZES = (
    "max_message_size",
    "max_pending_calls",
    "max_handlers",
    "max_handler_bytes",
    "max_total_handlers",
    "max_handler_threads",
    "high_water",
    "max_queued_bytes",
)
_TIMES = (
    "call_timeout",
    "handler_timeout",
    "ping_interval",
    "write_timeout",
    "open_timeout",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Bounds and times that both sides have; sizes in bytes, times in seconds, None is "never".

    *call_timeout*: for each call that isn't given its own, the wait for a provider included.
    *max_message_size*: of one argument or result, in either direction. *max_pending_calls*:
    calls without an answer yet, over one connection.
    *max_handlers*, *max_handler_bytes*: calls being served, and the size of their arguments
    together; one more is answered with an error at once, and the reader never pauses.
    *max_total_handlers*: calls being served over all connections together, those of lost ones too,
    whose handlers may go on. *max_handler_threads*: those of one connection that run in threads at
    once. *handler_timeout*: a handler that takes longer is cancelled and answered with an error
    (only async ones can be).
    *on_disconnect*: whether handlers "finish" or are told to "cancel" when their connection is
    lost.
    *ping_interval*, *max_pings*: a ping every interval; when as many have no answer at the next
    one, the peer is given up. Only pongs count.
    *high_water*: a connection with more than this waiting to be sent gets no call.
    *max_queued_bytes*: a peer that doesn't read its answers is cut when more than this waits.
    *write_timeout*: how long a peer may take nothing of what is owed to it. *open_timeout*: for
    dialling, TLS and upgrade. *close_timeout*: how long a close waits for the peer's.
    *eager_wait*: see :class:`wirecore_trio.websocket.Options`.

    Raises InvalidOption for a value out of its bounds, TypeError for one of another type.
    """

    call_timeout: float | None = 60.0
    max_message_size: int = 4 * 1024 * 1024
    max_pending_calls: int = 100_000
    max_handlers: int = 4096
    max_handler_bytes: int = 64 * 1024 * 1024
    max_total_handlers: int = 16_384
    max_handler_threads: int = 40
    handler_timeout: float | None = None
    on_disconnect: Literal["finish", "cancel"] = "finish"
    ping_interval: float | None = 5.0
    max_pings: int = 2
    high_water: int = 1024 * 1024
    max_queued_bytes: int = 64 * 1024 * 1024
    write_timeout: float | None = 60.0
    open_timeout: float | None = 10.0
    close_timeout: float = 5.0
    eager_wait: float = 0.0002

    def __post_init__(self) -> None:
        for name in (*_SIZES, "max_pings"):
            require_int(name, getattr(self, name))
            check_at_least(name, getattr(self, name), 1)
        for name in _TIMES:
            require_seconds(name, getattr(self, name))
            check_seconds(name, getattr(self, name))
        if self.on_disconnect not in ("finish", "cancel"):
            raise InvalidOption(
                f'on_disconnect must be "finish" or "cancel", not {self.on_disconnect!r}'
            )
        CallLimits(max_pending_calls=self.max_pending_calls)
        check_eager_wait(self.eager_wait)
        self.websocket()

    @property
    def limits(self) -> Limits:
        """Bounds on messages and on what waits to be sent."""
        size = self.max_message_size + _HEADERS
        return Limits(
            max_frame_size=size, max_message_size=size, max_queued_bytes=self.max_queued_bytes
        )

    @property
    def patience(self) -> float:
        """*write_timeout*, as a number."""
        return math.inf if self.write_timeout is None else self.write_timeout

    def heartbeat(self) -> UnansweredPings:
        """The rule of pings for one connection."""
        return UnansweredPings(self.ping_interval, self.max_pings)

    def websocket(self) -> _websocket.Options:
        """What of it is the WebSocket's. Raises as the class."""
        return _websocket.Options(
            limits=self.limits,
            high_water=self.high_water,
            ping_interval=None,  # the pool's own rule of pings is its sessions' matter
            write_timeout=self.write_timeout,
            open_timeout=self.open_timeout,
            close_timeout=self.close_timeout,
            eager_wait=self.eager_wait,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolOptions(Options):
    """Bounds and times of a pool server; the others are :class:`Options`'.

    *balancing*: which of the providers that could take a call gets it: the one that has waited
    "longest_waiting", which is the original's rule, or that with the "least_outstanding" calls.
    *max_queue*: calls of one path that may wait for a provider; one more fails at once.
    *max_provider_calls*: calls without an answer that one provider gets at once; a provider may
    ask for less. None: any number, as the original.
    *lost*: what happens to a call whose provider is gone. "safe": it is queued again where the
    request certainly never left, or the caller said that it is idempotent; else it fails at once.
    "always": it is queued again in any case, as the original does, and may run twice. "never":
    it fails.
    *max_threads*: handlers of call-backs in threads, of all connections together.
    *welcome_timeout*: what ``on_connection`` has to welcome a connection, which is closed then.

    Raises as :class:`Options`.
    """

    balancing: Literal["longest_waiting", "least_outstanding"] = "longest_waiting"
    max_queue: int = 10_000
    max_provider_calls: int | None = None
    lost: Literal["safe", "always", "never"] = "safe"
    max_threads: int = 40
    welcome_timeout: float | None = 30.0

    def __post_init__(self) -> None:
        Options.__post_init__(self)
        for name in ("max_queue", "max_provider_calls", "max_threads"):
            value = getattr(self, name)
            if value is not None or name != "max_provider_calls":
                require_int(name, value)
                check_at_least(name, value, 1)
        require_seconds("welcome_timeout", self.welcome_timeout)
        check_seconds("welcome_timeout", self.welcome_timeout)
        if self.balancing not in ("longest_waiting", "least_outstanding"):
            raise InvalidOption(
                'balancing must be "longest_waiting" or "least_outstanding", '
                f"not {self.balancing!r}"
            )
        if self.lost not in ("safe", "always", "never"):
            raise InvalidOption(f'lost must be "safe", "always" or "never", not {self.lost!r}')


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderOptions(Options):
    """Bounds and times of a provider; the others are :class:`Options`'.

    *delay*: seconds between an attempt that failed, or a connection that was lost at once, and the
    next attempt; 0: none. *max_delay*: each delay is twice the one before, up to this; where it
    isn't above *delay* all are the same, as the original's.
    *max_attempts*: how often is dialled, successful attempts included; None: no limit.
    *persist*: whether to go on dialling where the pool refuses: an HTTP status of 3xx or 4xx, a
    certificate that one end doesn't take. The original does.

    Raises as :class:`Options`.
    """

    delay: float = 0.1
    max_delay: float = 5.0
    max_attempts: int | None = None
    persist: bool = True

    def __post_init__(self) -> None:
        Options.__post_init__(self)
        for name in ("delay", "max_delay"):
            require_seconds(name, getattr(self, name), optional=False)
            check_at_least(name, getattr(self, name), 0)
        if self.max_attempts is not None:
            require_int("max_attempts", self.max_attempts)
            check_at_least("max_attempts", self.max_attempts, 1)
        if not isinstance(self.persist, bool):
            raise TypeError(f"persist must be a bool, not {type(self.persist).__name__}")
