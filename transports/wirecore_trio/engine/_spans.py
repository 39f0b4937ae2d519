"""The spans of an engine; without OpenTelemetry, which makes others, nothing.

Names, parents, attributes and events are those of the original.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Final

Attributes = Mapping[str, str | int | bool]


class Span:
    """A span that nobody sees. Entered by who makes it."""

    __slots__ = ()

    def __enter__(self) -> Span:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """It is over."""

    def event(self, name: str, **attributes: str | int) -> None:
        """Something happened; *attributes* are of the engine's."""

    def message(self, opcode: int, size: int) -> None:
        """A message was received; -1 and 0: none was."""

    def record(self, error: BaseException) -> None:
        """*error* came up, and the span goes on."""

    def failed(self, error: BaseException) -> None:
        """It came to nothing, because of *error*."""

    def interrupted(self) -> None:
        """It was given up, and nothing came of it that could be told."""

    def ok(self) -> None:
        """It came to a good end."""

    @property
    def context(self) -> Any:
        """What a span below it, in another task, has as its parent."""
        return None


_NOTHING: Final = Span()


class Spans:
    """Makes spans that nobody sees."""

    #: Whether anybody sees them.
    seen: bool = False

    def engine(
        self, name: str, attributes: Attributes | None = None, *, parent: Any = None
    ) -> AbstractContextManager[Span]:
        """A span of the engine's, which is the current one within.

        *parent*: a span's context; None: that of this task.
        """
        return _NOTHING

    def root(self, name: str, attributes: Attributes) -> AbstractContextManager[Span]:
        """A span of the engine's that has no parent."""
        return _NOTHING

    def adapter(
        self, name: str, attributes: Attributes | None = None
    ) -> AbstractContextManager[Span]:
        """A span of the adapter's."""
        return _NOTHING

    def current(self) -> Any:
        """The context of this task."""
        return None
