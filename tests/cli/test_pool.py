"""``wirecore pool``: a pool and its providers as processes, and what others ask of the pool."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import stat
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cli.test_webwire_serve import write_certificate

if TYPE_CHECKING:
    from tests.cli.conftest import Here, Running, ServingPool, Wirecore

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no Unix sockets in Python there")

BACKEND = Path(__file__).with_name("pool_backend.py")

PATHS = ("--path", "/pool", "--path", "json:/json=PoolBackend", "--path", "/nobody=Nobody")


def write_secret(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


@dataclass
class Pool:
    """A pool, and two providers of it."""

    served: ServingPool
    providers: list[Running]


@pytest.fixture(scope="module")
def pool(shared: Wirecore) -> Pool:
    """worker-1 at /pool, with gob and a token of its own; another one at /json."""
    shutil.copy(BACKEND, shared.folder)
    write_secret(shared.folder / "tokens", "worker-1 s3cret-1\n# nobody\nworker-2 s3cret-2\n")
    for number in (1, 2):
        write_secret(shared.folder / f"token-{number}", f"s3cret-{number}\n")
    served = shared.serve_pool(
        *PATHS,
        *("--tokens", "tokens", "--callbacks", "/cb=pool_backend"),
        *("--metrics", "127.0.0.1:0", "--health", "127.0.0.1:0"),
        lines=8,
    )
    providers = [
        shared.provide(f"{served.url}/pool", "pool_backend:Backend", "--token-file", "token-1"),
        shared.provide(
            f"{served.url}/json",
            *("./pool_backend.py", "--codec", "json", "--token-file", "token-2"),
            *("--label", "gpu", "--concurrency", "8"),
        ),
    ]
    return Pool(served, providers)


def test_a_pool_says_what_is_where(shared: Wirecore, pool: Pool) -> None:
    *said, metrics, health = pool.served.said
    assert said == [
        f"listening on {pool.served.url}\n",
        "path /pool (gob) the default\n",
        "path /json (json) PoolBackend\n",
        "path /nobody (gob) Nobody\n",
        "call-backs /cb (gob) pool_backend\n",
        f"control {shared.folder}/run/wirecore/pool.sock\n",
    ]
    page = urllib.request.urlopen(metrics.removeprefix("metrics on ").strip()).read().decode()
    assert 'wirecore_pool_connections{path="/pool",provider="worker-1"} 1' in page
    assert "s3cret" not in page
    url = f"http://{health.removeprefix('health on ').strip()}/readyz"
    assert urllib.request.urlopen(url).status == 200


def test_the_control_socket_is_its_users_alone(shared: Wirecore, pool: Pool) -> None:
    path = shared.folder / "run" / "wirecore" / "pool.sock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


# --- calls through the pool ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        (["Backend.Same", '"grüße"'], '"grüße"'),
        (["Backend.Same", "--", "-12"], "-12"),
        (["Backend.Same", "1.5"], "1.5"),
        (["Backend.Same", "[1, 2]"], "[1, 2]"),
        (["Backend.Same", "[1, 2.5]"], "[1.0, 2.5]"),
        (["Backend.Same", '{"a": 1}', "--maps"], '{"a": 1}'),
        (["Backend.Same", '{"a": 1}'], '{"A": 1}'),
        (["Backend.same", "text", "--text"], '"text"'),
        (["Backend.Same", "true", "--text"], '"true"'),
        (["Backend.SomeBytes"], '"/wA="'),
    ],
)
def test_json_goes_in_and_comes_out(
    here: Here, pool: Pool, arguments: list[str], printed: str
) -> None:
    done = here("pool", "call", *arguments)
    assert (done.status, done.text, done.err) == (0, f"{printed}\n", "")


@pytest.mark.parametrize("name", ["item_name", "ItemName"])
def test_an_object_is_a_struct_in_gob(here: Here, pool: Pool, name: str) -> None:
    """Its elements need not have the same fields, and one whole number may be among others."""
    items = [{name: "tea", "count": 2, "price": 1}, {name: "cups", "price": 2.5}]
    order = json.dumps({"Items": items, "remark": None})
    done = here("pool", "call", "Backend.Describe", "-", stdin=order.encode())
    assert json.loads(done.text) == (
        "Order(items=[Item(item_name='tea', count=2, price=1.0), "
        "Item(item_name='cups', count=0, price=2.5)], remark=None)"
    )


def test_the_codec_is_that_of_the_path(here: Here, pool: Pool) -> None:
    """In JSON an object may hold anything."""
    text = '{"a_b": [1, "c", null]}'
    assert here("pool", "call", "PoolBackend.Same", text).text == f"{text}\n"


def test_an_error_is_told_in_a_line(here: Here, pool: Pool) -> None:
    line = here("pool", "call", "Backend.Refuse", '"the shop\\nis closed\\u001b[2J"').failed(1)
    said = r"Backend.Refuse answered with an error: the shop is closed\x1b[2J"
    assert line == said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["Nobody.Get", '"x"'], "no provider is connected at /nobody, and none came within 0.1 s"),
        (["Backend.Same", "1", "--provider", "worker-9"], "no provider that is 'worker-9' is con"),
        (["Backend.Same", "1", "--label", "gpu"], "no provider that has the labels gpu i"),
    ],
)
def test_nobody_takes_it_in_time(here: Here, pool: Pool, arguments: list[str], says: str) -> None:
    assert here("pool", "call", *arguments, "--timeout", "0.1").failed(4).startswith(says)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["Backend.Same", "text"], "the argument isn't JSON (Expecting value"),
        (["Backend.Same", "NaN"], "the argument isn't JSON (NaN is none)"),
        (["Backend.Same", '[1, "a"]'], "an array in gob holds values of one type"),
        (["Backend.Same", "[null, 1]"], "an array in gob can't hold null"),
        (["Backend.Same", "[]"], "an empty list or dict doesn't tell what it would hold"),
        (["Backend.Same", '{"a_b": 1, "AB": 2}'], "two fields of an object have one name in gob"),
        (["Backend.Same", "@nowhere"], "ARGUMENT: nowhere can't be read: No such file"),
        (["Backend.Same", "1", "--cert", "x"], "--token-file, --cafile and --cert are for --call"),
        (["X.Y", "--callback", "http://x/"], "a WebSocket URL begins with ws:// or wss://"),
        (["X.Y", "--callback", "ws://x/", "--label", "a"], "--control, --provider, --label and"),
        (["X.Y", "--callback", "ws://x/", "--cert", "x"], "--cafile, --cert and --key are for wss"),
        (["X.Y", "--callback", "ws://x/", "--token-file", "open"], "--token-file: others can read"),
        (["X.Y", "--control", "none"], "--control none is for 'wirecore pool serve'"),
    ],
)
def test_a_call_that_cant_be_made(here: Here, pool: Pool, arguments: list[str], says: str) -> None:
    write_secret(here.folder / "open", "s3cret", 0o644)
    assert here("pool", "call", *arguments).failed(2).startswith(says)


def test_no_pool_there(here: Here) -> None:
    for command in (("call", "X.Y"), ("top", "--once")):
        line = here("pool", *command, "--control", "nowhere").failed(3)
        assert line.startswith("no pool has its control socket at nowhere: start one with")


# --- call-backs ---------------------------------------------------------------------------------


def test_what_a_pool_serves_is_called_back(here: Here, pool: Pool) -> None:
    """A module serves the functions in its ``__all__``."""
    call = ("pool", "call", "PoolBackend.Ping", '"x"', "--token-file", "token-2", "--callback")
    assert here(*call, f"{pool.served.url}/cb").text == '"pong x"\n'
    line = here(*call, f"{pool.served.url}/other").failed(3)
    assert line.endswith("(nothing is bound there: the path in the URL must be one of the pool's)")
    without = tuple(each for each in call if "token" not in each)
    line = here(*without, f"{pool.served.url}/cb").failed(3)
    assert line.endswith("(the pool wants another token: --token-file holds it)")


def test_a_pool_that_says_nothing(here: Here) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"ws://127.0.0.1:{silent.getsockname()[1]}/cb"
        line = here("pool", "call", "X.Y", "--callback", url, "--timeout", "0.2").failed(4)
    assert line == f"{url} gave no answer to X.Y within 0.2 s"


# --- another pool, with TLS, which is killed in the end -----------------------------------------


@pytest.fixture(scope="module")
def secure(shared: Wirecore, pool: Pool) -> ServingPool:
    """A pool that asks for client certificates, and has a socket of its own."""
    write_certificate(shared.folder)
    return shared.serve_pool(
        *("--cert", "cert.pem", "--key", "cert.key", "--client-ca", "cert.pem"),
        *("--callbacks", "/cb=pool_backend", "--control", "secure.sock"),
        lines=4,
    )


def test_both_ends_show_certificates(here: Here, secure: ServingPool) -> None:
    assert secure.url.startswith("wss://127.0.0.1:")
    call = ("pool", "call", "PoolBackend.Ping", '"x"', "--callback", f"{secure.url}/cb")
    assert here(*call, "--cafile", "cert.pem", "--cert", "both.pem").text == '"pong x"\n'
    without_trust = here(*call, "--cert", "both.pem").failed(3)
    without_certificate = here(*call, "--cafile", "cert.pem").failed(3)
    for line in (without_trust, without_certificate):
        assert line.endswith(
            "--cafile names whose certificates are trusted, --cert is what is shown)"
        )


def test_a_pool_that_ends_meanwhile(shared: Wirecore, here: Here, secure: ServingPool) -> None:
    """Who called through it can't know what became of the call."""
    control = ("--control", "secure.sock")
    calling = shared.run("pool", "call", "Backend.Get", '"x"', *control)
    while '"queued": 0' in here("pool", "top", "--json", "--once", *control).text:
        time.sleep(0.05)
    secure.process.kill()
    told = "the pool of secure.sock has ended; whether the call ran isn't known"
    assert calling.end().failed(3) == told


