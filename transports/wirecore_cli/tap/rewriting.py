"""The one thing that may be changed on the way: whom an upgrade request names as its host."""

from __future__ import annotations

import re
from typing import Final

#: A head that is longer goes on as it is: the server will refuse it.
_MAX_HEAD: Final = 64 * 1024

_END: Final = re.compile(rb"\r?\n\r?\n")
_HOST: Final = re.compile(rb"^host[ \t]*:[^\r\n]*", re.IGNORECASE | re.MULTILINE)
_ORIGIN: Final = re.compile(rb"^origin[ \t]*:[^\r\n]*", re.IGNORECASE | re.MULTILINE)


class HostRewriter:
    """Has the first head of a stream say *authority* in Host, and *origin* in Origin."""

    def __init__(self, authority: str, origin: str) -> None:
        self._host = b"Host: " + authority.encode("ascii")
        self._origin = b"Origin: " + origin.encode("ascii")
        self._held = b""
        self._through = False

    def receive(self, data: bytes) -> bytes:
        """The bytes that are to be sent for *data*: none, until the head is whole."""
        if self._through:
            return data
        self._held += data
        end = _END.search(self._held)
        if end is None and len(self._held) < _MAX_HEAD:
            return b""
        held, self._held = self._held, b""
        self._through = True
        if end is None:
            return held
        head = _HOST.sub(lambda found: self._host, held[: end.start()], count=1)
        head = _ORIGIN.sub(lambda found: self._origin, head, count=1)
        return head + held[end.start() :]

    def finish(self) -> bytes:
        """The stream ended: what is held of a head that isn't whole."""
        held, self._held = self._held, b""
        self._through = True
        return held
