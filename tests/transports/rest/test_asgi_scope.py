"""What an application of ASGI learns of a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.transports.rest.applications import body, sends, start
from tests.transports.rest.memory_incoming import MemoryCaller, MemoryIncoming, serve
from wirecore_trio.rest._asgi import AsgiHandler

if TYPE_CHECKING:
    from tests.transports.conftest import Run


async def scope_of(incoming: MemoryIncoming, **options: Any) -> dict[str, Any]:
    """The scope that an application sees."""
    seen: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)
        await sends(start(), body())(scope, receive, send)

    await serve(AsgiHandler(app, **options), incoming)
    return seen[0]


def test_an_application_sees_the_request_as_it_was_sent(run: Run) -> None:
    async def story() -> None:
        metadata = {"name": "alice"}
        caller = MemoryCaller("[2001:db8::1]:4711", "an-id", metadata)
        incoming = MemoryIncoming(
            "put",
            "/caf%C3%A9/a%2Fb%FF?x=%20y&z",
            ((b"HOST", b"api.test:8080"), (b"X-Two", b"1"), (b"x-two", b"2")),
            scheme=b"wss",
            caller=caller,
        )
        state = {"pool": object()}
        scope = await scope_of(incoming, root_path="/api", state=state)
        assert scope == {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "PUT",
            "scheme": "https",
            "path": "/api/café/a/b\ufffd",
            "raw_path": b"/caf%C3%A9/a%2Fb%FF",
            "query_string": b"x=%20y&z",
            "root_path": "/api",
            "headers": [(b"host", b"api.test:8080"), (b"x-two", b"1"), (b"x-two", b"2")],
            "client": ("2001:db8::1", 4711),
            "server": ("api.test", 8080),
            "state": state,
            "extensions": {
                "wirecore.rest": {"id": "an-id", "metadata": metadata},
                "http.response.trailers": {},
            },
        }
        assert scope["state"] is not state
        assert scope["state"]["pool"] is state["pool"]

    run(story)


@pytest.mark.parametrize(
    ("target", "path", "raw_path", "query"),
    [
        ("/", "/", b"/", b""),
        ("*", "*", b"*", b""),
        ("/a?b?c", "/a", b"/a", b"b?c"),
        ("http://other.test/a/b?c", "/a/b", b"/a/b", b"c"),
        ("http://other.test", "/", b"/", b""),
        ("http://other.test?a/b", "/", b"/", b"a/b"),
    ],
)
def test_targets(run: Run, target: str, path: str, raw_path: bytes, query: bytes) -> None:
    async def story() -> None:
        scope = await scope_of(MemoryIncoming("OPTIONS", target))
        assert (scope["path"], scope["raw_path"], scope["query_string"]) == (path, raw_path, query)

    run(story)


@pytest.mark.parametrize(
    ("host", "scheme", "server"),
    [
        (b"api.test", b"http", ("api.test", 80)),
        (b"api.test", b"https", ("api.test", 443)),
        (b"api.test:81", b"wss", ("api.test", 81)),
        (b"[::1]", b"ws", ("::1", 80)),
        (b"[::1]:81", b"http", ("::1", 81)),
        (b"api.test:x", b"http", ("api.test", 80)),
        (b"", b"http", None),
        (None, b"http", None),
    ],
)
def test_the_server_is_the_one_that_the_caller_named(
    run: Run, host: bytes | None, scheme: bytes, server: tuple[str, int] | None
) -> None:
    async def story() -> None:
        fields = () if host is None else ((b"Host", host),)
        assert (await scope_of(MemoryIncoming(fields=fields, scheme=scheme)))["server"] == server

    run(story)


@pytest.mark.parametrize("address", ["a Unix socket", "", "an address that is gone"])
def test_a_caller_without_an_address(run: Run, address: str) -> None:
    async def story() -> None:
        scope = await scope_of(MemoryIncoming(caller=MemoryCaller(address)))
        assert scope["client"] is None

    run(story)


def test_connect_has_no_path(run: Run) -> None:
    async def story() -> None:
        scope = await scope_of(MemoryIncoming("CONNECT", "other.test:443"))
        assert (scope["path"], scope["raw_path"]) == ("", b"")

    run(story)


def test_http_1_0_is_offered_no_trailers(run: Run) -> None:
    async def story() -> None:
        scope = await scope_of(MemoryIncoming(version=b"1.0"))
        assert scope["http_version"] == "1.0"
        assert set(scope["extensions"]) == {"wirecore.rest"}
        assert (await scope_of(MemoryIncoming(version=b"2.0")))["http_version"] == "1.1"

    run(story)
