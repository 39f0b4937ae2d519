"""What a server that runs here tells an application beyond ASGI, in the extensions of a scope."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from ._asgi_types import Scope

#: The extension's name. Its value is the :class:`Hints` of the call.
_NAME: Final = "wirecore.hints"


class Hints(Protocol):
    """Of a request of HTTP: what spares its application a task that waits."""

    @property
    def is_whole(self) -> bool:
        """Whether all of the body is there: then the next ``receive`` gives it, and at once."""

    def on_gone(self, callback: Callable[[], object] | None) -> None:
        """Have *callback* called once, when the caller has gone; now if he has. None: no more.

        It is for who doesn't ``receive`` that message himself. It mustn't raise.
        """


def hints_of(scope: Scope) -> Hints | None:
    """The hints of the call of *scope*; None: its server gives none."""
    extensions = scope.get("extensions")
    return extensions.get(_NAME) if extensions else None


def with_hints(scope: Scope, hints: Hints) -> Scope:
    """A *scope* like that, with *hints*."""
    return {**scope, "extensions": {**(scope.get("extensions") or {}), _NAME: hints}}
