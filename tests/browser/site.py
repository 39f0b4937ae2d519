"""A site for the tests: a webwire server, and on the same port the page that talks to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

import wirecore_browser
from wirecore_trio import webwire

#: A page's script begins with this: the module under a name, and all that a client reports.
PAGE = b"""<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">
<script type="module">
import * as webwire from '/webwire.js';
window.webwire = webwire;
window.events = [];
window.start = (url = '/', options = {}) => {
  const client = window.client = webwire.connect(url, { reconnectInterval: 100, ...options });
  for (const name of ['connected', 'disconnected', 'sessionCreated', 'sessionRefused',
    'sessionClosed']) client.on(name, () => events.push(name));
  client.on('signal', (name, { text, encoding }) => events.push([name, text, encoding]));
  return client.ready().then(() => client.status);
};
</script>"""


def make_server(
    store: webwire.SessionStore | None, options: webwire.ServerOptions | None = None
) -> webwire.Server:
    """A server that serves the page, creates sessions and echoes."""
    server = webwire.Server(options, store=store)
    _serve_page(server)
    _add_sessions(server)
    _add_answers(server)
    return server


def _serve_page(server: webwire.Server) -> None:
    @server.before_upgrade
    async def serve_page(request: webwire.HttpRequest) -> webwire.Response | None:
        if request.header("upgrade") is not None:
            return None
        if request.path == "/":
            return webwire.Response(200, [("Content-Type", "text/html; charset=utf-8")], PAGE)
        if request.path == "/webwire.js":
            media = [("Content-Type", wirecore_browser.MEDIA_TYPE)]
            return webwire.Response(200, media, wirecore_browser.module())
        return webwire.Response(404)


def _add_sessions(server: webwire.Server) -> None:
    @server.request("login")
    async def login(request: webwire.Request[webwire.Payload]) -> None:
        await request.connection.create_session({"user": request.payload.text})

    @server.request("throw-out")
    async def throw_out(request: webwire.Request[webwire.Payload]) -> None:
        await request.connection.close_session()

    @server.request("who")
    async def who(request: webwire.Request[webwire.Payload]) -> str:
        session = request.connection.session
        return "nobody" if session is None else str(session.info["user"])


def _add_answers(server: webwire.Server) -> None:
    @server.request()
    async def echo(request: webwire.Request[webwire.Payload]) -> webwire.Payload:
        return request.payload

    @server.request("fail")
    async def fail(request: webwire.Request[webwire.Payload]) -> None:
        raise webwire.RequestError("CODE", "es ging schief: ü 😀")

    @server.request("wait")
    async def wait(request: webwire.Request[webwire.Payload]) -> None:
        await trio.sleep_forever()

    @server.signal()
    async def answer(signal: webwire.Signal[webwire.Payload]) -> None:
        await signal.connection.signal(f"re:{signal.name}", signal.payload)


class Site:
    """A server that runs: where, and how to end it."""

    def __init__(self, server: webwire.Server, port: int, scope: trio.CancelScope) -> None:
        self.server = server
        self.port = port
        self.url = f"http://127.0.0.1:{port}/"
        self._scope = scope

    def kill(self) -> None:
        """End it at once, with all connections."""
        self._scope.cancel()


@asynccontextmanager
async def running(server: webwire.Server, port: int = 0) -> AsyncIterator[Site]:
    """*server* on *port*, 0: a free one."""
    async with trio.open_nursery() as nursery:
        listening = await nursery.start(server.serve, "127.0.0.1", port)
        yield Site(server, listening.port, nursery.cancel_scope)
        nursery.cancel_scope.cancel()
