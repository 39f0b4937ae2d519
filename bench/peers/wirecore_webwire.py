"""wirecore's webwire on trio: requests that are echoed as text, and signals that are counted.

Option ``mode`` of the server: ``inline`` answers in the reading task, ``async`` (the default) in
worker tasks, 100 of them at once. Options of the driver: ``load=signals`` is signals, not
requests; ``calling=submit`` has one task submit all requests, else each caller has a task; with
``clients=each`` each has a connection, too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

import wirecore
from bench.peers.load import Meter, Outcome, Tally, Task, calls, signals, submissions
from wirecore._backend import default
from wirecore_trio import webwire

VERSION = f"wirecore {wirecore.__version__}, backend {default.name}"


def serve(task: Task) -> None:
    """A server of echoes that counts signals."""
    server = webwire.Server(webwire.ServerOptions(concurrency=100))
    tally = Tally(task)
    inline = task.options.get("mode") == "inline"

    def echo(request: webwire.Request) -> str:
        return request.text

    async def echo_in_task(request: webwire.Request) -> str:
        return request.text

    def note(signal: webwire.Signal) -> None:
        tally.take(signal.text)

    async def note_in_task(signal: webwire.Signal) -> None:
        tally.take(signal.text)

    @server.request("closing")
    async def closing(request: webwire.Request) -> str:
        while tally.seen < int(request.text):  # it has overtaken few, if any
            await trio.lowlevel.checkpoint()
        return str(tally.good)

    server.request("echo", inline=inline)(echo if inline else echo_in_task)
    server.signal("note", inline=inline)(note if inline else note_in_task)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            listening = await nursery.start(server.serve, "127.0.0.1", 0)
            task.listening(listening.port)

    trio.run(main)


def drive(task: Task) -> Outcome:
    """Requests, each caller in a task of its own, or signals of one task."""

    async def main() -> Outcome:
        if task.options.get("clients") == "each":
            return await measure_clients(task)
        async with webwire.connect(f"ws://127.0.0.1:{task.port}/") as client:
            if task.options.get("load") == "signals":
                return await send_signals(task, client)
            submits = task.options.get("calling") == "submit"
            return await (submit if submits else measure)(task, client)

    return trio.run(main)


async def submit(task: Task, client: webwire.Client) -> Outcome:
    """``task.in_flight`` requests at a time, of one task."""
    done: webwire.Done[webwire.Payload] = webwire.Done()

    def is_right(request: webwire.PendingRequest[webwire.Payload]) -> bool:
        return request.result().text == request.payload

    return await submissions(
        task,
        lambda text: client.submit("echo", text, done=done),
        task.texts(),
        done.receive_many,
        is_right,
    )


async def measure(task: Task, client: webwire.Client) -> Outcome:
    """``task.in_flight`` callers."""

    texts, meter = task.texts(), Meter(task)
    async with trio.open_nursery() as callers:
        for _ in range(task.in_flight):
            callers.start_soon(calls, caller(client), meter, texts, texts)
    return meter.outcome()


def caller(client: webwire.Client) -> Callable[[str], Awaitable[str]]:
    """What asks for the echo of a text."""

    async def call(text: str) -> str:
        return (await client.request("echo", text)).text

    return call


async def measure_clients(task: Task) -> Outcome:
    """``task.in_flight`` clients, with a request each."""
    texts, meter = task.texts(), Meter(task)

    async def ask() -> None:
        async with webwire.connect(f"ws://127.0.0.1:{task.port}/") as client:
            await calls(caller(client), meter, texts, texts)

    async with trio.open_nursery() as clients:
        for _ in range(task.in_flight):
            clients.start_soon(ask)
    return meter.outcome()


async def send_signals(task: Task, client: webwire.Client) -> Outcome:
    """Bursts of signals."""

    async def closing(sent: int) -> int:
        return int((await client.request("closing", str(sent))).text)

    return await signals(task, lambda text: client.signal("note", text), closing)
