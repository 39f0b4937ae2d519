"""Every trace that was recorded of the original, over both of its adapters, replayed with ours."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
import trio

from tests.transports.conftest import Run
from tests.transports.engine.golden.comparing import check_lines, check_spans
from tests.transports.engine.golden.differences import (
    DIFFERENCES,
    OPTIONS,
    any_order,
    expected,
)
from tests.transports.engine.golden.recorded import Scenario, option_checks, scenarios
from tests.transports.engine.golden.replay import URL, Replay
from tests.transports.engine.golden.spans import recorded_tree
from wirecore.errors import InvalidOption
from wirecore_trio.engine import (
    Adapter,
    Callbacks,
    ConnectionClosed,
    Engine,
    EngineStartError,
    Options,
    WirecoreAdapter,
)
from wirecore_trio.engine.adapters import WebsocketsAdapter

ALL: Final = [pytest.param(each, id="-".join(key)) for key, each in scenarios().items()]

#: Those in which ours does the same, and of which all frames were recorded.
SAME: Final = [
    key for key, each in scenarios().items() if each.name not in DIFFERENCES and each.heard_all
]

PAGE: Final = Path(__file__).parents[4] / "docs" / "engine-differences.md"


@pytest.fixture(autouse=True)
def spans_by_trios_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spans have the time of the run, which jumps."""
    monkeypatch.setattr("opentelemetry.sdk.trace.time_ns", lambda: round(trio.current_time() * 1e9))


Replayed = Callable[[Scenario], Replay]


@pytest.fixture(scope="module")
def done() -> dict[tuple[str, str], Replay]:
    """The replays that were made already: two tests look at each."""
    return {}


@pytest.fixture
def replayed(run: Run, done: dict[tuple[str, str], Replay]) -> Replayed:
    """What ours does in a scenario."""

    def replay(scenario: Scenario) -> Replay:
        key = scenario.name, scenario.adapter
        if key not in done:
            made = Replay(scenario)
            run(made.run)
            done[key] = made
        return done[key]

    return replay


@pytest.mark.parametrize("scenario", ALL)
def test_the_same_callbacks_in_the_same_order_at_the_same_times(
    replayed: Replayed, scenario: Scenario
) -> None:
    lines, _ = expected(scenario)
    check_lines(lines, replayed(scenario).lines, any_order=any_order(scenario))


@pytest.mark.parametrize("scenario", ALL)
def test_the_same_tree_of_spans(replayed: Replayed, scenario: Scenario) -> None:
    _, spans = expected(scenario)
    check_spans(spans, replayed(scenario).spans)


@pytest.mark.parametrize("key", SAME, ids="-".join)
def test_the_same_is_sent(replayed: Replayed, key: tuple[str, str]) -> None:
    scenario = scenarios()[key]
    assert replayed(scenario).sent == scenario.sent


_OVER_SOCKETS: Final = [
    "start_stop",
    "on_open_exchange",
    "messages_4_workers",
    "text_and_binary",
    "lost_fin",
    "lost_rst",
    "restart_in_on_message_1_worker",
    "pause_lock_outside",
    "ping",
]


@pytest.mark.parametrize("adapter", [WirecoreAdapter, WebsocketsAdapter])
@pytest.mark.parametrize("name", _OVER_SOCKETS)
def test_the_same_over_sockets_and_over_another_library(
    run_sockets: Run, name: str, adapter: Callable[[], Adapter]
) -> None:
    scenario = scenarios()[name, "gorilla"]
    replay = Replay(scenario)
    run_sockets(lambda: replay.run_over(adapter()))
    lines, spans = expected(scenario)
    check_lines(lines, replay.lines, any_order=any_order(scenario))
    check_spans(spans, replay.spans)


# --- the differences ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DIFFERENCES)
def test_a_difference_is_one(name: str) -> None:
    """Over one of the original's adapters at least, ours does something else."""
    for adapter in ("gorilla", "coder"):
        scenario = scenarios()[name, adapter]
        lines, spans = expected(scenario)
        try:
            check_lines(lines, scenario.lines, any_order=any_order(scenario))
            check_spans(spans, recorded_tree(scenario))
        except AssertionError:
            return
    raise AssertionError(f"ours does as the original in {name}: it is no difference")


