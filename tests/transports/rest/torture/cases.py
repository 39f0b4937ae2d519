"""What a case of the table is, and what more than one of them has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from tests.transports.rest.torture.callers import Outcome
from tests.transports.rest.torture.compare import Unlike, refused
from tests.transports.rest.torture.recorder import Script, read_and_answer

#: A request that nobody made, if the application sees it.
SMUGGLED: Final = b"GET /smuggled HTTP/1.1\r\nHost: torture.example\r\n\r\n"

UVICORN: Final = ("h11", "httptools")
ON_H11: Final = ("h11", "hypercorn")
ALL: Final = ("h11", "httptools", "hypercorn")


@dataclass(frozen=True)
class Case:
    """A request or more, as bytes, and how servers of the application's own differ on them.

    *parts*: what is sent, each once the one before was answered. *method*: of the first request.
    *script*: what the application does. *unlike*: what differs between the gateway and the server
    of that name; where nothing is said, all is the same. *smuggles*: whether :data:`SMUGGLED` is in
    it, which no application behind the gateway may see, nor the gateway.
    """

    name: str
    parts: bytes | Sequence[bytes]
    method: str = "GET"
    script: Script = read_and_answer
    unlike: Mapping[str, Unlike] = field(default_factory=dict)
    smuggles: bool = False


def get(fields: bytes = b"", target: bytes = b"/a") -> bytes:
    """A request without a body; nothing of it is checked."""
    return request(b"GET", target, fields)


def post(fields: bytes = b"", body: bytes = b"") -> bytes:
    """A request with one."""
    return request(b"POST", b"/a", fields, body)


def request(
    method: bytes, target: bytes, fields: bytes = b"", body: bytes = b"", version: bytes = b"1.1"
) -> bytes:
    """Any request."""
    line = b"%b %b HTTP/%b\r\n" % (method, target, version)
    return line + b"Host: torture.example\r\n" + fields + b"\r\n" + body


def on(servers: str | Sequence[str], unlike: Unlike) -> dict[str, Unlike]:
    """The same of several."""
    return dict.fromkeys([servers] if isinstance(servers, str) else servers, unlike)


def statuses(outcome: Outcome) -> list[int]:
    """Those of all answers."""
    return [answer.status for answer in outcome.answers]


def of_the_first(**changes: object) -> Unlike:
    """The first request differs so: *changes*, and *why*."""
    why = str(changes.pop("why"))

    def change(outcome: Outcome) -> Outcome:
        first, *others = outcome.requests
        return replace(outcome, requests=[replace(first, **changes), *others])  # type: ignore[arg-type] # fields of Seen

    return Unlike(why, change)


def _says_no_body(outcome: Outcome) -> Outcome:
    first, *others = outcome.requests
    told = replace(first, headers=(*first.headers, (b"content-length", b"0")))
    return replace(outcome, requests=[told, *others])


# --- differences that come more than once ---------------------------------------------------------

#: llhttp, which httptools is made of, takes less than h11, and the gateway stands on h11. Where
#: the fault is in the body it has the application called before it finds it.
STRICTER: Final = Unlike("llhttp refuses it", plain=lambda seen: statuses(seen) == [400])

#: And it takes what h11 doesn't.
LAXER: Final = Unlike("llhttp takes it", through=refused(400))

#: Heads are checked between our own ends, whoever takes them from the caller.
CHECKED: Final = Unlike(
    "between our own ends goes what HTTP has, and nothing else",
    through=refused(400, and_goes_on=True),
)

TOO_LONG: Final = Unlike(
    "a head between our own ends has max_head bytes at most, and 1000 fields",
    through=refused(431, and_goes_on=True),
)

NO_BODY: Final = Unlike(
    "a POST, PUT or PATCH without a body says so between our own ends (RFC 9110 section 8.6)",
    _says_no_body,
)

#: Both refuse it, in another status.
SUGGESTED: Final = Unlike(
    "h11 suggests 501, which hypercorn sends, and uvicorn doesn't",
    plain=lambda seen: statuses(seen) == [400],
    through=refused(501),
)
