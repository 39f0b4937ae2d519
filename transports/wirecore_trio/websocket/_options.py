"""How a connection behaves: one frozen object of options, the same for both sides."""

from __future__ import annotations

from dataclasses import dataclass, field

from wirecore.errors import InvalidOption
from wirecore.session import Limits
from wirecore.session.limits import check_above, check_at_least, check_seconds
from wirecore.websocket import DeflateOffer

from .._arguments import require_int, require_seconds, require_type
from .._rhythm import check_eager_wait


@dataclass(frozen=True, slots=True)
class Options:
    """Bounds and times of one WebSocket; sizes in bytes, times in seconds, None is "never".

    *limits*: what the peer may send, and what may wait to be sent.
    *high_water*: ``send`` waits while more than this waits to be sent.
    *max_queue*, *max_queue_bytes*: messages received and not yet asked for, before reading
    stops (and so the peer is slowed down by TCP). One read more may lie there; in text, a
    character counts as one byte.
    *ping_interval*, *ping_timeout*: a ping every interval; the connection counts as lost so
    long after the last pong, so the timeout is the longer of the two. Without an interval
    neither counts.
    *close_timeout*: how long ``aclose`` waits for the peer's close frame.
    *write_timeout*: how long a peer may take nothing of what is owed to it.
    *open_timeout*: for everything before the connection is open: dialling, TLS and upgrade for
    a client; TLS and upgrade for a server.
    *compression*: permessage-deflate, if the peer wants it too; None: off.
    *raw_text*: text messages come as ``RawText``, their bytes as received and not validated.
    *fragment_size*: longer messages are sent in fragments of this size, so that pings and
    closes overtake them.
    *eager_wait*: where the messages of one connection, and of no other in the run, follow each
    other within microseconds, a receiver may hold the thread so long for the next one, some
    times in a row, in place of a pass of trio's loop, which takes longer. Other tasks wait
    meanwhile. Where the peer is so near that it pays, the thread doesn't sleep for the first 0.1
    ms, but leaves its core to any process that wants it. 0 turns it off.

    Raises InvalidOption for a value out of its bounds, TypeError for one of another type.
    """

    limits: Limits = field(default_factory=Limits)
    high_water: int = 256 * 1024
    max_queue: int = 1024
    max_queue_bytes: int = 1024 * 1024
    ping_interval: float | None = 20.0
    ping_timeout: float | None = 40.0
    close_timeout: float = 5.0
    write_timeout: float | None = 60.0
    open_timeout: float | None = 10.0
    compression: DeflateOffer | None = None
    raw_text: bool = False
    fragment_size: int = 1024 * 1024
    eager_wait: float = 0.0002

    def __post_init__(self) -> None:
        self._check_types()
        check_at_least("high_water", self.high_water, 1)
        check_at_least("max_queue", self.max_queue, 1)
        check_at_least("max_queue_bytes", self.max_queue_bytes, 1)
        check_at_least("fragment_size", self.fragment_size, 1)
        check_above("close_timeout", self.close_timeout, 0)
        check_eager_wait(self.eager_wait)
        for name in ("ping_interval", "ping_timeout", "write_timeout", "open_timeout"):
            check_seconds(name, getattr(self, name))
        interval, timeout = self.ping_interval, self.ping_timeout
        if interval is not None and timeout is not None and timeout <= interval:
            raise InvalidOption(
                f"ping_timeout must be above ping_interval, {interval} s, not {timeout}: it "
                "counts from the last pong, and would be over before the next ping"
            )

    def _check_types(self) -> None:
        require_type("limits", self.limits, Limits)
        for name in ("high_water", "max_queue", "max_queue_bytes", "fragment_size"):
            require_int(name, getattr(self, name))
        require_seconds("close_timeout", self.close_timeout, optional=False)
        require_seconds("eager_wait", self.eager_wait, optional=False)
        for name in ("ping_interval", "ping_timeout", "write_timeout", "open_timeout"):
            require_seconds(name, getattr(self, name))
        hint = "give DeflateOffer() for permessage-deflate"
        require_type("compression", self.compression, DeflateOffer, optional=True, hint=hint)
        require_type("raw_text", self.raw_text, bool)