def test_the_page_tells_of_each_difference_and_of_no_other() -> None:
    text = PAGE.read_text().partition("\n## What is otherwise than")[2].partition("\n## ")[0]
    told = [row.split("|")[-2] for row in text.splitlines() if row.startswith("| ")]
    names = {name for cell in told for name in re.findall(r"`([^`]+)`", cell)}
    assert names == set(DIFFERENCES) | set(OPTIONS)


# --- options and arguments ------------------------------------------------------------------------

_NAMES: Final = {
    "ReaderRoutinesCount": "workers",
    "AutoReconnectRetryDelayBaseSeconds": "retry_delay_base",
    "AutoReconnectRetryDelayMaxExponent": "retry_delay_max_exponent",
    "OnOpenTimeoutMs": "open_timeout",
    "StopTimeoutMs": "stop_timeout",
}

_HANDLER: Final = Callbacks()

_CASES: Final[dict[str, Callable[[], Any]]] = {
    "defaults": Options,
    "workers 0": lambda: Options(workers=0),
    "workers -1": lambda: Options(workers=-1),
    "workers 1": lambda: Options(workers=1),
    "base 0": lambda: Options(retry_delay_base=0),
    "exponent 0": lambda: Options(retry_delay_max_exponent=0),
    "open timeout -1": lambda: Options(open_timeout=-0.001),
    "open timeout 0": lambda: Options(open_timeout=0),
    "stop timeout -1": lambda: Options(stop_timeout=-0.001),
    "stop timeout 0": lambda: Options(stop_timeout=0),
    "base 0 with auto reconnect off": lambda: Options(retry_delay_base=0, auto_reconnect=False),
    "two wrong": lambda: Options(workers=0, stop_timeout=-0.001),
    "options nil to validate": lambda: Engine(URL, _HANDLER, None),
    "new engine: url nil": lambda: Engine(None, _HANDLER),  # type: ignore[arg-type] # the case
    "new engine: adapter nil": lambda: Engine(URL, _HANDLER, adapter=None),
    "new engine: client nil": lambda: Engine(URL, None),  # type: ignore[arg-type] # the case
    "new engine: options nil, tracer provider nil": lambda: Engine(
        URL, _HANDLER, None, tracer_provider=None
    ),
    "new engine: workers 0": lambda: Engine(URL, _HANDLER, Options(workers=0)),
}

#: Texts, and not refusals.
_TEXTS: Final[dict[str, str]] = {
    "text of a start error around another": str(EngineStartError("inner")),
    "text of a close error, code 1001 reason x": str(ConnectionClosed(1001, "x")),
}


@pytest.mark.parametrize("check", option_checks()["cases"], ids=lambda check: check["case"])
def test_the_same_options_and_arguments_are_refused(check: dict[str, Any]) -> None:
    case, error = check["case"], check["error"]
    if case in _TEXTS:
        assert (_TEXTS[case] == error) is (case not in OPTIONS)
    elif (error is None) is (case not in OPTIONS):
        _CASES[case]()
    else:
        with pytest.raises((InvalidOption, TypeError)) as caught:
            _CASES[case]()
        bad = [_NAMES[name] for name in re.findall(r"Options\.(\w+)' Error", error or "")]
        assert [line.split()[0] for line in str(caught.value).splitlines() if bad] == bad


def test_the_defaults_are_the_same() -> None:
    options, theirs = Options(), option_checks()["defaults"]
    assert {
        "workers": options.workers,
        "auto_reconnect": options.auto_reconnect,
        "retry_delay_base_s": options.retry_delay_base,
        "retry_delay_max_exponent": options.retry_delay_max_exponent,
        "open_timeout_ms": (options.open_timeout or 0) * 1000,
        "stop_timeout_ms": (options.stop_timeout or 0) * 1000,
    } == theirs
