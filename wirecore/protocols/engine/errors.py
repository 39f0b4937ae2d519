"""What goes wrong with an engine, as its users see it."""

from __future__ import annotations

from wirecore.errors import InvalidState, LocalError, WirecoreError


class EngineStartError(WirecoreError):
    """The engine didn't start; the cause is what stood in the way."""

    def __init__(self, problem: object) -> None:
        super().__init__(f"websocket engine failed to start: {problem}")


class AlreadyStarted(EngineStartError, InvalidState):
    """The engine was started, and hasn't ended; it goes on unharmed."""

    def __init__(self) -> None:
        super().__init__("engine has already started")


class NotStarted(InvalidState):
    """The engine isn't started, or has ended."""

    def __init__(self) -> None:
        super().__init__("websocket engine is not started")


class Ended(LocalError):
    """The engine was stopped, or told to exit: nobody is raised it, but its spans record it."""

    def __init__(self) -> None:
        super().__init__("the engine was told to end")


class OpenTimeout(LocalError, TimeoutError):
    """Dialling and ``on_open`` together took longer than ``open_timeout``."""


class StopTimeout(LocalError, TimeoutError):
    """Stopping took longer than ``stop_timeout``: the connection was dropped.

    A callback may still run; it isn't cancelled.
    """
