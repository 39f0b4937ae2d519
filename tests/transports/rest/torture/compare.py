"""What a caller and an application see through a gateway, and on a server of the application's own.

The same, but for the differences that stand here and those that a case names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final, TypeAlias
from uuid import UUID

from tests.transports.rest.torture.callers import Answer, Outcome
from tests.transports.rest.torture.recorder import MARK, Field, Seen

#: Each server's own, in answers.
_OWN: Final = {b"date", b"server"}

#: Of one connection (RFC 9110 section 7.6.1): a gateway passes none of it on, nor what Connection
#: names. How a body is carried is each connection's own matter, too.
_HOPS: Final = {
    b"connection",
    b"keep-alive",
    b"proxy-authenticate",
    b"proxy-authorization",
    b"proxy-connection",
    b"te",
    b"transfer-encoding",
    b"upgrade",
}

#: What a gateway tells of a request, and callers can't.
_NOT_THE_CALLERS: Final = {
    b"forwarded",
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"x-forwarded-prefix",
    b"x-forwarded-proto",
}

Change: TypeAlias = Callable[[Outcome], Outcome]
Check: TypeAlias = Callable[[Outcome], bool]


@dataclass(frozen=True)
class Unlike:
    """How one of the servers differs from the gateway, in one case, and why that may be.

    *change*: makes of what was seen there what must be seen through the gateway. Or nothing is
    compared, and *plain* and *through* say each what must be seen. *always*: whether there is a
    difference each time, and not only where the server takes what comes in another order.
    *is_asked*: whether the server is asked at all.
    """

    why: str
    change: Change | None = None
    plain: Check | None = None
    through: Check | None = None
    always: bool = True
    is_asked: bool = True


def refused(status: int, *, and_goes_on: bool = False) -> Check:
    """The server answers itself, with *status*; the application sees nothing of it.

    *and_goes_on*: the connection stays open, so that what is asked last is answered.
    """

    def check(outcome: Outcome) -> bool:
        seen = [request.raw_path for request in outcome.requests]
        answers = [answer.status for answer in outcome.answers]
        if and_goes_on:
            return seen == [b"/last"] and answers == [status, 200]
        return not seen and answers == [status]

    return check


def normalised(outcome: Outcome, *, gateway: bool, exact_names: bool = False) -> Outcome:
    """*outcome* without what always differs; asserts that a *gateway* has added what it should.

    *exact_names*: whether the names of an answer's fields are compared in their case, too: uvicorn
    writes all in lower case.
    """
    requests = []
    for request in outcome.requests:
        seen = replace(request, sent=0)  # how a server is written is its own matter
        kept = _without_hops(seen.headers)
        requests.append(_without_added(seen) if gateway else replace(seen, headers=kept))
    answers = [_own(answer, exact_names) for answer in outcome.answers]
    return Outcome(requests, answers, outcome.garbled)


def _own(answer: Answer, exact_names: bool) -> Answer:
    if not any(name.lower() == MARK[0].lower() for name, _ in answer.fields):
        # The server's own words: the status is what it says.
        return replace(answer, fields=(), body=b"")
    fields = [field for field in _without_hops(answer.fields) if field[0].lower() not in _OWN]
    if not exact_names:
        fields = [(name.lower(), value) for name, value in fields]
    return replace(answer, fields=tuple(fields))


def _without_hops(fields: Iterable[Field]) -> tuple[Field, ...]:
    kept = tuple(fields)
    named = {
        token.strip().lower()
        for name, value in kept
        if name.lower() == b"connection"
        for token in value.split(b",")
    } - {b"host"}
    return tuple(
        (name, value)
        for name, value in kept
        if name.lower() not in _HOPS | named | _NOT_THE_CALLERS
    )


def _without_added(seen: Seen) -> Seen:
    """What the caller asked, behind whose fields the gateway tells where it comes from.

    HTTP is always 1.1 between our own ends: Via has the version that the caller spoke.
    """
    fields = seen.headers
    assert _HOPS.isdisjoint(name for name, _ in fields), fields
    told = next(place for place, (name, _) in enumerate(fields) if name == b"x-forwarded-for")
    own, added = fields[:told], fields[told:]
    host = next((value for name, value in own if name == b"host"), b"")
    expected = [
        (b"x-forwarded-for", b"127.0.0.1"),
        (b"x-forwarded-host", host),
        (b"x-forwarded-proto", b"http"),
    ]
    assert list(added[:3]) == expected, added
    (name, via), *behind = added[3:]
    version, _, by = via.partition(b" ")
    assert (name, by, seen.http_version) == (b"via", b"wirecore", "1.1"), added
    if b"x-correlation-id" not in {name for name, _ in own}:
        name, value = behind.pop()
        assert name == b"x-correlation-id"
        UUID(value.decode())
    return replace(seen, headers=(*own, *behind), http_version=version.decode())


def compared(plain: Outcome, through: Outcome, unlike: Unlike | None, *, exact_names: bool) -> None:
    """Assert that both are the same but for what is *unlike*, and that this is."""
    there = normalised(plain, gateway=False, exact_names=exact_names)
    here = normalised(through, gateway=True, exact_names=exact_names)
    if unlike is None:
        assert there == here, (there, here)
        return
    assert there != here or not unlike.always, f"no difference is left: {unlike.why}"
    if unlike.change is not None:
        expected = unlike.change(there)
        assert expected == here, (expected, here)
        return
    assert unlike.plain is None or unlike.plain(there), there
    assert unlike.through is None or unlike.through(here), here
