"""``wirecore info``: what is installed, where, and which codec is in use."""

from __future__ import annotations

import json
import re
from importlib import metadata
from typing import Final

import click

from .terminal import tell_facts, tell_json

#: Extras for those who work on wirecore itself.
_OF_DEVELOPERS: Final = frozenset({"bench", "docs", "release", "test"})


@click.command(
    epilog="""\b
Examples:
  wirecore info
  wirecore info --json
"""
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def info(*, as_json: bool) -> None:
    """Tell versions, backend and extras of this installation.

    It is what "python -m wirecore" tells, and which extras are installed: a
    report of a fault should begin with it.
    """
    # Late: it loads the compiled modules and OpenSSL.
    from wirecore.__main__ import facts

    found = list(facts())
    extras = missing_of_extras()
    if as_json:
        others = [value for label, value in found if label == "also"]
        told = {label: value for label, value in found if label != "also"}
        tell_json(json.dumps({**told, "also": others, "extras": extras}, indent=2))
        return
    for extra, missing in extras.items():
        state = f"needs {', '.join(missing)}" if missing else "installed"
        found.append(("extra", f"{extra}: {state}"))
    tell_facts(found)


def missing_of_extras() -> dict[str, list[str]]:
    """For each of wirecore's extras the distributions that it needs and that aren't installed."""
    try:
        about = metadata.distribution("wirecore")
    except metadata.PackageNotFoundError:  # a bare source tree
        return {}
    extras: dict[str, list[str]] = {}
    for requirement in about.requires or ():
        name = re.match(r"[\w.-]+", requirement)
        extra = re.search(r"""extra\s*==\s*["']([\w.-]+)["']""", requirement)
        if name is None or extra is None or extra[1] in _OF_DEVELOPERS:
            continue
        missing = extras.setdefault(extra[1], [])
        if not _installed(name[0]):
            missing.append(name[0])
    return extras


def _installed(distribution: str) -> bool:
    try:
        metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True
