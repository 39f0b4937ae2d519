"""Connections of providers, as the dispatcher sees them, and which of them a call wishes for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar

from wirecore._backend import default
from wirecore.session.limits import check_at_least

if TYPE_CHECKING:
    from wirecore_py.turns import Slot as _Slot
else:
    _Slot = default.turns.Slot

T = TypeVar("T")


class Wish(NamedTuple):
    """Which providers may take a call.

    *provider*: only the one of this identity, over any of its connections. *labels*: only who
    has all of these. *key*: always the same one of those who may, as long as it is there.
    """

    provider: str | None = None
    labels: frozenset[str] = frozenset()
    key: str | None = None


#: Any provider will do.
ANY: Final = Wish()


class Slot(_Slot, Generic[T]):
    """A connection of a provider; a slot belongs to one dispatcher.

    *target*: the connection itself. *identity*: whose it is; None for one that didn't say.
    *labels*: what it offers. *capacity*: calls without an answer at once, None for no bound.

    Read-only attributes, the dispatcher's to change: *outstanding*, the calls that it has;
    *leaving*: it wants no more; *blocked*: it can't take any now; *ready*: it may be given one.

    Raises :class:`~wirecore.errors.InvalidOption` for a capacity below 1.
    """

    __slots__ = ()

    target: T
    identity: str | None
    labels: frozenset[str]
    capacity: int | None

    def __init__(
        self,
        target: T,
        identity: str | None = None,
        labels: frozenset[str] = frozenset(),
        capacity: int | None = None,
    ) -> None:
        if capacity is not None:
            check_at_least("capacity", capacity, 1)
        super().__init__(target, identity, labels, capacity)
