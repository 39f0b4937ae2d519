"""The example's programs, each started by hand: in words, and helpful where it was done wrongly."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TypeAlias

import pytest

PING = Path(__file__).parents[2] / "examples" / "ping"

#: Seconds that a program gets on a machine with other things to do.
PATIENCE = 60.0

Start: TypeAlias = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a program of the example; its two outputs come in one pipe."""
    with ExitStack() as stack:

        def started(*command: str) -> subprocess.Popen[str]:
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-W", "error", str(PING / command[0]), *command[1:]],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
            )
            stack.callback(process.kill)
            return process

        yield started


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Its exit status, and the rest of what it says."""
    said, _ = process.communicate(timeout=PATIENCE)
    return process.returncode, said


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["client.py"], "the following arguments are required: name"),
        (["client.py", "Dave"], "argument name: invalid choice: 'Dave' (choose from "),
        (["client.py", "Alice", "x"], "argument port: a port is 0 to 65535, not 'x'"),
        (["client.py", "Alice", "0"], "a server's port is 1 to 65535"),
        (["server.py", "99999"], "argument port: a port is 0 to 65535, not '99999'"),
        (["demo.py", "now"], "unrecognized arguments: now"),
        (["demo.py", "--seconds", "-1"], "argument --seconds: seconds are 0 to 3600, not '-1'"),
    ],
)
def test_wrong_arguments_are_told_with_the_right_ones(
    start: Start, command: list[str], says: str
) -> None:
    status, said = ended(start(*command))
    assert status == 2
    assert said.startswith(f"usage: {command[0]} ")
    assert says in said


@pytest.mark.parametrize("program", ["client.py", "server.py", "demo.py"])
def test_help_is_all_that_happens(start: Start, program: str) -> None:
    status, said = ended(start(program, "--help"))
    assert status == 0
    assert said.startswith(f"usage: {program} ")
    assert " s  server" not in said


def test_a_client_without_a_server_says_what_is_missing(start: Start) -> None:
    with socket.socket() as nobody_listens:
        nobody_listens.bind(("127.0.0.1", 0))
        port = nobody_listens.getsockname()[1]
        client = start("client.py", "Alice", str(port))
        assert f"127.0.0.1 port {port} refused the connection: does a server" in line(client)


def test_a_server_that_cant_listen_says_so(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        status, said = ended(start("server.py", str(taken.getsockname()[1])))
    assert status == 1
    assert "can't listen on 127.0.0.1" in said
    assert "Traceback" not in said


@pytest.mark.skipif(sys.platform == "win32", reason="no Ctrl-C can be sent to a process there")
def test_both_tell_in_words_what_happens(start: Start) -> None:
    server = start("server.py", "0")
    found = re.fullmatch(
        r"listening on 127\.0\.0\.1:(\d+); Alice and Bob may come in\n", line(server)
    )
    assert found is not None
    alice = start("client.py", "Alice", found[1])
    assert line(alice) == "the connection is ready\n"
    assert re.fullmatch(
        r"called Ping at the server 20 times at once: all answered, the slowest in [\d.]+ ms\n",
        line(alice),
    )
    assert re.match("called Gnip at Alice 20 times at once: all answered", line(server))
    alice.send_signal(signal.SIGINT)
    status, said = ended(alice)
    assert status == 130
    assert said.endswith("stopped\n")
    assert "Traceback" not in said
    status, said = ended(start("client.py", "Charlie", found[1]))
    assert status == 1
    assert "the server refused this client's public key" in said
    assert "Charlie was refused, and gives up" in said
    server.send_signal(signal.SIGINT)
    status, said = ended(server)
    assert status == 130
    assert re.search(r"a client at 127\.0\.0\.1:\d+ wasn't let in: the client's public key", said)
    assert "Traceback" not in said
