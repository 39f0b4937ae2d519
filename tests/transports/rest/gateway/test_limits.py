"""How many requests a gateway takes at once: in all, at a publisher, from an address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx2
import pytest
import trio

from tests.transports.pool.world import until
from tests.transports.rest.world import Parked, echo
from wirecore.errors import InvalidOption, UpgradeRejected
from wirecore_trio import rest, websocket
from wirecore_trio.rest.gateway import Gateway
from wirecore_trio.rest.gateway._limits import Limits
from wirecore_trio.rest.gateway._refusals import Refusal

if TYPE_CHECKING:
    from tests.transports.conftest import Run
    from tests.transports.rest.gateway.world import OpenGateway


class Asked:
    """Requests of one caller that are under way at *parked*."""

    def __init__(self, http: httpx2.AsyncClient, nursery: trio.Nursery, *parked: Parked) -> None:
        self._http = http
        self._nursery = nursery
        self._parked = parked
        self.statuses: list[int] = []

    async def start(self, path: str, **more: Any) -> None:
        """Begin one, and wait until it is there."""

        async def ask() -> None:
            self.statuses.append((await self._http.get(path, **more)).status_code)

        self._nursery.start_soon(ask)
        at = path.removeprefix("/api")
        await until(lambda: any(at in each.waiting for each in self._parked))

    async def finish(self, count: int) -> None:
        """Have all be answered, *count* of them."""
        for each in self._parked:
            for event in each.waiting.values():
                event.set()
        await until(lambda: self.statuses == [200] * count)


def test_in_all(open_gateway: OpenGateway, run_real: Run) -> None:
    parked = Parked()

    async def story() -> None:
        async with (
            open_gateway(max_requests=2) as world,
            world.caller() as http,
            world.publish(parked, "api"),
            world.publish(echo, "other"),
            trio.open_nursery() as nursery,
        ):
            asked = Asked(http, nursery, parked)
            await asked.start("/api/1")
            await asked.start("/api/2")
            refused = await http.get("/other/")
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
            assert refused.text == "the gateway has as many requests as it takes\n"
            await until(lambda: world.gateway.state().total.in_flight == 2)
            await asked.finish(2)
            await until(lambda: world.gateway.state().total.in_flight == 0)
            assert (await http.get("/other/")).status_code == 200

    run_real(story)


def test_at_each_publisher(open_gateway: OpenGateway, run_real: Run) -> None:
    """What one has no place for goes to the other, and then to nobody; who is idle isn't told."""
    one, other = Parked(), Parked()

    async def story() -> None:
        async with (
            open_gateway(max_requests_per_publisher=1) as world,
            world.caller() as http,
            world.publish(one, "api"),
            world.publish(other, "api"),
            world.publish(echo, "other"),
            trio.open_nursery() as nursery,
        ):
            asked = Asked(http, nursery, one, other)
            await asked.start("/api/1")
            await asked.start("/api/2")
            assert len(one.waiting) == len(other.waiting) == 1
            refused = await http.get("/api/3")
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
            assert refused.text == "all who publish that have as many requests as they take\n"
            assert (await http.get("/other/")).status_code == 200
            assert (await http.get("/nobody/")).text == "nobody publishes that now\n"
            await asked.finish(2)

    run_real(story)


@pytest.mark.parametrize("trusted", [False, True])
def test_from_one_address(open_gateway: OpenGateway, run_real: Run, trusted: bool) -> None:
    """What callers say of themselves counts only where another gateway stands in front."""
    parked = Parked()

    async def story() -> None:
        async with (
            open_gateway(max_requests_per_caller=1, trust_forwarded=trusted) as world,
            world.caller() as http,
            world.publish(parked, "api"),
            trio.open_nursery() as nursery,
        ):
            asked = Asked(http, nursery, parked)
            await asked.start("/api/1", headers={"X-Forwarded-For": "10.0.0.1, 10.0.0.2"})
            same = await http.get("/api/x", headers={"X-Forwarded-For": "10.0.0.9, 10.0.0.2"})
            assert (same.status_code, same.headers["retry-after"]) == (429, "5")
            other = {"X-Forwarded-For": "10.0.0.2, 10.0.0.3"}
            if trusted:
                await asked.start("/api/2", headers=other)
                await asked.finish(2)
            else:
                assert (await http.get("/api/2", headers=other)).status_code == 429
                await asked.finish(1)
            callers = {each.caller for each in world.gateway.state().requests}
            assert callers == ({"10.0.0.2", "10.0.0.3"} if trusted else {"127.0.0.1"})

    run_real(story)


def test_bounds_of_a_publisher(open_gateway: OpenGateway, run_real: Run) -> None:
    """Its others go on, and what it refuses another may take."""
    one, other = Parked(), Parked()
    long = {"x-long": "y" * 5000}

    async def story() -> None:
        async with (
            open_gateway() as world,
            world.caller() as http,
            world.publish(one, "api", {"max_head": 4096, "max_streams": 1}),
            trio.open_nursery() as nursery,
        ):
            asked = Asked(http, nursery, one, other)
            await asked.start("/api/1")
            refused = await http.get("/api/2")
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
            assert refused.text == "the publisher has too many requests\n"
            refused = await http.get("/api/2", headers=long)
            assert refused.status_code == 431
            assert refused.text == "the head of the request is too long for its publisher\n"
            async with world.publish(other, "api"):
                await asked.start("/api/3", headers=long)
                assert list(other.waiting) == ["/3"]
                await asked.finish(2)
            assert one.cancelled == []

    run_real(story)


def test_who_has_one_address_of_ipv6_has_the_whole_64() -> None:
    limits = Limits(None, 1)

    def is_admitted(address: str) -> bool:
        try:
            with limits.admitted(address):
                return True
        except Refusal:
            return False

    with limits.admitted("2001:db8::1"), limits.admitted("::ffff:192.0.2.1"):
        assert not is_admitted("2001:db8:0:0:ffff::2")
        assert is_admitted("2001:db8:0:1::1")
        assert not is_admitted("192.0.2.1")
        assert is_admitted("192.0.2.2")
        assert is_admitted("what: isn't an address")
    assert is_admitted("2001:db8::1")


def test_websockets_count(open_gateway: OpenGateway, run_real: Run) -> None:
    async def both(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await echo(scope, receive, send)
            return
        await receive()
        await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            pass

    async def story() -> None:
        async with (
            open_gateway(max_requests=1) as world,
            world.caller() as http,
            world.publish(both, "api"),
        ):
            url = f"ws{world.url.removeprefix('http')}/api/"
            async with websocket.connect(url):
                assert (await http.get("/api/")).status_code == 503
                with pytest.raises(UpgradeRejected, match="503"):
                    async with websocket.connect(url, retry=None):
                        pass
            await until(lambda: world.gateway.state().total.in_flight == 0)
            assert (await http.get("/api/")).status_code == 200

    run_real(story)


def test_limits_that_make_no_sense() -> None:
    server = rest.Server()
    for name in ("max_requests", "max_requests_per_publisher", "max_requests_per_caller"):
        wrong: list[tuple[Any, type[Exception]]] = [(0, InvalidOption), (1.5, TypeError)]
        for value, error in wrong:
            options: dict[str, Any] = {name: value}
            with pytest.raises(error, match=f"{name} "):
                Gateway(server, **options)
