"""Entering a client: what ``connect`` takes and returns."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Unpack

from wirecore import errors

from .._arguments import require_known, require_type
from .._entered import Entered
from .._errors import require_trio
from .._tasks import HiddenNursery
from ..websocket._client import Dialer, Dialing
from ._client import Client
from ._events import ClientHooks
from ._options import ClientOptions
from ._status import Status

if TYPE_CHECKING:
    from wirecore._backend import Backend


class Connecting(ClientHooks, Entered):
    """What :func:`connect` returns: ``async with`` it, once. Raises InvalidState the second time.

    Hooks that are given before are called from the first moment on.
    """

    _use = "use async with webwire.connect(...) as client"

    def __init__(self, client: Client, *, wait: bool) -> None:
        self._client = client
        self._events = client._events
        self._wait = wait
        self._entered = False
        self._tasks = HiddenNursery()

    async def __aenter__(self) -> Client:
        require_trio()
        if self._entered:
            raise errors.InvalidState("this client was entered already: call connect again")
        self._entered = True
        client = self._client
        await self._tasks.enter()
        client._nursery = self._tasks.nursery
        client._nursery.start_soon(client._run_events)
        try:
            if self._wait:
                await client.connect()
            else:
                client._begin()
        except BaseException as error:
            client._set(Status.CLOSED)
            await self._tasks.leave(error)
            raise
        return client

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                await self._client._leave()
        finally:
            self._client._set(Status.CLOSED)
            await self._tasks.leave(error)


def connect(
    url: str | None = None,
    options: ClientOptions | None = None,
    *,
    autoconnect: bool = True,
    wait: bool = True,
    backend: Backend | None = None,
    **dialing: Unpack[Dialing],
) -> Connecting:
    """Connect to a webwire server: ``async with connect("ws://127.0.0.1:8080/") as client: ...``.

    *url*: ``ws://`` or ``wss://``. *options*: see :class:`ClientOptions`. Entering waits for the
    connection, trying again as ``options.retry`` says, for ever by default; it raises what ended
    the attempts: a server of another version, sub-protocol or buffer size, a refusal (an HTTP
    status of 3xx or 4xx). With *wait* false it returns at once and connects in the background.

    Underneath it reconnects, and restores its session before anything else. With *autoconnect*
    false it makes one attempt, and each loss is final until :meth:`Client.connect`.

    Leaving closes the connection; an exception of the body arrives as itself. The other arguments
    are those of :func:`wirecore_trio.websocket.connect`: *headers*, *ssl_context*, *proxy*,
    *origin*, *prepare* and so on. Raises InvalidOption for an URL that is none, TypeError for
    arguments of a wrong type.
    """
    for name in dialing:
        if name in ClientOptions.__dataclass_fields__:
            raise TypeError(f"{name} is one of the options: ClientOptions({name}=…)")
    require_known("connect", dialing, Dialing.__optional_keys__)
    require_type("options", options, ClientOptions, optional=True)
    options = options or ClientOptions()
    dialer = Dialer(url, options=options.websocket(), backend=backend, **dialing)
    client = Client(dialer, options, autoconnect=autoconnect, backend=backend)
    return Connecting(client, wait=wait)
