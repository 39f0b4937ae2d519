"""One call that a task waits on."""

from __future__ import annotations

from typing import Any, Protocol

import trio

from wirecore.session import Call


class Forgets(Protocol):
    """The session of a call, which is told when nobody waits for it any longer."""

    def forget(self, call: Call) -> None:
        """*call* waits no longer: its answer will be dropped."""


class Waiter(Call):
    """A pending call, trio's abort function for it, and its outcome, all in one object.

    Three objects for each call cost a third of a call: trio asks of an abort function only that
    it can be called, and of an outcome only ``unwrap``.
    """

    __slots__ = ("outcome", "session", "task")

    def __init__(self, session: Forgets) -> None:
        # Without the base's: all that it sets is set once more when the call is opened.
        self.end = 0
        self.session = session
        self.task: trio.lowlevel.Task | None = None
        #: The answer, or the call's error; None until one is there.
        self.outcome: Any = None

    def __call__(self, _: trio.lowlevel.RaiseCancelT) -> trio.lowlevel.Abort:
        self.task = None
        self.session.forget(self)
        return trio.lowlevel.Abort.SUCCEEDED

    def unwrap(self) -> Any:
        """The answer; raises the call's error."""
        outcome = self.outcome
        assert outcome is not None, "unwrapped too early"
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def finish(self, outcome: object) -> None:
        """End the call with the answer, or with an error."""
        self.outcome = outcome
        if self.task is not None:
            trio.lowlevel.reschedule(self.task, self)  # type: ignore[arg-type]  # see the class