# --- looking ------------------------------------------------------------------------------------


def test_who_is_connected_and_what_was_called(here: Here, pool: Pool) -> None:
    for _ in range(3):
        here("pool", "call", "Backend.Same", "1")
    first, *_ = lines = here("pool", "top", "--once").text.splitlines()
    # How wide the columns are is a matter of what is in them.
    named = ["PATH", "PROV", "QUEUE", "RUN", "OK", "ERR", "LOST", "LATE", "AGAIN"]
    assert first.split() == [*named, "CALLS/S", "P50", "P99"]
    [path, providers] = [line.split() for line in lines if line.startswith("/pool ")]
    assert path[1:4] == ["1", "0", "0"] and int(path[4]) >= 3
    assert providers[1] == "worker-1"
    [labelled] = [line.split() for line in lines if " worker-2 " in line]
    assert (labelled[0], labelled[3:6]) == ("/json", ["gpu", "0", "8"])
    assert any(line.startswith("/cb ") for line in lines)


def test_looks_for_scripts(here: Here, pool: Pool) -> None:
    done = here("pool", "top", "--json", "--count", "2", "--interval", "0.1")
    one, two = (json.loads(line) for line in done.text.splitlines())
    assert two["time"] > one["time"]
    assert [each["path"] for each in two["paths"]] == ["/pool", "/json", "/nobody"]
    [provider] = two["paths"][0]["providers"]
    assert (provider["identity"], provider["outstanding"]) == ("worker-1", 0)


