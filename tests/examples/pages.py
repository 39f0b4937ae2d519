"""The pages of the documentation, and the blocks of code on them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]

#: The first line of a program that is to be saved under a name.
_FILE = re.compile(r"# (\w+\.py)\n")

#: A line that prints, and what: behind it, or in the lines below the program.
_PROMISE = re.compile(r"^(?: *print\(.+\)|trio\.run\(main\)) +# (.+)$|^# (.+)$", re.MULTILINE)


class Block(NamedTuple):
    """A block of code on a page, and where it stands."""

    page: str
    line: int
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def file(self) -> str:
        """The name that the reader is to save it under; "" where there is none."""
        found = _FILE.match(self.text)
        return found[1] if found else ""

    @property
    def promised(self) -> str:
        """What the program says that it prints."""
        text = _FILE.sub("", self.text, count=1) if self.file else self.text
        return "".join(f"{beside or below}\n" for beside, below in _PROMISE.findall(text))


def text_of(name: str) -> str:
    """The page *name*, by its path in the repository."""
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(page: str, kind: str) -> list[Block]:
    """The blocks of *kind* (what stands behind the backticks) on *page*."""
    text = text_of(page)
    found = re.finditer(rf"^```{kind}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [Block(page, text.count("\n", 0, each.start()) + 2, kind, each[1]) for each in found]
