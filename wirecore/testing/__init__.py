"""Checks for the author of a protocol: does a session keep what :class:`wirecore.Session` says?

They run anywhere, in a test of any framework or in none: what is wrong is a
:class:`ContractViolation`, an AssertionError that says which rule, where and how to see it again.
"""

from __future__ import annotations

from wirecore.testing.calls import check_calls
from wirecore.testing.ends import ContractViolation, End, Ends, Story
from wirecore.testing.session import check_session

__all__ = ["ContractViolation", "End", "Ends", "Story", "check_calls", "check_session"]
