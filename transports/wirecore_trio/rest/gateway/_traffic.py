"""What goes through a gateway: a record of each request, and who is told of it."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import trio

access = logging.getLogger("wirecore.rest.access")


@dataclass(slots=True, eq=False)
class Record:
    """One request, as far as it has come.

    *caller*: its address; "-" where that isn't known. *path*: without its query, which may hold
    secrets. *name*: of the route; *publisher*: the id of the connection it went to last; "" before.
    *status*: of its answer, 499 where the caller had gone before, 0 before. *received*, *sent*:
    bytes of bodies, from the caller and to it. *begun*, *ended*: of trio's clock.
    """

    caller: str
    method: str
    path: str
    begun: float
    name: str = ""
    publisher: str = ""
    status: int = 0
    received: int = 0
    sent: int = 0
    ended: float | None = None


class Traffic:
    """Is told when requests begin and end."""

    def begin(self, caller: str, method: str, path: str) -> Record:
        """A request came."""
        return Record(caller, method, path, trio.current_time())

    def end(self, record: Record) -> None:
        """It is through: the access log has a line for it."""
        record.ended = trio.current_time()
        access.info(
            '%s "%s %s" %d %d bytes %.0f ms %s',
            record.caller,
            record.method,
            ascii(record.path)[1:-1],
            record.status,
            record.sent,
            (record.ended - record.begun) * 1000,
            record.publisher or "-",
        )
