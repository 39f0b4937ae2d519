"""An engine's options: each bound is named with its value, and all that are broken at once."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.transports.engine.scripted import Scripted
from wirecore.errors import InvalidOption
from wirecore_trio.engine import Callbacks, CloseMessage, Engine, Handler, Heartbeat, Options

#: What is refused, and in which words.
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"workers": 0}, "workers must be at least 1, not 0"),
    ({"retry_delay_max_exponent": 0}, "retry_delay_max_exponent must be at least 1, not 0"),
    ({"retry_delay_base": 0}, "retry_delay_base must be at least 1, not 0"),
    ({"retry_delay_base": math.nan}, "retry_delay_base must be at least 1, not nan"),
    (
        {"retry_delay_base": 1.5},
        "retry_delay_base must be a whole number, not 1.5, unless fractional_delays is set",
    ),
    (
        {"retry_delay_base": math.inf},
        "retry_delay_base must be a whole number, not inf, unless fractional_delays is set",
    ),
    (
        {"retry_delay_base": 0, "fractional_delays": True},
        "retry_delay_base must be above 0, not 0",
    ),
    ({"retry_jitter": -0.1}, "retry_jitter must be at least 0, not -0.1"),
    ({"retry_jitter": 1.1}, "retry_jitter must be at most 1, not 1.1"),
    ({"stable_after": 0}, "stable_after must be above 0, or None for no bound, not 0"),
    ({"stable_after": math.nan}, "stable_after must be above 0, or None for no bound, not nan"),
    ({"open_timeout": 0}, "open_timeout must be above 0, or None for no bound, not 0"),
    ({"stop_timeout": -1}, "stop_timeout must be above 0, or None for no bound, not -1"),
    ({"idle_timeout": 0.0}, "idle_timeout must be above 0, or None for no bound, not 0.0"),
]


@pytest.mark.parametrize(("given", "told"), REFUSED, ids=lambda each: str(each)[:40])
def test_each_bound(given: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        Options(**given)
    assert str(caught.value) == told


def test_all_that_are_broken_are_named_one_a_line() -> None:
    with pytest.raises(InvalidOption) as caught:
        Options(
            workers=0,
            auto_reconnect=False,  # which is no excuse
            retry_delay_base=0,
            retry_delay_max_exponent=0,
            retry_jitter=2,
            stable_after=-1,
            open_timeout=-1,
            stop_timeout=-1,
        )
    named = [line.split()[0] for line in str(caught.value).splitlines()]
    assert named == [
        "workers",
        "retry_delay_base",
        "retry_delay_max_exponent",
        "retry_jitter",
        "stable_after",
        "open_timeout",
        "stop_timeout",
    ]


@pytest.mark.parametrize(
    "given",
    [
        {"workers": 1, "retry_delay_base": 1, "retry_delay_max_exponent": 1},
        {"retry_delay_base": 2.0},
        {"retry_delay_base": 0.1, "fractional_delays": True},
        {"retry_jitter": 0},
        {"retry_jitter": 1},
        {"open_timeout": None, "stop_timeout": None, "idle_timeout": None},
        {"open_timeout": 0.001, "stop_timeout": 0.001, "idle_timeout": 0.001},
    ],
    ids=str,
)
def test_what_is_just_within_is_taken(given: dict[str, Any]) -> None:
    assert Options(**given) == Options(**given)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"workers": 1.0}, "workers must be int, not float"),
        ({"workers": True}, "workers must be int, not bool"),
        ({"auto_reconnect": 1}, "auto_reconnect must be bool, not int"),
        ({"stable_after": True}, "stable_after must be a number of seconds or None, not bool"),
        ({"open_timeout": "5"}, "open_timeout must be a number of seconds or None, not str"),
        ({"retry_delay_base": None}, "retry_delay_base must be a number of seconds, not NoneType"),
        ({"heartbeat": "ping"}, "heartbeat must be Heartbeat or None, not str"),
    ],
    ids=str,
)
def test_types(given: dict[str, Any], told: str) -> None:
    with pytest.raises(TypeError) as caught:
        Options(**given)
    assert str(caught.value) == told


async def ping_later() -> str:
    return "ping"


def pings() -> Iterator[str]:
    yield "ping"


@pytest.mark.parametrize(
    ("interval", "message", "error", "told"),
    [
        (0, "ping", InvalidOption, "interval must be above 0, not 0"),
        (math.nan, "ping", InvalidOption, "interval must be above 0, not nan"),
        (None, "ping", TypeError, "interval must be a number of seconds, not NoneType"),
        (1, 5, TypeError, "message must be str, bytes or a function that gives it, not int"),
        (
            1,
            lambda session: "ping",
            TypeError,
            "message is called as message(): missing a required argument: 'session'",
        ),
        (
            1,
            ping_later,
            TypeError,
            "message must be a function of () without async, not "
            "function: nobody awaits what it gives",
        ),
        (
            1,
            pings,
            TypeError,
            "message must be a function of (), not function: it has a yield, and so is a generator",
        ),
    ],
)
def test_heartbeats(interval: Any, message: Any, error: type[Exception], told: str) -> None:
    with pytest.raises(error) as caught:
        Heartbeat(interval=interval, message=message)
    assert str(caught.value) == told


def test_what_an_engine_is_made_of() -> None:
    with pytest.raises(InvalidOption, match="begins with ws:// or wss://"):
        Engine("http://feed.example/", Callbacks())
    with pytest.raises(InvalidOption):
        Engine("", Callbacks())
    with pytest.raises(TypeError, match="handler must be Handler or Callbacks, not NoneType"):
        Engine("ws://feed.example/", None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="options must be Options or None, not dict"):
        Engine("ws://feed.example/", Callbacks(), {"workers": 1})  # type: ignore[arg-type]
    made = Engine("ws://feed.example/secret?token=1", Callbacks(), adapter=Scripted())
    assert repr(made) == "<engine.Engine of ws://feed.example/secret, idle>"


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        *[
            (
                (code,),
                InvalidOption,
                f"code must be 1000 to 1003, 1007 to 1014 or 3000 to 4999, not {code}",
            )
            for code in (-1, 0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 70_000)
        ],
        ((1000, "x" * 124), InvalidOption, "reason must be at most 123 bytes of UTF-8, not 124"),
        ((1000, "ä" * 62), InvalidOption, "reason must be at most 123 bytes of UTF-8, not 124"),
        ((1000, "\ud800"), InvalidOption, "reason must be text, and it holds a lone surrogate"),
        (("1000",), TypeError, "code must be int, not str"),
        ((True,), TypeError, "code must be int, not bool"),
        ((None,), TypeError, "code must be int, not NoneType"),
        ((1000, b"bye"), TypeError, "reason must be str, not bytes"),
        ((1000, None), TypeError, "reason must be str, not NoneType"),
    ],
)
def test_a_close_that_no_frame_holds(
    given: tuple[Any, ...], error: type[Exception], told: str
) -> None:
    with pytest.raises(error) as caught:
        CloseMessage(*given)
    assert str(caught.value) == told


@pytest.mark.parametrize("code", [1000, 1003, 1007, 1014, 3000, 4999])
def test_a_close_that_a_frame_just_holds(code: int) -> None:
    assert CloseMessage(code, "x" * 123).code == code
    assert CloseMessage(code, "ä" * 61 + "x").reason


def yields(session: object, message: object) -> Iterator[int]:
    yield 1


async def yields_later(session: object, message: object) -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            yields,
            "on_message must be a function of (session, message), not {}: it has a yield, "
            "and so is a generator",
        ),
        (
            yields_later,
            "on_message must be a function of (session, message), not {}: it has a "
            "yield, and so is a generator",
        ),
        (None, "on_message must be a function of (session, message), or a class, not NoneType"),
        ("show", "on_message must be a function of (session, message), or a class, not str"),
        (
            lambda session: None,
            "on_message is called as on_message(session, message): too many positional arguments",
        ),
    ],
    ids=["a generator", "an async generator", "none", "a name", "other arguments"],
)
def test_a_callback_that_would_never_run(given: Any, told: str) -> None:
    """It is refused where it is given, and named."""
    with pytest.raises(TypeError) as caught:
        Callbacks().on_message(given)
    assert str(caught.value) == told.format("function")

    class OfAClass(Handler):
        on_message = staticmethod(given) if callable(given) else given

    class OfAnInstance(Handler):
        def __init__(self) -> None:
            vars(self)["on_message"] = given

    for made in (OfAClass(), OfAnInstance()):
        with pytest.raises(TypeError) as caught:
            Engine("ws://feed.example/", made)
        assert str(caught.value) == told.format("function")
