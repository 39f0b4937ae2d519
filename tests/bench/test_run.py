"""The benchmark harness: it runs, checks and tells what it measured; how fast is not asked here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.transports.redis_server import find_redis

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """``bench/run.py`` as a user starts it."""
    places = [str(ROOT), str(ROOT / "transports"), os.environ.get("PYTHONPATH", "")]
    return subprocess.run(
        [sys.executable, str(ROOT / "bench" / "run.py"), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places))},
    )


def figures(path: Path, *arguments: str) -> dict[str, Any]:
    """What a quick run writes to *path*; the run must succeed."""
    done = run("--quick", "--json", str(path), *arguments)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def test_the_list_names_rows_contenders_and_goals() -> None:
    done = run("--list")
    assert done.returncode == 0, done.stderr
    assert "echo_small/100: WebSocket echo, 64 B, 100 in flight" in done.stdout
    assert "    websockets trio\n" in done.stdout
    assert "  wirecore / picows asyncio: floor 2x, target 8x\n" in done.stdout


def test_a_latency_to_reach_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the median of the rounds; who told no latency isn't judged."""
    monkeypatch.syspath_prepend(str(ROOT))
    catalog, report = (import_module(f"bench.harness.{name}") for name in ("catalog", "report"))
    measure, rounds = (import_module(f"bench.harness.{name}") for name in ("measure", "rounds"))
    (row,) = catalog.select(catalog.all_rows(), ["unary_call/100"])
    usage = measure.Usage(None, None)

    def shown(*latencies: float | None) -> str:
        result = rounds.RowResult(row, row.placement)
        result.samples["wirecore inline"] = [
            measure.Sample(1.0, 1, 1, 1.0, usage, None, None, each) for each in latencies
        ]
        return str(report.table(result))

    assert "p99 at most 500 us; measured 480 us: target reached" in shown(470.0, 480.0, 900.0)
    assert "p99 at most 500 us; measured 501 us: target missed" in shown(501.0)
    assert "p99 at most" not in shown(None)


def test_rows_are_chosen_by_name() -> None:
    done = run("--list", "--rows", "codec/encode-*")
    rows = [line.partition(":")[0] for line in done.stdout.splitlines() if line[0] != " "]
    assert rows == ["codec/encode-16"]


def test_a_pattern_that_fits_no_row_is_an_error() -> None:
    done = run("--rows", "nothing/like/it")
    assert done.returncode == 2
    assert "--list" in done.stderr


def test_two_processes_echo_and_are_measured(tmp_path: Path) -> None:
    """The bare socket on trio meets itself: a server and a client, on one core."""
    document = figures(
        tmp_path / "figures.json", "--rows", "echo_small/*", "--contenders", "raw trio socket"
    )
    assert document["schema"] == 1
    assert document["settings"]["quick"] is True
    assert document["machine"]["cores"] >= 1
    assert [row["name"] for row in document["rows"]] == ["echo_small/1", "echo_small/100"]
    for row in document["rows"]:
        measured = row["contenders"]["raw trio socket"]
        assert 0 < measured["low"] <= measured["median"] <= measured["high"]
        assert measured["rounds"] == [measured["median"]]
        assert measured["checked"] >= measured["messages"] > 0
        assert measured["versions"].keys() == {"client", "server"}
        assert (row["missing"], row["failed"], row["ratios"]) == ({}, {}, [])


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc and CPU clocks of Linux")
def test_time_and_memory_of_both_processes_are_told(tmp_path: Path) -> None:
    document = figures(
        tmp_path / "figures.json", "--rows", "echo_small/1", "--contenders", "raw trio socket"
    )
    measured = document["rows"][0]["contenders"]["raw trio socket"]
    for side in ("client", "server"):
        assert measured[f"{side}_cpu_us"] > 0
        assert measured[f"{side}_peak_rss"] > 1_000_000


def test_a_real_competitor_is_compared_and_judged(tmp_path: Path) -> None:
    """wsproto is there wherever wirecore is; the pure backend always is."""
    document = figures(
        tmp_path / "figures.json",
        "--rows",
        "codec/decode-stream",
        "--contenders",
        "wsproto",
        "--contenders",
        "wirecore pure",
    )
    (row,) = document["rows"]
    (ratio,) = row["ratios"]
    assert (ratio["subject"], ratio["peer"]) == ("wirecore pure", "wsproto")
    assert (ratio["floor"], ratio["target"]) == (1.5, 3.0)
    assert ratio["reached"] in {"target", "floor", "below"}
    medians = {name: each["median"] for name, each in row["contenders"].items()}
    assert ratio["ratio"] == pytest.approx(medians["wirecore pure"] / medians["wsproto"])


def test_any_server_meets_any_client(tmp_path: Path) -> None:
    document = figures(
        tmp_path / "figures.json",
        "--rows",
        "echo_small/100",
        "--pair",
        "raw_trio:raw_trio",
        "--placement",
        "free",
    )
    (row,) = document["rows"]
    assert row["placement"] == "free"
    assert list(row["contenders"]) == ["raw_trio:raw_trio"]


def test_a_missing_competitor_is_named_and_the_row_goes_on(tmp_path: Path) -> None:
    """A module that refuses to be imported stands in for one that isn't installed."""
    hidden = tmp_path / "websockets.py"
    hidden.write_text("raise ImportError('websockets is hidden from this test')\n")
    path = tmp_path / "figures.json"
    places = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", places)
        document = figures(
            path,
            "--rows",
            "codec/encode-16",
            "--contenders",
            "websockets",
            "--contenders",
            "wsproto",
        )
    (row,) = document["rows"]
    assert row["missing"].keys() == {"websockets"}
    assert row["contenders"].keys() == {"wsproto"}


