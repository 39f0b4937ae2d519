"""Where ours does something else than the original, and why: docs/rest.md.

Each difference makes of what was recorded what ours does in its place, in this order.
"""

from __future__ import annotations

from typing import Final

from tests.transports.rest.golden.difference import Difference
from tests.transports.rest.golden.differences_of_ends import OF_ENDS
from tests.transports.rest.golden.differences_of_messages import OF_MESSAGES
from tests.transports.rest.golden.seen import End, Seen, recorded

DIFFERENCES: Final[tuple[Difference, ...]] = (*OF_MESSAGES, *OF_ENDS)


def expected(name: str, end: End) -> Seen:
    """What ours does in the place of the original."""
    seen = recorded(name, end)
    for difference in DIFFERENCES:
        if difference.applies(name, end):
            difference.edit(seen, name)
    return seen
