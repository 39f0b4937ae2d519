"""gRPC's synchronous API: handlers in a pool of threads; calls by futures.

``task.in_flight`` calls are under way from one thread, which is faster here than a thread a call:
whoever waits for the next answer sends the next question.
"""

from __future__ import annotations

import queue
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle

import grpc

from bench.peers.load import Meter, Outcome, Task
from bench.peers.ping_messages import (
    METHOD,
    SERVICE,
    PingReply,
    PingRequest,
    answers,
    questions,
)

PACKAGE = "grpcio"


def ping(request: PingRequest, context: grpc.ServicerContext) -> PingReply:
    """Answers with what it was asked."""
    return PingReply(body=request.body)


def serve(task: Task) -> None:
    """A server with the one method; option ``threads``, 4 unless told."""
    server = grpc.server(ThreadPoolExecutor(int(task.options.get("threads", "4"))))
    method = grpc.unary_unary_rpc_method_handler(
        ping, PingRequest.FromString, PingReply.SerializeToString
    )
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(SERVICE, {METHOD: method}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    task.listening(port)
    server.wait_for_termination()


def drive(task: Task) -> Outcome:
    """Calls over one channel."""
    with grpc.insecure_channel(f"127.0.0.1:{task.port}") as channel:
        call = channel.unary_unary(
            f"/{SERVICE}/{METHOD}", PingRequest.SerializeToString, PingReply.FromString
        )
        return (one_by_one if task.in_flight == 1 else window)(task, call)


def one_by_one(task: Task, call: grpc.UnaryUnaryMultiCallable) -> Outcome:
    """A blocking call after the other."""
    meter = Meter(task)
    for question, answer in cycle(zip(questions(task), answers(task), strict=True)):
        started = time.perf_counter()
        meter.check(call(question), answer)
        if meter.answered(started):
            break
    return meter.outcome()


def window(task: Task, call: grpc.UnaryUnaryMultiCallable) -> Outcome:
    """Many calls under way, their futures gathered in a queue."""
    meter = Meter(task)
    pairs = cycle(zip(questions(task), answers(task), strict=True))
    done: queue.SimpleQueue[tuple[grpc.Future, PingReply, float]] = queue.SimpleQueue()

    def start() -> None:
        (question, answer), began = next(pairs), time.perf_counter()
        future = call.future(question)
        future.add_done_callback(lambda finished: done.put((finished, answer, began)))

    for _ in range(task.in_flight):
        start()
    left = task.in_flight
    while left:
        future, answer, began = done.get()
        meter.check(future.result(), answer)
        if meter.answered(began):
            left -= 1
        else:
            start()
    return meter.outcome()
