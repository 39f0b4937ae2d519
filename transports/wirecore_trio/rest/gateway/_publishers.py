"""Who publishes: which connections a name has, who may take one, and whose turn it is."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from wirecore.constants import CloseCode
from wirecore.websocket import Request as HttpRequest
from wirecore.websocket import Response

from ..._arguments import require_type
from ..._bearer import secret_hash, shown_hash
from ._limits import check_limit
from ._refusals import Refusal
from ._routes import check_name, name_of

if TYPE_CHECKING:
    from .._connection import Connection
    from .._server import Server
    from ._routes import Route

logger = logging.getLogger("wirecore.rest.gateway")

_ASK = (("Content-Type", "text/plain; charset=utf-8"), ("WWW-Authenticate", "Bearer"))

#: Why a publisher is closed.
_OTHER_NAMES: Final = "this token is for other names"


class Tokens:
    """The secrets of publishers, and which names each may publish.

    *names*: from a token's secret to names; ``"*"`` among these stands for all. Raises TypeError
    for another type, InvalidOption for a secret that no header can show, and for a name that no
    path leads to.
    """

    def __init__(self, names: Mapping[str, Collection[str]]) -> None:
        self._names = _by_hash(names)
        # Its token is what a connection was opened with, and each request asks.
        self._publishers: WeakKeyDictionary[Connection, frozenset[str]] = WeakKeyDictionary()

    def replace(self, names: Mapping[str, Collection[str]]) -> None:
        """Have these in place of all that were there; see ``Gateway.publishers.dismiss``.

        Nothing has changed where it raises, which is as the class.
        """
        self._names = _by_hash(names)
        self._publishers.clear()

    def names_of(self, request: HttpRequest | None) -> frozenset[str] | None:
        """What the token of *request* may publish; None: it shows none that is known."""
        shown = None if request is None else shown_hash(request)
        return None if shown is None else self._names.get(shown)

    async def admit(self, request: HttpRequest) -> Response | None:
        """An ``on_request`` for a server: 401 for who shows no token that is known."""
        if self.names_of(request) is None:
            logger.info("a publisher shows no token that is known: 401")
            return Response(401, _ASK, b"a publisher's token is needed\n")
        return None

    def may_publish(self, connection: Connection) -> bool:
        """Whether the client of *connection* may call itself what it does."""
        names = self._publishers.get(connection)
        if names is None:
            names = self.names_of(connection.http_request) or frozenset()
            self._publishers[connection] = names
        return "*" in names or name_of(connection.metadata) in names

    async def welcome(self, connection: Connection) -> None:
        """An ``on_connection`` for a server: who may not publish its name is sent away."""
        if not self.may_publish(connection):
            logger.warning(
                "%r may not publish %r: it is closed", connection, name_of(connection.metadata)
            )
            await connection.aclose(CloseCode.POLICY_VIOLATION, _OTHER_NAMES)


def _by_hash(names: Mapping[str, Collection[str]]) -> dict[bytes, frozenset[str]]:
    require_type("names", names, Mapping)
    found: dict[bytes, frozenset[str]] = {}
    for secret, allowed in names.items():
        if isinstance(allowed, str):
            raise TypeError("a token's names are several, as in ['api'], and no single text")
        for name in allowed:
            check_name("names", name)
        found[secret_hash(secret)] = frozenset(allowed)
    return found


class Publishers:
    """The connections of *server*, as routes find them. *tokens*: None lets everybody publish.

    *max_requests*: at one of them at once; None: any number. Raises TypeError, InvalidOption.
    """

    def __init__(self, server: Server, tokens: Tokens | None, max_requests: int | None) -> None:
        check_limit("max_requests_per_publisher", max_requests)
        self._server = server
        self._tokens = tokens
        self._most = max_requests
        self._under_way: dict[str, int] = {}

    @property
    def connected(self) -> list[Connection]:
        """Those who may publish, and do; oldest first."""
        return [each for each in self._server.connections if not each.closed and self._may(each)]

    def under_way(self, connection: Connection) -> int:
        """How many requests it has."""
        return self._under_way.get(connection.id, 0)

    def choose(self, route: Route, tried: Collection[str]) -> Connection | None:
        """The one with the fewest requests under way, of those not *tried*; None: there is none.

        Raises Refusal where each has as many as it may.
        """
        best: Connection | None = None
        fewest = 0
        # One after the other: 0.1 us for one of another name, 0.2 us for one that is busy. That is
        # a tenth of what a request costs where it passes by 200; an idle one ends it.
        for each in self._server.connections:
            if (
                not route.wants(each.metadata)
                or each.id in tried
                or each.leaving
                or each.closed
                or not self._may(each)
            ):
                continue
            count = self.under_way(each)
            if best is None or count < fewest:
                best, fewest = each, count
            if not count:
                break
        if best is not None and self._most is not None and fewest >= self._most:
            raise Refusal(503, "all who publish that have as many requests as they take")
        return best

    def dismiss(self) -> int:
        """Close those who may not publish their name any more; how many there were."""
        gone = [each for each in self._server.connections if not (each.closed or self._may(each))]
        for connection in gone:
            logger.warning(
                "%r may not publish %r any more: it is closed",
                connection,
                name_of(connection.metadata),
            )
            connection._channel.close(CloseCode.POLICY_VIOLATION, _OTHER_NAMES)
        return len(gone)

    def _may(self, connection: Connection) -> bool:
        return self._tokens is None or self._tokens.may_publish(connection)

    def begin(self, connection: Connection) -> None:
        """It gets a request."""
        self._under_way[connection.id] = self._under_way.get(connection.id, 0) + 1

    def end(self, connection: Connection) -> None:
        """It is through with one."""
        left = self._under_way[connection.id] - 1
        if left:
            self._under_way[connection.id] = left
        else:
            del self._under_way[connection.id]
