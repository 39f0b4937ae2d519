"""How a gateway finds a route: by what is meant, whichever way it is written."""

from __future__ import annotations

from typing import Any

import pytest

from wirecore_trio import rest
from wirecore_trio.rest.gateway import Gateway, Route
from wirecore_trio.rest.gateway._refusals import Refusal
from wirecore_trio.rest.gateway._way import find_way


def way(raw_path: bytes, *routes: Route, headers: Any = (), **more: Any) -> Any:
    """Where a request for *raw_path* goes."""
    scope = {
        "type": "http",
        "method": "GET",
        "http_version": "1.1",
        "scheme": "http",
        "path": raw_path.decode("latin-1"),
        "raw_path": raw_path,
        "query_string": b"",
        "headers": [(b"host", b"a.example"), *headers],
        "client": ("127.0.0.1", 1),
        **more,
    }
    return find_way(Gateway(rest.Server(), routes or None), scope)


@pytest.mark.parametrize(
    ("path", "name", "target", "prefix"),
    [
        (b"/api", "api", "/", b"/api"),
        (b"/api/", "api", "/", b"/api"),
        (b"/api/x", "api", "/x", b"/api"),
        (b"/%61pi/x%20y", "api", "/x%20y", b"/%61pi"),
        (b"/api//x", "api", "//x", b"/api"),
        (b"/api/../x", "api", "/../x", b"/api"),
        (b"/api/%2e%2e/x", "api", "/%2e%2e/x", b"/api"),
        (b"/caf%C3%A9/x", "café", "/x", b"/caf%C3%A9"),
        (b"/a%2Fb/x", "a%2Fb", "/x", b"/a%2Fb"),
        (b"/a%0D%0Ab/x", "a\r\nb", "/x", b"/a%0D%0Ab"),
    ],
)
def test_the_name_in_a_path(path: bytes, name: str, target: str, prefix: bytes) -> None:
    """What is taken off it is what was sent, and an escaped slash ends no name."""
    found = way(path)
    assert (found.route.name, found.target) == (name, target)
    assert (b"X-Forwarded-Prefix", prefix) in found.fields


@pytest.mark.parametrize("path", [b"/", b"//", b"//api", b"*", b"api/x"])
def test_a_path_without_a_name(path: bytes) -> None:
    with pytest.raises(Refusal, match="no route"):
        way(path)


def test_a_prefix_of_several_parts() -> None:
    route = Route(name="one", prefix="/a/b c", strip=True)
    for path in (b"/a/b%20c/d", b"/%61/%62%20c/d"):
        assert way(path, route).target == "/d"
    for path in (b"/a%2Fb%20c/d", b"/a/b%20cd", b"/a"):
        with pytest.raises(Refusal):
            way(path, route)


def test_an_absolute_target_says_the_host() -> None:
    """RFC 9112 section 3.2.2: it is routed by that, and passed on with that."""
    routes = (Route(name="a", host="a.example"), Route(name="b", host="b.example"))
    found = way(b"HTTP://b.example:81/x", *routes)
    assert (found.route.name, found.target) == ("b", "/x")
    assert [value for name, value in found.fields if name == b"host"] == [b"b.example:81"]
    assert (b"X-Forwarded-Host", b"b.example:81") in found.fields


def test_lengths_in_doubt_are_refused() -> None:
    headers = [(b"content-length", b"3"), (b"transfer-encoding", b"chunked")]
    with pytest.raises(Refusal) as caught:
        way(b"/api", headers=headers)
    assert (caught.value.status, caught.value.close) == (400, True)
