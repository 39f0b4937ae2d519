"""Starting the command: what it loads, what it lacks, and how it says that something is wrong."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import wirecore as library

if TYPE_CHECKING:
    from tests.cli.conftest import Wirecore

SCRIPT = Path(
    sysconfig.get_path("scripts"), "wirecore.exe" if sys.platform == "win32" else "wirecore"
)


def python(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-c", program], check=False, capture_output=True, text=True
    )


@pytest.mark.skipif(not SCRIPT.exists(), reason="wirecore isn't installed with its scripts")
def test_the_script_is_the_command() -> None:
    done = subprocess.run([SCRIPT, "--version"], check=True, capture_output=True, text=True)
    assert done.stdout == f"wirecore {library.__version__}\n"


@pytest.mark.parametrize("name", ["click", "rich"])
def test_without_the_extra_a_line_says_what_to_install(name: str) -> None:
    done = python(
        f"import sys; sys.modules[{name!r}] = None\n"
        "from wirecore_cli.__main__ import main\n"
        "sys.exit(main())"
    )
    says = f"wirecore: this command needs {name}: pip install 'wirecore[cli]'\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", says)


def test_help_loads_none_of_what_takes_time() -> None:
    done = python(
        "import sys\n"
        "from wirecore_cli.command import run\n"
        "assert run(['--help']) == 0\n"
        "assert run(['wsrpc', 'call', '--help']) == 0\n"
        "print(*sys.modules)"
    )
    modules = set(done.stdout.splitlines()[-1].split())
    loaded = {name.partition(".")[0] for name in modules}
    assert "click" in loaded
    assert not {"importlib.metadata", "subprocess"} & modules
    assert not {"cryptography", "google", "OpenSSL", "rich", "trio", "wirecore_trio"} & loaded


def test_a_group_alone_shows_its_help(wirecore: Wirecore) -> None:
    done = wirecore("wsrpc")
    assert (done.status, done.out) == (2, b"")
    assert done.err.startswith("Usage: wirecore wsrpc ")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["serv"], "No such command 'serv'"),
        (["keygen", "--fromat", "raw"], "No such option"),
        (["keygen", "--format", "der"], "Invalid value for '--format': 'der' is not one of"),
        (["wsrpc", "call", "127.0.0.1:1337"], "Missing argument 'METHOD'"),
        (["wsrpc", "call", "a:1", "M", "--timeout", "0"], "Invalid value for '--timeout'"),
    ],
)
def test_a_wrong_command_line_is_told_in_a_line(
    wirecore: Wirecore, arguments: list[str], says: str
) -> None:
    line = wirecore(*arguments).failed(2)
    assert line.startswith(says)
    assert " --help tells more)" in line


def test_debug_shows_where_an_error_comes_from(wirecore: Wirecore) -> None:
    done = wirecore("--debug", "keygen", "--public", "nowhere")
    assert done.status == 2
    assert done.err.startswith("Traceback (most recent call last):")
    assert done.err.endswith("\nwirecore: nowhere can't be read: No such file or directory\n")


def test_a_backend_that_is_none_is_told_in_a_line(wirecore: Wirecore) -> None:
    line = wirecore("info", WIRECORE_BACKEND="fast").failed(1)
    assert line == "a backend is 'c' or 'py', not 'fast' (is WIRECORE_BACKEND right?)"


@pytest.mark.skipif(sys.platform == "win32", reason="pipes break otherwise there")
def test_a_reader_who_has_read_enough_hears_no_complaint(wirecore: Wirecore) -> None:
    process = wirecore.run("info").process
    assert process.stdout is not None
    process.stdout.close()
    process.wait()
    assert process.stderr is not None
    assert process.stderr.read() == b""


@pytest.mark.skipif(shutil.which("bash") is None, reason="the completion is for bash")
def test_a_shell_completes_names(wirecore: Wirecore) -> None:
    done = wirecore(
        "", _WIRECORE_COMPLETE="bash_complete", COMP_WORDS="wirecore wsrpc c", COMP_CWORD="2"
    )
    assert done.text == "plain,call\n"
