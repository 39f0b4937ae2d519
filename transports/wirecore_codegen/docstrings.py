"""Comments of .proto files as docstrings."""

from __future__ import annotations

import textwrap


def comment_text(leading: str, trailing: str) -> str:
    """The text of what stands before and behind a definition, as protoc gives it.

    protoc has taken off the slashes and stars; the blank behind them is still there.
    """
    parts = [_clean(part) for part in (leading, trailing)]
    return "\n\n".join(part for part in parts if part)


def _clean(comment: str) -> str:
    lines = [line.rstrip() for line in comment.expandtabs(4).split("\n")]
    return textwrap.dedent("\n".join(lines)).strip("\n").strip()


def docstring(text: str, indent: int) -> list[str]:
    """The lines of a docstring that says *text*, *indent* blanks deep."""
    margin = " " * indent
    first, *rest = (_escaped(line) for line in text.split("\n"))
    if not rest:
        if first.endswith('"'):  # it would end the docstring too early
            first = first[:-1] + '\\"'
        return [f'{margin}"""{first}"""']
    return [
        f'{margin}"""{first}',
        *(f"{margin}{line}".rstrip(" ") for line in rest),
        f'{margin}"""',
    ]


def _escaped(line: str) -> str:
    return one_line(line.replace("\\", "\\\\").replace('"""', '\\"\\"\\"'))


def one_line(text: str) -> str:
    """*text* with escapes for all that isn't printable.

    A lone carriage return ends a line for Python, and marks of direction show readers other code
    than there is.
    """
    return "".join(mark if mark.isprintable() else _escape(mark) for mark in text)


def _escape(mark: str) -> str:
    number = ord(mark)
    if number > 0xFFFF:
        return f"\\U{number:08x}"
    return f"\\u{number:04x}" if number > 0xFF else f"\\x{number:02x}"
