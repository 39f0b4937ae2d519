"""How a wsrpc connection behaves: one frozen object of options for each side's defaults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from wirecore.errors import InvalidOption
from wirecore.protocols.wsrpc import PING_INTERVAL, PONG_TIMEOUT
from wirecore.session.limits import MAX_SIZE, check_at_least, check_at_most, check_seconds

from .._arguments import require_int, require_seconds
from .._rhythm import check_eager_wait

#: None of these is the side's own default.
_SIDE_KNOWS: Final = frozenset({"max_message_size", "max_send_size", "max_handler_threads"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Bounds and times of one connection; sizes in bytes, times in seconds, None is "never".

    *max_message_size*: the longest message taken from the peer; None: the side's default, which
    is 100,000,000 for a client and 10,000,000 for a server, as the Go side has it.
    *max_send_size*: the longest message sent; None: what the peer takes by its own default.
    *max_pending_calls*: calls without an answer yet. *call_timeout*: for each call; cancel
    scopes are yours to use besides.
    *max_handlers*, *max_handler_bytes*: requests being handled, and their size together; one
    more is answered with an error at once, and the reader never pauses.
    *max_handler_threads*: handlers that block, in threads, at once for one peer; more wait for
    their turn, and count as being handled. None: on a server a quarter of its ``max_threads``,
    so that no peer can take them all, and on a client all 40. The wait is part of
    *handler_timeout*.
    *handler_timeout*: a handler that takes longer is cancelled and answered with an error (only
    async ones can be).
    *on_disconnect*: whether handlers "finish" or are told to "cancel" when their connection is
    lost.
    *high_water*: calls wait while more than this waits to be sent.
    *max_queued_bytes*: answers that the peer doesn't read may pile up to this; then it is cut.
    *ping_interval*, *ping_timeout*: a ping every interval; a peer is given up so long after
    its last pong.
    *write_timeout*: how long a peer may take nothing of what is owed to it.
    *open_timeout*: for TLS and upgrade (and, on a client, dialling) together.
    *eager_wait*: where one call follows the other within microseconds, on one connection of the
    run alone, the thread may be held so long for what comes next, some times in a row, in place
    of a pass of trio's loop, which takes longer. Other tasks wait meanwhile. Where the peer is so
    near that it pays, the thread doesn't sleep for the first 0.1 ms, but leaves its core to any
    process that wants it. 0 turns it off.

    Raises InvalidOption for a value out of its bounds, TypeError for one of a wrong type.
    """

    max_message_size: int | None = None
    max_send_size: int | None = None
    max_pending_calls: int = 100_000
    call_timeout: float | None = 60.0
    max_handlers: int = 4096
    max_handler_bytes: int = 64 * 1024 * 1024
    max_handler_threads: int | None = None
    handler_timeout: float | None = None
    on_disconnect: Literal["finish", "cancel"] = "finish"
    high_water: int = 1024 * 1024
    max_queued_bytes: int = 64 * 1024 * 1024
    ping_interval: float | None = PING_INTERVAL
    ping_timeout: float | None = PONG_TIMEOUT
    write_timeout: float | None = 10.0
    open_timeout: float | None = 10.0
    eager_wait: float = 0.0002

    def __post_init__(self) -> None:
        for name in (
            "max_message_size",
            "max_send_size",
            "max_pending_calls",
            "max_handlers",
            "max_handler_bytes",
            "max_handler_threads",
            "high_water",
            "max_queued_bytes",
        ):
            value = getattr(self, name)
            if value is None and name in _SIDE_KNOWS:
                continue
            require_int(name, value)
            check_at_least(name, value, 1)
            check_at_most(name, value, MAX_SIZE)
        for name in (
            "call_timeout",
            "handler_timeout",
            "ping_interval",
            "ping_timeout",
            "write_timeout",
            "open_timeout",
        ):
            require_seconds(name, getattr(self, name))
            check_seconds(name, getattr(self, name))
        require_seconds("eager_wait", self.eager_wait, optional=False)
        check_eager_wait(self.eager_wait)
        if self.on_disconnect not in ("finish", "cancel"):
            raise InvalidOption(
                f"on_disconnect must be 'finish' or 'cancel', not {self.on_disconnect!r}"
            )
