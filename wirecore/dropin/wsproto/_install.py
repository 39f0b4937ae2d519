"""Our frames under the wsproto that is installed, and out again.

All of it is one attribute, the constructor of ``wsproto.connection.Connection``: whoever makes a
Connection, wsproto's handshake or a framework that imported the class long before, comes through
it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps
from typing import Final, TypeAlias

from wsproto.connection import Connection as _Connection
from wsproto.connection import ConnectionType
from wsproto.extensions import Extension

from wirecore.dropin.wsproto._bound import check_bound
from wirecore.dropin.wsproto.connection import Connection, set_up
from wirecore.errors import InvalidState

Constructor: TypeAlias = Callable[..., None]


class Place:
    """The place of the constructor, and what stood there before ours.

    What is found there is compared with these two, and not asked for marks: a wrapper of
    somebody else's may carry over all attributes, or none.
    """

    def __init__(self) -> None:
        self.lock: Final = threading.Lock()
        self._ours: Constructor | None = None
        self._replaced: Constructor | None = None

    def taken(self) -> bool:
        """Whether connections that are made now come through ours; call it with the lock held."""
        # Whoever put back by hand what they had kept took ours out.
        return self._ours is not None and _Connection.__init__ is not self._replaced

    def free(self) -> Constructor:
        """What wsproto has without us; call it with the lock held. Raises InvalidState."""
        current: Constructor = _Connection.__init__
        if self._replaced is None or not self.taken():
            return current
        if current is not self._ours:
            raise InvalidState(
                "the constructor of wsproto's Connection was wrapped by somebody else after "
                "install(): have that undone first"
            )
        return self._replaced

    def put(self, constructor: Constructor, *, over: Constructor | None) -> None:
        """Put *constructor* there: ours, *over* another one, or (None) what is to stay."""
        self._ours, self._replaced = (None, None) if over is None else (constructor, over)
        # As text: type checkers rightly find it odd to assign to a method.
        setattr(_Connection, "__init__", constructor)  # noqa: B010


_place: Final = Place()


def install(*, max_message_size: int | None = None) -> None:
    """Put our frames under wsproto, for all connections that are made from now on.

    Those that exist keep what they have. *max_message_size*: the most bytes a message may have,
    on the wire and decompressed, 1 to sys.maxsize; None for any number, which leaves all bounds
    to the framework, as wsproto does.

    May be called again, with another bound if wanted, and from any thread. Raises TypeError and
    InvalidOption for what is no such bound, InvalidState as :func:`uninstall` does; then nothing
    has changed.
    """
    check_bound(max_message_size)
    with _place.lock:
        replaced = _place.free()
        _place.put(_constructor(replaced, max_message_size), over=replaced)


def uninstall() -> None:
    """Make wsproto exactly what it was; does nothing where :func:`install` wasn't called.

    Connections that were made meanwhile go on as they are. Raises InvalidState where somebody
    else has wrapped the constructor since then: that has to be taken back first.
    """
    with _place.lock:
        _place.put(_place.free(), over=None)


def installed() -> bool:
    """Whether connections of wsproto that are made now have our frames.

    True as well where somebody else has wrapped the constructor since :func:`install`.
    """
    with _place.lock:
        return _place.taken()


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

    return __init__
