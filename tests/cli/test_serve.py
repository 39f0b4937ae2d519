"""``wirecore wsrpc serve`` as a process: what it says, whom it lets in, and what signals do."""

from __future__ import annotations

import shutil
import signal
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Done, Running, Serving, Wirecore

SERVICES = Path(__file__).with_name("services.py")

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="these signals can't be sent to a process there"
)


@pytest.fixture(autouse=True)
def folder(wirecore: Wirecore) -> Path:
    """A folder with services and the keys of a server and two clients."""
    shutil.copy(SERVICES, wirecore.folder)
    return wirecore.folder


@pytest.fixture
def gate() -> Iterator[socket.socket]:
    """Where a handler reports that its call has come, and waits."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def call(wirecore: Wirecore, served: Serving, name: str, *arguments: str) -> Done:
    return wirecore(*_call(served, name), *arguments)


def _call(served: Serving, name: str) -> list[str]:
    return ["wsrpc", "call", "--key", name, "--server-key", served.public_key, served.address]


def hold(
    wirecore: Wirecore, served: Serving, name: str, gate: socket.socket
) -> tuple[Running, socket.socket]:
    """A call that is in its handler, and the connection on which the handler waits."""
    port = str(gate.getsockname()[1])
    calling = wirecore.run(*_call(served, name), "Hold", "--data", port)
    connection, _ = gate.accept()
    return calling, connection


def test_it_says_what_a_client_needs(wirecore: Wirecore) -> None:
    public = wirecore.key("server")
    alice, bob = wirecore.key("alice"), wirecore.key("bob")
    (wirecore.folder / "clients").write_text(f"{bob} # Bob\n")
    served = wirecore.serve(
        "services:handlers", "--key", "server", "--client", alice, "--clients", "clients"
    )
    assert served.said == [
        f"listening on {served.address}\n",
        f"public key {public}\n",
        "serving Hold, Fail, Same, Who\n",
        "letting in 2 clients\n",
    ]
    for name in ("alice", "bob"):
        assert call(wirecore, served, name, "Same", "--data", name).text == name


def test_one_key_for_both_ends_is_enough_for_a_try(wirecore: Wirecore) -> None:
    assert wirecore("keygen").status == 0
    served = wirecore.serve("wirecore_cli.example:Ping")
    assert served.said[3] == "letting in 1 client\n"
    done = wirecore("wsrpc", "call", served.address, "Ping", "--hex")
    assert done.text == "0a04" + b"pong".hex() + "\n"
    wirecore.key("stranger")
    assert "refused" in call(wirecore, served, "stranger", "Ping").failed(3)
    assert "wasn't let in" in served.logged("WARNING wirecore.wsrpc")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains(wirecore: Wirecore, gate: socket.socket, number: signal.Signals) -> None:
    """The running call gets its answer; nobody new gets in; then the process ends well."""
    wirecore.key("server")
    wirecore.key("alice")
    wirecore.key("bob")
    served = wirecore.serve(
        "services:handlers", "--key", "server", "--client", "alice.pub", "--client", "bob.pub"
    )
    calling, connection = hold(wirecore, served, "alice", gate)
    with connection:
        served.signal(number)
        served.logged(f"{number.name}: draining, 30 s at most")
        assert "refused the connection" in call(wirecore, served, "bob", "Same").failed(3)
        connection.sendall(b"to its end")
    done = calling.end()
    assert (done.status, done.out) == (0, b"to its end")
    assert served.end().status == 0


def test_health_is_told_over_plain_http(wirecore: Wirecore, gate: socket.socket) -> None:
    assert wirecore("keygen", "--out", "server").status == 0
    served = wirecore.serve("services:handlers", "--key", "server", "--health", "127.0.0.1:0")
    told = served.line()
    assert told.startswith("health on 127.0.0.1:")
    url = f"http://{told.split()[-1]}/readyz"
    with urllib.request.urlopen(url) as answer:
        assert answer.status == 200
    calling, connection = hold(wirecore, served, "server", gate)
    with connection:
        served.signal(signal.SIGTERM)
        served.logged("draining")
        with pytest.raises(urllib.error.HTTPError, match="503"):
            urllib.request.urlopen(url)
        connection.sendall(b"to its end")
    assert calling.end().status == 0
    assert served.end().status == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_stops_at_once(
    wirecore: Wirecore, gate: socket.socket, number: signal.Signals
) -> None:
    """However long the handler, which is in a thread, would have gone on."""
    assert wirecore("keygen", "--out", "server").status == 0
    served = wirecore.serve("services:handlers", "--key", "server")
    calling, connection = hold(wirecore, served, "server", gate)
    with connection:
        served.signal(number)
        served.logged("draining")
        served.signal(number)
        assert served.end().status == 128 + number
        assert "(maybe_executed)" in calling.end().failed(3)


def test_grace_bounds_how_long_calls_get(wirecore: Wirecore, gate: socket.socket) -> None:
    assert wirecore("keygen", "--out", "server").status == 0
    served = wirecore.serve("services:handlers", "--key", "server", "--grace", "0")
    calling, connection = hold(wirecore, served, "server", gate)
    with connection:
        served.signal(signal.SIGTERM)
        assert served.end().status == 0
        assert calling.end().status == 3


def test_hangup_reads_the_clients_again(wirecore: Wirecore) -> None:
    wirecore.key("server")
    keys = {name: wirecore.key(name) for name in ("alice", "bob")}
    clients = wirecore.folder / "clients"
    clients.write_text(f"{keys['alice']} # Alice\n")
    served = wirecore.serve("services:handlers", "--key", "server", "--clients", "clients")
    assert call(wirecore, served, "alice", "Same").status == 0
    assert "refused" in call(wirecore, served, "bob", "Same").failed(3)

    clients.write_text(f"{keys['bob']}\n")
    served.signal(signal.SIGHUP)
    served.logged("SIGHUP: letting in 1 client")
    assert "refused" in call(wirecore, served, "alice", "Same").failed(3)
    assert call(wirecore, served, "bob", "Same").status == 0

    clients.write_text("bob\n")
    served.signal(signal.SIGHUP)
    line = served.logged("SIGHUP: nothing has changed: ")
    assert "clients, line 1: a client is its public key, 64 hex digits" in line
    assert call(wirecore, served, "bob", "Same").status == 0


def test_hangup_disconnects_who_isnt_listed_any_more(
    wirecore: Wirecore, gate: socket.socket
) -> None:
    wirecore.key("server")
    clients = wirecore.folder / "clients"
    clients.write_text(wirecore.key("alice"))
    served = wirecore.serve("services:handlers", "--key", "server", "--clients", "clients")
    calling, connection = hold(wirecore, served, "alice", gate)
    with connection:
        clients.write_text("# nobody\n")
        served.signal(signal.SIGHUP)
        assert "(maybe_executed)" in calling.end().failed(3)


def test_the_level_of_the_log_is_chosen(wirecore: Wirecore) -> None:
    wirecore.key("server")
    wirecore.key("stranger")
    served = wirecore.serve("services:handlers", "--key", "server", "--log-level", "error")
    assert "refused" in call(wirecore, served, "stranger", "Same").failed(3)
    served.signal(signal.SIGTERM)
    assert served.end().err == ""


def test_inline_runs_plain_functions_in_the_reader(wirecore: Wirecore) -> None:
    wirecore.key("server")
    served = wirecore.serve("services:handlers", "--key", "server", "--inline")
    assert call(wirecore, served, "server", "Same", "--data", "hi").out == b"hi"
    line = wirecore(
        "wsrpc", "serve", "wirecore_cli.example:Ping", "--key", "server", "--inline"
    ).failed(2)
    assert line == "wirecore_cli.example:Ping: 'Ping' is async: inline is for plain functions"


def test_modules_are_looked_for_in_another_folder(wirecore: Wirecore) -> None:
    wirecore.key("server")
    (wirecore.folder / "app").mkdir()
    shutil.move(wirecore.folder / "services.py", wirecore.folder / "app" / "elsewhere.py")
    served = wirecore.serve("elsewhere:handlers", "--key", "server", "--app-dir", "app")
    assert call(wirecore, served, "server", "Same", "--data", "hi").out == b"hi"


def test_a_port_that_is_taken(wirecore: Wirecore) -> None:
    wirecore.key("server")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        command = ["wsrpc", "serve", "services:handlers", "--key", "server", "--listen", where]
        done = wirecore(*command)
    assert done.status == 1
    assert done.err.splitlines()[-1].startswith("wirecore: can't listen on 127.0.0.1")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--listen", "1337"], "an address is HOST:PORT"),
        (["--listen", "127.0.0.1:99999"], "its port isn't 0 to 65535"),
        (["--client", "bob.pub"], "--client: 'bob.pub' is neither a file nor 64 hex digits"),
        (["--clients", "nowhere"], "nowhere can't be read: No such file or directory"),
        (["--key", "nowhere"], "nowhere can't be read: No such file or directory"),
        (["--app-dir", "nowhere"], "Invalid value for '--app-dir': Directory 'nowhere' does not"),
    ],
)
def test_what_is_wrong_with_a_command_line(
    wirecore: Wirecore, arguments: list[str], says: str
) -> None:
    assert wirecore("keygen").status == 0
    assert says in wirecore("wsrpc", "serve", "services:handlers", *arguments).failed(2)
