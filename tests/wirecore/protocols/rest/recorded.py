"""What was recorded of the original; ``tests/vectors/README.md`` says how it is to be read."""

from __future__ import annotations

import base64
import json
import zlib
from functools import cache
from pathlib import Path
from typing import Any

from wirecore.protocols.rest.heads import RequestHead
from wirecore.protocols.rest.sequential_serving import read_request

PATH = Path(__file__).parents[3] / "vectors" / "rest.json"


@cache
def scenarios() -> dict[str, dict[str, Any]]:
    """All of them, by their names."""
    return {each["name"]: each for each in json.loads(PATH.read_text())["scenarios"]}


def group_of(name: str) -> str:
    """What kind of scenario it is: the first part of its name, of a handshake the first two."""
    first, *others = name.split("/")
    return f"{first}/{others[0]}" if first == "handshake" else first


def named(beginning: str) -> list[str]:
    """The names of those that begin so."""
    return [name for name in scenarios() if name.startswith(beginning)]


def payload(entry: dict[str, Any]) -> bytes:
    """The bytes of a message of a trace."""
    if "hex" in entry:
        return bytes.fromhex(entry["hex"])
    return zlib.decompress(base64.b64decode(entry["z"]))


def messages(name: str, direction: str | None = None, number: int = 1) -> list[bytes]:
    """The text and binary messages of a scenario's connection of this number, in order."""
    return [
        payload(entry)
        for entry in scenarios()[name]["trace"]
        if entry["kind"] in ("text", "binary")
        and entry["conn"] == number
        and direction in (None, entry["dir"])
    ]


def requests_of(name: str) -> tuple[list[bytes], list[bytes]]:
    """The requests and the messages of responses of a scenario, behind its handshake."""
    scenario = scenarios()[name]
    calls = "s2c" if scenario["serving"] == "client" else "c2s"
    kinds = ("text", "binary")
    trace = [each for each in scenario["trace"] if each["kind"] in kinds and each["conn"] == 1][3:]
    asked = [payload(each) for each in trace if each["dir"] == calls]
    return asked, [payload(each) for each in trace if each["dir"] != calls]


def as_recorded(message: bytes) -> tuple[RequestHead, bytes, dict[str, Any]]:
    """A recorded request as a user would make it."""
    head, body, trailers = read_request(message, 1 << 16)
    names = {name.lower() for name, _ in head.fields}
    if b"user-agent" not in names:  # set to nothing
        head = RequestHead(head.method, head.target, (*head.fields, (b"User-Agent", b"")))
    return head, body, {"trailers": trailers, "is_chunked": b"transfer-encoding" in names}
