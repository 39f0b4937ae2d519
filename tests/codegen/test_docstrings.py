"""Comments as docstrings: whatever a comment says, the docstring says it and nothing happens."""

from __future__ import annotations

import ast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wirecore_codegen.docstrings import comment_text, docstring, one_line


def read_back(lines: list[str]) -> str:
    """What Python takes for the docstring of a function that has *lines* in it."""
    tree = ast.parse("\n".join(["def f():", *lines]))
    [function] = tree.body
    assert isinstance(function, ast.FunctionDef)
    assert len(function.body) == 1, "the docstring ended too early"
    text = ast.get_docstring(function, clean=False)
    assert text is not None
    return text


@given(st.text(st.characters(exclude_categories=["Cs"])))
@example('"')
@example('""""')
@example('ends in a "quote"')
@example("ends in a backslash\\")
@example('\\"')
@example("a\rb\x00c\x0cd\u2028e\u202ef")
@example('two\nlines "')
def test_a_docstring_says_what_the_comment_says(text: str) -> None:
    said = read_back(docstring(text, 4))
    first, *rest = text.split("\n")
    expected = [first, *((" " * 4 + line).rstrip(" ") for line in rest)]
    if rest:
        expected.append(" " * 4)
    assert said == "\n".join(expected)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_every_line_of_it_is_printable(text: str) -> None:
    assert all(line.isprintable() for line in docstring(text, 4))
    assert one_line(text).isprintable()


@pytest.mark.parametrize(
    ("leading", "trailing", "text"),
    [
        (" One line.\n", "", "One line."),
        (" First.\n\n   indented\n Last.\n", "", "First.\n\n  indented\nLast."),
        ("", " Behind.\n", "Behind."),
        (" Before.\n", " Behind.\n", "Before.\n\nBehind."),
        ("", "", ""),
        ("\tTab.\n", "", "Tab."),
        (" Windows.\r\n Lines.\r\n", "", "Windows.\nLines."),
    ],
)
def test_comments_lose_their_margin(leading: str, trailing: str, text: str) -> None:
    assert comment_text(leading, trailing) == text
