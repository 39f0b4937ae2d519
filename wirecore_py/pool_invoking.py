# cython: annotation_typing=False, auto_pickle=False, nonecheck=True
"""What a connection of the pool does for each call that came.

``wirecore._pool_invoking`` is this file, compiled with the types that ``_pool_invoking.pxd``
declares.
"""

from __future__ import annotations

from contextvars import ContextVar, copy_context
from typing import TYPE_CHECKING, Any

from wirecore.errors import LocalError

if TYPE_CHECKING:
    # A module, as its class's name is that of a type already where this is compiled.
    from wirecore_py import moving


class Invoker:
    """The hot half of what runs handlers; what it does seldom is for the class that derives.

    *replies*: the connection. *running*: is set to a method's name and the connection while its
    handler runs. *inline*: the mode of methods whose handlers run here and now. *nothing*: the
    annotation of methods that return None, and what is sent for that.

    Who derives has ``_around`` (None, or what has its own around each handler), ``fail``, and
    ``_unsendable(method, incoming, value, error)``.
    """

    __slots__ = ("_inline", "_mover", "_no_value", "_nothing", "_replies", "_running", "_sender")

    def __init__(
        self,
        replies: Any,
        running: ContextVar[Any],
        inline: object,
        nothing: tuple[Any, Any],
    ) -> None:
        self._replies = replies
        self._running = running
        self._inline = inline
        self._nothing, self._no_value = nothing
        self._mover: Any = None
        self._sender: Any = None

    def reply_by(self, mover: moving.Mover, sender: Any) -> None:
        """Have what is usual answered by *sender*, over *mover*, and not by the connection."""
        self._mover = mover
        self._sender = sender

    def take(self, happened: list[Any]) -> None:
        """Calls came: run the handlers that never block, and have the connection start others."""
        replies = self._replies
        for incoming in happened:
            if replies._stopping or incoming.target.mode is not self._inline:
                replies._start(incoming)
            else:
                self.run(incoming)

    def run(self, incoming: Any) -> None:
        """Run a handler that never blocks, here and now, and answer."""
        around = self._around  # type: ignore[attr-defined]  # a class attribute of who derives
        if around is None:
            self.run_inline(incoming)
        else:
            around.inline(self, incoming)

    def run_inline(self, incoming: Any) -> None:
        """As :meth:`run`, whoever watches."""
        method = incoming.target
        try:
            # In a context of its own: what one handler puts into a contextvar isn't the next one's.
            value = copy_context().run(self._call, method, incoming.argument)
            self.answer(method, incoming, value)
        except Exception as error:  # noqa: BLE001 - whatever a user's handler raises
            self.fail(method, incoming, error)

    def _call(self, method: Any, argument: Any) -> Any:
        self._running.set((method.name, self._replies))
        return method.handler(argument)

    def answer(self, method: Any, incoming: Any, value: Any) -> None:
        """See Handlers."""
        annotation = method.result
        if annotation is Any or annotation is self._nothing:
            if value is None:
                value = self._no_value
                annotation = self._nothing
            elif annotation is self._nothing:
                raise method.wrong_result(value)
        mover = self._mover
        request = incoming.request
        try:
            if (
                mover is not None
                and not mover.ended
                and self._around is None  # type: ignore[attr-defined]  # else all is seen
                and self._sender.send(request, value, annotation)
            ):
                mover.write()
            else:
                self._replies.reply(request, value, annotation)
        except LocalError as error:
            self._unsendable(method, incoming, value, error)

    # --- seldom -----------------------------------------------------------------------

    def fail(self, method: Any, incoming: Any, error: Exception) -> None:
        """See Handlers."""
        raise NotImplementedError

    def _unsendable(self, method: Any, incoming: Any, value: Any, error: LocalError) -> None:
        raise NotImplementedError
