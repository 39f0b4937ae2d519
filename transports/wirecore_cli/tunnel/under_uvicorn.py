"""The public side of a gateway on uvicorn: HTTP/1.1, on asyncio, in a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import trio
import uvicorn

from wirecore_asgi.uvicorn import WebSocketProtocol
from wirecore_trio._asyncio_thread import AsyncioThread
from wirecore_trio.rest._trio_call import TrioCall

from .front import Front, is_news

#: Seconds for tasks that were cancelled to end.
_PATIENCE: Final = 5.0

#: Seconds, up to twice of these, for a caller to answer the end of TLS, which it need not.
_GOODBYE: Final = 0.5


class UnderUvicorn(Front):
    """See Front. *http*: uvicorn's option; by default heads have up to 64 KiB."""

    def __init__(
        self,
        app: Any,
        *,
        certificate: tuple[Path, Path] | None,
        max_message_size: int,
        http: Any = None,
    ) -> None:
        self._app = app
        self._http = http or _http()
        self._certificate = certificate
        self._max_message_size = max_message_size
        self._told_to_stop = trio.Event()
        self._grace: float | None = None

    async def serve(
        self,
        sockets: Sequence[socket.socket],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """See Front."""
        try:
            thread = await AsyncioThread.start(_loop_factory(), _PATIENCE)
            try:
                await self._serve(thread, list(sockets), task_status)
            finally:
                await thread.stop()
        finally:
            for each in sockets:
                each.close()

    async def _serve(
        self,
        thread: AsyncioThread,
        sockets: list[socket.socket],
        task_status: trio.TaskStatus[None],
    ) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            async def send_on(message: Any) -> None:
                try:
                    await send(_without_length(message))
                except RuntimeError:
                    if not _is_closed(send):
                        raise

            await TrioCall(thread.here, thread.there, self._app, receive, send_on).run(scope)

        config = self._config(app)
        server = _Server(config, partial(thread.here.tell, task_status.started))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._stop_when_told, thread, server)
            await thread.there.from_trio(
                thread.here, partial(server.serve, sockets=sockets), patience=_PATIENCE
            )
            nursery.cancel_scope.cancel()

    async def _stop_when_told(self, thread: AsyncioThread, server: _Server) -> None:
        await self._told_to_stop.wait()
        thread.there.tell(partial(server.stop, self._grace))

    def stop(self, grace: float | None) -> None:
        """See Front."""
        self._grace = grace
        self._told_to_stop.set()

    def _config(self, app: Any) -> uvicorn.Config:
        # It tells of each request that is none, and of each that isn't answered to its end.
        log = logging.getLogger("uvicorn.error")
        log.setLevel(logging.ERROR)
        log.addFilter(is_news)
        options: dict[str, Any] = {}
        if self._certificate is not None:
            options["ssl_certfile"], options["ssl_keyfile"] = self._certificate
        return uvicorn.Config(
            app,
            http=self._http,
            ws=WebSocketProtocol,
            ws_max_size=self._max_message_size,
            lifespan="off",
            log_config=None,
            access_log=False,
            # The gateway itself knows whom to believe; and a publisher's own says what it is.
            proxy_headers=False,
            server_header=False,
            **options,
        )


class _Server(uvicorn.Server):
    """Calls *on_started* when it serves."""

    def __init__(self, config: uvicorn.Config, on_started: Callable[[], object]) -> None:
        super().__init__(config)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_started()

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().serve(sockets)
        finally:
            # Where it is cancelled it leaves them open, and what is served on connections as well.
            for each in getattr(self, "servers", ()):
                each.close()
            for connection in list(self.server_state.connections):
                transport: Any = getattr(connection, "transport", None)
                if transport is not None:
                    transport.abort()
            await asyncio.sleep(0)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        ending = asyncio.ensure_future(self._abort_unanswered())
        try:
            await super().shutdown(sockets)
        finally:
            ending.cancel()

    async def _abort_unanswered(self) -> None:
        """Cut connections that are closed, and wait for nothing but their callers' end of TLS."""
        before: set[Any] = set()
        while True:
            await asyncio.sleep(_GOODBYE)
            transports = {
                getattr(each, "transport", None) for each in self.server_state.connections
            }
            waiting = {
                each
                for each in transports
                if each is not None
                and each.is_closing()
                and each.get_extra_info("sslcontext") is not None
                and not each.get_write_buffer_size()
            }
            for each in waiting & before:
                each.abort()
            before = waiting

    def stop(self, grace: float | None) -> None:
        """As Front's; on its loop."""
        seconds: Any = grace  # it is said to be an int, and goes to asyncio.wait_for
        self.config.timeout_graceful_shutdown = seconds
        self.should_exit = True


def _is_closed(send: Any) -> bool:
    """Whether the connection that *send*, uvicorn's, is for is closed.

    uvloop raises where it is, and uvicorn, which drops what is for callers who have gone, hears of
    that only later.
    """
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    return transport is not None and bool(transport.is_closing())


def _without_length(message: Any) -> Any:
    """*message*; a 304 without the length of what isn't sent, for which uvicorn would wait."""
    if message.get("status") != 304:
        return message
    headers = [field for field in message["headers"] if field[0].lower() != b"content-length"]
    return {**message, "headers": headers}


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's where it is installed; else asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _http() -> Any:
    """uvicorn's protocol on httptools where that is installed; else the one on h11."""
    try:
        from .bounded_http import BoundedHttp
    except ImportError:
        return "h11"
    return BoundedHttp
