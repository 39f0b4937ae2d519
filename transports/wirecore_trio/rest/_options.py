"""How connections behave: a frozen object of options for each side."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from wirecore.errors import InvalidOption
from wirecore.protocols.rest.multiplexed import DEFAULT_MAX_HEAD, DEFAULT_MAX_STREAMS, PIECE
from wirecore.protocols.rest.windows import INITIAL
from wirecore.session import Backoff, Heartbeat, Limits
from wirecore.session.keepalive import UnansweredPings
from wirecore.session.limits import check_at_least, check_seconds

from .._arguments import require_int, require_seconds, require_type
from .._rhythm import check_eager_wait
from .._supervise import RetryPolicy
from ..websocket import _options as _websocket

_SIZES = (
    "max_streams",
    "max_head",
    "max_window",
    "max_body_size",
    "max_message_size",
    "high_water",
    "max_queued_bytes",
    "max_pings",
)
_TIMES = (
    "request_timeout",
    "ping_interval",
    "write_timeout",
    "open_timeout",
    "handshake_timeout",
    "app_timeout",
    "head_timeout",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Bounds and times that both sides have; sizes in bytes, times in seconds, None is "never".

    *request_timeout*: for each request that isn't given its own, up to the last byte of its
    response where that is waited for, and else up to its head.
    *max_streams*: requests of one end of a connection that are under way at once; with more, one
    waits here for another's end. What an application still does for callers that have gone, or
    have their answers, counts apart: while it serves twice as many in all, what comes is refused,
    and a peer that asks on and on is closed. *max_head*: of one head, or trailers.
    *max_window*: how much of one body may be under way, or wait to be read, where who reads it is
    fast; it begins with 64 KiB. *window_budget*: what all bodies of a connection may have beyond
    their beginnings. So a connection holds at most ``max_streams`` times 64 KiB, and the budget.
    *max_body_size*: of a response that is read as a whole, by ``request``.
    *app_timeout*: how long requests wait for an application, on a connection where there is none.
    *max_message_size*: of one message of a WebSocket that is passed through: of those that aren't
    whole all of a connection may keep ``window_budget`` once more, or one such message; and of one
    message of a peer that isn't ours, which may be a whole request or response.

    Towards a peer that isn't ours: *oversize*: whether to "refuse" a request that is longer than
    the original is sure to read (1016 bytes where its server serves, 4092 where its client does),
    or to "send" it. *head_timeout*: an application that hasn't answered by then is answered for,
    with 504: the original gives up, or worse, after 10.

    *ping_interval*: a ping so often. *max_pings*: when as many have no answer at the next one,
    a peer of ours is given up; the original answers none unless it reads, so with it that a ping
    can't be sent is all that counts. *ping_data*: goes with each ping, at most 125 bytes.
    *high_water*: who sends waits while more than this waits to be sent. *max_queued_bytes*: a
    peer that doesn't read is cut when more than this does. *write_timeout*: how long a peer may
    take nothing of what is owed to it. *open_timeout*: for dialling, TLS and the upgrade.
    *handshake_timeout*: for the three messages that follow. *close_timeout*: how long a close waits
    for the peer's. *eager_wait*: see :class:`wirecore_trio.websocket.Options`.

    Raises InvalidOption for a value out of its bounds, TypeError for one of another type.
    """

    request_timeout: float | None = 60.0
    max_streams: int = DEFAULT_MAX_STREAMS
    max_head: int = DEFAULT_MAX_HEAD
    max_window: int = 4 * 1024 * 1024
    window_budget: int = 64 * 1024 * 1024
    max_body_size: int = 64 * 1024 * 1024
    app_timeout: float | None = 30.0
    max_message_size: int = 16 * 1024 * 1024
    oversize: Literal["refuse", "send"] = "refuse"
    head_timeout: float | None = 9.0
    ping_interval: float | None = 5.0
    max_pings: int = 2
    ping_data: bytes = b""
    high_water: int = 1024 * 1024
    max_queued_bytes: int = 64 * 1024 * 1024
    write_timeout: float | None = 60.0
    open_timeout: float | None = 10.0
    handshake_timeout: float | None = 10.0
    close_timeout: float = 5.0
    eager_wait: float = 0.0002

    def __post_init__(self) -> None:
        for name in _SIZES:
            require_int(name, getattr(self, name))
            check_at_least(name, getattr(self, name), 1)
        require_int("window_budget", self.window_budget)
        check_at_least("window_budget", self.window_budget, 0)
        check_at_least("max_window", self.max_window, INITIAL)
        check_at_least("max_head", self.max_head, 1024)
        for name in _TIMES:
            require_seconds(name, getattr(self, name))
            check_seconds(name, getattr(self, name))
        require_type("ping_data", self.ping_data, bytes)
        if self.oversize not in ("refuse", "send"):
            raise InvalidOption(f'oversize must be "refuse" or "send", not {self.oversize!r}')
        check_eager_wait(self.eager_wait)
        self.heartbeat(multiplexed=True)
        self.websocket()

    def limits(self, *, multiplexed: bool) -> Limits:
        """Bounds on messages and on what waits to be sent."""
        size = self.max_head + PIECE if multiplexed else self.max_message_size
        return Limits(
            max_frame_size=size, max_message_size=size, max_queued_bytes=self.max_queued_bytes
        )

    @property
    def patience(self) -> float:
        """*write_timeout*, as a number."""
        return math.inf if self.write_timeout is None else self.write_timeout

    def heartbeat(self, *, multiplexed: bool) -> Heartbeat:
        """The rule of pings for one connection."""
        if multiplexed:
            return UnansweredPings(self.ping_interval, self.max_pings, self.ping_data)
        return Heartbeat(self.ping_interval, None, self.ping_data)

    def websocket(self) -> _websocket.Options:
        """What of it is the WebSocket's. Raises as the class."""
        return _websocket.Options(
            limits=self.limits(multiplexed=False),
            high_water=self.high_water,
            ping_interval=None,  # the rule of pings is its sessions' matter
            write_timeout=self.write_timeout,
            open_timeout=self.open_timeout,
            close_timeout=self.close_timeout,
            eager_wait=self.eager_wait,
        )


def _as_the_original() -> RetryPolicy:
    return RetryPolicy(backoff=lambda: Backoff(0.5, 1.5, 0.5, 60.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOptions(Options):
    """Bounds and times of a client; the others are :class:`Options`'.

    *retry*: when to dial again; by default after half a second, then one and a half times as
    long each time, up to a minute, spread by half. *give_up_after*: seconds without a connection
    after which the last error is raised; None: never.

    Raises as :class:`Options`.
    """

    retry: RetryPolicy = field(default_factory=_as_the_original)
    give_up_after: float | None = 900.0

    def __post_init__(self) -> None:
        Options.__post_init__(self)
        require_type("retry", self.retry, RetryPolicy)
        require_seconds("give_up_after", self.give_up_after)
        check_seconds("give_up_after", self.give_up_after)
