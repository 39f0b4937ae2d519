"""Calls that wait at Redis, and that this node takes and makes."""

from __future__ import annotations

import logging
from typing import Any, Final

import trio

from wirecore.errors import CallLost, CallTimeout, RpcError, WirecoreError
from wirecore.protocols.pool.codec import error_text
from wirecore.session.fields import read_fields

from ._commands import Commands
from ._contract import Node, RemoteCall, Sending
from ._errors import BackendError, BackendUnavailable, CallTaken, LinkLost
from ._redis_scripts import ANSWER, GIVE_UP, MARK, TAKE
from ._streams import parse_stream_name

logger = logging.getLogger("wirecore.pool.backends")

#: Calls that are taken from one stream at once.
_BATCH: Final = 16


class Taken:
    """A call that this node has taken, and not brought to an end."""

    def __init__(self, stream: bytes, entry: bytes, fields: dict[bytes, bytes]) -> None:
        self.stream = stream
        self.entry = entry
        self.caller = fields[b"caller"]
        self.name = fields[b"call"]
        self.scope = trio.CancelScope()
        self.sent = fields.get(b"sent") == b"1"  # by a node that had it before
        self.withdrawn = False

    @property
    def place(self) -> bytes:
        """Where it is, as scripts are told it."""
        return self.entry + b" " + self.stream


