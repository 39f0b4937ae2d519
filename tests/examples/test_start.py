"""docs/start.md from top to bottom: its programs, saved and run as it says."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.examples.pages import blocks
from wirecore._backend import Backend

FILES = {block.file: block for block in blocks("docs/start.md", "python") if block.file}

#: The port that the page has, in place of which each test takes a free one.
PORT = "1337"

#: Seconds that a program gets on a machine with other things to do.
PATIENCE = 120.0

Start: TypeAlias = Callable[[str], subprocess.Popen[str]]


@pytest.fixture
def start(backend: Backend, tmp_path: Path) -> Iterator[Start]:
    """Starts a program of the page, in a folder where all of them lie, with keys."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    for name, block in FILES.items():
        (tmp_path / name).write_text(block.text.replace(PORT, port), encoding="utf-8")
    with ExitStack() as stack:

        def started(name: str) -> subprocess.Popen[str]:
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-W", "error", name],
                    cwd=tmp_path,
                    env={**os.environ, "WIRECORE_BACKEND": backend.name},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
            )
            stack.callback(process.kill)
            return process

        assert ended(started("keys.py")) == (0, "")
        yield started


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Its exit status, and the rest of what it printed."""
    said, _ = process.communicate(timeout=PATIENCE)
    return process.returncode, said


def listening(process: subprocess.Popen[str]) -> subprocess.Popen[str]:
    """A server that has said so."""
    assert process.stdout is not None
    assert process.stdout.readline() == "listening\n"
    return process


def test_the_page_has_these_programs() -> None:
    assert list(FILES) == ["keys.py", "server.py", "client.py", "ping_server.py", "ping_client.py"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no file modes")
def test_private_keys_are_nobody_elses_and_never_overwritten(start: Start, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in tmp_path.glob("*.[kp]*") if path.suffix != ".py"}
    assert sorted(path.name for path in before) == [
        "alice.key",
        "alice.pub",
        "server.key",
        "server.pub",
    ]
    assert {len(key) for key in before.values()} == {32}
    assert (tmp_path / "server.key").stat().st_mode & 0o777 == 0o600

    status, said = ended(start("keys.py"))
    assert status == 1
    assert "FileExistsError" in said
    assert {path: path.read_bytes() for path in before} == before


def test_bytes_go_both_ways(start: Start) -> None:
    listening(start("server.py"))
    assert ended(start("client.py")) == (0, FILES["client.py"].promised)


def test_a_client_waits_for_its_server(start: Start) -> None:
    client = start("client.py")
    listening(start("server.py"))
    status, said = ended(client)
    assert status == 0
    # It may have tried before the server was there, and logged that.
    assert said.endswith(FILES["client.py"].promised)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM that a program sees")
def test_messages_go_both_ways_and_the_server_stops_in_good_order(start: Start) -> None:
    server = listening(start("ping_server.py"))
    assert ended(start("ping_client.py")) == (0, FILES["ping_client.py"].promised)
    server.send_signal(signal.SIGTERM)
    status, said = ended(server)
    assert (status, "listening\n" + said) == (0, FILES["ping_server.py"].promised)
