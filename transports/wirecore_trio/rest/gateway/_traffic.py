"""What goes through a gateway: a record of each request, and who is told of it."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

import trio

from ._counts import Counts
from ._routes import name_of

if TYPE_CHECKING:
    from .._connection import Connection
    from .._server import Server

access = logging.getLogger("wirecore.rest.access")

#: Requests, and errors, that are remembered.
_REMEMBERED: Final = 100

#: Names that are counted on their own. Publishers choose theirs, and may be strangers.
_MOST_NAMES: Final = 1000

#: Characters that are remembered of a method, and of names and paths.
_LONGEST_METHOD: Final = 20
LONGEST: Final = 200


class Record:
    """One request, as far as it has come.

    *caller*: its address; "-" where that isn't known. *path*: without its query, which may hold
    secrets. *name*: of the route; *publisher*: the id of the connection it went to last; "" before.
    *status*: of its answer, 499 where the caller had gone before, 0 before. *received*, *sent*:
    bytes of bodies, from the caller and to it. *problem*: what went wrong, "" where nothing did.
    *begun*, *answered*, *ended*: when, of trio's clock; *answered*: when it got its status.
    """

    __slots__ = (
        "_failed",
        "_status",
        "answered",
        "begun",
        "caller",
        "ended",
        "method",
        "name",
        "path",
        "problem",
        "publisher",
        "received",
        "sent",
    )

    def __init__(self, caller: str, method: str, path: str, begun: float) -> None:
        self.caller = caller
        self.method = method
        self.path = path
        self.begun = begun
        self.name = ""
        self.publisher = ""
        self._status = 0
        self.received = 0
        self.sent = 0
        self.problem = ""
        self._failed = False
        self.answered: float | None = None
        self.ended: float | None = None

    @property
    def status(self) -> int:
        """See the class."""
        return self._status

    @status.setter
    def status(self, status: int) -> None:
        if self.answered is None:
            self.answered = trio.current_time()
        self._status = status

    def note(self, problem: str, *, failed: bool) -> None:
        """What went wrong; *failed*: not by the caller's doing."""
        self.problem = problem
        self._failed = failed

    @property
    def failed(self) -> bool:
        """Whether it went wrong here, or at a publisher: it was answered with 5xx, or broke off."""
        return self._failed or self._status >= 500


class Traffic:
    """Is told when requests begin and end, and counts them: by name, and by publisher.

    *server*: where the publishers are. *names*: of routes, which count from the beginning on.
    """

    def __init__(self, server: Server, names: Iterable[str]) -> None:
        self._server = server
        self.running: dict[Record, None] = {}
        #: What is of no name that is counted is of "".
        self.names: dict[str, Counts] = {name: Counts() for name in ("", *names)}
        self.publishers: WeakKeyDictionary[Connection, Counts] = WeakKeyDictionary()
        #: The last ones, oldest first.
        self.requests: deque[Record] = deque(maxlen=_REMEMBERED)
        self.errors: deque[Record] = deque(maxlen=_REMEMBERED)

    def begin(self, caller: str, method: str, path: str) -> Record:
        """A request came."""
        record = Record(caller, method, path, trio.current_time())
        self.running[record] = None
        return record

    def end(self, record: Record) -> None:
        """It is through: it is counted, and the access log has a line for it."""
        now = record.ended = trio.current_time()
        del self.running[record]
        self._count(record, now)
        if access.isEnabledFor(logging.INFO):
            self._log(record, now)
        # Long ones would be remembered for long.
        record.name = record.name[:LONGEST]
        record.path = record.path[:LONGEST]
        record.method = record.method[:_LONGEST_METHOD]
        self.requests.append(record)
        if record.failed:
            self.errors.append(record)

    def _count(self, record: Record, now: float) -> None:
        name = record.name
        connection = self._server.connection(record.publisher) if record.publisher else None
        if connection is not None:
            name = name or name_of(connection.metadata) or ""
            record.name = name
            counts = self.publishers.get(connection)
            if counts is None:
                counts = self.publishers[connection] = Counts()
            counts.count(record, now)
        name = name[:LONGEST]
        by_name = self.names.get(name)
        if by_name is None:
            # A name that stands in a path and that nobody publishes is nobody's but its caller's.
            if record.publisher and len(self.names) < _MOST_NAMES:
                by_name = self.names[name] = Counts()
            else:
                by_name = self.names[""]
        by_name.count(record, now)

    def _log(self, record: Record, now: float) -> None:
        access.info(
            '%s "%s %s" %d %d bytes %.0f ms %s',
            *(ascii(each)[1:-1] for each in (record.caller, record.method, record.path)),
            record.status,
            record.sent,
            (now - record.begun) * 1000,
            record.publisher or "-",
        )
