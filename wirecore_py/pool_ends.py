# cython: annotation_typing=False, auto_pickle=False, nonecheck=True
"""What the calling end of a connection of the pool does for each call.

``wirecore._pool_ends`` is this file, compiled with the types that ``_pool_ends.pxd`` declares.
"""

from __future__ import annotations

from typing import Any


class CallingEnd:
    """The hot half of a session that calls; what it does seldom is for the class that derives.

    *quick*: a backend's CallSender, for what is usual. Who derives has ``call_with(fields, ...)``
    for the rest.
    """

    __slots__ = ("_own", "_quick")

    _quick: Any

    def __init__(self, quick: Any) -> None:
        self._quick = quick
        try:
            # As the backend's own it is a type of C, whose methods cost no look-up.
            self._own = quick
        except TypeError:
            self._own = None

    def call(self, call: Any, method: str, argument: Any, annotation: Any, now: float) -> None:
        """Queue a call of *method*; *call* then waits, and comes back once in one of three ways.

        In an ``Answer`` of ``receive`` or of ``expire``, or from ``lost``. *annotation*: the type
        of *argument*. *call*: a ``PoolCall``, or another that has its ``annotation``, where None
        passes the result over. Where this raises, it doesn't wait and nothing is queued.

        Raises :class:`~wirecore.errors.NotConnected` where the connection isn't open;
        :class:`~wirecore.errors.LocalLimitExceeded` for too many calls without an answer, too much
        that waits to be sent, or too long an argument; :class:`~wirecore.errors.InvalidGobType` for
        an annotation that is no type; else what the codec's ``encode_request`` raises.
        """
        own = self._own
        if own is None:
            is_queued = self._quick.send(call, method, argument, annotation, now)
        else:
            is_queued = own.send(call, method, argument, annotation, now)
        if not is_queued:
            self.call_with({}, call, method, argument, annotation, now)

    def call_with(
        self,
        fields: Any,
        call: Any,
        method: str,
        argument: Any,
        annotation: Any,
        now: float,
    ) -> None:
        """See the class."""
        raise NotImplementedError
