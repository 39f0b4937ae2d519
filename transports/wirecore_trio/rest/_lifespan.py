"""The lifespan of an application of ASGI: its startup, its state, its shutdown.

The lifespan specification 2.0 of ASGI.
"""

from __future__ import annotations

import logging
import math
from types import TracebackType
from typing import Any, Final, Literal, TypeAlias

import trio

from wirecore.errors import InvalidOption, InvalidState, LocalError

from .._arguments import require_async, require_seconds
from .._errors import require_trio, unwrapped
from .._tasks import HiddenNursery
from ._asgi_types import App, AsgiViolation, Message, asyncio_hint

logger = logging.getLogger("wirecore.rest")

Stage: TypeAlias = Literal["startup", "shutdown"]
Mode: TypeAlias = Literal["auto", "on", "off"]

_MODES: Final = ("auto", "on", "off")


class LifespanFailed(LocalError):
    """An application couldn't start, or failed to shut down; the cause is what it raised, if so.

    *stage*: ``"startup"`` or ``"shutdown"``. *message*: the application's own words, may be empty.
    """

    def __init__(self, stage: Stage, problem: str, *, message: str = "") -> None:
        super().__init__(f"the application's {stage}: {problem}")
        self.stage: Stage = stage
        self.message = message


class LifespanTimeout(LifespanFailed, TimeoutError):
    """An application took longer than it may; it was cancelled."""

    def __init__(self, stage: Stage, seconds: float) -> None:
        super().__init__(stage, f"not through after {seconds} s")
        self.seconds = seconds


