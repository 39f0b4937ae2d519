"""Our frames under the wsproto that is installed, and out again.

All of it is one attribute, the constructor of ``wsproto.connection.Connection``: whoever makes a
Connection, wsproto's handshake or a framework that imported the class long before, comes through
it. One assignment can't be seen half done, so no lock is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Final, TypeAlias, cast

from wsproto.connection import Connection as _Connection
from wsproto.connection import ConnectionType
from wsproto.extensions import Extension

from wirecore import rules
from wirecore.dropin.wsproto.connection import Connection, set_up
from wirecore.errors import InvalidState

Constructor: TypeAlias = Callable[..., None]

#: What a constructor of ours holds: itself, and the one it replaced.
_MARK: Final = "wirecore_replaced"


def install(*, max_message_size: int | None = None) -> None:
    """Put our frames under wsproto, for all connections that are made from now on.

    Those that exist keep what they have. *max_message_size*: the most bytes a message may have,
    on the wire and decompressed, 0 to sys.maxsize (else ValueError is raised); None for any
    number, which leaves all bounds to the framework, as wsproto does.

    May be called again, with another bound if wanted, and from any thread. Raises InvalidState
    as :func:`uninstall` does.
    """
    rules.check_limits(0, max_message_size or 0)
    _put(_constructor(_original(), max_message_size))


def uninstall() -> None:
    """Make wsproto exactly what it was; does nothing where :func:`install` wasn't called.

    Connections that were made meanwhile go on as they are. Raises InvalidState where somebody
    else has wrapped the constructor since then: that has to be taken back first.
    """
    _put(_original())


def installed() -> bool:
    """Whether connections of wsproto that are made now have our frames."""
    return hasattr(_Connection.__init__, _MARK)


def _put(constructor: Constructor) -> None:
    # As text: type checkers rightly find it odd to assign to a method.
    setattr(_Connection, "__init__", constructor)  # noqa: B010


def _original() -> Constructor:
    """The constructor that wsproto has without us."""
    current: Constructor = _Connection.__init__
    ours, replaced = getattr(current, _MARK, (current, current))
    if ours is not current:
        raise InvalidState(
            "the constructor of wsproto's Connection was wrapped by somebody else after "
            "install(): have that undone first"
        )
    return cast(Constructor, replaced)


def _constructor(replaced: Constructor, max_message_size: int | None) -> Constructor:
    """The constructor that wsproto's Connection gets."""

    @wraps(replaced)
    def __init__(  # noqa: N807 - it becomes one
        self: _Connection,
        connection_type: ConnectionType,
        extensions: list[Extension] | None = None,
        trailing_data: bytes = b"",
    ) -> None:
        # A subclass of somebody else's stays what it is, and has our frames all the same.
        if type(self) is _Connection:
            self.__class__ = Connection
        set_up(self, connection_type, extensions, trailing_data, max_message_size)

    setattr(__init__, _MARK, (__init__, replaced))
    return __init__
