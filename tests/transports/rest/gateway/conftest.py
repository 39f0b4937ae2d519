"""Gateways on loopback, and stories in real time."""

from __future__ import annotations

from functools import partial

import pytest

from tests.transports.conftest import Run, bounded
from tests.transports.rest.gateway.world import OpenGateway, running
from wirecore._backend import Backend


@pytest.fixture
def run_real(run_real: Run) -> Run:
    """Run a story in real time; what goes wrong ends it."""
    return bounded(run_real, 60)


@pytest.fixture
def open_gateway(backend: Backend) -> OpenGateway:
    """See :data:`OpenGateway`."""
    return partial(running, backend)