# --- what can't be served -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["serve", "--path", "pool"], "--path pool: a path begins with /, which 'pool' doesn't"),
        (["serve", "--path", "/a=X,"], "--path: '/a=X,' names a service without a name"),
        (["serve", "--path", "/a", "--path", "/a=X"], "--path /a: the path '/a' is bound already"),
        (["serve", "--callbacks", "/cb"], "--callbacks: it is PATH=MODULE:OBJECT, as /cb=notify"),
        (["serve", "--callbacks", "/cb=pool_backend:No"], "pool_backend:No: pool_backend has no"),
        (["serve", "--tokens", "nowhere"], "--tokens: nowhere can't be read: No such file or"),
        (["serve", "--tokens", "open"], "--tokens: others can read or write open, which holds"),
        (["serve", "--tokens", "wrong"], "--tokens: wrong, line 2: a provider is NAME SECRET, two"),
        (["serve", "--tokens", "twice"], "--tokens: twice, line 2: this secret stands there twic"),
        (["serve", "--client-ca", "x"], "--key and --client-ca are for a pool with a --cert"),
        (["serve", "--cert", "nowhere"], "the certificate 'nowhere' can't be used with the key"),
        (["serve", "--listen", "ws://x:1"], "--listen: an address is HOST:PORT without a scheme"),
        (["serve", "--metrics", "1337"], "an address is HOST:PORT, as"),
        (["provide", "pool_backend:Nobody"], "pool_backend:Nobody makes Nobody, which is no obje"),
        (["provide", "no_such_module"], "there is no module 'no_such_module', neither in"),
        (["provide", "pool_backend", "--to", "http://x/"], "a WebSocket URL begins with ws://"),
        (
            ["provide", "pool_backend", "--label", "a,b"],
            "a label is 1 to 256 printable ASCII characters",
        ),
        (["provide", "pool_backend", "--token-file", "wrong"], "--token-file: wrong holds more th"),
        (["provide", "pool_backend", "pool_backend"], "pool_backend: a service 'PoolBackend' is"),
    ],
)
def test_what_cant_be_served(here: Here, pool: Pool, arguments: list[str], says: str) -> None:
    write_secret(here.folder / "open", "worker s3cret", 0o644)
    write_secret(here.folder / "wrong", "worker s3cret-1\nworker of s3cret-2\n")
    write_secret(here.folder / "twice", "worker s3cret-1\nother s3cret-1\n")
    line = here("pool", *arguments).failed(2)
    assert line.startswith(says)
    assert "s3cret" not in line