class Taker:
    """Takes calls for *node* when it has a free provider for them, and only then.

    A place at a provider is reserved before a call is asked for: so a call waits at Redis, where
    all nodes see it, and never in a node that has nobody for it.
    """

    def __init__(self, me: str, commands: Commands, node: Node[Any], tasks: trio.Nursery) -> None:
        self._me = me
        self._commands = commands
        self._node = node
        self._tasks = tasks
        #: Streams in which calls may wait, and how many are asked for at once: more each time
        #: that all were there, as places are held meanwhile that others want too.
        self._waiting: dict[bytes, int] = {}
        self._fresh: set[bytes] = set()
        self._news = trio.Event()
        #: Held by who asks Redis for calls, until they are in *running*.
        self.taking = trio.Lock()
        self.running: dict[bytes, Taken] = {}
        self._finishing = False
        self._none_runs = trio.Event()

    def look_at(self, stream: bytes) -> None:
        """A call may wait in *stream*."""
        self._waiting.setdefault(stream, 1)
        self._fresh.add(stream)
        self._news.set()

    def begin_sweep(self) -> None:
        """Redis is asked in which streams calls wait."""
        self._fresh.clear()

    def sweep(self, waiting: list[bytes]) -> None:
        """It has answered: look at none but these, and those that one was told of since."""
        for stream in set(self._waiting).difference(waiting, self._fresh):
            del self._waiting[stream]
        for stream in waiting:
            self.look_at(stream)

    def freed(self) -> None:
        """A provider may be free that wasn't."""
        if self._waiting:
            self._news.set()

    def withdraw(self, place: bytes) -> None:
        """Who called doesn't want the result any more."""
        taken = self.running.get(place)
        if taken is not None:
            taken.withdrawn = True
            taken.scope.cancel()

    async def run(self) -> None:
        """Take calls until the connection is lost, which raises LinkLost."""
        while True:
            self._news = trio.Event()
            more = False
            for stream in () if self._finishing else tuple(self._waiting):
                more |= await self._take_from(stream)
            if not more:
                await self._news.wait()

    async def _take_from(self, stream: bytes) -> bool:
        """Take as many calls as can be made now; whether there may be more that can."""
        try:
            path, wish = parse_stream_name(stream)
        except ValueError:
            logger.error("a stream of calls was passed over whose name is %r", stream)
            self._waiting.pop(stream, None)
            return False
        reserved: list[Any] = []
        most = self._waiting.get(stream, 1)
        while len(reserved) < most:
            reservation = self._node.reserve(path, wish)
            if reservation is None:
                break
            reserved.append(reservation)
        if not reserved:
            return False
        asked = len(reserved)
        # From here on it is waiting again if anybody says so.
        self._waiting.pop(stream, None)
        try:
            async with self.taking:
                found = await self._commands.run(TAKE, stream, self._me, asked)
                for entry, fields, left in found:
                    try:
                        self._begin(reserved, stream, entry, fields, left)
                    except (KeyError, ValueError):
                        logger.error("a call that none of these nodes can have made was dropped")
                        self._tasks.start_soon(self._drop, stream, entry)
            more = len(found) == asked
        except BaseException:
            self._waiting[stream] = most
            raise
        finally:
            for reservation in reserved:
                self._node.release(reservation)
        if more:
            self._waiting[stream] = min(2 * most, _BATCH)
        return more

    def _begin(
        self, reserved: list[Any], stream: bytes, entry: bytes, pairs: list[bytes], left: int
    ) -> None:
        fields = dict(zip(pairs[::2], pairs[1::2], strict=True))
        taken = Taken(stream, entry, fields)
        path, wish = parse_stream_name(stream)
        call = RemoteCall(
            path,
            fields[b"method"].decode("utf-8", "surrogateescape"),
            fields[b"codec"].decode("utf-8", "surrogateescape"),
            fields[b"argument"],
            wish,
            fields[b"idempotent"] == b"1",
            None if left < 0 else left / 1000,
            int(fields[b"attempts"]) + 1,
            fields[b"once"] == b"1",
            _fields_beside(fields),
        )
        self.running[taken.place] = taken
        self._tasks.start_soon(self._make, reserved.pop(), taken, call)

    async def _make(self, reservation: Any, taken: Taken, call: RemoteCall) -> None:
        try:
            ending = await self._execute(reservation, taken, call)
            place = taken.stream, taken.entry
            if ending == "taken" or taken.withdrawn:
                return
            if isinstance(ending, str):
                await self._end(GIVE_UP, *place, int(ending == "maybe_executed"))
            else:
                await self._end(ANSWER, *place, taken.caller, taken.name, *ending)
        finally:
            self.running.pop(taken.place, None)
            if not self.running:
                self._none_runs.set()
                self._none_runs = trio.Event()

    async def finish(self) -> None:
        """Take no more, and return when those that were taken have come to their ends."""
        self._finishing = True
        async with self.taking:
            pass  # what was being asked for is there
        while self.running:
            await self._none_runs.wait()

    async def _end(self, script: bytes, *arguments: bytes | str | int) -> None:
        try:
            await self._commands.insist(script, *arguments)
        except BackendError as error:
            logger.error("who called can't be told how the call has ended: %s", error)

    async def _drop(self, stream: bytes, entry: bytes) -> None:
        await self._end(ANSWER, stream, entry, b"", b"", b"", b"")

    async def _execute(
        self, reservation: Any, taken: Taken, call: RemoteCall
    ) -> tuple[str, bytes] | str:
        """How the call has ended; else whether it was executed, or that it is "taken" away."""
        try:
            with taken.scope:
                result = await self._node.execute(reservation, call, self._sending(taken))
                return "result", result
            return "taken"
        except RpcError as error:
            return "error", _text(error.text)
        except CallTaken:
            return "taken"
        except CallLost as error:
            return error.execution
        except CallTimeout:
            return "expired", b"maybe_executed" if taken.sent else b"not_sent"
        except WirecoreError as error:
            return "failed", _text(str(error))
        except Exception:
            logger.exception("a call of another node's, of %r, couldn't be made", call.method)
            return "failed", b"internal error"

    def _sending(self, taken: Taken) -> Sending:
        async def sending() -> None:
            place = taken.stream, taken.entry
            try:
                is_ours = not taken.withdrawn and await self._commands.run(MARK, *place, self._me)
            except LinkLost as error:
                raise BackendUnavailable(str(error)) from error
            if not is_ours:
                raise CallTaken("the call was withdrawn, or another node has it")
            taken.sent = True

        return sending


def _fields_beside(fields: dict[bytes, bytes]) -> tuple[tuple[str, str], ...]:
    found = read_fields(fields.get(b"fields", b""))
    return () if found is None else tuple(found[1].items())


def _text(text: str) -> bytes:
    return error_text(text).encode("utf-8", "surrogateescape")
