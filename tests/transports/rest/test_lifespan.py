"""An application's lifespan: startup, state, shutdown, and whatever can be wrong with them."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
import trio
import trio.testing

from wirecore.errors import InvalidOption, InvalidState, LocalError
from wirecore_trio.rest._asgi_types import AsgiViolation
from wirecore_trio.rest._lifespan import Lifespan, LifespanFailed, LifespanTimeout

if TYPE_CHECKING:
    from tests.transports.conftest import Run

UP = {"type": "lifespan.startup.complete"}
DOWN = {"type": "lifespan.shutdown.complete"}


class Recorder:
    """An application that does what it is to, and notes what it is asked."""

    def __init__(
        self,
        *,
        up: Any = UP,
        down: Any = DOWN,
        starts_in: float = 0,
        stops_in: float = 0,
        after: Exception | None = None,
    ) -> None:
        self.asked: list[str] = []
        self.scope: Any = None
        self._answers = {"lifespan.startup": up, "lifespan.shutdown": down}
        self._delays = {"lifespan.startup": starts_in, "lifespan.shutdown": stops_in}
        self._after = after

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope = scope
        scope["state"]["pool"] = "a pool"
        try:
            for _ in range(2):
                kind = (await receive())["type"]
                self.asked.append(kind)
                await trio.sleep(self._delays[kind])
                answer = self._answers[kind]
                if isinstance(answer, Exception):
                    raise answer
                await send(answer)
                if answer["type"].endswith("failed"):
                    break
        finally:
            self.asked.append("ended")
        if self._after is not None:
            raise self._after


def test_an_application_starts_is_served_and_shuts_down(run: Run) -> None:
    async def story() -> None:
        app = Recorder(starts_in=10, stops_in=20)
        began = trio.current_time()
        async with Lifespan(app) as lifespan:
            assert trio.current_time() == began + 10
            assert app.asked == ["lifespan.startup"]
            assert app.scope["type"] == "lifespan"
            assert app.scope["asgi"] == {"version": "3.0", "spec_version": "2.0"}
            assert lifespan.state == {"pool": "a pool"}
            await trio.sleep(100)
            assert app.asked == ["lifespan.startup"]
        assert trio.current_time() == began + 130
        assert app.asked == ["lifespan.startup", "lifespan.shutdown", "ended"]

    run(story)


def test_an_exception_of_the_body_comes_out_as_it_is(run: Run) -> None:
    async def story() -> None:
        app = Recorder()
        with pytest.raises(ValueError, match="mine"):
            async with Lifespan(app):
                raise ValueError("mine")
        assert app.asked == ["lifespan.startup", "lifespan.shutdown", "ended"]

    run(story)


def test_an_application_shuts_down_when_its_server_is_cancelled(run: Run) -> None:
    async def story() -> None:
        app = Recorder(stops_in=20)
        began = trio.current_time()
        with trio.move_on_after(5) as scope:
            async with Lifespan(app):
                await trio.sleep_forever()
        assert scope.cancelled_caught
        assert trio.current_time() == began + 25
        assert app.asked == ["lifespan.startup", "lifespan.shutdown", "ended"]

    run(story)


def test_a_startup_that_is_cancelled(run: Run) -> None:
    async def story() -> None:
        app = Recorder(starts_in=1000)
        began = trio.current_time()
        with trio.move_on_after(5) as scope:
            async with Lifespan(app):
                raise AssertionError("it never started")
        assert scope.cancelled_caught
        assert trio.current_time() == began + 5
        assert app.asked == ["lifespan.startup", "ended"]

    run(story)


# --- applications that know no lifespan ---------------------------------------------------------


async def raises_at_once(scope: Any, receive: Any, send: Any) -> None:
    assert scope["type"] == "http"


async def returns_at_once(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    raise AssertionError("nobody requests anything here")


async def answers_anyway(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200})


async def reads_and_raises(scope: Any, receive: Any, send: Any) -> None:
    message = await receive()
    raise RuntimeError(f"what is {message['type']}?")


@pytest.mark.parametrize(
    ("app", "level", "cause"),
    [
        (raises_at_once, logging.INFO, AssertionError),
        (returns_at_once, logging.INFO, type(None)),
        (answers_anyway, logging.INFO, AsgiViolation),
        (reads_and_raises, logging.WARNING, RuntimeError),
    ],
)
def test_one_that_knows_no_lifespan_is_served_all_the_same_unless_it_has_to(
    run: Run, caplog: pytest.LogCaptureFixture, app: Any, level: int, cause: type
) -> None:
    caplog.set_level(logging.INFO)

    async def story() -> None:
        served = False
        async with Lifespan(app):
            served = True
            await trio.sleep(10)
        assert served
        (record,) = caplog.records
        assert record.levelno == level

        with pytest.raises(LifespanFailed, match="doesn't support lifespan, or failed") as caught:
            async with Lifespan(app, mode="on"):
                raise AssertionError("it never started")
        assert caught.value.stage == "startup"
        assert isinstance(caught.value.__cause__, cause)

    run(story)


def test_one_that_isnt_asked(run: Run) -> None:
    async def story() -> None:
        app = Recorder()
        async with Lifespan(app, mode="off") as lifespan:
            assert lifespan.state == {}
        assert app.scope is None

    run(story)


def test_one_that_wants_asyncio(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await asyncio.sleep(1)

        async with Lifespan(app):
            pass
        assert "it wants asyncio" in caplog.text
        with pytest.raises(LifespanFailed, match="it wants asyncio, and runs on trio here"):
            async with Lifespan(app, mode="on"):
                pass

    run(story)


# --- failures -----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["auto", "on"])
@pytest.mark.parametrize("says", ["no database", ""])
def test_a_startup_that_failed(run: Run, mode: Any, says: str) -> None:
    async def story() -> None:
        # Starlette says so, and raises what it was.
        error = OSError("refused")
        up = {"type": "lifespan.startup.failed"} | ({"message": says} if says else {})
        app = Recorder(up=up, after=error)
        with pytest.raises(LifespanFailed, match=says or "didn't say why") as caught:
            async with Lifespan(app, mode=mode):
                raise AssertionError("it never started")
        assert (caught.value.stage, caught.value.message) == ("startup", says)
        assert isinstance(caught.value, LocalError)
        assert caught.value.__cause__ is error
        assert app.asked == ["lifespan.startup", "ended"]

    run(story)


def test_a_shutdown_that_failed(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        down = {"type": "lifespan.shutdown.failed", "message": "the disk is full"}
        with pytest.raises(LifespanFailed, match="shutdown: the disk is full") as caught:
            async with Lifespan(Recorder(down=down)):
                pass
        assert (caught.value.stage, caught.value.message) == ("shutdown", "the disk is full")

        error = OSError("full")
        with pytest.raises(LifespanFailed, match="it failed: OSError") as caught:
            async with Lifespan(Recorder(down=error)):
                pass
        assert caught.value.__cause__ is error
        assert caplog.records == []

        # What the body raised is more than that.
        with pytest.raises(ValueError, match="mine"):
            async with Lifespan(Recorder(down=error)):
                raise ValueError("mine")
        assert "it failed: OSError" in caplog.text

    run(story)


def test_a_failure_isnt_lost_when_the_server_is_cancelled_as_it_leaves(run: Run) -> None:
    async def story() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send(UP)
            try:
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(1)

        with (
            pytest.raises(LifespanTimeout, match="shutdown: not through after 1 s"),
            trio.CancelScope() as scope,
        ):
            async with Lifespan(app, shutdown_timeout=1):
                scope.cancel()  # and no checkpoint any more

    run(story)


def test_both_have_a_bound(run: Run) -> None:
    async def story() -> None:
        began = trio.current_time()
        app = Recorder(starts_in=1000)
        with pytest.raises(LifespanTimeout, match="startup: not through after 7 s") as caught:
            async with Lifespan(app, startup_timeout=7):
                raise AssertionError("it never started")
        assert trio.current_time() == began + 7
        assert isinstance(caught.value, TimeoutError)
        assert (caught.value.stage, caught.value.seconds) == ("startup", 7)
        assert app.asked == ["lifespan.startup", "ended"]

        app = Recorder(stops_in=1000)
        with pytest.raises(LifespanTimeout, match=r"shutdown: not through after 0\.5 s") as caught:
            async with Lifespan(app, shutdown_timeout=0.5):
                pass
        assert trio.current_time() == began + 7.5
        assert caught.value.stage == "shutdown"
        assert app.asked == ["lifespan.startup", "lifespan.shutdown", "ended"]

        app = Recorder(starts_in=1000, stops_in=1000)
        async with Lifespan(app, startup_timeout=None, shutdown_timeout=None):
            pass
        assert trio.current_time() == began + 2007.5

    run(story)


@pytest.mark.parametrize("error", [None, OSError("lost")])
def test_a_lifespan_that_ends_early_is_told_and_the_application_served_on(
    run: Run, caplog: pytest.LogCaptureFixture, error: Exception | None
) -> None:
    async def story() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send(UP)
            await trio.sleep(1)
            if error is not None:
                raise error

        async def serve() -> None:
            async with Lifespan(app):
                await trio.sleep(10)
                assert "ended while it is served" in caplog.text

        if error is None:
            await serve()
        else:
            with pytest.raises(LifespanFailed, match="it had ended before: OSError") as caught:
                await serve()
            assert caught.value.__cause__ is error

    run(story)


def test_one_that_reads_on_behind_its_shutdown(run: Run) -> None:
    async def story() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send(UP)
            await receive()
            await send(DOWN)
            await receive()

        began = trio.current_time()
        with trio.fail_after(61):
            async with Lifespan(app, shutdown_timeout=60):
                pass
        assert trio.current_time() == began  # it has said that it is through

    run(story)


def test_one_that_cleans_up_for_ever_behind_its_shutdown_is_cancelled(run: Run) -> None:
    async def story() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send(UP)
            await receive()
            await send(DOWN)
            await trio.sleep_forever()

        began = trio.current_time()
        async with Lifespan(app, shutdown_timeout=60):
            pass
        assert trio.current_time() == began + 60

    run(story)


@pytest.mark.parametrize(
    ("messages", "says"),
    [
        ([DOWN], "before 'lifespan.shutdown' was received"),
        ([UP], "the startup had been answered"),
        ([{"type": "lifespan.startup"}], "no message that can be sent"),
        ([{"type": "lifespan.reload.complete"}], "no message that can be sent"),
    ],
)
def test_messages_out_of_place(run: Run, messages: list[Any], says: str) -> None:
    async def story() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send(UP)
            for message in messages:
                with pytest.raises(AsgiViolation, match=says):
                    await send(message)
            await receive()
            await send(DOWN)

        async with Lifespan(app):
            pass

    run(story)


def test_what_ends_programs_ends_the_server(run: Run) -> None:
    async def story() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send(UP)
            await trio.sleep(1)
            raise SystemExit(3)

        with pytest.raises(SystemExit):
            async with Lifespan(app):
                await trio.sleep_forever()

    run(story)


# --- use ----------------------------------------------------------------------------------------


def test_it_is_entered_once(run: Run) -> None:
    async def story() -> None:
        lifespan = Lifespan(Recorder())
        async with lifespan:
            pass
        with pytest.raises(InvalidState, match="entered once"):
            async with lifespan:
                pass

    run(story)


def test_arguments_that_make_no_sense() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> NoReturn:
        raise AssertionError("it isn't run")

    with pytest.raises(TypeError, match="app must be"):
        Lifespan(None)  # type: ignore[arg-type]
    with pytest.raises(InvalidOption, match="mode must be one of auto, on, off"):
        Lifespan(app, mode="yes")  # type: ignore[arg-type]
    for name in ("startup_timeout", "shutdown_timeout"):
        with pytest.raises(InvalidOption, match=f"{name} must be above 0"):
            Lifespan(app, **{name: 0})  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=f"{name} must be a number"):
            Lifespan(app, **{name: "1"})  # type: ignore[arg-type]
