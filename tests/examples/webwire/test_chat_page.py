"""The chat of examples/webwire_chat in Chromium, its server and its other client as processes."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser import chromium
from tests.browser.conftest import find

if TYPE_CHECKING:
    from tests.examples.webwire.conftest import Program, RunStory, Start

pytest.importorskip("msgspec")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Chromium is driven on POSIX only")

SECRET = "correct horse"

#: Text that would do harm as HTML.
SCRIPT = "<script>document.title='hit'</script><img src=x onerror=\"document.title='hit'\">"

Launch = Callable[[], AbstractAsyncContextManager[chromium.Browser]]


@pytest.fixture
def launch(tmp_path: Path) -> Launch:
    """``async with launch() as browser``: Chromium with a profile of its own."""
    program = find("chromium", "chromium-browser", "google-chrome")

    @asynccontextmanager
    async def start() -> AsyncIterator[chromium.Browser]:
        async with chromium.launch(program, tmp_path / "profile") as browser:
            yield browser

    return start


class Window:
    """The chat's page in a browser of its own, used as people use it."""

    def __init__(self, page: chromium.Page) -> None:
        self.page = page

    async def come_in(self, name: str, password: str, how: str) -> None:
        """Fill in the form, and press the button *how*."""
        await self.page.wait_for("!document.getElementById('door').hidden")
        await self.page.evaluate(
            f"""{{ const form = document.getElementById('login');
            form.elements.name.value = {json.dumps(name)};
            form.elements.password.value = {json.dumps(password)};
            form.querySelector('button[value={how}]').click(); }}"""
        )

    async def wait_in(self, room: str) -> None:
        """Wait until the room is shown."""
        await self.page.wait_for(f"document.getElementById('room').textContent === {room!r}")

    async def enter(self, room: str) -> None:
        """Press the button of *room*."""
        await self.page.evaluate(
            "[...document.querySelectorAll('#rooms button')]"
            f".find(button => button.firstChild.data === {room!r}).click()"
        )
        await self.wait_in(room)

    async def say(self, text: str) -> None:
        """Type *text*, and send it."""
        await self.page.evaluate(
            f"""document.getElementById('text').value = {json.dumps(text)};
            document.querySelector('#say button').click()"""
        )
        await self.page.wait_for("document.getElementById('text').value === ''")

    async def hear(self, name: str, text: str) -> None:
        """Wait until what *name* said is there."""
        await self.page.wait_for(
            f"({LINES}).some(([name, text]) => name === {json.dumps(name)} "
            f"&& text === {json.dumps(text)})"
        )

    async def lines(self) -> list[list[str]]:
        """Who said what, as the page shows it."""
        shown: list[list[str]] = await self.page.evaluate(LINES)
        return shown

    async def wait_members(self, *names: str) -> None:
        """Wait until these are shown to be here."""
        await self.page.wait_for(
            "JSON.stringify([...document.querySelectorAll('#members li')]"
            f".map(item => item.textContent)) === '{json.dumps(names, separators=(',', ':'))}'"
        )

    async def wait_status(self, status: str) -> None:
        """Wait until the connection is shown to be so."""
        await self.page.wait_for(f"document.getElementById('status').dataset.status === {status!r}")


LINES = (
    "[...document.querySelectorAll('#said li:not(.event)')]"
    ".map(item => [item.querySelector('.name').textContent, item.querySelector('p').textContent])"
)


async def open_window(browser: chromium.Browser, server: Program, fragment: str = "") -> Window:
    url = f"http://{await server.address()}/{fragment}"
    return Window(await browser.open(url, context=await browser.new_context()))


def test_two_people_and_a_terminal_talk(start: Start, launch: Launch, run_story: RunStory) -> None:
    async def story() -> None:
        async with start("webwire_chat/serve.py", "0") as server, launch() as browser:
            alice = await open_window(browser, server)
            bob = await open_window(browser, server)
            await alice.come_in("alice", SECRET, "register")
            await alice.wait_in("lobby")
            await bob.come_in("bob", SECRET, "register")
            await bob.wait_in("lobby")
            await alice.wait_members("alice", "bob")
            await alice.page.wait_for(
                "document.querySelector('#said .event')?.textContent === 'bob came'"
            )
            await alice.say("hello, grüße 😀")
            await bob.hear("alice", "hello, grüße 😀")
            await bob.say(SCRIPT)
            await alice.hear("bob", SCRIPT)
            for window in alice, bob:
                assert await window.page.evaluate("document.querySelectorAll('#said *')") != []
                marked = "document.querySelectorAll('#said script, #said img').length"
                assert await window.page.evaluate(f"[{marked}, document.title]") == [0, "Chat"]

            url = f"ws://{await server.address()}/"
            async with start(
                "webwire_chat/client.py", "carol", url, "--new", CHAT_PASSWORD=SECRET
            ) as carol:
                await carol.wait_for("alice: hello, grüße")
                await carol.wait_for("here: alice, bob, carol")
                await alice.wait_members("alice", "bob", "carol")
                await carol.type("hi from a terminal")
                await bob.hear("carol", "hi from a terminal")
                await bob.say("hi \x1b[2J carol")
                await carol.wait_for("bob: hi �[2J carol")
                await carol.type("/quit")
                assert await carol.process.wait() == 0
            await alice.wait_members("alice", "bob")

            # Another room: what is said there stays there.
            await alice.enter("garden")
            await alice.say("nobody is here")
            assert await alice.lines() == [["alice", "nobody is here"]]
            await bob.say("still in the lobby")
            await alice.page.wait_for(
                "document.querySelector('.unread:not([hidden])')?.textContent === '1'"
            )
            assert ["alice", "nobody is here"] not in await bob.lines()
            await bob.enter("garden")
            await bob.hear("alice", "nobody is here")
            await alice.wait_members("alice", "bob")
            await bob.page.evaluate("document.getElementById('leave').click()")
            await bob.wait_in("lobby")
            await alice.wait_members("alice")
            assert alice.page.errors == bob.page.errors == []
            assert await server.end(signal.SIGTERM) == 0
            assert len(server.said) == 1

    run_story(story)


