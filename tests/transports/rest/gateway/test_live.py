"""The live view: what its server answers, and what Chromium makes of it."""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
import trio

from tests.browser import chromium
from tests.browser.conftest import find
from tests.transports.pool.world import until
from tests.transports.rest.world import Parked, answer, echo
from wirecore_trio import rest
from wirecore_trio._listening import Listening
from wirecore_trio.rest.gateway import Gateway

if TYPE_CHECKING:
    from tests.transports.conftest import Run
    from tests.transports.rest.gateway.world import OpenGateway, World

REPOSITORY = Path(__file__).parents[4]
PAGE = REPOSITORY / "transports" / "wirecore_trio" / "rest" / "gateway" / "page"

#: What would do harm as HTML.
HOSTILE = "<img src=x onerror=\"document.title='hit'\"><script>document.title='hit'</script>"


@asynccontextmanager
async def watching(world: World, **more: Any) -> AsyncIterator[httpx2.AsyncClient]:
    """``async with watching(world) as http``: who looks at its live view."""
    async with trio.open_nursery() as nursery:
        live: Listening = await nursery.start(partial(world.gateway.serve_live, **more))
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{live.port}") as http:
            yield http
        nursery.cancel_scope.cancel()


def test_what_is_there(open_gateway: OpenGateway, run_real: Run) -> None:
    async def story() -> None:
        async with open_gateway() as world, watching(world) as http, world.publish(echo, "api"):
            for path, kind, part in (
                ("/", "text/html", "<title>wirecore gateway</title>"),
                ("/live.css", "text/css", "prefers-color-scheme"),
                ("/live.js", "text/javascript", '"use strict"'),
                ("/live.svg", "image/svg+xml", "<svg"),
                ("/metrics", "application/openmetrics-text", 'publishers{name="api"} 1'),
                ("/healthz", "text/plain", "ok"),
            ):
                response = await http.get(path)
                assert response.status_code == 200
                assert response.headers["content-type"].startswith(kind)
                assert part in response.text
                policy = response.headers["content-security-policy"]
                assert policy.startswith("default-src 'none';")
                assert "unsafe" not in policy
                assert response.headers["x-content-type-options"] == "nosniff"
                assert response.headers["cache-control"] == "no-store"
            assert (await http.get("/../live.html")).status_code == 404
            assert (await http.get("/__init__.py")).status_code == 404
            assert (await http.post("/state.json")).status_code == 405

    run_real(story)


def test_the_state_as_json(open_gateway: OpenGateway, run_real: Run) -> None:
    async def story() -> None:
        metadata = {"name": "api", "site": "Oslo ü"}
        async with (
            open_gateway() as world,
            world.caller() as caller,
            watching(world) as http,
            world.publish(echo, metadata),
        ):
            await caller.get("/api/x?secret=1")
            await caller.get("/nobody/")
            await until(lambda: world.gateway.state().total.requests == 2)
            text = (await http.get("/state.json")).text
            assert "secret" not in text
            state = json.loads(text)
            assert state["total"]["requests"] == 2
            assert state["publisher_count"] == 1
            [publisher] = state["publishers"]
            assert (publisher["name"], publisher["requests"]) == ("api", 1)
            assert json.loads(publisher["metadata"]) == metadata
            assert 0 <= publisher["age"] < 60
            nobody, found = state["requests"]
            assert (found["path"], found["status"]) == ("/api/x", 200)
            assert 0 < found["answered"] <= found["took"]
            assert state["errors"] == [nobody]
            assert nobody["problem"] == "nobody publishes that now"

    run_real(story)


def test_a_page_whose_name_leads_here_is_told_nothing(
    open_gateway: OpenGateway, run_real: Run
) -> None:
    """DNS rebinding: a browser believes that such a page and this one are of one origin."""

    async def story() -> None:
        async with open_gateway() as world, watching(world, names=["Gateway.internal"]) as http:

            async def status(path: str = "/state.json", **headers: str) -> int:
                return (await http.get(path, headers=headers)).status_code

            for host in ("localhost", "127.0.0.1:80", "[::1]:8002", "10.1.2.3", "gateway.INTERNAL"):
                assert await status(Host=host) == 200
            for host in ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "["):
                for path in ("/", "/state.json", "/metrics"):
                    assert await status(path, Host=host) == 403
            # Who probes may call it as he likes.
            assert await status("/healthz", Host="evil.example") == 200
            assert await status(Host="localhost:1", Origin="http://localhost:1") == 200
            assert await status(Host="localhost:1", Origin="http://evil.example") == 403
            assert await status(Host="localhost:1", Origin="null") == 403

    run_real(story)


