"""A server's hooks: what its program wants to be told of, and to decide."""

from __future__ import annotations

import base64
import inspect
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from .._arguments import require_callable

logger = logging.getLogger("wirecore.webwire")

#: A hook: plain or async.
Hook = Callable[..., Any]
H = TypeVar("H", bound=Hook)

#: Random bytes of a session's key: 64 characters of URL-safe base64, as the original's are.
_KEY_BYTES: Final = 48


def random_key() -> str:
    """A session key that nobody can guess."""
    return base64.urlsafe_b64encode(os.urandom(_KEY_BYTES)).decode()


async def call_hook(hook: Hook, *arguments: object) -> Any:
    """What *hook* returns, be it plain or async."""
    result = hook(*arguments)
    return await result if inspect.isawaitable(result) else result


async def tell_hook(what: str, hook: Hook | None, *arguments: object) -> None:
    """Call *hook*, if there is one, for a thing that has happened; a failure is only logged."""
    if hook is not None:
        try:
            await call_hook(hook, *arguments)
        except Exception:
            logger.exception("%s failed", what)


@dataclass(slots=True)
class Hooks:
    """The functions that were given; None where none was."""

    options: Hook | None = None
    before_upgrade: Hook | None = None
    connected: Hook | None = None
    disconnected: Hook | None = None
    session_key: Hook | None = None
    session_created: Hook | None = None
    session_lookup: Hook | None = None
    session_closed: Hook | None = None


class Hookable:
    """A server's decorators for its hooks. Each raises TypeError for what can't be called so."""

    _hooks: Hooks

    def on_options(self, hook: H) -> H:
        """``(http_request) -> Response | None``: answers OPTIONS; None: an empty 200."""
        require_callable("on_options", hook, "request")
        self._hooks.options = hook
        return hook

    def before_upgrade(self, hook: H) -> H:
        """``(http_request) -> Response | Upgrade | None``, asked before each connection.

        A Response is sent in place of the upgrade: a refusal, or a page, as the request may be
        any; an :class:`Upgrade` goes on with what it says; None goes on as usual.
        """
        require_callable("before_upgrade", hook, "request")
        self._hooks.before_upgrade = hook
        return hook

    def on_client_connected(self, hook: H) -> H:
        """``(connection)``, before anything of the client's is handled."""
        require_callable("on_client_connected", hook, "connection")
        self._hooks.connected = hook
        return hook

    def on_client_disconnected(self, hook: H) -> H:
        """``(connection, reason)``, once for each connection, when it is inactive.

        *reason*: the exception that tells why; None where this server closed it.
        """
        require_callable("on_client_disconnected", hook, "connection", "reason")
        self._hooks.disconnected = hook
        return hook

    def generate_session_key(self, hook: H) -> H:
        """``() -> str``: the key of a new session, which nobody may guess, nor get twice."""
        require_callable("generate_session_key", hook)
        self._hooks.session_key = hook
        return hook

    def on_session_created(self, hook: H) -> H:
        """``(connection, session)``, when the client and the store have it."""
        require_callable("on_session_created", hook, "connection", "session")
        self._hooks.session_created = hook
        return hook

    def on_session_lookup(self, hook: H) -> H:
        """``(key) -> Session | None``: finds a session in the store's place.

        Where it raises, the client is told of an internal error.
        """
        require_callable("on_session_lookup", hook, "key")
        self._hooks.session_lookup = hook
        return hook

    def on_session_closed(self, hook: H) -> H:
        """``(key)``, when a session is no more: its last connection has closed it."""
        require_callable("on_session_closed", hook, "key")
        self._hooks.session_closed = hook
        return hook