class Lifespan:
    """Runs *app*'s lifespan around an ``async with``: once, in one task, on trio.

    ``state`` holds what the application put into ``scope["state"]``, for :class:`AsgiHandler`.

    *mode*: ``"auto"`` takes an application that raises or returns before it has started for one
    that knows no lifespan, which is logged, and serves it all the same, as ASGI wants it; one that
    says ``lifespan.startup.failed`` isn't served. ``"on"``: that is LifespanFailed too. ``"off"``:
    the application isn't asked, and ``state`` is empty. *startup_timeout*, *shutdown_timeout*:
    seconds above 0 that each may take, None: no bound.

    To enter it raises :class:`LifespanFailed`, or its :class:`LifespanTimeout`, when the
    application didn't start. To leave it raises them when the application didn't shut down, or
    failed in between, unless the body raised: then that is logged. The application shuts down also
    when the body was cancelled, which *shutdown_timeout* bounds. Raises InvalidState when it is
    entered again, TypeError and InvalidOption for arguments that make no sense.
    """

    def __init__(
        self,
        app: App,
        *,
        mode: Mode = "auto",
        startup_timeout: float | None = 60.0,
        shutdown_timeout: float | None = 60.0,
    ) -> None:
        require_async("app", app, "scope", "receive", "send")
        if mode not in _MODES:
            raise InvalidOption(f"mode must be one of {', '.join(_MODES)}, not {mode!r:.50}")
        for name, value in (
            ("startup_timeout", startup_timeout),
            ("shutdown_timeout", shutdown_timeout),
        ):
            require_seconds(name, value)
            if value is not None and not value > 0:
                raise InvalidOption(f"{name} must be above 0 or None, not {value}")
        self.state: dict[str, Any] = {}
        self._app = app
        self._mode = mode
        self._startup_timeout = startup_timeout
        self._shutdown_timeout = shutdown_timeout
        self._entered = False
        self._tasks = HiddenNursery()
        # Cancelled by this class alone: the application shuts down after its server was cancelled.
        self._scope = trio.CancelScope(shield=True)
        #: What the application has been sent, and what it answered: None for nothing yet.
        self._asked_startup = False
        self._answers: dict[Stage, str | None] = {}
        self._started = trio.Event()
        self._leaving = trio.Event()
        self._left = trio.Event()
        self._ended = trio.Event()
        self._failure: Exception | None = None

    # --- the server's side ----------------------------------------------------------------------

    async def __aenter__(self) -> Lifespan:
        require_trio()
        if self._entered:
            raise InvalidState("a Lifespan is entered once: make another")
        self._entered = True
        if self._mode == "off":
            return self
        await self._tasks.enter()
        try:
            self._tasks.nursery.start_soon(self._run)
            await self._start()
        except BaseException as error:
            self._scope.cancel()
            await self._tasks.leave(error)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._mode == "off":
            return
        with trio.CancelScope(shield=True):
            problem = await self._stop()
        self._scope.cancel()
        await self._tasks.leave(error)
        if problem is None:
            return
        if error is None:
            raise problem from self._failure
        logger.error("%s", problem, exc_info=self._failure)

    async def _start(self) -> None:
        seconds = self._startup_timeout
        with trio.move_on_after(math.inf if seconds is None else seconds) as bound:
            await self._started.wait()
            if self._answers.get("startup") is not None:
                await self._ended.wait()  # it cleans up
        if "startup" not in self._answers and not self._ended.is_set():
            assert bound.cancelled_caught
            assert seconds is not None
            raise LifespanTimeout("startup", seconds)
        if "startup" in self._answers:
            message = self._answers["startup"]
            if message is not None:
                problem = message or "it failed, and didn't say why"
                raise LifespanFailed("startup", problem, message=message) from self._failure
        elif self._mode == "on":
            problem = f"it doesn't support lifespan, or failed{self._why()}"
            raise LifespanFailed("startup", problem) from self._failure
        else:
            self._unsupported()

    def _unsupported(self) -> None:
        error = self._failure
        if error is not None and self._asked_startup:
            # It may have been meant as a failure; ASGI has a message for those.
            hint = asyncio_hint(error)
            text = "the application raised in its startup, and is served without lifespan%s"
            logger.warning(text, hint, exc_info=error)
        else:
            logger.info("the application supports no lifespan")

    async def _stop(self) -> LifespanFailed | None:
        """Have the application shut down; what was wrong, if something was."""
        if self._answers.get("startup", "") is not None:
            return None  # it never started
        if self._ended.is_set():
            if self._failure is None:
                return None
            return LifespanFailed("shutdown", f"it had ended before{self._why()}")
        seconds = self._shutdown_timeout
        self._leaving.set()
        with trio.move_on_after(math.inf if seconds is None else seconds) as bound:
            await self._ended.wait()
        message = self._answers.get("shutdown")
        if message is not None:
            problem = message or "it failed, and didn't say why"
            return LifespanFailed("shutdown", problem, message=message)
        if bound.cancelled_caught and "shutdown" not in self._answers:
            assert seconds is not None
            return LifespanTimeout("shutdown", seconds)
        if self._failure is not None:
            return LifespanFailed("shutdown", f"it failed{self._why()}")
        return None

    def _why(self) -> str:
        error = self._failure
        return "" if error is None else f": {type(error).__name__}{asyncio_hint(error)}"

    # --- the application's side -----------------------------------------------------------------

    async def _run(self) -> None:
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self.state,
        }
        try:
            with self._scope:
                await self._app(scope, self._receive, self._send)
        except* Exception as group:  # noqa: BLE001 - whatever it is, it is reported
            error = unwrapped(group)
            assert isinstance(error, Exception)
            self._failure = error
        finally:
            self._ended.set()
            self._started.set()
        if self._has_left_early():
            logger.error(
                "the application's lifespan ended while it is served", exc_info=self._failure
            )

    def _has_left_early(self) -> bool:
        served = self._answers.get("startup", "") is None
        return served and not self._leaving.is_set() and not self._scope.cancel_called

    async def _receive(self) -> Message:
        if not self._asked_startup:
            self._asked_startup = True
            return {"type": "lifespan.startup"}
        await self._leaving.wait()
        if self._left.is_set():
            if "shutdown" in self._answers:
                self._scope.cancel()  # it has said that it is through, and nothing more comes
            await trio.sleep_forever()
        self._left.set()
        return {"type": "lifespan.shutdown"}

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        stage, _, outcome = kind.removeprefix("lifespan.").partition(".")
        if stage not in ("startup", "shutdown") or outcome not in ("complete", "failed"):
            raise AsgiViolation(f"{kind!r} is no message that can be sent for a lifespan")
        if stage in self._answers:
            raise AsgiViolation(f"{kind!r} came, and the {stage} had been answered")
        asked = self._asked_startup if stage == "startup" else self._left.is_set()
        if not asked:
            raise AsgiViolation(f"{kind!r} came before 'lifespan.{stage}' was received")
        self._answers[stage] = str(message.get("message", "")) if outcome == "failed" else None
        if stage == "startup":
            self._started.set()
        await trio.lowlevel.checkpoint()
