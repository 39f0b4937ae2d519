# cython: annotation_typing=False, auto_pickle=False, nonecheck=True
"""What stands between a webwire session and who uses it, for each message.

``wirecore._webwire_channel`` is this file, compiled with the types that ``_webwire_channel.pxd``
declares.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from wirecore import webwire_rules as rules
from wirecore.errors import LocalError

if TYPE_CHECKING:
    # Modules, as their classes' names are those of types already where this is compiled.
    from wirecore_py import moving, waiting, webwire_ends, webwire_order
    from wirecore_py.webwire import Message

_REPLY = rules.REPLY


class Inbound:
    """A client's: what its pump tells of what it reads, for *channel*.

    *callers*, *submitters*: who waits for replies, in tasks and otherwise. *table*: the pending
    requests. *payload_of*: makes a reply's payload of its type and bytes.

    *channel* has ``_received(kind, call, name, data)`` for all but replies, ``_changed`` (None
    where nobody waits for a change) and ``tell_change``, ``on_finish`` and ``on_end``.
    """

    __slots__ = ("_callers", "_channel", "_payload_of", "_submitters", "_table", "mover")

    #: Set once there is one.
    mover: moving.Mover

    def __init__(
        self,
        channel: Any,
        callers: waiting.Callers,
        submitters: waiting.Callers,
        table: Any,
        payload_of: Callable[[int, bytes], Any],
    ) -> None:
        self._channel = channel
        self._callers = callers
        self._submitters = submitters
        self._table = table
        self._payload_of = payload_of

    def received(self, happened: list[Message]) -> None:
        """See the pump's Owner."""
        mover = self.mover
        if len(happened) > 1:
            mover.hold()  # their callers may request again
        for message in happened:
            kind = message[0]
            if kind >= _REPLY:
                call: waiting.Waiter = message[1]
                call.finish(self._payload_of(kind, message[3]))
            else:
                self._channel._received(kind, message[1], message[2], message[3])
        if self._callers.woken or self._submitters.woken:
            # They have a turn before more is read in place.
            self._submitters.woken = 0
            mover.woke = True
        if self._channel._changed is not None and not self._table:
            self._channel.tell_change()

    def on_finish(self) -> None:
        """See the pump's Owner."""
        self._channel.on_finish()

    def on_end(self, error: BaseException | None) -> None:
        """See the pump's Owner."""
        self._channel.on_end(error)


class Replying:
    """A server's: what its pump tells of what it reads, and the replies to that.

    *split*: makes bytes and their encoding of what a handler returned. Who derives sets
    *_handling*, the Order, *_pump* and *_session_state*, and has ``_not_replied(request_id, name,
    value, error)`` for what can't be sent.
    """

    __slots__ = ("_handling", "_pump", "_session_state", "_split")

    _handling: Any
    _pump: Any
    _session_state: Any

    def __init__(self, split: Callable[[Any], tuple[bytes, int]]) -> None:
        self._split = split

    def received(self, happened: list[Message]) -> None:
        """See the pump's Owner."""
        # Held here: whoever takes its place within a handler, it is through with these first.
        handling: webwire_order.Order = self._handling
        if len(happened) > 1:
            self._pump.hold()  # their handlers will answer
        handling.take(happened)

    def _reply(self, request_id: int, name: str, value: Any) -> None:
        """Send what the handler of *name* returned, if there is still somebody to answer."""
        pump: moving.Mover = self._pump
        if pump.ended:
            return
        try:
            data, encoding = self._split(value)
            session: webwire_ends.ServerEnd = self._session_state
            session.reply(request_id, data, encoding)
        except (TypeError, LocalError) as error:
            self._not_replied(request_id, name, value, error)
        if not pump.reading:  # else it leaves at the read's end
            pump.write()

    def _not_replied(self, request_id: int, name: str, value: Any, error: Exception) -> None:
        raise NotImplementedError
