"""The same bytes to the gateway under uvicorn, and to the application on uvicorn by itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.transports.rest.torture.callers import Caller, Outcome
from tests.transports.rest.torture.cases import Case
from tests.transports.rest.torture.compare import Check, normalised, refused
from tests.transports.rest.torture.conftest import Plain
from tests.transports.rest.torture.servers import LARGE_HEAD, GatewayPlace
from tests.transports.rest.torture.test_over_sockets import CASES, nothing_left, observed
from wirecore_cli.tunnel.bounded_http import MAX_HEAD

#: What uvicorn can't say, and what the gateway refuses as hypercorn does.
_UNLIKE: dict[str, Check] = {
    "status 304 with a length": lambda outcome: (
        [answer.status for answer in outcome.answers] == [304, 200]
    ),
    "HTTP/0.9": refused(400),
    "HTTP/1.1 without Host": refused(400),
    "the encoding 'gzip, chunked'": refused(400),
    "the encoding 'xchunked'": refused(400),
    "the encoding 'identity'": refused(400),
    "the encoding '\"chunked\"'": refused(400),
}

pytestmark = pytest.mark.parametrize("gateway", ["uvicorn"], indirect=True)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_same_bytes(case: Case, plain: Plain, gateway: GatewayPlace) -> None:
    assert gateway.passed is not None
    gateway.passed.clear()
    through = observed(gateway, case)
    seen = [(request.method, request.raw_path) for request in through.requests]
    assert len(seen) <= len(gateway.passed), "more came out than went in"
    assert nothing_left(gateway)
    if case.smuggles:
        assert b"/smuggled" not in {path for _, path in gateway.passed}
        assert b"/smuggled" not in {path for _, path in seen}
    there = normalised(observed(plain("httptools"), case), gateway=False)
    here = normalised(through, gateway=True)
    if case.name in _UNLIKE:
        assert _UNLIKE[case.name](here), here
    elif there != here:
        # Where it isn't the parser that differs, the gateway does as under hypercorn.
        unlike = case.unlike.get("httptools")
        if unlike is not None and unlike.change is not None:
            assert unlike.change(there) == here, (there, here)
        elif unlike is not None and unlike.through is not None:
            assert unlike.through(here), here
        else:
            assert _is_given_up(there, here), (there, here)


def _is_given_up(there: Outcome, here: Outcome) -> bool:
    """Whether they differ in how much came of a request that broke off, or whether any did."""
    if there.answers != here.answers or len(here.requests) > len(there.requests):
        return False
    whole = [request for request in there.requests if request.end != "disconnect"]
    begun = [request for request in there.requests if request.end == "disconnect"]
    reached = [request for request in here.requests if request.end == "disconnect"]
    return here.requests[: len(whole)] == whole and all(
        replace(request, body=full.body) == full and full.body.startswith(request.body)
        for request, full in zip(reached, begun, strict=False)
    )


def test_a_head_has_an_end(gateway: GatewayPlace) -> None:
    """The servers here take long ones; without that it is 64 KiB."""
    assert MAX_HEAD == 64 * 1024 < LARGE_HEAD
    with Caller(gateway.port) as caller:
        caller.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: ")
        caller.send(bytes(b"a" * (LARGE_HEAD + 1024 * 1024)))
        caller.read_answer()
        assert [answer.status for answer in caller.answers] == [431]
