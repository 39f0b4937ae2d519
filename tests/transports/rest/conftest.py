"""A server of REST over WebSocket with the backend under test on both sides."""

from __future__ import annotations

from functools import partial

import pytest

from tests.transports.conftest import Run, bounded
from tests.transports.rest.world import OpenServer, serving
from wirecore._backend import Backend


@pytest.fixture
def run_sockets(run_sockets: Run) -> Run:
    """Run a story with sockets; nothing may be left over."""
    return bounded(run_sockets)


@pytest.fixture
def open_server(backend: Backend) -> OpenServer:
    """``async with open_server(app, ping_interval=None) as world``."""
    return partial(serving, backend)
