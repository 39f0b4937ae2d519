"""How a client sends what is submitted: over its connection, else another way."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from wirecore.errors import LocalLimitExceeded

if TYPE_CHECKING:
    from wirecore._backend import Backend


class Done:
    """Where requests are told that have ended."""


class Submitter:
    """As much of one as a client of the pure backend needs: it says when it sent, or raises."""

    def __init__(self, says: float | Exception) -> None:
        self.says = says
        self.seen: list[Any] = []

    def submit(self, pending: Any, *what: Any) -> float:
        self.seen.append(what)
        if isinstance(self.says, Exception):
            raise self.says
        return self.says


class World:
    """A client, connected where *says* tells what its submitter does."""

    def __init__(self, backend: Backend, says: float | Exception | None = 1.0) -> None:
        self.seen: list[Any] = []
        world = self

        class Client(backend.webwire_submitting.Submits):  # type: ignore[name-defined, misc]
            _in_tasks = False

            def _check(self, name: object, done: object) -> None:
                raise TypeError(f"{name!r} or {done!r}")

            def _submit_otherwise(self, pending: Any, *what: Any) -> None:
                world.seen.append(what)

        def split(payload: Any) -> tuple[bytes, int]:
            return payload.encode(), 7

        self.client = Client(self._make, Done, split)
        assert self.client._channel is None
        if says is not None:
            self.submitter = Submitter(says)
            self.client._channel = SimpleNamespace(_submitter=self.submitter)

    def _make(self, name: str, payload: Any, done: Any) -> Any:
        return SimpleNamespace(given=(name, payload, done), _fail=self.seen.append)


def test_a_request_is_sent_over_the_connection(pure: Backend) -> None:
    w = World(pure)
    done = Done()
    pending = w.client.submit("echo", "text", done=done)
    assert pending.given == ("echo", "text", done)
    assert w.submitter.seen == [(None, "echo", b"text", 7)]
    assert w.seen == []


def test_what_cant_be_sent_at_once_goes_another_way(pure: Backend) -> None:
    w = World(pure, -1.0)
    w.client.submit("echo", "text")
    assert w.submitter.seen
    assert w.seen == [("echo", "text", {})]


@pytest.mark.parametrize("why", ["not connected", "others wait", "in tasks", "it has keywords"])
def test_what_isnt_usual_isnt_tried(backend: Backend, why: str) -> None:
    w = World(backend, None if why == "not connected" else 1.0)
    keywords: dict[str, Any] = {}
    if why == "others wait":
        w.client._submitted.append("one")
    elif why == "in tasks":
        type(w.client)._in_tasks = True
    elif why == "it has keywords":
        keywords["timeout"] = 3
    w.client.submit("echo", "text", **keywords)
    assert w.seen == [("echo", "text", keywords)]
    if w.client._channel is not None:
        assert w.submitter.seen == []


def test_what_is_too_much_is_told_as_its_outcome(pure: Backend) -> None:
    error = LocalLimitExceeded("max_pending_calls", 2, 1)
    w = World(pure, error)
    w.client.submit("echo", "text")
    assert w.seen == [error]


def test_names_and_dones_are_checked(backend: Backend) -> None:
    w = World(backend)
    wrong: Any = 5
    for arguments in ((wrong, None), ("echo", "a list")):
        with pytest.raises(TypeError, match=f"{arguments[0]!r} or {arguments[1]!r}"):
            w.client.submit(arguments[0], "text", done=arguments[1])
    assert w.submitter.seen == w.seen == []


def test_who_derives_says_what_happens_seldom(backend: Backend) -> None:
    bare = backend.webwire_submitting.Submits(dict, Done, lambda _: (b"", 0))
    with pytest.raises(NotImplementedError):
        bare._check("echo", None)
    with pytest.raises(NotImplementedError):
        bare._submit_otherwise(None, "echo", None, {})
