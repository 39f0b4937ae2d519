"""A value that is a coroutine in place of what awaiting it gives."""

from __future__ import annotations

import inspect


def forgotten_await(value: object) -> str:
    """The end of an error's text about *value*, which is of a wrong type: empty for most."""
    if not inspect.iscoroutine(value):
        return ""
    value.close()  # or Python warns that nobody awaited it, which hides what is wrong
    return ": is an await missing?"
