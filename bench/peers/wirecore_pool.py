"""wirecore's pool on trio: the driver is a pool that calls, the server its provider.

Options of both are those of the row, ``codec`` and ``connections``, which the pool tells (see
``meeting.py``), and ``mode`` of the provider (see ``arith.py``). Option ``calling`` of the driver:
``submit`` has one task submit all calls, else each caller has a task.
"""

from __future__ import annotations

import trio

import wirecore
from bench.peers import meeting
from bench.peers.arith import METHOD, Args, Quotient, answers, questions, service
from bench.peers.load import Meter, Outcome, Task, calls, submissions
from wirecore._backend import default
from wirecore_trio import pool

VERSION = f"wirecore {wirecore.__version__}, backend {default.name}"


def serve(task: Task) -> None:
    """A provider of Arith, with as many connections as the pool wants."""
    provider = pool.Provider()
    provider.register(service(task), name="Arith")
    told = meeting.wait(task)

    async def main() -> None:
        async with provider.serve(told.url, codec=told.codec, connections=told.connections):
            await trio.sleep_forever()

    trio.run(main)


def drive(task: Task) -> Outcome:
    """Calls of a pool, once all connections are there."""
    server = pool.PoolServer()
    server.bind("/", codec=task.options["codec"])

    async def main() -> Outcome:
        async with trio.open_nursery() as nursery:
            listening = await nursery.start(server.serve, "127.0.0.1", 0)
            wanted = meeting.of(task, listening.port)
            meeting.tell(task, wanted)
            async for _ in server.changes(0.005):
                if len(server.providers) == wanted.connections:
                    break
            submits = task.options.get("calling") == "submit"
            outcome = await (submit if submits else measure)(task, server)
            nursery.cancel_scope.cancel()
        return outcome

    return trio.run(main)


async def submit(task: Task, server: pool.PoolServer) -> Outcome:
    """``task.in_flight`` calls at a time, of one task."""
    asked = questions()
    expected = {id(args): answer for args, answer in zip(asked, answers(), strict=True)}
    done: pool.Done[Quotient] = pool.Done()

    def is_right(call: pool.PendingCall[Quotient]) -> bool:
        return call.result() == expected[id(call.argument)]

    return await submissions(
        task,
        lambda question: server.submit(METHOD, question, Quotient, done=done),
        asked,
        done.receive_many,
        is_right,
    )


async def measure(task: Task, caller: pool.PoolServer | pool.CallbackClient) -> Outcome:
    """``task.in_flight`` callers."""

    async def call(args: Args) -> Quotient:
        return await caller.call(METHOD, args, Quotient)

    meter, asked, expected = Meter(task), questions(), answers()
    async with trio.open_nursery() as callers:
        for _ in range(task.in_flight):
            callers.start_soon(calls, call, meter, asked, expected)
    return meter.outcome()
