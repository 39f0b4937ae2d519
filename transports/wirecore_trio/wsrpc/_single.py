"""A client that calls, one call at a time, and calls again until there is an answer."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING

import trio

from wirecore import errors

from .._dial import SocketOption
from .._entered import Entered
from .._errors import CallLost, NotConnected
from .._supervise import RetryPolicy
from ._client import Client, Connecting, CredentialsSource, connect
from ._options import Options
from ._peer import Caller, check_call
from ._states import State

if TYPE_CHECKING:
    from wirecore._backend import Backend

logger = logging.getLogger("wirecore.wsrpc")


class SingleClient(Caller):
    """What :func:`connect_single` gives: calls wait for each other, and for a connection.

    A call whose connection is lost is sent again over the next one, as often as it takes: the
    peer may execute it more than once.
    """

    __slots__ = ("_client", "_timeout", "_turn")

    def __init__(self, client: Client, timeout: float | None) -> None:
        self._client = client
        self._timeout = timeout
        self._turn = trio.Lock()

    def __repr__(self) -> str:
        return f"<SingleClient over {self._client!r}>"

    async def call(self, method: str, payload: bytes) -> bytes:
        """Call *method*, once those that came before have their answers; see ``Caller.call``.

        ``Options.call_timeout`` bounds all of it: waiting for its turn, for a connection, and
        sending it again. Neither NotConnected nor CallLost is raised, but for NotConnected once
        the client was left; what may be repeated for ever ends by CallTimeout, or by a cancel
        scope around it.
        """
        check_call(method, payload)
        if self._timeout is None:
            return await self._call(method, payload)
        with trio.move_on_after(self._timeout):
            return await self._call(method, payload)
        why = self._client.last_error
        because = "" if why is None or self._client.state is State.READY else f": {why}"
        raise errors.CallTimeout(f"no answer within call_timeout, {self._timeout:g} s{because}")

    async def _call(self, method: str, payload: bytes) -> bytes:
        async with self._turn:
            while True:
                if not await self._client.wait_ready():
                    raise NotConnected(self._client._why_not())
                try:
                    return await self._client.call(method, payload)
                except CallLost as error:
                    logger.info("a call of %s is sent again: %s", method, error)


class ConnectingSingle(Entered):
    """What :func:`connect_single` returns: ``async with`` it, once."""

    _use = "use async with connect_single(...) as client"

    def __init__(self, connecting: Connecting, timeout: float | None) -> None:
        self._connecting = connecting
        self._timeout = timeout

    async def __aenter__(self) -> SingleClient:
        return SingleClient(await self._connecting.__aenter__(), self._timeout)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._connecting.__aexit__(kind, error, traceback)


def connect_single(
    address: str,
    credentials: CredentialsSource,
    *,
    options: Options | None = None,
    retry: RetryPolicy | None = None,
    wait: bool = True,
    socket_options: Sequence[SocketOption] = (),
    backend: Backend | None = None,
) -> ConnectingSingle:
    """Connect to call, one call at a time, each until it is answered: at least once.

    ``async with connect_single("127.0.0.1:1337", credentials) as client``. It serves nothing:
    what the server calls is answered with an error. All arguments are those of :func:`connect`,
    as is what is raised.
    """
    options = options or Options()
    connecting = connect(
        address,
        credentials,
        options=options,
        retry=retry,
        wait=wait,
        socket_options=socket_options,
        backend=backend,
    )
    return ConnectingSingle(connecting, options.call_timeout)
