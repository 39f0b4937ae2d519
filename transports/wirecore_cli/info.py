"""``wirecore info``: what is installed, where, and which codec is in use."""

from __future__ import annotations

import json

import click

from .terminal import tell_facts, tell_json


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
    # Late: they load the compiled modules, OpenSSL, and what reads metadata.
    from wirecore.__main__ import facts

    from .extras import missing_of_extras

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
