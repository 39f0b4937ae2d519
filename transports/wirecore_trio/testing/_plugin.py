"""The plugin of pytest. It loads with pytest, for whoever has wirecore installed: so it loads
nothing itself before a test asks for it.

PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import trio.testing

    from ._faults import FaultInjector
    from ._network import Network
    from ._server import ScriptedServer

_MARKER = "wirecore: run this async test as wirecore_run does"

_CLOCKS = ("autojump_clock", "mock_clock")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", _MARKER)
    if not config.pluginmanager.hasplugin("trio"):  # pytest-trio, which has the same clock
        config.pluginmanager.register(_Clock(), "wirecore_clock")


class _Clock:
    @pytest.fixture
    def autojump_clock(self) -> trio.testing.MockClock:
        """Time that jumps to the next deadline whenever everybody waits."""
        from trio.testing import MockClock

        return MockClock(autojump_threshold=0)


@pytest.fixture
def wirecore_seed() -> int:
    """What the random numbers of faults begin with: to be replaced by a fixture of one's own."""
    return 0


@pytest.fixture
def wirecore_network(wirecore_seed: int) -> Network:
    """A network in memory: entered by ``wirecore_run`` and the marker, else ``async with`` it."""
    from ._network import Network

    return Network(seed=wirecore_seed)


@pytest.fixture
def wirecore_faults(wirecore_network: Network) -> FaultInjector:
    """What goes wrong in ``wirecore_network``: nothing, until it is told to."""
    return wirecore_network.faults


@pytest.fixture
def wirecore_peer(wirecore_network: Network) -> Callable[..., ScriptedServer]:
    """``server = wirecore_peer("ws://server.test/", script, ...)`` in ``wirecore_network``."""
    return wirecore_network.scripted


@pytest.fixture
def wirecore_run(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """``wirecore_run(story)``: see ``wirecore_trio.testing.run``.

    In the test's ``wirecore_network``, and with its clock where it has asked for one.
    """
    from ._runs import run

    def run_story(story: Callable[[], Any], **options: Any) -> Any:
        return run(story, **{**_given(request), **options})

    return run_story


def _given(request: pytest.FixtureRequest) -> dict[str, Any]:
    # Also where the test hasn't asked for it: by a clock that jumps nobody reaches a real address.
    given = {"network": request.getfixturevalue("wirecore_network")}
    for name in _CLOCKS:
        if name in request.fixturenames:
            given["clock"] = request.getfixturevalue(name)
    return given


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an async test that is marked with ``wirecore``."""
    function = pyfuncitem.obj
    if pyfuncitem.get_closest_marker("wirecore") is None or not inspect.iscoroutinefunction(
        function
    ):
        return None
    from ._runs import run

    names = pyfuncitem._fixtureinfo.argnames
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    run(lambda: function(**arguments), **_given(pyfuncitem._request))
    return True
