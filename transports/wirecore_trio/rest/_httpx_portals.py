"""httpx2 and httpx on asyncio and in plain threads: transports through a portal."""

from __future__ import annotations

import math
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from contextlib import suppress
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

import trio

from wirecore.errors import InvalidState
from wirecore.protocols.rest.heads import ResponseHead

from .._arguments import require_type
from .._asyncio_portal import AsyncioPortal
from .._blocking_portal import BlockingPortal
from ._call import Call
from ._httpx import Sending, is_small, made, mapped, receive
from ._requesting import Content, Requesting

if TYPE_CHECKING:
    import asyncio

#: Bytes of a body, at least, that cross over at once, where they are there.
_BATCH: Final = 256 * 1024


class _Answer:
    """A response on trio, whose body is fetched from elsewhere, as much as is there each time."""

    def __init__(self, library: Any, call: Call, request: Any, head: ResponseHead) -> None:
        self._library = library
        self._call = call
        self._request = request
        self.head = head
        #: What was there at once; *ended*: and that was all of it.
        self.data = b""
        self.ended = False

    async def begin(self) -> _Answer:
        """Take what came with the head."""
        self.data = await self._collect(b"")
        return self

    async def fetch(self) -> bytes:
        """Some of the body; *ended* says whether more follows. Raises the library's errors."""
        piece = await receive(self._library, self._call, self._request)
        if piece is None:
            await self._end()
            return b""
        return await self._collect(piece)

    async def _collect(self, first: bytes) -> bytes:
        call = self._call
        parts = [first]
        size = len(first)
        while size < _BATCH:
            ended = call.ended  # before: more may come between giving up and going on
            with trio.CancelScope(deadline=-math.inf):  # wait for nothing
                piece = await call.receive()
                if piece is not None:
                    parts.append(piece)
                    size += len(piece)
                    continue
            if ended and call.error is None:
                await self._end()
            break
        return b"".join(parts)

    async def _end(self) -> None:
        self.ended = True
        await self._call.leave()

    async def leave(self) -> None:
        """See Call."""
        await self._call.leave()


class _Through(Sending):
    """What sends requests through a portal: from elsewhere to trio."""

    def __init__(self, portal: Any, connection: Requesting) -> None:
        super().__init__(connection)
        self._portal = portal

    async def _answer(self, request: Any, content: Content) -> _Answer:
        call, head = await self._exchange(request, content)
        try:
            return await _Answer(self._library, call, request, head).begin()
        except BaseException:
            await call.leave()
            raise


# --- asyncio --------------------------------------------------------------------------------------


class _Handed:
    """A request's body, on trio, whose pieces a task on asyncio hands over, one by one."""

    def __init__(self) -> None:
        self._sender, self._receiver = trio.open_memory_channel[bytes](0)
        self._error: Exception | None = None

    async def put(self, piece: bytes) -> None:
        """Wait until *piece* is wanted. Raises trio.BrokenResourceError once no more is."""
        await self._sender.send(piece)

    async def end(self, error: Exception | None) -> None:
        """That was all, or *error* has broken it off."""
        self._error = error
        await self._sender.aclose()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await self._receiver.receive()
        except trio.EndOfChannel:
            raise self._error or StopAsyncIteration from None

    async def aclose(self) -> None:
        """No more is wanted."""
        await self._receiver.aclose()


class _Upload:
    """A task on asyncio that reads *stream*, a request's body, as its pieces are wanted on trio."""

    def __init__(self, portal: AsyncioPortal, stream: AsyncIterable[bytes]) -> None:
        import asyncio

        self.content = _Handed()
        self._portal = portal
        self._stream = stream
        self._task: asyncio.Task[None] = asyncio.create_task(self._run())

    async def _run(self) -> None:
        portal, content = self._portal, self.content
        iterator = aiter(self._stream)
        error: Exception | None = None
        try:
            async for piece in iterator:
                await portal.run(content.put, piece)
        except (trio.BrokenResourceError, InvalidState):
            pass
        except Exception as problem:  # noqa: BLE001 - raised to who waits for the response
            error = problem
        finally:
            close = getattr(iterator, "aclose", None)
            if close is not None:
                await close()
        with suppress(InvalidState):
            await portal.run(content.end, error)

    async def stop(self) -> None:
        """Cancel it, and wait for its end."""
        import asyncio

        self._task.cancel()
        await asyncio.wait([self._task])


