"""What became of the compiled modules when this installation was built.

The build leaves a small JSON file beside this one; here it is read and put into words.
"""

from __future__ import annotations

import json
import sysconfig
from pathlib import Path
from typing import Final, TypedDict

RECORD: Final = Path(__file__).with_name("_build_result.json")


class BuildResult(TypedDict):
    """The record of one build.

    *mode* is the WIRECORE_BUILD it ran under, *compiled* whether the modules were made, *reason*
    why not ("" where they were, or where nobody asked for them), *built_for* the ABI tag of the
    interpreter that built.
    """

    mode: str
    compiled: bool
    reason: str
    built_for: str


def read_result(record: Path = RECORD) -> BuildResult | None:
    """The record of the build, or None where no build was ever run (a bare source tree).

    Raises ValueError where the file holds something else than a record.
    """
    try:
        text = record.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    found = json.loads(text)
    if not isinstance(found, dict) or found.keys() != BuildResult.__annotations__.keys():
        raise ValueError(f"{record.name} isn't a record of a build")
    return BuildResult(
        mode=str(found["mode"]),
        compiled=bool(found["compiled"]),
        reason=str(found["reason"]),
        built_for=str(found["built_for"]),
    )


def explain(record: Path = RECORD) -> str:
    """Why the compiled modules aren't usable here, in words, from the record of the build."""
    try:
        result = read_result(record)
    except ValueError as error:
        return f"the compiled modules don't load, and the record of the build is damaged: {error}"
    if result is None:
        return (
            "the compiled modules were never built: this is a source tree in which no build was run"
        )
    if result["mode"] == "pure":
        return "the compiled modules were left out on purpose (built with WIRECORE_BUILD=pure)"
    if not result["compiled"]:
        return f"compiling failed when this installation was built: {result['reason']}"
    here = sysconfig.get_config_var("SOABI") or sysconfig.get_platform()
    if result["built_for"] != here:
        return f"the compiled modules are for {result['built_for']}, this interpreter is {here}"
    return "the compiled modules were built, but don't load"
