"""The program of docs/webwire-browser.md, as a process that is killed and started again."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from tests.browser import chromium

if TYPE_CHECKING:
    from tests.browser.conftest import Run

REPOSITORY = Path(__file__).parents[2]

#: The program's last line, and what stands there to tell the test that it listens.
LAST_LINE = 'trio.run(server.serve, "127.0.0.1", 8080)'
TELLING = """
async def tell():
    async with trio.open_nursery() as nursery:
        listening = await nursery.start(server.serve, "127.0.0.1", {port})
        print(listening.port, flush=True)

trio.run(tell)
"""

SAY = "line.value = {line}; line.dispatchEvent(new Event('change')); 0"


@asynccontextmanager
async def chat(folder: Path, port: int = 0) -> AsyncIterator[tuple[trio.Process, int]]:
    """The program, and the port that it listens on."""
    page = (REPOSITORY / "docs" / "webwire-browser.md").read_text(encoding="utf-8")
    program = re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0]
    assert program.rstrip().endswith(LAST_LINE)
    path = folder / "chat.py"
    path.write_text(program.replace(LAST_LINE, TELLING.format(port=port)), encoding="utf-8")
    # It finds what this process finds, installed or not.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = await trio.lowlevel.open_process(
        [sys.executable, str(path)], stdout=subprocess.PIPE, env=environment
    )
    try:
        assert process.stdout is not None
        yield process, int(await process.stdout.receive_some())
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


def test_two_windows_hear_each_other_also_after_a_crash(
    chromium_program: str, tmp_path: Path, run: Run
) -> None:
    async def story() -> None:
        async with chromium.launch(chromium_program, tmp_path / "profile") as browser:
            async with chat(tmp_path) as (process, port):
                one, other = [await browser.open(f"http://127.0.0.1:{port}/") for _ in "12"]
                while await one.evaluate("line.placeholder") != "heard by 2":
                    # A window that isn't connected yet doesn't hear it.
                    await one.evaluate("line.placeholder = ''")
                    await one.evaluate(SAY.format(line="'héllo 😀'"))
                    await one.wait_for("line.placeholder !== ''")
                for page in (one, other):
                    await page.wait_for("said.textContent.endsWith('héllo 😀\\n')")
                process.kill()
                await process.wait()
            await one.wait_for("line.placeholder.endsWith('what you say waits')")
            await one.evaluate(SAY.format(line="'still here'"))  # it waits for a server
            async with chat(tmp_path, port):
                await one.wait_for("said.textContent.endsWith('still here\\n')")
            assert other.errors == []

    run(story)
