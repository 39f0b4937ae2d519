"""A connection to Redis: commands of many tasks, and what is published."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Final, NoReturn
from urllib.parse import urlsplit

import trio

from wirecore.errors import InvalidOption

from ._errors import alone

if TYPE_CHECKING:
    from collections.abc import Iterator

try:
    import anyio
    from coredis.connection import BaseConnection
    from coredis.exceptions import ConnectionError as RedisConnectionError
    from coredis.exceptions import RedisError
    from coredis.pool import ConnectionPool
except ModuleNotFoundError as error:
    if not (error.name or "").startswith("coredis"):
        raise
    raise ModuleNotFoundError(
        "Redis needs coredis, which isn't installed here: pip install 'wirecore[redis]'",
        name=error.name,
    ) from error

#: What coredis lets through of a connection that is gone: its buffers are anyio's.
_LOST: Final = (
    trio.ClosedResourceError,
    trio.BrokenResourceError,
    anyio.ClosedResourceError,
    anyio.BrokenResourceError,
    anyio.EndOfStream,
)

_SCHEMES: Final = ("redis://", "rediss://", "unix://")

#: Most channels in one command.
_CHUNK: Final = 500


def _is_complete(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    database = parts.path.strip("/")
    if parts.scheme == "unix":
        return bool(database)
    return bool(parts.hostname) and (not database or database.isdecimal())


class RedisAddress:
    """Where a Redis is, and how long it may take to answer.

    *refused* and *unavailable*: the errors of whoever uses it, for what Redis says no to, and for
    a Redis that doesn't answer or isn't there.

    Raises InvalidOption for a URL that is none, without the URL: it may hold a password.
    """

    def __init__(
        self,
        url: str,
        timeout: float,
        refused: Callable[[str], Exception],
        unavailable: Callable[[str], Exception],
    ) -> None:
        self.refused = refused
        self.unavailable = unavailable
        if not url.startswith(_SCHEMES):
            raise InvalidOption("url must begin with redis://, rediss:// or unix://")
        if not _is_complete(url):
            raise InvalidOption(
                "url must name a host, and a number if a database: redis://localhost:6379/0"
            )
        self._url = url
        self._timeout = timeout
        try:
            self._name = str(self._pool().location)
        except (ValueError, TypeError, OSError) as error:
            raise InvalidOption(f"url isn't one of Redis ({type(error).__name__})") from None

    def __str__(self) -> str:
        return f"Redis at {self._name}"

    def _pool(self) -> ConnectionPool[Any]:
        # One for each connection: a pool keeps the place of a connection whose opening was
        # cancelled, and a handful of those would block it.
        return ConnectionPool.from_url(
            self._url, decode_components=True, connect_timeout=self._timeout, max_connections=1
        )

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[RedisLink]:
        """A connection. Raises *unavailable*, or *refused* where Redis doesn't let us in."""
        with alone():
            async with self._pool() as pool:
                # It isn't given back: the pool ends with it.
                yield RedisLink(self, await self._open(pool), self._timeout)

    async def _open(self, pool: ConnectionPool[Any]) -> BaseConnection:
        with _told(self), trio.move_on_after(self._timeout):
            try:
                connection: BaseConnection = await pool.get_connection()
            except RedisConnectionError:
                # coredis makes one of a cancelled attempt, too: then it isn't Redis's.
                await trio.lowlevel.checkpoint_if_cancelled()
                raise
            return connection
        raise self.unavailable(f"{self} didn't let us in within {self._timeout:g} s")


class RedisLink:
    """An open connection; any number of tasks may use it.

    Commands are sent in the order of the calls. A cancelled call's command is carried out if it
    was sent, and its answer is dropped when it comes: the next one's stays the next one's.
    """

    def __init__(self, address: RedisAddress, connection: BaseConnection, timeout: float) -> None:
        self._address = address
        self._connection = connection
        self._timeout = timeout
        #: For each channel that (un)subscribing was asked of: whom to tell, in Redis's order.
        self._acknowledgements: deque[trio.Event | None] = deque()
        self._lost = False

    async def ask(self, command: bytes, *arguments: bytes | int) -> Any:
        """The answer to a command; bytes in it stay bytes.

        Raises *unavailable* where there is no answer in time, *refused* for Redis's errors.
        """
        answer: Any = None
        with _told(self._address), trio.move_on_after(self._timeout) as scope:
            answer = await self._connection.create_request(command, *arguments, decode=False)
        if scope.cancelled_caught:
            self._give_up()
        return answer

    async def subscribe(self, channels: Sequence[bytes]) -> None:
        """Return when what is published to *channels* is read from now on."""
        await self._tell(b"SUBSCRIBE", channels)

    async def unsubscribe(self, channels: Sequence[bytes]) -> None:
        """Return when it isn't any longer."""
        await self._tell(b"UNSUBSCRIBE", channels)

    async def _tell(self, command: bytes, channels: Sequence[bytes]) -> None:
        done = trio.Event()
        with _told(self._address):
            for first in range(0, len(channels), _CHUNK):
                chunk = channels[first : first + _CHUNK]
                self._connection.send_command(command, *chunk)
                self._acknowledgements.extend([None] * len(chunk))
        if not channels:
            return
        self._acknowledgements[-1] = done
        with trio.move_on_after(self._timeout) as scope:
            await done.wait()
        if scope.cancelled_caught:
            self._give_up()
        if self._lost:
            raise self._address.unavailable(f"{self._address}: the connection is lost")

    def _give_up(self) -> NoReturn:
        """Who is silent for so long is gone: the others who wait needn't."""
        self._connection.invalidate()
        raise self._address.unavailable(f"{self._address} didn't answer within {self._timeout:g} s")

    async def read(self, deliver: Callable[[bytes, bytes], Awaitable[None]]) -> NoReturn:
        """Call *deliver* with channel and message of what is published, until the end.

        Raises *unavailable* when the connection is lost.
        """
        try:
            with _told(self._address):
                async with aclosing(self._connection.push_messages) as pushed:
                    async for message in pushed:
                        await self._take(message, deliver)
        finally:
            self._lost = True
            for waiting in self._acknowledgements:
                if waiting is not None:
                    waiting.set()
        raise self._address.unavailable(f"{self._address}: the connection is lost")

    async def _take(
        self, message: list[Any], deliver: Callable[[bytes, bytes], Awaitable[None]]
    ) -> None:
        kind = message[0]
        if kind == b"message":
            await deliver(message[1], message[2])
        elif kind in (b"subscribe", b"unsubscribe"):
            waiting = self._acknowledgements.popleft()
            if waiting is not None:
                waiting.set()


@contextmanager
def _told(address: RedisAddress) -> Iterator[None]:
    """coredis's errors as ours."""
    try:
        yield
    except RedisConnectionError as error:
        raise address.unavailable(f"{address} is out of reach: {error}") from error
    except _LOST as error:
        raise address.unavailable(f"{address}: the connection is lost") from error
    except RedisError as error:
        raise address.refused(f"{address} refused: {error}") from error
