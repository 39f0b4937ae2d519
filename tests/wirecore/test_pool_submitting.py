"""How a pool sends what is submitted: over a provider that is free, else later."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from wirecore._backend import Backend


class Done:
    """Where calls are told that have ended."""


class World:
    """A pool with one method that is usual, whose provider is free so many times."""

    def __init__(self, backend: Backend, free: int = 9) -> None:
        self.seen: list[Any] = []
        self.free = free
        self.fails: BaseException | None = None
        world = self

        class Pool(backend.pool_submitting.Submits):  # type: ignore[name-defined, misc]
            _in_tasks = False

            def _check_done(self, done: object) -> None:
                raise TypeError("that is no Done")

            def _submit_unusual(self, pending: Any, *what: Any) -> None:
                world.seen.append(("unusual", *what))

            def _submit_later(self, pending: Any, *what: Any) -> None:
                world.seen.append(("later", *what))

        self.pool = Pool(self._make, Done)
        self.pool._calls = object()
        self.pool._usual["A.B"] = self

    def _make(self, method: Any, argument: Any, done: Any) -> Any:
        return SimpleNamespace(_subject=method, _value=argument, done=done)

    def turn(self) -> Any:
        if not self.free:
            return None
        self.free -= 1
        return Slot(self)

    def _not_submitted(self, pending: Any, result: Any, error: BaseException) -> None:
        self.seen.append(("not submitted", result, error))
        if not isinstance(error, Exception):
            raise error


class Slot:
    """As much of a slot as a pool of the pure backend needs."""

    def __init__(self, world: World) -> None:
        self.target = world
        self._world = world

    def submit(self, pending: Any, result: Any) -> float:
        if self._world.fails is not None:
            raise self._world.fails
        self._world.seen.append(("sent", pending._subject, pending._value, result))
        return 1.0


def test_a_usual_call_is_sent_over_the_provider_whose_turn_it_is(pure: Backend) -> None:
    w = World(pure)
    done = Done()
    pending = w.pool.submit("A.B", 7, int, done=done)
    assert (pending._subject, pending._value, pending.done) == ("A.B", 7, done)
    assert w.seen == [("sent", "A.B", 7, int)]
    w.pool.submit("A.B")
    assert w.seen[1:] == [("sent", "A.B", None, Any)]


@pytest.mark.parametrize(
    "why", ["nobody is free", "it isn't known", "no text", "not serving", "others wait", "in tasks"]
)
def test_what_cant_be_sent_at_once_is_sent_later(backend: Backend, why: str) -> None:
    w = World(backend, free=0)
    method: Any = "A.B"
    if why != "nobody is free":
        w.free = 9
    if why == "it isn't known":
        method = "C.D"
    elif why == "no text":
        method = 5
    elif why == "not serving":
        w.pool._calls = None
    elif why == "others wait":
        w.pool._submitted.append("one")
    elif why == "in tasks":
        type(w.pool)._in_tasks = True
    w.pool.submit(method, 7, int)
    assert w.seen == [("later", method, 7, int, {})]


def test_what_has_keywords_goes_another_way(backend: Backend) -> None:
    w = World(backend)
    w.pool.submit("A.B", 7, int, timeout=3)
    assert w.seen == [("unusual", "A.B", 7, int, {"timeout": 3})]
    with pytest.raises(TypeError, match="no Done"):
        w.pool.submit("A.B", done="a list")


def test_who_it_was_to_be_sent_to_is_told_that_it_wasnt(pure: Backend) -> None:
    w = World(pure)
    w.fails = ValueError("unsendable")
    w.pool.submit("A.B", 7, int)
    assert w.seen == [("not submitted", int, w.fails)]
    assert w.pool._slot_for("A.B", None, int) is False
    w.fails = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        w.pool.submit("A.B", 7, int)


def test_who_derives_says_what_happens_seldom(backend: Backend) -> None:
    bare = backend.pool_submitting.Submits(dict, Done)
    nothing: Any = None
    for method, arguments in (
        ("_check_done", 1),
        ("_submit_unusual", 5),
        ("_submit_later", 5),
    ):
        with pytest.raises(NotImplementedError):
            getattr(bare, method)(*[nothing] * arguments)
