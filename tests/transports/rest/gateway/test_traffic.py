"""What a gateway counts and remembers of the requests through it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx2
import pytest
import trio
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.transports.pool.world import until
from tests.transports.rest.world import Parked, answer, echo, read
from wirecore_trio.rest.gateway import CountsState, GatewayState, Route, Tokens

if TYPE_CHECKING:
    from tests.transports.conftest import Run
    from tests.transports.rest.gateway.world import OpenGateway, World


async def statuses(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the status that the path names."""
    assert scope["type"] == "http"
    await read(receive)
    await answer(send, b"12345", int(scope["path"].removeprefix("/")))


async def counted(world: World, requests: int) -> GatewayState:
    """The state, once so many requests are through: a caller has his answer before."""
    await until(lambda: world.gateway.state().total.requests == requests)
    return world.gateway.state()


def shown(counts: CountsState) -> tuple[dict[str, int], int, int, int]:
    """By status, failed, and the bytes both ways."""
    return dict(counts.statuses), counts.failed, counts.received, counts.sent


def test_counts_by_name_and_by_publisher(open_gateway: OpenGateway, run_real: Run) -> None:
    async def story() -> None:
        async with open_gateway() as world, world.caller() as http:
            async with world.publish(statuses, "api") as client:
                for status in (200, 201, 304, 404, 500):
                    await http.post(f"/api/{status}", content=b"abc")
                async with world.publish(echo, {"name": "echo", "site": "Oslo"}):
                    await http.get("/echo/")
                    state = await counted(world, 6)
                    assert client.connection is not None
                    api, echoing = state.publishers
                    assert (api.id, api.name) == (client.connection.id, "api")
                    assert api.metadata == "api"
                    assert echoing.metadata == {"name": "echo", "site": "Oslo"}
                    assert api.remote_address.startswith("127.0.0.1:")
                    assert api.connected_at < echoing.connected_at
            # 304 has no body, whatever the application sends.
            expected = ({"2xx": 2, "3xx": 1, "4xx": 1, "5xx": 1}, 1, 15, 20)
            assert shown(api.counts) == shown(state.names["api"]) == expected
            assert shown(echoing.counts) == ({"2xx": 1}, 0, 0, 6)
            assert shown(state.total) == ({"2xx": 3, "3xx": 1, "4xx": 1, "5xx": 1}, 1, 15, 26)
            assert state.total.latency.count == state.total.recent.count == 6
            assert 0 < state.total.latency.p50 < 5
            # Who has gone is no publisher any more; what was published stays counted.
            await until(lambda: not world.gateway.state().publishers)
            assert shown(world.gateway.state().names["api"]) == expected

    run_real(story)


def test_names_of_strangers_are_nobodys(open_gateway: OpenGateway, run_real: Run) -> None:
    """Or whoever asks for many paths would fill the memory; routes are the gateway's own."""

    async def story() -> None:
        async with open_gateway() as world, world.caller() as http:
            for number in range(20):
                assert (await http.get(f"/made-up-{number}/")).status_code == 503
            state = await counted(world, 20)
            assert list(state.names) == [""]
            assert state.names[""].failed == 20
        async with open_gateway(Route(name="api", prefix="/api")) as world, world.caller() as http:
            await http.get("/api/")
            await http.get("/else/")
            state = await counted(world, 2)
            assert shown(state.names["api"])[:2] == ({"5xx": 1}, 1)
            assert shown(state.names[""])[:2] == ({"4xx": 1}, 0)

    run_real(story)


def test_a_route_by_metadata_counts_for_the_publishers_name(
    open_gateway: OpenGateway, run_real: Run
) -> None:
    async def story() -> None:
        metadata = {"name": "api", "n": 1}
        async with (
            open_gateway(Route(metadata=metadata)) as world,
            world.caller() as http,
            world.publish(echo, metadata),
        ):
            await http.get("/")
            state = await counted(world, 1)
            assert state.names["api"].requests == 1
            assert state.requests[0].name == "api"

    run_real(story)


def test_the_last_requests_and_errors(open_gateway: OpenGateway, run_real: Run) -> None:
    async def breaks(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"the beginning", "more_body": True})
        raise ValueError("it broke")

    async def story() -> None:
        async with (
            open_gateway(max_body_size=10) as world,
            world.caller() as http,
            world.publish(echo, "api"),
            world.publish(breaks, "broken"),
        ):
            await http.put("/api/todos?token=secret", content=b"abc", headers={"Cookie": "secret"})
            await http.get("/nobody/")
            await http.post("/api/", content=bytes(11))
            with pytest.raises(httpx2.RemoteProtocolError):
                await http.get("/broken/")
            state = await counted(world, 4)
            assert "secret" not in repr(state)
            broken, long, nobody, put = state.requests
            assert (put.method, put.path, put.status) == ("PUT", "/api/todos", 200)
            assert (put.caller, put.problem) == ("127.0.0.1", "")
            assert put.publisher == state.publishers[0].id
            assert put.answered is not None
            assert put.begun < put.answered <= put.ended
            assert (nobody.status, nobody.problem) == (503, "nobody publishes that now")
            assert (nobody.name, nobody.publisher) == ("nobody", "")
            assert (long.status, long.problem) == (413, "the body is longer than 10 bytes")
            assert broken.status == 200
            assert broken.problem.startswith("a response broke off: ")
            # Too long a body is its caller's fault.
            assert state.errors == (broken, nobody)
            assert state.total.failed == 2

    run_real(story)


