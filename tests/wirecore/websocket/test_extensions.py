"""The grammar of Sec-WebSocket-Extensions, RFC 6455 section 9.1."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wirecore.websocket.extensions import Extension, parse_extensions


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"", []),
        (b" , ,\t", []),
        (b"foo", [Extension("foo")]),
        (b"foo, bar; baz=2", [Extension("foo"), Extension("bar", (("baz", "2"),))]),
        (b",foo ,, bar,", [Extension("foo"), Extension("bar")]),
        (
            b'foo;\ta ; b=1;c = "2" ,foo; d="\\3"',
            [
                Extension("foo", (("a", None), ("b", "1"), ("c", "2"))),
                Extension("foo", (("d", "3"),)),
            ],
        ),
    ],
)
def test_members_in_order(value: bytes, expected: list[Extension]) -> None:
    assert parse_extensions(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        b";a",
        b"foo bar",
        b"foo;",
        b"foo; a=",
        b"foo; =1",
        b'foo; a="',
        b'foo; a="b c"',
        b'foo; a=""',
        b'foo; a="b,c"',
        b'foo; a="b"c',
        b"foo=1",
        b"f\xc3\xa4",
        b"foo; a, ;",
        b'"foo"',
    ],
)
def test_a_broken_grammar(value: bytes) -> None:
    with pytest.raises(ValueError, match=r"at byte|isn't a token"):
        parse_extensions(value)


TOKENS = st.text("abcXYZ019-_.!#$%&'*+^`|~", min_size=1, max_size=8)


@given(
    st.lists(
        st.builds(Extension, TOKENS, st.lists(st.tuples(TOKENS, st.none() | TOKENS)).map(tuple)),
        max_size=4,
    )
)
def test_what_is_written_is_read_back(extensions: list[Extension]) -> None:
    assert parse_extensions(", ".join(map(str, extensions)).encode()) == extensions


@given(st.binary(max_size=40) | st.text('ab;,="\\ \t', max_size=40).map(str.encode))
def test_any_bytes_parse_or_raise_value_error(value: bytes) -> None:
    try:
        found = parse_extensions(value)
    except ValueError:
        return
    assert parse_extensions(", ".join(map(str, found)).encode()) == found
