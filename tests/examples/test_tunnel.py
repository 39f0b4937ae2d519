"""examples/tunnel in Chromium: through a gateway, which is a process as its publisher is."""

from __future__ import annotations

import hashlib
import json
import signal
import sys
from contextlib import AbstractAsyncContextManager
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.browser import chromium
from tests.browser.conftest import find
from tests.examples.pages import ROOT, blocks
from tests.examples.webwire.conftest import Program, RunStory, run_story, running

__all__ = ["run_story"]

for package in ("fastapi", "hypercorn", "click"):
    pytest.importorskip(package)

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="Chromium is driven on POSIX only"),
    pytest.mark.skipif(
        tuple(map(int, version("trio").split(".")[:2])) < (0, 32),
        reason="trio is older than anyio asks for",
    ),
]

PAGE = "docs/rest-tunnel.md"

#: Bytes of the file that is uploaded: many pieces of a body.
SIZE = 3_000_000

#: Text that would do harm as HTML.
SCRIPT = "<img src=x onerror=\"document.title='hit'\">"


@pytest.fixture
def program() -> str:
    """Chromium, before anything is started for it."""
    return find("chromium", "chromium-browser", "google-chrome")


class Tunnel:
    """The two commands that the page has; what they listen on is chosen by the system."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        commands = [
            line.removeprefix("$ wirecore ").split()
            for block in blocks(PAGE, "console")
            for line in block.text.splitlines()
            if line.startswith("$ wirecore ")
        ]
        [self._gateway] = [each for each in commands if each[:2] == ["tunnel", "gateway"]]
        [self._publish] = [each for each in commands if each[:2] == ["tunnel", "publish"]]
        self.publishers = ""  # their URL, once the gateway runs

    def gateway(self) -> AbstractAsyncContextManager[Program]:
        """Run it on free ports."""
        free = [f"--{side}=127.0.0.1:0" for side in ("listen", "publishers", "live")]
        return self._run([*self._gateway, *free])

    def publish(self) -> AbstractAsyncContextManager[Program]:
        """Run a publisher of the gateway."""
        given = [str(ROOT / each) if each.endswith(".py:app") else each for each in self._publish]
        given[given.index("--connect") + 1] = self.publishers
        return self._run(given)

    def _run(self, arguments: list[str]) -> AbstractAsyncContextManager[Program]:
        command = [sys.executable, "-W", "error", "-m", "wirecore_cli", *arguments]
        return running(command, self._folder)


class Window:
    """The page in a tab, used as people use it."""

    def __init__(self, page: chromium.Page) -> None:
        self.page = page

    async def text(self, place: str) -> str:
        """What the element of this id shows."""
        return str(await self.page.evaluate(f"document.getElementById('{place}').textContent"))

    async def submit(self, form: str, field: str, text: str) -> None:
        """Type *text* into *field*, and press the button of *form*."""
        await self.page.evaluate(
            f"""document.getElementById('{field}').value = {json.dumps(text)};
            document.querySelector('#{form} button').click()"""
        )

    async def wait_listed(self, place: str, *texts: str) -> None:
        """Wait until the list of this id shows just these."""
        await self.page.wait_for(
            f"JSON.stringify([...document.querySelectorAll('#{place} li')]"
            f".map(item => item.textContent)) === {json.dumps(_json(texts))}"
        )

    async def wait_clock(self, status: str) -> None:
        """Wait until the clock is "here" or "away"."""
        await self.page.wait_for(f"document.getElementById('clock').dataset.status === '{status}'")

    async def wait_tick(self) -> None:
        """Wait until the clock shows another time."""
        shown = await self.text("clock")
        await self.page.wait_for(f"document.getElementById('clock').textContent !== '{shown}'")

    async def wait_chat(self) -> None:
        """Wait until the chat is joined."""
        await self.page.wait_for("!document.querySelector('#say button').disabled")

    async def upload(self, name: str, size: int) -> None:
        """Choose a file of so many bytes, 0 to 250 in turn, and send it."""
        await self.page.evaluate(
            f"""{{ const bytes = Uint8Array.from({{length: {size}}}, (_, place) => place % 251);
            const chosen = new DataTransfer();
            chosen.items.add(new File([bytes], {json.dumps(name)}));
            document.getElementById('file').files = chosen.files;
            document.querySelector('#upload button').click(); }}"""
        )


def _json(texts: tuple[str, ...]) -> str:
    """As JavaScript writes it."""
    return json.dumps(texts, separators=(",", ":"), ensure_ascii=False)


async def status(page: chromium.Page, path: str) -> int:
    """What a request of the page is answered with."""
    return int(await page.evaluate(f"fetch('{path}').then(response => response.status)"))


def test_an_application_behind_nat_is_opened_in_a_browser(
    program: str, tmp_path: Path, run_story: RunStory
) -> None:
    async def story() -> None:
        tunnel = Tunnel(tmp_path)
        async with (
            tunnel.gateway() as gateway,
            chromium.launch(program, tmp_path / "profile") as browser,
        ):
            url = f"http://{await gateway.address()}/demo"
            tunnel.publishers = (await gateway.wait_for("publishers on ")).split()[-1]
            async with tunnel.publish() as publisher:
                await publisher.wait_for("connected to")
                alice, bob = [Window(await browser.open(url)) for _ in range(2)]
                await used_by(alice, bob)
                await publisher.kill()

            # Nobody is there, and the page says so, of what it waits for and of what it asks.
            await alice.wait_clock("away")
            assert await status(alice.page, "api/notes") == 503
            async with tunnel.publish() as publisher:
                # It is back without a reload; the notes were the other process's.
                for window in alice, bob:
                    await window.wait_clock("here")
                    await window.wait_tick()
                    await window.wait_listed("notes")
                    await window.wait_chat()
                await bob.submit("say", "text", "and again")
                await alice.wait_listed("said", "and again", SCRIPT, "hello")
                assert alice.page.errors == bob.page.errors == []
                for window in alice, bob:
                    await window.page.close()
                assert await publisher.end(signal.SIGTERM) == 0
            assert await gateway.end(signal.SIGTERM) == 0
            assert any('"PUT /demo/api/uploads/' in line for line in gateway.said)
            assert not any("Traceback" in line for line in gateway.said), "\n".join(gateway.said)

    async def used_by(alice: Window, bob: Window) -> None:
        """All that the page has."""
        for window in alice, bob:
            await window.wait_clock("here")
            await window.wait_tick()
            await window.wait_chat()
        await alice.submit("write", "note", SCRIPT)
        await alice.wait_listed("notes", SCRIPT)
        await bob.submit("write", "note", "grüße")
        await bob.wait_listed("notes", "grüße", SCRIPT)
        assert await status(bob.page, "api/nothing") == 404

        await bob.upload("wörk 1.bin", SIZE)
        sent = bytes(place % 251 for place in range(SIZE))
        told = f"wörk 1.bin: {SIZE:,} bytes, SHA-256 {hashlib.sha256(sent).hexdigest()}"
        await bob.page.wait_for(f"document.getElementById('uploaded').textContent === '{told}'")

        await alice.submit("say", "text", "hello")
        await bob.wait_listed("said", "hello")
        await bob.submit("say", "text", SCRIPT)
        await alice.wait_listed("said", SCRIPT, "hello")
        assert await alice.page.evaluate("document.title") == "From behind NAT"

    run_story(story)
