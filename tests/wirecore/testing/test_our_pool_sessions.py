"""The pool's sessions keep the contract: both codecs, both ends of the WebSocket, both backends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import pytest

from wirecore._backend import Backend
from wirecore.protocols.pool import (
    CallingSession,
    GobCalling,
    GobServing,
    Incoming,
    JsonCalling,
    JsonServing,
    PoolCall,
    ServingSession,
    UnansweredPings,
)
from wirecore.testing import Ends, check_calls, check_session

Peers = Ends[Any, Any]
Story = Callable[[Peers], None]


@dataclass
class Method:
    argument: Any


METHODS = {"A.Say": Method(str), "A.Fail": Method(str), "A.Dawdle": Method(str)}


def find(name: str) -> Method | str:
    return METHODS.get(name, f"rpc: can't find method {name}")


@dataclass
class Setup:
    """How a pair of ends is made, and which of them calls."""

    backend: Backend
    codec: str
    caller_dials: bool
    extended: bool = False

    def calling(self) -> CallingSession:
        codec = GobCalling(backend=self.backend) if self.codec == "gob" else JsonCalling()
        return CallingSession(
            codec,
            client=self.caller_dials,
            call_timeout=30,
            heartbeat=UnansweredPings() if self.caller_dials else None,
            extended=self.extended,
            backend=self.backend,
        )

    def serving(self) -> ServingSession:
        codec = GobServing(backend=self.backend) if self.codec == "gob" else JsonServing()
        return ServingSession(
            codec,
            find,
            client=not self.caller_dials,
            heartbeat=None if self.caller_dials else UnansweredPings(),
            extended=self.extended,
            backend=self.backend,
        )

    def pair(self) -> tuple[Any, Any]:
        ends = self.calling(), self.serving()
        return ends if self.caller_dials else ends[::-1]

    def stories(self) -> list[Story]:
        def told(story: Callable[[Peers, Any, Any], None]) -> Story:
            def tell(ends: Peers) -> None:
                client, server = ends.client, ends.server
                calling, serving = (client, server) if self.caller_dials else (server, client)
                serving.react = answering(serving.session)
                story(ends, calling.session, serving.session)

            tell.__name__ = story.__name__
            return tell

        return [told(story) for story in STORIES]


def answering(session: ServingSession) -> Callable[[list[Incoming]], None]:
    def react(incoming: list[Incoming]) -> None:
        for request, _, argument, _ in incoming:
            if request.method == "A.Fail":
                session.reply_error(request, argument)
            elif request.method != "A.Dawdle":
                session.reply(request, argument, str)

    return react


def call(session: Any, now: float, method: str = "A.Say", argument: object = "text") -> PoolCall:
    made = PoolCall(str)
    session.call(made, method, argument, type(argument), now)
    return made


def calls(ends: Peers, calling: Any, serving: Any) -> None:
    for method, argument in (
        ("A.Say", "abc"),
        ("A.Fail", "no"),
        ("A.Unknown", "abc"),
        ("A.Say", 5),
        ("A.Say", "x" * 5000),
        ("A.Say", "last"),
    ):
        call(calling, ends.now, method, argument)
    call(calling, ends.now).annotation = int
    calling.forget(call(calling, ends.now))
    ends.settle()


def nobody_answers(ends: Peers, calling: Any, serving: Any) -> None:
    call(calling, ends.now, "A.Dawdle")
    ends.advance(10)
    call(calling, ends.now)
    ends.advance(60)


def serving_end_leaves(ends: Peers, calling: Any, serving: Any) -> None:
    serving.leave()
    call(calling, ends.now)
    ends.settle()


def rubbish_to_the_serving_end(ends: Peers, calling: Any, serving: Any) -> None:
    call(calling, ends.now)
    send_rubbish(ends, calling)
    ends.settle()


def rubbish_to_the_calling_end(ends: Peers, calling: Any, serving: Any) -> None:
    call(calling, ends.now)
    ends.settle()
    call(calling, ends.now)
    send_rubbish(ends, serving)
    ends.settle()


def send_rubbish(ends: Peers, session: Any) -> None:
    masked = session is ends.client.session
    session.outbox.put(b"\x82\x86\0\0\0\0\5]]]]]" if masked else b"\x82\x06\5]]]]]")


STORIES = [
    calls,
    nobody_answers,
    serving_end_leaves,
    rubbish_to_the_serving_end,
    rubbish_to_the_calling_end,
]


def described(happened: list[Any]) -> Iterator[object]:
    """Requests, which are in order, and answers by their calls, which aren't."""
    for item in happened:
        if isinstance(item, Incoming):
            yield "request", item.request, item.argument, item.size
        else:
            yield item.call.call_id, item.value, str(item.error)


@pytest.mark.parametrize(
    ("codec", "caller_dials"),
    [("gob", False), ("json", True)],
    ids=["pool_calls_with_gob", "provider_calls_with_json"],
)
def test_the_pools_sessions_keep_the_contract(
    backend: Backend, codec: str, caller_dials: bool
) -> None:
    setup = Setup(backend, codec, caller_dials, extended=codec == "gob")
    check_session(setup.pair, setup.stories(), describe=described, kind=itemgetter(0), rounds=100)


@pytest.mark.parametrize("argument", ["text", "x" * 9000], ids=["short", "long"])
@pytest.mark.parametrize("codec", ["gob", "json"])
def test_what_became_of_calls_is_known(backend: Backend, codec: str, argument: str) -> None:
    def make() -> tuple[CallingSession, CallingSession]:
        return Setup(backend, codec, True).calling(), Setup(backend, codec, False).calling()

    check_calls(make, lambda session, now: call(session, now, argument=argument))
