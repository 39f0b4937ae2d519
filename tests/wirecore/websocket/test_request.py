"""What a request is, what is wrong with it, and where it may come from."""

from __future__ import annotations

import pytest

from wirecore.websocket import Request, origin_problem

UPGRADE = {
    b"host": b"example.com",
    b"upgrade": b"websocket",
    b"connection": b"Upgrade",
    b"sec-websocket-key": b"dGhlIHNhbXBsZSBub25jZQ==",
    b"sec-websocket-version": b"13",
}


def request(
    changes: dict[bytes, bytes | None] | None = None,
    *,
    method: str = "GET",
    target: str = "/",
    http_version: str = "1.1",
) -> Request:
    """A proper upgrade with *changes* made to its header; None takes a field out."""
    merged = {**UPGRADE, **(changes or {})}
    fields = [(name, value) for name, value in merged.items() if value is not None]
    return Request(method, target, fields, http_version)


def status(made: Request) -> int | None:
    return None if made.problem is None else made.problem.status


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {b"upgrade": b"WebSocket"},
        {b"upgrade": b"h2c, websocket"},
        {b"connection": b"keep-alive,upgrade"},
        {b"sec-websocket-extensions": b"foo; bar=1"},
        {b"origin": b"http://elsewhere"},
        {b"content-length": b"0"},
    ],
)
def test_proper_upgrades(changes: dict[bytes, bytes | None]) -> None:
    assert request(changes).problem is None


@pytest.mark.parametrize(
    "changes",
    [
        {b"upgrade": None},
        {b"upgrade": b"h2c"},
        {b"upgrade": b"websocket/13"},
        {b"connection": None},
        {b"connection": b"close"},
        {b"sec-websocket-key": None},
        {b"sec-websocket-key": b""},
        {b"sec-websocket-key": b"dGhlIHNhbXBsZSBub25j"},
        {b"sec-websocket-key": b"dGhlIHNhbXBsZSBub25jZQ"},
        {b"sec-websocket-key": b"dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ=="},
        {b"sec-websocket-key": b"\xff" * 24},
        {b"sec-websocket-protocol": b"a b"},
        {b"sec-websocket-protocol": b"\xff"},
        {b"sec-websocket-extensions": b"foo bar"},
        {b"content-length": b"7"},
        {b"transfer-encoding": b"chunked"},
    ],
)
def test_what_is_no_proper_upgrade_is_answered_with_400(
    changes: dict[bytes, bytes | None],
) -> None:
    assert status(request(changes)) == 400


@pytest.mark.parametrize("name", ["Origin", "origin", b"ORIGIN", b"origin"])
def test_a_field_is_found_by_any_spelling_of_its_name(name: str | bytes) -> None:
    assert request({b"origin": b"http://here"}).header(name) == b"http://here"
    assert request().header("authorization") is None


@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_only_http_1_1_has_this_upgrade(version: str) -> None:
    old = request(http_version=version)
    assert status(old) == 400
    assert old.is_upgrade


@pytest.mark.parametrize("method", ["POST", "OPTIONS", "HEAD", "CONNECT", "get"])
def test_other_methods_are_answered_with_405(method: str) -> None:
    problem = request(method=method).problem
    assert problem is not None
    assert problem.status == 405
    assert b"\r\nAllow: GET\r\n" in problem.encode()


@pytest.mark.parametrize("version", [None, b"8", b"12", b"013", b"13, 13"])
def test_another_version_is_told_the_one_there_is(version: bytes | None) -> None:
    problem = request({b"sec-websocket-version": version}).problem
    assert problem is not None
    assert problem.status == 426
    text = problem.encode()
    assert b"\r\nSec-WebSocket-Version: 13\r\n" in text
    assert b"\r\nUpgrade: websocket\r\n" in text
    assert b"\r\nConnection: close, Upgrade\r\n" in text


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/", "/", ""),
        ("/a%20b?x=1?2&y", "/a%20b", "x=1?2&y"),
        ("http://example.com/a?b", "/a", "b"),
        ("http://example.com", "/", ""),
        ("http://example.com?a=/b", "/", "a=/b"),
        ("/to?url=http://example.com/", "/to", "url=http://example.com/"),
        ("/://x", "/://x", ""),
        ("*", "*", ""),
        ("example.com:80", "example.com:80", ""),
    ],
)
def test_path_and_query(target: str, path: str, query: str) -> None:
    made = request(target=target)
    assert (made.path, made.query) == (path, query)


def test_fields_that_are_missing() -> None:
    made = request({b"host": None})
    assert made.host == ""
    assert made.origin is None
    assert made.header(b"cookie") is None
    assert made.subprotocols == ()


@pytest.mark.parametrize(
    ("host", "origin", "passes"),
    [
        (b"example.com", None, True),
        (b"example.com", b"http://example.com", True),
        (b"Example.COM", b"https://eXample.com", True),
        (b"example.com:8080", b"http://example.com:8080", True),
        (b"[::1]:80", b"http://[::1]:80", True),
        (b"example.com", b"http://user@example.com/path", True),
        (b"example.com", b"http://example.com:80", False),
        (b"example.com", b"http://example.com.evil", False),
        (b"example.com", b"http://evil?example.com", False),
        (b"example.com", b"http://evil#@example.com", False),
        (b"example.com", b"http://example.com, http://example.com", False),
        (b"example.com", b"example.com", False),
        (b"example.com", b"null", False),
        (b"example.com", b"", False),
        (b"", b"http://", False),
        (None, b"null", False),
    ],
)
def test_the_origin_must_be_the_host(
    host: bytes | None, origin: bytes | None, passes: bool
) -> None:
    problem = origin_problem(request({b"host": host, b"origin": origin}))
    assert (problem is None) is passes
    assert problem is None or problem.status == 403


def test_origins_may_be_listed() -> None:
    made = request({b"origin": b"https://App.example.org"})
    assert origin_problem(made, ["https://app.EXAMPLE.org"]) is None
    assert origin_problem(made, ["http://app.example.org"]) is not None
    assert origin_problem(request({b"origin": b"null"}), ["null"]) is None
