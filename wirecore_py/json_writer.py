"""Calls of JSON-RPC as Go writes them, written in one step: twin of ``wirecore._json_writer``.

Not here: all goes the long way (``wirecore.gojson``), to which this sends it. The
compiled twin gives for what is usual what that gives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wirecore_py.json_reader import PlanOf


class JsonWriter:
    """Writes messages. *plan_of* finds plans of annotations; the bounds are those of a message."""

    def __init__(self, plan_of: PlanOf, max_size: int, max_depth: int) -> None:
        pass

    def request(self, seq: int, method: str, value: Any, annotation: Any) -> bytes | None:
        """A call; None: it isn't usual."""
        return None

    def answer(self, call_id: bytes, method: str, value: Any, annotation: Any) -> bytes | None:
        """An answer that is no error, and tells no *method*; None: it isn't usual."""
        return None
