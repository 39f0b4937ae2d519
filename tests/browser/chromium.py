"""Chromium without a window, for tests: its pages opened, asked and reloaded over DevTools.

::

    async with chromium.launch(program, profile) as browser:
        page = await browser.open("http://127.0.0.1:8000/")
        assert await page.evaluate("fetch('/x').then(r => r.status)") == 404
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import trio

from wirecore_trio import websocket

Json: TypeAlias = dict[str, Any]

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
)

#: Seconds until Chromium listens, and until a page answers or a condition holds.
START_TIMEOUT = 60.0
ANSWER_TIMEOUT = 30.0

_ANNOUNCED = b"DevTools listening on "


class PageError(Exception):
    """JavaScript threw, or DevTools refused a command."""


class Page:
    """A tab. *errors*: what it reported so far, uncaught exceptions and ``console.error``."""

    def __init__(self, browser: Browser, session: str, target: str) -> None:
        self._browser = browser
        self._session = session
        self._target = target
        self._loaded = trio.Event()
        self.errors: list[str] = []

    async def evaluate(self, expression: str) -> Any:
        """The value of *expression*, as JSON has it; a promise is awaited.

        Raises PageError for what it throws.
        """
        answer = await self._command(
            "Runtime.evaluate",
            expression=expression,
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,
        )
        if "exceptionDetails" in answer:
            raise PageError(_told(answer["exceptionDetails"]))
        return answer["result"].get("value")

    async def wait_for(self, condition: str) -> None:
        """Wait until the expression *condition* is true."""
        with trio.fail_after(ANSWER_TIMEOUT):
            await self.evaluate(
                "new Promise(resolve => { const look = () => "
                f"({condition}) ? resolve() : setTimeout(look, 10); look(); }})"
            )

    async def go(self, url: str) -> None:
        """Load *url*."""
        await self._load("Page.navigate", url=url)

    async def reload(self) -> None:
        """Load the page again; what it holds in memory is gone, its storage stays."""
        await self._load("Page.reload")

    async def close(self) -> None:
        """Close the tab."""
        await self._browser.command("Target.closeTarget", targetId=self._target)

    async def enable(self) -> None:
        """Have events reported."""
        for domain in ("Page", "Runtime"):
            await self._command(f"{domain}.enable")

    def happened(self, method: str, values: Json) -> None:
        """DevTools reported an event of this page."""
        if method == "Page.loadEventFired":
            self._loaded.set()
        elif method == "Runtime.exceptionThrown":
            self.errors.append(_told(values["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and values["type"] == "error":
            words = [
                str(arg.get("value", arg.get("description", arg["type"]))) for arg in values["args"]
            ]
            self.errors.append(" ".join(words))

    async def _load(self, method: str, **values: object) -> None:
        self._loaded = trio.Event()
        answer = await self._command(method, **values)
        if answer.get("errorText"):
            raise PageError(answer["errorText"])
        with trio.fail_after(ANSWER_TIMEOUT):
            await self._loaded.wait()

    async def _command(self, method: str, **values: object) -> Json:
        return await self._browser.command(method, session=self._session, **values)


@dataclass(eq=False)
class _Answer:
    came: trio.Event = field(default_factory=trio.Event)
    message: Json = field(default_factory=dict)


class Browser:
    """A running Chromium; :func:`launch` gives it."""

    def __init__(self, devtools: websocket.WebSocket) -> None:
        self._devtools = devtools
        self._last_id = 0
        self._waiting: dict[int, _Answer] = {}
        self._pages: dict[str, Page] = {}

    async def open(self, url: str, *, context: str | None = None) -> Page:
        """A new tab that shows *url*: of the common profile, or of a *context* of its own."""
        where = {} if context is None else {"browserContextId": context}
        created = await self.command("Target.createTarget", url="about:blank", **where)
        target = created["targetId"]
        attached = await self.command("Target.attachToTarget", targetId=target, flatten=True)
        session = attached["sessionId"]
        page = self._pages[session] = Page(self, session, target)
        await page.enable()
        await page.go(url)
        return page

    async def new_context(self) -> str:
        """A context for :meth:`open`: tabs in it share no storage with others."""
        context: str = (await self.command("Target.createBrowserContext"))["browserContextId"]
        return context

    async def command(self, method: str, *, session: str | None = None, **values: object) -> Json:
        """The result of a DevTools command. Raises PageError where it is refused."""
        self._last_id += 1
        number = self._last_id
        message: Json = {"id": number, "method": method, "params": values}
        if session is not None:
            message["sessionId"] = session
        waiting = self._waiting[number] = _Answer()
        try:
            await self._devtools.send(json.dumps(message))
            with trio.fail_after(ANSWER_TIMEOUT):
                await waiting.came.wait()
        finally:
            del self._waiting[number]
        answer = waiting.message
        if "error" in answer:
            raise PageError(f"{method}: {answer['error']['message']}")
        result: Json = answer["result"]
        return result

    async def listen(self) -> None:
        """Hand out what DevTools sends, until it ends."""
        with suppress(websocket.ConnectionClosed):
            async for text in self._devtools:
                message = json.loads(text)
                if "id" in message:
                    waiting = self._waiting.get(message["id"])
                    if waiting is not None:
                        waiting.message = message
                        waiting.came.set()
                elif message.get("sessionId") in self._pages:
                    page = self._pages[message["sessionId"]]
                    page.happened(message["method"], message["params"])


@asynccontextmanager
async def launch(program: str, profile: Path) -> AsyncIterator[Browser]:
    """Chromium with an empty folder as its *profile*; it is killed at the end."""
    process = await trio.lowlevel.open_process(
        [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stderr is not None
    try:
        async with trio.open_nursery() as nursery:
            with trio.fail_after(START_TIMEOUT):
                url = await nursery.start(_read_errors, process.stderr)
            options = websocket.Options(ping_interval=None)
            async with websocket.connect(url, options=options) as devtools:
                browser = Browser(devtools)
                nursery.start_soon(browser.listen)
                yield browser
                nursery.cancel_scope.cancel()
    finally:
        # Its helpers are of the same process group, and end with it.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        with trio.CancelScope(shield=True):
            await process.wait()


async def _read_errors(
    stream: trio.abc.ReceiveStream, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED
) -> None:
    """Give the address of DevTools once it is told, and read on, so that the pipe never fills."""
    text, told = b"", False
    async for data in stream:
        if told:
            continue
        text += data
        for line in text.split(b"\n")[:-1]:
            if line.startswith(_ANNOUNCED):
                task_status.started(line.removeprefix(_ANNOUNCED).decode())
                told = True
    if not told:
        raise RuntimeError(f"Chromium ended: {text[-2000:].decode('utf-8', 'replace')}")


def _told(details: Json) -> str:
    description: str = details.get("exception", {}).get("description") or details["text"]
    return description