def test_it_ends_with_the_server(open_gateway: OpenGateway, run_real: Run) -> None:
    async def story() -> None:
        async with open_gateway() as world, trio.open_nursery() as nursery:
            await nursery.start(world.gateway.serve_live)
            nursery.start_soon(world.server.drain)

    run_real(story)


def test_it_may_be_there_before_the_server(run_real: Run) -> None:
    async def story() -> None:
        server = rest.Server()
        async with trio.open_nursery() as nursery:
            await nursery.start(Gateway(server).serve_live)
            await nursery.start(server.serve, "127.0.0.1", 0)
            nursery.start_soon(server.drain)

    run_real(story)


def test_nothing_of_it_is_from_elsewhere() -> None:
    """Its parts are files of the package: no build, and no other host."""
    for name in ("live.html", "live.css", "live.js"):
        text = (PAGE / name).read_text(encoding="utf-8")
        assert "//" not in text.replace("// ", ""), name
        assert not any(word in text for word in ("innerHTML", "insertAdjacent", "document.write"))
        assert "style=" not in text
        assert max(map(len, text.splitlines())) <= 100


def test_wheels_hold_all_of_it() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]["wirecore_trio"]
    package = REPOSITORY / "transports" / "wirecore_trio"
    shipped = {path for pattern in patterns for path in package.glob(pattern)}
    assert set(PAGE.iterdir()) <= shipped
    assert len(list(PAGE.iterdir())) == 4


@pytest.mark.skipif(sys.platform == "win32", reason="Chromium is driven on POSIX only")
def test_the_page_in_chromium(open_gateway: OpenGateway, run_real: Run, tmp_path: Path) -> None:
    """Publishers come and go, requests count up, errors are told; no text becomes a script."""
    program = find("chromium", "chromium-browser", "google-chrome")
    parked = Parked()

    async def fails(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        await answer(send, b"", 500)

    async def story() -> None:
        async with (
            open_gateway() as world,
            world.caller() as caller,
            watching(world) as http,
            chromium.launch(program, tmp_path / "profile") as browser,
            trio.open_nursery() as nursery,
        ):
            page = await browser.open(str(http.base_url))
            await page.wait_for("document.getElementById('status').dataset.state === 'live'")
            assert await rows(page, "publishers") == []
            assert not await page.evaluate("document.getElementById('no-publishers').hidden")

            metadata = {"name": HOSTILE, "more": HOSTILE}
            async with (
                world.publish(parked, "shop"),
                world.publish(fails, metadata),
            ):
                await page.wait_for(f"({ROWS})('publishers').length === 2")
                shop, hostile = await rows(page, "publishers")
                assert shop[0] == "shop"
                assert hostile[0] == HOSTILE + json.dumps(metadata, sort_keys=True)
                nursery.start_soon(caller.get, "/shop/slow?secret=1")
                await page.wait_for(f"{TEXT}('in-flight') === '1'")
                parked.waiting["/slow"].set()
                await page.wait_for(f"{TEXT}('request-count') === '1'")
                [request] = await rows(page, "requests")
                assert request[1:4] == ["200", "GET /shop/slow", "shop"]
                assert await rows(page, "errors") == []

                strange = httpx2.URL(world.url).copy_with(
                    raw_path=b"/%3Cimg%20src=x%20onerror=a%3E"
                )
                await caller.get(strange)
                await page.wait_for(f"{TEXT}('failed-count') === '1'")
                [error] = await rows(page, "errors")
                assert error[1:5] == [
                    *("503", "GET /<img src=x onerror=a>", "<img src=x onerror=a>"),
                    "nobody publishes that now",
                ]
            await page.wait_for(f"({ROWS})('publishers').length === 0")
            assert ["shop", "0"] in [row[:2] for row in await rows(page, "names")]
            # Nothing that strangers said was taken for more than text.
            assert await page.evaluate("document.title") == "wirecore gateway"
            assert await page.evaluate("document.images.length") == 0
            assert await page.evaluate("document.scripts.length") == 1

            await world.server.drain(0)
            await page.wait_for("document.getElementById('status').dataset.state === 'lost'")
            assert page.errors == []

    run_real(story)


TEXT = "(id => document.getElementById(id).textContent)"

ROWS = (
    "id => [...document.getElementById(id).tBodies[0].rows]"
    ".map(row => [...row.cells].map(cell => cell.textContent))"
)


async def rows(page: chromium.Page, table: str) -> list[list[str]]:
    """The texts of a table's cells, row by row."""
    found: list[list[str]] = await page.evaluate(f"({ROWS})({table!r})")
    return found
