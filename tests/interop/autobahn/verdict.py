"""Judges the report of one run of Autobahn|Testsuite."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

#: What else than OK is right, and in which cases. 6.4: "fail fast on invalid UTF-8" may be found
#: with the frame that ends it. 7.1.6 and 7.13: the suite itself only tells what it saw.
TOLERATED = {"NON-STRICT": ("6.4.*",), "INFORMATIONAL": ("7.1.6", "7.13.*")}


@dataclass(frozen=True)
class Verdict:
    """What came of one role on one backend: how often each behaviour, and what is wrong where.

    *missing*: cases that weren't run. *broken*, where it isn't empty, says why.
    """

    role: str
    backend: str
    cases: int
    behaviour: dict[str, int]
    closing: dict[str, int]
    wrong: dict[str, str]
    missing: list[str]
    broken: str

    @property
    def good(self) -> bool:
        """Whether all cases were run and all are right."""
        return not (self.wrong or self.missing or self.broken)


def tolerated(behaviour: str, case: str) -> bool:
    """Whether *behaviour* is right for *case*."""
    if behaviour == "OK":
        return True
    return any(fnmatchcase(case, pattern) for pattern in TOLERATED.get(behaviour, ()))


def judge(
    role: str, backend: str, folders: Sequence[Path], expected: Sequence[str], broken: str
) -> Verdict:
    """Reads the suite's reports in *folders*; a case of *expected* in none of them is wrong."""
    report: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    for folder in folders:
        index = folder / "index.json"
        if not index.exists():
            continue
        for case, result in json.loads(index.read_text()).get(f"wirecore-{backend}", {}).items():
            report[case] = result
            problem = _problem(case, result)
            if problem:
                wrong[case] = f"{problem}; {_details(folder / result['reportfile'])}"
    return Verdict(
        role=role,
        backend=backend,
        cases=len(expected),
        behaviour=dict(Counter(result["behavior"] for result in report.values())),
        closing=dict(Counter(result["behaviorClose"] for result in report.values())),
        wrong=wrong,
        missing=[case for case in expected if case not in report],
        broken=broken,
    )


def _problem(case: str, result: dict[str, Any]) -> str:
    """What is wrong with *result*; "" where nothing is."""
    if not tolerated(result["behavior"], case):
        return str(result["behavior"])
    if not tolerated(result["behaviorClose"], case):
        return f"closing: {result['behaviorClose']}"
    return ""


def _details(path: Path) -> str:
    """What the suite says of one case, from its own report."""
    if not path.exists():
        return "no details"
    found = json.loads(path.read_text(errors="replace"))
    return f"{found['result']} {found['resultClose']} (expected: {found['expectation']})"
