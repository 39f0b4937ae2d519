"""What was asked and has no answer yet, so that an answer can be put beside it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final, NamedTuple

#: Questions of one connection that are remembered; the oldest are forgotten.
_MOST: Final = 10_000


class Asked(NamedTuple):
    """A question: its *name*, and *when* it came."""

    name: str
    when: float


class Pending:
    """Questions by what their answers repeat, and who is to answer."""

    def __init__(self) -> None:
        self._asked: OrderedDict[Hashable, Asked] = OrderedDict()

    def ask(self, key: Hashable, name: str, now: float) -> None:
        """A question came."""
        self._asked[key] = Asked(name, now)
        if len(self._asked) > _MOST:
            self._asked.popitem(last=False)

    def answer(self, key: Hashable) -> Asked | None:
        """Its answer came; None: to nothing that is known."""
        return self._asked.pop(key, None)

    def __len__(self) -> int:
        return len(self._asked)
