"""Runs Autobahn|Testsuite against wirecore: both roles, both backends; see ``ci/autobahn``.

Exit status 0 only if every case is right: OK, or what ``verdict.py`` tolerates.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from tests.interop.autobahn import install, suite, verdict

QUICK = ("1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*")
SLOW = ("9.*", "12.*", "13.*")

#: Seconds between two lines of progress where they aren't shown on a terminal.
TELL_EVERY = 10.0

ROLES = {"server": suite.Run.server, "client": suite.Run.client}


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="ci/autobahn", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="cases 1 to 7 and 10 alone")
    parser.add_argument(
        "--cases", metavar="PATTERN", action="append", help="only these cases, say 12.3.*"
    )
    parser.add_argument("--role", choices=tuple(ROLES), action="append", help="only this role")
    parser.add_argument("--backend", choices=("c", "py"), action="append", help="only this one")
    parser.add_argument(
        "--report",
        metavar="FILE",
        type=Path,
        default=install.CACHE / "report.json",
        help="where the summary is kept as JSON (default: %(default)s)",
    )
    return parser.parse_args(arguments)


def tell(text: str, *, end: str = "\n") -> None:
    """Progress, and what keeps the suite from running: to standard error, at once."""
    sys.stderr.write(text + end)
    sys.stderr.flush()


class Progress:
    """One line that tells how far a run is; on a terminal it overwrites itself."""

    def __init__(self, title: str, total: int) -> None:
        self._title, self._total = title, total
        self._done = 0
        self._began = self._told = time.monotonic()
        self._terminal = sys.stderr.isatty()

    def __call__(self, line: str) -> None:
        self._done += 1
        if self._terminal:
            tell(f"\r{self}", end="")
        elif time.monotonic() - self._told > TELL_EVERY:
            self._told = time.monotonic()
            tell(str(self))

    def __str__(self) -> str:
        seconds = time.monotonic() - self._began
        return f"{self._title}: {self._done} of {self._total} cases, {seconds:.0f} s"

    def finish(self) -> None:
        """Ends the line."""
        tell(f"\r{self}" if self._terminal else str(self))


def run_one(python2: str, role: str, backend: str, patterns: Sequence[str]) -> verdict.Verdict:
    """One role on one backend: the suite once for each pattern, for it reports at its end only."""
    expected = install.case_ids(python2, patterns)
    progress = Progress(f"{role} role, backend {backend}", len(expected))
    folders, broken = [], []
    for pattern in patterns:
        folders.append(suite.empty_folder(role, backend, pattern))
        try:
            ROLES[role](suite.Run(python2, pattern, backend, folders[-1]), progress)
        except suite.Silent as error:
            broken.append(f"{pattern}: {error}")
    progress.finish()
    return verdict.judge(role, backend, folders, expected, "; ".join(broken))


def table(verdicts: Sequence[verdict.Verdict]) -> Iterator[str]:
    """How often each behaviour, then every case that is wrong, line by line."""
    names = sorted({name for each in verdicts for name in (*each.behaviour, *each.closing)})
    yield f"{'':<24}" + "".join(f"{name:>16}" for name in names)
    for each in verdicts:
        for what, counts in (("messages", each.behaviour), ("closing", each.closing)):
            figures = "".join(f"{counts.get(name, 0):>16}" for name in names)
            yield f"{each.role:<8}{each.backend:<4}{what:<12}{figures}"
    for each in verdicts:
        yield f"{each.role} {each.backend}: {len(each.wrong)} of {each.cases} cases are wrong"
        if each.broken or each.missing:
            yield f"  {len(each.missing)} cases were not run; {each.broken}"
        for case, why in sorted(each.wrong.items(), key=lambda item: _numbers(item[0])):
            yield f"  {case}: {why}"


def _numbers(case: str) -> list[int]:
    """``12.1.10`` sorts behind ``12.1.9``."""
    return [int(number) for number in case.split(".")]


def main() -> int:
    """Runs what the command line asks for; 0, 1 (a case is wrong) or 2 (no suite here)."""
    options = parse()
    patterns = options.cases or (QUICK if options.quick else QUICK + SLOW)
    try:
        python2 = install.install(tell)
        verdicts = [
            run_one(python2, role, backend, patterns)
            for backend in options.backend or ("c", "py")
            for role in options.role or ROLES
        ]
    except install.SuiteUnavailable as error:
        tell(f"error: {error}")
        return 2
    sys.stdout.writelines(f"{line}\n" for line in table(verdicts))
    options.report.write_text(json.dumps([asdict(each) for each in verdicts], indent=1) + "\n")
    tell(f"summary: {options.report}; the suite's own reports: {install.CACHE / 'reports'}")
    return 0 if all(each.good for each in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
