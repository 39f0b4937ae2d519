"""Handlers in threads: many peers share them, and none can take them all."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import trio

from wirecore.errors import InvalidOption
from wirecore_trio import wsrpc
from wirecore_trio.tls import load_private_key, public_key_of
from wirecore_trio.wsrpc import Options, Peer

Opener = Callable[..., Any]
Run = Callable[..., Any]

SERVER, ALICE, BOB = (bytes([number]) * 32 for number in (1, 2, 3))


def public(private_key: bytes) -> bytes:
    return public_key_of(load_private_key(private_key))


class Blocking:
    """A handler that blocks its thread until it is told to go on, and counts who is in it."""

    def __init__(self) -> None:
        self._release = threading.Event()
        self._lock = threading.Lock()
        self.running = 0
        self.most = 0
        self.ran = 0
        #: Set whenever a handler has begun.
        self.begun = trio.Event()

    def __call__(self, payload: bytes, peer: Peer) -> bytes:
        with self._lock:
            self.running += 1
            self.ran += 1
            self.most = max(self.most, self.running)
        trio.from_thread.run_sync(self.tell)
        self._release.wait(10)
        with self._lock:
            self.running -= 1
        return payload

    def tell(self) -> None:
        begun, self.begun = self.begun, trio.Event()
        begun.set()

    async def wait_running(self, count: int) -> None:
        while self.running < count:
            await self.begun.wait()

    def release(self) -> None:
        self._release.set()


def shout(payload: bytes, peer: Peer) -> bytes:
    return payload.upper()


def test_one_peer_blocking_its_threads_leaves_some_to_the_others(
    open_world: Opener, run: Run
) -> None:
    async def main() -> None:
        block = Blocking()
        async with open_world() as world, world.connect() as alice, world.connect(BOB) as bob:
            world.server.handle("Block", block)
            world.server.handle("Shout", shout)
            answers: list[bytes] = []

            async def call(number: int) -> None:
                answers.append(await alice.call("Block", b"%d" % number))

            async with trio.open_nursery() as nursery:
                for number in range(50):
                    nursery.start_soon(call, number)
                await block.wait_running(10)
                for _ in range(3):
                    assert await bob.call("Shout", b"me too") == b"ME TOO"
                assert block.running == 10
                block.release()
            # Those over the bound have waited for their turn, and none was refused.
            assert sorted(answers) == sorted(b"%d" % number for number in range(50))
            assert block.most == 10

    run(main)


def test_the_bound_is_an_option_of_the_connection(open_world: Opener, run: Run) -> None:
    async def main() -> None:
        block = Blocking()
        options = Options(max_handler_threads=2)
        async with open_world(options=options, max_threads=3) as world:
            world.server.handle("Block", block)
            world.server.handle("Shout", shout)
            async with world.connect() as alice, world.connect(BOB) as bob:
                async with trio.open_nursery() as nursery:
                    for _ in range(4):
                        nursery.start_soon(alice.call, "Block", b"")
                    await block.wait_running(2)
                    assert await bob.call("Shout", b"me too") == b"ME TOO"
                    for _ in range(4):
                        nursery.start_soon(bob.call, "Block", b"")
                    await block.wait_running(3)
                    block.release()
                assert block.most == 3
                assert block.ran == 8

    run(main)


def test_a_new_connection_brings_no_new_threads(open_world: Opener, run: Run) -> None:
    """Who leaves handlers behind that block has their threads counted when it comes again."""

    async def main() -> None:
        block = Blocking()
        options = Options(max_handler_threads=1, on_disconnect="cancel")
        async with open_world(options=options) as world:
            world.server.handle("Block", block)
            async with world.connect() as alice, trio.open_nursery() as nursery:
                nursery.start_soon(alice.call, "Block", b"")
                await block.wait_running(1)
                nursery.cancel_scope.cancel()
            while world.server.connected_keys:
                await trio.lowlevel.checkpoint()
            async with world.connect() as alice, world.connect(BOB) as bob:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(alice.call, "Block", b"")
                    nursery.start_soon(bob.call, "Block", b"")
                    await block.wait_running(2)
                    block.release()
                assert block.ran == 3
                assert block.most == 2

    run(main)


def test_a_client_has_one_peer_which_may_use_them_all(open_world: Opener, run: Run) -> None:
    async def main() -> None:
        block = Blocking()
        async with open_world() as world, world.connect() as alice:
            alice.handle("Block", block)
            peer = world.server.peer(public(ALICE))
            async with trio.open_nursery() as nursery:
                for _ in range(45):
                    nursery.start_soon(peer.call, "Block", b"")
                await block.wait_running(40)
                block.release()
            assert block.most == 40

    run(main)


def test_a_client_may_be_given_more_threads(open_world: Opener, run: Run) -> None:
    async def main() -> None:
        block = Blocking()
        options = Options(max_handler_threads=42)
        async with open_world() as world, world.connect(options=options) as alice:
            alice.handle("Block", block)
            peer = world.server.peer(public(ALICE))
            async with trio.open_nursery() as nursery:
                for _ in range(45):
                    nursery.start_soon(peer.call, "Block", b"")
                await block.wait_running(42)
                block.release()
            assert block.most == 42

    run(main)


def test_at_least_one_thread() -> None:
    with pytest.raises(InvalidOption, match="max_handler_threads must be at least 1, not 0"):
        Options(max_handler_threads=0)
    with pytest.raises(InvalidOption, match="max_threads must be at least 1, not 0"):
        wsrpc.Server(wsrpc.ServerCredentials(SERVER, []), max_threads=0)
