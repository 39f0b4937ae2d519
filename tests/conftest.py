"""Fixtures that all tests share: the two backends, and hypothesis made deterministic.

``WIRECORE_TEST_BACKENDS=c,py`` names the backends that must be there: one that is missing makes
its tests fail, where they would else be skipped. ``WIRECORE_TEST_TURNS=c`` leaves out the others
where tests take one backend after another: for who runs all tests once with each.
"""

from __future__ import annotations

import gc
import os
import signal
from typing import cast

import pytest
from hypothesis import settings

from wirecore._backend import Backend, BackendName, load

settings.register_profile("wirecore", derandomize=True, deadline=None)
settings.load_profile("wirecore")


def pytest_configure() -> None:
    """Have programs that tests start obey Ctrl-C, which some tests send them.

    Who was started in the background of a shell ignores it, and so do all its children.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Keep the garbage collector from the tests themselves: thousands of objects that stay.

    Stories collect when they end, so that what they forgot is seen: two in three seconds of all
    tests went into looking at these.
    """
    gc.collect()
    gc.freeze()


def _load_or_skip(name: BackendName) -> Backend:
    try:
        return load(name)
    except ImportError as error:
        if name in os.environ.get("WIRECORE_TEST_BACKENDS", "").split(","):
            pytest.fail(f"WIRECORE_TEST_BACKENDS asks for {name!r}: {error}")
        pytest.skip(f"backend {name!r} isn't there: {error}")


@pytest.fixture(scope="session", params=os.environ.get("WIRECORE_TEST_TURNS", "c,py").split(","))
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each backend in turn: what holds for one must hold for the other."""
    return _load_or_skip(cast(BackendName, request.param))


@pytest.fixture(scope="session")
def backends() -> tuple[Backend, Backend]:
    """Both backends at once, the compiled one first, for tests that compare them."""
    return _load_or_skip("c"), _load_or_skip("py")
