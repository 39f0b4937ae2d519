"""What is entered with ``async with``, and says so to who does something else with it."""

from __future__ import annotations

from typing import TYPE_CHECKING


class Entered:
    """Base of what a ``connect`` returns: *_use* says how it is used."""

    _use: str

    if not TYPE_CHECKING:  # type checkers tell it better: that there is nothing of the kind

        def __await__(self):
            raise TypeError(f"it isn't awaited: {self._use}")

        def __enter__(self):
            raise TypeError(f"it takes async with: {self._use}")

        __exit__ = __enter__  # looked up first

        def __getattr__(self, name):
            kind = type(self).__name__
            raise AttributeError(
                f"{kind!r} object has no attribute {name!r}: {self._use}", name=name, obj=self
            )
