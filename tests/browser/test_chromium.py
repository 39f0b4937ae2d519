"""The client in a real browser against our server."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trio

from tests.browser import chromium
from tests.browser.conftest import unavailable
from tests.browser.site import make_server, running
from wirecore_trio import webwire

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from tests.browser.conftest import Run

    Launch = Callable[[], AbstractAsyncContextManager[chromium.Browser]]


@pytest.fixture
def launch(chromium_program: str, tmp_path: Path) -> Launch:
    """``async with launch() as browser``: Chromium with a profile of its own."""

    @asynccontextmanager
    async def start() -> AsyncIterator[chromium.Browser]:
        async with chromium.launch(chromium_program, tmp_path / "profile") as browser:
            yield browser

    return start


#: What is sent, and what comes back as text and encoding.
ECHOES = [
    ("'echo', 'hällo 😀'", ["hällo 😀", "utf8"]),
    ("'echo', 'hällo 😀', { encoding: 'utf16' }", ["hällo 😀", "utf16"]),
    ("'odd', '😀', { encoding: 'utf16' }", ["😀", "utf16"]),
    ("'echo', new Uint8Array([104, 105])", ["hi", "binary"]),
    ("'', 'nameless'", ["nameless", "utf8"]),
    ("'only-a-name'", ["", "binary"]),
    ("'only-a-name', '', { encoding: 'utf16' }", ["", "utf16"]),
    ("'echo', 'x'.repeat(8192 - 14)", ["x" * (8192 - 14), "utf8"]),
]


def test_requests_and_signals_in_every_encoding(launch: Launch, run: Run) -> None:
    async def story() -> None:
        async with running(make_server(None)) as site, launch() as browser:
            page = await browser.open(site.url)
            assert await page.evaluate("start()") == "connected"
            for arguments, expected in ECHOES:
                called = f"client.request({arguments}).then(r => [r.text, r.encoding])"
                assert await page.evaluate(called) == expected
            whole = "client.request('echo', Uint8Array.from({length: 256}, (_, i) => i))"
            assert await page.evaluate(f"{whole}.then(r => [...r.data])") == list(range(256))
            failing = "client.request('fail').catch(e => [e.name, e.code, e.message])"
            assert await page.evaluate(failing) == [
                "RequestError",
                "CODE",
                "es ging schief: ü 😀",
            ]
            await page.evaluate("client.signal('a', 'ü😀')")
            await page.evaluate("client.signal('b', 'ü😀', { encoding: 'utf16' })")
            await page.wait_for("events.length === 3")
            assert await page.evaluate("events") == [
                "connected",
                ["re:a", "ü😀", "utf8"],
                ["re:b", "ü😀", "utf16"],
            ]
            many = "Promise.all(Array.from({length: 500}, (_, i) => client.request('n', `${i}`)))"
            texts = await page.evaluate(f"{many}.then(replies => replies.map(r => r.text))")
            assert texts == [str(number) for number in range(500)]
            aborted = "client.request('wait', '', { signal: AbortSignal.timeout(10) })"
            assert await page.evaluate(f"{aborted}.catch(e => e.name)") == "TimeoutError"
            assert page.errors == []

    run(story)


def test_a_session_outlives_a_reload_until_it_is_closed(launch: Launch, run: Run) -> None:
    async def story() -> None:
        async with running(make_server(webwire.MemoryStore())) as site, launch() as browser:
            page = await browser.open(site.url)
            await page.evaluate("start()")
            await page.evaluate("client.request('login', 'alice')")
            key = await page.evaluate("client.session.key")
            await page.reload()
            await page.evaluate("start()")
            assert await page.evaluate("client.request('who').then(r => r.text)") == "alice"
            assert await page.evaluate("client.session.info.user") == "alice"
            assert await page.evaluate("events") == ["sessionCreated", "connected"]

            tab = await browser.open(site.url)
            await tab.evaluate("start()")
            assert await tab.evaluate("client.session.key") == key, "tabs share it"
            assert len(site.server.session_connections(key)) == 2
            stranger = await browser.open(site.url, context=await browser.new_context())
            await stranger.evaluate("start()")
            assert await stranger.evaluate("client.session") is None

            await tab.evaluate("client.closeSession()")
            assert await tab.evaluate("[client.session, localStorage.length]") == [None, 0]
            assert await tab.evaluate("client.request('who').then(r => r.text)") == "nobody"
            await tab.close()
            await page.evaluate("client.request('throw-out')")
            await page.wait_for("events.includes('sessionClosed')")
            await page.reload()
            await page.evaluate("start()")
            assert await page.evaluate("client.session") is None
            assert page.errors == []

    run(story)


def test_a_server_that_dies_and_comes_back(launch: Launch, run: Run) -> None:
    async def story() -> None:
        store = webwire.MemoryStore()
        async with launch() as browser:
            async with running(make_server(store)) as site:
                page = await browser.open(site.url)
                await page.evaluate("start()")
                await page.evaluate("client.request('login', 'alice')")
                await page.evaluate(
                    "window.lost = client.request('wait').catch(e => [e.name, e.execution]); 0"
                )
                site.kill()
            assert await page.evaluate("lost") == ["Disconnected", "maybe_executed"]
            assert await page.evaluate("client.signal('a').catch(e => [e.name, e.execution])") == [
                "Disconnected",
                "not_sent",
            ]
            await page.evaluate(
                "events.length = 0; window.later = client.request('who').then(r => r.text); 0"
            )
            async with running(make_server(store), site.port):
                assert await page.evaluate("later") == "alice"
                await page.wait_for("events.includes('connected')")
                assert await page.evaluate("events") == ["sessionCreated", "connected"]

    run(story)


def test_a_stored_session_that_is_gone(launch: Launch, run: Run) -> None:
    async def story() -> None:
        async with launch() as browser:
            async with running(make_server(webwire.MemoryStore())) as site:
                page = await browser.open(site.url)
                await page.evaluate("start()")
                await page.evaluate("client.request('login', 'alice')")
                site.kill()
            for store, expected in (
                (webwire.MemoryStore(), ["sessionRefused", "connected"]),
                (None, ["connected"]),
            ):
                await page.wait_for("client.status !== 'connected'")
                await page.evaluate("events.length = 0")
                async with running(make_server(store), site.port) as site:
                    await page.evaluate("client.ready()")
                    assert await page.evaluate("events") == expected
                    assert await page.evaluate("[client.session, localStorage.length]") == [None, 0]
                    site.kill()

    run(story)


def test_a_server_without_sessions_says_so(launch: Launch, run: Run) -> None:
    async def story() -> None:
        async with running(make_server(None)) as site, launch() as browser:
            page = await browser.open(site.url)
            await page.evaluate("start()")
            restoring = "client.restoreSession('some-key').catch(e => e.name)"
            assert await page.evaluate(restoring) == "SessionsDisabled"
            assert await page.evaluate("client.status") == "connected"

    run(story)


def advice_for_the_cache() -> str:
    """What docs/webwire-browser.md says about pages that are put away."""
    page = (Path(__file__).parents[2] / "docs" / "webwire-browser.md").read_text(encoding="utf-8")
    blocks: list[str] = re.findall(r"```js\n(.*?)```", page, re.DOTALL)
    return next(block for block in blocks if "pagehide" in block)


@pytest.mark.parametrize("advice", ["", advice_for_the_cache()], ids=["as it is", "as advised"])
def test_a_page_that_comes_back_out_of_the_cache(launch: Launch, run: Run, advice: str) -> None:
    async def story() -> None:
        server = make_server(webwire.MemoryStore())
        left = trio.Event()

        @server.on_client_disconnected
        async def leave(connection: webwire.Connection, reason: BaseException | None) -> None:
            left.set()

        async with running(server) as site, launch() as browser:
            page = await browser.open(site.url)
            await page.evaluate("start()")
            await page.evaluate("client.request('login', 'alice')")
            await page.evaluate(
                "addEventListener('pageshow', (event) => { window.cached = event.persisted; }); 0"
            )
            await page.evaluate(f"{advice}; 0")
            await page.go(f"{site.url}?elsewhere")
            if advice:
                await left.wait()  # else the server may not hear of it before its read timeout
            await page.evaluate("setTimeout(() => history.back()); 0")
            while not await page.evaluate("window.cached ?? false"):
                if await page.evaluate("location.search === '' && window.events?.length === 0"):
                    unavailable("this Chromium loads pages anew on the way back")
                await trio.sleep(0.02)
            await page.wait_for("events.includes('disconnected') && client.status === 'connected'")
            assert await page.evaluate("client.request('who').then(r => r.text)") == "alice"
            assert await page.evaluate("events.slice(-3)") == [
                "disconnected",
                "sessionCreated",
                "connected",
            ]
            assert page.errors == []

    run(story)


def test_a_page_of_another_origin_is_not_let_in(launch: Launch, run: Run) -> None:
    async def story() -> None:
        async with (
            running(make_server(None)) as site,
            running(make_server(None)) as other,
            launch() as browser,
        ):
            page = await browser.open(other.url)
            await page.evaluate(f"start('ws://127.0.0.1:{site.port}/').catch(() => 0); 0")
            waiting = "client.request('echo', '', { timeout: 500 }).catch(e => e.name)"
            assert await page.evaluate(waiting) == "ConnectionTimeout"
            assert site.server.connections == []
            await page.evaluate("client.close()")
            assert await page.evaluate("client.status") == "disconnected"

    run(story)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ("{ subprotocol: 'chat' }", "SubprotocolMismatch"),
        ("{ bufferSize: 4096 }", "BufferSizeMismatch"),
    ],
)
def test_a_server_that_is_set_up_in_another_way(
    launch: Launch, run: Run, options: str, error: str
) -> None:
    async def story() -> None:
        async with running(make_server(None)) as site, launch() as browser:
            page = await browser.open(site.url)
            assert await page.evaluate(f"start('/', {options}).catch(e => e.name)") == error
            assert await page.evaluate("client.status") == "disconnected"

    run(story)


def test_heartbeats_keep_an_idle_connection(launch: Launch, run: Run) -> None:
    async def story() -> None:
        server = make_server(None, webwire.ServerOptions(read_timeout=1.0))
        async with running(server) as site, launch() as browser:
            page = await browser.open(site.url)
            await page.evaluate("start()")
            await trio.sleep(2.5)  # real time: the server's clock and the browser's
            assert await page.evaluate("[client.status, events]") == ["connected", ["connected"]]

    run(story)
