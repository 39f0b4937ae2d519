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


def comment_above(lines: list[str], line: int) -> str:
    """What the ``#:`` comment says that ends above *line* of *lines*, which are counted from 1."""
    said: list[str] = []
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
                found = scope.all_members[first]
                return f"{found.canonical_path}{dot}{rest}"
            scope = scope.parent
        return name

    return resolve


class Docstrings(griffe.Extension):
    """Makes Markdown of every docstring once its package is loaded."""

    def on_attribute_instance(self, *, attr: griffe.Attribute, **_: Any) -> None:
        """An attribute was found: its words may stand above it."""
        if attr.docstring is None and attr.lineno is not None:
            words = comment_above(attr.lines_collection[attr.filepath], attr.lineno)
            if words:
                attr.docstring = griffe.Docstring(words, lineno=attr.lineno, parent=attr)

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """A package is whole: names in its docstrings can be looked up."""
        self._convert(pkg)

    def _convert(self, obj: griffe.Object) -> None:
        if obj.docstring is not None:
            obj.docstring.value = to_markdown(obj.docstring.value, resolver(obj))
        for member in obj.members.values():
            if isinstance(member, griffe.Object):
                self._convert(member)
