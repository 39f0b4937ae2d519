"""Autobahn|Testsuite itself: its environment, and one run of it.

It needs Python 2.7, so it gets an environment of its own, in a cache folder that git ignores.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

VERSION = "25.10.1"
VIRTUALENV = "virtualenv==20.15.1"  # the last one that makes environments for Python 2.7

ROOT = Path(__file__).resolve().parents[3]
CACHE = ROOT / ".cache" / "autobahn"
ENDPOINTS = Path(__file__).resolve().parent

#: Seconds that an end may say nothing: cases that test limits take some.
SILENCE = 120.0

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

#: Prints the ids of the cases that fit the patterns given, in their order.
CASE_IDS = """
import json, sys
from autobahntestsuite.caseset import CaseSet
from autobahntestsuite.case import Case, Cases, CaseCategories, CaseSubCategories, \\
    CaseSetname, CaseBasename
cases = CaseSet(CaseSetname, CaseBasename, Cases, CaseCategories, CaseSubCategories)
print(json.dumps(cases.parseSpecCases({'cases': sys.argv[1:]})))
"""


#: Shows one line of progress.
Say: TypeAlias = Callable[[str], None]


class SuiteUnavailable(Exception):
    """The suite can't be installed or started here."""


def find_python2() -> str:
    """The command of a Python 2.7: ``PYTHON2``, or python2.7 on the path, or pyenv's.

    Raises SuiteUnavailable.
    """
    named = os.environ.get("PYTHON2")
    candidates = [named] if named else ["python2.7", "python2"]
    if not named and shutil.which("pyenv"):
        done = subprocess.run(["pyenv", "root"], capture_output=True, text=True, check=False)
        found = sorted(Path(done.stdout.strip()).glob("versions/2.7.*/bin/python2.7"))
        candidates += [str(path) for path in found]
    for candidate in candidates:
        with suppress(OSError):
            asked = subprocess.run(
                [candidate, "-c", "import sys; sys.exit(sys.version_info[:2] != (2, 7))"],
                capture_output=True,
                check=False,
            )
            if asked.returncode == 0:
                return candidate
    raise SuiteUnavailable(
        f"Autobahn|Testsuite needs Python 2.7, and none of {', '.join(candidates)} is one: "
        "install it (pyenv install 2.7.18) or name it with PYTHON2="
    )


def install(say: Say) -> str:
    """Makes the environment where it isn't there yet; the path of its interpreter.

    Raises SuiteUnavailable.
    """
    environment = CACHE / "venv"
    python = environment / "bin" / "python"
    stamp = environment / f"autobahntestsuite-{VERSION}"
    if stamp.exists():
        return str(python)
    CACHE.mkdir(parents=True, exist_ok=True)
    (CACHE / ".gitignore").write_text("*\n")
    python2 = find_python2()
    bootstrap = CACHE / "bootstrap"
    say(f"making an environment for Autobahn|Testsuite {VERSION} with {python2}")
    pip = ["-m", "pip", "install", "-q", "--no-python-version-warning"]
    _run([python2, *pip, "--target", str(bootstrap), "--upgrade", VIRTUALENV])
    _run([python2, "-m", "virtualenv", "-q", str(environment)], PYTHONPATH=str(bootstrap))
    _run([str(python), *pip, f"autobahntestsuite=={VERSION}"])
    stamp.touch()
    return str(python)


def _run(command: Sequence[str], **variables: str) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **variables}
    )
    if done.returncode != 0:
        complaint = (done.stderr or done.stdout).strip()[-2000:]
        raise SuiteUnavailable(f"{' '.join(command[:6])} ... failed:\n{complaint}")
    return done.stdout


def case_ids(python2: str, patterns: Sequence[str]) -> list[str]:
    """The cases that fit *patterns*, say ``6.*``, in the suite's order."""
    found: list[str] = json.loads(_run([python2, "-c", CASE_IDS, *patterns]))
    return found


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


