"""examples/todo: run as docs/rest-todo.md has it, and its client made again of its document."""

from __future__ import annotations

import ast
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.examples.pages import ROOT, Block, blocks, text_of
from tests.examples.webwire.conftest import RunStory, Start, run_story, start
from wirecore._backend import Backend, choose

if TYPE_CHECKING:
    from tests.examples.conftest import CheckTypes

__all__ = ["run_story", "start"]

pytest.importorskip("httpx")
pytest.importorskip("starlette")

PAGE = "docs/rest-todo.md"
FOLDER = ROOT / "examples" / "todo"

#: What the programs say, in the order in which the page has them: of the server, of the provider.
SAID = [block.text.splitlines()[1:] for block in blocks(PAGE, "console")]

#: The port that the page has, in place of which the server takes a free one.
PORT = "8080"


@pytest.fixture(scope="session")
def backend() -> Backend:
    """The one that is chosen: what differs by backend has its tests elsewhere."""
    return choose()[0]


def with_port(lines: list[str], address: str) -> list[str]:
    """*lines* of the page for a server at *address*."""
    return [line.replace(f"127.0.0.1:{PORT}", address) for line in lines]


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal can be sent there")
def test_a_list_is_called_over_the_connection_that_it_made(
    start: Start, run_story: RunStory
) -> None:
    async def story() -> None:
        server_said, provider_said = SAID
        async with start("todo/serve.py", "--port", "0") as server:
            address = await server.address()
            async with start("todo/provide.py", f"ws://{address}/") as provider:
                assert await server.process.wait() == 0
                await server.wait_for(server_said[-1])
                assert server.said == with_port(server_said, address)
                await provider.wait_for("serving at")
                assert await provider.end(signal.SIGTERM) == 0
                await provider.wait_for("stopped")
                # Between the two it may have said that the server is gone.
                assert [provider.said[0], provider.said[-1]] == with_port(provider_said, address)

    run_story(story)


@pytest.mark.parametrize("block", blocks(PAGE, "python"), ids=str)
def test_what_the_page_shows_is_what_runs(block: Block) -> None:
    assert any(block.text in path.read_text(encoding="utf-8") for path in FOLDER.glob("*.py"))


def test_it_is_typed(check_types: CheckTypes) -> None:
    """The generated code, too, as far as the programs come by it."""
    check_types(FOLDER.glob("*.py"))


def command() -> list[str]:
    """The command that makes the client, as generate.yaml has it."""
    text = (FOLDER / "generate.yaml").read_text(encoding="utf-8").replace("#", " ")
    [found] = re.findall(r"^ +(openapi-python-client .+?--overwrite)$", text, re.M | re.S)
    return str(found).replace("\\\n", " ").split()


def test_the_page_has_the_same_command() -> None:
    page, config = text_of(PAGE), (FOLDER / "generate.yaml").read_text(encoding="utf-8")
    for text in (page, config.replace("#", " ")):
        assert " ".join(command()) in " ".join(text.replace("\\\n", " ").split())
    [needed] = re.findall(r"pip install (\S+)", config)
    assert f"pip install {needed}\n" in page
    assert f'"{needed}"' in text_of("pyproject.toml")


def test_the_client_is_what_the_document_makes(tmp_path: Path) -> None:
    """Another release may well make other code, and so may another ruff lay it out."""
    [made_with] = re.findall(r"pip install \S+==(\S+)", text_of("examples/todo/generate.yaml"))
    try:
        installed = version("openapi-python-client")
    except PackageNotFoundError:
        pytest.skip("openapi-python-client isn't installed")
    if installed != made_with:
        pytest.skip(f"the client was made with openapi-python-client {made_with}, not {installed}")
    for name in ("api.yaml", "generate.yaml"):
        shutil.copy(FOLDER / name, tmp_path)
    scripts = sysconfig.get_path("scripts")
    made = subprocess.run(
        [os.path.join(scripts, command()[0]), *command()[1:]],
        cwd=tmp_path,
        env={**os.environ, "PATH": os.pathsep.join([scripts, os.environ["PATH"]])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout
    assert "Warning" not in made.stdout
    assert code_in(tmp_path / "todo_client") == code_in(FOLDER / "todo_client")


def code_in(folder: Path) -> dict[str, str]:
    """The programs in *folder*, however they are laid out."""
    return {
        str(path.relative_to(folder)): ast.dump(ast.parse(path.read_text(encoding="utf-8")))
        for path in folder.rglob("*.py")
    }
