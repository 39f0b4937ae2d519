"""Header fields that can't break a header, lists in fields, and whole responses."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

import h11
import pytest

from wirecore.errors import InvalidOption
from wirecore.websocket.http import (
    Response,
    check_fields,
    encode_head,
    find_field,
    has_token,
    is_token,
    split_list,
)


@pytest.mark.parametrize(
    "value",
    ["a\r\nSet-Cookie: x", "a\nb", "a\rb", "a\0b", b"a\r\n b", b"\x7f", b"a\x1bb"],
)
def test_a_field_value_can_not_begin_another_line(value: str | bytes) -> None:
    with pytest.raises(InvalidOption, match="no line break") as caught:
        check_fields([("X-Name", value)], frozenset())
    assert "Set-Cookie" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\nb", "ä", b"\xff", "a\0", '"a"'])
def test_a_field_name_is_a_token(name: str | bytes) -> None:
    with pytest.raises(InvalidOption):
        check_fields([(name, "x")], frozenset())


def test_reserved_names_are_refused_whatever_their_case() -> None:
    with pytest.raises(InvalidOption, match="'HOST' is set by the library"):
        check_fields([("HOST", "x")], frozenset({b"host"}))


def test_text_must_be_ascii_and_bytes_go_as_they_are() -> None:
    with pytest.raises(InvalidOption, match="'X-A' must be ASCII"):
        check_fields([("X-A", "ä")], frozenset())
    assert check_fields([("X-A", b" \xc3\xa4\t"), (b"X-B", "")], frozenset()) == [
        (b"X-A", b"\xc3\xa4"),
        (b"X-B", b""),
    ]


def test_lines_of_one_name_are_one_list() -> None:
    fields = [(b"via", b"a"), (b"host", b"h"), (b"via", b"b, c")]
    assert find_field(fields, b"via") == b"a, b, c"
    assert find_field(fields, b"date") is None
    assert split_list(find_field(fields, b"via")) == ["a", "b", "c"]


def test_lists_may_have_empty_members_and_tokens_any_case() -> None:
    assert split_list(b" ,a ,,\tb, ") == ["a", "b"]
    assert split_list(None) == []
    assert has_token(b"keep-alive, Upgrade", "upgrade")
    assert not has_token(b"upgrades", "upgrade")
    assert not has_token(None, "upgrade")


def test_tokens() -> None:
    assert is_token("wire.v1")
    assert not any(map(is_token, ["", "a b", "a,b", "ä", "a/b", "a\n"]))


def test_a_response_says_how_long_it_is_and_that_the_stream_ends() -> None:
    response = Response(200, [("Content-Type", "text/plain")], b"ok\n")
    assert response.encode() == (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n"
        b"Content-Length: 3\r\n\r\nok\n"
    )


def test_the_answer_to_head_has_the_length_and_no_body() -> None:
    head = Response(200, body=b"ok\n").encode(head_only=True)
    assert head.endswith(b"Content-Length: 3\r\n\r\n")


@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_a_body(status: int) -> None:
    assert b"Content-Length" not in Response(status).encode()
    with pytest.raises(InvalidOption, match="has no body"):
        Response(status, body=b"x")


def test_an_upgrade_field_is_listed_in_connection() -> None:
    text = Response(426, [("upgrade", "websocket")]).encode()
    assert b"\r\nConnection: close, Upgrade\r\n" in text


@pytest.mark.parametrize("status", [99, 101, 199, 600])
def test_only_final_statuses(status: int) -> None:
    with pytest.raises(InvalidOption, match=f"200 to 599, not {status}"):
        Response(status)


@pytest.mark.parametrize("name", ["Connection", "content-length", "Transfer-Encoding"])
def test_framing_is_not_the_callers_matter(name: str) -> None:
    with pytest.raises(InvalidOption, match="set by the library"):
        Response(200, [(name, "x")])


def test_headers_may_be_a_mapping() -> None:
    response = Response(200, {"Content-Type": "text/plain"}, b"ok")
    assert response.encode().startswith(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"status": "404"}, "status must be int, not str"),
        ({"body": "hi"}, "body must be bytes, not str: encode it"),
        ({"body": 5}, "body must be bytes, not int"),
        ({"reason": b"OK"}, "reason must be str or None, not bytes"),
        ({"headers": "TE: b"}, "headers must be a mapping or (name, value) pairs, not str"),
        ({"headers": ["tE"]}, "headers must be a mapping or (name, value) pairs: it holds str"),
        ({"headers": {"TE": None}}, "each of str or bytes: one holds NoneType"),
    ],
)
def test_arguments_of_a_wrong_type(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(TypeError, match=re.escape(text)):
        Response(**{"status": 200, **arguments})


def test_a_body_may_be_any_buffer() -> None:
    for body in (b"ok", bytearray(b"ok"), memoryview(b"ok")):
        assert Response(200, body=body).encode().endswith(b"Content-Length: 2\r\n\r\nok")


def test_reasons() -> None:
    assert Response(299).encode().startswith(b"HTTP/1.1 299 \r\n")
    assert Response(404, reason="Gone Fishing").encode().startswith(b"HTTP/1.1 404 Gone Fishing")
    with pytest.raises(InvalidOption, match="reason phrase"):
        Response(404, reason="a\r\nb")
    assert encode_head(101, None, []) == b"HTTP/1.1 101 Switching Protocols\r\n\r\n"


def test_fields_from_an_iterator_are_kept() -> None:
    response = Response(200, iter([("A", "1")]))
    assert response.encode() == response.encode()


@pytest.mark.parametrize("status", [s for s in HTTPStatus if s >= 200])
def test_h11_reads_every_response_back(status: HTTPStatus) -> None:
    body = b"" if status in (204, 304) else b"body"
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="GET", target="/", headers=[("Host", "h")]))
    client.send(h11.EndOfMessage())
    client.receive_data(Response(status, body=body).encode())
    head = client.next_event()
    assert isinstance(head, h11.Response)
    assert head.status_code == status
    if body:
        data = client.next_event()
        assert isinstance(data, h11.Data)
        assert data.data == body
    assert isinstance(client.next_event(), h11.EndOfMessage)
    assert client.their_state is h11.MUST_CLOSE
