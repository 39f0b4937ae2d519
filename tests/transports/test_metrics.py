"""A page of metrics over plain HTTP."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import pytest
import trio
import trio.testing

from wirecore.errors import InvalidOption
from wirecore.openmetrics import CONTENT_TYPE, Gauge, render
from wirecore_trio._serving_metrics import serve_metrics

Run = Callable[..., Any]

Answered = tuple[int, dict[str, str], bytes]


async def ask(port: int, request: str = "GET /metrics") -> Answered:
    """Status, header fields and body of the answer."""
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(f"{request} HTTP/1.1\r\nHost: here\r\n\r\n".encode())
        data = b"".join([chunk async for chunk in stream])
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    fields = dict(line.split(": ", 1) for line in lines)
    return int(first.split()[1]), fields, body


class Calls:
    """A page that changes with each look at it."""

    def __init__(self) -> None:
        self.looks = 0

    def render(self) -> str:
        self.looks += 1
        looks = Gauge("looks", "How often, à ce jour.")
        looks.add(self.looks)
        return render([looks])


def test_each_request_gets_the_page_as_it_is_now(run_sockets: Run) -> None:
    async def story() -> None:
        calls = Calls()
        async with trio.open_nursery() as nursery:
            metrics = await nursery.start(serve_metrics, calls.render)
            for look in (1, 2):
                code, fields, body = await ask(metrics.port, "GET /metrics?now")
                assert (code, fields["Content-Type"]) == (200, CONTENT_TYPE)
                assert fields["Cache-Control"] == "no-store"
                assert f"\nlooks {look}\n# EOF\n" in body.decode()
                assert int(fields["Content-Length"]) == len(body)
            code, fields, body = await ask(metrics.port, "HEAD /metrics")
            assert (code, body) == (200, b"")
            assert int(fields["Content-Length"]) > 40
            nursery.cancel_scope.cancel()

    run_sockets(story)


def test_it_listens_on_this_machine_alone_unless_told_otherwise(run_sockets: Run) -> None:
    async def story() -> None:
        async with trio.open_nursery() as nursery:
            metrics = await nursery.start(serve_metrics, Calls().render)
            assert [address[0] for address in metrics.addresses] == ["127.0.0.1"]
            open_to_all = await nursery.start(serve_metrics, Calls().render, None)
            assert "0.0.0.0" in [address[0] for address in open_to_all.addresses]
            nursery.cancel_scope.cancel()

    run_sockets(story)


def test_other_paths_and_methods_are_told_so(run_sockets: Run) -> None:
    async def story() -> None:
        async with trio.open_nursery() as nursery:
            metrics = await nursery.start(serve_metrics, Calls().render)
            code, _, body = await ask(metrics.port, "GET /")
            assert (code, body) == (404, b"there is /metrics\n")
            assert (await ask(metrics.port, "GET /metrics/more"))[0] == 404
            code, fields, _ = await ask(metrics.port, "POST /metrics")
            assert (code, fields["Allow"]) == (405, "GET, HEAD")
            assert (await ask(metrics.port, "nonsense"))[0] == 400
            nursery.cancel_scope.cancel()

    run_sockets(story)


def divide() -> float:
    return 1 / 0


def forget() -> None:
    """Give no text at all."""


@pytest.mark.parametrize("broken", [divide, forget])
def test_a_page_that_fails_is_told_in_the_log_alone(
    broken: Callable[[], Any], run_sockets: Run, caplog: pytest.LogCaptureFixture
) -> None:
    pages = iter([broken, Calls().render])

    def render() -> Any:
        return next(pages)()

    async def story() -> None:
        async with trio.open_nursery() as nursery:
            metrics = await nursery.start(serve_metrics, render)
            code, _, body = await ask(metrics.port)
            assert (code, body) == (500, b"the server failed to make this; its log tells why\n")
            assert (await ask(metrics.port))[0] == 200, "it goes on"
            nursery.cancel_scope.cancel()

    with caplog.at_level(logging.ERROR):
        run_sockets(story)
    [record] = caplog.records
    assert (record.name, record.exc_info is not None) == ("wirecore.metrics", True)
    assert record.getMessage() == "the answer to /metrics couldn't be made"


def test_who_asks_for_nothing_is_left_after_a_while(run_sockets: Run) -> None:
    async def story() -> None:
        async with trio.open_nursery() as nursery:
            metrics = await nursery.start(serve_metrics, Calls().render)
            async with await trio.open_tcp_stream("127.0.0.1", metrics.port) as silent:
                started = trio.current_time()
                assert await silent.receive_some() == b""
                assert trio.current_time() - started == pytest.approx(5, abs=0.1)
            nursery.cancel_scope.cancel()

    run_sockets(story)


def test_a_large_page_arrives_whole(run_real: Run) -> None:
    page = "# HELP x " + "x" * 3_000_000 + "\n# EOF\n"

    async def story() -> None:
        async with trio.open_nursery() as nursery:
            metrics = await nursery.start(serve_metrics, lambda: page)
            assert (await ask(metrics.port))[2] == page.encode()
            nursery.cancel_scope.cancel()

    run_real(story)


def test_on_sockets_that_were_bound_before(run_sockets: Run) -> None:
    async def story() -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        async with trio.open_nursery() as nursery:
            start = partial(serve_metrics, Calls().render, listeners=[listener])
            metrics = await nursery.start(start)
            assert metrics.port == port
            assert (await ask(port))[0] == 200
            nursery.cancel_scope.cancel()
        assert listener.fileno() < 0, "closed with it"

    run_sockets(story)


def test_arguments_are_checked(run: Run) -> None:
    async def story() -> None:
        text = cast("Callable[[], str]", "# EOF")
        with pytest.raises(TypeError, match="render must be a function"):
            await serve_metrics(text)
        with pytest.raises(TypeError, match="port must be int"):
            await serve_metrics(Calls().render, port=cast("int", "80"))
        with pytest.raises(InvalidOption, match="a port is 0 to 65535"):
            await serve_metrics(Calls().render, port=70_000)

    run(story)
