"""What the others did in a recording: the server, the user, and the user's callbacks."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

import trio

from tests.transports.engine.golden.recorded import Scenario, is_others

#: Callbacks whose end isn't written down: they do nothing that takes time.
_SHORT: Final = frozenset({"on_restart_error", "on_close_error"})

_USERS: Final = frozenset({"start called", "stop called", "is_started"})

_CALLBACKS: Final = frozenset({"on_open", "on_message", "on_read_error", "on_close"}) | _SHORT

#: Units by which two clocks of the recording may differ.
SKEW: Final = 0.35

#: What comes first of what happens at once: who has asked may read, who has paused may ask.
_ORDER: Final = {"wanted": 0, "taken": 0, "send": 1}


@dataclass(slots=True)
class Action:
    """Something that is done *after* so many units: since the callback began, or the last one."""

    after: float
    what: str
    data: str = ""


@dataclass(slots=True)
class Call:
    """What a callback does: it takes *units*, and may raise. *spans*: of the user's own."""

    began: float
    key: str
    units: float = 0.0
    error: str | None = None
    actions: list[Action] = field(default_factory=list)
    spans: list[str] = field(default_factory=list)
    close: tuple[int, str] | None = None


@dataclass(slots=True)
class Attempt:
    """What the server does with an attempt to connect: refuse, reject, silence, or open.

    *steps*: of an open one. *answers_close*: whether a close frame is answered at once.
    """

    kind: str
    began: float = 0.0
    steps: list[Action] = field(default_factory=list)
    answers_close: bool = True


class Plan:
    """What is done in *scenario*: :attr:`attempts`, :attr:`calls` by key, and :attr:`user`."""

    def __init__(self, scenario: Scenario) -> None:
        self.user: list[Action] = []
        self.calls: dict[str, list[Call]] = {}
        self.main_span = next((s["name"] for s in scenario.spans if s["name"] == "user.main"), "")
        self._read(scenario)
        self._take_spans(scenario)
        self.attempts = _attempts(scenario)
        #: Whether the user wants a pause that isn't known to be over.
        self.holds = self.user[-1].what == "(pause lock wanted)"

    def _read(self, scenario: Scenario) -> None:
        running: list[Call] = []
        last = 0.0  # when the user's last action was over
        for event in scenario.events:
            now, what, more = event["t"], event["ev"], event.get("more") or {}
            if is_others(event):
                continue
            running = [call for call in running if call.key not in _SHORT or call.began == now]
            if what in _CALLBACKS:
                call = Call(now, _key(what, more))
                self.calls.setdefault(call.key, []).append(call)
                running.append(call)
            elif what.endswith(" done"):
                call = next(c for c in running if c.key == _key(what.removesuffix(" done"), more))
                running.remove(call)
                call.units, call.error = now - call.began, more.get("error")
            elif what.endswith(" returned"):
                last = now
                if str(more.get("error")).endswith("context canceled"):
                    self.user[-1].data = self.user[-1].data or "cancelled"
            elif what == "(the start's context is cancelled)":
                self.user[-1].data = f"cancelled after {now - last}"
            elif running and what not in _USERS:
                running[-1].actions.append(Action(now - running[-1].began, _kind(what), what))
            elif what == "(pause lock taken)" and self.user[-1].what == "(pause lock wanted)":
                last = now
            else:
                self.user.append(Action(now - last, what))
                last = now
        self._sort(scenario)

    def _sort(self, scenario: Scenario) -> None:
        every = [call for calls in self.calls.values() for call in calls]
        for entry in scenario.wire:
            if entry["dir"] == "c2s" and entry["kind"] in ("text", "binary"):
                call = min(
                    (c for c in every if entry["t"] <= c.began + c.units + SKEW),
                    key=lambda c: abs(c.began - entry["t"]),
                )
                data = bytes.fromhex(entry["hex"]).decode()
                call.actions.append(Action(max(entry["t"] - call.began, 0.0), "send", data))
        for call in every:
            call.actions.sort(key=lambda each: (each.after, _ORDER.get(each.what, 2)))

    def _take_spans(self, scenario: Scenario) -> None:
        names = {span["id"]: span["name"] for span in scenario.spans}
        closes = iter(self.calls.get("on_close", []))
        for span in scenario.spans:
            if span["name"].startswith("user.") and span["parent"] in names:
                key = names[span["parent"]].removeprefix("wscengine.callback.")
                call = next(
                    c for k, calls in self.calls.items() if k.startswith(key) for c in calls
                )
                call.spans.append(span["name"])
            if span["name"] == "wscengine.background.shutdown":
                call = next(closes)
                for event in span["events"]:
                    if event["name"] == "wscengine.connection_closed":
                        told = event["attributes"]
                        call.close = told["wscengine.close_code"], told["wscengine.close_reason"]


def _key(what: str, more: dict[str, Any]) -> str:
    return f"on_message {more['data']}" if what == "on_message" else what


def _kind(what: str) -> str:
    for kind in ("restart", "exit", "wanted", "taken", "released", "read", "context"):
        if re.search(rf"\b{kind}\b", what):
            return kind
    raise ValueError(f"{what!r} isn't known in a callback")


async def wait_until(time: float) -> None:
    """Wait. No checkpoint where it is *time* already: a callback that takes none doesn't block."""
    if time > trio.current_time():
        await trio.sleep_until(time)


# --- the server -----------------------------------------------------------------------------------


def _attempts(scenario: Scenario) -> list[Attempt]:
    found = [Attempt("refuse") for entry in scenario.wire if entry["conn"] == 0]
    numbers = []
    for event in scenario.events:
        match event["ev"]:
            case "server: connection open":
                found.append(Attempt("open", event["t"]))
                numbers.append(event["more"]["no"])
            case "server: answers the upgrade with 403":
                found.append(Attempt("reject"))
            case "server: never answers the upgrade":
                found.append(Attempt("silence"))
    opened = [attempt for attempt in found if attempt.kind == "open"]
    # Where a TCP connection served two upgrades, the numbers aren't those of connections.
    talked = sorted({entry["conn"] for entry in scenario.wire if "hex" in entry})
    for index, (number, attempt) in enumerate(zip(numbers, opened, strict=True)):
        known = number in talked or index >= len(talked)
        _script(scenario, number if known else talked[index], attempt)
    for event in scenario.events:
        if event["ev"].startswith("network: "):
            kind = "reset" if "reset" in event["ev"] else "cut"
            opened[0].steps.append(Action(event["t"] - opened[0].began, kind))
    return found


def _script(scenario: Scenario, number: int, attempt: Attempt) -> None:
    entries = [entry for entry in scenario.wire if entry["conn"] == number]
    first = next((entry for entry in entries if entry["kind"] == "close"), None)
    closing = first["t"] if first is not None and first["dir"] == "c2s" else None
    closed = False
    for entry in entries:
        kind, after = entry["kind"], max(entry["t"] - attempt.began, 0.0)
        if entry["dir"] != "s2c" or kind == "pong":
            continue
        if kind == "close" and closing is not None:
            if entry["t"] <= closing + SKEW:
                continue  # it answers ours
            attempt.answers_close = False
        if kind.startswith("tcp: "):
            if closed:
                attempt.steps.append(Action(after, "cut"))
            continue
        closed |= kind == "close"
        data = entry["hex"] if "..." not in entry["hex"] else "78" * entry["len"]
        if any(
            event["ev"] == "server: sends a frame with a reserved bit" for event in scenario.events
        ):
            kind = "bad"
        attempt.steps.append(Action(after, kind, data))
        if not attempt.answers_close:
            attempt.steps.append(Action(after, "cut"))
