"""Payloads on the command line and on standard output: in which encoding, and shown how."""

from __future__ import annotations

import json
from dataclasses import dataclass

import click

from wirecore.errors import InvalidMessage, printable
from wirecore_trio.webwire import Encoding, Payload, ServerSignal

from ..failures import Failure, Status
from ..given import read_given, read_hex
from ..terminal import tell_bytes
from .options import PayloadOptions


def read_payload(options: PayloadOptions) -> Payload:
    """What the command line says is to be sent. Raises UsageError, Failure."""
    given, digits = options["payload"], options["data_hex"]
    if given is not None and digits is not None:
        raise click.UsageError("the payload is given by PAYLOAD or --data-hex, not by both")
    if sum((options["utf16"], options["binary"], digits is not None)) > 1:
        raise click.UsageError("--utf16, --binary and --data-hex are alternatives")
    if digits is not None:
        return Payload(read_hex(digits, what="--data-hex"))
    data = read_given(given, what="PAYLOAD")
    if data is None and not options["utf16"]:
        return Payload()
    data = data or b""
    if options["binary"]:
        return Payload(data)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise Failure(
            "PAYLOAD isn't text in UTF-8: --binary sends bytes as they are", Status.USAGE
        ) from None
    return Payload.utf16(text) if options["utf16"] else Payload(data, Encoding.UTF8)


def _text(payload: Payload) -> str | None:
    """*payload* as text; None where it is none, or binary."""
    if payload.encoding is Encoding.BINARY:
        return None
    try:
        return payload.text
    except InvalidMessage:
        return None


def _fields(payload: Payload, called: str) -> dict[str, str]:
    """*payload* for JSON."""
    text = _text(payload)
    fields = {"encoding": payload.encoding.name.lower()}
    if text is None:
        return {**fields, f"{called}_hex": payload.data.hex()}
    return {**fields, called: text}


@dataclass(frozen=True)
class Replies:
    """Prints replies to the requests called *name*, each as it comes."""

    name: str
    as_hex: bool
    as_json: bool

    def show(self, payload: Payload, seconds: float) -> None:
        """Print *payload*, which came *seconds* after its request."""
        if self.as_json:
            told = {"name": self.name, "milliseconds": round(seconds * 1000, 3)}
            click.echo(json.dumps({**told, **_fields(payload, "reply")}))
            return
        data = payload.data
        if payload.encoding is Encoding.UTF16 and not self.as_hex:
            text = _text(payload)
            data = data if text is None else text.encode()
        tell_bytes(data, as_hex=self.as_hex)


@dataclass(frozen=True)
class Signals:
    """Prints signals, each on a line: name, tabulator, payload."""

    as_hex: bool
    as_json: bool

    def show(self, signal: ServerSignal[object]) -> None:
        """Print *signal*."""
        if self.as_json:
            click.echo(json.dumps({"name": signal.name, **_fields(signal.payload, "payload")}))
        else:
            click.echo(f"{printable(signal.name)}\t{self._shown(signal.payload)}")

    def _shown(self, payload: Payload) -> str:
        if not self.as_hex:
            try:
                return printable(payload.text)
            except InvalidMessage:
                pass
        return payload.data.hex()
