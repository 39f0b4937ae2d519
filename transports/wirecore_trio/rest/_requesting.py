"""Calling: requests with whole responses, and with responses that are read as they come."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, AsyncIterator, Coroutine, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import trio

from wirecore import errors
from wirecore._backend import default
from wirecore.protocols.rest.gohttp import CORRELATION_ID, values_of
from wirecore.protocols.rest.heads import Fields, RequestHead
from wirecore.session.limits import check_seconds
from wirecore.websocket.client import check_subprotocols
from wirecore.websocket.handshake import HANDSHAKE_FIELDS
from wirecore.websocket.http import UserFields, check_fields

from .._arguments import kind_of, require_seconds, require_type
from .._entered import Entered
from ._call import Call, Response, ResponseStream
from ._websocket import Opening, opening_head

if TYPE_CHECKING:
    from ._channel import Channel
    from ._options import Options

#: Stands for the options' request_timeout.
_DEFAULT: Any = object()

Content: TypeAlias = bytes | bytearray | memoryview | AsyncIterable[bytes]

#: Methods whose requests say the length of their body even where that is none, as Go's do.
_WITH_BODY: Final = frozenset({b"POST", b"PUT", b"PATCH"})


def with_correlation_id(fields: Fields) -> Fields:
    """*fields* with a correlation id where they have none, by which both ends' logs tell it."""
    if values_of(fields, CORRELATION_ID):
        return fields
    return (*fields, (b"X-Correlation-Id", default.entropy.uuid4_text().encode("ascii")))


class Requesting(ABC):
    """What requests can be made with: a connection, or a client that keeps one up."""

    _options: Options
    _host: bytes
    _scheme: bytes

    @abstractmethod
    async def _acquire(self, *, multiplexed: bool = False) -> Channel:
        """A channel that takes a request: send it before anything else is awaited.

        No checkpoint where there is one already. Raises NotConnected; InvalidState where a
        *multiplexed* one is wanted, and this isn't.
        """

    @abstractmethod
    async def _reach(self) -> None:
        """Wait until there is a connection. Raises NotConnected where there won't be one."""

    def request(
        self,
        method: str,
        target: str,
        *,
        headers: UserFields = (),
        content: bytes | bytearray | memoryview = b"",
        trailers: UserFields = (),
        timeout: float | None = _DEFAULT,
    ) -> Coroutine[Any, Any, Response]:
        """Make a request, and wait for its whole response.

        *method*: as "GET". *target*: path and query, both encoded. *headers*: a mapping, or pairs;
        Host, Content-Length and X-Correlation-Id are added where they are missing. *timeout*:
        seconds for all of it, None for no bound; by default the option ``request_timeout``.

        Raises CallTimeout; CallLost, whose ``execution`` says what is known of the request, where
        the connection was lost, NotConnected where there was none; Aborted where the peer gave
        up; RemoteLimitExceeded for a response beyond ``max_body_size``; InvalidOption and
        LocalLimitExceeded for what can't be sent; InvalidState on a connection with one direction
        over which the peer calls.
        """
        head = self._head(method, target, headers, len(_checked(content)))
        seconds = self._seconds(timeout)
        return self._request(head, bytes(content), self._trailers(trailers), seconds)

    async def _request(
        self, head: RequestHead, content: bytes, trailers: Fields, seconds: float
    ) -> Response:
        call: Call | None = None
        with trio.CancelScope(deadline=trio.current_time() + seconds):
            try:
                call = Call(await self._acquire())
                start(call, head, content, trailers)
                response = await call.read_whole(self._options.max_body_size)
                if call.uploads:
                    await call.leave()  # it was answered before its body was whole
                return response
            except BaseException:
                if call is not None:
                    await call.leave()
                raise
        raise _timed_out(head, seconds, call)

    def stream(
        self,
        method: str,
        target: str,
        *,
        headers: UserFields = (),
        content: Content = b"",
        trailers: UserFields = (),
        timeout: float | None = _DEFAULT,
    ) -> Streaming:
        """Make a request, and read its response as it comes.

            async with connection.stream("GET", "/events") as response:
                async for piece in response:
                    ...

        *content*: bytes, or what gives pieces of them, which go out while the response comes.
        *timeout*: for the head of the response. The rest as :meth:`request`. Leaving the block
        gives up what hasn't come.
        """
        known = None if isinstance(content, AsyncIterable) else len(_checked(content))
        head = self._head(method, target, headers, known)
        return Streaming(self, head, content, self._trailers(trailers), self._seconds(timeout))

    def websocket(
        self,
        target: str,
        *,
        headers: UserFields = (),
        subprotocols: Sequence[str] = (),
        timeout: float | None = _DEFAULT,
    ) -> Opening:
        """Open a WebSocket with what the peer serves.

            async with connection.websocket("/chat") as ws:
                await ws.send("hello")
                print(await ws.receive())

        *headers*: as of :meth:`request`, but those of the handshake. *subprotocols*: in order of
        preference. *timeout*: for the answer. Leaving the block closes it: with 1000, and waits for
        the peer to do so; where an exception leaves it, with 1011, or 1001 for one that isn't an
        Exception, and doesn't wait.

        Entering raises WebSocketRefused where it is answered with anything but 101, HandshakeError
        where that can't be, InvalidState on a connection whose peer isn't ours; else as
        :meth:`stream`.
        """
        check_subprotocols(subprotocols)
        check_fields(headers, HANDSHAKE_FIELDS)
        head = opening_head(self._head("GET", target, headers, None), subprotocols)
        seconds = self._seconds(timeout)
        streaming = Streaming(self, head, None, (), seconds)
        return Opening(streaming, tuple(subprotocols), self._options, seconds)

    def _seconds(self, timeout: float | None) -> float:
        if timeout is _DEFAULT:
            timeout = self._options.request_timeout
        else:
            require_seconds("timeout", timeout)
            check_seconds("timeout", timeout)
        return math.inf if timeout is None else timeout

    @staticmethod
    def _trailers(trailers: UserFields) -> Fields:
        return check_fields(trailers, frozenset()) if trailers else ()

    def _head(
        self, method: str, target: str, headers: UserFields, length: int | None
    ) -> RequestHead:
        require_type("method", method, str)
        require_type("target", target, str)
        fields = check_fields(headers, frozenset())
        names = {name.lower() for name, _ in fields}
        try:
            verb, path = method.encode("ascii"), target.encode("ascii")
        except UnicodeEncodeError:
            raise errors.InvalidOption(
                "method and target must be ASCII: encode the path, as urllib.parse.quote does"
            ) from None
        if b"host" not in names:
            fields.insert(0, (b"Host", self._host))
        if b"content-length" not in names and length is not None and (length or verb in _WITH_BODY):
            fields.append((b"Content-Length", b"%d" % length))
        return RequestHead(verb, path, with_correlation_id(fields), self._scheme)


