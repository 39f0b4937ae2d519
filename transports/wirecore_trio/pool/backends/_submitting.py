"""Calls of this node that wait for their outcomes."""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Callable, Iterator
from typing import Any, Final

import trio

from wirecore.errors import Execution, InvalidState, LocalLimitExceeded, RpcError
from wirecore.protocols.pool.slots import Wish
from wirecore.session.fields import write_fields

from ..._errors import CallLost
from ._commands import Commands
from ._contract import Node, RemoteCall
from ._directory import Directory
from ._errors import BackendError, BackendUnavailable, CallExpired, LinkLost
from ._redis_scripts import MOST_ATTEMPTS, SUBMIT, WITHDRAW
from ._streams import stream_name

logger = logging.getLogger("wirecore.pool.backends")

#: Seconds that withdrawing a call may take: its caller waits for that.
_WITHDRAWING: Final = 1.0

#: How it is with a call that has no outcome yet: its provider is another now, or nobody knows
#: whether Redis has it still.
_ELSEWHERE, _DOUBTFUL = "elsewhere", "doubtful"


class Pending:
    """A call without an outcome. *stream* and *entry*: where it is, None while it is nowhere."""

    def __init__(self, name: str, call: RemoteCall) -> None:
        self.name = name
        self.call = call
        self.deadline = math.inf
        if call.timeout is not None:
            self.deadline = trio.current_time() + call.timeout
        self.stream: bytes | None = None
        self.entry: bytes | None = None
        self.handed_over = False  # Redis may have it
        self.scope = trio.CancelScope()  # of what brings it to its end by way of Redis
        self.reservation: Any = None  # a place for it at a provider of this node's
        self.made_here = False
        self._news: tuple[str, bytes] | None = None
        self._told = trio.Event()

    @property
    def moves(self) -> bool:
        """Whether its provider depends on which there are."""
        return self.call.wish.key is not None and self.call.wish.provider is None

    @property
    def may_be_made_here(self) -> bool:
        """Whether this node may make it without asking Redis: nobody else can, or twice is fine."""
        is_open = self._news is None and self.reservation is None and not self.made_here
        return is_open and (self.call.idempotent or not self.handed_over)

    def settle(self, kind: str, body: bytes) -> None:
        """There is an outcome, of which the first one counts, or something to be done."""
        known = "" if self._news is None else self._news[0]
        if known in ("", _DOUBTFUL) or (known == _ELSEWHERE and kind != _DOUBTFUL):
            self._news = kind, body
            self._told.set()

    async def wait(self) -> tuple[str, bytes]:
        """The outcome, or what is to be done now."""
        await self._told.wait()
        assert self._news is not None
        found = self._news
        if found[0] in (_ELSEWHERE, _DOUBTFUL):
            self._news = None
            self._told = trio.Event()
        return found


