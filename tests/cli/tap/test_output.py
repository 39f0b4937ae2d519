"""How records are written: on lines, in colours, as JSON, and to places that take nothing."""

from __future__ import annotations

import functools
import gc
import json
import os
import re
import sys
import tracemalloc
from collections.abc import Awaitable, Callable

import pytest
import trio
from rich.console import Console

from tests.cli.tap.observing import behind_upgrade, message
from wirecore_cli.tap.records import Record, Told
from wirecore_cli.tap.sinks import Sink, weight_of
from wirecore_cli.tap.totals import Totals
from wirecore_cli.tap.writers import Lines, json_lines

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pipes can't be non-blocking there")


def in_trio(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """*test* as a plain function."""

    @functools.wraps(test)
    def run() -> None:
        trio.run(test)

    # What pytest would take for async.
    del run.__dict__["__wrapped__"]
    return run


LAST = Record(9.0, 0, None, "tap", Told("summary"))


async def closed_and_read(sink: Sink, reading: int, writing: int) -> list[dict[str, object]]:
    """What comes out at *reading* while *sink*, which writes to *writing*, is closed."""

    def read() -> list[dict[str, object]]:
        with open(reading, "rb") as file:
            return [json.loads(line) for line in file]

    async with trio.open_nursery() as nursery:
        lines: list[dict[str, object]] = []

        async def collect() -> None:
            lines.extend(await trio.to_thread.run_sync(read))

        nursery.start_soon(collect)
        await trio.to_thread.run_sync(sink.close, LAST)
        os.close(writing)
    return lines


def record(number: int) -> Record:
    return Record(number / 1000, 1, "client", "websocket", Told("text", f"number {number}", 9))


def test_a_line() -> None:
    plain = Lines(verbose=False, console=None, encoding="utf-8")
    assert plain([record(1)]).decode() == (
        "    0.001  #1   → websocket text               9 B  number 1\n"
    )
    ascii_only = Lines(verbose=False, console=None, encoding="ascii")
    assert ascii_only([record(1)]).startswith(b"    0.001  #1   -> websocket text")


def test_colours_change_nothing_but_the_colours() -> None:
    console = Console(
        force_terminal=True, color_system="standard", highlight=False, soft_wrap=True, width=40
    )
    records = behind_upgrade([message("client", "[red]a[/red] " * 30)], protocol="raw")
    coloured = Lines(verbose=True, console=console, encoding="utf-8")(records).decode()
    plain = Lines(verbose=True, console=None, encoding="utf-8")(records).decode()
    assert "\x1b[" in coloured
    bare = re.sub(r"\x1b\[[\d;]*m", "", coloured)
    assert [line.rstrip() for line in bare.splitlines()] == plain.splitlines()


def test_json_is_a_line_for_each_in_ascii() -> None:
    lines = json_lines([record(1), Record(0.5, 2, None, "tap", Told("open", "ü\n"))])
    one, two = lines.decode("ascii").splitlines()
    assert json.loads(one) == {
        "seconds": 0.001,
        "connection": 1,
        "from": "client",
        "protocol": "websocket",
        "kind": "text",
        "size": 9,
        "summary": "number 1",
    }
    assert json.loads(two)["from"] == "tap"


def test_the_totals() -> None:
    totals = Totals()
    totals.connections = 1
    for number in range(1, 101):
        answer = Told("response", took=number / 1000)
        totals.count(Record(0, 1, "server", "wsrpc", answer))
    totals.count(Record(0, 1, None, "tap", Told("problem")))
    totals.end({"client": 1_500_000, "server": 12}, {"client": 2000, "server": 1})
    told = totals.told(3.21)
    assert told.summary == (
        "1 connection  3.2 s  client 2,000 frames, 1.5 MB  server 1 frame, 12 B  1 problem  "
        f"wsrpc 100 answers, p50 {told.fields['answers']['wsrpc']['p50_milliseconds']:.2f} ms, "
        f"p99 {told.fields['answers']['wsrpc']['p99_milliseconds']:.2f} ms"
    )
    answers = told.fields["answers"]["wsrpc"]
    assert answers["p50_milliseconds"] == pytest.approx(50, rel=0.01)
    assert answers["p99_milliseconds"] == pytest.approx(99, rel=0.01)


@in_trio
async def test_a_place_that_takes_nothing() -> None:
    """The traffic waits a moment, once; what is dropped then is counted, and said."""
    reading, writing = os.pipe()
    sink = Sink(writing, json_lines, "the pipe")
    sink.start(lambda: None)
    waited = 0.0
    sent = 0
    for _ in range(30):
        for _ in range(1000):
            sink.put(record(sent))
            sent += 1
        begun = trio.current_time()
        await sink.wait_for_room()
        waited += trio.current_time() - begun
    assert 0.9 < waited < 3
    assert sink._weight <= 5 * 4096

    # It is read again, and all that was kept comes, in order.
    lines = await closed_and_read(sink, reading, writing)
    texts = [line for line in lines if line["kind"] == "text"]
    dropped = [line for line in lines if line["kind"] == "dropped"]
    assert [line["summary"] for line in texts] == [f"number {n}" for n in range(len(texts))]
    [said] = dropped
    assert lines[-1]["kind"] == "summary"  # that is never dropped
    assert said["dropped"] == sent - len(texts)
    assert said["summary"] == f"{sent - len(texts)} not shown: the pipe was too slow"


def heavy(number: int) -> Record:
    """A response with 900 header fields, 150 KB of memory."""
    headers = [[f"x-{each}", f"value {each} of {number}"] for each in range(900)]
    return Record(0, 1, "server", "rest", Told("response", "200", 9, {"headers": headers}))


def test_a_record_weighs_all_that_it_says() -> None:
    assert weight_of(record(1)) == 1
    nested = Told("call", "", 9, {"value": {"a": [{"b": "x" * 102_400}]}})
    assert weight_of(Record(0, 1, "client", "pool", nested)) == pytest.approx(102, abs=3)
    assert weight_of(Record(0, 1, None, "tap", Told("text", "x" * 10_240))) == 11
    assert weight_of(heavy(1)) > 100


@in_trio
async def test_heavy_records_fill_a_queue_as_their_bytes_do() -> None:
    """What waits for a place that takes nothing is bounded in bytes, whatever it is made of."""
    reading, writing = os.pipe()
    sink = Sink(writing, json_lines, "the pipe")
    sink.start(lambda: None)
    gc.collect()
    tracemalloc.start()
    try:
        for number in range(400):
            sink.put(heavy(number))
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] < 24 << 20  # all would be 60 MB
    finally:
        tracemalloc.stop()
    assert 4 * 4096 <= sink._weight < 4 * 4096 + weight_of(heavy(1))
    dropped = sink._dropped
    assert dropped > 200

    lines = await closed_and_read(sink, reading, writing)
    assert [line["kind"] for line in lines] == [
        *["response"] * (400 - dropped),
        "dropped",
        "summary",
    ]
    assert lines[-2]["dropped"] == dropped


@in_trio
async def test_a_slow_place_slows_the_traffic_and_loses_nothing() -> None:
    reading, writing = os.pipe()
    sink = Sink(writing, json_lines, "the pipe")
    sink.start(lambda: None)
    got: list[bytes] = []

    def read() -> None:
        with open(reading, "rb", buffering=0) as file:
            while data := file.read(1 << 16):
                got.append(data)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, read)
        for number in range(30_000):
            sink.put(record(number))
            await sink.wait_for_room()
        await trio.to_thread.run_sync(sink.close, LAST)
        os.close(writing)
    assert b"".join(got).count(b"\n") == 30_001
    assert b"dropped" not in b"".join(got)


@in_trio
async def test_a_place_that_is_gone_is_said_to_be() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    gone = trio.Event()
    sink = Sink(writing, json_lines, "the pipe")
    sink.start(gone.set)
    sink.put(record(1))
    with trio.fail_after(30):
        await gone.wait()
    assert isinstance(sink.error, BrokenPipeError)
    for number in range(100_000):
        sink.put(record(number))
    await sink.wait_for_room()
    sink.close(LAST)
    os.close(writing)
