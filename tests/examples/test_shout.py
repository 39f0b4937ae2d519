"""examples/shout, from its .proto file on: made, typed, served, called."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.examples.conftest import CheckTypes, Run


def command_of(program: Path) -> list[str]:
    """The arguments of the command that *program* says is to be run first."""
    text = program.read_text(encoding="utf-8")
    [command] = re.findall(r"^    python (-m grpc_tools.+?\.proto)$", text, re.M | re.S)
    return str(command).replace("\\\n", " ").split()


@pytest.fixture(scope="module")
def example(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example's folder, with all that is to be made first."""
    folder = tmp_path_factory.mktemp("example") / "shout"
    ours = shutil.ignore_patterns("shout_*", "__pycache__")
    shutil.copytree(root / "examples" / "shout", folder, ignore=ours)
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])
    subprocess.run(
        [sys.executable, *command_of(folder / "server.py")],
        cwd=folder,
        env={**os.environ, "PATH": path},
        check=True,
    )
    return folder


@pytest.fixture
def server(example: Path) -> Iterator[subprocess.Popen[str]]:
    """The server, running."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", str(example / "server.py"), "0", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def ports_of(server: subprocess.Popen[str]) -> tuple[str, str]:
    assert server.stdout is not None
    found = re.fullmatch(r"wsrpc on (\d+), gRPC on (\d+)\n", server.stdout.readline())
    assert found is not None
    return found[1], found[2]


def test_one_service_answers_on_both_ways(
    run: Run, example: Path, server: subprocess.Popen[str]
) -> None:
    ports = ports_of(server)
    assert run(example / "client.py", *ports).splitlines() == [
        "wsrpc: HELLO, echo: llo",
        "wsrpc: nothing to shout",
        "gRPC: HELLO, echo: none",
        "gRPC: nothing to shout",
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="no Ctrl-C can be sent to a process there")
def test_ctrl_c_ends_both_servers(server: subprocess.Popen[str]) -> None:
    ports_of(server)
    server.send_signal(signal.SIGINT)
    said, complained = server.communicate(timeout=60)
    assert (server.returncode, said, complained) == (0, "stopped\n", "")


def test_it_is_typed(check_types: CheckTypes, example: Path) -> None:
    """Apart from the project's own check, for which nothing is made."""
    check_types(each for each in example.glob("*.py") if not each.name.endswith("_pb2.py"))
