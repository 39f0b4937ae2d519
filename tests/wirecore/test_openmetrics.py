"""The text of metrics, read by the parser of Prometheus' own client."""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wirecore.errors import InvalidOption
from wirecore.openmetrics import Counter, Family, Gauge, Histogram, Info, render

#: Not imported by name, as it has types in part only.
parser: Any = import_module("prometheus_client.openmetrics.parser")


def read(*families: Family) -> dict[str, Any]:
    """What the parser makes of the page, by name."""
    found = parser.text_string_to_metric_families(render(families))
    return {family.name: family for family in found}


def samples(family: Any) -> list[tuple[str, dict[str, str], float]]:
    return [(sample.name, sample.labels, sample.value) for sample in family.samples]


def test_a_page_as_it_is_written() -> None:
    calls = Counter("pool_calls", 'Calls that ended, by "outcome".', ["path", "outcome"])
    calls.add(3, "/db", "answered")
    calls.add(0, "/db", "lost")
    latency = Histogram("pool_latency_seconds", "", ["path"], unit="seconds")
    latency.add([(0.1, 1), (1, 2)], 3, 7.5, "/db")
    queued = Gauge("pool_queued", "Calls that wait.")
    queued.add(12)
    build = Info("wirecore", "The library.", ["version"])
    build.add("0.1.0")
    assert render([calls, latency, queued, build]) == (
        "# TYPE pool_calls counter\n"
        '# HELP pool_calls Calls that ended, by \\"outcome\\".\n'
        'pool_calls_total{path="/db",outcome="answered"} 3\n'
        'pool_calls_total{path="/db",outcome="lost"} 0\n'
        "# TYPE pool_latency_seconds histogram\n"
        "# UNIT pool_latency_seconds seconds\n"
        'pool_latency_seconds_bucket{path="/db",le="0.1"} 1\n'
        'pool_latency_seconds_bucket{path="/db",le="1.0"} 2\n'
        'pool_latency_seconds_bucket{path="/db",le="+Inf"} 3\n'
        'pool_latency_seconds_count{path="/db"} 3\n'
        'pool_latency_seconds_sum{path="/db"} 7.5\n'
        "# TYPE pool_queued gauge\n"
        "# HELP pool_queued Calls that wait.\n"
        "pool_queued 12\n"
        "# TYPE wirecore info\n"
        "# HELP wirecore The library.\n"
        'wirecore_info{version="0.1.0"} 1\n'
        "# EOF\n"
    )


def test_another_parser_reads_every_kind() -> None:
    calls = Counter("pool_calls", "Calls.", ["path"])
    calls.add(3, "/db")
    calls.add(0.5, "/")
    latency = Histogram("latency_seconds", "How long.", ["path"], unit="seconds")
    latency.add([(0.1, 1), (2.5, 1)], 4, 7.5, "/db")
    latency.add([], 0, 0.0, "/")
    build = Info("wirecore", "The library.", ["version"])
    build.add("0.1.0")
    page = read(calls, latency, build)
    assert (page["pool_calls"].type, page["pool_calls"].documentation) == ("counter", "Calls.")
    assert samples(page["pool_calls"]) == [
        ("pool_calls_total", {"path": "/db"}, 3.0),
        ("pool_calls_total", {"path": "/"}, 0.5),
    ]
    assert (page["latency_seconds"].type, page["latency_seconds"].unit) == ("histogram", "seconds")
    assert samples(page["latency_seconds"])[2:5] == [
        ("latency_seconds_bucket", {"path": "/db", "le": "+Inf"}, 4.0),
        ("latency_seconds_count", {"path": "/db"}, 4.0),
        ("latency_seconds_sum", {"path": "/db"}, 7.5),
    ]
    assert samples(page["wirecore"]) == [("wirecore_info", {"version": "0.1.0"}, 1.0)]


