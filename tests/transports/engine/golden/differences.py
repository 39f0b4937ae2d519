"""Where ours does something else than the original, and why: docs/engine-differences.md.

What ours does then is in ``ours/SCENARIO.txt``, in the notation of the failures; or it is what the
original does over its other adapter.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.transports.engine.golden.recorded import Line, Scenario, scenarios
from tests.transports.engine.golden.spans import Node, parsed, recorded_tree

_OURS: Final = Path(__file__).parent / "ours"


@dataclass(frozen=True, slots=True)
class Difference:
    """*reason*: what ours promises. *like*: which adapter's trace ours follows, if one.

    *any_order*: two tasks act at one time, and either may be the first.
    """

    reason: str
    like: str = ""
    any_order: bool = False


_LOST: Final = "any failure that ends the connection is a closure: on_close, then a restart"
_ENDED: Final = "is_started is false once the engine has ended, and stop says that it isn't started"
_ASKED: Final = (
    "restart and exit in on_message: that callback ends, then on_close, then the connection is "
    "closed"
)
_IN_TIME: Final = "an attempt that takes too long, or is cancelled, is over: nothing of it goes on"
_AT_ONCE: Final = "a pause is had at once, though the engine waits for a message"
_UNHARMED: Final = "a second start doesn't touch the running engine"
_STOPS: Final = "stop ends a wait for the next attempt at once"

DIFFERENCES: Final[dict[str, Difference]] = {
    "lost_rst": Difference(_LOST),
    "lost_rst_ignored": Difference(_LOST),
    "bad_frame": Difference(_LOST),
    "big_message": Difference("the limit of messages is the user's to set", like="gorilla"),
    "server_close_4000": Difference("code and reason as received", like="gorilla"),
    "server_close_no_reconnect": Difference(_ENDED),
    "read_error_then_exit": Difference(_ENDED),
    "exit_in_on_restart_error": Difference(_ENDED),
    "exit_in_on_open": Difference("exit in on_open closes the connection once that is done"),
    "exit_in_on_message_1_worker": Difference(_ASKED),
    "exit_in_on_message_2_workers": Difference(_ASKED),
    "restart_in_on_message_1_worker": Difference(_ASKED),
    "restart_in_on_message_2_workers": Difference(_ASKED),
    "start_after_exit": Difference("an engine that has exited can be started again"),
    "start_twice_then_stop": Difference(_UNHARMED),
    "open_timeout_dial": Difference(_IN_TIME),
    "open_timeout_on_open": Difference(_IN_TIME),
    "restart_open_timeout_dial": Difference(_IN_TIME, like="gorilla"),
    "restart_open_timeout_on_open": Difference(_IN_TIME),
    "start_context_cancelled_in_dial": Difference(_IN_TIME),
    "stop_context_done": Difference(
        "a stop that is cancelled returns at once, and goes on; on_close isn't cancelled",
        any_order=True,
    ),
    "stop_timeout_on_close": Difference("stop is over at its timeout, whatever on_close does"),
    "stop_while_retrying": Difference(_STOPS),
    "restart_on_open_fails_once": Difference(_STOPS),
    "on_close_error": Difference("the test's own: when it writes down its close", like="gorilla"),
    "pause_lock_held_at_stop": Difference("a close waits for the peer's close frame", like="coder"),
    "pause_lock_outside": Difference(_AT_ONCE),
    "pause_lock_outside_idle": Difference(_AT_ONCE),
    "ping": Difference("a ping needs nobody who reads, and harms nothing"),
}

#: The same of options and arguments.
OPTIONS: Final[dict[str, str]] = {
    "open timeout 0": "None is no bound, and 0 is refused",
    "stop timeout 0": "None is no bound, and 0 is refused",
    "options nil to validate": "None stands for the defaults",
    "new engine: adapter nil": "None stands for wirecore's own WebSocket",
    "text of a close error, code 1001 reason x": "wirecore's text; code and reason are attributes",
}


def any_order(scenario: Scenario) -> bool:
    """Whether what happens at one time may come in any order."""
    difference = DIFFERENCES.get(scenario.name)
    return scenario.workers > 1 or (difference is not None and difference.any_order)


def expected(scenario: Scenario) -> tuple[list[Line], list[Node]]:
    """What ours does in *scenario*: lines and spans."""
    difference = DIFFERENCES.get(scenario.name)
    if difference is None:
        return scenario.lines, recorded_tree(scenario)
    if difference.like:
        followed = scenarios()[scenario.name, difference.like]
        return followed.lines, recorded_tree(followed)
    lines, _, spans = (_OURS / f"{scenario.name}.txt").read_text().partition("\n\n")
    return [_line(text) for text in lines.splitlines()], parsed(spans.splitlines())


def _line(text: str) -> Line:
    time, _, what = text.strip().partition("  ")
    return Line(float(time), what)
