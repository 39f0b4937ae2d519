"""The example's modules, which no package installs, can be imported in the tests here."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[3] / "examples" / "jsonrpc2"
sys.path.insert(0, str(EXAMPLE))


@pytest.fixture
def example() -> Path:
    """The folder of the example."""
    return EXAMPLE
