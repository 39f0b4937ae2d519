"""Colours are for terminals, and for those who want them; bytes of a peer never steer one."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from wirecore_cli.messages import Answers, raw_codec

if TYPE_CHECKING:
    from tests.cli.conftest import Wirecore

needs_pty = pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")


def on_terminal(wirecore: Wirecore, *arguments: str, **environment: str) -> str:
    """What a terminal gets of a command, standard error included."""
    import pty

    main, side = pty.openpty()
    try:
        subprocess.run(
            [*wirecore.command, *arguments],
            check=False,
            cwd=wirecore.folder,
            env=wirecore.environment | {"TERM": "xterm-256color"} | environment,
            stdin=subprocess.DEVNULL,
            stdout=side,
            stderr=side,
        )
    finally:
        os.close(side)
    said = b""
    try:
        while chunk := os.read(main, 65536):
            said += chunk
    except OSError:  # how Linux says that the other side is closed
        pass
    finally:
        os.close(main)
    return said.decode()


@needs_pty
@pytest.mark.parametrize(
    "arguments", [["info"], ["info", "--json"], ["keygen", "--public", "nowhere"]]
)
def test_a_terminal_gets_colours_unless_it_asks_for_none(
    wirecore: Wirecore, arguments: list[str]
) -> None:
    coloured = on_terminal(wirecore, *arguments)
    assert "\x1b[" in coloured
    plain = on_terminal(wirecore, *arguments, NO_COLOR="1")
    assert "\x1b" not in plain
    assert "\x1b" not in on_terminal(wirecore, *arguments, TERM="dumb")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("payload", "shown"),
    [
        (b"hello\nworld", "hello\nworld\n"),
        ("grüße".encode(), "grüße\n"),
        (b"\x1b[2J", "1b5b324a\n"),
        (b"\xff\x00", "ff00\n"),
    ],
)
def test_an_answer_is_shown_as_text_where_it_is_harmless(
    monkeypatch: pytest.MonkeyPatch, payload: bytes, shown: str
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    Answers(raw_codec("M"), as_hex=False, as_json=False).show(payload, 0.0)
    assert terminal.getvalue() == shown


@needs_pty
def test_json_of_a_peer_does_not_steer_a_terminal(
    wirecore: Wirecore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """rich would print the characters that stand behind escapes."""
    program = "from wirecore_cli.terminal import tell_json; import sys; tell_json(sys.argv[1])"
    monkeypatch.setattr(wirecore, "command", (sys.executable, "-c", program))
    shown = on_terminal(wirecore, r'{"a": "\u009b31m\u009d0;x\u202egr\u00fc\u00dfe"}')
    assert not {"\x9b", "\x9d", "\u202e"} & set(shown)
    assert r"\u009b31m\u009d0;x\u202egr\u00fc\u00dfe" in shown
