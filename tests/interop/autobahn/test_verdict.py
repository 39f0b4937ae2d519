"""When a run of Autobahn|Testsuite counts as good. (The suite itself runs from ci/autobahn.)"""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture
def verdict(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """``verdict.py`` of this folder."""
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[3]))
    return import_module("tests.interop.autobahn.verdict")


def judge(
    verdict: ModuleType, folder: Path, behaviours: dict[str, tuple[str, str]], broken: str = ""
) -> Any:
    """The verdict on a report with these behaviours, message and closing; 1.1.1 is expected."""
    report = {
        case: {"behavior": message, "behaviorClose": closing, "reportfile": f"{case}.json"}
        for case, (message, closing) in behaviours.items()
    }
    (folder / "index.json").write_text(json.dumps({"wirecore-c": report}))
    return verdict.judge("server", "c", [folder], ["1.1.1"], broken)


def test_all_ok_is_good(verdict: ModuleType, tmp_path: Path) -> None:
    found = judge(verdict, tmp_path, {"1.1.1": ("OK", "OK")})
    assert found.good
    assert found.behaviour == {"OK": 1}


@pytest.mark.parametrize(
    ("case", "behaviour", "good"),
    [
        ("6.4.3", "NON-STRICT", True),
        ("3.2", "NON-STRICT", False),
        ("7.1.6", "INFORMATIONAL", True),
        ("7.13.1", "INFORMATIONAL", True),
        ("7.1.5", "INFORMATIONAL", False),
        ("2.1", "FAILED", False),
        ("12.1.1", "UNIMPLEMENTED", False),
    ],
)
def test_what_else_than_ok_is_right_depends_on_the_case(
    verdict: ModuleType, tmp_path: Path, case: str, behaviour: str, good: bool
) -> None:
    for results in ((behaviour, "OK"), ("OK", behaviour)):
        found = judge(verdict, tmp_path, {"1.1.1": ("OK", "OK"), case: results})
        assert found.good is good
        assert list(found.wrong) == ([] if good else [case])


def test_a_case_that_was_not_run_is_wrong(verdict: ModuleType, tmp_path: Path) -> None:
    found = judge(verdict, tmp_path, {})
    assert found.missing == ["1.1.1"]
    assert not found.good


def test_a_run_without_any_report_is_wrong(verdict: ModuleType, tmp_path: Path) -> None:
    assert not verdict.judge("server", "c", [tmp_path], ["1.1.1"], "ended with status 1").good


def test_a_run_that_broke_off_is_not_good_though_its_cases_are(
    verdict: ModuleType, tmp_path: Path
) -> None:
    assert not judge(verdict, tmp_path, {"1.1.1": ("OK", "OK")}, "ended with status 1").good


def test_the_suites_own_words_say_what_is_wrong(verdict: ModuleType, tmp_path: Path) -> None:
    details = {"result": "It hung.", "resultClose": "No close.", "expectation": "An echo."}
    (tmp_path / "1.1.1.json").write_text(json.dumps(details))
    found = judge(verdict, tmp_path, {"1.1.1": ("FAILED", "UNCLEAN")})
    assert found.wrong == {"1.1.1": "FAILED; It hung. No close. (expected: An echo.)"}
