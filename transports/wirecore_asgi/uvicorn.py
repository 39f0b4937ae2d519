"""A WebSocket protocol for uvicorn, on asyncio and uvloop.

::

    uvicorn --ws wirecore_asgi.uvicorn:WebSocketProtocol app:app

It behaves as uvicorn's own protocols do: the same events, exceptions, answers and options.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, cast

from uvicorn.logging import TRACE_LOG_LEVEL
from uvicorn.protocols.utils import (
    ClientDisconnected,
    get_client_addr,
    get_local_addr,
    get_path_with_query_string,
    get_remote_addr,
    is_ssl,
)

from wirecore.constants import CloseCode
from wirecore.session.heartbeat import Heartbeat
from wirecore.session.limits import MAX_SIZE, Limits
from wirecore.websocket import (
    BadRequest,
    Connection,
    DeflateOffer,
    Request,
    Response,
    ServerHandshake,
    State,
)

from ._deadline import Deadline
from ._denial import Denial, refusal, server_error
from ._inbox import Event, Inbox
from ._outlet import Outlet
from ._receive_buffer import receive_buffer
from ._scope import Scope, websocket_scope

if TYPE_CHECKING:
    from uvicorn._types import WebSocketScope
    from uvicorn.config import Config
    from uvicorn.server import ServerState

#: Seconds for the peer's answer to the application's close frame.
_CLOSE_TIMEOUT: Final = 10.0

#: Unread messages may hold so much, in bytes, until no more are decoded of the same read.
_DECODED: Final = 1024 * 1024

#: Clients may send so much, in bytes, before they are accepted; hardly any sends anything.
_EARLY: Final = 64 * 1024

#: As uvicorn's own protocols have it: small windows, for many connections.
_COMPRESSION: Final = DeflateOffer(
    server_max_window_bits=12, client_max_window_bits=12, mem_level=5
)


class _Phase(Enum):
    """How far the application has come."""

    #: It isn't called yet: the request isn't there, or was answered without it.
    REQUEST = "request"
    #: It is to accept or to deny.
    CONNECT = "connect"
    #: It denies with a response of its own.
    DENIAL = "denial"
    #: It accepted.
    OPEN = "open"
    #: It closed or denied.
    CLOSED = "closed"


class WebSocketProtocol(asyncio.Protocol, asyncio.BufferedProtocol):
    """One connection, from the upgrade request on, which uvicorn's HTTP protocols hand over.

    It is of both kinds of asyncio's protocols: asyncio reads into a shared buffer, uvloop, which
    has one of its own, gives bytes.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: Mapping[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        if not config.loaded:
            config.load()
        self.config = config
        self.loop = _loop or asyncio.get_event_loop()
        self.logger = logging.getLogger("uvicorn.error")
        self._server_state = server_state
        self._app_state = app_state
        self._phase = _Phase.REQUEST
        self._lost = False
        self._told = False  # whether the application has a disconnect event
        self._handshake = ServerHandshake()
        self._early = b""  # frames that came before the upgrade was accepted
        self._denial: Denial | None = None
        self._conn: Connection | None = None
        self._heartbeat: Heartbeat | None = None
        self._deadline = Deadline(self.loop, self._expire)
        self._inbox = Inbox(
            self.loop, max_messages=config.ws_max_queue, on_empty=self._resume_reading
        )
        self._buffer = receive_buffer()
        self.scope: Scope = {}
        self.transport: asyncio.Transport
        self._outlet: Outlet

    # --- what asyncio calls -------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is there; the request comes next."""
        # uvloop's transports aren't asyncio.Transport, but like it.
        self.transport = cast(asyncio.Transport, transport)
        self._outlet = Outlet(self.loop, self.transport)
        self._server_state.connections.add(cast(Any, self))
        self._trace("WebSocket connection made")

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone: the application learns it from what it calls next."""
        self._lost = True
        self._server_state.connections.discard(cast(Any, self))
        self._deadline.cancel()
        self._outlet.lost()
        if self._conn is not None:
            self._conn.receive_eof(self.loop.time())
        # Also where no close frame came: ASGI has no code but that one for it.
        code = CloseCode.ABNORMAL if self._conn is None else CloseCode.NO_STATUS
        self._inbox.end({"type": "websocket.disconnect", "code": int(code)})
        self._trace("WebSocket connection lost")

    def eof_received(self) -> None:
        """The peer ended the stream: so does this end."""

    def pause_writing(self) -> None:
        """The transport's buffer is full: ``send`` waits from now on."""
        self._outlet.pause()

    def resume_writing(self) -> None:
        """The transport's buffer has room again."""
        self._outlet.resume()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where to read into."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """*nbytes* were read."""
        self.data_received(self._buffer[:nbytes])

    def data_received(self, data: bytes | memoryview) -> None:
        """Bytes came."""
        conn = self._conn
        if conn is None:
            self._receive_early(data)
            return
        messages = conn.receive(data, self.loop.time())
        inbox = self._inbox
        if not messages and not inbox.unread:
            pass
        elif self._phase is _Phase.OPEN and inbox.put(messages, len(data)):
            self._hold_reading()
        self._outlet.wrote = False
        if conn.outbox.pending:
            self._outlet.flush()
        if conn.deferred or conn.state is not State.OPEN:
            self._go_on(conn)

    # --- what uvicorn calls -------------------------------------------------------------------

    def shutdown(self) -> None:
        """The server stops: the peer gets 1012, or 500 where the upgrade wasn't answered."""
        conn = self._conn
        if conn is not None and conn.state is State.OPEN:
            self._disconnect({"code": int(CloseCode.SERVICE_RESTART)})
            conn.close(CloseCode.SERVICE_RESTART, wait=False)
        self._answer_for_app()
        self._finish()

    # --- the opening handshake ----------------------------------------------------------------

    def _receive_early(self, data: bytes | memoryview) -> None:
        if self._outlet.closed:
            return
        if self._phase is not _Phase.REQUEST:
            # Read on: who doesn't read never learns that the client has gone.
            self._early += data
            if len(self._early) > _EARLY:
                self._early = b""
                self._log("[sent too much before it was accepted]")
                self.transport.abort()
            return
        try:
            request = self._handshake.receive(data)
        except BadRequest as error:
            self._outlet.write(error.response)
            self._outlet.close()
            return
        if request is None:
            return
        if request.problem is not None:
            self._respond(request.problem)
            return
        self._early = self._handshake.leftover
        self._phase = _Phase.CONNECT
        self.scope = self._make_scope(request)
        self._inbox.put_event({"type": "websocket.connect"})
        task = self.loop.create_task(self._run_app())
        self._server_state.tasks.add(task)
        task.add_done_callback(self._server_state.tasks.discard)

    def _make_scope(self, request: Request) -> Scope:
        return websocket_scope(
            request,
            asgi_version=self.config.asgi_version,
            secure=is_ssl(self.transport),
            server=get_local_addr(self.transport),
            client=get_remote_addr(self.transport),
            root_path=self.config.root_path,
            state=self._app_state,
        )

    def _accept(self, message: Event) -> None:
        config = self.config
        max_size: int | None = config.ws_max_size  # None where uvicorn is configured in code
        size = MAX_SIZE if max_size is None else max_size
        limits = Limits(max_frame_size=size, max_message_size=size)
        if config.ws_ping_interval:
            timeout = config.ws_ping_timeout
            # A ping is due after each interval, its pong within the timeout from there.
            self._heartbeat = Heartbeat(
                config.ws_ping_interval,
                None if timeout is None else config.ws_ping_interval + timeout,
            )
        answer = self._handshake.accept(
            subprotocol=message.get("subprotocol") or None,
            headers=[*self._server_state.default_headers, *message.get("headers", ())],
            compression=_COMPRESSION if config.ws_per_message_deflate else None,
        )
        conn = Connection(
            client=False,
            limits=limits,
            deflate=self._handshake.accepted.deflate,
            heartbeat=self._heartbeat,
            close_timeout=_CLOSE_TIMEOUT,
        )
        self._log("[accepted]")
        self._phase = _Phase.OPEN
        self._outlet.write(answer)
        self._outlet.outbox = conn.outbox
        self._conn = conn
        conn.start(self.loop.time())
        self._deadline.set(conn.next_deadline())
        if self._early:
            early, self._early = self._early, b""
            self.data_received(early)

    def _deny(self, response: Response) -> None:
        """Answer with *response*, and that is the end."""
        self._respond(response)
        self._phase = _Phase.CLOSED
        self._disconnect({"code": int(CloseCode.ABNORMAL)})

    def _respond(self, response: Response) -> None:
        self._outlet.write(self._handshake.respond(response))
        self._outlet.close()

    def _answer_for_app(self) -> None:
        """Answer a request that the application, which has ended, didn't answer to the end."""
        if self._outlet.closed:
            return
        if self._denial is not None and self._phase is _Phase.DENIAL:
            self._respond(self._denial.response(self._server_state.default_headers))
        elif self._phase is _Phase.CONNECT:
            self._respond(server_error(self._server_state.default_headers))

    # --- the application ----------------------------------------------------------------------

    async def _run_app(self) -> None:
        app: Any = self.config.loaded_app
        try:
            result = await app(self.scope, self._inbox.receive, self.send)
        except ClientDisconnected:
            pass  # its way to learn that it can end
        except BaseException as error:
            self.logger.exception("Exception in ASGI application\n")
            if not isinstance(error, Exception):
                raise
        else:
            if self._phase in (_Phase.CONNECT, _Phase.DENIAL) and not self._lost:
                self.logger.error("ASGI callable returned without completing handshake.")
            elif result is not None:
                self.logger.error("ASGI callable should return None, but returned '%s'.", result)
        finally:
            self._answer_for_app()
            if self._conn is None or self._conn.state is not State.CLOSING:
                self._finish()

    async def send(self, message: Event) -> None:
        """The ``send`` of ASGI: waits while the peer doesn't take what was sent.

        Raises uvicorn's ClientDisconnected where the connection is gone, and RuntimeError for an
        event that isn't due.
        """
        outlet = self._outlet
        if outlet.blocked:
            await outlet.wait()
        conn = self._conn
        if conn is None or conn.state is not State.OPEN or message["type"] != "websocket.send":
            self._send_rarer(message)
            return
        data = message.get("bytes")
        if data is None:
            data = message.get("text")
            if data is None:
                raise TypeError("a 'websocket.send' event needs bytes or text")
        conn.send(data)
        outlet.push(more=bool(self._inbox.unread))

    def _send_rarer(self, message: Event) -> None:
        """All but a message over an open connection."""
        unanswered = self._phase in (_Phase.CONNECT, _Phase.DENIAL)
        if self._lost or (unanswered and self._outlet.closed):
            raise ClientDisconnected
        kind: str = message["type"]
        if self._phase is _Phase.CONNECT:
            self._send_first(message, kind)
        elif self._phase is _Phase.DENIAL and self._denial is not None:
            if kind != "websocket.http.response.body":
                raise RuntimeError(
                    f"Expected ASGI message 'websocket.http.response.body' but got '{kind}'."
                )
            if self._denial.add(message):
                self._deny(self._denial.response(self._server_state.default_headers))
        elif self._phase is _Phase.OPEN:
            if kind == "websocket.send":
                raise ClientDisconnected
            if kind != "websocket.close":
                raise RuntimeError(
                    "Expected ASGI message 'websocket.send' or 'websocket.close', "
                    f"but got '{kind}'."
                )
            self._close(message)
        else:
            raise RuntimeError(
                f"Unexpected ASGI message '{kind}', after sending 'websocket.close' "
                "or response already completed."
            )

    def _send_first(self, message: Event, kind: str) -> None:
        if kind == "websocket.accept":
            self._accept(message)
        elif kind == "websocket.close":
            self._log("403")
            self._deny(refusal(self._server_state.default_headers))
        elif kind == "websocket.http.response.start":
            self._denial = Denial(message)
            self._phase = _Phase.DENIAL
            self._log(str(message["status"]))
        else:
            raise RuntimeError(
                "Expected ASGI message 'websocket.accept', 'websocket.close' "
                f"or 'websocket.http.response.start' but got '{kind}'."
            )

    def _close(self, message: Event) -> None:
        conn = self._conn
        if conn is None or conn.state is not State.OPEN:
            return  # the peer was first
        code, reason = message.get("code", 1000), message.get("reason") or ""
        conn.close(code, reason)
        self._phase = _Phase.CLOSED
        self._disconnect({"code": code, "reason": reason})
        self._outlet.flush()
        self._resume_reading()  # for the peer's close frame
        conn.expire(self.loop.time())
        self._deadline.set(conn.next_deadline())

    # --- the connection's course --------------------------------------------------------------

    def _go_on(self, conn: Connection) -> None:
        """Decode what was put off, and see to the end."""
        while conn.deferred:
            if self._phase is not _Phase.OPEN:
                conn.receive(b"", self.loop.time())  # nobody wants what else there is
            elif self._inbox.size() > _DECODED:
                self._hold_reading()
                return
            else:
                self._inbox.put(conn.receive(b"", self.loop.time()), 0)
        self._outlet.flush()
        if conn.state is State.OPEN:
            return
        if conn.failure is not None and conn.close_sent is not None:
            close = conn.close_sent
            self._disconnect({"code": int(conn.failure.code), "reason": close.reason})
        elif conn.close_received is not None:
            code = conn.close_received.code or int(CloseCode.NO_STATUS)
            self._disconnect({"code": code, "reason": conn.close_received.reason})
        if conn.finished:
            self._finish()

    def _expire(self) -> None:
        """The time has come for a ping, or the peer's time is over."""
        conn = self._conn
        if conn is None or conn.finished:
            return
        now = self.loop.time()
        heartbeat = self._heartbeat
        if conn.state is State.OPEN and heartbeat is not None and heartbeat.expired(now):
            self._trace("WebSocket keepalive ping timeout")
            conn.close(CloseCode.INTERNAL_ERROR, "keepalive ping timeout", wait=False)
        else:
            conn.expire(now)
        self._outlet.flush()
        if conn.finished:
            self._finish()
        else:
            self._deadline.set(conn.next_deadline())

    def _finish(self) -> None:
        self._deadline.cancel()
        self._outlet.close()

    def _disconnect(self, what: Event) -> None:
        if not self._told:
            self._told = True
            self._inbox.put_event({"type": "websocket.disconnect", **what})

    def _hold_reading(self) -> None:
        if self._conn is not None and not self._inbox.held and not self._outlet.closed:
            self._inbox.held = True
            self.transport.pause_reading()
            self._conn.pause(self.loop.time())

    def _resume_reading(self) -> None:
        """The application has taken everything."""
        conn = self._conn
        if conn is None or not self._inbox.held:
            return
        self._inbox.held = False
        if conn.deferred:
            self._go_on(conn)
        if not self._inbox.held and not self._outlet.closed:
            conn.resume(self.loop.time())
            self.transport.resume_reading()
            if not conn.finished:
                self._deadline.set(conn.next_deadline())

    # --- logging ------------------------------------------------------------------------------

    def _log(self, outcome: str) -> None:
        scope = cast("WebSocketScope", self.scope)
        path = get_path_with_query_string(scope)
        self.logger.info('%s - "WebSocket %s" %s', get_client_addr(scope), path, outcome)

    def _trace(self, what: str) -> None:
        if self.logger.level <= TRACE_LOG_LEVEL:
            client = get_remote_addr(self.transport)
            prefix = f"{client[0]}:{client[1]} - " if client else ""
            self.logger.log(TRACE_LOG_LEVEL, "%s%s", prefix, what)
