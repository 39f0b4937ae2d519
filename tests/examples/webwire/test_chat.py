"""examples/webwire_chat without a browser: its types, its pages, what its server refuses."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from wirecore_trio import webwire

if TYPE_CHECKING:
    from tests.examples.conftest import CheckTypes
    from tests.examples.webwire.conftest import Program, RunStory, Start

pytest.importorskip("msgspec")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="its server is ended by a signal")

OPTIONS = webwire.ClientOptions(buffer_size=128 * 1024)
JSON = webwire.Json()


def test_it_is_typed(check_types: CheckTypes, root: Path) -> None:
    """Apart from the project's own check: other examples have programs of the same names."""
    check_types((root / "examples" / "webwire_chat").glob("*.py"))


def kept_in(folder: Path) -> list[bytes]:
    """What the files of *folder* hold."""
    return [path.read_bytes() for path in folder.iterdir()]


async def connect(server: Program) -> webwire.Connecting:
    """A client of the running *server*, to be entered."""
    return webwire.connect(f"ws://{await server.address()}/", OPTIONS, autoconnect=False)


async def refused(client: webwire.Client, request: str, /, **values: object) -> str:
    """The code that the request is refused with."""
    with pytest.raises(webwire.RequestError) as caught:
        await client.request(request, values, codec=JSON)
    return caught.value.code


def test_the_pages_have_types_and_tags(start: Start, run_story: RunStory) -> None:
    from urllib.request import Request, urlopen

    import trio

    async def get(url: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        def fetch() -> tuple[int, dict[str, str], bytes]:
            from urllib.error import HTTPError

            try:
                with urlopen(Request(url, headers=headers), timeout=30) as answer:
                    return answer.status, dict(answer.headers), answer.read()
            except HTTPError as error:
                with error:
                    return error.code, dict(error.headers), error.read()

        return await trio.to_thread.run_sync(fetch)

    async def story() -> None:
        async with start("webwire_chat/serve.py", "0") as server:
            url = f"http://{await server.address()}"
            for path, kind in (
                ("/", "text/html; charset=utf-8"),
                ("/page.js", "text/javascript; charset=utf-8"),
                ("/page.css", "text/css; charset=utf-8"),
                ("/webwire.js", "text/javascript; charset=utf-8"),
            ):
                status, headers, body = await get(url + path)
                assert (status, headers["Content-Type"]) == (200, kind)
                assert headers["Cache-Control"] == "no-cache"
                assert "script-src 'self'" in headers["Content-Security-Policy"]
                assert body
                tagged = await get(url + path, **{"If-None-Match": headers["ETag"]})
                assert (tagged[0], tagged[2]) == (304, b"")
            assert (await get(f"{url}/../records.py"))[0] == 404

    run_story(story)


def test_what_is_refused(start: Start, run_story: RunStory) -> None:
    async def story() -> None:
        async with (
            start("webwire_chat/serve.py", "0", "--room", "den", "--data", "kept") as server,
            await connect(server) as client,
        ):
            assert await refused(client, "who") == "NOT_LOGGED_IN"
            assert await refused(client, "say", room="den", text="hi") == "NOT_LOGGED_IN"
            assert await refused(client, "login", name="a") == "INVALID_PAYLOAD"
            assert await refused(client, "register", name="a b", password="x" * 8) == "BAD_NAME"
            assert await refused(client, "register", name="a", password="short") == "BAD_PASSWORD"
            account = {"name": "alice", "password": "correct horse"}
            welcome = await client.request("register", account, codec=JSON)
            assert welcome == {"name": "alice", "rooms": ["den"]}
            assert client.session is not None
            assert client.session.info == {"name": "alice"}
            assert await refused(client, "login", **account) == "LOGGED_IN"
            assert await refused(client, "join", room="attic") == "NO_SUCH_ROOM"
            assert await refused(client, "say", room="den", text="hi") == "NOT_IN_ROOM"
            await client.request("join", {"room": "den"}, codec=JSON)
            assert await refused(client, "say", room="den", text=" ") == "BAD_TEXT"
            assert await refused(client, "say", room="den", text="x" * 501) == "BAD_TEXT"
            await client.request("say", {"room": "den", "text": "\x00" * 500}, codec=JSON)
            await client.request("logout")
            assert client.session is None
            assert await refused(client, "history", room="den", id=1) == "NOT_LOGGED_IN"
            kept = b"".join(kept_in(server.folder / "kept"))
            assert b"alice" in kept
            assert b"correct horse" not in kept

    run_story(story)


def test_guessing_ends_the_connection(start: Start, run_story: RunStory) -> None:
    async def story() -> None:
        async with (
            start("webwire_chat/serve.py", "0") as server,
            await connect(server) as client,
        ):
            for _ in range(5):
                assert await refused(client, "login", name="bob", password="?") == "WRONG_PASSWORD"
            with pytest.raises(webwire.Disconnected):
                await client.request("who")
            assert await server.end(signal.SIGTERM) == 0

    run_story(story)
