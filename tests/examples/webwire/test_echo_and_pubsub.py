"""examples/webwire_echo and examples/webwire_pubsub, run as their readers would run them."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.examples.conftest import Run
    from tests.examples.webwire.conftest import RunStory, Start

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="no Ctrl-C can be sent to a process there"
)


def test_what_is_echoed(start: Start, run_story: RunStory) -> None:
    async def story() -> None:
        async with start("webwire_echo/serve.py", "0") as server:
            url = f"ws://{await server.address()}/"
            async with start("webwire_echo/call.py", url) as client:
                assert await client.process.wait() == 0
                await client.wait_for("at once")
                assert client.said == [
                    "UTF8: grüße",
                    "BINARY: bytes",
                    "UTF16: grüße",
                    "QUIETLY",
                    "refused as EMPTY: there is nothing to put into capitals",
                    "100 of 100 at once were answered",
                ]
            assert await server.end(signal.SIGINT) == 0
            await server.wait_for("stopped")
            assert len(server.said) == 2

    run_story(story)


def test_what_is_published(start: Start, run_story: RunStory) -> None:
    async def story() -> None:
        async with start("webwire_pubsub/serve.py", "0", "--every", "0.05") as server:
            address = await server.address()
            async with (
                start("webwire_pubsub/listen.py", f"ws://{address}/", "--count", "2") as brief,
                start("webwire_pubsub/listen.py", f"ws://{address}/") as patient,
            ):
                assert await brief.process.wait() == 0
                await patient.wait_for("tick ")
                assert len(brief.said) == 2
                first, second = (int(line.split()[1]) for line in brief.said)
                assert second == first + 1
                await server.wait_for("is gone")

                await server.kill()
                await patient.wait_for("the server is away")
                port = address.rpartition(":")[2]
                async with start("webwire_pubsub/serve.py", port, "--every", "0.05") as again:
                    await again.wait_for("listens")
                    away = patient.said.index("the server is away")
                    await patient.wait_for("tick ", after=away)
                    assert await again.end(signal.SIGINT) == 0
                    await again.wait_for("was told that it's over")
                assert await patient.end(signal.SIGINT) == 130
                assert not any("Traceback" in line for line in patient.said)

    run_story(story)


@pytest.mark.parametrize(
    "program",
    [
        "webwire_echo/serve.py",
        "webwire_echo/call.py",
        "webwire_pubsub/serve.py",
        "webwire_pubsub/listen.py",
        "webwire_chat/serve.py",
        "webwire_chat/client.py",
    ],
)
def test_help_is_all_that_happens(run: Run, root: Path, program: str) -> None:
    if "chat" in program:
        pytest.importorskip("msgspec")
    said = run(root / "examples" / program, "--help")
    assert said.startswith(f"usage: {program.partition('/')[2]} ")
    assert "listening" not in said


@pytest.mark.parametrize("every", ["0", "soon", "-1"])
def test_wrong_seconds_are_told(start: Start, run_story: RunStory, every: str) -> None:
    async def story() -> None:
        async with start("webwire_pubsub/serve.py", "--every", every) as server:
            assert await server.process.wait() == 2
            await server.wait_for("seconds are above 0 and up to 3600")

    run_story(story)
