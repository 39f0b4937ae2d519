"""A server's sessions: made, restored and closed, so that store, registry and clients agree.

What concerns one key happens one after another on a server; on several that share a store, its
count of connections and what it publishes do the same.
"""

from __future__ import annotations

import logging
import math
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import trio

from wirecore import errors
from wirecore.protocols.webwire import (
    Encoding,
    MessageType,
    Payload,
    Session,
    SessionRegistry,
)

from .._arguments import require_type
from ._errors import Disconnected
from ._hooks import Hooks, call_hook, random_key, tell_hook
from .stores._contract import SessionStore, SharedStore

if TYPE_CHECKING:
    from ._connection import Connection

logger = logging.getLogger("wirecore.webwire")

#: What servers that share a store tell each other: the key of a session that was closed.
CLOSED_TOPIC: Final = "sessions closed"

#: Seconds that what was begun gets to be undone when its task is cancelled.
_UNDO: Final = 5.0

#: What a client gets that asks for a session or for the end of its own; None: an empty reply.
Answer: TypeAlias = MessageType | Payload | None

_DISABLED: Final = "sessions are disabled: give the Server a store"
_HAS_ONE: Final = "the connection has a session: close it first"


class Sessions:
    """The sessions of one server. *store*: None: they are disabled."""

    def __init__(self, store: SessionStore | None, hooks: Hooks, most: int) -> None:
        self._store = store
        self._shared = store if isinstance(store, SharedStore) else None
        self._hooks = hooks
        self._most = most
        self.registry: SessionRegistry[Connection] = SessionRegistry()
        # A lock for each key that something is being done with, and how many want it.
        self._locks: dict[str, tuple[trio.Lock, list[None]]] = {}

    @property
    def enabled(self) -> bool:
        """Whether there are sessions at all: a store, or a hook that finds them."""
        return self._store is not None or self._hooks.session_lookup is not None

    @asynccontextmanager
    async def _only(self, key: str) -> AsyncIterator[None]:
        """Nobody else does anything with *key* meanwhile."""
        lock, wanted = self._locks.setdefault(key, (trio.Lock(), []))
        wanted.append(None)
        try:
            async with lock:
                yield
        finally:
            wanted.pop()
            if not wanted:
                del self._locks[key]

    # --- creating -------------------------------------------------------------------------------

    async def create(self, connection: Connection, info: Mapping[str, Any] | None) -> Session:
        """See :meth:`Connection.create_session`."""
        if not self.enabled:
            raise errors.InvalidState(_DISABLED)
        if not connection.connected:
            raise Disconnected("the client isn't connected", execution="not_sent")
        if connection.session is not None:
            raise errors.InvalidState(_HAS_ONE)
        if not isinstance(info, Mapping | None):
            raise TypeError(f"info must be a dict or None, not {errors.kind_of(info)}")
        now = datetime.now(UTC)
        session = Session(await self._make_key(), now, now, dict(info or {}))
        json = session.to_json()
        async with self._only(session.key):
            await self._keep(session)
            try:
                await trio.lowlevel.checkpoint_if_cancelled()
                # Another handler of the connection's may have made one meanwhile.
                await self._attach(session.key, connection, 0)
                if connection.session is not None:
                    raise errors.InvalidState(_HAS_ONE)
                connection._session_state.session_created(json)
            except BaseException as error:
                await self._undo(session.key, connection)
                if isinstance(error, errors.NotConnected):
                    raise Disconnected("the client isn't connected", execution="not_sent") from None
                raise
            connection.session = session
            connection._write()
        await tell_hook("on_session_created", self._hooks.session_created, connection, session)
        return session

    async def _make_key(self) -> str:
        hook = self._hooks.session_key
        key = random_key() if hook is None else await call_hook(hook)
        if not isinstance(key, str) or not key:
            raise errors.InvalidState("generate_session_key must return text, and not an empty one")
        if self.registry.connections(key):
            raise errors.InvalidState("generate_session_key returned a key that is in use")
        return key

    async def _keep(self, session: Session) -> None:
        if self._store is not None:
            try:
                # Cancelled, we couldn't know whether it is kept, or somebody's of the same key.
                with _within("keep a session", shield=True):
                    await self._store.create(session)
            except KeyError:
                raise errors.InvalidState(
                    "generate_session_key returned a key that the store has already"
                ) from None
            except Exception:
                # As the original: it lives, and can't be restored.
                logger.exception("the store couldn't keep a session")

    async def _undo(self, key: str, connection: Connection) -> None:
        self.registry.detach(key, connection)
        with _shielded():  # the key's lock is held
            await self._tell_store(key, connection)
            await self._forget_logged(key)

    # --- restoring ------------------------------------------------------------------------------

    async def restore(
        self, connection: Connection, data: bytes, answer: Callable[[Answer], None]
    ) -> None:
        """A client asks for the session of the key *data*: *answer* is called with what it gets."""
        if not self.enabled:
            answer(MessageType.REPLY_SESSIONS_DISABLED)
            return
        try:
            await self._restore(connection, data.decode(), answer)
        except (UnicodeDecodeError, Disconnected):
            answer(MessageType.REPLY_SESSION_NOT_FOUND)
        except Exception:
            logger.exception("a session couldn't be looked up; the client was told no more")
            answer(MessageType.REPLY_INTERNAL_ERROR)

    async def _restore(
        self, connection: Connection, key: str, answer: Callable[[Answer], None]
    ) -> None:
        before = connection.session
        has_it = before is not None and before.key == key
        # Before it is looked up: who closes it from now on knows that it has one connection more.
        async with self._only(key):
            if not has_it and not await self._attach(key, connection, self._most):
                answer(MessageType.REPLY_MAX_SESSION_CONNECTIONS)
                return
        restored = False
        try:
            # Not under the lock: a hook may close what it has found.
            found, json = await self._find(connection, key)
            async with self._only(key):
                # Else it was closed meanwhile, or the connection has gone.
                is_used = connection in self.registry.connections(key)
                if found is not None and is_used and not connection._has_gone:
                    restored = True
                    # Another one may have been created meanwhile.
                    before, connection.session = connection.session, found
                    # Here, so that the session's end can't be told before.
                    answer(Payload(json, Encoding.UTF8))
        finally:
            if not restored and not has_it:
                await self.leave(key, connection)
        if not restored:
            answer(MessageType.REPLY_SESSION_NOT_FOUND)
        elif before is not None and before.key != key:
            await self.leave(before.key, connection)

    async def _find(self, connection: Connection, key: str) -> tuple[Session | None, bytes]:
        """The session of *key*, and what the client gets of it."""
        found = await self._look_up(key)
        if found is None:
            return None, b""
        if found.key != key:
            raise ValueError("on_session_lookup has returned a session of another key")
        json = found.to_json()
        connection._session_state.check_reply(len(json))
        return found, json

    async def _look_up(self, key: str) -> Session | None:
        hook = self._hooks.session_lookup
        if hook is not None:
            found = await call_hook(hook, key)
            if not isinstance(found, Session | None):
                kind = errors.kind_of(found)
                raise TypeError(f"on_session_lookup must return a Session or None, not {kind}")
            return found
        assert self._store is not None
        return await self._store.look_up(key, datetime.now(UTC))

    # --- closing --------------------------------------------------------------------------------

    async def close_by_client(
        self, connection: Connection, answer: Callable[[Answer], None]
    ) -> None:
        """A client ends its session: *answer* is called with what it gets, None: an empty reply."""
        if not self.enabled:
            answer(MessageType.REPLY_SESSIONS_DISABLED)
            return
        try:
            if not await self._close(connection, lambda: answer(None)):
                answer(None)
        except Exception:
            logger.exception("a session couldn't be closed; the client was told no more")
            answer(MessageType.REPLY_INTERNAL_ERROR)

    async def close_by_server(self, connection: Connection) -> None:
        """See :meth:`Connection.close_session`."""
        if not self.enabled:
            raise errors.InvalidState(_DISABLED)

        def tell() -> None:
            connection._session_state.session_closed()
            connection._write()

        await self._close(connection, tell)

    async def _close(self, connection: Connection, tell: Callable[[], None]) -> bool:
        """End its session. *tell* is called as soon as it has none; whether it was."""
        session = connection.session
        if session is None:
            return False
        key = session.key
        async with self._only(key):
            if connection.session is not session:
                return False  # somebody was faster
            with _within("say who uses a session", shield=True):
                left = await self._detach(key, connection)
                # It may have restored another one meanwhile.
                told = connection.session is session
                if told:
                    connection.session = None
                    tell()
        if not left:
            await tell_hook("on_session_closed", self._hooks.session_closed, key)
        return told

    async def close_key(
        self, key: str, *, stored: bool = False, published: bool = False
    ) -> list[tuple[Connection, Exception | None]]:
        """See :meth:`Server.close_session`. *published*: another server has begun it."""
        require_type("key", key, str, hint="session.key")
        if not self.enabled:
            raise errors.InvalidState(_DISABLED)
        async with self._only(key):
            users = self.registry.connections(key)
            if not users and (published or not (stored or await self._is_used_elsewhere(key))):
                return []
            if not published:
                try:
                    # First it is made sure that nobody can restore it: then they are told.
                    await self._end_for_all(key)
                except Exception as error:
                    if not users:
                        raise
                    return [(connection, error) for connection in users]  # who has it still
            for connection in users:
                self.registry.detach(key, connection)
            results = [(connection, self._tell_closed(key, connection)) for connection in users]
            with _shielded():
                async with trio.open_nursery() as nursery:
                    for connection in users:
                        nursery.start_soon(self._tell_store, key, connection)
        await tell_hook("on_session_closed", self._hooks.session_closed, key)
        return results

    async def _end_for_all(self, key: str) -> None:
        with _within("forget a session", shield=True):
            await self._forget(key)
            if self._shared is not None:
                await self._shared.publish(CLOSED_TOPIC, key.encode("utf-8", "surrogatepass"))

    def _tell_closed(self, key: str, connection: Connection) -> Exception | None:
        """The session of *key* is no more: its client is told; None where that could be done."""
        session = connection.session
        if session is None or session.key != key:
            return None  # it is about to restore it, or has another one by now
        connection.session = None
        try:
            connection._session_state.session_closed()
            connection._write()
        except Exception as error:  # noqa: BLE001 - given to who closes
            return error
        return None

    async def _is_used_elsewhere(self, key: str) -> bool:
        if self._shared is None:
            return False
        with _within("say who uses a session"):
            return await self._shared.detach(key, "") > 0

    def drop(self, connection: Connection) -> str | None:
        """*connection* is gone: its session stays, and may be restored. The key, for :meth:`leave`.

        None where it had none.
        """
        session, connection.session = connection.session, None
        if session is None:
            return None
        self.registry.detach(session.key, connection)
        return session.key

    async def check(self) -> None:
        """Messages of other servers may have been missed: close what is no more."""
        if self._shared is None:
            return
        for key in self.registry.keys:
            try:
                if not await self._is_kept(key, self._shared):
                    await self.close_key(key, published=True)
            except Exception:
                logger.exception("a session couldn't be checked")

    async def _is_kept(self, key: str, store: SharedStore) -> bool:
        async with self._only(key):
            kept = await store.contains(key)
            if kept:
                # Who asked in vain to leave it is still there, and is to count.
                for connection in self.registry.connections(key):
                    with _within("count a connection"):
                        await store.attach(key, connection.id, 0)
            return kept

    # --- store and registry together --------------------------------------------------------------

    async def _attach(self, key: str, connection: Connection, most: int) -> bool:
        if connection._has_gone:
            raise Disconnected("the client isn't connected", execution="not_sent")
        if not self.registry.attach(key, connection, most):
            return False
        if self._shared is not None:
            counted = False
            try:
                with _within("count a connection"):
                    counted = await self._shared.attach(key, connection.id, most)
            finally:
                if not counted:
                    self.registry.detach(key, connection)
            return counted
        return True

    async def _detach(self, key: str, connection: Connection) -> int:
        """How many use the session of *key* still, on all servers; the last one ends it.

        Where it raises, *connection* uses it still.
        """
        if self._shared is not None:
            left = await self._shared.detach(key, connection.id, forget=True)
        else:
            left = len(self.registry.connections(key)) - 1
            if not left:
                await self._forget_logged(key)
        self.registry.detach(key, connection)
        return left

    async def leave(self, key: str, connection: Connection) -> None:
        """*connection* uses the session no longer, whatever the store says to it."""
        self.registry.detach(key, connection)
        if self._shared is None:
            return
        asked = False
        with _shielded():
            # In its turn: who checks meanwhile counts all that are in the registry.
            async with self._only(key):
                asked = True
                await self._tell_store(key, connection)
        if not asked:
            # It hangs. As far as it may know without an answer, it knows.
            with trio.CancelScope(deadline=-math.inf, shield=True):
                await self._tell_store(key, connection)

    async def _tell_store(self, key: str, connection: Connection) -> None:
        if self._shared is not None:
            try:
                await self._shared.detach(key, connection.id)
            except Exception:
                logger.exception("the store couldn't be told who uses a session no longer")

    async def _forget(self, key: str) -> None:
        if self._store is not None:
            await self._store.close(key)

    async def _forget_logged(self, key: str) -> None:
        try:
            await self._forget(key)
        except Exception:
            # As the original: it has ended, though it could be restored by who has the key.
            logger.exception("the store couldn't forget a session")


@contextmanager
def _shielded() -> Iterator[trio.CancelScope]:
    """What was begun is gone through with, in a few seconds, also if the task is cancelled."""
    with trio.CancelScope(deadline=trio.current_time() + _UNDO, shield=True) as scope:
        yield scope


@contextmanager
def _within(what: str, *, shield: bool = False) -> Iterator[None]:
    """Raise TimeoutError where the store doesn't *what* in a few seconds.

    *shield*: what was begun is gone through with, also if the task is cancelled.
    """
    with trio.CancelScope(deadline=trio.current_time() + _UNDO, shield=shield) as scope:
        yield
    if scope.cancelled_caught:
        raise TimeoutError(f"the store didn't {what} within {_UNDO:g} s")
