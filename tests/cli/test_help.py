"""Every example in every --help runs as it is printed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click
import pytest

from wirecore_cli.command import wirecore as root

if TYPE_CHECKING:
    from tests.cli.conftest import Shell

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
    assert COMMANDS.keys() == {"wirecore"} | {f"wirecore {each}" for each in below}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_fits_a_terminal(name: str) -> None:
    assert max(len(line) for line in help_of(name).splitlines()) <= 100


@pytest.mark.parametrize("name", COMMANDS)
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
