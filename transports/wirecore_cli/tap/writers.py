"""Records as text: a line each for people, or a line of JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from wirecore.errors import printable

from .records import BAD, Record
from .showing import size_of

if TYPE_CHECKING:
    from rich.console import Console

#: Makes bytes of records.
Write: TypeAlias = Callable[[Sequence[Record]], bytes]

_ARROWS: Final = {"client": "\N{RIGHTWARDS ARROW}", "server": "\N{LEFTWARDS ARROW}", None: " "}
_PLAIN_ARROWS: Final = {"client": "->", "server": "<-", None: "  "}

#: How those of a kind look on a terminal.
_COLOURS: Final = {"client": "green", "server": "cyan", None: "dim"}


def json_lines(records: Sequence[Record]) -> bytes:
    """An object a line."""
    # In ASCII: what a reader's terminal makes of other characters is nobody's guess.
    lines = [json.dumps(each.as_json()) + "\n" for each in records]
    return "".join(lines).encode("ascii")


class Lines:
    """Makes a line of each record, or with *verbose* several.

    *console*: rich's, for colours; None for plain text. *encoding*: what the output takes.
    """

    def __init__(self, *, verbose: bool, console: Console | None, encoding: str) -> None:
        self._verbose = verbose
        self._console = console
        self._encoding = encoding
        try:
            "".join(each for each in _ARROWS.values()).encode(encoding)
            self._arrows = _ARROWS
        except UnicodeEncodeError:
            self._arrows = _PLAIN_ARROWS

    def __call__(self, records: Sequence[Record]) -> bytes:
        """The lines of *records*."""
        make = self._plain if self._console is None else self._coloured
        return "".join(map(make, records)).encode(self._encoding, "backslashreplace")

    def _parts(self, record: Record) -> tuple[str, str, str, str, str]:
        told = record.told
        number = f"#{record.connection}" if record.connection else ""
        begin = f"{record.seconds:9.3f}  {number:5}"
        arrow = f"{self._arrows[record.sender]} {record.protocol:10}"
        size = "" if told.size is None else size_of(told.size)
        took = "" if told.took is None else f"  {told.took * 1000:.2f} ms"
        # Whatever made it, nothing in it steers a terminal, or makes a line.
        return begin, arrow, f"{told.kind:14}", f"{size:>8}  ", printable(told.summary) + took

    def _plain(self, record: Record) -> str:
        return "".join(self._parts(record)).rstrip() + "\n" + self._details(record)

    def _coloured(self, record: Record) -> str:
        from rich.text import Text

        begin, arrow, kind, size, rest = self._parts(record)
        colour = _COLOURS[record.sender]
        text = Text.assemble(
            (begin, "dim"),
            (arrow, colour),
            (kind, "bold red" if record.told.kind in BAD else f"bold {colour}"),
            (size, "dim"),
            rest,
        )
        details = self._details(record)
        assert self._console is not None
        with self._console.capture() as capture:
            self._console.print(text)
            if details:
                self._console.print(Text(details.rstrip("\n"), style="dim"))
        return capture.get()

    def _details(self, record: Record) -> str:
        if not self._verbose:
            return ""
        lines: list[str] = []
        for name, value in record.told.fields.items():
            if name == "headers" or name == "trailers":
                lines += [f"{each}: {text}" for each, text in value]
            else:
                lines += _verbose(name, value)
        return "".join(f"{'':17}{printable(line)}\n" for line in lines)


def _verbose(name: str, value: Any) -> list[str]:
    if isinstance(value, str):
        first, *rest = value.split("\n")
        return [f"{name}: {first.rstrip()}", *(f"  {line.rstrip()}" for line in rest)]
    if isinstance(value, dict | list) and value:
        first, *rest = json.dumps(value, indent=2, ensure_ascii=False).split("\n")
        return [f"{name}: {first}", *rest]
    return [f"{name}: {json.dumps(value)}"]