def test_a_caller_that_went_is_no_error(open_gateway: OpenGateway, run_real: Run) -> None:
    parked = Parked()

    async def story() -> None:
        async with (
            open_gateway() as world,
            world.caller() as http,
            world.publish(parked, "api"),
        ):
            with pytest.raises(httpx2.ReadTimeout):
                await http.get("/api/slow", timeout=httpx2.Timeout(20, read=0.3))
            state = await counted(world, 1)
            assert shown(state.names["api"])[:2] == ({"gone": 1}, 0)
            assert state.requests[0].status == 499
            assert state.errors == ()
            parked.waiting["/slow"].set()

    run_real(story)


def test_what_is_remembered_is_bounded(open_gateway: OpenGateway, run_real: Run) -> None:
    """The last 100, and the beginning of a path."""

    async def story() -> None:
        async with (
            open_gateway() as world,
            world.caller() as http,
            world.publish(statuses, "api"),
        ):
            for _ in range(101):
                await http.get("/api/200")
            await http.get(f"/nobody/{'x' * 10_000}")
            state = await counted(world, 102)
            assert len(state.requests) == 100
            assert state.requests[0].path == f"/nobody/{'x' * 10_000}"[:200]

    run_real(story)


def test_under_way(open_gateway: OpenGateway, run_real: Run) -> None:
    parked = Parked()

    async def story() -> None:
        async with (
            open_gateway() as world,
            world.caller() as http,
            world.publish(parked, "api"),
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(http.get, "/api/a")
            nursery.start_soon(http.get, "/api/b")
            await parked.wait_for("/a", "/b")
            state = world.gateway.state()
            assert state.total.in_flight == state.publishers[0].counts.in_flight == 2
            assert state.names["api"].in_flight == 2
            parked.waiting["/a"].set()
            await counted(world, 1)
            assert world.gateway.state().names["api"].in_flight == 1
            parked.waiting["/b"].set()

    run_real(story)


def test_metrics(open_gateway: OpenGateway, run_real: Run) -> None:
    async def story() -> None:
        async with (
            open_gateway() as world,
            world.caller() as http,
            world.publish(statuses, "api"),
            world.publish(statuses, "api"),
            world.publish(echo, 'quo"te\n'),
        ):
            for status in (200, 200, 404, 500):
                await http.post(f"/api/{status}", content=b"abc")
            await counted(world, 4)
            page = world.gateway.metrics()
        samples = {
            (sample.name, *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(page)  # type: ignore[no-untyped-call]
            for sample in family.samples
        }
        name = "wirecore_gateway"
        assert samples[f"{name}_publishers", "api"] == 2
        assert samples[f"{name}_publishers", 'quo"te\n'] == 1
        assert samples[f"{name}_requests_total", "api", "2xx"] == 2
        assert samples[f"{name}_requests_total", "api", "4xx"] == 1
        assert samples[f"{name}_failed_requests_total", "api"] == 1
        assert samples[f"{name}_received_bytes_total", "api"] == 12
        assert samples[f"{name}_sent_bytes_total", "api"] == 20
        assert samples[f"{name}_requests_in_flight", "api"] == 0
        assert samples[f"{name}_response_seconds_count", "api"] == 4

    run_real(story)


def test_without_tokens_any_more(open_gateway: OpenGateway, run_real: Run) -> None:
    """Tokens that are replaced count at once: for who is connected when he is dismissed."""
    tokens = Tokens({"secret-1": ["api"], "secret-2": ["*"]})

    async def story() -> None:
        async with (
            open_gateway(tokens=tokens) as world,
            world.caller() as http,
            world.publish(echo, "api", headers={"Authorization": "Bearer secret-1"}) as one,
            world.publish(echo, "other", headers={"Authorization": "Bearer secret-2"}),
        ):
            assert (await http.get("/api/")).status_code == 200
            with pytest.raises(ValueError, match="ASCII"):
                tokens.replace({"": ["*"]})
            assert world.gateway.publishers.dismiss() == 0
            tokens.replace({"secret-1": ["else"], "secret-2": ["other"]})
            assert (await http.get("/api/")).status_code == 503
            assert (await http.get("/other/")).status_code == 200
            lost = one.connection
            assert lost is not None
            assert world.gateway.publishers.dismiss() == 1
            await lost.wait_closed()
            assert "1008: this token is for other names" in str(lost.error)

    run_real(story)
