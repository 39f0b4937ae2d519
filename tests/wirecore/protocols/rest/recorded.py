"""What was recorded of the original; ``tests/vectors/README.md`` says how it is to be read."""

from __future__ import annotations

import base64
import json
import zlib
from functools import cache
from pathlib import Path
from typing import Any

PATH = Path(__file__).parents[3] / "vectors" / "rest.json"


@cache
def scenarios() -> dict[str, dict[str, Any]]:
    """All of them, by their names."""
    return {each["name"]: each for each in json.loads(PATH.read_text())["scenarios"]}


def named(beginning: str) -> list[str]:
    """The names of those that begin so."""
    return [name for name in scenarios() if name.startswith(beginning)]


def payload(entry: dict[str, Any]) -> bytes:
    """The bytes of a message of a trace."""
    if "hex" in entry:
        return bytes.fromhex(entry["hex"])
    return zlib.decompress(base64.b64decode(entry["z"]))


def messages(name: str, direction: str | None = None) -> list[bytes]:
    """The text and binary messages of a scenario's first connection, in order."""
    return [
        payload(entry)
        for entry in scenarios()[name]["trace"]
        if entry["kind"] in ("text", "binary")
        and entry["conn"] == 1
        and direction in (None, entry["dir"])
    ]
