"""The servers, each started once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from typing import TypeAlias

import pytest

from tests.transports.rest.torture.servers import (
    GatewayPlace,
    Place,
    on_gateway,
    on_hypercorn,
    on_uvicorn,
)
from wirecore._backend import Backend

#: The server of that name, on which the application runs by itself.
Plain: TypeAlias = Callable[[str], Place]

_STARTS: dict[str, Callable[[], AbstractContextManager[Place]]] = {
    "h11": partial(on_uvicorn, "h11"),
    "httptools": partial(on_uvicorn, "httptools"),
    "hypercorn": on_hypercorn,
}


# By module and no longer: what runs in threads here would meet what others patch.


@pytest.fixture(scope="module")
def plain() -> Iterator[Plain]:
    """``plain("h11")``."""
    places: dict[str, Place] = {}
    with ExitStack() as stack:

        def get(name: str) -> Place:
            if name not in places:
                places[name] = stack.enter_context(_STARTS[name]())
            return places[name]

        yield get


@pytest.fixture(scope="module", params=["hypercorn", "uvicorn"])
def gateway(backend: Backend, request: pytest.FixtureRequest) -> Iterator[GatewayPlace]:
    """A gateway on each of these, and its publisher."""
    with on_gateway(backend, request.param) as place:
        yield place


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """What is wrong here is meant to be."""
    for name in ("wirecore", "uvicorn", "hypercorn"):
        caplog.set_level(logging.CRITICAL, name)
