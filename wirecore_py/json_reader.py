"""Calls of JSON-RPC as Go writes them, read in one step.

Not here: in Python the scanner of the standard library is the fastest way there is, so all goes
the long way (``wirecore.gojson``), which this sends it. The compiled twin, in
``wirecore._json_reader``, gives for what is usual what that gives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wirecore_py.calls import CallTable


class JsonPlan:
    """How a usual value of a type is read and written. Whoever makes one sets what its kind needs.

    *names* are the attributes of a struct's *fields*, *places* finds these by their names in JSON,
    *heads* are those names as they are written. *build* makes a struct of its values in order;
    None: setting them does. *template* has them where none come, or MADE and then *factories* its
    maker.
    """

    def __init__(self, kind: int) -> None:
        self.kind = kind
        self.low = 0
        self.high = 0
        self.frozen = False
        self.elem: JsonPlan | None = None
        self.fields: list[JsonPlan] = []
        self.names: list[str] = []
        self.heads: list[bytes] = []
        self.places: dict[str, int] = {}
        self.template: list[Any] = []
        self.factories: list[Callable[[], Any] | None] = []
        self.owner: type | None = None
        self.build: Callable[..., Any] | None = None


PlanOf = Callable[[Any], JsonPlan | None]


class JsonReader:
    """Reads messages in bytes that came. *plan_of* finds plans of annotations: None has none.

    The bounds are those of a message, as the long way has them.
    """

    def __init__(self, plan_of: PlanOf, max_size: int, max_depth: int, max_elements: int) -> None:
        pass

    def answers(
        self,
        data: bytes,
        at: int,
        table: CallTable[Any, Any],
        found: list[Any],
        most: int,
        make: type,
    ) -> int:
        """Add the answers from *at* on to *found*, until it has *most*; their calls leave *table*.

        Each is a *make*, a class of tuples, of the call, the result and None. It stops before an
        answer that isn't usual, that tells an error or that nobody waits for: returned is where.
        """
        return at

    def requests(
        self,
        data: bytes,
        at: int,
        find: Callable[[str], Any],
        found: list[Any],
        most: int,
        left: int,
        make: type,
        make_request: type,
    ) -> tuple[int, Any]:
        """Add the requests from *at* on to *found*, until it has *most*.

        Each is a *make* of a *make_request* of its id, as bytes, and method, of what *find* gives
        for the method, the argument, and its bytes: *left* are those from *at* to the end, and
        those before that weren't counted. It stops before a request that isn't usual, or whose
        method *find* answers with a str. Returned are where it stopped, and what *find* gave for
        the request there, if it was asked for that.
        """
        return at, None
