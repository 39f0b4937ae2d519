"""How a command ends: its exit statuses, and errors that are told in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

import click


class Status(IntEnum):
    """What the process returns; the commands' help says the same."""

    #: The other end answered with an error, or something here went wrong.
    FAILED = 1
    #: The command line, or what it names, is wrong.
    USAGE = 2
    #: No connection: nobody there, a key that was refused, or lost before the answer.
    NO_CONNECTION = 3
    #: There is a connection, and no answer came in time.
    TIMEOUT = 4
    #: Stopped by Ctrl-C, as a shell says it.
    STOPPED = 130


class Failure(Exception):
    """A command can't go on; *text* says what happened and what to do."""

    def __init__(self, text: str, status: Status = Status.FAILED) -> None:
        super().__init__(text)
        self.status = status


def describe(error: BaseException) -> tuple[str, int]:
    """What to say of *error*, on one line, and the status to end with."""
    from wirecore.errors import printable

    text, status = _describe(error)
    # What a peer or a file says must neither make a second line nor steer the terminal.
    return printable(" ".join(text.split())), status


def _describe(error: BaseException) -> tuple[str, int]:
    from wirecore.errors import LocalError, WirecoreError

    match error:
        case Failure():
            return str(error), error.status
        case click.Abort() | KeyboardInterrupt():
            return "stopped", Status.STOPPED
        case BaseExceptionGroup() if error.split(KeyboardInterrupt)[1] is None:
            # Ctrl-C within a nursery comes out in a group.
            return "stopped", Status.STOPPED
        case click.UsageError():
            where = f" ({error.ctx.command_path} --help tells more)" if error.ctx else ""
            return error.format_message().rstrip(".") + where, Status.USAGE
        case click.ClickException():
            return error.format_message(), error.exit_code
        case LocalError():
            return str(error), Status.USAGE
        case WirecoreError() | OSError():
            return text_of(error), Status.FAILED
        case _:
            kind = type(error).__name__
            return (
                f"a fault of this command: {kind}: {error} (wirecore --debug shows where)",
                Status.FAILED,
            )


def text_of(error: Exception) -> str:
    """What *error* says, less the number of an OSError, which tells people nothing."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error) or type(error).__name__


@contextmanager
def told() -> Iterator[None]:
    """Within it, an answer that came is printed."""
    try:
        yield
    except BrokenPipeError:
        raise  # whoever reads it has had enough
    except OSError as error:
        # No failure of the call, which must not be repeated for it.
        raise Failure(f"the answer came, and can't be printed: {text_of(error)}") from error
