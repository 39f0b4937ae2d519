"""Our wsproto with each backend, and wsproto as it is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from wirecore._backend import Backend
from wirecore.dropin import wsproto as dropin


@pytest.fixture(scope="module")
def codec(backend: Backend) -> Iterator[Backend]:
    """The backend that connections made in the test have."""
    protocol = dropin.frame_protocol.FrameProtocol
    kept = protocol.backend
    protocol.backend = backend
    yield backend
    protocol.backend = kept


@pytest.fixture
def _uninstalled() -> Iterator[None]:
    """wsproto is left as it was found, whatever the test does."""
    assert not dropin.installed()
    yield
    dropin.uninstall()
