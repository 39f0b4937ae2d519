"""The command as its users have it: a process, in a folder, with nothing of the tester's own."""

from __future__ import annotations

import io
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, NoReturn

import pytest

from wirecore_cli.command import run

#: Seconds that a command gets on a machine with other things to do.
PATIENCE = 60.0

COMMAND = (sys.executable, "-W", "error", "-m", "wirecore_cli")

#: What a user's environment may hold and a test must not see.
_STRANGE = (
    "WIRECORE_KEY",
    "WIRECORE_POOL",
    "WIRECORE_SERVER_KEY",
    "WIRECORE_SESSION",
    "NO_COLOR",
    "FORCE_COLOR",
    "COLUMNS",
)


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    status: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        """What it printed."""
        return self.out.decode()

    def failed(self, status: int) -> str:
        """The one line that it failed with, less the command's name."""
        assert (self.status, self.out) == (status, b""), self.err
        found = re.fullmatch(r"wirecore: (.+)\n", self.err)
        assert found is not None, self.err
        return found[1]


class Running:
    """A command that runs on."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    def line(self) -> str:
        """The next line that it prints."""
        return _line(self.process.stdout)

    def logged(self, text: str) -> str:
        """Wait until it has logged *text*; the line with it."""
        while text not in (line := _line(self.process.stderr)):
            assert line, f"it ended, and never said {text!r}"
        return line

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> Done:
        """Wait until it has ended."""
        out, err = self.process.communicate(timeout=PATIENCE)
        return Done(self.process.returncode, out, err.decode())


class Serving(Running):
    """A server that runs."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        super().__init__(process)
        self.said = [self.line() for _ in range(4)]
        assert self.said[0], self.end().err
        self.address = self.said[0].removeprefix("listening on ").strip()
        self.public_key = self.said[1].removeprefix("public key ").strip()


class ServingWebwire(Running):
    """A server of webwire that runs."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        super().__init__(process)
        self.said = [self.line() for _ in range(3)]
        assert self.said[0], self.end().err
        self.url = self.said[0].removeprefix("listening on ").strip()


class ServingPool(Running):
    """A pool that runs, with *lines* of what it says."""

    def __init__(self, process: subprocess.Popen[bytes], lines: int = 3) -> None:
        super().__init__(process)
        self.said = [self.line() for _ in range(lines)]
        assert self.said[0], self.end().err
        self.url = self.said[0].removeprefix("listening on ").strip()


class ServingGateway(Running):
    """A gateway that runs, with *lines* of what it says."""

    def __init__(self, process: subprocess.Popen[bytes], lines: int = 3) -> None:
        super().__init__(process)
        self.said = [self.line() for _ in range(lines)]
        assert self.said[0], self.end().err
        places = [line.partition(" on ")[2].strip() for line in self.said]
        self.url, self.publishers, self.live = (*places, "", "")[:3]


class Wirecore:
    """Runs commands in a folder of their own."""

    command = COMMAND

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.environment = {k: v for k, v in os.environ.items() if k not in _STRANGE} | {
            "HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder / "settings"),
            "XDG_RUNTIME_DIR": str(folder / "run"),
        }
        self._stack = stack

    def __call__(self, *arguments: str, stdin: bytes = b"", **environment: str) -> Done:
        """Run it until it ends."""
        done = subprocess.run(
            [*COMMAND, *arguments],
            check=False,
            cwd=self.folder,
            env=self.environment | environment,
            input=stdin,
            capture_output=True,
            timeout=PATIENCE,
        )
        return Done(done.returncode, done.stdout, done.stderr.decode())

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        """Start a process, which doesn't outlive the test."""
        process = self._stack.enter_context(
            subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                bufsize=0,  # communicate() knows nothing of what a buffer holds
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        )
        self._stack.callback(process.kill)
        return process

    def run(self, *arguments: str) -> Running:
        """Start a command that runs on."""
        return Running(self.start(*COMMAND, *arguments))

    def serve(self, *arguments: str) -> Serving:
        """Start ``wirecore wsrpc serve`` on a free port, and wait until it listens."""
        command = (*COMMAND, "wsrpc", "serve", "--listen", "127.0.0.1:0", *arguments)
        return Serving(self.start(*command))

    def serve_webwire(self, *arguments: str, listen: str = "127.0.0.1:0") -> ServingWebwire:
        """The same of ``wirecore webwire serve``."""
        command = (*COMMAND, "webwire", "serve", "--listen", listen, *arguments)
        return ServingWebwire(self.start(*command))

    def serve_pool(self, *arguments: str, lines: int = 3) -> ServingPool:
        """The same of ``wirecore pool serve``, which says so many *lines*."""
        command = (*COMMAND, "pool", "serve", "--listen", "127.0.0.1:0", *arguments)
        return ServingPool(self.start(*command), lines)

    def serve_gateway(self, *arguments: str, lines: int = 3) -> ServingGateway:
        """The same of ``wirecore tunnel gateway``."""
        given = ("--listen", "--publishers", "--live")
        places = [each for option in given for each in (option, "127.0.0.1:0")]
        command = (*COMMAND, "tunnel", "gateway", *places, *arguments)
        return ServingGateway(self.start(*command), lines)

    def publish(self, gateway: ServingGateway, *arguments: str) -> Running:
        """Start ``wirecore tunnel publish``, and wait until it is connected."""
        command = ("tunnel", "publish", "--connect", gateway.publishers, *arguments)
        publishing = self.run(*command)
        publishing.logged(f"connected to {gateway.publishers}")
        return publishing

    def provide(self, url: str, *arguments: str) -> Running:
        """Start ``wirecore pool provide``, and wait until it is connected."""
        providing = self.run("pool", "provide", "--to", url, *arguments)
        said = providing.line()
        assert said == f"connected to {url}\n", said or providing.end().err
        return providing

    def listen(self, url: str, *arguments: str) -> Running:
        """Start ``wirecore webwire listen``, and wait until it is connected."""
        listening = self.run("webwire", "listen", url, *arguments)
        listening.logged("connected to ")
        return listening

    def key(self, name: str, *arguments: str) -> str:
        """Make a pair of keys; the public one in hex."""
        done = self("keygen", "--out", name, *arguments)
        assert done.status == 0, done.err
        return done.text.strip()


