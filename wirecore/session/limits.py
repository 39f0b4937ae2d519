"""Bounds that every connection keeps, and the check that an option's value makes sense."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from wirecore.constants import DEFAULT_MAX_MESSAGE_SIZE
from wirecore.errors import InvalidOption

#: The longest payload a frame can announce: RFC 6455 section 5.2, the top bit must be 0.
MAX_SIZE: Final = (1 << 63) - 1

#: Default bound on bytes that wait to be sent: room for a burst of large messages, and a stop
#: for a peer who asks and never reads.
DEFAULT_MAX_QUEUED_BYTES: Final = 128 * 1024 * 1024

#: Default bound on calls without an answer yet, on one connection.
DEFAULT_MAX_PENDING_CALLS: Final = 100_000


def check_at_least(option: str, value: float, least: float) -> None:
    """Raise :class:`~wirecore.errors.InvalidOption` unless *value* >= *least* (nan isn't)."""
    if not value >= least:
        raise InvalidOption(f"{option} must be at least {least}, not {value}")


def check_at_most(option: str, value: float, most: float) -> None:
    """Raise :class:`~wirecore.errors.InvalidOption` unless *value* <= *most* (nan isn't)."""
    if not value <= most:
        raise InvalidOption(f"{option} must be at most {most}, not {value}")


def check_above(option: str, value: float, bound: float) -> None:
    """Raise :class:`~wirecore.errors.InvalidOption` unless *value* > *bound* (nan isn't)."""
    if not value > bound:
        raise InvalidOption(f"{option} must be above {bound}, not {value}")


def check_seconds(option: str, value: float | None) -> None:
    """Raise :class:`~wirecore.errors.InvalidOption` unless *value* is None or above 0."""
    if value is not None:
        check_above(option, value, 0)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one connection takes in and holds, in bytes.

    *max_frame_size* and *max_message_size* bound what the peer sends (the message after
    decompression); *max_queued_bytes* bounds what waits to be sent: nothing more is queued
    once that much waits, so that one message of any size still goes.

    Raises :class:`~wirecore.errors.InvalidOption` for a size below 1 or above 2**63 - 1.
    """

    max_frame_size: int = DEFAULT_MAX_MESSAGE_SIZE
    max_message_size: int = DEFAULT_MAX_MESSAGE_SIZE
    max_queued_bytes: int = DEFAULT_MAX_QUEUED_BYTES

    def __post_init__(self) -> None:
        for option in ("max_frame_size", "max_message_size", "max_queued_bytes"):
            value = getattr(self, option)
            check_at_least(option, value, 1)
            check_at_most(option, value, MAX_SIZE)


@dataclass(frozen=True, slots=True)
class CallLimits:
    """What the calls of one connection may hold.

    *max_pending_calls*: calls without an answer yet. *max_send_size*: bytes of one message that
    this end sends, so that one call fails here and not the whole connection at a peer who takes
    less; None: what peers of the protocol take by default.

    Raises :class:`~wirecore.errors.InvalidOption` for a figure below 1.
    """

    max_pending_calls: int = DEFAULT_MAX_PENDING_CALLS
    max_send_size: int | None = None

    def __post_init__(self) -> None:
        check_at_least("max_pending_calls", self.max_pending_calls, 1)
        if self.max_send_size is not None:
            check_at_least("max_send_size", self.max_send_size, 1)
