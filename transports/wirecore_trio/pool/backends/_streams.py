"""Names of streams of calls: one for each path and wish, as all calls in one can go to the same."""

from __future__ import annotations

import json
from functools import lru_cache

from wirecore.protocols.pool.slots import Wish


def stream_name(path: str, wish: Wish) -> bytes:
    """The stream for calls at *path* with *wish*, whose key was settled before."""
    parts = [path, wish.provider, sorted(wish.labels)]
    return json.dumps(parts, separators=(",", ":")).encode("ascii")


@lru_cache(maxsize=4096)
def parse_stream_name(name: bytes) -> tuple[str, Wish]:
    """Path and wish. Raises ValueError where that is no name."""
    try:
        path, provider, labels = json.loads(name)
        if not isinstance(path, str) or not isinstance(provider, str | None):
            raise ValueError("neither text nor nothing")
        return path, Wish(provider, frozenset(map(str, labels)))
    except (TypeError, RecursionError) as error:
        raise ValueError("not the name of a stream") from error
