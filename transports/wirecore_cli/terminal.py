"""What a terminal gets that a pipe doesn't: colours. Piped output is plain, and stays as it is."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console


def console(*, err: bool = False) -> Console | None:
    """rich's console for standard output or error; None where plain text is due.

    That is where it is no terminal, or a dumb one, and where NO_COLOR is set (no-color.org).
    """
    stream = sys.stderr if err else sys.stdout
    if not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return None
    # Late: it takes longer to load than most commands take.
    from rich.console import Console

    return Console(file=stream, highlight=False, soft_wrap=True)


def tell_facts(facts: Sequence[tuple[str, str]]) -> None:
    """Print a label and a value a line."""
    coloured = console()
    if coloured is None:
        for label, value in facts:
            click.echo(f"{label:13}{value}")
        return
    from rich.text import Text

    for label, value in facts:
        coloured.print(Text.assemble((f"{label:13}", "bold cyan"), value))


def tell_json(text: str) -> None:
    """Print *text*, which is JSON."""
    coloured = console()
    if coloured is None:
        click.echo(text)
        return
    from rich.json import JSON

    # Escaped as it came: the characters behind the escapes could steer the terminal.
    coloured.print(JSON(text, ensure_ascii=True))


def tell_bytes(payload: bytes, *, as_hex: bool) -> None:
    """Print the bytes of an answer: through a pipe as they are, or *as_hex*, in hex digits."""
    if as_hex:
        click.echo(payload.hex())
    elif sys.stdout.isatty():
        _show_on_terminal(payload)
    else:
        click.echo(payload, nl=False)


def _show_on_terminal(payload: bytes) -> None:
    """Text as text; other bytes could steer the terminal, or say nothing."""
    from wirecore.errors import printable

    try:
        lines = payload.decode().split("\n")
    except UnicodeDecodeError:
        lines = ["\0"]
    if all(printable(line) == line for line in lines):
        click.echo("\n".join(lines))
    else:
        tell_note("the answer isn't text; its bytes in hex (through a pipe they come as they are):")
        click.echo(payload.hex())


def tell_note(text: str) -> None:
    """Print a remark that isn't the command's result: on standard error."""
    click.echo(text, err=True)


def tell_failure(text: str) -> None:
    """Print why the command ends."""
    coloured = console(err=True)
    if coloured is None:
        click.echo(f"wirecore: {text}", err=True)
        return
    from rich.text import Text

    coloured.print(Text.assemble(("wirecore:", "bold red"), " ", text))
