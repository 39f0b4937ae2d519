"""How an engine behaves: a frozen object of options."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from wirecore.errors import InvalidOption
from wirecore.protocols.engine import Lifecycle, Retries
from wirecore.session.limits import check_above, check_at_least

from .._arguments import require_int, require_number, require_seconds, require_type
from ._messages import made_message, require_message_or_maker
from .adapters import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """A message that is sent every *interval* seconds while a connection is open.

    *message*: what is sent, or a function without ``async`` that gives it.

    Raises InvalidOption for an interval that isn't above 0, and for text with a lone surrogate,
    which no message can carry; TypeError for other types.
    """

    interval: float
    message: Message | Callable[[], Message]

    def __post_init__(self) -> None:
        require_seconds("interval", self.interval, optional=False)
        check_above("interval", self.interval, 0)
        require_message_or_maker(self.message)

    def make(self) -> Message:
        """The next one. Raises what its function does, TypeError where that gives none."""
        return made_message(self.message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Bounds and times of an engine; times are in seconds, None is "never".

    *workers*: callbacks for messages that may run side by side, at least 1. *auto_reconnect*:
    whether the engine connects again when a connection has ended.

    *retry_delay_base*, *retry_delay_max_exponent*: the first attempt of an outage is made at once,
    attempt k after ``base ** min(k, max_exponent)`` seconds. The base is a whole number, 1 at
    least, unless *fractional_delays*: then it is any number above 0. *retry_jitter*: each delay
    is spread by up to so much of itself, 0 to 1.

    *stable_after*: a connection that was open for less than that is an attempt that failed, for
    these delays, whatever ended it; None: any that was open ends the outage.

    *open_timeout*: for dialling and on_open together. *stop_timeout*: for :meth:`Engine.stop`.

    *heartbeat*: see :class:`Heartbeat`. *idle_timeout*: a connection on which no message came for
    so long is closed, and another one made.

    Raises InvalidOption that names each value out of its bounds, TypeError for other types.
    """

    workers: int = 4
    auto_reconnect: bool = True
    retry_delay_base: float = 5
    retry_delay_max_exponent: int = 1
    fractional_delays: bool = False
    retry_jitter: float = 0.0
    stable_after: float | None = None
    open_timeout: float | None = 300.0
    stop_timeout: float | None = 300.0
    heartbeat: Heartbeat | None = None
    idle_timeout: float | None = None

    def __post_init__(self) -> None:
        require_int("workers", self.workers)
        require_int("retry_delay_max_exponent", self.retry_delay_max_exponent)
        require_type("auto_reconnect", self.auto_reconnect, bool)
        require_type("fractional_delays", self.fractional_delays, bool)
        require_type("heartbeat", self.heartbeat, Heartbeat, optional=True)
        require_seconds("retry_delay_base", self.retry_delay_base, optional=False)
        require_number("retry_jitter", self.retry_jitter)
        for name in ("stable_after", "open_timeout", "stop_timeout", "idle_timeout"):
            require_seconds(name, getattr(self, name))
        problems = [problem for check in self._checks() if (problem := _problem(check))]
        if problems:
            raise InvalidOption("\n".join(problems))

    def _checks(self) -> list[Callable[[], object]]:
        return [
            lambda: check_at_least("workers", self.workers, 1),
            self._check_base,
            lambda: Retries(1, self.retry_delay_max_exponent),
            lambda: Retries(1, 1, self.retry_jitter),
            lambda: _check_timeout("stable_after", self.stable_after),
            lambda: _check_timeout("open_timeout", self.open_timeout),
            lambda: _check_timeout("stop_timeout", self.stop_timeout),
            lambda: _check_timeout("idle_timeout", self.idle_timeout),
        ]

    def _check_base(self) -> None:
        base = self.retry_delay_base
        if self.fractional_delays:
            Retries(base)
            return
        check_at_least("retry_delay_base", base, 1)
        if base != base // 1:
            raise InvalidOption(
                f"retry_delay_base must be a whole number, not {base}, unless fractional_delays "
                "is set"
            )

    def lifecycle(self) -> Lifecycle:
        """A lifecycle that keeps to them."""
        return Lifecycle(
            auto_reconnect=self.auto_reconnect,
            retries=Retries(
                self.retry_delay_base, self.retry_delay_max_exponent, self.retry_jitter
            ),
            open_timeout=self.open_timeout,
            stop_timeout=self.stop_timeout,
            stable_after=self.stable_after,
        )


def _check_timeout(name: str, seconds: float | None) -> None:
    if seconds is not None and not seconds > 0:
        raise InvalidOption(f"{name} must be above 0, or None for no bound, not {seconds}")


def _problem(check: Callable[[], object]) -> str:
    try:
        check()
    except InvalidOption as error:
        return str(error)
    return ""
