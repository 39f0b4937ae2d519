"""One run of Autobahn|Testsuite: its process and ours, followed until the end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from tests.interop.autobahn.install import CACHE

ENDPOINTS = Path(__file__).resolve().parent

#: Seconds that an end may say nothing: a case of category 9 takes minutes on a busy machine.
SILENCE = 300.0

#: Runs wstest with all its listeners on 127.0.0.1: it would bind every interface.
WSTEST = """
import sys
from twisted.internet import reactor
listen = reactor.listenTCP
def listen_here(port, factory, backlog=50, interface=''):
    bound = listen(port, factory, backlog, '127.0.0.1')
    print('listening')
    return bound
reactor.listenTCP = listen_here
from autobahntestsuite import wstest
sys.argv[0] = 'wstest'
wstest.run()
"""

#: Called with a line for each case that begins or is through.
Say: TypeAlias = Callable[[str], object]


class Silent(Exception):
    """One end of a run ended before its time, or said nothing for too long.

    What it wrote to standard error is in the run's folder.
    """


@dataclass(frozen=True)
class End:
    """One of the two processes of a run."""

    name: str
    process: subprocess.Popen[str]

    def lines(self) -> Iterator[str]:
        """What it says, line by line; raises Silent where it fails or says nothing for too long."""
        assert self.process.stdout is not None
        last = "nothing"
        watchdog = self._watchdog()
        try:
            for line in self.process.stdout:
                watchdog.cancel()
                last = line.strip()
                yield last
                watchdog = self._watchdog()
        finally:
            watchdog.cancel()
        if self.process.wait() != 0:
            status = self.process.returncode
            raise Silent(f"{self.name} ended with status {status}; the last it said: {last}")

    def _watchdog(self) -> threading.Timer:
        # Our ends run with faulthandler: it tells where they were when they are aborted.
        timer = threading.Timer(SILENCE, self.process.send_signal, (signal.SIGABRT,))
        timer.start()
        return timer

    def wait_for(self, word: str) -> str:
        """The first line that begins with *word*. Raises Silent where none comes."""
        for line in self.lines():
            if line.startswith(word):
                return line
        raise Silent(f"{self.name} never said {word!r}")

    def drain(self) -> None:
        """Drops what it says from now on, in a thread: a full pipe would stop it."""
        threading.Thread(target=self._drop, daemon=True).start()

    def _drop(self) -> None:
        assert self.process.stdout is not None
        with suppress(ValueError):  # closed, since the run is over
            for _ in self.process.stdout:
                pass

    def follow(self, say: Say) -> None:
        """Tells every case that it names, until its end. Raises Silent."""
        for line in self.lines():
            if line.startswith(("Running test case", "case ")):
                say(line)


@dataclass(frozen=True)
class Run:
    """The cases of *pattern* in one role on one backend; the report goes to *folder*."""

    python2: str
    pattern: str
    backend: str
    folder: Path

    def server(self, say: Say) -> None:
        """The suite's fuzzing client against our echo server. Raises Silent."""
        with self._started("echo_server", self._ours("echo_server.py")) as endpoint:
            port = endpoint.wait_for("listening").split()[1]
            tested = {"agent": f"wirecore-{self.backend}", "url": f"ws://127.0.0.1:{port}"}
            command = self._wstest("fuzzingclient", {"servers": [tested]})
            with self._started("wstest", command) as suite:
                suite.follow(say)

    def client(self, say: Say) -> None:
        """The suite's fuzzing server against our echo client. Raises Silent."""
        url = f"ws://127.0.0.1:{free_port()}"
        client = self._ours("echo_client.py", url, f"wirecore-{self.backend}")
        with self._started("wstest", self._wstest("fuzzingserver", {"url": url})) as suite:
            suite.wait_for("listening")
            suite.drain()
            with self._started("echo_client", client) as endpoint:
                endpoint.follow(say)

    def _ours(self, program: str, *arguments: str) -> list[str]:
        return [sys.executable, "-u", "-X", "faulthandler", str(ENDPOINTS / program), *arguments]

    def _wstest(self, mode: str, spec: dict[str, object]) -> list[str]:
        """The suite's command in *mode*; without its web server (port 0)."""
        path = self.folder / "spec.json"
        whole = {**spec, "cases": [self.pattern], "outdir": str(self.folder)}
        path.write_text(json.dumps(whole))
        return [self.python2, "-u", "-c", WSTEST, "-m", mode, "-s", str(path), "-u", "0"]

    @contextmanager
    def _started(self, name: str, command: Sequence[str]) -> Iterator[End]:
        """A process that is killed on leaving, if it is still there; its stderr is kept."""
        with (
            (self.folder / f"{name}.log").open("w") as log,
            subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=CACHE,
                env={**os.environ, "WIRECORE_BACKEND": self.backend},
            ) as process,
        ):
            try:
                yield End(name, process)
            finally:
                process.kill()


def empty_folder(role: str, backend: str, pattern: str) -> Path:
    """Where the report of a run and the complaints of its processes go."""
    folder = CACHE / "reports" / f"{role}-{backend}" / pattern.replace("*", "x")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
