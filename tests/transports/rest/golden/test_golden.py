"""Every scenario that was recorded of the original, with ours in the place of each of its ends.

What is seen of ours must be what was seen of the original, but for what ``differences`` says.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from copy import deepcopy
from itertools import pairwise
from typing import Final

import pytest
import trio

from tests.transports.conftest import Run
from tests.transports.rest.golden.difference import key
from tests.transports.rest.golden.differences import DIFFERENCES, expected
from tests.transports.rest.golden.replay import URL, Replay
from tests.transports.rest.golden.seen import End, ends_of, recorded
from tests.wirecore.protocols.rest.recorded import group_of, messages, scenarios
from wirecore._backend import Backend
from wirecore_trio import rest
from wirecore_trio.testing import Network

ALL: Final = [(name, end) for name in scenarios() for end in ends_of(name)]

#: By group, and by which end is ours: one story has all of them, as each story has a price.
GROUPS: Final = sorted({(group_of(name), end.name) for name, end in ALL})


@pytest.mark.parametrize(("group", "ours"), GROUPS)
def test_ours_in_the_place_of_the_original(
    run: Run, backend: Backend, group: str, ours: str
) -> None:
    replays = {
        name: Replay(name, end, backend)
        for name, end in ALL
        if (group_of(name), end.name) == (group, ours)
    }

    async def story() -> None:
        for name, replay in replays.items():
            try:
                await replay.run()
            except BaseException as error:
                error.add_note(f"in the replay of {name}")
                raise

    run(story)
    for name, replay in replays.items():
        assert (name, replay.seen) == (name, expected(name, End[ours]))


def test_every_scenario_is_replayed() -> None:
    """Those of a new group are, too, once ``seen`` says which ends it tells of."""
    replayed = {name for name, end in ALL if (group_of(name), end.name) in GROUPS}
    assert replayed == set(scenarios())
    assert len(replayed) == 229


def test_each_was_seen_to_do_something() -> None:
    """Else its replay would look at nothing."""
    for name, end in ALL:
        seen = recorded(name, end)
        assert any(seen.sent) or seen.upgrades or seen.active or seen.dials_again, name


def test_every_difference_makes_one() -> None:
    """No entry of the table says of a scenario what isn't so, or speaks of none."""
    idle = []
    for place, difference in enumerate(DIFFERENCES):
        told = [(name, end) for name, end in ALL if difference.applies(name, end)]
        keys = {key(name, end) for name, end in told}
        assert keys, difference.reason
        changed = 0
        for name, end in told:
            seen = recorded(name, end)
            for before in DIFFERENCES[:place]:
                if before.applies(name, end):
                    before.edit(seen, name)
            as_it_was = deepcopy(seen)
            difference.edit(seen, name)
            changed += seen != as_it_was
            if seen == as_it_was and difference.where != ("*",):
                idle.append((difference.reason, key(name, end)))
        assert changed
    assert idle == []


# --- what else was told of some -------------------------------------------------------------------


def in_rhythm(attempts: list[float]) -> bool:
    """Whether dials come at once, then 0.5 s and half as much more each time, spread by half."""
    delays = [late - early for early, late in pairwise(attempts)]
    return len(delays) >= 4 and all(
        0.25 * 1.5**at <= delay <= 0.75 * 1.5**at for at, delay in enumerate(delays)
    )


def refused_in(name: str) -> list[float]:
    """When the recorded client's dials were refused, in seconds."""
    trace = scenarios()[name]["trace"]
    return [entry["ms"] / 1000 for entry in trace if "refused" in entry["kind"]]


@pytest.mark.parametrize("name", ["backoff", "reconnect"])
def test_dials_come_in_the_rhythm_of_the_original(run: Run, backend: Backend, name: str) -> None:
    replay = Replay(name, End.CLIENT, backend)
    run(replay.run)
    assert in_rhythm(replay.refused)
    assert in_rhythm(refused_in(name))
    # The original dials once a ping has failed, and ours once the connection has: at once, but
    # for a connection that didn't live as long as the first delay.
    first = {"backoff": (0.0, 0.001), "reconnect": (0.5, 10.003)}[name]
    assert (replay.refused[0], refused_in(name)[0]) == pytest.approx(first, abs=0.002)


def test_handlers_are_told_who_asks(run: Run, backend: Backend) -> None:
    """Where the original's learn nothing: its ``remote`` is empty."""
    replay = Replay("call/server/get_no_agent", End.SERVER, backend)
    run(replay.run)
    assert b' remote="" ' in replay.seen.sent[0][1][1]
    assert replay.app.callers == {("memory", 1)}


def test_the_registry(run: Run, backend: Backend) -> None:
    """Each line that was noted of it."""
    told: dict[str, bool] = {}

    async def story() -> None:
        async with Network() as network:
            server = rest.Server(backend=backend)
            await network.start(server.serve, "server.test", 80)
            async with AsyncExitStack() as stack:
                for number in 1, 2, 3:
                    peer = await network.scripted_client(URL)
                    await stack.enter_async_context(peer)
                    await peer.upgrade()
                    first, _, third = messages("registry", number=number)
                    await peer.send(first.decode())
                    await peer.receive()
                    await peer.send(third.decode())
                    await trio.testing.wait_all_tasks_blocked()
                one, two, three = server.connections
                told[
                    "active 3, unknown id gives nil: true, lookup by id gives the same object: true"
                ] = server.connection("nobody") is None and server.connection(one.id) is one
                # All of them, here.
                told[
                    "two connections with equal metadata: one of them is found: true, error <nil>"
                ] = server.find("two") == [two, three]
                told["RemoteAddr has host and port: true"] = one.remote_address == "memory:1"
                # A connection is asked for it, and there is none.
                told["RemoteAddr of an unknown id panics: true"] = not hasattr(
                    server.connection("nobody"), "remote_address"
                )
                told["MetaData of an unknown id: <nil>"] = server.connection("nobody") is None
                await one.aclose()
                told["after Close: MetaData <nil>, active 2"] = server.connection(
                    one.id
                ) is None and server.connections == [two, three]
                told[
                    'after Close: lookup by metadata: "", no connection found with the provided '
                    "meta-data"
                ] = server.find("one") == []

    run(story)
    lines = [each for each in scenarios()["registry"]["observed"] if each["who"] == "server"]
    assert told == {each["text"]: True for each in lines}
