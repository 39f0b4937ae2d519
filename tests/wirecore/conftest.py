"""What the tests of the core's parts share."""

from __future__ import annotations

import pytest

from wirecore._backend import Backend, load


@pytest.fixture
def pure() -> Backend:
    """The backend whose classes take any object that does what they need."""
    return load("py")
