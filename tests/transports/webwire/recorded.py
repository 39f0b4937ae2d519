"""What was recorded of the original's ends, as tests/vectors/README.md describes it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

VECTORS: Final[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "vectors" / "webwire.json").read_text(encoding="utf-8")
)

#: The recorded connections, by the session's name.
SESSIONS: Final[dict[str, dict[str, Any]]] = {
    session["name"]: session for session in VECTORS["sessions"]
}

_TIME: Final = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def without_times(message: bytes) -> bytes:
    """*message* with a word in the place of times, which depend on the run."""
    return _TIME.sub(b"TIME", message)


def messages_of(connection: dict[str, Any]) -> list[dict[str, Any]]:
    """What was said on *connection*: all but the ends of its TCP stream."""
    return [record for record in connection["messages"] if "opcode" in record]


def ended_by(connection: dict[str, Any]) -> str:
    """Whose TCP stream ended first."""
    return next(str(record["from"]) for record in connection["messages"] if "tcp" in record)


def data_of(record: dict[str, Any]) -> bytes:
    """The bytes of a recorded message."""
    return bytes.fromhex(record["hex"])
