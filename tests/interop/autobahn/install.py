"""Autobahn|Testsuite's environment: it needs Python 2.7, so it gets one of its own.

It lies in a cache folder that git ignores.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

VERSION = "25.10.1"
VIRTUALENV = "virtualenv==20.15.1"  # the last one that makes environments for Python 2.7

ROOT = Path(__file__).resolve().parents[3]
CACHE = ROOT / ".cache" / "autobahn"

#: Prints the ids of the cases that fit the patterns given, in their order.
CASE_IDS = """
import json, sys
from autobahntestsuite.caseset import CaseSet
from autobahntestsuite.case import Case, Cases, CaseCategories, CaseSubCategories, \\
    CaseSetname, CaseBasename
cases = CaseSet(CaseSetname, CaseBasename, Cases, CaseCategories, CaseSubCategories)
print(json.dumps(cases.parseSpecCases({'cases': sys.argv[1:]})))
"""


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


def install(say: Callable[[str], object]) -> str:
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
    pip = ["-m", "pip", "install", "-q"]
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