def test_a_wrong_password_and_other_refusals(
    start: Start, launch: Launch, run_story: RunStory
) -> None:
    async def story() -> None:
        async with start("webwire_chat/serve.py", "0") as server, launch() as browser:
            window = await open_window(browser, server)
            refusal = "document.getElementById('refusal').textContent"
            await window.come_in("alice", SECRET, "login")
            await window.page.wait_for(f"{refusal} === 'no such name, or a wrong password'")
            await window.come_in("alice", SECRET, "register")
            await window.wait_in("lobby")

            other = await open_window(browser, server)
            await other.come_in("alice", "a wrong one", "login")
            await other.page.wait_for(f"{refusal} === 'no such name, or a wrong password'")
            await other.come_in("Alice", SECRET, "register")
            await other.page.wait_for(f"{refusal} === 'somebody else has this name'")
            assert await other.page.evaluate("document.getElementById('chat').hidden")
            await other.come_in("ALICE", SECRET, "login")
            await other.wait_in("lobby")
            await other.wait_members("alice")

            await other.page.evaluate("document.getElementById('logout').click()")
            await other.page.wait_for("!document.getElementById('door').hidden")
            await other.page.reload()
            await other.page.wait_for("!document.getElementById('door').hidden")
            await window.say("still here")
            assert window.page.errors == other.page.errors == []

    run_story(story)


def test_reload_and_restart_keep_everybody_logged_in(
    start: Start, launch: Launch, run_story: RunStory
) -> None:
    async def story() -> None:
        async with launch() as browser, start("webwire_chat/serve.py", "0") as server:
            address = await server.address()
            alice = await open_window(browser, server, "#garden")
            await alice.come_in("alice", SECRET, "register")
            await alice.wait_in("garden")
            await alice.say("before the reload")
            await alice.page.reload()
            await alice.wait_in("garden")
            await alice.hear("alice", "before the reload")
            await alice.wait_members("alice")
            bob = await open_window(browser, server, "#garden")
            await bob.come_in("bob", SECRET, "register")
            await bob.hear("alice", "before the reload")
            carol = await server_client(start, server)
            async with carol as terminal:
                await terminal.wait_for("[garden] here: alice, bob, carol")
                await server.kill()
                await alice.wait_status("connecting")
                await terminal.wait_for("disconnected; trying again")
                port = address.rpartition(":")[2]
                async with start("webwire_chat/serve.py", port) as again:
                    await again.address()
                    await terminal.wait_for("connected again")
                    for window in alice, bob:
                        await window.wait_status("connected")
                        await window.wait_members("alice", "bob", "carol")
                        await window.hear("alice", "before the reload")
                    await bob.say("after the restart")
                    await alice.hear("bob", "after the restart")
                    await terminal.wait_for("bob: after the restart")
                    said = [line for line in terminal.said if "before the reload" in line]
                    assert len(said) == 1, "history isn't printed twice"
                    await alice.page.reload()
                    await alice.hear("bob", "after the restart")
                    assert await alice.lines() == [
                        ["alice", "before the reload"],
                        ["bob", "after the restart"],
                    ]

    run_story(story)


async def server_client(start: Start, server: Program) -> AbstractAsyncContextManager[Program]:
    """The client for terminals, as carol, who is new."""
    url = f"ws://{await server.address()}/"
    return start(
        "webwire_chat/client.py", "carol", url, "--new", "--room", "garden", CHAT_PASSWORD=SECRET
    )


def test_older_messages_come_when_asked_for(
    start: Start, launch: Launch, run_story: RunStory
) -> None:
    async def story() -> None:
        async with start("webwire_chat/serve.py", "0") as server, launch() as browser:
            alice = await open_window(browser, server)
            await alice.come_in("alice", SECRET, "register")
            await alice.wait_in("lobby")
            for number in range(35):
                await alice.say(f"line {number}")
            await alice.page.reload()
            await alice.hear("alice", "line 34")
            assert len(await alice.lines()) == 30
            await alice.page.evaluate("document.getElementById('older').click()")
            await alice.hear("alice", "line 0")
            assert await alice.lines() == [["alice", f"line {number}"] for number in range(35)]
            await alice.page.wait_for("document.getElementById('older').hidden")

    run_story(story)
