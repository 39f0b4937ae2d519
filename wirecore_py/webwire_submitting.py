# cython: annotation_typing=False, auto_pickle=False, nonecheck=True
"""How a client of webwire sends the requests that are submitted to it, while it is connected.

``wirecore._webwire_submitting`` is this file, compiled with the types that
``_webwire_submitting.pxd`` declares.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from wirecore.errors import LocalError

if TYPE_CHECKING:
    # A module, as its class's name is that of a type already where this is compiled.
    from wirecore_py import submitting


class Submits:
    """The hot half of a client that requests are submitted to.

    *make*: makes what is returned, of a name, a payload and a *done_type* or None. *split*: makes
    bytes and their encoding of a payload.

    Who derives has ``_in_tasks`` (whether each is to have a task), ``_check(name, done)``, which
    raises where one of them is no text or no *done_type*, and ``_submit_otherwise(pending, name,
    payload, keywords)`` for requests with keywords, and for those that can't be sent at once. The
    channel has its Submitter as ``_submitter``.
    """

    __slots__ = ("_channel", "_done_type", "_make", "_split", "_submitted")

    _channel: Any
    _submitted: deque[Any]

    def __init__(
        self,
        make: Callable[..., Any],
        done_type: type,
        split: Callable[[Any], tuple[bytes, int]],
    ) -> None:
        self._make = make
        self._done_type = done_type
        self._split = split
        #: The connection, while there is one that is open.
        self._channel = None
        #: Submitted requests whose tasks are about to begin.
        self._submitted = deque()

    def submit(
        self, name: str = "", payload: Any = None, *, done: Any = None, **keywords: Any
    ) -> Any:
        """Begin a request that goes on by itself, for who wants its reply later, or not at all.

        As ``request``, whose errors :meth:`PendingRequest.wait` raises. *done*: is given the
        request when it has ended. Many requests are made faster so than by a task for each.

        While there is a connection, and room to send, requests leave in the order in which they
        were submitted. *reply* is used in the task that reads: it should be quick. Raises
        TypeError and InvalidOption for wrong arguments.
        """
        if type(name) is not str or (done is not None and type(done) is not self._done_type):
            self._check(name, done)
        pending = self._make(name, payload, done)
        if keywords or not self._is_sent(pending, name, payload):
            self._submit_otherwise(pending, name, payload, keywords)
        return pending

    def _is_sent(self, pending: Any, name: str, payload: Any) -> bool:
        """Whether *pending* was sent, or has failed with what can't be sent."""
        channel = self._channel
        if channel is None or self._submitted:
            return False
        if self._in_tasks:  # type: ignore[attr-defined]  # a class attribute of who derives
            return False
        submitter: submitting.Submitter = channel._submitter
        try:
            data, encoding = self._split(payload)
            return submitter.submit(pending, None, name, data, encoding) >= 0
        except LocalError as error:
            pending._fail(error)
            return True

    # --- seldom -----------------------------------------------------------------------

    def _check(self, name: object, done: object) -> None:
        raise NotImplementedError

    def _submit_otherwise(
        self, pending: Any, name: str, payload: Any, keywords: dict[str, Any]
    ) -> None:
        raise NotImplementedError
