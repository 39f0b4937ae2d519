"""What runs the handlers of a pool's calls: each in a context of its own, answered at once."""

from __future__ import annotations

from contextvars import ContextVar
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from wirecore.errors import LocalError

if TYPE_CHECKING:
    from collections.abc import Callable

    from wirecore._backend import Backend

RUNNING: ContextVar[Any] = ContextVar("running")
MARK: ContextVar[str] = ContextVar("mark", default="nobody's")


class Unsendable(LocalError):
    """What a codec raises for a value."""


class World:
    """A connection that notes what it is asked, and its invoker."""

    def __init__(self, backend: Backend) -> None:
        self.seen: list[Any] = []
        self._stopping = False
        self.unsendable = False
        world = self

        class Invoker(backend.pool_invoking.Invoker):  # type: ignore[name-defined, misc]
            _around: Any = None

            def fail(self, method: Any, incoming: Any, error: Exception) -> None:
                world.seen.append(("failed", incoming.request, error))

            def _unsendable(
                self, method: Any, incoming: Any, value: Any, error: LocalError
            ) -> None:
                world.seen.append(("unsendable", incoming.request, value, error))

        self.invoker = Invoker(self, RUNNING, "inline", ("nothing", "no value"))

    def reply(self, request: Any, value: Any, annotation: Any) -> None:
        if self.unsendable:
            raise Unsendable
        self.seen.append(("replied", request, value, annotation))

    def _start(self, incoming: Any) -> None:
        self.seen.append(("started", incoming.request))

    def call(
        self, handler: Callable[[Any], Any], result: Any = int, mode: str = "inline"
    ) -> SimpleNamespace:
        method = SimpleNamespace(
            name="Some.Method",
            handler=handler,
            result=result,
            mode=mode,
            wrong_result=lambda value: TypeError(f"returned {value}"),
        )
        return SimpleNamespace(request=("id", "Some.Method"), target=method, argument=20)


def test_a_handler_is_called_in_a_context_of_its_own_and_answered(backend: Backend) -> None:
    w = World(backend)
    contexts: list[Any] = []

    def handler(argument: int) -> int:
        contexts.append((MARK.get(), RUNNING.get()))
        MARK.set("its own")
        return argument + 1

    w.invoker.take([w.call(handler), w.call(handler)])
    assert w.seen == [("replied", ("id", "Some.Method"), 21, int)] * 2
    assert contexts == [("nobody's", ("Some.Method", w))] * 2
    assert MARK.get() == "nobody's"


def test_what_isnt_inline_is_started_and_so_is_all_once_it_stops(backend: Backend) -> None:
    w = World(backend)

    def stops(argument: int) -> int:
        w._stopping = True
        return argument

    calls = [w.call(stops, mode="in a task"), w.call(stops), w.call(stops)]
    w.invoker.take(calls)
    assert [seen[0] for seen in w.seen] == ["started", "replied", "started"]


def test_what_a_handler_raises_or_returns_wrongly_is_its_failure(backend: Backend) -> None:
    w = World(backend)

    def raises(argument: int) -> None:
        raise ValueError("no")

    w.invoker.take([w.call(raises), w.call(lambda _: "something", "nothing")])
    assert [(seen[0], str(seen[2])) for seen in w.seen] == [
        ("failed", "no"),
        ("failed", "returned something"),
    ]
    with pytest.raises(KeyboardInterrupt):
        w.invoker.take([w.call(lambda _: (_ for _ in ()).throw(KeyboardInterrupt))])


@pytest.mark.parametrize("result", ["nothing", Any])
def test_none_is_sent_as_nothing(backend: Backend, result: Any) -> None:
    w = World(backend)
    w.invoker.take([w.call(lambda _: None, result)])
    assert w.seen == [("replied", ("id", "Some.Method"), "no value", "nothing")]


def test_what_cant_be_sent_is_told_with_its_value(backend: Backend) -> None:
    w = World(backend)
    w.unsendable = True
    w.invoker.take([w.call(lambda _: 7)])
    [(what, _, value, error)] = w.seen
    assert (what, value, type(error)) == ("unsendable", 7, Unsendable)


def test_who_watches_is_around_each_and_sees_it_answered(backend: Backend) -> None:
    w = World(backend)

    def inline(invoker: Any, incoming: Any) -> None:
        w.seen.append("before")
        invoker.run_inline(incoming)
        w.seen.append("behind")

    type(w.invoker)._around = SimpleNamespace(inline=inline)
    w.invoker.take([w.call(lambda _: 1)])
    assert w.seen == ["before", ("replied", ("id", "Some.Method"), 1, int), "behind"]


def test_who_derives_says_what_happens_seldom(backend: Backend) -> None:
    bare = backend.pool_invoking.Invoker(None, RUNNING, "inline", ("nothing", "no value"))
    for method, arguments in (("fail", (None,) * 3), ("_unsendable", (None,) * 4)):
        with pytest.raises(NotImplementedError):
            getattr(bare, method)(*arguments)
