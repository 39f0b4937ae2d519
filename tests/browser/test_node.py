"""The client under Node: against a fake WebSocket, and its types against the compiler."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.browser.conftest import OLDEST_NODE, unavailable

HERE = Path(__file__).parent
STORIES = sorted(path.name for path in HERE.glob("*.test.js"))

#: Seconds for one program; with npm, a download is among it.
TIMEOUT = 120.0


def execute(*command: object, folder: Path = HERE) -> subprocess.CompletedProcess[str]:
    """What a program said, both streams together, and its exit status."""
    return subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=TIMEOUT,
    )


@pytest.fixture(scope="session")
def recent_node(node: str) -> str:
    """A Node that is new enough."""
    version = execute(node, "--version").stdout
    if int(re.findall(r"\d+", version)[0]) < OLDEST_NODE:
        unavailable(f"Node {version.strip()} is too old: {OLDEST_NODE} is needed")
    return node


@pytest.mark.parametrize("story", STORIES)
def test_the_client_under_node(recent_node: str, story: str) -> None:
    run = execute(recent_node, "--test", "--test-reporter=tap", story)
    assert run.returncode == 0, run.stdout
    assert re.search(r"^# pass [1-9]", run.stdout, re.MULTILINE), run.stdout


#: A connection that holds, one that is lost, one that isn't made: then all is closed.
ENDING = """
import { Network, id } from './network.js';
const network = new Network();
const times = { requestTimeout: 1e9, dialTimeout: 1e9, reconnectInterval: 1e9 };
const client = network.connected(times);
const reply = client.request('a');
network.last.deliver('bf' + id(1));
await reply;
await client.close();
const lost = network.connect(times);
network.last.lose();
network.connect(times).close();
await lost.close();
console.log('closed');
"""


def test_a_program_ends_when_its_clients_are_closed(recent_node: str) -> None:
    # With a timer left it would run for days, and be killed here.
    run = execute(recent_node, "--input-type=module", "--eval", ENDING)
    assert (run.returncode, run.stdout) == (0, "closed\n")


#: Requests that are answered, aborted, too late or never sent, and signals: 100,000 of them.
BUSY = """
import { getEventListeners } from 'node:events';
import { Network, id, settled } from './network.js';
const network = new Network();
const client = network.connected();
const lasting = new AbortController();
const drop = () => {};
let number = 0;
async function work(rounds) {
  for (let round = 0; round < rounds; round++) {
    const options = { signal: lasting.signal };
    const aborting = new AbortController();
    const answered = client.request('a', 'x', options);
    network.last.deliver('bf' + id(++number));
    await answered;
    const aborted = client.request('b', 'x', { signal: aborting.signal }).catch(drop);
    number++;
    aborting.abort();
    await aborted;
    await client.request('', '', options).catch(drop);
    await client.signal('c', 'x', options);
    client.on('signal:' + round, drop)();
    network.last.sent.length = 0;
  }
  await settled();
  globalThis.gc();
  return process.memoryUsage().heapUsed;
}
const before = await work(2500);
const after = await work(22500);
console.log(Math.round((after - before) / 1024), getEventListeners(lasting.signal, 'abort').length,
  process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length);
await client.close();
"""


def test_requests_leave_nothing_behind(recent_node: str) -> None:
    run = execute(recent_node, "--expose-gc", "--input-type=module", "--eval", BUSY)
    assert run.returncode == 0, run.stdout
    grown, listeners, timers = (int(word) for word in run.stdout.split())
    assert grown < 1000, "KiB; ten bytes kept of each would show"
    assert listeners == 0
    assert timers <= 2, "the heartbeat's, and the one between tries to connect"


@pytest.fixture(scope="session")
def compiler(npm: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The TypeScript compiler that package-lock.json names."""
    folder = tmp_path_factory.mktemp("typescript")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, folder)
    got = execute(npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", folder=folder)
    if got.returncode != 0:
        unavailable(f"npm can't install the TypeScript compiler: {got.stdout.strip()}")
    return folder / "node_modules" / "typescript" / "bin" / "tsc"


def test_the_types_take_what_the_client_takes(recent_node: str, compiler: Path) -> None:
    run = execute(recent_node, compiler, "-p", "tsconfig.json")
    assert run.returncode == 0, run.stdout


def test_the_types_name_what_the_module_exports(recent_node: str) -> None:
    module = (HERE.parents[1] / "transports" / "wirecore_browser" / "webwire.js").as_uri()
    script = f"console.log(Object.keys(await import('{module}')).join(' '))"
    exported = execute(recent_node, "--input-type=module", "--eval", script).stdout.split()
    types = Path(HERE.parents[1], "transports", "wirecore_browser", "webwire.d.ts")
    declared = re.findall(r"^export declare (?:class|function) (\w+)", types.read_text(), re.M)
    assert sorted(exported) == sorted(declared)
