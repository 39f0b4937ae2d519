"""What makes several pool servers one: ``RedisBackend`` (extra ``redis``).

Without a backend a pool server has its own providers alone. With one, each server is a *node*:
what it can't give to a provider of its own waits where all nodes see it, and goes to a provider
that is connected to any of them. ``Backend`` is what one of one's own must be, ``Node`` what a
pool server is to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wirecore._late import late_names

from ._contract import Backend, Node, ProviderInfo, RemoteCall, Sending
from ._errors import BackendError, BackendUnavailable, CallExpired, CallTaken

if TYPE_CHECKING:
    from ._redis import RedisBackend

__all__ = [
    "Backend",
    "BackendError",
    "BackendUnavailable",
    "CallExpired",
    "CallTaken",
    "Node",
    "ProviderInfo",
    "RedisBackend",
    "RemoteCall",
    "Sending",
]

if not TYPE_CHECKING:
    # coredis is loaded by those who use it.
    __getattr__, __dir__ = late_names(__name__, {"_redis": ("RedisBackend",)})
