"""docs/tap.md, and the examples of ``wirecore tap --help``: they run, and print what they say."""

from __future__ import annotations

import re
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import Running
from tests.cli.test_help import FILES, examples
from wirecore_cli.tap.command import _PROTOCOLS
from wirecore_cli.tap.guessing import PROTOCOLS

if TYPE_CHECKING:
    from tests.cli.conftest import Shell

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the lines are for a POSIX shell")

PAGE = (Path(__file__).parents[3] / "docs" / "tap.md").read_text(encoding="utf-8")

#: A line of a console, and what stands below it.
LINE = re.compile(r"^\$ (.+)\n((?:[^$`].*\n)*)", re.MULTILINE)


def plain(text: str) -> str:
    """*text* less what differs each time: keys, ports, times, bytes of heads that hold these."""
    text = re.sub(r"[0-9a-f]{64}", "KEY", text)
    text = re.sub(r"127\.0\.0\.1:\d+", "ADDRESS", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z?", "WHEN", text)
    text = re.sub(r"WHEN.*$", "WHEN", text, flags=re.MULTILINE)  # it isn't always as long
    text = re.sub(r" *\b\d+\.\d+", " TIME", text)
    text = re.sub(r"frames, [\d.]+ k?B", "frames, BYTES", text)
    return re.sub(r"-created +\d+ B", "-created SIZE", text).rstrip("\n")


def test_the_page_runs_from_top_to_bottom(shell: Shell) -> None:
    tapping: Running | None = None
    printed = ""
    lines = LINE.findall(PAGE)
    for printed_line, below in lines:
        line = printed_line
        if line.startswith("wirecore tap "):
            line = line.replace("ws://127.0.0.1:8080", "ws://127.0.0.1:8080/")
            command = shell.with_addresses(line).replace(" 8000 ", " 0 ")
            tapping = Running(shell.wirecore.start("sh", "-c", f"exec {command}"))
            said = tapping.line()
            port = re.search(r"127\.0\.0\.1:(\d+) for", said)
            assert port is not None, said or tapping.end().err
            shell.addresses["127.0.0.1:8000"] = f"127.0.0.1:{port[1]}"
            # Its output is there when it has ended.
            expected, printed = below, said
            ends_by_itself = " --count " in line
            continue
        assert plain(shell.run(line)) == plain(below), line
        if tapping is not None and (ends_by_itself or " login " in line):
            if not ends_by_itself:
                tapping.signal(signal.SIGINT)
            done = tapping.end()
            tapping = None
            assert done.status == 0
            # Which end is through first isn't certain.
            said = printed + done.text
            assert sorted(plain(said).splitlines()) == sorted(plain(expected).splitlines())
    assert len(lines) == PAGE.count("\n$ ")


def test_examples_of_the_help_run(shell: Shell, request: pytest.FixtureRequest) -> None:
    request.getfixturevalue("protoc")
    (shell.wirecore.folder / "ping.proto").write_text(FILES["ping.proto"])
    shell.run("wirecore keygen")
    lines = examples("wirecore tap")
    assert len(lines) == 4
    for line in lines:
        command = line.replace(" 8000 ", " 0 ")
        tapping = Running(shell.wirecore.start("sh", "-c", f"exec {command}"))
        assert " listening " in tapping.line()
        tapping.signal(signal.SIGINT)
        assert tapping.end().status == 0


def test_the_page_names_all_protocols() -> None:
    assert PROTOCOLS == _PROTOCOLS
    for each in PROTOCOLS:
        assert f"`{each}`" in PAGE
