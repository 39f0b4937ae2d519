"""A griffe extension: docstrings as they are written here become Markdown.

They are written for ``help()``: with roles (:class:`~wirecore.errors.RpcError`), double
backticks, and code behind a double colon. Attributes have their words in comments that begin with
``#:`` above them.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import griffe

#: A role and what it names; a tilde leaves all but the last part out of the text.
_ROLE: Final = re.compile(r":(?:attr|class|data|exc|func|meth|mod):`(~?)([\w.]+)`")

#: The end of a paragraph that code follows, indented.
_CODE_FOLLOWS: Final = re.compile(r"::\n\n((?:[ ]{4,}.*(?:\n+|\Z))+)", re.MULTILINE)


def to_markdown(text: str, resolve: Callable[[str], str]) -> str:
    """*text* as Markdown; *resolve* gives the full path of a name that it mentions."""

    def role(match: re.Match[str]) -> str:
        tilde, name = match.groups()
        shown = name.rpartition(".")[2] if tilde else name
        # Optional: a name may be private, and have no place of its own to lead to.
        return f'<autoref identifier="{resolve(name)}" optional>`{shown}`</autoref>'

    return _ROLE.sub(role, _CODE_FOLLOWS.sub(_fence, text))


def _fence(match: re.Match[str]) -> str:
    code = textwrap.dedent(match[1]).rstrip()
    before = match.string[: match.start()]
    colon = "" if not before or before.endswith("\n") else ":"
    return f"{colon}\n\n```{_language(code)}\n{code}\n```\n\n"


def _language(code: str) -> str:
    try:
        compile(code, "docstring", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    except SyntaxError:
        return "text"
    return "python"


#: A constant of a module: a group of them, without a blank line, shares the words above it.
_CONSTANT: Final = re.compile(r"[A-Z_0-9]+: Final")


def comment_above(lines: list[str], line: int) -> str:
    """What the ``#:`` comment says that stands above *line* of *lines*, counted from 1."""
    said: list[str] = []
    if _CONSTANT.match(lines[line - 1]):
        while line > 1 and _CONSTANT.match(lines[line - 2]):
            line -= 1
    for above in reversed(lines[: line - 1]):
        text = above.strip()
        if not text.startswith("#:"):
            break
        said.insert(0, text[2:].strip())
    return "\n".join(said)


def resolver(obj: griffe.Object) -> Callable[[str], str]:
    """Finds what a name in the docstring of *obj* means: in its class first, as readers do."""

    def resolve(name: str) -> str:
        first, dot, rest = name.partition(".")
        scope: Any = obj
        while scope is not None:
            if first in getattr(scope, "all_members", {}):
                return f"{_home(scope.all_members[first])}{dot}{rest}"
            scope = scope.parent
        return name

    return resolve


def _home(found: griffe.Object | griffe.Alias) -> str:
    """Where *found* is defined; where it is imported from, if that is nothing of ours."""
    try:
        path: str = found.canonical_path
    except griffe.AliasResolutionError:
        path = found.path
    return path


class Docstrings(griffe.Extension):
    """Makes Markdown of every docstring once its package is loaded."""

    def on_attribute_instance(self, *, attr: griffe.Attribute, **_: Any) -> None:
        """An attribute was found: its words may stand above it."""
        file, line = attr.filepath, attr.lineno
        if attr.docstring is None and line is not None and isinstance(file, Path):
            words = comment_above(attr.lines_collection[file], line)
            if words:
                attr.docstring = griffe.Docstring(words, lineno=line, parent=attr)

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """A package is whole: names in its docstrings can be looked up."""
        self._convert(pkg)

    def _convert(self, obj: griffe.Object) -> None:
        if obj.docstring is not None:
            obj.docstring.value = to_markdown(obj.docstring.value, resolver(obj))
        for member in obj.members.values():
            if isinstance(member, griffe.Object):
                self._convert(member)
