"""A request in memory, for handlers: it holds them strictly to what ``Incoming`` lets them do.

The other side of it, the caller's, is :meth:`MemoryIncoming.feed` and those below.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import trio

from wirecore.errors import LocalLimitExceeded
from wirecore.protocols.rest.heads import (
    Fields,
    RequestHead,
    ResponseHead,
    check_request,
    check_response,
    check_trailers,
)
from wirecore_trio.rest._incoming import Gone, Handler, Incoming


class Misuse(BaseException):
    """A handler did what no handler may. No Exception: nobody is to catch it and go on."""


@dataclass
class MemoryCaller:
    """Who calls."""

    remote_address: str = "192.0.2.7:4711"
    id: str = "00000000-0000-4000-8000-000000000001"
    metadata: Any = None


class MemoryIncoming:
    """One request, *body* whole if not None; *room*: bytes that may be sent before :meth:`widen`.

    *max_head*: bytes that names and values of a response's fields may have.

    *happened*: what the handler did that the caller sees: ``("head", status, fields)``,
    ``("data", bytes)``, ``("end", trailers)`` and ``("reset", why)``. *misused*: what it did that
    it may not.
    """

    def __init__(
        self,
        method: str = "GET",
        target: str = "/",
        fields: Fields = ((b"Host", b"api.test"),),
        *,
        body: bytes | None = b"",
        scheme: bytes = b"http",
        version: bytes = b"1.1",
        room: float = math.inf,
        max_head: int = 65536,
        caller: MemoryCaller | None = None,
    ) -> None:
        self.head = RequestHead(method.encode(), target.encode(), fields, scheme, version)
        if method != "CONNECT" and "://" not in target:
            check_request(self.head)
        self.connection = caller or MemoryCaller()
        self.happened: list[tuple[Any, ...]] = []
        self.answered: int | None = None
        self.misused: list[str] = []
        #: How many pieces of the body the handler took.
        self.taken = 0
        self._pieces: deque[bytes] = deque()
        self._body_ended = False
        self._trailers: Fields | None = None
        self._read_all = False
        self._room = room
        self._max_head = max_head
        self._sent: ResponseHead | None = None
        self._size = 0
        self._over = False
        self._torn = False
        self._is_gone = trio.Event()
        self._callback: Callable[[], object] | None = None
        self._on_drain: Callable[[], object] | None = None
        self._is_draining = False
        self._busy: set[str] = set()
        self._lot = trio.lowlevel.ParkingLot()
        if body is not None:
            if body:
                self.feed(body)
            self.finish()

    # --- the caller's side ----------------------------------------------------------------------

    def feed(self, piece: bytes) -> None:
        """A piece of the request's body comes."""
        assert piece
        assert not self._body_ended
        self._pieces.append(piece)
        self._lot.unpark_all()

    def finish(self, trailers: Fields = ()) -> None:
        """The request's body is whole."""
        self._body_ended = True
        self._trailers = trailers
        self._lot.unpark_all()

    def go(self) -> None:
        """The caller goes, or gives up; nothing if it has the whole response already."""
        if not self._over:
            self._over = True
            self._is_gone.set()
            self._lot.unpark_all()
            if self._callback is not None:
                self._callback()

    def drain(self) -> None:
        """The handler's end waits for what it serves to end."""
        self._is_draining = True
        if self._on_drain is not None:
            self._on_drain()

    def widen(self, size: int) -> None:
        """The caller takes *size* more bytes."""
        self._room += size
        self._lot.unpark_all()

    async def wait_happened(self, count: int) -> None:
        """Wait until *count* things happened."""
        while len(self.happened) < count:
            await self._lot.park()

    @property
    def status(self) -> int:
        """Of the response that came."""
        return int(self._only("head")[1])

    @property
    def fields(self) -> dict[bytes, bytes]:
        """The response's, names in lower case."""
        return {name.lower(): value for name, value in self._only("head")[2]}

    @property
    def body(self) -> bytes:
        """What came of the response's body."""
        return b"".join(item[1] for item in self.happened if item[0] == "data")

    @property
    def pieces(self) -> list[bytes]:
        """The same as it came."""
        return [item[1] for item in self.happened if item[0] == "data"]

    @property
    def end(self) -> str:
        """How it ended: ``"end"``, ``"reset"`` or ``""``."""
        return next((item[0] for item in self.happened if item[0] in ("end", "reset")), "")

    def _only(self, kind: str) -> tuple[Any, ...]:
        (found,) = (item for item in self.happened if item[0] == kind)
        return found

    # --- the handler's side ---------------------------------------------------------------------

    @property
    def trailers(self) -> Fields:
        """See Incoming."""
        if not self._read_all or self._trailers is None:
            self._misuse("trailers were asked for before the body's end")
        return self._trailers

    @property
    def ended(self) -> bool:
        """See Incoming."""
        return self._body_ended

    async def receive(self) -> bytes | None:
        """See Incoming."""
        with self._alone("receive"):
            await trio.lowlevel.checkpoint()
            while not self._is_gone.is_set() and not self._pieces and not self._body_ended:
                await self._lot.park()
            if self._is_gone.is_set():
                raise Gone
            if self._pieces:
                self.taken += 1
                return self._pieces.popleft()
            self._read_all = True
            return None

    async def respond(
        self,
        status: int,
        fields: Fields,
        data: bytes = b"",
        *,
        end: bool = False,
        trailers: Fields = (),
    ) -> None:
        """See Incoming."""
        with self._alone("send"):
            self._check_going("respond", end, trailers)
            if self._sent is not None:
                self._misuse("respond() came twice")
            head = ResponseHead(status, list(fields))
            check_response(head)
            check_trailers(trailers)
            is_websocket = self.head.is_websocket
            if not 200 <= status <= 999 and not (status == 101 and is_websocket):
                self._misuse(f"a status of {status}")
            size = sum(len(name) + len(value) for name, value in fields)
            if size > self._max_head:
                raise LocalLimitExceeded("max_head", size, self._max_head)
            self.answered = status
            self._sent = head
            await self._put(data, end, trailers, ("head", status, head.fields))

    async def send(self, data: bytes, *, end: bool = False, trailers: Fields = ()) -> None:
        """See Incoming."""
        with self._alone("send"):
            self._check_going("send", end, trailers)
            if self._sent is None:
                self._misuse("send() came before respond()")
            if not data and not end:
                self._misuse("an empty piece")
            check_trailers(trailers)
            await self._put(data, end, trailers)

    async def send_whole(self, data: bytes, *, end: bool = False) -> bool:
        """See Incoming; one at a time is sent here, and it isn't cancelled."""
        if self._over:
            self._raise_gone()
            return False
        with trio.CancelScope(shield=True):
            await self.send(data, end=end)
        return True

    def reset(self, why: str) -> None:
        """See Incoming."""
        if not why:
            self._misuse("a reset without a reason")
        if not self._over:
            self._over = True
            self._callback = None
            self._note("reset", why)

    async def wait_gone(self) -> None:
        """See Incoming."""
        await self._is_gone.wait()

    def on_gone(self, callback: Callable[[], object]) -> None:
        """See Incoming."""
        if self._callback is not None:
            self._misuse("two callbacks")
        self._callback = callback
        if self._is_gone.is_set():
            callback()

    def hold(self, size: int) -> bool:
        """See Incoming."""
        return True

    def on_drain(self, callback: Callable[[], object]) -> None:
        """See Incoming."""
        self._on_drain = callback
        if self._is_draining:
            callback()

    # --- rules ----------------------------------------------------------------------------------

    async def _put(
        self, data: bytes, end: bool, trailers: Fields, head: tuple[Any, ...] | None = None
    ) -> None:
        assert self._sent is not None
        if not isinstance(data, bytes):
            self._misuse(f"a body of {type(data).__name__}")
        bodiless = self.head.method == b"HEAD" or self._sent.status in (204, 304)
        if bodiless and data:
            self._misuse("a body where there is none")
        self._size += len(data)
        declared = [int(v) for n, v in self._sent.fields if n.lower() == b"content-length"]
        wrong = declared and (self._size > declared[0] or (end and self._size < declared[0]))
        if wrong and not bodiless:
            self._misuse("a body of another length than declared")
        if any(name.lower() == b"transfer-encoding" for name, _ in self._sent.fields):
            self._misuse("Transfer-Encoding is the wire's")
        self._torn = True
        await trio.lowlevel.checkpoint()
        self._raise_gone()
        if head is not None:
            self._note(*head)
        while data:
            while not self._room:
                await self._lot.park()
                self._raise_gone()
            size = len(data) if self._room == math.inf else min(len(data), int(self._room))
            self._room -= size
            self._note("data", data[:size])
            data = data[size:]
        self._torn = False
        if end:
            self._over = True
            self._callback = None
            self._note("end", tuple(trailers))

    def _raise_gone(self) -> None:
        if self._is_gone.is_set():
            raise Gone

    def _check_going(self, what: str, end: bool, trailers: Fields) -> None:
        if trailers and not end:
            self._misuse("trailers before the end")
        if self._torn and not self._is_gone.is_set():
            self._misuse(f"{what}() came after one that was cancelled or failed half-way")
        if self._over and not self._is_gone.is_set():
            self._misuse(f"{what}() came after the end")

    def _note(self, *item: Any) -> None:
        self.happened.append(item)
        self._lot.unpark_all()

    @contextmanager
    def _alone(self, what: str) -> Iterator[None]:
        if what in self._busy:
            self._misuse(f"two tasks {what} at once")
        self._busy.add(what)
        try:
            yield
        finally:
            self._busy.discard(what)

    def _misuse(self, text: str) -> NoReturn:
        self.misused.append(text)
        raise Misuse(text)

    def check_over(self) -> None:
        """Fail if the handler left the exchange open, or did what it may not."""
        assert self.misused == []
        assert self._over, "the handler returned, and neither ended the response nor reset it"


#: Checked by mypy: it is one.
_IS_ONE: Final[type[Incoming]] = MemoryIncoming


async def serve(handler: Handler, *requests: MemoryIncoming) -> Sequence[MemoryIncoming]:
    """Have *handler* serve *requests* one after the other, and check what it did."""
    for request in requests:
        await handler(request)
        request.check_over()
    return requests
