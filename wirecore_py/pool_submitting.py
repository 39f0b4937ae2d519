# cython: annotation_typing=False, auto_pickle=False, nonecheck=True
"""How a pool sends the calls that are submitted to it, where a provider is free.

``wirecore._pool_submitting`` is this file, compiled with the types that ``_pool_submitting.pxd``
declares.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # A module, as its class's name is that of a type already where this is compiled.
    from wirecore_py import turns


class Submits:
    """The hot half of a pool that calls are submitted to.

    *make*: makes what is returned, of a method, an argument and a *done_type* or None.

    Who derives has ``_in_tasks`` (whether each is to have a task), ``_check_done(done)``, which
    raises for what isn't one, ``_submit_unusual(pending, method, argument, result, keywords)`` for
    calls with keywords, and ``_submit_later``, which takes the same, for those that have to wait.
    """

    __slots__ = ("_calls", "_done_type", "_make", "_submitted", "_usual")

    _calls: Any
    _submitted: deque[Any]
    _usual: dict[str, Any]

    def __init__(self, make: Callable[..., Any], done_type: type) -> None:
        self._make = make
        self._done_type = done_type
        #: Bindings by method, of those that were called.
        self._usual = {}
        #: Submitted calls that wait for a task of theirs, and where these run, while it serves.
        self._submitted = deque()
        self._calls = None

    def submit(
        self,
        method: str,
        argument: Any = None,
        result: Any = Any,
        *,
        done: Any = None,
        **keywords: Any,
    ) -> Any:
        """Begin a call that goes on by itself, for who wants its result later, or not at all.

        As ``call``, whose errors :meth:`PendingCall.wait` raises. *done*: is given the call when
        it has ended. Many calls are made faster so than by a task for each. Raises InvalidState
        where the pool isn't serving, NoDefaultPath, and TypeError or InvalidOption for wrong
        arguments.
        """
        if done is not None and type(done) is not self._done_type:
            self._check_done(done)
        pending = self._make(method, argument, done)
        if keywords:
            self._submit_unusual(pending, method, argument, result, keywords)
        elif self._slot_for(method, pending, result) is None:
            # A task, which waits for a provider in the order of its coming.
            self._submit_later(pending, method, argument, result, keywords)
        return pending

    def _slot_for(self, method: Any, pending: Any, result: Any) -> Any:
        """The slot that *pending* was sent over; None where there is none for it.

        False where it couldn't be sent, and was told.
        """
        if type(method) is not str or self._calls is None or self._submitted:
            return None
        if self._in_tasks:  # type: ignore[attr-defined]  # a class attribute of who derives
            return None
        binding = self._usual.get(method)
        if binding is None:
            return None
        found: turns.Slot | None = binding.turn()
        if found is not None:
            try:
                found.submit(pending, result)
            except BaseException as error:  # noqa: BLE001  # what is no Exception is raised again
                found.target._not_submitted(pending, result, error)
                return False
        return found

    # --- seldom -----------------------------------------------------------------------

    def _check_done(self, done: object) -> None:
        raise NotImplementedError

    def _submit_unusual(
        self, pending: Any, method: Any, argument: Any, result: Any, keywords: dict[str, Any]
    ) -> None:
        raise NotImplementedError

    def _submit_later(
        self, pending: Any, method: Any, argument: Any, result: Any, keywords: dict[str, Any]
    ) -> None:
        raise NotImplementedError