class Streaming(Entered):
    """What :meth:`Requesting.stream` returns: ``async with`` it, once.

    *content*: None for a body that isn't ended here, between our own ends.
    """

    _use = "use async with connection.stream(...) as response"

    def __init__(
        self,
        caller: Requesting,
        head: RequestHead,
        content: Content | None,
        trailers: Fields,
        seconds: float,
    ) -> None:
        self._caller = caller
        self._head = head
        self._content = content
        self._trailers = trailers
        self._seconds = seconds
        self._call: Call | None = None

    async def __aenter__(self) -> ResponseStream:
        """The response, once its head is there. Raises as :meth:`Requesting.request`."""
        try:
            with trio.CancelScope(deadline=trio.current_time() + self._seconds):
                return await self._answered()
            raise _timed_out(self._head, self._seconds, self._call)
        except BaseException:
            await self._leave()
            raise

    async def _answered(self) -> ResponseStream:
        channel = await self._caller._acquire(multiplexed=self._content is None)
        call = self._call = Call(channel)
        start(call, self._head, self._content, self._trailers)
        head = await call.answered()
        await trio.lowlevel.checkpoint()
        return ResponseStream(call, head, self._caller._options.max_body_size)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._leave()

    async def _leave(self) -> None:
        if self._call is not None:
            await self._call.leave()


def start(call: Call, head: RequestHead, content: Content | None, trailers: Fields) -> None:
    """Send a request, and have its body follow where it is long, or comes piece by piece."""
    if content is None:
        call.start(head, b"", end=False)
    elif isinstance(content, AsyncIterable):
        call.start(head, b"", end=False)
        call.upload(content, trailers)
    elif len(content) <= call.first:
        call.start(head, bytes(content), end=True, trailers=trailers)
    else:
        call.start(head, b"", end=False)
        call.upload(_pieces(bytes(content)), trailers)


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    yield content  # cut where it is sent


def _checked(content: object) -> bytes | bytearray | memoryview:
    if not isinstance(content, bytes | bytearray | memoryview):
        hint = ": encode it" if isinstance(content, str) else ""
        raise TypeError(f"content must be bytes, not {kind_of(content)}{hint}")
    return content


def _timed_out(head: RequestHead, seconds: float, call: Call | None) -> errors.CallTimeout:
    what = f"{head.method.decode()} {head.target.partition(b'?')[0].decode()}"
    if call is None or not call.is_begun:
        return errors.CallTimeout(f"{what} couldn't be sent within {seconds:g} s")
    if call.head is None:
        return errors.CallTimeout(f"no answer to {what} within {seconds:g} s")
    return errors.CallTimeout(f"the response to {what} wasn't whole within {seconds:g} s")
