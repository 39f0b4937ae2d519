"""The plugin of pytest: its fixtures, its way to run async tests, and that it costs nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytest_plugins = ("pytester",)

ROOT = Path(__file__).parents[3]

PLUGIN = "wirecore_trio.testing._plugin"


@pytest.fixture
def tests(pytester: pytest.Pytester) -> pytest.Pytester:
    """A folder of tests, whose pytest has the plugin as every one has where this is installed."""
    pytester.makeini("[pytest]\naddopts = -p no:cacheprovider --strict-markers\n")
    return pytester


def test_it_is_found_by_pytest() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"]["pytest11"] == {"wirecore": PLUGIN}


def test_it_loads_neither_trio_nor_wirecore_before_a_test_asks_for_it() -> None:
    heavy = ("trio", "h11", "OpenSSL", "wirecore._backend", "wirecore_trio.websocket")
    program = (
        f"import pytest, sys\nbefore = set(sys.modules)\nimport {PLUGIN}\n"
        f"print([name for name in {heavy!r} if name in set(sys.modules) - before])"
    )
    # Whoever asks for a backend has it loaded at once, to be told if it can't be had.
    env = {name: value for name, value in os.environ.items() if name != "WIRECORE_BACKEND"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=env, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_the_testing_package_needs_no_pytest() -> None:
    program = (
        "import sys\nsys.modules['pytest'] = None\nfrom wirecore_trio import testing\n"
        "[getattr(testing, name) for name in testing.__all__]"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


TESTS = """
import pytest
import trio
from wirecore_trio import websocket, webwire

URL = "ws://server.test/"

async def greet(peer):
    await peer.accept()
    await trio.sleep(1000)
    await peer.send("at last")
    await peer.wait_ended()

def test_with_wirecore_run(wirecore_run, wirecore_peer, wirecore_network):
    server = wirecore_peer(URL, greet)
    async def story():
        async with websocket.connect(URL, options=websocket.Options(ping_interval=None)) as ws:
            return await ws.receive()
    assert wirecore_run(story) == "at last"
    assert server.peers[0].number == len(wirecore_network.connections) == 1

@pytest.mark.wirecore
async def test_with_the_marker(wirecore_peer, wirecore_faults, autojump_clock):
    wirecore_peer(URL, greet)
    wirecore_faults.delay(1)
    async with websocket.connect(URL, options=websocket.Options(ping_interval=None)) as ws:
        assert await ws.receive() == "at last"
    assert autojump_clock.current_time() > 1000

class TestOfAClass:
    @pytest.mark.wirecore
    @pytest.mark.parametrize("word", ["a", "b"])
    async def test_methods_too(self, word, wirecore_network):
        server = webwire.Server()
        server.request(inline=True)(lambda request: request.payload)
        await wirecore_network.start(server.serve, "server.test", 80)
        async with webwire.connect(URL) as client:
            assert (await client.request("", word)).text == word

def test_of_no_network(wirecore_run):
    async def story():
        await trio.sleep(5)
        return trio.current_time()
    assert wirecore_run(story) == 5

@pytest.mark.wirecore
async def test_no_real_address_is_dialled():
    with pytest.raises(ConnectionRefusedError, match="nobody listens there"):
        async with websocket.connect(URL):
            pass
"""


def test_its_fixtures(tests: pytest.Pytester) -> None:
    tests.makepyfile(TESTS)
    tests.runpytest_subprocess().assert_outcomes(passed=6)


def test_a_seed_of_ones_own(tests: pytest.Pytester) -> None:
    tests.makepyfile(
        """
        import pytest

        @pytest.fixture(params=[3, 4])
        def wirecore_seed(request):
            return request.param

        def test_seed(wirecore_seed, wirecore_faults, wirecore_network):
            assert wirecore_faults.seed == wirecore_seed
            assert wirecore_network.faults is wirecore_faults
        """
    )
    tests.runpytest_subprocess().assert_outcomes(passed=2)


def test_what_is_left_over_fails_the_test(tests: pytest.Pytester) -> None:
    tests.makepyfile(
        """
        import pytest
        from wirecore_trio import testing, websocket

        kept = []

        @pytest.mark.wirecore
        async def test_a_connection_is_left():
            kept.append(await testing.memory_pair())

        @pytest.mark.wirecore
        async def test_a_script_fails(wirecore_peer):
            async def script(peer):
                await peer.accept()
                await peer.expect("never sent")
            wirecore_peer("ws://server.test/", script)
            async with websocket.connect("ws://server.test/"):
                pass
        """
    )
    done = tests.runpytest_subprocess()
    done.assert_outcomes(failed=2)
    done.stdout.fnmatch_lines(["*LeftOver: not closed at the end of the test: a timer of *"])
    done.stdout.fnmatch_lines(["*'never sent' was expected, and not the end*"])


def test_a_clock_of_another_plugin_is_left_alone(tests: pytest.Pytester) -> None:
    tests.makeconftest(
        """
        import pytest

        class Trio:  # as pytest-trio calls itself
            @pytest.fixture
            def autojump_clock(self):
                return "theirs"

        def pytest_configure(config):
            config.pluginmanager.register(Trio(), "trio")
        """
    )
    tests.makepyfile("def test_clock(autojump_clock): assert autojump_clock == 'theirs'")
    tests.runpytest_subprocess().assert_outcomes(passed=1)


def test_under_anyio_a_network_is_entered_by_hand(tests: pytest.Pytester) -> None:
    tests.makepyfile(
        """
        import pytest
        from wirecore_trio import websocket

        @pytest.fixture
        def anyio_backend():
            return "trio"

        @pytest.mark.anyio
        async def test_it(wirecore_network, wirecore_peer):
            wirecore_peer("ws://server.test/", lambda peer: peer.reject(503))
            async with wirecore_network:
                with pytest.raises(websocket.UpgradeRejected):
                    await websocket.connect("ws://server.test/").__aenter__()
        """
    )
    pytest.importorskip("anyio")
    tests.runpytest_subprocess().assert_outcomes(passed=1)
