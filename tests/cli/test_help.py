"""Every example in every --help runs as it is printed."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click
import pytest

from tests.cli.conftest import Here
from wirecore_cli.command import wirecore as root

if TYPE_CHECKING:
    from tests.cli.conftest import Shell

needs_unix_sockets = pytest.mark.skipif(
    sys.platform == "win32", reason="no Unix sockets in Python there"
)

#: What the examples with --proto need beside them, and the one that serves a module.
FILES = {
    "ping.proto": """
syntax = "proto3";
package ping;
message PingRequest { string body = 1; }
message PingResponse { string body = 1; }
service Ping { rpc Ping(PingRequest) returns (PingResponse); }
""",
    "shop.py": """
from wirecore_cli.chat import server
from wirecore_cli.example import Ping as Shop
from wirecore_cli.example import app
""",
    "clients.txt": "# nobody yet\n",
}


def commands(
    command: click.Command = root, path: tuple[str, ...] = ("wirecore",)
) -> Iterator[tuple[str, click.Command]]:
    """All commands and groups, each with what calls it."""
    yield " ".join(path), command
    if isinstance(command, click.Group):
        for name, each in command.commands.items():
            yield from commands(each, (*path, name))


COMMANDS = dict(commands())


def help_of(name: str) -> str:
    command = COMMANDS[name]
    return command.get_help(click.Context(command, info_name=name))


def examples(name: str) -> list[str]:
    """The lines below the heading, as far as they are indented."""
    found = re.search(r"^ *Examples.*:\n((?:    +.+\n?)+)", help_of(name), re.MULTILINE)
    assert found is not None
    return [line.strip() for line in found[1].splitlines()]


def test_these_are_all() -> None:
    below = {"info", "keygen", "demo", "wsrpc", "wsrpc call", "wsrpc serve", "webwire"}
    below |= {f"webwire {each}" for each in ("request", "signal", "listen", "serve")}
    below |= {"pool"} | {f"pool {each}" for each in ("serve", "provide", "call", "top")}
    below |= {"tunnel", "tunnel gateway", "tunnel publish", "tap"}
    assert COMMANDS.keys() == {"wirecore"} | {f"wirecore {each}" for each in below}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_fits_a_terminal(name: str) -> None:
    assert max(len(line) for line in help_of(name).splitlines()) <= 100


#: Those of pools and tunnels have tests of their own below, that of the tap in tests/cli/tap.
OF_THEIR_OWN = ("wirecore pool", "wirecore tunnel", "wirecore tap")
OTHERS = [name for name in COMMANDS if not name.startswith(OF_THEIR_OWN)]


@pytest.mark.parametrize("name", OTHERS)
def test_examples_run_as_printed(shell: Shell, request: pytest.FixtureRequest, name: str) -> None:
    for file, text in FILES.items():
        (shell.wirecore.folder / file).write_text(text, encoding="utf-8")
    lines = examples(name)
    assert lines
    if "--proto" in " ".join(lines):
        request.getfixturevalue("protoc")
    # What the examples of the other commands have made by then.
    if name != "wirecore wsrpc":
        shell.run("wirecore keygen")
    if "--key server" in " ".join(lines):
        shell.run("wirecore keygen --out server")
    if name == "wirecore wsrpc call":
        shell.run("wirecore wsrpc serve wirecore_cli.example:Ping wirecore_cli.example:handlers &")
    if name.startswith("wirecore webwire "):
        shell.run("wirecore webwire serve wirecore_cli.chat:server &")
    for line in lines:
        shell.run(line)


def test_examples_of_webwire_print_what_they_should(shell: Shell) -> None:
    shell.run("wirecore webwire serve wirecore_cli.chat:server &")
    text, piped, in_hex, often, login, whoami = examples("wirecore webwire request")
    assert shell.run(text) == "hello"
    assert shell.run(piped) == "hello\n"
    assert shell.run(in_hex) == "00ff\n"
    assert shell.run(often).count('"reply": "hello"}\n') == 1000
    assert shell.run(login) == "hello alice"
    assert shell.run(whoami) == "alice"
    heard, _, in_json = examples("wirecore webwire listen")
    assert shell.run(heard) == "chat\thello\n"
    assert shell.run(in_json) == '{"name": "chat", "encoding": "utf8", "payload": "hello"}\n'


def test_examples_of_calls_print_what_they_should(shell: Shell) -> None:
    shell.run("wirecore keygen")
    shell.run("wirecore wsrpc serve wirecore_cli.example:Ping wirecore_cli.example:handlers &")
    (text, piped, in_hex, *_) = examples("wirecore wsrpc call")
    assert shell.run(text) == "olleh"
    assert shell.run(piped) == "\nolleh"
    assert shell.run(in_hex) == "0a07" + b"pong hi".hex() + "\n"


@needs_unix_sockets
def test_examples_of_pools_run_as_printed(
    shell: Shell, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One pool after the other, a provider of the last one, and calls of that."""
    tokens = shell.wirecore.folder / "tokens.txt"
    tokens.write_text("worker-1 a-secret\n")
    tokens.chmod(0o600)
    served, provided, called, watched = (
        examples(f"wirecore pool {each}") for each in ("serve", "provide", "call", "top")
    )
    assert {*examples("wirecore pool")} <= {*served, *provided, *called, *watched}
    for line in served:
        if shell.pool is not None:  # they have one socket, and the last one is called below
            shell.pool.signal(signal.SIGTERM)
            assert shell.pool.end().status == 0
        shell.run(line)
    for line in provided:
        assert shell.run(line).startswith("connected to ws://127.0.0.1:")
    here = Here(shell.wirecore, capsys, monkeypatch)
    assert [here.line(shell.with_addresses(line)).text for line in called] == [
        *('"the object object_id-1"\n', '"the object object_id-1"\n'),
        *("3\n", "1\n", '"event_id-1 is noted"\n'),
    ]
    for line in watched:
        assert "/pool" in here.line(line).text


def test_examples_of_tunnels_run_as_printed(shell: Shell) -> None:
    """The gateways one after the other, publishers of the last one, and a caller of that."""
    (shell.wirecore.folder / "shop.py").write_text(FILES["shop.py"], encoding="utf-8")
    tokens = shell.wirecore.folder / "tokens.txt"
    tokens.write_text("hello a-secret\n")
    tokens.chmod(0o600)
    for line in examples("wirecore tunnel gateway"):
        assert shell.run(line).startswith("listening on http://127.0.0.1:")
    for line in examples("wirecore tunnel publish"):
        assert shell.run(line).startswith("connected to ws://127.0.0.1:")
    *_, asked = examples("wirecore tunnel")
    *_, routed = examples("wirecore tunnel gateway")
    assert "--strip-route /api=hello" in routed
    assert shell.run(asked.replace("/hello/", "/api/")) == "hello from /api/world\n"
    for line in examples("wirecore tunnel"):
        said = shell.run(line)
    assert said == "hello from /hello/world\n"
