"""How a gateway finds a route: by what is meant, whichever way it is written."""

from __future__ import annotations

from typing import Any

import pytest

from wirecore_trio import rest
from wirecore_trio.rest.gateway import Gateway, Route
from wirecore_trio.rest.gateway._fields import forwarded
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


@pytest.mark.parametrize(
    ("path", "query", "slashed"),
    [
        (b"/api", b"", b"./api/"),
        (b"/%61pi", b"a=/b", b"./%61pi/?a=/b"),
        (b"/a:b", b"", b"./a:b/"),
        (b"/%2F%2Fevil.example", b"", b"./%2F%2Fevil.example/"),
        (b"/api/", b"", None),
        (b"/api/x", b"", None),
    ],
)
def test_a_prefix_alone_is_for_another_path(
    path: bytes, query: bytes, slashed: bytes | None
) -> None:
    """A reference that stays with its host, whatever stands in it."""
    found = way(path, query_string=query)
    assert found.slashed == slashed
    assert found.target.partition("?")[2] == query.decode()


def test_a_prefix_that_stays_is_its_applications() -> None:
    assert way(b"/api", Route(name="one", prefix="/api")).slashed is None
    assert way(b"/a/b", Route(name="one", prefix="/a/b", strip=True)).slashed == b"./b/"
    with pytest.raises(Refusal):
        way(b"/apis", Route(name="one", prefix="/api", strip=True))


@pytest.mark.parametrize("name", ["..", ".", "%0A", "a%0D%0Ab", "%7F"])
def test_a_name_that_nobody_can_have(name: str) -> None:
    with pytest.raises(Refusal, match="no route"):
        way(f"/{name}/x".encode())


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


def passed_on(headers: Any, *, trusted: bool) -> dict[bytes, bytes]:
    """What a publisher is told of a request with *headers*, by names in lower case."""
    told = forwarded(
        headers,
        client="192.0.2.7",
        host=b"a.example",
        scheme="http",
        prefix=b"/inner",
        trusted=trusted,
        version="1.1",
    )
    assert len(told) == len({name.lower() for name, _ in told})
    return {name.lower(): value for name, value in told}


@pytest.mark.parametrize("name", [b"X-Forwarded-For", b"X-Forwarded-User", b"Forwarded"])
def test_a_caller_cant_have_the_front_unsay_him(name: bytes) -> None:
    """Whose front passes on a Connection that names what it adds itself."""
    headers = [(b"connection", b"close, " + name), (name.lower(), b"203.0.113.9")]
    told = passed_on(headers, trusted=True)
    assert told[name.lower()].startswith(b"203.0.113.9")
    assert b"connection" not in told
    told = passed_on(headers, trusted=False)
    assert told.get(name.lower(), b"192.0.2.7") == b"192.0.2.7"


def test_an_underscore_in_place_of_a_hyphen_is_a_callers() -> None:
    headers = [(b"x_forwarded_for", b"203.0.113.9"), (b"x_other", b"1")]
    for trusted in (False, True):
        told = passed_on(headers, trusted=trusted)
        assert b"x_forwarded_for" not in told
        assert told[b"x_other"] == b"1"


def test_prefixes_of_two_gateways_are_joined() -> None:
    for before in (b"/outer", b"/outer/"):
        headers = [(b"x-forwarded-prefix", before)]
        assert passed_on(headers, trusted=True)[b"x-forwarded-prefix"] == b"/outer/inner"
        assert passed_on(headers, trusted=False)[b"x-forwarded-prefix"] == b"/inner"
    assert passed_on([], trusted=True)[b"x-forwarded-prefix"] == b"/inner"
