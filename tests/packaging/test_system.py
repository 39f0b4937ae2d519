"""ci/system: what it installs, and what it says where it can't."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

bash = shutil.which("bash")
pytestmark = pytest.mark.skipif(bash is None or os.name == "nt", reason="the scripts need bash")

#: What the script itself runs.
_BASIC = ("bash", "basename", "dirname", "env", "sed")

#: Stands in for apt-get: notes what it is asked for, and "installs" all that it is told to.
APT_GET = """#!/bin/sh
echo "$*" >> "$ROOM/asked"
[ "$1" = update ] && exit
for package in "$@"; do
    case $package in -* | install) ;; *) cp "$ROOM/bin/tool" "$ROOM/bin/$package" ;; esac
done
"""


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """A folder whose ``bin`` is all that the script finds; its user is root there."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in _BASIC:
        found = shutil.which(name)
        assert found
        (programs / name).symlink_to(found)
    cp = shutil.which("cp")
    assert cp
    (programs / "cp").symlink_to(cp)
    add(tmp_path, "tool")
    add(tmp_path, "id", "echo 0")
    return tmp_path


def add(room: Path, name: str, does: str = "exit 0") -> None:
    """A program that *does* this."""
    program = room / "bin" / name
    program.write_text(does if does.startswith("#!") else f"#!/bin/sh\n{does}\n")
    program.chmod(0o755)


def run(root: Path, room: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": str(room / "bin"), "ROOM": str(room)}
    return subprocess.run(
        [root / "ci" / "system"], check=False, env=environment, capture_output=True, text=True
    )


def test_nothing_is_done_where_all_is_there(root: Path, room: Path) -> None:
    for name in ("redis-server", "chromium"):
        add(room, name)
    done = run(root, room)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_is_missing_is_installed_once(root: Path, room: Path) -> None:
    add(room, "apt-get", APT_GET)
    add(room, "chromium")
    for _ in range(2):
        done = run(root, room)
        assert (done.returncode, done.stderr) == (0, "")
    asked = (room / "asked").read_text().splitlines()
    assert asked == ["update -qq", "install -y -qq --no-install-recommends redis-server"]


def test_without_apt_get_it_says_what_to_install(root: Path, room: Path) -> None:
    done = run(root, room)
    assert done.returncode == 1
    assert "install what gives these commands: redis-server chromium" in done.stderr


def test_who_may_not_install_is_told_the_command(root: Path, room: Path) -> None:
    add(room, "apt-get", APT_GET)
    add(room, "id", "echo 1000")
    done = run(root, room)
    assert done.returncode == 1
    assert "as root: apt-get install redis-server chromium" in done.stderr
    assert not (room / "asked").exists()


@pytest.mark.parametrize(
    ("does", "said"),
    [
        ('[ "$1" = install ]', "apt-get update failed"),
        ('[ "$1" = update ]', "apt-get could not install"),
        ("exit 0", "the command is still missing"),
    ],
)
def test_a_failure_of_apt_get_is_told(root: Path, room: Path, does: str, said: str) -> None:
    add(room, "apt-get", does)
    done = run(root, room)
    assert done.returncode == 1
    assert said in done.stderr
