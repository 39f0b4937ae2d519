"""The one option that wsproto hasn't: how large a message may be."""

from __future__ import annotations

import sys

from wirecore.session.limits import check_at_least, check_at_most


def check_bound(max_message_size: object) -> int:
    """*max_message_size* in bytes; for None, which is no bound, more than any message has.

    Raises TypeError unless it is an int or None, InvalidOption unless it is 1 to sys.maxsize.
    """
    if max_message_size is None:
        return sys.maxsize
    # True is an int for Python, and a mistake here.
    if not isinstance(max_message_size, int) or isinstance(max_message_size, bool):
        kind = type(max_message_size).__name__
        raise TypeError(f"max_message_size must be int or None, not {kind}")
    check_at_least("max_message_size", max_message_size, 1)
    check_at_most("max_message_size", max_message_size, sys.maxsize)
    return max_message_size
