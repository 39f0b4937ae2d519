"""A server's sessions: made, restored and closed, so that store, registry and clients agree.

What concerns one key happens one after another on a server; on several that share a store, its
count of connections and what it publishes do the same.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import trio

from wirecore import errors
from wirecore.protocols.webwire import (
    Encoding,
    MessageType,
    Payload,
    Session,
    SessionRegistry,
)

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
                # Another handler of the connection's may have made one meanwhile.
                await self._attach(session.key, connection, 0)
                if connection.session is not None:
                    raise errors.InvalidState(_HAS_ONE)
                connection.session_state.session_created(json)
            except BaseException as error:
                await self._undo(session.key, connection)
                if isinstance(error, errors.NotConnected):
                    raise Disconnected("the client isn't connected", execution="not_sent") from None
                raise
            connection.session = session
            connection.write()
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
                await self._store.create(session)
            except KeyError:
                raise errors.InvalidState(
                    "generate_session_key returned a key that the store has already"
                ) from None
            except Exception:
                # As the original: it lives, and can't be restored.
                logger.exception("the store couldn't keep a session")

    async def _undo(self, key: str, connection: Connection) -> None:
        with trio.CancelScope(deadline=trio.current_time() + _UNDO, shield=True):
            await self._let_go(key, connection)
            await self._forget(key)

    # --- restoring ------------------------------------------------------------------------------

    async def restore(self, connection: Connection, data: bytes) -> MessageType | Payload:
        """The answer to a client that asks for the session of the key *data*."""
        if not self.enabled:
            return MessageType.REPLY_SESSIONS_DISABLED
        try:
            key = data.decode()
        except UnicodeDecodeError:
            return MessageType.REPLY_SESSION_NOT_FOUND
        try:
            async with self._only(key):
                return await self._restore(connection, key)
        except Exception:
            logger.exception("a session couldn't be looked up; the client was told no more")
            return MessageType.REPLY_INTERNAL_ERROR

    async def _restore(self, connection: Connection, key: str) -> MessageType | Payload:
        before = connection.session
        has_it = before is not None and before.key == key
        # Before it is looked up: who closes it from now on knows that it has one connection more.
        if not has_it and not await self._attach(key, connection, self._most):
            return MessageType.REPLY_MAX_SESSION_CONNECTIONS
        found = None
        try:
            found = await self._look_up(key)
        finally:
            if found is None and not has_it:
                with trio.CancelScope(deadline=trio.current_time() + _UNDO, shield=True):
                    await self._let_go(key, connection)
        if found is None:
            return MessageType.REPLY_SESSION_NOT_FOUND
        # Another one may have been created meanwhile.
        before, connection.session = connection.session, found
        if before is not None and before.key != key:
            await self._let_go(before.key, connection)
        return Payload(found.to_json(), Encoding.UTF8)

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

    async def close_by_client(self, connection: Connection) -> MessageType | None:
        """The answer to a client that ends its session: None is an empty reply."""
        if not self.enabled:
            return MessageType.REPLY_SESSIONS_DISABLED
        try:
            await self._close(connection)
        except Exception:
            logger.exception("a session couldn't be closed; the client was told no more")
            return MessageType.REPLY_INTERNAL_ERROR
        return None

    async def close_by_server(self, connection: Connection) -> None:
        """See :meth:`Connection.close_session`."""
        if not self.enabled:
            raise errors.InvalidState(_DISABLED)
        session = connection.session
        try:
            await self._close(connection)
        finally:
            # Also where it was cancelled half-way: the connection has it no longer.
            if session is not None and connection.session is None:
                connection.session_state.session_closed()
                connection.write()

    async def _close(self, connection: Connection) -> None:
        session = connection.session
        if session is None:
            return
        async with self._only(session.key):
            if connection.session is not session:
                return  # somebody was faster
            left = await self._detach(session.key, connection)
            connection.session = None
            if not left:
                await self._destroy(session.key)

    async def close_key(
        self, key: str, *, published: bool = False
    ) -> list[tuple[Connection, Exception | None]]:
        """See :meth:`Server.close_session`. *published*: another server has begun it."""
        if not self.enabled:
            raise errors.InvalidState(_DISABLED)
        results: list[tuple[Connection, Exception | None]] = []
        async with self._only(key):
            users = self.registry.connections(key)
            elsewhere = self._shared is not None and not published
            if elsewhere and not users and not await self._is_used(key):
                return []
            failed = False
            for connection in users:
                try:
                    if published:
                        await self._let_go(key, connection)
                    else:
                        await self._detach(key, connection)
                except Exception as error:  # noqa: BLE001 - given to the caller
                    failed = True
                    results.append((connection, error))
                else:
                    results.append((connection, self._tell_closed(key, connection)))
            if failed or not (users or elsewhere):
                return results  # who failed to leave has it still
            await self._destroy(key)
            if elsewhere and self._shared is not None:
                await self._shared.publish(CLOSED_TOPIC, key.encode("utf-8", "surrogatepass"))
        return results

    def _tell_closed(self, key: str, connection: Connection) -> Exception | None:
        """*connection* has left the session of *key*: its client is told; None where it could."""
        if connection.session is not None and connection.session.key == key:
            connection.session = None
        try:
            connection.session_state.session_closed()
            connection.write()
        except Exception as error:  # noqa: BLE001 - given to who closes
            return error
        return None

    async def _is_used(self, key: str) -> bool:
        assert self._shared is not None
        return await self._shared.detach(key, "") > 0

    async def lose(self, connection: Connection) -> None:
        """*connection* is gone: its session stays, and may be restored."""
        session = connection.session
        if session is not None:
            async with self._only(session.key):
                if connection.session is session:
                    connection.session = None
                await self._let_go(session.key, connection)

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
                    await store.attach(key, connection.id, 0)
            return kept

    # --- store and registry together --------------------------------------------------------------

    async def _attach(self, key: str, connection: Connection, most: int) -> bool:
        if not self.registry.attach(key, connection, most):
            return False
        if self._shared is not None:
            counted = False
            try:
                counted = await self._shared.attach(key, connection.id, most)
            finally:
                if not counted:
                    self.registry.detach(key, connection)
            return counted
        return True

    async def _detach(self, key: str, connection: Connection) -> int:
        """How many use the session of *key* still, on all servers. Where it raises, all do."""
        if self._shared is None:
            return self.registry.detach(key, connection)
        # Also where the task is cancelled: what was begun is done at both or at none.
        with trio.CancelScope(deadline=trio.current_time() + _UNDO, shield=True):
            left = await self._shared.detach(key, connection.id)
            self.registry.detach(key, connection)
            return left
        raise TimeoutError(f"the store didn't say within {_UNDO:g} s who uses a session")

    async def _let_go(self, key: str, connection: Connection) -> None:
        """*connection* uses the session no longer, whatever the store says to it."""
        self.registry.detach(key, connection)
        if self._shared is not None:
            try:
                await self._shared.detach(key, connection.id)
            except Exception:
                logger.exception("the store couldn't be told who uses a session no longer")

    async def _destroy(self, key: str) -> None:
        await self._forget(key)
        await tell_hook("on_session_closed", self._hooks.session_closed, key)

    async def _forget(self, key: str) -> None:
        if self._store is not None:
            try:
                await self._store.close(key)
            except Exception:
                logger.exception("the store couldn't forget a session")
