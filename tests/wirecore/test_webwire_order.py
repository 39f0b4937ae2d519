"""In which order a connection's messages are handled: without a scheduler, in both backends."""

from __future__ import annotations

from contextvars import ContextVar, copy_context
from enum import Enum
from typing import TYPE_CHECKING, Any

import pytest

from wirecore.webwire_rules import MessageType

if TYPE_CHECKING:
    from collections.abc import Callable

    from wirecore._backend import Backend

WHOSE: ContextVar[str] = ContextVar("WHOSE", default="the reader's")

REQUEST = int(MessageType.REQUEST) + 1
SIGNAL = int(MessageType.SIGNAL) + 1


class Mode(Enum):
    TASK = "task"
    THREAD = "thread"
    INLINE = "inline"


class Message:
    """What handlers get: they see the text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.value: Any = text


class Pump:
    woke = False


class Seldom:
    """The half of an order that is for who derives; it tells the connection, which is a World."""

    _bytes: int
    _connection: World
    _start: Any

    def fail(self, route: Any, message: Any, error: Exception) -> None:
        self._connection.seen.append(("failed", message[2], repr(error)))

    def _finish(self, route: Any, message: Any, result: Any) -> None:
        self._connection.seen.append(("finished", message[2], result))

    def _read(self, route: Any, made: Any) -> None:
        made.value = route.codec(made.text)

    def _in_thread(self, route: Any, argument: Any) -> Any:
        async def run() -> Any:
            return f"{route.handler(argument)} in a thread"

        return run()

    def _run_own(self, message: Any) -> None:
        self._connection.seen.append(("own", message[1]))
        self._start(message)

    def _unknown(self, message: Any) -> None:
        self._connection.seen.append(("unknown", message[2]))

    def _hold(self) -> None:
        self._connection.seen.append("held")

    def _slow_down(self) -> None:
        self._connection.seen.append(("slow down", self._bytes))

    def _has_room(self) -> None:
        self._connection.seen.append(("has room", self._bytes))

    def _rest(self) -> None:
        self._connection.seen.append("rests")

    def _rested(self) -> None:
        self._connection.seen.append("rested")


def workers_of(world: World, backend: Backend) -> Any:
    """Workers that begin when the world says so."""

    class Workers(backend.jobs.Jobs):  # type: ignore[name-defined, misc]
        def start(self, job: Any) -> bool:
            world.jobs.append(job)
            return world.is_woken

    return Workers(copy_context(), None)


class World:
    """An order, and the connection and the workers that it is of. *seen*: what has happened."""

    def __init__(self, backend: Backend, limit: int = -1, **more: Any) -> None:
        self.seen: list[Any] = []
        self.jobs: list[Any] = []
        table = backend.webwire_order.RouteTable
        self.requests, self.signals = table(), table()
        self._route = backend.webwire_order.Route
        self.is_woken = True
        self._workers = workers_of(self, backend)
        self._pump = Pump()

        class Order(Seldom, backend.webwire_order.Order):  # type: ignore[name-defined, misc]
            _around: Any = None

        options: dict[str, Any] = {"make_run": backend.jobs.Run, "scoped": None}
        self.order = Order(
            self,
            limit,
            self.requests,
            self.signals,
            deliver=lambda _, message: Message(message[3].decode()),
            inline=Mode.INLINE,
            thread=Mode.THREAD,
            **options | more,
        )

    def route(
        self,
        handler: Callable[[Any], Any],
        mode: Mode = Mode.TASK,
        codec: object = None,
        reply: object = None,
    ) -> Any:
        return self._route(handler, mode, codec, reply)

    def _reply(self, request_id: int, name: str, value: Any) -> None:
        self.seen.append(("reply", request_id, name, value))

    def take(self, *messages: tuple[int, Any, str, bytes]) -> None:
        self.order.take(list(messages))

    def do_next(self) -> None:
        """The first job begins, and ends."""
        job = self.jobs.pop(0)
        if isinstance(job, tuple):
            self.order._barrier = False
            self.order.ended()
        else:
            with pytest.raises(StopIteration):
                job.send(None)


async def echo(message: Message) -> str:
    return message.text


def request(number: int, name: str = "echo", data: bytes = b"data") -> tuple[int, int, str, bytes]:
    return REQUEST, number, name, data


def test_requests_begin_at_once_and_are_answered(backend: Backend) -> None:
    w = World(backend)
    w.requests.by_name["echo"] = w.route(echo)
    w.take(request(1), request(2))
    assert len(w.jobs) == 2
    assert w._pump.woke
    assert w.order._running == 2
    assert w.seen == []
    w.do_next()
    w.do_next()
    assert w.seen == [("reply", 1, "echo", "data"), ("reply", 2, "echo", "data")]
    w.is_woken = w._pump.woke = False
    w.take(request(3))
    assert not w._pump.woke


def test_that_nothing_runs_any_more_is_told_where_it_matters(backend: Backend) -> None:
    w = World(backend)
    w.requests.rest = w.route(echo)
    w.take(request(1), request(2))
    w.do_next()
    w.order._rest_matters = True
    assert "rests" not in w.seen
    w.do_next()
    assert w.seen[-1] == "rests"
    in_order = World(backend, 1)
    assert in_order.order._rest_matters


def test_with_a_limit_the_rest_waits_in_its_order(backend: Backend) -> None:
    w = World(backend, 2)
    w.requests.rest = w.route(echo)
    w.take(*[request(number) for number in range(4)])
    assert (len(w.jobs), w.order._running) == (2, 2)
    assert w.seen == [("slow down", 8)]
    w.take(request(4, data=b"more data"))
    assert w.seen[-1] == ("slow down", 17)
    w.do_next()
    assert w.seen[-1] == ("has room", 13)
    assert list(w.order._waiting) == [request(3), request(4, data=b"more data")]
    for _ in range(4):
        w.do_next()
    assert [entry[1] for entry in w.seen if entry[0] == "reply"] == [0, 1, 2, 3, 4]
    assert w.seen[-1] == ("reply", 4, "echo", "more data")
    assert w.order._bytes == 0


@pytest.mark.parametrize(("limit", "at_once"), [(-1, 3), (0, 1), (1, 1), (2, 2), (10**30, 3)])
def test_how_many_run_at_once(backend: Backend, limit: int, at_once: int) -> None:
    w = World(backend, limit)
    w.requests.rest = w.route(echo)
    w.take(*[request(number) for number in range(3)])
    assert len(w.jobs) == at_once
    assert ("held" in w.seen) == (at_once == 1)


def test_nothing_overtakes_what_is_the_connections_own(backend: Backend) -> None:
    w = World(backend)
    w.requests.rest = w.route(echo)
    own = backend.webwire_order.OWN
    w.take(request(1), (own, "hook", "", b""), request(2))
    assert len(w.jobs) == 2
    assert w.seen == [("own", "hook"), ("slow down", 4)]
    w.do_next()
    w.do_next()  # the hook
    assert len(w.jobs) == 1
    w.take(
        (int(MessageType.CLOSE_SESSION), 3, "", b""), (int(MessageType.RESTORE_SESSION), 4, "", b"")
    )
    assert w.seen[-2:] == [("own", 3), ("slow down", 0)]


def test_what_nobody_wants_is_ignored_or_told(backend: Backend) -> None:
    w = World(backend)
    kinds = {int(kind) for kind in MessageType} | {126, 130, 255, -1}
    handled = {62 + 1, 64, 65, 127, 128, 129}
    w.take(*[(kind, 1, "x", b"") for kind in sorted(kinds - {31, 32} | handled)])
    assert w.seen == [("unknown", "x")] * 6
    assert w.jobs == []


def test_once_it_is_deaf_only_its_own_begins(backend: Backend) -> None:
    w = World(backend)
    w.requests.rest = w.route(echo)
    w.order._deaf = True
    w.take(request(1))
    assert (w.jobs, w.seen) == ([], ["rested"])
    w.take((backend.webwire_order.OWN, "the end", "", b""))
    assert w.seen[1:] == [("own", "the end")]


def test_an_inline_handler_runs_here_and_now_in_a_context_of_its_own(backend: Backend) -> None:
    w = World(backend)

    def answer(message: Message) -> str:
        before = WHOSE.get()
        WHOSE.set("the handler's")
        assert w.order._taking
        return f"{message.text} in {before} context"

    def fail(message: Message) -> None:
        raise ValueError(message.text)

    w.requests.by_name["answer"] = w.route(answer, Mode.INLINE)
    w.requests.by_name["fail"] = w.route(fail, Mode.INLINE)
    w.take(request(1, "answer"), request(2, "answer"), request(3, "fail"))
    replied = [("reply", number, "answer", "data in the reader's context") for number in (1, 2)]
    assert w.seen == [*replied, ("failed", "fail", "ValueError('data')")]
    assert (w.order._running, w.order._taking) == (0, False)


def test_a_signals_handler_returns_nothing(backend: Backend) -> None:
    w = World(backend)
    w.signals.by_name["quiet"] = w.route(lambda _: None, Mode.INLINE)
    w.signals.by_name["loud"] = w.route(lambda _: 5, Mode.INLINE)
    w.take((SIGNAL, 0, "quiet", b""), (SIGNAL, 0, "loud", b""), (SIGNAL, 0, "other", b""))
    assert w.seen == [("finished", "loud", 5), ("unknown", "other")]


def test_codecs_read_what_comes_and_write_what_goes(backend: Backend) -> None:
    w = World(backend)

    async def double(message: Message) -> int:
        return int(message.value * 2)

    w.requests.by_name["double"] = w.route(double, codec=int, reply=str)
    w.take(request(1, "double", b"21"), request(2, "double", b"none"))
    w.do_next()
    w.do_next()
    assert w.seen[0] == ("finished", "double", 42)
    assert w.seen[1][:2] == ("failed", "double")
    assert "invalid literal" in w.seen[1][2]


def test_threads_and_scopes_are_the_handlers_own(backend: Backend) -> None:
    async def scoped(handler: Any) -> str:
        return f"{await handler}, in a scope"

    w = World(backend, scoped=scoped)
    w.requests.by_name["thread"] = w.route(lambda message: message.text, Mode.THREAD)
    w.requests.by_name["task"] = w.route(echo)
    w.take(request(1, "thread"), request(2, "task"))
    w.do_next()
    w.do_next()
    assert w.seen[:2] == [
        ("reply", 1, "thread", "data in a thread, in a scope"),
        ("reply", 2, "task", "data, in a scope"),
    ]


def test_who_watches_is_around_each_handler(backend: Backend) -> None:
    w = World(backend)

    class Around:
        def inline(self, order: Any, route: Any, message: Any) -> None:
            w.seen.append(("before", message[1]))
            order.run_inline(route, message)

        def job(self, order: Any, message: Any, job: Any) -> Any:
            async def run() -> None:
                w.seen.append(("before", message[1]))
                await job
                w.seen.append(("after", message[1]))

            return run()

    w.requests.by_name["inline"] = w.route(lambda message: message.text, Mode.INLINE)
    w.requests.by_name["task"] = w.route(echo)
    type(w.order)._around = Around()
    w.take(request(1, "inline"), request(2, "task"))
    w.do_next()
    assert w.seen == [
        ("before", 1),
        ("reply", 1, "inline", "data"),
        ("before", 2),
        ("reply", 2, "task", "data"),
        ("after", 2),
    ]


def test_who_derives_says_what_happens_seldom(backend: Backend) -> None:
    w = World(backend)
    bare: Any = backend.webwire_order.Order(
        w,
        1,
        w.requests,
        w.signals,
        deliver=lambda *_: None,
        make_run=backend.jobs.Run,
        inline=Mode.INLINE,
        thread=Mode.THREAD,
        scoped=None,
    )
    message = request(1)
    for method, arguments in (
        ("fail", (None, message, ValueError())),
        ("_finish", (None, message, None)),
        ("_read", (None, None)),
        ("_in_thread", (None, None)),
        ("_run_own", (message,)),
        ("_unknown", (message,)),
        ("_hold", ()),
        ("_slow_down", ()),
        ("_has_room", ()),
        ("_rest", ()),
        ("_rested", ()),
    ):
        with pytest.raises(NotImplementedError):
            getattr(bare, method)(*arguments)
