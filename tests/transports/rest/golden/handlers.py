"""The handlers of the recording as one application of ASGI: a write there is a body here.

``tests/vectors/README.md`` tells of the recording. What a flush there sends alone is a message of
its own here as well; a type of content that the original made up is said here.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from hashlib import sha256
from itertools import count
from typing import Any, Final
from urllib.parse import parse_qs

import trio

from tests.transports.rest.world import read
from wirecore.protocols.rest.gohttp import canonical

TEXT: Final = b"text/plain; charset=utf-8"
JSON: Final = b"application/json"

#: Seconds between what /notify says.
_TICK: Final = 0.2

_NO_SNIFF: Final = (b"x-content-type-options", b"nosniff")


def pattern(size: int) -> bytes:
    """So many bytes of a body."""
    return (b"abcdefghijklmnopqrstuvwxyz" * (size // 26 + 1))[:size]


class Handlers:
    """The application. *note*: is told what handlers noted; :attr:`callers`: who has asked."""

    def __init__(self, note: Callable[[str], object]) -> None:
        self._note = note
        self._list: dict[int, dict[str, Any]] = {1: {"id": 1, "text": "write tests", "done": False}}
        self.callers: set[object] = set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return  # it knows no lifespan
        self.callers.add(scope["client"])
        first = scope["path"].split("/")[1]
        handler: Callable[[_Call], Awaitable[None]] = getattr(self, f"_{first}", self._nosuch)
        if "/../" in scope["path"]:
            handler = self._elsewhere
        await handler(_Call(scope, receive, send))

    async def _simple(self, call: _Call) -> None:
        await call.answer(b"Hello, wirecore!")

    async def _empty(self, call: _Call) -> None:
        await call.answer(b"")

    async def _body(self, call: _Call) -> None:
        await call.answer(pattern(int(call.path.rpartition("/")[2])))

    async def _writes(self, call: _Call) -> None:
        await call.start()
        for place in range(3):
            await call.write(pattern(1500), more=place < 2)

    async def _declared(self, call: _Call) -> None:
        await call.start(fields=[(b"content-length", b"5000")])
        for place in range(5):
            await call.write(pattern(1000), more=place < 4)

    async def _flushheaders(self, call: _Call) -> None:
        await call.start()
        await call.write(b"", more=True)
        await trio.sleep(0.05)
        await call.write(b"after the headers")

    async def _doubleflush(self, call: _Call) -> None:
        await call.start()
        await call.write(b"one", more=True)
        await call.write(b"", more=True)
        await call.write(b"two")

    async def _stream(self, call: _Call) -> None:
        await call.start()
        for number in range(int(call.query["n"])):
            await call.write(b"Chunk #%d\n" % (number + 1), more=True)
            await trio.sleep(int(call.query["ms"]) / 1000)
        await call.write(b"")

    async def _slow(self, call: _Call) -> None:
        await trio.sleep(int(call.query["ms"]) / 1000)
        await call.answer(b"slow " + call.query["ms"].encode())

    async def _trailers(self, call: _Call) -> None:
        await call.start(fields=[(b"trailer", b"X-Sum, X-Count")], trailers=True)
        await call.write(b"body with trailers")
        trailers = [(b"x-sum", b"abc123"), (b"x-count", b"18")]
        await call.send({"type": "http.response.trailers", "headers": trailers})

    async def _echo(self, call: _Call) -> None:
        await trio.sleep(int(call.query.get("wait", 0)) / 1000)
        body = await read(call.receive)
        digest = sha256(body).hexdigest().encode()
        kind = TEXT if b"\x00" not in body else b"application/octet-stream"
        fields = [(b"x-read", b"%d" % len(body)), (b"x-sha256", digest)]
        await call.answer(body, fields=fields, kind=kind)

    async def _headers(self, call: _Call) -> None:
        fields = [
            (b"zulu", b"last"),
            (b"set-cookie", b"a=1"),
            (b"set-cookie", b"b=2"),
            (b"alpha", b"first"),
            (b"connection", b"close"),
            (b"x-correlation-id", b"handlers-own"),
        ]
        await call.answer(b"ok", fields=fields, kind=b"text/x-own")

    async def _dump(self, call: _Call) -> None:
        headers: dict[bytes, list[str]] = {}
        for name, value in call.scope["headers"]:
            headers.setdefault(name, []).append(json.dumps(value.decode()))
        host = "".join(headers.pop(b"host", ['""']))
        url = (call.scope["raw_path"] + b"?" + call.scope["query_string"]).decode().rstrip("?")
        method, version = call.scope["method"], call.scope["http_version"]
        # Who asks was nobody in the recording: see `callers`.
        lines = [f'{method} {url} HTTP/{version} host={host} remote="" url="{url}"']
        lines += [
            f"{canonical(name).decode()}: [{' '.join(headers[name])}]" for name in sorted(headers)
        ]
        await call.answer("".join(f"{line}\n" for line in lines).encode())

    async def _status(self, call: _Call) -> None:
        await call.answer(b"", status=int(call.path.rpartition("/")[2]))

    async def _boom(self, call: _Call) -> None:
        await call.answer(b"it broke\n", status=500, fields=[_NO_SNIFF])

    async def _panic(self, call: _Call) -> None:
        raise RuntimeError("handler panics")

    async def _nosuch(self, call: _Call) -> None:
        await call.answer(b"404 page not found\n", status=404, fields=[_NO_SNIFF])

    async def _elsewhere(self, call: _Call) -> None:
        text = b'<a href="/simple">Moved Permanently</a>.\n\n'
        kind = b"text/html; charset=utf-8"
        await call.answer(text, status=301, fields=[(b"location", b"/simple")], kind=kind)

    async def _todos(self, call: _Call) -> None:
        number = int(call.path.removeprefix("/todos").removeprefix("/") or 0)
        body = await read(call.receive)
        match call.scope["method"]:
            case "POST":
                number = max(self._list) + 1
                self._list[number] = {"id": number, **json.loads(body)}
                where = [(b"location", f"/todos/{number}".encode())]
                await call.answer(_json(self._list[number]), status=201, fields=where, kind=JSON)
            case "PUT":
                self._list[number] = {"id": number, **json.loads(body)}
                await call.answer(_json(self._list[number]), kind=JSON)
            case "DELETE":
                del self._list[number]
                await call.answer(b"", status=204)
            case _:
                await call.answer(_json(list(self._list.values())), kind=JSON)

    async def _notify(self, call: _Call) -> None:
        """Streams until it learns that its caller has gone."""
        await call.start()
        over = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch, call, over)
            for number in count(1):
                if over.is_set():
                    break
                await call.write(b"tick %d\n" % number, more=True)
                with trio.move_on_after(_TICK):
                    await over.wait()
        await call.write(b"")

    async def _watch(self, call: _Call, over: trio.Event) -> None:
        while (await call.receive())["type"] != "http.disconnect":
            pass
        self._note("the handler knows of the end")
        over.set()


class _Call:
    """A request, and how it is answered."""

    def __init__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope = scope
        self.receive = receive
        self.send = send
        self.path: str = scope["path"]
        queries = parse_qs(scope["query_string"].decode())
        self.query = {name: values[0] for name, values in queries.items()}

    async def start(
        self,
        status: int = 200,
        fields: list[tuple[bytes, bytes]] | None = None,
        kind: bytes = TEXT,
        *,
        trailers: bool = False,
    ) -> None:
        """The head; *kind*: of content."""
        headers = list(fields or ())
        if status not in (204, 304):
            headers.append((b"content-type", kind))
        message = {"type": "http.response.start", "status": status, "headers": headers}
        await self.send({**message, "trailers": trailers})

    async def write(self, data: bytes, *, more: bool = False) -> None:
        """A piece of the body."""
        await self.send({"type": "http.response.body", "body": data, "more_body": more})

    async def answer(
        self,
        body: bytes,
        *,
        status: int = 200,
        fields: list[tuple[bytes, bytes]] | None = None,
        kind: bytes = TEXT,
    ) -> None:
        """A whole response."""
        await self.start(status, fields, kind)
        await self.write(body)


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