class Silent(Exception):
    """One end of a run ended before its time, or said nothing for too long.

    What it wrote to standard error is in the run's folder.
    """


def run_server(python2: str, patterns: Sequence[str], backend: str, folder: Path, say: Say) -> None:
    """The suite's fuzzing client against our echo server; its report goes to *folder*.

    Raises Silent.
    """
    server = [sys.executable, "-u", str(ENDPOINTS / "echo_server.py")]
    with _started(server, backend, folder / "endpoint.log") as endpoint:
        assert endpoint.stdout is not None
        url = f"ws://127.0.0.1:{int(endpoint.stdout.readline() or 0)}"
        tested = {"agent": f"wirecore-{backend}", "url": url}
        spec = {"servers": [tested], "cases": list(patterns)}
        command = _wstest(python2, "fuzzingclient", folder, spec)
        with _started(command, backend, folder / "suite.log") as suite:
            _follow(suite, say)


def run_client(python2: str, patterns: Sequence[str], backend: str, folder: Path, say: Say) -> None:
    """The suite's fuzzing server against our echo client; its report goes to *folder*.

    Raises Silent.
    """
    url = f"ws://127.0.0.1:{free_port()}"
    command = _wstest(python2, "fuzzingserver", folder, {"url": url, "cases": list(patterns)})
    client = [sys.executable, "-u", str(ENDPOINTS / "echo_client.py"), url, f"wirecore-{backend}"]
    with _started(command, backend, folder / "suite.log") as suite:
        _wait_for(suite, "listening")
        # Nobody reads on: what it says must not fill the pipe and stop it.
        threading.Thread(target=_drain, args=(suite,), daemon=True).start()
        with _started(client, backend, folder / "endpoint.log") as endpoint:
            _follow(endpoint, say)


def empty_folder(role: str, backend: str) -> Path:
    """Where the report of a run and the complaints of its processes go."""
    folder = CACHE / "reports" / f"{role}-{backend}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _wstest(python2: str, mode: str, folder: Path, spec: dict[str, object]) -> list[str]:
    """The suite's command in *mode*; without its web server (port 0)."""
    path = folder / "spec.json"
    path.write_text(json.dumps({**spec, "outdir": str(folder)}))
    return [python2, "-u", "-c", WSTEST, "-m", mode, "-s", str(path), "-u", "0"]


@contextmanager
def _started(
    command: Sequence[str], backend: str, complaints: Path
) -> Iterator[subprocess.Popen[str]]:
    """A process that is killed on leaving, if it is still there; its stderr in *complaints*."""
    with (
        complaints.open("w") as log,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            cwd=CACHE,
            env={**os.environ, "WIRECORE_BACKEND": backend},
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def _lines(process: subprocess.Popen[str]) -> Iterator[str]:
    """What the process says, line by line; raises Silent when nothing comes for too long."""
    assert process.stdout is not None
    last = "nothing"
    watchdog = threading.Timer(SILENCE, process.kill)
    watchdog.start()
    try:
        for line in process.stdout:
            watchdog.cancel()
            last = line.strip()
            yield last
            watchdog = threading.Timer(SILENCE, process.kill)
            watchdog.start()
    finally:
        watchdog.cancel()
    if process.wait() != 0:
        raise Silent(f"ended with status {process.returncode}; the last it said: {last}")


def _wait_for(process: subprocess.Popen[str], word: str) -> None:
    for line in _lines(process):
        if line.startswith(word):
            return
    raise Silent(f"ended and never said {word!r}")


def _drain(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    with suppress(ValueError):  # closed, since the run is over
        for _ in process.stdout:
            pass


def _follow(process: subprocess.Popen[str], say: Say) -> None:
    """Tells every case that *process* names, until its end."""
    for line in _lines(process):
        if line.startswith(("Running test case", "case ")):
            say(line)
