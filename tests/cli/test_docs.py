"""docs/cli.md: its lines run in their order, in one folder, and print what stands below them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Shell

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")

#: A block of a file, whose name stands before it, or of a console.
BLOCK = re.compile(r"(?:`([\w.]+)`[^`]*\n\n)?^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def plain(text: str) -> str:
    """*text* less what differs each time: keys, ports, times, and where the user's files are."""
    text = re.sub(r"[0-9a-f]{64}", "KEY", text)
    text = re.sub(r"127\.0\.0\.1:\d+", "ADDRESS", text)
    text = re.sub(r"\d+\.\d+", "TIME", text)
    text = re.sub(r"\S+/wirecore/(key|pool)", r"FOLDER/\1", text)
    return text.rstrip("\n")  # bytes of an answer come as they are, and end so


@pytest.mark.usefixtures("protoc")
def test_the_page_runs_from_top_to_bottom(shell: Shell) -> None:
    ran = 0
    for file, kind, text in BLOCK.findall(PAGE):
        if kind != "console":
            (shell.wirecore.folder / file).write_text(text, encoding="utf-8")
            continue
        for line, below in re.findall(r"^\$ (.+)\n((?:[^$].*\n)*)", text, re.MULTILINE):
            assert plain(shell.run(line)) == plain(below), line
            ran += 1
    assert ran == PAGE.count("\n$ ")