def test_a_broadcast_is_read_on_every_connection(tmp_path: Path) -> None:
    """Bare sockets meet the common client of those rows, fewer of them in a quick run."""
    document = figures(
        tmp_path / "figures.json", "--rows", "broadcast/*", "--contenders", "bare sockets"
    )
    measured = document["rows"][0]["contenders"]["bare sockets"]
    assert measured["messages"] % 100 == 0
    assert measured["checked"] >= measured["messages"] > 0


@pytest.mark.parametrize(
    "row", ["webwire_clients/4", "webwire_request/1", "webwire_request/100", "webwire_signals/1000"]
)
def test_requests_and_signals_of_webwire(tmp_path: Path, row: str) -> None:
    """On whichever backend there is: the contenders of the row insist on the compiled one."""
    pair = "wirecore_webwire:wirecore_webwire"
    document = figures(tmp_path / "figures.json", "--rows", row, "--pair", pair)
    (row_,) = document["rows"]
    measured = row_["contenders"][pair]
    assert measured["messages"] > 0
    assert measured["versions"]["server"].startswith("wirecore ")


def test_a_competitor_of_webwire_is_asked_the_same(tmp_path: Path) -> None:
    contenders = ("--contenders", "JSON-RPC *")
    document = figures(tmp_path / "figures.json", "--rows", "webwire_[rs]*", *contenders)
    for row in document["rows"]:
        assert row["contenders"].keys() == {"JSON-RPC inline", "JSON-RPC async"}


@pytest.mark.parametrize("peer", ["wirecore_rest", "httpx2_uvicorn"])
def test_requests_over_websocket_and_over_http(tmp_path: Path, peer: str) -> None:
    pair = f"{peer}:{peer}"
    document = figures(tmp_path / "figures.json", "--rows", "rest_request/100", "--pair", pair)
    measured = document["rows"][0]["contenders"][pair]
    assert measured["checked"] >= measured["messages"] > 0


def test_requests_through_a_gateway_and_through_a_proxy(tmp_path: Path) -> None:
    """Callers and proxy are in Go. What stands behind either is started with it."""
    path = tmp_path / "figures.json"
    done = run("--quick", "--json", str(path), "--rows", "rest_gateway/64KiB-1")
    [row] = json.loads(path.read_text())["rows"]
    if any("Go isn't installed" in why or "go build" in why for why in row["missing"].values()):
        pytest.skip("its callers are in Go, and can't be built here")
    assert (done.returncode, row["missing"]) == (0, {}), done.stderr
    assert len(row["contenders"]) == 5
    for measured in row["contenders"].values():
        assert measured["checked"] >= measured["messages"] > 0


def test_a_pool_calls_its_providers(tmp_path: Path) -> None:
    """The pool is the client: it tells the provider where it is. And the same with no pool."""
    pairs = [f"{peer}:{peer}" for peer in ("wirecore_pool", "wirecore_callbacks")]
    flags = [word for pair in pairs for word in ("--pair", pair)]
    document = figures(tmp_path / "figures.json", "--rows", "pool_call/64-json", *flags)
    contenders = document["rows"][0]["contenders"]
    assert list(contenders) == pairs
    for measured in contenders.values():
        assert measured["checked"] >= measured["messages"] > 0
        assert measured["versions"]["client"].startswith("wirecore ")


def test_two_nodes_of_a_pool_share_redis(tmp_path: Path) -> None:
    find_redis()
    pair = "wirecore_pool_nodes:wirecore_pool_nodes"
    document = figures(tmp_path / "figures.json", "--rows", "pool_nodes/64", "--pair", pair)
    measured = document["rows"][0]["contenders"][pair]
    assert measured["checked"] >= measured["messages"] > 0


def test_gob_is_encoded_and_decoded(tmp_path: Path) -> None:
    contenders = ("--contenders", "wirecore pure")
    document = figures(tmp_path / "figures.json", "--rows", "gob_codec/*", *contenders)
    assert [row["name"] for row in document["rows"]] == ["gob_codec/encode", "gob_codec/decode"]
    for row in document["rows"]:
        measured = row["contenders"]["wirecore pure"]
        assert measured["messages"] % 64 == 0
        assert measured["checked"] == 64


def test_a_quick_run_cuts_numbers_down_and_leaves_smaller_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    catalog = import_module("bench.harness.catalog")
    (row,) = catalog.select(catalog.all_rows(), ["many_connections/echo"])
    quick = catalog.made_quick(row)
    assert [each.drive.get("idle") for each in quick.contenders] == [None, "100", "200", "200"]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--rounds", "0"], "isn't a number of rounds"),
        (["--seconds", "-1"], "isn't a number of seconds above 0"),
        (["--seconds", "nan"], "isn't a number of seconds above 0"),
        (["--json", "no/such/folder/x.json"], "its folder must be there"),
        (["--plot", "picture.xyz"], "must end in .png"),
        (["--pair", "nobody:raw_trio"], "there is no peer 'nobody'"),
        (["--contenders", "nobody"], "nothing fits"),
        (["--rows", "echo_small"], "nothing fits"),
    ],
)
def test_what_cant_be_done_is_told_before_the_run(arguments: list[str], why: str) -> None:
    done = run("--quick", *arguments)
    assert done.returncode == 2
    assert why in done.stderr
    assert "round 1/1" not in done.stderr


def test_go_programs_of_their_own_are_where_the_harness_looks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    programs = import_module("bench.harness.launch").GO_PROGRAMS
    assert programs
    for source in programs.values():
        assert (source / "main.go").is_file()


def test_pairs_with_go_are_not_pinned() -> None:
    done = run("--list", "--rows", "echo_small/1", "--pair", "go/gws:wirecore_websocket")
    assert "placement free" in done.stdout
