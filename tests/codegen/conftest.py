"""protoc as a real process with the plugin as a real process, and what they make, imported."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trio

HERE = Path(__file__).parent

#: The command that the package installs; it lies beside the interpreter.
PLUGIN = Path(sysconfig.get_path("scripts")) / (
    "protoc-gen-wsrpc_python" + (".exe" if os.name == "nt" else "")
)

#: Seconds that a test with real sockets and threads gets.
PATIENCE = 30.0


class Protoc:
    """Runs protoc, by default the one that grpcio-tools brings."""

    def __init__(self, *command: str) -> None:
        self.command = command or (sys.executable, "-m", "grpc_tools.protoc")

    def run(
        self, *arguments: str | Path, cwd: Path, path: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """What protoc says to *arguments* in *cwd*; *path* is where it looks for plugins."""
        environment = os.environ if path is None else {**os.environ, "PATH": path}
        return subprocess.run(
            [*self.command, *map(str, arguments)],
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def generate(
        self, source: Path, out: Path, *files: str, opt: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Make messages, their stubs and services of *files*, which lie below *source*."""
        parameters = [f"--wsrpc_python_opt={opt}"] if opt else []
        return self.run(
            f"--plugin=protoc-gen-wsrpc_python={PLUGIN}",
            f"-I{source}",
            f"--python_out={out}",
            f"--pyi_out={out}",
            f"--wsrpc_python_out={out}",
            *parameters,
            *files,
            cwd=source,
        )


def protos(source: Path) -> list[str]:
    """The .proto files below *source*, as protoc takes them."""
    return sorted(path.relative_to(source).as_posix() for path in source.rglob("*.proto"))


@pytest.fixture(scope="session")
def protoc() -> Protoc:
    return Protoc()


@pytest.fixture(scope="session")
def script() -> Path:
    return PLUGIN


@pytest.fixture(scope="session")
def every_protoc() -> list[Protoc]:
    """Also the one that is installed on the machine, where one is."""
    found = shutil.which("protoc")
    return [Protoc(), *([Protoc(found)] if found else [])]


@dataclass(frozen=True)
class Generated:
    """What was made of ``protos/``, with the parameter ``grpc``; it can be imported."""

    folder: Path
    said: str

    def module(self, name: str) -> Any:
        """The generated module *name*, below ``codegen_cases``."""
        return importlib.import_module(f"codegen_cases.{name}")

    def text(self, name: str) -> str:
        """A generated file."""
        return (self.folder / name).read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def generated(protoc: Protoc, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Generated]:
    source, out = HERE / "protos", tmp_path_factory.mktemp("generated")
    done = protoc.generate(source, out, *protos(source), opt="grpc")
    assert done.returncode == 0, done.stderr
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(out))
        yield Generated(out, done.stderr)


@pytest.fixture
def run() -> Callable[[Callable[[], Awaitable[object]]], None]:
    """Run an async function on trio, not for ever."""

    def runner(main: Callable[[], Awaitable[object]]) -> None:
        async def bounded() -> None:
            with trio.fail_after(PATIENCE):
                await main()

        trio.run(bounded)

    return runner