class Shell:
    """Runs lines of documentation as they are printed, but for the ports, which may be taken."""

    def __init__(self, wirecore: Wirecore) -> None:
        self.wirecore = wirecore
        #: The last pool that was started.
        self.pool: ServingPool | None = None
        #: Addresses that are printed, and those of the servers that run in their place.
        self.addresses: dict[str, str] = {}
        self._listening: list[Running] = []
        programs = wirecore.folder / "programs"
        programs.mkdir()
        for name, command in (("wirecore", COMMAND), ("python", (sys.executable,))):
            program = programs / name
            program.write_text(f'#!/bin/sh\nexec {" ".join(command)} "$@"\n')
            program.chmod(0o755)
        path = f"{programs}{os.pathsep}{wirecore.environment['PATH']}"
        wirecore.environment["PATH"] = path

    def run(self, line: str) -> str:
        """What *line* prints. A server runs on, in the background, and calls go to the last one.

        Who listens does so too; without a & it hears a signal, and is stopped then.
        """
        if " serve " in f"{line} ":
            return self._serve(line)
        if " webwire listen " in line:
            return self._listen(line)
        if " pool provide " in line:
            return self._provide(line)
        if " tunnel gateway" in line:
            return self._gateway(line)
        if " tunnel publish " in line and not line.endswith(" --help"):
            return self._publish(line)
        if line.startswith("wait $!; "):
            assert self._listening.pop().end().status == 0
            line = line.removeprefix("wait $!; ")
        done = subprocess.run(
            ["sh", "-c", self.with_addresses(line)],
            check=False,
            cwd=self.wirecore.folder,
            env=self.wirecore.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE,
            text=True,
        )
        assert done.returncode == 0, f"{line}: {done.stdout}"
        return done.stdout

    def with_addresses(self, line: str) -> str:
        """*line* with those of the servers that run in place of printed ones."""
        for printed, real in self.addresses.items():
            line = line.replace(printed, real)
        return line

    def _serve(self, line: str) -> str:
        line = re.sub(r" --listen \S+| &$", "", line)
        line = re.sub(r"(--(?:health|metrics) \S+):\d+", r"\1:0", line)
        process = self.wirecore.start("sh", "-c", f"exec {line} --listen 127.0.0.1:0")
        if " pool " in line:
            self.pool = ServingPool(
                process, 2 + max(1, line.count("--path ")) + ("--callbacks" in line)
            )
            self.addresses["ws://127.0.0.1:8080/"] = f"{self.pool.url}/"
            return "".join(self.pool.said)
        if " webwire " in line:
            webwire = ServingWebwire(process)
            self.addresses["ws://127.0.0.1:8080/"] = webwire.url
            return "".join(webwire.said)
        served = Serving(process)
        self.addresses["127.0.0.1:1337"] = served.address
        return "".join(served.said)

    def _provide(self, line: str) -> str:
        if " --to " not in line:
            line = line.replace(" provide ", " provide --to ws://127.0.0.1:8080/pool ")
        command = self.with_addresses(line.removesuffix(" &"))
        return Running(self.wirecore.start("sh", "-c", f"exec {command}")).line()

    def _gateway(self, line: str) -> str:
        line = re.sub(r" --(listen|publishers|live) \S+| &$", "", line)
        options = "--listen 127.0.0.1:0 --publishers 127.0.0.1:0 --live 127.0.0.1:0"
        gateway = ServingGateway(self.wirecore.start("sh", "-c", f"exec {line} {options}"))
        for port, place in (8000, gateway.url), (8001, gateway.publishers), (8002, gateway.live):
            self.addresses[f"127.0.0.1:{port}"] = place.partition("://")[2].rstrip("/")
        return "".join(gateway.said)

    def _publish(self, line: str) -> str:
        if " --connect " not in line:
            line = line.replace(" publish ", " publish --connect ws://127.0.0.1:8001/ ")
        command = self.with_addresses(line.removesuffix(" &"))
        return Running(self.wirecore.start("sh", "-c", f"exec {command}")).logged("connected to ")

    def _listen(self, line: str) -> str:
        command = self.with_addresses(line.removesuffix(" &"))
        listening = Running(self.wirecore.start("sh", "-c", f"exec {command}"))
        connected = listening.logged("connected to ")
        if line.endswith(" &"):
            self._listening.append(listening)
            return connected
        self.run("wirecore webwire signal ws://127.0.0.1:8080/ chat hello")
        heard = listening.line()
        if " --count 1" not in line:  # else it ends by itself
            listening.signal(signal.SIGINT)
        assert listening.end().status == 0
        return heard


