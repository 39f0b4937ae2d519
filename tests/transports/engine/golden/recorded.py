"""What was recorded of the original, in the words that ours is written down in, too.

``tests/vectors/README.md`` says how the file is to be read. What differs between two WebSocket
libraries, and isn't the engine's, is taken out here: the texts of their errors, and what they write
around the reason of a close.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final

PATH = Path(__file__).parents[4] / "tests" / "vectors" / "engine.json"

#: Seconds; all times are in units of this.
UNIT: Final = 0.1

#: Kinds of frames that the engine and its user send.
SENT: Final = frozenset({"text", "binary", "close"})

_START_FAILED: Final = "websocket engine failed to start: "

#: Texts that are the engine's own, or its adapters', or the test's; those of libraries vary.
_OWN: Final = re.compile(
    r"engine has already started"
    r"|websocket engine is not started"
    r"|on_open says no"
    r"|injected read error"
    r"|a connection has already been established"
    r"|(close|ping|read|write) failed because no connection is already up"
)

#: What others did, and notes about the recording.
_OTHERS: Final = re.compile(
    r"server: .*|network: .*"
    r"|\(the callback does nothing\)|2 s after the reset|\(6 units after stop\)"
    r"|\(the scenario was cut off here\)"
)


@dataclass(frozen=True, slots=True)
class Line:
    """Something that happened at *time*, in units."""

    time: float
    text: str

    def __str__(self) -> str:
        return f"{self.time:6.1f}  {self.text}"


@dataclass(frozen=True)
class Scenario:
    """One of them, over one of the original's two adapters."""

    data: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.data["name"])

    @property
    def adapter(self) -> str:
        return str(self.data["adapter"])

    @property
    def workers(self) -> int:
        return int(self.data["options"]["workers"])

    @property
    def events(self) -> list[dict[str, Any]]:
        return list(self.data["events"])

    @property
    def wire(self) -> list[dict[str, Any]]:
        return list(self.data["wire"])

    @property
    def spans(self) -> list[dict[str, Any]]:
        return list(self.data["spans"])

    @property
    def sent(self) -> list[list[tuple[str, bytes]]]:
        """What the engine has sent, by connection, but for what answers control frames."""
        sent: dict[int, list[tuple[str, bytes]]] = {}
        closed = set()
        for entry in self.wire:
            number, kind = entry["conn"], entry["kind"]
            if kind == "close" and entry["dir"] == "s2c":
                closed.add(number)
            elif entry["dir"] == "c2s" and kind in SENT and number not in closed:
                sent.setdefault(number, []).append((kind, bytes.fromhex(entry["hex"])))
        return list(sent.values())

    @property
    def heard_all(self) -> bool:
        """Whether all frames were recorded: not those of a TCP connection's second upgrade."""
        opened = {each["more"]["no"] for each in self.events if "connection open" in each["ev"]}
        return opened <= {entry["conn"] for entry in self.wire}

    @property
    def end(self) -> float:
        """When the recording ends, in units."""
        return max(float(event["t"]) for event in self.events)

    @cached_property
    def lines(self) -> list[Line]:
        """What users see of it."""
        return [
            Line(event["t"], _text(event["ev"], event.get("more") or {}))
            for event in self.events
            if not is_others(event)
        ]


@cache
def scenarios() -> dict[tuple[str, str], Scenario]:
    """All of them, by name and adapter."""
    data = json.loads(PATH.read_text())["scenarios"]
    return {(each["name"], each["adapter"]): Scenario(each) for each in data}


@cache
def option_checks() -> dict[str, Any]:
    """What the original says to options and arguments."""
    checks: dict[str, Any] = json.loads(PATH.read_text())["option_checks"]
    return checks


def is_others(event: dict[str, Any]) -> bool:
    """Whether it isn't what the engine's user sees."""
    return _OTHERS.fullmatch(event["ev"]) is not None


# --- words ----------------------------------------------------------------------------------------


def error_text(text: str | None) -> str:
    """An error as it is compared: what is a library's own is "an error"."""
    if text is None:
        return ""
    if text.endswith("context canceled"):  # a context of Go's is a cancel scope here
        return "cancelled"
    text = text.removesuffix(" (not_sent)")  # what our errors say, too
    begins, _, cause = text.rpartition(_START_FAILED)
    told = cause if _OWN.fullmatch(cause) else "an error"
    return begins + _START_FAILED + told if _START_FAILED in text else told


def with_error(what: str, text: str | None) -> str:
    """*what*, and the error that it came to."""
    told = error_text(text)
    return f"{what}: {told}" if told else what


def close_text(code: int, reason: str) -> str:
    """How a connection was closed: the peer's words without the library's around them."""
    if code == 1006:
        return "1006"  # each library has a text of its own
    if found := re.fullmatch(r"websocket: close \d+( \([^)]*\))?(: (?P<reason>.*))?", reason):
        reason = found["reason"] or ""
    elif found := re.search(r' and reason = "(?P<reason>.*)"$', reason):
        reason = found["reason"]
    return f"{code} {reason}".rstrip()


def _text(what: str, more: dict[str, Any]) -> str:
    match what:
        case "on_open":
            return "on_open again" if more["restarting"] else "on_open"
        case "on_message":
            return f"on_message {more['session']} {more['type']} {more['data']!r}"
        case "on_message done":
            return f"on_message done {more['data']!r}"
        case "on_read_error":
            return with_error("on_read_error", more["error"])
        case "on_restart_error":
            return with_error(f"on_restart_error {more['retry_count']}", more["error"])
        case "on_close":
            return _on_close(more)
        case "is_started":
            return f"is_started {more['value']}"
        case "context of on_open":
            return f"{what} {'done' if more['done'] else 'alive'}"
        case _ if "read by hand" in what and more.get("error") is None:
            return f"{what} {more['data']!r}"
        case _:
            return with_error(what, more.get("error"))


def _on_close(more: dict[str, Any]) -> str:
    close = more["close"]
    told = close_text(close["code"], close["reason"]) if close else "none"
    return f"on_close {told}" + (" with its context done" if more["context_done"] else "")
