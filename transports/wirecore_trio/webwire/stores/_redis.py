"""Sessions in Redis, by which several servers are one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import trio

from wirecore.errors import InvalidState
from wirecore.protocols.webwire import Session
from wirecore.session.limits import check_above, check_at_least

from ..._arguments import require_int, require_seconds, require_type
from ..._redis_attempts import RedisAttempts
from ..._redis_link import RedisAddress, RedisLink
from ._contract import Deliver
from ._errors import StoreDamaged, StoreError, StoreUnavailable
from ._lifetime import Lifetime
from ._record import (
    info_from_json,
    info_to_json,
    key_taken,
    key_to_bytes,
    time_from_number,
    time_to_number,
)
from ._redis_scripts import ATTACH, CREATE, DETACH, LOOK_UP, RENEW

logger = logging.getLogger("wirecore.webwire.stores")

#: Sessions whose leases are renewed by one command.
_BATCH: Final = 100

#: Seconds after which a connection that nobody uses is tried, at the latest.
_IDLE: Final = 10.0


class RedisStore:
    """Keeps sessions in Redis, and carries messages between the servers that have it in common.

    *url*: ``redis://[USER[:PASSWORD]@]HOST[:PORT][/DB]``, ``rediss://`` over TLS, or
    ``unix:///PATH``; what has a meaning in URLs is percent-encoded. Redis 6 or newer, one server
    or a primary, no cluster. *prefix*: of all keys and channels, so that several programs can
    use one Redis. *lifetime*: seconds from its last lookup (or its creation) after which a
    session is forgotten; None: never.

    *lease*: seconds after which the connections of a server that has died, or that has lost
    Redis, don't count any more. *timeout*: seconds that Redis has to let us in, and to answer.

    A server calls :meth:`run` while it serves; then all goes over two connections. Without that
    each call opens one for itself, and ``subscribe`` only notes what ``run`` will ask for.

    Takes any key. Raises TypeError for other types, InvalidOption for a *url* that is none, or a
    number of 0 or less. Later every method raises StoreUnavailable where Redis can't be reached
    or doesn't answer, and StoreError where it refuses (a wrong password, say).
    """

    def __init__(
        self,
        url: str,
        *,
        prefix: str = "wirecore:webwire:",
        lifetime: float | None = None,
        lease: float = 30.0,
        timeout: float = 5.0,
    ) -> None:
        require_type("url", url, str)
        require_type("prefix", prefix, str)
        for name, seconds in (("lease", lease), ("timeout", timeout)):
            require_seconds(name, seconds, optional=False)
            check_above(name, seconds, 0)
        self._address = RedisAddress(url, timeout, StoreError, StoreUnavailable)
        self._prefix = prefix
        self._lifetime = Lifetime(lifetime)
        self._lease = lease
        #: The topics subscribed to, by their channels.
        self._topics: dict[bytes, str] = {}
        #: This server's connections, by the sessions that they use.
        self._attached: dict[str, set[str]] = {}
        self._running = False
        #: Set when the attempt to connect that is under way has ended.
        self._tried = trio.Event()
        self._commands: RedisLink | None = None
        self._channels: RedisLink | None = None

    # --- sessions ------------------------------------------------------------------------

    async def create(self, session: Session) -> None:
        """Keep *session*. Raises KeyError where its key is taken, and keeps the one it has.

        Raises TypeError or ValueError where the info holds what JSON can't.
        """
        created = await self._evaluate(
            CREATE,
            [self._name("session", session.key)],
            time_to_number(session.created),
            time_to_number(session.last_lookup),
            info_to_json(session),
            self._lifetime.milliseconds,
        )
        if not created:
            raise key_taken()

    async def look_up(self, key: str, now: datetime) -> Session | None:
        """The session of *key* as it was kept, and *now* is its last lookup; None without one."""
        name = self._name("session", key)
        kept = await self._evaluate(
            LOOK_UP, [name], time_to_number(now), self._lifetime.milliseconds
        )
        if kept is None:
            return None
        try:
            created, last_lookup = (time_from_number(int(number)) for number in kept[:2])
        except (ValueError, OverflowError):
            raise StoreDamaged("the times of a stored session aren't any") from None
        return Session(key, created, last_lookup, info_from_json(kept[2]))

    async def close(self, key: str) -> None:
        """Forget the session of *key*. Nothing happens where there is none."""
        await self._ask(b"DEL", self._name("session", key))

    async def contains(self, key: str) -> bool:
        """Whether the session of *key* is kept; its last lookup stays."""
        return bool(await self._ask(b"EXISTS", self._name("session", key)))

    # --- connections ---------------------------------------------------------------------

    async def attach(self, key: str, connection: str, most: int) -> bool:
        """Count *connection*, an id that no other has, among those that use the session of *key*.

        False, and it isn't, where *most* do already on all servers (0: any number). Its lease is
        renewed by :meth:`run` until it is detached.
        """
        require_int("most", most)
        check_at_least("most", most, 0)
        name = self._name("connections", key)
        counted = await self._evaluate(
            ATTACH, [name], key_to_bytes(connection), most, self._lease_ms
        )
        if counted:
            self._attached.setdefault(key, set()).add(connection)
        return bool(counted)

    async def detach(self, key: str, connection: str, *, forget: bool = False) -> int:
        """*connection* doesn't use it any longer; how many do, on all servers. Idempotent.

        *forget*: if none does the session is forgotten, in the same step. Where it raises, the
        connection counts until its lease ends, or, with *forget*, as before.
        """
        users = self._attached.get(key, set())
        was_attached = connection in users
        users.discard(connection)
        if not users:
            self._attached.pop(key, None)
        names = [self._name("connections", key)]
        if forget:
            names.append(self._name("session", key))
        try:
            left: int = await self._evaluate(DETACH, names, key_to_bytes(connection))
        except BaseException:
            if forget and was_attached:
                self._attached.setdefault(key, set()).add(connection)
            raise
        return left

    # --- messages ------------------------------------------------------------------------

    async def publish(self, topic: str, message: bytes) -> None:
        """Send *message* to each server that has subscribed to *topic*, this one too."""
        await self._ask(b"PUBLISH", self._name("topic", topic), message)

    async def subscribe(self, topic: str) -> None:
        """From now on what is published to *topic* is delivered. Idempotent.

        Where it raises, it is from when Redis is back.
        """
        channel = self._name("topic", topic)
        self._topics[channel] = topic
        if self._running:
            link = await self._link_of(lambda: self._channels)
            await link.subscribe([channel])

    async def unsubscribe(self, topic: str) -> None:
        """And no longer. Idempotent. Nothing more is delivered, also where it raises."""
        channel = self._name("topic", topic)
        self._topics.pop(channel, None)
        if self._running:
            link = await self._link_of(lambda: self._channels)
            # Somebody may have subscribed again while this one waited for a connection.
            if channel not in self._topics:
                await link.unsubscribe([channel])

    async def run(
        self,
        deliver: Deliver,
        resumed: Callable[[], None],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Deliver, in the order of publishing, until cancelled; one server runs it once.

        Started when what is subscribed to is delivered: where Redis is out of reach, that waits
        until it isn't. After each loss it connects and subscribes again, renews all leases and
        calls *resumed*: messages may have been missed. Every loss and attempt is logged.

        Raises InvalidState where it runs already, StoreError where Redis refuses the first time.
        """
        if self._running:
            raise InvalidState("the store runs already: give each server a store of its own")
        self._running = True
        attempts = RedisAttempts(
            self._address,
            passing=StoreUnavailable,
            started=task_status.started,
            resumed=resumed,
            logger=logger,
        )
        try:
            while True:
                self._tried = trio.Event()
                failure: ExceptionGroup[StoreError] | None = None
                try:
                    await self._run_connected(deliver, attempts.ready)
                except* StoreError as group:  # both connections may be lost at once
                    failure = group
                finally:
                    self._commands = self._channels = None
                    self._tried.set()
                attempts.failed(failure)
                await attempts.pause()
        finally:
            self._running = False

    async def _run_connected(self, deliver: Deliver, ready: Callable[[], None]) -> None:
        """Deliver until the connection is lost, which raises StoreError."""

        async def take(channel: bytes, message: bytes) -> None:
            topic = self._topics.get(channel)
            if topic is not None:
                await deliver(topic, message)

        # Two connections: an error of SUBSCRIBE would pass for the answer to another command.
        async with (
            self._address.connected() as commands,
            self._address.connected() as channels,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(channels.read, take)
            nursery.start_soon(commands.read, take)
            self._commands, self._channels = commands, channels
            self._tried.set()
            await channels.subscribe(list(self._topics))
            await self._renew(commands)
            ready()
            while True:
                await trio.sleep(min(self._lease / 3, _IDLE))
                await self._renew(commands)
                await channels.ask(b"PING")

    async def _renew(self, commands: RedisLink) -> None:
        """Renew the leases of this server's connections, which shows that Redis is there."""
        if not self._attached:
            await commands.ask(b"PING")
        keys = list(self._attached)
        for first in range(0, len(keys), _BATCH):
            names: list[bytes] = []
            connections: list[bytes | int] = []
            for key in keys[first : first + _BATCH]:
                users = self._attached.get(key)  # they may have gone since the batch before
                if users:
                    names.append(self._name("connections", key))
                    connections += [len(users), *map(key_to_bytes, users)]
            await commands.ask(b"EVAL", RENEW, len(names), *names, self._lease_ms, *connections)

    # --- commands ------------------------------------------------------------------------

    @property
    def _lease_ms(self) -> int:
        return max(1, round(self._lease * 1000))

    def _name(self, kind: str, name: str) -> bytes:
        return key_to_bytes(f"{self._prefix}{kind}:{name}")

    async def _evaluate(self, script: bytes, names: list[bytes], *arguments: bytes | int) -> Any:
        # Redis keeps scripts compiled by what they say: sending them whole costs little, and
        # there is no moment at which it doesn't know one.
        return await self._ask(b"EVAL", script, len(names), *names, *arguments)

    async def _ask(self, command: bytes, *arguments: bytes | int) -> Any:
        if self._running:
            link = await self._link_of(lambda: self._commands)
            return await link.ask(command, *arguments)
        async with self._address.connected() as link:
            return await link.ask(command, *arguments)

    async def _link_of(self, link: Callable[[], RedisLink | None]) -> RedisLink:
        """The connection of :meth:`run`, or the one that it is about to have."""
        if link() is None:
            await self._tried.wait()
        found = link()
        if found is None:
            raise StoreUnavailable(f"{self._address} is out of reach: connecting again")
        return found
