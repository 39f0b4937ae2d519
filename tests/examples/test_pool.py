"""examples/pool, run as their readers would run them."""

from __future__ import annotations

import re
import runpy
import signal
import sys
from pathlib import Path

import pytest

from tests.examples.webwire.conftest import RunStory, Start, run_story, start
from wirecore._backend import Backend, choose

__all__ = ["run_story", "start"]

FOLDER = Path(__file__).parents[2] / "examples" / "pool"

SAID = {
    "paths": "the row object_id-1\nb'file_id-1'\nhello\n",
    "callbacks": "job_id-1 done of worker-1 is noted\n",
    "json_rpc": "['tea 1', 'tea 2']\n['cups 1']\n2.5\n",
    "client_certificates": "the object object_id-1\ncalled worker-1\n"
    "without a certificate it was refused\n",
}


@pytest.fixture(scope="session")
def backend() -> Backend:
    """The one that is chosen: what differs by backend has its tests elsewhere."""
    return choose()[0]


@pytest.mark.parametrize("name", SAID)
def test_what_they_say(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this process, which costs far less than one for each."""
    monkeypatch.setattr(sys, "argv", [f"{name}.py"])
    runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")
    assert capsys.readouterr().out == SAID[name]


@pytest.mark.skipif(sys.platform == "win32", reason="no Ctrl-C can be sent to a process there")
def test_a_pool_and_a_provider(start: Start, run_story: RunStory) -> None:
    async def story() -> None:
        keys = ("object_id-1", "object_id-2")
        async with start("pool/serve.py", "--port", "0", *keys) as server:
            url = f"ws://{await server.address()}"
            async with start("pool/provide.py", url, "--connections", "2") as provider:
                assert await server.process.wait() == 0
                await server.wait_for("object 2")
                assert server.said[1:] == ["object 1", "object 2"]
                await provider.wait_for("connected to")
                assert await provider.end(signal.SIGTERM) == 0
                await provider.wait_for("stopped")

    run_story(story)


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal can be sent there")
def test_a_provider_behind_nat(start: Start, run_story: RunStory) -> None:
    """As far as this machine lets us: without root the provider is only another process."""

    async def story() -> None:
        async with start("pool/nat.py") as program:
            assert await program.process.wait() == 0
            await program.wait_for("called ")
            first, *rest = program.said
            if re.fullmatch(r"called 198\.18\.\d+\.\d+: object 1", first):
                assert rest == ["the pool can't connect to the provider: nothing answers"]
            else:
                assert first == "not as root on Linux: the provider is only another process"
                assert rest == ["called 127.0.0.1: object 1"]

    run_story(story)
