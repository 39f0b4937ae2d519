"""Spans and durations in memory, for as long as a test."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from tests.transports.conftest import Run, bounded
from tests.transports.pool import world as pool_world
from tests.transports.rest import world as rest_world
from tests.transports.rest.gateway import world as gateway_world
from tests.transports.telemetry.seen import Seen
from tests.transports.webwire import world as webwire_world
from tests.transports.wsrpc.conftest import open_world as open_wsrpc  # noqa: F401 - a fixture
from wirecore._backend import Backend
from wirecore_trio.telemetry import uninstrument


@pytest.fixture
def seen() -> Iterator[Seen]:
    """All protocols are seen."""
    seen = Seen()
    yield seen
    uninstrument()


@pytest.fixture
def run_sockets(run_sockets: Run) -> Run:
    """Run a story with sockets; nothing may be left over."""
    return bounded(run_sockets)


@pytest.fixture
def open_webwire(backend: Backend) -> Any:
    """``async with open_webwire(prepare) as world``."""
    return partial(webwire_world.serving, backend)


@pytest.fixture
def open_pool(backend: Backend) -> Any:
    """``async with open_pool(prepare) as world``."""
    return partial(pool_world.serving, backend)


@pytest.fixture
def open_rest(backend: Backend) -> Any:
    """``async with open_rest(app) as world``."""
    return partial(rest_world.serving, backend)


@pytest.fixture
def open_gateway(backend: Backend) -> Any:
    """``async with open_gateway() as world``."""
    return partial(gateway_world.running, backend)
