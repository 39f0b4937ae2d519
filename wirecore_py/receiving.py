# cython: annotation_typing=False, auto_pickle=False, nonecheck=True
"""What an open WebSocket does with the bytes of each read.

``wirecore._receiving`` is this file, compiled with the types that ``_receiving.pxd`` declares.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wirecore.events import Buffer, Message


class Receiver:
    """The hot half of a connection; what it does seldom is for the class that derives.

    *decoder*: a backend's MessageDecoder. *outbox*: what waits to be sent. *state*: at first.
    *inflates*: whether compression was agreed on.

    Who derives has ``_go_on_receiving(data, now)`` for an end that was put off, for what comes
    after the end, and for what may be compressed; and ``_sort(items, now)``, which sees to all of
    *items* but the messages, and returns these.
    """

    __slots__ = (
        "_decoder",
        "_inflates",
        "_own",
        "deferred",
        "finished",
        "outbox",
        "plain",
        "state",
    )

    _decoder: Any
    outbox: Any
    state: Any

    def __init__(self, decoder: Any, outbox: Any, state: Any, *, inflates: bool) -> None:
        self._decode_with(decoder)
        self._inflates = inflates
        self.outbox = outbox
        self.state = state
        self.deferred = False
        self.finished = False
        self.plain = not inflates

    def receive(self, data: Buffer, now: float) -> list[Message]:
        """Bytes came: the messages that became whole, in order.

        All else is seen to: pings are answered, a close frame too, a broken rule is answered
        with a close frame; then *state* has changed. What comes after the end is ignored.

        Where messages came before the end, their owner may still answer them: the end is put
        off to the next call (*deferred* is set), which needs no bytes.
        """
        if self.deferred or self.finished or self._inflates:
            return self._go_on_receiving(data, now)
        own = self._own
        items: list[Any]
        if own is None:
            items = self._decoder.receive(data)
            controls = self._decoder.controls
        else:
            items = own.receive(data)
            controls = own.controls
        return self._sort(items, now) if controls else items

    def _decode_with(self, decoder: Any) -> None:
        self._decoder = decoder
        try:
            # As the backend's own it is a type of C, whose fields cost no look-up.
            self._own = decoder
        except TypeError:
            self._own = None

    # --- seldom -----------------------------------------------------------------------

    def _go_on_receiving(self, data: Buffer, now: float) -> list[Message]:
        raise NotImplementedError

    def _sort(self, items: list[Any], now: float) -> list[Message]:
        raise NotImplementedError
