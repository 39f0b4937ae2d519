"""Payloads, which know their encoding."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from wirecore_py.webwire_values import Payload, split
else:
    # Of one backend in a process: programs ask whether something is a Payload.
    from wirecore._backend import default

    Payload = default.webwire_values.Payload
    split = default.webwire_values.split

__all__ = ["Payload", "Sendable", "split"]

#: What can be sent: see :meth:`Payload.of`.
Sendable: TypeAlias = Payload | str | bytes | bytearray | memoryview | None
