"""The client: one connection that is made again when it is lost."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeAlias

import trio

from wirecore import errors
from wirecore.session import Backoff

from .._arguments import require_async, require_type
from .._dial import SocketOption, fail_after, open_link
from .._dispatch import DEFAULT_THREADS, Workers
from .._entered import Entered
from .._errors import NotConnected, require_trio, unwrapped
from .._link import Link
from .._supervise import RETRIED, RetryPolicy, dial_until_open, supervise
from .._tasks import HiddenNursery
from ..tls import ClientCredentials
from ._address import name_failure, parse_address, show_address
from ._channel import Channel
from ._options import Options
from ._peer import Caller, check_call
from ._registry import NO_HANDLERS, Handlers, Registry, Serving
from ._service import Service
from ._states import State, StateWatch
from ._upgrade import make_session, secure, upgrade

if TYPE_CHECKING:
    from wirecore._backend import Backend

logger = logging.getLogger("wirecore.wsrpc")

#: What a client dials with: its credentials, or an async function that is asked for them before
#: each dial.
CredentialsSource: TypeAlias = ClientCredentials | Callable[[], Awaitable[ClientCredentials]]

_WANTED: Final = "a client has ClientCredentials: its private key and the server's public key"


class Client(Caller, Serving):
    """A connection to a server that comes back by itself; :func:`connect` makes it.

    A call while there is no connection fails at once with NotConnected; :meth:`wait_ready`
    waits for one.
    """

    def __init__(
        self,
        host: str,
        port: int,
        credentials: CredentialsSource,
        *,
        options: Options,
        socket_options: Sequence[SocketOption],
        backend: Backend | None,
    ) -> None:
        self._host = host
        self._port = port
        self._credentials = credentials
        self._options = options
        self._socket_options = socket_options
        self._backend = backend
        self._registry = Registry()
        self._watch = StateWatch()
        self._channel: Channel | None = None
        self._workers: Workers
        self._connections = 0
        self._last_error: BaseException | None = None

    def __repr__(self) -> str:
        return f"<Client of {self._authority}, {self.state.value}>"

    # --- calling --------------------------------------------------------------------------

    def call(self, method: str, payload: bytes) -> Coroutine[Any, Any, bytes]:
        # The channel's own coroutine: one frame less to resume for every call.
        channel = self._channel
        if channel is None:
            return self._refuse_call(method, payload)
        return channel.call(method, payload)

    async def _refuse_call(self, method: str, payload: bytes) -> NoReturn:
        check_call(method, payload)
        await trio.lowlevel.checkpoint()
        raise NotConnected(self._why_not())

    def _why_not(self) -> str:
        """Why calls don't go through now."""
        if self.state is State.SHUTDOWN:
            return "this client was closed: call within its async with"
        if self.last_error is None:
            return "connection is not ready"
        return f"connection is not ready: {self.last_error}"

    @property
    def state(self) -> State:
        """The connectivity state."""
        return self._watch.state

    @property
    def connections(self) -> int:
        """Connections made so far: 1 after the first, one more with each reconnect."""
        return self._connections

    @property
    def last_error(self) -> BaseException | None:
        """Why the last attempt failed or the last connection broke; None if neither did."""
        return self._last_error

    @property
    def server_public_key(self) -> bytes | None:
        """The key of the server at the other end; None while there is no connection."""
        return None if self._channel is None else self._channel.public_key

    async def wait_for_state_change(self, state: State) -> State:
        """Wait until the state isn't *state* any more, and return it."""
        return await self._watch.wait_for_change(state)

    async def wait_ready(self) -> bool:
        """Wait until calls go through. False where the client was closed instead."""
        while (state := self.state) is not State.READY:
            if state is State.SHUTDOWN:
                return False
            await self._watch.wait_for_change(state)
        return True

    # --- the connection -------------------------------------------------------------------

    @property
    def _authority(self) -> str:
        return show_address(self._host, self._port)

    async def _attempt(self, workers: Workers) -> Channel:
        """One attempt to connect."""
        self._workers = workers
        self._watch.set(State.CONNECTING)
        try:
            with fail_after(self._options.open_timeout, f"no connection to {self._authority}"):
                return await self._open()
        except RETRIED as error:
            name_failure(error, self._host, self._port)
            self._last_error = error
            self._watch.set(State.TRANSIENT_FAILURE)
            raise

    async def _open(self) -> Channel:
        credentials = await self._ask_credentials()
        link: Link = await open_link(self._host, self._port, socket_options=self._socket_options)
        try:
            secured = await secure(link, credentials)
            link = secured.link
            extended, leftover = await upgrade(link, self._authority)
            channel = Channel(
                link,
                make_session(
                    client=True,
                    options=self._options,
                    extended=extended,
                    backend=self._backend,
                ),
                public_key=secured.public_key,
                registry=self._registry,
                workers=self._workers,
                options=self._options,
            )
            channel.feed(leftover)
            return channel
        except BaseException:
            link.close()
            raise

    async def _ask_credentials(self) -> ClientCredentials:
        source = self._credentials
        if isinstance(source, ClientCredentials):
            return source
        try:
            credentials = await source()
            require_type("what credentials() returns", credentials, ClientCredentials, hint=_WANTED)
        except Exception as caught:  # noqa: BLE001  # whatever a user's function raises
            error = unwrapped(caught)
            raise errors.CredentialsUnavailable(
                f"credentials() failed with {type(error).__name__}: {error}"
            ) from error
        return credentials

    def _ready(self, channel: Channel) -> None:
        """*channel* is open: calls go through it from now on."""
        self._channel = channel
        self._connections += 1
        self._watch.set(State.READY)

    async def _supervise(self, channel: Channel, policy: RetryPolicy) -> None:
        """Run *channel*, and connect again each time it is lost, until :meth:`_close`."""
        await supervise(
            channel,
            self._attend,
            lambda: self._attempt(self._workers),
            policy,
            what=self._authority,
        )

    async def _attend(self, channel: Channel) -> bool:
        """Run *channel*; whether another one is wanted when it is lost."""
        if channel is not self._channel and self.state is not State.SHUTDOWN:
            self._ready(channel)
        try:
            await channel.run()
        finally:
            self._channel = None
            channel.close()
        if self.state is State.SHUTDOWN:
            return False
        self._last_error = channel.error
        logger.info(
            "the connection to %s was lost (%s); connecting again", self._authority, channel.error
        )
        self._watch.set(State.IDLE)
        return True

    def _close(self) -> None:
        """Close the connection; what waits for the state sees SHUTDOWN."""
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()
        self._watch.set(State.SHUTDOWN)


