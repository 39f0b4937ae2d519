"""``wirecore wsrpc call`` against ``wirecore wsrpc serve``: bytes in, bytes out, and failures."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Done, Serving, Wirecore

SERVICES = Path(__file__).with_name("services.py")

ALL_BYTES = bytes(range(256))


@pytest.fixture(scope="module")
def served(shared: Wirecore) -> Serving:
    """A server of bytes, for Alice."""
    shutil.copy(SERVICES, shared.folder)
    for name in ("server", "alice", "charlie"):
        shared.key(name)
    return shared.serve("services:handlers", "--key", "server", "--client", "alice.pub")


@pytest.fixture
def call(shared: Wirecore, served: Serving) -> Call:
    return Call(shared, served)


class Call:
    """Calls as Alice."""

    def __init__(self, wirecore: Wirecore, served: Serving) -> None:
        self.wirecore = wirecore
        self.keys = ["--key", "alice", "--server-key", "server.pub"]
        self.address = served.address

    def __call__(self, *arguments: str, stdin: bytes = b"") -> Done:
        command = ["wsrpc", "call", *self.keys, self.address, *arguments]
        return self.wirecore(*command, stdin=stdin)


def test_bytes_go_through_as_they_are(call: Call) -> None:
    done = call("Same", "--data", "-", stdin=ALL_BYTES)
    assert (done.status, done.out, done.err) == (0, ALL_BYTES, "")
    (call.wirecore.folder / "data").write_bytes(ALL_BYTES)
    assert call("Same", "--data", "@data").out == ALL_BYTES
    assert call("Same", "--data", "grüße").out == "grüße".encode()
    assert call("Same").out == b""


def test_bytes_in_hex(call: Call) -> None:
    done = call("Same", "--data-hex", ALL_BYTES.hex(), "--hex")
    assert done.text == ALL_BYTES.hex() + "\n"


def test_the_server_knows_who_called_by_key(call: Call, shared: Wirecore) -> None:
    public = shared("keygen", "--public", "alice").text
    assert call("Who", "--hex").text == public


def test_json_tells_of_each_call_on_a_line(call: Call) -> None:
    done = call("Same", "--data", "hi", "--count", "3", "--json")
    told = [json.loads(line) for line in done.text.splitlines()]
    assert [each.pop("milliseconds") > 0 for each in told] == [True] * 3
    assert told == [{"method": "Same", "reply_hex": b"hi".hex()}] * 3


def test_an_error_of_the_handler_is_told_with_its_text(call: Call) -> None:
    line = call("Fail", "--data", "the shop is closed").failed(1)
    assert line == "Fail answered with an error: the shop is closed"


def test_an_error_can_neither_forge_lines_nor_steer_the_terminal(call: Call) -> None:
    line = call("Fail", "--data", "one\nwirecore: two\x1b[2J").failed(1)
    assert line == r"Fail answered with an error: one wirecore: two\x1b[2J"


def test_a_method_that_isnt_served(call: Call) -> None:
    line = call("Nothing").failed(1)
    assert line == "Nothing answered with an error: unknown method: Nothing"


def test_no_answer_in_time(call: Call) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gate:
        port = str(gate.getsockname()[1])
        line = call("Hold", "--data", port, "--timeout", "1").failed(4)
    assert line.startswith(f"{call.address} gave no answer to 'Hold' within 1 s")


def test_a_key_that_isnt_listed_is_refused(call: Call) -> None:
    call.keys[1] = "charlie"
    assert "the server refused this client's public key" in call("Same").failed(3)


def test_a_server_with_another_key_is_refused(call: Call) -> None:
    call.keys[3] = "charlie.pub"
    assert "is not on the list of allowed server keys" in call("Same").failed(3)


def test_a_second_connection_of_a_key(call: Call) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gate:
        port = str(gate.getsockname()[1])
        first = call.wirecore.run("wsrpc", "call", *call.keys, call.address, "Hold", "-d", port)
        connection, _ = gate.accept()
        with connection:
            line = call("Same").failed(3)
            connection.sendall(b"and the first goes on")
    assert "while this key has another connection" in line
    assert first.end().out == b"and the first goes on"


def test_nobody_listens(shared: Wirecore) -> None:
    shared.key("lonely", "--force")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        line = shared("wsrpc", "call", f"127.0.0.1:{port}", "M", "--key", "lonely").failed(3)
    assert line.endswith(
        f"127.0.0.1 port {port} refused the connection: does a server listen there?"
    )


def test_who_listens_and_says_nothing(shared: Wirecore) -> None:
    shared.key("lonely", "--force")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        command = ["wsrpc", "call", f"127.0.0.1:{port}", "M", "--key", "lonely", "--timeout", "0.5"]
        assert "within 0.5 s" in shared(*command).failed(3)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["-d", "a", "--data-hex", "00"], "the request is given by --data or --data-hex"),
        (["--data-hex", "0"], "--data-hex takes hex digits, two for each byte, as 0a026869"),
        (["-d", "@nowhere"], "--data: nowhere can't be read: No such file or directory"),
        (["-I", "."], "--proto-path is for what --proto names"),
        (["--proto", "a.proto", "--hex"], "with --proto the data are JSON: leave out --hex"),
    ],
)
def test_a_request_that_cant_be_made(call: Call, arguments: list[str], says: str) -> None:
    assert call("Same", *arguments).failed(2).startswith(says)


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("127.0.0.1", "an address is HOST:PORT"),
        ("wss://127.0.0.1:1", "an address is HOST:PORT without a scheme"),
        ("127.0.0.1:0", "its port isn't 1 to 65535"),
    ],
)
def test_an_address_that_is_none(call: Call, address: str, says: str) -> None:
    call.address = address
    assert says in call("Same").failed(2)


def test_without_a_key_it_says_how_to_make_one(wirecore: Wirecore) -> None:
    line = wirecore("wsrpc", "call", "127.0.0.1:1", "M").failed(2)
    assert line.startswith("there is no key at ")
    assert line.endswith(": make one with 'wirecore keygen', or name one with --key")


def test_keys_are_taken_from_the_environment(call: Call) -> None:
    call.keys = []
    call.wirecore.environment |= {"WIRECORE_KEY": "alice", "WIRECORE_SERVER_KEY": "server.pub"}
    try:
        assert call("Same", "-d", "hi").out == b"hi"
    finally:
        del call.wirecore.environment["WIRECORE_KEY"]
        del call.wirecore.environment["WIRECORE_SERVER_KEY"]


@pytest.mark.skipif(sys.platform == "win32", reason="no Ctrl-C can be sent to a process there")
def test_ctrl_c_stops_a_call(call: Call) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gate:
        port = str(gate.getsockname()[1])
        calling = call.wirecore.run("wsrpc", "call", *call.keys, call.address, "Hold", "-d", port)
        connection, _ = gate.accept()
        with connection:
            calling.signal(signal.SIGINT)
            done = calling.end()
    assert (done.status, done.err.strip()) == (130, "wirecore: stopped")


def test_debug_shows_what_the_library_logs(call: Call) -> None:
    call.keys[1] = "charlie"
    done = call.wirecore("--debug", "wsrpc", "call", *call.keys, call.address, "Same")
    assert "\nwirecore.connect: connecting to " in f"\n{done.err}"
    assert done.status == 3


def test_a_server_key_that_was_forgotten_is_asked_for(wirecore: Wirecore) -> None:
    wirecore.key("server")
    wirecore.key("alice")
    served = wirecore.serve("wirecore_cli.example:handlers", "--key", "server")
    said = wirecore("wsrpc", "call", served.address, "Reverse", "--key", "alice").failed(3)
    assert "is not on the list of allowed server keys" in said
    assert said.endswith(
        "no --server-key was given, so that only the key of this client was expected"
    )