class Submitter:
    """Hands calls over, and gives out what becomes of them."""

    def __init__(self, me: str, commands: Commands, directory: Directory, most: int) -> None:
        self._me = me
        self._commands = commands
        self._directory = directory
        self._most = most
        self._numbers = itertools.count()
        self._pending: dict[str, Pending] = {}
        self._changed = trio.Event()
        self._deaths = 0
        self._kept = 0  # calls that Redis hasn't
        self._tasks: trio.Nursery | None = None
        self._node: Node[Any]

    def start(self, tasks: trio.Nursery, node: Node[Any]) -> None:
        """From now on there is a run, which has *tasks*, for *node*."""
        self._tasks = tasks
        self._node = node

    def stop(self) -> None:
        """There is none any more: all calls are lost."""
        self._tasks = None
        for pending in self._pending.values():
            pending.settle("lost", b"maybe_executed" if pending.handed_over else b"not_sent")

    def streams(self) -> Iterator[bytes]:
        """Where calls are, each once."""
        return iter({each.stream for each in self._pending.values() if each.stream is not None})

    def tell(self, name: str, kind: str, body: bytes) -> None:
        """The outcome of a call. Those of calls that were given up are dropped."""
        pending = self._pending.get(name)
        if pending is None:
            return
        if kind == "moved":  # its node gave it up, and it waits again
            pending.entry = body
        else:
            pending.settle(kind, body)

    def doubt(self) -> None:
        """This node counted as dead for a while: see whether Redis has its calls still."""
        self._deaths += 1
        for pending in self._pending.values():
            if pending.handed_over:
                pending.settle(_DOUBTFUL, b"")

    def nodes_changed(self) -> None:
        """Providers came or went: calls with a key may have to go elsewhere."""
        self._changed.set()
        self._changed = trio.Event()
        if self._tasks is None:
            return
        for pending in self._pending.values():
            if not pending.moves or pending.entry is None:
                continue
            if self._stream_of(pending.call) not in (None, pending.stream):
                self._tasks.start_soon(self._move, pending, pending.entry)

    async def submit(self, call: RemoteCall) -> bytes:
        """See Backend.submit."""
        if self._tasks is None:
            raise InvalidState("the backend doesn't run: its pool server must serve first")
        if self._kept >= self._most:
            raise self._too_many()
        pending = Pending(f"{self._me}:{next(self._numbers)}", call)
        self._pending[pending.name] = pending
        self._kept += 1
        try:
            with trio.move_on_after(math.inf if call.timeout is None else call.timeout):
                return await self._make_somewhere(pending)
            raise await self._expired(pending)
        except trio.Cancelled:
            if pending.handed_over and self._tasks is not None:
                self._tasks.start_soon(self._forget, pending)
            raise
        finally:
            del self._pending[pending.name]
            if not pending.handed_over:
                self._kept -= 1
            if pending.reservation is not None:
                self._node.release(pending.reservation)

    # --- while Redis is out of reach ------------------------------------------------------

    def make_here(self, path: str | None = None) -> None:
        """Let this node's providers at *path*, or all, make what no other node can make now."""
        if self._commands.is_open:
            return
        tried = set()
        for pending in self._pending.values():
            wanted = pending.call.path, pending.call.wish
            if path not in (None, pending.call.path) or wanted in tried:
                continue
            if pending.may_be_made_here and not self._reserve(pending):
                tried.add(wanted)

    def _reserve(self, pending: Pending) -> bool:
        """Get *pending* a place at a provider of this node's; whether there is one."""
        wish = self._settled(pending.call)
        if wish is not None:
            pending.reservation = self._node.reserve(pending.call.path, wish)
        if pending.reservation is None:
            return False
        pending.scope.cancel()
        return True

    async def _make_somewhere(self, pending: Pending) -> bytes:
        attempts = 0
        while True:
            if pending.may_be_made_here and not self._commands.is_open:
                self._reserve(pending)
            if pending.reservation is None:
                with pending.scope:
                    return _value(*await self._bring_to_end(pending))
            attempts += 1
            reservation, pending.reservation = pending.reservation, None
            pending.made_here = True
            try:
                found = await self._node.execute(reservation, pending.call, _at_once)
            except CallLost as error:
                again = error.execution == "not_sent" or pending.call.idempotent
                if pending.call.once or not again or attempts >= MOST_ATTEMPTS:
                    raise
                pending.made_here = False
                pending.scope = trio.CancelScope()
            else:
                if pending.handed_over and self._tasks is not None:
                    self._tasks.start_soon(self._forget, pending)
                return found

    async def _bring_to_end(self, pending: Pending) -> tuple[str, bytes]:
        how = "new"
        stream = None
        while True:
            if how == "new":
                stream = await self._find_stream(pending.call)
            assert stream is not None
            await self._hand_over(pending, stream, how)
            kind, body = await pending.wait()
            if kind == _ELSEWHERE:
                how = "new"
            elif kind == _DOUBTFUL:
                how = "again" if pending.call.idempotent else "look"
            else:
                return kind, body

    async def _find_stream(self, call: RemoteCall) -> bytes:
        while (stream := self._stream_of(call)) is None:
            await self._changed.wait()
        return stream

    def _stream_of(self, call: RemoteCall) -> bytes | None:
        wish = self._settled(call)
        return None if wish is None else stream_name(call.path, wish)

    def _settled(self, call: RemoteCall) -> Wish | None:
        """The wish, with the provider that its key keeps to; None where there is none."""
        wish = call.wish
        if wish.key is None or wish.provider is not None:
            return wish
        provider = self._directory.choose(call.path, wish)
        return None if provider is None else wish._replace(provider=provider)

    async def _hand_over(self, pending: Pending, stream: bytes, how: str) -> None:
        deaths = self._deaths
        while True:
            await self._commands.wait()
            if deaths != self._deaths and pending.handed_over and not pending.call.idempotent:
                how = "look"  # it may have been there, been made, and its answer dropped
            try:
                found = await self._ask(pending, stream, how)
            except LinkLost:
                # It may be there, or not: the next try looks before it adds.
                how = "again" if how == "new" else how
                continue
            break
        if found == 0:
            raise self._too_many()
        if found is None:
            pending.settle("lost", b"maybe_executed")
        elif isinstance(found, bytes) and found:
            pending.entry = found

    async def _ask(self, pending: Pending, stream: bytes, how: str) -> bytes | int | None:
        call = pending.call
        await self._commands.wait()
        await trio.lowlevel.checkpoint_if_cancelled()  # it is made here
        # Not how much time is left: a Redis that hangs would count that from when it goes on.
        last = 0 if call.timeout is None else self._commands.at_redis(pending.deadline)
        beside = write_fields(pending.name, dict(call.fields))
        self._set_handed_over(pending, True)
        pending.stream = stream
        found: bytes | int | None = await self._commands.run(
            SUBMIT,
            stream,
            self._most,
            how,
            last,
            pending.name,
            self._me,
            self._commands.number,
            "method",
            call.method.encode("utf-8", "surrogateescape"),
            "codec",
            call.codec,
            "idempotent",
            int(call.idempotent),
            "once",
            int(call.once),
            "argument",
            call.argument,
            *(("fields", beside) if beside else ()),
        )
        return found

    async def _move(self, pending: Pending, entry: bytes) -> None:
        assert pending.stream is not None
        try:
            found = await self._commands.insist(WITHDRAW, pending.stream, entry, 1)
        except BackendError as error:
            logger.error("a call stays with a provider that has gone: %s", error)
            return
        if pending.entry != entry:
            return
        if found is None:  # it is taken, has ended, or was withdrawn and the answer to that lost
            pending.settle(_DOUBTFUL, b"")
        else:
            pending.entry = pending.stream = None
            self._set_handed_over(pending, False)
            pending.settle(_ELSEWHERE, b"")

    def _set_handed_over(self, pending: Pending, value: bool) -> None:
        if pending.handed_over is not value:
            pending.handed_over = value
            self._kept += -1 if value else 1

    def _too_many(self) -> LocalLimitExceeded:
        remedy = "more providers, or fewer calls"
        return LocalLimitExceeded("max_waiting", self._most + 1, self._most, remedy)

    async def _withdraw(self, pending: Pending) -> Execution:
        """Give *pending* up; whether it may have been executed."""
        if pending.handed_over and pending.stream is not None:
            if pending.entry is None:  # it was on its way
                found = await self._insist(pending, pending.stream)
                pending.entry = found if isinstance(found, bytes) and found else None
            if pending.entry is None:
                return "maybe_executed"
            found = await self._commands.insist(WITHDRAW, pending.stream, pending.entry, 0)
            return "not_sent" if found == b"not_sent" else "maybe_executed"
        return "maybe_executed" if pending.handed_over else "not_sent"

    async def _insist(self, pending: Pending, stream: bytes) -> bytes | int | None:
        while True:
            try:
                return await self._ask(pending, stream, "look")
            except LinkLost:
                pass

    async def _forget(self, pending: Pending) -> None:
        """Nobody waits for it any more."""
        try:
            await self._withdraw(pending)
        except BackendError as error:
            logger.error("a call that was given up couldn't be withdrawn: %s", error)

    async def _expired(self, pending: Pending) -> Exception:
        call = pending.call
        text = f"{call.method} wasn't answered within {call.timeout:g} s by any node"
        if pending.made_here:
            if pending.handed_over and self._tasks is not None:
                self._tasks.start_soon(self._forget, pending)
            return CallExpired(text, execution="maybe_executed")
        if not self._commands.is_open:
            text += ": Redis is out of reach"
            if not pending.handed_over:
                return BackendUnavailable(text)
        # What can't be withdrawn isn't begun after its time, or it is under way.
        execution: Execution = "maybe_executed" if pending.handed_over else "not_sent"
        with trio.move_on_after(_WITHDRAWING):
            execution = await self._withdraw(pending)
        return CallExpired(text, execution=execution)


async def _at_once() -> None:
    """Nobody is to be asked before a call is sent."""


def _value(kind: str, body: bytes) -> bytes:
    """The result, or its error."""
    if kind == "result":
        return body
    text = body.decode("utf-8", "surrogateescape")
    execution: Execution = "not_sent" if body == b"not_sent" else "maybe_executed"
    makers: dict[str, Callable[[], Exception]] = {
        "error": lambda: RpcError(text),
        "lost": lambda: CallLost("the provider, its node, or Redis was lost", execution=execution),
        "expired": lambda: CallExpired("the provider didn't answer in time", execution=execution),
    }
    make = makers.get(kind, lambda: BackendError(f"another node couldn't make the call: {text}"))
    raise make()
