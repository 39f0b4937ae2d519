"""An application that notes what it sees, and behaves as the case at hand says.

It runs on any server of ASGI: it awaits nothing but what ASGI gives it.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

Field: TypeAlias = tuple[bytes, bytes]

#: Marks a response as the application's: others are the server's own, in its own words.
MARK: Final = (b"X-App", b"yes")

#: Seconds for an application to come to its end.
PATIENCE: Final = 10.0


@dataclass
class Seen:
    """A request, as the application saw it.

    *end*: how its body ended, "whole" or "disconnect"; "unread" where nobody asked. *outcome*: what
    became of the application: "returned", or what it raised. *sent*: bytes of body that the server
    has taken of it.
    """

    method: str
    raw_path: bytes
    path: str
    query_string: bytes
    http_version: str
    scheme: str
    headers: tuple[Field, ...]
    body: bytes | bytearray = field(default_factory=bytearray)
    end: str = "unread"
    outcome: str = ""
    sent: int = 0


@dataclass
class Journal:
    """What one server's application saw; threads may write and read."""

    seen: list[Seen] = field(default_factory=list)
    running: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def begin(self, seen: Seen) -> None:
        """A request came."""
        with self.changed:
            self.seen.append(seen)
            self.running += 1
            self.changed.notify_all()

    def wait_for(self, count: int = 1) -> Seen:
        """Wait until *count* requests have come; the last of them."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.seen) >= count, PATIENCE), "none came"
            return self.seen[count - 1]

    def finish(self) -> None:
        """An application has ended."""
        with self.changed:
            self.running -= 1
            self.changed.notify_all()

    def take(self) -> tuple[Seen, ...]:
        """What was seen since this was asked last, once no application runs any more."""
        with self.changed:
            assert self.changed.wait_for(lambda: not self.running, PATIENCE), "one still runs"
            seen, self.seen = self.seen, []
            return tuple(seen)


class Exchange:
    """A request that an application of a case answers."""

    def __init__(self, seen: Seen, receive: Any, send: Any) -> None:
        self.seen = seen
        self._receive = receive
        self._send = send

    async def piece(self) -> bytes | None:
        """A piece of the body, perhaps an empty one; None behind its end, or if the caller went."""
        if self.seen.end != "unread":
            return None
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self.seen.end = "disconnect"
            return None
        self.seen.body += message.get("body", b"")
        if not message.get("more_body", False):
            self.seen.end = "whole"
        return message.get("body", b"")  # type: ignore[no-any-return] # ASGI's

    async def read(self) -> None:
        """The whole body, or what comes of it."""
        while await self.piece() is not None:
            pass

    async def start(self, status: int = 200, *fields: Field, **more: Any) -> None:
        """The head of the response."""
        await self._send(
            {"type": "http.response.start", "status": status, "headers": [MARK, *fields], **more}
        )

    async def body(self, data: bytes = b"", *, more: bool = False) -> None:
        """A piece of the response's body."""
        await self._send({"type": "http.response.body", "body": data, "more_body": more})
        self.seen.sent += len(data)

    async def answer(self, status: int, *fields: Field, body: bytes = b"") -> None:
        """A whole response."""
        await self.start(status, *fields)
        await self.body(body)

    async def message(self, **message: Any) -> None:
        """Any message."""
        await self._send(message)

    async def gone(self) -> None:
        """Wait until the caller has gone, or has the whole response."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.seen.end = "disconnect"


Script: TypeAlias = Callable[[Exchange], Awaitable[None]]


async def read_and_answer(exchange: Exchange) -> None:
    """What is done where nothing else is said."""
    await exchange.read()
    if exchange.seen.end == "whole":
        text = b"%d bytes" % len(exchange.seen.body)
        length = (b"Content-Length", b"%d" % len(text))
        await exchange.answer(200, (b"Content-Type", b"text/plain"), length, body=text)


class Recorder:
    """The application; *journal* is what it saw, *script* what it does but for ``/last``."""

    def __init__(self) -> None:
        self.journal = Journal()
        self.script: Script = read_and_answer

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """See ASGI; without a lifespan."""
        assert scope["type"] == "http"
        seen = Seen(
            scope["method"],
            scope["raw_path"],
            scope["path"],
            scope["query_string"],
            scope["http_version"],
            scope["scheme"],
            tuple((bytes(name), bytes(value)) for name, value in scope["headers"]),
        )
        self.journal.begin(seen)
        script = read_and_answer if seen.raw_path == b"/last" else self.script
        try:
            await script(Exchange(seen, receive, send))
        except BaseException as error:
            seen.outcome = type(error).__name__
            raise
        else:
            seen.outcome = "returned"
        finally:
            self.journal.finish()