class Connecting(Serving, Entered):
    """What :func:`connect` returns: ``async with`` it, once. Raises InvalidState the second time.

    What is registered before is served from the first moment on, as the other end may call as
    soon as it is connected.
    """

    _use = "use async with connect(...) as client"

    def __init__(self, client: Client, policy: RetryPolicy, *, wait: bool) -> None:
        self._client = client
        self._registry = client._registry
        self._policy = policy
        self._wait = wait
        self._entered = False
        self._tasks = HiddenNursery()

    async def __aenter__(self) -> Client:
        require_trio()
        if self._entered:
            raise errors.InvalidState("this connection was entered already: call connect again")
        self._entered = True
        await self._tasks.enter()
        nursery = self._tasks.nursery
        # There is one peer only: its bound is that of all.
        threads = self._client._options.max_handler_threads
        workers = Workers(nursery, threads=threads or DEFAULT_THREADS)
        try:
            if self._wait:
                channel = await dial_until_open(
                    lambda: self._client._attempt(workers),
                    self._policy,
                    what=self._client._authority,
                )
                self._client._ready(channel)
                nursery.start_soon(self._client._supervise, channel, _for_ever(self._policy))
            else:
                nursery.start_soon(self._connect_and_supervise, workers)
        except BaseException as error:
            await self._leave(error)
            raise
        return self._client

    async def _connect_and_supervise(self, workers: Workers) -> None:
        policy = _for_ever(self._policy)
        channel = await dial_until_open(
            lambda: self._client._attempt(workers), policy, what=self._client._authority
        )
        self._client._ready(channel)
        await self._client._supervise(channel, policy)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._leave(error)

    async def _leave(self, error: BaseException | None) -> None:
        self._client._close()
        await self._tasks.leave(error)


def _for_ever(policy: RetryPolicy) -> RetryPolicy:
    """Once it was let in, or where nobody waits, a client never gives up."""
    return RetryPolicy(backoff=policy.backoff, attempts=None, persist=True)


#: 200 is how a server says that the key has a connection already: that may pass.
_DEFAULT_POLICY = RetryPolicy(backoff=Backoff.wsrpc)


def connect(
    address: str,
    credentials: CredentialsSource,
    *,
    services: Sequence[Service] = (),
    handlers: Handlers = NO_HANDLERS,
    options: Options | None = None,
    retry: RetryPolicy | None = None,
    wait: bool = True,
    socket_options: Sequence[SocketOption] = (),
    backend: Backend | None = None,
) -> Connecting:
    """Connect to a wsrpc server: ``async with connect("127.0.0.1:1337", credentials) as client``.

    *address*: host and port, ``"[::1]:1337"`` for IPv6. *credentials*: our private key and the
    server's public key, or several of which any will do; or an async function that returns
    them, asked before each dial, within ``Options.open_timeout``. Where that fails the attempt
    has failed; entering raises CredentialsUnavailable unless it was for an OSError, a broken
    stream or a timeout, which may pass.
    *services*, and *handlers* that take and give bytes, by their methods' names, are served to
    the server from the first moment on; so is what is registered with the returned object
    before it is entered, with all that ``register`` and ``handle`` can do.
    Entering waits until the connection is there, trying again as *retry* says, by default for
    ever; ``RetryPolicy(attempts=3)`` gives up, and so does ``await client.wait_ready()`` in a
    cancel scope, with *wait* false. It raises
    PeerRefused where keys don't fit (unless the policy persists), UpgradeRejected, and what the
    policy's last attempt raised. With *wait* false it returns at once and connects in the
    background, for ever.
    Underneath it reconnects for ever: at once after a loss, unless the connection was
    short-lived; then after 1 s, 1.6 s and so on to 120 s, each spread by 20 %. A *retry* has
    its own delays: ``RetryPolicy(backoff=Backoff.wsrpc, attempts=3)`` keeps these.
    Leaving closes the connection and cancels the handlers; an exception of the body arrives as
    itself. What a dial raises names the address.
    *socket_options* are what ``setsockopt`` takes: (level, name, value). *backend*: the codec,
    for tests.
    Raises InvalidOption for an address that is none, TypeError for arguments of a wrong type.
    """
    host, port = parse_address(address)
    if callable(credentials) or inspect.iscoroutine(credentials):
        require_async("credentials", credentials)
    else:
        require_type("credentials", credentials, ClientCredentials, hint=_WANTED)
    require_type("options", options, Options, optional=True)
    require_type(
        "retry", retry, RetryPolicy, optional=True, hint="as retry=RetryPolicy(attempts=3)"
    )
    client = Client(
        host,
        port,
        credentials,
        options=options or Options(),
        socket_options=socket_options,
        backend=backend,
    )
    client._registry.add(services, handlers)
    return Connecting(client, retry or _DEFAULT_POLICY, wait=wait)
