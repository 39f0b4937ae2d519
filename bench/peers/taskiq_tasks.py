"""taskiq with taskiq-redis: tasks that a worker takes from a list of Redis, each awaited.

The server is Redis and the worker, which waits at the list and doesn't poll; the driver does, for
results: option ``poll_ms`` says how long it waits in between (its own default: 200).
"""

from __future__ import annotations

import asyncio
import logging

from taskiq import TaskiqEvents, TaskiqState
from taskiq.api import run_receiver_task
from taskiq_redis import ListQueueBroker, RedisAsyncResultBackend

from bench.peers import redis_server
from bench.peers.arith import answers, questions
from bench.peers.load import Meter, Outcome, Task, calls

PACKAGE = "taskiq-redis"

#: A result is there for a minute at most, so that Redis doesn't fill.
_KEEP = 60


def _broker(port: int) -> ListQueueBroker:
    url = f"redis://127.0.0.1:{port}"
    results = RedisAsyncResultBackend(url, result_ex_time=_KEEP)
    return ListQueueBroker(url).with_result_backend(results)


async def divide(a: int, b: int) -> list[int]:
    """A quotient and its remainder."""
    return list(divmod(a, b))


def serve(task: Task) -> None:
    """A worker that takes as many tasks at once as any row has under way."""
    logging.getLogger("taskiq").setLevel(logging.ERROR)
    port = redis_server.start()
    broker = _broker(port)
    broker.register_task(divide, task_name="divide")

    @broker.on_event(TaskiqEvents.WORKER_STARTUP)
    async def started(state: TaskiqState) -> None:
        task.listening(port)

    asyncio.run(run_receiver_task(broker, max_async_tasks=128, run_startup=True))


def drive(task: Task) -> Outcome:
    """Tasks of taskiq's, each in a task of its own that waits for the result."""
    interval = int(task.options["poll_ms"]) / 1000

    async def main() -> Outcome:
        broker = _broker(task.port)
        remote = broker.register_task(divide, task_name="divide")
        await broker.startup()

        async def call(question: tuple[int, int]) -> object:
            made = await remote.kiq(*question)
            result = await made.wait_result(check_interval=interval)
            return result.return_value

        meter = Meter(task)
        asked = [(args.a, args.b) for args in questions()]
        expected = [[found.quo, found.rem] for found in answers()]
        async with asyncio.TaskGroup() as callers:
            for _ in range(task.in_flight):
                callers.create_task(calls(call, meter, asked, expected))
        await broker.shutdown()
        return meter.outcome()

    return asyncio.run(main())
