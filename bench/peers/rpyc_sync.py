"""RPyC: synchronous, with asynchronous results for many calls under way."""

from __future__ import annotations

import time
from collections import deque
from itertools import cycle

import rpyc
from rpyc.utils.server import ThreadedServer

from bench.peers.load import Meter, Outcome, Task

PACKAGE = "rpyc"


class Service(rpyc.Service):
    """The one method."""

    def exposed_ping(self, body: str) -> str:
        """Answers with what it was asked."""
        return body


def serve(task: Task) -> None:
    """A server with the one method."""
    server = ThreadedServer(Service, hostname="127.0.0.1", port=0)
    task.listening(server.port)
    server.start()


def drive(task: Task) -> Outcome:
    """Calls over one connection; answers come in the order of the questions."""
    connection = rpyc.connect("127.0.0.1", task.port)
    ask = rpyc.async_(connection.root.ping)
    texts, meter = cycle(task.texts()), Meter(task)
    under_way: deque[tuple[rpyc.AsyncResult, str, float]] = deque()
    while not meter.over or under_way:
        while not meter.over and len(under_way) < task.in_flight:
            text = next(texts)
            under_way.append((ask(text), text, time.perf_counter()))
        result, text, began = under_way.popleft()
        meter.check(result.value, text)
        meter.answered(began)
    connection.close()
    return meter.outcome()