def _line(stream: IO[bytes] | None) -> str:
    assert stream is not None
    return stream.readline().decode()


@pytest.fixture
def wirecore(tmp_path: Path) -> Iterator[Wirecore]:
    """The command, in an empty folder."""
    with ExitStack() as stack:
        yield Wirecore(tmp_path, stack)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wirecore]:
    """The command, in a folder that the tests of one file share."""
    with ExitStack() as stack:
        yield Wirecore(tmp_path_factory.mktemp("shared"), stack)


class Here:
    """Runs the commands of *wirecore* in this process, which is as good and costs far less."""

    def __init__(
        self, wirecore: Wirecore, capture: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch
    ) -> None:
        self.folder = wirecore.folder
        self._capture = capture
        self._patch = patch
        patch.chdir(wirecore.folder)
        for name in _STRANGE:
            patch.delenv(name, raising=False)
        for name in ("HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"):
            patch.setenv(name, wirecore.environment[name])

    def __call__(self, *arguments: str, stdin: bytes = b"") -> Done:
        """Run it until it ends."""
        self._patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
        self._capture.readouterr()
        status = run(arguments)
        out, err = self._capture.readouterr()
        return Done(status, out.encode(), err)

    def line(self, line: str) -> Done:
        """Run a line of a shell: a command, or what ``echo`` says piped into one."""
        said, _, piped = line.rpartition(" | ")
        _, *words = shlex.split(piped)
        return self(*words, stdin=" ".join(shlex.split(said)[1:]).encode() + b"\n")


@pytest.fixture
def here(
    shared: Wirecore, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Here:
    """Runs commands in this process, in the folder of ``shared``."""
    return Here(shared, capsys, monkeypatch)


@pytest.fixture
def shell(wirecore: Wirecore) -> Shell:
    """A shell that finds ``wirecore``, in the same folder."""
    if os.name == "nt":
        pytest.skip("the lines are for a POSIX shell")
    return Shell(wirecore)


@pytest.fixture(scope="session")
def protoc() -> Callable[..., None]:
    """Runs protoc in a folder: ``protoc(folder, "--python_out=.", "shop.proto")``."""
    if find_spec("grpc_tools") is None:
        _unavailable("grpcio-tools isn't installed: there is no protoc")

    def run(folder: Path, *arguments: str) -> None:
        subprocess.run(
            [sys.executable, "-m", "grpc_tools.protoc", "-I.", *arguments], check=True, cwd=folder
        )

    return run


def _unavailable(reason: str) -> NoReturn:
    if os.environ.get("CI", "").lower() in {"1", "true", "yes"}:
        pytest.fail(reason)
    pytest.skip(reason)
