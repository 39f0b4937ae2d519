"""A redis-server of the tests' own, which they may stop, freeze and start again."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from importlib.metadata import version
from pathlib import Path

import pytest

#: Seconds that it gets to answer, on a machine with other things to do.
_PATIENCE = 30.0


def find_redis() -> str:
    """The program; without it the test is skipped, and fails where CI runs every test."""
    if tuple(map(int, version("trio").split(".")[:2])) < (0, 32):
        pytest.skip("trio is older than the extra redis asks for")
    program = shutil.which("redis-server")
    if program is None:
        reason = "redis-server isn't installed: nothing to share by"
        if os.environ.get("CI", "").lower() in {"1", "true", "yes"}:
            pytest.fail(reason)
        pytest.skip(reason)
    return program


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


class RedisServer:
    """One on a free port of this machine, with its files in *folder*."""

    def __init__(self, folder: Path) -> None:
        self._program = find_redis()
        self._folder = folder
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """What a store is given."""
        return f"redis://127.0.0.1:{self.port}"

    def start(self, *options: str) -> None:
        """Start it, and wait until it answers."""
        settings = f"--port {self.port} --bind 127.0.0.1 --appendonly yes --appendfsync no"
        self._process = subprocess.Popen(
            [self._program, *settings.split(), "--save", "", *options],
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
        )
        give_up = time.monotonic() + _PATIENCE
        while True:
            try:
                if self.command("PING").startswith((b"+PONG", b"-NOAUTH")):
                    return
            except OSError:
                pass
            assert self._process.poll() is None, "redis-server ended at once"
            assert time.monotonic() < give_up, "redis-server doesn't answer"
            time.sleep(0.01)

    def command(self, *words: str) -> bytes:
        """The first bytes of its answer to a command."""
        parts = [f"*{len(words)}\r\n", *(f"${len(word)}\r\n{word}\r\n" for word in words)]
        with socket.create_connection(("127.0.0.1", self.port), timeout=_PATIENCE) as connection:
            connection.sendall("".join(parts).encode())
            return connection.recv(65536)

    def connections(self) -> int:
        """How many it has, the one that asks among them."""
        return self.command("CLIENT", "LIST").count(b" laddr=")

    def freeze(self) -> None:
        """It gets no time any more: connections stay open, and nothing answers."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """And it goes on."""
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """Kill it; what it keeps in files stays."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
