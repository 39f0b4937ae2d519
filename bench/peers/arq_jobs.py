"""arq: jobs that a worker takes from Redis, each awaited for its result, which Redis keeps.

The server is Redis and the worker; the driver enqueues. Both look for news in intervals: option
``poll_ms`` of both says how long these are (its own defaults: half a second).
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from arq import create_pool, func
from arq.connections import RedisSettings
from arq.worker import Worker

from bench.peers import redis_server
from bench.peers.arith import answers, questions
from bench.peers.load import Meter, Outcome, Task, calls

PACKAGE = "arq"

#: A result is there for a minute and no hour, so that Redis doesn't fill.
_KEEP = 60


async def divide(context: dict[Any, Any], a: int, b: int) -> tuple[int, int]:
    """A quotient and its remainder."""
    return divmod(a, b)


def serve(task: Task) -> None:
    """A worker that takes as many jobs at once as any row has under way."""
    logging.getLogger("arq").setLevel(logging.WARNING)
    port = redis_server.start()

    async def started(context: dict[Any, Any]) -> None:
        task.listening(port)

    async def main() -> None:
        worker = Worker(
            [func(divide, name="divide")],
            redis_settings=RedisSettings(port=port),
            on_startup=started,
            handle_signals=False,
            max_jobs=128,
            poll_delay=int(task.options["poll_ms"]) / 1000,
            keep_result=_KEEP,
        )
        await worker.async_run()

    asyncio.run(main())


def drive(task: Task) -> Outcome:
    """Jobs, each in a task of its own that waits for the result."""
    delay = int(task.options["poll_ms"]) / 1000

    async def main() -> Outcome:
        redis = await create_pool(RedisSettings(port=task.port))

        async def call(question: tuple[int, int]) -> object:
            job = await redis.enqueue_job("divide", *question)
            return await job.result(poll_delay=delay)

        meter = Meter(task)
        asked = [(args.a, args.b) for args in questions()]
        expected = [(found.quo, found.rem) for found in answers()]
        async with asyncio.TaskGroup() as callers:
            for _ in range(task.in_flight):
                callers.create_task(calls(call, meter, asked, expected))
        await redis.aclose()
        return meter.outcome()

    return asyncio.run(main())
