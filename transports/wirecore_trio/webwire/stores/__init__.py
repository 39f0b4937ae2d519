"""Where a webwire server keeps the sessions of its users.

``MemoryStore`` for tests and small programs, ``FileStore`` for the files of webwire-go,
``SQLiteStore`` for one machine, ``RedisStore`` (extra ``redis``) for several servers that are one;
and ``SessionStore``, what one of one's own must be. docs/webwire-stores.md tells which to choose.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wirecore._late import late_names

from ._contract import Deliver, SessionStore, SharedStore
from ._errors import StoreDamaged, StoreError, StoreUnavailable
from ._files import FileStore
from ._memory import MemoryStore

if TYPE_CHECKING:
    from ._redis import RedisStore
    from ._sqlite import SQLiteStore

__all__ = [
    "Deliver",
    "FileStore",
    "MemoryStore",
    "RedisStore",
    "SQLiteStore",
    "SessionStore",
    "SharedStore",
    "StoreDamaged",
    "StoreError",
    "StoreUnavailable",
]

if not TYPE_CHECKING:
    # coredis and sqlite3 are loaded by those who use them.
    __getattr__, __dir__ = late_names(
        __name__, {"_redis": ("RedisStore",), "_sqlite": ("SQLiteStore",)}
    )
