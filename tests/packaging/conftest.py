"""What the packaging tests share: a source distribution, wheels of it, new environments.

All of it is made in temporary folders, from the tree that these tests lie in.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


class CommandFailed(AssertionError):
    """A command failed; its whole output is the message."""


def run(*command: str | Path, cwd: Path, **env: str) -> str:
    """Runs *command* in *cwd* and gives its output; raises CommandFailed where it fails.

    *env* is added to the environment, less what would choose a build, a backend or a path.
    """
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("WIRECORE_", "PYTHON"))}
    done = subprocess.run(
        [str(part) for part in command],
        check=False,
        cwd=cwd,
        env=kept | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"} | env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise CommandFailed(done.stdout)
    return done.stdout


@dataclass(frozen=True)
class Environment:
    """A new environment, and an empty folder to run from: nothing is importable by accident."""

    python: Path
    empty: Path

    def run(self, *arguments: str | Path, **env: str) -> str:
        """The output of this environment's Python."""
        return run(self.python, *arguments, cwd=self.empty, **env)

    def script(self, name: str, *arguments: str) -> str:
        """The output of the script *name* of this environment."""
        return run(self.python.with_name(name), *arguments, cwd=self.empty)

    def pip(self, *arguments: str | Path, **env: str) -> str:
        """The output of this environment's pip."""
        return self.run("-m", "pip", *arguments, **env)


class Workshop:
    """Makes distributions of the tree at *root*, and environments to install them in."""

    def __init__(self, root: Path, temporary: pytest.TempPathFactory) -> None:
        self.root = root
        self._temporary = temporary

    def folder(self, name: str) -> Path:
        """A new empty folder."""
        return self._temporary.mktemp(name)

    @cached_property
    def sdist(self) -> Path:
        """A source distribution of the tree."""
        out = self.folder("sdist")
        run(sys.executable, "-m", "build", "--sdist", "--outdir", out, self.root, cwd=out)
        return next(out.glob("*.tar.gz"))

    def environment(self) -> Environment:
        """A new environment with nothing but pip."""
        folder = self.folder("environment")
        venv.create(folder / "venv", with_pip=True, symlinks=os.name != "nt")
        (folder / "empty").mkdir()
        python = "Scripts/python.exe" if os.name == "nt" else "bin/python"
        return Environment(folder / "venv" / python, folder / "empty")

    def wheel(self, *options: str, builder: Path | None = None, **env: str) -> Path:
        """A wheel of the source distribution, made by pip with *options* in *env*.

        *builder* is the interpreter that builds, where it isn't the one of the tests.
        """
        out = self.folder("wheel")
        command = (builder or sys.executable, "-m", "pip", "wheel", "--no-deps", *options)
        run(*command, "--wheel-dir", out, self.sdist, cwd=out, **env)
        return next(out.glob("*.whl"))

    def install(self, wheel: Path) -> Environment:
        """A new environment with *wheel* and all that it depends on."""
        environment = self.environment()
        environment.pip("install", "--quiet", wheel)
        return environment


@pytest.fixture(scope="session")
def root() -> Path:
    """The tree that is packaged."""
    return ROOT


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """One workshop for all packaging tests: what was built once is used again."""
    return Workshop(ROOT, tmp_path_factory)
