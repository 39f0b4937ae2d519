"""Which versions of wsproto this package knows.

It builds on a few names of wsproto that aren't public (the frame protocol of a connection, the
steps of a handshake), so a version nobody has looked at is refused, not tried.
"""

from __future__ import annotations

import re
from typing import Final

import wsproto

#: The first version that is known (those before it handed out binary messages as bytearray), and
#: the first that isn't any more.
FIRST: Final = (1, 3, 2)
BEYOND: Final = (1, 4)

FOUND: Final = wsproto.__version__


def check(version: str) -> None:
    """Raise ImportError unless *version* of wsproto is one that is known."""
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:3])
    if not FIRST <= numbers < BEYOND:
        first, beyond = (".".join(map(str, each)) for each in (FIRST, BEYOND))
        raise ImportError(
            f"wirecore.dropin.wsproto works with wsproto {first} or newer and below {beyond}, "
            f"but {version} is installed: install another wsproto, or a wirecore that knows it"
        )


check(FOUND)