class _AsyncioBody:
    def __init__(self, portal: AsyncioPortal, answer: _Answer, upload: _Upload | None) -> None:
        self._portal = portal
        self._answer = answer
        self._upload = upload

    async def __aiter__(self) -> AsyncIterator[bytes]:
        answer = self._answer
        data, answer.data = answer.data, b""
        if data:
            yield data
        while not answer.ended:
            with mapped(answer._library):
                data = await self._portal._call(answer.fetch)
            if data:
                yield data

    async def aclose(self) -> None:
        try:
            if not self._answer.ended:
                with suppress(InvalidState):  # the portal was left, and all else with it
                    await self._portal._call(self._answer.leave)
        finally:
            if self._upload is not None:
                await self._upload.stop()


class _AsyncioTransport(_Through):
    """As Transport, on asyncio: sends requests over *connection*, which lives in *portal*.

        async with AsyncioPortal() as portal, portal.entered(rest.connect(url)) as client:
            async with httpx2.AsyncClient(transport=AsyncioTransport(portal, client)) as http:
                ...

    Bodies are made and read on asyncio. Used by any number of tasks, on the portal's loop.
    """

    _body: Any

    def __init__(self, portal: AsyncioPortal, connection: Requesting) -> None:
        require_type("portal", portal, AsyncioPortal)
        super().__init__(portal, connection)

    async def handle_async_request(self, request: Any) -> Any:
        """See the library."""
        upload: _Upload | None = None
        content: Content
        if is_small(request):
            content = b"".join([piece async for piece in request.stream])
        else:
            upload = _Upload(self._portal, request.stream)
            content = upload.content
        call = partial(self._answer, request, content)
        try:
            with mapped(self._library):
                answer = await self._portal._call(call, self._undo)
        except BaseException:
            if upload is not None:
                await upload.stop()
            raise
        return self._response(answer.head, self._body(self._portal, answer, upload))

    async def _undo(self, answer: _Answer) -> None:
        await self._portal._call(answer.leave)


# --- plain threads --------------------------------------------------------------------------------


async def _pulled(stream: Iterable[bytes]) -> AsyncIterator[bytes]:
    """The pieces of *stream*, each made in a thread of trio's: its maker waits for the response."""
    iterator = iter(stream)
    while (piece := await trio.to_thread.run_sync(next, iterator, None)) is not None:
        yield piece


class _SyncBody:
    def __init__(self, portal: BlockingPortal, answer: _Answer) -> None:
        self._portal = portal
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        answer = self._answer
        data, answer.data = answer.data, b""
        if data:
            yield data
        while not answer.ended:
            with mapped(answer._library):
                data = self._portal._call(answer.fetch)
            if data:
                yield data

    def close(self) -> None:
        if not self._answer.ended:
            with suppress(InvalidState):  # the portal was left, and all else with it
                self._portal._call(self._answer.leave)


class _SyncTransport(_Through):
    """As Transport, without a loop: sends requests over *connection*, which lives in *portal*.

        with BlockingPortal() as portal, portal.entered(rest.connect(url)) as client:
            with httpx2.Client(transport=SyncTransport(portal, client)) as http:
                ...

    Pieces of a long request's body are made in a thread of trio's, as the response may begin before
    its end. Used by any number of threads.
    """

    _body: Any

    def __init__(self, portal: BlockingPortal, connection: Requesting) -> None:
        require_type("portal", portal, BlockingPortal)
        super().__init__(portal, connection)

    def handle_request(self, request: Any) -> Any:
        """See the library."""
        content: Content
        content = b"".join(request.stream) if is_small(request) else _pulled(request.stream)
        with mapped(self._library):
            answer = self._portal._call(partial(self._answer, request, content), _Answer.leave)
        return self._response(answer.head, self._body(self._portal, answer))


def make_portal_transports(library: ModuleType) -> tuple[type[Any], type[Any]]:
    """The classes ``AsyncioTransport`` and ``SyncTransport`` for *library*, httpx2 or httpx."""
    asyncio_body = made("AsyncioBody", _AsyncioBody, library, library.AsyncByteStream)
    sync_body = made("SyncBody", _SyncBody, library, library.SyncByteStream)
    return (
        made(
            "AsyncioTransport",
            _AsyncioTransport,
            library,
            library.AsyncBaseTransport,
            _body=asyncio_body,
        ),
        made("SyncTransport", _SyncTransport, library, library.BaseTransport, _body=sync_body),
    )
