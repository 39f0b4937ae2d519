"""Pool servers that are one by way of Redis."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import trio

from wirecore.errors import InvalidState
from wirecore.protocols.pool.slots import Wish
from wirecore.session.limits import check_above, check_at_least

from ..._arguments import require_int, require_seconds, require_type
from ..._errors import alone
from ..._redis_attempts import RedisAttempts
from ..._redis_link import RedisAddress, RedisLink
from ._commands import Commands
from ._contract import Node, ProviderInfo, RemoteCall
from ._directory import Directory, dump_announcement
from ._errors import BackendError, LinkLost
from ._redis_scripts import ANNOUNCE, LEAVE, RENEW, TOLD
from ._submitting import Submitter
from ._taking import Taker

logger = logging.getLogger("wirecore.pool.backends")

ReservationT = TypeVar("ReservationT")

#: So many leases after the last renewal nothing is left at Redis.
_KEEP: Final = 10

#: Most that is read at once of what a node is told.
_INBOX: Final = 100

#: Seconds that a node takes at most to say good-bye.
_LEAVING: Final = 2.0


class RedisBackend:
    """Makes one pool of all pool servers that have a Redis in common.

    *url*: ``redis://[USER[:PASSWORD]@]HOST[:PORT][/DB]``, ``rediss://`` over TLS, or
    ``unix:///PATH``; what has a meaning in URLs is percent-encoded. Redis 6.2 or newer, one
    server or a primary, no cluster. *prefix*: of all keys and channels, so that several pools can
    use one Redis.

    *lease*: seconds after which a node that says nothing is dead. What it had taken is then taken
    up by the others, within another third of that: calls that it hadn't begun to send, and those
    that are idempotent, are made by another node; who called the others is told that they may
    have been executed. *timeout*: seconds that Redis has to let us in, and to answer.
    *max_waiting*: calls that wait for a provider at one path (with one wish); one more is refused.

    Each server is given a backend of its own. While Redis is out of reach a server's own providers
    go on; calls that need another node wait for it, until their time is over. What Redis holds is
    not kept beyond it: one that loses its memory loses the calls in it, which is told.

    Raises TypeError for other types, InvalidOption for a *url* that is none, or a number of 0 or
    less.
    """

    def __init__(
        self,
        url: str,
        *,
        prefix: str = "wirecore:pool:",
        lease: float = 5.0,
        timeout: float = 5.0,
        max_waiting: int = 10_000,
    ) -> None:
        require_type("url", url, str)
        require_type("prefix", prefix, str)
        for name, seconds in (("lease", lease), ("timeout", timeout)):
            require_seconds(name, seconds, optional=False)
            check_above(name, seconds, 0)
        require_int("max_waiting", max_waiting)
        check_at_least("max_waiting", max_waiting, 1)
        self._address = RedisAddress(url, timeout, BackendError, LinkLost)
        self._prefix = prefix.encode("utf-8", "surrogatepass")
        self._lease = lease
        self._timeout = timeout
        self._id = secrets.token_hex(16)
        self._commands = Commands(self._prefix, round(_KEEP * lease * 1000))
        self._directory = Directory(self._id)
        self._submitter = Submitter(self._id, self._commands, self._directory, max_waiting)
        self._revision = 0
        self._to_announce = trio.Event()
        #: The last of what this node was told that it has dealt with.
        self._last_told = b"0"
        self._node: Node[Any] | None = None
        self._taker: Taker | None = None
        self._takes_part = False

    # --- for the node --------------------------------------------------------------------

    @property
    def nodes(self) -> Mapping[str, Mapping[str, Sequence[ProviderInfo]]]:
        """The providers of the other nodes that are alive: by node, then by path."""
        return self._directory.others

    def announce(self, path: str, providers: Sequence[ProviderInfo]) -> None:
        """These are all of this node's providers at *path* now. The others are told soon."""
        self._directory.set_mine(path, providers)
        self._revision += 1
        self._to_announce.set()
        self._submitter.nodes_changed()
        self.freed(path)

    def freed(self, path: str) -> None:
        """A place may be free at a provider of this node's at *path*: it came, or ended a call."""
        if self._taker is not None:
            self._taker.freed()
            self._submitter.make_here(path)

    def choose(self, path: str, wish: Wish) -> str | None:
        """The identity that *wish*'s key keeps to, of the providers of all nodes, this one too."""
        return self._directory.choose(path, wish)

    async def submit(self, call: RemoteCall) -> bytes:
        """The packed result of *call*, which a node makes that has a free provider that fits.

        See :class:`Backend`. Raises InvalidState where :meth:`run` doesn't.
        """
        return await self._submitter.submit(call)

    async def run(
        self,
        node: Node[ReservationT],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Be one of the nodes until cancelled: take calls for *node*, deliver outcomes.

        Started when the others are known: where Redis is out of reach, that waits until it
        isn't. Every loss and attempt is logged.

        Raises InvalidState where it runs already, BackendError where Redis refuses the first time.
        """
        if self._node is not None:
            raise InvalidState("the backend runs already: give each server a backend of its own")
        self._node = node
        try:
            with alone():
                async with trio.open_nursery() as tasks:
                    self._taker = Taker(self._id, self._commands, node, tasks)
                    self._submitter.start(tasks, node)
                    await self._stay_connected(self._taker, task_status)
        finally:
            self._node = self._taker = None
            self._submitter.stop()
            if self._takes_part:
                self._takes_part = False
                await self._leave()

    async def finish(self) -> None:
        """See Backend."""
        if self._taker is not None:
            await self._taker.finish()

    # --- the connection ------------------------------------------------------------------

    async def _stay_connected(self, taker: Taker, task_status: trio.TaskStatus[None]) -> None:
        attempts = RedisAttempts(
            self._address, passing=LinkLost, started=task_status.started, logger=logger
        )
        while True:
            failure: ExceptionGroup[BackendError] | None = None
            try:
                await self._run_connected(taker, attempts.ready)
            except* BackendError as group:  # several connections may be lost at once
                failure = group
            finally:
                self._commands.closed()
            attempts.failed(failure)
            self._submitter.make_here()
            await attempts.pause()

    async def _run_connected(self, taker: Taker, ready: Callable[[], None]) -> None:
        """Be one of the nodes until a connection is lost, which raises BackendError."""
        # One for commands; one for what is published, as an error of SUBSCRIBE would pass for the
        # answer to a command; one that waits for what this node is told.
        async with (
            self._address.connected() as commands,
            self._address.connected() as channels,
            self._address.connected() as inbox,
            trio.open_nursery() as nursery,
        ):
            for link in (commands, channels, inbox):
                nursery.start_soon(link.read, self._take_published)
            await channels.subscribe([self._prefix + b"waiting", self._prefix + b"news"])
            self._commands.number += 1
            await self._renew(taker, commands, first=True)
            self._commands.opened(commands)
            nursery.start_soon(self._read_inbox, inbox)
            nursery.start_soon(taker.run)
            nursery.start_soon(self._announce)
            ready()
            while True:
                await trio.sleep(self._lease / 3)
                await self._renew(taker, commands)
                await channels.ask(b"PING")

    async def _renew(self, taker: Taker, commands: RedisLink, *, first: bool = False) -> None:
        """Renew the lease, and see who is there, who is dead, and where calls wait."""
        announcement = dump_announcement(self._directory.mine) if first else b""
        async with taker.taking:
            asked = trio.current_time()
            taker.begin_sweep()
            lapsed, revisions, waiting, now = await commands.ask(
                b"EVAL",
                RENEW,
                1,
                self._prefix,
                self._commands.keep,
                self._id.encode(),
                max(1, round(self._lease * 1000)),
                self._revision,
                announcement,
                self._commands.number,
                len(taker.running),
                *taker.running,
                *self._submitter.streams(),
            )
        self._takes_part = True
        self._commands.set_clock(asked, now)
        if lapsed:
            self._to_announce.set()
            # It may be another Redis, whose clock, which numbers what is told, is behind.
            self._last_told = b"0"
            self._submitter.doubt()
        known = {
            node.decode(): int(revision)
            for node, revision in zip(revisions[::2], revisions[1::2], strict=True)
        }
        changed = False
        for node in self._directory.others:
            if node not in known:
                changed |= self._directory.forget(node)
        for node, revision in known.items():
            if node != self._id and revision != self._directory.revision(node):
                told = await commands.ask(b"GET", self._prefix + b"node:" + node.encode())
                if told is not None:
                    changed |= self._directory.apply(node, revision, told)
        if changed:
            self._nodes_changed()
        taker.sweep(waiting)

    async def _announce(self) -> None:
        while True:
            await self._to_announce.wait()
            self._to_announce = trio.Event()
            announcement = dump_announcement(self._directory.mine)
            try:
                await self._commands.run(ANNOUNCE, self._id, self._revision, announcement)
            except BaseException:
                self._to_announce.set()
                raise

    async def _take_published(self, channel: bytes, message: bytes) -> None:
        if channel == self._prefix + b"waiting":
            if self._taker is not None:
                self._taker.look_at(message)
            return
        node, _, rest = message.partition(b" ")
        revision, _, told = rest.partition(b" ")
        name = node.decode("ascii", "replace")
        if not revision:
            changed = self._directory.forget(name)
        else:
            changed = revision.isdigit() and self._directory.apply(name, int(revision), told)
        if changed:
            self._nodes_changed()

    def _nodes_changed(self) -> None:
        self._submitter.nodes_changed()
        if self._node is not None:
            self._node.nodes_changed()

    async def _read_inbox(self, inbox: RedisLink) -> None:
        """Deal with what this node is told, each once, until the connection is lost."""
        key = self._prefix + b"inbox:" + self._id.encode()
        block = max(1, round(self._timeout * 500))
        while True:
            told = await inbox.ask(
                b"XREAD", b"COUNT", _INBOX, b"BLOCK", block, b"STREAMS", key, self._last_told
            )
            if not told:
                continue
            streams = told.values() if isinstance(told, dict) else [each[1] for each in told]
            entries = [entry for entries in streams for entry in entries]
            ended = []
            for entry, pairs in entries:
                fields = dict(zip(pairs[::2], pairs[1::2], strict=True))
                if self._take_told(fields[b"kind"].decode(), fields[b"call"], fields[b"body"]):
                    ended.append(fields[b"call"])
                self._last_told = entry
            # Over the connection of commands: who looks there for an outcome asks before, and
            # finds it, or has been told it.
            await self._commands.run(
                TOLD, self._id, len(entries), *(entry for entry, _ in entries), *ended
            )

    def _take_told(self, kind: str, call: bytes, body: bytes) -> bool:
        """See to what this node is told; whether it is the outcome of a call."""
        if kind == "withdrawn":
            if self._taker is not None:
                self._taker.withdraw(call)
            return False
        self._submitter.tell(call.decode("ascii", "replace"), kind, body)
        return kind != "moved"

    async def _leave(self) -> None:
        """Leave nothing behind. Where that doesn't succeed the others find out by the lease."""
        with trio.CancelScope(shield=True), trio.move_on_after(_LEAVING):
            try:
                async with self._address.connected() as link:
                    await link.ask(
                        b"EVAL", LEAVE, 1, self._prefix, self._commands.keep, self._id.encode()
                    )
            except BackendError as error:
                logger.warning("%s; the other nodes will miss this one soon", error)
