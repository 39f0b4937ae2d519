"""What goes into a call and what comes out, for people: bytes, or JSON by a .proto file."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from .terminal import tell_bytes, tell_json


@dataclass(frozen=True)
class Codec:
    """The method's name on the wire; a request for it from what was given, its answer as JSON.

    *decode* is None where answers are bytes.
    """

    method: str
    encode: Callable[[bytes | None], bytes]
    decode: Callable[[bytes], str] | None


def raw_codec(method: str) -> Codec:
    """Bytes as they are."""
    return Codec(method, lambda data: data or b"", None)


def message_codec(name: str, proto: Path, includes: Sequence[Path]) -> Codec:
    """JSON for the method *name* of *proto*; raises Failure as :mod:`wirecore_cli.proto` does."""
    from .proto import load_schema

    method = load_schema(proto, includes).method(name)
    return Codec(
        method.name, lambda data: method.encode(b"{}" if data is None else data), method.decode
    )


@dataclass(frozen=True)
class Answers:
    """Prints answers, each as it comes."""

    codec: Codec
    as_hex: bool
    as_json: bool

    def show(self, payload: bytes, seconds: float) -> None:
        """Print *payload*, which came *seconds* after its request."""
        decode = self.codec.decode
        if self.as_json:
            told: dict[str, object] = {
                "method": self.codec.method,
                "milliseconds": round(seconds * 1000, 3),
            }
            if decode is None:
                told["reply_hex"] = payload.hex()
            else:
                told["reply"] = json.loads(decode(payload))
            click.echo(json.dumps(told))
        elif decode is not None:
            tell_json(decode(payload))
        else:
            tell_bytes(payload, as_hex=self.as_hex)
