"""Two servers, a process each, with sessions and rooms in one Redis: clients see one server.

Either may be killed, and Redis too.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import pytest
import trio

from tests.transports.killing import Ledger, Victim, needs_kill
from tests.transports.redis_server import RedisServer
from tests.transports.webwire.fleet import Load, Member, enter_member, open_fleet, sessions_of
from tests.transports.webwire.victim import LEASE
from wirecore.errors import WirecoreError
from wirecore_trio import webwire

pytestmark = needs_kill

PATIENCE = 120.0


class TwoServers:
    """Two servers of one Redis."""

    def __init__(self, folder: Path, redis: RedisServer) -> None:
        self.redis = redis
        self._logs = [folder / "here", folder / "there"]
        self.processes = [Victim("tests.transports.webwire.victim", log) for log in self._logs]
        self._ports = [0, 0]

    async def start(self, *, most: int = 0) -> list[int]:
        """Start both; their ports. *most*: connections of one session."""
        async with trio.open_nursery() as nursery:
            for number in (0, 1):
                nursery.start_soon(partial(self.restart, number, most=most))
        return self._ports

    async def restart(self, number: int, *, most: int = 0) -> None:
        """Start one of them, at its port where it had one."""
        arguments = (self._ports[number], self._logs[number], self.redis.url, most)
        self._ports[number] = int(await self.processes[number].start("serve", *arguments))

    def executed(self) -> list[int]:
        """The numbers of the requests that either has executed since it was asked last."""
        return [number for process in self.processes for number in process.executed()]


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[TwoServers]:
    """Not started yet; Redis is."""
    redis = RedisServer(tmp_path)
    redis.start()
    servers = TwoServers(tmp_path, redis)
    yield servers
    for process in servers.processes:
        process.clean_up()
    redis.stop()


def run(story: Callable[[], Awaitable[None]]) -> None:
    """Run *story* in real time: processes have no other."""

    async def bounded() -> None:
        with trio.fail_after(PATIENCE):
            await story()

    trio.run(bounded)


async def eventually(attempt: Callable[[], Awaitable[object]]) -> None:
    """Try until *attempt* raises nothing of ours: no process tells when it is ready."""
    while True:
        try:
            await attempt()
        except WirecoreError:
            await trio.sleep(0.05)
        else:
            return


def key_of(member: Member) -> str:
    """The key of the session that it has."""
    assert member.client.session is not None
    return member.client.session.key


async def user_at_server(member: Member) -> str:
    """Whose session its server says that it has."""
    return (await member.client.request("who am I")).text


def test_a_session_made_on_one_is_restored_on_the_other_and_its_end_reaches_all(
    servers: TwoServers,
) -> None:
    async def story() -> None:
        here, there = await servers.start()
        async with AsyncExitStack() as stack:
            first = await enter_member(stack, here, "Ada")
            key = key_of(first)
            others = [await enter_member(stack, port, "Ada", key) for port in (there, here, there)]
            stranger = await enter_member(stack, there, "Grace")
            await stranger.client.request("end", key)
            for member in (first, *others):
                await member.until_closed(1)
                assert member.client.session is None
                assert await user_at_server(member) == ""
                with pytest.raises(webwire.SessionNotFound):
                    await member.client.restore_session(key)
            assert stranger.closed == 0
            assert await user_at_server(stranger) == "Grace"

    run(story)


def test_a_session_lives_until_its_last_connection_on_any_server_has_closed_it(
    servers: TwoServers,
) -> None:
    async def story() -> None:
        here, there = await servers.start()
        async with AsyncExitStack() as stack:
            first = await enter_member(stack, here, "Ada")
            key = key_of(first)
            second = await enter_member(stack, there, "Ada", key)
            await first.client.close_session()
            assert await user_at_server(second) == "Ada"
            await first.client.restore_session(key)
            await second.client.close_session()
            await first.client.close_session()
            for member in (first, second):
                assert member.closed == 0
                with pytest.raises(webwire.SessionNotFound):
                    await member.client.restore_session(key)

    run(story)


def test_a_room_spans_both_and_all_hear_the_same_in_the_same_order(servers: TwoServers) -> None:
    async def story() -> None:
        here, there = await servers.start()
        async with AsyncExitStack() as stack:
            members = [
                await enter_member(stack, port, f"user {number}")
                for number, port in enumerate((here, there, here, there))
            ]
            outside = await enter_member(stack, there, "outside")
            for member in members:
                await member.client.request("join", "lobby")
            await outside.client.request("join", "cellar")

            async def say(member: Member) -> None:
                for number in range(25):
                    await member.client.request("say", f"lobby {member.user}: {number}")

            async with trio.open_nursery() as nursery:
                for member in (*members, outside):
                    nursery.start_soon(say, member)
            for member in members:
                await member.until_heard(125)
                assert member.heard == members[0].heard
            for speaker in (*members, outside):
                said = [words for words in members[0].heard if words.startswith(speaker.user)]
                assert said == [f"{speaker.user}: {number}" for number in range(25)]
            assert outside.heard == []

    run(story)


def test_the_connections_of_a_killed_server_stop_counting(servers: TwoServers) -> None:
    async def story() -> None:
        here, there = await servers.start(most=3)
        async with AsyncExitStack() as stack:
            ada = await enter_member(stack, here, "Ada")
            await enter_member(stack, here, "Ada", key_of(ada))
            await enter_member(stack, there, "Ada", key_of(ada))
            late = await enter_member(stack, there, "late")
            key = key_of(ada)
            await late.client.close_session()
            for _ in range(2):
                with pytest.raises(webwire.MaxSessionConnectionsReached):
                    await late.client.restore_session(key)
            killed = trio.current_time()
            servers.processes[0].kill()
            with pytest.raises(webwire.MaxSessionConnectionsReached):
                await late.client.restore_session(key)
            await eventually(lambda: late.client.restore_session(key))
            assert trio.current_time() - killed > LEASE / 3  # they were renewed before
            # The two of the server that is dead are gone, if not in the same moment; those of the
            # living one count.
            last = await enter_member(stack, there, "last")
            await last.client.close_session()
            await eventually(lambda: last.client.restore_session(key))
            assert await user_at_server(last) == "Ada"
            await last.client.close_session()
            # Its own clients come back to it, as far as the limit lets them.
            await servers.restart(0, most=3)
            await eventually(lambda: ada.client.request("report"))
            assert await user_at_server(last) == ""

    run(story)


def test_redis_is_killed_and_comes_back_under_load(servers: TwoServers) -> None:
    """Without it requests go on, and what needs it fails, and changes nothing."""
    keys = [{f"{where} {number}": "" for number in range(4)} for where in ("here", "there")]

    async def lose_redis(here: list[Member], there: list[Member], ledger: Ledger) -> None:
        await ledger.until_answered(50)
        servers.redis.stop()
        await ledger.until_answered(50)
        one, other = here[0], there[0]
        with pytest.raises(webwire.InternalError):
            await one.client.request("say", "lobby unheard")
        with pytest.raises(webwire.InternalError):
            await one.client.request("end", key_of(one))
        with pytest.raises(webwire.InternalError):
            await one.client.request("end", key_of(other))
        with pytest.raises(webwire.InternalError):
            await one.client.close_session()
        for member in (one, other):  # client and server agree
            assert await user_at_server(member) == member.user
        await trio.to_thread.run_sync(servers.redis.start)
        await eventually(lambda: one.client.request("say", "lobby again"))
        await eventually(lambda: other.client.request("say", "lobby again"))
        await ledger.until_answered(50)

    async def story() -> None:
        ports = await servers.start()
        async with (
            open_fleet(ports[0], keys[0]) as here,
            open_fleet(ports[1], keys[1]) as there,
        ):
            members = [*here, *there]
            for member in members:
                await member.client.request("join", "lobby")
            load = Load(members, Ledger(), random.Random(20))
            async with trio.open_nursery() as nursery:
                load.start(nursery)
                for _ in range(2):
                    await lose_redis(here, there, load.ledger)
                load.over = True
            load.ledger.check(servers.executed())
            assert set(load.ledger.ends.elements()) == {Ledger.ANSWERED}
            for fleet, expected in ((here, keys[0]), (there, keys[1])):
                state = await fleet[0].client.request("report", reply=webwire.Json())
                assert state["sessions"] == sessions_of(expected)
            for member in members:
                assert member.closed == 0
                assert set(member.heard) == {"again"}
                await here[0].client.request("end", key_of(member))
                await member.until_closed(1)

    run(story)


def test_clients_lost_while_redis_was_away_are_forgotten(servers: TwoServers) -> None:
    async def story() -> None:
        here, there = await servers.start(most=1)
        async with AsyncExitStack() as stack:
            witness = await enter_member(stack, here, "witness")
            other = await enter_member(stack, there, "other")
            await other.client.close_session()
            async with AsyncExitStack() as leaving:
                ada = await enter_member(leaving, here, "Ada")
                await ada.client.request("join", "lobby")
                key = key_of(ada)
                servers.redis.stop()
            state = await witness.client.request("report", reply=webwire.Json())
            while state["connections"] > 1:
                state = await witness.client.request("report", reply=webwire.Json())
            assert state["active"] == 1
            assert state["rooms"] == 0
            await trio.to_thread.run_sync(servers.redis.start)
            # One connection is what a session may have, and this is the one.
            await eventually(lambda: other.client.restore_session(key))
            assert await user_at_server(other) == "Ada"

    run(story)


def test_sessions_that_redis_has_lost_are_ended(servers: TwoServers, tmp_path: Path) -> None:
    """Their end may have been published while a server couldn't hear it."""

    async def story() -> None:
        here, there = await servers.start()
        async with AsyncExitStack() as stack:
            members = [await enter_member(stack, port, "Ada") for port in (here, there)]
            servers.redis.stop()
            shutil.rmtree(tmp_path / "appendonlydir")
            await trio.to_thread.run_sync(servers.redis.start)
            for member in members:
                await member.until_closed(1)
                assert member.client.session is None
                assert await user_at_server(member) == ""
                await member.client.request("login", "Ada")
                assert await user_at_server(member) == "Ada"

    run(story)