@settings(max_examples=50)
@given(st.text(max_size=8), st.text(max_size=8))
def test_any_text_comes_through(value: str, told: str) -> None:
    gauge = Gauge("told", told.strip(), ["one", "two"])
    gauge.add(1, value, "x")
    found = read(gauge)["told"]
    assert samples(found) == [("told", {"one": value, "two": "x"}, 1.0)]
    assert found.documentation == told.strip()


@settings(max_examples=100)
@given(st.floats() | st.integers(-(2**70), 2**70))
def test_any_number_comes_through(value: float) -> None:
    gauge = Gauge("number", "")
    gauge.add(value)
    [(_, _, found)] = samples(read(gauge)["number"])
    assert found == float(value) or (math.isnan(found) and math.isnan(value))


def test_half_a_surrogate_pair_harms_nobody() -> None:
    gauge = Gauge("told", "", ["peer"])
    gauge.add(1, "\ud800")
    assert samples(read(gauge)["told"]) == [("told", {"peer": "?"}, 1.0)]


def test_no_metrics_are_a_page_too() -> None:
    assert render([]) == "# EOF\n"
    assert [*read(Gauge("nothing", "Yet.", ["path"]))] == ["nothing"]


@pytest.mark.parametrize(
    "name", ["", "9lives", "a-b", "ä", "a b", "calls_total", "x_bucket", "a\n"]
)
def test_names_are_checked(name: str) -> None:
    with pytest.raises(InvalidOption, match="name of a metric"):
        Gauge(name, "")


@pytest.mark.parametrize("label", ["", "9", "a:b", "__own", "ö", "le\n"])
def test_names_of_labels_are_checked(label: str) -> None:
    with pytest.raises(InvalidOption, match="can't be a label's name"):
        Counter("calls", "", [label])


def test_labels_belong_together() -> None:
    with pytest.raises(InvalidOption, match="'le' can't be a label's name"):
        Histogram("latency", "", ["le"])
    with pytest.raises(InvalidOption, match="comes twice"):
        Counter("calls", "", ["path", "path"])
    with pytest.raises(InvalidOption, match="not one str"):
        Counter("calls", "", "path")
    with pytest.raises(InvalidOption, match="must end in _seconds: 'latency'"):
        Gauge("latency", "", unit="seconds")
    calls = Counter("calls", "", ["path"])
    calls.add(1, "/")
    with pytest.raises(InvalidOption, match="calls has the labels path: 2 values were given"):
        calls.add(1, "/", "more")
    with pytest.raises(InvalidOption, match="has a sample of these labels already"):
        calls.add(2, "/")
    with pytest.raises(InvalidOption, match="queued has no labels"):
        Gauge("queued", "").add(1, "/")


BAD_VALUES: list[Callable[[], None]] = [
    lambda: Counter("calls", "").add(-1),
    lambda: Counter("calls", "").add(math.nan),
    lambda: Counter("calls", "").add(math.inf),
    lambda: Histogram("latency", "").add([(1, 3)], 2, 1.0),
    lambda: Histogram("latency", "").add([(1, 2), (1, 2)], 2, 1.0),
    lambda: Histogram("latency", "").add([(1, 2), (2, 1)], 2, 1.0),
    lambda: Histogram("latency", "").add([(math.inf, 2)], 2, 1.0),
    lambda: Histogram("latency", "").add([(-1, 2)], 2, 1.0),
    lambda: Histogram("latency", "").add([], 2, math.nan),
    lambda: Histogram("latency", "").add([], -1, 0.0),
]


@pytest.mark.parametrize("add", BAD_VALUES)
def test_values_are_checked(add: Callable[[], None]) -> None:
    with pytest.raises(InvalidOption):
        add()


@pytest.mark.parametrize(
    "families",
    [
        [Gauge("calls", ""), Gauge("calls", "")],
        [Counter("calls", ""), Gauge("calls", "")],
        [Histogram("latency", ""), Counter("latency", "")],
    ],
)
def test_no_two_metrics_share_a_name(families: list[Family]) -> None:
    with pytest.raises(InvalidOption, match="two metrics have the name"):
        render(families)
