"""The same bytes to the application on servers of its own and to the gateway: nothing else differs
but what the tables name.
"""

from __future__ import annotations

import time

import pytest

from tests.transports.rest.torture import answers, bodies_of_requests, heads_of_requests
from tests.transports.rest.torture.callers import Outcome, observe
from tests.transports.rest.torture.cases import ALL, Case
from tests.transports.rest.torture.compare import compared
from tests.transports.rest.torture.conftest import Plain
from tests.transports.rest.torture.recorder import PATIENCE
from tests.transports.rest.torture.servers import GatewayPlace, Place

CASES = [*heads_of_requests.CASES, *bodies_of_requests.CASES, *answers.CASES]

#: What was seen on the servers, which no backend changes.
_seen: dict[tuple[str, str], Outcome] = {}


def observed(place: Place, case: Case) -> Outcome:
    parts = [case.parts] if isinstance(case.parts, bytes) else case.parts
    return observe(place, parts, [case.method], case.script)


def nothing_left(gateway: GatewayPlace) -> bool:
    """Whether both ends of the publisher's connection are through with all exchanges."""
    deadline = time.monotonic() + PATIENCE
    while gateway.left_over() and time.monotonic() < deadline:
        time.sleep(0.001)
    return not gateway.left_over()


@pytest.mark.parametrize("gateway", ["hypercorn"], indirect=True)
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
    for name in ALL:
        unlike = case.unlike.get(name)
        if unlike is not None and not unlike.is_asked:
            continue
        if (name, case.name) not in _seen:
            _seen[name, case.name] = observed(plain(name), case)
        seen_there = _seen[name, case.name]
        compared(seen_there, through, unlike, exact_names=name == "hypercorn")


def test_the_tables_name_each_case_once() -> None:
    names = [case.name for case in CASES]
    assert len(names) == len(set(names))
    assert len(names) > 100
    assert {name for case in CASES for name in case.unlike} <= set(ALL)