def test_a_provider_that_is_refused(here: Here, pool: Pool) -> None:
    line = here("pool", "provide", "pool_backend", "--to", f"{pool.served.url}/pool")
    assert line.status == 3
    assert line.err.splitlines()[-1].endswith(
        "HTTP status 401: a provider's token is needed "
        "(the pool wants another token: --token-file holds it)"
    )


# --- signals: the last story of the two processes -----------------------------------------------


def test_a_pool_and_a_provider_end_in_good_order(shared: Wirecore, here: Here, pool: Pool) -> None:
    """A token that is gone, a call under way, a signal for each of them."""
    served, (provider, other) = pool.served, pool.providers
    write_secret(shared.folder / "tokens", "worker-1 s3cret-1\n")
    served.signal(signal.SIGHUP)
    served.logged("SIGHUP: tokens: 1 provider may connect")
    other.logged("the connection was lost")
    write_secret(shared.folder / "tokens", "worker,1 s3cret-1\n")
    served.signal(signal.SIGHUP)
    served.logged("SIGHUP: nothing has changed: a token's name")
    assert other.end().status == 3

    with socket.create_server(("127.0.0.1", 0)) as gate:
        port = str(gate.getsockname()[1])
        calling = shared.run("pool", "call", "Backend.Hold", port)
        connection, _ = gate.accept()
        with connection:
            provider.signal(signal.SIGTERM)
            provider.logged("SIGTERM: draining, 30 s at most")
            served.signal(signal.SIGTERM)
            served.logged("SIGTERM: draining, 30 s at most")
            connection.sendall(b"to its end")
        done = calling.end()
    assert (done.status, done.text) == (0, '"to its end"\n')
    left = provider.end()
    assert (left.status, served.end().status) == (0, 0)
    assert "lost" not in left.err
    assert not (shared.folder / "run" / "wirecore" / "pool.sock").exists()
