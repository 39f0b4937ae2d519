"""A server of webwire with the backend under test on both sides."""

from __future__ import annotations

from functools import partial

import pytest
import trio

from tests.transports.conftest import Run, Story
from tests.transports.webwire.world import OpenServer, serving
from wirecore._backend import Backend

#: A story that takes longer than this, in its own time, goes round in circles.
_PATIENCE = 1000


@pytest.fixture
def run_sockets(run_sockets: Run) -> Run:
    """Run a story with sockets; nothing may be left over."""

    def run(story: Story) -> None:
        async def bounded() -> None:
            with trio.fail_after(_PATIENCE):
                await story()

        run_sockets(bounded)

    return run


@pytest.fixture
def open_server(backend: Backend) -> OpenServer:
    """``async with open_server(prepare, store=..., read_timeout=5) as world``."""
    return partial(serving, backend)
